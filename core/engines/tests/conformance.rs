//! Every engine passes every clause of the storage contract.

use std::sync::Arc;

use fieldbook_core::store::{MemoryStore, Store};
use fieldbook_engines::{RedbOptions, RedbStore, SecureStore, StoreKey};

mod memory {
    use super::*;

    fieldbook_engines::conformance!({
        let store = Arc::new(MemoryStore::new());
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
