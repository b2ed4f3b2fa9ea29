//! 字段 (C3, C5–C7, C11, C33): what of a lead is still to be filled in, in the order in which it matters: without what it is not taken, what
//! decides the next action in this scene, what is to be there before the next visit; and the questions of this week.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::known::{KnownOf, budget_fen};
use super::stage::StageOnce;
use super::verdict::{Unknown, Verdict};
use crate::document::Value;
use crate::policy::Policy;

/// What is to be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// Mandatory ones that are not there, by their names in the document.
    pub missing: Vec<String>,
    /// The scene that the lead is in, if one fits (C6).
    pub scene: Option<String>,
    /// What the scene asks for and is not there.
    pub missing_of_scene: Vec<String>,
    /// 下次拜访前补全 (C33).
    pub before_next_visit: Vec<String>,
    /// Filled in of what the policy asks for at all, basis points; 10,000 where it asks for nothing.
    pub complete_bp: u32,
    /// 本周需确认的问题 (C7).
    pub questions: Vec<WeekQuestion>,
}

/// A question of this week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeekQuestion {
    /// The key of its answer in the advancement table: the ISO week and the question, so that two phones that begin a week without signal
    /// mean the same one.
    pub key: String,
    /// As it is asked.
    pub text: String,
    /// What was found out this week.
    pub answer: Option<String>,
}

/// What of a lead is still to be filled in, and what to ask this week.
pub fn assess_fields(facts: &Facts<'_>) -> Verdict<Fields> {
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: fields(facts, &StageOnce::new(facts)).into() }
}

pub(super) fn fields(facts: &Facts<'_>, stages: &StageOnce<'_>) -> Result<Fields, Unknown> {
    let (_, policy) = facts.policy()?;
    let known = KnownOf::sharing(facts, policy, stages);
    let values = facts.lead.fields.values();
    let open = |fields: &[String]| -> Vec<String> {
        fields.iter().filter(|field| !is_filled(facts, policy, &values, field)).cloned().collect()
    };
    let mut scene = None;
    for candidate in &policy.intake.scenes {
        if candidate.when.holds(&known)? {
            scene = Some(candidate);
            break;
        }
    }
    let of_scene = scene.map(|scene| scene.fields.as_slice()).unwrap_or_default();
    let intake = &policy.intake;
    let mut asked: Vec<&String> =
        intake.required.iter().chain(&intake.before_next_visit).chain(of_scene).collect();
    asked.sort_unstable();
    asked.dedup();
    let filled = asked.iter().filter(|field| is_filled(facts, policy, &values, field)).count();
    Ok(Fields {
        missing: open(&intake.required),
        scene: scene.map(|scene| scene.name.clone()),
        missing_of_scene: open(of_scene),
        before_next_visit: open(&intake.before_next_visit),
        complete_bp: share_bp(filled, asked.len()),
        questions: questions(facts, policy, &known),
    })
}

/// A share in basis points, rounded down; everything of nothing.
pub(super) fn share_bp(part: usize, whole: usize) -> u32 {
    (part * 10_000).checked_div(whole).unwrap_or(10_000) as u32
}

/// Whether a field says something; of the two ends of the budget either will do.
pub(super) fn is_filled(
    facts: &Facts<'_>,
    policy: &Policy,
    values: &BTreeMap<String, Value>,
    field: &str,
) -> bool {
    if matches!(field, "budget_min_fen" | "budget_max_fen") {
        return budget_fen(&facts.lead.fields).is_some();
    }
    match values.get(field) {
        Some(Value::Text(text)) => {
            let text = text.trim();
            crate::model::is_filled(text) && !policy.intake.empty_words.iter().any(|word| word == text)
        }
        Some(Value::Null) | None => false,
        Some(_) => true,
    }
}

/// The first questions of the policy whose condition holds. One that cannot be judged is asked: the answer is what is not known.
fn questions(facts: &Facts<'_>, policy: &Policy, known: &KnownOf<'_>) -> Vec<WeekQuestion> {
    let Some(week) = facts.day(facts.now_ms).map(|day| day.iso_week_date()) else { return Vec::new() };
    let asked = policy.intake.questions.iter().filter(|question| match &question.when {
        Some(when) => when.holds(known).unwrap_or(true),
        None => true,
    });
    let question = |question: &crate::policy::Question| {
        let key = format!("{}-W{:02}/{}", week.year(), week.week(), question.id);
        let written = facts.table.and_then(|table| table.rows.iter().find(|row| row.id == key));
        let answer = written.map(|row| row.answer.clone()).filter(|answer| !answer.is_empty());
        WeekQuestion { key, text: question.text.clone(), answer }
    };
    asked.take(policy.intake.questions_a_week).map(question).collect()
}
