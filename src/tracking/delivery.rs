//! Sends a spool: reads on from where the journal stands, tells the server, notes how far it came.
//!
//! Everything may be sent again after a crash: parameters, tags and artifacts replace themselves, a metric with the
//! same name, step, time and value is one, and a run is looked for before it is created a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use url::Url;

use super::api::{Api, ID_TAG, Item, NOT_THERE};
use super::entry::{ArtifactFile, Dataset, Entry, Status, WHOLE};
use super::http::Trouble;
use super::journal::Journal;
use super::server::Credentials;
use super::spool::{Placed, Reader, Spool};
use crate::workflow::digest::Digest;
use crate::workflow::store::Store;

/// Entries that are sent before that is noted.
const CHUNK: usize = 1000;
/// What MLflow takes at once.
const MOST_PARAMETERS: usize = 100;
const MOST_TAGS: usize = 100;
const MOST_ITEMS: usize = 1000;
/// Bytes of a batch; MLflow takes 1,000,000.
const MOST_BYTES: usize = 900_000;
/// After so many refusals nothing more of a run is tried.
const MOST_REFUSALS: usize = 20;

/// A spool on its way.
pub struct Delivery {
    reader: Reader,
    journal: Journal,
    api: Api,
    server: Url,
    experiment: String,
    /// What tells runs of this spool from all others.
    id: String,
    store: Store,
    root: PathBuf,
    /// Runs that are no longer there, or take nothing.
    gone: BTreeSet<String>,
    refusals: BTreeMap<String, usize>,
}

/// Why not everything is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stalled {
    /// The server.
    Server(Trouble),
    /// The spool itself: the disk refused.
    Spool(String),
}

impl std::fmt::Display for Stalled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(trouble) => trouble.fmt(f),
            Self::Spool(why) => write!(f, "what is to be sent cannot be read: {why}"),
        }
    }
}

impl From<io::Error> for Stalled {
    fn from(error: io::Error) -> Self {
        Self::Spool(error.to_string())
    }
}

impl From<Trouble> for Stalled {
    fn from(trouble: Trouble) -> Self {
        Self::Server(trouble)
    }
}

