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
    /// 事项, with the customer's own words.
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
    tasks_and_unsure(facts, stages).map(|(tasks, _)| tasks)
}

/// Tasks, and those of which it cannot be said whether they are there: their rule and what would have opened them.
pub(super) type TasksAndUnsure = (Vec<Task>, Vec<(String, EntryId)>);

/// The tasks, as far as it can be said.
pub(super) fn tasks_and_unsure(facts: &Facts<'_>, stages: &StageOnce<'_>) -> Result<TasksAndUnsure, Unknown> {
    let (mut tasks, mut unsure, mut doing) = (Vec::new(), Vec::new(), Doing::default());
    let mut opened: Vec<(&Fact, Vec<Opening<'_>>)> = Vec::new();
    // Each version's rules hold for what was opened while it was in force: one that went later still does, one that came later does not look
    // back.
    for version in facts.policies.all().filter(|version| version.effective_from_ms <= facts.now_ms) {
        let begun = |at_ms: i64| facts.policies.at(at_ms).id == version.id;
        let Ok((_, policy)) = Facts::readable(version) else {
            // What a version that cannot be read would have made a task of is not known; of what it never saw it made none.
            if facts.moments().any(begun) {
                Facts::readable(version)?;
            }
            continue;
        };
        for rule in &policy.tasks {
            let at = match opened.iter().position(|(fact, _)| **fact == rule.after) {
                Some(at) => at,
                None => {
                    opened.push((&rule.after, openings(facts, stages, &rule.after)?));
                    opened.len() - 1
                }
            };
            for opening in opened[at].1.iter().filter(|opening| begun(opening.at_ms)) {
                // A task is opened where its condition holds, and not where it cannot be judged: nobody is held to a guess.
                match rule.when.as_ref().map(|when| when.holds(&KnownOf::sharing(facts, policy, stages))) {
                    None | Some(Ok(true)) => tasks.push(task(facts, rule, version.id, opening, &mut doing)),
                    Some(Ok(false)) => {}
                    Some(Err(_)) => unsure.push((rule.id.clone(), opening.id)),
                }
            }
        }
    }
    tasks.sort_by(|one, other| {
        (one.due_ms, &one.rule, one.epoch).cmp(&(other.due_ms, &other.rule, other.epoch))
    });
    Ok((tasks, unsure))
}

fn task<'a>(
    facts: &Facts<'a>,
    rule: &'a TaskRule,
    policy: EntryId,
    opening: &Opening<'_>,
    doing: &mut Doing<'a>,
) -> Task {
    let hours = |hours: u32| opening.at_ms.saturating_add(i64::from(hours) * HOUR_MS);
    let (from_ms, due_ms) = (rule.from_hours.map_or(opening.at_ms, hours), hours(rule.within_hours));
    let done = rule.done_by.iter().filter_map(|fact| doing.first(facts, fact, from_ms, opening.id));
    let state = match done.min() {
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
    Doing::default().first(facts, fact, from_ms, EntryId([0; 16])).map(|(at_ms, _)| at_ms)
}

/// What does tasks, collected once for all of them: a lead of many visits has as many tasks.
#[derive(Default)]
struct Doing<'a>(Vec<(&'a Fact, Vec<(i64, EntryId)>)>);

impl<'a> Doing<'a> {
    /// The first such fact at or after a moment, the one that opened the task left out.
    fn first(
        &mut self,
        facts: &Facts<'_>,
        fact: &'a Fact,
        from_ms: i64,
        but: EntryId,
    ) -> Option<(i64, EntryId)> {
        let at = self.0.iter().position(|(known, _)| *known == fact).unwrap_or_else(|| {
            let found =
                facts_like(facts, fact).into_iter().map(|opening| (opening.at_ms, opening.id)).collect();
            self.0.push((fact, found));
            self.0.len() - 1
        });
        // By the time when they happened, and of one moment by id: the first is the least.
        let all = &self.0[at].1;
        let from = all.partition_point(|(at_ms, _)| *at_ms < from_ms);
        all[from..].iter().find(|(_, id)| *id != but).copied()
    }
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
    let counted = view.proposals.iter().filter(|proposal| proposal.to == stage && !proposal.again);
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
