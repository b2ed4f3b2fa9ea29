//! Evidence bytes in the phone's encrypted store: rows of 256 KB under the hash of the whole, and one row that says what is known of them.
//! A piece is readable only when it is complete; what a crash left half-written is removed at the next opening.

use fieldbook_core::ids::{DocId, Hash32};
use fieldbook_core::limits;
use fieldbook_core::replica::mark_wiped;
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
    /// The log epoch of the server that acknowledged the bytes. A server that was restored may have lost them.
    #[n(5)]
    pub safe_in: Option<u64>,
}

impl BlobRow {
    /// A piece that is on this phone and of which the server has said nothing.
    pub fn waiting(bytes: u64, lead: DocId, unmetered_only: bool) -> Self {
        Self {
            bytes,
            state: BlobState::Waiting,
            leads: vec![lead],
            unmetered_only,
            refused: None,
            safe_in: None,
        }
    }

    /// A copy of what others have sent, of which nothing is here yet.
    pub fn coming(bytes: u64, lead: DocId) -> Self {
        Self { state: BlobState::Coming, ..Self::waiting(bytes, lead, false) }
    }

    /// As it is once the server of an epoch has the bytes.
    pub fn safe(self, epoch: u64) -> Self {
        Self { state: BlobState::Safe, refused: None, safe_in: Some(epoch), ..self }
    }

    /// As it is to a phone that is in an epoch: what an earlier server had acknowledged waits to be offered to this one, which says at once
    /// when it has it.
    fn seen_in(self, epoch: u64) -> Self {
        match self.state {
            BlobState::Safe if self.safe_in != Some(epoch) => Self { state: BlobState::Waiting, ..self },
            _ => self,
        }
    }
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
    /// Sent by this phone, verified and durable on the server of the phone's epoch; the copy here is for reading without network.
    #[n(2)]
    Safe,
    /// Fetched from the server for reading. This phone has not sent it, and nobody could read it for that: it is not offered.
    #[n(3)]
    Fetched,
    /// Being fetched. What came so far is kept, and the next call goes on behind it.
    #[n(4)]
    Coming,
}

impl BlobState {
    /// Whether all of the bytes are here.
    pub fn is_whole(self) -> bool {
        !matches!(self, BlobState::Incomplete | BlobState::Coming)
    }
}

/// How far a piece has come that is being fetched.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The part to go on with; those before it are whole.
    pub number: u32,
    /// What is here of it.
    pub part: Vec<u8>,
}

/// The hash under which bytes are kept.
pub(crate) fn hash_of(bytes: &[u8]) -> Hash32 {
    Hash32(Sha256::digest(bytes).into())
}

/// What is known of a piece in an epoch; `None`: nothing.
pub(crate) fn row(store: &SecureStore, hash: Hash32, epoch: u64) -> Result<Option<BlobRow>, Error> {
    Ok(stored(store, hash)?.map(|row| row.seen_in(epoch)))
}

fn stored(store: &SecureStore, hash: Hash32) -> Result<Option<BlobRow>, Error> {
    let value = store.get(&row_key(hash))?;
    value.map(|value| decode(&value)).transpose()
}

