//! The spine in one thread: phones, a server and nothing between them but function calls. Stories, each with its promise.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::BTreeMap;
use std::sync::Arc;

use fieldbook_core::access::{Role, channels_of};
use fieldbook_core::company::{
    Company, CompanyError, DeviceStatus, Incoming, LocalGate, NewLead, Settled, TeamRow, UserRow,
};
use fieldbook_core::document::{Edit, NoClocks, Value};
use fieldbook_core::ids::{Actor, DeviceId, DocId, DocKind, EntryId, TeamId, UserId};
use fieldbook_core::limits;
use fieldbook_core::model::Todo;
use fieldbook_core::replica::{DocEdits, Identity, ListQuery, Replica, ReplicaError};
use fieldbook_core::store::{MemoryStore, Store};
use fieldbook_core::sync::message::{
    Answer, FromPhone, FromServer, HoldReason, Origin, Push, Verdict, WireCode, decode_frame, frames,
};
use fieldbook_core::sync::phone::{Link, SyncReport};
use fieldbook_core::sync::server::{Effect, Session};
use fieldbook_core::time::{Moment, Stamp};
use minicbor::bytes::ByteVec;

struct Office {
    company: Company,
    gate: LocalGate,
    store: Arc<MemoryStore>,
    now_ms: i64,
    phones: BTreeMap<u8, Phone>,
    seed: u8,
}

struct Phone {
    store: Arc<MemoryStore>,
    replica: Replica,
    seeds: u64,
    bytes_up: usize,
    bytes_down: usize,
    clock: Clock,
}

/// A phone's clocks: which boot, when it began, how far the wall clock is off.
struct Clock {
    boot: u64,
    booted_ms: i64,
    skew_ms: i64,
}

const TEAM: TeamId = TeamId([77; 8]);

fn user(n: u8) -> UserId {
    UserId([n; 8])
}

fn device(n: u8) -> DeviceId {
    DeviceId([n; 8])
}

impl Office {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let company = Company::open(store.clone(), "智康", &[0x5e; 64]).unwrap();
        let team = TeamRow { name: "杭州组".into(), parent: None, leaders: vec![user(9)] };
        company.put_team(TEAM, team, 1).unwrap();
        let mut office =
            Self { company, gate: LocalGate::new(100), store, now_ms: T0, phones: BTreeMap::new(), seed: 0 };
        office.hire(9, Role::Manager);
        for n in 1..=3 {
            office.hire(n, Role::Rep);
        }
        office
    }

    fn hire(&mut self, n: u8, role: Role) {
        let row = UserRow { name: format!("销售{n}"), role, team: Some(TEAM), active: true };
        self.company.put_user(user(n), row, self.now_ms).unwrap();
        self.company.put_device(device(n), user(n), "phone", self.now_ms).unwrap();
        let store = Arc::new(MemoryStore::new());
        let mut replica = Replica::open(store.clone()).unwrap();
        replica.enrol(identity(n)).unwrap();
        let clock = Clock { boot: u64::from(n), booted_ms: T0 - 1_000, skew_ms: 0 };
        self.phones.insert(n, Phone { store, replica, seeds: 0, bytes_up: 0, bytes_down: 0, clock });
    }

    fn moment(&self, n: u8) -> Moment {
        let Clock { boot, booted_ms, skew_ms } = self.phones[&n].clock;
        let mono_ms = (self.now_ms - booted_ms).unsigned_abs();
        Moment { wall_ms: self.now_ms + skew_ms, boot, mono_ms }
    }

    fn reboot(&mut self, n: u8, boot: u64) {
        let (booted_ms, phone) = (self.now_ms, self.phones.get_mut(&n).unwrap());
        phone.clock.boot = boot;
        phone.clock.booted_ms = booted_ms;
    }

    fn edit(&mut self, n: u8, lots: &[DocEdits]) {
        self.now_ms += 1_000;
        let now = self.moment(n);
        let phone = self.phones.get_mut(&n).unwrap();
        phone.seeds += 1;
        let mut seed = [n; 32];
        seed[..8].copy_from_slice(&phone.seeds.to_be_bytes());
        let act = phone.replica.act(now, seed).unwrap();
        phone.replica.edit(&act, lots).unwrap();
    }

    fn set(&mut self, n: u8, doc: DocId, field: &str, value: &str) {
        let edits = vec![Edit::Set { field: field.into(), value: value.into() }];
        self.edit(n, &[DocEdits { doc, origin: None, edits }]);
    }

    fn tick(&mut self, n: u8, lead: DocId, row: &str, done: bool) {
        let origin = Some(Origin { parent: lead.0.to_vec().into(), key: String::new() });
        let edits = vec![Edit::SetIn { field: "ticks".into(), key: row.into(), value: Value::Bool(done) }];
        self.edit(n, &[DocEdits { doc: DocId::advancement_of(lead), origin, edits }]);
    }

    /// A phone is greeted, and the connection breaks before anything else comes.
    fn greet_alone(&mut self, n: u8) {
        let now = self.moment(n);
        let phone = self.phones.get_mut(&n).unwrap();
        let mut link = Link::new();
        let first = link.open(&phone.replica, "token", "test", now).unwrap();
        let Some(FromPhone::Hello(hello)) = first.first() else { panic!("{first:?}") };
        let (_, welcome) = Session::open(&self.company, device(n), hello, now.wall_ms).unwrap().unwrap();
        link.receive(&mut phone.replica, vec![welcome], now).unwrap();
    }

    /// Runs one whole connection of a phone, byte for byte as on the wire.
    fn sync(&mut self, n: u8) -> SyncReport {
        self.now_ms += 1_000;
        let now = self.moment(n);
        let mut link = Link::new();
        let phone = self.phones.get_mut(&n).unwrap();
        let mut up = link.open(&phone.replica, "token", "test", now).unwrap();
        let mut session: Option<Session> = None;
        for _ in 0..10_000 {
            let mut down = Vec::new();
            for frame in frames(std::mem::take(&mut up)) {
                phone.bytes_up += frame.len();
                for message in decode_frame::<FromPhone>(&frame).unwrap() {
                    match (&mut session, message) {
                        (None, FromPhone::Hello(hello)) => {
                            match Session::open(&self.company, device(n), &hello, self.now_ms).unwrap() {
                                Ok((opened, welcome)) => {
                                    session = Some(opened);
                                    down.push(welcome);
                                }
                                Err(refused) => down.push(FromServer::Error(refused)),
                            }
                        }
                        (Some(session), message) => {
                            let effects = session.receive(&self.company, message, self.now_ms).unwrap();
                            serve(&self.company, &mut self.gate, session, effects, &mut down, self.now_ms);
                        }
                        (None, _) => panic!("no session"),
                    }
                }
            }
            if let Some(session) = &mut session {
                session.wake();
                if let Some(more) = session.pump(&self.company, 64 << 10).unwrap() {
                    down.extend(more);
                }
            }
            if down.is_empty() && link.is_settled(&phone.replica) || link.report().wiped_all {
                break;
            }
            for frame in frames(down) {
                phone.bytes_down += frame.len();
                let turn = link.receive(&mut phone.replica, decode_frame(&frame).unwrap(), now).unwrap();
                if let Some(error) = turn.closed {
                    panic!("closed: {error:?}");
                }
                up.extend(turn.send);
            }
        }
        assert!(
            link.is_settled(&phone.replica) || link.report().wiped_all,
            "phone {n} does not settle: {link:?}"
        );
        link.report().clone()
    }

    fn lead_from_office(&mut self, owner: u8, name: &str) -> DocId {
        self.seed += 1;
        let id = DocId::fresh(DocKind::Lead, EntryId([self.seed; 16]));
        let edits = vec![Edit::Set { field: "customer_name".into(), value: name.into() }];
        let lead = NewLead { id, edits, owner: Some(user(owner)), ..NewLead::default() };
        self.company.intake(&[lead], self.now_ms).unwrap();
        id
    }

    fn value(&mut self, n: u8, doc: DocId, field: &str) -> Option<String> {
        let doc = self.phones.get_mut(&n).unwrap().replica.load(doc).ok()?;
        doc.value(field, &NoClocks).map(|v| v.to_string())
    }

    fn server_value(&self, doc: DocId, field: &str) -> Option<String> {
        self.company.load(doc).unwrap().value(field, &NoClocks).map(|v| v.to_string())
    }

    fn heads_agree(&mut self, n: u8, doc: DocId) {
        let server = self.company.load(doc).unwrap().heads();
        let phone = self.phones.get_mut(&n).unwrap().replica.load(doc).unwrap().heads();
        assert_eq!(server, phone, "phone {n} and the server differ on {doc}");
    }
}

