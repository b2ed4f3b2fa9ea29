//! The payload of a journal's record: each row as its key's length (2 bytes, big-endian), its value's length plus one (4 bytes; 0: the row
//! was removed), the key and the value. Refuses a payload that is not that: its checksum fitted, so nobody tore it.

use fieldbook_core::store::StoreError;

use crate::draft::Rows;

/// How long the payload of these rows is.
pub(super) fn len(rows: &Rows) -> usize {
    rows.iter().map(|(key, value)| LENGTHS_BYTES + key.len() + value.as_ref().map_or(0, Vec::len)).sum()
}

/// Appends the payload.
pub(super) fn encode(rows: &Rows, out: &mut Vec<u8>) {
    for (key, value) in rows {
        // Both lengths fit: `Batch::check` has seen to the bounds of the contract.
        out.extend_from_slice(&(key.len() as u16).to_be_bytes());
        let after = value.as_ref().map_or(0, |value| value.len() as u32 + 1);
        out.extend_from_slice(&after.to_be_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value.as_deref().unwrap_or_default());
    }
}

/// Puts the rows of a payload over those of the records before it.
pub(super) fn decode(mut payload: &[u8], over: &mut Rows) -> Result<(), StoreError> {
    while !payload.is_empty() {
        let (key, value) = row(&mut payload)
            .ok_or_else(|| StoreError::Damaged("a record of the journal is not what was written".into()))?;
        over.insert(key, value);
    }
    Ok(())
}

fn row(payload: &mut &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let key_len = u16::from_be_bytes(take(payload, 2)?.try_into().ok()?);
    let after = u32::from_be_bytes(take(payload, 4)?.try_into().ok()?);
    let key = take(payload, key_len.into())?.to_vec();
    let value = match after.checked_sub(1) {
        Some(len) => Some(take(payload, len as usize)?.to_vec()),
        None => None,
    };
    Some((key, value))
}

fn take<'a>(payload: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = payload.split_at_checked(len)?;
    *payload = rest;
    Some(taken)
}

const LENGTHS_BYTES: usize = 6;
