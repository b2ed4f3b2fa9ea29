//! What one phone keeps, over a [`Store`]: its documents, its outbox, the summary rows beside them, and what it knows of its
//! server. Everything works without network; [`crate::sync::phone`] talks to the server on its behalf.
//!
//! An edit is one automerge change, committed with its outbox entry and the summary row in one durable batch before the call returns
//! (design decision 1). Opening reads a handful of rows and no document.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::document::{Doc, DocError, Edit, EditError, Edited};
use crate::ids::{Actor, DocId, DocKind, UserId};
use crate::limits;
use crate::store::{Batch, Direction, FORMAT_KEY, Range, Store, StoreError, format_of};
use crate::sync::message::Origin;
use crate::time::{Act, ClockKnowledge, HighWater, Moment, Stamp};

mod agenda;
mod apply;
mod hot;
mod keys;
mod list;
mod outbox;
mod rows;
mod summary;

pub use apply::{Applied, Arrival};
pub use list::{ListQuery, Status};
pub use outbox::Kept;
pub use rows::{Identity, KeptWhy, SyncRow};

use agenda::Unjudged;
use hot::HotDocs;
use rows::{ClockRow, HeadRow, OutRow, SeenRow, UndoRow, decode, encode};
use summary::Summaries;

/// The format of a phone's store that this build writes.
pub const FORMAT: u32 = 1;

/// Why a phone operation failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReplicaError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored row cannot be read.
    #[error("row {key} of the store cannot be read: {detail}")]
    Row {
        /// The key, printable.
        key: String,
        /// What the decoder said.
        detail: String,
    },
    /// The edit was refused; nothing has changed.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// This phone does not hold the document.
    #[error("this phone does not hold document {0}")]
    Unknown(DocId),
    /// The phone is not enrolled, or not any more: a revoked one is read-only from the moment that it hears of it.
    #[error("this phone is not enrolled")]
    NotEnrolled,
    /// The phone is enrolled already, for somebody else or elsewhere.
    #[error("this phone is enrolled already")]
    AlreadyEnrolled,
    /// Too long without contact: reads are locked until the next one. The outbox is kept.
    #[error("locked: no contact with the server for {days} days")]
    Locked {
        /// How long, in whole days.
        days: u32,
    },
    /// The outbox has no room: more than a year's work waits.
    #[error("the outbox is full")]
    OutboxFull,
    /// There is nothing to take back.
    #[error("there is nothing to take back")]
    NothingToUndo,
}

/// One phone's data.
pub struct Replica {
    store: Arc<dyn Store>,
    identity: Option<Identity>,
    sync: SyncRow,
    clock: ClockKnowledge,
    /// The latest time that this phone has seen, and what of it is on the disk.
    seen: HighWater,
    seen_stored_ms: i64,
    /// The restored server's epoch, until the phone has caught up in it. Nothing of it is stored before: whoever loses the connection
    /// begins the return again.
    resuming: Option<u64>,
    /// The epoch of the server that greeted last, also where the phone has not caught up in it, or never will.
    greeted: Option<u64>,
    /// The last number given to an outbox entry.
    counter: u64,
    /// Outbox entries a document, so that arriving news need no scan.
    pending: BTreeMap<DocId, u32>,
    /// How often everything was deleted since the store was opened.
    wipes: u64,
    /// Everything is to be deleted, and the disk has not let it: it belongs to nobody meanwhile.
    wiping: bool,
    /// The documents to ask for whole: what a lost connection kept from coming is asked for at the next.
    wanted: BTreeSet<DocId>,
    hot: HotDocs,
    /// The leads to look at when the home page is opened.
    unjudged: Unjudged,
}

/// What an edit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The document.
    pub doc: DocId,
    /// Number of its outbox entry.
    pub outbox: u64,
}

/// What taking back the last edit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// The edits that took it back.
    pub saved: Vec<Saved>,
    /// Something of it stays, because others have written since.
    pub partly: bool,
}

/// Several edits that become durable together.
#[derive(Debug, Clone)]
pub struct DocEdits {
    /// The document; it is created when it is new.
    pub doc: DocId,
    /// Where it comes from, when it is a derived one.
    pub origin: Option<Origin>,
    /// What changes.
    pub edits: Vec<Edit>,
}

impl DocEdits {
    /// Edits of a document with an id of its own: a lead or an account.
    pub fn of(doc: DocId, edits: Vec<Edit>) -> Self {
        Self { doc, origin: None, edits }
    }

