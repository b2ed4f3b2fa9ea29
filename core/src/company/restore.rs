//! After a restore: phones give back what the backup had not yet seen (design decision 6). The receipt vouches for the heads, and the
//! heads, being hashes, for the whole history behind them.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::ByteVec;

use super::held::{HeldRow, HeldState};
use super::maintain::Own;
use super::push::derived_right;
use super::rows::{ChangesRow, HERE, Lot, encode, plan_ties};
use super::shelf::Shelf;
use super::{Company, CompanyError, SERVER_USER, keys};
use crate::access::{Channel, Ties, channels_of};
use crate::document::{Doc, NoClocks, RawChange, Value, vouched_for};
use crate::ids::{Actor, DocId, DocKind, Hash32, UserId};
use crate::limits;
use crate::store::Batch;
use crate::sync::message::{HoldReason, Origin, Return, Voucher, slices};

impl Company {
    /// Takes back a document, or what is missing of it, when the receipt is this company's. Returns the channels with news; none when
    /// nothing was new or the receipt does not vouch for it.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn take_back(&self, returned: &Return, now_ms: i64) -> Result<BTreeSet<Channel>, CompanyError> {
        let Some(kind) = returned.doc.kind() else { return Ok(BTreeSet::new()) };
        // The receipt is for the document alone: where it comes from has to follow from its id, or it would move somebody else's lead.
        let from_there = match &returned.origin {
            Some(origin) => derived_right(returned.doc, kind, origin),
            None => !is_derived(kind),
        };
        if !from_there {
            return Ok(BTreeSet::new());
        }
        let is_ours = |voucher: &&Voucher| {
            voucher.heads.len() <= limits::CHANGE_MAX_DEPS
                && self.receipt(voucher.epoch, returned.doc, &voucher.heads) == voucher.receipt
        };
        let heads: Vec<Hash32> = returned
            .vouchers
            .iter()
            .take(VOUCHERS_MAX)
            .filter(is_ours)
            .flat_map(|v| v.heads.clone())
            .collect();
        let mut whole = Doc::genesis(kind);
        // Only bytes that passed this company's gate before, which their hashes prove, reach the decoder here.
        let plain = vouched_for(&slices(&returned.changes), &heads);
        if plain.is_empty() || whole.apply(&plain).is_err() {
            return Ok(BTreeSet::new());
        }
        let vouched = whole.changes_behind(&heads);
        let (touched, _) = self.transact(|| {
            let mut batch = Batch::new();
            let own = self.own(returned.doc, returned.origin.clone())?;
            let touched = self.plan_take_back(&mut batch, own, &vouched, now_ms)?;
            Ok((batch, touched))
        })?;
        Ok(touched)
    }

    fn plan_take_back(
        &self,
        batch: &mut Batch,
        mut own: Own,
        vouched: &[RawChange],
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let id = own.id;
        let missing = self.take_what_fits(batch, &mut own, vouched, now_ms)?;
        if missing.is_empty() && own.header.is_some() {
            return Ok(BTreeSet::new());
        }
        let Some(mut header) = own.header.take() else {
            let ties = self.ties_of_returned(id, &own)?;
            let lead = lead_of(id, own.origin.as_ref());
            let mut touched = self.plan_new(batch, own, &ties)?;
            touched.extend(self.plan_follow(batch, id, lead, &ties)?);
            return Ok(touched);
        };
        let lead = lead_of(id, header.origin.as_ref());
        let old = header.channels();
        let ties = match id.kind() {
            Some(DocKind::Ruling) => self.ties_of_ruling(&own.doc)?,
            _ => header.access(),
        };
        let wanted = channels_of(own.doc.kind(), &ties);
        let departures = self.departures(id, wanted.iter().copied())?;
        batch.guard(keys::header(id), own.raw);
        plan_ties(batch, id, &mut header, &wanted, &departures, true);
        let moved = ties != header.access();
        header.owners = ties.owners.iter().copied().collect();
        header.teams = ties.teams.iter().copied().collect();
        header.content_at = HERE;
        header.heads = own.doc.heads();
        header.changes = own.doc.change_count();
        let bytes: usize = missing.iter().map(|change| change.len()).sum();
        header.tail_bytes = header.tail_bytes.saturating_add(bytes as u32);
        header.tail_changes = header.tail_changes.saturating_add(missing.len() as u32);
        let actor = self.actor();
        let lot =
            Lot { device: actor.device, incarnation: 0, received_ms: now_ms, late: false, changes: missing };
        let (key, slot) = keys::changes_slot(id);
        batch.put_at(key, Some(slot), encode(&ChangesRow { lots: vec![lot] }), None);
        let (value, slot) = header.to_value();
        batch.put_at(keys::header(id), None, value, Some(slot));
        let mut touched: BTreeSet<Channel> = wanted.union(&old).copied().collect();
        if moved {
            touched.extend(self.plan_follow(batch, id, lead, &ties)?);
        }
        Ok(touched)
    }

    /// Applies what is missing and gives it. A phone that was itself set back may have used a sequence number for something else since: what
    /// cannot be merged any more is held for a person.
    fn take_what_fits(
        &self,
        batch: &mut Batch,
        own: &mut Own,
        vouched: &[RawChange],
        now_ms: i64,
    ) -> Result<Vec<ByteVec>, CompanyError> {
        let missing: Vec<&RawChange> =
            vouched.iter().filter(|change| !own.doc.contains(&change.hash)).collect();
        let bytes = missing.iter().map(|change| ByteVec::from(change.bytes.clone())).collect::<Vec<_>>();
        if own.doc.apply(&slices(&bytes)).is_ok() {
            return Ok(bytes);
        }
        let (mut taken, mut stuck) = (Vec::new(), BTreeMap::<Actor, Vec<&RawChange>>::new());
        for change in missing {
            match own.doc.apply(&[&change.bytes]) {
                Ok(()) => taken.push(ByteVec::from(change.bytes.clone())),
                Err(_) => stuck.entry(change.actor).or_default().push(change),
            }
        }
        let mut shelf = Shelf::new(self, own.id, now_ms);
        for (actor, changes) in stuck {
            let Some(last) = changes.last() else { continue };
            let number = u64::from_be_bytes(std::array::from_fn(|i| last.hash.0[i]));
            let key = keys::held(own.id, actor, number);
            if self.store.get(&key)?.is_none() {
                let row = HeldRow {
                    user: self.device(actor.device).map_or(SERVER_USER, |row| row.user),
                    reason: HoldReason::Fork,
                    received_ms: now_ms,
                    origin: own.origin.clone(),
                    changes: changes.into_iter().map(|change| change.bytes.clone().into()).collect(),
                    state: HeldState::Waiting,
                    decided_ms: None,
                    cleared: None,
                };
                shelf.put(batch, actor.device, key, encode(&row))?;
            }
        }
        shelf.note(batch);
        Ok(taken)
    }

    /// Whom a document that this backup never saw belongs to.
    fn ties_of_returned(&self, id: DocId, own: &Own) -> Result<Ties, CompanyError> {
        let parent = own.origin.as_ref().and_then(|origin| DocId::from_slice(&origin.parent));
        match id.kind() {
            Some(DocKind::Ruling) => self.ties_of_ruling(&own.doc),
            Some(DocKind::Calendar) => {
                let user = own.origin.as_ref().and_then(|origin| UserId::from_slice(&origin.parent));
                self.ties_of(&self.known(user), None)
            }
            Some(DocKind::Lead) => match self.load(DocId::ruling_of(id)) {
                Ok(ruling) => self.ties_of_ruling(&ruling),
                Err(CompanyError::Unknown { .. }) => self.ties_of(&authors_in(self, &own.doc), None),
                Err(other) => Err(other),
            },
            _ => match parent.map(|parent| self.header(parent)).transpose()?.flatten() {
                Some(header) => Ok(header.access()),
                None => self.ties_of(&authors_in(self, &own.doc), None),
            },
        }
    }

    /// The ruling of a lead that this server does not have: phones returned the one and not yet the other.
    pub(super) fn ruled(&self, lead: DocId) -> Result<Option<Ruled>, CompanyError> {
        let ruling = self.own(DocId::ruling_of(lead), None)?;
        let Some(raw) = ruling.raw else { return Ok(None) };
        Ok(Some(Ruled { key: keys::header(ruling.id), raw, ties: self.ties_of_ruling(&ruling.doc)? }))
    }

    /// Whom a ruling gives its lead to: its owners, or the team in whose pool it waits. People whom the backup never saw are passed
    /// over.
    fn ties_of_ruling(&self, ruling: &Doc) -> Result<Ties, CompanyError> {
        let owner = ruling.value("owner", &NoClocks);
        let joint = ruling.set("joint_owners", &NoClocks).into_keys();
        let owner = owner.as_ref().and_then(Value::as_text).map(str::to_owned);
        let owners = self.known(owner.into_iter().chain(joint).filter_map(|id| id.parse().ok()));
        let team = super::leads::pool_of(ruling).filter(|_| owners.is_empty());
        self.ties_of(&owners, team.filter(|team| self.team(*team).is_ok()))
    }

    fn known(&self, users: impl IntoIterator<Item = UserId>) -> Vec<UserId> {
        users.into_iter().filter(|user| self.user(*user).is_ok()).collect()
    }

    /// A lead and what is derived from it stay together: where one of them was moved or is new, the others follow.
    fn plan_follow(
        &self,
        batch: &mut Batch,
        id: DocId,
        lead: Option<DocId>,
        ties: &Ties,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let mut touched = BTreeSet::new();
        let Some(lead) = lead else { return Ok(touched) };
        for member in super::leads::family(lead).into_iter().filter(|member| *member != id) {
            if self.header(member)?.is_some_and(|header| header.access() != *ties) {
                touched.extend(self.plan_retie(batch, member, ties)?);
            }
        }
        Ok(touched)
    }
}

