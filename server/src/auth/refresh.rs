//! Refresh tokens: opaque, stored as a hash, changed with every use.
//!
//! A device has one sign-in, one row, that knows the hash of the newest token (never used) and of the one before it. A phone in a
//! basement loses answers: when it comes with the token before and the newest was never used, it gets another newest and the
//! lost one is void. Any other old token proves that two hold tokens of this sign-in; both lose it.

use fieldbook_core::access::Role;
use fieldbook_core::ids::{DeviceId, UserId};
use fieldbook_core::store::{Batch, Direction, Outcome, Range, Store, StoreError};
use minicbor::{Decode, Encode};

use super::{
    Auth, Entropy, MS_PER_DAY, RETRIES_MAX, SWEEP_MAX_ROWS, Scope, Standing, Tokens, decode_row, encode_row,
    hash_of,
};

/// Why a refresh token was refused. The device must be enrolled again, except after [`RefreshError::Store`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum RefreshError {
    /// Not a token of ours, or of a sign-in that is gone.
    #[error("the refresh token is not known")]
    Unknown,
    /// Not used for too long.
    #[error("the refresh token has expired; enrol the device again")]
    Expired,
    /// An old token came back: the sign-in is revoked now.
    #[error("the refresh token was used before; this sign-in is revoked, enrol the device again")]
    Reused,
    /// The sign-in had been revoked.
    #[error("this sign-in is revoked; enrol the device again")]
    Revoked,
    /// The store failed; the token is as good as before.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, Encode, Decode)]
struct Family {
    #[n(0)]
    user: UserId,
    #[cbor(n(1), with = "minicbor::bytes")]
    family: [u8; 16],
    /// Hash of the newest token, which nobody has used.
    #[cbor(n(2), with = "minicbor::bytes")]
    newest: [u8; 32],
    /// Hash of the token that the newest was given for.
    #[cbor(n(3), with = "minicbor::bytes")]
    before: Option<[u8; 32]>,
    #[n(4)]
    expires_ms: i64,
    #[n(5)]
    revoked_ms: Option<i64>,
}

impl Auth {
    /// Begins the sign-in of a device that has just enrolled; an earlier one of the same device ends.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn sign_in(
        &self,
        user: UserId,
        device: DeviceId,
        role: Role,
        now_ms: i64,
        entropy: &mut Entropy,
    ) -> Result<Tokens, StoreError> {
        let family: [u8; 16] = entropy.draw();
        let (text, newest) = fresh_token(device, family, entropy);
        let expires_ms = self.refresh_expiry(now_ms);
        let row = Family { user, family, newest, before: None, expires_ms, revoked_ms: None };
        let mut batch = Batch::new();
        batch.put(row_key(device), encode_row(&row));
        self.store.commit_one(batch)?;
        let (access, access_expires_ms) =
            self.issue_access(user, device, role, Scope::Full, now_ms, entropy)?;
        Ok(Tokens { access, access_expires_ms, refresh: text, refresh_expires_ms: expires_ms })
    }

    /// Takes a refresh token and gives the next one, with an access token for what `standing` says of the device now.
    ///
    /// # Errors
    /// [`RefreshError`].
    pub fn refresh(
        &self,
        token: &str,
        standing: impl Fn(UserId, DeviceId) -> Result<Standing, StoreError>,
        now_ms: i64,
        entropy: &mut Entropy,
    ) -> Result<Tokens, RefreshError> {
        let (device, family, presented) = parse(token).ok_or(RefreshError::Unknown)?;
        for _ in 0..RETRIES_MAX {
            let stored = self.store.get(&row_key(device))?.ok_or(RefreshError::Unknown)?;
            let mut row: Family = decode_row("sign-ins", &stored)?;
            if row.family != family {
                return Err(RefreshError::Unknown);
            }
            if row.revoked_ms.is_some() {
                return Err(RefreshError::Revoked);
            }
            if now_ms >= row.expires_ms {
                return Err(RefreshError::Expired);
            }
            let replayed = presented != row.newest && Some(presented) != row.before;
            let mut answer = None;
            if replayed {
                row.revoked_ms = Some(now_ms);
            } else {
                let (role, scope) = match standing(row.user, device)? {
                    Standing::Active(role) => (role, Scope::Full),
                    Standing::Farewell(role) => (role, Scope::Farewell),
                    Standing::Unknown => return Err(RefreshError::Unknown),
                };
                let (text, newest) = fresh_token(device, family, entropy);
                row.before = Some(presented);
                row.newest = newest;
                row.expires_ms = self.refresh_expiry(now_ms);
                answer = Some((role, scope, text));
            }
            let mut batch = Batch::new();
            batch.guard(row_key(device), Some(stored)).put(row_key(device), encode_row(&row));
            if let Outcome::Conflict(_) = self.store.commit_one(batch)? {
                continue;
            }
            let Some((role, scope, refresh)) = answer else {
                tracing::warn!(%device, "a used refresh token came back; the sign-in is revoked");
                return Err(RefreshError::Reused);
            };
            let (access, access_expires_ms) =
                self.issue_access(row.user, device, role, scope, now_ms, entropy)?;
            return Ok(Tokens { access, access_expires_ms, refresh, refresh_expires_ms: row.expires_ms });
        }
        Err(RefreshError::Store(StoreError::Io("a sign-in changed faster than it could be read".into())))
    }

    /// Ends the sign-in of a device: its refresh token is void, its last access token lives out its minutes.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn sign_out(&self, device: DeviceId) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.delete(row_key(device));
        self.store.commit_one(batch).map(|_| ())
    }

    fn refresh_expiry(&self, now_ms: i64) -> i64 {
        now_ms + i64::from(self.config.refresh_ttl_days) * MS_PER_DAY
    }
}

