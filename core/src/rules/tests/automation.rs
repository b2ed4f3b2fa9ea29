//! C22 told to its end, for each outcome of O3, and what else the server does by itself.

use super::*;
use crate::model::{Cured, Firing};
use crate::policy::Who;
use crate::rules::assignment::Candidate;
use crate::rules::automation::{Act, Automation, firing_id, plan_automation};
use crate::rules::results::Results;

const PAGE: &str = include_str!("../../../../docs/rules/automation.md");

fn candidates() -> Vec<Candidate> {
    [LI, HAN]
        .map(|user| Candidate {
            user,
            team: None,
            team_names: vec![],
            leads: false,
            leads_company: false,
            results: Results { open_leads: u32::from(user == HAN), ..Results::default() },
        })
        .into()
}

/// Does what is planned, as the server does, until there is nothing left to do. Gives what was done, in words.
fn run(story: &mut Story, now_ms: i64) -> Vec<String> {
    let mut done = Vec::new();
    for _ in 0..9 {
        let Automation { acts, .. } = plan_automation(&story.at(now_ms), &candidates()).unwrap();
        if acts.is_empty() {
            return done;
        }
        for act in acts {
            done.push(word(&act));
            apply(story, now_ms, act);
        }
    }
    panic!("it does not come to an end: {done:?}");
}

fn word(act: &Act) -> String {
    match act {
        Act::Fire(_, firing, _) => format!("fire {}", firing.rule),
        Act::Cure(..) => "cure".into(),
        Act::Assign { to, .. } => format!("assign {}", if *to == LI { "李" } else { "韩" }),
        Act::Join(_, user, _) => format!("join {}", if *user == LI { "李" } else { "韩" }),
        Act::Confirm(stage) => format!("stage {stage}"),
        Act::Receive(..) => "received".into(),
        Act::Verify(..) => "verified".into(),
        Act::Link(_) => "link".into(),
    }
}

fn apply(story: &mut Story, now_ms: i64, act: Act) {
    let record = |story: &mut Story, id: EntryId, decision: Decision| {
        let ruling = story.ruling.as_mut().unwrap();
        ruling.decisions.push(LoggedDecision { id, at_ms: now_ms, decision });
    };
    match act {
        Act::Fire(id, firing, _) => record(story, id, Decision::Fire(firing)),
        Act::Cure(id, cured) => record(story, id, Decision::Cure(cured)),
        Act::Assign { to, .. } => {
            story.assign(now_ms, to);
        }
        Act::Join(id, user, epoch) => {
            story.ruling.as_mut().unwrap().joint_owners.insert(user);
            record(story, id, Decision::Join { user, epoch });
        }
        Act::Confirm(stage) => story.ruling.as_mut().unwrap().fields.stage = Some(stage),
        Act::Receive(id, entry) => record(story, id, Decision::Received { entry }),
        Act::Link(other) => story.ruling.as_mut().unwrap().fields.same_as = Some(other),
        Act::Verify(id, hash) => record(story, id, Decision::Verified { hash }),
    }
}

/// The golden scenarios of C22: contact at 1 h, escalation at 2 h, sync at 9 h.
#[test]
fn the_page_tells_what_is_so() {
    let rows = super::table(PAGE, "| Then | Moved | New owner |");
    assert_eq!(rows.len(), 4);
    for row in rows {
        let [then, moved, acted, at_two, at_nine] = row[..] else { panic!("{row:?}") };
        let mut story = Story::new();
        if then == "reassign" {
            story.policy_from(hours(-1), "then = \"escalate\"", "then = \"reassign\"");
        }
        assert_eq!(run(&mut story, hours(0)), ["assign 李"]);
        let mut done = run(&mut story, hours(2) + 1);
        if moved == "by hand" {
            story.assign(hours(3), HAN);
            done.push("assign 韩".into());
        }
        assert_eq!(done.join(", "), at_two, "{row:?}");
        if acted == "acts at 4 h" {
            story.touch(hours(4), HAN, Direction::Out, Outcome::Reached);
        }
        run(&mut story, hours(8));
        let before = story.ruling.as_ref().unwrap().decisions.clone();
        // The phone comes back.
        story.touch(hours(1), LI, Direction::Out, Outcome::Reached);
        assert_eq!(run(&mut story, hours(9)).join(", "), at_nine, "{row:?}");
        let after = &story.ruling.as_ref().unwrap().decisions;
        assert_eq!(after[..before.len()], before, "what was decided stands");
    }
}

#[test]
fn a_firing_is_explained_and_so_is_its_cure() {
    let mut story = Story::new();
    let epoch = story.assign(hours(0), LI);
    run(&mut story, hours(3));
    let id = firing_id(DocId([7; 16]), "response", epoch);
    let recorded = |story: &Story, id: EntryId| {
        let decisions = &story.ruling.as_ref().unwrap().decisions;
        decisions.iter().find(|decided| decided.id == id).map(|decided| decided.decision.clone())
    };
    let firing = Firing {
        rule: "response".into(),
        epoch,
        policy: EntryId([0; 16]),
        why: "分配后未按时响应".into(),
        tell: vec![Who::Supervisor],
    };
    assert_eq!(recorded(&story, id), Some(Decision::Fire(firing)));
    let touch = story.touch(hours(1), LI, Direction::Out, Outcome::NoReply);
    run(&mut story, hours(9));
    let cured = Cured { firing: id, by: Some(touch), why: "迟到的记录表明已按时响应".into() };
    let cure = firing_id(DocId([7; 16]), "cure", id);
    assert_eq!(recorded(&story, cure), Some(Decision::Cure(cured)));
}

