//! From what core says of a lead to the records that an app gets: the same, flat. Decides nothing.

use std::collections::BTreeMap;

use fieldbook_core::policy::Policy;
use fieldbook_core::rules::chain::ChainGraph;
use fieldbook_core::rules::fields::Fields;
use fieldbook_core::rules::nurturing::{Package, StepState};
use fieldbook_core::rules::radar::Radar;
use fieldbook_core::rules::response::{Answer, Deadline, ResponseState};
use fieldbook_core::rules::scores::Card;
use fieldbook_core::rules::stage::{self, Proposal, ProposalVerdict, StageView};
use fieldbook_core::rules::talk::LossRisk;
use fieldbook_core::rules::words::TagReason;
use fieldbook_core::rules::{Facts, Judgement, Says, Unknown};

use super::leads::user_name;
use crate::records::{
    CardItem, ChainItem, ChainPerson, FieldsItem, JudgedTag, LeadJudgement, LossItem, LossTickItem,
    NurturingItem, ProposalItem, ProposalOutcome, RadarItem, ResponseItem, ResponseOutcome, StageJudgement,
    TagWhy, Undetermined,
};

/// A judgement of these facts, as an app gets it.
pub(super) fn judged(facts: &Facts<'_>, judgement: Judgement) -> LeadJudgement {
    let open = judgement.undetermined().into_iter();
    let undetermined =
        open.map(|(part, unknown)| Undetermined { part: part.to_owned(), missing: names(unknown) }).collect();
    let policy = facts.policy().ok().map(|(_, policy)| policy);
    let responses = so(judgement.responses);
    let unassigned_hours = responses.as_ref().and_then(|responses| responses.lost_after_hours);
    let scores = so(judgement.scores);
    let (health, tier, depth) = match &scores {
        Some(scores) => (so(scores.health.clone()), so(scores.tier.clone()), so(scores.depth.clone())),
        None => (None, None, None),
    };
    let (fields, questions) = so(judgement.fields).map(fields).unzip();
    let (advancement, index) = so(judgement.advancement).map(|table| (table.rows, table.index)).unzip();
    LeadJudgement {
        lead: facts.id,
        policy: judgement.policy,
        at_ms: judgement.at_ms,
        stage: so(judgement.stage).zip(policy).map(|(view, policy)| stage_of(facts, policy, view)),
        missing_for_next: so(judgement.missing_for_next),
        responses: responses
            .map(|responses| responses.deadlines.into_iter().map(|due| response(facts, due)).collect()),
        unassigned_hours,
        tasks: so(judgement.tasks),
        nurturing: so(judgement.nurturing).map(|packages| packages.into_iter().flat_map(steps).collect()),
        health,
        tier,
        card: scores.map(|scores| card(scores.card)),
        depth,
        radar: so(judgement.radar).map(radar),
        chain: so(judgement.chain).map(chain),
        advancement,
        index,
        fields,
        questions,
        tags: so(judgement.tags).map(tags),
        loss: so(judgement.loss).zip(policy).map(|(risk, policy)| loss(policy, risk)),
        next_best: so(judgement.next_best),
        undetermined,
    }
}

fn so<T>(says: Says<T>) -> Option<T> {
    match says {
        Says::So(said) => Some(said),
        Says::Undetermined(_) => None,
    }
}

fn names(unknown: &Unknown) -> Vec<String> {
    unknown.names.iter().cloned().collect()
}

fn stage_of(facts: &Facts<'_>, policy: &Policy, view: StageView) -> StageJudgement {
    let name = |id: &str| policy.stage(id).map_or_else(|| id.to_owned(), |stage| stage.name.clone());
    let confirmed = facts.ruling.and_then(|ruling| ruling.fields.stage.clone());
    // Nothing needs to be confirmed of where every lead begins.
    let known = confirmed.as_deref().or(policy.stages.first().map(|stage| stage.id.as_str()));
    let next = stage::next_of(policy, &view.stage);
    StageJudgement {
        name: name(&view.stage),
        since_ms: view.since_ms,
        provisional: view.open.is_some() || known != Some(view.stage.as_str()),
        confirmed,
        next: next.map(|stage| stage.id.clone()),
        next_name: next.map(|stage| stage.name.clone()).unwrap_or_default(),
        proposals: view.proposals.into_iter().map(|made| proposal(name(&made.to), made)).collect(),
        stuck: view.stuck,
        stage: view.stage,
    }
}

