//! A phone's process: its disk, its clocks, the app and its connection, and what becomes of them when the battery falls out.

use std::collections::BTreeSet;
use std::sync::Arc;

use fieldbook_core::company::{CompanyError, UserRow};
use fieldbook_core::ids::{DeviceId, UserId};
use fieldbook_core::replica::{Identity, Replica, ReplicaError};
use fieldbook_core::store::MemoryStore;
use fieldbook_core::sync::message::{Answer, FromServer, WireCode, decode_frame};
use fieldbook_core::sync::phone::{Link, Turn};
use fieldbook_core::time::Moment;
use fieldbook_engines::faults::{FaultyStore, Snapshot};

use super::clocks::{Clock, DRIFT_MAX_PPM};
use super::ledger::documents;
use super::{Event, PHONES_MAX, Step, Violation, Way, World, device, violated};

/// A phone, its user and its disk.
pub(super) struct Phone {
    pub device: DeviceId,
    pub user: UserId,
    pub store: Arc<FaultyStore>,
    /// `None` while the app does not run.
    pub replica: Option<Replica>,
    pub line: Option<Line>,
    /// Whether it has any network.
    pub signal: bool,
    pub clock: Clock,
    /// Acts so far: each has entropy of its own.
    pub acts: u64,
    /// Wiped by the server.
    pub wiped: bool,
    /// Died while it was wiping itself.
    pub wiping: bool,
    /// Copies of the disk.
    pub backups: Vec<Snapshot>,
    /// Grows whenever the disk lost something: a backup put back, a wipe.
    pub generation: u64,
    /// A dial is on the agenda.
    pub dialling: bool,
    /// Disk and server as they were at the last full check.
    pub checked: (u64, u64),
    /// Whether its user works on it; those of the office look.
    pub writes: bool,
    /// The boot in which its disk, as it is, was told the time.
    pub shaken: Option<u64>,
}

/// A connection of the app.
pub(super) struct Line {
    pub conn: u64,
    pub link: Link,
}

impl Phone {
    /// What its clocks say.
    pub fn moment(&self, now_ms: i64) -> Moment {
        self.clock.read(now_ms)
    }

    /// What its disk holds, as the app would read it, without touching it.
    pub fn peek(&self) -> Result<Replica, ReplicaError> {
        let rows = self.store.snapshot().rows().clone();
        Replica::open(Arc::new(MemoryStore::from_rows(rows)))
    }

    fn identity(&self) -> Identity {
        Identity {
            device: self.device,
            user: self.user,
            user_name: format!("用户{}", self.user.0[0]),
            company: "智康".into(),
            server_url: "ws://127.0.0.1".into(),
            refresh_token: String::new(),
            zone: "Asia/Shanghai".into(),
        }
    }
}

impl World {
    /// Gives a user a (further) phone.
    pub(super) fn enrol(&mut self, user: UserId) -> Step {
        let n = self.phones.len();
        if n >= PHONES_MAX {
            return Ok(());
        }
        // An office that crashed over an enrolment may have written it: nobody else gets that device's id.
        let (id, now_ms) = (device(self.devices), self.server_ms());
        self.devices += 1;
        let put = self.office(|_, company| match company.put_device(id, user, "phone", now_ms) {
            Err(CompanyError::Refused(_)) => Ok(None),
            other => other.map(Some),
        })?;
        let Some(touched) = put.flatten() else { return Ok(()) };
        self.wake(&touched);
        self.tell(format!("phone {n} is given to user {}", user.0[0]));
        let store = Arc::new(FaultyStore::new());
        self.switch_on(id, user, store)
    }

    /// A copy of a phone, disk and all, is switched on beside it.
    pub(super) fn clone_phone(&mut self, n: usize) -> Step {
        let original = &self.phones[n];
        if self.phones.len() >= PHONES_MAX || original.wiped || !original.writes {
            return Ok(());
        }
        let (device, user) = (original.device, original.user);
        let store = Arc::new(FaultyStore::from_snapshot(original.store.snapshot()));
        self.tell(format!("phone {n} is cloned as phone {}", self.phones.len()));
        self.tally.add("clones", 1);
        self.switch_on(device, user, store)
    }

