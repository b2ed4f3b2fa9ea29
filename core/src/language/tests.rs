use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::*;

/// The page that tells a business user what is understood.
const PAGE: &str = include_str!("../../../docs/rules/dictation.md");

/// The blocks of this sort in the page, in their order.
fn blocks(sort: &str) -> Vec<&'static str> {
    let open = format!("```{sort}\n");
    PAGE.split(&open).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

#[test]
fn the_examples_of_the_page_hold() {
    let (said, want) = (blocks("text"), blocks("json"));
    assert_eq!((said.len(), want.len()), (2, 2));
    for (said, want) in said.into_iter().zip(want) {
        assert_eq!(serde_json::to_string(&said_on_tuesday(said)).unwrap(), want, "{said}");
    }
}

#[test]
fn the_first_contacts_of_the_page_are_judged_so() {
    let head = PAGE.find("| First contact | Effective |").unwrap();
    let rows: Vec<_> = PAGE[head..].lines().skip(2).take_while(|line| line.starts_with("| `")).collect();
    assert!(rows.len() > 5, "{rows:?}");
    for row in rows {
        let (said, verdict) = row.trim_start_matches("| `").split_once("` | ").unwrap();
        let effective = first_contact(said, Words::medical()).effective;
        assert_eq!(effective, verdict.starts_with("yes"), "{row}");
    }
}

#[test]
fn the_conventions_of_the_page_hold() {
    let budget = |said: &str| {
        let note = said_on_tuesday(said);
        (note.budget_min, note.budget_max)
    };
    for (said, yuan) in
        [("三百来万", 3_000_000), ("15万8", 158_000), ("贰佰万", 2_000_000), ("五十万上下", 500_000)]
    {
        assert_eq!(budget(said), (Some(yuan), Some(yuan)), "{said}");
    }
    let days = |said: &str| {
        let note = said_on_tuesday(said);
        note.date_start.zip(note.date_end).map(|(start, end)| format!("{start} {end}"))
    };
    for (said, want) in [
        ("本周内定", "2026-02-17 2026-02-22"),
        ("6月前定", "2026-02-17 2026-05-31"),
        ("下旬没到，2月上旬定", "2027-02-01 2027-02-10"),
        ("一季度开标", "2026-01-01 2026-03-31"),
    ] {
        assert_eq!(days(said).as_deref(), Some(want), "{said}");
    }
}

#[test]
fn the_lists_are_what_a_company_can_change() {
    let text = include_str!("words.toml");
    let words = Words::read(&text.replace("\"联影\", ", "\"恒星\", ")).unwrap();
    let on = date(2026, 2, 17);
    assert_eq!(read_note("监护仪倾向恒星和别的", on, &words).brand.as_deref(), Some("恒星"));
    assert!(Words::read(&format!("{text}\nunknown = []\n")).is_err());
    let written = serde_json::to_string(&words).unwrap();
    assert_eq!(serde_json::from_str::<Words>(&written).unwrap(), words);
}

#[test]
fn a_long_text_is_cut_and_read_in_time_that_grows_with_it() {
    for part in [
        "三",
        "3月",
        "三百万",
        "我得",
        "张院长说",
        "市三院",
        "联影",
        "呼吸机",
        "，不对，",
        "您什么",
        "一百二十",
        "a",
        "周一二",
        "附第三院",
    ] {
        let text = part.repeat(20_000);
        let note = said_on_tuesday(&text);
        first_contact(&text, Words::medical());
        for said in [note.contact, note.hospital, note.device, note.brand, note.todo].into_iter().flatten() {
            let length = said.chars().count();
            assert!(length <= 100, "{part}: {length}");
        }
    }
}

fn spoken() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "张院长",
        "说",
        "3月",
        "下周三",
        "前",
        "CT",
        "机",
        "预算",
        "三百",
        "万",
        "80到",
        "100万",
        "以内",
        "倾向",
        "联影",
        "、",
        "GE",
        "，",
        "。",
        "不对",
        "是",
        "我得",
        "把",
        "市三院",
        "医院",
        "坏了",
        "招标",
        "2月30号",
        "13月",
        "周",
        "第",
        "零",
        "点",
        "半",
        "个",
        "亿",
        "十",
        "-",
        "9999999999999",
        "您",
        "什么",
        "吗",
        "？",
        "还是",
        "\n",
        "客户：",
        "每台",
        "一",
        "二",
        "年底",
        "Q5",
        "2026-02-29",
        "前天",
        "四月三十一",
    ]);
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

fn holds(text: &str, on: Date) -> Result<(), TestCaseError> {
    let note = read_note(text, on, Words::medical());
    prop_assert_eq!(note.date_start.is_some(), note.date_end.is_some());
    prop_assert!(note.date_start <= note.date_end);
    if let (Some(least), Some(most)) = (note.budget_min, note.budget_max) {
        prop_assert!(0 < least && least <= most);
    }
    let verdict = first_contact(text, Words::medical());
    prop_assert_eq!(verdict.effective, verdict.question.is_some());
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_read(text in ".{0,300}", days in 0i32..4_000) {
        holds(&text, date(2020, 1, 1).saturating_add(jiff::Span::new().days(days)))?;
    }

    #[test]
    fn any_row_of_words_is_read(text in spoken(), days in 0i32..4_000) {
        holds(&text, date(2020, 1, 1).saturating_add(jiff::Span::new().days(days)))?;
    }
}
