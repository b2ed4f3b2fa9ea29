//! Row 1: a phone comes back. 10,000 leads held, 20 changed by somebody else, 20 by the phone; and the same with 100 leads held, on the same
//! server.

use std::time::Duration;

use fieldbook_core::access::Role;
use fieldbook_core::ids::DocId;
use fieldbook_core::sync::message::Push;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::firm::{Firm, Member, edit, visit};
use crate::light::{Light, Standing, frame};
use crate::phone::{Phone, Synced};
use crate::server::Server;
use crate::table::{Row, median, number, spread};
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
    phone: Phone,
}

/// The whole set-up of the row.
struct Scene {
    port: u16,
    manager: Member,
    /// The last push of the manager's phone.
    pushed: u64,
    rng: StdRng,
}

async fn measure(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let (many, few) = (plan.size(10_000, 500), 100);
    let (rounds, changed) = (plan.size(9, 2), 20);
    let firm = Firm::found(&plan.scratch)?;
    let office = firm.open()?;
    let manager = office.hire(1, Role::Manager)?;
    let mut reps = Vec::new();
    for (number, count) in [(2, many), (3, few)] {
        let member = office.hire(number, Role::Rep)?;
        let leads = office.intake(member.user, count, number)?;
        reps.push((member, leads));
    }
    office.close()?;
    let server = Server::start(&firm)?;
    let mut scene = Scene { port: firm.port, manager, pushed: 0, rng: StdRng::seed_from_u64(4) };
    let mut phones = Vec::new();
    for (at, (member, leads)) in reps.into_iter().enumerate() {
        let mut phone = Phone::enrol(&firm.folder().join(format!("phone-{at}")), &member)?;
        phone.sync(&member, firm.port).await?;
        phones.push(Held { member, leads, phone });
    }
    say(&format!("  {many} and {few} leads held; {rounds} rounds of {changed} + {changed} changes"));
    let mut runs: Vec<Vec<Synced>> = vec![Vec::new(), Vec::new()];
    // The first round warms up; the two phones take turns, so that both see the same machine.
    for round in 0..=rounds {
        for (held, seen) in phones.iter_mut().zip(&mut runs) {
            scene.change(held, changed, round).await?;
            let done = held.phone.sync(&held.member, scene.port).await?;
            check(&done, changed)?;
            if round > 0 {
                seen.push(done);
            }
        }
    }
    let far = scene.round_trips(&mut phones[0], changed, rounds + 1).await?;
    server.stop()?;
    rows(plan, &runs, far)
}

impl Scene {
    /// Changes made by the manager, which the server has, and by the phone, which it has not.
    async fn change(&mut self, held: &mut Held, changed: usize, round: usize) -> Result<(), Fail> {
        let row = held.phone.replica.sync_row();
        let standing = Standing { epoch: row.epoch, cursor: row.cursor };
        let mut pushes = Vec::new();
        for n in 0..changed {
            let lead = held.leads[(round * 997 + n) % held.leads.len()];
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
        let mut light = Light::connect(self.port, None, &self.manager, standing, self.pushed).await?;
        light.drive(pushes, 8, &Default::default()).await?;
        for n in 0..changed {
            let lead = held.leads[(round * 997 + 50 + n) % held.leads.len()];
            held.phone.edit(lead, visit(&mut self.rng))?;
        }
        Ok(())
    }

    /// The same over a link with a delay: how many round trips long it takes, from the request for a websocket until all is done.
    async fn round_trips(
        &mut self,
        held: &mut Held,
        changed: usize,
        first_round: usize,
    ) -> Result<f64, Fail> {
        let port = wire::delayed(self.port, ONE_WAY).await?;
        let mut trips = Vec::new();
        for round in 0..3 {
            self.change(held, changed, first_round + round).await?;
            let done = held.phone.sync(&held.member, port).await?;
            check(&done, changed)?;
            trips.push(done.ms / (2.0 * ONE_WAY.as_secs_f64() * 1e3));
        }
        Ok(median(trips))
    }
}

/// Everything that was changed went up and came down. More may come down: the server may tell a phone of its own change.
fn check(done: &Synced, changed: usize) -> Result<(), Fail> {
    let (up, down) = (done.report.durable, done.report.changed);
    if up == changed as u64 && down >= changed as u64 {
        Ok(())
    } else {
        Err(format!("{up} went up, {down} came down").into())
    }
}

fn rows(plan: &Plan, runs: &[Vec<Synced>], trips: f64) -> Result<Vec<Row>, Fail> {
    let of = |runs: &[Synced], what: fn(&Synced) -> f64| runs.iter().map(what).collect::<Vec<_>>();
    let both = |done: &Synced| (done.up_bytes + done.down_bytes) as f64 / 1_024.0;
    let (many, few) = (&runs[0], &runs[1]);
    let (up, down) = (median(of(many, |d| d.up_bytes as f64)), median(of(many, |d| d.down_bytes as f64)));
    let (ms_many, ms_few) = (of(many, |d| d.ms), of(few, |d| d.ms));
    let machine = format!("{}; {}", yardstick::loopback()?, yardstick::disk(&plan.scratch)?);
    let few_bytes = number(median(of(few, both)));
    let delay = 2.0 * ONE_WAY.as_secs_f64() * 1e3;
    Ok(vec![
        Row::at_most("Reconnect, 10,000 leads held, 20 + 20 changed: bytes both ways", median(of(many, both)), "KB", 16.0)
            .note(format!("TCP payload: {} B up, {} B down, the websocket's upgrade and heads included; with 100 leads held {few_bytes} KB", number(up), number(down))),
        Row::at_most("Reconnect: round trips behind the websocket's upgrade until caught up and acknowledged", (trips - 1.0).round(), "", 1.0)
            .note(format!("over a link with {delay} ms a round trip: {} of them in all, the upgrade one; what is beyond the whole number is work; the phone sends in {} flights, the last of which is the acknowledgement that nobody waits for", number(trips), number(median(of(many, |d| f64::from(d.flights)))))),
        Row::at_most("Reconnect: time with 10,000 leads held / with 100", median(ms_many.clone()) / median(ms_few.clone()), "×", 3.0)
            .note(format!("{} ms with 10,000 ({}), {} ms with 100 ({}); {} ms of it until the websocket stands", number(median(ms_many.clone())), spread(&ms_many), number(median(ms_few.clone())), spread(&ms_few), number(median(of(many, |d| d.dial_ms)))))
            .yardstick(machine),
    ])
}

/// Half a round trip of a slow mobile network.
const ONE_WAY: Duration = Duration::from_millis(200);
