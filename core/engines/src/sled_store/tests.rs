use super::*;
use crate::faults::Dice;
use crate::lock::beside;

fn store(path: &Path) -> Result<SledStore, StoreError> {
    SledStore::open(path, &SledOptions { cache_bytes: 8 << 20, ..SledOptions::default() })
}

fn put(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Batch {
    let mut batch = Batch::new();
    batch.put(key, value);
    batch
}

#[test]
fn a_half_written_snapshot_does_not_stop_the_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sled");
    store(&path).unwrap().commit_one(put("k", "v")).unwrap();
    std::fs::write(path.join("snap.00000000000000FF.generating"), b"half").unwrap();
    let store = store(&path).unwrap();
    assert_eq!(store.get(b"k").unwrap(), Some(b"v".to_vec()));
    assert!(!path.join("snap.00000000000000FF.generating").exists());
}

#[test]
fn no_page_ever_goes_to_a_file_that_is_not_synced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sled");
    let store = store(&path).unwrap();
    let mut dice = Dice::new(1);
    let key = |n: u64| [vec![b'k'; 500], n.to_be_bytes().to_vec()].concat();
    for round in 0..40 {
        let mut batch = Batch::new();
        for _ in 0..60 {
            let len = [rows::PIECE_BYTES, rows::PIECE_BYTES - 1, 300 << 10][usize::from(dice.one_in(20)) * 2];
            batch.put(key(dice.below(200)), dice.bytes(len));
            if round > 20 {
                batch.delete(key(dice.below(200)));
            }
        }
        store.commit_one(batch).unwrap();
    }
    assert_eq!(std::fs::read_dir(path.join("blobs")).unwrap().count(), 0);
}

#[test]
fn space_comes_back_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sled");
    let store = store(&path).unwrap();
    let mut dice = Dice::new(2);
    let live = |store: &SledStore| store.scan(&Range::prefix(b""), Direction::Forward, 9_999).unwrap();
    // The engine clears up behind itself, too, more or less of it in the time that it has.
    let mut rounds = 0;
    while rounds < 30 || store.file_bytes().unwrap() <= 3 * LIVE_BYTES + SLACK_BYTES {
        rounds += 1;
        assert!(rounds < 1_000, "nothing is ever left to give back");
        let mut batch = Batch::new();
        (0..200).for_each(|n: u32| {
            batch.put(n.to_be_bytes(), dice.bytes(9_000));
        });
        store.commit_one(batch).unwrap();
    }
    let before = live(&store);
    let done = store.maintain().unwrap();
    let after = done.compacted_to_bytes.expect("the rounds of rewriting leave something to give back");
    assert!(after <= 3 * done.live_bytes, "{done:?}");
    assert!(live(&store) == before);
    store.commit_one(put("later", "x")).unwrap();
    drop(store);
    // A crash between the renames of a swap.
    std::fs::rename(&path, beside(&path, "old")).unwrap();
    let store = self::store(&path).unwrap();
    assert!(live(&store).len() == before.len() + 1);
}

#[test]
fn a_backup_is_of_one_instant_while_writers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir.path().join("sled")).unwrap();
    for n in 0..3_000u32 {
        if n % 100 == 0 {
            store.commit((n..n + 100).map(|n| put(n.to_be_bytes(), 0u32.to_be_bytes())).collect()).unwrap();
        }
    }
    let mut round = 0u32;
    let mut seen = Vec::new();
    store
        .dump(&mut |(key, value)| {
            // A commit in the middle of the copy rewrites, removes and adds rows before and behind it.
            if seen.len() % 700 == 0 {
                round += 1;
                let mut batch = Batch::new();
                (0..3_000u32).step_by(7).for_each(|n| {
                    batch.put(n.to_be_bytes(), round.to_be_bytes());
                });
                (3..3_000u32).step_by(11).for_each(|n| {
                    batch.delete(n.to_be_bytes());
                });
                batch.put(b"new", b"x").put(9_999u32.to_be_bytes(), b"x");
                store.commit_one(batch)?;
            }
            assert_eq!(value, [0; 4]);
            seen.push(key);
            Ok(())
        })
        .unwrap();
    assert!(round >= 4);
    assert!(seen.into_iter().eq((0..3_000u32).map(|n| n.to_be_bytes().to_vec())));

    let backup = dir.path().join("backup.redb");
    store.backup(&backup).unwrap();
    assert!(matches!(store.backup(&backup), Err(StoreError::Io(_))), "never over another");
    let restored = self::store(&dir.path().join("restored")).unwrap();
    crate::copy_rows(&RedbStore::open(&backup, &RedbOptions::default()).unwrap(), &restored).unwrap();
    let whole = Range::prefix(b"");
    assert!(
        restored.scan(&whole, Direction::Forward, 9_999).unwrap()
            == store.scan(&whole, Direction::Forward, 9_999).unwrap()
    );
}

#[test]
fn a_store_that_sled_does_not_understand_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sled");
    store(&path).unwrap().commit_one(put("k", "v")).unwrap();
    std::fs::write(path.join("db"), vec![0x5a; 1 << 20]).unwrap();
    let refused = store(&path);
    assert!(matches!(&refused, Err(StoreError::Damaged(why)) if why.contains("damaged-1")), "{refused:?}");
    assert!(matches!(store(&path), Err(StoreError::Damaged(_))), "and stays refused");
    assert!(beside(&path, "damaged-1").join("db").exists());
}

#[test]
fn a_folder_that_is_gone_is_not_taken_for_a_new_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sled");
    store(&path).unwrap().commit_one(put("k", "v")).unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    assert!(matches!(store(&path), Err(StoreError::Damaged(_))));
    SledStore::remove(&path).unwrap();
    assert_eq!(store(&path).unwrap().get(b"k").unwrap(), None);
}

/// What the rows of the rewriting weigh.
const LIVE_BYTES: u64 = 200 * 9_004;
