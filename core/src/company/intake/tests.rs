use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::*;
use crate::access::Role;
use crate::company::{Incoming, LocalGate, NewLead, OneHand, Part, Settled, UserRow};
use crate::document::NoClocks;
use crate::ids::{Actor, DeviceId, UserId};
use crate::model::events;
use crate::store::{MemoryStore, Position, Reads, Row, Store, StoreError};
use crate::sync::message::Push;
use crate::time::{Moment, Stamp};

const NOW_MS: i64 = 1_772_413_200_000;
const LI: UserId = UserId([1; 8]);
const PHONE: DeviceId = DeviceId([1; 8]);

/// What happens in place of a commit: once, before it.
type Before = Box<dyn FnOnce(&Arc<MemoryStore>) + Send>;

/// A store of which commits are counted. Somebody else may write before one, and the process may die before another.
#[derive(Default)]
struct Watched {
    store: Arc<MemoryStore>,
    batches: AtomicUsize,
    before: Mutex<Option<Before>>,
    is_dead: Mutex<bool>,
}

impl Watched {
    /// Batches that were committed since this was asked last.
    fn committed(&self) -> usize {
        self.batches.swap(0, Ordering::SeqCst)
    }

    fn before_the_next(&self, act: impl FnOnce(&Arc<MemoryStore>) + Send + 'static) {
        *self.before.lock().unwrap() = Some(Box::new(act));
    }
}

impl Store for Watched {
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.store.get_many(keys)
    }
    fn scan(&self, range: &Range, direction: Direction, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.store.scan(range, direction, limit)
    }
    fn commit(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError> {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(before) = before {
            before(&self.store);
        }
        if *self.is_dead.lock().unwrap() {
            return Err(StoreError::Io("dead".into()));
        }
        self.batches.fetch_add(batches.len(), Ordering::SeqCst);
        self.store.commit(batches)
    }
    fn head(&self) -> Result<Position, StoreError> {
        self.store.head()
    }
    fn read(&self, keys: &[&[u8]], ranges: &[(Range, usize)]) -> Result<Reads, StoreError> {
        self.store.read(keys, ranges)
    }
}

/// Three parts at once, the last one first.
struct Backwards;

impl Hands for Backwards {
    fn count(&self) -> usize {
        3
    }
    fn all(&self, parts: Vec<Part<'_>>) {
        parts.into_iter().rev().for_each(|part| part());
    }
}

fn open(store: Arc<dyn Store>) -> Company {
    Company::open(store, "智康", &[3; 64]).unwrap()
}

fn key() -> IntakeKey {
    IntakeKey {
        name: "官网".into(),
        source: "官网/SEM".into(),
        secret: [9; 32],
        system: EntryId([8; 16]),
        created_ms: NOW_MS,
        revoked_ms: None,
    }
}

/// A company with so many leads, which the site calls `v0`, `v1`…
fn company(leads: u8) -> (Company, Arc<Watched>, Vec<DocId>) {
    let store = Arc::new(Watched::default());
    let company = open(store.clone());
    let row = UserRow { name: "李雷".into(), role: Role::Rep, team: None, active: true };
    company.put_user(LI, row, NOW_MS).unwrap();
    company.put_device(PHONE, LI, "phone", NOW_MS).unwrap();
    let new: Vec<NewLead> = (0..leads)
        .map(|n| NewLead {
            id: DocId::fresh(DocKind::Lead, EntryId([n; 16])),
            edits: vec![Edit::Set { field: "customer_name".into(), value: "市一院".into() }],
            owner: Some(LI),
            external_id: Some(key().external_id(&format!("v{n}"))),
            ..NewLead::default()
        })
        .collect();
    let (ids, _) = company.intake(&new, NOW_MS).unwrap();
    store.committed();
    (company, store, ids)
}

fn view(id: &str, lead: &str) -> NewSignal {
    let signal = Signal { kind: "page_view".into(), about: "CT".into(), ..Signal::default() };
    NewSignal { id: id.into(), lead: lead.into(), signal }
}

fn record(company: &Company, signals: &[NewSignal]) -> RecordedSignals {
    company.record_signals(&key(), signals, NOW_MS, &OneHand).unwrap()
}

