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
    AccountPage, AccountRow, Attachment, CalendarItem, CardItem, ChainItem, ChainPerson, ConflictChoice,
    ConflictItem, ContactItem, DueTodo, EndOfTalk, EvidenceItem, EvidencePlace, FieldsItem, FinishedTalk,
    FirstContact, Handover, Happening, Home, HomeCountdown, HomeReminder, HomeTask, ImportedColumn,
    JudgedTag, KeptItem, KeptWords, LeadJudgement, LeadPage, LeadQuery, LeadRow, LossItem, LossTickItem,
    LostDealItem, MaterialItem, Me, Network, NoteReading, NurturingItem, Phone, PlaybookFound, PolicyChoice,
    PolicyForms, ProposalItem, ProposalOutcome, RadarItem, ResponseItem, ResponseOutcome, StageJudgement,
    Status, SyncReport, TagItem, TagWhy, Talk, TalkPackItem, TalkPlan, TalkStart, TimelineItem, Today,
    TodoItem, Undetermined, Undone,
};
pub use words::Language;
