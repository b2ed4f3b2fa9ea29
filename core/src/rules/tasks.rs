//! 任务 (C23–C28, C31): what is to be done after what happened, by when, and whether it was done. A task is named by its rule and the fact
//! that opened it, so it is one task however often and by whomever it is worked out (O2). What was done in time and heard of late was done in
//! time (O1).

use super::facts::{Facts, HOUR_MS, is_contact};
use super::known::KnownOf;
use super::stage::StageOnce;
use super::verdict::{Unknown, Verdict};
use crate::ids::EntryId;
use crate::model::{Direction, Event, LoggedEvent};
use crate::policy::{Fact, TaskRule, Who};

/// 任务.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The rule.
    pub rule: String,
    /// The fact that opened it.
    pub epoch: EntryId,
    /// The version of the policy that set it: the one in force when it was opened.
    pub policy: EntryId,
    /// 事项.
    pub title: String,
    /// Who does it.
    pub who: Who,
    /// Who hears of it when it is overdue.
    pub copy_to: Option<Who>,
    /// From when it counts, milliseconds since 1970 UTC.
    pub from_ms: i64,
    /// By when it is due, milliseconds since 1970 UTC.
    pub due_ms: i64,
    /// How it stands.
    pub state: TaskState,
    /// Whether the lead does not advance while it is open.
    pub blocks_stage: bool,
    /// Whether the lead's money is at risk with it (C32).
    pub at_risk: bool,
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// Its time has not come yet (C26).
    Ahead,
    /// To be done.
    Open,
    /// Not done, and it is too late.
    Overdue,
    /// Done.
    Done {
        /// By this entry.
        entry: EntryId,
        /// When, milliseconds since 1970 UTC.
        at_ms: i64,
        /// Whether before it was due.
        in_time: bool,
    },
}

/// The tasks of a lead, by when they are due.
pub fn assess_tasks(facts: &Facts<'_>) -> Verdict<Vec<Task>> {
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: tasks(facts, &StageOnce::new(facts)).into() }
}

/// A fact that opens tasks or does them.
struct Opening<'a> {
    id: EntryId,
    at_ms: i64,
    said: &'a str,
}

pub(super) fn tasks(facts: &Facts<'_>, stages: &StageOnce<'_>) -> Result<Vec<Task>, Unknown> {
    let (_, present) = facts.policy()?;
    let mut tasks = Vec::new();
    // A rule that a later version took away still holds for what opened it before; one that came later does not look back.
    for rule in &present.tasks {
        for opening in openings(facts, stages, &rule.after)? {
            let (version, policy) = facts.policy_at(opening.at_ms)?;
            let Some(rule) = policy.tasks.iter().find(|of_then| of_then.id == rule.id) else { continue };
            if let Some(when) = &rule.when
                && !when.holds(&KnownOf::sharing(facts, policy, stages))?
            {
                continue;
            }
            tasks.push(task(facts, rule, version.id, &opening));
        }
    }
    tasks.sort_by(|one, other| {
        (one.due_ms, &one.rule, one.epoch).cmp(&(other.due_ms, &other.rule, other.epoch))
    });
    Ok(tasks)
}

fn task(facts: &Facts<'_>, rule: &TaskRule, policy: EntryId, opening: &Opening<'_>) -> Task {
    let hours = |hours: u32| opening.at_ms.saturating_add(i64::from(hours) * HOUR_MS);
    let (from_ms, due_ms) = (rule.from_hours.map_or(opening.at_ms, hours), hours(rule.within_hours));
    let doing = rule.done_by.iter().filter_map(|fact| first_doing(facts, fact, from_ms, opening.id));
    let state = match doing.min() {
        Some((at_ms, entry)) => TaskState::Done { entry, at_ms, in_time: at_ms <= due_ms },
        None if facts.now_ms < from_ms => TaskState::Ahead,
        None if facts.now_ms <= due_ms => TaskState::Open,
        None => TaskState::Overdue,
    };
    Task {
        rule: rule.id.clone(),
        epoch: opening.id,
        policy,
        title: rule.title.replace("{words}", opening.said),
        who: rule.who,
        copy_to: rule.copy_to,
        from_ms,
        due_ms,
        state,
        blocks_stage: rule.blocks_stage,
        at_risk: rule.at_risk,
    }
}

/// When a fact was first there at or after a moment.
pub(super) fn first_after(facts: &Facts<'_>, fact: &Fact, from_ms: i64) -> Option<i64> {
    first_doing(facts, fact, from_ms, EntryId([0; 16])).map(|(at_ms, _)| at_ms)
}

