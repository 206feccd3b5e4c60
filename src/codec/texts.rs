//! Texts of many rows in one allocation, for tables that stay in memory while a service runs.
//!
//! A `String` a row costs 24 bytes and an allocation before its first letter; here a row costs eight
//! bytes and its text.

/// One list of texts a row; a row with one text is a list of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    bytes: String,
    /// Where each text ends in `bytes`.
    text_ends: Vec<usize>,
    /// Where each row ends in `text_ends`; empty while every row is one text.
    row_ends: Vec<usize>,
}

impl Texts {
    /// One text a row; a missing one becomes an empty one.
    pub fn of_rows<'a>(rows: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut texts = Self::default();
        rows.for_each(|text| texts.push(text.unwrap_or_default()));
        texts.shrink();
        texts
    }

    /// A list of texts a row: `row_ends` says where each row ends in `texts`.
    pub fn of_lists<'a>(texts: impl Iterator<Item = &'a str>, row_ends: Vec<usize>) -> Self {
        let mut lists = Self { row_ends, ..Self::default() };
        texts.for_each(|text| lists.push(text));
        lists.shrink();
        lists
    }

    /// The text of a row; `None` when it is empty or the row is beyond the last.
    pub fn row(&self, row: usize) -> Option<&str> {
        self.text(row).filter(|text| !text.is_empty())
    }

    /// The texts of a row of lists; nothing for a row beyond the last.
    pub fn list(&self, row: usize) -> impl Iterator<Item = &str> {
        let start = row.checked_sub(1).map_or(Some(0), |before| self.row_ends.get(before).copied());
        let range = start.zip(self.row_ends.get(row).copied()).map_or(0..0, |(start, end)| start..end);
        range.filter_map(|text| self.text(text))
    }

    fn text(&self, index: usize) -> Option<&str> {
        let end = *self.text_ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.text_ends[before]);
        Some(&self.bytes[start..end])
    }

    fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.text_ends.push(self.bytes.len());
    }

    fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.text_ends.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_lists_come_back_and_nothing_is_beyond_them() {
        let rows = Texts::of_rows([Some("é"), None, Some("b")].into_iter());
        assert_eq!([0, 1, 2, 3].map(|row| rows.row(row)), [Some("é"), None, Some("b"), None]);
        let lists = Texts::of_lists(["x", "", "zz"].into_iter(), vec![0, 2, 3]);
        let of = |row| lists.list(row).collect::<Vec<_>>();
        assert_eq!([of(0), of(1), of(2), of(3)], [vec![], vec!["x", ""], vec!["zz"], vec![]]);
        assert_eq!(Texts::default().list(0).count(), 0);
    }
}
