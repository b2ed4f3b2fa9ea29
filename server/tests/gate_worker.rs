//! The gate's worker process: it judges like the gate in this process, and when bytes stop it, only their sender pays.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use fieldbook_core::company::{Accepted, Base, CompanyError, Gate, GateJob, GatePush, Judged, LocalGate};
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
fn a_worker_that_always_takes_too_long_is_replaced_and_the_push_goes_back_as_too_large() {
    // A deadline of zero stops every job: the worst that bytes can do.
    let mut gate = GateProgram::Process(PROGRAM.into()).gate(&config(0));
    for seed in 1..4 {
        let judged = gate.judge(&job(seed, &["一"]), &mut no_base).unwrap();
        assert!(
            matches!(&judged.verdicts[0], Accepted::Refuse { code: RefuseCode::TooLarge, .. }),
            "{judged:?}"
        );
        assert_eq!(judged.heads, job(seed, &[]).heads, "the document stays as it was");
    }
}

/// A program that stands still, as a machine may, the first `stalls` times that it is started.
fn stalling(folder: &std::path::Path, stalls: u32) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let count = folder.join("count");
    std::fs::write(&count, "0\n").unwrap();
    let script = format!(
        "#!/bin/sh\nread n < {count}\necho $((n + 1)) > {count}\n[ $n -ge {stalls} ] || kill -STOP $$\nexec {PROGRAM} \"$@\"\n",
        count = count.display()
    );
    let path = folder.join("program");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[test]
fn a_machine_that_stands_still_twice_costs_honest_work_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut gate = GateProgram::Process(stalling(folder.path(), 2)).gate(&config(3_000));
    let mut both = job(1, &["一"]);
    let other = job(2, &["二"]);
    both.pushes.extend(other.pushes);
    let judged = gate.judge(&both, &mut no_base).unwrap();
    assert_eq!(judged, LocalGate::new(0).judge(&both, &mut no_base).unwrap());
    assert!(judged.verdicts.iter().all(|verdict| matches!(verdict, Accepted::Merge { .. })), "{judged:?}");
}

/// A push of well-formed changes that unpack into far more memory than they take: a whole change of one-letter insertions each.
fn bloated(seed: u8) -> GatePush {
    let letters = "a".repeat(4_000);
    let (device, user) = (DeviceId([seed; 8]), UserId([seed; 8]));
    let stamp = Stamp {
        user,
        moment: Moment { wall_ms: 1, boot: 1, mono_ms: 1 },
        offset_ms: None,
        last_contact_ms: 0,
    };
    let mut doc = Doc::genesis(DocKind::Lead);
    let changes = (0..30).map(|_| {
        let edit = Edit::Splice { text: "notes".into(), at: 0, delete: 0, insert: letters.clone() };
        doc.edit(Actor { device, incarnation: 1 }, &stamp, &[edit]).unwrap().change.into()
    });
    GatePush { device, user, changes: changes.collect() }
}

#[test]
fn a_push_that_takes_all_memory_is_refused_and_those_beside_it_are_merged() {
    let mut gate =
        GateProgram::Process(PROGRAM.into()).gate(&GateConfig { memory_mb: TIGHT_MB, ..config(60_000) });
    let mut all = job(1, &["一"]);
    all.pushes.push(bloated(9));
    all.pushes.extend(job(2, &["二"]).pushes);
    // Where there is memory they are honest work.
    let roomy = LocalGate::new(0).judge(&all, &mut no_base).unwrap();
    assert!(roomy.verdicts.iter().all(|verdict| matches!(verdict, Accepted::Merge { .. })));
    let judged = gate.judge(&all, &mut no_base).unwrap();
    assert!(
        matches!(&judged.verdicts[1], Accepted::Refuse { code: RefuseCode::Malformed, .. }),
        "{:?}",
        judged.verdicts[1]
    );
    all.pushes.remove(1);
    let honest = LocalGate::new(0).judge(&all, &mut no_base).unwrap();
    assert_eq!([&judged.verdicts[0], &judged.verdicts[2]], [&honest.verdicts[0], &honest.verdicts[1]]);
    assert_eq!((judged.heads, judged.changes), (honest.heads, honest.changes));
}