fn serve(
    company: &Company,
    gate: &mut LocalGate,
    session: &mut Session,
    effects: Vec<Effect>,
    down: &mut Vec<FromServer>,
    now_ms: i64,
) {
    for effect in effects {
        match effect {
            Effect::Send(messages) => down.extend(messages),
            Effect::Commit(batch) => {
                company.store().commit_one(batch).unwrap();
            }
            Effect::Push(incoming) => {
                let prepared = company.prepare(incoming.push.doc, &[*incoming], gate, now_ms).unwrap();
                let outcome = company.store().commit_one(prepared.batch.clone()).unwrap();
                let Settled::Done { answers, .. } = prepared.settle(outcome) else { panic!("contended") };
                let more = session.answered(answers);
                serve(company, gate, session, more, down, now_ms);
            }
            Effect::Pump => {}
            Effect::Wipe => down.push(FromServer::Wipe),
            Effect::Close(error) => down.push(FromServer::Error(error)),
            Effect::Return(returned) => {
                company.take_back(&returned, now_ms).unwrap();
            }
        }
    }
}

fn identity(n: u8) -> Identity {
    Identity {
        device: device(n),
        user: user(n),
        user_name: format!("销售{n}"),
        company: "智康".into(),
        server_url: "ws://127.0.0.1".into(),
        refresh_token: String::new(),
        zone: "Asia/Shanghai".into(),
    }
}

const T0: i64 = 1_770_000_000_000;

#[test]
fn an_edit_without_signal_becomes_durable_merged_and_visible() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "北京协和医院");
    office.sync(1);
    office.sync(9);
    assert_eq!(office.value(1, lead, "customer_name").as_deref(), Some("北京协和医院"));
    assert_eq!(office.value(2, lead, "customer_name"), None, "not theirs");

    office.set(1, lead, "next_action", "确认CT机安装场地尺寸");
    office.tick(1, lead, "decision_maker", true);
    assert_eq!(office.phones[&1].replica.unanswered(), 2);
    let report = office.sync(1);
    assert_eq!(report.durable, 2);
    assert_eq!(office.phones[&1].replica.unanswered(), 0);
    assert_eq!(office.server_value(lead, "next_action").as_deref(), Some("确认CT机安装场地尺寸"));

    office.sync(9);
    assert_eq!(office.value(9, lead, "next_action").as_deref(), Some("确认CT机安装场地尺寸"));
    for doc in [lead, DocId::ruling_of(lead), DocId::advancement_of(lead)] {
        office.heads_agree(1, doc);
        office.heads_agree(9, doc);
    }
    let rows = office.phones[&9]
        .replica
        .list(&ListQuery { limit: 50, ..Default::default() }, office.moment(9))
        .unwrap();
    assert_eq!((rows.len(), rows[0].index, rows[0].owner), (1, 33, Some(user(1))));
}

#[test]
fn two_people_on_one_field_keep_both_values_until_somebody_chooses() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "浙大一院");
    office.sync(1);
    office.sync(9);
    office.set(1, lead, "brand", "联影");
    office.set(9, lead, "brand", "西门子");
    office.sync(1);
    office.sync(9);
    office.sync(1);
    let doc = office.phones.get_mut(&1).unwrap().replica.load(lead).unwrap();
    let conflicts = doc.conflicts(&NoClocks);
    assert_eq!(conflicts.len(), 1);
    let mut seen: Vec<(String, UserId)> =
        conflicts[0].values.iter().map(|v| (v.value.to_string(), v.user)).collect();
    seen.sort();
    assert_eq!(seen, [("联影".to_string(), user(1)), ("西门子".to_string(), user(9))]);
    // The later act is the effective one on every device, whatever automerge prefers.
    assert_eq!(office.value(1, lead, "brand").as_deref(), Some("西门子"));
    let choice = conflicts[0].values.iter().position(|v| v.user == user(1)).unwrap();
    let edit = fieldbook_core::document::resolution(&conflicts[0], choice).unwrap();
    office.edit(1, &[DocEdits { doc: lead, origin: None, edits: vec![edit] }]);
    office.sync(1);
    office.sync(9);
    assert_eq!(office.value(9, lead, "brand").as_deref(), Some("联影"));
    assert!(office.phones.get_mut(&9).unwrap().replica.load(lead).unwrap().conflicts(&NoClocks).is_empty());
}

