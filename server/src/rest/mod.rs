//! The REST face: the whole URL surface on this page, one file a subject beside it.
//!
//! Owns: who may call what, what comes in and goes out as JSON, and the OpenAPI document that says so (`/api/openapi.json`). Refuses to decide:
//! a handler reads its input into types, asks the company, and writes down the answer.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Json, Router, middleware};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::import;

mod caller;
mod codes;
mod conflicts;
mod devices;
mod document;
mod enrol;
mod error;
mod events;
mod evidence;
mod export;
mod figures;
mod held;
mod intake;
mod intake_keys;
mod landing;
mod leads;
mod limiter;
mod people;
mod playbook;
mod policy;
mod progress;
mod scope;
mod signed;
mod system;
#[cfg(test)]
mod tests;

pub(crate) use figures::told as figures_of;
pub(crate) use playbook::put_out;
pub(crate) use policy::{put_in_force, tomorrow};

pub use caller::{Caller, Sender};
pub use error::{ApiError, Problem};
pub use intake::{ImportOptions, ImportReport, import_table};

/// Every route of the REST face.
pub fn router(app: Arc<App>) -> Router {
    router_within(app, progress::STALL)
}

/// As [`router`]; a request whose body stands still for longer than `stall` is given up.
pub(crate) fn router_within(app: Arc<App>, stall: Duration) -> Router {
    crate::metrics::install();
    let (router, openapi) = routes(app.clone());
    router
        .route("/api/openapi.json", get(move || async move { Json(openapi) }))
        .route("/enrol", get(landing::page))
        .fallback(|| async { ApiError::not_found("there is no such address") })
        .layer(middleware::map_request(move |request| progress::watched(request, stall)))
        .layer(middleware::from_fn(system::observe))
        .with_state(app)
}

/// The OpenAPI document alone, for clients that are generated from it.
pub fn openapi(app: Arc<App>) -> utoipa::openapi::OpenApi {
    routes(app).1
}

#[rustfmt::skip]
fn routes(app: Arc<App>) -> (Router<Arc<App>>, utoipa::openapi::OpenApi) {
    let limiter = Arc::new(limiter::Limiter::default());
    let open = OpenApiRouter::new()
        // Without a token: what a new phone and a machine need.
        .routes(routes!(enrol::enrol))
        .routes(routes!(enrol::refresh))
        .layer(axum::Extension(limiter))
        .routes(routes!(system::healthz))
        .routes(routes!(system::readyz))
        .routes(routes!(system::metrics));
    let office = OpenApiRouter::new()
        // People.
        .routes(routes!(people::list_users, people::create_user))
        .routes(routes!(people::change_user))
        .routes(routes!(people::list_teams, people::create_team))
        .routes(routes!(people::change_team))
        // Phones.
        .routes(routes!(codes::issue))
        .routes(routes!(codes::handover))
        .routes(routes!(codes::list))
        .routes(routes!(codes::revoke))
        .routes(routes!(devices::list))
        .routes(routes!(devices::revoke))
        .routes(routes!(devices::report_stolen))
        // Leads.
        .routes(routes!(leads::list, leads::create))
        .routes(routes!(export::export))
        .routes(routes!(leads::read))
        .routes(routes!(leads::assign))
        .routes(routes!(leads::duplicate_of))
        .routes(routes!(document::read))
        // What needs a person's eye.
        .routes(routes!(conflicts::list))
        .routes(routes!(conflicts::of_document))
        .routes(routes!(conflicts::resolve))
        .routes(routes!(held::list))
        .routes(routes!(held::read))
        .routes(routes!(held::accept))
        .routes(routes!(held::discard))
        // Other systems.
        .routes(routes!(intake_keys::list, intake_keys::create))
        .routes(routes!(intake_keys::revoke))
        // Rules.
        .routes(routes!(policy::read, policy::publish))
        .routes(routes!(figures::read))
        // What helps in a talk.
        .routes(routes!(playbook::read, playbook::publish))
        .routes(routes!(playbook::lost_deal))
        .routes(routes!(playbook::withdraw))
        .routes(routes!(figures::intents))
        // The company as a whole.
        .routes(routes!(system::stats));
    let signed = OpenApiRouter::new()
        // By the key of another system.
        .routes(routes!(events::leads))
        .routes(routes!(events::events));
    let import = OpenApiRouter::new()
        .routes(routes!(intake::import))
        .layer(DefaultBodyLimit::max(import::FILE_MAX_BYTES));
    let evidence = OpenApiRouter::new()
        .routes(routes!(evidence::put, evidence::get))
        .routes(routes!(evidence::progress))
        .layer(DefaultBodyLimit::max(fieldbook_core::limits::EVIDENCE_PART_BYTES));
    let mut base = Document::openapi();
    base.info.description = Some(format!("The office's and the phones' REST interface of {}.", app.company.name()));
    OpenApiRouter::with_openapi(base).merge(open).merge(office).merge(signed).merge(import).merge(evidence).split_for_parts()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Fieldbook", version = env!("CARGO_PKG_VERSION"), license(name = "MIT OR Apache-2.0")),
    components(schemas(Problem)),
    modifiers(&Schemes)
)]
struct Document;

/// How callers say who they are: the access token in the `Authorization` header, for every route that does not say otherwise; key and signature
/// of another system.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.bearer_format = Some("JWT".into());
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        let header =
            |name, says| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, says)));
        let says = "The id of an intake key.";
        components.add_security_scheme("intake_key", header("Fieldbook-Key", says));
        let says = "`t=<ms since 1970 UTC>,v1=<hex>`: HMAC-SHA-256 of `<t>.<body>` under the key's secret.";
        components.add_security_scheme("intake_signature", header("Fieldbook-Signature", says));
    }
}
