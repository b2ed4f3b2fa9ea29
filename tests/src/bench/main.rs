//! The benchmark command: the bar of the product, row by row, measured on this machine through the real parts, with the machine's own
//! yardstick beside each figure.
//!
//! ```text
//! cargo run --release -p fieldbook-tests --bin bench -- [row ...] [--quick] [--leads-csv FILE] [--scratch DIR] [--into PAGE]
//! ```
//!
//! Owns: what is measured, how, and the verdict. Refuses: to tune what it measures, to count before it is warm, and to hide what is
//! simulated (the disk's flush of the row `gate`). A verdict of "missed" is a result, not a failure of the command. What each row includes
//! and leaves out is in `docs/performance.md`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

mod app;
mod assign;
mod child;
mod edit;
mod firm;
mod first_sync;
mod gate;
mod gate_alone;
mod http;
mod idle;
mod import;
mod intake;
mod light;
mod open;
mod phone;
mod reconnect;
mod rules;
mod server;
mod table;
mod wire;
mod yardstick;

use table::Row;

/// Whatever stops a row.
type Fail = Box<dyn std::error::Error + Send + Sync>;

/// How the command was called.
struct Plan {
    rows: Vec<String>,
    /// Small numbers: proves that it works, measures nothing.
    quick: bool,
    leads_csv: Option<PathBuf>,
    /// A folder on the disk that is measured.
    scratch: PathBuf,
    /// A page whose block between the marks is replaced by the table.
    into: Option<PathBuf>,
}

impl Plan {
    /// `full`, or `small` of a quick run.
    fn size(&self, full: usize, small: usize) -> usize {
        if self.quick { small } else { full }
    }
}

type RowOf = fn(&Plan) -> Result<Vec<Row>, Fail>;

/// Every row, in the order of the bar.
const ROWS: &[(&str, RowOf)] = &[
    ("reconnect", reconnect::run),
    ("first-sync", first_sync::run),
    ("gate", gate::run),
    ("gate-alone", gate_alone::run),
    ("edit", edit::run),
    ("open", open::run),
    ("idle", idle::run),
    ("import", import::run),
    ("page", rules::page),
    ("company", rules::company),
    ("assign", assign::run),
    ("intake", intake::run),
];

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == child::WORD) {
        args.remove(0);
        return finish(child::run(&args));
    }
    match read(args) {
        Ok(plan) => finish(measure(&plan)),
        Err(wrong) => {
            say(&format!(
                "{wrong}\nbench [row ...] [--quick] [--leads-csv FILE] [--scratch DIR] [--into PAGE]"
            ));
            say(&format!("rows: {}", ROWS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")));
            ExitCode::from(2)
        }
    }
}

fn finish(done: Result<(), Fail>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; the exit status tells the same.
            let _ = writeln!(std::io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read(args: Vec<String>) -> Result<Plan, Fail> {
    // Beside the program: the temporary folder of many machines is in memory, and a disk is measured here.
    let beside = std::env::current_exe()?.parent().map(PathBuf::from).unwrap_or_default();
    let mut plan = Plan { rows: Vec::new(), quick: false, leads_csv: None, scratch: beside, into: None };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let mut path = || args.next().map(PathBuf::from).ok_or(format!("{arg} takes a path"));
        match arg.as_str() {
            "--quick" => plan.quick = true,
            "--leads-csv" => plan.leads_csv = Some(path()?),
            "--scratch" => plan.scratch = path()?,
            "--into" => plan.into = Some(path()?),
            row if ROWS.iter().any(|(name, _)| *name == row) => plan.rows.push(arg),
            other => return Err(format!("there is no row or option {other:?}").into()),
        }
    }
    if plan.into.is_some() && (plan.quick || cfg!(debug_assertions) || !plan.rows.is_empty()) {
        return Err("only a whole run of a release build goes into a page".into());
    }
    if plan.rows.is_empty() {
        plan.rows = ROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    }
    Ok(plan)
}

fn measure(plan: &Plan) -> Result<(), Fail> {
    server::build()?;
    let machine = format!("machine: {}", yardstick::machine());
    say(&machine);
    let mut rows = Vec::new();
    for (name, run) in ROWS.iter().filter(|(name, _)| plan.rows.iter().any(|row| row == name)) {
        say(&format!("row {name} ..."));
        let found = run(plan).map_err(|e| format!("row {name}: {e}"))?;
        for row in &found {
            say(&row.in_words());
        }
        rows.extend(found);
    }
    say("");
    let table = table::markdown(&rows);
    say(&table);
    if let Some(page) = &plan.into {
        let text = std::fs::read_to_string(page)?;
        std::fs::write(page, table::into_page(&text, &format!("{machine}\n\n{table}"))?)?;
    }
    if plan.quick {
        say("--quick: small numbers that prove the command works; no figure of it counts.");
    }
    Ok(())
}

/// A line for the person who runs it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that is gone wants no more lines.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
