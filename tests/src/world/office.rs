//! The server's process: sessions, the gate's queue, the committer, and what becomes of them when its disk or its power fails.
//! It does what the server's shell does (one batch in flight a document, answers after the flush, sessions woken by channel).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use fieldbook_core::access::Channel;
use fieldbook_core::company::{
    Company, CompanyError, DeviceStatus, Gate, Incoming, LocalGate, Prepared, Settled, TeamRow, UserRow,
};
use fieldbook_core::ids::{DeviceId, DocId, UserId};
use fieldbook_core::store::{Batch, Outcome, Position, Store};
use fieldbook_core::sync::message::{FromPhone, FromServer, decode_frame};
use fieldbook_core::sync::server::{Effect, Session};
use fieldbook_engines::faults::{Dice, FaultyStore, Snapshot};

use super::{Event, Leaving, REGION, Step, T0, TEAMS, Violation, Way, World, people, user, violated};

/// The server and what its process has in memory.
pub(super) struct Office {
    pub store: Arc<FaultyStore>,
    /// `None` while the process is down.
    pub company: Option<Company>,
    pub gate: LocalGate,
    pub sessions: BTreeMap<u64, Session>,
    pub leaving: Leaving,
    pub pumping: BTreeSet<u64>,
    waiting: BTreeMap<DocId, VecDeque<Waiting>>,
    writing: BTreeSet<DocId>,
    queue: Vec<Planned>,
    judging: bool,
    flushing: bool,
    /// Copies of the disk, each with the time of its making.
    pub backups: Vec<(i64, Snapshot)>,
    /// What was decided about devices, kept outside the backups (design decision 6).
    pub tombstones: BTreeMap<DeviceId, DeviceStatus>,
    /// Of each device that was heard for the last time, by which phone: there may be copies of it.
    pub farewells: BTreeMap<DeviceId, usize>,
    /// Times that the store was restored, and when last.
    pub restores: u64,
    pub restored_ms: i64,
    /// Who left the company.
    pub dismissed: BTreeSet<UserId>,
    /// Held work that turned out to be beyond merging.
    pub refused: BTreeSet<String>,
    /// How far its clock is off.
    pub skew_ms: i64,
    /// The most that it was ever off, behind and ahead.
    pub skews_ms: (i64, i64),
}

struct Waiting {
    conn: u64,
    incoming: Incoming,
    tries: u32,
}

enum Planned {
    Pushes(Box<Prepared>, Vec<Waiting>),
    Noted(Batch),
}

impl Office {
    pub fn found(dice: &mut Dice) -> Self {
        let store = Arc::new(FaultyStore::new());
        let mut seed = [0; 64];
        seed.copy_from_slice(&dice.bytes(64));
        let company = Company::open(store.clone(), "智康", &seed).ok();
        Self {
            store,
            company,
            gate: LocalGate::new(if dice.one_in(2) { 0 } else { 8 }),
            sessions: BTreeMap::new(),
            leaving: BTreeSet::new(),
            pumping: BTreeSet::new(),
            waiting: BTreeMap::new(),
            writing: BTreeSet::new(),
            queue: Vec::new(),
            judging: false,
            flushing: false,
            backups: Vec::new(),
            tombstones: BTreeMap::new(),
            farewells: BTreeMap::new(),
            restores: 0,
            restored_ms: i64::MIN,
            dismissed: BTreeSet::new(),
            refused: BTreeSet::new(),
            skew_ms: 0,
            skews_ms: (0, 0),
        }
    }

    /// Puts everybody on the list.
    pub fn hire(&mut self) -> Step {
        let hire = || -> Result<(), CompanyError> {
            let Some(company) = &self.company else { return Ok(()) };
            let region =
                TeamRow { name: "华东".into(), parent: None, leaders: vec![user(super::REGIONAL)] };
            company.put_team(REGION, region, T0)?;
            for (n, team) in TEAMS.into_iter().enumerate() {
                let leaders = if n == 0 { vec![user(super::MANAGER)] } else { Vec::new() };
                company.put_team(
                    team,
                    TeamRow { name: format!("{n}组"), parent: Some(REGION), leaders },
                    T0,
                )?;
            }
            for (id, role, team) in people() {
                let row =
                    UserRow { name: format!("用户{}", id.0[0]), role, team: Some(team), active: true };
                company.put_user(id, row, T0)?;
            }
            Ok(())
        };
        hire().map_err(|e| Violation { invariant: "the_office_never_stumbles", detail: e.to_string() })
    }

