//! The UniFFI skin for Kotlin, Swift and Python: forwarding calls, records and errors that a phone app sees.
//! It holds no domain, no network and no policy; a call that decides anything belongs to `fieldbook-device` or `core`.
//!
//! Stand-in: the calls below keep notes in memory, in the shape of the facade that replaces them.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

uniffi::setup_scaffolding!();

/// How a store is opened.
#[derive(Debug, Clone, uniffi::Record)]
pub struct Config {
    /// Folder that belongs to this store alone; made when missing.
    pub folder: String,
    /// 32 random bytes that the app keeps in the phone's key store.
    pub store_key: Vec<u8>,
}

/// One line of the list of leads.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct LeadSummary {
    /// Document id in hex.
    pub id: String,
    /// Name of the customer.
    pub customer: String,
}

/// What a round of sync did.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SyncReport {
    /// Edits that the server acknowledged as durable in this round.
    pub acknowledged: u32,
    /// Edits that still wait for the server.
    pub pending: u32,
}

/// Tells an app what to read again. It carries ids, never content.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Change {
    /// A document was written here or by somebody else.
    Document {
        /// Document id in hex.
        id: String,
    },
    /// Connection, outbox or clock state changed.
    Status,
    /// Changes were missed: everything on the screen must be read again.
    Everything,
    /// The handle was shut down: the last change that a listener gets.
    Closed,
}

/// Why a call failed. Few and coarse: an app decides by the variant and logs `detail`, which names no person.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum FieldbookError {
    /// The input can never be accepted as it is.
    #[error("invalid input: {detail}")]
    Invalid {
        /// For the log, in English.
        detail: String,
    },
    /// The handle was shut down.
    #[error("closed: {detail}")]
    Closed {
        /// For the log, in English.
        detail: String,
    },
    /// The server was not reached in time; nothing is lost and the call may be repeated.
    #[error("offline: {detail}")]
    Offline {
        /// For the log, in English.
        detail: String,
    },
    /// The call was cancelled by the app.
    #[error("cancelled: {detail}")]
    Cancelled {
        /// For the log, in English.
        detail: String,
    },
}

/// What an app's listener answers when it fails: nothing that the phone could act upon.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum ListenerError {
    /// The listener threw; the subscription goes on.
    #[error("listener failed: {detail}")]
    Failed {
        /// For the log, in English.
        detail: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for ListenerError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { detail: error.reason }
    }
}

/// Implemented by the app. Called on a thread of the library: it must return at once and may not call back in.
#[uniffi::export(with_foreign)]
pub trait ChangeListener: Send + Sync {
    /// One change, in the order in which it happened.
    fn on_change(&self, change: Change) -> Result<(), ListenerError>;
}

/// Ends a long call from another thread. One token serves one call.
#[derive(Debug, Default, uniffi::Object)]
pub struct CancelToken {
    cancelled: Mutex<bool>,
    changed: Condvar,
}

#[uniffi::export]
impl CancelToken {
    /// A token that nobody has used.
    #[uniffi::constructor]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Ends the call that holds this token; safe to repeat, safe before the call began.
    pub fn cancel(&self) {
        *locked(&self.cancelled) = true;
        self.changed.notify_all();
    }
}

