//! The suite that every engine passes: one function a clause of the contract at the head of `fieldbook_core::store`.
//!
//! A clause takes a closure that opens one place: the first call finds it empty, a later call finds what the earlier
//! handles left (the clause has dropped them by then). [`conformance!`](crate::conformance!) makes a test of each clause.
//! Clauses panic; a failing random case names its seed.
//!
//! Refuses to test crashes: a clause reopens only what was dropped in good order.

use std::sync::Arc;

use fieldbook_core::store::{Batch, Direction, Outcome, Range, Row, Slot, Store, StoreError};

mod basics;
mod crowd;
mod random;

pub use basics::*;
pub use crowd::*;
pub use random::*;

/// Opens the place under test.
pub type Open<'a> = dyn Fn() -> Arc<dyn Store> + 'a;

/// Makes a test of each clause. The expression is evaluated once a test and gives a closure that opens a place of its own.
#[macro_export]
macro_rules! conformance {
    ($place:expr) => {
        $crate::conformance!(@each $place;
            reads_come_in_lots, scans_go_both_ways, scans_are_bounded_pages, keys_order_as_bytes,
            batches_are_atomic, guards_stop_the_whole_batch, guards_see_the_batches_before,
            positions_are_contiguous_and_kept, slots_carry_the_position, bounds_are_refused_first,
            large_values_survive, commits_survive_reopening, jobs_are_leased,
            readers_see_whole_batches_in_order, rivals_lose_no_update, many_writers_are_grouped,
            random_commits_match_the_model
        );
    };
    (@each $place:expr; $($clause:ident),+) => {
        $(#[test]
        fn $clause() {
            let place = $place;
            $crate::conformance::$clause(&place);
        })+
    };
}

pub(crate) fn put(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Batch {
    let mut batch = Batch::new();
    batch.put(key, value);
    batch
}

/// A batch that writes `prefix ‖ position` → `value ‖ position`.
pub(crate) fn feed(prefix: &[u8], value: &[u8]) -> Batch {
    let slot = |bytes: &[u8]| (Some(Slot(bytes.len())), [bytes, &[0; 8]].concat());
    let ((key_slot, key), (value_slot, value)) = (slot(prefix), slot(value));
    let mut batch = Batch::new();
    batch.put_at(key, key_slot, value, value_slot);
    batch
}

pub(crate) fn commit(store: &dyn Store, batches: Vec<Batch>) -> Vec<Outcome> {
    store.commit(batches).expect("commits")
}

pub(crate) fn get(store: &dyn Store, key: &[u8]) -> Option<Vec<u8>> {
    store.get(key).expect("reads")
}

pub(crate) fn scan(store: &dyn Store, prefix: &[u8], direction: Direction, limit: usize) -> Vec<Row> {
    store.scan(&Range::prefix(prefix), direction, limit).expect("scans")
}

pub(crate) fn refused(result: Result<Vec<Outcome>, StoreError>) -> bool {
    matches!(result, Err(StoreError::OutOfBounds { .. }))
}
