//! Talking to the server: one task that connects when somebody wants it, the connection itself, sign-in, and evidence on its way up.

mod backoff;
mod connection;
mod engine;
pub(crate) mod sign_in;
pub(crate) mod upload;

pub(crate) use engine::{Engine, run, within};
