//! Thousands of broken copies of valid changes, each with a right checksum: none may panic, hang, or leave a document
//! that reads or saves differently from what went in.

use std::num::NonZeroU64;

use automerge::Change;
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};

use super::gate::{author, body_len, change_of_2, contact, id, lead};
use super::*;
use crate::document::chunk;

/// How many of each sort; `FIELDBOOK_MUTANTS=1000000 cargo test --release -p fieldbook-core --lib -- mutants` tries more. The figures of
/// the last such run are in `docs/decisions/0021`.
fn mutants() -> usize {
    option_env!("FIELDBOOK_MUTANTS").map_or(4_000, |count| count.parse().unwrap())
}

#[test]
fn no_mutant_panics_or_is_stored_otherwise_than_it_came() {
    break_changes(mutants(), 0x9e37_79b9_7f4a_7c15);
}

fn break_changes(rounds: usize, seed: u64) {
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
    let mut dice = Dice(seed);
    let mut admitted = 0;
    for round in 0..rounds {
        let mutant = mutant_of(&valid[round % valid.len()], &mut dice);
        let Ok((passed, _)) = admit(&base, &author(2), &[&mutant], &AdmitLimits::default()) else { continue };
        admitted += 1;
        assert_eq!(passed.changes_after(&base.heads()).first().map(|c| &c.bytes), Some(&mutant));
        check_survives_storage(&passed);
        // A mutant may claim an earlier time and sort before; the entries themselves stay as they were.
        let log = passed.log("events", &NoClocks);
        assert!(before.iter().all(|entry| log.contains(entry)));
        passed.conflicts(&NoClocks);
        passed.text("notes");
    }
    // Mutations of plain text stay valid changes, so some must pass, or the test tests nothing.
    assert!(admitted > 0 && admitted < rounds / 2, "{admitted} of {rounds}");
    println!("{admitted} of {rounds} were admitted");
}

/// Well-formed changes whose operations are dealt at random: objects, keys and predecessors that exist, of the wrong
/// sort as often as of the right one, by an author who knows all of the document or a part. What the gate lets through must leave
/// everything immutable in place, must come back from storage, and must read the same on a phone that had edits of its own.
#[test]
fn no_dealt_change_that_passes_hurts_a_phone() {
    deal_changes(mutants(), 0x2545_f491_4f6c_dd1d);
}

fn deal_changes(rounds: usize, seed: u64) {
    // One contact was made on two devices at once.
    let mut known = lead();
    known
        .apply(&[Doc::genesis(DocKind::Lead).edit(actor(5), &stamp(5, 900), &[contact(1)]).unwrap().change])
        .unwrap();
    // What the author may have known, or not.
    let mut base = known.clone();
    let theirs = [
        set("need", "维保"),
        set("customer_name", "协和"),
        contact(7),
        Edit::SetRecord { field: "contacts".into(), id: id(1), name: "title".into(), value: "主任".into() },
        Edit::PutElement { set: "tags".into(), key: "急".into(), body: "{}".into() },
        Edit::Splice { text: "notes".into(), at: 1, delete: 2, insert: "联影CT".into() },
    ];
    base.edit(actor(6), &stamp(6, 1_200), &theirs).unwrap();
    let mut phone = base.clone();
    phone
        .edit(actor(3), &stamp(3, 3_000), &[set("need", "升级"), contact(6), retraction("events", id(1))])
        .unwrap();
    let own = phone.changes_of(actor(3), 1).remove(0).bytes;
    let ops = every_op(&base);
    let honest = [&known, &base]
        .map(|on| Change::from_bytes(change_of_2(on, &[set("hospital", "x")])).unwrap().decode());
    let mut dice = Dice(seed);
    let mut admitted = 0;
    for _ in 0..rounds {
        let mut change = honest[dice.below(3).min(1)].clone();
        let mut pushed: Vec<Vec<u8>> = Vec::new();
        for n in 0..=dice.below(2) as u64 {
            let start = change.start_op.get();
            change.operations =
                (0..=dice.below(3)).map(|at| deal(&ops, &mut dice, start + at as u64)).collect();
            let next = NonZeroU64::new(start + change.operations.len() as u64).unwrap();
            // Some deals cannot even be encoded.
            let Ok(made) = std::panic::catch_unwind(|| Change::from(change.clone())) else { break };
            pushed.push(made.raw_bytes().to_vec());
            (change.seq, change.start_op, change.deps) = (n + 2, next, vec![made.hash()]);
        }
        let Ok((mut passed, _)) = admit(&base, &author(2), &pushed, &AdmitLimits::default()) else {
            continue;
        };
        if pushed.is_empty() {
            continue;
        }
        admitted += 1;
        check_survives_storage(&passed);
        let log = passed.log("events", &NoClocks);
        assert!(base.log("events", &NoClocks).iter().all(|entry| log.contains(entry)));
        let maps = passed.maps_of("contacts", id(1));
        assert!(base.maps_of("contacts", id(1)).iter().all(|map| maps.contains(map)));
        let mut away = phone.clone();
        away.apply(&pushed).unwrap();
        passed.apply(&[&own]).unwrap();
        assert_eq!(merge::picture(&away), merge::picture(&passed));
        check_survives_storage(&away);
        assert_eq!(away.heads(), passed.heads());
    }
    assert!(admitted > rounds / 100, "{admitted} of {rounds}");
    println!("{admitted} of {rounds} were admitted");
}

