//! Requests that another system signed with its key. One refusal for all of them, so that nobody learns which key there is.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use fieldbook_core::company::{CompanyError, IntakeKey};
use fieldbook_core::ids::EntryId;
use serde_json::Value;

use super::ApiError;
use crate::app::{App, blocking};
use crate::signature;

/// The body of a request, with the key that signed it.
pub(super) struct Signed {
    /// Names the key.
    pub key_id: EntryId,
    /// The key.
    pub key: IntakeKey,
    /// What was signed.
    pub body: Bytes,
}

impl FromRequest<Arc<App>> for Signed {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let headers = request.headers();
        let (key_id, signature) = (header(headers, KEY), header(headers, signature::HEADER));
        let body = Bytes::from_request(request, app).await?;
        let app = app.clone();
        blocking(move || identify(&app, &key_id, &signature, body)).await
    }
}

impl Signed {
    /// The items of a body `{"<name>": […]}`, each as it stands: one that is not understood keeps no other back.
    ///
    /// # Errors
    /// 400 for another body, and for more than [`fieldbook_core::limits::INTAKE_MAX_ITEMS`].
    pub fn items(&self, name: &str) -> Result<Vec<Value>, ApiError> {
        let body: Value = serde_json::from_slice(&self.body)
            .map_err(|error| ApiError::bad_request(format!("the body is no JSON: {error}")))?;
        let items = match body {
            Value::Object(mut body) if body.len() == 1 => body.remove(name),
            _ => None,
        };
        let Some(Value::Array(items)) = items else {
            return Err(ApiError::bad_request(format!(
                "the body is an object with a list {name:?}, and nothing else"
            )));
        };
        let most = fieldbook_core::limits::INTAKE_MAX_ITEMS;
        if items.len() > most {
            return Err(ApiError::bad_request(format!("one request has up to {most} {name}")));
        }
        Ok(items)
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn identify(app: &App, key_id: &str, signature: &str, body: Bytes) -> Result<Signed, ApiError> {
    let id = key_id.parse::<EntryId>().ok();
    let known = id.map(|id| app.company.intake_key(id).map(|key| (id, key))).transpose();
    let known = match known {
        Ok(known) => known.filter(|(_, key)| key.revoked_ms.is_none()),
        Err(CompanyError::Unknown { .. }) => None,
        Err(other) => return Err(other.into()),
    };
    // A key that is not there takes as long as one that is.
    let secret = known.as_ref().map_or([0; 32], |(_, key)| key.secret);
    let is_right = signature::verify(&signature::key(&secret), signature, &body, app.now_ms(), TOLERANCE_MS);
    match known {
        Some((key_id, key)) if is_right => Ok(Signed { key_id, key, body }),
        _ => Err(ApiError::unsigned()),
    }
}

/// The header that names the key.
const KEY: &str = "fieldbook-key";
/// How far the sender's clock may be off, or its request on its way.
const TOLERANCE_MS: u64 = 5 * 60 * 1_000;
