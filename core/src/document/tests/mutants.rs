//! Thousands of broken copies of valid changes, each with a right checksum: none may panic, hang, or leave a document
//! that reads or saves differently from what went in.

use super::gate::{author, body_len, change_of_2, contact, id, lead};
use super::*;
use crate::document::chunk;

const MUTANTS: usize = 4_000;

#[test]
fn no_mutant_panics_or_is_stored_otherwise_than_it_came() {
    let base = lead();
    let before = base.log("events", &NoClocks);
    let valid = [
        change_of_2(&base, &[set("customer_name", "协和"), set("budget_min_fen", 3_800_000_00)]),
        change_of_2(&base, &[contact(4), retraction("events", id(1))]),
        change_of_2(
            &base,
            &[Edit::Splice { text: "notes".into(), at: 1, delete: 2, insert: "联影CT".into() }],
        ),
        change_of_2(&base, &[Edit::RemoveElement { set: "tags".into(), key: "集采".into() }]),
    ];
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut admitted = 0;
    for round in 0..MUTANTS {
        let mut raw = valid[round % valid.len()].clone();
        let start = raw.len() - body_len(&raw);
        let mut body = raw.split_off(start);
        for _ in 0..=dice.below(3) {
            mutate(&mut body, &mut dice);
        }
        let mutant = chunk::chunk(&body);
        let Ok(passed) = admit(&base, &author(2), &[&mutant], &AdmitLimits::default()) else { continue };
        admitted += 1;
        assert_eq!(passed.doc.changes_after(&base.heads()).first().map(|c| &c.bytes), Some(&mutant));
        assert!(passed.doc.log("events", &NoClocks).starts_with(&before));
        passed.doc.conflicts(&NoClocks);
        passed.doc.text("notes");
    }
    // Mutations of plain text stay valid changes, so some must pass, or the test tests nothing.
    assert!(admitted > 0 && admitted < MUTANTS / 2, "{admitted} of {MUTANTS}");
}

fn mutate(body: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(body.len());
    match dice.below(4) {
        0 => body[at] ^= 1 << dice.below(8),
        1 => body[at] = [0, 1, 0x7f, 0x80, 0xff][dice.below(5)],
        2 => drop(body.remove(at)),
        _ => body.insert(at, dice.below(256) as u8),
    }
}

/// A xorshift generator: the same mutants in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}
