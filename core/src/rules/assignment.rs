//! 线索分配 (C15–C17, C20): to whom a lead goes, by the nodes of the policy. The server alone knows the candidates and records the decision.

use std::cmp::Reverse;

use super::facts::Facts;
use super::known::KnownOf;
use super::results::Results;
use super::verdict::{Unknown, Verdict};
use crate::ids::{TeamId, UserId};
use crate::policy::formula::{Counted, Known, Term, Value};
use crate::policy::{Policy, Route};

/// A rep to whom a lead may go, as the server knows them at the moment of the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub user: UserId,
    /// In which team.
    pub team: Option<TeamId>,
    /// What the team is called, with those above it.
    pub team_names: Vec<String>,
    /// Whether they lead their team.
    pub leads: bool,
    /// 总监: whether they lead the company.
    pub leads_company: bool,
    /// What is known of their work.
    pub results: Results,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentPlan {
    /// 优先级, the best of the nodes that hold.
    pub priority: Option<String>,
    /// The node that sent the lead somewhere.
    pub node: Option<String>,
    /// To whom; `None`: nobody fits, and it waits.
    pub to: Option<UserId>,
    /// Why, in Chinese: for the record of the decision.
    pub reason: String,
}

/// To whom the lead goes. A node that cannot be judged is passed over, and named in the reason: a lead waits for nobody's answer.
pub fn plan_assignment(facts: &Facts<'_>, candidates: &[Candidate]) -> Verdict<AssignmentPlan> {
    let plan = || -> Result<AssignmentPlan, Unknown> {
        let (_, policy) = facts.policy()?;
        Ok(plan(facts, policy, candidates))
    };
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: plan().into() }
}

fn plan(facts: &Facts<'_>, policy: &Policy, candidates: &[Candidate]) -> AssignmentPlan {
    let known = KnownOf::new(facts, policy);
    let (mut priority, mut open) = (None::<String>, Vec::new());
    let mut sent: Option<(&str, UserId)> = None;
    for node in &policy.assignment.nodes {
        match node.when.holds(&known) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(why) => {
                let names: Vec<String> = Unknown::from(why).names.into_iter().collect();
                open.push(format!("“{}”缺少{}", node.name, names.join("、")));
                continue;
            }
        }
        if let Some(given) = &node.priority {
            // A comes before B.
            priority = Some(priority.map_or(given.clone(), |before| before.min(given.clone())));
        }
        if let (None, Some(route)) = (sent, &node.to) {
            // A node whose people are all out of the question leaves the lead to the next.
            sent = best(facts, route, candidates).map(|user| (node.name.as_str(), user));
        }
    }
    let mut reason = sent.map_or("没有合适的负责人".to_owned(), |(node, _)| format!("节点“{node}”"));
    if !open.is_empty() {
        reason = format!("{reason}；{}", open.join("；"));
    }
    AssignmentPlan {
        priority,
        node: sent.map(|(node, _)| node.to_owned()),
        to: sent.map(|(_, user)| user),
        reason,
    }
}

/// Of those whom a route allows the one with the fewest open leads; of equal ones the better results, then the smaller id.
fn best(facts: &Facts<'_>, route: &Route, candidates: &[Candidate]) -> Option<UserId> {
    let province = facts.lead.fields.province.as_deref().map(str::trim).unwrap_or_default();
    let in_team = |candidate: &Candidate| match (&route.team, route.by_province) {
        (_, true) => !province.is_empty() && candidate.team_names.iter().any(|name| name.contains(province)),
        (Some(team), false) => candidate.team_names.iter().any(|name| name == team),
        (None, false) => true,
    };
    let in_company = route.team.is_none() && !route.by_province;
    let allowed = |candidate: &&Candidate| {
        in_team(candidate)
            // Straight to whoever leads means, of no team in particular, the company's.
            && match (route.leader, in_company) {
                (true, true) => candidate.leads_company,
                (true, false) => candidate.leads,
                (false, _) => !candidate.leads && !candidate.leads_company,
            }
            && route.load_below.is_none_or(|below| candidate.results.open_leads < below)
            // Who cannot be judged by what the company asks for does not pass.
            && route.only.as_ref().is_none_or(|only| only.holds(&KnownRep(&candidate.results)) == Ok(true))
    };
    let mut fitting: Vec<&Candidate> = candidates.iter().filter(allowed).collect();
    // The best are those who sold as much as the last of so many. Of whom nobody sold anything nobody is the best, and the load decides.
    let mut sold: Vec<i64> =
        fitting.iter().filter_map(|c| c.results.won_fen.filter(|fen| *fen > 0)).collect();
    sold.sort_unstable_by_key(|fen| Reverse(*fen));
    if let Some(least) = route.top.and_then(|top| sold.get(top.min(sold.len()).checked_sub(1)?)) {
        fitting.retain(|candidate| candidate.results.won_fen >= Some(*least));
    }
    fitting
        .into_iter()
        .min_by_key(|c| (c.results.open_leads, Reverse(c.results.won_fen), c.user))
        .map(|candidate| candidate.user)
}

/// What formulas may say of a rep ([`crate::policy::terms::REP`]).
struct KnownRep<'a>(&'a Results);

impl Known for KnownRep<'_> {
    fn name(&self, term: &Term) -> Option<Value> {
        let hundredths = |number: i64| Value::Number(rust_decimal::Decimal::new(number, 2));
        let per_cent = |bp: Option<u32>| bp.map(|bp| hundredths(bp.into()));
        match term.english {
            "open_leads" => Some(i64::from(self.0.open_leads).into()),
            // Fen in 万元: a million of them.
            "results_wan" => self.0.won_fen.map(|fen| Value::Number(rust_decimal::Decimal::new(fen, 6))),
            "renewal_rate" => per_cent(self.0.renewal_bp),
            "complaint_rate" => per_cent(self.0.complaint_bp),
            "completion_rate" => per_cent(self.0.completion_bp),
            _ => None,
        }
    }

    fn signals(&self, _: &Counted) -> Option<rust_decimal::Decimal> {
        None
    }
}
