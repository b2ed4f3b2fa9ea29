//! Leads as the office sees them: intake, ownership and its moves. The ruling of a lead is written here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::accounts::NamedBy;
use super::maintain::Own;
use super::people::TiesNow;
use super::rows::{Header, plan_ties};
use super::{Company, CompanyError, SERVER_USER, keys};
use crate::access::{Channel, Role, Ties, Verb, channels_of};
use crate::document::{Doc, Edit, EditError, NoClocks, Value, portions};
use crate::ids::{DocId, DocKind, EntryId, TeamId, UserId};
use crate::limits;
use crate::model::clock_edit;
use crate::store::{Batch, Direction, Outcome, Position, Range};
use crate::sync::message::Origin;
use crate::time::{BootClock, Stamp};

/// A lead that the office brings in.
#[derive(Debug, Clone, Default)]
pub struct NewLead {
    /// Its document id; must be fresh.
    pub id: DocId,
    /// What is known of it: edits of a lead document.
    pub edits: Vec<Edit>,
    /// Who works it; nobody: it waits in the pool of `team`.
    pub owner: Option<UserId>,
    /// The team whose pool it waits in.
    pub team: Option<TeamId>,
    /// 首次来源 (C10), written once.
    pub first_source: Option<String>,
    /// How the source calls it; importing the same id twice is importing it once.
    pub external_id: Option<String>,
    /// Who brings it in; absent: the company itself (an import on the server, a connector).
    pub by: Option<UserId>,
}

/// Who owns a lead, as its ruling says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadOwner {
    /// The owner; `None`: in the pool.
    pub owner: Option<UserId>,
    /// Joint owners (O3).
    pub joint: Vec<UserId>,
}

/// What came of an assignment.
#[derive(Debug, Clone)]
pub struct Assigned {
    /// Its position; `None`: it was theirs already.
    pub at: Option<Position>,
    /// Channels with news.
    pub touched: BTreeSet<Channel>,
}

/// Why somebody does not get to read a document.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadRefused {
    /// It does not exist, or is not theirs to know of.
    #[error("there is no such document")]
    Unknown,
    /// The company failed.
    #[error(transparent)]
    Company(#[from] CompanyError),
}

impl Company {
    /// Takes in leads: each with its ruling and its advancement table, each atomically, all with one flush. Gives the id of each: a
    /// known external id gives the lead that it stands for.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`] for an owner or team, [`CompanyError::Refused`] for edits that the document refuses.
    pub fn intake(
        &self,
        leads: &[NewLead],
        now_ms: i64,
    ) -> Result<(Vec<DocId>, BTreeSet<Channel>), CompanyError> {
        let mut touched = BTreeSet::new();
        let mut ids: Vec<DocId> = leads.iter().map(|lead| lead.id).collect();
        let mut open: Vec<usize> = (0..leads.len()).collect();
        for _ in 0..super::TRIES {
            let mut ties = TiesOf { company: self, known: BTreeMap::new() };
            let mut batches = Vec::with_capacity(open.len());
            let mut planned = Vec::with_capacity(open.len());
            for at in open {
                let lead = &leads[at];
                let known =
                    lead.external_id.as_ref().map(|id| self.store.get(&keys::external(id))).transpose()?;
                if let Some(id) = known.flatten().and_then(|value| DocId::from_slice(&value)) {
                    ids[at] = id;
                    continue;
                }
                let mut batch = Batch::new();
                let news = self.plan_intake(&mut batch, lead, &ties.of(lead)?, now_ms)?;
                batches.push(batch);
                planned.push((at, news));
            }
            // A conflict is a lead of the same external id or the same account in this very lot: it is looked at again.
            open = Vec::new();
            for ((at, news), outcome) in planned.into_iter().zip(self.store.commit(batches)?) {
                match outcome {
                    Outcome::Done(_) => touched.extend(news),
                    Outcome::Conflict(_) => open.push(at),
                }
            }
            if open.is_empty() {
                return Ok((ids, touched));
            }
        }
        // Many leads of one account in one lot: one after the other.
        for at in open {
            let (news, _) = self.transact(|| {
                let mut batch = Batch::new();
                let mut ties = TiesOf { company: self, known: BTreeMap::new() };
                let news = self.plan_intake(&mut batch, &leads[at], &ties.of(&leads[at])?, now_ms)?;
                Ok((batch, news))
            })?;
            touched.extend(news);
        }
        Ok((ids, touched))
    }

