//! Intake from other systems (C2, C10, C36–C38, C45, C81): the keys that they sign with, and the signals that they send. A signal becomes an
//! entry of its lead's log, under an id that follows from the system and from how it calls the signal: what is sent again is known.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use super::rows::{decode, encode};
use super::sweep::{Hands, by_hands};
use super::{Company, CompanyError, keys};
use crate::access::Channel;
use crate::document::Edit;
use crate::ids::{DocId, DocKind, EntryId};
use crate::limits;
use crate::model::{Event, Signal};
use crate::policy::Policy;
use crate::store::{Batch, Direction, Outcome, Range};

#[cfg(test)]
mod tests;

/// The key of another system (C2): what it sends is signed with it.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct IntakeKey {
    /// What the office calls it.
    #[n(0)]
    pub name: String,
    /// 首次来源 and 来源渠道 of leads that come by it (C10).
    #[n(1)]
    pub source: String,
    /// Of the signatures: HMAC-SHA-256.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub secret: [u8; 32],
    /// The system whose ids these are. A key that replaces another one is of the same system, so that what came by either is known.
    #[n(3)]
    pub system: EntryId,
    /// When it was made, milliseconds since 1970 UTC.
    #[n(4)]
    pub created_ms: i64,
    /// Since when it signs nothing any more, milliseconds since 1970 UTC.
    #[n(5)]
    pub revoked_ms: Option<i64>,
}

/// Without the secret: no log shows it.
impl fmt::Debug for IntakeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, source, system, created_ms, revoked_ms, .. } = self;
        f.debug_struct("IntakeKey")
            .field("name", name)
            .field("source", source)
            .field("system", system)
            .field("created_ms", created_ms)
            .field("revoked_ms", revoked_ms)
            .finish_non_exhaustive()
    }
}

/// A signal that another system sends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewSignal {
    /// How its sender calls it, 1 to [`limits::SENDER_ID_MAX_BYTES`]. Sent twice it counts once.
    pub id: String,
    /// The id of its lead, or how the same system called the lead when it created it.
    pub lead: String,
    /// What happened.
    pub signal: Signal,
}

/// What came of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalOutcome {
    /// It stands in the log of this lead now.
    Recorded(DocId),
    /// It stood there before.
    Known(DocId),
    /// It does not.
    Refused(SignalRefusal),
}

/// Why a signal was not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignalRefusal {
    /// It has no id, or too long a one.
    #[error("an id has 1 to {} bytes", limits::SENDER_ID_MAX_BYTES)]
    Id,
    /// The policy in force names no such kind.
    #[error("the policy in force has no such kind of signal")]
    UnknownKind,
    /// The policy wants a level of this kind, such as 服务风险等级 of a complaint (C42), and it has none of those; or it has one where none is
    /// wanted.
    #[error(
        "`level` has to be one of those that the policy names for this kind of signal, and to be left out where it names none"
    )]
    Level,
    /// Neither a lead's id nor what this system called one.
    #[error("there is no such lead")]
    NoSuchLead,
    /// It happened before 1970.
    #[error("`at_ms` is in milliseconds since 1970 UTC, and not negative")]
    Time,
    /// It is larger than [`limits::SIGNAL_MAX_BYTES`].
    #[error("a signal has up to {} bytes", limits::SIGNAL_MAX_BYTES)]
    TooLarge,
    /// The lead is as large as other systems may make it: [`limits::INTAKE_MAX_BYTES`].
    #[error("the lead takes no more signals: what people write into it needs the room")]
    Full,
    /// Others kept changing the lead. The same signal may be sent again.
    #[error("others kept changing the lead; send it again")]
    Contended,
    /// The stored lead is damaged.
    #[error("the lead cannot be read or written")]
    Damaged,
}

impl SignalRefusal {
    /// Stable, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Id => "bad_id",
            Self::UnknownKind => "unknown_kind",
            Self::Level => "bad_level",
            Self::NoSuchLead => "no_such_lead",
            Self::Time => "bad_time",
            Self::TooLarge => "too_large",
            Self::Full => "lead_full",
            Self::Contended => "contended",
            Self::Damaged => "lead_damaged",
        }
    }
}

/// What came of a lot of signals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedSignals {
    /// One for each, in order.
    pub outcomes: Vec<SignalOutcome>,
    /// Channels with news.
    pub touched: BTreeSet<Channel>,
}

