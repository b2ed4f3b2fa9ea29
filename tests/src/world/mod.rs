//! A whole company on virtual time, from one seed (design decision 13): phones, a server, the network between them, their disks and
//! their clocks. Acts, faults and deliveries are events of one agenda; the invariants of [`invariants`] are checked after them.
//!
//! Refuses wall clocks, threads and any randomness but the seed: a seed is a story, told again word for word.

use std::collections::{BTreeMap, BTreeSet};

use fieldbook_core::access::Role;
use fieldbook_core::ids::{DeviceId, TeamId, UserId};
use fieldbook_core::sync::message::FromServer;
use fieldbook_engines::faults::{Dice, Fault};

mod acts;
mod bytes;
mod clocks;
mod courier;
mod desks;
mod fates;
pub mod invariants;
mod ledger;
mod net;
mod office;
mod peace;
mod phone;
mod story;

use ledger::Ledger;
use net::{Net, Way};
use office::Office;
use phone::Phone;
use story::Story;

/// When every world begins: a day in 2026.
const T0: i64 = 1_770_000_000_000;

/// How a run goes.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Events before peace breaks out; what follows is bounded by [`PEACE_EVENTS`].
    pub events: usize,
    /// Whether the story is printed while it happens.
    pub aloud: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self { events: 500, aloud: false }
    }
}

/// What a run came to, for a summary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Counts by name.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn add(&mut self, name: &'static str, n: u64) {
        *self.counts.entry(name).or_default() += n;
    }

    /// Adds another run's counts.
    pub fn merge(&mut self, other: &Tally) {
        for (name, n) in &other.counts {
            self.add(name, *n);
        }
    }
}

/// An invariant that did not hold.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Name of the invariant.
    pub invariant: &'static str,
    /// What was seen.
    pub detail: String,
}

/// What most steps come to.
type Step<T = ()> = Result<T, Violation>;

fn violated<T>(invariant: &'static str, detail: impl Into<String>) -> Step<T> {
    Err(Violation { invariant, detail: detail.into() })
}

/// A run that failed, with its story.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What did not hold.
    pub violation: Violation,
    /// What happened until then.
    pub story: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Violation { invariant, detail } = &self.violation;
        let Failure { seed, story, .. } = self;
        writeln!(f, "{story}\nseed {seed}: {invariant} does not hold: {detail}")?;
        write!(f, "again, from the beginning: {REPLAY} --seed {seed} --story")
    }
}

/// The command that tells a seed's story.
pub const REPLAY: &str = "cargo run -p fieldbook-tests --no-default-features --bin world --";

/// Runs the world of a seed to its end.
///
/// # Errors
/// [`Failure`] with the story when an invariant does not hold.
pub fn run(seed: u64, plan: &Plan) -> Result<Tally, Box<Failure>> {
    let mut world = World::new(seed, plan.aloud);
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.live(plan.events)));
    let violation = match lived {
        Ok(Ok(())) => return Ok(std::mem::take(&mut world.tally)),
        Ok(Err(violation)) => violation,
        Err(panic) => {
            let words = panic.downcast_ref::<&str>().map(ToString::to_string);
            let words = words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Violation { invariant: "nobody_panics", detail: words }
        }
    };
    world.failed = true;
    Err(Box::new(Failure { seed, violation, story: world.story.text(STORY_LINES) }))
}