    /// What [`Company::intake`] would refuse this lead's words for, without taking it in.
    ///
    /// # Errors
    /// [`CompanyError::Refused`].
    pub fn try_intake(&self, lead: &NewLead, now_ms: i64) -> Result<(), CompanyError> {
        self.draft(lead, now_ms).map(|_| ())
    }

    /// The document of a new lead, written with as many changes as its words need.
    fn draft(&self, lead: &NewLead, now_ms: i64) -> Result<Doc, CompanyError> {
        let refused = |e| CompanyError::Refused(format!("lead {}: {e}", lead.id));
        let mut doc = Doc::genesis(DocKind::Lead);
        let portions = portions(&lead.edits);
        if portions.is_empty() {
            return Err(refused(EditError::NothingChanged));
        }
        for portion in portions {
            doc.edit(self.actor(), &self.stamp(now_ms), &portion).map_err(refused)?;
        }
        // Nobody could work on a lead that is as large as a document may become, and a larger one would fit no phone's frame.
        if doc.plain_bytes() > limits::INTAKE_MAX_BYTES {
            let most = limits::INTAKE_MAX_BYTES;
            return Err(CompanyError::Refused(format!("lead {}: it is larger than {most} bytes", lead.id)));
        }
        Ok(doc)
    }

    fn plan_intake(
        &self,
        batch: &mut Batch,
        lead: &NewLead,
        people: &TiesNow,
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        people.guard(batch);
        let ties = &people.ties;
        if let Some(external) = &lead.external_id {
            batch.guard(keys::external(external), None).put(keys::external(external), lead.id.0);
        }
        let doc = self.draft(lead, now_ms)?;
        let own = Own { id: lead.id, origin: None, doc, header: None, raw: None };
        let by = lead.by.map(|user| self.person(user)).transpose()?;
        let by = by.as_ref().map_or(NamedBy::Company, NamedBy::Person);
        let mut touched = self.plan_new_by(batch, own, ties, by)?;
        let facts = RulingFacts {
            boots: BTreeMap::new(),
            owner: lead.owner,
            creator: None,
            team: lead.team,
            first_source: lead.first_source.clone(),
            received_ms: now_ms,
        };
        touched.extend(self.plan_ruling(batch, lead.id, &facts, ties, now_ms)?);
        let table = Own {
            id: DocId::advancement_of(lead.id),
            origin: Some(origin_of(lead.id)),
            doc: Doc::genesis(DocKind::Advancement),
            header: None,
            raw: None,
        };
        touched.extend(self.plan_new(batch, table, ties)?);
        Ok(touched)
    }

    /// Adds the ruling of a lead that a phone created: it is its creator's.
    pub(super) fn plan_ruling_of_created(
        &self,
        batch: &mut Batch,
        lead: DocId,
        creator: UserId,
        ties: &Ties,
        boots: &BTreeMap<u64, BootClock>,
        now_ms: i64,
    ) -> Result<(), CompanyError> {
        let facts = RulingFacts {
            boots: boots.clone(),
            owner: Some(creator),
            creator: Some(creator),
            team: None,
            first_source: None,
            received_ms: now_ms,
        };
        self.plan_ruling(batch, lead, &facts, ties, now_ms).map(|_| ())
    }

    fn plan_ruling(
        &self,
        batch: &mut Batch,
        lead: DocId,
        facts: &RulingFacts,
        ties: &Ties,
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let mut doc = Doc::genesis(DocKind::Ruling);
        doc.edit(self.actor(), &self.stamp(now_ms), &facts.edits())
            .map_err(|e| CompanyError::Refused(format!("ruling of {lead}: {e}")))?;
        let id = DocId::ruling_of(lead);
        self.plan_new(batch, Own { id, origin: Some(origin_of(lead)), doc, header: None, raw: None }, ties)
    }

