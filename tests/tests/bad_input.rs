//! A stranger at the door: frames and pushes that no phone of ours sends, against the real server. Each gets a clear answer, and what the
//! company holds stays as it was.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use fieldbook_core::access::Role;
use fieldbook_core::document::{Doc, Edit, NoClocks, Value};
use fieldbook_core::ids::{Actor, DeviceId, DocId, DocKind};
use fieldbook_core::limits;
use fieldbook_core::sync::message::{
    FromPhone, FromServer, Hello, HoldReason, RefuseCode, Verdict, WireCode,
};
use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;

#[path = "support/stranger.rs"]
mod stranger;
mod support;

use stranger::{Stranger, binary, push, until};
use support::Office;

fn refused(verdict: &Verdict) -> Option<RefuseCode> {
    match verdict {
        Verdict::Refused { code, .. } => Some(*code),
        _ => None,
    }
}

fn held(verdict: &Verdict) -> Option<HoldReason> {
    match verdict {
        Verdict::Held { reason } => Some(*reason),
        _ => None,
    }
}

#[test]
fn frames_that_are_no_conversation_close_the_connection_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let stranger = Stranger::new(&office, Role::Rep);
    let hello = || binary(&FromPhone::Hello(stranger.hello()));
    let cases: Vec<(&str, Vec<Message>, WireCode)> = vec![
        ("text", vec![Message::Text("hello".into())], WireCode::Malformed),
        ("rubbish", vec![Message::Binary(vec![0xff; 40].into())], WireCode::Malformed),
        ("nothing", vec![Message::Binary(Vec::new().into())], WireCode::Malformed),
        ("no hello", vec![binary(&FromPhone::Ack(3))], WireCode::OutOfOrder),
        ("two hellos", vec![hello(), hello()], WireCode::OutOfOrder),
        ("rubbish later", vec![hello(), Message::Binary(vec![0x82, 0x18].into())], WireCode::Malformed),
        (
            "another version",
            vec![binary(&FromPhone::Hello(Hello { versions: (99, 120), ..stranger.hello() }))],
            WireCode::Version,
        ),
        (
            "a cursor from the future",
            vec![binary(&FromPhone::Hello(Hello { epoch: 1, cursor: 1 << 40, ..stranger.hello() }))],
            WireCode::Cursor,
        ),
    ];
    for (name, messages, code) in cases {
        let heard = stranger.say(messages, 0);
        assert_eq!(heard.closed, Some(code), "{name}");
        assert!(heard.hung_up, "{name}");
    }
    let oversized =
        stranger.say(vec![hello(), Message::Binary(vec![0; limits::FRAME_MAX_BYTES + 1].into())], 0);
    assert_eq!(
        (oversized.closed, oversized.hung_up),
        (Some(WireCode::Malformed), true),
        "a frame beyond the bound ends the connection, and says so"
    );
}

#[test]
fn a_wrong_or_expired_token_gets_no_session() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let stranger = Stranger::new(&office, Role::Rep);
    let good = stranger.hello().token;
    let mut forged = good.clone().into_bytes();
    let last = forged.len() - 3;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let old = stranger.token_at(office.app().now_ms() - 86_400_000);
    for token in [String::new(), "rubbish".into(), String::from_utf8(forged).unwrap(), old] {
        let hello = binary(&FromPhone::Hello(Hello { token, ..stranger.hello() }));
        assert_eq!(stranger.say(vec![hello], 0).closed, Some(WireCode::Token));
    }
}

#[test]
fn forged_and_foreign_changes_are_refused_and_cost_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let victim = office.hire("李销售", Role::Rep);
    let stranger = Stranger::new(&office, Role::Rep);
    let theirs = Actor { device: DeviceId([0x33; 8]), incarnation: 1 };
    for (name, actor, user) in [("actor", theirs, stranger.user), ("name", stranger.actor(), victim)] {
        let (lead, changes) = stranger.lead(actor, user, &["伪造"]);
        let messages = vec![
            binary(&FromPhone::Hello(stranger.hello())),
            binary(&FromPhone::Push(push(1, lead, &changes))),
        ];
        let heard = stranger.say(messages, 0);
        assert_eq!(
            heard.verdicts.iter().map(refused).collect::<Vec<_>>(),
            [Some(RefuseCode::NotYourActor)],
            "{name}"
        );
        assert_eq!((heard.closed, heard.hung_up), (Some(WireCode::Malformed), true), "{name}");
        assert!(office.app().company.header(lead).unwrap().is_none(), "{name}: nothing came into being");
    }
    let (lead, changes) = stranger.lead(stranger.actor(), stranger.user, &["好"]);
    for cut in [0, 1, changes[0].len() / 2, changes[0].len() - 1] {
        let verdicts = stranger.push(vec![push(1, lead, &[changes[0][..cut].to_vec()])]);
        assert_eq!(refused(&verdicts[0]), Some(RefuseCode::Malformed), "cut at {cut}");
    }
}

