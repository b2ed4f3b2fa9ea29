//! Held work: pushes that are on the disk but not merged, until a person accepts or discards them (design decision 10).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use serde::Serialize;

use super::accounts::NamedBy;
use super::gate::{Accepted, Base, Gate, GateJob, GatePush};
use super::late::plan_late;
use super::push::derived_right;
use super::rows::{ChangesRow, HERE, Header, Lot, decode, encode, plan_ties};
use super::{Company, CompanyError, keys};
use crate::access::{Channel, Ties, channels_of};
use crate::ids::{Actor, DocId, DocKind, Hash32, UserId};
use crate::store::{Batch, Direction, Outcome, Range};
use crate::sync::message::{HoldReason, Origin};
use crate::time::BootClock;

/// What became of held work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum HeldState {
    /// It waits for a person.
    #[n(0)]
    Waiting,
    /// Its original bytes were merged.
    #[n(1)]
    Accepted,
    /// It was discarded, and is kept aside.
    #[n(2)]
    Discarded,
}

/// A held push as stored.
#[derive(Debug, Clone, Encode, Decode)]
pub(super) struct HeldRow {
    #[n(0)]
    pub user: UserId,
    #[n(1)]
    pub reason: HoldReason,
    #[n(2)]
    pub received_ms: i64,
    #[n(3)]
    pub origin: Option<Origin>,
    #[n(4)]
    pub changes: Vec<ByteVec>,
    #[n(5)]
    pub state: HeldState,
    #[n(6)]
    pub decided_ms: Option<i64>,
    /// The digest of what `changes` were, since they were cleared.
    #[n(7)]
    pub cleared: Option<Hash32>,
}

/// A held push as the office sees it.
#[derive(Debug, Clone, Serialize)]
pub struct HeldItem {
    /// Opaque id for [`Company::accept_held`] and [`Company::discard_held`].
    pub id: String,
    /// The document it was meant for.
    pub doc: DocId,
    /// Whose work it is.
    pub user: UserId,
    /// Why it is held.
    pub reason: HoldReason,
    /// Server time of its arrival.
    pub received_ms: i64,
    /// What became of it.
    pub state: HeldState,
    /// How many changes it has.
    pub changes: usize,
}