    /// Moves a lead, with everything that belongs to it, to another owner. The decision is recorded in the ruling under an id that
    /// follows from what it replaces, so that deciding twice is deciding once.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`] for the lead or the owner.
    pub fn assign(
        &self,
        lead: DocId,
        to: UserId,
        by: UserId,
        reason: &str,
        now_ms: i64,
    ) -> Result<Assigned, CompanyError> {
        let plan = || {
            let mut batch = Batch::new();
            let people = self.ties_now(&[to], None)?;
            people.guard(&mut batch);
            self.check_owner(to)?;
            let ties = people.ties;
            let owner = self.owner_of(lead)?;
            if owner.owner == Some(to) && owner.joint.is_empty() {
                return Ok((batch, BTreeSet::new()));
            }
            let ruling = self.own(DocId::ruling_of(lead), Some(origin_of(lead)))?;
            let edits = assignment_edits(lead, &ruling.doc, to, by, reason, None);
            let mut touched = self.plan_own(&mut batch, ruling, &edits, &ties, now_ms)?;
            for id in family(lead).into_iter().filter(|id| *id != DocId::ruling_of(lead)) {
                touched.extend(self.plan_retie(&mut batch, id, &ties)?);
            }
            if let Some(account) = self.header(lead)?.and_then(|header| header.link) {
                touched.extend(self.plan_account(&mut batch, account, lead, &[to])?);
            }
            Ok((batch, touched))
        };
        let (touched, at) = self.transact(plan)?;
        Ok(Assigned { at, touched })
    }

    /// Who owns a lead.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`] for the lead.
    pub fn owner_of(&self, lead: DocId) -> Result<LeadOwner, CompanyError> {
        if lead.kind() != Some(DocKind::Lead) || self.header(lead)?.is_none() {
            return Err(CompanyError::Unknown { what: "lead", id: lead.to_string() });
        }
        let ruling = match self.load(DocId::ruling_of(lead)) {
            Ok(ruling) => ruling,
            Err(CompanyError::Unknown { .. }) => return Ok(LeadOwner { owner: None, joint: Vec::new() }),
            Err(other) => return Err(other),
        };
        let owner = ruling.value("owner", &NoClocks);
        let owner = owner.as_ref().and_then(Value::as_text).and_then(|text| text.parse().ok());
        let joint = ruling.set("joint_owners", &NoClocks).keys().filter_map(|id| id.parse().ok()).collect();
        Ok(LeadOwner { owner, joint })
    }

    /// Adds the move of one document into the channels of `ties`.
    pub(super) fn plan_retie(
        &self,
        batch: &mut Batch,
        id: DocId,
        ties: &Ties,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let Some(raw) = self.store.get(&keys::header(id))? else { return Ok(BTreeSet::new()) };
        let mut header = Header::read(id, &raw)?;
        let kind = id.kind().unwrap_or(DocKind::Lead);
        let wanted = channels_of(kind, ties);
        let old = header.channels();
        let departures = self.departures(id, wanted.iter().copied())?;
        batch.guard(keys::header(id), Some(raw));
        plan_ties(batch, id, &mut header, &wanted, &departures, false);
        header.owners = ties.owners.iter().copied().collect();
        header.teams = ties.teams.iter().copied().collect();
        let (value, slot) = header.to_value();
        batch.put_at(keys::header(id), None, value, Some(slot));
        Ok(wanted.symmetric_difference(&old).copied().collect())
    }

    /// A document for somebody who asks through REST.
    ///
    /// # Errors
    /// [`ReadRefused::Unknown`] both for what does not exist and for what is not theirs.
    pub fn read_as(&self, user: UserId, id: DocId) -> Result<Doc, ReadRefused> {
        let person = self.person(user)?;
        let kind = id.kind().ok_or(ReadRefused::Unknown)?;
        let header = self.header(id)?.ok_or(ReadRefused::Unknown)?;
        if !person.may(&header.access(), kind, Verb::Read) {
            return Err(ReadRefused::Unknown);
        }
        Ok(self.load(id)?)
    }

