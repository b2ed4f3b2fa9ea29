//! 话术库 (C38, C39, C48, C56, C94): what helps a rep in a talk, on every phone: talk packs, materials, and deals that were lost before, with the
//! customer's words, what was answered and where it was lost. A document like the policy; whoever it concerns is found on the phone
//! ([`crate::rules::similar`]). No customer is named in it: everybody in the company reads it (O10).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::policy::Policy;

mod entries;

pub use entries::{publish, record_lost_deal, withdraw_lost_deal};

/// 话术包: what may be said and sent against something that customers say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TalkPack {
    /// By which the policy names it.
    pub id: String,
    /// As it is called.
    pub title: String,
    /// What may be said, in order.
    pub lines: Vec<String>,
    /// Materials that go with it, by their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub materials: Vec<String>,
}

/// 资料: something to send or to take along.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Material {
    /// By which the policy and packs name it.
    pub id: String,
    /// As it is called.
    pub title: String,
    /// Where it lies; empty: whoever sends it knows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub link: String,
}

/// 丢单: a deal that was lost, without the customer's name (C94).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LostDeal {
    /// By which it is withdrawn.
    pub id: String,
    /// The day on which it was written down, ISO.
    pub day: String,
    /// 设备.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub equipment: String,
    /// Who won it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub brand: String,
    /// 需求关键词.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub need: String,
    /// 行业.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub industry: String,
    /// 省份.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub province: String,
    /// The customer's budget, fen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_fen: Option<i64>,
    /// Tags that the lead had: 价格异议.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// 丢单点: where it was lost.
    pub point: String,
    /// 客户原话: what the customer said.
    pub words: String,
    /// 应对: what was answered, or would have to be.
    pub answer: String,
}

/// 话术库, as it counts: what ships, and what the company has written over it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Playbook {
    /// By id.
    pub packs: BTreeMap<String, TalkPack>,
    /// By id.
    pub materials: BTreeMap<String, Material>,
    /// By id.
    pub lost_deals: BTreeMap<String, LostDeal>,
}

/// A playbook as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    /// 话术包.
    pub packs: Vec<TalkPack>,
    /// 资料.
    pub materials: Vec<Material>,
}

/// Why a playbook was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaybookError {
    /// It is no TOML, or not of the shape of a playbook: with the line.
    #[error("{0}")]
    Shape(String),
    /// It does not fit together: everything that is wrong.
    #[error("{}", .0.join("\n"))]
    Wrong(Vec<String>),
}

impl Playbook {
    /// What ships.
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// What ships, as it is written.
    pub fn toml() -> &'static str {
        TEXT
    }

    /// The packs and lost deals in which a text occurs: packs by their title or a line, deals by everything that is written of them.
    pub fn search(&self, text: &str) -> (Vec<&TalkPack>, Vec<&LostDeal>) {
        let text = text.trim().to_lowercase();
        let has = |said: &str| said.to_lowercase().contains(&text);
        let packs =
            self.packs.values().filter(|pack| has(&pack.title) || pack.lines.iter().any(|line| has(line)));
        let deals = self.lost_deals.values().filter(|deal| {
            let said = [&deal.equipment, &deal.brand, &deal.industry, &deal.point, &deal.words, &deal.answer];
            said.into_iter().chain(&deal.tags).any(|said| has(said))
        });
        (packs.collect(), deals.collect())
    }
}

impl Written {
    /// Reads what is written: TOML.
    ///
    /// # Errors
    /// [`PlaybookError`], with the place of everything that is wrong.
    pub fn from_toml(text: &str) -> Result<Self, PlaybookError> {
        let written: Self =
            toml::from_str(text).map_err(|e| PlaybookError::Shape(e.to_string().trim_end().to_owned()))?;
        let wrong = written.wrong();
        if wrong.is_empty() { Ok(written) } else { Err(PlaybookError::Wrong(wrong)) }
    }

