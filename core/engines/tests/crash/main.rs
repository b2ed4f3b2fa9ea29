//! Crash tests that need a process to die: it is this binary itself, started again with a task in its environment.
//!
//! `FIELDBOOK_KILLS=300` kills each engine 300 times, `FIELDBOOK_DAMAGE=400` damages each 400 times, `FIELDBOOK_REPLAYS=150`
//! cuts its power 150 times; an argument selects the tests whose names contain it.
#![allow(
    clippy::print_stdout,
    reason = "a test binary of its own: it reports here, and its children talk through it"
)]

use std::process::ExitCode;

mod child;
#[path = "../common/mod.rs"]
mod common;
mod damage;
mod flushes;
mod full;
mod kills;
mod replay;

fn main() -> ExitCode {
    if let Some(task) = child::task() {
        return child::run(&task);
    }
    let tests: [(&str, fn()); 6] = [
        ("kills::acknowledged_batches_survive_kills", kills::acknowledged_batches_survive_kills),
        ("damage::a_killed_store_that_was_damaged_says_so", damage::a_killed_store_that_was_damaged_says_so),
        ("damage::a_closed_store_that_was_damaged_says_so", damage::a_closed_store_that_was_damaged_says_so),
        ("full::a_full_disk_loses_nothing", full::a_full_disk_loses_nothing),
        ("replay::acknowledged_batches_survive_power_cuts", replay::acknowledged_batches_survive_power_cuts),
        ("flushes::a_flush_precedes_every_acknowledgement", flushes::a_flush_precedes_every_acknowledgement),
    ];
    let filters: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let mut failed = 0;
    for (name, test) in tests {
        if !filters.is_empty() && !filters.iter().any(|f| name.contains(f.as_str())) {
            continue;
        }
        let passed = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += u8::from(!passed);
    }
    ExitCode::from(failed)
}
