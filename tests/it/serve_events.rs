//! Events are never lost. What is checked:
//!
//! 1. kill -9 under write load: every acknowledged event is there afterwards, and a retry of every request
//!    with its id stores each exactly once;
//! 2. a history is bounded by configuration, newest first;
//! 3. a full disk refuses events, keeps what was acknowledged, and goes on when there is room;
//! 4. PostgreSQL: replicas share histories, a retry at another replica is stored once, kill -9 loses nothing;
//! 5. PostgreSQL gone: events get 503 with Retry-After, recommendations go on without them and say so, and
//!    all is well by itself when it is back; one that is not there yet, and one that refuses.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::postgres::Postgres;
use crate::serve_project::{Heard, Project, call, try_call};

/// `recsys serve` as a process of its own, killed when it is dropped.
struct Replica {
    child: Child,
    address: SocketAddr,
}

impl Replica {
    fn start(project: &Project, service: &str, database: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recsys"));
        command.args(["serve", "service.yaml"]).env_remove("DATABASE_URL");
        command.envs(database.map(|url| ("DATABASE_URL", url)));
        Self::launch(project, service, command)
    }

    fn launch(project: &Project, service: &str, mut command: Command) -> Self {
        std::fs::write(project.folder.path().join("service.yaml"), service).unwrap();
        command.current_dir(project.folder.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address =
            lines.find_map(|line| Some(line.split_once("http://")?.1.to_owned())).expect("it starts");
        Self { child, address: address.split_whitespace().next().unwrap().parse().unwrap() }
    }

    fn call(&self, request: &str) -> Heard {
        call(self.address, request)
    }

    fn events(&self, user_id: i64) -> Value {
        self.call(&format!("GET /history/{user_id}/1000")).body["events"].clone()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Eight clients write until the service is killed after `n` acknowledgements; what was acknowledged,
/// and everything that was sent.
fn write_until_killed(replica: &mut Replica, n: usize) -> (Vec<i64>, Vec<i64>) {
    let (acknowledged, sent) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let (count, address) = (AtomicUsize::new(0), replica.address);
    std::thread::scope(|scope| {
        for client in 0..8i64 {
            let (acknowledged, sent, count) = (&acknowledged, &sent, &count);
            scope.spawn(move || {
                for number in 0.. {
                    let track_id = number * 8 + client;
                    sent.lock().unwrap().push(track_id);
                    let put = format!("POST /put?user_id={client}&track_id={track_id}&event_id={number}");
                    match try_call(address, &put) {
                        Ok(heard) if heard.status == 200 => acknowledged.lock().unwrap().push(track_id),
                        _ => return,
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while count.load(Ordering::Relaxed) < n {
            std::thread::yield_now();
        }
        replica.kill();
    });
    (acknowledged.into_inner().unwrap(), sent.into_inner().unwrap())
}

fn stored(replica: &Replica) -> Vec<i64> {
    let of =
        |client| replica.events(client).as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
    (0..8).flat_map(|client| -> Vec<i64> { of(client) }).collect()
}

fn nothing_is_lost_to_kill_9(project: &Project, database: Option<&str>) {
    let start = || Replica::start(project, "port: 0\n", database);
    let (acknowledged, sent) = write_until_killed(&mut start(), 400);
    assert!(acknowledged.len() >= 400);
    let replica = start();
    let found: HashSet<i64> = stored(&replica).into_iter().collect();
    let lost: Vec<&i64> = acknowledged.iter().filter(|track_id| !found.contains(track_id)).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.len());

    for &track_id in &sent {
        let (client, number) = (track_id % 8, track_id / 8);
        let put = format!("POST /put?user_id={client}&track_id={track_id}&event_id={number}");
        let heard = replica.call(&put);
        assert_eq!(heard.body, json!({"result": "ok", "stored": usize::from(!found.contains(&track_id))}));
    }
    let mut found = stored(&replica);
    let mut sent = sent;
    found.sort_unstable();
    sent.sort_unstable();
    assert_eq!(found, sent, "each exactly once");
}

#[test]
fn every_acknowledged_event_is_there_after_kill_9_under_load() {
    nothing_is_lost_to_kill_9(&Project::new(), None);
}

#[test]
fn a_history_is_bounded_and_newest_first() {
    let project = Project::new();
    let service = "port: 0\nevents: { keep_per_user: 3 }\n";
    let mut replica = Replica::start(&project, service, None);
    for track_id in 101..106 {
        replica.call(&format!("POST /put?user_id=1&track_id={track_id}"));
    }
    assert_eq!(replica.events(1), json!([105, 104, 103]));
    replica.kill();
    assert_eq!(Replica::start(&project, service, None).events(1), json!([105, 104, 103]));
    let wider = "port: 0\nevents: { keep_per_user: 4 }\n";
    assert_eq!(
        Replica::start(&project, wider, None).events(1),
        json!([105, 104, 103, 102]),
        "the file keeps all"
    );
}

#[test]
fn a_full_disk_refuses_events_and_keeps_what_was_acknowledged() {
    let project = Project::new();
    let mut command = Command::new("bash");
    // No file may grow beyond 200 kB, and the signal about it is not heard: what a full disk is like.
    command.args(["-c", "trap '' XFSZ; ulimit -S -f 200; exec \"$0\" serve service.yaml"]);
    command.arg(env!("CARGO_BIN_EXE_recsys"));
    let mut replica = Replica::launch(&project, "port: 0\n", command);
    let put = |track_id: i64| replica.call(&format!("POST /put?user_id=1&track_id={track_id}")).status;
    let n_stored = (0..1000).take_while(|&track_id| put(track_id) == 200).count() as i64;
    assert!((1..1000).contains(&n_stored), "{n_stored}");
    assert_eq!(put(n_stored), 503, "and again");
    assert_eq!(replica.call("GET /recommendations/1/1").status, 200);

    let pid = rustix::process::Pid::from_child(&replica.child);
    let room = rustix::process::Rlimit { current: None, maximum: None };
    rustix::process::prlimit(Some(pid), rustix::process::Resource::Fsize, room).unwrap();
    assert_eq!(put(n_stored), 200, "there is room again");
    replica.kill();
    let newest_first: Vec<i64> = (0..=n_stored).rev().collect();
    assert_eq!(Replica::start(&project, "port: 0\n", None).events(1), json!(newest_first));
}

#[test]
fn replicas_share_a_postgresql_and_nothing_is_lost() {
    let Some(database) = Postgres::start() else { return };
    let (here, there) = (Project::new(), Project::new());
    let service = "port: 0\nevents: { keep_per_user: 1000 }\n";
    let [one, other] = [&here, &there].map(|project| Replica::start(project, service, Some(&database.url())));
    assert_eq!(one.call("POST /put?user_id=21&track_id=105&event_id=a").body["stored"], 1);
    assert_eq!(
        other.call("POST /put?user_id=21&track_id=105&event_id=a").body["stored"],
        0,
        "a retry elsewhere"
    );
    assert_eq!(other.call("POST /put?user_id=21&track_id=104").body["stored"], 1);
    for replica in [&one, &other] {
        assert_eq!(replica.events(21), json!([104, 105]));
        let answer = replica.call("GET /recommendations/21/2").body;
        assert_eq!((&answer["source"], &answer["recommendations"]), (&json!("similar"), &json!([107, 106])));
    }
    assert!(!here.folder.path().join("services/state/events.sqlite").exists());
    drop((one, other));
    nothing_is_lost_to_kill_9(&here, Some(&database.url()));
    let bounded = "port: 0\nevents: { keep_per_user: 1 }\n";
    assert_eq!(Replica::start(&there, bounded, Some(&database.url())).events(21), json!([104]));
}

#[test]
fn a_postgresql_that_is_gone_costs_events_only_and_comes_back() {
    let Some(mut database) = Postgres::start() else { return };
    let project = Project::new();
    let replica = Replica::start(&project, "port: 0\n", Some(&database.url()));
    assert_eq!(replica.call("POST /put?user_id=1&track_id=105").status, 200);
    assert_eq!(replica.call("GET /recommendations/1/2").body["source"], "blend");

    database.crash();
    let refused = replica.call("POST /put?user_id=1&track_id=104&event_id=a");
    assert_eq!((refused.status, &refused.body["code"]), (503, &json!("events_unavailable")));
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    assert_eq!(replica.call("GET /history/1").status, 503);
    assert_eq!(replica.call("GET /ready").status, 503);
    let answer = replica.call("GET /recommendations/1/2").body;
    assert_eq!(
        (&answer["source"], &answer["degraded"], &answer["recommendations"]),
        (&json!("personal"), &json!(["events"]), &json!([101, 102]))
    );

    database.run();
    while replica.call("GET /ready").status != 200 {
        std::thread::yield_now();
    }
    while replica.call("POST /put?user_id=1&track_id=104&event_id=a").status != 200 {
        std::thread::yield_now();
    }
    while replica.call("GET /history/1").status != 200 {
        std::thread::yield_now();
    }
    assert_eq!(replica.events(1), json!([104, 105]));
    assert_eq!(replica.call("GET /recommendations/1/2").body["degraded"], Value::Null);
}

#[test]
fn a_postgresql_may_come_later_but_must_not_refuse() {
    let Some(mut database) = Postgres::start() else { return };
    let project = Project::new();
    database.crash();
    let replica = Replica::start(&project, "port: 0\n", Some(&database.url()));
    assert_eq!(replica.call("GET /ready").status, 503);
    assert_eq!(replica.call("GET /recommendations/1/1").body["recommendations"], json!([101]));
    database.run();
    while replica.call("POST /put?user_id=1&track_id=105").status != 200 {
        std::thread::yield_now();
    }

    for (url, message) in [
        (database.url().replace(database.password(), "wrong-secret"), "password authentication failed"),
        ("postgres://u:wrong-secret@host:port/x".to_owned(), "makes no sense"),
    ] {
        let refused = Command::new(env!("CARGO_BIN_EXE_recsys"))
            .args(["serve", "service.yaml"])
            .current_dir(project.folder.path())
            .env("DATABASE_URL", url)
            .output()
            .unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(message) && !said.contains("wrong-secret"), "{said}");
    }
}
