//! Sign-in: signing keys, access tokens, refresh tokens and one-time enrolment codes.
//!
//! Owns the rows under `auth/` of the store. Everything here is decided on a time and on entropy that are passed in, so that a
//! simulated company can run it; nothing here knows HTTP. Refuses to say who a user is: what a person may do comes from the
//! company through [`Standing`], and is asked again at every refresh.
//!
//! * An **access token** is a JWT bound to one device, short-lived, signed by a key that its `kid` names ([`keys`]).
//! * A **refresh token** is opaque, stored as a hash, and changes with every use; using an old one again revokes the device's
//!   sign-in; after a restore it proves itself ([`refresh`], [`proof`]).
//! * An **enrolment code** is typed or scanned once ([`codes`]).

use std::sync::Arc;

use fieldbook_core::access::Role;
use fieldbook_core::ids::{DeviceId, UserId};
use fieldbook_core::store::{Batch, Store, StoreError};
use sha2::{Digest, Sha256};

use crate::backup::tombstones::{Tombstone, Tombstones};
use crate::config::AuthConfig;

pub mod access;
pub mod codes;
mod crypto;
pub mod keys;
mod proof;
pub mod refresh;
#[cfg(test)]
mod tests;

pub use access::{Principal, Scope, TokenError};
pub use codes::{CodeError, CodeId, CodeInfo, IssuedCode, Maker, Offer, Redeemed};
pub use keys::Kid;
pub use refresh::{FamilyId, RefreshError};

/// The sign-in of one company, over its store. Cheap to share; calls block on the store.
pub struct Auth {
    store: Arc<dyn Store>,
    issuer: String,
    config: AuthConfig,
    ring: keys::KeyRing,
    epoch: u64,
    tombstones: Option<Arc<Tombstones>>,
}

/// What the company says of a device at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// User and device are in good standing.
    Active(Role),
    /// The device or its user was revoked, or reported stolen: it may come once more to the sync endpoint, to hand over what it
    /// holds or to be wiped, and nowhere else (design decision 10).
    Farewell(Role),
    /// The company does not know it.
    Unknown,
}

/// What a device is handed after enrolment and after each refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The JWT for the `Authorization` header and for the sync handshake.
    pub access: String,
    /// When it stops being valid, server time.
    pub access_expires_ms: i64,
    /// To be kept in the device's key store and presented once.
    pub refresh: String,
    /// When it stops being valid unless it is used, server time.
    pub refresh_expires_ms: i64,
}

impl Auth {
    /// Sign-in over `store`. `issuer` is the server's public address, the `iss` of its tokens. Call [`Auth::maintain`] before the
    /// first token is asked for, and about once an hour.
    pub fn new(store: Arc<dyn Store>, issuer: impl Into<String>, config: AuthConfig) -> Self {
        crypto::install();
        let ring = keys::KeyRing::default();
        Self { store, issuer: issuer.into(), config, ring, epoch: 1, tombstones: None }
    }

    /// Says which epoch of the log this is: what was written in an earlier one was restored from a backup.
    #[must_use]
    pub fn in_epoch(self, epoch: u64) -> Self {
        Self { epoch, ..self }
    }

    /// Keeps what ends here outside the backup too.
    #[must_use]
    pub fn with_tombstones(self, tombstones: Arc<Tombstones>) -> Self {
        Self { tombstones: Some(tombstones), ..self }
    }