/// What a gate in this process says of the jobs, each by itself.
fn here(jobs: &[GateJob]) -> Vec<Judged> {
    let mut gate = LocalGate::new(0);
    jobs.iter().map(|job| gate.judge(job, &mut no_base).unwrap()).collect()
}

#[test]
fn documents_that_go_together_are_judged_as_each_by_itself() {
    let jobs: Vec<_> = (1..40).map(|seed| job(seed, &["一"])).collect();
    let mut gate = GateProgram::Process(PROGRAM.into()).gate(&config(10_000));
    let mut asked = Vec::new();
    let mut judge = |jobs: &[GateJob], asked: &mut Vec<usize>| -> Vec<_> {
        let outcomes = gate.judge_all(jobs, &mut |at| {
            asked.push(at);
            // One cannot be read, which is no other's business.
            if at == 7 { Err(CompanyError::Contended) } else { Ok(Base::default()) }
        });
        outcomes.into_iter().map(Result::ok).collect()
    };
    let expected: Vec<_> = here(&jobs).into_iter().map(Some).collect();
    let judged = judge(&jobs, &mut asked);
    assert!(judged[7].is_none());
    assert_eq!((&judged[..7], &judged[8..]), (&expected[..7], &expected[8..]));
    // The worker holds them now, as they are after the first push, and is asked for what comes behind it.
    let behind: Vec<_> = (1..40).map(|seed| job(seed, &["一", "二"])).collect();
    let behind = behind.into_iter().zip(&expected).map(|(mut job, held)| {
        job.heads = held.as_ref().unwrap().heads.clone();
        job.pushes[0].changes.remove(0);
        job
    });
    let behind: Vec<_> = behind.collect();
    asked.clear();
    let judged = judge(&behind, &mut asked);
    assert_eq!(asked.iter().filter(|at| **at != 7).count(), 0, "no stored bytes travel: {asked:?}");
    for (at, judged) in judged.into_iter().enumerate().filter(|(at, _)| *at != 7) {
        let judged = judged.unwrap();
        assert!(matches!(&judged.verdicts[0], Accepted::Merge { changes, .. } if changes.len() == 1), "{at}");
        assert_eq!(judged.changes, 3, "genesis and two");
    }
}

#[test]
fn documents_larger_than_a_trip_are_all_judged() {
    let letters = "字".repeat(3_000);
    let jobs: Vec<_> = (1..40).map(|seed| job(seed, &[&letters, "一", &letters])).collect();
    let mut gate = GateProgram::Process(PROGRAM.into()).gate(&config(10_000));
    let judged = gate.judge_all(&jobs, &mut |_| Ok(Base::default()));
    let judged: Vec<_> = judged.into_iter().map(Result::unwrap).collect();
    assert_eq!(judged, here(&jobs));
}

#[test]
fn bytes_that_stop_a_worker_cost_no_other_document_its_push() {
    let mut gate =
        GateProgram::Process(PROGRAM.into()).gate(&GateConfig { memory_mb: TIGHT_MB, ..config(60_000) });
    let mut jobs: Vec<_> = (1..9).map(|seed| job(seed, &["一"])).collect();
    jobs[3].pushes = vec![bloated(9)];
    let judged = gate.judge_all(&jobs, &mut |_| Ok(Base::default()));
    let judged: Vec<_> = judged.into_iter().map(Result::unwrap).collect();
    let expected = here(&jobs);
    for (at, (judged, expected)) in judged.iter().zip(&expected).enumerate() {
        if at == 3 {
            let refused = &judged.verdicts[0];
            assert!(matches!(refused, Accepted::Refuse { code: RefuseCode::Malformed, .. }), "{refused:?}");
        } else {
            assert_eq!(judged, expected, "{at}");
        }
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

/// Enough for a worker and small work, too little for more.
const TIGHT_MB: u32 = 64;
