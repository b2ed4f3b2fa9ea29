//! The counted budgets of `docs/performance.md`: bytes, flights, flushes and reads. They are the same on every machine, so they are tests;
//! what a clock has to tell is left to the benchmark command.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use fieldbook_core::access::Role;
use fieldbook_core::company::{Company, HeldItem, Incoming, LocalGate, Settled, UserRow};
use fieldbook_core::document::{Doc, Edit, NoClocks};
use fieldbook_core::ids::{Actor, DeviceId, DocId, DocKind, EntryId, UserId};
use fieldbook_core::replica::{ListQuery, Replica};
use fieldbook_core::store::{MemoryStore, Store};
use fieldbook_core::sync::message::{FromPhone, HoldReason, Push, RefuseCode, Verdict};
use fieldbook_core::time::Stamp;
use fieldbook_engines::{SecureOptions, SecureStore, StoreKey};

mod support {
    pub mod counted;
    pub mod talk;
}

use support::counted::{Disk, Watched};
use support::talk::{Gate, MOMENT, NOW_MS, Office, Talk};

/// A phone that holds `held` leads comes back: 20 leads changed by the manager, 20 others by the phone itself.
fn reconnect(held: usize, gate: Gate) -> Talk {
    let mut office = Office::found(held as u64);
    let (mut manager, mut rep) = (office.hire_light(0), office.hire_light(1));
    let leads = office.intake(1, held);
    office.sync(&mut manager, gate);
    office.sync(&mut rep, gate);
    for lead in &leads[..20] {
        office.visit(&mut manager, *lead);
    }
    office.sync(&mut manager, gate);
    for lead in &leads[20..40] {
        office.visit(&mut rep, *lead);
    }
    let talk = office.sync(&mut rep, gate);
    assert_eq!((talk.report.durable, talk.report.changed), (20, 20), "{:?}", talk.report);
    for lead in &leads[..40] {
        let server = office.app.company.load(*lead).unwrap();
        let phone = rep.replica.load(*lead).unwrap();
        assert_eq!(phone.heads(), server.heads());
        assert!(phone.value("next_action", &NoClocks).is_some(), "the visit is in it");
    }
    talk
}

#[test]
fn coming_back_to_500_leads_costs_16_kib_and_one_round_trip_behind_the_handshake() {
    for gate in [Gate::Fast, Gate::Slow, Gate::Piecemeal] {
        let talk = reconnect(500, gate);
        let both = talk.up_bytes + talk.down_bytes;
        assert!(both <= 16 << 10, "{gate:?}: {} bytes up, {} down", talk.up_bytes, talk.down_bytes);
        // The pushes ride behind the hello without waiting for it …
        let first = &talk.flights[0];
        assert!(matches!(first[0], FromPhone::Hello(_)), "{gate:?}");
        assert_eq!(first[1..].iter().filter(|m| matches!(m, FromPhone::Push(_))).count(), 20, "{gate:?}");
        assert_eq!(first.len(), 21, "{gate:?}");
        // … and what the phone sends after that only acknowledges: nobody waits for it.
        assert_eq!(talk.complete_after_flights, 1, "{gate:?}");
        assert_eq!(talk.flights.len(), 2, "{gate:?}: {:?}", &talk.flights[1..]);
        assert!(talk.flights[1].iter().all(|m| matches!(m, FromPhone::Ack(_))), "{gate:?}");
    }
}

#[test]
fn coming_back_costs_the_same_bytes_with_100_leads_held_and_with_2_000() {
    let both = |held| {
        let talk = reconnect(held, Gate::Slow);
        (talk.up_bytes + talk.down_bytes) as f64
    };
    let (few, many) = (both(100), both(2_000));
    assert!((many / few - 1.0).abs() <= 0.02, "{few} bytes with 100 leads, {many} with 2,000");
}

#[test]
fn a_first_sync_of_worked_leads_costs_half_as_much_again_as_their_compacted_documents() {
    let mut office = Office::found(3);
    let mut old = office.hire_light(1);
    let leads = office.intake(1, 200);
    office.sync(&mut old, Gate::Fast);
    for lead in &leads {
        for _ in 0..3 {
            office.visit(&mut old, *lead);
        }
        office.tick(&mut old, *lead, "decision_maker");
    }
    office.sync(&mut old, Gate::Fast);
    // Somebody's second phone: the same rep on a new device.
    let mut fresh = office.hire_light(1);
    let talk = office.sync(&mut fresh, Gate::Fast);
    let mut compacted = 0;
    for kind in DocKind::ALL {
        for id in fresh.replica.held_of(kind).unwrap() {
            compacted += fresh.replica.load(id).unwrap().save().len();
        }
    }
    assert_eq!(fresh.replica.held_of(DocKind::Lead).unwrap().len(), 200);
    assert!(talk.down_bytes * 2 <= compacted * 3, "{} bytes came for {compacted}", talk.down_bytes);
}

