//! A disk whose flush costs a fixed time: a file like any other, except that a flush sleeps instead of asking the device. Owns the count
//! of flushes. It is named in the table wherever it is used.
//!
//! A store on a backend of its caller's keeps no mark file; the product's store writes one after every commit. So that this write is in
//! what is measured, a flush makes the same write to a file of its own.

use std::cell::Cell;
use std::fs::File;
use std::io::{Error, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fieldbook_engines::StorageBackend;

/// How often it was flushed, and for how long.
#[derive(Debug, Default)]
pub struct Flushes {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl Flushes {
    /// How many.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// What one took in the mean, microseconds.
    pub fn mean_us(&self) -> f64 {
        self.nanos.load(Ordering::Relaxed) as f64 / 1e3 / self.count().max(1) as f64
    }
}

/// The file.
#[derive(Debug)]
pub struct FixedFlush {
    file: File,
    mark: File,
    flush: Duration,
    seen: Arc<Flushes>,
}

impl FixedFlush {
    /// Opens a store's file, and the stand-in for its mark file beside it.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(path: &Path, flush: Duration, seen: Arc<Flushes>) -> Result<Self, Error> {
        let file = File::options().read(true).write(true).open(path)?;
        let mark = File::create(path.with_extension("bench-mark"))?;
        Ok(Self { file, mark, flush, seen })
    }
}

impl StorageBackend for FixedFlush {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.file.metadata()?.len())
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        self.file.read_exact_at(out, offset)
    }
    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.file.set_len(len)
    }
    fn sync_data(&self) -> Result<(), Error> {
        thread_local!(static PRECISE: Cell<bool> = const { Cell::new(false) });
        if !PRECISE.replace(true) {
            // Otherwise Linux lets a sleep of 100 µs last 150. When it refuses, the mean that is printed tells.
            let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        }
        let began = Instant::now();
        std::thread::sleep(self.flush);
        self.seen.count.fetch_add(1, Ordering::Relaxed);
        self.seen.nanos.fetch_add(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
        let mut mark = &self.mark;
        mark.seek(SeekFrom::Start(0))?;
        mark.write_all(&[0x5a; MARK_BYTES])
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.file.write_all_at(data, offset)
    }
}

/// Number of the store, commits, checksum.
const MARK_BYTES: usize = 20;