/// What can happen next.
#[derive(Debug)]
enum Event {
    /// The user of a phone does something.
    PhoneAct(usize),
    /// Somebody in the office does something.
    OfficeAct,
    /// Something breaks, or time passes.
    Fate,
    /// A phone tries to connect.
    Dial(usize),
    /// The app tells the connection of edits that it made a while ago.
    Nudge(usize),
    /// A frame comes to its end.
    Arrive(Way, u64, Vec<u8>),
    /// The phone's end notices that the connection is gone.
    PhoneNotices(u64),
    /// The server's end notices.
    ServerNotices(u64),
    /// The server sends a session what is new.
    Pump(u64),
    /// The gate judges what waits.
    Judge,
    /// The committer writes what is planned.
    Flush,
    /// The server starts again.
    ServerUp,
    /// A phone's app starts again.
    PhoneUp(usize),
    /// A message sets out once more.
    Echo(Way, u64, Vec<u8>),
    /// An answer that was held back comes, when nothing came that could pass it.
    Overtaken(u64),
    /// Both ends give up a connection on which one of them hears nothing.
    Silence(u64),
    /// A phone's user closes the app and opens it again.
    Restart(usize),
    /// The office registers a device that a restored server does not know.
    Register(usize),
}

/// How rough a world is; drawn from its seed, so that quiet ones get far and rough ones get strange.
#[derive(Debug, Clone, Copy)]
struct Weather {
    /// Longest pause between two blows, milliseconds.
    calm_ms: u64,
    /// One send in so many breaks its connection.
    loss: u64,
    /// How much of the time is hurried: pauses between acts are cut to a part.
    haste: u64,
    /// One message in so many comes twice or changes places, where the protocol leaves it free.
    repeats: u64,
    /// Whether anybody sets the server's clock.
    server_jumps: bool,
}

impl Weather {
    fn draw(dice: &mut Dice) -> Self {
        let calm_ms = [8_000, 30_000, 120_000][dice.below(3) as usize];
        let loss = [20, 60, 400][dice.below(3) as usize];
        let haste = [1, 4, 20][dice.below(3) as usize];
        let repeats = [3, 10, 50][dice.below(3) as usize];
        Self { calm_ms, loss, haste, repeats, server_jumps: dice.one_in(6) }
    }
}

/// A company, its phones and what lies between.
struct World {
    weather: Weather,
    dice: Dice,
    now_ms: i64,
    agenda: BTreeMap<(i64, u64), Event>,
    scheduled: u64,
    office: Office,
    phones: Vec<Phone>,
    /// Ids of devices that were drawn so far.
    devices: usize,
    net: Net,
    ledger: Ledger,
    story: Story,
    tally: Tally,
    /// Answers that something else may pass, by connection.
    overtaken: BTreeMap<u64, Vec<FromServer>>,
    /// Nobody acts and nothing breaks any more.
    peace: bool,
    failed: bool,
}

impl World {
    fn new(seed: u64, aloud: bool) -> Self {
        let mut dice = Dice::new(seed);
        let office = Office::found(&mut dice);
        let weather = Weather::draw(&mut dice);
        Self {
            weather,
            dice,
            now_ms: T0,
            agenda: BTreeMap::new(),
            scheduled: 0,
            office,
            phones: Vec::new(),
            devices: 0,
            net: Net::default(),
            ledger: Ledger::default(),
            story: Story::new(aloud),
            tally: Tally::default(),
            overtaken: BTreeMap::new(),
            peace: false,
            failed: false,
        }
    }

    fn live(&mut self, events: usize) -> Step {
        self.settle_in()?;
        for _ in 0..events {
            self.next()?;
        }
        self.make_peace()?;
        self.count_faults();
        Ok(())
    }

    /// Adds up what the network and the disks did.
    fn count_faults(&mut self) {
        self.tally.add("frames lost", self.net.lost);
        let stores = self.phones.iter().map(|phone| &phone.store).chain([&self.office.store]);
        let fired: Vec<_> = stores.flat_map(|store| store.fired()).collect();
        for (fault, n) in fired {
            let name = match fault {
                Fault::DiskFull => "disks full",
                Fault::ReadOnly => "disks read-only",
                Fault::Crash => "crashes before a write",
                Fault::CrashAfterFlush => "crashes after a flush",
            };
            self.tally.add(name, n);
        }
    }

