//! What one company's server keeps and decides, over a [`Store`]: people and devices, the gate for what phones push, the
//! log and its channels, ownership, held work. Pure: time and entropy are passed in, and nothing here talks to a network.
//!
//! The shell (a server process, or the simulated world) runs every push in three steps, so that many share one flush:
//!
//! 1. [`Company::prepare`] reads, judges the bytes and plans one batch for one document;
//! 2. the shell commits the batch, with others, through the store;
//! 3. [`Prepared::settle`] turns the outcome into answers for the phones.
//!
//! Everything else (`assign`, `enrol`, `intake`…) plans and commits by itself, guarded by what it read.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::ids::{Actor, DeviceId, DocId, Hash32, UserId};
use crate::limits;
use crate::store::{Batch, Direction, FORMAT_KEY, Outcome, Position, Range, Store, StoreError, format_of};
use crate::time::{Moment, Stamp};

mod accounts;
mod arrivals;
mod automate;
mod clocks;
mod desk;
mod facts;
mod feed;
mod find;
mod follow;
mod gate;
mod held;
mod intake;
mod intents;
mod keys;
mod late;
mod leads;
mod maintain;
mod people;
mod playbook;
mod policy;
mod push;
mod restore;
mod results;
mod rows;
mod shelf;
mod sweep;
mod twins;

pub use automate::{Automated, JudgedLead};
pub use feed::{NewsPage, View};
pub use find::{FoundLead, Searched};
pub use gate::{Accepted, Base, Gate, GateJob, GatePush, Judged, LocalGate};
pub use held::{HeldItem, HeldState};
pub use intake::{IntakeKey, NewSignal, RecordedSignals, SignalOutcome, SignalRefusal};
pub use intents::{Intent, IntentState, Leased, RuleHealth, Sent};
pub use late::LateWork;
pub use leads::{Assigned, LeadOwner, NewLead, ReadRefused};
pub use people::{DeviceRow, DeviceStatus, Greeting, Principal, TeamRow, UserRow};
pub use policy::Published;
pub use push::{Incoming, Prepared, Settled};
pub use rows::{Header, Tie};
pub use sweep::{Hands, OneHand, Part};

/// The format of a company's store that this build writes.
pub const FORMAT: u32 = 1;
/// The user that the server's own changes name.
pub const SERVER_USER: UserId = UserId([0xff; 8]);

/// Why a company operation failed. Outcomes that a person expects (a conflict, a refusal) are values, not errors.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CompanyError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored row cannot be read: the store is damaged or was written by another version.
    #[error("row {key} of the store cannot be read: {detail}")]
    Row {
        /// The key, printable.
        key: String,
        /// What the decoder said.
        detail: String,
    },
    /// There is no such user, team, device, lead or held item.
    #[error("there is no {what} {id}")]
    Unknown {
        /// What was looked for.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// Something stands in the way of it.
    #[error("{0}")]
    Refused(String),
    /// Others kept changing what was to be changed; try again.
    #[error("the store changed while this was being decided; try again")]
    Contended,
}

/// One company over its store.
#[derive(Clone)]
pub struct Company {
    store: Arc<dyn Store>,
    meta: Arc<rows::Meta>,
    lock_after_days: u32,
    /// The policy as it was read last.
    policies: Arc<policy::PolicyRead>,
    /// How many open leads each has.
    tallies: Arc<results::Tallies>,
}

/// How often a planned batch is planned again when its guards fail.
const TRIES: usize = 16;

impl Company {
    /// Opens the company of a store, founding it when the store is empty. `seed` is 64 fresh random bytes, used only at the founding.
    ///
    /// # Errors
    /// [`StoreError::TooNew`] for a store of a newer version; [`CompanyError::Row`] for a damaged one.
    pub fn open(store: Arc<dyn Store>, name: &str, seed: &[u8; 64]) -> Result<Self, CompanyError> {
        let found = store.get_many(&[FORMAT_KEY, keys::META])?;
        let [format, meta] = &found[..] else { return Err(CompanyError::Contended) };
        format_of(format.as_deref(), FORMAT)?;
        if let Some(meta) = meta {
            let meta = Arc::new(rows::decode(keys::META, meta)?);
            let company = Self::over(store, meta);
            return company.found_directory()?.finish_following();
        }
        let meta = rows::Meta::found(name, seed);
        let mut batch = Batch::new();
        batch
            .guard(keys::META, None)
            .put(FORMAT_KEY, FORMAT.to_be_bytes())
            .put(keys::META, rows::encode(&meta));
        let company = Self::over(store, Arc::new(meta));
        match company.store.commit_one(batch)? {
            Outcome::Done(_) => company.found_directory(),
            Outcome::Conflict(_) => Err(CompanyError::Contended),
        }
    }

