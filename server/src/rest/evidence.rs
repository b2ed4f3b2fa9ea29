//! Evidence up and down: parts at offsets, resumable both ways. A blob is readable through a readable document that names it, and in no
//! other way (O5).

use std::io::Read;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fieldbook_core::company::ReadRefused;
use fieldbook_core::document::NoClocks;
use fieldbook_core::ids::{DeviceId, DocId, Hash32};
use fieldbook_core::limits;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::{Caller, Path, Query, Sender};
use super::{ApiError, Problem};
use crate::app::{App, blocking};
use crate::evidence::Progress;
use crate::metrics;

/// Where a part belongs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Length of the whole, bytes.
    total: u64,
    /// Where this part begins.
    offset: u64,
}

/// The document through which a blob is read.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Through {
    /// A document that names the blob and that the caller may read.
    #[param(value_type = String)]
    document: DocId,
}

/// How far an upload is.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadProgress {
    /// `partial`, or `acknowledged`: verified and durable, the phone may forget its copy.
    state: &'static str,
    /// Where the next part begins; with `acknowledged`: nothing is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    received_bytes: Option<u64>,
}

/// Send one part of a piece of evidence, named by its SHA-256.
#[utoipa::path(put, path = "/api/evidence/{hash}", tag = "evidence", security(("bearer" = [])),
    params(("hash" = String, Path), Part), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = UploadProgress), (status = 409, body = Problem), (status = 413, body = Problem),
        (status = 422, body = Problem), (status = 507, body = Problem)))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    sender: Sender,
    Path(hash): Path<Hash32>,
    Query(part): Query<Part>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<UploadProgress>, ApiError> {
    let body = body?;
    blocking(move || {
        let progress = app.evidence.put_part(sender.device, hash, part.total, part.offset, &body)?;
        ::metrics::counter!(metrics::EVIDENCE_BYTES).increment(body.len() as u64);
        note_arrival(&app, sender.device, hash, progress)?;
        Ok(Json(progress.into()))
    })
    .await
}

/// How far this phone's upload is. Another phone's upload of the same bytes is never visible.
#[utoipa::path(get, path = "/api/evidence/{hash}/progress", tag = "evidence", security(("bearer" = [])), params(("hash" = String, Path)),
    responses((status = 200, body = UploadProgress)))]
pub(super) async fn progress(
    State(app): State<Arc<App>>,
    sender: Sender,
    Path(hash): Path<Hash32>,
) -> Result<Json<UploadProgress>, ApiError> {
    blocking(move || {
        let progress = app.evidence.progress(sender.device, hash)?;
        note_arrival(&app, sender.device, hash, progress)?;
        Ok(Json(progress.into()))
    })
    .await
}

/// Notes that all bytes have come, before the phone hears of it: one that was told once never asks again. Of bytes that came before a restore,
/// or whose note failed, it is noted when the phone asks how far they are.
fn note_arrival(app: &App, device: DeviceId, hash: Hash32, progress: Progress) -> Result<(), ApiError> {
    if progress == Progress::Acknowledged {
        app.company.bytes_arrived(device, hash, app.now_ms())?;
    }
    Ok(())
}

/// Fetch a piece of evidence, or with `Range: bytes=N-` the rest of it.
#[utoipa::path(get, path = "/api/evidence/{hash}", tag = "evidence", security(("bearer" = [])), params(("hash" = String, Path), Through),
    responses((status = 200, content_type = "application/octet-stream"), (status = 206), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(hash): Path<Hash32>,
    Query(through): Query<Through>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let from = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).and_then(range_start);
    let (file, bytes) = blocking(move || -> Result<_, ApiError> {
        let named = match app.company.read_as(caller.user(), through.document) {
            // Naming is not enough: whoever knows a hash could name it. The phone that named it must have sent the bytes.
            Ok(doc) => {
                let entries =
                    doc.log("evidence", &NoClocks).into_iter().filter(|entry| names(&entry.body, hash));
                let mut sent = false;
                for entry in entries {
                    sent |= app.evidence.is_acknowledged_to(entry.device, hash)?;
                }
                sent
            }
            Err(ReadRefused::Unknown) => false,
            Err(ReadRefused::Company(error)) => return Err(error.into()),
        };
        Ok(app.evidence.read(caller.user(), hash, from.unwrap_or(0), |_, _| named)?)
    })
    .await?;
    let start = from.unwrap_or(0);
    if start >= bytes && start > 0 {
        return Err(ApiError::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "range",
            format!("it has {bytes} bytes"),
        ));
    }
    let mut response = Body::from_stream(chunks(file)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, (bytes - start).into());
    headers.insert(header::ACCEPT_RANGES, header::HeaderValue::from_static("bytes"));
    // What a customer signed is no web page, whatever its bytes say.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_DISPOSITION, header::HeaderValue::from_static("attachment"));
    if from.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {start}-{}/{bytes}", bytes - 1);
        if let Ok(range) = range.parse() {
            response.headers_mut().insert(header::CONTENT_RANGE, range);
        }
    }
    Ok(response)
}

/// `bytes=N-`; other ranges get the whole, as the standard allows.
fn range_start(value: &str) -> Option<u64> {
    value.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

/// Whether an entry of an evidence log names this blob.
fn names(body: &str, hash: Hash32) -> bool {
    let body: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let named = body.as_ref().and_then(|b| b.get("hash")).and_then(|h| h.as_str());
    named.and_then(|h| h.parse::<Hash32>().ok()) == Some(hash)
}

/// The file in pieces, read beside the runtime's threads; one piece is in memory at a time.
fn chunks(file: std::fs::File) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    futures_util::stream::try_unfold(file, |mut file| async move {
        blocking(move || {
            let mut buffer = vec![0; limits::EVIDENCE_PART_BYTES];
            let read = file.read(&mut buffer)?;
            buffer.truncate(read);
            Ok((read > 0).then(|| (Bytes::from(buffer), file)))
        })
        .await
    })
}

impl From<Progress> for UploadProgress {
    fn from(progress: Progress) -> Self {
        match progress {
            Progress::Partial { received_bytes } => {
                Self { state: "partial", received_bytes: Some(received_bytes) }
            }
            Progress::Acknowledged => Self { state: "acknowledged", received_bytes: None },
        }
    }
}