    /// Hires everybody and starts the three sources of events.
    fn settle_in(&mut self) -> Step {
        self.office.hire()?;
        let reps = 1 + self.dice.below(3) as usize;
        for n in 0..=reps {
            let user = if n == 0 { user(MANAGER) } else { user(n as u8) };
            self.enrol(user)?;
        }
        if self.dice.one_in(3) {
            self.enrol(user(1))?;
        }
        if self.dice.one_in(3) {
            let (id, _) = OFFICE[self.dice.below(OFFICE.len() as u64) as usize];
            self.enrol(user(id))?;
            self.tally.add("phones of the office", 1);
        }
        self.at(1_000, Event::OfficeAct);
        self.at(2_000, Event::Fate);
        Ok(())
    }

    /// A pause between two acts of one person.
    fn pause(&mut self) -> u64 {
        let longest = match self.dice.below(20) {
            0 => 6 * 3_600_000,
            1..=6 => 600_000,
            _ => 8_000,
        };
        200 + self.dice.below(longest) / self.weather.haste
    }

    /// Schedules an event `in_ms` from now.
    fn at(&mut self, in_ms: u64, event: Event) {
        self.scheduled += 1;
        self.agenda.insert((self.now_ms + in_ms as i64, self.scheduled), event);
    }

    fn tell(&mut self, line: impl Into<String>) {
        self.story.tell(self.now_ms, line.into());
    }

    /// Lets the next event happen and checks what can be checked. Answers whether there was one.
    fn next(&mut self) -> Step<bool> {
        let Some(((at, _), event)) = self.agenda.pop_first() else { return Ok(false) };
        self.now_ms = self.now_ms.max(at);
        self.tally.add("events", 1);
        let touched = self.happen(event)?;
        self.check_positions()?;
        if let Some(phone) = touched {
            self.check_phone(phone)?;
        }
        Ok(true)
    }

    /// Carries an event out; gives the phone that it concerned.
    fn happen(&mut self, event: Event) -> Step<Option<usize>> {
        match event {
            Event::PhoneAct(_) | Event::OfficeAct | Event::Fate | Event::Restart(_) if self.peace => Ok(None),
            Event::PhoneAct(phone) => self.phone_acts(phone).map(|()| Some(phone)),
            Event::OfficeAct => self.office_acts().map(|()| None),
            Event::Fate => self.fate().map(|()| None),
            Event::Dial(phone) => self.dial(phone).map(|()| Some(phone)),
            Event::Nudge(phone) => self.nudge(phone).map(|()| Some(phone)),
            Event::Arrive(way, conn, frame) => {
                let phone = self.net.get(conn).map(|conn| conn.phone);
                if self.net.arrives(conn, way, self.now_ms) {
                    match way {
                        Way::Up => self.server_hears(conn, &frame)?,
                        Way::Down => self.phone_hears(conn, &frame)?,
                    }
                }
                Ok(phone)
            }
            Event::PhoneNotices(conn) => {
                self.phone_notices(conn);
                Ok(None)
            }
            Event::ServerNotices(conn) => {
                self.office.sessions.remove(&conn);
                Ok(None)
            }
            Event::Pump(conn) => self.pump(conn).map(|()| self.net.get(conn).map(|conn| conn.phone)),
            Event::Judge => self.judge().map(|()| None),
            Event::Flush => self.flush().map(|()| None),
            Event::ServerUp => self.server_up().map(|()| None),
            Event::PhoneUp(phone) => self.phone_up(phone).map(|()| Some(phone)),
            Event::Register(phone) => self.register(phone).map(|()| None),
            Event::Echo(way, conn, frame) => {
                self.set_out_again(way, conn, frame);
                Ok(None)
            }
            Event::Overtaken(conn) => {
                let phone = self.net.get(conn).map(|conn| conn.phone);
                if self.overtaken.contains_key(&conn) {
                    self.phone_is_told(conn, Vec::new())?;
                }
                Ok(phone)
            }
            Event::Silence(conn) => {
                self.snap(conn);
                Ok(None)
            }
            Event::Restart(phone) => self.restart(phone).map(|()| Some(phone)),
        }
    }

