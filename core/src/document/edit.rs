//! Editing: a list of [`Edit`]s becomes one change, stamped (O1), with its inverse. Refuses what the table of fields
//! does not know, what the limits forbid, and changes that change nothing.
//!
//! Edits are planned against the document as it is (with the earlier edits of the same list overlaid), then written
//! on a copy that replaces the document only when everything went well.

use std::collections::BTreeMap;

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{AutomergeError, ObjType, ROOT, ScalarValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::conflict::Path;
use super::doc::{DocError, guarded, malformed};
use super::plan::{Plan, within};
use super::schema::{self, Meaning, SCHEMA_KEY};
use super::{Doc, Value};
use crate::ids::{Actor, EntryId, Hash32};
use crate::limits;
use crate::time::Stamp;

/// One edit of a document, in the words of the table of fields. As JSON it is kept in the store (undo) and crosses
/// to the phone's own language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum Edit {
    /// Writes a register, replacing every surviving value: also how a conflict is resolved.
    Set {
        /// A field that is a register.
        field: String,
        /// Null empties it.
        value: Value,
    },
    /// Writes one register of an open-keyed map.
    SetIn {
        /// A field that is a map of registers.
        field: String,
        /// Key, at most [`limits::ELEMENT_KEY_MAX_BYTES`].
        key: String,
        /// Null empties it.
        value: Value,
    },
    /// Adds a record under a fresh id.
    AddRecord {
        /// A field of records.
        field: String,
        /// Fresh: never used before.
        id: EntryId,
        /// Its registers.
        values: BTreeMap<String, Value>,
    },
    /// Writes one register of a record; `removed` is how a record goes.
    SetRecord {
        /// A field of records.
        field: String,
        /// The record.
        id: EntryId,
        /// The register.
        name: String,
        /// Null empties it.
        value: Value,
    },
    /// Appends an entry to a log.
    Append {
        /// A field that is a log.
        log: String,
        /// Fresh, or derived so that doing it twice is doing it once.
        id: EntryId,
        /// JSON.
        body: String,
    },
    /// Puts an element into a set.
    PutElement {
        /// A field that is a set.
        set: String,
        /// Key, at most [`limits::ELEMENT_KEY_MAX_BYTES`].
        key: String,
        /// JSON.
        body: String,
    },
    /// Removes an element from a set; a concurrent put survives.
    RemoveElement {
        /// A field that is a set.
        set: String,
        /// Key.
        key: String,
    },
    /// Replaces `delete` characters at `at` by `insert`; positions count Unicode scalar values.
    Splice {
        /// A field that is text.
        text: String,
        /// Where.
        at: usize,
        /// How many characters go.
        delete: usize,
        /// What comes.
        insert: String,
    },
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The raw change (type 1), at most [`limits::CHANGE_MAX_BYTES`].
    pub change: Vec<u8>,
    /// Its hash.
    pub hash: Hash32,
    /// Which of the actor's changes in this document it is.
    pub seq: u64,
    /// The edits that take it back in the document as it is right after it. Once others have written, [`Doc::take_back`] says what of them
    /// still holds.
    pub undo: Vec<Edit>,
}

/// Why an edit was refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Everything is already as the edits want it.
    #[error("nothing changed")]
    NothingChanged,
    /// The kind has no such field, or the field does not merge this way.
    #[error("{kind} has no {meaning} {field:?}")]
    UnknownField {
        /// Name of the kind.
        kind: &'static str,
        /// What the edit takes the field for.
        meaning: &'static str,
        /// The name.
        field: String,
    },
    /// The value's type is not that of the register, or the body is no JSON.
    #[error("{0:?} does not hold such a value")]
    WrongType(String),
    /// A value, a key or the whole change is beyond its limit.
    #[error("{what} is larger than {max}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// In bytes, characters or operations.
        max: usize,
    },
    /// The id is taken: a record or log entry is never written over.
    #[error("{0} exists already")]
    Exists(EntryId),
    /// No such record.
    #[error("there is no record {0}")]
    NoRecord(EntryId),
    /// The splice reaches beyond the text.
    #[error("the text has no position {0}")]
    OutOfRange(usize),
    /// Automerge refused; the document is unharmed.
    #[error(transparent)]
    Document(#[from] DocError),
}

