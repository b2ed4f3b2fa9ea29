//! [`FaultyStore`]: the model of the contract on a virtual disk, for simulated companies: a step that the simulator names
//! fails, or crashes the process, or nothing happens. One process at a time; a restart is [`FaultyStore::restart`].
//!
//! What it promises is what the engines promise: batches are atomic, an acknowledged commit survives, a crash keeps a
//! prefix of the batches of the commit that it interrupted. Refuses randomness: the caller says what survives.

use std::collections::BTreeMap;
use std::sync::Mutex;

use fieldbook_core::store::{
    Batch, Direction, MemoryStore, Outcome, Position, Range, Row, Store, StoreError,
};

use crate::{Dump, lock};

/// What happens at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The disk is full: the commit fails, nothing of it is kept, and the store refuses to write until a restart.
    DiskFull,
    /// The disk has become read-only: as [`Fault::DiskFull`], and it stays so over restarts until
    /// [`FaultyStore::repair`].
    ReadOnly,
    /// The process dies before this batch is written: of the commit, the batches before it are on the disk. Nobody hears
    /// an acknowledgement.
    Crash,
    /// The process dies after the whole commit is durable and before anybody hears of it.
    CrashAfterFlush,
}

/// The rows of a store at one instant, to be put back later on this or another store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot(BTreeMap<Vec<u8>, Vec<u8>>);

impl Snapshot {
    /// The rows, [`fieldbook_core::store::HEAD_KEY`] included.
    pub fn rows(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.0
    }
}

/// A store whose disk does what the caller planned.
#[derive(Debug, Default)]
pub struct FaultyStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the disk holds; a process that runs sees the same, for nothing is visible before it is durable.
    disk: MemoryStore,
    plan: BTreeMap<u64, Fault>,
    fired: BTreeMap<Fault, u64>,
    steps: u64,
    read_only: bool,
    /// Why this process may not write any more.
    failed: Option<StoreError>,
    down: bool,
}

impl FaultyStore {
    /// An empty store without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store on a disk with these rows.
    pub fn from_snapshot(snapshot: Snapshot) -> Self {
        let state = State { disk: MemoryStore::from_rows(snapshot.0), ..State::default() };
        Self { state: Mutex::new(state) }
    }

    /// Plans a fault for the batch with this number, counted from 0 over the store's whole life, restarts included.
    pub fn plan(&self, step: u64, fault: Fault) {
        lock(&self.state).plan.insert(step, fault);
    }

    /// Plans a fault for the batch `ahead` batches from now (0: the next).
    pub fn plan_ahead(&self, ahead: u64, fault: Fault) {
        let mut state = lock(&self.state);
        let step = state.steps.saturating_add(ahead);
        state.plan.insert(step, fault);
    }

    /// Batches that were handed to the disk so far.
    pub fn steps(&self) -> u64 {
        lock(&self.state).steps
    }

    /// Faults that are planned and have not happened.
    pub fn pending_faults(&self) -> usize {
        lock(&self.state).plan.len()
    }

    /// Faults that have happened, by kind: what was only planned proves nothing.
    pub fn fired(&self) -> BTreeMap<Fault, u64> {
        lock(&self.state).fired.clone()
    }

    /// Whether the process is dead: every call fails until [`FaultyStore::restart`].
    pub fn is_down(&self) -> bool {
        lock(&self.state).down
    }

    /// Kills the process now.
    pub fn crash(&self) {
        lock(&self.state).down = true;
    }

    /// Starts the process again on what the disk holds.
    pub fn restart(&self) {
        let mut state = lock(&self.state);
        state.down = false;
        state.failed = None;
    }

    /// Makes a read-only disk writable again; a failed store still wants a restart.
    pub fn repair(&self) {
        lock(&self.state).read_only = false;
    }

    /// A backup of what the disk holds.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(lock(&self.state).disk.rows())
    }

    /// Puts a backup in the place of what the disk holds, and restarts.
    pub fn restore(&self, snapshot: Snapshot) {
        lock(&self.state).disk = MemoryStore::from_rows(snapshot.0);
        self.restart();
    }

    fn running<T>(&self, work: impl FnOnce(&mut State) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut state = lock(&self.state);
        if state.down { Err(crashed()) } else { work(&mut state) }
    }
}

