//! Everything that the rules say of one lead, in one go: what a phone shows and what a server acts on, from the same call. Each part says for
//! itself what it lacks. What several rules ask for is worked out once.

use std::collections::BTreeMap;

use super::advancement::{Advancement, assess_advancement};
use super::chain::{ChainGraph, assess_chain};
use super::facts::Facts;
use super::fields::Fields;
use super::nurturing::{Package, assess_nurturing};
use super::radar::Radar;
use super::response::{Responses, assess_response};
use super::scores::Scores;
use super::stage::{self, StageOnce, StageView};
use super::talk::{self, LossRisk, NextAction, assess_loss};
use super::tasks::Task;
use super::verdict::{Says, Unknown};
use super::words::{self, ObjectionAlarm, TagReason};
use super::{fields, radar, scores, tasks};
use crate::ids::EntryId;

/// What the rules say of a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The version of the policy by which they say it (O13). A task, a deadline and a proposal name their own.
    pub policy: EntryId,
    /// The moment of the judgement, milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// 阶段 (C61–C66).
    pub stage: Says<StageView>,
    /// What the next stage needs and is not there; empty at the end of the way.
    pub missing_for_next: Says<Vec<String>>,
    /// 首次响应 (C1, C14, C18, C22).
    pub responses: Says<Responses>,
    /// 任务 (C23–C28).
    pub tasks: Says<Vec<Task>>,
    /// 培育 (C34).
    pub nurturing: Says<Vec<Package>>,
    /// 字段与本周问题 (C3, C6, C7, C33).
    pub fields: Says<Fields>,
    /// 评分 (C46, C49–C52).
    pub scores: Says<Scores>,
    /// 五维雷达 (C69).
    pub radar: Says<Radar>,
    /// 决策链 (C53, C54).
    pub chain: Says<ChainGraph>,
    /// 推进表 (C55, C56).
    pub advancement: Says<Advancement>,
    /// 标签 (C1, C40, C45, C47).
    pub tags: Says<BTreeMap<String, Vec<TagReason>>>,
    /// 价格异议 (C29).
    pub objections: Says<Option<ObjectionAlarm>>,
    /// 丢单预测 (C39).
    pub loss: Says<LossRisk>,
    /// 下一步最佳动作 (C48).
    pub next_best: Says<Vec<NextAction>>,
}

/// What the rules say of a lead. For equal facts it is equal, wherever it is asked (design decision 9).
pub fn judge(facts: &Facts<'_>) -> Judgement {
    let stages = StageOnce::new(facts);
    let fields: Says<Fields> = fields::fields(facts, &stages).into();
    Judgement {
        policy: facts.policies.at(facts.now_ms).id,
        at_ms: facts.now_ms,
        stage: stages.view().cloned().into(),
        missing_for_next: stage::missing(facts, &stages).into(),
        responses: assess_response(facts).says,
        tasks: tasks::tasks(facts, &stages).into(),
        nurturing: assess_nurturing(facts).says,
        scores: scores::scores(facts, &stages).into(),
        radar: radar::radar(facts, &fields).into(),
        chain: assess_chain(facts).says,
        advancement: assess_advancement(facts).says,
        tags: words::tags(facts, &stages).into(),
        objections: words::objections(facts, &stages).into(),
        loss: assess_loss(facts).says,
        next_best: talk::next_best(facts, &stages).into(),
        fields,
    }
}

impl Judgement {
    /// What cannot be said, by the name of its part here, with what would have to be known.
    pub fn undetermined(&self) -> Vec<(&'static str, &Unknown)> {
        fn open<T>(says: &Says<T>) -> Option<&Unknown> {
            match says {
                Says::So(_) => None,
                Says::Undetermined(unknown) => Some(unknown),
            }
        }
        let scores = self.scores.so();
        let parts = [
            ("stage", open(&self.stage)),
            ("missing_for_next", open(&self.missing_for_next)),
            ("responses", open(&self.responses)),
            ("tasks", open(&self.tasks)),
            ("nurturing", open(&self.nurturing)),
            ("fields", open(&self.fields)),
            ("scores", open(&self.scores)),
            ("health", scores.and_then(|scores| open(&scores.health))),
            ("depth", scores.and_then(|scores| open(&scores.depth))),
            ("radar", open(&self.radar)),
            ("chain", open(&self.chain)),
            ("advancement", open(&self.advancement)),
            ("tags", open(&self.tags)),
            ("objections", open(&self.objections)),
            ("loss", open(&self.loss)),
            ("next_best", open(&self.next_best)),
        ];
        parts.into_iter().filter_map(|(part, unknown)| Some((part, unknown?))).collect()
    }
}
