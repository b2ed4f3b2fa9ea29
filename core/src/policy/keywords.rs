//! 信号与关键词: the kinds of signals that the company records, and what words in a talk mean (C36–C38, C40, C42, C53).

use serde::{Deserialize, Serialize};

/// 信号: a kind of thing that a customer did or somebody recorded: a page looked at, a document downloaded, a call answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalKind {
    /// By which it is recorded. Never changes.
    pub id: String,
    /// As formulas and people call it.
    pub name: String,
    /// Whether it is an act of the customer on the company's site (C69: site acts in 30 days).
    #[serde(default)]
    pub on_site: bool,
    /// Whether a talk with the customer took place (C36).
    #[serde(default)]
    pub is_talk: bool,
    /// The levels of which it has to carry one (C42: 服务风险等级), the worst first; none: it carries none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
}

impl SignalKind {
    /// Whether a signal of this kind may carry this level.
    pub fn admits_level(&self, level: &str) -> bool {
        if self.levels.is_empty() { level.is_empty() } else { self.levels.iter().any(|known| known == level) }
    }
}

/// 关键词.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keywords {
    /// Words that suggest a state (C37). Of several that occur in one text the first row here counts, wherever its word stands.
    pub states: Vec<StateWords>,
    /// Classes of what customers say to customer service (C38).
    pub classes: Vec<WordClass>,
    /// Words that become tags (C40).
    pub tags: Vec<TagWords>,
    /// Words that show an attitude (C53).
    pub attitudes: Vec<AttitudeWords>,
}

/// Words that suggest a state of the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateWords {
    /// 客户状态.
    pub state: String,
    /// Any of them.
    pub words: Vec<String>,
}

/// A class of what customers say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordClass {
    /// As it is called.
    pub name: String,
    /// The tag that a talk with one of the words gets.
    pub tag: String,
    /// Any of them.
    pub words: Vec<String>,
    /// The talk pack that helps, by its id in the playbook.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub talk_pack: String,
    /// Whether it is an objection to the price, of which several escalate (C29).
    #[serde(default)]
    pub price_objection: bool,
}

/// Words that become a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagWords {
    /// The tag.
    pub tag: String,
    /// Any of them.
    pub words: Vec<String>,
}

/// Words that show what somebody thinks of the purchase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttitudeWords {
    /// 支持, 观望 or 反对.
    pub attitude: crate::model::Attitude,
    /// Any of them.
    pub words: Vec<String>,
}
