//! One phone's websocket: frames in and out of a [`Session`], with time-outs. Everything it decides is in core.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use fieldbook_core::access::Channel;
use fieldbook_core::company::{CompanyError, DeviceStatus};
use fieldbook_core::limits;
use fieldbook_core::sync::message::{
    Answer, FromPhone, FromServer, Hello, WireCode, WireError, decode_frame, frames,
};
use fieldbook_core::sync::server::{Effect, Session};
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::{Instant, timeout, timeout_at};

use super::gatekeeper::{Reply, Told};
use super::{Bell, Hub};
use crate::auth::TokenError;

/// `GET /sync`: becomes a websocket.
pub(super) async fn upgrade(State(hub): State<Arc<Hub>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * limits::FRAME_MAX_BYTES)
        .max_message_size(HEARD_MAX_BYTES)
        .max_frame_size(HEARD_MAX_BYTES)
        .on_upgrade(move |socket| serve(hub, socket))
}

/// Why a connection ends.
enum End {
    /// The phone went, or the network did.
    Gone,
    /// The phone is told why.
    Say(WireError),
    /// The store failed.
    Failed(CompanyError),
}

impl From<CompanyError> for End {
    fn from(error: CompanyError) -> Self {
        End::Failed(error)
    }
}

async fn serve(hub: Arc<Hub>, mut socket: WebSocket) {
    let end = match Box::pin(converse(&hub, &mut socket)).await {
        Ok(()) => return,
        Err(end) => end,
    };
    let error = match end {
        End::Gone => return,
        End::Say(error) => error,
        End::Failed(error) => {
            tracing::error!(%error, "a session failed");
            wire(WireCode::Unavailable, "the server's store failed; come back later")
        }
    };
    for frame in frames([FromServer::Error(error)]) {
        let _ = timeout(SEND, socket.send(Message::Binary(frame.into()))).await;
    }
    let close = CloseFrame { code: axum::extract::ws::close_code::NORMAL, reason: "".into() };
    let _ = timeout(SEND, socket.send(Message::Close(Some(close)))).await;
}

