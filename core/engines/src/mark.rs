//! The high-water mark beside a store: how many commits were acknowledged. An engine that finds its newest commit damaged
//! may fall back to the one before and open cleanly; the mark is how that is noticed.
//!
//! It is written after every commit and never flushed: a kill keeps it (the kernel has it), a power cut may take it back,
//! and an older mark proves less but never wrongly. Refuses to fail a commit: it is evidence, not data.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fieldbook_core::store::StoreError;

use crate::lock::beside;
use crate::record::checksum;
use crate::{be_u64, io_error};

/// The mark of an open store.
#[derive(Debug)]
pub(crate) struct Mark {
    file: File,
    store_id: u64,
}

impl Mark {
    /// Whether a store once stood at this path.
    pub(crate) fn exists(store: &Path) -> bool {
        path_of(store).exists()
    }

    /// Compares the store with its mark and goes on from there.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the store holds fewer commits than were acknowledged, unless `accept_rollback`.
    pub(crate) fn open(
        store: &Path,
        store_id: u64,
        commits: u64,
        accept_rollback: bool,
    ) -> Result<Self, StoreError> {
        let path = path_of(store);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(|e| io_error("the mark file", &e))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| io_error("the mark file", &e))?;
        if let Some(acknowledged) = read(&bytes, store_id)
            && acknowledged > commits
            && !accept_rollback
        {
            return Err(StoreError::Damaged(format!(
                "{acknowledged} commits were acknowledged, {commits} are there; when an older copy was put here on purpose, \
                 open it with accept_rollback or remove the .mark file beside it"
            )));
        }
        let mut mark = Self { file, store_id };
        mark.set(commits);
        Ok(mark)
    }

    /// Notes that this many commits were made durable.
    pub(crate) fn set(&mut self, commits: u64) {
        let mut bytes = Vec::with_capacity(20);
        bytes.extend_from_slice(&self.store_id.to_be_bytes());
        bytes.extend_from_slice(&commits.to_be_bytes());
        bytes.extend_from_slice(&checksum(b"mark", &bytes).to_be_bytes());
        // A mark that could not be written proves less; the commit that it follows is durable all the same.
        let _ = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.write_all(&bytes));
    }
}

fn path_of(store: &Path) -> PathBuf {
    beside(store, "mark")
}

/// The commits that the mark vouches for, when it is whole and belongs to this store.
fn read(bytes: &[u8], store_id: u64) -> Option<u64> {
    let (body, sum) = (bytes.get(..16)?, bytes.get(16..20)?);
    let whole = checksum(b"mark", body).to_be_bytes() == sum && be_u64(&body[..8]) == Some(store_id);
    whole.then(|| be_u64(&body[8..])).flatten()
}
