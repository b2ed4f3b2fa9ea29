//! Evidence whose bytes have come (O5): a piece of evidence stands in a lead by its hash from the moment at which somebody attached it, its
//! bytes come when a phone has the network for them. What a phone sent says nothing about what another named, so both hash and device count.

use super::rows::encode;
use super::{Company, CompanyError, keys};
use crate::document::Doc;
use crate::ids::{DeviceId, DocId, EntryId, Hash32};
use crate::model::{Decision, Evidence, RulingModel};
use crate::rules::automation::{Act, firing_id};
use crate::store::Batch;
use crate::store::jobs;

impl Company {
    /// Notes that all bytes of evidence have come from a device and are what their hash says. The leads that name them are looked at next.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn bytes_arrived(&self, device: DeviceId, hash: Hash32, now_ms: i64) -> Result<(), CompanyError> {
        let key = keys::arrived(hash, device);
        if self.store.get(&key)?.is_some() {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.put(key, encode(&now_ms));
        jobs::enqueue(&mut batch, super::automate::QUEUE, now_ms, &hash.0, &[]);
        self.store.commit_one(batch)?;
        Ok(())
    }

    /// What is to be recorded of the evidence of a lead. Where bytes have not come yet, the batch notes that the lead waits for them, and
    /// conflicts when they come in between.
    pub(super) fn plan_arrivals(
        &self,
        batch: &mut Batch,
        lead: DocId,
        doc: &Doc,
        ruling: &RulingModel,
    ) -> Result<Vec<Act>, CompanyError> {
        let is_known = |hash: Hash32| {
            let mut decisions = ruling.decisions.iter();
            decisions
                .any(|made| matches!(&made.decision, Decision::Verified { hash: known } if *known == hash))
        };
        let hash_of = |body: &str| Some(serde_json::from_str::<Evidence>(body).ok()?.hash);
        let entries = doc.log("evidence", &ruling.clocks).into_iter();
        let open: Vec<(Hash32, DeviceId, EntryId)> = entries
            .filter_map(|entry| Some((hash_of(&entry.body)?, entry.device, entry.id)))
            .filter(|(hash, ..)| !is_known(*hash))
            .collect();
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<Vec<u8>> = open.iter().map(|(hash, device, _)| keys::arrived(*hash, *device)).collect();
        let found = self.store.get_many(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let mut acts: Vec<Act> = Vec::new();
        for ((hash, _, entry), (key, arrived)) in open.into_iter().zip(keys.into_iter().zip(found)) {
            let act = Act::Verify(firing_id(lead, "verified", entry), hash);
            let awaited = keys::awaited(hash, lead);
            match arrived {
                Some(_)
                    if acts.iter().any(|other| matches!(other, Act::Verify(_, known) if *known == hash)) => {}
                Some(_) => {
                    batch.delete(awaited);
                    acts.push(act);
                }
                None => {
                    batch.guard(key, None);
                    if self.store.get(&awaited)?.is_none() {
                        batch.put(awaited, []);
                    }
                }
            }
        }
        Ok(acts)
    }
}
