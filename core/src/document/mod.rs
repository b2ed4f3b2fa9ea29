//! Documents: the only code that reads or writes automerge.
//!
//! Owns the table of kinds and fields ([`schema`]), the one byte-identical beginning of each kind ([`genesis`]), a
//! document and its changes ([`Doc`]), edits ([`Edit`]), reading ([`read`]) and conflicts ([`Conflict`]). Everything
//! above speaks of fields and plain values and never sees an automerge type. Refuses: IO, clocks, randomness, and
//! any knowledge of what a field means to the business (that is `model` and `rules`).

mod admit;
mod chunk;
mod conflict;
mod describe;
mod doc;
mod edit;
pub mod genesis;
mod history;
mod ops;
mod past;
mod plan;
mod portions;
pub mod read;
pub mod schema;
mod undo;
mod value;

pub use admit::{
    AdmitLimits, Admitted, AdmittedAll, Again, Author, Pushed, Refusal, WriteScope, admit, admit_all,
    claimed_checksum, claimed_hash, claimed_stamp, vouched_for,
};
pub use conflict::{Conflict, ConflictValue, Path, resolution};
pub use describe::{Described, Written, describe};
pub use doc::{Doc, DocError, RawChange};
pub use edit::{Edit, EditError, Edited, retraction, retraction_id};
pub use portions::portions;
pub use read::{Clocks, Effective, LogEntry, NoClocks, Record};
pub use schema::{Field, Meaning, Part, ValueType};
pub use undo::TakeBack;
pub use value::Value;

#[cfg(test)]
mod tests;
