//! The phone's end of one connection, as a pure state machine: clocks and messages in, messages out. The shell (the device's websocket
//! task, or the simulated world) sends what [`Link`] gives and feeds back what arrives.
//!
//! The outbox rides behind the handshake without waiting for it. The phone tells the server what it knows (an ack) only when everything
//! that it had made before is answered, so that work done in ignorance of a move is never mistaken for work done in spite of it.

use std::collections::BTreeSet;

use crate::ids::DocId;
use crate::limits;
use crate::replica::{Applied, Arrival, Replica, ReplicaError};
use crate::store::Position;
use crate::sync::message::{FromPhone, FromServer, Hello, VERSIONS, WireError};
use crate::time::Moment;

/// One connection.
#[derive(Debug)]
pub struct Link {
    greeted: Option<Moment>,
    welcomed: bool,
    /// Highest outbox number that was sent on this connection.
    sent: u64,
    /// Pushes sent and not answered.
    in_flight: Vec<(u64, DocId, usize)>,
    /// Documents asked for that have not come.
    asked: BTreeSet<DocId>,
    /// The highest outbox number there was when the cursor last moved: only when all up to it are answered may the cursor be
    /// acknowledged.
    barrier: u64,
    stored: Position,
    acked: Position,
    quarantine_only: bool,
    said_done: bool,
    /// Evidence has to reach the server before the phone says that it is done.
    farewell_waits: bool,
    report: SyncReport,
}

/// What a connection has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SyncReport {
    /// Changes that became durable on the server.
    pub durable: u64,
    /// Changes that the server did not merge.
    pub aside: u64,
    /// Documents that changed on the phone.
    pub changed: u64,
    /// Documents that were wiped.
    pub wiped: u64,
    /// Messages that were sent.
    pub messages_up: u64,
    /// Messages that came.
    pub messages_down: u64,
    /// Whether the server wiped this phone.
    pub wiped_all: bool,
}

/// What came of a frame.
#[derive(Debug, Default)]
pub struct Turn {
    /// What to send next, in order.
    pub send: Vec<FromPhone>,
    /// What changed on the phone.
    pub applied: Applied,
    /// The server closes the connection, and why.
    pub closed: Option<WireError>,
}

impl Link {
    /// A new connection, not greeted yet.
    pub fn new() -> Self {
        Self {
            greeted: None,
            welcomed: false,
            sent: 0,
            in_flight: Vec::new(),
            asked: BTreeSet::new(),
            barrier: 0,
            stored: 0,
            acked: 0,
            quarantine_only: false,
            said_done: false,
            farewell_waits: false,
            report: SyncReport::default(),
        }
    }

