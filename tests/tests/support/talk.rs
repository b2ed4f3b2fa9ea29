//! A company and its phones in one thread: every message is encoded, framed and counted as on the wire, and nothing depends on time.
#![allow(dead_code, reason = "every test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::Arc;

use fieldbook_core::access::Role;
use fieldbook_core::company::{Incoming, LocalGate, NewLead, Settled, TeamRow, UserRow};
use fieldbook_core::document::Edit;
use fieldbook_core::ids::{DeviceId, DocId, DocKind, EntryId, TeamId, UserId};
use fieldbook_core::model::{Visit, tick_edit};
use fieldbook_core::replica::{DocEdits, Identity, Replica};
use fieldbook_core::store::{MemoryStore, Store};
use fieldbook_core::sync::message::{Answer, FromPhone, FromServer, decode_frame, frames, frames_up};
use fieldbook_core::sync::phone::{Link, SyncReport};
use fieldbook_core::sync::server::{Effect, Session};
use fieldbook_core::time::Moment;
use fieldbook_engines::faults::Dice;
use fieldbook_engines::{RedbOptions, RedbStore};
use fieldbook_server::app::{App, Clock};
use fieldbook_server::auth::{Entropy, Scope};
use fieldbook_server::config::Config;
use fieldbook_server::engine::Engine;
use tempfile::TempDir;

use super::counted::{Disk, websocket_bytes};

/// A server's library on a counted disk in memory; no socket, no thread.
pub struct Office {
    pub app: Arc<App>,
    pub disk: Disk,
    pub dice: Dice,
    gate: LocalGate,
    _folder: TempDir,
}

/// Somebody's phone.
pub struct Phone {
    pub replica: Replica,
    device: DeviceId,
    /// As long as a real one, because it is one.
    token: String,
}

/// When the server answers pushes: the gate works beside the connection, so both happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Before it sends what is new.
    Fast,
    /// When all that is new has been sent.
    Slow,
    /// As [`Gate::Slow`], one answer a frame.
    Piecemeal,
}

/// What one connection came to.
#[derive(Debug, Default)]
pub struct Talk {
    /// What the phone sent: one list for each time that it spoke.
    pub flights: Vec<Vec<FromPhone>>,
    /// Frames as websocket messages, bytes.
    pub up_bytes: usize,
    /// The same from the server.
    pub down_bytes: usize,
    /// How many of its flights the phone had made when it and the server had everything, acknowledgements apart.
    pub complete_after_flights: usize,
    pub report: SyncReport,
}

struct Fixed;

impl Clock for Fixed {
    fn now_ms(&self) -> i64 {
        NOW_MS
    }
}

impl Office {
    /// A company with a team, led by the first manager that is hired.
    pub fn found(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let data = ("FIELDBOOK_SERVER_DATA_DIR".to_owned(), folder.path().display().to_string());
        let config = Config::load(None, [data]).unwrap();
        let store = RedbStore::with_backend(disk.clone(), &RedbOptions::default()).unwrap();
        let app = App::open_on(Engine::Redb(Arc::new(store)), config, Arc::new(Fixed)).unwrap();
        let team = TeamRow { name: "华东组".into(), parent: None, leaders: vec![LEADER] };
        app.company.put_team(TEAM, team, NOW_MS).unwrap();
        Self { app, disk, dice: Dice::new(seed), gate: LocalGate::new(64), _folder: folder }
    }

    /// A colleague with a phone whose store is `store`. The user number 0 leads the team.
    pub fn hire(&mut self, number: u8, store: Arc<dyn Store>) -> Phone {
        let user = UserId([number; 8]);
        let role = if user == LEADER { Role::Manager } else { Role::Rep };
        let row = UserRow { name: format!("员工{number}"), role, team: Some(TEAM), active: true };
        self.app.company.put_user(user, row, NOW_MS).unwrap();
        let device = DeviceId(self.draw());
        self.app.company.put_device(device, user, "phone", NOW_MS).unwrap();
        let mut entropy = Entropy::from_system();
        let issued = self.app.auth.issue_access(user, device, role, Scope::Full, NOW_MS, &mut entropy);
        let mut replica = Replica::open(store).unwrap();
        let identity = Identity {
            device,
            user,
            user_name: format!("员工{number}"),
            company: "智康".into(),
            server_url: "https://fieldbook.example".into(),
            refresh_token: String::new(),
            zone: "Asia/Shanghai".into(),
        };
        replica.enrol(identity).unwrap();
        Phone { replica, device, token: issued.unwrap().0 }
    }

