//! The service file: where to listen, what to answer from, and how to blend.
//!
//! Every key has a default, so that a file says only what differs. Values are checked while they
//! are read, and an error names the file, the line and the column.

use std::fs;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::NamedSource;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::failure::{ContentFault, FileFault, ServiceError};
use super::layout::{self, Member};
use super::operations::{self, Calls, Keys, Limits};
use super::project::Project;
use super::variants::{self, Variant};

/// A service file as written, defaults filled in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// The address to listen on; `0.0.0.0` lets other machines in.
    pub host: String,
    /// The port to listen on; 0 takes a free one.
    #[serde(deserialize_with = "port")]
    pub port: u16,
    /// Services with ports of their own; without any, one service answers everything on `port`.
    #[serde(deserialize_with = "layout::services")]
    pub services: Vec<Member>,
    /// The names of those in this process; all when empty.
    #[serde(skip)]
    pub hosted: Vec<String>,
    /// Calls to the services that are not in this process.
    pub calls: Calls,
    /// The longest list that may be asked for.
    #[serde(deserialize_with = "count")]
    pub max_k: NonZeroUsize,
    /// The files to answer from.
    pub artifacts: Artifacts,
    /// How the final list is put together.
    pub blending: Blending,
    /// A/B variants of the blending.
    #[serde(deserialize_with = "variants::list")]
    pub variants: Vec<Variant>,
    /// Goes into the hash that deals users to variants; another one deals them anew.
    pub variant_salt: String,
    /// Tracks that no answer names.
    pub blocked_tracks: Vec<i64>,
    /// Where events are kept.
    pub events: Events,
    /// Where it is written down what users were shown.
    pub impressions: Impressions,
    /// When it is looked for a new release.
    pub reload: Reload,
    /// A folder for lists as they lie in memory, so that the next start maps them and reads no Parquet;
    /// null keeps none.
    pub lists_cache: Option<PathBuf>,
    /// How much at once, how long, and how large.
    pub limits: Limits,
    /// Which environment variables hold the keys that clients must show.
    pub keys: Keys,
    /// Origins of pages that may call the service from a browser.
    #[serde(deserialize_with = "operations::origins")]
    pub cors_origins: Vec<String>,
    /// Tell of each request on standard error, one line of JSON each.
    pub access_log: bool,
    /// What the page shows of the project beside answers.
    pub project: Project,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8000,
            services: Vec::new(),
            hosted: Vec::new(),
            calls: Calls::default(),
            max_k: NonZeroUsize::new(1000).expect("1000 is not 0"),
            artifacts: Artifacts::default(),
            blending: Blending::default(),
            variants: Vec::new(),
            variant_salt: "recsys".to_owned(),
            blocked_tracks: Vec::new(),
            events: Events::default(),
            impressions: Impressions::default(),
            project: Project::default(),
            reload: Reload::default(),
            lists_cache: Some("services/state/lists".into()),
            limits: Limits::default(),
            keys: Keys::default(),
            cors_origins: Vec::new(),
            access_log: false,
        }
    }
}

/// The files to answer from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Artifacts {
    /// `user_id, track_id, score, rank`, from `rank`.
    pub recommendations: PathBuf,
    /// `track_id, similar_track_id, score, rank`, from `similar`.
    pub similar: PathBuf,
    /// `track_id, score, rank`, from `popularity`.
    pub top_popular: PathBuf,
    /// The tracks, from `preprocess`.
    pub items: PathBuf,
    /// The factors of `als`, for `online: fold_in` and for reasons; null does without.
    pub model: Option<PathBuf>,
    /// What the model was fitted on, `split.history_matrix`: with it, `exclude_seen` leaves out what was
    /// listened to before the release, and reasons name it; null does without.
    pub history: Option<PathBuf>,
    /// The users behind its rows, from `preprocess`; read with `history` only.
    pub users: PathBuf,
    /// The folder of what `flat_lists` makes of `recommendations` and `similar`, for fast starts; lists that are
    /// not there, or were made from other tables, are read from those.
    pub flat_lists: Option<PathBuf>,
    /// Another process answers from `recommendations`.
    #[serde(skip)]
    pub without_recommendations: bool,
    /// Another process answers from `similar`.
    #[serde(skip)]
    pub without_similar: bool,
    /// Another process answers from `top_popular`.
    #[serde(skip)]
    pub without_top_popular: bool,
}

