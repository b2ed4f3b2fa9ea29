//! fieldbook-engines: the engines that keep the storage contract of `fieldbook_core::store` (design decision 11).
//!
//! | Engine | For | Opens with |
//! |---|---|---|
//! | [`RedbStore`] | the engine of record on the server | [`RedbStore::open`] |
//! | [`SecureStore`] | the phone: redb behind a journal, in an encrypted file | [`SecureStore::open`] |
//! | [`SledStore`] | the server, where grouped writes count more than disk | [`SledStore::open`] |
//! | [`faults::FaultyStore`] | the simulator: a model that fails on purpose | [`faults::FaultyStore::new`] |
//!
//! Writers go through one [`Committer`], which groups what many callers want into one flush.
//!
//! # Errors, the same for every engine
//! * [`StoreError::InUse`]: another handle, in this process or another, holds the store (a lock file beside it).
//! * [`StoreError::Io`]: the disk refused. After the first commit that failed every further commit is refused with the
//!   same error until the store is opened again: what the failed one left is unknown.
//! * [`StoreError::Damaged`]: what is on the disk is not what was written: a checksum that does not fit, an engine that
//!   panicked on its own file, or a store that holds less than what was acknowledged (its mark file knows, see
//!   [`RedbOptions::accept_rollback`]). An engine's panic never reaches the caller.
//! * [`StoreError::OutOfBounds`]: refused before anything was written; the store goes on.
//!
//! Refuses: any knowledge of documents, of the feed, of jobs. Rows are bytes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fieldbook_core::store::{Batch, HEAD_KEY, Row, Store, StoreError};

mod committer;
pub mod conformance;
mod draft;
pub mod faults;
mod journal;
mod lock;
mod mark;
mod merge;
mod record;
mod redb_store;
mod secure;
mod sled_store;

pub use committer::{Committer, CommitterOptions, Done, Refused};
/// The trait under [`RedbStore::with_backend`], and redb's own backend in memory.
pub use redb::{StorageBackend, backends::InMemoryBackend};
pub use redb_store::{Maintenance, RedbOptions, RedbStore};
pub use secure::{SaltEntropy, SealedFile, SecureOptions, SecureStore, StoreKey, XtsBackend};
pub use sled_store::{SledOptions, SledStore};

/// Every row of one instant, [`HEAD_KEY`] included, in key order: what a backup holds.
pub trait Dump {
    /// Calls `visit` for each row and stops at its first error.
    ///
    /// # Errors
    /// What `visit` answers; [`StoreError::Io`] or [`StoreError::Damaged`].
    fn dump(&self, visit: &mut dyn FnMut(Row) -> Result<(), StoreError>) -> Result<(), StoreError>;
}

/// Copies every row of one instant into another store, positions included; `to` should be empty. A backup is such a copy
/// in a fresh redb file, whatever the engine; restoring is copying it back, or opening it as it is.
///
/// # Errors
/// Those of either store. After an error `to` holds a part and must be thrown away.
pub fn copy_rows(from: &dyn Dump, to: &dyn Store) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    from.dump(&mut |(key, value)| {
        batch.put(key, value);
        if batch.bytes() >= COPY_BATCH_BYTES || batch.writes.len() >= COPY_BATCH_ROWS {
            to.commit_one(std::mem::take(&mut batch))?;
        }
        Ok(())
    })?;
    to.commit_one(batch).map(|_| ())
}

/// Rows that belong to the engine and no scan shows: the last position, how many commits the store has seen, and the
/// number that ties it to its mark file.
const HIDDEN: [&[u8]; 3] = [HEAD_KEY, COMMITS_KEY, STORE_ID_KEY];
const COMMITS_KEY: &[u8] = b"!commits";
const STORE_ID_KEY: &[u8] = b"!store";

/// A copy writes this much in one commit: large enough that flushes do not count, small beside a phone's memory.
const COPY_BATCH_BYTES: usize = 4 << 20;
const COPY_BATCH_ROWS: usize = 16_384;

/// A lock whose holder panicked guards nothing that is half done: whatever it protects is checked elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn io_error(doing: &str, error: &std::io::Error) -> StoreError {
    StoreError::Io(format!("{doing}: {error}"))
}

/// Runs an engine on its own file; a panic in it means that it does not understand what it reads.
fn contain<T>(engine: &str, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<&str>().map(ToString::to_string);
        let words = words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(StoreError::Damaged(format!("{engine} stopped on its own file: {words}")))
    })
}

fn be_u64(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}
