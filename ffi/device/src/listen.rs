//! Listeners: what tells an app to read again. One thread calls them in the order in which things happened, with no lock held, so a
//! listener that is slow or calls back in harms nobody but itself. Changes carry ids, never content.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fieldbook_core::ids::DocId;

/// Tells an app what to read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A lead, its ruling, its table or its evidence was written here or by somebody else, or it left this phone.
    Lead {
        /// The lead.
        id: DocId,
    },
    /// A calendar was written.
    Calendar,
    /// Another document was written: directory, policy, an account.
    Document {
        /// The document.
        id: DocId,
    },
    /// Connection, outbox, evidence or clock state changed.
    Status,
    /// Too much changed to name it: everything on the screen must be read again.
    Everything,
    /// The handle was shut down: the last change that a listener gets.
    Closed,
}

/// Implemented by whoever wants to know.
pub trait Listener: Send + Sync {
    /// One change, in the order in which it happened. Called on a thread of the library; while it does not return, others wait.
    fn on_change(&self, change: Change);
}

/// A listener's registration; dropping or cancelling it ends the calls.
pub struct Subscription {
    number: u64,
    board: Arc<Board>,
}

impl Subscription {
    /// Ends the calls; safe to repeat. A call that is under way on another thread may still end after this.
    pub fn cancel(&self) {
        let removed = self.board.state().listeners.remove(&self.number);
        // Dropped after the lock is free: the app's own clean-up may run now.
        drop(removed);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// Takes changes from anywhere and hands them to the listeners.
pub(crate) struct Notifier {
    board: Arc<Board>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    listeners: BTreeMap<u64, Registered>,
    waiting: VecDeque<(u64, Change)>,
    /// Changes were lost since the last one in `waiting`.
    overflow: bool,
    told: u64,
    next_listener: u64,
    closing: bool,
    ended: bool,
}

struct Registered {
    /// Only what was told later concerns it.
    since: u64,
    listener: Arc<dyn Listener>,
}

impl Notifier {
    /// Starts the thread.
    ///
    /// # Errors
    /// The machine gives no thread.
    pub fn start() -> std::io::Result<Self> {
        let board = Arc::new(Board { state: Mutex::default(), changed: Condvar::new() });
        let theirs = board.clone();
        let thread =
            std::thread::Builder::new().name("fieldbook-changes".into()).spawn(move || theirs.run())?;
        Ok(Self { board, thread: Mutex::new(Some(thread)) })
    }

    /// Registers a listener for everything from now on; `None` after the end.
    pub fn subscribe(&self, listener: Arc<dyn Listener>) -> Option<Subscription> {
        let mut state = self.board.state();
        if state.closing {
            return None;
        }
        state.next_listener += 1;
        let (number, since) = (state.next_listener, state.told);
        state.listeners.insert(number, Registered { since, listener });
        Some(Subscription { number, board: self.board.clone() })
    }

    /// Tells everybody, soon.
    pub fn tell(&self, changes: impl IntoIterator<Item = Change>) {
        let mut state = self.board.state();
        if state.closing {
            return;
        }
        for change in changes {
            state.told += 1;
            if state.listeners.is_empty() {
                continue;
            }
            let (number, full) = (state.told, state.waiting.len() >= WAITING_MAX);
            match state.waiting.back_mut() {
                // What waits says the same, now to everybody who listens by now.
                Some(last) if last.1 == change => last.0 = number,
                _ if full => state.overflow = true,
                _ => state.waiting.push_back((number, change)),
            }
        }
        self.board.changed.notify_all();
    }

    /// Tells [`Change::Closed`] behind what waits, and forgets the listeners. Waits a moment for a listener that is busy.
    pub fn end(&self) {
        let mut state = self.board.state();
        state.closing = true;
        self.board.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let from_listener = thread.as_ref().is_some_and(|t| t.thread().id() == std::thread::current().id());
        if thread.is_some() && !from_listener {
            let waited = self.board.changed.wait_timeout_while(state, END_WAIT, |state| !state.ended);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every section under the lock is short and whole: a panic elsewhere leaves the data as it was.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        while let Some((number, change)) = self.next() {
            let concerned: Vec<Arc<dyn Listener>> = {
                let state = self.state();
                let all = state.listeners.values().filter(|r| r.since < number);
                all.map(|r| r.listener.clone()).collect()
            };
            call(&concerned, change);
        }
        let last: Vec<Arc<dyn Listener>> = {
            let listeners = std::mem::take(&mut self.state().listeners);
            listeners.into_values().map(|r| r.listener).collect()
        };
        call(&last, Change::Closed);
        drop(last);
        self.state().ended = true;
        self.changed.notify_all();
    }

    /// The next change; `None` at the end.
    fn next(&self) -> Option<(u64, Change)> {
        let mut state = self.state();
        loop {
            if let Some(next) = state.waiting.pop_front() {
                return Some(next);
            }
            if std::mem::take(&mut state.overflow) {
                return Some((state.told, Change::Everything));
            }
            if state.closing {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn call(listeners: &[Arc<dyn Listener>], change: Change) {
    for listener in listeners {
        if catch_unwind(AssertUnwindSafe(|| listener.on_change(change))).is_err() {
            tracing::warn!("a listener panicked");
        }
    }
}

/// As many changes as a screen can sensibly be behind; more and reading everything again is cheaper.
const WAITING_MAX: usize = 1_024;
/// A listener that takes longer at the end is left behind.
const END_WAIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    struct Relay(Mutex<Sender<Change>>);

    impl Listener for Relay {
        fn on_change(&self, change: Change) {
            let _ = self.0.lock().unwrap().send(change);
        }
    }

    #[test]
    fn changes_come_in_order_and_end_with_closed() {
        let notifier = Notifier::start().unwrap();
        notifier.tell([Change::Status]);
        let (tx, rx) = channel();
        let kept = notifier.subscribe(Arc::new(Relay(Mutex::new(tx)))).unwrap();
        notifier.tell([Change::Calendar, Change::Status]);
        notifier.end();
        assert_eq!(rx.iter().collect::<Vec<_>>(), [Change::Calendar, Change::Status, Change::Closed]);
        assert!(notifier.subscribe(Arc::new(Relay(Mutex::new(channel().0)))).is_none());
        drop(kept);
    }

    struct Slow(Mutex<std::sync::mpsc::Receiver<()>>, Mutex<Sender<Change>>);

    impl Listener for Slow {
        fn on_change(&self, change: Change) {
            let _ = self.0.lock().unwrap().recv();
            let _ = self.1.lock().unwrap().send(change);
        }
    }

    #[test]
    fn a_slow_listener_learns_that_it_missed_something() {
        let notifier = Notifier::start().unwrap();
        let (go, gate) = channel();
        let (tx, rx) = channel();
        let _kept = notifier.subscribe(Arc::new(Slow(Mutex::new(gate), Mutex::new(tx)))).unwrap();
        for n in 0..3_000u32 {
            let mut id = [2u8; 16];
            id[12..].copy_from_slice(&n.to_be_bytes());
            notifier.tell([Change::Lead { id: DocId(id) }]);
        }
        drop(go);
        notifier.end();
        let seen: Vec<Change> = rx.iter().collect();
        assert!(seen.len() <= WAITING_MAX + 4, "{}", seen.len());
        assert_eq!(&seen[seen.len() - 2..], [Change::Everything, Change::Closed]);
    }

    #[test]
    fn a_cancelled_subscription_hears_nothing() {
        let notifier = Notifier::start().unwrap();
        let (tx, rx) = channel();
        notifier.subscribe(Arc::new(Relay(Mutex::new(tx)))).unwrap().cancel();
        notifier.tell([Change::Status]);
        notifier.end();
        assert_eq!(rx.iter().count(), 0);
    }
}
