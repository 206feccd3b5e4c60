//! Models: parameters, `fit`, a fitted model. No tables, no files, no clocks.
//!
//! A model that has not been fitted does not exist as a type: `Als` holds parameters, `Als::fit`
//! makes an `AlsModel`.

pub mod boosting;
