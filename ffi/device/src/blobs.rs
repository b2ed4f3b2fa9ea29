//! Evidence bytes in the phone's encrypted store: rows of 256 KB under the hash of the whole, and one row that says what is known of them.
//! A piece is readable only when it is complete; what a crash left half-written is removed at the next opening.

use fieldbook_core::ids::{DocId, Hash32};
use fieldbook_core::limits;
use fieldbook_core::store::{Batch, Direction, Range, Store};
use fieldbook_engines::SecureStore;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// What is known of one piece.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct BlobRow {
    /// Length of the whole, bytes.
    #[n(0)]
    pub bytes: u64,
    /// How far it is.
    #[n(1)]
    pub state: BlobState,
    /// The leads that name it.
    #[n(2)]
    pub leads: Vec<DocId>,
    /// It waits for an unmetered network.
    #[n(3)]
    pub unmetered_only: bool,
    /// The server would not take it.
    #[n(4)]
    pub refused: Option<Refused>,
}

/// Why, and since when, the server does not take a piece.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Refused {
    /// Code of the error.
    #[n(0)]
    pub code: String,
    /// When it was last tried, corrected, milliseconds since 1970 UTC.
    #[n(1)]
    pub at_ms: i64,
}

/// How far a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum BlobState {
    /// Its parts are being written.
    #[n(0)]
    Incomplete,
    /// Whole on this phone, not yet on the server.
    #[n(1)]
    Waiting,
    /// Verified and durable on the server; the copy here is for reading without network.
    #[n(2)]
    Safe,
}

/// The hash under which bytes are kept.
pub(crate) fn hash_of(bytes: &[u8]) -> Hash32 {
    Hash32(Sha256::digest(bytes).into())
}

/// What is known of a piece; `None`: nothing.
pub(crate) fn row(store: &SecureStore, hash: Hash32) -> Result<Option<BlobRow>, Error> {
    let value = store.get(&row_key(hash))?;
    value.map(|value| decode(&value)).transpose()
}

/// Every piece, by hash.
pub(crate) fn rows(store: &SecureStore) -> Result<Vec<(Hash32, BlobRow)>, Error> {
    let mut out = Vec::new();
    let mut range = Range::prefix(ROWS);
    loop {
        let page = store.scan(&range, Direction::Forward, limits::SCAN_MAX_ROWS)?;
        let Some((last, _)) = page.last() else { return Ok(out) };
        range = Range::prefix_after(ROWS, last);
        for (key, value) in &page {
            if let Some(hash) = Hash32::from_slice(&key[ROWS.len()..]) {
                out.push((hash, decode(value)?));
            }
        }
    }
}

/// Writes a row.
pub(crate) fn put_row(store: &SecureStore, hash: Hash32, row: &BlobRow) -> Result<(), Error> {
    let mut batch = Batch::new();
    // Encoding into memory has no way to fail.
    batch.put(row_key(hash), minicbor::to_vec(row).unwrap_or_default());
    store.commit_one(batch)?;
    Ok(())
}

/// The server has the bytes.
pub(crate) fn mark_safe(store: &SecureStore, hash: Hash32) -> Result<(), Error> {
    match row(store, hash)? {
        Some(row) => put_row(store, hash, &BlobRow { state: BlobState::Safe, refused: None, ..row }),
        None => Ok(()),
    }
}

/// The server would not take the bytes.
pub(crate) fn mark_refused(store: &SecureStore, hash: Hash32, why: Refused) -> Result<(), Error> {
    match row(store, hash)?.filter(|row| row.state == BlobState::Waiting) {
        Some(row) => put_row(store, hash, &BlobRow { refused: Some(why), ..row }),
        None => Ok(()),
    }
}

/// Keeps bytes whole and durable, then says so in `row`.
pub(crate) fn keep(store: &SecureStore, hash: Hash32, bytes: &[u8], row: &BlobRow) -> Result<(), Error> {
    put_row(store, hash, &BlobRow { state: BlobState::Incomplete, ..row.clone() })?;
    for (lot, parts) in bytes.chunks(PARTS_A_BATCH * limits::EVIDENCE_PART_BYTES).enumerate() {
        let mut batch = Batch::new();
        for (n, part) in parts.chunks(limits::EVIDENCE_PART_BYTES).enumerate() {
            batch.put(part_key(hash, (lot * PARTS_A_BATCH + n) as u32), part);
        }
        store.commit_one(batch)?;
    }
    put_row(store, hash, row)
}

