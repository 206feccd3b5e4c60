//! The normal form of a name, under which two spellings of one thing are equal.
//!
//! Every script stays. Diacritics go (`é` is `e`, `й` is `и`), and so do the optional points of Hebrew
//! and Arabic; marks that make another letter stay (the voiced kana, the vowel signs of Indic and Thai
//! scripts), because without them different words would be equal.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

/// NFKD, combining marks stripped, lower case, punctuation and symbols dropped, white space collapsed.
/// A name of which nothing would be left, such as `!!!`, keeps its raw form.
pub fn normalise(name: &str) -> String {
    let words = words(&fold(name));
    if words.is_empty() { name.trim().to_owned() } else { words }
}

/// NFKD, marks stripped, lower case; punctuation still there.
pub fn fold(name: &str) -> String {
    name.nfkd()
        .flat_map(char::to_lowercase)
        .nfkd()
        .filter(|&letter| !is_stripped(letter))
        .map(|letter| if letter == 'ς' { 'σ' } else { letter })
        .collect()
}

/// Letters, digits and their marks, with single spaces between the words.
pub fn words(folded: &str) -> String {
    let mut words = String::with_capacity(folded.len());
    let mut gap = false;
    for letter in folded.chars() {
        if letter.is_alphanumeric() || is_combining_mark(letter) {
            if gap && !words.is_empty() {
                words.push(' ');
            }
            gap = false;
            words.push(letter);
        } else if letter.is_whitespace() {
            gap = true;
        }
    }
    words
}

/// Marks that a name is recognised without.
///
/// Canonical combining classes: 1 overlays, 10 to 36 Hebrew and Arabic points, from 200 marks above and
/// below. Not: 7 nukta, 8 kana voicing, 9 virama, 84 to 132 vowel signs and tones of Indic and Thai scripts.
fn is_stripped(letter: char) -> bool {
    let variation_or_enclosing =
        matches!(letter, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{20dd}'..='\u{20e4}');
    variation_or_enclosing || matches!(canonical_combining_class(letter), 1 | 10..=36 | 200..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_marks_width_punctuation_and_space_do_not_matter() {
        for (name, expected) in [
            ("Beyoncé", "beyonce"),
            ("BEYONCE\u{301}", "beyonce"),
            ("AC/DC", "acdc"),
            ("  Don't\tStop \u{a0} Me  ", "dont stop me"),
            ("Ａｒｔｉｓｔ　１", "artist 1"),
            ("Sigur Rós 🔥", "sigur ros"),
            ("ﬁre", "fire"),
        ] {
            assert_eq!(normalise(name), expected, "{name}");
        }
    }

    #[test]
    fn every_script_stays() {
        assert_eq!(normalise("Земфира"), "земфира");
        assert_eq!(normalise("Ёлка"), normalise("ЕЛКА"));
        assert_eq!(normalise("宇多田 ヒカル"), "宇多田 ヒカル");
        assert_ne!(normalise("がき"), normalise("かき"));
        assert_ne!(normalise("कि"), normalise("का"));
        assert_eq!(normalise("ΟΔΟΣ"), normalise("οδος"));
        assert_eq!(normalise("שָׁלוֹם"), normalise("שלום"));
        assert!(!normalise("방탄소년단").is_empty());
        assert!(!normalise("ที่รัก").is_empty());
    }

    #[test]
    fn a_name_that_would_become_empty_keeps_its_raw_form() {
        assert_eq!(normalise("!!!"), "!!!");
        assert_eq!(normalise(" ÷ "), "÷");
        assert_ne!(normalise("🔥"), normalise("💧"));
        assert_eq!(normalise(" \t"), "");
    }

    proptest! {
        #[test]
        fn normalising_again_changes_nothing(name in "\\PC{0,12}") {
            let once = normalise(&name);
            prop_assert_eq!(normalise(&once), once);
        }
    }
}
