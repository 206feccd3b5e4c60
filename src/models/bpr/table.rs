//! A table of vectors that several threads change at once, without locks.
//!
//! Every number is an atomic of its own, read and written with relaxed order: two threads that change
//! one vector at the same time may lose one of the changes, which is the bargain of Hogwild, but a
//! number is always one that somebody wrote, and nothing is undefined.
//!
//! # Source
//! Niu, Recht, Ré, Wright: Hogwild!: a lock-free approach to parallelizing stochastic gradient
//! descent, NIPS 2011.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// Numbers in a line.
pub const LANES: usize = 16;

/// One cache line of numbers, as bits of f32.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Line(pub [AtomicU32; LANES]);

/// Vectors padded with zeros to whole lines, `n_rows × n_lines` lines.
#[derive(Debug)]
pub struct Table {
    n_lines: usize,
    lines: Vec<Line>,
}

impl Table {
    /// Vectors of `n_factors` numbers that `value()` gives, row after row.
    pub fn new(n_rows: usize, n_factors: usize, mut value: impl FnMut() -> f32) -> Self {
        let n_lines = n_factors.div_ceil(LANES);
        let mut lines = Vec::with_capacity(n_rows * n_lines);
        for _ in 0..n_rows {
            lines.extend((0..n_lines).map(|line| {
                let here = n_factors - line * LANES;
                Line(std::array::from_fn(|lane| number(if lane < here { value() } else { 0.0 })))
            }));
        }
        Self { n_lines, lines }
    }

    /// Lines a vector takes.
    pub fn n_lines(&self) -> usize {
        self.n_lines
    }

    /// The lines of one vector.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &[Line] {
        &self.lines[row * self.n_lines..][..self.n_lines]
    }

    /// The numbers of one vector, padding included.
    pub fn values(&self, row: usize) -> impl Iterator<Item = f32> {
        self.row(row).iter().flat_map(|line| &line.0).map(read)
    }

    /// Whether all numbers are finite.
    pub fn is_finite(&self) -> bool {
        self.lines.iter().flat_map(|line| &line.0).all(|number| read(number).is_finite())
    }
}

/// A number that threads share.
pub fn number(value: f32) -> AtomicU32 {
    AtomicU32::new(value.to_bits())
}

/// What a shared number is at the moment.
#[inline(always)]
pub fn read(number: &AtomicU32) -> f32 {
    f32::from_bits(number.load(Relaxed))
}

/// Changes a shared number.
#[inline(always)]
pub fn write(number: &AtomicU32, value: f32) {
    number.store(value.to_bits(), Relaxed);
}
