//! What a rule judges by: everything that is held of one lead, read, and the moment of the judgement. The same on the phone and on the
//! server; a document that is not held is `None`, and what depends on it is undetermined.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::verdict::Unknown;
use crate::access::Role;
use crate::ids::{DocId, EntryId, Hash32, UserId};
use crate::model::{
    AccountModel, AdvancementModel, Assigned, Contact, Decision, Direction, DirectoryModel, Event, LeadModel,
    LoggedDecision, LoggedEvent, Outcome, RulingModel, Signal, company_day,
};
use crate::policy::{Policy, PolicyAt, PolicyHistory};

/// Milliseconds of an hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;
/// Milliseconds of a day of 24 hours.
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// The next full hour: when something is to be looked at again by and by. The same for every look of an hour, so that looking often sets one
/// timer.
pub(crate) fn next_hour(at_ms: i64) -> i64 {
    (at_ms.div_euclid(HOUR_MS).saturating_add(1)).saturating_mul(HOUR_MS)
}

/// What is held of a lead, and when it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The lead.
    pub id: DocId,
    /// 线索.
    pub lead: &'a LeadModel,
    /// 裁定; `None`: not held, or not there yet.
    pub ruling: Option<&'a RulingModel>,
    /// 采购推进表; `None`: not held. One that nobody has written is an empty one, and held.
    pub table: Option<&'a AdvancementModel>,
    /// 客户档案; `None`: not held, or the lead has none.
    pub account: Option<&'a AccountModel>,
    /// 通讯录; `None`: not held.
    pub people: Option<&'a DirectoryModel>,
    /// 公司规则, every version.
    pub policies: &'a PolicyHistory,
    /// The moment of the judgement, corrected, milliseconds since 1970 UTC.
    pub now_ms: i64,
    /// The company's zone: what a day is (C58).
    pub zone: &'a TimeZone,
}

/// One assignment of the lead: an epoch of the deadlines that hang on it (O2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// The fact that opened it: the decision, or the lead itself where it had an owner from the beginning.
    pub id: EntryId,
    /// To whom.
    pub owner: UserId,
    /// From when, milliseconds since 1970 UTC.
    pub from_ms: i64,
    /// Until when; `None`: it is the present one.
    pub until_ms: Option<i64>,
}

impl<'a> Facts<'a> {
    /// The version of the policy in force at the moment of the judgement.
    ///
    /// # Errors
    /// [`Unknown`]: it was written by a newer version of the software.
    pub fn policy(&self) -> Result<(&'a PolicyAt, &'a Policy), Unknown> {
        Self::readable(self.policies.at(self.now_ms))
    }

    /// The version in force at another moment.
    ///
    /// # Errors
    /// As [`Facts::policy`].
    pub fn policy_at(&self, at_ms: i64) -> Result<(&'a PolicyAt, &'a Policy), Unknown> {
        Self::readable(self.policies.at(at_ms))
    }

    /// The policy of a version.
    ///
    /// # Errors
    /// As [`Facts::policy`].
    pub(super) fn readable(at: &'a PolicyAt) -> Result<(&'a PolicyAt, &'a Policy), Unknown> {
        at.policy.as_deref().map(|policy| (at, policy)).ok_or_else(|| Unknown::of("公司规则（请升级应用）"))
    }