    fn switch_on(&mut self, device: DeviceId, user: UserId, store: Arc<FaultyStore>) -> Step {
        let n = self.phones.len();
        let skew_ms = self.dice.below(6 * DAY_MS) as i64 - 3 * DAY_MS as i64;
        let booted_ms = self.now_ms - self.dice.below(DAY_MS) as i64;
        let drift_ppm = self.dice.below(2 * DRIFT_MAX_PPM as u64 + 1) as i64 - DRIFT_MAX_PPM;
        let clock = Clock { boot: self.dice.roll(), booted_ms, skew_ms, drift_ppm };
        let phone = Phone {
            device,
            user,
            store,
            replica: None,
            line: None,
            signal: true,
            clock,
            acts: 0,
            wiped: false,
            wiping: false,
            backups: Vec::new(),
            generation: 0,
            dialling: false,
            checked: (0, 0),
            writes: !super::OFFICE.iter().any(|(id, _)| *id == user.0[0]),
            shaken: None,
        };
        self.phones.push(phone);
        self.phone_up(n)?;
        let soon = self.dice.below(5_000);
        self.at(soon, Event::PhoneAct(n));
        Ok(())
    }

    /// Runs something of the app; a disk that fails takes the process with it. `None`: it is, or went, down.
    pub(super) fn app<T>(
        &mut self,
        n: usize,
        work: impl FnOnce(&mut Replica, Moment) -> Result<T, ReplicaError>,
    ) -> Step<Option<T>> {
        let now = self.phones[n].moment(self.now_ms);
        let Some(replica) = self.phones[n].replica.as_mut() else { return Ok(None) };
        match work(replica, now) {
            Ok(done) => Ok(Some(done)),
            Err(ReplicaError::Store(error)) => {
                if !self.peace && !self.phones[n].store.is_down() && self.dice.one_in(2) {
                    return self.lives_on(n, &error.to_string()).map(|()| None);
                }
                self.tell(format!("phone {n} stops: {error}"));
                self.phone_down(n);
                Ok(None)
            }
            Err(other) => violated("the_app_never_stumbles", format!("phone {n}: {other}")),
        }
    }

    /// The app shows an error and stays open, on a disk that takes nothing more until it is opened again. What it has in memory must be
    /// what is on the disk.
    fn lives_on(&mut self, n: usize, error: &str) -> Step {
        self.tell(format!("phone {n} cannot save: {error}"));
        self.tally.add("apps that lived on", 1);
        self.hang_up(n);
        self.redial(n);
        let later = 60_000 + self.dice.below(3_600_000);
        self.at(later, Event::Restart(n));
        let read = |e: ReplicaError| Violation { invariant: "a_disk_can_be_read", detail: e.to_string() };
        let now = self.phones[n].moment(self.now_ms);
        let is_dark =
            |replica: &Replica| matches!(replica.check_unlocked(now), Err(ReplicaError::NotEnrolled));
        if self.phones[n].replica.as_ref().is_some_and(is_dark) {
            // It was told to delete everything, and could not: it shows nothing of what is left.
            self.tally.add("wipes that could not end", 1);
            return Ok(());
        }
        let mut disk = self.phones[n].peek().map_err(read)?;
        let Some(memory) = self.phones[n].replica.as_mut() else { return Ok(()) };
        let on_disk = documents(&disk).map_err(read)?;
        for doc in documents(memory).map_err(read)? {
            let (shown, stored) =
                (memory.load(doc).map_err(read)?.heads(), disk.load(doc).map(|d| d.heads()));
            if stored.as_ref().ok() != Some(&shown) {
                let detail = format!("phone {n} shows {doc} at {shown:?}, on its disk it is at {stored:?}");
                return violated("what_is_shown_is_saved", detail);
            }
        }
        let counts = |replica: &Replica| (replica.unanswered(), replica.pushed(), replica.wanted().clone());
        if counts(memory) != counts(&disk) || documents(memory).map_err(read)? != on_disk {
            return violated("what_is_shown_is_saved", format!("phone {n} counts what is not on its disk"));
        }
        Ok(())
    }

