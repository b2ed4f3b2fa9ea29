//! What stands behind the words of formulas ([`terms::LEAD`]): the one place where a fact of a document becomes a value.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::chain;
use super::facts::{DAY_MS, Facts, is_contact, is_failed, is_reached};
use super::stage::StageOnce;
use crate::model::{Event, LeadFields, is_filled};
use crate::policy::Policy;
use crate::policy::formula::{Counted, Known, Measure, Term, Value};
use crate::policy::terms::BUDGET_MATCH;

/// Fen of a 万元.
const WAN_FEN: i64 = 1_000_000;

/// The facts of a lead under one version of the policy, as formulas ask for them.
#[derive(Debug, Clone, Copy)]
pub struct KnownOf<'a> {
    /// The facts.
    pub facts: &'a Facts<'a>,
    /// The version that says how they are counted.
    pub policy: &'a Policy,
    /// Where 阶段 comes from.
    stage: StageWord<'a>,
}

/// Where 阶段 comes from.
#[derive(Debug, Clone, Copy)]
enum StageWord<'a> {
    /// It is worked out where it is named.
    Anew,
    /// It is worked out once for several rules.
    Once(&'a StageOnce<'a>),
    /// It is no word here: in what stages need, for that is what they decide.
    None,
}

impl Known for KnownOf<'_> {
    fn name(&self, term: &Term) -> Option<Value> {
        let fields = &self.facts.lead.fields;
        let text =
            |field: &Option<String>| Some(Value::Text(self.filled(field).unwrap_or_default().to_owned()));
        let count = |many: usize| Some(Value::from(many as i64));
        match term.english {
            "customer_name" => text(&fields.customer_name),
            "need" => text(&fields.need),
            "hospital" => text(&fields.hospital),
            "department" => text(&fields.department),
            "equipment" => text(&fields.equipment),
            "brand" => text(&fields.brand),
            "source" => self.source(),
            "industry" => text(&fields.industry),
            "province" => text(&fields.province),
            "region_code" => text(&fields.region_code),
            "purchase_timing" => text(&fields.purchase_timing),
            "customer_state" => text(&fields.customer_state),
            "next_action" => text(&fields.next_action),
            "notes" => Some(Value::Text(self.facts.lead.notes.clone())),
            "tags" => Some(Value::Text(self.fresh_tags())),
            "contact_roles" => self.contact_roles().map(Value::Text),
            "stage" => Some(Value::Text(self.stage()?)),
            "budget_wan" => {
                budget_fen(fields).map(|fen| Value::Number(Decimal::from(fen) / Decimal::from(WAN_FEN)))
            }
            "budget_match" => Some(self.budget_match().into()),
            "has_timetable" => Some(self.filled(&fields.purchase_timing).is_some().into()),
            "industry_potential" => {
                let industry = self.filled(&fields.industry)?;
                self.policy.scores.industry_potential.get(industry).map(|potential| (*potential).into())
            }
            "buying_activity" => {
                let scores = &self.policy.scores;
                let since_ms = self.since_ms(scores.activity_days);
                let kinds = scores.activity_signals.iter();
                count(kinds.map(|kind| self.count(kind, "", since_ms)).sum())
            }
            "advancement_index" => {
                self.facts.table.map(|table| super::advancement::index(table, self.policy).into())
            }
            "visits" => count(self.events(|event| matches!(event, Event::Visit(_)))),
            "touches" => count(self.events(is_contact)),
            "failed_in_a_row" => count(failed_in_a_row(self.facts)),
            "evidence" => {
                let evidence = self.facts.lead.evidence.iter();
                count(evidence.filter(|logged| logged.at.at_ms <= self.facts.now_ms).count())
            }
            "chain_roles" => {
                self.facts.knows_contacts().ok()?;
                count(chain::roles_with_attitude(self.facts, self.policy))
            }
            "age_days" => self.age_days(),
            "idle_days" => Some(days_between(self.facts.last_act_ms()?, self.facts.now_ms)),
            _ => None,
        }
    }

    fn signals(&self, counted: &Counted) -> Option<Decimal> {
        let since_ms = counted.within_days.map_or(i64::MIN, |days| self.since_ms(days));
        let matching = self.facts.signals(&counted.kind).into_iter().filter(|(event, signal)| {
            event.happened_at_ms() > since_ms && signal.about.contains(&counted.about)
        });
        Some(match counted.measure {
            Measure::Count => Decimal::from(matching.count()),
            Measure::Total => matching.map(|(_, signal)| Decimal::from(signal.amount.unwrap_or(0))).sum(),
        })
    }
}

