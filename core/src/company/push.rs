//! What phones push: permission, gate, and the one batch that makes it durable.
//!
//! Everything that several devices push to one document in a moment becomes one batch with one position. Nothing is dropped
//! (design decision 10): a push is merged, held for a person, or (when no server could keep it) refused.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::ByteVec;

use super::accounts::NamedBy;
use super::gate::{Accepted, Base, Gate, GateJob, GatePush, Judged, claimed_actor};
use super::late::plan_late;
use super::rows::{ChangesRow, FeedEntry, HERE, Header, Lot, decode, encode, plan_ties};
use super::shelf::{Placed, Shelf};
use super::{Company, CompanyError, DeviceStatus, Principal, keys};
use crate::access::{Channel, Person, Ties, Verb, channels_of, may_create, writes_through};
use crate::document::{Doc, claimed_hash};
use crate::ids::{Actor, DeviceId, DocId, DocKind, Hash32, UserId};
use crate::limits;
use crate::store::{Batch, Outcome, Position, Range, Row, Slot};
use crate::sync::message::{Answer, HoldReason, Origin, Push, RefuseCode, Verdict};
use crate::time::BootClock;

/// One push with who brought it.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The device and its user.
    pub who: Principal,
    /// What it pushes.
    pub push: Push,
}

impl AsRef<Incoming> for Incoming {
    fn as_ref(&self) -> &Incoming {
        self
    }
}

/// A planned batch for one document.
#[derive(Debug)]
pub struct Prepared {
    /// The document.
    pub doc: DocId,
    /// What to commit; empty when nothing has to be written.
    pub batch: Batch,
    answers: Vec<Plan>,
    known_at: Position,
    touched: BTreeSet<Channel>,
}

#[derive(Debug)]
struct Plan {
    id: u64,
    verdict: PlannedVerdict,
    receipt: Vec<u8>,
}

#[derive(Debug)]
enum PlannedVerdict {
    Merged,
    Known,
    Held(HoldReason),
    Refused(RefuseCode, String),
    /// There is no room to hold it.
    Later,
}

/// What came of a prepared batch.
#[derive(Debug)]
pub enum Settled {
    /// Durable: one answer a push, in the order they were given, and the channels whose holders have news at this position.
    Done {
        /// Answers in order, without those of `later`.
        answers: Vec<Answer>,
        /// Channels with news.
        touched: BTreeSet<Channel>,
        /// Which of the pushes have no answer: they would be held, and as much of their device's work waits as may. The phone keeps
        /// them in its outbox and asks again.
        later: BTreeSet<usize>,
    },
    /// The store changed meanwhile: nothing was written, prepare again.
    Again,
}

impl Prepared {
    /// Turns the outcome of the commit into answers.
    pub fn settle(self, outcome: Outcome) -> Settled {
        let position = match outcome {
            Outcome::Conflict(_) => return Settled::Again,
            Outcome::Done(position) => position,
        };
        let doc = self.doc;
        let at = position.unwrap_or(self.known_at);
        let mut later = BTreeSet::new();
        let answers = self.answers.into_iter().enumerate().filter_map(|(i, plan)| {
            let verdict = match plan.verdict {
                PlannedVerdict::Merged => Verdict::Durable { at, receipt: plan.receipt },
                PlannedVerdict::Known => {
                    Verdict::Durable { at: self.known_at.max(at), receipt: plan.receipt }
                }
                PlannedVerdict::Held(reason) => Verdict::Held { reason },
                PlannedVerdict::Refused(code, detail) => Verdict::Refused { code, detail },
                PlannedVerdict::Later => {
                    later.insert(i);
                    return None;
                }
            };
            Some(Answer { id: plan.id, doc, verdict })
        });
        Settled::Done { answers: answers.collect(), touched: self.touched, later }
    }
}

/// What permission says of a push before anybody looks at its bytes.
enum Admission {
    Merge { late: bool },
    Hold(HoldReason),
    Refuse(RefuseCode, String),
}

/// The document as stored, with what permission depends on.
struct Target {
    header: Option<Header>,
    raw: Option<Vec<u8>>,
    /// Ties of a document that does not exist yet, from its parent.
    ties: Ties,
    /// The parent's header as read, to guard against a move of the family.
    parent: Option<(Vec<u8>, Vec<u8>)>,
    departures: BTreeMap<Channel, Position>,
}

