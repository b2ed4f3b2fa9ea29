//! The journal in front of the phone's store: power cuts at every single operation, kills, full disks and laps, on a virtual disk.
#![allow(clippy::unwrap_used, reason = "a test panics by design")]

use std::sync::atomic::{AtomicBool, Ordering};

use common::{KEY, batch, verify};
use fieldbook_core::store::{Batch, Direction, MemoryStore, Range, Store, StoreError};
use fieldbook_engines::faults::{Dice, DiskLimits, VirtualDisk};
use fieldbook_engines::{Dump, RedbOptions, SealedFile, SecureOptions, SecureStore};

#[allow(dead_code, reason = "each test binary uses a part")]
mod common;

/// Eight pages: a checkpoint every eighth commit or so, and what takes more than a page passes it by.
const TINY: u32 = 32 << 10;

fn open(disk: &VirtualDisk, journal_bytes: u32) -> Result<SecureStore, StoreError> {
    let redb = RedbOptions { cache_bytes: 1 << 20, ..RedbOptions::default() };
    SecureStore::with_backend(disk.clone(), &KEY, [1; 32], &SecureOptions { redb, journal_bytes })
}

/// The disk as a kill leaves it: everything written is there, nothing was closed.
fn killed(disk: &VirtualDisk) -> VirtualDisk {
    VirtualDisk::from_bytes(disk.bytes())
}

fn check(store: &dyn Store, acknowledged: u64, attempted: u64, at: &str) -> u64 {
    verify(store, acknowledged, attempted).unwrap_or_else(|wrong| panic!("{at}: {wrong:?}"))
}

fn small(n: u64) -> Batch {
    let mut batch = Batch::new();
    batch.put([b'k', (n % 7) as u8], n.to_be_bytes());
    batch
}

/// Commits until the disk refuses; answers how many were acknowledged and how many attempted. `settled` commits are followed by `settle`.
fn live(store: &SecureStore, from: u64, to: u64) -> (u64, u64) {
    for n in from..to {
        if store.commit_one(batch(n)).is_err() {
            return (n, n + 1);
        }
        if n % 11 == 10 && store.settle().is_err() {
            return (n + 1, n + 1);
        }
    }
    (to, to)
}

/// Whatever the power is cut in: an append, a checkpoint, the first append behind it, `settle`, a large commit that passes the journal by.
#[test]
fn a_power_cut_at_any_operation_loses_nothing() {
    let (first, last) = (52, 82);
    let begun = VirtualDisk::new();
    assert_eq!(live(&open(&begun, TINY).unwrap(), 0, first), (first, first));
    let begun = killed(&begun);
    let operations = {
        let disk = killed(&begun);
        let store = open(&disk, TINY).unwrap();
        live(&store, first, last);
        disk.counts().operations
    };
    let mut lost = 0;
    for cut in 0..operations {
        for seed in 0..3 {
            let mut dice = Dice::new(cut * 7 + seed);
            let at = format!("operation {cut} of {operations}, seed {seed}");
            let disk = killed(&begun);
            disk.limit(DiskLimits { power_cut_at: Some(cut), ..DiskLimits::default() });
            let (acknowledged, attempted) = match open(&disk, TINY) {
                Ok(store) => live(&store, first, last),
                Err(StoreError::Io(_)) => (first, first),
                Err(error) => panic!("{at}: {error}"),
            };
            let next = disk.after_power_cut(&mut dice);
            lost += u64::from(next.bytes() != disk.bytes());
            let store = open(&next, TINY).unwrap_or_else(|e| panic!("{at}: {e}"));
            let head = check(&store, acknowledged, attempted, &at);
            // Life goes on, over a whole lap, and the next kill finds all of it.
            let end = head + 9;
            assert_eq!(live(&store, head, end), (end, end), "{at}");
            check(&open(&killed(&next), TINY).unwrap(), end, end, &at);
        }
    }
    assert!(operations > 150 && lost > operations / 4, "{lost} of {operations} cuts lost a write");
}

