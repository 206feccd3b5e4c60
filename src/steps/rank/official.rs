//! The official CatBoost package as the trainer: a Python that has it trains on files, and its model is
//! read back.

use std::ops::ControlFlow;
use std::path::Path;

use miette::Diagnostic;
use rayon::current_num_threads;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::codec::npz::Writer;
use crate::codec::{CodecError, catboost_json, json};
use crate::models::boosting::{Boosting, BootstrapType, Feature, Iteration, Samples, Values};
use crate::ranking::RankingError;
use crate::ranking::ranker::{Trained, Trainer};
use crate::steps::shell::output::StepOutput;
use crate::steps::shell::quoted;
use crate::workflow::kind::{Cancelled, Context, StepError};
use crate::workflow::process::{self, Output, ShellCommand, Stream};

const SCRIPT: &str = include_str!("official.py");

/// What the script ends with when a module is not there.
const NOT_INSTALLED: i32 = 3;
/// What a shell ends with when a program is not there.
const NO_PROGRAM: i32 = 127;

/// Why the package could not do its part.
#[derive(Debug, Error, Diagnostic)]
pub enum OfficialError {
    /// No Python, or one without the package.
    #[error("`{python}` cannot run the official CatBoost package: {found}")]
    #[diagnostic(help(
        "install it, for example by `python3 -m venv .venv && .venv/bin/pip install catboost`, and say \
         `python: .venv/bin/python`; or train without it: `trainer: recsys`, and no output `cbm`"
    ))]
    NotInstalled {
        /// The parameter.
        python: String,
        /// What the system or Python said.
        found: String,
    },
    /// It failed.
    #[error("the official CatBoost package failed ({how}):{output}")]
    #[diagnostic(help("the step's log has all that it said"))]
    Failed {
        /// Exit code or signal.
        how: String,
        /// Its last lines.
        output: String,
    },
    /// The system did not start it, or the run was cancelled.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Step(#[from] StepError),
    /// Its rows or its model.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Ranking(#[from] RankingError),
}

impl From<CodecError> for OfficialError {
    fn from(error: CodecError) -> Self {
        Self::Step(error.into())
    }
}

/// A Python with the package, and what it shall train.
pub struct Official<'a> {
    /// Where it works.
    pub ctx: &'a Context<'a>,
    /// The interpreter: a name looked for along `PATH`, or a path from the project folder.
    pub python: &'a Path,
    /// What is trained.
    pub boosting: Boosting,
}

impl Official<'_> {
    /// Writes a JSON model in CatBoost's own binary format.
    ///
    /// # Errors
    /// When there is no such Python, or the package refuses.
    pub fn convert(&self, model: &Path, to: &Path) -> Result<(), OfficialError> {
        self.run(&["convert".as_ref(), model, to], &mut |_| ControlFlow::Continue(()))
    }

    /// Runs the script to its end.
    fn run(
        &self,
        arguments: &[&Path],
        on_iteration: &mut dyn FnMut(Iteration) -> ControlFlow<()>,
    ) -> Result<(), OfficialError> {
        let script = self.ctx.work_dir().join("official.py");
        std::fs::write(&script, SCRIPT).map_err(CodecError::io("write", &script))?;
        let words = [self.python, &script].into_iter().chain(arguments.iter().copied());
        let command: Vec<String> = words.map(quoted).collect();
        let command = command.join(" ");
        let command =
            ShellCommand { command: &command, folder: self.ctx.root(), environment: self.ctx.environment() };
        let mut output = Told { log: StepOutput::new(self.ctx.log()), on_iteration };
        let ended = command
            .run(&mut output, &|| self.ctx.is_cancelled())
            .map_err(CodecError::io("run", self.python))?;
        self.ctx.check_cancelled().map_err(|cancelled: Cancelled| StepError::from(cancelled))?;
        let last = output.log.into_last_lines();
        let python = || self.python.display().to_string();
        match ended.status.code() {
            Some(0) => Ok(()),
            Some(NOT_INSTALLED | NO_PROGRAM) => Err(OfficialError::NotInstalled {
                python: python(),
                found: last.last().cloned().unwrap_or_else(|| "there is no such program".to_owned()),
            }),
            _ => Err(OfficialError::Failed {
                how: process::describe(ended.status),
                output: last.iter().map(|line| format!("\n    {line}")).collect(),
            }),
        }
    }

    fn parameters(&self, iterations: usize) -> Value {
        let boosting = &self.boosting;
        let mut parameters = json!({
            "loss_function": boosting.loss_function.catboost_name(),
            "iterations": iterations,
            "learning_rate": boosting.learning_rate,
            "depth": boosting.depth,
            "l2_leaf_reg": boosting.l2_leaf_reg,
            "border_count": boosting.border_count,
            "one_hot_max_size": boosting.one_hot_max_size,
            "bootstrap_type": format!("{:?}", boosting.bootstrap_type),
            "rsm": boosting.rsm,
            "random_seed": boosting.seed,
            "thread_count": current_num_threads(),
            "allow_writing_files": false,
            "verbose": false,
        });
        match boosting.bootstrap_type {
            BootstrapType::Bernoulli => parameters["subsample"] = boosting.subsample.into(),
            BootstrapType::Bayesian => {
                parameters["bagging_temperature"] = boosting.bagging_temperature.into()
            }
            BootstrapType::No => {}
        }
        parameters
    }
}

