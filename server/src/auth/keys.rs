//! Signing keys: created, rotated, trusted for as long as a token of theirs can live, then removed.
//!
//! Keys are rows of the store, so that several server nodes sign and verify alike; the store's folder is its owner's alone.
//! The algorithm is a property of the key, never of the token: whoever presents a token under a `kid` is held to the algorithm
//! that this key was created with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use fieldbook_core::store::{Batch, Direction, Outcome, Range, Store, StoreError};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use minicbor::{Decode, Encode};

use super::{Entropy, MS_PER_DAY, MS_PER_S, RETRIES_MAX, crypto, decode_row, encode_row};
use crate::config::{AuthConfig, KeyAlgorithm};

/// Names a signing key in a token's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kid(pub [u8; 8]);

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Kid {
    /// Reads a `kid` header; `None` for one that we never gave.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0u8; 8];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    fn row_key(self) -> Vec<u8> {
        [KEY_PREFIX, &self.0[..]].concat()
    }
}

/// A key that tokens are signed and verified with.
pub(super) struct SigningKey {
    pub kid: Kid,
    pub algorithm: Algorithm,
    pub encoding: EncodingKey,
    pub decoding: DecodingKey,
    created_ms: i64,
    /// Set when the key no longer signs: until when it verifies.
    verifies_until_ms: Option<i64>,
}

impl SigningKey {
    pub fn verifies_at(&self, now_ms: i64) -> bool {
        self.verifies_until_ms.is_none_or(|until| now_ms < until)
    }
}

#[derive(Encode, Decode)]
struct KeyRow {
    /// 0: EdDSA, 1: HS256.
    #[n(0)]
    algorithm: u8,
    #[cbor(n(1), with = "minicbor::bytes")]
    secret: Vec<u8>,
    #[n(2)]
    created_ms: i64,
    #[n(3)]
    verifies_until_ms: Option<i64>,
}

/// The keys that this process knows, a copy of the store's rows.
#[derive(Default)]
pub(super) struct KeyRing {
    state: RwLock<RingState>,
}

#[derive(Default)]
struct RingState {
    keys: BTreeMap<Kid, Arc<SigningKey>>,
    current: Option<Kid>,
    loaded_ms: i64,
}

impl RingState {
    fn is_fresh(&self, now_ms: i64) -> bool {
        (now_ms - self.loaded_ms).abs() < RELOAD_MS
    }

    fn fresh_current(&self, now_ms: i64) -> Option<Arc<SigningKey>> {
        self.current.filter(|_| self.is_fresh(now_ms)).and_then(|kid| self.keys.get(&kid).cloned())
    }
}

impl KeyRing {
    /// The key that signs now. Another node may have rotated: what is older than [`RELOAD_MS`] is read again.
    pub fn signing(&self, store: &dyn Store, now_ms: i64) -> Result<Arc<SigningKey>, StoreError> {
        if let Some(key) = self.state().fresh_current(now_ms) {
            return Ok(key);
        }
        self.load(store, now_ms)?;
        let key = self.state().fresh_current(now_ms);
        key.ok_or_else(|| StoreError::Damaged("there is no signing key; sign-in was not maintained".into()))
    }

    /// The key of this name, if it still verifies. One that this process has not heard of is looked up once.
    pub fn verifying(
        &self,
        store: &dyn Store,
        kid: Kid,
        now_ms: i64,
    ) -> Result<Option<Arc<SigningKey>>, StoreError> {
        if !self.state().is_fresh(now_ms) {
            self.load(store, now_ms)?;
        }
        let known = self.state().keys.get(&kid).cloned();
        let key = match known {
            Some(key) => Some(key),
            None => store.get(&kid.row_key())?.map(|row| open(kid, &row)).transpose()?.map(Arc::new),
        };
        Ok(key.filter(|key| key.verifies_at(now_ms)))
    }

    /// Makes sure that a key signs that is young enough and of the configured algorithm, and removes keys that no longer verify.
    pub fn maintain(
        &self,
        store: &dyn Store,
        config: &AuthConfig,
        now_ms: i64,
        entropy: &mut Entropy,
    ) -> Result<(), StoreError> {
        self.load(store, now_ms)?;
        let (current, dead) = {
            let state = self.state();
            let dead: Vec<Kid> =
                state.keys.values().filter(|k| !k.verifies_at(now_ms)).map(|k| k.kid).collect();
            (state.current.and_then(|kid| state.keys.get(&kid).cloned()), dead)
        };
        if !dead.is_empty() {
            let mut batch = Batch::new();
            for kid in dead {
                batch.delete(kid.row_key());
            }
            store.commit_one(batch)?;
        }
        let good = current.is_some_and(|key| {
            let age_ms = now_ms - key.created_ms;
            age_ms < i64::from(config.key_rotate_days) * MS_PER_DAY
                && key.algorithm == algorithm(config.algorithm)
        });
        if good { Ok(()) } else { self.rotate(store, config, now_ms, entropy, false) }
    }