#[test]
fn it_looks_again_when_something_comes_due_and_not_before() {
    let mut story = Story::new();
    let next = |story: &Story, now_ms| plan_automation(&story.at(now_ms), &[]).unwrap().next_ms;
    assert_eq!(
        next(&story, hours(1)),
        Some(hours(2)),
        "nobody is there to give it to, and somebody may be hired"
    );
    assert_eq!(next(&story, hours(47) + 60_000), Some(hours(48)));
    story.assign(hours(0), LI);
    assert_eq!(next(&story, hours(1)), Some(hours(2) + 1));
    assert_eq!(next(&story, hours(3)), None);
    story.touch(hours(1), LI, Direction::Out, Outcome::Reached);
    assert_eq!(next(&story, hours(3)), Some(hours(25) + 1), "the comparison is due");
    // Nothing is done about a deleted lead.
    story.lead.fields.deleted = Some(true);
    assert_eq!(plan_automation(&story.at(hours(99)), &candidates()).unwrap(), Automation::default());
}

/// C34: what had left the company stays in the log, and what had not is not sent.
#[test]
fn a_late_success_cancels_what_was_not_sent_and_cures_what_was() {
    let mut story = Story::new();
    story.assign(days(-1), LI);
    for day in 0..3 {
        story.touch(days(day), LI, Direction::Out, Outcome::NoReply);
    }
    run(&mut story, days(2));
    let fired = |story: &mut Story, day| {
        let done = run(story, days(day)).into_iter();
        done.filter(|word| word.contains("nurturing") || word == "cure").collect::<Vec<_>>()
    };
    assert_eq!(fired(&mut story, 4), ["fire nurturing/0"]);
    // Somebody had been reached on the second day, and it was heard of on the fifth.
    story.touch(days(2) + 1, HAN, Direction::In, Outcome::Reached);
    assert_eq!(fired(&mut story, 12), ["cure"]);
}

/// Nobody knows the budget: the task that asks for it is not opened, and everything else goes on.
#[test]
fn a_condition_that_cannot_be_judged_keeps_nothing_else_waiting() {
    let rule = "[[tasks]]\nid = \"large\"\ntitle = \"回电\"\nafter = \"assigned\"\nwhen = '预算万元>50'\nwithin_hours = 1\ndone_by = [\"touch_out\"]\n\n[[tasks]]\nid = \"brochure\"";
    let mut story = Story::new();
    story.policy_from(hours(-1), "[[tasks]]\nid = \"brochure\"", rule);
    story.assign(hours(0), LI);
    assert_eq!(run(&mut story, hours(3)), ["fire response"]);
    story.lead.fields.budget_max_fen = Some(60_000_000);
    assert_eq!(run(&mut story, hours(3)), ["fire task/large"]);
}

/// What was cured and has its reason again fires anew: the simulation of offline truth found this one.
#[test]
fn a_firing_that_was_cured_too_early_fires_again() {
    let mut story = Story::new();
    story.assign(days(-1), LI);
    for day in [0, 3, 4] {
        story.touch(days(day), LI, Direction::Out, Outcome::NoReply);
    }
    let nurtured = |story: &mut Story, day| {
        let done = run(story, days(day)).into_iter();
        done.filter(|word| word.contains("nurturing") || word == "cure").collect::<Vec<_>>()
    };
    assert_eq!(nurtured(&mut story, 6), ["fire nurturing/0"]);
    // Somebody was reached between the first and the second: only two in a row are left.
    story.touch(days(1), HAN, Direction::In, Outcome::Reached);
    assert_eq!(nurtured(&mut story, 6), ["cure"]);
    // And a call of that time that was heard of last makes three of them again.
    story.touch(days(2), HAN, Direction::Out, Outcome::NoReply);
    assert_eq!(nurtured(&mut story, 6), ["fire nurturing/0"]);
    assert_eq!(nurtured(&mut story, 6), Vec::<String>::new());
}

/// C29, C28, O4.
#[test]
fn objections_stages_and_approvals_are_recorded_once() {
    let mut story = Story::new();
    story.assign(hours(0), LI);
    story.visit(hours(1), LI, "客户说太贵");
    story.visit(hours(2), LI, "别家给更长账期");
    story.propose(hours(3), "screening");
    let done = run(&mut story, hours(4));
    assert!(
        done.contains(&"fire objections".to_owned()) && done.contains(&"stage screening".to_owned()),
        "{done:?}"
    );
    assert_eq!(run(&mut story, hours(5)), Vec::<String>::new());
    let needs = "needs = [\n  { name = \"主管审批\", approval = { within_hours = 72 } },";
    story.policy_from(hours(6), "needs = [\n  { name = \"一次拜访或线上会议\", meeting = {} },", needs);
    story.propose(hours(7), "solution");
    assert_eq!(run(&mut story, hours(8)), ["received"]);
    assert_eq!(run(&mut story, hours(9)), Vec::<String>::new());
}
