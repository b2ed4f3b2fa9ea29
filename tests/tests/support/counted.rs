//! Counters around the real parts: what a store was asked, what a disk was asked, and what a conversation between a phone and the server
//! weighs on the wire. No clock is read here: what is counted is the same on every machine.
#![allow(dead_code, reason = "every test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use fieldbook_core::store::{Batch, Direction, Outcome, Position, Range, Reads, Row, Store, StoreError};
use fieldbook_engines::{InMemoryBackend, StorageBackend};

/// A disk in memory that counts. Clones share it, so that a store can be opened on it again. Reads are not counted: a redb that is built
/// for debugging walks its whole file when it opens it, which the product's does not.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<DiskInner>);

#[derive(Debug, Default)]
struct DiskInner {
    bytes: InMemoryBackend,
    flushes: AtomicU64,
    written_bytes: AtomicU64,
}

/// What a disk was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskCounts {
    pub flushes: u64,
    pub written_bytes: u64,
}

impl Disk {
    /// What it was asked while `work` ran.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> (T, DiskCounts) {
        let before = self.counts();
        let out = work();
        let after = self.counts();
        let counts = DiskCounts {
            flushes: after.flushes - before.flushes,
            written_bytes: after.written_bytes - before.written_bytes,
        };
        (out, counts)
    }

    fn counts(&self) -> DiskCounts {
        DiskCounts {
            flushes: self.0.flushes.load(Relaxed),
            written_bytes: self.0.written_bytes.load(Relaxed),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, Error> {
        self.0.bytes.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        self.0.bytes.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.0.bytes.set_len(len)
    }
    fn sync_data(&self) -> Result<(), Error> {
        self.0.flushes.fetch_add(1, Relaxed);
        self.0.bytes.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.0.written_bytes.fetch_add(data.len() as u64, Relaxed);
        self.0.bytes.write(offset, data)
    }
}

/// A store that counts: commits, rows that were handed out, and reads of documents (`s/` snapshots and `c/` changes of a phone's store).
pub struct Watched<S> {
    pub inner: S,
    pub commits: AtomicU64,
    pub rows: AtomicU64,
    pub document_reads: AtomicU64,
}

impl<S: Store> Watched<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, commits: AtomicU64::new(0), rows: AtomicU64::new(0), document_reads: AtomicU64::new(0) }
    }

    fn reads(&self, keys: &[&[u8]], ranges: &[&Range]) {
        let document = |key: &[u8]| key.starts_with(b"s/") || key.starts_with(b"c/");
        let keys = keys.iter().filter(|key| document(key)).count();
        // A range without an end, or over several tables, would reach documents as well.
        let reaches = |range: &Range| {
            [b"s/", b"c/"].iter().any(|table| {
                let end = [table[0], table[1] + 1];
                range.from.as_slice() < end.as_slice()
                    && (range.to.is_empty() || range.to.as_slice() > table.as_slice())
            })
        };
        let ranges = ranges.iter().filter(|range| reaches(range)).count();
        self.document_reads.fetch_add((keys + ranges) as u64, Relaxed);
    }

    fn handed_out(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Relaxed);
    }
}

impl<S: Store> Store for Watched<S> {
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.reads(keys, &[]);
        self.handed_out(keys.len());
        self.inner.get_many(keys)
    }
    fn scan(&self, range: &Range, direction: Direction, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.reads(&[], &[range]);
        self.inner.scan(range, direction, limit).inspect(|rows| self.handed_out(rows.len()))
    }
    fn commit(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError> {
        self.commits.fetch_add(1, Relaxed);
        self.inner.commit(batches)
    }
    fn head(&self) -> Result<Position, StoreError> {
        self.inner.head()
    }
    fn read(&self, keys: &[&[u8]], ranges: &[(Range, usize)]) -> Result<Reads, StoreError> {
        self.reads(keys, &ranges.iter().map(|(range, _)| range).collect::<Vec<_>>());
        let found = self.inner.read(keys, ranges)?;
        self.handed_out(keys.len() + found.1.iter().map(Vec::len).sum::<usize>());
        Ok(found)
    }
}

/// What a frame weighs as a websocket message (RFC 6455): its own bytes behind a head, which a client's side makes four bytes longer.
pub fn websocket_bytes(frame: &[u8], from_client: bool) -> usize {
    let length = match frame.len() {
        0..=125 => 0,
        126..=0xffff => 2,
        _ => 8,
    };
    2 + length + if from_client { 4 } else { 0 } + frame.len()
}
