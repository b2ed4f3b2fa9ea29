//! 首次响应 (C1, C14, C18, C22): whether whoever got the lead answered in time. Each assignment opens a deadline of its own, named by the
//! decision that made it (O2); what counts is when the contact took place, not when the server heard of it (O1).

use super::facts::{Epoch, Facts, HOUR_MS, is_contact};
use super::verdict::{Unknown, Verdict};
use crate::ids::{EntryId, UserId};
use crate::model::{Event, LoggedEvent};
use crate::policy::{Overdue, Policy, ResponseKind};

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;

/// The deadlines of a lead's first responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responses {
    /// One for each assignment, in order.
    pub deadlines: Vec<Deadline>,
    /// 48小时未分配: hours without an owner, where those are too many (C14).
    pub lost_after_hours: Option<i64>,
}

/// One deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// The assignment that opened it.
    pub epoch: EntryId,
    /// Who owes the response.
    pub owner: UserId,
    /// When it was opened, milliseconds since 1970 UTC.
    pub from_ms: i64,
    /// By when it is due, milliseconds since 1970 UTC.
    pub due_ms: i64,
    /// The version of the policy that set it: the one in force when it was opened.
    pub policy: EntryId,
    /// How it stands.
    pub state: ResponseState,
}

/// How a deadline stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseState {
    /// Answered in time.
    Met(Answer),
    /// Answered, too late.
    Late(Answer),
    /// Not answered yet, and there is time.
    Open,
    /// Not answered in time; what follows from it.
    Overdue(Overdue),
    /// The lead moved on before it was due, unanswered: nobody owes it any more.
    Moved,
}

/// What answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The entry.
    pub entry: EntryId,
    /// When it took place, milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// Whether its clock is in doubt by more than deadlines tolerate (O1): a person should look at it.
    pub doubtful: bool,
}

/// How the deadlines of a lead stand.
pub fn assess_response(facts: &Facts<'_>) -> Verdict<Responses> {
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: responses(facts).into() }
}

fn responses(facts: &Facts<'_>) -> Result<Responses, Unknown> {
    let epochs = facts.epochs()?;
    let mut deadlines = Vec::new();
    for (at, epoch) in epochs.iter().enumerate() {
        let (version, policy) = facts.policy_at(epoch.from_ms)?;
        let due_ms =
            epoch.from_ms.saturating_add(i64::from(policy.assignment.response.within_minutes) * MINUTE_MS);
        let answer = answer(facts, policy, epoch, at == 0)?;
        deadlines.push(Deadline {
            epoch: epoch.id,
            owner: epoch.owner,
            from_ms: epoch.from_ms,
            due_ms,
            policy: version.id,
            state: state(facts, policy, epoch, due_ms, answer),
        });
    }
    Ok(Responses { lost_after_hours: unassigned(facts, &epochs)?, deadlines })
}

fn state(
    facts: &Facts<'_>,
    policy: &Policy,
    epoch: &Epoch,
    due_ms: i64,
    answer: Option<Answer>,
) -> ResponseState {
    match answer {
        Some(answer) if answer.at_ms <= due_ms => ResponseState::Met(answer),
        Some(answer) => ResponseState::Late(answer),
        None if epoch.until_ms.is_some_and(|until| until <= due_ms) => ResponseState::Moved,
        None if facts.now_ms <= due_ms => ResponseState::Open,
        None => ResponseState::Overdue(policy.assignment.response.then),
    }
}

/// The first contact of an epoch. What happened before the first assignment counts for it: whoever wrote the lead down had talked to the
/// customer. Anybody's contact answers: the customer was not left waiting.
fn answer(facts: &Facts<'_>, policy: &Policy, epoch: &Epoch, first: bool) -> Result<Option<Answer>, Unknown> {
    let from_ms = if first { i64::MIN } else { epoch.from_ms };
    let until_ms = epoch.until_ms.unwrap_or(i64::MAX);
    let response = &policy.assignment.response;
    let counts = |logged: &&LoggedEvent| match response.counts {
        ResponseKind::Contact => is_contact(&logged.event),
        // Who reads it is who owes it; a contact without a mark shows more than the mark does.
        ResponseKind::Read => {
            is_contact(&logged.event)
                || (matches!(logged.event, Event::Read {}) && logged.user == epoch.owner)
        }
    };
    let within = |logged: &&LoggedEvent| (from_ms..until_ms).contains(&logged.happened_at_ms());
    let first = facts.events().into_iter().filter(within).find(counts);
    Ok(first.map(|logged| Answer {
        entry: logged.id,
        at_ms: logged.happened_at_ms(),
        doubtful: logged.at.is_doubtful(),
    }))
}

/// Whether `user` owes the lead a mark that it was read (C18): it is theirs now, and since it is they neither marked it nor did anybody
/// contact the customer.
///
/// # Errors
/// [`Unknown`] where the ruling is not held.
pub fn owes_read_mark(facts: &Facts<'_>, user: UserId) -> Result<bool, Unknown> {
    let epochs = facts.epochs()?;
    let Some(present) = epochs.last().filter(|epoch| epoch.owner == user) else { return Ok(false) };
    let from_ms = if epochs.len() == 1 { i64::MIN } else { present.from_ms };
    let answers = |logged: &LoggedEvent| {
        logged.happened_at_ms() >= from_ms
            && (is_contact(&logged.event) || (matches!(logged.event, Event::Read {}) && logged.user == user))
    };
    Ok(!facts.events().into_iter().any(answers))
}

/// Hours since the lead came without anybody being its owner, where those make it a lost one.
fn unassigned(facts: &Facts<'_>, epochs: &[Epoch]) -> Result<Option<i64>, Unknown> {
    let (_, policy) = facts.policy()?;
    let Some(received_ms) = facts.ruling()?.fields.received_at_ms.filter(|_| epochs.is_empty()) else {
        return Ok(None);
    };
    let hours = facts.now_ms.saturating_sub(received_ms) / HOUR_MS;
    Ok((hours >= i64::from(policy.assignment.lost_after_hours)).then_some(hours))
}
