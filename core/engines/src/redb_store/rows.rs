//! What is done to the one table of a redb store, inside a transaction that the caller sees through. Refuses to know files.

use std::hash::{BuildHasher, Hasher};
use std::io::ErrorKind;

use fieldbook_core::store::{Range, Row, StoreError};
use redb::{
    AccessGuard, Builder, Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable,
    StorageBackend, Table, TableDefinition,
};

use super::RedbOptions;
use crate::draft::Rows;
use crate::{COMMITS_KEY, COPY_BATCH_BYTES, STORE_ID_KEY, be_u64, merge, record};

pub(super) type Bytes = &'static [u8];

/// The one table.
pub(super) const ROWS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("rows");

/// What ties a store to its mark file.
pub(super) struct Marks {
    pub(super) store_id: u64,
    pub(super) commits: u64,
}

/// Opens a database on a backend, and lays the table when it is new.
pub(super) fn open_database(
    backend: impl StorageBackend,
    options: &RedbOptions,
) -> Result<(Database, Marks), StoreError> {
    let mut builder = Builder::new();
    builder.set_cache_size(options.cache_bytes).set_check_integrity_on_open(options.verify);
    let db = builder.create_with_backend(backend).map_err(broken)?;
    let found = match db.begin_read().map_err(broken)?.open_table(ROWS) {
        Ok(table) => (counter(&table, STORE_ID_KEY)?, counter(&table, COMMITS_KEY)?),
        Err(redb::TableError::TableDoesNotExist(_)) => (0, 0),
        Err(e) => return Err(broken(e)),
    };
    if let (store_id @ 1.., commits) = found {
        return Ok((db, Marks { store_id, commits }));
    }
    // Only tells one store's mark file from another's; the standard library seeds each hasher differently.
    let store_id = std::hash::RandomState::new().build_hasher().finish() | 1;
    let txn = db.begin_write().map_err(broken)?;
    {
        let mut table = txn.open_table(ROWS).map_err(broken)?;
        put(&mut table, STORE_ID_KEY, &store_id.to_be_bytes())?;
        put(&mut table, COMMITS_KEY, &0u64.to_be_bytes())?;
    }
    txn.commit().map_err(broken)?;
    Ok((db, Marks { store_id, commits: 0 }))
}

/// The value of a key, its checksum verified.
pub(super) fn get(
    table: &impl ReadableTable<Bytes, Bytes>,
    key: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    match table.get(key).map_err(broken)? {
        Some(found) => record::open(key, found.value()).map(|value| Some(value.to_vec())),
        None => Ok(None),
    }
}

/// The rows of a range, smallest key first.
pub(super) fn within<'a>(
    table: &'a ReadOnlyTable<Bytes, Bytes>,
    range: &Range,
) -> Result<impl DoubleEndedIterator<Item = Result<There<'a>, StoreError>>, StoreError> {
    let found = table.range::<&[u8]>(range.bounds()).map_err(broken)?;
    Ok(found.map(|row| row.map(|(key, value)| There { key, value }).map_err(broken)))
}

/// A row as it stands in the table.
pub(super) struct There<'a> {
    key: AccessGuard<'a, Bytes>,
    value: AccessGuard<'a, Bytes>,
}

impl merge::Found for There<'_> {
    fn key(&self) -> &[u8] {
        self.key.value()
    }

    fn open(self) -> Result<Row, StoreError> {
        let value = record::open(self.key(), self.value.value())?.to_vec();
        Ok((self.key().to_vec(), value))
    }
}

/// What a transaction leaves behind besides its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: an open after a kill walks the whole store.
    Plain,
    /// What spares that walk, for one flush more.
    Settled,
}

/// Writes rows in one durable transaction.
pub(super) fn store(db: &Database, written: &Rows, kind: Kind) -> Result<(), StoreError> {
    let mut txn = db.begin_write().map_err(broken)?;
    txn.set_durability(Durability::Immediate).map_err(broken)?;
    txn.set_quick_repair(kind == Kind::Settled);
    {
        let mut table = txn.open_table(ROWS).map_err(broken)?;
        for (key, value) in written {
            match value {
                Some(value) => put(&mut table, key, value)?,
                None => drop(table.remove(key.as_slice()).map_err(broken)?),
            }
        }
    }
    txn.commit().map_err(broken)
}

/// Copies every row, those that belong to the file included, into a database that was just laid.
pub(super) fn copy(from: &Database, to: &Database) -> Result<(), StoreError> {
    let txn = from.begin_read().map_err(broken)?;
    let table = txn.open_table(ROWS).map_err(broken)?;
    let mut rows = table.iter().map_err(broken)?.peekable();
    while rows.peek().is_some() {
        let txn = to.begin_write().map_err(broken)?;
        {
            let mut fresh = txn.open_table(ROWS).map_err(broken)?;
            let mut bytes = 0;
            while let Some(row) = rows.next_if(|_| bytes < COPY_BATCH_BYTES) {
                let (key, sealed) = row.map_err(broken)?;
                record::open(key.value(), sealed.value())?;
                bytes += key.value().len() + sealed.value().len();
                fresh.insert(key.value(), sealed.value()).map_err(broken)?;
            }
        }
        txn.commit().map_err(broken)?;
    }
    Ok(())
}

/// What any of redb's errors means to the contract.
pub(super) fn broken(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => StoreError::InUse,
        redb::Error::Corrupted(what) => StoreError::Damaged(what),
        // redb says so of a file that is not its own, or ends too early.
        redb::Error::Io(e) if matches!(e.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
            StoreError::Damaged(e.to_string())
        }
        redb::Error::Io(e) => StoreError::Io(e.to_string()),
        redb::Error::DatabaseClosed => super::closed(),
        e @ (redb::Error::PreviousIo | redb::Error::Unsupported | redb::Error::ValueTooLarge(_)) => {
            StoreError::Io(e.to_string())
        }
        e => StoreError::Damaged(e.to_string()),
    }
}

fn put(table: &mut Table<'_, Bytes, Bytes>, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    table.insert(key, record::seal(key, value).as_slice()).map_err(broken)?;
    Ok(())
}

fn counter(table: &impl ReadableTable<Bytes, Bytes>, key: &[u8]) -> Result<u64, StoreError> {
    match get(table, key)? {
        Some(value) => {
            be_u64(&value).ok_or_else(|| StoreError::Damaged("a counter is not eight bytes".into()))
        }
        None => Ok(0),
    }
}