/// Random commits, scans and reads against the model, over reopenings, kills, checkpoints asked for and journals of several lengths.
#[test]
fn random_lives_match_the_model() {
    for seed in 0..16 {
        let mut dice = Dice::new(seed);
        let journal_bytes = [0, 8 << 10, TINY, 64 << 10, 512 << 10][dice.below(5) as usize];
        let model = MemoryStore::new();
        let mut disk = VirtualDisk::new();
        let mut store = open(&disk, journal_bytes).unwrap();
        for step in 0..150 {
            let at = format!("seed {seed} step {step}, {journal_bytes} bytes");
            match dice.below(30) {
                0 => {
                    store.close().unwrap();
                    store = open(&disk, journal_bytes).unwrap();
                }
                1 | 2 => {
                    disk = killed(&disk);
                    store = open(&disk, journal_bytes).unwrap();
                }
                3 => {
                    disk = disk.after_power_cut(&mut dice);
                    store = open(&disk, journal_bytes).unwrap();
                }
                4 => store.settle().unwrap(),
                5 => {
                    store.maintain().unwrap();
                }
                _ => {
                    let batches: Vec<Batch> = (0..dice.below(4)).map(|_| random(&mut dice, &model)).collect();
                    let told = store.commit(batches.clone()).unwrap();
                    assert_eq!(told, model.commit(batches).unwrap(), "{at}");
                }
            }
            let (a, b) = (key(&mut dice), key(&mut dice));
            for range in [Range::prefix(&a), Range { from: a.clone(), to: b }] {
                let limit = [1, 3, 1_000][dice.below(3) as usize];
                for direction in [Direction::Forward, Direction::Backward] {
                    let found = store.scan(&range, direction, limit).unwrap();
                    assert!(found == model.scan(&range, direction, limit).unwrap(), "{at}: {range:?}");
                }
                let reads = (vec![a.as_slice()], [(range, limit)]);
                assert!(store.read(&reads.0, &reads.1).unwrap() == model.read(&reads.0, &reads.1).unwrap());
            }
            assert_eq!(store.head().unwrap(), model.head().unwrap(), "{at}");
        }
        let mut dumped = std::collections::BTreeMap::new();
        store
            .dump(&mut |(key, value)| {
                dumped.insert(key, value);
                Ok(())
            })
            .unwrap();
        assert!(dumped == model.rows(), "seed {seed}: a backup holds what the model holds");
    }
}

fn random(dice: &mut Dice, model: &MemoryStore) -> Batch {
    let mut batch = Batch::new();
    if dice.one_in(3) {
        let key = key(dice);
        let there = model.get(&key).unwrap();
        batch.guard(key, if dice.one_in(4) { Some(b"never".to_vec()) } else { there });
    }
    for _ in 0..dice.below(6) {
        match dice.below(8) {
            0..3 => {
                batch.delete(key(dice));
            }
            3 => {
                let slot = Some(fieldbook_core::store::Slot(0));
                batch.put_at([&[0; 8], key(dice).as_slice()].concat(), slot, Vec::new(), None);
            }
            _ => {
                let len = if dice.one_in(20) { 60_000 } else { dice.below(900) };
                batch.put(key(dice), dice.bytes(len as usize));
            }
        }
    }
    batch
}

fn key(dice: &mut Dice) -> Vec<u8> {
    (0..=dice.below(3)).map(|_| [b'a', 0, 0xff][dice.below(3) as usize]).collect()
}

#[test]
fn a_small_commit_is_one_write_and_one_flush() {
    let disk = VirtualDisk::new();
    let store = open(&disk, 512 << 10).unwrap();
    for n in 0..128 {
        let before = disk.counts();
        store.commit_one(small(n)).unwrap();
        let after = disk.counts();
        assert_eq!(
            (after.operations - before.operations, after.flushes - before.flushes),
            (2, 1),
            "commit {n}"
        );
        assert_eq!(after.unflushed_writes, 0);
    }
    let before = disk.counts();
    store.commit_one(small(128)).unwrap();
    let after = disk.counts();
    assert!(after.operations - before.operations > 4, "the 129th begins a lap, after a checkpoint");
    assert!(after.flushes - before.flushes <= 3, "which is one transaction for 128 commits");
}

/// What is checked before a commit is written writes nothing, and so does an empty one.
#[test]
fn a_commit_that_writes_nothing_costs_nothing() {
    let disk = VirtualDisk::new();
    let store = open(&disk, TINY).unwrap();
    let before = disk.counts();
    let mut refused = small(1);
    refused.guard("k", Some(b"never".to_vec()));
    store.commit(vec![Batch::new(), refused]).unwrap();
    assert_eq!(disk.counts().operations, before.operations);
}

