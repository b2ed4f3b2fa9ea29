//! Every engine passes every clause of the storage contract.
#![allow(clippy::unwrap_used, reason = "a test panics by design")]

use std::sync::Arc;

use fieldbook_core::store::{MemoryStore, Store};
use fieldbook_engines::{
    RedbOptions, RedbStore, SecureOptions, SecureStore, SledOptions, SledStore, StoreKey,
};

mod memory {
    use super::*;

    fieldbook_engines::conformance!({
        let store = Arc::new(MemoryStore::new());
        move || -> Arc<dyn Store> { store.clone() }
    });
}

mod faulty {
    use super::*;

    fieldbook_engines::conformance!({
        let store = Arc::new(fieldbook_engines::faults::FaultyStore::new());
        move || -> Arc<dyn Store> { store.clone() }
    });
}

mod redb {
    use super::*;

    fieldbook_engines::conformance!({
        let dir = tempfile::tempdir().unwrap();
        move || -> Arc<dyn Store> {
            Arc::new(RedbStore::open(dir.path().join("store.redb"), &RedbOptions::default()).unwrap())
        }
    });
}

mod secure {
    use super::*;

    fieldbook_engines::conformance!({
        let dir = tempfile::tempdir().unwrap();
        move || -> Arc<dyn Store> {
            Arc::new(SecureStore::open(dir.path().join("phone.redb"), &StoreKey([7; 32]), [1; 32]).unwrap())
        }
    });
}

/// A checkpoint every few commits, and between two of them commits that pass the journal by.
mod secure_with_a_tiny_journal {
    use super::*;

    fieldbook_engines::conformance!({
        let dir = tempfile::tempdir().unwrap();
        let options = SecureOptions { journal_bytes: 32 << 10, ..SecureOptions::default() };
        move || -> Arc<dyn Store> {
            let path = dir.path().join("phone.redb");
            Arc::new(SecureStore::open_with(path, &StoreKey([7; 32]), [1; 32], &options).unwrap())
        }
    });
}

mod sled {
    use super::*;

    fieldbook_engines::conformance!({
        let dir = tempfile::tempdir().unwrap();
        let options = SledOptions { cache_bytes: 16 << 20, ..SledOptions::default() };
        move || -> Arc<dyn Store> { Arc::new(SledStore::open(dir.path().join("sled"), &options).unwrap()) }
    });
}
