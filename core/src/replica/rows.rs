//! The rows of a phone's store and their bytes.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::ReplicaError;
use crate::access::Role;
use crate::ids::{DeviceId, DocId, Hash32, UserId};
use crate::store::Position;
use crate::sync::message::{ChannelState, HoldReason, Origin, RefuseCode, Voucher};
use crate::time::{ClockKnowledge, HighWater};

pub(crate) use crate::cbor::encode;

/// Who this phone is, from its enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Identity {
    /// This device.
    #[n(0)]
    pub device: DeviceId,
    /// Its user.
    #[n(1)]
    pub user: UserId,
    /// The user's name.
    #[n(2)]
    pub user_name: String,
    /// The company's name.
    #[n(3)]
    pub company: String,
    /// Address of the company's server.
    #[n(4)]
    pub server_url: String,
    /// The refresh token; each use replaces it.
    #[n(5)]
    pub refresh_token: String,
    /// IANA name of the company's time zone: what "today" means.
    #[n(6)]
    pub zone: String,
}

/// Where the phone stands with its server.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct SyncRow {
    /// Log epoch of the cursor; 0: never connected.
    #[n(0)]
    pub epoch: u64,
    /// Everything up to this position is stored.
    #[n(1)]
    pub cursor: Position,
    /// Incarnation of this phone's actor.
    #[n(2)]
    pub incarnation: u32,
    /// The channels that it holds.
    #[n(3)]
    pub channels: Vec<ChannelState>,
    /// Days without contact after which reads lock.
    #[n(4)]
    pub lock_after_days: u32,
    /// The user's role at the last contact.
    #[n(5)]
    pub role: Role,
    /// How far the wall clock was off at the last contact, milliseconds.
    #[n(6)]
    pub skew_ms: i64,
    /// The server was restored: when every channel is full again, what it did not send in its new epoch is not there any more.
    #[n(7)]
    pub sweep: bool,
    /// The server has said that this device is revoked: it is being heard for the last time, and what is written from now on might not be.
    #[n(8)]
    #[cbor(default)]
    pub leaving: bool,
}

impl Default for SyncRow {
    fn default() -> Self {
        Self {
            epoch: 0,
            cursor: 0,
            incarnation: 1,
            channels: Vec::new(),
            lock_after_days: crate::limits::LOCK_AFTER_DAYS,
            role: Role::Rep,
            skew_ms: 0,
            sweep: false,
            leaving: false,
        }
    }
}

/// What the phone knows of the time ([`ClockKnowledge`] as stored).
#[derive(Debug, Clone, Copy, Default, Encode, Decode)]
pub struct ClockRow {
    #[n(0)]
    pub boot: u64,
    #[n(1)]
    pub offset_ms: i64,
    #[n(2)]
    pub last_contact_ms: i64,
}

/// The latest time that the phone has seen ([`HighWater`] as stored).
#[derive(Debug, Clone, Copy, Default, Encode, Decode)]
pub struct SeenRow {
    #[n(0)]
    pub at_ms: i64,
    #[n(1)]
    pub boot: u64,
    #[n(2)]
    pub mono_ms: u64,
}

impl From<HighWater> for SeenRow {
    fn from(HighWater { at_ms, boot, mono_ms }: HighWater) -> Self {
        Self { at_ms, boot, mono_ms }
    }
}

impl From<SeenRow> for HighWater {
    fn from(SeenRow { at_ms, boot, mono_ms }: SeenRow) -> Self {
        Self { at_ms, boot, mono_ms }
    }
}

impl From<ClockRow> for ClockKnowledge {
    fn from(row: ClockRow) -> Self {
        Self { boot: row.boot, offset_ms: row.offset_ms, last_contact_ms: row.last_contact_ms }
    }
}

/// What is known of a held document without loading it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct HeadRow {
    /// Where a derived document comes from.
    #[n(0)]
    pub origin: Option<Origin>,
    /// Position of the newest change that the server is known to have; 0: none.
    #[n(1)]
    pub at: Position,
    /// Epoch of that position.
    #[n(2)]
    pub epoch: u64,
    /// The server's receipt for the document as it last sent it.
    #[n(3)]
    pub sent: Option<Voucher>,
    /// Changes stored behind the snapshot.
    #[n(4)]
    pub tail: u32,
    /// It may no longer be held: it is wiped when its own work is answered.
    #[n(5)]
    pub gone: bool,
    /// The server's receipt for this phone's last answered change, when the server has not sent the document since. It need not be
    /// behind `sent`, nor that behind it.
    #[n(6)]
    pub own: Option<Voucher>,
}

impl HeadRow {
    /// Notes a position of an epoch unless a later one is known already; answers whether it was noted.
    pub fn moves_to(&mut self, epoch: u64, at: Position) -> bool {
        // Positions of different epochs do not compare: that of the epoch that the phone is in counts.
        let later = epoch != self.epoch || at >= self.at;
        if later {
            (self.epoch, self.at) = (epoch, at);
        }
        later
    }
}

/// A change that the server has not answered.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OutRow {
    /// Its document.
    #[n(0)]
    pub doc: DocId,
    /// The raw change.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub change: Vec<u8>,
    /// Its hash.
    #[n(2)]
    pub hash: Hash32,
    /// Incarnation of the actor that made it: a push holds the changes of one.
    #[n(3)]
    pub incarnation: u32,
    /// It stands behind work that is held, and is no longer in the document: the server holds it too when it comes.
    #[n(4)]
    pub aside: bool,
}

/// Why the server did not merge something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case", tag = "why", content = "reason")]
pub enum KeptWhy {
    /// It is on the server and a person decides.
    #[n(0)]
    Held(#[n(0)] HoldReason),
    /// The server could not keep it.
    #[n(1)]
    Refused(#[n(0)] RefuseCode),
}

/// Work that the server did not merge, kept for its author.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeptRow {
    /// Why.
    #[n(0)]
    pub why: KeptWhy,
    /// When the answer came, milliseconds since 1970 UTC.
    #[n(1)]
    pub at_ms: i64,
    /// The raw change; absent when the document may no longer be held.
    #[n(2)]
    pub change: Option<ByteVec>,
}

/// How one document's part in the last edit is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoRow {
    /// The document.
    pub doc: DocId,
    /// The change.
    #[serde(default)]
    pub change: Hash32,
    /// The edits that took it back when it was made.
    pub edits: Vec<crate::document::Edit>,
}

/// A row from its bytes.
///
/// # Errors
/// [`ReplicaError::Row`].
pub fn decode<T: for<'b> Decode<'b, ()>>(key: &[u8], value: &[u8]) -> Result<T, ReplicaError> {
    minicbor::decode(value).map_err(|e| ReplicaError::Row {
        key: String::from_utf8_lossy(key).escape_default().to_string(),
        detail: e.to_string(),
    })
}
