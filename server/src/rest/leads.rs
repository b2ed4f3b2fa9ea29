//! Leads as the office works with them: listed, read, created, moved.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fieldbook_core::access::OfficeVerb;
use fieldbook_core::company::{Company, LeadOwner, NewLead, ReadRefused};
use fieldbook_core::document::{Edit, Meaning, Value, schema};
use fieldbook_core::ids::{DocId, DocKind, EntryId, TeamId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::{Body, Caller, Path, Query};
use super::{ApiError, Problem, document, scope};
use crate::app::{App, blocking};
use crate::auth::Entropy;

/// One page of a list that is ordered by id.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The last id of the page before.
    #[param(value_type = Option<String>)]
    pub after: Option<DocId>,
    /// Up to 200.
    #[serde(default = "fifty")]
    pub limit: usize,
}

impl Page {
    pub(super) fn size(&self) -> usize {
        self.limit.clamp(1, PAGE_MAX)
    }
}

/// A lead in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeadRow {
    /// Hex id.
    #[schema(value_type = String)]
    id: DocId,
    /// 客户名称.
    customer_name: Option<String>,
    /// 医院.
    hospital: Option<String>,
    /// 需求关键词.
    need: Option<String>,
    /// 来源渠道.
    source: Option<String>,
    /// Who works it; nobody: it waits in a pool.
    #[schema(value_type = Option<String>)]
    owner: Option<UserId>,
    /// Mandatory fields that are missing (C3).
    missing: Vec<&'static str>,
    /// Whether somebody deleted it; it can be restored.
    deleted: bool,
}

/// Which leads a list shows.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deleted {
    /// Those that are not deleted, as on a phone.
    #[default]
    No,
    /// Only those that are.
    Only,
    /// All.
    Any,
}

/// A page of a list of leads, which is ordered by id.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LeadsPage {
    /// The last id of the page before: its `next`.
    #[param(value_type = Option<String>)]
    after: Option<DocId>,
    /// Up to 200. A page has fewer when some of its leads are not wanted; `next` says whether it was the last.
    #[serde(default = "fifty")]
    limit: usize,
    /// Whether deleted leads are listed: `no` (without this), `only` or `any`.
    #[serde(default)]
    #[param(inline)]
    deleted: Deleted,
}

/// A page of leads.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeadPage {
    /// The leads, by id.
    leads: Vec<LeadRow>,
    /// `after` of the next page; nothing: this was the last.
    #[schema(value_type = Option<String>)]
    next: Option<DocId>,
}

/// A new lead.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateLead {
    /// Fields of the lead document by name: text, whole numbers or yes/no.
    #[schema(value_type = Object)]
    fields: BTreeMap<String, Value>,
    /// Who works it.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    owner: Option<UserId>,
    /// The team whose pool it waits in, when nobody works it yet.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    team: Option<TeamId>,
    /// 首次来源 (C10), such as `utm_source/utm_medium/utm_campaign`; written once, by the server.
    #[serde(default)]
    first_source: Option<String>,
    /// The id in the system that it comes from: creating it twice is creating it once.
    #[serde(default)]
    external_id: Option<String>,
}

/// What came of creating a lead.
#[derive(Debug, Serialize, ToSchema)]
pub struct Created {
    /// Its id.
    #[schema(value_type = String)]
    id: DocId,
    /// Whether it is new; otherwise the external id was known.
    created: bool,
    /// Mandatory fields that are missing (C3).
    missing: Vec<&'static str>,
}

/// Of which lead one is a duplicate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DuplicateOf {
    /// The other lead; nothing: of none.
    #[schema(value_type = Option<String>)]
    lead: Option<DocId>,
}

/// To whom a lead goes, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assign {
    /// The new owner.
    #[schema(value_type = String)]
    owner: UserId,
    /// Kept in the ruling, and shown to whoever works the lead; up to 500 characters.
    #[serde(default)]
    reason: String,
}

/// What came of an assignment.
#[derive(Debug, Serialize, ToSchema)]
pub struct AssignedTo {
    /// The owner now.
    #[schema(value_type = String)]
    owner: UserId,
    /// Whether anything changed.
    changed: bool,
}

