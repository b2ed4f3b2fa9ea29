//! The shelf of held work: under which key a push is kept, how much of one device's may wait there at once, and what is left of it when
//! somebody has decided and its time is over.
//!
//! How much waits is counted in small rows, 256 a device, each for the documents whose id ends in one byte. A batch guards the one row that
//! it changes, so no count is ever lost; two documents of one device seldom share a row, so they seldom wait for each other. The sum is
//! read and not guarded: a device may exceed its share by what it has in flight.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use super::held::{HeldRow, HeldState};
use super::rows::{decode, encode};
use super::{Company, CompanyError, keys};
use crate::ids::{Actor, DeviceId, DocId, Hash32, UserId};
use crate::limits;
use crate::store::{Batch, Direction, Range};
use crate::sync::message::{HoldReason, Push};

/// Work of one device that waits for a person: `w/device/last byte of the document`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Weight {
    #[n(0)]
    pub pushes: u64,
    #[n(1)]
    pub bytes: u64,
}

/// What came of a push that is to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// It is kept, now or since it came before.
    Kept,
    /// Its number was given too often.
    TooOften,
    /// So much of this device's work waits already that it has to keep this itself.
    NoRoom,
}

/// What one batch puts on the shelf for one document.
pub(super) struct Shelf<'a> {
    company: &'a Company,
    doc: DocId,
    now_ms: i64,
    planned: BTreeMap<Vec<u8>, &'a [ByteVec]>,
    counts: BTreeMap<DeviceId, Count>,
    /// Whose work found no place: what they built on it is worth nothing without it, and must not look as if it was.
    turned_away: BTreeMap<Actor, Placed>,
}

/// A device's count as it was read and as it will be.
struct Count {
    raw: Option<Vec<u8>>,
    row: Weight,
    /// Over all documents.
    total: Weight,
}

impl<'a> Shelf<'a> {
    pub fn new(company: &'a Company, doc: DocId, now_ms: i64) -> Self {
        let (planned, counts, turned_away) = Default::default();
        Self { company, doc, now_ms, planned, counts, turned_away }
    }

    /// Keeps a push as it came. One that is kept already stays as it is: a repeated push undoes no decision.
    pub fn place(
        &mut self,
        batch: &mut Batch,
        (actor, user): (Actor, UserId),
        push: &'a Push,
        reason: HoldReason,
    ) -> Result<Placed, CompanyError> {
        let placed = match self.place_for(actor, push)? {
            Ok(key) => {
                let row = HeldRow {
                    user,
                    reason,
                    received_ms: self.now_ms,
                    origin: push.origin.clone(),
                    changes: push.changes.clone(),
                    state: HeldState::Waiting,
                    decided_ms: None,
                    cleared: None,
                };
                let row = encode(&row);
                let more = weight_of(row.len());
                match self.turned_away.get(&actor).copied() {
                    Some(before) => before,
                    None if !self.count(actor.device)?.has_room_for(more) => Placed::NoRoom,
                    None => {
                        self.put(batch, actor.device, key.clone(), row)?;
                        self.planned.insert(key, &push.changes);
                        Placed::Kept
                    }
                }
            }
            Err(placed) => placed,
        };
        if placed != Placed::Kept {
            self.turned_away.entry(actor).or_insert(placed);
        }
        Ok(placed)
    }

    /// Puts an encoded row on the shelf, whether there is room or not. Others' work that a phone gave back is not the phone's to answer for.
    pub fn put(
        &mut self,
        batch: &mut Batch,
        device: DeviceId,
        key: Vec<u8>,
        row: Vec<u8>,
    ) -> Result<(), CompanyError> {
        let more = weight_of(row.len());
        let count = self.count(device)?;
        count.row = count.row.plus(more);
        count.total = count.total.plus(more);
        batch.guard(key.clone(), None).put(key, row);
        Ok(())
    }

    /// Adds the counts to the batch.
    pub fn note(self, batch: &mut Batch) {
        for (device, count) in self.counts {
            count.plan(batch, keys::held_weight(device, self.doc));
        }
    }

    fn count(&mut self, device: DeviceId) -> Result<&mut Count, CompanyError> {
        if !self.counts.contains_key(&device) {
            let count = self.company.held_count(device, self.doc)?;
            self.counts.insert(device, count);
        }
        self.counts.get_mut(&device).ok_or(CompanyError::Contended)
    }

    /// The free key for a push. A phone that was restored from a backup gives a number twice.
    fn place_for(&self, actor: Actor, push: &Push) -> Result<Result<Vec<u8>, Placed>, CompanyError> {
        for copy in 0..=HELD_COPIES {
            let key = keys::held(self.doc, actor, push.id ^ copy << HELD_COPY_SHIFT);
            let same = match self.planned.get(&key) {
                Some(changes) => *changes == push.changes,
                None => match self.company.store.get(&key)? {
                    Some(value) => decode::<HeldRow>(&key, &value)?.is_of(&push.changes),
                    None => return Ok(Ok(key)),
                },
            };
            if same {
                return Ok(Err(Placed::Kept));
            }
        }
        Ok(Err(Placed::TooOften))
    }
}

