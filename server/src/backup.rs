//! Backups: the store as of one instant and every blob that it can name, in a folder of their own, with a manifest that vouches for them.
//!
//! Making one needs no stop of the server. Restoring one begins a new epoch of the log and a new actor of the server (design decision 6), so
//! that phones which saw more than the backup holds give it back.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fieldbook_core::company::{Company, CompanyError};
use fieldbook_core::store::StoreError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::app::{App, Clock, EVIDENCE_FOLDER, SystemClock, private_folder};
use crate::auth::Entropy;
use crate::config::Config;
use crate::engine::{Engine, EngineError, store_path};

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
    app.engine.backup(&store)?;
    // Blobs after the store: one that the store names is there, one more does no harm.
    let from = app.config.data_dir.join(EVIDENCE_FOLDER).join(BLOBS);
    let (blobs, blob_bytes) = copy_blobs(&from, &partial.join(EVIDENCE_FOLDER), &mut |_, _| Ok(()))?;
    let manifest = Manifest {
        format: FORMAT,
        created_ms,
        company: app.company.name().to_owned(),
        epoch: app.company.epoch(),
        store_sha256: hash_file(&store)?,
        blobs,
        blob_bytes,
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

/// Restores a backup into the configured data folder, which holds no store yet, under the configured engine. The store appears at the
/// end, in a new epoch; before that, a restore that failed can be begun again.
///
/// # Errors
/// [`BackupError`].
pub fn restore(config: &Config, from: &Path) -> Result<Manifest, BackupError> {
    let manifest = read_manifest(from)?;
    let data_dir = &config.data_dir;
    for kind in [crate::config::Engine::Redb, crate::config::Engine::Sled] {
        if store_path(kind, data_dir).exists() {
            return Err(BackupError::NotEmpty(data_dir.clone()));
        }
    }
    if hash_file(&from.join(STORE))? != manifest.store_sha256 {
        return Err(BackupError::Damaged("store.redb is not what the manifest vouches for".into()));
    }
    private_folder(data_dir)?;
    let evidence = data_dir.join(EVIDENCE_FOLDER).join(BLOBS);
    let mut check = |name: &str, path: &Path| {
        let good = hash_file(path)? == name;
        if good {
            Ok(())
        } else {
            Err(BackupError::Damaged(format!("evidence {name} is not what its name says")))
        }
    };
    let (blobs, _) = copy_blobs(&from.join(EVIDENCE_FOLDER), &evidence, &mut check)?;
    if blobs < manifest.blobs {
        let reason = format!("{} pieces of evidence are missing", manifest.blobs - blobs);
        return Err(BackupError::Damaged(reason));
    }
    let work = data_dir.join(RESTORING);
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    let copy = work.join("backup.redb");
    fs::copy(from.join(STORE), &copy)?;
    let stage = work.join("data");
    fs::create_dir_all(&stage)?;
    let engine = Engine::open(config.engine, &stage)?;
    engine.fill_from(&copy)?;
    let mut seed = [0; 64];
    seed[..32].copy_from_slice(&Entropy::from_system().draw::<32>());
    let company =
        Company::open(engine.store(), &config.company_name, &seed)?.restored(SystemClock.now_ms())?;
    tracing::info!(epoch = company.epoch(), "the company begins a new epoch");
    drop(company);
    engine.close()?;
    drop(engine);
    install(&stage, data_dir, &store_path(config.engine, &stage))?;
    fs::remove_dir_all(&work)?;
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

/// Moves what an engine left in `stage` into the data folder, the store itself last.
fn install(stage: &Path, data_dir: &Path, store: &Path) -> io::Result<()> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(stage)?.map(|e| e.map(|e| e.path())).collect::<io::Result<_>>()?;
    files.sort_by_key(|path| path == store);
    for path in files {
        fs::rename(&path, data_dir.join(path.file_name().unwrap_or_default()))?;
    }
    File::open(data_dir)?.sync_all()
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

const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const STORE: &str = "store.redb";
const BLOBS: &str = "blobs";
const RESTORING: &str = "restoring";
const PAGE: usize = 1_024;
