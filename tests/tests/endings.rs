//! How a standing connection ends: when the server stops in order, and when the device is taken out of service.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::{Read, Write};
use std::net::TcpStream;

use fieldbook_core::access::Role;
use fieldbook_core::ids::DocId;
use fieldbook_core::sync::message::{FromPhone, FromServer, Verdict, WireCode, decode_frame};
use fieldbook_server::auth::{Entropy, Scope};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

#[path = "support/stranger.rs"]
mod stranger;
mod support;

use stranger::{Stranger, binary, push, until};
use support::Office;

#[test]
fn what_was_answered_before_an_orderly_end_is_on_the_disk_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::start(folder.path());
    let (tell, told) = std::sync::mpsc::channel::<Vec<(DocId, u64)>>();
    let first_answer = std::sync::Arc::new(std::sync::Barrier::new(PHONES + 1));
    let mut phones = Vec::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for _ in 0..PHONES {
        let stranger = Stranger::new(&office, Role::Rep);
        let mut frames = vec![binary(&FromPhone::Hello(stranger.hello()))];
        for id in 1..=PUSHES {
            let (lead, changes) = stranger.lead(stranger.actor(), stranger.user, &["一", "二"]);
            frames.push(binary(&FromPhone::Push(push(id, lead, &changes))));
        }
        let address = office.address().replace("http", "ws") + "/sync";
        let (tell, first_answer) = (tell.clone(), first_answer.clone());
        phones.push(runtime.spawn(async move {
            let (socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
            let (mut sink, mut stream) = socket.split();
            let mut durable = Vec::new();
            let sending = tokio::spawn(async move {
                for frame in frames {
                    if sink.send(frame).await.is_err() {
                        break;
                    }
                }
                sink
            });
            let mut seen = false;
            while let Ok(Some(Ok(message))) = tokio::time::timeout(support::LONG, stream.next()).await {
                let Message::Binary(frame) = message else { continue };
                for message in decode_frame::<FromServer>(&frame).unwrap() {
                    if let FromServer::Answer(answer) = message {
                        let Verdict::Durable { at, .. } = answer.verdict else { panic!("{answer:?}") };
                        durable.push((answer.doc, at));
                    }
                }
                if !seen && !durable.is_empty() {
                    seen = true;
                    // The end comes while the rest is under way.
                    tokio::task::block_in_place(|| first_answer.wait());
                }
            }
            drop(sending.await);
            tell.send(durable).unwrap();
        }));
    }
    drop(tell);
    first_answer.wait();
    office.close();
    let answered: Vec<(DocId, u64)> = told.iter().flatten().collect();
    for phone in phones {
        runtime.block_on(phone).unwrap();
    }
    assert!(answered.len() >= PHONES, "{}", answered.len());

    office.open();
    for (lead, at) in answered {
        let header = office.app().company.header(lead).unwrap().expect("an acknowledged lead is there");
        assert!(header.content_at >= at, "{lead}");
        assert_eq!(office.value(lead, "customer_name").as_deref(), Some("二"));
    }
}

#[test]
fn a_device_that_is_taken_out_of_service_loses_its_standing_connection_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let admin = Stranger::new(&office, Role::Admin);
    let app = office.app();
    let issued = app.auth.issue_access(
        admin.user,
        admin.device,
        Role::Admin,
        Scope::Full,
        app.now_ms(),
        &mut Entropy::from_system(),
    );
    let (token, _) = issued.unwrap();
    for (verb, says) in [("revoke", true), ("stolen", false)] {
        let phone = Stranger::new(&office, Role::Rep);
        let bystander = Stranger::new(&office, Role::Rep);
        let address = office.address().replace("http", "ws") + "/sync";
        phone.runtime.block_on(async {
            let mut sockets = Vec::new();
            for who in [&phone, &bystander] {
                let (mut socket, _) = tokio_tungstenite::connect_async(&address).await.unwrap();
                socket.send(binary(&FromPhone::Hello(who.hello()))).await.unwrap();
                until(&mut socket, |message| matches!(message, FromServer::CaughtUp(_))).await;
                sockets.push(socket);
            }
            let path = format!("/api/devices/{}/{verb}", phone.device);
            assert_eq!(post(office.address(), &path, &token), 200);
            let said = until(&mut sockets[0], |message| matches!(message, FromServer::Error(_))).await;
            let FromServer::Error(error) = said else { unreachable!() };
            assert_eq!(error.code, WireCode::Resubscribe, "{verb}");
            let next = tokio::time::timeout(support::LONG, sockets[0].next()).await.unwrap();
            assert!(matches!(next, None | Some(Err(_) | Ok(Message::Close(_)))), "{verb}: {next:?}");
            // Coming back, it is heard once or not at all.
            let (lead, changes) = phone.lead(phone.actor(), phone.user, &["最后的话"]);
            let last = vec![
                binary(&FromPhone::Hello(phone.hello())),
                binary(&FromPhone::Push(push(1, lead, &changes))),
                binary(&FromPhone::Ack(0)),
            ];
            let (mut socket, _) = tokio_tungstenite::connect_async(&address).await.unwrap();
            for message in last {
                let _ = socket.send(message).await;
            }
            let mut held = false;
            until(&mut socket, |message| {
                held |= matches!(message, FromServer::Answer(answer) if matches!(answer.verdict, Verdict::Held { .. }));
                matches!(message, FromServer::Wipe)
            })
            .await;
            assert_eq!(held, says, "{verb}");
            // Nobody else noticed.
            let (lead, changes) = bystander.lead(bystander.actor(), bystander.user, &["好"]);
            sockets[1].send(binary(&FromPhone::Push(push(1, lead, &changes)))).await.unwrap();
            until(&mut sockets[1], |message| matches!(message, FromServer::Answer(_))).await;
        });
    }
}

