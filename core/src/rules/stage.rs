//! 阶段 (C24, C27, C28, C61–C66, O4): a stage move is a proposal in the log of the lead; which stage the lead is in is a fold over proposals
//! and what proves them. Nothing is stored but the proposals, so evidence that comes late moves the lead where it would have been.
//!
//! A proposal counts when everything that its stage needs is there; until then the lead stays in the last stage that counted, and what is
//! missing is named. The order in which things arrived plays no part: proposals are taken by the time when they were made.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::facts::{DAY_MS, Facts, HOUR_MS};
use super::known::KnownOf;
use super::verdict::{Says, Unknown, Verdict};
use crate::ids::EntryId;
use crate::model::{Decision, Direction, Event, LoggedEvent, StageProposal, TouchChannel};
use crate::policy::{EvidenceNeed, Fact, Need, Policy, PolicyAt, Proof, Stage};

/// Where a lead is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageView {
    /// The stage, by its id; that of the first of the policy before any proposal counted.
    pub stage: String,
    /// Since when, milliseconds since 1970 UTC; `None`: since it is there.
    pub since_ms: Option<i64>,
    /// Every proposal, in the order in which they were made.
    pub proposals: Vec<Proposal>,
    /// Days in the stage and why, when that is too long (C66).
    pub stuck: Option<Stuck>,
    /// What would have to be known to say whether the lead is further on: a proposal behind the last that counts is undetermined.
    pub open: Option<Unknown>,
}

/// A proposal, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The entry.
    pub id: EntryId,
    /// The stage proposed.
    pub to: String,
    /// When it was made, milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// The version of the policy that it is judged by.
    pub policy: EntryId,
    /// What came of it.
    pub verdict: ProposalVerdict,
    /// 跳阶段: it counts, and the lead did not come from the stage before or after (M4).
    pub jump: bool,
    /// It counts, and the lead was there already: it changes nothing.
    pub again: bool,
    /// What is missing under the version in force now, where that is something else than under its own (O13).
    pub under_present: Option<Vec<String>>,
}

/// What came of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalVerdict {
    /// It counts, since then.
    Counts {
        /// When the last that it needed was there, milliseconds since 1970 UTC.
        since_ms: i64,
    },
    /// It does not count; what is missing, by the names of the policy.
    Lacks(Vec<String>),
    /// A supervisor said no.
    Refused {
        /// With this entry.
        by: EntryId,
    },
    /// Its stage is none of the policy's.
    NoSuchStage,
    /// It cannot be said from what is held.
    Undetermined(Unknown),
}

/// 停滞: a lead that stays where it is (C66).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Days in the stage.
    pub days: i64,
    /// Why, in Chinese.
    pub reason: String,
}

/// What of a need is there.
#[derive(Clone)]
enum Met {
    /// It is met since then.
    Since(i64),
    No,
    Refused(EntryId),
}

/// The fold of a lead's stages for rules that are judged together: worked out when the first of them asks, and once.
#[derive(Debug)]
pub(crate) struct StageOnce<'a> {
    facts: &'a Facts<'a>,
    view: OnceCell<Result<StageView, Unknown>>,
}

impl<'a> StageOnce<'a> {
    pub fn new(facts: &'a Facts<'a>) -> Self {
        Self { facts, view: OnceCell::new() }
    }

    /// Where the lead is.
    pub fn view(&self) -> Result<&StageView, Unknown> {
        self.view.get_or_init(|| fold(self.facts)).as_ref().map_err(Clone::clone)
    }
}

/// Where the lead is, and what stands in the way of what was proposed.
pub fn assess_stage(facts: &Facts<'_>) -> Verdict<StageView> {
    let version = facts.policies.at(facts.now_ms).id;
    Verdict { policy: version, says: fold(facts).into() }
}

/// What the next stage needs and is not there yet; empty at the end of the way.
pub fn missing_for_next(facts: &Facts<'_>) -> Says<Vec<String>> {
    missing(facts, &StageOnce::new(facts)).into()
}

