//! What a rule says: with the version of the policy by which it says it, and what would have to be known where it cannot say.

use std::collections::BTreeSet;

use crate::ids::EntryId;
use crate::policy::formula::Undetermined;

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict<T> {
    /// The version of the policy that gave it (O13).
    pub policy: EntryId,
    /// What.
    pub says: Says<T>,
}

/// Said, or not to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says<T> {
    /// It is so.
    So(T),
    /// It cannot be said from what is held; never "no" (design decision 9).
    Undetermined(Unknown),
}

/// What would have to be known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unknown {
    /// In Chinese, as formulas call it: `预算万元`; a document that is not held: `裁定`.
    pub names: BTreeSet<String>,
}

impl<T> Says<T> {
    /// What is said, if anything.
    pub fn so(&self) -> Option<&T> {
        match self {
            Says::So(said) => Some(said),
            Says::Undetermined(_) => None,
        }
    }
}

impl Unknown {
    /// One thing is not known.
    pub fn of(name: &str) -> Self {
        Self { names: BTreeSet::from([name.to_owned()]) }
    }

    /// What is not known for either.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.names.extend(other.names);
        self
    }
}

impl From<Undetermined> for Unknown {
    fn from(why: Undetermined) -> Self {
        match why {
            Undetermined::Missing(names) => Self { names },
            Undetermined::DividesByZero => Self::of("除数为零"),
            Undetermined::TooLarge => Self::of("数值过大"),
        }
    }
}

impl<T> From<Result<T, Unknown>> for Says<T> {
    fn from(result: Result<T, Unknown>) -> Self {
        match result {
            Ok(said) => Says::So(said),
            Err(unknown) => Says::Undetermined(unknown),
        }
    }
}
