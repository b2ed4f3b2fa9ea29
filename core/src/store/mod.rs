//! The storage contract (design decision 11). No engine lives here.
//!
//! The contract is what the product relies on, stated so that an engine across a network can keep it too:
//!
//! * **A read is not free.** Reads come in lots ([`Store::get_many`]) and pages ([`Store::scan`]); a caller that needs
//!   several reads of one instant asks for them in one call.
//! * **The process is not alone.** A batch may carry [`Guard`]s; when one fails, nothing of the batch is written and the
//!   caller decides again on what is there now.
//! * **Positions are given by the store.** A batch with [`Slot`]s gets one position, written where the slots say.
//!   Positions grow by one, are never given twice, and become visible in order: whoever has seen position *p* never
//!   later finds a new row at a position ≤ *p*.
//! * **Durable means durable.** When [`Store::commit`] returns, the batches are on the disk. Each batch is atomic; a crash
//!   keeps a prefix of the commits.
//! * **Jobs are leased**, by [`jobs`] on top of guards, so every engine has them.
//!
//! Keys order as bytes. The suite that every engine passes is `fieldbook_engines::conformance`.

use std::ops::Bound;
use std::sync::Arc;

use crate::limits;

pub mod jobs;
mod memory;

pub use memory::MemoryStore;

/// The position of a batch in the company's log. The first is 1; 0 means "before everything".
pub type Position = u64;

/// Why a store could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk refused: full, read-only, gone. The engine refuses every commit after the first that failed, until it
    /// is opened again, because what the failed one left is unknown.
    #[error("the store's disk failed: {0}")]
    Io(String),
    /// What is on the disk is not what was written there.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The store was written by a newer version of the product.
    #[error("the store has format {found}; this version reads up to {known}")]
    TooNew {
        /// The format in the store.
        found: u32,
        /// The newest format that this version knows.
        known: u32,
    },
    /// The key that the app gave does not open this store.
    #[error("the key does not open this store")]
    WrongKey,
    /// Another process holds the store.
    #[error("the store is in use by another process")]
    InUse,
    /// A key or value beyond the bounds of [`limits`].
    #[error("a store key of {key_bytes} bytes with a value of {value_bytes} bytes is out of bounds")]
    OutOfBounds {
        /// Length of the key.
        key_bytes: usize,
        /// Length of the value.
        value_bytes: usize,
    },
}

/// Where the store writes the position that it gives to a batch: eight bytes, big-endian, over eight placeholder bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(pub usize);

/// One write of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Sets a key.
    Put {
        /// The key; with `key_slot`, eight of its bytes become the position.
        key: Vec<u8>,
        /// Where in the key the position goes.
        key_slot: Option<Slot>,
        /// The value; with `value_slot`, eight of its bytes become the position.
        value: Vec<u8>,
        /// Where in the value the position goes.
        value_slot: Option<Slot>,
    },
    /// Removes a key; nothing happens when it is absent.
    Delete {
        /// The key.
        key: Vec<u8>,
    },
}

impl Write {
    /// The key, and what stands under it once the batch has its position; `None`: nothing. The slots fit, see [`Batch::check`].
    pub fn placed(self, position: Option<Position>) -> (Vec<u8>, Option<Vec<u8>>) {
        let fill = |bytes: &mut [u8], slot: Option<Slot>| {
            if let (Some(Slot(at)), Some(position)) = (slot, position) {
                bytes[at..at + 8].copy_from_slice(&position.to_be_bytes());
            }
        };
        match self {
            Write::Put { mut key, key_slot, mut value, value_slot } => {
                fill(&mut key, key_slot);
                fill(&mut value, value_slot);
                (key, Some(value))
            }
            Write::Delete { key } => (key, None),
        }
    }
}

/// What must hold for a batch to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The key that is looked at.
    pub key: Vec<u8>,
    /// What its value must be; `None`: the key must be absent.
    pub expected: Option<Vec<u8>>,
}

