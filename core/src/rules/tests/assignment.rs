use super::*;
use crate::ids::TeamId;
use crate::rules::assignment::{AssignmentPlan, Candidate, plan_assignment};

const PAGE: &str = include_str!("../../../../docs/rules/assignment.md");

fn candidate(user: u8, teams: &[&str], leads: bool) -> Candidate {
    Candidate {
        user: UserId([user; 8]),
        team: Some(TeamId([user; 8])),
        team_names: teams.iter().map(|name| (*name).to_owned()).collect(),
        leads,
        leads_company: leads && teams == ["总部"],
        open_leads: 0,
        results_fen: None,
        renewal_bp: None,
        complaint_bp: None,
        completion_bp: None,
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
        rep.results_fen = Some(results);
        rep.open_leads = open;
    }
    let said = plan(&story, &reps);
    assert_eq!((said.node.as_deref(), said.to), (Some("新能源汽车大额"), Some(UserId([2; 8]))));
    reps.reverse();
    assert_eq!(plan(&story, &reps), said, "the order in which they are known decides nothing");

    let mut story = Story::new();
    story.policies.add(at(crate::policy::Pack::Education.policy().unwrap()));
    let quality = |n, renewal, complaint, open| Candidate {
        renewal_bp: renewal,
        complaint_bp: complaint,
        open_leads: open,
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
