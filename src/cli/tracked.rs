//! What commands that run steps do about tracking: is it asked for, who listens, what is said in the end.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::CommandError;
use crate::console::{self, LogFormat};
use crate::tracking::courier::Outcome;
use crate::tracking::pipeline::PipelineLog;
use crate::tracking::server::{self, Credentials, Destination};
use crate::tracking::whole::Scene;
use crate::tracking::{settings, spool};
use crate::workflow::history::now;
use crate::workflow::plan::Plan;
use crate::workflow::spec::Spec;
use crate::workflow::values::Scope;

/// Whether the environment asks for tracking in a project that never did any: what is up to date is logged once. A
/// file that asks for it is another file than before, and found to be so.
pub fn begins_with_this(root: &Path) -> bool {
    std::env::var_os(server::SWITCH).is_some_and(|value| value != "off") && !spool::has_known(root)
}

/// Adds what is wrong with `tracking:` to the mistakes of a pipeline.
pub fn check(spec: &mut Spec) {
    let found = spec.tracking.as_ref().map(settings::faults);
    spec.faults.extend(found.unwrap_or_default());
}

/// Where runs of a plan are logged, and who logs them; nothing when nobody asked for it.
///
/// # Errors
/// When tracking is asked for in a way that cannot be followed.
pub fn destination(plan: &Plan, root: &Path) -> Result<Option<(Destination, Credentials)>, CommandError> {
    let scope = Scope::from_environment(root);
    let found = server::destination(plan.tracking.as_deref(), &plan.name, |name| scope.env(name));
    let destination = found.map_err(CommandError::usage)?;
    Ok(destination.map(|destination| (destination, credentials(root))))
}

/// Who asks, by the environment and `.env`.
pub fn credentials(root: &Path) -> Credentials {
    let scope = Scope::from_environment(root);
    Credentials::of_environment(|name| scope.env(name))
}

/// The log of a run of a pipeline.
///
/// # Errors
/// See [`destination`].
pub fn pipeline(
    plan: &Plan,
    configs: &[PathBuf],
    root: &Path,
    run: &str,
) -> Result<Option<PipelineLog>, CommandError> {
    let files = [plan.path.clone()].into_iter().chain(configs.iter().cloned()).collect();
    let log = |(destination, credentials)| {
        PipelineLog::new(plan, destination, credentials, Scene { root, run, files })
    };
    Ok(destination(plan, root)?.map(log))
}

/// Says what became of the log of a run, in one line after all others.
pub fn tell(outcome: Option<Outcome>, root: &Path, format: LogFormat) {
    let Some(outcome) = outcome else { return };
    let line = line(&outcome, spool::all(root).len());
    match format {
        LogFormat::Text => console::remark(&line),
        LogFormat::Json => {
            let Outcome { link, left, .. } = &outcome;
            let event =
                json!({ "time": now(), "event": "run_tracked", "link": link, "left": left, "message": line });
            console::remark(&event.to_string());
        }
    }
}

fn line(outcome: &Outcome, waiting: usize) -> String {
    let refused = match outcome.refused.as_slice() {
        [] => String::new(),
        [one] => format!("; the server refused one thing: {one}"),
        [first, ..] => format!("; the server refused {} things, the first: {first}", outcome.refused.len()),
    };
    let Some(why) = &outcome.why else {
        let link = outcome.link.as_deref().unwrap_or("done");
        return format!("tracked: {link}{refused}");
    };
    if outcome.left == 0 {
        return format!("not tracked: {why}{refused}");
    }
    let entries =
        if outcome.left == 1 { "1 entry waits".to_owned() } else { format!("{} entries wait", outcome.left) };
    let others = match waiting {
        0 | 1 => String::new(),
        2 => " (and another run)".to_owned(),
        several => format!(" (and {} other runs)", several - 1),
    };
    format!(
        "not all is tracked: {entries}{others}, because the server cannot be told: {why}; `recsys track sync` sends it later{refused}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_one_line() {
        let sent = Outcome { link: Some("http://h/#/experiments/1/runs/2".to_owned()), ..Outcome::default() };
        assert_eq!(line(&sent, 0), "tracked: http://h/#/experiments/1/runs/2");
        let left = Outcome { left: 12, why: Some("connection refused".to_owned()), ..Outcome::default() };
        assert_eq!(
            line(&left, 1),
            "not all is tracked: 12 entries wait, because the server cannot be told: connection refused; `recsys track sync` sends it later"
        );
        assert!(line(&left, 3).contains("(and 2 other runs)"));
    }
}
