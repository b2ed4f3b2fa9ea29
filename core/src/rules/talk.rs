//! 沟通 (C31, C36, C39, C48, C59): what follows from a talk, on the phone and without typing: the next contact, the state that was heard, what
//! helps against what was said; whether a purpose of the calendar says anything.

use jiff::ToSpan;
use jiff::civil::Date;

use super::facts::{Facts, is_reached};
use super::known::KnownOf;
use super::stage::StageOnce;
use super::verdict::{Unknown, Verdict};
use super::words;
use crate::ids::EntryId;
use crate::model::Event;
use crate::policy::Policy;

/// 本次沟通结束: what is proposed (C31). The rep accepts it with one touch, or changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndOfTalk {
    /// The day of the next contact, in the company's zone.
    pub next_contact: Date,
    /// The todo for it.
    pub todo: String,
    /// 客户状态 that was heard, with the word (C37).
    pub state: Option<(String, String)>,
    /// Talk packs that help against what was said, by their ids in the playbook (C38).
    pub talk_packs: Vec<String>,
}

/// Whether somebody may set 沟通中 by hand (C36).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    /// This shows that there was a talk: its entry, and the first sentence of it.
    Shown(EntryId, String),
    /// There is neither a conversation nor a summary of a call or visit.
    Refused,
}

/// 丢单预测 (C39).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossRisk {
    /// The questions, with whether each is ticked.
    pub ticks: Vec<(String, bool)>,
    /// 流失概率, basis points; `None`: not all are ticked.
    pub risk_bp: Option<u32>,
    /// The talk pack that comes up with it, by its id in the playbook.
    pub talk_pack: Option<String>,
}

/// 下一步最佳动作 (C48).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextAction {
    /// What is proposed.
    pub action: String,
    /// The material, by its id in the playbook; empty: none.
    pub material: String,
    /// Why: the condition that holds.
    pub because: String,
}

/// What is proposed at the end of a talk in which this was said.
pub fn plan_end_of_talk(facts: &Facts<'_>, text: &str) -> Verdict<EndOfTalk> {
    let plan = || -> Result<EndOfTalk, Unknown> {
        let (_, policy) = facts.policy()?;
        let today = facts.day(facts.now_ms).ok_or_else(|| Unknown::of("日期"))?;
        let next = today.checked_add(i64::from(policy.talk.next_contact_days).days());
        let state = words::suggest_state(policy, text);
        let packs = words::classes(policy, text).into_iter().map(|(class, _)| class.talk_pack.clone());
        Ok(EndOfTalk {
            next_contact: next.map_err(|_| Unknown::of("日期"))?,
            todo: policy.talk.next_contact_title.clone(),
            state: state.map(|(state, word)| (state.to_owned(), word.to_owned())),
            talk_packs: packs.filter(|pack| !pack.is_empty()).collect(),
        })
    };
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: plan().into() }
}

/// What shows that there was a talk. A visit's summary is the way without signal.
pub fn assess_state_change(facts: &Facts<'_>) -> Verdict<StateChange> {
    let judged = || -> Result<StateChange, Unknown> {
        let (_, policy) = facts.policy()?;
        let is_talk = |kind: &str| policy.signals.iter().any(|known| known.id == kind && known.is_talk);
        let shown = facts.events().into_iter().find_map(|logged| match &logged.event {
            Event::Visit(visit) => Some((logged.id, first_sentence(&visit.note))),
            Event::Touch(touch) if is_reached(&logged.event) => {
                Some((logged.id, first_sentence(&touch.text)))
            }
            Event::Signal(signal) if is_talk(&signal.kind) => Some((logged.id, first_sentence(&signal.text))),
            _ => None,
        });
        Ok(shown.map_or(StateChange::Refused, |(id, sentence)| StateChange::Shown(id, sentence)))
    };
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: judged().into() }
}

/// The loss predictor, from the ticks of the advancement table.
pub fn assess_loss(facts: &Facts<'_>) -> Verdict<LossRisk> {
    let judged = || -> Result<LossRisk, Unknown> {
        let (_, policy) = facts.policy()?;
        let table = facts.table.ok_or_else(|| Unknown::of("采购推进表"))?;
        let loss = &policy.scores.loss;
        let ticked = |id: &str| {
            let key = loss_key(id);
            table.rows.iter().any(|row| row.id == key && row.confirmed && !row.conflict)
        };
        let ticks: Vec<(String, bool)> =
            loss.ticks.iter().map(|tick| (tick.text.clone(), ticked(&tick.id))).collect();
        let all = !ticks.is_empty() && ticks.iter().all(|(_, ticked)| *ticked);
        let talk_pack = Some(loss.talk_pack.clone()).filter(|pack| all && !pack.is_empty());
        Ok(LossRisk { ticks, risk_bp: all.then_some(loss.all_bp), talk_pack })
    };
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: judged().into() }
}

/// The key of the advancement table under which a tick of the loss predictor is kept.
pub fn loss_key(tick: &str) -> String {
    format!("loss/{tick}")
}

/// What is best done next, in the order of the policy.
pub fn assess_next_best(facts: &Facts<'_>) -> Verdict<Vec<NextAction>> {
    let stages = StageOnce::new(facts);
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: next_best(facts, &stages).into() }
}

pub(super) fn next_best(facts: &Facts<'_>, stages: &StageOnce<'_>) -> Result<Vec<NextAction>, Unknown> {
    let (_, policy) = facts.policy()?;
    let known = KnownOf::sharing(facts, policy, stages);
    let holding = policy.talk.next_best.iter().filter(|next| next.when.holds(&known) == Ok(true));
    let action = |next: &crate::policy::NextBest| NextAction {
        action: next.action.clone(),
        material: next.material.clone(),
        because: next.when.source().to_owned(),
    };
    Ok(holding.map(action).collect())
}

/// Whether a purpose says nothing (C59): one of the vague words stands alone, with at most a name or a title around it. 「沟通」,
/// 「回电王总」 and 「跟进一下」 say nothing; 「确认CT机安装场地尺寸」 does.
pub fn is_vague(policy: &Policy, purpose: &str) -> bool {
    let says = |c: &char| {
        !c.is_whitespace()
            && !c.is_ascii_punctuation()
            && !"，。、！？一下客户医院主任院长科长经理总与和跟给".contains(*c)
    };
    let purpose = purpose.trim();
    if purpose.is_empty() {
        return true;
    }
    let vague = policy.calendar.vague_purposes.iter().filter(|word| purpose.contains(word.as_str()));
    // What is left beside the word is a surname or a short name: two characters say no purpose.
    vague
        .into_iter()
        .any(|word| purpose.replacen(word.as_str(), "", 1).chars().filter(says).count() <= NAME_CHARS)
}

fn first_sentence(text: &str) -> String {
    let end = text.find(['。', '！', '？', '\n']).unwrap_or(text.len());
    text[..end].trim().to_owned()
}

/// Characters of a name that a vague purpose may have beside its word.
const NAME_CHARS: usize = 2;