    /// The leads that somebody may read, a page at a time by id. Costs what the channel holds.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn leads_of(
        &self,
        user: UserId,
        after: Option<DocId>,
        most: usize,
    ) -> Result<Vec<DocId>, CompanyError> {
        let person = self.person(user)?;
        let mut found = BTreeSet::new();
        for channel in person.channels() {
            let prefix = keys::members(channel);
            // Ids begin with their kind, so a channel's leads stand together.
            let first = after.unwrap_or(DocId::fresh(DocKind::Lead, EntryId::default()));
            let from = keys::member(channel, first);
            let to = keys::member(channel, DocId::fresh(DocKind::Ruling, EntryId::default()));
            let rows = self.store.scan(
                &Range { from, to },
                Direction::Forward,
                most.min(limits::SCAN_MAX_ROWS) + 1,
            )?;
            let docs = rows
                .iter()
                .filter(|(key, _)| key.starts_with(&prefix))
                .filter_map(|(key, _)| keys::parse_member(key));
            found.extend(docs.filter(|doc| Some(*doc) != after));
        }
        Ok(found.into_iter().take(most).collect())
    }

    /// Writes edits into a document on behalf of the office (a corrected field). The server's actor signs the change.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`], [`CompanyError::Refused`] for edits that the document refuses.
    pub fn edit_as_office(
        &self,
        id: DocId,
        edits: &[Edit],
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        self.edit_planned(id, SERVER_USER, now_ms, |_| Ok(edits.to_vec()))
    }

    /// Writes into a document what `plan` makes of it, in the name of `by`. `plan` sees the document that its edits are written on: when
    /// somebody writes meanwhile it is asked again. The server's actor signs the change, its stamp says who it was.
    ///
    /// # Errors
    /// Those of `plan`; [`CompanyError::Unknown`], [`CompanyError::Refused`] for edits that the document refuses.
    pub fn edit_planned(
        &self,
        id: DocId,
        by: UserId,
        now_ms: i64,
        mut plan: impl FnMut(&Doc) -> Result<Vec<Edit>, CompanyError>,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let stamp = Stamp { user: by, ..self.stamp(now_ms) };
        let batch = || {
            let mut batch = Batch::new();
            let own = self.own(id, None)?;
            let Some(header) = own.header.clone() else {
                return Err(CompanyError::Unknown { what: "document", id: id.to_string() });
            };
            let edits = plan(&own.doc)?;
            let touched = self.plan_own_by(&mut batch, own, &edits, &header.access(), &stamp, now_ms)?;
            Ok((batch, touched))
        };
        self.transact(batch).map(|(touched, _)| touched)
    }

    /// Every document of the company, a page at a time by id: for whoever verifies a store.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn documents(&self, after: Option<DocId>, most: usize) -> Result<Vec<DocId>, CompanyError> {
        let range = match after {
            Some(id) => Range::prefix_after(keys::HEADERS, &keys::header(id)),
            None => Range::prefix(keys::HEADERS),
        };
        let rows = self.store.scan(&range, Direction::Forward, most.min(limits::SCAN_MAX_ROWS))?;
        Ok(rows.iter().filter_map(|(key, _)| DocId::from_slice(key.get(keys::HEADERS.len()..)?)).collect())
    }

    /// Counts documents by kind and owners by role, for the administrator's page. Costs what exists.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn count(&self) -> Result<BTreeMap<DocKind, u64>, CompanyError> {
        let mut counts = BTreeMap::new();
        self.each_row(keys::HEADERS, |key, _| {
            if let Some(kind) = key.get(keys::HEADERS.len()).and_then(|code| DocKind::from_code(*code)) {
                *counts.entry(kind).or_default() += 1;
            }
            Ok(())
        })?;
        Ok(counts)
    }

    /// Whether leads are given to people of `role`.
    pub fn may_own(role: Role) -> bool {
        crate::access::may_be_given_leads(role)
    }

    /// Refuses whoever has left, or is not one who works leads.
    fn check_owner(&self, user: UserId) -> Result<(), CompanyError> {
        self.check_active(user)?;
        if Self::may_own(self.user(user)?.role) {
            return Ok(());
        }
        Err(CompanyError::Refused(format!("user {user} is not one who works leads")))
    }
}

