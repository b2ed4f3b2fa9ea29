//! What one session may hold of the server's memory, and that a phone of ours never asks for more.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::Arc;

use fieldbook_core::access::Role;
use fieldbook_core::company::{Company, UserRow};
use fieldbook_core::document::Edit;
use fieldbook_core::ids::{DeviceId, DocId, DocKind, EntryId, UserId};
use fieldbook_core::limits::{FRAME_MAX_BYTES, OWN_NEWS_MAX, PUSH_BYTES_IN_FLIGHT};
use fieldbook_core::replica::{DocEdits, Identity, Replica};
use fieldbook_core::store::MemoryStore;
use fieldbook_core::sync::message::{
    Answer, FromPhone, FromServer, HoldReason, Push, RefuseCode, Verdict, WireCode,
};
use fieldbook_core::sync::phone::Link;
use fieldbook_core::sync::server::{Effect, Session};
use fieldbook_core::time::Moment;

const NOW_MS: i64 = 1_790_000_000_000;
const USER: UserId = UserId([1; 8]);
const DEVICE: DeviceId = DeviceId([1; 8]);

fn now() -> Moment {
    Moment { wall_ms: NOW_MS, boot: 1, mono_ms: 1_000 }
}

fn company() -> Company {
    let company = Company::open(Arc::new(MemoryStore::new()), "智康", &[0x5e; 64]).unwrap();
    let row = UserRow { name: "销售".into(), role: Role::Rep, team: None, active: true };
    company.put_user(USER, row, NOW_MS).unwrap();
    company.put_device(DEVICE, USER, "phone", NOW_MS).unwrap();
    company
}

fn phone() -> Replica {
    let mut replica = Replica::open(Arc::new(MemoryStore::new())).unwrap();
    let identity = Identity {
        device: DEVICE,
        user: USER,
        user_name: "销售".into(),
        company: "智康".into(),
        server_url: "https://crm.example".into(),
        refresh_token: String::new(),
        zone: "Asia/Shanghai".into(),
    };
    replica.enrol(identity).unwrap();
    replica
}

/// Greets and gives what the phone sends behind its hello.
fn greet(company: &Company, link: &mut Link, replica: &Replica) -> (Session, FromServer, Vec<FromPhone>) {
    let mut first = link.open(replica, "token", "test", now()).unwrap();
    let FromPhone::Hello(hello) = first.remove(0) else { panic!("no hello") };
    let (session, welcome) = Session::open(company, DEVICE, &hello, NOW_MS).unwrap().unwrap();
    (session, welcome, first)
}

fn push(id: u64, bytes: usize) -> Push {
    let doc = DocId::fresh(DocKind::Lead, EntryId([id as u8; 16]));
    Push { id, doc, origin: None, changes: vec![vec![0; bytes].into()] }
}

fn closed(effects: &[Effect]) -> Option<WireCode> {
    effects.iter().find_map(|effect| match effect {
        Effect::Close(error) => Some(error.code),
        _ => None,
    })
}

#[test]
fn a_session_holds_so_many_bytes_of_pushes_and_an_answer_makes_room() {
    let company = company();
    let (mut session, ..) = greet(&company, &mut Link::new(), &phone());
    let whole = (PUSH_BYTES_IN_FLIGHT / FRAME_MAX_BYTES) as u64;
    let send = |session: &mut Session, id, bytes| {
        closed(&session.receive(&company, FromPhone::Push(push(id, bytes)), NOW_MS).unwrap())
    };
    for id in 1..=whole {
        assert_eq!(send(&mut session, id, FRAME_MAX_BYTES), None, "{id}");
    }
    let verdict = Verdict::Refused { code: RefuseCode::TooLarge, detail: String::new() };
    session.answered(vec![Answer { id: 2, doc: push(2, 0).doc, verdict }]);
    assert_eq!(send(&mut session, 90, FRAME_MAX_BYTES), None, "the answered one takes nothing any more");
    assert_eq!(send(&mut session, 91, 1), Some(WireCode::TooMany));
}

/// Whether the session, told of these answers, has something to pump.
fn answered(session: &mut Session, ids: std::ops::RangeInclusive<u64>) -> bool {
    let durable = |id| Verdict::Durable { at: 1_000 + id, receipt: Vec::new() };
    let answers = ids.map(|id| Answer { id, doc: push(id, 0).doc, verdict: durable(id) }).collect();
    session.answered(answers).iter().any(|effect| matches!(effect, Effect::Pump))
}

#[test]
fn a_phone_gets_a_cursor_past_its_own_pushes_when_it_pauses_or_after_many() {
    let company = company();
    let (mut session, ..) = greet(&company, &mut Link::new(), &phone());
    while session.pump(&company, FRAME_MAX_BYTES).unwrap().is_some() {}
    let most = OWN_NEWS_MAX as u64;
    for id in 1..=most + 9 {
        session.receive(&company, FromPhone::Push(push(id, 1)), NOW_MS).unwrap();
    }
    assert!(!answered(&mut session, 1..=8), "more is on its way");
    assert!(session.pump(&company, FRAME_MAX_BYTES).unwrap().is_none());
    assert!(!answered(&mut session, 9..=most - 1));
    assert!(answered(&mut session, most..=most), "as many as it may have behind its cursor");
    let (mut session, ..) = greet(&company, &mut Link::new(), &phone());
    for id in 1..=2 {
        session.receive(&company, FromPhone::Push(push(id, 1)), NOW_MS).unwrap();
    }
    assert!(!answered(&mut session, 1..=1));
    assert!(answered(&mut session, 2..=2), "it pauses");
    // Held work moves nothing that the phone would know by its answer.
    session.receive(&company, FromPhone::Push(push(3, 1)), NOW_MS).unwrap();
    let held = Answer { id: 3, doc: push(3, 0).doc, verdict: Verdict::Held { reason: HoldReason::NotYours } };
    let effects = session.answered(vec![held]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Pump)), "{effects:?}");
}

#[test]
fn a_phone_with_a_large_outbox_stays_within_what_a_session_takes() {
    let company = company();
    let mut replica = phone();
    let long = "y".repeat(30 << 10);
    let mut total = 0;
    for n in 0..150u8 {
        let doc = DocId::fresh(DocKind::Lead, EntryId([n; 16]));
        let set = |field: &str| Edit::Set { field: field.into(), value: long.as_str().into() };
        let edits = vec![set("customer_name"), set("hospital")];
        let act = replica.act(now(), [n; 32]).unwrap();
        replica.edit(&act, &[DocEdits { doc, origin: None, edits }]).unwrap();
        total += 2 * long.len();
    }
    assert!(total > 2 * PUSH_BYTES_IN_FLIGHT);
    let mut link = Link::new();
    let (mut session, welcome, mut up) = greet(&company, &mut link, &replica);
    let mut down = vec![welcome];
    // The server answers nothing, however much it says.
    for position in 1..40 {
        for message in up.drain(..) {
            let effects = session.receive(&company, message, NOW_MS).unwrap();
            assert_eq!(closed(&effects), None);
        }
        up = link.receive(&mut replica, std::mem::take(&mut down), now()).unwrap().send;
        down.push(FromServer::CaughtUp(position));
    }
    assert!(session.unanswered() > 20, "it sends ahead, though: {}", session.unanswered());
}
