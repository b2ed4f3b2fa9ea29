//! Who may see a customer: whoever works a lead that names it. A lead names its account in a field that its owner writes, so naming
//! alone opens nothing: only somebody who may read the account can tie a lead to it.

use std::collections::BTreeSet;

use super::rows::Header;
use super::{Company, CompanyError, keys};
use crate::access::{Channel, Person, Ties, Verb};
use crate::document::{Clocks, Doc, Value};
use crate::ids::{DocId, DocKind, UserId};
use crate::limits;
use crate::store::{Batch, Direction, Range};

/// The account that a lead document names.
pub(super) fn named_account(doc: &Doc, clocks: &dyn Clocks) -> Option<DocId> {
    if doc.kind() != DocKind::Lead {
        return None;
    }
    let named = doc.value("account", clocks);
    let account = named.as_ref().and_then(Value::as_text)?.parse::<DocId>().ok()?;
    (account.kind() == Some(DocKind::Account)).then_some(account)
}

impl Company {
    /// Ties a lead to the account that it names now, and looses it from the one it named before. `by`: who named it; absent: the office.
    /// What may not be tied stays untied, and is looked at again when the lead next changes. Returns the channels with news.
    pub(super) fn plan_link(
        &self,
        batch: &mut Batch,
        lead: DocId,
        header: &mut Header,
        named: Option<DocId>,
        by: Option<&Person>,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let mut touched = BTreeSet::new();
        if header.link == named {
            return Ok(touched);
        }
        let owners: Vec<UserId> = header.owners.iter().map(|(user, _)| *user).collect();
        let found = match named {
            Some(account) => self.header(account)?,
            None => None,
        };
        let opens = |of: &Header| !of.erased && by.is_none_or(|who| who.may(&of.access(), DocKind::Account, Verb::Read));
        let tied = named.filter(|_| found.as_ref().is_some_and(opens));
        if tied == header.link {
            return Ok(touched);
        }
        if let Some(old) = header.link.take() {
            batch.delete(keys::link(old, lead));
            touched.extend(self.plan_account(batch, old, lead, &[])?);
        }
        if let Some(account) = tied {
            batch.put(keys::link(account, lead), []);
            touched.extend(self.plan_account(batch, account, lead, &owners)?);
        }
        header.link = tied;
        Ok(touched)
    }

    /// Moves an account into the channels of everybody whose leads name it, where `lead` now belongs to `owners`. An account that no lead
    /// names stays with whoever created it.
    pub(super) fn plan_account(
        &self,
        batch: &mut Batch,
        account: DocId,
        lead: DocId,
        owners: &[UserId],
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let Some(header) = self.header(account)? else { return Ok(BTreeSet::new()) };
        let mut all: BTreeSet<UserId> = owners.iter().copied().collect();
        let prefix = keys::links(account);
        let rows = self.store.scan(&Range::prefix(&prefix), Direction::Forward, limits::SCAN_MAX_ROWS)?;
        for other in rows.iter().filter_map(|(key, _)| DocId::from_slice(&key[prefix.len()..])) {
            if other != lead
                && let Some(of) = self.header(other)?
            {
                all.extend(of.owners.iter().map(|(user, _)| *user));
            }
        }
        if all.is_empty() {
            all.extend(header.creator);
        }
        let ties: Ties = self.ties_of(&all.into_iter().collect::<Vec<_>>(), None)?;
        if ties == header.access() {
            return Ok(BTreeSet::new());
        }
        self.plan_retie(batch, account, &ties)
    }
}
