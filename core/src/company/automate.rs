//! Automation over the log (O2): every lead that changed, and every lead of which something comes due, is judged; what is to be done is
//! recorded in its ruling together with the intents that tell of it, in one batch. What was read of the log is noted behind that, so a process
//! that dies in between judges the same leads again, and finds everything recorded.
//!
//! A timer is a row by the moment at which it is due: a million of them cost what is due. It says only "look at this lead"; one that was
//! overtaken by events finds nothing to do.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use minicbor::{Decode, Encode};

use super::intents::{Intent, IntentState, plan_intent};
use super::leads::{assignment_edits, family, origin_of};
use super::rows::{decode, encode};
use super::{Company, CompanyError, SERVER_USER, TeamRow, UserRow, View, keys};
use crate::access::{Channel, Role};
use crate::document::{Doc, Edit};
use crate::ids::{DocId, DocKind, EntryId, TeamId, UserId};
use crate::model::{
    AccountModel, AdvancementModel, Decision, DirectoryModel, DirectoryUser, LeadModel, RulingModel,
};
use crate::policy::{PolicyHistory, Who};
use crate::rules::assignment::Candidate;
use crate::rules::automation::{Act, plan_automation};
use crate::rules::outcome::{LeadOutcome, assess_outcome};
use crate::rules::{Facts, Says};
use crate::store::jobs::{self, Lease};
use crate::store::{Batch, Direction, Position, Range};
use crate::sync::message::Fill;

/// The queue of timers.
const QUEUE: &str = "timers";
/// How long a process may take over a due timer, milliseconds.
const LEASE_MS: i64 = 60_000;
/// How long an intent may wait for its receiver, milliseconds: a day, behind which a message about "now" is none.
const INTENT_TTL_MS: i64 = 24 * 3_600_000;
/// Positions of the log that hold nothing of leads, behind which the note catches up with them.
const NOTE_AFTER: Position = 4_096;
/// The timer of a change of the policy: no document has this id.
const SWEEP: &[u8] = b"sweep";

/// What one round did.
#[derive(Debug, Clone, Default)]
pub struct Automated {
    /// Leads that were looked at.
    pub judged: usize,
    /// Of them, those about which something was done.
    pub acted: usize,
    /// Channels with news.
    pub touched: BTreeSet<Channel>,
    /// Whether there is more to do at once.
    pub more: bool,
}

/// What was judged of a lead last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct JudgedLead {
    /// By which version of the policy.
    #[n(0)]
    pub policy: Option<EntryId>,
    /// When something of it comes due next, milliseconds since 1970 UTC.
    #[n(1)]
    pub next_ms: Option<i64>,
    /// What the figures count of it; `None`: it could not be said.
    #[n(2)]
    pub outcome: Option<LeadOutcome>,
}

/// What a round knows of the company.
struct Desk<'a> {
    users: BTreeMap<UserId, UserRow>,
    teams: BTreeMap<TeamId, TeamRow>,
    people: DirectoryModel,
    candidates: Vec<Candidate>,
    policies: PolicyHistory,
    zone: &'a TimeZone,
}