fn proposal(name: String, made: Proposal) -> ProposalItem {
    let Proposal { id, to, at_ms, policy, verdict, jump, under_present, again: _ } = made;
    let verdict = match verdict {
        ProposalVerdict::Counts { since_ms } => ProposalOutcome::Counts { since_ms },
        ProposalVerdict::Lacks(missing) => ProposalOutcome::Lacks { missing },
        ProposalVerdict::Refused { by } => ProposalOutcome::Refused { by },
        ProposalVerdict::NoSuchStage => ProposalOutcome::NoSuchStage,
        ProposalVerdict::Undetermined(unknown) => ProposalOutcome::Undetermined { missing: names(&unknown) },
    };
    ProposalItem { id, to, name, at_ms, policy, verdict, jump, under_present }
}

fn response(facts: &Facts<'_>, due: Deadline) -> ResponseItem {
    let Deadline { epoch, owner, from_ms, due_ms, policy, state } = due;
    let state = match state {
        ResponseState::Met(Answer { entry, at_ms, doubtful }) => {
            ResponseOutcome::Met { entry, at_ms, doubtful }
        }
        ResponseState::Late(Answer { entry, at_ms, doubtful }) => {
            ResponseOutcome::Late { entry, at_ms, doubtful }
        }
        ResponseState::Open => ResponseOutcome::Open,
        ResponseState::Overdue(then) => ResponseOutcome::Overdue { then },
        ResponseState::Moved => ResponseOutcome::Moved,
    };
    let owner_name = facts.people.map(|people| user_name(people, owner)).unwrap_or_default();
    ResponseItem { epoch, owner, owner_name, from_ms, due_ms, policy, state }
}

fn steps(package: Package) -> impl Iterator<Item = NurturingItem> {
    let Package { epoch, policy, name, steps } = package;
    steps.into_iter().map(move |step| NurturingItem {
        package: name.clone(),
        epoch,
        policy,
        at: step.at as u32,
        title: step.title,
        who: step.who,
        material: step.material,
        due_ms: step.due_ms,
        due: step.state == StepState::Due,
        cancelled_by: match step.state {
            StepState::Cancelled(by) => Some(by),
            StepState::Ahead | StepState::Due => None,
        },
    })
}

fn card(card: Card) -> CardItem {
    let Card { score, deductions, open } = card;
    CardItem { score, deductions, open }
}

fn radar(radar: Radar) -> Vec<RadarItem> {
    let dimensions = radar.dimensions.into_iter().enumerate();
    let item = |(at, dimension): (usize, fieldbook_core::rules::radar::Dimension)| RadarItem {
        name: dimension.name.to_owned(),
        missing: match &dimension.score {
            Says::So(_) => Vec::new(),
            Says::Undetermined(unknown) => names(unknown),
        },
        score: so(dimension.score),
        sales: dimension.sales.to_owned(),
        marketing: dimension.marketing.to_owned(),
        lowest: radar.lowest == Some(at),
    };
    dimensions.map(item).collect()
}

fn chain(graph: ChainGraph) -> ChainItem {
    let ChainGraph { people, open_roles, complete } = graph;
    let person = |person: fieldbook_core::rules::chain::Person| ChainPerson {
        contact: person.contact,
        name: person.name,
        role: person.role,
        pool: person.pool,
        attitudes: person.attitudes.into_iter().collect(),
        told_by: person.told_by,
        stale: person.stale,
    };
    ChainItem { people: people.into_iter().map(person).collect(), open_roles, complete }
}

fn fields(fields: Fields) -> (FieldsItem, Vec<fieldbook_core::rules::fields::WeekQuestion>) {
    let Fields { missing, scene, missing_of_scene, before_next_visit, complete_bp, questions } = fields;
    (FieldsItem { missing, scene, missing_of_scene, before_next_visit, complete_bp }, questions)
}

fn tags(tags: BTreeMap<String, Vec<TagReason>>) -> Vec<JudgedTag> {
    let why = |reason| match reason {
        TagReason::Hand(expires_ms) => TagWhy::Hand { expires_ms },
        TagReason::Rule(condition) => TagWhy::Rule { condition },
        TagReason::Word(entry, word) => TagWhy::Word { entry, word },
    };
    let tag = |(name, reasons): (String, Vec<TagReason>)| JudgedTag {
        name,
        reasons: reasons.into_iter().map(why).collect(),
    };
    tags.into_iter().map(tag).collect()
}

fn loss(policy: &Policy, risk: LossRisk) -> LossItem {
    // The questions stand in the order of the policy.
    let ticks = policy.scores.loss.ticks.iter().zip(risk.ticks);
    let tick = |(asked, (text, ticked)): (&fieldbook_core::policy::LossTick, (String, bool))| LossTickItem {
        id: asked.id.clone(),
        text,
        ticked,
    };
    LossItem { ticks: ticks.map(tick).collect(), risk_bp: risk.risk_bp, talk_pack: risk.talk_pack }
}
