//! The loop over sweeps: start, callbacks, early end, and going on from a saved state.

use std::ops::ControlFlow;

use super::half_step::{Outcome, Side};
use super::objective::Objective;
use super::rows::Rows;
use super::table::Table;
use super::{Als, AlsError, AlsModel};
use crate::interactions::Interactions;
use crate::models::factors::Factors;

/// Sum of the squared lengths of all user vectors at which none of them says anything.
const VANISHED: f64 = 1e-20;

/// One sweep that is done.
#[derive(Debug, Clone, Copy)]
pub struct Sweep<'a> {
    /// Sweeps done so far, from 1.
    pub done: usize,
    /// Sweeps asked for.
    pub total: usize,
    /// The objective `L` after this sweep.
    pub loss: f64,
    users: &'a Table,
    items: &'a Table,
}

impl Sweep<'_> {
    /// A copy of where the fit stands, from which [`Als::fit_from`] goes on; costs as much memory as the
    /// model.
    pub fn state(&self) -> AlsState {
        AlsState {
            done: self.done,
            loss: self.loss,
            user_factors: self.users.to_factors(),
            item_factors: self.items.to_factors(),
        }
    }
}

/// Where a fit stands after a sweep: all that the following sweeps depend on, besides the parameters
/// and the interactions.
#[derive(Debug, Clone, PartialEq)]
pub struct AlsState {
    /// Sweeps done.
    pub done: usize,
    /// The objective after them.
    pub loss: f64,
    /// Vectors of the users, `n_users × factors`.
    pub user_factors: Factors,
    /// Vectors of the items, `n_items × factors`.
    pub item_factors: Factors,
}

impl Als {
    /// Fits the model; `on_sweep` hears of every sweep and may end the fit early, with the model as it
    /// is then.
    ///
    /// The same interactions and parameters give the same bits at any thread count.
    ///
    /// # Errors
    /// When there is nothing to learn from, a parameter is out of its range, or the numbers leave the
    /// range of f32.
    pub fn fit(
        &self,
        interactions: &Interactions,
        on_sweep: impl FnMut(Sweep<'_>) -> ControlFlow<()>,
    ) -> Result<AlsModel, AlsError> {
        self.fit_from(interactions, None, on_sweep)
    }

    /// [`fit`](Self::fit), going on from a state that an earlier fit with the same parameters and
    /// interactions gave its listener: the model has the same bits as that of one fit without a break.
    ///
    /// # Errors
    /// As `fit`, and when the state is of other shapes.
    pub fn fit_from(
        &self,
        interactions: &Interactions,
        state: Option<AlsState>,
        mut on_sweep: impl FnMut(Sweep<'_>) -> ControlFlow<()>,
    ) -> Result<AlsModel, AlsError> {
        self.check()?;
        let (n_users, n_items) = (interactions.n_users(), interactions.n_items());
        if interactions.is_empty() {
            return Err(AlsError::Empty { n_users, n_items });
        }
        let rows = Rows::new(self, interactions)?;
        let items = Side::new(rows.transposed(n_items));
        let users = Side::new(rows);
        let (start, mut loss, mut user_table, mut item_table) = match state {
            Some(state) => self.resumed(state, n_users, n_items)?,
            None => {
                let random = |side: &Side<'_>, stream: u64| {
                    let starts = side.interactions().starts();
                    Table::random(starts, self.factors, self.start_length, self.seed, stream)
                };
                (0, f64::NAN, random(&users, 1), random(&items, 2))
            }
        };

        let observed = users.interactions().total();
        let pairs = n_users as f64 * n_items as f64;
        let weights = Objective::of(self);
        let total_confidence = observed + self.unobserved_weight * (pairs - interactions.len() as f64);
        for sweep in start + 1..=self.iterations {
            let half =
                |side: &Side<'_>, name: &'static str, table: &mut Table, fixed: &mut Table| {
                    let outcome = side
                        .solve(table, fixed, weights, self)
                        .map_err(|row| AlsError::Singular { sweep, side: name, row })?;
                    finite(outcome).ok_or(AlsError::Diverged { sweep, side: name })
                };
            half(&users, "user", &mut user_table, &mut item_table)?;
            let outcome = half(&items, "item", &mut item_table, &mut user_table)?;
            // Σ c p² + Σ_i φ(y_i) holds everything but the lengths of the user vectors.
            let user_lengths = match weights.shared_regularization() {
                Some(lambda) => f64::from(lambda) * outcome.fixed_squares,
                None => users.weighted_squares(&user_table, weights, n_items),
            };
            let before = loss;
            loss = (observed + outcome.objective + user_lengths) / total_confidence;
            let told =
                Sweep { done: sweep, total: self.iterations, loss, users: &user_table, items: &item_table };
            if on_sweep(told).is_break() || self.tolerance > 0.0 && before - loss < self.tolerance * before {
                break;
            }
        }
        drop((users, items));
        let user_factors = user_table.to_factors();
        drop(user_table);
        let model = AlsModel { user_factors, item_factors: item_table.to_factors(), loss };
        for (side, factors) in [("user", &model.user_factors), ("item", &model.item_factors)] {
            if !factors.values().iter().all(|value| value.is_finite()) {
                return Err(AlsError::Diverged { sweep: self.iterations, side });
            }
        }
        let user_squares: f64 = model.user_factors.values().iter().map(|&x| f64::from(x).powi(2)).sum();
        if user_squares < VANISHED {
            return Err(AlsError::Vanished { regularization: self.regularization });
        }
        Ok(model)
    }

    /// The confidences of the observed pairs.
    pub(super) fn confidences(&self, interactions: &Interactions) -> Result<Interactions, AlsError> {
        self.weighting.confidences(interactions, self.alpha).map_err(|source| AlsError::Confidence {
            alpha: self.alpha,
            weighting: self.weighting.name(),
            source,
        })
    }

    /// Sweeps done, loss and both tables of a saved state, if they are of the shapes of this fit.
    fn resumed(
        &self,
        state: AlsState,
        n_users: usize,
        n_items: usize,
    ) -> Result<(usize, f64, Table, Table), AlsError> {
        let (users, items) = (&state.user_factors, &state.item_factors);
        let shape = |users: usize, items: usize, factors: &str| {
            format!("{users} users × {items} items with {factors} factors")
        };
        let same = (users.n_rows(), items.n_rows()) == (n_users, n_items)
            && (users.n_factors(), items.n_factors()) == (self.factors, self.factors);
        let expected = shape(n_users, n_items, &self.factors.to_string());
        if !same {
            let found = match (users.n_factors(), items.n_factors()) {
                (a, b) if a == b => a.to_string(),
                (a, b) => format!("{a} and {b}"),
            };
            let found = shape(users.n_rows(), items.n_rows(), &found);
            return Err(AlsError::State { found, expected });
        }
        if !users.values().iter().chain(items.values()).all(|value| value.is_finite()) {
            return Err(AlsError::State {
                found: "it holds numbers that are not finite".to_owned(),
                expected,
            });
        }
        Ok((state.done, state.loss, Table::from_factors(users), Table::from_factors(items)))
    }
}

fn finite(outcome: Outcome) -> Option<Outcome> {
    outcome.objective.is_finite().then_some(outcome)
}
