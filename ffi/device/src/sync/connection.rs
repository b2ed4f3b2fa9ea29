//! One connection: the websocket around a [`Link`]. Everything that is decided about messages is decided there; here are frames, pings
//! and time-outs.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Instant;

use fieldbook_core::ids::{DeviceId, DocId};
use fieldbook_core::limits;
use fieldbook_core::replica::Applied;
use fieldbook_core::sync::message::{FromPhone, FromServer, WireCode, WireError, decode_frame, frames_up};
use fieldbook_core::sync::phone::Link;
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::engine::{End, Round};
use super::{sign_in, upload};
use crate::error::Error;
use crate::listen::Change;
use crate::net::{Address, Stream};
use crate::records::SyncReport;
use crate::shared::{Shared, changes_of};
use crate::timing::{GOODBYE, PING, SEND, SILENCE, WELCOME};

/// Connects and stays connected as long as somebody wants it. `rounds` are answered, and removed, when everything has gone up and come
/// down.
///
/// # Errors
/// Why the connection was not made, or ended before anybody wanted it to.
pub(super) async fn hold(shared: &std::sync::Arc<Shared>, rounds: &mut Vec<Round>) -> Result<End, Error> {
    let opened = async {
        let token = sign_in::access_token(shared).await?;
        Talk::open(shared, &token).await
    };
    let mut talk = tokio::select! {
        opened = opened => opened?,
        () = shared.engine.unwanted(rounds) => return Ok(End::Done),
    };
    let end = talk.run(rounds).await;
    talk.close().await;
    end
}

type Uploading = Pin<Box<dyn Future<Output = Result<upload::Uploaded, Error>> + Send>>;

/// A connection that stands.
struct Talk<'a> {
    shared: &'a std::sync::Arc<Shared>,
    /// Whose connection this is: a phone that left and enrolled anew takes nothing from the old one.
    device: DeviceId,
    link: Link,
    incoming: SplitStream<WebSocketStream<Stream>>,
    outgoing: UnboundedSender<Message>,
    writer: JoinHandle<()>,
    tally: Tally,
    greeted: bool,
    /// Evidence may wait for its way up.
    has_evidence: bool,
    heard: tokio::time::Instant,
    pinged: bool,
}

/// What is counted for the report.
struct Tally {
    began: Instant,
    bytes_up: u64,
    bytes_down: u64,
    round_trips: u32,
    /// Something was sent since something came.
    asked: bool,
    leads: BTreeSet<DocId>,
    uploaded: upload::Uploaded,
}

impl<'a> Talk<'a> {
    async fn open(shared: &'a std::sync::Arc<Shared>, token: &str) -> Result<Self, Error> {
        let (device, url) = shared.with(|replica, _| {
            let identity = replica.identity()?;
            Ok::<_, Error>((identity.device, identity.server_url.clone()))
        })?;
        let began = Instant::now();
        let socket = upgrade(shared, &Address::parse(&url)?).await?;
        let (mut sink, incoming) = socket.split();
        // What waits here is bounded by the pushes that the link keeps unanswered.
        let (outgoing, mut queue) = unbounded_channel::<Message>();
        let writer = tokio::spawn(async move {
            while let Some(message) = queue.recv().await {
                match timeout(SEND, sink.send(message)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => return,
                }
            }
            let _ = sink.close().await;
        });
        let tally = Tally {
            began,
            bytes_up: 0,
            bytes_down: 0,
            round_trips: 0,
            asked: false,
            leads: BTreeSet::new(),
            uploaded: upload::Uploaded::default(),
        };
        let heard = tokio::time::Instant::now();
        let mut link = Link::new();
        // Whatever waits now: until the server has said that it is the farewell, more may be attached.
        link.delay_farewell();
        let first = shared.with(|replica, now| link.open(replica, token, &shared.agent, now))?;
        let mut talk = Self {
            shared,
            device,
            link,
            incoming,
            outgoing,
            writer,
            tally,
            greeted: false,
            has_evidence: true,
            heard,
            pinged: false,
        };
        talk.send(first);
        Ok(talk)
    }