impl Company {
    /// Judges what several devices push to one document and plans the batch that makes it durable. The pushes are all of
    /// `doc`.
    ///
    /// # Errors
    /// [`CompanyError`] of the store; whatever is wrong with a push is an answer.
    pub fn prepare(
        &self,
        doc: DocId,
        incoming: &[impl AsRef<Incoming>],
        gate: &mut dyn Gate,
        now_ms: i64,
    ) -> Result<Prepared, CompanyError> {
        let plan = self.plan(doc, incoming, now_ms)?;
        let job = plan.job();
        let judged = job.map(|job| gate.judge(&job, &mut || plan.base())).transpose()?;
        plan.finish(judged)
    }

    /// As [`Company::prepare`] for several documents, each with its pushes, which go to the gate together: one outcome a document, in order.
    /// None of them is written yet when the next is planned, as if different threads had prepared them.
    pub fn prepare_all(
        &self,
        lots: &[(DocId, Vec<impl AsRef<Incoming>>)],
        gate: &mut dyn Gate,
        now_ms: i64,
    ) -> Vec<Result<Prepared, CompanyError>> {
        let plans: Vec<_> = lots.iter().map(|(doc, incoming)| self.plan(*doc, incoming, now_ms)).collect();
        let asking = plans.iter().flatten().filter_map(|plan| Some((plan, plan.job()?)));
        let (asking, jobs): (Vec<&Planning<'_>>, Vec<GateJob>) = asking.unzip();
        let mut judged = gate.judge_all(&jobs, &mut |at| asking[at].base()).into_iter();
        let mut finish = |plan: Planning<'_>| {
            let judged = if plan.passed.is_empty() { None } else { judged.next().transpose()? };
            plan.finish(judged)
        };
        plans.into_iter().map(|plan| plan.and_then(&mut finish)).collect()
    }

