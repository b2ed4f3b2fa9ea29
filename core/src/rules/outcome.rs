//! What of one lead the company's figures count (section H): worked out from its facts, small enough to be kept beside it, and worked out anew
//! whenever the facts or the policy change. A figure is a fold over these and over nothing else.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};

use super::facts::{Facts, is_contact, is_reached};
use super::response::{ResponseState, assess_response};
use super::stage::{ProposalVerdict, StageOnce, StageView};
use super::tasks::{Task, TaskState};
use super::verdict::{Says, Unknown, Verdict};
use super::{chain, fields, tasks};
use crate::access::Role;
use crate::ids::UserId;
use crate::language::{Words, first_contact};
use crate::model::{Direction, Event, LoggedEvent, company_day};
use crate::policy::Policy;

/// What of a lead the figures count. Times are milliseconds since 1970 UTC; `None`: it has not happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct LeadOutcome {
    /// When the lead was written down; of one whose document does not say when the server had it.
    #[n(0)]
    pub created_ms: Option<i64>,
    /// When it first had an owner.
    #[n(1)]
    pub assigned_ms: Option<i64>,
    /// The first contact of ours: a visit, or a touch that went out.
    #[n(2)]
    pub first_contact_ms: Option<i64>,
    /// The first call or message that went out (M6).
    #[n(3)]
    pub first_touch_ms: Option<i64>,
    /// Moves of the stage, and those of them that jumped (M4), each with when it counted.
    #[n(4)]
    pub moves: Vec<Move>,
    /// Whether somebody acted who does not sell (M5).
    #[n(5)]
    pub cross_role: bool,
    /// Key fields that are filled in, of how many (M7).
    #[n(6)]
    pub key_fields: (u32, u32),
    /// Whether the decision chain is complete (M8).
    #[n(7)]
    pub chain_complete: bool,
    /// When it was won (M9).
    #[n(8)]
    pub won_ms: Option<i64>,
    /// Whether it is lost.
    #[n(9)]
    pub lost: bool,
    /// Stays in the stage whose dwell is measured, from and until; of one that goes on the end of time (M10).
    #[n(10)]
    pub dwells: Vec<(i64, i64)>,
    /// When something was last done about it (M11).
    #[n(11)]
    pub touched_ms: Option<i64>,
    /// When the last of 分配, 初筛, 首次触达, 需求确认 was there; `None`: not all are (M12).
    #[n(12)]
    pub four_acts_ms: Option<i64>,
    /// What was to be done, by when it was due, and whether it was done in time (M2).
    #[n(13)]
    pub dues: Vec<(i64, bool)>,
    /// Trials, and whether each was followed up within its hours (M13).
    #[n(14)]
    pub trials: Vec<(i64, bool)>,
    /// Renewals (M13).
    #[n(15)]
    pub renewals: Vec<i64>,
    /// Who reached the customer on which days, days since 1970 in the company's zone (M14).
    #[n(16)]
    pub reached: BTreeSet<(UserId, i32)>,
    /// What it was sold for, fen; `None`: it is not won, or nobody knows.
    #[n(18)]
    #[cbor(default)]
    pub won_fen: Option<i64>,
    /// Complaints (C20).
    #[n(19)]
    #[cbor(default)]
    pub complaints: Vec<i64>,
    /// Whether the first contact asked an open question about the customer's need (C35, M3); `None`: there was none.
    #[n(17)]
    #[cbor(default)]
    pub effective: Option<bool>,
}

impl LeadOutcome {
    /// Whether it is won or lost.
    pub fn has_ended(&self) -> bool {
        self.won_ms.is_some() || self.lost
    }
}

/// A move of the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Move {
    /// Since when it counts.
    #[n(0)]
    pub at_ms: i64,
    /// Whether it jumped.
    #[n(1)]
    pub jump: bool,
}

/// What of a lead the figures count.
pub fn assess_outcome(facts: &Facts<'_>) -> Verdict<LeadOutcome> {
    Verdict {
        policy: facts.policies.at(facts.now_ms).id,
        says: outcome(facts, &StageOnce::new(facts)).into(),
    }
}

