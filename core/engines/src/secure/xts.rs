//! The encrypting page backend: AES-256-XTS over a part of any backend of redb's, the pages of redb or the journal.
//!
//! redb 4.5 writes whole pages (a power of two times 4,096 bytes, aligned) and its header of 320 bytes at offset 0, and
//! reads these and the 9 bytes of its magic number; the journal writes whole pages. Those take the short way; any other range is read,
//! changed and written back by the cipher blocks that it touches. Refuses lengths that are no multiple of a block, which redb never asks
//! for.

use std::io::{Error, ErrorKind};
use std::sync::{Arc, RwLock};

use redb::StorageBackend;

use super::cipher::Cipher;

/// Encrypts what is stored in a part of another backend, length for length.
pub struct XtsBackend<B> {
    inner: Arc<B>,
    cipher: Arc<Cipher>,
    part: Part,
    /// Held whole by a change that first reads what it changes.
    change: RwLock<()>,
}

/// Which part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Where it begins on the other backend: a multiple of 4,096 bytes.
    pub(super) from: u64,
    /// Its length; none for a part that ends where the other backend ends, and grows with it.
    pub(super) len: Option<u64>,
    /// The number of its first sector, which is that sector's tweak: no two parts of one file may share any.
    pub(super) first_sector: u64,
}

impl<B: StorageBackend> XtsBackend<B> {
    pub(super) fn new(inner: Arc<B>, cipher: Arc<Cipher>, part: Part) -> Self {
        Self { inner, cipher, part, change: RwLock::new(()) }
    }

    /// Reads and decrypts whole blocks, the first of which begins a sector.
    fn read_sectors(&self, from: u64, bytes: &mut [u8]) -> Result<(), Error> {
        self.inner.read(from + self.part.from, bytes)?;
        for (i, sector) in bytes.chunks_mut(SECTOR).enumerate() {
            self.decrypt(self.number(from) + i as u64, sector);
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
            self.cipher.encrypt(self.number(from) + i as u64, sector);
        }
    }

    /// The number of the sector at an offset.
    fn number(&self, offset: u64) -> u64 {
        self.part.first_sector + offset / SECTOR as u64
    }

    /// Refuses a range that reaches out of a part of a fixed length, into another.
    fn within(&self, offset: u64, len: usize) -> Result<(), Error> {
        match self.part.len {
            Some(end) if offset.saturating_add(len as u64) > end => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
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
        match self.part.len {
            Some(len) => Ok(len),
            None => Ok(self.inner.len()?.saturating_sub(self.part.from)),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        self.within(offset, out.len())?;
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
        if self.part.len.is_some() {
            return Err(Error::new(ErrorKind::InvalidInput, "a part of a fixed length"));
        }
        // What grows is zeros on the inner backend, and an all-zero block stands for zeros.
        self.inner.set_len(len + self.part.from)
    }

    fn sync_data(&self) -> Result<(), Error> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.within(offset, data.len())?;
        if offset.is_multiple_of(SECTOR as u64) && data.len().is_multiple_of(BLOCK) {
            let mut bytes = data.to_vec();
            self.encrypt(offset, &mut bytes);
            let _together = self.change.read().map_err(poisoned)?;
            return self.inner.write(offset + self.part.from, &bytes);
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
        self.inner.write(from + first as u64 + self.part.from, &bytes[first..])
    }

    fn close(&self) -> Result<(), Error> {
        self.inner.close()
    }
}

impl<B: std::fmt::Debug> std::fmt::Debug for XtsBackend<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("XtsBackend")
            .field("inner", &self.inner)
            .field("part", &self.part)
            .finish_non_exhaustive()
    }
}

fn poisoned<T>(_: std::sync::PoisonError<T>) -> Error {
    Error::other("the encrypting backend panicked before")
}

/// The unit that has a tweak of its own: redb's page, and the journal's.
const SECTOR: usize = 4_096;
/// The unit of the cipher.
const BLOCK: usize = 16;
