use super::*;
use crate::model::Todo;
use crate::rules::agenda::{ActKind, Agenda, assess_agenda};

fn agenda(story: &Story, now_ms: i64) -> Agenda {
    assess_agenda(&story.at(now_ms), LI)
}

fn acts(agenda: &Agenda) -> Vec<(ActKind, &str, i64, bool)> {
    agenda.acts.iter().map(|act| (act.kind, act.title.as_str(), act.due_ms, act.at_risk)).collect()
}

fn todo(story: &mut Story, title: &str, due: &str, done: bool) {
    let id = story.fresh();
    let todo = Todo { title: Some(title.into()), due: Some(due.into()), done: Some(done) };
    story.lead.todos.insert(id, todo);
}

#[test]
fn what_calls_for_the_owner_is_told_with_its_money() {
    let mut story = Story::new();
    story.lead.fields.budget_max_fen = Some(380_000_000);
    story.assign(hours(0), LI);
    assert_eq!(acts(&agenda(&story, hours(1))), [(ActKind::Response, "", hours(2), true)]);
    story.visit(hours(1), LI, "");
    todo(&mut story, "回访", "2026-03-03", false);
    todo(&mut story, "发手册", "1772420400000", false);
    todo(&mut story, "已办", "2026-03-03", true);
    todo(&mut story, "没有日期", "月底", false);
    let agenda = agenda(&story, hours(2));
    // 2026-03-03 ends at 24:00 in Shanghai, 39 hours after the beginning; 1772420400000 is two hours after it.
    let expected = [
        (ActKind::Todo, "发手册", hours(2), true),
        (ActKind::Task, "发送定制对比表", hours(25), true),
        (ActKind::Todo, "回访", hours(39) - 1, true),
        (ActKind::Task, "上传手术室照片", hours(49), false),
    ];
    assert_eq!(acts(&agenda), expected);
    assert_eq!(agenda.budget_fen, Some(380_000_000));
    assert_eq!(agenda.before_next_visit, ["hospital", "department", "equipment", "purchase_timing"]);
    assert!(agenda.unknown.is_empty());
}

#[test]
fn nothing_is_owed_for_a_lost_lead_and_no_money_hangs_on_a_won_one() {
    let mut story = Story::new();
    story.lead.fields.budget_max_fen = Some(380_000_000);
    story.visit(hours(1), LI, "");
    for row in ["decision_maker", "budget_approval"] {
        story.tick(row);
    }
    story.evidence(hours(2), "合同.jpg", "image/jpeg");
    story.propose(hours(3), "contract");
    let won = agenda(&story, hours(4));
    assert_eq!((won.budget_fen, won.acts.len()), (None, 1), "{won:?}");
    story.propose(hours(5), "lost");
    assert_eq!(agenda(&story, hours(6)).acts, []);
}

#[test]
fn what_an_earlier_owner_owed_and_what_others_do_is_not_on_it() {
    let mut story = Story::new();
    story.assign(hours(0), HAN);
    story.assign(hours(5), LI);
    let owed = |user| {
        let agenda = assess_agenda(&story.at(hours(6)), user);
        agenda.acts.into_iter().map(|act| act.due_ms).collect::<Vec<_>>()
    };
    assert_eq!((owed(LI), owed(HAN)), (vec![hours(7)], vec![]));
    // Three calls without reply: the third step of the package is customer service's.
    for hour in [6, 7, 8] {
        story.touch(hours(hour), LI, Direction::Out, Outcome::NoReply);
    }
    let nurtured = agenda(&story, hours(9));
    let steps = nurtured.acts.iter().filter(|act| act.kind == ActKind::Step);
    assert_eq!(steps.map(|act| act.rule.as_str()).collect::<Vec<_>>(), ["0", "1"]);
}

#[test]
fn a_row_is_read_as_it_was_written_and_names_what_it_lacks() {
    let mut story = Story::new();
    story.visit(hours(1), LI, "");
    story.ruling = None;
    let agenda = agenda(&story, hours(2));
    assert_eq!(agenda.unknown.iter().collect::<Vec<_>>(), ["裁定"]);
    assert_eq!(agenda.acts.len(), 2, "what can be said is said");
    let bytes = crate::cbor::encode(&agenda);
    assert_eq!(minicbor::decode::<Agenda>(&bytes).unwrap(), agenda);
}