#[test]
fn a_lead_created_without_signal_gets_its_ruling_and_two_phones_share_one_table() {
    let mut office = Office::new();
    let lead = DocId::fresh(DocKind::Lead, EntryId([0xaa; 16]));
    office.set(2, lead, "customer_name", "瑞金医院");
    office.tick(2, lead, "budget_approval", true);
    office.sync(2);
    assert_eq!(office.company.owner_of(lead).unwrap().owner, Some(user(2)));
    office.sync(9);
    office.tick(2, lead, "next_meeting", true);
    office.tick(9, lead, "next_meeting", false);
    office.sync(9);
    office.sync(2);
    office.sync(9);
    let table = DocId::advancement_of(lead);
    let conflicts = office.phones.get_mut(&2).unwrap().replica.load(table).unwrap().conflicts(&NoClocks);
    assert_eq!(conflicts.len(), 1, "concurrent ticks show as a conflict (C55)");
    office.heads_agree(2, table);
    office.heads_agree(9, table);
}

#[test]
fn work_done_before_the_move_was_known_is_merged_and_the_bytes_leave_the_phone() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "华山医院");
    office.sync(1);
    office.sync(2);
    office.company.assign(lead, user(2), user(9), "离岗", office.now_ms).unwrap();
    office.set(1, lead, "customer_state", "张院长说3月招标");
    let report = office.sync(1);
    assert_eq!((report.durable, report.aside, report.wiped), (1, 0, 3), "kept although the lead had moved");
    assert!(!office.phones[&1].replica.holds(lead).unwrap(), "wiped after its work was answered");
    let left = office.phones[&1].store.rows().keys().filter(|k| k.windows(16).any(|w| w == lead.0)).count();
    assert_eq!(left, 0, "no byte of it stays");
    let phone = &office.phones[&1].replica;
    assert!(phone.has_wiped().unwrap(), "pages that the engine freed may still say something");
    phone.note_scrubbed().unwrap();
    assert!(!phone.has_wiped().unwrap());
    office.sync(2);
    assert_eq!(office.value(2, lead, "customer_state").as_deref(), Some("张院长说3月招标"));
    office.heads_agree(2, lead);
}

#[test]
fn work_done_in_spite_of_the_move_is_held_for_a_person_and_can_be_accepted() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "同济医院");
    office.sync(1);
    // A phone whose user was told, but whose copy of the lead lives on: what a hostile or broken app would do.
    let kept = office.phones[&1].store.rows();
    office.company.assign(lead, user(2), user(9), "调整", office.now_ms).unwrap();
    office.sync(1);
    let told = office.phones[&1].store.rows();
    let mut both = kept;
    both.extend(told);
    let store = Arc::new(MemoryStore::from_rows(both));
    let replica = Replica::open(store.clone()).unwrap();
    let old = office.phones.remove(&1).unwrap();
    office.phones.insert(1, Phone { store, replica, ..old });

    office.set(1, lead, "next_action", "还是我来跟");
    let report = office.sync(1);
    assert_eq!((report.durable, report.aside), (0, 1));
    let held = office.company.held(None, 10).unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!(office.server_value(lead, "next_action"), None);
    let gate = &mut LocalGate::new(0);
    office.company.accept_held(&held[0].id, gate, office.now_ms).unwrap();
    assert_eq!(office.server_value(lead, "next_action").as_deref(), Some("还是我来跟"));
    assert!(office.company.discard_held(&held[0].id, office.now_ms).is_err(), "decided once");
}

#[test]
fn work_of_a_manager_who_lost_the_team_is_merged_when_they_could_not_know_and_held_when_they_could() {
    let nobody = TeamRow { name: "杭州组".into(), parent: None, leaders: vec![] };
    for promoted in [false, true] {
        let mut office = Office::new();
        let lead = office.lead_from_office(1, "华山医院");
        office.sync(9);
        office.set(9, lead, "customer_state", "张院长说3月招标");
        office.tick(9, lead, "budget", true);
        if promoted {
            let row = UserRow { name: "总监".into(), role: Role::Director, team: None, active: true };
            office.company.put_user(user(9), row, office.now_ms).unwrap();
        } else {
            office.company.put_team(TEAM, nobody.clone(), office.now_ms).unwrap();
        }
        let kept = office.phones[&9].store.rows();
        let report = office.sync(9);
        assert_eq!((report.durable, report.aside), (2, 0), "as if they had been online, promoted {promoted}");
        assert_eq!(office.server_value(lead, "customer_state").as_deref(), Some("张院长说3月招标"));
        assert_eq!(office.phones[&9].replica.holds(lead).unwrap(), promoted, "a director reads it");

        // An app that was told and writes all the same.
        let mut both = kept;
        both.extend(office.phones[&9].store.rows());
        let store = Arc::new(MemoryStore::from_rows(both));
        let replica = Replica::open(store.clone()).unwrap();
        let old = office.phones.remove(&9).unwrap();
        office.phones.insert(9, Phone { store, replica, ..old });
        office.set(9, lead, "next_action", "我来跟");
        let report = office.sync(9);
        assert_eq!(
            report.aside, 1,
            "promoted {promoted}; what it had pushed before comes again and is known"
        );
        let held = office.company.held(None, 10).unwrap();
        assert_eq!(held.iter().map(|item| item.reason).collect::<Vec<_>>(), [HoldReason::NotYours]);
        assert_eq!(office.server_value(lead, "next_action"), None);
    }
}

#[test]
fn a_push_that_comes_again_after_its_writer_lost_the_team_writes_nothing() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "华山医院");
    office.sync(9);
    office.set(9, lead, "customer_state", "张院长说3月招标");
    let push = office.phones[&9].replica.pushes(0, 1, 1 << 20).unwrap().remove(0);
    office.sync(9);
    let nobody = TeamRow { name: "杭州组".into(), parent: None, leaders: vec![] };
    office.company.put_team(TEAM, nobody, office.now_ms).unwrap();
    let before = office.company.store().head().unwrap();
    let again = Incoming { who: office.company.principal(device(9)).unwrap(), push };
    let prepared = office.company.prepare(lead, &[again], &mut office.gate, office.now_ms).unwrap();
    let outcome = office.company.store().commit_one(prepared.batch.clone()).unwrap();
    let Settled::Done { answers, .. } = prepared.settle(outcome) else { panic!("contended") };
    assert!(matches!(answers[0].verdict, Verdict::Durable { .. }), "{answers:?}");
    assert_eq!(office.company.store().head().unwrap(), before, "its phone is told with the channel");
    office.sync(9);
    assert!(!office.phones[&9].replica.holds(lead).unwrap());
}

