//! What is made of an experiment's results, through the real binary:
//! 1. intervals, differences and p-values are those of SciPy on the same values by user;
//! 2. filters, sorting, Pareto fronts, baselines and formats; several experiments beside each other;
//! 3. what the command line changed is remembered, and promoted; a run that fails promotes nothing;
//! 4. records that cannot be read are told.

use polars::prelude::*;
use serde_json::{Value, json};

use crate::experiment::{EXPERIMENT, project, record};
use crate::project::{Project, python_with};

const RUN: [&str; 3] = ["exp", "run", "configs/experiments/size.yaml"];

fn ran(experiment: &str) -> Project {
    let project = project(experiment);
    let run = project.call(&RUN);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    project
}

fn show(project: &Project, args: &[&str]) -> Value {
    let call = project.call(&[&["exp", "show", "size", "--format", "json"], args].concat());
    assert_eq!(call.code, 0, "{}", call.stderr);
    serde_json::from_str(&call.stdout).unwrap()
}

fn names(shown: &Value) -> Vec<&str> {
    shown["variants"].as_array().unwrap().iter().map(|variant| variant["name"].as_str().unwrap()).collect()
}

/// NDCG@10 by user, as `validate` wrote it for a variant.
fn by_user(project: &Project, variant: &str) -> Vec<(i64, f64)> {
    let path = project.path(&format!("artifacts/experiments/size/validate@{variant}/user_metrics.parquet"));
    let table = ParquetReader::new(std::fs::File::open(path).unwrap()).finish().unwrap();
    let users = table.column("user_id").unwrap().cast(&DataType::Int64).unwrap();
    let values = table.column("als.ndcg@10").unwrap().f64().unwrap().clone();
    users.i64().unwrap().iter().zip(values.iter()).map(|(u, v)| (u.unwrap(), v.unwrap())).collect()
}

const SCIPY: &str = "
import json, sys
from scipy import stats
tables = json.load(sys.stdin)
def paired(one, other):
    a, b = dict(one), dict(other)
    users = sorted(set(a) & set(b))
    test = stats.ttest_rel([a[u] for u in users], [b[u] for u in users])
    low, high = test.confidence_interval(0.95)
    difference = sum(a[u] - b[u] for u in users) / len(users)
    return dict(users=len(users), difference=difference, low=low, high=high, p=test.pvalue)
json.dump({one: {other: paired(tables[one], tables[other]) for other in tables if other != one} for one in tables}, sys.stdout)
";

#[test]
fn numbers_are_those_of_scipy() {
    let Some(python) = python_with("scipy") else { return };
    let project = ran(EXPERIMENT);
    let best = show(&project, &[]);
    let variants = ["factors=2", "factors=4", "factors=8"];
    let tables: Value =
        variants.map(|name| (name.to_owned(), json!(by_user(&project, name)))).into_iter().collect();
    let mut child = std::process::Command::new(python)
        .args(["-c", SCIPY])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), tables.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let scipy: Value = serde_json::from_slice(&output.stdout).unwrap();

    let close = |found: &Value, expected: f64| {
        let found = found.as_f64().unwrap();
        assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1e-3), "{found} is not {expected}");
    };
    let check = |shown: &Value, one: &str, correct: &dyn Fn(&[f64], f64) -> f64| {
        let others: Vec<&str> = variants.into_iter().filter(|name| *name != one).collect();
        let p_values: Vec<f64> =
            others.iter().map(|other| scipy[*other][one]["p"].as_f64().unwrap()).collect();
        for other in &others {
            let variant = shown["variants"].as_array().unwrap().iter().find(|v| v["name"] == *other).unwrap();
            let (found, expected) = (&variant["against"], &scipy[*other][one]);
            assert_eq!(found["users"], expected["users"]);
            for end in ["difference", "low", "high"] {
                close(&found[end], expected[end].as_f64().unwrap());
            }
            close(&found["p_value"], correct(&p_values, expected["p"].as_f64().unwrap()));
        }
    };
    // Against the best: times the number of comparisons.
    check(&best, names(&best)[0], &|all, p| (p * all.len() as f64).min(1.0));
    // Against one that was named and is not the best: Holm's steps, here for two comparisons.
    let named = names(&best)[1].to_owned();
    let shown = show(&project, &["--baseline", &named]);
    assert_eq!(shown["compared_with"]["correction"], "Holm");
    check(&shown, &named, &|all, p| {
        let smallest = all.iter().copied().fold(f64::INFINITY, f64::min);
        if p == smallest { (2.0 * p).min(1.0) } else { p.max((2.0 * smallest).min(1.0)) }
    });
    // The interval of a variant's own value is a bootstrap's: near mean ± 1.96 standard errors.
    for variant in best["variants"].as_array().unwrap() {
        let values: Vec<f64> =
            by_user(&project, variant["name"].as_str().unwrap()).into_iter().map(|pair| pair.1).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let error = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
        close(&variant["metrics"]["validate.als.ndcg@10"], mean);
        let ends = &variant["intervals"]["validate.als.ndcg@10"];
        for (place, expected) in [mean - 1.96 * error, mean + 1.96 * error].into_iter().enumerate() {
            assert!((ends[place].as_f64().unwrap() - expected).abs() < 0.35 * error, "{ends} {expected}");
        }
    }
}

