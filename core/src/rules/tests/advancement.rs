use super::*;
use crate::rules::advancement::assess_advancement;

const PAGE: &str = include_str!("../../../../docs/rules/advancement.md");

fn index(story: &Story) -> i64 {
    assess_advancement(&story.at(hours(9))).says.so().unwrap().index
}

#[test]
fn the_page_tells_what_is_so() {
    let rows = super::table(PAGE, "| Confirmed |");
    assert_eq!(rows.len(), 4);
    for row in rows {
        let mut story = Story::new();
        let ids = ["decision_maker", "budget_approval", "next_meeting"];
        for id in ids.into_iter().filter(|id| row[0].contains(id)) {
            story.tick(id);
        }
        assert_eq!(index(&story).to_string(), row[1], "{row:?}");
    }
}

#[test]
fn a_row_about_which_two_people_differ_is_open() {
    let mut story = Story::new();
    story.tick("decision_maker");
    story.table.as_mut().unwrap().rows[0].conflict = true;
    assert_eq!(index(&story), 0);
    story.table = None;
    assert!(assess_advancement(&story.at(hours(9))).says.so().is_none());
}

/// C56: other questions, other weights.
#[test]
fn the_policy_asks_and_weighs() {
    let mut story = Story::new();
    story.tick("next_meeting");
    story.policy_from(
        hours(1),
        r#"{ id = "next_meeting", text = "下次关键会议时间", weight = 1 }"#,
        r#"{ id = "rivals", text = "还有哪些供应商在比选", weight = 2 }"#,
    );
    assert_eq!(index(&story), 0);
    let says = assess_advancement(&story.at(hours(9))).says;
    let rows: Vec<_> = says.so().unwrap().rows.iter().map(|row| (row.id.as_str(), row.confirmed)).collect();
    assert_eq!(
        rows,
        [("decision_maker", false), ("budget_approval", false), ("rivals", false), ("next_meeting", true)]
    );
    story.tick("budget_approval");
    assert_eq!(index(&story), 25);
}