    /// The ids of packs and materials that a policy names and that are not written.
    pub fn dangling(&self, policy: &Policy) -> Vec<String> {
        let classes = policy.keywords.classes.iter().map(|class| &class.talk_pack);
        let packs = classes.chain([&policy.scores.loss.talk_pack]);
        let packs = packs.filter(|id| !self.packs.iter().any(|pack| pack.id == **id));
        let steps = policy.nurturing.steps.iter().map(|step| &step.material);
        let materials = steps.chain(policy.talk.next_best.iter().map(|next| &next.material));
        let materials = materials.filter(|id| !self.materials.iter().any(|material| material.id == **id));
        let missing: BTreeSet<&String> = packs.chain(materials).filter(|id| !id.is_empty()).collect();
        missing.into_iter().cloned().collect()
    }

    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let materials: BTreeSet<&str> = self.materials.iter().map(|material| material.id.as_str()).collect();
        let packs: BTreeSet<&str> = self.packs.iter().map(|pack| pack.id.as_str()).collect();
        for (what, there, ids) in
            [("packs", self.packs.len(), packs), ("materials", self.materials.len(), materials.clone())]
        {
            if ids.len() < there || ids.contains("") {
                wrong.push(format!("{what}: an id is empty or there twice"));
            }
            if there > ROWS_MAX {
                wrong.push(format!("{what}: {there} rows, and {ROWS_MAX} at the most"));
            }
        }
        for pack in &self.packs {
            let at = &pack.id;
            if pack.title.trim().is_empty() || pack.lines.iter().all(|line| line.trim().is_empty()) {
                wrong.push(format!("packs {at:?}: it needs a title and something to say"));
            }
            if pack.materials.len() > ROWS_MAX || too_long([&pack.id, &pack.title]) {
                wrong.push(format!(
                    "packs {at:?}: an id or a title has {NAME_MAX_CHARS} characters at the most"
                ));
            }
            let chars: usize = pack.lines.iter().map(|line| line.chars().count()).sum();
            if chars > TEXT_MAX_CHARS {
                wrong.push(format!("packs {at:?}: {chars} characters, and {TEXT_MAX_CHARS} at the most"));
            }
            for material in pack.materials.iter().filter(|material| !materials.contains(material.as_str())) {
                wrong.push(format!("packs {at:?}: there is no material {material:?}"));
            }
        }
        for material in self.materials.iter().filter(|material| material.title.trim().is_empty()) {
            wrong.push(format!("materials {:?}: it needs a title", material.id));
        }
        let long = |material: &&Material| too_long([&material.id, &material.title, &material.link]);
        for material in self.materials.iter().filter(long) {
            let most = NAME_MAX_CHARS;
            wrong.push(format!(
                "materials {:?}: id, title and link have {most} characters at the most",
                material.id
            ));
        }
        wrong
    }
}

fn too_long<const N: usize>(names: [&String; N]) -> bool {
    names.iter().any(|name| name.chars().count() > NAME_MAX_CHARS)
}

impl LostDeal {
    /// Whether any of its texts holds this name.
    pub fn names(&self, name: &str) -> bool {
        let texts = [
            &self.equipment,
            &self.brand,
            &self.need,
            &self.industry,
            &self.province,
            &self.point,
            &self.words,
            &self.answer,
        ];
        texts.into_iter().chain(&self.tags).any(|text| text.contains(name))
    }

    /// What is wrong with it; `None`: nothing.
    pub fn wrong(&self) -> Option<String> {
        let said = [("point", &self.point), ("words", &self.words), ("answer", &self.answer)];
        let empty = said.iter().find(|(_, said)| said.trim().is_empty());
        let long = said.iter().find(|(_, said)| said.chars().count() > TOLD_MAX_CHARS);
        match (empty, long) {
            (Some((name, _)), _) => Some(format!("`{name}` says nothing")),
            (_, Some((name, _))) => Some(format!("`{name}` has {TOLD_MAX_CHARS} characters at the most")),
            _ => None,
        }
    }
}

/// Packs, and materials: more than anybody reads.
const ROWS_MAX: usize = 100;
/// Characters of what a pack has to say.
const TEXT_MAX_CHARS: usize = 2_000;
/// Characters of a title, an id, a link.
const NAME_MAX_CHARS: usize = 200;
/// Characters of each of the three things that are told of a lost deal.
const TOLD_MAX_CHARS: usize = 500;
/// Lost deals that a company keeps; the oldest make room.
pub(crate) const LOST_DEALS_MAX: usize = 200;

const TEXT: &str = include_str!("shipped.toml");

#[expect(clippy::expect_used, reason = "the text is compiled in, and a test reads it")]
static SHIPPED: LazyLock<Playbook> = LazyLock::new(|| {
    let written = Written::from_toml(TEXT).expect("shipped.toml fits together");
    Playbook {
        packs: written.packs.into_iter().map(|pack| (pack.id.clone(), pack)).collect(),
        materials: written.materials.into_iter().map(|material| (material.id.clone(), material)).collect(),
        lost_deals: BTreeMap::new(),
    }
});

#[cfg(test)]
mod tests;
