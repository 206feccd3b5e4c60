//! MLflow itself, started by the test: once on SQLite, once on PostgreSQL.
//!
//! `RECSYS_MLFLOW_PYTHON` names an interpreter that has the packages `mlflow` and `psycopg2-binary`; where it is not
//! set and `python3` has no MLflow, the tests say so and pass.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{COUNT, PIPELINE, project, run, sync};
use crate::postgres::Postgres;
use crate::serve_project::free_port;

/// On a machine with much else to do the server takes its time.
const AT_MOST: Duration = Duration::from_secs(300);

/// An MLflow server, stopped when it is dropped.
struct Mlflow {
    process: Child,
    url: String,
    _folder: TempDir,
}

fn python() -> Option<PathBuf> {
    let named = std::env::var_os("RECSYS_MLFLOW_PYTHON");
    let python = PathBuf::from(named.clone().unwrap_or_else(|| "python3".into()));
    // Without importing it, which takes seconds.
    let look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('mlflow') is None)";
    if Command::new(&python).args(["-c", look]).status().is_ok_and(|status| status.success()) {
        return Some(python);
    }
    assert!(named.is_none(), "{} does not have the package `mlflow`", python.display());
    eprintln!("skipped: MLflow is not here; RECSYS_MLFLOW_PYTHON names an interpreter that has it");
    None
}

impl Mlflow {
    fn start(store: Option<String>) -> Option<Self> {
        let python = python()?;
        let folder = tempfile::tempdir().unwrap();
        let store =
            store.unwrap_or_else(|| format!("sqlite:///{}", folder.path().join("mlflow.db").display()));
        let port = free_port();
        let log = folder.path().join("log");
        let process = Command::new(python)
            .args(["-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"])
            .args(["--port", &port.to_string(), "--backend-store-uri", &store, "--artifacts-destination"])
            .arg(folder.path().join("artifacts"))
            .env("MLFLOW_DISABLE_TELEMETRY", "true")
            .env("DO_NOT_TRACK", "true")
            .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(File::create(&log).unwrap())
            .stderr(File::options().append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self { process, url: format!("http://127.0.0.1:{port}"), _folder: folder };
        let deadline = Instant::now() + AT_MOST;
        while !server.is_up() {
            let ended = server.process.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{}",
                std::fs::read_to_string(&log).unwrap()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        Some(server)
    }

    fn is_up(&self) -> bool {
        let address = self.url.trim_start_matches("http://").parse().unwrap();
        crate::serve_project::try_call(address, "GET /health").is_ok_and(|heard| heard.status == 200)
    }

    fn ask(&self, request: reqwest::RequestBuilder) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let response = request.send().await.unwrap();
            assert!(response.status().is_success(), "{}", response.status());
            response.bytes().await.unwrap().to_vec()
        })
    }

    fn get(&self, path: &str) -> Vec<u8> {
        self.ask(client().get(format!("{}{path}", self.url)))
    }

    /// The runs that this filter finds.
    fn runs(&self, filter: &str) -> Vec<Value> {
        let body = json!({ "experiment_ids": ["1"], "filter": filter, "max_results": 100 });
        let request =
            client().post(format!("{}/api/2.0/mlflow/runs/search", self.url)).body(body.to_string());
        let answer = self.ask(request.header("content-type", "application/json"));
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["runs"].as_array().cloned().unwrap_or_default()
    }

    fn one(&self, filter: &str) -> Value {
        let runs = self.runs(filter);
        assert_eq!(runs.len(), 1, "{filter}: {runs:?}");
        runs[0].clone()
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        // The server starts workers of its own and takes them along when it is asked to end.
        let id = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            if Instant::now() > deadline {
                let _ = self.process.kill();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn of(run: &Value, part: &str, key: &str) -> Value {
    let list = run["data"][part].as_array().cloned().unwrap_or_default();
    let found = list.into_iter().find(|pair| pair["key"] == key);
    found.unwrap_or_else(|| panic!("no {key} in {run:#}"))["value"].clone()
}

fn id(run: &Value) -> &str {
    run["info"]["run_id"].as_str().unwrap()
}

#[test]
fn mlflow_shows_a_run_its_steps_their_curves_and_files() {
    let Some(server) = Mlflow::start(None) else { return };
    let project = project(PIPELINE, &server.url);
    run(&project, &[]).says(&format!("tracked: {}/#/experiments/1/runs/", server.url));
    let whole = server.one("tags.`recsys.pipeline` = 'small' and attributes.status = 'FINISHED'");
    assert_eq!(of(&whole, "params", "als.factors"), "4");
    assert!(of(&whole, "metrics", "evaluate.als.ndcg_at_10").as_f64().unwrap() > 0.0);
    let nested = server.runs(&format!("tags.`mlflow.parentRunId` = '{}'", id(&whole)));
    assert_eq!(nested.len(), 5);
    let als = server.one("tags.`recsys.step` = 'als' and metrics.loss > 0");
    let history =
        server.get(&format!("/api/2.0/mlflow/metrics/get-history?run_id={}&metric_key=loss", id(&als)));
    let history: Value = serde_json::from_slice(&history).unwrap();
    let steps: Vec<u64> =
        history["metrics"].as_array().unwrap().iter().map(|point| point["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [1, 2, 3]);
    let file = format!("/api/2.0/mlflow-artifacts/artifacts/1/{}/artifacts/model.npz", id(&als));
    assert!(server.get(&file) == std::fs::read(project.path("artifacts/als/model.npz")).unwrap());
    let listed = server.get(&format!("/api/2.0/mlflow/artifacts/list?run_id={}&path=pipeline", id(&whole)));
    assert!(String::from_utf8(listed).unwrap().contains("pipeline/music.yaml"));
}

#[test]
fn mlflow_on_postgresql_takes_later_what_it_could_not_take_at_once() {
    if python().is_none() {
        return;
    }
    let Some(mut database) = Postgres::start() else { return };
    let store = database.url().replace("postgres://", "postgresql+psycopg2://");
    let Some(server) = Mlflow::start(Some(store)) else { return };
    let project = project(COUNT, &server.url);
    run(&project, &[]).says("tracked: ");
    // Without its database the server answers 500, or not at all.
    database.crash();
    project.write("events.csv", "a\nb\nc\n");
    project.write("pipelines/music.yaml", &project.read("pipelines/music.yaml").replace("200s", "1s"));
    run(&project, &[]).says("not all is tracked").says("track sync");
    database.run();
    sync(&project);
    assert_eq!(server.runs("attributes.status = 'FINISHED'").len(), 4);
    let steps = server.runs("tags.`recsys.step` = 'lines'");
    let digests: Vec<&Value> = steps.iter().map(|run| &run["info"]["artifact_uri"]).collect();
    assert_eq!(digests.len(), 2, "each run once");
    let whole = server.runs("tags.`recsys.pipeline` = 'count'");
    let inputs: Vec<&Value> =
        whole.iter().map(|run| &run["inputs"]["dataset_inputs"][0]["dataset"]["name"]).collect();
    assert_eq!(inputs, ["events.csv", "events.csv"]);
}
