//! The facade without a server: phones whose clocks, chance and news are in the test's hand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fieldbook_core::access::Role;
use fieldbook_core::document::{Edit, Value};
use fieldbook_core::ids::{DeviceId, DocId, EntryId, UserId};
use fieldbook_core::model::{LeadFields, NewLead};
use fieldbook_core::replica::{Arrival, DocEdits, Identity};
use fieldbook_core::sync::message::{Delta, FromServer, Origin, Welcome};
use fieldbook_core::time::Moment;
use tempfile::TempDir;

use super::Fieldbook;
use crate::clock::{Clock, Entropy};
use crate::config::{Config, Surroundings};
use crate::records::{LeadQuery, LeadRow};
use crate::words::Language;

mod conflicts;
mod daily;
mod home;
mod kept;
mod leads;
mod locked;
mod rules;

/// A phone of somebody.
pub(super) struct Phone {
    folder: TempDir,
    clock: Arc<Hand>,
    dice: Arc<Dice>,
    language: Language,
    book: Option<Fieldbook>,
}

/// The clocks, as the test sets them.
pub(super) struct Hand(Mutex<Moment>);

impl Clock for Hand {
    fn now(&self) -> Moment {
        *self.0.lock().unwrap()
    }
}

/// Seeds that never come twice, on whichever phone.
struct Dice(u64, AtomicU64);

impl Entropy for Dice {
    fn seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.0.to_be_bytes());
        seed[8..16].copy_from_slice(&self.1.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        seed
    }
}

impl Phone {
    /// Device `device` of user `user`, enrolled, that has just heard its server.
    pub fn new(user: u8, device: u8) -> Self {
        Self::speaking(user, device, Language::Chinese)
    }

    pub fn speaking(user: u8, device: u8, language: Language) -> Self {
        let moment = Moment { wall_ms: NOON_MS, boot: u64::from(device), mono_ms: 1_000 };
        let mut phone = Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(Hand(Mutex::new(moment))),
            dice: Arc::new(Dice(device.into(), AtomicU64::new(0))),
            language,
            book: None,
        };
        phone.open();
        let identity = Identity {
            device: DeviceId([device; 8]),
            user: UserId([user; 8]),
            user_name: format!("rep {user}"),
            company: "智康".into(),
            server_url: "http://127.0.0.1:9".into(),
            refresh_token: "refresh".into(),
            zone: "Asia/Shanghai".into(),
        };
        phone.book().shared.with(|replica, _| replica.enrol(identity.clone())).unwrap();
        phone.contact(NOON_MS);
        phone
    }

    pub fn book(&self) -> &Fieldbook {
        self.book.as_ref().unwrap()
    }

    /// Opens the app (again).
    pub fn open(&mut self) {
        drop(self.book.take());
        let path = self.folder.path().join("phone.fieldbook");
        let config = Config { language: self.language, ..Config::new(path, [7; 32]) };
        let surroundings = Surroundings { clock: self.clock.clone(), entropy: self.dice.clone() };
        self.book = Some(Fieldbook::open_in(config, surroundings).unwrap());
    }

    /// Time passes; the phone is switched on.
    pub fn wait(&self, ms: i64) {
        let mut moment = self.clock.0.lock().unwrap();
        moment.wall_ms += ms;
        moment.mono_ms += ms as u64;
    }

    /// The phone is switched off and on, and shows another date.
    pub fn restart(&mut self, wall_ms: i64) {
        let mut moment = self.clock.0.lock().unwrap();
        *moment = Moment { wall_ms, boot: moment.boot + 1, mono_ms: 500 };
        drop(moment);
        self.open();
    }

    /// The server is heard, and says what time it is.
    pub fn contact(&self, now_ms: i64) {
        let shared = &self.book().shared;
        let welcome = |device, user| Welcome {
            version: 1,
            epoch: 1,
            fallback: None,
            now_ms,
            device,
            user,
            role: Role::Rep,
            rotate_to: None,
            lock_after_days: LOCK_AFTER_DAYS,
            quarantine_only: false,
            channels: Vec::new(),
        };
        let taken = shared.with(|replica, now| {
            let identity = replica.identity()?.clone();
            let arrival = Arrival { sent: now, received: now };
            replica.take_welcome(&welcome(identity.device, identity.user), arrival)
        });
        assert!(taken.unwrap().is_empty());
    }

    /// A document as it stands here arrives at another phone, as the server would send it.
    pub fn send(&self, doc: DocId, to: &Phone) {
        let (snapshot, origin) = self
            .book()
            .shared
            .with(|replica, _| Ok::<_, crate::Error>((replica.load(doc)?.save(), replica.origin_of(doc)?)))
            .unwrap();
        let delta = Delta {
            doc,
            origin,
            at: 1,
            snapshot: Some(snapshot.into()),
            changes: Vec::new(),
            receipt: Vec::new(),
            heads: Vec::new(),
        };
        let shared = &to.book().shared;
        let taken = shared.with(|replica, now| {
            let now_ms = replica.now_ms(now);
            replica.take(&[FromServer::Delta(delta.clone())], now_ms)
        });
        assert!(taken.unwrap().changed.contains(&doc));
    }

    /// A document that only the server writes says this, as if it had come.
    pub fn write(&self, doc: DocId, edits: Vec<Edit>) {
        self.book().shared.act(|_, _| Ok(((), vec![DocEdits::of(doc, edits)]))).unwrap();
    }

    pub fn lead(&self, customer: &str) -> DocId {
        self.book().create_lead(&new_lead(customer)).unwrap()
    }

    pub fn list(&self, query: LeadQuery) -> Vec<LeadRow> {
        self.book().leads(&query).unwrap()
    }
}

/// The server has assigned a lead.
pub(super) fn rule(phone: &Phone, lead: DocId, owner: u8, at_ms: i64) {
    let owner = UserId([owner; 8]);
    let set = |field: &str, value: Value| Edit::Set { field: field.into(), value };
    let body = format!(r#"{{"type":"assign","to":"{owner}","by":"{owner}","reason":""}}"#);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&at_ms.to_be_bytes());
    let edits = vec![
        set("owner", owner.to_string().into()),
        set("received_at_ms", at_ms.into()),
        Edit::Append { log: "decisions".into(), id: EntryId(id), body },
    ];
    let origin = Origin { parent: lead.0.to_vec().into(), key: String::new() };
    let lot = DocEdits { doc: DocId::ruling_of(lead), origin: Some(origin), edits };
    phone.book().shared.act(|_, _| Ok(((), vec![lot]))).unwrap();
}

pub(super) fn new_lead(customer: &str) -> NewLead {
    let fields = LeadFields {
        customer_name: Some(customer.into()),
        contact_phone: Some("13900000000".into()),
        need: Some("采购".into()),
        ..LeadFields::default()
    };
    NewLead { fields, ..NewLead::default() }
}

/// 2 March 2026, a Monday, noon in Shanghai.
pub(super) const NOON_MS: i64 = 1_772_424_000_000;
pub(super) const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
pub(super) const LOCK_AFTER_DAYS: u32 = 14;