/// The first such fact at or after a moment, the one that opened the task left out.
fn first_doing(facts: &Facts<'_>, fact: &Fact, from_ms: i64, but: EntryId) -> Option<(i64, EntryId)> {
    let done = facts_like(facts, fact).into_iter().map(|opening| (opening.at_ms, opening.id));
    done.filter(|(at_ms, id)| *at_ms >= from_ms && *id != but).min()
}

fn openings<'a>(facts: &Facts<'a>, stages: &StageOnce<'_>, fact: &Fact) -> Result<Vec<Opening<'a>>, Unknown> {
    match fact {
        Fact::Assigned => {
            let epochs = facts.epochs()?.into_iter();
            Ok(epochs.map(|epoch| Opening { id: epoch.id, at_ms: epoch.from_ms, said: "" }).collect())
        }
        Fact::Stage(stage) => entered(facts, stages, stage),
        fact => Ok(facts_like(facts, fact)),
    }
}

/// When the lead came into a stage. What it needs of tasks never asks for a task of the same stage, so this comes to an end.
fn entered<'a>(facts: &Facts<'a>, stages: &StageOnce<'_>, stage: &str) -> Result<Vec<Opening<'a>>, Unknown> {
    let view = stages.view()?;
    let words = |id: EntryId| {
        let logged = facts.lead.events.iter().find(|logged| logged.id == id);
        match logged.map(|logged| &logged.event) {
            Some(Event::StageProposal(proposal)) => proposal.note.as_str(),
            _ => "",
        }
    };
    let counted = view.proposals.iter().filter(|proposal| proposal.to == stage);
    let counted = counted.filter_map(|proposal| match proposal.verdict {
        super::stage::ProposalVerdict::Counts { since_ms } => {
            Some(Opening { id: proposal.id, at_ms: since_ms, said: words(proposal.id) })
        }
        _ => None,
    });
    Ok(counted.collect())
}

/// Every fact like this in the documents, by the time when it happened.
fn facts_like<'a>(facts: &Facts<'a>, fact: &Fact) -> Vec<Opening<'a>> {
    let of = |logged: &'a LoggedEvent, said: &'a str| Opening {
        id: logged.id,
        at_ms: logged.happened_at_ms(),
        said,
    };
    let events = facts.events().into_iter();
    let touch = |direction: Direction| move |logged: &&'a LoggedEvent| matches!(&logged.event, Event::Touch(touch) if touch.direction == direction);
    match fact {
        Fact::Signal(kind) => {
            let signals = facts.signals(kind).into_iter();
            signals.map(|(logged, signal)| of(logged, &signal.text)).collect()
        }
        Fact::Visit => {
            let visit = |logged: &'a LoggedEvent| match &logged.event {
                Event::Visit(visit) => Some(of(logged, &visit.note)),
                _ => None,
            };
            events.filter_map(visit).collect()
        }
        Fact::TouchOut => events.filter(touch(Direction::Out)).map(|logged| of(logged, "")).collect(),
        Fact::TouchIn => events.filter(touch(Direction::In)).map(|logged| of(logged, "")).collect(),
        Fact::FirstTouch => {
            events.filter(|logged| is_contact(&logged.event)).take(1).map(|logged| of(logged, "")).collect()
        }
        Fact::Evidence(media) => {
            let evidence =
                facts.lead.evidence.iter().filter(|logged| logged.evidence.mime.starts_with(media));
            let evidence = evidence.filter(|logged| logged.at.at_ms <= facts.now_ms);
            // Of evidence it counts when it was taken: a photo of the visit may be attached in the evening.
            let at_ms = |at_ms: i64, taken_ms: i64| if taken_ms > 0 { taken_ms.min(at_ms) } else { at_ms };
            let mut found: Vec<_> = evidence
                .map(|logged| Opening {
                    id: logged.id,
                    at_ms: at_ms(logged.at.at_ms, logged.evidence.captured_at_ms),
                    said: "",
                })
                .collect();
            found.sort_by_key(|opening| (opening.at_ms, opening.id));
            found
        }
        // Of these `openings` tells; nothing is done by them.
        Fact::Assigned | Fact::Stage(_) => Vec::new(),
    }
}

/// Whether the lead cannot advance for the sake of an open task: the yellow border (C27).
pub fn blocks(tasks: &[Task]) -> bool {
    tasks.iter().any(|task| task.blocks_stage && matches!(task.state, TaskState::Open | TaskState::Overdue))
}
