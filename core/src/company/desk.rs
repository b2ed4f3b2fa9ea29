//! The desk of a round of the rules: the company's people as its rules ask for them, who may be given leads with what is known of their work,
//! the policy, and who is told of what.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::{Company, CompanyError, TeamRow, UserRow};
use crate::access::Role;
use crate::ids::{TeamId, UserId};
use crate::model::{DirectoryModel, DirectoryUser};
use crate::policy::{PolicyHistory, Who};
use crate::rules::assignment::Candidate;
use crate::rules::results::Tally;

/// What a round knows of the company.
pub(super) struct Desk<'a> {
    users: BTreeMap<UserId, UserRow>,
    teams: BTreeMap<TeamId, TeamRow>,
    pub people: DirectoryModel,
    pub candidates: Vec<Candidate>,
    pub policies: Arc<PolicyHistory>,
    pub zone: &'a TimeZone,
}

impl Company {
    /// Reads what a round needs.
    pub(super) fn desk<'a>(&self, zone: &'a TimeZone, now_ms: i64) -> Result<Desk<'a>, CompanyError> {
        let users: BTreeMap<UserId, UserRow> = self.users()?.into_iter().collect();
        let teams: BTreeMap<TeamId, TeamRow> = self.teams()?.into_iter().collect();
        let person = |(id, row): (&UserId, &UserRow)| {
            let user = DirectoryUser { role: Some(row.role.name().to_owned()), ..DirectoryUser::default() };
            (*id, user)
        };
        let people =
            DirectoryModel { users: users.iter().map(person).collect(), ..DirectoryModel::default() };
        let mut desk =
            Desk { people, candidates: Vec::new(), policies: self.policies()?, users, teams, zone };
        let days =
            desk.policies.at(now_ms).policy.as_ref().map_or(1, |policy| policy.assignment.results_days);
        let results = self.results(days, now_ms)?;
        // Who has sold nothing, where others have, is known to have sold nothing.
        let sold = results.values().any(|results| results.won_fen.is_some());
        let unknown = Tally::default().results(sold);
        let sells = |role: Role| matches!(role, Role::Rep | Role::Manager | Role::Director);
        for (id, row) in desk.users.iter().filter(|(_, row)| row.active && sells(row.role)) {
            let teams = desk.chain_of(row.team);
            let candidate = Candidate {
                user: *id,
                team: row.team,
                leads: teams.iter().any(|(_, team)| team.leaders.contains(id)),
                leads_company: row.role == Role::Director,
                team_names: teams.into_iter().map(|(_, team)| team.name.clone()).collect(),
                results: results.get(id).copied().unwrap_or(unknown),
            };
            desk.candidates.push(candidate);
        }
        Ok(desk)
    }
}

impl Desk<'_> {
    /// A lead was somebody's work and is somebody else's.
    pub fn moves(&mut self, (from, to): (Option<UserId>, Option<UserId>)) {
        for candidate in self.candidates.iter_mut().filter(|_| from != to) {
            let more = i32::from(Some(candidate.user) == to) - i32::from(Some(candidate.user) == from);
            let open = &mut candidate.results.open_leads;
            *open = open.saturating_add_signed(more);
        }
    }

    /// A team and those above it. Bounded against a circle in a damaged store.
    fn chain_of(&self, team: Option<TeamId>) -> Vec<(TeamId, &TeamRow)> {
        let (mut chain, mut next) = (Vec::new(), team);
        while let Some((id, row)) = next.and_then(|id| Some((id, self.teams.get(&id)?))) {
            if chain.iter().any(|(known, _)| *known == id) {
                break;
            }
            chain.push((id, row));
            next = row.parent;
        }
        chain
    }

    /// Who is told. Whom the company has no people for is left to the receiver. 主管 is whoever leads the nearest team and is not the owner;
    /// 总监 whoever leads the next one above; where no team has anybody, the company's directors.
    pub fn who(&self, tell: &[Who], owner: Option<UserId>) -> Vec<UserId> {
        let team = owner.and_then(|owner| self.users.get(&owner)?.team);
        let is_active = |user: &UserId| self.users.get(user).is_some_and(|row| row.active);
        let leaders = |team: &TeamRow| -> Vec<UserId> {
            let leaders = team.leaders.iter().filter(|user| is_active(user) && Some(**user) != owner);
            leaders.copied().collect()
        };
        let chain = self.chain_of(team).into_iter().map(|(_, team)| leaders(team));
        let mut above = chain.filter(|leaders| !leaders.is_empty());
        let directors = || -> Vec<UserId> {
            let all = self.users.iter().filter(|(_, row)| row.active && row.role == Role::Director);
            all.map(|(id, _)| *id).collect()
        };
        let supervisors = above.next().unwrap_or_else(directors);
        let next = above.next().unwrap_or_else(directors);
        let mut told: Vec<UserId> = Vec::new();
        for who in tell {
            match who {
                Who::Owner => told.extend(owner),
                Who::Supervisor => told.extend(&supervisors),
                Who::Director => told.extend(&next),
                Who::CustomerService | Who::Delivery => {}
            }
        }
        told.sort_unstable();
        told.dedup();
        told
    }
}
