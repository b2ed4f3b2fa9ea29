//! Backups: the store as of one instant and every blob that it can name, in a folder of their own, with a manifest that vouches for them.
//!
//! Making one needs no stop of the server. Restoring one is [`restore`]'s; what may not come back with it is kept apart in [`tombstones`].

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use fieldbook_core::company::CompanyError;
use fieldbook_core::store::StoreError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::app::{App, EVIDENCE_FOLDER, private_folder};
use crate::config::Config;
use crate::engine::{Engine, EngineError};
use crate::evidence::EvidenceError;

pub mod tombstones;
pub mod undone;

mod restore;

pub use restore::{Reapplied, Restored, restore};
use tombstones::TombstoneError;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of this folder.
    pub format: u32,
    /// Server time when it was begun, milliseconds.
    pub created_ms: i64,
    /// The company's name.
    pub company: String,
    /// The log's epoch.
    pub epoch: u64,
    /// SHA-256 of `store.redb`, hex.
    pub store_sha256: String,
    /// Blobs in `evidence/`.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// SHA-256 of `evidence.sent`, hex: which device sent which of them, without which nobody may read them.
    pub sent_sha256: String,
}

/// Why a backup was not made or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target is there already.
    #[error("{0} exists already; name a new folder")]
    Exists(PathBuf),
    /// The folder is no backup, or of a newer version.
    #[error("{path} is no backup that this version reads: {reason}")]
    NoBackup {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Its bytes are not those that were backed up.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// There is a store where it should be restored.
    #[error("{0} holds a store already; restore into an empty data folder")]
    NotEmpty(PathBuf),
    /// The disk.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The company in it.
    #[error(transparent)]
    Company(#[from] CompanyError),
    /// The tombstones, of this data folder or of the one that was named.
    #[error(transparent)]
    Tombstones(#[from] TombstoneError),
    /// There are no tombstones where they were said to be.
    #[error("{0} holds no tombstones; name the data folder of the old server, or the file")]
    NoTombstones(PathBuf),
}

impl From<EvidenceError> for BackupError {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Io(error) => Self::Io(error),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

/// Makes a backup of a running company in the new folder `to`, which appears when it is whole.
///
/// # Errors
/// [`BackupError`]; a part of it may be left beside `to` under `.partial`.
pub fn make(app: &App, to: &Path) -> Result<Manifest, BackupError> {
    if to.try_exists()? {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = to.with_file_name(name);
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    private_folder(&partial)?;
    let created_ms = app.now_ms();
    let store = partial.join(STORE);
    {
        let _alone = app.whole_store.lock().unwrap_or_else(PoisonError::into_inner);
        app.engine.backup(&store)?;
    }
    // Blobs after the store: one that the store names is there, one more does no harm.
    let from = app.config.data_dir.join(EVIDENCE_FOLDER).join(BLOBS);
    let (blobs, blob_bytes) = copy_blobs(&from, &partial.join(EVIDENCE_FOLDER), &mut |_, _| Ok(()))?;
    // Marks after the blobs: one more than there are blobs does no harm.
    let sent = partial.join(SENT);
    let mut file = File::create(&sent)?;
    file.write_all(app.evidence.marks()?.as_bytes())?;
    file.sync_all()?;
    let manifest = Manifest {
        format: FORMAT,
        created_ms,
        company: app.company.name().to_owned(),
        epoch: app.company.epoch(),
        store_sha256: hash_file(&store)?,
        blobs,
        blob_bytes,
        sent_sha256: hash_file(&sent)?,
    };
    let mut file = File::create(partial.join(MANIFEST))?;
    file.write_all(&serde_json::to_vec_pretty(&manifest).map_err(io::Error::other)?)?;
    file.sync_all()?;
    File::open(&partial)?.sync_all()?;
    fs::rename(&partial, to)?;
    sync_parent(to)?;
    tracing::info!(blobs, blob_bytes, "a backup was made");
    Ok(manifest)
}

/// What was found in a data folder.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// Rows of the store, all readable.
    pub rows: u64,
    /// Documents, all of which load.
    pub documents: u64,
    /// Blobs that are what their names say.
    pub blobs: u64,
    /// What is damaged.
    pub damaged: Vec<String>,
}

/// Reads everything: every page, row, document and blob.
///
/// # Errors
/// [`BackupError`] when the store cannot be read at all.
pub fn verify(app: &App) -> Result<Verified, BackupError> {
    let rows = app.engine.read_all()?;
    let (mut documents, mut damaged) = (0, Vec::new());
    let mut after = None;
    loop {
        let page = app.company.documents(after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        for id in page {
            match app.company.load(id) {
                Ok(_) => documents += 1,
                Err(error) => damaged.push(format!("document {id}: {error}")),
            }
        }
    }
    let (blobs, bad_blobs) = app.evidence.verify_all().map_err(io::Error::other)?;
    damaged.extend(bad_blobs.into_iter().map(|name| format!("evidence {name}")));
    Ok(Verified { rows, documents, blobs, damaged })
}

fn read_manifest(from: &Path) -> Result<Manifest, BackupError> {
    let refuse = |reason: String| BackupError::NoBackup { path: from.to_owned(), reason };
    let bytes = fs::read(from.join(MANIFEST)).map_err(|e| refuse(format!("{MANIFEST}: {e}")))?;
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|e| refuse(format!("{MANIFEST}: {e}")))?;
    if manifest.format > FORMAT {
        return Err(refuse(format!("it has format {}, this version reads up to {FORMAT}", manifest.format)));
    }
    Ok(manifest)
}

/// Copies a folder of blobs, two levels deep, and has each looked at.
fn copy_blobs(
    from: &Path,
    to: &Path,
    check: &mut dyn FnMut(&str, &Path) -> Result<(), BackupError>,
) -> Result<(u64, u64), BackupError> {
    let (mut blobs, mut bytes) = (0, 0);
    fs::create_dir_all(to)?;
    if !from.exists() {
        return Ok((0, 0));
    }
    for folder in fs::read_dir(from)? {
        let folder = folder?;
        let target = to.join(folder.file_name());
        fs::create_dir_all(&target)?;
        for blob in fs::read_dir(folder.path())? {
            let blob = blob?;
            check(&blob.file_name().to_string_lossy(), &blob.path())?;
            let copy = target.join(blob.file_name());
            bytes += fs::copy(blob.path(), &copy)?;
            File::open(&copy)?.sync_all()?;
            blobs += 1;
        }
        File::open(&target)?.sync_all()?;
    }
    File::open(to)?.sync_all()?;
    Ok((blobs, bytes))
}

fn hash_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// Opens the company of a data folder for [`verify`], every page checked.
///
/// # Errors
/// As [`App::open`].
pub fn open_verified(config: Config) -> Result<Arc<App>, crate::app::OpenError> {
    let engine = Engine::open_verified(config.engine, &config.data_dir)?;
    engine.close()?;
    drop(engine);
    App::open(config, Arc::new(crate::app::SystemClock))
}

#[cfg(test)]
mod tests;

/// 2: with `evidence.sent`, without which no evidence can be read after a restore.
const FORMAT: u32 = 2;
const MANIFEST: &str = "manifest.json";
const STORE: &str = "store.redb";
const SENT: &str = "evidence.sent";
const BLOBS: &str = "blobs";
const PAGE: usize = 1_024;
