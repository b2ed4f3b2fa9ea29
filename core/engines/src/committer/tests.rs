use std::sync::atomic::{AtomicBool, Ordering};

use fieldbook_core::store::{Direction, MemoryStore, Position, Range, Row};

use super::*;
use crate::conformance::{feed, put};
use crate::faults::{Fault, FaultyStore};

/// A store whose commits wait until the test lets them through, and which notes how large each was.
struct Gated {
    inner: MemoryStore,
    gate: Mutex<mpsc::Receiver<()>>,
    entered: Mutex<mpsc::Sender<usize>>,
}

impl Gated {
    fn new() -> (Arc<Self>, mpsc::Sender<()>, mpsc::Receiver<usize>) {
        let ((open, gate), (enter, entered)) = (mpsc::channel(), mpsc::channel());
        let store = Self { inner: MemoryStore::new(), gate: Mutex::new(gate), entered: Mutex::new(enter) };
        (Arc::new(store), open, entered)
    }
}

type Reading = (Vec<Option<Vec<u8>>>, Vec<Vec<Row>>);

impl Store for Gated {
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.inner.get_many(keys)
    }
    fn scan(&self, range: &Range, direction: Direction, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.inner.scan(range, direction, limit)
    }
    fn commit(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError> {
        lock(&self.entered).send(batches.len()).unwrap();
        lock(&self.gate).recv().unwrap();
        self.inner.commit(batches)
    }
    fn head(&self) -> Result<Position, StoreError> {
        self.inner.head()
    }
    fn read(&self, keys: &[&[u8]], ranges: &[(Range, usize)]) -> Result<Reading, StoreError> {
        self.inner.read(keys, ranges)
    }
}

fn options(queue_batches: usize, group_batches: usize, group_bytes: usize) -> CommitterOptions {
    CommitterOptions { queue_batches, group_batches, group_bytes, pace: Duration::ZERO }
}

#[test]
fn a_crowd_shares_commits_at_a_pace() {
    let pace = Duration::from_millis(200);
    let (store, open, entered) = Gated::new();
    let paced = CommitterOptions { pace, ..options(100, 8, 1_000) };
    let committer = Committer::start(store, paced).unwrap();
    let began = Instant::now();
    committer.submit(feed(b"f/", b""), |_| {});
    open.send(()).unwrap();
    assert_eq!(entered.recv().unwrap(), 1, "a lone one waits for nobody");
    (0..5).for_each(|_| committer.submit(feed(b"f/", b""), |_| {}));
    open.send(()).unwrap();
    // Whatever the machine does, two commits do not begin within a pace.
    let mut together = entered.recv().unwrap();
    assert!(began.elapsed() >= pace);
    while together < 5 {
        open.send(()).unwrap();
        together += entered.recv().unwrap();
    }
}

#[test]
fn what_waits_during_a_flush_shares_the_next() {
    let (store, open, entered) = Gated::new();
    let committer = Committer::start(store, options(100, 8, 1_000)).unwrap();
    let (send, outcomes) = mpsc::channel();
    let submit = |batch: Batch| {
        let send = send.clone();
        committer.submit(batch, move |outcome| send.send(outcome.unwrap().position().unwrap()).unwrap());
    };
    submit(feed(b"f/", b""));
    assert_eq!(entered.recv().unwrap(), 1);
    (0..10).for_each(|_| submit(feed(b"f/", b"")));
    submit(feed(b"f/", &[0; 990]));
    submit(feed(b"f/", &[0; 5_000]));
    submit(feed(b"f/", b""));
    // Bounded by count, then by bytes; one that is too large goes alone.
    for size in [8, 2, 1, 1, 1] {
        open.send(()).unwrap();
        assert_eq!(entered.recv().unwrap(), size);
    }
    open.send(()).unwrap();
    committer.flush().unwrap();
    assert!(outcomes.try_iter().eq(1..=14));
}

#[test]
fn a_full_queue_refuses_who_may_not_wait() {
    let (store, open, entered) = Gated::new();
    let committer = Committer::start(store, options(2, 9, 999)).unwrap();
    let called = Arc::new(AtomicBool::new(false));
    committer.submit(put("a", ""), |_| {});
    entered.recv().unwrap();
    committer.try_submit(put("b", ""), Box::new(|_| {})).unwrap();
    committer.try_submit(put("c", ""), Box::new(|_| {})).unwrap();
    assert_eq!(committer.queued(), 2);
    let (batch, heard) = (put("d", ""), called.clone());
    let refused =
        committer.try_submit(batch.clone(), Box::new(move |_| heard.store(true, Ordering::Release)));
    let refused = refused.unwrap_err();
    assert!(!refused.shut && refused.batch == batch && !called.load(Ordering::Acquire));
    open.send(()).unwrap();
    open.send(()).unwrap();
    entered.recv().unwrap();
    committer.flush().unwrap();
    committer.try_submit(refused.batch, refused.done).unwrap();
    open.send(()).unwrap();
    committer.flush().unwrap();
    assert!(called.load(Ordering::Acquire));
}

#[test]
fn one_bad_batch_or_callback_takes_nobody_down() {
    let store = Arc::new(MemoryStore::new());
    let committer = Committer::start(store.clone(), CommitterOptions::default()).unwrap();
    committer.submit(put("a", ""), |_| panic!("the caller's bug"));
    assert!(matches!(committer.commit(put("", "")), Err(StoreError::OutOfBounds { .. })));
    assert_eq!(committer.commit(feed(b"f/", b"")).unwrap(), Outcome::Done(Some(1)));
    let mut conflict = put("b", "");
    conflict.guard("b", Some(Vec::new()));
    assert_eq!(committer.commit(conflict).unwrap(), Outcome::Conflict(0));
    committer.flush().unwrap();
    assert!(store.get(b"a").unwrap().is_some());
}

#[test]
fn a_commit_that_failed_is_told_to_everybody_and_remembered() {
    let store = Arc::new(FaultyStore::new());
    store.plan(2, Fault::DiskFull);
    let committer = Committer::start(store, CommitterOptions::default()).unwrap();
    committer.commit(put("a", "")).unwrap();
    committer.commit(put("b", "")).unwrap();
    committer.flush().unwrap();
    assert!(matches!(committer.commit(put("c", "")), Err(StoreError::Io(_))));
    assert!(matches!(committer.commit(put("d", "")), Err(StoreError::Io(_))));
    assert!(matches!(committer.flush(), Err(StoreError::Io(_))));
}

#[test]
fn dropping_it_writes_what_is_queued() {
    let store = Arc::new(MemoryStore::new());
    let committer = Committer::start(store.clone(), CommitterOptions::default()).unwrap();
    (0..500u32).for_each(|n| committer.submit(put(n.to_be_bytes(), ""), |_| {}));
    drop(committer);
    assert_eq!(store.rows().len(), 500);
}

#[test]
fn a_callback_may_hold_the_last_handle() {
    let store = Arc::new(MemoryStore::new());
    let committer = Arc::new(Committer::start(store, CommitterOptions::default()).unwrap());
    let (send, done) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let mine = committer.clone();
    committer.submit(put("a", ""), move |_| {
        wait.recv().unwrap();
        drop(mine);
        send.send(()).unwrap();
    });
    drop(committer);
    go.send(()).unwrap();
    done.recv().unwrap();
}
