//! Models: parameters, `fit`, a fitted model. No tables, no files, no clocks.
//!
//! A model that has not been fitted does not exist as a type: `Als` holds parameters, `Als::fit`
//! makes an `AlsModel`. Start with [`als`]; [`top_k`] turns factors into ranked lists.

pub mod als;
pub mod blend;
pub mod boosting;
pub mod bpr;
#[cfg(test)]
pub mod contract;
pub mod degrees;
pub mod ease;
pub mod factors;
pub mod graph_filter;
pub mod item2item;
pub mod item_knn;
pub mod item_weights;
pub mod linear_algebra;
pub mod lists;
pub mod popularity;
mod prefetch;
pub mod recommender;
pub mod similar;
pub mod top_k;
pub mod weighting;
