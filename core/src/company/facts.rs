//! What the rules read of a lead, as a row beside its documents: written whenever the lead is judged, so that a change of the policy judges
//! every lead and loads no document.

use serde::{Deserialize, Serialize};

use super::accounts::named_account;
use super::desk::Desk;
use super::{Company, CompanyError};
use crate::document::{Doc, NoClocks};
use crate::ids::{DocId, DocKind};
use crate::model::{AccountModel, AdvancementModel, LeadModel, RulingModel};
use crate::rules::Facts;

/// The documents of a lead, read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FactRow {
    pub lead: LeadModel,
    pub ruling: RulingModel,
    table: AdvancementModel,
    account: Option<AccountModel>,
}

impl Company {
    /// What the rules read of a lead, from its documents; `None`: there is no such lead.
    pub(super) fn fact_row(&self, lead: DocId) -> Result<Option<FactRow>, CompanyError> {
        let (Some(doc), Some(ruling)) = (self.there(lead)?, self.there(DocId::ruling_of(lead))?) else {
            return Ok(None);
        };
        self.facts_of(lead, &doc, RulingModel::read(&ruling, &NoClocks)).map(Some)
    }

    /// What the rules read of a lead, whose document and ruling are at hand.
    pub(super) fn facts_of(
        &self,
        lead: DocId,
        doc: &Doc,
        ruling: RulingModel,
    ) -> Result<FactRow, CompanyError> {
        let table = self.there(DocId::advancement_of(lead))?;
        let account = match named_account(doc, &ruling.clocks) {
            Some((account, _)) => self.there(account)?,
            None => None,
        };
        Ok(FactRow::read(doc, ruling, table.as_ref(), account.as_ref()))
    }
}

/// In front of a row: rows that another version wrote are not read, and the documents are.
const FORMAT: u8 = 1;

impl FactRow {
    /// Reads the documents by the clocks that the ruling knows.
    fn read(lead: &Doc, ruling: RulingModel, table: Option<&Doc>, account: Option<&Doc>) -> Self {
        let clocks = &ruling.clocks;
        let nobody_wrote = Doc::genesis(DocKind::Advancement);
        Self {
            lead: LeadModel::read(lead, clocks),
            table: AdvancementModel::read(table.unwrap_or(&nobody_wrote), clocks),
            account: account.map(|account| AccountModel::read(account, clocks)),
            ruling,
        }
    }

    /// The row.
    pub fn encode(&self) -> Vec<u8> {
        let mut row = vec![FORMAT];
        // Structs of texts and numbers can always be written.
        let written = serde_json::to_writer(&mut row, self);
        debug_assert!(written.is_ok(), "{written:?}");
        row
    }

    /// `None`: another version wrote it.
    pub fn decode(row: &[u8]) -> Option<Self> {
        serde_json::from_slice(row.strip_prefix(&[FORMAT])?).ok()
    }

    /// As the rules ask for them.
    pub fn facts<'a>(&'a self, lead: DocId, desk: &'a Desk<'_>, now_ms: i64) -> Facts<'a> {
        Facts {
            id: lead,
            lead: &self.lead,
            ruling: Some(&self.ruling),
            table: Some(&self.table),
            account: self.account.as_ref(),
            people: Some(&desk.people),
            policies: &desk.policies,
            now_ms,
            zone: desk.zone,
        }
    }
}