#[test]
fn the_server_flushes_once_for_a_group_of_pushes_however_large() {
    let flushes_of = |pushes: usize| {
        let mut office = Office::found(4);
        let mut rep = office.hire_light(1);
        let leads = office.intake(1, 40);
        office.sync(&mut rep, Gate::Fast);
        for lead in &leads[..pushes] {
            office.visit(&mut rep, *lead);
        }
        let group = office.outbox(&rep);
        let disk = office.disk.clone();
        let (answers, counts) = disk.during(|| office.judge(group));
        assert_eq!(answers.len(), pushes);
        assert!(
            answers.iter().all(|answer| matches!(answer.verdict, Verdict::Durable { .. })),
            "{answers:?}"
        );
        counts.flushes
    };
    assert_eq!((flushes_of(1), flushes_of(40)), (FLUSHES_A_COMMIT, FLUSHES_A_COMMIT));
}

/// A device whose work is held pushes on and on.
struct Stubborn {
    company: Company,
    store: Arc<Watched<MemoryStore>>,
    gate: LocalGate,
    device: DeviceId,
    doc: DocId,
    stamp: Stamp,
}

impl Stubborn {
    /// Its first change is merged; then it claims to have written another in its place, which is held.
    fn new() -> Self {
        let (user, device) = (UserId([1; 8]), DeviceId([1; 8]));
        let store = Arc::new(Watched::new(MemoryStore::new()));
        let company = Company::open(store.clone(), "智康", &[0x5e; 64]).unwrap();
        let row = UserRow { name: "员工".into(), role: Role::Rep, team: None, active: true };
        company.put_user(user, row, NOW_MS).unwrap();
        company.put_device(device, user, "phone", NOW_MS).unwrap();
        let doc = DocId::fresh(DocKind::Lead, EntryId([1; 16]));
        let stamp = Stamp { user, moment: MOMENT, offset_ms: None, last_contact_ms: 0 };
        let mut stubborn = Self { company, store, gate: LocalGate::new(4), device, doc, stamp };
        assert!(matches!(stubborn.push(1, "一").0, Verdict::Durable { .. }));
        let forked = stubborn.push(2, "二").0;
        assert!(matches!(forked, Verdict::Held { reason: HoldReason::Fork }), "{forked:?}");
        stubborn
    }

    /// Pushes the first change of the document anew, with these words; what it was answered, and how many rows were read for it.
    fn push(&mut self, id: u64, words: &str) -> (Verdict, u64) {
        let actor = Actor { device: self.device, incarnation: 1 };
        let edit = Edit::Set { field: "customer_name".into(), value: words.into() };
        let change = Doc::genesis(DocKind::Lead).edit(actor, &self.stamp, &[edit]).unwrap().change;
        let push = Push { id, doc: self.doc, origin: None, changes: vec![change.into()] };
        let who = self.company.principal(self.device).unwrap();
        let before = self.store.rows.load(Relaxed);
        let incoming = [Incoming { who, push }];
        let prepared = self.company.prepare(self.doc, &incoming, &mut self.gate, NOW_MS).unwrap();
        let rows = self.store.rows.load(Relaxed) - before;
        let outcome = self.company.store().commit_one(prepared.batch.clone()).unwrap();
        let Settled::Done { mut answers, .. } = prepared.settle(outcome) else { panic!("contended") };
        (answers.remove(0).verdict, rows)
    }
}

#[test]
fn a_push_behind_held_work_reads_as_much_whether_little_or_much_is_held() {
    let mut stubborn = Stubborn::new();
    let mut rows = Vec::new();
    for id in 10..60 {
        let (verdict, read) = stubborn.push(id, &format!("第{id}次"));
        assert!(matches!(verdict, Verdict::Held { reason: HoldReason::Suffix }), "{verdict:?}");
        rows.push(read);
    }
    let settled = &rows[HELD_ROWS_AT_ONCE..];
    assert!(settled.iter().all(|read| read == &settled[0]), "{rows:?}");
    assert_eq!(stubborn.company.held_waiting().unwrap(), 51);
    assert_eq!(stubborn.company.held(None, 7).unwrap().len(), 7, "a page is as long as was asked for");
    let (all, first) = (stubborn.company.held(None, 100).unwrap(), stubborn.company.held(None, 7).unwrap());
    let behind = stubborn.company.held(Some(&first[6].id), 100).unwrap();
    let ids = |items: &[HeldItem]| items.iter().map(|item| item.id.clone()).collect::<Vec<_>>();
    assert_eq!([ids(&first), ids(&behind)].concat(), ids(&all), "and the next goes on behind it");
}

