//! [`VirtualDisk`]: a disk in memory under redb that keeps apart what was written and what was flushed. A power cut keeps
//! everything flushed, and of the rest whatever a disk may keep: nothing, all, some of the writes in any order, each torn
//! at sectors of 512 bytes. It can also be full, read-only, or lose power at the n-th operation.
//!
//! Refuses threads of its own and real time: a seed is a run.

use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::Dice;
use crate::lock;

/// A handle on a virtual disk; clones share it.
#[derive(Debug, Clone, Default)]
pub struct VirtualDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    durable: Vec<u8>,
    current: Vec<u8>,
    unflushed: Vec<Operation>,
    limits: DiskLimits,
    counts: DiskCounts,
    powered_off: bool,
}

#[derive(Debug, Clone)]
enum Operation {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

/// When the disk begins to refuse.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskLimits {
    /// Growing beyond this length fails as on a full disk.
    pub capacity_bytes: Option<u64>,
    /// Every change fails.
    pub read_only: bool,
    /// A flush says that it was done and does nothing: a disk on which no promise can be kept.
    pub lies: bool,
    /// The power goes with the operation (write, length or flush) that has this number, counted from 0: it may be kept
    /// in part, and every later one fails.
    pub power_cut_at: Option<u64>,
}

/// What the disk was asked to do so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskCounts {
    /// Writes, changes of length and flushes.
    pub operations: u64,
    /// Flushes alone.
    pub flushes: u64,
    /// Bytes that were read.
    pub read_bytes: u64,
    /// Writes since the last flush.
    pub unflushed_writes: u64,
}

impl VirtualDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that holds these bytes, durable.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        let disk = Self::new();
        {
            let mut state = lock(&disk.0);
            state.current.clone_from(&bytes);
            state.durable = bytes;
        }
        disk
    }

    /// Sets when it refuses.
    pub fn limit(&self, limits: DiskLimits) {
        lock(&self.0).limits = limits;
    }

    /// What it was asked so far.
    pub fn counts(&self) -> DiskCounts {
        let state = lock(&self.0);
        let writes = state.unflushed.iter().filter(|o| matches!(o, Operation::Write(..)));
        DiskCounts { unflushed_writes: writes.count() as u64, ..state.counts }
    }

    /// The bytes as a reader of the running machine sees them.
    pub fn bytes(&self) -> Vec<u8> {
        lock(&self.0).current.clone()
    }

    /// Cuts the power and returns the disk as the next start finds it: a fresh disk without limits.
    pub fn after_power_cut(&self, dice: &mut Dice) -> Self {
        let state = lock(&self.0);
        let mut bytes = state.durable.clone();
        let fate = dice.below(4);
        let count = state.unflushed.len() as u64;
        let cut = dice.below(count + 1);
        // What the disk's cache wrote last need not be what it was given last, but of two writes of one sector the
        // later is never overtaken by the earlier: keeping a subset in order covers every order.
        for (i, operation) in state.unflushed.iter().enumerate() {
            let keep = match fate {
                0 => false,
                1 => (i as u64) < cut,
                2 => dice.one_in(2),
                _ => true,
            };
            let torn = fate == 2 || (fate == 1 && i as u64 == cut);
            match operation {
                Operation::Write(at, data) if torn => tear(&mut bytes, *at, data, dice),
                operation if keep => operation.apply(&mut bytes),
                _ => {}
            }
        }
        Self::from_bytes(bytes)
    }
}

impl StorageBackend for VirtualDisk {
    fn len(&self) -> Result<u64, Error> {
        Ok(lock(&self.0).current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let mut state = lock(&self.0);
        let from = offset as usize;
        let found = state.current.get(from..from + out.len());
        out.copy_from_slice(found.ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?);
        state.counts.read_bytes += out.len() as u64;
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        lock(&self.0).change(Operation::SetLen(len as usize))
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        lock(&self.0).change(Operation::Write(offset as usize, data.to_vec()))
    }

    fn sync_data(&self) -> Result<(), Error> {
        let mut state = lock(&self.0);
        state.count()?;
        state.counts.flushes += 1;
        if state.limits.lies {
            return Ok(());
        }
        for operation in std::mem::take(&mut state.unflushed) {
            operation.apply(&mut state.durable);
        }
        Ok(())
    }
}

impl Operation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Operation::Write(at, data) => place(bytes, *at, data),
            Operation::SetLen(len) => bytes.resize(*len, 0),
        }
    }
}

impl State {
    fn change(&mut self, operation: Operation) -> Result<(), Error> {
        if self.limits.read_only {
            return Err(Error::from(ErrorKind::ReadOnlyFilesystem));
        }
        let end = match &operation {
            Operation::Write(at, data) => at + data.len(),
            Operation::SetLen(len) => *len,
        };
        if end > self.current.len() && self.limits.capacity_bytes.is_some_and(|most| end as u64 > most) {
            return Err(Error::from(ErrorKind::StorageFull));
        }
        let on_before = !self.powered_off;
        let powered = self.count();
        // The operation during which the power goes may reach the disk, or a part of it.
        if on_before {
            operation.apply(&mut self.current);
            self.unflushed.push(operation);
        }
        powered
    }

    fn count(&mut self) -> Result<(), Error> {
        if self.powered_off {
            return Err(Error::other("the power is off"));
        }
        self.counts.operations += 1;
        self.powered_off = self.limits.power_cut_at.is_some_and(|at| self.counts.operations > at);
        if self.powered_off { Err(Error::other("the power went")) } else { Ok(()) }
    }
}

fn place(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

/// Keeps a random half of the sectors of a write.
fn tear(bytes: &mut Vec<u8>, at: usize, data: &[u8], dice: &mut Dice) {
    let (mut from, end) = (at, at + data.len());
    while from < end {
        let to = (from / SECTOR_BYTES + 1) * SECTOR_BYTES;
        let to = to.min(end);
        if dice.one_in(2) {
            place(bytes, from, &data[from - at..to - at]);
        }
        from = to;
    }
}

/// What a disk writes whole.
const SECTOR_BYTES: usize = 512;
