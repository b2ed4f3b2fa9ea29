//! The clocks of phones and server, and what the product may say of the time in spite of them (design decision 7).
//!
//! The company's time is the server's clock. An act in a boot that has seen a handshake is right to half of that handshake's round trip,
//! one whose boot met the server later to the time that the hello took, both to what the phone's own quartz strayed meanwhile; and by the
//! clock that the server had then: when somebody sets that one, what was taken from it stays wrong by as much. Every other act is right to
//! the doubt that it admits, and flagged when that is beyond five minutes; where the server's clock was set between the last contact and
//! the receipt, the doubt lacks what it was set by.

use fieldbook_core::company::CompanyError;
use fieldbook_core::document::claimed_stamp;
use fieldbook_core::ids::{DeviceId, DocId, Hash32};
use fieldbook_core::limits::CLOCK_DOUBT_MS;
use fieldbook_core::replica::ReplicaError;
use fieldbook_core::time::{BootClock, Moment, Stamp};

use super::invariants::load;
use super::{Step, Violation, World, violated};

/// The clocks of a device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub boot: u64,
    pub booted_ms: i64,
    pub skew_ms: i64,
    /// What the quartz strays, millionths.
    pub drift_ppm: i64,
}

impl Clock {
    /// What its clocks say.
    pub fn read(&self, now_ms: i64) -> Moment {
        let elapsed_ms = now_ms.saturating_sub(self.booted_ms);
        let strayed_ms = elapsed_ms.saturating_mul(self.drift_ppm) / 1_000_000;
        let mono_ms = elapsed_ms.saturating_add(strayed_ms).unsigned_abs();
        Moment { wall_ms: now_ms + self.skew_ms, boot: self.boot, mono_ms }
    }
}

/// A handshake as an onlooker saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handshake {
    /// When the hello set out, in true time.
    pub sent_ms: i64,
    /// When the welcome came.
    pub came_ms: i64,
    /// How far the server's clock was off when it read it.
    pub server_skew_ms: i64,
}

/// When an act was made, which nobody in the company can know.
#[derive(Debug, Clone, Copy)]
pub(super) struct ActTime {
    stamp: Stamp,
    true_ms: i64,
}

impl World {
    /// What the server's clock says.
    pub(super) fn server_ms(&self) -> i64 {
        self.now_ms + self.office.skew_ms
    }

    /// Notes what an onlooker sees of a welcome that reaches its phone.
    pub(super) fn shake_hands(&mut self, n: usize, conn: u64, contact_ms: i64) {
        let server_skew_ms = self.ledger.welcomes.get(&contact_ms).copied().unwrap_or(0);
        let sent_ms = self.net.get(conn).map_or(self.now_ms, |conn| conn.dialled_ms);
        let met = Handshake { sent_ms, came_ms: self.now_ms, server_skew_ms };
        self.ledger.handshakes.insert((self.phones[n].device, contact_ms), met);
    }

    /// Notes what an onlooker sees of a hello that reaches the server.
    pub(super) fn hello_arrives(&mut self, n: usize, conn: u64, boot: u64) {
        let sent_ms = self.net.get(conn).map_or(self.now_ms, |conn| conn.dialled_ms);
        let met = Handshake { sent_ms, came_ms: self.now_ms, server_skew_ms: self.office.skew_ms };
        self.ledger.hellos.entry((self.phones[n].device, boot)).or_default().push(met);
    }

    /// A change that nobody had seen before is on a phone's disk: what the phone says of its time, before any server has it.
    pub(super) fn note_time(&mut self, n: usize, hash: Hash32, change: &[u8]) -> Step {
        let Some((_, stamp)) = claimed_stamp(change) else {
            return violated("times_are_true_or_flagged", format!("{hash} by phone {n} has no stamp"));
        };
        let act = ActTime { stamp, true_ms: self.now_ms };
        self.ledger.times.insert(hash, act);
        if stamp.offset_ms.is_none() && self.phones[n].shaken == Some(stamp.moment.boot) {
            let detail = format!("phone {n} has met its server in this boot, and {hash} does not say so");
            return violated("times_are_true_or_flagged", detail);
        }
        self.times_are_true_or_flagged(n, hash, None)
    }

    /// `times_are_true_or_flagged` for what the server says of everything in a document.
    pub(super) fn check_times_of(&mut self, doc: DocId) -> Step {
        let Some(company) = self.office.company.clone() else { return Ok(()) };
        let stumbled =
            |e: CompanyError| Violation { invariant: "the_office_never_stumbles", detail: e.to_string() };
        let Some(stored) = load(&company, doc)? else { return Ok(()) };
        let clocks = company.clocks(doc).map_err(stumbled)?;
        for (hash, phone) in self.ledger.of(doc) {
            let boot = self.ledger.times.get(&hash).map(|act| act.stamp.moment.boot);
            if stored.contains(&hash) {
                let clock = boot.and_then(|boot| clocks.get(&boot)).copied();
                self.times_are_true_or_flagged(phone, hash, clock)?;
            }
        }
        Ok(())
    }

