//! The variants of an experiment as plans: checked against the pipeline before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use miette::Diagnostic;
use serde_json::Value as Json;
use thiserror::Error;

use crate::cli::{CommandError, tracked};
use crate::steps::KINDS;
use crate::steps::evaluate::Evaluate;
use crate::workflow::experiment::{Experiment, Variant};
use crate::workflow::fault::did_you_mean;
use crate::workflow::kind::Step;
use crate::workflow::plan::merge::VariantPlan;
use crate::workflow::plan::{Plan, PlannedStep};
use crate::workflow::spec::{Overrides, Spec, SpecError};
use crate::workflow::values::Scope;

/// Makes plans of variants.
pub struct Planner<'a> {
    /// What is planned.
    pub experiment: &'a Experiment,
    /// What the command line changes in every variant.
    pub more: &'a Overrides,
    /// The project folder.
    pub root: &'a Path,
}

#[derive(Debug, Error, Diagnostic)]
#[error("the variant `{variant}` cannot be planned")]
struct BadVariant {
    variant: String,
    #[related]
    causes: Vec<SpecError>,
}

impl Planner<'_> {
    /// Looks whether the pipeline has everything that the experiment names. Returns its variables and their values
    /// as they are written, so that experiments can be compared later.
    ///
    /// # Errors
    /// The first name that it does not have, at its place in the experiment file, with the nearest known one.
    pub fn check_names(&self) -> Result<BTreeMap<String, Json>, CommandError> {
        let nothing = Variant { name: String::new(), values: BTreeMap::new() };
        let spec = self.read(&self.bare(&nothing)).map_err(CommandError::usage)?;
        for (path, key) in self.experiment.paths() {
            let Some((step, parameter)) = path.split_once('.') else { continue };
            let unknown = |words: &str, message: String, help: String| {
                Err(CommandError::usage(self.experiment.fault(key, words, message, help)))
            };
            if step == "vars" {
                if !spec.variables.contains_key(parameter) {
                    let message = format!("the pipeline has no variable `{parameter}`");
                    let known = spec.variables.keys().map(String::as_str);
                    return unknown(path, message, did_you_mean(parameter, known));
                }
                continue;
            }
            let on = spec.steps.iter().map(|step| (step.name.as_str(), step.group.as_deref()));
            let off = spec.off.iter().map(|step| (step.name.as_str(), step.group.as_deref()));
            let names: Vec<&str> =
                on.chain(off).flat_map(|(name, group)| std::iter::once(name).chain(group)).collect();
            if !names.contains(&step) {
                let message = format!("the pipeline has no step `{step}`");
                return unknown(path, message, did_you_mean(step, names));
            }
            let named =
                spec.steps.iter().find(|known| known.name == step || known.group.as_deref() == Some(step));
            let kind = named.and_then(|step| KINDS.iter().find(|kind| kind.name == step.kind.value));
            let schema = kind.map(|kind| kind.schema());
            let properties = schema.as_ref().and_then(|schema| schema["properties"].as_object());
            if let (Some(kind), Some(properties)) = (kind, properties)
                && !properties.contains_key(parameter)
            {
                let message = format!("the step `{step}` has no parameter `{parameter}`");
                let help = format!(
                    "{}; `recsys kinds {}` explains them",
                    did_you_mean(parameter, properties.keys().map(String::as_str)).trim_end_matches('?'),
                    kind.name
                );
                return unknown(path, message, help);
            }
        }
        Ok(spec.variables)
    }

    /// The plan of one variant: the steps that its metrics need, those that are only reported if `reports`.
    ///
    /// # Errors
    /// When it cannot be planned, a metric's step is not there, or the test period would decide.
    pub fn plan(&self, variant: &Variant, reports: bool) -> Result<VariantPlan, CommandError> {
        let planned = || -> Result<Plan, SpecError> {
            let spec = self.read(&self.experiment.overrides(variant, self.more))?;
            let plan = Plan::new(&spec, KINDS, self.root)?;
            let services = plan.steps.iter().enumerate().filter(|(_, step)| !step.kind.service);
            plan.check_files(&spec, &services.map(|(position, _)| position).collect(), self.root)?;
            Ok(plan)
        };
        let plan = planned().map_err(|cause| {
            CommandError::usage(BadVariant { variant: variant.name.clone(), causes: vec![cause] })
        })?;
        let mut wanted = BTreeSet::new();
        for (key, metric) in self.experiment.metrics() {
            let fault = |message: String, help: String| {
                CommandError::usage(self.experiment.fault(key, &metric.step, message, help))
            };
            let position = plan.position(&metric.step).map_err(|_| {
                let names = plan.steps.iter().map(|step| step.name.as_str());
                let help = did_you_mean(&metric.step, names);
                fault(format!("the pipeline has no step `{}`", metric.step), help)
            })?;
            if let Some(known) = metrics_of(&plan.steps[position])
                && !known.contains(&metric.metric)
            {
                let message = format!("the step `{}` leaves no metric `{}`", metric.step, metric.metric);
                let help = did_you_mean(&metric.metric, known.iter().map(String::as_str));
                let error = self.experiment.fault(key, &metric.metric, message, help);
                return Err(CommandError::usage(error));
            }
            let decides = key != "report";
            if decides && !self.experiment.select_on_test && plan.sees_test(position) {
                let message = format!("`{metric}` is measured on the test period, which must not decide");
                let help = "take a step that evaluates on the target period, and put this one under `report:`; or say \
                            `select_on_test: true` and know that the winner looks better on the test than it is";
                return Err(fault(message, help.to_owned()));
            }
            if decides || reports {
                wanted.extend(plan.before(position));
            }
        }
        Ok(VariantPlan { name: variant.name.clone(), plan, wanted })
    }

    /// What holds for every variant, mistakes in the values of the experiment left to its variants.
    fn bare(&self, nothing: &Variant) -> Overrides {
        let mut overrides = self.experiment.overrides(nothing, self.more);
        let own = self.experiment.set.keys();
        let is_own = |text: &String, prefix: &str| {
            let name = text.split('=').next().unwrap_or_default();
            own.clone().any(|path| *path == format!("{prefix}{name}"))
        };
        overrides.vars.retain(|text| !is_own(text, "vars."));
        overrides.set.retain(|text| !is_own(text, ""));
        overrides
    }

    fn read(&self, overrides: &Overrides) -> Result<Spec, SpecError> {
        let mut spec = Spec::read(&self.experiment.pipeline, Scope::from_environment(self.root), overrides)?;
        tracked::check(&mut spec);
        Ok(spec)
    }
}

/// The numbers that a step leaves, where that is known before it runs: for an evaluation of lists alone.
fn metrics_of(step: &PlannedStep) -> Option<Vec<String>> {
    let inputs = |port: &'static str| step.inputs.iter().filter(move |input| input.port == port);
    if step.kind.name != Evaluate::KIND || inputs("impressions").next().is_some() {
        return None;
    }
    let lists: Vec<&str> = inputs("lists").filter_map(|input| input.name.as_deref()).collect();
    Evaluate::metrics_of(step.parameters(), &lists)
}
