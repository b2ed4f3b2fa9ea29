//! Row 12: from a lead's intake to the phone of whoever got it (C15). Leads come by REST at a steady rate; the server's rules give each to one
//! of the reps, whose phones are connected; it counts when the phone has stored it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fieldbook_core::access::Role;
use fieldbook_core::ids::{DocId, DocKind};
use tokio::time::{Instant, sleep, sleep_until};

use crate::firm::{Firm, Member};
use crate::http::Http;
use crate::phone::Phone;
use crate::server::Server;
use crate::table::{Row, number};
use crate::{Fail, Plan, yardstick};

/// Measures the row.
///
/// # Errors
/// Whatever stops it.
pub fn run(plan: &Plan) -> Result<Vec<Row>, Fail> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(plan))
}

/// When each lead was on a phone.
type Arrived = Arc<Mutex<BTreeMap<DocId, Instant>>>;

async fn measure(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let leads = plan.size(A_SECOND * SECONDS, 40);
    let firm = Firm::found(&plan.scratch)?;
    let office = firm.open()?;
    office.hire(1, Role::Manager)?;
    let clerk = office.hire(2, Role::Marketing)?;
    let reps = (0..plan.size(REPS, 3)).map(|n| office.hire(10 + n as u64, Role::Rep));
    let reps = reps.collect::<Result<Vec<_>, _>>()?;
    office.close()?;
    let server = Server::start(&firm)?;
    let arrived = Arrived::default();
    let stop = Arc::new(AtomicBool::new(false));
    let mut phones = Vec::new();
    for (n, rep) in reps.iter().enumerate() {
        let mut phone = Phone::enrol(&firm.folder().join(format!("phone-{n}")), rep)?;
        phone.sync(&rep.token, firm.port).await?;
        let (arrived, stop, token, port) = (arrived.clone(), stop.clone(), rep.token.clone(), firm.port);
        phones.push(tokio::spawn(async move {
            let heard = |docs: &BTreeSet<DocId>| {
                let at = Instant::now();
                let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
                for lead in docs.iter().filter(|doc| doc.kind() == Some(DocKind::Lead)) {
                    arrived.entry(*lead).or_insert(at);
                }
            };
            phone.listen(&token, port, &stop, heard).await
        }));
    }
    // So that every phone is greeted before the first lead.
    sleep(Duration::from_secs(1)).await;
    let sent = send_all(&firm, &clerk, leads).await?;
    let until = Instant::now() + PATIENCE;
    while arrived.lock().unwrap_or_else(PoisonError::into_inner).len() < leads && Instant::now() < until {
        sleep(Duration::from_millis(20)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for phone in phones {
        phone.await??;
    }
    let cpu_s = server.cpu_s()?;
    server.stop()?;
    let arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
    let mut took = Vec::with_capacity(leads);
    for (lead, began) in sent {
        let at = arrived.get(&lead).ok_or_else(|| format!("{lead} reached nobody"))?;
        took.push(at.saturating_duration_since(began).as_secs_f64());
    }
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() as f64 * share).ceil() as usize).clamp(1, took.len()) - 1];
    Ok(vec![
        Row::at_most("From intake to the rep's connected phone, at 200 leads a second: p99", at(0.99), "s", 1.0)
            .note(format!(
                "{leads} leads by REST, one every 5 ms whatever became of those before, {} reps; half within {} s, the slowest {} s; from the \
                 moment at which it was to be sent until the phone had stored it; processor of the server {} s",
                reps.len(),
                number(at(0.5)),
                number(at(1.0)),
                number(cpu_s),
            ))
            .note("phones and senders are on the same two cores")
            .yardstick(format!("{}; {}", yardstick::loopback()?, yardstick::disk(&plan.scratch)?)),
    ])
}

/// Sends leads at the rate, over several connections. Gives each with the moment at which it was due to be sent.
async fn send_all(firm: &Firm, clerk: &Member, leads: usize) -> Result<Vec<(DocId, Instant)>, Fail> {
    let begin = Instant::now() + Duration::from_millis(200);
    let mut senders = Vec::new();
    for at in 0..SENDERS {
        let (port, token) = (firm.port, clerk.token.clone());
        senders.push(tokio::spawn(async move {
            let mut server = Http::connect(port).await?;
            let mut sent = Vec::new();
            for n in (at..leads).step_by(SENDERS) {
                let due = begin + Duration::from_secs(1) * n as u32 / A_SECOND as u32;
                sleep_until(due).await;
                sent.push((post(&mut server, &token, n).await?, due));
            }
            Ok::<_, Fail>(sent)
        }));
    }
    let mut sent = Vec::with_capacity(leads);
    for sender in senders {
        sent.extend(sender.await??);
    }
    Ok(sent)
}

/// One lead by REST; its id.
async fn post(server: &mut Http, token: &str, n: usize) -> Result<DocId, Fail> {
    let fields = serde_json::json!({
        "customer_name": format!("市{n}院"), "contact_phone": format!("13{n:09}"), "need": "采购",
        "equipment": "64排CT", "hospital": format!("市{n}院"),
    });
    let body = serde_json::json!({ "fields": fields, "first_source": "官网" }).to_string();
    let answer = server.post("/api/leads", &[format!("Authorization: Bearer {token}")], &body).await?;
    let id = answer.get("id").and_then(serde_json::Value::as_str).and_then(|id| id.parse().ok());
    id.ok_or_else(|| format!("no lead: {answer}").into())
}

/// Leads a second.
const A_SECOND: usize = 200;
const SECONDS: usize = 30;
const REPS: usize = 20;
/// Connections over which leads come.
const SENDERS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(60);
