//! The home page: what calls for the user today, from rows that are worked out only where something changed.

use fieldbook_core::ids::{DocId, EntryId};
use fieldbook_core::model::{CalendarEntry, LeadFields, Touch, Visit};
use fieldbook_core::rules::agenda::ActKind;
use fieldbook_core::sync::message::FromServer;

use super::{DAY_MS, NOON_MS, Phone};
use crate::records::Home;
use crate::words::Language;

const HOUR_MS: i64 = 3_600_000;

fn home(phone: &Phone) -> Home {
    phone.book().home().unwrap()
}

fn budget(phone: &Phone, lead: DocId, fen: i64) {
    let set = LeadFields { budget_max_fen: Some(fen), ..LeadFields::default() };
    phone.book().edit_lead(lead, &set, &[]).unwrap();
}

/// The leads whose rows are not what their documents say.
fn unjudged(phone: &Phone) -> Vec<DocId> {
    phone.book().shared.with(|replica, _| replica.unjudged(EntryId([0; 16]), 100)).unwrap()
}

#[test]
fn the_home_page_shows_what_is_lost_if_it_is_left_undone() {
    for (language, sentence, first) in [
        (Language::Chinese, "不处理影响：丢失380.5万元商机", "首次联系客户"),
        (
            Language::English,
            "If left undone: a deal worth CNY 3805000 is lost",
            "First contact with the customer",
        ),
    ] {
        let phone = Phone::speaking(1, 1, language);
        let (rich, poor) = (phone.lead("市一院"), phone.lead("市二院"));
        budget(&phone, rich, 380_500_000);
        for lead in [rich, poor] {
            phone.book().log_visit(lead, &Visit { note: "看了场地".into(), ..Visit::default() }).unwrap();
        }
        phone.wait(1_000);
        let page = home(&phone);
        let shown: Vec<_> = page
            .top
            .iter()
            .map(|task| (task.customer_name.as_str(), task.title.as_str(), task.at_risk_text.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("市一院", "发送定制对比表", sentence),
                ("市二院", "发送定制对比表", ""),
                ("市一院", "上传手术室照片", ""),
                ("市二院", "上传手术室照片", ""),
            ]
        );
        assert_eq!((page.day.as_str(), page.open, page.as_of_ms), ("2026-03-02", 4, NOON_MS));
        assert_eq!(page.top[0].due_ms, NOON_MS + DAY_MS);
        assert_eq!(page.undetermined, ["裁定"]);
        super::rule(&phone, poor, 1, NOON_MS - 5 * HOUR_MS);
        let page = home(&phone);
        assert_eq!(page.countdowns.len(), 0, "the visit answered");
        let owed = phone.lead("市三院");
        super::rule(&phone, owed, 1, NOON_MS);
        let countdown = home(&phone).countdowns.remove(0);
        assert_eq!((countdown.lead, countdown.left_ms), (owed, 2 * HOUR_MS));
        phone.wait(2 * HOUR_MS + 1);
        let page = home(&phone);
        assert!(page.countdowns.is_empty());
        assert_eq!(
            (page.top[0].title.as_str(), page.top[0].kind, page.top[0].overdue),
            (first, ActKind::Response, true)
        );
    }
}

#[test]
fn what_is_overdue_comes_first_then_money_then_time_and_never_more_than_five() {
    let phone = Phone::new(1, 1);
    let todo = |customer: &str, fen: i64, due: &str| {
        let lead = phone.lead(customer);
        if fen > 0 {
            budget(&phone, lead, fen);
        }
        phone.book().add_todo(lead, customer, Some(due)).unwrap();
    };
    // Noon of 2 March.
    todo("今天", 0, "2026-03-02");
    todo("明天", 900_000_000, "2026-03-03");
    todo("今天一百万", 100_000_000, "2026-03-02");
    todo("昨天", 0, "2026-03-01");
    todo("昨天五十万", 50_000_000, "2026-03-01");
    todo("前天五十万", 50_000_000, "2026-02-28");
    todo("上周", 0, "2026-02-23");
    let page = home(&phone);
    let shown: Vec<_> = page.top.iter().map(|task| task.title.as_str()).collect();
    assert_eq!(shown, ["前天五十万", "昨天五十万", "上周", "昨天", "今天一百万"]);
    assert_eq!(page.open, 6);
    phone.wait(12 * HOUR_MS);
    assert_eq!(home(&phone).open, 7, "a day begins, and its rows are as they were");
}

