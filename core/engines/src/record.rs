//! The checksum that every record carries: engines verify their pages at best when they recover, so a flipped bit must be
//! found when the row is read. Refuses to repair.

use fieldbook_core::store::StoreError;

/// Bytes that a record is longer than its value.
pub(crate) const OVERHEAD_BYTES: usize = 4;

/// The bytes that stand on the disk for a row: a CRC-32 over key and value, then the value.
pub(crate) fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(OVERHEAD_BYTES + value.len());
    record.extend_from_slice(&checksum(key, value).to_be_bytes());
    record.extend_from_slice(value);
    record
}

/// The value of a record.
pub(crate) fn open<'a>(key: &[u8], record: &'a [u8]) -> Result<&'a [u8], StoreError> {
    match record.split_first_chunk::<OVERHEAD_BYTES>() {
        Some((sum, value)) if u32::from_be_bytes(*sum) == checksum(key, value) => Ok(value),
        // No part of the key: it may hold a customer's name.
        _ => Err(StoreError::Damaged("the checksum of a row does not fit".into())),
    }
}

/// CRC-32 over the key's length, the key and the value.
pub(crate) fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&(key.len() as u32).to_be_bytes());
    crc.update(key);
    crc.update(value);
    crc.finalize()
}