impl Default for Artifacts {
    fn default() -> Self {
        Self {
            recommendations: "artifacts/rerank/recommendations.parquet".into(),
            similar: "artifacts/similar/similar.parquet".into(),
            top_popular: "artifacts/popularity/top_popular.parquet".into(),
            items: "artifacts/preprocess/items.parquet".into(),
            model: None,
            history: None,
            users: "artifacts/preprocess/users.parquet".into(),
            flat_lists: Some("artifacts/flat_lists".into()),
            without_recommendations: false,
            without_similar: false,
            without_top_popular: false,
        }
    }
}

impl Artifacts {
    /// Checks that each file is there.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<(), ServiceError> {
        match self.files().into_iter().find(|(_, path)| !path.exists()) {
            Some((artifact, path)) => Err(ServiceError::MissingArtifact { artifact, path: path.to_owned() }),
            None => Ok(()),
        }
    }

    /// The files by their keys, without those that other processes answer from.
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        let mut files = vec![
            ("recommendations", self.recommendations.as_path()),
            ("similar", &self.similar),
            ("top_popular", &self.top_popular),
            ("items", &self.items),
        ];
        let elsewhere = [
            ("recommendations", self.without_recommendations),
            ("similar", self.without_similar),
            ("top_popular", self.without_top_popular),
        ];
        files.retain(|(name, _)| !elsewhere.contains(&(name, true)));
        files.extend(self.model.as_deref().map(|model| ("model", model)));
        files.extend(
            self.history.iter().flat_map(|history| [("history", history.as_path()), ("users", &self.users)]),
        );
        files
    }
}

/// How the final list is put together from the online and the offline one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Blending {
    /// Alternate strictly, or draw which list is next.
    pub mode: Mode,
    /// The list that gets the first position (`strict`), or that `probability` belongs to.
    pub first: First,
    /// The chance that the next track comes from the first list, from 0 to 1.
    #[serde(deserialize_with = "share")]
    pub probability: f64,
    /// Seed of the draws; one user with one history gets one answer.
    pub seed: u64,
    /// Leave out the tracks of the user's own events, and of `artifacts: history` where there is one.
    pub exclude_seen: bool,
    /// How online recommendations are made.
    pub online: Online,
    /// How many of the user's last events online recommendations start from.
    #[serde(deserialize_with = "count")]
    pub online_events: NonZeroUsize,
    /// What an event counts for compared with the next newer one, from 0 to 1.
    #[serde(deserialize_with = "share")]
    pub recency_decay: f64,
}

impl Default for Blending {
    fn default() -> Self {
        Self {
            mode: Mode::Strict,
            first: First::Online,
            probability: 0.5,
            seed: 42,
            exclude_seen: true,
            online: Online::Similar,
            online_events: NonZeroUsize::new(10).expect("10 is not 0"),
            recency_decay: 0.9,
        }
    }
}

/// How two lists become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One from each in turn.
    Strict,
    /// A seeded draw decides for each position.
    Probability,
}

/// Which of the two lists is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum First {
    /// Tracks similar to the last events.
    Online,
    /// The precomputed list.
    Offline,
}

/// How online recommendations are made of a user's last events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Online {
    /// By the precomputed similar tracks of each.
    #[default]
    Similar,
    /// By the user's vector, solved from them with the factors of `artifacts: model`.
    FoldIn,
}