fn signals_of(company: &Company, lead: DocId) -> Vec<Signal> {
    let logged = events(&company.load(lead).unwrap(), &NoClocks).into_iter();
    let signal = |event| match event {
        Event::Signal(signal) => Some(signal),
        _ => None,
    };
    logged.filter_map(|logged| signal(logged.event)).collect()
}

#[test]
fn several_signals_of_a_lead_are_one_change_and_sent_again_none() {
    let (company, store, leads) = company(3);
    let by_id = leads[1].to_string();
    let lot = [view("1", "v0"), view("2", "v0"), view("3", &by_id), view("4", "v0"), view("1", "v0")];
    let before = company.header(leads[0]).unwrap().unwrap().changes;
    let recorded = record(&company, &lot);
    let (zero, one) = (leads[0], leads[1]);
    assert_eq!(
        recorded.outcomes,
        [
            SignalOutcome::Recorded(zero),
            SignalOutcome::Recorded(zero),
            SignalOutcome::Recorded(one),
            SignalOutcome::Recorded(zero),
            SignalOutcome::Known(zero),
        ]
    );
    assert!(recorded.touched.contains(&Channel::User(LI)));
    assert_eq!(store.committed(), 2, "a change for each of two leads");
    assert_eq!(company.header(zero).unwrap().unwrap().changes, before + 1);
    assert_eq!((signals_of(&company, zero).len(), signals_of(&company, one).len()), (3, 1));

    let again = record(&company, &lot);
    assert!(again.outcomes.iter().all(|outcome| matches!(outcome, SignalOutcome::Known(_))));
    assert!(again.touched.is_empty());
    assert_eq!(store.committed(), 0);
    // Another system calls other things so; a key that replaces this one is of this system.
    let other = IntakeKey { system: EntryId([7; 16]), ..key() };
    let theirs = [view("1", &zero.to_string()), view("9", "v0")];
    let told = company.record_signals(&other, &theirs, NOW_MS, &OneHand).unwrap().outcomes;
    assert_eq!(
        told,
        [SignalOutcome::Recorded(zero), SignalOutcome::Refused(SignalRefusal::NoSuchLead)],
        "what one system calls v0 is nothing to another"
    );
    let next = IntakeKey { secret: [1; 32], ..key() };
    let told = company.record_signals(&next, &lot[..1], NOW_MS, &OneHand).unwrap().outcomes;
    assert_eq!(told, [SignalOutcome::Known(zero)]);
}

#[test]
fn several_hands_say_the_same_in_the_same_order() {
    let (one, _, leads) = company(7);
    let (other, ..) = company(7);
    let lot: Vec<NewSignal> = (0..40).map(|n| view(&n.to_string(), &format!("v{}", n % 8))).collect();
    let told = record(&one, &lot);
    assert_eq!(other.record_signals(&key(), &lot, NOW_MS, &Backwards).unwrap(), told);
    assert_eq!(told.outcomes[7], SignalOutcome::Refused(SignalRefusal::NoSuchLead));
    assert!(leads.iter().all(|lead| signals_of(&other, *lead) == signals_of(&one, *lead)));
}