impl State {
    fn commit(&mut self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError> {
        batches.iter().try_for_each(Batch::check)?;
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.read_only && batches.iter().any(|b| !b.is_empty()) {
            return Err(self.fail("read-only disk"));
        }
        let first = self.steps;
        self.steps += batches.len() as u64;
        let mut die_after = false;
        for step in first..self.steps {
            let fault = self.plan.remove(&step);
            if let Some(fault) = fault {
                *self.fired.entry(fault).or_default() += 1;
            }
            match fault {
                None => {}
                Some(Fault::DiskFull) => return Err(self.fail("no space left on the disk")),
                Some(Fault::ReadOnly) => {
                    self.read_only = true;
                    return Err(self.fail("read-only disk"));
                }
                Some(Fault::Crash) => {
                    self.down = true;
                    let survivors = batches.into_iter().take((step - first) as usize).collect();
                    self.disk.commit(survivors)?;
                    return Err(crashed());
                }
                Some(Fault::CrashAfterFlush) => die_after = true,
            }
        }
        let outcomes = self.disk.commit(batches)?;
        self.down = die_after;
        if die_after { Err(crashed()) } else { Ok(outcomes) }
    }

    fn fail(&mut self, why: &str) -> StoreError {
        let error = StoreError::Io(why.into());
        self.failed = Some(error.clone());
        error
    }
}

impl Store for FaultyStore {
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.running(|state| state.disk.get_many(keys))
    }
    fn scan(&self, range: &Range, direction: Direction, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.running(|state| state.disk.scan(range, direction, limit))
    }
    fn commit(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError> {
        self.running(|state| state.commit(batches))
    }
    fn head(&self) -> Result<Position, StoreError> {
        self.running(|state| state.disk.head())
    }
    fn read(
        &self,
        keys: &[&[u8]],
        ranges: &[(Range, usize)],
    ) -> Result<(Vec<Option<Vec<u8>>>, Vec<Vec<Row>>), StoreError> {
        self.running(|state| state.disk.read(keys, ranges))
    }
}

impl Dump for FaultyStore {
    fn dump(&self, visit: &mut dyn FnMut(Row) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.running(|state| state.disk.rows().into_iter().try_for_each(visit))
    }
}

fn crashed() -> StoreError {
    StoreError::Io("the process crashed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str) -> Batch {
        let mut batch = Batch::new();
        batch.put(key, "x");
        batch
    }

    fn held(store: &FaultyStore) -> String {
        store.snapshot().rows().keys().map(|k| String::from_utf8_lossy(k).into_owned()).collect()
    }

    #[test]
    fn a_crash_keeps_a_prefix_of_the_commit_that_it_interrupts() {
        for at in 0..3u64 {
            let store = FaultyStore::new();
            store.commit_one(put("a")).unwrap();
            store.plan_ahead(at, Fault::Crash);
            assert!(store.commit(vec![put("b"), put("c"), put("d")]).is_err());
            assert!(store.is_down() && store.get(b"a").is_err() && store.head().is_err());
            assert!(store.commit_one(put("e")).is_err());
            store.restart();
            assert_eq!(held(&store), "abcd"[..=at as usize]);
            assert_eq!((store.steps(), store.pending_faults()), (4, 0));
            assert_eq!(store.fired(), BTreeMap::from([(Fault::Crash, 1)]));
        }
        let store = FaultyStore::new();
        store.plan(0, Fault::CrashAfterFlush);
        assert!(store.commit_one(put("a")).is_err() && store.is_down());
        store.restart();
        assert_eq!(held(&store), "a", "durable, though nobody heard of it");
    }

    #[test]
    fn a_disk_that_refuses_fails_the_store_until_it_is_opened_again() {
        let store = FaultyStore::new();
        store.plan(1, Fault::DiskFull);
        store.commit_one(put("a")).unwrap();
        assert!(matches!(store.commit(vec![put("b"), put("c")]), Err(StoreError::Io(_))));
        assert!(store.commit_one(put("d")).is_err() && store.get(b"a").unwrap().is_some());
        store.restart();
        store.commit_one(put("d")).unwrap();
        assert_eq!(held(&store), "ad");

        store.plan_ahead(0, Fault::ReadOnly);
        assert!(store.commit_one(put("e")).is_err());
        store.restart();
        assert!(store.commit_one(put("e")).is_err(), "still read-only");
        store.repair();
        store.restart();
        store.commit_one(put("e")).unwrap();
    }

    #[test]
    fn a_backup_put_back_is_the_store_of_that_day() {
        let store = FaultyStore::new();
        store.commit_one(put("a")).unwrap();
        let backup = store.snapshot();
        store.commit_one(put("b")).unwrap();
        store.crash();
        store.restore(backup.clone());
        assert_eq!(held(&store), "a");
        assert_eq!(FaultyStore::from_snapshot(backup).get(b"a").unwrap(), Some(b"x".to_vec()));
    }
}
