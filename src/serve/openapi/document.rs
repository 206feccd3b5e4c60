//! The OpenAPI document of a table of routes.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::anywhere;
use super::routes::{Described, Routes};
use crate::serve::service::Service;

/// The version of OpenAPI.
const VERSION: &str = "3.1.0";

const ABOUT: &str = "\
Recommendations, similar and popular tracks from a release of artifacts, blended with what users \
listened to since.

Every route that lists tracks takes the same parameters for names, filters and limits. Errors are JSON \
with a stable `code`, a `message` that says what was expected and found, and the `field` at fault.";

/// The groups of routes, in the order in which they are shown.
const TAGS: [(&str, &str); 7] = [
    ("recommendations", "What a user may like: final, precomputed, or from the last events alone."),
    ("events", "What users listened to: stored durably before it is acknowledged."),
    ("tracks", "Similar tracks, popular tracks, and search."),
    ("status", "How the service is."),
    ("project", "The pipeline that made the release, and how its models compare."),
    ("documentation", "This description, and the pages for people."),
    ("between services", "What services of a layout tell each other; neither counted nor logged as answers."),
];

/// The document that describes `routes` under the limits of `service`.
pub fn document(routes: &Routes, service: &Service) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for Described { tag, method, path, operation } in routes.described() {
        let mut object = operation.object(path, service, &mut generator);
        object.insert("tags".to_owned(), json!([tag]));
        object.insert("operationId".to_owned(), operation_id(method, path).into());
        let item = paths.entry(*path).or_insert_with(|| json!({}));
        item[*method] = object.into();
    }
    let mut components = anywhere::components(service, &mut generator);
    components.insert("schemas".to_owned(), generator.take_definitions(true).into());
    let used = |tag: &str| routes.described().iter().any(|described| described.tag == tag);
    let tags = TAGS.iter().filter(|(name, _)| used(name));
    let tags: Vec<Value> = tags.map(|(name, about)| json!({ "name": name, "description": about })).collect();
    json!({
        "openapi": VERSION,
        "info": { "title": "recsys", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT },
        "tags": tags,
        "paths": paths,
        "components": components,
    })
}

/// `get_similar_track_id_k` for `GET /similar/{track_id}/{k}`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_named_by_method_and_path() {
        assert_eq!(operation_id("get", "/"), "get");
        assert_eq!(operation_id("get", "/similar/{track_id}/{k}"), "get_similar_track_id_k");
        assert_eq!(operation_id("post", "/openapi.json"), "post_openapi_json");
    }
}
