//! The playbook (C38, C94): talk packs and materials as marketing writes them, and lost deals as those write them down who led them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fieldbook_core::access::OfficeVerb;
use fieldbook_core::company::CompanyError;
use fieldbook_core::ids::{DocId, DocKind};
use fieldbook_core::playbook::{LostDeal, Material, TalkPack, Written};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Body, Caller, Path};
use super::{ApiError, Problem, scope};
use crate::app::{App, blocking};
use crate::auth::Entropy;

/// What helps in a talk.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlaybookPage {
    /// 话术包: `id`, `title`, `lines`, `materials`.
    #[schema(value_type = Vec<Object>)]
    packs: Vec<TalkPack>,
    /// 资料: `id`, `title`, `link`.
    #[schema(value_type = Vec<Object>)]
    materials: Vec<Material>,
    /// 丢单: without the customers' names.
    #[schema(value_type = Vec<Object>)]
    lost_deals: Vec<LostDeal>,
}

/// A playbook to be published.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishPlaybook {
    /// As it is written: TOML with `[[packs]]` and `[[materials]]`, all of them. What is not in it is there no more.
    toml: String,
    /// Only say what is wrong with it.
    #[serde(default)]
    dry_run: bool,
}

/// What came of publishing.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublishedPlaybook {
    /// Talk packs that it has.
    packs: usize,
    /// Materials that it has.
    materials: usize,
    /// Whether anything is another than before.
    changed: bool,
    /// Talk packs and materials that the policy in force names and that are not there: a phone that asks for one hears that there is none.
    dangling: Vec<String>,
}

/// A deal that was lost.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLostDeal {
    /// The lead. Its equipment, brand, need, industry, province, budget and tags are taken along, its customer's name is not; written down again,
    /// the deal replaces what was written before.
    #[schema(value_type = String)]
    lead: DocId,
    /// 丢单点: where it was lost.
    point: String,
    /// 客户原话: what the customer said. No names: everybody in the company reads it.
    words: String,
    /// 应对: what was answered, or would have to be.
    answer: String,
    /// Who won it, if it is not the brand that the lead says.
    #[serde(default)]
    brand: String,
}

/// What helps in a talk: what ships, and what the company wrote over it.
#[utoipa::path(get, path = "/api/playbook", tag = "playbook", security(("bearer" = [])), responses((status = 200, body = PlaybookPage)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    _caller: Caller,
) -> Result<Json<PlaybookPage>, ApiError> {
    blocking(move || {
        let book = app.company.playbook()?;
        Ok(Json(PlaybookPage {
            packs: book.packs.into_values().collect(),
            materials: book.materials.into_values().collect(),
            lost_deals: book.lost_deals.into_values().collect(),
        }))
    })
    .await
}

/// Check talk packs and materials, and publish them.
#[utoipa::path(put, path = "/api/playbook", tag = "playbook", security(("bearer" = [])), request_body = PublishPlaybook,
    responses((status = 200, body = PublishedPlaybook), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn publish(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<PublishPlaybook>,
) -> Result<Json<PublishedPlaybook>, ApiError> {
    blocking(move || {
        caller.require(OfficeVerb::Instruct)?;
        let written = Written::from_toml(&body.toml)
            .map_err(|wrong| ApiError::new(StatusCode::BAD_REQUEST, "playbook_refused", wrong.to_string()))?;
        Ok(Json(put_out(&app, &written, body.dry_run)?))
    })
    .await
}

/// Write down what a lead was lost by. Who decides about the lead may.
#[utoipa::path(post, path = "/api/playbook/lost-deals", tag = "playbook", security(("bearer" = [])), request_body = NewLostDeal,
    responses((status = 201, body = Object), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn lost_deal(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<NewLostDeal>,
) -> Result<(StatusCode, Json<LostDeal>), ApiError> {
    blocking(move || {
        caller.require(OfficeVerb::Review)?;
        let NewLostDeal { lead, point, words, answer, brand } = body;
        if lead.kind() != Some(DocKind::Lead) {
            return Err(ApiError::not_found("there is no such lead"));
        }
        scope::may_decide(&app, &caller.person, lead, None)?;
        let deal = LostDeal { point, words, answer, brand, ..LostDeal::default() };
        let (zone, seed) = (&app.config.timezone, Entropy::from_system().draw());
        let (deal, touched) = app.company.record_lost_deal(lead, deal, zone, seed, app.now_ms())?;
        app.announce(touched);
        Ok((StatusCode::CREATED, Json(deal)))
    })
    .await
}

/// Take a lost deal out of the playbook.
#[utoipa::path(delete, path = "/api/playbook/lost-deals/{deal}", tag = "playbook", security(("bearer" = [])), params(("deal" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn withdraw(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(deal): Path<String>,
) -> Result<StatusCode, ApiError> {
    blocking(move || {
        caller.require(OfficeVerb::Instruct)?;
        let touched = app.company.withdraw_lost_deal(&deal, Entropy::from_system().draw(), app.now_ms())?;
        if touched.is_empty() {
            return Err(ApiError::not_found("there is no such lost deal"));
        }
        app.announce(touched);
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Publishes packs and materials, and tells the phones.
pub(crate) fn put_out(
    app: &App,
    written: &Written,
    dry_run: bool,
) -> Result<PublishedPlaybook, CompanyError> {
    let now_ms = app.now_ms();
    let changed = app.company.check_playbook(written, now_ms)?;
    if changed && !dry_run {
        app.announce(app.company.publish_playbook(written, Entropy::from_system().draw(), now_ms)?);
    }
    let policies = app.company.policies()?;
    let dangling =
        policies.at(now_ms).policy.as_ref().map(|policy| written.dangling(policy)).unwrap_or_default();
    Ok(PublishedPlaybook {
        packs: written.packs.len(),
        materials: written.materials.len(),
        changed,
        dangling,
    })
}