/// Where events are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// The SQLite file; it is made when it is not there.
    pub path: PathBuf,
    /// How many of a user's newest events are used; the file keeps all.
    #[serde(deserialize_with = "count")]
    pub keep_per_user: NonZeroUsize,
    /// How many of the newest events are read from the file at the start; older ones of a user are read when the
    /// user is asked for.
    #[serde(deserialize_with = "count")]
    pub read_at_start: NonZeroUsize,
    /// What becomes of an event with a track that is not in the items table.
    pub unknown_tracks: UnknownTracks,
    /// The environment variable with the address of a PostgreSQL; where it is set, events are kept there
    /// and not in the file, and all processes with the same address share them.
    pub database_url_env: Option<String>,
    /// How long the database may take for one statement.
    #[serde(deserialize_with = "operations::milliseconds")]
    pub database_timeout_ms: Duration,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            path: "services/state/events.sqlite".into(),
            keep_per_user: NonZeroUsize::new(1000).expect("1000 is not 0"),
            read_at_start: NonZeroUsize::new(2_000_000).expect("2,000,000 is not 0"),
            unknown_tracks: UnknownTracks::Accept,
            database_url_env: Some("DATABASE_URL".to_owned()),
            database_timeout_ms: Duration::from_secs(2),
        }
    }
}

/// Where it is written down what users were shown.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Impressions {
    /// A file of JSON Lines that answers are appended to, one line each; null keeps nothing.
    pub path: Option<PathBuf>,
    /// A file that would grow beyond this is put aside under a name with the time, and a new one is begun.
    #[serde(deserialize_with = "bytes")]
    pub max_file_bytes: NonZeroU64,
    /// What was written is told to the disk this often; a power cut costs no more.
    #[serde(deserialize_with = "operations::milliseconds")]
    pub sync_ms: Duration,
}

impl Default for Impressions {
    fn default() -> Self {
        Self {
            path: None,
            max_file_bytes: NonZeroU64::new(1 << 30).expect("2³⁰ is not 0"),
            sync_ms: Duration::from_secs(5),
        }
    }
}

/// When it is looked for a new release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reload {
    /// Seconds between two looks at the artifacts; 0 stays with the release that was there at the start.
    pub every_seconds: u32,
}

impl Default for Reload {
    fn default() -> Self {
        Self { every_seconds: 5 }
    }
}

/// What becomes of an event with a track that is not in the items table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownTracks {
    /// It is stored: the next release may know the track.
    Accept,
    /// The request gets an error.
    Refuse,
}

impl Service {
    /// Checks that each artifact is there, and that there is one for everything that is asked for.
    ///
    /// # Errors
    /// Names the first that is missing.
    pub fn check(&self) -> Result<(), ServiceError> {
        let of_variants = self.variants.iter().filter_map(|variant| variant.blending.online);
        let mut online = of_variants.chain([self.blending.online]);
        if self.artifacts.model.is_none() && online.any(|online| online == Online::FoldIn) {
            return Err(ServiceError::NoModel);
        }
        self.artifacts.check()
    }

    /// Reads a service file.
    ///
    /// # Errors
    /// When the file cannot be read, or a key or value breaks a rule.
    pub fn read(path: &Path) -> Result<Self, FileFault> {
        let text =
            fs::read_to_string(path).map_err(|cause| FileFault::Read { path: path.to_owned(), cause })?;
        Self::parse(path, text)
    }

    /// Takes paths that are relative as starting at `root`.
    #[must_use]
    pub fn under(mut self, root: &Path) -> Self {
        let Artifacts {
            recommendations, similar, top_popular, items, model, history, users, flat_lists, ..
        } = &mut self.artifacts;
        let project = [&mut self.project.evaluation, &mut self.project.pictures];
        let files = [recommendations, similar, top_popular, items, users, &mut self.events.path];
        let optional = [model, history, flat_lists, &mut self.impressions.path, &mut self.lists_cache];
        for path in files.into_iter().chain(project).chain(optional.into_iter().flatten()) {
            *path = root.join(&path);
        }
        self
    }

