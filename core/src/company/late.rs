//! What was merged late (O3): work on a document that had moved to somebody else before its author could know. The rows of changes are
//! folded into snapshots in time; who has to decide about late work later still finds here whose it was, when it came and which changes.
//!
//! The receipt of everything else is not kept beyond the rows: a corrected time needs it only for boots that never heard of the server, and
//! those stand in the ruling's `clocks` (O1).

use minicbor::{Decode, Encode};

use super::rows::{Lot, decode, encode};
use super::{Company, CompanyError, keys};
use crate::document::claimed_hash;
use crate::ids::{DeviceId, DocId, Hash32};
use crate::store::Batch;

/// Changes of one push that were merged late, or by somebody's decision after they had been held.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LateWork {
    /// The device that made them.
    #[n(0)]
    pub device: DeviceId,
    /// The incarnation of its actor.
    #[n(1)]
    pub incarnation: u32,
    /// Server time at which they came, milliseconds since 1970 UTC.
    #[n(2)]
    pub received_ms: i64,
    /// Their hashes, in the order of their making.
    #[n(3)]
    pub changes: Vec<Hash32>,
}

impl Company {
    /// The work on a document that was merged late, in the order in which it was merged.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn late_work(&self, doc: DocId) -> Result<Vec<LateWork>, CompanyError> {
        let mut found = Vec::new();
        self.each_row(&keys::late(doc), |key, value| {
            found.extend(decode::<Vec<LateWork>>(key, value)?);
            Ok(())
        })?;
        Ok(found)
    }
}

/// Notes which of these lots, about to be merged, are late.
pub(super) fn plan_late(batch: &mut Batch, doc: DocId, lots: &[Lot]) {
    let work = |lot: &Lot| LateWork {
        device: lot.device,
        incarnation: lot.incarnation,
        received_ms: lot.received_ms,
        changes: lot.changes.iter().filter_map(|change| claimed_hash(change)).collect(),
    };
    let late: Vec<LateWork> = lots.iter().filter(|lot| lot.late).map(work).collect();
    if !late.is_empty() {
        let (key, slot) = keys::late_slot(doc);
        batch.put_at(key, Some(slot), encode(&late), None);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::Role;
    use crate::company::rows::ChangesRow;
    use crate::company::{Incoming, LocalGate, Settled, UserRow};
    use crate::document::{Doc, Edit};
    use crate::ids::{Actor, DocKind, UserId};
    use crate::store::{Direction, MemoryStore, Range};
    use crate::sync::message::{Answer, Push, Verdict};
    use crate::time::{Moment, Stamp};

    const LEAD: DocId = DocId([2; 16]);
    const NOW_MS: i64 = 1_770_000_000_000;

    struct Rep(u8, Doc);

    impl Rep {
        fn hire(company: &Company, n: u8) -> Self {
            let row = UserRow { name: format!("{n}"), role: Role::Rep, team: None, active: true };
            company.put_user(UserId([n; 8]), row, NOW_MS).unwrap();
            company.put_device(DeviceId([n; 8]), UserId([n; 8]), "phone", NOW_MS).unwrap();
            Self(n, Doc::genesis(DocKind::Lead))
        }

        /// Writes and pushes, `at_ms` after the beginning.
        fn push(&mut self, company: &Company, words: &str, id: u64, at_ms: i64) -> (Answer, Hash32) {
            let stamp = Stamp {
                user: UserId([self.0; 8]),
                moment: Moment { wall_ms: NOW_MS, boot: 1, mono_ms: 1 },
                offset_ms: Some(NOW_MS),
                last_contact_ms: NOW_MS,
            };
            let actor = Actor { device: DeviceId([self.0; 8]), incarnation: 1 };
            let edit = Edit::Set { field: "need".into(), value: words.into() };
            let change = self.1.edit(actor, &stamp, &[edit]).unwrap().change;
            let hash = claimed_hash(&change).unwrap();
            let push = Push { id, doc: LEAD, origin: None, changes: vec![change.into()] };
            let who = company.principal(actor.device).unwrap();
            let incoming = [Incoming { who, push }];
            let prepared = company.prepare(LEAD, &incoming, &mut LocalGate::new(1), NOW_MS + at_ms).unwrap();
            let outcome = company.store.commit_one(prepared.batch.clone()).unwrap();
            let Settled::Done { mut answers, .. } = prepared.settle(outcome) else { panic!("contended") };
            (answers.remove(0), hash)
        }
    }

    #[test]
    fn late_work_is_known_when_its_changes_have_gone_into_a_snapshot() {
        let company = Company::open(Arc::new(MemoryStore::new()), "智康", &[3; 64]).unwrap();
        let (mut li, mut han) = (Rep::hire(&company, 1), Rep::hire(&company, 2));
        li.push(&company, "胶片", 1, 0);
        assert_eq!(company.late_work(LEAD).unwrap(), [], "it was 李's own");
        company.assign(LEAD, UserId([2; 8]), UserId([9; 8]), "", NOW_MS).unwrap();
        let (answer, hash) = li.push(&company, "胶片两箱", 2, 5_000);
        assert!(matches!(answer.verdict, Verdict::Durable { .. }), "{answer:?}");
        let late = company.late_work(LEAD).unwrap();
        han.1 = company.load(LEAD).unwrap();
        for id in 1..5 {
            let words = "长".repeat(4_000 + id as usize);
            assert!(matches!(han.push(&company, &words, id, 9_000).0.verdict, Verdict::Durable { .. }));
        }
        let rows = company.store.scan(&Range::prefix(&keys::changes(LEAD)), Direction::Forward, 99).unwrap();
        let lots = rows.iter().flat_map(|(key, value)| decode::<ChangesRow>(key, value).unwrap().lots);
        assert!(lots.into_iter().all(|lot| !lot.late), "the rows that said so are gone");
        let device = DeviceId([1; 8]);
        let expected = LateWork { device, incarnation: 1, received_ms: NOW_MS + 5_000, changes: vec![hash] };
        assert_eq!(company.late_work(LEAD).unwrap(), [expected]);
        assert_eq!(company.late_work(LEAD).unwrap(), late);
    }
}
