//! Every route of a service, asked well and badly, and its answers held against its description.

use serde_json::Value;

use super::Writes;
use super::conform::mistake;
use super::http::{Answer, ask};
use super::report::{Asked, Outcome, Report};
use super::target::{Known, Target, made_up_user};

/// A method and a path of a description, and what stands there.
struct Operation<'a> {
    method: String,
    path: &'a str,
    object: &'a Value,
}

fn operations(target: &Target) -> impl Iterator<Item = Operation<'_>> {
    let paths = target.document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, object)| Operation { method: method.to_uppercase(), path, object })
    })
}

impl Operation<'_> {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn parameters(&self) -> impl Iterator<Item = (&str, &Value)> {
        let all = self.object["parameters"].as_array().into_iter().flatten();
        all.filter_map(|parameter| Some((parameter["name"].as_str()?, parameter)))
    }

    /// Whether it stores events.
    fn writes(&self) -> bool {
        ["/put", "/add_event", "/events"].contains(&self.path)
    }

    /// The path and query with these values; a parameter without a value is left out, but not from the path.
    fn uri(&self, value: impl Fn(&str) -> Option<String>) -> Option<String> {
        let mut uri = self.path.to_owned();
        let mut query = Vec::new();
        for (name, parameter) in self.parameters() {
            match (parameter["in"].as_str(), value(name)) {
                (Some("path"), value) => uri = uri.replace(&format!("{{{name}}}"), &value?),
                (_, Some(value)) => query.push(format!("{name}={value}")),
                _ => {}
            }
        }
        Some(if query.is_empty() { uri } else { format!("{uri}?{}", query.join("&")) })
    }

    /// What is wrong with an answer, going by the description.
    fn mistake(&self, answer: &Answer, document: &Value) -> Option<String> {
        let mut response = &self.object["responses"][answer.status.to_string()];
        if let Some(reference) = response["$ref"].as_str() {
            response = document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
        }
        if !response.is_object() {
            return Some(format!("{} is not described: {}", answer.status, short(&answer.text)));
        }
        let content = &response["content"][&answer.media_type];
        if !content.is_object() {
            return Some(format!("`{}` is not described", answer.media_type));
        }
        if answer.media_type != "application/json" {
            return answer.text.is_empty().then(|| "the answer is empty".to_owned());
        }
        if serde_json::from_str::<Value>(&answer.text).is_err() {
            return Some("the answer is no JSON".to_owned());
        }
        mistake(&content["schema"], &answer.json, document)
    }
}

/// Asks every operation for what it can do.
pub fn check_good(target: &Target, known: &Known, writes: Writes, report: &mut Report) {
    for operation in operations(target) {
        let mut asked = Asked::default();
        let outcome = good(target, &operation, known, writes, &mut asked);
        report.add("routes", operation.name(), outcome, asked);
    }
}

fn good(
    target: &Target,
    operation: &Operation<'_>,
    known: &Known,
    writes: Writes,
    asked: &mut Asked,
) -> Outcome {
    if operation.writes() && writes == Writes::Nothing {
        return Outcome::Left("it would add an event".to_owned());
    }
    let user_id = if operation.writes() { Some(made_up_user()) } else { known.user_id };
    let value = |name: &str| match name {
        "user_id" => Some(user_id.unwrap_or(7).to_string()),
        "track_id" => known.track_id.map(|id| id.to_string()),
        "k" => Some("3".to_owned()),
        "names" | "explain" => Some("true".to_owned()),
        "exclude" => Some("1,2".to_owned()),
        "file" if operation.path.starts_with("/docs") => Some("start.js".to_owned()),
        "file" => Some("app.js".to_owned()),
        "picture" => known.picture.clone(),
        _ => None,
    };
    let Some(uri) = operation.uri(value) else {
        return Outcome::Left("there is nothing to ask for".to_owned());
    };
    let needs_track = operation.parameters().any(|(name, _)| name == "track_id");
    if known.track_id.is_none() && (needs_track || operation.object["requestBody"].is_object()) {
        return Outcome::Left("no track is known".to_owned());
    }
    let body = operation.object["requestBody"].is_object().then(|| {
        let (user_id, track_id) = (user_id.unwrap_or(7), known.track_id.unwrap_or(7));
        format!("{{\"user_id\": {user_id}, \"items\": [{track_id}]}}")
    });
    let answer = ask(&target.place, &operation.method, &uri, body.as_deref());
    asked.note(&format!("{} {uri} {}", operation.method, body.unwrap_or_default()), &answer);
    if let Some(mistake) = operation.mistake(&answer, &target.document) {
        return Outcome::Failed(mistake);
    }
    match (answer.status, answer.json["code"].as_str()) {
        (200, _) => Outcome::Passed(words(&answer)),
        (404, Some("no_pipeline" | "no_report")) => {
            Outcome::Passed("there is none, and it says so".to_owned())
        }
        (status, _) => Outcome::Failed(format!("expected 200, found {status}: {}", short(&answer.text))),
    }
}

