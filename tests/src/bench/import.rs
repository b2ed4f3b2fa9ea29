//! Row 7: a real table through `fieldbook import`, then through the facade on a phone: every row of the file is a lead there, with every
//! cell, or stands in the error file with its line and the reason. Rows that have to be rejected are appended to the table, so that the
//! error file is looked at even when the table has none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use fieldbook_core::access::Role;
use fieldbook_core::document::NoClocks;
use fieldbook_core::ids::{DocId, DocKind, UserId};
use fieldbook_device::{Fieldbook, LeadQuery};

use crate::firm::Firm;
use crate::phone::Phone;
use crate::server::{Server, program};
use crate::table::{Row, number};
use crate::yardstick::{disk, ms};
use crate::{Fail, Plan, app};

/// Measures the row.
///
/// # Errors
/// Whatever stops it.
pub fn run(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let Some(file) = &plan.leads_csv else {
        return Ok(vec![Row::not_measured(
            LOST,
            0.0,
            "the table is not part of the project: --leads-csv FILE names it",
        )]);
    };
    let firm = Firm::found(&plan.scratch)?;
    let office = firm.open()?;
    office.hire(1, Role::Manager)?;
    let rep = office.hire(2, Role::Rep)?;
    let code = office.code(rep.user)?;
    office.close()?;
    let (table, spoiled) = with_spoiled_rows(file, firm.folder())?;
    let errors = firm.folder().join("errors.csv");
    let (summary, import_ms) = import(&firm, &table, &errors, rep.user)?;
    let server = Server::start(&firm)?;
    let path = firm.folder().join("phone");
    let book = app::enrol(&path, &firm, &code)?;
    let synced = app::sync(&book)?;
    server.stop()?;
    let listed = listed(&book)?;
    book.shutdown();
    let rejected = rejected_lines(&errors)?;
    // The facade shows what an app shows; for the cells of the table that have no field, the documents below it are read.
    let mut phone = Phone::open(&path)?;
    let found = compare(&table, &mut phone, &rejected)?;
    if listed != phone.replica.held_of(DocKind::Lead)?.into_iter().collect() {
        return Err("the facade lists other leads than the phone holds".into());
    }
    let unsaid =
        spoiled.iter().filter(|line| rejected.get(line).is_none_or(|reason| reason.trim().is_empty()));
    let words = format!(
        "{summary}; import {} ms ({} rows/s), first sync by the facade {} ms; {} leads listed on the phone",
        number(import_ms),
        number(found.rows as f64 / import_ms * 1e3),
        number(synced.millis as f64),
        number(listed.len() as f64),
    );
    Ok(vec![
        Row::at_most(LOST, found.lost as f64, "", 0.0)
            .note(words)
            .note("left out: TLS; the import runs while no server does")
            .yardstick(disk(&plan.scratch)?),
        Row::at_most(
            "Cells of the rows on the phone that cannot be found in their lead",
            found.cells_lost as f64,
            "",
            0.0,
        )
        .note(format!("{} cells with a value were looked for; {} that say {UNTOUCHED:?}, a choice nobody made in the form, count as empty for the import and are not", number(found.cells as f64), number(found.untouched as f64))),
        Row::at_most(
            "Rows to be rejected that do not stand in the error file with line and reason",
            unsaid.count() as f64,
            "",
            0.0,
        )
        .note(format!(
            "{} such rows were appended; {} stand there{}",
            spoiled.len(),
            rejected.len(),
            rejected.iter().map(|(line, reason)| format!("; line {line}: {reason}")).take(4).collect::<String>()
        )),
    ])
}

/// A copy of the table with two rows behind its own: one that names nobody, and one that says of the first row's id something else. Gives
/// its path and the lines of the two.
fn with_spoiled_rows(file: &Path, folder: &Path) -> Result<(PathBuf, BTreeSet<u64>), Fail> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(file)?;
    let header = reader.headers()?.clone();
    let first = reader.records().next().ok_or("the table is empty")??;
    // Not blank: a blank row is none.
    let mut nobody = vec![""; header.len()];
    nobody[header.len() - 1] = "of nobody";
    let id_at = id_column(&header);
    let twice = first.iter().enumerate().map(|(at, cell)| if at == id_at { cell } else { "other" });
    let mut bytes = std::fs::read(file)?;
    if !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    let mut out = csv::WriterBuilder::new().flexible(true).from_writer(bytes);
    out.write_record(&nobody)?;
    out.write_record(&twice.collect::<csv::StringRecord>())?;
    let path = folder.join("leads.csv");
    std::fs::write(&path, out.into_inner().map_err(|e| e.to_string())?)?;
    Ok((path, BTreeSet::from([lines + 1, lines + 2])))
}

/// Runs `fieldbook import`; its own summary, and how long it took, milliseconds.
fn import(firm: &Firm, table: &Path, errors: &Path, owner: UserId) -> Result<(String, f64), Fail> {
    let mut command = Command::new(program()?);
    command.arg("import").arg(table).arg("--owner").arg(owner.to_string()).arg("--errors").arg(errors);
    let began = Instant::now();
    let done = command.env_clear().envs(firm.variables()).current_dir(firm.folder()).output()?;
    let took = ms(began.elapsed());
    if !done.status.success() {
        return Err(format!("fieldbook import: {}", String::from_utf8_lossy(&done.stderr)).into());
    }
    let said = String::from_utf8_lossy(&done.stdout);
    Ok((said.lines().find(|line| line.contains(" rows;")).unwrap_or("no summary").to_owned(), took))
}

/// Every lead that the app can page to.
fn listed(book: &Fieldbook) -> Result<BTreeSet<DocId>, Fail> {
    let mut found = BTreeSet::new();
    loop {
        let query = LeadQuery { offset: found.len() as u32, limit: PAGE, ..LeadQuery::default() };
        let page = book.leads(&query)?;
        found.extend(page.iter().map(|row| row.id));
        if page.len() < PAGE as usize {
            return Ok(found);
        }
    }
}

#[derive(Default)]
struct Found {
    rows: usize,
    lost: usize,
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
    let mut found = Found::default();
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
        all.extend([external.clone(), doc.text("notes")]);
        if leads.insert(external, all.join("\u{1f}")).is_some() {
            return Err("two leads of one row".into());
        }
    }
    let bytes = std::fs::read(file)?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes.as_slice());
    let header = reader.headers()?.clone();
    let id_at = id_column(&header);
    let (mut line, mut counted) = (1, 0);
    for row in reader.records() {
        let row = row?;
        found.rows += 1;
        // The reader's own count of lines stands before the end of the last one, when that ends as Windows does.
        let mut begins = row.position().map_or(0, |position| position.byte() as usize);
        begins += bytes[begins..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        line += bytes[counted..begins].iter().filter(|byte| **byte == b'\n').count() as u64;
        counted = begins;
        if rejected.contains_key(&line) {
            continue;
        }
        let Some(lead) = leads.get(row[id_at].trim()) else {
            found.lost += 1;
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

fn id_column(header: &csv::StringRecord) -> usize {
    header.iter().position(|name| name.trim().eq_ignore_ascii_case("Prospect ID")).unwrap_or(0)
}

const LOST: &str =
    "All leads of the table imported, then on a phone: rows that are neither there nor in the error file";
const PAGE: u32 = 500;
/// What the form behind this table writes where nobody chose; the import knows it as a way to say nothing.
const UNTOUCHED: &str = "Select";
