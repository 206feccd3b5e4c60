//! Search: tracks by name, artist or id, users by the beginning of their id.
//!
//! The texts of all tracks lie in one string, folded (lower case, no accents), in the order of the items table,
//! which is that of popularity. One pass over it takes some milliseconds for a million tracks, needs no
//! index, and finds parts of words in any script. It is made at the first search, on a thread of
//! its own, so that a service that nobody searches pays nothing; and only few search at a time, so that
//! recommendations never wait for a processor.

use std::sync::OnceLock;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::details::Names;
use super::error::ApiError;
use super::library::Library;
use super::openapi::{K, Operation, Parameter, Routes, Shape};
use super::parameters::Parameters;
use super::state::State;

const MAX_LETTERS: usize = 200;
/// How many may search at a time.
static SEARCHES: Semaphore = Semaphore::const_new(2);

const Q: Parameter = Parameter::optional(
    "q",
    Shape::Text(MAX_LETTERS),
    "Words of a track's name or of its artists' names, or an id. Without it the first of all are found.",
);

/// The routes of this resource.
pub fn routes() -> Routes {
    let operation = Operation::new(
        "Find tracks and users",
        "Tracks that have every word of `q` in their name or the names of their artists, in any case and without \
         regard to accents: those whose name begins with it first, popular ones before others. Users \
         with a precomputed list whose id begins with `q`.",
    )
    .takes(&[&Q, &K])
    .answers::<Found<'_>>("What was found, at most `k` of each.")
    .fails(ApiError::invalid("q", "at most 200 letters", "…"));
    Routes::tagged("tracks").get("/search", search, &operation)
}

/// What a search found.
#[derive(Debug, Serialize, JsonSchema)]
struct Found<'a> {
    /// Popular ones first.
    tracks: Vec<FoundTrack<'a>>,
    /// In the order of their ids.
    users: Vec<FoundUser>,
}

/// A track that was found.
#[derive(Debug, Serialize, JsonSchema)]
struct FoundTrack<'a> {
    /// The track.
    track_id: i64,
    /// What it is called.
    names: Names<'a>,
}

/// A user that was found.
#[derive(Debug, Serialize, JsonSchema)]
struct FoundUser {
    /// The user.
    user_id: i64,
}

