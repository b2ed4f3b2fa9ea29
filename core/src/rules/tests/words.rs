use super::*;
use crate::model::Tag;
use crate::rules::words::{TagReason, assess_objections, assess_tags, suggest_state};

const PAGE: &str = include_str!("../../../../docs/rules/words.md");

#[test]
fn the_page_tells_what_is_so() {
    let rows = super::table(PAGE, "| Said |");
    assert_eq!(rows.len(), 4);
    for row in rows {
        let [said, state, tags] = row[..] else { panic!("{row:?}") };
        let mut story = Story::new();
        story.visit(hours(1), LI, said);
        let policy = story.policies.at(0).policy.clone().unwrap();
        assert_eq!(suggest_state(&policy, said).map_or("—", |(state, _)| state), state, "{row:?}");
        let has = assess_tags(&story.at(hours(2)))
            .says
            .so()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join("、");
        assert_eq!(if has.is_empty() { "—" } else { &has }, tags, "{row:?}");
    }
}

/// C45.
#[test]
fn a_tag_by_rule_comes_and_goes_with_the_facts() {
    let mut story = Story::new();
    story.signal(hours(1), "page_dwell", "脊柱内固定", Some(121));
    let has =
        |story: &Story| assess_tags(&story.at(hours(9))).says.so().unwrap().contains_key("高潜力-集采敏感型");
    assert!(!has(&story));
    story.signal(hours(2), "download", "《2025骨科集采应对指南》", None);
    assert!(has(&story));
    story.lead.events[0].event = Event::Signal(Signal {
        kind: "page_dwell".into(),
        about: "脊柱内固定".into(),
        amount: Some(120),
        ..Signal::default()
    });
    assert!(!has(&story));
}

/// C47.
#[test]
fn a_tag_by_hand_goes_stale() {
    let mut story = Story::new();
    story.lead.tags.insert("急".into(), Tag { expires_ms: Some(days(3)) });
    let has = |now_ms| assess_tags(&story.at(now_ms)).says.so().unwrap().get("急").cloned();
    assert_eq!(has(days(2)), Some(vec![TagReason::Hand(Some(days(3)))]));
    assert_eq!(has(days(3)), None);
}

/// C29, in any order of arrival.
#[test]
fn two_objections_in_thirty_days_call_the_director_once() {
    let mut story = Story::new();
    let first = story.visit(days(1), LI, "客户说太贵");
    let alarm = |story: &Story| assess_objections(&story.at(days(90))).says.so().unwrap().clone();
    assert_eq!(alarm(&story), None);
    story.visit(days(40), LI, "还是太贵");
    assert_eq!(alarm(&story), None, "39 days apart");
    // Another phone comes back with what it heard between.
    let between = story.visit(days(20), HAN, "别家给更长账期");
    let told = alarm(&story).unwrap();
    assert_eq!((told.epoch, told.objections), (between, vec![first, between]));
    story.lead.events.reverse();
    assert_eq!(alarm(&story).unwrap().epoch, between);
    story.propose(days(50), "lost");
    assert_eq!(alarm(&story), None, "it is over");
}