#[test]
fn what_is_shown_can_be_chosen() {
    let project = ran(&(EXPERIMENT.to_owned() + "report: [evaluate.als.ndcg@10]\n"));
    let all = show(&project, &[]);
    let order = names(&all);
    let value = |name: &str, metric: &str| {
        let variant = all["variants"].as_array().unwrap().iter().find(|v| v["name"] == name).unwrap();
        variant["metrics"][metric].as_f64().unwrap()
    };
    assert_eq!(names(&show(&project, &["--top", "1"])), order[..1]);
    assert_eq!(names(&show(&project, &["--filter", "factors=4"])), ["factors=4"]);
    assert_eq!(
        names(&show(&project, &["--filter", "vars.factors != 4", "--sort", "factors:desc"])),
        ["factors=8", "factors=2"]
    );
    let bound = format!("ndcg@10 >= {}", value(order[1], "validate.als.ndcg@10"));
    assert_eq!(names(&show(&project, &["--filter", &bound])), order[..2]);
    assert_eq!(names(&show(&project, &["--filter", "time < 1h", "--filter", "state=done"])).len(), 3);
    assert_eq!(names(&show(&project, &["--filter", "state=failed"])), [""; 0]);
    let mut by_coverage = order.clone();
    let coverage = "validate.als.coverage_items@10";
    by_coverage.sort_by(|a, b| value(b, coverage).total_cmp(&value(a, coverage)));
    assert_eq!(names(&show(&project, &["--sort", coverage])), by_coverage);
    let front = show(&project, &["--pareto", "ndcg@10,min:factors"]);
    for variant in front["variants"].as_array().unwrap() {
        let beaten = front["variants"].as_array().unwrap().iter().any(|other| {
            let point = |v: &Value| {
                (
                    v["metrics"]["validate.als.ndcg@10"].as_f64().unwrap(),
                    -v["values"]["vars.factors"].as_f64().unwrap(),
                )
            };
            let (a, b) = (point(other), point(variant));
            a.0 >= b.0 && a.1 >= b.1 && a != b
        });
        assert_eq!(variant["on_front"].as_bool().unwrap(), !beaten, "{variant}");
    }
    // By another metric the best stays that of the objective: the test period is compared by, not chosen by.
    let by_test = show(&project, &["--by", "evaluate.als.ndcg@10"]);
    assert_eq!(by_test["compared_with"]["variant"], order[0]);
    assert_eq!(by_test["compared_with"]["correction"], "Holm");
    assert!(by_test["variants"][0]["is_best"].as_bool().unwrap() && names(&by_test) == order);
    for (args, words) in [
        (["--filter", "factor=4"], "did you mean `factors`"),
        (["--filter", "als.ndcg@10 = x = y"], ""),
        (["--filter", "ndcg@10 > much"], "compared with `much`, which is no number"),
        (["--sort", "ndgc@10"], "did you mean `ndcg@10`"),
        (["--pareto", "ndcg@10"], "needs two things or more"),
        (["--baseline", "factors=5"], "no variant is called `factors=5`"),
        (["--by", "factors"], "name a metric"),
        (["--filter", "factors"], "expected FIELD"),
    ] {
        let call = project.call(&[&["exp", "show", "size"][..], &args].concat());
        assert_eq!(call.code, if words.is_empty() { 0 } else { 2 }, "{args:?}: {}", call.stderr);
        call.says(words);
    }
    let html = project.call(&["exp", "show", "size", "--format", "html"]).stdout;
    assert!(html.starts_with("<!doctype html>") && html.contains("<svg") && html.contains(">★"), "{html}");
    assert!(!html.contains("http://") && !html.contains("https://"), "nothing is fetched");
    let markdown = project.call(&["exp", "show", "size", "--format", "markdown"]).stdout;
    assert!(markdown.starts_with("|  | vars.factors | validate.als.ndcg@10 |"), "{markdown}");
}

