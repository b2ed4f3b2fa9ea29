//! The server's end of one connection, as a pure state machine: messages in, effects out. The shell (a websocket task, or the simulated
//! world) carries out the effects and calls [`Session::pump`] whenever it can send more.
//!
//! Catching up and staying live are one thing: the session reads the log behind its cursor. A phone that lags is simply further behind.

use std::collections::{BTreeSet, VecDeque};

use crate::access::Channel;
use crate::company::{Company, CompanyError, DeviceStatus, Incoming, Principal, View};
use crate::document::claimed_checksum;
use crate::ids::{DeviceId, DocId};
use crate::limits;
use crate::store::{Batch, Position};
use crate::sync::message::{
    Answer, FromPhone, FromServer, Hello, Push, RefuseCode, Return, Verdict, WireCode, WireError,
};

/// What the shell has to do.
#[derive(Debug)]
pub enum Effect {
    /// Send these, in order.
    Send(Vec<FromServer>),
    /// Put this through the gate and give the answer to [`Session::answered`].
    Push(Box<Incoming>),
    /// Take this back into a restored server, before the phone's next message is received.
    Return(Box<Return>),
    /// There is more to send: call [`Session::pump`] again.
    Pump,
    /// Commit this; nobody waits for it.
    Commit(Batch),
    /// Send this and close.
    Close(WireError),
    /// The phone has been heard for the last time: send the wipe, close, and let the office know.
    Wipe,
}

/// One connection that was greeted.
#[derive(Debug)]
pub struct Session {
    principal: Principal,
    view: View,
    cursor: Position,
    /// The end of the log when the phone was greeted.
    greeted_at: Position,
    announced: Option<Position>,
    /// The documents of the pushes that are being judged, one entry a push.
    judging: Vec<DocId>,
    /// Every push that has no answer yet.
    open: Vec<Open>,
    /// Pushes that wait for others of this session: a lead's table for the lead itself, which may be as new.
    waiting: VecDeque<Push>,
    /// Whole documents that the phone asked for.
    wanted: BTreeSet<DocId>,
    /// Whether anything may have changed since the log was last read to its end.
    news: bool,
    /// How many answers to this session's own pushes came since. The phone has what they say: they are read past when it pauses.
    own_news: usize,
    heard: bool,
    /// What a revoked device has brought so far.
    farewell_bytes: usize,
    /// The phone is giving back what this restored server lost. Until it has, its pushes may build on what is not there yet, and what
    /// is sent to it might be less than it has.
    returning: bool,
    /// The first parts of what it gives back.
    gathered: Option<Return>,
}

/// A push that has no answer yet.
#[derive(Debug)]
struct Open {
    id: u64,
    doc: DocId,
    bytes: usize,
    /// The checksums of its changes.
    checksums: Vec<[u8; 4]>,
}

impl Open {
    fn of(push: &Push) -> Self {
        let checksums = push.changes.iter().filter_map(|change| claimed_checksum(change)).collect();
        Self { id: push.id, doc: push.doc, bytes: push.bytes(), checksums }
    }
}

impl Session {
    /// Greets a phone whose token named `device`. Gives the session and what to send first.
    ///
    /// # Errors
    /// The inner error is the answer to the phone; the outer one is the store's.
    pub fn open(
        company: &Company,
        device: DeviceId,
        hello: &Hello,
        now_ms: i64,
    ) -> Result<Result<(Self, FromServer), WireError>, CompanyError> {
        let greeting = match company.greet(device, hello, now_ms)? {
            Ok(greeting) => greeting,
            Err(refused) => return Ok(Err(refused)),
        };
        let view = View { channels: greeting.channels, device, own: BTreeSet::new() };
        let session = Self {
            returning: greeting.welcome.fallback.is_some(),
            principal: greeting.principal,
            view,
            cursor: greeting.cursor,
            greeted_at: greeting.head,
            announced: None,
            judging: Vec::new(),
            open: Vec::new(),
            waiting: VecDeque::new(),
            wanted: BTreeSet::new(),
            news: true,
            own_news: 0,
            heard: false,
            farewell_bytes: 0,
            gathered: None,
        };
        Ok(Ok((session, FromServer::Welcome(greeting.welcome))))
    }

