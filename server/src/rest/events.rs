//! What other systems send (C2, C10, C36–C38, C45, C81): leads, and what their customers do on the site, on the telephone, in a chat, in a
//! session of customer service. Signed, and counted once however often it is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fieldbook_core::company::{CompanyError, IntakeKey, NewLead, NewSignal, SignalOutcome, SignalRefusal};
use fieldbook_core::document::{Edit, Value};
use fieldbook_core::ids::{DocId, DocKind, EntryId};
use fieldbook_core::limits;
use fieldbook_core::model::Signal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::leads::{reachable, registers};
use super::signed::Signed;
use super::{ApiError, Problem};
use crate::app::{App, blocking};
use crate::auth::Entropy;
use crate::hands::Threads;
use crate::metrics;

/// Leads that another system sends.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it says what the body is; each item is read by itself")]
pub struct SentLeads {
    /// Up to 500.
    leads: Vec<SentLead>,
}

/// A lead that another system sends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SentLead {
    /// How the sender calls it, 1 to 200 bytes: sent again it creates nothing.
    id: String,
    /// Fields of the lead document by name, as in `POST /api/leads`; `account` alone is not taken. Without `source` it is that of the key.
    #[schema(value_type = Object)]
    fields: BTreeMap<String, Value>,
    /// What the customer wrote; it becomes the lead's notes.
    #[serde(default)]
    text: String,
}

/// Events that another system sends.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it says what the body is; each item is read by itself")]
pub struct SentEvents {
    /// Up to 500.
    events: Vec<SentEvent>,
}

/// Something that a customer did.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SentEvent {
    /// How the sender calls it, 1 to 200 bytes: sent again it counts once.
    id: String,
    /// The lead's id, or how the same system called it when it sent it.
    lead: String,
    /// A kind of signal of the policy in force, such as `page_view`, `call_400`, `chat` or `service_session`.
    kind: String,
    /// The page, the document, the product.
    #[serde(default)]
    about: String,
    /// What was said.
    #[serde(default)]
    text: String,
    /// Seconds on the page, yuan of a purchase.
    #[serde(default)]
    amount: Option<i64>,
    /// How bad it is, where the policy names levels for the kind: 服务风险等级 of a complaint.
    #[serde(default)]
    level: String,
    /// When, milliseconds since 1970 UTC; left out, or later than now: now.
    #[serde(default)]
    at_ms: Option<i64>,
}

/// What came of leads.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeadAnswers {
    /// One for each, in order.
    leads: Vec<Answer>,
}

/// What came of events.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventAnswers {
    /// One for each, in order.
    events: Vec<Answer>,
}

/// What came of one item.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    /// How the sender calls it; nothing, where it has no id that can be read.
    id: Option<String>,
    /// Whether it is there now.
    outcome: AnswerOutcome,
    /// Its lead.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    lead: Option<DocId>,
    /// Why it was refused: stable, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Why it was refused: a sentence, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Whether something that was sent is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerOutcome {
    /// The lead is new.
    Created,
    /// The event is new.
    Recorded,
    /// It was sent before.
    Known,
    /// It is not; sending it again as it is helps only where the reason is `contended`.
    Refused,
}

/// Why an item was refused.
struct Refusal {
    reason: &'static str,
    detail: String,
}

