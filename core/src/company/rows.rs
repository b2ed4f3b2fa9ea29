//! The rows of a company's store and their bytes (CBOR by field position, like the wire).

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::CompanyError;
use crate::access::{Channel, Role, Ties};
use crate::ids::{DeviceId, DocId, Hash32, TeamId, UserId};
use crate::store::{Position, Slot};
use crate::sync::message::Origin;

pub(crate) use crate::cbor::encode;

/// What the company is.
#[derive(Debug, Clone, Encode, Decode)]
pub struct Meta {
    /// Name of the company.
    #[n(0)]
    pub name: String,
    /// Current log epoch.
    #[n(1)]
    pub epoch: u64,
    /// Earlier epochs with the last position that this store has of each.
    #[n(2)]
    pub past: Vec<(u64, Position)>,
    /// The server's own device.
    #[n(3)]
    pub device: DeviceId,
    /// Key of the receipts.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub receipt_key: Vec<u8>,
}

impl Meta {
    /// The meta row of a new company.
    pub fn found(name: &str, seed: &[u8; 64]) -> Self {
        let mut device = [0; 8];
        device.copy_from_slice(&seed[..8]);
        Self {
            name: name.to_owned(),
            epoch: 1,
            past: Vec::new(),
            device: DeviceId(device),
            receipt_key: seed[32..].to_vec(),
        }
    }
}

/// A channel that a document belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Tie {
    /// The channel.
    #[n(0)]
    pub channel: Channel,
    /// Since when.
    #[n(1)]
    pub joined: Position,
    /// Where its entry in the channel's feed stands.
    #[n(2)]
    pub fed: Position,
}

/// "The position that this batch will get", in a header that is about to be written: only the store knows it. Reading a header
/// replaces it by the position that stands at its head.
pub const HERE: Position = Position::MAX;

/// What the server knows of a document without loading it. Stored as eight bytes (the position at which it was written) and CBOR.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Header {
    /// Where a derived document comes from.
    #[n(0)]
    pub origin: Option<Origin>,
    /// The position of its newest change.
    #[n(1)]
    pub content_at: Position,
    /// Its heads.
    #[n(2)]
    pub heads: Vec<Hash32>,
    /// How many changes it has.
    #[n(3)]
    pub changes: u64,
    /// The stored snapshot holds everything up to this position; 0: there is no snapshot.
    #[n(4)]
    pub snapshot_at: Position,
    /// Change rows are kept for every position beyond this one.
    #[n(5)]
    pub floor: Position,
    /// Bytes of the change rows behind the snapshot.
    #[n(6)]
    pub tail_bytes: u32,
    /// Changes in them.
    #[n(7)]
    pub tail_changes: u32,
    /// Bytes of the snapshot.
    #[n(8)]
    pub snapshot_bytes: u32,
    /// Owners with their roles.
    #[n(9)]
    pub owners: Vec<(UserId, Role)>,
    /// The owners' teams and every team above them.
    #[n(10)]
    pub teams: Vec<TeamId>,
    /// The channels that it belongs to.
    #[n(11)]
    pub ties: Vec<Tie>,
    /// Erased for good: nothing is merged any more.
    #[n(12)]
    pub erased: bool,
    /// The account that this lead is tied to.
    #[n(13)]
    pub link: Option<DocId>,
    /// Whose phone created it; absent: the office.
    #[n(14)]
    pub creator: Option<UserId>,
}

impl Header {
    /// Reads a stored header.
    ///
    /// # Errors
    /// [`CompanyError::Row`].
    pub fn read(doc: DocId, value: &[u8]) -> Result<Self, CompanyError> {
        let key = super::keys::header(doc);
        let (written, rest) =
            value.split_at_checked(8).ok_or_else(|| row_error(&key, "shorter than its position".into()))?;
        let mut header: Header = decode(&key, rest)?;
        let written = Position::from_be_bytes(written.try_into().unwrap_or_default());
        let resolve = |at: &mut Position| {
            if *at == HERE {
                *at = written;
            }
        };
        resolve(&mut header.content_at);
        resolve(&mut header.snapshot_at);
        for tie in &mut header.ties {
            resolve(&mut tie.joined);
            resolve(&mut tie.fed);
        }
        Ok(header)
    }

    /// The value to store; its first eight bytes are the slot for the position.
    pub fn to_value(&self) -> (Vec<u8>, Slot) {
        let mut value = vec![0; 8];
        value.extend_from_slice(&encode(self));
        (value, Slot(0))
    }

