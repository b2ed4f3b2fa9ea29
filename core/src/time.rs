//! The two clocks of O1 and the act that carries them.
//!
//! Owns: what a device read off its clocks ([`Moment`]), what a change says about when it was made
//! ([`Stamp`]), and how both become a corrected time ([`Occurred`]). Refuses: to read a clock, and to trust a
//! device's wall clock beyond the bounds that a server handshake gave it.

use std::cell::Cell;
use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::{DocId, DocKind, EntryId, UserId};
use crate::limits;

/// What a device reads off its clocks at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Wall clock, milliseconds since 1970 UTC. The user can set it to anything.
    pub wall_ms: i64,
    /// Random for each boot of the device.
    pub boot: u64,
    /// Milliseconds since that boot; nobody can set it.
    pub mono_ms: u64,
}

/// What the device learned from the last handshake with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockKnowledge {
    /// The boot in which the handshake took place.
    pub boot: u64,
    /// Server time minus monotonic time, milliseconds, within that boot.
    pub offset_ms: i64,
    /// Server time of the last contact, whatever the boot. Zero: never.
    pub last_contact_ms: i64,
}

/// The latest time that a device is known to have reached, whatever its clocks say later: the hand that sets the date back does not turn
/// this one. Between sightings in one boot the monotonic clock carries it on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HighWater {
    /// The time, corrected, milliseconds since 1970 UTC. Zero: nothing is known.
    pub at_ms: i64,
    /// The boot in which it was reached.
    pub boot: u64,
    /// The monotonic clock at that moment.
    pub mono_ms: u64,
}

impl HighWater {
    /// The time that `now` cannot lie before.
    pub fn at(&self, now: Moment) -> i64 {
        let since_ms = if now.boot == self.boot { now.mono_ms.saturating_sub(self.mono_ms) } else { 0 };
        self.at_ms.saturating_add_unsigned(since_ms)
    }

    /// The mark as it stands at `now`, which the clocks take for `at_ms`.
    pub fn raised(&self, now: Moment, at_ms: i64) -> Self {
        Self { at_ms: self.at(now).max(at_ms), boot: now.boot, mono_ms: now.mono_ms }
    }
}

/// What a change says about when it was made. Travels as the automerge change's message (O1); automerge's own
/// time is always zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Who acted. Checked by the gate against the device's enrolment.
    pub user: UserId,
    /// The device's clocks.
    pub moment: Moment,
    /// Server time minus monotonic time, when this boot had seen a handshake.
    pub offset_ms: Option<i64>,
    /// Server time of the last contact before the act; zero: never.
    pub last_contact_ms: i64,
}

/// What the server knows of one boot of a device beyond what that boot's own stamps say: it heard of it later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub enum BootClock {
    /// A handshake in that boot, after the act: server time minus monotonic time, milliseconds.
    #[n(0)]
    Pinned(#[n(0)] i64),
    /// No handshake took place in it. What this server has of it had happened when it was received, at this time.
    #[n(1)]
    Until(#[n(0)] i64),
}

impl BootClock {
    /// The better of two: a handshake, else the earlier receipt.
    #[must_use]
    pub fn better(self, other: Self) -> Self {
        match (self, other) {
            (Self::Pinned(_), _) => self,
            (_, Self::Pinned(_)) => other,
            (Self::Until(one), Self::Until(two)) => Self::Until(one.min(two)),
        }
    }
}

/// When something happened, as far as can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Occurred {
    /// Corrected time, milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// Largest possible error, milliseconds; zero when a handshake pinned the boot, [`i64::MAX`] when the server has received nothing yet
    /// that would bound it.
    pub doubt_ms: i64,
}

impl Occurred {
    /// Whether the doubt is beyond the five minutes that a deadline tolerates (design decision 7).
    pub fn is_doubtful(&self) -> bool {
        self.doubt_ms > limits::CLOCK_DOUBT_MS
    }
}

