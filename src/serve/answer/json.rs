//! The text of an answer, written straight into one buffer.
//!
//! A list of a hundred tracks with their scores and sources is most of what a request costs; written
//! field by field through a general serialiser it takes three times as long. Texts that come from outside
//! and whatever is asked for seldom still go through that, which escapes them.

use serde::Serialize;

use super::{Answer, integers};
use crate::serve::blend::{Pick, Source};
use crate::serve::catalog::Catalog;

/// What a track with its score and source takes, and a little more.
const ITEM_BYTES: usize = 72;
/// What an id takes, and a little more.
const ID_BYTES: usize = 10;
/// So many ids are looked up side by side.
const LANES: usize = 64;

/// The answer as JSON.
pub fn text(answer: &Answer<'_>) -> Vec<u8> {
    let Answer { user_id, track_id, impression_id, variant, degraded, .. } = answer;
    let each = if answer.tells_items { ID_BYTES + ITEM_BYTES } else { ID_BYTES };
    let mut text = Vec::with_capacity(256 + answer.picks.len() * each);
    text.push(b'{');
    for (name, id) in [("\"user_id\":", user_id), ("\"track_id\":", track_id)] {
        if let Some(id) = id {
            text.extend_from_slice(name.as_bytes());
            integers::push(&mut text, *id);
            text.push(b',');
        }
    }
    text.extend_from_slice(b"\"impression_id\":\"");
    text.extend_from_slice(impression_id);
    text.extend_from_slice(b"\",");
    if let Some(variant) = variant {
        text.extend_from_slice(b"\"variant\":");
        value(&mut text, variant);
        text.push(b',');
    }
    if !degraded.is_empty() {
        text.extend_from_slice(b"\"degraded\":");
        value(&mut text, degraded);
        text.push(b',');
    }
    text.extend_from_slice(b"\"recommendations\":[");
    track_ids(&mut text, answer.catalog, answer.picks);
    text.extend_from_slice(b"],\"source\":\"");
    text.extend_from_slice(answer.source.name().as_bytes());
    text.push(b'"');
    if answer.tells_items {
        let known = answer.catalog.track_ids();
        text.extend_from_slice(b",\"items\":[");
        for (place, pick) in answer.picks.iter().enumerate() {
            if place > 0 {
                text.push(b',');
            }
            item(&mut text, known[pick.item as usize], pick);
            if let Some(names) = answer.names.get(place) {
                text.extend_from_slice(b",\"names\":");
                value(&mut text, names);
            }
            if let Some(reason) = answer.reasons.get(place) {
                text.extend_from_slice(b",\"reason\":");
                value(&mut text, reason);
            }
            text.push(b'}');
        }
        text.push(b']');
    }
    text.push(b'}');
    text
}

/// The ids alone. They are looked up in groups before any is written: the processor waits for memory once a
/// group then, not once an id.
fn track_ids(text: &mut Vec<u8>, catalog: &Catalog, picks: &[Pick]) {
    let (known, mut track_ids) = (catalog.track_ids(), [0; LANES]);
    for picks in picks.chunks(LANES) {
        for (track_id, pick) in track_ids.iter_mut().zip(picks) {
            *track_id = known[pick.item as usize];
        }
        integers::push_all(text, &track_ids[..picks.len()]);
    }
    if !picks.is_empty() {
        text.pop();
    }
}

/// A track, without the brace that ends it.
fn item(text: &mut Vec<u8>, track_id: i64, pick: &Pick) {
    text.extend_from_slice(b"{\"track_id\":");
    integers::push(text, track_id);
    text.extend_from_slice(b",\"score\":");
    value(text, &pick.score);
    text.extend_from_slice(match pick.source {
        Source::Personal => b",\"source\":\"personal\"".as_slice(),
        Source::Online => b",\"source\":\"online\"",
        Source::Similar => b",\"source\":\"similar\"",
        Source::Popular => b",\"source\":\"popular\"",
    });
}

fn value(text: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(text, value).expect("numbers, texts and their lists can be written to memory");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::serve::blend::Case;

    fn answer<'a>(catalog: &'a Catalog, picks: &'a [Pick]) -> Answer<'a> {
        Answer {
            user_id: Some(i64::MIN),
            track_id: None,
            impression_id: [b'f'; 32],
            variant: Some("a \"b\"\n"),
            degraded: &["events", "offline"],
            source: Case::Blend,
            catalog,
            picks,
            tells_items: true,
            names: Vec::new(),
            reasons: Vec::new(),
        }
    }

    #[test]
    fn the_text_is_json_with_everything_in_it() {
        let catalog = Catalog::new(vec![1, -2, 3, i64::MAX]).unwrap();
        let pick = |item, score, source| Pick { item, score, source };
        let picks = [
            pick(0, 0.1, Source::Personal),
            pick(1, f32::NAN, Source::Online),
            pick(2, 1e-30, Source::Similar),
            pick(3, -0.0, Source::Popular),
        ];
        let mut answer = answer(&catalog, &picks);
        let id = "f".repeat(32);
        let expected = json!({
            "user_id": i64::MIN, "impression_id": id, "variant": "a \"b\"\n", "degraded": ["events", "offline"],
            "recommendations": [1, -2, 3, i64::MAX], "source": "blend",
            "items": [
                {"track_id": 1, "score": 0.1, "source": "personal"},
                {"track_id": -2, "score": null, "source": "online"},
                {"track_id": 3, "score": 1e-30, "source": "similar"},
                {"track_id": i64::MAX, "score": -0.0, "source": "popular"},
            ],
        });
        assert_eq!(serde_json::from_slice::<Value>(&text(&answer)).unwrap(), expected);

        answer.tells_items = false;
        answer.variant = None;
        answer.degraded = &[];
        let ids = "[1,-2,3,9223372036854775807]";
        let short = format!(
            r#"{{"user_id":-9223372036854775808,"impression_id":"{id}","recommendations":{ids},"source":"blend"}}"#
        );
        assert_eq!(String::from_utf8(text(&answer)).unwrap(), short);
    }

    #[test]
    fn an_empty_list_is_a_list() {
        let text: Value = serde_json::from_slice(&text(&answer(&Catalog::default(), &[]))).unwrap();
        assert_eq!((&text["recommendations"], &text["items"]), (&json!([]), &json!([])));
    }
}
