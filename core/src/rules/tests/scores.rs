use super::*;
use crate::rules::Says;
use crate::rules::scores::{Scores, assess_scores};

const PAGE: &str = include_str!("../../../../docs/rules/scores.md");

fn scores(story: &Story, now_ms: i64) -> Scores {
    assess_scores(&story.at(now_ms)).says.so().unwrap().clone()
}

fn story() -> Story {
    let mut story = Story::new();
    story.lead.fields.industry = Some("三级医院".into());
    story.signal(hours(1), "download", "", None);
    story.signal(hours(2), "download", "", None);
    story
}

#[test]
fn the_page_tells_what_is_so() {
    let rows = super::table(PAGE, "| Budget, 万元 |");
    assert_eq!(rows.len(), 3);
    for row in rows {
        let [budget, health, tier] = row[..] else { panic!("{row:?}") };
        let mut story = story();
        story.lead.fields.budget_max_fen = budget.parse::<i64>().ok().map(|wan| wan * 1_000_000);
        let said = scores(&story, hours(3));
        assert_eq!(
            (said.health.so().unwrap().to_string().as_str(), said.tier.so().unwrap().as_str()),
            (health, tier)
        );
    }
}

#[test]
fn what_is_not_known_leaves_a_score_open() {
    let mut story = story();
    story.lead.fields.industry = None;
    let Says::Undetermined(unknown) = scores(&story, hours(3)).health else { panic!() };
    assert_eq!(unknown.names.iter().collect::<Vec<_>>(), ["行业潜力值"]);
}

/// C49: the three that cost most, the most first.
#[test]
fn the_card_shows_what_cost_most() {
    let mut story = story();
    let card = scores(&story, hours(3)).card;
    let shown: Vec<_> = card.deductions.iter().map(|d| (d.name.as_str(), d.points)).collect();
    assert_eq!(shown, [("采购时间表", 30), ("白皮书访问", 25), ("预算", 25)]);
    assert_eq!((card.score, card.deductions[0].reason.as_str()), (0, "没有明确的采购时间表"));
    story.lead.fields.purchase_timing = Some("3月".into());
    story.signal(hours(1), "page_view", "CT白皮书", None);
    story.signal(hours(2), "page_view", "白皮书下载页", None);
    assert_eq!(scores(&story, hours(3)).card.score, 55);
}

/// C52: changed today, in force tomorrow, the old score with its version until then.
#[test]
fn a_coefficient_counts_from_its_moment() {
    let mut story = story();
    let raised = story.policy_from(days(1), "\"三级医院\" = 85", "\"三级医院\" = 75");
    let at = |now_ms| {
        let verdict = assess_scores(&story.at(now_ms));
        (verdict.policy, *verdict.says.so().unwrap().health.so().unwrap())
    };
    assert_eq!(at(days(1) - 1), (EntryId([0; 16]), 60));
    assert_eq!(at(days(1)), (raised, 50));
}

/// C46: the sources give no formula; the default is policy.
#[test]
fn the_depth_is_a_formula_too() {
    let mut story = story();
    story.signal(hours(1), "dean_meeting", "", None);
    story.signal(days(-91), "purchase", "", Some(1));
    assert_eq!(scores(&story, hours(3)).depth, Says::So(40));
    story.signal(days(-80), "purchase", "", Some(1));
    assert_eq!(scores(&story, hours(3)).depth, Says::So(70));
}