    /// Makes sure that what was decided about people and phones is so: it is kept outside the backups, and whoever decided while the
    /// server died does it again.
    pub fn decide_again(&self, company: &Company, now_ms: i64) -> Result<BTreeSet<Channel>, CompanyError> {
        let mut touched = BTreeSet::new();
        for id in &self.dismissed {
            let row = company.user(*id)?;
            if row.active {
                touched.extend(company.put_user(*id, UserRow { active: false, ..row }, now_ms)?);
            }
        }
        for (device, status) in &self.tombstones {
            let known = match company.device(*device) {
                Ok(row) => row.status,
                Err(CompanyError::Unknown { .. }) => continue,
                Err(other) => return Err(other),
            };
            if known != *status && known != DeviceStatus::Wiped {
                touched.extend(company.set_device_status(*device, *status, now_ms)?);
            }
        }
        Ok(touched)
    }

    /// What a process has in memory is gone.
    fn forget_everything(&mut self) {
        self.company = None;
        self.gate = LocalGate::new(8);
        self.sessions.clear();
        self.leaving.clear();
        self.pumping.clear();
        self.waiting.clear();
        self.writing.clear();
        self.queue.clear();
        self.judging = false;
        self.flushing = false;
    }

    /// Whether nothing of this connection waits inside the server.
    pub fn is_quiet(&self, conn: u64) -> bool {
        self.waiting.is_empty()
            && self.queue.is_empty()
            && !self.pumping.contains(&conn)
            && !self.leaving.contains(&conn)
    }
}

impl World {
    /// Runs something of the company; a store that fails takes the process with it. `None`: the server is, or went, down.
    pub(super) fn office<T>(
        &mut self,
        work: impl FnOnce(&mut Office, &Company) -> Result<T, CompanyError>,
    ) -> Step<Option<T>> {
        let Some(company) = self.office.company.clone() else { return Ok(None) };
        match work(&mut self.office, &company) {
            Ok(done) => Ok(Some(done)),
            Err(CompanyError::Store(error)) => {
                self.tell(format!("the server stops: {error}"));
                self.server_down();
                Ok(None)
            }
            Err(other) => violated("the_office_never_stumbles", other.to_string()),
        }
    }

    /// The process dies; every connection with it.
    pub(super) fn server_down(&mut self) {
        self.tally.add("server crashes", 1);
        self.office.store.crash();
        self.office.forget_everything();
        for conn in self.net.whole() {
            self.snap(conn);
        }
        let later = 100 + self.dice.below(30_000);
        self.at(later, Event::ServerUp);
    }

    pub(super) fn server_up(&mut self) -> Step {
        if self.office.company.is_some() {
            return Ok(());
        }
        self.office.store.repair();
        self.office.store.restart();
        match Company::open(self.office.store.clone(), "", &[1; 64]) {
            Ok(company) => self.office.company = Some(company),
            Err(CompanyError::Store(_)) => {
                self.server_down();
                return Ok(());
            }
            Err(other) => return violated("the_office_never_stumbles", other.to_string()),
        }
        self.tell("the server starts");
        let now_ms = self.server_ms();
        self.office(|office, company| office.decide_again(company, now_ms))?;
        self.check_stored()
    }