/// A closed store opens without a replay; one that was killed with commits in its journal only reads those beside what redb reads.
#[test]
fn what_an_open_reads_of_the_journal() {
    let disk = VirtualDisk::new();
    let store = open(&disk, 512 << 10).unwrap();
    for n in 0..100 {
        store.commit_one(small(n)).unwrap();
    }
    let dirty = killed(&disk);
    store.close().unwrap();
    let reading = |disk: VirtualDisk| {
        let store = open(&disk, 0).unwrap();
        assert_eq!(store.get(&[b'k', 1]).unwrap(), Some(99u64.to_be_bytes().to_vec()));
        (disk.counts().read_bytes, disk.counts().flushes)
    };
    let (clean, dirty) = (reading(killed(&disk)), reading(dirty));
    assert!(dirty.0 >= clean.0 + 100 * 4_096, "{dirty:?} {clean:?}");
    assert!(cfg!(debug_assertions) || clean.0 < 128 << 10, "{clean:?}");
}

/// Whether redb has to walk the whole store when it opens what a kill left.
fn recovers(disk: &VirtualDisk) -> bool {
    let file = SealedFile::open(killed(disk), &KEY, [1; 32], 0).unwrap();
    let asked = std::sync::Arc::new(AtomicBool::new(false));
    let heard = asked.clone();
    let mut builder = redb::Builder::new();
    builder.set_repair_callback(move |_| heard.store(true, Ordering::Release));
    builder.create_with_backend(file.pages).unwrap();
    asked.load(Ordering::Acquire)
}

/// redb is left alone between two checkpoints: a store that was settled, or closed and opened again, stays so until then.
#[test]
fn commits_in_the_journal_leave_redb_as_it_was_settled() {
    let disk = VirtualDisk::new();
    let store = open(&disk, 64 << 10).unwrap();
    for n in 0..20 {
        store.commit_one(small(n)).unwrap();
    }
    assert!(recovers(&disk), "a checkpoint ends that state");
    store.settle().unwrap();
    store.commit_one(small(20)).unwrap();
    assert!(!recovers(&disk));
    store.close().unwrap();
    let store = open(&disk, 0).unwrap();
    for n in 21..36 {
        store.commit_one(small(n)).unwrap();
    }
    assert!(!recovers(&disk));
    for n in 36..40 {
        store.commit_one(small(n)).unwrap();
    }
    assert!(recovers(&disk));
}

#[test]
fn a_full_disk_takes_appends_and_refuses_the_checkpoint() {
    let disk = VirtualDisk::new();
    let store = open(&disk, TINY).unwrap();
    let full = Some(disk.bytes().len() as u64);
    disk.limit(DiskLimits { capacity_bytes: full, ..DiskLimits::default() });
    // Rows that never repeat: sooner or later a checkpoint wants more room.
    let row = |n: u64| {
        let mut batch = Batch::new();
        batch.put(n.to_be_bytes(), Dice::new(n).bytes(3_000));
        batch
    };
    let mut acknowledged = 0;
    let refused = loop {
        match store.commit_one(row(acknowledged)) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Io(_)) && acknowledged >= 8, "{acknowledged}: {refused:?}");
    assert!(matches!(store.commit_one(small(0)), Err(StoreError::Io(_))), "and everything after it");
    assert!(matches!(store.settle(), Err(StoreError::Io(_))));
    // Still full: what was acknowledged is there.
    let there =
        |store: &SecureStore| store.scan(&Range::prefix(b"\0"), Direction::Forward, 9_999).unwrap().len();
    drop(store);
    let again = killed(&disk);
    again.limit(DiskLimits { capacity_bytes: full, ..DiskLimits::default() });
    let store = open(&again, TINY).unwrap();
    assert_eq!(there(&store), acknowledged as usize);
    assert!(store.close().is_err(), "it could not be put away");
    drop(store);
    again.limit(DiskLimits::default());
    let store = open(&again, TINY).unwrap();
    assert_eq!(there(&store), acknowledged as usize);
    store.commit_one(row(acknowledged)).unwrap();
    store.close().unwrap();
    assert_eq!(there(&open(&again, TINY).unwrap()), acknowledged as usize + 1);
}

#[test]
fn an_append_that_failed_is_the_last_commit() {
    let disk = VirtualDisk::new();
    let store = open(&disk, TINY).unwrap();
    store.commit_one(small(1)).unwrap();
    disk.limit(DiskLimits { read_only: true, ..DiskLimits::default() });
    let first = store.commit_one(small(8)).unwrap_err();
    assert!(matches!(&first, StoreError::Io(why) if why.contains("journal")), "{first:?}");
    assert_eq!(store.get(&[b'k', 1]).unwrap(), Some(1u64.to_be_bytes().to_vec()), "nobody sees it");
    disk.limit(DiskLimits::default());
    assert_eq!(store.commit_one(small(15)).unwrap_err().to_string(), first.to_string());
    drop(store);
    let store = open(&disk, TINY).unwrap();
    assert_eq!(store.get(&[b'k', 1]).unwrap(), Some(1u64.to_be_bytes().to_vec()));
    store.commit_one(small(15)).unwrap();
}