#[test]
fn what_cannot_be_recorded_says_why_and_keeps_nothing_else_back() {
    let (company, _, leads) = company(1);
    let with = |id: &str, lead: &str, signal: Signal| NewSignal { id: id.into(), lead: lead.into(), signal };
    let seen = || view("x", "v0").signal;
    let no_lead = DocId::fresh(DocKind::Lead, EntryId([99; 16])).to_string();
    let ruling = DocId::ruling_of(leads[0]).to_string();
    let lot = [
        (view("", "v0"), Some(SignalRefusal::Id)),
        (view(&"9".repeat(limits::SENDER_ID_MAX_BYTES + 1), "v0"), Some(SignalRefusal::Id)),
        (with("a", "v0", Signal { kind: "mind_read".into(), ..seen() }), Some(SignalRefusal::UnknownKind)),
        (view("b", "v1"), Some(SignalRefusal::NoSuchLead)),
        (view("c", &no_lead), Some(SignalRefusal::NoSuchLead)),
        (view("d", &ruling), Some(SignalRefusal::NoSuchLead)),
        (with("e", "v0", Signal { at_ms: Some(-1), ..seen() }), Some(SignalRefusal::Time)),
        (
            with("f", "v0", Signal { text: "x".repeat(limits::SIGNAL_MAX_BYTES), ..seen() }),
            Some(SignalRefusal::TooLarge),
        ),
        // C42: a complaint carries how bad it is, and a page view nothing of the kind.
        (with("i", "v0", Signal { kind: "complaint".into(), ..seen() }), Some(SignalRefusal::Level)),
        (with("j", "v0", Signal { level: "高".into(), ..seen() }), Some(SignalRefusal::Level)),
        (with("k", "v0", Signal { kind: "complaint".into(), level: "高".into(), ..seen() }), None),
        (with("g", "v0", Signal { at_ms: Some(NOW_MS + 1), ..seen() }), None),
        (with("h", "v0", Signal { at_ms: Some(NOW_MS - 5), amount: Some(7), ..seen() }), None),
    ];
    let signals: Vec<NewSignal> = lot.iter().map(|(signal, _)| signal.clone()).collect();
    let told = record(&company, &signals).outcomes;
    for ((signal, refusal), outcome) in lot.iter().zip(told) {
        let expected = refusal.map_or(SignalOutcome::Recorded(leads[0]), SignalOutcome::Refused);
        assert_eq!(outcome, expected, "{}", signal.id);
    }
    let mut times: Vec<_> = signals_of(&company, leads[0]).iter().map(|signal| signal.at_ms).collect();
    times.sort_unstable();
    assert_eq!(times, [None, Some(NOW_MS - 5), Some(NOW_MS)], "nothing happens in the future");
}

#[test]
fn a_process_that_dies_between_commits_doubles_nothing() {
    let (company, store, leads) = company(2);
    let lot: Vec<NewSignal> = (0..6).map(|n| view(&n.to_string(), &format!("v{}", n % 2))).collect();
    // Before the commit: nothing of it is there. After it, and before the answer: all of it.
    *store.is_dead.lock().unwrap() = true;
    assert!(company.record_signals(&key(), &lot, NOW_MS, &OneHand).is_err());
    *store.is_dead.lock().unwrap() = false;
    let company = open(store.clone());
    assert!(signals_of(&company, leads[0]).is_empty());
    record(&company, &lot[..3]);
    let company = open(store);
    let told = record(&company, &lot).outcomes;
    assert!(told[..3].iter().all(|outcome| matches!(outcome, SignalOutcome::Known(_))));
    assert!(told[3..].iter().all(|outcome| matches!(outcome, SignalOutcome::Recorded(_))));
    assert_eq!((signals_of(&company, leads[0]).len(), signals_of(&company, leads[1]).len()), (3, 3));
}

/// 李's phone pushes a field of the lead.
fn push(company: &Company, lead: DocId) {
    let stamp = Stamp {
        user: LI,
        moment: Moment { wall_ms: NOW_MS, boot: 1, mono_ms: 1 },
        offset_ms: Some(NOW_MS - 1),
        last_contact_ms: NOW_MS,
    };
    let edit = Edit::Set { field: "hospital".into(), value: "省医".into() };
    let actor = Actor { device: PHONE, incarnation: 1 };
    let change = company.load(lead).unwrap().edit(actor, &stamp, &[edit]).unwrap().change;
    let push = Push { id: 1, doc: lead, origin: None, changes: vec![change.into()] };
    let who = company.principal(PHONE).unwrap();
    let prepared = company.prepare(lead, &[Incoming { who, push }], &mut LocalGate::new(1), NOW_MS).unwrap();
    let outcome = company.store.commit_one(prepared.batch.clone()).unwrap();
    assert!(matches!(prepared.settle(outcome), Settled::Done { .. }));
}

#[test]
fn a_push_that_was_faster_is_kept_and_the_signal_follows_it() {
    let (company, store, leads) = company(2);
    let lead = leads[0];
    store.before_the_next(move |store| push(&open(store.clone()), lead));
    let told = record(&company, &[view("1", "v0"), view("2", "v1"), view("3", "v0")]);
    assert!(told.outcomes.iter().all(|outcome| matches!(outcome, SignalOutcome::Recorded(_))));
    assert_eq!((signals_of(&company, lead).len(), signals_of(&company, leads[1]).len()), (2, 1));
    let hospital = company.load(lead).unwrap().value("hospital", &NoClocks);
    assert_eq!(hospital, Some("省医".into()));
}