#[test]
fn whoever_could_only_read_writes_nothing_when_they_lose_that_too() {
    let mut office = Office::new();
    office.hire(8, Role::Director);
    let lead = office.lead_from_office(1, "瑞金医院");
    office.sync(8);
    office.set(8, lead, "customer_state", "看过了");
    let row = UserRow { name: "销售".into(), role: Role::Rep, team: Some(TEAM), active: true };
    office.company.put_user(user(8), row, office.now_ms).unwrap();
    let report = office.sync(8);
    assert_eq!((report.durable, report.aside), (0, 1));
    assert!(office.company.held(None, 10).unwrap().is_empty(), "refused: it never was theirs to write");
    assert_eq!(office.server_value(lead, "customer_state"), None);
}

#[test]
fn an_account_follows_the_leads_that_name_it_and_opens_to_nobody_else() {
    let mut office = Office::new();
    let account = DocId::fresh(DocKind::Account, EntryId([0xcc; 16]));
    office.set(1, account, "name", "浙江大学附属第一医院");
    let lead = DocId::fresh(DocKind::Lead, EntryId([0xcd; 16]));
    office.set(1, lead, "customer_name", "浙大一院");
    office.set(1, lead, "account", &account.to_string());
    office.sync(1);
    // Naming somebody else's account opens nothing.
    let other = office.lead_from_office(2, "别的客户");
    office.sync(2);
    office.set(2, other, "account", &account.to_string());
    office.sync(2);
    assert!(!office.phones[&2].replica.holds(account).unwrap());

    office.company.assign(lead, user(2), user(9), "调整", office.now_ms).unwrap();
    office.sync(2);
    office.sync(1);
    assert!(office.phones[&2].replica.holds(account).unwrap(), "the account comes with the lead");
    assert!(!office.phones[&1].replica.holds(account).unwrap(), "and goes with it");
    office.heads_agree(2, account);
}

#[test]
fn a_revoked_phone_is_heard_once_and_then_wiped() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "儿童医院");
    office.sync(1);
    office.set(1, lead, "next_action", "交接");
    office.company.set_device_status(device(1), DeviceStatus::Revoked, office.now_ms).unwrap();
    let report = office.sync(1);
    assert!(report.wiped_all);
    assert_eq!(office.company.held(None, 10).unwrap().len(), 1, "its last words are kept");
    let rows = office.phones[&1].store.rows();
    assert!(rows.keys().all(|key| key.starts_with(b"!")), "{:?}", rows.keys().collect::<Vec<_>>());
}

#[test]
fn a_lead_that_only_a_revoked_phone_knew_comes_into_being_when_a_person_accepts_it() {
    let mut office = Office::new();
    office.sync(1);
    let lead = DocId::fresh(DocKind::Lead, EntryId([0xee; 16]));
    office.set(1, lead, "customer_name", "离职前的客户");
    office.tick(1, lead, "decision_maker", true);
    office.company.set_device_status(device(1), DeviceStatus::Revoked, office.now_ms).unwrap();
    assert!(office.sync(1).wiped_all);
    let held = office.company.held(None, 10).unwrap();
    assert_eq!(held.len(), 2);
    let gate = &mut LocalGate::new(0);
    let by_kind = |kind| held.iter().find(|item| item.doc.kind() == Some(kind)).unwrap().id.clone();
    let table_first = office.company.accept_held(&by_kind(DocKind::Advancement), gate, office.now_ms);
    assert!(table_first.is_err(), "a table without its lead waits");
    office.company.accept_held(&by_kind(DocKind::Lead), gate, office.now_ms).unwrap();
    office.company.accept_held(&by_kind(DocKind::Advancement), gate, office.now_ms).unwrap();
    assert_eq!(office.company.owner_of(lead).unwrap().owner, Some(user(1)));
    office.sync(9);
    assert_eq!(office.value(9, lead, "customer_name").as_deref(), Some("离职前的客户"));
    office.heads_agree(9, DocId::advancement_of(lead));
}

/// Work of a boot that never heard of the server also tells the lead's ruling about that boot, and so everybody who holds the ruling.
#[test]
fn held_work_that_is_accepted_opens_its_document_to_nobody_else() {
    let put = |field: &str, value: Value| Edit::Set { field: field.into(), value };
    let tick = Edit::SetIn { field: "ticks".into(), key: "decision_maker".into(), value: Value::Bool(true) };
    let cases = [
        (4, Role::Finance, DocKind::Finance, put("cost_fen", Value::Int(100))),
        (5, Role::Service, DocKind::Service, put("order_no", "2026-1".into())),
        (6, Role::Rep, DocKind::Advancement, tick),
    ];
    for (n, role, kind, edit) in cases {
        let mut office = Office::new();
        office.hire(n, role);
        let lead = office.lead_from_office(if role == Role::Rep { n } else { 1 }, "安贞医院");
        office.sync(1);
        let doc = DocId::derived(kind, &lead.0, "");
        let origin = Some(Origin { parent: lead.0.to_vec().into(), key: String::new() });
        office.edit(n, &[DocEdits { doc, origin, edits: vec![edit] }]);
        office.reboot(n, 0xc0);
        office.company.set_device_status(device(n), DeviceStatus::Revoked, office.now_ms).unwrap();
        assert!(office.sync(n).wiped_all);
        let held = office.company.held(None, 10).unwrap();
        assert_eq!(held.len(), 1, "{kind:?}");
        let clocks_before = office.company.header(DocId::ruling_of(lead)).unwrap().unwrap().content_at;
        let gate = &mut LocalGate::new(0);
        office.company.accept_held(&held[0].id, gate, office.now_ms).unwrap();
        let clocks_after = office.company.header(DocId::ruling_of(lead)).unwrap().unwrap().content_at;
        assert!(clocks_after > clocks_before, "{kind:?}: the ruling learned of the boot");
        let header = office.company.header(doc).unwrap().unwrap();
        assert_eq!(header.channels(), channels_of(kind, &header.access()), "{kind:?}");
    }
}

#[test]
fn a_phone_restored_from_a_backup_heals_and_poisons_nothing() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "省人民医院");
    office.sync(1);
    let backup = office.phones[&1].store.rows();
    office.set(1, lead, "next_action", "第一次");
    office.sync(1);
    let store = Arc::new(MemoryStore::from_rows(backup));
    let replica = Replica::open(store.clone()).unwrap();
    let old = office.phones.remove(&1).unwrap();
    office.phones.insert(1, Phone { store, replica, ..old });

    office.set(1, lead, "next_action", "恢复之后");
    office.sync(1);
    office.heads_agree(1, lead);
    assert_eq!(office.value(1, lead, "next_action").as_deref(), Some("第一次"));
    assert_eq!(office.company.held(None, 10).unwrap().len(), 1, "the forked words are kept for a person");
    office.set(1, lead, "next_action", "继续");
    office.sync(1);
    office.heads_agree(1, lead);
    assert_eq!(office.server_value(lead, "next_action").as_deref(), Some("继续"));
}

