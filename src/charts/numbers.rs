//! Numbers as people read them: thousands set apart, units beside, no digits that say nothing.

/// `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Four digits that say something: `0.0842`, `12.35`, `1,235`, `0.0000012`.
pub fn value(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() {
        return "–".to_owned();
    }
    if size == 0.0 {
        return "0".to_owned();
    }
    if size >= 999.95 {
        let sign = if number < 0.0 { "−" } else { "" };
        return format!("{sign}{}", count(size.round() as u64));
    }
    if size < 0.000_000_1 {
        return signed(format!("{number:.1e}"));
    }
    if size < 0.001 {
        let decimals = (1.0 - size.log10().floor()) as usize;
        return signed(format!("{number:.decimals$}"));
    }
    let decimals = if size >= 99.995 {
        1
    } else if size >= 9.999_5 {
        2
    } else if size >= 0.999_95 {
        3
    } else {
        4
    };
    signed(format!("{number:.decimals$}"))
}

/// A share as `12.3 %`, which no line break parts.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let size = percent.abs();
    let decimals = if size == 0.0 || size >= 99.95 {
        0
    } else if size >= 1.0 {
        1
    } else if size >= 0.1 {
        2
    } else if size >= 0.000_1 {
        4
    } else {
        return "under 0.0001\u{a0}%".to_owned();
    };
    let text = signed(format!("{percent:.decimals$}\u{a0}%"));
    // Not quite everything is not everything.
    if text == "100\u{a0}%" && share < 1.0 { "99.9\u{a0}%".to_owned() } else { text }
}

/// `0.42 s`, `12 s`, `3 min 05 s`, `2 h 07 min`.
pub fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 9.95 => format!("{seconds:.2} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// `512 B`, `1.5 MB`, in powers of 1,000.
pub fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 999.5 {
            return if unit == "B" || size >= 99.95 {
                format!("{size:.0} {unit}")
            } else {
                format!("{size:.1} {unit}")
            };
        }
        size /= 1000.0;
    }
    format!("{size:.1} TB")
}

/// A p-value: `0.031`, `< 0.001`.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// On an axis: `20,000`, `3 M`, with so many decimals below a million.
pub fn tick(number: f64, decimals: usize) -> String {
    for (unit, size) in [(" B", 1e9), (" M", 1e6)] {
        if number.abs() >= size {
            let scaled = number / size;
            let decimals = usize::from((scaled * 10.0).round() % 10.0 != 0.0);
            return signed(format!("{scaled:.decimals$}{unit}"));
        }
    }
    if decimals == 0 && number >= 0.0 {
        return count(number.round() as u64);
    }
    signed(format!("{number:.decimals$}"))
}

/// A minus sign is as wide as a plus sign.
fn signed(text: String) -> String {
    text.strip_prefix('-').map(|rest| format!("−{rest}")).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1_000, 222_629_898].map(count), ["0", "999", "1,000", "222,629,898"]);
    }

    #[test]
    fn values_have_the_digits_that_say_something() {
        let values = [0.0, 0.084_23, 0.999_97, 1.5, 12.345_6, 250.04, 1234.5, -0.5, 0.000_001_234, f64::NAN];
        let texts = ["0", "0.0842", "1.000", "1.500", "12.35", "250.0", "1,235", "−0.5000", "0.0000012", "–"];
        assert_eq!(values.map(value), texts);
        let shares = [0.0, 0.5, 1.0, 0.999_99, 0.001_23, 0.000_012, 0.000_000_1];
        assert_eq!(
            shares.map(|share| percent(share).replace('\u{a0}', " ")),
            ["0 %", "50.0 %", "100 %", "99.9 %", "0.12 %", "0.0012 %", "under 0.0001 %"]
        );
    }

    #[test]
    fn times_and_sizes_have_units() {
        assert_eq!(
            [0.004, 9.0, 12.4, 185.0, 7620.0].map(seconds),
            ["0.00 s", "9.00 s", "12 s", "3 min 05 s", "2 h 07 min"]
        );
        assert_eq!(
            [512, 1_500_000, 999_600, 12_000_000_000_000].map(bytes),
            ["512 B", "1.5 MB", "1.0 MB", "12.0 TB"]
        );
        assert_eq!([0.0004, 0.0312].map(p_value), ["< 0.001", "0.031"]);
        assert_eq!(
            [tick(20_000.0, 0), tick(3e6, 0), tick(2.5e9, 0), tick(0.05, 2), tick(-0.5, 1)],
            ["20,000", "3 M", "2.5 B", "0.05", "−0.5"]
        );
    }
}
