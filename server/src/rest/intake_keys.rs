//! The keys with which other systems sign what they send: made, listed, revoked.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fieldbook_core::access::OfficeVerb;
use fieldbook_core::company::IntakeKey;
use fieldbook_core::ids::EntryId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Body, Caller, Path};
use super::{ApiError, Problem};
use crate::app::{App, blocking};
use crate::auth::Entropy;
use crate::backup::tombstones::Tombstone;

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateIntakeKey {
    /// What the office calls it, 1 to 100 characters.
    name: String,
    /// 首次来源 and, where a lead says none itself, 来源渠道 of leads that come by it (C10), 1 to 100 characters.
    source: String,
    /// The key that it takes the place of: what came by that one is known to this one. Both sign until the old one is revoked.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    replaces: Option<EntryId>,
}

/// A key that was just made. The secret is shown once.
// No `Debug`: no log shows the secret.
#[derive(Serialize, ToSchema)]
pub struct NewIntakeKey {
    /// For `Fieldbook-Key`.
    #[schema(value_type = String)]
    id: EntryId,
    /// 32 bytes in hex, of which the other system makes `Fieldbook-Signature`.
    secret: String,
}

/// A key as lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct IntakeKeyRow {
    /// Names it.
    #[schema(value_type = String)]
    id: EntryId,
    /// What the office calls it.
    name: String,
    /// The source of its leads.
    source: String,
    /// The same for keys that took each other's place.
    #[schema(value_type = String)]
    system: EntryId,
    /// When it was made, server time, milliseconds.
    created_ms: i64,
    /// Since when it signs nothing any more, server time, milliseconds.
    revoked_ms: Option<i64>,
}

/// Make a key for another system.
#[utoipa::path(post, path = "/api/intake-keys", tag = "intake", security(("bearer" = [])), request_body = CreateIntakeKey,
    responses((status = 201, body = NewIntakeKey), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<CreateIntakeKey>,
) -> Result<(StatusCode, Json<NewIntakeKey>), ApiError> {
    blocking(move || {
        caller.require(OfficeVerb::Administer)?;
        let (name, source) = (body.name.trim(), body.source.trim());
        if [name, source].iter().any(|text| text.is_empty() || text.chars().count() > NAME_MAX_CHARS) {
            return Err(ApiError::bad_request("a key needs a name and a source of 1 to 100 characters each"));
        }
        let mut entropy = Entropy::from_system();
        let id = EntryId(entropy.draw());
        let system = match body.replaces {
            Some(old) => app.company.intake_key(old)?.system,
            None => id,
        };
        let secret: [u8; 32] = entropy.draw();
        let key = IntakeKey {
            name: name.to_owned(),
            source: source.to_owned(),
            secret,
            system,
            created_ms: app.now_ms(),
            revoked_ms: None,
        };
        app.company.put_intake_key(id, &key)?;
        tracing::info!(key = %id, by = %caller.user(), "an intake key was made");
        Ok((StatusCode::CREATED, Json(NewIntakeKey { id, secret: hex::encode(secret) })))
    })
    .await
}

/// The keys of other systems, revoked ones too, never with a secret.
#[utoipa::path(get, path = "/api/intake-keys", tag = "intake", security(("bearer" = [])),
    responses((status = 200, body = [IntakeKeyRow]), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<Vec<IntakeKeyRow>>, ApiError> {
    caller.require(OfficeVerb::Administer)?;
    let keys = blocking(move || app.company.intake_keys()).await?;
    let row = |(id, key)| {
        let IntakeKey { name, source, system, created_ms, revoked_ms, .. } = key;
        IntakeKeyRow { id, name, source, system, created_ms, revoked_ms }
    };
    Ok(Json(keys.into_iter().map(row).collect()))
}

/// Revoke a key: what it signs is refused from now on, after a restore too.
#[utoipa::path(delete, path = "/api/intake-keys/{key}", tag = "intake", security(("bearer" = [])), params(("key" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<EntryId>,
) -> Result<StatusCode, ApiError> {
    blocking(move || {
        caller.require(OfficeVerb::Administer)?;
        if app.company.intake_key(id)?.revoked_ms.is_none() {
            let now_ms = app.now_ms();
            app.tombstones.bury(Tombstone::IntakeKey(id), now_ms)?;
            app.company.revoke_intake_key(id, now_ms)?;
            tracing::warn!(key = %id, by = %caller.user(), "an intake key was revoked");
        }
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

const NAME_MAX_CHARS: usize = 100;
