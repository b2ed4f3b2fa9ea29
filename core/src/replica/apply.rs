//! What arrives from the server becomes durable here, a frame at a time, each frame in one batch.

use std::collections::{BTreeMap, BTreeSet};

use super::outbox::Outcome;
use super::rows::{ClockRow, HeadRow, SeenRow, encode};
use super::summary::{Summaries, lead_of};
use super::{Replica, ReplicaError, keys};
use crate::document::{Doc, DocError};
use crate::ids::{DocId, DocKind};
use crate::limits;
use crate::store::{Batch, Direction, Position, Range};
use crate::sync::message::{
    ChannelState, Delta, Fill, FromServer, Return, Voucher, Welcome, lots_of, slices,
};
use crate::time::{HighWater, Moment};

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
        self.resuming = welcome.fallback.map(|_| welcome.epoch);
        self.greeted = Some(welcome.epoch);
        self.sync.leaving = welcome.quarantine_only;
        let returns = match welcome.fallback {
            Some(upto) => self.returns(upto, welcome.epoch)?,
            None => Vec::new(),
        };
        // The server read its clock while the message was on its way: half the round trip is the best guess.
        let half_ms = arrival.received.mono_ms.saturating_sub(arrival.sent.mono_ms) / 2;
        let now_ms = welcome.now_ms.saturating_add_unsigned(half_ms);
        let offset_ms = now_ms.saturating_sub_unsigned(arrival.received.mono_ms);
        let clock = ClockRow { boot: arrival.received.boot, offset_ms, last_contact_ms: welcome.now_ms };
        self.clock = clock.into();
        batch.put(keys::CLOCK, encode(&clock));
        // The server's word counts in both directions: a phone whose date was once far ahead is not locked for ever.
        let Moment { boot, mono_ms, .. } = arrival.received;
        self.seen = HighWater { at_ms: now_ms, boot, mono_ms };
        self.seen_stored_ms = now_ms;
        batch.put(keys::SEEN, encode(&SeenRow::from(self.seen)));
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
        // Who is heard for the last time reads nothing: its cursor stays where it is, in the epoch that it is of. Should it be let in
        // again, it has to give a restored server back what it holds.
        if self.resuming.is_none() && !welcome.quarantine_only {
            self.sync.epoch = welcome.epoch;
        }
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
        let applied = self.take_all(messages, now_ms);
        if applied.is_err() {
            // Memory may be ahead of the disk now; what the disk says counts.
            self.reload()?;
        }
        applied
    }

    fn take_all(&mut self, messages: &[FromServer], now_ms: i64) -> Result<Applied, ReplicaError> {
        if messages.contains(&FromServer::Wipe) {
            self.wipe_all()?;
            return Ok(Applied { wiped_all: true, ..Applied::default() });
        }
        let mut batch = Batch::new();
        let mut applied = Applied::default();
        let mut summaries = Summaries::new(self.store.clone());
        let mut heads = self.heads_for(messages, &mut summaries)?;
        let mut answered = BTreeSet::new();
        let mut restamped = BTreeSet::new();
        for message in messages {
            if let FromServer::Delta(Delta { doc, .. }) | FromServer::Gone(doc) = message
                && (answered.contains(doc) || applied.changed.contains(doc) && self.hot.get(*doc).is_none())
            {
                // An answer may have rebuilt the document, or what this frame brought of it stands in the batch alone: news have to see that.
                restamped.extend(self.flush(&mut batch, &mut summaries)?);
                answered.clear();
            }
            match message {
                FromServer::Delta(delta) => {
                    self.take_delta(&mut batch, &mut summaries, &mut heads, delta, &mut applied)?
                }
                FromServer::Gone(doc) => {
                    self.take_gone(&mut batch, &mut summaries, &mut heads, *doc, &mut applied)?
                }
                FromServer::Mark(state) => {
                    self.take_mark(*state);
                    applied.filled = true;
                }
                FromServer::CaughtUp(at) => {
                    match self.resuming.take() {
                        Some(epoch) => self.resume(epoch, *at),
                        None => self.sync.cursor = self.sync.cursor.max(*at),
                    }
                    applied.caught_up = Some(*at);
                }
                FromServer::Answer(answer) => {
                    // An answer reads the head from the store, so what this frame planned has to be there.
                    heads.remove(&answer.doc);
                    answered.insert(answer.doc);
                    restamped.extend(self.flush(&mut batch, &mut summaries)?);
                    match self.take_answer(&mut batch, &mut summaries, answer, now_ms)? {
                        Outcome::Nothing => {}
                        Outcome::Durable { changes, rebuild, wiped } => {
                            applied.durable += changes;
                            applied.fetch.extend(rebuild);
                            applied.wiped.extend(wiped.then_some(answer.doc));
                        }
                        Outcome::Aside { rebuild, wiped } => {
                            applied.aside += 1;
                            let told = if wiped { &mut applied.wiped } else { &mut applied.changed };
                            told.insert(answer.doc);
                            applied.fetch.extend(rebuild);
                        }
                    }
                }
                FromServer::Welcome(_) | FromServer::Wipe | FromServer::Error(_) => {}
            }
        }
        let full = self.sync.channels.iter().all(|state| state.fill == Fill::Complete);
        if self.sync.sweep && full && self.resuming.is_none() {
            restamped.extend(self.flush(&mut batch, &mut summaries)?);
            self.plan_sweep(&mut batch, &mut summaries, &mut applied)?;
        }
        self.put_sync(&mut batch);
        self.unjudged.note(summaries.leads());
        restamped.extend(summaries.flush(&mut batch)?);
        self.store.commit_one(batch)?;
        self.restamp(&restamped)?;
        Ok(applied)
    }

    /// Reads the rows of these leads again: their rulings told when something really happened (O1). Rare: somebody wrote in a boot that
    /// had not heard of the server yet.
    fn restamp(&mut self, leads: &BTreeSet<DocId>) -> Result<(), ReplicaError> {
        let mut batch = Batch::new();
        let mut summaries = Summaries::new(self.store.clone());
        for lead in leads {
            // It may have left with the very frame that brought its clocks.
            if !summaries.reread(*lead)? {
                continue;
            }
            for id in [*lead, DocId::advancement_of(*lead)] {
                if let Some(held) = self.read_held(id)?.filter(|held| !held.head.gone) {
                    summaries.take(id, &held.head, &held.load(id)?)?;
                }
            }
        }
        self.unjudged.note(summaries.leads());
        summaries.flush(&mut batch)?;
        if !batch.is_empty() {
            self.store.commit_one(batch)?;
        }
        Ok(())
    }

    /// The server was restored and has taken back what this phone could return: from here on its new epoch counts, and every channel is
    /// filled anew.
    fn resume(&mut self, epoch: u64, at: Position) {
        self.sync.epoch = epoch;
        self.sync.cursor = at;
        self.sync.sweep = true;
        for state in &mut self.sync.channels {
            if matches!(state.fill, Fill::Complete | Fill::Upto(_)) {
                state.fill = Fill::Upto(None);
            }
        }
    }

    /// After a restore, everything that the phone may hold has been sent again: what was not, is not this phone's (any more).
    fn plan_sweep(
        &mut self,
        batch: &mut Batch,
        summaries: &mut Summaries,
        applied: &mut Applied,
    ) -> Result<(), ReplicaError> {
        let mut heads = BTreeMap::new();
        let mut range = Range::prefix(keys::HEADS);
        loop {
            let page = self.store.scan(&range, Direction::Forward, limits::SCAN_MAX_ROWS)?;
            let Some((last, _)) = page.last() else { break };
            range = Range::prefix_after(keys::HEADS, last);
            for (key, value) in &page {
                let head: HeadRow = super::rows::decode(key, value)?;
                // An answer in the new epoch does not say that the document is this phone's.
                let stale =
                    head.at > 0 && head.sent.as_ref().is_none_or(|sent| sent.epoch != self.sync.epoch);
                let Some(doc) = keys::parse_head(key).filter(|_| stale) else { continue };
                // What came and could not be merged is asked for again, and the answer to that decides.
                let undecided = self.wanted.contains(&doc) || self.is_to_come_back(doc, &head)?;
                if !undecided {
                    self.take_gone(batch, summaries, &mut heads, doc, applied)?;
                }
            }
        }
        self.sync.sweep = false;
        Ok(())
    }

    /// Whether the phone's own work will bring a document back that a restored server has lost: it stands beside a lead that the server has
    /// sent, and whoever may hold the lead may hold it.
    fn is_to_come_back(&self, doc: DocId, head: &HeadRow) -> Result<bool, ReplicaError> {
        let Some(lead) = lead_of(doc, head).filter(|lead| *lead != doc && self.pending.contains_key(&doc))
        else {
            return Ok(false);
        };
        let lead = self.head(lead)?.filter(|lead| !lead.gone);
        Ok(lead.and_then(|lead| lead.sent).is_some_and(|sent| sent.epoch == self.sync.epoch))
    }

    /// Commits what was planned so far when an answer needs to see it; most frames never come here twice.
    fn flush(
        &mut self,
        batch: &mut Batch,
        summaries: &mut Summaries,
    ) -> Result<BTreeSet<DocId>, ReplicaError> {
        if batch.is_empty() {
            return Ok(BTreeSet::new());
        }
        let done = std::mem::replace(summaries, Summaries::new(self.store.clone()));
        self.unjudged.note(done.leads());
        let restamped = done.flush(batch)?;
        self.store.commit_one(std::mem::take(batch))?;
        Ok(restamped)
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
        let is_sent_whole = delta.heads.is_empty();
        // What was sent whole takes the place of what is held: that may be a branch which the server has not merged.
        let is_whole = is_sent_whole || known.is_none();
        let has_own = self.pending.contains_key(&id);
        let mut head = known.clone().unwrap_or_default();
        let mut vouched = delta.heads.clone();
        let doc = if is_whole && !has_own {
            match whole(kind, delta) {
                Ok(doc) => {
                    if vouched.is_empty() {
                        vouched = doc.heads();
                    }
                    if known.is_some() {
                        self.plan_drop_tail(batch, id)?;
                    }
                    self.plan_whole(batch, delta, &mut head);
                    doc
                }
                // A document that does not load is not held, and asked for again at the next connection.
                Err(_) => {
                    self.plan_want(batch, id);
                    return Ok(());
                }
            }
        } else {
            match self.merged(id, kind, delta) {
                Ok(doc) => {
                    if vouched.is_empty() {
                        vouched = whole(kind, delta).map(|sent| sent.heads()).unwrap_or_default();
                    }
                    self.plan_compact_or_append(batch, id, &mut head, delta, &doc)?;
                    doc
                }
                Err(error) => {
                    self.plan_want(batch, id);
                    // A fork has its answer on the way, and only then can the document be had.
                    if matches!(error, DocError::MissingDeps(_)) && !is_sent_whole {
                        applied.fetch.insert(id);
                    }
                    return Ok(());
                }
            }
        };
        head.origin = delta.origin.clone().or(head.origin);
        if head.moves_to(self.epoch(), delta.at) {
            head.own = None;
        }
        head.sent = Some(Voucher { epoch: self.epoch(), heads: vouched, receipt: delta.receipt.clone() });
        head.gone = false;
        if is_sent_whole {
            self.plan_unwant(batch, id);
        }
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
        let held = match self.hot.take(id) {
            Some(doc) => Some(doc),
            None => self.read_doc(id).map_err(|e| DocError::Malformed(e.to_string()))?,
        };
        let mut doc = held.unwrap_or_else(|| Doc::genesis(kind));
        if let Some(snapshot) = &delta.snapshot {
            doc.merge_snapshot(snapshot)?;
        }
        match delta.changes.is_empty() {
            true => Ok(doc),
            false => doc.applied(&slices(&delta.changes)),
        }
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
        self.plan_unwant(batch, doc);
        let Some(mut head) = known else { return Ok(()) };
        if self.pending.contains_key(&doc) {
            // Nobody reads it any more; its bytes stay for what is on its way.
            head.gone = true;
            self.hot.forget(doc);
            summaries.forget(doc);
            if doc.kind() == Some(DocKind::Lead) {
                summaries.remove(doc)?;
            }
            applied.changed.insert(doc);
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

    /// What this phone has of the documents that a restored server may have lost: those beyond `upto` that it has not yet sent again in
    /// its new epoch.
    fn returns(&self, upto: Position, epoch: u64) -> Result<Vec<Return>, ReplicaError> {
        let mut out = Vec::new();
        let mut range = Range::prefix(keys::HEADS);
        loop {
            let page = self.store.scan(&range, Direction::Forward, limits::SCAN_MAX_ROWS)?;
            let Some((last, _)) = page.last() else { return Ok(out) };
            range = Range::prefix_after(keys::HEADS, last);
            for (key, value) in &page {
                let head: HeadRow = super::rows::decode(key, value)?;
                let is_safe = head.epoch == epoch || head.epoch == self.sync.epoch && head.at <= upto;
                let Some(doc) = keys::parse_head(key).filter(|_| !is_safe) else { continue };
                out.extend(self.returned(doc, head)?);
            }
        }
    }

    /// A document with the receipts for it, in as many messages as it takes; none when it has no receipt.
    fn returned(&self, id: DocId, head: HeadRow) -> Result<Vec<Return>, ReplicaError> {
        let vouchers: Vec<Voucher> = head.sent.into_iter().chain(head.own).collect();
        let Some(doc) = self.read_doc(id)?.filter(|_| !vouchers.is_empty()) else { return Ok(Vec::new()) };
        let genesis = Doc::genesis(doc.kind()).heads();
        let parts = lots_of(doc.changes_after(&genesis).into_iter().map(|change| change.bytes));
        let last = parts.len() - 1;
        let parts = parts.into_iter().enumerate().map(|(n, changes)| Return {
            doc: id,
            origin: head.origin.clone(),
            // They are looked at when all is there.
            vouchers: if n == last { vouchers.clone() } else { Vec::new() },
            changes,
            parts_behind: u32::try_from(last - n).ok().filter(|behind| *behind > 0),
        });
        Ok(parts.collect())
    }

    /// Deletes everything that this phone holds. From the call on nothing of it is shown, also where the disk does not let it go.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn wipe_all(&mut self) -> Result<(), ReplicaError> {
        self.wipes += 1;
        self.wiping = true;
        let everything = Range { from: vec![b'a'], to: Vec::new() };
        // A phone that dies in the middle goes on when it is opened again: with its identity gone it would never be told once more.
        let mut mark = Batch::new();
        mark.put(keys::WIPING, []);
        self.store.commit_one(mark)?;
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
        let mut done = Batch::new();
        done.delete(keys::WIPING);
        super::mark_wiped(&mut done);
        self.store.commit_one(done)?;
        self.reload()?;
        self.wiping = false;
        Ok(())
    }
}

/// The document of a whole delta, from the phone's own server.
fn whole(kind: DocKind, delta: &Delta) -> Result<Doc, DocError> {
    let doc = match &delta.snapshot {
        Some(snapshot) => Doc::load_trusted(kind, snapshot)?,
        None => Doc::genesis(kind),
    };
    if delta.changes.is_empty() { Ok(doc) } else { doc.applied(&slices(&delta.changes)) }
}