    fn times_are_true_or_flagged(&mut self, n: usize, hash: Hash32, clock: Option<BootClock>) -> Step {
        let Some(ActTime { stamp, true_ms }) = self.ledger.times.get(&hash).copied() else { return Ok(()) };
        let device = self.phones[n].device;
        let said = stamp.occurred(clock);
        let off_by = |met: &Handshake, trip_ms: i64| {
            let strayed_ms = (true_ms - met.sent_ms).abs() * DRIFT_MAX_PPM / 1_000_000;
            let error_ms = (said.at_ms - true_ms - met.server_skew_ms).abs();
            (error_ms, trip_ms + strayed_ms + ROUNDING_MS)
        };
        let (name, (error_ms, bound_ms)) = match (stamp.offset_ms, clock) {
            (Some(_), _) => {
                let met = self.ledger.handshakes.get(&(device, stamp.last_contact_ms));
                let Some(met) = met else {
                    let detail = format!("{hash} by phone {n} names a handshake that never was: {stamp:?}");
                    return violated("times_are_true_or_flagged", detail);
                };
                ("times by handshake", off_by(met, (met.came_ms - met.sent_ms) / 2))
            }
            (None, Some(BootClock::Pinned(_))) => {
                let hellos = self.ledger.hellos.get(&(device, stamp.moment.boot)).into_iter().flatten();
                let best = hellos
                    .map(|met| off_by(met, met.came_ms - met.sent_ms))
                    .min_by_key(|(error, most)| error - most);
                ("times pinned later", best.unwrap_or((i64::MAX, 0)))
            }
            // Whoever brings the work of a cloned phone's boot says nothing of whether that boot is over.
            (None, Some(BootClock::Until(_))) if self.is_cloned(device) => return Ok(()),
            (None, _) => {
                let (behind_ms, ahead_ms) = self.office.skews_ms;
                let error_ms = (said.at_ms - true_ms - self.office.skew_ms).abs();
                ("times in doubt", (error_ms, said.doubt_ms.saturating_add(ahead_ms - behind_ms)))
            }
        };
        self.tally.add(name, 1);
        // The doubt that the server's clock adds is nobody's to see, and nobody's to flag.
        let (behind_ms, ahead_ms) = self.office.skews_ms;
        let hidden = name == "times in doubt"
            && error_ms > CLOCK_DOUBT_MS + ahead_ms - behind_ms
            && !said.is_doubtful();
        if error_ms > bound_ms || hidden {
            let detail =
                format!("{hash} by phone {n} is {error_ms} ms off where {bound_ms} were admitted: {said:?}");
            return violated("times_are_true_or_flagged", detail);
        }
        Ok(())
    }

    fn is_cloned(&self, device: DeviceId) -> bool {
        self.phones.iter().filter(|phone| phone.device == device).count() > 1
    }

    /// Whether the app of a phone shows anything: not after the days without contact that the company set. The outbox is not touched.
    pub(super) fn is_unlocked(&mut self, n: usize) -> Step<bool> {
        let locked = self.app(n, |replica, now| match replica.check_unlocked(now) {
            Ok(()) => Ok(None),
            Err(ReplicaError::Locked { days }) => Ok(Some((days, replica.sync_row().lock_after_days))),
            Err(other) => Err(other),
        })?;
        let Some(locked) = locked else { return Ok(false) };
        let contact = self.app(n, |replica, _| Ok(*replica.clock()))?;
        let met = contact.and_then(|known| {
            let met = self.ledger.handshakes.get(&(self.phones[n].device, known.last_contact_ms))?;
            (known.boot == self.phones[n].clock.boot).then_some(*met)
        });
        if let Some(met) = met {
            let silent_ms = self.now_ms - met.came_ms;
            let (least_ms, most_ms) = (LOCK_MS - DAY_MS / 24, LOCK_MS + DAY_MS / 24);
            if (locked.is_some() && silent_ms < least_ms) || (locked.is_none() && silent_ms > most_ms) {
                let detail = format!("phone {n}, silent for {} s: {locked:?}", silent_ms / 1_000);
                return violated("a_silent_phone_locks", detail);
            }
        }
        if locked.is_some() {
            self.tally.add("locked", 1);
        }
        Ok(locked.is_none())
    }
}

/// A phone's quartz strays a few seconds a day.
pub(super) const DRIFT_MAX_PPM: i64 = 100;
/// Three numbers that were cut to milliseconds.
const ROUNDING_MS: i64 = 3;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// The company leaves the days without contact as they come.
const LOCK_MS: i64 = fieldbook_core::limits::LOCK_AFTER_DAYS as i64 * DAY_MS;
