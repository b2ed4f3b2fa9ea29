//! The calendar (C58, C59) and today's list. A day is a day in the company's zone.

use std::collections::{BTreeMap, BTreeSet};

use fieldbook_core::document::NoClocks;
use fieldbook_core::ids::{DocId, EntryId, UserId};
use fieldbook_core::model::{
    self, CalendarEntry, CalendarModel, LeadModel, Todo, company_day, fold_entries, month_of,
};
use fieldbook_core::replica::{DocEdits, Replica, ReplicaError};
use fieldbook_core::time::Moment;
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Fieldbook;
use super::leads::customers;
use crate::error::Error;
use crate::records::{CalendarItem, DueTodo, Today};

impl Fieldbook {
    /// Plans a block (C59). It goes into the calendar of its day's month.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a day or a purpose.
    pub fn plan_entry(&self, entry: &CalendarEntry) -> Result<EntryId, Error> {
        let month = entry.month().ok_or_else(|| Error::Invalid("an entry needs an ISO day".into()))?;
        if entry.purpose.as_deref().is_none_or(|purpose| purpose.trim().is_empty()) {
            return Err(Error::Invalid("an entry needs a purpose".into()));
        }
        self.shared.act(|replica, act| {
            let (user, id) = (replica.identity()?.user, act.fresh_id());
            let fresh = CalendarEntry { moved_to: None, ..entry.clone() };
            Ok((id, vec![DocEdits::calendar_of(user, &month, vec![fresh.plan(id)])]))
        })
    }

    /// Moves a block to another day; into another month under the same id, where the old month keeps where it went.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a day that is none.
    pub fn move_entry(&self, id: EntryId, day: &str) -> Result<(), Error> {
        let day: Date = day.trim().parse().map_err(|_| Error::Invalid("the day is not an ISO day".into()))?;
        self.shared.act(|replica, _| {
            let user = replica.identity()?.user;
            let (month, entry) = find(replica, user, id)?;
            let (here, there) = entry.move_to(id, day);
            let mut lots = vec![DocEdits::calendar_of(user, &month, here)];
            if !there.is_empty() {
                lots.push(DocEdits::calendar_of(user, &month_of(day), there));
            }
            Ok(((), lots))
        })
    }

    /// Writes the fields of `entry` that have a value, except the day.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a day: that is [`Fieldbook::move_entry`].
    pub fn edit_entry(&self, id: EntryId, entry: &CalendarEntry) -> Result<(), Error> {
        if entry.day.is_some() || entry.moved_to.is_some() {
            return Err(Error::Invalid("an entry is moved by move_entry".into()));
        }
        self.edit_found(id, entry.update("entries", id))
    }

    /// Marks a block done, or open again.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn complete_entry(&self, id: EntryId, done: bool) -> Result<(), Error> {
        let set = CalendarEntry { done: Some(done), ..CalendarEntry::default() };
        self.edit_found(id, set.update("entries", id))
    }

    /// Removes a block.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove_entry(&self, id: EntryId) -> Result<(), Error> {
        self.edit_found(id, vec![CalendarEntry::remove(id)])
    }

    /// The blocks of a month (`2026-02`) of this phone's user, by day and time.
    ///
    /// # Errors
    /// [`Error::Locked`]; [`Error::Invalid`] for a month that is none.
    pub fn calendar(&self, month: &str) -> Result<Vec<CalendarItem>, Error> {
        let first = format!("{}-01", month.trim()).parse::<Date>();
        let first = first.map_err(|_| Error::Invalid("a month is written 2026-02".into()))?;
        let wanted = month_of(first);
        self.shared.read(|replica, now| {
            let (_, today) = today(replica, now)?;
            items(replica, around(first), today, |entry| entry.month().as_deref() == Some(wanted.as_str()))
        })
    }

    /// What belongs into the 3×3 of importance and urgency today (C58): every item has its cell.
    ///
    /// # Errors
    /// [`Error::Locked`].
    pub fn board(&self) -> Result<Vec<CalendarItem>, Error> {
        self.shared.read(|replica, now| {
            let (_, today) = today(replica, now)?;
            items(replica, around(today), today, |entry| model::place(entry, today).is_some())
        })
    }

    /// Today's blocks and every open todo that is due, of the leads on this phone.
    ///
    /// # Errors
    /// [`Error::Locked`].
    pub fn today(&self) -> Result<Today, Error> {
        self.shared.read(|replica, now| {
            let (zone, day) = today(replica, now)?;
            let text = day.to_string();
            let entries = items(replica, around(day), day, |entry| {
                entry.day.as_deref().map(str::trim) == Some(text.as_str())
            })?;
            Ok::<_, Error>(Today { entries, todos: due(replica, &zone, day)?, day: text })
        })
    }

    fn edit_found(&self, id: EntryId, edits: Vec<fieldbook_core::document::Edit>) -> Result<(), Error> {
        self.shared.act(|replica, _| {
            let user = replica.identity()?.user;
            let (month, _) = find(replica, user, id)?;
            Ok(((), vec![DocEdits::calendar_of(user, &month, edits)]))
        })
    }
}

