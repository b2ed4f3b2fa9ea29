//! The policy of a company: publishing a version, and the versions that there are (O13, C52).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Company, CompanyError, SERVER_USER};
use crate::access::{Channel, Ties};
use crate::ids::{DocId, EntryId, Hash32, UserId};
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

/// The policy as it was read last, and at which heads of its document: reading it checks every formula of every version, which is too much for
/// every round of the rules.
#[derive(Debug, Default)]
pub(super) struct PolicyRead(Mutex<Option<Known>>);

/// At these heads (`None`: there is no document) the versions are these.
type Known = (Option<Vec<Hash32>>, Arc<PolicyHistory>);

impl Company {
    /// Every version of the policy, the pack that ships before them.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn policies(&self) -> Result<Arc<PolicyHistory>, CompanyError> {
        let heads = self.header(DocId::policy())?.map(|header| header.heads);
        let mut read = self.policies.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, policies)) = read.as_ref().filter(|(of, _)| *of == heads) {
            return Ok(policies.clone());
        }
        let policies = Arc::new(match self.load(DocId::policy()) {
            Ok(doc) => PolicyHistory::read(&doc),
            Err(CompanyError::Unknown { .. }) => PolicyHistory::shipped(),
            Err(other) => return Err(other),
        });
        *read = Some((heads, policies.clone()));
        Ok(policies)
    }

    /// Says what publishing a checked policy would refuse, without doing it.
    ///
    /// # Errors
    /// As [`Company::publish_policy`].
    pub fn check_publication(
        &self,
        policy: &Policy,
        effective_from_ms: i64,
        now_ms: i64,
    ) -> Result<(), CompanyError> {
        let doc = self.own(DocId::policy(), None)?.doc;
        let act = Act::new(self.stamp(now_ms), [0; 32]);
        let planned = publish(&doc, policy, effective_from_ms, SERVER_USER, "", &act);
        planned.map(|_| ()).map_err(|refused| CompanyError::Refused(refused.to_string()))
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
