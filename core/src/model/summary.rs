//! The row that stands for a lead in lists, kept beside the documents so that a list of 10,000 leads loads none.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::advancement::AdvancementModel;
use super::lead::{LeadFields, Todo};
use super::ruling::{RulingFields, clocks_of};
use super::search;
use crate::document::{Clocks, Doc};
use crate::ids::{DocId, UserId};
use crate::time::BootClock;

/// One lead in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct LeadSummary {
    /// The lead.
    #[n(0)]
    pub id: DocId,
    /// 客户名称.
    #[n(1)]
    pub customer_name: String,
    /// 医院.
    #[n(2)]
    pub hospital: String,
    /// Pinyin initials of customer and hospital, in the commonest readings, with a blank between.
    #[n(3)]
    pub initials: String,
    /// 需求关键词.
    #[n(4)]
    pub need: String,
    /// 负责人; `None` until a ruling says.
    #[n(5)]
    pub owner: Option<UserId>,
    /// 已确认阶段.
    #[n(6)]
    pub stage: String,
    /// 下一步动作.
    #[n(7)]
    pub next_action: String,
    /// 预计成交时间.
    #[n(8)]
    pub expected_close: String,
    /// The newest change of the lead or its table, corrected, milliseconds since 1970 UTC; zero: none.
    #[n(9)]
    pub updated_ms: i64,
    /// 推进指数, 0 to 100 (C55).
    #[n(10)]
    pub index: u8,
    /// Conflicts that wait for a person, in the lead and its table.
    #[n(11)]
    pub conflicts: u32,
    /// Those of them that are in the table.
    #[n(12)]
    pub table_conflicts: u32,
    /// Deleted by the rep.
    #[n(13)]
    pub deleted: bool,
    /// Mandatory fields not filled in (C3, C11).
    #[n(14)]
    pub missing: Vec<String>,
    /// Whether the lead itself was taken in; its ruling or table may have come first.
    #[n(15)]
    pub held: bool,
    /// What the ruling says of the boots that wrote before any handshake (O1): by it the times of this row are read.
    #[n(17)]
    #[cbor(default)]
    #[serde(default)]
    pub clocks: BTreeMap<u64, BootClock>,
    /// Who deleted it and when; `None` while it is not deleted.
    #[n(18)]
    pub deletion: Option<Deletion>,
    /// The newest change of the table, corrected, milliseconds since 1970 UTC.
    #[n(19)]
    pub table_updated_ms: Option<i64>,
    /// Every day (ISO) on which an open todo is due; of a todo with a time the day in UTC.
    #[n(20)]
    #[cbor(default)]
    #[serde(default)]
    pub due_days: BTreeSet<String>,
    /// 共同负责人 (O3).
    #[n(21)]
    #[cbor(default)]
    #[serde(default)]
    pub joint_owners: BTreeSet<UserId>,
}

/// How a lead came to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Deletion {
    /// Who deleted it.
    #[n(0)]
    pub by: UserId,
    /// When, corrected, milliseconds since 1970 UTC.
    #[n(1)]
    pub at_ms: i64,
    /// The lead holds changes that whoever deleted it did not know: made at the same time elsewhere, or afterwards.
    #[n(2)]
    pub overlooked: bool,
}

impl LeadSummary {
    /// The row of a lead of which nothing is held yet.
    pub fn of(id: DocId) -> Self {
        Self { id, ..Self::default() }
    }

    /// The row of a lead from all that is held of it, every time corrected by the ruling's clocks.
    pub fn read(id: DocId, lead: &Doc, ruling: Option<&Doc>, advancement: Option<&Doc>) -> Self {
        let mut row = Self::of(id);
        if let Some(ruling) = ruling {
            row.take_ruling(ruling);
        }
        row.take_lead(lead);
        if let Some(advancement) = advancement {
            row.take_advancement(advancement);
        }
        row
    }

    /// Takes in what the lead says now.
    pub fn take_lead(&mut self, lead: &Doc) {
        let clocks = std::mem::take(&mut self.clocks);
        let fields = LeadFields::read(lead, &clocks);
        self.held = true;
        self.missing = fields.missing().into_iter().map(str::to_owned).collect();
        self.customer_name = fields.customer_name.unwrap_or_default();
        self.hospital = fields.hospital.unwrap_or_default();
        let initials =
            format!("{} {}", search::initials(&self.customer_name), search::initials(&self.hospital));
        self.initials = initials.trim().to_owned();
        self.need = fields.need.unwrap_or_default();
        self.next_action = fields.next_action.unwrap_or_default();
        self.expected_close = fields.expected_close.unwrap_or_default();
        self.deleted = fields.deleted.unwrap_or(false);
        let written = self.deleted.then(|| lead.register("deleted", &clocks)).flatten();
        self.deletion = written.map(|written| Deletion {
            by: written.user,
            at_ms: written.at.at_ms,
            overlooked: lead.is_beyond_writers_of("deleted"),
        });
        let todos = Todo::read_all(lead, "todos", &clocks).into_values();
        self.due_days = todos.filter(|_| !self.deleted).filter_map(|todo| todo.due_day_utc()).collect();
        self.conflicts = self.table_conflicts + lead.conflicts(&clocks).len() as u32;
        self.touch(lead, &clocks);
        self.clocks = clocks;
    }

    /// Takes in what the ruling says now.
    pub fn take_ruling(&mut self, ruling: &Doc) {
        self.clocks = clocks_of(ruling);
        let fields = RulingFields::read(ruling, &self.clocks);
        self.owner = fields.owner;
        self.stage = fields.stage.unwrap_or_default();
        let joint = ruling.set("joint_owners", &self.clocks).into_keys();
        self.joint_owners = joint.filter_map(|user| user.parse().ok()).collect();
    }

    /// Takes in what the advancement table says now.
    pub fn take_advancement(&mut self, advancement: &Doc) {
        let clocks = std::mem::take(&mut self.clocks);
        let conflicts = advancement.conflicts(&clocks).len() as u32;
        self.conflicts = self.conflicts - self.table_conflicts + conflicts;
        self.table_conflicts = conflicts;
        self.index = AdvancementModel::read(advancement, &clocks).index;
        self.table_updated_ms = advancement.updated(&clocks).map(|at| at.at_ms);
        self.touch(advancement, &clocks);
        self.clocks = clocks;
    }

    /// Whether the row belongs into a list.
    pub fn listed(&self) -> bool {
        self.held
    }

    /// Whether somebody worked on the lead who did not know of its deletion, or did afterwards. The table is a document of its own: of it
    /// only the times are compared.
    pub fn edited_since_deleted(&self) -> bool {
        self.deletion.as_ref().is_some_and(|deletion| {
            deletion.overlooked || self.table_updated_ms.is_some_and(|at_ms| at_ms > deletion.at_ms)
        })
    }

    /// Whether the row answers a search by name, hospital or pinyin.
    pub fn matches(&self, query: &str) -> bool {
        search::matches(query, &self.customer_name) || search::matches(query, &self.hospital)
    }

    fn touch(&mut self, doc: &Doc, clocks: &dyn Clocks) {
        self.updated_ms = self.updated_ms.max(doc.updated(clocks).map_or(0, |at| at.at_ms));
    }
}
