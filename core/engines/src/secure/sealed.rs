//! An encrypted file and its parts: the plain head, the journal, and redb's pages. Refuses a file that ends before its pages: redb would
//! take what is left for a place to begin anew.

use std::io::ErrorKind;
use std::sync::Arc;

use fieldbook_core::store::StoreError;
use redb::StorageBackend;

use super::cipher::Cipher;
use super::xts::{Part, XtsBackend};
use super::{SaltEntropy, StoreKey, head};
use crate::io_error;
use crate::journal::PAGE_BYTES;

/// The encrypted parts of one file, as its owner reads them.
#[derive(Debug)]
pub struct SealedFile<B> {
    /// What was committed last.
    pub journal: XtsBackend<B>,
    /// redb's own bytes.
    pub pages: XtsBackend<B>,
}

impl<B: StorageBackend> SealedFile<B> {
    /// The parts of the file on a backend; an empty one gets a head with this salt, and a journal of this length, in whole pages.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`], [`StoreError::TooNew`], [`StoreError::Damaged`] or [`StoreError::Io`].
    pub fn open(inner: B, key: &StoreKey, salt: SaltEntropy, journal_bytes: u32) -> Result<Self, StoreError> {
        let io = |e| io_error("the head of the encrypted file", &e);
        let len = inner.len().map_err(io)?;
        let head = if len == 0 {
            let journal_bytes = journal_bytes.next_multiple_of(PAGE_BYTES as u32);
            let (mut bytes, keys) = head::write(key, salt, journal_bytes);
            // Written, not only counted: a disk gives blocks to what is written, and giving them at each append would be a second thing to
            // flush. Zeros stand for zeros.
            bytes.resize(head::HEAD_BYTES + journal_bytes as usize, 0);
            inner.set_len(bytes.len() as u64).map_err(io)?;
            inner.write(0, &bytes).map_err(io)?;
            inner.sync_data().map_err(io)?;
            head::Head { journal_bytes, keys }
        } else {
            let mut bytes = vec![0; head::HEAD_BYTES];
            inner.read(0, &mut bytes).map_err(|e| match e.kind() {
                ErrorKind::UnexpectedEof => StoreError::Damaged("the encrypted file ends in its head".into()),
                _ => io(e),
            })?;
            let head = head::read(&bytes, key)?;
            if len <= head::HEAD_BYTES as u64 + u64::from(head.journal_bytes) {
                return Err(StoreError::Damaged("the encrypted file ends before its pages".into()));
            }
            head
        };
        let (from, len) = (head::HEAD_BYTES as u64, u64::from(head.journal_bytes));
        let (inner, cipher) = (Arc::new(inner), Arc::new(Cipher::new(&head.keys.data, &head.keys.tweak)));
        let journal = Part { from, len: Some(len), first_sector: JOURNAL_SECTOR };
        let pages = Part { from: from + len, len: None, first_sector: 0 };
        Ok(Self {
            journal: XtsBackend::new(inner.clone(), cipher.clone(), journal),
            pages: XtsBackend::new(inner, cipher, pages),
        })
    }
}

/// The journal's sectors are numbered from here; no file of redb's has as many.
const JOURNAL_SECTOR: u64 = 1 << 63;