async fn converse(hub: &Arc<Hub>, socket: &mut WebSocket) -> Result<(), End> {
    let (mut talk, first) = greet(hub, socket).await?;
    let entered = Entered::new(hub, &talk.session);
    talk.reply.session = entered.id;
    // Whatever changed between the greeting and the entry was not heard.
    let now = block_in_place(|| hub.app.company.principal(talk.session.device()))?;
    if now.person != talk.session.principal().person || now.status != talk.session.principal().status {
        return Err(End::Say(changed()));
    }
    talk.handle(first)?;
    let mut stopping = hub.app.stopping.subscribe();
    loop {
        talk.send_all(socket, &entered.bell).await?;
        if let Some(error) = talk.closing.take() {
            return Err(End::Say(error));
        }
        if talk.over {
            return Ok(());
        }
        let silence = talk.heard + SILENCE;
        let ping_at = talk.heard + PING;
        tokio::select! {
            biased;
            () = stopped(&mut stopping) => {
                return Err(End::Say(wire(WireCode::Unavailable, "the server is stopping; come back later")));
            }
            // Before what the phone says: one that keeps talking would never hear of it.
            () = tokio::time::sleep_until(talk.token_ends) => {
                return Err(End::Say(wire(WireCode::Token, "the access token has expired; refresh it")));
            }
            told = talk.told.recv() => match told {
                Some(Told::Answers(answers)) => {
                    let (all, end) = gather(answers, &mut talk.told);
                    let effects = talk.session.answered(all);
                    talk.carry_out(effects)?;
                    talk.closing = talk.closing.take().or(end);
                }
                Some(Told::NoRoom) => return Err(End::Say(no_room())),
                Some(Told::Failed) | None => return Err(End::Say(undecided())),
            },
            () = entered.bell.notify.notified() => {
                if entered.bell.replaced.load(Ordering::Acquire) {
                    return Err(End::Say(replaced()));
                }
                if entered.bell.leave.load(Ordering::Acquire) {
                    return Err(End::Say(changed()));
                }
                if entered.bell.news.swap(false, Ordering::AcqRel) {
                    talk.session.wake();
                    talk.has_more = true;
                }
            },
            message = socket.recv() => {
                talk.heard = Instant::now();
                talk.pinged = false;
                match message {
                    None | Some(Ok(Message::Close(_))) => return Err(End::Gone),
                    Some(Err(_)) => return Err(unreadable()),
                    Some(Ok(Message::Binary(frame))) => {
                        let messages = decode(&frame)?;
                        talk.handle(messages)?;
                    }
                    Some(Ok(Message::Text(_))) => {
                        return Err(End::Say(wire(WireCode::Malformed, "frames are binary")));
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                }
            },
            () = tokio::time::sleep_until(ping_at), if !talk.pinged => {
                talk.pinged = true;
                send(socket, Message::Ping(Vec::new().into())).await?;
            },
            () = tokio::time::sleep_until(silence) => return Err(End::Gone),
        }
    }
}

/// The answers that have come, up to a push that got none, and how that one ends the connection. What was judged behind it may have missed
/// what it builds on: the phone must not hear that as the last word, or it would set aside what it is to send again.
fn gather(first: Vec<Answer>, told: &mut UnboundedReceiver<Told>) -> (Vec<Answer>, Option<WireError>) {
    let mut all = first;
    while let Ok(next) = told.try_recv() {
        match next {
            Told::Answers(more) => all.extend(more),
            Told::NoRoom => return (all, Some(no_room())),
            Told::Failed => return (all, Some(undecided())),
        }
    }
    (all, None)
}

/// Waits for the hello, checks its token and opens the session. Gives what came behind it in the same frame.
async fn greet(hub: &Arc<Hub>, socket: &mut WebSocket) -> Result<(Talk, Vec<FromPhone>), End> {
    let frame = first_frame(socket, Instant::now() + HELLO).await?;
    let mut messages = decode(&frame)?;
    let FromPhone::Hello(hello) = messages.remove(0) else {
        return Err(End::Say(wire(WireCode::OutOfOrder, "the first message is the hello")));
    };
    let talk = block_in_place(|| Talk::open(hub, &hello))?;
    Ok((talk, messages))
}

/// The first frame that says something. Pings and pongs give nobody more time, however many come.
async fn first_frame<E>(
    socket: &mut (impl Stream<Item = Result<Message, E>> + Unpin),
    by: Instant,
) -> Result<Bytes, End> {
    loop {
        let next = timeout_at(by, socket.next()).await;
        // A message that is there already would win against a time that is over.
        let Some(message) = next.ok().filter(|_| Instant::now() < by) else {
            return Err(End::Say(wire(WireCode::OutOfOrder, "no hello came")));
        };
        match message {
            None | Some(Ok(Message::Close(_))) => return Err(End::Gone),
            Some(Err(_)) => return Err(unreadable()),
            Some(Ok(Message::Binary(frame))) => return Ok(frame),
            Some(Ok(Message::Text(_))) => {
                return Err(End::Say(wire(WireCode::Malformed, "frames are binary")));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
        }
    }
}

/// A greeted connection.
struct Talk {
    hub: Arc<Hub>,
    session: Session,
    /// A session ends with its token: whoever may go on comes back with a fresh one.
    token_ends: Instant,
    out: Vec<FromServer>,
    has_more: bool,
    over: bool,
    closing: Option<WireError>,
    heard: Instant,
    pinged: bool,
    reply: Reply,
    told: UnboundedReceiver<Told>,
}

impl Talk {
    fn open(hub: &Arc<Hub>, hello: &Hello) -> Result<Self, End> {
        let now_ms = hub.app.now_ms();
        let who = match hub.app.auth.verify_access(&hello.token, now_ms) {
            Ok(who) => who,
            Err(TokenError::Store(error)) => return Err(End::Failed(error.into())),
            Err(other) => return Err(End::Say(wire(WireCode::Token, &other.to_string()))),
        };
        let (session, welcome) = match Session::open(&hub.app.company, who.device, hello, now_ms)? {
            Ok(opened) => opened,
            Err(refused) => return Err(End::Say(refused)),
        };
        if session.principal().person.user != who.user {
            return Err(End::Say(wire(WireCode::Device, "this device belongs to somebody else")));
        }
        let (tell, told) = unbounded_channel();
        Ok(Self {
            hub: hub.clone(),
            session,
            token_ends: Instant::now()
                + Duration::from_millis((who.expires_ms - now_ms).max(0).unsigned_abs()),
            out: vec![welcome],
            has_more: true,
            over: false,
            closing: None,
            heard: Instant::now(),
            pinged: false,
            // It is entered under its number before it takes a push.
            reply: Reply { session: 0, tell },
            told,
        })
    }

    fn handle(&mut self, messages: Vec<FromPhone>) -> Result<(), End> {
        let now_ms = self.hub.app.now_ms();
        for message in messages {
            let company = &self.hub.app.company;
            let effects = match message {
                // Reads nothing, and comes most often.
                FromPhone::Push(_) => self.session.receive(company, message, now_ms),
                _ => block_in_place(|| self.session.receive(company, message, now_ms)),
            }?;
            self.carry_out(effects)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), End> {
        for effect in effects {
            match effect {
                Effect::Send(messages) => self.out.extend(messages),
                Effect::Push(incoming) => {
                    if self.hub.gatekeeper.push(incoming, self.reply.clone()).is_err() {
                        return Err(End::Say(wire(
                            WireCode::Unavailable,
                            "the server is overloaded; come back later",
                        )));
                    }
                }
                // Nobody waits for it, and the next one says the same: a full queue may drop it.
                Effect::Commit(batch) => drop(self.hub.committer.try_submit(batch, Box::new(|_| {}))),
                Effect::Return(returned) => {
                    let app = &self.hub.app;
                    let touched = block_in_place(|| app.company.take_back(&returned, app.now_ms()))?;
                    self.hub.wake(&touched);
                }
                Effect::Pump => self.has_more = true,
                // What was answered goes first.
                Effect::Close(error) => self.closing = self.closing.take().or(Some(error)),
                Effect::Wipe => {
                    let (app, device) = (&self.hub.app, self.session.device());
                    // A stolen phone stays stolen: it is never heard again.
                    if self.session.principal().status == DeviceStatus::Revoked {
                        let touched = block_in_place(|| {
                            app.company.set_device_status(device, DeviceStatus::Wiped, app.now_ms())
                        })?;
                        self.hub.wake(&touched);
                    }
                    self.out.push(FromServer::Wipe);
                    self.over = true;
                }
            }
        }
        Ok(())
    }

    /// Whether something has come that ends this connection. A long catch-up must not outlive it.
    fn is_ending(&self, bell: &Bell) -> bool {
        bell.leave.load(Ordering::Acquire)
            || bell.replaced.load(Ordering::Acquire)
            || *self.hub.app.stopping.borrow()
            || Instant::now() >= self.token_ends
    }

    /// Sends what waits, then as much news as there is; the socket's own pace is the backpressure.
    async fn send_all(&mut self, socket: &mut WebSocket, bell: &Bell) -> Result<(), End> {
        loop {
            if self.has_more && self.out.len() < BATCH_MESSAGES && !self.is_ending(bell) {
                let hub = self.hub.clone();
                match block_in_place(|| self.session.pump(&hub.app.company, limits::FRAME_TARGET_BYTES))? {
                    Some(messages) => self.out.extend(messages),
                    None => self.has_more = false,
                }
            }
            if self.out.is_empty() {
                return Ok(());
            }
            for frame in frames(std::mem::take(&mut self.out)) {
                send(socket, Message::Binary(frame.into())).await?;
            }
            self.out = Vec::new();
            // Answers must not wait behind a long catch-up, and a phone that was reported stolen gets no further page.
            if !self.has_more || !self.told.is_empty() || self.is_ending(bell) {
                return Ok(());
            }
        }
    }
}

/// Keeps a session on the hub's list for as long as it lives.
struct Entered {
    hub: Arc<Hub>,
    id: u64,
    session_device: fieldbook_core::ids::DeviceId,
    channels: BTreeSet<Channel>,
    bell: Arc<Bell>,
}

impl Entered {
    fn new(hub: &Arc<Hub>, session: &Session) -> Self {
        let channels = session.channels();
        let (id, bell) = hub.enter(session.device(), &channels);
        Self { hub: hub.clone(), id, session_device: session.device(), channels, bell }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.hub.leave(self.id, self.session_device, &self.channels);
    }
}

/// Returns when the server stops.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // A sender that is gone is a server that is gone.
    let _ = stopping.wait_for(|stop| *stop).await.is_ok();
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), End> {
    match timeout(SEND, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Gone),
    }
}

fn decode(frame: &[u8]) -> Result<Vec<FromPhone>, End> {
    decode_frame(frame).map_err(|e| End::Say(wire(WireCode::Malformed, &e.to_string())))
}

/// What came is no websocket message, or far too large, or the line broke; whoever still listens hears it.
fn unreadable() -> End {
    End::Say(wire(WireCode::Malformed, "no websocket message, or one beyond the bound"))
}

fn changed() -> WireError {
    wire(WireCode::Resubscribe, "what this phone may hold has changed")
}

/// A phone that hears this waits before it comes again, so that two copies of one phone do not drive each other out without a pause.
fn replaced() -> WireError {
    wire(WireCode::Unavailable, "this device has connected anew; this connection is over")
}

fn undecided() -> WireError {
    wire(WireCode::Unavailable, "the push could not be decided; come back later")
}

/// The phone keeps such a push in its outbox: nothing is lost, whatever becomes of the document meanwhile.
fn no_room() -> WireError {
    wire(
        WireCode::Unavailable,
        "as much work of this device is held as may be; somebody has to decide on it first",
    )
}

fn wire(code: WireCode, detail: &str) -> WireError {
    WireError { code, detail: detail.to_owned() }
}

/// How long a connection may take to say hello.
const HELLO: Duration = Duration::from_secs(10);
/// How long one frame may take to leave: a phone that takes longer is gone.
const SEND: Duration = Duration::from_secs(30);
/// Silence after which the server asks whether the phone is still there.
const PING: Duration = Duration::from_secs(45);
/// Silence after which it is gone.
const SILENCE: Duration = Duration::from_secs(90);
/// A message up to this length is read, so that whoever went beyond the bound is told so: a connection that ends over bytes nobody read
/// takes the answer with it.
const HEARD_MAX_BYTES: usize = 2 * limits::FRAME_MAX_BYTES;
/// Read buffer of a connection: an idle phone costs this, and little more.
const BUFFER_BYTES: usize = 4 << 10;
/// Messages waiting to be framed beside a page of news.
const BATCH_MESSAGES: usize = 64;

#[cfg(test)]
mod tests {
    use fieldbook_core::ids::DocId;
    use fieldbook_core::sync::message::{HoldReason, Verdict};

    use super::*;

    #[test]
    fn nothing_is_heard_behind_a_push_that_got_no_answer() {
        let verdict = Verdict::Held { reason: HoldReason::Suffix };
        let answer = |id| Answer { id, doc: DocId([2; 16]), verdict: verdict.clone() };
        for (without, code) in [(Told::NoRoom, no_room()), (Told::Failed, undecided())] {
            let (tell, mut told) = unbounded_channel();
            for one in [Told::Answers(vec![answer(2)]), without, Told::Answers(vec![answer(4)])] {
                tell.send(one).unwrap();
            }
            let (heard, end) = gather(vec![answer(1)], &mut told);
            assert_eq!((heard, end), (vec![answer(1), answer(2)], Some(code)));
        }
        let (_tell, mut told) = unbounded_channel();
        assert_eq!(gather(vec![answer(1)], &mut told), (vec![answer(1)], None));
    }

    #[tokio::test]
    async fn a_connection_that_only_pings_ends_when_its_time_is_over() {
        let ping = || async { Some((Ok::<_, ()>(Message::Ping(Bytes::new())), ())) };
        let mut pings = Box::pin(futures_util::stream::unfold((), |()| ping()));
        let end = first_frame(&mut pings, Instant::now() + Duration::from_millis(20)).await;
        assert!(matches!(end, Err(End::Say(error)) if error.code == WireCode::OutOfOrder));
        let hello = Message::Binary(Bytes::from_static(b"hello"));
        let mut socket = futures_util::stream::iter([Ok::<_, ()>(Message::Pong(Bytes::new())), Ok(hello)]);
        assert!(first_frame(&mut socket, Instant::now() + HELLO).await.is_ok_and(|frame| frame == "hello"));
    }
}
