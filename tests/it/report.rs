//! The page and the pictures about data, models and how they were made. What is checked:
//!
//! 1. a pipeline writes a page whose numbers are those of the other steps' reports, with every section that it
//!    has data for, that loads nothing, and pictures of the sizes that they should have;
//! 2. sections whose inputs are left out are left out;
//! 3. the page is made anew when a step that it tells of changes, also where the results stay the same;
//! 4. a report of another step is refused, by name;
//! 5. in a browser: nothing to complain about, nothing sticks out at any width, no text in a chart is cut, the
//!    keyboard reaches everything, it prints.
//!
//! 5 needs Chromium and Python; without them the test says so and ends.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::project::Project;

const PIPELINE: &str = "\
name: small
steps:
  synthetic: { uses: synthetic, with: { interactions: 12000 } }
  preprocess:
    uses: preprocess
    inputs: { tracks: synthetic.tracks, catalog: synthetic.catalog_names, interactions: synthetic.interactions }
  split: { uses: split, inputs: { events: preprocess.events } }
  popularity: { uses: popularity, inputs: { events: split.history_events, items: preprocess.items } }
  als: { uses: als, inputs: { train: split.history_matrix }, with: { factors: 8, iterations: 5, regularization: 5 } }
  evaluate:
    uses: evaluate
    inputs:
      test: split.test_matrix
      history: split.history_matrix
      items: preprocess.items
      users: preprocess.users
      lists: { popularity: popularity.candidates, als: als.candidates }
    outputs: { user_metrics: artifacts/evaluate/user_metrics.parquet }
    with: { bootstrap_samples: 100 }
  report:
    uses: report
    inputs:
      events: preprocess.events
      items: preprocess.items
      preprocess: preprocess.report
      split: split.report
      evaluation: evaluate.report
      user_metrics: evaluate.user_metrics
      history: split.history_events
    outputs: { page: artifacts/report.html }
    with: { title: 'A <small> report', top: 7 }
";

fn json_of(project: &Project, path: &str) -> Value {
    serde_json::from_str(&project.read(path)).unwrap()
}

/// `1,234`.
fn grouped(number: &Value) -> String {
    recsys::charts::numbers::count(number.as_u64().unwrap())
}

