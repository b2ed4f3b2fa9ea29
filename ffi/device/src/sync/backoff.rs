//! How long to wait between attempts: the ceiling doubles from [`BACKOFF_FIRST`] to [`BACKOFF_MAX`], the wait is drawn evenly from the
//! upper half below it ("equal jitter"), so that a thousand phones cut off together do not come back together, and none comes back at once.

use std::time::Duration;

use crate::timing::{BACKOFF_FIRST, BACKOFF_MAX};

/// The wait before attempt `failed + 1`, where `dice` is even in 0..=u64::MAX.
pub(super) fn wait(failed: u32, dice: u64) -> Duration {
    let ceiling = BACKOFF_FIRST.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(BACKOFF_MAX);
    let half_ms = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX) / 2;
    Duration::from_millis(half_ms + dice % (half_ms + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
