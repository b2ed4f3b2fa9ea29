//! Lists and the sync status: what a screen shows without loading a document.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::rows::{UndoRow, decode};
use super::{Replica, ReplicaError, keys};
use crate::document::Edit;
use crate::ids::DocId;
use crate::limits;
use crate::model::LeadSummary;
use crate::store::{Direction, Range, after_prefix};
use crate::time::Moment;

/// Which leads to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListQuery {
    /// Part of a customer's or hospital's name, or pinyin initials; empty: all.
    pub text: String,
    /// How many at the most.
    pub limit: usize,
    /// How many matches to pass over.
    pub offset: usize,
    /// Only those that were deleted, which are not listed otherwise.
    pub deleted: bool,
}

/// What is not yet safe, and when the server was last heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Changes that are not yet durable on the server.
    pub unanswered: u64,
    /// Changes that the server did not merge.
    pub kept: usize,
    /// Server time of the last contact, milliseconds since 1970 UTC; 0: never.
    pub last_contact_ms: i64,
    /// How far the device's clock was off at the last contact, milliseconds.
    pub clock_skew_ms: i64,
    /// Position up to which everything is stored.
    pub cursor: u64,
    /// Whether reads are locked for want of contact.
    pub locked: bool,
    /// Whether everything that the phone may hold has come.
    pub complete: bool,
}

impl Replica {
    /// Leads by their last change, newest first, from their summary rows.
    ///
    /// # Errors
    /// [`ReplicaError::Locked`] after too long without contact.
    pub fn list(&self, query: &ListQuery, now: Moment) -> Result<Vec<LeadSummary>, ReplicaError> {
        self.check_unlocked(now)?;
        let wanted = query.text.trim();
        let limit = query.limit.clamp(1, limits::SCAN_MAX_ROWS);
        let (mut passed_over, mut out) = (0, Vec::new());
        let mut range = Range::prefix(keys::RECENT);
        // Without a text the page is as long as the answer. Deleted leads are few.
        let page_rows =
            if wanted.is_empty() && !query.deleted { limit + query.offset } else { limits::SCAN_MAX_ROWS };
        loop {
            let page = self.store.scan(&range, Direction::Forward, page_rows)?;
            let Some((last, _)) = page.last() else { return Ok(out) };
            range = Range::prefix_after(keys::RECENT, last);
            let leads: Vec<DocId> = page.iter().filter_map(|(key, _)| keys::parse_recent(key)).collect();
            for row in self.summaries(&leads)? {
                if row.deleted != query.deleted || !(wanted.is_empty() || row.matches(wanted)) {
                    continue;
                }
                if passed_over < query.offset {
                    passed_over += 1;
                    continue;
                }
                out.push(row);
                if out.len() == limit {
                    return Ok(out);
                }
            }
        }
    }

    /// Leads with an open todo that is due on one of these days (ISO, both included), the longest due first, at most `limit`. A todo with a
    /// time counts on its day in UTC.
    ///
    /// # Errors
    /// [`ReplicaError::Store`].
    pub fn due(&self, first: &str, last: &str, limit: usize) -> Result<Vec<DocId>, ReplicaError> {
        let day = |day: &str| [keys::DUE, day.as_bytes()].concat();
        let mut range = Range { from: day(first), to: after_prefix(&day(last)) };
        let (mut leads, mut seen) = (Vec::new(), BTreeSet::new());
        loop {
            let rows = self.store.scan(&range, Direction::Forward, limit.clamp(1, limits::SCAN_MAX_ROWS))?;
            let Some((key, _)) = rows.last() else { return Ok(leads) };
            range.from = [&key[..], &[0]].concat();
            // A lead stands under every day on which one of its todos is due.
            leads.extend(
                rows.iter().filter_map(|(key, _)| keys::parse_due(key)).filter(|lead| seen.insert(*lead)),
            );
            if leads.len() >= limit {
                leads.truncate(limit);
                return Ok(leads);
            }
        }
    }

    /// The documents with a conflict that waits for a person: leads (their table's conflicts counted with them), calendars, accounts. At
    /// most `limit`.
    ///
    /// # Errors
    /// [`ReplicaError::Store`].
    pub fn conflicted(&self, limit: usize) -> Result<Vec<DocId>, ReplicaError> {
        let range = Range::prefix(keys::CONFLICTED);
        let rows = self.store.scan(&range, Direction::Forward, limit.min(limits::SCAN_MAX_ROWS))?;
        Ok(rows.iter().filter_map(|(key, _)| keys::parse_conflicted(key)).collect())
    }

    /// Whether undo may bring back a piece of evidence of this lead: its bytes must not go before.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn undo_names_evidence(&self, lead: DocId) -> Result<bool, ReplicaError> {
        let Some(value) = self.store.get(keys::UNDO)? else { return Ok(false) };
        let rows: Vec<UndoRow> = serde_json::from_slice(&value)
            .map_err(|e| ReplicaError::Row { key: "undo".into(), detail: e.to_string() })?;
        let names = |edit: &Edit| matches!(edit, Edit::Append { log, .. } if log == "evidence");
        Ok(rows.iter().any(|row| row.doc == lead && row.edits.iter().any(names)))
    }

    /// The summary row of one lead.
    ///
    /// # Errors
    /// [`ReplicaError::Unknown`] when it is not held.
    pub fn summary(&self, lead: DocId) -> Result<LeadSummary, ReplicaError> {
        self.summaries(&[lead])?.pop().ok_or(ReplicaError::Unknown(lead))
    }

    fn summaries(&self, leads: &[DocId]) -> Result<Vec<LeadSummary>, ReplicaError> {
        let row_keys: Vec<Vec<u8>> = leads.iter().map(|lead| keys::summary(*lead)).collect();
        let found = self.store.get_many(&row_keys.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        row_keys.iter().zip(found).filter_map(|(key, value)| Some(decode(key, &value?))).collect()
    }

    /// What is not yet safe, and when the server was last heard.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn status(&self, now: Moment) -> Result<Status, ReplicaError> {
        let complete = !self.sync.channels.is_empty()
            && self.sync.channels.iter().all(|state| state.fill == crate::sync::message::Fill::Complete);
        Ok(Status {
            unanswered: self.unanswered(),
            kept: self.kept_count()?,
            last_contact_ms: self.clock.last_contact_ms,
            clock_skew_ms: self.sync.skew_ms,
            cursor: self.sync.cursor,
            locked: self.check_unlocked(now).is_err(),
            complete,
        })
    }
}
