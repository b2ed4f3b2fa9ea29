//! Talking to the server: one task that connects when somebody wants it, the connection itself, sign-in, and evidence on its way up and down.

mod backoff;
mod connection;
pub(crate) mod download;
mod engine;
pub(crate) mod sign_in;
pub(crate) mod upload;

pub(crate) use engine::{Engine, run, within};