/// A copy of a phone repeats what the phone has pushed already, while the phone goes on writing: the answer names the place of the newer
/// change, which the copy never had.
#[test]
fn a_copy_of_a_phone_gets_what_the_phone_wrote_where_its_own_repeat_was_answered() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "省人民医院");
    office.sync(1);
    office.set(1, lead, "next_action", "两台都有");
    let mut copy = Replica::open(Arc::new(MemoryStore::from_rows(office.phones[&1].store.rows()))).unwrap();
    office.sync(1);

    let (mut link, now) = (Link::new(), office.moment(1));
    let mut up = link.open(&copy, "token", "test", now).unwrap().into_iter();
    let Some(FromPhone::Hello(hello)) = up.next() else { panic!("no hello") };
    let greeted = Session::open(&office.company, device(1), &hello, office.now_ms).unwrap();
    let (mut session, welcome) = greeted.unwrap();
    office.set(1, lead, "province", "只在原机");
    office.sync(1);
    let mut down = vec![welcome];
    for push in up {
        let effects = session.receive(&office.company, push, office.now_ms).unwrap();
        serve(&office.company, &mut office.gate, &mut session, effects, &mut down, office.now_ms);
    }
    while let Some(more) = session.pump(&office.company, 64 << 10).unwrap() {
        down.extend(more);
    }
    link.receive(&mut copy, down, now).unwrap();
    assert_eq!(copy.load(lead).unwrap().heads(), office.company.load(lead).unwrap().heads());
}

#[test]
fn a_server_restored_from_a_backup_gets_back_what_it_had_acknowledged() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "市一医院");
    office.sync(1);
    let backup = office.store.rows();
    office.set(1, lead, "next_action", "已确认");
    let fresh = DocId::fresh(DocKind::Lead, EntryId([0xbb; 16]));
    office.set(1, fresh, "customer_name", "新客户");
    office.sync(1);
    office.sync(9);

    let store = Arc::new(MemoryStore::from_rows(backup));
    office.company = Company::open(store.clone(), "", &[1; 64]).unwrap().restored(office.now_ms).unwrap();
    office.store = store;
    office.gate = LocalGate::new(10);
    // The manager's phone, not the author's, comes first.
    office.sync(9);
    assert_eq!(office.server_value(lead, "next_action").as_deref(), Some("已确认"));
    assert_eq!(office.server_value(fresh, "customer_name").as_deref(), Some("新客户"));
    office.sync(1);
    office.set(1, lead, "next_action", "之后");
    office.sync(1);
    office.sync(9);
    office.heads_agree(1, lead);
    office.heads_agree(9, lead);
    office.heads_agree(1, fresh);
}

/// A restored server has lost two leads and gets them back, but not their tables, which say nothing yet: ticks of one are under way when the
/// connection breaks.
#[test]
fn a_table_that_a_restored_server_lost_stays_while_ticks_of_it_are_on_their_way() {
    let mut office = Office::new();
    office.sync(1);
    let backup = office.store.rows();
    let [ticked, idle] = ["甲医院", "乙医院"].map(|name| office.lead_from_office(1, name));
    office.sync(1);
    office.tick(1, ticked, "1-1", true);
    let store = Arc::new(MemoryStore::from_rows(backup));
    office.company = Company::open(store.clone(), "", &[1; 64]).unwrap().restored(office.now_ms).unwrap();
    office.store = store;
    office.gate = LocalGate::new(10);

    let now = office.moment(1);
    let mut link = Link::new();
    let phone = &mut office.phones.get_mut(&1).unwrap().replica;
    let first = link.open(phone, "token", "test", now).unwrap();
    let Some(FromPhone::Hello(hello)) = first.first() else { panic!("no hello") };
    let opened = Session::open(&office.company, device(1), hello, office.now_ms).unwrap();
    let (mut session, welcome) = opened.unwrap();
    let heard = link.receive(phone, vec![welcome], now).unwrap().send;
    let mut down = Vec::new();
    // The pushes are lost on the way.
    for message in heard.into_iter().filter(|message| !matches!(message, FromPhone::Push(_))) {
        let effects = session.receive(&office.company, message, office.now_ms).unwrap();
        serve(&office.company, &mut office.gate, &mut session, effects, &mut down, office.now_ms);
    }
    session.wake();
    while let Some(more) = session.pump(&office.company, 64 << 10).unwrap() {
        down.extend(more);
    }
    link.receive(phone, down, now).unwrap();
    assert!(phone.holds(ticked).unwrap() && phone.holds(idle).unwrap());
    assert!(!phone.holds(DocId::advancement_of(idle)).unwrap(), "what the server no longer has is let go");
    assert!(phone.holds(DocId::advancement_of(ticked)).unwrap());

    office.tick(1, ticked, "1-2", true);
    office.sync(1);
    office.sync(9);
    for doc in [ticked, DocId::advancement_of(ticked)] {
        office.heads_agree(1, doc);
        office.heads_agree(9, doc);
    }
}

#[test]
fn a_server_set_back_without_a_restore_turns_the_phone_away_which_keeps_what_only_it_has() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "市二医院");
    office.sync(1);
    let backup = office.store.rows();
    office.set(1, lead, "next_action", "已确认");
    office.sync(1);

    office.store = Arc::new(MemoryStore::from_rows(backup));
    office.company = Company::open(office.store.clone(), "", &[1; 64]).unwrap();
    let now = office.moment(1);
    let phone = office.phones.get_mut(&1).unwrap();
    let mut link = Link::new();
    let before = phone.store.rows();
    let first = link.open(&phone.replica, "token", "test", now).unwrap();
    let [FromPhone::Hello(hello)] = &first[..] else { panic!("nothing to push: {first:?}") };
    let refused = Session::open(&office.company, device(1), hello, now.wall_ms).unwrap().unwrap_err();
    assert_eq!(refused.code, WireCode::Cursor);
    let turn = link.receive(&mut phone.replica, vec![FromServer::Error(refused)], now).unwrap();
    assert!(turn.closed.is_some() && turn.send.is_empty());
    assert!(phone.store.rows() == before, "the phone keeps everything");

    // Brought back as a restore the same bytes get the lost work from the phone.
    office.company = office.company.restored(now.wall_ms).unwrap();
    office.gate = LocalGate::new(10);
    office.sync(1);
    assert_eq!(office.server_value(lead, "next_action").as_deref(), Some("已确认"));
    office.heads_agree(1, lead);
}

