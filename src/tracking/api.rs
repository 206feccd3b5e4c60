//! The calls of MLflow's REST API that logging needs. Source: <https://mlflow.org/docs/latest/rest-api.html>, and
//! answers of servers 3.17.

use serde_json::{Value as Json, json};
use url::Url;

use super::entry::{Dataset, Point, Status};
use super::http::{Http, Trouble};
use super::journal::Created;
use super::server::Credentials;

/// The tag by which a run is found again when the answer to its creation was lost.
pub const ID_TAG: &str = "recsys.id";
/// MLflow's name for what is not there.
pub const NOT_THERE: &str = "RESOURCE_DOES_NOT_EXIST";

/// An MLflow server.
pub struct Api {
    http: Http,
}

/// One part of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A parameter.
    Parameter(String, String),
    /// A value of a metric.
    Metric(Point),
    /// A tag.
    Tag(String, String),
}

impl Api {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// See [`Http::new`].
    pub fn new(server: Url, credentials: Credentials) -> Result<Self, Trouble> {
        Ok(Self { http: Http::new(server, credentials)? })
    }

    fn url(&self, call: &str) -> Url {
        self.http.url(["api", "2.0", "mlflow"].into_iter().chain(call.split('/')))
    }

    async fn call(&self, call: &str, body: &Json) -> Result<Json, Trouble> {
        self.http.post(self.url(call), body).await
    }

    /// The id of the experiment of this name, which is created when there is none.
    ///
    /// # Errors
    /// See [`Trouble`]; so for all that follow.
    pub async fn experiment(&self, name: &str) -> Result<String, Trouble> {
        if let Some(id) = self.find_experiment(name).await? {
            return Ok(id);
        }
        let body = json!({ "name": name, "tags": [{ "key": "recsys.version", "value": env!("CARGO_PKG_VERSION") }] });
        match self.call("experiments/create", &body).await {
            Ok(answer) => text(&answer, "/experiment_id"),
            // Somebody else was quicker.
            Err(Trouble::Refused { code, message }) => match self.find_experiment(name).await? {
                Some(id) => Ok(id),
                None => Err(Trouble::later(format!(
                    "the experiment `{name}` cannot be created: {message} ({code})"
                ))),
            },
            Err(trouble) => Err(trouble),
        }
    }

    async fn find_experiment(&self, name: &str) -> Result<Option<String>, Trouble> {
        let mut url = self.url("experiments/get-by-name");
        url.query_pairs_mut().append_pair("experiment_name", name);
        match self.http.get(url).await {
            Ok(answer) if answer.pointer("/experiment/lifecycle_stage") == Some(&json!("deleted")) => {
                Err(Trouble::later(format!(
                    "the experiment `{name}` was deleted there: restore it, or write another name under `tracking:`"
                )))
            }
            Ok(answer) => text(&answer, "/experiment/experiment_id").map(Some),
            Err(Trouble::Refused { code, .. }) if code == NOT_THERE => Ok(None),
            Err(Trouble::Refused { code, message }) => Err(Trouble::later(format!("{message} ({code})"))),
            Err(trouble) => Err(trouble),
        }
    }

