//! Room for uploads: those that stand still go, by their age or for a newer one. What is verified is never touched here.

use std::fs;
use std::io;
use std::sync::TryLockError;
use std::time::{Duration, SystemTime};

use fieldbook_core::ids::{DeviceId, Hash32};

use super::{EvidenceError, EvidenceStore, PARTIAL, UPLOADS, failed, make_durable_folder};

impl EvidenceStore {
    /// Removes unfinished uploads that got no part for `keep` before `now`; how many.
    ///
    /// # Errors
    /// [`EvidenceError::Io`].
    pub fn sweep(&self, now: SystemTime, keep: Duration) -> Result<usize, EvidenceError> {
        let mut removed = 0;
        for device in fs::read_dir(self.root.join(UPLOADS)).map_err(failed)? {
            for entry in fs::read_dir(device.map_err(failed)?.path()).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let is_partial = entry.path().extension().is_some_and(|e| e == PARTIAL);
                let touched = entry.metadata().and_then(|m| m.modified()).map_err(failed)?;
                if is_partial && now.duration_since(touched).is_ok_and(|age| age >= keep) {
                    fs::remove_file(entry.path()).map_err(failed)?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// A new upload of a device: its folder, and room under the bound. The uploads that got no part for the longest make room; the phone has
    /// their bytes still and begins them again. The caller holds the lock of `hash`.
    pub(super) fn make_room(&self, device: DeviceId, hash: Hash32) -> Result<(), EvidenceError> {
        let folder = self.device_folder(device);
        make_durable_folder(&folder).map_err(failed)?;
        let mut open = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.path().extension().is_some_and(|e| e == PARTIAL) {
                match entry.metadata().and_then(|meta| meta.modified()) {
                    Ok(touched) => open.push((touched, entry.path())),
                    // It was finished between the two looks.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(failed(e)),
                }
            }
        }
        open.sort();
        let mut left = open.len();
        for (_, path) in open {
            if left < self.bounds.open_uploads {
                break;
            }
            let name = path.file_stem().and_then(|name| name.to_str()?.parse::<Hash32>().ok());
            // What is being written at this moment makes progress.
            let lock = name.map(Self::lock_of).filter(|lock| *lock != Self::lock_of(hash));
            let _idle = match lock.map(|lock| self.locks[lock].try_lock()) {
                Some(Err(TryLockError::WouldBlock)) => continue,
                Some(Err(TryLockError::Poisoned(held))) => Some(held.into_inner()),
                Some(Ok(held)) => Some(held),
                None => None,
            };
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
                _ => left -= 1,
            }
        }
        if left >= self.bounds.open_uploads {
            return Err(EvidenceError::TooManyUploads { open: left });
        }
        Ok(())
    }
}
