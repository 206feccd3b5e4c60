//! The description of the service held against the service. What is checked:
//!
//! 1. the document and the router have the same routes;
//! 2. every operation answers a good request with a status, a media type and a body that it describes;
//! 3. every error that a bad parameter or body leads to is described, with its code;
//! 4. bodies are what the schemas say, and nothing more, by the Python package `jsonschema`;
//! 5. limits are those of the service file;
//! 6. Swagger UI comes from the program alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::io::Write;
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use recsys::serve::project::{Pipeline, PipelineStep, Pipelines, Watched};
use recsys::serve::routes::{OTHER, route_of};
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use crate::project::python_with;
use crate::serve_project::{Project, ok};

/// Reads `[[schema, instance, name], …]`, writes the mistakes.
const VALIDATE: &str = "
import json, sys
from jsonschema import Draft202012Validator
mistakes = []
for schema, instance, name in json.load(sys.stdin):
    Draft202012Validator.check_schema(schema)
    mistakes += [f'{name}: {list(e.path)}: {e.message}' for e in Draft202012Validator(schema).iter_errors(instance)]
json.dump(mistakes, sys.stdout)
";

/// A project with everything that there may be to show.
fn project() -> Project {
    let mut project = Project::new();
    let shown = &mut project.service.project;
    std::fs::create_dir_all(shown.pictures.join("rank")).unwrap();
    std::fs::write(shown.pictures.join("rank/importances.png"), b"\x89PNG").unwrap();
    std::fs::create_dir_all(shown.evaluation.parent().unwrap()).unwrap();
    std::fs::write(&shown.evaluation, r#"{"models": {}}"#).unwrap();
    shown.pipelines = Watched::new(OneStep);
    project
}

struct OneStep;

impl Pipelines for OneStep {
    fn now(&self) -> Result<Option<Pipeline>, String> {
        let step = PipelineStep {
            name: "als".to_owned(),
            kind: "als".to_owned(),
            state: "up to date".to_owned(),
            reason: "unchanged".to_owned(),
            seconds: Some(1.5),
            after: vec!["split".to_owned()],
        };
        Ok(Some(Pipeline {
            name: "toy".to_owned(),
            file: "pipelines/toy.yaml".to_owned(),
            steps: vec![step],
            svg: "<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_owned(),
        }))
    }
}

struct Answer {
    status: u16,
    media_type: String,
    body: Value,
}

async fn send(router: &Router, method: &str, uri: &str, body: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method.to_uppercase().as_str()).uri(uri);
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let request = request.body(Body::from(body.unwrap_or_default().to_owned())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let media_type = response.headers().get("content-type").map_or("", |value| value.to_str().unwrap());
    let media_type = media_type.split(';').next().unwrap().to_owned();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer { status, media_type, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
}

/// Method, path and Operation Object of every operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().clone();
        methods.into_iter().map(|(method, operation)| (method, path.clone(), operation)).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// A value that a parameter may have.
fn good(path: &str, name: &str, schema: &Value) -> String {
    match (name, schema["type"].as_str().unwrap()) {
        ("user_id", _) => "1".to_owned(),
        ("track_id", _) => "104".to_owned(),
        ("exclude", _) => "101,999".to_owned(),
        ("include", _) => "100,101,102,104,105,106,107".to_owned(),
        ("genre", _) => "rock".to_owned(),
        ("file", _) if path.starts_with("/page") => "app.js".to_owned(),
        ("file", _) => "start.js".to_owned(),
        ("picture", _) => "rank.importances.png".to_owned(),
        (_, "boolean") => "true".to_owned(),
        (_, "integer") => "3".to_owned(),
        (_, "string") => "track".to_owned(),
        other => panic!("no value for {other:?}"),
    }
}

/// The address of an operation, with a value of its own for one parameter.
fn address(path: &str, operation: &Value, instead: Option<(&str, &str)>) -> String {
    let mut uri = path.to_owned();
    let mut query = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap();
        let value = match instead {
            Some((other, value)) if other == name => value.to_owned(),
            _ => good(path, name, &parameter["schema"]),
        };
        match parameter["in"].as_str().unwrap() {
            "path" => uri = uri.replace(&format!("{{{name}}}"), &value),
            _ => query.push(format!("{name}={value}")),
        }
    }
    if query.is_empty() { uri } else { format!("{uri}?{}", query.join("&")) }
}

fn good_body(operation: &Value) -> Option<&'static str> {
    operation["requestBody"].is_object().then_some(r#"{"user_id": 1, "items": [104, 105]}"#)
}

/// Says what an answer is that the operation does not describe; else the schema of its body.
fn described<'a>(
    document: &'a Value,
    operation: &'a Value,
    answer: &Answer,
    name: &str,
) -> Option<&'a Value> {
    let mut response = &operation["responses"][answer.status.to_string()];
    if let Some(reference) = response["$ref"].as_str() {
        response = document.pointer(reference.trim_start_matches('#')).unwrap();
    }
    assert!(response.is_object(), "{name}: {} is not described", answer.status);
    let content = response["content"].as_object().unwrap();
    let of_type = content.get(&answer.media_type);
    let of_type = of_type.unwrap_or_else(|| panic!("{name}: `{}` is not described", answer.media_type));
    (answer.media_type == "application/json").then_some(&of_type["schema"])
}