#[test]
fn a_lead_takes_signals_as_long_as_people_have_room_in_it() {
    let (company, store, leads) = company(1);
    let long = |n: usize| {
        let signal = Signal { text: "甲".repeat(5_000), ..view("", "").signal };
        NewSignal { id: format!("long {n}"), lead: "v0".into(), signal }
    };
    let lot: Vec<NewSignal> = (0..20).map(long).collect();
    let told = record(&company, &lot).outcomes;
    let recorded = told.iter().filter(|outcome| matches!(outcome, SignalOutcome::Recorded(_))).count();
    assert!((10..20).contains(&recorded), "{recorded}");
    assert_eq!(told[19], SignalOutcome::Refused(SignalRefusal::Full));
    assert!(store.committed() > 1, "more than one change holds");
    assert_eq!(signals_of(&company, leads[0]).len(), recorded);
    let bytes = company.load(leads[0]).unwrap().plain_bytes();
    assert!(bytes <= limits::INTAKE_MAX_BYTES, "{bytes}");
    push(&company, leads[0]);
    let again = record(&company, &lot).outcomes;
    assert_eq!(again.iter().filter(|outcome| matches!(outcome, SignalOutcome::Known(_))).count(), recorded);
    assert_eq!(again[19], SignalOutcome::Refused(SignalRefusal::Full));
}

#[test]
fn a_deleted_lead_takes_signals_and_a_damaged_one_keeps_no_other_from_them() {
    let (company, store, leads) = company(2);
    let deleted = Edit::Set { field: "deleted".into(), value: true.into() };
    company.edit_as_office(leads[0], &[deleted], NOW_MS).unwrap();
    assert_eq!(record(&company, &[view("1", "v0")]).outcomes, [SignalOutcome::Recorded(leads[0])]);
    let mut batch = Batch::new();
    batch.put(keys::snapshot(leads[1]), b"rubbish".to_vec());
    store.commit_one(batch).unwrap();
    assert_eq!(
        record(&company, &[view("2", "v1"), view("3", "v0")]).outcomes,
        [SignalOutcome::Refused(SignalRefusal::Damaged), SignalOutcome::Recorded(leads[0])]
    );
}

#[test]
fn keys_are_kept_listed_and_revoked_for_good() {
    let (company, ..) = company(0);
    let id = EntryId([1; 16]);
    company.put_intake_key(id, &key()).unwrap();
    assert!(matches!(company.put_intake_key(id, &key()), Err(CompanyError::Refused(_))));
    assert_eq!(company.intake_key(id).unwrap(), key());
    assert!(matches!(company.intake_key(EntryId([2; 16])), Err(CompanyError::Unknown { .. })));
    for at_ms in [NOW_MS + 1, NOW_MS + 2] {
        company.revoke_intake_key(id, at_ms).unwrap();
    }
    let kept = IntakeKey { revoked_ms: Some(NOW_MS + 1), ..key() };
    assert_eq!(company.intake_keys().unwrap(), [(id, kept.clone())]);
    assert!(matches!(company.revoke_intake_key(EntryId([2; 16]), NOW_MS), Err(CompanyError::Unknown { .. })));
    let shown = format!("{kept:?}");
    assert!(!shown.contains("secret") && !shown.contains("9, 9"), "{shown}");
}

/// What the rules ask for in the packs comes by this door: every kind that they name is one of the policy's, and so one that it takes.
#[test]
fn every_kind_of_a_pack_can_be_sent() {
    let (company, _, leads) = company(1);
    let policies = company.policies().unwrap();
    let kinds = &policies.at(NOW_MS).policy.as_ref().unwrap().signals;
    let lot: Vec<NewSignal> = kinds
        .iter()
        .map(|kind| {
            let level = kind.levels.first().cloned().unwrap_or_default();
            let signal = Signal { kind: kind.id.clone(), level, ..Signal::default() };
            NewSignal { id: kind.id.clone(), lead: "v0".into(), signal }
        })
        .collect();
    assert!(
        ["chat", "service_session", "call_400", "purchase"]
            .iter()
            .all(|id| kinds.iter().any(|k| k.id == *id))
    );
    let told = record(&company, &lot).outcomes;
    assert!(told.iter().all(|outcome| *outcome == SignalOutcome::Recorded(leads[0])), "{told:?}");
}
