//! Who calls: the bearer token of a request, checked against the company as it stands now, so that a revoked phone is out at once and not
//! when its token ends. And the extractors whose refusals are problems like all others.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequest, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use fieldbook_core::access::{OfficeVerb, Person, may_office};
use fieldbook_core::company::{CompanyError, DeviceStatus, Principal};
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
            OfficeVerb::Instruct => "write the playbook",
        };
        Err(ApiError::forbidden(format!("your role may not {what}")))
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = token_of(parts)?;
        let app = app.clone();
        blocking(move || identify(&app, &token)).await
    }
}

/// The token of an `Authorization` header.
pub(super) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A device that may hand over the evidence it holds: one in good standing, or a revoked one on its way out (design decision 10).
#[derive(Debug, Clone, Copy)]
pub struct Sender {
    /// The device that the token is bound to.
    pub device: DeviceId,
}

impl FromRequestParts<Arc<App>> for Sender {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = token_of(parts)?;
        let app = app.clone();
        let device = blocking(move || {
            let (known, _) = known_device(&app, &token)?;
            match known.status {
                DeviceStatus::Active | DeviceStatus::Revoked => Ok(known.device),
                DeviceStatus::Stolen | DeviceStatus::Wiped => Err(gone()),
            }
        });
        Ok(Self { device: device.await? })
    }
}

fn token_of(parts: &Parts) -> Result<String, ApiError> {
    let missing = || {
        ApiError::unauthorized("token_missing", "this address needs an access token: Authorization: Bearer …")
    };
    let header =
        parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    Ok(bearer(header).ok_or_else(missing)?.to_owned())
}

fn gone() -> ApiError {
    ApiError::unauthorized("device_revoked", "this device is not in good standing with the company")
}

/// The device of a token as the company knows it now, and what the token is good for.
fn known_device(app: &App, token: &str) -> Result<(Principal, Scope), ApiError> {
    let claimed = app.auth.verify_access(token, app.now_ms())?;
    match app.company.principal(claimed.device) {
        Ok(known) if known.person.user == claimed.user => Ok((known, claimed.scope)),
        Ok(_) | Err(CompanyError::Unknown { .. }) => Err(gone()),
        Err(other) => Err(other.into()),
    }
}

fn identify(app: &App, token: &str) -> Result<Caller, ApiError> {
    let (known, scope) = known_device(app, token)?;
    if scope != Scope::Full || known.status != DeviceStatus::Active {
        return Err(gone());
    }
    Ok(Caller { person: known.person, device: known.device })
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

/// The network address that a request began at: behind the proxy that the operator trusts, what that proxy says of it; else the other end.
pub struct Origin(pub IpAddr);

impl FromRequestParts<Arc<App>> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let Peer(peer) = Peer::from_request_parts(parts, app).await?;
        // An address of IPv4 comes in the clothes of IPv6 when the server listens on both.
        let peer = peer.to_canonical();
        if app.config.trusted_proxy.map(|proxy| proxy.to_canonical()) != Some(peer) {
            return Ok(Self(peer));
        }
        // A caller may write anything before it; what the proxy itself saw stands last.
        let last = parts.headers.get_all(FORWARDED_FOR).iter().next_back();
        let last =
            last.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse::<IpAddr>().ok());
        Ok(Self(last.map_or(peer, |last| last.to_canonical())))
    }
}

const FORWARDED_FOR: &str = "x-forwarded-for";

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
