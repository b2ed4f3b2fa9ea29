//! The company's policy (O13): what is in force, what was and what will be; checking and publishing a version.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fieldbook_core::access::OfficeVerb;
use fieldbook_core::ids::{EntryId, UserId};
use fieldbook_core::policy::{Policy, PolicyAt};
use jiff::{Timestamp, ToSpan, Zoned};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Body, Caller};
use super::{ApiError, Problem};
use crate::app::{App, blocking};
use crate::auth::Entropy;

/// A version of the policy.
#[derive(Debug, Serialize, ToSchema)]
pub struct Version {
    /// By which verdicts name it; zeros: the pack that ships.
    #[schema(value_type = String)]
    id: EntryId,
    /// What the company calls it; nothing: it was written by a newer version of the server.
    name: Option<String>,
    /// The first moment at which it is in force, server time, milliseconds; nothing: from the beginning.
    effective_from_ms: Option<i64>,
    /// When it was published, server time, milliseconds.
    published_ms: i64,
    /// By whom.
    #[schema(value_type = String)]
    by: UserId,
    /// Why.
    note: String,
}

/// What is in force, with every version.
#[derive(Debug, Serialize, ToSchema)]
pub struct Policies {
    /// In force now.
    current: Version,
    /// Its sections.
    #[schema(value_type = Object)]
    sections: serde_json::Map<String, serde_json::Value>,
    /// Every version that was published, in the order in which they come into force.
    versions: Vec<Version>,
}

/// A version to be published.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// The policy as it is written: TOML, with `base` in front where sections are left out.
    toml: String,
    /// From when it is in force, server time, milliseconds; left out: from the next midnight of the company (C52).
    #[serde(default)]
    effective_from_ms: Option<i64>,
    /// Why.
    #[serde(default)]
    note: String,
    /// Only say what is wrong with it.
    #[serde(default)]
    dry_run: bool,
}

/// What was published.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublishedVersion {
    /// Nothing: it was only checked.
    #[schema(value_type = Option<String>)]
    id: Option<EntryId>,
    /// From when it is in force.
    effective_from_ms: i64,
}

/// The policy in force, and every version.
#[utoipa::path(get, path = "/api/policy", tag = "policy", security(("bearer" = [])), responses((status = 200, body = Policies)))]
pub(super) async fn read(State(app): State<Arc<App>>, _caller: Caller) -> Result<Json<Policies>, ApiError> {
    blocking(move || {
        let policies = app.company.policies()?;
        let current = policies.at(app.now_ms());
        let sections = current.policy.as_ref().map(|policy| policy.to_json()).unwrap_or_default();
        let versions = policies.published().iter().map(version).collect();
        Ok(Json(Policies { current: version(current), sections, versions }))
    })
    .await
}

/// Check a policy, and publish it. Everything that is wrong with it is told at once, each with its place.
#[utoipa::path(post, path = "/api/policy", tag = "policy", security(("bearer" = [])), request_body = Publish,
    responses((status = 201, body = PublishedVersion), (status = 200, body = PublishedVersion), (status = 400, body = Problem),
        (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn publish(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<Publish>,
) -> Result<(StatusCode, Json<PublishedVersion>), ApiError> {
    blocking(move || {
        caller.require(OfficeVerb::Administer)?;
        let policy = Policy::from_toml(&body.toml)
            .map_err(|wrong| ApiError::new(StatusCode::BAD_REQUEST, "policy_refused", wrong.to_string()))?;
        let effective_from_ms = body.effective_from_ms.unwrap_or_else(|| tomorrow(&app));
        if body.dry_run {
            app.company.check_publication(&policy, effective_from_ms, app.now_ms())?;
            return Ok((StatusCode::OK, Json(PublishedVersion { id: None, effective_from_ms })));
        }
        let id = put_in_force(&app, &policy, effective_from_ms, caller.user(), &body.note)?;
        Ok((StatusCode::CREATED, Json(PublishedVersion { id: Some(id), effective_from_ms })))
    })
    .await
}

/// Publishes a policy and tells the phones.
pub(crate) fn put_in_force(
    app: &App,
    policy: &Policy,
    effective_from_ms: i64,
    by: UserId,
    note: &str,
) -> Result<EntryId, fieldbook_core::company::CompanyError> {
    let seed = Entropy::from_system().draw();
    let published = app.company.publish_policy(policy, effective_from_ms, by, note, seed, app.now_ms())?;
    app.announce(published.touched);
    Ok(published.id)
}

/// The next midnight of the company, server time, milliseconds.
pub(crate) fn tomorrow(app: &App) -> i64 {
    let now_ms = app.now_ms();
    let midnight = || -> Option<Zoned> {
        let now = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(app.config.timezone.clone());
        now.date().checked_add(1.day()).ok()?.to_zoned(app.config.timezone.clone()).ok()
    };
    midnight().map_or(now_ms, |midnight| midnight.timestamp().as_millisecond())
}

fn version(at: &PolicyAt) -> Version {
    Version {
        id: at.id,
        name: at.policy.as_ref().map(|policy| policy.name.clone()),
        effective_from_ms: Some(at.effective_from_ms).filter(|from_ms| *from_ms > i64::MIN),
        published_ms: at.published_ms,
        by: at.by,
        note: at.note.clone(),
    }
}
