//! The keys of a phone's store. One function a table; `docs/architecture.md` has the list.

use crate::ids::{DocId, DocKind};
use crate::store::key;

/// The phone was told to delete everything and has not finished.
pub const WIPING: &[u8] = b"!wiping";
/// Something left this phone since its store was last written anew.
pub const WIPED: &[u8] = b"!wiped";
/// Who this phone is.
pub const IDENTITY: &[u8] = b"m/self";
/// Where it stands with its server.
pub const SYNC: &[u8] = b"m/sync";
/// What it knows of the time.
pub const CLOCK: &[u8] = b"m/clock";
/// The latest time that it has seen.
pub const SEEN: &[u8] = b"m/seen";
/// The last number given to an outbox entry.
pub const COUNTER: &[u8] = b"m/count";
/// How the last edit is taken back.
pub const UNDO: &[u8] = b"m/undo";
/// The outbox.
pub const OUTBOX: &[u8] = b"o/";
/// All documents' heads.
pub const HEADS: &[u8] = b"h/";
/// The documents that the phone has to ask for whole.
pub const WANTED: &[u8] = b"w/";
/// Kept copies of work that the server did not merge.
pub const KEPT: &[u8] = b"z/";
/// Summary rows of leads.
pub const SUMMARIES: &[u8] = b"v/";
/// Leads by their last change, newest first.
pub const RECENT: &[u8] = b"i/";

/// The documents with a conflict that waits for a person.
pub const CONFLICTED: &[u8] = b"q/";
/// What of the user's own leads calls for something: the rows of the home page.
pub const AGENDAS: &[u8] = b"a/";
/// Leads by each day on which a todo is due.
pub const DUE: &[u8] = b"t/";

/// `h/doc`: what is known of a held document without loading it.
pub fn head(doc: DocId) -> Vec<u8> {
    key(HEADS, &[&doc.0])
}

/// `h/kind`: the heads of all documents of a kind.
pub fn heads_of(kind: DocKind) -> Vec<u8> {
    key(HEADS, &[&[kind as u8]])
}

/// The document of a head's key.
pub fn parse_head(row: &[u8]) -> Option<DocId> {
    DocId::from_slice(row.get(HEADS.len()..)?)
}

/// `w/doc`: a document that the phone has to ask for whole.
pub fn wanted(doc: DocId) -> Vec<u8> {
    key(WANTED, &[&doc.0])
}

/// `s/doc`: its snapshot.
pub fn snapshot(doc: DocId) -> Vec<u8> {
    key(b"s/", &[&doc.0])
}

/// `c/doc/`: the changes behind it.
pub fn changes(doc: DocId) -> Vec<u8> {
    key(b"c/", &[&doc.0])
}

/// `c/doc/number`.
pub fn change(doc: DocId, number: u64) -> Vec<u8> {
    key(b"c/", &[&doc.0, &number.to_be_bytes()])
}

/// `o/number`: an outbox entry.
pub fn outbox(number: u64) -> Vec<u8> {
    key(OUTBOX, &[&number.to_be_bytes()])
}

/// The number of an outbox key.
pub fn parse_outbox(row: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(row.get(OUTBOX.len()..)?.try_into().ok()?))
}

/// `p/doc/`: the outbox entries of a document.
pub fn pending(doc: DocId) -> Vec<u8> {
    key(b"p/", &[&doc.0])
}

/// `p/doc/number`.
pub fn pending_at(doc: DocId, number: u64) -> Vec<u8> {
    key(b"p/", &[&doc.0, &number.to_be_bytes()])
}

/// The number of a pending key.
pub fn parse_pending(row: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(row.get(2 + DocId::LEN..)?.try_into().ok()?))
}

/// `z/doc/number`: kept work.
pub fn kept(doc: DocId, number: u64) -> Vec<u8> {
    key(KEPT, &[&doc.0, &number.to_be_bytes()])
}

/// `z/doc/`: the kept work of a document.
pub fn kept_of(doc: DocId) -> Vec<u8> {
    key(KEPT, &[&doc.0])
}

/// `v/lead`: its summary row.
pub fn summary(lead: DocId) -> Vec<u8> {
    key(SUMMARIES, &[&lead.0])
}

/// `a/lead`: what of it calls for its owner.
pub fn agenda(lead: DocId) -> Vec<u8> {
    key(AGENDAS, &[&lead.0])
}

/// The lead of an agenda's key.
pub fn parse_agenda(row: &[u8]) -> Option<DocId> {
    DocId::from_slice(row.get(AGENDAS.len()..)?)
}

/// `i/inverted time/lead`: its place in the list, newest first.
pub fn recent(updated_ms: i64, lead: DocId) -> Vec<u8> {
    key(RECENT, &[&(u64::MAX - updated_ms.max(0) as u64).to_be_bytes(), &lead.0])
}

/// The lead of a recent key.
pub fn parse_recent(row: &[u8]) -> Option<DocId> {
    DocId::from_slice(row.get(RECENT.len() + 8..)?)
}

/// `q/doc`: it has a conflict.
pub fn conflicted(doc: DocId) -> Vec<u8> {
    key(CONFLICTED, &[&doc.0])
}

/// The document of a conflicted key.
pub fn parse_conflicted(row: &[u8]) -> Option<DocId> {
    DocId::from_slice(row.get(CONFLICTED.len()..)?)
}

/// `t/day/lead`: its place among the leads with a todo that is due.
pub fn due(day: &str, lead: DocId) -> Vec<u8> {
    key(DUE, &[day.as_bytes(), &lead.0])
}

/// The lead of a due key.
pub fn parse_due(row: &[u8]) -> Option<DocId> {
    DocId::from_slice(row.get(row.len().checked_sub(DocId::LEN)?..)?)
}
