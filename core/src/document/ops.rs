//! Which operations the table of fields allows, one by one (step 5 of the gate). Operations, not patches: a patch
//! hides the write that lost.
//!
//! In short: a nested object is never made, overwritten or deleted, except a record's map under an id that its maker could not know to be
//! taken; a log entry is written once; registers take scalars of their type; text takes single characters. What an operation refers to has to
//! stand where it says, which is judged by [`Past`].

use std::collections::{BTreeMap, BTreeSet};

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, ObjId, ObjType, ScalarValue};

use super::admit::{Refusal, WriteScope};
use super::past::Past;
use super::schema::{self, Field, KIND_KEY, Meaning, SCHEMA_KEY, ValueType};
use super::{Doc, Value, genesis};
use crate::ids::{EntryId, Hash32};
use crate::limits;

/// The rules for one batch of changes against one document.
pub(super) struct OpRules<'a> {
    base: &'a Doc,
    may: &'a WriteScope,
    genesis_actor: ActorId,
    /// Records that the document holds, by the operation that made them. Filled when first needed.
    records: Option<BTreeMap<(u64, Vec<u8>), &'static Field>>,
    /// Keys that this batch adds to a log or to records.
    added: BTreeSet<(&'static str, String)>,
    past: Past<'a>,
}

impl<'a> OpRules<'a> {
    pub fn new(base: &'a Doc, may: &'a WriteScope) -> Self {
        let genesis_actor = genesis::genesis_actor();
        Self { base, may, genesis_actor, records: None, added: BTreeSet::new(), past: Past::new(base) }
    }

    /// Begins the next change of the batch: whatever lies behind `deps` was known to its author.
    pub fn begin(&mut self, deps: impl Iterator<Item = Hash32>) {
        self.past.learn(deps);
    }

    /// Judges one operation, which will have the id (counter, actor).
    pub fn check(&mut self, op: &Op, counter: u64, actor: &ActorId) -> Result<(), Refusal> {
        self.check_field(op, counter, actor)?;
        self.past.check(op, counter, actor)
    }

    fn check_field(&mut self, op: &Op, counter: u64, actor: &ActorId) -> Result<(), Refusal> {
        match &op.obj {
            ObjectId::Root => self.check_root(op),
            ObjectId::Id(id) if *id.actor() == self.genesis_actor => {
                let field = genesis::field_of_object(self.base.kind(), id.counter());
                let field = field.ok_or(Refusal::Operation("no such object"))?;
                self.may_write(field.name)?;
                self.check_nested(field, op, counter, actor)
            }
            ObjectId::Id(id) => {
                let field = self.record_field(id).ok_or(Refusal::Operation("no such object"))?;
                self.may_write(field.name)?;
                let name = map_key(op)?;
                let of = field.parts.iter().find(|part| part.name == name).map(|part| part.value);
                check_register(op, of)
            }
        }
    }

    fn check_root(&self, op: &Op) -> Result<(), Refusal> {
        let key = map_key(op)?;
        if key == KIND_KEY {
            return Err(Refusal::Operation("the kind is settled"));
        }
        let field = schema::field_read_under(self.base.kind(), key);
        if field.is_some_and(|field| field.meaning != Meaning::Register) {
            return Err(Refusal::Operation("the objects of a document are settled"));
        }
        // Whoever writes anything says in which version.
        if key != SCHEMA_KEY || *self.may == WriteScope::Nothing {
            self.may_write(key)?;
        }
        check_register(op, field.map(|field| field.value))
    }

    fn check_nested(
        &mut self,
        field: &'static Field,
        op: &Op,
        counter: u64,
        actor: &ActorId,
    ) -> Result<(), Refusal> {
        match field.meaning {
            Meaning::Register => Err(Refusal::Operation("no such object")),
            Meaning::Registers => {
                map_key(op)?;
                check_register(op, Some(field.value))
            }
            Meaning::Text => check_text(op),
            Meaning::Set => {
                map_key(op)?;
                match &op.action {
                    OpType::Delete => Ok(()),
                    _ => check_json(op).map(|_| ()),
                }
            }
            Meaning::Log => {
                let key = entry_key(op)?;
                let body = check_json(op)?;
                if !op.pred.is_empty() {
                    return Err(Refusal::Operation("an entry of a log is written once"));
                }
                self.check_entry(field, key, body)
            }
            Meaning::Records => {
                let key = entry_key(op)?;
                if op.action != OpType::Make(ObjType::Map) || !op.pred.is_empty() {
                    return Err(Refusal::Operation("a record is made once and never removed"));
                }
                self.add_record(field, key)?;
                self.records().insert((counter, actor.to_bytes().to_vec()), field);
                Ok(())
            }
        }
    }

