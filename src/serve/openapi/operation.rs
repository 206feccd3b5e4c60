//! What one way to call the service takes and answers.

use axum::http::StatusCode;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::anywhere::{anywhere, security};
use super::parameter::Parameter;
use crate::serve::error::{ApiError, ErrorBody};
use crate::serve::service::Service;

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What one way to call the service takes and answers; its path is said where it is routed.
#[derive(Debug, Clone)]
pub struct Operation {
    summary: &'static str,
    about: &'static str,
    parameters: Vec<&'static Parameter>,
    body: Option<fn() -> Schema>,
    answers: Vec<Answer>,
    errors: Vec<ApiError>,
}

#[derive(Debug, Clone)]
struct Answer {
    status: StatusCode,
    about: &'static str,
    /// Media types and, of JSON, the schema.
    contents: Vec<(&'static str, Option<SchemaOf>)>,
}

impl Operation {
    /// An operation without parameters; `summary` is a line, `about` the rest, in CommonMark.
    pub fn new(summary: &'static str, about: &'static str) -> Self {
        Self { summary, about, parameters: Vec::new(), body: None, answers: Vec::new(), errors: Vec::new() }
    }

    /// It takes these parameters.
    #[must_use]
    pub fn takes(mut self, parameters: &[&'static Parameter]) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// It takes a body of JSON.
    #[must_use]
    pub fn takes_body<T: JsonSchema>(self) -> Self {
        Self { body: Some(schema_of_body::<T>), ..self }
    }

    /// It answers 200 with JSON.
    #[must_use]
    pub fn answers<T: JsonSchema>(self, about: &'static str) -> Self {
        self.answers_with::<T>(StatusCode::OK, about)
    }

    /// It answers with JSON and this status.
    #[must_use]
    pub fn answers_with<T: JsonSchema>(mut self, status: StatusCode, about: &'static str) -> Self {
        let contents = vec![("application/json", Some(SchemaGenerator::subschema_for::<T> as SchemaOf))];
        self.answers.push(Answer { status, about, contents });
        self
    }

    /// It answers 200 with something that is not JSON.
    #[must_use]
    pub fn answers_media(mut self, media_type: &'static str, about: &'static str) -> Self {
        match self.answers.iter_mut().find(|answer| answer.status == StatusCode::OK) {
            Some(answer) => answer.contents.push((media_type, None)),
            None => {
                let contents = vec![(media_type, None)];
                self.answers.push(Answer { status: StatusCode::OK, about, contents });
            }
        }
        self
    }

    /// It answers with this error too, beside those that follow from its parameters and its body.
    #[must_use]
    pub fn fails(mut self, error: ApiError) -> Self {
        self.errors.push(error);
        self
    }

    /// Its Operation Object at `path`.
    pub(super) fn object(
        &self,
        path: &str,
        service: &Service,
        generator: &mut SchemaGenerator,
    ) -> Map<String, Value> {
        let is_in_path = |parameter: &Parameter| path.contains(&format!("{{{}}}", parameter.name));
        let parameters: Vec<Value> = self
            .parameters
            .iter()
            .map(|parameter| parameter.object(service, is_in_path(parameter)))
            .collect();
        let mut object = Map::new();
        object.insert("summary".to_owned(), self.summary.into());
        if !self.about.is_empty() {
            object.insert("description".to_owned(), self.about.into());
        }
        if !parameters.is_empty() {
            object.insert("parameters".to_owned(), parameters.into());
        }
        if let Some(schema) = self.body {
            let content = json!({ "application/json": { "schema": schema() } });
            object.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
        }
        let mut responses: Map<String, Value> =
            self.answers.iter().map(|answer| (code(answer.status), answer.object(generator))).collect();
        let mut errors = self.errors_at(path, service);
        for error in anywhere(path, service) {
            let status = code(error.status());
            let is_own = errors.iter().any(|own| own.status() == error.status());
            if is_own || responses.get(&status).is_some_and(|response| response.get("$ref").is_none()) {
                errors.push(error);
            } else {
                let reference = json!({ "$ref": format!("#/components/responses/{status}") });
                responses.insert(status, reference);
            }
        }
        errors.sort_by_key(|error| (error.status(), error.code()));
        for errors in errors.chunk_by(|a, b| a.status() == b.status()) {
            let status = code(errors[0].status());
            let error = response_of(errors, generator);
            match responses.get_mut(&status) {
                // An answer and errors share the status: either may come.
                Some(answer) => {
                    let schema = &mut answer["content"]["application/json"]["schema"];
                    *schema =
                        json!({ "anyOf": [schema.take(), error["content"]["application/json"]["schema"]] });
                }
                None => _ = responses.insert(status, error),
            }
        }
        object.insert("responses".to_owned(), responses.into());
        if let Some(security) = security(path, service) {
            object.insert("security".to_owned(), security);
        }
        object
    }

    /// Every kind of error that it can answer with, one example each.
    fn errors_at(&self, path: &str, service: &Service) -> Vec<ApiError> {
        let mut errors = self.errors.clone();
        if !self.parameters.is_empty() {
            errors.push(ApiError::InvalidAddress);
        }
        for Parameter { name, shape, required, .. } in self.parameters.iter().copied() {
            if *required && !path.contains(&format!("{{{name}}}")) {
                errors.push(ApiError::MissingParameter { field: name });
            }
            if let Some((expected, found)) = shape.refusal(service) {
                errors.push(ApiError::invalid(name, &expected, found));
            }
        }
        if self.body.is_some() {
            let body = |status, message: &str| ApiError::InvalidBody { status, message: message.to_owned() };
            errors.push(body(StatusCode::BAD_REQUEST, "the body is not JSON"));
            errors.push(body(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long"));
            errors.push(body(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is not `application/json`"));
            errors.push(body(StatusCode::UNPROCESSABLE_ENTITY, "the JSON is not what the route takes"));
        }
        errors
    }
}

/// What is read may leave keys out which, when written, are always there: bodies have schemas of their own.
fn schema_of_body<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_deserialize().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>()
}

impl Answer {
    fn object(&self, generator: &mut SchemaGenerator) -> Value {
        let contents = self.contents.iter().map(|(media_type, schema)| {
            let schema = schema.map_or_else(|| json!({ "type": "string" }), |of| of(generator).to_value());
            ((*media_type).to_owned(), json!({ "schema": schema }))
        });
        json!({ "description": self.about, "content": contents.collect::<Map<_, _>>() })
    }
}

pub(super) fn code(status: StatusCode) -> String {
    status.as_u16().to_string()
}

/// The Response Object of errors with one status: their codes and an example of each.
pub(super) fn response_of(errors: &[ApiError], generator: &mut SchemaGenerator) -> Value {
    let mut codes: Vec<&str> = errors.iter().map(ApiError::code).collect();
    codes.dedup();
    let examples = errors.iter().map(|error| {
        let body = error.body();
        let field = body.field.map(|field| format!("_{field}")).unwrap_or_default();
        (format!("{}{field}", body.code), json!({ "value": body }))
    });
    let examples: Map<String, Value> = examples.collect();
    let schema = json!({
        "allOf": [generator.subschema_for::<ErrorBody>(), { "properties": { "code": { "enum": codes } } }],
    });
    let codes: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    json!({
        "description": codes.join(", "),
        "content": { "application/json": { "schema": schema, "examples": examples } },
    })
}
