use super::*;
use crate::rules::Says;
use crate::rules::radar::assess_radar;

const PAGE: &str = include_str!("../../../../docs/rules/radar.md");

#[test]
fn the_page_tells_what_is_so() {
    let rows = super::table(PAGE, "| First contact |");
    assert_eq!(rows.len(), 2);
    for row in rows {
        let [contact, downloads, industry, scores] = row[..] else { panic!("{row:?}") };
        let mut story = Story::new();
        story.touch(
            hours(contact.trim_end_matches(" h").parse().unwrap()),
            LI,
            Direction::Out,
            Outcome::NoReply,
        );
        for _ in 0..downloads.parse().unwrap() {
            story.signal(hours(1), "download", "", None);
        }
        story.lead.fields.industry = Some(industry.into());
        let said = assess_radar(&story.at(hours(5))).says.so().unwrap().clone();
        let shown: Vec<_> = said.dimensions.iter().map(|d| d.score.so().unwrap().to_string()).collect();
        assert_eq!(shown.join(", "), scores, "{row:?}");
        assert_eq!(said.lowest, Some(0));
    }
}

#[test]
fn what_may_still_come_says_nothing() {
    let story = Story::new();
    let said = assess_radar(&story.at(hours(1))).says.so().unwrap().clone();
    assert!(matches!(said.dimensions[1].score, Says::Undetermined(_)));
    assert!(matches!(said.dimensions[3].score, Says::Undetermined(_)));
    assert_eq!(assess_radar(&story.at(hours(3))).says.so().unwrap().dimensions[1].score, Says::So(0));
}