    async fn run(&mut self, rounds: &mut Vec<Round>) -> Result<End, Error> {
        let shared = self.shared.clone();
        let engine = &shared.engine;
        let mut uploading: Option<Uploading> = None;
        let welcome_by = self.heard + WELCOME;
        // Since when nothing can be sent any more.
        let mut broken: Option<tokio::time::Instant> = None;
        loop {
            if uploading.is_none() && self.has_evidence && (self.is_settled()? || self.is_leaving()?) {
                self.has_evidence = false;
                let leaving = self.is_leaving()?;
                uploading = Some(Box::pin(upload::run(shared.clone(), leaving)));
            }
            rounds.retain(|round| !round.is_closed());
            if engine.is_stopping() {
                return Ok(End::Done);
            }
            if uploading.is_none() && self.is_settled()? {
                if !rounds.is_empty() {
                    let report = self.report()?;
                    for round in rounds.drain(..) {
                        let _ = round.send(Ok(report.clone()));
                    }
                }
                // Who asked meanwhile wants what the server has from now on: a fresh handshake says so for certain.
                if engine.has_rounds() {
                    return Ok(End::Fresh);
                }
            }
            if rounds.is_empty() && !engine.has_rounds() && !engine.stays() {
                return Ok(End::Done);
            }
            tokio::select! {
                message = self.incoming.next() => {
                    self.heard = tokio::time::Instant::now();
                    self.pinged = false;
                    if let Some(end) = self.take(message)? {
                        return Ok(end);
                    }
                }
                () = engine.edited.notified() => {
                    self.has_evidence = true;
                    let more = self.shared.with(|replica, _| self.link.edited(replica))?;
                    self.send(more);
                }
                () = engine.wake.notified() => {}
                done = async { match &mut uploading { Some(task) => task.await, None => std::future::pending().await } } => {
                    uploading = None;
                    match done {
                        Ok(uploaded) => {
                            self.tally.uploaded.add(uploaded);
                            if self.is_leaving()? {
                                self.leave()?;
                            }
                        }
                        // A revoked phone keeps its evidence, and itself, until the server has it.
                        Err(error) if self.is_leaving()? => return Err(error),
                        // The documents are safe all the same; the next edit, round or connection tries again.
                        Err(error) => tracing::debug!(code = error.code(), "evidence waits"),
                    }
                    self.shared.notifier.tell([Change::Status]);
                }
                () = sleep_until(welcome_by), if !self.greeted => {
                    return Err(Error::Offline("the server did not answer the handshake".into()));
                }
                () = sleep_until(self.heard + PING), if !self.pinged => {
                    self.pinged = true;
                    let _ = self.outgoing.send(Message::Ping(Vec::new().into()));
                }
                () = sleep_until(self.heard + SILENCE) => {
                    return Err(Error::Offline("the server fell silent".into()));
                }
                // What the server said last may still be on its way in.
                _ = &mut self.writer, if broken.is_none() => broken = Some(tokio::time::Instant::now()),
                () = sleep_until(broken.unwrap_or(self.heard) + GOODBYE), if broken.is_some() => {
                    return Err(Error::Offline("the connection broke while sending".into()));
                }
            }
        }
    }

    /// A revoked phone has sent what it could. It says goodbye, upon which it is wiped, only when nothing was attached meanwhile.
    fn leave(&mut self) -> Result<(), Error> {
        if upload::waiting(self.shared)?.to_send > 0 {
            self.has_evidence = true;
            return Ok(());
        }
        let farewell = self.shared.with(|replica, _| self.link.farewell(replica))?;
        self.send(farewell);
        Ok(())
    }

    fn is_leaving(&self) -> Result<bool, Error> {
        self.shared.with(|replica, _| Ok::<_, Error>(self.link.is_leaving(replica)))
    }

    /// One message of the websocket.
    fn take(&mut self, message: Option<Result<Message, WsError>>) -> Result<Option<End>, Error> {
        match message {
            Some(Ok(Message::Binary(frame))) => self.take_frame(&frame),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
            Some(Ok(Message::Text(_))) => Err(protocol("a frame that is not binary")),
            Some(Ok(Message::Close(_))) | None => {
                Err(Error::Offline("the server closed the connection".into()))
            }
            Some(Err(error)) => Err(Error::Offline(error.to_string())),
        }
    }

    fn take_frame(&mut self, frame: &[u8]) -> Result<Option<End>, Error> {
        self.tally.bytes_down += frame.len() as u64;
        if std::mem::take(&mut self.tally.asked) {
            self.tally.round_trips += 1;
        }
        let messages = decode_frame::<FromServer>(frame).map_err(|e| protocol(&e.to_string()))?;
        if !self.greeted && messages.iter().any(|m| matches!(m, FromServer::Welcome(_))) {
            self.greeted = true;
            self.shared.engine.set_online(true);
            self.shared.notifier.tell([Change::Status]);
        }
        let shared = self.shared;
        // Storing a full frame takes milliseconds: other tasks go on meanwhile.
        let (turn, told) = block_in_place(|| {
            shared.with(|replica, now| {
                if replica.identity()?.device != self.device {
                    return Err(Error::NotEnrolled);
                }
                let turn = self.link.receive(replica, messages, now)?;
                let applied = &turn.applied;
                let told = changes_of(replica, applied.changed.iter().chain(&applied.wiped).copied())?;
                Ok::<_, Error>((turn, told))
            })
        })?;
        self.tell(&turn.applied, told);
        self.send(turn.send);
        if turn.applied.wiped_all {
            block_in_place(|| shared.scrub_wiped());
            return Err(Error::Wiped);
        }
        match turn.closed {
            Some(error) => self.closed(error),
            None => Ok(None),
        }
    }

