//! What a list of edits will do, worked out before any of it is written: each edit is checked against the table and the
//! limits, those that change nothing fall out, and every other gets its inverse. Refuses to write.

use std::collections::BTreeMap;

use super::conflict::Path;
use super::edit::{Edit, EditError, retraction};
use super::read::{REMOVED, Removal};
use super::schema::{self, Field, KIND_KEY, Meaning, ValueType};
use super::{Doc, NoClocks, Value};
use crate::ids::EntryId;
use crate::limits;

/// An edit that changes something.
pub(super) struct Planned<'a> {
    pub edit: &'a Edit,
    /// The register holds this very value already, beside others.
    pub again: bool,
}

/// What the edits so far will have done, before any of it is written.
pub(super) struct Plan<'a> {
    doc: &'a Doc,
    /// Registers, set elements (JSON text, null when removed) and log entries written by earlier edits of the list.
    registers: BTreeMap<Path, Value>,
    texts: BTreeMap<String, String>,
    /// The edits that change something, in order.
    pub todo: Vec<Planned<'a>>,
    /// What takes each of them back, in the same order.
    pub undo: Vec<Edit>,
}

impl<'a> Plan<'a> {
    pub fn new(doc: &'a Doc) -> Self {
        Self { doc, registers: BTreeMap::new(), texts: BTreeMap::new(), todo: Vec::new(), undo: Vec::new() }
    }

    pub fn add(&mut self, edit: &'a Edit) -> Result<(), EditError> {
        let mut again = false;
        let mut write = |plan: &mut Self, path, value| {
            let before;
            (before, again) = plan.write(path, value)?;
            Some(before)
        };
        let undo = match edit {
            Edit::Set { field, value } => {
                let row = self.field(field, Meaning::Register)?;
                check_value(field, row.value, value)?;
                let back = write(self, path(field, None, None), value.clone());
                back.map(|value| Edit::Set { field: field.clone(), value })
            }
            Edit::SetIn { field, key, value } => {
                let row = self.field(field, Meaning::Registers)?;
                check_key(key)?;
                check_value(field, row.value, value)?;
                let back = write(self, path(field, Some(key), None), value.clone());
                back.map(|value| Edit::SetIn { field: field.clone(), key: key.clone(), value })
            }
            Edit::AddRecord { field, id, values } => Some(self.add_record(field, *id, values)?),
            Edit::SetRecord { field, id, name, value } => {
                let row = self.field(field, Meaning::Records)?;
                check_part(row, name, value)?;
                let key = id.to_string();
                let pending = self.registers.contains_key(&path(field, Some(&key), None));
                if !pending && self.doc.maps_of(field, *id).is_empty() {
                    return Err(EditError::NoRecord(*id));
                }
                let back = write(self, path(field, Some(&key), Some(name)), value.clone());
                back.map(|value| Edit::SetRecord { field: field.clone(), id: *id, name: name.clone(), value })
            }
            Edit::Append { log, id, body } => self.append(log, *id, body)?,
            Edit::PutElement { set, key, body } => {
                self.field(set, Meaning::Set)?;
                check_key(key)?;
                check_json(set, body)?;
                let back = write(self, path(set, Some(key), None), Value::Text(body.clone()));
                back.map(|old| element(set, key, old))
            }
            Edit::RemoveElement { set, key } => {
                self.field(set, Meaning::Set)?;
                let back = write(self, path(set, Some(key), None), Value::Null);
                back.map(|old| element(set, key, old))
            }
            Edit::Splice { text, at, delete, insert } => self.splice(text, *at, *delete, insert)?,
        };
        if let Some(undo) = undo {
            self.todo.push(Planned { edit, again });
            self.undo.push(undo);
        }
        Ok(())
    }

