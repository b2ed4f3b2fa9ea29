//! What operators ask: is it alive, is it ready, how is it doing. And the one place where a request is logged and counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use fieldbook_core::access::OfficeVerb;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::{Caller, Peer, bearer};
use super::{ApiError, Problem};
use crate::app::{App, blocking};
use crate::metrics;

/// The company in figures.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stats {
    /// The company's name.
    company: String,
    /// Server time, milliseconds: the figures are as of now (O11).
    as_of_ms: i64,
    /// The log's epoch; it grows with every restore.
    epoch: u64,
    /// The log's last position.
    position: u64,
    /// Documents by kind.
    documents: BTreeMap<&'static str, u64>,
    /// Users who may sign in.
    users: usize,
    /// Phones by status.
    devices: BTreeMap<String, usize>,
    /// Phones that were not heard from for a day (O11).
    silent_devices: usize,
    /// Held work that waits for a person.
    held: usize,
    /// Bytes of the store on the disk.
    store_bytes: u64,
}

/// Whether the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "system", responses((status = 200, body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the server takes requests: the store answers and takes writes, and the server is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "system", responses((status = 200, body = String), (status = 503, body = Problem)))]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, ApiError> {
    if *app.stopping.borrow() {
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping"));
    }
    blocking(move || {
        app.company.store().head()?;
        match app.engine.failed() {
            None => Ok("ready\n"),
            Some(_) => Err(ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "store_failed",
                "a write failed, and the store takes no more: make room on the disk, then restart the server",
            )),
        }
    })
    .await
}

/// Figures in Prometheus' format, for this machine or with the configured token.
#[utoipa::path(get, path = "/metrics", tag = "system", responses((status = 200, body = String), (status = 403, body = Problem)))]
pub(super) async fn metrics(
    State(app): State<Arc<App>>,
    Peer(from): Peer,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    let allowed = match (&app.config.metrics_token, given) {
        (Some(token), Some(given)) => same(token.as_bytes(), given.as_bytes()),
        (Some(_), None) => false,
        (None, _) => from.is_loopback(),
    };
    if !allowed {
        return Err(ApiError::forbidden(
            "metrics are for this machine, or for who has `server.metrics_token`",
        ));
    }
    let handle = crate::metrics::install();
    let text = blocking(move || -> Result<String, ApiError> {
        ::metrics::gauge!(metrics::LOG_POSITION).set(app.company.store().head()? as f64);
        ::metrics::gauge!(metrics::STORE_BYTES).set(app.engine.file_bytes()? as f64);
        Ok(handle.render())
    });
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text.await?).into_response())
}

/// The company in figures, for who runs it.
#[utoipa::path(get, path = "/api/stats", tag = "system", security(("bearer" = [])),
    responses((status = 200, body = Stats), (status = 403, body = Problem)))]
pub(super) async fn stats(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Stats>, ApiError> {
    caller.require(OfficeVerb::Administer)?;
    blocking(move || {
        let now_ms = app.now_ms();
        let documents = app.company.count()?.into_iter().map(|(kind, n)| (kind.name(), n)).collect();
        let users = app.company.users()?.into_iter().filter(|(_, user)| user.active).count();
        let (mut devices, mut silent_devices) = (BTreeMap::new(), 0);
        for (_, device, last_contact_ms) in app.company.devices()? {
            *devices.entry(format!("{:?}", device.status).to_lowercase()).or_insert(0) += 1;
            silent_devices += usize::from(super::figures::is_silent(&device, last_contact_ms, now_ms));
        }
        let held = app.company.held_waiting()?;
        Ok(Json(Stats {
            company: app.company.name().to_owned(),
            as_of_ms: now_ms,
            epoch: app.company.epoch(),
            position: app.company.store().head()?,
            documents,
            users,
            devices,
            silent_devices,
            held,
            store_bytes: app.engine.file_bytes()?,
        }))
    })
    .await
}

/// Logs and counts every request: route and status, never the path with its ids, never a body.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = method_label(request.method());
    let route =
        request.extensions().get::<MatchedPath>().map_or("unknown".to_owned(), |p| p.as_str().to_owned());
    let response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    crate::metrics::request(method, &route, status, took);
    let ms = took.as_millis() as u64;
    tracing::info!(target: "fieldbook_server::http", method, route, status, ms, "request");
    response
}

/// A method of one's own choice would be a series of its own for ever.
fn method_label(method: &Method) -> &'static str {
    METHODS.iter().find(|known| **known == method.as_str()).copied().unwrap_or("other")
}

/// Compares without telling by time how much is right.
fn same(a: &[u8], b: &[u8]) -> bool {
    use sha2::{Digest, Sha256};
    Sha256::digest(a) == Sha256::digest(b)
}

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
