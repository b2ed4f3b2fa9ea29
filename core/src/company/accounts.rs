//! Who may see a customer: whoever works a lead that names it. A lead names its account in a field that its owner writes, so naming
//! alone opens nothing: only somebody who may read the account can tie a lead to it.

use std::collections::BTreeSet;

use super::rows::Header;
use super::{Company, CompanyError, keys};
use crate::access::{Channel, Person, Verb};
use crate::document::{Clocks, Doc};
use crate::ids::{DocId, DocKind, UserId};
use crate::limits;
use crate::store::{Batch, Direction, Range};

/// The account that a lead document names, and who wrote that name.
pub(super) fn named_account(doc: &Doc, clocks: &dyn Clocks) -> Option<(DocId, UserId)> {
    if doc.kind() != DocKind::Lead {
        return None;
    }
    let named = doc.register("account", clocks)?;
    let account = named.value.as_text()?.parse::<DocId>().ok()?;
    (account.kind() == Some(DocKind::Account)).then_some((account, named.user))
}

/// Who answers for it that a lead names an account.
#[derive(Debug, Clone, Copy)]
pub(super) enum NamedBy<'a> {
    /// Whoever wrote the name, and pushed it just now.
    Person(&'a Person),
    /// Nobody in particular wrote it just now: it opens nothing that the lead's owners do not read already.
    Owners,
    /// An import or a connector of the company itself.
    Company,
}

impl Company {
    /// Ties a lead to the account that it names now, and looses it from the one it named before, when whoever answers for it may read the
    /// account. What may not be tied stays untied, and is looked at again when the lead next changes. Returns the channels with news.
    pub(super) fn plan_link(
        &self,
        batch: &mut Batch,
        lead: DocId,
        header: &mut Header,
        named: Option<DocId>,
        by: NamedBy<'_>,
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
        let reads = |who: &Person, of: &Header| who.may(&of.access(), DocKind::Account, Verb::Read);
        let opens = match &found {
            None => false,
            Some(of) if of.erased => false,
            Some(of) => match by {
                NamedBy::Company => true,
                NamedBy::Person(who) => reads(who, of),
                NamedBy::Owners => {
                    let mut all = !owners.is_empty();
                    for owner in &owners {
                        all &= reads(&self.person(*owner)?, of);
                    }
                    all
                }
            },
        };
        let tied = named.filter(|_| opens);
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
        let Some(raw) = self.store.get(&keys::header(account))? else { return Ok(BTreeSet::new()) };
        let header = Header::read(account, &raw)?;
        // Two leads of one account that move at once must see each other, even when one of them changes nothing here: each writes the
        // header anew, so that the other one's guard fails.
        batch.guard(keys::header(account), Some(raw));
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
        let people = self.ties_now(&all.into_iter().collect::<Vec<_>>(), None)?;
        people.guard(batch);
        self.plan_retie(batch, account, &people.ties)
    }
}