pub(super) fn missing(facts: &Facts<'_>, stages: &StageOnce<'_>) -> Result<Vec<String>, Unknown> {
    let (_, policy) = facts.policy()?;
    let view = stages.view()?;
    let Some(next) = next_of(policy, &view.stage) else { return Ok(Vec::new()) };
    let version = facts.policies.at(facts.now_ms).id;
    let proofs = &mut Proofs::default();
    match judge(facts, (version, policy), next, None, &Standing::of(view), proofs) {
        ProposalVerdict::Lacks(missing) => Ok(missing),
        ProposalVerdict::Undetermined(unknown) => Err(unknown),
        _ => Ok(Vec::new()),
    }
}

/// The stage behind this one; to be lost is no way on.
pub fn next_of<'a>(policy: &'a Policy, stage: &str) -> Option<&'a Stage> {
    let next = policy.place_of(stage).and_then(|at| policy.stages.get(at + 1));
    next.filter(|next| !next.lost)
}

/// Where the lead stood before a proposal.
struct Standing {
    stage: String,
    since_ms: Option<i64>,
}

impl Standing {
    fn of(view: &StageView) -> Self {
        Self { stage: view.stage.clone(), since_ms: view.since_ms }
    }
}

fn fold(facts: &Facts<'_>) -> Result<StageView, Unknown> {
    #[cfg(test)]
    FOLDS.set(FOLDS.get() + 1);
    let (_, present) = facts.policy()?;
    let first = present.stages.first().map(|stage| stage.id.clone()).unwrap_or_default();
    let since_ms = facts.ruling.and_then(|ruling| ruling.fields.received_at_ms);
    let mut standing = Standing { stage: first, since_ms };
    let (mut proposals, mut open, mut proofs) = (Vec::new(), None, Proofs::default());
    let present_id = facts.policies.at(facts.now_ms).id;
    for (event, proposal) in proposed(facts) {
        let (version, policy) = version_of(facts, event, proposal)?;
        let mut judged = |version, policy: &Policy, standing: &Standing| match policy.stage(&proposal.to) {
            Some(stage) => judge(facts, (version, policy), stage, Some(event), standing, &mut proofs),
            None => ProposalVerdict::NoSuchStage,
        };
        let verdict = judged(version.id, policy, &standing);
        let under_present = (version.id != present_id)
            .then(|| judged(present_id, present, &standing))
            .filter(|now| *now != verdict)
            .map(|now| match now {
                ProposalVerdict::Lacks(missing) => missing,
                _ => Vec::new(),
            });
        let (mut jump, mut again) = (false, false);
        match &verdict {
            ProposalVerdict::Counts { since_ms } => {
                open = None;
                again = standing.stage == proposal.to;
                if !again {
                    jump = is_jump(policy, &standing.stage, &proposal.to);
                    // A proposal that came to count late does not begin before the one that it follows.
                    let since_ms = standing.since_ms.map_or(*since_ms, |before| before.max(*since_ms));
                    standing = Standing { stage: proposal.to.clone(), since_ms: Some(since_ms) };
                }
            }
            ProposalVerdict::Undetermined(unknown) => open = Some(unknown.clone()),
            _ => {}
        }
        proposals.push(Proposal {
            id: event.id,
            to: proposal.to.clone(),
            at_ms: event.happened_at_ms(),
            policy: version.id,
            verdict,
            jump,
            again,
            under_present,
        });
    }
    let stuck = stuck(facts, present, &standing, &proposals);
    Ok(StageView { stage: standing.stage, since_ms: standing.since_ms, proposals, stuck, open })
}

/// What of the needs of stages is there, found out once for each version of the policy: of all proofs only an approval is one proposal's own.
#[derive(Default)]
struct Proofs(BTreeMap<(EntryId, String), Vec<Proven>>);

