//! How far a manager's hand reaches: over the teams that they lead and those below, over nobody else's people or leads. Whoever the access
//! table lets read the whole company is not bounded here.

use std::collections::BTreeSet;

use fieldbook_core::access::{OfficeVerb, Person, Relation, Role, Ties, Verb, may_office};
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
    let ties = ties_of_work(app, doc, author)?
        .ok_or_else(|| CompanyError::Unknown { what: "document", id: doc.to_string() })?;
    match person.relation(&ties) {
        Relation::Owner | Relation::Supervisor => Ok(()),
        Relation::Colleague => {
            Err(ApiError::forbidden("a manager decides about the work of their own teams"))
        }
    }
}

/// What whoever decides about held work sees of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// All of it.
    Words,
    /// Whose it is, of which document, and why it is held.
    Outside,
}

/// Demands that `person` may decide about held work of `author`: who reads documents of that kind, within what [`may_decide`] allows. What no
/// decider reads must not wait for ever, so the administrator decides about it unseen.
///
/// # Errors
/// As [`may_decide`]; 404 for work of a kind that is not theirs to read.
pub(super) fn may_decide_held(
    app: &App,
    person: &Person,
    doc: DocId,
    author: Option<UserId>,
) -> Result<Sight, ApiError> {
    may_decide(app, person, doc, author)?;
    let ties = ties_of_work(app, doc, author)?.unwrap_or_default();
    match doc.kind() {
        Some(kind) if person.may(&ties, kind, Verb::Read) => Ok(Sight::Words),
        _ if may_office(person.role, OfficeVerb::Administer) => Ok(Sight::Outside),
        _ => Err(ApiError::not_found("there is no such held work")),
    }
}

/// Whom a document belongs to. One that exists only in held work belongs to whoever made it.
fn ties_of_work(app: &App, doc: DocId, author: Option<UserId>) -> Result<Option<Ties>, ApiError> {
    Ok(match (app.company.header(doc)?, author) {
        (Some(header), _) => Some(header.access()),
        (None, Some(author)) => Some(app.company.ties_of_user(author)?),
        (None, None) => None,
    })
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