    /// As [`Office::hire`], the store in memory.
    pub fn hire_light(&mut self, number: u8) -> Phone {
        self.hire(number, Arc::new(MemoryStore::new()))
    }

    /// Leads from the office: each with ruling and advancement table, texts that no compression shortens.
    pub fn intake(&mut self, owner: u8, count: usize) -> Vec<DocId> {
        let mut leads = Vec::with_capacity(count);
        for _ in 0..count {
            let id = DocId::fresh(DocKind::Lead, EntryId(self.draw()));
            let texts = [
                ("customer_name", 10),
                ("contact_phone", 4),
                ("need", 2),
                ("department", 4),
                ("equipment", 6),
            ];
            let edits = texts.map(|(field, length)| Edit::Set {
                field: field.into(),
                value: self.text(length).as_str().into(),
            });
            leads.push(NewLead {
                id,
                edits: edits.to_vec(),
                owner: Some(UserId([owner; 8])),
                ..NewLead::default()
            });
        }
        for lot in leads.chunks(100) {
            self.app.company.intake(lot, NOW_MS).unwrap();
        }
        leads.into_iter().map(|lead| lead.id).collect()
    }

    /// One visit logged on a phone (C4), its texts as above.
    pub fn visit(&mut self, phone: &mut Phone, lead: DocId) {
        let visit = Visit {
            customer_state: self.text(8),
            next_action: self.text(8),
            expected_close: "2026-09-30".into(),
            ..Visit::default()
        };
        let act = phone.replica.act(MOMENT, self.draw()).unwrap();
        let edits = visit.edits(&act);
        phone.replica.edit(&act, &[DocEdits::of(lead, edits)]).unwrap();
    }

    /// One row of the advancement table ticked on a phone (C55).
    pub fn tick(&mut self, phone: &mut Phone, lead: DocId, row: &str) {
        let act = phone.replica.act(MOMENT, self.draw()).unwrap();
        phone.replica.edit(&act, &[DocEdits::table_of(lead, vec![tick_edit(row, true)])]).unwrap();
    }

    /// One whole connection of a phone.
    pub fn sync(&mut self, phone: &mut Phone, gate: Gate) -> Talk {
        let mut talk = Talk::default();
        let mut link = Link::new();
        let mut up = link.open(&phone.replica, &phone.token, "fieldbook-device/0.1.0", MOMENT).unwrap();
        let mut session = None;
        while !up.is_empty() {
            talk.flights.push(up.clone());
            let came = self.hear(&mut session, phone.device, std::mem::take(&mut up), gate, &mut talk);
            for frame in came {
                talk.down_bytes += websocket_bytes(&frame, false);
                let turn = link.receive(&mut phone.replica, decode_frame(&frame).unwrap(), MOMENT).unwrap();
                assert!(turn.closed.is_none(), "{turn:?}");
                up.extend(turn.send);
            }
            let open = phone.replica.unanswered() > 0 || !phone.replica.wanted().is_empty();
            if open || !up.iter().all(|message| matches!(message, FromPhone::Ack(_))) {
                talk.complete_after_flights = 0;
            } else if talk.complete_after_flights == 0 {
                talk.complete_after_flights = talk.flights.len();
            }
        }
        assert!(link.is_settled(&phone.replica), "not settled: {link:?}");
        talk.report = link.report().clone();
        talk
    }

