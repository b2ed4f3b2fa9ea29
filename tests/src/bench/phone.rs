//! A measured phone below its facade: the product's own replica and link over its durable encrypted store, and a websocket whose bytes and
//! flights are counted. What the phone's runtime does beside that (listeners, evidence, sign-in) is not here; the rows `edit`, `open` and
//! `import` go through the facade ([`crate::app`]).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fieldbook_core::ids::DocId;
use fieldbook_core::replica::{DocEdits, Identity, Replica};
use fieldbook_core::sync::message::{FromPhone, FromServer, decode_frame, frames_up};
use fieldbook_core::sync::phone::{Link, SyncReport};
use fieldbook_engines::{SecureStore, StoreKey};
use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::Fail;
use crate::firm::{Member, now};
use crate::wire::{Socket, Tally, connect};
use crate::yardstick::ms;

/// A phone with its store open.
pub struct Phone {
    /// What it keeps.
    pub replica: Replica,
    store: Arc<SecureStore>,
    path: PathBuf,
}

/// What one connection came to.
#[derive(Debug, Clone)]
pub struct Synced {
    /// TCP payload sent.
    pub up_bytes: u64,
    /// TCP payload received.
    pub down_bytes: u64,
    /// From dialling until everything was stored here, answered there and acknowledged.
    pub ms: f64,
    /// The part of it that went until the websocket stood.
    pub dial_ms: f64,
    /// How often the phone sent: flights, the first included.
    pub flights: u32,
    /// Those of them that asked for something. What only acknowledges is waited for by nobody, so these are the round trips.
    pub awaited: u32,
    /// The link's own report.
    pub report: SyncReport,
}

impl Phone {
    /// A new phone, enrolled for somebody.
    ///
    /// # Errors
    /// The store's.
    pub fn enrol(path: &Path, member: &Member) -> Result<Self, Fail> {
        let mut phone = Self::open(path)?;
        phone.replica.enrol(Identity {
            device: member.device,
            user: member.user,
            user_name: "销售".into(),
            company: "Fieldbook".into(),
            server_url: "http://127.0.0.1".into(),
            refresh_token: String::new(),
            zone: "Asia/Shanghai".into(),
        })?;
        Ok(phone)
    }

    /// Opens a phone's store.
    ///
    /// # Errors
    /// The store's.
    pub fn open(path: &Path) -> Result<Self, Fail> {
        let store = Arc::new(SecureStore::open(path, &StoreKey(crate::app::KEY), rand::random())?);
        Ok(Self { replica: Replica::open(store.clone())?, store, path: path.to_owned() })
    }

    /// Closes it in order.
    ///
    /// # Errors
    /// The store's.
    pub fn close(self) -> Result<PathBuf, Fail> {
        self.store.settle()?;
        self.store.close()?;
        Ok(self.path)
    }

    /// One durable edit.
    ///
    /// # Errors
    /// The replica's.
    pub fn edit(&mut self, lead: DocId, edits: Vec<fieldbook_core::document::Edit>) -> Result<(), Fail> {
        let act = self.replica.act(now(), rand::random())?;
        self.replica.edit(&act, &[DocEdits::of(lead, edits)])?;
        Ok(())
    }

    /// A connection that stands until it is told to stop; `heard` is told of the documents that changed, once they are stored.
    ///
    /// # Errors
    /// Those of the network, of the store, and the server's refusals.
    pub async fn listen(
        &mut self,
        token: &str,
        port: u16,
        stop: &AtomicBool,
        heard: impl Fn(&BTreeSet<DocId>),
    ) -> Result<(), Fail> {
        let mut socket = connect(port, None, &Arc::new(Tally::default())).await?;
        let mut link = Link::new();
        let first = link.open(&self.replica, token, "bench", now())?;
        send(&mut socket, first).await?;
        while !stop.load(Ordering::Relaxed) {
            let Ok(message) = timeout(LISTEN, socket.next()).await else { continue };
            let Message::Binary(frame) = message.ok_or("the server hung up")?? else { continue };
            let turn = link.receive(&mut self.replica, decode_frame::<FromServer>(&frame)?, now())?;
            if let Some(error) = turn.closed {
                return Err(format!("the server closed: {error:?}").into());
            }
            heard(&turn.applied.changed);
            send(&mut socket, turn.send).await?;
        }
        let _ = socket.close(None).await;
        Ok(())
    }

    /// One whole connection, until everything is everywhere.
    ///
    /// # Errors
    /// Those of the network, of the store, and the server's refusals.
    pub async fn sync(&mut self, token: &str, port: u16) -> Result<Synced, Fail> {
        let began = Instant::now();
        let tally = Arc::new(Tally::default());
        let mut socket = connect(port, None, &tally).await?;
        let dial_ms = ms(began.elapsed());
        let mut link = Link::new();
        let first = link.open(&self.replica, token, "bench", now())?;
        send(&mut socket, first).await?;
        let (mut flights, mut awaited) = (1, 1);
        while !link.is_settled(&self.replica) {
            let Some(message) = timeout(SILENCE, socket.next()).await? else {
                return Err("the server hung up".into());
            };
            let Message::Binary(frame) = message? else { continue };
            let messages = decode_frame::<FromServer>(&frame)?;
            let turn = link.receive(&mut self.replica, messages, now())?;
            if let Some(error) = turn.closed {
                return Err(format!("the server closed: {error:?}").into());
            }
            flights += u32::from(!turn.send.is_empty());
            awaited += u32::from(!turn.send.iter().all(|message| matches!(message, FromPhone::Ack(_))));
            send(&mut socket, turn.send).await?;
        }
        let (up_bytes, down_bytes) = (tally.up(), tally.down());
        let took = Synced {
            up_bytes,
            down_bytes,
            ms: ms(began.elapsed()),
            dial_ms,
            flights,
            awaited,
            report: link.report().clone(),
        };
        let _ = socket.close(None).await;
        Ok(took)
    }
}

async fn send(socket: &mut Socket, messages: Vec<FromPhone>) -> Result<(), Fail> {
    if messages.is_empty() {
        return Ok(());
    }
    for frame in frames_up(messages) {
        socket.feed(Message::Binary(frame.into())).await?;
    }
    Ok(socket.flush().await?)
}

/// How often a phone that listens looks whether it is to stop.
const LISTEN: Duration = Duration::from_millis(200);
const SILENCE: Duration = Duration::from_secs(120);
