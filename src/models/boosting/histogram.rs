//! Sums of derivatives per bin: the inner loop of training.
//!
//! Rows are cut into blocks of 2^14 that stay in the cache. Inside a block, the bins of up to eight features
//! lie side by side, so that a row's derivatives are fetched once for eight additions, and the rows are
//! kept in the order of their leaves, so that all additions of a run fall into the histogram of one leaf,
//! 2 kB a feature, which the nearest cache holds.
//!
//! The two derivatives of a row are whole numbers of 17 bits, packed into one of 64: the first in the upper
//! half, the second, which is never negative, in the lower. One addition adds both, and 2^14 rows cannot
//! overflow either; before they could, the packed sums are emptied into f64, which hold whole numbers up to
//! 2^53 exactly. Sums of whole numbers do not depend on the order, so neither do the bits of a model on
//! the number of threads. Rounding to 17 bits of the largest derivative decides between splits that are as
//! good as equal; the values of leaves are computed from unrounded derivatives.
//!
//! # Source
//! Y. Shi, G. Ke et al.: *Quantized Training of Gradient Boosting Decision Trees*, NeurIPS 2022, arXiv:2207.09682,
//! for packed whole numbers (theirs have 2 to 5 bits).

/// Rows of a block: row numbers inside it fit u16, and so many packed derivatives do not overflow.
pub(super) const BLOCK: usize = super::loss::CHUNK;

/// Largest rounded derivative: 2^14 of them stay below 2^31.
const LARGEST: f32 = ((1 << 17) - 1) as f32;

/// Features whose bins lie side by side, at most.
const WIDEST: usize = 8;

/// Packed sums per bin; as long as a byte counts, so that no index needs a check.
type Packed = [u64; 256];

/// G and H per bin, in units of [`Scale`].
pub(super) type Cells = [[f64; 2]; 256];

/// No sums yet.
pub(super) const EMPTY: Cells = [[0.0; 2]; 256];

/// What a unit of a rounded derivative is: derivative · scale = whole number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Of the first derivative.
    pub g: f32,
    /// Of the second.
    pub h: f32,
}

impl Scale {
    /// From the largest |g| and h; `None` when all g are 0.
    pub fn new([g, h]: [f32; 2]) -> Option<Self> {
        let scale = |largest: f32| if largest > 0.0 { (LARGEST / largest).min(1e30) } else { 0.0 };
        (g > 0.0).then(|| Self { g: scale(g), h: scale(h) })
    }

    /// Rounds and packs.
    pub fn pack(self, [g, h]: [f32; 2]) -> u64 {
        let round = |value: f32| i64::from((value + ROUND).to_bits() as i32 - ROUND.to_bits() as i32);
        ((round(g * self.g) << 32) + round(h * self.h)) as u64
    }
}

/// Adding it rounds numbers below 2^22 to whole ones, which then stand in the low bits.
const ROUND: f32 = 12_582_912.0;

/// The bins of the rows of one block.
pub(super) struct BlockBins {
    n_rows: usize,
    n_features: usize,
    /// Groups of features one after another; inside a group row by row.
    bytes: Vec<u8>,
}

impl BlockBins {
    /// Takes the rows from `start` on of some columns.
    pub fn new<'a>(columns: impl ExactSizeIterator<Item = &'a [u8]>, start: usize) -> Self {
        let columns: Vec<&[u8]> =
            columns.map(|column| &column[start..column.len().min(start + BLOCK)]).collect();
        let n_rows = columns.first().map_or(0, |column| column.len());
        let mut bytes = vec![0; n_rows * columns.len()];
        let mut first = 0;
        for width in widths(columns.len()) {
            let group = &mut bytes[first * n_rows..(first + width) * n_rows];
            for (at, column) in columns[first..first + width].iter().enumerate() {
                for (place, &bin) in group[at..].iter_mut().step_by(width).zip(*column) {
                    *place = bin;
                }
            }
            first += width;
        }
        Self { n_rows, n_features: columns.len(), bytes }
    }
}

/// Sizes of the groups of `n` features.
fn widths(n: usize) -> impl Iterator<Item = usize> {
    let rest = n % WIDEST;
    let small = [4, 2, 1].into_iter().filter(move |size| rest & size != 0);
    std::iter::repeat_n(WIDEST, n / WIDEST).chain(small)
}

/// Histograms that one thread fills: one per feature and slot.
pub(super) struct Counter {
    n_features: usize,
    packed: Vec<Packed>,
    /// Rows in the packed sums of each slot.
    rows: Vec<usize>,
    sums: Vec<Cells>,
}

impl Counter {
    /// Empty histograms.
    pub fn new(n_features: usize, n_slots: usize) -> Self {
        Self {
            n_features,
            packed: vec![[0; 256]; n_features * n_slots],
            rows: vec![0; n_slots],
            sums: vec![EMPTY; n_features * n_slots],
        }
    }

