use super::*;
use crate::policy::Overdue;
use crate::rules::response::{ResponseState, Responses, assess_response};

const PAGE: &str = include_str!("../../../../docs/rules/response.md");

fn responses(story: &Story, now_ms: i64) -> Responses {
    assess_response(&story.at(now_ms)).says.so().unwrap().clone()
}

/// In one word, as the page has it.
fn word(state: &ResponseState) -> &'static str {
    match state {
        ResponseState::Met(_) => "按时",
        ResponseState::Late(_) => "迟到",
        ResponseState::Open => "待响应",
        ResponseState::Overdue(_) => "超时",
        ResponseState::Moved => "已转出",
    }
}

#[test]
fn the_page_tells_what_is_so() {
    let rows = super::table(PAGE, "| Assigned | Contact |");
    assert_eq!(rows.len(), 6);
    for row in rows {
        let [assigned, contact, judged, expected] = row[..] else { panic!("{row:?}") };
        let hour = |text: &str| text.trim_end_matches(" h").parse::<i64>().map(hours);
        let mut story = Story::new();
        for (at, who) in assigned.split(", ").zip([LI, HAN]) {
            story.assign(hour(at).unwrap(), who);
        }
        if let Ok(at_ms) = hour(contact) {
            story.touch(at_ms, LI, Direction::Out, Outcome::Reached);
        }
        let said: Vec<_> =
            responses(&story, hour(judged).unwrap()).deadlines.iter().map(|d| word(&d.state)).collect();
        assert_eq!(said.join(", "), expected, "{row:?}");
    }
}

#[test]
fn late_proof_cures_a_breach() {
    let mut story = Story::new();
    let epoch = story.assign(hours(0), LI);
    let at = |story: &Story, hour| responses(story, hours(hour)).deadlines[0].clone();
    assert_eq!((at(&story, 2).state, at(&story, 2).epoch), (ResponseState::Open, epoch));
    assert_eq!(at(&story, 3).state, ResponseState::Overdue(Overdue::Escalate));
    // The phone comes back at nine hours with what was done at one.
    let touch = story.touch(hours(1), LI, Direction::Out, Outcome::NoReply);
    let ResponseState::Met(answer) = at(&story, 9).state else { panic!("{:?}", at(&story, 9)) };
    assert_eq!((answer.entry, answer.at_ms, answer.doubtful), (touch, hours(1), false));
    // A clock that nothing pins is told of.
    story.lead.events[0].at.doubt_ms = i64::MAX;
    assert!(matches!(at(&story, 9).state, ResponseState::Met(answer) if answer.doubtful));
}

#[test]
fn the_order_of_arrival_decides_nothing() {
    let mut story = Story::new();
    story.assign(hours(0), LI);
    story.touch(hours(5), LI, Direction::Out, Outcome::Reached);
    story.touch(hours(1), LI, Direction::Out, Outcome::NoReply);
    story.touch(hours(1), HAN, Direction::Out, Outcome::NoReply);
    let one = responses(&story, hours(9));
    story.lead.events.reverse();
    assert_eq!(responses(&story, hours(9)), one);
}

#[test]
fn the_deadline_is_the_one_of_the_policy_in_force_when_it_was_opened() {
    let mut story = Story::new();
    story.assign(hours(0), LI);
    let stricter = story.policy_from(hours(1), "within_minutes = 120", "within_minutes = 30");
    story.assign(hours(4), HAN);
    let deadlines = responses(&story, hours(5)).deadlines;
    assert_eq!(deadlines.iter().map(|d| d.due_ms - d.from_ms).collect::<Vec<_>>(), [7_200_000, 1_800_000]);
    assert_eq!(deadlines.iter().map(|d| d.policy).collect::<Vec<_>>(), [EntryId([0; 16]), stricter]);
    let read = story.policy_from(hours(6), r#"counts = "contact""#, r#"counts = "read""#);
    story.assign(hours(7), LI);
    story.event(hours(8), HAN, Event::Read {});
    assert_eq!(responses(&story, hours(8)).deadlines[2].state, ResponseState::Open, "it is not his");
    story.event(hours(8), LI, Event::Read {});
    let last = responses(&story, hours(8)).deadlines[2].clone();
    assert!(matches!(last.state, ResponseState::Met(_)) && last.policy == read, "{last:?}");
}

#[test]
fn a_lead_that_nobody_owns_is_lost_after_two_days() {
    let mut story = Story::new();
    assert_eq!(responses(&story, hours(47)).lost_after_hours, None);
    assert_eq!(responses(&story, hours(48)).lost_after_hours, Some(48));
    story.assign(hours(50), LI);
    assert_eq!(responses(&story, hours(51)).lost_after_hours, None);
    // Without a ruling nothing can be said, and least of all that it is lost.
    story.ruling = None;
    assert!(assess_response(&story.at(hours(99))).says.so().is_none());
}

/// C18: a mark is owed by whom the lead is with now, once, and not where a contact shows more.
#[test]
fn a_read_mark_is_owed_once_for_each_assignment() {
    use crate::rules::response::owes_read_mark;
    let owes = |story: &Story, user, hour| owes_read_mark(&story.at(hours(hour)), user).unwrap();
    let mut story = Story::new();
    assert!(!owes(&story, LI, 1), "nobody was assigned");
    story.assign(hours(0), LI);
    assert!(owes(&story, LI, 1) && !owes(&story, HAN, 1));
    story.event(hours(1), LI, Event::Read {});
    assert!(!owes(&story, LI, 2));
    story.assign(hours(3), HAN);
    story.event(hours(4), LI, Event::Read {});
    assert!(owes(&story, HAN, 5), "a colleague's look is none of the owner's");
    story.touch(hours(5), LI, Direction::Out, Outcome::NoReply);
    assert!(!owes(&story, HAN, 6));
    story.ruling = None;
    assert!(owes_read_mark(&story.at(hours(6)), HAN).is_err());
}
