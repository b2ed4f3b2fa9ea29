//! Phones whose people write about the same things without signal, with a gate between them and nothing else: what one takes back, moves or
//! removes never costs another a word.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fieldbook_core::document::{AdmitLimits, Author, Doc, Edit, NoClocks, Value, WriteScope, admit};
use fieldbook_core::ids::{DeviceId, DocId, DocKind, EntryId, UserId};
use fieldbook_core::model::{CalendarEntry, PlacedEntry, entries_on, notes_edits};
use fieldbook_core::replica::{DocEdits, Identity, ListQuery, Replica, ReplicaError, Undone};
use fieldbook_core::store::MemoryStore;
use fieldbook_core::sync::message::{Answer, Delta, FromServer, HoldReason, Origin, Verdict};
use fieldbook_core::time::{Act, Moment};
use proptest::prelude::*;

const LI: UserId = UserId([1; 8]);

/// What the phones have in common: the documents behind the gate.
#[derive(Default)]
struct Office {
    docs: BTreeMap<DocId, (Option<Origin>, Doc)>,
    at: u64,
}

struct Phone {
    replica: Replica,
    device: DeviceId,
    acts: u64,
}

impl Phone {
    fn new(n: u8) -> Self {
        let mut replica = Replica::open(Arc::new(MemoryStore::new())).unwrap();
        let device = DeviceId([n; 8]);
        let texts = || String::new();
        let identity = Identity {
            device,
            user: LI,
            user_name: texts(),
            company: texts(),
            server_url: texts(),
            refresh_token: texts(),
            zone: texts(),
        };
        replica.enrol(identity).unwrap();
        Self { replica, device, acts: 0 }
    }

    /// The next act of the phone's user, each a second after the last of all phones.
    fn act(&mut self, office: &mut Office) -> Act {
        office.at += 1;
        self.acts += 1;
        let wall_ms = 1_770_000_000_000 + office.at as i64 * 1_000;
        let mut seed = [self.device.0[0]; 32];
        seed[..8].copy_from_slice(&self.acts.to_be_bytes());
        self.replica.act(Moment { wall_ms, boot: 1, mono_ms: office.at * 1_000 }, seed).unwrap()
    }

    fn edit(&mut self, office: &mut Office, lots: &[DocEdits]) -> Result<(), ReplicaError> {
        let act = self.act(office);
        self.replica.edit(&act, lots).map(drop)
    }

    fn undo(&mut self, office: &mut Office) -> Result<Undone, ReplicaError> {
        let act = self.act(office);
        self.replica.undo(&act)
    }

    /// Sends what waits, takes what is there. Everything passes the gate.
    fn sync(&mut self, office: &mut Office) {
        for push in self.replica.pushes(0, 1_000, 1 << 20).unwrap() {
            let author = Author { device: self.device, user: LI, may: WriteScope::Everything };
            let fresh = || (push.origin.clone(), Doc::genesis(push.doc.kind().unwrap()));
            let held = office.docs.entry(push.doc).or_insert_with(fresh);
            let changes: Vec<&[u8]> = push.changes.iter().map(|change| change.as_slice()).collect();
            held.1 = admit(&held.1, &author, &changes, &AdmitLimits::default()).unwrap().0;
            office.at += 1;
            let verdict = Verdict::Durable { at: office.at, receipt: Vec::new() };
            self.take(FromServer::Answer(Answer { id: push.id, doc: push.doc, verdict }));
        }
        for (id, (origin, doc)) in &office.docs {
            let heads = self.replica.load(*id).map(|held| held.heads()).unwrap_or_default();
            let changes = doc.changes_after(&[heads, Doc::genesis(doc.kind()).heads()].concat());
            if !changes.is_empty() {
                office.at += 1;
                self.take(FromServer::Delta(Delta {
                    doc: *id,
                    origin: origin.clone(),
                    at: office.at,
                    snapshot: None,
                    changes: changes.into_iter().map(|change| change.bytes.into()).collect(),
                    receipt: Vec::new(),
                    heads: doc.heads(),
                }));
            }
        }
    }

    fn take(&mut self, message: FromServer) {
        self.replica.take(&[message], 0).unwrap();
    }

    fn value(&mut self, doc: DocId, field: &str) -> Option<Value> {
        self.replica.load(doc).unwrap().value(field, &NoClocks)
    }