    /// Everything about a lot of pushes to one document that can be said before the gate has looked at their bytes.
    fn plan<'a>(
        &'a self,
        doc: DocId,
        incoming: &'a [impl AsRef<Incoming>],
        now_ms: i64,
    ) -> Result<Planning<'a>, CompanyError> {
        let (present, rows) = self.present(incoming.iter().map(AsRef::as_ref))?;
        let target = self.target(doc, &present)?;
        let mut verdicts: Vec<Option<PlannedVerdict>> = Vec::with_capacity(present.len());
        let mut held_actors = BTreeSet::new();
        let mut passed = Vec::new();
        let mut strangers = BTreeSet::new();
        let mut stored = None;
        for (i, one) in present.iter().enumerate() {
            let verdict = match self.admission(doc, one, &target)? {
                Admission::Merge { late } => {
                    let suffix = match one.actor {
                        Some(actor) => held_actors.contains(&actor) || self.has_held(doc, actor)?,
                        None => false,
                    };
                    if suffix {
                        Some(PlannedVerdict::Held(HoldReason::Suffix))
                    } else {
                        passed.push((i, late));
                        None
                    }
                }
                Admission::Hold(reason) => Some(PlannedVerdict::Held(reason)),
                Admission::Refuse(code, detail) => Some(PlannedVerdict::Refused(code, detail)),
            };
            // Whatever has changed since: what is merged stays merged, and a repeated push hears it again.
            let stands = matches!(verdict, Some(PlannedVerdict::Held(_) | PlannedVerdict::Refused(..)));
            let verdict = match &target.header {
                Some(header) if stands && self.is_merged(doc, header, &mut stored, one)? => {
                    Some(PlannedVerdict::Known)
                }
                _ => verdict,
            };
            // A restored server may never have had the document in this user's channel: nothing else would take it off the phone.
            let is_late = verdict.is_none() && passed.last().is_some_and(|(_, late)| *late);
            let is_known = matches!(verdict, Some(PlannedVerdict::Known));
            if let Some(header) = target.header.as_ref().filter(|_| is_late || is_known) {
                let person = &one.who.person;
                // Of what stands in a channel that the user lost the phone is told with the channel, when it says hello.
                let told = if is_known { self.granted(one.who.device)? } else { BTreeSet::new() };
                let with_channel = !told.is_disjoint(&header.channels());
                let held = told.into_iter().chain(person.channels()).collect();
                if !with_channel && self.left_at(doc, &held)?.is_none() {
                    strangers.insert(person.user);
                }
            }
            if let Some(PlannedVerdict::Held(_)) = verdict {
                held_actors.extend(one.actor);
            }
            verdicts.push(verdict);
        }
        let here = target.header.as_ref().map(Header::channels).unwrap_or_default();
        strangers.retain(|user| !here.contains(&Channel::User(*user)));
        let mut batch = Batch::new();
        for (key, row) in rows {
            batch.guard(key, Some(row));
        }
        let (company, incoming) = (self, present);
        let mut plan =
            Planning { company, doc, incoming, target, verdicts, passed, strangers, now_ms, batch };
        plan.turn_away(&plan.strangers.clone(), &here);
        Ok(plan)
    }

    /// Whether the document holds every change of a push already. Asked only of what would not be merged. What stands at the document's
    /// heads needs no load; everything else costs one, of bytes that the gate let in, for all pushes of the batch.
    fn is_merged(
        &self,
        doc: DocId,
        header: &Header,
        stored: &mut Option<Doc>,
        one: &Present<'_>,
    ) -> Result<bool, CompanyError> {
        if one.actor.is_none() {
            return Ok(false);
        }
        let all = |is_held: &dyn Fn(&Hash32) -> bool| {
            one.push.changes.iter().all(|change| claimed_hash(change).is_some_and(|hash| is_held(&hash)))
        };
        if all(&|hash| header.heads.contains(hash)) {
            return Ok(true);
        }
        let stored = match stored {
            Some(stored) => stored,
            None => stored.insert(self.base(doc, header)?.load(doc)?),
        };
        Ok(all(&|hash| stored.contains(hash)))
    }

    /// Who brings these pushes, as they stand now: since the phone was greeted it may have been revoked, or its user may have left. The
    /// rows that say so are guarded, so that a push that is judged at that very moment is judged again.
    fn present<'a>(
        &self,
        incoming: impl Iterator<Item = &'a Incoming>,
    ) -> Result<(Vec<Present<'a>>, Vec<Row>), CompanyError> {
        let mut rows = Vec::new();
        let mut known: BTreeMap<DeviceId, Principal> = BTreeMap::new();
        let mut present = Vec::new();
        for one in incoming {
            let device = one.who.device;
            let now = match known.get(&device) {
                Some(now) => now.clone(),
                None => {
                    let (now, read) = self.principal_with_rows(device)?;
                    rows.extend(read);
                    known.entry(device).or_insert(now).clone()
                }
            };
            // What the phone had acknowledged when it sent this, not what it has since.
            let Principal { acked, clock, ref believed, .. } = one.who;
            let who = Principal { acked, clock, believed: believed.clone(), ..now };
            let actor = claimed_actor(device, &one.push.changes);
            present.push(Present { who, actor, push: &one.push });
        }
        Ok((present, rows))
    }

    fn target(&self, doc: DocId, incoming: &[Present<'_>]) -> Result<Target, CompanyError> {
        let header_key = keys::header(doc);
        let origin = proven_origin(doc, incoming.iter().map(|one| one.push));
        let parent_doc = origin.and_then(|origin| DocId::from_slice(&origin.parent));
        let parent_key = keys::header(parent_doc.unwrap_or_default());
        let mut found = self.store.get_many(&[&header_key, &parent_key])?.into_iter();
        let (raw, parent_raw) = (found.next().flatten(), found.next().flatten());
        let header = raw.as_deref().map(|value| Header::read(doc, value)).transpose()?;
        let mut ties = Ties::default();
        let mut parent = None;
        if let (None, Some(parent_doc), Some(value)) = (&header, parent_doc, parent_raw) {
            ties = Header::read(parent_doc, &value)?.access();
            parent = Some((parent_key, value));
        }
        Ok(Target { header, raw, ties, parent, departures: BTreeMap::new() })
    }

    fn admission(&self, doc: DocId, one: &Present<'_>, target: &Target) -> Result<Admission, CompanyError> {
        let refuse = |code, detail: &str| Ok(Admission::Refuse(code, detail.to_owned()));
        let Some(kind) = doc.kind() else {
            return refuse(RefuseCode::Malformed, "the document id names no kind");
        };
        let bytes: usize = one.push.changes.iter().map(|change| change.len()).sum();
        if one.push.changes.is_empty() {
            return refuse(RefuseCode::Malformed, "a push without changes");
        }
        if one.push.changes.len() > limits::PUSH_MAX_CHANGES || bytes > limits::FRAME_MAX_BYTES {
            return refuse(RefuseCode::TooLarge, "too many changes in one push");
        }
        let person = &one.who.person;
        if !may_create(person.role, kind) && !crate::access::Role::ALL.iter().any(|r| may_create(*r, kind)) {
            return refuse(RefuseCode::NotPermitted, "only the server writes documents of this kind");
        }
        if one.who.status != DeviceStatus::Active {
            return Ok(Admission::Hold(HoldReason::Revoked));
        }
        let Some(header) = &target.header else { return self.admission_of_new(doc, kind, one, target) };
        if header.erased {
            return Ok(Admission::Hold(HoldReason::Erased));
        }
        if person.may(&header.access(), kind, Verb::Write) {
            return Ok(Admission::Merge { late: false });
        }
        // It may have been theirs: what was done before they could know that it moved is merged, and O3 decides.
        let held = one.held(kind);
        let mut left = self.left_at(doc, &held)?;
        if let (None, Some(parent)) =
            (left, header.origin.as_ref().and_then(|origin| DocId::from_slice(&origin.parent)))
        {
            // Given back to a restored server, it was never in this user's channel; its lead was.
            left = self.left_at(parent, &held)?;
        }
        match left {
            Some(left) if one.who.acked < left => Ok(Admission::Merge { late: true }),
            Some(_) => Ok(Admission::Hold(HoldReason::NotYours)),
            None => {
                let channels = header.channels();
                self.lost_or_never(one, (doc, kind), &channels, "this user may not write this document")
            }
        }
    }

    fn admission_of_new(
        &self,
        doc: DocId,
        kind: DocKind,
        one: &Present<'_>,
        target: &Target,
    ) -> Result<Admission, CompanyError> {
        let refuse = |code, detail: &str| Ok(Admission::Refuse(code, detail.to_owned()));
        let person = &one.who.person;
        match (&one.push.origin, kind) {
            (None, DocKind::Lead | DocKind::Account) => {}
            (Some(origin), DocKind::Calendar) => {
                if !derived_right(doc, kind, origin) || origin.parent.as_slice() != person.user.0 {
                    return refuse(RefuseCode::Origin, "a calendar belongs to its own user");
                }
            }
            (Some(origin), _) => {
                if derived_right(doc, kind, origin) && target.parent.is_none() && self.is_restored() {
                    return Ok(Admission::Hold(HoldReason::MissingDeps));
                }
                if !derived_right(doc, kind, origin) || target.parent.is_none() {
                    return refuse(RefuseCode::Origin, "the id is not that of a known parent");
                }
                if !person.may(&target.ties, kind, Verb::Write) {
                    let parent = DocId::from_slice(&origin.parent).unwrap_or_default();
                    return match self.left_at(parent, &one.held(kind))? {
                        Some(left) if one.who.acked < left => Ok(Admission::Merge { late: true }),
                        Some(_) => Ok(Admission::Hold(HoldReason::NotYours)),
                        None => {
                            let channels = channels_of(kind, &target.ties);
                            let of = (parent, kind);
                            self.lost_or_never(one, of, &channels, "this user may not write for this lead")
                        }
                    };
                }
            }
            (None, _) => return refuse(RefuseCode::Origin, "a derived document comes with its parent"),
        }
        if may_create(person.role, kind) {
            Ok(Admission::Merge { late: false })
        } else {
            refuse(RefuseCode::NotPermitted, "this user may not create documents of this kind")
        }
    }

    /// What somebody hears who may not write a document that never left a channel of theirs. Their role or a team may have left them instead:
    /// what they did before they could know is merged, and O3 decides; what they did after it a person decides on. Whoever never could is
    /// refused, except by a server that was restored and may have forgotten that it was theirs.
    fn lost_or_never(
        &self,
        one: &Present<'_>,
        (doc, kind): (DocId, DocKind),
        channels: &BTreeSet<Channel>,
        detail: &str,
    ) -> Result<Admission, CompanyError> {
        let now = one.who.person.channels();
        let lost = |channel: &Channel| writes_through(*channel, kind) && !now.contains(channel);
        if one.who.believed.iter().any(|channel| lost(channel) && channels.contains(channel)) {
            return Ok(Admission::Merge { late: true });
        }
        let once: BTreeSet<Channel> = self.granted(one.who.device)?.into_iter().filter(lost).collect();
        let was_theirs = !once.is_disjoint(channels) || self.left_at(doc, &once)?.is_some();
        Ok(if self.is_restored() || was_theirs {
            Admission::Hold(HoldReason::NotYours)
        } else {
            Admission::Refuse(RefuseCode::NotPermitted, detail.to_owned())
        })
    }

    /// The latest position at which the document left one of these channels.
    pub(super) fn left_at(
        &self,
        doc: DocId,
        channels: &BTreeSet<Channel>,
    ) -> Result<Option<Position>, CompanyError> {
        Ok(self.departures(doc, channels.iter().copied())?.into_values().max())
    }

    /// The positions at which the document left these channels.
    pub(super) fn departures(
        &self,
        doc: DocId,
        channels: impl Iterator<Item = Channel>,
    ) -> Result<BTreeMap<Channel, Position>, CompanyError> {
        let keyed: Vec<(Channel, Vec<u8>)> = channels.map(|ch| (ch, keys::departure(ch, doc))).collect();
        let found = self.store.get_many(&keyed.iter().map(|(_, key)| key.as_slice()).collect::<Vec<_>>())?;
        let read = |((channel, _), value): ((Channel, Vec<u8>), Option<Vec<u8>>)| {
            Some((channel, Position::from_be_bytes(value?.as_slice().try_into().ok()?)))
        };
        Ok(keyed.into_iter().zip(found).filter_map(read).collect())
    }

    /// The stored bytes of a document with this header.
    pub(super) fn base(&self, doc: DocId, header: &Header) -> Result<Base, CompanyError> {
        let after = keys::changes_at(doc, header.snapshot_at);
        let range = Range::prefix_after(&keys::changes(doc), &after);
        let snapshot_key = keys::snapshot(doc);
        let (snapshot, mut pages) = self.store.read(&[&snapshot_key], &[(range, limits::SCAN_MAX_ROWS)])?;
        let mut changes = Vec::new();
        for (key, value) in pages.pop().unwrap_or_default() {
            let row: ChangesRow = decode(&key, &value)?;
            changes.extend(row.lots.into_iter().flat_map(|lot| lot.changes));
        }
        let snapshot = (header.snapshot_at > 0).then(|| snapshot.into_iter().next().flatten()).flatten();
        Ok(Base { snapshot: snapshot.map(ByteVec::from), changes })
    }
}