    /// An entry is new, or the very entry that another device appended under the same derived id.
    fn check_entry(&mut self, field: &'static Field, key: &str, body: &str) -> Result<(), Refusal> {
        let object = genesis::object(self.base.kind(), field.name);
        let held = object.map(|object| self.base.survivors(&object, key)).unwrap_or_default();
        let same = held.iter().all(|(value, _)| matches!(value, Value::Text(text) if text == body));
        if !same {
            return Err(Refusal::Operation("an entry of a log is written once"));
        }
        self.add(field, key)
    }

    /// A record's id is fresh, or its maker could not know that it is taken: nobody's map is behind the change that makes this one.
    fn add_record(&mut self, field: &'static Field, key: &str) -> Result<(), Refusal> {
        let id = key.parse().unwrap_or_default();
        let maps = self.base.maps_of(field.name, id);
        if maps.iter().any(|map| self.past.knows(self.base.change_of(map))) {
            return Err(Refusal::Operation("the id is taken"));
        }
        self.add(field, key)
    }

    fn add(&mut self, field: &'static Field, key: &str) -> Result<(), Refusal> {
        match self.added.insert((field.name, key.to_owned())) {
            true => Ok(()),
            false => Err(Refusal::Operation("the id is taken")),
        }
    }

    fn may_write(&self, field: &str) -> Result<(), Refusal> {
        let may = match self.may {
            WriteScope::Nothing => false,
            WriteScope::Fields(fields) => fields.contains(field),
            WriteScope::Everything => true,
        };
        if may { Ok(()) } else { Err(Refusal::NotAllowed) }
    }

    fn record_field(&mut self, id: &OpId) -> Option<&'static Field> {
        self.records().get(&(id.counter(), id.actor().to_bytes().to_vec())).copied()
    }

    fn records(&mut self) -> &mut BTreeMap<(u64, Vec<u8>), &'static Field> {
        let base = self.base;
        self.records.get_or_insert_with(|| {
            let mut records = BTreeMap::new();
            let fields = schema::fields(base.kind()).iter().filter(|field| field.meaning == Meaning::Records);
            for field in fields {
                for object in base.record_maps(field.name).flat_map(|(_, maps)| maps) {
                    if let ObjId::Id(counter, actor, _) = object {
                        records.insert((counter, actor.to_bytes().to_vec()), field);
                    }
                }
            }
            records
        })
    }
}

/// A key of a map, short enough.
fn map_key(op: &Op) -> Result<&str, Refusal> {
    match &op.key {
        Key::Map(key) if op.insert || key.is_empty() => Err(Refusal::Operation("not a key of a map")),
        Key::Map(key) if key.len() > limits::ELEMENT_KEY_MAX_BYTES => Err(Refusal::TooLarge),
        Key::Map(key) => Ok(key),
        Key::Seq(_) => Err(Refusal::Operation("not a key of a map")),
    }
}

/// A key that is an entry's or a record's id, in its one spelling.
fn entry_key(op: &Op) -> Result<&str, Refusal> {
    let key = map_key(op)?;
    let id = key.parse::<EntryId>().ok();
    if id.is_some_and(|id| id.to_string() == key) { Ok(key) } else { Err(Refusal::Operation("not an id")) }
}

/// A scalar of the register's type; of a register that only a newer version knows, any scalar of ours.
fn check_register(op: &Op, of: Option<ValueType>) -> Result<(), Refusal> {
    let OpType::Put(scalar) = &op.action else {
        return Err(Refusal::Operation("a register takes a value and nothing else"));
    };
    let value = Value::from_scalar(scalar).ok_or(Refusal::Operation("not a value of ours"))?;
    if value.size_bytes() > limits::VALUE_MAX_BYTES {
        return Err(Refusal::TooLarge);
    }
    if of.is_none_or(|of| of.admits(&value)) {
        Ok(())
    } else {
        Err(Refusal::Operation("not a value of this type"))
    }
}

fn check_json(op: &Op) -> Result<&str, Refusal> {
    let OpType::Put(ScalarValue::Str(body)) = &op.action else {
        return Err(Refusal::Operation("an entry is JSON"));
    };
    if body.len() > limits::VALUE_MAX_BYTES {
        return Err(Refusal::TooLarge);
    }
    let json = serde_json::from_str::<serde::de::IgnoredAny>(body);
    json.map(|_| body.as_str()).map_err(|_| Refusal::Operation("an entry is JSON"))
}

fn check_text(op: &Op) -> Result<(), Refusal> {
    match (&op.action, &op.key, op.insert) {
        (OpType::Put(ScalarValue::Str(text)), Key::Seq(_), true) if op.pred.is_empty() => {
            let one = !text.is_empty() && text.len() <= CHARACTER_MAX_BYTES;
            if one { Ok(()) } else { Err(Refusal::Operation("text grows character by character")) }
        }
        (OpType::Delete, Key::Seq(ElementId::Id(_)), false) => Ok(()),
        _ => Err(Refusal::Operation("text takes characters and nothing else")),
    }
}

/// One character as some clients count them: an emoji of several code points is one operation.
const CHARACTER_MAX_BYTES: usize = 64;
