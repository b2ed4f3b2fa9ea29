//! 裁定: what the server alone decides about a lead, and the pinned clocks of the boots that wrote to it (O1).

use std::collections::{BTreeMap, BTreeSet};

use super::fields::{registers, root_registers};
use crate::document::{Clocks, Doc, Edit, LogEntry, NoClocks};
use crate::ids::{DocId, TeamId, UserId};

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulingModel {
    /// Registers.
    pub fields: RulingFields,
    /// 共同负责人 (O3).
    pub joint_owners: BTreeSet<UserId>,
    /// Boot → server time minus monotonic time, milliseconds.
    pub clocks: BTreeMap<u64, i64>,
    /// Recorded decisions, in order (O7). What they say belongs to the rules.
    pub decisions: Vec<LogEntry>,
}

impl RulingModel {
    /// Reads the document.
    pub fn read(doc: &Doc, clocks: &dyn Clocks) -> Self {
        let joint = doc.set("joint_owners", clocks).into_keys();
        Self {
            fields: RulingFields::read(doc, clocks),
            joint_owners: joint.filter_map(|user| user.parse().ok()).collect(),
            clocks: clocks_of(doc),
            decisions: doc.log("decisions", clocks),
        }
    }
}

/// The pinned clocks of a ruling, by which every document of its lead is read. The server alone writes them.
pub fn clocks_of(ruling: &Doc) -> BTreeMap<u64, i64> {
    let pinned =
        |(boot, offset): (String, String)| Some((u64::from_str_radix(&boot, 16).ok()?, offset.parse().ok()?));
    ruling.set("clocks", &NoClocks).into_iter().filter_map(pinned).collect()
}

/// The edit that pins a boot.
pub fn pin_clock_edit(boot: u64, offset_ms: i64) -> Edit {
    Edit::PutElement { set: "clocks".to_owned(), key: format!("{boot:x}"), body: offset_ms.to_string() }
}
