//! What arrives from the server becomes durable here, a frame at a time, each frame in one batch.

use std::collections::{BTreeMap, BTreeSet};

use super::outbox::Outcome;
use super::rows::{ClockRow, HeadRow, encode};
use super::summary::{Summaries, lead_of};
use super::{Replica, ReplicaError, keys};
use crate::document::{Doc, DocError};
use crate::ids::{DocId, DocKind};
use crate::limits;
use crate::store::{Batch, Direction, Position, Range};
use crate::sync::message::{ChannelState, Delta, Fill, FromServer, Return, Welcome, slices};
use crate::time::Moment;

/// What a frame brought, for the app and for the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Documents that changed.
    pub changed: BTreeSet<DocId>,
    /// Documents that were wiped.
    pub wiped: BTreeSet<DocId>,
    /// Changes that are now durable on the server.
    pub durable: usize,
    /// Changes that the server did not merge.
    pub aside: usize,
    /// Documents to ask for whole.
    pub fetch: BTreeSet<DocId>,
    /// Everything up to here is stored now.
    pub caught_up: Option<Position>,
    /// The channels were filled further.
    pub filled: bool,
    /// The server told the phone to delete everything, and it did.
    pub wiped_all: bool,
}

/// A welcome and when it came.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The device's clocks when the hello was sent.
    pub sent: Moment,
    /// The device's clocks when the welcome came.
    pub received: Moment,
}

