//! The simulated company, 2,000 seeds in two threads. One seed again, as a story: `cargo run -p fieldbook-tests --bin world -- --seed N`.

use fieldbook_tests::world::{Plan, Tally, run};

const SEEDS: u64 = 2_000;

fn seeds(seeds: impl Iterator<Item = u64>) {
    let mut tally = Tally::default();
    for seed in seeds {
        match run(seed, &Plan::default()) {
            Ok(one) => tally.merge(&one),
            Err(failure) => panic!("{failure}"),
        }
    }
    // A world in which nothing happens keeps every promise.
    for (name, least) in [("acts", 10), ("durable", 10), ("settled checks", 5), ("moves", 1)] {
        let n = tally.counts.get(name).copied().unwrap_or(0);
        assert!(n >= least * SEEDS / 2, "only {n} {name}");
    }
    for name in [
        "held",
        "accepted",
        "returns",
        "came back",
        "replays",
        "contended",
        "server restores",
        "phone restores",
        "managers changed",
        "partitions",
        "breaks",
        "frames lost",
        "swapped answers",
        "phone crashes",
        "server crashes",
        "clones",
        "reboots",
        "clocks set",
        "server clocks set",
        "compactions",
    ] {
        assert!(tally.counts.get(name).is_some_and(|n| *n > 20), "hardly any {name}: {tally:?}");
    }
}

#[test]
fn the_world_keeps_its_promises_in_even_seeds() {
    seeds((0..SEEDS).filter(|seed| seed % 2 == 0));
}

#[test]
fn the_world_keeps_its_promises_in_odd_seeds() {
    seeds((0..SEEDS).filter(|seed| seed % 2 == 1));
}

#[test]
fn a_world_told_twice_is_the_same_world() {
    for seed in [3, 41] {
        let plan = Plan::default();
        assert_eq!(run(seed, &plan).map_err(|f| f.to_string()), run(seed, &plan).map_err(|f| f.to_string()));
    }
}
