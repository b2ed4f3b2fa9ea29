//! The folder of a sled store: created under another name, opened after sled's own left-overs are gone, copied, swapped,
//! and set aside when sled does not understand it. Refuses to open what was set aside.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use fieldbook_core::store::StoreError;

use super::{Engine, SledOptions, rows};
use crate::lock::{beside, install, sync_folder_of};
use crate::{COMMITS_KEY, STORE_ID_KEY, contain, io_error};

/// Puts right what a crash left beside the store.
///
/// # Errors
/// [`StoreError::Damaged`] while the path is quarantined.
pub(super) fn settle(path: &Path) -> Result<(), StoreError> {
    if let Ok(why) = fs::read_to_string(beside(path, "quarantined")) {
        return Err(StoreError::Damaged(format!("quarantined: {why}")));
    }
    let old = beside(path, "old");
    match (exists(path)?, exists(&old)?) {
        // Between the two renames of a swap.
        (false, true) => fs::rename(&old, path).map_err(|e| io_error("the store's folder", &e))?,
        (true, true) => fs::remove_dir_all(&old).map_err(|e| io_error("a left-over folder", &e))?,
        _ => {}
    }
    Ok(())
}

pub(super) fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|e| io_error("the store's folder", &e))
}

/// Makes an empty store.
pub(super) fn create(path: &Path, options: &SledOptions) -> Result<(), StoreError> {
    build(path, options, |db| {
        // Only tells one store's mark file from another's; the standard library seeds each hasher differently.
        let store_id = std::hash::RandomState::new().build_hasher().finish() | 1;
        let mut batch = sled::Batch::default();
        rows::store(&mut batch, STORE_ID_KEY, &store_id.to_be_bytes(), &mut 0);
        rows::store(&mut batch, COMMITS_KEY, &0u64.to_be_bytes(), &mut 0);
        db.apply_batch(batch).map_err(rows::broken)
    })
}

/// Copies what lives in `db` into the folder that [`swap`] puts in the store's place.
pub(super) fn copy(db: &sled::Db, path: &Path, options: &SledOptions) -> Result<(), StoreError> {
    build(&beside(path, "copy"), options, |fresh| {
        let (mut batch, mut count) = (sled::Batch::default(), 0);
        for row in db.iter() {
            let (key, value) = row.map_err(rows::broken)?;
            batch.insert(key, value);
            count += 1;
            if count % COPY_ROWS == 0 {
                fresh.apply_batch(std::mem::take(&mut batch)).map_err(rows::broken)?;
            }
        }
        fresh.apply_batch(batch).map_err(rows::broken)
    })
}

/// Puts the copy in the place of the store, which must not be open. A crash in between is put right by [`settle`].
pub(super) fn swap(path: &Path) -> Result<(), StoreError> {
    let old = beside(path, "old");
    let io = |e| io_error("swapping the store's folder", &e);
    fs::rename(path, &old).map_err(io)?;
    fs::rename(beside(path, "copy"), path).map_err(io)?;
    sync_folder_of(path)?;
    fs::remove_dir_all(&old).map_err(io)
}

/// Opens sled on a folder whose lock we hold.
pub(super) fn open(path: &Path, options: &SledOptions) -> Result<Engine, StoreError> {
    for file in fs::read_dir(path).map_err(|e| io_error("the store's folder", &e))? {
        let file = file.map_err(|e| io_error("the store's folder", &e))?;
        let name = file.file_name();
        if name.to_string_lossy().starts_with("snap.") && name.to_string_lossy().ends_with(".generating") {
            fs::remove_file(file.path()).map_err(|e| io_error("a half-written snapshot", &e))?;
        }
    }
    let log = File::options().read(true).write(true).open(path.join("db"));
    let log = log.map_err(|e| match e.kind() {
        ErrorKind::NotFound => StoreError::Damaged("the store's log is gone".into()),
        _ => io_error("the store's log", &e),
    })?;
    Ok(Engine { db: open_sled(path, options)?, log })
}

/// Sets the folder aside, so that no later open writes to the evidence, and refuses the path from now on.
pub(super) fn quarantine(path: &Path, error: StoreError) -> StoreError {
    for n in 1..QUARANTINE_MAX {
        let aside = beside(path, &format!("damaged-{n}"));
        if aside.exists() {
            continue;
        }
        let note = format!("{error}; set aside as {}", aside.display());
        let noted = fs::write(beside(path, "quarantined"), &note).and_then(|()| fs::rename(path, &aside));
        return match noted
            .map_err(|e| io_error("setting a damaged store aside", &e))
            .and_then(|()| sync_folder_of(path))
        {
            Ok(()) => StoreError::Damaged(note),
            Err(e) => StoreError::Damaged(format!("{note} ({e})")),
        };
    }
    error
}

/// What the folder takes, bytes.
pub(super) fn bytes(path: &Path) -> Result<u64, StoreError> {
    let mut total = 0;
    for entry in fs::read_dir(path).map_err(|e| io_error("the store's folder", &e))? {
        let entry = entry.map_err(|e| io_error("the store's folder", &e))?;
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => total += bytes(&entry.path())?,
            Ok(meta) => total += meta.len(),
            // sled removes its old snapshots while we look.
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(io_error("the store's folder", &e)),
        }
    }
    Ok(total)
}

/// Removes the store and what accompanies it, the mark last.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    let folders = [path.to_path_buf(), beside(path, "old"), beside(path, "copy"), beside(path, "new")];
    let folders = folders.iter().map(fs::remove_dir_all);
    let files = ["quarantined", "mark"].map(|f| beside(path, f));
    let files = files.iter().map(fs::remove_file);
    for removed in folders.chain(files) {
        match removed {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(io_error("removing the store", &e)),
            _ => {}
        }
    }
    Ok(())
}

/// Builds a folder that appears under its name when all of it is durable.
fn build(
    path: &Path,
    options: &SledOptions,
    fill: impl FnOnce(&sled::Db) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if exists(path)? {
        fs::remove_dir_all(path).map_err(|e| io_error("a left-over folder", &e))?;
    }
    install(path, |fresh| {
        contain("sled", || {
            let db = open_sled(fresh, options)?;
            fill(&db)?;
            db.flush().map_err(rows::broken)?;
            Ok(())
        })?;
        sync_all(fresh)
    })
}

/// sled writes its settings and names its files without a flush.
fn sync_all(folder: &Path) -> Result<(), StoreError> {
    let io = |e| io_error("the new store", &e);
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            match File::open(&path).and_then(|f| f.sync_all()) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(io(e)),
                _ => {}
            }
        }
    }
    File::open(folder).and_then(|f| f.sync_all()).map_err(io)
}

/// sled's threads may hold its own lock a moment longer than the handle that was dropped; ours says that nobody else does.
fn open_sled(path: &Path, options: &SledOptions) -> Result<sled::Db, StoreError> {
    let config = sled::Config::new().path(path).cache_capacity(options.cache_bytes).flush_every_ms(None);
    let mut waits = 0;
    loop {
        match config.open() {
            Err(sled::Error::Io(e))
                if e.to_string().contains("could not acquire lock") && waits < LOCK_WAITS =>
            {
                waits += 1;
                std::thread::sleep(LOCK_WAIT);
            }
            opened => return opened.map_err(rows::broken),
        }
    }
}

const COPY_ROWS: usize = 4_096;
/// An operator who has set this many aside has other worries.
const QUARANTINE_MAX: usize = 100;
const LOCK_WAIT: Duration = Duration::from_millis(5);
const LOCK_WAITS: usize = 1_000;
