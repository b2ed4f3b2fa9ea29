//! 公司规则: the versions of the company's policy (O13), as bodies. What a body means belongs to `policy` and `rules`.

use crate::document::{Clocks, Doc, Edit};
use crate::ids::EntryId;
use crate::time::Act;

/// One version of the policy. Immutable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Its id, by which acts name the version they were done under.
    pub id: EntryId,
    /// When it was published, milliseconds since 1970 UTC.
    pub published_ms: i64,
    /// JSON.
    pub body: String,
}

/// The policy document, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyModel {
    /// The version in force.
    pub current: Option<EntryId>,
    /// Every version, oldest first.
    pub versions: Vec<PolicyVersion>,
}

impl PolicyModel {
    /// Reads the document.
    pub fn read(doc: &Doc, clocks: &dyn Clocks) -> Self {
        let current = doc.value("current", clocks);
        let version = |entry: crate::document::LogEntry| PolicyVersion {
            id: entry.id,
            published_ms: entry.at.at_ms,
            body: entry.body,
        };
        Self {
            current: current.and_then(|id| id.as_text()?.parse().ok()),
            versions: doc.log("versions", clocks).into_iter().map(version).collect(),
        }
    }

    /// The body in force.
    pub fn body(&self) -> Option<&str> {
        let version = self.versions.iter().find(|version| Some(version.id) == self.current)?;
        Some(&version.body)
    }

    /// The edits that publish a new version and put it in force.
    pub fn publish(body: &str, act: &Act) -> Vec<Edit> {
        let id = act.fresh_id();
        vec![
            Edit::Append { log: "versions".to_owned(), id, body: body.to_owned() },
            Edit::Set { field: "current".to_owned(), value: id.to_string().into() },
        ]
    }
}