    fn tell(&mut self, applied: &Applied, told: BTreeSet<crate::shared::Told>) {
        let shared_ones = [DocId::directory(), DocId::policy(), DocId::playbook()];
        let told_anew = |doc: &DocId| applied.changed.contains(doc) || applied.wiped.contains(doc);
        if shared_ones.iter().any(told_anew) || applied.wiped_all {
            self.shared.forget_names();
        }
        for change in &told {
            if let crate::shared::Told::Lead(lead) = change {
                self.tally.leads.insert(*lead);
            }
        }
        let notifier = &self.shared.notifier;
        if applied.wiped_all || told.len() > NAMED_MAX {
            notifier.tell([Change::Everything]);
        } else {
            notifier.tell(told.into_iter().map(crate::shared::Told::change));
        }
        if applied.durable > 0 || applied.aside > 0 || applied.caught_up.is_some() {
            notifier.tell([Change::Status]);
        }
    }

    /// Why the server closes.
    fn closed(&self, error: WireError) -> Result<Option<End>, Error> {
        let WireError { code, detail } = error;
        match code {
            WireCode::Resubscribe => Ok(Some(End::Again)),
            WireCode::Token => {
                sign_in::forget_access(self.shared)?;
                Ok(Some(End::Again))
            }
            WireCode::Unavailable => Err(Error::Offline(detail)),
            WireCode::Version => Err(Error::Version(detail)),
            WireCode::Device => Err(Error::SignedOut(detail)),
            WireCode::Malformed | WireCode::OutOfOrder | WireCode::TooMany | WireCode::Cursor => {
                Err(protocol(&detail))
            }
        }
    }

    fn send(&mut self, messages: Vec<FromPhone>) {
        for frame in frames_up(messages) {
            self.tally.bytes_up += frame.len() as u64;
            self.tally.asked = true;
            // A writer that is gone ends the loop by itself.
            let _ = self.outgoing.send(Message::Binary(frame.into()));
        }
    }

    fn is_settled(&self) -> Result<bool, Error> {
        self.shared.with(|replica, _| Ok::<_, Error>(self.link.is_settled(replica)))
    }

    fn report(&self) -> Result<SyncReport, Error> {
        let link = self.link.report();
        let tally = &self.tally;
        let (conflicts, held) = self.shared.with(|replica, _| {
            let conflicts =
                tally.leads.iter().filter_map(|lead| replica.summary(*lead).ok()).map(|row| row.conflicts);
            Ok::<_, Error>((conflicts.sum(), replica.kept()?.len() as u32))
        })?;
        let waiting = upload::waiting(self.shared)?;
        Ok(SyncReport {
            up: link.durable,
            down: link.changed,
            set_aside: link.aside,
            wiped: link.wiped,
            bytes_up: tally.bytes_up,
            bytes_down: tally.bytes_down,
            round_trips: tally.round_trips,
            millis: u64::try_from(tally.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            conflicts,
            held,
            evidence_up: tally.uploaded.files,
            evidence_bytes: tally.uploaded.bytes,
            evidence_waiting: waiting.to_send,
            evidence_refused: waiting.refused,
        })
    }

    async fn close(self) {
        let Self { outgoing, mut writer, .. } = self;
        drop(outgoing);
        if !writer.is_finished() && timeout(GOODBYE, &mut writer).await.is_err() {
            writer.abort();
        }
    }
}

async fn upgrade(shared: &Shared, server: &Address) -> Result<WebSocketStream<Stream>, Error> {
    let stream = shared.dialer.dial(server).await?;
    let scheme = if server.tls { "wss" } else { "ws" };
    let url = format!("{scheme}://{}{}/sync", server.authority(), server.path);
    let mut request = url.into_client_request().map_err(|e| Error::Invitation(e.to_string()))?;
    if let Ok(agent) = shared.agent.parse() {
        request.headers_mut().insert("user-agent", agent);
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits::FRAME_MAX_BYTES))
        .max_frame_size(Some(limits::FRAME_MAX_BYTES))
        .read_buffer_size(BUFFER_BYTES);
    match timeout(WELCOME, client_async_with_config(request, stream, Some(config))).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(WsError::Http(response))) => {
            Err(Error::Offline(format!("status {} instead of a websocket", response.status())))
        }
        Ok(Err(error)) => Err(Error::Offline(error.to_string())),
        Err(_) => Err(Error::Offline("no websocket in time".into())),
    }
}

fn protocol(detail: &str) -> Error {
    Error::Server { code: "protocol".into(), detail: detail.to_owned() }
}

/// Leads named one by one in one frame's news; beyond it, reading everything again is cheaper.
const NAMED_MAX: usize = 64;
/// A frame is read in pieces of this size.
const BUFFER_BYTES: usize = 32 << 10;
