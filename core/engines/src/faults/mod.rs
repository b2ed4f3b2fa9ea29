//! Disks that fail on purpose, all of them deterministic and without threads: for the simulator and the crash tests.

mod dice;
mod disk;

pub use dice::Dice;
pub use disk::{DiskCounts, DiskLimits, VirtualDisk};