/// Whether the id is that of the parent and key, and the parent and key are of the sort that the kind has. A key of one's own choice would
/// make a document that follows no reassignment.
pub(super) fn derived_right(doc: DocId, kind: DocKind, origin: &Origin) -> bool {
    let of_its_sort = match kind {
        DocKind::Calendar => origin.key.len() == "2026-02".len(),
        _ => {
            let parent = DocId::from_slice(&origin.parent);
            origin.key.is_empty() && parent.and_then(|parent| parent.kind()) == Some(DocKind::Lead)
        }
    };
    of_its_sort && DocId::derived(kind, &origin.parent, &origin.key) == doc
}

/// Where the document comes from, from a push that tells the truth about it. What somebody else claims in the same moment counts for
/// nothing.
fn proven_origin<'a>(doc: DocId, mut pushes: impl Iterator<Item = &'a Push>) -> Option<&'a Origin> {
    let kind = doc.kind()?;
    pushes.find_map(|push| push.origin.as_ref().filter(|origin| derived_right(doc, kind, origin)))
}

/// A push with who brings it now.
struct Present<'a> {
    who: Principal,
    /// The actor that it claims to be of, one of the device's own; `None`: it is not.
    actor: Option<Actor>,
    push: &'a Push,
}

impl Present<'_> {
    /// The channels through which its user holds documents of this kind, or held and wrote them as far as the phone knew at its hello: a document
    /// may have left one that the user has lost since.
    fn held(&self, kind: DocKind) -> BTreeSet<Channel> {
        let believed = self.who.believed.iter().copied().filter(|channel| writes_through(*channel, kind));
        self.who.person.channels().into_iter().chain(believed).collect()
    }
}

