//! The gate's worker process: it judges like the gate in this process, and when bytes stop it, only their sender pays.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use fieldbook_core::company::{Accepted, Base, CompanyError, Gate, GateJob, GatePush, LocalGate};
use fieldbook_core::document::genesis::genesis;
use fieldbook_core::document::{Doc, Edit, Value};
use fieldbook_core::ids::{Actor, DeviceId, DocId, DocKind, EntryId, UserId};
use fieldbook_core::sync::message::RefuseCode;
use fieldbook_core::time::{Moment, Stamp};
use fieldbook_server::config::GateConfig;
use fieldbook_server::hub::GateProgram;

const PROGRAM: &str = env!("CARGO_BIN_EXE_fieldbook");

fn config(deadline_ms: u32) -> GateConfig {
    GateConfig { workers: 1, memory_mb: 512, deadline_ms }
}

fn job(seed: u8, values: &[&str]) -> GateJob {
    let (device, user) = (DeviceId([seed; 8]), UserId([seed; 8]));
    let stamp = Stamp {
        user,
        moment: Moment { wall_ms: 1, boot: 1, mono_ms: 1 },
        offset_ms: None,
        last_contact_ms: 0,
    };
    let mut doc = Doc::genesis(DocKind::Lead);
    let changes = values.iter().map(|value| {
        let edit = Edit::Set { field: "customer_name".into(), value: Value::from(*value) };
        doc.edit(Actor { device, incarnation: 1 }, &stamp, &[edit]).unwrap().change.into()
    });
    GateJob {
        doc: DocId::fresh(DocKind::Lead, EntryId([seed; 16])),
        heads: vec![genesis(DocKind::Lead).hash],
        pushes: vec![GatePush { device, user, changes: changes.collect() }],
        want_saved: true,
    }
}

fn no_base() -> Result<Base, CompanyError> {
    Ok(Base::default())
}

#[test]
fn a_worker_judges_as_the_gate_in_this_process_does() {
    let mut there = GateProgram::Process(PROGRAM.into()).gate(&config(10_000));
    let mut here = LocalGate::new(16);
    for seed in 1..20 {
        let mut job = job(seed, &["一", "二"]);
        if seed % 3 == 0 {
            job.pushes[0].changes[0] = vec![seed; 40].into();
        }
        let expected = here.judge(&job, &mut no_base).unwrap();
        assert_eq!(there.judge(&job, &mut no_base).unwrap(), expected);
    }
}

#[test]
fn a_worker_that_takes_too_long_is_replaced_and_only_the_push_it_died_over_is_refused() {
    // A deadline of zero stops every job: the worst that bytes can do.
    let mut gate = GateProgram::Process(PROGRAM.into()).gate(&config(0));
    for seed in 1..4 {
        let judged = gate.judge(&job(seed, &["一"]), &mut no_base).unwrap();
        assert!(
            matches!(&judged.verdicts[0], Accepted::Refuse { code: RefuseCode::Malformed, .. }),
            "{judged:?}"
        );
        assert_eq!(judged.heads, job(seed, &[]).heads, "the document stays as it was");
    }
}

#[test]
fn a_worker_that_was_killed_is_started_again() {
    // An odd limit tells this test's worker from the others'.
    let mut gate =
        GateProgram::Process(PROGRAM.into()).gate(&GateConfig { memory_mb: 517, ..config(10_000) });
    let expected = gate.judge(&job(1, &["一"]), &mut no_base).unwrap();
    let workers = workers_limited_to("517");
    assert_eq!(workers.len(), 1, "{workers:?}");
    for pid in workers {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    gate.forget(job(1, &[]).doc);
    assert_eq!(gate.judge(&job(1, &["一"]), &mut no_base).unwrap(), expected);
}

fn workers_limited_to(memory_mb: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = words.split(|byte| *byte == 0).collect();
        if words.contains(&b"gate-worker".as_slice()) && words.contains(&memory_mb.as_bytes()) {
            found.push(pid);
        }
    }
    found
}
