//! A small MLflow server that keeps what it is told as MLflow does, and misbehaves on demand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

/// What the server does instead of answering as it should.
#[derive(Debug, Clone)]
pub enum Mood {
    /// It answers as it should.
    Good,
    /// It answers this status with this body, and these header lines.
    Answers(u16, &'static str, &'static str),
    /// It takes the request, does nothing and never answers.
    Silent,
    /// It reads the request and closes the connection without a word.
    Resets,
    /// It does what is asked for, and of every request whose path has this part the first answer is lost.
    LosesFirstAnswer(&'static str),
    /// It refuses parameters of this name for good, as MLflow does.
    RefusesParameter(&'static str),
    /// It says that an experiment is not there when somebody has just made it.
    Races,
}

/// A run as the server knows it.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub id: String,
    pub name: String,
    pub status: String,
    pub is_deleted: bool,
    pub tags: BTreeMap<String, String>,
    pub params: BTreeMap<String, String>,
    /// (name, step, time, value); the same one twice is one, as in MLflow's database.
    pub metrics: Vec<(String, u64, i64, f64)>,
    pub artifacts: BTreeMap<String, Vec<u8>>,
    pub datasets: Vec<String>,
}

#[derive(Default)]
pub struct Known {
    pub experiments: Vec<String>,
    pub runs: Vec<Run>,
    /// The path of every request.
    pub requests: Vec<String>,
    /// The credentials of every request.
    pub authorizations: Vec<String>,
    lost: Vec<String>,
}

pub struct Fake {
    pub url: String,
    known: Arc<Mutex<Known>>,
    mood: Arc<Mutex<Mood>>,
}

struct Request {
    path: String,
    query: String,
    body: Vec<u8>,
    authorization: String,
}

impl Fake {
    pub fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { url, known: Arc::default(), mood: Arc::new(Mutex::new(mood)) };
        let (known, mood) = (Arc::clone(&fake.known), Arc::clone(&fake.mood));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (known, mood) = (Arc::clone(&known), Arc::clone(&mood));
                std::thread::spawn(move || serve(connection, &known, &mood));
            }
        });
        fake
    }

    pub fn turns(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    /// The runs that are not deleted, by what the tag says.
    pub fn run(&self, tag: &str, value: &str) -> Run {
        let known = self.known();
        let mut found = known
            .runs
            .iter()
            .filter(|run| !run.is_deleted && run.tags.get(tag).is_some_and(|is| is == value));
        let run = found.next().unwrap_or_else(|| panic!("no run with {tag} = {value}")).clone();
        assert!(found.next().is_none(), "two runs with {tag} = {value}");
        run
    }

    pub fn live_runs(&self) -> Vec<Run> {
        self.known().runs.iter().filter(|run| !run.is_deleted).cloned().collect()
    }
}

impl Run {
    /// The values of a metric by step.
    pub fn curve(&self, name: &str) -> Vec<(u64, f64)> {
        let mut points: Vec<_> = self.metrics.iter().filter(|(key, ..)| key == name).collect();
        points.sort_by_key(|(_, step, at, _)| (*step, *at));
        points.into_iter().map(|(_, step, _, value)| (*step, *value)).collect()
    }
}

