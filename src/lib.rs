//! `recsys`: a declarative workflow runner for recommender systems.

pub mod cli;
pub mod console;
pub mod workflow;

pub mod codec;
pub mod steps;

pub mod charts;
pub mod data;
pub mod eval;
pub mod interactions;
pub mod models;
pub mod ranking;

pub mod serve;