/// Asks every operation for what it cannot do.
pub fn check_bad(target: &Target, report: &mut Report) {
    for operation in operations(target) {
        let mut asked = Asked::default();
        let mut requests =
            vec![("DELETE".to_owned(), operation.path.replace(['{', '}'], ""), None, 405, None)];
        let method = &operation.method;
        let well = |name: &str| Some(if name == "k" { "3" } else { "7" }.to_owned());
        for (name, parameter) in operation.parameters() {
            if parameter["schema"]["type"] == "integer" {
                for bad in ["anna", "99999999999999999999"] {
                    let uri = operation.uri(|other| {
                        if other == name { Some(bad.to_owned()) } else { only_needed(other).and_then(well) }
                    });
                    requests.extend(uri.map(|uri| (method.clone(), uri, None, 422, Some(name))));
                }
            }
            if parameter["required"] == true && parameter["in"] == "query" {
                let uri = operation
                    .uri(|other| if other == name { None } else { only_needed(other).and_then(well) });
                requests.extend(uri.map(|uri| (method.clone(), uri, None, 422, Some(name))));
            }
        }
        if operation.object["requestBody"].is_object() {
            requests.push((method.clone(), operation.path.to_owned(), Some("{"), 400, None));
            requests.push((method.clone(), operation.path.to_owned(), Some("{}"), 422, None));
        }
        let n = requests.len();
        let wrong = requests.into_iter().find_map(|(method, uri, body, expected, field)| {
            let answer = ask(&target.place, &method, &uri, body);
            asked.note(&format!("{method} {uri} {}", body.unwrap_or_default()), &answer);
            let found = (answer.status, answer.json["field"].as_str());
            let is_told = answer.json["code"].is_string() && answer.json["message"].is_string();
            if found == (expected, field) && is_told {
                return None;
            }
            Some(format!(
                "{method} {uri}: expected {expected}, found {} {}",
                answer.status,
                short(&answer.text)
            ))
        });
        let outcome = match wrong {
            Some(wrong) => Outcome::Failed(wrong),
            None => Outcome::Passed(format!("{n} bad requests refused, each with its reason")),
        };
        report.add("refusals", operation.name(), outcome, asked);
    }
}

/// The parameters that every request gives.
fn only_needed(name: &str) -> Option<&str> {
    ["user_id", "track_id", "k", "file", "picture"].contains(&name).then_some(name)
}

/// What an answer was, in a few words.
fn words(answer: &Answer) -> String {
    let json = &answer.json;
    if let (Some(source), Some(tracks)) = (json["source"].as_str(), json["recommendations"].as_array()) {
        return format!("{source}, {} tracks", tracks.len());
    }
    if let Some(events) = json["events"].as_array() {
        return format!("{} events", events.len());
    }
    let text = short(&answer.text);
    if json.is_null() || text.len() > 60 {
        format!("{}, {} bytes", answer.media_type, answer.text.len())
    } else {
        text
    }
}

fn short(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(160) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}
