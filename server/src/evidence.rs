//! Evidence: the bytes of photos and signed forms (O5), kept under their SHA-256.
//!
//! Owns two folders: `blobs/`, what is verified and durable, and `uploads/`, what is still on its way, apart for each device. Refuses any
//! name that is not a hash, so no path can lead elsewhere, and any part beyond the bounds.
//!
//! **Deduplication stays a secret.** Whoever uploads sends all the bytes and sees the same answers whether the company holds them already or
//! not; otherwise the hash of a guessed document would tell whether somebody else has it. What was uploaded is acknowledged to the
//! device that sent every byte of it, and to nobody else.
//!
//! Who may read a blob is not decided here: the caller passes what the company says of (user, hash).

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fieldbook_core::ids::{DeviceId, Hash32, UserId};
use fieldbook_core::limits;
use sha2::{Digest, Sha256};

mod room;
#[cfg(test)]
mod tests;

/// Blobs on disk. Calls block; HTTP handlers call from a blocking thread.
pub struct EvidenceStore {
    root: PathBuf,
    bounds: Bounds,
    /// One upload of a device is written by one request at a time; hashes share a few locks.
    locks: [Mutex<()>; LOCKS],
}

/// What an operator may bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// One piece of evidence.
    pub max_bytes: u64,
    /// Unfinished uploads of one device; one more takes the place of the one that got no part for the longest.
    pub open_uploads: usize,
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The server holds the first `received_bytes`; the next part begins there.
    Partial {
        /// Offset of the next part.
        received_bytes: u64,
    },
    /// Verified and durable: the device may forget its copy (acknowledged).
    Acknowledged,
}

/// Why evidence was refused.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// Larger than allowed, or empty.
    #[error("evidence must have 1 to {max_bytes} bytes; this has {bytes}")]
    Size {
        /// As announced.
        bytes: u64,
        /// As configured.
        max_bytes: u64,
    },
    /// One part is larger than allowed, or reaches beyond the announced end.
    #[error(
        "a part of {bytes} bytes at offset {offset} does not fit; parts have up to {max_bytes} bytes and end where the evidence ends"
    )]
    Part {
        /// Where it begins.
        offset: u64,
        /// Its length.
        bytes: usize,
        /// The longest part.
        max_bytes: usize,
    },
    /// A part begins behind what the server holds.
    #[error("the server holds {received_bytes} bytes of this evidence; continue there")]
    Gap {
        /// Where the next part begins.
        received_bytes: u64,
    },
    /// All bytes are here and are not what the hash says. The upload begins again.
    #[error("the bytes do not have the SHA-256 that names them; the upload begins again at 0")]
    WrongHash,
    /// Too many uploads of this device get parts at this very moment, so that none can make room.
    #[error("this device has {open} uploads under way at once; try again when one of them is done")]
    TooManyUploads {
        /// How many.
        open: usize,
    },
    /// No such evidence, or none that this user may read: one answer for both.
    #[error("there is no such evidence")]
    NotFound,
    /// The disk is full.
    #[error("the server's disk is full; the device keeps the evidence and tries later")]
    DiskFull,
    /// The disk failed.
    #[error("the evidence could not be kept: {0}")]
    Io(io::Error),
}

