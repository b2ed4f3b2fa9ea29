//! The journal in front of an engine: a small commit is one record, one write and one flush, and the engine gets many of them in one
//! transaction at a checkpoint. It is an area of fixed length, written from the front; after a checkpoint the next lap begins at the front
//! again. Refuses to know where the area lies, how it is encrypted, and what the engine does at a checkpoint.
//!
//! # A record
//! | Bytes | |
//! |---|---|
//! | 4 | CRC-32 over the chain and everything that follows |
//! | 4 | length of the payload |
//! | 8 | number: the store's count of commits once this one counts |
//! | … | payload: the rows that the commit left, in key order, the counters among them (see [`record`]) |
//! | … | zeros up to the end of the page |
//!
//! A record has whole pages of 4,096 bytes to itself. Whatever a torn write leaves of it, a write that is torn, or a sector that is lost
//! while it is written, never touches a page of an earlier record; and a page that is written whole need not be read first.
//!
//! # Which records count
//! The engine's own count of commits is c. From the front the records c + 1, c + 2, … count as long as each is whole; the first that is not
//! ends them. That is right because
//! * one writer flushes a record before it writes the next, so only the last can be torn, and a torn one was never acknowledged. An open
//!   that finds records flushes once before anybody reads them: they may be from a process that died before its flush;
//! * a lap begins only when all of the one before is durable in the engine, so a record of an old lap has a number ≤ c or, behind records
//!   of the new lap, one that is too small;
//! * a record that was discarded as torn is overwritten by the next commit, which takes its place and its number;
//! * the checksum of a record covers that of the one before it (the first of a lap: the store's id), so even behind a record that was lost
//!   to damage and then written anew, no older one fits.
//!
//! A first record beyond c + 1 is whole and cannot be: the engine has fallen back behind what it had when that lap began. What lies between
//! is lost, and the store says so.

use fieldbook_core::store::StoreError;
use redb::StorageBackend;

use crate::draft::Rows;
use crate::record::checksum;
use crate::{be_u64, io_error};

mod record;

/// The journal of an open store.
pub(crate) struct Journal {
    area: Box<dyn StorageBackend>,
    len: u64,
    /// Where the next record begins.
    at: u64,
    /// What the next record's checksum begins with.
    chain: u32,
    /// The same for the first record of a lap.
    first: u32,
}

/// What an open found.
pub(crate) struct Replayed {
    /// The rows that stand in front of the engine's.
    pub(crate) over: Rows,
    /// The count of commits, those of the journal included.
    pub(crate) commits: u64,
}

/// Where a commit goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind the last record.
    Here,
    /// To the front, after a checkpoint.
    Front,
    /// To the engine, after a checkpoint: it is too large for a journal to spare anything.
    Engine,
}

impl Journal {
    /// The journal in `area` of a store whose engine counts `commits`, with what it adds to them. With `accept_rollback` a journal that the
    /// engine has fallen back behind is emptied.
    ///
    /// # Errors
    /// [`StoreError::Io`]; [`StoreError::Damaged`] for a journal that shows that commits are lost.
    pub(crate) fn open(
        area: Box<dyn StorageBackend>,
        store_id: u64,
        commits: u64,
        accept_rollback: bool,
    ) -> Result<(Self, Replayed), StoreError> {
        let len = area.len().map_err(failed)?;
        let first = checksum(b"journal", &store_id.to_be_bytes());
        let mut journal = Self { area, len, at: 0, chain: first, first };
        let mut found = Replayed { over: Rows::new(), commits };
        while let Some(bytes) = journal.next()? {
            let number = be_u64(&bytes[NUMBER_AT..HEAD_BYTES]).unwrap_or_default();
            if number != found.commits + 1 {
                if number > found.commits && journal.at == 0 {
                    journal.fallen_back(number, commits, accept_rollback)?;
                }
                break;
            }
            record::decode(&bytes[HEAD_BYTES..], &mut found.over)?;
            found.commits = number;
            journal.pass(&bytes);
        }
        if journal.at > 0 {
            journal.area.sync_data().map_err(failed)?;
        }
        Ok((journal, found))
    }

