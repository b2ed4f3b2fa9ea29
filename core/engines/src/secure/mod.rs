//! [`SecureStore`]: the phone's store, a redb file of which nothing is readable without the app's 32-byte key.
//!
//! # Why AES-256-XTS, and not an AEAD a page
//! redb rewrites its header in place and survives that the power goes in the middle: it keeps two commit slots with
//! checksums, and a byte that says which counts. That reasoning needs a write that is torn at a disk sector to hurt only
//! what was torn. An AEAD page that is torn does not open at all: a torn header would take the whole store with it. It also
//! needs room for tags and nonces, so a page is no longer a page and a write touches two sectors. XTS keeps lengths, and a
//! block of 16 bytes depends on no other block, so redb's copy-on-write and checksums go on to deal with torn writes.
//!
//! # What that gives up
//! XTS hides content; it does not authenticate. Who can write to the phone's disk can put an older version of a block
//! back, or scramble one. redb's page checksums (after a kill) and the rows' own (at every read) turn a scramble into
//! [`StoreError::Damaged`]; neither stops somebody who holds the key. Who sees the disk twice sees which blocks changed,
//! and which were never written.
//!
//! # The file
//! One plain sector of 4,096 bytes, written once and never again: `FBSECURE`, the version (4 bytes, big-endian), a salt of
//! 32 bytes, the length of the journal (4 bytes, big-endian), an HMAC over these that only the right key makes, and a CRC-32 that tells
//! damage from a wrong key. Then the journal, a small commit's place until the next checkpoint, of fixed length so that appending to
//! it changes nothing but its bytes. Then redb's bytes. Both are encrypted sector by sector; the tweak is the sector's number, counted in
//! redb's part from 0 and in the journal from 2^63. An all-zero block of 16 bytes stands for zeros: it is what a file that grew holds.
//!
//! # Keys
//! HKDF-SHA-256 over (salt, app key) gives the two XTS keys and the key of the HMAC. The app keeps its key in the
//! platform's key store; the salt must be fresh random bytes for each new file, which the caller draws (no engine draws
//! its own randomness).

use std::fs::File;
use std::path::Path;

use fieldbook_core::store::{Batch, Direction, Outcome, Position, Range, Row, Store, StoreError};

use crate::redb_store::{Parts, backup_to};
use crate::{Dump, Maintenance, RedbOptions, RedbStore, StorageBackend};

mod cipher;
mod head;
mod sealed;
mod xts;

pub use sealed::SealedFile;
pub use xts::XtsBackend;

/// The key that the app keeps in the platform's key store.
#[derive(Clone)]
pub struct StoreKey(pub [u8; 32]);

impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

/// Entropy for the salt of a file that is created; unused when the file exists.
pub type SaltEntropy = [u8; 32];

/// How an encrypted store is opened.
#[derive(Debug, Clone)]
pub struct SecureOptions {
    /// As for a plain store.
    pub redb: RedbOptions,
    /// The journal's length in a file that is created, bytes; a file that exists keeps its own.
    pub journal_bytes: u32,
}

impl Default for SecureOptions {
    fn default() -> Self {
        let redb = RedbOptions { cache_bytes: PHONE_CACHE_BYTES, ..RedbOptions::default() };
        Self { redb, journal_bytes: PHONE_JOURNAL_BYTES }
    }
}

/// An encrypted store in one file, with a journal in front of redb.
#[derive(Debug)]
pub struct SecureStore {
    inner: RedbStore,
    key: StoreKey,
}

impl SecureStore {
    /// Opens or creates the store at `path` with the phone's usual options.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`], [`StoreError::TooNew`] for a file of a newer version; otherwise as [`RedbStore::open`].
    pub fn open(path: impl AsRef<Path>, key: &StoreKey, salt: SaltEntropy) -> Result<Self, StoreError> {
        Self::open_with(path, key, salt, &SecureOptions::default())
    }

    /// Opens or creates the store at `path`.
    ///
    /// # Errors
    /// As [`SecureStore::open`].
    pub fn open_with(
        path: impl AsRef<Path>,
        key: &StoreKey,
        salt: SaltEntropy,
        options: &SecureOptions,
    ) -> Result<Self, StoreError> {
        let (of_file, journal_bytes) = (key.clone(), options.journal_bytes);
        let parts = move |file: File| {
            let plain = redb::backends::FileBackend::new(file).map_err(|e| StoreError::Io(e.to_string()))?;
            parts(plain, &of_file, salt, journal_bytes)
        };
        let inner = RedbStore::open_as(path.as_ref(), &options.redb, parts)?;
        Ok(Self { inner, key: key.clone() })
    }

