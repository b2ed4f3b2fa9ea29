//! The rows of one instant: a read transaction of redb's, and what the journal's commits put in front of it. Refuses to hold writers up:
//! both are snapshots.

use std::sync::Arc;

use fieldbook_core::store::{Direction, HEAD_KEY, Position, Range, Row, StoreError};
use redb::{Database, ReadOnlyTable, ReadableDatabase};

use super::rows::{self, Bytes};
use crate::draft::Rows;
use crate::{be_u64, merge};

/// Reads of one instant.
pub(super) struct View {
    table: ReadOnlyTable<Bytes, Bytes>,
    over: Arc<Rows>,
}

impl View {
    /// The rows of a database under these.
    pub(super) fn begin(db: &Database, over: Arc<Rows>) -> Result<Self, StoreError> {
        let txn = db.begin_read().map_err(rows::broken)?;
        Ok(Self { table: txn.open_table(rows::ROWS).map_err(rows::broken)?, over })
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.over.get(key) {
            Some(value) => Ok(value.clone()),
            None => rows::get(&self.table, key),
        }
    }

    /// The last position given.
    pub(super) fn head(&self) -> Result<Position, StoreError> {
        match self.get(HEAD_KEY)? {
            Some(head) => {
                be_u64(&head).ok_or_else(|| StoreError::Damaged("the head is not eight bytes".into()))
            }
            None => Ok(0),
        }
    }

    /// One page of a range.
    pub(super) fn page(
        &self,
        range: &Range,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        merge::page(rows::within(&self.table, range)?, &self.over, range, direction, limit)
    }

    /// Visits every row in key order.
    pub(super) fn visit(
        &self,
        visit: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        merge::visit(rows::within(&self.table, &Range::prefix(b""))?, &self.over, visit)
    }
}
