//! Compaction, and the server's own changes to its documents.

use std::collections::BTreeSet;

use minicbor::bytes::ByteVec;

use super::accounts::NamedBy;
use super::rows::{ChangesRow, HERE, Header, Lot, encode, plan_ties};
use super::{Company, CompanyError, keys};
use crate::access::{Channel, Ties, channels_of};
use crate::document::{Doc, Edit, EditError, NoClocks};
use crate::ids::{DocId, DocKind};
use crate::limits;
use crate::store::{Batch, Direction, Range};
use crate::sync::message::Origin;
use crate::time::Stamp;

/// A document that the server is about to write.
pub(super) struct Own {
    pub id: DocId,
    pub origin: Option<Origin>,
    pub doc: Doc,
    pub header: Option<Header>,
    pub raw: Option<Vec<u8>>,
}

impl Company {
    /// Loads a document for a change of the server; one that does not exist yet begins with its genesis.
    pub(super) fn own(&self, id: DocId, origin: Option<Origin>) -> Result<Own, CompanyError> {
        let raw = self.store.get(&keys::header(id))?;
        let header = raw.as_deref().map(|value| Header::read(id, value)).transpose()?;
        let doc = match &header {
            Some(header) => self.base(id, header)?.load(id)?,
            None => Doc::genesis(id.kind().unwrap_or(DocKind::Ruling)),
        };
        let origin = header.as_ref().and_then(|h| h.origin.clone()).or(origin);
        Ok(Own { id, origin, doc, header, raw })
    }

    /// Loads a document as it is stored.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`].
    pub fn load(&self, id: DocId) -> Result<Doc, CompanyError> {
        match self.header(id)? {
            Some(header) => self.base(id, &header)?.load(id),
            None => Err(CompanyError::Unknown { what: "document", id: id.to_string() }),
        }
    }

    /// What the server knows of a document without loading it.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn header(&self, id: DocId) -> Result<Option<Header>, CompanyError> {
        self.store.get(&keys::header(id))?.map(|value| Header::read(id, &value)).transpose()
    }

    /// Adds a change of the server to `batch`. Nothing is added when the edits change nothing. Returns the channels with news.
    pub(super) fn plan_own(
        &self,
        batch: &mut Batch,
        own: Own,
        edits: &[Edit],
        ties: &Ties,
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        self.plan_own_by(batch, own, edits, ties, &self.stamp(now_ms), now_ms)
    }

    /// As [`Company::plan_own`], in the name of somebody in the office.
    pub(super) fn plan_own_by(
        &self,
        batch: &mut Batch,
        own: Own,
        edits: &[Edit],
        ties: &Ties,
        stamp: &Stamp,
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let Own { id, origin, doc, header, raw } = own;
        let (doc, edited) = match doc.edited(self.actor(), stamp, edits) {
            Ok(edited) => edited,
            Err(EditError::NothingChanged) => return Ok(BTreeSet::new()),
            Err(other) => return Err(CompanyError::Refused(other.to_string())),
        };
        let kind = doc.kind();
        let wanted = channels_of(kind, ties);
        batch.guard(keys::header(id), raw);
        let is_new = header.is_none();
        let mut header = header.unwrap_or_default();
        let departures = self.departures(id, wanted.iter().copied())?;
        let left = header.channels();
        plan_ties(batch, id, &mut header, &wanted, &departures, true);
        header.origin = origin;
        header.owners = ties.owners.iter().copied().collect();
        header.teams = ties.teams.iter().copied().collect();
        header.content_at = HERE;
        header.heads = doc.heads();
        header.changes = doc.change_count();
        if is_new {
            self.plan_snapshot(batch, id, &mut header, doc.save())?;
        } else {
            header.tail_bytes = header.tail_bytes.saturating_add(edited.change.len() as u32);
            header.tail_changes += 1;
            let actor = self.actor();
            let lot = Lot {
                device: actor.device,
                incarnation: actor.incarnation,
                received_ms: now_ms,
                late: false,
                changes: vec![ByteVec::from(edited.change)],
            };
            let (key, slot) = keys::changes_slot(id);
            batch.put_at(key, Some(slot), encode(&ChangesRow { lots: vec![lot] }), None);
            if super::push::wants_compaction(&header)
                && let Some(saved) = doc.save_checked()
            {
                self.plan_snapshot(batch, id, &mut header, saved)?;
            }
        }
        let account = super::accounts::named_account(&doc, &NoClocks).map(|(account, _)| account);
        let news = if kind == DocKind::Lead {
            self.plan_link(batch, id, &mut header, account, NamedBy::Owners)?
        } else {
            BTreeSet::new()
        };
        let (value, slot) = header.to_value();
        batch.put_at(keys::header(id), None, value, Some(slot));
        Ok(&(&wanted | &left) | &news)
    }

    /// Adds a new document of the server, with whatever it holds already, to `batch`.
    pub(super) fn plan_new(
        &self,
        batch: &mut Batch,
        own: Own,
        ties: &Ties,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        self.plan_new_by(batch, own, ties, NamedBy::Owners)
    }

    /// As [`Company::plan_new`], for a lead whose account somebody answers for.
    pub(super) fn plan_new_by(
        &self,
        batch: &mut Batch,
        own: Own,
        ties: &Ties,
        by: NamedBy<'_>,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let wanted = channels_of(own.doc.kind(), ties);
        batch.guard(keys::header(own.id), None);
        let mut header = Header {
            origin: own.origin,
            owners: ties.owners.iter().copied().collect(),
            teams: ties.teams.iter().copied().collect(),
            content_at: HERE,
            heads: own.doc.heads(),
            changes: own.doc.change_count(),
            ..Header::default()
        };
        let departures = self.departures(own.id, wanted.iter().copied())?;
        plan_ties(batch, own.id, &mut header, &wanted, &departures, true);
        self.plan_snapshot(batch, own.id, &mut header, own.doc.save())?;
        let account = super::accounts::named_account(&own.doc, &NoClocks).map(|(account, _)| account);
        let news = self.plan_link(batch, own.id, &mut header, account, by)?;
        let (value, slot) = header.to_value();
        batch.put_at(keys::header(own.id), None, value, Some(slot));
        Ok(wanted.union(&news).copied().collect())
    }

    /// Adds a new snapshot that holds everything up to the position of this batch, keeps the change rows since the last snapshot for
    /// phones that are a little behind, and drops the older ones.
    pub(super) fn plan_snapshot(
        &self,
        batch: &mut Batch,
        doc: DocId,
        header: &mut Header,
        saved: Vec<u8>,
    ) -> Result<(), CompanyError> {
        let old = Range {
            from: keys::changes(doc),
            to: keys::changes_at(doc, header.snapshot_at.saturating_add(1)),
        };
        for (key, _) in self.store.scan(&old, Direction::Forward, limits::SCAN_MAX_ROWS)? {
            batch.delete(key);
        }
        header.floor = header.snapshot_at;
        header.snapshot_bytes = saved.len() as u32;
        header.tail_bytes = 0;
        header.tail_changes = 0;
        header.snapshot_at = HERE;
        batch.put(keys::snapshot(doc), saved);
        Ok(())
    }
}