impl Stamp {
    /// Stamps an act of `user` with what the device knows.
    pub fn new(user: UserId, moment: Moment, known: &ClockKnowledge) -> Self {
        Self {
            user,
            moment,
            offset_ms: (known.last_contact_ms != 0 && known.boot == moment.boot).then_some(known.offset_ms),
            last_contact_ms: known.last_contact_ms,
        }
    }

    /// The corrected time. `boot` is what the server has learned of the act's boot since.
    pub fn occurred(&self, boot: Option<BootClock>) -> Occurred {
        let pinned_ms = match boot {
            Some(BootClock::Pinned(offset_ms)) => Some(offset_ms),
            Some(BootClock::Until(_)) | None => None,
        };
        if let Some(offset) = self.offset_ms.or(pinned_ms) {
            let at_ms = offset.saturating_add_unsigned(self.moment.mono_ms);
            return Occurred { at_ms, doubt_ms: 0 };
        }
        let low = self.last_contact_ms;
        let Some(BootClock::Until(received_ms)) = boot else {
            return Occurred { at_ms: self.moment.wall_ms.max(low), doubt_ms: i64::MAX };
        };
        let high = received_ms.max(low);
        let at_ms = self.moment.wall_ms.clamp(low, high);
        Occurred { at_ms, doubt_ms: at_ms.saturating_sub(low).max(high.saturating_sub(at_ms)) }
    }

    /// The text that travels as the change's message: `1;user;wall;boot;mono;offset;contact`, numbers in hex.
    pub fn to_message(&self) -> String {
        let offset = self.offset_ms.map(|o| format!("{o:x}")).unwrap_or_default();
        let Moment { wall_ms, boot, mono_ms } = self.moment;
        format!("1;{};{wall_ms:x};{boot:x};{mono_ms:x};{offset};{:x}", self.user, self.last_contact_ms)
    }

    /// Reads a change's message; `None` when it is no stamp of ours.
    pub fn from_message(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        if parts.next()? != "1" || text.len() > limits::STAMP_MAX_BYTES {
            return None;
        }
        let user = parts.next().filter(|user| user.bytes().all(is_hex))?.parse().ok()?;
        let wall_ms = number(parts.next()?)? as i64;
        let boot = number(parts.next()?)?;
        let mono_ms = number(parts.next()?)?;
        let offset = parts.next()?;
        let offset_ms = if offset.is_empty() { None } else { Some(number(offset)? as i64) };
        let last_contact_ms = number(parts.next()?)? as i64;
        let stamp = Self { user, moment: Moment { wall_ms, boot, mono_ms }, offset_ms, last_contact_ms };
        parts.next().is_none().then_some(stamp)
    }
}