impl Company {
    /// Held work, oldest document id first, a page behind `after`, without what was decided and cleared.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn held(&self, after: Option<&str>, most: usize) -> Result<Vec<HeldItem>, CompanyError> {
        let after = after.map(row_key).transpose()?;
        let mut items = Vec::new();
        self.walk_held(keys::HELD, after.as_deref(), |key, row| {
            if items.len() >= most {
                return Ok(ControlFlow::Break(()));
            }
            if row.cleared.is_none() {
                items.push(item(key, &row)?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(items)
    }

    /// How many pieces of held work wait for a person.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn held_waiting(&self) -> Result<usize, CompanyError> {
        let mut waiting = 0;
        self.walk_held(keys::HELD, None, |_, row| {
            waiting += usize::from(row.state == HeldState::Waiting);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(waiting)
    }

    /// Whether some of this actor's work on the document is held, and was not merged since.
    pub(super) fn has_held(&self, doc: DocId, actor: Actor) -> Result<bool, CompanyError> {
        let mut found = false;
        self.walk_held(&keys::held_of(doc, actor), None, |_, row| {
            found = matches!(row.state, HeldState::Waiting | HeldState::Discarded);
            Ok(if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(found)
    }

    /// Shows held rows in the order of their keys until `see` breaks off. A row may be as large as a frame, so few are in memory at once.
    pub(super) fn walk_held(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        mut see: impl FnMut(&[u8], HeldRow) -> Result<ControlFlow<()>, CompanyError>,
    ) -> Result<(), CompanyError> {
        let mut range = after.map_or_else(|| Range::prefix(prefix), |key| Range::prefix_after(prefix, key));
        loop {
            let rows = self.store.scan(&range, Direction::Forward, HELD_ROWS_AT_ONCE)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            range = Range::prefix_after(prefix, last);
            for (key, value) in &rows {
                if see(key, decode(key, value)?)?.is_break() {
                    return Ok(());
                }
            }
        }
    }

    /// One piece of held work.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`].
    pub fn held_item(&self, id: &str) -> Result<HeldItem, CompanyError> {
        let key = row_key(id)?;
        item(&key, &decode(&key, &self.store.get(&key)?.ok_or_else(|| unknown(id))?)?)
    }

    /// The raw changes of held work, for whoever has to show or compare them.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`]; [`CompanyError::Refused`] when they were cleared.
    pub fn held_changes(&self, id: &str) -> Result<Vec<Vec<u8>>, CompanyError> {
        let key = row_key(id)?;
        let row: HeldRow = decode(&key, &self.store.get(&key)?.ok_or_else(|| unknown(id))?)?;
        if row.cleared.is_some() {
            return Err(CompanyError::Refused(
                "this was decided long ago, and its words were cleared".into(),
            ));
        }
        Ok(row.changes.into_iter().map(Vec::from).collect())
    }

    /// Merges the original bytes of held work, if they still fit the document.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`]; [`CompanyError::Refused`] when the bytes cannot be merged (a fork never can: a person writes
    /// its words anew), or when it was decided already.
    pub fn accept_held(
        &self,
        id: &str,
        gate: &mut dyn Gate,
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let key = row_key(id)?;
        let (doc, actor) = parse_key(&key)?;
        for _ in 0..super::TRIES {
            let (raw_row, mut row) = self.waiting(&key, id)?;
            let raw = self.store.get(&keys::header(doc))?;
            let mut header = match raw.as_deref() {
                Some(value) => Header::read(doc, value)?,
                None => self.header_of_held(doc, &row)?,
            };
            if header.erased {
                return Err(CompanyError::Refused("the document was erased".into()));
            }
            let job = GateJob {
                doc,
                heads: header.heads.clone(),
                pushes: vec![GatePush { device: actor.device, user: row.user, changes: row.changes.clone() }],
                want_saved: false,
            };
            let mut base = || -> Result<Base, CompanyError> {
                if raw.is_some() { self.base(doc, &header) } else { Ok(Base::default()) }
            };
            let judged = gate.judge(&job, &mut base)?;
            let (mut batch, row_bytes) = (Batch::new(), raw_row.len());
            batch.guard(key.clone(), Some(raw_row));
            let mut touched = BTreeSet::new();
            match judged.verdicts.into_iter().next() {
                Some(Accepted::Merge { changes, .. }) if changes.is_empty() => {}
                Some(Accepted::Merge { incarnation, changes, unpinned }) => {
                    let until = |boot| (boot, BootClock::Until(row.received_ms));
                    let boots: BTreeMap<u64, BootClock> = unpinned.into_iter().map(until).collect();
                    let ties = header.access();
                    touched = channels_of(doc.kind().unwrap_or(DocKind::Lead), &ties);
                    let departures = self.departures(doc, touched.iter().copied())?;
                    // Who hears of the lead's clocks need not be among those who may read this document: they hear, and are not tied to it.
                    let mut clocks = BTreeSet::new();
                    let is_new = raw.is_none() && doc.kind() == Some(DocKind::Lead);
                    if is_new && self.header(DocId::ruling_of(doc))?.is_none() {
                        self.plan_ruling_of_created(&mut batch, doc, row.user, &ties, &boots, now_ms)?;
                    } else if let Some(lead) = self.lead_of(doc, header.origin.as_ref()) {
                        clocks = self.plan_clocks(&mut batch, lead, &boots, now_ms)?;
                    }
                    batch.guard(keys::header(doc), raw);
                    plan_ties(&mut batch, doc, &mut header, &touched, &departures, true);
                    touched.extend(clocks);
                    header.content_at = HERE;
                    header.heads = judged.heads;
                    header.changes = judged.changes;
                    let bytes: usize = changes.iter().map(|change| change.len()).sum();
                    header.tail_bytes = header.tail_bytes.saturating_add(bytes as u32);
                    header.tail_changes = header.tail_changes.saturating_add(changes.len() as u32);
                    let received_ms = row.received_ms;
                    let lots =
                        vec![Lot { device: actor.device, incarnation, received_ms, late: true, changes }];
                    plan_late(&mut batch, doc, &lots);
                    let (change_key, slot) = keys::changes_slot(doc);
                    batch.put_at(change_key, Some(slot), encode(&ChangesRow { lots }), None);
                    if doc.kind() == Some(DocKind::Lead) {
                        let by = self.person(row.user)?;
                        let by = if judged.account_by == Some(row.user) {
                            NamedBy::Person(&by)
                        } else {
                            NamedBy::Owners
                        };
                        touched.extend(self.plan_link(&mut batch, doc, &mut header, judged.account, by)?);
                    }
                    let (value, slot) = header.to_value();
                    batch.put_at(keys::header(doc), None, value, Some(slot));
                }
                Some(Accepted::Hold(reason)) => {
                    return Err(CompanyError::Refused(format!("these changes cannot be merged: {reason:?}")));
                }
                Some(Accepted::Refuse { detail, .. }) => return Err(CompanyError::Refused(detail)),
                None => return Err(CompanyError::Contended),
            }
            self.plan_decided(&mut batch, (doc, actor.device), row_bytes)?;
            (row.state, row.decided_ms) = (HeldState::Accepted, Some(now_ms));
            batch.put(key.clone(), encode(&row));
            match self.store.commit_one(batch)? {
                Outcome::Done(_) => return Ok(touched),
                Outcome::Conflict(_) => gate.forget(doc),
            }
        }
        Err(CompanyError::Contended)
    }

    /// The header that a document would get which exists only in held work: a phone that was revoked had created it.
    fn header_of_held(&self, doc: DocId, row: &HeldRow) -> Result<Header, CompanyError> {
        let unborn = || CompanyError::Refused("the document does not exist (any more)".into());
        let kind = doc.kind().ok_or_else(unborn)?;
        let ties = match (kind, &row.origin) {
            (DocKind::Lead, None) => match self.ruled(doc)? {
                Some(ruled) => ruled.ties,
                None => self.ties_of(&[row.user], None)?,
            },
            (DocKind::Account, None) => self.ties_of(&[row.user], None)?,
            (DocKind::Calendar, Some(origin)) if origin.parent.as_slice() == row.user.0 => {
                self.ties_of(&[row.user], None)?
            }
            (_, Some(origin)) => {
                let parent = DocId::from_slice(&origin.parent).ok_or_else(unborn)?;
                self.header(parent)?.ok_or_else(unborn)?.access()
            }
            (_, None) => return Err(unborn()),
        };
        if row.origin.as_ref().is_some_and(|origin| !derived_right(doc, kind, origin)) {
            return Err(unborn());
        }
        Ok(Header {
            origin: row.origin.clone(),
            heads: vec![crate::document::genesis::genesis(kind).hash],
            owners: ties.owners.into_iter().collect(),
            teams: ties.teams.into_iter().collect(),
            creator: Some(row.user),
            ..Header::default()
        })
    }

    /// Whom the work of a user belongs to: themselves, their team and those above it.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`].
    pub fn ties_of_user(&self, user: UserId) -> Result<Ties, CompanyError> {
        self.ties_of(&[user], None)
    }

    /// Decides at `now_ms` (server time) that held work is not merged; it is kept aside.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`]; [`CompanyError::Refused`] when it was decided already.
    pub fn discard_held(&self, id: &str, now_ms: i64) -> Result<(), CompanyError> {
        let key = row_key(id)?;
        let (doc, actor) = parse_key(&key)?;
        let plan = || {
            let (raw, mut row) = self.waiting(&key, id)?;
            let mut batch = Batch::new();
            self.plan_decided(&mut batch, (doc, actor.device), raw.len())?;
            (row.state, row.decided_ms) = (HeldState::Discarded, Some(now_ms));
            batch.guard(key.clone(), Some(raw)).put(key.clone(), encode(&row));
            Ok((batch, ()))
        };
        self.transact(plan).map(|_| ())
    }

    fn waiting(&self, key: &[u8], id: &str) -> Result<(Vec<u8>, HeldRow), CompanyError> {
        let raw = self.store.get(key)?.ok_or_else(|| unknown(id))?;
        let row: HeldRow = decode(key, &raw)?;
        if row.state == HeldState::Waiting {
            Ok((raw, row))
        } else {
            Err(CompanyError::Refused("this was decided already".into()))
        }
    }
}

/// Held rows that are in memory together.
const HELD_ROWS_AT_ONCE: usize = 4;

fn item(key: &[u8], row: &HeldRow) -> Result<HeldItem, CompanyError> {
    let (doc, _) = parse_key(key)?;
    Ok(HeldItem {
        id: hex::encode(&key[keys::HELD.len()..]),
        doc,
        user: row.user,
        reason: row.reason,
        received_ms: row.received_ms,
        state: row.state,
        changes: row.changes.len(),
    })
}

fn row_key(id: &str) -> Result<Vec<u8>, CompanyError> {
    let tail = hex::decode(id).map_err(|_| unknown(id))?;
    let mut key = keys::HELD.to_vec();
    key.extend_from_slice(&tail);
    parse_key(&key).map(|_| key)
}

fn parse_key(key: &[u8]) -> Result<(DocId, Actor), CompanyError> {
    let bad = || unknown(&hex::encode(key));
    let rest = key
        .get(keys::HELD.len()..)
        .filter(|rest| rest.len() == DocId::LEN + Actor::LEN + 8)
        .ok_or_else(bad)?;
    let doc = DocId::from_slice(&rest[..DocId::LEN]).ok_or_else(bad)?;
    let actor = Actor::from_bytes(&rest[DocId::LEN..DocId::LEN + Actor::LEN]).ok_or_else(bad)?;
    Ok((doc, actor))
}

fn unknown(id: &str) -> CompanyError {
    CompanyError::Unknown { what: "held work", id: id.chars().take(80).collect() }
}
