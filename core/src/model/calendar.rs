//! 销售日历: the entries of one user by the month in which they were planned, and their place in the 3×3 of importance and urgency (C58,
//! C59). An entry that moves to another month stays in the document that it was planned in: what is written about it at the same time on
//! another phone meets it there, whatever the day.

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

/// A calendar of one month, read: the entries that were planned in it, on whatever day they are now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CalendarModel {
    /// By id.
    pub entries: BTreeMap<EntryId, CalendarEntry>,
}

/// An entry and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedEntry {
    /// The calendar that holds it.
    pub calendar: DocId,
    /// The entry.
    pub entry: CalendarEntry,
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
        self.day.as_deref()?.trim().parse().ok()
    }

    /// The month of its day, `2026-02`: a fresh entry goes into this calendar.
    pub fn month(&self) -> Option<String> {
        self.date().map(month_of)
    }

    /// The edit that moves an entry to `day`, for the calendar that holds it.
    pub fn move_to(id: EntryId, day: Date) -> Vec<Edit> {
        Self { day: Some(day.to_string()), ..Self::default() }.update("entries", id)
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

/// The entries of one user on the wanted days, over all of the user's calendars: only the days are read of the others. Should several
/// calendars hold one id, that of the lowest document counts.
pub fn entries_on<'a>(
    calendars: impl IntoIterator<Item = (DocId, &'a Doc)>,
    wanted: impl Fn(Date) -> bool,
    clocks: &dyn Clocks,
) -> BTreeMap<EntryId, PlacedEntry> {
    let mut found: BTreeMap<EntryId, PlacedEntry> = BTreeMap::new();
    for (calendar, doc) in calendars {
        for (id, day) in doc.register_of_records("entries", "day", clocks) {
            let is_wanted = day.as_text().and_then(|day| day.trim().parse().ok()).is_some_and(&wanted);
            if !is_wanted || found.get(&id).is_some_and(|known| known.calendar < calendar) {
                continue;
            }
            if let Some(entry) = CalendarEntry::read_one(doc, "entries", id, clocks) {
                found.insert(id, PlacedEntry { calendar, entry });
            }
        }
    }
    found
}

/// The cell of an entry on the day `today`: 本周 is what is left of the week (Monday to Sunday) after tomorrow; past
/// days, later weeks, done entries and entries without importance have no cell.
pub fn place(entry: &CalendarEntry, today: Date) -> Option<Cell> {
    if entry.done == Some(true) {
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
