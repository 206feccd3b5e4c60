//! Runs a plan: steps whose inputs are known are decided in order, those that have to run start while
//! threads and memory are free; what they make is committed and released; what happened is told.
//! Steps are CPU-bound and use threads inside, so there is no async here.

mod fetch;
mod keep;
mod schedule;
mod start;
mod task;
mod usage;
mod wait;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use miette::Diagnostic;
use thiserror::Error;

use super::decide::{Force, Ground, InputsError, Outputs};
use super::event::{Event, Listener, Tally};
use super::files::FilesError;
use super::plan::{Plan, Source};
use super::release::{Foreign, NameTaken, Release, ReleasedFile};
use super::remote::ReadThrough;
use super::resources::Tokens;
use super::store::{Lock, Staging, Store};
use super::witness::Place;
use keep::Saver;
use schedule::{Job, State};
use task::Outcome;

pub use task::describe;

/// What to run, and how.
pub struct Options {
    /// Positions of the steps to run.
    pub selected: BTreeSet<usize>,
    /// Steps that run even when their results are in the store.
    pub force: Force,
    /// Threads for steps that run at the same time.
    pub jobs: usize,
    /// After a failure, run what does not depend on it.
    pub keep_going: bool,
    /// Where to leave a witness when nothing is left to do.
    pub witness: Option<Place>,
}

/// Where a run happens and who hears of it.
pub struct World<'a> {
    /// The project folder.
    pub root: &'a Path,
    /// `cache/`.
    pub store: &'a Store,
    /// The name of the run.
    pub run: &'a str,
    /// Folder for the logs of this run's steps.
    pub logs: &'a Path,
    /// Who is told what happens.
    pub listener: &'a dyn Listener,
    /// Set from outside to stop the run.
    pub stop: &'a AtomicBool,
    /// Where results are looked for that are not in the store.
    pub remote: Option<&'a ReadThrough>,
}