impl Delivery {
    /// Of the spool in a folder of the project in `root`.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn open(folder: &Path, root: &Path, credentials: Credentials) -> Result<Self, Stalled> {
        let reader = Reader::of(folder)?;
        let journal = Journal::open(folder)?;
        let first = reader.read(0, 1)?.pop().and_then(|placed| placed.entry);
        let Some(Entry::Destination { server, experiment, id }) = first else {
            return Err(Stalled::Spool("its first line does not say where to".to_owned()));
        };
        let server = Url::parse(&server).map_err(|error| Stalled::Spool(error.to_string()))?;
        let api = Api::new(server.clone(), credentials)?;
        let store = Store::open(&root.join("cache"));
        let root = root.to_owned();
        let (gone, refusals) = (BTreeSet::new(), BTreeMap::new());
        Ok(Self { reader, journal, api, server, experiment, id, store, root, gone, refusals })
    }

    /// Where the whole run is shown, once it is there.
    pub fn link(&self) -> Option<String> {
        let (experiment, run) = (self.journal.experiment.as_ref()?, self.journal.created.get(WHOLE)?);
        let server = self.server.as_str().trim_end_matches('/');
        Some(format!("{server}/#/experiments/{experiment}/runs/{}", run.run_id))
    }

    /// What the server refused for good.
    pub fn refused(&self) -> &[String] {
        &self.journal.refused
    }

    /// Sends all there is.
    ///
    /// # Errors
    /// When the server cannot take it now; what was sent is noted.
    pub async fn pass(&mut self) -> Result<(), Stalled> {
        loop {
            let mut chunk = self.reader.read(self.journal.sent, CHUNK)?;
            // A file is not sent again because something after it failed.
            let is_file = |placed: &Placed| matches!(placed.entry, Some(Entry::Artifact { .. }));
            if let Some(first) = chunk.iter().position(is_file) {
                chunk.truncate(first + 1);
            }
            let Some(end) = chunk.last().map(|placed| placed.end) else { return Ok(()) };
            let mut pending: BTreeMap<String, Vec<Item>> = BTreeMap::new();
            for entry in chunk.into_iter().filter_map(|placed| placed.entry) {
                self.take(entry, &mut pending).await?;
            }
            for (run, items) in pending {
                self.log(&run, items).await?;
            }
            self.journal.note_sent(end)?;
        }
    }

    /// After everything is sent: of runs that may have been created twice, one stays; then the spool goes.
    ///
    /// # Errors
    /// When the server cannot be asked now, or the disk refuses.
    pub async fn close(&mut self) -> Result<(), Stalled> {
        let Some(experiment) = self.journal.experiment.clone() else { return Ok(self.reader.remove()?) };
        for run in self.journal.doubtful.clone() {
            let Some(ours) = self.journal.created.get(&run).cloned() else { continue };
            let found = self.api.find_runs(&experiment, &self.id_of(&run)).await?;
            for other in found.into_iter().filter(|other| other.run_id != ours.run_id) {
                self.api.delete_run(&other.run_id).await?;
            }
        }
        Ok(self.reader.remove()?)
    }

    async fn take(&mut self, entry: Entry, pending: &mut BTreeMap<String, Vec<Item>>) -> Result<(), Stalled> {
        match entry {
            Entry::Destination { .. } => {}
            Entry::Run { run, parent, name, began, tags } => {
                self.create(&run, parent, &name, began, tags).await?
            }
            Entry::Parameters { run, values } => {
                let items = values.into_iter().map(|(key, value)| Item::Parameter(key, value));
                pending.entry(run).or_default().extend(items);
            }
            Entry::Metrics { run, points } => {
                pending.entry(run).or_default().extend(points.into_iter().map(Item::Metric));
            }
            Entry::Tags { run, values } => {
                let items = values.into_iter().map(|(key, value)| Item::Tag(key, value));
                pending.entry(run).or_default().extend(items);
            }
            Entry::Datasets { run, datasets } => self.log_inputs(&run, &datasets).await?,
            Entry::Artifact { run, name, file } => self.send_file(&run, &name, &file).await?,
            Entry::End { run, status, at } => {
                let items = pending.remove(&run).unwrap_or_default();
                self.log(&run, items).await?;
                if let Some(run_id) = self.run_id(&run) {
                    let ended = self.api.end_run(&run_id, status, at).await;
                    self.settle(&run, ended)?;
                }
            }
        }
        Ok(())
    }

    fn id_of(&self, run: &str) -> String {
        // In a filter a quote would end the text.
        format!("{}/{run}", self.id).replace('\'', "_")
    }

    async fn create(
        &mut self,
        run: &str,
        parent: Option<String>,
        name: &str,
        began: i64,
        tags: BTreeMap<String, String>,
    ) -> Result<(), Stalled> {
        if self.journal.created.contains_key(run) {
            return Ok(());
        }
        let experiment = match &self.journal.experiment {
            Some(id) => id.clone(),
            None => {
                let id = self.api.experiment(&self.experiment).await?;
                self.journal.note_experiment(&id)?;
                id
            }
        };
        let id = self.id_of(run);
        if self.journal.announced.contains(run) {
            if let Some(found) = self.api.find_runs(&experiment, &id).await?.into_iter().next() {
                return Ok(self.journal.note_created(run, found)?);
            }
            self.journal.doubt(run)?;
        } else {
            self.journal.announce(run)?;
        }
        let parent =
            parent.and_then(|parent| self.journal.created.get(&parent)).map(|parent| parent.run_id.clone());
        let nested = parent.as_deref().map(|id| ("mlflow.parentRunId", id));
        let tags = tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let all = tags.chain([(ID_TAG, id.as_str())]).chain(nested);
        // Without the run nothing of it can be logged, so a refusal does not pass it over.
        let created = self.api.create_run(&experiment, name, began, all).await;
        let created = created.map_err(|trouble| match trouble {
            Trouble::Refused { .. } => Trouble::later(format!("a run cannot be created: {trouble}")),
            later => later,
        })?;
        Ok(self.journal.note_created(run, created)?)
    }

    /// The id of a run on the server, unless it takes nothing more.
    fn run_id(&self, run: &str) -> Option<String> {
        let created = self.journal.created.get(run)?;
        (!self.gone.contains(run)).then(|| created.run_id.clone())
    }

    /// Sends items in batches as MLflow takes them; of a batch that is refused the halves, down to the one.
    async fn log(&mut self, run: &str, items: Vec<Item>) -> Result<(), Stalled> {
        let mut batches: Vec<Vec<Item>> = batches(items);
        batches.reverse();
        while let Some(mut batch) = batches.pop() {
            let Some(run_id) = self.run_id(run) else { return Ok(()) };
            match self.api.log_batch(&run_id, &batch).await {
                Err(Trouble::Refused { code, .. }) if code != NOT_THERE && batch.len() > 1 => {
                    let rest = batch.split_off(batch.len() / 2);
                    batches.extend([rest, batch]);
                }
                answer => self.settle(run, answer)?,
            }
        }
        Ok(())
    }

    async fn log_inputs(&mut self, run: &str, datasets: &[Dataset]) -> Result<(), Stalled> {
        let Some(run_id) = self.run_id(run) else { return Ok(()) };
        let answer = self.api.log_inputs(&run_id, datasets).await;
        self.settle(run, answer)
    }

    async fn send_file(&mut self, run: &str, name: &str, file: &ArtifactFile) -> Result<(), Stalled> {
        let Some(created) = self.journal.created.get(run).filter(|_| !self.gone.contains(run)).cloned()
        else {
            return Ok(());
        };
        let (body, size) = match file {
            ArtifactFile::Text(text) => (reqwest::Body::from(text.clone()), text.len() as u64),
            ArtifactFile::Output { digest, path } => match self.bytes_of(*digest, path) {
                Some(file) => {
                    let size = file.metadata()?.len();
                    (reqwest::Body::from(tokio::fs::File::from_std(file)), size)
                }
                None => {
                    let message = format!("`{name}` is not sent: its bytes are no longer there");
                    return Ok(self.journal.note_refused(&message)?);
                }
            },
        };
        let answer = self.api.put_artifact(&created, name, body, size).await;
        self.settle(run, answer)
    }

    /// The bytes of an output, from the store or from where it was released.
    fn bytes_of(&self, digest: Digest, path: &Path) -> Option<File> {
        let released = self.root.join(path);
        [self.store.object_path(digest), released].into_iter().find_map(|path| {
            let found = self.store.digests().digest(&path).ok()?;
            if found == digest { File::open(path).ok() } else { None }
        })
    }

    /// Goes on after an answer, or a refusal for good, which is noted.
    fn settle(&mut self, run: &str, answer: Result<(), Trouble>) -> Result<(), Stalled> {
        let Err(trouble) = answer else { return Ok(()) };
        let Trouble::Refused { code, .. } = &trouble else { return Err(trouble.into()) };
        let count = self.refusals.entry(run.to_owned()).or_default();
        *count += 1;
        if code == NOT_THERE || *count >= MOST_REFUSALS {
            self.gone.insert(run.to_owned());
        }
        Ok(self.journal.note_refused(&trouble.to_string())?)
    }
}

