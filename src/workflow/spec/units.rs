//! Times and sizes as people write them: `90s`, `2h`, `4GiB`.

use std::time::Duration;

use crate::workflow::fault::Fault;
use crate::workflow::yaml::{Node, Value};

const TIMES: [(&str, f64); 5] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)];

const SIZES: [(&str, f64); 9] = [
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("B", 1.0),
];

/// A time, more than nothing and at most a year.
pub fn duration(node: &Node, faults: &mut Vec<Fault>) -> Option<Duration> {
    let seconds =
        number_with_unit(node, &TIMES).filter(|seconds| *seconds > 0.0 && *seconds <= 366.0 * 86400.0);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let duration = duration.filter(|duration| !duration.is_zero());
    if duration.is_none() && node.value != Value::Unknown {
        let message = format!(
            "a time is a number with `ms`, `s`, `m`, `h` or `d`, up to a year, found {}",
            node.found()
        );
        faults.push(Fault::new(node.span.clone(), message).help("for example `500ms`, `90s`, `15m`, `2h`"));
    }
    duration
}

/// A size of memory in bytes, at least one.
pub fn memory(node: &Node, faults: &mut Vec<Fault>) -> Option<u64> {
    let bytes = number_with_unit(node, &SIZES).map(f64::round).filter(|bytes| (1.0..=1e18).contains(bytes));
    if bytes.is_none() && node.value != Value::Unknown {
        let message = format!(
            "a size is a number with `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB` or `B`, found {}",
            node.found()
        );
        let help = match &node.value {
            Value::Integer(number) => format!("say the unit: `{number}GiB` or `{number}B`"),
            Value::Text(text) => suggestion(text),
            _ => "for example `512MiB` or `4GiB`".to_owned(),
        };
        faults.push(Fault::new(node.span.clone(), message).help(help));
    }
    // At most 1e18, so the conversion is exact enough and cannot overflow.
    bytes.map(|bytes| bytes as u64)
}

fn number_with_unit(node: &Node, units: &[(&str, f64)]) -> Option<f64> {
    let Value::Text(text) = &node.value else { return None };
    let (number, unit) = split(text);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let plain = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number = number.parse::<f64>().ok().filter(|_| plain)?;
    Some(number * factor)
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    (number.trim_end(), &text[number.len()..])
}

fn suggestion(text: &str) -> String {
    let (number, unit) = split(text);
    let meant = SIZES.iter().find(|(name, _)| {
        name.eq_ignore_ascii_case(unit)
            || name.chars().next().is_some_and(|c| unit.eq_ignore_ascii_case(&c.to_string()))
    });
    match meant {
        Some((name, _)) if !number.is_empty() => format!("did you mean `{number}{name}`?"),
        _ => "for example `512MiB` or `4GiB`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        Node::parse(text).unwrap()
    }

    #[test]
    fn times_have_a_unit() {
        let read = |text| duration(&node(text), &mut Vec::new());
        assert_eq!(read("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(read("1.5 h"), Some(Duration::from_secs(5400)));
        assert_eq!(read("2d"), Some(Duration::from_secs(172_800)));
        for wrong in ["90", "0s", "s", "-1s", "1e3s", "1w", "99999d", "infs", "nan s", "1 2s", "[1s]"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_decimal_or_binary() {
        let read = |text| memory(&node(text), &mut Vec::new());
        assert_eq!(read("4GiB"), Some(4 << 30));
        assert_eq!(read("1.5GB"), Some(1_500_000_000));
        assert_eq!(read("512 MiB"), Some(512 << 20));
        assert_eq!(read("100kB"), Some(100_000));
        assert_eq!(read("7B"), Some(7));
        for wrong in ["4", "4G", "4gb", "0GiB", "GiB", "-1GiB", "1e99GiB", "9999999999TiB"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_wrong_size_names_the_nearest_right_one() {
        let help = |text: &str| {
            let mut faults = Vec::new();
            memory(&node(text), &mut faults);
            faults.remove(0).help.unwrap()
        };
        assert_eq!(help("4G"), "did you mean `4GiB`?");
        assert_eq!(help("4gb"), "did you mean `4GB`?");
        assert_eq!(help("4"), "say the unit: `4GiB` or `4B`");
    }
}
