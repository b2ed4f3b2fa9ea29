//! [`RedbStore`]: the engine of record. One redb table of bytes to bytes; every `commit` is one write transaction and one
//! flush, however many batches it carries; the position counter is a row of the same transaction; every read is one read
//! transaction, so one instant.
//!
//! With a journal in front (the phone's store has one) a small commit is a record in it, and its rows stand in front of the table's until a
//! checkpoint moves them there; then `!commits` in the table is the number of the last commit that it has.
//!
//! Refuses to write after a commit that failed, to open what is in use, and to trust a row whose checksum does not fit.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use fieldbook_core::store::{Batch, Direction, Outcome, Position, Range, Row, Store, StoreError};
use redb::{Database, StorageBackend};

use crate::draft::Rows;
use crate::journal::Journal;
use crate::lock::{StoreLock, beside, install};
use crate::mark::Mark;
use crate::{contain, io_error, lock};

mod commits;
mod rows;
mod upkeep;
mod view;

pub use upkeep::Maintenance;
pub(crate) use upkeep::backup_to;
use view::View;

/// How a redb store is opened.
#[derive(Debug, Clone)]
pub struct RedbOptions {
    /// Memory for pages, bytes.
    pub cache_bytes: usize,
    /// Verify every page at open (reads the whole file). Without it a store that was closed, or killed, is verified
    /// only as far as redb recovers it; rows are verified when they are read either way.
    pub verify: bool,
    /// Open a store that holds fewer commits than its mark file vouches for: an older copy that was put back on purpose.
    pub accept_rollback: bool,
}

impl Default for RedbOptions {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, verify: false, accept_rollback: false }
    }
}

/// A store in one redb file (or on a [`StorageBackend`] of the caller's).
pub struct RedbStore {
    /// Readers and the writer share it; upkeep and closing take it whole.
    db: RwLock<Option<Database>>,
    /// What the journal's commits put in front of the database's rows; nothing where there is no journal.
    over: RwLock<Arc<Rows>>,
    /// Taken in this order: `turn`, `db`, `over`.
    turn: Mutex<Turn>,
    place: Place,
    /// Opens the database in a file, through the same backend as this store's; none for a store on a backend of the caller's.
    opener: Option<Opener>,
    /// Given back when the store is closed, whoever still holds the handle.
    held: Mutex<Option<StoreLock>>,
}

type Opener = Box<dyn Fn(File) -> Result<Opened, StoreError> + Send + Sync>;

/// What a file is made of.
pub(crate) struct Parts<B> {
    /// redb's own.
    pub(crate) pages: B,
    /// Where small commits go first.
    pub(crate) journal: Option<Box<dyn StorageBackend>>,
}

/// A file that was opened.
struct Opened {
    db: Database,
    journal: Option<Journal>,
    over: Rows,
    marks: rows::Marks,
}

/// What the one writer holds.
struct Turn {
    failed: Option<StoreError>,
    mark: Option<Mark>,
    journal: Option<Journal>,
}

/// Where the file is, to ask for its length.
enum Place {
    Path(PathBuf),
    Backend(Arc<dyn StorageBackend>),
}

impl RedbStore {
    /// Opens or creates the store at `path`. Files beside it: `.lock`, `.mark`, and `.new` while it is being created.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Damaged`] or [`StoreError::Io`].
    pub fn open(path: impl AsRef<Path>, options: &RedbOptions) -> Result<Self, StoreError> {
        let path = path.as_ref();
        Self::open_as(path, options, |file| {
            let pages = redb::backends::FileBackend::new(file).map_err(rows::broken)?;
            Ok(Parts { pages, journal: None })
        })
    }

    /// Opens or creates a store on a backend; its owner sees to locking. There is no mark file.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] or [`StoreError::Io`].
    pub fn with_backend(backend: impl StorageBackend, options: &RedbOptions) -> Result<Self, StoreError> {
        Self::with_parts(Parts { pages: backend, journal: None }, options)
    }

    /// As [`RedbStore::with_backend`], with what else there is beside the pages.
    pub(crate) fn with_parts(
        parts: Parts<impl StorageBackend>,
        options: &RedbOptions,
    ) -> Result<Self, StoreError> {
        let shared = Shared(Arc::new(parts.pages));
        let place = Place::Backend(shared.0.clone());
        let opened = open_parts(Parts { pages: shared, journal: parts.journal }, options)?;
        Ok(Self::assemble(opened, None, place, None, None))
    }

    /// Opens or creates a file whose parts are what `parts` makes of it (plain, or encrypted).
    pub(crate) fn open_as<B: StorageBackend>(
        path: &Path,
        options: &RedbOptions,
        parts: impl Fn(File) -> Result<Parts<B>, StoreError> + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let opened_with = options.clone();
        let opener: Opener = Box::new(move |file| open_parts(parts(file)?, &opened_with));
        let held = StoreLock::take(path)?;
        if !path.try_exists().map_err(|e| io_error("the store", &e))? {
            if Mark::exists(path) {
                return Err(StoreError::Damaged(
                    "the store's file is gone, its mark file is still there".into(),
                ));
            }
            install(path, |fresh| create(fresh, &opener)?.close().map_err(rows::broken))?;
        }
        let file =
            File::options().read(true).write(true).open(path).map_err(|e| io_error("the store", &e))?;
        if file.metadata().map_err(|e| io_error("the store", &e))?.len() == 0 {
            return Err(StoreError::Damaged("the store's file is empty".into()));
        }
        let opened = opener(file)?;
        let marks = &opened.marks;
        let mark = Mark::open(path, marks.store_id, marks.commits, options.accept_rollback)?;
        let place = Place::Path(path.to_path_buf());
        Ok(Self::assemble(opened, Some(mark), place, Some(opener), Some(held)))
    }

