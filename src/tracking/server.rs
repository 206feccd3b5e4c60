//! Which server is meant and who asks: `tracking:` of the file and the environment together.

use std::fmt;

use miette::Diagnostic;
use thiserror::Error;
use url::Url;

use super::settings::{AddressProblem, Settings, server_address};

/// Turns tracking on or off whatever the file says: `off`, `on`, or the address of a server.
pub const SWITCH: &str = "RECSYS_TRACKING";
/// The server, where the file names none.
pub const SERVER: &str = "MLFLOW_TRACKING_URI";
const EXPERIMENT: &str = "MLFLOW_EXPERIMENT_NAME";

/// Where the runs of a pipeline are logged.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The address of the server.
    pub server: Url,
    /// The experiment that they belong to.
    pub experiment: String,
    /// What is logged.
    pub settings: Settings,
}

/// Who asks; never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody in particular.
    None,
    /// HTTP basic authentication.
    Basic {
        /// The user.
        name: String,
        /// Their password.
        password: String,
    },
    /// A bearer token.
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic",
            Self::Token(_) => "Token",
        })
    }
}

/// Tracking is asked for in a way that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
pub enum TrackingError {
    /// No server is named.
    #[error("the run is to be tracked, but no server is named")]
    #[diagnostic(
        code(recsys::tracking::no_server),
        help(
            "write `tracking: {{ mlflow: http://HOST:PORT }}`, or set MLFLOW_TRACKING_URI; RECSYS_TRACKING=off runs without tracking"
        )
    )]
    NoServer,
    /// The environment names a server by something that is no address.
    #[error("`{variable}`: {problem}")]
    #[diagnostic(code(recsys::tracking::address), help("{help}; RECSYS_TRACKING=off runs without tracking"))]
    Address {
        /// The environment variable.
        variable: &'static str,
        /// What was expected.
        problem: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// The switch has another value.
    #[error("`RECSYS_TRACKING` must be `on`, `off` or the address of an MLflow server")]
    #[diagnostic(code(recsys::tracking::switch), help("unset it to do what the pipeline says"))]
    Switch,
}

