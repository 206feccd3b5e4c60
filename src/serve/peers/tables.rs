//! What services of a layout tell each other: plain columns, neither counted as answers nor logged as
//! impressions, because nobody sees them.

use axum::Json;
use axum::extract::State as Extract;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::serve::error::ApiError;
use crate::serve::events::Event;
use crate::serve::layout::Resource;
use crate::serve::library::Library;
use crate::serve::lists::List;
use crate::serve::openapi::{Operation, Parameter, Routes, Shape, USER_ID};
use crate::serve::parameters::Parameters;
use crate::serve::state::State;

const TRACK_IDS: Parameter = Parameter::optional("track_id", Shape::Ids, "The tracks.");
const COUNT: Parameter = Parameter::needed("k", Shape::Count, "How many, at most.");

/// A ranked list.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListTable {
    track_ids: Vec<i64>,
    scores: Vec<f32>,
}

/// Events of a user, newest first.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct EventTable {
    track_ids: Vec<i64>,
    at_ms: Vec<i64>,
}

/// A list of another service as items of this process's release.
#[derive(Debug, Default)]
pub struct OwnedList {
    items: Vec<u32>,
    scores: Vec<f32>,
}

impl ListTable {
    fn of(list: List<'_>, library: &Library) -> Self {
        let track_ids = list.items.iter().map(|&item| library.catalog.track_id(item)).collect();
        Self { track_ids, scores: list.scores.to_vec() }
    }

    /// The tracks that this process's release knows too; the other may be a release ahead.
    pub fn known(self, library: &Library) -> OwnedList {
        let known = |(track_id, score)| Some((library.catalog.item(track_id)?, score));
        let (items, scores) = self.track_ids.into_iter().zip(self.scores).filter_map(known).unzip();
        OwnedList { items, scores }
    }
}

impl OwnedList {
    /// The list, borrowed.
    pub fn list(&self) -> List<'_> {
        List { items: &self.items, scores: &self.scores }
    }
}

impl EventTable {
    /// The events, newest first.
    pub fn events(self) -> Vec<Event> {
        let pairs = self.track_ids.into_iter().zip(self.at_ms);
        pairs.map(|(track_id, at_ms)| Event { track_id, at_ms }).collect()
    }
}

/// The routes for other services about what this one answers.
pub fn routes(resource: Resource) -> Routes {
    let routes = Routes::tagged("between services");
    match resource {
        Resource::Offline => {
            let operation = Operation::new("The precomputed list of a user, whole", "")
                .takes(&[&USER_ID])
                .answers::<Option<ListTable>>("The list, or null.");
            routes.get("/lists/offline/{user_id}", offline, &operation)
        }
        Resource::Similar => {
            let operation = Operation::new("The lists of similar tracks of some tracks, whole", "")
                .takes(&[&TRACK_IDS])
                .answers::<Vec<ListTable>>("The lists, in the order of the tracks.");
            routes.get("/lists/similar", similar, &operation)
        }
        Resource::Events => {
            let operation = Operation::new("The last events of a user, newest first", "")
                .takes(&[&USER_ID, &COUNT])
                .answers::<EventTable>("The events.")
                .fails(ApiError::EventsUnavailable);
            routes.get("/lists/history/{user_id}/{k}", history, &operation)
        }
        Resource::Final | Resource::Online | Resource::Popular => routes,
    }
}

/// `GET /lists/offline/{user_id}`: 200 with the precomputed list of a user, or null.
async fn offline(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Json<Option<ListTable>>, ApiError> {
    let library = &*state.library();
    let list = library.recommendations.list(parameters.id("user_id")?);
    Ok(Json(list.map(|list| ListTable::of(list, library))))
}

/// `GET /lists/similar?track_id=1,2`: 200 with the lists of these tracks, in their order.
async fn similar(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Json<Vec<ListTable>>, ApiError> {
    let library = &*state.library();
    let list = |track_id| library.similar.list(track_id).map(|list| ListTable::of(list, library));
    let lists = parameters.ids("track_id")?.into_iter().map(|track_id| list(track_id).unwrap_or_default());
    Ok(Json(lists.collect()))
}

/// `GET /lists/history/{user_id}/{k}`: 200 with the last events of a user; 503 when they cannot be read.
async fn history(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Json<EventTable>, ApiError> {
    let events = state.events().recent(parameters.id("user_id")?, parameters.k(usize::MAX)?).await?;
    let (track_ids, at_ms) = events.into_iter().map(|event| (event.track_id, event.at_ms)).unzip();
    Ok(Json(EventTable { track_ids, at_ms }))
}
