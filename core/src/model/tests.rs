//! Models both ways, the 3×3, the index, the summary and search.

use std::collections::BTreeMap;

use jiff::civil::date;
use jiff::tz::TimeZone;

use super::*;
use crate::document::{Doc, Edit, NoClocks};
use crate::ids::{Actor, DeviceId, DocId, DocKind, EntryId, Hash32, UserId};
use crate::time::{Act, BootClock, ClockKnowledge, Moment, Stamp};

fn act(n: u8, wall_ms: i64) -> Act {
    let moment = Moment { wall_ms, boot: u64::from(n), mono_ms: 0 };
    Act::new(Stamp::new(UserId([n; 8]), moment, &ClockKnowledge::default()), [n; 32])
}

fn write(doc: &mut Doc, act: &Act, edits: &[Edit]) {
    let actor = Actor { device: DeviceId(act.stamp.user.0), incarnation: 0 };
    doc.edit(actor, &act.stamp, edits).unwrap();
}

fn new_lead() -> NewLead {
    NewLead {
        fields: LeadFields {
            customer_name: Some("北京协和医院".into()),
            contact_phone: Some("待确认".into()),
            need: Some("采购".into()),
            budget_max_fen: Some(380_000_000),
            ..LeadFields::default()
        },
        notes: "三月招标".into(),
        contacts: vec![Contact {
            name: Some("张".into()),
            attitude: Some("支持".into()),
            ..Contact::default()
        }],
    }
}

#[test]
fn a_new_lead_reads_back_with_its_visit_evidence_todo_and_tag() {
    let mut doc = Doc::genesis(DocKind::Lead);
    let act = act(1, 5_000);
    write(&mut doc, &act, &new_lead().edits(&act));
    let visit = Visit { customer_state: "有意向".into(), visited_at_ms: Some(4_000), ..Visit::default() };
    write(&mut doc, &act, &visit.edits(&act));
    let photo = Evidence {
        hash: Hash32([3; 32]),
        size_bytes: 7,
        mime: "image/jpeg".into(),
        name: "签到.jpg".into(),
        captured_at_ms: 4_500,
        event: None,
    };
    let todo = Todo { title: Some("送样机".into()), due: Some("2026-02-20".into()), done: None };
    let tag = Tag { expires_ms: Some(9_000) };
    let id = act.fresh_id();
    write(&mut doc, &act, &[photo.attach(&act), todo.add("todos", id), tag_edit("集采", &tag)]);

    let lead = LeadModel::read(&doc, &NoClocks);
    let told = LeadFields { customer_state: Some("有意向".into()), ..new_lead().fields };
    assert_eq!(lead.fields, told);
    assert_eq!(lead.notes, "三月招标");
    assert_eq!(lead.contacts.values().collect::<Vec<_>>(), [&new_lead().contacts[0]]);
    assert_eq!(lead.todos[&id], todo);
    assert!(lead.tags["集采"].is_fresh(8_999) && !lead.tags["集采"].is_fresh(9_000));
    assert_eq!(lead.events[0].event, Event::Visit(visit));
    assert_eq!((lead.events[0].happened_at_ms(), lead.events[0].user), (4_000, UserId([1; 8])));
    assert_eq!(lead.evidence[0].evidence, photo);
    assert_eq!(lead.fields.missing(), ["contact_phone"], "待确认 counts as empty");

    write(
        &mut doc,
        &act,
        &[Event::Retract { entry: lead.events[0].id }.log(&act), Todo::remove(id), untag_edit("集采")],
    );
    let lead = LeadModel::read(&doc, &NoClocks);
    assert!(lead.events.is_empty() && lead.todos.is_empty() && lead.tags.is_empty());
}