    /// The ruling.
    ///
    /// # Errors
    /// [`Unknown`] where it is not held.
    pub fn ruling(&self) -> Result<&'a RulingModel, Unknown> {
        self.ruling.ok_or_else(|| Unknown::of("裁定"))
    }

    /// Day of a moment in the company's zone.
    pub fn day(&self, at_ms: i64) -> Option<Date> {
        company_day(at_ms, self.zone)
    }

    /// The assignments of the lead, in order.
    ///
    /// # Errors
    /// [`Unknown`] where the ruling is not held.
    pub fn epochs(&self) -> Result<Vec<Epoch>, Unknown> {
        let ruling = self.ruling()?;
        let assigned = ruling.decisions.iter().filter_map(|logged| match &logged.decision {
            Decision::Assign(to) => Some((logged, to)),
            _ => None,
        });
        let assigned: Vec<_> = assigned.collect();
        let epoch = |(logged, to): &(&LoggedDecision, &Assigned)| Epoch {
            id: logged.id,
            owner: to.to,
            from_ms: logged.at_ms,
            until_ms: None,
        };
        let mut epochs: Vec<Epoch> = assigned.iter().map(epoch).collect();
        // A lead that a rep made, or that came with its owner, is theirs from the beginning, without a decision.
        let first = epochs.first().map(|epoch| epoch.from_ms);
        let from_ms = ruling.fields.received_at_ms.unwrap_or(i64::MIN);
        let begins = match assigned.first() {
            None => ruling.fields.owner,
            Some((_, to)) => to.from.parse().ok().or(ruling.fields.creator),
        };
        if let Some(owner) = begins.filter(|_| first.is_none_or(|first| from_ms < first)) {
            epochs.insert(0, Epoch { id: EntryId(self.id.0), owner, from_ms, until_ms: None });
        }
        for at in 1..epochs.len() {
            epochs[at - 1].until_ms = Some(epochs[at].from_ms);
        }
        Ok(epochs)
    }

    /// What happened until the moment of the judgement, by the time when it happened; of one moment in the order of ids, so that the order of
    /// arrival decides nothing.
    pub fn events(&self) -> Vec<&'a LoggedEvent> {
        let until = |event: &&LoggedEvent| event.happened_at_ms() <= self.now_ms;
        let mut events: Vec<_> = self.lead.events.iter().filter(until).collect();
        events.sort_by_key(|event| (event.happened_at_ms(), event.id));
        events
    }

    /// The moments at which anything happened to the lead, in no order.
    pub fn moments(&self) -> impl Iterator<Item = i64> {
        let events = self.lead.events.iter().map(LoggedEvent::happened_at_ms);
        let evidence = self.lead.evidence.iter().map(|logged| logged.at.at_ms);
        let decisions = self.ruling.into_iter().flat_map(|ruling| &ruling.decisions).map(|made| made.at_ms);
        let received = self.ruling.and_then(|ruling| ruling.fields.received_at_ms);
        events.chain(evidence).chain(decisions).chain(received)
    }

    /// When somebody last did something about the lead, the receipt one of the acts. To have read it is none.
    pub fn last_act_ms(&self) -> Option<i64> {
        let events = self.events().into_iter().filter(|logged| !matches!(logged.event, Event::Read {}));
        let received_ms = self.ruling.and_then(|ruling| ruling.fields.received_at_ms);
        events.map(LoggedEvent::happened_at_ms).chain(received_ms).max()
    }

    /// Signals of a kind, by the time when they happened.
    pub fn signals(&self, kind: &str) -> Vec<(&'a LoggedEvent, &'a Signal)> {
        let signal = |event: &'a LoggedEvent| match &event.event {
            Event::Signal(signal) if signal.kind == kind => Some((event, signal)),
            _ => None,
        };
        self.events().into_iter().filter_map(signal).collect()
    }

    /// Whether the people of the customer are known: a lead that names an account has some of them there.
    ///
    /// # Errors
    /// [`Unknown`] where the account that the lead names is not held.
    pub fn knows_contacts(&self) -> Result<(), Unknown> {
        match (self.lead.fields.account, self.account) {
            (Some(_), None) => Err(Unknown::of("客户档案")),
            _ => Ok(()),
        }
    }

    /// 联系人 of the lead and of its account.
    pub fn contacts(&self) -> Vec<(EntryId, &'a Contact)> {
        let of_account = self.account.iter().flat_map(|account| &account.contacts);
        self.lead.contacts.iter().chain(of_account).map(|(id, contact)| (*id, contact)).collect()
    }

    /// The hashes of evidence whose bytes the server has seen (O5).
    pub fn verified(&self) -> BTreeSet<Hash32> {
        let decisions = self.ruling.map(|ruling| ruling.decisions.as_slice()).unwrap_or_default();
        let verified = decisions.iter().filter_map(|logged| match &logged.decision {
            Decision::Verified { hash } => Some(*hash),
            _ => None,
        });
        verified.collect()
    }

    /// Whether somebody leads: whose word is an approval.
    ///
    /// # Errors
    /// [`Unknown`] where the directory is not held.
    pub fn leads(&self, user: UserId) -> Result<bool, Unknown> {
        let people = self.people.ok_or_else(|| Unknown::of("通讯录"))?;
        let role = people.users.get(&user).and_then(|known| known.role.as_deref());
        Ok(matches!(role.and_then(Role::named), Some(Role::Manager | Role::Director)))
    }
}

/// Whether this was a contact of ours with the customer: a visit, or a touch that went out, whatever came of it.
pub fn is_contact(event: &Event) -> bool {
    match event {
        Event::Visit(_) => true,
        Event::Touch(touch) => touch.direction == Direction::Out,
        _ => false,
    }
}

/// Whether the customer was reached: a visit, a touch from them, or one of ours that they answered.
pub fn is_reached(event: &Event) -> bool {
    match event {
        Event::Visit(_) => true,
        Event::Touch(touch) => touch.direction == Direction::In || touch.outcome == Outcome::Reached,
        _ => false,
    }
}

/// Whether we tried and nobody answered (C34).
pub fn is_failed(event: &Event) -> bool {
    matches!(event, Event::Touch(touch) if touch.direction == Direction::Out && touch.outcome == Outcome::NoReply)
}
