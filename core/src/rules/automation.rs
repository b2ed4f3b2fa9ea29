//! 自动化 (O2, O3, C1, C14, C18, C22, C25, C29, C34): what the server does about a lead by itself. Pure: from what is held and what was decided
//! already to what is to be decided now, and when to look again. Doing it twice is doing it once: a firing is named by its rule, the lead and
//! the fact that opened it, and what is in the ruling already is not planned again.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::assignment::{Candidate, plan_assignment};
use super::facts::{Epoch, Facts, HOUR_MS, next_hour};
use super::nurturing::{StepState, assess_nurturing};
use super::outcome::{LeadOutcome, outcome};
use super::response::{Deadline, ResponseState, assess_response};
use super::stage::StageOnce;
use super::tasks::{Task, TaskState, tasks_and_unsure};
use super::verdict::{Says, Unknown};
use super::words::objections;
use crate::ids::{DocId, EntryId, Hash32, UserId};
use crate::limits;
use crate::model::{Cured, Decision, Event, Firing, LoggedEvent, RulingModel};
use crate::policy::{Overdue, Policy, Proof, Who};

/// What is to be done about a lead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Automation {
    /// In this order.
    pub acts: Vec<Act>,
    /// When something comes due next, milliseconds since 1970 UTC; `None`: nothing does by itself.
    pub next_ms: Option<i64>,
}

/// One thing that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Record that a rule fired, for what was due then (milliseconds since 1970 UTC), and tell whom it concerns, unless that is too long ago.
    Fire(EntryId, Firing, i64),
    /// Record that it was for nothing, and tell them.
    Cure(EntryId, Cured),
    /// Give the lead to somebody.
    Assign {
        /// To whom.
        to: UserId,
        /// By which node, in Chinese.
        why: String,
        /// By which version.
        policy: EntryId,
    },
    /// Let somebody work on it too (O3).
    Join(EntryId, UserId, EntryId),
    /// 已确认阶段.
    Confirm(String),
    /// Record that a proposal came whose approval is a matter of hours.
    Receive(EntryId, EntryId),
    /// 疑似重复: name the earlier lead of the same customer (O12); of other leads the rules know nothing.
    Link(DocId),
    /// Record that the bytes of evidence have come (O5); of that the rules know nothing until it is recorded.
    Verify(EntryId, Hash32),
}

/// What is to be done about a lead now. Of `candidates` one gets it where nobody owns it or the owner did not answer.
///
/// # Errors
/// [`Unknown`] where the ruling is not held, or the policy cannot be read; nothing is done then.
pub fn plan_automation(facts: &Facts<'_>, candidates: &[Candidate]) -> Result<Automation, Unknown> {
    plan(facts, candidates, &StageOnce::new(facts))
}

/// What is to be done about a lead, and what of it the figures count: what both ask for is worked out once.
pub fn plan_and_count(
    facts: &Facts<'_>,
    candidates: &[Candidate],
) -> (Result<Automation, Unknown>, Says<LeadOutcome>) {
    let stages = StageOnce::new(facts);
    (plan(facts, candidates, &stages), outcome(facts, &stages).into())
}

fn plan<'a>(
    facts: &'a Facts<'a>,
    candidates: &[Candidate],
    stages: &'a StageOnce<'a>,
) -> Result<Automation, Unknown> {
    let ruling = facts.ruling()?;
    let (version, policy) = facts.policy()?;
    // A lead that is lost owes nothing that would have come due behind it.
    let lost = stages.view().ok().filter(|view| policy.stage(&view.stage).is_some_and(|stage| stage.lost));
    let mut plan = Plan {
        lost_ms: lost.map(|view| view.since_ms.unwrap_or(i64::MIN)),
        recorded: ruling.decisions.iter().map(|decided| decided.id).collect(),
        stages,
        facts,
        ruling,
        policy: version.id,
        acts: Vec::new(),
        next_ms: None,
        standing: BTreeSet::new(),
        reasons: BTreeMap::new(),
    };
    if facts.lead.fields.deleted == Some(true) {
        return Ok(Automation::default());
    }
    // What cannot be said of one part keeps no other waiting.
    let parts = [
        plan.responses(policy, candidates),
        plan.tasks(),
        plan.nurturing(),
        plan.objections(),
        plan.stage(policy),
    ];
    // Whether what fired had reason can be said only where everything can.
    if parts.iter().all(Result::is_ok) {
        plan.cures();
    }
    plan.what_has_not_happened_yet();
    // The record of some is news, for which the lead is looked at again.
    plan.acts.truncate(limits::ACTS_AT_ONCE);
    Ok(Automation { acts: plan.acts, next_ms: plan.next_ms })
}

