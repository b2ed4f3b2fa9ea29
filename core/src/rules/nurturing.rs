//! 培育 (C1, C34): so many contacts in a row without reply open a package of steps; the first contact that succeeds, whenever it is heard of,
//! cancels the steps that were due after it.

use super::facts::{DAY_MS, Facts, is_failed, is_reached};
use super::verdict::{Unknown, Verdict};
use crate::ids::EntryId;
use crate::policy::Who;

/// A package that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The contact that was one too many: its epoch (O2).
    pub epoch: EntryId,
    /// The version of the policy that it follows: the one in force when it was opened.
    pub policy: EntryId,
    /// As it is called.
    pub name: String,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its place in the package, from 0.
    pub at: usize,
    /// What is sent or done, with the lead's hospital and department in it.
    pub title: String,
    /// Who does it.
    pub who: Who,
    /// The material, by its id in the playbook; empty: none.
    pub material: String,
    /// When it is due, milliseconds since 1970 UTC.
    pub due_ms: i64,
    /// How it stands.
    pub state: StepState,
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// Its day has not come.
    Ahead,
    /// It is to be done.
    Due,
    /// Somebody was reached before its day, with this entry.
    Cancelled(EntryId),
}

/// The packages of a lead, in order.
pub fn assess_nurturing(facts: &Facts<'_>) -> Verdict<Vec<Package>> {
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: packages(facts).into() }
}

fn packages(facts: &Facts<'_>) -> Result<Vec<Package>, Unknown> {
    let (mut failed, mut opened, mut packages) = (0, false, Vec::<Package>::new());
    for logged in facts.events() {
        let at_ms = logged.happened_at_ms();
        if is_reached(&logged.event) {
            (failed, opened) = (0, false);
            if let Some(package) = packages.last_mut() {
                let later = package.steps.iter_mut().filter(|step| step.due_ms > at_ms);
                later.filter(|step| !matches!(step.state, StepState::Cancelled(_))).for_each(|step| {
                    step.state = StepState::Cancelled(logged.id);
                });
            }
        } else if is_failed(&logged.event) {
            failed += 1;
            let (version, policy) = facts.policy_at(at_ms)?;
            // The package goes on while nobody is reached; one is enough.
            if failed >= policy.assignment.response.failed_contacts && !opened {
                opened = true;
                packages.push(package(facts, logged.id, at_ms, version.id, policy));
            }
        }
    }
    Ok(packages)
}

fn package(
    facts: &Facts<'_>,
    epoch: EntryId,
    at_ms: i64,
    policy_id: EntryId,
    policy: &crate::policy::Policy,
) -> Package {
    let fields = &facts.lead.fields;
    let hospital = fields.hospital.as_deref().or(fields.customer_name.as_deref()).unwrap_or("贵院");
    let department = fields.department.as_deref().unwrap_or("贵科室");
    let steps = policy.nurturing.steps.iter().enumerate().map(|(at, step)| {
        let due_ms = at_ms.saturating_add(i64::from(step.day) * DAY_MS);
        Step {
            at,
            title: step.title.replace("{hospital}", hospital).replace("{department}", department),
            who: step.who,
            material: step.material.clone(),
            due_ms,
            state: if due_ms <= facts.now_ms { StepState::Due } else { StepState::Ahead },
        }
    });
    Package { epoch, policy: policy_id, name: policy.nurturing.name.clone(), steps: steps.collect() }
}
