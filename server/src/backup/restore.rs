//! Restoring a backup begins a new epoch of the log and a new actor of the server (design decision 6), so that phones which saw more than
//! the backup holds give it back; and it ends again what ended since, by the tombstones that are kept outside the backup.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use fieldbook_core::company::{Company, CompanyError, DeviceStatus, UserRow};

use super::tombstones::{self, Tombstone};
use super::{BLOBS, BackupError, Manifest, SENT, STORE, copy_blobs, hash_file, read_manifest, undone};
use crate::app::{Clock, EVIDENCE_FOLDER, SystemClock, private_folder};
use crate::auth::{Auth, Entropy};
use crate::config::{self, Config};
use crate::engine::{Engine, store_path};
use crate::evidence;

/// What came of the tombstones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reapplied {
    /// So many were read, and what they name is over in the restored company too.
    All(usize),
    /// There were none: whatever ended after the backup is as good as it was then.
    NoneFound,
}

/// A company that was restored.
#[derive(Debug)]
pub struct Restored {
    /// The backup's.
    pub manifest: Manifest,
    /// What ended again.
    pub reapplied: Reapplied,
    /// What was undone that no tombstone names, and what to check, for whoever restores.
    pub undone: String,
}

/// Restores a backup into the configured data folder, which holds no store yet, under the configured engine. The store appears at the
/// end, in a new epoch; before that, a restore that failed can be begun again.
///
/// `buried` is where the old server's tombstones lie: its data folder, or a copy of the file. Those that the data folder has already are
/// taken too.
///
/// # Errors
/// [`BackupError`].
pub fn restore(config: &Config, from: &Path, buried: Option<&Path>) -> Result<Restored, BackupError> {
    let manifest = read_manifest(from)?;
    let data_dir = &config.data_dir;
    for kind in [config::Engine::Redb, config::Engine::Sled] {
        if store_path(kind, data_dir).exists() {
            return Err(BackupError::NotEmpty(data_dir.clone()));
        }
    }
    if hash_file(&from.join(STORE))? != manifest.store_sha256 {
        return Err(BackupError::Damaged("store.redb is not what the manifest vouches for".into()));
    }
    let sent = fs::read_to_string(from.join(SENT)).unwrap_or_default();
    if hash_file(&from.join(SENT))? != manifest.sent_sha256 {
        return Err(BackupError::Damaged(format!("{SENT} is not what the manifest vouches for")));
    }
    let stones = stones(data_dir, buried)?;
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
    evidence::restore_marks(&data_dir.join(EVIDENCE_FOLDER), &sent)?;
    if let Some(stones) = &stones {
        tombstones::write_all(data_dir, stones)?;
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
    let auth = Auth::new(engine.store(), config.public_url(), config.auth.clone());
    for (_, stone) in stones.iter().flatten() {
        end_again(&company, &auth, *stone, SystemClock.now_ms())?;
    }
    let undone = undone::describe(&manifest, &company)?;
    undone::leave(data_dir, &undone)?;
    drop((company, auth));
    engine.close()?;
    drop(engine);
    install(&stage, data_dir, &store_path(config.engine, &stage))?;
    fs::remove_dir_all(&work)?;
    let reapplied = stones.map_or(Reapplied::NoneFound, |stones| Reapplied::All(stones.len()));
    Ok(Restored { manifest, reapplied, undone })
}

/// The tombstones of the data folder and those of the old server, oldest first and each once; `None` when there is no file at all.
fn stones(data_dir: &Path, buried: Option<&Path>) -> Result<Option<Vec<(i64, Tombstone)>>, BackupError> {
    let mut stones = Vec::new();
    let own = tombstones::file_of(data_dir);
    let mut found = own.is_file();
    if found {
        stones.extend(tombstones::read(&own)?);
    }
    if let Some(path) = buried {
        let file = tombstones::file_of(path);
        if !file.is_file() {
            return Err(BackupError::NoTombstones(path.to_owned()));
        }
        for stone in tombstones::read(&file)? {
            if !stones.contains(&stone) {
                stones.push(stone);
            }
        }
        found = true;
    }
    stones.sort_by_key(|(at_ms, _)| *at_ms);
    Ok(found.then_some(stones))
}

/// Ends in the restored company what a tombstone names. What the backup never saw needs nothing: a device of that kind is asked about when it
/// comes with a code.
fn end_again(company: &Company, auth: &Auth, stone: Tombstone, now_ms: i64) -> Result<(), BackupError> {
    let known = |asked: Result<(), CompanyError>| match asked {
        Err(CompanyError::Unknown { .. }) => Ok(()),
        other => other,
    };
    match stone {
        Tombstone::Device { device, stolen } => known(company.device(device).and_then(|row| {
            let status = match row.status {
                DeviceStatus::Active | DeviceStatus::Revoked if stolen => DeviceStatus::Stolen,
                DeviceStatus::Active => DeviceStatus::Revoked,
                // What is over already stays as it ended.
                DeviceStatus::Revoked | DeviceStatus::Stolen | DeviceStatus::Wiped => return Ok(()),
            };
            company.set_device_status(device, status, now_ms).map(|_| ())
        }))?,
        Tombstone::User { user, active } => known(company.user(user).and_then(|row| {
            if row.active == active {
                return Ok(());
            }
            company.put_user(user, UserRow { active, ..row }, now_ms).map(|_| ())
        }))?,
        Tombstone::IntakeKey(key) => known(company.revoke_intake_key(key, now_ms))?,
        Tombstone::Code(_) | Tombstone::Key(_) | Tombstone::SignIn(..) => auth.end_again(stone, now_ms)?,
    }
    Ok(())
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

const RESTORING: &str = "restoring";
