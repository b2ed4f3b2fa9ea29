//! 推进指数 (C55, C56): how much of the advancement table is confirmed, by the weights of the policy. The source gives only "100 when all
//! are confirmed"; rounding down keeps 100 for that alone.

use super::facts::Facts;
use super::verdict::{Unknown, Verdict};
use crate::model::AdvancementModel;
use crate::policy::Policy;

/// One row as the phone shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// By which its tick is kept.
    pub id: String,
    /// The question, as the policy asks it; empty for a row that it does not ask any more.
    pub question: String,
    /// 已确认 or 待确认. A row about which two people differ is open until one of them has chosen.
    pub confirmed: bool,
    /// What was found out.
    pub answer: String,
    /// Two people ticked or answered differently at once (C55).
    pub conflict: bool,
}

/// The table, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advancement {
    /// The rows of the policy in its order, then those that it does not ask any more.
    pub rows: Vec<Row>,
    /// 推进指数, 0 to 100.
    pub index: i64,
}

/// The table under the policy in force.
pub fn assess_advancement(facts: &Facts<'_>) -> Verdict<Advancement> {
    let judged = || -> Result<Advancement, Unknown> {
        let (_, policy) = facts.policy()?;
        let table = facts.table.ok_or_else(|| Unknown::of("采购推进表"))?;
        Ok(Advancement { rows: rows(table, policy), index: index(table, policy) })
    };
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: judged().into() }
}

/// 推进指数 of a table.
pub fn index(table: &AdvancementModel, policy: &Policy) -> i64 {
    let weight = |confirmed_only: bool| -> i64 {
        let asked = rows(table, policy).into_iter().zip(&policy.advancement.rows);
        asked
            .filter(|(row, _)| row.confirmed || !confirmed_only)
            .map(|(_, asked)| i64::from(asked.weight))
            .sum()
    };
    weight(true) * 100 / weight(false).max(1)
}

fn rows(table: &AdvancementModel, policy: &Policy) -> Vec<Row> {
    let asked = policy.advancement.rows.iter().map(|asked| (asked.id.as_str(), asked.text.as_str()));
    let is_asked = |id: &str| policy.advancement.rows.iter().any(|asked| asked.id == id);
    // With a stroke in them are the answers of a week and the ticks of the loss predictor, which have pages of their own.
    let is_other = |id: &str| !is_asked(id) && !id.contains('/');
    let others =
        table.rows.iter().filter(|row| is_other(&row.id) && (row.confirmed || !row.answer.is_empty()));
    let others = others.map(|row| (row.id.as_str(), row.question.as_str()));
    let row = |(id, question): (&str, &str)| {
        let written = table.rows.iter().find(|row| row.id == id);
        Row {
            id: id.to_owned(),
            question: question.to_owned(),
            confirmed: written.is_some_and(|row| row.confirmed && !row.conflict),
            answer: written.map(|row| row.answer.clone()).unwrap_or_default(),
            conflict: written.is_some_and(|row| row.conflict),
        }
    };
    asked.chain(others).map(row).collect()
}
