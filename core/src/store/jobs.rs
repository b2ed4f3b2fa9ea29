//! Leased jobs on top of the contract: a timer or an intent is taken by one server process at a time, and a process that dies
//! loses its lease, never the job.

use minicbor::{Decode, Encode};

use super::{Batch, Direction, Outcome, Range, Store, StoreError};
use crate::cbor::encode;
use crate::limits;

/// A job that is due and now held by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The job's own key; enqueueing it twice is enqueueing it once.
    pub key: Vec<u8>,
    /// What the job is about.
    pub payload: Vec<u8>,
    row_key: Vec<u8>,
    row: Vec<u8>,
}

#[derive(Encode, Decode)]
struct JobRow {
    #[n(0)]
    leased_until_ms: i64,
    #[cbor(n(1), with = "minicbor::bytes")]
    payload: Vec<u8>,
}

fn due_key(queue: &str, due_ms: i64, key: &[u8]) -> Vec<u8> {
    let mut row = queue_prefix(queue);
    row.extend_from_slice(&(due_ms.max(0) as u64).to_be_bytes());
    row.extend_from_slice(key);
    row
}

fn queue_prefix(queue: &str) -> Vec<u8> {
    let mut prefix = b"j/".to_vec();
    prefix.extend_from_slice(queue.as_bytes());
    prefix.push(b'/');
    prefix
}

/// Adds a job to a batch: it is due at `due_ms` (server time).
pub fn enqueue(batch: &mut Batch, queue: &str, due_ms: i64, key: &[u8], payload: &[u8]) {
    let row = JobRow { leased_until_ms: 0, payload: payload.to_vec() };
    batch.put(due_key(queue, due_ms, key), encode(&row));
}

/// Takes up to `most` jobs that are due at `now_ms`, for `ttl_ms`. Costs what is due, not what exists. A job that another
/// process took in the same moment is passed over.
///
/// # Errors
/// As [`Store::commit`].
pub fn lease(
    store: &dyn Store,
    queue: &str,
    now_ms: i64,
    ttl_ms: i64,
    most: usize,
) -> Result<Vec<Lease>, StoreError> {
    let prefix = queue_prefix(queue);
    let mut range = Range { from: prefix.clone(), to: due_key(queue, now_ms.saturating_add(1), b"") };
    let key_at = prefix.len() + 8;
    let mut leases = Vec::new();
    let mut batches = Vec::new();
    // Jobs that others hold stand in the way of those that nobody holds yet: they are passed over, page by page.
    while leases.len() < most {
        let page = store.scan(&range, Direction::Forward, most.min(limits::SCAN_MAX_ROWS))?;
        let Some((last, _)) = page.last() else { break };
        range.from = Range::prefix_after(&prefix, last).from;
        for (row_key, value) in page {
            let row: JobRow = minicbor::decode(&value)
                .map_err(|e| StoreError::Damaged(format!("a job of queue {queue}: {e}")))?;
            if row.leased_until_ms > now_ms || leases.len() == most {
                continue;
            }
            let leased_until_ms = now_ms.saturating_add(ttl_ms);
            let leased = encode(&JobRow { leased_until_ms, payload: row.payload.clone() });
            let mut batch = Batch::new();
            batch.guard(row_key.clone(), Some(value)).put(row_key.clone(), leased.clone());
            batches.push(batch);
            leases.push(Lease {
                key: row_key[key_at..].to_vec(),
                payload: row.payload,
                row_key,
                row: leased,
            });
        }
    }
    let outcomes = store.commit(batches)?;
    Ok(leases
        .into_iter()
        .zip(outcomes)
        .filter(|(_, o)| matches!(o, Outcome::Done(_)))
        .map(|(l, _)| l)
        .collect())
}

/// Adds to a batch that the job is done. The batch conflicts when the lease was lost meanwhile.
pub fn finish(batch: &mut Batch, lease: &Lease) {
    batch.guard(lease.row_key.clone(), Some(lease.row.clone())).delete(lease.row_key.clone());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn a_job_is_held_by_one_at_a_time_and_survives_its_holder() {
        let store = MemoryStore::new();
        let mut batch = Batch::new();
        enqueue(&mut batch, "timers", 100, b"a", b"ring");
        enqueue(&mut batch, "timers", 500, b"b", b"later");
        store.commit_one(batch).unwrap();

        assert!(lease(&store, "timers", 99, 10, 9).unwrap().is_empty());
        let held = lease(&store, "timers", 100, 10, 9).unwrap();
        assert_eq!(
            (held.len(), held[0].key.as_slice(), held[0].payload.as_slice()),
            (1, &b"a"[..], &b"ring"[..])
        );
        assert!(lease(&store, "timers", 105, 10, 9).unwrap().is_empty(), "still leased");

        let again = lease(&store, "timers", 110, 10, 9).unwrap();
        assert_eq!(again.len(), 1, "the holder died");
        let mut late = Batch::new();
        finish(&mut late, &held[0]);
        assert_eq!(
            store.commit_one(late).unwrap(),
            Outcome::Conflict(0),
            "the dead holder may not finish it"
        );
        let mut done = Batch::new();
        finish(&mut done, &again[0]);
        assert_eq!(store.commit_one(done).unwrap(), Outcome::Done(None));
        assert!(lease(&store, "timers", 499, 10, 9).unwrap().is_empty());
    }

    #[test]
    fn jobs_that_others_hold_do_not_hide_those_that_are_free() {
        let store = MemoryStore::new();
        let mut batch = Batch::new();
        for n in 0..5u8 {
            enqueue(&mut batch, "timers", 100 + i64::from(n), &[n], b"");
        }
        store.commit_one(batch).unwrap();
        let keys = |leases: Vec<Lease>| leases.into_iter().map(|lease| lease.key[0]).collect::<Vec<_>>();
        assert_eq!(keys(lease(&store, "timers", 200, 50, 2).unwrap()), [0, 1]);
        assert_eq!(keys(lease(&store, "timers", 200, 50, 2).unwrap()), [2, 3]);
        assert_eq!(keys(lease(&store, "timers", 200, 50, 2).unwrap()), [4]);
        assert_eq!(keys(lease(&store, "timers", 200, 50, 2).unwrap()), [] as [u8; 0]);
    }
}
