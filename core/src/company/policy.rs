//! The policy of a company: publishing a version, and the versions that there are (O13, C52).

use std::collections::BTreeSet;

use super::{Company, CompanyError};
use crate::access::{Channel, Ties};
use crate::ids::{DocId, EntryId, UserId};
use crate::policy::{Policy, PolicyHistory, publish};
use crate::store::Batch;
use crate::time::Act;

/// What came of a publication.
#[derive(Debug, Clone)]
pub struct Published {
    /// The version.
    pub id: EntryId,
    /// Channels with news.
    pub touched: BTreeSet<Channel>,
}

impl Company {
    /// Every version of the policy, the pack that ships before them.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn policies(&self) -> Result<PolicyHistory, CompanyError> {
        match self.load(DocId::policy()) {
            Ok(doc) => Ok(PolicyHistory::read(&doc)),
            Err(CompanyError::Unknown { .. }) => Ok(PolicyHistory::shipped()),
            Err(other) => Err(other),
        }
    }

    /// Publishes a policy that was checked, in force from a moment on. `seed` is 32 fresh random bytes.
    ///
    /// # Errors
    /// [`CompanyError::Refused`] for a moment in the past or a section that is too large.
    pub fn publish_policy(
        &self,
        policy: &Policy,
        effective_from_ms: i64,
        by: UserId,
        note: &str,
        seed: [u8; 32],
        now_ms: i64,
    ) -> Result<Published, CompanyError> {
        let (published, _) = self.transact(|| {
            let mut batch = Batch::new();
            let own = self.own(DocId::policy(), None)?;
            let act = Act::new(self.stamp(now_ms), seed);
            let (id, edits) = publish(&own.doc, policy, effective_from_ms, by, note, &act)
                .map_err(|e| CompanyError::Refused(e.to_string()))?;
            let touched = self.plan_own(&mut batch, own, &edits, &Ties::default(), now_ms)?;
            Self::plan_sweep(&mut batch, effective_from_ms);
            Ok((batch, Published { id, touched }))
        })?;
        Ok(published)
    }
}
