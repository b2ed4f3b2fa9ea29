//! The plain first sector of an encrypted file, and the keys that it and the app's key make together.

use fieldbook_core::store::StoreError;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{SaltEntropy, StoreKey};
use crate::record::checksum;

/// Length of the plain head, bytes: a sector, so that what follows stays aligned.
pub(super) const HEAD_BYTES: usize = 4_096;

/// What the head of one file and the app's key give.
pub(super) struct Head {
    /// The length of the journal, bytes.
    pub(super) journal_bytes: u32,
    pub(super) keys: Keys,
}

/// The keys of one file.
pub(super) struct Keys {
    /// The two keys of XTS.
    pub(super) data: [u8; 32],
    pub(super) tweak: [u8; 32],
    check: [u8; 32],
}

/// The head of a new file whose journal has this length.
pub(super) fn write(key: &StoreKey, salt: SaltEntropy, journal_bytes: u32) -> (Vec<u8>, Keys) {
    let keys = derive(key, &salt);
    let mut head = Vec::with_capacity(HEAD_BYTES);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&VERSION.to_be_bytes());
    head.extend_from_slice(&salt);
    head.extend_from_slice(&journal_bytes.to_be_bytes());
    let check = mac(&keys.check, &[&head]);
    head.extend_from_slice(&check);
    head.extend_from_slice(&checksum(MAGIC, &head).to_be_bytes());
    head.resize(HEAD_BYTES, 0);
    (head, keys)
}

/// The head of a file, when the app's key is the right one.
pub(super) fn read(head: &[u8], key: &StoreKey) -> Result<Head, StoreError> {
    let damaged = || StoreError::Damaged("the head of the encrypted file".into());
    let (body, rest) = head.split_at_checked(CHECK_AT + 32).ok_or_else(damaged)?;
    // A newer version may lay out what follows the version as it likes, so the version is looked at first.
    if !body.starts_with(MAGIC) {
        return Err(damaged());
    }
    let version = body[MAGIC.len()..SALT_AT].try_into().map(u32::from_be_bytes).map_err(|_| damaged())?;
    if version > VERSION {
        return Err(StoreError::TooNew { found: version, known: VERSION });
    }
    if version == BEFORE_THE_JOURNAL {
        return Err(StoreError::Damaged(
            "the encrypted file is of a format from before the first release".into(),
        ));
    }
    if !rest.starts_with(&checksum(MAGIC, body).to_be_bytes()) || version != VERSION {
        return Err(damaged());
    }
    let salt: SaltEntropy = body[SALT_AT..JOURNAL_AT].try_into().map_err(|_| damaged())?;
    let journal_bytes =
        body[JOURNAL_AT..CHECK_AT].try_into().map(u32::from_be_bytes).map_err(|_| damaged())?;
    let keys = derive(key, &salt);
    let mut check = keyed(&keys.check);
    check.update(&body[..CHECK_AT]);
    check.verify_slice(&body[CHECK_AT..]).map_err(|_| StoreError::WrongKey)?;
    Ok(Head { journal_bytes, keys })
}

/// HKDF-SHA-256 (RFC 5869): extract with the salt, expand to three keys of 32 bytes.
fn derive(key: &StoreKey, salt: &SaltEntropy) -> Keys {
    let prk = mac(salt, &[&key.0]);
    let data = mac(&prk, &[INFO, &[1]]);
    let tweak = mac(&prk, &[&data, INFO, &[2]]);
    let check = mac(&prk, &[&tweak, INFO, &[3]]);
    Keys { data, tweak, check }
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    // A key shorter than SHA-256's block of 64 bytes is padded with zeros: HMAC of 32 bytes has no way to fail.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    Hmac::<Sha256>::new(&block.into())
}

const MAGIC: &[u8] = b"FBSECURE";
const VERSION: u32 = 2;
/// A file without a journal, which no installation ever had.
const BEFORE_THE_JOURNAL: u32 = 1;
const SALT_AT: usize = 12;
const JOURNAL_AT: usize = SALT_AT + 32;
const CHECK_AT: usize = JOURNAL_AT + 4;
const INFO: &[u8] = b"fieldbook store v1 aes-256-xts";
