//! Random commits against the model.

use fieldbook_core::store::{Batch, Direction, MemoryStore, Range, Slot, Store};

use super::Open;
use crate::faults::Dice;

/// Random commits, reads and scans give what the model gives, over reopenings.
pub fn random_commits_match_the_model(open: &Open<'_>) {
    // One place and one model serve all seeds: what one leaves is where the next begins.
    let model = MemoryStore::new();
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let mut store = Some(open());
        for step in 0..STEPS {
            if dice.one_in(25) {
                store = None;
            }
            let store = store.get_or_insert_with(|| open());
            let batches: Vec<Batch> = (0..dice.below(5)).map(|_| batch(&mut dice, &model)).collect();
            let told = (store.commit(batches.clone()), model.commit(batches.clone()));
            match told {
                (Ok(found), Ok(expected)) => {
                    assert_eq!(found, expected, "seed {seed} step {step}: {batches:?}")
                }
                (found, expected) => panic!("seed {seed} step {step}: {found:?}, the model {expected:?}"),
            }
            compare(&**store, &model, &mut dice, &format!("seed {seed} step {step}"));
        }
        let whole = Range::prefix(b"");
        let store = store.get_or_insert_with(|| open());
        for direction in [Direction::Forward, Direction::Backward] {
            let found = store.scan(&whole, direction, usize::MAX).expect("scans");
            assert_eq!(found, model.scan(&whole, direction, usize::MAX).expect("scans"), "seed {seed}");
        }
    }
}

/// A random batch over few keys, so that writes meet; about one guard in four fails.
pub(crate) fn batch(dice: &mut Dice, model: &MemoryStore) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..dice.below(3) {
        let key = key(dice);
        let there = model.get(&key).ok().flatten();
        match dice.below(8) {
            0 => batch.guard(key, Some(b"never".to_vec())),
            1 => batch.guard(key, None),
            _ => batch.guard(key, there),
        };
    }
    for _ in 0..dice.below(8) {
        match dice.below(10) {
            0..3 => {
                batch.delete(key(dice));
            }
            3 => {
                let mut slotted = key(dice);
                let at = slotted.len();
                slotted.extend_from_slice(b"--------");
                batch.put_at(slotted, Some(Slot(at)), value(dice), None);
            }
            4 => {
                let mut slotted = value(dice);
                let at = slotted.len();
                slotted.extend_from_slice(b"--------");
                batch.put_at(key(dice), None, slotted, Some(Slot(at)));
            }
            _ => {
                batch.put(key(dice), value(dice));
            }
        }
    }
    batch
}

fn key(dice: &mut Dice) -> Vec<u8> {
    let alphabet = [b'a', b'b', 0, 0xff];
    (0..=dice.below(4)).map(|_| alphabet[dice.below(4) as usize]).collect()
}

fn value(dice: &mut Dice) -> Vec<u8> {
    let len = match dice.below(40) {
        0 => 60_000 + dice.below(100_000),
        1..5 => dice.below(5_000),
        _ => dice.below(60),
    };
    dice.bytes(len as usize)
}

fn compare(store: &dyn Store, model: &MemoryStore, dice: &mut Dice, at: &str) {
    let keys: Vec<Vec<u8>> = (0..6).map(|_| key(dice)).collect();
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let (a, b) = (key(dice), key(dice));
    let ranges =
        [(Range::prefix(&a), dice.below(9) as usize), (Range { from: a, to: b }, dice.below(99) as usize)];
    let found = store.read(&keys, &ranges).expect("reads");
    assert!(found == model.read(&keys, &ranges).expect("reads"), "{at}: read");
    assert!(store.get_many(&keys).expect("reads") == found.0, "{at}: get_many");
    for (range, limit) in &ranges {
        for direction in [Direction::Forward, Direction::Backward] {
            let rows = store.scan(range, direction, *limit).expect("scans");
            assert!(
                rows == model.scan(range, direction, *limit).expect("scans"),
                "{at}: {range:?} {direction:?}"
            );
        }
    }
    assert_eq!(store.head().expect("reads"), model.head().expect("reads"), "{at}: head");
}

const SEEDS: u64 = 12;
const STEPS: u64 = 60;
