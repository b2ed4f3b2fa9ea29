//! Rows in sled's one tree, and how a value is cut. Refuses to trust a record whose checksum does not fit.
//!
//! A row stands under `r` ‖ key: a checksum (4 bytes), then `0` and the value, or `1` and where the value's pieces are: the
//! number of the blob (8), its length (4) and its checksum (4). A piece stands under `c` ‖ blob ‖ index (4).

use fieldbook_core::limits;
use fieldbook_core::store::{Direction, Range, Row, StoreError};
use sled::{IVec, Tree};

use crate::draft::Rows;
use crate::{be_u64, merge, record};

/// Where the pieces of a long value are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blob {
    pub(super) number: u64,
    len: usize,
    sum: u32,
}

/// A value, and where its pieces are when it is cut.
pub(super) type Stored = (Vec<u8>, Option<Blob>);

/// The value of a key.
pub(super) fn get(tree: &Tree, images: &Rows, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    match images.get(key) {
        Some(image) => Ok(image.clone()),
        None => stored(tree, key).map(|found| found.map(|(value, _)| value)),
    }
}

/// The value of a key as it stands in the tree, and where its pieces are.
pub(super) fn stored(tree: &Tree, key: &[u8]) -> Result<Option<Stored>, StoreError> {
    match tree.get(row_key(key)).map_err(broken)? {
        Some(found) => value_of(tree, key, &found).map(Some),
        None => Ok(None),
    }
}

/// One page of a range.
pub(super) fn page(
    tree: &Tree,
    images: &Rows,
    range: &Range,
    direction: Direction,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let end = if range.to.is_empty() { vec![ROW + 1] } else { row_key(&range.to) };
    let there = tree.range(row_key(&range.from)..end);
    let there = there.map(|row| row.map(|(key, found)| There { tree, key, found }).map_err(broken));
    merge::page(there, images, range, direction, limit)
}

/// One sled batch, which sled applies whole or not at all, that writes these rows; and what readers are given in their place until it is
/// durable.
pub(super) fn plan(
    tree: &Tree,
    written: Rows,
    next_blob: &mut u64,
) -> Result<(sled::Batch, Rows), StoreError> {
    let mut batch = sled::Batch::default();
    let mut before = Rows::new();
    for (key, value) in written {
        let old = stored(tree, &key)?;
        if let Some((_, Some(blob))) = &old {
            remove_pieces(&mut batch, *blob);
        }
        match &value {
            Some(value) => store(&mut batch, &key, value, next_blob),
            None => batch.remove(row_key(&key)),
        }
        before.insert(key, old.map(|(value, _)| value));
    }
    Ok((batch, before))
}

/// Adds to a sled batch what stores a value; a long one takes the next number of `next_blob`.
pub(super) fn store(batch: &mut sled::Batch, key: &[u8], value: &[u8], next_blob: &mut u64) {
    let mut payload = Vec::with_capacity(1 + value.len().min(PIECE_BYTES));
    if value.len() <= PIECE_BYTES {
        payload.push(WHOLE);
        payload.extend_from_slice(value);
    } else {
        let number = *next_blob;
        *next_blob += 1;
        payload.push(CUT);
        payload.extend_from_slice(&number.to_be_bytes());
        // A value is at most `STORE_VALUE_MAX_BYTES`.
        payload.extend_from_slice(&(value.len() as u32).to_be_bytes());
        payload.extend_from_slice(&record::checksum(b"", value).to_be_bytes());
        for (index, piece) in value.chunks(PIECE_BYTES).enumerate() {
            batch.insert(piece_key(number, index as u32), piece);
        }
    }
    batch.insert(row_key(key), record::seal(key, &payload));
}

/// Adds to a sled batch what removes the pieces of a value.
fn remove_pieces(batch: &mut sled::Batch, blob: Blob) {
    for index in 0..blob.len.div_ceil(PIECE_BYTES) {
        batch.remove(piece_key(blob.number, index as u32));
    }
}

/// Where a row stands.
fn row_key(key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + key.len());
    row.push(ROW);
    row.extend_from_slice(key);
    row
}

/// The number that the next long value may take.
pub(super) fn next_blob(tree: &Tree) -> Result<u64, StoreError> {
    let last = tree.range([PIECE]..[PIECE + 1]).next_back().transpose().map_err(broken)?;
    match last {
        Some((key, _)) => key.get(1..9).and_then(be_u64).map(|n| n + 1).ok_or_else(damaged),
        None => Ok(0),
    }
}

/// A counter among the engine's own rows.
pub(super) fn counter(tree: &Tree, key: &[u8]) -> Result<u64, StoreError> {
    match stored(tree, key)? {
        Some((value, _)) => be_u64(&value).ok_or_else(damaged),
        None => Ok(0),
    }
}

/// What any of sled's errors means to the contract.
pub(super) fn broken(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(e) => StoreError::Io(e.to_string()),
        e => StoreError::Damaged(e.to_string()),
    }
}

fn value_of(tree: &Tree, key: &[u8], found: &[u8]) -> Result<Stored, StoreError> {
    let payload = record::open(key, found)?;
    match payload.split_first() {
        Some((&WHOLE, value)) => Ok((value.to_vec(), None)),
        Some((&CUT, place)) => {
            let (number, rest) = place.split_first_chunk::<8>().ok_or_else(damaged)?;
            let (len, sum) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
            let blob = Blob {
                number: u64::from_be_bytes(*number),
                len: u32::from_be_bytes(*len) as usize,
                sum: u32::from_be_bytes(sum.try_into().map_err(|_| damaged())?),
            };
            Ok((glue(tree, blob)?, Some(blob)))
        }
        _ => Err(damaged()),
    }
}

fn glue(tree: &Tree, blob: Blob) -> Result<Vec<u8>, StoreError> {
    let mut value = Vec::with_capacity(blob.len.min(limits::STORE_VALUE_MAX_BYTES));
    for piece in tree.scan_prefix([&[PIECE], &blob.number.to_be_bytes()[..]].concat()) {
        value.extend_from_slice(&piece.map_err(broken)?.1);
    }
    if value.len() == blob.len && record::checksum(b"", &value) == blob.sum {
        Ok(value)
    } else {
        Err(damaged())
    }
}

fn piece_key(blob: u64, index: u32) -> Vec<u8> {
    [&[PIECE], &blob.to_be_bytes()[..], &index.to_be_bytes()[..]].concat()
}

fn damaged() -> StoreError {
    StoreError::Damaged("a row or a piece of its value is not what was written".into())
}

/// A row as it stands in the tree.
struct There<'a> {
    tree: &'a Tree,
    key: IVec,
    found: IVec,
}

impl merge::Found for There<'_> {
    fn key(&self) -> &[u8] {
        self.key.get(1..).unwrap_or_default()
    }

    fn open(self) -> Result<Row, StoreError> {
        let (value, _) = value_of(self.tree, self.key(), &self.found)?;
        Ok((self.key().to_vec(), value))
    }
}

/// The longest value that stands in one record, and the length of a piece. A leaf of sled's holds up to 20 records (16,
/// and 4 of a sibling that it took in): 20 × (4,096 + a key of 512) = 92 KB, below the 128 KB at which sled would put the
/// page into a file that it never syncs.
pub(super) const PIECE_BYTES: usize = 4_096;
const ROW: u8 = b'r';
const PIECE: u8 = b'c';
const WHOLE: u8 = 0;
const CUT: u8 = 1;
