//! What the page shows of the project beside answers: the pipeline that made the release with the states of
//! its steps, and how its models compare.
//!
//! The service knows no pipelines. The command that starts it may give it somebody who does, a
//! [`Pipelines`]; the comparison and the pictures are files that the service file names.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State as Extract;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::ApiError;
use super::openapi::{Operation, Parameter, Routes, Shape};
use super::parameters::Parameters;
use super::state::State;

/// How long a state of the pipeline is good for: to look at it again reads files.
const FRESH: Duration = Duration::from_secs(3);
/// More pictures than that are no page.
const MAX_PICTURES: usize = 100;
/// How deep pictures may lie below their folder.
const MAX_DEPTH: usize = 4;

const PICTURE: Parameter =
    Parameter::needed("picture", Shape::Text(300), "The name of a picture, as `GET /pictures` lists it.");

/// The routes of this resource.
pub fn routes() -> Routes {
    let pipeline =
        Operation::new("The pipeline that made the release", "Its steps, and what a run would do now.")
            .answers::<Pipeline>("The pipeline.")
            .fails(ApiError::NoPipeline);
    let drawn = Operation::new("The same as a picture", "Light or dark as its reader is.")
        .answers_media("image/svg+xml", "The picture.")
        .fails(ApiError::NoPipeline);
    let evaluation = Operation::new("How the models compare", "The report of the kind `evaluate`.")
        .answers::<Value>("The report.")
        .fails(ApiError::NoReport);
    let pictures = Operation::new("The pictures of the project", "PNG files below the folder of artifacts.")
        .answers::<Vec<String>>("Their names.");
    let picture = Operation::new("A picture of the project", "")
        .takes(&[&PICTURE])
        .answers_media("image/png", "The picture.")
        .fails(ApiError::NotFound);
    Routes::tagged("project")
        .get("/pipeline", pipeline_now, &pipeline)
        .get("/pipeline.svg", pipeline_drawn, &drawn)
        .get("/evaluation", report, &evaluation)
        .get("/pictures", list_pictures, &pictures)
        .get("/pictures/{picture}", one_picture, &picture)
}

/// What the page shows of the project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Project {
    /// The report of `evaluate`.
    pub evaluation: PathBuf,
    /// The folder whose PNG files are shown.
    pub pictures: PathBuf,
    /// Who knows the pipeline; the file cannot say it.
    #[serde(skip)]
    pub pipelines: Watched,
}

impl Default for Project {
    fn default() -> Self {
        Self {
            evaluation: "artifacts/evaluate/report.json".into(),
            pictures: "artifacts".into(),
            pipelines: Watched::default(),
        }
    }
}

/// Who knows the pipeline of a project and the states of its steps.
pub trait Pipelines: Send + Sync {
    /// The pipeline as it is now; `Ok(None)` when the project has none. The error is for the log.
    fn now(&self) -> Result<Option<Pipeline>, String>;
}

/// A pipeline and the states of its steps.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// Its file in the project.
    pub file: String,
    /// Its steps, each after those it depends on.
    pub steps: Vec<PipelineStep>,
    /// The same as an SVG picture.
    #[serde(skip)]
    pub svg: String,
}

/// A step of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PipelineStep {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: String,
    /// What a run would do with it: `up to date`, `would run`, `maybe`, `when asked for`.
    pub state: String,
    /// Why.
    pub reason: String,
    /// How long it took last time.
    pub seconds: Option<f64>,
    /// The steps it depends on.
    pub after: Vec<String>,
}

/// Somebody who knows pipelines, asked at most every few seconds.
#[derive(Clone, Default)]
pub struct Watched {
    source: Option<Arc<dyn Pipelines>>,
    last: Arc<Mutex<Option<Seen>>>,
}

/// A pipeline, or that there is none, and when it was asked for.
#[derive(Clone)]
struct Seen {
    at: Instant,
    pipeline: Option<Pipeline>,
}

impl Watched {
    /// Asks `source`.
    pub fn new(source: impl Pipelines + 'static) -> Self {
        Self { source: Some(Arc::new(source)), last: Arc::default() }
    }