    fn notes(&mut self, doc: DocId) -> String {
        self.replica.load(doc).unwrap().text("notes")
    }

    fn listed(&self) -> usize {
        let query = ListQuery { limit: 10, ..ListQuery::default() };
        self.replica.list(&query, Moment { wall_ms: 0, boot: 1, mono_ms: 0 }).unwrap().len()
    }

    /// The whole calendar, as the screens read it.
    fn board(&mut self) -> BTreeMap<EntryId, PlacedEntry> {
        let held = self.replica.held_of(DocKind::Calendar).unwrap();
        let docs: Vec<_> = held.into_iter().map(|id| (id, self.replica.load(id).unwrap())).collect();
        entries_on(docs.iter().map(|(id, doc)| (*id, doc)), |_| true, &NoClocks)
    }
}

fn set(field: &str, value: impl Into<Value>) -> Edit {
    Edit::Set { field: field.into(), value: value.into() }
}

fn lead() -> DocId {
    DocId::fresh(DocKind::Lead, EntryId([9; 16]))
}

fn of_lead(edits: Vec<Edit>) -> Vec<DocEdits> {
    vec![DocEdits::of(lead(), edits)]
}

/// An office with a lead, and two phones that hold it.
fn two_phones() -> (Office, Phone, Phone) {
    let mut office = Office::default();
    let (mut a, mut b) = (Phone::new(1), Phone::new(2));
    let notes = notes_edits("", "三月招标", "");
    a.edit(&mut office, &of_lead([vec![set("customer_name", "协和"), set("brand", "东软")], notes].concat()))
        .unwrap();
    a.sync(&mut office);
    b.sync(&mut office);
    (office, a, b)
}

#[test]
fn undo_takes_back_what_is_mine_after_the_push_as_before() {
    for pushed in [false, true] {
        let (mut office, mut a, _) = two_phones();
        a.edit(&mut office, &of_lead(vec![set("brand", "联影"), set("need", "采购")])).unwrap();
        if pushed {
            a.sync(&mut office);
        }
        let undone = a.undo(&mut office).unwrap();
        assert_eq!((undone.saved.len(), undone.partly), (1, false));
        assert_eq!((a.value(lead(), "brand"), a.value(lead(), "need")), (Some("东软".into()), None));
        assert!(!a.undo(&mut office).unwrap().partly, "taking that back does it once more");
        assert_eq!(a.value(lead(), "brand"), Some("联影".into()));
        a.sync(&mut office);
    }
}

#[test]
fn undo_leaves_what_a_colleague_made_of_it() {
    let (mut office, mut a, mut b) = two_phones();
    a.edit(&mut office, &of_lead(vec![set("brand", "联影"), set("need", "采购")])).unwrap();
    a.sync(&mut office);
    b.sync(&mut office);
    b.edit(&mut office, &of_lead(vec![set("brand", "西门子")])).unwrap();
    b.sync(&mut office);
    a.sync(&mut office);
    assert!(a.undo(&mut office).unwrap().partly);
    assert_eq!((a.value(lead(), "brand"), a.value(lead(), "need")), (Some("西门子".into()), None));

    // Both type into the notes; what comes back comes where it was.
    let typed = |phone: &mut Phone, office: &mut Office, text: &str| {
        let base = phone.notes(lead());
        phone.edit(office, &of_lead(notes_edits(&base, text, &base))).unwrap();
    };
    typed(&mut a, &mut office, "三月启动");
    typed(&mut b, &mut office, "王主任：三月招标。");
    b.sync(&mut office);
    a.sync(&mut office);
    assert_eq!(a.notes(lead()), "王主任：三月启动。");
    assert!(!a.undo(&mut office).unwrap().partly);
    assert_eq!(a.notes(lead()), "王主任：三月招标。");

    // Nothing of it stands any more.
    a.edit(&mut office, &of_lead(vec![set("brand", "GE")])).unwrap();
    a.sync(&mut office);
    b.sync(&mut office);
    b.edit(&mut office, &of_lead(vec![set("brand", "飞利浦")])).unwrap();
    b.sync(&mut office);
    a.sync(&mut office);
    assert!(matches!(a.undo(&mut office), Err(ReplicaError::NothingToUndo)));
    assert_eq!(a.value(lead(), "brand"), Some("飞利浦".into()));
}