/// A number of a stamp in the one way in which it is written: lower-case hex without zeros in front.
fn number(text: &str) -> Option<u64> {
    let is_written_so = text.bytes().all(is_hex) && (text == "0" || !text.starts_with('0'));
    u64::from_str_radix(text, 16).ok().filter(|_| is_written_so)
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// One act of a person or of the server: its stamp and the entropy from which its fresh ids come. Core draws no
/// randomness, so whoever calls core passes 32 fresh bytes with each act.
pub struct Act {
    /// Who and when.
    pub stamp: Stamp,
    seed: [u8; 32],
    drawn: Cell<u32>,
}

impl Act {
    /// An act with fresh entropy. Two acts with one seed would draw the same ids.
    pub fn new(stamp: Stamp, seed: [u8; 32]) -> Self {
        Self { stamp, seed, drawn: Cell::new(0) }
    }

    /// The next fresh id of this act.
    pub fn fresh_id(&self) -> EntryId {
        let drawn = self.drawn.get();
        self.drawn.set(drawn + 1);
        let mut hash = Sha256::new();
        hash.update(b"fieldbook/fresh/1");
        hash.update(self.seed);
        hash.update(drawn.to_be_bytes());
        let mut id = [0u8; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        EntryId(id)
    }

    /// A fresh document of this kind.
    pub fn fresh_doc(&self, kind: DocKind) -> DocId {
        DocId::fresh(kind, self.fresh_id())
    }
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Act").field("stamp", &self.stamp).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(offset_ms: Option<i64>) -> Stamp {
        Stamp {
            user: UserId([1; 8]),
            moment: Moment { wall_ms: 5_000, boot: 7, mono_ms: 100 },
            offset_ms,
            last_contact_ms: 1_000,
        }
    }

    #[test]
    fn a_message_reads_back_and_nothing_else_does() {
        for s in [stamp(None), stamp(Some(-3))] {
            assert_eq!(Stamp::from_message(&s.to_message()), Some(s));
        }
        for bad in ["", "1;", "2;0101010101010101;0;0;0;;0", "1;0101010101010101;0;0;0;;0;", "hello"] {
            assert_eq!(Stamp::from_message(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_stamp_is_written_in_one_way_only() {
        let negative = Stamp { last_contact_ms: -1, ..stamp(Some(-3)) };
        let mut read = 0;
        for message in [stamp(None), stamp(Some(0)), negative].map(|s| s.to_message()) {
            for at in 0..=message.len() {
                for byte in 0..128u8 {
                    let byte = char::from(byte).to_string();
                    for gone in 0..=(message.len() - at).min(1) {
                        let mut spoilt = message.clone();
                        spoilt.replace_range(at..at + gone, &byte);
                        if let Some(s) = Stamp::from_message(&spoilt) {
                            assert_eq!(s.to_message(), spoilt);
                            read += 1;
                        }
                    }
                }
            }
        }
        assert!(read > 1_000, "of many of them something else is read: {read}");
    }

    #[test]
    fn a_handshake_in_the_boot_pins_the_time_whatever_the_wall_clock_says() {
        assert_eq!(stamp(Some(2_000)).occurred(None), Occurred { at_ms: 2_100, doubt_ms: 0 });
        let later = Some(BootClock::Pinned(2_000));
        assert_eq!(stamp(None).occurred(later), Occurred { at_ms: 2_100, doubt_ms: 0 });
    }

    #[test]
    fn without_a_handshake_the_time_lies_between_last_contact_and_receipt() {
        let until = |received_ms| stamp(None).occurred(Some(BootClock::Until(received_ms)));
        assert_eq!(until(4_000), Occurred { at_ms: 4_000, doubt_ms: 3_000 });
        assert!(!until(4_000).is_doubtful());
        assert!(until(40_000_000).is_doubtful());
        assert!(stamp(None).occurred(None).is_doubtful(), "until the server has it, nothing bounds it");
        assert_eq!(BootClock::Until(5).better(BootClock::Until(3)), BootClock::Until(3));
        assert_eq!(BootClock::Until(5).better(BootClock::Pinned(9)), BootClock::Pinned(9));
    }

    #[test]
    fn the_high_water_mark_only_rises() {
        let at = |boot, mono_ms| Moment { wall_ms: 0, boot, mono_ms };
        let mark = HighWater { at_ms: 1_000, boot: 7, mono_ms: 100 };
        for (now, clocks_ms, expected) in [
            // The same boot: the monotonic clock counts, the wall clock only where it is later.
            (at(7, 150), 0, 1_050),
            (at(7, 150), 3_000, 3_000),
            // After a restart with the date set back it stands, and goes on from there.
            (at(8, 5), 0, 1_000),
            (at(8, 5), 2_000, 2_000),
        ] {
            let raised = mark.raised(now, clocks_ms);
            assert_eq!(raised.at_ms, expected, "{now:?} {clocks_ms}");
            let later = Moment { mono_ms: now.mono_ms + 10, ..now };
            assert_eq!(raised.at(later), expected + 10);
        }
    }

    #[test]
    fn fresh_ids_differ_within_an_act() {
        let act = Act::new(stamp(None), [1; 32]);
        assert_ne!(act.fresh_id(), act.fresh_id());
        assert_eq!(act.fresh_doc(DocKind::Lead).kind(), Some(DocKind::Lead));
    }
}
