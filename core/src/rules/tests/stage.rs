use super::*;
use crate::model::Approval;
use crate::rules::Says;
use crate::rules::stage::{ProposalVerdict, StageView, assess_stage, missing_for_next};

const PAGE: &str = include_str!("../../../../docs/rules/stage.md");

fn view(story: &Story, now_ms: i64) -> StageView {
    match assess_stage(&story.at(now_ms)).says {
        Says::So(view) => view,
        Says::Undetermined(unknown) => panic!("{unknown:?}"),
    }
}

fn lacks(what: &[&str]) -> ProposalVerdict {
    ProposalVerdict::Lacks(what.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn the_page_tells_what_is_so() {
    let rows = super::table(PAGE, "| What is there |");
    assert_eq!(rows.len(), 4);
    for row in rows {
        let [there, stage, missing] = row[..] else { panic!("{row:?}") };
        let mut story = Story::new();
        story.lead.fields.budget_max_fen = Some(38_000_000_000 / 100);
        story.visit(hours(1), LI, "");
        story.propose(hours(2), "screening");
        story.propose(hours(3), "solution");
        story.propose(hours(10), "quotation");
        for (at, thing) in there.split(", ").enumerate() {
            let at_ms = hours(5 + at as i64);
            match thing {
                "—" => {}
                "a reply" => {
                    story.touch(at_ms, LI, Direction::In, Outcome::Reached);
                }
                name => {
                    story.evidence(at_ms, name, "application/pdf");
                }
            }
        }
        let view = view(&story, hours(20));
        let name = story.policies.at(0).policy.as_ref().unwrap().stage(&view.stage).unwrap().name.clone();
        let said = match &view.proposals[2].verdict {
            ProposalVerdict::Lacks(missing) => missing.join("、"),
            ProposalVerdict::Counts { .. } => "—".into(),
            other => panic!("{other:?}"),
        };
        assert_eq!((name.as_str(), said.as_str()), (stage, missing), "{row:?}");
    }
}

#[test]
fn evidence_that_comes_late_moves_the_lead_where_it_would_have_been() {
    let mut story = Story::new();
    story.lead.fields.budget_max_fen = Some(100_000_000);
    story.visit(hours(1), LI, "");
    story.propose(hours(2), "screening");
    story.propose(hours(3), "solution");
    story.propose(hours(4), "quotation");
    let waiting = view(&story, hours(30));
    assert_eq!((waiting.stage.as_str(), waiting.since_ms), ("solution", Some(hours(3))));
    assert_eq!(waiting.proposals[2].verdict, lacks(&["名称含 Quotation 的 PDF 报价单", "客户的回复"]));
    story.evidence(hours(5), "智康_quotation_v2.pdf", "application/pdf");
    story.touch(hours(6), LI, Direction::In, Outcome::Reached);
    let there = view(&story, hours(30));
    assert_eq!((there.stage.as_str(), there.since_ms), ("quotation", Some(hours(6))));
    // Seen from before the reply it had not come.
    assert_eq!(view(&story, hours(5)).stage, "solution");
    // What was taken back is missing again.
    story.lead.evidence.clear();
    assert_eq!(view(&story, hours(30)).stage, "solution");
}

#[test]
fn what_is_not_held_is_undetermined_and_what_is_missing_for_sure_is_missing() {
    let mut story = Story::new();
    story.table = None;
    story.propose(hours(1), "contract");
    assert_eq!(view(&story, hours(2)).proposals[0].verdict, lacks(&["合同扫描件"]));
    story.evidence(hours(1), "合同.jpg", "image/jpeg");
    let ProposalVerdict::Undetermined(unknown) = &view(&story, hours(2)).proposals[0].verdict else {
        panic!()
    };
    assert_eq!(unknown.names.iter().collect::<Vec<_>>(), ["采购推进表"]);
    assert_eq!(view(&story, hours(2)).stage, "assigned");
}

#[test]
fn a_jump_is_told_and_to_be_lost_is_none() {
    let mut story = Story::new();
    story.lead.fields.budget_max_fen = Some(100_000_000);
    story.visit(hours(1), LI, "");
    for (at, to) in
        [(2, "screening"), (3, "solution"), (4, "screening"), (5, "lost"), (6, "solution"), (7, "谈判")]
    {
        story.propose(hours(at), to);
    }
    let view = view(&story, hours(9));
    let jumps: Vec<_> = view.proposals.iter().map(|proposal| proposal.jump).collect();
    assert_eq!(jumps, [false, false, false, false, true, false]);
    assert_eq!(view.proposals[5].verdict, ProposalVerdict::NoSuchStage);
    let mut story = Story::new();
    story.lead.fields.budget_max_fen = Some(100_000_000);
    story.visit(hours(1), LI, "");
    story.propose(hours(2), "solution");
    assert!(super::stage::view(&story, hours(9)).proposals[0].jump);
}

/// C63, C28: four levels, the supervisor's word within three days from when the server had the proposal.
#[test]
fn an_approval_counts_from_a_leader_within_its_hours() {
    let needs = r#"needs = [
  { name = "主管审批", approval = { within_hours = 72 } },
  { name = "一次拜访或线上会议", meeting = {} },"#;
    let mut story = Story::new();
    let from = "needs = [\n  { name = \"一次拜访或线上会议\", meeting = {} },";
    story.policy_from(hours(0), from, needs);
    story.lead.fields.budget_max_fen = Some(100_000_000);
    story.visit(hours(1), LI, "");
    let proposal = story.propose(hours(2), "solution");
    let approval = |approved| Event::Approval(Approval { proposal, approved, note: String::new() });
    story.event(hours(3), HAN, approval(true));
    story.event(hours(3), LI, approval(true));
    let verdict = |story: &Story| view(story, hours(99)).proposals[0].verdict.clone();
    assert_eq!(verdict(&story), lacks(&["主管审批"]), "a colleague's word is none");
    story.decide(hours(10), Decision::Received { entry: proposal });
    story.event(hours(10 + 73), ZHAO, approval(true));
    assert_eq!(verdict(&story), lacks(&["主管审批"]), "too late");
    let no = story.event(hours(10 + 72), ZHAO, approval(false));
    assert_eq!(verdict(&story), ProposalVerdict::Refused { by: no });
    story.event(hours(20), ZHAO, approval(true));
    assert_eq!(verdict(&story), ProposalVerdict::Counts { since_ms: hours(20) });
}

/// C27: at the quotation delivery says whether custom work is needed; until then the lead stays.
#[test]
fn a_task_that_blocks_keeps_the_lead_where_it_is() {
    let mut story = Story::new();
    story.lead.fields.budget_max_fen = Some(100_000_000);
    story.visit(hours(1), LI, "");
    story.propose(hours(2), "screening");
    story.propose(hours(3), "solution");
    story.evidence(hours(4), "Quotation.pdf", "application/pdf");
    story.touch(hours(5), LI, Direction::In, Outcome::Reached);
    story.propose(hours(6), "quotation");
    story.tick("decision_maker");
    story.tick("budget_approval");
    story.propose(hours(7), "contract");
    let task = "48小时内确认是否需要定制";
    assert_eq!(view(&story, hours(9)).proposals[3].verdict, lacks(&[task]));
    story.signal(hours(8), "delivery_confirmed", "", None);
    assert_eq!(view(&story, hours(9)).stage, "contract");
}

/// O13: what was proposed under an older policy is judged by it, and the difference is shown.
#[test]
fn a_proposal_is_judged_by_the_policy_that_its_author_saw() {
    let mut story = Story::new();
    story.visit(hours(1), LI, "");
    let stricter = story.policy_from(
        hours(5),
        r#"needs = [
  { name = "一次拜访或线上会议", meeting = {} },"#,
        r#"needs = [
  { name = "现场照片", evidence = { media = "image/" } },"#,
    );
    story.lead.fields.budget_max_fen = Some(100_000_000);
    story.propose(hours(2), "solution");
    let id = story.fresh();
    let proposal =
        StageProposal { to: "solution".into(), policy: Some(EntryId([0; 16])), ..StageProposal::default() };
    let at = Occurred { at_ms: hours(6), doubt_ms: 0 };
    let event = Event::StageProposal(proposal);
    story.lead.events.push(LoggedEvent { id, at, user: LI, device: DeviceId([1; 8]), event });
    story.propose(hours(7), "solution");
    let view = view(&story, hours(9));
    let judged: Vec<_> = view.proposals.iter().map(|p| (p.policy, p.under_present.clone())).collect();
    let photo = Some(vec!["现场照片".to_owned()]);
    assert_eq!(judged, [(EntryId([0; 16]), photo.clone()), (EntryId([0; 16]), photo), (stricter, None)]);
    assert!(matches!(view.proposals[1].verdict, ProposalVerdict::Counts { .. }));
    assert_eq!(view.proposals[2].verdict, lacks(&["现场照片"]));
}

/// C66.
#[test]
fn a_lead_that_stays_is_told_with_the_reason() {
    let mut story = Story::new();
    story.propose(hours(2), "screening");
    assert_eq!(view(&story, days(7)).stuck, None);
    let stuck = |story: &Story| view(story, days(9)).stuck.map(|stuck| (stuck.days, stuck.reason));
    assert_eq!(stuck(&story), Some((8, "还没有联系过客户".into())));
    story.touch(days(3), LI, Direction::Out, Outcome::NoReply);
    assert_eq!(stuck(&story), Some((8, "6天没有联系客户".into())));
    story.propose(days(4), "solution");
    assert_eq!(stuck(&story), Some((8, "缺少一次拜访或线上会议、明确的预算区间".into())));
    let missing = missing_for_next(&story.at(days(9)));
    assert_eq!(missing.so().unwrap().join("、"), "一次拜访或线上会议、明确的预算区间");
}

#[test]
fn the_order_of_arrival_decides_nothing() {
    let mut story = Story::new();
    story.lead.fields.budget_max_fen = Some(100_000_000);
    story.propose(hours(3), "solution");
    story.propose(hours(2), "screening");
    story.visit(hours(1), LI, "");
    story.propose(hours(3), "quotation");
    let one = view(&story, days(9));
    story.lead.events.reverse();
    assert_eq!(view(&story, days(9)), one);
}

/// Judged for a moment before it was attached, evidence is not there yet: figures are restated for moments that are past.
#[test]
fn evidence_of_later_shows_nothing_earlier() {
    let mut story = Story::new();
    story.tick("decision_maker");
    story.tick("budget_approval");
    story.propose(hours(1), "contract");
    story.evidence(hours(5), "合同.jpg", "image/jpeg");
    assert_eq!(view(&story, hours(4)).proposals[0].verdict, lacks(&["合同扫描件"]));
    assert_eq!(view(&story, hours(5)).stage, "contract");
}

/// O13: of two versions for one moment the author saw one, and by that one it is judged.
#[test]
fn a_proposal_is_judged_by_the_version_that_it_names_and_by_no_other_of_that_moment() {
    let mut story = Story::new();
    story.visit(hours(1), LI, "");
    let from = "needs = [\n  { name = \"一次拜访或线上会议\", meeting = {} },";
    let photo = "needs = [\n  { name = \"现场照片\", evidence = { media = \"image/\" } },";
    let seen = story.policy_from(hours(0), "stuck_after_days = 2", "stuck_after_days = 3");
    story.policy_from(hours(0), from, photo);
    story.lead.fields.budget_max_fen = Some(100_000_000);
    let proposal = StageProposal { to: "solution".into(), policy: Some(seen), ..StageProposal::default() };
    story.event(hours(2), LI, Event::StageProposal(proposal));
    let judged = view(&story, hours(3)).proposals.remove(0);
    assert_eq!((judged.policy, judged.verdict), (seen, ProposalVerdict::Counts { since_ms: hours(2) }));
}