    /// Opens or creates a store on a backend; its owner sees to locking. There is no mark file, and it cannot be scrubbed.
    ///
    /// # Errors
    /// As [`SecureStore::open`].
    pub fn with_backend(
        backend: impl StorageBackend,
        key: &StoreKey,
        salt: SaltEntropy,
        options: &SecureOptions,
    ) -> Result<Self, StoreError> {
        let parts = parts(backend, key, salt, options.journal_bytes)?;
        Ok(Self { inner: RedbStore::with_parts(parts, &options.redb)?, key: key.clone() })
    }

    /// Copies the running store, as of one instant, into a fresh file under the same key.
    ///
    /// # Errors
    /// As [`RedbStore::backup`].
    pub fn backup(&self, to: impl AsRef<Path>, salt: SaltEntropy) -> Result<(), StoreError> {
        backup_to(self, to.as_ref(), |fresh| Ok(Self::open(fresh, &self.key, salt)?.inner))
    }

    /// As [`RedbStore::maintain`].
    ///
    /// # Errors
    /// As there.
    pub fn maintain(&self) -> Result<Maintenance, StoreError> {
        self.inner.maintain()
    }

    /// As [`RedbStore::rewrite`]: after documents left the phone, so that no page that was freed keeps their words.
    ///
    /// # Errors
    /// As there.
    pub fn scrub(&self) -> Result<(), StoreError> {
        self.inner.rewrite()
    }

    /// As [`RedbStore::settle`]: for the moment when the app goes to the background.
    ///
    /// # Errors
    /// As there.
    pub fn settle(&self) -> Result<(), StoreError> {
        self.inner.settle()
    }

    /// As [`RedbStore::file_bytes`].
    ///
    /// # Errors
    /// As there.
    pub fn file_bytes(&self) -> Result<u64, StoreError> {
        self.inner.file_bytes()
    }

    /// As [`RedbStore::close`].
    ///
    /// # Errors
    /// As there.
    pub fn close(&self) -> Result<(), StoreError> {
        self.inner.close()
    }

    /// Removes a closed store with all that accompanies it.
    ///
    /// # Errors
    /// As [`RedbStore::remove`].
    pub fn remove(path: impl AsRef<Path>) -> Result<(), StoreError> {
        RedbStore::remove(path)
    }
}

fn parts<B: StorageBackend>(
    plain: B,
    key: &StoreKey,
    salt: SaltEntropy,
    journal_bytes: u32,
) -> Result<Parts<XtsBackend<B>>, StoreError> {
    let file = SealedFile::open(plain, key, salt, journal_bytes)?;
    Ok(Parts { pages: file.pages, journal: Some(Box::new(file.journal)) })
}

impl Dump for SecureStore {
    fn dump(&self, visit: &mut dyn FnMut(Row) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.inner.dump(visit)
    }
}

impl Store for SecureStore {
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.inner.get_many(keys)
    }
    fn scan(&self, range: &Range, direction: Direction, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.inner.scan(range, direction, limit)
    }
    fn commit(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError> {
        self.inner.commit(batches)
    }
    fn head(&self) -> Result<Position, StoreError> {
        self.inner.head()
    }
    fn read(
        &self,
        keys: &[&[u8]],
        ranges: &[(Range, usize)],
    ) -> Result<(Vec<Option<Vec<u8>>>, Vec<Vec<Row>>), StoreError> {
        self.inner.read(keys, ranges)
    }
}

/// A phone's store of 10,000 leads is some 60 MB, of which a day touches a tenth.
const PHONE_CACHE_BYTES: usize = 16 << 20;

/// At least 128 commits a lap, an edit being one page: the cost of a checkpoint, which grows slower than the number of its commits, is spread
/// thin by then. All of it stands in memory before a checkpoint, and is read at an open after a kill.
const PHONE_JOURNAL_BYTES: u32 = 512 << 10;

#[cfg(test)]
mod tests;
