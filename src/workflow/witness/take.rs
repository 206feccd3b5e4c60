//! Takes a witness: checks once more, from the plan and the release alone, that nothing is left to do, and
//! notes every file that says so.
//!
//! Each file is looked at before its bytes are read or its digest is asked for: one that changes in
//! between has another stamp afterwards, and the witness does not hold.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Place;
use super::confirm::value_digest;
use super::record::{Seen, Writer};
use super::stamp::{self, Look, Stamp};
use crate::workflow::digest::Digest;
use crate::workflow::digests::TICK;
use crate::workflow::fingerprint::RunKey;
use crate::workflow::plan::{Plan, PlannedStep, Source};
use crate::workflow::release::{Release, Released};
use crate::workflow::store::Store;

/// The program that is running.
const PROGRAM: &str = "/proc/self/exe";
/// Files in one folder from which it is worth opening.
const MANY: usize = 4;
/// Folders that are opened at once.
const FOLDERS: usize = 64;
/// Files from which two threads look quicker than one.
const TWO_THREADS: usize = 3_000;

/// What a run that is over has left.
pub struct Scene<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The steps of the run.
    pub selected: &'a BTreeSet<usize>,
    /// What is released, as it stands on the disk.
    pub release: &'a Release,
    /// The store.
    pub store: &'a Store,
    /// The project folder.
    pub root: &'a Path,
}

/// The witness that nothing is left to do; nothing when something is, or when that cannot be told from
/// files and variables alone.
pub fn take(place: &Place, scene: &Scene<'_>) -> Option<Vec<u8>> {
    let Scene { plan, selected, release, store, root } = *scene;
    let mut noted = Noted { root, now: SystemTime::now(), files: Vec::new(), known: HashSet::new() };
    noted.file(Path::new(PROGRAM), Look::Through)?;
    noted.origin(place)?;
    let rivals = noted.others(scene)?;
    for &position in selected {
        noted.step(scene, position)?;
    }
    let mut writer = Writer::new();
    let pipelines = [plan.name.as_str()].into_iter().chain(rivals.iter().map(String::as_str));
    writer.number(1 + rivals.len());
    pipelines.for_each(|name| writer.bytes(name.as_bytes()));
    let real = fs::canonicalize(root.join(&plan.path)).ok()?;
    if real.strip_prefix(root).unwrap_or(&real) != release.state.file {
        return None;
    }
    writer.bytes(plan.path.as_os_str().as_bytes());
    writer.bytes(real.as_os_str().as_bytes());
    let declared = selected.iter().flat_map(|&position| plan.steps[position].environment.keys());
    let variables: BTreeSet<&str> = place.origin.variables()?.chain(declared.map(String::as_str)).collect();
    writer.number(variables.len());
    for name in variables {
        writer.bytes(name.as_bytes());
        writer.digest(value_digest(name));
    }
    noted.write(&mut writer);
    let steps = || selected.iter().map(|&position| &plan.steps[position]);
    let summary = |step: &'_ PlannedStep| release.state.steps.get(&step.name)?.summary.as_deref();
    writer.number(selected.len());
    writer.texts(steps().filter_map(summary));
    writer.texts(steps().map(|step| step.name.as_str()));
    // Held against the store as the last thing: a folder that went meanwhile is no longer ours.
    store.folder().is_dir().then(|| writer.sealed())
}

/// The files that were looked at.
struct Noted<'a> {
    root: &'a Path,
    now: SystemTime,
    files: Vec<(PathBuf, Look, Option<Stamp>)>,
    known: HashSet<(PathBuf, Look)>,
}

