//! Beside row 3: the gate by itself: no network, no worker process, one thread. Tells what a core gives to the gate and what to the store.

use std::sync::Arc;
use std::time::Duration;

use fieldbook_core::company::{Company, Incoming, LocalGate, Prepared, Settled};
use fieldbook_core::ids::DeviceId;
use fieldbook_core::sync::message::Push;
use fieldbook_engines::{RedbOptions, RedbStore};
use fieldbook_server::config;
use fieldbook_server::engine::store_path;
use fieldbook_tests::flush::{FixedFlush, Flushes};

use crate::firm::{Firm, now};
use crate::gate::{FLUSH_US, Load};
use crate::light::durable;
use crate::table::{Row, number};
use crate::{Fail, Plan};

/// Measures both halves.
///
/// # Errors
/// Whatever stops it.
pub fn run(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let hot = look(plan, &Load::hot(plan), 2_048)?;
    let long = look(plan, &Load::long(plan), 2_048)?;
    let cold = look(plan, &Load::cold(plan), 0)?;
    let words = |seen: &Seen| {
        format!(
            "processor time of one thread, groups of {GROUP} batches: {} µs a push in the gate, {} µs in the store; the flush is a sleep of 0.1 ms, which takes none",
            number(seen.gate_us),
            number(seen.store_us)
        )
    };
    Ok(vec![
        Row::beside(
            "Gate and store alone, without network and worker: edits on documents in memory",
            1e6 / (hot.gate_us + hot.store_us),
            "edits/s/core",
        )
        .note(words(&hot)),
        Row::beside(
            "The same on 256 documents, which grow to 200 changes each",
            1e6 / (long.gate_us + long.store_us),
            "edits/s/core",
        )
        .note(words(&long)),
        Row::beside(
            "Gate and store alone: cold documents, 5 edits each",
            1e6 / (cold.gate_us + cold.store_us),
            "docs/s/core",
        )
        .note(words(&cold)),
    ])
}

struct Seen {
    gate_us: f64,
    store_us: f64,
}

fn look(plan: &Plan, load: &Load, capacity: usize) -> Result<Seen, Fail> {
    let firm = Firm::found(&plan.scratch)?;
    let office = firm.open()?;
    let all = load.prepare(&office)?;
    office.close()?;
    let path = store_path(config::Engine::Redb, &firm.config()?.data_dir);
    let flush = FixedFlush::open(&path, Duration::from_micros(FLUSH_US), Arc::new(Flushes::default()))?;
    let store = Arc::new(RedbStore::with_backend(flush, &RedbOptions::default())?);
    let company = Company::open(store, "", &[0; 64])?;
    // Phones take turns, as they do at the server.
    let mut queue: Vec<(DeviceId, Push)> = Vec::new();
    for turn in 0..load.pushes {
        queue.extend(all.iter().map(|(member, pushes)| (member.device, pushes[turn].clone())));
    }
    let mut gate = LocalGate::new(capacity);
    let (mut gate_time, mut store_time) = (Duration::ZERO, Duration::ZERO);
    let warm = queue.len() / 10;
    let mut counted = 0;
    for (at, group) in queue.chunks(GROUP).enumerate() {
        let mut incoming = Vec::with_capacity(group.len());
        for (device, push) in group {
            incoming.push(Incoming { who: company.principal(*device)?, push: push.clone() });
        }
        let began = processor_time();
        let prepared = incoming
            .iter()
            .map(|one| company.prepare(one.push.doc, std::slice::from_ref(one), &mut gate, now().wall_ms));
        let mut prepared: Vec<Prepared> = prepared.collect::<Result<_, _>>()?;
        let judged = processor_time();
        let batches = prepared.iter_mut().map(|one| std::mem::take(&mut one.batch)).collect();
        let outcomes = company.store().commit(batches)?;
        let written = processor_time();
        for (one, outcome) in prepared.into_iter().zip(outcomes) {
            let Settled::Done { answers, .. } = one.settle(outcome) else {
                return Err("the store is contended".into());
            };
            answers.iter().try_for_each(durable)?;
        }
        if at * GROUP >= warm {
            gate_time += judged - began;
            store_time += written - judged;
            counted += group.len();
        }
    }
    let a_push = |time: Duration| time.as_secs_f64() * 1e6 / counted as f64;
    Ok(Seen { gate_us: a_push(gate_time), store_us: a_push(store_time) })
}

/// Processor time of this thread: what others do on the machine is not in it.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Batches of one commit: fewer than the phones have in flight, so that no two are of one document.
const GROUP: usize = 32;
