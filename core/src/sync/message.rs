//! The messages of the protocol and their bytes: CBOR (RFC 8949) by field position, several messages to a frame as a CBOR
//! sequence (RFC 8742), plain or deflated (RFC 1951). A frame is one binary websocket message of at most [`limits::FRAME_MAX_BYTES`].
//!
//! Numbers of variants and fields are the protocol: never reuse one. A field that a receiver does not know is skipped, a
//! field that a sender does not know is absent, so small growth needs no new version.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::access::{Channel, Role};
use crate::ids::{DeviceId, DocId, Hash32, UserId};
use crate::limits;
use crate::store::Position;

/// The protocol versions that this build speaks, oldest and newest.
pub const VERSIONS: (u16, u16) = (1, 1);

/// What a phone sends.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum FromPhone {
    /// The first message of a connection.
    #[n(0)]
    Hello(#[n(0)] Hello),
    /// Changes of this phone's own actors to one document. May follow the handshake without waiting for the answer.
    #[n(1)]
    Push(#[n(0)] Push),
    /// Everything up to this position is stored on the phone and known to its user. `Ack(0)` says that the phone has told what it had
    /// to tell first: everything that a restored server lost, or the last words of a revoked device.
    #[n(2)]
    Ack(#[n(0)] Position),
    /// Asks for one whole document, to heal or rebuild it.
    #[n(3)]
    Fetch(#[n(0)] DocId),
    /// Gives back what a restored server lost (design decision 6).
    #[n(4)]
    Return(#[n(0)] Return),
}

/// What a server sends.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum FromServer {
    /// The answer to [`Hello`].
    #[n(0)]
    Welcome(#[n(0)] Welcome),
    /// New changes of a document, or the whole document.
    #[n(1)]
    Delta(#[n(0)] Delta),
    /// The phone may no longer hold this document; it is wiped as soon as its own work on it is answered.
    #[n(2)]
    Gone(#[n(0)] DocId),
    /// How far a channel's backfill (or its wiping) has come.
    #[n(3)]
    Mark(#[n(0)] ChannelState),
    /// Everything up to this position has been sent.
    #[n(4)]
    CaughtUp(#[n(0)] Position),
    /// What became of a push.
    #[n(5)]
    Answer(#[n(0)] Answer),
    /// The phone is revoked and has been heard: it deletes everything.
    #[n(6)]
    Wipe,
    /// Why the server closes the connection.
    #[n(7)]
    Error(#[n(0)] WireError),
}

/// Who the phone is, what it has and what time it thinks it is.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Hello {
    /// Oldest and newest protocol version that the phone speaks.
    #[n(0)]
    pub versions: (u16, u16),
    /// Access token (JWT), bound to the device.
    #[n(1)]
    pub token: String,
    /// Incarnation of the phone's actor.
    #[n(2)]
    pub incarnation: u32,
    /// Highest push id that the phone ever gave away.
    #[n(3)]
    pub pushed: u64,
    /// Log epoch that the cursor belongs to; 0: none yet.
    #[n(4)]
    pub epoch: u64,
    /// Everything up to this position is stored on the phone.
    #[n(5)]
    pub cursor: Position,
    /// The channels that the phone holds and how far each one is filled.
    #[n(6)]
    pub channels: Vec<ChannelState>,
    /// Boot that the phone is in.
    #[n(7)]
    pub boot: u64,
    /// Its monotonic clock, milliseconds since that boot.
    #[n(8)]
    pub mono_ms: u64,
    /// Its wall clock, milliseconds since 1970 UTC.
    #[n(9)]
    pub wall_ms: i64,
    /// The product and version of the app, for whoever reads a trace. Not kept.
    #[n(10)]
    pub agent: String,
}

/// How far a phone holds a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ChannelState {
    /// The channel.
    #[n(0)]
    pub channel: Channel,
    /// What the phone has of it.
    #[n(1)]
    pub fill: Fill,
}

/// How full a channel is on a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Fill {
    /// Everything up to the phone's cursor.
    #[n(0)]
    Complete,
    /// Every document whose id is at most this one; nothing when absent.
    #[n(1)]
    Upto(#[n(0)] Option<DocId>),
    /// The phone may no longer hold it, and has been told so of every document whose id is at most this one.
    #[n(2)]
    Leaving(#[n(0)] Option<DocId>),
    /// The phone no longer holds any of it.
    #[n(3)]
    Left,
}

/// Where a derived document comes from; the server checks that the id is the hash of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Origin {
    /// The parent's bytes: a lead's document id, a calendar's user id.
    #[n(0)]
    pub parent: ByteVec,
    /// What distinguishes it under that parent: the month of a calendar.
    #[n(1)]
    pub key: String,
}

/// Changes of one document.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Push {
    /// Number of the last outbox entry in this push; grows for ever on one phone.
    #[n(0)]
    pub id: u64,
    /// The document.
    #[n(1)]
    pub doc: DocId,
    /// Where the document comes from, when it is a derived one.
    #[n(2)]
    pub origin: Option<Origin>,
    /// Raw automerge change chunks (type 1), in the order of their making.
    #[n(3)]
    pub changes: Vec<ByteVec>,
}

impl Push {
    /// Bytes of its changes: what it counts in [`limits::PUSH_BYTES_IN_FLIGHT`].
    pub fn bytes(&self) -> usize {
        self.changes.iter().map(|change| change.len()).sum()
    }
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Answer {
    /// The push.
    #[n(0)]
    pub id: u64,
    /// Its document.
    #[n(1)]
    pub doc: DocId,
    /// What became of it.
    #[n(2)]
    pub verdict: Verdict,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Verdict {
    /// On the server's disk and merged, at this position.
    #[n(0)]
    Durable {
        /// Position of the commit; for a repeated push that of the document.
        #[n(0)]
        at: Position,
        /// The server's receipt for the last change of the push.
        #[cbor(n(1), with = "minicbor::bytes")]
        receipt: Vec<u8>,
    },
    /// On the server's disk, but kept aside for a person to decide (design decision 10). The phone rebuilds the document.
    #[n(1)]
    Held {
        /// Why.
        #[n(0)]
        reason: HoldReason,
    },
    /// Not kept: no server could have kept it. The phone keeps its own copy for its user and rebuilds the document.
    #[n(2)]
    Refused {
        /// Machine-readable reason, as listed in `docs/protocol.md`.
        #[n(0)]
        code: RefuseCode,
        /// For a developer's log.
        #[n(1)]
        detail: String,
    },
}

/// Why a push is held.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum HoldReason {
    /// The document was no longer this user's, and the phone had been told.
    #[n(0)]
    NotYours,
    /// The device is revoked.
    #[n(1)]
    Revoked,
    /// The actor's sequence was used before with other content: a restored or cloned phone.
    #[n(2)]
    Fork,
    /// Earlier work of this actor in this document is held already.
    #[n(3)]
    Suffix,
    /// The document was deleted for good.
    #[n(4)]
    Erased,
    /// It builds on changes that the server does not have.
    #[n(5)]
    MissingDeps,
}

/// Why a push is refused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum RefuseCode {
    /// Not bytes of a well-formed change.
    #[n(0)]
    Malformed,
    /// Beyond a bound of the protocol.
    #[n(1)]
    TooLarge,
    /// A change of an actor that is not this device's, or in another user's name.
    #[n(2)]
    NotYourActor,
    /// This user may never write this document.
    #[n(3)]
    NotPermitted,
    /// The operations are not ones that this kind of document allows.
    #[n(4)]
    Schema,
    /// The id is not that of the parent and key, or the parent is unknown.
    #[n(5)]
    Origin,
    /// The sequence of the actor has a gap.
    #[n(6)]
    OutOfOrder,
    /// The document would exceed its bounds.
    #[n(7)]
    Full,
}

/// The server's first answer.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Welcome {
    /// The protocol version of this connection.
    #[n(0)]
    pub version: u16,
    /// The log epoch.
    #[n(1)]
    pub epoch: u64,
    /// Positions of the phone's epoch beyond this one are unknown to this server (it was restored): the phone's cursor falls back to
    /// it, and the phone returns every document whose position is beyond it.
    #[n(2)]
    pub fallback: Option<Position>,
    /// Server time, milliseconds since 1970 UTC.
    #[n(3)]
    pub now_ms: i64,
    /// The device, from the token.
    #[n(4)]
    pub device: DeviceId,
    /// Its user.
    #[n(5)]
    pub user: UserId,
    /// The user's role now.
    #[n(6)]
    pub role: Role,
    /// The phone's store is behind what the server saw of it: it takes at least this incarnation before it writes again.
    #[n(7)]
    pub rotate_to: Option<u32>,
    /// Days without contact after which the phone locks its reads.
    #[n(8)]
    pub lock_after_days: u32,
    /// The device is revoked: pushes are held, nothing is sent, then [`FromServer::Wipe`].
    #[n(9)]
    pub quarantine_only: bool,
    /// The channels that the phone may hold now; those it does not hold yet will be filled.
    #[n(10)]
    pub channels: Vec<Channel>,
}

/// News of one document.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Delta {
    /// The document.
    #[n(0)]
    pub doc: DocId,
    /// Where it comes from, when it is a derived one.
    #[n(1)]
    pub origin: Option<Origin>,
    /// Position of the newest change that the document has on the server.
    #[n(2)]
    pub at: Position,
    /// A saved document that holds everything before `changes`; absent: the phone has that already.
    #[n(3)]
    pub snapshot: Option<ByteVec>,
    /// Raw change chunks behind it.
    #[n(4)]
    pub changes: Vec<ByteVec>,
    /// The server's receipt for the document at `at`.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub receipt: Vec<u8>,
    /// The heads that the receipt is for; empty when the message holds the whole document: its own.
    #[n(6)]
    pub heads: Vec<Hash32>,
}

/// A document that a restored server lost, from a phone that has the receipt for it.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Return {
    /// The document.
    #[n(0)]
    pub doc: DocId,
    /// Where it comes from.
    #[n(1)]
    pub origin: Option<Origin>,
    /// The receipts for it: what stands behind their heads is taken back.
    #[n(2)]
    pub vouchers: Vec<Voucher>,
    /// The changes in causal order, genesis left out. Those that no receipt vouches for are passed over.
    #[n(3)]
    pub changes: Vec<ByteVec>,
    /// How many further messages have the rest of the changes, when they are too many for one frame. The last has the receipts.
    #[n(4)]
    pub parts_behind: Option<u32>,
}

/// A receipt and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Voucher {
    /// Epoch that issued the receipt.
    #[n(0)]
    pub epoch: u64,
    /// The heads that it is for: hashes, which vouch for the whole history behind them.
    #[n(1)]
    pub heads: Vec<Hash32>,
    /// The receipt.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub receipt: Vec<u8>,
}

/// Why a connection ends.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct WireError {
    /// Machine-readable.
    #[n(0)]
    pub code: WireCode,
    /// For a developer's log.
    #[n(1)]
    pub detail: String,
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum WireCode {
    /// No common protocol version; the detail names the server's.
    #[n(0)]
    Version,
    /// The token is missing, wrong or expired: refresh it and come back.
    #[n(1)]
    Token,
    /// A frame that is no sequence of messages, or too large.
    #[n(2)]
    Malformed,
    /// A message that may not come now.
    #[n(3)]
    OutOfOrder,
    /// More unanswered pushes than allowed.
    #[n(4)]
    TooMany,
    /// The server is stopping or its disk failed: come back later.
    #[n(5)]
    Unavailable,
    /// What this phone may hold changed: reconnect at once.
    #[n(6)]
    Resubscribe,
    /// The device is unknown here, or somebody else's.
    #[n(7)]
    Device,
    /// The cursor lies ahead of this server's log without a restore that explains it.
    #[n(8)]
    Cursor,
}

/// A frame that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Beyond [`limits::FRAME_MAX_BYTES`].
    #[error("a frame of {0} bytes is too large")]
    TooLarge(usize),
    /// Not a sequence of messages.
    #[error("message {index} of the frame is malformed: {detail}")]
    Malformed {
        /// Which message of the frame, from 0.
        index: usize,
        /// What the decoder said.
        detail: String,
    },
    /// A frame without a message.
    #[error("an empty frame")]
    Empty,
}

/// Reads all messages of a frame, plain or deflated.
///
/// # Errors
/// [`FrameError`] when the frame is too large (as it came, or inflated), empty or not a sequence of messages.
pub fn decode_frame<M: for<'b> Decode<'b, ()>>(frame: &[u8]) -> Result<Vec<M>, FrameError> {
    if frame.len() > limits::FRAME_MAX_BYTES {
        return Err(FrameError::TooLarge(frame.len()));
    }
    match frame.split_first() {
        None => Err(FrameError::Empty),
        Some((&DEFLATED, body)) => decode_plain(&inflate(body)?),
        Some(_) => decode_plain(frame),
    }
}

fn decode_plain<M: for<'b> Decode<'b, ()>>(frame: &[u8]) -> Result<Vec<M>, FrameError> {
    if frame.is_empty() {
        return Err(FrameError::Empty);
    }
    let mut decoder = minicbor::Decoder::new(frame);
    let mut messages = Vec::new();
    while decoder.position() < frame.len() {
        let message = decoder
            .decode()
            .map_err(|e| FrameError::Malformed { index: messages.len(), detail: e.to_string() })?;
        messages.push(message);
    }
    Ok(messages)
}

fn inflate(body: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut plain = Vec::new();
    // One byte more than allowed tells a frame that is too large from one that just fits.
    let mut bounded = DeflateDecoder::new(body).take(limits::FRAME_MAX_BYTES as u64 + 1);
    let malformed = |e: std::io::Error| FrameError::Malformed { index: 0, detail: e.to_string() };
    bounded.read_to_end(&mut plain).map_err(malformed)?;
    if plain.len() > limits::FRAME_MAX_BYTES { Err(FrameError::TooLarge(plain.len())) } else { Ok(plain) }
}

/// Deflates a frame when that is worth it. Changes shrink to less than half (stamps and texts repeat); snapshots are deflated already, and a
/// sample tells.
fn deflated(frame: Vec<u8>) -> Vec<u8> {
    if frame.len() < limits::FRAME_DEFLATE_BYTES {
        return frame;
    }
    let sample = &frame[..frame.len().min(SAMPLE_BYTES)];
    if sample.len() < frame.len() && deflate(sample).len() * 8 > sample.len() * 7 {
        return frame;
    }
    let small = deflate(&frame);
    if small.len() < frame.len() { small } else { frame }
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(vec![DEFLATED], Compression::default());
    // Writing into memory has no way to fail; were it to, the frame would go as it is.
    match encoder.write_all(bytes).and_then(|()| encoder.finish()) {
        Ok(small) => small,
        Err(_) => bytes.to_vec(),
    }
}

/// Byte strings of the wire as plain slices.
pub fn slices(bytes: &[ByteVec]) -> Vec<&[u8]> {
    bytes.iter().map(|b| b.as_slice()).collect()
}

/// About how many bytes raw changes take in a message.
pub(crate) fn bytes_of(changes: &[ByteVec]) -> usize {
    changes.iter().map(|change| change.len() + BYTES_HEAD).sum()
}

/// Raw changes in as many lots as it takes, each of which may travel in one delta or return; one, and empty, when there are none.
pub(crate) fn lots_of(changes: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<ByteVec>> {
    let (mut lots, mut bytes) = (vec![Vec::new()], 0);
    for change in changes {
        let more = change.len() + BYTES_HEAD;
        if bytes + more > limits::CHANGES_MAX_BYTES {
            lots.push(Vec::new());
            bytes = 0;
        }
        bytes += more;
        if let Some(lot) = lots.last_mut() {
            lot.push(change.into());
        }
    }
    lots
}

/// What stands before a byte string.
const BYTES_HEAD: usize = 3;

/// The bytes of one message.
pub fn encode<M: Encode<()>>(message: &M) -> Vec<u8> {
    crate::cbor::encode(message)
}

/// Packs messages into frames of about [`limits::FRAME_TARGET_BYTES`], none above [`limits::FRAME_MAX_BYTES`] unless a single message is, and
/// deflates those that shrink.
pub fn frames<M: Encode<()>>(messages: impl IntoIterator<Item = M>) -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> = Vec::new();
    for message in messages {
        let bytes = encode(&message);
        match frames.last_mut() {
            Some(frame) if frame.len() + bytes.len() <= limits::FRAME_TARGET_BYTES => {
                frame.extend_from_slice(&bytes)
            }
            _ => frames.push(bytes),
        }
    }
    frames.into_iter().map(deflated).collect()
}

/// As [`frames`], for what a phone sends: a hello has a frame of its own. A server waits seconds for it, and what rides behind it takes
/// longer than that on a slow line.
pub fn frames_up(mut messages: Vec<FromPhone>) -> Vec<Vec<u8>> {
    let hellos = usize::from(matches!(messages.first(), Some(FromPhone::Hello(_))));
    let behind = messages.split_off(hellos);
    let mut all = frames(messages);
    all.extend(frames(behind));
    all
}

/// The first byte of a deflated frame (RFC 1951 behind it): CBOR's zero, which no message begins with.
const DEFLATED: u8 = 0;
/// How much of a large frame is deflated to see whether all of it should be.
const SAMPLE_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_their_bytes_and_share_a_frame() {
        let sent = vec![
            FromPhone::Push(Push {
                id: 7,
                doc: DocId([2; 16]),
                origin: Some(Origin { parent: vec![1, 2].into(), key: "2026-02".into() }),
                changes: vec![vec![1, 2, 3].into()],
            }),
            FromPhone::Ack(9),
            FromPhone::Fetch(DocId([3; 16])),
        ];
        let frames = frames(sent.clone());
        assert_eq!(frames.len(), 1);
        assert_eq!(decode_frame::<FromPhone>(&frames[0]), Ok(sent));
    }

    #[test]
    fn a_frame_that_shrinks_is_deflated_and_a_bomb_is_refused() {
        let sent: Vec<FromPhone> = (0..200)
            .map(|id| {
                FromPhone::Push(Push {
                    id,
                    doc: DocId([2; 16]),
                    origin: None,
                    changes: vec![vec![7; 200].into()],
                })
            })
            .collect();
        let frames = frames(sent.clone());
        assert!(
            frames.len() == 1 && frames[0][0] == DEFLATED && frames[0].len() < 4_000,
            "{}",
            frames[0].len()
        );
        assert_eq!(decode_frame::<FromPhone>(&frames[0]), Ok(sent));
        let bomb = deflate(&vec![0x82; limits::FRAME_MAX_BYTES + 1]);
        assert!(bomb.len() < 10_000);
        assert_eq!(decode_frame::<FromPhone>(&bomb), Err(FrameError::TooLarge(limits::FRAME_MAX_BYTES + 1)));
        for bad in [&[DEFLATED][..], &[DEFLATED, 0xff, 0xff], &[DEFLATED, 0x03, 0x00]] {
            assert!(decode_frame::<FromPhone>(bad).is_err());
        }
    }

    #[test]
    fn rubbish_is_an_error_and_not_a_panic() {
        assert_eq!(decode_frame::<FromPhone>(&[]), Err(FrameError::Empty));
        assert!(decode_frame::<FromPhone>(&vec![0; limits::FRAME_MAX_BYTES + 1]).is_err());
        let good = encode(&FromServer::Wipe);
        for cut in 0..good.len() {
            assert!(decode_frame::<FromServer>(&good[..cut]).is_err());
        }
        // A length that claims far more than the frame holds must not allocate for it.
        for bad in [
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
            &[0x5b, 0, 0, 0, 0xff, 0, 0, 0, 0],
            &[0xff],
        ] {
            assert!(decode_frame::<FromPhone>(bad).is_err());
        }
    }
}