    /// Edits of a lead's advancement table.
    pub fn table_of(lead: DocId, edits: Vec<Edit>) -> Self {
        let origin = Origin { parent: lead.0.to_vec().into(), key: String::new() };
        Self { doc: DocId::advancement_of(lead), origin: Some(origin), edits }
    }

    /// Edits of a user's calendar of one month (`2026-02`).
    pub fn calendar_of(user: UserId, month: &str, edits: Vec<Edit>) -> Self {
        let origin = Origin { parent: user.0.to_vec().into(), key: month.to_owned() };
        Self { doc: DocId::calendar_of(user, month), origin: Some(origin), edits }
    }
}

impl Replica {
    /// Opens a phone's store.
    ///
    /// # Errors
    /// [`StoreError::TooNew`] for a store of a newer version.
    pub fn open(store: Arc<dyn Store>) -> Result<Self, ReplicaError> {
        let found = store.get_many(&[FORMAT_KEY, keys::WIPING])?;
        let [format, wiping] = &found[..] else {
            return Err(StoreError::Io("the store answered nothing".into()).into());
        };
        if format_of(format.as_deref(), FORMAT)?.is_none() {
            let mut batch = Batch::new();
            batch.put(FORMAT_KEY, FORMAT.to_be_bytes());
            store.commit_one(batch)?;
        }
        let mut replica = Self {
            identity: None,
            sync: SyncRow::default(),
            clock: ClockKnowledge::default(),
            seen: HighWater::default(),
            seen_stored_ms: 0,
            resuming: None,
            greeted: None,
            counter: 0,
            pending: BTreeMap::new(),
            wipes: 0,
            wiping: false,
            wanted: BTreeSet::new(),
            hot: HotDocs::new(HOT_DOCS),
            unjudged: Unjudged::default(),
            store,
        };
        if wiping.is_some() {
            replica.wipe_all()?;
        } else {
            replica.reload()?;
        }
        Ok(replica)
    }

    /// Reads anew what is kept in memory. Documents in memory are forgotten.
    fn reload(&mut self) -> Result<(), ReplicaError> {
        let fixed = [keys::IDENTITY, keys::SYNC, keys::CLOCK, keys::COUNTER, keys::SEEN];
        let mut found = self.store.get_many(&fixed)?.into_iter();
        let mut next = || found.next().flatten();
        let (identity, sync, clock, counter, seen) = (next(), next(), next(), next(), next());
        let seen: Option<SeenRow> = seen.map(|v| decode(keys::SEEN, &v)).transpose()?;
        let clock: Option<ClockRow> = clock.map(|v| decode(keys::CLOCK, &v)).transpose()?;
        self.identity = identity.map(|v| decode(keys::IDENTITY, &v)).transpose()?;
        self.sync = sync.map(|v| decode(keys::SYNC, &v)).transpose()?.unwrap_or_default();
        self.clock = clock.unwrap_or_default().into();
        self.seen = seen.unwrap_or_default().into();
        self.seen_stored_ms = self.seen.at_ms;
        self.resuming = None;
        self.counter = counter.and_then(|v| v.as_slice().try_into().ok()).map_or(0, u64::from_be_bytes);
        self.hot.clear();
        self.unjudged.clear();
        self.pending.clear();
        self.wanted.clear();
        self.load_pending()
    }

    /// Who this phone is.
    ///
    /// # Errors
    /// [`ReplicaError::NotEnrolled`].
    pub fn identity(&self) -> Result<&Identity, ReplicaError> {
        self.identity.as_ref().filter(|_| !self.wiping).ok_or(ReplicaError::NotEnrolled)
    }

