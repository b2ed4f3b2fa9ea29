//! Conflicts: fields that two people changed without knowing of each other. Both values are shown with who, when and on which phone; one
//! choice of a person ends it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fieldbook_core::access::{OfficeVerb, Verb, may_office};
use fieldbook_core::company::{CompanyError, ReadRefused};
use fieldbook_core::document::{Clocks, Conflict, Doc, Edit, Value, resolution};
use fieldbook_core::ids::{DeviceId, DocId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Body, Caller, Path, Query};
use super::leads::Page;
use super::{ApiError, Problem, scope};
use crate::app::{App, blocking};

/// A field with several surviving values.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConflictRow {
    /// The document.
    #[schema(value_type = String)]
    document: DocId,
    /// Which field: `field`, and `key` and `name` where it lies deeper.
    #[schema(value_type = Object)]
    path: fieldbook_core::document::Path,
    /// The values, the one that is shown until somebody chooses first.
    values: Vec<ConflictChoice>,
}

/// One of the values.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConflictChoice {
    /// The value; null when one side emptied the field.
    #[schema(value_type = Object)]
    value: Value,
    /// Who wrote it.
    #[schema(value_type = String)]
    user: UserId,
    /// On which phone.
    #[schema(value_type = String)]
    device: DeviceId,
    /// When, server time, milliseconds.
    at_ms: i64,
    /// How far that may be off, milliseconds.
    doubt_ms: i64,
}

/// A page of conflicts.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConflictPage {
    /// The conflicts of the leads that were looked at.
    conflicts: Vec<ConflictRow>,
    /// `after` of the next page; nothing: this was the last.
    #[schema(value_type = Option<String>)]
    next: Option<DocId>,
}

/// The choice.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    /// As listed.
    #[schema(value_type = Object)]
    path: fieldbook_core::document::Path,
    /// The value that stays, one of those listed.
    #[schema(value_type = Object)]
    value: Value,
    /// All values that the caller saw, in any order. When others are there by now nothing is chosen.
    #[schema(value_type = Vec<Object>)]
    seen: BTreeSet<Value>,
}

/// Conflicts in the leads that the caller may read, in their advancement tables and in the accounts that they name; `limit` counts leads. An
/// account stands on every page that has a lead of it, once.
#[utoipa::path(get, path = "/api/conflicts", tag = "review", security(("bearer" = [])), params(Page),
    responses((status = 200, body = ConflictPage)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Json<ConflictPage>, ApiError> {
    blocking(move || {
        let leads = app.company.leads_of(caller.user(), page.after, page.size())?;
        let next = (leads.len() == page.size()).then(|| leads.last().copied()).flatten();
        let mut conflicts = Vec::new();
        let mut accounts = BTreeSet::new();
        for lead in leads {
            let account = app.company.header(lead)?.and_then(|header| header.link);
            let account = account.filter(|account| accounts.insert(*account));
            for id in [lead, DocId::advancement_of(lead)].into_iter().chain(account) {
                match app.company.read_as(caller.user(), id) {
                    Ok(doc) => conflicts
                        .extend(doc.conflicts(&app.company.clocks(id)?).into_iter().map(|c| row(id, c))),
                    Err(ReadRefused::Unknown) => {}
                    Err(other) => return Err(other.into()),
                }
            }
        }
        Ok(Json(ConflictPage { conflicts, next }))
    })
    .await
}

/// Conflicts of one document.
#[utoipa::path(get, path = "/api/documents/{document}/conflicts", tag = "review", security(("bearer" = [])),
    params(("document" = String, Path)), responses((status = 200, body = [ConflictRow]), (status = 404, body = Problem)))]
pub(super) async fn of_document(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<DocId>,
) -> Result<Json<Vec<ConflictRow>>, ApiError> {
    blocking(move || {
        let doc = app.company.read_as(caller.user(), id)?;
        Ok(Json(doc.conflicts(&app.company.clocks(id)?).into_iter().map(|c| row(id, c)).collect()))
    })
    .await
}

/// End a conflict by choosing one of its values.
#[utoipa::path(post, path = "/api/documents/{document}/conflicts/resolve", tag = "review", security(("bearer" = [])),
    params(("document" = String, Path)), request_body = Resolve,
    responses((status = 200, body = [ConflictRow], description = "What is still in conflict"), (status = 409, body = Problem)))]
pub(super) async fn resolve(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<DocId>,
    Body(choice): Body<Resolve>,
) -> Result<Json<Vec<ConflictRow>>, ApiError> {
    blocking(move || {
        // Who may not read it does not learn that it is there.
        app.company.read_as(caller.user(), id)?;
        may_resolve(&app, &caller, id)?;
        let by = caller.user();
        let clocks = app.company.clocks(id)?;
        let touched =
            app.company.edit_planned(id, by, app.now_ms(), |doc| Ok(vec![choose(&clocks, doc, &choice)?]))?;
        tracing::info!(document = %id, %by, "a conflict was resolved");
        app.announce(touched);
        let left = app.company.read_as(caller.user(), id)?.conflicts(&clocks);
        Ok(Json(left.into_iter().map(|c| row(id, c)).collect()))
    })
    .await
}

/// The edit of a choice, on the document as it is when it is written.
fn choose(clocks: &dyn Clocks, doc: &Doc, choice: &Resolve) -> Result<Edit, CompanyError> {
    let gone =
        || CompanyError::Refused("this conflict is not there (any more); look at the document again".into());
    let conflicts = doc.conflicts(clocks);
    let conflict = conflicts.iter().find(|c| c.path == choice.path).ok_or_else(gone)?;
    let now: BTreeSet<&Value> = conflict.values.iter().map(|v| &v.value).collect();
    if now != choice.seen.iter().collect() {
        return Err(CompanyError::Refused(
            "the values have changed since they were looked at; look at the document again".into(),
        ));
    }
    let chosen = conflict.values.iter().position(|v| v.value == choice.value).ok_or_else(gone)?;
    resolution(conflict, chosen).ok_or_else(gone)
}

/// Whoever may write the document, and whoever reviews the company's work.
fn may_resolve(app: &App, caller: &Caller, id: DocId) -> Result<(), ApiError> {
    let header = app.company.header(id)?;
    let writes =
        header.zip(id.kind()).is_some_and(|(h, kind)| caller.person.may(&h.access(), kind, Verb::Write));
    if writes || may_office(caller.person.role, OfficeVerb::Administer) {
        return Ok(());
    }
    caller.require(OfficeVerb::Review)?;
    scope::may_decide(app, &caller.person, id, None)
}

fn row(document: DocId, conflict: Conflict) -> ConflictRow {
    let values = conflict.values.into_iter().map(|v| ConflictChoice {
        value: v.value,
        user: v.user,
        device: v.device,
        at_ms: v.at.at_ms,
        doubt_ms: v.at.doubt_ms,
    });
    ConflictRow { document, path: conflict.path, values: values.collect() }
}