/// What came of one need; `None`: it is the proposal's own.
type Proven = Option<Result<Met, Unknown>>;

impl Proofs {
    fn of(&mut self, facts: &Facts<'_>, version: EntryId, policy: &Policy, stage: &Stage) -> &[Proven] {
        self.0.entry((version, stage.id.clone())).or_insert_with(|| {
            let proof = |need: &Need| match &need.what {
                Proof::Approval { .. } => None,
                proof => Some(met(facts, policy, stage, proof)),
            };
            stage.needs.iter().map(proof).collect()
        })
    }
}

fn proposed<'a>(facts: &Facts<'a>) -> Vec<(&'a LoggedEvent, &'a StageProposal)> {
    let proposal = |logged: &'a LoggedEvent| match &logged.event {
        Event::StageProposal(proposal) => Some((logged, proposal)),
        _ => None,
    };
    facts.events().into_iter().filter_map(proposal).collect()
}

/// The version by which a proposal is judged: the one that its author saw, if that was in force then; else the one that was (O13).
fn version_of<'a>(
    facts: &Facts<'a>,
    event: &LoggedEvent,
    proposal: &StageProposal,
) -> Result<(&'a PolicyAt, &'a Policy), Unknown> {
    let at_ms = event.happened_at_ms();
    let seen = proposal.policy.and_then(|id| facts.policies.version(id));
    match seen.filter(|version| version.effective_from_ms <= at_ms) {
        Some(version) => Facts::readable(version),
        None => facts.policy_at(at_ms),
    }
}

/// Whether a lead goes another way than one stage on or back. To be lost is none, and neither is the stage in which it is.
fn is_jump(policy: &Policy, from: &str, to: &str) -> bool {
    let lost = policy.stage(to).is_some_and(|stage| stage.lost);
    match (policy.place_of(from), policy.place_of(to)) {
        (Some(from), Some(to)) => !lost && from.abs_diff(to) > 1,
        _ => false,
    }
}

/// What comes of a proposal to `stage`; of none, what would come of it now.
fn judge(
    facts: &Facts<'_>,
    (version, policy): (EntryId, &Policy),
    stage: &Stage,
    proposal: Option<&LoggedEvent>,
    standing: &Standing,
    proofs: &mut Proofs,
) -> ProposalVerdict {
    let mut since_ms = proposal.map_or(facts.now_ms, LoggedEvent::happened_at_ms);
    let (mut missing, mut unknown) = (Vec::new(), None::<Unknown>);
    let mut take = |name: &str, met: Result<Met, Unknown>| {
        match met {
            Ok(Met::Since(at_ms)) => since_ms = since_ms.max(at_ms),
            Ok(Met::No) => missing.push(name.to_owned()),
            Ok(Met::Refused(by)) => return Some(by),
            Err(why) => unknown = Some(unknown.take().map_or(why.clone(), |before| before.and(why))),
        }
        None
    };
    for (need, proof) in stage.needs.iter().zip(proofs.of(facts, version, policy, stage)) {
        let met = match (proof, &need.what) {
            (Some(met), _) => met.clone(),
            (None, Proof::Approval { within_hours }) => approved(facts, proposal, *within_hours),
            (None, _) => Ok(Met::No),
        };
        if let Some(by) = take(&need.name, met) {
            return ProposalVerdict::Refused { by };
        }
    }
    // Only to go on is anything in the way.
    if !stage.lost && policy.place_of(&stage.id) > policy.place_of(&standing.stage) {
        for (title, done) in blocking(facts, policy, standing, since_of(proposal, facts)) {
            take(&title, Ok(done.map_or(Met::No, Met::Since)));
        }
    }
    // What is missing for sure is missing, whatever else there may be.
    match (missing.is_empty(), unknown) {
        (false, _) => ProposalVerdict::Lacks(missing),
        (true, Some(unknown)) => ProposalVerdict::Undetermined(unknown),
        (true, None) => ProposalVerdict::Counts { since_ms },
    }
}