/// Leads that the caller may read, a page at a time; deleted ones when they are asked for.
#[utoipa::path(get, path = "/api/leads", tag = "leads", security(("bearer" = [])), params(LeadsPage),
    responses((status = 200, body = LeadPage), (status = 401, body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(LeadsPage { after, limit, deleted }): Query<LeadsPage>,
) -> Result<Json<LeadPage>, ApiError> {
    blocking(move || {
        let page = Page { after, limit };
        let ids = app.company.leads_of(caller.user(), page.after, page.size())?;
        let next = (ids.len() == page.size()).then(|| ids.last().copied()).flatten();
        let mut leads = Vec::with_capacity(ids.len());
        for id in ids {
            match row(&app.company, caller.user(), id) {
                Ok(row) if deleted.wants(row.deleted) => leads.push(row),
                Ok(_) => {}
                // It moved away between the two looks.
                Err(ReadRefused::Unknown) => {}
                Err(ReadRefused::Company(error)) => return Err(error.into()),
            }
        }
        Ok(Json(LeadPage { leads, next }))
    })
    .await
}

/// A lead with all its fields.
#[utoipa::path(get, path = "/api/leads/{lead}", tag = "leads", security(("bearer" = [])), params(("lead" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<DocId>,
) -> Result<Json<serde_json::Value>, ApiError> {
    blocking(move || {
        if id.kind() != Some(DocKind::Lead) {
            return Err(ApiError::not_found("there is no such lead"));
        }
        let doc = app.company.read_as(caller.user(), id)?;
        let mut lead = document::to_json(id, &doc, &app.company.clocks(id)?);
        let LeadOwner { owner, joint } = app.company.owner_of(id)?;
        lead["owner"] = serde_json::json!(owner);
        lead["joint_owners"] = serde_json::json!(joint);
        lead["duplicate_of"] = serde_json::json!(app.company.duplicate_of(id)?);
        lead["advancement"] = serde_json::json!(DocId::advancement_of(id));
        lead["ruling"] = serde_json::json!(DocId::ruling_of(id));
        Ok(Json(lead))
    })
    .await
}

/// Create a lead.
#[utoipa::path(post, path = "/api/leads", tag = "leads", security(("bearer" = [])), request_body = CreateLead,
    responses((status = 201, body = Created), (status = 200, body = Created), (status = 403, body = Problem)))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<CreateLead>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    blocking(move || {
        caller.require(OfficeVerb::Intake)?;
        scope::may_place(&app, &caller.person, body.owner, body.team)?;
        let missing = reachable(&body.fields).map_err(ApiError::bad_request)?;
        let lead = new_lead(body, caller.user())?;
        let wanted = lead.id;
        let (ids, touched) = app.company.intake(&[lead], app.now_ms())?;
        app.announce(touched);
        app.fresh.put(&ids);
        let id = ids.first().copied().unwrap_or(wanted);
        let created = id == wanted;
        let status = if created { StatusCode::CREATED } else { StatusCode::OK };
        Ok((status, Json(Created { id, created, missing })))
    })
    .await
}