impl<'a> KnownOf<'a> {
    /// The words of every formula but those of stages.
    pub fn new(facts: &'a Facts<'a>, policy: &'a Policy) -> Self {
        Self { facts, policy, stage: StageWord::Anew }
    }

    /// The words of every formula but those of stages, for rules that are judged together.
    pub(crate) fn sharing(facts: &'a Facts<'a>, policy: &'a Policy, stages: &'a StageOnce<'a>) -> Self {
        Self { facts, policy, stage: StageWord::Once(stages) }
    }

    /// The words of what stages need.
    pub(super) fn for_stages(facts: &'a Facts<'a>, policy: &'a Policy) -> Self {
        Self { facts, policy, stage: StageWord::None }
    }

    /// The text of a field, if it says anything: 待确认 and what else the policy names count as nothing (C11).
    pub fn filled(&self, field: &'a Option<String>) -> Option<&'a str> {
        let text = field.as_deref().map(str::trim)?;
        let says = is_filled(text) && !self.policy.intake.empty_words.iter().any(|word| word == text);
        says.then_some(text)
    }

    /// 首次来源 where the server wrote one, else what the rep says (C10).
    fn source(&self) -> Option<Value> {
        let first = self.facts.ruling.and_then(|ruling| self.filled(&ruling.fields.first_source));
        let said = first.or_else(|| self.filled(&self.facts.lead.fields.source));
        match (said, self.facts.ruling) {
            (Some(said), _) => Some(said.into()),
            (None, Some(_)) => Some("".into()),
            // The server may know one.
            (None, None) => None,
        }
    }

    fn stage(&self) -> Option<String> {
        let anew;
        let stages = match self.stage {
            StageWord::None => return None,
            StageWord::Once(stages) => stages,
            StageWord::Anew => {
                anew = StageOnce::new(self.facts);
                &anew
            }
        };
        // While it may be further on, where it is cannot be said.
        let id = &stages.view().ok().filter(|view| view.open.is_none())?.stage;
        Some(self.policy.stage(id).map_or_else(|| id.clone(), |stage| stage.name.clone()))
    }

    fn fresh_tags(&self) -> String {
        let fresh = self.facts.lead.tags.iter().filter(|(_, tag)| tag.is_fresh(self.facts.now_ms));
        fresh.map(|(key, _)| key.as_str()).collect::<Vec<_>>().join("、")
    }

    fn contact_roles(&self) -> Option<String> {
        self.facts.knows_contacts().ok()?;
        let roles = self.facts.contacts().into_iter();
        let roles: BTreeSet<&str> = roles.filter_map(|(_, contact)| contact.role.as_deref()).collect();
        Some(roles.into_iter().collect::<Vec<_>>().join("、"))
    }

    fn budget_match(&self) -> &'static str {
        let [over, between] = self.policy.scores.budget_bounds_yuan;
        let [sure_over, sure_between, sure_under, open] = [0, 1, 2, 3].map(|at| BUDGET_MATCH[at]);
        match budget_fen(&self.facts.lead.fields).map(|fen| fen / 100) {
            None => open,
            Some(yuan) if yuan >= over => sure_over,
            Some(yuan) if yuan >= between => sure_between,
            Some(_) => sure_under,
        }
    }

    fn since_ms(&self, days: u32) -> i64 {
        self.facts.now_ms.saturating_sub(i64::from(days) * DAY_MS)
    }

    fn count(&self, kind: &str, about: &str, since_ms: i64) -> usize {
        let signals = self.facts.signals(kind).into_iter();
        signals
            .filter(|(event, signal)| event.happened_at_ms() > since_ms && signal.about.contains(about))
            .count()
    }

    fn events(&self, which: fn(&Event) -> bool) -> usize {
        self.facts.events().into_iter().filter(|logged| which(&logged.event)).count()
    }

    fn age_days(&self) -> Option<Value> {
        let received_ms = self.facts.ruling?.fields.received_at_ms?;
        Some(days_between(received_ms, self.facts.now_ms))
    }
}

/// The budget as one number: the upper end of the range, else the lower, fen.
pub fn budget_fen(fields: &LeadFields) -> Option<i64> {
    fields.budget_max_fen.or(fields.budget_min_fen).filter(|fen| *fen > 0)
}

/// How many of the last contacts nobody answered, since somebody was reached (C1, C34).
pub fn failed_in_a_row(facts: &Facts<'_>) -> usize {
    let events = facts.events();
    let since = events.iter().rposition(|logged| is_reached(&logged.event)).map_or(0, |at| at + 1);
    events[since..].iter().filter(|logged| is_failed(&logged.event)).count()
}

fn days_between(from_ms: i64, to_ms: i64) -> Value {
    (to_ms.saturating_sub(from_ms) / DAY_MS).max(0).into()
}
