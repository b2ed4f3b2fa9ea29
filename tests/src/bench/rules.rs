//! Rows 9 to 11: what the company's rules cost. All of them over one lead for a phone's page; every lead of a company again because the policy
//! changed, from rows, while phones go on syncing; and the figures of a company.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fieldbook_core::access::Role;
use fieldbook_core::company::{Company, Incoming, LocalGate, Settled};
use fieldbook_core::ids::DocId;
use fieldbook_core::policy::Policy;
use fieldbook_core::rules::figures::{Expenses, Period, figures};
use fieldbook_core::sync::message::Push;
use fieldbook_server::hands::Threads;
use jiff::civil::date;
use jiff::tz::TimeZone;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rustix::time::{ClockId, clock_gettime};

use crate::firm::{Firm, Member, Office, edit, field, now};
use crate::server::Server;
use crate::table::{Row, median, number, spread};
use crate::yardstick::{disk, ms};
use crate::{Fail, Plan, app, say, yardstick};

/// Measures the row of the page.
///
/// # Errors
/// Whatever stops it.
pub fn page(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let leads = plan.size(500, 20);
    let firm = Firm::found(&plan.scratch)?;
    let office = firm.open()?;
    office.hire(1, Role::Manager)?;
    let rep = office.hire(2, Role::Rep)?;
    let ids = office.intake(rep.user, leads, 21)?;
    office.work(&rep, &ids, VISITS, 22)?;
    let code = office.code(rep.user)?;
    settle(office.company(), now().wall_ms)?;
    office.close()?;
    let server = Server::start(&firm)?;
    let path = firm.folder().join("phone");
    let book = app::enrol(&path, &firm, &code)?;
    app::sync(&book)?;
    server.stop()?;
    book.shutdown();
    // Opened anew: no document is in memory.
    let book = app::open(&path)?;
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for took in [&mut first, &mut again] {
        for lead in &ids {
            let began = cpu_ms();
            let judged = book.judge(*lead)?;
            took.push(cpu_ms() - began);
            if judged.stage.is_none() || judged.tasks.is_none() {
                return Err(format!("the rules say nothing of {lead}: {:?}", judged.undetermined).into());
            }
        }
    }
    book.shutdown();
    Ok(vec![
        Row::at_most(
            "All rules over one lead on the phone's page, its documents not in memory: processor",
            median(first.clone()),
            "ms",
            2.0,
        )
        .note(format!(
            "{}; a lead with {VISITS} visits, two ticks, and what the server decided",
            spread(&first)
        ))
        .note("by the facade: reading and decrypting the documents from the store is in it")
        .yardstick(yardstick::automerge()?),
        Row::beside("The same a second time", median(again.clone()), "ms").note(spread(&again)),
    ])
}

/// Measures the rows of a large company.
///
/// # Errors
/// Whatever stops it.
pub fn company(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let leads = plan.size(100_000, 400);
    let firm = Firm::found(&plan.scratch)?;
    let office = firm.open()?;
    office.hire(1, Role::Manager)?;
    let began = Instant::now();
    let worked = staff(&office, leads, plan.size(50, 4))?;
    say(&format!("  {leads} leads came in {} s", number(began.elapsed().as_secs_f64())));
    let began = Instant::now();
    settle(office.company(), now().wall_ms)?;
    say(&format!(
        "  {leads} leads were judged for the first time in {} s",
        number(began.elapsed().as_secs_f64())
    ));
    let swept = sweep(&office, &worked, leads, &plan.scratch)?;
    let told = tell(office.company(), leads)?;
    office.close()?;
    Ok([swept, told].concat())
}

/// Leads for reps, a tenth of them worked. Gives a rep who has some to edit, with them.
fn staff(office: &Office, leads: usize, reps: usize) -> Result<(Member, Vec<DocId>), Fail> {
    let mut first = None;
    for number in 0..reps {
        let rep = office.hire(10 + number as u64, Role::Rep)?;
        let ids = office.intake(rep.user, leads / reps, 100 + number as u64)?;
        office.work(&rep, &ids[..ids.len() / 10], VISITS, 200 + number as u64)?;
        first.get_or_insert((rep, ids));
    }
    Ok(first.ok_or("nobody was hired")?)
}

