//! A device that is enrolled but runs somebody else's program: frames by hand over a real websocket.
#![allow(dead_code, reason = "every test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use fieldbook_core::access::Role;
use fieldbook_core::document::{Doc, Edit, Value};
use fieldbook_core::ids::{Actor, DeviceId, DocId, DocKind, EntryId, UserId};
use fieldbook_core::sync::message::{
    FromPhone, FromServer, Hello, Push, VERSIONS, Verdict, WireCode, decode_frame, encode,
};
use fieldbook_core::time::{Moment, Stamp};
use fieldbook_server::auth::{Entropy, Scope};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{self, Office};

/// A device that is enrolled but runs somebody else's program.
pub struct Stranger<'a> {
    pub office: &'a Office,
    pub user: UserId,
    pub device: DeviceId,
    pub runtime: tokio::runtime::Runtime,
}

/// What came back until the server closed or had answered everything.
#[derive(Default)]
pub struct Heard {
    pub verdicts: Vec<Verdict>,
    pub closed: Option<WireCode>,
    pub hung_up: bool,
}

impl<'a> Stranger<'a> {
    pub fn new(office: &'a Office, role: Role) -> Self {
        let user = office.hire("陌生人", role);
        let device = Entropy::from_system().device();
        office.app().company.put_device(device, user, "laptop", office.app().now_ms()).unwrap();
        Self { office, user, device, runtime: tokio::runtime::Runtime::new().unwrap() }
    }

    pub fn token_at(&self, now_ms: i64) -> String {
        let app = self.office.app();
        let mut entropy = Entropy::from_system();
        app.auth.issue_access(self.user, self.device, Role::Rep, Scope::Full, now_ms, &mut entropy).unwrap().0
    }

    pub fn hello(&self) -> Hello {
        Hello {
            versions: VERSIONS,
            token: self.token_at(self.office.app().now_ms()),
            incarnation: 1,
            pushed: 0,
            epoch: 0,
            cursor: 0,
            channels: Vec::new(),
            boot: 1,
            mono_ms: 1,
            wall_ms: self.office.app().now_ms(),
            agent: "stranger".into(),
        }
    }

    /// Sends these websocket messages and listens until the server closes or `answers` pushes are answered.
    pub fn say(&self, messages: Vec<Message>, answers: usize) -> Heard {
        let address = self.office.address().replace("http", "ws") + "/sync";
        self.runtime.block_on(async {
            let (mut socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
            for message in messages {
                // A server that has closed already is an answer too.
                if socket.send(message).await.is_err() {
                    break;
                }
            }
            let mut heard = Heard::default();
            while heard.verdicts.len() < answers || answers == 0 {
                match tokio::time::timeout(support::LONG, socket.next())
                    .await
                    .expect("the server says something")
                {
                    Some(Ok(Message::Binary(frame))) => {
                        for message in decode_frame::<FromServer>(&frame).unwrap() {
                            match message {
                                FromServer::Answer(answer) => heard.verdicts.push(answer.verdict),
                                FromServer::Error(error) => heard.closed = Some(error.code),
                                _ => {}
                            }
                        }
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => {
                        heard.hung_up = true;
                        break;
                    }
                    Some(Ok(_)) => {}
                }
            }
            heard
        })
    }

    /// Greets and pushes; the verdicts, in order.
    pub fn push(&self, pushes: Vec<Push>) -> Vec<Verdict> {
        let answers = pushes.len();
        let mut messages = vec![binary(&FromPhone::Hello(self.hello()))];
        messages.extend(pushes.into_iter().map(|push| binary(&FromPhone::Push(push))));
        self.say(messages, answers).verdicts
    }

    pub fn actor(&self) -> Actor {
        Actor { device: self.device, incarnation: 1 }
    }

    pub fn stamp(&self, user: UserId) -> Stamp {
        Stamp {
            user,
            moment: Moment { wall_ms: 5, boot: 1, mono_ms: 5 },
            offset_ms: None,
            last_contact_ms: 0,
        }
    }

    /// A fresh lead and its changes, one register each.
    pub fn lead(&self, actor: Actor, user: UserId, values: &[&str]) -> (DocId, Vec<Vec<u8>>) {
        let id = DocId::fresh(DocKind::Lead, EntryId(Entropy::from_system().draw()));
        let mut doc = Doc::genesis(DocKind::Lead);
        let edit = |value: &&str| Edit::Set { field: "customer_name".into(), value: Value::from(*value) };
        let changes =
            values.iter().map(|v| doc.edit(actor, &self.stamp(user), &[edit(v)]).unwrap().change).collect();
        (id, changes)
    }
}

pub fn binary(message: &FromPhone) -> Message {
    Message::Binary(encode(message).into())
}

pub fn push(id: u64, doc: DocId, changes: &[Vec<u8>]) -> Push {
    Push { id, doc, origin: None, changes: changes.iter().map(|c| c.clone().into()).collect() }
}

/// Listens until something like this comes.
pub async fn until(
    socket: &mut (impl StreamExt<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin),
    mut wanted: impl FnMut(&FromServer) -> bool,
) -> FromServer {
    loop {
        let message =
            tokio::time::timeout(support::LONG, socket.next()).await.expect("the server says something");
        let Message::Binary(frame) = message.expect("the connection stands").unwrap() else { continue };
        if let Some(found) = decode_frame::<FromServer>(&frame).unwrap().into_iter().find(|m| wanted(m)) {
            return found;
        }
    }
}
