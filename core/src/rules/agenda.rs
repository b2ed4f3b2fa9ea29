//! 今日事项 (C32, C33): what of one lead calls for its owner, worked out from its facts and small enough to be kept beside it, so that a home
//! page over thousands of leads reads rows and loads no document. A row says by when things are due and never whether they are late: that
//! the clock of whoever reads it says.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{ToSpan, tz::TimeZone};
use minicbor::{Decode, Encode};

use super::facts::Facts;
use super::known::budget_fen;
use super::nurturing::{Package, Step, StepState, assess_nurturing};
use super::response::{ResponseState, assess_response};
use super::stage::StageOnce;
use super::tasks::{TaskState, tasks};
use super::verdict::{Says, Unknown};
use super::{fields, stage::StageView};
use crate::ids::{EntryId, UserId};
use crate::model::company_day;
use crate::policy::Who;

/// What of a lead calls for its owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Agenda {
    /// The version of the policy by which it says so.
    #[n(0)]
    pub policy: EntryId,
    /// When it was worked out, milliseconds since 1970 UTC.
    #[n(1)]
    pub at_ms: i64,
    /// 预算, fen: what is lost with the lead. `None`: not known, or not at risk any more.
    #[n(2)]
    pub budget_fen: Option<i64>,
    /// What is not done yet, by when it is due.
    #[n(3)]
    pub acts: Vec<DueAct>,
    /// 下次拜访前补全: fields by their names in the document (C33).
    #[n(4)]
    pub before_next_visit: Vec<String>,
    /// What would have to be known to say all of it.
    #[n(5)]
    pub unknown: BTreeSet<String>,
}

/// Something that its owner is to do.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DueAct {
    /// What sort of thing.
    #[n(0)]
    pub kind: ActKind,
    /// The todo, or the fact that opened it.
    #[n(1)]
    pub id: EntryId,
    /// The rule of the policy, for a task; its place in the package, for a step; else empty.
    #[n(2)]
    pub rule: String,
    /// 事项; empty for a first response.
    #[n(3)]
    pub title: String,
    /// From when it counts, milliseconds since 1970 UTC.
    #[n(4)]
    pub from_ms: i64,
    /// By when it is due, milliseconds since 1970 UTC; of a day its end in the company's zone.
    #[n(5)]
    pub due_ms: i64,
    /// Whether the lead's money is at risk with it (C32).
    #[n(6)]
    pub at_risk: bool,
}

/// What sort of thing is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum ActKind {
    /// 待办: somebody wrote it down.
    #[n(0)]
    Todo,
    /// 任务: a rule of the policy wants it.
    #[n(1)]
    Task,
    /// 培育步骤.
    #[n(2)]
    Step,
    /// 首次响应.
    #[n(3)]
    Response,
}

/// What of a lead calls for `user`, who owns it alone or jointly. What cannot be said is left out, and what would have to be known is named.
pub fn assess_agenda(facts: &Facts<'_>, user: UserId) -> Agenda {
    let stages = StageOnce::new(facts);
    let mut agenda =
        Agenda { policy: facts.policies.at(facts.now_ms).id, at_ms: facts.now_ms, ..Agenda::default() };
    if let Err(unknown) = collect(facts, user, &stages, &mut agenda) {
        agenda.unknown.extend(unknown.names);
    }
    agenda.acts.sort_by_key(|act| (act.due_ms, act.kind, act.id));
    agenda
}

