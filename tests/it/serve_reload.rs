//! A new release in the place of the old one. What is checked:
//!
//! 1. a changed release is taken up when it is whole, and requests in flight finish on the old one;
//! 2. a broken one is refused and counted, the old one is served on, and a good one after it is taken up;
//! 3. what manifests say: half of a run is waited for, artifacts of different runs are refused;
//! 4. lists are mapped from the second start on, and made again when they are damaged.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use axum::Router;
use polars::prelude::*;
use recsys::serve::library::Library;
use recsys::serve::origin::Told;
use recsys::serve::reload::Watcher;
use recsys::serve::{ServiceError, State};
use serde_json::{Value, json};

use crate::serve_project::{Project, ok};

/// The first two popular tracks.
async fn popular(router: &Router) -> Value {
    ok(router, "GET", "/top_popular/2").await["recommendations"].clone()
}

/// Puts other popular tracks in the place of those that lie there, as a release does: by renaming.
fn publish(project: &Project, track_ids: &[i64]) {
    let path = &project.service.artifacts.top_popular;
    let unfinished = path.with_extension("new");
    let scores: Vec<f64> = (0..track_ids.len()).rev().map(|score| score as f64).collect();
    let ranks: Vec<u32> = (1..=track_ids.len() as u32).collect();
    project.write(&unfinished, df!("track_id" => track_ids, "score" => scores, "rank" => ranks));
    fs::rename(unfinished, path).unwrap();
}

/// Two looks: the first sees the change, the second that it is over.
fn look(watcher: &mut Watcher) {
    watcher.look();
    watcher.look();
}

fn started(project: &Project) -> (Router, State, Watcher) {
    let (router, state) = project.router_and_state();
    (router, state.clone(), Watcher::new(state))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_release_is_taken_up_and_what_began_before_finishes_on_the_old_one() {
    let project = Project::new();
    let (router, state, mut watcher) = started(&project);
    look(&mut watcher);
    assert_eq!(state.releases(), (0, 0), "nothing has changed");

    let in_flight = state.library();
    publish(&project, &[109, 108]);
    watcher.look();
    assert_eq!(popular(&router).await, json!([100, 101]), "it may still be changing");
    watcher.look();
    assert_eq!(popular(&router).await, json!([109, 108]));
    assert_eq!(in_flight.top_popular.len(), 10);
    assert_eq!(state.releases(), (1, 0));

    // The same bytes in a new file are no new release.
    publish(&project, &[109, 108]);
    look(&mut watcher);
    assert_eq!(state.releases(), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_release_is_refused_and_the_old_one_served_on() {
    let project = Project::new();
    let (router, state, mut watcher) = started(&project);
    let path = &project.service.artifacts.top_popular;
    for (number, break_it) in [
        (1, &(|| publish(&project, &[109, 999])) as &dyn Fn()),
        (2, &|| fs::write(path, "no table").unwrap()),
        (3, &|| fs::remove_file(path).unwrap()),
    ] {
        break_it();
        look(&mut watcher);
        look(&mut watcher);
        assert_eq!(state.releases(), (0, number), "refused, and once");
        assert_eq!(popular(&router).await, json!([100, 101]));
    }
    publish(&project, &[109, 108]);
    look(&mut watcher);
    assert_eq!(popular(&router).await, json!([109, 108]));
    assert_eq!(state.releases(), (1, 3));
}

/// Writes a manifest of a run that made every artifact from the items that lie there.
fn manifest(project: &Project, made_from_items: Option<&str>) -> PathBuf {
    let root = project.folder.path();
    let digest = |path: &Path| blake3_of(path);
    let artifacts = &project.service.artifacts;
    let items = digest(&artifacts.items);
    let made_from = made_from_items.unwrap_or(&items);
    let steps: serde_json::Map<String, Value> = artifacts
        .files()
        .into_iter()
        .map(|(name, path)| {
            let inputs = if name == "items" { json!({}) } else { json!({"items": made_from}) };
            let relative = path.strip_prefix(root).unwrap();
            let outputs = json!({"out": {"path": relative, "object": {"digest": digest(path), "size": 1}}});
            (name.to_owned(), json!({"key": "", "inputs": inputs, "outputs": outputs}))
        })
        .collect();
    let path = root.join("artifacts/manifest.music.json");
    fs::write(&path, json!({"pipeline": "music", "steps": steps}).to_string()).unwrap();
    path
}

fn blake3_of(path: &Path) -> String {
    blake3::hash(&fs::read(path).unwrap()).to_hex().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_a_run_is_waited_for() {
    let project = Project::new();
    manifest(&project, None);
    let (router, state, mut watcher) = started(&project);
    assert_eq!(state.library().origin.told, Told::OneRun { pipeline: "music".to_owned() });

    publish(&project, &[109, 108]);
    look(&mut watcher);
    assert_eq!(state.releases(), (0, 0), "the manifest comes at the end of a run");
    assert_eq!(popular(&router).await, json!([100, 101]));
    manifest(&project, None);
    look(&mut watcher);
    assert_eq!(popular(&router).await, json!([109, 108]));
    assert_eq!(state.releases(), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_of_different_runs_are_refused() {
    let project = Project::new();
    manifest(&project, None);
    let (router, state, mut watcher) = started(&project);
    publish(&project, &[109, 108]);
    let path = manifest(&project, Some("0a"));
    look(&mut watcher);
    assert_eq!(state.releases(), (0, 1));
    assert_eq!(popular(&router).await, json!([100, 101]));
    let refusal = project.refusal();
    assert!(
        matches!(&refusal, ServiceError::Mixed { port: "items", manifest, .. } if *manifest == path),
        "{refusal}"
    );
    let said = "says that `recommendations` was made from other `items` than those that lie there";
    assert!(refusal.to_string().ends_with(said), "{refusal}");

    // Files that the manifest does not mean are served with a warning: somebody put them there.
    publish(&project, &[108, 109]);
    assert_eq!(Library::load(&project.service).unwrap().origin.told, Told::Other { manifest: path });
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_mapped_from_the_second_start_on_and_made_again_when_damaged() {
    let project = Project::new();
    let folder = project.service.lists_cache.clone().unwrap();
    let first = ok(&project.router(), "POST", "/get_recs?user_id=1").await;
    let files = || -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    };
    let made = files();
    assert_eq!(made.len(), 2, "{made:?}");
    for _ in 0..2 {
        let again = ok(&project.router(), "POST", "/get_recs?user_id=1").await;
        assert_eq!(again["items"], first["items"]);
        let whole = fs::read(&made[0]).unwrap();
        fs::remove_file(&made[0]).unwrap();
        fs::write(&made[0], &whole[..whole.len() / 2]).unwrap();
    }
    // Another catalogue numbers the tracks anew.
    let track_ids: Vec<i64> = (100..110).rev().collect();
    project.write(&project.service.artifacts.items, df!("track_id" => track_ids));
    let renumbered = ok(&project.router(), "POST", "/get_recs?user_id=1").await;
    assert_eq!(renumbered["items"], first["items"]);
    assert_eq!(files().len(), 2);
    assert_ne!(files(), made);
}
