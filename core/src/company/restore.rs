//! After a restore: phones give back what the backup had not yet seen (design decision 6). The receipt vouches for the heads, and the
//! heads, being hashes, for the whole history behind them.

use std::collections::BTreeSet;

use minicbor::bytes::ByteVec;

use super::maintain::Own;
use super::rows::{ChangesRow, HERE, Header, Lot, encode, plan_ties};
use super::{Company, CompanyError, keys};
use crate::access::{Channel, Ties, channels_of};
use crate::document::{Doc, NoClocks, Value};
use crate::ids::{DocId, DocKind, UserId};
use crate::store::Batch;
use crate::sync::message::{Return, slices};

impl Company {
    /// Takes back a document, or what is missing of it, when the receipt is this company's. Returns the channels with news; none when
    /// nothing was new or the receipt does not vouch for it.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn take_back(&self, returned: &Return, now_ms: i64) -> Result<BTreeSet<Channel>, CompanyError> {
        let Some(kind) = returned.doc.kind() else { return Ok(BTreeSet::new()) };
        let mut vouched = Doc::genesis(kind);
        let whole = vouched.apply(&slices(&returned.changes)).is_ok();
        if !whole || self.receipt(returned.epoch, returned.doc, &vouched.heads()) != returned.receipt {
            return Ok(BTreeSet::new());
        }
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
        vouched: &Doc,
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let missing: Vec<ByteVec> = vouched
            .changes_after(&own.doc.heads())
            .into_iter()
            .filter(|change| !own.doc.contains(&change.hash))
            .map(|change| change.bytes.into())
            .collect();
        if missing.is_empty() && own.header.is_some() {
            return Ok(BTreeSet::new());
        }
        let damaged = |e: crate::document::DocError| CompanyError::Refused(e.to_string());
        own.doc.apply(&slices(&missing)).map_err(damaged)?;
        let (id, doc) = (own.id, own.doc.clone());
        let Some(mut header) = own.header.take() else {
            let ties = self.ties_of_returned(id, &own)?;
            return self.plan_new(batch, own, &ties);
        };
        let wanted = header.channels();
        batch.guard(keys::header(id), own.raw);
        plan_ties(batch, id, &mut header, &wanted, &Default::default(), true);
        header.content_at = HERE;
        header.heads = doc.heads();
        header.changes = doc.change_count();
        let bytes: usize = missing.iter().map(|change| change.len()).sum();
        header.tail_bytes = header.tail_bytes.saturating_add(bytes as u32);
        header.tail_changes = header.tail_changes.saturating_add(missing.len() as u32);
        let actor = self.actor();
        let lot = Lot { device: actor.device, incarnation: 0, received_ms: now_ms, late: false, changes: missing };
        let (key, slot) = keys::changes_slot(id);
        batch.put_at(key, Some(slot), encode(&ChangesRow { lots: vec![lot] }), None);
        let (value, slot) = header.to_value();
        batch.put_at(keys::header(id), None, value, Some(slot));
        let mut touched = wanted;
        if id.kind() == Some(DocKind::Ruling) {
            touched.extend(self.plan_follow_ruling(batch, id, &header, &doc)?);
        }
        Ok(touched)
    }

    /// Whom a document that this backup never saw belongs to.
    fn ties_of_returned(&self, id: DocId, own: &Own) -> Result<Ties, CompanyError> {
        let parent = own.origin.as_ref().and_then(|origin| DocId::from_slice(&origin.parent));
        match id.kind() {
            Some(DocKind::Ruling) => self.ties_of(&owners_in(&own.doc), None),
            Some(DocKind::Calendar) => {
                let user = own.origin.as_ref().and_then(|origin| UserId::from_slice(&origin.parent));
                self.ties_of(&user.into_iter().collect::<Vec<_>>(), None)
            }
            Some(DocKind::Lead) => match self.load(DocId::ruling_of(id)) {
                Ok(ruling) => self.ties_of(&owners_in(&ruling), None),
                Err(CompanyError::Unknown { .. }) => self.ties_of(&authors_in(self, &own.doc), None),
                Err(other) => Err(other),
            },
            _ => match parent.map(|parent| self.header(parent)).transpose()?.flatten() {
                Some(header) => Ok(header.access()),
                None => self.ties_of(&authors_in(self, &own.doc), None),
            },
        }
    }

    /// When a returned ruling names another owner, its lead follows.
    fn plan_follow_ruling(
        &self,
        batch: &mut Batch,
        id: DocId,
        header: &Header,
        ruling: &Doc,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let ties = self.ties_of(&owners_in(ruling), None)?;
        let lead = header.origin.as_ref().and_then(|origin| DocId::from_slice(&origin.parent));
        let Some(lead) = lead.filter(|_| ties != header.access()) else { return Ok(BTreeSet::new()) };
        let mut touched = channels_of(DocKind::Ruling, &ties);
        for member in super::leads::family(lead).into_iter().filter(|member| *member != id) {
            touched.extend(self.plan_retie(batch, member, &ties)?);
        }
        Ok(touched)
    }
}

fn owners_in(ruling: &Doc) -> Vec<UserId> {
    let owner = ruling.value("owner", &NoClocks);
    let joint = ruling.set("joint_owners", &NoClocks).into_keys();
    let owner = owner.as_ref().and_then(Value::as_text).map(str::to_owned);
    owner.into_iter().chain(joint).filter_map(|id| id.parse().ok()).collect()
}

/// The first author of a document whose owner nobody knows (any more).
fn authors_in(company: &Company, doc: &Doc) -> Vec<UserId> {
    let genesis = Doc::genesis(doc.kind()).heads();
    let first = doc.changes_after(&genesis).into_iter().next();
    let device = first.map(|change| change.actor.device);
    device.and_then(|device| company.device(device).ok()).map(|row| row.user).into_iter().collect()
}
