//! Foreign bytes before any decoder sees them: one change chunk, whole, with its checksum, and with every count that
//! drives a loop or an allocation added up by hand. Refuses document chunks, bundles and anything unknown.
//!
//! The layout is automerge's storage format: magic, four bytes of checksum, type, length, body. A type 2 chunk holds
//! the deflated body of a type 1 chunk; it is inflated here under a cap, because a megabyte inflates to a gigabyte.

use std::io::Read;

use sha2::{Digest, Sha256};

use crate::ids::{Actor, Hash32};
use crate::limits;

/// Why bytes are not one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkError {
    /// A document, a bundle, or an unknown type.
    NotAChange,
    /// Beyond a limit, or more operations than a change may hold.
    TooLarge,
    /// Anything else.
    Malformed,
}

/// One change chunk as type 1, with what its head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scanned {
    pub raw: Vec<u8>,
    pub hash: Hash32,
    pub head: Head,
}

/// What stands before the columns of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub deps: Vec<Hash32>,
    pub actor: Actor,
    pub message: Vec<u8>,
}

/// The checksum that stands in front of a change, deflated or not: the first bytes of its hash. `None` where there is none.
pub(super) fn checksum(bytes: &[u8]) -> Option<[u8; 4]> {
    bytes.get(4..8)?.try_into().ok()
}

/// Checks that `bytes` are exactly one change chunk within the limits, inflating it if need be.
pub(super) fn scan(bytes: &[u8]) -> Result<Scanned, ChunkError> {
    if bytes.len() > limits::CHANGE_MAX_BYTES {
        return Err(ChunkError::TooLarge);
    }
    let mut input = Input(bytes);
    if input.take(4)? != MAGIC {
        return Err(ChunkError::Malformed);
    }
    let checksum = input.take(4)?;
    let kind = input.take(1)?[0];
    let declared = input.count()?;
    if declared != input.0.len() {
        return Err(ChunkError::Malformed);
    }
    let inflated;
    let body = match kind {
        CHANGE => input.0,
        DEFLATED_CHANGE => {
            inflated = inflate(input.0)?;
            &inflated
        }
        _ => return Err(ChunkError::NotAChange),
    };
    let head = scan_body(body)?;
    let hash = hash(body);
    let raw = framed(body, hash);
    if raw[4..8] != *checksum || (kind == CHANGE && raw != bytes) {
        return Err(ChunkError::Malformed);
    }
    Ok(Scanned { hash, raw, head })
}

/// The chunk of type 1 around a body.
#[cfg(test)]
pub(super) fn chunk(body: &[u8]) -> Vec<u8> {
    framed(body, hash(body))
}

fn framed(body: &[u8], hash: Hash32) -> Vec<u8> {
    let mut raw = Vec::with_capacity(body.len() + 16);
    raw.extend(MAGIC);
    raw.extend(&hash.0[..4]);
    raw.push(CHANGE);
    write_uleb(&mut raw, body.len());
    raw.extend(body);
    raw
}

fn hash(body: &[u8]) -> Hash32 {
    let mut header = vec![CHANGE];
    write_uleb(&mut header, body.len());
    let mut sha = Sha256::new();
    sha.update(&header);
    sha.update(body);
    Hash32(sha.finalize().into())
}

fn inflate(deflated: &[u8]) -> Result<Vec<u8>, ChunkError> {
    let cap = limits::CHANGE_MAX_BYTES as u64;
    let mut body = Vec::new();
    let mut reader = flate2::read::DeflateDecoder::new(deflated).take(cap + 1);
    reader.read_to_end(&mut body).map_err(|_| ChunkError::Malformed)?;
    if body.len() as u64 > cap { Err(ChunkError::TooLarge) } else { Ok(body) }
}

