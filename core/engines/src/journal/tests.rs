use super::*;
use crate::faults::{Dice, DiskLimits, VirtualDisk};

const PAGES: usize = 64;
const STORE: u64 = 77;

fn area() -> VirtualDisk {
    VirtualDisk::from_bytes(vec![0; PAGES * PAGE_BYTES as usize])
}

fn open(disk: &VirtualDisk, commits: u64) -> Result<(Journal, Replayed), StoreError> {
    Journal::open(Box::new(disk.clone()), STORE, commits, false)
}

fn rows(number: u64, bytes: usize) -> Rows {
    let value = Dice::new(number).bytes(bytes);
    let gone = (format!("gone/{number}").into_bytes(), None);
    [(b"last".to_vec(), Some(value)), (format!("empty/{number}").into_bytes(), Some(Vec::new())), gone].into()
}

/// Appends commits with these numbers, of so many bytes each.
fn append(journal: &mut Journal, numbers: std::ops::RangeInclusive<u64>, bytes: usize) {
    numbers.for_each(|number| journal.append(number, &rows(number, bytes)).unwrap());
}

/// The commits that an open of these bytes finds.
fn found(bytes: &[u8], commits: u64) -> u64 {
    let (_, found) = open(&VirtualDisk::from_bytes(bytes.to_vec()), commits).unwrap();
    let expected: Rows = (commits + 1..=found.commits).flat_map(|number| rows(number, SMALL)).collect();
    if found.commits > commits && found.over.len() == expected.len() {
        assert!(found.over.keys().eq(expected.keys()));
    }
    found.commits
}

#[test]
fn what_was_appended_is_found_in_order() {
    let disk = area();
    let (mut journal, nothing) = open(&disk, 5).unwrap();
    assert!(nothing.over.is_empty() && nothing.commits == 5);
    append(&mut journal, 6..=9, SMALL);
    let (mut again, found) = open(&disk, 5).unwrap();
    let expected: Rows = (6..=9).flat_map(|number| rows(number, SMALL)).collect();
    assert!(found.over == expected && found.commits == 9, "removed rows and empty values among them");
    // Appending goes on where reading ended.
    append(&mut again, 10..=11, SMALL);
    assert_eq!(open(&disk, 5).unwrap().1.commits, 11);
}

#[test]
fn one_write_and_one_flush_a_record_in_pages_of_its_own() {
    let disk = area();
    let (mut journal, _) = open(&disk, 0).unwrap();
    let mut at = 0;
    for (number, bytes) in [(1, 10), (2, 4_000), (3, 4_096), (4, 9_000)] {
        let (counts, before) = (disk.counts(), disk.bytes());
        journal.append(number, &rows(number, bytes)).unwrap();
        let after = disk.counts();
        assert_eq!((after.operations - counts.operations, after.flushes - counts.flushes), (2, 1));
        assert_eq!(after.unflushed_writes, 0);
        assert_eq!(disk.bytes()[..at], before[..at], "what was there before it is as it was");
        assert!(journal.at.is_multiple_of(PAGE_BYTES));
        at = journal.at as usize;
        assert_eq!(disk.bytes()[at..], before[at..]);
    }
}

/// The front and the back of a write arrive, and sectors here and there; behind and under it lies an old lap.
#[test]
fn a_torn_record_of_any_length_does_not_count_and_harms_no_other() {
    let disk = area();
    let (mut journal, _) = open(&disk, 0).unwrap();
    append(&mut journal, 1..=20, SMALL);
    journal.restart();
    append(&mut journal, 21..=23, SMALL);
    let before = disk.bytes();
    let from = journal.at as usize;
    append(&mut journal, 24..=24, SMALL);
    let (after, end) = (disk.bytes(), journal.at as usize);
    assert!(end - from >= 2 * PAGE_BYTES as usize && found(&after, 20) == 24);
    let payload_end = from + HEAD_BYTES + record::len(&rows(24, SMALL));
    for cut in (from..end).step_by(16).chain(payload_end - 2..payload_end + 2) {
        let mut torn = after[..cut].to_vec();
        torn.extend_from_slice(&before[cut..]);
        let whole = torn[from..payload_end] == after[from..payload_end];
        assert_eq!(found(&torn, 20), if whole { 24 } else { 23 }, "the first {} bytes", cut - from);
        let mut torn = before[..cut].to_vec();
        torn.extend_from_slice(&after[cut..]);
        assert_eq!(found(&torn, 20), if cut == from { 24 } else { 23 }, "all but {} bytes", cut - from);
    }
    // Its place and its number are the next commit's.
    let mut torn = after;
    torn[end - 1_000 - PAGE_BYTES as usize] ^= 1;
    let disk = VirtualDisk::from_bytes(torn);
    let (mut journal, replayed) = open(&disk, 20).unwrap();
    assert_eq!((replayed.commits, journal.at as usize), (23, from));
    append(&mut journal, 24..=24, 10);
    assert_eq!(found(&disk.bytes(), 20), 24);
}

