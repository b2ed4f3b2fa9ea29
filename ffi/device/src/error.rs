//! Why a call failed. One enum for the facade; an app decides by [`Error::code`], shows [`Error::text`] and logs the display form, which
//! names no person.

use fieldbook_core::document::EditError;
use fieldbook_core::ids::UserId;
use fieldbook_core::replica::ReplicaError;
use fieldbook_core::rules::Unknown;
use fieldbook_core::store::StoreError;

use crate::words::{self, Language};

/// Why a call failed. Unless a variant says otherwise nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Mandatory fields of a lead (C3, C11) or of an account are empty, by their names in the table of fields.
    #[error("mandatory fields are empty: {}", .fields.join(", "))]
    Missing {
        /// Field names.
        fields: Vec<&'static str>,
    },
    /// The input can never be accepted as it is.
    #[error("invalid input: {0}")]
    Invalid(String),
    /// The text is no invitation of a Fieldbook server.
    #[error("not an invitation: {0}")]
    Invitation(String),
    /// A value or a file is larger than the bound.
    #[error("too large: {0}")]
    TooLarge(String),
    /// This phone does not hold it (any more).
    #[error("not on this phone: {0}")]
    NotFound(String),
    /// What was to be decided has changed meanwhile: read it again.
    #[error("what was to be decided has changed meanwhile")]
    Stale,
    /// It cannot be said from what this phone holds; the names of what would have to be known, in Chinese.
    #[error("it cannot be said without: {}", .missing.join(", "))]
    Undetermined {
        /// What is missing.
        missing: Vec<String>,
    },
    /// It is for managers, by the directory.
    #[error("only a manager may do this")]
    LeadersOnly,
    /// An approval needs somebody else than who proposed.
    #[error("nobody approves what they proposed themselves")]
    OwnProposal,
    /// There is nothing to take back.
    #[error("there is nothing to take back")]
    NothingToUndo,
    /// The phone is not enrolled.
    #[error("this phone is not enrolled")]
    NotEnrolled,
    /// The phone is enrolled already and its sign-in is good, or the code is of another server: it is for another phone.
    #[error("this phone is enrolled already")]
    AlreadyEnrolled,
    /// The phone is signed out and the code is for another user, or of another company: only a code for its own user brings it back. The
    /// code is as good as before.
    #[error("the code is not for the user of this phone")]
    SomebodyElse,
    /// The server came back from a backup that is older than this phone's user. An administrator adds them again under the id that they
    /// had and makes a code for them; what the phone holds is kept.
    #[error("the server was restored and does not know user {0} of this phone any more")]
    Forgotten(UserId),
    /// Too long without contact: reads are locked until the next one; what waits for the server is kept.
    #[error("reads are locked after {days} days without contact")]
    Locked {
        /// Whole days since the last contact.
        days: u32,
    },
    /// More than a year's work waits for the server.
    #[error("the outbox is full")]
    OutboxFull,
    /// The key does not open this store.
    #[error("the key does not open this store")]
    WrongKey,
    /// A newer version of the app wrote this store.
    #[error("the store has format {found}; this version reads up to {known}")]
    StoreTooNew {
        /// The format in the store.
        found: u32,
        /// The newest that this version knows.
        known: u32,
    },
    /// Another process, or another handle of this one, holds the store.
    #[error("the store is in use")]
    StoreInUse,
    /// The disk refused: full, read-only, gone.
    #[error("the disk failed: {0}")]
    Disk(String),
    /// What is on the disk is not what was written there.
    #[error("the store is damaged: {0}")]
    StoreDamaged(String),
    /// The server was not reached. Nothing is lost, the call may be repeated.
    #[error("the server was not reached: {0}")]
    Offline(String),
    /// The time that the app gave was over. Nothing is lost, the call may be repeated.
    #[error("not done within {0} ms")]
    TimedOut(u64),
    /// The server's certificate is not trusted.
    #[error("the server's certificate is not trusted: {0}")]
    Certificate(String),
    /// The address is `http://` and not this machine.
    #[error("an http:// address would send everything readable; the server needs https://")]
    PlainHttp,
    /// The server said no.
    #[error("the server refused ({code}): {detail}")]
    Server {
        /// The server's stable code, such as `code_used`.
        code: String,
        /// Its sentence.
        detail: String,
    },
    /// The server no longer knows this sign-in: a new code for the same user brings the phone back (`enrol`). What it holds and what waits in
    /// the outbox is kept.
    #[error("this phone is signed out: {0}")]
    SignedOut(String),
    /// The server told this phone to delete everything, and it did.
    #[error("this phone was wiped by its company")]
    Wiped,
    /// The server speaks no protocol version that this app knows.
    #[error("the app is too old or too new for the server: {0}")]
    Version(String),
    /// The app cancelled the call. What was done until then is kept; the call may be repeated.
    #[error("cancelled by the app")]
    Cancelled,
    /// The handle was shut down.
    #[error("the handle was shut down")]
    Closed,
    /// The operating system gave no thread or no file.
    #[error("the operating system refused: {0}")]
    System(String),
}

