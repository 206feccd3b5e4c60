//! Text in pictures: how wide it is, how it is cut, how it is written into XML.
//!
//! No font is at hand where a picture is made, and another one may be used where it is seen. Widths
//! are those of the usual sans-serif fonts, rounded up.

/// The width of a text in pixels at a font size.
pub fn width(text: &str, size: f64) -> f64 {
    text.chars().map(em).sum::<f64>() * size
}

/// The text, cut with `…` when it is wider than `most` pixels.
pub fn fitted(text: &str, size: f64, most: f64) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let mut left = most - width("…", size);
    let kept = text.chars().take_while(|&c| {
        left -= em(c) * size;
        left >= 0.0
    });
    kept.chain(std::iter::once('…')).collect()
}

/// The text as XML, in elements and attributes.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // XML has no way to write most of these.
            c if c.is_control() && !"\n\t".contains(c) => safe.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// The width of a character in parts of the font size.
fn em(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '!' | '\'' | ' ' | 'I' | '·' => 0.3,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '-' | '/' => 0.39,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' => 0.92,
        'A'..='Z' => 0.7,
        ' '..='~' => 0.59,
        // East Asian letters and pictures are as wide as they are high.
        '\u{1100}'.. => 1.05,
        _ => 0.68,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_to_what_fits() {
        let long = "a_step_with_a_very_long_name_indeed";
        let cut = fitted(long, 13.0, 120.0);
        assert!(cut.ends_with('…') && width(&cut, 13.0) <= 120.0 && cut.len() > 10, "{cut}");
        assert_eq!(fitted("als", 13.0, 120.0), "als");
    }

    #[test]
    fn a_text_cannot_leave_its_element() {
        assert_eq!(escaped("<a href=\"x\">'&\u{0}"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;\u{fffd}");
    }
}
