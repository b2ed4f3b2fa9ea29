//! One thread that groups what many callers want written into one flush: everything that was queued while the previous
//! flush ran, or came too soon behind it, goes into the next. Nobody else commits, so callbacks come in the order of positions.
//!
//! Refuses to guess what a failed commit left: every batch of the group gets the error.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fieldbook_core::limits;
use fieldbook_core::store::{Batch, Outcome, Store, StoreError};

use crate::lock;

/// Called once, on the committer's thread, when the batch is durable or refused. It must not block, and must not wait for
/// the committer: it bridges (sends on a channel, wakes a task) and returns.
pub type Done = Box<dyn FnOnce(Result<Outcome, StoreError>) + Send>;

/// The bounds of a committer.
#[derive(Debug, Clone, Copy)]
pub struct CommitterOptions {
    /// Batches that may wait.
    pub queue_batches: usize,
    /// Batches that one commit takes.
    pub group_batches: usize,
    /// Bytes of keys and values that one commit takes (or one batch, if that is larger).
    pub group_bytes: usize,
    /// The least time between the beginnings of two commits, unless a full group waits. What comes meanwhile goes together.
    pub pace: Duration,
}

impl Default for CommitterOptions {
    fn default() -> Self {
        Self {
            queue_batches: limits::COMMIT_QUEUE_BATCHES,
            group_batches: limits::COMMIT_GROUP_BATCHES,
            group_bytes: limits::COMMIT_GROUP_BYTES,
            pace: Duration::from_micros(limits::COMMIT_PACE_US),
        }
    }
}

/// A batch that was not taken, with its callback uncalled.
pub struct Refused {
    /// The batch.
    pub batch: Batch,
    /// Its callback.
    pub done: Done,
    /// Whether the committer is shutting down (otherwise the queue is full).
    pub shut: bool,
}

impl std::fmt::Debug for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refused").field("shut", &self.shut).finish_non_exhaustive()
    }
}

