//! Row 7: a real table through `fieldbook import`, then on a phone: every row of the file is a lead there, with every cell, or stands in
//! the error file with its line and the reason.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use fieldbook_core::access::Role;
use fieldbook_core::document::NoClocks;
use fieldbook_core::ids::DocKind;

use crate::firm::Firm;
use crate::phone::Phone;
use crate::server::{Server, program};
use crate::table::{Row, number};
use crate::yardstick::{disk, ms};
use crate::{Fail, Plan, say};

/// Measures the row.
///
/// # Errors
/// Whatever stops it.
pub fn run(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let Some(file) = &plan.leads_csv else {
        say("  no --leads-csv FILE: the row is left out");
        return Ok(Vec::new());
    };
    let firm = Firm::found(&plan.scratch)?;
    let office = firm.open()?;
    office.hire(1, Role::Manager)?;
    let rep = office.hire(2, Role::Rep)?;
    office.close()?;
    let errors = firm.folder().join("errors.csv");
    let mut command = Command::new(program()?);
    command
        .arg("import")
        .arg(std::path::absolute(file)?)
        .arg("--owner")
        .arg(rep.user.to_string())
        .arg("--errors")
        .arg(&errors);
    let began = Instant::now();
    let done = command.env_clear().envs(firm.variables()).current_dir(firm.folder()).output()?;
    let import_ms = ms(began.elapsed());
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    if !done.status.success() {
        return Err(format!("fieldbook import: {}", String::from_utf8_lossy(&done.stderr)).into());
    }
    let summary = said.lines().find(|line| line.contains(" rows;")).unwrap_or("no summary").to_owned();
    let server = Server::start(&firm)?;
    let mut phone = Phone::enrol(&firm.folder().join("phone"), &rep)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let synced = runtime.block_on(phone.sync(&rep, firm.port))?;
    server.stop()?;
    let rejected = rejected_lines(&errors)?;
    let found = compare(file, &mut phone, &rejected)?;
    let words = format!(
        "{summary}; import {} ms ({} rows/s), first sync {} ms; {} leads on the phone, {} rejected rows with line and reason{}",
        number(import_ms),
        number(found.rows as f64 / import_ms * 1e3),
        number(synced.ms),
        number(found.held as f64),
        rejected.len(),
        rejected.iter().take(3).map(|(line, reason)| format!("; line {line}: {reason}")).collect::<String>()
    );
    Ok(vec![
        Row::at_most(
            "Rows of the table that are neither on the phone nor in the error file",
            found.lost as f64,
            "",
            0.0,
        )
        .note(words),
        Row::at_most(
            "Cells of the rows on the phone that cannot be found in their lead",
            found.cells_lost as f64,
            "",
            0.0,
        )
        .note(format!("{} cells with a value were looked for; {} that say {UNTOUCHED:?}, a choice nobody made in the form, count as empty for the import and are not", number(found.cells as f64), number(found.untouched as f64)))
        .yardstick(disk(&plan.scratch)?),
    ])
}

#[derive(Default)]
struct Found {
    rows: usize,
    lost: usize,
    held: usize,
    cells: usize,
    cells_lost: usize,
    untouched: usize,
}

/// Line → reason of the error file; empty when there is none.
fn rejected_lines(errors: &Path) -> Result<BTreeMap<u64, String>, Fail> {
    if !errors.exists() {
        return Ok(BTreeMap::new());
    }
    let text = std::fs::read_to_string(errors)?;
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    reader
        .records()
        .map(|row| row.map_err(Fail::from).and_then(|row| Ok((row[0].parse()?, row[1].to_owned()))))
        .collect()
}

/// Every row's id is in a lead of the phone, and every cell with a value is somewhere in that lead.
fn compare(file: &Path, phone: &mut Phone, rejected: &BTreeMap<u64, String>) -> Result<Found, Fail> {
    let held = phone.replica.held_of(DocKind::Lead)?;
    let mut found = Found { held: held.len(), ..Found::default() };
    let mut leads: BTreeMap<String, String> = BTreeMap::new();
    for id in held {
        let doc = phone.replica.load(id)?;
        let log = doc.log("events", &NoClocks);
        let body: serde_json::Value =
            serde_json::from_str(&log.first().ok_or("a lead without its import")?.body)?;
        let external = body["external_id"].as_str().ok_or("a lead without its row's id")?.to_owned();
        let cells = body["extra"].as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str());
        let registers = doc.root(&NoClocks);
        let mut all: Vec<String> =
            cells.map(str::to_owned).chain(registers.values().map(ToString::to_string)).collect();
        all.push(external.clone());
        if leads.insert(external, all.join("\u{1f}")).is_some() {
            return Err("two leads of one row".into());
        }
    }
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(file)?;
    let header = reader.headers()?.clone();
    let id_at = header.iter().position(|name| name.trim().eq_ignore_ascii_case("Prospect ID")).unwrap_or(0);
    for row in reader.records() {
        let row = row?;
        found.rows += 1;
        let line = row.position().map_or(0, csv::Position::line);
        let Some(lead) = leads.get(row[id_at].trim()) else {
            found.lost += usize::from(!rejected.contains_key(&line));
            continue;
        };
        for cell in row.iter().map(str::trim).filter(|cell| !cell.is_empty()) {
            if cell == UNTOUCHED {
                found.untouched += 1;
                continue;
            }
            found.cells += 1;
            found.cells_lost += usize::from(!lead.split('\u{1f}').any(|one| one == cell));
        }
    }
    Ok(found)
}

/// What the form behind this table writes where nobody chose; the import knows it as a way to say nothing.
const UNTOUCHED: &str = "Select";