/// A document that was saved and loaded is the same: every change of it comes back as it was, and everything reads the same.
pub(super) fn check_survives_storage(doc: &Doc) {
    let loaded = Doc::load(doc.kind(), &doc.save()).unwrap();
    assert_eq!((loaded.heads(), loaded.change_count()), (doc.heads(), doc.change_count()));
    assert_eq!(loaded.changes_after(&[]), doc.changes_after(&[]));
    assert_eq!(merge::picture(&loaded), merge::picture(doc));
}

/// Every operation of a document, with its id.
pub(super) fn every_op(doc: &Doc) -> Vec<(OpId, Op)> {
    let changes = doc.changes_after(&[]).into_iter().map(|raw| Change::from_bytes(raw.bytes).unwrap());
    let of = |change: Change| {
        let (first, actor) = (change.start_op().get(), change.actor_id().clone());
        let ops = change.decode().operations.into_iter().enumerate();
        ops.map(move |(at, op)| (OpId(first + at as u64, actor.clone()), op))
    };
    changes.flat_map(of).collect()
}

/// An operation made of pieces of others. Half of the time it names what stands where it writes, as an honest one would.
fn deal(ops: &[(OpId, Op)], dice: &mut Dice, counter: u64) -> Op {
    let (of, mut op) = ops[dice.below(ops.len())].clone();
    let own = OpId(counter.saturating_sub(1 + dice.below(4) as u64), actor(2).to_automerge());
    let some_id = |dice: &mut Dice| match dice.below(6) {
        0 => own.clone(),
        _ => ops[dice.below(ops.len())].0.clone(),
    };
    if dice.below(2) == 0 && !matches!(op.action, OpType::Make(_)) {
        match &op.key {
            // What replaces a value names it, and what deletes a character too.
            Key::Map(_) => op.pred = vec![of].into(),
            Key::Seq(_) if op.insert && dice.below(2) == 0 => {
                op = Op {
                    action: OpType::Delete,
                    key: Key::Seq(ElementId::Id(of.clone())),
                    pred: vec![of].into(),
                    insert: false,
                    ..op
                };
            }
            Key::Seq(_) => op.key = Key::Seq(ElementId::Id(of)),
        }
    }
    for _ in 0..dice.below(3) {
        match dice.below(9) {
            0 => op.obj = ops[dice.below(ops.len())].1.obj.clone(),
            1 => op.obj = ObjectId::Id(some_id(dice)),
            2 => op.key = ops[dice.below(ops.len())].1.key.clone(),
            3 => op.pred = vec![some_id(dice)].into(),
            4 => op.pred = vec![some_id(dice), some_id(dice)].into(),
            5 => op.action = ops[dice.below(ops.len())].1.action.clone(),
            6 => op.key = Key::Seq(ElementId::Id(some_id(dice))),
            7 => op.insert = !op.insert,
            _ => op.key = Key::Map(id(dice.below(9) as u8).to_string().into()),
        }
    }
    op
}

/// A change with one to three bytes of it broken, and a right checksum.
pub(super) fn mutant_of(valid: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut body = valid[valid.len() - body_len(valid)..].to_vec();
    for _ in 0..=dice.below(3) {
        mutate(&mut body, dice);
    }
    chunk::chunk(&body)
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
pub(super) struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}
