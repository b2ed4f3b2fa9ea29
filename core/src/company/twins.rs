//! Duplicates (O12, C12): nobody who is offline can know that a colleague has written down the same customer. When both leads are here and
//! both are open, the ruling of each says so to whoever works it and to who leads them, and the later one names the earlier. Nothing is
//! merged away: both leads stay whole, and a person in the office can say that they are two customers after all.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::automate::{JudgedLead, QUEUE};
use super::facts::FactRow;
use super::leads::origin_of;
use super::rows::{Header, decode};
use super::{Company, CompanyError, keys};
use crate::access::Channel;
use crate::document::{Edit, NoClocks, Value};
use crate::ids::{DocId, DocKind, EntryId};
use crate::model::{Firing, LeadFields};
use crate::policy::Who;
use crate::rules::automation::{Act, DUPLICATE, firing_id};
use crate::store::jobs;
use crate::store::{Batch, Direction, Range};

/// Leads of one customer that a lead is told of at the most: a hospital's switchboard is in many.
const MOST: usize = 8;

/// Rows of one customer that are looked through for them at the most.
const LOOKED_AT: usize = 64;

/// What leads of one customer have in common, 16 bytes: a hash of the number by which the contact is called, so that a key has one length. It
/// hides no number from whoever has the store.
pub(super) fn print_of(fields: &LeadFields) -> Option<EntryId> {
    let said = fields.contact_phone.as_deref()?;
    let digit = |c: char| match c {
        '０'..='９' => char::from_digit(c as u32 - '０' as u32, 10),
        c => Some(c).filter(char::is_ascii_digit),
    };
    let digits: String = said.chars().filter_map(digit).collect();
    let national =
        digits.strip_prefix("0086").or_else(|| digits.strip_prefix("86").filter(|rest| rest.len() == 11));
    let digits = national.unwrap_or(&digits);
    // Less is an extension, or a slip.
    (digits.len() >= 7).then(|| {
        let mut hash = Sha256::new();
        hash.update(b"fieldbook/customer/1");
        hash.update(digits);
        let mut print = [0; 16];
        print.copy_from_slice(&hash.finalize()[..16]);
        EntryId(print)
    })
}

impl Company {
    /// What is to be recorded of other open leads of the same customer that somebody else works. Each of them is looked at next, and tells of
    /// this one.
    pub(super) fn plan_twins(
        &self,
        batch: &mut Batch,
        lead: DocId,
        row: &FactRow,
        (before, now): (&JudgedLead, &JudgedLead),
        (policy, now_ms): (EntryId, i64),
    ) -> Result<Vec<Act>, CompanyError> {
        if before.print != now.print {
            if let Some(print) = before.print {
                batch.delete(keys::twin(print, lead));
            }
            if let Some(print) = now.print {
                // Two leads that join at once must see each other: each writes who joined last, so that the other's guard fails.
                let last = keys::twins(print);
                let raw = self.store.get(&last)?;
                batch.put(keys::twin(print, lead), []).guard(last.clone(), raw).put(last, lead.0);
            }
        }
        let Some(print) = now.print else { return Ok(Vec::new()) };
        let prefix = keys::twins(print);
        let rows = self.store.scan(&Range::prefix(&prefix), Direction::Forward, LOOKED_AT)?;
        let others = rows.iter().filter_map(|(key, _)| DocId::from_slice(&key[prefix.len()..]));
        let told = |other: &DocId| firing_id(lead, DUPLICATE, EntryId(other.0));
        let known = |other: &DocId| row.ruling.decisions.iter().any(|made| made.id == told(other));
        let others: Vec<DocId> = others.filter(|other| *other != lead && !known(other)).collect();
        let judged_keys: Vec<Vec<u8>> = others.iter().map(|other| keys::judged(*other)).collect();
        let judged = self.store.get_many(&judged_keys.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let (mut acts, mut link) = (Vec::new(), None);
        for (other, (key, raw)) in others.into_iter().zip(judged_keys.into_iter().zip(judged)) {
            let works: Option<JudgedLead> = raw.as_deref().and_then(|row| decode(&key, row).ok());
            let works = works.and_then(|judged| judged.worked_by());
            // Of two that are given to somebody at once the later one must see the earlier.
            batch.guard(key, raw);
            // Who works both knows both; a lead that nobody works tells when somebody does.
            let is_other = works.is_some() && now.worked_by().is_some() && works != now.worked_by();
            if !is_other || acts.len() >= MOST {
                continue;
            }
            let id = told(&other);
            let facts = self.store.get(&keys::facts(other))?.as_deref().and_then(FactRow::decode);
            let received_ms = facts.and_then(|facts| facts.ruling.fields.received_at_ms);
            let firing = Firing {
                rule: DUPLICATE.to_owned(),
                epoch: EntryId(other.0),
                policy,
                why: "同事也在跟进使用同一联系电话的客户：联系前请先沟通".to_owned(),
                tell: vec![Who::Owner, Who::Supervisor],
            };
            acts.push(Act::Fire(id, firing, now_ms));
            let since = |ms: Option<i64>, lead: DocId| (ms.unwrap_or(i64::MAX), lead);
            if since(received_ms, other) < since(row.ruling.fields.received_at_ms, lead)
                && row.ruling.fields.same_as.is_none()
                && link.is_none()
            {
                link = Some(Act::Link(other));
            }
            jobs::enqueue(batch, QUEUE, now_ms, &other.0, &[]);
        }
        acts.extend(link);
        Ok(acts)
    }

    /// The lead of which one is a duplicate.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn duplicate_of(&self, lead: DocId) -> Result<Option<DocId>, CompanyError> {
        let ruling = self.own(DocId::ruling_of(lead), None)?.doc;
        let named = ruling.value("same_as", &NoClocks);
        Ok(named.as_ref().and_then(Value::as_text).and_then(|id| id.parse().ok()))
    }

    /// Says that a lead is a duplicate of another, or of none.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`] for either; [`CompanyError::Refused`] for a lead that would be its own.
    pub fn mark_duplicate(
        &self,
        lead: DocId,
        of: Option<DocId>,
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        if of == Some(lead) {
            return Err(CompanyError::Refused("a lead is no duplicate of itself".to_owned()));
        }
        for id in [Some(lead), of].into_iter().flatten() {
            if id.kind() != Some(DocKind::Lead) || self.header(id)?.is_none() {
                return Err(CompanyError::Unknown { what: "lead", id: id.to_string() });
            }
        }
        let (touched, _) = self.transact(|| {
            let mut batch = Batch::new();
            let ruling = self.own(DocId::ruling_of(lead), Some(origin_of(lead)))?;
            let ties = ruling.header.as_ref().map(Header::access).unwrap_or_default();
            let touched = self.plan_own(&mut batch, ruling, &[same_as(of)], &ties, now_ms)?;
            Ok((batch, touched))
        })?;
        Ok(touched)
    }
}

/// The edit that names the lead of which a lead is a duplicate.
pub(super) fn same_as(of: Option<DocId>) -> Edit {
    let value = of.map_or(Value::Null, |of| Value::Text(of.to_string()));
    Edit::Set { field: "same_as".to_owned(), value }
}