/// A phone on a slow line is in the middle of its first sync when it is reported stolen: what it has not been sent by then stays here.
#[test]
fn a_phone_that_is_stolen_during_its_first_sync_gets_no_more_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let admin = Stranger::new(&office, Role::Admin);
    let app = office.app();
    let mut entropy = Entropy::from_system();
    let (token, _) = app
        .auth
        .issue_access(admin.user, admin.device, Role::Admin, Scope::Full, app.now_ms(), &mut entropy)
        .unwrap();
    let phone = Stranger::new(&office, Role::Rep);
    let address = office.address().replace("http", "ws") + "/sync";
    phone.runtime.block_on(async {
        let (mut socket, _) = tokio_tungstenite::connect_async(&address).await.unwrap();
        socket.send(binary(&FromPhone::Hello(phone.hello()))).await.unwrap();
        for id in 1..=LARGE_LEADS {
            let values: Vec<String> = (0..LARGE_VALUES).map(|_| noise(&mut entropy)).collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let (lead, changes) = phone.lead(phone.actor(), phone.user, &values);
            socket.send(binary(&FromPhone::Push(push(id, lead, &changes)))).await.unwrap();
            let told = until(&mut socket, |message| matches!(message, FromServer::Answer(_))).await;
            let FromServer::Answer(answer) = told else { unreachable!() };
            assert!(matches!(answer.verdict, Verdict::Durable { .. }), "{:?}", answer.verdict);
        }
        drop(socket);

        // A line that takes little at once, and a phone that does not read on until it is stolen.
        let slow = tokio::net::TcpSocket::new_v4().unwrap();
        slow.set_recv_buffer_size(16 << 10).unwrap();
        let host = address.trim_start_matches("ws://").trim_end_matches("/sync").parse().unwrap();
        let stream = slow.connect(host).await.unwrap();
        let (mut socket, _) = tokio_tungstenite::client_async(&address, stream).await.unwrap();
        socket.send(binary(&FromPhone::Hello(phone.hello()))).await.unwrap();
        let welcome = until(&mut socket, |message| matches!(message, FromServer::Welcome(_))).await;
        assert!(matches!(welcome, FromServer::Welcome(_)));
        assert_eq!(post(office.address(), &format!("/api/devices/{}/stolen", phone.device), &token), 200);
        let mut leads = 0;
        until(&mut socket, |message| {
            leads += usize::from(matches!(message, FromServer::Delta(delta) if delta.changes.len() > 1));
            matches!(message, FromServer::Error(error) if error.code == WireCode::Resubscribe)
        })
        .await;
        assert!(leads < LARGE_LEADS as usize / 2, "{leads} of {LARGE_LEADS} came all the same");
    });
}

/// Text that deflates to half at best.
fn noise(entropy: &mut Entropy) -> String {
    let draw = |_| entropy.draw::<32>().map(|byte| format!("{byte:02x}")).concat();
    (0..LARGE_VALUE_BYTES / 64).map(draw).collect()
}

/// A request without a body; its status.
fn post(address: String, path: &str, token: &str) -> u16 {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Together more than a connection's buffers take.
const LARGE_LEADS: u64 = 24;
const LARGE_VALUES: usize = 14;
const LARGE_VALUE_BYTES: usize = 30 << 10;
const PHONES: usize = 4;
/// As many as may be unanswered at once.
const PUSHES: u64 = 200;
