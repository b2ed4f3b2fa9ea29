//! The outbox: what the server has not answered yet, and what becomes of it when it answers.

use std::collections::BTreeSet;

use serde::Serialize;

use super::rows::{HeadRow, KeptRow, KeptWhy, OutRow, decode, encode};
use super::summary::{Summaries, lead_of};
use super::{Replica, ReplicaError, keys};
use crate::document::Doc;
use crate::ids::{DocId, DocKind, Hash32};
use crate::limits;
use crate::store::{Batch, Direction, Range};
use crate::sync::message::{Answer, Push, Verdict, Voucher};

/// Work that the server did not merge, as its author sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The document.
    pub doc: DocId,
    /// Its number in the outbox.
    pub number: u64,
    /// Why.
    pub why: KeptWhy,
    /// When the answer came, milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// The raw change, for [`crate::document::describe`]; nothing when the document may no longer be held.
    #[serde(skip)]
    pub change: Option<Vec<u8>>,
}

impl Replica {
    pub(super) fn load_pending(&mut self) -> Result<(), ReplicaError> {
        let wanted =
            self.store.scan(&Range::prefix(keys::WANTED), Direction::Forward, limits::SCAN_MAX_ROWS)?;
        let doc_of = |key: &[u8]| DocId::from_slice(key.get(keys::WANTED.len()..)?);
        self.wanted = wanted.iter().filter_map(|(key, _)| doc_of(key)).collect();
        let mut range = Range::prefix(b"p/");
        loop {
            let page = self.store.scan(&range, Direction::Forward, limits::SCAN_MAX_ROWS)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            range = Range::prefix_after(b"p/", last);
            for doc in page.iter().filter_map(|(key, _)| DocId::from_slice(key.get(2..2 + DocId::LEN)?)) {
                *self.pending.entry(doc).or_default() += 1;
            }
        }
    }

    /// How many changes the server has not answered yet.
    pub fn unanswered(&self) -> u64 {
        self.pending.values().map(|n| u64::from(*n)).sum()
    }

