//! The normalised graph of users and items, and polynomials of its steps.
//!
//! Items start together in panels; a step takes a panel to the users and back, in sparse products whose
//! inner loop runs over the panel. The recurrence of the Chebyshev polynomials needs three panels,
//! whatever their degree.

use std::ops::ControlFlow;

use pulp::Arch;
use rayon::prelude::*;

use crate::interactions::{Interactions, InvalidInteractions};
use crate::models::degrees::normalized;
use crate::models::item_weights::{ItemWeights, largest};
use crate::models::linear_algebra::Progress;

/// Items that start together: each edge that is read serves all of them, at 256 bytes a user or item.
const PANEL: usize = 64;
/// Panels between two words about the progress.
const PANELS_AT_ONCE: usize = 32;
/// Products that find the largest eigenvalue.
const POWER_ITERATIONS: usize = 60;
/// Power iterations come from below: by this much the eigenvalue is taken larger.
const MARGIN: f64 = 1.01;

/// What reached a user or item from each of the items that started.
type Row = [f32; PANEL];

/// `N = D_u^−a R D_i^−c`.
pub struct Graph {
    /// `N`, users × items.
    to_items: Interactions,
    /// `Nᵀ`.
    to_users: Interactions,
    /// Slightly above the largest eigenvalue of `NᵀN`.
    eigenvalue: f64,
}

/// What becomes of the outcome of a polynomial.
pub struct Scaling {
    /// A factor for each item of the history.
    pub before: Vec<f32>,
    /// A factor for each item that is recommended.
    pub after: Vec<f32>,
    /// Weights that each item keeps.
    pub weights_per_item: usize,
}

/// Panels that one thread uses again and again.
struct Scratch {
    users: Vec<Row>,
    last: Vec<Row>,
    present: Vec<Row>,
    sum: Vec<Row>,
}

impl Graph {
    /// The graph of all stored pairs, whatever their values.
    ///
    /// # Errors
    /// When exponents far from 0 take a weight out of the range of f32.
    pub fn new(
        interactions: &Interactions,
        user_exponent: f64,
        item_exponent: f64,
    ) -> Result<Self, InvalidInteractions> {
        let to_items = normalized(interactions, user_exponent, item_exponent)?;
        let to_users = to_items.transposed();
        let eigenvalue = MARGIN * largest_eigenvalue(&to_items, &to_users);
        Ok(Self { to_items, to_users, eigenvalue })
    }

