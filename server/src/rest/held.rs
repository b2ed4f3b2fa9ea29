//! The quarantine: work that was durably received and not merged, until a person accepts or discards it (design decision 10).

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fieldbook_core::access::OfficeVerb;
use fieldbook_core::company::{CompanyError, HeldItem, HeldState, ReadRefused};
use fieldbook_core::document::{Clocks, Doc, Meaning, Written, describe, schema};
use fieldbook_core::ids::{DeviceId, DocId, UserId};
use fieldbook_core::time::BootClock;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::caller::{Caller, Path, Query};
use super::scope::Sight;
use super::{ApiError, Problem, scope};
use crate::app::{App, blocking};

/// Held work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Held {
    /// For accepting and discarding.
    id: String,
    /// The document that it was meant for.
    #[schema(value_type = String)]
    document: DocId,
    /// Whose work it is.
    #[schema(value_type = String)]
    user: UserId,
    /// Why it is held.
    #[schema(value_type = String)]
    reason: serde_json::Value,
    /// Server time of its arrival, milliseconds.
    received_ms: i64,
    /// `waiting`, `accepted` or `discarded`.
    #[schema(value_type = String)]
    state: HeldState,
    /// How many changes it has.
    changes: usize,
}

/// A page of held work.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldPage {
    /// Held work, by document.
    items: Vec<Held>,
    /// `after` of the next page; nothing: this was the last.
    next: Option<String>,
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct HeldQuery {
    /// The last id of the page before.
    after: Option<String>,
    /// Up to 200.
    limit: usize,
    /// Also what was decided already.
    all: bool,
}

impl Default for HeldQuery {
    fn default() -> Self {
        Self { after: None, limit: 50, all: false }
    }
}

/// Held work that the caller decides about.
#[utoipa::path(get, path = "/api/quarantine", tag = "review", security(("bearer" = [])), params(HeldQuery),
    responses((status = 200, body = HeldPage), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<HeldQuery>,
) -> Result<Json<HeldPage>, ApiError> {
    blocking(move || {
        caller.require(OfficeVerb::Review)?;
        let limit = query.limit.clamp(1, 200);
        let rows = app.company.held(query.after.as_deref(), limit)?;
        let next = (rows.len() == limit).then(|| rows.last().map(|item| item.id.clone())).flatten();
        let shown = rows.into_iter().filter(|item| query.all || item.state == HeldState::Waiting);
        let mine = shown
            .filter(|item| scope::may_decide_held(&app, &caller.person, item.doc, Some(item.user)).is_ok());
        Ok(Json(HeldPage { items: mine.map(Held::from).collect(), next }))
    })
    .await
}

/// Held work in words.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldWords {
    #[serde(flatten)]
    held: Held,
    /// Its changes, in order.
    changes_in_words: Vec<ChangeWords>,
    /// Changes that cannot be read: bytes that are no change of this document.
    unreadable: usize,
    /// The words are not shown: the caller decides about work that their role does not read (C89).
    withheld: bool,
}

/// One change of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeWords {
    /// On which phone it was made.
    #[schema(value_type = String)]
    device: DeviceId,
    /// When, as far as the phone's clocks tell, milliseconds.
    at_ms: Option<i64>,
    /// How far that may be off, milliseconds.
    doubt_ms: Option<i64>,
    /// What it writes.
    writes: Vec<WriteWords>,
}

/// One thing that is written.
#[derive(Debug, Serialize, ToSchema)]
pub struct WriteWords {
    /// `write` says what it is: `value` (with `path` and `value`), `record`, `entry` (an entry of a log or an element of a set), `text` (with
    /// `inserted` and how many characters are `deleted`), `unknown`.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    written: Written,
    /// What the document has there now: the value, the entry's or element's body, the whole text. Nothing where it has none, or where the
    /// caller may not read the document.
    current: serde_json::Value,
}

