//! Metrics and comparisons of recommendation lists; no files.