/// Ends the runs in a spool that died before they could say how they ended.
///
/// # Errors
/// When the disk refuses.
pub fn close_dead(spool: &mut Spool) -> io::Result<()> {
    let mut open = BTreeSet::new();
    let mut last = 0;
    for entry in spool.reader()?.read(0, usize::MAX)?.into_iter().filter_map(|placed| placed.entry) {
        match entry {
            Entry::Run { run, began, .. } => {
                open.insert(run);
                last = last.max(began);
            }
            Entry::Metrics { points, .. } => last = points.iter().map(|point| point.at).fold(last, i64::max),
            Entry::End { run, at, .. } => {
                open.remove(&run);
                last = last.max(at);
            }
            _ => {}
        }
    }
    let ends: Vec<Entry> =
        open.into_iter().rev().map(|run| Entry::End { run, status: Status::Killed, at: last }).collect();
    if ends.is_empty() { Ok(()) } else { spool.append(&ends) }
}

/// Items in batches as large as MLflow takes them.
fn batches(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut batches: Vec<Vec<Item>> = Vec::new();
    let (mut parameters, mut tags, mut bytes) = (0, 0, 0);
    for item in items {
        let size = match &item {
            Item::Parameter(key, value) | Item::Tag(key, value) => 2 * (key.len() + value.len()) + 30,
            Item::Metric(point) => 2 * point.key.len() + 110,
        };
        let full = batches.last().is_none_or(|batch| {
            batch.len() >= MOST_ITEMS
                || bytes + size > MOST_BYTES
                || (matches!(item, Item::Parameter(..)) && parameters >= MOST_PARAMETERS)
                || (matches!(item, Item::Tag(..)) && tags >= MOST_TAGS)
        });
        if full {
            batches.push(Vec::new());
            (parameters, tags, bytes) = (0, 0, 0);
        }
        bytes += size;
        parameters += usize::from(matches!(item, Item::Parameter(..)));
        tags += usize::from(matches!(item, Item::Tag(..)));
        if let Some(batch) = batches.last_mut() {
            batch.push(item);
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracking::entry::Point;

    #[test]
    fn batches_keep_the_limits_and_the_order() {
        let parameter = |i: usize| Item::Parameter(format!("p{i}"), "v".repeat(6000));
        let metric =
            |i: usize| Item::Metric(Point { key: "loss".to_owned(), value: 1.0, step: i as u64, at: 0 });
        let items: Vec<Item> = (0..250).map(parameter).chain((0..2500).map(metric)).collect();
        let batches = batches(items.clone());
        assert_eq!(batches.concat(), items);
        for batch in &batches {
            let parameters = batch.iter().filter(|item| matches!(item, Item::Parameter(..))).count();
            assert!(parameters <= 100 && batch.len() <= 1000);
        }
        assert!(super::batches(Vec::new()).is_empty());
    }
}
