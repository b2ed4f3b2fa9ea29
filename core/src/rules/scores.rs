//! 评分 (C46, C49–C52): the health score with its tier, the score card with what cost most, the depth of the decision chain. Worked out from
//! the facts and stored nowhere (O7); a change of the policy shows the old score until its moment comes.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::facts::Facts;
use super::known::KnownOf;
use super::stage::StageOnce;
use super::verdict::{Says, Unknown, Verdict};
use crate::policy::{Amount, Policy};

/// A score never shows more.
const SCORE_MAX: i64 = 100;
/// Deductions that are shown (C49).
const DEDUCTIONS_SHOWN: usize = 3;

/// The scores of a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scores {
    /// 健康分, 0 to 100 (C50).
    pub health: Says<i64>,
    /// 分档 (C51).
    pub tier: Says<String>,
    /// 评分卡 (C49).
    pub card: Card,
    /// 决策链深度评分, 0 to 100 (C46).
    pub depth: Says<i64>,
}

/// The score card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// 100 less the deductions, never under 0; the most that it can be while something is not known.
    pub score: i64,
    /// What cost most, at most three, the most first; of equal ones in the order of the policy.
    pub deductions: Vec<Deduction>,
    /// Items that cannot be judged, by name: the score may be lower by what they cost.
    pub open: Vec<String>,
}

/// A deduction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deduction {
    /// The item.
    pub name: String,
    /// What it cost.
    pub points: i64,
    /// Why, in the words of the policy.
    pub reason: String,
}

/// The scores of a lead.
pub fn assess_scores(facts: &Facts<'_>) -> Verdict<Scores> {
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: scores(facts, &StageOnce::new(facts)).into() }
}

pub(super) fn scores(facts: &Facts<'_>, stages: &StageOnce<'_>) -> Result<Scores, Unknown> {
    let (_, policy) = facts.policy()?;
    let known = KnownOf::sharing(facts, policy, stages);
    let whole = |amount: &Amount| amount.of(&known).map(score).map_err(Unknown::from);
    let health = whole(&policy.scores.health);
    let tier = health.clone().map(|score| tier(policy, score));
    Ok(Scores {
        tier: tier.into(),
        health: health.into(),
        card: card(policy, &known),
        depth: whole(&policy.scores.depth).into(),
    })
}

/// The tier of a score: the first whose least it reaches.
pub fn tier(policy: &Policy, score: i64) -> String {
    let tier = policy.scores.tiers.iter().find(|tier| score >= tier.at_least);
    tier.map(|tier| tier.name.clone()).unwrap_or_default()
}

/// A number as a score: whole, rounded down, from 0 to 100.
fn score(number: Decimal) -> i64 {
    number
        .floor()
        .to_i64()
        .unwrap_or(if number.is_sign_negative() { 0 } else { SCORE_MAX })
        .clamp(0, SCORE_MAX)
}

fn card(policy: &Policy, known: &KnownOf<'_>) -> Card {
    let (mut deductions, mut open) = (Vec::new(), Vec::new());
    for item in &policy.scores.card {
        match item.when.holds(known) {
            Ok(true) => {}
            Ok(false) => deductions.push(Deduction {
                name: item.name.clone(),
                points: item.points,
                reason: item.reason.clone(),
            }),
            Err(_) => open.push(item.name.clone()),
        }
    }
    let lost: i64 = deductions.iter().map(|deduction| deduction.points).sum();
    deductions.sort_by_key(|deduction| -deduction.points);
    deductions.truncate(DEDUCTIONS_SHOWN);
    Card { score: (SCORE_MAX - lost).clamp(0, SCORE_MAX), deductions, open }
}