#[test]
fn an_old_lap_behind_a_new_one_does_not_count() {
    let disk = area();
    let (mut journal, _) = open(&disk, 0).unwrap();
    append(&mut journal, 1..=20, SMALL);
    journal.restart();
    assert_eq!(found(&disk.bytes(), 20), 20, "the old lap alone");
    for number in 21..=30 {
        append(&mut journal, number..=number, SMALL);
        assert_eq!(found(&disk.bytes(), 20), number);
    }
    // The engine fell back to before the checkpoint, and the new lap had not begun: nothing is lost.
    let disk = area();
    let (mut journal, _) = open(&disk, 0).unwrap();
    append(&mut journal, 1..=20, SMALL);
    assert_eq!(found(&disk.bytes(), 0), 20);
}

/// A record that was lost to damage (which the store's mark tells, where it is) and then written anew: the ones behind it, whole and with
/// the right numbers, belong to another history.
#[test]
fn behind_a_record_that_was_replaced_no_older_one_counts() {
    let disk = area();
    let (mut journal, _) = open(&disk, 0).unwrap();
    append(&mut journal, 1..=9, SMALL);
    let mut bytes = disk.bytes();
    bytes[4 * (SMALL + 4_096) / PAGE_BYTES as usize * PAGE_BYTES as usize + 100] ^= 1;
    let disk = VirtualDisk::from_bytes(bytes);
    let (mut journal, replayed) = open(&disk, 0).unwrap();
    let left = replayed.commits;
    assert!((1..8).contains(&left), "{left}");
    let other: Rows = [(b"last".to_vec(), Some(vec![7; SMALL]))].into();
    let at = journal.at;
    journal.append(left + 1, &other).unwrap();
    let next = &disk.bytes()[journal.at as usize..][..HEAD_BYTES];
    assert_eq!(next[NUMBER_AT..], (left + 2).to_be_bytes(), "an old record with the next number is there");
    let (_, replayed) = open(&disk, 0).unwrap();
    assert_eq!(replayed.commits, left + 1);
    // And of another store's journal none does.
    assert!(at > 0);
    let (_, foreign) = Journal::open(Box::new(disk), STORE + 1, 0, false).unwrap();
    assert_eq!(foreign.commits, 0);
}

#[test]
fn an_engine_that_fell_back_behind_its_journal_is_told() {
    let disk = area();
    let (mut journal, _) = open(&disk, 20).unwrap();
    append(&mut journal, 21..=24, SMALL);
    let refused = open(&disk, 19).map(|_| ());
    assert!(
        matches!(&refused, Err(StoreError::Damaged(why)) if why.contains("accept_rollback")),
        "{refused:?}"
    );
    let (mut journal, accepted) = Journal::open(Box::new(disk.clone()), STORE, 19, true).unwrap();
    assert!(accepted.commits == 19 && accepted.over.is_empty());
    // Once the engine has come to where the journal began, through commits that passed it by, what was in it stays forgotten.
    assert_eq!(open(&disk, 20).unwrap().1.commits, 20);
    append(&mut journal, 20..=20, 10);
    assert_eq!(open(&disk, 19).unwrap().1.commits, 20);
}

/// They may be of a process that died before its flush: whoever reads them may rely on them.
#[test]
fn an_open_that_finds_records_flushes_them() {
    let disk = area();
    let (mut journal, _) = open(&disk, 0).unwrap();
    append(&mut journal, 1..=1, SMALL);
    disk.limit(DiskLimits { lies: true, ..DiskLimits::default() });
    append(&mut journal, 2..=2, SMALL);
    disk.limit(DiskLimits::default());
    assert!(disk.counts().unflushed_writes > 0);
    assert_eq!(open(&disk, 0).unwrap().1.commits, 2);
    assert_eq!(disk.counts().unflushed_writes, 0);
    let flushes = disk.counts().flushes;
    assert_eq!(open(&disk, 2).unwrap().1.commits, 2);
    assert_eq!(disk.counts().flushes, flushes, "a journal without records costs no flush");
}

#[test]
fn what_is_large_passes_the_journal_by_and_what_does_not_fit_begins_a_lap() {
    let disk = area();
    let (mut journal, _) = open(&disk, 0).unwrap();
    let large = PAGES * PAGE_BYTES as usize / 8;
    assert_eq!(journal.place_for(&rows(1, large - 200)), Place::Here);
    assert_eq!(journal.place_for(&rows(1, large)), Place::Engine);
    append(&mut journal, 1..=7, large - 200);
    assert_eq!(journal.place_for(&rows(8, large - 200)), Place::Here);
    append(&mut journal, 8..=8, 10);
    assert_eq!(journal.place_for(&rows(9, large - 200)), Place::Front);
    assert_eq!(journal.place_for(&rows(9, 10)), Place::Here);
    assert_eq!(journal.place_for(&rows(9, large)), Place::Engine);
    let (none, _) = Journal::open(Box::new(VirtualDisk::new()), STORE, 0, false).unwrap();
    assert_eq!(none.place_for(&rows(1, 1)), Place::Engine, "a store whose journal has no length");
}

/// Two pages and some with its head.
const SMALL: usize = 5_000;