/// Send leads. Nobody owns them, so that the rules assign them. One that is refused keeps no other back.
#[utoipa::path(post, path = "/api/v1/leads", tag = "intake", security(("intake_key" = [], "intake_signature" = [])),
    request_body = SentLeads, responses((status = 200, body = LeadAnswers), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn leads(
    State(app): State<Arc<App>>,
    signed: Signed,
) -> Result<Json<LeadAnswers>, ApiError> {
    let leads = blocking(move || take_leads(&app, &signed)).await?;
    count("lead", &leads);
    Ok(Json(LeadAnswers { leads }))
}

/// Send what customers did. The rules count it as if somebody had recorded it. One event that is refused keeps no other back.
#[utoipa::path(post, path = "/api/v1/events", tag = "intake", security(("intake_key" = [], "intake_signature" = [])),
    request_body = SentEvents, responses((status = 200, body = EventAnswers), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    signed: Signed,
) -> Result<Json<EventAnswers>, ApiError> {
    let events = blocking(move || take_events(&app, &signed)).await?;
    count("event", &events);
    Ok(Json(EventAnswers { events }))
}

fn count(kind: &'static str, answers: &[Answer]) {
    use AnswerOutcome::{Created, Known, Recorded, Refused};
    for (outcome, name) in [(Created, "new"), (Recorded, "new"), (Known, "known"), (Refused, "refused")] {
        let items = answers.iter().filter(|answer| answer.outcome == outcome).count();
        if items > 0 {
            metrics::taken_in(kind, name, items);
        }
    }
}

fn take_leads(app: &App, signed: &Signed) -> Result<Vec<Answer>, ApiError> {
    let items = signed.items("leads")?;
    let mut answers: Vec<Option<Answer>> = Vec::with_capacity(items.len());
    let mut fresh = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        let sent = read::<SentLead>(item).and_then(|(id, sent)| {
            if id.is_empty() || id.len() > limits::SENDER_ID_MAX_BYTES {
                let detail = SignalRefusal::Id.to_string();
                return Err((Some(id), Refusal { reason: SignalRefusal::Id.code(), detail }));
            }
            Ok((id, sent))
        });
        answers.push(match sent {
            Ok((id, sent)) => {
                fresh.push((at, id, sent));
                None
            }
            Err((id, refusal)) => Some(refused(id, refusal)),
        });
    }
    let ids: Vec<&str> = fresh.iter().map(|(_, id, _)| id.as_str()).collect();
    let known = app.company.leads_called(&signed.key, &ids)?;
    let mut new = Vec::new();
    for ((at, id, sent), known) in fresh.into_iter().zip(known) {
        answers[at] = match (known, new_lead(&signed.key, &id, sent)) {
            (Some(lead), _) => Some(done(id, AnswerOutcome::Known, lead)),
            (None, Err(refusal)) => Some(refused(Some(id), refusal)),
            (None, Ok(lead)) => {
                new.push((at, id, lead));
                None
            }
        };
    }
    for (at, answer) in create(app, new)? {
        answers[at] = Some(answer);
    }
    let answers: Vec<Answer> = answers.into_iter().flatten().collect();
    log(signed, "leads", &answers);
    Ok(answers)
}

/// Creates leads with one flush; those that no lead can hold are told apart first, where there are any.
fn create(app: &App, mut new: Vec<(usize, String, NewLead)>) -> Result<Vec<(usize, Answer)>, ApiError> {
    let now_ms = app.now_ms();
    let mut answers = Vec::with_capacity(new.len());
    let lot = |new: &[(usize, String, NewLead)]| {
        let leads: Vec<NewLead> = new.iter().map(|(_, _, lead)| lead.clone()).collect();
        app.company.intake(&leads, now_ms)
    };
    let mut taken = lot(&new);
    if matches!(taken, Err(CompanyError::Refused(_))) {
        let mut good = Vec::with_capacity(new.len());
        for (at, id, lead) in new {
            match app.company.try_intake(&lead, now_ms) {
                Ok(()) => good.push((at, id, lead)),
                Err(CompanyError::Refused(why)) => {
                    let detail = why.strip_prefix(&format!("lead {}: ", lead.id)).unwrap_or(&why).to_owned();
                    let refusal = Refusal { reason: "bad_field", detail };
                    answers.push((at, refused(Some(id), refusal)));
                }
                Err(other) => return Err(other.into()),
            }
        }
        new = good;
        taken = lot(&new);
    }
    let (ids, touched) = taken?;
    app.announce(touched);
    app.fresh.put(&ids);
    answers.extend(new.into_iter().zip(ids).map(|((at, id, lead), stands)| {
        // Sent twice in one request.
        let outcome = if stands == lead.id { AnswerOutcome::Created } else { AnswerOutcome::Known };
        (at, done(id, outcome, stands))
    }));
    Ok(answers)
}

