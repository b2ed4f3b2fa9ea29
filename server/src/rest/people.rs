//! Users and teams.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fieldbook_core::access::{OfficeVerb, Role};
use fieldbook_core::company::{CompanyError, SERVER_USER, TeamRow, UserRow};
use fieldbook_core::ids::{TeamId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Body, Caller, Path};
use super::{ApiError, Problem};
use crate::app::{App, blocking};
use crate::auth::Entropy;
use crate::backup::tombstones::Tombstone;

/// A user of the company.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    /// Hex id.
    #[schema(value_type = String)]
    id: UserId,
    #[serde(flatten)]
    row: UserBody,
}

/// What can be said of a user.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UserBody {
    /// Name as shown to colleagues, up to 100 characters.
    name: String,
    /// `rep`, `manager`, `director`, `service`, `marketing`, `finance` or `admin`.
    #[schema(value_type = String)]
    role: Role,
    /// The team that they belong to.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    team: Option<TeamId>,
    /// Whether they may sign in. A user who leaves becomes inactive; their phones get one last session.
    #[serde(default = "yes")]
    active: bool,
}

/// A team of the company.
#[derive(Debug, Serialize, ToSchema)]
pub struct Team {
    /// Hex id.
    #[schema(value_type = String)]
    id: TeamId,
    #[serde(flatten)]
    row: TeamBody,
}

/// What can be said of a team.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TeamBody {
    /// Name as shown, up to 100 characters.
    name: String,
    /// The team above it.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    parent: Option<TeamId>,
    /// Who leads it.
    #[schema(value_type = Vec<String>)]
    #[serde(default)]
    leaders: Vec<UserId>,
}

/// All users.
#[utoipa::path(get, path = "/api/users", tag = "people", security(("bearer" = [])),
    responses((status = 200, body = [User]), (status = 401, body = Problem)))]
pub(super) async fn list_users(State(app): State<Arc<App>>, _: Caller) -> Result<Json<Vec<User>>, ApiError> {
    let users = blocking(move || app.company.users()).await?;
    Ok(Json(users.into_iter().map(|(id, row)| User { id, row: row.into() }).collect()))
}

/// Add a user.
#[utoipa::path(post, path = "/api/users", tag = "people", security(("bearer" = [])), request_body = UserBody,
    responses((status = 201, body = User), (status = 403, body = Problem)))]
pub(super) async fn create_user(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<UserBody>,
) -> Result<(StatusCode, Json<User>), ApiError> {
    let id = Entropy::from_system().user();
    let user = blocking(move || put_user(&app, &caller, id, body)).await?;
    Ok((StatusCode::CREATED, Json(user)))
}

/// Change a user. A server that was restored from a backup makes one that it does not know under the id that they had: whoever was added
/// after the backup gets their phone back by it.
#[utoipa::path(put, path = "/api/users/{user}", tag = "people", security(("bearer" = [])), request_body = UserBody,
    params(("user" = String, Path)), responses((status = 200, body = User), (status = 201, body = User), (status = 404, body = Problem),
    (status = 409, body = Problem)))]
pub(super) async fn change_user(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<UserId>,
    Body(body): Body<UserBody>,
) -> Result<(StatusCode, Json<User>), ApiError> {
    blocking(move || {
        caller.require(OfficeVerb::Administer)?;
        let status = found_or_forgotten(&app, app.company.user(id).map(|_| ()), id.0)?;
        if status == StatusCode::CREATED && body.active && app.tombstones.has_user(id) {
            return Err(ApiError::conflict(format!(
                "user {id} had left: they were set inactive after the backup; add them as inactive, and then set them active if they came back"
            )));
        }
        Ok((status, Json(put_user(&app, &caller, id, body)?)))
    })
    .await
}

/// All teams.
#[utoipa::path(get, path = "/api/teams", tag = "people", security(("bearer" = [])),
    responses((status = 200, body = [Team]), (status = 401, body = Problem)))]
pub(super) async fn list_teams(State(app): State<Arc<App>>, _: Caller) -> Result<Json<Vec<Team>>, ApiError> {
    let teams = blocking(move || app.company.teams()).await?;
    Ok(Json(teams.into_iter().map(|(id, row)| Team { id, row: row.into() }).collect()))
}

/// Add a team.
#[utoipa::path(post, path = "/api/teams", tag = "people", security(("bearer" = [])), request_body = TeamBody,
    responses((status = 201, body = Team), (status = 403, body = Problem)))]
