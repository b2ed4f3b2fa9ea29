use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::conformance::{commit, feed, put, scan};
use crate::faults::{Dice, DiskLimits, VirtualDisk};

fn open(path: &Path) -> Result<RedbStore, StoreError> {
    RedbStore::open(path, &RedbOptions::default())
}

fn fill(store: &RedbStore, rows: u32, seed: u64) {
    let mut dice = Dice::new(seed);
    for from in (0..rows).step_by(100) {
        let batches =
            (from..(from + 100).min(rows)).map(|n| put(n.to_be_bytes(), dice.bytes(2_000))).collect();
        commit(store, batches);
    }
}

#[test]
fn one_handle_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let store = open(&path).unwrap();
    assert!(matches!(open(&path), Err(StoreError::InUse)));
    assert!(matches!(open(&dir.path().join("./a.db")), Err(StoreError::InUse)));
    assert!(matches!(RedbStore::remove(&path), Err(StoreError::InUse)));
    drop(store);
    drop(open(&path).unwrap());
    RedbStore::remove(&path).unwrap();
    assert!(!path.exists() && open(&path).unwrap().head().unwrap() == 0);
}

#[test]
fn what_is_not_a_store_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    for content in [&b""[..], b"a text file", &[0; 100_000], &[0xab; 100_000]] {
        std::fs::write(&path, content).unwrap();
        assert!(matches!(open(&path), Err(StoreError::Damaged(_))), "{} bytes", content.len());
        assert_eq!(std::fs::read(&path).unwrap(), content, "left as it was");
    }
    std::fs::remove_file(&path).unwrap();
    drop(open(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(open(&path), Err(StoreError::Damaged(_))), "a store that is gone is not a new one");
}

#[test]
fn a_folder_that_cannot_be_written_is_an_io_error() {
    let refused = open(Path::new("/proc/nothing/here.db"));
    assert!(matches!(refused, Err(StoreError::Io(_))), "{refused:?}");
}

#[test]
fn an_older_copy_is_refused_until_it_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("a.db"), dir.path().join("copy"));
    let store = open(&path).unwrap();
    commit(&store, vec![feed(b"f/", b"")]);
    drop(store);
    std::fs::copy(&path, &copy).unwrap();
    let store = open(&path).unwrap();
    commit(&store, vec![feed(b"f/", b"")]);
    drop(store);
    std::fs::copy(&copy, &path).unwrap();
    let refused = open(&path);
    assert!(
        matches!(&refused, Err(StoreError::Damaged(why)) if why.contains("accept_rollback")),
        "{refused:?}"
    );
    let accept = RedbOptions { accept_rollback: true, ..RedbOptions::default() };
    assert_eq!(RedbStore::open(&path, &accept).unwrap().head().unwrap(), 1);
    assert_eq!(open(&path).unwrap().head().unwrap(), 1, "accepted once, accepted");
}

#[test]
fn a_closed_store_answers_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let store = open(&path).unwrap();
    commit(&store, vec![put("k", "v")]);
    store.close().unwrap();
    store.close().unwrap();
    assert!(matches!(store.get(b"k"), Err(StoreError::Io(_))));
    assert!(matches!(store.commit(vec![put("k", "w")]), Err(StoreError::Io(_))));
    assert!(matches!(store.compact(), Err(StoreError::Io(_))));
}

#[test]
fn a_backup_of_a_running_store_is_of_one_instant() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("a.db")).unwrap();
    fill(&store, 2_000, 1);
    let to = dir.path().join("backup.db");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut n = 0u64;
            while !over.load(Ordering::Acquire) {
                let mut both = feed(b"f/", b"");
                both.put([0], n.to_be_bytes()).put([0xff], n.to_be_bytes());
                commit(&store, vec![both]);
                n += 1;
            }
            n
        });
        store.backup(&to).unwrap();
        over.store(true, Ordering::Release);
        assert!(writer.join().unwrap() > 0);
    });
    assert!(matches!(store.backup(&to), Err(StoreError::Io(_))), "never over another");
    let copy = open(&to).unwrap();
    let ends = copy.get_many(&[&[0], &[0xff]]).unwrap();
    assert_eq!(ends[0], ends[1]);
    assert_eq!(scan(&copy, b"f/", Direction::Forward, 99_999).len() as u64, copy.head().unwrap());
    assert_eq!(scan(&copy, &[0, 0], Direction::Forward, 9_999).len(), 2_000);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 6, "two stores, each with lock and mark: {left:?}");
}