    /// The first flight: the hello, and as much of the outbox as fits behind it.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn open(
        &mut self,
        replica: &Replica,
        token: &str,
        agent: &str,
        now: Moment,
    ) -> Result<Vec<FromPhone>, ReplicaError> {
        self.greeted = Some(now);
        let row = replica.sync_row();
        let hello = Hello {
            versions: VERSIONS,
            token: token.to_owned(),
            incarnation: row.incarnation,
            pushed: replica.pushed(),
            epoch: row.epoch,
            cursor: row.cursor,
            channels: row.channels.clone(),
            boot: now.boot,
            mono_ms: now.mono_ms,
            wall_ms: now.wall_ms,
            agent: agent.to_owned(),
        };
        self.barrier = replica.pushed();
        let mut out = vec![FromPhone::Hello(hello)];
        out.extend(self.pushes(replica)?);
        self.report.messages_up += out.len() as u64;
        Ok(out)
    }

    /// Takes one frame of the server, stores it, and gives what to send next.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn receive(
        &mut self,
        replica: &mut Replica,
        messages: Vec<FromServer>,
        now: Moment,
    ) -> Result<Turn, ReplicaError> {
        let mut turn = Turn::default();
        self.report.messages_down += messages.len() as u64;
        for message in &messages {
            match message {
                FromServer::Welcome(welcome) => {
                    let sent = self.greeted.unwrap_or(now);
                    let returns = replica.take_welcome(welcome, Arrival { sent, received: now })?;
                    turn.send.extend(returns.into_iter().map(FromPhone::Return));
                    if welcome.fallback.is_some() {
                        // That was all: the server reads the pushes behind the hello only now, and sends nothing before.
                        turn.send.push(FromPhone::Ack(0));
                    }
                    self.quarantine_only = welcome.quarantine_only;
                    self.welcomed = true;
                }
                FromServer::Error(error) => turn.closed = Some(error.clone()),
                FromServer::Answer(answer) => {
                    self.in_flight.retain(|(id, doc, _)| (*id, *doc) != (answer.id, answer.doc));
                }
                _ => {}
            }
        }
        turn.applied = replica.take(&messages, replica.now_ms(now))?;
        let applied = &turn.applied;
        self.report.durable += applied.durable as u64;
        self.report.aside += applied.aside as u64;
        self.report.changed += applied.changed.len() as u64;
        self.report.wiped += applied.wiped.len() as u64;
        self.report.wiped_all |= applied.wiped_all;
        if applied.wiped_all || turn.closed.is_some() {
            return Ok(turn);
        }
        turn.send.extend(self.fetches(replica, &applied.fetch));
        if let Some(at) = applied.caught_up {
            self.stored = self.stored.max(at);
            self.barrier = replica.pushed();
        }
        turn.send.extend(self.pushes(replica)?);
        turn.send.extend(self.ack(replica)?);
        self.report.messages_up += turn.send.len() as u64;
        Ok(turn)
    }

    /// What to send after the app made an edit.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn edited(&mut self, replica: &Replica) -> Result<Vec<FromPhone>, ReplicaError> {
        if !self.welcomed {
            return Ok(Vec::new());
        }
        let out = self.pushes(replica)?;
        self.report.messages_up += out.len() as u64;
        Ok(out)
    }

    /// Whether the phone has everything and the server has everything.
    pub fn is_settled(&self, replica: &Replica) -> bool {
        let full = replica.sync_row().channels.iter().all(|s| s.fill == crate::sync::message::Fill::Complete);
        self.welcomed
            && self.in_flight.is_empty()
            && replica.unanswered() == 0
            && replica.wanted().is_empty()
            && full
            && self.stored > 0
            && self.acked == self.stored
    }

    /// Keeps a revoked phone from saying that it is done until [`Link::farewell`]: its evidence is not on the server yet, and the wipe
    /// that follows would destroy it.
    pub fn delay_farewell(&mut self) {
        self.farewell_waits = true;
    }

    /// Whether a revoked phone has only its evidence left to hand over.
    pub fn is_leaving(&self, replica: &Replica) -> bool {
        self.quarantine_only && !self.said_done && replica.unanswered() == 0 && self.in_flight.is_empty()
    }

    /// The evidence is on the server: what to send now.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn farewell(&mut self, replica: &Replica) -> Result<Vec<FromPhone>, ReplicaError> {
        self.farewell_waits = false;
        Ok(self.ack(replica)?.into_iter().collect())
    }

    /// What the connection has done so far.
    pub fn report(&self) -> &SyncReport {
        &self.report
    }

    /// Asks for the documents that the phone wants whole, a bounded number at once. Those `anew` came, but not as they should.
    fn fetches(&mut self, replica: &Replica, anew: &BTreeSet<DocId>) -> Vec<FromPhone> {
        self.asked.retain(|doc| replica.wanted().contains(doc) && !anew.contains(doc));
        if !self.welcomed || self.quarantine_only {
            return Vec::new();
        }
        let room = FETCHES_AHEAD.saturating_sub(self.asked.len());
        let next: Vec<DocId> =
            replica.wanted().iter().filter(|doc| !self.asked.contains(doc)).take(room).copied().collect();
        self.asked.extend(&next);
        next.into_iter().map(FromPhone::Fetch).collect()
    }

    fn pushes(&mut self, replica: &Replica) -> Result<Vec<FromPhone>, ReplicaError> {
        let room = PUSHES_AHEAD.saturating_sub(self.in_flight.len());
        if room == 0 || replica.unanswered() == 0 {
            return Ok(Vec::new());
        }
        let sent: usize = self.in_flight.iter().map(|(.., bytes)| bytes).sum();
        let bytes = PUSH_BYTES_AHEAD.saturating_sub(sent).min(limits::FRAME_MAX_BYTES / 2);
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let pushes = replica.pushes(self.sent, room, bytes)?;
        for push in &pushes {
            self.sent = self.sent.max(push.id);
            self.in_flight.push((push.id, push.doc, push.bytes()));
        }
        Ok(pushes.into_iter().map(FromPhone::Push).collect())
    }

    fn ack(&mut self, replica: &Replica) -> Result<Option<FromPhone>, ReplicaError> {
        if self.quarantine_only {
            let done = self.is_leaving(replica) && !self.farewell_waits;
            self.said_done |= done;
            return Ok(done.then_some(FromPhone::Ack(0)));
        }
        let answered_before = replica.oldest_unanswered()?.is_none_or(|oldest| oldest > self.barrier);
        if self.stored > self.acked && answered_before {
            self.acked = self.stored;
            return Ok(Some(FromPhone::Ack(self.stored)));
        }
        Ok(None)
    }
}

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}

/// Pushes that a phone keeps unanswered: half of what the server allows, so that two never disagree about the bound.
const PUSHES_AHEAD: usize = limits::PUSHES_IN_FLIGHT / 2;
/// Their bytes: half, too.
const PUSH_BYTES_AHEAD: usize = limits::PUSH_BYTES_IN_FLIGHT / 2;
/// Documents that a phone asks for at once.
const FETCHES_AHEAD: usize = 64;
