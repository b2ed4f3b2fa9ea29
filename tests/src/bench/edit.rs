//! Row 4: one edit on the phone, durable, beside one durable update of a row in SQLite on the same disk, in turns.

use std::time::Instant;

use fieldbook_core::access::Role;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::firm::{Firm, field, visit};
use crate::phone::Phone;
use crate::server::Server;
use crate::table::{Row, median, number, spread};
use crate::yardstick::{Sqlite, disk, ms};
use crate::{Fail, Plan};

/// Measures the row.
///
/// # Errors
/// Whatever stops it.
pub fn run(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let leads = plan.size(10_000, 500);
    let firm = Firm::found(&plan.scratch)?;
    let office = firm.open()?;
    office.hire(1, Role::Manager)?;
    let rep = office.hire(2, Role::Rep)?;
    let ids = office.intake(rep.user, leads, 8)?;
    office.close()?;
    let server = Server::start(&firm)?;
    let mut phone = Phone::enrol(&firm.folder().join("phone"), &rep)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(phone.sync(&rep, firm.port))?;
    server.stop()?;
    let sqlite = Sqlite::open(&firm.folder().join("yardstick.db"), leads)?;
    let mut rng = StdRng::seed_from_u64(9);
    let (mut fields, mut visits, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    let rounds = plan.size(400, 20);
    for round in 0..rounds + rounds / 10 {
        // Any lead of all, hardly ever one that is in memory.
        let at = rng.random_range(0..leads);
        let mut timed = |edits| -> Result<f64, Fail> {
            let began = Instant::now();
            phone.edit(ids[at], edits)?;
            Ok(ms(began.elapsed()))
        };
        let one = [timed(field(&mut rng))?, timed(visit(&mut rng))?, sqlite.update(at)?];
        // The first tenth warms up.
        if round >= rounds / 10 {
            fields.push(one[0]);
            visits.push(one[1]);
            rows.push(one[2]);
        }
    }
    let unit = median(rows.clone());
    let yard = format!(
        "SQLite WAL FULL, one row update: {} ms ({} a second); {}",
        number(unit),
        number(1e3 / unit),
        disk(&plan.scratch)?
    );
    Ok(vec![
        Row::at_most(
            "One edit on the phone, durable, 10,000 leads held / one durable SQLite row update",
            median(fields.clone()) / unit,
            "×",
            3.0,
        )
        .note(format!(
            "one field of a lead that is not in memory: {} ms ({})",
            number(median(fields.clone())),
            spread(&fields)
        ))
        .yardstick(yard),
        Row::beside(
            "The same for a visit of a lead in memory (a log entry and two fields)",
            median(visits.clone()) / unit,
            "×",
        )
        .note(format!("{} ms ({})", number(median(visits.clone())), spread(&visits))),
    ])
}
