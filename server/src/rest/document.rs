//! Any document as JSON, by the table of its fields: registers by name, records and sets by id, logs in order.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fieldbook_core::document::{Clocks, Doc, Meaning, schema};
use fieldbook_core::ids::DocId;
use serde_json::{Map, Value, json};

use super::caller::{Caller, Path};
use super::{ApiError, Problem};
use crate::app::{App, blocking};

/// Read a document that the caller may read. What is not theirs is not there.
#[utoipa::path(get, path = "/api/documents/{document}", tag = "leads", security(("bearer" = [])),
    params(("document" = String, Path)), responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<DocId>,
) -> Result<Json<Value>, ApiError> {
    blocking(move || {
        let doc = app.company.read_as(caller.user(), id)?;
        Ok(Json(to_json(id, &doc, &app.company.clocks(id)?)))
    })
    .await
}

/// A document with its id, its kind and every field that has a value, its times as the company's `clocks` correct them (O1): the office reads
/// what phones read.
pub(super) fn to_json(id: DocId, doc: &Doc, clocks: &impl Clocks) -> Value {
    let mut fields = Map::new();
    for (name, value) in doc.root(clocks) {
        fields.insert(name, json!(value));
    }
    for field in schema::fields(doc.kind()) {
        let value = match field.meaning {
            Meaning::Register => continue,
            Meaning::Registers => json!(doc.registers(field.name, clocks)),
            Meaning::Records => {
                json!(doc.records(field.name, clocks).into_iter().collect::<std::collections::BTreeMap<_, _>>())
            }
            Meaning::Set => {
                let set = doc.set(field.name, clocks);
                Value::Object(set.into_iter().map(|(key, body)| (key, body_json(&body))).collect())
            }
            Meaning::Log => Value::Array(
                doc.log(field.name, clocks)
                    .iter()
                    .map(|e| json!({"id": e.id, "at_ms": e.at.at_ms, "device": e.device, "user": e.user(), "body": body_json(&e.body)}))
                    .collect(),
            ),
            Meaning::Text => json!(doc.text(field.name)),
        };
        let empty = match &value {
            Value::Object(map) => map.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        if !empty {
            fields.insert(field.name.to_owned(), value);
        }
    }
    json!({"id": id, "kind": doc.kind().name(), "conflicts": doc.conflicts(clocks).len(), "fields": fields})
}

/// An entry's body is JSON; one that is not (a newer phone's) is shown as its text.
fn body_json(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()))
}