/// Why a run could not go on.
#[derive(Debug, Error, Diagnostic)]
pub enum RunError {
    /// A step before the selected ones has no released output to take.
    #[error("`{reader}` needs `{step}.{port}`, which is not in the store")]
    #[diagnostic(code(recsys::run::not_released), help("run `{step}` first: `recsys run {} --until {step}`", pipeline.display()))]
    NotReleased {
        /// The pipeline file.
        pipeline: PathBuf,
        /// The step that was asked for.
        reader: String,
        /// The step that makes its input.
        step: String,
        /// The output.
        port: String,
    },
    /// Outputs would replace what no pipeline made.
    #[error("{}", if .0.len() == 1 { "an output has no free place" } else { "outputs have no free place" })]
    #[diagnostic(code(recsys::run::no_place))]
    NoPlace(#[related] Vec<Foreign>),
    /// Another pipeline has the name.
    #[error(transparent)]
    #[diagnostic(transparent)]
    NameTaken(#[from] NameTaken),
    /// The inputs of a step are not known.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Inputs(#[from] InputsError),
    /// The disk refused.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Files(#[from] FilesError),
}

/// Runs the selected steps of a plan.
///
/// # Errors
/// When the run cannot go on at all; a failed step is told as an event and counted in the tally.
pub fn run(plan: &Plan, options: &Options, world: &World<'_>) -> Result<Tally, RunError> {
    let started = Instant::now();
    world.store.prepare()?;
    let Some(held) = wait::for_places(plan, options, world)? else {
        return Ok(Tally { stopped: true, skipped: options.selected.len(), ..Tally::default() });
    };
    let (sender, receiver) = channel();
    let mut run = Run::new(plan, options, world, held, sender);
    run.take_released()?;
    run.tell(Event::RunStarted {
        pipeline: plan.name.clone(),
        steps: options.selected.iter().map(|&position| plan.steps[position].name.clone()).collect(),
    });
    let worked = std::thread::scope(|scope| run.work(scope, &receiver));
    let settled = run.settle();
    run.tally.elapsed = started.elapsed();
    run.tell(Event::RunFinished { tally: run.tally });
    let tally = run.tally;
    if worked.is_ok() && settled.is_ok() {
        run.leave_witness();
    }
    // The process ends soon: what is known of ten thousand steps need not be freed piece by piece.
    std::mem::forget((run.release, run.made, run.readers));
    worked.and(settled).map(|()| tally)
}

/// What would keep a run from starting, found without writing anything.
///
/// # Errors
/// As [`run`] would.
pub fn check(plan: &Plan, selected: &BTreeSet<usize>, store: &Store, root: &Path) -> Result<(), RunError> {
    let mut release = Release::open(root, store, &plan.name);
    let held = |file: &ReleasedFile| {
        store.holds(&file.object)
            || store.digests().of_plain_file(&root.join(&file.path)) == Some(file.object.digest)
    };
    steps_before(plan, selected, &release, held)?;
    release.belong_to(&plan.path)?;
    release.claim(store, selected.iter().map(|&position| &plan.steps[position])).map_err(RunError::NoPlace)
}

/// The steps before the selected ones whose released outputs are read; each file must be `held`.
fn steps_before(
    plan: &Plan,
    selected: &BTreeSet<usize>,
    release: &Release,
    held: impl Fn(&ReleasedFile) -> bool,
) -> Result<BTreeSet<usize>, RunError> {
    let mut wanted = BTreeSet::new();
    for reader in selected.iter().map(|&position| &plan.steps[position]) {
        for input in &reader.inputs {
            let Source::Step { step, port } = &input.source else { continue };
            if selected.contains(step) {
                continue;
            }
            let name = &plan.steps[*step].name;
            let file = release.state.steps.get(name).and_then(|released| released.outputs.get(port));
            if !file.is_some_and(&held) {
                return Err(RunError::NotReleased {
                    pipeline: plan.path.clone(),
                    reader: reader.name.clone(),
                    step: name.clone(),
                    port: port.clone(),
                });
            }
            wanted.insert(*step);
        }
    }
    Ok(wanted)
}

/// One run.
struct Run<'a> {
    plan: &'a Plan,
    options: &'a Options,
    world: &'a World<'a>,
    release: Release,
    /// Held until nothing but services is left to run.
    locks: Vec<Lock>,
    /// Made when the first file has to be put somewhere.
    staging: Option<Arc<Staging>>,
    states: Vec<State>,
    /// The outputs of each step that has any.
    made: Vec<Option<Outputs>>,
    /// How many steps each step still waits for.
    missing: Vec<usize>,
    /// The steps that wait for each step.
    readers: Vec<Vec<usize>>,
    /// Steps that wait for nothing more and are not decided yet.
    ready: BTreeSet<usize>,
    /// Steps that have to run and wait for threads or memory.
    queue: BTreeMap<usize, Job>,
    /// Steps that have to run at a later time.
    delayed: Vec<(Instant, usize, Job)>,
    /// Services, which start when everything else is over.
    services: BTreeSet<usize>,
    /// Steps at work.
    running: BTreeSet<usize>,
    tokens: Tokens,
    tally: Tally,
    saver: Saver,
    sender: Sender<(usize, Outcome)>,
}

impl<'a> Run<'a> {
    fn new(
        plan: &'a Plan,
        options: &'a Options,
        world: &'a World<'a>,
        held: wait::Held,
        sender: Sender<(usize, Outcome)>,
    ) -> Self {
        let count = plan.steps.len();
        let mut missing = vec![0; count];
        let mut readers = vec![Vec::new(); count];
        for &position in &options.selected {
            for &dependency in &plan.steps[position].dependencies {
                if options.selected.contains(&dependency) {
                    missing[position] += 1;
                    readers[dependency].push(position);
                }
            }
        }
        let ready = options.selected.iter().copied().filter(|&position| missing[position] == 0);
        Self {
            plan,
            options,
            world,
            release: held.release,
            locks: held.locks,
            staging: None,
            states: std::iter::repeat_with(|| State::Waiting).take(count).collect(),
            made: vec![None; count],
            ready: ready.collect(),
            missing,
            readers,
            queue: BTreeMap::new(),
            delayed: Vec::new(),
            services: BTreeSet::new(),
            running: BTreeSet::new(),
            tokens: Tokens::new(options.jobs),
            tally: Tally::default(),
            saver: Saver::new(),
            sender,
        }
    }

    fn ground(&self) -> Ground<'a> {
        let World { root, store, remote, .. } = *self.world;
        Ground { plan: self.plan, store, root, force: &self.options.force, remote }
    }

    /// Takes what the selected steps need from steps outside of the selection, as it was released.
    fn take_released(&mut self) -> Result<(), RunError> {
        let selected = &self.options.selected;
        for position in steps_before(self.plan, selected, &self.release, |file| self.heal(file))? {
            self.reuse_released(position);
        }
        Ok(())
    }

    fn stopping(&mut self) -> bool {
        let stopped = self.world.stop.load(Ordering::Relaxed);
        self.tally.stopped |= stopped;
        stopped || (!self.options.keep_going && self.tally.failed > 0)
    }

    fn tell(&self, event: Event) {
        self.world.listener.hear(&event);
    }
}