impl IntakeKey {
    /// The external id of a lead that the system of this key calls `id`.
    pub fn external_id(&self, id: &str) -> String {
        format!("intake/{}/{id}", self.system)
    }

    /// The entry of a signal that the system of this key calls `id`.
    fn entry_id(&self, id: &str) -> EntryId {
        let mut hash = Sha256::new();
        hash.update(b"fieldbook/intake/1");
        hash.update(self.system.0);
        hash.update(id);
        let mut entry = [0; EntryId::LEN];
        entry.copy_from_slice(&hash.finalize()[..EntryId::LEN]);
        EntryId(entry)
    }
}

/// A signal that may be recorded, as the log keeps it.
struct Entry {
    /// Its place in the lot.
    at: usize,
    id: EntryId,
    body: String,
}

/// What is to be written into one lead.
#[derive(Default)]
struct Planned {
    batch: Batch,
    touched: BTreeSet<Channel>,
    /// What is so once the batch is written, by the place in the lot. Entries that are not here go with the next change.
    decided: Vec<(usize, SignalOutcome)>,
}

impl Company {
    /// Adds the key of another system.
    ///
    /// # Errors
    /// [`CompanyError::Refused`] for an id that is taken, and behind [`limits::INTAKE_KEYS_MAX`] keys.
    pub fn put_intake_key(&self, id: EntryId, key: &IntakeKey) -> Result<(), CompanyError> {
        if self.intake_keys()?.len() >= limits::INTAKE_KEYS_MAX {
            return Err(CompanyError::Refused(format!(
                "there are {} intake keys already",
                limits::INTAKE_KEYS_MAX
            )));
        }
        let mut batch = Batch::new();
        batch.guard(keys::intake_key(id), None).put(keys::intake_key(id), encode(key));
        match self.store.commit_one(batch)? {
            Outcome::Done(_) => Ok(()),
            Outcome::Conflict(_) => Err(CompanyError::Refused(format!("intake key {id} exists already"))),
        }
    }

