//! Listeners and cancel tokens: the two things that cross the border in the other direction, or on another thread.

use std::sync::Arc;

use fieldbook_core::ids::DocId;
use fieldbook_device::{Change, Listener};

/// Tells an app what to read again. It carries ids, never content.
#[uniffi::remote(Enum)]
pub enum Change {
    /// A lead, its table or its evidence was written here or by somebody else, or it left this phone.
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
    /// Changes were missed, or are too many to name: everything on the screen must be read again.
    Everything,
    /// The handle was shut down: the last change that a listener gets.
    Closed,
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

/// Implemented by the app. Called on one thread of the library, in the order in which things happened; others wait while it does not
/// return.
#[uniffi::export(with_foreign)]
pub trait ChangeListener: Send + Sync {
    /// One change.
    fn on_change(&self, change: Change) -> Result<(), ListenerError>;
}

/// A listener of the app as the device wants it.
pub(crate) struct Adapter(pub Arc<dyn ChangeListener>);

impl Listener for Adapter {
    fn on_change(&self, change: Change) {
        // A listener that throws harms nobody.
        if self.0.on_change(change).is_err() {
            tracing::debug!("a listener of the app failed");
        }
    }
}

/// A listener's registration; dropping or cancelling it ends the calls.
#[derive(uniffi::Object)]
pub struct Subscription(pub(crate) fieldbook_device::Subscription);

#[uniffi::export]
impl Subscription {
    /// Ends the calls; safe to repeat. A call that is under way on another thread may still end after this.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// Ends a long call from another thread. One token serves one call.
#[derive(uniffi::Object)]
pub struct CancelToken(pub(crate) Arc<fieldbook_device::CancelToken>);

#[uniffi::export]
impl CancelToken {
    /// A token that nobody has used.
    #[uniffi::constructor]
    #[allow(
        clippy::new_without_default,
        reason = "the other languages call it; Rust apps use the device's own"
    )]
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Arc::default()))
    }

    /// Ends the call that holds this token; safe to repeat, safe before the call began.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
