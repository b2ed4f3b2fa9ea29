//! The rows of the home page (C32, C33): beside the summary of each of the user's own leads what of it calls for something. They are worked
//! out when somebody opens the home page and never while an edit is written: an edit notes in memory that its lead is to be looked at, and
//! after an opening each row is held against what it was worked out from.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use super::rows::{decode, encode};
use super::{Replica, ReplicaError, keys};
use crate::ids::{DocId, EntryId, UserId};
use crate::limits;
use crate::model::LeadSummary;
use crate::rules::agenda::Agenda;
use crate::store::{Batch, Direction, Range};

/// The leads whose rows are to be worked out anew.
#[derive(Debug, Default)]
pub(super) struct Unjudged {
    /// The version of the policy that the rows go by; `None`: they have not been looked at since the store was opened.
    policy: Option<EntryId>,
    leads: BTreeSet<DocId>,
}

impl Unjudged {
    /// Notes that leads have changed.
    pub fn note(&mut self, leads: impl IntoIterator<Item = DocId>) {
        // Before the rows were looked at all of them are in question.
        if self.policy.is_some() {
            self.leads.extend(leads);
        }
    }

    /// All rows are in question again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A row as it is stored.
#[derive(Encode, Decode)]
struct AgendaRow {
    /// Of what it was worked out from.
    #[n(0)]
    print: u64,
    /// `None`: the lead turned out to be nobody's here.
    #[n(1)]
    agenda: Option<Agenda>,
}

impl Replica {
    /// The leads whose agenda is to be worked out anew under this version of the policy, at most `limit`; [`Replica::put_agendas`] takes what
    /// came of it. Leads that are not the user's are sorted out here by their summaries, whatever has changed in them: nobody loads those.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store, [`ReplicaError::NotEnrolled`].
    pub fn unjudged(&mut self, policy: EntryId, limit: usize) -> Result<Vec<DocId>, ReplicaError> {
        let me = self.identity()?.user;
        if self.unjudged.policy != Some(policy) {
            let leads = self.outdated_agendas(policy, me)?;
            self.unjudged = Unjudged { policy: Some(policy), leads };
        }
        let (mut wanted, mut others) = (Vec::new(), Vec::new());
        for lead in &self.unjudged.leads {
            let key = keys::summary(*lead);
            let summary: Option<LeadSummary> =
                self.store.get(&key)?.map(|value| decode(&key, &value)).transpose()?;
            if summary.is_some_and(|summary| may_be_of(&summary, me)) {
                wanted.push(*lead);
            } else {
                others.push((*lead, None));
            }
            if wanted.len() >= limit {
                break;
            }
        }
        if !others.is_empty() {
            self.put_agendas(others)?;
        }
        Ok(wanted)
    }

    /// Keeps agendas; `None`: the lead is not the user's, or not there.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn put_agendas(&mut self, agendas: Vec<(DocId, Option<Agenda>)>) -> Result<(), ReplicaError> {
        let me = self.identity()?.user;
        let mut batch = Batch::new();
        for (lead, agenda) in &agendas {
            let summary = self.store.get(&keys::summary(*lead))?;
            // A row that says "not yours" spares the next opening a look into a lead that may be.
            let is_asked = match &summary {
                Some(value) => may_be_of(&decode(&keys::summary(*lead), value)?, me),
                None => false,
            };
            match summary.filter(|_| is_asked) {
                Some(value) => {
                    let row = AgendaRow { print: self.print(*lead, &value)?, agenda: agenda.clone() };
                    batch.put(keys::agenda(*lead), encode(&row))
                }
                None if self.store.get(&keys::agenda(*lead))?.is_some() => batch.delete(keys::agenda(*lead)),
                None => &mut batch,
            };
        }
        if !batch.is_empty() {
            self.store.commit_one(batch)?;
        }
        for (lead, _) in agendas {
            self.unjudged.leads.remove(&lead);
        }
        Ok(())
    }

    /// The agendas of the user's own leads, by lead.
    ///
    /// # Errors
    /// [`ReplicaError`] of the store.
    pub fn agendas(&self) -> Result<Vec<(DocId, Agenda)>, ReplicaError> {
        let rows = self.agenda_rows()?.into_iter();
        Ok(rows.filter_map(|(lead, row)| Some((lead, row.agenda?))).collect())
    }

    /// Puts leads among those to be worked out anew, because time has passed over them.
    pub fn judge_again(&mut self, leads: impl IntoIterator<Item = DocId>) {
        self.unjudged.note(leads);
    }

    /// The user's leads whose row is not there or says what is not so any more, and the rows of those that are not the user's.
    fn outdated_agendas(&self, policy: EntryId, me: UserId) -> Result<BTreeSet<DocId>, ReplicaError> {
        let mut rows = self.agenda_rows()?;
        let mut outdated = BTreeSet::new();
        let mut range = Range::prefix(keys::SUMMARIES);
        loop {
            let page = self.store.scan(&range, Direction::Forward, limits::SCAN_MAX_ROWS)?;
            let Some((last, _)) = page.last() else { break };
            range = Range::prefix_after(keys::SUMMARIES, last);
            for (key, value) in &page {
                let summary: LeadSummary = decode(key, value)?;
                let row = rows.remove(&summary.id);
                if !may_be_of(&summary, me) {
                    outdated.extend(row.map(|_| summary.id));
                    continue;
                }
                let stands = match row {
                    Some(AgendaRow { print, agenda }) => {
                        agenda.is_none_or(|agenda| agenda.policy == policy)
                            && print == self.print(summary.id, value)?
                    }
                    None => false,
                };
                if !stands {
                    outdated.insert(summary.id);
                }
            }
        }
        // Of leads that have left.
        outdated.extend(rows.into_keys());
        Ok(outdated)
    }

    fn agenda_rows(&self) -> Result<BTreeMap<DocId, AgendaRow>, ReplicaError> {
        let mut rows = BTreeMap::new();
        let mut range = Range::prefix(keys::AGENDAS);
        loop {
            let page = self.store.scan(&range, Direction::Forward, limits::SCAN_MAX_ROWS)?;
            let Some((last, _)) = page.last() else { return Ok(rows) };
            range = Range::prefix_after(keys::AGENDAS, last);
            for (key, value) in &page {
                if let Some(lead) = keys::parse_agenda(key) {
                    rows.insert(lead, decode(key, value)?);
                }
            }
        }
    }

    /// Of what an agenda is worked out from: the summary, and the heads of lead, ruling and table. Equal prints are equal documents, but for
    /// a chance of one in 2⁶⁴.
    fn print(&self, lead: DocId, summary: &[u8]) -> Result<u64, ReplicaError> {
        let heads = [lead, DocId::ruling_of(lead), DocId::advancement_of(lead)].map(keys::head);
        let found = self.store.get_many(&heads.each_ref().map(Vec::as_slice))?;
        let mut hash = Sha256::new();
        hash.update(summary);
        for head in found {
            let head = head.unwrap_or_default();
            hash.update((head.len() as u64).to_be_bytes());
            hash.update(head);
        }
        let mut print = [0; 8];
        print.copy_from_slice(&hash.finalize()[..8]);
        Ok(u64::from_be_bytes(print))
    }
}

/// Whether a lead is the user's as far as its row says: one that nobody owns yet may be.
fn may_be_of(summary: &LeadSummary, user: UserId) -> bool {
    let theirs = summary.owner.is_none_or(|owner| owner == user) || summary.joint_owners.contains(&user);
    summary.held && !summary.deleted && theirs
}