impl Noted<'_> {
    /// What lies at a path of the project, when it changed long enough ago.
    fn file(&mut self, path: &Path, look: Look) -> Option<fs::Metadata> {
        let whole = self.root.join(path);
        let found = match look {
            Look::Through => fs::metadata(whole),
            Look::Plain => fs::symlink_metadata(whole),
        };
        let found = found.ok()?;
        let stamp = stamp::of(&found);
        let settled = stamp::is_settled(&stamp, self.now, TICK);
        settled.then(|| {
            self.note(path, look, Some(stamp));
            found
        })
    }

    fn note(&mut self, path: &Path, look: Look, stamp: Option<Stamp>) {
        let path = path.strip_prefix(self.root).unwrap_or(path).to_owned();
        if self.known.insert((path.clone(), look)) {
            self.files.push((path, look, stamp));
        }
    }

    /// What the plan was made from has the bytes and values that it had.
    fn origin(&mut self, place: &Place) -> Option<()> {
        for (path, digest) in place.origin.files() {
            self.file(path, Look::Through)?;
            let found = Digest::of(&fs::read(self.root.join(path)).ok()?);
            (found == *digest).then_some(())?;
        }
        let dotenv = Path::new(".env");
        match fs::metadata(self.root.join(dotenv)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.note(dotenv, Look::Through, None);
            }
            _ => {
                self.file(dotenv, Look::Through)?;
            }
        }
        place.origin.has_its_values(self.root).then_some(())
    }

    /// What stands beside the release of this pipeline; the names of those that write to its places.
    fn others(&mut self, scene: &Scene<'_>) -> Option<Vec<String>> {
        let record = scene.store.release_path(&scene.plan.name);
        let folder = record.parent()?;
        self.file(folder, Look::Through)?;
        self.file(&record, Look::Through)?;
        for entry in fs::read_dir(folder).ok()? {
            self.file(&entry.ok()?.path(), Look::Through)?;
        }
        self.file(&Release::manifest_path(&scene.plan.name), Look::Through)?;
        let outputs = scene.plan.steps.iter().flat_map(|step| &step.outputs);
        Some(scene.release.rivals(outputs.map(|output| output.path.as_path())))
    }

    /// A step whose inputs and outputs are what its release says.
    fn step(&mut self, scene: &Scene<'_>, position: usize) -> Option<()> {
        let step = &scene.plan.steps[position];
        // What a command says is known when it is asked.
        if !step.probes.is_empty() || step.kind.service {
            return None;
        }
        let released = scene.release.state.steps.get(&step.name)?;
        let key =
            RunKey::new(step.definition, released.inputs.iter().map(|(l, digest)| (l.as_str(), *digest)));
        if key != released.key || released.inputs.len() != step.inputs.len() {
            return None;
        }
        for input in &step.inputs {
            let wanted = *released.inputs.get(&input.label())?;
            let found = match &input.source {
                Source::Step { step, port } => {
                    // One outside of the selection is taken as it was released.
                    scene.selected.contains(step).then_some(())?;
                    let writer = scene.release.state.steps.get(&scene.plan.steps[*step].name)?;
                    writer.outputs.get(port)?.object.digest
                }
                Source::File(path) => {
                    let found = self.file(path, Look::Through).filter(fs::Metadata::is_file)?;
                    scene.store.digests().known(&found)?
                }
            };
            (found == wanted).then_some(())?;
        }
        self.outputs(scene, step, released)
    }

    fn outputs(&mut self, scene: &Scene<'_>, step: &PlannedStep, released: &Released) -> Option<()> {
        (released.outputs.len() == step.outputs.len()).then_some(())?;
        for output in &step.outputs {
            let file = released.outputs.get(&output.port)?;
            let found = self.file(&output.path, Look::Plain).filter(fs::Metadata::is_file)?;
            let same = scene.store.digests().known(&found)? == file.object.digest;
            (same && file.path.as_os_str() == output.path.as_os_str()).then_some(())?;
        }
        Some(())
    }

    fn write(&self, writer: &mut Writer) {
        let mut counts: HashMap<&Path, usize> = HashMap::new();
        for folder in self.files.iter().filter_map(|(path, ..)| folder_of(path)) {
            *counts.entry(folder).or_default() += 1;
        }
        let mut folders: Vec<(usize, &Path)> =
            counts.into_iter().map(|(folder, count)| (count, folder)).filter(|(n, _)| *n >= MANY).collect();
        folders.sort_by(|a, b| b.cmp(a));
        folders.truncate(FOLDERS);
        writer.number(folders.len());
        folders.iter().for_each(|(_, folder)| writer.bytes(folder.as_os_str().as_bytes()));
        let numbers: HashMap<&Path, u16> = folders.iter().map(|(_, folder)| *folder).zip(1..).collect();
        let seen = self.files.iter().map(|(path, look, stamp)| {
            let number = folder_of(path).and_then(|folder| numbers.get(folder)).copied();
            let name = match number {
                Some(_) => path.file_name().unwrap_or(path.as_os_str()),
                None => path.as_os_str(),
            };
            let stamp = stamp.as_ref().map(<[u8; stamp::LENGTH]>::as_slice);
            Seen { folder: number.unwrap_or(0), name: name.as_bytes(), look: *look, stamp }
        });
        let first = if self.files.len() < TWO_THREADS { self.files.len() } else { self.files.len() / 2 };
        writer.files(seen.clone().take(first));
        writer.files(seen.skip(first));
    }
}

fn folder_of(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty())
}
