//! Disks that fail on purpose, all of them deterministic and without threads: for the simulator and the crash tests.

mod dice;

pub use dice::Dice;
