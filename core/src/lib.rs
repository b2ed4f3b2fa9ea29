//! fieldbook-core: the domain of Fieldbook, on the phone and on the server alike.
//!
//! Pure by construction: no clock, no randomness, no file, no socket, no thread. What the
//! outside world knows (the time, fresh entropy, bytes that arrived) is passed in; what should happen to
//! the outside world is returned. See `docs/architecture.md` for the tour.

pub mod access;
mod cbor;
pub mod company;
pub mod document;
pub mod ids;
pub mod language;
pub mod limits;
pub mod model;
pub mod playbook;
pub mod policy;
pub mod replica;
pub mod rules;
pub mod store;
pub mod sync;
pub mod time;