    /// Every key, the revoked ones too, by id.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn intake_keys(&self) -> Result<Vec<(EntryId, IntakeKey)>, CompanyError> {
        let range = Range::prefix(keys::INTAKE_KEYS);
        let rows = self.store.scan(&range, Direction::Forward, limits::SCAN_MAX_ROWS)?;
        let id = |key: &[u8]| EntryId::from_slice(&key[keys::INTAKE_KEYS.len()..]).unwrap_or_default();
        rows.iter().map(|(key, row)| Ok((id(key), decode(key, row)?))).collect()
    }

    /// A key, revoked or not.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`].
    pub fn intake_key(&self, id: EntryId) -> Result<IntakeKey, CompanyError> {
        let key = keys::intake_key(id);
        let row = self.store.get(&key)?;
        row.map_or(Err(CompanyError::Unknown { what: "intake key", id: id.to_string() }), |row| {
            decode(&key, &row)
        })
    }

    /// Revokes a key for good; one that is revoked stays as it is.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`].
    pub fn revoke_intake_key(&self, id: EntryId, now_ms: i64) -> Result<(), CompanyError> {
        let plan = || {
            let mut batch = Batch::new();
            let known = self.intake_key(id)?;
            if known.revoked_ms.is_none() {
                let revoked = IntakeKey { revoked_ms: Some(now_ms), ..known.clone() };
                batch
                    .guard(keys::intake_key(id), Some(encode(&known)))
                    .put(keys::intake_key(id), encode(&revoked));
            }
            Ok((batch, ()))
        };
        self.transact(plan).map(|_| ())
    }

    /// The leads that the system of a key calls so.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn leads_called(&self, key: &IntakeKey, ids: &[&str]) -> Result<Vec<Option<DocId>>, CompanyError> {
        let rows: Vec<Vec<u8>> = ids.iter().map(|id| keys::external(&key.external_id(id))).collect();
        let found = self.store.get_many(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        Ok(found.into_iter().map(|lead| DocId::from_slice(&lead?)).collect())
    }

    /// Records what another system tells of leads, in the server's name: of each lead in one change (several, where they are too long for
    /// one), of all leads with one flush. A lead that was deleted takes signals too. What happened later than `now_ms` happened now. Several
    /// hands read the leads.
    ///
    /// # Errors
    /// [`CompanyError`] of the store: then some may be recorded, and sending all again doubles none. [`CompanyError::Refused`] where the policy
    /// in force cannot be read.
    pub fn record_signals(
        &self,
        key: &IntakeKey,
        signals: &[NewSignal],
        now_ms: i64,
        hands: &dyn Hands,
    ) -> Result<RecordedSignals, CompanyError> {
        let policies = self.policies()?;
        let policy = policies.at(now_ms).policy.clone().ok_or_else(|| {
            CompanyError::Refused("the policy in force was written by a newer version".to_owned())
        })?;
        let leads = self.leads_named(key, signals)?;
        let mut outcomes = Vec::with_capacity(signals.len());
        let mut open: BTreeMap<DocId, Vec<Entry>> = BTreeMap::new();
        for (at, signal) in signals.iter().enumerate() {
            outcomes.push(match entry_of(key, signal, &leads, &policy, now_ms) {
                Ok((lead, id, body)) => {
                    open.entry(lead).or_default().push(Entry { at, id, body });
                    // What it stays as when it is given up.
                    SignalOutcome::Refused(SignalRefusal::Contended)
                }
                Err(refusal) => SignalOutcome::Refused(refusal),
            });
        }
        let mut recorded = RecordedSignals { outcomes, touched: BTreeSet::new() };
        let mut tries = 0;
        while !open.is_empty() && tries < super::TRIES {
            tries += usize::from(self.record_round(&mut open, &mut recorded, now_ms, hands)?);
        }
        Ok(recorded)
    }

    /// Writes one change into each open lead; whether others were faster in one of them.
    fn record_round(
        &self,
        open: &mut BTreeMap<DocId, Vec<Entry>>,
        recorded: &mut RecordedSignals,
        now_ms: i64,
        hands: &dyn Hands,
    ) -> Result<bool, CompanyError> {
        let leads: Vec<(DocId, &Vec<Entry>)> = open.iter().map(|(lead, entries)| (*lead, entries)).collect();
        let plans = by_hands(&leads, hands, |(lead, entries)| self.plan_signals(*lead, entries, now_ms));
        let (mut batches, mut planned) = (Vec::with_capacity(plans.len()), Vec::with_capacity(plans.len()));
        let mut was_overtaken = false;
        let mut decided: Vec<(DocId, Vec<(usize, SignalOutcome)>)> = Vec::new();
        for (lead, plan) in leads.iter().map(|(lead, _)| *lead).zip(plans) {
            let plan = plan?;
            if plan.batch.is_empty() {
                decided.push((lead, plan.decided));
            } else {
                batches.push(plan.batch);
                planned.push((lead, plan.touched, plan.decided));
            }
        }
        let written = if batches.is_empty() { Vec::new() } else { self.store.commit(batches)? };
        for ((lead, touched, said), outcome) in planned.into_iter().zip(written) {
            match outcome {
                Outcome::Done(_) => {
                    recorded.touched.extend(touched);
                    decided.push((lead, said));
                }
                Outcome::Conflict(_) => was_overtaken = true,
            }
        }
        for (lead, said) in decided {
            let places: BTreeSet<usize> = said.iter().map(|(at, _)| *at).collect();
            for (at, outcome) in said {
                recorded.outcomes[at] = outcome;
            }
            if let Some(entries) = open.get_mut(&lead) {
                entries.retain(|entry| !places.contains(&entry.at));
                if entries.is_empty() {
                    open.remove(&lead);
                }
            }
        }
        Ok(was_overtaken)
    }

    /// The leads that signals name, by the name.
    fn leads_named<'a>(
        &self,
        key: &IntakeKey,
        signals: &'a [NewSignal],
    ) -> Result<BTreeMap<&'a str, DocId>, CompanyError> {
        let names: BTreeSet<&str> = signals.iter().map(|signal| signal.lead.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let ids: Vec<(&str, DocId)> = names
            .iter()
            .filter_map(|name| Some((*name, name.parse::<DocId>().ok()?)))
            .filter(|(_, id)| id.kind() == Some(DocKind::Lead))
            .collect();
        let rows: Vec<Vec<u8>> = ids.iter().map(|(_, id)| keys::header(*id)).collect();
        let headers = self.store.get_many(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let called = self.leads_called(key, &names)?;
        let called = names.into_iter().zip(called).filter_map(|(name, lead)| Some((name, lead?)));
        let mut found: BTreeMap<&str, DocId> = called.collect();
        // An id of ours names our lead, whatever the system calls so.
        found.extend(ids.into_iter().zip(headers).filter(|(_, header)| header.is_some()).map(|(id, _)| id));
        Ok(found)
    }

    /// What is to be written into a lead of these signals. Only a store that fails is an error: a lead that is damaged keeps no other one from
    /// its signals.
    fn plan_signals(&self, lead: DocId, entries: &[Entry], now_ms: i64) -> Result<Planned, CompanyError> {
        let refused = |refusal| Planned {
            decided: entries.iter().map(|entry| (entry.at, SignalOutcome::Refused(refusal))).collect(),
            ..Planned::default()
        };
        match self.plan_appended(lead, entries, now_ms) {
            Ok(Some(planned)) => Ok(planned),
            Ok(None) => Ok(refused(SignalRefusal::NoSuchLead)),
            Err(CompanyError::Store(error)) => Err(error.into()),
            Err(_) => Ok(refused(SignalRefusal::Damaged)),
        }
    }

    fn plan_appended(
        &self,
        lead: DocId,
        entries: &[Entry],
        now_ms: i64,
    ) -> Result<Option<Planned>, CompanyError> {
        let own = self.own(lead, None)?;
        let Some(ties) = own.header.as_ref().filter(|header| !header.erased).map(|header| header.access())
        else {
            return Ok(None);
        };
        let mut planned = Planned::default();
        let (mut edits, mut fresh, mut weight) = (Vec::new(), BTreeSet::new(), 0);
        let mut room = limits::INTAKE_MAX_BYTES.saturating_sub(own.doc.plain_bytes());
        for entry in entries {
            let bytes = entry.body.len() + ENTRY_BYTES;
            let outcome = if fresh.contains(&entry.id) || own.doc.has_entry(LOG, entry.id) {
                SignalOutcome::Known(lead)
            } else if bytes > room {
                SignalOutcome::Refused(SignalRefusal::Full)
            } else if weight > 0 && weight + bytes > CHANGE_BYTES {
                break;
            } else {
                (room, weight) = (room - bytes, weight + bytes);
                fresh.insert(entry.id);
                edits.push(Edit::Append { log: LOG.to_owned(), id: entry.id, body: entry.body.clone() });
                SignalOutcome::Recorded(lead)
            };
            planned.decided.push((entry.at, outcome));
        }
        if !edits.is_empty() {
            planned.touched = self.plan_own(&mut planned.batch, own, &edits, &ties, now_ms)?;
        }
        Ok(Some(planned))
    }
}