    /// Where a commit that leaves these rows goes.
    pub(crate) fn place_for(&self, rows: &Rows) -> Place {
        let takes = paged(HEAD_BYTES + record::len(rows));
        if takes > self.len / LARGE_SHARE {
            Place::Engine
        } else if takes > self.len - self.at {
            Place::Front
        } else {
            Place::Here
        }
    }

    /// Writes a record and flushes it.
    ///
    /// # Errors
    /// [`StoreError::Io`]; what is on the disk then is unknown until the store is opened again.
    pub(crate) fn append(&mut self, number: u64, rows: &Rows) -> Result<(), StoreError> {
        let payload = record::len(rows);
        let mut bytes = Vec::with_capacity(paged(HEAD_BYTES + payload) as usize);
        bytes.extend_from_slice(&[0; SUM_BYTES]);
        // Less than the journal, which is less than 4 GiB.
        bytes.extend_from_slice(&(payload as u32).to_be_bytes());
        bytes.extend_from_slice(&number.to_be_bytes());
        record::encode(rows, &mut bytes);
        let sum = checksum(&self.chain.to_be_bytes(), &bytes[SUM_BYTES..]);
        bytes[..SUM_BYTES].copy_from_slice(&sum.to_be_bytes());
        let record_bytes = bytes.len();
        bytes.resize(paged(record_bytes) as usize, 0);
        self.area.write(self.at, &bytes).map_err(failed)?;
        self.area.sync_data().map_err(failed)?;
        self.pass(&bytes[..record_bytes]);
        Ok(())
    }

    /// Begins the next lap: everything is durable in the engine.
    pub(crate) fn restart(&mut self) {
        (self.at, self.chain) = (0, self.first);
    }

    /// The record at which reading stands, head and payload, when it is whole.
    fn next(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let left = self.len - self.at;
        if left < PAGE_BYTES {
            return Ok(None);
        }
        let mut bytes = vec![0; PAGE_BYTES as usize];
        self.area.read(self.at, &mut bytes).map_err(failed)?;
        let len =
            HEAD_BYTES + bytes[SUM_BYTES..NUMBER_AT].iter().fold(0, |len, b| (len << 8) | usize::from(*b));
        if paged(len) > left {
            return Ok(None);
        }
        bytes.resize(paged(len) as usize, 0);
        self.area.read(self.at, &mut bytes).map_err(failed)?;
        bytes.truncate(len);
        let sum = checksum(&self.chain.to_be_bytes(), &bytes[SUM_BYTES..]);
        Ok((bytes[..SUM_BYTES] == sum.to_be_bytes()).then_some(bytes))
    }

    /// Goes on behind a record.
    fn pass(&mut self, record: &[u8]) {
        self.at += paged(record.len());
        self.chain = record[..SUM_BYTES].iter().fold(0, |sum, b| (sum << 8) | u32::from(*b));
    }

    /// The engine has fewer commits than it had when the lap began.
    fn fallen_back(&self, first: u64, commits: u64, accept_rollback: bool) -> Result<(), StoreError> {
        if !accept_rollback {
            return Err(StoreError::Damaged(format!(
                "the journal begins with commit {first}, the pages end with {commits}; to go on without what lies between, open it \
                 with accept_rollback"
            )));
        }
        // The commits to come will take its number: it must not be there any more by then.
        self.area.write(0, &[0; PAGE_BYTES as usize]).map_err(failed)?;
        self.area.sync_data().map_err(failed)
    }
}

/// The bytes that a record takes: whole pages.
fn paged(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(PAGE_BYTES)
}

fn failed(error: std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => StoreError::Damaged("the file ends in its journal".into()),
        _ => io_error("the journal", &error),
    }
}

/// What a disk, a file system and the cipher of the phone write whole at the most.
pub(crate) const PAGE_BYTES: u64 = 4_096;
/// A commit that takes a larger part than one in so many goes to the engine at once: the bytes that it would write twice are then more than
/// what the engine's tree adds to them.
const LARGE_SHARE: u64 = 8;
const SUM_BYTES: usize = 4;
const NUMBER_AT: usize = 8;
const HEAD_BYTES: usize = 16;

#[cfg(test)]
mod tests;