/// Every piece, by hash, as it is in an epoch.
pub(crate) fn rows(store: &SecureStore, epoch: u64) -> Result<Vec<(Hash32, BlobRow)>, Error> {
    let mut out = Vec::new();
    let mut range = Range::prefix(ROWS);
    loop {
        let page = store.scan(&range, Direction::Forward, limits::SCAN_MAX_ROWS)?;
        let Some((last, _)) = page.last() else { return Ok(out) };
        range = Range::prefix_after(ROWS, last);
        for (key, value) in &page {
            if let Some(hash) = Hash32::from_slice(&key[ROWS.len()..]) {
                out.push((hash, decode(value)?.seen_in(epoch)));
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

/// The server of an epoch has the bytes.
pub(crate) fn mark_safe(store: &SecureStore, hash: Hash32, epoch: u64) -> Result<(), Error> {
    match stored(store, hash)? {
        Some(row) => put_row(store, hash, &row.safe(epoch)),
        None => Ok(()),
    }
}

/// The server of an epoch would not take the bytes.
pub(crate) fn mark_refused(store: &SecureStore, hash: Hash32, epoch: u64, why: Refused) -> Result<(), Error> {
    match row(store, hash, epoch)?.filter(|row| row.state == BlobState::Waiting) {
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
    if stored(store, hash)?.is_none_or(|row| !row.state.is_whole()) {
        return Ok(None);
    }
    let whole = come(store, hash)?;
    if hash_of(&whole) == hash {
        Ok(Some(whole))
    } else {
        Err(Error::StoreDamaged(format!("evidence {hash}")))
    }
}

/// All that is here of a piece, in order.
pub(crate) fn come(store: &SecureStore, hash: Hash32) -> Result<Vec<u8>, Error> {
    let parts = store.scan(&Range::prefix(&parts_of(hash)), Direction::Forward, limits::SCAN_MAX_ROWS)?;
    Ok(parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>().concat())
}

/// Begins to fetch a piece, or goes on with it: then `row` adds its leads to those that name it.
pub(crate) fn begin(store: &SecureStore, hash: Hash32, row: &BlobRow) -> Result<Kept, Error> {
    let Some(mut known) = stored(store, hash)?.filter(|row| row.state == BlobState::Coming) else {
        remove(store, hash)?;
        put_row(store, hash, row)?;
        return Ok(Kept::default());
    };
    let more = row.leads.iter().filter(|lead| !known.leads.contains(lead)).copied().collect::<Vec<_>>();
    if !more.is_empty() || known.bytes != row.bytes {
        known.leads.extend(more);
        put_row(store, hash, &BlobRow { bytes: row.bytes, ..known })?;
    }
    let last = store.scan(&Range::prefix(&parts_of(hash)), Direction::Backward, 1)?.pop();
    let Some((key, part)) = last else { return Ok(Kept::default()) };
    let number = key.last_chunk::<4>().map_or(0, |number| u32::from_be_bytes(*number));
    let is_full = part.len() == limits::EVIDENCE_PART_BYTES;
    Ok(if is_full { Kept { number: number + 1, part: Vec::new() } } else { Kept { number, part } })
}

/// Keeps what has come of a part.
///
/// # Errors
/// [`Error::NotFound`] when the piece is not being fetched any more: it was attached here meanwhile, or has to go.
pub(crate) fn keep_part(store: &SecureStore, hash: Hash32, number: u32, part: &[u8]) -> Result<(), Error> {
    coming(store, hash)?;
    let mut batch = Batch::new();
    batch.put(part_key(hash, number), part);
    store.commit_one(batch)?;
    Ok(())
}

/// All of a piece has come, and is what it should be.
///
/// # Errors
/// As [`keep_part`].
pub(crate) fn arrived(store: &SecureStore, hash: Hash32, bytes: u64) -> Result<(), Error> {
    let row = coming(store, hash)?;
    put_row(store, hash, &BlobRow { bytes, state: BlobState::Fetched, ..row })
}

/// Removes a piece that is being fetched, and no other.
pub(crate) fn drop_coming(store: &SecureStore, hash: Hash32) -> Result<(), Error> {
    if coming(store, hash).is_ok() { remove(store, hash) } else { Ok(()) }
}

fn coming(store: &SecureStore, hash: Hash32) -> Result<BlobRow, Error> {
    let row = stored(store, hash)?.filter(|row| row.state == BlobState::Coming);
    row.ok_or_else(|| Error::NotFound(format!("evidence {hash}")))
}

/// Removes a piece.
pub(crate) fn remove(store: &SecureStore, hash: Hash32) -> Result<(), Error> {
    let mut batch = Batch::new();
    for (key, _) in store.scan(&Range::prefix(&parts_of(hash)), Direction::Forward, limits::SCAN_MAX_ROWS)? {
        batch.delete(key);
    }
    batch.delete(row_key(hash));
    mark_wiped(&mut batch);
    store.commit_one(batch)?;
    Ok(())
}

/// Removes what a crash left half-written.
pub(crate) fn clean(store: &SecureStore) -> Result<(), Error> {
    for (hash, _) in rows(store, 0)?.iter().filter(|(_, row)| row.state == BlobState::Incomplete) {
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
        BlobRow { state, ..BlobRow::waiting(bytes.len() as u64, DocId([2; 16]), false) }
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
        assert_eq!(stored(&store, hash).unwrap(), None);
        assert!(store.scan(&Range::prefix(PARTS), Direction::Forward, 10).unwrap().is_empty());
    }

    #[test]
    fn what_an_earlier_server_had_is_offered_to_the_restored_one() {
        let (_folder, store) = store();
        let hash = hash_of(b"photo");
        keep(&store, hash, b"photo", &row_of(b"photo", BlobState::Waiting)).unwrap();
        let state = |epoch| row(&store, hash, epoch).unwrap().unwrap().state;
        mark_safe(&store, hash, 7).unwrap();
        assert_eq!((state(7), state(8)), (BlobState::Safe, BlobState::Waiting));
        let why = || Refused { code: "evidence_size".into(), at_ms: 1 };
        mark_refused(&store, hash, 7, why()).unwrap();
        assert_eq!(row(&store, hash, 8).unwrap().unwrap().refused, None, "it had taken it");
        mark_refused(&store, hash, 8, why()).unwrap();
        assert_eq!(row(&store, hash, 8).unwrap().unwrap().refused, Some(why()));
        mark_safe(&store, hash, 8).unwrap();
        assert_eq!((state(7), state(8)), (BlobState::Waiting, BlobState::Safe));
        assert_eq!(rows(&store, 8).unwrap()[0].1.refused, None);
    }
}
