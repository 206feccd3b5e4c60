//! How counts are spread over users or items: a summary, a histogram, and how much the few have.

/// Counts above 0, in rising order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    sorted: Vec<u32>,
}

/// How many counts lie in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bin {
    /// The smallest count.
    pub from: u32,
    /// The largest count.
    pub to: u32,
    /// How many.
    pub n: u64,
}

impl Distribution {
    /// Of these counts; zeros are left out.
    pub fn new(counts: impl IntoIterator<Item = u32>) -> Self {
        let mut sorted: Vec<u32> = counts.into_iter().filter(|&count| count > 0).collect();
        sorted.sort_unstable();
        Self { sorted }
    }

    /// How many counts.
    pub fn n(&self) -> usize {
        self.sorted.len()
    }

    /// Their sum.
    pub fn sum(&self) -> u64 {
        self.sorted.iter().map(|&count| u64::from(count)).sum()
    }

    /// Their mean; 0 of nothing.
    pub fn mean(&self) -> f64 {
        self.sum() as f64 / self.n().max(1) as f64
    }

    /// The smallest count with at least the share `at` of all counts at or below it; 0 of nothing.
    pub fn quantile(&self, at: f64) -> u32 {
        let place = (at * self.n() as f64).ceil().max(1.0) as usize - 1;
        self.sorted.get(place.min(self.n().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// The share of counts that are at most `limit`.
    pub fn share_up_to(&self, limit: u32) -> f64 {
        self.sorted.partition_point(|&count| count <= limit) as f64 / self.n().max(1) as f64
    }

    /// The share of the sum that the largest `share` of the counts have, at least one of them.
    pub fn share_of_top(&self, share: f64) -> f64 {
        let n = ((share * self.n() as f64).round() as usize).clamp(1, self.n().max(1));
        let top: u64 = self.sorted.iter().rev().take(n).map(|&count| u64::from(count)).sum();
        top as f64 / self.sum().max(1) as f64
    }

    /// The Gini coefficient: 0 when all counts are equal, near 1 when one has everything.
    pub fn gini(&self) -> f64 {
        // Σ (2i − n − 1) x_i / (n Σ x_i), i from 1 in rising order.
        let n = self.n() as f64;
        let weighted: f64 = (self.sorted.iter().zip(1..))
            .map(|(&count, place)| (2.0 * f64::from(place) - n - 1.0) * f64::from(count))
            .sum();
        if self.sorted.is_empty() { 0.0 } else { weighted / (n * self.sum() as f64) }
    }

    /// Bins whose borders grow by one factor, at most 20, from the smallest count to the largest.
    pub fn histogram(&self) -> Vec<Bin> {
        let (Some(&least), Some(&most)) = (self.sorted.first(), self.sorted.last()) else {
            return Vec::new();
        };
        let doublings = (f64::from(most) / f64::from(least)).log2();
        // Bins for each doubling: as many as keep the picture readable.
        let finer = [4.0, 3.0, 2.0].into_iter().find(|finer| doublings * finer <= 18.0).unwrap_or(1.0);
        let border = |step: i32| 2f64.powf(f64::from(step) / finer).round() as u64;
        let first = (f64::from(least).log2() * finer).floor() as i32;
        let last = (f64::from(most).log2() * finer).ceil() as i32 + 1;
        let mut borders: Vec<u64> = (first..=last).map(border).collect();
        borders.dedup();
        // Small borders fall together; the last one lies above every count.
        if borders.last().is_none_or(|&last| last <= u64::from(most)) {
            borders.push(u64::from(most) + 1);
        }
        let below = |limit: u64| self.sorted.partition_point(|&count| u64::from(count) < limit) as u64;
        let bins = borders.windows(2).map(|pair| Bin {
            from: pair[0] as u32,
            to: (pair[1] - 1).min(u64::from(u32::MAX)) as u32,
            n: below(pair[1]) - below(pair[0]),
        });
        let bins: Vec<Bin> = bins.collect();
        let start = bins.iter().position(|bin| bin.n > 0).unwrap_or(0);
        let end = bins.iter().rposition(|bin| bin.n > 0).map_or(0, |end| end + 1);
        bins[start..end].to_vec()
    }

    /// Rank (1 for the largest) and count, at about `points` ranks that lie evenly on a logarithmic scale,
    /// the first and the last among them.
    pub fn by_rank(&self, points: usize) -> Vec<(u64, u32)> {
        let ranks = log_spaced(self.n(), points);
        ranks.into_iter().map(|rank| (rank as u64, self.sorted[self.n() - rank])).collect()
    }

    /// The share of the counts, largest first, and the share of the sum that they have, from (0, 0) to (1, 1).
    pub fn concentration(&self, points: usize) -> Vec<(f64, f64)> {
        let (n, sum) = (self.n(), self.sum() as f64);
        let mut curve = vec![(0.0, 0.0)];
        let mut taken = 0u64;
        let mut next = 1;
        for (&count, place) in self.sorted.iter().rev().zip(1..) {
            taken += u64::from(count);
            // The curve bends most at its start.
            let due = (next as f64 / points as f64).powi(2) * n as f64;
            if place as f64 >= due || place == n {
                curve.push((place as f64 / n as f64, taken as f64 / sum));
                while (next as f64 / points as f64).powi(2) * n as f64 <= place as f64 && next <= points {
                    next += 1;
                }
            }
        }
        curve
    }
}

/// About `points` numbers from 1 to `n`, evenly on a logarithmic scale, each once.
fn log_spaced(n: usize, points: usize) -> Vec<usize> {
    if n == 0 {
        return Vec::new();
    }
    let steps = points.max(2) - 1;
    let at = |step: usize| (n as f64).powf(step as f64 / steps as f64).round() as usize;
    let mut numbers: Vec<usize> = (0..=steps).map(|step| at(step).clamp(1, n)).collect();
    numbers.dedup();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_by_hand() {
        let spread = Distribution::new([4, 0, 1, 1, 2]);
        assert_eq!((spread.n(), spread.sum(), spread.mean()), (4, 8, 2.0));
        assert_eq!([0.0, 0.25, 0.5, 0.51, 0.75, 1.0].map(|at| spread.quantile(at)), [1, 1, 1, 2, 2, 4]);
        assert_eq!((spread.share_up_to(1), spread.share_up_to(3)), (0.5, 0.75));
        // One of four has half.
        assert_eq!((spread.share_of_top(0.25), spread.share_of_top(0.0)), (0.5, 0.5));
        // (−3·1 − 1·1 + 1·2 + 3·4) / (4 · 8)
        assert_eq!(spread.gini(), 10.0 / 32.0);
        assert_eq!(Distribution::new([5; 7]).gini(), 0.0);
        let nothing = Distribution::new([0]);
        assert_eq!(
            (nothing.mean(), nothing.quantile(0.5), nothing.gini(), nothing.share_of_top(0.1)),
            (0.0, 0, 0.0, 0.0)
        );
        assert!(nothing.histogram().is_empty() && nothing.by_rank(9).is_empty());
    }

    #[test]
    fn bins_hold_every_count_once_and_touch() {
        for counts in [vec![1], vec![1, 1, 2, 3, 900, 16_637], (20..800).collect(), vec![u32::MAX, 1]] {
            let spread = Distribution::new(counts.clone());
            let bins = spread.histogram();
            assert_eq!(bins.iter().map(|bin| bin.n).sum::<u64>(), counts.len() as u64, "{bins:?}");
            assert!(bins.windows(2).all(|pair| pair[0].to + 1 == pair[1].from), "{bins:?}");
            assert!(bins[0].n > 0 && bins[bins.len() - 1].n > 0 && bins.len() <= 34, "{bins:?}");
        }
    }

    #[test]
    fn ranks_fall_and_the_few_have_more() {
        let spread = Distribution::new((1..=1000).map(|rank| 1000 / rank));
        let ranks = spread.by_rank(50);
        assert_eq!((ranks[0], ranks[ranks.len() - 1]), ((1, 1000), (1000, 1)));
        assert!(
            ranks.len() <= 50 && ranks.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 >= pair[1].1)
        );
        let curve = spread.concentration(40);
        assert_eq!((curve[0], curve[curve.len() - 1]), ((0.0, 0.0), (1.0, 1.0)));
        assert!(
            curve.len() <= 42 && curve.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1)
        );
        let at_tenth = curve.iter().find(|point| point.0 >= 0.1).unwrap();
        assert!(at_tenth.1 > 0.6, "{at_tenth:?}");
    }
}
