//! The versions of the policy in its document, and which is in force when (O13, C52).
//!
//! A version is an entry of the log `versions` that names its sections; a section is an entry of its own, whose id is the hash of what it
//! says, so that a version that changes one coefficient adds one section and a phone loads the rest once. Entries are immutable: what was
//! judged by a version can be judged by it again.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Pack, Policy};
use crate::document::{Doc, Edit, NoClocks};
use crate::ids::{EntryId, UserId};
use crate::limits;
use crate::time::Act;

/// A version, and since when it is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyAt {
    /// By which verdicts and acts name it; all zeros: the pack that ships, in force before anything was published.
    pub id: EntryId,
    /// The first moment at which it is in force, milliseconds since 1970 UTC.
    pub effective_from_ms: i64,
    /// When it was published, milliseconds since 1970 UTC.
    pub published_ms: i64,
    /// By whom.
    pub by: UserId,
    /// Why, in the publisher's words.
    pub note: String,
    /// What it says; `None`: it was written by a newer version, and nothing can be judged by it here.
    pub policy: Option<Arc<Policy>>,
}

/// All versions.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyHistory {
    /// What counts before the first of them.
    shipped: PolicyAt,
    /// In the order in which they come into force; of several for one moment the last published last.
    versions: Vec<PolicyAt>,
}

/// Why a policy was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It would be in force before it is published: what was judged by then would have been judged wrongly.
    #[error("a policy cannot be in force before it is published")]
    InThePast,
    /// A section, here so many bytes, is larger than a document takes ([`limits::VALUE_MAX_BYTES`]).
    #[error("the section {section} has {bytes} bytes, and {} at the most", limits::VALUE_MAX_BYTES)]
    TooLarge {
        /// Which.
        section: String,
        /// How large.
        bytes: usize,
    },
}

/// The entry of a version.
#[derive(Serialize, Deserialize)]
struct Version {
    effective_from_ms: i64,
    by: UserId,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
    /// Section to entry.
    sections: BTreeMap<String, EntryId>,
}

/// The entry of a section.
#[derive(Serialize, Deserialize)]
struct Section {
    section: String,
    says: serde_json::Value,
}

impl PolicyHistory {
    /// The pack that ships, and nothing published.
    pub fn shipped() -> Self {
        let policy = SHIPPED.clone();
        let shipped = PolicyAt {
            id: EntryId([0; 16]),
            effective_from_ms: i64::MIN,
            published_ms: 0,
            by: UserId::default(),
            note: String::new(),
            policy,
        };
        Self { shipped, versions: Vec::new() }
    }

    /// Reads the policy document.
    pub fn read(doc: &Doc) -> Self {
        let entries = doc.log("versions", &NoClocks);
        let section = |body: &str| serde_json::from_str::<Section>(body).ok();
        let sections: BTreeMap<EntryId, Section> =
            entries.iter().filter_map(|entry| Some((entry.id, section(&entry.body)?))).collect();
        let mut versions: Vec<PolicyAt> = Vec::new();
        for entry in &entries {
            let Ok(version) = serde_json::from_str::<Version>(&entry.body) else { continue };
            let says = |(name, id): (&String, &EntryId)| {
                sections.get(id).map(|section| (name.clone(), section.says.clone()))
            };
            let whole: Option<serde_json::Map<String, serde_json::Value>> =
                version.sections.iter().map(says).collect();
            let policy = whole.and_then(|whole| Policy::from_json(whole.into()).ok()).map(Arc::new);
            versions.push(PolicyAt {
                id: entry.id,
                effective_from_ms: version.effective_from_ms,
                published_ms: entry.at.at_ms,
                by: version.by,
                note: version.note,
                policy,
            });
        }
        // Stable: of several for one moment the last of the log stays last.
        versions.sort_by_key(|version| version.effective_from_ms);
        Self { versions, ..Self::shipped() }
    }

    /// The version in force at a moment (C52).
    pub fn at(&self, at_ms: i64) -> &PolicyAt {
        let in_force = self.versions.iter().rev().find(|version| version.effective_from_ms <= at_ms);
        in_force.unwrap_or(&self.shipped)
    }

    /// The version of this id.
    pub fn version(&self, id: EntryId) -> Option<&PolicyAt> {
        self.all().find(|version| version.id == id)
    }

    /// Every version, the pack that ships first, in the order in which they come into force.
    pub fn all(&self) -> impl Iterator<Item = &PolicyAt> {
        std::iter::once(&self.shipped).chain(&self.versions)
    }

    /// Adds a version as if it had been published.
    #[cfg(test)]
    pub(crate) fn add(&mut self, version: PolicyAt) {
        self.versions.push(version);
        self.versions.sort_by_key(|version| version.effective_from_ms);
    }

    /// Every version that was published, in the order in which they come into force.
    pub fn published(&self) -> &[PolicyAt] {
        &self.versions
    }
}

/// The id and the edits of a new version of `doc`, in force from a moment on.
///
/// # Errors
/// [`PublishError`].
pub fn publish(
    doc: &Doc,
    policy: &Policy,
    effective_from_ms: i64,
    by: UserId,
    note: &str,
    act: &Act,
) -> Result<(EntryId, Vec<Edit>), PublishError> {
    if effective_from_ms < act.stamp.occurred(None).at_ms {
        return Err(PublishError::InThePast);
    }
    let known: Vec<EntryId> = doc.log("versions", &NoClocks).into_iter().map(|entry| entry.id).collect();
    let (mut edits, mut sections) = (Vec::new(), BTreeMap::new());
    for (section, says) in policy.to_json() {
        let body = text_of(&Section { section: section.clone(), says });
        if body.len() > limits::VALUE_MAX_BYTES {
            return Err(PublishError::TooLarge { section, bytes: body.len() });
        }
        let id = section_id(&body);
        if !known.contains(&id) {
            edits.push(Edit::Append { log: "versions".to_owned(), id, body });
        }
        sections.insert(section, id);
    }
    let (id, note) = (act.fresh_id(), note.to_owned());
    let body = text_of(&Version { effective_from_ms, by, note, sections });
    edits.push(Edit::Append { log: "versions".to_owned(), id, body });
    edits.push(Edit::Set { field: "current".to_owned(), value: id.to_string().into() });
    Ok((id, edits))
}

fn text_of(entry: &impl Serialize) -> String {
    // A struct of texts, numbers and JSON can always be written.
    serde_json::to_string(entry).unwrap_or_default()
}

fn section_id(body: &str) -> EntryId {
    let mut hash = Sha256::new();
    hash.update(b"fieldbook/policy-section/1");
    hash.update(body);
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    EntryId(id)
}

/// The pack that ships, read once: it is the same for ever, and reading it checks every formula of it.
static SHIPPED: LazyLock<Option<Arc<Policy>>> = LazyLock::new(|| Pack::Medical.policy().ok().map(Arc::new));
