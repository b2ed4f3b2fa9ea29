//! Refresh tokens: opaque to phones, changed with every use, and proving themselves after a restore.
//!
//! A device has one sign-in, one row, that knows the hash of the newest token (never used) and of the one before it. A phone in a
//! basement loses answers: when it comes with the token before and the newest was never used, it gets another newest and the
//! lost one is void. Any other old token proves that two hold tokens of this sign-in; both lose it.
//!
//! A restored row is as old as the backup, and the phone's token is newer than anything that it knows. Therefore a token also carries its
//! number and a MAC under a key of the store ([`Proof`](super::proof)): under a row that was last written before the restore, a newer
//! number that the company itself gave goes on where the phone was. The MAC alone opens nothing else, and nothing at all once the row
//! was written in the new epoch.

use std::fmt;

use fieldbook_core::access::Role;
use fieldbook_core::ids::{DeviceId, UserId};
use fieldbook_core::store::{Batch, Direction, Outcome, Range, Store, StoreError};
use minicbor::{Decode, Encode};

use super::proof::ProofKey;
use super::{
    Auth, Entropy, MS_PER_DAY, RETRIES_MAX, SWEEP_MAX_ROWS, Scope, Standing, Tokens, decode_row, encode_row,
    hash_of,
};
use crate::backup::tombstones::Tombstone;

/// Names a sign-in of a device: every token of it carries it. As unguessable as a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FamilyId(pub [u8; 16]);

impl FamilyId {
    /// Reads the hex of a tombstone.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0u8; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Why a refresh token was refused. The device needs a new code to sign in again, except after [`RefreshError::Store`].
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
    /// Number of the newest token, from 1.
    #[n(6)]
    number: u64,
    /// The log's epoch in which this row was written: an older one than the company's says that a restore came in between.
    #[n(7)]
    epoch: u64,
}

/// How a token stands to the row of its sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// The newest, or the one before it.
    Next,
    /// The company gave it after the backup from which the row was restored.
    Newer,
    /// It was used before.
    Replayed,
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
        if let Some(stored) = self.store.get(&row_key(device))? {
            let old: Family = decode_row("sign-ins", &stored)?;
            self.bury(Tombstone::SignIn(device, FamilyId(old.family)), now_ms)?;
        }
        let key = self.proof_key()?;
        let made =
            Made { device, family: entropy.draw(), number: 1, expires_ms: self.refresh_expiry(now_ms) };
        let (text, newest) = made.token(&key, user, entropy);
        let Made { family, number, expires_ms, .. } = made;
        let epoch = self.epoch;
        let row = Family { user, family, newest, before: None, expires_ms, revoked_ms: None, number, epoch };
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
        let presented = Presented::read(token).ok_or(RefreshError::Unknown)?;
        let Made { device, family, .. } = presented.made;
        for _ in 0..RETRIES_MAX {
            let stored = self.store.get(&row_key(device))?.ok_or(RefreshError::Unknown)?;
            let mut row: Family = decode_row("sign-ins", &stored)?;
            if row.family != family {
                return Err(RefreshError::Unknown);
            }
            if row.revoked_ms.is_some() {
                return Err(RefreshError::Revoked);
            }
            let key = self.proof_key()?;
            let judged = self.judge(&row, &presented, &key);
            let expires_ms = if judged == Judged::Newer { presented.made.expires_ms } else { row.expires_ms };
            if now_ms >= expires_ms {
                return Err(RefreshError::Expired);
            }
            let mut answer = None;
            if judged == Judged::Replayed {
                row.revoked_ms = Some(now_ms);
                self.bury(Tombstone::SignIn(device, FamilyId(family)), now_ms)?;
            } else {
                let (role, scope) = match standing(row.user, device)? {
                    Standing::Active(role) => (role, Scope::Full),
                    Standing::Farewell(role) => (role, Scope::Farewell),
                    Standing::Unknown => return Err(RefreshError::Unknown),
                };
                row.number = row.number.max(presented.made.number).saturating_add(1);
                row.expires_ms = self.refresh_expiry(now_ms);
                let made = Made { device, family, number: row.number, expires_ms: row.expires_ms };
                let (text, newest) = made.token(&key, row.user, entropy);
                row.before = Some(presented.hash);
                row.newest = newest;
                row.epoch = self.epoch;
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
            if judged == Judged::Newer {
                tracing::info!(%device, "a sign-in went on from before the restore");
            }
            let (access, access_expires_ms) =
                self.issue_access(row.user, device, role, scope, now_ms, entropy)?;
            return Ok(Tokens { access, access_expires_ms, refresh, refresh_expires_ms: row.expires_ms });
        }
        Err(RefreshError::Store(StoreError::Io("a sign-in changed faster than it could be read".into())))
    }

    /// Whether this company once gave this refresh token, of whatever age, to this device of this user: how a phone that a restored
    /// company does not know proves that it is no stranger. Opens nothing by itself.
    ///
    /// # Errors
    /// Those of the store.
    pub fn vouches(&self, token: &str, user: UserId, device: DeviceId) -> Result<bool, StoreError> {
        let Some(presented) = Presented::read(token) else { return Ok(false) };
        Ok(presented.made.device == device && presented.is_proven(&self.proof_key()?, user))
    }

    /// Ends a sign-in that a tombstone names, when the restored company still has it.
    pub(super) fn end_sign_in(
        &self,
        device: DeviceId,
        family: FamilyId,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let Some(stored) = self.store.get(&row_key(device))? else { return Ok(()) };
        let row: Family = decode_row("sign-ins", &stored)?;
        if row.family != family.0 || row.revoked_ms.is_some() {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.put(row_key(device), encode_row(&Family { revoked_ms: Some(now_ms), ..row }));
        self.store.commit_one(batch).map(|_| ())
    }

    fn judge(&self, row: &Family, presented: &Presented, key: &ProofKey) -> Judged {
        if presented.hash == row.newest || Some(presented.hash) == row.before {
            Judged::Next
        } else if row.epoch < self.epoch
            && presented.made.number > row.number
            && presented.is_proven(key, row.user)
        {
            Judged::Newer
        } else {
            Judged::Replayed
        }
    }

    fn refresh_expiry(&self, now_ms: i64) -> i64 {
        now_ms + i64::from(self.config.refresh_ttl_days) * MS_PER_DAY
    }
}

