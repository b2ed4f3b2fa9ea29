//! Row 3: what the server takes in. 32 phones push through websockets; each edit passes the whole gate in a worker process and is durable
//! before its answer. The disk's flush is fixed at 0.1 ms; the same on the disk as it is stands beside.
//!
//! The phones are [`Light`]: their pushes are made beforehand. They share the machine with the server all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fieldbook_core::access::Role;
use fieldbook_core::ids::DocId;
use fieldbook_core::store::Store;
use fieldbook_core::sync::message::Push;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::firm::{Firm, Member, Office, edit, field, visit};
use crate::light::{Light, Standing, frame};
use crate::server::{Server, own_cpu_s};
use crate::table::{Row, median, number, spread};
use crate::{Fail, Plan, say, yardstick};

/// Measures the row.
///
/// # Errors
/// Whatever stops it.
pub fn run(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let look = |load: &Load, flush| runtime.block_on(look(plan, load, flush));
    // The row that has the bar, several times: a machine that is shared differs more from itself than one change makes.
    let mut hots = (0..plan.size(RUNS, 1))
        .map(|_| look(&Load::hot(plan), Some(FLUSH_US)))
        .collect::<Result<Vec<_>, Fail>>()?;
    let runs: Vec<f64> = hots.iter().map(|seen| seen.pushes_a_second).collect();
    hots.sort_by(|one, other| one.pushes_a_second.total_cmp(&other.pushes_a_second));
    let hot = hots.swap_remove(hots.len() / 2);
    let long = look(&Load::long(plan), Some(FLUSH_US))?;
    let narrow = look(&Load::narrow(plan), Some(FLUSH_US))?;
    let cold = look(&Load::cold(plan), Some(FLUSH_US))?;
    let (hot_disk, cold_disk) = (look(&Load::hot(plan), None)?, look(&Load::cold(plan), None)?);
    let machine = format!(
        "{}; {}; {}",
        yardstick::disk(&plan.scratch)?,
        yardstick::loopback()?,
        yardstick::automerge()?
    );
    let a_core = |seen: &Seen| seen.pushes_a_second / seen.server_cores;
    let cold_words = |seen: &Seen| {
        format!(
            "{} documents/s in all; the server and its workers took {} of the cores meanwhile; {}",
            number(seen.pushes_a_second),
            number(seen.server_cores),
            seen.words()
        )
    };
    Ok(vec![
        Row::at_least("Edits through the gate and durable, 32 phones, 8 pushes in flight each, on 2,048 documents in memory", hot.pushes_a_second, "edits/s", 5_000.0)
            .note(format!("{} runs: {}; of the median: {}", runs.len(), spread(&runs), hot.words()))
            .note(SIMULATED)
            .note("each lead ends with about thirty changes")
            .note("phones do not share documents: each pushes to leads of its own, so no push waits for another phone's; they are made beforehand, and the phones share the machine with the server")
            .note("left out: TLS and the exchange of tokens; of the pushes the first tenth (warming up) and the last (phones already done)")
            .yardstick(machine),
        Row::beside("The same on 256 documents, which grow to 200 changes each", long.pushes_a_second, "edits/s").note(long.words()).note(SIMULATED),
        Row::beside("The same, every phone's pushes on one document of its own (32 documents)", narrow.pushes_a_second, "edits/s").note(narrow.words()).note(SIMULATED),
        Row::beside("The first, by the `fieldbook` program on this disk as it is", hot_disk.pushes_a_second, "edits/s").note(hot_disk.words()).note(REAL),
        Row::at_least("Cold documents, 5 edits each in one push: documents a second and core, server side", a_core(&cold), "docs/s/core", 1_000.0)
            .note(cold_words(&cold)).note(SIMULATED),
        Row::beside("The same, by the `fieldbook` program on this disk as it is", a_core(&cold_disk), "docs/s/core").note(cold_words(&cold_disk)).note(REAL),
    ])
}

/// What is pushed.
pub struct Load {
    /// In words.
    pub name: &'static str,
    /// Phones.
    pub phones: usize,
    /// Documents that one phone writes.
    pub docs: usize,
    /// Pushes of one phone.
    pub pushes: usize,
    /// Changes in one push.
    pub changes: usize,
}

impl Load {
    /// Documents in memory: each push of a phone goes to the next of its 64 leads, which end with about thirty changes, as leads do that
    /// somebody works.
    pub fn hot(plan: &Plan) -> Self {
        Self { name: "hot", phones: 32, docs: plan.size(64, 8), pushes: plan.size(1_600, 40), changes: 1 }
    }

    /// The same work on few leads, so that each becomes as long as one that was worked for years.
    pub fn long(plan: &Plan) -> Self {
        Self { name: "long", docs: 8, ..Self::hot(plan) }
    }

    fn narrow(plan: &Plan) -> Self {
        Self { name: "narrow", phones: 32, docs: 1, pushes: plan.size(800, 40), changes: 1 }
    }

    /// Every document is met once.
    pub fn cold(plan: &Plan) -> Self {
        // Several rounds of what is in flight even in the small, or there is no middle to be measured.
        let docs = plan.size(320, 4 * IN_FLIGHT);
        Self { name: "cold", phones: 32, docs, pushes: docs, changes: 5 }
    }

