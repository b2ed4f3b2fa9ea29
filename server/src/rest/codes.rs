//! Enrolment codes: made for a user, listed, revoked.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fieldbook_core::access::OfficeVerb;
use fieldbook_core::ids::{DeviceId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::{Caller, Path};
use super::{ApiError, Problem};
use crate::app::{App, blocking};
use crate::auth::{CodeId, CodeInfo, Entropy, Maker};

/// A code that was just made. It is shown once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewCode {
    /// Names it in lists.
    id: String,
    /// To be typed into the app.
    code: String,
    /// The content of a QR code: the server's address and the code.
    qr: String,
    /// Server time at which it ends, milliseconds.
    expires_ms: i64,
}

/// A code as lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Code {
    /// Names it.
    id: String,
    /// Whose phone it enrols.
    #[schema(value_type = String)]
    user: UserId,
    /// Who made it; nobody: `fieldbook init`.
    #[schema(value_type = Option<String>)]
    created_by: Option<UserId>,
    /// Server time at which it ends, milliseconds.
    expires_ms: i64,
    /// The device that it enrolled.
    #[schema(value_type = Option<String>)]
    used_by: Option<DeviceId>,
    /// Closed after too many wrong attempts.
    locked: bool,
}

/// Make a one-time code that enrols one phone of a user, or lets one of theirs that is signed out come back with all that it holds. It ends
/// with the device at which it was made.
#[utoipa::path(post, path = "/api/users/{user}/codes", tag = "phones", security(("bearer" = [])), params(("user" = String, Path)),
    responses((status = 201, body = NewCode), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn issue(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(user): Path<UserId>,
) -> Result<(StatusCode, Json<NewCode>), ApiError> {
    let code = blocking(move || {
        caller.require(OfficeVerb::Administer)?;
        if !app.company.user(user)?.active {
            return Err(ApiError::conflict("this user is not active"));
        }
        let maker = Maker { user: caller.user(), device: caller.device };
        let code = app.auth.issue_code(user, Some(maker), app.now_ms(), &mut Entropy::from_system())?;
        let qr = qr_content(&app.config.public_url(), &code.text);
        Ok(NewCode { id: code.id.to_string(), code: code.text, qr, expires_ms: code.expires_ms })
    });
    Ok((StatusCode::CREATED, Json(code.await?)))
}

/// Make a one-time code for the caller's own next phone: handing over to a new phone, or a second one. Three of them are open at a time;
/// one more takes the place of the oldest. They end with the phone that made them.
#[utoipa::path(post, path = "/api/handover", tag = "phones", security(("bearer" = [])),
    responses((status = 201, body = NewCode), (status = 401, body = Problem)))]
pub(super) async fn handover(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<(StatusCode, Json<NewCode>), ApiError> {
    let code = blocking(move || {
        let user = caller.user();
        let maker = Maker { user, device: caller.device };
        let code = app.auth.issue_own_code(maker, app.now_ms(), &mut Entropy::from_system())?;
        tracing::info!(%user, device = %caller.device, "a user asked for a code for another phone");
        let qr = qr_content(&app.config.public_url(), &code.text);
        Ok::<_, ApiError>(NewCode {
            id: code.id.to_string(),
            code: code.text,
            qr,
            expires_ms: code.expires_ms,
        })
    });
    Ok((StatusCode::CREATED, Json(code.await?)))
}

/// The codes of the last month, the latest first, a thousand at the most.
#[utoipa::path(get, path = "/api/codes", tag = "phones", security(("bearer" = [])),
    responses((status = 200, body = [Code]), (status = 403, body = Problem)))]
pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Vec<Code>>, ApiError> {
    caller.require(OfficeVerb::Administer)?;
    let codes = blocking(move || app.auth.list_codes(CODES_MAX)).await?;
    Ok(Json(codes.into_iter().map(Code::from).collect()))
}

/// Revoke a code.
#[utoipa::path(delete, path = "/api/codes/{code}", tag = "phones", security(("bearer" = [])), params(("code" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    caller.require(OfficeVerb::Administer)?;
    let id: CodeId = id.parse().map_err(|_| ApiError::not_found("there is no such code"))?;
    if blocking(move || app.auth.revoke_code(id, app.now_ms())).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found("there is no such code"))
    }
}

/// What a QR code holds: one address that names the server and the code. The code stands behind `#`, which no browser sends anywhere.
pub fn qr_content(public_url: &str, code: &str) -> String {
    format!("{public_url}/enrol#{code}")
}

impl From<CodeInfo> for Code {
    fn from(info: CodeInfo) -> Self {
        Self {
            id: info.id.to_string(),
            user: info.user,
            created_by: info.created_by,
            expires_ms: info.expires_ms,
            used_by: info.used_by,
            locked: info.locked,
        }
    }
}

/// Codes in one list; they vanish a month after they ended.
const CODES_MAX: usize = 1_000;