/// Storage decision: the disk holds at most three times what lives, after five rounds of rewriting and upkeep.
#[test]
fn upkeep_gives_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("a.db")).unwrap();
    (0..5).for_each(|round| fill(&store, 4_000, round));
    for n in (0..4_000u32).filter(|n| n % 4 != 0) {
        let mut batch = Batch::new();
        batch.delete(n.to_be_bytes());
        commit(&store, vec![batch]);
    }
    let before = scan(&store, b"", Direction::Forward, 9_999);
    let done = store.maintain().unwrap();
    assert!(done.live_bytes >= 1_000 * 2_000 && done.live_bytes < 1_000 * 2_100, "{done:?}");
    assert!(done.compacted_to_bytes.expect("compacted") <= 3 * done.live_bytes, "{done:?}");
    assert!(scan(&store, b"", Direction::Forward, 9_999) == before);
    assert_eq!(store.maintain().unwrap().compacted_to_bytes, None, "nothing more to gain");
    commit(&store, vec![put("later", "x")]);
}

/// After `settle` an open after a kill loads what is recorded; without it the whole file is walked.
#[test]
fn settling_spares_the_next_open_the_recovery() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let recovers = |path: &Path| {
        let copy = dir.path().join("killed.db");
        std::fs::copy(path, &copy).unwrap();
        let asked = Arc::new(AtomicBool::new(false));
        let heard = asked.clone();
        let mut builder = redb::Builder::new();
        builder.set_repair_callback(move |_| heard.store(true, Ordering::Release)).open(&copy).unwrap();
        asked.load(Ordering::Acquire)
    };
    let store = open(&path).unwrap();
    fill(&store, 300, 1);
    assert!(recovers(&path));
    store.settle().unwrap();
    assert!(!recovers(&path));
    fill(&store, 1, 2);
    assert!(recovers(&path), "a later commit ends that state");
    store.close().unwrap();
    assert!(!recovers(&path));
}

#[test]
fn a_commit_that_failed_is_the_last() {
    let disk = VirtualDisk::new();
    let store = RedbStore::with_backend(disk.clone(), &RedbOptions::default()).unwrap();
    commit(&store, vec![put("k", "v")]);
    disk.limit(DiskLimits { read_only: true, ..DiskLimits::default() });
    let first = store.commit(vec![put("k", "w")]).unwrap_err();
    disk.limit(DiskLimits::default());
    let again = store.commit(vec![put("k", "w")]).unwrap_err();
    assert_eq!(first.to_string(), again.to_string());
    assert!(matches!(first, StoreError::Io(_)));
}

/// Bytes changed under a running store: the row that is hit says so when it is read.
#[test]
fn a_row_that_changed_on_the_disk_is_told() {
    let disk = VirtualDisk::new();
    let needle = b"a value that can be found on the disk";
    let options = RedbOptions { cache_bytes: 0, ..RedbOptions::default() };
    let store = RedbStore::with_backend(disk.clone(), &options).unwrap();
    commit(&store, vec![put("k", needle), put("l", "another")]);
    drop(store);
    let mut bytes = disk.bytes();
    let hits: Vec<usize> =
        (0..bytes.len() - needle.len()).filter(|&i| bytes[i..].starts_with(needle)).collect();
    assert!(!hits.is_empty());
    hits.iter().for_each(|&i| bytes[i] ^= 1);
    let store = RedbStore::with_backend(VirtualDisk::from_bytes(bytes), &options).unwrap();
    assert!(matches!(store.get(b"k"), Err(StoreError::Damaged(_))));
    assert!(matches!(store.scan(&Range::prefix(b""), Direction::Forward, 9), Err(StoreError::Damaged(_))));
    assert_eq!(store.get(b"l").unwrap(), Some(b"another".to_vec()));
}
