//! What the rules say of one lead, from the documents that this phone holds (design decision 9): the facts are put together here, judged in
//! core, and handed out as plain records.

use std::sync::Arc;

use fieldbook_core::access::Role;
use fieldbook_core::document::{Clocks, Doc};
use fieldbook_core::ids::{DocId, DocKind, UserId};
use fieldbook_core::model::{AccountModel, AdvancementModel, DirectoryModel, LeadModel, RulingModel};
use fieldbook_core::policy::{Policy, PolicyAt, PolicyHistory, SignalKind};
use fieldbook_core::replica::{Replica, ReplicaError};
use fieldbook_core::rules::{self, Facts, Says, Unknown};
use fieldbook_core::time::Moment;
use jiff::tz::TimeZone;

use super::Fieldbook;
use super::judged::judged;
use super::leads::check_held;
use super::page::Docs;
use crate::error::Error;
use crate::records::{LeadJudgement, PolicyChoice, PolicyForms};
use crate::shared::Shared;

impl Fieldbook {
    /// Everything that the rules say of one lead, now, by the policy that this phone holds. Works without network; what cannot be said from
    /// what is held names what is missing.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Locked`].
    pub fn judge(&self, lead: DocId) -> Result<LeadJudgement, Error> {
        self.shared.read(|replica, now| {
            let held = Held::load(&self.shared, replica, lead, now)?;
            let facts = held.facts();
            Ok::<_, Error>(judged(&facts, rules::judge(&facts)))
        })
    }

    /// The policy in force, as far as an app draws forms by it.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`]; [`Error::Undetermined`] when only a newer version of the app can read it.
    pub fn policy(&self) -> Result<PolicyForms, Error> {
        self.shared.with(|replica, now| {
            replica.identity()?;
            let now_ms = replica.now_ms(now);
            let history = self.shared.policies(replica)?;
            let (at, policy) = in_force(&history, now_ms)?;
            let choice = |id: &str, name: &str| PolicyChoice {
                id: id.to_owned(),
                name: name.to_owned(),
                levels: Vec::new(),
            };
            let signal = |kind: &SignalKind| PolicyChoice {
                levels: kind.levels.clone(),
                ..choice(&kind.id, &kind.name)
            };
            Ok::<_, Error>(PolicyForms {
                name: policy.name.clone(),
                version: at.id,
                effective_from_ms: Some(at.effective_from_ms).filter(|from_ms| *from_ms > i64::MIN),
                stages: policy.stages.iter().map(|stage| choice(&stage.id, &stage.name)).collect(),
                rows: policy.advancement.rows.iter().map(|row| choice(&row.id, &row.text)).collect(),
                loss_ticks: policy
                    .scores
                    .loss
                    .ticks
                    .iter()
                    .map(|tick| choice(&tick.id, &tick.text))
                    .collect(),
                signals: policy.signals.iter().map(signal).collect(),
            })
        })
    }
}

/// The version in force at a moment.
pub(super) fn in_force(history: &PolicyHistory, at_ms: i64) -> Result<(&PolicyAt, &Policy), Error> {
    let at = history.at(at_ms);
    let newer = || Error::Undetermined { missing: vec!["公司规则（请升级应用）".to_owned()] };
    at.policy.as_deref().map(|policy| (at, policy)).ok_or_else(newer)
}

/// What a rule says, or what would have to be known.
pub(super) fn said<T>(says: Says<T>) -> Result<T, Error> {
    match says {
        Says::So(said) => Ok(said),
        Says::Undetermined(unknown) => Err(unknown.into()),
    }
}

/// What this phone holds of a lead, read, and when.
pub(super) struct Held {
    id: DocId,
    pub lead: LeadModel,
    pub ruling: Option<RulingModel>,
    table: AdvancementModel,
    account: Option<AccountModel>,
    people: Option<Arc<DirectoryModel>>,
    pub policies: Arc<PolicyHistory>,
    pub now_ms: i64,
    pub zone: TimeZone,
    /// Who wrote the lead down: its owner until there is a ruling.
    pub writer: Option<UserId>,
}

impl Held {
    /// Reads what is held of a lead.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn load(shared: &Shared, replica: &mut Replica, lead: DocId, now: Moment) -> Result<Self, Error> {
        check_held(replica, lead)?;
        let docs = Docs::load(replica, lead)?;
        let clocks = docs.clocks();
        let model = LeadModel::read(&docs.lead.1, clocks);
        let account = match model.fields.account {
            Some(account) => optional(replica, account)?.map(|doc| AccountModel::read(&doc, clocks)),
            None => None,
        };
        let people = if replica.holds(DocId::directory())? { Some(shared.names(replica)?) } else { None };
        Ok(Self {
            id: lead,
            // A table that nobody has written is an empty one: where the lead is held, so is its table.
            table: match &docs.table {
                Some((_, doc)) => AdvancementModel::read(doc, clocks),
                None => AdvancementModel::read(&Doc::genesis(DocKind::Advancement), clocks),
            },
            writer: docs.lead.1.first_writer(clocks as &dyn Clocks),
            lead: model,
            account,
            people,
            policies: shared.policies(replica)?,
            now_ms: replica.now_ms(now),
            zone: zone(replica)?,
            ruling: docs.ruling,
        })
    }

    /// Whether somebody is a manager.
    ///
    /// # Errors
    /// [`Error::Undetermined`] where the phone does not hold the directory.
    pub fn manages(&self, user: UserId) -> Result<bool, Error> {
        let people = self.people.as_deref().ok_or_else(|| Unknown::of("通讯录"))?;
        let role = people.users.get(&user).and_then(|known| known.role.as_deref());
        Ok(role.and_then(Role::named) == Some(Role::Manager))
    }

    /// As rules ask for it.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            id: self.id,
            lead: &self.lead,
            ruling: self.ruling.as_ref(),
            table: Some(&self.table),
            account: self.account.as_ref(),
            people: self.people.as_deref(),
            policies: &self.policies,
            now_ms: self.now_ms,
            zone: &self.zone,
        }
    }
}

/// The company's zone.
pub(super) fn zone(replica: &Replica) -> Result<TimeZone, Error> {
    Ok(TimeZone::get(&replica.identity()?.zone).unwrap_or(TimeZone::UTC))
}

/// A document, if it is held.
fn optional(replica: &mut Replica, id: DocId) -> Result<Option<Doc>, Error> {
    match replica.load(id) {
        Ok(doc) => Ok(Some(doc)),
        Err(ReplicaError::Unknown(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}