struct Planning<'a> {
    company: &'a Company,
    doc: DocId,
    incoming: Vec<Present<'a>>,
    target: Target,
    /// `None` where the gate has the last word.
    verdicts: Vec<Option<PlannedVerdict>>,
    /// Which of them that are, and whether they come late.
    passed: Vec<(usize, bool)>,
    /// Users who may no longer hold the document, and whose phones nothing else would tell.
    strangers: BTreeSet<UserId>,
    now_ms: i64,
    batch: Batch,
}

/// What is merged.
struct Merge {
    lots: Vec<Lot>,
    creator: Option<Principal>,
    /// Users whose late work is merged into what they may no longer hold.
    strangers: BTreeSet<UserId>,
    heads: Vec<Hash32>,
    changes: u64,
    saved: Option<ByteVec>,
    account: Option<DocId>,
    /// Who names the account, when their push is among those that are merged: nobody answers for what somebody else wrote.
    named_by: Option<Person>,
    /// What this server learned of boots that wrote before any handshake (O1).
    boots: BTreeMap<u64, BootClock>,
}

impl Planning<'_> {
    /// What the gate is asked; `None`: nothing.
    fn job(&self) -> Option<GateJob> {
        if self.passed.is_empty() {
            return None;
        }
        let header = self.target.header.as_ref();
        let genesis = crate::document::genesis::genesis(self.doc.kind().unwrap_or(DocKind::Lead));
        let pushes = self.passed.iter().map(|(i, _)| &self.incoming[*i]).map(|one| GatePush {
            device: one.who.device,
            user: one.who.person.user,
            changes: one.push.changes.clone(),
        });
        Some(GateJob {
            doc: self.doc,
            heads: header.map_or_else(|| vec![genesis.hash], |header| header.heads.clone()),
            pushes: pushes.collect(),
            want_saved: header.is_some_and(wants_compaction),
        })
    }

    /// The document as it is stored.
    fn base(&self) -> Result<Base, CompanyError> {
        let header = self.target.header.as_ref();
        header.map_or(Ok(Base::default()), |header| self.company.base(self.doc, header))
    }

    /// Takes in what the gate said; `None`: nothing is to be merged.
    fn take_in(&mut self, judged: Judged) -> Option<Merge> {
        let mut merge = Merge {
            lots: Vec::new(),
            creator: None,
            strangers: BTreeSet::new(),
            heads: judged.heads,
            changes: judged.changes,
            saved: judged.saved,
            account: judged.account,
            named_by: None,
            boots: BTreeMap::new(),
        };
        let mut held = BTreeSet::new();
        for ((i, late), verdict) in self.passed.iter().zip(judged.verdicts) {
            let who = &self.incoming[*i].who;
            let planned = match verdict {
                Accepted::Merge { changes, .. } if changes.is_empty() => PlannedVerdict::Known,
                Accepted::Merge { incarnation, changes, unpinned } => {
                    for boot in unpinned {
                        let clock = match who.clock {
                            Some((now, offset_ms)) if now == boot => BootClock::Pinned(offset_ms),
                            _ => BootClock::Until(self.now_ms),
                        };
                        let known = merge.boots.entry(boot).or_insert(clock);
                        *known = known.better(clock);
                    }
                    merge.creator.get_or_insert_with(|| who.clone());
                    if judged.account_by == Some(who.person.user) {
                        merge.named_by = Some(who.person.clone());
                    }
                    if *late {
                        merge.strangers.insert(who.person.user);
                    }
                    let received_ms = self.now_ms;
                    merge.lots.push(Lot {
                        device: who.device,
                        incarnation,
                        received_ms,
                        late: *late,
                        changes,
                    });
                    PlannedVerdict::Merged
                }
                Accepted::Hold(reason) => PlannedVerdict::Held(reason),
                Accepted::Refuse { code, detail } => PlannedVerdict::Refused(code, detail),
            };
            // What builds on held work is held with it, and not refused for the gap.
            let actor = self.incoming[*i].actor;
            let behind = actor.is_some_and(|actor| held.contains(&actor));
            let planned = match planned {
                PlannedVerdict::Refused(RefuseCode::OutOfOrder, _) if behind => {
                    PlannedVerdict::Held(HoldReason::Suffix)
                }
                other => other,
            };
            if matches!(planned, PlannedVerdict::Held(_)) {
                held.extend(actor);
            }
            self.verdicts[*i] = Some(planned);
        }
        (!merge.lots.is_empty()).then_some(merge)
    }

    /// Plans the batch. `judged` answers [`Planning::job`].
    fn finish(mut self, judged: Option<Judged>) -> Result<Prepared, CompanyError> {
        let merge = judged.and_then(|judged| self.take_in(judged));
        self.hold()?;
        let mut touched: BTreeSet<Channel> = BTreeSet::new();
        let known_at = self.target.header.as_ref().map_or(0, |header| header.content_at);
        if let Some(merge) = merge {
            touched = self.merge(merge)?;
        }
        touched.extend(self.strangers.iter().copied().map(Channel::User));
        self.note_answered();
        let (company, doc) = (self.company, self.doc);
        let answers = self.incoming.iter().zip(self.verdicts).map(|(one, verdict)| {
            let refused = || PlannedVerdict::Refused(RefuseCode::Malformed, "not judged".into());
            let verdict = verdict.unwrap_or_else(refused);
            // A phone need not hold what others changed meanwhile, so what is vouched for is its own change and all behind it.
            let last = one.push.changes.last().and_then(|change| claimed_hash(change));
            let receipt = match (&verdict, last) {
                (PlannedVerdict::Merged | PlannedVerdict::Known, Some(last)) => {
                    company.receipt(company.epoch(), doc, &[last])
                }
                _ => Vec::new(),
            };
            Plan { id: one.push.id, verdict, receipt }
        });
        Ok(Prepared { doc, batch: self.batch, answers: answers.collect(), known_at, touched })
    }

    /// Keeps held pushes as they came. What is not kept must not be called held.
    fn hold(&mut self) -> Result<(), CompanyError> {
        let mut shelf = Shelf::new(self.company, self.doc, self.now_ms);
        for (one, verdict) in self.incoming.iter().zip(&mut self.verdicts) {
            let Some(PlannedVerdict::Held(reason)) = verdict else { continue };
            let refused = |code, detail: &str| Some(PlannedVerdict::Refused(code, detail.into()));
            let Some(actor) = one.actor else {
                *verdict = refused(RefuseCode::Malformed, "not a change of this device");
                continue;
            };
            match shelf.place(&mut self.batch, (actor, one.who.person.user), one.push, *reason)? {
                Placed::Kept => {}
                Placed::TooOften => {
                    *verdict = refused(RefuseCode::TooLarge, "too many pushes under one number");
                }
                Placed::NoRoom => *verdict = Some(PlannedVerdict::Later),
            }
        }
        shelf.note(&mut self.batch);
        Ok(())
    }

    /// Remembers how far each device got, so that a restored or cloned phone is recognised.
    fn note_answered(&mut self) {
        for (one, verdict) in self.incoming.iter().zip(&self.verdicts) {
            if matches!(verdict, Some(PlannedVerdict::Merged | PlannedVerdict::Held(_)))
                && let Some(actor) = one.actor
            {
                self.batch.put(keys::answered(one.who.device, actor.incarnation, one.push.id), []);
            }
        }
    }

    fn merge(&mut self, mut merge: Merge) -> Result<BTreeSet<Channel>, CompanyError> {
        let (doc, company) = (self.doc, self.company);
        self.batch.guard(keys::header(doc), self.target.raw.clone());
        let bytes: usize = merge.lots.iter().flat_map(|lot| &lot.changes).map(|change| change.len()).sum();
        let count: usize = merge.lots.iter().map(|lot| lot.changes.len()).sum();
        let (mut header, mut wanted) = match self.target.header.take() {
            Some(header) => {
                let wanted = header.channels();
                (header, wanted)
            }
            None => {
                let (header, wanted) = self.new_header(&merge)?;
                // What a restored server has of the lead may say that it is somebody else's by now.
                let creator = header.creator.filter(|user| !wanted.contains(&Channel::User(*user)));
                merge.strangers.extend(creator.filter(|_| company.is_restored()));
                self.turn_away(&merge.strangers, &wanted);
                (header, wanted)
            }
        };
        let clocks = match company.lead_of(doc, header.origin.as_ref()) {
            Some(lead) => company.plan_clocks(&mut self.batch, lead, &merge.boots, self.now_ms)?,
            None => BTreeSet::new(),
        };
        plan_ties(&mut self.batch, doc, &mut header, &wanted, &self.target.departures, true);
        header.content_at = HERE;
        header.heads = merge.heads;
        header.changes = merge.changes;
        header.tail_bytes = header.tail_bytes.saturating_add(bytes as u32);
        header.tail_changes = header.tail_changes.saturating_add(count as u32);
        plan_late(&mut self.batch, doc, &merge.lots);
        let (key, slot) = keys::changes_slot(doc);
        self.batch.put_at(key, Some(slot), encode(&ChangesRow { lots: merge.lots }), None);
        if let Some(saved) = merge.saved {
            company.plan_snapshot(&mut self.batch, doc, &mut header, saved.to_vec())?;
        }
        if doc.kind() == Some(DocKind::Lead) {
            let by = merge.named_by.as_ref().map_or(NamedBy::Owners, NamedBy::Person);
            wanted.extend(company.plan_link(&mut self.batch, doc, &mut header, merge.account, by)?);
        }
        let (value, slot) = header.to_value();
        self.batch.put_at(keys::header(doc), None, value, Some(slot));
        wanted.extend(merge.strangers.into_iter().map(Channel::User));
        wanted.extend(clocks);
        Ok(wanted)
    }

    /// A document that comes into being for a lead that had moved already was never in its author's channel: the phone that made it is
    /// told to let it go all the same.
    fn turn_away(&mut self, strangers: &BTreeSet<UserId>, wanted: &BTreeSet<Channel>) {
        for channel in
            strangers.iter().map(|user| Channel::User(*user)).filter(|channel| !wanted.contains(channel))
        {
            let (key, slot) = keys::feed_slot(channel, self.doc);
            self.batch.put_at(key, Some(slot), encode(&FeedEntry::Gone), None).put_at(
                keys::departure(channel, self.doc),
                None,
                [0; 8],
                Some(Slot(0)),
            );
        }
    }

    /// The header of a document that somebody just brought into being; for a lead also its ruling.
    fn new_header(&mut self, merge: &Merge) -> Result<(Header, BTreeSet<Channel>), CompanyError> {
        let (doc, company) = (self.doc, self.company);
        let kind = doc.kind().unwrap_or(DocKind::Lead);
        let creator: UserId = merge.creator.as_ref().map(|who| who.person.user).unwrap_or_default();
        let ruled = if kind == DocKind::Lead { company.ruled(doc)? } else { None };
        let ties = match (kind, &ruled) {
            (_, Some(ruled)) => {
                ruled.guard(&mut self.batch);
                ruled.ties.clone()
            }
            (DocKind::Lead | DocKind::Account | DocKind::Calendar, None) => {
                // Should they change teams before this is written, it is planned again.
                let people = company.ties_now(&[creator], None)?;
                people.guard(&mut self.batch);
                people.ties
            }
            _ => self.target.ties.clone(),
        };
        if let Some((key, value)) = self.target.parent.take() {
            self.batch.guard(key, Some(value));
        }
        let wanted = channels_of(kind, &ties);
        self.target.departures = company.departures(doc, wanted.iter().copied())?;
        if kind == DocKind::Lead && ruled.is_none() {
            company.plan_ruling_of_created(
                &mut self.batch,
                doc,
                creator,
                &ties,
                &merge.boots,
                self.now_ms,
            )?;
        }
        let origin = proven_origin(doc, self.incoming.iter().map(|one| one.push)).cloned();
        let header = Header {
            origin,
            owners: ties.owners.into_iter().collect(),
            teams: ties.teams.into_iter().collect(),
            creator: Some(creator),
            ..Header::default()
        };
        Ok((header, wanted))
    }
}

/// Whether the tail behind the snapshot is long enough to compact.
pub(super) fn wants_compaction(header: &Header) -> bool {
    let bytes = limits::TAIL_COMPACT_BYTES.max(header.snapshot_bytes as usize);
    header.tail_bytes as usize >= bytes || header.tail_changes as usize >= limits::TAIL_COMPACT_CHANGES
}