    /// The rows of `diag(before) · Σ_k c_k T_k(2G − I) · diag(after)` with `G = NᵀN / s`, without their
    /// diagonal and without the small weights; `None` when `on_step` ends the work.
    pub fn polynomial(
        &self,
        coefficients: &[f64],
        scaling: &Scaling,
        mut on_step: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Option<ItemWeights> {
        let (n_users, n_items) = (self.to_items.n_users(), self.to_items.n_items());
        let starts: Vec<usize> = (0..n_items).step_by(PANEL).collect();
        let total = starts.len().div_ceil(PANELS_AT_ONCE);
        let mut rows: Vec<Vec<(u32, f32)>> = Vec::with_capacity(n_items);
        for (step, starts) in starts.chunks(PANELS_AT_ONCE).enumerate() {
            let panels: Vec<Vec<Vec<(u32, f32)>>> = starts
                .par_iter()
                .with_max_len(1)
                .map_init(
                    || Scratch::new(n_users, n_items),
                    |scratch, &start| {
                        self.panel(coefficients, start, scratch);
                        let items = start..(start + PANEL).min(n_items);
                        items.map(|item| self.weights(&scratch.sum, item, start, scaling)).collect()
                    },
                )
                .collect();
            rows.extend(panels.into_iter().flatten());
            if on_step(Progress { done: step + 1, total }).is_break() {
                return None;
            }
        }
        Some(ItemWeights::from_rows(rows))
    }

    /// The polynomial's columns of the items `start..`, into `scratch.sum`.
    fn panel(&self, coefficients: &[f64], start: usize, scratch: &mut Scratch) {
        let Scratch { users, last, present, sum } = scratch;
        let n_items = last.len();
        last.iter_mut().for_each(|row| *row = [0.0; PANEL]);
        (start..(start + PANEL).min(n_items)).for_each(|item| last[item][item - start] = 1.0);
        let two_over = (2.0 / self.eigenvalue) as f32;
        let arch = Arch::new();
        // T_1 = 2G − I of T_0 = I.
        arch.dispatch(|| step(&self.to_items, last, |user, reached| users[user] = reached));
        arch.dispatch(|| {
            step(&self.to_users, users, |item, reached| {
                for column in 0..PANEL {
                    let identity = last[item][column];
                    present[item][column] = two_over * reached[column] - identity;
                    sum[item][column] =
                        coefficients[0] as f32 * identity + coefficients[1] as f32 * present[item][column];
                }
            });
        });
        for &coefficient in &coefficients[2..] {
            // T_{k+1} = 2 (2G − I) T_k − T_{k−1}, in the place of T_{k−1}.
            arch.dispatch(|| step(&self.to_items, present, |user, reached| users[user] = reached));
            arch.dispatch(|| {
                step(&self.to_users, users, |item, reached| {
                    for column in 0..PANEL {
                        let next =
                            2.0 * (two_over * reached[column] - present[item][column]) - last[item][column];
                        last[item][column] = next;
                        sum[item][column] += coefficient as f32 * next;
                    }
                });
            });
            std::mem::swap(last, present);
        }
    }

    /// The scaled weights of one item of a panel. The matrix is symmetric: its columns are its rows.
    fn weights(&self, sum: &[Row], item: usize, start: usize, scaling: &Scaling) -> Vec<(u32, f32)> {
        if self.to_users.row(item).0.is_empty() {
            return Vec::new();
        }
        let before = scaling.before[item];
        let weights = sum.iter().zip(&scaling.after).enumerate();
        let others = weights.filter(|&(other, _)| other != item);
        let scaled = others.map(|(other, (row, after))| (other as u32, before * row[item - start] * after));
        largest(scaled, scaling.weights_per_item)
    }
}

impl Scratch {
    fn new(n_users: usize, n_items: usize) -> Self {
        let rows = |n_rows| vec![[0.0; PANEL]; n_rows];
        Self { users: rows(n_users), last: rows(n_items), present: rows(n_items), sum: rows(n_items) }
    }
}

/// A sparse matrix times a panel, row by row.
#[inline(always)]
fn step(matrix: &Interactions, from: &[Row], mut take: impl FnMut(usize, Row)) {
    for row in 0..matrix.n_users() {
        let (columns, weights) = matrix.row(row);
        let mut sum = [0.0f32; PANEL];
        for (&column, &weight) in columns.iter().zip(weights) {
            let from = &from[column as usize];
            for (sum, value) in sum.iter_mut().zip(from) {
                *sum += weight * value;
            }
        }
        take(row, sum);
    }
}

/// The largest eigenvalue of `NᵀN`, from below. All entries are positive, so a start of ones is never at
/// right angles to its vector.
fn largest_eigenvalue(to_items: &Interactions, to_users: &Interactions) -> f64 {
    let product = |matrix: &Interactions, vector: &[f64]| -> Vec<f64> {
        let sum = |row: usize| {
            let (columns, weights) = matrix.row(row);
            columns.iter().zip(weights).map(|(&at, &weight)| f64::from(weight) * vector[at as usize]).sum()
        };
        (0..matrix.n_users()).map(sum).collect()
    };
    let mut vector = vec![1.0; to_items.n_items()];
    let mut eigenvalue = 0.0;
    for _ in 0..POWER_ITERATIONS {
        let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|value| *value /= length);
        let users = product(to_items, &vector);
        // The Rayleigh quotient |N v|² of a v of length 1.
        eigenvalue = users.iter().map(|value| value * value).sum();
        vector = product(to_users, &users);
    }
    eigenvalue
}