fn serve(mut connection: TcpStream, known: &Mutex<Known>, mood: &Mutex<Mood>) {
    let Some(request) = read(&connection) else { return };
    let mood = mood.lock().unwrap().clone();
    let mut known = known.lock().unwrap();
    known.requests.push(request.path.clone());
    known.authorizations.push(request.authorization.clone());
    let (status, body) = match &mood {
        Mood::Answers(status, body, headers) => {
            drop(known);
            let head = format!(
                "HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = connection.write_all(format!("{head}{body}").as_bytes());
            return;
        }
        Mood::Silent => {
            drop(known);
            // Until the client goes away.
            let _ = connection.read(&mut [0]);
            return;
        }
        Mood::Resets => {
            let _ = connection.shutdown(Shutdown::Both);
            return;
        }
        mood => answer(&request, &mut known, mood),
    };
    if let Mood::LosesFirstAnswer(part) = mood
        && request.path.contains(part)
    {
        let what = format!("{} {}", request.path, String::from_utf8_lossy(&request.body));
        if !known.lost.contains(&what) {
            known.lost.push(what);
            let _ = connection.shutdown(Shutdown::Both);
            return;
        }
    }
    drop(known);
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = connection.write_all(format!("{head}{body}").as_bytes());
}

fn read(connection: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(connection);
    let (mut line, mut length, mut authorization) = (String::new(), 0, String::new());
    reader.read_line(&mut line).ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => authorization = value.trim().to_owned(),
            "transfer-encoding" => panic!("a file is sent without its length"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Request { path: path.to_owned(), query: query.to_owned(), body, authorization })
}

fn error(code: &str) -> (u16, Value) {
    let status = if code == "RESOURCE_DOES_NOT_EXIST" { 404 } else { 400 };
    (status, json!({ "error_code": code, "message": "as MLflow says it" }))
}

fn answer(request: &Request, known: &mut Known, mood: &Mood) -> (u16, Value) {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if let Some(path) = request.path.strip_prefix("/api/2.0/mlflow-artifacts/artifacts/0/") {
        let (id, name) = path.split_once("/artifacts/").unwrap();
        let Some(run) = known.runs.iter_mut().find(|run| run.id == id) else {
            return error("RESOURCE_DOES_NOT_EXIST");
        };
        run.artifacts.insert(name.to_owned(), request.body.clone());
        return (200, Value::Null);
    }
    match request.path.strip_prefix("/api/2.0/mlflow/").unwrap_or_default() {
        "experiments/get-by-name" => {
            let name = form_urlencoded::parse(request.query.as_bytes()).next().unwrap().1.into_owned();
            let asked = known.requests.iter().filter(|path| path.ends_with("get-by-name")).count();
            let hidden = matches!(mood, Mood::Races) && asked == 1;
            match known.experiments.iter().position(|known| *known == name).filter(|_| !hidden) {
                Some(id) => (
                    200,
                    json!({ "experiment": { "experiment_id": id.to_string(), "lifecycle_stage": "active" } }),
                ),
                None => error("RESOURCE_DOES_NOT_EXIST"),
            }
        }
        "experiments/create" => {
            let name = body["name"].as_str().unwrap().to_owned();
            if matches!(mood, Mood::Races) && known.experiments.is_empty() {
                known.experiments.push(name.clone());
            }
            if known.experiments.contains(&name) {
                return error("RESOURCE_ALREADY_EXISTS");
            }
            known.experiments.push(name);
            (200, json!({ "experiment_id": (known.experiments.len() - 1).to_string() }))
        }
        "runs/create" => {
            let id = format!("r{}", known.runs.len());
            let run = Run {
                id: id.clone(),
                name: body["run_name"].as_str().unwrap().to_owned(),
                status: "RUNNING".to_owned(),
                tags: pairs(&body["tags"]),
                ..Run::default()
            };
            known.runs.push(run);
            (200, json!({ "run": { "info": info(&id) } }))
        }
        "runs/search" => {
            let filter = body["filter"].as_str().unwrap();
            let id =
                filter.strip_prefix("tags.`recsys.id` = '").and_then(|rest| rest.strip_suffix('\'')).unwrap();
            let found = known.runs.iter().filter(|run| !run.is_deleted && run.tags["recsys.id"] == id);
            (200, json!({ "runs": found.map(|run| json!({ "info": info(&run.id) })).collect::<Vec<_>>() }))
        }
        call => {
            let id = body["run_id"].as_str().unwrap_or_default();
            let Some(run) = known.runs.iter_mut().find(|run| run.id == id) else {
                return error("RESOURCE_DOES_NOT_EXIST");
            };
            of_run(call, run, &body, mood)
        }
    }
}

fn of_run(call: &str, run: &mut Run, body: &Value, mood: &Mood) -> (u16, Value) {
    match call {
        "runs/log-batch" => {
            let params = pairs(&body["params"]);
            if let Mood::RefusesParameter(name) = mood
                && params.contains_key(*name)
            {
                return error("INVALID_PARAMETER_VALUE");
            }
            for (name, value) in params {
                if run.params.get(&name).is_some_and(|known| *known != value) {
                    return error("INVALID_PARAMETER_VALUE");
                }
                run.params.insert(name, value);
            }
            for metric in body["metrics"].as_array().unwrap() {
                let name = metric["key"].as_str().unwrap();
                assert!(name.chars().all(|c| c.is_alphanumeric() || "_-. /:".contains(c)), "{name}");
                let point = (
                    name.to_owned(),
                    metric["step"].as_u64().unwrap(),
                    metric["timestamp"].as_i64().unwrap(),
                    metric["value"].as_f64().unwrap(),
                );
                if !run.metrics.contains(&point) {
                    run.metrics.push(point);
                }
            }
            run.tags.extend(pairs(&body["tags"]));
        }
        "runs/log-inputs" => {
            let sets = body["datasets"].as_array().unwrap().iter();
            run.datasets.extend(sets.map(|set| set["dataset"]["name"].as_str().unwrap().to_owned()));
        }
        "runs/update" => run.status = body["status"].as_str().unwrap().to_owned(),
        "runs/delete" => run.is_deleted = true,
        other => panic!("{other}"),
    }
    (200, json!({}))
}

fn info(id: &str) -> Value {
    json!({ "run_id": id, "artifact_uri": format!("mlflow-artifacts:/0/{id}/artifacts") })
}

fn pairs(list: &Value) -> BTreeMap<String, String> {
    let list = list.as_array().into_iter().flatten();
    list.map(|pair| (pair["key"].as_str().unwrap().to_owned(), pair["value"].as_str().unwrap().to_owned()))
        .collect()
}
