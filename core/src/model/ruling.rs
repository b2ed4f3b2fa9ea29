//! 裁定: what the server alone decides about a lead, and the pinned clocks of the boots that wrote to it (O1).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::decision::{Decision, LoggedDecision};
use super::fields::{registers, root_registers};
use crate::document::{Clocks, Doc, Edit, NoClocks};
use crate::ids::{DocId, TeamId, UserId};
use crate::time::BootClock;

registers! {
    /// The registers of a ruling.
    pub struct RulingFields {
        /// 负责人.
        owner: UserId,
        /// 创建人.
        creator: UserId,
        /// 团队.
        team: TeamId,
        /// 客户档案.
        account: DocId,
        /// 首次来源, written once (C10).
        first_source: String,
        /// When the server first received the lead, milliseconds since 1970 UTC.
        received_at_ms: i64,
        /// 已确认阶段.
        stage: String,
        /// The lead that this one duplicates (O12).
        same_as: DocId,
    }
}
root_registers!(RulingFields);

/// A ruling, read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulingModel {
    /// Registers.
    pub fields: RulingFields,
    /// 共同负责人 (O3).
    pub joint_owners: BTreeSet<UserId>,
    /// What the server learned of boots that wrote to the lead before their first handshake.
    pub clocks: BTreeMap<u64, BootClock>,
    /// Recorded decisions, in order (O7).
    pub decisions: Vec<LoggedDecision>,
}

impl RulingModel {
    /// Reads the document.
    pub fn read(doc: &Doc, clocks: &dyn Clocks) -> Self {
        let joint = doc.set("joint_owners", clocks).into_keys();
        Self {
            fields: RulingFields::read(doc, clocks),
            joint_owners: joint.filter_map(|user| user.parse().ok()).collect(),
            clocks: clocks_of(doc),
            decisions: doc.log("decisions", clocks).iter().map(Decision::read).collect(),
        }
    }
}

/// The clocks of a ruling, by which every document of its lead is read. The server alone writes them.
pub fn clocks_of(ruling: &Doc) -> BTreeMap<u64, BootClock> {
    let read = |(boot, body): (String, String)| {
        let body: ClockBody = serde_json::from_str(&body).ok()?;
        let clock = match body {
            ClockBody { offset_ms: Some(offset_ms), .. } => BootClock::Pinned(offset_ms),
            ClockBody { until_ms: Some(until_ms), .. } => BootClock::Until(until_ms),
            _ => return None,
        };
        Some((u64::from_str_radix(&boot, 16).ok()?, clock))
    };
    ruling.set("clocks", &NoClocks).into_iter().filter_map(read).collect()
}

/// The edits that tell `ruling` of these boots; none for what it knows as well or better.
pub fn clock_edits(ruling: &Doc, boots: &BTreeMap<u64, BootClock>) -> Vec<Edit> {
    let known = clocks_of(ruling);
    let news = boots.iter().filter_map(|(boot, clock)| {
        let best = known.get(boot).map_or(*clock, |known| known.better(*clock));
        (known.get(boot) != Some(&best)).then(|| clock_edit(*boot, best))
    });
    news.collect()
}

/// The edit that tells of one boot.
pub fn clock_edit(boot: u64, clock: BootClock) -> Edit {
    let body = match clock {
        BootClock::Pinned(offset_ms) => ClockBody { offset_ms: Some(offset_ms), until_ms: None },
        BootClock::Until(until_ms) => ClockBody { offset_ms: None, until_ms: Some(until_ms) },
    };
    let body = serde_json::to_string(&body).unwrap_or_default();
    Edit::PutElement { set: "clocks".to_owned(), key: format!("{boot:x}"), body }
}

/// An element of the set `clocks`.
#[derive(Serialize, Deserialize)]
struct ClockBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_ms: Option<i64>,
}
