//! A phone's way in: a one-time code becomes a device with tokens, and a refresh token becomes the next pair.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use fieldbook_core::access::Role;
use fieldbook_core::company::{CompanyError, DeviceStatus};
use fieldbook_core::ids::{DeviceId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Body, Peer};
use super::limiter::Limiter;
use super::{ApiError, Problem};
use crate::app::{App, blocking};
use crate::auth::{CodeError, Entropy, RefreshError, Standing, Tokens};
use crate::metrics;

/// What a new phone sends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// The one-time code as typed or scanned.
    code: String,
    /// 16 to 64 random characters, chosen by the phone once and kept until enrolment succeeded: with the same claim the same device
    /// comes back, so that a lost answer does not cost a code.
    claim: String,
    /// What the user calls the phone, up to 100 characters.
    device_name: String,
}

/// What an enrolled phone gets.
#[derive(Debug, Serialize, ToSchema)]
pub struct EnrolResponse {
    /// The phone's id from now on.
    #[schema(value_type = String)]
    device: DeviceId,
    /// Whose it is.
    #[schema(value_type = String)]
    user: UserId,
    /// Their name.
    user_name: String,
    /// Their role.
    #[schema(value_type = String)]
    role: Role,
    /// The company's name.
    company: String,
    /// Where the sync endpoint is.
    sync_url: String,
    /// The company's time zone.
    timezone: String,
    #[serde(flatten)]
    tokens: TokenResponse,
}

/// What a phone sends to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// The newest refresh token that the phone has.
    refresh_token: String,
}

/// A pair of tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenResponse {
    /// For the `Authorization` header and the sync handshake.
    access_token: String,
    /// Server time at which it ends, milliseconds.
    access_expires_ms: i64,
    /// To be presented once, for the next pair.
    refresh_token: String,
    /// Server time at which it ends unless it is used, milliseconds.
    refresh_expires_ms: i64,
    /// The server's time now, milliseconds.
    server_now_ms: i64,
}

/// Enrol a phone with a one-time code.
#[utoipa::path(post, path = "/api/enrol", tag = "sign-in", request_body = EnrolRequest, responses(
    (status = 200, body = EnrolResponse), (status = 403, body = Problem), (status = 429, body = Problem)
))]
pub(super) async fn enrol(
    State(app): State<Arc<App>>,
    Extension(limiter): Extension<Arc<Limiter>>,
    Peer(from): Peer,
    Body(request): Body<EnrolRequest>,
) -> Result<Json<EnrolResponse>, ApiError> {
    limiter.check(from, app.now_ms())?;
    let name = request.device_name.trim();
    if name.is_empty() || name.chars().count() > 100 || !(16..=64).contains(&request.claim.len()) {
        return Err(ApiError::bad_request(
            "a device needs a name of 1 to 100 characters and a claim of 16 to 64",
        ));
    }
    blocking(move || {
        let outcome = enrol_device(&app, &request);
        let failed = matches!(&outcome, Err(e) if e.guessing);
        if failed {
            limiter.failed(from, app.now_ms());
        }
        metrics::sign_in("enrol", outcome.is_ok());
        outcome.map(Json).map_err(|e| e.error)
    })
    .await
}

/// Get the next pair of tokens.
#[utoipa::path(post, path = "/api/token/refresh", tag = "sign-in", request_body = RefreshRequest, responses(
    (status = 200, body = TokenResponse), (status = 401, body = Problem), (status = 429, body = Problem)
))]
pub(super) async fn refresh(
    State(app): State<Arc<App>>,
    Extension(limiter): Extension<Arc<Limiter>>,
    Peer(from): Peer,
    Body(request): Body<RefreshRequest>,
) -> Result<Json<TokenResponse>, ApiError> {
    limiter.check(from, app.now_ms())?;
    blocking(move || {
        let now_ms = app.now_ms();
        let standing = |user, device| app.standing(user, device);
        let outcome = app.auth.refresh(&request.refresh_token, standing, now_ms, &mut Entropy::from_system());
        if matches!(outcome, Err(RefreshError::Unknown)) {
            limiter.failed(from, now_ms);
        }
        metrics::sign_in("refresh", outcome.is_ok());
        Ok(Json(token_response(outcome?, now_ms)))
    })
    .await
}

/// A refused enrolment, and whether it looks like guessing.
struct EnrolRefused {
    error: ApiError,
    guessing: bool,
}

impl<E: Into<ApiError>> From<E> for EnrolRefused {
    fn from(error: E) -> Self {
        Self { error: error.into(), guessing: false }
    }
}

fn enrol_device(app: &App, request: &EnrolRequest) -> Result<EnrolResponse, EnrolRefused> {
    let now_ms = app.now_ms();
    let mut entropy = Entropy::from_system();
    let redeemed = app.auth.redeem_code(&request.code, request.claim.as_bytes(), now_ms, &mut entropy);
    let redeemed = redeemed.map_err(|error| EnrolRefused {
        guessing: matches!(error, CodeError::Invalid | CodeError::Locked),
        error: error.into(),
    })?;
    let (user, device) = (redeemed.user, redeemed.device);
    match app.company.device(device) {
        // The answer was lost and the phone asks again.
        Ok(known) if known.user == user && known.status == DeviceStatus::Active => {}
        Ok(_) => return Err(ApiError::from(CodeError::Used).into()),
        Err(CompanyError::Unknown { .. }) => {
            let touched = app.company.put_device(device, user, request.device_name.trim(), now_ms)?;
            app.announce(touched);
        }
        Err(other) => return Err(other.into()),
    }
    let Standing::Active(role) = app.standing(user, device)? else {
        return Err(ApiError::from(CodeError::Used).into());
    };
    let tokens = app.auth.sign_in(user, device, role, now_ms, &mut entropy)?;
    tracing::info!(%device, %user, "a device enrolled");
    let public = app.config.public_url();
    Ok(EnrolResponse {
        device,
        user,
        user_name: app.company.user(user)?.name,
        role,
        company: app.company.name().to_owned(),
        sync_url: format!("{}/sync", public.replacen("http", "ws", 1)),
        timezone: app.config.timezone.iana_name().unwrap_or("UTC").to_owned(),
        tokens: token_response(tokens, now_ms),
    })
}

fn token_response(tokens: Tokens, now_ms: i64) -> TokenResponse {
    TokenResponse {
        access_token: tokens.access,
        access_expires_ms: tokens.access_expires_ms,
        refresh_token: tokens.refresh,
        refresh_expires_ms: tokens.refresh_expires_ms,
        server_now_ms: now_ms,
    }
}
