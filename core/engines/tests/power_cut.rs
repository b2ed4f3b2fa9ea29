//! Power cuts, torn writes, full and read-only disks, on a virtual disk: whatever was acknowledged is there afterwards, each
//! batch whole, and a flush precedes every acknowledgement. Plain redb and the encrypted store with its journal alike
//! (of the journal alone: `journal.rs`).
#![allow(clippy::unwrap_used, reason = "a test panics by design")]

use common::{JOURNAL_BYTES, KEY, batch, cases, verify};
use fieldbook_core::store::{Outcome, Store, StoreError};
use fieldbook_engines::faults::{Dice, DiskLimits, VirtualDisk};
use fieldbook_engines::{RedbOptions, RedbStore, SecureOptions, SecureStore};

#[allow(dead_code, reason = "each test binary uses a part")]
mod common;

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    let cuts = cases("FIELDBOOK_POWER_CUTS", 120);
    for encrypted in [false, true] {
        for seed in 0..cuts {
            power_cut(seed, encrypted, false);
        }
    }
}

/// The rig itself: on a disk whose flushes do nothing the same run must lose what was acknowledged.
#[test]
fn a_disk_that_lies_is_caught() {
    let caught = (0..20).filter(|&seed| std::panic::catch_unwind(|| power_cut(seed, false, true)).is_err());
    assert!(caught.count() >= 10);
}

#[test]
fn a_flush_precedes_every_acknowledgement() {
    for encrypted in [false, true] {
        let disk = VirtualDisk::new();
        let store = open(&disk, encrypted).unwrap();
        let opened = disk.counts().flushes;
        for n in 0..50 {
            let before = disk.counts().flushes;
            store.commit((0..4).map(|i| batch(n * 4 + i)).collect()).unwrap();
            let after = disk.counts();
            assert!(after.flushes > before, "no flush");
            assert_eq!(after.unflushed_writes, 0, "nothing acknowledged is left in the disk's cache");
        }
        let flushes = disk.counts().flushes - opened;
        let (most, bar) = if encrypted { (60, "empty the journal") } else { (55, "grow the file") };
        assert!(flushes <= most, "one flush serves four batches, bar those that {bar}: {flushes}");
    }
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    for encrypted in [false, true] {
        let disk = VirtualDisk::new();
        let store = open(&disk, encrypted).unwrap();
        let capacity_bytes = Some(disk.bytes().len() as u64 + (1 << 20));
        disk.limit(DiskLimits { capacity_bytes, ..DiskLimits::default() });
        let mut acknowledged = 0;
        let error = loop {
            match store.commit_one(batch(acknowledged)) {
                Ok(_) => acknowledged += 1,
                Err(error) => break error,
            }
            assert!(acknowledged < 10_000, "the disk never filled");
        };
        assert!(matches!(error, StoreError::Io(_)), "{error:?}");
        disk.limit(DiskLimits::default());
        let again = store.commit_one(batch(0));
        assert!(matches!(again, Err(StoreError::Io(_))), "refuses until it is opened again: {again:?}");
        drop(store);
        let store = open(&disk, encrypted).unwrap();
        check(&*store, acknowledged, acknowledged + 1, "full disk");
        store.commit_one(batch(rows(&*store))).unwrap();
    }
}

#[test]
fn a_read_only_disk_refuses_and_reads_on_after_reopening() {
    let disk = VirtualDisk::new();
    let store = open(&disk, true).unwrap();
    store.commit_one(batch(0)).unwrap();
    disk.limit(DiskLimits { read_only: true, ..DiskLimits::default() });
    assert!(matches!(store.commit_one(batch(1)), Err(StoreError::Io(_))));
    disk.limit(DiskLimits::default());
    drop(store);
    check(&*open(&disk, true).unwrap(), 1, 2, "read-only");
}