    /// The user closes the app that cannot save, and opens it again.
    pub(super) fn restart(&mut self, n: usize) -> Step {
        if self.phones[n].replica.is_some() && !self.phones[n].wiped {
            self.phone_down(n);
        }
        Ok(())
    }

    /// The app dies, and with it the connection.
    pub(super) fn phone_down(&mut self, n: usize) {
        self.tally.add("phone crashes", 1);
        self.phones[n].store.crash();
        self.phones[n].replica = None;
        self.hang_up(n);
        let later = 100 + self.dice.below(60_000);
        self.at(later, Event::PhoneUp(n));
    }

    pub(super) fn phone_up(&mut self, n: usize) -> Step {
        if self.phones[n].replica.is_some() {
            return Ok(());
        }
        self.phones[n].store.repair();
        self.phones[n].store.restart();
        match Replica::open(self.phones[n].store.clone()) {
            Ok(replica) => self.phones[n].replica = Some(replica),
            Err(ReplicaError::Store(_)) => {
                self.phone_down(n);
                return Ok(());
            }
            Err(other) => return violated("the_app_never_stumbles", format!("phone {n}: {other}")),
        }
        if std::mem::take(&mut self.phones[n].wiping)
            && self.phones[n].replica.as_ref().is_some_and(|replica| replica.identity().is_err())
        {
            self.wiped(n)?;
        }
        let (identity, wiped) = (self.phones[n].identity(), self.phones[n].wiped);
        self.app(
            n,
            |replica, _| if replica.identity().is_ok() || wiped { Ok(()) } else { replica.enrol(identity) },
        )?;
        self.observe(n, &[])?;
        self.redial(n);
        Ok(())
    }

    /// Forgets the connection on the phone's side.
    pub(super) fn hang_up(&mut self, n: usize) {
        if let Some(line) = self.phones[n].line.take() {
            self.snap(line.conn);
        }
    }

    /// Puts a dial on the agenda, after the back-off of the app.
    pub(super) fn redial(&mut self, n: usize) {
        if !std::mem::replace(&mut self.phones[n].dialling, true) {
            let soon = 10 + self.dice.below(20_000);
            self.at(soon, Event::Dial(n));
        }
    }

    pub(super) fn dial(&mut self, n: usize) -> Step {
        let phone = &mut self.phones[n];
        phone.dialling = false;
        if phone.line.is_some() || !phone.signal || phone.wiped || phone.replica.is_none() {
            return Ok(());
        }
        if let Some(until) = self.net.parted_until(n, self.now_ms) {
            self.tally.add("dials into a partition", 1);
            self.phones[n].dialling = true;
            let later = (until - self.now_ms).unsigned_abs() + self.dice.below(20_000);
            self.at(later, Event::Dial(n));
            return Ok(());
        }
        if self.office.company.is_none() {
            self.redial(n);
            return Ok(());
        }
        let mut link = Link::new();
        let Some(messages) = self.app(n, |replica, now| link.open(replica, "token", "world", now))? else {
            return Ok(());
        };
        let conn = self.net.open(n, self.now_ms);
        self.tell(format!("phone {n} connects: {conn}"));
        self.phones[n].line = Some(Line { conn, link });
        self.send(Way::Up, conn, messages);
        Ok(())
    }

    pub(super) fn phone_notices(&mut self, conn: u64) {
        let Some(n) = self.net.get(conn).map(|conn| conn.phone) else { return };
        if self.phones[n].line.as_ref().is_some_and(|line| line.conn == conn) {
            self.phones[n].line = None;
        }
        self.redial(n);
    }

    /// Tells the connection about edits.
    pub(super) fn nudge(&mut self, n: usize) -> Step {
        let Some(mut line) = self.phones[n].line.take() else { return Ok(()) };
        let pushed = self.app(n, |replica, _| line.link.edited(replica))?;
        let conn = line.conn;
        match pushed {
            Some(messages) => {
                self.phones[n].line = Some(line);
                self.send(Way::Up, conn, messages);
            }
            None => self.snap(conn),
        }
        Ok(())
    }

    /// A frame of the server.
    pub(super) fn phone_hears(&mut self, conn: u64, frame: &[u8]) -> Step {
        match decode_frame::<FromServer>(frame) {
            Ok(messages) => self.phone_is_told(conn, messages),
            Err(error) => violated("frames_can_be_read", error.to_string()),
        }
    }

