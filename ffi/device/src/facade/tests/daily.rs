//! A rep's day without a server: what happened, the calendar, evidence, and the store itself.

use fieldbook_core::ids::DocKind;
use fieldbook_core::model::{
    CalendarEntry, Direction, Importance, NewLead, Outcome, StageProposal, Todo, Touch, TouchChannel,
    Urgency, Visit,
};
use fieldbook_core::replica::DocEdits;

use super::{DAY_MS, NOON_MS, Phone};
use crate::Error;
use crate::records::{Attachment, EvidencePlace, Happening, LeadQuery};

fn block(day: &str, importance: &str) -> CalendarEntry {
    CalendarEntry {
        day: Some(day.into()),
        purpose: Some("确认场地".into()),
        importance: Some(importance.into()),
        ..CalendarEntry::default()
    }
}

#[test]
fn a_timeline_is_written_and_taken_back() {
    let phone = Phone::new(1, 1);
    let (lead, book) = (phone.lead("齐鲁医院"), phone.book());
    let touch = Touch {
        channel: TouchChannel::Phone,
        direction: Direction::Out,
        outcome: Outcome::NoReply,
        text: "无人接听".into(),
        at_ms: None,
    };
    let call = book.log_touch(lead, &touch).unwrap();
    phone.wait(1_000);
    let visit = book.log_visit(lead, &Visit { note: "见到主任".into(), ..Visit::default() }).unwrap();
    phone.wait(1_000);
    let proposal = StageProposal { to: "方案".into(), ..StageProposal::default() };
    let proposed = book.propose_stage(lead, &proposal).unwrap();
    let ids = || book.lead(lead).unwrap().timeline.into_iter().map(|item| item.id).collect::<Vec<_>>();
    assert_eq!(ids(), [proposed, visit, call]);
    assert!(
        matches!(&book.lead(lead).unwrap().timeline[2].what, Happening::Touch { touch: t } if *t == touch)
    );
    book.retract(lead, visit).unwrap();
    assert_eq!(ids(), [proposed, call]);
    book.undo().unwrap();
    assert_eq!(ids().len(), 3);

    assert!(matches!(book.propose_stage(lead, &StageProposal::default()), Err(Error::Invalid(_))));
    assert!(matches!(book.log_visit(lead, &Visit::default()), Err(Error::Invalid(_))));
}

#[test]
fn blocks_lie_in_their_cells_until_they_are_done_or_gone() {
    let phone = Phone::new(1, 1);
    let book = phone.book();
    // Noon of Monday, 2 March.
    for (day, importance, cell) in [
        ("2026-03-02", "A类客户", Some((Importance::A, Urgency::Today))),
        ("2026-03-03", "培育中", Some((Importance::Nurturing, Urgency::Tomorrow))),
        ("2026-03-08", "B类客户", Some((Importance::B, Urgency::ThisWeek))),
        ("2026-03-09", "A类客户", None),
        ("2026-03-02", "", None),
    ] {
        let id = book.plan_entry(&block(day, importance)).unwrap();
        let shown = book.board().unwrap().into_iter().find(|item| item.id == id).and_then(|item| item.cell);
        assert_eq!(shown.map(|cell| (cell.importance, cell.urgency)), cell, "{day} {importance}");
    }
    assert_eq!(book.board().unwrap().len(), 3);
    let first = book.today().unwrap().entries[0].id;
    let set = CalendarEntry { materials: Some("图纸".into()), ..CalendarEntry::default() };
    book.edit_entry(first, &set).unwrap();
    let entry = book.calendar("2026-03").unwrap().into_iter().find(|item| item.id == first).unwrap().entry;
    assert_eq!(entry.materials.as_deref(), Some("图纸"));
    assert!(matches!(book.edit_entry(first, &block("2026-03-04", "")), Err(Error::Invalid(_))));

    let on_board: Vec<_> = book.board().unwrap().into_iter().map(|item| item.id).collect();
    book.complete_entry(on_board[0], true).unwrap();
    book.remove_entry(on_board[1]).unwrap();
    assert_eq!(book.board().unwrap().len(), 1);
    book.complete_entry(on_board[0], false).unwrap();
    assert_eq!(book.board().unwrap().len(), 2);
    assert!(matches!(book.remove_entry(Default::default()), Err(Error::NotFound(_))));
}

#[test]
fn a_file_is_attached_and_read_without_network() {
    let phone = Phone::new(1, 1);
    let (lead, book) = (phone.lead("同仁医院"), phone.book());
    let file = phone.folder.path().join("form.pdf");
    std::fs::write(&file, b"%PDF-1.7").unwrap();
    let what =
        Attachment { name: "form.pdf".into(), mime: "application/pdf".into(), ..Attachment::default() };
    book.attach_file(lead, &what, &file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(book.attach_file(lead, &what, &file), Err(Error::Disk(_))));
    let piece = book.lead(lead).unwrap().evidence.remove(0);
    assert_eq!((piece.size_bytes, piece.place), (8, EvidencePlace::Waiting));
    let bytes = book.evidence(lead, piece.hash, std::time::Duration::ZERO, None).unwrap();
    assert_eq!(bytes, b"%PDF-1.7");
}

