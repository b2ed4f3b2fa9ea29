use super::*;
use crate::rules::nurturing::{Package, StepState, assess_nurturing};

const PAGE: &str = include_str!("../../../../docs/rules/nurturing.md");

fn packages(story: &Story, now_ms: i64) -> Vec<Package> {
    assess_nurturing(&story.at(now_ms)).says.so().unwrap().clone()
}

fn unanswered(story: &mut Story, on: &[i64]) -> EntryId {
    let entries: Vec<_> =
        on.iter().map(|day| story.touch(days(*day), LI, Direction::Out, Outcome::NoReply)).collect();
    *entries.last().unwrap()
}

#[test]
fn the_page_tells_what_is_so() {
    let rows = super::table(PAGE, "| Reached on day |");
    assert_eq!(rows.len(), 5);
    for row in rows {
        let [reached, judged, steps] = row[..] else { panic!("{row:?}") };
        let mut story = Story::new();
        unanswered(&mut story, &[0, 1, 2]);
        if let Ok(day) = reached.parse::<i64>() {
            story.touch(days(day), LI, Direction::Out, Outcome::Reached);
        }
        let packages = packages(&story, days(judged.parse().unwrap()));
        let word = |state| match state {
            StepState::Ahead => "未到",
            StepState::Due => "待办",
            StepState::Cancelled(_) => "取消",
        };
        let said: Vec<_> = packages[0].steps.iter().map(|step| word(step.state)).collect();
        assert_eq!(said.join(", "), steps, "{row:?}");
    }
}

#[test]
fn a_package_is_named_by_the_contact_that_was_one_too_many() {
    let mut story = Story::new();
    story.lead.fields.hospital = Some("市一院".into());
    let third = unanswered(&mut story, &[3, 1, 2]);
    let third = if story.lead.events[0].at.at_ms == days(3) { story.lead.events[0].id } else { third };
    unanswered(&mut story, &[5]);
    let opened = packages(&story, days(9));
    assert_eq!((opened.len(), opened[0].epoch), (1, third), "by when it happened, and only one");
    assert_eq!(opened[0].steps[0].title, "发送带市一院名称的产品视频");
    // Somebody is reached, and it begins anew.
    story.touch(days(10), LI, Direction::In, Outcome::Reached);
    unanswered(&mut story, &[11, 12, 13]);
    assert_eq!(packages(&story, days(20)).len(), 2);
    // A reached customer between the contacts, heard of late, takes the first package back.
    story.touch(days(2) + 1, HAN, Direction::In, Outcome::Reached);
    assert_eq!(packages(&story, days(20)).len(), 1);
}