/// The schema with the components it refers to; objects have the keys that it names and no other.
fn strict(schema: &Value, document: &Value) -> Value {
    fn close(schema: &mut Value) {
        match schema {
            Value::Object(map) => {
                if map.get("type") == Some(&json!("object")) && map.contains_key("properties") {
                    map.entry("additionalProperties").or_insert(false.into());
                }
                map.values_mut().for_each(close);
            }
            Value::Array(all) => all.iter_mut().for_each(close),
            _ => {}
        }
    }
    let mut schema = match schema {
        Value::Object(map) => map.clone(),
        _ => Map::new(),
    };
    schema.insert("components".to_owned(), document["components"].clone());
    let mut schema = Value::Object(schema);
    close(&mut schema);
    schema
}

fn validate(cases: &[Value]) {
    let Some(python) = python_with("jsonschema") else { return };
    let mut child = Command::new(python)
        .args(["-c", VALIDATE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(json!(cases).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "a schema is none");
    let mistakes: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_and_the_router_have_the_same_routes() {
    let project = project();
    let router = project.router();
    let document = ok(&router, "GET", "/openapi.json").await;
    let described: BTreeSet<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    // The router has no list of its routes but this one; a path stands in it as a quoted text.
    let debug = format!("{router:?}");
    let (routes, _) = debug.split_once("fallback_router").unwrap();
    let quoted = routes.split('"').skip(1).step_by(2);
    let routed: BTreeSet<String> = quoted.filter(|text| text.starts_with('/')).map(str::to_owned).collect();
    assert!(routed.len() > 20, "{routes}");
    assert_eq!(routed, described);
    for path in described {
        assert_ne!(route_of(&path), OTHER, "the front of the service does not know {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn good_requests_are_answered_as_described() {
    let project = project();
    let router = project.router();
    let document = ok(&router, "GET", "/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut cases = Vec::new();
    for (method, path, operation) in operations(&document) {
        let uri = address(&path, &operation, None);
        let answer = send(&router, &method, &uri, good_body(&operation)).await;
        assert_eq!(answer.status, 200, "{method} {uri}: {}", answer.body);
        if let Some(schema) = described(&document, &operation, &answer, &uri) {
            cases.push(json!([strict(schema, &document), answer.body, uri]));
        }
    }
    assert!(cases.len() > 20);
    validate(&cases);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_as_described() {
    let project = project();
    let router = project.router();
    let document = ok(&router, "GET", "/openapi.json").await;
    let mut cases = Vec::new();
    for (method, path, operation) in operations(&document) {
        let mut requests =
            vec![(path.replace(['{', '}'], ""), Some("{}")), (path.replace(['{', '}'], ""), Some("["))];
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            for bad in ["", "x", "-1", "0", "99999999999999999999", "1.5", "%ff", "%00", "null", "[]"] {
                requests.push((address(&path, &operation, Some((name, bad))), good_body(&operation)));
            }
        }
        for (uri, body) in requests {
            let answer = send(&router, &method, &uri, body).await;
            // An empty part of a path is another path.
            let is_other =
                uri.split('?').next().is_some_and(|path| path.contains("//") || path.ends_with('/'));
            if is_other && path != "/" {
                continue;
            }
            assert!(answer.status < 500, "{method} {uri}: {}", answer.status);
            if let Some(schema) = described(&document, &operation, &answer, &uri) {
                cases.push(json!([strict(schema, &document), answer.body, uri]));
            }
        }
    }
    assert!(cases.len() > 300);
    validate(&cases);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_those_of_the_service_file() {
    let mut project = Project::new();
    project.service.max_k = NonZeroUsize::new(7).unwrap();
    let document = ok(&project.router(), "GET", "/openapi.json").await;
    let parameters = document["paths"]["/top_popular"]["get"]["parameters"].as_array().unwrap();
    let k = parameters.iter().find(|parameter| parameter["name"] == "k").unwrap();
    assert_eq!(k["schema"], json!({"type": "integer", "minimum": 1, "maximum": 7, "default": 7}));
    project.service.keys.write_env = Some("RECSYS_KEY".to_owned());
    let locked = ok(&project.router(), "GET", "/openapi.json").await;
    for (path, method, is_locked) in
        [("/put", "post", true), ("/history/{user_id}", "get", false), ("/healthy", "get", false)]
    {
        let operation = &locked["paths"][path][method];
        assert_eq!(operation["security"].is_array(), is_locked, "{path}");
        assert_eq!(operation["responses"]["401"].is_object(), is_locked, "{path}");
    }
    assert_eq!(locked["components"]["securitySchemes"]["key"]["name"], "x-api-key");
    let ids: BTreeSet<String> = operations(&document)
        .iter()
        .map(|(_, _, operation)| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), operations(&document).len(), "operations have names of their own");
}

#[tokio::test(flavor = "multi_thread")]
async fn swagger_ui_comes_from_the_program_alone() {
    let project = project();
    let router = project.router();
    let get = async |uri: &str, encoding: &str| {
        let request = Request::get(uri).header("accept-encoding", encoding).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200, "{uri}");
        let headers = response.headers().clone();
        (headers, to_bytes(response.into_body(), usize::MAX).await.unwrap())
    };
    let (headers, page) = get("/docs", "gzip").await;
    assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(!page.contains("//"), "nothing comes from elsewhere: {page}");
    let linked = page.split(['"']).filter(|text| text.starts_with("docs/") || *text == "openapi.json");
    let linked: Vec<&str> = linked.collect();
    assert_eq!(linked.len(), 5, "{linked:?}");
    for file in linked {
        get(&format!("/{file}"), "gzip").await;
    }
    let (packed_headers, packed) = get("/docs/swagger-ui-bundle.js", "gzip, br").await;
    let (plain_headers, plain) = get("/docs/swagger-ui-bundle.js", "identity").await;
    assert_eq!(packed_headers["content-encoding"], "gzip");
    assert!(!plain_headers.contains_key("content-encoding") && plain.len() > 2 * packed.len());
    assert!(String::from_utf8(plain.to_vec()).unwrap().contains("SwaggerUIBundle"));
    let (status, _) = crate::serve_project::ask(&router, "GET", "/docs/..%2F..%2FCargo.toml").await;
    assert_eq!(status, 404);
}
