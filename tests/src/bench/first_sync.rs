//! Row 2: a new phone. 10,000 leads come for the first time, into the phone's durable encrypted store.

use fieldbook_core::access::Role;
use fieldbook_core::ids::DocKind;

use crate::firm::Firm;
use crate::phone::Phone;
use crate::reconnect::EXCLUDED;
use crate::server::{Server, own_cpu_s};
use crate::table::{Row, median, number, spread};
use crate::{Fail, Plan, say, yardstick};

/// Measures the row.
///
/// # Errors
/// Whatever stops it.
pub fn run(plan: &Plan) -> Result<Vec<Row>, Fail> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(plan))
}

/// One first sync.
struct Seen {
    down_bytes: f64,
    saved_bytes: f64,
    leads_a_second: f64,
    phone_cpu_s: f64,
    server_cpu_s: f64,
    documents: usize,
}

async fn measure(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let leads = plan.size(10_000, 300);
    let machine = format!(
        "{}; {}; {}",
        yardstick::loopback()?,
        yardstick::disk(&plan.scratch)?,
        yardstick::automerge()?
    );
    let fresh = look(plan, leads, 0).await?;
    let worked = look(plan, leads, WORKED).await?;
    let ratio = |seen: &[Seen]| median(seen.iter().map(|s| s.down_bytes / s.saved_bytes).collect());
    let rate = |seen: &[Seen]| seen.iter().map(|s| s.leads_a_second).collect::<Vec<_>>();
    let words = |seen: &[Seen]| {
        let one = &seen[0];
        format!(
            "{} documents, {} B a lead compacted, {} B a lead received; processor of phone {} s and server {} s",
            number(one.documents as f64),
            number(one.saved_bytes / leads as f64),
            number(one.down_bytes / leads as f64),
            number(median(seen.iter().map(|s| s.phone_cpu_s).collect())),
            number(median(seen.iter().map(|s| s.server_cpu_s).collect())),
        )
    };
    let tails = format!(
        "each lead with {WORKED} visits and its table with 2 ticks, pushed after the intake, which the server keeps as changes behind the snapshot"
    );
    Ok(vec![
        Row::at_most(
            "First sync of 10,000 leads: bytes received / bytes of the compacted documents",
            ratio(&fresh),
            "×",
            1.5,
        )
        .note(words(&fresh))
        .note("the texts are drawn from a short list, and frames are deflated whole: what repeats among leads travels once. The tests count a sync of texts that never repeat")
        .note(EXCLUDED),
        Row::at_least(
            "First sync of 10,000 leads: end to end, the phone's store included",
            median(rate(&fresh)),
            "leads/s",
            2_000.0,
        )
        .note(format!("{} runs: {}", fresh.len(), spread(&rate(&fresh))))
        .yardstick(machine),
        Row::at_most(
            "The same with leads that were worked: bytes / compacted bytes",
            ratio(&worked),
            "×",
            1.5,
        )
        .note(format!("{tails}; {}", words(&worked))),
        Row::at_least(
            "The same with leads that were worked: end to end",
            median(rate(&worked)),
            "leads/s",
            2_000.0,
        )
        .note(format!("{} runs: {}", worked.len(), spread(&rate(&worked)))),
    ])
}

async fn look(plan: &Plan, leads: usize, visits: usize) -> Result<Vec<Seen>, Fail> {
    let firm = Firm::found(&plan.scratch)?;
    let office = firm.open()?;
    office.hire(1, Role::Manager)?;
    let rep = office.hire(2, Role::Rep)?;
    let ids = office.intake(rep.user, leads, 5)?;
    if visits > 0 {
        let before = office.hand_out(rep.user, Role::Rep)?;
        office.work(&before, &ids, visits, 6)?;
    }
    let phones =
        (0..plan.size(4, 2)).map(|_| office.hand_out(rep.user, Role::Rep)).collect::<Result<Vec<_>, _>>()?;
    office.close()?;
    let server = Server::start(&firm)?;
    let mut seen = Vec::new();
    for (at, member) in phones.iter().enumerate() {
        let path = firm.folder().join("phone");
        let mut phone = Phone::enrol(&path, member)?;
        let (own, served) = (own_cpu_s()?, server.cpu_s()?);
        let done = phone.sync(&member.token, firm.port).await?;
        let (phone_cpu_s, server_cpu_s) = (own_cpu_s()? - own, server.cpu_s()? - served);
        let (documents, saved_bytes) = compacted(&mut phone, leads)?;
        let leads_a_second = leads as f64 / done.ms * 1e3;
        say(&format!(
            "  {visits} visits, run {at}: {} leads/s, {} B down",
            number(leads_a_second),
            number(done.down_bytes as f64)
        ));
        // The first run warms up.
        if at > 0 {
            let down_bytes = done.down_bytes as f64;
            seen.push(Seen { down_bytes, saved_bytes, leads_a_second, phone_cpu_s, server_cpu_s, documents });
        }
        let path = phone.close()?;
        fieldbook_engines::SecureStore::remove(path)?;
    }
    server.stop()?;
    Ok(seen)
}

/// Documents on the phone, and the bytes of all of them, each saved by automerge.
fn compacted(phone: &mut Phone, leads: usize) -> Result<(usize, f64), Fail> {
    let (mut documents, mut bytes) = (0, 0);
    for kind in DocKind::ALL {
        let held = phone.replica.held_of(kind)?;
        if matches!(kind, DocKind::Lead | DocKind::Ruling | DocKind::Advancement) && held.len() != leads {
            return Err(format!("{} documents of kind {} instead of {leads}", held.len(), kind.name()).into());
        }
        for id in held {
            documents += 1;
            bytes += phone.replica.load(id)?.save().len();
        }
    }
    Ok((documents, bytes as f64))
}

/// Visits a lead of the second look.
const WORKED: usize = 3;
