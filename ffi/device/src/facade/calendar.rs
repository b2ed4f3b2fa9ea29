//! The calendar (C58, C59) and today's list. A day is a day in the company's zone.

use std::collections::{BTreeMap, BTreeSet};

use fieldbook_core::document::{Doc, Edit, NoClocks};
use fieldbook_core::ids::{DocId, DocKind, EntryId};
use fieldbook_core::model::{self, CalendarEntry, LeadModel, PlacedEntry, Todo, company_day, entries_on};
use fieldbook_core::replica::{DocEdits, Replica};
use fieldbook_core::time::Moment;
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Fieldbook;
use super::judge::zone;
use super::leads::customers;
use crate::error::Error;
use crate::records::{CalendarItem, DueTodo, Today};

impl Fieldbook {
    /// Plans a block (C59). It goes into the calendar of its day's month, and stays there wherever it is moved.
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
            Ok((id, vec![DocEdits::calendar_of(user, &month, vec![entry.plan(id)])]))
        })
    }

    /// Moves a block to another day, in whatever month. Of two phones that move it at once the later move counts until somebody chooses.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a day that is none.
    pub fn move_entry(&self, id: EntryId, day: &str) -> Result<(), Error> {
        let day: Date = day.trim().parse().map_err(|_| Error::Invalid("the day is not an ISO day".into()))?;
        self.edit_found(id, &CalendarEntry::move_to(id, day))
    }

    /// Writes the fields of `entry` that have a value, except the day.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a day: that is [`Fieldbook::move_entry`].
    pub fn edit_entry(&self, id: EntryId, entry: &CalendarEntry) -> Result<(), Error> {
        if entry.day.is_some() {
            return Err(Error::Invalid("an entry is moved by move_entry".into()));
        }
        self.edit_found(id, &entry.update("entries", id))
    }

    /// Marks a block done, or open again.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn complete_entry(&self, id: EntryId, done: bool) -> Result<(), Error> {
        let set = CalendarEntry { done: Some(done), ..CalendarEntry::default() };
        self.edit_found(id, &set.update("entries", id))
    }

    /// Removes a block.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove_entry(&self, id: EntryId) -> Result<(), Error> {
        self.edit_found(id, &[CalendarEntry::remove(id)])
    }

    /// The blocks of a month (`2026-02`) of this phone's user, by day and time.
    ///
    /// # Errors
    /// [`Error::Locked`]; [`Error::Invalid`] for a month that is none.
    pub fn calendar(&self, month: &str) -> Result<Vec<CalendarItem>, Error> {
        let first = format!("{}-01", month.trim()).parse::<Date>();
        let first = first.map_err(|_| Error::Invalid("a month is written 2026-02".into()))?;
        self.shared.read(|replica, now| {
            let (_, today) = today(replica, now)?;
            items(replica, today, |day| day.first_of_month() == first)
        })
    }

    /// What belongs into the 3×3 of importance and urgency today (C58): every item has its cell.
    ///
    /// # Errors
    /// [`Error::Locked`].
    pub fn board(&self) -> Result<Vec<CalendarItem>, Error> {
        self.shared.read(|replica, now| {
            let (_, today) = today(replica, now)?;
            let mut items = items(replica, today, |day| today <= day && day <= last_of_board(today))?;
            items.retain(|item| item.cell.is_some());
            Ok::<_, Error>(items)
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
            let entries = items(replica, day, |of| of == day)?;
            Ok::<_, Error>(Today { entries, todos: due(replica, &zone, day)?, day: text })
        })
    }

    fn edit_found(&self, id: EntryId, edits: &[Edit]) -> Result<(), Error> {
        self.shared.act(|replica, _| {
            let mut lots = Vec::new();
            for (calendar, doc) in calendars(replica)? {
                if CalendarEntry::read_one(&doc, "entries", id, &NoClocks).is_some() {
                    lots.push(DocEdits::of(calendar, edits.to_vec()));
                }
            }
            if lots.is_empty() { Err(Error::NotFound(id.to_string())) } else { Ok(((), lots)) }
        })
    }
}

/// Open todos of the leads with one that is due, oldest first. However long the backlog, what is due today is among them.
fn due(replica: &mut Replica, zone: &TimeZone, today: Date) -> Result<Vec<DueTodo>, Error> {
    let mut out = Vec::new();
    // The index speaks of days in UTC where a todo has a time: a day more on either side, looked at closely below.
    let eve = today.checked_sub(1.day()).unwrap_or(today).to_string();
    let morrow = today.checked_add(1.day()).unwrap_or(today).to_string();
    let mut leads: BTreeSet<DocId> = replica.due(&eve, &morrow, usize::MAX)?.into_iter().collect();
    leads.extend(replica.due("", &eve, OVERDUE_LEADS_MAX)?);
    for lead in leads {
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

/// The next day on which the user has an open block about a lead, by lead.
pub(super) fn days_ahead(replica: &mut Replica, today: Date) -> Result<BTreeMap<DocId, Date>, Error> {
    let calendars = calendars(replica)?;
    let ahead = entries_on(calendars.iter().map(|(id, doc)| (*id, doc)), |day| day >= today, &NoClocks);
    let mut days = BTreeMap::new();
    for PlacedEntry { entry, .. } in ahead.into_values() {
        let day = entry.day.as_deref().and_then(|day| day.trim().parse::<Date>().ok());
        let (Some(lead), Some(day), false) = (entry.lead, day, entry.done == Some(true)) else { continue };
        days.entry(lead).and_modify(|first: &mut Date| *first = day.min(*first)).or_insert(day);
    }
    Ok(days)
}

/// The company's zone and the day it is there.
pub(super) fn today(replica: &Replica, now: Moment) -> Result<(TimeZone, Date), Error> {
    let zone = zone(replica)?;
    let day = company_day(replica.now_ms(now), &zone)
        .ok_or_else(|| Error::System("the clock shows no day".into()))?;
    Ok((zone, day))
}

/// The entries on the wanted days, by day and time.
fn items(
    replica: &mut Replica,
    today: Date,
    wanted: impl Fn(Date) -> bool,
) -> Result<Vec<CalendarItem>, Error> {
    let calendars = calendars(replica)?;
    let entries = entries_on(calendars.iter().map(|(id, doc)| (*id, doc)), wanted, &NoClocks);
    let names = customers(replica, entries.values().filter_map(|placed| placed.entry.lead));
    let mut items: Vec<CalendarItem> = entries
        .into_iter()
        .map(|(id, PlacedEntry { entry, .. })| CalendarItem {
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

/// The user's calendars: an entry may be in any of them, whatever its day.
fn calendars(replica: &mut Replica) -> Result<Vec<(DocId, Doc)>, Error> {
    let user = replica.identity()?.user;
    let mut own = Vec::new();
    for id in replica.held_of(DocKind::Calendar)? {
        if replica.origin_of(id)?.is_some_and(|origin| origin.parent.as_slice() == user.0) {
            own.push((id, replica.load(id)?));
        }
    }
    Ok(own)
}

/// The last day that the 3×3 can hold: Sunday, or tomorrow.
fn last_of_board(today: Date) -> Date {
    let days = (7 - today.weekday().to_monday_one_offset()).max(1);
    today.checked_add(days.days()).unwrap_or(today)
}

/// Leads with an overdue todo that are looked at, the longest overdue first: more than a day's work by far.
const OVERDUE_LEADS_MAX: usize = 500;
