//! Slows down whoever guesses: failures of sign-in by network address, in a window. Bounded in memory; an address that is forgotten begins
//! anew, which is why codes also lock by themselves.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::ApiError;

/// Failures by address.
#[derive(Default)]
pub(super) struct Limiter {
    failures: Mutex<BTreeMap<IpAddr, Window>>,
}

#[derive(Clone, Copy)]
struct Window {
    began_ms: i64,
    failures: u32,
}

impl Limiter {
    /// Refuses an address that failed too often.
    ///
    /// # Errors
    /// 429.
    pub fn check(&self, from: IpAddr, now_ms: i64) -> Result<(), ApiError> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.get(&from) {
            Some(w) if now_ms - w.began_ms < WINDOW_MS && w.failures >= FAILURES_MAX => {
                let wait_ms = WINDOW_MS - (now_ms - w.began_ms).max(0);
                Err(ApiError::too_many_attempts(wait_ms.unsigned_abs().div_ceil(1_000)))
            }
            _ => Ok(()),
        }
    }

    /// Notes a failure.
    pub fn failed(&self, from: IpAddr, now_ms: i64) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES_MAX && !failures.contains_key(&from) {
            failures.retain(|_, w| now_ms - w.began_ms < WINDOW_MS);
            if failures.len() >= ADDRESSES_MAX {
                failures.pop_first();
            }
        }
        let window = failures.entry(from).or_insert(Window { began_ms: now_ms, failures: 0 });
        if now_ms - window.began_ms >= WINDOW_MS {
            *window = Window { began_ms: now_ms, failures: 0 };
        }
        window.failures += 1;
    }
}

const WINDOW_MS: i64 = 10 * 60 * 1_000;
/// A team that enrols behind one address mistypes a few times; a program tries thousands.
const FAILURES_MAX: u32 = 60;
const ADDRESSES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_guesses_waits_and_others_do_not() {
        let limiter = Limiter::default();
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        for _ in 0..FAILURES_MAX {
            assert!(limiter.check(a, 0).is_ok());
            limiter.failed(a, 0);
        }
        for (at_ms, wait) in [(0, "10 minutes"), (60_000, "9 minutes"), (WINDOW_MS - 1, "1 minute ")] {
            let said = limiter.check(a, at_ms).unwrap_err().to_string();
            assert!(said.contains(&format!("wait {wait}")), "{said}");
        }
        assert!(limiter.check(b, 0).is_ok());
        assert!(limiter.check(a, WINDOW_MS).is_ok());
        for i in 0..20_000u32 {
            limiter.failed(IpAddr::from(i.to_be_bytes()), 1);
        }
        assert!(limiter.failures.lock().unwrap().len() <= ADDRESSES_MAX);
    }
}
