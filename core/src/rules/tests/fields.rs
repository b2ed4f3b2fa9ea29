use super::*;
use crate::rules::fields::{Fields, assess_fields};

const PAGE: &str = include_str!("../../../../docs/rules/fields.md");

fn fields(story: &Story, now_ms: i64) -> Fields {
    assess_fields(&story.at(now_ms)).says.so().unwrap().clone()
}

fn story() -> Story {
    let mut story = Story::new();
    let fields = &mut story.lead.fields;
    fields.customer_name = Some("市一院".into());
    fields.contact_phone = Some("1".into());
    fields.need = Some("采购".into());
    story
}

#[test]
fn the_page_tells_what_is_so() {
    let rows = super::table(PAGE, "| Filled in besides |");
    assert_eq!(rows.len(), 3);
    for row in rows {
        let [besides, of_scene, before, complete] = row[..] else { panic!("{row:?}") };
        let mut story = story();
        let lead = &mut story.lead.fields;
        lead.budget_min_fen = besides.contains("budget").then_some(1);
        lead.equipment = besides.contains("equipment").then(|| "CT".into());
        lead.purchase_timing = besides.contains("待定").then(|| "待定".into());
        let said = fields(&story, hours(1));
        assert_eq!(said.scene.as_deref(), Some("采购"));
        assert_eq!(
            (said.missing_of_scene.join(", "), said.before_next_visit.join(", ")),
            (of_scene.into(), before.into())
        );
        assert_eq!((said.complete_bp.to_string().as_str(), said.missing.len()), (complete, 0), "{row:?}");
    }
}

#[test]
fn two_phones_that_begin_a_week_mean_the_same_question() {
    let mut story = story();
    let keys = |story: &Story, now_ms| {
        fields(story, now_ms).questions.into_iter().map(|q| q.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(&story, hours(1)), ["2026-W10/progress", "2026-W10/approval", "2026-W10/rivals"]);
    assert_eq!(keys(&story, days(7))[0], "2026-W11/progress");
    // Monday begins in the company's zone: at 16:00 UTC of Sunday.
    assert_eq!(keys(&story, hours(-10))[0], "2026-W09/progress");
    story.lead.fields.need = Some("维保".into());
    assert_eq!(keys(&story, hours(1)), ["2026-W10/progress", "2026-W10/decider", "2026-W10/next_meeting"]);
    let row = crate::model::AdvancementRow {
        id: "2026-W10/progress".into(),
        question: String::new(),
        confirmed: false,
        answer: "已立项".into(),
        conflict: false,
    };
    story.table.as_mut().unwrap().rows.push(row);
    assert_eq!(fields(&story, hours(1)).questions[0].answer.as_deref(), Some("已立项"));
    assert_eq!(fields(&story, days(7)).questions[0].answer, None, "another week asks again");
}
