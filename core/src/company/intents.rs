//! Intents (O9, C77, C88): what is to leave the company, each under one key that its receiver knows it by, with an expiry behind which it is
//! never sent. An intent is written in the batch that records why; a worker takes it, sends it, and says what came of it. Whoever dies in
//! between leaves it to the next: it leaves at least once, and the receiver sees one.

use minicbor::{Decode, Encode};
use serde::Serialize;

use super::rows::{decode, encode};
use super::{Company, CompanyError, keys};
use crate::ids::{DocId, EntryId, UserId};
use crate::store::jobs::{self, Lease};
use crate::store::{Batch, Direction, Range};

/// The queue of intents that wait.
const QUEUE: &str = "intents";
/// How long a worker may take over one, milliseconds.
const LEASE_MS: i64 = 60_000;
/// The first pause after a failure; it doubles with each.
const RETRY_MS: i64 = 5_000;
/// The longest pause.
const RETRY_MAX_MS: i64 = 10 * 60_000;
/// How long a paused rule waits until one intent of it is tried again.
const PROBE_MS: i64 = 10 * 60_000;
/// Failures of one rule in a row that pause it (C88).
const FAILURES_TO_PAUSE: u32 = 3;

/// Something that is to leave the company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct Intent {
    /// The key by which its receiver knows it: what fired, or what cured it.
    #[n(0)]
    pub id: EntryId,
    /// The rule.
    #[n(1)]
    pub rule: String,
    /// About which lead.
    #[n(2)]
    pub lead: DocId,
    /// Who is to be told; nobody: whoever the receiver tells of such things.
    #[n(3)]
    pub tell: Vec<UserId>,
    /// What, in Chinese. It names no colleague; the customer only where a template of the company's does.
    #[n(4)]
    pub text: String,
    /// The version of the policy by which it fired.
    #[n(5)]
    pub policy: EntryId,
    /// When it was decided, milliseconds since 1970 UTC.
    #[n(6)]
    pub decided_ms: i64,
    /// Behind this it is not sent any more, milliseconds since 1970 UTC.
    #[n(7)]
    pub expires_ms: i64,
    /// What became of it.
    #[n(8)]
    pub state: IntentState,
    /// How often it was tried.
    #[n(9)]
    pub tries: u32,
}

/// What became of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Encode, Decode)]
#[serde(rename_all = "snake_case", tag = "state", content = "at_ms")]
pub enum IntentState {
    /// It waits.
    #[n(0)]
    Waiting,
    /// The receiver has it, since then.
    #[n(1)]
    Sent(#[n(0)] i64),
    /// It expired, and a person is to be asked.
    #[n(2)]
    Expired(#[n(0)] i64),
    /// The receiver does not want it, since then.
    #[n(3)]
    Refused(#[n(0)] i64),
}

/// What came of sending one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The receiver has it.
    Delivered,
    /// The receiver does not want it, and never will.
    Refused,
    /// It did not get through; it is tried again.
    Failed,
}

/// How an automation fares (C88).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct RuleHealth {
    /// Failures in a row.
    #[n(0)]
    pub failures: u32,
    /// Since when it is paused, milliseconds since 1970 UTC.
    #[n(1)]
    pub paused_ms: Option<i64>,
}

/// An intent that a worker holds.
#[derive(Debug)]
pub struct Leased {
    /// The intent.
    pub intent: Intent,
    lease: Lease,
}

/// Adds an intent to a batch, once: the batch conflicts with nothing, for whoever decided it guards the decision.
pub(super) fn plan_intent(batch: &mut Batch, intent: &Intent) {
    batch.put(keys::intent(intent.id), encode(intent));
    jobs::enqueue(batch, QUEUE, intent.decided_ms, &intent.id.0, &[]);
}

impl Company {
    /// Takes up to `most` intents that are to be sent now; those that are too late expire. Of a paused rule one is tried every ten minutes.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn lease_intents(&self, now_ms: i64, most: usize) -> Result<Vec<Leased>, CompanyError> {
        let mut found = Vec::new();
        for lease in jobs::lease(&*self.store, QUEUE, now_ms, LEASE_MS, most)? {
            let key = intent_key(&lease.key);
            let Some(row) = self.store.get(&key)? else {
                self.drop_job(&lease)?;
                continue;
            };
            let mut intent: Intent = decode(&key, &row)?;
            if intent.expires_ms <= now_ms && intent.state == IntentState::Waiting {
                intent.state = IntentState::Expired(now_ms);
                let mut batch = Batch::new();
                jobs::finish(&mut batch, &lease);
                batch.put(key, encode(&intent));
                self.store.commit_one(batch)?;
                continue;
            }
            // Of a paused rule one is let through now and then: when it gets there, the rule goes on by itself.
            let paused_ms = self.rule_health(&intent.rule)?.paused_ms;
            let tried = found.iter().any(|held: &Leased| held.intent.rule == intent.rule);
            if paused_ms.is_some_and(|paused_ms| tried || now_ms < paused_ms + PROBE_MS) {
                self.postpone(&lease, now_ms + PROBE_MS)?;
                continue;
            }
            found.push(Leased { intent, lease });
        }
        Ok(found)
    }