fn collect(
    facts: &Facts<'_>,
    user: UserId,
    stages: &StageOnce<'_>,
    agenda: &mut Agenda,
) -> Result<(), Unknown> {
    let is_over = |view: &StageView| {
        let (_, policy) = facts.policy()?;
        Ok(policy.stage(&view.stage).map_or((false, false), |stage| (stage.won, stage.lost)))
    };
    // Where the stage cannot be said the lead goes on.
    let (won, lost) = stages.view().and_then(is_over).unwrap_or_default();
    if lost {
        return Ok(());
    }
    agenda.budget_fen = budget_fen(&facts.lead.fields).filter(|_| !won);
    let acts = &mut agenda.acts;
    acts.extend(todos(facts));
    let mut open = Unknown::default();
    match tasks(facts, stages) {
        Ok(tasks) => acts.extend(tasks.into_iter().filter(is_open).map(|task| DueAct {
            kind: ActKind::Task,
            id: task.epoch,
            rule: task.rule,
            title: task.title,
            from_ms: task.from_ms,
            due_ms: task.due_ms,
            at_risk: task.at_risk,
        })),
        Err(unknown) => open = open.and(unknown),
    }
    match assess_nurturing(facts).says {
        Says::So(packages) => acts.extend(packages.iter().flat_map(|package| steps(package, facts.zone))),
        Says::Undetermined(unknown) => open = open.and(unknown),
    }
    match assess_response(facts).says {
        // What an owner before the present one owed is nobody's to do any more.
        Says::So(responses) => {
            let present = responses.deadlines.last().filter(|deadline| deadline.owner == user);
            acts.extend(present.and_then(response));
        }
        Says::Undetermined(unknown) => open = open.and(unknown),
    }
    match fields::fields(facts, stages) {
        Ok(fields) => agenda.before_next_visit = fields.before_next_visit,
        Err(unknown) => open = open.and(unknown),
    }
    if open.names.is_empty() { Ok(()) } else { Err(open) }
}

/// Tasks that the owner has still to do.
fn is_open(task: &super::tasks::Task) -> bool {
    task.who == Who::Owner && !matches!(task.state, TaskState::Done { .. })
}

/// Steps of a package, each for its day: of a step nobody writes down that it was done.
fn steps(package: &Package, zone: &TimeZone) -> Vec<DueAct> {
    let open = package
        .steps
        .iter()
        .filter(|step| step.who == Who::Owner && !matches!(step.state, StepState::Cancelled(_)));
    let act = |step: &Step| {
        let (from_ms, due_ms) = whole_day(company_day(step.due_ms, zone)?, zone)?;
        Some(DueAct {
            kind: ActKind::Step,
            id: package.epoch,
            rule: step.at.to_string(),
            title: step.title.clone(),
            from_ms,
            due_ms,
            at_risk: false,
        })
    };
    open.filter_map(act).collect()
}

/// A first response that the present owner owes.
fn response(deadline: &super::response::Deadline) -> Option<DueAct> {
    matches!(deadline.state, ResponseState::Open | ResponseState::Overdue(_)).then(|| DueAct {
        kind: ActKind::Response,
        id: deadline.epoch,
        rule: String::new(),
        title: String::new(),
        from_ms: deadline.from_ms,
        due_ms: deadline.due_ms,
        at_risk: true,
    })
}

/// Open todos with a day or a time.
fn todos(facts: &Facts<'_>) -> impl Iterator<Item = DueAct> {
    let open = facts.lead.todos.iter().filter(|(_, todo)| todo.done != Some(true));
    open.filter_map(|(id, todo)| {
        let (from_ms, due_ms) = due(todo.due.as_deref()?.trim(), facts.zone)?;
        let title = todo.title.clone().unwrap_or_default();
        let kind = ActKind::Todo;
        Some(DueAct { kind, id: *id, rule: String::new(), title, from_ms, due_ms, at_risk: true })
    })
}

/// From when and until when: of a day all of it, of a time its day until then.
fn due(text: &str, zone: &TimeZone) -> Option<(i64, i64)> {
    if let Ok(day) = text.parse::<Date>() {
        return whole_day(day, zone);
    }
    let at_ms = text.parse().ok()?;
    Some((whole_day(company_day(at_ms, zone)?, zone)?.0, at_ms))
}

/// The first and the last millisecond of a day in the company's zone.
pub fn whole_day(day: Date, zone: &TimeZone) -> Option<(i64, i64)> {
    let begin = |day: Date| day.to_zoned(zone.clone()).ok().map(|at| at.timestamp().as_millisecond());
    Some((begin(day)?, begin(day.checked_add(1.day()).ok()?)? - 1))
}