/// The dump is of one instant and holds nobody up, although checkpoints, large commits and `settle` pass under it.
#[test]
fn a_dump_is_of_one_instant_while_writers_go_on() {
    let store = open(&VirtualDisk::new(), TINY).unwrap();
    let all = |n: u8| {
        let mut batch = Batch::new();
        for row in 0..100u32 {
            batch.put(row.to_be_bytes(), [n; 20]);
        }
        batch
    };
    let (mut seen, mut n) = (0, 1);
    // In redb, and half of it again in the journal.
    store.commit_one(all(n)).unwrap();
    store.settle().unwrap();
    for row in (0..100u32).step_by(2) {
        let mut batch = Batch::new();
        batch.put(row.to_be_bytes(), [n; 20]);
        store.commit_one(batch).unwrap();
    }
    store
        .dump(&mut |(_, value)| {
            assert_eq!(value, [1; 20]);
            seen += 1;
            n += 1;
            store.commit_one(all(n))?;
            if n % 5 == 0 { store.commit_one(batch(0)).map(drop) } else { Ok(()) }
        })
        .unwrap();
    assert_eq!((seen, n), (100, 101));
}

/// Readers beside a writer whose commits pass through journal, checkpoint and redb: whoever reads sees each commit whole, and never an older
/// one after a newer one.
#[test]
fn a_reader_never_sees_half_a_checkpoint() {
    let store = open(&VirtualDisk::new(), TINY).unwrap();
    let write = |n: u64| {
        let mut batch = Batch::new();
        // Some are large.
        let weight = if n.is_multiple_of(5) { 40_000 } else { 10 };
        batch.put("a", n.to_be_bytes()).put("b", n.to_be_bytes()).put("weight", vec![1; weight]);
        store.commit_one(batch).unwrap();
    };
    write(0);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let (mut last, mut reads) = (0, 0);
                    while !over.load(Ordering::Acquire) {
                        let (values, pages) = store.read(&[b"a"], &[(Range::prefix(b"b"), 1)]).unwrap();
                        let a = values[0].clone().unwrap();
                        assert_eq!(a, pages[0][0].1);
                        let a = u64::from_be_bytes(a.try_into().unwrap());
                        assert!(a >= last, "{a} after {last}");
                        (last, reads) = (a, reads + 1);
                    }
                    reads
                })
            })
            .collect();
        (1..400).for_each(write);
        over.store(true, Ordering::Release);
        for reader in readers {
            assert!(reader.join().unwrap() > 20);
        }
    });
}

/// Damage in the journal that a power cut cannot explain: the mark knows how many commits there were.
#[test]
fn a_journal_that_lost_acknowledged_commits_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let store = SecureStore::open(&live, &KEY, [1; 32]).unwrap();
    for n in 0..30 {
        store.commit_one(small(n)).unwrap();
    }
    let copy = |name: &str| {
        let to = dir.path().join(name);
        std::fs::copy(&live, &to).unwrap();
        std::fs::copy(dir.path().join("live.mark"), dir.path().join(format!("{name}.mark"))).unwrap();
        to
    };
    let (whole, hurt) = (copy("whole"), copy("hurt"));
    assert_eq!(SecureStore::open(&whole, &KEY, [1; 32]).unwrap().get(&[b'k', 1]).unwrap().unwrap()[7], 29);
    let mut bytes = std::fs::read(&hurt).unwrap();
    bytes[4_096 + 20 * 4_096 + 30] ^= 1;
    std::fs::write(&hurt, &bytes).unwrap();
    let refused = SecureStore::open(&hurt, &KEY, [1; 32]).map(drop);
    assert!(matches!(&refused, Err(StoreError::Damaged(why)) if why.contains("30 commits")), "{refused:?}");
    let redb = RedbOptions { accept_rollback: true, ..RedbOptions::default() };
    let options = SecureOptions { redb, ..SecureOptions::default() };
    let store = SecureStore::open_with(&hurt, &KEY, [1; 32], &options).unwrap();
    assert_eq!(store.get(&[b'k', 5]).unwrap().unwrap()[7], 19, "twenty of them are left");
}
