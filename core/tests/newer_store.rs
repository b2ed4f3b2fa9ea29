//! A store that a newer version wrote, or that says nothing of itself that makes sense, is left alone by both its owners.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::Arc;

use fieldbook_core::company::{self, Company, CompanyError};
use fieldbook_core::replica::{self, Replica, ReplicaError};
use fieldbook_core::store::{Batch, FORMAT_KEY, MemoryStore, Store, StoreError};

type Open = dyn Fn(Arc<dyn Store>) -> Result<(), StoreError>;

/// What opening says of a store whose format reads so, and that it leaves the store as it was.
fn opened_as(format: &[u8], open: &Open) -> Result<(), StoreError> {
    let store = Arc::new(MemoryStore::new());
    open(store.clone()).unwrap();
    let mut batch = Batch::new();
    batch.put(FORMAT_KEY, format);
    store.commit_one(batch).unwrap();
    let before = store.rows();
    let again = open(store.clone());
    assert_eq!(store.rows(), before, "nothing is written into it");
    again
}

#[test]
fn a_store_of_a_newer_version_is_refused_by_its_number_and_not_touched() {
    let server = |store: Arc<dyn Store>| match Company::open(store, "智康", &[7; 64]) {
        Ok(_) => Ok(()),
        Err(CompanyError::Store(error)) => Err(error),
        Err(other) => panic!("{other}"),
    };
    let phone = |store: Arc<dyn Store>| match Replica::open(store) {
        Ok(_) => Ok(()),
        Err(ReplicaError::Store(error)) => Err(error),
        Err(other) => panic!("{other}"),
    };
    let owners: [(&Open, u32); 2] = [(&server, company::FORMAT), (&phone, replica::FORMAT)];
    for (open, ours) in owners {
        opened_as(&ours.to_be_bytes(), open).unwrap();
        let newer = opened_as(&(ours + 1).to_be_bytes(), open);
        assert!(
            matches!(newer, Err(StoreError::TooNew { found, known }) if (found, known) == (ours + 1, ours)),
            "{newer:?}"
        );
        assert!(matches!(opened_as(b"odd", open), Err(StoreError::Damaged(_))));
    }
}
