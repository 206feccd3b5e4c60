//! `tracking:` of a pipeline or configuration file, and what the environment adds to it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use url::Url;

use crate::workflow::fault::Fault;
use crate::workflow::parameters;
use crate::workflow::source::Span;
use crate::workflow::spec::units;
use crate::workflow::yaml::{Node, Value};

/// Where runs are logged, and what of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(example = serde_json::json!({ "mlflow": "http://127.0.0.1:5000", "experiment": "music" }))]
pub struct Settings {
    /// Whether runs are tracked: true, or a template that gives true or false.
    pub when: bool,
    /// Address of an MLflow server, `http://` or `https://`; without it `MLFLOW_TRACKING_URI` of the environment
    /// names the server. Credentials come from the environment alone: `MLFLOW_TRACKING_USERNAME` and
    /// `MLFLOW_TRACKING_PASSWORD`, or `MLFLOW_TRACKING_TOKEN`.
    pub mlflow: Option<String>,
    /// The experiment of the server that runs belong to; without it `MLFLOW_EXPERIMENT_NAME`, or else the name of
    /// the pipeline. It is created when it is not there.
    pub experiment: Option<String>,
    /// Whether each step has a run of its own, nested in that of the pipeline.
    pub steps: bool,
    /// Which outputs are sent, by the extension of the file or the name of the port: `[html, png, model]`.
    pub artifacts: Vec<String>,
    /// Larger files are not sent: `64MiB`.
    #[schemars(regex(pattern = r"^ *[0-9.]+ *([KMGT]iB|[kMGT]?B)$"))]
    pub largest_artifact: String,
    /// How long the end of a run waits for what is not sent yet: `5s`.
    #[schemars(regex(pattern = r"^ *[0-9.]+ *(ms|s|m|h|d)$"))]
    pub wait: String,
}

impl Default for Settings {
    fn default() -> Self {
        let artifacts = ["html", "json", "md", "txt", "csv", "png", "svg", "pdf", "model"];
        Self {
            when: true,
            mlflow: None,
            experiment: None,
            steps: true,
            artifacts: artifacts.map(str::to_owned).to_vec(),
            largest_artifact: "64MiB".to_owned(),
            wait: "5s".to_owned(),
        }
    }
}

/// The JSON Schema of `tracking:`.
pub fn schema() -> Json {
    schemars::schema_for!(Settings).to_value()
}

/// What is wrong with `tracking:` of a file. `true` stands for all defaults, `false` for no tracking.
pub fn faults(node: &Node) -> Vec<Fault> {
    if matches!(node.value, Value::Bool(_) | Value::Null) {
        return Vec::new();
    }
    let schema = schema();
    let mut faults = parameters::check_part(node, &schema, &schema, "tracking");
    if let Some(size) = node.given("largest_artifact") {
        units::memory(size, &mut faults);
    }
    if let Some(wait) = node.given("wait") {
        units::duration(wait, &mut faults);
    }
    if let Some(Node { value: Value::Text(address), span }) = node.given("mlflow")
        && let Err(problem) = server_address(address)
    {
        faults.push(Fault::new(span.clone(), problem.message()).help(problem.help()));
    }
    faults
}

impl Settings {
    /// The settings in the text that a plan keeps; nothing where runs are not to be tracked.
    pub fn of_plan(tracking: Option<&str>) -> Option<Self> {
        match serde_json::from_str(tracking?).ok()? {
            Json::Bool(true) => Some(Self::default()),
            Json::Bool(false) | Json::Null => None,
            settings => serde_json::from_value(settings).ok().filter(|settings: &Self| settings.when),
        }
    }

    /// Bytes of the largest file that is sent.
    pub fn largest_artifact(&self) -> u64 {
        units::memory(&text(&self.largest_artifact), &mut Vec::new()).unwrap_or(0)
    }

    /// How long the end of a run waits.
    pub fn wait(&self) -> Duration {
        units::duration(&text(&self.wait), &mut Vec::new()).unwrap_or_default()
    }
}

fn text(text: &str) -> Node {
    Node::new(Value::Text(text.to_owned()), Span::default())
}

/// Why an address is no server's. The address itself is never shown: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressProblem {
    /// It is no URL.
    NoUrl,
    /// It is the URL of something else.
    OtherScheme,
    /// It has a user name or a password in it.
    Credentials,
}

impl AddressProblem {
    /// What was expected.
    pub fn message(self) -> &'static str {
        match self {
            Self::NoUrl => "the address of an MLflow server is a URL, such as `http://127.0.0.1:5000`",
            Self::OtherScheme => "an MLflow server is reached by `http://` or `https://`",
            Self::Credentials => "the address of an MLflow server has no place for a user name or a password",
        }
    }

    /// What to do.
    pub fn help(self) -> &'static str {
        match self {
            Self::NoUrl => "start it with `http://` or `https://`",
            Self::OtherScheme => {
                "start a server on that store: `mlflow server --backend-store-uri …`, and name its address"
            }
            Self::Credentials => {
                "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment or `.env`"
            }
        }
    }
}

/// The address of a server, without what does not belong to it.
///
/// # Errors
/// When it is none.
pub fn server_address(text: &str) -> Result<Url, AddressProblem> {
    let mut url = Url::parse(text.trim()).map_err(|_| AddressProblem::NoUrl)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(AddressProblem::OtherScheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressProblem::Credentials);
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        faults(&Node::parse(text).unwrap()).into_iter().map(|fault| fault.message).collect()
    }

    #[test]
    fn a_section_is_checked_as_a_whole() {
        for right in ["true", "false", "{}", "{ mlflow: 'http://h:5000/base/', experiment: x, wait: 2s }"] {
            assert_eq!(messages(right), Vec::<String>::new(), "{right}");
        }
        for (wrong, words) in [
            ("{ mlflw: x }", "unknown key `mlflw`"),
            ("{ mlflow: localhost }", "is a URL"),
            ("{ mlflow: 'sqlite:///x.db' }", "`http://` or `https://`"),
            ("{ mlflow: 'http://me:secret@h' }", "no place for a user name"),
            ("{ largest_artifact: 3 }", "largest_artifact"),
            ("{ wait: soon }", "a time is a number"),
            ("[1]", "must be a map, found a list"),
        ] {
            let found = messages(wrong);
            assert!(found.iter().any(|message| message.contains(words)), "{wrong}: {found:?}");
            assert!(!found.concat().contains("secret"));
        }
    }

    #[test]
    fn what_a_plan_keeps_is_read_again() {
        let kept = Settings::of_plan(Some(r#"{"experiment": "x", "wait": "2s", "largest_artifact": "1kB"}"#))
            .unwrap();
        assert_eq!((kept.experiment.as_deref(), kept.wait().as_secs()), (Some("x"), 2));
        assert_eq!(kept.largest_artifact(), 1000);
        assert_eq!(Settings::of_plan(Some("true")), Some(Settings::default()));
        assert_eq!(Settings::default().largest_artifact(), 64 << 20);
        for nothing in [None, Some("false"), Some("null"), Some(r#"{"when": false}"#)] {
            assert_eq!(Settings::of_plan(nothing), None);
        }
    }

    #[test]
    fn an_address_loses_what_does_not_belong_to_it() {
        assert_eq!(
            server_address("http://h:5000/ml/?x=1#/experiments").unwrap().as_str(),
            "http://h:5000/ml"
        );
        assert_eq!(server_address("https://h/").unwrap().as_str(), "https://h/");
    }
}