    /// Ends a wipe that the disk did not let end. Whoever enrols does so first: at the next opening it would take the new user's work with
    /// it.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn end_wipe(&mut self) -> Result<(), ReplicaError> {
        if self.wiping { self.wipe_all() } else { Ok(()) }
    }

    /// Keeps who this phone is. Repeating it for the same device of the same user renews tokens and names, and nothing else: what the phone
    /// holds and what waits in its outbox stay. A wipe that is open is ended first.
    ///
    /// # Errors
    /// [`ReplicaError::AlreadyEnrolled`] for another device or another user.
    pub fn enrol(&mut self, identity: Identity) -> Result<(), ReplicaError> {
        self.end_wipe()?;
        let other = |old: &Identity| (old.device, old.user) != (identity.device, identity.user);
        if self.identity.as_ref().is_some_and(other) {
            return Err(ReplicaError::AlreadyEnrolled);
        }
        let mut batch = Batch::new();
        batch.put(keys::IDENTITY, encode(&identity));
        self.store.commit_one(batch)?;
        self.identity = Some(identity);
        Ok(())
    }

    /// How often everything was deleted since the store was opened: what was asked for before must not come to rest behind it.
    pub fn wipes(&self) -> u64 {
        self.wipes
    }

    /// Where the phone stands with its server.
    pub fn sync_row(&self) -> &SyncRow {
        &self.sync
    }

    /// What the phone knows of the time.
    pub fn clock(&self) -> &ClockKnowledge {
        &self.clock
    }

    /// An act of this phone's user. `seed` is fresh entropy.
    ///
    /// # Errors
    /// [`ReplicaError::NotEnrolled`].
    pub fn act(&self, now: Moment, seed: [u8; 32]) -> Result<Act, ReplicaError> {
        Ok(Act::new(Stamp::new(self.identity()?.user, now, &self.clock), seed))
    }

    /// The corrected time now, milliseconds since 1970 UTC.
    pub fn now_ms(&self, now: Moment) -> i64 {
        Stamp::new(Default::default(), now, &self.clock).occurred(None).at_ms
    }

    /// Notes that the phone has reached `now`, so that setting its date back does not unlock it. On the disk about once an hour of use.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store; in memory it is noted all the same.
    pub fn notice(&mut self, now: Moment) -> Result<(), ReplicaError> {
        if self.clock.last_contact_ms == 0 {
            return Ok(());
        }
        self.seen = self.seen.raised(now, self.now_ms(now));
        if self.seen.at_ms.saturating_sub(self.seen_stored_ms) < SEEN_STEP_MS {
            return Ok(());
        }
        // Tried once a step, even on a disk that is full.
        self.seen_stored_ms = self.seen.at_ms;
        let mut batch = Batch::new();
        batch.put(keys::SEEN, encode(&SeenRow::from(self.seen)));
        self.store.commit_one(batch)?;
        Ok(())
    }

    /// Refuses to read when the phone was too long without contact, and when it was told to delete everything and could not.
    ///
    /// # Errors
    /// [`ReplicaError::Locked`], [`ReplicaError::NotEnrolled`].
    pub fn check_unlocked(&self, now: Moment) -> Result<(), ReplicaError> {
        if self.wiping {
            return Err(ReplicaError::NotEnrolled);
        }
        let last = self.clock.last_contact_ms;
        let now_ms = self.now_ms(now).max(self.seen.at(now));
        let days = now_ms.saturating_sub(last) / DAY_MS;
        if last > 0 && days >= i64::from(self.sync.lock_after_days) {
            return Err(ReplicaError::Locked { days: u32::try_from(days).unwrap_or(u32::MAX) });
        }
        Ok(())
    }

    /// Whether the phone holds this document. One that it may no longer hold, and keeps only for what the server has not answered, is as good
    /// as gone: no call tells of it.
    ///
    /// # Errors
    /// [`ReplicaError::Store`].
    pub fn holds(&self, id: DocId) -> Result<bool, ReplicaError> {
        Ok(self.shown(id)?.is_some())
    }

    /// Where a derived document comes from; `None` for one with an id of its own, or that is not held.
    ///
    /// # Errors
    /// [`ReplicaError::Store`].
    pub fn origin_of(&self, id: DocId) -> Result<Option<Origin>, ReplicaError> {
        Ok(self.shown(id)?.and_then(|head| head.origin))
    }

    /// The lead that a document belongs to: itself, or the parent of a ruling or table that is held.
    ///
    /// # Errors
    /// [`ReplicaError::Store`].
    pub fn lead_of(&self, id: DocId) -> Result<Option<DocId>, ReplicaError> {
        if id.kind() == Some(DocKind::Lead) {
            return Ok(Some(id));
        }
        Ok(self.head(id)?.and_then(|head| summary::lead_of(id, &head)))
    }

    /// A document as the phone holds it.
    ///
    /// # Errors
    /// [`ReplicaError::Unknown`] when it does not hold it.
    pub fn load(&mut self, id: DocId) -> Result<Doc, ReplicaError> {
        if let Some(doc) = self.hot.get(id) {
            return Ok(doc.clone());
        }
        // What may no longer be held is never hot.
        let held = self.read_held(id)?.filter(|held| !held.head.gone);
        let doc = held.ok_or(ReplicaError::Unknown(id))?.load(id)?;
        self.hot.put(id, doc.clone());
        Ok(doc)
    }

    /// Makes edits of one or more documents durable, together, as one act, which [`Replica::undo`] takes back. What they leave as it is is
    /// not among the answers.
    ///
    /// # Errors
    /// [`ReplicaError::Edit`] and nothing has changed.
    pub fn edit(&mut self, act: &Act, lots: &[DocEdits]) -> Result<Vec<Saved>, ReplicaError> {
        self.write(act, lots, true)
    }

    /// As [`Replica::edit`], for what the app notes by itself: undo goes on meaning the last thing that the user did.
    ///
    /// # Errors
    /// As [`Replica::edit`].
    pub fn edit_aside(&mut self, act: &Act, lots: &[DocEdits]) -> Result<Vec<Saved>, ReplicaError> {
        self.write(act, lots, false)
    }

    fn write(&mut self, act: &Act, lots: &[DocEdits], by_hand: bool) -> Result<Vec<Saved>, ReplicaError> {
        self.identity()?;
        if self.sync.leaving {
            return Err(ReplicaError::NotEnrolled);
        }
        let lots = &*joined(lots);
        let waiting: u32 = self.pending.values().sum();
        if waiting as usize + lots.len() > limits::OUTBOX_MAX {
            return Err(ReplicaError::OutboxFull);
        }
        let mut batch = Batch::new();
        let mut summaries = Summaries::new(self.store.clone());
        let mut made: Vec<(Saved, Edited)> = Vec::with_capacity(lots.len());
        let mut counter = self.counter;
        for lot in lots {
            match self.plan_edit(&mut batch, &mut summaries, act, lot, counter + 1) {
                Ok(edited) => {
                    counter += 1;
                    made.push((Saved { doc: lot.doc, outbox: counter }, edited));
                }
                Err(ReplicaError::Edit(EditError::NothingChanged)) => {}
                Err(error) => {
                    // What the lots before it did to the documents in memory will never be on the disk.
                    made.iter().for_each(|(saved, _)| self.hot.forget(saved.doc));
                    return Err(error);
                }
            }
        }
        if made.is_empty() {
            return Err(EditError::NothingChanged.into());
        }
        let undo = made.iter().map(|(saved, edited)| UndoRow {
            doc: saved.doc,
            change: edited.hash,
            edits: edited.undo.clone(),
        });
        if by_hand {
            batch.put(keys::UNDO, serde_json::to_vec(&undo.collect::<Vec<_>>()).unwrap_or_default());
        }
        batch.put(keys::COUNTER, counter.to_be_bytes());
        self.unjudged.note(summaries.leads());
        summaries.flush(&mut batch)?;
        if let Err(error) = self.store.commit_one(batch) {
            made.iter().for_each(|(saved, _)| self.hot.forget(saved.doc));
            return Err(error.into());
        }
        self.counter = counter;
        for (saved, _) in &made {
            *self.pending.entry(saved.doc).or_default() += 1;
        }
        Ok(made.into_iter().map(|(saved, _)| saved).collect())
    }

    /// Takes the last edit back, as far as it still stands: what others have written over or built on stays.
    ///
    /// # Errors
    /// [`ReplicaError::NothingToUndo`] when nothing of it stands.
    pub fn undo(&mut self, act: &Act) -> Result<Undone, ReplicaError> {
        let undo = self.undo_rows()?;
        let mut lots = Vec::with_capacity(undo.len());
        let mut partly = false;
        for UndoRow { doc, change, edits } in undo {
            let Some(head) = self.shown(doc)? else {
                partly = true;
                continue;
            };
            let back = self.load(doc)?.take_back(&change, &edits);
            partly |= back.partly;
            if !back.edits.is_empty() {
                lots.push(DocEdits { doc, origin: head.origin, edits: back.edits });
            }
        }
        if lots.is_empty() {
            return Err(ReplicaError::NothingToUndo);
        }
        Ok(Undone { saved: self.edit(act, &lots)?, partly })
    }

    fn undo_rows(&self) -> Result<Vec<UndoRow>, ReplicaError> {
        let Some(value) = self.store.get(keys::UNDO)? else { return Ok(Vec::new()) };
        serde_json::from_slice(&value)
            .map_err(|e| ReplicaError::Row { key: "undo".into(), detail: e.to_string() })
    }

    /// The document leaves, or loses this phone's work: nothing of it is taken back, and no word of it is kept for that.
    fn plan_forget_undo(&self, batch: &mut Batch, doc: DocId) {
        // A row that cannot be read might name it.
        if self.undo_rows().map_or(true, |rows| rows.iter().any(|row| row.doc == doc)) {
            batch.delete(keys::UNDO);
        }
    }

    fn plan_edit(
        &mut self,
        batch: &mut Batch,
        summaries: &mut Summaries,
        act: &Act,
        lot: &DocEdits,
        number: u64,
    ) -> Result<Edited, ReplicaError> {
        let kind = lot.doc.kind().ok_or(ReplicaError::Unknown(lot.doc))?;
        // An edit that is refused costs a load of the document later on; all others are spared a copy. What may no longer be held is never
        // hot.
        let (head, doc) = match self.hot.take(lot.doc) {
            Some(doc) => (self.head(lot.doc)?, doc),
            None => match self.read_held(lot.doc)? {
                Some(held) if held.head.gone => return Err(ReplicaError::Unknown(lot.doc)),
                Some(held) => {
                    let doc = held.load(lot.doc)?;
                    (Some(held.head), doc)
                }
                None => (None, Doc::genesis(kind)),
            },
        };
        let (doc, edited) = doc.edited(self.actor()?, &act.stamp, &lot.edits)?;
        let mut head = match head {
            Some(head) => head,
            None => self.new_head(lot)?,
        };
        head.tail += 1;
        if head.tail as usize >= TAIL_MAX {
            self.plan_compact(batch, lot.doc, &mut head, &doc)?;
        } else {
            batch.put(keys::change(lot.doc, number), edited.change.clone());
        }
        batch.put(keys::head(lot.doc), encode(&head));
        let out = OutRow {
            doc: lot.doc,
            change: edited.change.clone(),
            hash: edited.hash,
            incarnation: self.sync.incarnation,
            aside: false,
        };
        batch.put(keys::outbox(number), encode(&out)).put(keys::pending_at(lot.doc, number), []);
        summaries.take(lot.doc, &head, &doc)?;
        self.hot.put(lot.doc, doc);
        Ok(edited)
    }

    /// The head of a document that this phone brings into being. To a lead that may no longer be held nothing is added.
    fn new_head(&self, lot: &DocEdits) -> Result<HeadRow, ReplicaError> {
        let head = HeadRow { origin: lot.origin.clone(), ..HeadRow::default() };
        match summary::lead_of(lot.doc, &head).filter(|lead| *lead != lot.doc) {
            Some(lead) if self.head(lead)?.is_some_and(|lead| lead.gone) => Err(ReplicaError::Unknown(lead)),
            _ => Ok(head),
        }
    }

    /// Replaces snapshot and tail by one snapshot of `doc`.
    fn plan_compact(
        &self,
        batch: &mut Batch,
        id: DocId,
        head: &mut HeadRow,
        doc: &Doc,
    ) -> Result<(), ReplicaError> {
        self.plan_drop_tail(batch, id)?;
        batch.put(keys::snapshot(id), doc.save());
        head.tail = 0;
        Ok(())
    }

    fn plan_drop_tail(&self, batch: &mut Batch, id: DocId) -> Result<(), ReplicaError> {
        let rows =
            self.store.scan(&Range::prefix(&keys::changes(id)), Direction::Forward, limits::SCAN_MAX_ROWS)?;
        for (key, _) in rows {
            batch.delete(key);
        }
        Ok(())
    }

    /// The actor of this phone's changes.
    fn actor(&self) -> Result<Actor, ReplicaError> {
        Ok(Actor { device: self.identity()?.device, incarnation: self.sync.incarnation })
    }

    fn head(&self, id: DocId) -> Result<Option<HeadRow>, ReplicaError> {
        let key = keys::head(id);
        self.store.get(&key)?.map(|value| decode(&key, &value)).transpose()
    }

    /// The head of a document that this phone may hold.
    fn shown(&self, id: DocId) -> Result<Option<HeadRow>, ReplicaError> {
        Ok(self.head(id)?.filter(|head| !head.gone))
    }

    /// Reads a document from the store; `None` when it is not held.
    fn read_doc(&self, id: DocId) -> Result<Option<Doc>, ReplicaError> {
        self.read_held(id)?.map(|held| held.load(id)).transpose()
    }

    /// What the store has of a document, read in one instant.
    fn read_held(&self, id: DocId) -> Result<Option<Held>, ReplicaError> {
        let (head_key, snapshot_key) = (keys::head(id), keys::snapshot(id));
        let tail = (Range::prefix(&keys::changes(id)), limits::SCAN_MAX_ROWS);
        let (found, mut pages) = self.store.read(&[&head_key, &snapshot_key], &[tail])?;
        let mut found = found.into_iter();
        let Some(head) = found.next().flatten() else { return Ok(None) };
        let changes = pages.pop().unwrap_or_default().into_iter().map(|(_, value)| value).collect();
        Ok(Some(Held { head: decode(&head_key, &head)?, snapshot: found.next().flatten(), changes }))
    }

    /// The log epoch of the server as this phone last heard it; 0: never connected. It changes when the server is restored.
    pub fn log_epoch(&self) -> u64 {
        self.greeted.unwrap_or(self.sync.epoch)
    }

    /// The epoch that positions and receipts of this connection belong to.
    fn epoch(&self) -> u64 {
        self.resuming.unwrap_or(self.sync.epoch)
    }

    fn put_sync(&mut self, batch: &mut Batch) {
        batch.put(keys::SYNC, encode(&self.sync));
    }

    /// The documents of a kind that the phone holds, by id.
    ///
    /// # Errors
    /// [`ReplicaError::Store`].
    pub fn held_of(&self, kind: DocKind) -> Result<Vec<DocId>, ReplicaError> {
        let prefix = keys::heads_of(kind);
        let mut range = Range::prefix(&prefix);
        let mut ids = Vec::new();
        loop {
            let page = self.store.scan(&range, Direction::Forward, limits::SCAN_MAX_ROWS)?;
            let Some((last, _)) = page.last() else { return Ok(ids) };
            range = Range::prefix_after(&prefix, last);
            for (key, value) in &page {
                let head: HeadRow = decode(key, value)?;
                ids.extend(keys::parse_head(key).filter(|_| !head.gone));
            }
        }
    }
}

