//! The log of an experiment for an MLflow server: begun with the first rung that runs, told of each.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::ladder::Ladder;
use crate::cli::{CommandError, tracked};
use crate::console::LogFormat;
use crate::tracking::server::{Credentials, Destination};
use crate::tracking::variants::{ExperimentFacts, VariantFacts, VariantsLog};
use crate::tracking::whole::Scene;
use crate::workflow::experiment::{Direction, Experiment, ExperimentRecord};

/// Whether and where an experiment is logged.
pub struct Tracked<'a> {
    experiment: &'a Experiment,
    root: &'a Path,
    to: Option<(Destination, Credentials)>,
    log: OnceLock<Arc<VariantsLog>>,
}

impl<'a> Tracked<'a> {
    /// As the pipeline and the environment say.
    ///
    /// # Errors
    /// When tracking is asked for in a way that cannot be followed.
    pub fn new(
        experiment: &'a Experiment,
        ladder: &Ladder<'_>,
        root: &'a Path,
    ) -> Result<Self, CommandError> {
        let to = match ladder.pipeline() {
            Some(plan) => tracked::destination(plan, root)?,
            None => None,
        };
        Ok(Self { experiment, root, to, log: OnceLock::new() })
    }

    /// The listener for the last rung of the ladder, which runs under this name; nothing when nobody asked for it.
    pub fn on_rung(&self, ladder: &Ladder<'_>, run: &str) -> Option<Arc<VariantsLog>> {
        let (destination, credentials) = self.to.as_ref()?;
        let experiment = self.experiment;
        let log = self.log.get_or_init(|| {
            let objective = &experiment.objective;
            let verb = match objective.direction {
                Direction::Maximize => "maximize",
                Direction::Minimize => "minimize",
            };
            let facts = ExperimentFacts {
                name: experiment.name.clone(),
                file: experiment.path.display().to_string(),
                objective: format!("{verb} {}", objective.metric),
            };
            let files = vec![experiment.path.clone(), experiment.pipeline.clone()];
            let scene = Scene { root: self.root, run, files };
            Arc::new(VariantsLog::new(facts, destination.clone(), credentials.clone(), &scene))
        });
        let rung = ladder.rungs.len() - 1;
        let plan = &ladder.merged.plan;
        let variants = ladder.rungs[rung].iter().map(|&position| {
            let variant = &experiment.variants[position];
            let steps = ladder.steps(position, rung).into_iter().flatten();
            VariantFacts {
                name: variant.name.clone(),
                values: variant.values.clone(),
                steps: steps.map(|(own, &merged)| (own.clone(), plan.steps[merged].name.clone())).collect(),
            }
        });
        log.on_rung(rung, experiment.n_rungs(), plan, variants.collect());
        Some(Arc::clone(log))
    }

    /// Tells how it ended, and says what became of the log.
    pub fn finish(&self, record: Option<&ExperimentRecord>, is_stopped: bool, format: LogFormat) {
        if let Some(log) = self.log.get() {
            tracked::tell(log.finish(record, is_stopped), self.root, format);
        }
    }
}