fn since_of(proposal: Option<&LoggedEvent>, facts: &Facts<'_>) -> i64 {
    proposal.map_or(facts.now_ms, LoggedEvent::happened_at_ms)
}

fn met(facts: &Facts<'_>, policy: &Policy, stage: &Stage, proof: &Proof) -> Result<Met, Unknown> {
    let first = |at: Option<i64>| Ok(at.map_or(Met::No, Met::Since));
    match proof {
        Proof::Evidence(need) => evidenced(facts, need).map(|at| at.map_or(Met::No, Met::Since)),
        Proof::CustomerReply { after_evidence } => {
            let after_ms = if *after_evidence { evidence_of(facts, stage)? } else { Some(i64::MIN) };
            let Some(after_ms) = after_ms else { return Ok(Met::No) };
            first(first_event(facts, after_ms, |event| is_reply(policy, event)))
        }
        Proof::Meeting {} => first(first_event(facts, i64::MIN, is_meeting)),
        Proof::Signal { kind } => first(facts.signals(kind).first().map(|(event, _)| event.happened_at_ms())),
        Proof::Ticks { rows } => {
            let table = facts.table.ok_or_else(|| Unknown::of("采购推进表"))?;
            let confirmed =
                |id: &String| table.rows.iter().any(|row| row.id == *id && row.confirmed && !row.conflict);
            // A tick has no time of its own that counts: the proposal's does.
            Ok(if rows.iter().all(confirmed) { Met::Since(i64::MIN) } else { Met::No })
        }
        Proof::When { holds } => {
            let known = KnownOf::for_stages(facts, policy);
            Ok(if holds.holds(&known)? { Met::Since(i64::MIN) } else { Met::No })
        }
        // Of one proposal, and asked for there.
        Proof::Approval { .. } => Ok(Met::No),
    }
}

/// When the first evidence that fits was there: by its hash, or by its bytes where the policy wants those (O5).
fn evidenced(facts: &Facts<'_>, need: &EvidenceNeed) -> Result<Option<i64>, Unknown> {
    let contains = need.name_contains.to_lowercase();
    let fitting = facts.lead.evidence.iter().filter(|logged| {
        let of = &logged.evidence;
        // Seen from before it was attached it is not there.
        logged.at.at_ms <= facts.now_ms
            && of.name.to_lowercase().contains(&contains)
            && of.mime.starts_with(&need.media)
    });
    if !need.verified {
        return Ok(fitting.map(|logged| logged.at.at_ms).min());
    }
    let ruling = facts.ruling()?;
    let seen = |logged: &crate::model::LoggedEvidence| {
        let mut decisions = ruling.decisions.iter();
        decisions.find_map(|decided| match &decided.decision {
            Decision::Verified { hash } if *hash == logged.evidence.hash => Some(logged.at.at_ms),
            _ => None,
        })
    };
    Ok(fitting.filter_map(seen).min())
}

/// When the evidence that a stage needs was there; `None`: it is not.
fn evidence_of(facts: &Facts<'_>, stage: &Stage) -> Result<Option<i64>, Unknown> {
    let mut at_ms = i64::MIN;
    for need in &stage.needs {
        let Proof::Evidence(need) = &need.what else { continue };
        match evidenced(facts, need)? {
            Some(there_ms) => at_ms = at_ms.max(there_ms),
            None => return Ok(None),
        }
    }
    Ok(Some(at_ms))
}

fn first_event(facts: &Facts<'_>, after_ms: i64, which: impl Fn(&Event) -> bool) -> Option<i64> {
    let events = facts.events().into_iter();
    events.filter(|logged| which(&logged.event)).map(LoggedEvent::happened_at_ms).find(|at| *at >= after_ms)
}

fn is_meeting(event: &Event) -> bool {
    matches!(event, Event::Visit(_))
        || matches!(event, Event::Touch(touch) if touch.channel == TouchChannel::Meeting)
}