#[test]
fn a_revoked_phone_that_lost_its_farewell_to_a_restored_server_is_heard_all_the_same() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "市三医院");
    let backup = office.store.rows();
    office.set(1, lead, "next_action", "已确认");
    office.sync(1);
    for n in 0..9 {
        office.lead_from_office(1, &format!("后来的{n}"));
    }
    office.sync(1);
    office.set(1, lead, "next_action", "没发出去");
    office.store = Arc::new(MemoryStore::from_rows(backup));
    let restored = Company::open(office.store.clone(), "", &[1; 64]).unwrap().restored(office.now_ms);
    office.company = restored.unwrap();
    office.gate = LocalGate::new(10);
    let before = office.phones[&1].replica.sync_row().clone();
    office.company.put_device(device(1), user(1), "phone", office.now_ms).ok();
    office.company.set_device_status(device(1), DeviceStatus::Revoked, office.now_ms).unwrap();

    office.greet_alone(1);
    let row = office.phones[&1].replica.sync_row();
    assert_eq!(
        (row.epoch, row.cursor),
        (before.epoch, before.cursor),
        "let in again, it has much to give back"
    );

    let report = office.sync(1);
    assert!(report.wiped_all, "{report:?}");
    assert_eq!(
        office.company.held(None, 10).unwrap().len(),
        1,
        "and what it had not sent waits for a person"
    );
}

#[test]
fn a_revoked_phone_stays_read_only_when_it_is_opened_again() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "市四医院");
    office.sync(1);
    office.company.set_device_status(device(1), DeviceStatus::Revoked, office.now_ms).unwrap();
    office.greet_alone(1);
    let now = office.moment(1);
    let phone = office.phones.get_mut(&1).unwrap();

    // The wipe never came, or the disk took none of it.
    phone.replica = Replica::open(phone.store.clone()).unwrap();
    let act = phone.replica.act(now, [7; 32]).unwrap();
    let edits = vec![Edit::Set { field: "brand".into(), value: "无人听见".into() }];
    let refused = phone.replica.edit(&act, &[DocEdits::of(lead, edits)]);
    assert!(matches!(refused, Err(ReplicaError::NotEnrolled)), "{refused:?}");
}

#[test]
fn reconnecting_costs_what_changed_and_not_what_is_held() {
    let cost = |held: u8| {
        let mut office = Office::new();
        let leads: Vec<DocId> = (0..held).map(|i| office.lead_from_office(1, &format!("医院{i}"))).collect();
        office.sync(1);
        office.sync(9);
        for lead in &leads[..5] {
            office.set(1, *lead, "next_action", "我的");
            office.set(9, leads[9], "brand", &format!("{lead}")[..4]);
        }
        office.sync(9);
        let phone = office.phones.get_mut(&1).unwrap();
        (phone.bytes_up, phone.bytes_down) = (0, 0);
        office.sync(1);
        let phone = &office.phones[&1];
        phone.bytes_up + phone.bytes_down
    };
    let (small, large) = (cost(20), cost(200));
    assert!(large <= small + 64, "{small} bytes with 20 leads, {large} with 200");
}

#[test]
fn a_boot_that_had_not_heard_of_the_server_is_pinned_by_its_first_handshake() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "瑞金医院");
    office.sync(1);
    office.sync(9);
    // In the basement the battery falls out; the clock comes back three days ahead.
    office.now_ms += 3_600_000;
    office.reboot(1, 0xb0);
    office.phones.get_mut(&1).unwrap().clock.skew_ms = 3 * 86_400_000;
    office.set(1, lead, "next_action", "甲先写");
    let written_ms = office.now_ms;
    office.now_ms += 600_000;
    office.set(9, lead, "next_action", "主管后写");
    let pinned = |office: &Office| {
        let clocks = office.company.clocks(lead).unwrap();
        office.company.load(lead).unwrap().register("next_action", &clocks).unwrap()
    };
    office.sync(9);
    office.sync(1);
    office.sync(9);
    office.sync(1);
    assert_eq!(pinned(&office).value, "主管后写".into(), "the later act counts, whatever a wall clock says");
    for n in [1, 9] {
        let row = office.phones[&n].replica.summary(lead).unwrap();
        assert_eq!((row.next_action.as_str(), row.conflicts), ("主管后写", 1), "phone {n}");
        assert!(row.updated_ms < office.now_ms, "phone {n} shows no time to come");
    }
    let clocks = office.company.clocks(lead).unwrap();
    let conflict = office.company.load(lead).unwrap().conflicts(&clocks).remove(0);
    let early = conflict.values.iter().find(|value| value.value == "甲先写".into()).unwrap();
    assert_eq!((early.at.at_ms, early.at.is_doubtful()), (written_ms, false));
}

#[test]
fn a_boot_that_ended_before_any_handshake_is_bounded_and_flagged() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "华西医院");
    office.sync(1);
    let contact_ms = office.now_ms;
    office.now_ms += 3_600_000;
    office.reboot(1, 0xb1);
    office.phones.get_mut(&1).unwrap().clock.skew_ms = -9 * 86_400_000;
    office.set(1, lead, "next_action", "约院长");
    office.now_ms += 3_600_000;
    office.reboot(1, 0xb2);
    office.sync(1);
    let clocks = office.company.clocks(lead).unwrap();
    let at = office.company.load(lead).unwrap().register("next_action", &clocks).unwrap().at;
    assert!(at.at_ms >= contact_ms, "it was not before the last contact: {at:?}");
    assert!(at.at_ms + at.doubt_ms >= office.now_ms - 1_000 && at.is_doubtful(), "{at:?}");
}

#[test]
fn a_team_that_moves_takes_its_pool_along() {
    let mut office = Office::new();
    let (region, other) = (TeamId([70; 8]), TeamId([71; 8]));
    office.hire(8, Role::Manager);
    for (team, leader) in [(region, 8), (other, 9)] {
        let row = TeamRow { name: "大区".into(), parent: None, leaders: vec![user(leader)] };
        office.company.put_team(team, row, 1).unwrap();
    }
    let pool = TeamRow { name: "杭州组".into(), parent: Some(region), leaders: vec![] };
    office.company.put_team(TEAM, pool.clone(), 1).unwrap();
    let id = DocId::fresh(DocKind::Lead, EntryId([0x77; 16]));
    let edits = vec![Edit::Set { field: "customer_name".into(), value: "池中医院".into() }];
    let lead = NewLead { id, edits, team: Some(TEAM), ..NewLead::default() };
    office.company.intake(&[lead], T0).unwrap();
    office.sync(8);
    office.sync(9);
    assert!(office.phones[&8].replica.holds(id).unwrap() && !office.phones[&9].replica.holds(id).unwrap());
    office.company.put_team(TEAM, TeamRow { parent: Some(other), ..pool }, 2).unwrap();
    office.sync(8);
    office.sync(9);
    for doc in [id, DocId::ruling_of(id), DocId::advancement_of(id)] {
        assert!(!office.phones[&8].replica.holds(doc).unwrap(), "the old region's manager lets go of it");
        assert!(office.phones[&9].replica.holds(doc).unwrap(), "the new one's gets it");
    }
}

