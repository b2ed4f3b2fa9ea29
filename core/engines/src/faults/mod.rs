//! Disks that fail on purpose, all of them deterministic and without threads: for the simulator and the crash tests.

mod dice;
mod disk;
mod store;

pub use dice::Dice;
pub use disk::{DiskCounts, DiskLimits, VirtualDisk};
pub use store::{Fault, FaultyStore, Snapshot};