/// The edit that retracts a log entry: a further entry under [`retraction_id`], so that retracting twice, on two phones, is
/// retracting once. A retraction can be retracted in turn, which brings the entry back.
pub fn retraction(log: &str, entry: EntryId) -> Edit {
    let body = format!(r#"{{"type":"retract","entry":"{entry}"}}"#);
    Edit::Append { log: log.to_owned(), id: retraction_id(entry), body }
}

/// The id of the one entry that retracts this one.
pub fn retraction_id(entry: EntryId) -> EntryId {
    let mut hash = Sha256::new();
    hash.update(b"fieldbook/retract/1");
    hash.update(entry.0);
    let mut id = [0u8; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    EntryId(id)
}

impl Doc {
    /// Makes one change of `actor` out of `edits`. Edits that change nothing are skipped.
    pub fn edit(&mut self, actor: Actor, stamp: &Stamp, edits: &[Edit]) -> Result<Edited, EditError> {
        let mut plan = Plan::new(self);
        for edit in edits {
            plan.add(edit)?;
        }
        let Plan { todo, mut undo, .. } = plan;
        if todo.is_empty() {
            return Err(EditError::NothingChanged);
        }
        undo.reverse();
        let version = schema::version(self.kind());
        let is_older = self.schema_version() < version;
        let mut am = self.am().clone().with_actor(actor.to_automerge());
        let change = guarded(|| {
            let mut tx = am.transaction();
            for edit in todo {
                self.write(&mut tx, edit).map_err(malformed)?;
            }
            if is_older {
                tx.put(ROOT, SCHEMA_KEY, version).map_err(malformed)?;
            }
            let (made, _) =
                tx.commit_with(CommitOptions::default().with_time(0).with_message(stamp.to_message()));
            Ok(made.and_then(|_| am.get_last_local_change()))
        })?
        .ok_or(EditError::NothingChanged)?;
        within("a change", change.raw_bytes().len(), limits::CHANGE_MAX_BYTES)?;
        within("the operations of a change", change.len(), limits::CHANGE_MAX_OPS)?;
        let edited = Edited {
            change: change.raw_bytes().to_vec(),
            hash: Hash32(change.hash().0),
            seq: change.seq(),
            undo,
        };
        *self = Doc::wrap(self.kind(), am);
        Ok(edited)
    }

    fn write(&self, tx: &mut Transaction<'_>, edit: &Edit) -> Result<(), AutomergeError> {
        let nested = |field: &str, meaning| {
            self.nested(field, meaning).ok_or_else(|| AutomergeError::InvalidObjId(field.to_owned()))
        };
        match edit {
            Edit::Set { field, value } => {
                let other = self.other_value(field, None, None, value);
                for name in schema::names(self.kind(), field) {
                    // An older phone reads the former name, where one wrote it.
                    if name == field || !self.survivors(&ROOT, name).is_empty() {
                        put(tx, &ROOT, name, value.to_scalar(), other.as_ref())?;
                    }
                }
                Ok(())
            }
            Edit::SetIn { field, key, value } => {
                put(tx, &nested(field, Meaning::Registers)?, key, value.to_scalar(), None)
            }
            Edit::AddRecord { field, id, values } => {
                let records = nested(field, Meaning::Records)?;
                let record = tx.put_object(records, id.to_string(), ObjType::Map)?;
                values.iter().try_for_each(|(name, value)| tx.put(&record, name.as_str(), value.to_scalar()))
            }
            Edit::SetRecord { field, id, name, value } => {
                // A record added earlier in the same list is only in the transaction.
                let record = match self.maps_of(field, *id).into_iter().next() {
                    Some(record) => record,
                    None => pending_record(tx, nested(field, Meaning::Records)?, *id)?,
                };
                let other = self.other_value(field, Some(&id.to_string()), Some(name), value);
                put(tx, &record, name, value.to_scalar(), other.as_ref())
            }
            Edit::Append { log, id, body } => {
                tx.put(nested(log, Meaning::Log)?, id.to_string(), body.as_str())
            }
            Edit::PutElement { set, key, body } => {
                put(tx, &nested(set, Meaning::Set)?, key, body.as_str().into(), None)
            }
            Edit::RemoveElement { set, key } => tx.delete(nested(set, Meaning::Set)?, key.as_str()),
            Edit::Splice { text, at, delete, insert } => {
                tx.splice_text(nested(text, Meaning::Text)?, *at, *delete as isize, insert)
            }
        }
    }
}

impl Doc {
    /// A value of this register that is not `value`: another survivor's, or none at all.
    fn other_value(
        &self,
        field: &str,
        key: Option<&str>,
        name: Option<&str>,
        value: &Value,
    ) -> Option<ScalarValue> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let path = Path { field: field.to_owned(), key: owned(key), name: owned(name) };
        let mut survivors = self.survivors_at(&path).into_iter().map(|(held, _)| held);
        let other = survivors.find(|held| held != value).or((!value.is_null()).then_some(Value::Null));
        other.map(|other| other.to_scalar())
    }
}

/// Writes a register, always by an operation of its own. Of several survivors automerge would keep the one that it prefers, when that holds
/// the value already, and delete the others: nobody would have written the choice, and the gate takes no deletion of a register. Another
/// value, written first, makes the second writing a real one: that of another survivor, or `other` where the others survive elsewhere.
fn put(
    tx: &mut Transaction<'_>,
    object: &automerge::ObjId,
    key: &str,
    value: ScalarValue,
    other: Option<&ScalarValue>,
) -> Result<(), AutomergeError> {
    use automerge::ReadDoc as _;
    let preferred = tx.get(object, key)?.and_then(|(held, _)| held.as_scalar().cloned());
    if preferred.as_ref() == Some(&value) {
        let held = tx.get_all(object, key)?;
        let beside = held.iter().filter_map(|(held, _)| held.as_scalar()).find(|scalar| **scalar != value);
        if let Some(other) = beside.or(other).cloned() {
            tx.put(object, key, other)?;
        }
    }
    tx.put(object, key, value)
}

fn pending_record(
    tx: &Transaction<'_>,
    records: automerge::ObjId,
    id: EntryId,
) -> Result<automerge::ObjId, AutomergeError> {
    use automerge::ReadDoc as _;
    let made = tx.get(records, id.to_string())?;
    made.map(|(_, object)| object).ok_or_else(|| AutomergeError::InvalidObjId(id.to_string()))
}