    /// The device at the other end.
    pub fn device(&self) -> DeviceId {
        self.principal.device
    }

    /// Who is at the other end.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The channels whose news concern this session.
    pub fn channels(&self) -> BTreeSet<Channel> {
        self.view.channels.keys().copied().collect()
    }

    /// Pushes that wait for their answer.
    pub fn unanswered(&self) -> usize {
        self.judging.len() + self.waiting.len()
    }

    /// Takes one message of the phone.
    ///
    /// # Errors
    /// [`CompanyError`] of the store; whatever is wrong with the message is an effect.
    pub fn receive(
        &mut self,
        company: &Company,
        message: FromPhone,
        now_ms: i64,
    ) -> Result<Vec<Effect>, CompanyError> {
        let close =
            |code, detail: &str| Ok(vec![Effect::Close(WireError { code, detail: detail.to_owned() })]);
        match message {
            FromPhone::Hello(_) => close(WireCode::OutOfOrder, "a second hello"),
            // Reported stolen, or wiped already: nothing that it says is kept.
            FromPhone::Push(_)
                if matches!(self.principal.status, DeviceStatus::Stolen | DeviceStatus::Wiped) =>
            {
                Ok(vec![Effect::Wipe])
            }
            FromPhone::Push(push) => {
                if self.is_leaving() {
                    self.farewell_bytes += push.changes.iter().map(|change| change.len()).sum::<usize>();
                    if self.farewell_bytes > limits::FAREWELL_MAX_BYTES {
                        return close(WireCode::TooMany, "more than an outbox ever held");
                    }
                }
                if self.unanswered() >= limits::PUSHES_IN_FLIGHT {
                    return close(WireCode::TooMany, "too many unanswered pushes");
                }
                let held: usize = self.open.iter().map(|open| open.bytes).sum();
                if held + push.bytes() > limits::PUSH_BYTES_IN_FLIGHT {
                    return close(WireCode::TooMany, "too many bytes of unanswered pushes");
                }
                self.open.push(Open::of(&push));
                self.waiting.push_back(push);
                Ok(self.judge_next())
            }
            FromPhone::Ack(_) if self.is_leaving() => {
                self.heard = true;
                Ok(if self.unanswered() == 0 { vec![Effect::Wipe] } else { Vec::new() })
            }
            FromPhone::Ack(_) if self.returning => {
                self.returning = false;
                let mut effects = self.judge_next();
                effects.push(Effect::Pump);
                Ok(effects)
            }
            FromPhone::Ack(at) => {
                self.principal.acked = self.principal.acked.max(at.min(self.cursor));
                let batch = company.plan_ack(self.principal.device, at, now_ms)?;
                Ok(batch.into_iter().map(Effect::Commit).collect())
            }
            FromPhone::Fetch(_) if self.is_leaving() => Ok(Vec::new()),
            FromPhone::Fetch(doc) => {
                self.wanted.insert(doc);
                if self.wanted.len() > limits::FETCHES_MAX {
                    return close(WireCode::TooMany, "too many documents asked for");
                }
                Ok(vec![Effect::Pump])
            }
            FromPhone::Return(_) if self.is_leaving() => Ok(Vec::new()),
            FromPhone::Return(_) if !self.returning => {
                close(WireCode::OutOfOrder, "nothing is to be returned")
            }
            FromPhone::Return(part) => {
                Ok(self.gather(part).map(|whole| Effect::Return(Box::new(whole))).into_iter().collect())
            }
        }
    }

    /// Puts together what comes in several messages. A document with more changes than a restored server takes back is passed over: it stays
    /// on the phones that have it.
    fn gather(&mut self, part: Return) -> Option<Return> {
        let is_last = part.parts_behind.unwrap_or(0) == 0;
        let mut whole = Return { parts_behind: None, ..part };
        if let Some(before) = self.gathered.take().filter(|before| before.doc == whole.doc) {
            whole.changes.splice(..0, before.changes);
        }
        let bytes: usize = whole.changes.iter().map(|change| change.len()).sum();
        if bytes > limits::RETURN_MAX_BYTES {
            return None;
        }
        if is_last {
            return Some(whole);
        }
        self.gathered = Some(whole);
        None
    }

