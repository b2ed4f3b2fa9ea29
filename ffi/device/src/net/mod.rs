//! The way to the server: addresses, TCP with or without TLS, and plain HTTP/1.1 requests over it. Refuses to send anything in the
//! clear to another machine unless the app allowed it, and to trust a certificate without an authority.

mod address;
mod dial;
mod http;

pub(crate) use address::{Address, Invitation};
pub(crate) use dial::{Dialer, Stream};
pub(crate) use http::{Http, Reply, refusal};