    fn assemble(
        opened: Opened,
        mark: Option<Mark>,
        place: Place,
        opener: Option<Opener>,
        held: Option<StoreLock>,
    ) -> Self {
        Self {
            db: RwLock::new(Some(opened.db)),
            over: RwLock::new(Arc::new(opened.over)),
            turn: Mutex::new(Turn { failed: None, mark, journal: opened.journal }),
            place,
            opener,
            held: Mutex::new(held),
        }
    }

    /// Closes the store in good order, so that the next open need not recover; reports what dropping it would hide.
    /// Every later call answers [`StoreError::Io`]; another handle may open the store.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the disk refused the last flush.
    pub fn close(&self) -> Result<(), StoreError> {
        let mut turn = lock(&self.turn);
        let db = self.db.write().unwrap_or_else(PoisonError::into_inner).take();
        let closed = match db {
            Some(db) => contain("redb", || {
                // After a failure nobody knows what the pages hold; what the journal holds, the next open finds.
                let emptied = if turn.failed.is_none() { self.empty_journal(&db, &mut turn) } else { Ok(()) };
                emptied.and(db.close().map_err(rows::broken))
            }),
            None => Ok(()),
        };
        // It holds the file, too.
        turn.journal = None;
        lock(&self.held).take();
        closed
    }

    /// Removes a closed store with all that accompanies it.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when it is open; [`StoreError::Io`].
    pub fn remove(path: impl AsRef<Path>) -> Result<(), StoreError> {
        let path = path.as_ref();
        let _held = StoreLock::take(path)?;
        // The mark last: while it is there, a store whose file is gone is not taken for a new one.
        for file in [path.to_path_buf(), beside(path, "new"), beside(path, "mark")] {
            match std::fs::remove_file(&file) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io_error("removing the store", &e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn with_db<T>(&self, work: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or_else(closed)?;
        contain("redb", || work(db))
    }

    /// Runs `work` on the rows of one instant.
    fn view<T>(&self, work: impl FnOnce(&View) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.with_db(|db| work(&self.view_of(db)?))
    }
}

impl RedbStore {
    /// Why the store takes no writes any more, if a commit failed. A commit that is under way has not failed yet.
    pub fn failed(&self) -> Option<StoreError> {
        self.turn.try_lock().ok().and_then(|turn| turn.failed.clone())
    }
}

impl Store for RedbStore {
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.view(|view| keys.iter().map(|key| view.get(key)).collect())
    }

    fn scan(&self, range: &Range, direction: Direction, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.view(|view| view.page(range, direction, limit))
    }

    fn commit(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError> {
        batches.iter().try_for_each(Batch::check)?;
        let turn = &mut *lock(&self.turn);
        if let Some(error) = &turn.failed {
            return Err(error.clone());
        }
        let written = self.with_db(|db| self.write(db, turn.journal.as_mut(), batches));
        match written {
            Ok((outcomes, commits)) => {
                if let (Some(mark), Some(commits)) = (&mut turn.mark, commits) {
                    mark.set(commits);
                }
                Ok(outcomes)
            }
            Err(error) => {
                turn.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    fn head(&self) -> Result<Position, StoreError> {
        self.view(View::head)
    }

    fn read(
        &self,
        keys: &[&[u8]],
        ranges: &[(Range, usize)],
    ) -> Result<(Vec<Option<Vec<u8>>>, Vec<Vec<Row>>), StoreError> {
        self.view(|view| {
            let values = keys.iter().map(|key| view.get(key)).collect::<Result<_, _>>()?;
            let pages = ranges.iter().map(|(range, limit)| view.page(range, Direction::Forward, *limit));
            Ok((values, pages.collect::<Result<_, _>>()?))
        })
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`; a store that failed is recovered at the next open.
        let _ = self.close();
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").finish_non_exhaustive()
    }
}

fn create(fresh: &Path, opener: &Opener) -> Result<Database, StoreError> {
    let file = File::options().read(true).write(true).create_new(true).open(fresh);
    Ok(opener(file.map_err(|e| io_error("creating the store", &e))?)?.db)
}

/// Opens or lays what stands in the parts of a file.
fn open_parts(parts: Parts<impl StorageBackend>, options: &RedbOptions) -> Result<Opened, StoreError> {
    let (db, mut marks) = contain("redb", || rows::open_database(parts.pages, options))?;
    let Some(area) = parts.journal else {
        return Ok(Opened { db, journal: None, over: Rows::new(), marks });
    };
    let (journal, found) = Journal::open(area, marks.store_id, marks.commits, options.accept_rollback)?;
    marks.commits = found.commits;
    Ok(Opened { db, journal: Some(journal), over: found.over, marks })
}

fn closed() -> StoreError {
    StoreError::Io("the store is closed".into())
}

/// A backend of which we keep a handle; redb takes its own whole.
#[derive(Debug)]
struct Shared<B>(Arc<B>);

impl<B: StorageBackend> StorageBackend for Shared<B> {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        self.0.write(offset, data)
    }
    fn close(&self) -> Result<(), std::io::Error> {
        self.0.close()
    }
}

#[cfg(test)]
mod tests;
