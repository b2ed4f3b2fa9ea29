//! What changes say, in the words of the table of fields, for a person who decides about work that is not merged: one that builds on
//! what nobody has, or contradicts what is there, can be read all the same. Refuses to judge and to apply.
//!
//! The bytes are foreign: they pass the scan of [`super::chunk`], whose bounds hold for what is read here, before anything decodes them.

use std::collections::BTreeMap;

use automerge::legacy::{Key, ObjectId, Op, OpType};
use automerge::{ActorId, Change, ObjId, ObjType, ScalarValue};
use serde::Serialize;

use super::chunk;
use super::conflict::Path;
use super::doc::{guarded, malformed};
use super::genesis;
use super::schema::{self, Meaning};
use super::{Doc, Value};
use crate::ids::{Actor, DocKind, EntryId};
use crate::time::Stamp;

/// One change in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Who wrote it.
    pub actor: Actor,
    /// When, and in whose name.
    pub stamp: Option<Stamp>,
    /// What it writes, in its order.
    pub writes: Vec<Written>,
}

/// One thing that a change writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "write", rename_all = "snake_case")]
pub enum Written {
    /// A register, one of a map of registers, or one of a record.
    Value {
        /// Which.
        path: Path,
        /// Null empties it.
        value: Value,
    },
    /// A new record; its registers follow.
    Record {
        /// The field of records.
        field: String,
        /// Its id.
        id: EntryId,
    },
    /// An entry of a log, or an element of a set.
    Entry {
        /// The field.
        field: String,
        /// The entry's id, the element's key.
        key: String,
        /// JSON as text; nothing: the element is removed.
        body: Option<String>,
    },
    /// Text. Where in the text is not told.
    Text {
        /// The field.
        field: String,
        /// The characters that come, in the order of their writing.
        inserted: String,
        /// How many go.
        deleted: usize,
    },
    /// Something that this version has no word for.
    Unknown,
}

/// Puts changes of one document into words, each by itself; `None` for bytes that are no change. `base` is the document as it is stored, whose
/// records they may write into.
pub fn describe(kind: DocKind, base: Option<&Doc>, changes: &[impl AsRef<[u8]>]) -> Vec<Option<Described>> {
    let mut records = base.map(records_of).unwrap_or_default();
    changes.iter().map(|bytes| describe_one(kind, &mut records, bytes.as_ref())).collect()
}

/// Records by the operation that made them.
type Records = BTreeMap<(u64, Vec<u8>), (&'static str, EntryId)>;

fn describe_one(kind: DocKind, records: &mut Records, bytes: &[u8]) -> Option<Described> {
    let scanned = chunk::scan(bytes).ok()?;
    let (change, operations) = guarded(|| {
        let change = Change::from_bytes(scanned.raw).map_err(malformed)?;
        let operations = change.decode().operations;
        Ok((change, operations))
    })
    .ok()?;
    let actor = Actor::from_bytes(change.actor_id().to_bytes())?;
    let mut writes: Vec<Written> = Vec::new();
    for (counter, op) in (change.start_op().get()..).zip(&operations) {
        let written = written(kind, records, op, counter, change.actor_id());
        match (writes.last_mut(), written) {
            // Text comes character by character.
            (
                Some(Written::Text { field, inserted, deleted }),
                Written::Text { field: same, inserted: more, deleted: fewer },
            ) if *field == same => {
                inserted.push_str(&more);
                *deleted += fewer;
            }
            (_, written) => writes.push(written),
        }
    }
    Some(Described { actor, stamp: change.message().and_then(Stamp::from_message), writes })
}

fn written(kind: DocKind, records: &mut Records, op: &Op, counter: u64, actor: &ActorId) -> Written {
    let known = match &op.obj {
        ObjectId::Root => value_at(op, |key| Path { field: key.to_owned(), key: None, name: None }),
        ObjectId::Id(id) if *id.actor() == genesis::genesis_actor() => {
            genesis::field_of_object(kind, id.counter())
                .and_then(|field| nested(field, records, op, counter, actor))
        }
        ObjectId::Id(id) => {
            let record = records.get(&(id.counter(), id.actor().to_bytes().to_vec()));
            record.and_then(|(field, id)| {
                value_at(op, |name| Path {
                    field: (*field).to_owned(),
                    key: Some(id.to_string()),
                    name: Some(name.to_owned()),
                })
            })
        }
    };
    known.unwrap_or(Written::Unknown)
}

fn nested(
    field: &'static schema::Field,
    records: &mut Records,
    op: &Op,
    counter: u64,
    actor: &ActorId,
) -> Option<Written> {
    let name = field.name.to_owned();
    match (field.meaning, &op.action) {
        (Meaning::Registers, _) => {
            value_at(op, |key| Path { field: name.clone(), key: Some(key.to_owned()), name: None })
        }
        (Meaning::Records, OpType::Make(ObjType::Map)) => {
            let id = map_key(op)?.parse().ok()?;
            records.insert((counter, actor.to_bytes().to_vec()), (field.name, id));
            Some(Written::Record { field: name, id })
        }
        (Meaning::Log | Meaning::Set, OpType::Put(ScalarValue::Str(body))) => {
            Some(Written::Entry { field: name, key: map_key(op)?.to_owned(), body: Some(body.to_string()) })
        }
        (Meaning::Set, OpType::Delete) => {
            Some(Written::Entry { field: name, key: map_key(op)?.to_owned(), body: None })
        }
        (Meaning::Text, OpType::Put(ScalarValue::Str(text))) if op.insert => {
            Some(Written::Text { field: name, inserted: text.to_string(), deleted: 0 })
        }
        (Meaning::Text, OpType::Delete) => {
            Some(Written::Text { field: name, inserted: String::new(), deleted: 1 })
        }
        _ => None,
    }
}

fn value_at(op: &Op, path: impl FnOnce(&str) -> Path) -> Option<Written> {
    let OpType::Put(scalar) = &op.action else { return None };
    Some(Written::Value { path: path(map_key(op)?), value: Value::from_scalar(scalar)? })
}

fn map_key(op: &Op) -> Option<&str> {
    match &op.key {
        Key::Map(key) => Some(key),
        Key::Seq(_) => None,
    }
}

fn records_of(base: &Doc) -> Records {
    let mut records = Records::new();
    for field in schema::fields(base.kind()).iter().filter(|field| field.meaning == Meaning::Records) {
        for (id, maps) in base.record_maps(field.name) {
            for object in maps {
                if let ObjId::Id(counter, actor, _) = object {
                    records.insert((counter, actor.to_bytes().to_vec()), (field.name, id));
                }
            }
        }
    }
    records
}