/// The one writer of a store. Dropping it writes what is queued, then returns.
#[derive(Debug)]
pub struct Committer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the machine gives no thread.
    pub fn start(store: Arc<dyn Store>, options: CommitterOptions) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            filled: Condvar::new(),
            freed: Condvar::new(),
            options,
        });
        let work = shared.clone();
        let thread =
            std::thread::Builder::new().name("fieldbook-commit".into()).spawn(move || work.run(&*store));
        let thread = thread.map_err(|e| StoreError::Io(format!("no thread for the committer: {e}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Queues a batch; waits while the queue is full. `done` gets the outcome. After shutdown began it gets an error.
    pub fn submit(&self, batch: Batch, done: impl FnOnce(Result<Outcome, StoreError>) + Send + 'static) {
        if let Err(refused) = self.shared.push(Entry::Batch(batch, Box::new(done)), true)
            && let Entry::Batch(_, done) = refused.0
        {
            done(Err(shut_down()));
        }
    }

    /// Queues a batch without ever waiting: for callers that may not block.
    ///
    /// # Errors
    /// [`Refused`], with batch and callback, when the queue is full or the committer shuts down.
    pub fn try_submit(&self, batch: Batch, done: Done) -> Result<(), Box<Refused>> {
        match self.shared.push(Entry::Batch(batch, done), false) {
            Err(Unqueued(Entry::Batch(batch, done), shut)) => Err(Box::new(Refused { batch, done, shut })),
            _ => Ok(()),
        }
    }

    /// Queues a batch and waits until it is durable. Not for use in a callback.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit(&self, batch: Batch) -> Result<Outcome, StoreError> {
        let (send, receive) = mpsc::sync_channel(1);
        self.submit(batch, move |result| {
            let _ = send.send(result);
        });
        receive.recv().unwrap_or_else(|_| Err(shut_down()))
    }

    /// Waits until everything that was queued before has been answered. Not for use in a callback.
    ///
    /// # Errors
    /// The error of the last commit that failed, if one ever did.
    pub fn flush(&self) -> Result<(), StoreError> {
        let (send, receive) = mpsc::sync_channel(1);
        self.shared.push(Entry::Barrier(send), true).map_err(|_| shut_down())?;
        receive.recv().unwrap_or_else(|_| Err(shut_down()))
    }

    /// Batches that wait now.
    pub fn queued(&self) -> usize {
        lock(&self.shared.queue).entries.len()
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        lock(&self.shared.queue).shut = true;
        self.shared.filled.notify_all();
        self.shared.freed.notify_all();
        if let Some(thread) = self.thread.take()
            // The last handle may be dropped by a callback: the thread cannot wait for itself.
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

enum Entry {
    Batch(Batch, Done),
    Barrier(mpsc::SyncSender<Result<(), StoreError>>),
}

struct Unqueued(Entry, bool);

#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    shut: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    freed: Condvar,
    options: CommitterOptions,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Shared {
    fn push(&self, entry: Entry, wait: bool) -> Result<(), Unqueued> {
        let mut queue = lock(&self.queue);
        while !queue.shut && queue.entries.len() >= self.options.queue_batches.max(1) {
            if !wait {
                return Err(Unqueued(entry, false));
            }
            queue = self.freed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if queue.shut {
            return Err(Unqueued(entry, true));
        }
        queue.entries.push_back(entry);
        self.filled.notify_one();
        Ok(())
    }

    /// Everything that waits, up to the bounds; `None` when there is nothing more to come. `began` is when the last commit did.
    fn take(&self, began: Option<Instant>) -> Option<Vec<Entry>> {
        let mut queue = lock(&self.queue);
        while queue.entries.is_empty() {
            if queue.shut {
                return None;
            }
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let early = began.map_or(Duration::ZERO, |began| self.options.pace.saturating_sub(began.elapsed()));
        if !early.is_zero() && !queue.shut && queue.entries.len() < self.options.group_batches {
            // Nobody wakes this thread meanwhile: that would cost what the pace is to save.
            drop(queue);
            std::thread::sleep(early);
            queue = lock(&self.queue);
        }
        let (mut group, mut bytes) = (Vec::new(), 0usize);
        while let Some(entry) = queue.entries.front() {
            let size = if let Entry::Batch(batch, _) = entry { batch.bytes() } else { 0 };
            let full =
                group.len() >= self.options.group_batches.max(1) || bytes + size > self.options.group_bytes;
            if full && !group.is_empty() {
                break;
            }
            bytes += size;
            group.extend(queue.entries.pop_front());
        }
        self.freed.notify_all();
        Some(group)
    }

    fn run(&self, store: &dyn Store) {
        let mut failed = None;
        let mut began = None;
        while let Some(group) = self.take(began) {
            began = Some(Instant::now());
            self.commit_group(store, group, &mut failed);
        }
    }

    fn commit_group(&self, store: &dyn Store, group: Vec<Entry>, failed: &mut Option<StoreError>) {
        let mut batches = Vec::with_capacity(group.len());
        let mut waiting = Vec::with_capacity(group.len());
        for entry in group {
            match entry {
                // A batch that is out of bounds would take the whole group down with it.
                Entry::Batch(batch, done) => match batch.check() {
                    Ok(()) => {
                        batches.push(batch);
                        waiting.push(Waiting::Written(done));
                    }
                    Err(error) => waiting.push(Waiting::Refused(done, error)),
                },
                Entry::Barrier(send) => waiting.push(Waiting::Barrier(send)),
            }
        }
        let expected = batches.len();
        let answer = if batches.is_empty() { Ok(Vec::new()) } else { store.commit(batches) };
        let answer = match answer {
            Ok(outcomes) if outcomes.len() != expected => {
                Err(StoreError::Io("the engine answered another number of outcomes".into()))
            }
            answer => answer,
        };
        if let Err(error) = &answer {
            *failed = Some(error.clone());
        }
        let mut outcomes = answer.as_deref().unwrap_or_default().iter();
        for entry in waiting {
            let outcome = match &entry {
                Waiting::Written(_) => answer.as_ref().map_err(Clone::clone).and_then(|_| {
                    outcomes
                        .next()
                        .copied()
                        .ok_or_else(|| StoreError::Io("the engine answered no outcome".into()))
                }),
                Waiting::Refused(_, error) => Err(error.clone()),
                Waiting::Barrier(_) => Ok(Outcome::Done(None)),
            };
            match entry {
                // A callback that panics is its owner's bug; the others still get their answers.
                Waiting::Written(done) | Waiting::Refused(done, _) => {
                    let _ = catch_unwind(AssertUnwindSafe(|| done(outcome)));
                }
                Waiting::Barrier(send) => {
                    let _ = send.send(failed.clone().map_or(Ok(()), Err));
                }
            }
        }
    }
}

enum Waiting {
    Written(Done),
    Refused(Done, StoreError),
    Barrier(mpsc::SyncSender<Result<(), StoreError>>),
}

fn shut_down() -> StoreError {
    StoreError::Io("the committer is shut down".into())
}

#[cfg(test)]
mod tests;
