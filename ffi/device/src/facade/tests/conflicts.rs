//! Two people, or two phones of one, on the same thing: what was written is all there, and everybody can see and settle it.

use fieldbook_core::document::{Edit, Value};
use fieldbook_core::ids::{DocId, DocKind, EntryId, UserId};
use fieldbook_core::model::{CalendarEntry, LeadFields, Visit};
use fieldbook_core::replica::DocEdits;

use super::{NOON_MS, Phone};
use crate::records::LeadQuery;
use crate::words::Language;

fn calendar(user: u8) -> DocId {
    DocId::calendar_of(UserId([user; 8]), "2026-03")
}

#[test]
fn conflicts_of_every_kind_of_document_are_listed_and_settled() {
    let (one, two) = (Phone::new(1, 1), Phone::new(1, 2));
    let lead = one.lead("浙大一院");
    one.book().tick(lead, "decision_maker", false).unwrap();
    let block = CalendarEntry {
        lead: Some(lead),
        day: Some("2026-03-05".into()),
        purpose: Some("确认场地".into()),
        ..CalendarEntry::default()
    };
    let entry = one.book().plan_entry(&block).unwrap();
    let account = DocId::fresh(DocKind::Account, EntryId([9; 16]));
    let name = |phone: &Phone, name: &str| {
        let edits = vec![Edit::Set { field: "name".into(), value: name.into() }];
        phone.book().shared.act(|_, _| Ok(((), vec![DocEdits::of(account, edits)]))).unwrap();
    };
    name(&one, "浙一");
    let docs = [lead, DocId::advancement_of(lead), calendar(1), account];
    docs.iter().for_each(|doc| one.send(*doc, &two));
    assert!(two.book().all_conflicts().unwrap().is_empty());

    for (phone, brand, start) in [(&one, "联影", "09:00"), (&two, "西门子", "10:00")] {
        let set = LeadFields { brand: Some(brand.into()), ..LeadFields::default() };
        phone.book().edit_lead(lead, &set, &[]).unwrap();
        phone.book().answer(lead, "next_meeting", brand).unwrap();
        let set = CalendarEntry { start: Some(start.into()), ..CalendarEntry::default() };
        phone.book().edit_entry(entry, &set).unwrap();
        name(phone, brand);
    }
    docs.iter().for_each(|doc| one.send(*doc, &two));

    let all = two.book().all_conflicts().unwrap();
    let mut seen: Vec<_> =
        all.iter().map(|c| (c.label.as_str(), c.subject.as_str(), c.lead, c.values.len())).collect();
    seen.sort();
    let mut expected = [
        ("下次关键会议时间", "浙大一院", Some(lead), 2),
        ("倾向品牌", "浙大一院", Some(lead), 2),
        ("日程 开始时间", "2026-03-05 确认场地", Some(lead), 2),
        ("客户名称", "西门子", None, 2),
    ];
    expected.sort();
    // Of the account's two names the later one counts, and both were written in one millisecond: the higher device decides.
    assert_eq!(seen, expected);

    for conflict in &all {
        two.book().resolve(conflict.doc, &conflict.path, &conflict.values[1].value).unwrap();
    }
    assert!(two.book().all_conflicts().unwrap().is_empty());
    assert_eq!(two.book().calendar("2026-03").unwrap()[0].entry.start.as_deref(), Some("09:00"));
    assert_eq!(two.book().lead(lead).unwrap().fields.brand.as_deref(), Some("联影"));
}

#[test]
fn a_conflict_speaks_the_users_language() {
    for (language, field, question) in [
        (Language::Chinese, "倾向品牌", "决策人是否已明确"),
        (Language::English, "brand", "Is the decision-maker known?"),
    ] {
        let (one, two) = (Phone::new(1, 1), Phone::speaking(2, 2, language));
        let lead = one.lead("华西医院");
        one.book().tick(lead, "decision_maker", false).unwrap();
        let docs = [lead, DocId::advancement_of(lead)];
        docs.iter().for_each(|doc| one.send(*doc, &two));
        for (phone, brand, confirmed) in [(&one, "联影", true), (&two, "西门子", false)] {
            let set = LeadFields { brand: Some(brand.into()), ..LeadFields::default() };
            phone.book().edit_lead(lead, &set, &[]).unwrap();
            phone.book().answer(lead, "budget_approval", brand).unwrap();
            phone.book().answer(lead, "decision_maker", if confirmed { "院长" } else { "主任" }).unwrap();
        }
        docs.iter().for_each(|doc| one.send(*doc, &two));
        let labels: Vec<_> = two.book().conflicts(lead).unwrap().into_iter().map(|c| c.label).collect();
        assert!(labels.contains(&field.to_owned()) && labels.contains(&question.to_owned()), "{labels:?}");
        assert_eq!(two.book().lead(lead).unwrap().table[0].question, question);
    }
}

#[test]
fn a_deletion_that_overlooked_work_is_flagged() {
    let visit = Visit { note: "院长同意了".into(), ..Visit::default() };
    for (what, work, flagged) in [
        ("nothing", None, false),
        ("a visit", Some("visit"), true),
        ("a tick in the table", Some("tick"), true),
    ] {
        let (one, two) = (Phone::new(1, 1), Phone::new(2, 2));
        let lead = one.lead("省肿瘤医院");
        one.book().tick(lead, "decision_maker", false).unwrap();
        let docs = [lead, DocId::advancement_of(lead)];
        docs.iter().for_each(|doc| one.send(*doc, &two));
        two.book().delete_lead(lead).unwrap();
        // A tick says only when it was made: it has to be later.
        one.wait(60_000);
        match work {
            Some("visit") => drop(one.book().log_visit(lead, &visit).unwrap()),
            Some(_) => one.book().tick(lead, "decision_maker", true).unwrap(),
            None => {}
        }
        docs.iter().for_each(|doc| one.send(*doc, &two));

        assert!(two.list(LeadQuery::default()).is_empty(), "{what}");
        let rows = two.list(LeadQuery { deleted: true, ..LeadQuery::default() });
        let [row] = &rows[..] else { panic!("{what}: {rows:?}") };
        assert_eq!((row.id, row.deleted_at_ms), (lead, Some(NOON_MS)), "{what}");
        assert_eq!(row.edited_since_deleted, flagged, "{what}");
        assert_eq!(two.book().lead(lead).unwrap().row.edited_since_deleted, flagged, "{what}");

        two.book().restore_lead(lead).unwrap();
        assert!(two.list(LeadQuery { deleted: true, ..LeadQuery::default() }).is_empty(), "{what}");
        let row = two.list(LeadQuery::default()).remove(0);
        assert_eq!((row.deleted_at_ms, row.edited_since_deleted), (None, false), "{what}");
    }
}

#[test]
fn two_who_delete_at_once_overlook_nothing() {
    let (one, two) = (Phone::new(1, 1), Phone::new(2, 2));
    let lead = one.lead("省肿瘤医院");
    one.send(lead, &two);
    one.book().delete_lead(lead).unwrap();
    two.book().delete_lead(lead).unwrap();
    one.send(lead, &two);
    let row = two.list(LeadQuery { deleted: true, ..LeadQuery::default() }).remove(0);
    assert!(!row.edited_since_deleted && two.book().conflicts(lead).unwrap().is_empty());
    assert_eq!(two.book().resolve(lead, &path("deleted"), &Value::Bool(true)).unwrap_err().code(), "stale");
}

fn path(field: &str) -> fieldbook_core::document::Path {
    fieldbook_core::document::Path { field: field.into(), key: None, name: None }
}