/// Removes sign-ins that nobody can use any more, page by page; a company has a few thousand devices. One from before a restore may have
/// been used since, which its row cannot know: it stays as long again.
pub(super) fn sweep(store: &dyn Store, epoch: u64, ttl_ms: i64, now_ms: i64) -> Result<(), StoreError> {
    let mut from = Vec::new();
    loop {
        let range = if from.is_empty() { Range::prefix(PREFIX) } else { Range::prefix_after(PREFIX, &from) };
        let page = store.scan(&range, Direction::Forward, SWEEP_MAX_ROWS)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        from = last.clone();
        let mut batches = Vec::new();
        for (key, value) in page {
            let row: Family = decode_row("sign-ins", &value)?;
            let grace_ms = if row.epoch < epoch { ttl_ms } else { 0 };
            if now_ms >= row.expires_ms.saturating_add(grace_ms) {
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

/// What a token says of itself.
#[derive(Debug, Clone, Copy)]
struct Made {
    device: DeviceId,
    family: [u8; 16],
    /// From 1, one more with every use.
    number: u64,
    /// When it ends unless it is used, server time.
    expires_ms: i64,
}

impl Made {
    /// `fbr_` and, in hex, device ‖ family ‖ number ‖ expiry ‖ secret ‖ MAC; with it the hash under which it is kept.
    fn token(&self, key: &ProofKey, user: UserId, entropy: &mut Entropy) -> (String, [u8; 32]) {
        let secret: [u8; 32] = entropy.draw();
        let hash = hash_of("refresh", &secret);
        let mac = key.sign(&self.message(user, &hash));
        let text =
            format!("{TOKEN_PREFIX}{}{}{}", hex::encode(self.head()), hex::encode(secret), hex::encode(mac));
        (text, hash)
    }

    fn head(&self) -> Vec<u8> {
        [
            &self.device.0[..],
            &self.family[..],
            &self.number.to_be_bytes()[..],
            &self.expires_ms.to_be_bytes()[..],
        ]
        .concat()
    }

    /// What the MAC covers. The user is not in the token: who asks names them.
    fn message(&self, user: UserId, hash: &[u8; 32]) -> Vec<u8> {
        [b"fieldbook/refresh/1", &self.head()[..], &user.0[..], &hash[..]].concat()
    }
}

/// A token as somebody brought it.
struct Presented {
    made: Made,
    hash: [u8; 32],
    mac: [u8; 32],
}

impl Presented {
    fn read(token: &str) -> Option<Self> {
        let mut bytes = [0u8; 104];
        hex::decode_to_slice(token.strip_prefix(TOKEN_PREFIX)?, &mut bytes).ok()?;
        let made = Made {
            device: DeviceId::from_slice(&bytes[..8])?,
            family: bytes[8..24].try_into().ok()?,
            number: u64::from_be_bytes(bytes[24..32].try_into().ok()?),
            expires_ms: i64::from_be_bytes(bytes[32..40].try_into().ok()?),
        };
        Some(Self { made, hash: hash_of("refresh", &bytes[40..72]), mac: bytes[72..].try_into().ok()? })
    }

    fn is_proven(&self, key: &ProofKey, user: UserId) -> bool {
        key.verifies(&self.made.message(user, &self.hash), &self.mac)
    }
}

fn row_key(device: DeviceId) -> Vec<u8> {
    [PREFIX, &device.0[..]].concat()
}

const PREFIX: &[u8] = b"auth/sign-in/";
const TOKEN_PREFIX: &str = "fbr_";
