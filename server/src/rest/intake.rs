//! The import of a table: from a file's bytes to leads in the company, the same for REST and for the command line.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use fieldbook_core::access::OfficeVerb;
use fieldbook_core::company::{CompanyError, NewLead};
use fieldbook_core::document::{Edit, Value};
use fieldbook_core::ids::{EntryId, TeamId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};

use super::caller::{Caller, Query};
use super::{ApiError, Problem, scope};
use crate::app::{App, blocking};
use crate::import::{Field, ImportedLead, plan_import, read_table, write_errors};
use crate::metrics;

/// How a table is imported.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct ImportOptions {
    /// Who works the leads.
    #[param(value_type = Option<String>)]
    pub owner: Option<UserId>,
    /// The team whose pool they wait in.
    #[param(value_type = Option<String>)]
    pub team: Option<TeamId>,
    /// Names the system that the ids come from; without one the table's own columns do.
    pub namespace: Option<String>,
    /// Decide about every row, and import none.
    pub dry_run: bool,
}

/// What came of an import. Every row of the table is counted once in `imported`, `known` or `rejected`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ImportReport {
    /// How the file was understood.
    pub format: String,
    /// Each column and what it was taken for; `extra`: kept under its own name.
    pub columns: Vec<ColumnUse>,
    /// Rows behind the header.
    pub rows: usize,
    /// Rows that became leads.
    pub imported: usize,
    /// Rows that an earlier import had made leads of.
    pub known: usize,
    /// Leads (new or known) that lack a mandatory field (C3).
    pub incomplete: usize,
    /// Rows that were not imported.
    pub rejected: usize,
    /// The rejected rows with line and reason, as a CSV file; empty when there are none.
    pub errors_csv: String,
}

/// A column of an imported table.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ColumnUse {
    /// Its name.
    pub name: String,
    /// What it was taken for.
    pub taken_for: String,
}

