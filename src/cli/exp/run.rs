//! `recsys exp run`: every variant of an experiment, as one plan, rung by rung.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::choice::Choice;
use super::collect::{Collector, StepFacts, WithoutTexts};
use super::ladder::Ladder;
use super::planner::Planner;
use super::recorded::{self, Facts};
use super::tracked::Tracked;
use super::view::View;
use super::{dry_run, verdict};
use crate::cli::cache_remote::CacheFrom;
use crate::cli::session::{self, Stop};
use crate::cli::sheet::Format;
use crate::cli::workspace::store;
use crate::cli::{CommandError, project};
use crate::console::{self, LogFormat, remark, say};
use crate::workflow::decide::{Force, Ground};
use crate::workflow::event::{Listener, Tally};
use crate::workflow::executor::{self, Options, World};
use crate::workflow::experiment::space::shown;
use crate::workflow::experiment::{Experiment, ExperimentRecord};
use crate::workflow::forecast;
use crate::workflow::history::RunRecord;
use crate::workflow::release::Release;
use crate::workflow::remote::ReadThrough;
use crate::workflow::spec::Overrides;
use crate::workflow::store::Store;

/// Run the variants of an experiment as one plan.
///
/// Steps that would make the same are one step: preprocessing and split happen once for a hundred variants,
/// and what any run has made before is taken from the store. A variant that fails does not stop the others; an
/// experiment that was interrupted continues where it stopped. With `successive_halving` in its space every variant
/// gets a little of a resource, those that do best get more, rung by rung.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys exp run configs/experiments/als.yaml
  recsys exp run configs/experiments/als.yaml --dry-run     how many steps, how many of them are shared
  recsys exp run configs/experiments/als.yaml --var raw=data/raw

What `--config`, `--var` and `--set` change holds for every variant; it is remembered, and `recsys exp
promote` applies it as well.")]
pub struct RunArgs {
    /// The experiment file
    experiment: PathBuf,

    /// Take values for every variant from a file: `vars:` and, under `steps:`, parameters by step
    #[arg(long = "config", value_name = "FILE")]
    configs: Vec<PathBuf>,

    /// Change a variable of the pipeline in every variant
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = project::name_and_value)]
    vars: Vec<String>,

    /// Change a parameter of a step in every variant
    #[arg(long = "set", value_name = "STEP.PARAMETER=VALUE", value_parser = project::step_parameter_and_value)]
    set: Vec<String>,

    /// Say what would run; do nothing
    #[arg(long)]
    dry_run: bool,

    /// Threads for steps that run at the same time [default: one per core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,

    /// Show no more than the N best variants at the end
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,

    #[command(flatten)]
    cache_from: CacheFrom,

    /// Results that no release needs go when the store grows beyond this
    #[arg(long, env = "RECSYS_CACHE_SIZE", value_name = "SIZE", default_value = crate::cli::cache::DEFAULT_SIZE, value_parser = crate::cli::cache::size)]
    cache_size: u64,

    /// How to tell of the run
    #[arg(long, env = "RECSYS_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// Runs the experiment, keeps what came out and shows it.