/// Open todos of the leads with one that is due, oldest first.
fn due(replica: &mut Replica, zone: &TimeZone, today: Date) -> Result<Vec<DueTodo>, Error> {
    let mut out = Vec::new();
    // The index speaks of days in UTC where a todo has a time: one day more, looked at closely below.
    for lead in replica.due(&today.checked_add(1.day()).unwrap_or(today).to_string(), DUE_LEADS_MAX)? {
        let doc = replica.load(lead)?;
        let customer_name = replica.summary(lead)?.customer_name;
        for (id, todo) in LeadModel::read(&doc, &NoClocks).todos {
            let Some(day) = due_day(&todo, zone).filter(|day| *day <= today && todo.done != Some(true))
            else {
                continue;
            };
            out.push((
                day,
                DueTodo { lead, customer_name: customer_name.clone(), id, todo, overdue: day < today },
            ));
        }
    }
    out.sort_by(|(a_day, a), (b_day, b)| (a_day, a.lead, a.id).cmp(&(b_day, b.lead, b.id)));
    Ok(out.into_iter().map(|(_, todo)| todo).collect())
}

fn due_day(todo: &Todo, zone: &TimeZone) -> Option<Date> {
    let due = todo.due.as_deref()?.trim();
    due.parse().ok().or_else(|| company_day(due.parse().ok()?, zone))
}

/// The company's zone and the day it is there.
fn today(replica: &Replica, now: Moment) -> Result<(TimeZone, Date), Error> {
    let zone = TimeZone::get(&replica.identity()?.zone).unwrap_or(TimeZone::UTC);
    let day = company_day(replica.now_ms(now), &zone)
        .ok_or_else(|| Error::System("the clock shows no day".into()))?;
    Ok((zone, day))
}

/// The entries of some months that are wanted, by day and time. Entries that moved are shown where they went.
fn items(
    replica: &mut Replica,
    months: BTreeSet<String>,
    today: Date,
    wanted: impl Fn(&CalendarEntry) -> bool,
) -> Result<Vec<CalendarItem>, Error> {
    let user = replica.identity()?.user;
    let mut models = Vec::new();
    for month in months {
        models.extend(calendar(replica, user, &month)?);
    }
    let entries: BTreeMap<EntryId, CalendarEntry> =
        fold_entries(&models).into_iter().filter(|(_, entry)| wanted(entry)).collect();
    let names = customers(replica, entries.values().filter_map(|entry| entry.lead));
    let mut items: Vec<CalendarItem> = entries
        .into_iter()
        .map(|(id, entry)| CalendarItem {
            id,
            customer_name: entry.lead.and_then(|lead| names.get(&lead).cloned()).unwrap_or_default(),
            cell: model::place(&entry, today),
            entry,
        })
        .collect();
    items.sort_by(|a, b| {
        let key = |item: &CalendarItem| (item.entry.day.clone(), item.entry.start.clone(), item.id);
        key(a).cmp(&key(b))
    });
    Ok(items)
}

/// Where an entry of this user is: its month and what it says. Every calendar that the phone holds is looked at, the newest first.
fn find(replica: &mut Replica, user: UserId, id: EntryId) -> Result<(String, CalendarEntry), Error> {
    for doc in replica.held_of(fieldbook_core::ids::DocKind::Calendar)? {
        let Some(origin) = replica.origin_of(doc)?.filter(|origin| origin.parent.as_slice() == user.0) else {
            continue;
        };
        let model = CalendarModel::read(&replica.load(doc)?, &NoClocks);
        if let Some(entry) = model.entries.get(&id).filter(|entry| entry.moved_to.is_none()) {
            return Ok((origin.key, entry.clone()));
        }
    }
    Err(Error::NotFound(id.to_string()))
}

fn calendar(replica: &mut Replica, user: UserId, month: &str) -> Result<Option<CalendarModel>, Error> {
    match replica.load(DocId::calendar_of(user, month)) {
        Ok(doc) => Ok(Some(CalendarModel::read(&doc, &NoClocks))),
        Err(ReplicaError::Unknown(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

/// The month of a day and those beside it: the week goes into the next one, and an entry that two phones moved to different months is shown
/// once when these are near.
fn around(day: Date) -> BTreeSet<String> {
    let first = day.first_of_month();
    (-MONTHS_BESIDE..=MONTHS_BESIDE)
        .filter_map(|n| first.checked_add(n.months()).ok())
        .map(month_of)
        .collect()
}

const MONTHS_BESIDE: i32 = 2;
/// Leads with a due todo that are looked at: more than a day's work by far.
const DUE_LEADS_MAX: usize = 500;