/// Writes that become visible and durable together, or not at all. Later writes of a batch win over earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// What must hold.
    pub guards: Vec<Guard>,
    /// What is written.
    pub writes: Vec<Write>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.writes.push(Write::Put {
            key: key.into(),
            key_slot: None,
            value: value.into(),
            value_slot: None,
        });
        self
    }

    /// Sets a key in which, or in whose value, the batch's position stands.
    pub fn put_at(
        &mut self,
        key: impl Into<Vec<u8>>,
        key_slot: Option<Slot>,
        value: impl Into<Vec<u8>>,
        value_slot: Option<Slot>,
    ) -> &mut Self {
        self.writes.push(Write::Put { key: key.into(), key_slot, value: value.into(), value_slot });
        self
    }

    /// Removes a key.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) -> &mut Self {
        self.writes.push(Write::Delete { key: key.into() });
        self
    }

    /// Demands a value (or, with `None`, an absence).
    pub fn guard(&mut self, key: impl Into<Vec<u8>>, expected: Option<Vec<u8>>) -> &mut Self {
        self.guards.push(Guard { key: key.into(), expected });
        self
    }

    /// Whether the batch asks for a position.
    pub fn wants_position(&self) -> bool {
        self.writes.iter().any(
            |w| matches!(w, Write::Put { key_slot, value_slot, .. } if key_slot.is_some() || value_slot.is_some()),
        )
    }

    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.writes
            .iter()
            .map(|w| match w {
                Write::Put { key, value, .. } => key.len() + value.len(),
                Write::Delete { key } => key.len(),
            })
            .sum()
    }

    /// Checks the bounds that every engine enforces before it takes a batch.
    ///
    /// # Errors
    /// [`StoreError::OutOfBounds`] for a key or value that is too large, an empty key, or a slot that does not fit.
    pub fn check(&self) -> Result<(), StoreError> {
        let fits = |slot: Option<Slot>, len: usize| {
            slot.is_none_or(|Slot(at)| at.checked_add(8).is_some_and(|end| end <= len))
        };
        for write in &self.writes {
            let (key, value) = match write {
                Write::Put { key, value, key_slot, value_slot } => {
                    if !fits(*key_slot, key.len()) || !fits(*value_slot, value.len()) {
                        return Err(StoreError::OutOfBounds {
                            key_bytes: key.len(),
                            value_bytes: value.len(),
                        });
                    }
                    (key, value.len())
                }
                Write::Delete { key } => (key, 0),
            };
            if key.is_empty() || key.len() > limits::KEY_MAX_BYTES || value > limits::STORE_VALUE_MAX_BYTES {
                return Err(StoreError::OutOfBounds { key_bytes: key.len(), value_bytes: value });
            }
        }
        Ok(())
    }
}

/// What became of one batch of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Written and durable; with the position when the batch asked for one.
    Done(Option<Position>),
    /// A guard failed (its index in the batch); nothing was written.
    Conflict(usize),
}

impl Outcome {
    /// The position, when the batch was written and asked for one.
    pub fn position(self) -> Option<Position> {
        match self {
            Outcome::Done(position) => position,
            Outcome::Conflict(_) => None,
        }
    }
}

/// A row: key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// What [`Store::read`] found: the values of the keys, and one page a range.
pub type Reads = (Vec<Option<Vec<u8>>>, Vec<Vec<Row>>);

/// Keys from `from` (inclusive) to `to` (exclusive), in byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The first key that counts.
    pub from: Vec<u8>,
    /// The first key that no longer counts; empty: no end.
    pub to: Vec<u8>,
}

