//! fieldbook-device: the phone's runtime around `fieldbook-core`: one thread-safe handle ([`Fieldbook`]) over an encrypted store, the
//! operating system's clocks, the websocket, and listeners. An app in Rust uses it as it is; other languages through `fieldbook-ffi`.
//!
//! Owns: IO, threads, time-outs, words for the user. Refuses: the domain (what an edit means, what a conflict is, who may do what lives in
//! core) and bindings (UniFFI lives in `fieldbook-ffi`). Calls block: at most for a disk write, except those that take a time-out.

mod blobs;
mod cancel;
mod clock;
mod config;
mod error;
mod facade;
mod listen;
mod net;
mod records;
mod shared;
mod sync;
mod timing;
mod words;

pub use cancel::CancelToken;
pub use clock::{Clock, Entropy, OsClock, OsEntropy};
pub use config::{Config, Surroundings};
pub use error::Error;
pub use facade::Fieldbook;
pub use listen::{Change, Listener, Subscription};
pub use records::{
    AccountPage, AccountRow, Attachment, CalendarItem, ConflictChoice, ConflictItem, ContactItem, DueTodo,
    EvidenceItem, EvidencePlace, Handover, Happening, ImportedColumn, KeptItem, KeptWords, LeadPage,
    LeadQuery, LeadRow, Me, Network, Phone, Status, SyncReport, TagItem, TimelineItem, Today, TodoItem,
    Undone,
};
pub use words::Language;