///
/// # Errors
/// When the file or a variant is wrong, a step fails, or the run is stopped.
pub fn run(args: &RunArgs, root: &Path) -> Result<(), CommandError> {
    let experiment = Experiment::read(&args.experiment).map_err(CommandError::usage)?;
    let more = Overrides { configs: args.configs.clone(), vars: args.vars.clone(), set: args.set.clone() };
    let planner = Planner { experiment: &experiment, more: &more, root };
    let variables = planner.check_names()?;
    let mut ladder = Ladder::new(planner)?;
    let store = store(root);
    tell_of_equal(&experiment, &ladder);
    // A dry run ends at once on Ctrl-C.
    let stop = LazyCell::new(Stop::on_signals);
    let flag = if args.dry_run { Arc::default() } else { stop.flag() };
    let remote = args.cache_from.open(root, flag)?;
    if args.dry_run {
        let scene = Scene { store: &store, root, remote: remote.as_ref() };
        return dry_run::tell(&experiment, &mut ladder, &scene, args.log_format);
    }
    let tracked = Tracked::new(&experiment, &ladder, root)?;
    store.stop_on(stop.flag());
    let work = Work {
        args,
        experiment: &experiment,
        more: &more,
        store: &store,
        root,
        remote: remote.as_ref(),
        stop: &stop,
        tracked: &tracked,
    };
    let end = |record| tracked.finish(record, stop.is_set(), args.log_format);
    let (mut record, tally) = work.climb(&mut ladder).inspect_err(|_| end(None))?;
    record.variables = variables;
    record.keep(&ExperimentRecord::folder(store.folder())).map_err(CommandError::failed)?;
    if tally.finished > 0 {
        session::trim(&store, args.cache_size);
    }
    if args.log_format == LogFormat::Text {
        let view = View::of_one(&record);
        say(&view.choose(&Choice::top(args.top), &store)?.render(Format::Table));
    }
    end(Some(&record));
    stop.verdict(&tally)?;
    verdict::check(&record, &store)
}

/// Settings that make no difference are a slip of the pen, or a space that is larger than it looks.
fn tell_of_equal(experiment: &Experiment, ladder: &Ladder<'_>) {
    if experiment.equal > 0 {
        let were = if experiment.equal == 1 {
            "1 setting is"
        } else {
            &format!("{} settings are", experiment.equal)
        };
        remark(&format!("{were} equal to another one, and tried once"));
    }
    let same = ladder.same();
    for (variant, earlier) in same.iter().take(5) {
        let name = |position: &usize| &experiment.variants[*position].name;
        remark(&format!(
            "{} and {} come to the same: no step that counts depends on what differs",
            name(variant),
            name(earlier)
        ));
    }
    if same.len() > 5 {
        remark(&format!("and {} more variants that come to the same as another one", same.len() - 5));
    }
}

/// Where results are.
pub struct Scene<'a> {
    /// `cache/`.
    pub store: &'a Store,
    /// The project folder.
    pub root: &'a Path,
    /// Results that others have made.
    pub remote: Option<&'a ReadThrough>,
}

/// What running the rungs needs.
struct Work<'a> {
    args: &'a RunArgs,
    experiment: &'a Experiment,
    more: &'a Overrides,
    store: &'a Store,
    root: &'a Path,
    remote: Option<&'a ReadThrough>,
    stop: &'a Stop,
    tracked: &'a Tracked<'a>,
}