    /// Adds rows of a block, by their numbers inside it, to a slot.
    pub fn add(&mut self, slot: usize, rows: &[u16], bins: &BlockBins, derivatives: &[u64]) {
        if self.rows[slot] + rows.len() > BLOCK {
            self.unpack(slot);
        }
        self.rows[slot] += rows.len();
        let mut histograms = &mut self.packed[slot * self.n_features..(slot + 1) * self.n_features];
        let mut bytes = &bins.bytes[..];
        for width in widths(bins.n_features) {
            let (group, rest) = bytes.split_at(width * bins.n_rows);
            let (own, others) = histograms.split_at_mut(width);
            match width {
                8 => count::<8>(rows, group, derivatives, own),
                4 => count::<4>(rows, group, derivatives, own),
                2 => count::<2>(rows, group, derivatives, own),
                _ => count::<1>(rows, group, derivatives, own),
            }
            (bytes, histograms) = (rest, others);
        }
    }

    fn unpack(&mut self, slot: usize) {
        let features = slot * self.n_features..(slot + 1) * self.n_features;
        for (sums, packed) in self.sums[features.clone()].iter_mut().zip(&mut self.packed[features]) {
            for (sum, packed) in sums.iter_mut().zip(packed) {
                sum[0] += f64::from((*packed >> 32) as i32);
                sum[1] += f64::from(*packed as u32);
                *packed = 0;
            }
        }
        self.rows[slot] = 0;
    }

    /// The sums of all slots, feature by feature inside a slot.
    pub fn finish(mut self) -> Vec<Cells> {
        for slot in 0..self.rows.len() {
            if self.rows[slot] > 0 {
                self.unpack(slot);
            }
        }
        self.sums
    }
}

/// Adds rows to the histograms of G features whose bins lie side by side.
fn count<const G: usize>(rows: &[u16], bins: &[u8], derivatives: &[u64], histograms: &mut [Packed]) {
    let histograms: &mut [Packed; G] =
        histograms.try_into().expect("a histogram for each feature of a group");
    let bins = bins.as_chunks::<G>().0;
    let derivatives = &derivatives[..bins.len()];
    for &row in rows {
        let derivative = derivatives[usize::from(row)];
        for (histogram, &bin) in histograms.iter_mut().zip(&bins[usize::from(row)]) {
            let cell = &mut histogram[usize::from(bin)];
            *cell = cell.wrapping_add(derivative);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_are_sums_per_bin_for_any_number_of_features() {
        let n_rows = 40_000;
        for n_features in [1, 2, 3, 7, 8, 17] {
            let columns: Vec<Vec<u8>> = (0..n_features)
                .map(|f| (0..n_rows).map(|row| ((row * (2 * f + 3)) >> 3) as u8).collect())
                .collect();
            let derivatives: Vec<[f32; 2]> =
                (0..n_rows).map(|row| [(row as f32).sin(), (row % 7) as f32 / 28.0]).collect();
            let scale = Scale::new([1.0, 0.25]).unwrap();
            let mut counter = Counter::new(n_features, 2);
            for start in (0..n_rows).step_by(BLOCK) {
                let bins = BlockBins::new(columns.iter().map(Vec::as_slice), start);
                let end = n_rows.min(start + BLOCK);
                let packed: Vec<u64> = derivatives[start..end].iter().map(|&d| scale.pack(d)).collect();
                // Slot 1 gets everything twice, more rows than packed sums hold.
                let rows: Vec<u16> = (0..(end - start) as u16).collect();
                counter.add(1, &rows, &bins, &packed);
                counter.add(1, &rows, &bins, &packed);
            }
            let sums = counter.finish();
            for feature in 0..n_features {
                assert_eq!(sums[feature], EMPTY);
                for (bin, [found_g, found_h]) in sums[n_features + feature].into_iter().enumerate() {
                    let rows = (0..n_rows).filter(|&row| usize::from(columns[feature][row]) == bin);
                    let [g, h] = rows.fold([0.0; 2], |[g, h], row| {
                        let [dg, dh] = derivatives[row].map(f64::from);
                        [g + 2.0 * dg, h + 2.0 * dh]
                    });
                    assert!((found_g / f64::from(scale.g) - g).abs() < 2e-3, "{found_g} {g}");
                    assert!((found_h / f64::from(scale.h) - h).abs() < 2e-3);
                }
            }
        }
    }

    #[test]
    fn the_largest_derivatives_do_not_overflow() {
        let scale = Scale::new([3.0, 2.0]).unwrap();
        for (sign, g) in [(-1.0, -3.0), (1.0, 3.0)] {
            let mut counter = Counter::new(1, 1);
            let column = vec![5; BLOCK];
            let bins = BlockBins::new(std::iter::once(&column[..]), 0);
            let rows: Vec<u16> = (0..BLOCK as u16).collect();
            counter.add(0, &rows, &bins, &vec![scale.pack([g, 2.0]); BLOCK]);
            let whole = f64::from(LARGEST) * BLOCK as f64;
            assert_eq!(counter.finish()[0][5], [sign * whole, whole]);
        }
        assert!(Scale::new([0.0, 1.0]).is_none());
    }
}
