//! The one task that talks to the server: it connects when somebody wants it, waits between attempts, and answers who asked for a round.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};

use super::backoff::Patience;
use super::connection;
use crate::error::Error;
use crate::listen::Change;
use crate::records::{Network, SyncReport};
use crate::shared::{Shared, lock};

/// What the app wants of the connection, and what the connection tells the app.
#[derive(Default)]
pub(crate) struct Engine {
    wishes: Mutex<Wishes>,
    /// The wishes changed.
    pub wake: Notify,
    /// The app made an edit.
    pub edited: Notify,
}

#[derive(Default)]
struct Wishes {
    background: bool,
    stopping: bool,
    network: Network,
    rounds: Vec<Round>,
    online: bool,
    last_error: Option<Error>,
}

/// Somebody waits for a round of sync.
pub(crate) type Round = oneshot::Sender<Result<SyncReport, Error>>;

/// How a connection ended without a failure.
pub(super) enum End {
    /// Nobody wants it any longer.
    Done,
    /// The app asked for a round while it stood: a fresh one is to say for certain.
    Fresh,
    /// The server wants another one at once.
    Again,
}

enum Next {
    Stop,
    Rest,
    Connect,
}

impl Engine {
    /// Asks for a round; the answer comes through the receiver, which may be dropped.
    pub fn ask_round(&self) -> Result<oneshot::Receiver<Result<SyncReport, Error>>, Error> {
        let (reply, answer) = oneshot::channel();
        let mut wishes = lock(&self.wishes);
        wishes.rounds.retain(|round| !round.is_closed());
        if wishes.rounds.len() >= ROUNDS_MAX {
            return Err(Error::Invalid("too many calls of sync_now wait at once".into()));
        }
        wishes.rounds.push(reply);
        drop(wishes);
        self.wake.notify_one();
        Ok(answer)
    }

    /// Wants, or no longer wants, a standing connection.
    pub fn set_background(&self, wanted: bool) {
        lock(&self.wishes).background = wanted;
        self.wake.notify_one();
    }

    /// What the app says of the network.
    pub fn set_network(&self, network: Network) {
        lock(&self.wishes).network = network;
        self.wake.notify_one();
        self.edited.notify_one();
    }

    /// What the app said of the network.
    pub fn network(&self) -> Network {
        lock(&self.wishes).network
    }

    /// Ends the task.
    pub fn stop(&self) {
        lock(&self.wishes).stopping = true;
        self.wake.notify_one();
    }

    /// Whether a standing connection is wanted, whether there is one, and why not.
    pub fn state(&self) -> (bool, bool, Option<Error>) {
        let wishes = lock(&self.wishes);
        (wishes.background, wishes.online, wishes.last_error.clone())
    }

    /// Looks again at what is wanted: a caller of a round has gone.
    pub fn nudge(&self) {
        self.wake.notify_one();
    }

    pub(super) fn set_online(&self, online: bool) {
        let mut wishes = lock(&self.wishes);
        wishes.online = online;
        if online {
            wishes.last_error = None;
        }
    }

    /// Whether a connection is to stay without a round.
    pub(super) fn stays(&self) -> bool {
        let wishes = lock(&self.wishes);
        wishes.background && !wishes.stopping && wishes.network != Network::Offline
    }

    pub(super) fn is_stopping(&self) -> bool {
        lock(&self.wishes).stopping
    }

    pub(super) fn has_rounds(&self) -> bool {
        let mut wishes = lock(&self.wishes);
        wishes.rounds.retain(|round| !round.is_closed());
        !wishes.rounds.is_empty()
    }

    /// Returns when nobody wants the connection that is being made for `rounds`.
    pub(super) async fn unwanted(&self, rounds: &mut Vec<Round>) {
        loop {
            rounds.retain(|round| !round.is_closed());
            if self.is_stopping() || (rounds.is_empty() && !self.has_rounds() && !self.stays()) {
                return;
            }
            self.wake.notified().await;
        }
    }

    fn take_rounds(&self) -> Vec<Round> {
        let mut rounds = std::mem::take(&mut lock(&self.wishes).rounds);
        rounds.retain(|round| !round.is_closed());
        rounds
    }

    fn next(&self) -> Next {
        if self.is_stopping() {
            Next::Stop
        } else if self.has_rounds() || self.stays() {
            Next::Connect
        } else {
            Next::Rest
        }
    }

    /// Waits out a pause between attempts; a round, the end, or news of the network cut it short.
    async fn pause(&self, length: std::time::Duration) {
        let network = self.network();
        let over = sleep(length);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return,
                () = self.wake.notified() => {
                    if self.is_stopping() || self.has_rounds() || self.network() != network || !self.stays() {
                        return;
                    }
                }
            }
        }
    }
}

/// Runs until [`Engine::stop`].
pub(crate) async fn run(shared: Arc<Shared>) {
    let engine = &shared.engine;
    let mut patience = Patience::default();
    loop {
        match engine.next() {
            Next::Stop => break,
            Next::Rest => {
                engine.wake.notified().await;
                continue;
            }
            Next::Connect => {}
        }
        let mut rounds = engine.take_rounds();
        let began = Instant::now();
        let end = connection::hold(&shared, &mut rounds).await;
        let was_online = engine.state().1;
        engine.set_online(false);
        patience.ended(was_online.then(|| began.elapsed()));
        let end = match end {
            Ok(End::Again) if !patience.again() => {
                Err(Error::Offline("the server sends this phone away again and again".into()))
            }
            other => other,
        };
        match end {
            Ok(End::Done) => patience.done(),
            Ok(End::Fresh) => {
                patience.done();
                lock(&engine.wishes).rounds.extend(rounds);
            }
            Ok(End::Again) => lock(&engine.wishes).rounds.extend(rounds),
            Err(error) => {
                tracing::debug!(code = error.code(), "a connection failed");
                for round in rounds {
                    let _ = round.send(Err(error.clone()));
                }
                {
                    let mut wishes = lock(&engine.wishes);
                    wishes.background &= !error.is_final();
                    wishes.last_error = Some(error);
                }
                shared.notifier.tell([Change::Status]);
                if engine.stays() {
                    let dice = u64::from_be_bytes(first8(shared.entropy.seed()));
                    engine.pause(patience.failed(dice)).await;
                } else {
                    patience = Patience::default();
                }
                continue;
            }
        }
        if was_online {
            shared.notifier.tell([Change::Status]);
        }
    }
    for round in engine.take_rounds() {
        let _ = round.send(Err(Error::Closed));
    }
}

/// Waits for an answer; whoever stops waiting is forgotten at once.
pub(crate) async fn within<T>(
    limit: std::time::Duration,
    what: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    timeout(limit, what).await.unwrap_or(Err(Error::TimedOut(limit_ms)))
}

fn first8(seed: [u8; 32]) -> [u8; 8] {
    let mut first = [0u8; 8];
    first.copy_from_slice(&seed[..8]);
    first
}

/// Threads of one app that wait for a round at once.
const ROUNDS_MAX: usize = 64;