    /// The messages of a frame, and what was held back of earlier ones.
    pub(super) fn phone_is_told(&mut self, conn: u64, messages: Vec<FromServer>) -> Step {
        let Some(n) = self.net.get(conn).map(|conn| conn.phone) else { return Ok(()) };
        let messages = self.carry_down(conn, messages);
        if messages.is_empty() {
            return Ok(());
        }
        let Some(mut line) = self.phones[n].line.take_if(|line| line.conn == conn) else { return Ok(()) };
        let said = self.describe(&messages);
        self.tell(format!("phone {n} hears over {conn}: {said}"));
        let answers: Vec<Answer> = messages
            .iter()
            .filter_map(|message| match message {
                FromServer::Answer(answer) => Some(answer.clone()),
                _ => None,
            })
            .collect();
        let wipe = messages.contains(&FromServer::Wipe);
        let greeted = messages.iter().find_map(|message| match message {
            FromServer::Welcome(welcome) => Some(welcome.now_ms),
            _ => None,
        });
        if let Some(contact_ms) = greeted {
            self.shake_hands(n, conn, contact_ms);
        }
        let heard = self.app(n, |replica, now| line.link.receive(replica, messages, now))?;
        let Some(Turn { send, applied, closed }) = heard else {
            // What the frame's answers did before the disk failed is on the disk.
            self.ledger.explain(n, &answers);
            self.phones[n].wiping = wipe;
            self.snap(conn);
            return if wipe { self.restart(n) } else { Ok(()) };
        };
        self.let_go(n, conn)?;
        if greeted.is_some() {
            self.phones[n].shaken = Some(self.phones[n].clock.boot);
        }
        if applied.wiped_all {
            self.phones[n].line = Some(line);
            return self.wiped(n);
        }
        if let Some(error) = closed {
            self.snap(conn);
            return self.turned_away(n, error.code, &error.detail);
        }
        self.phones[n].line = Some(line);
        self.send(Way::Up, conn, send);
        self.observe(n, &answers)
    }

    fn wiped(&mut self, n: usize) -> Step {
        self.tell(format!("phone {n} is wiped"));
        self.phones[n].wiped = true;
        self.phones[n].generation += 1;
        self.hang_up(n);
        self.check_wiped(n)
    }

    fn turned_away(&mut self, n: usize, code: WireCode, detail: &str) -> Step {
        match code {
            WireCode::Device => {
                // Only a restored server forgets a device that was enrolled.
                if self.office.restores == 0 {
                    return violated(
                        "an_honest_phone_is_never_closed",
                        format!("phone {n}: {code:?} {detail}"),
                    );
                }
                self.at(1_000, Event::Register(n));
                Ok(())
            }
            WireCode::Resubscribe | WireCode::Unavailable => {
                self.redial(n);
                Ok(())
            }
            other => violated("an_honest_phone_is_never_closed", format!("phone {n}: {other:?} {detail}")),
        }
    }

    /// Registers a device again that a restored server does not know.
    pub(super) fn register(&mut self, n: usize) -> Step {
        let (device, user, now_ms) = (self.phones[n].device, self.phones[n].user, self.server_ms());
        let status = self.office.tombstones.get(&device).copied();
        let put = self.office(|office, company| {
            // Whoever left since has to be let in once more for the phone to be known, and wiped.
            let row = company.user(user)?;
            let mut touched = match row.active {
                false => company.put_user(user, UserRow { active: true, ..row }, now_ms)?,
                true => BTreeSet::new(),
            };
            touched.extend(match company.put_device(device, user, "phone", now_ms) {
                Err(CompanyError::Refused(_)) => BTreeSet::new(),
                other => other?,
            });
            if let Some(status) = status {
                touched.extend(company.set_device_status(device, status, now_ms)?);
            }
            touched.extend(office.decide_again(company, now_ms)?);
            Ok(touched)
        })?;
        match put {
            Some(touched) => {
                self.wake(&touched);
                self.redial(n);
            }
            None => self.at(5_000, Event::Register(n)),
        }
        Ok(())
    }
}

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
