//! Automation over the log (O2): every lead that changed, and every lead of which something comes due, is judged; what is to be done is
//! recorded in its ruling together with the intents that tell of it, in one batch. What was read of the log is noted behind that, so a process
//! that dies in between judges the same leads again, and finds everything recorded.
//!
//! A timer is a row by the moment at which it is due: a million of them cost what is due. It says only "look at this lead"; one that was
//! overtaken by events finds nothing to do. A change of the policy is a timer too, behind which every lead is judged again ([`super::sweep`]).

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use minicbor::{Decode, Encode};

use super::desk::Desk;
use super::facts::FactRow;
use super::intents::{Intent, IntentState, plan_intent};
use super::leads::{assignment_edits, family, origin_of};
use super::rows::{Header, decode, encode};
use super::sweep::{Hands, OneHand};
use super::twins::{print_of, same_as};
use super::{Company, CompanyError, SERVER_USER, View, keys};
use crate::access::{Channel, Role};
use crate::document::{Doc, Edit};
use crate::ids::{DocId, DocKind, EntryId, Hash32, UserId};
use crate::limits;
use crate::model::{Decision, RulingModel};
use crate::rules::assignment::Candidate;
use crate::rules::automation::{Act, Automation, plan_and_count};
use crate::rules::outcome::LeadOutcome;
use crate::rules::{Facts, Says, next_hour};
use crate::store::jobs::{self, Lease};
use crate::store::{Batch, Outcome, Position};
use crate::sync::message::Fill;

/// The queue of timers.
pub(super) const QUEUE: &str = "timers";
/// How long a process may take over a due timer, milliseconds.
const LEASE_MS: i64 = 60_000;
/// How long an intent may wait for its receiver, milliseconds: a day, behind which a message about "now" is none.
const INTENT_TTL_MS: i64 = 24 * 3_600_000;
/// Positions of the log that hold nothing of leads, behind which the note catches up with them.
const NOTE_AFTER: Position = 4_096;
/// What is kept of a judgement by this build; with another one every lead is judged again.
const JUDGED_FORMAT: [u8; 1] = [3];
/// The timer of a change of the policy: no document has this id.
pub(super) const SWEEP: &[u8] = b"sweep";

/// What one round did.
#[derive(Debug, Clone, Default)]
pub struct Automated {
    /// Leads that were looked at.
    pub judged: usize,
    /// Of them, those about which something was done.
    pub acted: usize,
    /// Leads that could not be judged, each with why; they are looked at again when they change.
    pub failed: Vec<(DocId, String)>,
    /// Channels with news.
    pub touched: BTreeSet<Channel>,
    /// Whether there is more to do at once.
    pub more: bool,
}

/// What was judged of a lead last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct JudgedLead {
    /// When something of it comes due next, milliseconds since 1970 UTC.
    #[n(1)]
    pub next_ms: Option<i64>,
    /// What the figures count of it; `None`: it could not be said.
    #[n(2)]
    pub outcome: Option<LeadOutcome>,
    /// By which leads of one customer know each other; `None`: it is won, lost or deleted, or has no telephone number.
    #[n(4)]
    pub(super) print: Option<EntryId>,
    /// Whose it is, won or lost too, as long as it is not deleted: to whom its results count.
    #[n(5)]
    pub(super) owner: Option<UserId>,
}

impl JudgedLead {
    /// Whose work it is: its owner, unless it is won, lost or deleted.
    pub fn worked_by(&self) -> Option<UserId> {
        let ended = self.outcome.as_ref().is_some_and(LeadOutcome::has_ended);
        self.owner.filter(|_| !ended)
    }
}

