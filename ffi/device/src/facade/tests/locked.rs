//! Too long without contact: nobody reads, nothing is lost, and no hand on the clock opens it.

use super::{DAY_MS, NOON_MS, Phone};
use crate::Error;
use crate::records::LeadQuery;

const LATE_MS: i64 = NOON_MS + 15 * DAY_MS;

fn is_locked(phone: &Phone) -> bool {
    let answers = [
        phone.book().leads(&LeadQuery::default()).map(drop),
        phone.book().today().map(drop),
        phone.book().home().map(drop),
        phone.book().board().map(drop),
        phone.book().calendar("2026-03").map(drop),
        phone.book().all_conflicts().map(drop),
        phone.book().kept().map(drop),
    ];
    let locked = answers.iter().filter(|answer| matches!(answer, Err(Error::Locked { .. }))).count();
    assert!([0, answers.len()].contains(&locked), "{answers:?}");
    assert_eq!(phone.book().status().unwrap().locked, locked > 0);
    locked > 0
}

#[test]
fn reads_lock_and_work_goes_on() {
    let phone = Phone::new(1, 1);
    let lead = phone.lead("瑞金医院");
    phone.wait(14 * DAY_MS - 1);
    assert!(!is_locked(&phone));
    phone.wait(1);
    assert!(is_locked(&phone));
    assert!(matches!(phone.book().lead(lead), Err(Error::Locked { days: 14 })));
    assert!(matches!(phone.book().conflicts(lead), Err(Error::Locked { days: 14 })));

    phone.book().tick(lead, "decision_maker", true).unwrap();
    phone.book().add_todo(lead, "回访", None).unwrap();
    assert_eq!(phone.book().status().unwrap().unanswered, 3, "the outbox is kept and grows");
    phone.contact(NOON_MS + 14 * DAY_MS);
    assert!(!is_locked(&phone));
    assert_eq!(phone.book().lead(lead).unwrap().row.index, 33);
}

#[test]
fn setting_the_date_back_does_not_unlock() {
    for (what, wall_ms) in
        [("a day after the contact", NOON_MS + DAY_MS), ("before the contact", 0), ("right", LATE_MS)]
    {
        let mut phone = Phone::new(1, 1);
        phone.lead("瑞金医院");
        phone.wait(15 * DAY_MS);
        assert!(is_locked(&phone));
        phone.restart(wall_ms);
        assert!(is_locked(&phone), "{what}");
        phone.contact(LATE_MS);
        assert!(!is_locked(&phone), "{what}");
    }
}

#[test]
fn time_in_use_counts_whatever_date_each_start_shows() {
    let mut phone = Phone::new(1, 1);
    phone.lead("瑞金医院");
    for day in 0..14 {
        assert!(!is_locked(&phone), "day {day}");
        phone.wait(DAY_MS);
        phone.book().status().unwrap();
        phone.restart(NOON_MS);
    }
    assert!(is_locked(&phone));
}

#[test]
fn a_date_that_was_once_far_ahead_locks_until_the_next_contact_only() {
    let mut phone = Phone::new(1, 1);
    phone.restart(NOON_MS + 4_000 * DAY_MS);
    assert!(is_locked(&phone));
    phone.restart(NOON_MS + DAY_MS);
    assert!(is_locked(&phone));
    phone.contact(NOON_MS + DAY_MS);
    assert!(!is_locked(&phone));
    phone.restart(NOON_MS + 2 * DAY_MS);
    assert!(!is_locked(&phone));
}
