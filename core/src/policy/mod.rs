//! The company's policy as data (O13): what a business user may change without a new release. Refuses to hold anything that a rule decides
//! by itself, and to let anything be published that does not fit together.
//!
//! A policy is written as TOML, one table a section, and kept as JSON. A section that a text leaves out is the one of the pack that it
//! names as its base, so a company that changes one deadline writes five lines.

use std::fmt;

use serde::{Deserialize, Serialize};

mod assignment;
mod check;
mod dictation;
mod expression;
pub mod formula;
mod habits;
mod history;
mod intake;
mod keywords;
pub mod packs;
mod scores;
mod stages;
mod tasks;
pub mod terms;

pub use assignment::{Assignment, Node, Overdue, Response, ResponseKind, Route};
pub use dictation::Dictation;
pub use expression::{Amount, Condition};
pub use habits::{
    Advancement, AdvancementQuestion, Calendar, Chain, ChainRole, Figures, NextBest, Radar, Talk,
};
pub use history::{PolicyAt, PolicyHistory, PublishError, publish};
pub use intake::{Intake, Question, Scene, TagRule};
pub use keywords::{AttitudeWords, Keywords, SignalKind, StateWords, TagWords, WordClass};
pub use packs::Pack;
pub use scores::{CardItem, Loss, LossTick, Objections, Scores, Tier};
pub use stages::{EvidenceNeed, Need, Proof, Stage};
pub use tasks::{Fact, Nurturing, NurturingStep, TaskRule, Who};

/// 公司规则: one version of it, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What the company calls it.
    pub name: String,
    /// 线索录入.
    pub intake: Intake,
    /// 信号.
    pub signals: Vec<SignalKind>,
    /// 关键词.
    pub keywords: Keywords,
    /// 线索分配.
    pub assignment: Assignment,
    /// 阶段, in their order.
    pub stages: Vec<Stage>,
    /// 任务.
    pub tasks: Vec<TaskRule>,
    /// 培育包.
    pub nurturing: Nurturing,
    /// 评分.
    pub scores: Scores,
    /// 决策链.
    pub chain: Chain,
    /// 采购推进表.
    pub advancement: Advancement,
    /// 销售日历.
    pub calendar: Calendar,
    /// 沟通.
    pub talk: Talk,
    /// 五维雷达.
    pub radar: Radar,
    /// 指标.
    pub figures: Figures,
    /// 口述词表.
    #[serde(default, skip_serializing_if = "Dictation::is_empty")]
    pub dictation: Dictation,
}

/// Why a policy was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is no TOML, or not of the shape of a policy: with the line, the column and what was found there.
    #[error("{0}")]
    Shape(String),
    /// The pack that it names as its base is none.
    #[error("base: there is no pack {0:?}; there are medical, manufacturing and education")]
    NoPack(String),
    /// It does not fit together: everything that is wrong, each with its place.
    #[error("{}", Lines(.0))]
    Wrong(Vec<Fault>),
}

/// One thing that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: `stages[2].needs[0].holds`.
    pub path: String,
    /// What, in Chinese.
    pub chinese: String,
    /// What, in English.
    pub english: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.english)
    }
}

struct Lines<'a>(&'a [Fault]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl Policy {
    /// Reads a policy as it is written: TOML, with `base = "medical"` in front where sections are left out.
    ///
    /// # Errors
    /// [`PolicyError`], with the place of everything that is wrong.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let shape = |e: toml::de::Error| PolicyError::Shape(e.to_string().trim_end().to_owned());
        let own: toml::Table = toml::from_str(text).map_err(shape)?;
        if !own.contains_key("base") {
            return toml::from_str::<Self>(text).map_err(shape)?.checked();
        }
        // Read on its own first: what is told of it has its line.
        toml::from_str::<Sections>(text).map_err(shape)?;
        whole(own)?.try_into::<Self>().map_err(shape)?.checked()
    }

    /// Reads a policy as it is kept.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn from_json(sections: serde_json::Value) -> Result<Self, PolicyError> {
        let policy: Self = serde_json::from_value(sections).map_err(|e| PolicyError::Shape(e.to_string()))?;
        policy.checked()
    }

    /// As it is kept.
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(sections)) => sections,
            // A struct of named fields with texts for keys is always an object.
            Ok(_) | Err(_) => serde_json::Map::new(),
        }
    }

    /// The stage of this id.
    pub fn stage(&self, id: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.id == id)
    }

    /// Where a stage stands in the order, from 0.
    pub fn place_of(&self, stage: &str) -> Option<usize> {
        self.stages.iter().position(|known| known.id == stage)
    }
}

/// A policy with the sections that it leaves out taken from the pack that it names as its base. Sections are replaced whole: what stands in
/// one is all that counts of it.
fn whole(own: toml::Table) -> Result<toml::Table, PolicyError> {
    let Some(base) = own.get("base") else { return Ok(own) };
    let base = base.as_str().unwrap_or_default();
    let pack = Pack::named(base).ok_or_else(|| PolicyError::NoPack(base.to_owned()))?;
    let of_pack = toml::from_str(pack.toml()).map_err(|e| PolicyError::Shape(e.to_string()))?;
    // A pack that ships names medical as its base, or none, so this ends.
    let mut all = whole(of_pack)?;
    let dictation = all.remove("dictation");
    all.extend(own.into_iter().filter(|(key, _)| key != "base"));
    // Of the word lists each is replaced, or added to, for itself: nobody writes a pack's lists again to add a word.
    if let Some(of_pack) = dictation {
        let own = all.remove("dictation");
        all.insert(
            "dictation".to_owned(),
            own.map_or(of_pack.clone(), |own| dictation::merged(&of_pack, &own)),
        );
    }
    Ok(all)
}

/// A policy of which sections may be left out: read for the lines of what is wrong with those that are there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read only for the errors of reading it")]
struct Sections {
    base: String,
    name: Option<String>,
    intake: Option<Intake>,
    signals: Option<Vec<SignalKind>>,
    keywords: Option<Keywords>,
    assignment: Option<Assignment>,
    stages: Option<Vec<Stage>>,
    tasks: Option<Vec<TaskRule>>,
    nurturing: Option<Nurturing>,
    scores: Option<Scores>,
    chain: Option<Chain>,
    advancement: Option<Advancement>,
    calendar: Option<Calendar>,
    talk: Option<Talk>,
    radar: Option<Radar>,
    figures: Option<Figures>,
    dictation: Option<Dictation>,
}

#[cfg(test)]
mod tests;