#[test]
fn a_lead_created_and_taken_back_leaves_the_list_and_comes_again() {
    let mut office = Office::default();
    let mut a = Phone::new(1);
    let tick = Edit::SetIn { field: "ticks".into(), key: "decision_maker".into(), value: true.into() };
    let lots =
        [of_lead(vec![set("customer_name", "协和")]), vec![DocEdits::table_of(lead(), vec![tick])]].concat();
    a.edit(&mut office, &lots).unwrap();
    assert_eq!(a.listed(), 1);
    assert_eq!(a.undo(&mut office).unwrap().saved.len(), 2);
    assert_eq!((a.listed(), a.value(lead(), "customer_name")), (0, Some("协和".into())));
    a.sync(&mut office);
    assert!(!a.undo(&mut office).unwrap().partly);
    assert_eq!((a.listed(), a.value(lead(), "deleted")), (1, None));
}

#[test]
fn one_document_without_anything_to_take_back_does_not_stop_the_others() {
    let (mut office, mut a, mut b) = two_phones();
    let table = DocId::advancement_of(lead());
    let tick =
        |on: bool| Edit::SetIn { field: "ticks".into(), key: "decision_maker".into(), value: on.into() };
    let lots =
        [of_lead(vec![set("brand", "联影")]), vec![DocEdits::table_of(lead(), vec![tick(true)])]].concat();
    a.edit(&mut office, &lots).unwrap();
    a.sync(&mut office);
    b.sync(&mut office);
    b.edit(&mut office, &of_lead(vec![set("brand", "东软")])).unwrap();
    b.sync(&mut office);
    a.sync(&mut office);
    let undone = a.undo(&mut office).unwrap();
    assert_eq!((undone.saved.len(), undone.saved[0].doc, undone.partly), (1, table, true));
    // An edit of several documents likewise: what is so already is passed over.
    let lots =
        [of_lead(vec![set("brand", "东软")]), vec![DocEdits::table_of(lead(), vec![tick(true)])]].concat();
    let act = a.act(&mut office);
    assert_eq!(a.replica.edit(&act, &lots).unwrap().len(), 1);
    assert_eq!(a.replica.unanswered(), 2);
}

#[test]
fn work_that_was_set_aside_is_not_taken_back() {
    let (mut office, mut a, _) = two_phones();
    a.edit(&mut office, &of_lead(vec![set("brand", "联影")])).unwrap();
    let id = a.replica.pushed();
    let verdict = Verdict::Held { reason: HoldReason::NotYours };
    a.take(FromServer::Answer(Answer { id, doc: lead(), verdict }));
    assert_eq!(a.value(lead(), "brand"), Some("东软".into()));
    assert!(matches!(a.undo(&mut office), Err(ReplicaError::NothingToUndo)));
}

/// One thing that the user does with the calendar on one of the phones.
#[derive(Debug, Clone)]
enum Deed {
    Plan(u8),
    Move(usize, u8),
    Write(usize, u8),
    Remove(usize),
    Undo,
    Sync,
}

fn any_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        2 => (0u8..4).prop_map(Deed::Plan),
        4 => (0usize..4, 0u8..4).prop_map(|(entry, month)| Deed::Move(entry, month)),
        2 => (0usize..4, 0u8..9).prop_map(|(entry, word)| Deed::Write(entry, word)),
        1 => (0usize..4).prop_map(Deed::Remove),
        1 => Just(Deed::Undo),
        3 => Just(Deed::Sync),
    ]
}

fn day(month: u8, day: u64) -> String {
    format!("2026-{:02}-{:02}", month + 1, day % 28 + 1)
}

