//! Row 1: a phone comes back. 10,000 leads held, 20 changed by somebody else, 20 by the phone; and the same with 100 leads held, on the same
//! server. Once with both ends warm, and once with both processes just started. Every round changes leads that no round changed before, so
//! that both see documents of the same age: with 100 leads held, every round has a phone of its own.
//!
//! Round trips are counted, not timed: they are the phone's flights that ask for something. What a slow link makes of them stands beside.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use fieldbook_core::access::Role;
use fieldbook_core::ids::DocId;
use fieldbook_core::sync::message::Push;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::child::{self, Fresh};
use crate::firm::{Firm, Member, edit, visit};
use crate::light::{Light, Standing, frame};
use crate::phone::{Phone, Synced};
use crate::server::Server;
use crate::table::{Row, median, number, spread, worst};
use crate::{Fail, Plan, say, wire, yardstick};

/// Measures the row.
///
/// # Errors
/// Whatever stops it.
pub fn run(plan: &Plan) -> Result<Vec<Row>, Fail> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(plan))
}

/// A rep with a phone.
struct Held {
    member: Member,
    leads: Vec<DocId>,
    path: PathBuf,
    phone: Phone,
}

/// The whole set-up of the row.
struct Scene {
    firm: Firm,
    manager: Member,
    /// The last push of the manager's phone.
    pushed: u64,
    /// Every round changes leads of its own.
    round: usize,
    rng: StdRng,
}

/// What was seen of one phone.
#[derive(Default)]
struct Seen {
    warm: Vec<Synced>,
    fresh: Vec<Fresh>,
}

async fn measure(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let (many, few) = (plan.size(10_000, 1_000), 100);
    let (warm, far, fresh) = (plan.size(9, 2), plan.size(3, 1), plan.size(5, 1));
    let firm = Firm::found(&plan.scratch)?;
    let office = firm.open()?;
    let manager = office.hire(1, Role::Manager)?;
    let mut reps = Vec::new();
    // The first round warms up.
    for (number, count) in (2..).zip([many].into_iter().chain(vec![few; 1 + warm + fresh])) {
        let member = office.hire(number, Role::Rep)?;
        let leads = office.intake(member.user, count, number)?;
        reps.push((member, leads));
    }
    office.close()?;
    let mut server = Server::start(&firm)?;
    let mut scene = Scene { firm, manager, pushed: 0, round: 0, rng: StdRng::seed_from_u64(4) };
    let mut phones = Vec::new();
    for (at, (member, leads)) in reps.into_iter().enumerate() {
        let path = scene.firm.folder().join(format!("phone-{at}"));
        let mut phone = Phone::enrol(&path, &member)?;
        phone.sync(&member.token, scene.firm.port).await?;
        phones.push(Held { member, leads, path, phone });
    }
    say(&format!("  {many} and {few} leads held; {warm} rounds of {CHANGED} + {CHANGED} changes"));
    let mut large = phones.remove(0);
    let (mut seen, mut small) = ([Seen::default(), Seen::default()], phones.into_iter());
    // They take turns, so that both see the same machine.
    for (round, mut one) in small.by_ref().take(1 + warm).enumerate() {
        for (held, seen) in [&mut large, &mut one].into_iter().zip(&mut seen) {
            scene.change(held).await?;
            let done = held.phone.sync(&held.member.token, scene.firm.port).await?;
            check((done.report.durable, done.report.changed))?;
            if round > 0 {
                seen.warm.push(done);
            }
        }
    }
    let far = scene.far(&mut large, far).await?;
    for one in small {
        let mut kept = Vec::new();
        for (mut held, seen) in [large, one].into_iter().zip(&mut seen) {
            scene.change(&mut held).await?;
            held.phone.close()?;
            server.stop()?;
            server = Server::start(&scene.firm)?;
            seen.fresh.push(scene.start_phone(&held.path, &held.member)?);
            kept.push(Held { phone: Phone::open(&held.path)?, ..held });
        }
        large = kept.swap_remove(0);
    }
    server.stop()?;
    rows(plan, &seen, &far)
}

impl Scene {
    /// Changes made by the manager, which the server has, and by the phone, which it has not.
    async fn change(&mut self, held: &mut Held) -> Result<(), Fail> {
        let row = held.phone.replica.sync_row();
        let standing = Standing { epoch: row.epoch, cursor: row.cursor };
        let lead_of = |n: usize, round: usize| held.leads[(round * 2 * CHANGED + n) % held.leads.len()];
        let leads: Vec<DocId> = (0..2 * CHANGED).map(|n| lead_of(n, self.round)).collect();
        self.round += 1;
        let mut pushes = Vec::new();
        for lead in leads[..CHANGED].iter().copied() {
            let mut doc = held.phone.replica.load(lead)?;
            let change = edit(&mut doc, &self.manager, &visit(&mut self.rng))?;
            self.pushed += 1;
            pushes.push(frame(Push {
                id: self.pushed,
                doc: lead,
                origin: None,
                changes: vec![change.into()],
            }));
        }
        let mut light = Light::connect(self.firm.port, None, &self.manager, standing, self.pushed).await?;
        light.drive(pushes, 8, &Default::default()).await?;
        for lead in leads[CHANGED..].iter().copied() {
            held.phone.edit(lead, visit(&mut self.rng))?;
        }
        Ok(())
    }