impl Count {
    fn has_room_for(&self, more: Weight) -> bool {
        let then = self.total.plus(more);
        then.pushes <= limits::HELD_MAX_PUSHES && then.bytes <= limits::HELD_MAX_BYTES
    }

    fn plan(self, batch: &mut Batch, key: Vec<u8>) {
        let is_as_before = self.raw.as_ref().is_some_and(|raw| *raw == encode(&self.row));
        if is_as_before || self.raw.is_none() && self.row == Weight::default() {
            return;
        }
        batch.guard(key.clone(), self.raw);
        if self.row == Weight::default() {
            batch.delete(key);
        } else {
            batch.put(key, encode(&self.row));
        }
    }
}

impl Weight {
    fn plus(self, more: Self) -> Self {
        Self { pushes: self.pushes.saturating_add(more.pushes), bytes: self.bytes.saturating_add(more.bytes) }
    }

    fn minus(self, less: Self) -> Self {
        // A row that an earlier version held was never counted.
        Self { pushes: self.pushes.saturating_sub(less.pushes), bytes: self.bytes.saturating_sub(less.bytes) }
    }
}

impl HeldRow {
    /// Whether it holds, or held until it was cleared, just these changes.
    fn is_of(&self, changes: &[ByteVec]) -> bool {
        self.cleared.map_or_else(|| self.changes == changes, |digest| digest == digest_of(changes))
    }
}

impl Company {
    fn held_count(&self, device: DeviceId, doc: DocId) -> Result<Count, CompanyError> {
        let own = keys::held_weight(device, doc);
        let mut count = Count { raw: None, row: Weight::default(), total: Weight::default() };
        let range = Range::prefix(&keys::held_weights(device));
        for (key, value) in self.store.scan(&range, Direction::Forward, WEIGHTS_A_DEVICE)? {
            let row: Weight = decode(&key, &value)?;
            count.total = count.total.plus(row);
            if key == own {
                (count.raw, count.row) = (Some(value), row);
            }
        }
        Ok(count)
    }

    /// Adds to a batch that work whose row has so many bytes, until now waiting, was decided: it weighs on its device no more.
    pub(super) fn plan_decided(
        &self,
        batch: &mut Batch,
        (doc, device): (DocId, DeviceId),
        row_bytes: usize,
    ) -> Result<(), CompanyError> {
        let mut count = self.held_count(device, doc)?;
        count.row = count.row.minus(weight_of(row_bytes));
        count.plan(batch, keys::held_weight(device, doc));
        Ok(())
    }

    /// Clears the words of held work that was decided before `before_ms` (server time). Of each push a small row stays, so that the same
    /// bytes, should they come again, are answered as before. Returns how many were cleared.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn clear_held(&self, before_ms: i64) -> Result<usize, CompanyError> {
        let mut cleared = 0;
        self.walk_held(keys::HELD, None, |key, row| {
            if row.is_due(before_ms) {
                self.transact(|| self.plan_clear(key, before_ms).map(|batch| (batch, ())))?;
                cleared += 1;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(cleared)
    }

    fn plan_clear(&self, key: &[u8], before_ms: i64) -> Result<Batch, CompanyError> {
        let mut batch = Batch::new();
        let Some(raw) = self.store.get(key)? else { return Ok(batch) };
        let row: HeldRow = decode(key, &raw)?;
        if row.is_due(before_ms) {
            let digest = digest_of(&row.changes);
            let small = HeldRow { cleared: Some(digest), changes: Vec::new(), origin: None, ..row };
            batch.guard(key, Some(raw)).put(key, encode(&small));
        }
        Ok(batch)
    }
}

impl HeldRow {
    fn is_due(&self, before_ms: i64) -> bool {
        // An earlier version did not note when somebody decided.
        let decided_ms = self.decided_ms.unwrap_or(self.received_ms);
        self.state != HeldState::Waiting && self.cleared.is_none() && decided_ms < before_ms
    }
}

fn weight_of(row_bytes: usize) -> Weight {
    Weight { pushes: 1, bytes: row_bytes as u64 }
}

fn digest_of(changes: &[ByteVec]) -> Hash32 {
    let mut digest = Sha256::new();
    for change in changes {
        digest.update((change.len() as u64).to_be_bytes());
        digest.update(change.as_slice());
    }
    Hash32(digest.finalize().into())
}

/// Pushes of one actor under one number that are kept apart: as often would a phone have to be restored from one backup.
const HELD_COPIES: u64 = 64;
/// Above every number that an outbox ever gives.
const HELD_COPY_SHIFT: u32 = 48;
/// One for each last byte of a document's id.
const WEIGHTS_A_DEVICE: usize = 256;

#[cfg(test)]
mod tests;
