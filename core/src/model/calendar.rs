//! 销售日历: the entries of one user and month, and their place in the 3×3 of importance and urgency (C58, C59).

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::fields::{record_registers, registers, remove_record};
use crate::document::{Clocks, Doc, Edit};
use crate::ids::{DocId, EntryId};

registers! {
    /// 日程: one block of the calendar (C59).
    pub struct CalendarEntry {
        /// The lead that it is about. Its name is looked up, never copied.
        lead: DocId,
        /// The day, ISO.
        day: String,
        /// 开始时间, `HH:MM`.
        start: String,
        /// 结束时间, `HH:MM`.
        end: String,
        /// 联系目的: what exactly is to be found out or settled.
        purpose: String,
        /// 必备材料.
        materials: String,
        /// 预期结果.
        expected_result: String,
        /// A类客户, 培育中 or B类客户.
        importance: String,
        /// 已完成.
        done: bool,
        /// The month (`2026-03`) that the entry moved to, under the same id.
        moved_to: String,
    }
}
record_registers!(CalendarEntry);

/// 重要性: the rows of the 3×3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Importance {
    /// A类客户.
    A,
    /// 培育中.
    Nurturing,
    /// B类客户.
    B,
}

/// 紧急性: the columns of the 3×3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// 今天.
    Today,
    /// 明天.
    Tomorrow,
    /// 本周.
    ThisWeek,
}

/// One cell of the 3×3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// Row.
    pub importance: Importance,
    /// Column.
    pub urgency: Urgency,
}

/// A calendar of one month, read. Entries that moved away are there too; [`fold_entries`] leaves them out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CalendarModel {
    /// By id.
    pub entries: BTreeMap<EntryId, CalendarEntry>,
}

impl CalendarModel {
    /// Reads the document.
    pub fn read(doc: &Doc, clocks: &dyn Clocks) -> Self {
        Self { entries: CalendarEntry::read_all(doc, "entries", clocks) }
    }
}

impl CalendarEntry {
    /// The edit that plans the entry in the calendar of its month.
    pub fn plan(&self, id: EntryId) -> Edit {
        self.add("entries", id)
    }

    /// The edit that removes an entry.
    pub fn remove(id: EntryId) -> Edit {
        remove_record("entries", id)
    }

    /// The day, when it is one.
    pub fn date(&self) -> Option<Date> {
        self.day.as_deref()?.parse().ok()
    }

    /// The month whose calendar holds the entry, `2026-02`.
    pub fn month(&self) -> Option<String> {
        self.date().map(month_of)
    }

    /// Moves the entry to `day`. The first edits are for the calendar that holds it, the second for that of the
    /// new month under the same id; they are empty when the month stays the same.
    pub fn move_to(&self, id: EntryId, day: Date) -> (Vec<Edit>, Vec<Edit>) {
        let moved = Self { day: Some(day.to_string()), moved_to: None, ..self.clone() };
        if self.month().as_deref() == Some(month_of(day).as_str()) {
            let set = Self { day: moved.day, ..Self::default() };
            return (set.update("entries", id), Vec::new());
        }
        let left = Self { moved_to: Some(month_of(day)), ..Self::default() };
        (left.update("entries", id), vec![moved.plan(id)])
    }

    /// 重要性; `None` when it is none of the three.
    pub fn rank(&self) -> Option<Importance> {
        match self.importance.as_deref()?.trim() {
            "A类客户" => Some(Importance::A),
            "培育中" => Some(Importance::Nurturing),
            "B类客户" => Some(Importance::B),
            _ => None,
        }
    }
}

/// The entries of several months as one: an entry that moved is shown where it went. Should two phones have moved it to
/// two months at once, the later day counts.
pub fn fold_entries<'a>(
    months: impl IntoIterator<Item = &'a CalendarModel>,
) -> BTreeMap<EntryId, CalendarEntry> {
    let mut folded: BTreeMap<EntryId, CalendarEntry> = BTreeMap::new();
    for (id, entry) in months.into_iter().flat_map(|month| &month.entries) {
        if entry.moved_to.is_some() {
            continue;
        }
        match folded.get(id) {
            Some(known) if known.day >= entry.day => {}
            _ => drop(folded.insert(*id, entry.clone())),
        }
    }
    folded
}

/// The cell of an entry on the day `today`: 本周 is what is left of the week (Monday to Sunday) after tomorrow; past
/// days, later weeks, done entries and entries without importance have no cell.
pub fn place(entry: &CalendarEntry, today: Date) -> Option<Cell> {
    if entry.done == Some(true) || entry.moved_to.is_some() {
        return None;
    }
    let (day, importance) = (entry.date()?, entry.rank()?);
    let sunday = today.checked_add((7 - today.weekday().to_monday_one_offset()).days()).ok()?;
    let urgency = if day == today {
        Urgency::Today
    } else if Some(day) == today.tomorrow().ok() {
        Urgency::Tomorrow
    } else if day > today && day <= sunday {
        Urgency::ThisWeek
    } else {
        return None;
    };
    Some(Cell { importance, urgency })
}

/// The day that it is in the company's zone (C58).
pub fn company_day(now_ms: i64, zone: &TimeZone) -> Option<Date> {
    Some(Timestamp::from_millisecond(now_ms).ok()?.to_zoned(zone.clone()).date())
}

/// The month of a day as calendars are named, `2026-02`.
pub fn month_of(day: Date) -> String {
    format!("{:04}-{:02}", day.year(), day.month())
}
