//! Reading the log: what changed for a phone since its cursor, and the filling and giving back of channels.
//!
//! The cost follows what changed, never what is held: one range a channel, then the rows of the documents found there.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::ByteVec;

use super::rows::{ChangesRow, Header, decode};
use super::{Company, CompanyError, keys};
use crate::access::Channel;
use crate::document::claimed_checksum;
use crate::ids::{DeviceId, DocId, Hash32};
use crate::limits;
use crate::store::{Direction, Position, Range};
use crate::sync::message::{ChannelState, Delta, Fill, FromServer, bytes_of};

/// What the log is read for.
#[derive(Debug, Clone)]
pub struct View {
    /// The channels of the session and how full the phone holds them.
    pub channels: BTreeMap<Channel, Fill>,
    /// The device.
    pub device: DeviceId,
    /// Where the changes that were pushed on this connection stand, each with its checksum: only these need not come back. What else
    /// the device pushed, a phone that was restored from a backup may have lost, and a copy of it never had.
    pub own: BTreeSet<(Position, [u8; 4])>,
}

/// One page of news.
#[derive(Debug, Clone, Default)]
pub struct NewsPage {
    /// What to send, in order.
    pub messages: Vec<FromServer>,
    /// Everything up to here has been read.
    pub cursor: Position,
    /// Whether there is more.
    pub more: bool,
}

/// What the feeds of a session's channels hold behind a cursor.
pub(super) struct Entries {
    /// Documents by the position of their newest entry, each once.
    pub docs: Vec<(Position, DocId)>,
    /// Everything up to here is among them.
    pub upto: Position,
    /// Whether there is more behind it.
    pub more: bool,
}

impl View {
    /// Whether the phone may hold a document of these channels at all.
    fn reads(&self, header: &Header) -> bool {
        header.ties.iter().any(|tie| self.live(tie.channel).is_some())
    }

    /// How full a channel is that the phone may hold.
    fn live(&self, channel: Channel) -> Option<Fill> {
        self.channels.get(&channel).copied().filter(|fill| matches!(fill, Fill::Complete | Fill::Upto(_)))
    }

    /// Whether the phone has the document as it was at `cursor`.
    fn holds(&self, doc: DocId, header: &Header, cursor: Position) -> bool {
        header.ties.iter().filter(|tie| tie.joined <= cursor).any(|tie| self.has_reached(tie.channel, doc))
    }

    /// Whether the filling of a channel has passed this document.
    fn has_reached(&self, channel: Channel, doc: DocId) -> bool {
        match self.live(channel) {
            Some(Fill::Complete) => true,
            Some(Fill::Upto(upto)) => upto.is_some_and(|upto| doc <= upto),
            _ => false,
        }
    }
}