/// Import leads from a table: CSV (UTF-8, UTF-16, GBK) or a workbook, as the request's body.
#[utoipa::path(post, path = "/api/leads/import", tag = "leads", security(("bearer" = [])), params(ImportOptions),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = ImportReport), (status = 422, body = Problem), (status = 413, body = Problem)))]
pub(super) async fn import(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(options): Query<ImportOptions>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Json<ImportReport>, ApiError> {
    let body = body?;
    blocking(move || {
        caller.require(OfficeVerb::Intake)?;
        scope::may_place(&app, &caller.person, options.owner, options.team)?;
        import_table(&app, &body, &options).map(Json)
    })
    .await
}

/// Imports a file's bytes.
///
/// # Errors
/// 422 or 413 for a file that is no table or too large; then nothing was imported. An error of the store leaves the leads before it imported;
/// importing again goes on.
pub fn import_table(app: &App, bytes: &[u8], options: &ImportOptions) -> Result<ImportReport, ApiError> {
    let table = read_table(bytes)?;
    let mut plan = plan_import(&table, options.namespace.as_deref())?;
    let (mut imported, mut known) = (0, 0);
    let mut refused = Vec::new();
    for lot in plan.leads.chunks(LOT) {
        let (mut good, mut new) = (0, Vec::with_capacity(lot.len()));
        for lead in lot {
            let made = new_lead(lead, options);
            // What no lead document can hold is this row's fault alone: the others of the table go on.
            match app.company.check_new_lead(&made) {
                Ok(()) => {
                    good += 1;
                    known += usize::from(app.company.header(lead.lead)?.is_some());
                    new.push(made);
                }
                Err(CompanyError::Refused(why)) => refused.push((lead.line, why)),
                Err(other) => return Err(other.into()),
            }
        }
        imported += good;
        if !options.dry_run {
            let (_, touched) = app.company.intake(&new, app.now_ms())?;
            app.announce(touched);
        }
    }
    plan.refuse(&table, refused);
    imported -= known;
    if options.dry_run {
        (imported, known) = (0, 0);
    }
    metrics::imported(imported, known, plan.rejected.len());
    let mut errors = Vec::new();
    if !plan.rejected.is_empty() {
        // Writing into memory has no way to fail.
        let _ = write_errors(&mut errors, &table.header, &plan.rejected);
    }
    let taken_for = |field: &Option<Field>| field.map_or("extra".into(), |field| format!("{field:?}"));
    let columns =
        plan.columns.iter().map(|(name, f)| ColumnUse { name: name.clone(), taken_for: taken_for(f) });
    Ok(ImportReport {
        format: table.format.clone(),
        columns: columns.collect(),
        rows: table.rows.len(),
        imported,
        known,
        incomplete: plan.incomplete(),
        rejected: plan.rejected.len(),
        errors_csv: String::from_utf8_lossy(&errors).into_owned(),
    })
}

/// A lead's edits: its registers, its contact, its notes, and one entry of its log that keeps every other column.
fn new_lead(lead: &ImportedLead, options: &ImportOptions) -> NewLead {
    let mut edits = Vec::new();
    let mut set = |field: &str, value: Option<Value>| {
        edits.extend(value.map(|value| Edit::Set { field: field.to_owned(), value }));
    };
    let text = |value: &Option<String>| value.clone().map(Value::Text);
    set("customer_name", text(&lead.customer_name));
    set("contact_phone", text(&lead.contact_phone));
    set("need", text(&lead.need));
    set("budget_min_fen", lead.budget_min_fen.map(Value::Int));
    set("budget_max_fen", lead.budget_max_fen.map(Value::Int));
    for (field, name) in REGISTERS {
        set(name, lead.fields.get(field).cloned().map(Value::Text));
    }
    if let Some(notes) = lead.fields.get(&Field::Notes) {
        edits.push(Edit::Splice { text: "notes".into(), at: 0, delete: 0, insert: notes.clone() });
    }
    if let Some(name) = lead.fields.get(&Field::ContactName) {
        let mut values = [("name".to_owned(), Value::Text(name.clone()))]
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>();
        values.extend(lead.contact_phone.clone().map(|phone| ("phone".to_owned(), Value::Text(phone))));
        values.extend(
            lead.fields.get(&Field::ContactTitle).map(|t| ("title".to_owned(), Value::Text(t.clone()))),
        );
        edits.push(Edit::AddRecord { field: "contacts".into(), id: derived(lead, "contact"), values });
    }
    let rest = lead.fields.iter().filter(|(field, _)| REST.contains(field));
    let mut extra: serde_json::Map<String, serde_json::Value> =
        rest.map(|(field, value)| (format!("{field:?}"), json!(value))).collect();
    extra.extend(lead.extra.iter().map(|(name, value)| (name.clone(), json!(value))));
    let body = json!({"type": "import", "external_id": lead.external_id, "extra": extra}).to_string();
    edits.push(Edit::Append { log: "events".into(), id: derived(lead, "import"), body });
    NewLead {
        id: lead.lead,
        edits,
        owner: options.owner,
        team: options.team,
        first_source: lead.fields.get(&Field::Source).cloned(),
        external_id: Some(format!("import/{}", lead.lead)),
        by: None,
    }
}

/// An id that importing the row again gives again.
fn derived(lead: &ImportedLead, what: &str) -> EntryId {
    let mut hash = Sha256::new();
    hash.update(b"fieldbook/import/1");
    hash.update(lead.lead.0);
    hash.update(what);
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    EntryId(id)
}

/// Fields that are a register of the lead document under this name.
const REGISTERS: &[(Field, &str)] = &[
    (Field::Hospital, "hospital"),
    (Field::Department, "department"),
    (Field::Equipment, "equipment"),
    (Field::Brand, "brand"),
    (Field::Source, "source"),
    (Field::Industry, "industry"),
    (Field::Province, "province"),
    (Field::RegionCode, "region_code"),
    (Field::PurchaseTiming, "purchase_timing"),
    (Field::CustomerState, "customer_state"),
    (Field::NextAction, "next_action"),
    (Field::ExpectedClose, "expected_close"),
];
/// Known fields without a register of the lead: they stay with the extra ones.
const REST: &[Field] = &[Field::City, Field::Address, Field::Email, Field::Tags, Field::ContactTitle];
/// Leads of one flush.
const LOT: usize = 256;
