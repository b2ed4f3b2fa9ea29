use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::access::Role;
use crate::company::{HeldState, Incoming, LocalGate, Settled, UserRow};
use crate::document::{Doc, Edit};
use crate::ids::DocKind;
use crate::store::{MemoryStore, Store};
use crate::sync::message::{Answer, RefuseCode, Verdict};
use crate::time::{Moment, Stamp};

const LI: UserId = UserId([1; 8]);
const LEAD: DocId = DocId([2; 16]);
const NOW_MS: i64 = 1_770_000_000_000;

/// A lead of 李's, and two phones of his that were set back after they had written its first change.
struct Scene {
    company: Company,
    gate: LocalGate,
}

fn phone(n: u8) -> DeviceId {
    DeviceId([n; 8])
}

impl Scene {
    fn new() -> Self {
        let company = Company::open(Arc::new(MemoryStore::new()), "智康", &[3; 64]).unwrap();
        let row = UserRow { name: "李".into(), role: Role::Rep, team: None, active: true };
        company.put_user(LI, row, NOW_MS).unwrap();
        let mut scene = Self { company, gate: LocalGate::new(4) };
        for n in [1, 2] {
            scene.company.put_device(phone(n), LI, "phone", NOW_MS).unwrap();
            let (answers, _) = scene.push(&[(n, 1, "一")]);
            assert!(matches!(answers[0].verdict, Verdict::Durable { .. }), "{answers:?}");
        }
        scene
    }

    /// Pushes first changes of the lead with these words in one batch: device, number, words.
    fn push(&mut self, pushes: &[(u8, u64, &str)]) -> (Vec<Answer>, BTreeSet<usize>) {
        let incoming: Vec<Incoming> =
            pushes.iter().map(|(n, id, words)| self.incoming(*n, *id, words)).collect();
        let prepared = self.company.prepare(LEAD, &incoming, &mut self.gate, NOW_MS).unwrap();
        let outcome = self.company.store.commit_one(prepared.batch.clone()).unwrap();
        let Settled::Done { answers, later, .. } = prepared.settle(outcome) else { panic!("contended") };
        (answers, later)
    }

    fn incoming(&self, n: u8, id: u64, words: &str) -> Incoming {
        let actor = Actor { device: phone(n), incarnation: 1 };
        let edit = Edit::Set { field: "customer_name".into(), value: words.into() };
        let stamp = Stamp {
            user: LI,
            moment: Moment { wall_ms: NOW_MS, boot: 1, mono_ms: 1 },
            offset_ms: Some(NOW_MS),
            last_contact_ms: NOW_MS,
        };
        let change = Doc::genesis(DocKind::Lead).edit(actor, &stamp, &[edit]).unwrap().change;
        let push = Push { id, doc: LEAD, origin: None, changes: vec![change.into()] };
        Incoming { who: self.company.principal(phone(n)).unwrap(), push }
    }

    /// Lets so much work of a device wait in another document that this many bytes are left.
    fn fill(&self, n: u8, left_bytes: u64) {
        let other = keys::held_weight(phone(n), DocId([0; 16]));
        let full = Weight { pushes: 1, bytes: limits::HELD_MAX_BYTES - left_bytes };
        let mut batch = Batch::new();
        batch.put(other, encode(&full));
        self.company.store.commit_one(batch).unwrap();
    }

    fn weight(&self, n: u8) -> Weight {
        self.company.held_count(phone(n), LEAD).unwrap().row
    }

    fn has_held(&self, n: u8) -> bool {
        self.company.has_held(LEAD, Actor { device: phone(n), incarnation: 1 }).unwrap()
    }
}

#[track_caller]
fn are_held(answers: &[Answer]) {
    assert!(answers.iter().all(|answer| matches!(answer.verdict, Verdict::Held { .. })), "{answers:?}");
}

#[test]
fn a_device_whose_share_is_full_keeps_its_work_and_looks_as_if_it_had_sent_none() {
    let mut scene = Scene::new();
    let long: String = (0..400).filter_map(|i| char::from_u32(0x4e00 + i * 41)).collect();
    scene.fill(1, 400);
    // The first does not fit, the second would; it is of the same actor, who built it on the first. The other phone has its own share.
    let (answers, later) = scene.push(&[(1, 10, &long), (1, 11, "短"), (2, 10, "二")]);
    assert_eq!(later, BTreeSet::from([0, 1]));
    assert_eq!(answers.len(), 1);
    are_held(&answers);
    assert!(!scene.has_held(1) && scene.has_held(2));
    assert_eq!(scene.weight(1), Weight::default());
    let rows = scene.company.store.scan(&Range::prefix(b"o/"), Direction::Forward, 9).unwrap();
    let of_first = rows.iter().filter(|(key, _)| key.starts_with(&keys::answered_by(phone(1)))).count();
    assert_eq!(of_first, 1, "it was answered its first push alone");
    // With room again the phone sends the same, and it is held.
    scene.fill(1, limits::HELD_MAX_BYTES);
    let (answers, later) = scene.push(&[(1, 10, &long), (1, 11, "短")]);
    assert!(later.is_empty() && answers.len() == 2);
    are_held(&answers);
    // What is kept stays kept, whether there is room or not.
    scene.fill(1, 0);
    let (answers, later) = scene.push(&[(1, 11, "短"), (1, 12, "又")]);
    assert_eq!((answers.len(), later), (1, BTreeSet::from([1])));
    are_held(&answers);
}