impl Company {
    /// What is new for a phone behind `cursor`, in about `budget_bytes`.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn news(&self, view: &View, cursor: Position, budget_bytes: usize) -> Result<NewsPage, CompanyError> {
        let Entries { docs: entries, upto, more } = self.entries(view, cursor)?;
        let mut page = NewsPage { messages: Vec::new(), cursor: upto, more };
        let mut bytes = 0;
        let mut rest = entries.as_slice();
        while !rest.is_empty() {
            // A lot never ends between documents that share a position: the cursor could not say so.
            let mut end = rest.len().min(READ_AT_ONCE);
            while end < rest.len() && rest[end].0 == rest[end - 1].0 {
                end += 1;
            }
            let (lot, behind) = rest.split_at(end);
            for message in self.deltas(view, lot, cursor)?.into_iter().flatten() {
                bytes += weight(&message);
                page.messages.push(message);
            }
            rest = behind;
            if let (true, Some((next, _))) = (bytes >= budget_bytes, rest.first()) {
                page.cursor = next - 1;
                page.more = true;
                break;
            }
        }
        Ok(page)
    }

    /// The documents with entries behind `cursor`, by position, each once; up to which position that is complete.
    pub(super) fn entries(&self, view: &View, cursor: Position) -> Result<Entries, CompanyError> {
        let ranges: Vec<(Range, usize)> = view
            .channels
            .iter()
            .filter(|(_, fill)| **fill != Fill::Left)
            .map(|(channel, _)| {
                let after = keys::feed_at(*channel, cursor.saturating_add(1), DocId::default());
                let to = crate::store::after_prefix(&keys::feed(*channel));
                (Range { from: after, to }, FEED_PAGE)
            })
            .collect();
        let (head, pages) = self.store.read(&[crate::store::HEAD_KEY], &ranges)?;
        let head = head.into_iter().next().flatten().and_then(|v| v.as_slice().try_into().ok());
        let head = head.map_or(0, Position::from_be_bytes);
        let mut upto = head.max(cursor);
        let mut more = false;
        let mut latest: BTreeMap<DocId, Position> = BTreeMap::new();
        for rows in &pages {
            if rows.len() == FEED_PAGE {
                more = true;
                if let Some((at, _)) = rows.last().and_then(|(key, _)| keys::parse_feed(key)) {
                    upto = upto.min(at - 1);
                }
            }
        }
        for (key, _) in pages.iter().flatten() {
            if let Some((at, doc)) = keys::parse_feed(key).filter(|(at, _)| *at <= upto) {
                let newest = latest.entry(doc).or_insert(at);
                *newest = at.max(*newest);
            }
        }
        let mut entries: Vec<(Position, DocId)> = latest.into_iter().map(|(doc, at)| (at, doc)).collect();
        entries.sort_unstable();
        Ok(Entries { docs: entries, upto, more })
    }

    /// What to say of each entry; `None` where there is nothing to say.
    fn deltas(
        &self,
        view: &View,
        entries: &[(Position, DocId)],
        cursor: Position,
    ) -> Result<Vec<Option<FromServer>>, CompanyError> {
        let header_keys: Vec<Vec<u8>> = entries.iter().map(|(_, doc)| keys::header(*doc)).collect();
        let tails: Vec<(Range, usize)> = entries
            .iter()
            .map(|(_, doc)| {
                let from = keys::changes_at(*doc, cursor.saturating_add(1));
                (Range { from, to: crate::store::after_prefix(&keys::changes(*doc)) }, limits::SCAN_MAX_ROWS)
            })
            .collect();
        let refs: Vec<&[u8]> = header_keys.iter().map(Vec::as_slice).collect();
        let (headers, tails) = self.store.read(&refs, &tails)?;
        let mut out = Vec::with_capacity(entries.len());
        for (((_, doc), raw), tail) in entries.iter().zip(headers).zip(tails) {
            let header = raw.map(|value| Header::read(*doc, &value)).transpose()?;
            let message = match header {
                None => Some(FromServer::Gone(*doc)),
                Some(header) if !view.reads(&header) => Some(FromServer::Gone(*doc)),
                Some(header) if view.holds(*doc, &header, cursor) => {
                    if header.floor <= cursor {
                        self.tail_delta(view, *doc, &header, tail)?.map(FromServer::Delta)
                    } else {
                        Some(FromServer::Delta(self.whole(*doc, &header)?))
                    }
                }
                // It is new to the phone. Where no filling has come to it yet, one will bring it; but once a filled channel has it, no
                // filling of another brings it any more.
                Some(header) if header.ties.iter().any(|tie| view.has_reached(tie.channel, *doc)) => {
                    Some(FromServer::Delta(self.whole(*doc, &header)?))
                }
                Some(_) => None,
            };
            out.push(message);
        }
        Ok(out)
    }

    /// The changes behind the cursor, without those that the phone pushed on this connection; `None` when there are no others.
    fn tail_delta(
        &self,
        view: &View,
        doc: DocId,
        header: &Header,
        tail: Vec<crate::store::Row>,
    ) -> Result<Option<Delta>, CompanyError> {
        let mut changes = Vec::new();
        for (key, value) in tail {
            let row: ChangesRow = decode(&key, &value)?;
            let at = keys::parse_changes(&key).unwrap_or_default();
            let is_own = |change: &ByteVec| {
                claimed_checksum(change).is_some_and(|checksum| view.own.contains(&(at, checksum)))
            };
            for lot in row.lots {
                let is_device = lot.device == view.device;
                changes.extend(lot.changes.into_iter().filter(|change| !is_device || !is_own(change)));
            }
        }
        if changes.is_empty() {
            return Ok(None);
        }
        // Saved, a document takes less than its changes one by one.
        Ok(Some(if fits(None, &changes) {
            self.delta(doc, header, None, changes, header.heads.clone())
        } else {
            self.whole(doc, header)?
        }))
    }

    /// A whole document: as stored, or saved anew where that would be more than a frame.
    pub(super) fn whole(&self, doc: DocId, header: &Header) -> Result<Delta, CompanyError> {
        let base = self.base(doc, header)?;
        if fits(base.snapshot.as_ref(), &base.changes) {
            return Ok(self.delta(doc, header, base.snapshot, base.changes, Vec::new()));
        }
        let saved = base.load(doc)?.save();
        Ok(self.delta(doc, header, Some(saved.into()), Vec::new(), Vec::new()))
    }

    fn delta(
        &self,
        doc: DocId,
        header: &Header,
        snapshot: Option<ByteVec>,
        changes: Vec<ByteVec>,
        heads: Vec<Hash32>,
    ) -> Delta {
        let receipt = self.receipt(self.epoch(), doc, &header.heads);
        Delta { doc, origin: header.origin.clone(), at: header.content_at, snapshot, changes, receipt, heads }
    }

    /// One whole document for a phone that asks for it; [`FromServer::Gone`] when it may not hold it.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn fetch(&self, view: &View, doc: DocId) -> Result<FromServer, CompanyError> {
        match self.header(doc)? {
            Some(header) if view.reads(&header) => Ok(FromServer::Delta(self.whole(doc, &header)?)),
            _ => Ok(FromServer::Gone(doc)),
        }
    }

    /// The next step of filling a channel, or of giving it back, in about `budget_bytes`; moves the view on. `None` when no
    /// channel needs it.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn fill(
        &self,
        view: &mut View,
        cursor: Position,
        budget_bytes: usize,
    ) -> Result<Option<Vec<FromServer>>, CompanyError> {
        if let Some(channel) =
            view.channels.iter().find(|(_, fill)| **fill == Fill::Left).map(|(channel, _)| *channel)
        {
            view.channels.remove(&channel);
            return Ok(Some(vec![FromServer::Mark(ChannelState { channel, fill: Fill::Left })]));
        }
        let next = view.channels.iter().find(|(_, fill)| matches!(fill, Fill::Upto(_) | Fill::Leaving(_)));
        let Some((channel, fill)) = next.map(|(channel, fill)| (*channel, *fill)) else { return Ok(None) };
        let (after, leaving) = match fill {
            Fill::Upto(after) => (after, false),
            Fill::Leaving(after) => (after, true),
            Fill::Complete | Fill::Left => return Ok(None),
        };
        let prefix = keys::members(channel);
        let range = match after {
            Some(doc) => Range::prefix_after(&prefix, &keys::member(channel, doc)),
            None => Range::prefix(&prefix),
        };
        let docs: Vec<DocId> = self
            .store
            .scan(&range, Direction::Forward, FILL_PAGE)?
            .iter()
            .filter_map(|(key, _)| keys::parse_member(key))
            .collect();
        let mut messages = Vec::new();
        let mut last = after;
        let mut bytes = 0;
        let mut whole_page = docs.len() < FILL_PAGE;
        let wanted: BTreeSet<DocId> = docs.iter().copied().collect();
        for (doc, message) in self.fill_lot(view, &wanted, cursor, leaving)? {
            bytes += message.as_ref().map_or(0, weight);
            messages.extend(message);
            last = Some(doc);
            if bytes >= budget_bytes {
                whole_page = whole_page && docs.last() == Some(&doc);
                break;
            }
        }
        let fill = match (whole_page, leaving) {
            (true, false) => Fill::Complete,
            (true, true) => Fill::Left,
            (false, false) => Fill::Upto(last),
            (false, true) => Fill::Leaving(last),
        };
        if fill == Fill::Left {
            view.channels.remove(&channel);
        } else {
            view.channels.insert(channel, fill);
        }
        messages.push(FromServer::Mark(ChannelState { channel, fill }));
        Ok(Some(messages))
    }

    fn fill_lot(
        &self,
        view: &View,
        docs: &BTreeSet<DocId>,
        cursor: Position,
        leaving: bool,
    ) -> Result<Vec<(DocId, Option<FromServer>)>, CompanyError> {
        let header_keys: Vec<Vec<u8>> = docs.iter().map(|doc| keys::header(*doc)).collect();
        let headers = self.store.get_many(&header_keys.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let mut out = Vec::with_capacity(docs.len());
        for (doc, raw) in docs.iter().zip(headers) {
            let Some(raw) = raw else { continue };
            let header = Header::read(*doc, &raw)?;
            let message = match (leaving, view.reads(&header)) {
                (true, false) => Some(FromServer::Gone(*doc)),
                (true, true) => None,
                (false, _) if view.holds(*doc, &header, cursor) => None,
                (false, _) => Some(FromServer::Delta(self.whole(*doc, &header)?)),
            };
            out.push((*doc, message));
        }
        Ok(out)
    }
}

/// Whether a delta of these may travel as it is.
fn fits(snapshot: Option<&ByteVec>, changes: &[ByteVec]) -> bool {
    snapshot.map_or(0, |bytes| bytes.len()) + bytes_of(changes) <= limits::CHANGES_MAX_BYTES
}

/// About how many bytes a message takes on the wire.
fn weight(message: &FromServer) -> usize {
    match message {
        FromServer::Delta(delta) => {
            let snapshot = delta.snapshot.as_ref().map_or(0, |bytes| bytes.len());
            64 + snapshot + bytes_of(&delta.changes)
        }
        _ => 24,
    }
}

/// Rows of one channel's feed read at once.
const FEED_PAGE: usize = 1_024;
/// Documents of one channel read at once while it is filled: 256 leads of 600 bytes are a frame.
const FILL_PAGE: usize = 256;
/// Documents whose rows are read in one instant.
const READ_AT_ONCE: usize = 128;
