//! Taking one change back. Whoever takes an edit back means what they wrote, not what others made of it since: a register goes back only
//! where their value is the one that stands, of a text their characters go and the ones that they deleted come back, by the operations
//! and not by places. Refuses to touch anything else, and says when something was left for that.

use std::collections::{BTreeMap, BTreeSet};

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpType};
use automerge::{Change, ChangeHash, ObjId, ReadDoc, ValueRef};

use super::conflict::Path;
use super::doc::{guarded, malformed};
use super::edit::retraction_id;
use super::plan::Plan;
use super::read::REMOVED;
use super::schema::{self, Meaning};
use super::{Doc, Edit, Value, genesis};
use crate::ids::{EntryId, Hash32};

/// How a change is taken back now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakeBack {
    /// The edits that do it; none when nothing of it stands any more.
    pub edits: Vec<Edit>,
    /// Something of the change stays, because others have written since, or the document no longer holds the change.
    pub partly: bool,
}

impl Doc {
    /// How `change` is taken back in the document as it is now. `undo` are the edits that took it back when it was made
    /// ([`super::Edited::undo`]). The change that created a lead or an account deletes it.
    pub fn take_back(&self, change: &Hash32, undo: &[Edit]) -> TakeBack {
        let Some(traces) = Traces::of(self, change) else {
            return TakeBack { edits: Vec::new(), partly: true };
        };
        if traces.created && schema::field(self.kind(), DELETED).is_some() {
            let partly = self.change_count() > 2;
            let delete = Edit::Set { field: DELETED.to_owned(), value: Value::Bool(true) };
            return TakeBack { edits: if partly { Vec::new() } else { vec![delete] }, partly };
        }
        let mut back = TakeBack::default();
        let mut texts = BTreeSet::new();
        for edit in undo {
            match edit {
                Edit::Splice { text, .. } => texts.extend([text.as_str()]),
                edit if self.stands(&traces, edit) => back.edits.push(edit.clone()),
                _ => back.partly = true,
            }
        }
        for text in texts {
            let edits = self.take_back_text(&traces, text);
            back.partly |= edits.is_empty();
            back.edits.extend(edits);
        }
        // What is as it should be already leaves nothing to take back.
        let mut plan = Plan::new(self);
        let sound = back.edits.iter().try_for_each(|edit| plan.add(edit));
        if sound.is_err() || plan.todo.is_empty() {
            return TakeBack { edits: Vec::new(), partly: true };
        }
        back
    }

    /// Whether what this edit would take back is still the change's own writing.
    fn stands(&self, traces: &Traces, undo: &Edit) -> bool {
        let path = |field: &str, key: Option<String>, name: Option<&str>| Path {
            field: field.to_owned(),
            key,
            name: name.map(str::to_owned),
        };
        let mine = |path: Path| {
            let survivors = self.survivors_at(&path);
            !survivors.is_empty() && survivors.iter().all(|(_, op)| self.change_of(op) == traces.change)
        };
        match undo {
            Edit::Set { field, .. } => mine(path(field, None, None)),
            Edit::SetIn { field, key, .. } => mine(path(field, Some(key.clone()), None)),
            Edit::SetRecord { field, id, name, .. } => {
                let register = path(field, Some(id.to_string()), Some(name));
                if name == REMOVED && self.survivors_at(&register).is_empty() {
                    return self.record_is_of(traces, field, *id);
                }
                mine(register)
            }
            Edit::RemoveElement { set, key } => mine(path(set, Some(key.clone()), None)),
            Edit::PutElement { set, key, .. } => {
                let element = path(set, Some(key.clone()), None);
                let gone = self.survivors_at(&element).is_empty();
                mine(element) || gone && traces.alone_removed(genesis::object_counter(self.kind(), set), key)
            }
            Edit::Append { log, id, body } => retracted(body).is_some_and(|entry| {
                let held = !self.survivors_at(&path(log, Some(id.to_string()), None)).is_empty();
                !held && retraction_id(entry) == *id && mine(path(log, Some(entry.to_string()), None))
            }),
            // A change is never taken back by these.
            Edit::AddRecord { .. } | Edit::Splice { .. } => false,
        }
    }

    /// Whether the change made this record and nobody else wrote in it.
    fn record_is_of(&self, traces: &Traces, field: &str, id: EntryId) -> bool {
        let maps = self.maps_of(field, id);
        let survivors = self.survivors_of(&maps);
        let mut ops = survivors.values().flatten().map(|(_, op)| op).chain(&maps);
        !maps.is_empty() && ops.all(|op| self.change_of(op) == traces.change)
    }