    /// The runs of an experiment that have this id as a tag, the oldest first.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn find_runs(&self, experiment: &str, id: &str) -> Result<Vec<Created>, Trouble> {
        let body = json!({
            "experiment_ids": [experiment],
            "filter": format!("tags.`{ID_TAG}` = '{id}'"),
            "max_results": 10,
            "order_by": ["attributes.start_time ASC", "attributes.run_id ASC"],
        });
        let answer = self.call("runs/search", &body).await?;
        let runs = answer.get("runs").and_then(Json::as_array).cloned().unwrap_or_default();
        runs.iter().map(|run| created(run, "/info")).collect()
    }

    /// Creates a run; `tags` must have [`ID_TAG`].
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn create_run<'a>(
        &self,
        experiment: &str,
        name: &str,
        began: i64,
        tags: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Created, Trouble> {
        let tags: Vec<Json> = tags.map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let body =
            json!({ "experiment_id": experiment, "run_name": name, "start_time": began, "tags": tags });
        created(&self.call("runs/create", &body).await?, "/run/info")
    }

    /// Logs parameters, metrics and tags of a run.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn log_batch(&self, run_id: &str, items: &[Item]) -> Result<(), Trouble> {
        let (mut params, mut metrics, mut tags) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Parameter(key, value) => params.push(json!({ "key": key, "value": value })),
                Item::Tag(key, value) => tags.push(json!({ "key": key, "value": value })),
                Item::Metric(Point { key, value, step, at }) => {
                    metrics.push(json!({ "key": key, "value": value, "timestamp": at, "step": step }));
                }
            }
        }
        let body = json!({ "run_id": run_id, "params": params, "metrics": metrics, "tags": tags });
        self.call("runs/log-batch", &body).await.map(drop)
    }

    /// Logs what a run reads.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn log_inputs(&self, run_id: &str, datasets: &[Dataset]) -> Result<(), Trouble> {
        let datasets: Vec<Json> = datasets
            .iter()
            .map(|dataset| {
                let source = json!({ "uri": dataset.path }).to_string();
                json!({
                    "tags": [{ "key": "mlflow.data.context", "value": dataset.context }],
                    "dataset": { "name": dataset.name, "digest": dataset.digest, "source_type": "local", "source": source },
                })
            })
            .collect();
        self.call("runs/log-inputs", &json!({ "run_id": run_id, "datasets": datasets })).await.map(drop)
    }

    /// Sends a file of `size` bytes to the artifacts of a run, through the proxy of the server.
    ///
    /// # Errors
    /// See [`Trouble`]; refused when the server has no proxy.
    pub async fn put_artifact(
        &self,
        run: &Created,
        name: &str,
        body: reqwest::Body,
        size: u64,
    ) -> Result<(), Trouble> {
        let Some(place) = run.artifacts.strip_prefix("mlflow-artifacts:") else {
            let scheme = run.artifacts.split(':').next().unwrap_or_default();
            return Err(Trouble::Refused {
                code: "NO_PROXY".to_owned(),
                message: format!(
                    "the server keeps artifacts at `{scheme}:` and takes none itself; start it with --serve-artifacts"
                ),
            });
        };
        // `mlflow-artifacts:/1/…` or `mlflow-artifacts://host/1/…`
        let path = match place.strip_prefix("//") {
            Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
            None => place,
        };
        let base = ["api", "2.0", "mlflow-artifacts", "artifacts"].into_iter();
        let parts = path.split('/').chain(name.split('/')).filter(|part| !part.is_empty());
        self.http.put(self.http.url(base.chain(parts)), body, size).await
    }

    /// Ends a run.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn end_run(&self, run_id: &str, status: Status, at: i64) -> Result<(), Trouble> {
        self.call("runs/update", &json!({ "run_id": run_id, "status": status, "end_time": at }))
            .await
            .map(drop)
    }

    /// Deletes a run.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn delete_run(&self, run_id: &str) -> Result<(), Trouble> {
        self.call("runs/delete", &json!({ "run_id": run_id })).await.map(drop)
    }
}

fn created(answer: &Json, info: &str) -> Result<Created, Trouble> {
    Ok(Created {
        run_id: text(answer, &format!("{info}/run_id"))?,
        artifacts: text(answer, &format!("{info}/artifact_uri"))?,
    })
}

fn text(answer: &Json, pointer: &str) -> Result<String, Trouble> {
    match answer.pointer(pointer) {
        Some(Json::String(text)) => Ok(text.clone()),
        Some(Json::Number(number)) => Ok(number.to_string()),
        _ => Err(Trouble::later(format!(
            "its answer has no `{}`",
            pointer.trim_start_matches('/').replace('/', ".")
        ))),
    }
}
