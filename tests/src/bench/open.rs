//! Row 5: opening the phone's store and listing the first 50 of 10,000 leads, through the facade, after a clean close and after a kill; with
//! the file in the system's cache and without.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use fieldbook_core::access::Role;
use fieldbook_core::ids::DocId;
use fieldbook_device::LeadQuery;
use rustix::fs::{Advice, fadvise};

use crate::firm::Firm;
use crate::server::Server;
use crate::table::{Row, median, number, spread};
use crate::yardstick::{disk, ms};
use crate::{Fail, Plan, app, child};

/// Milliseconds of each way to open.
#[derive(Default)]
struct Seen {
    clean: Vec<f64>,
    clean_cold: Vec<f64>,
    killed: Vec<f64>,
    killed_cold: Vec<f64>,
}

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
    let path = firm.folder().join("phone");
    let book = app::enrol(&path, &firm, &code)?;
    app::sync(&book)?;
    server.stop()?;
    book.shutdown();
    let mut seen = Seen::default();
    for round in 0..plan.size(9, 3) {
        let edited = &ids[round * EDITS..(round + 1) * EDITS];
        seen.clean.push(look(&path)?);
        forget(&path)?;
        seen.clean_cold.push(look(&path)?);
        kill(&path, edited)?;
        seen.killed.push(look(&path)?);
        kill(&path, edited)?;
        forget(&path)?;
        seen.killed_cold.push(look(&path)?);
    }
    let size = std::fs::metadata(&path)?.len() as f64 / 1e6;
    let machine = disk(&plan.scratch)?;
    Ok(vec![
        Row::at_most(
            "Open the store and list the first 50 of 10,000 leads, after a clean close",
            median(seen.clean.clone()),
            "ms",
            60.0,
        )
        .note(format!("{}; a file of {} MB, in the system's cache", spread(&seen.clean), number(size)))
        .note("by the facade in a process that runs: its runtime and threads are in it, the start of a process is not")
        .yardstick(machine),
        Row::beside("The same with nothing of the file in the system's cache", median(seen.clean_cold.clone()), "ms")
            .note(format!("{}; {COLD}", spread(&seen.clean_cold))),
        Row::at_most("The same after a kill", median(seen.killed.clone()), "ms", 400.0).note(format!(
            "{}; SIGKILL after {EDITS} edits, the file in the system's cache",
            spread(&seen.killed)
        )),
        Row::beside(
            "The same after a kill, with nothing of the file in the system's cache",
            median(seen.killed_cold.clone()),
            "ms",
        )
        .note(format!("{}; {COLD}", spread(&seen.killed_cold))),
    ])
}

/// Opens, lists, closes; how long until the list was there, milliseconds.
fn look(path: &Path) -> Result<f64, Fail> {
    let began = Instant::now();
    let book = app::open(path)?;
    let list = book.leads(&LeadQuery { limit: LISTED as u32, ..LeadQuery::default() })?;
    let took = ms(began.elapsed());
    if list.len() != LISTED {
        return Err(format!("{} leads were listed", list.len()).into());
    }
    book.shutdown();
    Ok(took)
}

/// Another process opens the store, edits leads and is killed before it can close anything.
fn kill(path: &Path, leads: &[DocId]) -> Result<(), Fail> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([child::WORD, child::EDIT]).arg(path).args(leads.iter().map(DocId::to_string));
    let mut phone = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut said = String::new();
    BufReader::new(phone.stdout.take().ok_or("no pipe")?).read_line(&mut said)?;
    phone.kill()?;
    phone.wait()?;
    if said.trim() == child::READY {
        Ok(())
    } else {
        Err("the phone that was to be killed did not come up".into())
    }
}

/// Drops what the system keeps of a file in memory. Dirty pages cannot be dropped, so they are written first.
fn forget(path: &Path) -> Result<(), Fail> {
    let file = File::open(path)?;
    file.sync_all()?;
    Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
}

const LISTED: usize = 50;
/// Edits of the phone before it is killed.
const EDITS: usize = 20;
const COLD: &str = "posix_fadvise(DONTNEED) before each run, which a disk in memory ignores";