    /// Removes the characters that the change typed and brings back those that it alone deleted, each behind the nearest character before it
    /// that is still there. From the end to the beginning, so that no edit moves the place of the next.
    fn take_back_text(&self, traces: &Traces, text: &str) -> Vec<Edit> {
        let Some(object) = self.nested(text, Meaning::Text) else { return Vec::new() };
        let counter = genesis::object_counter(self.kind(), text);
        let (mut typed, mut deleted) = (BTreeSet::new(), BTreeSet::new());
        for (at, op) in traces.ops.iter().enumerate() {
            match text_op(op, counter) {
                Some(Touch::Insert) => typed.extend([(traces.start_op + at as u64, traces.actor.clone())]),
                Some(Touch::Delete(id)) => deleted.extend([id]),
                None => {}
            }
        }
        for op in &traces.others {
            if let Some(Touch::Delete(id)) = text_op(op, counter) {
                deleted.remove(&id);
            }
        }
        let before: Vec<_> = traces.deps.iter().map(|dep| ChangeHash(dep.0)).collect();
        let old = elements(self.am().list_range_at(&object, .., &before));
        let now = elements(self.am().list_range(&object, ..));
        // The text as it was, as far as it still is, tells where what comes back belongs.
        let places: BTreeMap<_, _> = now.iter().enumerate().map(|(at, (id, _))| (id, at)).collect();
        let mut come_back = vec![String::new(); now.len() + 1];
        let mut place = 0;
        for (id, character) in &old {
            if let Some(at) = places.get(id) {
                place = at + 1;
            } else if deleted.contains(id) {
                come_back[place].push_str(character);
            }
        }
        let mut edits = Vec::new();
        let mut goes = 0;
        for at in (0..=now.len()).rev() {
            // What goes is gathered until something that stays, or comes back, stands before it.
            let insert = std::mem::take(&mut come_back[at]);
            if !insert.is_empty() || (goes > 0 && (at == 0 || !typed.contains(&now[at - 1].0))) {
                edits.push(Edit::Splice { text: text.to_owned(), at, delete: goes, insert });
                goes = 0;
            }
            if at > 0 && typed.contains(&now[at - 1].0) {
                goes += 1;
            }
        }
        edits
    }
}

/// What a change did, and what was done beside and after it.
struct Traces {
    change: Hash32,
    actor: Vec<u8>,
    start_op: u64,
    deps: Vec<Hash32>,
    ops: Vec<Op>,
    /// The operations of every change that this one did not know.
    others: Vec<Op>,
    /// Nothing but genesis was there before it.
    created: bool,
}

impl Traces {
    /// `None` when the document does not hold the change.
    fn of(doc: &Doc, change: &Hash32) -> Option<Self> {
        let decode = |bytes: Vec<u8>| {
            guarded(|| Change::from_bytes(bytes).map(|change| change.decode()).map_err(malformed)).ok()
        };
        let own = decode(doc.change(change)?.bytes)?;
        let deps: Vec<_> = own.deps.iter().map(|dep| Hash32(dep.0)).collect();
        let others = doc.changes_after(&deps).into_iter().filter(|other| other.hash != *change);
        Some(Self {
            change: *change,
            actor: own.actor_id.to_bytes().to_vec(),
            start_op: own.start_op.get(),
            created: deps == [genesis::genesis(doc.kind()).hash],
            deps,
            ops: own.operations,
            others: others
                .filter_map(|other| decode(other.bytes))
                .flat_map(|other| other.operations)
                .collect(),
        })
    }

    /// Whether this change removed the key of a set, and nobody else did.
    fn alone_removed(&self, set: Option<u64>, key: &str) -> bool {
        let removes = |op: &Op| {
            op.action == OpType::Delete && of_genesis(op, set) && matches!(&op.key, Key::Map(k) if k == key)
        };
        self.ops.iter().any(removes) && !self.others.iter().any(removes)
    }
}

/// An operation's id: its counter and its actor.
type Id = (u64, Vec<u8>);

enum Touch {
    Insert,
    Delete(Id),
}

fn text_op(op: &Op, text: Option<u64>) -> Option<Touch> {
    match (&op.action, &op.key) {
        _ if !of_genesis(op, text) => None,
        (OpType::Put(_), _) if op.insert => Some(Touch::Insert),
        (OpType::Delete, Key::Seq(ElementId::Id(id))) => {
            Some(Touch::Delete((id.counter(), id.actor().to_bytes().to_vec())))
        }
        _ => None,
    }
}

fn of_genesis(op: &Op, counter: Option<u64>) -> bool {
    matches!(&op.obj, ObjectId::Id(id)
        if Some(id.counter()) == counter && *id.actor() == genesis::genesis_actor())
}

/// The characters of a text with the operation that typed each.
fn elements(range: automerge::iter::ListRange<'_>) -> Vec<(Id, String)> {
    let element = |item: automerge::iter::ListRangeItem<'_>| {
        let ObjId::Id(counter, actor, _) = item.id() else { return None };
        let ValueRef::Scalar(automerge::ScalarValueRef::Str(character)) = &item.value else { return None };
        Some(((counter, actor.to_bytes().to_vec()), character.to_string()))
    };
    range.filter_map(element).collect()
}

/// The entry that a retraction names.
fn retracted(body: &str) -> Option<EntryId> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    body.get("entry")?.as_str()?.parse().ok()
}

/// The register by which a lead or an account goes.
const DELETED: &str = "deleted";