/// A ruling that was there before its lead.
pub(super) struct Ruled {
    key: Vec<u8>,
    raw: Vec<u8>,
    /// Whom it gives the lead to.
    pub ties: Ties,
}

impl Ruled {
    /// Demands of a batch that the ruling has not changed.
    pub fn guard(&self, batch: &mut Batch) {
        batch.guard(self.key.clone(), Some(self.raw.clone()));
    }
}

/// Whether documents of this kind are one parent's and come with it.
fn is_derived(kind: DocKind) -> bool {
    matches!(
        kind,
        DocKind::Ruling | DocKind::Advancement | DocKind::Finance | DocKind::Service | DocKind::Calendar
    )
}

/// The lead whose family follows this document.
fn lead_of(id: DocId, origin: Option<&Origin>) -> Option<DocId> {
    match id.kind()? {
        DocKind::Lead => Some(id),
        DocKind::Ruling => DocId::from_slice(&origin?.parent),
        _ => None,
    }
}

/// The first author of a document whose owner nobody knows (any more).
fn authors_in(company: &Company, doc: &Doc) -> Vec<UserId> {
    let genesis = Doc::genesis(doc.kind()).heads();
    let first = doc.changes_after(&genesis).into_iter().next();
    let device = first.map(|change| change.actor.device);
    device.and_then(|device| company.device(device).ok()).map(|row| row.user).into_iter().collect()
}

/// Receipts that one document comes with: what the server sent last, and what the phone itself was answered last.
const VOUCHERS_MAX: usize = 2;