#[test]
fn a_document_that_is_not_theirs_to_write_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let owner = office.hire("李销售", Role::Rep);
    let lead = office.lead(owner, "北京协和医院");
    let stranger = Stranger::new(&office, Role::Rep);
    for doc in [lead, DocId::ruling_of(lead), DocId::policy(), DocId::directory()] {
        let mut copy = office.app().company.load(doc).unwrap();
        let (field, value) = match doc.kind() {
            Some(DocKind::Lead) => ("customer_name", "改名"),
            Some(DocKind::Ruling) => ("owner", "0101010101010101"),
            _ => ("schema", "9"),
        };
        let value = if field == "schema" { Value::Int(9) } else { Value::from(value) };
        let edit = Edit::Set { field: field.into(), value };
        let change = copy.edit(stranger.actor(), &stranger.stamp(stranger.user), &[edit]).unwrap().change;
        let before = office.app().company.load(doc).unwrap().heads();
        let verdicts = stranger.push(vec![push(1, doc, &[change])]);
        assert_eq!(refused(&verdicts[0]), Some(RefuseCode::NotPermitted), "{:?}", doc.kind());
        assert_eq!(office.app().company.load(doc).unwrap().heads(), before);
    }
}

#[test]
fn stale_replayed_and_out_of_order_pushes_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let stranger = Stranger::new(&office, Role::Rep);
    let (lead, changes) = stranger.lead(stranger.actor(), stranger.user, &["一", "二", "三"]);

    let gap = stranger.push(vec![push(3, lead, &changes[2..])]);
    assert_eq!(refused(&gap[0]), Some(RefuseCode::OutOfOrder), "{gap:?}");
    assert!(office.app().company.header(lead).unwrap().is_none(), "nothing came into being");

    let (lead, changes) = stranger.lead(stranger.actor(), stranger.user, &["一", "二", "三"]);
    let first = stranger.push(vec![push(10, lead, &changes)]);
    let Verdict::Durable { at, .. } = first[0] else { panic!("{first:?}") };
    let again = stranger.push(vec![push(10, lead, &changes), push(11, lead, &changes[1..2])]);
    for verdict in &again {
        assert!(matches!(verdict, Verdict::Durable { at: then, .. } if *then == at), "{verdict:?}");
    }
    let doc = office.app().company.load(lead).unwrap();
    assert_eq!(doc.value("customer_name", &NoClocks), Some(Value::from("三")));
    assert_eq!(doc.change_count(), 4, "genesis and three changes, once each");

    // The same sequence number with other words: a cloned phone.
    let mut clone = Doc::genesis(DocKind::Lead);
    let edit = Edit::Set { field: "customer_name".into(), value: Value::from("另一个一") };
    let fork = clone.edit(stranger.actor(), &stranger.stamp(stranger.user), &[edit]).unwrap().change;
    let verdicts = stranger.push(vec![push(12, lead, &[fork])]);
    assert_eq!(held(&verdicts[0]), Some(HoldReason::Fork));
    assert_eq!(office.app().company.load(lead).unwrap().heads(), doc.heads());
    assert!(
        office.app().company.held(None, 10).unwrap().iter().any(|item| item.doc == lead),
        "its words are kept"
    );
}

#[test]
fn a_change_beyond_its_bound_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let stranger = Stranger::new(&office, Role::Rep);
    let (lead, changes) = stranger.lead(stranger.actor(), stranger.user, &["好"]);
    let mut large = changes[0].clone();
    large.resize(limits::CHANGE_MAX_BYTES + 1, 0);
    assert_eq!(refused(&stranger.push(vec![push(1, lead, &[large])])[0]), Some(RefuseCode::TooLarge));
    let mut longer = changes[0].clone();
    longer.push(0);
    assert_eq!(refused(&stranger.push(vec![push(1, lead, &[longer])])[0]), Some(RefuseCode::Malformed));
    let many = vec![changes[0].clone(); limits::PUSH_MAX_CHANGES + 1];
    assert_eq!(refused(&stranger.push(vec![push(2, lead, &many)])[0]), Some(RefuseCode::TooLarge));
    // An honest push right after: nobody else pays.
    assert!(matches!(stranger.push(vec![push(3, lead, &changes)])[0], Verdict::Durable { .. }));
}

#[test]
fn a_device_has_one_connection_and_the_newest_is_it() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let stranger = Stranger::new(&office, Role::Rep);
    let address = office.address().replace("http", "ws") + "/sync";
    stranger.runtime.block_on(async {
        let connect = || async {
            let (mut socket, _) = tokio_tungstenite::connect_async(&address).await.unwrap();
            socket.send(binary(&FromPhone::Hello(stranger.hello()))).await.unwrap();
            until(&mut socket, |message| matches!(message, FromServer::CaughtUp(_))).await;
            socket
        };
        let mut first = connect().await;
        let mut second = connect().await;
        let said = until(&mut first, |message| matches!(message, FromServer::Error(_))).await;
        let FromServer::Error(error) = said else { unreachable!() };
        assert_eq!(error.code, WireCode::Unavailable, "the phone waits before it comes again: {error:?}");
        // The newer one goes on.
        let (lead, changes) = stranger.lead(stranger.actor(), stranger.user, &["好"]);
        second.send(binary(&FromPhone::Push(push(1, lead, &changes)))).await.unwrap();
        let said = until(&mut second, |message| matches!(message, FromServer::Answer(_))).await;
        let FromServer::Answer(answer) = said else { unreachable!() };
        assert!(matches!(answer.verdict, Verdict::Durable { .. }), "{answer:?}");
    });
}
