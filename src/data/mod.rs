//! Tables in, tables out: raw data, names, entities, events, the split, synthetic data.

pub mod synthetic;