impl Range {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { from: prefix.to_vec(), to: after_prefix(prefix) }
    }

    /// The keys that begin with `prefix` and stand behind `key` (exclusive).
    pub fn prefix_after(prefix: &[u8], key: &[u8]) -> Self {
        let mut from = key.to_vec();
        from.push(0);
        Self { from, to: after_prefix(prefix) }
    }

    /// Whether the range can hold no key.
    pub fn is_empty(&self) -> bool {
        !self.to.is_empty() && self.from >= self.to
    }

    /// The same for an ordered map; one that can hold no key ends where it begins, because a map panics where the end comes first.
    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let to = match self.to.as_slice() {
            [] => Bound::Unbounded,
            to => Bound::Excluded(to.max(&self.from)),
        };
        (Bound::Included(&self.from), to)
    }

    /// Whether `key` lies in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.from.as_slice() && (self.to.is_empty() || key < self.to.as_slice())
    }
}

/// A key of several parts, one behind the other.
pub(crate) fn key(prefix: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + parts.iter().map(|part| part.len()).sum::<usize>());
    key.extend_from_slice(prefix);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// The first key behind every key that begins with `prefix`; empty when there is none.
pub fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    end
}

/// Which end of a range a scan begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest key first.
    Forward,
    /// Largest key first.
    Backward,
}

/// An ordered key-value store that keeps the contract at the head of this module. Calls block; a caller that may not block
/// calls from a thread of its own.
pub trait Store: Send + Sync {
    /// The values of several keys, all of one instant, in the order asked for.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Damaged`].
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Up to `limit` rows of a range (at most [`limits::SCAN_MAX_ROWS`]), all of one instant.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Damaged`].
    fn scan(&self, range: &Range, direction: Direction, limit: usize) -> Result<Vec<Row>, StoreError>;

    /// Writes batches in order, each atomically, and returns when all of them are durable. One flush serves them all. Guards of
    /// a batch see the batches before it. An `Err` means that none may be relied upon.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the disk refused; [`StoreError::OutOfBounds`] before anything was written.
    fn commit(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError>;

    /// The last position given; 0 when none was.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Damaged`].
    fn head(&self) -> Result<Position, StoreError>;

    /// Several reads of one instant: `get_many` of `keys` and one page of each range.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Damaged`].
    fn read(&self, keys: &[&[u8]], ranges: &[(Range, usize)]) -> Result<Reads, StoreError>;

    /// The value of one key.
    ///
    /// # Errors
    /// As [`Store::get_many`].
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.get_many(&[key])?.pop().flatten())
    }

    /// Writes one batch.
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn commit_one(&self, batch: Batch) -> Result<Outcome, StoreError> {
        let mut outcomes = self.commit(vec![batch])?;
        outcomes.pop().ok_or_else(|| StoreError::Io("the engine answered no outcome".into()))
    }
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        (**self).get_many(keys)
    }
    fn scan(&self, range: &Range, direction: Direction, limit: usize) -> Result<Vec<Row>, StoreError> {
        (**self).scan(range, direction, limit)
    }
    fn commit(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError> {
        (**self).commit(batches)
    }
    fn head(&self) -> Result<Position, StoreError> {
        (**self).head()
    }
    fn read(&self, keys: &[&[u8]], ranges: &[(Range, usize)]) -> Result<Reads, StoreError> {
        (**self).read(keys, ranges)
    }
}

/// The format that a store says it is of, from the value of [`FORMAT_KEY`]; `None` for an empty store.
///
/// # Errors
/// [`StoreError::TooNew`] when a newer version than `known` wrote it; [`StoreError::Damaged`].
pub fn format_of(value: Option<&[u8]>, known: u32) -> Result<Option<u32>, StoreError> {
    let Some(bytes) = value else { return Ok(None) };
    match bytes.try_into().map(u32::from_be_bytes) {
        Ok(found) if found > known => Err(StoreError::TooNew { found, known }),
        Ok(found) => Ok(Some(found)),
        Err(_) => Err(StoreError::Damaged("the format is not four bytes".into())),
    }
}

/// Key under which every engine keeps the last position. Callers' keys never begin with `!`.
pub const HEAD_KEY: &[u8] = b"!head";
/// Key under which the owner of a store keeps its format, four bytes big-endian.
pub const FORMAT_KEY: &[u8] = b"!format";
