use super::*;
use crate::playbook::{LostDeal, Playbook};
use crate::rules::similar::find_similar;

const PAGE: &str = include_str!("../../../../docs/rules/playbook.md");

/// C94: the page's example.
#[test]
fn the_page_tells_which_lost_deals_are_like_a_lead() {
    let rows = super::table(PAGE, "| 丢单 | 设备 |");
    assert_eq!(rows.len(), 5);
    let filled = |cell: &str| if cell == "—" { String::new() } else { cell.to_owned() };
    let mut book = Playbook::default();
    for row in &rows {
        let deal = LostDeal {
            id: row[0].to_owned(),
            equipment: filled(row[1]),
            brand: filled(row[2]),
            industry: filled(row[3]),
            budget_fen: row[4].parse::<i64>().ok().map(|wan| wan * 1_000_000),
            tags: Some(filled(row[5])).filter(|tag| !tag.is_empty()).into_iter().collect(),
            day: "2026-03-01".into(),
            ..LostDeal::default()
        };
        book.lost_deals.insert(deal.id.clone(), deal);
    }
    let mut story = Story::new();
    let fields = &mut story.lead.fields;
    fields.equipment = Some("CT".into());
    fields.brand = Some("联影".into());
    fields.need = Some("采购".into());
    fields.industry = Some("三级医院".into());
    fields.budget_max_fen = Some(380_000_000);
    story.visit(hours(1), LI, "他说上次报价太贵");
    let said = find_similar(&story.at(hours(2)), &book).says.so().unwrap().clone();
    let told: Vec<(String, String)> =
        said.into_iter().map(|similar| (similar.deal.id, similar.because.join("、"))).collect();
    let mut expected: Vec<(u32, String, String)> = rows
        .iter()
        .filter_map(|row| Some((row[6].parse().ok()?, row[0].to_owned(), row[7].to_owned())))
        .collect();
    expected.sort();
    let expected: Vec<(String, String)> = expected.into_iter().map(|(_, id, why)| (id, why)).collect();
    assert_eq!(told, expected);
}

#[test]
fn of_a_lead_of_which_nothing_is_known_nothing_is_like_it() {
    let deal = LostDeal { id: "a".into(), equipment: "CT".into(), ..LostDeal::default() };
    let book = Playbook { lost_deals: [("a".to_owned(), deal)].into(), ..Playbook::default() };
    let story = Story::new();
    assert!(find_similar(&story.at(hours(1)), &book).says.so().unwrap().is_empty());
}
