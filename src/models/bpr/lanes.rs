//! Arithmetic on one line of sixteen numbers, with the instructions of the machine.
//!
//! The widest set that the machine has is chosen when a round starts. Lines are shared between threads,
//! so ordinary vector loads and stores would be data races: see `x86` for how they are done.

use super::table::{LANES, Line, read, write};

/// A set of instructions that this machine has. Sixteen numbers are a [`V`](Self::V).
pub trait Lanes: Copy + Send + Sync {
    /// Sixteen numbers.
    type V: Copy;
    /// Sixteen times the same number.
    fn splat(self, value: f32) -> Self::V;
    /// Sixteen relaxed loads.
    fn load(self, line: &Line) -> Self::V;
    /// Sixteen relaxed stores.
    fn store(self, line: &Line, values: Self::V);
    /// `a − b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a · b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The sum of the sixteen numbers.
    fn sum(self, a: Self::V) -> f32;
}

/// Any machine: one number after the other.
#[derive(Clone, Copy)]
pub struct Portable;

impl Lanes for Portable {
    type V = [f32; LANES];

    #[inline(always)]
    fn splat(self, value: f32) -> Self::V {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, line: &Line) -> Self::V {
        std::array::from_fn(|lane| read(&line.0[lane]))
    }

    #[inline(always)]
    fn store(self, line: &Line, values: Self::V) {
        line.0.iter().zip(values).for_each(|(number, value)| write(number, value));
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|lane| a[lane] - b[lane])
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|lane| a[lane] * b[lane])
    }

    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }

    #[inline(always)]
    fn sum(self, a: Self::V) -> f32 {
        a.iter().sum()
    }
}
