//! 决策链 (C53, C54, M8): who decides at the customer, in what role, and what each thinks of the purchase. An attitude is what somebody chose
//! for the contact; where nobody did, what was recorded of them in visits: 「CFO质疑ROI」. Where two people chose differently at once, both are
//! shown.

use std::collections::BTreeSet;

use super::facts::{DAY_MS, Facts};
use super::verdict::{Unknown, Verdict};
use crate::ids::EntryId;
use crate::model::{Attitude, Contact, Event};
use crate::policy::{ChainRole, Policy};

/// The graph of a decision chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainGraph {
    /// The people, in the order of their roles; those without one of the chain's last.
    pub people: Vec<Person>,
    /// Roles of the chain that nobody has yet, in its order (C54).
    pub open_roles: Vec<String>,
    /// Whether enough roles have an attitude (M8).
    pub complete: bool,
}

/// Somebody at the customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The contact.
    pub contact: EntryId,
    /// 姓名, else 职务.
    pub name: String,
    /// The role of the chain.
    pub role: Option<String>,
    /// The pool that they belong to (C13).
    pub pool: Option<String>,
    /// What they think; several where people differ about it, none where nothing says.
    pub attitudes: BTreeSet<Attitude>,
    /// The visit that told, where nobody chose.
    pub told_by: Option<EntryId>,
    /// Whether it is to be confirmed again: nothing was recorded of them for longer than the policy has it (C54).
    pub stale: bool,
}

/// The decision chain of a lead and its account.
pub fn assess_chain(facts: &Facts<'_>) -> Verdict<ChainGraph> {
    let graph = || -> Result<ChainGraph, Unknown> {
        let (_, policy) = facts.policy()?;
        facts.knows_contacts()?;
        let people = people(facts, policy);
        let held: BTreeSet<&str> = people.iter().filter_map(|person| person.role.as_deref()).collect();
        let open = policy.chain.roles.iter().filter(|role| !held.contains(role.name.as_str()));
        let open_roles = open.map(|role| role.name.clone()).collect();
        let complete = roles_with_attitude(facts, policy) >= policy.chain.complete_roles;
        Ok(ChainGraph { people, open_roles, complete })
    };
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: graph().into() }
}

/// How many different roles have an attitude. Somebody with a role of their own, outside the chain's, counts by that.
pub fn roles_with_attitude(facts: &Facts<'_>, policy: &Policy) -> usize {
    let own = facts
        .contacts()
        .into_iter()
        .map(|(id, contact)| (id, contact.role.as_deref().unwrap_or_default().trim()));
    let own: std::collections::BTreeMap<EntryId, &str> = own.collect();
    let people = people(facts, policy).into_iter().filter(|person| !person.attitudes.is_empty());
    let roles = people.filter_map(|person| {
        let own = own.get(&person.contact).copied().filter(|role| !role.is_empty());
        person.role.or_else(|| own.map(str::to_owned))
    });
    roles.collect::<BTreeSet<String>>().len()
}

fn people(facts: &Facts<'_>, policy: &Policy) -> Vec<Person> {
    let place = |role: &Option<String>| {
        let at =
            role.as_ref().and_then(|role| policy.chain.roles.iter().position(|known| known.name == *role));
        at.unwrap_or(usize::MAX)
    };
    let mut people: Vec<Person> =
        facts.contacts().into_iter().map(|(id, contact)| person(facts, policy, id, contact)).collect();
    people.sort_by(|one, other| {
        (place(&one.role), &one.name, one.contact).cmp(&(place(&other.role), &other.name, other.contact))
    });
    people
}

fn person(facts: &Facts<'_>, policy: &Policy, id: EntryId, contact: &Contact) -> Person {
    let role = role_of(policy, contact);
    let mut attitudes = chosen(facts, id, contact);
    let told = told(facts, policy, id, contact);
    let mut told_by = None;
    if let Some((entry, attitude, _)) = told.filter(|_| attitudes.is_empty()) {
        attitudes.insert(attitude);
        told_by = Some(entry);
    }
    let since_ms = facts.now_ms.saturating_sub(i64::from(policy.chain.update_days) * DAY_MS);
    Person {
        contact: id,
        name: contact.name.clone().or_else(|| contact.title.clone()).unwrap_or_default(),
        role: role.map(|role| role.name.clone()),
        pool: role.map(|role| role.pool.clone()).filter(|pool| !pool.is_empty()),
        attitudes,
        told_by,
        stale: last_mention(facts, id, contact).is_none_or(|at_ms| at_ms <= since_ms),
    }
}

/// The role of the chain that a contact has: the first of which a word stands in the contact's role, else in the title.
fn role_of<'a>(policy: &'a Policy, contact: &Contact) -> Option<&'a ChainRole> {
    let of = |text: &Option<String>| {
        let text = text.as_deref()?;
        policy.chain.roles.iter().find(|role| {
            role.name == text.trim() || role.words.iter().any(|word| text.contains(word.as_str()))
        })
    };
    of(&contact.role).or_else(|| of(&contact.title))
}

/// What people chose for a contact: of values that survive side by side all.
fn chosen(facts: &Facts<'_>, id: EntryId, contact: &Contact) -> BTreeSet<Attitude> {
    let of_account = facts.account.iter().flat_map(|account| &account.conflicts);
    let id = id.to_string();
    let disputed = facts.lead.conflicts.iter().chain(of_account).filter(|conflict| {
        conflict.path.key.as_deref() == Some(&id) && conflict.path.name.as_deref() == Some("attitude")
    });
    let values = disputed.flat_map(|conflict| &conflict.values).filter_map(|value| value.value.as_text());
    values.chain(contact.attitude.as_deref()).filter_map(Attitude::said).collect()
}

/// What the last visit that says something of a contact says: the first attitude of the policy of which a word stands in a clause with the
/// contact's name or title.
fn told(
    facts: &Facts<'_>,
    policy: &Policy,
    id: EntryId,
    contact: &Contact,
) -> Option<(EntryId, Attitude, i64)> {
    facts.events().into_iter().rev().find_map(|logged| {
        let Event::Visit(visit) = &logged.event else { return None };
        let met = visit.contact == Some(id);
        let mut clauses = visit.note.split(['，', '。', '；', '、', ',', ';', '\n', '！', '？']);
        let attitude = clauses
            .find_map(|clause| (met || names(contact, clause)).then(|| attitude_in(policy, clause))?)?;
        Some((logged.id, attitude, logged.happened_at_ms()))
    })
}

fn attitude_in(policy: &Policy, clause: &str) -> Option<Attitude> {
    let rows = policy.keywords.attitudes.iter();
    rows.filter(|row| row.words.iter().any(|word| clause.contains(word.as_str())))
        .map(|row| row.attitude)
        .next()
}

fn names(contact: &Contact, clause: &str) -> bool {
    let said = [&contact.name, &contact.title].into_iter().flatten().map(|text| text.trim());
    said.into_iter().any(|text| !text.is_empty() && clause.contains(text))
}

/// When something was last recorded of a contact.
fn last_mention(facts: &Facts<'_>, id: EntryId, contact: &Contact) -> Option<i64> {
    facts.events().into_iter().rev().find_map(|logged| match &logged.event {
        Event::Visit(visit) if visit.contact == Some(id) || names(contact, &visit.note) => {
            Some(logged.happened_at_ms())
        }
        Event::Touch(touch) if names(contact, &touch.text) => Some(logged.happened_at_ms()),
        _ => None,
    })
}
