//! Conflicts: every register whose concurrent writers chose different values, with who, when and on which device.
//! Refuses to choose: [`resolution`] turns a person's one choice into an edit. Equal values are no conflict.

use automerge::{ObjId, ROOT, ReadDoc};
use serde::{Deserialize, Serialize};

use super::read::{REMOVED, Removal, Written};
use super::schema::{self, Meaning, SCHEMA_KEY};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
        self.root_conflicts(clocks, &mut conflicts);
        for field in schema::fields(self.kind()) {
            match field.meaning {
                Meaning::Registers => {
                    let Some(map) = self.nested(field.name, Meaning::Registers) else { continue };
                    let path = |key| Path { field: field.name.to_owned(), key: Some(key), name: None };
                    let found = self
                        .walk_conflicts(&map)
                        .filter_map(|(key, all)| self.conflict(path(key), all, clocks));
                    conflicts.extend(found);
                }
                Meaning::Records => {
                    for (id, maps) in self.record_maps(field.name) {
                        self.record_conflicts(field.name, id, &maps, clocks, &mut conflicts);
                    }
                }
                Meaning::Register | Meaning::Set | Meaning::Log | Meaning::Text => {}
            }
        }
        conflicts.sort_by(|a, b| a.path.cmp(&b.path));
        conflicts
    }

    /// Registers that only a newer version knows are at the root too, and conflict like any other. Those that were renamed conflict under
    /// their present name; the version of the document never does.
    fn root_conflicts(&self, clocks: &dyn Clocks, out: &mut Vec<Conflict>) {
        let path = |key: &str| Path { field: key.to_owned(), key: None, name: None };
        let renamed: Vec<_> =
            schema::fields(self.kind()).iter().filter(|field| !field.former.is_empty()).collect();
        for (key, survivors) in self.walk_conflicts(&ROOT) {
            let elsewhere = renamed.iter().any(|f| f.name == key || f.former.contains(&key.as_str()));
            if key != SCHEMA_KEY && !elsewhere {
                out.extend(self.conflict(path(&key), survivors, clocks));
            }
        }
        for field in renamed {
            let survivors = self.survivors_under(schema::names(self.kind(), field.name));
            out.extend(self.conflict(path(field.name), survivors, clocks));
        }
    }

    /// In a removed record only the removal itself can be in conflict. A removal by somebody who did not know what somebody else wrote
    /// at the same time is one: the record stays until a person chooses.
    fn record_conflicts(
        &self,
        field: &str,
        id: EntryId,
        maps: &[ObjId],
        clocks: &dyn Clocks,
        out: &mut Vec<Conflict>,
    ) {
        if let [map] = maps
            && !self.am().map_range(map, ..).any(|item| item.conflict || item.key == REMOVED)
        {
            return;
        }
        let survivors = self.survivors_of(maps);
        let removal = self.removal(&survivors, clocks);
        for (name, all) in survivors {
            let is_removal = name == REMOVED;
            let path = record_path(field, id, name);
            match &removal {
                Removal::Whole if !is_removal => {}
                Removal::Contested(edit) if is_removal => {
                    let mut values = self.conflict_values(all, clocks);
                    values.retain(|known| known.value == Value::Bool(true));
                    let Written { user, device, at, .. } = **edit;
                    values.insert(0, ConflictValue { value: Value::Bool(false), user, device, at });
                    out.push(Conflict { path, values });
                }
                _ => out.extend(self.conflict(path, all, clocks)),
            }
        }
    }

    fn conflict(&self, path: Path, survivors: Vec<(Value, ObjId)>, clocks: &dyn Clocks) -> Option<Conflict> {
        if survivors.windows(2).all(|pair| pair[0].0 == pair[1].0) {
            return None;
        }
        Some(Conflict { path, values: self.conflict_values(survivors, clocks) })
    }

    /// The different values, the effective one first.
    fn conflict_values(&self, survivors: Vec<(Value, ObjId)>, clocks: &dyn Clocks) -> Vec<ConflictValue> {
        let mut written: Vec<_> =
            survivors.into_iter().map(|(value, op)| (value, self.written(&op, clocks))).collect();
        written.sort_by(|a, b| b.1.cmp(&a.1));
        let mut values: Vec<ConflictValue> = Vec::new();
        for (value, w) in written {
            if values.iter().all(|known| known.value != value) {
                values.push(ConflictValue { value, user: w.user, device: w.device, at: w.at });
            }
        }
        values
    }
}

fn record_path(field: &str, id: EntryId, name: String) -> Path {
    Path { field: field.to_owned(), key: Some(id.to_string()), name: Some(name) }
}
