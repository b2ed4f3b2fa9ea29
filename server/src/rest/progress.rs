//! Request bodies have to move. Whoever announces a body and sends nothing more gives back the connection, and the memory of what came, after
//! half a minute. How long the whole takes is not bounded: a photograph over a bad network arrives as slowly as it must.

use std::error::Error;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use futures_util::{StreamExt, stream};

/// Nothing came of a body for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request's body stood still for {} ms; send it again", .0.as_millis())]
pub struct Stalled(Duration);

impl Stalled {
    /// Whether an extractor gave up for this.
    pub(super) fn behind(refused: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(refused);
        while let Some(error) = next {
            if let Some(stalled) = error.downcast_ref::<Self>() {
                return Some(*stalled);
            }
            next = error.source();
        }
        None
    }
}

/// The request with a body that ends in [`Stalled`] when no byte of it comes for as long as `stall`.
pub(super) async fn watched(request: Request, stall: Duration) -> Request {
    request.map(|body| {
        if body.is_end_stream() {
            return body;
        }
        let frames = stream::unfold(Some(body.into_data_stream()), move |body| async move {
            let mut body = body?;
            match tokio::time::timeout(stall, body.next()).await {
                Ok(None) => None,
                Ok(Some(Ok(bytes))) => Some((Ok(bytes), Some(body))),
                Ok(Some(Err(error))) => Some((Err(axum::BoxError::from(error)), None)),
                Err(_) => Some((Err(Stalled(stall).into()), None)),
            }
        });
        Body::from_stream(frames)
    })
}

/// A phone in a lift is back within it; the header has 20 s.
pub(super) const STALL: Duration = Duration::from_secs(30);
