//! Ends a long call from another thread.

use tokio::sync::watch;

/// A switch that is thrown once. One token serves one call; it may be thrown before the call began.
#[derive(Debug)]
pub struct CancelToken {
    thrown: watch::Sender<bool>,
}

impl CancelToken {
    /// A token that nobody has used.
    pub fn new() -> Self {
        Self { thrown: watch::Sender::new(false) }
    }

    /// Ends the call that holds this token; safe to repeat.
    pub fn cancel(&self) {
        self.thrown.send_replace(true);
    }

    /// Whether it was thrown.
    pub fn is_cancelled(&self) -> bool {
        *self.thrown.borrow()
    }

    /// Returns when it is thrown.
    pub(crate) async fn cancelled(&self) {
        // The sender lives as long as `self`, so this can only end by the switch.
        let _ = self.thrown.subscribe().wait_for(|thrown| *thrown).await;
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}