impl EvidenceStore {
    /// Opens the folder, creating what is missing.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(root: &Path, bounds: Bounds) -> io::Result<Self> {
        fs::create_dir_all(root.join(BLOBS))?;
        fs::create_dir_all(root.join(UPLOADS))?;
        sync_dir(root)?;
        root.parent().map_or(Ok(()), sync_dir)?;
        Ok(Self { root: root.to_owned(), bounds, locks: Default::default() })
    }

    /// Takes one part of an upload. A part that was sent before is written again, so a lost answer costs nothing. The last part verifies
    /// the whole and makes it durable before this returns.
    ///
    /// # Errors
    /// [`EvidenceError`]; what was received before stays, except after [`EvidenceError::WrongHash`].
    pub fn put_part(
        &self,
        device: DeviceId,
        hash: Hash32,
        total_bytes: u64,
        offset: u64,
        part: &[u8],
    ) -> Result<Progress, EvidenceError> {
        let max_bytes = self.bounds.max_bytes;
        if total_bytes == 0 || total_bytes > max_bytes {
            return Err(EvidenceError::Size { bytes: total_bytes, max_bytes });
        }
        let end = offset.saturating_add(part.len() as u64);
        if part.is_empty() || part.len() > limits::EVIDENCE_PART_BYTES || end > total_bytes {
            let max_bytes = limits::EVIDENCE_PART_BYTES;
            return Err(EvidenceError::Part { offset, bytes: part.len(), max_bytes });
        }
        let _held = self.lock(hash);
        if self.is_acknowledged_to(device, hash)? {
            return Ok(Progress::Acknowledged);
        }
        let upload = self.upload_path(device, hash);
        let received_bytes = length(&upload)?;
        if offset > received_bytes {
            return Err(EvidenceError::Gap { received_bytes });
        }
        if received_bytes == 0 && offset == 0 {
            self.make_room(device, hash)?;
        }
        let mut file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&upload).map_err(failed)?;
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        file.write_all(part).map_err(failed)?;
        let received_bytes = received_bytes.max(end);
        if received_bytes < total_bytes {
            return Ok(Progress::Partial { received_bytes });
        }
        self.complete(device, hash, &upload, &file)?;
        Ok(Progress::Acknowledged)
    }

    /// How far this device's upload is; another device's upload of the same bytes is never visible.
    ///
    /// # Errors
    /// [`EvidenceError::Io`].
    pub fn progress(&self, device: DeviceId, hash: Hash32) -> Result<Progress, EvidenceError> {
        if self.is_acknowledged_to(device, hash)? {
            return Ok(Progress::Acknowledged);
        }
        Ok(Progress::Partial { received_bytes: length(&self.upload_path(device, hash))? })
    }

    /// Whether the bytes are here, verified and durable, whoever sent them. For the company's own decisions, never for an answer.
    ///
    /// # Errors
    /// [`EvidenceError::Io`].
    pub fn acknowledged(&self, hash: Hash32) -> Result<bool, EvidenceError> {
        self.blob_path(hash).try_exists().map_err(failed)
    }

    /// Opens a blob for reading from `offset`, with its whole length, when `may_read` allows it.
    ///
    /// # Errors
    /// [`EvidenceError::NotFound`], the same for what is missing and for what is not allowed.
    pub fn read(
        &self,
        user: UserId,
        hash: Hash32,
        offset: u64,
        may_read: impl FnOnce(UserId, Hash32) -> bool,
    ) -> Result<(File, u64), EvidenceError> {
        if !may_read(user, hash) {
            return Err(EvidenceError::NotFound);
        }
        let mut file = match File::open(self.blob_path(hash)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(EvidenceError::NotFound),
            other => other.map_err(failed)?,
        };
        let bytes = file.metadata().map_err(failed)?.len();
        file.seek(SeekFrom::Start(offset.min(bytes))).map_err(failed)?;
        Ok((file, bytes))
    }

    /// Reads every blob and compares it with its name; the hashes that are damaged.
    ///
    /// # Errors
    /// [`EvidenceError::Io`].
    pub fn verify_all(&self) -> Result<(u64, Vec<String>), EvidenceError> {
        let (mut good, mut damaged) = (0, Vec::new());
        for folder in fs::read_dir(self.root.join(BLOBS)).map_err(failed)? {
            for entry in fs::read_dir(folder.map_err(failed)?.path()).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let actual = hash_file(&mut File::open(entry.path()).map_err(failed)?)?;
                if actual.to_string() == name { good += 1 } else { damaged.push(name) }
            }
        }
        damaged.sort();
        Ok((good, damaged))
    }

    /// Which device has sent which blob, a line each, in order: what a backup keeps, since a blob is readable only through whoever sent it.
    ///
    /// # Errors
    /// [`EvidenceError::Io`].
    pub fn marks(&self) -> Result<String, EvidenceError> {
        let mut lines = Vec::new();
        for folder in fs::read_dir(self.root.join(UPLOADS)).map_err(failed)? {
            let folder = folder.map_err(failed)?;
            let device = folder.file_name().to_string_lossy().into_owned();
            for entry in fs::read_dir(folder.path()).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if path.extension().is_some_and(|e| e == MARK)
                    && let Some(hash) = path.file_stem()
                {
                    lines.push(format!("{device} {}\n", hash.to_string_lossy()));
                }
            }
        }
        lines.sort();
        Ok(lines.concat())
    }

    fn complete(
        &self,
        device: DeviceId,
        hash: Hash32,
        upload: &Path,
        file: &File,
    ) -> Result<(), EvidenceError> {
        let mut whole = File::open(upload).map_err(failed)?;
        if hash_file(&mut whole)? != hash {
            fs::remove_file(upload).map_err(failed)?;
            return Err(EvidenceError::WrongHash);
        }
        // The same work and the same waiting whether the blob is new or not.
        file.sync_all().map_err(failed)?;
        let blob = self.blob_path(hash);
        let folder = self.root.join(BLOBS).join(&hash.to_string()[..2]);
        make_durable_folder(&folder).map_err(failed)?;
        fs::rename(upload, &blob).map_err(failed)?;
        sync_dir(&folder).map_err(failed)?;
        // The mark that this device sent it all; an empty file, durable with its folder.
        File::create(self.mark_path(device, hash)).map_err(failed)?;
        sync_dir(&self.device_folder(device)).map_err(failed)
    }

    /// Whether this device has sent these bytes. The mark alone does not count: a restored backup may have lost the blob.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn is_acknowledged_to(&self, device: DeviceId, hash: Hash32) -> Result<bool, EvidenceError> {
        Ok(self.mark_path(device, hash).try_exists().map_err(failed)? && self.acknowledged(hash)?)
    }

    fn blob_path(&self, hash: Hash32) -> PathBuf {
        let name = hash.to_string();
        self.root.join(BLOBS).join(&name[..2]).join(name)
    }

    fn device_folder(&self, device: DeviceId) -> PathBuf {
        self.root.join(UPLOADS).join(device.to_string())
    }

    fn upload_path(&self, device: DeviceId, hash: Hash32) -> PathBuf {
        self.device_folder(device).join(format!("{hash}.{PARTIAL}"))
    }

    fn mark_path(&self, device: DeviceId, hash: Hash32) -> PathBuf {
        self.device_folder(device).join(format!("{hash}.{MARK}"))
    }

    fn lock(&self, hash: Hash32) -> MutexGuard<'_, ()> {
        self.locks[Self::lock_of(hash)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_of(hash: Hash32) -> usize {
        usize::from(hash.0[0]) % LOCKS
    }
}

