//! 日常: the decision chain (C53, C54), the advancement table (C55, C56), the calendar (C59), talks (C31, C35), the radar (C69) and the
//! lines of figures (M1–M14).

use serde::{Deserialize, Serialize};

use super::Condition;

/// 决策链.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// The roles in the order in which a purchase passes them (C54).
    pub roles: Vec<ChainRole>,
    /// Roles with an attitude from which on a chain counts as complete (M8).
    pub complete_roles: usize,
    /// Days after which somebody's attitude is to be confirmed again (C54: weekly).
    pub update_days: u32,
}

/// A role of the decision chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainRole {
    /// As it is called.
    pub name: String,
    /// What a contact's role or title contains to be one of them.
    pub words: Vec<String>,
    /// The pool that contacts of this role belong to (C13); empty: none of its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pool: String,
}

/// 采购推进表.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advancement {
    /// The rows in their order (C55, C56).
    pub rows: Vec<AdvancementQuestion>,
}

/// A row of the advancement table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvancementQuestion {
    /// By which its tick is kept. Never changes.
    pub id: String,
    /// The question.
    pub text: String,
    /// Its part of 推进指数, of the sum of all weights.
    pub weight: u32,
}

/// 销售日历.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// Purposes that say nothing when they stand alone, with or without a name behind (C59).
    pub vague_purposes: Vec<String>,
}

/// 沟通.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Talk {
    /// Days until the next contact, unless somebody says otherwise (C31).
    pub next_contact_days: u32,
    /// The title of the todo that the end of a talk makes.
    pub next_contact_title: String,
    /// What is best done next after a signal (C48); every row that holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next_best: Vec<NextBest>,
}

/// 下一步最佳动作.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextBest {
    /// When.
    pub when: Condition,
    /// What is proposed.
    pub action: String,
    /// The material, by its id in the playbook.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub material: String,
}

/// 五维雷达: the bounds of the five dimensions (C69).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Radar {
    /// 信息完整性: the least share of the required fields, basis points.
    pub completeness_bp: u32,
    /// 响应及时性: minutes to the first touch.
    pub first_touch_minutes: u32,
    /// 行业匹配度: the industries that the company is strong in.
    pub strong_industries: Vec<String>,
    /// 历史互动性: how many acts on the site.
    pub site_acts: u32,
    /// Within how many days.
    pub site_days: u32,
}

/// 指标: the lines under which a figure is unhealthy, and what it is counted by (M1–M14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// M1: hours to the first response.
    pub first_response_hours: u32,
    /// M1: the least share, basis points.
    pub first_response_bp: u32,
    /// M3: the least share of effective first contacts, basis points.
    pub effective_bp: u32,
    /// M4: the most stage jumps, basis points.
    pub jumps_bp: u32,
    /// M5: the least share of leads with an act by somebody who does not sell, basis points.
    pub cross_role_bp: u32,
    /// M6: the most minutes from creation to the first touch, median.
    pub first_touch_minutes: u32,
    /// M7: the key fields, by their names in the document.
    pub key_fields: Vec<String>,
    /// M7: the least share of them that are filled, basis points.
    pub key_fields_bp: u32,
    /// M8: the least share of customers with a complete chain, basis points.
    pub chain_bp: u32,
    /// M9: the most days from lead to order, median.
    pub to_order_days: u32,
    /// M10: the stage whose dwell is measured.
    pub dwell_stage: String,
    /// M10: the most days in it, mean.
    pub dwell_days: u32,
    /// M11: days without change.
    pub untouched_days: u32,
    /// M11: the most such leads, basis points.
    pub untouched_bp: u32,
    /// M12: hours for the four acts.
    pub four_acts_hours: u32,
    /// M12: the stages whose entry shows 初筛 and 需求确认.
    pub four_acts_stages: [String; 2],
    /// M12: the least share, basis points.
    pub four_acts_bp: u32,
    /// M13: the signal that opens the 24 h follow-up.
    pub trial_signal: String,
    /// M13: hours.
    pub trial_hours: u32,
    /// The signal of a renewal (M13, C20); left out: renewals are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_signal: Option<String>,
    /// The signal of a complaint (C20); left out: complaints are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complaint_signal: Option<String>,
    /// The signal of a deal, whose amount in yuan is its worth (C16); where a won lead has none, its budget is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deal_signal: Option<String>,
}
