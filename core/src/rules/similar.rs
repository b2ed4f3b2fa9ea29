//! 类似丢单 (C94): deals of the playbook that were lost and are like this lead, the most alike first, each with what it has in common.

use std::collections::BTreeSet;

use super::facts::Facts;
use super::known::{KnownOf, budget_fen};
use super::verdict::{Unknown, Verdict};
use super::words;
use crate::playbook::{LostDeal, Playbook};

/// A lost deal that is like a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Similar {
    /// The deal.
    pub deal: LostDeal,
    /// What they have in common: 设备 CT, 价格异议.
    pub because: Vec<String>,
}

/// Lost deals like this lead, three at the most.
pub fn find_similar(facts: &Facts<'_>, playbook: &Playbook) -> Verdict<Vec<Similar>> {
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: similar(facts, playbook).into() }
}

fn similar(facts: &Facts<'_>, playbook: &Playbook) -> Result<Vec<Similar>, Unknown> {
    let (_, policy) = facts.policy()?;
    let known = KnownOf::new(facts, policy);
    let fields = &facts.lead.fields;
    let own = Traits {
        equipment: known.filled(&fields.equipment).unwrap_or_default(),
        brand: known.filled(&fields.brand).unwrap_or_default(),
        need: known.filled(&fields.need).unwrap_or_default(),
        industry: known.filled(&fields.industry).unwrap_or_default(),
        budget_fen: budget_fen(fields),
        tags: match words::assess_tags(facts).says {
            super::Says::So(tags) => tags.into_keys().collect(),
            super::Says::Undetermined(_) => BTreeSet::new(),
        },
    };
    let mut found: Vec<(u32, Similar)> = playbook
        .lost_deals
        .values()
        .filter_map(|deal| {
            let (weight, because) = own.shared(deal);
            (weight >= LIKE).then(|| (weight, Similar { deal: deal.clone(), because }))
        })
        .collect();
    // Of equals the newer, then the smaller id: the same on every phone.
    found.sort_by(|(a, x), (b, y)| {
        b.cmp(a).then_with(|| y.deal.day.cmp(&x.deal.day)).then_with(|| x.deal.id.cmp(&y.deal.id))
    });
    Ok(found.into_iter().take(SIMILAR_MAX).map(|(_, similar)| similar).collect())
}

/// What of a lead is compared.
struct Traits<'a> {
    equipment: &'a str,
    brand: &'a str,
    need: &'a str,
    industry: &'a str,
    budget_fen: Option<i64>,
    tags: BTreeSet<String>,
}

impl Traits<'_> {
    /// How much they have in common, and what.
    fn shared(&self, deal: &LostDeal) -> (u32, Vec<String>) {
        let (mut weight, mut because) = (0, Vec::new());
        // CT and 64排CT are the same equipment, named more or less closely.
        let alike = |own: &str, other: &str| {
            let (own, other) = (own.trim().to_lowercase(), other.trim().to_lowercase());
            !own.is_empty() && !other.is_empty() && (own.contains(&other) || other.contains(&own))
        };
        for (points, name, own, other) in [
            (3, "设备", self.equipment, &deal.equipment),
            (2, "竞品", self.brand, &deal.brand),
            (1, "需求", self.need, &deal.need),
            (1, "行业", self.industry, &deal.industry),
        ] {
            if alike(own, other) {
                weight += points;
                because.push(format!("{name} {other}"));
            }
        }
        if let (Some(own), Some(other)) = (self.budget_fen, deal.budget_fen)
            && own <= other.saturating_mul(2)
            && other <= own.saturating_mul(2)
        {
            weight += 1;
            because.push("预算相近".to_owned());
        }
        for tag in self.tags.iter().filter(|tag| deal.tags.contains(*tag)) {
            weight += 2;
            because.push(tag.clone());
        }
        (weight, because)
    }
}

/// Less in common is chance: the same equipment, or two things.
const LIKE: u32 = 3;
/// What somebody reads before a talk.
const SIMILAR_MAX: usize = 3;
