use super::*;
use crate::document::{Conflict, ConflictValue, Path};
use crate::model::Attitude;
use crate::rules::chain::{ChainGraph, Person, assess_chain};

const PAGE: &str = include_str!("../../../../docs/rules/chain.md");

fn graph(story: &Story, now_ms: i64) -> ChainGraph {
    assess_chain(&story.at(now_ms)).says.so().unwrap().clone()
}

fn person(story: &Story, name: &str, now_ms: i64) -> Person {
    graph(story, now_ms).people.into_iter().find(|person| person.name == name).unwrap()
}

/// S2: what was recorded of each.
#[test]
fn the_page_tells_what_is_so() {
    let note = PAGE.split('「').nth(1).unwrap().split('」').next().unwrap();
    let rows = super::table(PAGE, "| Contact |");
    assert_eq!(rows.len(), 3);
    let mut story = Story::new();
    for row in &rows {
        story.contact(row[0], row[0], "");
    }
    let visit = story.visit(hours(1), LI, note);
    for row in rows {
        let told = person(&story, row[0], hours(2));
        let attitude = Attitude::said(row[1]).unwrap();
        assert_eq!((told.attitudes, told.told_by), ([attitude].into(), Some(visit)), "{row:?}");
    }
    assert!(graph(&story, hours(2)).complete);
}

#[test]
fn roles_stand_in_their_order_and_open_ones_are_named() {
    let mut story = Story::new();
    story.contact("周", "设备科采购", "");
    story.contact("吴", "信息科主任", "支持");
    story.contact("郑", "院长", "观望");
    story.contact("王", "司机", "支持");
    let graph = graph(&story, hours(1));
    let roles: Vec<_> =
        graph.people.iter().map(|person| (person.name.as_str(), person.role.as_deref())).collect();
    assert_eq!(roles, [("郑", Some("院长")), ("吴", Some("信息科")), ("周", Some("采购办")), ("王", None)]);
    assert_eq!(graph.open_roles, ["临床科室", "医保办"]);
    // C13: the dean's pool is not the buyer's.
    let pools: Vec<_> = graph.people.iter().map(|person| person.pool.as_deref()).collect();
    assert_eq!(pools, [Some("院级"), None, Some("采购"), None]);
    assert!(graph.complete, "three roles have an attitude, one of their own counts");
}

#[test]
fn where_two_people_differ_both_are_shown() {
    let mut story = Story::new();
    let id = story.contact("郑", "院长", "支持");
    let value = |value: &str| ConflictValue {
        value: value.into(),
        user: LI,
        device: DeviceId([1; 8]),
        at: Occurred { at_ms: hours(1), doubt_ms: 0 },
    };
    let path = Path { field: "contacts".into(), key: Some(id.to_string()), name: Some("attitude".into()) };
    story.lead.conflicts.push(Conflict { path, values: vec![value("支持"), value("反对")] });
    assert_eq!(person(&story, "郑", hours(2)).attitudes, [Attitude::For, Attitude::Against].into());
}

#[test]
fn what_somebody_chose_stands_before_what_was_told_and_the_last_word_counts() {
    let mut story = Story::new();
    story.contact("郑院长", "", "");
    story.visit(hours(1), LI, "郑院长认可方案，预算还要看");
    story.visit(hours(5), LI, "跟采购办谈了价格，采购办不同意");
    story.visit(hours(3), LI, "郑院长质疑交期");
    assert_eq!(person(&story, "郑院长", hours(9)).attitudes, [Attitude::Against].into());
    assert_eq!(person(&story, "郑院长", hours(2)).attitudes, [Attitude::For].into());
    let chosen = story.contact("郑院长", "院长", "观望");
    story.lead.contacts.retain(|id, _| *id == chosen);
    assert_eq!(person(&story, "郑院长", hours(9)).attitudes, [Attitude::Waiting].into());
    // C54: after a week it is to be confirmed again.
    assert!(!person(&story, "郑院长", days(7)).stale);
    assert!(person(&story, "郑院长", days(8)).stale);
}

/// Design decision 9: the people of an account that is not held are not known, so nothing can be said of the chain; that they are missing
/// cannot be said either.
#[test]
fn the_people_of_an_account_that_is_not_held_are_not_known() {
    let mut story = Story::new();
    story.contact("王主任", "科主任", "支持");
    assert!(assess_chain(&story.at(hours(1))).says.so().is_some());
    story.lead.fields.account = Some(DocId([8; 16]));
    let says = assess_chain(&story.at(hours(1))).says;
    let crate::rules::Says::Undetermined(unknown) = says else { panic!("{says:?}") };
    assert_eq!(unknown.names.iter().collect::<Vec<_>>(), ["客户档案"]);
    let card = crate::rules::scores::assess_scores(&story.at(hours(1))).says.so().unwrap().card.clone();
    assert_eq!(card.open, ["决策链"], "it is open, and no deduction");
}
