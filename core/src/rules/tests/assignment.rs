use super::*;
use crate::ids::TeamId;
use crate::rules::assignment::{AssignmentPlan, Candidate, plan_assignment};
use crate::rules::outcome::LeadOutcome;
use crate::rules::results::{Results, Tally};

const PAGE: &str = include_str!("../../../../docs/rules/assignment.md");

fn candidate(user: u8, teams: &[&str], leads: bool) -> Candidate {
    Candidate {
        user: UserId([user; 8]),
        team: Some(TeamId([user; 8])),
        team_names: teams.iter().map(|name| (*name).to_owned()).collect(),
        leads,
        leads_company: leads && teams == ["总部"],
        results: Results::default(),
    }
}

fn plan(story: &Story, candidates: &[Candidate]) -> AssignmentPlan {
    plan_assignment(&story.at(hours(1)), candidates).says.so().unwrap().clone()
}

#[test]
fn the_page_tells_what_is_so() {
    let rows = super::table(PAGE, "| Lead | Priority |");
    assert_eq!(rows.len(), 4);
    let people = ["周", "吴", "郑", "孙"];
    let candidates = [
        candidate(1, &["杭州组"], false),
        candidate(2, &["杭州组"], false),
        candidate(3, &["江苏战区"], false),
        candidate(4, &["总部"], true),
        // Who leads a team is no director.
        candidate(5, &["杭州组"], true),
    ];
    for row in rows {
        let mut story = Story::new();
        for field in row[0].split(", ") {
            let (name, value) = field.split_once('=').unwrap();
            let fields = &mut story.lead.fields;
            match name {
                "source" => fields.source = Some(value.into()),
                "region_code" => fields.region_code = Some(value.into()),
                "province" => fields.province = Some(value.into()),
                "budget" => fields.budget_max_fen = Some(value.parse::<i64>().unwrap() * 1_000_000),
                other => panic!("{other}"),
            }
        }
        let said = plan(&story, &candidates);
        let to = people[usize::from(said.to.unwrap().0[0]) - 1];
        let shown = [said.priority.as_deref().unwrap_or("—"), said.node.as_deref().unwrap_or("—"), to];
        assert_eq!(shown, row[1..], "{row:?}");
    }
}

#[test]
fn a_node_that_cannot_be_judged_is_named_and_holds_nobody_up() {
    let mut story = Story::new();
    story.lead.fields.region_code = Some("浙A".into());
    let said = plan(&story, &[candidate(1, &["杭州组"], false)]);
    assert_eq!(said.reason, "节点“浙A归杭州组”；“大额直送总监”缺少预算万元");
    // Nobody of the team is there: the next node has somebody.
    let said = plan(&story, &[candidate(3, &["江苏战区"], false)]);
    assert_eq!((said.node.as_deref(), said.to), (Some("其余"), Some(UserId([3; 8]))));
    assert_eq!(plan(&story, &[]).to, None);
}

