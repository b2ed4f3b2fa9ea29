//! The storage engine that the operator chose, behind the contract, with what only an engine can do: backup and upkeep.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fieldbook_core::store::{Store, StoreError};
use fieldbook_engines::{RedbOptions, RedbStore};

use crate::config;

/// An open engine.
pub struct Engine {
    redb: Arc<RedbStore>,
}

impl Engine {
    /// Opens the store of a data folder, creating it when there is none.
    ///
    /// # Errors
    /// Those of the engine; [`StoreError::Io`] when the folder holds a store of another engine.
    pub fn open(kind: config::Engine, data_dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(kind, data_dir, &RedbOptions::default())
    }

    /// As [`Engine::open`], reading and checking every page of the file.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_verified(kind: config::Engine, data_dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(kind, data_dir, &RedbOptions { verify: true, ..RedbOptions::default() })
    }

    fn open_with(kind: config::Engine, data_dir: &Path, options: &RedbOptions) -> Result<Self, StoreError> {
        match kind {
            config::Engine::Redb => {
                Ok(Self { redb: Arc::new(RedbStore::open(redb_path(data_dir), options)?) })
            }
            config::Engine::Sled => Err(StoreError::Io("this build holds no sled engine".into())),
        }
    }

    /// The store, for everybody.
    pub fn store(&self) -> Arc<dyn Store> {
        self.redb.clone()
    }

    /// Copies the running store, as of one instant, into a fresh redb file.
    ///
    /// # Errors
    /// [`StoreError::Io`] when `to` exists or the disk refuses.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        self.redb.backup(to)
    }

    /// Reclaims space when there is enough to reclaim.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn maintain(&self) -> Result<(), StoreError> {
        let report = self.redb.maintain()?;
        tracing::info!(file_bytes = report.file_bytes, live_bytes = report.live_bytes, "store maintained");
        Ok(())
    }

    /// Bytes on the disk.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn file_bytes(&self) -> Result<u64, StoreError> {
        self.redb.file_bytes()
    }

    /// Leaves the store in order; no commit may follow.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn close(&self) -> Result<(), StoreError> {
        self.redb.close()
    }
}

/// Where the redb store of a data folder lies.
pub fn redb_path(data_dir: &Path) -> PathBuf {
    data_dir.join("store.redb")
}