    /// The pushes of one phone, to its leads in turn: seven in ten write a field, the others log a visit.
    ///
    /// # Errors
    /// The company's.
    pub fn pushes(&self, office: &Office, member: &Member, leads: &[DocId]) -> Result<Vec<Push>, Fail> {
        let mut rng = StdRng::seed_from_u64(u64::from_be_bytes(member.user.0));
        let mut docs = leads
            .iter()
            .map(|lead| Ok((*lead, office.company().load(*lead)?)))
            .collect::<Result<Vec<_>, Fail>>()?;
        let mut pushes = Vec::with_capacity(self.pushes);
        for n in 0..self.pushes {
            let at = n % docs.len();
            let (lead, doc) = &mut docs[at];
            let mut changes = Vec::with_capacity(self.changes);
            for _ in 0..self.changes {
                let logs = rand::Rng::random_ratio(&mut rng, 3, 10);
                let edits = if logs { visit(&mut rng) } else { field(&mut rng) };
                changes.push(edit(doc, member, &edits)?.into());
            }
            pushes.push(Push { id: n as u64 + 1, doc: *lead, origin: None, changes });
        }
        Ok(pushes)
    }

    /// The reps with their pushes.
    ///
    /// # Errors
    /// The company's.
    pub fn prepare(&self, office: &Office) -> Result<Vec<(Member, Vec<Push>)>, Fail> {
        office.hire(1, Role::Manager)?;
        let mut all = Vec::with_capacity(self.phones);
        for number in 0..self.phones as u64 {
            let member = office.hire(number + 2, Role::Rep)?;
            let leads = office.intake(member.user, self.docs, number + 100)?;
            let pushes = self.pushes(office, &member, &leads)?;
            all.push((member, pushes));
        }
        Ok(all)
    }
}

/// What was seen.
struct Seen {
    pushes_a_second: f64,
    server_cores: f64,
    client_cores: f64,
    median_ms: f64,
    /// How many a second, and what one took, µs; known of a simulated flush only.
    flushes: Option<(f64, f64)>,
}

impl Seen {
    fn words(&self) -> String {
        let flushes =
            self.flushes.map(|(count, us)| format!("flush {} µs, {} a second; ", number(us), number(count)));
        format!(
            "{}a push is answered in {} ms (median); processor: server and workers {} cores, phones {} cores",
            flushes.unwrap_or_default(),
            number(self.median_ms),
            number(self.server_cores),
            number(self.client_cores)
        )
    }
}

async fn look(plan: &Plan, load: &Load, flush_us: Option<u64>) -> Result<Seen, Fail> {
    let firm = Firm::found(&plan.scratch)?;
    let office = firm.open()?;
    let all = load.prepare(&office)?;
    let standing = Standing { epoch: office.company().epoch(), cursor: office.company().store().head()? };
    office.close()?;
    let server = match flush_us {
        Some(flush_us) => Server::start_with_flush(&firm, flush_us)?,
        None => Server::start(&firm)?,
    };
    let total = (load.phones * load.pushes) as u64;
    let answered = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for (member, pushes) in all {
        let mut light = Light::connect(firm.port, None, &member, standing, pushes.len() as u64).await?;
        let answered = answered.clone();
        let frames: Vec<_> = pushes.into_iter().map(frame).collect();
        tasks.push(tokio::spawn(async move {
            light.drive(frames, IN_FLIGHT, &answered).await.map(|took| (took, light))
        }));
    }
    // From a tenth (warm) to nine tenths (all phones still at it).
    let began = reached(&answered, total / 10, &tasks).await?;
    let (served, own) = (server.cpu_s()?, own_cpu_s()?);
    let from = answered.load(Ordering::Relaxed);
    let ended = reached(&answered, total * 9 / 10, &tasks).await?;
    let (served, own) = (server.cpu_s()? - served, own_cpu_s()? - own);
    let counted = answered.load(Ordering::Relaxed) - from;
    if counted == 0 {
        return Err("everything was answered before it could be counted: too little was pushed".into());
    }
    let seconds = (ended - began).as_secs_f64();
    let mut took = Vec::new();
    let mut open = Vec::new();
    for task in tasks {
        let (times, light) = task.await??;
        took.extend(times);
        open.push(light);
    }
    drop(open);
    let printed = server.stop()?;
    let pushes_a_second = counted as f64 / seconds;
    let mut words = printed.split_whitespace().map(str::parse::<f64>);
    let flushes = match (flush_us, words.next(), words.next()) {
        (None, ..) => None,
        (Some(_), Some(Ok(flushes)), Some(Ok(us))) => Some((flushes / (total as f64 / pushes_a_second), us)),
        _ => return Err("the server did not count its flushes".into()),
    };
    let disk = if flush_us.is_some() { "simulated flush" } else { "this disk" };
    say(&format!("  {}, {disk}: {} pushes/s over {} s", load.name, number(pushes_a_second), number(seconds)));
    Ok(Seen {
        pushes_a_second,
        server_cores: served / seconds,
        client_cores: own / seconds,
        median_ms: median(took),
        flushes,
    })
}

type Task = tokio::task::JoinHandle<Result<(Vec<f64>, Light), Fail>>;

/// When so many pushes were answered.
async fn reached(answered: &AtomicU64, count: u64, tasks: &[Task]) -> Result<Instant, Fail> {
    while answered.load(Ordering::Relaxed) < count {
        tokio::time::sleep(Duration::from_millis(2)).await;
        // A phone that ended before its time ended by an error, which its task will tell.
        if tasks.iter().all(tokio::task::JoinHandle::is_finished) && answered.load(Ordering::Relaxed) < count
        {
            break;
        }
    }
    Ok(Instant::now())
}

/// How often the row that has the bar is measured.
const RUNS: usize = 5;
/// Unanswered pushes of a phone.
const IN_FLIGHT: usize = 8;
const SIMULATED: &str = "the flush is simulated: the store's file is real, its flush is a sleep of 0.1 ms and the write that the store's mark file costs; the disk's own flush stands in the yardstick";
const REAL: &str = "nothing is simulated: every group of pushes waits for the disk's own flush";
/// The flush that the bar names.
pub const FLUSH_US: u64 = 100;