/// Whatever is said to be held is held: a number that was given too often is refused, and not passed over.
#[test]
fn no_push_is_called_held_that_is_not_kept() {
    let mut stubborn = Stubborn::new();
    let (mut held, mut refused) = (1, 0);
    for n in 0..80 {
        match stubborn.push(9, &format!("又一份{n}")).0 {
            Verdict::Held { .. } => held += 1,
            Verdict::Refused { code: RefuseCode::TooLarge, .. } => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stubborn.company.held_waiting().unwrap(), held);
    assert!(refused > 0 && held > 60, "{held} held, {refused} refused");
    assert!(matches!(stubborn.push(9, "又一份0").0, Verdict::Held { .. }), "one that is kept stays held");
    assert_eq!(stubborn.company.held_waiting().unwrap(), held);
}

/// A phone with `held` leads, each with its ruling and its table, in the phone's own store on a counted disk.
fn phone_on_disk(held: usize) -> (Office, Disk, Arc<Watched<SecureStore>>, support::talk::Phone, Vec<DocId>) {
    let mut office = Office::found(5);
    let disk = Disk::default();
    let store = Arc::new(Watched::new(open(&disk)));
    let mut rep = office.hire(1, store.clone());
    let leads = office.intake(1, held);
    office.sync(&mut rep, Gate::Fast);
    (office, disk, store, rep, leads)
}

fn open(disk: &Disk) -> SecureStore {
    SecureStore::with_backend(disk.clone(), &StoreKey([9; 32]), [1; 32], &SecureOptions::default()).unwrap()
}

#[test]
fn an_edit_on_the_phone_is_one_commit_one_flush_and_one_page_whatever_is_held() {
    for held in [100, 2_000] {
        let (mut office, disk, store, mut rep, leads) = phone_on_disk(held);
        // What came in by sync is put away, as when the app was in the background.
        store.inner.settle().unwrap();
        for at in [0, held / 2, held - 1] {
            store.commits.store(0, Relaxed);
            let ((), counts) = disk.during(|| office.visit(&mut rep, leads[at]));
            assert_eq!(store.commits.load(Relaxed), 1);
            assert_eq!(counts.flushes, FLUSHES_A_COMMIT, "{held} leads held");
            assert!(counts.written_bytes <= EDIT_MAX_BYTES, "{held} leads held: {counts:?}");
        }
    }
}

/// Over whole laps of the journal, with what its checkpoints write.
#[test]
fn a_long_day_of_edits_costs_hardly_more_flushes_than_edits_and_some_pages_each() {
    let held = 2_000;
    let (mut office, disk, store, mut rep, leads) = phone_on_disk(held);
    store.inner.settle().unwrap();
    let ((), counts) = disk.during(|| {
        (0..DAY as usize).for_each(|n| office.visit(&mut rep, leads[n * 7 % held]));
        store.inner.settle().unwrap();
    });
    assert!(counts.flushes <= DAY + DAY / 20, "{counts:?}");
    assert!(counts.written_bytes / DAY <= DAY_EDIT_MAX_BYTES, "{} bytes an edit", counts.written_bytes / DAY);
}

#[test]
fn opening_a_store_and_listing_its_first_50_leads_loads_no_document() {
    let (_, disk, store, rep, leads) = phone_on_disk(2_000);
    drop(rep);
    Arc::into_inner(store).unwrap().inner.close().unwrap();
    let store = Arc::new(Watched::new(open(&disk)));
    let mut replica = Replica::open(store.clone()).unwrap();
    let first = replica.list(&ListQuery { limit: 50, ..ListQuery::default() }, MOMENT).unwrap();
    assert_eq!(first.len(), 50);
    assert_eq!(store.document_reads.load(Relaxed), 0);
    let rows = store.rows.load(Relaxed);
    assert!(rows <= 3 * 50, "{rows} rows were read");
    // The counter does see a document that is loaded.
    replica.load(leads[0]).unwrap();
    assert!(store.document_reads.load(Relaxed) > 0);
}

/// What an append to the journal does to make a commit durable.
const FLUSHES_A_COMMIT: u64 = 1;
/// One page of 4 KiB: the dozen rows of an edit take some 2 KiB.
const EDIT_MAX_BYTES: u64 = 4 << 10;
/// Edits of leads that lie apart: more than two laps of the journal.
const DAY: u64 = 300;
/// The page in the journal and, at a checkpoint, its share of the tree's pages.
const DAY_EDIT_MAX_BYTES: u64 = 32 << 10;

/// Held rows that the server has in memory together; behind as many, the cost is the same.
const HELD_ROWS_AT_ONCE: usize = 4;
