//! `recsys verify-service` and `recsys recommend`. What is checked:
//!
//! 1. a good service passes, with a report for people, a log and JSON, and nothing of it is left behind;
//! 2. a running service is asked without adding events of its users, or any at all;
//! 3. a service that answers otherwise than it says fails, and the report says where;
//! 4. `serve` shows the pipeline that was released last, with the states of its steps;
//! 5. `recommend` answers as the route does, with the events on the disk, or without them and says so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::serve::command;
use crate::serve_project::{Project, call, ok};

fn recsys(project: &Project, args: &[&str]) -> Output {
    let mut recsys = Command::new(env!("CARGO_BIN_EXE_recsys"));
    recsys.args(args).current_dir(project.folder.path()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn project() -> Project {
    let project = Project::new();
    std::fs::write(project.folder.path().join("service.yaml"), "port: 0\n").unwrap();
    project
}

fn results(project: &Project) -> Value {
    let json = std::fs::read(project.folder.path().join("service_test.json")).unwrap();
    serde_json::from_slice(&json).unwrap()
}

fn outcome(results: &Value, name: &str) -> String {
    let checks = results["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name).unwrap();
    check["outcome"].as_str().unwrap().to_owned()
}

#[test]
fn a_good_service_passes_and_leaves_a_report_alone() {
    let project = project();
    let output = recsys(&project, &["verify-service", "service.yaml"]);
    let told = text(&output.stdout);
    assert!(output.status.success(), "{told}{}", text(&output.stderr));
    for line in
        ["✓ new user", "✓ events only", "✓ precomputed list only", "✓ both", "✓ POST /recommendations "]
    {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(told.contains("\nin order of http://127.0.0.1:"), "{told}");
    let results = results(&project);
    assert_eq!((&results["passed"], &results["failed"]), (&json!(true), &json!(0)));
    assert!(results["checks"].as_array().unwrap().len() > 50);
    let log = std::fs::read_to_string(project.folder.path().join("service_test.log")).unwrap();
    assert!(log.contains("POST /recommendations?user_id=-") && log.contains("PASSED the four cases: both"));
    assert!(!project.folder.path().join("services").exists(), "its events were its own");
}

#[test]
fn the_services_of_a_layout_are_asked_together() {
    let project = project();
    let four = Path::new(env!("CARGO_MANIFEST_DIR")).join("services/four.yaml");
    let output = recsys(&project, &["verify-service", four.to_str().unwrap()]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let results = results(&project);
    assert_eq!(results["services"].as_array().unwrap().len(), 4);
    for name in
        ["new user", "events only", "precomputed list only", "both", "GET /similar/{track_id}", "POST /put"]
    {
        assert_eq!(outcome(&results, name), "passed", "{name}");
    }
}

#[test]
fn a_running_service_is_asked_with_care() {
    let project = project();
    let (mut running, address) = command(project.folder.path());
    let url = format!("http://{address}");
    let output = recsys(&project, &["verify-service", "--url", &url, "--read-only"]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    for (name, expected) in
        [("events only", "left"), ("both", "left"), ("POST /put", "left"), ("new user", "passed")]
    {
        assert_eq!(outcome(&results(&project), name), expected, "{name}");
    }
    let output = recsys(&project, &["verify-service", "--url", &url]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    for (name, expected) in [("events only", "passed"), ("both", "left"), ("POST /put", "passed")] {
        assert_eq!(outcome(&results(&project), name), expected, "{name}");
    }
    let output = recsys(&project, &["verify-service", "--url", &url, "--write", "--report", "new/test.log"]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    assert!(project.folder.path().join("new/test.json").exists());
    running.kill().unwrap();
    running.wait().unwrap();

    let output = recsys(&project, &["verify-service", "--url", &url]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no answer"), "{}", text(&output.stderr));
}

#[test]
fn a_service_that_answers_otherwise_than_it_says_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let schema =
        json!({"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}});
    let healthy = json!({"responses": {"200": {"content": {"application/json": {"schema": schema}}}}});
    let document = json!({"paths": {"/healthy": {"get": healthy}}}).to_string();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut line = String::new();
            BufReader::new(&connection).read_line(&mut line).unwrap();
            let body = if line.contains("/openapi.json") { &document } else { r#"{"status": 1}"# };
            let head = format!(
                "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}",
                body.len()
            );
            connection.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        }
    });
    let project = project();
    let output = recsys(&project, &["verify-service", "--url", &url]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.contains("✗ GET /healthy") && told.contains(".status: 1 is no string"), "{told}");
    assert!(text(&output.stderr).contains("checks failed"));
    assert_eq!(results(&project)["passed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn recommend_answers_as_the_route_does() {
    let project = project();
    let expected = {
        let router = project.router();
        ok(&router, "POST", "/put?user_id=1&track_id=105").await;
        ok(&router, "GET", "/recommendations/1/4?names=true&exclude=104").await
    };
    let json = |output: &Output| serde_json::from_slice::<Value>(&output.stdout).unwrap();
    let args = ["recommend", "--user", "1", "-k", "4", "--names", "--service", "service.yaml"];
    let asked = [&args[..], &["--ask", "exclude=104", "--format", "json"]].concat();
    // The router above may still be closing its file of events.
    let mut output = recsys(&project, &asked);
    while text(&output.stderr).contains("without them") {
        output = recsys(&project, &asked);
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(json(&output)["items"], expected["items"]);
    assert_eq!(json(&output)["source"], "blend");

    let output = recsys(&project, &args);
    let told = text(&output.stdout);
    let first: Vec<&str> = told.lines().take(4).map(str::trim).collect();
    assert_eq!(first[0], "user 1: 4 tracks from the precomputed list and the last events");
    assert!(
        first[3].starts_with("1") && first[3].contains("104") && first[3].contains("Track 104"),
        "{told}"
    );

    let (mut running, _) = command(project.folder.path());
    let output = recsys(&project, &args);
    assert!(text(&output.stderr).contains("without them"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("from the precomputed list\n"), "{}", text(&output.stdout));
    running.kill().unwrap();
    running.wait().unwrap();

    let output = recsys(&project, &["recommend", "--user", "-5", "-k", "0", "--service", "service.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`k` must be an integer from 1 to 1000, found `0`"));
    let output =
        recsys(&project, &["recommend", "--user", "9", "--list", "online", "--service", "service.yaml"]);
    assert_eq!(text(&output.stdout), "user 9: 0 tracks from tracks similar to the last events\n");
}

#[test]
fn serve_shows_the_pipeline_that_was_released_last() {
    let project = project();
    let pipeline = |name: &str, run: &str| {
        let text = format!(
            "name: {name}\nsteps:\n  hello:\n    uses: shell\n    outputs: {{ text: artifacts/{name}.txt }}\n    run: {run}\n"
        );
        std::fs::write(project.folder.path().join(format!("{name}.yaml")), text).unwrap();
    };
    pipeline("older", "echo hello > {{ outputs.text }}");
    pipeline("newer", "echo hello > {{ outputs.text }}");
    for name in ["older", "newer"] {
        let output = recsys(&project, &["run", &format!("{name}.yaml")]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    pipeline("newer", "echo goodbye > {{ outputs.text }}");
    let (mut running, address) = command(project.folder.path());
    let shown = call(address, "GET /pipeline").body;
    assert_eq!((&shown["name"], &shown["file"]), (&json!("newer"), &json!("newer.yaml")));
    let step = &shown["steps"][0];
    assert_eq!((&step["name"], &step["state"]), (&json!("hello"), &json!("would run")), "{shown}");
    assert!(step["reason"].as_str().unwrap().contains("goodbye"), "{shown}");
    running.kill().unwrap();
    running.wait().unwrap();
}
