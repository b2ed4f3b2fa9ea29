//! [`SledStore`]: sled 0.34.7 under the same contract, for the server that wants its grouped writes; hardened, because as
//! it is it loses what it acknowledged.
//!
//! | sled as it is | here |
//! |---|---|
//! | `flush` asks for no flush of the device | after it, `sync_data` on our own handle of the `db` file, then the acknowledgement |
//! | `flush_async` deadlocks | never called; one committer, no flusher thread |
//! | a `snap.*.generating` left by a kill stops the next open | our own lock file is taken, then they are deleted |
//! | a store killed while being created does not open | it is made under another name and renamed when it is durable |
//! | leaf pages above 128 KB go to files that are never synced | values are cut so that no page (20 records at most) comes near |
//! | it panics on a damaged file | caught; the folder is set aside and the path refused until an operator has looked |
//! | a damaged tail is cut off in silence | the mark file beside the store knows how many commits there were; records have checksums |
//! | no snapshot reads | readers are given the values from before the commit until it is durable |
//! | space is never given back | [`SledStore::copy_compact`] |
//!
//! Refuses to be the phone's engine: it wakes 13 times a second at best.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use fieldbook_core::store::{Batch, Direction, HEAD_KEY, Outcome, Position, Range, Row, Store, StoreError};

use crate::draft::{Draft, Rows};
use crate::lock::StoreLock;
use crate::mark::Mark;
use crate::redb_store::backup_to;
use crate::{Dump, RedbOptions, RedbStore, be_u64, contain, io_error, lock};

mod folder;
mod rows;

/// How a sled store is opened.
#[derive(Debug, Clone)]
pub struct SledOptions {
    /// Memory for pages, bytes.
    pub cache_bytes: u64,
    /// As [`RedbOptions::accept_rollback`].
    pub accept_rollback: bool,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self { cache_bytes: 256 << 20, accept_rollback: false }
    }
}

/// A store in one folder of sled's.
pub struct SledStore {
    path: PathBuf,
    options: SledOptions,
    /// Taken in this order: `turn`, `engine`, `images`.
    turn: Mutex<Turn>,
    engine: RwLock<Option<Engine>>,
    images: RwLock<Held>,
    /// Given back when the store is closed, whoever still holds the handle.
    held: Mutex<Option<StoreLock>>,
}

/// sled, and our own handle on its log.
struct Engine {
    db: sled::Db,
    log: File,
}

/// What the one writer holds.
struct Turn {
    failed: Option<StoreError>,
    mark: Mark,
    next_blob: u64,
}

/// Values from before a commit, that readers are given in the place of what sled shows.
#[derive(Default)]
struct Held {
    /// Of the commit that is being made durable.
    commit: Rows,
    /// Of every commit since the running backup began.
    backup: Option<Rows>,
}

