use super::*;
use crate::rules::stage::FOLDS;
use crate::rules::{Judgement, Says, advancement, chain, fields, judge, nurturing, radar, response, scores};
use crate::rules::{stage, talk, tasks, words};

/// A lead in the middle of its way, whose formulas all name the stage.
fn busy() -> Story {
    let mut story = Story::new();
    story.policy_from(days(-1), "when = '预算万元>=100'", "when = 'AND(预算万元>=100,阶段<>\"丢单\")'");
    story.lead.fields.budget_max_fen = Some(380_000_000);
    story.lead.fields.need = Some("采购".into());
    story.assign(hours(0), LI);
    story.contact("王主任", "科主任", "");
    story.visit(hours(1), LI, "王主任认可技术方案，上次报价太贵");
    story.propose(hours(2), "screening");
    story.propose(hours(3), "solution");
    story.evidence(hours(4), "Quotation.pdf", "application/pdf");
    story.propose(hours(5), "quotation");
    story.touch(hours(6), LI, Direction::Out, Outcome::NoReply);
    story.tick("decision_maker");
    story
}

#[test]
fn one_judgement_says_what_each_rule_says() {
    let mut without_ruling = busy();
    without_ruling.ruling = None;
    for (story, now_ms) in
        [(Story::new(), hours(1)), (busy(), hours(7)), (busy(), days(40)), (without_ruling, hours(7))]
    {
        let facts = story.at(now_ms);
        let judgement = judge(&facts);
        let apart = Judgement {
            policy: story.policies.at(now_ms).id,
            at_ms: now_ms,
            stage: stage::assess_stage(&facts).says,
            missing_for_next: stage::missing_for_next(&facts),
            responses: response::assess_response(&facts).says,
            tasks: tasks::assess_tasks(&facts).says,
            nurturing: nurturing::assess_nurturing(&facts).says,
            fields: fields::assess_fields(&facts).says,
            scores: scores::assess_scores(&facts).says,
            radar: radar::assess_radar(&facts).says,
            chain: chain::assess_chain(&facts).says,
            advancement: advancement::assess_advancement(&facts).says,
            tags: words::assess_tags(&facts).says,
            objections: words::assess_objections(&facts).says,
            loss: talk::assess_loss(&facts).says,
            next_best: talk::assess_next_best(&facts).says,
        };
        assert_eq!(judgement, apart);
    }
}

#[test]
fn stages_are_folded_once_however_many_rules_ask() {
    let story = busy();
    FOLDS.set(0);
    let judgement = judge(&story.at(hours(7)));
    assert_eq!(FOLDS.get(), 1);
    let tags = judgement.tags.so().unwrap();
    assert!(tags.contains_key("高预算"), "a formula that names the stage was judged: {tags:?}");
}

#[test]
fn what_cannot_be_said_is_told_by_its_part() {
    let mut story = busy();
    (story.ruling, story.table) = (None, None);
    let judgement = judge(&story.at(hours(7)));
    let open: Vec<_> = judgement.undetermined().into_iter().map(|(part, _)| part).collect();
    assert_eq!(open, ["responses", "health", "advancement", "loss"]);
    let Says::Undetermined(unknown) = &judgement.responses else { panic!() };
    assert_eq!(unknown.names.iter().collect::<Vec<_>>(), ["裁定"]);
}