/// A version comes into force that says something else of every lead, while a phone edits.
fn sweep(
    office: &Office,
    (rep, ids): &(Member, Vec<DocId>),
    leads: usize,
    scratch: &Path,
) -> Result<Vec<Row>, Fail> {
    let company = office.company();
    let policies = company.policies()?;
    let mut policy = Policy::clone(policies.at(now().wall_ms).policy.as_deref().ok_or("no policy")?);
    policy.figures.key_fields.truncate(3);
    let from_ms = now().wall_ms + 1_000;
    company.publish_policy(&policy, from_ms, rep.user, "", rand::random(), now().wall_ms)?;
    settle(company, from_ms - 1)?;
    let (stop, mut rounds) = (AtomicBool::new(false), 0);
    let (took, edits) = thread::scope(|scope| -> Result<_, Fail> {
        let syncing = scope.spawn(|| edit_meanwhile(company, rep, ids, &stop));
        let began = Instant::now();
        let zone = zone()?;
        // What the edits bring is news behind the sweep: what counts is when every lead has been judged.
        let judged = loop {
            let done = company.automate_with(&zone, from_ms, LEADS_A_ROUND, &Threads)?;
            rounds += 1;
            let outcomes = if done.more { continue } else { company.outcomes()? };
            break outcomes;
        };
        let took = began.elapsed();
        stop.store(true, Ordering::Relaxed);
        let edits = syncing.join().map_err(|_| "the phone panicked")??;
        if judged.len() != leads || judged.iter().any(|outcome| outcome.key_fields.1 != 3) {
            return Err("not every lead was judged by the new version".into());
        }
        Ok((took, edits))
    })?;
    Ok(vec![
        Row::at_most("Every lead of 100,000 judged again after a change of the policy", took.as_secs_f64(), "s", 5.0)
            .note(format!(
                "{leads} leads, a tenth of them worked, of every one something else is said and written; {rounds} rounds; meanwhile a phone pushed {} edits through \
                 the gate and to the disk, one every {} ms at the most: {}",
                edits.len(),
                PAUSE.as_millis(),
                spread(&edits),
            ))
            .yardstick(disk(scratch)?),
    ])
}

/// Pushes edits one after the other until it is told to stop; milliseconds of each.
fn edit_meanwhile(
    company: &Company,
    rep: &Member,
    ids: &[DocId],
    stop: &AtomicBool,
) -> Result<Vec<f64>, Fail> {
    let mut gate = LocalGate::new(0);
    let mut rng = StdRng::seed_from_u64(5);
    let mut took = Vec::new();
    for (number, lead) in ids.iter().cycle().enumerate() {
        if stop.load(Ordering::Relaxed) && number > 0 {
            break;
        }
        let mut doc = company.load(*lead)?;
        let change = edit(&mut doc, rep, &field(&mut rng))?;
        let push =
            Push { id: 1_000_000 + number as u64, doc: *lead, origin: None, changes: vec![change.into()] };
        let began = Instant::now();
        let who = company.principal(rep.device)?;
        let prepared = company.prepare(*lead, &[Incoming { who, push }], &mut gate, now().wall_ms)?;
        let outcome = company.store().commit_one(prepared.batch.clone())?;
        if let Settled::Done { answers, .. } = prepared.settle(outcome) {
            answers.iter().try_for_each(crate::light::durable)?;
            took.push(ms(began.elapsed()));
        }
        thread::sleep(PAUSE);
    }
    Ok(took)
}

/// The figures of a quarter.
fn tell(company: &Company, leads: usize) -> Result<Vec<Row>, Fail> {
    let zone = zone()?;
    let now_ms = now().wall_ms;
    let policies = company.policies()?;
    let policy = policies.at(now_ms).policy.as_deref().ok_or("no policy")?;
    let period = Period::new(date(2026, 1, 1), date(2099, 1, 1), &zone, now_ms, 0).ok_or("no such days")?;
    let mut took = Vec::new();
    for _ in 0..FIGURES {
        let began = Instant::now();
        let outcomes = company.outcomes()?;
        let told = figures(&outcomes, policy, period, Expenses::default());
        took.push(ms(began.elapsed()));
        let new = told.iter().find(|figure| figure.id == "M1a").map_or(0, |figure| figure.of.1);
        if outcomes.len() != leads || new != leads as u64 {
            return Err(format!("the figures are over {new} leads").into());
        }
    }
    Ok(vec![
        Row::at_most("Figures over 100,000 leads", median(took.clone()), "ms", 300.0)
            .note(format!("{}; {leads} leads, from the store's rows in the system's cache", spread(&took))),
    ])
}

/// Rounds until nothing is left to do at once.
fn settle(company: &Company, now_ms: i64) -> Result<(), Fail> {
    let zone = zone()?;
    loop {
        let done = company.automate_with(&zone, now_ms, LEADS_A_ROUND, &Threads)?;
        if let Some((lead, error)) = done.failed.first() {
            return Err(format!("{lead} could not be judged: {error}").into());
        }
        if !done.more && done.judged == 0 {
            return Ok(());
        }
    }
}

fn zone() -> Result<TimeZone, Fail> {
    TimeZone::get(ZONE).map_err(|e| e.to_string().into())
}

/// Processor time of this thread so far, milliseconds.
fn cpu_ms() -> f64 {
    let at = clock_gettime(ClockId::ThreadCPUTime);
    at.tv_sec as f64 * 1e3 + at.tv_nsec as f64 / 1e6
}

const ZONE: &str = "Asia/Shanghai";
/// Visits of a lead that somebody works.
const VISITS: usize = 4;
/// As the server takes them.
const LEADS_A_ROUND: usize = 64;
const FIGURES: usize = 5;
/// Between two edits of the phone that edits meanwhile: a busy rep, not a crowd. It hides no race: nothing waits for what comes behind it.
const PAUSE: Duration = Duration::from_millis(5);
