//! Documents that follow their people: when somebody changes teams or roles, or a team moves below another, what they own (and what waits
//! in a team's pool) changes channels. A server that stops on the way goes on when it starts.

use std::collections::BTreeSet;

use super::leads::pool_of;
use super::rows::Header;
use super::{Company, CompanyError, keys};
use crate::access::Channel;
use crate::ids::{DocId, DocKind, TeamId, UserId};
use crate::limits;
use crate::store::{Batch, Direction, Range};

impl Company {
    /// Brings every document of a user's or a team's channel into the channels that follow from its people now. Returns the channels with
    /// news.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn follow(&self, channel: Channel) -> Result<BTreeSet<Channel>, CompanyError> {
        let mut touched = BTreeSet::new();
        let due = self.store.get(&keys::retie(channel))?;
        let prefix = keys::members(channel);
        let mut range = Range::prefix(&prefix);
        loop {
            let page = self.store.scan(&range, Direction::Forward, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            range = Range::prefix_after(&prefix, last);
            for id in page.iter().filter_map(|(key, _)| keys::parse_member(key)) {
                let (news, _) = self.transact(|| self.plan_following(id))?;
                touched.extend(news);
            }
        }
        if due.is_some() {
            let mut batch = Batch::new();
            batch.guard(keys::retie(channel), due).delete(keys::retie(channel));
            // When the guard fails somebody has changed the people again, and does this again.
            self.store.commit_one(batch)?;
        }
        Ok(touched)
    }

    fn plan_following(&self, id: DocId) -> Result<(Batch, BTreeSet<Channel>), CompanyError> {
        let nothing = Ok((Batch::new(), BTreeSet::new()));
        let Some(header) = self.header(id)? else { return nothing };
        let (owners, pool) = self.holders(id, &header)?;
        if owners.is_empty() && pool.is_none() {
            return nothing;
        }
        let people = self.ties_now(&owners, pool)?;
        if people.ties == header.access() {
            return nothing;
        }
        let mut batch = Batch::new();
        people.guard(&mut batch);
        let news = self.plan_retie(&mut batch, id, &people.ties)?;
        Ok((batch, news))
    }

    /// Whom a document belongs to: its owners, or the team in whose pool its lead waits.
    fn holders(&self, id: DocId, header: &Header) -> Result<(Vec<UserId>, Option<TeamId>), CompanyError> {
        let owners: Vec<UserId> = header.owners.iter().map(|(user, _)| *user).collect();
        if !owners.is_empty() {
            return Ok((owners, None));
        }
        let parent = header.origin.as_ref().and_then(|origin| DocId::from_slice(&origin.parent));
        let Some(lead) = parent.or(Some(id)).filter(|lead| lead.kind() == Some(DocKind::Lead)) else {
            return Ok((owners, None));
        };
        match self.load(DocId::ruling_of(lead)) {
            Ok(ruling) => Ok((owners, pool_of(&ruling))),
            Err(CompanyError::Unknown { .. }) => Ok((owners, None)),
            Err(other) => Err(other),
        }
    }

    /// Goes on with what a server that stopped had begun.
    pub(super) fn finish_following(self) -> Result<Self, CompanyError> {
        for (key, _) in
            self.store.scan(&Range::prefix(keys::RETIES), Direction::Forward, limits::SCAN_MAX_ROWS)?
        {
            if let Some(channel) = key.get(keys::RETIES.len()..).and_then(Channel::of_people) {
                self.follow(channel)?;
            }
        }
        Ok(self)
    }
}

/// Documents moved between two looks at the store.
const PAGE: usize = 256;
