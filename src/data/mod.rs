//! Tables in, tables out: raw data, names, entities, events, the split, synthetic data.
//!
//! `raw`, `names` and `entities` make one catalogue of many spellings; `tracks` and `track_groups` say
//! which tracks there are; `listens` and `events` turn interactions into one row per user and track, in
//! buckets of users, so that memory does not grow with the number of interactions; `encoders` number
//! what is left; `split` lays events into periods; `overview`, `distribution` and `top` describe them.

pub mod columns;
pub mod dates;
pub mod distribution;
pub mod encoders;
pub mod entities;
pub mod error;
pub mod events;
pub mod hash;
pub mod listens;
pub mod names;
pub mod overview;
pub mod preprocess_report;
pub mod raw;
pub mod report;
pub mod split;
pub mod synthetic;
pub mod time_order;
pub mod titles;
pub mod top;
pub mod track;
pub mod track_groups;
pub mod tracks;
