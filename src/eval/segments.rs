//! A metric by how much is known of users: an average hides that a model may serve the many who listened
//! little worse than the few who listened much.

/// Users whose history is of about one size, and what models are worth to them.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// The smallest history.
    pub from: u32,
    /// The largest history.
    pub to: u32,
    /// Users.
    pub users: usize,
    /// Mean of each model's metric, in the order of the models.
    pub means: Vec<Mean>,
}

/// A mean over users and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Lower end of the interval, of the normal approximation; at least the smallest value of a user.
    pub low: f64,
    /// Upper end, at most the largest value of a user.
    pub high: f64,
}

/// Cuts users into at most `n` segments of about one size by their history, those with equal histories
/// together; `values` has for each model one value a user.
///
/// # Panics
/// When a model has another number of values than there are users.
pub fn by_history(sizes: &[u32], values: &[Vec<f64>], n: usize) -> Vec<Segment> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&user| sizes[user]);
    let mut segments = Vec::new();
    let mut start = 0;
    for part in 1..=n {
        let mut end = order.len() * part / n;
        // Nobody is parted from users with as large a history.
        while (1..order.len()).contains(&end) && sizes[order[end]] == sizes[order[end - 1]] {
            end += 1;
        }
        if end <= start {
            continue;
        }
        let users = &order[start..end];
        segments.push(Segment {
            from: sizes[users[0]],
            to: sizes[users[users.len() - 1]],
            users: users.len(),
            means: values.iter().map(|values| Mean::over(users.iter().map(|&user| values[user]))).collect(),
        });
        start = end;
    }
    segments
}

impl Mean {
    /// mean ± 1.96 s / √n
    fn over(values: impl Iterator<Item = f64> + Clone) -> Self {
        let n = values.clone().count() as f64;
        let value = values.clone().sum::<f64>() / n;
        let (least, most) =
            values.clone().fold((f64::MAX, f64::MIN), |(least, most), x| (least.min(x), most.max(x)));
        let variance = values.map(|x| (x - value).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        let half = 1.96 * (variance / n).sqrt();
        Self { value, low: (value - half).max(least), high: (value + half).min(most) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_of_one_size_and_never_part_equals() {
        let sizes = [9, 1, 2, 2, 2, 5, 7, 30];
        let values = vec![vec![1.0, 0.0, 0.5, 0.0, 0.1, 1.0, 0.0, 1.0]];
        let segments = by_history(&sizes, &values, 4);
        let ranges: Vec<_> =
            segments.iter().map(|segment| (segment.from, segment.to, segment.users)).collect();
        assert_eq!(ranges, [(1, 2, 4), (5, 7, 2), (9, 30, 2)]);
        let first = segments[0].means[0];
        // 0, 0.5, 0, 0.1: mean 0.15, s² = (0.0225 + 0.1225 + 0.0225 + 0.0025) / 3, s/√4 = 0.1190
        assert!((first.value - 0.15).abs() < 1e-12 && first.low == 0.0, "{first:?}");
        assert!((first.high - (0.15 + 1.96 * (0.17f64 / 3.0 / 4.0).sqrt())).abs() < 1e-12, "{first:?}");
        assert_eq!(segments[2].means[0], Mean { value: 1.0, low: 1.0, high: 1.0 });
        assert!(by_history(&[], &[vec![]], 4).is_empty());
        assert_eq!(by_history(&[3], &[vec![0.5]], 4).len(), 1);
    }
}
