//! A phone's way in: a one-time code becomes a device with tokens, and a refresh token becomes the next pair. A phone that has lost its
//! sign-in comes back with a code as the device that it was, so that nothing that it holds is stranded.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use fieldbook_core::access::Role;
use fieldbook_core::company::{CompanyError, DeviceStatus};
use fieldbook_core::ids::{DeviceId, UserId};
use fieldbook_core::store::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Body, Origin};
use super::limiter::Limiter;
use super::{ApiError, Problem};
use crate::app::{App, blocking};
use crate::auth::{CodeError, Entropy, Offer, Standing, Tokens};
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
    /// From a phone that was enrolled before and is signed out: who it was. It gets no new id.
    resumes: Option<Resumes>,
}

/// Who a phone was.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resumes {
    /// Its id.
    #[schema(value_type = String)]
    device: DeviceId,
    /// Whose it was; the code must be for them.
    #[schema(value_type = String)]
    user: UserId,
    /// The last refresh token that it had, of whatever age. A server that was restored from a backup older than the enrolment knows by it
    /// that the company enrolled this device.
    refresh_token: Option<String>,
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
    Origin(from): Origin,
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
    (status = 200, body = TokenResponse), (status = 401, body = Problem)
))]
pub(super) async fn refresh(
    State(app): State<Arc<App>>,
    Body(request): Body<RefreshRequest>,
) -> Result<Json<TokenResponse>, ApiError> {
    // Nobody guesses 256 bits, so nobody is counted: behind one address a whole company refreshes.
    blocking(move || {
        let now_ms = app.now_ms();
        let standing = |user, device| app.standing(user, device);
        let outcome = app.auth.refresh(&request.refresh_token, standing, now_ms, &mut Entropy::from_system());
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
    let claim = request.claim.as_bytes();
    let resumes = request.resumes.as_ref();
    let admit = |offer| admit(app, resumes, offer);
    let redeemed = app.auth.redeem_code(&request.code, claim, admit, now_ms, &mut entropy);
    let redeemed = redeemed.map_err(|error| EnrolRefused {
        guessing: matches!(error, CodeError::Invalid | CodeError::Locked),
        error: error.into(),
    })?;
    let (user, device) = (redeemed.user, redeemed.device);
    // The same claim with another story: the code went to the device of the first one.
    if resumes.is_some_and(|resumes| resumes.device != device) {
        return Err(ApiError::from(CodeError::Used).into());
    }
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
    tracing::info!(%device, %user, again = resumes.is_some(), "a device enrolled");
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

/// Which device an unused code is for, decided before it counts as used.
fn admit(app: &App, resumes: Option<&Resumes>, offer: Offer) -> Result<Option<DeviceId>, CodeError> {
    let found = |device| match app.company.principal(device) {
        Ok(known) => Ok(Some(known)),
        Err(CompanyError::Unknown { .. }) => Ok(None),
        Err(CompanyError::Store(error)) => Err(CodeError::Store(error)),
        Err(other) => Err(CodeError::Store(StoreError::Damaged(other.to_string()))),
    };
    if let Some(device) = offer.made_at
        && found(device)?.is_none_or(|maker| maker.status != DeviceStatus::Active)
    {
        return Err(CodeError::Invalid);
    }
    let Some(Resumes { device, user, refresh_token }) = resumes else { return Ok(None) };
    let vouched = || app.auth.vouches(refresh_token.as_deref().unwrap_or_default(), *user, *device);
    if *user != offer.user {
        let forgotten = app.company.is_restored()
            && matches!(app.company.user(*user), Err(CompanyError::Unknown { .. }))
            && found(*device)?.is_none()
            && vouched()?;
        if forgotten {
            tracing::warn!(%user, %device, "a phone came back whose user was added after the backup; add them again under this id");
            return Err(CodeError::Forgotten(*user));
        }
        return Err(CodeError::OtherUser);
    }
    match found(*device)? {
        Some(known) if known.person.user != *user => Err(CodeError::OtherUser),
        Some(known) if known.status == DeviceStatus::Active => Ok(Some(*device)),
        Some(_) => Err(CodeError::Ended),
        None if app.tombstones.has_device(*device) => Err(CodeError::Ended),
        // Enrolled after the backup that this server was restored from: its changes name this device, so it stays this device.
        None if vouched()? => Ok(Some(*device)),
        None => Err(CodeError::Stranger),
    }
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