    /// Records what came of sending one. Gives the rule when this failure paused it: the administrator is to be told.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn settle_intent(
        &self,
        leased: Leased,
        sent: Sent,
        now_ms: i64,
    ) -> Result<Option<String>, CompanyError> {
        let Leased { intent, lease } = leased;
        match self.transact(|| self.plan_settled(intent.clone(), &lease, sent, now_ms)) {
            Ok((paused, _)) => Ok(paused.then_some(intent.rule)),
            // The lease was lost to another process, which sends it again under the same key and says what came of that.
            Err(CompanyError::Contended) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Plans what came of one; whether this pauses its rule.
    fn plan_settled(
        &self,
        mut intent: Intent,
        lease: &Lease,
        sent: Sent,
        now_ms: i64,
    ) -> Result<(Batch, bool), CompanyError> {
        let health_key = keys::rule_health(&intent.rule);
        let raw = self.store.get(&health_key)?;
        let mut health: RuleHealth =
            raw.as_deref().map_or(Ok(RuleHealth::default()), |row| decode(&health_key, row))?;
        intent.tries += 1;
        let mut batch = Batch::new();
        jobs::finish(&mut batch, lease);
        match sent {
            Sent::Delivered => intent.state = IntentState::Sent(now_ms),
            Sent::Refused => intent.state = IntentState::Refused(now_ms),
            Sent::Failed => {
                let pause_ms = RETRY_MS.saturating_mul(1 << intent.tries.min(16)).min(RETRY_MAX_MS);
                jobs::enqueue(&mut batch, QUEUE, now_ms + pause_ms, &intent.id.0, &[]);
            }
        }
        let was_paused = health.paused_ms.is_some();
        match sent {
            Sent::Delivered => health = RuleHealth::default(),
            Sent::Refused | Sent::Failed => health.failures += 1,
        }
        if health.failures >= FAILURES_TO_PAUSE {
            health.paused_ms = Some(now_ms);
        }
        batch.put(keys::intent(intent.id), encode(&intent));
        batch.guard(health_key.clone(), raw).put(health_key, encode(&health));
        Ok((batch, health.paused_ms.is_some() && !was_paused))
    }

    /// How an automation fares.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn rule_health(&self, rule: &str) -> Result<RuleHealth, CompanyError> {
        let key = keys::rule_health(rule);
        self.store.get(&key)?.map_or(Ok(RuleHealth::default()), |row| decode(&key, &row))
    }

    /// An intent.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`].
    pub fn intent(&self, id: EntryId) -> Result<Intent, CompanyError> {
        let key = keys::intent(id);
        let row = self.store.get(&key)?;
        row.map_or(Err(CompanyError::Unknown { what: "intent", id: id.to_string() }), |row| {
            decode(&key, &row)
        })
    }

    /// An intent, if there ever was one.
    pub(super) fn find_intent(&self, id: EntryId) -> Result<Option<Intent>, CompanyError> {
        let key = keys::intent(id);
        self.store.get(&key)?.map(|row| decode(&key, &row)).transpose()
    }

    /// Intents by id, a page at a time.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn intents(&self, after: Option<EntryId>, most: usize) -> Result<Vec<Intent>, CompanyError> {
        let mut range = Range::prefix(keys::INTENTS);
        if let Some(after) = after {
            range = Range::prefix_after(keys::INTENTS, &keys::intent(after));
        }
        let rows = self.store.scan(&range, Direction::Forward, most)?;
        rows.iter().map(|(key, row)| decode(key, row)).collect()
    }

    fn drop_job(&self, lease: &Lease) -> Result<(), CompanyError> {
        let mut batch = Batch::new();
        jobs::finish(&mut batch, lease);
        self.store.commit_one(batch)?;
        Ok(())
    }

    fn postpone(&self, lease: &Lease, until_ms: i64) -> Result<(), CompanyError> {
        let mut batch = Batch::new();
        jobs::finish(&mut batch, lease);
        jobs::enqueue(&mut batch, QUEUE, until_ms, &lease.key, &[]);
        self.store.commit_one(batch)?;
        Ok(())
    }
}

/// The row of an intent, by the key of its job.
fn intent_key(job: &[u8]) -> Vec<u8> {
    let mut id = [0; 16];
    let bytes = job.len().min(id.len());
    id[..bytes].copy_from_slice(&job[..bytes]);
    keys::intent(EntryId(id))
}