/// Walks the body of a change, so that no count in it can drive a decoder for long.
fn scan_body(body: &[u8]) -> Result<Head, ChunkError> {
    let mut input = Input(body);
    let deps = input.count()?;
    within(deps, limits::CHANGE_MAX_DEPS)?;
    let deps = input.take(deps * Hash32::LEN)?.chunks_exact(Hash32::LEN).filter_map(Hash32::from_slice);
    let deps = deps.collect();
    let author = actor(&mut input)?;
    let _seq = input.uleb()?;
    let _start_op = input.uleb()?;
    let _time = input.sleb()?;
    let message = input.count()?;
    within(message, limits::STAMP_MAX_BYTES)?;
    let message = input.take(message)?.to_vec();
    let others = input.count()?;
    within(others, limits::CHANGE_MAX_DEPS)?;
    for _ in 0..others {
        actor(&mut input)?;
    }
    let columns = input.count()?;
    within(columns, COLUMNS.len())?;
    let mut specs = Vec::with_capacity(columns);
    for _ in 0..columns {
        let spec = input.uleb()?;
        if !COLUMNS.contains(&spec) || specs.last().is_some_and(|(last, _)| *last >= spec) {
            return Err(ChunkError::Malformed);
        }
        specs.push((spec, input.count()?));
    }
    let mut ops = 0;
    for (spec, len) in specs {
        let column = input.take(len)?;
        match spec {
            ACTION => ops = rle(column)?.rows,
            PRED_GROUP => within_u64(rle(column)?.sum, MAX_PREDS)?,
            _ => {}
        }
    }
    // What follows the columns is automerge's field for what a later version may add. No version of ours adds.
    if !input.0.is_empty() || ops == 0 {
        return Err(ChunkError::Malformed);
    }
    within_u64(ops, limits::CHANGE_MAX_OPS as u64)?;
    Ok(Head { deps, actor: author, message })
}

fn actor(input: &mut Input<'_>) -> Result<Actor, ChunkError> {
    if input.count()? != Actor::LEN {
        return Err(ChunkError::Malformed);
    }
    Actor::from_bytes(input.take(Actor::LEN)?).ok_or(ChunkError::Malformed)
}

struct Runs {
    rows: u64,
    sum: u64,
}

/// Rows of a run-length encoded column of whole numbers, and their sum, saturating.
fn rle(column: &[u8]) -> Result<Runs, ChunkError> {
    let mut input = Input(column);
    let mut runs = Runs { rows: 0, sum: 0 };
    while !input.0.is_empty() {
        let count = input.sleb()?;
        let rows = count.unsigned_abs();
        match count {
            0 => {
                let nulls = input.uleb()?;
                runs.rows = runs.rows.saturating_add(nulls);
            }
            1.. => {
                let value = input.uleb()?;
                runs.rows = runs.rows.saturating_add(rows);
                runs.sum = runs.sum.saturating_add(value.saturating_mul(rows));
            }
            _ => {
                within_u64(rows, column.len() as u64)?;
                for _ in 0..rows {
                    runs.sum = runs.sum.saturating_add(input.uleb()?);
                }
                runs.rows = runs.rows.saturating_add(rows);
            }
        }
    }
    Ok(runs)
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ChunkError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ChunkError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn count(&mut self) -> Result<usize, ChunkError> {
        usize::try_from(self.uleb()?).map_err(|_| ChunkError::TooLarge)
    }

    fn uleb(&mut self) -> Result<u64, ChunkError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(ChunkError::Malformed);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ChunkError::Malformed)
    }

    fn sleb(&mut self) -> Result<i64, ChunkError> {
        let mut value = 0i64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let used = shift + 7;
                let negative = byte & 0x40 != 0;
                return Ok(if negative && used < 64 { value | (-1i64 << used) } else { value });
            }
        }
        Err(ChunkError::Malformed)
    }
}

pub(super) fn write_uleb(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn within(count: usize, max: usize) -> Result<(), ChunkError> {
    if count <= max { Ok(()) } else { Err(ChunkError::TooLarge) }
}

fn within_u64(count: u64, max: u64) -> Result<(), ChunkError> {
    if count <= max { Ok(()) } else { Err(ChunkError::TooLarge) }
}

pub(super) const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE: u8 = 1;
pub(super) const DEFLATED_CHANGE: u8 = 2;

/// The columns of operations that our documents need: object, key, insert, action, value, predecessors. The columns
/// of marks (expand, name) are missing on purpose, and so is everything deflated.
const COLUMNS: [u64; 13] =
    [0x01, 0x02, 0x11, 0x13, 0x15, 0x34, ACTION, 0x56, 0x57, PRED_GROUP, 0x71, 0x73, EXPAND];
const ACTION: u64 = 0x42;
const PRED_GROUP: u64 = 0x70;
/// Some writers send the column of marks although it says false everywhere.
const EXPAND: u64 = 0x94;
/// Predecessors of all operations of a change: an edit that resolves a register of every device's value names each.
const MAX_PREDS: u64 = 4 * limits::CHANGE_MAX_OPS as u64;