impl SledStore {
    /// Opens or creates the store in the folder `path`. Beside it stand `.lock`, `.mark`, and at times `.new` and `.old`.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Io`], or [`StoreError::Damaged`]: the folder was then set aside under a name
    /// that the message tells, and `path` is refused until the file `.quarantined` beside it is removed.
    pub fn open(path: impl AsRef<Path>, options: &SledOptions) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let held = StoreLock::take(path)?;
        folder::settle(path)?;
        if !folder::exists(path)? {
            if Mark::exists(path) {
                return Err(StoreError::Damaged(
                    "the store's folder is gone, its mark file is still there".into(),
                ));
            }
            folder::create(path, options)?;
        }
        let (engine, turn) = Self::open_engine(path, options)?;
        Ok(Self {
            path: path.to_path_buf(),
            options: options.clone(),
            turn: Mutex::new(turn),
            engine: RwLock::new(Some(engine)),
            images: RwLock::default(),
            held: Mutex::new(Some(held)),
        })
    }

    /// Closes the store in good order. Every later call answers [`StoreError::Io`]; another handle may open the store.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the disk refused the last flush.
    pub fn close(&self) -> Result<(), StoreError> {
        let _turn = lock(&self.turn);
        let engine = self.engine.write().unwrap_or_else(PoisonError::into_inner).take();
        let closed = match &engine {
            Some(engine) => contain("sled", || engine.make_durable()),
            None => Ok(()),
        };
        // sled's own threads end before the folder is anybody else's.
        drop(engine);
        lock(&self.held).take();
        closed
    }

    /// Copies the running store, as of one instant, into a fresh redb file at `to`: one form of backup for every engine.
    /// To restore it under sled, [`copy_rows`](crate::copy_rows) it into an empty store. Readers and writers go on; what is written
    /// meanwhile is held in memory in its old form.
    ///
    /// # Errors
    /// [`StoreError::Io`] when `to` exists, another backup runs, or more was rewritten meanwhile than memory should hold.
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<(), StoreError> {
        backup_to(self, to.as_ref(), |fresh| RedbStore::open(fresh, &RedbOptions::default()))
    }

    /// Copies what lives into a fresh folder and goes on in it: sled itself gives no space back. Writers wait for the
    /// whole copy, readers for its last step.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Damaged`]; the store then refuses to write until it is opened again.
    pub fn copy_compact(&self) -> Result<(), StoreError> {
        let mut turn = lock(&self.turn);
        if let Some(error) = &turn.failed {
            return Err(error.clone());
        }
        let copied = self.with_engine(|engine| folder::copy(&engine.db, &self.path, &self.options));
        let swapped = copied.and_then(|()| {
            let mut engine = self.engine.write().unwrap_or_else(PoisonError::into_inner);
            drop(engine.take().ok_or_else(closed)?);
            folder::swap(&self.path)?;
            let (fresh, next) = Self::open_engine(&self.path, &self.options)?;
            *turn = next;
            *engine = Some(fresh);
            Ok(())
        });
        swapped.inspect_err(|error| turn.failed = Some(error.clone()))
    }

    /// Compacts when the folder exceeds twice what lives in it. Walks the whole store.
    ///
    /// # Errors
    /// As [`SledStore::copy_compact`].
    pub fn maintain(&self) -> Result<crate::Maintenance, StoreError> {
        let mut live_bytes = 0;
        self.dump(&mut |(key, value)| {
            live_bytes += (key.len() + value.len()) as u64;
            Ok(())
        })?;
        let file_bytes = self.file_bytes()?;
        let compacted_to_bytes = if file_bytes > 2 * live_bytes + SLACK_BYTES {
            self.copy_compact()?;
            Some(self.file_bytes()?)
        } else {
            None
        };
        Ok(crate::Maintenance { file_bytes, live_bytes, compacted_to_bytes })
    }

    /// What the folder takes on the disk, bytes.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn file_bytes(&self) -> Result<u64, StoreError> {
        folder::bytes(&self.path)
    }

    /// Removes a closed store with all that accompanies it.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when it is open; [`StoreError::Io`].
    pub fn remove(path: impl AsRef<Path>) -> Result<(), StoreError> {
        let path = path.as_ref();
        let _held = StoreLock::take(path)?;
        folder::remove(path)
    }

    fn open_engine(path: &Path, options: &SledOptions) -> Result<(Engine, Turn), StoreError> {
        let opened = contain("sled", || {
            let engine = folder::open(path, options)?;
            let counters = (
                rows::counter(&engine.db, crate::STORE_ID_KEY)?,
                rows::counter(&engine.db, crate::COMMITS_KEY)?,
                rows::next_blob(&engine.db)?,
            );
            Ok((engine, counters))
        });
        let (engine, (store_id, commits, next_blob)) = match opened {
            Err(error @ StoreError::Damaged(_)) => return Err(folder::quarantine(path, error)),
            opened => opened?,
        };
        if store_id == 0 {
            drop(engine);
            return Err(folder::quarantine(
                path,
                StoreError::Damaged("the store's own rows are gone".into()),
            ));
        }
        let mark = Mark::open(path, store_id, commits, options.accept_rollback)?;
        Ok((engine, Turn { failed: None, mark, next_blob }))
    }

    fn with_engine<T>(&self, work: impl FnOnce(&Engine) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        let engine = engine.as_ref().ok_or_else(closed)?;
        contain("sled", || work(engine))
    }

    /// Runs `work` on the rows of one instant: the last that is durable.
    fn view<T>(
        &self,
        work: impl FnOnce(&sled::Tree, &Rows) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with_engine(|engine| work(&engine.db, &self.held().commit))
    }

    fn held(&self) -> RwLockReadGuard<'_, Held> {
        self.images.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_held(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.images.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn write(
        &self,
        engine: &Engine,
        turn: &mut Turn,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        let tree: &sled::Tree = &engine.db;
        let mut draft = Draft::new(|key| Ok(rows::stored(tree, key)?.map(|(value, _)| value)));
        let outcomes = batches.into_iter().map(|b| draft.apply(b)).collect::<Result<Vec<_>, _>>()?;
        let Some((written, commits)) = draft.finish()? else { return Ok(outcomes) };
        let (batch, before) = rows::plan(tree, written, &mut turn.next_blob)?;
        self.change_held(|held| {
            if let Some(backup) = &mut held.backup {
                before.iter().for_each(|(key, old)| {
                    backup.entry(key.clone()).or_insert_with(|| old.clone());
                });
            }
            held.commit = before;
        });
        engine.db.apply_batch(batch).map_err(rows::broken)?;
        engine.make_durable()?;
        self.change_held(|held| held.commit.clear());
        turn.mark.set(commits);
        Ok(outcomes)
    }
}

