//! Leads by what is so of them (C9): a condition in the words of formulas over what the rules read of each lead, so that a list that somebody
//! takes out of the company is chosen as the rules choose.

use jiff::tz::TimeZone;

use super::facts::FactRow;
use super::{Company, CompanyError, keys};
use crate::ids::{DocId, UserId};
use crate::model::{LeadModel, RulingModel};
use crate::policy::Condition;
use crate::policy::formula::FormulaError;
use crate::rules::known::KnownOf;
use crate::rules::{DAY_MS, StageOnce};

/// A lead that was found.
#[derive(Debug)]
pub struct FoundLead<'a> {
    /// Which.
    pub id: DocId,
    /// What is known of it.
    pub lead: &'a LeadModel,
    /// What the company decided of it.
    pub ruling: &'a RulingModel,
    /// 阶段, as it is called; `None`: where it is cannot be said.
    pub stage: Option<String>,
    /// 未更新天数; `None`: nothing was ever done about it.
    pub idle_days: Option<i64>,
}

/// What a search came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Searched {
    /// Leads that were found.
    pub found: usize,
    /// Leads of which the condition cannot be said, because something that it names is not known. They were not found.
    pub undetermined: usize,
    /// Leads that are damaged. They were not found.
    pub unreadable: usize,
    /// Whether there are more than was wanted.
    pub more: bool,
}

/// Leads that are looked at between two looks at who may read them.
const LOT: usize = 512;

impl Company {
    /// Reads a condition on leads in the words of the policy in force.
    ///
    /// # Errors
    /// [`CompanyError`] of the store; the inner one, with the place and the reason, for what is no condition.
    pub fn condition(
        &self,
        source: &str,
        now_ms: i64,
    ) -> Result<Result<Condition, FormulaError>, CompanyError> {
        let policies = self.policies()?;
        let Some(policy) = policies.at(now_ms).policy.as_deref() else {
            return Err(CompanyError::Refused("the policy in force is of a newer version".to_owned()));
        };
        Ok(policy.condition(source))
    }

    /// Every lead that `reader` may read, is not deleted and for which the condition holds, by id, `most` at the most.
    ///
    /// # Errors
    /// [`CompanyError`] of the store; [`CompanyError::Refused`] under a policy of a newer version.
    pub fn find_leads(
        &self,
        reader: UserId,
        holds: Option<&Condition>,
        zone: &TimeZone,
        now_ms: i64,
        most: usize,
        mut visit: impl FnMut(FoundLead<'_>),
    ) -> Result<Searched, CompanyError> {
        let desk = self.desk(zone, now_ms)?;
        let Some(policy) = desk.policies.at(now_ms).policy.clone() else {
            return Err(CompanyError::Refused("the policy in force is of a newer version".to_owned()));
        };
        let mut searched = Searched::default();
        let mut after = None;
        loop {
            let lot = self.leads_of(reader, after, LOT)?;
            let wanted: Vec<Vec<u8>> = lot.iter().map(|lead| keys::facts(*lead)).collect();
            let rows = self.store.get_many(&wanted.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
            for (lead, row) in lot.iter().copied().zip(rows) {
                let row = match row.as_deref().and_then(FactRow::decode) {
                    Some(row) => row,
                    // It was not judged yet.
                    None => match self.fact_row(lead) {
                        Ok(Some(row)) => row,
                        Err(CompanyError::Store(error)) => return Err(error.into()),
                        // It is gone by now.
                        Ok(None) => continue,
                        Err(_) => {
                            searched.unreadable += 1;
                            continue;
                        }
                    },
                };
                if row.lead.fields.deleted == Some(true) {
                    continue;
                }
                let facts = row.facts(lead, &desk, now_ms);
                let stages = StageOnce::new(&facts);
                match holds.map(|holds| holds.holds(&KnownOf::sharing(&facts, &policy, &stages))) {
                    Some(Ok(false)) => continue,
                    Some(Err(_)) => {
                        searched.undetermined += 1;
                        continue;
                    }
                    None | Some(Ok(true)) => {}
                }
                if searched.found == most {
                    searched.more = true;
                    return Ok(searched);
                }
                searched.found += 1;
                let stage = stages.view().ok().and_then(|view| policy.stage(&view.stage));
                let stage = stage.map(|stage| stage.name.clone());
                let idle_days = facts.last_act_ms().map(|at_ms| now_ms.saturating_sub(at_ms).max(0) / DAY_MS);
                visit(FoundLead { id: lead, lead: &row.lead, ruling: &row.ruling, stage, idle_days });
            }
            if lot.len() < LOT {
                return Ok(searched);
            }
            after = lot.last().copied();
        }
    }
}