    /// Puts a fresh key in the place of the current one. When another process does the same at the same moment, one of the two
    /// wins and both use it, unless the old ones are to be distrusted: that is tried again until it is done.
    pub fn rotate(
        &self,
        store: &dyn Store,
        config: &AuthConfig,
        now_ms: i64,
        entropy: &mut Entropy,
        distrust: bool,
    ) -> Result<(), StoreError> {
        for _ in 0..RETRIES_MAX {
            if let Outcome::Done(_) =
                store.commit_one(plan_rotation(store, config, now_ms, entropy, distrust)?)?
            {
                return self.load(store, now_ms);
            }
            tracing::info!("another process rotated the signing key in the same moment");
            if !distrust {
                return self.load(store, now_ms);
            }
        }
        Err(StoreError::Io("the signing keys changed faster than they could be read".into()))
    }

    fn state(&self) -> RwLockReadGuard<'_, RingState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self, store: &dyn Store, now_ms: i64) -> Result<(), StoreError> {
        let (values, mut pages) = store.read(&[CURRENT_KEY], &[(Range::prefix(KEY_PREFIX), KEYS_MAX)])?;
        let mut keys = BTreeMap::new();
        for (key, row) in pages.pop().unwrap_or_default() {
            let kid = named(&key)?;
            keys.insert(kid, Arc::new(open(kid, &row)?));
        }
        let current = values.into_iter().next().flatten().and_then(|v| v.as_slice().try_into().ok()).map(Kid);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) =
            RingState { keys, current, loaded_ms: now_ms };
        Ok(())
    }
}

fn plan_rotation(
    store: &dyn Store,
    config: &AuthConfig,
    now_ms: i64,
    entropy: &mut Entropy,
    distrust: bool,
) -> Result<Batch, StoreError> {
    let before = store.get(CURRENT_KEY)?;
    let kid = Kid(entropy.draw());
    let row = KeyRow {
        algorithm: config.algorithm as u8,
        secret: entropy.draw::<32>().to_vec(),
        created_ms: now_ms,
        verifies_until_ms: None,
    };
    // The last token of an old key may be signed by a node that has not reloaded yet.
    let last_token_ms = i64::from(config.access_ttl_s + config.leeway_s) * MS_PER_S + 2 * RELOAD_MS;
    let until_ms = if distrust { now_ms } else { now_ms + last_token_ms };
    let mut batch = Batch::new();
    batch.guard(CURRENT_KEY, before).put(CURRENT_KEY, kid.0.to_vec()).put(kid.row_key(), encode_row(&row));
    for (key, value) in store.scan(&Range::prefix(KEY_PREFIX), Direction::Forward, KEYS_MAX)? {
        let mut old: KeyRow = decode_row("signing keys", &value)?;
        if old.verifies_until_ms.is_none_or(|old_until| old_until > until_ms) {
            old.verifies_until_ms = Some(until_ms);
            batch.put(key, encode_row(&old));
        }
    }
    Ok(batch)
}

/// The names of all keys that the store has.
pub(super) fn kids(store: &dyn Store) -> Result<Vec<Kid>, StoreError> {
    let rows = store.scan(&Range::prefix(KEY_PREFIX), Direction::Forward, KEYS_MAX)?;
    rows.iter().map(|(key, _)| named(key)).collect()
}

/// Plans the removal of a key; when it was the current one, the next maintenance makes another.
pub(super) fn plan_forget<'a>(
    store: &dyn Store,
    batch: &'a mut Batch,
    kid: Kid,
) -> Result<&'a mut Batch, StoreError> {
    if store.get(CURRENT_KEY)?.is_some_and(|current| current == kid.0) {
        batch.delete(CURRENT_KEY);
    }
    Ok(batch.delete(kid.row_key()))
}

fn named(key: &[u8]) -> Result<Kid, StoreError> {
    let kid = key[KEY_PREFIX.len()..].try_into().map(Kid);
    kid.map_err(|_| StoreError::Damaged("a signing key has a name of the wrong length".into()))
}

fn open(kid: Kid, row: &[u8]) -> Result<SigningKey, StoreError> {
    let row: KeyRow = decode_row("signing keys", row)?;
    let damaged = || StoreError::Damaged(format!("signing key {kid} is none of ours"));
    let (algorithm, encoding, decoding) = match row.algorithm {
        0 => {
            let public = crypto::ed25519_public(&row.secret).ok_or_else(damaged)?;
            (Algorithm::EdDSA, EncodingKey::from_ed_der(&row.secret), DecodingKey::from_ed_der(&public))
        }
        1 => (Algorithm::HS256, EncodingKey::from_secret(&row.secret), DecodingKey::from_secret(&row.secret)),
        _ => return Err(damaged()),
    };
    let KeyRow { created_ms, verifies_until_ms, .. } = row;
    Ok(SigningKey { kid, algorithm, encoding, decoding, created_ms, verifies_until_ms })
}

fn algorithm(configured: KeyAlgorithm) -> Algorithm {
    match configured {
        KeyAlgorithm::EdDsa => Algorithm::EdDSA,
        KeyAlgorithm::Hs256 => Algorithm::HS256,
    }
}

const KEY_PREFIX: &[u8] = b"auth/key/";
const CURRENT_KEY: &[u8] = b"auth/current-key";
/// A node notices within this time that another one rotated.
pub(super) const RELOAD_MS: i64 = 60 * MS_PER_S;
/// Keys at a time: one signs, and those of the last hour verify. Rotating every minute for an hour stays below.
const KEYS_MAX: usize = 256;
