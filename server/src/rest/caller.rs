//! Who calls: the bearer token of a request, checked against the company as it stands now, so that a revoked phone is out at once and not
//! when its token ends. And the extractors whose refusals are problems like all others.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequest, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use fieldbook_core::access::{OfficeVerb, Person, may_office};
use fieldbook_core::company::{CompanyError, DeviceStatus};
use fieldbook_core::ids::{DeviceId, UserId};

use super::ApiError;
use crate::app::{App, blocking};
use crate::auth::Scope;

/// A signed-in person at a device in good standing.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Role and teams led, as of now.
    pub person: Person,
    /// The device that the token is bound to.
    pub device: DeviceId,
}

impl Caller {
    /// Who.
    pub fn user(&self) -> UserId {
        self.person.user
    }

    /// Demands that the caller may do `verb` to the company.
    ///
    /// # Errors
    /// 403.
    pub fn require(&self, verb: OfficeVerb) -> Result<(), ApiError> {
        if may_office(self.person.role, verb) {
            return Ok(());
        }
        let what = match verb {
            OfficeVerb::Administer => "administer users, devices and codes",
            OfficeVerb::Intake => "create leads for others or import tables",
            OfficeVerb::Assign => "move leads to another owner",
            OfficeVerb::Review => "decide about held work",
        };
        Err(ApiError::forbidden(format!("your role may not {what}")))
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let missing = || {
            ApiError::unauthorized(
                "token_missing",
                "this address needs an access token: Authorization: Bearer …",
            )
        };
        let header =
            parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
        let token = bearer(header).ok_or_else(missing)?.to_owned();
        let app = app.clone();
        blocking(move || identify(&app, &token)).await
    }
}

/// The token of an `Authorization` header.
pub(super) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn identify(app: &App, token: &str) -> Result<Caller, ApiError> {
    let claimed = app.auth.verify_access(token, app.now_ms())?;
    let gone =
        || ApiError::unauthorized("device_revoked", "this device is not in good standing with the company");
    if claimed.scope != Scope::Full {
        return Err(gone());
    }
    let known = match app.company.principal(claimed.device) {
        Ok(known) => known,
        Err(CompanyError::Unknown { .. }) => return Err(gone()),
        Err(other) => return Err(other.into()),
    };
    if known.status != DeviceStatus::Active || known.person.user != claimed.user {
        return Err(gone());
    }
    Ok(Caller { person: known.person, device: claimed.device })
}

/// The network address of the other end; the unspecified address when the request did not come over a socket.
pub struct Peer(pub IpAddr);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(peer)| peer.ip())))
    }
}

/// A JSON body.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
pub struct Body<T>(pub T);

/// A query string.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub struct Query<T>(pub T);

/// The variable parts of the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub struct Path<T>(pub T);
