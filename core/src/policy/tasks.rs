//! 任务与培育: what is to be done after what, by when, and what counts as done (C23–C28, C31); and nurturing packages (C34).

use serde::{Deserialize, Serialize};

use super::Condition;

/// 触发任务.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskRule {
    /// Unique for ever: with the fact that opened it, it names the task (O2).
    pub id: String,
    /// 事项. `{words}` stands for what was said in the fact that opened it (C27).
    pub title: String,
    /// What opens it.
    pub after: Fact,
    /// Only while this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// Hours from then at which it begins to count (C26: day 7); left out: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_hours: Option<u32>,
    /// Hours from then by which it is due.
    pub within_hours: u32,
    /// What does it; any of them. Whatever it is, it counts from when it happened, not from when it was heard of (O1).
    pub done_by: Vec<Fact>,
    /// Who does it.
    #[serde(default)]
    pub who: Who,
    /// Who hears of it when it is overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_to: Option<Who>,
    /// Whether the lead cannot advance while it is open (C27).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocks_stage: bool,
    /// What of the lead is lost with it, for the home page (C32): whether the money at risk is shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_risk: bool,
}

impl TaskRule {
    /// The title without the customer's words: what may leave the company, and what a stage lacks.
    pub fn title_alone(&self) -> String {
        self.title.replace("{words}", "").trim_end_matches(['：', ':', ' ']).to_owned()
    }
}

/// Something that happened to a lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A signal of this kind.
    Signal(String),
    /// A visit.
    Visit,
    /// A touch of ours.
    TouchOut,
    /// The first of our touches.
    FirstTouch,
    /// A touch of the customer's.
    TouchIn,
    /// Evidence whose media type begins so.
    Evidence(String),
    /// The lead got its owner.
    Assigned,
    /// The lead came into this stage.
    Stage(String),
}

/// Who does something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// 负责人.
    #[default]
    Owner,
    /// 主管: who leads the owner's team.
    Supervisor,
    /// 大区总监: who leads the team above.
    Director,
    /// 客服.
    CustomerService,
    /// 交付.
    Delivery,
}

/// 培育包.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nurturing {
    /// Unique for ever.
    pub id: String,
    /// As it is called.
    pub name: String,
    /// In order of their days.
    pub steps: Vec<NurturingStep>,
}

/// One step of a nurturing package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NurturingStep {
    /// Days from the contact that made it necessary; 1 is the day after.
    pub day: u32,
    /// What is sent or done. `{hospital}` and `{department}` stand for the lead's.
    pub title: String,
    /// Who does it.
    #[serde(default)]
    pub who: Who,
    /// The material, by its id in the playbook.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub material: String,
}