#[test]
fn a_phone_tells_how_far_its_clock_was_off() {
    let phone = Phone::new(1, 1);
    for (server_ms, skew_ms, doubtful) in
        [(NOON_MS, 0, false), (NOON_MS - 60_000, 60_000, false), (NOON_MS + DAY_MS, -DAY_MS, true)]
    {
        phone.contact(server_ms);
        let status = phone.book().status().unwrap();
        assert_eq!((status.clock_skew_ms, status.clock_doubtful), (skew_ms, doubtful));
        assert_eq!(status.last_contact_ms, server_ms);
    }
}

#[test]
fn a_store_is_settled_and_maintained_and_left_only_when_nothing_is_lost() {
    let mut phone = Phone::new(1, 1);
    let lead = phone.lead("安贞医院");
    phone.book().settle().unwrap();
    phone.book().maintain().unwrap();
    phone.open();
    assert!(phone.book().kept().unwrap().is_empty());
    assert_eq!(phone.book().lead(lead).unwrap().row.customer_name, "安贞医院");
    assert!(matches!(phone.book().leave(false), Err(Error::Invalid(_))));
    assert_eq!(phone.list(LeadQuery::default()).len(), 1);
    phone.book().leave(true).unwrap();
    assert!(matches!(phone.book().me(), Err(Error::NotEnrolled)));
    phone.open();
    assert!(!phone.book().status().unwrap().enrolled, "and it stays so");
}

#[test]
fn a_long_backlog_hides_nothing_that_is_due_today() {
    let phone = Phone::new(1, 1);
    // Noon of Monday, 2 March. Leads of one rep who fell behind: each has a todo of February, and the last one also one of today.
    let today = "2026-03-02";
    let behind = 520;
    let last = phone.book().shared.act(|_, act| {
        let leads: Vec<_> = (0..behind).map(|_| act.fresh_doc(DocKind::Lead)).collect();
        let lots = leads.iter().enumerate().map(|(n, lead)| {
            let mut days = vec![format!("2026-02-{:02}", 1 + n * 27 / behind)];
            days.extend((n + 1 == behind).then(|| today.to_owned()));
            let todo = |day| Todo { title: Some("回访".into()), due: Some(day), ..Todo::default() };
            let todos = days.into_iter().map(|day| todo(day).add("todos", act.fresh_id()));
            let edits = NewLead::default().edits(act).into_iter().chain(todos).collect();
            DocEdits::of(*lead, edits)
        });
        Ok((leads[behind - 1], lots.collect()))
    });
    let last = last.unwrap();
    let todos = phone.book().today().unwrap().todos;
    let of_today: Vec<_> = todos.iter().filter(|todo| !todo.overdue).map(|todo| todo.lead).collect();
    assert_eq!(of_today, [last]);
    assert!(todos.len() > 500, "{} overdue ones come first", todos.len());
    // What is done leaves the list, and the other day of its lead stays.
    let done = todos.iter().find(|todo| !todo.overdue).unwrap().id;
    phone.book().complete_todo(last, done, true).unwrap();
    let left = phone.book().today().unwrap().todos;
    assert!(left.iter().all(|todo| todo.overdue));
}

/// C60: the sheet holds tomorrow's three most important blocks whole, and nothing that a colleague wrote becomes markup.
#[test]
fn the_sheet_of_paper_holds_tomorrows_top_three() {
    let phone = Phone::new(1, 1);
    let (lead, book) = (phone.lead("市一院"), phone.book());
    assert!(book.sheet().unwrap().contains("明天还没有安排。"));
    for (day, importance, start, purpose) in [
        ("2026-03-03", "B类客户", "08:00", "第四件"),
        ("2026-03-03", "A类客户", "14:00", "第二件"),
        ("2026-03-03", "A类客户", "09:00", "第一件<script>"),
        ("2026-03-03", "培育中", "10:00", "第三件"),
        ("2026-03-02", "A类客户", "10:00", "今天的"),
    ] {
        let entry = CalendarEntry {
            lead: Some(lead),
            start: Some(start.into()),
            purpose: Some(purpose.into()),
            materials: Some("平面图".into()),
            ..block(day, importance)
        };
        book.plan_entry(&entry).unwrap();
    }
    let sheet = book.sheet().unwrap();
    let (whole, board) = sheet.split_once("<table>").unwrap();
    let headings: Vec<&str> =
        whole.split("<h3>").skip(1).filter_map(|part| part.split("</h3>").next()).collect();
    assert_eq!(headings, ["1. 09:00 市一院", "2. 14:00 市一院", "3. 10:00 市一院"]);
    assert!(!whole.contains("第四件") && board.contains("第四件") && board.contains("今天的"), "{sheet}");
    assert!(!sheet.contains("<script>") && sheet.contains("第一件&#60;script&#62;"), "{sheet}");
    assert_eq!(whole.matches("平面图").count(), 3);
}