impl CancelToken {
    /// Waits until cancelled (true) or until the time is over (false).
    fn wait(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut cancelled = locked(&self.cancelled);
        while !*cancelled {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            cancelled = self.changed.wait_timeout(cancelled, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

type Listeners = Mutex<BTreeMap<u64, Arc<dyn ChangeListener>>>;

/// A listener's registration; dropping or cancelling it ends the calls.
#[derive(uniffi::Object)]
pub struct Subscription {
    number: u64,
    listeners: Arc<Listeners>,
}

#[uniffi::export]
impl Subscription {
    /// Ends the calls; safe to repeat.
    pub fn cancel(&self) {
        let removed = locked(&self.listeners).remove(&self.number);
        // Dropped after the lock is free: the app's own clean-up may run now.
        drop(removed);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// The one handle of an app, usable from any thread.
#[derive(uniffi::Object)]
pub struct Fieldbook {
    state: Mutex<State>,
    listeners: Arc<Listeners>,
}

struct State {
    leads: Vec<LeadSummary>,
    next_listener: u64,
    open: bool,
}

#[uniffi::export]
impl Fieldbook {
    /// Opens or makes the store.
    #[uniffi::constructor]
    pub fn open(config: Config) -> Result<Arc<Self>, FieldbookError> {
        if config.store_key.len() != 32 {
            return Err(FieldbookError::Invalid { detail: "the store key has 32 bytes".to_owned() });
        }
        let state = Mutex::new(State { leads: Vec::new(), next_listener: 0, open: true });
        Ok(Arc::new(Self { state, listeners: Arc::default() }))
    }

    /// Creates a lead; durable when this returns.
    pub fn create_lead(&self, customer: String) -> Result<LeadSummary, FieldbookError> {
        if customer.trim().is_empty() {
            return Err(FieldbookError::Invalid { detail: "a lead needs a customer".to_owned() });
        }
        let lead = {
            let mut state = self.state()?;
            let lead = LeadSummary { id: format!("{:032x}", state.leads.len() + 1), customer };
            state.leads.push(lead.clone());
            lead
        };
        self.tell(&Change::Document { id: lead.id.clone() });
        Ok(lead)
    }

    /// The leads whose customer contains `query`; an empty query finds all.
    pub fn leads(&self, query: String) -> Result<Vec<LeadSummary>, FieldbookError> {
        Ok(self.state()?.leads.iter().filter(|lead| lead.customer.contains(&query)).cloned().collect())
    }

    /// Exchanges edits with the server; blocks at most `timeout_ms`.
    pub fn sync_now(
        &self,
        timeout_ms: u32,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<SyncReport, FieldbookError> {
        let pending = self.state()?.leads.len() as u32;
        let cancel = cancel.unwrap_or_default();
        let round = Duration::from_millis(200);
        let limit = Duration::from_millis(u64::from(timeout_ms));
        if cancel.wait(round.min(limit)) {
            return Err(FieldbookError::Cancelled { detail: "by the app".to_owned() });
        }
        if limit < round {
            return Err(FieldbookError::Offline { detail: format!("no answer within {timeout_ms} ms") });
        }
        self.tell(&Change::Status);
        Ok(SyncReport { acknowledged: pending, pending: 0 })
    }

    /// Registers a listener until the subscription is cancelled or dropped.
    pub fn subscribe(&self, listener: Arc<dyn ChangeListener>) -> Result<Arc<Subscription>, FieldbookError> {
        let number = {
            let mut state = self.state()?;
            state.next_listener += 1;
            state.next_listener
        };
        locked(&self.listeners).insert(number, listener);
        Ok(Arc::new(Subscription { number, listeners: self.listeners.clone() }))
    }

    /// Ends everything; every later call answers `Closed`. Safe to repeat.
    pub fn shutdown(&self) {
        locked(&self.state).open = false;
        self.tell(&Change::Closed);
        let listeners = std::mem::take(&mut *locked(&self.listeners));
        drop(listeners);
    }
}

impl Fieldbook {
    fn state(&self) -> Result<MutexGuard<'_, State>, FieldbookError> {
        let state = locked(&self.state);
        if state.open { Ok(state) } else { Err(FieldbookError::Closed { detail: "shut down".to_owned() }) }
    }

    /// Calls out with no lock held. A listener that throws harms nobody.
    fn tell(&self, change: &Change) {
        let listeners: Vec<_> = locked(&self.listeners).values().cloned().collect();
        for listener in listeners {
            let _ = listener.on_change(change.clone());
        }
    }
}

/// A panic elsewhere leaves the data as it was: every section under a lock is short and whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