/// Does it, and gives the entry that it removed: by a removal, or by taking its planning back.
fn does(phone: &mut Phone, office: &mut Office, deed: &Deed) -> Option<EntryId> {
    let board = phone.board();
    let nth = |n: usize| board.iter().nth(n).map(|(id, placed)| (*id, placed.calendar));
    let (target, edits) = match deed {
        Deed::Plan(month) => {
            let day = day(*month, office.at);
            let entry = CalendarEntry {
                day: Some(day.clone()),
                purpose: Some("确认".into()),
                ..CalendarEntry::default()
            };
            let id = phone.act(office).fresh_id();
            let lot = DocEdits::calendar_of(LI, &day[..7], vec![entry.plan(id)]);
            phone.edit(office, &[lot]).unwrap();
            return None;
        }
        Deed::Sync => {
            phone.sync(office);
            return None;
        }
        Deed::Undo => {
            let _ = phone.undo(office);
            return board.keys().find(|id| !phone.board().contains_key(id)).copied();
        }
        Deed::Move(n, month) => {
            let day = day(*month, office.at).parse().unwrap();
            (
                nth(*n)?,
                Box::new(move |id| CalendarEntry::move_to(id, day)) as Box<dyn Fn(EntryId) -> Vec<Edit>>,
            )
        }
        Deed::Write(n, word) => {
            let entry = CalendarEntry { materials: Some(word.to_string()), ..CalendarEntry::default() };
            (nth(*n)?, Box::new(move |id| entry.update("entries", id)) as _)
        }
        Deed::Remove(n) => (nth(*n)?, Box::new(|id| vec![CalendarEntry::remove(id)]) as _),
    };
    let (id, calendar) = target;
    // What changes nothing is done already.
    let _ = phone.edit(office, &[DocEdits::of(calendar, edits(id))]);
    matches!(deed, Deed::Remove(_)).then_some(id)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Two phones of one rep plan, move, write, remove and take back, and meet when they meet: in the end both show the same, every entry on
    /// one day, and nothing is gone that nobody removed.
    #[test]
    fn both_phones_show_one_calendar_and_lose_no_entry(
        deeds in prop::collection::vec((0usize..2, any_deed()), 1..24),
    ) {
        let mut office = Office::default();
        let mut phones = [Phone::new(1), Phone::new(2)];
        let (mut planned, mut removed) = (BTreeSet::new(), BTreeSet::new());
        for (n, deed) in &deeds {
            removed.extend(does(&mut phones[*n], &mut office, deed));
            planned.extend(phones[*n].board().into_keys());
        }
        for n in [0, 1, 0, 1] {
            phones[n].sync(&mut office);
        }
        let [a, b] = &mut phones;
        let (one, other) = (a.board(), b.board());
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(a.replica.unanswered() + b.replica.unanswered(), 0);
        for id in planned.difference(&removed) {
            prop_assert!(one.contains_key(id), "{} is gone and nobody removed it", id);
            prop_assert_eq!(one[id].entry.purpose.as_deref(), Some("确认"));
        }
    }
}

/// The same move on both phones, different moves, a note against a move, a removal against a move.
#[test]
fn what_two_phones_do_to_one_entry_meets_in_one_place() {
    let mut office = Office::default();
    let (mut a, mut b) = (Phone::new(1), Phone::new(2));
    assert_eq!(does(&mut a, &mut office, &Deed::Plan(2)), None);
    a.sync(&mut office);
    b.sync(&mut office);
    let meet = |office: &mut Office, a: &mut Phone, b: &mut Phone| {
        for _ in 0..2 {
            a.sync(office);
            b.sync(office);
        }
        assert_eq!(a.board(), b.board());
        a.board().into_values().map(|placed| placed.entry).collect::<Vec<_>>()
    };
    for (mine, theirs, month) in [
        (Deed::Move(0, 3), Deed::Move(0, 3), 4),
        (Deed::Move(0, 2), Deed::Move(0, 2), 3),
        (Deed::Move(0, 4), Deed::Move(0, 5), 6),
        (Deed::Move(0, 2), Deed::Write(0, 7), 3),
        (Deed::Move(0, 3), Deed::Remove(0), 4),
    ] {
        does(&mut a, &mut office, &mine);
        does(&mut b, &mut office, &theirs);
        let entries = meet(&mut office, &mut a, &mut b);
        assert_eq!(entries.len(), 1, "{mine:?} against {theirs:?}");
        assert_eq!(entries[0].date().unwrap().month(), month, "{mine:?} against {theirs:?}");
    }
    let entries = meet(&mut office, &mut a, &mut b);
    assert_eq!(entries[0].materials.as_deref(), Some("7"), "a note outlives the move");
    does(&mut a, &mut office, &Deed::Remove(0));
    assert!(meet(&mut office, &mut a, &mut b).is_empty(), "removed by one who saw it all");
}