    /// Puts an old copy of the disk in place, as a person would after losing the machine.
    pub(super) fn restore_server(&mut self, backup: usize) -> Step {
        let Some((made, snapshot)) = self.office.backups.get(backup).cloned() else { return Ok(()) };
        self.office.forget_everything();
        for conn in self.net.whole() {
            self.snap(conn);
        }
        // What dead phones were told before this moment counts as told.
        for n in 0..self.phones.len() {
            self.observe(n, &[])?;
        }
        self.office.store.repair();
        self.office.store.restore(snapshot);
        let now_ms = self.server_ms();
        let opened = Company::open(self.office.store.clone(), "", &[1; 64]);
        let restored = opened.and_then(|company| company.restored(now_ms));
        match restored {
            Ok(company) => self.office.company = Some(company),
            Err(CompanyError::Store(_)) => {
                // Whoever restores begins again when the machine fails on the way.
                self.office.store.restart();
                return self.restore_server(backup);
            }
            Err(other) => return violated("the_office_never_stumbles", other.to_string()),
        }
        self.office.restores += 1;
        // A farewell that the backup knows still stands, and the copies of that device stay unheard.
        let Office { company, farewells, .. } = &mut self.office;
        farewells.retain(|device, _| {
            let row = company.as_ref().and_then(|company| company.device(*device).ok());
            row.is_some_and(|row| row.status == DeviceStatus::Wiped)
        });
        self.office.restored_ms = self.now_ms;
        self.tally.add("server restores", 1);
        self.tell(format!(
            "the server is restored from a backup that is {} s old",
            (self.now_ms - made) / 1_000
        ));
        self.ledger.head = 0;
        self.phones.iter_mut().for_each(|phone| phone.checked = (0, 0));
        self.note_lost()?;
        if self.office(|office, company| office.decide_again(company, now_ms))?.is_none() {
            // The disk failed in the middle of the repair.
            return self.restore_server(backup);
        }
        Ok(())
    }

    /// A device is heard once; whichever of its copies comes later is wiped unheard.
    fn hear_farewell(&mut self, conn: u64, device: DeviceId) -> Step {
        let row = self.office(|_, company| company.device(device))?;
        let is_first = row.is_some_and(|row| row.status != DeviceStatus::Wiped);
        if let Some(conn) = self.net.get(conn).filter(|_| is_first) {
            self.office.farewells.insert(device, conn.phone);
        }
        Ok(())
    }

