//! What the company knows of its reps when it gives a lead to one of them (C16, C20): folded from what was judged of each lead, once in a while,
//! and the load carried on by what this process assigns. Only decisions yet to be made hang on it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::automate::JudgedLead;
use super::rows::decode;
use super::{Company, CompanyError, keys};
use crate::ids::UserId;
use crate::rules::results::{Results, Tally};

/// How long a count is carried on before it is made anew, milliseconds: another process may have assigned some leads.
const COUNT_MS: i64 = 600_000;

/// What was counted of each rep last.
#[derive(Debug, Default)]
pub(super) struct Tallies(Mutex<Option<Counted>>);

#[derive(Debug)]
struct Counted {
    at_ms: i64,
    days: u32,
    of: BTreeMap<UserId, Tally>,
}

impl Company {
    /// What is known of each rep over so many days before now; of whom nothing is known has no row.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn results(&self, days: u32, now_ms: i64) -> Result<BTreeMap<UserId, Results>, CompanyError> {
        if let Some(known) = self.tallies.known(days, now_ms) {
            return Ok(known);
        }
        let mut counted: BTreeMap<UserId, Tally> = BTreeMap::new();
        self.each_row(keys::JUDGED, |key, row| {
            // One that cannot be read keeps no lead from being given to somebody.
            let Ok(judged) = decode::<JudgedLead>(key, row) else { return Ok(()) };
            let Some(user) = judged.owner else { return Ok(()) };
            let tally = counted.entry(user).or_default();
            tally.open_leads += u32::from(judged.worked_by().is_some());
            if let Some(outcome) = &judged.outcome {
                tally.count(outcome, days, now_ms);
            }
            Ok(())
        })?;
        let results = results(&counted);
        let counted = Counted { at_ms: now_ms, days, of: counted };
        *self.tallies.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(counted);
        Ok(results)
    }
}

fn results(of: &BTreeMap<UserId, Tally>) -> BTreeMap<UserId, Results> {
    let anybody_sold = of.values().any(|tally| tally.won_fen > 0);
    of.iter().map(|(user, tally)| (*user, tally.results(anybody_sold))).collect()
}

impl Tallies {
    fn known(&self, days: u32, now_ms: i64) -> Option<BTreeMap<UserId, Results>> {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh =
            |counted: &&Counted| counted.days == days && now_ms.abs_diff(counted.at_ms) < COUNT_MS as u64;
        counted.as_ref().filter(is_fresh).map(|counted| results(&counted.of))
    }

    /// A lead was somebody's work and is somebody else's.
    pub fn moved(&self, (from, to): (Option<UserId>, Option<UserId>)) {
        if from == to {
            return;
        }
        if let Some(counted) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            if let Some(tally) = from.and_then(|from| counted.of.get_mut(&from)) {
                tally.open_leads = tally.open_leads.saturating_sub(1);
            }
            if let Some(to) = to {
                counted.of.entry(to).or_default().open_leads += 1;
            }
        }
    }
}
