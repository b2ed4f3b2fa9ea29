//! Conflicts: every register whose concurrent writers chose different values, with who, when and on which device.
//! Refuses to choose: [`resolution`] turns a person's one choice into an edit. Equal values are no conflict.

use automerge::{ObjId, ROOT};
use serde::{Deserialize, Serialize};

use super::schema::{self, Meaning};
use super::{Clocks, Doc, Edit, Value};
use crate::ids::{DeviceId, EntryId, UserId};
use crate::time::Occurred;

/// Where a register is: a field, a key of an open-keyed map, or a name inside a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Path {
    /// Root field.
    pub field: String,
    /// Key of an open-keyed map, or the record's id in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Name of the register inside a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// One of the values that survive side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictValue {
    /// The value; null when one side emptied the register.
    pub value: Value,
    /// Who wrote it last.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// When.
    pub at: Occurred,
}

/// A register with two or more different surviving values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Which register.
    pub path: Path,
    /// The values, the effective one first.
    pub values: Vec<ConflictValue>,
}

/// The edit that keeps one value and drops the others; `None` when there is no such choice.
pub fn resolution(conflict: &Conflict, choice: usize) -> Option<Edit> {
    let value = conflict.values.get(choice)?.value.clone();
    let Path { field, key, name } = conflict.path.clone();
    Some(match (key, name) {
        (None, _) => Edit::Set { field, value },
        (Some(key), None) => Edit::SetIn { field, key, value },
        (Some(key), Some(name)) => Edit::SetRecord { field, id: key.parse().ok()?, name, value },
    })
}

impl Doc {
    /// Every conflict of the document, ordered by path.
    pub fn conflicts(&self, clocks: &dyn Clocks) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        let root = |key: String| Path { field: key, key: None, name: None };
        // Registers that only a newer version knows are at the root too, and conflict like any other.
        self.conflicts_in(&ROOT, root, clocks, &mut conflicts);
        for field in schema::fields(self.kind()) {
            match field.meaning {
                Meaning::Registers => {
                    let Some(map) = self.nested(field.name, Meaning::Registers) else { continue };
                    let path = |key| Path { field: field.name.to_owned(), key: Some(key), name: None };
                    self.conflicts_in(&map, path, clocks, &mut conflicts);
                }
                Meaning::Records => {
                    for (id, record) in self.record_objects(field.name) {
                        if self.is_removed(&record, clocks) {
                            continue;
                        }
                        let path = |name| record_path(field.name, id, name);
                        self.conflicts_in(&record, path, clocks, &mut conflicts);
                    }
                }
                Meaning::Register | Meaning::Set | Meaning::Log | Meaning::Text => {}
            }
        }
        conflicts.sort_by(|a, b| a.path.cmp(&b.path));
        conflicts
    }

    fn conflicts_in(
        &self,
        object: &ObjId,
        path: impl Fn(String) -> Path,
        clocks: &dyn Clocks,
        out: &mut Vec<Conflict>,
    ) {
        for (key, survivors) in self.walk(object) {
            if survivors.windows(2).all(|pair| pair[0].0 == pair[1].0) {
                continue;
            }
            let mut written: Vec<_> =
                survivors.into_iter().map(|(value, op)| (value, self.written(&op, clocks))).collect();
            written.sort_by(|a, b| b.1.cmp(&a.1));
            let mut values: Vec<ConflictValue> = Vec::new();
            for (value, w) in written {
                if values.iter().all(|known| known.value != value) {
                    values.push(ConflictValue { value, user: w.user, device: w.device, at: w.at });
                }
            }
            out.push(Conflict { path: path(key), values });
        }
    }

    /// A conflict inside a removed record concerns nobody.
    fn is_removed(&self, record: &ObjId, clocks: &dyn Clocks) -> bool {
        self.effective_value(record, "removed", clocks) == Some(Value::Bool(true))
    }
}

fn record_path(field: &str, id: EntryId, name: String) -> Path {
    Path { field: field.to_owned(), key: Some(id.to_string()), name: Some(name) }
}
