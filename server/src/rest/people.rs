//! Users and teams.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fieldbook_core::access::{OfficeVerb, Role};
use fieldbook_core::company::{TeamRow, UserRow};
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

/// Change a user.
#[utoipa::path(put, path = "/api/users/{user}", tag = "people", security(("bearer" = [])), request_body = UserBody,
    params(("user" = String, Path)), responses((status = 200, body = User), (status = 404, body = Problem)))]
pub(super) async fn change_user(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<UserId>,
    Body(body): Body<UserBody>,
) -> Result<Json<User>, ApiError> {
    let user = blocking(move || {
        caller.require(OfficeVerb::Administer)?;
        app.company.user(id)?;
        put_user(&app, &caller, id, body)
    });
    Ok(Json(user.await?))
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

/// Change a team.
#[utoipa::path(put, path = "/api/teams/{team}", tag = "people", security(("bearer" = [])), request_body = TeamBody,
    params(("team" = String, Path)), responses((status = 200, body = Team), (status = 404, body = Problem)))]
pub(super) async fn change_team(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<TeamId>,
    Body(body): Body<TeamBody>,
) -> Result<Json<Team>, ApiError> {
    let team = blocking(move || {
        caller.require(OfficeVerb::Administer)?;
        app.company.team(id)?;
        put_team(&app, &caller, id, body)
    });
    Ok(Json(team.await?))
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
    let was_active = app.company.user(id).map_or(true, |old| old.active);
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