pub(super) fn outcome(facts: &Facts<'_>, stages: &StageOnce<'_>) -> Result<LeadOutcome, Unknown> {
    let (_, policy) = facts.policy()?;
    let view = stages.view()?;
    let tasks = tasks::tasks(facts, stages)?;
    let events = facts.events();
    let first = |which: &dyn Fn(&Event) -> bool| {
        events.iter().find(|logged| which(&logged.event)).map(|logged| logged.happened_at_ms())
    };
    let is_touch = |event: &Event| matches!(event, Event::Touch(touch) if touch.direction == Direction::Out);
    let received_ms = facts.ruling()?.fields.received_at_ms;
    let (first_contact_ms, first_touch_ms) = (first(&is_contact), first(&is_touch));
    let assigned_ms = facts.epochs()?.first().map(|epoch| epoch.from_ms);
    let in_stage = |stage: &str| entered(view, stage);
    let [screening, confirmed] = &policy.figures.four_acts_stages;
    let four = [assigned_ms, in_stage(screening), first_contact_ms, in_stage(confirmed)];
    let won_ms = policy.stages.iter().filter(|stage| stage.won).find_map(|stage| in_stage(&stage.id));
    let when = |kind: &Option<String>| -> Vec<i64> {
        let signals = kind.iter().flat_map(|kind| facts.signals(kind));
        signals.map(|(logged, _)| logged.happened_at_ms()).collect()
    };
    let four_acts_ms = four.into_iter().collect::<Option<Vec<i64>>>().and_then(|all| all.into_iter().max());
    Ok(LeadOutcome {
        created_ms: facts.lead.created_ms.or(received_ms),
        assigned_ms,
        first_contact_ms,
        first_touch_ms,
        moves: moves(view),
        cross_role: cross_role(facts, &events)?,
        key_fields: key_fields(facts, policy),
        chain_complete: chain::roles_with_attitude(facts, policy) >= policy.chain.complete_roles,
        won_ms,
        lost: policy.stage(&view.stage).is_some_and(|stage| stage.lost),
        dwells: dwells(view, &policy.figures.dwell_stage),
        touched_ms: facts.last_act_ms(),
        four_acts_ms,
        dues: dues(facts, &tasks)?,
        trials: trials(facts, policy),
        renewals: when(&policy.figures.renewal_signal),
        reached: reached(facts, &events),
        effective: events
            .iter()
            .find(|logged| is_contact(&logged.event))
            .map(|logged| asks(&logged.event, policy.dictation.words())),
        won_fen: won_ms.and_then(|_| worth_fen(facts, policy)),
        complaints: when(&policy.figures.complaint_signal),
    })
}

/// What a lead was sold for: what the last deal says, else its budget.
fn worth_fen(facts: &Facts<'_>, policy: &Policy) -> Option<i64> {
    let mut deals = policy.figures.deal_signal.iter().flat_map(|kind| facts.signals(kind)).rev();
    let deal = deals.find_map(|(_, signal)| signal.amount).map(|yuan| yuan.saturating_mul(100));
    deal.or(facts.lead.fields.budget_max_fen).or(facts.lead.fields.budget_min_fen)
}

fn so<T>(says: Says<T>) -> Result<T, Unknown> {
    match says {
        Says::So(said) => Ok(said),
        Says::Undetermined(unknown) => Err(unknown),
    }
}

/// The moves that count, in order.
fn counted(view: &StageView) -> impl Iterator<Item = (&str, i64, bool)> {
    view.proposals.iter().filter_map(|proposal| match proposal.verdict {
        ProposalVerdict::Counts { since_ms } if !proposal.again => {
            Some((proposal.to.as_str(), since_ms, proposal.jump))
        }
        _ => None,
    })
}

fn entered(view: &StageView, stage: &str) -> Option<i64> {
    counted(view).find(|(to, ..)| *to == stage).map(|(_, at_ms, _)| at_ms)
}

