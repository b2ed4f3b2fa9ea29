//! Row 4: one edit on the phone, through the facade that apps use, durable when the call returns; beside one durable update of a row in
//! SQLite on the same disk, in turns.

use std::time::Instant;

use fieldbook_core::access::Role;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::firm::{Firm, told_field, told_visit};
use crate::server::Server;
use crate::table::{Row, median, number, spread};
use crate::yardstick::{Sqlite, disk, ms};
use crate::{Fail, Plan, app};

/// Measures the row.
///
/// # Errors
/// Whatever stops it.
pub fn run(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let leads = plan.size(10_000, 300);
    let firm = Firm::found(&plan.scratch)?;
    let office = firm.open()?;
    office.hire(1, Role::Manager)?;
    let rep = office.hire(2, Role::Rep)?;
    let ids = office.intake(rep.user, leads, 8)?;
    let code = office.code(rep.user)?;
    office.close()?;
    let server = Server::start(&firm)?;
    let book = app::enrol(&firm.folder().join("phone"), &firm, &code)?;
    app::sync(&book)?;
    server.stop()?;
    let sqlite = Sqlite::open(&firm.folder().join("yardstick.db"), leads)?;
    let mut rng = StdRng::seed_from_u64(9);
    let (mut fields, mut visits, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    let rounds = plan.size(400, 20);
    for round in 0..rounds + rounds / 10 {
        // Any lead of all, hardly ever one that is in memory.
        let at = rng.random_range(0..leads);
        let (field, visit) = (told_field(&mut rng), told_visit(&mut rng));
        let began = Instant::now();
        book.edit_lead(ids[at], &field, &[])?;
        let field_ms = ms(began.elapsed());
        let began = Instant::now();
        book.log_visit(ids[at], &visit)?;
        let visit_ms = ms(began.elapsed());
        let row_ms = sqlite.update(at)?;
        // The first tenth warms up.
        if round >= rounds / 10 {
            fields.push(field_ms);
            visits.push(visit_ms);
            rows.push(row_ms);
        }
    }
    book.shutdown();
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
            "one field of a lead that is not in memory, by the facade without network: {} ms ({})",
            number(median(fields.clone())),
            spread(&fields)
        ))
        .note("medians; the first tenth of the rounds warms up and is not counted; left out: the skin of a foreign language around the facade")
        .yardstick(yard),
        Row::beside(
            "The same for a visit of a lead in memory (a log entry and three fields)",
            median(visits.clone()) / unit,
            "×",
        )
        .note(format!("{} ms ({})", number(median(visits.clone())), spread(&visits))),
    ])
}
