//! The encrypting page backend: AES-256-XTS over any backend of redb, behind the plain head of [`super::head`].
//!
//! redb 4.5 writes whole pages (a power of two times 4,096 bytes, aligned) and its header of 320 bytes at offset 0, and
//! reads these and the 9 bytes of its magic number. Those take the short way; any other range is read, changed and written
//! back by the cipher blocks that it touches. Refuses lengths that are no multiple of a block, which redb never asks for.

use std::io::{Error, ErrorKind};
use std::sync::RwLock;

use fieldbook_core::store::StoreError;
use redb::StorageBackend;

use super::cipher::Cipher;
use super::{SaltEntropy, StoreKey, head};
use crate::io_error;

/// Encrypts what redb stores on another backend, length for length.
pub struct XtsBackend<B> {
    inner: B,
    cipher: Cipher,
    /// Held whole by a change that first reads what it changes.
    change: RwLock<()>,
}

impl<B: StorageBackend> XtsBackend<B> {
    /// Wraps a backend; an empty one gets a head with this salt.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`], [`StoreError::TooNew`], [`StoreError::Damaged`] or [`StoreError::Io`].
    pub fn new(inner: B, key: &StoreKey, salt: SaltEntropy) -> Result<Self, StoreError> {
        let io = |e| io_error("the head of the encrypted file", &e);
        let keys = if inner.len().map_err(io)? == 0 {
            let (bytes, keys) = head::write(key, salt);
            inner.set_len(head::HEAD_BYTES as u64).map_err(io)?;
            inner.write(0, &bytes).map_err(io)?;
            inner.sync_data().map_err(io)?;
            keys
        } else {
            let mut bytes = vec![0; head::HEAD_BYTES];
            inner.read(0, &mut bytes).map_err(|e| match e.kind() {
                ErrorKind::UnexpectedEof => StoreError::Damaged("the encrypted file ends in its head".into()),
                _ => io(e),
            })?;
            head::read(&bytes, key)?
        };
        let cipher = Cipher::new(&keys.data, &keys.tweak);
        Ok(Self { inner, cipher, change: RwLock::new(()) })
    }

    /// Reads and decrypts whole blocks, the first of which begins a sector.
    fn read_sectors(&self, from: u64, bytes: &mut [u8]) -> Result<(), Error> {
        self.inner.read(from + HEAD, bytes)?;
        for (i, sector) in bytes.chunks_mut(SECTOR).enumerate() {
            self.decrypt(from / SECTOR as u64 + i as u64, sector);
        }
        Ok(())
    }

    fn decrypt(&self, number: u64, sector: &mut [u8]) {
        // Which blocks were never written must be seen before they are decrypted.
        let mut blank = [false; SECTOR / BLOCK];
        for (block, blank) in sector.chunks_exact(BLOCK).zip(&mut blank) {
            *blank = block == [0; BLOCK];
        }
        if blank[..sector.len() / BLOCK].iter().all(|b| *b) {
            return;
        }
        self.cipher.decrypt(number, sector);
        for (block, _) in sector.chunks_exact_mut(BLOCK).zip(blank).filter(|(_, blank)| *blank) {
            block.fill(0);
        }
    }

    /// Encrypts whole blocks, the first of which begins a sector.
    fn encrypt(&self, from: u64, bytes: &mut [u8]) {
        for (i, sector) in bytes.chunks_mut(SECTOR).enumerate() {
            self.cipher.encrypt(from / SECTOR as u64 + i as u64, sector);
        }
    }

    /// The whole blocks around a range, from the beginning of its first sector: where it begins, and its bytes.
    fn around(&self, offset: u64, len: usize) -> Result<(u64, Vec<u8>), Error> {
        let from = offset - offset % SECTOR as u64;
        let end = (offset + len as u64).next_multiple_of(BLOCK as u64);
        if end > self.len()? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; (end - from) as usize];
        self.read_sectors(from, &mut bytes)?;
        Ok((from, bytes))
    }
}

impl<B: StorageBackend> StorageBackend for XtsBackend<B> {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.inner.len()?.saturating_sub(HEAD))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let _unchanged = self.change.read().map_err(poisoned)?;
        if offset.is_multiple_of(SECTOR as u64) && out.len().is_multiple_of(BLOCK) {
            return self.read_sectors(offset, out);
        }
        let (from, bytes) = self.around(offset, out.len())?;
        let at = (offset - from) as usize;
        out.copy_from_slice(&bytes[at..at + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        if !len.is_multiple_of(BLOCK as u64) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a length that is no multiple of a cipher block",
            ));
        }
        // What grows is zeros on the inner backend, and an all-zero block stands for zeros.
        self.inner.set_len(len + HEAD)
    }

    fn sync_data(&self) -> Result<(), Error> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        if offset.is_multiple_of(SECTOR as u64) && data.len().is_multiple_of(BLOCK) {
            let mut bytes = data.to_vec();
            self.encrypt(offset, &mut bytes);
            let _together = self.change.read().map_err(poisoned)?;
            return self.inner.write(offset + HEAD, &bytes);
        }
        let _alone = self.change.write().map_err(poisoned)?;
        let end = offset + data.len() as u64;
        if end > self.len()? {
            self.set_len(end.next_multiple_of(BLOCK as u64))?;
        }
        let (from, mut bytes) = self.around(offset, data.len())?;
        let at = (offset - from) as usize;
        bytes[at..at + data.len()].copy_from_slice(data);
        self.encrypt(from, &mut bytes);
        let first = at - at % BLOCK;
        self.inner.write(from + first as u64 + HEAD, &bytes[first..])
    }

    fn close(&self) -> Result<(), Error> {
        self.inner.close()
    }
}

impl<B: std::fmt::Debug> std::fmt::Debug for XtsBackend<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("XtsBackend").field("inner", &self.inner).finish_non_exhaustive()
    }
}

fn poisoned<T>(_: std::sync::PoisonError<T>) -> Error {
    Error::other("the encrypting backend panicked before")
}

const HEAD: u64 = head::HEAD_BYTES as u64;
/// The unit that has a tweak of its own: redb's page.
const SECTOR: usize = 4_096;
/// The unit of the cipher.
const BLOCK: usize = 16;
