//! How a standing connection ends: when the server stops in order, and when the device is taken out of service.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::{Read, Write};
use std::net::TcpStream;

use fieldbook_core::access::Role;
use fieldbook_core::company::DeviceStatus;
use fieldbook_core::ids::DocId;
use fieldbook_core::sync::message::{FromPhone, FromServer, Verdict, WireCode, decode_frame};
use fieldbook_server::app::Notice;
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

/// How a connection may end in the middle of a first sync.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Stolen,
    ConnectedAnew,
    TokenOver,
    ServerStops,
}

/// A phone on a slow line is in the middle of its first sync when its connection is to end: what it has not been sent by then stays here.
#[test]
fn a_first_sync_does_not_outlive_its_connection() {
    for ending in [Ending::Stolen, Ending::ConnectedAnew, Ending::TokenOver, Ending::ServerStops] {
        let folder = tempfile::tempdir().unwrap();
        let office = Office::start(folder.path());
        let phone = Stranger::new(&office, Role::Rep);
        phone.runtime.block_on(ended_while_it_fills(&office, &phone, ending));
    }
}

async fn ended_while_it_fills(office: &Office, phone: &Stranger<'_>, ending: Ending) {
    let app = office.app();
    let mut entropy = Entropy::from_system();
    let address = office.address().replace("http", "ws") + "/sync";
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

    // A line that takes little at once, and a phone that does not read on until its connection is to end.
    let slow = tokio::net::TcpSocket::new_v4().unwrap();
    slow.set_recv_buffer_size(16 << 10).unwrap();
    let host = address.trim_start_matches("ws://").trim_end_matches("/sync").parse().unwrap();
    let stream = slow.connect(host).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(&address, stream).await.unwrap();
    let mut hello = phone.hello();
    if let Ending::TokenOver = ending {
        let life_ms = i64::from(app.config.auth.access_ttl_s) * 1_000;
        hello.token = phone.token_at(app.now_ms() - life_ms + TOKEN_LEFT_MS);
    }
    socket.send(binary(&FromPhone::Hello(hello))).await.unwrap();
    until(&mut socket, |message| matches!(message, FromServer::Welcome(_))).await;
    let mut anew = None;
    let code = match ending {
        Ending::Stolen => {
            let device = phone.device;
            app.company.set_device_status(device, DeviceStatus::Stolen, app.now_ms()).unwrap();
            app.notices.send(Notice::Device(device)).unwrap();
            WireCode::Resubscribe
        }
        Ending::ConnectedAnew => {
            let (mut second, _) = tokio_tungstenite::connect_async(&address).await.unwrap();
            second.send(binary(&FromPhone::Hello(phone.hello()))).await.unwrap();
            until(&mut second, |message| matches!(message, FromServer::Welcome(_))).await;
            anew = Some(second);
            WireCode::Unavailable
        }
        Ending::TokenOver => {
            tokio::time::sleep(std::time::Duration::from_millis(TOKEN_LEFT_MS as u64)).await;
            WireCode::Token
        }
        Ending::ServerStops => {
            app.stopping.send_replace(true);
            WireCode::Unavailable
        }
    };
    let mut leads = 0;
    let said = until(&mut socket, |message| {
        leads += usize::from(matches!(message, FromServer::Delta(delta) if delta.changes.len() > 1));
        matches!(message, FromServer::Error(_))
    })
    .await;
    assert!(matches!(&said, FromServer::Error(error) if error.code == code), "{ending:?}: {said:?}");
    assert!(leads < LARGE_LEADS as usize / 2, "{ending:?}: {leads} of {LARGE_LEADS} came all the same");
    drop(anew);
}

/// Text of 64 letters, which deflates to three quarters at best.
fn noise(entropy: &mut Entropy) -> String {
    let draw = |_| entropy.draw::<32>().map(|byte| char::from(b'0' + byte % 64));
    (0..LARGE_VALUE_BYTES / 32).flat_map(draw).collect()
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
const LARGE_LEADS: u64 = 32;
const LARGE_VALUES: usize = 14;
const LARGE_VALUE_BYTES: usize = 30 << 10;
/// What a token has left that ends in the middle of a first sync.
const TOKEN_LEFT_MS: i64 = 2_000;
const PHONES: usize = 4;
/// As many as may be unanswered at once.
const PUSHES: u64 = 200;