#[test]
fn what_was_true_at_the_greeting_counts_no_longer_when_the_push_is_judged() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "同济医院");
    office.sync(1);
    office.set(1, lead, "brand", "联影");
    let push = office.phones[&1].replica.pushes(0, 1, 1 << 20).unwrap().remove(0);
    let greeted = Incoming { who: office.company.principal(device(1)).unwrap(), push };
    office.company.set_device_status(device(1), DeviceStatus::Revoked, 5).unwrap();
    let judged = |office: &mut Office| {
        let (doc, now_ms) = (greeted.push.doc, office.now_ms);
        office.company.prepare(doc, std::slice::from_ref(&greeted), &mut office.gate, now_ms).unwrap()
    };
    let prepared = judged(&mut office);
    let outcome = office.company.store().commit_one(prepared.batch.clone()).unwrap();
    let Settled::Done { answers, .. } = prepared.settle(outcome) else { panic!("contended") };
    assert_eq!(answers[0].verdict, Verdict::Held { reason: HoldReason::Revoked });
    // And one that was judged a moment before is judged again.
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "同济医院");
    office.sync(1);
    office.set(1, lead, "brand", "联影");
    let prepared = judged(&mut office);
    office.company.set_device_status(device(1), DeviceStatus::Stolen, 5).unwrap();
    let outcome = office.company.store().commit_one(prepared.batch.clone()).unwrap();
    assert!(matches!(prepared.settle(outcome), Settled::Again));
    office.company.set_device_status(device(1), DeviceStatus::Wiped, 6).unwrap();
    assert_eq!(office.company.device(device(1)).unwrap().status, DeviceStatus::Stolen, "it stays stolen");
}

#[test]
fn whoever_left_gets_no_leads() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "同仁医院");
    let gone = UserRow { name: "销售2".into(), role: Role::Rep, team: Some(TEAM), active: false };
    office.company.put_user(user(2), gone, 3).unwrap();
    let refused = |result: Result<(), CompanyError>| matches!(result, Err(CompanyError::Refused(_)));
    assert!(refused(office.company.assign(lead, user(2), user(9), "", 4).map(|_| ())));
    let id = DocId::fresh(DocKind::Lead, EntryId([0x78; 16]));
    let edits = vec![Edit::Set { field: "customer_name".into(), value: "同仁医院".into() }];
    let new = NewLead { id, edits, owner: Some(user(2)), ..NewLead::default() };
    assert!(refused(office.company.intake(&[new], 4).map(|_| ())));
}

#[test]
fn leads_are_given_to_whoever_sells_and_to_nobody_else() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "同仁医院");
    for (n, role) in Role::ALL.into_iter().enumerate() {
        let n = 20 + n as u8;
        office.hire(n, role);
        let id = DocId::fresh(DocKind::Lead, EntryId([n; 16]));
        let edits = vec![Edit::Set { field: "customer_name".into(), value: "协和医院".into() }];
        let new = NewLead { id, edits, owner: Some(user(n)), ..NewLead::default() };
        let taken_in = office.company.intake(&[new], office.now_ms).map(|_| ());
        let assigned = office.company.assign(lead, user(n), user(9), "", office.now_ms).map(|_| ());
        for outcome in [taken_in, assigned] {
            match role {
                Role::Rep | Role::Manager | Role::Director => outcome.unwrap(),
                _ => assert!(matches!(outcome, Err(CompanyError::Refused(_))), "{role:?}: {outcome:?}"),
            }
        }
    }
}

#[test]
fn an_account_is_opened_by_whoever_names_it_and_by_nobody_else() {
    let mut office = Office::new();
    // An account of rep 2, which rep 1 has heard of and names in a lead of their own.
    office.now_ms += 1_000;
    let account = DocId::fresh(DocKind::Account, EntryId([0x31; 16]));
    office.set(2, account, "name", "仁济集团");
    office.sync(2);
    let lead = office.lead_from_office(1, "仁济医院");
    office.sync(1);
    office.sync(9);
    office.set(1, lead, "account", &account.to_string());
    office.sync(1);
    assert!(!office.phones[&1].replica.holds(account).unwrap(), "naming opens nothing");
    // Their manager, who may read it, writes something else into the same lead.
    office.sync(9);
    office.set(9, lead, "next_action", "约院长");
    office.sync(9);
    office.sync(1);
    assert!(
        !office.phones[&1].replica.holds(account).unwrap(),
        "and nobody answers for what they did not write"
    );
    office.set(9, lead, "account", "");
    office.sync(9);
    office.set(9, lead, "account", &account.to_string());
    office.sync(9);
    office.sync(1);
    assert!(office.phones[&1].replica.holds(account).unwrap(), "the manager names it: that opens it");
}

#[test]
fn a_return_moves_nobody_elses_lead() {
    let mut office = Office::new();
    let (mine, theirs) = (office.lead_from_office(1, "甲医院"), office.lead_from_office(2, "乙医院"));
    let backup = office.store.rows();
    // After the backup: a lead of rep 1, whose ruling the restored server will not have.
    let late = office.lead_from_office(1, "丙医院");
    office.sync(1);
    let store = Arc::new(MemoryStore::from_rows(backup));
    office.company = Company::open(store.clone(), "", &[1; 64]).unwrap().restored(office.now_ms).unwrap();
    office.store = store;
    let now = office.moment(1);
    let mut link = Link::new();
    let replica = &mut office.phones.get_mut(&1).unwrap().replica;
    let up = link.open(replica, "token", "test", now).unwrap();
    let Some(FromPhone::Hello(hello)) = up.first() else { panic!("no hello") };
    let opened = Session::open(&office.company, device(1), hello, office.now_ms).unwrap();
    let Ok((_, welcome)) = opened else { panic!("not greeted") };
    let turn = link.receive(replica, vec![welcome], now).unwrap();
    let mut returned = turn
        .send
        .into_iter()
        .find_map(|message| match message {
            FromPhone::Return(returned) if returned.doc == DocId::ruling_of(late) => Some(returned),
            _ => None,
        })
        .unwrap();
    let honest = returned.clone();
    returned.origin = Some(Origin { parent: theirs.0.to_vec().into(), key: String::new() });
    office.company.take_back(&returned, office.now_ms).unwrap();
    assert_eq!(office.company.owner_of(theirs).unwrap().owner, Some(user(2)));
    assert!(
        office.company.header(theirs).unwrap().unwrap().owners.iter().all(|(owner, _)| *owner == user(2))
    );
    assert!(office.company.header(DocId::ruling_of(late)).unwrap().is_none(), "nothing of it was taken");
    // Something that the receipt does not vouch for, beside what it does, never reaches the decoder.
    let mut padded = honest.clone();
    padded.changes.push(vec![0x85, 0x6f, 0x4a, 0x83, 1, 2, 3, 4, 1, 0].into());
    office.company.take_back(&padded, office.now_ms).unwrap();
    assert_eq!(office.company.owner_of(late).err().map(|_| ()), Some(()), "its lead has not come back yet");
    assert!(office.company.header(DocId::ruling_of(late)).unwrap().is_some(), "the ruling has");
    assert_eq!(office.company.owner_of(mine).unwrap().owner, Some(user(1)));
}