    fn parse(path: &Path, text: String) -> Result<Self, FileFault> {
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        serde_saphyr::from_str_with_options(&text, options).map_err(|error| {
            let location = error.location();
            let place = location.map(|at| format!(", line {}, column {}", at.line(), at.column()));
            let at = location.and_then(|at| {
                let start = usize::try_from(at.span().byte_offset()?).ok()?;
                let len = usize::try_from(at.span().byte_len().unwrap_or(0)).ok()?;
                Some((start.min(text.len()), len).into())
            });
            let text_with_place = error.to_string();
            // The place stands before the message, as in every error of a file.
            let message = text_with_place.split(" at line ").next().unwrap_or_default().to_owned();
            FileFault::Content(Box::new(ContentFault {
                path: path.to_owned(),
                place: place.unwrap_or_default(),
                message,
                text: NamedSource::new(path.display().to_string(), text.clone()).with_language("yaml"),
                at,
            }))
        })
    }
}

pub(super) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(D::Error::custom(format_args!("expected a number from 0 to 1, found {value}")))
    }
}

pub(super) fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let value = i64::deserialize(deserializer)?;
    let message = || D::Error::custom(format_args!("expected a port from 0 to 65535, found {value}"));
    u16::try_from(value).map_err(|_| message())
}

pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NonZeroUsize, D::Error> {
    let value = i64::deserialize(deserializer)?;
    let count = usize::try_from(value).ok().and_then(NonZeroUsize::new);
    count.ok_or_else(|| D::Error::custom(format_args!("expected an integer from 1 up, found {value}")))
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NonZeroU64, D::Error> {
    count(deserializer).map(|bytes| NonZeroU64::new(bytes.get() as u64).expect("it is not 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Service, String> {
        Service::parse(Path::new("services/x.yaml"), text.to_owned()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_file_says_only_what_differs() {
        let service = parse("port: 9000\nblending: { mode: probability, first: offline }\n").unwrap();
        assert_eq!(service.port, 9000);
        assert_eq!(service.blending.mode, Mode::Probability);
        assert_eq!(service.blending.first, First::Offline);
        assert_eq!(service.artifacts, Artifacts::default());
        assert_eq!(parse("# nothing\n").unwrap(), Service::default());
    }

    #[test]
    fn the_file_of_the_project_states_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("services/default.yaml");
        assert_eq!(Service::read(&path).unwrap(), Service::default());
    }

    #[test]
    fn an_error_names_the_file_the_place_and_the_expectation() {
        for (text, place, expected) in [
            ("port: 8000\nblendin: {}\n", "line 2, column 1", "blendin"),
            ("port: 70000\n", "line 1, column 7", "expected a port from 0 to 65535, found 70000"),
            ("max_k: 0\n", "line 1, column 8", "expected an integer from 1 up, found 0"),
            (
                "blending:\n  probability: 1.5\n",
                "line 2, column 16",
                "expected a number from 0 to 1, found 1.5",
            ),
            ("blending:\n  mode: fair\n", "line 2, column 9", "probability"),
            ("variants:\n- { name: a, share: 1.5 }\n", "line 2, column 21", "from 0 to 1, found 1.5"),
            (
                "variants:\n- { name: a, share: 0.5, blending: { k: 1 } }\n",
                "line 2, column 38",
                "probability",
            ),
            (
                "variants: [{ name: a, share: 0.75 }, { name: b, share: 0.5 }]\n",
                "line 1, column 11",
                "shares that add up to 1 at most, found 1.25",
            ),
            (
                "variants: [{ name: a, share: 0.5 }, { name: a, share: 0.5 }]\n",
                "line 1, column 11",
                "found `a`",
            ),
            ("events: { keep: 3 }\n", "line 1, column 11", "keep_per_user"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.starts_with("`services/x.yaml`"), "{message}");
            assert!(message.contains(place) && message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn relative_paths_start_at_the_root() {
        let service = Service::default().under(Path::new("/project"));
        assert_eq!(service.events.path, Path::new("/project/services/state/events.sqlite"));
        let again = service.clone().under(Path::new("/other"));
        assert_eq!(again, service);
    }
}