    /// The pipeline, as it was a few seconds ago at most; reads files.
    fn now(&self) -> Result<Pipeline, ApiError> {
        let source = self.source.as_ref().ok_or(ApiError::NoPipeline)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let pipeline = match &*last {
            Some(seen) if seen.at.elapsed() < FRESH => seen.pipeline.clone(),
            _ => {
                let pipeline = source.now().map_err(|error| {
                    tracing::error!("the state of the pipeline cannot be told: {error}");
                    ApiError::Internal
                })?;
                *last = Some(Seen { at: Instant::now(), pipeline: pipeline.clone() });
                pipeline
            }
        };
        pipeline.ok_or(ApiError::NoPipeline)
    }
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.last, &other.last) || (self.source.is_none() && other.source.is_none())
    }
}

impl Eq for Watched {}

impl fmt::Debug for Watched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Watched").field("is_there", &self.source.is_some()).finish()
    }
}

/// `GET /pipeline`: 200; 404 when the service knows none, 500 when its state cannot be told.
async fn pipeline_now(Extract(state): Extract<State>) -> Result<Json<Pipeline>, ApiError> {
    blocking(move || state.service().project.pipelines.now()).await.map(Json)
}

/// `GET /pipeline.svg`: the same as a picture.
async fn pipeline_drawn(Extract(state): Extract<State>) -> Result<Response, ApiError> {
    let pipeline = blocking(move || state.service().project.pipelines.now()).await?;
    let headers = [
        (CONTENT_TYPE, "image/svg+xml"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, pipeline.svg).into_response())
}

/// `GET /evaluation`: 200 with the report; 404 when there is none, 500 when it is no JSON.
async fn report(Extract(state): Extract<State>) -> Result<Response, ApiError> {
    let text = blocking(move || {
        let path = &state.service().project.evaluation;
        let text = fs::read_to_string(path).map_err(|_| ApiError::NoReport)?;
        serde_json::from_str::<Value>(&text).map_err(|error| {
            tracing::error!("`{}` is no report: {error}", path.display());
            ApiError::Internal
        })?;
        Ok(text)
    });
    Ok(([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], text.await?).into_response())
}

/// `GET /pictures`: 200 with their names.
async fn list_pictures(Extract(state): Extract<State>) -> Result<Json<Vec<String>>, ApiError> {
    let names = move || {
        let pictures = pictures(&state.service().project.pictures);
        Ok(pictures.into_iter().map(|picture| picture.name).collect())
    };
    blocking(names).await.map(Json)
}

/// `GET /pictures/{picture}`: 200 with the picture; 404 for a name that is not listed.
async fn one_picture(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, ApiError> {
    let name = parameters.all(PICTURE.name).next().unwrap_or_default().to_owned();
    let bytes = blocking(move || {
        let folder = &state.service().project.pictures;
        // Only what is listed is read: a name cannot lead out of the folder.
        let listed = pictures(folder).into_iter().find(|picture| picture.name == name);
        let Picture { path, .. } = listed.ok_or(ApiError::NotFound)?;
        fs::read(path).map_err(|_| ApiError::NotFound)
    });
    Ok(([(CONTENT_TYPE, "image/png"), (CACHE_CONTROL, "no-cache")], bytes.await?).into_response())
}

/// A PNG file, and its path in its folder with `.` for `/`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Picture {
    name: String,
    path: PathBuf,
}

/// The PNG files below a folder, sorted by name; links are not followed.
fn pictures(folder: &Path) -> Vec<Picture> {
    fn walk(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<Picture>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
            let name = format!("{prefix}{name}");
            if kind.is_dir() && depth < MAX_DEPTH {
                walk(&entry.path(), &format!("{name}."), depth + 1, found);
            } else if kind.is_file() && name.ends_with(".png") {
                found.push(Picture { name, path: entry.path() });
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, "", 1, &mut found);
    found.sort_unstable();
    found.truncate(MAX_PICTURES);
    found
}

/// Work that reads files, on a thread for such.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Internal)?
}