impl Company {
    /// One round: up to about `most` leads. To be called again at once while there is [`Automated::more`], else when the log or a timer has
    /// news.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn automate(&self, zone: &TimeZone, now_ms: i64, most: usize) -> Result<Automated, CompanyError> {
        let mut done = Automated::default();
        let raw = self.store.get(keys::AUTOMATED)?;
        let cursor = raw.as_deref().and_then(|row| row.try_into().ok()).map_or(0, Position::from_be_bytes);
        let channels = BTreeMap::from([(Channel::Office(Role::Director), Fill::Complete)]);
        let view = View { channels, device: self.server_device(), own: BTreeSet::new() };
        let mut news = self.entries(&view, cursor)?;
        if news.docs.len() > most {
            news.docs.truncate(most);
            news.upto = news.docs.last().map_or(news.upto, |(at, _)| *at);
            // Documents of one position may have been cut off: they are read again with the next round.
            if news.docs.first().is_some_and(|(at, _)| *at < news.upto) {
                news.upto -= 1;
            }
            news.more = true;
        }
        let timers = jobs::lease(&*self.store, QUEUE, now_ms, LEASE_MS, most)?;
        done.more = news.more || timers.len() == most;
        let swept = self.store.get(keys::SWEPT)?;
        // Where nothing concerned a lead the note may lag: noting it would be news of its own, for ever.
        let noted = !news.docs.is_empty() || news.upto > cursor + NOTE_AFTER;
        if news.docs.is_empty() && timers.is_empty() && swept.is_none() {
            if noted {
                self.read_up_to(raw, cursor, news.upto)?;
            }
            return Ok(done);
        }
        let mut desk = self.desk(zone)?;
        let mut leads = BTreeSet::new();
        for (_, doc) in &news.docs {
            let origin = self.header(*doc)?.and_then(|header| header.origin);
            leads.extend(self.lead_of(*doc, origin.as_ref()));
        }
        for timer in timers {
            if timer.key == SWEEP {
                self.begin_sweep(&timer)?;
                done.more = true;
            } else if let Some(lead) = DocId::from_slice(&timer.key) {
                leads.remove(&lead);
                self.automate_lead(&mut desk, lead, Some(&timer), now_ms, &mut done)?;
            }
        }
        for lead in leads {
            self.automate_lead(&mut desk, lead, None, now_ms, &mut done)?;
        }
        if noted {
            self.read_up_to(raw, cursor, news.upto)?;
        }
        if let Some(after) = swept {
            done.more |= self.sweep(&mut desk, &after, most, now_ms, &mut done)?;
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
        let (mut range, mut found) = (Range::prefix(keys::JUDGED), Vec::new());
        loop {
            let rows = self.store.scan(&range, Direction::Forward, crate::limits::SCAN_MAX_ROWS)?;
            let Some((last, _)) = rows.last() else { return Ok(found) };
            range = Range::prefix_after(keys::JUDGED, last);
            for (key, row) in &rows {
                found.extend(decode::<JudgedLead>(key, row)?.outcome);
            }
        }
    }