    fn field(&self, name: &str, meaning: Meaning) -> Result<&'static Field, EditError> {
        let kind = self.doc.kind();
        let found = schema::field(kind, name).filter(|f| f.meaning == meaning && f.name != KIND_KEY);
        found.ok_or_else(|| EditError::UnknownField {
            kind: kind.name(),
            meaning: meaning_name(meaning),
            field: name.chars().take(64).collect(),
        })
    }

    /// Notes a write and gives the value before it, and whether the document holds the new one already; `None` when that changes nothing.
    fn write(&mut self, path: Path, value: Value) -> Option<(Value, bool)> {
        let (before, again) = match self.registers.get(&path) {
            Some(pending) if *pending == value => return None,
            Some(pending) => (pending.clone(), false),
            None => {
                let Current { before, settled, again } = self.current(&path, &value);
                if settled && before == value {
                    return None;
                }
                (before, again)
            }
        };
        self.registers.insert(path, value);
        Some((before, again))
    }

    fn current(&self, path: &Path, value: &Value) -> Current {
        let doc = self.doc;
        if let Path { field, key: Some(id), name: Some(name) } = path
            && name == REMOVED
            && let Ok(id) = id.parse()
            && matches!(
                doc.removal(&doc.survivors_of(&doc.maps_of(field, id)), &NoClocks),
                Removal::Contested(_)
            )
        {
            let again = doc.survivors_at(path).iter().any(|(held, _)| held == value);
            return Current { before: Value::Null, settled: false, again };
        }
        let survivors = doc.survivors_at(path);
        let settled = survivors.windows(2).all(|pair| pair[0].0 == pair[1].0);
        let again = survivors.iter().any(|(held, _)| held == value);
        Current { before: doc.chosen(survivors, &NoClocks).unwrap_or(Value::Null), settled, again }
    }

    fn add_record(
        &mut self,
        field: &str,
        id: EntryId,
        values: &BTreeMap<String, Value>,
    ) -> Result<Edit, EditError> {
        let row = self.field(field, Meaning::Records)?;
        for (name, value) in values {
            check_part(row, name, value)?;
        }
        let key = id.to_string();
        let taken = self.registers.contains_key(&path(field, Some(&key), None));
        if taken || !self.doc.maps_of(field, id).is_empty() {
            return Err(EditError::Exists(id));
        }
        self.registers.insert(path(field, Some(&key), None), Value::Bool(true));
        for (name, value) in values {
            self.registers.insert(path(field, Some(&key), Some(name)), value.clone());
        }
        Ok(Edit::SetRecord {
            field: field.to_owned(),
            id,
            name: "removed".to_owned(),
            value: Value::Bool(true),
        })
    }

    /// `None` when the log holds this very entry already.
    fn append(&mut self, log: &str, id: EntryId, body: &str) -> Result<Option<Edit>, EditError> {
        self.field(log, Meaning::Log)?;
        check_json(log, body)?;
        let place = path(log, Some(&id.to_string()), None);
        let held = match self.registers.get(&place) {
            Some(pending) => Some(pending.clone()),
            None => {
                let map = self.doc.nested(log, Meaning::Log);
                map.and_then(|map| self.doc.survivors(&map, &id.to_string()).into_iter().next())
                    .map(|(v, _)| v)
            }
        };
        match held {
            Some(Value::Text(same)) if same == body => Ok(None),
            Some(_) => Err(EditError::Exists(id)),
            None => {
                self.registers.insert(place, Value::Text(body.to_owned()));
                Ok(Some(retraction(log, id)))
            }
        }
    }

    fn splice(
        &mut self,
        text: &str,
        at: usize,
        delete: usize,
        insert: &str,
    ) -> Result<Option<Edit>, EditError> {
        self.field(text, Meaning::Text)?;
        within("a text", insert.len(), limits::VALUE_MAX_BYTES)?;
        let doc = self.doc;
        let now = self.texts.entry(text.to_owned()).or_insert_with(|| doc.text(text));
        let chars: Vec<char> = now.chars().collect();
        let end = at.checked_add(delete).filter(|end| *end <= chars.len());
        let Some(end) = end else { return Err(EditError::OutOfRange(at)) };
        let gone: String = chars[at..end].iter().collect();
        if gone == insert {
            return Ok(None);
        }
        let (before, after) = (&chars[..at], &chars[end..]);
        *now = before.iter().copied().chain(insert.chars()).chain(after.iter().copied()).collect();
        Ok(Some(Edit::Splice { text: text.to_owned(), at, delete: insert.chars().count(), insert: gone }))
    }
}

/// A register as it is in the document.
struct Current {
    /// The effective value.
    before: Value,
    /// Whether all survivors agree on it.
    settled: bool,
    /// Whether one of them is the value that is to be written.
    again: bool,
}

fn element(set: &str, key: &str, before: Value) -> Edit {
    let (set, key) = (set.to_owned(), key.to_owned());
    match before {
        Value::Text(body) => Edit::PutElement { set, key, body },
        _ => Edit::RemoveElement { set, key },
    }
}

fn path(field: &str, key: Option<&str>, name: Option<&str>) -> Path {
    Path { field: field.to_owned(), key: key.map(str::to_owned), name: name.map(str::to_owned) }
}

fn check_part(row: &Field, name: &str, value: &Value) -> Result<(), EditError> {
    let part = row.parts.iter().find(|part| part.name == name);
    let part = part.ok_or_else(|| EditError::WrongType(format!("{}.{name}", row.name)))?;
    check_value(name, part.value, value)
}

fn check_value(field: &str, of: ValueType, value: &Value) -> Result<(), EditError> {
    within("a value", value.size_bytes(), limits::VALUE_MAX_BYTES)?;
    if of.admits(value) { Ok(()) } else { Err(EditError::WrongType(field.to_owned())) }
}

fn check_json(field: &str, body: &str) -> Result<(), EditError> {
    within("a value", body.len(), limits::VALUE_MAX_BYTES)?;
    let parsed = serde_json::from_str::<serde::de::IgnoredAny>(body);
    parsed.map(|_| ()).map_err(|_| EditError::WrongType(field.to_owned()))
}

fn check_key(key: &str) -> Result<(), EditError> {
    if key.is_empty() {
        return Err(EditError::WrongType("an empty key".to_owned()));
    }
    within("a key", key.len(), limits::ELEMENT_KEY_MAX_BYTES)
}

pub(super) fn within(what: &'static str, size: usize, max: usize) -> Result<(), EditError> {
    if size <= max { Ok(()) } else { Err(EditError::TooLarge { what, max }) }
}

fn meaning_name(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Register => "register",
        Meaning::Registers => "map of registers",
        Meaning::Records => "records",
        Meaning::Set => "set",
        Meaning::Log => "log",
        Meaning::Text => "text",
    }
}