fn new_lead(key: &IntakeKey, id: &str, sent: SentLead) -> Result<NewLead, Refusal> {
    let bad_field = |detail: String| Refusal { reason: "bad_field", detail };
    reachable(&sent.fields).map_err(|why| Refusal { reason: "incomplete", detail: why.to_owned() })?;
    // Whoever names a customer's file in the office may read it; nobody answers for another system.
    if sent.fields.contains_key("account") {
        return Err(bad_field("a lead has no field \"account\" that can be set here".to_owned()));
    }
    let has_source =
        sent.fields.get("source").and_then(Value::as_text).is_some_and(|source| !source.is_empty());
    let mut edits = registers(sent.fields).map_err(bad_field)?;
    if !has_source {
        let value = Value::Text(key.source.clone());
        edits.retain(|edit| !matches!(edit, Edit::Set { field, .. } if field == "source"));
        edits.push(Edit::Set { field: "source".to_owned(), value });
    }
    if !sent.text.is_empty() {
        edits.push(Edit::Splice { text: "notes".to_owned(), at: 0, delete: 0, insert: sent.text });
    }
    Ok(NewLead {
        id: DocId::fresh(DocKind::Lead, EntryId(Entropy::from_system().draw())),
        edits,
        first_source: Some(key.source.clone()),
        external_id: Some(key.external_id(id)),
        ..NewLead::default()
    })
}

fn take_events(app: &App, signed: &Signed) -> Result<Vec<Answer>, ApiError> {
    let items = signed.items("events")?;
    let mut answers: Vec<Option<Answer>> = Vec::with_capacity(items.len());
    let (mut places, mut signals) = (Vec::new(), Vec::new());
    for (at, item) in items.into_iter().enumerate() {
        answers.push(match read::<SentEvent>(item) {
            Ok((id, sent)) => {
                let SentEvent { lead, kind, about, text, amount, level, at_ms, .. } = sent;
                places.push(at);
                let signal = Signal { kind, about, amount, text, level, at_ms };
                signals.push(NewSignal { id, lead, signal });
                None
            }
            Err((id, refusal)) => Some(refused(id, refusal)),
        });
    }
    let recorded = app.company.record_signals(&signed.key, &signals, app.now_ms(), &Threads)?;
    app.announce(recorded.touched);
    for ((at, signal), outcome) in places.into_iter().zip(signals).zip(recorded.outcomes) {
        answers[at] = Some(match outcome {
            SignalOutcome::Recorded(lead) => done(signal.id, AnswerOutcome::Recorded, lead),
            SignalOutcome::Known(lead) => done(signal.id, AnswerOutcome::Known, lead),
            SignalOutcome::Refused(why) => {
                refused(Some(signal.id), Refusal { reason: why.code(), detail: why.to_string() })
            }
        });
    }
    let answers: Vec<Answer> = answers.into_iter().flatten().collect();
    log(signed, "events", &answers);
    Ok(answers)
}

/// An item that has an id.
trait Item: DeserializeOwned {
    fn id(&self) -> &str;
}

impl Item for SentLead {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Item for SentEvent {
    fn id(&self) -> &str {
        &self.id
    }
}

/// An item, with its id; one that is not understood, with its id where it has one.
fn read<T: Item>(item: serde_json::Value) -> Result<(String, T), (Option<String>, Refusal)> {
    let id = item.get("id").and_then(serde_json::Value::as_str).map(str::to_owned);
    match serde_json::from_value::<T>(item) {
        Ok(item) => Ok((item.id().to_owned(), item)),
        Err(error) => Err((id, Refusal { reason: "malformed", detail: error.to_string() })),
    }
}

fn done(id: String, outcome: AnswerOutcome, lead: DocId) -> Answer {
    Answer { id: Some(id), outcome, lead: Some(lead), reason: None, detail: None }
}

fn refused(id: Option<String>, Refusal { reason, detail }: Refusal) -> Answer {
    Answer { id, outcome: AnswerOutcome::Refused, lead: None, reason: Some(reason), detail: Some(detail) }
}

/// Refusals show in the log by key and count: whoever runs the server tells whoever runs the other system.
fn log(signed: &Signed, what: &'static str, answers: &[Answer]) {
    let refused = answers.iter().filter(|answer| answer.outcome == AnswerOutcome::Refused).count();
    if refused > 0 {
        let reasons: std::collections::BTreeSet<&str> =
            answers.iter().filter_map(|answer| answer.reason).collect();
        tracing::warn!(key = %signed.key_id, what, refused, of = answers.len(), ?reasons, "what another system sent was refused");
    }
}