/// Where runs are to be logged by what a plan keeps of `tracking:`; nothing when they are not. `name` is the experiment
/// that they belong to when nobody names one; `env` gives environment variables.
///
/// # Errors
/// When tracking is asked for, but not where to.
pub fn destination(
    tracking: Option<&str>,
    name: &str,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Option<Destination>, TrackingError> {
    choose(Settings::of_plan(tracking), name, env)
}

fn choose(
    settings: Option<Settings>,
    pipeline: &str,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Option<Destination>, TrackingError> {
    let given = |name| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let switch = given(SWITCH);
    let (settings, address) = match (switch.as_deref(), settings) {
        (Some("off" | "false" | "0" | "no"), _) | (None, None) => return Ok(None),
        (None, Some(settings)) => (settings, None),
        (Some("on" | "true" | "1" | "yes"), settings) => (settings.unwrap_or_default(), None),
        (Some(address), settings) if address.contains("://") => {
            let server = server_address(address).map_err(|problem| wrong(SWITCH, problem))?;
            (settings.unwrap_or_default(), Some(server))
        }
        (Some(_), _) => return Err(TrackingError::Switch),
    };
    let server = match (address, &settings.mlflow, given(SERVER)) {
        (Some(server), ..) => server,
        // Checked when the file was read.
        (None, Some(address), _) => server_address(address).map_err(|problem| wrong("mlflow", problem))?,
        (None, None, Some(address)) => from_environment(&address)?,
        (None, None, None) => return Err(TrackingError::NoServer),
    };
    let experiment =
        settings.experiment.clone().or_else(|| given(EXPERIMENT)).unwrap_or_else(|| pipeline.to_owned());
    Ok(Some(Destination { server, experiment, settings }))
}

/// MLflow's own clients take `http://user:password@host` from the environment; so is it here.
fn from_environment(address: &str) -> Result<Url, TrackingError> {
    let stripped = Url::parse(address).ok().and_then(|mut url| {
        url.set_password(None).ok()?;
        url.set_username("").ok()?;
        Some(url)
    });
    let address = stripped.as_ref().map_or(address, Url::as_str);
    server_address(address).map_err(|problem| wrong(SERVER, problem))
}

fn wrong(variable: &'static str, problem: AddressProblem) -> TrackingError {
    TrackingError::Address { variable, problem: problem.message(), help: problem.help() }
}

impl Credentials {
    /// Those of the environment, as MLflow's own clients take them: a name and a password, else a token, else what
    /// stands in the address.
    pub fn of_environment(env: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name| env(name).filter(|value| !value.is_empty());
        if let (Some(name), Some(password)) =
            (given("MLFLOW_TRACKING_USERNAME"), given("MLFLOW_TRACKING_PASSWORD"))
        {
            return Self::Basic { name, password };
        }
        if let Some(token) = given("MLFLOW_TRACKING_TOKEN") {
            return Self::Token(token);
        }
        let url = given(SERVER).and_then(|address| Url::parse(&address).ok());
        let part = |part: &str| percent_decoded(part);
        match url.as_ref().and_then(|url| Some((url.username(), url.password()?))) {
            Some((name, password)) => Self::Basic { name: part(name), password: part(password) },
            None => Self::None,
        }
    }
}

fn percent_decoded(text: &str) -> String {
    let pair = format!("x={}", text.replace('+', "%2B"));
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(values: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn chosen(
        settings: Option<Settings>,
        values: &[(&str, &str)],
    ) -> Result<Option<(String, String)>, TrackingError> {
        let found = choose(settings, "music", env(values))?;
        Ok(found.map(|found| (found.server.to_string(), found.experiment)))
    }

    fn to(server: &str) -> Option<Settings> {
        Some(Settings { mlflow: Some(server.to_owned()), ..Settings::default() })
    }

    #[test]
    fn nothing_is_tracked_that_nobody_asked_for() {
        assert_eq!(chosen(None, &[]), Ok(None));
        assert_eq!(chosen(None, &[(SERVER, "http://h")]), Ok(None), "the address alone asks for nothing");
        assert_eq!(chosen(to("http://h"), &[(SWITCH, "off")]), Ok(None));
    }

    #[test]
    fn the_file_wins_over_the_environment_but_for_the_switch() {
        let at = |server: &str, experiment: &str| Ok(Some((server.to_owned(), experiment.to_owned())));
        assert_eq!(chosen(to("http://a"), &[(SERVER, "http://b")]), at("http://a/", "music"));
        assert_eq!(chosen(Some(Settings::default()), &[(SERVER, "http://b")]), at("http://b/", "music"));
        assert_eq!(chosen(to("http://a"), &[(SWITCH, "http://c"), (EXPERIMENT, "x")]), at("http://c/", "x"));
        assert_eq!(chosen(None, &[(SWITCH, "on"), (SERVER, "http://u:p@b")]), at("http://b/", "music"));
        assert_eq!(chosen(Some(Settings::default()), &[]), Err(TrackingError::NoServer));
        assert_eq!(chosen(None, &[(SWITCH, "maybe")]), Err(TrackingError::Switch));
    }

    #[test]
    fn credentials_come_from_the_environment_and_are_not_shown() {
        let name = ("MLFLOW_TRACKING_USERNAME", "me");
        let password = ("MLFLOW_TRACKING_PASSWORD", "secret");
        let token = ("MLFLOW_TRACKING_TOKEN", "secret");
        let basic = Credentials::Basic { name: "me".to_owned(), password: "secret".to_owned() };
        assert_eq!(Credentials::of_environment(env(&[name, password, token])), basic);
        assert_eq!(Credentials::of_environment(env(&[name, token])), Credentials::Token("secret".to_owned()));
        let inside = Credentials::of_environment(env(&[(SERVER, "http://me:a%2Bb@h")]));
        assert_eq!(inside, Credentials::Basic { name: "me".to_owned(), password: "a+b".to_owned() });
        assert!(!format!("{basic:?}{inside:?}").contains("secret"));
    }
}