/// What an open may cost, in bytes read rather than in time, which a busy machine would change: after a power cut some
/// walks over the pages that hold what lives (redb's debug build adds its own), after `settle` or `close` no walk at all.
#[test]
fn opening_has_a_budget() {
    let options = RedbOptions { cache_bytes: 1 << 20, ..RedbOptions::default() };
    let disk = VirtualDisk::new();
    let store = RedbStore::with_backend(disk.clone(), &options).unwrap();
    for n in 0..60 {
        store.commit((n * 100..(n + 1) * 100).map(batch).collect()).unwrap();
    }
    let opening = |disk: VirtualDisk| {
        let store = RedbStore::with_backend(disk.clone(), &options).unwrap();
        assert_eq!(store.head().unwrap(), 6_000);
        disk.counts().read_bytes
    };
    let live_bytes = store.maintain().unwrap().live_bytes;
    let after_a_cut = opening(disk.after_power_cut(&mut Dice::new(1)));
    assert!(after_a_cut < 4 * live_bytes, "{after_a_cut} of {live_bytes}");
    store.settle().unwrap();
    let settled = opening(disk.after_power_cut(&mut Dice::new(1)));
    store.close().unwrap();
    let closed = opening(VirtualDisk::from_bytes(disk.bytes()));
    for recorded in [settled, closed] {
        assert!(recorded + live_bytes < after_a_cut, "{recorded} against {after_a_cut}: no walk was spared");
        // redb built for debugging walks its pages at every open, to check itself.
        assert!(cfg!(debug_assertions) || recorded < 256 << 10, "{recorded}");
    }
}

fn power_cut(seed: u64, encrypted: bool, lies: bool) {
    let mut dice = Dice::new(seed);
    let mut disk = VirtualDisk::new();
    let (mut acknowledged, mut attempted) = (0, 0);
    // Life goes on after a cut: the same store is cut down several times.
    for life in 0..4 {
        let at = format!("seed {seed} life {life} encrypted {encrypted}");
        let store = match open(&disk, encrypted) {
            Ok(store) => store,
            Err(error) => panic!("{at}: {error}"),
        };
        check(&*store, acknowledged, attempted, &at);
        // What was written without being acknowledged, and is there, is where the next life goes on.
        acknowledged = rows(&*store);
        attempted = acknowledged;
        let power_cut_at = Some(disk.counts().operations + dice.below(150));
        disk.limit(DiskLimits { power_cut_at, lies, ..DiskLimits::default() });
        loop {
            let group = 1 + dice.below(4);
            attempted += group;
            match store.commit((attempted - group..attempted).map(batch).collect()) {
                Ok(outcomes) => {
                    assert_eq!(outcomes.last(), Some(&Outcome::Done(Some(attempted))), "{at}");
                    acknowledged = attempted;
                }
                Err(StoreError::Io(_)) => break,
                Err(error) => panic!("{at}: {error}"),
            }
            assert!(attempted < 10_000, "{at}: the power never went");
        }
        let next = disk.after_power_cut(&mut dice);
        // Recovery itself may lose power too.
        if dice.one_in(3) {
            next.limit(DiskLimits { power_cut_at: Some(dice.below(12)), ..DiskLimits::default() });
            drop(open(&next, encrypted));
            disk = next.after_power_cut(&mut dice);
        } else {
            disk = next;
        }
    }
    check(&*open(&disk, encrypted).unwrap(), acknowledged, attempted, &format!("seed {seed} at the end"));
}

fn open(disk: &VirtualDisk, encrypted: bool) -> Result<Box<dyn Store>, StoreError> {
    let options = RedbOptions { cache_bytes: 1 << 20, ..RedbOptions::default() };
    Ok(if encrypted {
        let options = SecureOptions { redb: options, journal_bytes: JOURNAL_BYTES };
        Box::new(SecureStore::with_backend(disk.clone(), &KEY, [1; 32], &options)?)
    } else {
        Box::new(RedbStore::with_backend(disk.clone(), &options)?)
    })
}

fn rows(store: &dyn Store) -> u64 {
    store.head().unwrap()
}

fn check(store: &dyn Store, acknowledged: u64, attempted: u64, at: &str) {
    if let Err(wrong) = verify(store, acknowledged, attempted) {
        panic!("{at}: {wrong:?}");
    }
}