#[test]
fn before_a_visit_what_is_missing_is_called_to_mind() {
    let phone = Phone::new(1, 1);
    let book = phone.book();
    let (visited, called, idle) = (phone.lead("市一院"), phone.lead("市二院"), phone.lead("市三院"));
    let entry = |lead, day: &str| CalendarEntry {
        lead: Some(lead),
        day: Some(day.into()),
        purpose: Some("确认场地".into()),
        ..CalendarEntry::default()
    };
    let block = book.plan_entry(&entry(visited, "2026-03-04")).unwrap();
    book.plan_entry(&entry(idle, "2026-03-01")).unwrap();
    book.add_todo(called, "回访", Some("2026-03-03")).unwrap();
    let reminders = home(&phone).reminders;
    let shown: Vec<_> = reminders.iter().map(|reminder| (reminder.lead, reminder.day.as_str())).collect();
    assert_eq!(shown, [(called, "2026-03-03"), (visited, "2026-03-04")]);
    assert_eq!(reminders[0].text, "下次拜访前补全：医院、科室、设备、预算上限、采购时间");
    let text = |text: &str| Some(text.to_owned());
    let set = LeadFields {
        hospital: text("市二院"),
        department: text("放射科"),
        equipment: text("CT"),
        budget_min_fen: Some(100_000_000),
        purchase_timing: text("6月"),
        ..LeadFields::default()
    };
    book.edit_lead(called, &set, &[]).unwrap();
    book.complete_entry(block, true).unwrap();
    assert_eq!(home(&phone).reminders, []);
}

#[test]
fn only_the_users_own_leads_are_on_it_and_only_what_changed_is_worked_out() {
    let mut phone = Phone::new(1, 1);
    let colleague = Phone::new(2, 2);
    let (mine, given, pool) = (phone.lead("我的"), colleague.lead("转给我的"), colleague.lead("同事的"));
    for lead in [given, pool] {
        colleague.book().add_todo(lead, "回访", Some("2026-03-02")).unwrap();
        colleague.send(lead, &phone);
    }
    phone.book().add_todo(mine, "回访", Some("2026-03-02")).unwrap();
    let shown = |phone: &Phone| {
        let mut names: Vec<_> = home(phone).top.into_iter().map(|task| task.customer_name).collect();
        names.sort();
        names
    };
    assert_eq!(unjudged(&phone).len(), 3, "of those without a ruling each may be the user's");
    assert_eq!(shown(&phone), ["我的"]);
    assert!(unjudged(&phone).is_empty());
    super::rule(&phone, given, 1, NOON_MS);
    assert_eq!(unjudged(&phone), [given]);
    assert_eq!(shown(&phone), ["我的", "转给我的"]);

    // Of a lead that is a colleague's nothing is looked at, whatever changes in it.
    super::rule(&phone, pool, 2, NOON_MS);
    assert!(unjudged(&phone).is_empty());
    phone.book().add_todo(pool, "回访", Some("2026-03-02")).unwrap();
    assert!(unjudged(&phone).is_empty());
    assert_eq!(shown(&phone), ["我的", "转给我的"]);

    // After an opening the rows stand for what they were worked out from, and what changed meanwhile is found.
    phone.open();
    assert!(unjudged(&phone).is_empty());
    assert_eq!(shown(&phone), ["我的", "转给我的"]);
    phone.book().tick(mine, "decision_maker", true).unwrap();
    phone.open();
    assert_eq!(unjudged(&phone), [mine]);
    // Another policy questions every row.
    let other = phone.book().shared.with(|replica, _| replica.unjudged(EntryId([5; 16]), 100)).unwrap();
    assert_eq!(other.len(), 2, "{other:?}");

    phone.book().delete_lead(mine).unwrap();
    super::rule(&phone, given, 2, NOON_MS + 1_000);
    assert_eq!(shown(&phone), Vec::<String>::new());
    let rows = phone.book().shared.with(|replica, _| replica.agendas()).unwrap();
    assert!(rows.is_empty(), "{rows:?}");
}

#[test]
fn of_a_lead_that_leaves_the_phone_no_row_stays() {
    let phone = Phone::new(1, 1);
    let (stays, leaves) = (phone.lead("市一院"), phone.lead("市二院"));
    for lead in [stays, leaves] {
        phone.book().add_todo(lead, "带上合同", Some("2026-03-02")).unwrap();
    }
    assert_eq!(home(&phone).open, 2);
    let taken = phone.book().shared.with(|replica, now| {
        let now_ms = replica.now_ms(now);
        replica.take(&[FromServer::Gone(leaves)], now_ms)
    });
    assert!(taken.unwrap().changed.contains(&leaves));
    let rows = phone.book().shared.with(|replica, _| replica.agendas()).unwrap();
    assert_eq!(rows.into_iter().map(|(lead, _)| lead).collect::<Vec<_>>(), [stays]);
    assert_eq!(home(&phone).open, 1);
}

#[test]
fn time_passes_over_a_row_and_it_is_worked_out_again() {
    let phone = Phone::new(1, 1);
    let lead = phone.lead("市一院");
    phone.book().log_touch(lead, &call()).unwrap();
    assert_eq!(home(&phone).top.len(), 1);
    phone.wait(DAY_MS + 1);
    assert!(unjudged(&phone).is_empty());
    let late = home(&phone);
    assert!(late.top[0].overdue, "what is late the clock says, not the row");
    assert_eq!(unjudged(&phone), [lead], "by the next call");
}

fn call() -> Touch {
    use fieldbook_core::model::{Direction, Outcome, TouchChannel};
    let (channel, direction, outcome) = (TouchChannel::Phone, Direction::Out, Outcome::Reached);
    Touch { channel, direction, outcome, text: String::new(), at_ms: None }
}