impl Company {
    /// One round: up to about `most` leads. To be called again at once while there is [`Automated::more`], else when the log or a timer has
    /// news.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn automate(&self, zone: &TimeZone, now_ms: i64, most: usize) -> Result<Automated, CompanyError> {
        self.automate_with(zone, now_ms, most, &OneHand)
    }

    /// As [`Company::automate`], by several hands where a change of the policy is to be felt by every lead.
    ///
    /// # Errors
    /// As [`Company::automate`].
    pub fn automate_with(
        &self,
        zone: &TimeZone,
        now_ms: i64,
        most: usize,
        hands: &dyn Hands,
    ) -> Result<Automated, CompanyError> {
        let mut done = Automated::default();
        let raw = self.store.get(keys::AUTOMATED)?;
        let cursor = raw.as_deref().and_then(|row| row.try_into().ok()).map_or(0, Position::from_be_bytes);
        let channels = BTreeMap::from([(Channel::Office(Role::Director), Fill::Complete)]);
        let view = View { channels, device: self.server_device(), own: BTreeSet::new() };
        let mut news = self.entries(&view, cursor)?;
        // As for phones: a lot never ends between documents that share a position, for the note could not say so.
        let most = most.max(1);
        let mut end = news.docs.len().min(most);
        while end < news.docs.len() && news.docs[end].0 == news.docs[end - 1].0 {
            end += 1;
        }
        if end < news.docs.len() {
            news.docs.truncate(end);
            news.upto = news.docs.last().map_or(news.upto, |(at, _)| *at);
            news.more = true;
        }
        let timers = jobs::lease(&*self.store, QUEUE, now_ms, LEASE_MS, most)?;
        done.more = news.more || timers.len() == most;
        let swept = self.swept()?;
        // Where nothing concerned a lead the note may lag: noting it would be news of its own, for ever.
        let noted = !news.docs.is_empty() || news.upto > cursor + NOTE_AFTER;
        if news.docs.is_empty() && timers.is_empty() && swept.is_none() {
            if noted {
                self.read_up_to(raw, cursor, news.upto)?;
            }
            return Ok(done);
        }
        let mut desk = self.desk(zone, now_ms)?;
        let mut leads = BTreeSet::new();
        for (_, doc) in &news.docs {
            if doc.kind() == Some(DocKind::Account) {
                // What is known of the customer is known of each of their leads.
                leads.extend(self.leads_under(&keys::links(*doc))?);
                continue;
            }
            let origin = self.header(*doc)?.and_then(|header| header.origin);
            leads.extend(self.lead_of(*doc, origin.as_ref()));
        }
        let mut lot = Vec::with_capacity(leads.len() + timers.len());
        let mut arrived = Batch::new();
        for timer in timers {
            if timer.key == SWEEP {
                self.begin_sweep(&timer)?;
                done.more = true;
            } else if let Ok(hash) = timer.key.as_slice().try_into() {
                // The bytes of evidence have come.
                leads.extend(self.leads_under(&keys::awaiting(Hash32(hash)))?);
                jobs::finish(&mut arrived, &timer);
            } else if let Some(lead) = DocId::from_slice(&timer.key) {
                leads.remove(&lead);
                lot.push((lead, Some(timer)));
            }
        }
        lot.extend(leads.into_iter().map(|lead| (lead, None)));
        // An account may have many leads: no commit holds the store for all of them.
        while !lot.is_empty() {
            let rest = lot.split_off(lot.len().min(most));
            self.automate_lot(&mut desk, lot, now_ms, &mut done)?;
            lot = rest;
        }
        if !arrived.is_empty() {
            self.store.commit_one(arrived)?;
        }
        if noted {
            self.read_up_to(raw, cursor, news.upto)?;
        }
        if let Some(after) = swept {
            done.more |= self.sweep(&mut desk, &after, most, now_ms, hands, &mut done)?;
        }
        Ok(done)
    }

    /// What was judged of a lead last.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn judged(&self, lead: DocId) -> Result<Option<JudgedLead>, CompanyError> {
        let key = keys::judged(lead);
        self.store.get(&key)?.map(|row| decode(&key, &row)).transpose()
    }

    /// What the figures count of every lead, as it was judged last.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn outcomes(&self) -> Result<Vec<LeadOutcome>, CompanyError> {
        let mut found = Vec::new();
        self.each_row(keys::JUDGED, |key, row| {
            found.extend(decode::<JudgedLead>(key, row)?.outcome);
            Ok(())
        })?;
        Ok(found)
    }

    /// How far a sweep is, if there is one; one begins by itself where the rows are of another version.
    fn swept(&self) -> Result<Option<Vec<u8>>, CompanyError> {
        let found = self.store.get_many(&[keys::SWEPT, keys::JUDGED_FORMAT])?;
        let [swept, format] = <[_; 2]>::try_from(found).unwrap_or_default();
        if format.as_deref() == Some(&JUDGED_FORMAT) {
            return Ok(swept);
        }
        let mut batch = Batch::new();
        batch.guard(keys::JUDGED_FORMAT, format).put(keys::JUDGED_FORMAT, JUDGED_FORMAT).put(keys::SWEPT, []);
        self.store.commit_one(batch)?;
        Ok(Some(Vec::new()))
    }

    fn read_up_to(&self, raw: Option<Vec<u8>>, cursor: Position, upto: Position) -> Result<(), CompanyError> {
        if upto > cursor {
            let mut batch = Batch::new();
            batch.guard(keys::AUTOMATED, raw).put(keys::AUTOMATED, upto.to_be_bytes());
            // Another process that read the same did the same.
            self.store.commit_one(batch)?;
        }
        Ok(())
    }

    /// Judges leads right away, ahead of the news that their writing is: those that just came and are to be given to somebody. What was
    /// written behind [`Company::automate`]'s back is looked at there again, and found done.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn automate_leads(
        &self,
        leads: &[DocId],
        zone: &TimeZone,
        now_ms: i64,
    ) -> Result<Automated, CompanyError> {
        let mut done = Automated::default();
        let mut desk = self.desk(zone, now_ms)?;
        let lot = leads.iter().map(|lead| (*lead, None)).collect();
        self.automate_lot(&mut desk, lot, now_ms, &mut done)?;
        Ok(done)
    }

    /// Judges leads and does what is to be done, with one flush for all of them.
    pub(super) fn automate_lot(
        &self,
        desk: &mut Desk<'_>,
        lot: Vec<(DocId, Option<Lease>)>,
        now_ms: i64,
        done: &mut Automated,
    ) -> Result<(), CompanyError> {
        let (mut batches, mut planned, mut alone) = (Vec::new(), Vec::new(), Vec::new());
        for (lead, timer) in lot {
            match self.plan_lead(desk, lead, timer.as_ref(), now_ms) {
                Ok((batch, looked)) => {
                    let looked = looked.unwrap_or_default();
                    desk.moves(looked.moved);
                    batches.push(batch);
                    planned.push((lead, timer, looked));
                }
                Err(error) => self.give_up(lead, timer.as_ref(), error, done)?,
            }
        }
        let outcomes = self.store.commit(batches)?;
        for ((lead, timer, looked), outcome) in planned.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Done(_) => self.looked(looked, done),
                Outcome::Conflict(_) => {
                    let (from, to) = looked.moved;
                    desk.moves((to, from));
                    alone.push((lead, timer));
                }
            }
        }
        for (lead, timer) in alone {
            self.automate_lead(desk, lead, timer.as_ref(), now_ms, done)?;
        }
        Ok(())
    }

    /// Judges one lead, as often as others change it meanwhile.
    fn automate_lead(
        &self,
        desk: &mut Desk<'_>,
        lead: DocId,
        timer: Option<&Lease>,
        now_ms: i64,
        done: &mut Automated,
    ) -> Result<(), CompanyError> {
        match self.transact(|| self.plan_lead(desk, lead, timer, now_ms)) {
            Ok((looked, _)) => {
                let looked = looked.unwrap_or_default();
                desk.moves(looked.moved);
                self.looked(looked, done);
                Ok(())
            }
            Err(error) => self.give_up(lead, timer, error, done),
        }
    }

    fn looked(&self, looked: Looked, done: &mut Automated) {
        let Looked { moved, acted } = looked;
        done.judged += 1;
        self.tallies.moved(moved);
        if let Some(touched) = acted {
            done.acted += 1;
            done.touched.extend(touched);
        }
    }

    /// Without its disk nothing goes on. A lead that is damaged, or that others keep changing, keeps no other lead waiting.
    fn give_up(
        &self,
        lead: DocId,
        timer: Option<&Lease>,
        error: CompanyError,
        done: &mut Automated,
    ) -> Result<(), CompanyError> {
        if let CompanyError::Store(error) = error {
            return Err(error.into());
        }
        done.judged += 1;
        done.failed.push((lead, error.to_string()));
        // What others kept changing may be looked at again: the lease runs out, and its timer rings once more.
        let is_over = !matches!(error, CompanyError::Contended);
        if let Some(timer) = timer.filter(|_| is_over) {
            let mut batch = Batch::new();
            jobs::finish(&mut batch, timer);
            self.store.commit_one(batch)?;
        }
        Ok(())
    }

    fn plan_lead(
        &self,
        desk: &Desk<'_>,
        lead: DocId,
        timer: Option<&Lease>,
        now_ms: i64,
    ) -> Result<(Batch, Option<Looked>), CompanyError> {
        let mut batch = Batch::new();
        if let Some(timer) = timer {
            jobs::finish(&mut batch, timer);
        }
        let ruling = self.own(DocId::ruling_of(lead), Some(origin_of(lead)))?;
        let (Some(_), Some(doc)) = (&ruling.header, self.there(lead)?) else { return Ok((batch, None)) };
        let read = RulingModel::read(&ruling.doc, &crate::document::NoClocks);
        let row = self.facts_of(lead, &doc, read)?;
        let (mut acts, now) = judge_lead(&row.facts(lead, desk, now_ms), &desk.candidates);
        acts.extend(self.plan_arrivals(&mut batch, lead, &doc, &row.ruling)?);
        let before = self.note(&mut batch, lead, &now)?;
        let moved = (before.worked_by(), now.worked_by());
        let by = (desk.policies.at(now_ms).id, now_ms);
        acts.extend(self.plan_twins(&mut batch, lead, &row, (&before, &now), by)?);
        self.keep_facts(&mut batch, lead, &row)?;
        if acts.is_empty() {
            return Ok((batch, Some(Looked { moved, acted: None })));
        }
        let touched = self.plan_acts(&mut batch, desk, lead, ruling, &row.ruling, acts, now_ms)?;
        Ok((batch, Some(Looked { moved, acted: Some(touched) })))
    }

    /// Keeps what the rules read.
    fn keep_facts(&self, batch: &mut Batch, lead: DocId, row: &FactRow) -> Result<(), CompanyError> {
        let (key, row) = (keys::facts(lead), row.encode());
        let before = self.store.get(&key)?;
        if row.len() > limits::FACTS_MAX_BYTES {
            // Of such a one the documents are read.
            batch.delete(key);
        } else if before.as_ref() != Some(&row) {
            batch.guard(key.clone(), before).put(key, row);
        }
        Ok(())
    }

    /// Keeps what was judged, and sets the timer where it is another than before. Gives what was judged before.
    fn note(&self, batch: &mut Batch, lead: DocId, now: &JudgedLead) -> Result<JudgedLead, CompanyError> {
        let key = keys::judged(lead);
        let raw = self.store.get(&key)?;
        // One that cannot be read is written anew: everything in it follows from the documents.
        let before: JudgedLead = raw.as_deref().and_then(|row| decode(&key, row).ok()).unwrap_or_default();
        plan_timer(batch, lead, &before, now);
        let row = encode(now);
        if raw.as_ref() != Some(&row) {
            batch.guard(key.clone(), raw).put(key, row);
        }
        Ok(before)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the one place where what was judged becomes what is written"
    )]
    fn plan_acts(
        &self,
        batch: &mut Batch,
        desk: &Desk<'_>,
        lead: DocId,
        ruling: super::maintain::Own,
        read: &RulingModel,
        acts: Vec<Act>,
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let mut owners: BTreeSet<UserId> =
            read.fields.owner.into_iter().chain(read.joint_owners.iter().copied()).collect();
        // Whoever the lead is given to in the same breath is its owner for what follows.
        let mut owner = read.fields.owner;
        let (mut edits, mut moved) = (Vec::new(), false);
        let record = |edits: &mut Vec<Edit>, id: EntryId, decision: &Decision| {
            let body = serde_json::to_string(decision).unwrap_or_default();
            edits.push(Edit::Append { log: "decisions".to_owned(), id, body });
        };
        for act in acts {
            match act {
                Act::Fire(id, firing, due_ms) => {
                    // Of what is as old as that nobody is told any more; it is in the record.
                    let expires_ms = due_ms.saturating_add(INTENT_TTL_MS);
                    if !firing.tell.is_empty() && expires_ms > now_ms {
                        let tell = desk.who(&firing.tell, owner);
                        let told = intent(id, &firing.rule, lead, tell, &firing.why, firing.policy, now_ms);
                        plan_intent(batch, &Intent { expires_ms, ..told });
                    }
                    record(&mut edits, id, &Decision::Fire(firing));
                }
                Act::Cure(id, cured) => {
                    // Whoever was told that it fired is told that it was for nothing.
                    if let Some(fired) = self.find_intent(cured.firing)? {
                        let policy = desk.policies.at(now_ms).id;
                        plan_intent(batch, &intent(id, "cure", lead, fired.tell, &cured.why, policy, now_ms));
                    }
                    record(&mut edits, id, &Decision::Cure(cured));
                }
                Act::Join(id, user, epoch) => {
                    edits.push(Edit::PutElement {
                        set: "joint_owners".to_owned(),
                        key: user.to_string(),
                        body: "{}".to_owned(),
                    });
                    record(&mut edits, id, &Decision::Join { user, epoch });
                    owners.insert(user);
                    moved = true;
                }
                Act::Assign { to, why, policy } => {
                    edits.extend(assignment_edits(lead, &ruling.doc, to, SERVER_USER, &why, Some(policy)));
                    owners = BTreeSet::from([to]);
                    owner = Some(to);
                    moved = true;
                }
                Act::Confirm(stage) => {
                    edits.push(Edit::Set { field: "stage".to_owned(), value: stage.into() })
                }
                Act::Link(other) => edits.push(same_as(Some(other))),
                Act::Receive(id, entry) => record(&mut edits, id, &Decision::Received { entry }),
                Act::Verify(id, hash) => record(&mut edits, id, &Decision::Verified { hash }),
            }
        }
        if !moved {
            // It stays with whom it is.
            let ties = ruling.header.as_ref().map(Header::access).unwrap_or_default();
            return self.plan_own(batch, ruling, &edits, &ties, now_ms);
        }
        let owners: Vec<UserId> = owners.into_iter().collect();
        let people = self.ties_now(&owners, None)?;
        people.guard(batch);
        let mut touched = self.plan_own(batch, ruling, &edits, &people.ties, now_ms)?;
        for id in family(lead).into_iter().filter(|id| *id != DocId::ruling_of(lead)) {
            touched.extend(self.plan_retie(batch, id, &people.ties)?);
        }
        if let Some(account) = self.header(lead)?.and_then(|header| header.link) {
            touched.extend(self.plan_account(batch, account, lead, &owners)?);
        }
        Ok(touched)
    }

    /// A document, if there is one.
    pub(super) fn there(&self, id: DocId) -> Result<Option<Doc>, CompanyError> {
        match self.load(id) {
            Ok(doc) => Ok(Some(doc)),
            Err(CompanyError::Unknown { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

/// What is to be done about a lead, and what is kept of the judgement.
pub(super) fn judge_lead(facts: &Facts<'_>, candidates: &[Candidate]) -> (Vec<Act>, JudgedLead) {
    // What cannot be said is not acted upon.
    let again = Automation { next_ms: Some(next_hour(facts.now_ms)), ..Automation::default() };
    let (plan, outcome) = plan_and_count(facts, candidates);
    let plan = plan.unwrap_or(again);
    let outcome = match outcome {
        Says::So(outcome) => Some(outcome),
        Says::Undetermined(_) => None,
    };
    let ended =
        outcome.as_ref().is_some_and(LeadOutcome::has_ended) || facts.lead.fields.deleted == Some(true);
    let assigned = plan.acts.iter().rev().find_map(|act| match act {
        Act::Assign { to, .. } => Some(*to),
        _ => None,
    });
    let owner = facts.ruling.and_then(|ruling| ruling.fields.owner);
    let owner = assigned.or(owner).filter(|_| facts.lead.fields.deleted != Some(true));
    let print = if ended { None } else { print_of(&facts.lead.fields) };
    (plan.acts, JudgedLead { next_ms: plan.next_ms, outcome, print, owner })
}

/// Sets the timer of a lead where it is another than before. One that was overtaken rings for nothing.
pub(super) fn plan_timer(batch: &mut Batch, lead: DocId, before: &JudgedLead, now: &JudgedLead) {
    if let Some(next_ms) = now.next_ms.filter(|_| now.next_ms != before.next_ms) {
        jobs::enqueue(batch, QUEUE, next_ms, &lead.0, &[]);
    }
}

/// What came of looking at a lead.
#[derive(Default)]
struct Looked {
    /// Whose work it was, and is.
    moved: (Option<UserId>, Option<UserId>),
    /// Where something was done: the channels with news.
    acted: Option<BTreeSet<Channel>>,
}

fn intent(
    id: EntryId,
    rule: &str,
    lead: DocId,
    tell: Vec<UserId>,
    text: &str,
    policy: EntryId,
    now_ms: i64,
) -> Intent {
    Intent {
        id,
        rule: rule.to_owned(),
        lead,
        tell,
        text: text.to_owned(),
        policy,
        decided_ms: now_ms,
        expires_ms: now_ms + INTENT_TTL_MS,
        state: IntentState::Waiting,
        tries: 0,
    }
}

#[cfg(test)]
mod tests;
