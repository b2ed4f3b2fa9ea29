//! 自动化 (O2, O3, C1, C14, C18, C22, C25, C29, C34): what the server does about a lead by itself. Pure: from what is held and what was decided
//! already to what is to be decided now, and when to look again. Doing it twice is doing it once: a firing is named by its rule, the lead and
//! the fact that opened it, and what is in the ruling already is not planned again.

use sha2::{Digest, Sha256};

use super::assignment::{Candidate, plan_assignment};
use super::facts::{Epoch, Facts};
use super::nurturing::{StepState, assess_nurturing};
use super::response::{Deadline, ResponseState, assess_response};
use super::stage::assess_stage;
use super::tasks::{TaskState, assess_tasks};
use super::verdict::{Says, Unknown};
use super::words::assess_objections;
use crate::ids::{DocId, EntryId, UserId};
use crate::model::{Cured, Decision, Event, Firing, RulingModel};
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
    /// Record that a rule fired, and tell whom it concerns.
    Fire(EntryId, Firing),
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
}

/// What is to be done about a lead now. Of `candidates` one gets it where nobody owns it or the owner did not answer.
///
/// # Errors
/// [`Unknown`] where a document is not held; nothing is done then.
pub fn plan_automation(facts: &Facts<'_>, candidates: &[Candidate]) -> Result<Automation, Unknown> {
    let ruling = facts.ruling()?;
    let (version, policy) = facts.policy()?;
    let mut plan = Plan { facts, ruling, policy: version.id, acts: Vec::new(), next_ms: None };
    if facts.lead.fields.deleted == Some(true) {
        return Ok(Automation::default());
    }
    plan.responses(policy, candidates)?;
    plan.tasks()?;
    plan.nurturing()?;
    plan.objections()?;
    plan.stage(policy)?;
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
    ruling: &'a RulingModel,
    policy: EntryId,
    acts: Vec<Act>,
    next_ms: Option<i64>,
}

impl Plan<'_> {
    /// Something comes due then.
    fn look_at(&mut self, at_ms: i64) {
        if at_ms > self.facts.now_ms {
            self.next_ms = Some(self.next_ms.map_or(at_ms, |before| before.min(at_ms)));
        }
    }

    fn is_recorded(&self, id: EntryId) -> bool {
        self.ruling.decisions.iter().any(|decided| decided.id == id)
    }

    fn fire(&mut self, rule: &str, epoch: EntryId, policy: EntryId, why: String, tell: Vec<Who>) {
        let id = firing_id(self.facts.id, rule, epoch);
        if !self.is_recorded(id) {
            self.acts.push(Act::Fire(id, Firing { rule: rule.to_owned(), epoch, policy, why, tell }));
        }
    }

    /// What fired for nothing is cured, once.
    fn cure(&mut self, rule: &str, epoch: EntryId, by: Option<EntryId>, why: &str) {
        let firing = firing_id(self.facts.id, rule, epoch);
        let id = firing_id(self.facts.id, "cure", firing);
        if self.is_recorded(firing) && !self.is_recorded(id) {
            self.acts.push(Act::Cure(id, Cured { firing, by, why: why.to_owned() }));
        }
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
                ResponseState::Overdue(then) => {
                    let why = "分配后未按时响应".to_owned();
                    self.fire(rule, epoch, deadline.policy, why, vec![Who::Supervisor]);
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
                    self.cure(rule, epoch, Some(answer.entry), "迟到的记录表明已按时响应");
                    self.reconcile(&epochs, deadline);
                }
                ResponseState::Late(_) | ResponseState::Moved => {}
            }
        }
        Ok(())
    }

    fn unowned(&mut self, policy: &Policy, candidates: &[Candidate], lost_after_hours: Option<i64>) {
        if let Some(hours) = lost_after_hours {
            let why = format!("{hours}小时没有负责人");
            self.fire("unassigned", EntryId(self.facts.id.0), self.policy, why, vec![Who::Director]);
        } else if let Some(received_ms) = self.ruling.fields.received_at_ms {
            let hours = i64::from(policy.assignment.lost_after_hours);
            self.look_at(received_ms.saturating_add(hours * super::facts::HOUR_MS));
        }
        // A lead that somebody put into a team's pool waits there for a person.
        if self.ruling.fields.team.is_none() {
            self.assign(candidates);
        }
    }

    fn assign(&mut self, candidates: &[Candidate]) {
        if let Says::So(plan) = plan_assignment(self.facts, candidates).says
            && let Some(to) = plan.to
        {
            let priority = plan.priority.map(|priority| format!("优先级{priority}，")).unwrap_or_default();
            self.acts.push(Act::Assign {
                to,
                why: format!("{priority}{}", plan.reason),
                policy: self.policy,
            });
        }
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
            self.fire("offer", deadline.epoch, deadline.policy, why, vec![Who::Supervisor, Who::Owner]);
        }
    }

    fn tasks(&mut self) -> Result<(), Unknown> {
        for task in so(assess_tasks(self.facts).says)? {
            let rule = format!("task/{}", task.rule);
            match task.state {
                TaskState::Ahead => self.look_at(task.from_ms),
                TaskState::Open => self.look_at(task.due_ms.saturating_add(1)),
                TaskState::Overdue => {
                    let mut tell = vec![task.who];
                    tell.extend(task.copy_to);
                    self.fire(&rule, task.epoch, task.policy, format!("未按时完成：{}", task.title), tell);
                }
                TaskState::Done { entry, in_time: true, .. } => {
                    self.cure(&rule, task.epoch, Some(entry), "迟到的记录表明已按时完成");
                }
                TaskState::Done { .. } => {}
            }
        }
        Ok(())
    }

    fn nurturing(&mut self) -> Result<(), Unknown> {
        for package in so(assess_nurturing(self.facts).says)? {
            for step in package.steps {
                let rule = format!("nurturing/{}", step.at);
                match step.state {
                    StepState::Ahead => self.look_at(step.due_ms),
                    StepState::Due => {
                        self.fire(&rule, package.epoch, package.policy, step.title, vec![step.who])
                    }
                    StepState::Cancelled(by) => {
                        self.cure(&rule, package.epoch, Some(by), "此前已联系上客户");
                    }
                }
            }
        }
        Ok(())
    }

    fn objections(&mut self) -> Result<(), Unknown> {
        if let Some(alarm) = so(assess_objections(self.facts).says)? {
            let why = format!("短期内出现{}次价格异议", alarm.objections.len());
            self.fire("objections", alarm.epoch, self.policy, why, vec![Who::Director]);
        }
        Ok(())
    }

    fn stage(&mut self, policy: &Policy) -> Result<(), Unknown> {
        let view = so(assess_stage(self.facts).says)?;
        for proposal in &view.proposals {
            let needs = policy.stage(&proposal.to).map(|stage| stage.needs.as_slice()).unwrap_or_default();
            let id = firing_id(self.facts.id, "received", proposal.id);
            let of_hours = needs.iter().any(|need| matches!(need.what, Proof::Approval { .. }));
            let known = self.ruling.decisions.iter().any(
                |decided| matches!(&decided.decision, Decision::Received { entry } if *entry == proposal.id),
            );
            if of_hours && !known {
                self.acts.push(Act::Receive(id, proposal.id));
            }
        }
        if self.ruling.fields.stage.as_deref().unwrap_or_default() != view.stage {
            self.acts.push(Act::Confirm(view.stage));
        }
        Ok(())
    }
}

fn so<T>(says: Says<T>) -> Result<T, Unknown> {
    match says {
        Says::So(said) => Ok(said),
        Says::Undetermined(unknown) => Err(unknown),
    }
}
