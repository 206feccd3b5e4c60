//! The page: text stays text, numbers are those of the facts, nothing is needed.

use std::collections::BTreeMap;

use serde_json::json;

use super::facts::{Facts, Segments, Step};
use super::html;
use crate::data::distribution::Distribution;
use crate::data::overview::Overview;
use crate::data::top::{Top, Tops};
use crate::eval::segments::by_history;

const HOSTILE: &str = "</td><script>alert('x')</script>\"&\u{202e}夜";

/// Three users and two tracks with 3 + 1 users; names that would break a page that takes them for markup.
fn facts() -> Facts {
    let overview = Overview {
        rows: 4,
        listens: 9,
        tracks_of_user: vec![2, 1, 1],
        users_of_item: vec![3, 1, 0],
        listens_of_item: vec![6, 3, 0],
        days: [(19_000, 1), (19_010, 3)].into(),
        ..Overview::default()
    };
    let top = |name: &str, users, listens| Top {
        name: Some(name.to_owned()),
        by: vec![HOSTILE.to_owned()],
        id: Some(7),
        tracks: 1,
        listens,
        users,
    };
    Facts {
        title: HOSTILE.to_owned(),
        activity: Distribution::new(overview.tracks_of_user.iter().copied()),
        popularity: Distribution::new(overview.users_of_item.iter().copied()),
        overview,
        tops: Tops {
            tracks: vec![top(HOSTILE, 3, 6), top(" ", 1, 3)],
            artists: vec![top(HOSTILE, 4, 9)],
            n_artists: 1,
            listens_without_genre: 9,
            ..Tops::default()
        },
        segments: Some(Segments {
            k: 10,
            models: vec![HOSTILE.to_owned(), "als".to_owned()],
            segments: by_history(&[1, 1, 5, 9], &[vec![0.1, 0.2, 0.3, 0.4], vec![0.0; 4]], 2),
        }),
        importances: vec![(HOSTILE.to_owned(), 75.0), ("age".to_owned(), 25.0)],
        steps: vec![Step {
            name: HOSTILE.to_owned(),
            kind: "als".to_owned(),
            parameters: json!({"factors": 8, "inner": {"text": HOSTILE}}),
            curves: BTreeMap::from([("loss".to_owned(), vec![(1, 0.5), (2, 0.25)])]),
            warnings: vec![HOSTILE.to_owned()],
            ..Step::default()
        }],
        ..Facts::default()
    }
}

#[test]
fn names_are_text_wherever_they_stand() {
    let page = html(&facts());
    assert!(!page.contains("<script") && !page.contains("alert('x')"));
    assert!(page.matches("&lt;script&gt;alert(&#39;x&#39;)").count() > 10);
    // Every element that is opened is closed, in its turn.
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(2).filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag)) {
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap();
        let is_void = ["meta", "link", "br"].contains(&name) || tag.ends_with('/');
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "…</{name}>");
        } else if !is_void {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn numbers_are_those_of_the_facts() {
    let page = html(&facts());
    // 4 of 3 · 2 pairs.
    assert!(page.contains("66.7\u{a0}% of all that are possible"), "density");
    assert!(page.contains("2.250 a pair"), "9 listens of 4 pairs");
    assert!(page.contains("Tracks without a user: 1."), "the third item");
    let row = page.split("<tbody>").find(|part| part.contains("75.00")).unwrap();
    assert!(row.contains("width=\"100.00%\"") && row.contains("width=\"33.33%\""), "bars of importances");
    assert!(page.contains(">track 7 <"), "a name of nothing gives way to the id");
    // Three of all three users, one of them.
    assert!(
        page.contains("<td class=\"n\">100\u{a0}%</td>") && page.contains("<td class=\"n\">33.3\u{a0}%</td>")
    );
    assert!(page.contains("No track has a named genre."));
    assert!(page.contains("loss over iterations: ") && page.contains("from 0.5000 to 0.2500"), "the curve");
    assert!(page.contains("factors: 8\ninner.text: "), "parameters by their paths");
}

#[test]
fn a_page_of_nothing_is_a_page() {
    let page = html(&Facts { title: "Nothing".to_owned(), ..Facts::default() });
    assert_eq!(page.matches("<section").count(), 1);
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
}

#[test]
fn the_same_facts_make_the_same_bytes() {
    assert_eq!(html(&facts()), html(&facts()));
}