/// A document as it is stored.
struct Held {
    head: HeadRow,
    snapshot: Option<Vec<u8>>,
    changes: Vec<Vec<u8>>,
}

impl Held {
    fn load(&self, id: DocId) -> Result<Doc, ReplicaError> {
        let bad = |e: DocError| ReplicaError::Row { key: id.to_string(), detail: e.to_string() };
        let kind = id.kind().ok_or(ReplicaError::Unknown(id))?;
        let doc = match &self.snapshot {
            Some(bytes) => Doc::load_trusted(kind, bytes).map_err(bad)?,
            None => Doc::genesis(kind),
        };
        if self.changes.is_empty() { Ok(doc) } else { doc.applied(&self.changes).map_err(bad) }
    }
}

/// The same with one lot a document: of what the first one made, only memory knows when the second is planned.
fn joined(lots: &[DocEdits]) -> Cow<'_, [DocEdits]> {
    let mut docs = BTreeSet::new();
    if lots.iter().all(|lot| docs.insert(lot.doc)) {
        return Cow::Borrowed(lots);
    }
    let mut joined: Vec<DocEdits> = Vec::with_capacity(docs.len());
    for lot in lots {
        match joined.iter_mut().find(|before| before.doc == lot.doc) {
            Some(before) => before.edits.extend(lot.edits.iter().cloned()),
            None => joined.push(lot.clone()),
        }
    }
    Cow::Owned(joined)
}

/// Says in a batch that something leaves the phone with it, whose bytes an engine may still have in pages that it freed
/// ([`Replica::has_wiped`]).
pub fn mark_wiped(batch: &mut Batch) {
    batch.put(keys::WIPED, []);
}

/// Documents kept in memory: the page that is open, and those around it.
const HOT_DOCS: usize = 64;
/// Changes behind a snapshot on the phone before it is rewritten: a read applies at most this many.
const TAIL_MAX: usize = 32;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// How much time may pass before the phone writes down that it has: what a hand on the clock can win at each restart.
const SEEN_STEP_MS: i64 = 60 * 60 * 1_000;

#[cfg(test)]
mod tests;
