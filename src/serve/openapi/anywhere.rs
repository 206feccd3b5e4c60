//! What the front of a service asks of every request and may answer in place of its handler.

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::operation::{code, response_of};
use crate::serve::error::ApiError;
use crate::serve::routes::{Access, ROUTES, route_of};
use crate::serve::service::Service;

/// The errors that a request to `path` may meet before it reaches its handler, or instead of an answer.
pub fn anywhere(path: &str, service: &Service) -> Vec<ApiError> {
    let mut errors = always(service);
    if is_locked(path, service) {
        errors.push(ApiError::Unauthorized);
    }
    errors
}

/// The keys that a path asks for; either way of showing one will do.
pub fn security(path: &str, service: &Service) -> Option<Value> {
    is_locked(path, service).then(|| json!([{ "bearer": [] }, { "key": [] }]))
}

/// The errors by status, and how keys are shown, for operations to refer to.
pub fn components(service: &Service, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut errors = always(service);
    let has_keys = service.keys.read_env.is_some() || service.keys.write_env.is_some();
    if has_keys {
        errors.push(ApiError::Unauthorized);
    }
    errors.sort_by_key(ApiError::status);
    let by_status = errors.chunk_by(|a, b| a.status() == b.status());
    let responses = by_status.map(|errors| (code(errors[0].status()), response_of(errors, generator)));
    let mut components = Map::new();
    components.insert("responses".to_owned(), responses.collect::<Map<_, _>>().into());
    if has_keys {
        let schemes = json!({
            "bearer": { "type": "http", "scheme": "bearer" },
            "key": { "type": "apiKey", "in": "header", "name": "x-api-key" },
        });
        components.insert("securitySchemes".to_owned(), schemes);
    }
    components
}

fn always(service: &Service) -> Vec<ApiError> {
    vec![
        ApiError::QueryTooLong { limit: service.limits.max_query_bytes.get() },
        ApiError::BodyTooLong { limit: service.limits.max_body_bytes.get() },
        ApiError::TooSlow,
        ApiError::Overloaded,
        ApiError::Loading,
        ApiError::Internal,
    ]
}

fn is_locked(path: &str, service: &Service) -> bool {
    match ROUTES[route_of(path)].access {
        Access::Open => false,
        Access::Read => service.keys.read_env.is_some(),
        Access::Write => service.keys.write_env.is_some(),
    }
}
