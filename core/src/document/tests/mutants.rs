//! Thousands of broken copies of valid changes, each with a right checksum: none may panic, hang, or leave a document
//! that reads or saves differently from what went in.

use automerge::Change;
use automerge::legacy::{Key, ObjectId, Op, OpId};

use super::gate::{author, body_len, change_of_2, contact, id, lead};
use super::*;
use crate::document::chunk;

const MUTANTS: usize = 4_000;

#[test]
fn no_mutant_panics_or_is_stored_otherwise_than_it_came() {
    let base = lead();
    let before = base.log("events", &NoClocks);
    let valid = [
        change_of_2(&base, &[set("customer_name", "协和"), set("budget_min_fen", 380_000_000)]),
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
        let Ok((passed, _)) = admit(&base, &author(2), &[&mutant], &AdmitLimits::default()) else { continue };
        admitted += 1;
        assert_eq!(passed.changes_after(&base.heads()).first().map(|c| &c.bytes), Some(&mutant));
        // A mutant may claim an earlier time and sort before; the entries themselves stay as they were.
        let log = passed.log("events", &NoClocks);
        assert!(before.iter().all(|entry| log.contains(entry)));
        passed.conflicts(&NoClocks);
        passed.text("notes");
    }
    // Mutations of plain text stay valid changes, so some must pass, or the test tests nothing.
    assert!(admitted > 0 && admitted < MUTANTS / 2, "{admitted} of {MUTANTS}");
}

/// Well-formed changes whose operations are dealt at random: objects, keys and predecessors that exist, of the wrong
/// sort as often as of the right one. What the gate lets through must leave everything immutable in place and must read the
/// same on a phone that had edits of its own.
#[test]
fn no_dealt_change_that_passes_hurts_a_phone() {
    // One contact was made on two devices at once.
    let mut base = lead();
    base.apply(&[Doc::genesis(DocKind::Lead).edit(actor(5), &stamp(5, 900), &[contact(1)]).unwrap().change])
        .unwrap();
    let mut phone = base.clone();
    phone
        .edit(actor(3), &stamp(3, 3_000), &[set("need", "升级"), contact(6), retraction("events", id(1))])
        .unwrap();
    let own = phone.changes_of(actor(3), 1).remove(0).bytes;
    let ops = every_op(&base);
    let honest = Change::from_bytes(change_of_2(&base, &[set("hospital", "x")])).unwrap().decode();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut admitted = 0;
    for _ in 0..MUTANTS {
        let mut change = honest.clone();
        change.operations =
            (0..=dice.below(3)).map(|n| deal(&ops, &mut dice, n as u64 + change.start_op.get())).collect();
        // Some deals cannot even be encoded.
        let Ok(change) = std::panic::catch_unwind(|| Change::from(change)) else { continue };
        let bytes = change.raw_bytes().to_vec();
        let Ok((mut passed, _)) = admit(&base, &author(2), &[&bytes], &AdmitLimits::default()) else {
            continue;
        };
        admitted += 1;
        let log = passed.log("events", &NoClocks);
        assert!(base.log("events", &NoClocks).iter().all(|entry| log.contains(entry)));
        assert_eq!(passed.maps_of("contacts", id(1)), base.maps_of("contacts", id(1)));
        let mut away = phone.clone();
        away.apply(&[&bytes]).unwrap();
        passed.apply(&[&own]).unwrap();
        assert_eq!(merge::picture(&away), merge::picture(&passed));
        assert_eq!(Doc::load(DocKind::Lead, &away.save()).unwrap().heads(), passed.heads());
    }
    assert!(admitted > 10, "{admitted} of {MUTANTS}");
}

fn every_op(doc: &Doc) -> Vec<Op> {
    let changes = doc.changes_after(&[]);
    changes.into_iter().flat_map(|raw| Change::from_bytes(raw.bytes).unwrap().decode().operations).collect()
}

/// An operation made of pieces of others; its object and predecessors are operations of the document.
fn deal(ops: &[Op], dice: &mut Dice, counter: u64) -> Op {
    let mut op = ops[dice.below(ops.len())].clone();
    let some_id = |dice: &mut Dice| {
        let doc_actor = [Actor::from_bytes(&[0; 12]).unwrap(), actor(1), actor(5)][dice.below(3)];
        OpId(1 + dice.below(counter as usize) as u64, doc_actor.to_automerge())
    };
    for _ in 0..1 + dice.below(3) {
        match dice.below(6) {
            0 => op.obj = ops[dice.below(ops.len())].obj.clone(),
            1 => op.obj = ObjectId::Id(some_id(dice)),
            2 => op.key = ops[dice.below(ops.len())].key.clone(),
            3 => op.pred = vec![some_id(dice)].into(),
            4 => op.action = ops[dice.below(ops.len())].action.clone(),
            _ => op.key = Key::Map(id(dice.below(9) as u8).to_string().into()),
        }
    }
    op
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