    /// Sends messages over a connection, in frames of any size that the protocol allows.
    fn send<M: minicbor::Encode<()>>(&mut self, way: Way, conn: u64, messages: Vec<M>) {
        let mut rest = messages.into_iter().peekable();
        while rest.peek().is_some() {
            let most = if self.dice.one_in(2) { usize::MAX } else { 1 + self.dice.below(4) as usize };
            let lot: Vec<M> = rest.by_ref().take(most).collect();
            for frame in fieldbook_core::sync::message::frames(lot) {
                self.tally.add("frames", 1);
                if let Some(at) = self.net.send(conn, way, self.now_ms, &mut self.dice) {
                    self.at((at - self.now_ms) as u64, Event::Arrive(way, conn, frame));
                }
            }
        }
        if !self.peace && self.dice.one_in(self.weather.loss) {
            self.snap(conn);
        }
    }

    /// Breaks a connection; both ends notice later, each for itself.
    fn snap(&mut self, conn: u64) {
        if self.net.snap(conn, self.now_ms, &mut self.dice) {
            self.tally.add("breaks", 1);
            self.tell(format!("connection {conn} breaks"));
            let (phone, server) = (10 + self.dice.below(20_000), 10 + self.dice.below(60_000));
            self.at(phone, Event::PhoneNotices(conn));
            self.at(server, Event::ServerNotices(conn));
        }
    }
}

impl Drop for World {
    /// A world that ends while something is pending has not been checked.
    fn drop(&mut self) {
        let left = self.agenda.values().filter(|event| !is_idle(event));
        let left = left.count();
        if !self.failed && !std::thread::panicking() {
            assert_eq!(left, 0, "the world ended with events pending");
        }
    }
}

/// Whether an event is somebody's whim, which peace forgets.
fn is_idle(event: &Event) -> bool {
    matches!(event, Event::PhoneAct(_) | Event::OfficeAct | Event::Fate | Event::Restart(_) | Event::Echo(..))
}

fn user(n: u8) -> UserId {
    UserId([n; 8])
}

fn device(n: usize) -> DeviceId {
    DeviceId([0xd0_u8.wrapping_add(n as u8); 8])
}

/// The teams: a region with two teams below it.
const REGION: TeamId = TeamId([0x70; 8]);
const TEAMS: [TeamId; 2] = [TeamId([0x71; 8]), TeamId([0x72; 8])];
/// Users 1 to this one are reps.
const REPS: u8 = 3;
/// The manager of the first team, and the one of the region.
const MANAGER: u8 = 9;
const REGIONAL: u8 = 8;
/// Those of the office who have a phone and write nothing on it: whoever reads everything, and whoever reads nothing of leads.
const OFFICE: [(u8, Role); 3] = [(7, Role::Director), (6, Role::Service), (5, Role::Admin)];

/// Everybody who may hold documents.
fn people() -> Vec<(UserId, Role, TeamId)> {
    let reps = (1..=REPS).map(|n| (user(n), Role::Rep, TEAMS[usize::from(n == REPS)]));
    let managers = [(user(MANAGER), Role::Manager, TEAMS[0]), (user(REGIONAL), Role::Manager, REGION)];
    reps.chain(managers).chain(OFFICE.map(|(id, role)| (user(id), role, REGION))).collect()
}

/// Phones at the most: two for one user, and some enrolled on the way.
const PHONES_MAX: usize = 7;
/// Events until a world at peace has to be at rest.
const PEACE_EVENTS: usize = 20_000;
/// Lines of a failed run's story.
const STORY_LINES: usize = 400;

/// Connections whose session has to go because what its phone may hold has changed.
type Leaving = BTreeSet<u64>;