fn moves(view: &StageView) -> Vec<Move> {
    counted(view).map(|(_, at_ms, jump)| Move { at_ms, jump }).collect()
}

fn dwells(view: &StageView, stage: &str) -> Vec<(i64, i64)> {
    let moves: Vec<_> = counted(view).collect();
    let until = |at: usize| moves.get(at + 1).map_or(i64::MAX, |(_, at_ms, _)| *at_ms);
    let stays = moves.iter().enumerate().filter(|(_, (to, ..))| *to == stage);
    stays.map(|(at, (_, from_ms, _))| (*from_ms, until(at).max(*from_ms))).collect()
}

/// Whether somebody acted whose role does not sell: service, marketing, finance. The server's own entries are nobody's.
fn cross_role(facts: &Facts<'_>, events: &[&LoggedEvent]) -> Result<bool, Unknown> {
    let people = facts.people.ok_or_else(|| Unknown::of("通讯录"))?;
    let sells = |user: UserId| {
        let role = people.users.get(&user).and_then(|known| known.role.as_deref()).and_then(Role::named);
        role.is_none_or(|role| matches!(role, Role::Rep | Role::Manager | Role::Director))
    };
    Ok(events.iter().any(|logged| !sells(logged.user)))
}

fn key_fields(facts: &Facts<'_>, policy: &Policy) -> (u32, u32) {
    let values = facts.lead.fields.values();
    let keys = policy.figures.key_fields.iter();
    let filled = keys.filter(|field| fields::is_filled(facts, policy, &values, field)).count();
    (filled as u32, policy.figures.key_fields.len() as u32)
}

/// Whether what was said in a contact asks an open question; what nobody wrote down asked none.
fn asks(event: &Event, words: &Words) -> bool {
    let said = match event {
        Event::Visit(visit) => &visit.note,
        Event::Touch(touch) => &touch.text,
        _ => return false,
    };
    first_contact(said, words).effective
}

/// Tasks and first responses, by when they were due. What a lead that moved on no longer owes was not due.
fn dues(facts: &Facts<'_>, tasks: &[Task]) -> Result<Vec<(i64, bool)>, Unknown> {
    let in_time = |task: &Task| matches!(task.state, TaskState::Done { in_time: true, .. });
    let mut dues: Vec<_> = tasks.iter().map(|task| (task.due_ms, in_time(task))).collect();
    for deadline in so(assess_response(facts).says)?.deadlines {
        if deadline.state != ResponseState::Moved {
            dues.push((deadline.due_ms, matches!(deadline.state, ResponseState::Met(_))));
        }
    }
    dues.sort_unstable();
    Ok(dues)
}

/// Trials, and whether somebody contacted the customer within the hours after each.
fn trials(facts: &Facts<'_>, policy: &Policy) -> Vec<(i64, bool)> {
    let within_ms = i64::from(policy.figures.trial_hours) * super::facts::HOUR_MS;
    let contacts: Vec<i64> = facts
        .events()
        .into_iter()
        .filter(|logged| is_contact(&logged.event))
        .map(LoggedEvent::happened_at_ms)
        .collect();
    let followed = |at_ms: i64| contacts.iter().any(|contact| (at_ms..=at_ms + within_ms).contains(contact));
    let trials = facts.signals(&policy.figures.trial_signal).into_iter();
    trials.map(|(logged, _)| logged.happened_at_ms()).map(|at_ms| (at_ms, followed(at_ms))).collect()
}

fn reached(facts: &Facts<'_>, events: &[&LoggedEvent]) -> BTreeSet<(UserId, i32)> {
    let reached = events.iter().filter(|logged| is_reached(&logged.event));
    let day = |logged: &&&LoggedEvent| {
        let day = company_day(logged.happened_at_ms(), facts.zone)?;
        Some((logged.user, days_since_1970(day)))
    };
    reached.filter_map(|logged| day(&logged)).collect()
}

/// The number of a day.
pub(super) fn days_since_1970(day: jiff::civil::Date) -> i32 {
    day.duration_since(jiff::civil::date(1970, 1, 1)).as_hours() as i32 / 24
}
