//! Every time-out and interval of the phone, with its reason. Bounds of sizes and counts are in `fieldbook_core::limits`.

use std::time::Duration;

/// TCP and TLS together. A phone leaving a basement gets its first packets through within seconds or not at all.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// From a request to the whole answer: a part of evidence (256 KB) at 64 kbit/s takes 32 s.
pub(crate) const ANSWER: Duration = Duration::from_secs(60);
/// From one piece of evidence's bytes to the next, on their way down: a line that brings nothing for so long is dead, however slow it was.
pub(crate) const PIECE: Duration = Duration::from_secs(30);
/// What comes down slowly is written this often: at 45 kbit/s a broken line costs 28 KB.
pub(crate) const KEEP: Duration = Duration::from_secs(5);
/// Websocket handshake and the server's welcome.
pub(crate) const WELCOME: Duration = Duration::from_secs(20);
/// A frame that does not leave within this is stuck: 1 MiB at 128 kbit/s takes 64 s.
pub(crate) const SEND: Duration = Duration::from_secs(90);
/// Silence after which a connected phone asks whether the server is there; below the usual 60 s of carrier address translation.
pub(crate) const PING: Duration = Duration::from_secs(45);
/// Silence after which a connection counts as lost: two pings.
pub(crate) const SILENCE: Duration = Duration::from_secs(100);
/// First wait after a failed connection; doubles each time.
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// Longest wait. A phone back in the city is back within two minutes even if nobody tells the app about the network.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(120);
/// A connection on which the server answered and that lived this long, and by far longer than the wait before it, counts as good: the next
/// wait is the first one again.
pub(crate) const STEADY: Duration = Duration::from_secs(30);
/// An access token with less left than this is refreshed before it is used: a handshake takes as long.
pub(crate) const TOKEN_MARGIN_MS: i64 = 30_000;
/// How long `shutdown` waits for the connection to say goodbye.
pub(crate) const GOODBYE: Duration = Duration::from_millis(500);
