//! Where two people touched one field: both values, who, when and on which device; and the one choice that settles it. Also the work of
//! this phone that the server did not merge.

use fieldbook_core::document::{Conflict, NoClocks, Path, Value, resolution, schema};
use fieldbook_core::ids::{DocId, DocKind};
use fieldbook_core::model::{DirectoryModel, PRESET_ROWS};
use fieldbook_core::replica::{DocEdits, KeptWhy};
use fieldbook_core::sync::message::HoldReason;

use super::Fieldbook;
use super::leads::{check_held, user_name};
use super::page::Docs;
use crate::error::Error;
use crate::records::{ConflictChoice, ConflictItem, KeptItem};
use crate::words::{self, Language};

impl Fieldbook {
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

    /// Settles a conflict by keeping one of its values, as [`Fieldbook::conflicts`] gave it.
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

    /// Work of this phone that the server did not merge. A person decides about what is held; what was refused stays here for its author.
    ///
    /// # Errors
    /// [`Error::Locked`].
    pub fn kept(&self) -> Result<Vec<KeptItem>, Error> {
        self.shared.read(|replica, _| {
            let mut out = Vec::new();
            for kept in replica.kept()? {
                let lead = replica.lead_of(kept.doc)?;
                let summary = lead.and_then(|lead| replica.summary(lead).ok());
                let code = kept_code(kept.why);
                out.push(KeptItem {
                    doc: kept.doc,
                    lead: summary.as_ref().map(|row| row.id),
                    customer_name: summary.map(|row| row.customer_name).unwrap_or_default(),
                    number: kept.number,
                    code: code.to_owned(),
                    text: words::sentence(code, self.shared.language).to_owned(),
                    at_ms: kept.at_ms,
                });
            }
            Ok::<_, Error>(out)
        })
    }
}

pub(super) fn conflict_items(docs: &Docs, names: &DirectoryModel, language: Language) -> Vec<ConflictItem> {
    let clocks = docs.clocks();
    let all = [Some(&docs.lead), docs.table.as_ref()];
    let of = |(id, doc): &(DocId, fieldbook_core::document::Doc)| {
        let conflicts = doc.conflicts(clocks).into_iter();
        conflicts.map(|conflict| item(*id, doc.kind(), conflict, names, language)).collect::<Vec<_>>()
    };
    all.into_iter().flatten().flat_map(of).collect()
}

fn item(
    doc: DocId,
    kind: DocKind,
    conflict: Conflict,
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
    ConflictItem { doc, label: label(kind, &path, language), values: choices.collect(), path }
}

/// The name of a register for the user: the row's question in the table, the field's name elsewhere.
fn label(kind: DocKind, path: &Path, language: Language) -> String {
    if kind == DocKind::Advancement {
        let key = path.key.as_deref().unwrap_or_default();
        let row = PRESET_ROWS.iter().find(|(id, _)| *id == key);
        return row
            .filter(|_| language == Language::Chinese)
            .map_or(key, |(_, question)| question)
            .to_owned();
    }
    let field = words::field(&path.field, language);
    let Some(name) = &path.name else { return field };
    let part = schema::field(kind, &path.field).and_then(|f| f.parts.iter().find(|part| part.name == name));
    match part.filter(|_| language == Language::Chinese) {
        Some(part) => format!("{field} {}", part.doc),
        None => format!("{field} {name}"),
    }
}

fn kept_code(why: KeptWhy) -> &'static str {
    match why {
        KeptWhy::Held(HoldReason::NotYours) => "held_not_yours",
        KeptWhy::Held(HoldReason::Revoked) => "held_revoked",
        KeptWhy::Held(HoldReason::Fork) => "held_fork",
        KeptWhy::Held(HoldReason::Suffix) => "held_suffix",
        KeptWhy::Held(HoldReason::Erased) => "held_erased",
        KeptWhy::Held(HoldReason::MissingDeps) => "held_missing_deps",
        KeptWhy::Refused(_) => "refused_work",
    }
}
