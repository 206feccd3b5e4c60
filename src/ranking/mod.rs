//! Two-stage recommendation: candidates, their features, the ranker around them.