/// `GET /search?q&k`: tracks and users.
///
/// 200 with what was found, which may be nothing; 422 for a wrong parameter.
async fn search(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, ApiError> {
    let k = parameters.k(state.max_k())?;
    let q = parameters.all("q").next().unwrap_or_default().trim().to_owned();
    if q.chars().count() > MAX_LETTERS {
        return Err(ApiError::invalid("q", &format!("at most {MAX_LETTERS} letters"), &q));
    }
    let turn = SEARCHES.acquire().await;
    let find = move || {
        let _turn = turn;
        let library = &*state.library();
        let track = |item| FoundTrack {
            track_id: library.catalog.track_id(item),
            names: library.details.names(Some(item)),
        };
        let tracks = tracks(library, &q, k).into_iter().map(track).collect();
        let users = users(library, &q, k).into_iter().map(|user_id| FoundUser { user_id }).collect();
        Json(Found { tracks, users }).into_response()
    };
    tokio::task::spawn_blocking(find).await.map_err(|_| ApiError::Internal)
}

/// The best `k` tracks for a query; the one that has it for an id is the first.
fn tracks(library: &Library, q: &str, k: usize) -> Vec<u32> {
    let may_be_named = |item: u32| !library.blocked.contains(&item);
    let by_id = q.parse().ok().and_then(|track_id| library.catalog.item(track_id));
    let by_id = by_id.filter(|item| may_be_named(*item));
    let texts = library.search_texts.0.get_or_init(|| Texts::of(library));
    let by_name = texts.find(&folded(q), k, may_be_named).into_iter().filter(|item| Some(*item) != by_id);
    by_id.into_iter().chain(by_name).take(k).collect()
}

/// Users with a precomputed list whose id begins with these digits, the smallest ids first.
fn users(library: &Library, q: &str, k: usize) -> Vec<i64> {
    if q.is_empty() {
        return library.recommendations.keys_in(i64::MIN..=i64::MAX).take(k).collect();
    }
    let Ok(id) = q.parse::<i64>() else { return Vec::new() };
    // 12, then 120 to 129, 1200 to 1299, …; of a negative id the digits go on downwards.
    let ranges = (0..19).map_while(|more| {
        let scale = 10i64.checked_pow(more)?;
        let near = id.checked_mul(scale)?;
        let far = near.saturating_add((scale - 1) * if id < 0 { -1 } else { 1 });
        Some(near.min(far)..=near.max(far))
    });
    let ranges = if id == 0 { ranges.take(1) } else { ranges.take(19) };
    ranges.flat_map(|range| library.recommendations.keys_in(range)).take(k).collect()
}

/// The texts of a release, made when they are first needed.
#[derive(Debug, Default)]
pub struct SearchTexts(OnceLock<Texts>);

#[derive(Debug)]
struct Texts {
    /// Of each track its name, a tab, its artists, a line end.
    text: String,
    /// Where each track ends.
    ends: Vec<usize>,
}

impl Texts {
    fn of(library: &Library) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::with_capacity(library.catalog.len()));
        for item in (0u32..).take(library.catalog.len()) {
            let (track, artists) = library.details.title(item);
            fold_into(&mut text, track.unwrap_or_default());
            text.push('\t');
            for artist in artists {
                fold_into(&mut text, artist);
                text.push(' ');
            }
            text.push('\n');
            ends.push(text.len());
        }
        text.shrink_to_fit();
        Self { text, ends }
    }

    /// The first `k` tracks that may be named and have every word; before them, those whose name begins with the query.
    fn find(&self, q: &str, k: usize, may_be_named: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut words: Vec<&str> = q.split_whitespace().collect();
        // The longest is the rarest, as a rule.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let Some(rarest) = words.first() else {
            return (0..self.ends.len() as u32).filter(|item| may_be_named(*item)).take(k).collect();
        };
        let (mut first, mut others) = (Vec::new(), Vec::new());
        let mut place = 0;
        while first.len() < k
            && let Some(found) = self.text[place..].find(rarest)
        {
            let item = self.ends.partition_point(|&end| end <= place + found);
            let start = item.checked_sub(1).map_or(0, |before| self.ends[before]);
            let row = &self.text[start..self.ends[item]];
            place = self.ends[item];
            if may_be_named(item as u32) && words.iter().all(|word| row.contains(word)) {
                let list = if row.starts_with(q) { &mut first } else { &mut others };
                if list.len() < k {
                    list.push(item as u32);
                }
            }
        }
        first.extend(others);
        first.truncate(k);
        first
    }
}

fn folded(text: &str) -> String {
    let mut folded = String::new();
    fold_into(&mut folded, text);
    folded
}

/// Appends a text in lower case, without accents, with spaces for all white space.
fn fold_into(folded: &mut String, text: &str) {
    if text.is_ascii() {
        folded.extend(
            text.chars()
                .map(|letter| if letter.is_ascii_control() { ' ' } else { letter.to_ascii_lowercase() }),
        );
        return;
    }
    let letters = text.nfkd().filter(|letter| !is_combining_mark(*letter)).flat_map(char::to_lowercase);
    folded.extend(
        letters.map(|letter| if letter.is_whitespace() || letter.is_control() { ' ' } else { letter }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(rows: &[&str]) -> Texts {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for row in rows {
            let (name, artists) = row.split_once('|').unwrap();
            fold_into(&mut text, name);
            text.push('\t');
            fold_into(&mut text, artists);
            text.push('\n');
            ends.push(text.len());
        }
        Texts { text, ends }
    }

    #[test]
    fn every_word_must_occur_and_names_that_begin_so_come_first() {
        let texts =
            texts(&["Long Road|Ann", "Road to Anywhere|Bob", "Blue\tRoad|ANN", "Été|Ёлка", "|", "ROAD|"]);
        assert_eq!(texts.find("road", 9, |_| true), [1, 5, 0, 2]);
        assert_eq!(texts.find("road", 3, |_| true), [1, 5, 0]);
        assert_eq!(texts.find("ann road", 9, |_| true), [0, 2]);
        assert_eq!(texts.find(&folded("ETE"), 9, |_| true), [3]);
        assert_eq!(texts.find(&folded("елка"), 9, |_| true), [3]);
        assert_eq!(texts.find("nothing", 9, |_| true), [0u32; 0]);
        assert_eq!(texts.find("", 2, |_| true), [0, 1]);
        assert_eq!(texts.find("", 2, |item| item > 2), [3, 4]);
        assert_eq!(texts.find("road", 2, |item| item != 1), [5, 0]);
    }
}