pub(super) async fn create_team(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<TeamBody>,
) -> Result<(StatusCode, Json<Team>), ApiError> {
    let id = TeamId(Entropy::from_system().draw());
    let team = blocking(move || put_team(&app, &caller, id, body)).await?;
    Ok((StatusCode::CREATED, Json(team)))
}

/// Change a team. A server that was restored from a backup makes one that it does not know under the id that it had.
#[utoipa::path(put, path = "/api/teams/{team}", tag = "people", security(("bearer" = [])), request_body = TeamBody,
    params(("team" = String, Path)), responses((status = 200, body = Team), (status = 201, body = Team), (status = 404, body = Problem)))]
pub(super) async fn change_team(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<TeamId>,
    Body(body): Body<TeamBody>,
) -> Result<(StatusCode, Json<Team>), ApiError> {
    blocking(move || {
        caller.require(OfficeVerb::Administer)?;
        let status = found_or_forgotten(&app, app.company.team(id).map(|_| ()), id.0)?;
        Ok((status, Json(put_team(&app, &caller, id, body)?)))
    })
    .await
}

/// Whether what is to be changed is there, or is made again because a restored server has forgotten it. Only ids that a server can have
/// given: those of nobody and of the server itself stand for something else.
fn found_or_forgotten(
    app: &App,
    found: Result<(), CompanyError>,
    id: [u8; 8],
) -> Result<StatusCode, ApiError> {
    let given = id != [0; 8] && id != SERVER_USER.0;
    match found {
        Ok(()) => Ok(StatusCode::OK),
        Err(CompanyError::Unknown { .. }) if given && app.company.is_restored() => Ok(StatusCode::CREATED),
        Err(other) => Err(other.into()),
    }
}

fn put_user(app: &App, caller: &Caller, id: UserId, body: UserBody) -> Result<User, ApiError> {
    caller.require(OfficeVerb::Administer)?;
    let name = named(&body.name)?;
    if id == caller.user() && (!body.active || body.role != Role::Admin) {
        return Err(ApiError::conflict(
            "an administrator cannot take their own rights away; another one can",
        ));
    }
    let row = UserRow { name, role: body.role, team: body.team, active: body.active };
    let was_active = match app.company.user(id) {
        Ok(old) => old.active,
        Err(CompanyError::Unknown { .. }) => !app.tombstones.has_user(id),
        Err(other) => return Err(other.into()),
    };
    let stone = Tombstone::User { user: id, active: row.active };
    // Whoever leaves is out first, whoever comes back is in last: a crash in between never lets a restore let them in.
    if was_active && !row.active {
        app.tombstones.bury(stone, app.now_ms())?;
    }
    let touched = app.company.put_user(id, row.clone(), app.now_ms())?;
    app.announce(touched);
    if !was_active && row.active {
        app.tombstones.bury(stone, app.now_ms())?;
    }
    send_away(app, &[id])?;
    Ok(User { id, row: row.into() })
}

fn put_team(app: &App, caller: &Caller, id: TeamId, body: TeamBody) -> Result<Team, ApiError> {
    caller.require(OfficeVerb::Administer)?;
    let name = named(&body.name)?;
    for leader in &body.leaders {
        app.company.user(*leader)?;
    }
    let mut affected = body.leaders.clone();
    affected.extend(app.company.team(id).map(|old| old.leaders).unwrap_or_default());
    let row = TeamRow { name, parent: body.parent, leaders: body.leaders };
    let touched = app.company.put_team(id, row.clone(), app.now_ms())?;
    app.announce(touched);
    send_away(app, &affected)?;
    Ok(Team { id, row: row.into() })
}

fn named(name: &str) -> Result<String, ApiError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 {
        return Err(ApiError::bad_request("a name has 1 to 100 characters"));
    }
    Ok(name.to_owned())
}

fn yes() -> bool {
    true
}

impl From<UserRow> for UserBody {
    fn from(row: UserRow) -> Self {
        Self { name: row.name, role: row.role, team: row.team, active: row.active }
    }
}

impl From<TeamRow> for TeamBody {
    fn from(row: TeamRow) -> Self {
        Self { name: row.name, parent: row.parent, leaders: row.leaders }
    }
}

/// What these people may hold has changed: their phones connect anew. Everybody else looks for news, since documents may have moved
/// with them.
fn send_away(app: &App, users: &[UserId]) -> Result<(), ApiError> {
    for (device, _, _) in app.company.devices()?.into_iter().filter(|(_, row, _)| users.contains(&row.user)) {
        // Nobody listens without a hub.
        let _ = app.notices.send(crate::app::Notice::Device(device));
    }
    let _ = app.notices.send(crate::app::Notice::Everybody);
    Ok(())
}