impl Replica {
    /// Takes the server's welcome: time, epoch, role, incarnation. Gives what a restored server has to be given back.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn take_welcome(&mut self, welcome: &Welcome, arrival: Arrival) -> Result<Vec<Return>, ReplicaError> {
        let mut batch = Batch::new();
        let returns = match welcome.fallback {
            Some(upto) => {
                self.sync.cursor = self.sync.cursor.min(upto);
                self.returns(upto)?
            }
            None => Vec::new(),
        };
        // The server read its clock while the message was on its way: half the round trip is the best guess.
        let half_ms = arrival.received.mono_ms.saturating_sub(arrival.sent.mono_ms) / 2;
        let now_ms = welcome.now_ms.saturating_add_unsigned(half_ms);
        let offset_ms = now_ms.saturating_sub_unsigned(arrival.received.mono_ms);
        let clock = ClockRow { boot: arrival.received.boot, offset_ms, last_contact_ms: welcome.now_ms };
        self.clock = clock.into();
        batch.put(keys::CLOCK, encode(&clock));
        if let Some(rotate_to) = welcome.rotate_to {
            self.sync.incarnation = self.sync.incarnation.max(rotate_to);
        }
        if self.sync.epoch == 0 {
            // The first cursor comes with the first "caught up"; until then everything is filling.
            self.sync.cursor = 0;
        }
        for channel in &welcome.channels {
            if !self.sync.channels.iter().any(|known| known.channel == *channel) {
                self.sync.channels.push(ChannelState { channel: *channel, fill: Fill::Upto(None) });
            }
        }
        self.sync.channels.sort_by_key(|known| known.channel);
        self.sync.epoch = welcome.epoch;
        self.sync.lock_after_days = welcome.lock_after_days;
        self.sync.role = welcome.role;
        self.sync.skew_ms = arrival.received.wall_ms.saturating_sub(now_ms);
        self.put_sync(&mut batch);
        self.store.commit_one(batch)?;
        Ok(returns)
    }

    /// Stores what a frame brought, in one batch.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn take(&mut self, messages: &[FromServer], now_ms: i64) -> Result<Applied, ReplicaError> {
        if messages.contains(&FromServer::Wipe) {
            self.wipe_all()?;
            return Ok(Applied { wiped_all: true, ..Applied::default() });
        }
        let mut batch = Batch::new();
        let mut applied = Applied::default();
        let mut summaries = Summaries::new(self.store.clone());
        let mut heads = self.heads_for(messages, &mut summaries)?;
        for message in messages {
            match message {
                FromServer::Delta(delta) => self.take_delta(&mut batch, &mut summaries, &mut heads, delta, &mut applied)?,
                FromServer::Gone(doc) => self.take_gone(&mut batch, &mut summaries, &mut heads, *doc, &mut applied)?,
                FromServer::Mark(state) => {
                    self.take_mark(*state);
                    applied.filled = true;
                }
                FromServer::CaughtUp(at) => {
                    self.sync.cursor = self.sync.cursor.max(*at);
                    applied.caught_up = Some(*at);
                }
                FromServer::Answer(answer) => {
                    // An answer reads the head from the store, so what this frame planned has to be there.
                    heads.remove(&answer.doc);
                    self.flush(&mut batch, &mut summaries)?;
                    match self.take_answer(&mut batch, &mut summaries, answer, now_ms)? {
                        Outcome::Nothing => {}
                        Outcome::Durable(n) => applied.durable += n,
                        Outcome::Aside { rebuild } => {
                            applied.aside += 1;
                            applied.changed.insert(answer.doc);
                            applied.fetch.extend(rebuild);
                        }
                    }
                }
                FromServer::Welcome(_) | FromServer::Wipe | FromServer::Error(_) => {}
            }
        }
        self.put_sync(&mut batch);
        summaries.flush(&mut batch)?;
        self.store.commit_one(batch)?;
        Ok(applied)
    }

    /// Commits what was planned so far when an answer needs to see it; most frames never come here twice.
    fn flush(&mut self, batch: &mut Batch, summaries: &mut Summaries) -> Result<(), ReplicaError> {
        if batch.is_empty() {
            return Ok(());
        }
        let done = std::mem::replace(summaries, Summaries::new(self.store.clone()));
        done.flush(batch)?;
        self.store.commit_one(std::mem::take(batch))?;
        Ok(())
    }

    /// Reads the heads, and the summary rows, of every document of a frame at once.
    fn heads_for(
        &self,
        messages: &[FromServer],
        summaries: &mut Summaries,
    ) -> Result<BTreeMap<DocId, Option<HeadRow>>, ReplicaError> {
        let mut docs = BTreeSet::new();
        let mut leads = Vec::new();
        for message in messages {
            if let FromServer::Delta(delta) = message {
                docs.insert(delta.doc);
                let head = HeadRow { origin: delta.origin.clone(), ..HeadRow::default() };
                leads.extend(lead_of(delta.doc, &head));
            }
        }
        leads.sort_unstable();
        leads.dedup();
        summaries.expect(&leads)?;
        let head_keys: Vec<Vec<u8>> = docs.iter().map(|doc| keys::head(*doc)).collect();
        let found = self.store.get_many(&head_keys.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        docs.into_iter()
            .zip(head_keys.iter().zip(found))
            .map(|(doc, (key, value))| Ok((doc, value.map(|v| super::rows::decode(key, &v)).transpose()?)))
            .collect()
    }

    fn take_delta(
        &mut self,
        batch: &mut Batch,
        summaries: &mut Summaries,
        heads: &mut BTreeMap<DocId, Option<HeadRow>>,
        delta: &Delta,
        applied: &mut Applied,
    ) -> Result<(), ReplicaError> {
        let id = delta.doc;
        let Some(kind) = id.kind() else { return Ok(()) };
        let known = match heads.get(&id) {
            Some(known) => known.clone(),
            None => self.head(id)?,
        };
        let is_whole = delta.snapshot.is_some() || known.is_none();
        let has_own = self.pending.contains_key(&id);
        let mut head = known.clone().unwrap_or_default();
        let doc = if is_whole && !has_own {
            match whole(kind, delta) {
                Ok(doc) => {
                    if known.is_some() {
                        self.plan_drop_tail(batch, id)?;
                    }
                    self.plan_whole(batch, delta, &mut head);
                    doc
                }
                // A document that does not load is not held, and asked for again at the next connection.
                Err(_) => return Ok(()),
            }
        } else {
            match self.merged(id, kind, delta) {
                Ok(doc) => {
                    self.plan_compact_or_append(batch, id, &mut head, delta, &doc)?;
                    doc
                }
                Err(DocError::MissingDeps(_)) => {
                    applied.fetch.insert(id);
                    return Ok(());
                }
                Err(_) => return Ok(()),
            }
        };
        head.origin = delta.origin.clone().or(head.origin);
        if delta.at >= head.at {
            head.at = delta.at;
            head.epoch = self.sync.epoch;
            head.receipt.clone_from(&delta.receipt);
        }
        head.gone = false;
        batch.put(keys::head(id), encode(&head));
        summaries.take(id, &head, &doc)?;
        if known.is_some() {
            self.hot.put(id, doc);
        }
        heads.insert(id, Some(head));
        applied.changed.insert(id);
        Ok(())
    }

    /// Stores a whole document as it came.
    fn plan_whole(&mut self, batch: &mut Batch, delta: &Delta, head: &mut HeadRow) {
        match &delta.snapshot {
            Some(snapshot) => batch.put(keys::snapshot(delta.doc), snapshot.to_vec()),
            None => batch.delete(keys::snapshot(delta.doc)),
        };
        for change in &delta.changes {
            self.counter += 1;
            batch.put(keys::change(delta.doc, self.counter), change.to_vec());
        }
        if !delta.changes.is_empty() {
            batch.put(keys::COUNTER, self.counter.to_be_bytes());
        }
        head.tail = delta.changes.len() as u32;
    }

    fn merged(&mut self, id: DocId, kind: DocKind, delta: &Delta) -> Result<Doc, DocError> {
        let held = match self.hot.get(id) {
            Some(doc) => Some(doc.clone()),
            None => self.read_doc(id).map_err(|e| DocError::Malformed(e.to_string()))?,
        };
        let mut doc = held.unwrap_or_else(|| Doc::genesis(kind));
        if let Some(snapshot) = &delta.snapshot {
            doc.merge_snapshot(snapshot)?;
        }
        if !delta.changes.is_empty() {
            doc.apply(&slices(&delta.changes))?;
        }
        Ok(doc)
    }

    fn plan_compact_or_append(
        &mut self,
        batch: &mut Batch,
        id: DocId,
        head: &mut HeadRow,
        delta: &Delta,
        doc: &Doc,
    ) -> Result<(), ReplicaError> {
        let tail = head.tail as usize + delta.changes.len();
        if delta.snapshot.is_some() || tail >= super::TAIL_MAX {
            return self.plan_compact(batch, id, head, doc);
        }
        for change in &delta.changes {
            self.counter += 1;
            batch.put(keys::change(id, self.counter), change.to_vec());
        }
        batch.put(keys::COUNTER, self.counter.to_be_bytes());
        head.tail = tail as u32;
        Ok(())
    }

    fn take_gone(
        &mut self,
        batch: &mut Batch,
        summaries: &mut Summaries,
        heads: &mut BTreeMap<DocId, Option<HeadRow>>,
        doc: DocId,
        applied: &mut Applied,
    ) -> Result<(), ReplicaError> {
        let known = match heads.remove(&doc) {
            Some(known) => known,
            None => self.head(doc)?,
        };
        let Some(mut head) = known else { return Ok(()) };
        if self.pending.contains_key(&doc) {
            head.gone = true;
            batch.put(keys::head(doc), encode(&head));
            heads.insert(doc, Some(head));
        } else {
            self.plan_wipe(batch, summaries, doc, &head)?;
            heads.insert(doc, None);
            applied.wiped.insert(doc);
        }
        Ok(())
    }

    fn take_mark(&mut self, state: ChannelState) {
        self.sync.channels.retain(|known| known.channel != state.channel);
        if state.fill != Fill::Left {
            self.sync.channels.push(state);
            self.sync.channels.sort_by_key(|known| known.channel);
        }
    }

    /// What this phone has of the documents that a restored server may have lost: those beyond `upto`.
    fn returns(&self, upto: Position) -> Result<Vec<Return>, ReplicaError> {
        let mut out = Vec::new();
        let mut range = Range::prefix(keys::HEADS);
        loop {
            let page = self.store.scan(&range, Direction::Forward, limits::SCAN_MAX_ROWS)?;
            let Some((last, _)) = page.last() else { return Ok(out) };
            range = Range::prefix_after(keys::HEADS, last);
            for (key, value) in &page {
                let head: HeadRow = super::rows::decode(key, value)?;
                let Some(doc) = keys::parse_head(key).filter(|_| head.at > upto) else { continue };
                if let Some(returned) = self.returned(doc, head)? {
                    out.push(returned);
                }
            }
        }
    }

    /// The receipted part of a document: everything but what waits in the outbox.
    fn returned(&self, id: DocId, head: HeadRow) -> Result<Option<Return>, ReplicaError> {
        let Some(doc) = self.read_doc(id)? else { return Ok(None) };
        let mut waiting = BTreeSet::new();
        if self.pending.contains_key(&id) {
            let rows = self.store.scan(&Range::prefix(&keys::pending(id)), Direction::Forward, limits::SCAN_MAX_ROWS)?;
            for number in rows.iter().filter_map(|(key, _)| keys::parse_pending(key)) {
                if let Some(value) = self.store.get(&keys::outbox(number))? {
                    let row: super::rows::OutRow = super::rows::decode(keys::OUTBOX, &value)?;
                    waiting.insert(row.hash);
                }
            }
        }
        let genesis = Doc::genesis(doc.kind()).heads();
        let changes = doc.changes_after(&genesis).into_iter().filter(|change| !waiting.contains(&change.hash));
        Ok(Some(Return {
            doc: id,
            origin: head.origin,
            epoch: head.epoch,
            receipt: head.receipt,
            changes: changes.map(|change| change.bytes.into()).collect(),
        }))
    }

    /// Deletes everything that this phone holds.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn wipe_all(&mut self) -> Result<(), ReplicaError> {
        let everything = Range { from: vec![b'a'], to: Vec::new() };
        loop {
            let page = self.store.scan(&everything, Direction::Forward, limits::SCAN_MAX_ROWS)?;
            if page.is_empty() {
                break;
            }
            let mut batch = Batch::new();
            for (key, _) in page {
                batch.delete(key);
            }
            self.store.commit_one(batch)?;
        }
        self.identity = None;
        self.sync = super::SyncRow::default();
        self.clock = Default::default();
        self.pending.clear();
        self.hot.clear();
        Ok(())
    }
}

/// The document of a whole delta, from the phone's own server.
fn whole(kind: DocKind, delta: &Delta) -> Result<Doc, DocError> {
    let mut doc = match &delta.snapshot {
        Some(snapshot) => Doc::load_trusted(kind, snapshot)?,
        None => Doc::genesis(kind),
    };
    if !delta.changes.is_empty() {
        doc.apply(&slices(&delta.changes))?;
    }
    Ok(doc)
}
