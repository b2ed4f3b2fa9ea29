//! Every engine passes every clause of the storage contract.

use std::sync::Arc;

use fieldbook_core::store::{MemoryStore, Store};
use fieldbook_engines::{RedbOptions, RedbStore};

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
