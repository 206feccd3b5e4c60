//! What MLflow takes as a name or a value, and how others are made to fit. Source: `mlflow/utils/validation.py` of 3.17.

use std::collections::BTreeMap;

/// Characters of a key.
pub const LONGEST_KEY: usize = 250;
/// Characters of the value of a parameter; older servers take 500, and refuse the longer ones alone.
pub const LONGEST_PARAMETER: usize = 6000;
/// Characters of the value of a tag; 8,000 in new servers.
pub const LONGEST_TAG: usize = 5000;
/// What stands at the end of a value that was cut.
const CUT: &str = "… (cut)";

/// A name as MLflow takes it: letters, digits, `_`, `-`, `.`, `:`, `/` and spaces, and no path that could be
/// written shorter. `ndcg@10` becomes `ndcg_at_10`, as MLflow's own metrics are called.
pub fn key(name: &str) -> String {
    let plain: String = name
        .replace('@', "_at_")
        .chars()
        .map(|c| if c.is_alphanumeric() || "_-. /:".contains(c) { c } else { '_' })
        .collect();
    let parts: Vec<&str> = plain.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let parts: Vec<&str> = parts.into_iter().map(|part| if part == ".." { "__" } else { part }).collect();
    let joined = parts.join("/");
    let joined = if joined.is_empty() { "_" } else { &joined };
    joined.chars().take(LONGEST_KEY).collect()
}

/// Values by name, the names as MLflow takes them; names that become the same get a number.
pub fn keyed<V>(values: impl IntoIterator<Item = (String, V)>) -> BTreeMap<String, V> {
    let mut keyed = BTreeMap::new();
    for (name, value) in values {
        let mut free = key(&name);
        let mut number = 2;
        while keyed.contains_key(&free) {
            let stem: String = key(&name).chars().take(LONGEST_KEY - 8).collect();
            free = format!("{stem}_{number}");
            number += 1;
        }
        keyed.insert(free, value);
    }
    keyed
}

/// A value of at most `longest` characters; one that is longer is cut, with a mark.
pub fn cut(value: &str, longest: usize) -> String {
    if value.chars().count() <= longest {
        return value.to_owned();
    }
    let room = longest - CUT.chars().count();
    value.chars().take(room).chain(CUT.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_what_mlflow_takes() {
        for (name, expected) in [
            ("als.ndcg@10", "als.ndcg_at_10"),
            ("online.a=b.click_rate", "online.a_b.click_rate"),
            ("rows/жанр", "rows/жанр"),
            ("/a//b/./", "a/b"),
            ("../x", "__/x"),
            (".", "_"),
            ("", "_"),
        ] {
            assert_eq!(key(name), expected);
        }
        assert_eq!(key(&"x".repeat(900)).len(), 250);
    }

    #[test]
    fn names_that_become_the_same_stay_apart() {
        let found = keyed(["a@1", "a_at_1", "a=1"].map(|name| (name.to_owned(), name)));
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("a_1".to_owned(), "a=1"), ("a_at_1".to_owned(), "a@1"), ("a_at_1_2".to_owned(), "a_at_1")]
        );
    }

    #[test]
    fn long_values_are_cut_with_a_mark() {
        assert_eq!(cut("short", 6), "short");
        let long = cut(&"ё".repeat(7000), LONGEST_PARAMETER);
        assert_eq!(long.chars().count(), LONGEST_PARAMETER);
        assert!(long.ends_with("ё… (cut)"));
    }
}
