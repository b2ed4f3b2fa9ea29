//! The model of the contract: an ordered map in memory. Nothing survives it; the conformance suite compares every engine
//! with it, and pure tests use it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Batch, Direction, HEAD_KEY, Outcome, Position, Range, Row, Store, StoreError};
use crate::limits;

/// An ordered map that keeps the contract, durability apart.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that holds these rows (a restored backup, a disk after a crash).
    pub fn from_rows(rows: BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        Self { rows: Mutex::new(rows) }
    }

    /// All rows, as a backup would take them.
    pub fn rows(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Applies one batch to an ordered map under the contract's rules; shared with engines that buffer in memory.
pub(crate) fn apply(rows: &mut BTreeMap<Vec<u8>, Vec<u8>>, batch: Batch) -> Outcome {
    for (i, guard) in batch.guards.iter().enumerate() {
        if rows.get(&guard.key) != guard.expected.as_ref() {
            return Outcome::Conflict(i);
        }
    }
    let position = batch.wants_position().then(|| head_of(rows) + 1);
    if let Some(position) = position {
        rows.insert(HEAD_KEY.to_vec(), position.to_be_bytes().to_vec());
    }
    for write in batch.writes {
        match write.placed(position) {
            (key, Some(value)) => rows.insert(key, value),
            (key, None) => rows.remove(&key),
        };
    }
    Outcome::Done(position)
}

fn head_of(rows: &BTreeMap<Vec<u8>, Vec<u8>>) -> Position {
    rows.get(HEAD_KEY).and_then(|v| v.as_slice().try_into().ok()).map(Position::from_be_bytes).unwrap_or(0)
}

fn page(rows: &BTreeMap<Vec<u8>, Vec<u8>>, range: &Range, direction: Direction, limit: usize) -> Vec<Row> {
    let hits = rows.range::<[u8], _>(range.bounds()).filter(|(k, _)| k.as_slice() != HEAD_KEY);
    let limit = limit.min(limits::SCAN_MAX_ROWS);
    let owned = |(k, v): (&Vec<u8>, &Vec<u8>)| (k.clone(), v.clone());
    match direction {
        Direction::Forward => hits.take(limit).map(owned).collect(),
        Direction::Backward => hits.rev().take(limit).map(owned).collect(),
    }
}

impl Store for MemoryStore {
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let rows = self.lock();
        Ok(keys.iter().map(|k| rows.get(*k).cloned()).collect())
    }

    fn scan(&self, range: &Range, direction: Direction, limit: usize) -> Result<Vec<Row>, StoreError> {
        Ok(page(&self.lock(), range, direction, limit))
    }

    fn commit(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError> {
        batches.iter().try_for_each(Batch::check)?;
        let mut rows = self.lock();
        Ok(batches.into_iter().map(|batch| apply(&mut rows, batch)).collect())
    }

    fn head(&self) -> Result<Position, StoreError> {
        Ok(head_of(&self.lock()))
    }

    fn read(
        &self,
        keys: &[&[u8]],
        ranges: &[(Range, usize)],
    ) -> Result<(Vec<Option<Vec<u8>>>, Vec<Vec<Row>>), StoreError> {
        let rows = self.lock();
        let values = keys.iter().map(|k| rows.get(*k).cloned()).collect();
        let pages =
            ranges.iter().map(|(range, limit)| page(&rows, range, Direction::Forward, *limit)).collect();
        Ok((values, pages))
    }
}
