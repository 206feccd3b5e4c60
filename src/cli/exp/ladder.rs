//! The rungs of an experiment as one plan that grows: the variants of the first rung, then those that go on.
//!
//! Without successive halving there is one rung. With it, the first variant is planned on every rung at once, so
//! that it shows which steps depend on the resource: what all variants of all rungs share has its own name from
//! the beginning, and no step is renamed when the next rung is added.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::planner::Planner;
use crate::cli::CommandError;
use crate::workflow::plan::Plan;
use crate::workflow::plan::merge::{Merged, VariantPlan};

/// Variants and the rungs that they are on.
pub struct Ladder<'a> {
    planner: Planner<'a>,
    /// Variant and rung of each plan.
    places: Vec<(usize, usize)>,
    plans: Vec<VariantPlan>,
    /// The variants of each rung so far.
    pub rungs: Vec<Vec<usize>>,
    /// Everything that was planned, as one plan.
    pub merged: Merged,
}

impl<'a> Ladder<'a> {
    /// Every variant on the first rung.
    ///
    /// # Errors
    /// When a variant cannot be planned.
    pub fn new(planner: Planner<'a>) -> Result<Self, CommandError> {
        let n_variants = planner.experiment.variants.len();
        let probes = (1..planner.experiment.n_rungs()).map(|rung| (0, rung));
        let places: Vec<(usize, usize)> = (0..n_variants).map(|variant| (variant, 0)).chain(probes).collect();
        let merged = merge(&planner, &[]);
        let rungs = vec![(0..n_variants).collect()];
        let mut ladder = Self { planner, places: Vec::new(), plans: Vec::new(), rungs, merged };
        ladder.add(places)?;
        Ok(ladder)
    }

    /// Adds a rung with these variants.
    ///
    /// # Errors
    /// When one cannot be planned.
    pub fn climb(&mut self, variants: Vec<usize>) -> Result<(), CommandError> {
        let rung = self.rungs.len();
        let places = variants.iter().map(|&variant| (variant, rung));
        let new = places.filter(|place| !self.places.contains(place)).collect();
        self.rungs.push(variants);
        self.add(new)
    }

    fn add(&mut self, places: Vec<(usize, usize)>) -> Result<(), CommandError> {
        let last = self.planner.experiment.n_rungs() - 1;
        for (variant, rung) in places {
            let reports = rung == last;
            let plan = self.planner.plan(&self.planner.experiment.on_rung(variant, rung), reports)?;
            self.plans.push(plan);
            self.places.push((variant, rung));
        }
        self.merged = merge(&self.planner, &self.plans);
        Ok(())
    }

    /// The steps of a variant on a rung: their positions in the merged plan, by name.
    pub fn steps(&self, variant: usize, rung: usize) -> Option<&BTreeMap<String, usize>> {
        let place = self.places.iter().position(|place| *place == (variant, rung))?;
        self.merged.positions.get(place)
    }

    /// The pipeline of one of the variants.
    pub fn pipeline(&self) -> Option<&Plan> {
        self.plans.first().map(|variant| &variant.plan)
    }

    /// The steps of all variants on the rungs so far.
    pub fn positions(&self) -> BTreeSet<usize> {
        let places = self.rungs.iter().enumerate();
        let places = places.flat_map(|(rung, variants)| variants.iter().map(move |&variant| (variant, rung)));
        places
            .filter_map(|(variant, rung)| self.steps(variant, rung))
            .flat_map(|steps| steps.values().copied())
            .collect()
    }

    /// How many steps a variant has on a rung that it has not on the rungs before.
    pub fn own_steps(&self, rung: usize) -> usize {
        let before: BTreeSet<usize> = (0..rung)
            .filter_map(|rung| self.steps(0, rung))
            .flat_map(|steps| steps.values().copied())
            .collect();
        self.steps(0, rung)
            .map_or(0, |steps| steps.values().filter(|position| !before.contains(position)).count())
    }

    /// Variants that are the same to every step that counts, though their settings differ: each with the first of
    /// its kind.
    pub fn same(&self) -> Vec<(usize, usize)> {
        let mut first: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let mut same = Vec::new();
        for &variant in &self.rungs[0] {
            let Some(steps) = self.steps(variant, 0) else { continue };
            match first.get(&steps.values().copied().collect::<Vec<_>>()) {
                Some(&earlier) => same.push((variant, earlier)),
                None => {
                    first.insert(steps.values().copied().collect(), variant);
                }
            }
        }
        same
    }
}

fn merge(planner: &Planner<'_>, plans: &[VariantPlan]) -> Merged {
    let experiment = planner.experiment;
    let folder = Path::new("artifacts/experiments").join(&experiment.name);
    Plan::merge(format!("experiment-{}", experiment.name), &experiment.path, &folder, plans)
}
