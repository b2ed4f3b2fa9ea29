use super::*;
use crate::policy::Who;
use crate::rules::tasks::{Task, TaskState, assess_tasks, blocks};

const PAGE: &str = include_str!("../../../../docs/rules/tasks.md");

fn tasks(story: &Story, now_ms: i64) -> Vec<Task> {
    assess_tasks(&story.at(now_ms)).says.so().unwrap().clone()
}

fn task(story: &Story, rule: &str, now_ms: i64) -> Task {
    tasks(story, now_ms)
        .into_iter()
        .find(|task| task.rule == rule)
        .unwrap_or_else(|| panic!("no task {rule}"))
}

#[test]
fn the_page_tells_what_is_so() {
    let rows = super::table(PAGE, "| Added | Sent |");
    assert_eq!(rows.len(), 4);
    for row in rows {
        let [added, sent, judged, expected] = row[..] else { panic!("{row:?}") };
        let hour = |text: &str| text.trim_end_matches(" h").parse::<i64>().map(hours);
        let mut story = Story::new();
        story.signal(hour(added).unwrap(), "wechat_added", "", None);
        if let Ok(at_ms) = hour(sent) {
            story.touch(at_ms, LI, Direction::Out, Outcome::Reached);
        }
        let said = match task(&story, "brochure", hour(judged).unwrap()).state {
            TaskState::Ahead => "未到",
            TaskState::Open => "待办",
            TaskState::Overdue => "超时",
            TaskState::Done { in_time: true, .. } => "按时",
            TaskState::Done { in_time: false, .. } => "迟到",
        };
        assert_eq!(said, expected, "{row:?}");
    }
}

#[test]
fn a_task_is_named_by_its_rule_and_what_opened_it() {
    let mut story = Story::new();
    let first = story.signal(hours(0), "wechat_added", "", None);
    let second = story.signal(hours(30), "wechat_added", "", None);
    let named: Vec<_> = tasks(&story, hours(31)).into_iter().map(|task| (task.rule, task.epoch)).collect();
    assert_eq!(named, [("brochure".into(), first), ("brochure".into(), second)]);
    story.lead.events.reverse();
    let again: Vec<_> = tasks(&story, hours(31)).into_iter().map(|task| (task.rule, task.epoch)).collect();
    assert_eq!(named, again);
}

/// C24: photos that were taken in time and attached late were there in time.
#[test]
fn what_was_done_in_time_and_heard_of_late_was_in_time() {
    let mut story = Story::new();
    story.visit(hours(0), LI, "");
    assert_eq!(task(&story, "operating_room", hours(49)).state, TaskState::Overdue);
    story.evidence(hours(60), "手术室.jpg", "image/jpeg");
    story.lead.evidence[0].evidence.captured_at_ms = hours(40);
    let state = task(&story, "operating_room", hours(61)).state;
    assert!(matches!(state, TaskState::Done { in_time: true, .. }), "{state:?}");
    // A photo from before the visit shows another visit.
    story.lead.evidence[0].evidence.captured_at_ms = hours(-1);
    assert_eq!(task(&story, "operating_room", hours(61)).state, TaskState::Overdue);
}

/// C27: with the customer's own words, for delivery, and the lead does not advance.
#[test]
fn the_quotation_opens_a_task_of_delivery() {
    let mut story = Story::new();
    story.lead.fields.budget_max_fen = Some(100_000_000);
    story.visit(hours(1), LI, "");
    story.evidence(hours(4), "Quotation.pdf", "application/pdf");
    story.touch(hours(5), LI, Direction::In, Outcome::Reached);
    let proposal =
        StageProposal { to: "quotation".into(), note: "要加长导管".into(), ..StageProposal::default() };
    let epoch = story.event(hours(6), LI, Event::StageProposal(proposal));
    let open = task(&story, "custom_work", hours(7));
    assert_eq!((open.epoch, open.who, open.copy_to), (epoch, Who::Delivery, Some(Who::Owner)));
    assert_eq!(open.title, "48小时内确认是否需要定制：要加长导管");
    assert!(blocks(&tasks(&story, hours(7))));
    story.signal(hours(8), "delivery_confirmed", "", None);
    assert!(!blocks(&tasks(&story, hours(9))));
}

/// C26: from day 7 to day 14 after the trial.
#[test]
fn a_golden_window_opens_and_closes() {
    let mut story = Story::new();
    let golden = r#"[[tasks]]
id = "golden"
title = "回访"
after = { signal = "trial_request" }
from_hours = 168
within_hours = 336
done_by = ["touch_out"]

[[tasks]]
id = "brochure""#;
    story.policy_from(days(-1), "[[tasks]]\nid = \"brochure\"", golden);
    story.signal(days(0), "trial_request", "", None);
    story.touch(days(2), LI, Direction::Out, Outcome::Reached);
    let state = |day| task(&story, "golden", days(day)).state;
    assert_eq!(
        [state(6), state(7), state(14), state(15)],
        [TaskState::Ahead, TaskState::Open, TaskState::Open, TaskState::Overdue]
    );
}

#[test]
fn a_rule_that_comes_later_does_not_look_back() {
    let mut story = Story::new();
    story.signal(hours(0), "complaint", "", None);
    let rule = "[[tasks]]\nid = \"appease\"\ntitle = \"回电\"\nafter = { signal = \"complaint\" }\nwithin_hours = 2\ndone_by = [\"touch_out\"]\n\n[[tasks]]\nid = \"brochure\"";
    let version = story.policy_from(hours(5), "[[tasks]]\nid = \"brochure\"", rule);
    let epoch = story.signal(hours(6), "complaint", "", None);
    let opened: Vec<_> = tasks(&story, hours(9)).into_iter().map(|task| (task.epoch, task.policy)).collect();
    assert_eq!(opened, [(epoch, version)]);
}
