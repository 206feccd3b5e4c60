//! What was dropped and why: rows in, rows out, and each rule between them.

use std::path::Path;

use serde::Serialize;

use super::error::DataError;

/// Rows that go into a chain of rules and come out of it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// Rows before the first rule.
    pub rows_in: u64,
    /// Rows after the last rule.
    pub rows_out: u64,
    /// Each rule in its order.
    pub rules: Vec<Rule>,
}

/// One rule and what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name: a parameter's, where there is one.
    pub rule: &'static str,
    /// Rows that it dropped or joined with others.
    pub dropped: u64,
    /// Rows after it.
    pub left: u64,
}

impl Rules {
    /// A chain without rules.
    pub fn new(rows_in: u64) -> Self {
        Self { rows_in, rows_out: rows_in, rules: Vec::new() }
    }

    /// Adds a rule.
    pub fn drop(&mut self, rule: &'static str, dropped: u64) {
        self.rows_out -= dropped;
        self.rules.push(Rule { rule, dropped, left: self.rows_out });
    }

    /// Refuses a chain that leaves nothing.
    ///
    /// # Errors
    /// Names what each rule dropped, and the rule that left nothing.
    pub fn require_rows(&self, what: &'static str, path: &Path) -> Result<(), DataError> {
        if self.rows_out > 0 {
            return Ok(());
        }
        let mut history = format!("{} rows in", self.rows_in);
        for rule in self.rules.iter().filter(|rule| rule.dropped > 0) {
            history.push_str(&format!(", `{}` dropped {}", rule.rule, rule.dropped));
        }
        let last = self.rules.iter().find(|rule| rule.left == 0).map_or("rows_in", |rule| rule.rule);
        let help = match last {
            "unknown_track" => "do the interactions and the tracks belong together?".to_owned(),
            "null_user" => "fill the column `user_id` of the interactions".to_owned(),
            "dropped_track" => {
                "no track that passes the rules was listened to; loosen `drop_without_*`".to_owned()
            }
            rule => format!("loosen `{rule}`: nothing passes it"),
        };
        Err(DataError::NothingLeft { what, path: path.to_owned(), history, help })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_that_leaves_nothing_is_named() {
        let mut rules = Rules::new(10);
        rules.drop("drop_without_artist", 4);
        assert!(rules.require_rows("tracks", Path::new("t.parquet")).is_ok());
        rules.drop("drop_without_genre", 6);
        let error = rules.require_rows("tracks", Path::new("t.parquet")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no tracks left of `t.parquet`: 10 rows in, `drop_without_artist` dropped 4, `drop_without_genre` dropped 6"
        );
        let help = miette::Diagnostic::help(&error).unwrap().to_string();
        assert_eq!(help, "loosen `drop_without_genre`: nothing passes it");
    }
}
