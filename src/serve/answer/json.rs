//! The text of an answer, written straight into one buffer.
//!
//! A list of a hundred tracks with their scores and sources is most of what a request costs; written
//! field by field through a general serialiser it takes three times as long. Texts that come from outside
//! and whatever is asked for seldom still go through that, which escapes them.

use serde::Serialize;

use super::{Answer, AnswerItem};
use crate::serve::blend::Source;

/// What a track with its score and source takes, and a little more.
const ITEM_BYTES: usize = 72;
/// What an id takes, and a little more.
const ID_BYTES: usize = 10;

/// The answer as JSON.
pub fn text(answer: &Answer<'_>) -> Vec<u8> {
    let Answer { user_id, track_id, impression_id, variant, degraded, .. } = answer;
    let each = if answer.tells_items { ID_BYTES + ITEM_BYTES } else { ID_BYTES };
    let mut text = Vec::with_capacity(256 + answer.items.len() * each);
    text.push(b'{');
    for (name, id) in [("\"user_id\":", user_id), ("\"track_id\":", track_id)] {
        if let Some(id) = id {
            text.extend_from_slice(name.as_bytes());
            value(&mut text, id);
            text.push(b',');
        }
    }
    text.extend_from_slice(b"\"impression_id\":\"");
    text.extend_from_slice(impression_id.as_bytes());
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
    separated(&mut text, &answer.items, |text, _, item| value(text, &item.track_id));
    text.extend_from_slice(b"],\"source\":\"");
    text.extend_from_slice(answer.source.name().as_bytes());
    text.push(b'"');
    if answer.tells_items {
        text.extend_from_slice(b",\"items\":[");
        separated(&mut text, &answer.items, |text, place, one| {
            item(text, one);
            if let Some(names) = answer.names.get(place) {
                text.extend_from_slice(b",\"names\":");
                value(text, names);
            }
            if let Some(reason) = answer.reasons.get(place) {
                text.extend_from_slice(b",\"reason\":");
                value(text, reason);
            }
            text.push(b'}');
        });
        text.push(b']');
    }
    text.push(b'}');
    text
}

/// A track, without the brace that ends it.
fn item(text: &mut Vec<u8>, item: &AnswerItem) {
    text.extend_from_slice(b"{\"track_id\":");
    value(text, &item.track_id);
    text.extend_from_slice(b",\"score\":");
    value(text, &item.score);
    text.extend_from_slice(match item.source {
        Source::Personal => b",\"source\":\"personal\"".as_slice(),
        Source::Online => b",\"source\":\"online\"",
        Source::Similar => b",\"source\":\"similar\"",
        Source::Popular => b",\"source\":\"popular\"",
    });
}

fn separated<T>(text: &mut Vec<u8>, values: &[T], mut write: impl FnMut(&mut Vec<u8>, usize, &T)) {
    for (position, value) in values.iter().enumerate() {
        if position > 0 {
            text.push(b',');
        }
        write(text, position, value);
    }
}

fn value(text: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(text, value).expect("numbers, texts and their lists can be written to memory");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::serve::blend::Case;

    fn answer(items: Vec<AnswerItem>) -> Answer<'static> {
        Answer {
            user_id: Some(i64::MIN),
            track_id: None,
            impression_id: "0f".to_owned(),
            variant: Some("a \"b\"\n"),
            degraded: &["events", "offline"],
            source: Case::Blend,
            items,
            tells_items: true,
            names: Vec::new(),
            reasons: Vec::new(),
        }
    }

    #[test]
    fn the_text_is_json_with_everything_in_it() {
        let item = |track_id, score, source| AnswerItem { track_id, score, source };
        let items = vec![
            item(1, 0.1, Source::Personal),
            item(-2, f32::NAN, Source::Online),
            item(3, 1e-30, Source::Similar),
            item(i64::MAX, -0.0, Source::Popular),
        ];
        let mut answer = answer(items);
        let expected = json!({
            "user_id": i64::MIN, "impression_id": "0f", "variant": "a \"b\"\n", "degraded": ["events", "offline"],
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
        let short = r#"{"user_id":-9223372036854775808,"impression_id":"0f","recommendations":[1,-2,3,9223372036854775807],"source":"blend"}"#;
        assert_eq!(String::from_utf8(text(&answer)).unwrap(), short);
    }

    #[test]
    fn an_empty_list_is_a_list() {
        let text: Value = serde_json::from_slice(&text(&answer(vec![]))).unwrap();
        assert_eq!((&text["recommendations"], &text["items"]), (&json!([]), &json!([])));
    }
}
