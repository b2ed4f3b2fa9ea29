use super::*;

#[test]
fn opens_writes_reopens() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let store = RedbStore::open(&path, &RedbOptions::default()).unwrap();
    let mut batch = Batch::new();
    batch.put("k", "v");
    store.commit_one(batch).unwrap();
    assert!(matches!(RedbStore::open(&path, &RedbOptions::default()), Err(StoreError::InUse)));
    drop(store);
    let store = RedbStore::open(&path, &RedbOptions::default()).unwrap();
    assert_eq!(store.get(b"k").unwrap().unwrap(), b"v");
}
