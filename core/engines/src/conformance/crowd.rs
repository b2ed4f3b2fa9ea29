//! Clauses that need several callers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use fieldbook_core::store::{Direction, Outcome, Range, Store, jobs};

use super::{Open, commit, feed, get, put};
use crate::{Committer, CommitterOptions, be_u64};

/// A reader never sees half a batch, and the feed never gains a row at or before a position that was seen.
pub fn readers_see_whole_batches_in_order(open: &Open<'_>) {
    let store = open();
    let over = AtomicBool::new(false);
    let pair = |n: u64| {
        let mut batch = feed(b"f/", b"");
        batch.put("left", n.to_be_bytes()).put("right", n.to_be_bytes());
        // A row that moves: in one instant it stands in exactly one place.
        batch.delete([b'm', (n % 7) as u8]).put([b'm', ((n + 1) % 7) as u8], "here");
        batch
    };
    commit(&*store, vec![pair(0)]);
    watched("readers and a writer", || {
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..3).map(|_| scope.spawn(|| read_until(&*store, &over))).collect();
            for n in 1..150 {
                commit(&*store, vec![pair(2 * n - 1), pair(2 * n)]);
            }
            over.store(true, Ordering::Release);
            for reader in readers {
                reader.join().expect("a reader");
            }
        });
    });
}

fn read_until(store: &dyn Store, over: &AtomicBool) {
    let mut seen = 0;
    loop {
        let last_look = over.load(Ordering::Acquire);
        let feed_after = Range::prefix_after(b"f/", &[&b"f/"[..], &u64::to_be_bytes(seen)].concat());
        let (values, pages) = store
            .read(&[b"left", b"right"], &[(feed_after, 9_999), (Range::prefix(b"m"), 9)])
            .expect("reads");
        assert_eq!(values[0], values[1], "half a batch");
        assert_eq!(pages[1].len(), 1, "a row in two places or none");
        for (_, value) in &pages[0] {
            seen += 1;
            assert_eq!(be_u64(value), Some(seen), "the feed has a gap that fills later");
        }
        let backward = store.scan(&Range::prefix(b"f/"), Direction::Backward, 1).expect("scans");
        assert!(be_u64(&backward[0].1) >= Some(seen), "a scan went back in time");
        let moving = store.scan(&Range::prefix(b"m"), Direction::Backward, 9).expect("scans");
        assert_eq!(moving.len(), 1, "a scan saw two instants");
        assert!(store.head().expect("reads") >= seen);
        if last_look {
            return;
        }
    }
}

/// Rivals that read, decide and write under a guard lose no update; of a job only one gets the lease.
pub fn rivals_lose_no_update(open: &Open<'_>) {
    const RIVALS: u64 = 4;
    const EACH: u64 = 25;
    let store = open();
    let mut batch = put("sum", 0u64.to_be_bytes());
    for i in 0..20u8 {
        jobs::enqueue(&mut batch, "q", 0, &[i], b"");
    }
    commit(&*store, vec![batch]);
    let leased: usize = watched("rivals", || {
        std::thread::scope(|scope| {
            let rivals: Vec<_> = (0..RIVALS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut done = 0;
                        while done < EACH {
                            let old = get(&*store, b"sum").expect("there");
                            let mut batch = put("sum", (be_u64(&old).expect("a sum") + 1).to_be_bytes());
                            batch.guard("sum", Some(old));
                            done += u64::from(commit(&*store, vec![batch])[0] == Outcome::Done(None));
                        }
                        jobs::lease(&*store, "q", 1, 1_000, 20).expect("leases").len()
                    })
                })
                .collect();
            rivals.into_iter().map(|r| r.join().expect("a rival")).sum()
        })
    });
    assert_eq!(get(&*store, b"sum"), Some((RIVALS * EACH).to_be_bytes().to_vec()));
    assert!(leased <= 20, "a job was leased twice");
    let rest = jobs::lease(&*store, "q", 1, 1_000, 99).expect("leases");
    assert_eq!(leased + rest.len(), 20, "a job was lost");
}

/// 32 writers through the committer finish, in order, with every row there; the store survives it.
pub fn many_writers_are_grouped(open: &Open<'_>) {
    const WRITERS: u64 = 32;
    const EACH: u64 = 20;
    {
        let store = open();
        let committer = Committer::start(store.clone(), CommitterOptions::default()).expect("starts");
        let (order, positions) = mpsc::channel();
        watched("32 writers", || {
            std::thread::scope(|scope| {
                for writer in 0..WRITERS {
                    let (committer, order) = (&committer, order.clone());
                    scope.spawn(move || {
                        for n in 0..EACH {
                            let mut batch = feed(b"f/", &[writer as u8]);
                            batch.put([b'w', writer as u8, n as u8], vec![7; 200]);
                            let (order, (send, receive)) = (order.clone(), mpsc::channel());
                            committer.submit(batch, move |outcome| {
                                let position = outcome.expect("commits").position().expect("a position");
                                let _ = order.send(position);
                                let _ = send.send(());
                            });
                            receive.recv().expect("an answer");
                        }
                    });
                }
            });
        });
        committer.flush().expect("flushes");
        let positions: Vec<u64> = positions.try_iter().collect();
        assert!(positions.iter().copied().eq(1..=WRITERS * EACH), "callbacks out of order");
    }
    let store = open();
    assert_eq!(store.head().expect("reads"), WRITERS * EACH);
    assert_eq!(store.scan(&Range::prefix(b"w"), Direction::Forward, 9_999).expect("scans").len(), 640);
}

/// Ends the test, not the test run, when an engine hangs.
fn watched<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (over, watch) = mpsc::channel::<()>();
    let what: Arc<str> = what.into();
    let dog = std::thread::spawn(move || {
        if watch.recv_timeout(WATCHDOG) == Err(mpsc::RecvTimeoutError::Timeout) {
            // A thread that hangs cannot be unwound: only leaving the process ends the run.
            eprintln!("{what}: no end after {WATCHDOG:?}");
            std::process::abort();
        }
    });
    let result = work();
    drop(over);
    dog.join().expect("the watchdog");
    result
}

/// Slow machines take seconds; a deadlock takes for ever.
const WATCHDOG: Duration = Duration::from_secs(120);