    /// Adds to a batch that every lead is judged again from a moment on: when a version of the policy comes into force.
    pub(super) fn plan_sweep(batch: &mut Batch, from_ms: i64) {
        jobs::enqueue(batch, QUEUE, from_ms, SWEEP, &[]);
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

    fn begin_sweep(&self, timer: &Lease) -> Result<(), CompanyError> {
        let mut batch = Batch::new();
        jobs::finish(&mut batch, timer);
        batch.put(keys::SWEPT, []);
        self.store.commit_one(batch)?;
        Ok(())
    }

    /// Judges the next leads of a sweep. Gives whether there are more.
    fn sweep(
        &self,
        desk: &mut Desk<'_>,
        after: &[u8],
        most: usize,
        now_ms: i64,
        done: &mut Automated,
    ) -> Result<bool, CompanyError> {
        let mut range = Range::prefix(keys::JUDGED);
        if let Some(lead) = DocId::from_slice(after) {
            range = Range::prefix_after(keys::JUDGED, &keys::judged(lead));
        }
        let rows = self.store.scan(&range, Direction::Forward, most)?;
        let leads: Vec<DocId> =
            rows.iter().filter_map(|(key, _)| DocId::from_slice(&key[keys::JUDGED.len()..])).collect();
        for lead in &leads {
            self.automate_lead(desk, *lead, None, now_ms, done)?;
        }
        let mut batch = Batch::new();
        batch.guard(keys::SWEPT, Some(after.to_vec()));
        match leads.last().filter(|_| leads.len() == most) {
            Some(last) => batch.put(keys::SWEPT, last.0),
            None => batch.delete(keys::SWEPT),
        };
        self.store.commit_one(batch)?;
        Ok(leads.len() == most)
    }

    /// Judges a lead and does what is to be done.
    fn automate_lead(
        &self,
        desk: &mut Desk<'_>,
        lead: DocId,
        timer: Option<&Lease>,
        now_ms: i64,
        done: &mut Automated,
    ) -> Result<(), CompanyError> {
        let (acted, _) = self.transact(|| self.plan_lead(desk, lead, timer, now_ms))?;
        done.judged += 1;
        let Some(Acted { touched, assigned }) = acted else { return Ok(()) };
        done.acted += 1;
        done.touched.extend(touched);
        if let Some(candidate) = desk.candidates.iter_mut().find(|candidate| Some(candidate.user) == assigned)
        {
            candidate.open_leads += 1;
        }
        Ok(())
    }

    fn plan_lead(
        &self,
        desk: &Desk<'_>,
        lead: DocId,
        timer: Option<&Lease>,
        now_ms: i64,
    ) -> Result<(Batch, Option<Acted>), CompanyError> {
        let mut batch = Batch::new();
        if let Some(timer) = timer {
            jobs::finish(&mut batch, timer);
        }
        let ruling = self.own(DocId::ruling_of(lead), Some(origin_of(lead)))?;
        let (Some(_), Some(doc)) = (&ruling.header, self.there(lead)?) else { return Ok((batch, None)) };
        let read = RulingModel::read(&ruling.doc, &crate::document::NoClocks);
        let clocks = &read.clocks;
        let table =
            self.there(DocId::advancement_of(lead))?.unwrap_or_else(|| Doc::genesis(DocKind::Advancement));
        let model = LeadModel::read(&doc, clocks);
        let table = AdvancementModel::read(&table, clocks);
        let account = match model.fields.account {
            Some(account) => self.there(account)?.map(|account| AccountModel::read(&account, clocks)),
            None => None,
        };
        let facts = Facts {
            id: lead,
            lead: &model,
            ruling: Some(&read),
            table: Some(&table),
            account: account.as_ref(),
            people: Some(&desk.people),
            policies: &desk.policies,
            now_ms,
            zone: desk.zone,
        };
        // What cannot be said is not acted upon; it is looked at again when the lead next changes.
        let plan = plan_automation(&facts, &desk.candidates).unwrap_or_default();
        let outcome = match assess_outcome(&facts).says {
            Says::So(outcome) => Some(outcome),
            Says::Undetermined(_) => None,
        };
        self.note(
            &mut batch,
            lead,
            JudgedLead { policy: Some(desk.policies.at(now_ms).id), next_ms: plan.next_ms, outcome },
        )?;
        if plan.acts.is_empty() {
            return Ok((batch, None));
        }
        let acted = self.plan_acts(&mut batch, desk, lead, ruling, &read, plan.acts, now_ms)?;
        Ok((batch, Some(acted)))
    }

    /// Keeps what was judged, and sets the timer where it is another than before.
    fn note(&self, batch: &mut Batch, lead: DocId, now: JudgedLead) -> Result<(), CompanyError> {
        let key = keys::judged(lead);
        let before = self.store.get(&key)?;
        let known: Option<JudgedLead> = before.as_deref().map(|row| decode(&key, row)).transpose()?;
        if let Some(next_ms) = now.next_ms
            && known.as_ref().and_then(|known| known.next_ms) != Some(next_ms)
        {
            jobs::enqueue(batch, QUEUE, next_ms, &lead.0, &[]);
        }
        let row = encode(&now);
        if before.as_ref() != Some(&row) {
            batch.put(key, row);
        }
        Ok(())
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
    ) -> Result<Acted, CompanyError> {
        let mut owners: BTreeSet<UserId> =
            read.fields.owner.into_iter().chain(read.joint_owners.iter().copied()).collect();
        let (mut edits, mut assigned, mut moved) = (Vec::new(), None, false);
        let record = |edits: &mut Vec<Edit>, id: EntryId, decision: &Decision| {
            let body = serde_json::to_string(decision).unwrap_or_default();
            edits.push(Edit::Append { log: "decisions".to_owned(), id, body });
        };
        for act in acts {
            match act {
                Act::Fire(id, firing, due_ms) => {
                    if !firing.tell.is_empty() {
                        let tell = desk.who(&firing.tell, read.fields.owner);
                        let told = intent(id, &firing.rule, lead, tell, &firing.why, firing.policy, now_ms);
                        let expires_ms = due_ms.saturating_add(INTENT_TTL_MS);
                        plan_intent(batch, &Intent { expires_ms, ..told });
                    }
                    record(&mut edits, id, &Decision::Fire(firing));
                }
                Act::Cure(id, cured) => {
                    let tell = desk.who(&[Who::Supervisor], read.fields.owner);
                    let policy = desk.policies.at(now_ms).id;
                    plan_intent(batch, &intent(id, "cure", lead, tell, &cured.why, policy, now_ms));
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
                    (assigned, moved) = (Some(to), true);
                }
                Act::Confirm(stage) => {
                    edits.push(Edit::Set { field: "stage".to_owned(), value: stage.into() })
                }
                Act::Receive(id, entry) => record(&mut edits, id, &Decision::Received { entry }),
            }
        }
        let owners: Vec<UserId> = owners.into_iter().collect();
        let people = self.ties_now(&owners, read.fields.team.filter(|_| owners.is_empty()))?;
        people.guard(batch);
        let mut touched = self.plan_own(batch, ruling, &edits, &people.ties, now_ms)?;
        if moved {
            for id in family(lead).into_iter().filter(|id| *id != DocId::ruling_of(lead)) {
                touched.extend(self.plan_retie(batch, id, &people.ties)?);
            }
            if let Some(account) = self.header(lead)?.and_then(|header| header.link) {
                touched.extend(self.plan_account(batch, account, lead, &owners)?);
            }
        }
        Ok(Acted { touched, assigned })
    }

    /// A document, if there is one.
    fn there(&self, id: DocId) -> Result<Option<Doc>, CompanyError> {
        match self.load(id) {
            Ok(doc) => Ok(Some(doc)),
            Err(CompanyError::Unknown { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    fn desk<'a>(&self, zone: &'a TimeZone) -> Result<Desk<'a>, CompanyError> {
        let users: BTreeMap<UserId, UserRow> = self.users()?.into_iter().collect();
        let teams: BTreeMap<TeamId, TeamRow> = self.teams()?.into_iter().collect();
        let person = |(id, row): (&UserId, &UserRow)| {
            let user = DirectoryUser { role: Some(row.role.name().to_owned()), ..DirectoryUser::default() };
            (*id, user)
        };
        let people =
            DirectoryModel { users: users.iter().map(person).collect(), ..DirectoryModel::default() };
        let mut desk =
            Desk { people, candidates: Vec::new(), policies: self.policies()?, users, teams, zone };
        let sells = |role: Role| matches!(role, Role::Rep | Role::Manager | Role::Director);
        for (id, row) in desk.users.iter().filter(|(_, row)| row.active && sells(row.role)) {
            let teams = desk.chain_of(row.team);
            let candidate = Candidate {
                user: *id,
                team: row.team,
                leads: row.role == Role::Director || teams.iter().any(|(_, team)| team.leaders.contains(id)),
                team_names: teams.into_iter().map(|(_, team)| team.name.clone()).collect(),
                open_leads: self.leads_held(*id)?,
                results_fen: 0,
                renewal_bp: None,
                complaint_bp: None,
                completion_bp: None,
            };
            desk.candidates.push(candidate);
        }
        Ok(desk)
    }

    /// How many leads somebody has.
    fn leads_held(&self, user: UserId) -> Result<u32, CompanyError> {
        let prefix = keys::members(Channel::User(user));
        let (mut range, mut held) = (Range::prefix(&prefix), 0);
        loop {
            let rows = self.store.scan(&range, Direction::Forward, crate::limits::SCAN_MAX_ROWS)?;
            let Some((last, _)) = rows.last() else { return Ok(held) };
            range = Range::prefix_after(&prefix, last);
            let is_lead =
                |key: &[u8]| keys::parse_member(key).is_some_and(|doc| doc.kind() == Some(DocKind::Lead));
            held += rows.iter().filter(|(key, _)| is_lead(key)).count() as u32;
        }
    }
}

/// What was done about a lead.
struct Acted {
    touched: BTreeSet<Channel>,
    assigned: Option<UserId>,
}

impl Desk<'_> {
    /// A team and those above it. Bounded against a circle in a damaged store.
    fn chain_of(&self, team: Option<TeamId>) -> Vec<(TeamId, &TeamRow)> {
        let (mut chain, mut next) = (Vec::new(), team);
        while let Some((id, row)) = next.and_then(|id| Some((id, self.teams.get(&id)?))) {
            if chain.iter().any(|(known, _)| *known == id) {
                break;
            }
            chain.push((id, row));
            next = row.parent;
        }
        chain
    }

    /// Who is told. Whom the company has no people for is left to the receiver.
    fn who(&self, tell: &[Who], owner: Option<UserId>) -> Vec<UserId> {
        let team = owner.and_then(|owner| self.users.get(&owner)?.team);
        let chain = self.chain_of(team);
        let leaders = |at: usize| chain.get(at).map(|(_, team)| team.leaders.clone()).unwrap_or_default();
        let directors = || {
            let all = self.users.iter().filter(|(_, row)| row.active && row.role == Role::Director);
            all.map(|(id, _)| *id).collect::<Vec<_>>()
        };
        let mut told: Vec<UserId> = Vec::new();
        for who in tell {
            let found = match who {
                Who::Owner => owner.into_iter().collect(),
                Who::Supervisor => leaders(0),
                Who::Director => Some(leaders(1)).filter(|above| !above.is_empty()).unwrap_or_else(directors),
                Who::CustomerService | Who::Delivery => Vec::new(),
            };
            told.extend(found);
        }
        told.sort_unstable();
        told.dedup();
        told
    }
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
