//! The lock file beside a store: one handle at a time, in this process or another. Refuses to break a lock: the kernel
//! releases it when the holder dies.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fieldbook_core::store::StoreError;

use crate::{io_error, lock};

/// Held as long as the store is open.
#[derive(Debug)]
pub(crate) struct StoreLock {
    path: PathBuf,
    _file: File,
}

/// What this process holds: some phones' kernels offer no file locks through the standard library.
static HELD: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

impl StoreLock {
    /// Takes `<store>.lock`.
    pub(crate) fn take(store: &Path) -> Result<Self, StoreError> {
        let path = beside(store, "lock");
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|e| io_error("the lock file", &e))?;
        let path = path.canonicalize().map_err(|e| io_error("the lock file", &e))?;
        if !lock(&HELD).insert(path.clone()) {
            return Err(StoreError::InUse);
        }
        // From here on dropping `held` gives the path back.
        let held = Self { path, _file: file };
        match held._file.try_lock() {
            Ok(()) => Ok(held),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
            Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => Ok(held),
            Err(TryLockError::Error(e)) => Err(io_error("the lock file", &e)),
        }
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        lock(&HELD).remove(&self.path);
    }
}

/// The name of a file that accompanies a store: `leads.db` has `leads.db.lock`.
pub(crate) fn beside(store: &Path, suffix: &str) -> PathBuf {
    // Without a slash at the end, which would put the file inside a store that is a folder.
    let mut name = store.components().collect::<PathBuf>().into_os_string();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes a rename or creation in the folder of `path` durable.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), StoreError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| io_error("the store's folder", &e))
}

/// Builds a file or folder under a provisional name and gives it its own name only when it is whole and durable, so that a crash
/// never leaves a half-made store where a store is looked for.
pub(crate) fn install(
    path: &Path,
    build: impl FnOnce(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    lay(path, build)?;
    sync_folder_of(path)
}

/// As [`install`], but for the folder, which the caller makes durable: on an error nothing has taken the name yet.
pub(crate) fn lay(
    path: &Path,
    build: impl FnOnce(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let fresh = beside(path, "new");
    let removed = if fresh.is_dir() { std::fs::remove_dir_all(&fresh) } else { std::fs::remove_file(&fresh) };
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io_error("a left-over file", &e)),
        _ => {}
    }
    build(&fresh)?;
    File::open(&fresh).and_then(|f| f.sync_all()).map_err(|e| io_error("the new store", &e))?;
    std::fs::rename(&fresh, path).map_err(|e| io_error("the new store", &e))
}