    /// The oldest number that the server has not answered yet.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn oldest_unanswered(&self) -> Result<Option<u64>, ReplicaError> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let first = self.store.scan(&Range::prefix(keys::OUTBOX), Direction::Forward, 1)?;
        Ok(first.first().and_then(|(key, _)| keys::parse_outbox(key)))
    }

    /// The documents with changes that the server has not answered yet.
    pub fn unanswered_docs(&self) -> BTreeSet<DocId> {
        self.pending.keys().copied().collect()
    }

    /// The highest push id ever given.
    pub fn pushed(&self) -> u64 {
        self.counter
    }

    /// The documents to ask the server for.
    pub fn wanted(&self) -> &BTreeSet<DocId> {
        &self.wanted
    }

    /// Notes that a document has to be asked for whole.
    pub(super) fn plan_want(&mut self, batch: &mut Batch, doc: DocId) {
        if self.wanted.insert(doc) {
            batch.put(keys::wanted(doc), []);
        }
    }

    /// The document came whole, or is not this phone's.
    pub(super) fn plan_unwant(&mut self, batch: &mut Batch, doc: DocId) {
        if self.wanted.remove(&doc) {
            batch.delete(keys::wanted(doc));
        }
    }

    /// The next pushes behind outbox number `after`, at most `most` of about `budget_bytes` together. Consecutive changes of one document
    /// share a push.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn pushes(&self, after: u64, most: usize, budget_bytes: usize) -> Result<Vec<Push>, ReplicaError> {
        let range = Range::prefix_after(keys::OUTBOX, &keys::outbox(after));
        let rows = self.store.scan(&range, Direction::Forward, OUTBOX_PAGE)?;
        let mut pushes: Vec<Push> = Vec::new();
        let mut last = None;
        let mut bytes = 0;
        for (key, value) in &rows {
            let row: OutRow = decode(key, value)?;
            let Some(id) = keys::parse_outbox(key) else { continue };
            bytes += row.change.len();
            let lot = Some((row.doc, row.incarnation, row.aside));
            let joins =
                last == lot && pushes.last().is_some_and(|p| p.changes.len() < limits::PUSH_MAX_CHANGES);
            if bytes > budget_bytes && !pushes.is_empty() || (pushes.len() == most && !joins) {
                break;
            }
            last = lot;
            match pushes.last_mut().filter(|_| joins) {
                Some(push) => {
                    push.id = id;
                    push.changes.push(row.change.into());
                }
                None => {
                    let origin = self.head(row.doc)?.and_then(|head| head.origin);
                    pushes.push(Push { id, doc: row.doc, origin, changes: vec![row.change.into()] });
                }
            }
        }
        Ok(pushes)
    }

    /// Takes the server's answer to a push.
    pub(super) fn take_answer(
        &mut self,
        batch: &mut Batch,
        summaries: &mut Summaries,
        answer: &Answer,
        now_ms: i64,
    ) -> Result<Outcome, ReplicaError> {
        let numbers = self.numbers_of(answer.doc)?;
        let Some(mut head) = self.head(answer.doc)? else { return Ok(Outcome::Nothing) };
        match &answer.verdict {
            Verdict::Durable { at, receipt } => {
                let done: Vec<u64> = numbers.iter().copied().filter(|n| *n <= answer.id).collect();
                let entries = self.entries(&done)?;
                let Some(last) = entries.last() else { return Ok(Outcome::Nothing) };
                if head.moves_to(self.epoch(), *at) && done.last() == Some(&answer.id) {
                    let heads = vec![last.hash];
                    head.own = Some(Voucher { epoch: self.epoch(), heads, receipt: receipt.clone() });
                }
                // A person accepted the held work before what stands behind it arrived: the document here lacks both.
                let rebuild = entries.iter().any(|entry| entry.aside).then_some(answer.doc);
                if rebuild.is_some() {
                    self.plan_want(batch, answer.doc);
                }
                self.plan_answered(batch, answer.doc, &done);
                let wiped = head.gone && !self.pending.contains_key(&answer.doc);
                if wiped {
                    self.plan_wipe(batch, summaries, answer.doc, &head)?;
                } else {
                    batch.put(keys::head(answer.doc), encode(&head));
                }
                Ok(Outcome::Durable { changes: done.len(), rebuild, wiped })
            }
            Verdict::Held { reason } => {
                let why = KeptWhy::Held(*reason);
                self.set_aside(batch, summaries, answer, head, &numbers, why, now_ms)
            }
            Verdict::Refused { code, .. } => {
                let why = KeptWhy::Refused(*code);
                self.set_aside(batch, summaries, answer, head, &numbers, why, now_ms)
            }
        }
    }

    /// The outbox entries of these numbers.
    fn entries(&self, numbers: &[u64]) -> Result<Vec<OutRow>, ReplicaError> {
        let entry_keys: Vec<Vec<u8>> = numbers.iter().map(|number| keys::outbox(*number)).collect();
        let found = self.store.get_many(&entry_keys.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        entry_keys.iter().zip(found).filter_map(|(key, value)| Some(decode(key, &value?))).collect()
    }

    fn numbers_of(&self, doc: DocId) -> Result<Vec<u64>, ReplicaError> {
        if !self.pending.contains_key(&doc) {
            return Ok(Vec::new());
        }
        let range = Range::prefix(&keys::pending(doc));
        let rows = self.store.scan(&range, Direction::Forward, limits::SCAN_MAX_ROWS)?;
        Ok(rows.iter().filter_map(|(key, _)| keys::parse_pending(key)).collect())
    }

    fn plan_answered(&mut self, batch: &mut Batch, doc: DocId, numbers: &[u64]) {
        for number in numbers {
            batch.delete(keys::outbox(*number)).delete(keys::pending_at(doc, *number));
        }
        let left = self.pending.get(&doc).copied().unwrap_or(0).saturating_sub(numbers.len() as u32);
        if left == 0 {
            self.pending.remove(&doc);
        } else {
            self.pending.insert(doc, left);
        }
    }

    /// Moves what was answered aside, rebuilds the document without it and what stands behind it (the unit is the actor's whole suffix),
    /// and takes a new incarnation: the old one's sequence numbers are used up. What stands behind held work and has not been answered
    /// stays in the outbox, for the server to hold it too.
    #[expect(clippy::too_many_arguments, reason = "one plan of one batch")]
    fn set_aside(
        &mut self,
        batch: &mut Batch,
        summaries: &mut Summaries,
        answer: &Answer,
        mut head: HeadRow,
        numbers: &[u64],
        why: KeptWhy,
        at_ms: i64,
    ) -> Result<Outcome, ReplicaError> {
        let doc = answer.doc;
        if numbers.first().is_none_or(|first| *first > answer.id) {
            return Ok(Outcome::Nothing);
        }
        let mut out = BTreeSet::new();
        let mut done = Vec::new();
        for (number, entry) in numbers.iter().zip(self.entries(numbers)?) {
            out.insert(entry.hash);
            if *number > answer.id && matches!(why, KeptWhy::Held(_)) {
                batch.put(keys::outbox(*number), encode(&OutRow { aside: true, ..entry }));
                continue;
            }
            done.push(*number);
            // Of a document that may no longer be held only the fact remains.
            let change = (!head.gone).then(|| entry.change.into());
            batch.put(keys::kept(doc, *number), encode(&KeptRow { why, at_ms, change }));
        }
        self.plan_answered(batch, doc, &done);
        self.plan_forget_undo(batch, doc);
        self.sync.incarnation += 1;
        self.put_sync(batch);
        self.hot.forget(doc);
        let waits = self.pending.contains_key(&doc);
        if head.gone && !waits {
            self.plan_wipe(batch, summaries, doc, &head)?;
            return Ok(Outcome::Aside { rebuild: None, wiped: true });
        }
        let rebuilt = self.without(doc, &out)?;
        if head.at == 0 && rebuilt.change_count() <= 1 && !waits {
            // Nothing of it is left to hold, unless the server knows it from before this phone's store was set back.
            self.plan_drop(batch, summaries, doc, &head)?;
            self.plan_want(batch, doc);
            return Ok(Outcome::Aside { rebuild: Some(doc), wiped: false });
        }
        self.plan_compact(batch, doc, &mut head, &rebuilt)?;
        batch.put(keys::head(doc), encode(&head));
        if !head.gone {
            summaries.take(doc, &head, &rebuilt)?;
        }
        self.plan_want(batch, doc);
        Ok(Outcome::Aside { rebuild: Some(doc), wiped: false })
    }

    /// The document without these changes and what builds on them.
    fn without(&self, id: DocId, aside: &BTreeSet<Hash32>) -> Result<Doc, ReplicaError> {
        let doc = self.read_doc(id)?.ok_or(ReplicaError::Unknown(id))?;
        let mut rebuilt = Doc::genesis(doc.kind());
        let genesis = rebuilt.heads();
        for change in doc.changes_after(&genesis) {
            // What builds on a change that is aside cannot be applied, and is aside too.
            if !aside.contains(&change.hash) {
                let _ = rebuilt.apply(&[change.bytes]);
            }
        }
        Ok(rebuilt)
    }

    /// Removes every byte of a document, kept work included; of that only the fact remains.
    pub(super) fn plan_wipe(
        &mut self,
        batch: &mut Batch,
        summaries: &mut Summaries,
        doc: DocId,
        head: &HeadRow,
    ) -> Result<(), ReplicaError> {
        let kept = self.store.scan(
            &Range::prefix(&keys::kept_of(doc)),
            Direction::Forward,
            limits::SCAN_MAX_ROWS,
        )?;
        for (key, value) in kept {
            let row: KeptRow = decode(&key, &value)?;
            batch.put(key, encode(&KeptRow { change: None, ..row }));
        }
        self.plan_unwant(batch, doc);
        super::mark_wiped(batch);
        self.plan_drop(batch, summaries, doc, head)
    }

    /// Whether a document left this phone whose bytes an engine may still have in pages that it freed.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn has_wiped(&self) -> Result<bool, ReplicaError> {
        Ok(self.store.get(keys::WIPED)?.is_some())
    }

    /// The engine has written its file anew: nothing of what left is in it.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn note_scrubbed(&self) -> Result<(), ReplicaError> {
        let mut batch = Batch::new();
        batch.delete(keys::WIPED);
        self.store.commit_one(batch)?;
        Ok(())
    }

    /// Removes a document. What was kept of it stays.
    fn plan_drop(
        &mut self,
        batch: &mut Batch,
        summaries: &mut Summaries,
        doc: DocId,
        head: &HeadRow,
    ) -> Result<(), ReplicaError> {
        self.plan_drop_tail(batch, doc)?;
        batch.delete(keys::snapshot(doc)).delete(keys::head(doc));
        summaries.forget(doc);
        if let Some(lead) = lead_of(doc, head) {
            // A ruling that came, and goes, without its lead leaves a row that nothing else would remove.
            if doc.kind() == Some(DocKind::Lead) || !self.holds(lead)? {
                summaries.remove(lead)?;
            }
        }
        self.plan_forget_undo(batch, doc);
        self.hot.forget(doc);
        Ok(())
    }

    /// Whether work on this document was set aside: what it named is not dropped, only not merged yet.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn has_kept(&self, doc: DocId) -> Result<bool, ReplicaError> {
        Ok(!self.store.scan(&Range::prefix(&keys::kept_of(doc)), Direction::Forward, 1)?.is_empty())
    }

    /// Work that the server did not merge.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn kept(&self) -> Result<Vec<Kept>, ReplicaError> {
        let rows = self.store.scan(&Range::prefix(keys::KEPT), Direction::Forward, limits::SCAN_MAX_ROWS)?;
        rows.iter().map(|(key, value)| kept(key, value)).collect()
    }

    /// How much of it there is.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn kept_count(&self) -> Result<usize, ReplicaError> {
        Ok(self.store.scan(&Range::prefix(keys::KEPT), Direction::Forward, limits::SCAN_MAX_ROWS)?.len())
    }

    /// Its author needs one piece of it no longer: they have read it, or made it again. What the server holds of it stays there.
    ///
    /// # Errors
    /// [`ReplicaError::Unknown`] when nothing is kept under this number.
    pub fn dismiss_kept(&mut self, doc: DocId, number: u64) -> Result<(), ReplicaError> {
        let key = keys::kept(doc, number);
        if self.store.get(&key)?.is_none() {
            return Err(ReplicaError::Unknown(doc));
        }
        let mut batch = Batch::new();
        batch.delete(key);
        self.store.commit_one(batch)?;
        Ok(())
    }
}

/// What an answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered before.
    Nothing,
    /// They are durable on the server.
    Durable {
        /// How many changes.
        changes: usize,
        /// The document to fetch, when this phone has already put them aside.
        rebuild: Option<DocId>,
        /// That was the last thing that kept the document on this phone.
        wiped: bool,
    },
    /// They are aside; the document was rebuilt and should be compared with the server's.
    Aside {
        /// The document to fetch.
        rebuild: Option<DocId>,
        /// The document left this phone instead.
        wiped: bool,
    },
}

fn kept(key: &[u8], value: &[u8]) -> Result<Kept, ReplicaError> {
    let row: KeptRow = decode(key, value)?;
    let rest = &key[keys::KEPT.len()..];
    let doc = rest.get(..DocId::LEN).and_then(DocId::from_slice).unwrap_or_default();
    let number = rest.get(DocId::LEN..).and_then(|n| n.try_into().ok()).map_or(0, u64::from_be_bytes);
    Ok(Kept { doc, number, why: row.why, at_ms: row.at_ms, change: row.change.map(Vec::from) })
}

/// Outbox entries looked at for one flight of pushes.
const OUTBOX_PAGE: usize = 1_024;
