//! 评分: the health score with its tiers (C50–C52), the score card (C49), the depth of the decision chain (C46), the potential of
//! industries, objections (C29), the loss predictor (C39) and the next best action (C48).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Amount, Condition};

/// 评分.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// 健康分, 0 to 100 (C50).
    pub health: Amount,
    /// 分档, the highest first (C51).
    pub tiers: Vec<Tier>,
    /// 评分卡 (C49): 100 less what the items that do not hold cost, never under 0.
    pub card: Vec<CardItem>,
    /// 决策链深度评分, 0 to 100 (C46).
    pub depth: Amount,
    /// 行业潜力值, 0 to 100, by industry; of an industry that is not here it is unknown (C50, C52).
    #[serde(default)]
    pub industry_potential: BTreeMap<String, i64>,
    /// 采购活跃度 counts signals of these kinds (C50).
    pub activity_signals: Vec<String>,
    /// Days back that it counts.
    pub activity_days: u32,
    /// 预算匹配度 (C50): bounds in yuan of what counts as confirmed over, and as confirmed between.
    pub budget_bounds_yuan: [i64; 2],
    /// 价格异议 within so many days that call the director (C29).
    pub objections: Objections,
    /// 丢单预测 (C39).
    pub loss: Loss,
}

/// 分档.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// 战略级, 重点跟进, 培育中, 暂缓.
    pub name: String,
    /// The least score.
    pub at_least: i64,
}

/// 评分项.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardItem {
    /// As it is called.
    pub name: String,
    /// What it costs when it does not hold.
    pub points: i64,
    /// When it holds.
    pub when: Condition,
    /// The reason that is shown for the deduction.
    pub reason: String,
}

/// 价格异议.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objections {
    /// How many.
    pub count: u32,
    /// Within how many days.
    pub days: u32,
}

/// 丢单预测: two ticks (C39).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// The questions, by the id under which a tick is kept.
    pub ticks: Vec<LossTick>,
    /// 流失概率 when all are ticked, basis points.
    pub all_bp: u32,
    /// The talk pack that comes up, by its id in the playbook.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub talk_pack: String,
}

/// One tick of the loss predictor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossTick {
    /// Unique for ever.
    pub id: String,
    /// The question.
    pub text: String,
}
