use super::*;
use crate::rules::talk::*;

const PAGE: &str = include_str!("../../../../docs/rules/talk.md");

#[test]
fn the_page_tells_what_is_so() {
    let rows = super::table(PAGE, "| Purpose |");
    assert_eq!(rows.len(), 5);
    let policy = crate::policy::Pack::Medical.policy().unwrap();
    for row in rows {
        assert_eq!(is_vague(&policy, row[0]), row[1] == "yes", "{row:?}");
    }
    assert!(is_vague(&policy, " "));
}

/// C31: no typing.
#[test]
fn the_end_of_a_talk_proposes_what_comes_next() {
    let story = Story::new();
    let plan =
        plan_end_of_talk(&story.at(hours(1)), "客户说再考虑考虑，上次报价太贵").says.so().unwrap().clone();
    assert_eq!(plan.next_contact.to_string(), "2026-03-05");
    assert_eq!(plan.state, Some(("异议处理中".into(), "再考虑".into())));
    assert_eq!(plan.talk_packs, ["price-objection"]);
    // In Shanghai it is the next day already.
    let late = plan_end_of_talk(&story.at(hours(15)), "").says.so().unwrap().clone();
    assert_eq!((late.next_contact.to_string().as_str(), late.state), ("2026-03-06", None));
}

/// C36.
#[test]
fn a_state_changes_by_hand_only_where_there_was_a_talk() {
    let mut story = Story::new();
    let judged = |story: &Story| assess_state_change(&story.at(hours(9))).says.so().unwrap().clone();
    story.touch(hours(1), LI, Direction::Out, Outcome::NoReply);
    story.signal(hours(2), "download", "指南", None);
    assert_eq!(judged(&story), StateChange::Refused);
    let visit = story.visit(hours(3), LI, "王主任要看参数。约了周五");
    assert_eq!(judged(&story), StateChange::Shown(visit, "王主任要看参数".into()));
    let chat = story.signal(hours(2), "chat", "", None);
    assert_eq!(judged(&story), StateChange::Shown(chat, String::new()));
}

/// C39: the pair says 82 per cent, one of them nothing.
#[test]
fn two_ticks_predict_a_loss() {
    let mut story = Story::new();
    let judged = |story: &Story| assess_loss(&story.at(hours(9))).says.so().unwrap().clone();
    let tick = |story: &mut Story, id: &str| {
        let row = crate::model::AdvancementRow {
            id: loss_key(id),
            question: String::new(),
            confirmed: true,
            answer: String::new(),
            conflict: false,
        };
        story.table.as_mut().unwrap().rows.push(row);
    };
    tick(&mut story, "clearance");
    assert_eq!((judged(&story).risk_bp, judged(&story).talk_pack), (None, None));
    tick(&mut story, "below_floor");
    assert_eq!(
        (judged(&story).risk_bp, judged(&story).talk_pack.as_deref()),
        (Some(8_200), Some("delivery"))
    );
}

/// C48.
#[test]
fn an_event_brings_up_what_is_best_done_next() {
    let mut story = Story::new();
    story.signal(days(1), "spd_launch", "", None);
    let judged = |day| assess_next_best(&story.at(days(day))).says.so().unwrap().clone();
    assert_eq!(judged(2).iter().map(|next| next.material.as_str()).collect::<Vec<_>>(), ["spd"]);
    assert_eq!(judged(32), []);
}