/// One part, by its number.
pub(crate) fn part(store: &SecureStore, hash: Hash32, number: u32) -> Result<Option<Vec<u8>>, Error> {
    Ok(store.get(&part_key(hash, number))?)
}

/// The whole, when it is complete here.
pub(crate) fn read(store: &SecureStore, hash: Hash32) -> Result<Option<Vec<u8>>, Error> {
    let Some(row) = row(store, hash)?.filter(|row| row.state != BlobState::Incomplete) else {
        return Ok(None);
    };
    let mut whole = Vec::with_capacity(usize::try_from(row.bytes).unwrap_or(0));
    for (_, part) in store.scan(&Range::prefix(&parts_of(hash)), Direction::Forward, limits::SCAN_MAX_ROWS)? {
        whole.extend_from_slice(&part);
    }
    if hash_of(&whole) == hash {
        Ok(Some(whole))
    } else {
        Err(Error::StoreDamaged(format!("evidence {hash}")))
    }
}

/// Removes a piece.
pub(crate) fn remove(store: &SecureStore, hash: Hash32) -> Result<(), Error> {
    let mut batch = Batch::new();
    for (key, _) in store.scan(&Range::prefix(&parts_of(hash)), Direction::Forward, limits::SCAN_MAX_ROWS)? {
        batch.delete(key);
    }
    batch.delete(row_key(hash));
    store.commit_one(batch)?;
    Ok(())
}

/// Removes what a crash left half-written.
pub(crate) fn clean(store: &SecureStore) -> Result<(), Error> {
    for (hash, _) in rows(store)?.iter().filter(|(_, row)| row.state == BlobState::Incomplete) {
        remove(store, *hash)?;
    }
    Ok(())
}

fn decode(value: &[u8]) -> Result<BlobRow, Error> {
    minicbor::decode(value).map_err(|e| Error::StoreDamaged(format!("a row of evidence: {e}")))
}

fn row_key(hash: Hash32) -> Vec<u8> {
    [ROWS, &hash.0[..]].concat()
}

fn parts_of(hash: Hash32) -> Vec<u8> {
    [PARTS, &hash.0[..]].concat()
}

fn part_key(hash: Hash32, number: u32) -> Vec<u8> {
    [PARTS, &hash.0[..], &number.to_be_bytes()].concat()
}

const ROWS: &[u8] = b"e/";
const PARTS: &[u8] = b"b/";
/// 4 MiB a batch: a photo in one, a long scan in several, so that memory stays small.
const PARTS_A_BATCH: usize = 16;

#[cfg(test)]
mod tests {
    use fieldbook_engines::StoreKey;

    use super::*;

    fn store() -> (tempfile::TempDir, SecureStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = SecureStore::open(folder.path().join("s"), &StoreKey([1; 32]), [2; 32]).unwrap();
        (folder, store)
    }

    fn row_of(bytes: &[u8], state: BlobState) -> BlobRow {
        BlobRow {
            bytes: bytes.len() as u64,
            state,
            leads: vec![DocId([2; 16])],
            unmetered_only: false,
            refused: None,
        }
    }

    #[test]
    fn bytes_come_back_whole_whatever_their_length() {
        let (_folder, store) = store();
        let part = limits::EVIDENCE_PART_BYTES;
        for len in [0, 1, part - 1, part, part + 1, 16 * part + 7] {
            let bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            let hash = hash_of(&bytes);
            keep(&store, hash, &bytes, &row_of(&bytes, BlobState::Waiting)).unwrap();
            assert_eq!(read(&store, hash).unwrap().unwrap(), bytes, "{len}");
            remove(&store, hash).unwrap();
            assert_eq!(read(&store, hash).unwrap(), None);
        }
        assert!(store.scan(&Range::prefix(PARTS), Direction::Forward, 10).unwrap().is_empty());
    }

    #[test]
    fn half_written_pieces_are_unreadable_and_go() {
        let (_folder, store) = store();
        let hash = hash_of(b"photo");
        keep(&store, hash, b"photo", &row_of(b"photo", BlobState::Incomplete)).unwrap();
        assert_eq!(read(&store, hash).unwrap(), None);
        clean(&store).unwrap();
        assert_eq!(row(&store, hash).unwrap(), None);
        assert!(store.scan(&Range::prefix(PARTS), Direction::Forward, 10).unwrap().is_empty());
    }
}
