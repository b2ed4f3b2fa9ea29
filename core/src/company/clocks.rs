//! When something really happened (O1): what the server learns of boots that wrote before they had heard of it, and by which ruling a
//! document's times are read.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::Header;
use super::{Company, CompanyError};
use crate::access::Channel;
use crate::ids::{DocId, DocKind};
use crate::model::{clock_edits, clocks_of};
use crate::store::Batch;
use crate::sync::message::Origin;
use crate::time::BootClock;

impl Company {
    /// What this server learned of the boots that wrote to the lead of this document (O1): by it times are read.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn clocks(&self, id: DocId) -> Result<BTreeMap<u64, BootClock>, CompanyError> {
        let origin = self.header(id)?.and_then(|header| header.origin);
        let Some(lead) = self.lead_of(id, origin.as_ref()) else { return Ok(BTreeMap::new()) };
        match self.load(DocId::ruling_of(lead)) {
            Ok(ruling) => Ok(clocks_of(&ruling)),
            Err(CompanyError::Unknown { .. }) => Ok(BTreeMap::new()),
            Err(other) => Err(other),
        }
    }

    /// The lead by whose ruling a document's times are corrected.
    pub(super) fn lead_of(&self, doc: DocId, origin: Option<&Origin>) -> Option<DocId> {
        let parent = origin.and_then(|origin| DocId::from_slice(&origin.parent));
        parent.or(Some(doc)).filter(|lead| lead.kind() == Some(DocKind::Lead))
    }

    /// Tells the ruling of a lead what was learned of boots that wrote before any handshake. Nearly always there is nothing to tell.
    pub(super) fn plan_clocks(
        &self,
        batch: &mut Batch,
        lead: DocId,
        boots: &BTreeMap<u64, BootClock>,
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        if boots.is_empty() {
            return Ok(BTreeSet::new());
        }
        let ruling = self.own(DocId::ruling_of(lead), None)?;
        // The ruling of a lead that is new is in this very batch, and has them.
        let edits = clock_edits(&ruling.doc, boots);
        match ruling.header.as_ref().map(Header::access) {
            Some(ties) if !edits.is_empty() => self.plan_own(batch, ruling, &edits, &ties, now_ms),
            _ => Ok(BTreeSet::new()),
        }
    }
}
