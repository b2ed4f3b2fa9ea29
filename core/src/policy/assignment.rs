//! 线索分配: the decision nodes (C15–C17, C20), and the deadlines behind an assignment (C1, C14, C18, C22).

use serde::{Deserialize, Serialize};

use super::Condition;

/// 线索分配.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// In their order: the first that names where to gives the lead there; a priority counts from every node that holds.
    pub nodes: Vec<Node>,
    /// What the owner owes once the lead is there.
    pub response: Response,
    /// Hours without an owner after which a lead counts as lost (C14).
    pub lost_after_hours: u32,
    /// Over how many days the results of reps are counted (C16, C20): what they sold, renewals, complaints, what they did in time.
    #[serde(default = "a_year", skip_serializing_if = "is_a_year")]
    pub results_days: u32,
}

fn is_a_year(days: &u32) -> bool {
    *days == a_year()
}

fn a_year() -> u32 {
    365
}

/// 判断节点.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// As it is called.
    pub name: String,
    /// When it holds.
    pub when: Condition,
    /// 优先级 that it gives, `A` first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// Where it sends the lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Route>,
}

/// Where a lead is sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// The team of this name; left out: the whole company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The team whose name contains the lead's province (C16); goes before `team`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_province: bool,
    /// Whoever leads it, instead of its reps (C15: straight to the director).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub leader: bool,
    /// Only so many of its reps, those with the best results (C16: TOP3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<usize>,
    /// Only those for whom this holds, in the words of [`super::terms::REP`] (C20).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Condition>,
    /// Nobody who has so many open leads or more (C20).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_below: Option<u32>,
}

/// 首次响应: what the owner owes, and what happens if it does not come (C1, C18, C22).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// Minutes from the assignment.
    pub within_minutes: u32,
    /// What counts. S0 says a response, S4 that the card was read.
    pub counts: ResponseKind,
    /// What follows when it does not come in time.
    pub then: Overdue,
    /// How many contacts in a row without reply make a nurturing task of the lead (C1, C34).
    pub failed_contacts: u32,
}

/// What is a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseKind {
    /// 已联系: a visit or an outgoing touch.
    Contact,
    /// 已读: the owner opened the lead.
    Read,
}

/// What follows on an overdue response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overdue {
    /// 升级至主管 (C1, C22).
    Escalate,
    /// 二次分配并通知主管 (C18).
    Reassign,
}
