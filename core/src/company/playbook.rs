//! The playbook of a company: what was published, and lost deals that somebody wrote down (C38, C94).

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use super::{Company, CompanyError};
use crate::access::{Channel, Ties};
use crate::document::{Doc, Edit, portions};
use crate::ids::DocId;
use crate::limits;
use crate::playbook::{self, LostDeal, Playbook, Written};
use crate::rules::known::budget_fen;
use crate::rules::words::TagReason;
use crate::rules::{Says, words};
use crate::store::Batch;
use crate::time::Act;

impl Company {
    /// The playbook as it counts.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn playbook(&self) -> Result<Playbook, CompanyError> {
        Ok(self
            .there(DocId::playbook())?
            .map_or_else(|| Playbook::shipped().clone(), |doc| Playbook::read(&doc)))
    }

    /// Makes the packs and materials those that are written. `seed` is 32 fresh random bytes. Gives the channels with news; none: they were
    /// these already.
    ///
    /// # Errors
    /// [`CompanyError::Refused`] where the document cannot hold it.
    pub fn publish_playbook(
        &self,
        written: &Written,
        seed: [u8; 32],
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        self.edit_playbook(seed, now_ms, |doc, act| playbook::publish(doc, written, act))
    }

    /// Whether publishing would change anything.
    ///
    /// # Errors
    /// As [`Company::publish_playbook`].
    pub fn check_playbook(&self, written: &Written, now_ms: i64) -> Result<bool, CompanyError> {
        let own = self.own(DocId::playbook(), None)?;
        let edits = playbook::publish(&own.doc, written, &Act::new(self.stamp(now_ms), [0; 32]));
        has_room(&own.doc, &edits)?;
        Ok(!edits.is_empty())
    }

    /// Records what a lead was lost by, without its customer's name. What is told of it beside `deal`'s point, words and answer is the lead's.
    /// Gives the deal as recorded, and the channels with news.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`] without such a lead; [`CompanyError::Refused`] for a deal that says nothing.
    pub fn record_lost_deal(
        &self,
        lead: DocId,
        deal: LostDeal,
        zone: &TimeZone,
        seed: [u8; 32],
        now_ms: i64,
    ) -> Result<(LostDeal, BTreeSet<Channel>), CompanyError> {
        if let Some(wrong) = deal.wrong() {
            return Err(CompanyError::Refused(wrong));
        }
        let unknown = || CompanyError::Unknown { what: "lead", id: lead.to_string() };
        let row = self.fact_row(lead)?.ok_or_else(unknown)?;
        let desk = self.desk(zone, now_ms)?;
        let facts = row.facts(lead, &desk, now_ms);
        let fields = &row.lead.fields;
        let text = |given: String, field: &Option<String>| {
            if given.trim().is_empty() { field.clone().unwrap_or_default() } else { given }
        };
        // What somebody put on by hand may name anybody.
        let told = |reasons: &[TagReason]| reasons.iter().any(|why| !matches!(why, TagReason::Hand(_)));
        let tags = match words::assess_tags(&facts).says {
            Says::So(tags) => tags.into_iter().filter(|(_, why)| told(why)).map(|(tag, _)| tag).collect(),
            Says::Undetermined(_) => BTreeSet::new(),
        };
        let deal = LostDeal {
            // Written down again it replaces what was written down before.
            id: deal_id(lead),
            day: facts.day(now_ms).map(|day| day.to_string()).unwrap_or_default(),
            equipment: text(deal.equipment, &fields.equipment),
            brand: text(deal.brand, &fields.brand),
            need: text(deal.need, &fields.need),
            industry: text(deal.industry, &fields.industry),
            province: text(deal.province, &fields.province),
            budget_fen: deal.budget_fen.or_else(|| budget_fen(fields)),
            tags,
            ..deal
        };
        let contacts = facts.contacts();
        let names = contacts.iter().filter_map(|(_, contact)| contact.name.as_ref());
        let names = [&fields.customer_name, &fields.hospital].into_iter().flatten().chain(names);
        if let Some(name) =
            names.map(|name| name.trim()).find(|name| name.chars().count() > 1 && deal.names(name))
        {
            let why = format!("everybody in the company reads it, and it names {name:?}");
            return Err(CompanyError::Refused(why));
        }
        let touched =
            self.edit_playbook(seed, now_ms, |doc, act| playbook::record_lost_deal(doc, deal.clone(), act))?;
        Ok((deal, touched))
    }

    /// Takes a lost deal out of the playbook. Gives the channels with news; none: there was none of this id.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn withdraw_lost_deal(
        &self,
        id: &str,
        seed: [u8; 32],
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        self.edit_playbook(seed, now_ms, |doc, act| playbook::withdraw_lost_deal(doc, id, act))
    }

    fn edit_playbook(
        &self,
        seed: [u8; 32],
        now_ms: i64,
        edits: impl Fn(&Doc, &Act) -> Vec<Edit>,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let mut touched = BTreeSet::new();
        // What is more than a change holds is several: what the first has written the next finds there.
        for round in 0.. {
            let ((news, more), _) = self.transact(|| {
                let mut batch = Batch::new();
                let own = self.own(DocId::playbook(), None)?;
                let mut seed = seed;
                seed[31] ^= round;
                let edits = edits(&own.doc, &Act::new(self.stamp(now_ms), seed));
                has_room(&own.doc, &edits)?;
                let mut portions = portions(&edits).into_iter();
                let Some(first) = portions.next() else { return Ok((batch, (BTreeSet::new(), false))) };
                let news = self.plan_own(&mut batch, own, &first, &Ties::default(), now_ms)?;
                Ok((batch, (news, portions.next().is_some())))
            })?;
            touched.extend(news);
            if !more || round == u8::MAX {
                break;
            }
        }
        Ok(touched)
    }
}

/// Every phone holds it, so it stays within what a frame carries, with all that was ever written into it.
fn has_room(doc: &Doc, edits: &[Edit]) -> Result<(), CompanyError> {
    let written = |edit: &Edit| match edit {
        Edit::Append { body, .. } => body.len(),
        _ => 0,
    };
    let bytes = doc.plain_bytes() + edits.iter().map(written).sum::<usize>();
    if bytes > limits::DOC_WRITTEN_MAX_BYTES {
        let (kib, most) = (bytes / 1_024, limits::DOC_WRITTEN_MAX_BYTES / 1_024);
        let why =
            format!("the playbook would have {kib} KiB with all its former versions, and {most} at the most");
        return Err(CompanyError::Refused(why));
    }
    Ok(())
}

/// One for a lead, so that a deal that is told anew takes the place of what was told before.
fn deal_id(lead: DocId) -> String {
    let hash = Sha256::new().chain_update("fieldbook/lost-deal/1").chain_update(lead.0).finalize();
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
