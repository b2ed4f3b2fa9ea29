//! Editing: a list of [`Edit`]s becomes one change, stamped (O1), with its inverse. Refuses what the table of fields
//! does not know, what the limits forbid, and changes that change nothing.
//!
//! Edits are planned against the document as it is (with the earlier edits of the same list overlaid), then written
//! on a copy, or on what its owner gives away, so that nobody ever sees half a change.

use std::collections::BTreeMap;

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{AutomergeError, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::conflict::Path;
use super::doc::{DocError, guarded, malformed};
use super::history::History;
use super::plan::{Plan, Planned, within};
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
        let (doc, edited) = self.clone().edited(actor, stamp, edits)?;
        *self = doc;
        Ok(edited)
    }

    /// As [`Doc::edit`], for whoever has a copy to give away: the document with the change, or nothing of it.
    pub fn edited(self, actor: Actor, stamp: &Stamp, edits: &[Edit]) -> Result<(Self, Edited), EditError> {
        let mut plan = Plan::new(&self);
        for edit in edits {
            plan.add(edit)?;
        }
        let Plan { todo, mut undo, .. } = plan;
        if todo.is_empty() {
            return Err(EditError::NothingChanged);
        }
        undo.reverse();
        let kind = self.kind();
        let version = schema::version(kind);
        let is_older = self.schema_version() < version;
        let mut writes = Vec::with_capacity(todo.len());
        for planned in todo {
            self.resolve(&planned, &mut writes).map_err(malformed)?;
        }
        let (mut am, history) = self.into_parts();
        am.set_actor(actor.to_automerge());
        let (am, change) = guarded(|| {
            let mut tx = am.transaction();
            for write in writes {
                write.carry_out(&mut tx).map_err(malformed)?;
            }
            if is_older {
                tx.put(ROOT, SCHEMA_KEY, version).map_err(malformed)?;
            }
            let (made, _) =
                tx.commit_with(CommitOptions::default().with_time(0).with_message(stamp.to_message()));
            let change = made.and_then(|_| am.get_last_local_change());
            Ok((am, change))
        })?;
        let change = change.ok_or(EditError::NothingChanged)?;
        within("a change", change.raw_bytes().len(), limits::CHANGE_MAX_BYTES)?;
        within("the operations of a change", change.len(), limits::CHANGE_MAX_OPS)?;
        let edited = Edited {
            change: change.raw_bytes().to_vec(),
            hash: Hash32(change.hash().0),
            seq: change.seq(),
            undo,
        };
        let history = history.map(|known| History::grow(known, std::iter::once(&change)));
        Ok((Self::wrap_known(kind, am, history), edited))
    }

    /// What an edit writes, and where, read from the document as it is before any of the list is written.
    fn resolve(&self, planned: &Planned<'_>, writes: &mut Vec<Write>) -> Result<(), AutomergeError> {
        let nested = |field: &str, meaning| {
            self.nested(field, meaning).ok_or_else(|| AutomergeError::InvalidObjId(field.to_owned()))
        };
        let put = |map, key: &str, value, other: Option<Option<ScalarValue>>| {
            let key = key.to_owned();
            match other {
                None => Write::Put { map, key, value },
                Some(other) => Write::PutAgain { map, key, value, other },
            }
        };
        let again = planned.again.then_some(None);
        writes.push(match planned.edit {
            Edit::Set { field, value } => {
                for name in schema::names(self.kind(), field) {
                    // An older phone reads the former name, where one wrote it.
                    let held = self.survivors(&ROOT, name);
                    if name == field || !held.is_empty() {
                        // What a later writer under the other name replaced still stands under this one.
                        let again = held.iter().any(|(held, _)| held == value);
                        let other = again.then(|| self.other_value(field, None, None, value));
                        writes.push(put(ROOT, name, value.to_scalar(), other));
                    }
                }
                return Ok(());
            }
            Edit::SetIn { field, key, value } => {
                put(nested(field, Meaning::Registers)?, key, value.to_scalar(), again)
            }
            Edit::AddRecord { field, id, values } => {
                Write::Record { records: nested(field, Meaning::Records)?, id: *id, values: values.clone() }
            }
            Edit::SetRecord { field, id, name, value } => match self.maps_of(field, *id).into_iter().next() {
                Some(map) => {
                    let id = id.to_string();
                    let other = planned.again.then(|| self.other_value(field, Some(&id), Some(name), value));
                    put(map, name, value.to_scalar(), other)
                }
                None => {
                    let records = nested(field, Meaning::Records)?;
                    Write::OfNewRecord { records, id: *id, key: name.clone(), value: value.to_scalar() }
                }
            },
            Edit::Append { log, id, body } => {
                put(nested(log, Meaning::Log)?, &id.to_string(), body.as_str().into(), None)
            }
            Edit::PutElement { set, key, body } => {
                put(nested(set, Meaning::Set)?, key, body.as_str().into(), again)
            }
            Edit::RemoveElement { set, key } => {
                Write::Delete { map: nested(set, Meaning::Set)?, key: key.clone() }
            }
            Edit::Splice { text, at, delete, insert } => {
                let text = nested(text, Meaning::Text)?;
                Write::Splice { text, at: *at, delete: *delete, insert: insert.clone() }
            }
        });
        Ok(())
    }

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

