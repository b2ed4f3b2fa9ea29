//! Row 13: what customers do, sent by another system with a signed key (C2, C36–C38): events a second, each in its lead's document and on the
//! disk before it is answered.

use std::time::{SystemTime, UNIX_EPOCH};

use fieldbook_core::access::Role;
use fieldbook_core::company::IntakeKey;
use fieldbook_core::ids::{DocId, EntryId};
use hmac::{Hmac, KeyInit, Mac};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::Sha256;
use tokio::time::Instant;

use crate::firm::{Firm, now};
use crate::http::Http;
use crate::server::Server;
use crate::table::{Row, median, number, spread};
use crate::yardstick::{disk, ms};
use crate::{Fail, Plan};

/// Measures the row.
///
/// # Errors
/// Whatever stops it.
pub fn run(plan: &Plan) -> Result<Vec<Row>, Fail> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(plan))
}

async fn measure(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let (leads, events) = (plan.size(5_000, 100), plan.size(40_000, 400));
    let firm = Firm::found(&plan.scratch)?;
    let office = firm.open()?;
    office.hire(1, Role::Manager)?;
    let rep = office.hire(2, Role::Rep)?;
    let ids = office.intake(rep.user, leads, 31)?;
    let id = EntryId([7; 16]);
    let key = IntakeKey {
        name: "官网".into(),
        source: "官网".into(),
        secret: SECRET,
        system: id,
        created_ms: now().wall_ms,
        revoked_ms: None,
    };
    office.company().put_intake_key(id, &key)?;
    office.close()?;
    let server = Server::start(&firm)?;
    let began = Instant::now();
    let mut senders = Vec::new();
    for sender in 0..SENDERS {
        let (ids, port) = (ids.clone(), firm.port);
        senders.push(tokio::spawn(async move { send(port, id, &ids, sender, events / SENDERS).await }));
    }
    let mut took = Vec::new();
    for sender in senders {
        took.extend(sender.await??);
    }
    let wall_s = began.elapsed().as_secs_f64();
    let cpu_s = server.cpu_s()?;
    server.stop()?;
    let sent = events / SENDERS * SENDERS;
    Ok(vec![
        Row::at_least("Events of other systems taken in, signed and durable", sent as f64 / wall_s, "events/s", 2_000.0)
            .note(format!(
                "{sent} events about {leads} leads in requests of {A_REQUEST}, {SENDERS} connections that wait for each answer; a request \
                 takes {} ms (median; {}); processor of the server {} s, its rules in it",
                number(median(took.clone())),
                spread(&took),
                number(cpu_s),
            ))
            .yardstick(disk(&plan.scratch)?),
    ])
}

/// Sends events about leads at random; milliseconds of each request.
async fn send(
    port: u16,
    key: EntryId,
    leads: &[DocId],
    sender: usize,
    events: usize,
) -> Result<Vec<f64>, Fail> {
    let mut server = Http::connect(port).await?;
    let mut rng = StdRng::seed_from_u64(sender as u64);
    let mut took = Vec::new();
    for first in (0..events).step_by(A_REQUEST) {
        let lot: Vec<_> = (first..events.min(first + A_REQUEST))
            .map(|n| {
                let lead = leads[rng.random_range(0..leads.len())];
                serde_json::json!({ "id": format!("{sender}-{n}"), "lead": lead, "kind": KIND, "about": "CT" })
            })
            .collect();
        let body = serde_json::json!({ "events": lot }).to_string();
        let headers = [format!("Fieldbook-Key: {key}"), format!("Fieldbook-Signature: {}", sign(&body)?)];
        let began = Instant::now();
        let answer = server.post("/api/v1/events", &headers, &body).await?;
        took.push(ms(began.elapsed()));
        let recorded = answer.to_string().matches("\"recorded\"").count();
        if recorded != lot.len() {
            return Err(format!("{recorded} of {} events were recorded: {answer}", lot.len()).into());
        }
    }
    Ok(took)
}

fn sign(body: &str) -> Result<String, Fail> {
    let at_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let mut mac = Hmac::<Sha256>::new_from_slice(&SECRET)?;
    mac.update(format!("{at_ms}.{body}").as_bytes());
    let tag: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("t={at_ms},v1={tag}"))
}

const SECRET: [u8; 32] = [5; 32];
/// A signal that the pack knows.
const KIND: &str = "page_view";
const A_REQUEST: usize = 100;
const SENDERS: usize = 4;
