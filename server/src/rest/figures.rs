//! The company's figures (M1–M14), and what its rules sent out of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fieldbook_core::access::OfficeVerb;
use fieldbook_core::company::{DeviceRow, DeviceStatus, Intent};
use fieldbook_core::ids::EntryId;
use fieldbook_core::rules::figures::{Amount, Expenses, Figure, Period, figures};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::{Caller, Query};
use super::{ApiError, Problem};
use crate::app::{App, blocking};

/// Which days.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Days {
    /// The first day, ISO.
    from: String,
    /// The day behind the last, ISO.
    until: String,
    /// What the leads of these days cost, fen (M14).
    #[serde(default)]
    marketing_fen: Option<i64>,
}

/// The figures of some days.
#[derive(Debug, Serialize, ToSchema)]
pub struct Figures {
    /// Server time, milliseconds: the figures are as of now. What phones bring later restates them (O1).
    as_of_ms: i64,
    /// Phones that were not heard from for a day: what their people did may be missing (O11).
    silent_devices: u32,
    /// The version of the policy whose lines these are.
    #[schema(value_type = String)]
    policy: EntryId,
    /// The figures.
    figures: Vec<FigureRow>,
}

/// A figure.
#[derive(Debug, Serialize, ToSchema)]
pub struct FigureRow {
    /// `M1a`, `M1b`, `M2`, …
    id: &'static str,
    /// 指标.
    name: &'static str,
    /// `basis_points`, `milliseconds`, `hundredths` or `fen`; nothing: there is nothing to count.
    unit: Option<&'static str>,
    /// The value.
    value: Option<i64>,
    /// What was counted.
    counted: u64,
    /// Of how many.
    of: u64,
    /// The healthy line, in the same unit.
    line: Option<i64>,
    /// Whether the value is on its right side.
    healthy: Option<bool>,
}

/// Intents by id.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct After {
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    #[serde(default)]
    after: Option<EntryId>,
}

/// A page of intents.
#[derive(Debug, Serialize, ToSchema)]
pub struct Intents {
    /// What is to leave the company, or has left it, or was too late.
    #[schema(value_type = Vec<Object>)]
    intents: Vec<Intent>,
    /// `after` of the next page; nothing: this was the last.
    #[schema(value_type = Option<String>)]
    next: Option<EntryId>,
}

/// The figures of some days, for whoever leads.
#[utoipa::path(get, path = "/api/figures", tag = "rules", security(("bearer" = [])), params(Days),
    responses((status = 200, body = Figures), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(days): Query<Days>,
) -> Result<Json<Figures>, ApiError> {
    blocking(move || {
        caller.require(OfficeVerb::Administer)?;
        let day = |text: &str| {
            let day = text.parse::<Date>();
            day.map_err(|_| ApiError::bad_request("a day is written as 2026-03-01"))
        };
        let (from, until) = (day(&days.from)?, day(&days.until)?);
        Ok(Json(told(&app, from, until, days.marketing_fen)?))
    })
    .await
}

/// What the rules sent out of the company.
#[utoipa::path(get, path = "/api/intents", tag = "rules", security(("bearer" = [])), params(After),
    responses((status = 200, body = Intents), (status = 403, body = Problem)))]
pub(super) async fn intents(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(page): Query<After>,
) -> Result<Json<Intents>, ApiError> {
    blocking(move || {
        caller.require(OfficeVerb::Administer)?;
        let intents = app.company.intents(page.after, PAGE)?;
        let next = intents.last().filter(|_| intents.len() == PAGE).map(|intent| intent.id);
        Ok(Json(Intents { intents, next }))
    })
    .await
}

/// The figures of some days.
pub(crate) fn told(
    app: &App,
    from: Date,
    until: Date,
    marketing_fen: Option<i64>,
) -> Result<Figures, ApiError> {
    if until <= from {
        return Err(ApiError::bad_request("`until` is the day behind the last, so it lies behind `from`"));
    }
    let now_ms = app.now_ms();
    let devices = app.company.devices()?;
    let silent = devices.iter().filter(|(_, device, heard_ms)| is_silent(device, *heard_ms, now_ms)).count();
    let silent = silent as u32;
    let period = Period::new(from, until, &app.config.timezone, now_ms, silent);
    let period = period.ok_or_else(|| ApiError::bad_request("there is no such day"))?;
    let policies = app.company.policies()?;
    let at = policies.at(now_ms);
    let policy = at.policy.as_deref();
    let policy = policy.ok_or_else(|| ApiError::conflict("the policy in force is of a newer version"))?;
    let expenses = Expenses { marketing_fen, mornings: None };
    let figures = figures(&app.company.outcomes()?, policy, period, expenses).into_iter().map(row).collect();
    Ok(Figures { as_of_ms: now_ms, silent_devices: silent, policy: at.id, figures })
}

/// Whether somebody's work may lie on this phone, unheard of (O11): it is in use and was not heard from for a day.
pub(super) fn is_silent(device: &DeviceRow, last_contact_ms: i64, now_ms: i64) -> bool {
    device.status == DeviceStatus::Active && now_ms - last_contact_ms > DAY_MS
}

fn row(figure: Figure) -> FigureRow {
    let told = |amount: Amount| match amount {
        Amount::Share(bp) => ("basis_points", bp as i64),
        Amount::Time(ms) => ("milliseconds", ms),
        Amount::Hundredths(n) => ("hundredths", n),
        Amount::Money(fen) => ("fen", fen),
    };
    let value = figure.value.map(told);
    FigureRow {
        id: figure.id,
        name: figure.name,
        unit: value.map(|(unit, _)| unit),
        value: value.map(|(_, value)| value),
        counted: figure.of.0,
        of: figure.of.1,
        line: figure.line.map(|(line, _)| told(line).1),
        healthy: figure.line.filter(|_| figure.value.is_some()).map(|(_, healthy)| healthy),
    }
}

const DAY_MS: i64 = 24 * 3_600 * 1_000;
/// Intents on a page.
const PAGE: usize = 200;
