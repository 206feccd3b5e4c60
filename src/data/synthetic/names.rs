//! Names as a real catalogue has them: any script, versions in brackets, twins, dirt.
//!
//! A name is a pure function of the seed and of what it names, so none is kept in memory.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use unicode_normalization::UnicodeNormalization;

use super::stream::{Room, generator, pick};
use super::words::{SYMBOLS, Script};

/// Which recording of a song a track is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The song as it came out first.
    Original,
    /// The original once more under another id, its name written differently.
    Twin,
    /// With a guest who is named in the title.
    Featuring,
    /// By somebody else's hand.
    Remix,
    /// On stage.
    Live,
    /// Unplugged.
    Acoustic,
    /// The old tape, made louder.
    Remastered,
    /// By another artist.
    Cover,
    /// Without the voice, by another artist.
    Karaoke,
}

/// The title of a song.
pub fn title(seed: u64, song: u32, script: Script) -> String {
    phrase(&mut generator(seed, Room::Song, song.into()), script)
}

/// The name of an artist; names rarely meet by chance.
pub fn artist(seed: u64, artist: u32, script: Script) -> String {
    let rng = &mut generator(seed, Room::Artist, artist.into());
    let words = script.words();
    let given = pick(rng, words.given);
    let family = family_name(rng, script);
    let band = pick(rng, words.title);
    let space = words.space;
    match rng.random_range(0..10) {
        0 if script == Script::English => format!("The {family} {band}s"),
        1 => format!("{family}{space}{band}"),
        2 => format!("{given}{space}{family} & {}", family_name(rng, script)),
        3 => family_name(rng, script) + space + &family,
        4 if script == Script::English => format!("{given} {}-{family}", pick(rng, words.given)),
        _ => {
            let middle = pick(rng, words.syllables);
            format!("{given}{space}{}{space}{family}", capitalized(middle))
        }
    }
}

/// The name of an album that holds more than one song.
pub fn album(seed: u64, album: u32, script: Script) -> String {
    let rng = &mut generator(seed, Room::Album, album.into());
    let name = phrase(rng, script);
    match rng.random_range(0..12) {
        0 => name + " (Deluxe Edition)",
        1 => name + " EP",
        2 => format!("{name}, Vol. {}", rng.random_range(1..5)),
        _ => name,
    }
}

/// The name of an album that gathers songs of many artists.
pub fn compilation(seed: u64, album: u32) -> String {
    let rng = &mut generator(seed, Room::Album, album.into());
    let kind = pick(
        rng,
        &["Best of", "Greatest Hits", "Top", "Summer", "Workout", "Лучшее", "Хиты", "Party Mix", "Lo-Fi"],
    );
    let what = phrase(rng, Script::English);
    format!("{kind} {what} {}", rng.random_range(1990..2023))
}

/// The title of one version of a song; `other` is the guest, or the artist who is covered.
pub fn versioned(title: &str, version: Version, other: Option<&str>, rng: &mut Pcg64Mcg) -> String {
    let other = other.unwrap_or("Unknown Artist");
    match version {
        Version::Original => title.to_owned(),
        Version::Twin => respelled(title, rng),
        Version::Featuring => match rng.random_range(0..4) {
            0 => format!("{title} (feat. {other})"),
            1 => format!("{title} feat. {other}"),
            2 => format!("{title} [ft. {other}]"),
            _ => format!("{title} (featuring {other})"),
        },
        Version::Remix => match rng.random_range(0..5) {
            0 => format!("{title} (Remix)"),
            1 => format!("{title} - Radio Edit"),
            2 => format!("{title} [Club Mix]"),
            3 => format!("{title} - Extended Mix"),
            _ => format!("{title} ({other} Remix)"),
        },
        Version::Live => match rng.random_range(0..4) {
            0 => format!("{title} - Live"),
            1 => format!("{title} (Live at Wembley, {})", rng.random_range(1970..2022)),
            2 => format!("{title} [Live]"),
            _ => format!("{title} (Live)"),
        },
        Version::Acoustic => {
            title.to_owned()
                + pick(rng, &[" (Acoustic)", " - Acoustic Version", " (Unplugged)", " [Acoustic]"])
        }
        Version::Remastered => match rng.random_range(0..3) {
            0 => format!("{title} - {} Remaster", rng.random_range(1998..2023)),
            1 => format!("{title} (Remastered {})", rng.random_range(1998..2023)),
            _ => format!("{title} (Remastered)"),
        },
        Version::Cover => match rng.random_range(0..3) {
            0 => format!("{title} (Cover)"),
            1 => format!("{title} ({other} Cover)"),
            _ => format!("{title} (Tribute to {other})"),
        },
        Version::Karaoke => match rng.random_range(0..3) {
            0 => format!("{title} (Karaoke Version)"),
            1 => format!("{title} - Karaoke"),
            _ => format!("{title} (Originally Performed by {other}) [Karaoke]"),
        },
    }
}

/// The same name for a reader, other bytes for a machine.
pub fn respelled(name: &str, rng: &mut Pcg64Mcg) -> String {
    match rng.random_range(0..6) {
        0 => name.to_uppercase(),
        1 => name.to_lowercase(),
        2 => format!("{}  ", name.replace(' ', "  ")),
        3 => format!("{name}!"),
        4 => name.nfd().collect(),
        _ => format!("\u{feff}{}.", name.replace(' ', "\t")),
    }
}

/// The name as it gets into the catalogue: mostly as it is, sometimes dirty, rarely empty.
pub fn soiled(name: String, rng: &mut Pcg64Mcg) -> String {
    match rng.random_range(0..1000) {
        0..2 => String::new(),
        2..6 => format!("\t{name}"),
        6..10 => format!(" {name} "),
        10..14 => name.replacen(' ', "  ", 1),
        14..18 => name.replacen(' ', "\u{a0}", 1),
        18..20 => format!("{name}\u{200b}"),
        20..32 => format!("{name} {}", pick(rng, SYMBOLS)),
        32..34 => pick(rng, SYMBOLS).to_owned(),
        _ => name,
    }
}

/// One to four words of a script.
fn phrase(rng: &mut Pcg64Mcg, script: Script) -> String {
    let words = script.words();
    let n_words = match rng.random_range(0..20) {
        0..2 => 1,
        2..9 => 2,
        9..16 => 3,
        _ => 4,
    };
    let mut phrase = String::new();
    for position in 0..n_words {
        if position > 0 {
            phrase += words.space;
        }
        phrase += pick(rng, words.title);
    }
    phrase
}

/// Two to four syllables of a script.
fn family_name(rng: &mut Pcg64Mcg, script: Script) -> String {
    let n_syllables = rng.random_range(2..5);
    let syllables: String = (0..n_syllables).map(|_| pick(rng, script.words().syllables)).collect();
    capitalized(&syllables)
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