#[test]
fn a_history_longer_than_a_frame_comes_down_and_goes_back_to_a_restored_server() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "华西医院");
    office.sync(1);
    let backup = office.store.rows();
    // A crowd of edits that were made without signal arrives in one moment, and is one row of the log.
    let mut doc = office.company.load(lead).unwrap();
    let (actor, now) = (Actor { device: device(9), incarnation: 1 }, office.moment(9));
    let stamp = Stamp { user: user(9), moment: now, offset_ms: None, last_contact_ms: 0 };
    let (mut changes, mut bytes) = (Vec::new(), 0);
    while bytes <= limits::FRAME_MAX_BYTES {
        let brand = if changes.len() % 2 == 0 { "甲" } else { "乙" };
        let edit = Edit::Set { field: "brand".into(), value: brand.into() };
        let change = doc.edit(actor, &stamp, &[edit]).unwrap().change;
        bytes += change.len();
        changes.push(ByteVec::from(change));
    }
    assert!(doc.save().len() < limits::FRAME_MAX_BYTES / 2, "saved, it is a fraction of that");
    let who = office.company.principal(device(9)).unwrap();
    let pushes = changes.chunks(limits::PUSH_MAX_CHANGES).zip(1..).map(|(changes, id)| {
        let push = Push { id, doc: lead, origin: None, changes: changes.to_vec() };
        Incoming { who: who.clone(), push }
    });
    let pushes: Vec<Incoming> = pushes.collect();
    let prepared = office.company.prepare(lead, &pushes, &mut office.gate, office.now_ms).unwrap();
    let outcome = office.company.store().commit_one(prepared.batch.clone()).unwrap();
    let Settled::Done { answers, .. } = prepared.settle(outcome) else { panic!("contended") };
    let durable = |answer: &Answer| matches!(answer.verdict, Verdict::Durable { .. });
    assert!(answers.iter().all(durable), "{answers:?}");

    // Not a byte of the wire is more than a frame: the session would end here.
    office.sync(1);
    office.heads_agree(1, lead);
    let held = office.phones.get_mut(&1).unwrap().replica.load(lead).unwrap().heads();
    assert_eq!(held, doc.heads());

    let store = Arc::new(MemoryStore::from_rows(backup));
    office.company = Company::open(store.clone(), "", &[1; 64]).unwrap().restored(office.now_ms).unwrap();
    office.store = store;
    assert_ne!(office.company.load(lead).unwrap().heads(), held);
    office.sync(1);
    assert_eq!(office.company.load(lead).unwrap().heads(), held);
}

#[test]
fn a_lead_that_left_is_shown_by_no_call_while_its_edits_wait_for_their_answer() {
    let mut office = Office::new();
    let lead = office.lead_from_office(1, "省人民医院");
    let stays = office.lead_from_office(1, "市二院");
    office.sync(1);
    let todo = Todo { title: Some("报价".into()), due: Some("2026-02-02".into()), done: None };
    office.edit(1, &[DocEdits::of(lead, vec![todo.add("todos", EntryId([5; 16]))])]);
    office.tick(1, lead, "decision_maker", true);
    let family = [lead, DocId::ruling_of(lead), DocId::advancement_of(lead)];
    let now = office.moment(1);
    let replica = &mut office.phones.get_mut(&1).unwrap().replica;
    assert_eq!(replica.due("", "2026-02-03", 10).unwrap(), [lead]);
    let gone: Vec<FromServer> = family.map(FromServer::Gone).into();
    let applied = replica.take(&gone, T0).unwrap();
    assert!(applied.changed.contains(&lead), "whoever shows it hears of it");

    for id in family {
        assert!(!replica.holds(id).unwrap());
        assert!(matches!(replica.load(id), Err(ReplicaError::Unknown(_))), "{id}");
        assert!(!replica.held_of(id.kind().unwrap()).unwrap().contains(&id));
    }
    assert!(matches!(replica.summary(lead), Err(ReplicaError::Unknown(_))));
    let listed = replica.list(&ListQuery { limit: 50, ..Default::default() }, now).unwrap();
    assert_eq!(listed.iter().map(|row| row.id).collect::<Vec<_>>(), [stays]);
    assert!(replica.due("", "2026-02-03", 10).unwrap().is_empty());
    assert!(replica.conflicted(10).unwrap().is_empty());
    let act = replica.act(now, [8; 32]).unwrap();
    let set = Edit::Set { field: "brand".into(), value: "联影".into() };
    let more = [
        DocEdits::of(lead, vec![set.clone()]),
        DocEdits::table_of(
            lead,
            vec![Edit::SetIn { field: "ticks".into(), key: "x".into(), value: Value::Bool(true) }],
        ),
    ];
    for lot in more {
        assert!(matches!(replica.edit(&act, &[lot]), Err(ReplicaError::Unknown(_))));
    }
    assert!(matches!(replica.undo(&act), Err(ReplicaError::NothingToUndo)));

    // What it made before is still on its way up, and the bytes go with the answer.
    assert_eq!(replica.unanswered(), 2);
    let pushes = replica.pushes(0, 10, 100_000).unwrap();
    let answers = pushes.iter().map(|push| {
        let verdict = Verdict::Durable { at: 99, receipt: Vec::new() };
        FromServer::Answer(Answer { id: push.id, doc: push.doc, verdict })
    });
    let applied = replica.take(&answers.collect::<Vec<_>>(), T0).unwrap();
    assert_eq!((applied.durable, applied.wiped.len(), replica.unanswered()), (2, 2, 0));
}