fn sections(page: &str) -> Vec<&str> {
    page.split("<section id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

/// Width and height, from the first bytes of a PNG file.
fn size(path: &Path) -> (u32, u32) {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn a_page_tells_what_the_steps_found() {
    let project = Project::with(PIPELINE);
    project.run(&[]);
    let page = project.read("artifacts/report.html");
    assert_eq!(
        sections(&page),
        [
            "models",
            "qualities",
            "segments",
            "training",
            "data",
            "cleaning",
            "split",
            "pipeline",
            "parameters"
        ]
    );
    assert!(page.contains("<h1>A &lt;small&gt; report</h1>"));
    let addresses = page.replace("http://www.w3.org/2000/svg", "");
    for loaded in ["http:", "https:", "<script", "src=", "@import", "url(http"] {
        assert!(!addresses.contains(loaded), "{loaded}");
    }

    let prepared = json_of(&project, "artifacts/preprocess/report.json");
    for number in [&prepared["events"]["users"], &prepared["events"]["items"], &prepared["events"]["rows"]] {
        assert!(page.contains(&format!("<dd class=\"big\">{}</dd>", grouped(number))), "{number}");
    }
    let rules = prepared["interactions"]["rules"].as_array().unwrap();
    assert!(!rules.is_empty());
    for rule in rules {
        let row = page.split(&format!("<code>{}</code>", rule["rule"].as_str().unwrap())).nth(1).unwrap();
        assert!(row.split("</tr>").next().unwrap().contains(&grouped(&rule["dropped"])), "{rule}");
    }
    let split = json_of(&project, "artifacts/split/report.json");
    for number in [&split["periods"]["test"]["events"], &split["cold"]["test_to_history"]["users"]] {
        assert!(page.contains(&format!("<td class=\"n\">{}</td>", grouped(number))), "{number}");
    }
    let evaluation = json_of(&project, "artifacts/evaluate/report.json");
    for model in ["als", "popularity"] {
        let ndcg = &evaluation["models"][model]["metrics"]["ndcg@10"];
        let ends = ["low", "high"].map(|end| recsys::charts::numbers::value(ndcg[end].as_f64().unwrap()));
        assert!(page.contains(&format!("{} to {}", ends[0], ends[1])), "{model}: {ndcg}");
    }
    let released = json_of(&project, "artifacts/manifest.small.json");
    let training = page.split("<section id=\"training\"").nth(1).unwrap();
    let loss = released["steps"]["als"]["metrics"]["loss"].as_f64().unwrap();
    assert!(
        training.contains(&format!("to {}", recsys::charts::numbers::value(loss))),
        "the curve ends at {loss}"
    );
    for step in ["synthetic", "preprocess", "split", "popularity", "als", "evaluate"] {
        let key = released["steps"][step]["key"]["whole"].as_str().unwrap();
        assert!(page.contains(key), "the fingerprint of {step}");
    }
    assert!(page.contains("factors: 8") && page.contains("alpha: "), "parameters after defaults");
    // Twenty tracks fit: seven were asked for.
    assert_eq!(size(&project.path("artifacts/report/top_tracks.png")), (1200, 92 + 52 + 7 * 30));
    assert_eq!(size(&project.path("artifacts/report/user_activity.png")), (1200, 640));
    assert_eq!(size(&project.path("artifacts/report/top_genres.png")).0, 1200);

    // The same again is nothing to do; another parameter of a step that makes the same is told anew.
    assert!(project.run(&[]).ran().is_empty());
    let changed = project.run(&["--set", "als.checkpoint_every=3"]);
    assert_eq!(changed.ran(), ["als", "report"], "{}", changed.stderr);
    changed.says("step `als`, of which this one tells, changed");
    assert!(project.read("artifacts/report.html").contains("checkpoint_every: 3"));
    let forced = project.run(&["--set", "als.checkpoint_every=3", "--force", "als", "--force", "report"]);
    assert!(!forced.stderr.contains("deterministic"), "{}", forced.stderr);
}

#[test]
fn what_is_not_given_is_left_out_and_what_does_not_fit_is_refused() {
    let bare = PIPELINE
        .replace("      evaluation: evaluate.report\n", "")
        .replace("      preprocess: preprocess.report\n", "");
    let bare = bare
        .replace("      split: split.report\n", "")
        .replace("      user_metrics: evaluate.user_metrics\n", "");
    let project = Project::with(&bare);
    project.run(&["--until", "report"]);
    let page = project.read("artifacts/report.html");
    // No model leads to the page, so there is no training to show.
    assert_eq!(sections(&page), ["data", "pipeline", "parameters"]);

    project.write(
        "pipelines/music.yaml",
        &PIPELINE.replace("preprocess: preprocess.report", "preprocess: split.report"),
    );
    let refused = project.call(&["run", "--until", "report"]);
    assert_eq!(refused.code, 1);
    refused.says("split/report.json` is not a readable JSON file: missing field `catalog`");
}

#[test]
fn a_reader_sees_all_of_it_on_any_screen_and_on_paper() {
    let Some(python) = crate::serve_page::python() else {
        eprintln!("skipped: Chromium (Debian's `chromium`) and Python are needed to look at the page");
        return;
    };
    let project = Project::with(PIPELINE);
    project.run(&[]);
    let output = Command::new(python)
        .arg("report.py")
        .arg(project.path("artifacts/report.html"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/page"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    for nothing in ["sticks_out", "cut", "mistakes", "loaded"] {
        assert_eq!(seen[nothing], json!([]), "{nothing}: {seen:#}");
    }
    assert_eq!((&seen["scripts"], &seen["unnamed"], &seen["links"]), (&json!(0), &json!(0), &json!(true)));
    let headings: Vec<&str> = seen["headings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(headings[..3], ["A <small> report", "Models compared", "Coverage and popularity bias"]);
    assert!(seen["light"].as_u64() > Some(700) && seen["dark"].as_u64() < Some(100), "{seen:#}");
    assert_eq!((&seen["first_stop"], &seen["opens"]), (&json!("To the content"), &json!(true)));
    assert!(seen["parameters_shown"].as_str().unwrap().contains("fingerprint"), "{seen:#}");
    assert_eq!(seen["pdf"], "%PDF-");
    let sheets = seen["sheets"].as_u64().unwrap();
    assert!((3..30).contains(&sheets), "{sheets} sheets");
    assert_eq!(seen["printed_parameters"], 6, "what can be opened is open on paper");
}
