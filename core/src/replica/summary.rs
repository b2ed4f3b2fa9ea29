//! The summary rows beside the documents: what a list shows without loading anything. They are written in the same batch as the
//! change that they reflect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::rows::{HeadRow, decode, encode};
use super::{ReplicaError, keys};
use crate::document::{Doc, NoClocks};
use crate::ids::{DocId, DocKind};
use crate::model::LeadSummary;
use crate::store::{Batch, Store};

/// The summary rows that one batch touches.
pub(super) struct Summaries {
    store: Arc<dyn Store>,
    /// As stored (`None`: not there) and as it becomes (`None`: removed).
    touched: BTreeMap<DocId, Touched>,
    /// Leads of which the ruling told of clocks: what else their rows say was read by the old ones.
    restamped: BTreeSet<DocId>,
    /// Whether a document that is no part of a lead has a conflict.
    conflicted: BTreeMap<DocId, bool>,
}

struct Touched {
    old: Option<LeadSummary>,
    new: Option<LeadSummary>,
}

impl Summaries {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, touched: BTreeMap::new(), restamped: BTreeSet::new(), conflicted: BTreeMap::new() }
    }

    /// Reads the rows of several leads at once, for a frame full of news.
    pub fn expect(&mut self, leads: &[DocId]) -> Result<(), ReplicaError> {
        let wanted: Vec<DocId> =
            leads.iter().copied().filter(|lead| !self.touched.contains_key(lead)).collect();
        let row_keys: Vec<Vec<u8>> = wanted.iter().map(|lead| keys::summary(*lead)).collect();
        let found = self.store.get_many(&row_keys.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        for ((lead, key), value) in wanted.into_iter().zip(row_keys).zip(found) {
            let old: Option<LeadSummary> = value.map(|value| decode(&key, &value)).transpose()?;
            self.touched.insert(lead, Touched { new: old.clone(), old });
        }
        Ok(())
    }

    /// Takes what a document says into its lead's row.
    pub fn take(&mut self, id: DocId, head: &HeadRow, doc: &Doc) -> Result<(), ReplicaError> {
        if matches!(doc.kind(), DocKind::Account | DocKind::Calendar) {
            self.conflicted.insert(id, !doc.conflicts(&NoClocks).is_empty());
        }
        let Some(lead) = lead_of(id, head) else { return Ok(()) };
        self.expect(&[lead])?;
        let Some(touched) = self.touched.get_mut(&lead) else { return Ok(()) };
        let row = touched.new.get_or_insert_with(|| LeadSummary::of(lead));
        match doc.kind() {
            DocKind::Lead => row.take_lead(doc),
            DocKind::Ruling => {
                let before = std::mem::take(&mut row.clocks);
                row.take_ruling(doc);
                if row.clocks != before {
                    self.restamped.insert(lead);
                }
            }
            DocKind::Advancement => row.take_advancement(doc),
            _ => {}
        }
        Ok(())
    }

    /// Forgets when a lead last changed: its documents are about to be taken in again, by other clocks. Tells whether it has a row.
    pub fn reread(&mut self, lead: DocId) -> Result<bool, ReplicaError> {
        self.expect(&[lead])?;
        let row = self.touched.get_mut(&lead).and_then(|touched| touched.new.as_mut());
        Ok(row.map(|row| row.updated_ms = 0).is_some())
    }

    /// The leads whose rows are touched.
    pub fn leads(&self) -> Vec<DocId> {
        self.touched.keys().copied().collect()
    }

    /// A document that is no part of a lead is dropped.
    pub fn forget(&mut self, id: DocId) {
        if matches!(id.kind(), Some(DocKind::Account | DocKind::Calendar)) {
            self.conflicted.insert(id, false);
        }
    }

    /// Removes the row of a lead that is wiped.
    pub fn remove(&mut self, lead: DocId) -> Result<(), ReplicaError> {
        self.expect(&[lead])?;
        if let Some(touched) = self.touched.get_mut(&lead) {
            touched.new = None;
        }
        Ok(())
    }

    /// Adds what changed to the batch. A row without its lead (a ruling that came first) is kept but not listed. Gives the leads whose
    /// rows have to be read again, by the clocks of their ruling.
    pub fn flush(self, batch: &mut Batch) -> Result<BTreeSet<DocId>, ReplicaError> {
        for (doc, has_conflict) in self.conflicted {
            let key = keys::conflicted(doc);
            if has_conflict {
                batch.put(key, [])
            } else {
                batch.delete(key)
            };
        }
        for (lead, Touched { old, new }) in self.touched {
            if old == new {
                continue;
            }
            let [was, is] =
                [&old, &new].map(|row| row.as_ref().map(|row| index(lead, row)).unwrap_or_default());
            for gone in was.difference(&is) {
                batch.delete(gone.clone());
            }
            for new in is.difference(&was) {
                batch.put(new.clone(), []);
            }
            match new {
                Some(row) => batch.put(keys::summary(lead), encode(&row)),
                None => batch.delete(keys::agenda(lead)).delete(keys::summary(lead)),
            };
        }
        Ok(self.restamped)
    }
}

/// The rows of the indexes by which a lead with this summary is found.
fn index(lead: DocId, row: &LeadSummary) -> BTreeSet<Vec<u8>> {
    let recent = row.listed().then(|| keys::recent(row.updated_ms, lead));
    let due = row.due_days.iter().map(|day| keys::due(day, lead));
    let conflicted = (row.conflicts > 0).then(|| keys::conflicted(lead));
    recent.into_iter().chain(due).chain(conflicted).collect()
}

/// The lead whose row a document contributes to.
pub(super) fn lead_of(id: DocId, head: &HeadRow) -> Option<DocId> {
    match id.kind()? {
        DocKind::Lead => Some(id),
        DocKind::Ruling | DocKind::Advancement => DocId::from_slice(&head.origin.as_ref()?.parent),
        _ => None,
    }
}
