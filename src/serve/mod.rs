//! The HTTP service layer.