/// Puts the marks of a backup ([`EvidenceStore::marks`]) into a folder of evidence that is being restored.
///
/// # Errors
/// What the disk says; `InvalidData` for a line that is no mark.
pub fn restore_marks(root: &Path, marks: &str) -> io::Result<()> {
    let uploads = root.join(UPLOADS);
    fs::create_dir_all(&uploads)?;
    let mut folders = BTreeSet::new();
    for line in marks.lines() {
        let mark = line.split_once(' ');
        let mark = mark.and_then(|(device, hash)| {
            Some((device.parse::<DeviceId>().ok()?, hash.parse::<Hash32>().ok()?))
        });
        let (device, hash) =
            mark.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no mark of evidence"))?;
        let folder = uploads.join(device.to_string());
        fs::create_dir_all(&folder)?;
        File::create(folder.join(format!("{hash}.{MARK}")))?;
        folders.insert(folder);
    }
    for folder in folders.iter().chain([&uploads]) {
        sync_dir(folder)?;
    }
    Ok(())
}

/// A folder is durable when the one around it is: without that a power cut takes along whatever was synced inside. One that is there
/// already may be a moment old, another upload's, whose turn to sync has not come.
fn make_durable_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    folder.parent().map_or(Ok(()), sync_dir)
}

fn length(path: &Path) -> Result<u64, EvidenceError> {
    match fs::metadata(path) {
        Ok(meta) => Ok(meta.len()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(failed(e)),
    }
}

fn hash_file(file: &mut File) -> Result<Hash32, EvidenceError> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; limits::EVIDENCE_PART_BYTES];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            return Ok(Hash32(hash.finalize().into()));
        }
        hash.update(&buffer[..read]);
    }
}

fn failed(error: io::Error) -> EvidenceError {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    if full { EvidenceError::DiskFull } else { EvidenceError::Io(error) }
}

/// A rename is durable when its folder is.
fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    #[cfg(test)]
    tests::note_synced(path);
    Ok(())
}

const BLOBS: &str = "blobs";
const UPLOADS: &str = "uploads";
const PARTIAL: &str = "part";
const MARK: &str = "sent";
/// Uploads that are written at the same moment, at the most.
const LOCKS: usize = 16;
