//! What is said below a table of variants: which is best, how sure that is, what was asked, what went wrong.

use super::against::Untold;
use super::fields::Row;
use super::view::View;
use crate::steps::evaluate::user_values::Correction;
use crate::workflow::experiment::{Direction, Ended};

/// Failures that are shown with their errors.
const SHOWN_FAILURES: usize = 5;

/// The lines below a table.
pub fn notes(view: &View<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if view.hidden > 0 {
        notes.push(match view.several {
            false => format!("{} more: `recsys exp show {}`", view.hidden, view.rows[0].record.name),
            true => format!("{} more: raise `--top`", view.hidden),
        });
    }
    if view.rows.is_empty() {
        notes.push("no variant is left: loosen `--filter`".to_owned());
        return notes;
    }
    notes.extend(verdict(view));
    if view.several && view.rows.iter().any(|row| row.record.objective != view.objective) {
        notes.push(format!(
            "the experiments have several objectives: these are ranked by `{}`",
            view.objective.metric
        ));
    }
    if !view.front.is_empty() {
        let ends = view.front.iter().map(|(field, direction)| match direction {
            Direction::Maximize => format!("more `{field}`"),
            Direction::Minimize => format!("less `{field}`"),
        });
        let ends = ends.collect::<Vec<_>>().join(" and ");
        notes.push(format!("◆ no other variant has {ends} at once (Pareto front)"));
    }
    notes.extend(how_sure(view));
    notes.extend(unfinished(view));
    let failed: Vec<&Row<'_>> = view.rows.iter().filter(|row| row.variant.error.is_some()).collect();
    for row in failed.iter().take(SHOWN_FAILURES) {
        let error = row.variant.error.as_deref().unwrap_or_default();
        notes.push(format!("{} failed: {}", row.variant.name, error.lines().next().unwrap_or_default()));
    }
    if failed.len() > SHOWN_FAILURES {
        notes.push(format!("{} more failed", failed.len() - SHOWN_FAILURES));
    }
    notes
}

fn verdict(view: &View<'_>) -> Vec<String> {
    let objective = &view.objective.metric;
    let mut notes = Vec::new();
    match view.best {
        Some((_, best)) if view.rows.iter().any(|row| view.is_best(row)) => {
            notes.push(format!("★ best by `{objective}`: {}", best.name));
        }
        Some((_, best)) => notes.push(format!("best by `{objective}`, not among these: {}", best.name)),
        None => notes.push("no variant can be chosen".to_owned()),
    }
    let Some(one) = view.one else { return notes };
    let (step, metric) = (&view.metric.step, &view.metric);
    match view.untold {
        Some(Untold::NoTable) => notes.push(format!(
            "for paired tests let `{step}` write values by user: give it the output `user_metrics`, as in \
             pipelines/als.yaml"
        )),
        Some(Untold::NoColumn) => notes.push(format!("`{metric}` has no values by user: no paired tests")),
        Some(Untold::Gone) => notes.push(format!(
            "no paired tests: the values by user that `{step}` wrote are not in the store; `recsys exp run` makes \
             them again"
        )),
        None => {}
    }
    if view.compared == 0 {
        return notes;
    }
    if view.correction == Correction::Picked {
        notes.push(match view.alike.as_slice() {
            [] => "every other one is worse than the best of them (p < 0.05)".to_owned(),
            few if few.len() <= 4 => format!("may be as good (p ≥ 0.05): {}", few.join(" · ")),
            many => {
                format!("may be as good (p ≥ 0.05): {} and {} more", many[..3].join(" · "), many.len() - 3)
            }
        });
    } else {
        let told = view.rows.iter().filter_map(|row| row.against).filter(|against| against.same_data);
        let (mut n, mut differ) = (0, 0);
        for against in told {
            n += 1;
            differ += usize::from(against.p_value < 0.05);
        }
        notes.push(format!("by `{metric}` {differ} of {n} differ from {} (p < 0.05)", one.name));
    }
    notes
}

fn how_sure(view: &View<'_>) -> Vec<String> {
    let told: Vec<_> = view.rows.iter().filter_map(|row| row.against).collect();
    let (Some(low), Some(high)) = (told.iter().map(|a| a.users).min(), told.iter().map(|a| a.users).max())
    else {
        return Vec::new();
    };
    let users = if low == high { low.to_string() } else { format!("{low} to {high}") };
    let correction = match (view.correction, view.compared) {
        (_, 1) => String::new(),
        (Correction::Named, n) => format!(", Holm-corrected for {n} comparisons"),
        (Correction::Picked, n) => {
            format!(", times {n} (Bonferroni): so it holds although the same data picked the best")
        }
    };
    let is_best = view.best.zip(view.one).is_some_and(|((_, best), one)| std::ptr::eq(best, one));
    let whose = if is_best { "the best" } else { view.one.map_or("", |one| &one.name) };
    let mut notes = vec![format!(
        "difference to {whose} over {users} users, each interval by itself · p: paired t-test{correction}"
    )];
    if told.iter().any(|against| !against.same_data) {
        notes.push(
            "† measured on other data or in another way than what it is compared with: the difference is not that of \
             the models alone"
                .to_owned(),
        );
    }
    notes
}

fn unfinished(view: &View<'_>) -> Option<String> {
    let waiting = view.rows.iter().filter(|row| row.variant.ended == Ended::NotRun).count();
    let record = view.rows.iter().find(|row| row.variant.ended == Ended::NotRun)?.record;
    let n = if waiting == 1 { "1 variant".to_owned() } else { format!("{waiting} variants") };
    Some(format!("{n} did not get their turn: `recsys exp run {}` continues", record.path.display()))
}

/// A p-value for people.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}