/// The id of what a rule does for a fact, whoever works it out.
pub fn firing_id(lead: DocId, rule: &str, epoch: EntryId) -> EntryId {
    let mut hash = Sha256::new();
    hash.update(b"fieldbook/firing/1");
    hash.update(lead.0);
    hash.update(epoch.0);
    hash.update(rule);
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    EntryId(id)
}

struct Plan<'a> {
    facts: &'a Facts<'a>,
    stages: &'a StageOnce<'a>,
    recorded: BTreeSet<EntryId>,
    /// Since when the lead is lost.
    lost_ms: Option<i64>,
    ruling: &'a RulingModel,
    policy: EntryId,
    acts: Vec<Act>,
    next_ms: Option<i64>,
    /// What has reason to have fired by now.
    standing: BTreeSet<EntryId>,
    /// Why something has none, where an entry shows it.
    reasons: BTreeMap<EntryId, (EntryId, &'static str)>,
}

impl Plan<'_> {
    /// Something comes due then.
    fn look_at(&mut self, at_ms: i64) {
        if at_ms > self.facts.now_ms {
            self.next_ms = Some(self.next_ms.map_or(at_ms, |before| before.min(at_ms)));
        }
    }

    fn is_recorded(&self, id: EntryId) -> bool {
        self.recorded.contains(&id)
    }

    /// What a clock that goes before ours has written: it counts when its moment comes.
    fn what_has_not_happened_yet(&mut self) {
        let events = self.facts.lead.events.iter().map(LoggedEvent::happened_at_ms);
        let evidence = self.facts.lead.evidence.iter().map(|logged| logged.at.at_ms);
        let ahead: Vec<i64> = events.chain(evidence).filter(|at_ms| *at_ms > self.facts.now_ms).collect();
        ahead.into_iter().for_each(|at_ms| self.look_at(at_ms));
    }

    fn fire(&mut self, rule: &str, due_ms: i64, mut firing: Firing) {
        if self.lost_ms.is_some_and(|lost_ms| due_ms > lost_ms) {
            return;
        }
        firing.why = firing.why.chars().take(limits::WHY_MAX_CHARS).collect();
        let id = self.present(rule, firing.epoch);
        self.standing.insert(id);
        if !self.is_recorded(id) {
            self.acts.push(Act::Fire(id, firing, due_ms));
        }
    }

    /// The id under which a rule fires for a fact now. What was cured and has its reason again fires anew: a contact that was heard of late
    /// may be overtaken by one that was heard of still later.
    fn present(&self, rule: &str, epoch: EntryId) -> EntryId {
        let mut id = firing_id(self.facts.id, rule, epoch);
        // Every turn finds two records of the ruling, so this ends.
        loop {
            let cure = firing_id(self.facts.id, "cure", id);
            if !self.is_recorded(cure) {
                return id;
            }
            id = firing_id(self.facts.id, "again", cure);
        }
    }

    /// This shows that the rule had no reason to fire.
    fn had_no_reason(&mut self, rule: &str, epoch: EntryId, by: EntryId, why: &'static str) {
        let id = self.present(rule, epoch);
        self.reasons.insert(id, (by, why));
    }

    /// What fired and has no reason any more is cured, once: an answer that had come in time, a third failed contact that was the second.
    fn cures(&mut self) {
        for decided in &self.ruling.decisions {
            let Decision::Fire(firing) = &decided.decision else { continue };
            let id = firing_id(self.facts.id, "cure", decided.id);
            let stands = self.standing.contains(&decided.id) || LASTING.contains(&firing.rule.as_str());
            if stands || self.is_recorded(id) {
                continue;
            }
            let (by, why) = match self.reasons.get(&decided.id) {
                Some((by, why)) => (Some(*by), *why),
                None => (None, "依据已变化"),
            };
            self.acts.push(Act::Cure(id, Cured { firing: decided.id, by, why: why.to_owned() }));
        }
    }

    fn firing(&self, rule: &str, epoch: EntryId, why: String, tell: Vec<Who>) -> Firing {
        Firing { rule: rule.to_owned(), epoch, policy: self.policy, why, tell }
    }

    fn responses(&mut self, policy: &Policy, candidates: &[Candidate]) -> Result<(), Unknown> {
        let responses = so(assess_response(self.facts).says)?;
        let epochs = self.facts.epochs()?;
        if epochs.is_empty() {
            self.unowned(policy, candidates, responses.lost_after_hours);
        }
        for deadline in &responses.deadlines {
            let (rule, epoch) = ("response", deadline.epoch);
            match &deadline.state {
                ResponseState::Open => self.look_at(deadline.due_ms.saturating_add(1)),
                ResponseState::Late(_) => self.fire(rule, deadline.due_ms, overdue(deadline, Vec::new())),
                ResponseState::Overdue(then) => {
                    self.fire(rule, deadline.due_ms, overdue(deadline, vec![Who::Supervisor]));
                    // Once: a lead that two people left alone is the supervisor's, and wanders no further.
                    let again = epochs.iter().any(|other| {
                        other.id != epoch && self.is_recorded(firing_id(self.facts.id, rule, other.id))
                    });
                    let is_present = epochs.last().is_some_and(|last| last.id == epoch);
                    if *then == Overdue::Reassign && is_present && !again {
                        self.reassign(deadline.owner, candidates);
                    }
                }
                ResponseState::Met(answer) => {
                    self.had_no_reason(rule, epoch, answer.entry, "迟到的记录表明已按时响应");
                    self.reconcile(&epochs, deadline);
                }
                ResponseState::Moved => {}
            }
        }
        Ok(())
    }

    fn unowned(&mut self, policy: &Policy, candidates: &[Candidate], lost_after_hours: Option<i64>) {
        if let Some(hours) = lost_after_hours {
            let why = format!("{hours}小时没有负责人");
            let firing = self.firing("unassigned", EntryId(self.facts.id.0), why, vec![Who::Director]);
            self.fire("unassigned", self.facts.now_ms, firing);
        } else if let Some(received_ms) = self.ruling.fields.received_at_ms {
            let hours = i64::from(policy.assignment.lost_after_hours);
            self.look_at(received_ms.saturating_add(hours * HOUR_MS));
        }
        // A lead that somebody put into a team's pool waits there for a person.
        if self.ruling.fields.team.is_none() && !self.assign(candidates) {
            // Somebody may be hired.
            self.look_at(next_hour(self.facts.now_ms));
        }
    }

    /// Whether somebody is there to get it. A lost lead goes to nobody.
    fn assign(&mut self, candidates: &[Candidate]) -> bool {
        if self.lost_ms.is_some() {
            return true;
        }
        if let Says::So(plan) = plan_assignment(self.facts, candidates).says
            && let Some(to) = plan.to
        {
            let priority = plan.priority.map(|priority| format!("优先级{priority}，")).unwrap_or_default();
            self.acts.push(Act::Assign {
                to,
                why: format!("{priority}{}", plan.reason),
                policy: self.policy,
            });
            return true;
        }
        false
    }

    /// 二次分配 (C18): to anybody but who did not answer.
    fn reassign(&mut self, from: UserId, candidates: &[Candidate]) {
        let others: Vec<Candidate> =
            candidates.iter().filter(|candidate| candidate.user != from).cloned().collect();
        self.assign(&others);
    }

    /// O3: who answered in time was heard of only after the lead had moved for want of an answer. Where the new owner has done nothing the
    /// lead is offered back, else both work on it.
    fn reconcile(&mut self, epochs: &[Epoch], deadline: &Deadline) {
        let fired = firing_id(self.facts.id, "response", deadline.epoch);
        let Some(at) = epochs.iter().position(|epoch| epoch.id == deadline.epoch) else { return };
        let Some(next) = epochs.get(at + 1).filter(|_| self.is_recorded(fired)) else { return };
        let is_last = at + 2 == epochs.len();
        if !is_last || next.owner == deadline.owner {
            return;
        }
        let events = self.facts.events();
        let has_acted = |user: UserId| {
            let since = events.iter().filter(|logged| logged.happened_at_ms() >= next.from_ms);
            since.into_iter().any(|logged| logged.user == user && !matches!(logged.event, Event::Read {}))
        };
        let joined = firing_id(self.facts.id, "join", deadline.epoch);
        let offered = firing_id(self.facts.id, "offer", deadline.epoch);
        if self.is_recorded(joined) || self.is_recorded(offered) {
            return;
        }
        if has_acted(next.owner) {
            self.acts.push(Act::Join(joined, deadline.owner, deadline.epoch));
        } else {
            let why = "原负责人已按时响应，现负责人尚未跟进：请主管决定是否归还".to_owned();
            let firing = self.firing("offer", deadline.epoch, why, vec![Who::Supervisor, Who::Owner]);
            self.fire("offer", self.facts.now_ms, firing);
        }
    }

    fn tasks(&mut self) -> Result<(), Unknown> {
        let (tasks, unsure) = tasks_and_unsure(self.facts, self.stages)?;
        // What fired while its condition was known to hold stands while nobody can say whether it does.
        for (rule, epoch) in unsure {
            let id = self.present(&format!("task/{rule}"), epoch);
            self.standing.insert(id);
        }
        for task in tasks {
            let rule = format!("task/{}", task.rule);
            let late = |tell| Firing {
                rule: rule.clone(),
                epoch: task.epoch,
                policy: task.policy,
                why: format!("未按时完成：{}", self.title_alone(&task)),
                tell,
            };
            match task.state {
                TaskState::Ahead => self.look_at(task.from_ms),
                TaskState::Open => self.look_at(task.due_ms.saturating_add(1)),
                TaskState::Overdue => {
                    let tell = std::iter::once(task.who).chain(task.copy_to).collect();
                    self.fire(&rule, task.due_ms, late(tell));
                }
                TaskState::Done { entry, in_time: true, .. } => {
                    self.had_no_reason(&rule, task.epoch, entry, "迟到的记录表明已按时完成");
                }
                // It was late, and is done: nobody need be told.
                TaskState::Done { .. } => self.fire(&rule, task.due_ms, late(Vec::new())),
            }
        }
        Ok(())
    }

    /// What a task is called without what the customer said: a record of it leaves the company.
    fn title_alone(&self, task: &Task) -> String {
        let version = self.facts.policies.version(task.policy).and_then(|version| version.policy.as_deref());
        let mut rules = version.into_iter().flat_map(|policy| &policy.tasks);
        rules.find(|rule| rule.id == task.rule).map(|rule| rule.title_alone()).unwrap_or_default()
    }

    fn nurturing(&mut self) -> Result<(), Unknown> {
        for package in so(assess_nurturing(self.facts).says)? {
            for step in package.steps {
                let rule = format!("nurturing/{}", step.at);
                match step.state {
                    StepState::Ahead => self.look_at(step.due_ms),
                    StepState::Due => {
                        let firing = Firing {
                            rule: rule.clone(),
                            epoch: package.epoch,
                            policy: package.policy,
                            why: step.title,
                            tell: vec![step.who],
                        };
                        self.fire(&rule, step.due_ms, firing);
                    }
                    StepState::Cancelled(by) => {
                        self.had_no_reason(&rule, package.epoch, by, "此前已联系上客户");
                    }
                }
            }
        }
        Ok(())
    }

    fn objections(&mut self) -> Result<(), Unknown> {
        if let Some(alarm) = objections(self.facts, self.stages)? {
            let why = format!("短期内出现{}次价格异议", alarm.objections.len());
            let firing = self.firing("objections", alarm.epoch, why, vec![Who::Director]);
            self.fire("objections", self.facts.now_ms, firing);
        } else if self.has_ended()? {
            // That the lead was won or lost since takes nothing from what was objected.
            let fired = self.ruling.decisions.iter().filter(
                |decided| matches!(&decided.decision, Decision::Fire(firing) if firing.rule == "objections"),
            );
            let fired: Vec<EntryId> = fired.map(|decided| decided.id).collect();
            self.standing.extend(fired);
        }
        Ok(())
    }

    /// Whether the lead is won or lost.
    fn has_ended(&self) -> Result<bool, Unknown> {
        let (_, policy) = self.facts.policy()?;
        Ok(policy.stage(&self.stages.view()?.stage).is_some_and(|stage| stage.won || stage.lost))
    }

    fn stage(&mut self, policy: &Policy) -> Result<(), Unknown> {
        let view = self.stages.view()?;
        for proposal in &view.proposals {
            // By the version that it is judged by: its hours are those.
            let judged_by = self.facts.policies.version(proposal.policy).and_then(|at| at.policy.as_deref());
            let stage = judged_by.and_then(|policy| policy.stage(&proposal.to));
            let mut needs = stage.into_iter().flat_map(|stage| &stage.needs);
            let of_hours = needs.any(|need| matches!(need.what, Proof::Approval { .. }));
            let known = self.ruling.decisions.iter().any(
                |decided| matches!(&decided.decision, Decision::Received { entry } if *entry == proposal.id),
            );
            if of_hours && !known {
                let id = firing_id(self.facts.id, "received", proposal.id);
                self.acts.push(Act::Receive(id, proposal.id));
            }
        }
        // A lead is in the first stage without anybody's word: a table of ten thousand imported leads is not ten thousand confirmations. While
        // it may be further on nothing is confirmed.
        let first = policy.stages.first().map_or("", |stage| stage.id.as_str());
        if view.open.is_none() && self.ruling.fields.stage.as_deref().unwrap_or(first) != view.stage {
            self.acts.push(Act::Confirm(view.stage.clone()));
        }
        Ok(())
    }
}

/// Of one that was answered too late nobody need be told.
fn overdue(deadline: &Deadline, tell: Vec<Who>) -> Firing {
    let why = "分配后未按时响应".to_owned();
    Firing { rule: "response".to_owned(), epoch: deadline.epoch, policy: deadline.policy, why, tell }
}

fn so<T>(says: Says<T>) -> Result<T, Unknown> {
    match says {
        Says::So(said) => Ok(said),
        Says::Undetermined(unknown) => Err(unknown),
    }
}

/// What is about the moment in which it fired, and stands whatever comes later.
const LASTING: [&str; 3] = ["unassigned", "offer", DUPLICATE];

/// The rule by which leads of one customer are told of each other (O12); the server alone sees both.
pub const DUPLICATE: &str = "duplicate";
