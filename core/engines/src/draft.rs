//! A commit before it is written: batches applied in memory over rows that can be read, under the contract's rules. What comes of it is
//! the rows to write, whatever engine writes them. Refuses to touch what lies under it.

use std::collections::BTreeMap;

use fieldbook_core::store::{Batch, HEAD_KEY, Outcome, StoreError};

use crate::{COMMITS_KEY, be_u64};

/// Rows that stand in front of an engine's own: `None` where there is none.
pub(crate) type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Batches applied in memory.
pub(crate) struct Draft<F> {
    under: F,
    over: Rows,
    wrote: bool,
}

impl<F: Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>> Draft<F> {
    /// A draft over what `under` answers for a key.
    pub(crate) fn new(under: F) -> Self {
        Self { under, over: Rows::new(), wrote: false }
    }

    /// Applies one batch.
    pub(crate) fn apply(&mut self, batch: Batch) -> Result<Outcome, StoreError> {
        for (i, guard) in batch.guards.iter().enumerate() {
            if self.get(&guard.key)? != guard.expected {
                return Ok(Outcome::Conflict(i));
            }
        }
        self.wrote |= !batch.is_empty();
        let position = if batch.wants_position() { Some(self.counter(HEAD_KEY)? + 1) } else { None };
        if let Some(position) = position {
            self.over.insert(HEAD_KEY.to_vec(), Some(position.to_be_bytes().to_vec()));
        }
        self.over.extend(batch.writes.into_iter().map(|write| write.placed(position)));
        Ok(Outcome::Done(position))
    }

    /// The rows to write, the count of commits among them, and that count; `None` when nothing was written.
    pub(crate) fn finish(mut self) -> Result<Option<(Rows, u64)>, StoreError> {
        if !self.wrote {
            return Ok(None);
        }
        let commits = self.counter(COMMITS_KEY)?.saturating_add(1);
        self.over.insert(COMMITS_KEY.to_vec(), Some(commits.to_be_bytes().to_vec()));
        Ok(Some((self.over, commits)))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.over.get(key) {
            Some(value) => Ok(value.clone()),
            None => (self.under)(key),
        }
    }

    fn counter(&self, key: &[u8]) -> Result<u64, StoreError> {
        match self.get(key)? {
            Some(value) => {
                be_u64(&value).ok_or_else(|| StoreError::Damaged("a counter is not eight bytes".into()))
            }
            None => Ok(0),
        }
    }
}
