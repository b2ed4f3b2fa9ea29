//! What a phone may no longer hold is not only out of its rows: after its maintenance no page of the file, decrypted, has a word of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::path::Path;

use fieldbook_core::store::{Batch, Direction, Range, Row, Store};
use fieldbook_engines::faults::Dice;
use fieldbook_engines::{SealedFile, SecureStore, StoreKey};
use redb::StorageBackend;

const KEY: StoreKey = StoreKey([7; 32]);

/// How often a word stands anywhere in the file, read with the key: the journal, rows, freed pages, whatever.
fn traces(path: &Path, word: &str) -> usize {
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let plain = redb::backends::FileBackend::new(file).unwrap();
    let file = SealedFile::open(plain, &KEY, [0; 32], 0).unwrap();
    let in_part = |part: &dyn StorageBackend| {
        let mut bytes = vec![0; part.len().unwrap() as usize];
        part.read(0, &mut bytes).unwrap();
        bytes.windows(word.len()).filter(|window| *window == word.as_bytes()).count()
    };
    in_part(&file.journal) + in_part(&file.pages)
}

/// A phone's life: small commits that write leads of both kinds between each other, values of some pages' length among them, and
/// overwrite what was there.
fn live(store: &SecureStore, dice: &mut Dice, commits: u64, gone_one_in: u64) {
    for n in 0..commits {
        let mut batch = Batch::new();
        let (lead, word) =
            if n.checked_rem(gone_one_in) == Some(0) { ("gone", GONE) } else { ("mine", MINE) };
        batch.put(format!("c/{lead}/{n:05}"), word.repeat(3 + dice.below(40) as usize));
        batch.put(format!("s/{lead}/{}", dice.below(30)), word.repeat(20 + dice.below(1_500) as usize));
        batch.put(format!("h/{lead}/{}", dice.below(50)), word);
        if dice.one_in(3) {
            batch.delete(format!("c/{lead}/{:05}", dice.below(n + 1)));
        }
        store.commit_one(batch).unwrap();
    }
}

fn rows(store: &SecureStore) -> Vec<Row> {
    let everything = Range { from: Vec::new(), to: Vec::new() };
    store.scan(&everything, Direction::Forward, 16_384).unwrap()
}

fn wipe(store: &SecureStore, lead: &str) {
    for table in ["c", "s", "h"] {
        loop {
            let range = Range::prefix(format!("{table}/{lead}").as_bytes());
            let page = store.scan(&range, Direction::Forward, 100).unwrap();
            if page.is_empty() {
                break;
            }
            let mut batch = Batch::new();
            page.into_iter().for_each(|(key, _)| {
                batch.delete(key);
            });
            store.commit_one(batch).unwrap();
        }
    }
}

#[test]
fn nothing_of_a_wiped_document_is_left_after_maintenance() {
    // Commits, how many of them concern what will be wiped, commits after the wipe.
    for (seed, (commits, gone_one_in, after)) in
        [(3, 1, 0), (60, 2, 0), (60, 2, 5), (400, 2, 0), (400, 20, 0), (400, 20, 30), (700, 100, 10)]
            .into_iter()
            .enumerate()
    {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rep.fieldbook");
        let store = SecureStore::open(&path, &KEY, [1; 32]).unwrap();
        let mut dice = Dice::new(seed as u64);
        live(&store, &mut dice, commits, gone_one_in);
        live(&store, &mut dice, 2, 2);
        wipe(&store, "gone");
        live(&store, &mut dice, after, 0);
        let kept = rows(&store);
        store.scrub().unwrap();
        assert_eq!(rows(&store), kept);
        store.commit_one(Batch::new()).unwrap();
        live(&store, &mut dice, 3, 0);
        let kept = rows(&store);
        store.close().unwrap();
        let again = SecureStore::open(&path, &KEY, [2; 32]).unwrap();
        assert!(rows(&again) == kept && again.head().unwrap() == 0, "the file in its place is the store");
        again.close().unwrap();
        let (gone, mine) = (traces(&path, GONE), traces(&path, MINE));
        assert!(mine > 0, "the test looks in the wrong place");
        assert_eq!(gone, 0, "case {seed}, beside {mine} of what is still there");
    }
}

/// Written and removed between two checkpoints: redb never had it.
#[test]
fn nothing_of_what_only_the_journal_ever_had_is_left_after_maintenance() {
    for closed_before in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rep.fieldbook");
        let mut store = SecureStore::open(&path, &KEY, [1; 32]).unwrap();
        let mut batch = Batch::new();
        batch.put("c/mine", MINE);
        store.commit_one(batch).unwrap();
        let mut batch = Batch::new();
        batch.put("c/gone", GONE);
        store.commit_one(batch).unwrap();
        let mut batch = Batch::new();
        batch.delete("c/gone");
        store.commit_one(batch).unwrap();
        if closed_before {
            store.close().unwrap();
            assert_eq!(traces(&path, GONE), 1, "the test looks in the wrong place");
            store = SecureStore::open(&path, &KEY, [1; 32]).unwrap();
        }
        store.scrub().unwrap();
        let mut batch = Batch::new();
        batch.put("c/mine too", MINE);
        store.commit_one(batch).unwrap();
        store.close().unwrap();
        assert_eq!((traces(&path, GONE), traces(&path, MINE) > 0), (0, true));
    }
}

#[test]
fn a_store_that_cannot_be_written_anew_goes_on_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rep.fieldbook");
    let store = SecureStore::open(&path, &KEY, [1; 32]).unwrap();
    let mut dice = Dice::new(5);
    live(&store, &mut dice, 20, 2);
    let kept = rows(&store);
    // In the place that the new file is to take stands something else.
    let away = dir.path().join("away");
    std::fs::rename(dir.path().join("rep.fieldbook"), &away).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(store.scrub().is_err(), "a file does not take the place of a folder");
    assert_eq!(rows(&store), kept);
    live(&store, &mut dice, 3, 0);
    let kept = rows(&store);
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&away, &path).unwrap();
    store.scrub().unwrap();
    store.close().unwrap();
    assert_eq!(
        rows(&SecureStore::open(&path, &KEY, [2; 32]).unwrap()),
        kept,
        "nothing that was written is lost"
    );
}

const MINE: &str = "自己的客户";
const GONE: &str = "别人的客户";
