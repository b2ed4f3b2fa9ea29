//! Replays one seed of the simulated company, or runs many of them through a night.
//!
//! ```text
//! cargo run -p fieldbook-tests --bin world -- --seed 42 --story
//! cargo run -p fieldbook-tests --bin world -- --seeds 100000 [--seed FIRST] [--events N] [--keep-going]
//! ```
#![expect(clippy::print_stdout, reason = "a command's output")]

use std::collections::BTreeMap;
use std::process::ExitCode;

use fieldbook_tests::world::{Plan, Tally, run};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (mut first, mut seeds, mut plan, mut keep_going) = (0u64, 1u64, Plan::default(), false);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|text| text.parse::<u64>().ok());
        let known = match arg.as_str() {
            "--seed" => number().map(|n| first = n),
            "--seeds" => number().map(|n| seeds = n),
            "--events" => number().map(|n| plan.events = n as usize),
            "--story" => {
                plan.aloud = true;
                Some(())
            }
            "--keep-going" => {
                keep_going = true;
                Some(())
            }
            _ => None,
        };
        if known.is_none() {
            println!("world [--seed N] [--seeds N] [--events N] [--story] [--keep-going]");
            return ExitCode::from(2);
        }
    }
    std::panic::set_hook(Box::new(|_| {}));
    let mut tally = Tally::default();
    let mut failed: BTreeMap<&'static str, Vec<u64>> = BTreeMap::new();
    for seed in first..first.saturating_add(seeds) {
        match run(seed, &plan) {
            Ok(one) => tally.merge(&one),
            Err(failure) => {
                if keep_going {
                    println!("seed {seed}: {}: {}", failure.violation.invariant, failure.violation.detail);
                    failed.entry(failure.violation.invariant).or_default().push(seed);
                } else {
                    println!("{failure}");
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    for (name, n) in &tally.counts {
        println!("{n:>12} {name}");
    }
    for (name, seeds) in &failed {
        println!("{:>12} seeds broke {name}, such as {}", seeds.len(), seeds[0]);
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
