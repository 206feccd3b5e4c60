//! The table at the end of a run: models by falling NDCG, with intervals and an honest verdict.
//!
//! A text, not a print: who shows it, and where, is not decided here. At most 110 columns wide.

use comfy_table::{CellAlignment, Table, TableComponent, presets};

use super::compare::{Comparison, ModelReport, Value, is_significant};
use super::metric::Metric;
use super::protocol::{ItemsCounted, Protocol, SeenItems, UsersCounted};

/// |t| at the 5 % level when there are many users.
const CRITICAL_T: f64 = 1.96;

/// The comparison as text; its last line says the protocol in words.
pub fn render(comparison: &Comparison) -> String {
    let k = comparison.compare_at;
    let mut models: Vec<&ModelReport> = comparison.models.values().collect();
    models.sort_by(|a, b| ndcg(b, k).value.total_cmp(&ndcg(a, k).value));
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_style(TableComponent::HeaderLines, '─');
    table.set_header(vec![
        "  model".to_owned(),
        format!("NDCG@{k}"),
        "95 % interval".to_owned(),
        "recall".to_owned(),
        "MAP".to_owned(),
        "hit rate".to_owned(),
        "coverage".to_owned(),
        "novelty".to_owned(),
        format!("vs {}", shortened(&comparison.baseline, 10)),
        "p".to_owned(),
    ]);
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    for (place, model) in models.iter().enumerate() {
        table.add_row(row(comparison, model, place == 0));
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    for line in notes(comparison, &models) {
        text.push('\n');
        text.push_str(&line);
    }
    text
}

fn row(comparison: &Comparison, model: &ModelReport, is_best: bool) -> Vec<String> {
    let k = comparison.compare_at;
    let number = |metric: Metric| model.value(metric, k).value;
    let ndcg = ndcg(model, k);
    let (gain, p) = match model.against_baseline.iter().find(|versus| versus.k == k) {
        None => ("baseline".to_owned(), String::new()),
        Some(versus) => {
            let base = ndcg.value - versus.test.mean_difference;
            let mark = match is_significant(versus.p_holm) {
                true if versus.test.mean_difference > 0.0 => "▲",
                true => "▼",
                false => "≈",
            };
            (relative(versus.test.mean_difference, base), format!("{} {mark}", p_value(versus.p_holm)))
        }
    };
    vec![
        format!("{}{}", if is_best { "★ " } else { "  " }, shortened(&model.model, 12)),
        format!("{:.4}", ndcg.value),
        interval(ndcg),
        format!("{:.4}", number(Metric::Recall)),
        format!("{:.4}", number(Metric::Map)),
        percent(number(Metric::HitRate)),
        percent(number(Metric::CoverageItems)),
        format!("{:.2}", number(Metric::Novelty)),
        gain,
        p,
    ]
}

/// What the signs mean, whether the best is really ahead, and who was counted.
fn notes(comparison: &Comparison, models: &[&ModelReport]) -> Vec<String> {
    let (k, baseline) = (comparison.compare_at, &comparison.baseline);
    let mut notes = Vec::new();
    if models.len() > 1 {
        notes.push(format!(
            "★ best · ▲ better, ▼ worse, ≈ no significant difference (5 % level) to `{}`",
            shortened(baseline, 30)
        ));
        notes.push(format!(
            "all at k = {k} · p: paired t-test on the NDCG of each user, Holm-corrected · novelty in bits"
        ));
    }
    if let Some(lead) =
        comparison.lead.as_ref().filter(|lead| lead.best != *baseline && lead.second != *baseline)
    {
        let p = lead.test.p_t_test;
        let verdict = match lead.test.users_needed(CRITICAL_T) {
            _ if is_significant(p) => "significant".to_owned(),
            Some(needed) => format!("not significant: about {} users would tell", grouped(needed)),
            None => "no difference".to_owned(),
        };
        notes.push(format!(
            "`{}` leads `{}` by {:.4} (p {}, {verdict})",
            shortened(&lead.best, 20),
            shortened(&lead.second, 20),
            lead.test.mean_difference,
            p_with_sign(p)
        ));
    }
    if let Some(model) = models.first() {
        notes.push(protocol(model, k));
    }
    notes
}

/// The protocol in words.
fn protocol(model: &ModelReport, k: usize) -> String {
    let Protocol { novel_only, users, items, seen_items, bootstrap_samples, .. } = model.protocol;
    let mut parts = vec![format!("{} users", grouped(model.counts.evaluated_users))];
    match users {
        UsersCounted::Warm => parts[0].push_str(" with history"),
        UsersCounted::All => parts[0].push_str(" with or without history"),
    }
    if users == UsersCounted::Warm && model.counts.cold_users > 0 {
        parts[0].push_str(&format!(" ({} cold ones left out)", grouped(model.counts.cold_users)));
    }
    parts.push(format!("k = {k}"));
    parts.push(if novel_only { "novel items only" } else { "known items may be hits" }.to_owned());
    parts.push(match items {
        ItemsCounted::All => format!("{} items", grouped(model.counts.catalogue)),
        ItemsCounted::Warm => format!("{} items with history", grouped(model.counts.catalogue)),
    });
    if seen_items == SeenItems::Skip {
        parts.push("known items skipped in lists".to_owned());
    }
    if bootstrap_samples > 0 {
        parts.push(format!("{} resamples", grouped(bootstrap_samples)));
    }
    wrapped("protocol: ", &parts)
}

/// Parts with dots between them, in lines of at most 110 columns.
fn wrapped(title: &str, parts: &[String]) -> String {
    let mut text = title.to_owned();
    let mut width = title.chars().count();
    for (place, part) in parts.iter().enumerate() {
        let part = if place == 0 { part.clone() } else { format!(" · {part}") };
        if width + part.chars().count() > 110 {
            text.push_str("\n ");
            width = 1;
        }
        width += part.chars().count();
        text.push_str(&part);
    }
    text
}

fn ndcg(model: &ModelReport, k: usize) -> &Value {
    model.value(Metric::Ndcg, k)
}

fn interval(value: &Value) -> String {
    match (value.low, value.high) {
        (Some(low), Some(high)) => format!("{low:.4}–{high:.4}"),
        _ => "–".to_owned(),
    }
}

/// A difference as a share of what it is compared with; absolute where that is nothing.
fn relative(difference: f64, base: f64) -> String {
    match difference / base {
        share if base <= 1e-12 || share.is_nan() => format!("{difference:+.4}"),
        share if share >= 9.0 => format!("× {:.1}", 1.0 + share),
        share => format!("{:+.1} %", 100.0 * share),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// A p-value with its sign, such as `= 0.210` or `< 0.001`.
pub(crate) fn p_with_sign(p: f64) -> String {
    if p < 0.001 { p_value(p) } else { format!("= {}", p_value(p)) }
}

/// Digits in groups of three.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A name that does not push the table over its width.
pub(super) fn shortened(name: &str, longest: usize) -> String {
    if name.chars().count() <= longest {
        return name.to_owned();
    }
    let start: String = name.chars().take(longest - 1).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::comparison;
    use super::*;

    #[test]
    fn the_table_shows_models_by_falling_ndcg_with_a_verdict() {
        let text = render(&comparison(["fair", "good", "poor"], "poor"));
        insta::assert_snapshot!(text, @r"
          model  NDCG@2  95 % interval  recall     MAP  hit rate  coverage  novelty   vs poor          p
        ──────────────────────────────────────────────────────────────────────────────────────────────────
        ★ good   0.9833  0.9500–1.0000  0.9833  0.9833    98.3 %    75.0 %     5.91    × 59.0  < 0.001 ▲
          fair   0.6309  0.6309–0.6309  1.0000  0.5000   100.0 %    50.0 %     5.91    × 37.9  < 0.001 ▲
          poor   0.0167  0.0000–0.0500  0.0167  0.0167     1.7 %    75.0 %     5.91  baseline

        ★ best · ▲ better, ▼ worse, ≈ no significant difference (5 % level) to `poor`
        all at k = 2 · p: paired t-test on the NDCG of each user, Holm-corrected · novelty in bits
        `good` leads `fair` by 0.3524 (p < 0.001, significant)
        protocol: 60 users with history · k = 2 · novel items only · 4 items · 200 resamples
        ");
    }

    #[test]
    fn no_line_is_wider_than_110_columns() {
        let names = [
            "a_model_with_a_very_long_name",
            "b_model_with_a_very_long_name",
            "c_model_with_a_very_long_name",
        ];
        for line in render(&comparison(names, names[0])).lines() {
            assert!(line.chars().count() <= 110, "{line}");
        }
    }

    #[test]
    fn a_long_protocol_goes_on_in_the_next_line() {
        let parts = ["a".repeat(60), "b".repeat(60), "c".to_owned()];
        let expected = format!("to: {}\n  · {} · c", "a".repeat(60), "b".repeat(60));
        assert_eq!(wrapped("to: ", &parts), expected);
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([grouped(7), grouped(1_234), grouped(1_373_221)], ["7", "1,234", "1,373,221"]);
        assert_eq!(
            [relative(0.01, 0.05), relative(0.01, 0.0), relative(0.5, 0.01)],
            ["+20.0 %", "+0.0100", "× 51.0"]
        );
        assert_eq!((p_value(0.0004), p_with_sign(0.21)), ("< 0.001".to_owned(), "= 0.210".to_owned()));
        assert_eq!(shortened("a_very_long_model_name", 12), "a_very_long…");
    }
}
