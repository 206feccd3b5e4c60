//! Labelled rows dealt out to two tables, held-out users and the others, and gathered again.
//!
//! The table is the largest thing in memory, so it is never copied: columns are dealt out one after the
//! other, and each goes as soon as its rows have their new places.

use std::ops::Range;

use rayon::prelude::*;

use super::training::TrainingSet;
use crate::models::boosting::{Feature, Features, Samples, Values};

/// A training set in two parts; the rows of each keep their order.
#[derive(Debug)]
pub struct Parted {
    /// The rows of the users that were held out.
    pub held_out: Samples,
    /// The rows of the others.
    pub rest: Samples,
    users: Vec<usize>,
    groups: Vec<Range<usize>>,
    /// Whether each row, in the order of the whole, is held out.
    is_held_out: Vec<bool>,
}

impl Parted {
    /// Holds out the users for which `hold_out` says so.
    pub fn new(whole: TrainingSet, hold_out: impl Fn(usize) -> bool) -> Self {
        let TrainingSet { users, groups, features, labels } = whole;
        let mut is_held_out = Vec::with_capacity(labels.len());
        let mut sizes = [Vec::new(), Vec::new()];
        for (group, &user) in groups.iter().zip(&users) {
            let holds = hold_out(user);
            sizes[usize::from(holds)].push(group.len());
            is_held_out.resize(group.end, holds);
        }
        let columns = features.into_columns().into_par_iter().map(|Feature { name, values }| {
            let (held_out, rest) = match values {
                Values::Real(values) => {
                    let (held_out, rest) = deal(&values, &is_held_out);
                    (Values::Real(held_out), Values::Real(rest))
                }
                Values::Category { hashes, names } => {
                    let (held_out, rest) = deal(&hashes, &is_held_out);
                    let category = |hashes| Values::Category { hashes, names: names.clone() };
                    (category(held_out), category(rest))
                }
            };
            (Feature { name: name.clone(), values: held_out }, Feature { name, values: rest })
        });
        let (of_held_out, of_rest) = columns.unzip();
        let (held_out_labels, rest_labels) = deal(&labels, &is_held_out);
        let samples = |columns: Vec<Feature>, labels, sizes: &[usize]| {
            let ends = sizes.iter().scan(0, |end, size| {
                *end += size;
                Some(*end)
            });
            let groups = ends.zip(sizes).map(|(end, size)| end - size..end).collect();
            Samples { features: Features::new(columns), labels, groups }
        };
        Self {
            held_out: samples(of_held_out, held_out_labels, &sizes[1]),
            rest: samples(of_rest, rest_labels, &sizes[0]),
            users,
            groups,
            is_held_out,
        }
    }

    /// The whole as it was.
    pub fn gather(self) -> TrainingSet {
        let Self { held_out, rest, users, groups, is_held_out } = self;
        let columns = held_out.features.into_columns().into_par_iter().zip(rest.features.into_columns());
        let columns = columns.map(|(held_out, rest)| Feature {
            name: held_out.name,
            values: match (held_out.values, rest.values) {
                (Values::Real(held_out), Values::Real(rest)) => {
                    Values::Real(weave(&held_out, &rest, &is_held_out))
                }
                (Values::Category { hashes, names }, Values::Category { hashes: rest, .. }) => {
                    Values::Category { hashes: weave(&hashes, &rest, &is_held_out), names }
                }
                _ => unreachable!("both parts of a column are of its kind"),
            },
        });
        let features = Features::new(columns.collect());
        let labels = weave(&held_out.labels, &rest.labels, &is_held_out);
        TrainingSet { users, groups, features, labels }
    }
}

/// The values that are held out, and the others.
fn deal<T: Copy>(values: &[T], is_held_out: &[bool]) -> (Vec<T>, Vec<T>) {
    let n_held_out = is_held_out.iter().filter(|&&held_out| held_out).count();
    let mut held_out = Vec::with_capacity(n_held_out);
    let mut rest = Vec::with_capacity(values.len() - n_held_out);
    for (&value, &holds) in values.iter().zip(is_held_out) {
        if holds { held_out.push(value) } else { rest.push(value) }
    }
    (held_out, rest)
}

/// What [`deal`] was given.
fn weave<T: Copy>(held_out: &[T], rest: &[T], is_held_out: &[bool]) -> Vec<T> {
    let (mut held_out, mut rest) = (held_out.iter(), rest.iter());
    let next = |&holds: &bool| if holds { held_out.next() } else { rest.next() };
    is_held_out.iter().map_while(next).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::boosting::CategoryNames;

    #[test]
    fn parts_hold_the_rows_of_their_users_and_gathered_they_are_the_whole() {
        let hashes = vec![5, 6, 7, 8, 9, 10];
        let genre = Values::Category { hashes, names: CategoryNames::default() };
        let whole = TrainingSet {
            users: vec![3, 8, 4],
            groups: vec![0..2, 2..3, 3..6],
            features: Features::new(vec![
                Feature::real("x", vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
                Feature { name: "genre".to_owned(), values: genre },
            ]),
            labels: vec![1.0, 0.0, 1.0, 0.0, 0.0, 1.0],
        };
        let parted = Parted::new(whole.clone(), |user| user == 8);
        assert_eq!(parted.held_out.features, whole.features.take(&[2]));
        assert_eq!(parted.rest.features, whole.features.take(&[0, 1, 3, 4, 5]));
        assert_eq!((parted.held_out.labels.as_slice(), parted.held_out.groups.len()), (&[1.0][..], 1));
        assert_eq!(parted.rest.labels, [1.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(parted.rest.groups, [0..2, 2..5]);
        assert_eq!(parted.gather(), whole);
        assert_eq!(Parted::new(whole.clone(), |_| false).gather(), whole);
    }
}
