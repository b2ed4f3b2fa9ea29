//! How far a manager's hand reaches: over the teams that they lead and those below, over nobody else's people or leads. Whoever the access
//! table lets read the whole company is not bounded here.

use std::collections::BTreeSet;

use fieldbook_core::access::{Person, Relation, Role};
use fieldbook_core::company::CompanyError;
use fieldbook_core::ids::{DocId, TeamId, UserId};

use super::ApiError;
use crate::app::App;

/// Demands that `person` may put leads on this user or into this team's pool.
///
/// # Errors
/// 403 for a manager beyond their teams, 404 for what does not exist.
pub(super) fn may_place(
    app: &App,
    person: &Person,
    user: Option<UserId>,
    team: Option<TeamId>,
) -> Result<(), ApiError> {
    let users_team = user.map(|user| app.company.user(user)).transpose()?.and_then(|row| row.team);
    if let Some(team) = team {
        app.company.team(team)?;
    }
    if person.role != Role::Manager {
        return Ok(());
    }
    let theirs = |team: TeamId| Ok::<_, ApiError>(!chain(app, team)?.is_disjoint(&person.leads));
    // Each that is named has to be theirs: their own team does not bring somebody else's people with it.
    let their_user = match user {
        Some(user) if user == person.user => true,
        Some(_) => users_team.map(theirs).transpose()?.unwrap_or(false),
        None => team.is_some(),
    };
    if their_user && team.map(theirs).transpose()?.unwrap_or(true) {
        Ok(())
    } else {
        Err(ApiError::forbidden("a manager places leads within their own teams"))
    }
}

/// Demands that `person` may decide about this document: a manager only over their own teams' work.
///
/// # Errors
/// 403, or 404 when there is no such document.
pub(super) fn may_decide(
    app: &App,
    person: &Person,
    doc: DocId,
    author: Option<UserId>,
) -> Result<(), ApiError> {
    if person.role != Role::Manager {
        return Ok(());
    }
    // A document that exists only in held work belongs to whoever made it.
    let ties = match (app.company.header(doc)?, author) {
        (Some(header), _) => header.access(),
        (None, Some(author)) => app.company.ties_of_user(author)?,
        (None, None) => return Err(CompanyError::Unknown { what: "document", id: doc.to_string() }.into()),
    };
    match person.relation(&ties) {
        Relation::Owner | Relation::Supervisor => Ok(()),
        Relation::Colleague => {
            Err(ApiError::forbidden("a manager decides about the work of their own teams"))
        }
    }
}

/// A team and all above it.
fn chain(app: &App, team: TeamId) -> Result<BTreeSet<TeamId>, ApiError> {
    let mut chain = BTreeSet::new();
    let mut next = Some(team);
    while let Some(team) = next.filter(|team| !chain.contains(team)) {
        chain.insert(team);
        next = app.company.team(team)?.parent;
    }
    Ok(chain)
}
