//! A commit before it is written: batches applied over the tree in memory, then turned into one sled batch, which sled
//! applies whole or not at all. Refuses to touch the tree.

use std::collections::BTreeMap;

use fieldbook_core::store::{Batch, HEAD_KEY, Outcome, Slot, StoreError, Write};
use sled::Tree;

use super::rows::{self, Images};
use crate::{COMMITS_KEY, be_u64};

/// Batches applied in memory.
pub(super) struct Draft<'a> {
    tree: &'a Tree,
    over: Images,
    wrote: bool,
}

/// What to hand to sled, and what readers see until it is durable.
pub(super) struct Plan {
    pub(super) batch: sled::Batch,
    pub(super) before: Images,
    pub(super) commits: u64,
}

impl<'a> Draft<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self { tree, over: BTreeMap::new(), wrote: false }
    }

    /// Applies one batch under the contract's rules.
    pub(super) fn apply(&mut self, batch: Batch) -> Result<Outcome, StoreError> {
        for (i, guard) in batch.guards.iter().enumerate() {
            if rows::get(self.tree, &self.over, &guard.key)? != guard.expected {
                return Ok(Outcome::Conflict(i));
            }
        }
        self.wrote |= !batch.is_empty();
        let position = if batch.wants_position() { Some(self.counter(HEAD_KEY)? + 1) } else { None };
        if let Some(position) = position {
            self.over.insert(HEAD_KEY.to_vec(), Some(position.to_be_bytes().to_vec()));
        }
        let fill = |bytes: &mut [u8], slot: Option<Slot>| {
            if let (Some(Slot(at)), Some(position)) = (slot, position) {
                // `Batch::check` has seen that the slot fits.
                bytes[at..at + 8].copy_from_slice(&position.to_be_bytes());
            }
        };
        for write in batch.writes {
            match write {
                Write::Put { mut key, key_slot, mut value, value_slot } => {
                    fill(&mut key, key_slot);
                    fill(&mut value, value_slot);
                    self.over.insert(key, Some(value));
                }
                Write::Delete { key } => {
                    self.over.insert(key, None);
                }
            }
        }
        Ok(Outcome::Done(position))
    }

    /// What remains to be written; `None` when nothing does.
    pub(super) fn plan(mut self, next_blob: &mut u64) -> Result<Option<Plan>, StoreError> {
        if !self.wrote {
            return Ok(None);
        }
        let commits = self.counter(COMMITS_KEY)?.saturating_add(1);
        self.over.insert(COMMITS_KEY.to_vec(), Some(commits.to_be_bytes().to_vec()));
        let mut batch = sled::Batch::default();
        let mut before = Images::new();
        for (key, value) in self.over {
            let old = rows::stored(self.tree, &key)?;
            if let Some((_, Some(blob))) = &old {
                rows::remove_pieces(&mut batch, *blob);
            }
            match &value {
                Some(value) => rows::store(&mut batch, &key, value, next_blob),
                None => batch.remove(rows::row_key(&key)),
            }
            before.insert(key, old.map(|(value, _)| value));
        }
        Ok(Some(Plan { batch, before, commits }))
    }

    fn counter(&self, key: &[u8]) -> Result<u64, StoreError> {
        match rows::get(self.tree, &self.over, key)? {
            Some(value) => {
                be_u64(&value).ok_or_else(|| StoreError::Damaged("a counter is not eight bytes".into()))
            }
            None => Ok(0),
        }
    }
}