    /// Creates, rotates and removes signing keys as the configuration says, and removes what expired long ago.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn maintain(&self, now_ms: i64, entropy: &mut Entropy) -> Result<(), StoreError> {
        self.ring.maintain(&*self.store, &self.config, now_ms, entropy)?;
        self.make_proof_key(entropy)?;
        codes::sweep(&*self.store, now_ms)?;
        let ttl_ms = i64::from(self.config.refresh_ttl_days) * MS_PER_DAY;
        refresh::sweep(&*self.store, self.epoch, ttl_ms, now_ms)
    }

    /// Replaces the signing key now, whatever its age; with `distrust`, the old ones stop verifying at once too (a leak), and the proof key
    /// goes with them. Returns the names of the keys that are distrusted.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn rotate_keys(
        &self,
        now_ms: i64,
        entropy: &mut Entropy,
        distrust: bool,
    ) -> Result<Vec<Kid>, StoreError> {
        let mut distrusted = Vec::new();
        if distrust {
            distrusted = keys::kids(&*self.store)?;
            distrusted.extend(self.proof_kid()?);
            for kid in &distrusted {
                self.bury(Tombstone::Key(*kid), now_ms)?;
            }
            self.replace_proof_key(entropy)?;
        }
        self.ring.rotate(&*self.store, &self.config, now_ms, entropy, distrust)?;
        Ok(distrusted)
    }

    /// Ends again what ended after the backup: of all tombstones those that sign-in owns.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn end_again(&self, stone: Tombstone, now_ms: i64) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        match stone {
            Tombstone::Code(id) => batch.delete(codes::row_key(id)),
            Tombstone::Key(kid) => {
                if self.proof_kid()? == Some(kid) {
                    batch.delete(proof::PROOF_KEY);
                }
                keys::plan_forget(&*self.store, &mut batch, kid)?
            }
            Tombstone::SignIn(device, family) => return self.end_sign_in(device, family, now_ms),
            Tombstone::Device { .. } | Tombstone::User { .. } | Tombstone::IntakeKey(_) => return Ok(()),
        };
        self.store.commit_one(batch).map(|_| ())
    }

    fn bury(&self, stone: Tombstone, now_ms: i64) -> Result<(), StoreError> {
        self.tombstones.as_ref().map_or(Ok(()), |tombstones| tombstones.bury(stone, now_ms))
    }
}

/// Fresh bytes for one act, expanded from 32 that the caller drew.
pub struct Entropy {
    seed: [u8; 32],
    drawn: u32,
}

impl Entropy {
    /// Expands `seed`. Two values from one seed draw the same bytes.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// From the operating system.
    pub fn from_system() -> Self {
        Self::new(rand::random())
    }

    /// The next `N` bytes, 32 at the most.
    pub fn draw<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= 32) };
        let mut hash = Sha256::new();
        hash.update(b"fieldbook/entropy/1");
        hash.update(self.seed);
        hash.update(self.drawn.to_be_bytes());
        self.drawn += 1;
        let mut bytes = [0u8; N];
        bytes.copy_from_slice(&hash.finalize()[..N]);
        bytes
    }

    /// A fresh device.
    pub fn device(&mut self) -> DeviceId {
        DeviceId(self.draw())
    }

    /// A fresh user.
    pub fn user(&mut self) -> UserId {
        UserId(self.draw())
    }
}

/// Hash under which a secret is kept: plain SHA-256 with a purpose, enough for secrets of 80 random bits and more.
fn hash_of(purpose: &str, secret: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"fieldbook/");
    hash.update(purpose);
    hash.update([0]);
    hash.update(secret);
    hash.finalize().into()
}

/// Decodes a row of ours.
fn decode_row<'b, T: minicbor::Decode<'b, ()>>(what: &str, bytes: &'b [u8]) -> Result<T, StoreError> {
    minicbor::decode(bytes).map_err(|e| StoreError::Damaged(format!("a row of {what}: {e}")))
}

/// Encodes a row of ours.
fn encode_row<T: minicbor::Encode<()>>(row: &T) -> Vec<u8> {
    // Encoding into memory has no way to fail.
    minicbor::to_vec(row).unwrap_or_default()
}

const MS_PER_S: i64 = 1_000;
const MS_PER_HOUR: i64 = 3_600 * MS_PER_S;
const MS_PER_DAY: i64 = 24 * MS_PER_HOUR;
/// Times that a guarded write is decided again when another process was faster.
const RETRIES_MAX: usize = 8;
/// Rows that one round of sweeping looks at.
const SWEEP_MAX_ROWS: usize = 1_024;
