//! Names in pictures. The font that lies beside this file knows Latin, Cyrillic, Greek and more, but not the
//! scripts of East and South Asia, and letters that join or run from right to left are not laid out here: a
//! picture would show boxes, or a word that nobody can read. Such a name gives way to what is told beside it.

use unicode_normalization::UnicodeNormalization;

use super::words::has_letter;

/// A name of which fewer letters than this share can be drawn says nothing.
const ENOUGH: f64 = 0.6;

/// A name as a picture can show it; `fallback` (an id) where the picture cannot.
///
/// What stands in a name beside its letters and cannot be drawn, such as an emoji, is left out.
pub fn legible(name: &str, fallback: &str) -> String {
    let (mut letters, mut known) = (0usize, 0usize);
    let mut text = String::new();
    // Composed letters first: marks alone would be drawn beside their letter.
    for c in name.nfc() {
        let is_drawn = is_drawn(c);
        if c.is_alphanumeric() {
            letters += 1;
            known += usize::from(is_drawn);
        }
        if c.is_whitespace() || c.is_control() {
            text.push(' ');
        } else if is_drawn {
            text.push(c);
        }
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let enough = known as f64 >= ENOUGH * letters as f64;
    match (text.is_empty() || !enough, known < letters) {
        (true, _) => fallback.to_owned(),
        // A part of it: the id tells which one it is.
        (false, true) => format!("{text} ({fallback})"),
        (false, false) => text,
    }
}

/// Whether the font has the letter and it stands alone, from left to right.
fn is_drawn(c: char) -> bool {
    // From Hebrew to Mongolian, with their forms: from right to left, or joined.
    let is_laid_out = matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}');
    let is_mark = unicode_normalization::char::is_combining_mark(c);
    let is_invisible =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}');
    !is_laid_out && !is_mark && !is_invisible && has_letter(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_letters_of_the_font_stay_as_they_are() {
        for name in [
            "Smells Like Teen Spirit",
            "Группа крови",
            "Σταύρος",
            "Beyoncé – Déjà Vu (feat. Jay‑Z)",
            "Þórr №1 ♫",
        ] {
            assert_eq!(legible(name, "track 7"), name);
        }
        assert_eq!(legible("cafe\u{301}\tx\u{0}", "track 7"), "café x", "marks join their letters");
    }

    #[test]
    fn names_that_would_be_boxes_give_way() {
        for name in ["夜に駆ける", "사랑", "नमस्ते", "שלום", "حبيبي", "", " \u{200b}", "💖"]
        {
            assert_eq!(legible(name, "track 7"), "track 7", "{name}");
        }
        assert_eq!(legible("Love 💖 Song", "track 7"), "Love Song");
        assert_eq!(legible("Tokyo Nights 夜", "track 7"), "Tokyo Nights (track 7)");
    }
}
