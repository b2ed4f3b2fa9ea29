//! What the phone reads off its operating system: the two clocks of O1 and fresh entropy. Both can be replaced, so that a test is
//! master of time and chance. Refuses to correct anything: what a reading means is decided in core.

use std::time::{SystemTime, UNIX_EPOCH};

use fieldbook_core::time::Moment;
use sha2::{Digest, Sha256};

/// Where moments come from.
pub trait Clock: Send + Sync {
    /// The clocks as they stand now.
    fn now(&self) -> Moment;
}

/// Where fresh bytes come from.
pub trait Entropy: Send + Sync {
    /// 32 bytes that nobody can guess and that never come twice.
    fn seed(&self) -> [u8; 32];
}

/// The clocks of the operating system. The monotonic one runs on while the phone sleeps where the system has such a clock
/// (`CLOCK_BOOTTIME` on Linux and Android, `CLOCK_MONOTONIC` on Apple's systems).
#[derive(Debug, Clone)]
pub struct OsClock {
    boot: u64,
}

impl OsClock {
    /// Reads which boot this is. A system that does not tell (Apple's, newer Androids) gets a new boot with each process: acts of an
    /// earlier process are then placed by the server's receipt instead of being pinned to the millisecond.
    pub fn new() -> Self {
        let told = std::fs::read("/proc/sys/kernel/random/boot_id").ok().filter(|id| id.len() >= 32);
        let boot = told.map_or_else(rand::random, |id| hashed(&id));
        Self { boot }
    }
}

impl Default for OsClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for OsClock {
    fn now(&self) -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_millis());
        let wall_ms = since.ok().and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0);
        Moment { wall_ms, boot: self.boot, mono_ms: mono_ms() }
    }
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn seed(&self) -> [u8; 32] {
        rand::random()
    }
}

#[cfg(unix)]
fn mono_ms() -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: ClockId = ClockId::Monotonic;
    let now = clock_gettime(CLOCK);
    (now.tv_sec as u64).saturating_mul(1_000).saturating_add(now.tv_nsec as u64 / 1_000_000)
}

#[cfg(not(unix))]
fn mono_ms() -> u64 {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn hashed(id: &[u8]) -> u64 {
    let mut first = [0u8; 8];
    first.copy_from_slice(&Sha256::digest(id)[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_runs_and_the_boot_stays() {
        let clock = OsClock::new();
        let (a, b) = (clock.now(), clock.now());
        assert!(b.mono_ms >= a.mono_ms && a.mono_ms > 0);
        assert_eq!(a.boot, b.boot);
        assert!(a.wall_ms > 1_700_000_000_000);
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(OsEntropy.seed(), OsEntropy.seed());
    }
}
