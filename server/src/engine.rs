//! The storage engine that the operator chose, behind the contract, with what only an engine can do: backup and upkeep.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fieldbook_core::store::{Row, Store, StoreError};
use fieldbook_engines::{Dump, Maintenance, RedbOptions, RedbStore, SledOptions, SledStore, copy_rows};

use crate::config;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data folder holds a store of the other engine.
    #[error(
        "{0} holds a store of another engine than `store.engine` says; set it, or restore a backup under this one"
    )]
    Other(PathBuf),
}

/// An open engine.
pub enum Engine {
    /// The engine of record.
    Redb(Arc<RedbStore>),
    /// More writes a second, more disk.
    Sled(Arc<SledStore>),
}

impl Engine {
    /// Opens the store of a data folder, creating it when there is none.
    ///
    /// # Errors
    /// Those of the engine; [`EngineError::Other`] when the folder holds a store of the other one.
    pub fn open(kind: config::Engine, data_dir: &Path) -> Result<Self, EngineError> {
        Self::open_with(kind, data_dir, false)
    }

    /// As [`Engine::open`], reading and checking every page of a redb file first.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_verified(kind: config::Engine, data_dir: &Path) -> Result<Self, EngineError> {
        Self::open_with(kind, data_dir, true)
    }

    /// A redb store in memory, for tests that need no disk.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn in_memory() -> Result<Self, StoreError> {
        let backend = fieldbook_engines::InMemoryBackend::new();
        Ok(Self::Redb(Arc::new(RedbStore::with_backend(backend, &RedbOptions::default())?)))
    }

    fn open_with(kind: config::Engine, data_dir: &Path, verify: bool) -> Result<Self, EngineError> {
        let other = match kind {
            config::Engine::Redb => config::Engine::Sled,
            config::Engine::Sled => config::Engine::Redb,
        };
        if store_path(other, data_dir).exists() {
            return Err(EngineError::Other(data_dir.to_owned()));
        }
        let path = store_path(kind, data_dir);
        Ok(match kind {
            config::Engine::Redb => Self::Redb(Arc::new(RedbStore::open(
                path,
                &RedbOptions { verify, ..RedbOptions::default() },
            )?)),
            config::Engine::Sled => Self::Sled(Arc::new(SledStore::open(path, &SledOptions::default())?)),
        })
    }

    /// The store, for everybody.
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Redb(store) => store.clone(),
            Self::Sled(store) => store.clone(),
        }
    }

    /// Copies the running store, as of one instant, into a fresh redb file, whatever the engine.
    ///
    /// # Errors
    /// [`StoreError::Io`] when `to` exists or the disk refuses.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        match self {
            Self::Redb(store) => store.backup(to),
            Self::Sled(store) => store.backup(to),
        }
    }

    /// Fills this empty store from a backup's file.
    ///
    /// # Errors
    /// Those of either store; this one must then be thrown away.
    pub fn fill_from(&self, backup: &Path) -> Result<(), StoreError> {
        let from = RedbStore::open(backup, &RedbOptions { verify: true, ..RedbOptions::default() })?;
        copy_rows(&from, &*self.store())?;
        from.close()
    }

    /// Reads every row; how many there are.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] at the first row that is not what was written.
    pub fn read_all(&self) -> Result<u64, StoreError> {
        let mut rows = 0;
        let mut count = |_: Row| {
            rows += 1;
            Ok(())
        };
        match self {
            Self::Redb(store) => store.dump(&mut count)?,
            Self::Sled(store) => store.dump(&mut count)?,
        }
        Ok(rows)
    }

    /// Reclaims space when there is enough to reclaim. Readers and writers wait meanwhile.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn maintain(&self) -> Result<Maintenance, StoreError> {
        match self {
            Self::Redb(store) => store.maintain(),
            Self::Sled(store) => store.maintain(),
        }
    }

    /// Why the store takes no writes any more; `None` while it does.
    pub fn failed(&self) -> Option<StoreError> {
        match self {
            Self::Redb(store) => store.failed(),
            Self::Sled(store) => store.failed(),
        }
    }

    /// Bytes on the disk.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn file_bytes(&self) -> Result<u64, StoreError> {
        match self {
            Self::Redb(store) => store.file_bytes(),
            Self::Sled(store) => store.file_bytes(),
        }
    }

    /// Leaves the store in order; every later call is refused.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn close(&self) -> Result<(), StoreError> {
        match self {
            Self::Redb(store) => store.close(),
            Self::Sled(store) => store.close(),
        }
    }
}

/// Where an engine keeps the store of a data folder.
pub fn store_path(kind: config::Engine, data_dir: &Path) -> PathBuf {
    match kind {
        config::Engine::Redb => data_dir.join("store.redb"),
        config::Engine::Sled => data_dir.join("store.sled"),
    }
}