/// Move a lead to another owner.
#[utoipa::path(post, path = "/api/leads/{lead}/assign", tag = "leads", security(("bearer" = [])), params(("lead" = String, Path)),
    request_body = Assign, responses((status = 200, body = AssignedTo), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn assign(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(lead): Path<DocId>,
    Body(body): Body<Assign>,
) -> Result<Json<AssignedTo>, ApiError> {
    blocking(move || {
        caller.require(OfficeVerb::Assign)?;
        if body.reason.chars().count() > 500 {
            return Err(ApiError::bad_request("a reason has up to 500 characters"));
        }
        let owner = app.company.user(body.owner)?;
        if !owner.active || !Company::may_own(owner.role) {
            return Err(ApiError::conflict("this user is not one who works leads"));
        }
        scope::may_decide(&app, &caller.person, lead, None)?;
        scope::may_place(&app, &caller.person, Some(body.owner), None)?;
        let assigned = app.company.assign(lead, body.owner, caller.user(), &body.reason, app.now_ms())?;
        app.announce(assigned.touched);
        Ok(Json(AssignedTo { owner: body.owner, changed: assigned.at.is_some() }))
    })
    .await
}

/// Say that a lead is a duplicate of another, or (with nothing) that it is none. Both leads stay as they are; the ruling names the other.
#[utoipa::path(put, path = "/api/leads/{lead}/duplicate-of", tag = "leads", security(("bearer" = [])), params(("lead" = String, Path)),
    request_body = DuplicateOf, responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn duplicate_of(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(lead): Path<DocId>,
    Body(body): Body<DuplicateOf>,
) -> Result<StatusCode, ApiError> {
    blocking(move || {
        caller.require(OfficeVerb::Assign)?;
        for lead in [Some(lead), body.lead].into_iter().flatten() {
            scope::may_decide(&app, &caller.person, lead, None)?;
        }
        app.announce(app.company.mark_duplicate(lead, body.lead, app.now_ms())?);
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

impl Deleted {
    fn wants(self, deleted: bool) -> bool {
        match self {
            Self::No => !deleted,
            Self::Only => deleted,
            Self::Any => true,
        }
    }
}

/// The mandatory fields of C3 that a lead lacks.
pub(super) fn missing(has: impl Fn(&str) -> bool) -> Vec<&'static str> {
    ["customer_name", "contact_phone", "need"].into_iter().filter(|name| !has(name)).collect()
}

fn row(company: &Company, user: UserId, id: DocId) -> Result<LeadRow, ReadRefused> {
    let doc = company.read_as(user, id)?;
    let mut root = doc.root(&company.clocks(id)?);
    let deleted = root.get("deleted") == Some(&Value::Bool(true));
    let mut text = |name: &str| match root.remove(name) {
        Some(Value::Text(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let (customer_name, phone, need) = (text("customer_name"), text("contact_phone"), text("need"));
    let missing = missing(|name| match name {
        "customer_name" => customer_name.is_some(),
        "contact_phone" => phone.is_some(),
        _ => need.is_some(),
    });
    let (hospital, source) = (text("hospital"), text("source"));
    let owner = company.owner_of(id)?.owner;
    Ok(LeadRow { id, customer_name, hospital, need, source, owner, missing, deleted })
}

/// The edits that fill a lead's registers; else the sentence that says which field there is not.
pub(super) fn registers(fields: BTreeMap<String, Value>) -> Result<Vec<Edit>, String> {
    let edit = |(field, value): (String, Value)| {
        let known = schema::field(DocKind::Lead, &field).filter(|f| f.meaning == Meaning::Register);
        known.ok_or_else(|| format!("a lead has no field {field:?} that can be set here"))?;
        Ok(Edit::Set { field, value })
    };
    fields.into_iter().map(edit).collect()
}

/// The mandatory fields that a lead lacks; the sentence that refuses one that nobody could call.
pub(super) fn reachable(fields: &BTreeMap<String, Value>) -> Result<Vec<&'static str>, &'static str> {
    let missing =
        missing(|name| fields.get(name).is_some_and(|v| v.as_text().is_some_and(|t| !t.is_empty())));
    if missing.contains(&"customer_name") && missing.contains(&"contact_phone") {
        return Err("a lead needs at least `customer_name` or `contact_phone`");
    }
    Ok(missing)
}

fn new_lead(body: CreateLead, by: UserId) -> Result<NewLead, ApiError> {
    let edits = registers(body.fields).map_err(ApiError::bad_request)?;
    let external_id = body.external_id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
    if external_id.as_ref().is_some_and(|id| id.len() > 200) {
        return Err(ApiError::bad_request("an external id has up to 200 bytes"));
    }
    Ok(NewLead {
        id: DocId::fresh(DocKind::Lead, EntryId(Entropy::from_system().draw())),
        edits,
        owner: body.owner,
        team: body.team,
        first_source: body.first_source,
        // Ids that imports give are kept apart from these.
        external_id: external_id.map(|id| format!("api/{id}")),
        by: Some(by),
    })
}

fn fifty() -> usize {
    50
}

const PAGE_MAX: usize = 200;