impl Error {
    /// Stable, for programs: one word for each row of the table of sentences.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Missing { .. } => "missing",
            Error::Invalid(_) => "invalid",
            Error::Invitation(_) => "invitation",
            Error::TooLarge(_) => "too_large",
            Error::NotFound(_) => "not_found",
            Error::Stale => "stale",
            Error::Undetermined { .. } => "undetermined",
            Error::LeadersOnly => "leaders_only",
            Error::OwnProposal => "own_proposal",
            Error::NothingToUndo => "nothing_to_undo",
            Error::NotEnrolled => "not_enrolled",
            Error::AlreadyEnrolled => "already_enrolled",
            Error::SomebodyElse => "somebody_else",
            Error::Forgotten(_) => "user_forgotten",
            Error::Locked { .. } => "locked",
            Error::OutboxFull => "outbox_full",
            Error::WrongKey => "wrong_key",
            Error::StoreTooNew { .. } => "store_too_new",
            Error::StoreInUse => "store_in_use",
            Error::Disk(_) => "disk",
            Error::StoreDamaged(_) => "store_damaged",
            Error::Offline(_) => "offline",
            Error::TimedOut(_) => "timed_out",
            Error::Certificate(_) => "certificate",
            Error::PlainHttp => "plain_http",
            Error::Server { code, .. } => words::server_code(code),
            Error::SignedOut(_) => "signed_out",
            Error::Wiped => "wiped",
            Error::Version(_) => "version",
            Error::Cancelled => "cancelled",
            Error::Closed => "closed",
            Error::System(_) => "system",
        }
    }

    /// The sentence for the user.
    pub fn text(&self, language: Language) -> String {
        let sentence = words::sentence(self.code(), language).to_owned();
        match self {
            Error::Missing { fields } => {
                let join = if language == Language::Chinese { "、" } else { ", " };
                let names: Vec<String> =
                    fields.iter().map(|field| words::mandatory(field, language)).collect();
                sentence.replace("{}", &names.join(join))
            }
            Error::Undetermined { missing } => sentence.replace("{}", &missing.join("、")),
            Error::Locked { days } => sentence.replace("{}", &days.to_string()),
            Error::Forgotten(user) => sentence.replace("{}", &user.to_string()),
            _ => sentence,
        }
    }

    /// Whether trying again later cannot help without somebody doing something to this phone. A certificate of nobody is mostly that of
    /// a hotel's login page, or right but for the phone's date: both pass by themselves.
    pub(crate) fn is_final(&self) -> bool {
        !matches!(
            self,
            Error::Offline(_)
                | Error::TimedOut(_)
                | Error::Certificate(_)
                | Error::Server { .. }
                | Error::Disk(_)
                | Error::Cancelled
        )
    }
}

impl From<Unknown> for Error {
    fn from(unknown: Unknown) -> Self {
        Error::Undetermined { missing: unknown.names.into_iter().collect() }
    }
}

impl From<ReplicaError> for Error {
    fn from(error: ReplicaError) -> Self {
        match error {
            ReplicaError::Store(error) => error.into(),
            ReplicaError::Row { key, detail } => Error::StoreDamaged(format!("row {key}: {detail}")),
            ReplicaError::Edit(error) => error.into(),
            ReplicaError::Unknown(doc) => Error::NotFound(doc.to_string()),
            ReplicaError::NotEnrolled => Error::NotEnrolled,
            ReplicaError::AlreadyEnrolled => Error::AlreadyEnrolled,
            ReplicaError::Locked { days } => Error::Locked { days },
            ReplicaError::OutboxFull => Error::OutboxFull,
            ReplicaError::NothingToUndo => Error::NothingToUndo,
        }
    }
}

impl From<EditError> for Error {
    fn from(error: EditError) -> Self {
        match error {
            EditError::TooLarge { .. } => Error::TooLarge(error.to_string()),
            EditError::NoRecord(_) => Error::NotFound(error.to_string()),
            _ => Error::Invalid(error.to_string()),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Io(detail) => Error::Disk(detail),
            StoreError::Damaged(detail) => Error::StoreDamaged(detail),
            StoreError::TooNew { found, known } => Error::StoreTooNew { found, known },
            StoreError::WrongKey => Error::WrongKey,
            StoreError::InUse => Error::StoreInUse,
            StoreError::OutOfBounds { .. } => Error::TooLarge(error.to_string()),
        }
    }
}