    /// The answers of pushes that went through the gate.
    pub fn answered(&mut self, answers: Vec<Answer>) -> Vec<Effect> {
        for answer in &answers {
            if let Some(at) = self.judging.iter().position(|doc| *doc == answer.doc) {
                self.judging.remove(at);
            }
            let is_answered = |open: &Open| (open.id, open.doc) == (answer.id, answer.doc);
            let open = self.open.iter().position(is_answered).map(|at| self.open.remove(at));
            match answer.verdict {
                // What was known already may stand further back, and the position be that of somebody else's change: therefore the
                // checksums.
                Verdict::Durable { at, .. } if at > self.greeted_at.max(self.cursor) => {
                    let checksums = open.map(|open| open.checksums).unwrap_or_default();
                    self.view.own.extend(checksums.into_iter().map(|checksum| (at, checksum)));
                    self.own_news += 1;
                }
                Verdict::Durable { .. } => {}
                // Late work that is held may be of a document that the phone is to let go.
                Verdict::Held { .. } | Verdict::Refused { .. } => self.own_news += 1,
            }
        }
        // Hostile bytes cost their sender the connection (design decision 5); the answer goes first, so that an honest phone with a
        // damaged store sets the change aside and comes back without it.
        let hostile = |answer: &Answer| {
            matches!(
                answer.verdict,
                Verdict::Refused { code: RefuseCode::Malformed | RefuseCode::NotYourActor, .. }
            )
        };
        let close = answers.iter().any(hostile).then(|| {
            Effect::Close(WireError {
                code: WireCode::Malformed,
                detail: "a push that no phone of ours makes".into(),
            })
        });
        let mut effects = vec![Effect::Send(answers.into_iter().map(FromServer::Answer).collect())];
        effects.extend(close);
        effects.extend(self.judge_next());
        if self.own_news > 0 && (self.unanswered() == 0 || self.own_news >= limits::OWN_NEWS_MAX) {
            self.news = true;
            effects.push(Effect::Pump);
        }
        if self.heard && self.unanswered() == 0 {
            effects.push(Effect::Wipe);
        }
        effects
    }

    /// The waiting pushes that no other stands before. Pushes to one document go in their order, and what is derived from a document
    /// after it: documents are judged apart from each other, and one whose parent is not there yet would be refused.
    fn judge_next(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.returning {
            return effects;
        }
        let mut later = VecDeque::new();
        for push in std::mem::take(&mut self.waiting) {
            let parent = push.origin.as_ref().and_then(|origin| DocId::from_slice(&origin.parent));
            let waits = parent.is_some_and(|parent| self.judging.contains(&parent))
                || later.iter().any(|before: &Push| before.doc == push.doc || Some(before.doc) == parent);
            if waits {
                later.push_back(push);
            } else {
                self.judging.push(push.doc);
                effects.push(Effect::Push(Box::new(Incoming { who: self.principal.clone(), push })));
            }
        }
        self.waiting = later;
        effects
    }

    /// Says that one of the session's channels may have news. Of its own pushes a session knows by their answers.
    pub fn wake(&mut self) {
        self.news = true;
    }

    /// The next portion to send, about `budget_bytes`; `None` when the phone has everything.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn pump(
        &mut self,
        company: &Company,
        budget_bytes: usize,
    ) -> Result<Option<Vec<FromServer>>, CompanyError> {
        if self.is_leaving() || self.returning {
            return Ok(None);
        }
        if let Some(doc) = self.wanted.pop_first() {
            return Ok(Some(vec![company.fetch(&self.view, doc)?]));
        }
        if self.news {
            let page = company.news(&self.view, self.cursor, budget_bytes)?;
            self.news = page.more;
            if !page.more {
                self.own_news = 0;
            }
            self.cursor = page.cursor;
            self.view.own = self.view.own.split_off(&(self.cursor + 1, [0; 4]));
            let mut messages = page.messages;
            if self.announced != Some(self.cursor) {
                messages.push(FromServer::CaughtUp(self.cursor));
                self.announced = Some(self.cursor);
            }
            if !messages.is_empty() {
                return Ok(Some(messages));
            }
        }
        company.fill(&mut self.view, self.cursor, budget_bytes)
    }

    fn is_leaving(&self) -> bool {
        self.principal.status != DeviceStatus::Active
    }
}