/// The ties of leads by owner and pool, each worked out once.
struct TiesOf<'a> {
    company: &'a Company,
    known: BTreeMap<(Option<UserId>, Option<TeamId>), TiesNow>,
}

impl TiesOf<'_> {
    fn of(&mut self, lead: &NewLead) -> Result<TiesNow, CompanyError> {
        if let Some(ties) = self.known.get(&(lead.owner, lead.team)) {
            return Ok(ties.clone());
        }
        if let Some(owner) = lead.owner {
            self.company.check_owner(owner)?;
        }
        let owners: Vec<UserId> = lead.owner.into_iter().collect();
        let ties = self.company.ties_now(&owners, lead.team)?;
        self.known.insert((lead.owner, lead.team), ties.clone());
        Ok(ties)
    }
}

/// What the server knows of a new lead beyond the lead itself.
struct RulingFacts {
    boots: BTreeMap<u64, BootClock>,
    owner: Option<UserId>,
    creator: Option<UserId>,
    team: Option<TeamId>,
    first_source: Option<String>,
    received_ms: i64,
}

impl RulingFacts {
    fn edits(&self) -> Vec<Edit> {
        let set =
            |field: &str, value: Option<Value>| value.map(|value| Edit::Set { field: field.into(), value });
        let text = |id: Option<String>| id.map(Value::Text);
        [
            set("owner", text(self.owner.map(|id| id.to_string()))),
            set("creator", text(self.creator.map(|id| id.to_string()))),
            set("team", text(self.team.map(|id| id.to_string()))),
            set("first_source", text(self.first_source.clone())),
            set("received_at_ms", Some(Value::Int(self.received_ms))),
        ]
        .into_iter()
        .flatten()
        .chain(self.boots.iter().map(|(boot, clock)| clock_edit(*boot, *clock)))
        .collect()
    }
}

/// The team in whose pool a lead without an owner waits.
pub(super) fn pool_of(ruling: &Doc) -> Option<TeamId> {
    ruling.value("team", &NoClocks).as_ref().and_then(Value::as_text).and_then(|id| id.parse().ok())
}

/// The edits that record an assignment in a ruling, by a version of the policy where a rule decided.
pub(super) fn assignment_edits(
    lead: DocId,
    ruling: &Doc,
    to: UserId,
    by: UserId,
    reason: &str,
    policy: Option<EntryId>,
) -> Vec<Edit> {
    let from =
        ruling.value("owner", &NoClocks).and_then(|v| v.as_text().map(str::to_owned)).unwrap_or_default();
    let decisions = ruling.log("decisions", &NoClocks).len();
    let id = DocId::derived(DocKind::Ruling, &lead.0, &format!("assign/{decisions}/{to}"));
    let mut body = serde_json::json!({"type": "assign", "from": from, "to": to, "by": by, "reason": reason});
    if let Some(policy) = policy {
        body["policy"] = serde_json::json!(policy);
    }
    let body = body.to_string();
    let mut edits = vec![Edit::Set { field: "owner".into(), value: Value::Text(to.to_string()) }];
    edits.extend(
        ruling
            .set("joint_owners", &NoClocks)
            .into_keys()
            .map(|key| Edit::RemoveElement { set: "joint_owners".into(), key }),
    );
    edits.push(Edit::Append { log: "decisions".into(), id: EntryId(id.0), body });
    edits
}

/// A lead and every document derived from it.
pub(super) fn family(lead: DocId) -> [DocId; 5] {
    [
        lead,
        DocId::ruling_of(lead),
        DocId::advancement_of(lead),
        DocId::derived(DocKind::Finance, &lead.0, ""),
        DocId::derived(DocKind::Service, &lead.0, ""),
    ]
}

/// Where the documents derived from a lead come from.
pub(super) fn origin_of(lead: DocId) -> Origin {
    Origin { parent: lead.0.to_vec().into(), key: String::new() }
}
