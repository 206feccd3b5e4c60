//! The body of an answer, whose length was announced: every piece handed on, too few or too many bytes noticed.

use std::time::Duration;

use bytes::Bytes;

use super::Sink;
use super::error::{Failure, Kind};
use super::runtime::within;

/// Hands on what `next` gives until it gives nothing more; each piece must come within `limit`.
///
/// # Errors
/// [`Kind::Broken`] when other than the announced number of bytes come; what `next` or `sink` fails with.
pub async fn drain(
    announced: Option<u64>,
    limit: Duration,
    sink: Sink<'_>,
    mut next: impl AsyncFnMut() -> Result<Option<Bytes>, Failure>,
) -> Result<(), Failure> {
    let mut came = 0;
    while let Some(piece) = within(limit, next()).await? {
        came += piece.len() as u64;
        if announced.is_some_and(|announced| came > announced) {
            return Err(Failure::new(Kind::Broken, "more bytes came than were announced"));
        }
        sink(&piece)?;
    }
    match announced {
        Some(announced) if came < announced => {
            Err(Failure::new(Kind::Broken, format!("the answer ended after {came} of {announced} bytes")))
        }
        _ => Ok(()),
    }
}