    /// The server hears a flight; the frames that it sends until it has nothing more to say.
    fn hear(
        &mut self,
        session: &mut Option<Session>,
        device: DeviceId,
        flight: Vec<FromPhone>,
        gate: Gate,
        talk: &mut Talk,
    ) -> Vec<Vec<u8>> {
        let mut down = Vec::new();
        let mut pushed = Vec::new();
        for frame in frames_up(flight) {
            talk.up_bytes += websocket_bytes(&frame, true);
            for message in decode_frame::<FromPhone>(&frame).unwrap() {
                let effects = match (&mut *session, message) {
                    (None, FromPhone::Hello(hello)) => {
                        assert_eq!(self.app.auth.verify_access(&hello.token, NOW_MS).unwrap().device, device);
                        let opened = Session::open(&self.app.company, device, &hello, NOW_MS).unwrap();
                        let (opened, welcome) = opened.unwrap();
                        *session = Some(opened);
                        vec![Effect::Send(vec![welcome])]
                    }
                    (Some(session), message) => session.receive(&self.app.company, message, NOW_MS).unwrap(),
                    (None, other) => panic!("before the hello: {other:?}"),
                };
                self.carry_out(effects, &mut down, &mut pushed);
            }
        }
        let session = session.as_mut().unwrap();
        if gate == Gate::Fast {
            self.answer(session, &mut pushed, usize::MAX, &mut down);
        }
        self.pump(session, &mut down);
        let mut out = frames(std::mem::take(&mut down));
        while !pushed.is_empty() {
            let at_once = if gate == Gate::Piecemeal { 1 } else { usize::MAX };
            self.answer(session, &mut pushed, at_once, &mut down);
            out.extend(frames(std::mem::take(&mut down)));
        }
        session.wake();
        self.pump(session, &mut down);
        out.extend(frames(down));
        out
    }

    fn carry_out(&self, effects: Vec<Effect>, down: &mut Vec<FromServer>, pushed: &mut Vec<Incoming>) {
        for effect in effects {
            match effect {
                Effect::Send(messages) => down.extend(messages),
                Effect::Push(incoming) => pushed.push(*incoming),
                Effect::Commit(batch) => {
                    self.app.company.store().commit_one(batch).unwrap();
                }
                Effect::Pump => {}
                other => panic!("an honest phone causes no {other:?}"),
            }
        }
    }

    fn pump(&self, session: &mut Session, down: &mut Vec<FromServer>) {
        while let Some(more) = session.pump(&self.app.company, 64 << 10).unwrap() {
            down.extend(more);
        }
    }

    fn answer(
        &mut self,
        session: &mut Session,
        pushed: &mut Vec<Incoming>,
        at_once: usize,
        down: &mut Vec<FromServer>,
    ) {
        while !pushed.is_empty() {
            let group: Vec<Incoming> = pushed.drain(..at_once.min(pushed.len())).collect();
            let answers = self.judge(group);
            let effects = session.answered(answers);
            self.carry_out(effects, down, pushed);
            if at_once < usize::MAX {
                return;
            }
        }
    }

    /// Pushes through the gate into one commit of the store.
    pub fn judge(&mut self, group: Vec<Incoming>) -> Vec<Answer> {
        let company = &self.app.company;
        let mut prepared: Vec<_> = group
            .into_iter()
            .map(|one| company.prepare(one.push.doc, &[one], &mut self.gate, NOW_MS).unwrap())
            .collect();
        let batches = prepared.iter_mut().map(|one| std::mem::take(&mut one.batch)).collect();
        let outcomes = company.store().commit(batches).unwrap();
        let settled = prepared.into_iter().zip(outcomes).map(|(one, outcome)| match one.settle(outcome) {
            Settled::Done { answers, .. } => answers,
            Settled::Again => panic!("two of one document in a commit"),
        });
        settled.flatten().collect()
    }

    /// What a phone would push now, as the gate takes it.
    pub fn outbox(&self, phone: &Phone) -> Vec<Incoming> {
        let who = self.app.company.principal(phone.device).unwrap();
        let pushes = phone.replica.pushes(0, 256, 1 << 20).unwrap();
        pushes.into_iter().map(|push| Incoming { who: who.clone(), push }).collect()
    }

    /// Bytes that were never drawn before.
    pub fn draw<const N: usize>(&mut self) -> [u8; N] {
        self.dice.bytes(N).try_into().unwrap()
    }

    /// Chinese characters that do not repeat: what the wire deflates least.
    fn text(&mut self, characters: usize) -> String {
        (0..characters).filter_map(|_| char::from_u32(0x4e00 + self.dice.below(20_000) as u32)).collect()
    }
}

/// Who leads the team.
const LEADER: UserId = UserId([0; 8]);
const TEAM: TeamId = TeamId([7; 8]);
pub const NOW_MS: i64 = 1_770_000_000_000;
pub const MOMENT: Moment = Moment { wall_ms: NOW_MS, boot: 1, mono_ms: 1_000 };
