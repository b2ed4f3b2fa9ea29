//! Access tokens: what they say, how they are issued, and why one is refused.

use fieldbook_core::access::Role;
use fieldbook_core::ids::{DeviceId, UserId};
use fieldbook_core::store::StoreError;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation};
use serde::{Deserialize, Serialize};

use super::keys::Kid;
use super::{Auth, Entropy, MS_PER_S};

/// Who stands behind a valid access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// `sub`
    pub user: UserId,
    /// `dev`
    pub device: DeviceId,
    /// `role` as of the last refresh.
    pub role: Role,
    /// `scp`
    pub scope: Scope,
    /// `exp`, server time.
    pub expires_ms: i64,
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everything that the role may.
    Full,
    /// One last session at the sync endpoint (design decision 10).
    Farewell,
}

/// Why an access token was refused. Says nothing about what the token holds.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// No JWT, or not one of ours.
    #[error("the access token is malformed")]
    Malformed,
    /// Its key was never ours, or has been retired.
    #[error("the access token was signed with a key that is not trusted (any more)")]
    UnknownKey,
    /// The header asks for another algorithm than its key has.
    #[error("the access token names an algorithm that its key does not have")]
    WrongAlgorithm,
    /// The signature does not match.
    #[error("the signature of the access token is wrong")]
    BadSignature,
    /// Over.
    #[error("the access token has expired; refresh it")]
    Expired,
    /// From the future.
    #[error("the access token is not valid yet; check the clocks of the server nodes")]
    NotYetValid,
    /// For somebody else.
    #[error("the access token is meant for another audience")]
    WrongAudience,
    /// By somebody else.
    #[error("the access token was issued by another server")]
    WrongIssuer,
    /// The store failed while a key was looked up.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The claims of an access token, as `docs/protocol.md` describes them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: UserId,
    pub dev: DeviceId,
    pub role: Role,
    pub scp: Scope,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    pub jti: String,
}

impl Auth {
    /// Signs an access token for a device; with it, when it expires (server time).
    ///
    /// # Errors
    /// The store's, when keys had to be read again.
    pub fn issue_access(
        &self,
        user: UserId,
        device: DeviceId,
        role: Role,
        scope: Scope,
        now_ms: i64,
        entropy: &mut Entropy,
    ) -> Result<(String, i64), StoreError> {
        let now = now_ms.div_euclid(MS_PER_S);
        let exp = now + i64::from(self.config.access_ttl_s);
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: user,
            dev: device,
            role,
            scp: scope,
            iat: now,
            nbf: now,
            exp,
            jti: hex::encode(entropy.draw::<16>()),
        };
        let key = self.ring.signing(&*self.store, now_ms)?;
        let mut header = Header::new(key.algorithm);
        header.kid = Some(key.kid.to_string());
        let token = jsonwebtoken::encode(&header, &claims, &key.encoding);
        let token = token.map_err(|e| StoreError::Damaged(format!("signing key {}: {e}", key.kid)))?;
        Ok((token, exp * MS_PER_S))
    }

    /// Checks an access token at `now_ms` (server time).
    ///
    /// # Errors
    /// [`TokenError`], the first reason met: shape, key, algorithm, signature, issuer, audience, times.
    pub fn verify_access(&self, token: &str, now_ms: i64) -> Result<Principal, TokenError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(TokenError::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        let kid = header.kid.as_deref().and_then(Kid::parse).ok_or(TokenError::Malformed)?;
        let key = self.ring.verifying(&*self.store, kid, now_ms)?.ok_or(TokenError::UnknownKey)?;
        let mut validation = Validation::new(key.algorithm);
        validation.set_required_spec_claims(&["exp", "nbf", "sub", "iss", "aud"]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[&self.issuer]);
        // The crate would read the system's clock; ours is passed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let data = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation);
        let claims = data.map_err(|e| reason(e.kind()))?.claims;
        let leeway_ms = i64::from(self.config.leeway_s) * MS_PER_S;
        let expires_ms = claims.exp.saturating_mul(MS_PER_S);
        if now_ms >= expires_ms.saturating_add(leeway_ms) {
            return Err(TokenError::Expired);
        }
        if now_ms < claims.nbf.saturating_mul(MS_PER_S).saturating_sub(leeway_ms) {
            return Err(TokenError::NotYetValid);
        }
        Ok(Principal {
            user: claims.sub,
            device: claims.dev,
            role: claims.role,
            scope: claims.scp,
            expires_ms,
        })
    }
}

fn reason(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidAlgorithm => TokenError::WrongAlgorithm,
        ErrorKind::InvalidSignature => TokenError::BadSignature,
        ErrorKind::InvalidAudience => TokenError::WrongAudience,
        ErrorKind::InvalidIssuer => TokenError::WrongIssuer,
        _ => TokenError::Malformed,
    }
}

/// The `aud` of every access token.
pub(super) const AUDIENCE: &str = "fieldbook";
/// Ours are under 700 bytes.
const TOKEN_MAX_BYTES: usize = 4 << 10;
