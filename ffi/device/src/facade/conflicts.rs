//! Where two people touched one field: both values, who, when and on which device; and the one choice that settles it.

use fieldbook_core::document::{Conflict, Doc, NoClocks, Path, Value, resolution};
use fieldbook_core::ids::{DocId, DocKind};
use fieldbook_core::model::DirectoryModel;
use fieldbook_core::replica::{DocEdits, Replica};

use super::Fieldbook;
use super::leads::{check_held, user_name};
use super::page::Docs;
use crate::error::Error;
use crate::records::{ConflictChoice, ConflictItem};
use crate::words::{self, Language};

impl Fieldbook {
    /// Every conflict of every document on this phone: leads, their tables, calendars, accounts. At most 500 documents at a time.
    ///
    /// # Errors
    /// [`Error::Locked`].
    pub fn all_conflicts(&self) -> Result<Vec<ConflictItem>, Error> {
        let language = self.shared.language;
        self.shared.read(|replica, _| {
            let names = self.shared.names(replica)?;
            let mut out = Vec::new();
            for doc in replica.conflicted(DOCS_MAX)? {
                if doc.kind() == Some(DocKind::Lead) {
                    // A table may have come before its lead.
                    if replica.holds(doc)? {
                        out.extend(conflict_items(&Docs::load(replica, doc)?, &names, language));
                    }
                } else {
                    out.extend(other_items(replica, doc, &names, language)?);
                }
            }
            Ok::<_, Error>(out)
        })
    }

    /// The conflicts of a lead and its table.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Locked`].
    pub fn conflicts(&self, lead: DocId) -> Result<Vec<ConflictItem>, Error> {
        self.shared.read(|replica, _| {
            check_held(replica, lead)?;
            let names = self.shared.names(replica)?;
            let docs = Docs::load(replica, lead)?;
            Ok::<_, Error>(conflict_items(&docs, &names, self.shared.language))
        })
    }

    /// Settles a conflict by keeping one of its values, as [`Fieldbook::conflicts`] or [`Fieldbook::all_conflicts`] gave it.
    ///
    /// # Errors
    /// [`Error::Stale`] when the conflict is gone or no longer offers this value; [`Error::NotFound`], [`Error::Locked`].
    pub fn resolve(&self, doc: DocId, path: &Path, value: &Value) -> Result<(), Error> {
        self.shared.read(|_, _| Ok::<_, Error>(()))?;
        self.shared.act(|replica, _| {
            let origin = replica.lead_of(doc)?;
            let held = replica.load(doc)?;
            let open = held.conflicts(&NoClocks).into_iter().find(|conflict| conflict.path == *path);
            let open = open.ok_or(Error::Stale)?;
            let choice = open.values.iter().position(|known| known.value == *value).ok_or(Error::Stale)?;
            let edit = resolution(&open, choice).ok_or(Error::Stale)?;
            let lot = match (doc.kind(), origin) {
                (Some(DocKind::Advancement), Some(lead)) => DocEdits::table_of(lead, vec![edit]),
                _ => DocEdits::of(doc, vec![edit]),
            };
            Ok(((), vec![lot]))
        })
    }
}

pub(super) fn conflict_items(docs: &Docs, names: &DirectoryModel, language: Language) -> Vec<ConflictItem> {
    let clocks = docs.clocks();
    let about = About {
        lead: Some(docs.lead.0),
        subject: docs.lead.1.value("customer_name", clocks).map(|name| name.to_string()).unwrap_or_default(),
    };
    let all = [Some(&docs.lead), docs.table.as_ref()];
    let of = |(id, doc): &(DocId, Doc)| {
        let conflicts = doc.conflicts(clocks).into_iter();
        conflicts.map(|conflict| item(*id, doc.kind(), conflict, &about, names, language)).collect::<Vec<_>>()
    };
    all.into_iter().flatten().flat_map(of).collect()
}

/// The conflicts of a document that is no part of a lead.
fn other_items(
    replica: &mut Replica,
    id: DocId,
    names: &DirectoryModel,
    language: Language,
) -> Result<Vec<ConflictItem>, Error> {
    let doc = replica.load(id)?;
    let about = |path: &Path| match doc.kind() {
        DocKind::Calendar => {
            let entry = path.key.as_deref().and_then(|key| key.parse().ok());
            let entry = entry.and_then(|entry| doc.record("entries", entry, &NoClocks)).unwrap_or_default();
            let told = |name: &str| entry.get(name).map(ToString::to_string);
            let subject: Vec<String> = [told("day"), told("purpose")].into_iter().flatten().collect();
            About { lead: told("lead").and_then(|lead| lead.parse().ok()), subject: subject.join(" ") }
        }
        _ => {
            let name = doc.value("name", &NoClocks).map(|name| name.to_string());
            About { lead: None, subject: name.unwrap_or_default() }
        }
    };
    let items = doc.conflicts(&NoClocks).into_iter().map(|conflict| {
        let about = about(&conflict.path);
        item(id, doc.kind(), conflict, &about, names, language)
    });
    Ok(items.collect())
}

/// What a conflict is about, for a list of many.
struct About {
    lead: Option<DocId>,
    subject: String,
}

fn item(
    doc: DocId,
    kind: DocKind,
    conflict: Conflict,
    about: &About,
    names: &DirectoryModel,
    language: Language,
) -> ConflictItem {
    let Conflict { path, values } = conflict;
    let choices = values.into_iter().map(|value| ConflictChoice {
        user_name: user_name(names, value.user),
        device_name: names.devices.get(&value.device).and_then(|d| d.name.clone()).unwrap_or_default(),
        value: value.value,
        user: value.user,
        device: value.device,
        at_ms: value.at.at_ms,
        doubtful: value.at.is_doubtful(),
    });
    ConflictItem {
        doc,
        lead: about.lead,
        subject: about.subject.clone(),
        label: words::register(kind, &path, language),
        values: choices.collect(),
        path,
    }
}

/// Documents whose conflicts are listed at once: a person settles a few, and asks again.
const DOCS_MAX: usize = 500;
