//! Ranked lists: for each query some items with scores, best first.

/// Ranked lists, one a query, stored one after the other.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lists {
    ends: Vec<usize>,
    items: Vec<u32>,
    scores: Vec<f32>,
}

impl Lists {
    /// No lists yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the list of the next query, best first.
    pub fn push(&mut self, list: impl IntoIterator<Item = (u32, f32)>) {
        for (item, score) in list {
            self.items.push(item);
            self.scores.push(score);
        }
        self.ends.push(self.items.len());
    }

    /// Adds the lists of the queries that follow.
    pub fn append(&mut self, other: &Self) {
        let offset = self.items.len();
        self.items.extend_from_slice(&other.items);
        self.scores.extend_from_slice(&other.scores);
        self.ends.extend(other.ends.iter().map(|end| end + offset));
    }

    /// Number of lists.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no lists.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Number of entries in all lists.
    pub fn n_entries(&self) -> usize {
        self.items.len()
    }

    /// The items of a query and the scores beside them, best first.
    pub fn list(&self, query: usize) -> (&[u32], &[f32]) {
        let start = if query == 0 { 0 } else { self.ends[query - 1] };
        let end = self.ends[query];
        (&self.items[start..end], &self.scores[start..end])
    }

    /// Every list in the order of the queries.
    pub fn iter(&self) -> impl Iterator<Item = (&[u32], &[f32])> {
        (0..self.len()).map(|query| self.list(query))
    }
}

/// Queries whose lists are made, and handed on, together: it bounds the memory that lists take.
pub const QUERIES_AT_ONCE: usize = 16_384;

/// Lists of some of the queries, as they are made.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// The users or items that ask, one a list, rising.
    pub queries: &'a [u32],
    /// Their lists.
    pub lists: &'a Lists,
    /// Queries done, these included.
    pub done: usize,
    /// All queries.
    pub total: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_lists_follow_and_empty_lists_count() {
        let (mut first, mut second) = (Lists::new(), Lists::new());
        first.push([(3, 1.0), (1, 0.5)]);
        second.push([]);
        second.push([(7, 2.0)]);
        first.append(&second);
        assert_eq!(first.len(), 3);
        assert_eq!(first.list(0), (&[3, 1][..], &[1.0, 0.5][..]));
        assert_eq!(first.list(1), (&[][..], &[][..]));
        assert_eq!(first.list(2), (&[7][..], &[2.0][..]));
    }
}
