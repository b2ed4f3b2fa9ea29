//! The key under which refresh tokens prove themselves after a restore: one row of the store, and so of every backup. It is made when
//! there is none, and replaced when the signing keys are distrusted: whoever read those may have read it too.

use fieldbook_core::store::{Batch, Outcome, StoreError};
use minicbor::{Decode, Encode};
use ring::hmac;

use super::keys::Kid;
use super::{Auth, Entropy, decode_row, encode_row};

/// HMAC-SHA-256; ring compares in constant time.
pub(super) struct ProofKey(hmac::Key);

impl ProofKey {
    /// The MAC of a message.
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = [0; 32];
        mac.copy_from_slice(hmac::sign(&self.0, message).as_ref());
        mac
    }

    /// Whether this MAC was made with this key.
    pub fn verifies(&self, message: &[u8], mac: &[u8; 32]) -> bool {
        hmac::verify(&self.0, message, mac).is_ok()
    }
}

#[derive(Encode, Decode)]
struct ProofRow {
    /// Names it in a tombstone.
    #[cbor(n(0), with = "minicbor::bytes")]
    kid: [u8; 8],
    #[cbor(n(1), with = "minicbor::bytes")]
    secret: [u8; 32],
}

impl Auth {
    /// The key of now.
    pub(super) fn proof_key(&self) -> Result<ProofKey, StoreError> {
        let row = self.store.get(PROOF_KEY)?;
        let row = row
            .ok_or_else(|| StoreError::Damaged("there is no proof key; sign-in was not maintained".into()))?;
        let row: ProofRow = decode_row("the proof key", &row)?;
        Ok(ProofKey(hmac::Key::new(hmac::HMAC_SHA256, &row.secret)))
    }

    /// Its name.
    pub(super) fn proof_kid(&self) -> Result<Option<Kid>, StoreError> {
        let row = self.store.get(PROOF_KEY)?;
        row.map(|row| decode_row("the proof key", &row).map(|row: ProofRow| Kid(row.kid))).transpose()
    }

    /// Makes a key when there is none. When another process does the same at the same moment, one of the two wins.
    pub(super) fn make_proof_key(&self, entropy: &mut Entropy) -> Result<(), StoreError> {
        if self.store.get(PROOF_KEY)?.is_none() {
            self.put_proof_key(None, entropy)?;
        }
        Ok(())
    }

    /// Puts a fresh key in the place of the present one. Tokens that are out prove nothing after a restore until they are used once.
    pub(super) fn replace_proof_key(&self, entropy: &mut Entropy) -> Result<(), StoreError> {
        let old = self.store.get(PROOF_KEY)?;
        self.put_proof_key(old, entropy)
    }

    fn put_proof_key(&self, old: Option<Vec<u8>>, entropy: &mut Entropy) -> Result<(), StoreError> {
        let row = ProofRow { kid: entropy.draw(), secret: entropy.draw() };
        let mut batch = Batch::new();
        batch.guard(PROOF_KEY, old).put(PROOF_KEY, encode_row(&row));
        if let Outcome::Conflict(_) = self.store.commit_one(batch)? {
            tracing::info!("another process made the proof key in the same moment");
        }
        Ok(())
    }
}

pub(super) const PROOF_KEY: &[u8] = b"auth/proof-key";