/// C16: one of the three best; C20: by quality and load.
#[test]
fn the_best_and_the_least_loaded_get_it() {
    let mut story = Story::new();
    story.policies = PolicyHistory::shipped();
    let policy = crate::policy::Pack::Manufacturing.policy().unwrap();
    let at = |policy| PolicyAt {
        id: EntryId([5; 16]),
        effective_from_ms: 0,
        published_ms: 0,
        by: ZHAO,
        note: String::new(),
        policy: Some(std::sync::Arc::new(policy)),
    };
    story.policies.add(at(policy));
    let fields = &mut story.lead.fields;
    fields.source = Some("官网表单".into());
    fields.industry = Some("新能源汽车零部件".into());
    fields.province = Some("江苏".into());
    fields.budget_max_fen = Some(50_000_000);
    let mut reps: Vec<_> = (1..=5).map(|n| candidate(n, &["江苏战区"], false)).collect();
    for (rep, (results, open)) in reps.iter_mut().zip([(5, 9), (4, 2), (3, 7), (2, 0), (1, 0)]) {
        rep.results.won_fen = Some(results);
        rep.results.open_leads = open;
    }
    let said = plan(&story, &reps);
    assert_eq!((said.node.as_deref(), said.to), (Some("新能源汽车大额"), Some(UserId([2; 8]))));
    reps.reverse();
    assert_eq!(plan(&story, &reps), said, "the order in which they are known decides nothing");
    // Where nobody of the region has sold anything the load decides, and of equals all are among the best.
    for rep in &mut reps {
        rep.results.won_fen = Some(0);
    }
    assert_eq!(plan(&story, &reps).to, Some(UserId([4; 8])));
    for rep in &mut reps {
        rep.results.won_fen = Some(7);
    }
    assert_eq!(plan(&story, &reps).to, Some(UserId([4; 8])));

    let mut story = Story::new();
    story.policies.add(at(crate::policy::Pack::Education.policy().unwrap()));
    let quality = |n, renewal_bp, complaint_bp, open_leads| Candidate {
        results: Results { renewal_bp, complaint_bp, open_leads, ..Results::default() },
        ..candidate(n, &[], false)
    };
    let reps = [
        quality(1, Some(7_500), Some(100), 0),
        quality(2, Some(9_000), Some(200), 0),
        quality(3, None, Some(100), 0),
        quality(4, Some(7_600), Some(199), 40),
        quality(5, Some(7_600), Some(199), 39),
    ];
    assert_eq!(plan(&story, &reps).to, Some(UserId([5; 8])));
}

/// What is known of a rep is folded from the outcomes of their leads.
#[test]
fn the_page_tells_what_is_known_of_a_rep() {
    let now_ms = days(400);
    let lead = |of: &str| {
        let mut lead = LeadOutcome { first_contact_ms: Some(days(1)), ..LeadOutcome::default() };
        for word in of.split('，') {
            match word.split_once('：').unwrap_or((word, "")) {
                ("成交", at) => {
                    let (day, wan) = at.split_once('天').unwrap();
                    lead.won_ms = Some(now_ms - days_of(day));
                    lead.won_fen = wan.trim_end_matches('万').parse::<i64>().ok().map(|wan| wan * 1_000_000);
                }
                ("续约", at) => lead.renewals.push(now_ms - days_of(at)),
                ("投诉", at) => lead.complaints.push(now_ms - days_of(at)),
                ("按时", at) => lead.dues.push((now_ms - days_of(at), true)),
                ("逾期", at) => lead.dues.push((now_ms - days_of(at), false)),
                ("未联系", _) => lead.first_contact_ms = None,
                other => panic!("{other:?}"),
            }
        }
        lead
    };
    let rows = super::table(PAGE, "| 负责人 | 线索 |");
    assert_eq!(rows.len(), 3);
    let tallies: Vec<Tally> = rows
        .iter()
        .map(|row| {
            let mut tally = Tally::default();
            row[1].split('；').filter(|of| *of != "—").for_each(|of| tally.count(&lead(of), 365, now_ms));
            tally
        })
        .collect();
    let anybody_sold = tallies.iter().any(|tally| tally.won_fen > 0);
    let share = |bp: Option<u32>| bp.map_or("—".to_owned(), |bp| format!("{}.{:02}%", bp / 100, bp % 100));
    for (row, tally) in rows.iter().zip(&tallies) {
        let known = tally.results(anybody_sold);
        let sold = known.won_fen.map_or("—".to_owned(), |fen| (fen / 1_000_000).to_string());
        let told = [sold, share(known.renewal_bp), share(known.complaint_bp), share(known.completion_bp)];
        assert_eq!(row[2..6], told, "{row:?}");
    }
    assert_eq!(
        Tally::default().results(false),
        Results::default(),
        "nobody sold anything: nobody's sales are known"
    );
}

fn days_of(text: &str) -> i64 {
    text.trim_end_matches('天').parse::<i64>().unwrap() * 24 * 3_600_000
}