impl Trainer for Official<'_> {
    type Error = OfficialError;

    fn parameters(&self) -> &Boosting {
        &self.boosting
    }

    /// The package starts from no trees: the orders of the base models are features like others to it.
    fn train(
        &self,
        _: &[String],
        iterations: usize,
        train: &Samples,
        validation: Option<&Samples>,
        on_iteration: &mut dyn FnMut(Iteration) -> ControlFlow<()>,
    ) -> Result<Trained, OfficialError> {
        let path = |name: &str| self.ctx.work_dir().join(name);
        let texts: Vec<Option<Vec<&str>>> = train.features.columns().iter().map(texts).collect();
        let features: Vec<Value> = train
            .features
            .columns()
            .iter()
            .zip(&texts)
            .map(|(feature, texts)| json!({ "name": feature.name, "texts": texts }))
            .collect();
        write_rows(&path("train.npz"), train)?;
        if let Some(validation) = validation {
            write_rows(&path("validation.npz"), validation)?;
        }
        let job = json!({
            "features": features,
            "train": path("train.npz"),
            "validation": validation.map(|_| path("validation.npz")),
            "parameters": self.parameters(iterations),
            "early_stopping_rounds": self.boosting.early_stopping_rounds,
            "model": path("model.json"),
        });
        json::write(&path("job.json"), &job)?;
        self.run(&["train".as_ref(), &path("job.json")], on_iteration)?;
        Ok(Trained { model: catboost_json::read(&path("model.json"))?, given_trees: 0 })
    }
}

/// The texts of a feature of categories, in the order of their hashes.
fn texts(feature: &Feature) -> Option<Vec<&str>> {
    match &feature.values {
        Values::Real(_) => None,
        Values::Category { names, .. } => Some(names.values().map(String::as_str).collect()),
    }
}

/// The rows as NumPy arrays: one a feature, labels, and the group of each row.
fn write_rows(path: &Path, samples: &Samples) -> Result<(), CodecError> {
    let n_rows = [samples.labels.len() as u64];
    let mut file = Writer::create(path)?;
    for (number, feature) in samples.features.columns().iter().enumerate() {
        let name = format!("feature_{number}");
        match &feature.values {
            Values::Real(values) => file.array(&name, &n_rows, values.iter().copied())?,
            Values::Category { hashes, names } => {
                let places: std::collections::HashMap<u32, i32> = names.keys().copied().zip(0..).collect();
                // −1 is a missing category to pandas; every hash has a text here.
                let place = |hash: &u32| places.get(hash).copied().unwrap_or(-1);
                file.array(&name, &n_rows, hashes.iter().map(place))?;
            }
        }
    }
    file.array("labels", &n_rows, samples.labels.iter().copied())?;
    let groups = samples.groups.iter().zip(0u32..);
    file.array("groups", &n_rows, groups.flat_map(|(rows, group)| rows.clone().map(move |_| group)))?;
    file.finish()
}

/// What the script says: a line of JSON for every tree, anything else for the log.
struct Told<'a> {
    log: StepOutput,
    on_iteration: &'a mut dyn FnMut(Iteration) -> ControlFlow<()>,
}

#[derive(Deserialize)]
struct TreeTold {
    trees: usize,
    loss: Option<f64>,
    validation_loss: Option<f64>,
}

impl Output for Told<'_> {
    fn line(&mut self, stream: Stream, line: &str) {
        if let (Stream::Stdout, Ok(told)) = (stream, serde_json::from_str::<TreeTold>(line)) {
            let iteration = Iteration {
                trees: told.trees,
                loss: told.loss.unwrap_or(f64::NAN),
                validation_loss: told.validation_loss,
            };
            // A run that is cancelled ends the script by itself.
            let _ = (self.on_iteration)(iteration);
        } else {
            self.log.line(stream, line);
        }
    }

    fn caught_up(&mut self) {
        self.log.caught_up();
    }
}
