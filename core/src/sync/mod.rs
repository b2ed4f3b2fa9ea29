//! The protocol between a phone and its company's server, as values and pure state machines.
//!
//! [`message`] is the wire, [`phone`] and [`server`] are the two ends. Neither end opens a socket or reads a clock: they take
//! what arrived and give back what to send. `docs/protocol.md` describes the same bytes for a stranger.

pub mod message;
pub mod phone;

pub mod server;
