//! Phones: which there are, and how one is taken out of service.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fieldbook_core::access::{OfficeVerb, may_office};
use fieldbook_core::company::{DeviceRow, DeviceStatus};
use fieldbook_core::ids::{DeviceId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::{Caller, Path};
use super::{ApiError, Problem};
use crate::app::{App, Notice, blocking};
use crate::backup::tombstones::Tombstone;

/// A phone.
#[derive(Debug, Serialize, ToSchema)]
pub struct Device {
    /// Hex id.
    #[schema(value_type = String)]
    id: DeviceId,
    /// Whose it is.
    #[schema(value_type = String)]
    user: UserId,
    /// What its user calls it.
    name: String,
    /// `active`, `revoked`, `stolen` or `wiped`.
    #[schema(value_type = String)]
    status: DeviceStatus,
    /// Server time of its enrolment, milliseconds.
    enrolled_ms: i64,
    /// Server time of its last contact, milliseconds; 0: never.
    last_contact_ms: i64,
}

/// All phones for an administrator, the caller's own for everybody else.
#[utoipa::path(get, path = "/api/devices", tag = "phones", security(("bearer" = [])),
    responses((status = 200, body = [Device]), (status = 401, body = Problem)))]
pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Vec<Device>>, ApiError> {
    let all = may_office(caller.person.role, OfficeVerb::Administer);
    let devices = blocking(move || app.company.devices()).await?;
    let mine = devices.into_iter().filter(|(_, row, _)| all || row.user == caller.user());
    Ok(Json(mine.map(|(id, row, last_contact_ms)| device(id, row, last_contact_ms)).collect()))
}

/// Revoke a phone: it hands over what it holds once, which a person then looks at, and is wiped.
#[utoipa::path(post, path = "/api/devices/{device}/revoke", tag = "phones", security(("bearer" = [])),
    params(("device" = String, Path)), responses((status = 200, body = Device), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<DeviceId>,
) -> Result<Json<Device>, ApiError> {
    end(app, caller, id, DeviceStatus::Revoked).await
}

/// Report a phone stolen: it is wiped at its next contact and nothing that it sends is kept.
#[utoipa::path(post, path = "/api/devices/{device}/stolen", tag = "phones", security(("bearer" = [])),
    params(("device" = String, Path)), responses((status = 200, body = Device), (status = 404, body = Problem)))]
pub(super) async fn report_stolen(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<DeviceId>,
) -> Result<Json<Device>, ApiError> {
    end(app, caller, id, DeviceStatus::Stolen).await
}

/// Administrators end any phone; everybody may report or hand in their own other phone.
async fn end(
    app: Arc<App>,
    caller: Caller,
    id: DeviceId,
    status: DeviceStatus,
) -> Result<Json<Device>, ApiError> {
    blocking(move || {
        let row = app.company.device(id)?;
        if row.user != caller.user() {
            caller.require(OfficeVerb::Administer)?;
        }
        let final_already = matches!(row.status, DeviceStatus::Stolen | DeviceStatus::Wiped);
        if !final_already {
            let stolen = status == DeviceStatus::Stolen;
            app.tombstones.bury(Tombstone::Device { device: id, stolen }, app.now_ms())?;
            let touched = app.company.set_device_status(id, status, app.now_ms())?;
            app.announce(touched);
            app.auth.revoke_own_codes(row.user, app.now_ms())?;
            // Nobody listens without a hub.
            let _ = app.notices.send(Notice::Device(id));
            tracing::warn!(device = %id, by = %caller.user(), ?status, "a device was taken out of service");
        }
        Ok(Json(device(id, app.company.device(id)?, 0)))
    })
    .await
}

fn device(id: DeviceId, row: DeviceRow, last_contact_ms: i64) -> Device {
    let DeviceRow { user, name, status, enrolled_ms } = row;
    Device { id, user, name, status, enrolled_ms, last_contact_ms }
}