/// Removes sign-ins that nobody can use any more, page by page; a company has a few thousand devices.
pub(super) fn sweep(store: &dyn Store, now_ms: i64) -> Result<(), StoreError> {
    let mut from = Vec::new();
    loop {
        let range = if from.is_empty() { Range::prefix(PREFIX) } else { Range::prefix_after(PREFIX, &from) };
        let page = store.scan(&range, Direction::Forward, SWEEP_MAX_ROWS)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        from = last.clone();
        let mut batches = Vec::new();
        for (key, value) in page {
            let row: Family = decode_row("sign-ins", &value)?;
            if now_ms >= row.expires_ms {
                let mut batch = Batch::new();
                batch.guard(key.clone(), Some(value)).delete(key);
                batches.push(batch);
            }
        }
        if !batches.is_empty() {
            store.commit(batches)?;
        }
    }
}

/// `fbr_` and, in hex, device ‖ family ‖ secret. The family is as unguessable as the secret, so only who held a token of this
/// sign-in can present a wrong one of it.
fn fresh_token(device: DeviceId, family: [u8; 16], entropy: &mut Entropy) -> (String, [u8; 32]) {
    let secret: [u8; 32] = entropy.draw();
    let text = format!("{TOKEN_PREFIX}{device}{}{}", hex::encode(family), hex::encode(secret));
    (text, hash_of("refresh", &secret))
}

fn parse(token: &str) -> Option<(DeviceId, [u8; 16], [u8; 32])> {
    let mut bytes = [0u8; 56];
    hex::decode_to_slice(token.strip_prefix(TOKEN_PREFIX)?, &mut bytes).ok()?;
    let (device, rest) = bytes.split_at(8);
    let (family, secret) = rest.split_at(16);
    Some((DeviceId::from_slice(device)?, family.try_into().ok()?, hash_of("refresh", secret)))
}

fn row_key(device: DeviceId) -> Vec<u8> {
    [PREFIX, &device.0[..]].concat()
}

const PREFIX: &[u8] = b"auth/sign-in/";
const TOKEN_PREFIX: &str = "fbr_";
