//! What a title says about the song and about the version.
//!
//! Bracketed text is cut out while the brackets are still there: punctuation is dropped afterwards.

use super::names;

/// A title taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title {
    /// The song: normal form without bracketed text, guests and version words.
    pub song: String,
    /// What was cut out, in normal form; it may name the artist of the original.
    pub version: String,
    /// Whether the version says that it is someone else's song.
    pub is_cover: bool,
}

const BRACKETS: &[(char, char)] =
    &[('(', ')'), ('[', ']'), ('{', '}'), ('【', '】'), ('〔', '〕'), ('〖', '〗')];
const SEPARATORS: &[&str] = &[" - ", " – ", " — ", " − ", " ‐ ", " | "];
const GUESTS: &[&str] = &["feat", "ft", "featuring", "фит"];
/// Words of somebody else's song, in normal form.
const COVER_WORDS: &[&str] =
    &["cover", "covers", "covered", "tribute", "karaoke", "кавер", "караоке", "трибьют"];
/// Words of a version, in normal form (`й` has become `и`).
const VERSION_WORDS: &[&str] = &[
    "remix",
    "remixed",
    "rmx",
    "mix",
    "edit",
    "live",
    "acoustic",
    "unplugged",
    "remaster",
    "remastered",
    "remasterizado",
    "version",
    "ver",
    "instrumental",
    "demo",
    "mono",
    "stereo",
    "rework",
    "bootleg",
    "rerecorded",
    "session",
    "sessions",
    "reprise",
    "ремикс",
    "ремастер",
    "лаив",
    "живои",
    "живая",
    "концертная",
    "акустика",
    "акустическая",
    "версия",
    "инструментал",
    "минус",
];
/// Words that belong to the version only beside a version word: `radio edit`, `2011 remaster`.
const QUALIFIERS: &[&str] = &[
    "radio",
    "club",
    "original",
    "extended",
    "album",
    "single",
    "studio",
    "dance",
    "full",
    "digital",
    "digitally",
    "acapella",
    "piano",
];

impl Title {
    /// Takes a raw title apart.
    pub fn parse(raw: &str) -> Self {
        let folded = names::fold(raw);
        let (mut outside, mut inside) = split_brackets(&folded);
        if names::words(&outside).is_empty() {
            outside = folded;
            inside.clear();
        }
        let mut version: Vec<String> = vec![names::words(&inside)];
        let mut song: Vec<String> = Vec::new();
        for (number, segment) in split_segments(&outside).into_iter().enumerate() {
            let words = names::words(segment);
            let mut words: Vec<&str> = words.split(' ').filter(|word| !word.is_empty()).collect();
            if number > 0 && words.iter().any(|word| is_version(word)) {
                version.push(words.join(" "));
                continue;
            }
            cut_guests(&mut words);
            let cut = cut_version(&mut words);
            version.push(cut);
            song.extend(words.into_iter().map(str::to_owned));
        }
        let mut song = song.join(" ");
        if song.is_empty() {
            song = names::normalise(raw);
        }
        version.retain(|part| !part.is_empty());
        let version = version.join(" ");
        let is_cover = version.split(' ').any(|word| COVER_WORDS.contains(&word));
        Self { song, version, is_cover }
    }
}

/// The text outside of brackets and the text inside; a bracket that is never closed reaches to the end.
fn split_brackets(text: &str) -> (String, String) {
    let (mut outside, mut inside) = (String::new(), String::new());
    let mut closing: Vec<char> = Vec::new();
    for letter in text.chars() {
        if let Some(&(_, close)) = BRACKETS.iter().find(|&&(open, _)| open == letter) {
            closing.push(close);
            outside.push(' ');
            inside.push(' ');
        } else if closing.last() == Some(&letter) {
            closing.pop();
        } else if closing.is_empty() {
            outside.push(letter);
        } else {
            inside.push(letter);
        }
    }
    (outside, inside)
}

fn split_segments(text: &str) -> Vec<&str> {
    let mut segments = vec![text];
    for separator in SEPARATORS {
        segments = segments.into_iter().flat_map(|segment| segment.split(separator)).collect();
    }
    segments
}

fn is_version(word: &str) -> bool {
    VERSION_WORDS.contains(&word) || COVER_WORDS.contains(&word)
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Removes `feat. …` and what follows; a title may begin with the word.
fn cut_guests(words: &mut Vec<&str>) {
    if let Some(guests) = words.iter().skip(1).position(|word| GUESTS.contains(word)) {
        words.truncate(guests + 1);
    }
}

/// Removes version words from the end, at least one word stays, and returns them.
fn cut_version(words: &mut Vec<&str>) -> String {
    let live_at = |pair: &[&str]| pair[0] == "live" && matches!(pair[1], "at" | "from");
    let mut end = words.len();
    if let Some(live) = words.windows(2).skip(1).position(live_at) {
        end = live + 1;
    }
    while end > 1 {
        let word = words[end - 1];
        let after_version = words.get(end).is_some_and(|next| is_version(next) || QUALIFIERS.contains(next));
        let before_version = is_version(words[end - 2]);
        let belongs = is_version(word)
            || (after_version && (QUALIFIERS.contains(&word) || is_year(word)))
            || (end > 2 && before_version && is_year(word));
        if !belongs {
            break;
        }
        end -= 1;
    }
    words.split_off(end).join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_song_have_its_title() {
        for title in [
            "Hello",
            "Hello (Remix)",
            "Hello [Live at Wembley, 1999]",
            "Hello - Live",
            "Hello — Remastered 2011",
            "Hello - 2011 Remaster",
            "HELLO (feat. Someone) [Acoustic Version]",
            "Hello feat. Someone",
            "Hello ft Someone - Radio Edit",
            "Hello featuring Someone (Club Mix)",
            "Hello Acoustic",
            "Hello Radio Edit",
            "Hello Remastered 2009",
            "Hello live at the Apollo",
            "Hello （Remix）",
            "Hello (Live",
        ] {
            let parsed = Title::parse(title);
            assert_eq!(parsed.song, "hello", "{title}: {parsed:?}");
            assert!(!parsed.is_cover, "{title}");
        }
        assert_eq!(Title::parse("Хочешь (Ремикс)").song, "хочешь");
        assert_eq!(Title::parse("Песня - Живой концерт").song, "песня");
    }

    #[test]
    fn a_cover_says_so_and_may_name_the_artist() {
        let cover = Title::parse("Hello (Adele Cover)");
        assert_eq!((cover.song.as_str(), cover.version.as_str()), ("hello", "adele cover"));
        assert!(cover.is_cover);
        assert!(Title::parse("Hello - Karaoke Version").is_cover);
        assert!(Title::parse("Hello [Tribute to Adele]").is_cover);
        assert!(Title::parse("Привет (Кавер)").is_cover);
        assert!(!Title::parse("Cover Me").is_cover);
    }

    #[test]
    fn a_title_of_brackets_or_version_words_alone_stays() {
        assert_eq!(Title::parse("(Untitled)").song, "untitled");
        assert_eq!(Title::parse("Live").song, "live");
        assert_eq!(Title::parse("Remix").song, "remix");
        assert_eq!(Title::parse("[!!!]").song, "[!!!]");
        assert_eq!(Title::parse("Featuring").song, "featuring");
        assert_eq!(Title::parse("Live and Let Die").song, "live and let die");
        assert_eq!(Title::parse("Part One - Part Two").song, "part one part two");
    }
}