#[test]
fn so_many_pushes_are_held_as_an_outbox_has() {
    let mut scene = Scene::new();
    let mut batch = Batch::new();
    let most = Weight { pushes: limits::HELD_MAX_PUSHES - 1, bytes: 0 };
    batch.put(keys::held_weight(phone(1), DocId([0; 16])), encode(&most));
    scene.company.store.commit_one(batch).unwrap();
    let (answers, later) = scene.push(&[(1, 10, "甲"), (1, 11, "乙")]);
    assert_eq!((answers.len(), later), (1, BTreeSet::from([1])));
}

#[test]
fn what_was_decided_weighs_nothing() {
    let mut scene = Scene::new();
    are_held(&scene.push(&[(1, 10, "甲"), (1, 11, "乙")]).0);
    let two = scene.weight(1);
    are_held(&scene.push(&[(1, 11, "乙"), (1, 12, "丙")]).0);
    let three = scene.weight(1);
    assert_eq!((two.pushes, three.pushes), (2, 3), "one came twice");
    assert!(three.bytes > two.bytes && two.bytes > 200, "{two:?} {three:?}");
    for item in scene.company.held(None, 9).unwrap() {
        assert_eq!(item.state, HeldState::Waiting);
        scene.company.discard_held(&item.id, NOW_MS).unwrap();
    }
    assert_eq!(scene.weight(1), Weight::default());
    assert_eq!(scene.company.store.get(&keys::held_weight(phone(1), LEAD)).unwrap(), None);
}

#[test]
fn what_was_decided_long_ago_is_cleared_and_answered_as_before() {
    let mut scene = Scene::new();
    let long = "长".repeat(2_000);
    are_held(&scene.push(&[(1, 10, &long), (1, 11, "等")]).0);
    let items = scene.company.held(None, 9).unwrap();
    scene.company.discard_held(&items[0].id, NOW_MS + 1_000).unwrap();
    assert_eq!(scene.company.clear_held(NOW_MS + 1_000).unwrap(), 0, "not before its time");
    assert_eq!(scene.company.clear_held(NOW_MS + 1_001).unwrap(), 1, "what waits is never cleared");
    assert_eq!(scene.company.clear_held(NOW_MS + 1_001).unwrap(), 0, "once");
    let left = scene.company.held(None, 9).unwrap();
    assert_eq!(left.iter().map(|item| &item.id).collect::<Vec<_>>(), [&items[1].id]);
    assert!(matches!(scene.company.held_changes(&items[0].id), Err(CompanyError::Refused(_))));
    let rows = scene.company.store.scan(&Range::prefix(keys::HELD), Direction::Forward, 9).unwrap();
    assert!(rows.iter().all(|(_, value)| value.len() < 400), "little is left of it");
    // The same bytes again: answered as before, and nothing new is kept. Other bytes under the number are kept apart.
    are_held(&scene.push(&[(1, 10, &long)]).0);
    assert_eq!(scene.company.held(None, 9).unwrap().len(), 1);
    are_held(&scene.push(&[(1, 10, "别的")]).0);
    assert_eq!(scene.company.held(None, 9).unwrap().len(), 2);
    assert!(scene.has_held(1), "what builds on discarded work is held as before");
}

#[test]
fn a_number_that_was_given_too_often_takes_what_is_behind_it_along() {
    let mut scene = Scene::new();
    for n in 0..=HELD_COPIES {
        are_held(&scene.push(&[(1, 10, &format!("第{n}次"))]).0);
    }
    let (answers, _) = scene.push(&[(1, 10, "再来"), (1, 11, "后面")]);
    let refused =
        |answer: &Answer| matches!(answer.verdict, Verdict::Refused { code: RefuseCode::TooLarge, .. });
    assert!(answers.len() == 2 && answers.iter().all(refused), "{answers:?}");
}