    /// The same over a link with a delay: how many round trips long it takes, from the request for a websocket until all is done.
    async fn far(&mut self, held: &mut Held, rounds: usize) -> Result<Vec<f64>, Fail> {
        let port = wire::delayed(self.firm.port, ONE_WAY).await?;
        let mut trips = Vec::new();
        for _ in 0..rounds {
            self.change(held).await?;
            let done = held.phone.sync(&held.member.token, port).await?;
            check((done.report.durable, done.report.changed))?;
            trips.push(done.ms / ROUND_TRIP_MS);
        }
        Ok(trips)
    }

    /// Starts a process that opens the store and makes one connection.
    fn start_phone(&self, path: &std::path::Path, member: &Member) -> Result<Fresh, Fail> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([child::WORD, child::SYNC]).arg(path).arg(self.firm.port.to_string());
        command.env_clear().env(child::TOKEN, &member.token).stdin(Stdio::null()).stderr(Stdio::inherit());
        let done = command.output()?;
        let fresh: Fresh = String::from_utf8_lossy(&done.stdout).parse()?;
        check(fresh.moved)?;
        Ok(fresh)
    }
}

/// Everything that was changed went up and came down. More may come down: the server may tell a phone of its own change.
fn check((up, down): (u64, u64)) -> Result<(), Fail> {
    if up == CHANGED as u64 && down >= CHANGED as u64 {
        Ok(())
    } else {
        Err(format!("{up} went up, {down} came down").into())
    }
}

fn rows(plan: &Plan, seen: &[Seen; 2], far: &[f64]) -> Result<Vec<Row>, Fail> {
    let of = |runs: &[Synced], what: fn(&Synced) -> f64| runs.iter().map(what).collect::<Vec<_>>();
    let fresh = |runs: &[Fresh], what: fn(&Fresh) -> f64| runs.iter().map(what).collect::<Vec<_>>();
    let [many, few] = seen;
    // Of what is counted the worst run counts, the cold ones among them.
    let kb = |seen: &Seen| -> Vec<f64> {
        let warm = seen.warm.iter().map(|done| done.up_bytes + done.down_bytes);
        warm.chain(seen.fresh.iter().map(|done| done.bytes)).map(|bytes| bytes as f64 / 1_024.0).collect()
    };
    let awaited = [many, few].into_iter().flat_map(|seen| {
        let warm = seen.warm.iter().map(|done| done.awaited);
        warm.chain(seen.fresh.iter().map(|done| done.awaited)).map(f64::from)
    });
    let flights = worst(&of(&many.warm, |done| f64::from(done.flights)));
    let (up, down) =
        (median(of(&many.warm, |d| d.up_bytes as f64)), median(of(&many.warm, |d| d.down_bytes as f64)));
    let (ms_many, ms_few) = (of(&many.warm, |d| d.ms), of(&few.warm, |d| d.ms));
    let (cold_many, cold_few) = (fresh(&many.fresh, |d| d.ms), fresh(&few.fresh, |d| d.ms));
    let machine = format!("{}; {}", yardstick::loopback()?, yardstick::disk(&plan.scratch)?);
    Ok(vec![
        Row::at_most("Reconnect, 10,000 leads held, 20 + 20 changed: bytes both ways, the worst run", worst(&kb(many)), "KB", 16.0)
            .note(format!("TCP payload: {} B up, {} B down (median), the websocket's upgrade and heads included; with 100 leads held {} KB", number(up), number(down), number(worst(&kb(few)))))
            .note(EXCLUDED),
        Row::at_most("Reconnect: round trips behind the websocket's upgrade until caught up and acknowledged, the worst run", worst(&awaited.collect::<Vec<_>>()), "", 1.0)
            .note(format!("counted: flights of the phone that ask for something. It sends in {} flights at the most; those behind the first only acknowledge, and nobody waits for them", number(flights))),
        Row::beside("Reconnect over a link of 400 ms a round trip: time, in round trips, the upgrade one of them", median(far.to_vec()), "round trips")
            .note(format!("{}; what is beyond two is work and the link's own delay", spread(far))),
        Row::at_most("Reconnect: time with 10,000 leads held / with 100, both ends warm", median(ms_many.clone()) / median(ms_few.clone()), "×", 3.0)
            .note(format!("{} ms with 10,000 ({}), {} ms with 100 ({}); {} ms of it until the websocket stands", number(median(ms_many.clone())), spread(&ms_many), number(median(ms_few.clone())), spread(&ms_few), number(median(of(&many.warm, |d| d.dial_ms)))))
            .yardstick(machine),
        Row::beside("The same, the phone's process and the server's both just started, opening the phone's store included", median(cold_many.clone()) / median(cold_few.clone()), "×")
            .note(format!("{} ms with 10,000 ({}), {} ms of it to open the store; {} ms with 100 ({}); the files are in the system's cache", number(median(cold_many.clone())), spread(&cold_many), number(median(fresh(&many.fresh, |d| d.open_ms))), number(median(cold_few.clone())), spread(&cold_few))),
    ])
}

/// Leads changed by either side.
const CHANGED: usize = 20;
/// Half a round trip of a slow mobile network.
const ONE_WAY: Duration = Duration::from_millis(200);
const ROUND_TRIP_MS: f64 = 400.0;
/// What a row below the facade leaves out.
pub const EXCLUDED: &str = "left out: TLS, the exchange of tokens, and what the facade does beside the sync (listeners, evidence); the first run warms up and is not counted; the phone shares the machine with the server";