/// One writing into automerge.
enum Write {
    /// A value that does not survive there yet.
    Put {
        map: ObjId,
        key: String,
        value: ScalarValue,
    },
    /// A value that survives already, beside others.
    PutAgain {
        map: ObjId,
        key: String,
        value: ScalarValue,
        other: Option<ScalarValue>,
    },
    Record {
        records: ObjId,
        id: EntryId,
        values: BTreeMap<String, Value>,
    },
    /// A register of a record that an earlier edit of the same list adds.
    OfNewRecord {
        records: ObjId,
        id: EntryId,
        key: String,
        value: ScalarValue,
    },
    Delete {
        map: ObjId,
        key: String,
    },
    Splice {
        text: ObjId,
        at: usize,
        delete: usize,
        insert: String,
    },
}

impl Write {
    fn carry_out(self, tx: &mut Transaction<'_>) -> Result<(), AutomergeError> {
        match self {
            Self::Put { map, key, value } => tx.put(map, key, value),
            Self::PutAgain { map, key, value, other } => put_again(tx, &map, &key, value, other),
            Self::Record { records, id, values } => {
                let record = tx.put_object(records, id.to_string(), ObjType::Map)?;
                values.into_iter().try_for_each(|(name, value)| tx.put(&record, name, value.to_scalar()))
            }
            Self::OfNewRecord { records, id, key, value } => {
                let made = tx.get(records, id.to_string())?;
                let (_, record) = made.ok_or_else(|| AutomergeError::InvalidObjId(id.to_string()))?;
                tx.put(record, key, value)
            }
            Self::Delete { map, key } => tx.delete(map, key),
            Self::Splice { text, at, delete, insert } => tx.splice_text(text, at, delete as isize, &insert),
        }
    }
}

/// Writes a register, always by an operation of its own. Of several survivors automerge would keep the one that it prefers, when that holds
/// the value already, and delete the others: nobody would have written the choice, and the gate takes no deletion of a register. Another
/// value, written first, makes the second writing a real one: that of another survivor, or `other` where the others survive elsewhere.
fn put_again(
    tx: &mut Transaction<'_>,
    map: &ObjId,
    key: &str,
    value: ScalarValue,
    other: Option<ScalarValue>,
) -> Result<(), AutomergeError> {
    let preferred = tx.get(map, key)?.and_then(|(held, _)| held.as_scalar().cloned());
    if preferred.as_ref() == Some(&value) {
        let held = tx.get_all(map, key)?;
        let beside = held.iter().filter_map(|(held, _)| held.as_scalar()).find(|scalar| **scalar != value);
        if let Some(other) = beside.cloned().or(other) {
            tx.put(map, key, other)?;
        }
    }
    tx.put(map, key, value)
}
