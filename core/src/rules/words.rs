//! 关键词与标签 (C1, C29, C36–C38, C40, C45, C47): what words of a talk mean, the tags that a lead has, and the objections that call a director.
//! Tags that come of rules and words are worked out and stored nowhere (O7).

use std::collections::BTreeMap;

use super::facts::{DAY_MS, Facts};
use super::known::KnownOf;
use super::stage::StageOnce;
use super::verdict::{Unknown, Verdict};
use crate::ids::EntryId;
use crate::model::{Event, LoggedEvent};
use crate::policy::{Policy, WordClass};

/// Why a lead has a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagReason {
    /// Somebody put it on; it counts until then, milliseconds since 1970 UTC, or for ever.
    Hand(Option<i64>),
    /// A rule of the policy holds: its condition.
    Rule(String),
    /// Somebody said it: the entry and the word.
    Word(EntryId, String),
}

/// The director is called (C29).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectionAlarm {
    /// The objection that was one too many: the alarm's epoch (O2).
    pub epoch: EntryId,
    /// The objections, in order.
    pub objections: Vec<EntryId>,
}

/// The tags of a lead, by name, each with every reason.
pub fn assess_tags(facts: &Facts<'_>) -> Verdict<BTreeMap<String, Vec<TagReason>>> {
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: tags(facts, &StageOnce::new(facts)).into() }
}

/// Whether several objections to the price came close together while the lead is open (C29); `None`: not so.
pub fn assess_objections(facts: &Facts<'_>) -> Verdict<Option<ObjectionAlarm>> {
    Verdict {
        policy: facts.policies.at(facts.now_ms).id,
        says: objections(facts, &StageOnce::new(facts)).into(),
    }
}

/// The state that a text suggests, with the word: of several rows of the policy that occur the first one (C37).
pub fn suggest_state<'a>(policy: &'a Policy, text: &str) -> Option<(&'a str, &'a str)> {
    let rows = policy.keywords.states.iter();
    rows.filter_map(|row| word_in(&row.words, text).map(|word| (row.state.as_str(), word))).next()
}

/// The classes of what a customer says in a text, each with its word (C38).
pub fn classes<'a>(policy: &'a Policy, text: &str) -> Vec<(&'a WordClass, &'a str)> {
    let classes = policy.keywords.classes.iter();
    classes.filter_map(|class| word_in(&class.words, text).map(|word| (class, word))).collect()
}

fn word_in<'a>(words: &'a [String], text: &str) -> Option<&'a str> {
    words.iter().map(String::as_str).find(|word| text.contains(word))
}

/// What was said in an event, by whomever.
fn said(logged: &LoggedEvent) -> &str {
    match &logged.event {
        Event::Visit(visit) => &visit.note,
        Event::Touch(touch) => &touch.text,
        Event::Signal(signal) => &signal.text,
        _ => "",
    }
}

pub(super) fn tags(
    facts: &Facts<'_>,
    stages: &StageOnce<'_>,
) -> Result<BTreeMap<String, Vec<TagReason>>, Unknown> {
    let (_, policy) = facts.policy()?;
    let mut tags: BTreeMap<String, Vec<TagReason>> = BTreeMap::new();
    let mut add = |tag: &str, why| tags.entry(tag.to_owned()).or_default().push(why);
    for (tag, body) in facts.lead.tags.iter().filter(|(_, tag)| tag.is_fresh(facts.now_ms)) {
        add(tag, TagReason::Hand(body.expires_ms));
    }
    let known = KnownOf::sharing(facts, policy, stages);
    for rule in &policy.intake.tags {
        // A tag that cannot be judged is not on: it says something, and its absence does not.
        if rule.when.holds(&known) == Ok(true) {
            add(&rule.tag, TagReason::Rule(rule.when.source().to_owned()));
        }
    }
    for logged in facts.events() {
        let text = said(logged);
        for (class, word) in classes(policy, text) {
            add(&class.tag, TagReason::Word(logged.id, word.to_owned()));
        }
        for row in &policy.keywords.tags {
            if let Some(word) = word_in(&row.words, text) {
                add(&row.tag, TagReason::Word(logged.id, word.to_owned()));
            }
        }
    }
    Ok(tags)
}

pub(super) fn objections(
    facts: &Facts<'_>,
    stages: &StageOnce<'_>,
) -> Result<Option<ObjectionAlarm>, Unknown> {
    let (_, policy) = facts.policy()?;
    if policy.stage(&stages.view()?.stage).is_some_and(|stage| stage.won || stage.lost) {
        return Ok(None);
    }
    let objects =
        |logged: &&LoggedEvent| classes(policy, said(logged)).iter().any(|(class, _)| class.price_objection);
    let objections: Vec<_> = facts.events().into_iter().filter(objects).collect();
    let (many, within_ms) =
        (policy.scores.objections.count as usize, i64::from(policy.scores.objections.days) * DAY_MS);
    // The first time that so many came so close together, whatever the order in which they were heard of.
    let close = objections.windows(many).find(|window| match (window.first(), window.last()) {
        (Some(first), Some(last)) => {
            last.happened_at_ms().saturating_sub(first.happened_at_ms()) <= within_ms
        }
        _ => false,
    });
    Ok(close.and_then(|window| {
        let epoch = window.last()?.id;
        Some(ObjectionAlarm { epoch, objections: window.iter().map(|logged| logged.id).collect() })
    }))
}
