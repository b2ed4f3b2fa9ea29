//! strace sees a flush of the data file between the writing of a batch and its acknowledgement, where strace is there.

use std::process::Command;

use crate::child::Task;
use crate::common::{ENGINES, Engine};
use crate::damage::finish;

pub fn a_flush_precedes_every_acknowledgement() {
    if !Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|s| s.success()) {
        println!("  not run: no strace here (power_cut counts redb's flushes)");
        return;
    }
    for engine in ENGINES {
        let dir = tempfile::tempdir().expect("a folder");
        let trace = dir.path().join("trace");
        let task = Task { what: "append".into(), engine, folder: dir.path().into(), numbers: vec![BATCHES] };
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-e", "trace=write,pwrite64,fsync,fdatasync", "-o"]).arg(&trace);
        command.arg(std::env::current_exe().expect("this binary")).env(Task::VARIABLE, task.words());
        let (status, _) = finish(command);
        assert!(status.success(), "{engine:?}: {status}");
        let trace = std::fs::read_to_string(&trace).expect("a trace");
        assert_eq!(acknowledgements(&trace, engine), BATCHES, "{engine:?}");
    }
}

/// Counts the acknowledgements, after proof that each had its data written and then flushed since the one before.
fn acknowledgements(trace: &str, engine: Engine) -> u64 {
    let data = if engine == Engine::Sled { "/store/db>" } else { "/store>" };
    let (mut written, mut flushed, mut count) = (false, false, 0);
    for line in trace.lines() {
        let call = line.split_once(' ').map_or(line, |(_, call)| call.trim_start());
        if call.starts_with("pwrite64(") && call.contains(data) {
            (written, flushed) = (true, false);
        } else if (call.starts_with("fdatasync(") || call.starts_with("fsync(")) && call.contains(data) {
            flushed |= written;
        } else if call.starts_with("write(1<") {
            assert!(written && flushed, "{engine:?}: acknowledgement {count} without a flush");
            (written, flushed) = (false, false);
            count += 1;
        }
    }
    count
}

const BATCHES: u64 = 40;
