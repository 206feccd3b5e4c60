//! recsys.
fn main() {}
