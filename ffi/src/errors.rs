//! The one error of the facade: few and coarse variants, each with a stable code, a sentence for the user and a detail for the log.

use fieldbook_device::{Error, Language};

/// Why a call failed. An app decides by the variant (or by `code`), shows `text`, and logs `detail`, which names no person.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum FieldbookError {
    /// The input cannot be accepted as it is, or there is nothing to do: mandatory fields, nothing to undo, a decision that came too late.
    #[error("{code}: {detail}")]
    Invalid {
        /// Stable, for programs.
        code: String,
        /// For the user, in the language of the handle.
        text: String,
        /// For the log, in English.
        detail: String,
    },
    /// This phone does not hold it (any more), or not what would have to be known to say it.
    #[error("{code}: {detail}")]
    NotFound {
        /// Stable, for programs.
        code: String,
        /// For the user, in the language of the handle.
        text: String,
        /// For the log, in English.
        detail: String,
    },
    /// The phone is not enrolled, enrolled already, signed out or wiped.
    #[error("{code}: {detail}")]
    Enrolment {
        /// Stable, for programs.
        code: String,
        /// For the user, in the language of the handle.
        text: String,
        /// For the log, in English.
        detail: String,
    },
    /// Too long without contact: reads are locked until the next one. What waits for the server is kept.
    #[error("{code}: {detail}")]
    Locked {
        /// Stable, for programs.
        code: String,
        /// For the user, in the language of the handle.
        text: String,
        /// For the log, in English.
        detail: String,
    },
    /// The store: wrong key, newer version, in use, damaged, disk full.
    #[error("{code}: {detail}")]
    Storage {
        /// Stable, for programs.
        code: String,
        /// For the user, in the language of the handle.
        text: String,
        /// For the log, in English.
        detail: String,
    },
    /// The server was not reached in time; nothing is lost and the call may be repeated.
    #[error("{code}: {detail}")]
    Offline {
        /// Stable, for programs.
        code: String,
        /// For the user, in the language of the handle.
        text: String,
        /// For the log, in English.
        detail: String,
    },
    /// The server said no, or cannot be trusted: a used code, an old app, a certificate of nobody. Or it is for leaders alone.
    #[error("{code}: {detail}")]
    Refused {
        /// Stable, for programs.
        code: String,
        /// For the user, in the language of the handle.
        text: String,
        /// For the log, in English.
        detail: String,
    },
    /// The call was cancelled by the app.
    #[error("{code}: {detail}")]
    Cancelled {
        /// Stable, for programs.
        code: String,
        /// For the user, in the language of the handle.
        text: String,
        /// For the log, in English.
        detail: String,
    },
    /// The handle was shut down.
    #[error("{code}: {detail}")]
    Closed {
        /// Stable, for programs.
        code: String,
        /// For the user, in the language of the handle.
        text: String,
        /// For the log, in English.
        detail: String,
    },
}

impl FieldbookError {
    /// An error of the device in the user's language.
    pub(crate) fn of(error: &Error, language: Language) -> Self {
        let (code, text, detail) = (error.code().to_owned(), error.text(language), error.to_string());
        match error {
            Error::Missing { .. }
            | Error::Invalid(_)
            | Error::Invitation(_)
            | Error::TooLarge(_)
            | Error::Stale
            | Error::OwnProposal
            | Error::NothingToUndo
            | Error::OutboxFull => Self::Invalid { code, text, detail },
            Error::NotFound(_) | Error::Undetermined { .. } => Self::NotFound { code, text, detail },
            Error::NotEnrolled
            | Error::AlreadyEnrolled
            | Error::SomebodyElse
            | Error::Forgotten(_)
            | Error::SignedOut(_)
            | Error::Wiped => Self::Enrolment { code, text, detail },
            Error::Locked { .. } => Self::Locked { code, text, detail },
            Error::WrongKey
            | Error::StoreTooNew { .. }
            | Error::StoreInUse
            | Error::Disk(_)
            | Error::StoreDamaged(_)
            | Error::System(_) => Self::Storage { code, text, detail },
            Error::Offline(_) | Error::TimedOut(_) => Self::Offline { code, text, detail },
            Error::Certificate(_)
            | Error::PlainHttp
            | Error::Server { .. }
            | Error::Version(_)
            | Error::LeadersOnly => Self::Refused { code, text, detail },
            Error::Cancelled => Self::Cancelled { code, text, detail },
            Error::Closed => Self::Closed { code, text, detail },
        }
    }
}