/// Lead, id and body of the entry that a signal becomes.
fn entry_of(
    key: &IntakeKey,
    signal: &NewSignal,
    leads: &BTreeMap<&str, DocId>,
    policy: &Policy,
    now_ms: i64,
) -> Result<(DocId, EntryId, String), SignalRefusal> {
    if signal.id.is_empty() || signal.id.len() > limits::SENDER_ID_MAX_BYTES {
        return Err(SignalRefusal::Id);
    }
    let kind = policy.signals.iter().find(|kind| kind.id == signal.signal.kind);
    if !kind.ok_or(SignalRefusal::UnknownKind)?.admits_level(&signal.signal.level) {
        return Err(SignalRefusal::Level);
    }
    if signal.signal.at_ms.is_some_and(|at_ms| at_ms < 0) {
        return Err(SignalRefusal::Time);
    }
    let lead = leads.get(signal.lead.as_str()).copied().ok_or(SignalRefusal::NoSuchLead)?;
    let at_ms = signal.signal.at_ms.map(|at_ms| at_ms.min(now_ms));
    let event = Event::Signal(Signal { at_ms, ..signal.signal.clone() });
    // A plain struct of texts and numbers has no way to fail.
    let body = serde_json::to_string(&event).unwrap_or_default();
    if body.len() > limits::SIGNAL_MAX_BYTES {
        return Err(SignalRefusal::TooLarge);
    }
    Ok((lead, key.entry_id(&signal.id), body))
}

/// The log of a lead that signals stand in.
const LOG: &str = "events";
/// Id, author and references of an entry in a document that is not deflated.
const ENTRY_BYTES: usize = 96;
/// What goes into one change: half of what it may hold, for the weights are estimates.
const CHANGE_BYTES: usize = limits::CHANGE_MAX_BYTES / 2;
