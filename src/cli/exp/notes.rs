//! What is said below a table of variants: which is best, how sure that is, what was asked, what went wrong.

use super::fields::Row;
use super::table::View;
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
    let metric = &view.objective.metric;
    let mut notes = Vec::new();
    let best = view.rows.iter().find(|row| view.is_best(row));
    match (best, &view.one) {
        (Some(best), _) => notes.push(format!("★ best by `{metric}`: {}", best.variant.name)),
        (None, Some((_, best, Correction::Picked))) => {
            notes.push(format!("best by `{metric}`, not among these: {}", best.name));
        }
        (None, None) => notes.push("no variant can be chosen".to_owned()),
        _ => {}
    }
    let Some((_, one, correction)) = view.one else { return notes };
    let told: Vec<&Row<'_>> = view.rows.iter().filter(|row| row.against.is_some()).collect();
    if told.is_empty() {
        if view.rows.iter().filter(|row| row.variant.ended == Ended::Done).count() > 1 {
            notes.push(format!(
                "for paired tests let the step `{0}` write values by user: give it the output `user_metrics`, as in \
                 pipelines/als.yaml",
                metric.step
            ));
        }
        return notes;
    }
    let level = |row: &&&Row<'_>| row.against.is_some_and(|against| against.p_value >= 0.05);
    if correction == Correction::Picked {
        let equals: Vec<&str> = told.iter().filter(level).map(|row| row.variant.name.as_str()).collect();
        notes.push(match equals.as_slice() {
            [] => "every other one is worse than the best of them (p < 0.05)".to_owned(),
            few if few.len() <= 4 => format!("may be as good (p ≥ 0.05): {}", few.join(" · ")),
            many => {
                format!("may be as good (p ≥ 0.05): {} and {} more", many[..3].join(" · "), many.len() - 3)
            }
        });
    } else {
        let differ = told.len() - told.iter().filter(level).count();
        notes.push(format!(
            "compared with {}: {differ} of {} differ from it (p < 0.05)",
            one.name,
            told.len()
        ));
    }
    notes
}

fn how_sure(view: &View<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let Some((_, _, correction)) = view.one else { return notes };
    let told: Vec<_> = view.rows.iter().filter_map(|row| row.against).collect();
    if told.is_empty() {
        return notes;
    }
    let users = (told.iter().map(|a| a.users).min(), told.iter().map(|a| a.users).max());
    let users = match users {
        (Some(low), Some(high)) if low != high => format!("{low} to {high}"),
        (Some(users), _) => users.to_string(),
        _ => String::new(),
    };
    let correction = match correction {
        Correction::Named => format!("Holm-corrected for {} comparisons", view.compared),
        Correction::Picked => format!(
            "times {} (Bonferroni), so that it holds although the best was picked by the same data",
            view.compared
        ),
    };
    let whose = if view.one.is_some_and(|(_, _, how)| how == Correction::Picked) {
        "the best"
    } else {
        "the baseline"
    };
    notes.push(format!(
        "difference to {whose} over {users} users, its interval by itself · p: paired t-test, {correction}"
    ));
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
    let waiting = waiting + if waiting > 0 { 0 } else { return None };
    let record = view.rows.iter().find(|row| row.variant.ended == Ended::NotRun)?.record;
    let n = if waiting == 1 { "1 variant".to_owned() } else { format!("{waiting} variants") };
    Some(format!("{n} did not get their turn: `recsys exp run {}` continues", record.path.display()))
}

/// A p-value for people.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}