impl Work<'_> {
    /// Runs rung after rung; of a rung whose results are all in the store nothing is run until the last.
    fn climb(&self, ladder: &mut Ladder<'_>) -> Result<(ExperimentRecord, Tally), CommandError> {
        let last = self.experiment.n_rungs() - 1;
        let mut facts = Facts::new();
        let mut done = BTreeSet::new();
        let mut tally = Tally::default();
        loop {
            let rung = ladder.rungs.len() - 1;
            let all = ladder.positions();
            let known = if rung < last { known(ladder, &all, self.store, self.root)? } else { None };
            match known {
                Some(known) => facts.extend(known),
                None => {
                    let selected: BTreeSet<usize> = all.difference(&done).copied().collect();
                    let of_rung = self.execute(ladder, selected, &mut facts)?;
                    tally = together(tally, of_rung);
                    done = all;
                }
            }
            let record = recorded::record(self.experiment, self.more, ladder, &facts, self.store);
            let next = survivors(self.experiment, &record, ladder.rungs[rung].len(), rung);
            if rung == last || next.is_empty() || tally.is_stopped() {
                return Ok((record, tally));
            }
            self.tell_of_next(rung + 1, &next, ladder.rungs[rung].len());
            ladder.climb(next)?;
        }
    }

    fn execute(
        &self,
        ladder: &Ladder<'_>,
        selected: BTreeSet<usize>,
        facts: &mut Facts,
    ) -> Result<Tally, CommandError> {
        let record = RunRecord::new(&self.store.runs());
        let (name, logs) = (record.name(), record.logs());
        let collector = Arc::new(Collector::default());
        let mut listeners: Vec<Box<dyn Listener>> = vec![
            Box::new(record),
            Box::new(WithoutTexts(console::listener(self.args.log_format))),
            Box::new(Arc::clone(&collector)),
        ];
        let tracked = self.tracked.on_rung(ladder, &name);
        listeners.extend(tracked.map(|log| Box::new(log) as Box<dyn Listener>));
        let options = Options {
            selected,
            force: Force::Nothing,
            jobs: session::jobs(self.args.jobs),
            keep_going: true,
            witness: None,
        };
        let flag = self.stop.flag();
        let world = World {
            root: self.root,
            store: self.store,
            run: &name,
            logs: &logs,
            listener: &listeners,
            stop: &flag,
            remote: self.remote,
        };
        let tally = executor::run(&ladder.merged.plan, &options, &world).map_err(CommandError::failed)?;
        facts.extend(collector.take());
        Ok(tally)
    }

    fn tell_of_next(&self, rung: usize, next: &[usize], of: usize) {
        let Some(halving) =
            self.experiment.halving.as_ref().filter(|_| self.args.log_format == LogFormat::Text)
        else {
            return;
        };
        let names: Vec<&str> =
            next.iter().take(8).map(|&variant| self.experiment.variants[variant].name.as_str()).collect();
        let more = if next.len() > 8 { format!(" and {} more", next.len() - 8) } else { String::new() };
        remark(&format!(
            "rung {} of {}: {} of {of} variants go on with {}={}: {}{more}",
            rung + 1,
            self.experiment.n_rungs(),
            next.len(),
            halving.resource,
            shown(&self.experiment.rungs[rung]),
            names.join(" · ")
        ));
    }
}

/// What is known of the steps when none of them would run.
///
/// # Errors
/// When an input file cannot be read.
pub fn known(
    ladder: &Ladder<'_>,
    positions: &BTreeSet<usize>,
    store: &Store,
    root: &Path,
) -> Result<Option<Facts>, CommandError> {
    let plan = &ladder.merged.plan;
    // What is elsewhere only has to be fetched first: a run does that.
    let ground = Ground { plan, store, root, force: &Force::Nothing, remote: None };
    let release = Release::open(root, store, &plan.name);
    let known = forecast::results(&ground, positions, &release).map_err(CommandError::failed)?;
    let facts = known.map(|known| {
        let facts = known.into_iter().map(|(position, known)| {
            let facts =
                StepFacts { is_done: true, error: None, metrics: known.metrics, key: Some(known.key.whole) };
            (plan.steps[position].name.clone(), facts)
        });
        facts.collect()
    });
    Ok(facts)
}

/// The variants that go on to the next rung.
pub fn survivors(
    experiment: &Experiment,
    record: &ExperimentRecord,
    entered: usize,
    rung: usize,
) -> Vec<usize> {
    let Some(halving) = &experiment.halving else { return Vec::new() };
    let on_rung = record.variants.iter().enumerate().filter(|(_, variant)| variant.rung == rung);
    let candidates: Vec<(usize, f64)> = on_rung
        .filter(|(_, variant)| record.is_candidate(variant))
        .filter_map(|(position, variant)| Some((position, record.objective.value(&variant.metrics)?)))
        .collect();
    halving.choose(entered, &candidates, &experiment.objective)
}

fn together(one: Tally, other: Tally) -> Tally {
    Tally {
        finished: one.finished + other.finished,
        reused: one.reused + other.reused,
        failed: one.failed + other.failed,
        skipped: one.skipped + other.skipped,
        stopped: one.stopped || other.stopped,
        elapsed: one.elapsed.saturating_add(other.elapsed).max(Duration::ZERO),
    }
}
