//! Row 5: opening the phone's store and listing the first 50 of 10,000 leads, after a clean close and after a kill.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use fieldbook_core::access::Role;
use fieldbook_core::ids::DocId;
use fieldbook_core::replica::ListQuery;

use crate::firm::{Firm, now};
use crate::phone::Phone;
use crate::server::Server;
use crate::table::{Row, median, number, spread};
use crate::yardstick::{disk, ms};
use crate::{Fail, Plan, child};

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
    let path = firm.folder().join("phone");
    let mut phone = Phone::enrol(&path, &rep)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(phone.sync(&rep, firm.port))?;
    server.stop()?;
    phone.close()?;
    let (mut clean, mut killed, mut uncached) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.size(9, 3) {
        clean.push(look(&path)?);
        kill(&path, &ids[round * EDITS..(round + 1) * EDITS])?;
        killed.push(look(&path)?);
        kill(&path, &ids[round * EDITS..(round + 1) * EDITS])?;
        if forget_cache() {
            uncached.push(look(&path)?);
        }
    }
    let size = std::fs::metadata(&path)?.len() as f64 / 1e6;
    let machine = disk(&plan.scratch)?;
    let mut rows = vec![
        Row::at_most(
            "Open the store and list the first 50 of 10,000 leads, after a clean close",
            median(clean.clone()),
            "ms",
            60.0,
        )
        .note(format!("{}; a file of {} MB, in the system's cache", spread(&clean), number(size)))
        .yardstick(machine),
        Row::at_most("The same after a kill", median(killed.clone()), "ms", 400.0).note(format!(
            "{}; SIGKILL after {EDITS} edits, the file in the system's cache",
            spread(&killed)
        )),
    ];
    if !uncached.is_empty() {
        rows.push(
            Row::beside(
                "The same after a kill, with nothing of the file in the system's cache",
                median(uncached.clone()),
                "ms",
            )
            .note(spread(&uncached)),
        );
    }
    Ok(rows)
}

/// Opens, lists, closes; how long until the list was there, milliseconds.
fn look(path: &Path) -> Result<f64, Fail> {
    let began = Instant::now();
    let phone = Phone::open(path)?;
    let list = phone.replica.list(&ListQuery { limit: LISTED, ..ListQuery::default() }, now())?;
    let took = ms(began.elapsed());
    if list.len() != LISTED {
        return Err(format!("{} leads were listed", list.len()).into());
    }
    phone.close()?;
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

/// Drops clean pages of all files, where the system lets us.
fn forget_cache() -> bool {
    rustix::fs::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "1").is_ok()
}

const LISTED: usize = 50;
/// Edits of the phone before it is killed.
const EDITS: usize = 20;