    /// A frame of a phone.
    pub(super) fn server_hears(&mut self, conn: u64, frame: &[u8]) -> Step {
        let Some(phone) = self.net.get(conn).map(|conn| conn.phone) else { return Ok(()) };
        if self.office.company.is_none() {
            return Ok(());
        }
        let messages = match decode_frame::<FromPhone>(frame) {
            Ok(messages) => messages,
            Err(error) => return violated("frames_can_be_read", error.to_string()),
        };
        for message in self.carry_up(conn, messages) {
            let now_ms = self.server_ms();
            if let FromPhone::Push(push) = &message {
                self.ledger.sent(phone, push);
            }
            if let FromPhone::Hello(hello) = message {
                self.hello_arrives(phone, conn, hello.boot);
                let device = self.phones[phone].device;
                let greeted = self.office(|_, company| Session::open(company, device, &hello, now_ms))?;
                match greeted {
                    None => return Ok(()),
                    Some(Ok((session, welcome))) => {
                        self.ledger.welcomes.insert(now_ms, self.office.skew_ms);
                        self.office.sessions.insert(conn, session);
                        self.send(Way::Down, conn, vec![welcome]);
                        self.start_pump(conn);
                    }
                    Some(Err(refused)) => {
                        self.tell(format!(
                            "phone {phone} is turned away: {:?} {}",
                            refused.code, refused.detail
                        ));
                        self.send(Way::Down, conn, vec![FromServer::Error(refused)]);
                    }
                }
                continue;
            }
            let effects = self.office(|office, company| match office.sessions.get_mut(&conn) {
                Some(session) => session.receive(company, message, now_ms),
                None => Ok(Vec::new()),
            })?;
            let Some(effects) = effects else { return Ok(()) };
            self.carry_out(conn, effects)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, conn: u64, effects: Vec<Effect>) -> Step {
        let now_ms = self.server_ms();
        for effect in effects {
            match effect {
                Effect::Send(messages) => self.send(Way::Down, conn, messages),
                Effect::Push(incoming) => {
                    let lot = self.office.waiting.entry(incoming.push.doc).or_default();
                    lot.push_back(Waiting { conn, incoming: *incoming, tries: 0 });
                    self.start_judge();
                }
                Effect::Commit(batch) => {
                    self.office.queue.push(Planned::Noted(batch));
                    self.start_flush();
                }
                Effect::Return(returned) => {
                    self.tally.add("returns", 1);
                    let touched = self.office(|_, company| company.take_back(&returned, now_ms))?;
                    let Some(touched) = touched else { return Ok(()) };
                    self.found_again(returned.doc)?;
                    let name = self.name(returned.doc);
                    let news = if touched.is_empty() { "nothing new" } else { "news" };
                    self.tell(format!("{name} is returned over {conn}: {news}"));
                    self.wake(&touched);
                }
                Effect::Pump => self.start_pump(conn),
                Effect::Close(error) => {
                    return violated("an_honest_phone_is_never_closed", format!("{conn}: {error:?}"));
                }
                Effect::Wipe => {
                    let Some(device) = self.office.sessions.get(&conn).map(Session::device) else { continue };
                    let stolen = self.office.tombstones.get(&device) == Some(&DeviceStatus::Stolen);
                    if !stolen {
                        self.hear_farewell(conn, device)?;
                        let wiped = DeviceStatus::Wiped;
                        let set =
                            self.office(|_, company| company.set_device_status(device, wiped, now_ms))?;
                        let Some(touched) = set else { return Ok(()) };
                        self.wake(&touched);
                    }
                    self.send(Way::Down, conn, vec![FromServer::Wipe]);
                    self.office.sessions.remove(&conn);
                }
            }
        }
        Ok(())
    }

    fn start_judge(&mut self) {
        if !std::mem::replace(&mut self.office.judging, true) {
            let soon = self.dice.below(30);
            self.at(soon, Event::Judge);
        }
    }

    fn start_flush(&mut self) {
        if !std::mem::replace(&mut self.office.flushing, true) {
            let soon = if self.dice.one_in(10) { self.dice.below(2_000) } else { self.dice.below(20) };
            self.at(soon, Event::Flush);
        }
    }

    pub(super) fn start_pump(&mut self, conn: u64) {
        if self.office.pumping.insert(conn) {
            let soon = self.dice.below(20);
            self.at(soon, Event::Pump(conn));
        }
    }

    /// The gate takes every document of which nothing is being written.
    pub(super) fn judge(&mut self) -> Step {
        self.office.judging = false;
        let ready: Vec<DocId> =
            self.office.waiting.keys().filter(|doc| !self.office.writing.contains(doc)).copied().collect();
        let now_ms = self.server_ms();
        for doc in ready {
            let Some(lot) = self.office.waiting.remove(&doc) else { continue };
            let most = 1 + self.dice.below(8) as usize;
            let mut lot: Vec<Waiting> = lot.into();
            let rest = lot.split_off(most.min(lot.len()));
            if !rest.is_empty() {
                self.office.waiting.insert(doc, rest.into());
                self.start_judge();
            }
            let incoming: Vec<Incoming> = lot.iter().map(|waiting| waiting.incoming.clone()).collect();
            let prepared =
                self.office(|office, company| company.prepare(doc, &incoming, &mut office.gate, now_ms))?;
            let Some(prepared) = prepared else { return Ok(()) };
            if prepared.batch.is_empty() {
                self.settle(prepared, Outcome::Done(None), lot)?;
            } else {
                self.office.writing.insert(doc);
                self.office.queue.push(Planned::Pushes(Box::new(prepared), lot));
                self.start_flush();
            }
        }
        Ok(())
    }

    /// The committer writes everything that is planned in one commit.
    pub(super) fn flush(&mut self) -> Step {
        self.office.flushing = false;
        let mut queue = std::mem::take(&mut self.office.queue);
        let batches = queue
            .iter_mut()
            .map(|planned| match planned {
                Planned::Pushes(prepared, ..) => std::mem::take(&mut prepared.batch),
                Planned::Noted(batch) => std::mem::take(batch),
            })
            .collect();
        let Some(outcomes) = self.office(|_, company| Ok(company.store().commit(batches)?))? else {
            return Ok(());
        };
        for (planned, outcome) in queue.into_iter().zip(outcomes) {
            if let Planned::Pushes(prepared, lot) = planned {
                if let Outcome::Done(Some(at)) = outcome {
                    self.count_compaction(prepared.doc, at)?;
                }
                self.settle(*prepared, outcome, lot)?;
            }
        }
        Ok(())
    }

    fn settle(&mut self, prepared: Prepared, outcome: Outcome, lot: Vec<Waiting>) -> Step {
        let doc = prepared.doc;
        self.office.writing.remove(&doc);
        match prepared.settle(outcome) {
            Settled::Done { answers, touched, later } => {
                if !later.is_empty() {
                    return violated("an_honest_phone_is_held_whole", format!("{later:?} of {doc}"));
                }
                let writer = lot.first().map(|first| first.conn);
                let writer = writer.filter(|conn| lot.iter().all(|waiting| waiting.conn == *conn));
                self.wake_but(&touched, writer);
                self.found_again(doc)?;
                self.check_stored_in(&[doc])?;
                self.check_times_of(doc)?;
                for (waiting, answer) in lot.into_iter().zip(answers) {
                    self.tally.add("answers", 1);
                    let name = self.name(doc);
                    self.tell(format!(
                        "push {} of {name} over {}: {:?}",
                        answer.id, waiting.conn, answer.verdict
                    ));
                    let Some(session) = self.office.sessions.get_mut(&waiting.conn) else { continue };
                    let effects = session.answered(vec![answer]);
                    self.carry_out(waiting.conn, effects)?;
                }
            }
            Settled::Again => {
                self.tally.add("contended", 1);
                self.office.gate.forget(doc);
                let queue = self.office.waiting.entry(doc).or_default();
                for mut waiting in lot.into_iter().rev() {
                    waiting.tries += 1;
                    if waiting.tries > 16 {
                        return violated(
                            "contention_ends",
                            format!("a push was judged {} times", waiting.tries),
                        );
                    }
                    queue.push_front(waiting);
                }
            }
        }
        if self.office.waiting.contains_key(&doc) {
            self.start_judge();
        }
        Ok(())
    }

    /// Notes that a document was compacted by the batch at this position.
    fn count_compaction(&mut self, doc: DocId, at: Position) -> Step {
        let header = self.office(|_, company| company.header(doc))?.flatten();
        if header.is_some_and(|header| header.snapshot_at == at && header.changes > 2) {
            self.tally.add("compactions", 1);
        }
        Ok(())
    }

    /// Wakes the sessions of these channels.
    pub(super) fn wake(&mut self, touched: &BTreeSet<Channel>) {
        self.wake_but(touched, None);
    }

    /// Wakes the sessions of these channels, but for the one whose pushes moved them: it hears by their answers.
    fn wake_but(&mut self, touched: &BTreeSet<Channel>, but: Option<u64>) {
        let concerned: Vec<u64> = self
            .office
            .sessions
            .iter_mut()
            .filter(|(conn, session)| Some(**conn) != but && !session.channels().is_disjoint(touched))
            .map(|(conn, session)| {
                session.wake();
                *conn
            })
            .collect();
        concerned.into_iter().for_each(|conn| self.start_pump(conn));
    }

    /// What a phone may hold has changed: its sessions end, in a moment.
    pub(super) fn send_away(&mut self, device: DeviceId) {
        let conns: Vec<u64> = self
            .office
            .sessions
            .iter()
            .filter(|(_, session)| session.device() == device)
            .map(|(conn, _)| *conn)
            .collect();
        for conn in conns {
            self.office.leaving.insert(conn);
            self.snap(conn);
        }
    }

    /// Sends one session a portion of what is new to it.
    pub(super) fn pump(&mut self, conn: u64) -> Step {
        self.office.pumping.remove(&conn);
        let budget = if self.dice.one_in(3) { 1 } else { 1 << self.dice.below(17) };
        let portion = self.office(|office, company| match office.sessions.get_mut(&conn) {
            Some(session) => session.pump(company, budget),
            None => Ok(None),
        })?;
        if let Some(Some(messages)) = portion {
            let deltas = messages.iter().filter(|m| matches!(m, FromServer::Delta(_))).count();
            self.tally.add("deltas", deltas as u64);
            self.send(Way::Down, conn, messages);
            self.start_pump(conn);
        }
        Ok(())
    }

    /// The last position that the server gave; `None` while it is down.
    pub(super) fn server_head(&self) -> Option<Position> {
        self.office.company.as_ref()?.store().head().ok()
    }
}