#[test]
fn undoing_and_redoing_a_visit_takes_it_away_and_brings_it_back() {
    let mut doc = Doc::genesis(DocKind::Lead);
    let act = act(1, 5_000);
    let visit = Event::Visit(Visit { note: "看产线".into(), ..Visit::default() }).log(&act);
    let actor = Actor { device: DeviceId([1; 8]), incarnation: 0 };
    let mut undo = doc.edit(actor, &act.stamp, &[visit]).unwrap().undo;
    for standing in [0, 1, 0, 1] {
        undo = doc.edit(actor, &act.stamp, &undo).unwrap().undo;
        assert_eq!(events(&doc, &NoClocks).len(), standing);
    }
    // A retraction under an id of its own choosing counts for nothing.
    let id = events(&doc, &NoClocks)[0].id;
    let body = format!(r#"{{"type":"retract","entry":"{id}"}}"#);
    write(&mut doc, &act, &[Edit::Append { log: "events".into(), id: act.fresh_id(), body }]);
    assert_eq!(events(&doc, &NoClocks).len(), 1);
}

#[test]
fn mandatory_fields_are_three_and_placeholders_are_empty() {
    let check = |name: &str, phone: &str, need: &str, missing: &[&str]| {
        let text = |t: &str| Some(t.to_owned());
        let fields = LeadFields {
            customer_name: text(name),
            contact_phone: text(phone),
            need: text(need),
            ..LeadFields::default()
        };
        assert_eq!(fields.missing(), missing, "{name} {phone} {need}");
    };
    check("协和", "138", "采购", &[]);
    check("协和", "138", "维保", &[]);
    check("待定", " ", "升级", &["customer_name", "contact_phone"]);
    check("协和", "138", "闲聊", &["need"]);
    assert_eq!(LeadFields::default().missing().len(), 3);
}

#[test]
fn events_keep_their_json_and_unknown_ones_survive() {
    let touch = Event::Touch(Touch {
        channel: TouchChannel::Phone,
        direction: Direction::Out,
        outcome: Outcome::NoReply,
        text: String::new(),
        at_ms: None,
    });
    let stage =
        StageProposal { to: "报价".into(), evidence: vec![EntryId([1; 16])], ..StageProposal::default() };
    for (event, body) in [
        (touch, r#"{"type":"touch","channel":"phone","direction":"out","outcome":"no_reply"}"#),
        (
            Event::StageProposal(stage),
            r#"{"type":"stage_proposal","to":"报价","evidence":["01010101010101010101010101010101"]}"#,
        ),
        (
            Event::Retract { entry: EntryId([1; 16]) },
            r#"{"type":"retract","entry":"01010101010101010101010101010101"}"#,
        ),
        (
            Event::Visit(Visit { place: "门诊楼".into(), ..Visit::default() }),
            r#"{"type":"visit","place":"门诊楼"}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&event).unwrap(), body);
        assert_eq!(Event::parse(body), event);
    }
    let newer = r#"{"type":"telepathy","depth":3}"#;
    let Event::Unknown(kept) = Event::parse(newer) else { panic!("a newer event is unknown") };
    assert_eq!(kept["depth"], 3);
    assert!(matches!(Event::parse("{"), Event::Unknown(_)));
    let newer = r#"{"type":"touch","channel":"hologram","direction":"in","outcome":"waved"}"#;
    let Event::Touch(touch) = Event::parse(newer) else { panic!("a touch stays a touch") };
    assert_eq!((touch.channel, touch.outcome), (TouchChannel::Other, Outcome::Other));
}

#[test]
fn the_index_is_100_only_when_all_three_rows_are_confirmed() {
    let mut doc = Doc::genesis(DocKind::Advancement);
    let act = act(1, 1);
    let mut seen = vec![AdvancementModel::read(&doc, &NoClocks).index];
    for (row, ..) in PRESET_ROWS {
        write(&mut doc, &act, &[tick_edit(row, true), answer_edit(row, "七成")]);
        seen.push(AdvancementModel::read(&doc, &NoClocks).index);
    }
    assert_eq!(seen, [0, 33, 66, 100]);
    write(&mut doc, &act, &[tick_edit("rivals", true)]);
    let table = AdvancementModel::read(&doc, &NoClocks);
    assert_eq!((table.index, table.rows.len()), (100, 4), "rows of policy do not count");
    assert_eq!((table.rows[0].answer.as_str(), table.rows[3].id.as_str()), ("七成", "rivals"));

    let mut other = doc.clone();
    write(&mut doc, &self::act(1, 10), &[tick_edit("rivals", false)]);
    write(&mut other, &self::act(2, 11), &[answer_edit("rivals", "联影"), tick_edit("next_meeting", false)]);
    write(&mut doc, &self::act(1, 12), &[answer_edit("rivals", "西门子")]);
    doc.merge_snapshot(&other.save()).unwrap();
    let table = AdvancementModel::read(&doc, &NoClocks);
    assert_eq!(
        table.rows.iter().filter(|row| row.conflict).map(|row| &*row.id).collect::<Vec<_>>(),
        ["rivals"]
    );
    assert_eq!(table.index, 66);
}

#[test]
fn entries_are_placed_by_importance_and_urgency_in_the_companys_zone() {
    // 2026-02-25 is a Wednesday, 2026-03-01 a Sunday.
    let today = date(2026, 2, 25);
    let check = |day: &str, importance: &str, done: bool, cell: Option<(Importance, Urgency)>| {
        let entry = CalendarEntry {
            day: Some(day.into()),
            importance: Some(importance.into()),
            done: Some(done),
            ..CalendarEntry::default()
        };
        let cell = cell.map(|(importance, urgency)| Cell { importance, urgency });
        assert_eq!(place(&entry, today), cell, "{day} {importance}");
    };
    check("2026-02-25", "A类客户", false, Some((Importance::A, Urgency::Today)));
    check("2026-02-26", "培育中", false, Some((Importance::Nurturing, Urgency::Tomorrow)));
    check("2026-02-27", "B类客户", false, Some((Importance::B, Urgency::ThisWeek)));
    check("2026-03-01", "A类客户", false, Some((Importance::A, Urgency::ThisWeek)));
    check("2026-03-02", "A类客户", false, None);
    check("2026-02-24", "A类客户", false, None);
    check("2026-02-25", "A类客户", true, None);
    check("2026-02-25", "C", false, None);
    check("soon", "A类客户", false, None);
    let monday = CalendarEntry {
        day: Some("2026-03-02".into()),
        importance: Some("培育中".into()),
        ..CalendarEntry::default()
    };
    assert_eq!(place(&monday, date(2026, 3, 1)).unwrap().urgency, Urgency::Tomorrow, "even across the week");

    // 2026-02-24 17:00 UTC is the 25th in Shanghai.
    let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
    assert_eq!(company_day(1_771_952_400_000, &shanghai), Some(today));
    assert_eq!(company_day(1_771_952_400_000, &TimeZone::UTC), Some(date(2026, 2, 24)));
}

#[test]
fn an_entry_that_moves_across_months_and_back_keeps_its_id_and_is_shown_once() {
    let user = UserId([1; 8]);
    let act = act(1, 1);
    let id = act.fresh_id();
    let months = ["2026-02", "2026-03"].map(|month| DocId::calendar_of(user, month));
    let (mut february, march) = (Doc::genesis(DocKind::Calendar), Doc::genesis(DocKind::Calendar));
    let entry = CalendarEntry {
        day: Some("2026-02-27".into()),
        purpose: Some("确认CT机安装场地尺寸".into()),
        expected_result: Some("签字版《场地确认单》".into()),
        ..CalendarEntry::default()
    };
    write(&mut february, &act, &[entry.plan(id)]);
    for day in [date(2026, 2, 28), date(2026, 3, 2), date(2026, 2, 27), date(2026, 3, 2)] {
        write(&mut february, &act, &CalendarEntry::move_to(id, day));
        let there = |month: i8| {
            let calendars = [(months[0], &february), (months[1], &march)];
            entries_on(calendars, |day| day.month() == month, &NoClocks)
        };
        let moved = CalendarEntry { day: Some(day.to_string()), ..entry.clone() };
        let placed = PlacedEntry { calendar: months[0], entry: moved };
        assert_eq!(there(day.month()), BTreeMap::from([(id, placed)]));
        assert!(there(5 - day.month()).is_empty());
    }
    write(&mut february, &act, &[CalendarEntry::remove(id)]);
    assert!(entries_on([(months[0], &february)], |_| true, &NoClocks).is_empty());
}

#[test]
fn a_summary_tells_what_a_list_shows_and_survives_bytes() {
    let id = DocId::fresh(DocKind::Lead, EntryId([9; 16]));
    let owner = UserId([7; 8]);
    let mut lead = Doc::genesis(DocKind::Lead);
    let first = act(1, 5_000);
    write(&mut lead, &first, &new_lead().edits(&first));
    let mut rival = lead.clone();
    let rename =
        |name: &str| LeadFields { customer_name: Some(name.into()), ..LeadFields::default() }.edits();
    write(&mut lead, &act(1, 6_000), &rename("协和东院"));
    write(&mut rival, &act(2, 7_000), &rename("协和西院"));
    lead.merge_snapshot(&rival.save()).unwrap();
    let mut ruling = Doc::genesis(DocKind::Ruling);
    let fields = RulingFields { owner: Some(owner), stage: Some("报价".into()), ..RulingFields::default() };
    write(&mut ruling, &act(3, 8_000), &fields.edits());
    let mut table = Doc::genesis(DocKind::Advancement);
    write(&mut table, &act(1, 7_500), &[tick_edit("decision_maker", true)]);

    let row = LeadSummary::read(id, &lead, Some(&ruling), Some(&table));
    assert_eq!((row.customer_name.as_str(), row.initials.as_str()), ("协和西院", "xhxy"));
    assert_eq!((row.owner, row.stage.as_str()), (Some(owner), "报价"));
    assert_eq!((row.index, row.conflicts, row.updated_ms), (33, 1, 7_500));
    assert_eq!(row.missing, ["contact_phone"]);
    let mut piecemeal = LeadSummary::of(id);
    assert!(!piecemeal.listed());
    for _ in 0..2 {
        piecemeal.take_advancement(&table);
        piecemeal.take_ruling(&ruling);
        piecemeal.take_lead(&lead);
    }
    assert_eq!(piecemeal, row, "in any order, and again");
    let bytes = minicbor::to_vec(&row).unwrap();
    assert_eq!(minicbor::decode::<LeadSummary>(&bytes).unwrap(), row);
    assert_eq!(serde_json::from_str::<LeadSummary>(&serde_json::to_string(&row).unwrap()).unwrap(), row);

    // The server pins the second phone's boot to long ago: the first phone's name counts.
    write(&mut ruling, &act(3, 9_000), &[clock_edit(2, BootClock::Pinned(10))]);
    let row = LeadSummary::read(id, &lead, Some(&ruling), Some(&table));
    assert_eq!(row.customer_name, "协和东院");
    assert_eq!(RulingModel::read(&ruling, &NoClocks).clocks, BTreeMap::from([(2, BootClock::Pinned(10))]));
}

#[test]
fn search_takes_names_initials_syllables_and_mixtures() {
    let check = |query: &str, text: &str, found: bool| {
        assert_eq!(search::matches(query, text), found, "{query} in {text}");
    };
    for query in [
        "bjxh",
        "BJXH",
        "协和",
        "xiehe",
        "xieh",
        "bj协和",
        "xhyy",
        "beijingxiehe",
        "北京 协和",
        "bjxieheyy",
        "",
    ] {
        check(query, "北京协和医院", true);
    }
    for query in ["bjhx", "上海", "xx", "bjxhyyx", "ng"] {
        check(query, "北京协和医院", false);
    }
    check("cq", "重庆医院", true);
    check("zq", "重庆医院", true);
    check("ge", "GE医疗", true);
    check("geyl", "GE医疗", true);
    check("301", "解放军301医院", true);
    check(&"x".repeat(100), "协和", false);
    assert_eq!(search::initials("北京协和医院(GE)"), "bjxhyyge");
}

#[test]
fn the_directory_reads_back() {
    let mut doc = Doc::genesis(DocKind::Directory);
    let user = DirectoryUser { name: Some("王".into()), active: Some(true), ..DirectoryUser::default() };
    write(&mut doc, &act(1, 1), &[user.add("users", DirectoryModel::entry_id(&[4; 8]))]);
    assert_eq!(DirectoryModel::read(&doc, &NoClocks).users, BTreeMap::from([(UserId([4; 8]), user)]));
}

#[test]
fn an_account_reads_back() {
    let mut doc = Doc::genesis(DocKind::Account);
    let fields =
        AccountFields {
            name: Some("协和".into()), city: Some("北京".into()), ..AccountFields::default()
        };
    let act = act(1, 1);
    let contact = Contact { name: Some("李".into()), ..Contact::default() };
    let mut edits = fields.edits();
    edits.push(contact.add("contacts", act.fresh_id()));
    edits.push(tag_edit("三甲", &Tag { expires_ms: Some(9) }));
    write(&mut doc, &act, &edits);
    let account = AccountModel::read(&doc, &NoClocks);
    assert_eq!((account.fields, account.contacts.len()), (fields.clone(), 1));
    assert_eq!(account.tags["三甲"], Tag { expires_ms: Some(9) });

    let new = NewAccount { fields, notes: "三甲".into(), contacts: vec![contact.clone()] };
    let mut doc = Doc::genesis(DocKind::Account);
    write(&mut doc, &act, &new.edits(&act));
    let account = AccountModel::read(&doc, &NoClocks);
    assert_eq!((account.notes.as_str(), account.contacts.into_values().next()), ("三甲", Some(contact)));
    assert!(new.fields.is_named() && !AccountFields::default().is_named());
}