    fn over(store: Arc<dyn Store>, meta: Arc<rows::Meta>) -> Self {
        let lock_after_days = limits::LOCK_AFTER_DAYS;
        Self { store, meta, lock_after_days, policies: Arc::default(), tallies: Arc::default() }
    }

    /// Begins a new log epoch: to be called once after the store was restored from a backup, before any phone connects. Returns
    /// the company with its new server actor. The epoch is named after `now_ms` (server time), so that two restores of one backup do
    /// not share it.
    ///
    /// # Errors
    /// As [`Company::open`].
    pub fn restored(self, now_ms: i64) -> Result<Self, CompanyError> {
        let mut meta = (*self.meta).clone();
        meta.past.push((meta.epoch, self.store.head()?));
        // In seconds it fits the actor's 32 bits until 2106.
        meta.epoch = (meta.epoch + 1).max(now_ms.max(0).unsigned_abs() / 1_000);
        let mut batch = Batch::new();
        batch.put(keys::META, rows::encode(&meta));
        self.store.commit_one(batch)?;
        Ok(Self { meta: Arc::new(meta), ..self })
    }

    /// Sets after how many days without contact a phone locks its reads.
    #[must_use]
    pub fn with_lock_after_days(self, lock_after_days: u32) -> Self {
        Self { lock_after_days, ..self }
    }

    /// The company's name.
    pub fn name(&self) -> &str {
        &self.meta.name
    }

    /// The current log epoch, from 1.
    pub fn epoch(&self) -> u64 {
        self.meta.epoch
    }

    /// Whether the store came back from a backup once: this company may have forgotten people, teams and documents that were its own.
    pub fn is_restored(&self) -> bool {
        !self.meta.past.is_empty()
    }

    /// The store under it.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The server's own device.
    pub fn server_device(&self) -> DeviceId {
        self.meta.device
    }

    /// The actor of the server's own changes. A restore starts a new one.
    pub(crate) fn actor(&self) -> Actor {
        Actor { device: self.meta.device, incarnation: self.meta.epoch as u32 }
    }

    /// The stamp of an act of the server at `now_ms`.
    pub(crate) fn stamp(&self, now_ms: i64) -> Stamp {
        Stamp {
            user: SERVER_USER,
            moment: Moment { wall_ms: now_ms, boot: 0, mono_ms: 0 },
            offset_ms: Some(now_ms),
            last_contact_ms: now_ms,
        }
    }

    /// The server's receipt for a document at these heads, which vouch for its whole history: 16 bytes.
    pub(crate) fn receipt(&self, epoch: u64, doc: DocId, heads: &[Hash32]) -> Vec<u8> {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.meta.receipt_key) else { return Vec::new() };
        mac.update(b"fieldbook/receipt/1");
        mac.update(&epoch.to_be_bytes());
        mac.update(&doc.0);
        let mut sorted = heads.to_vec();
        sorted.sort_unstable();
        for head in sorted {
            mac.update(&head.0);
        }
        mac.finalize().into_bytes()[..16].to_vec()
    }

    /// Every row under a prefix, in order, a page at a time.
    fn each_row(
        &self,
        prefix: &[u8],
        mut row: impl FnMut(&[u8], &[u8]) -> Result<(), CompanyError>,
    ) -> Result<(), CompanyError> {
        let mut range = Range::prefix(prefix);
        loop {
            let page = self.store.scan(&range, Direction::Forward, limits::SCAN_MAX_ROWS)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            range = Range::prefix_after(prefix, last);
            page.iter().try_for_each(|(key, value)| row(key, value))?;
        }
    }

    /// The leads whose ids stand behind a prefix.
    fn leads_under(&self, prefix: &[u8]) -> Result<Vec<DocId>, CompanyError> {
        let mut leads = Vec::new();
        self.each_row(prefix, |key, _| {
            leads.extend(DocId::from_slice(&key[prefix.len()..]));
            Ok(())
        })?;
        Ok(leads)
    }

    /// Plans and commits until the guards hold.
    fn transact<T>(
        &self,
        mut plan: impl FnMut() -> Result<(Batch, T), CompanyError>,
    ) -> Result<(T, Option<Position>), CompanyError> {
        for _ in 0..TRIES {
            let (batch, result) = plan()?;
            if batch.is_empty() {
                return Ok((result, None));
            }
            if let Outcome::Done(position) = self.store.commit_one(batch)? {
                return Ok((result, position));
            }
        }
        Err(CompanyError::Contended)
    }
}