#[test]
fn experiments_stand_beside_each_other() {
    let project = ran(EXPERIMENT);
    let other = EXPERIMENT
        .replace("grid: { vars.factors: [2, 4, 8] }", "grid: { als.iterations: [1, 3], vars.factors: [4] }");
    project.write("configs/experiments/other.yaml", &other);
    assert_eq!(project.call(&["exp", "run", "configs/experiments/other.yaml"]).code, 0);
    let compare = |args: &[&str]| {
        let call = project.call(&[&["exp", "compare", "--format", "json"], args].concat());
        assert_eq!(call.code, 0, "{}", call.stderr);
        serde_json::from_str::<Value>(&call.stdout).unwrap()
    };
    assert_eq!(names(&compare(&[])).len(), 5);
    assert_eq!(names(&compare(&["other", "size/factors=8"])).len(), 3);
    // The same settings under another name are the same model: no difference at all.
    let same = compare(&["size/factors=4", "other/iterations=3,factors=4"]);
    let told = same["variants"].as_array().unwrap().iter().find(|v| !v["against"].is_null()).unwrap();
    assert_eq!((&told["against"]["difference"], &told["against"]["p_value"]), (&json!(0.0), &json!(1.0)));
    assert_eq!(told["against"]["same_data"], true);
    let csv = project.call(&["exp", "compare", "--format", "csv"]).stdout;
    let header = csv.lines().next().unwrap();
    assert!(header.contains(",vars.factors,") && header.contains(",als.iterations,"), "{header}");
    // Measured on other users: the difference is told, and marked.
    let few = EXPERIMENT.replace("space:", "set: { split.target_quantile: 0.5 }\nspace:");
    project.write("configs/experiments/few.yaml", &few);
    assert_eq!(project.call(&["exp", "run", "configs/experiments/few.yaml"]).code, 0);
    let marked = compare(&["size/factors=4", "few/factors=4"]);
    let told = marked["variants"].as_array().unwrap().iter().find(|v| !v["against"].is_null()).unwrap();
    assert_eq!(told["against"]["same_data"], false);
    project.call(&["exp", "compare", "size/factors=4", "few/factors=4"]).says("† measured on other data");
    for (name, words) in [("siz", "did you mean `size`"), ("factors=4", "variants of several experiments")] {
        let call = project.call(&["exp", "compare", name]);
        assert_eq!(call.code, 2);
        call.says(words);
    }
}

#[test]
fn what_the_command_line_changed_is_promoted_too() {
    let project = project(EXPERIMENT);
    project.write("configs/few.yaml", "steps: { als: { iterations: 2 } }\n");
    let changes = ["--config", "configs/few.yaml", "--var", "fail_at=7", "--set", "als.regularization=0.5"];
    let run = project.call(&[&RUN[..], &changes].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    // A run that fails promotes nothing, and leaves an earlier file as it was.
    project.write("configs/size_best.yaml", "# Written by `recsys exp promote` yesterday\n");
    let pipeline = project.read("pipelines/music.yaml");
    let broken = pipeline.replace("  gate:\n", "  broken: { run: 'exit 3' }\n  gate:\n");
    project.write("pipelines/music.yaml", &broken);
    let failed = project.call(&["exp", "promote", "size"]);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    failed.says("not promoted: `configs/size_best.yaml` is as it was");
    assert!(project.read("configs/size_best.yaml").ends_with("yesterday\n"));
    project.write("pipelines/music.yaml", &pipeline);

    let promoted = project.call(&["exp", "promote", "size"]);
    assert_eq!(promoted.code, 0, "{}", promoted.stderr);
    let ran = promoted.ran();
    assert!(ran.iter().all(|step| *step == "evaluate"), "the rest is what the experiment made: {ran:?}");
    let config = project.read("configs/size_best.yaml");
    for part in ["fail_at: 7", "regularization: 0.5", "factors: "] {
        assert!(config.contains(part), "{config}");
    }
    promoted.says("--config configs/few.yaml --config configs/size_best.yaml");
    let again = project.run(&["--config", "configs/few.yaml", "--config", "configs/size_best.yaml"]);
    assert_eq!(again.ran(), [""; 0]);
    // A pipeline that has changed since is promoted with a warning.
    project.write("pipelines/music.yaml", &pipeline.replace("interactions: 4000", "interactions: 3000"));
    project.call(&["exp", "promote", "size"]).says("the pipeline or its data changed since");
}

#[test]
fn records_that_cannot_be_read_are_told() {
    let project = ran(EXPERIMENT);
    let path = "cache/v2/experiments/size.json";
    let good = project.read(path);
    project.write("cache/v2/experiments/new.json", "{\"version\": 99}");
    project.call(&["exp", "list"]).says("size").says("a newer version of recsys wrote them");
    let call = project.call(&["exp", "show", "new"]);
    assert_eq!(call.code, 2);
    call.says("a newer version of recsys wrote them").says("writes them anew");
    // What the first version wrote: no version, no intervals, no results in the store.
    let mut old: Value = serde_json::from_str(&good).unwrap();
    let fields = old.as_object_mut().unwrap();
    for key in ["version", "changes", "rungs", "variables"] {
        fields.remove(key);
    }
    for variant in old["variants"].as_array_mut().unwrap() {
        let fields = variant.as_object_mut().unwrap();
        for key in ["rung", "climbed", "intervals", "results"] {
            fields.remove(key);
        }
    }
    project.write(path, &old.to_string());
    assert_eq!(names(&record(&project)).len(), 3);
    project.call(&["exp", "show", "size", "--baseline", "factors=4"]).says("not in the store");
    assert_eq!(project.call(&["exp", "promote", "size"]).code, 0);
    project.write(path, &good[..good.len() / 2]);
    let call = project.call(&["exp", "show", "size"]);
    assert_eq!(call.code, 2);
    call.says("cannot be read");
    let again = project.call(&RUN);
    assert_eq!((again.code, again.ran().len()), (0, 0), "{}", again.stderr);
    assert_eq!(names(&record(&project)).len(), 3);
}