fn is_reply(policy: &Policy, event: &Event) -> bool {
    match event {
        Event::Touch(touch) => touch.direction == Direction::In,
        Event::Signal(signal) => policy.signals.iter().any(|kind| kind.is_talk && kind.id == signal.kind),
        _ => false,
    }
}

/// 主管审批: within so many hours from when the server had the proposal (C28).
fn approved(facts: &Facts<'_>, proposal: Option<&LoggedEvent>, within_hours: u32) -> Result<Met, Unknown> {
    let Some(proposal) = proposal else { return Ok(Met::No) };
    let ruling = facts.ruling()?;
    let received = ruling.decisions.iter().find_map(|decided| match &decided.decision {
        Decision::Received { entry } if *entry == proposal.id => Some(decided.at_ms),
        _ => None,
    });
    let due_ms = received.map(|at_ms| at_ms.saturating_add(i64::from(within_hours) * HOUR_MS));
    let mine =
        |logged: &&LoggedEvent| matches!(&logged.event, Event::Approval(of) if of.proposal == proposal.id);
    let mut words: Vec<&LoggedEvent> = facts.lead.events.iter().filter(mine).collect();
    words.sort_by_key(|logged| (logged.happened_at_ms(), logged.id));
    for logged in words {
        let Event::Approval(approval) = &logged.event else { continue };
        let at_ms = logged.happened_at_ms();
        if at_ms > facts.now_ms || logged.user == proposal.user || !facts.leads(logged.user)? {
            continue;
        }
        if due_ms.is_none_or(|due_ms| at_ms <= due_ms) {
            return Ok(if approval.approved { Met::Since(at_ms) } else { Met::Refused(logged.id) });
        }
    }
    Ok(Met::No)
}

/// The tasks without which the lead does not advance (C27), each with when it was done.
fn blocking(
    facts: &Facts<'_>,
    policy: &Policy,
    standing: &Standing,
    until_ms: i64,
) -> Vec<(String, Option<i64>)> {
    let rules = policy.tasks.iter().filter(|rule| rule.blocks_stage);
    let open = rules.filter_map(|rule| {
        let opened_ms = match &rule.after {
            Fact::Stage(stage) => standing.since_ms.filter(|_| *stage == standing.stage),
            Fact::Signal(kind) => {
                let first = facts.signals(kind).first().map(|(event, _)| event.happened_at_ms());
                first.filter(|at_ms| *at_ms <= until_ms)
            }
            _ => None,
        }?;
        let done = rule.done_by.iter().filter_map(|fact| super::tasks::first_after(facts, fact, opened_ms));
        Some((rule.title_alone(), done.min()))
    });
    open.collect()
}

fn stuck(facts: &Facts<'_>, policy: &Policy, standing: &Standing, proposals: &[Proposal]) -> Option<Stuck> {
    let stage = policy.stage(&standing.stage).filter(|stage| !stage.won && !stage.lost)?;
    let days = facts.now_ms.saturating_sub(standing.since_ms?) / DAY_MS;
    (days > i64::from(stage.stuck_after_days?)).then(|| {
        let waiting = proposals.last().and_then(|last| match &last.verdict {
            ProposalVerdict::Lacks(missing) => Some(format!("缺少{}", missing.join("、"))),
            ProposalVerdict::Refused { .. } => Some("主管未通过".to_owned()),
            _ => None,
        });
        let since = facts.events().into_iter().rfind(|logged| super::facts::is_contact(&logged.event));
        let idle = since.map(|logged| facts.now_ms.saturating_sub(logged.happened_at_ms()) / DAY_MS);
        let idle = match idle {
            Some(days) => format!("{days}天没有联系客户"),
            None => "还没有联系过客户".to_owned(),
        };
        Stuck { days, reason: waiting.unwrap_or(idle) }
    })
}

#[cfg(test)]
thread_local! {
    /// How often the stages of a lead were folded on this thread.
    pub(super) static FOLDS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}
