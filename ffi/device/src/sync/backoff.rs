//! How long to wait between attempts: the ceiling doubles from [`BACKOFF_FIRST`] to [`BACKOFF_MAX`], the wait is drawn evenly from the
//! upper half below it ("equal jitter"), so that a thousand phones cut off together do not come back together, and none comes back at once.
//!
//! Owns what one connection's end means for the next attempt. Refuses to read a clock or to sleep.

use std::time::Duration;

use crate::timing::{BACKOFF_FIRST, BACKOFF_MAX, STEADY};

/// What the ends of the last connections came to.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Failures in a row.
    failed: u32,
    /// Connections in a row that the server wanted made anew at once.
    again: u32,
    /// The last wait.
    waited: Duration,
}

impl Patience {
    /// A connection ended that had lived for `lived`, `Some` only when the server ever answered on it. One that proved good makes the
    /// next wait the first one again. Good is one that outlived by far the wait before it: two phones with one identity, which the
    /// server sends away in turns, never count as good to each other, and settle at the longest wait instead of fighting.
    pub fn ended(&mut self, lived: Option<Duration>) {
        if lived.is_some_and(|lived| lived >= STEADY.max(BY_FAR * self.waited)) {
            *self = Self::default();
        }
    }

    /// Nobody wanted the connection any longer, or the app asked for a fresh one: the way to the server is good.
    pub fn done(&mut self) {
        (self.failed, self.again) = (0, 0);
    }

    /// The server wants the connection made anew. Whether that is to be done at once; too often, and it is a failure.
    pub fn again(&mut self) -> bool {
        self.again += 1;
        self.again <= AGAIN_MAX
    }

    /// An attempt failed: how long to wait before the next. `dice` is even in 0..=u64::MAX.
    pub fn failed(&mut self, dice: u64) -> Duration {
        self.again = 0;
        self.failed = self.failed.saturating_add(1);
        self.waited = wait(self.failed, dice);
        self.waited
    }
}

/// The wait before attempt `failed + 1`, where `dice` is even in 0..=u64::MAX.
fn wait(failed: u32, dice: u64) -> Duration {
    let ceiling = BACKOFF_FIRST.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(BACKOFF_MAX);
    let half_ms = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX) / 2;
    Duration::from_millis(half_ms + dice % (half_ms + 1))
}

/// Reconnections in a row, by the server's will, without a pause.
const AGAIN_MAX: u32 = 5;
/// Two phones that send each other away wait at most four times as long as each other: one ceiling apart, drawn from its upper half.
const BY_FAR: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_ceiling_and_are_spread() {
        for (failed, low_ms, high_ms) in
            [(1, 500, 1_000), (2, 1_000, 2_000), (4, 4_000, 8_000), (30, 60_000, 120_000)]
        {
            for dice in [0, 1, 12_345, u64::MAX / 3, u64::MAX] {
                let ms = wait(failed, dice).as_millis() as u64;
                assert!((low_ms..=high_ms).contains(&ms), "{failed} {dice} {ms}");
            }
        }
        assert_ne!(wait(8, 1), wait(8, 20_000));
    }

    #[test]
    fn only_a_connection_that_was_answered_and_lasted_is_good() {
        for (lived, starts_over) in [
            (None, false),
            (Some(S), false),
            (Some(29 * S), false),
            (Some(30 * S), true),
            (Some(3_600 * S), true),
        ] {
            let mut patience = Patience::default();
            (0..4).for_each(|_| assert!(patience.failed(0) <= BACKOFF_MAX));
            patience.ended(lived);
            let next = patience.failed(0);
            assert_eq!(next == wait(1, 0), starts_over, "{lived:?} {next:?}");
        }
    }

    #[test]
    fn the_server_may_ask_for_a_few_fresh_connections_at_once() {
        let mut patience = Patience::default();
        assert!((0..AGAIN_MAX).all(|_| patience.again()));
        assert!(!patience.again());
        patience.failed(0);
        assert!(patience.again(), "a failure, with its pause, begins the count anew");
    }

    /// Each connects when its wait is over, which ends the other's connection at that moment.
    #[test]
    fn two_phones_with_one_identity_settle_at_the_longest_wait() {
        let mut phones = [Patience::default(), Patience::default()];
        let (mut dice, mut waits) = (1u64, Vec::new());
        // The one that is away waits for `wait`; so long lives the connection of the other.
        let (mut away, mut wait) = (0, phones[0].failed(dice));
        for _ in 0..60 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let sent_away = 1 - away;
            phones[sent_away].ended(Some(wait));
            wait = phones[sent_away].failed(dice);
            waits.push(wait);
            away = sent_away;
        }
        assert!(waits[20..].iter().all(|wait| *wait >= BACKOFF_MAX / 2), "{waits:?}");
    }
}
