//! A factor table as the solver wants it: rows padded with zeros to whole cache lines.

use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;
use rayon::prelude::*;

use crate::models::factors::Factors;

/// Numbers in a chunk.
pub const LANES: usize = 16;

/// One cache line of numbers: whole vectors of every instruction set, never split between two lines.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub struct Chunk(pub [f32; LANES]);

impl Chunk {
    /// All zeros.
    pub const ZERO: Self = Self([0.0; LANES]);
}

/// Factor vectors, each padded with zeros to `n_chunks` chunks.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    n_factors: usize,
    n_chunks: usize,
    chunks: Vec<Chunk>,
}

impl Table {
    /// Zeros.
    pub fn zeros(n_rows: usize, n_factors: usize) -> Self {
        let n_chunks = n_factors.div_ceil(LANES);
        Self { n_factors, n_chunks, chunks: vec![Chunk::ZERO; n_rows * n_chunks] }
    }

    /// Random numbers in the rows that have interactions, zeros in the others: uniform in `[0, 0.01)`
    /// for `length` 0, else normal with mean 0 and such a variance that `length` is the root of the
    /// expected squared length of a row.
    pub fn random(row_starts: &[usize], n_factors: usize, length: f64, seed: u64, stream: u64) -> Self {
        let mut table = Self::zeros(row_starts.len() - 1, n_factors);
        let mut random = Pcg64::seed_from_u64(seed ^ stream.rotate_left(32));
        let deviation = (length / (n_factors as f64).sqrt()) as f32;
        let mut next = || match length {
            0.0 => random.random::<f32>() * 0.01,
            _ => deviation * random.sample::<f32, _>(StandardNormal),
        };
        for (row, bounds) in row_starts.windows(2).enumerate() {
            if bounds[0] < bounds[1] {
                let values = (0..n_factors).map(|_| next());
                fill(&mut table.chunks[row * table.n_chunks..][..table.n_chunks], values);
            }
        }
        table
    }

    /// Pads a plain table.
    pub fn from_factors(factors: &Factors) -> Self {
        let mut table = Self::zeros(factors.n_rows(), factors.n_factors());
        for (row, chunks) in table.chunks.chunks_exact_mut(table.n_chunks).enumerate() {
            fill(chunks, factors.row(row).iter().copied());
        }
        table
    }

    /// Leaves the padding away.
    pub fn to_factors(&self) -> Factors {
        let mut values = Vec::with_capacity(self.n_rows() * self.n_factors);
        for row in 0..self.n_rows() {
            self.extend_row(row, &mut values);
        }
        Factors::new(self.n_rows(), self.n_factors, values)
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.chunks.len() / self.n_chunks
    }

    /// Length of a vector without the padding.
    pub fn n_factors(&self) -> usize {
        self.n_factors
    }

    /// Chunks a vector takes.
    pub fn n_chunks(&self) -> usize {
        self.n_chunks
    }

    /// One padded vector.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &[Chunk] {
        &self.chunks[row * self.n_chunks..][..self.n_chunks]
    }

    /// All padded vectors.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Bytes that the vectors take.
    pub fn bytes(&self) -> usize {
        size_of_val(self.chunks())
    }

    /// An upper bound of the Euclidean lengths of the vectors.
    pub fn longest(&self) -> f32 {
        let largest = self.chunks.par_chunks(4096).map(|chunks| {
            let mut largest = [0.0f32; LANES];
            for chunk in chunks {
                for (largest, value) in largest.iter_mut().zip(chunk.0) {
                    *largest = largest.max(value.abs());
                }
            }
            largest.into_iter().fold(0.0, f32::max)
        });
        largest.reduce(|| 0.0, f32::max) * (self.n_factors as f32).sqrt()
    }

    /// All padded vectors, to be changed.
    pub fn chunks_mut(&mut self) -> &mut [Chunk] {
        &mut self.chunks
    }

    /// Appends a vector without its padding.
    pub fn extend_row(&self, row: usize, values: &mut Vec<f32>) {
        self.extend_part(row, 0..self.n_factors, values);
    }

    /// Appends some numbers of a vector.
    pub fn extend_part(&self, row: usize, part: Range<usize>, values: &mut Vec<f32>) {
        let row = self.row(row);
        let mut at = part.start;
        while at < part.end {
            let end = part.end.min((at / LANES + 1) * LANES);
            values.extend_from_slice(&row[at / LANES].0[at % LANES..][..end - at]);
            at = end;
        }
    }
}

/// Writes `values` into the front of `chunks`.
pub fn fill(chunks: &mut [Chunk], values: impl IntoIterator<Item = f32>) {
    let places = chunks.iter_mut().flat_map(|chunk| chunk.0.iter_mut());
    places.zip(values).for_each(|(place, value)| *place = value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_comes_and_goes() {
        let factors = Factors::new(2, 17, (0..34).map(|value| value as f32).collect());
        let table = Table::from_factors(&factors);
        assert_eq!(table.n_chunks(), 2);
        assert_eq!(table.row(1)[1].0[..2], [33.0, 0.0]);
        assert_eq!(table.to_factors(), factors);
        let mut part = Vec::new();
        table.extend_part(0, 14..17, &mut part);
        assert_eq!(part, [14.0, 15.0, 16.0]);
    }

    #[test]
    fn rows_without_interactions_start_at_zero() {
        let table = Table::random(&[0, 2, 2, 3], 3, 0.0, 7, 0).to_factors();
        assert_eq!(table.nonzero_rows().collect::<Vec<_>>(), [0, 2]);
        assert!(table.values().iter().all(|value| (0.0..0.01).contains(value)));
    }

    #[test]
    fn a_random_start_has_the_length_asked_for() {
        let starts: Vec<usize> = (0..=1000).collect();
        let table = Table::random(&starts, 20, 3.0, 7, 0).to_factors();
        let squares: f32 = table.values().iter().map(|value| value * value).sum();
        assert!((squares / 9000.0 - 1.0).abs() < 0.05, "{squares}");
        assert!(table.values().iter().sum::<f32>().abs() < 500.0);
    }
}
