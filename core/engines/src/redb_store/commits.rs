//! Commits, through the journal where there is one, and the checkpoint that empties it. Refuses to let a reader wait for a flush: rows come in front when their
//! record is durable, and leave when redb has them.

use std::sync::{Arc, PoisonError};

use fieldbook_core::store::{Batch, Outcome, StoreError};
use redb::Database;

use super::view::View;
use super::{RedbStore, Turn, rows};
use crate::draft::{Draft, Rows};
use crate::journal::{Journal, Place};

impl RedbStore {
    /// Makes batches durable, in the journal or, without one and when they are large, in redb; answers with the number of commits when one
    /// was made: what wrote nothing has nothing to flush, and what its guards saw is durable already.
    pub(super) fn write(
        &self,
        db: &Database,
        journal: Option<&mut Journal>,
        batches: Vec<Batch>,
    ) -> Result<(Vec<Outcome>, Option<u64>), StoreError> {
        let view = self.view_of(db)?;
        let mut draft = Draft::new(|key| view.get(key));
        let outcomes = batches.into_iter().map(|batch| draft.apply(batch)).collect::<Result<_, _>>()?;
        let Some((written, commits)) = draft.finish()? else { return Ok((outcomes, None)) };
        // It holds what lies in front, which is about to change.
        drop(view);
        let Some(journal) = journal else {
            rows::store(db, &written, rows::Kind::Plain)?;
            return Ok((outcomes, Some(commits)));
        };
        match journal.place_for(&written) {
            Place::Here => self.append(journal, commits, written)?,
            Place::Front => {
                self.checkpoint(db, journal, rows::Kind::Plain)?;
                self.append(journal, commits, written)?;
            }
            Place::Engine => {
                // Two transactions, although one would do: with the rows of both in one, a reader would see the older ones in front of the
                // newer, or wait for the flush.
                self.checkpoint(db, journal, rows::Kind::Plain)?;
                rows::store(db, &written, rows::Kind::Plain)?;
            }
        }
        Ok((outcomes, Some(commits)))
    }

    /// Moves what lies in front into redb, in one transaction, and begins a new lap. Until the transaction is durable the journal's records
    /// count, afterwards their numbers say that they do not.
    pub(super) fn checkpoint(
        &self,
        db: &Database,
        journal: &mut Journal,
        kind: rows::Kind,
    ) -> Result<(), StoreError> {
        let over = self.in_front();
        if !over.is_empty() || kind == rows::Kind::Settled {
            rows::store(db, &over, kind)?;
            // A reader between these two sees the same rows twice.
            *self.over.write().unwrap_or_else(PoisonError::into_inner) = Arc::default();
        }
        journal.restart();
        Ok(())
    }

    /// [`RedbStore::checkpoint`] where there is a journal.
    pub(super) fn empty_journal(&self, db: &Database, turn: &mut Turn) -> Result<(), StoreError> {
        match &mut turn.journal {
            Some(journal) => self.checkpoint(db, journal, rows::Kind::Plain),
            None => Ok(()),
        }
    }

    /// The rows of this instant.
    pub(super) fn view_of(&self, db: &Database) -> Result<View, StoreError> {
        // Under the lock: a checkpoint that ends in between would take rows away from in front that this transaction does not have.
        let over = self.over.read().unwrap_or_else(PoisonError::into_inner);
        View::begin(db, over.clone())
    }

    fn append(&self, journal: &mut Journal, number: u64, written: Rows) -> Result<(), StoreError> {
        journal.append(number, &written)?;
        let mut over = self.over.write().unwrap_or_else(PoisonError::into_inner);
        // Copied only while somebody reads an older instant.
        Arc::make_mut(&mut over).extend(written);
        Ok(())
    }

    fn in_front(&self) -> Arc<Rows> {
        self.over.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