    /// Since when the document belongs to the channel; `None` when it does not.
    pub fn joined(&self, channel: Channel) -> Option<Position> {
        self.ties.iter().find(|tie| tie.channel == channel).map(|tie| tie.joined)
    }

    /// The channels.
    pub fn channels(&self) -> BTreeSet<Channel> {
        self.ties.iter().map(|tie| tie.channel).collect()
    }

    /// Owners and teams, as the table of access wants them.
    pub fn access(&self) -> Ties {
        Ties { owners: self.owners.iter().copied().collect(), teams: self.teams.iter().copied().collect() }
    }
}

/// The changes of one commit to one document: `c/doc/position`.
#[derive(Debug, Clone, Encode, Decode)]
pub struct ChangesRow {
    /// By which device each lot came, when, and what.
    #[n(0)]
    pub lots: Vec<Lot>,
}

/// The changes that one device brought in one push.
#[derive(Debug, Clone, Encode, Decode)]
pub struct Lot {
    /// The device that brought them.
    #[n(0)]
    pub device: DeviceId,
    /// Incarnation of the actor that made them.
    #[n(1)]
    pub incarnation: u32,
    /// Server time of the receipt, milliseconds since 1970 UTC (O1).
    #[n(2)]
    pub received_ms: i64,
    /// Merged although the document had moved to somebody else (O3).
    #[n(3)]
    pub late: bool,
    /// Raw change chunks.
    #[n(4)]
    pub changes: Vec<ByteVec>,
}

/// An entry of a channel's feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum FeedEntry {
    /// The document changed, or joined the channel.
    #[n(0)]
    Changed,
    /// The document left the channel.
    #[n(1)]
    Gone,
}

/// What changes with every contact of a device: `k/device`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct ContactRow {
    /// The highest position that the device acknowledged.
    #[n(0)]
    pub acked: Position,
    /// Server time of the last contact.
    #[n(1)]
    pub last_ms: i64,
    /// How far the device's clock was off at the last handshake, milliseconds.
    #[n(2)]
    pub skew_ms: i64,
    /// Connections since the device was revoked, on which it was heard.
    #[n(3)]
    #[cbor(default)]
    pub farewells: u32,
}

/// A row from its bytes.
///
/// # Errors
/// [`CompanyError::Row`].
pub fn decode<T: for<'b> Decode<'b, ()>>(key: &[u8], value: &[u8]) -> Result<T, CompanyError> {
    minicbor::decode(value).map_err(|e| row_error(key, e.to_string()))
}

fn row_error(key: &[u8], detail: String) -> CompanyError {
    CompanyError::Row { key: String::from_utf8_lossy(key).escape_default().to_string(), detail }
}

/// Plans the move of a document's header into a new set of channels, adding the feed entries to `batch`. `changed` says that its
/// content changes too, so that every channel hears of it. The header carries the new ties afterwards.
pub fn plan_ties(
    batch: &mut crate::store::Batch,
    doc: DocId,
    header: &mut Header,
    wanted: &BTreeSet<Channel>,
    departures: &BTreeMap<Channel, Position>,
    changed: bool,
) {
    use super::keys;
    let (stay, leave): (Vec<Tie>, Vec<Tie>) =
        header.ties.drain(..).partition(|tie| wanted.contains(&tie.channel));
    for tie in leave {
        let (key, slot) = keys::feed_slot(tie.channel, doc);
        batch
            .delete(keys::feed_at(tie.channel, tie.fed, doc))
            .put_at(key, Some(slot), encode(&FeedEntry::Gone), None)
            .delete(keys::member(tie.channel, doc))
            .put_at(keys::departure(tie.channel, doc), None, [0; 8], Some(Slot(0)));
    }
    let mut ties = Vec::with_capacity(wanted.len());
    for channel in wanted {
        let old = stay.iter().find(|tie| tie.channel == *channel);
        if let (Some(tie), false) = (old, changed) {
            ties.push(*tie);
            continue;
        }
        let (key, slot) = keys::feed_slot(*channel, doc);
        batch.put_at(key, Some(slot), encode(&FeedEntry::Changed), None);
        match old {
            Some(tie) => {
                batch.delete(keys::feed_at(*channel, tie.fed, doc));
                ties.push(Tie { fed: HERE, ..*tie });
            }
            None => {
                batch.put_at(keys::member(*channel, doc), None, [0; 8], Some(Slot(0)));
                if let Some(left) = departures.get(channel) {
                    batch.delete(keys::departure(*channel, doc)).delete(keys::feed_at(*channel, *left, doc));
                }
                ties.push(Tie { channel: *channel, joined: HERE, fed: HERE });
            }
        }
    }
    header.ties = ties;
}