impl Engine {
    fn make_durable(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(rows::broken)?;
        self.log.sync_data().map_err(|e| io_error("flushing the store", &e))
    }
}

impl SledStore {
    /// Why the store takes no writes any more, if a commit failed. A commit that is under way has not failed yet.
    pub fn failed(&self) -> Option<StoreError> {
        self.turn.try_lock().ok().and_then(|turn| turn.failed.clone())
    }
}

impl Store for SledStore {
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.view(|tree, images| keys.iter().map(|key| rows::get(tree, images, key)).collect())
    }

    fn scan(&self, range: &Range, direction: Direction, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.view(|tree, images| rows::page(tree, images, range, direction, limit))
    }

    fn commit(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError> {
        batches.iter().try_for_each(Batch::check)?;
        let mut turn = lock(&self.turn);
        if let Some(error) = &turn.failed {
            return Err(error.clone());
        }
        let told = self.with_engine(|engine| self.write(engine, &mut turn, batches));
        told.inspect_err(|error| turn.failed = Some(error.clone()))
    }

    fn head(&self) -> Result<Position, StoreError> {
        self.view(|tree, images| match rows::get(tree, images, HEAD_KEY)? {
            Some(head) => {
                be_u64(&head).ok_or_else(|| StoreError::Damaged("the head is not eight bytes".into()))
            }
            None => Ok(0),
        })
    }

    fn read(
        &self,
        keys: &[&[u8]],
        ranges: &[(Range, usize)],
    ) -> Result<(Vec<Option<Vec<u8>>>, Vec<Vec<Row>>), StoreError> {
        self.view(|tree, images| {
            let values = keys.iter().map(|key| rows::get(tree, images, key)).collect::<Result<_, _>>()?;
            let page =
                |(range, limit): &(Range, usize)| rows::page(tree, images, range, Direction::Forward, *limit);
            Ok((values, ranges.iter().map(page).collect::<Result<_, _>>()?))
        })
    }
}

impl Dump for SledStore {
    fn dump(&self, visit: &mut dyn FnMut(Row) -> Result<(), StoreError>) -> Result<(), StoreError> {
        {
            // Between two commits, so that the instant is one that was durable.
            let _turn = lock(&self.turn);
            let mut fresh = false;
            self.change_held(|held| {
                fresh = held.backup.is_none();
                // A commit that failed left its old values in place: they are part of the instant.
                held.backup.get_or_insert_with(|| held.commit.clone());
            });
            if !fresh {
                return Err(StoreError::Io("another copy is being made".into()));
            }
        }
        let done = self.dump_pages(visit);
        self.change_held(|held| held.backup = None);
        done
    }
}

impl SledStore {
    fn dump_pages(&self, visit: &mut dyn FnMut(Row) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut range = Range::prefix(b"");
        let head = self.with_engine(|engine| {
            rows::get(&engine.db, self.held().backup.as_ref().unwrap_or(&Rows::new()), HEAD_KEY)
        })?;
        if let Some(head) = head {
            visit((HEAD_KEY.to_vec(), head))?;
        }
        loop {
            let page = self.with_engine(|engine| {
                let held = self.held();
                let images = held.backup.as_ref().ok_or_else(closed)?;
                if images.len() > DUMP_MAX_CHANGES {
                    return Err(StoreError::Io("too much was rewritten while the copy was made".into()));
                }
                rows::page(&engine.db, images, &range, Direction::Forward, DUMP_PAGE_ROWS)
            })?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            range = Range::prefix_after(b"", last);
            page.into_iter().try_for_each(&mut *visit)?;
        }
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`.
        let _ = self.close();
    }
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledStore").field("path", &self.path).finish_non_exhaustive()
    }
}

fn closed() -> StoreError {
    StoreError::Io("the store is closed".into())
}

/// Rows that a copy takes under one lock: what a commit waits for is a millisecond.
const DUMP_PAGE_ROWS: usize = 512;
/// Rows rewritten during a copy whose old values are held: at 2 KB each, 400 MB.
const DUMP_MAX_CHANGES: usize = 200_000;
/// A small store is not worth compacting.
const SLACK_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests;
