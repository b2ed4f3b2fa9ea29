//! The policy packs that ship (C96), as readable texts.

use super::{Policy, PolicyError};

/// 行业包.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pack {
    /// 医疗器械: the default.
    Medical,
    /// 制造业.
    Manufacturing,
    /// 教育.
    Education,
}

impl Pack {
    /// All of them, the default first.
    pub const ALL: [Self; 3] = [Self::Medical, Self::Manufacturing, Self::Education];

    /// By which a policy names it as its base.
    pub fn name(self) -> &'static str {
        match self {
            Self::Medical => "medical",
            Self::Manufacturing => "manufacturing",
            Self::Education => "education",
        }
    }

    /// The pack of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pack| pack.name() == name)
    }

    /// As it is written.
    pub fn toml(self) -> &'static str {
        match self {
            Self::Medical => include_str!("packs/medical.toml"),
            Self::Manufacturing => include_str!("packs/manufacturing.toml"),
            Self::Education => include_str!("packs/education.toml"),
        }
    }

    /// As it is read.
    ///
    /// # Errors
    /// None: a test reads every pack. What changed one without running it is told.
    pub fn policy(self) -> Result<Policy, PolicyError> {
        Policy::from_toml(self.toml())
    }
}
