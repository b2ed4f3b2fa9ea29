use super::*;
use crate::model::{Tag, Visit};
use crate::policy::formula::{Formula, Known, Sort, Undetermined, Value, Vocabulary};
use crate::policy::terms;
use crate::rules::known::KnownOf;

/// A lead of which everything is known.
fn whole() -> Story {
    let mut story = Story::new();
    let text = |text: &str| Some(text.to_owned());
    let fields = &mut story.lead.fields;
    fields.customer_name = text("市一院");
    fields.need = text("采购");
    fields.industry = text("三级医院");
    fields.purchase_timing = text("3月");
    fields.budget_max_fen = Some(38_000_000_000 / 100);
    story.assign(hours(0), LI);
    story.visit(hours(1), LI, "");
    story
}

fn value(story: &Story, source: &str, gives: Sort) -> Result<Value, Undetermined> {
    let facts = story.at(hours(3));
    let policy = facts.policy().unwrap().1;
    let signals: Vec<_> = policy.signals.iter().map(|kind| (kind.name.as_str(), kind.id.as_str())).collect();
    let words = Vocabulary { terms: terms::LEAD, signals: &signals };
    Formula::read(source, &words, gives).unwrap().work_out(&KnownOf::new(&facts, policy))
}

#[test]
fn every_word_has_a_fact_of_its_sort_behind_it() {
    let story = whole();
    let facts = story.at(hours(3));
    let known = KnownOf::new(&facts, facts.policy().unwrap().1);
    for term in terms::LEAD {
        let value = known.name(term).unwrap_or_else(|| panic!("{} says nothing", term.name));
        match (value, term.sort) {
            (Value::Text(text), Sort::Text) => {
                assert!(
                    term.values.is_empty() || term.values.contains(&text.as_str()),
                    "{} is {text}",
                    term.name
                );
            }
            (Value::Number(_), Sort::Number) | (Value::Truth(_), Sort::Truth) => {}
            (value, sort) => panic!("{} is {value:?} and no {sort}", term.name),
        }
    }
}

#[test]
fn facts_are_counted_as_the_policy_says() {
    let mut story = whole();
    story.signal(hours(1), "download", "2025骨科集采应对指南", None);
    story.signal(hours(1), "inquiry", "", None);
    story.signal(days(-91), "download", "旧资料", None);
    story.signal(hours(1), "page_dwell", "脊柱内固定", Some(70));
    story.signal(hours(2), "page_dwell", "脊柱内固定系统", Some(60));
    story.signal(hours(5), "page_dwell", "脊柱内固定", Some(600));
    for (source, expected) in [
        ("预算万元", 380),
        ("行业潜力值", 85),
        ("采购活跃度", 2),
        ("次数(\"资料下载\")", 2),
        ("次数(\"资料下载\",\"\",30)", 1),
        ("累计(\"页面停留\",\"脊柱内固定\")", 130),
        ("拜访次数", 1),
        ("创建天数", 0),
    ] {
        assert_eq!(value(&story, source, Sort::Number), Ok(expected.into()), "{source}");
    }
    assert_eq!(value(&story, "预算匹配度", Sort::Text), Ok("已确认≥100万".into()));
    assert_eq!(value(&story, "阶段", Sort::Text), Ok("分配".into()));
    story.lead.fields.budget_max_fen = None;
    assert_eq!(value(&story, "预算匹配度", Sort::Text), Ok("待确认".into()));
    let missing = |name: &str| Err(Undetermined::Missing([name.to_owned()].into()));
    assert_eq!(value(&story, "预算万元", Sort::Number), missing("预算万元"));
    story.lead.fields.industry = Some("矿业".into());
    assert_eq!(value(&story, "行业潜力值", Sort::Number), missing("行业潜力值"));
}

/// C11: 待确认 and 待定 say nothing; C47: neither does a tag past its time.
#[test]
fn what_says_nothing_counts_as_nothing() {
    let mut story = whole();
    story.lead.fields.purchase_timing = Some(" 待定 ".into());
    assert_eq!(value(&story, "有明确采购时间表", Sort::Truth), Ok(false.into()));
    story.lead.tags.insert("集采".into(), Tag { expires_ms: Some(hours(4)) });
    story.lead.tags.insert("急".into(), Tag { expires_ms: Some(hours(3)) });
    assert_eq!(value(&story, "标签", Sort::Text), Ok("集采".into()));
}

/// C34: in a row means since somebody was reached.
#[test]
fn failed_contacts_count_since_somebody_was_reached() {
    let mut story = Story::new();
    let failed = |story: &Story| value(story, "连续未接通次数", Sort::Number);
    for hour in [-9, -8] {
        story.touch(hours(hour), LI, Direction::Out, Outcome::NoReply);
    }
    assert_eq!(failed(&story), Ok(2.into()));
    let visit = Visit { visited_at_ms: Some(hours(-6)), ..Visit::default() };
    story.event(hours(2), LI, Event::Visit(visit));
    assert_eq!(failed(&story), Ok(0.into()));
    story.touch(hours(-5), LI, Direction::Out, Outcome::NoReply);
    assert_eq!(failed(&story), Ok(1.into()));
}

/// A judgement of a moment that is past does not know what came after it.
#[test]
fn what_came_later_is_not_counted() {
    let mut story = whole();
    story.visit(hours(9), LI, "");
    story.evidence(hours(9), "图.png", "image/png");
    for (source, expected) in [("拜访次数", 1), ("证据数", 0)] {
        assert_eq!(value(&story, source, Sort::Number), Ok(i64::from(expected).into()), "{source}");
    }
}
