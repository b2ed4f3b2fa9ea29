//! A redb store's upkeep while it runs: backup, compaction, and an orderly state before the phone may kill the app.

use std::fs::File;
use std::path::Path;
use std::sync::PoisonError;

use fieldbook_core::store::{HEAD_KEY, Row, StoreError};
use redb::Database;

use super::{Place, RedbOptions, RedbStore, Turn, closed, rows};
use crate::draft::Rows;
use crate::lock::{install, lay, sync_folder_of};
use crate::{COMMITS_KEY, Dump, STORE_ID_KEY, contain, copy_rows, io_error, lock};

/// What [`RedbStore::maintain`] found and did; bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maintenance {
    /// The file's length before.
    pub file_bytes: u64,
    /// Keys and values in it.
    pub live_bytes: u64,
    /// The file's length after, when it was compacted.
    pub compacted_to_bytes: Option<u64>,
}

impl RedbStore {
    /// Copies the running store, as of one instant, into a fresh file at `to`, which [`RedbStore::open`] opens. Readers and
    /// writers go on meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Io`] when `to` exists or the disk refuses; [`StoreError::Damaged`].
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<(), StoreError> {
        backup_to(self, to.as_ref(), |fresh| RedbStore::open(fresh, &RedbOptions::default()))
    }

    /// Compacts the file when it exceeds twice what lives in it. Walks the whole table, and holds readers and writers up
    /// while it compacts: a nightly job, or the phone's charger.
    ///
    /// # Errors
    /// As [`RedbStore::compact`].
    pub fn maintain(&self) -> Result<Maintenance, StoreError> {
        self.exclusively(|db, turn| self.empty_journal(db, turn))?;
        let (live_bytes, in_use_bytes) = self.measure()?;
        let file_bytes = self.file_bytes()?;
        // Compaction moves pages, it does not fill them: what it cannot gain is not tried again every night.
        let worth = file_bytes > 2 * live_bytes + SLACK_BYTES && file_bytes > in_use_bytes + in_use_bytes / 4;
        let compacted_to_bytes = match worth {
            true => {
                self.compact()?;
                Some(self.file_bytes()?)
            }
            false => None,
        };
        Ok(Maintenance { file_bytes, live_bytes, compacted_to_bytes })
    }

    /// Compacts the file now; answers whether anything moved.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Damaged`]; the store then refuses to write until it is opened again.
    pub fn compact(&self) -> Result<bool, StoreError> {
        self.exclusively(|db, _| db.compact().map_err(rows::broken))
    }

    /// Writes what lives into a fresh file that takes the place of this one, so that nothing is left of rows that were removed: redb leaves
    /// their bytes in pages that it has freed, and compacting moves pages without emptying those that stay free. Holds readers and writers
    /// up meanwhile, and needs room for what lives once more. A process that dies over it finds the old file or the new one.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Damaged`]. The store goes on as it was, unless the new file is in place already: then it refuses
    /// to write until it is opened again.
    pub fn rewrite(&self) -> Result<(), StoreError> {
        let (Place::Path(path), Some(opener)) = (&self.place, &self.opener) else {
            return Err(StoreError::Io("only a store in a file of its own can be written anew".into()));
        };
        let mut turn = lock(&self.turn);
        if let Some(error) = &turn.failed {
            return Err(error.clone());
        }
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        let old = db.as_ref().ok_or_else(closed)?;
        // Into the old file, of which only the rows are taken: nothing that ever stood in its journal comes along.
        contain("redb", || self.empty_journal(old, &mut turn))
            .inspect_err(|error| turn.failed = Some(error.clone()))?;
        lay(path, |fresh| {
            contain("redb", || {
                let copy = super::create(fresh, opener)?;
                rows::copy(old, &copy)?;
                copy.close().map_err(rows::broken)
            })
        })?;
        // The old file has no name any more; what its database still does to it concerns nobody.
        drop(db.take());
        let opened = File::options().read(true).write(true).open(path);
        let opened = opened.map_err(|e| io_error("the store", &e)).and_then(opener);
        let opened = opened.inspect_err(|error| turn.failed = Some(error.clone()))?;
        (*db, turn.journal) = (Some(opened.db), opened.journal);
        // Until the folder is durable a power cut may bring the old file back: what is written now would be missing in it.
        sync_folder_of(path).inspect_err(|error| turn.failed = Some(error.clone()))
    }

    /// Leaves the file in a state from which an open after a kill need not walk the whole store, at the price of one
    /// commit (two flushes): for the moment when the app goes to the background. The next commit ends that state.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Damaged`]; the store then refuses to write until it is opened again.
    pub fn settle(&self) -> Result<(), StoreError> {
        self.exclusively(|db, turn| match &mut turn.journal {
            Some(journal) => self.checkpoint(db, journal, rows::Kind::Settled),
            None => rows::store(db, &Rows::new(), rows::Kind::Settled),
        })
    }

    /// The length of the file, bytes.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn file_bytes(&self) -> Result<u64, StoreError> {
        match &self.place {
            Place::Path(path) => std::fs::metadata(path).map(|m| m.len()),
            Place::Backend(backend) => backend.len(),
        }
        .map_err(|e| io_error("the store's length", &e))
    }

    /// Bytes of keys and values, and bytes of pages that hold anything.
    fn measure(&self) -> Result<(u64, u64), StoreError> {
        let _turn = lock(&self.turn);
        self.with_db(|db| {
            let txn = db.begin_write().map_err(rows::broken)?;
            let stats = txn.stats().map_err(rows::broken)?;
            txn.abort().map_err(rows::broken)?;
            Ok((stats.stored_bytes(), stats.allocated_pages() * stats.page_size() as u64))
        })
    }

    /// Runs `work` with no reader and no writer about.
    fn exclusively<T>(
        &self,
        work: impl FnOnce(&mut Database, &mut Turn) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut turn = lock(&self.turn);
        if let Some(error) = &turn.failed {
            return Err(error.clone());
        }
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_mut().ok_or_else(closed)?;
        contain("redb", || work(db, &mut turn)).inspect_err(|error| turn.failed = Some(error.clone()))
    }
}

impl Dump for RedbStore {
    fn dump(&self, visit: &mut dyn FnMut(Row) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.view(|view| {
            view.visit(&mut |row| match row.0.as_slice() {
                // They belong to the file, not to its content.
                key if key != HEAD_KEY && (key == COMMITS_KEY || key == STORE_ID_KEY) => Ok(()),
                _ => visit(row),
            })
        })
    }
}

/// Copies a store into a fresh file that appears at `to` when it is whole.
pub(crate) fn backup_to(
    from: &dyn Dump,
    to: &Path,
    open: impl Fn(&Path) -> Result<RedbStore, StoreError>,
) -> Result<(), StoreError> {
    if to.try_exists().map_err(|e| io_error("the backup", &e))? {
        return Err(StoreError::Io("the backup's file exists already".into()));
    }
    install(to, |fresh| {
        RedbStore::remove(fresh)?;
        let copy = open(fresh)?;
        copy_rows(from, &copy)?;
        copy.close()?;
        drop(copy);
        for left_over in ["mark", "lock"] {
            let _ = std::fs::remove_file(crate::lock::beside(fresh, left_over));
        }
        Ok(())
    })
}

/// A small store is not worth compacting.
const SLACK_BYTES: u64 = 4 << 20;
