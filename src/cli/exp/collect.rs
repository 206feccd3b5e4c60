//! Listens to the run of an experiment: what each step left and took.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::workflow::digest::Digest;
use crate::workflow::event::{Event, Listener};

/// What is known of one step.
#[derive(Debug, Clone, Default)]
pub struct StepFacts {
    /// Whether its result is there.
    pub is_done: bool,
    /// Why it failed.
    pub error: Option<String>,
    /// The numbers that it left.
    pub metrics: BTreeMap<String, f64>,
    /// Its result in the store.
    pub key: Option<Digest>,
}

/// Facts of each step by name.
#[derive(Debug, Default)]
pub struct Collector(Mutex<BTreeMap<String, StepFacts>>);

impl Collector {
    /// What was heard, taken away.
    pub fn take(&self) -> BTreeMap<String, StepFacts> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Listener for Collector {
    fn hear(&self, event: &Event) {
        let mut facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::StepReused { step, key, metrics, .. } | Event::StepFinished { step, key, metrics, .. } => {
                let step = facts.entry(step.clone()).or_default();
                *step = StepFacts { is_done: true, error: None, metrics: metrics.clone(), key: Some(*key) };
            }
            Event::StepFailed { step, error, .. } => {
                facts.entry(step.clone()).or_default().error = Some(error.clone());
            }
            _ => {}
        }
    }
}

/// Passes events on without the texts and files that steps leave: those of a hundred variants say too much.
pub struct WithoutTexts(pub Box<dyn Listener>);

impl Listener for WithoutTexts {
    fn hear(&self, event: &Event) {
        let mut event = event.clone();
        if let Event::StepReused { summary, .. } | Event::StepFinished { summary, .. } = &mut event {
            *summary = None;
        }
        if let Event::StepFinished { outputs, .. } = &mut event {
            outputs.clear();
        }
        self.0.hear(&event);
    }
}