/// What held work says, beside what the document says now.
#[utoipa::path(get, path = "/api/quarantine/{held}", tag = "review", security(("bearer" = [])), params(("held" = String, Path)),
    responses((status = 200, body = HeldWords), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<HeldWords>, ApiError> {
    blocking(move || {
        let sight = check(&app, &caller, &id)?;
        let item = app.company.held_item(&id)?;
        if sight == Sight::Outside {
            let held = item.into();
            return Ok(Json(HeldWords { held, changes_in_words: Vec::new(), unreadable: 0, withheld: true }));
        }
        let doc = match app.company.read_as(caller.user(), item.doc) {
            Ok(doc) => Some(doc),
            Err(ReadRefused::Unknown) => None,
            Err(other) => return Err(other.into()),
        };
        let stored = match app.company.load(item.doc) {
            Ok(stored) => Some(stored),
            Err(CompanyError::Unknown { .. }) => None,
            Err(other) => return Err(other.into()),
        };
        let kind = item.doc.kind().ok_or_else(|| ApiError::not_found("there is no such held work"))?;
        let described = describe(kind, stored.as_ref(), &app.company.held_changes(&id)?);
        let unreadable = described.iter().filter(|change| change.is_none()).count();
        let clocks = app.company.clocks(item.doc)?;
        let words = described.into_iter().flatten().map(|change| {
            let at = change.stamp.map(|s| {
                let until = BootClock::Until(item.received_ms);
                s.occurred(Some(clocks.of_boot(s.moment.boot).map_or(until, |known| known.better(until))))
            });
            ChangeWords {
                device: change.actor.device,
                at_ms: at.map(|at| at.at_ms),
                doubt_ms: at.map(|at| at.doubt_ms),
                writes: change
                    .writes
                    .into_iter()
                    .map(|written| WriteWords { current: current(doc.as_ref(), &clocks, &written), written })
                    .collect(),
            }
        });
        let changes_in_words = words.collect();
        Ok(Json(HeldWords { held: item.into(), changes_in_words, unreadable, withheld: false }))
    })
    .await
}

/// What the document has where something is to be written.
fn current(doc: Option<&Doc>, clocks: &impl Clocks, written: &Written) -> serde_json::Value {
    let Some(doc) = doc else { return serde_json::Value::Null };
    match written {
        Written::Value { path: fieldbook_core::document::Path { field, key, name }, .. } => {
            let value = match (key, name) {
                (None, _) => doc.value(field, clocks),
                (Some(key), None) => doc.register_in(field, key, clocks).map(|found| found.value),
                (Some(key), Some(name)) => key
                    .parse()
                    .ok()
                    .and_then(|id| doc.record(field, id, clocks))
                    .and_then(|record| record.get(name).cloned()),
            };
            json!(value)
        }
        Written::Record { field, id } => json!(doc.record(field, *id, clocks)),
        Written::Entry { field, key, .. } => match schema::field(doc.kind(), field).map(|f| f.meaning) {
            Some(Meaning::Set) => json!(doc.set(field, clocks).get(key)),
            _ => {
                let entries = doc.log(field, clocks);
                json!(entries.into_iter().find(|entry| entry.id.to_string() == *key).map(|entry| entry.body))
            }
        },
        Written::Text { field, .. } => json!(doc.text(field)),
        Written::Unknown => serde_json::Value::Null,
    }
}

/// Merge held work, byte for byte as it came.
#[utoipa::path(post, path = "/api/quarantine/{held}/accept", tag = "review", security(("bearer" = [])), params(("held" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn accept(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    blocking(move || {
        check(&app, &caller, &id)?;
        let mut gate = app.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let touched = app.company.accept_held(&id, &mut **gate, app.now_ms())?;
        drop(gate);
        tracing::info!(held = %id, by = %caller.user(), "held work was accepted");
        app.announce(touched);
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Decide that held work is not merged. It is kept aside.
#[utoipa::path(post, path = "/api/quarantine/{held}/discard", tag = "review", security(("bearer" = [])), params(("held" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn discard(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    blocking(move || {
        check(&app, &caller, &id)?;
        app.company.discard_held(&id, app.now_ms())?;
        tracing::info!(held = %id, by = %caller.user(), "held work was discarded");
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

fn check(app: &App, caller: &Caller, id: &str) -> Result<Sight, ApiError> {
    caller.require(OfficeVerb::Review)?;
    // An id begins with the document's, and the device's follows.
    let unknown = || ApiError::not_found("there is no such held work");
    let doc = id.get(..2 * DocId::LEN).and_then(|hex| hex.parse::<DocId>().ok()).ok_or_else(unknown)?;
    let device =
        id.get(2 * DocId::LEN..2 * (DocId::LEN + DeviceId::LEN)).and_then(|hex| hex.parse::<DeviceId>().ok());
    let author = device.and_then(|device| app.company.device(device).ok()).map(|row| row.user);
    scope::may_decide_held(app, &caller.person, doc, author)
}

impl From<HeldItem> for Held {
    fn from(item: HeldItem) -> Self {
        let HeldItem { id, doc, user, reason, received_ms, state, changes } = item;
        let reason = serde_json::to_value(reason).unwrap_or_default();
        Self { id, document: doc, user, reason, received_ms, state, changes }
    }
}
