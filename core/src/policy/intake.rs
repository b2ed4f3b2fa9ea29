//! 线索录入: which fields a lead has to have and when (C3, C6, C7, C11, C33), and the tags that it gets by itself (C1).

use serde::{Deserialize, Serialize};

use super::Condition;

/// 线索录入.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intake {
    /// What counts as not filled in, beside nothing at all (C11).
    pub empty_words: Vec<String>,
    /// The fields without which a lead is not taken, by their names in the document: 3 to 5 (C3, C5).
    pub required: Vec<String>,
    /// 下次拜访前补全: the fields that are to be there before the next visit (C3, C33).
    pub before_next_visit: Vec<String>,
    /// What is asked for beyond that, by scene; the first that fits counts (C6).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scenes: Vec<Scene>,
    /// How many questions a week shows (C7).
    pub questions_a_week: usize,
    /// 本周需确认的问题: in their order, those whose condition holds (C7).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    /// Tags that a lead gets by itself (C1, C45).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<TagRule>,
    /// Days for which a tag set by hand counts (C47: most are stale after three).
    pub hand_tag_days: u32,
}

/// 场景: which further fields decide the next action here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    /// As it is called.
    pub name: String,
    /// When it applies.
    pub when: Condition,
    /// The fields, by their names in the document: at most five (C5).
    pub fields: Vec<String>,
}

/// A question of the week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Unique for ever: an answer is kept under it and the week.
    pub id: String,
    /// As it is asked.
    pub text: String,
    /// When it is worth asking; left out: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
}

/// A tag by rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagRule {
    /// The tag.
    pub tag: String,
    /// When a lead has it.
    pub when: Condition,
}
