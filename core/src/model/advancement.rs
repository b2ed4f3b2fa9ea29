//! 采购推进表: the advancement table of a lead and its index (C55).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::document::{Clocks, Doc, Edit};

/// The three preset rows (C55): id, and the question in Chinese and English.
pub const PRESET_ROWS: [(&str, &str, &str); 3] = [
    ("decision_maker", "决策人是否已明确", "Is the decision-maker known?"),
    ("budget_approval", "预算审批流程走完几成", "How far is the budget through approval?"),
    ("next_meeting", "下次关键会议时间", "When is the next key meeting?"),
];

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvancementRow {
    /// Row id.
    pub id: String,
    /// The question, in Chinese; empty for a row that policy added (C56), which knows its own.
    pub question: String,
    /// 已确认 or 待确认.
    pub confirmed: bool,
    /// What was found out.
    pub answer: String,
    /// Two people ticked or answered differently at once; both are kept (C55).
    pub conflict: bool,
}

/// The table, read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvancementModel {
    /// The preset rows in their order, then the others by id.
    pub rows: Vec<AdvancementRow>,
    /// 推进指数, 0 to 100: the share of the preset rows that are confirmed, rounded down (0, 33, 66, 100). The
    /// source gives only "100 when all are confirmed"; rounding down keeps 100 for that alone.
    pub index: u8,
}

impl AdvancementModel {
    /// Reads the document.
    pub fn read(doc: &Doc, clocks: &dyn Clocks) -> Self {
        let ticks = doc.registers("ticks", clocks);
        let answers = doc.registers("answers", clocks);
        let conflicts: BTreeSet<String> =
            doc.conflicts(clocks).into_iter().filter_map(|conflict| conflict.path.key).collect();
        let row = |id: &str, question: &str| AdvancementRow {
            id: id.to_owned(),
            question: question.to_owned(),
            confirmed: ticks.get(id).and_then(|tick| tick.as_bool()).unwrap_or(false),
            answer: answers.get(id).map(ToString::to_string).unwrap_or_default(),
            conflict: conflicts.contains(id),
        };
        let preset = |id: &str| PRESET_ROWS.iter().any(|(known, ..)| *known == id);
        let others: BTreeSet<&String> =
            ticks.keys().chain(answers.keys()).chain(&conflicts).filter(|id| !preset(id)).collect();
        let mut rows: Vec<_> = PRESET_ROWS.iter().map(|(id, question, _)| row(id, question)).collect();
        let confirmed = rows.iter().filter(|row| row.confirmed).count();
        rows.extend(others.into_iter().map(|id| row(id, "")));
        Self { rows, index: (confirmed * 100 / PRESET_ROWS.len()) as u8 }
    }
}

/// The edit that ticks or unticks a row.
pub fn tick_edit(row: &str, confirmed: bool) -> Edit {
    Edit::SetIn { field: "ticks".to_owned(), key: row.to_owned(), value: confirmed.into() }
}

/// The edit that answers a row.
pub fn answer_edit(row: &str, answer: &str) -> Edit {
    Edit::SetIn { field: "answers".to_owned(), key: row.to_owned(), value: answer.into() }
}
