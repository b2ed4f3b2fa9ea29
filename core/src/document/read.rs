//! Reading a document. A register is read only through one rule (design decision 9): of the surviving values the
//! one with the latest corrected time, then the device, then the incarnation and operation; never automerge's
//! winner, which knows nothing of when something happened. Stamps are looked up only where they decide or are asked for.

use std::collections::BTreeMap;

use automerge::iter::MapRangeItem;
use automerge::{ObjId, ROOT, ReadDoc, ValueRef};

use super::conflict::Path;
use super::history::History;
use super::schema::{self, KIND_KEY, Meaning, SCHEMA_KEY};
use super::{Doc, Value, genesis};
use crate::ids::{Actor, DeviceId, EntryId, Hash32, UserId};
use crate::time::{BootClock, Occurred, Stamp};

/// What is known of the clocks of the devices that wrote: the ruling's `clocks` set, or nothing.
pub trait Clocks {
    /// What the server learned of this boot of a device after the acts in it.
    fn of_boot(&self, boot: u64) -> Option<BootClock>;
}

/// No boot is pinned: every change is taken at its own word.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoClocks;

impl Clocks for NoClocks {
    fn of_boot(&self, _: u64) -> Option<BootClock> {
        None
    }
}

impl Clocks for BTreeMap<u64, BootClock> {
    fn of_boot(&self, boot: u64) -> Option<BootClock> {
        self.get(&boot).copied()
    }
}

/// The value of a register with who wrote it and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The value; null when it was emptied.
    pub value: Value,
    /// When it was written.
    pub at: Occurred,
    /// Who wrote it.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
}

/// One record: its registers by name, nulls left out.
pub type Record = BTreeMap<String, Value>;

/// One entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Unique for ever (O6).
    pub id: EntryId,
    /// JSON.
    pub body: String,
    /// When it was appended; what the entry tells may have happened earlier.
    pub at: Occurred,
    /// The stamp of the change, `None` for a change without one.
    pub stamp: Option<Stamp>,
    /// On which device.
    pub device: DeviceId,
    /// The change that appended it.
    pub change: Hash32,
}

impl LogEntry {
    /// Who appended it.
    pub fn user(&self) -> UserId {
        self.stamp.map(|stamp| stamp.user).unwrap_or_default()
    }
}

impl Doc {
    /// The effective value of a register; `None` when it was never written or was emptied.
    pub fn value(&self, field: &str, clocks: &dyn Clocks) -> Option<Value> {
        self.value_of(schema::names(self.kind(), field), clocks)
    }

    /// Every root register that has a value, by its present name; those that only a newer version knows too.
    pub fn root(&self, clocks: &dyn Clocks) -> Record {
        let mut root = self.values_of(&ROOT, clocks);
        root.remove(KIND_KEY);
        for field in schema::fields(self.kind()).iter().filter(|field| !field.former.is_empty()) {
            field.former.iter().for_each(|former| drop(root.remove(*former)));
            match self.value(field.name, clocks) {
                Some(value) => drop(root.insert(field.name.to_owned(), value)),
                None => drop(root.remove(field.name)),
            }
        }
        root
    }

    /// The version of the document: the highest that anybody wrote, 1 where nobody did. Two versions written at once are no conflict.
    pub fn schema_version(&self) -> i64 {
        let written = self.survivors(&ROOT, SCHEMA_KEY).into_iter();
        written.filter_map(|(value, _)| value.as_int()).max().unwrap_or(1)
    }

    /// When the newest change was made; `None` when nobody wrote anything yet.
    pub fn updated(&self, clocks: &dyn Clocks) -> Option<Occurred> {
        let stamps = self.history().stamps();
        stamps.map(|stamp| stamp.occurred(clocks.of_boot(stamp.moment.boot))).max_by_key(|at| at.at_ms)
    }

    /// The effective value of a register with its author and time.
    pub fn register(&self, field: &str, clocks: &dyn Clocks) -> Option<Effective> {
        self.effective_of(self.survivors_under(schema::names(self.kind(), field)), clocks)
    }

    /// Whether the document holds changes that nobody who wrote this register's surviving values knew: made at the same time elsewhere,
    /// or afterwards.
    pub fn is_beyond_writers_of(&self, field: &str) -> bool {
        let survivors = schema::names(self.kind(), field).flat_map(|name| self.survivors(&ROOT, name));
        let written: Vec<Hash32> = survivors.map(|(_, op)| self.written(&op, &NoClocks).change).collect();
        !written.is_empty() && self.history().is_beyond(&written)
    }

    /// The effective values of an open-keyed map of registers.
    pub fn registers(&self, field: &str, clocks: &dyn Clocks) -> BTreeMap<String, Value> {
        match self.nested(field, Meaning::Registers) {
            Some(map) => self.values_of(&map, clocks),
            None => BTreeMap::new(),
        }
    }

    /// One register of an open-keyed map, with its author and time.
    pub fn register_in(&self, field: &str, key: &str, clocks: &dyn Clocks) -> Option<Effective> {
        self.effective_of(self.survivors(&self.nested(field, Meaning::Registers)?, key), clocks)
    }

    /// The records of a field that were not removed.
    pub fn records(&self, field: &str, clocks: &dyn Clocks) -> BTreeMap<EntryId, Record> {
        let mut records = self.all_records(field, clocks);
        records.retain(|_, record| record.get(REMOVED) != Some(&Value::Bool(true)));
        records
    }

    /// The records of a field, removed ones too: they say `removed`.
    pub fn all_records(&self, field: &str, clocks: &dyn Clocks) -> BTreeMap<EntryId, Record> {
        self.record_maps(field).map(|(id, maps)| (id, self.read_record(&maps, clocks))).collect()
    }

    /// One record, removed or not.
    pub fn record(&self, field: &str, id: EntryId, clocks: &dyn Clocks) -> Option<Record> {
        let maps = self.maps_of(field, id);
        (!maps.is_empty()).then(|| self.read_record(&maps, clocks))
    }

    /// One register of every record of a field, removed records too: what a search over many documents looks at before it reads.
    pub fn register_of_records(&self, field: &str, name: &str, clocks: &dyn Clocks) -> Vec<(EntryId, Value)> {
        let value = |(id, maps): (EntryId, Vec<ObjId>)| {
            Some((id, self.chosen(self.survivors_in(&maps, name), clocks)?))
        };
        self.record_maps(field).filter_map(value).collect()
    }

    /// The entries of a log in the order (occurred, id). Retracted entries and retractions are both there.
    pub fn log(&self, field: &str, clocks: &dyn Clocks) -> Vec<LogEntry> {
        let Some(map) = self.nested(field, Meaning::Log) else { return Vec::new() };
        let walked = self.walk(&map).filter_map(|(key, all)| self.log_entry(&key, all, clocks));
        let mut entries: Vec<_> = walked.collect();
        entries.sort_by_key(|entry| (entry.at.at_ms, entry.id));
        entries
    }

    /// Whether a log has an entry of this id, retracted or not.
    pub fn has_entry(&self, field: &str, id: EntryId) -> bool {
        let map = self.nested(field, Meaning::Log);
        map.is_some_and(|map| !self.survivors(&map, &id.to_string()).is_empty())
    }

    /// The elements of a set with their JSON; of concurrent puts of one key the effective one.
    pub fn set(&self, field: &str, clocks: &dyn Clocks) -> BTreeMap<String, String> {
        let Some(map) = self.nested(field, Meaning::Set) else { return BTreeMap::new() };
        let text = |(key, value)| match value {
            Value::Text(body) => Some((key, body)),
            _ => None,
        };
        self.values_of(&map, clocks).into_iter().filter_map(text).collect()
    }

    /// When the document was last changed, corrected milliseconds since 1970 UTC; zero when it never was.
    pub fn last_change_ms(&self, clocks: &dyn Clocks) -> i64 {
        let at = |stamp: &Stamp| stamp.occurred(clocks.of_boot(stamp.moment.boot)).at_ms;
        self.history().stamps().map(at).max().unwrap_or(0)
    }

    /// When the document was first written, corrected milliseconds since 1970 UTC; `None`: never.
    pub fn first_change_ms(&self, clocks: &dyn Clocks) -> Option<i64> {
        let at = |stamp: &Stamp| stamp.occurred(clocks.of_boot(stamp.moment.boot)).at_ms;
        self.history().stamps().map(at).min()
    }

    /// Who wrote the first change, by the corrected times; `None`: nobody did yet.
    pub fn first_writer(&self, clocks: &dyn Clocks) -> Option<UserId> {
        let at = |stamp: &&Stamp| stamp.occurred(clocks.of_boot(stamp.moment.boot)).at_ms;
        self.history().stamps().min_by_key(at).map(|stamp| stamp.user)
    }

    /// The merged text of a field.
    pub fn text(&self, field: &str) -> String {
        let Some(object) = self.nested(field, Meaning::Text) else { return String::new() };
        self.am().text(&object).unwrap_or_default()
    }

    /// Every surviving value of a key with the operation that wrote it; objects and foreign scalars left out.
    pub(super) fn survivors(&self, object: &ObjId, key: &str) -> Vec<(Value, ObjId)> {
        let all = self.am().get_all(object, key).unwrap_or_default();
        let plain =
            |(value, op): (automerge::Value<'_>, ObjId)| Some((Value::from_scalar(value.as_scalar()?)?, op));
        all.into_iter().filter_map(plain).collect()
    }

    /// Every key of a map that holds plain values, with its survivors. One walk; only keys in conflict are looked up again.
    pub(super) fn walk(&self, object: &ObjId) -> impl Iterator<Item = (String, Vec<(Value, ObjId)>)> {
        self.am().map_range(object, ..).filter_map(move |item| {
            let survivors = if item.conflict {
                self.survivors(object, &item.key)
            } else {
                let ValueRef::Scalar(scalar) = &item.value else { return None };
                vec![(Value::from_walked(scalar)?, item.id())]
            };
            (!survivors.is_empty()).then(|| (item.key.into_owned(), survivors))
        })
    }

    /// As [`Doc::walk`], of those keys alone under which several values may survive: hardly any.
    pub(super) fn walk_conflicts(
        &self,
        object: &ObjId,
    ) -> impl Iterator<Item = (String, Vec<(Value, ObjId)>)> {
        let items = self.am().map_range(object, ..).filter(|item| item.conflict);
        items.map(|item| (item.key.to_string(), self.survivors(object, &item.key)))
    }

    /// The effective one of some survivors. Stamps are looked up only when they differ.
    pub(super) fn chosen(&self, mut survivors: Vec<(Value, ObjId)>, clocks: &dyn Clocks) -> Option<Value> {
        let same = survivors.windows(2).all(|pair| pair[0].0 == pair[1].0);
        let value = if same { survivors.pop()?.0 } else { self.latest(survivors, clocks)?.0 };
        (!value.is_null()).then_some(value)
    }

    /// One register read under several names: the latest of all that survive.
    pub(super) fn value_of<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
        clocks: &dyn Clocks,
    ) -> Option<Value> {
        self.chosen(self.survivors_under(names), clocks)
    }

    /// Every surviving value of a register, wherever it is read from; of an element of a set likewise.
    pub(super) fn survivors_at(&self, path: &Path) -> Vec<(Value, ObjId)> {
        let Path { field, key, name } = path;
        match (key, name) {
            (None, _) => self.survivors_under(schema::names(self.kind(), field)),
            (Some(key), None) => {
                let open = [Meaning::Registers, Meaning::Set, Meaning::Log];
                let map = open.into_iter().find_map(|meaning| self.nested(field, meaning));
                map.map(|map| self.survivors(&map, key)).unwrap_or_default()
            }
            (Some(id), Some(name)) => {
                let maps = id.parse().map(|id| self.maps_of(field, id)).unwrap_or_default();
                self.survivors_in(&maps, name)
            }
        }
    }

    /// Every surviving value of a root register that is read under several names.
    pub(super) fn survivors_under<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<(Value, ObjId)> {
        self.joined(names.map(|name| self.survivors(&ROOT, name)).collect())
    }

    /// Every surviving value of a register of a record that is read from several maps.
    pub(super) fn survivors_in(&self, maps: &[ObjId], name: &str) -> Vec<(Value, ObjId)> {
        self.joined(maps.iter().map(|map| self.survivors(map, name)).collect())
    }

    /// What survives of one register that lives in several places. Automerge knows of no order between places: a value whose change was
    /// known to whoever wrote in another place is replaced by theirs.
    fn joined(&self, places: Vec<Vec<(Value, ObjId)>>) -> Vec<(Value, ObjId)> {
        if places.iter().filter(|place| !place.is_empty()).count() < 2 {
            return places.into_iter().flatten().collect();
        }
        let all: Vec<_> =
            places.into_iter().flatten().map(|(value, op)| (self.change_of(&op), value, op)).collect();
        let replaced = |change: Hash32| {
            all.iter().any(|(other, ..)| *other != change && self.history().descends(&[*other], change))
        };
        let kept: Vec<bool> = all.iter().map(|(change, ..)| !replaced(*change)).collect();
        all.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|((_, value, op), _)| (value, op)).collect()
    }

    /// The change that holds this operation.
    pub(super) fn change_of(&self, op: &ObjId) -> Hash32 {
        self.history().of_op(op).map(|meta| meta.hash).unwrap_or_default()
    }

    fn effective_of(&self, survivors: Vec<(Value, ObjId)>, clocks: &dyn Clocks) -> Option<Effective> {
        let (value, written) = self.latest(survivors, clocks)?;
        Some(Effective { value, at: written.at, user: written.user, device: written.device })
    }

    /// Who wrote the operation and when, in the order of effectiveness.
    pub(super) fn written(&self, op: &ObjId, clocks: &dyn Clocks) -> Written {
        let meta = self.history().of_op(op);
        let stamp = meta.and_then(|meta| meta.stamp);
        let at = stamp.map_or(Occurred { at_ms: i64::MIN, doubt_ms: 0 }, |stamp| {
            stamp.occurred(clocks.of_boot(stamp.moment.boot))
        });
        let actor = meta.map(|meta| meta.actor);
        let counter = if let ObjId::Id(counter, ..) = op { *counter } else { 0 };
        Written {
            at,
            device: actor.map(|actor| actor.device).unwrap_or_default(),
            incarnation: actor.map_or(0, |actor| actor.incarnation),
            counter,
            user: stamp.map(|stamp| stamp.user).unwrap_or_default(),
            stamp,
            change: meta.map(|meta| meta.hash).unwrap_or_default(),
        }
    }

    /// The map or text that genesis made for this field; `None` when the field has another meaning.
    pub(super) fn nested(&self, field: &str, meaning: Meaning) -> Option<ObjId> {
        let field = schema::field(self.kind(), field).filter(|field| field.meaning == meaning)?;
        genesis::object(self.kind(), field.name)
    }

    /// The maps of one record, the lowest operation first. Two devices that made one id at once made two maps; they are read as one, and
    /// the first is written.
    pub(super) fn maps_of(&self, field: &str, id: EntryId) -> Vec<ObjId> {
        let records = self.nested(field, Meaning::Records);
        records.map(|records| self.maps_at(&records, &id.to_string())).unwrap_or_default()
    }

    /// Every record of a field with its maps.
    pub(super) fn record_maps(&self, field: &str) -> impl Iterator<Item = (EntryId, Vec<ObjId>)> {
        self.nested(field, Meaning::Records).into_iter().flat_map(move |records| {
            let record = |item: MapRangeItem<'_>| {
                let maps = if item.conflict { self.maps_at(&records, &item.key) } else { vec![item.id()] };
                Some((item.key.parse().ok()?, maps))
            };
            self.am().map_range(&records, ..).filter_map(record).collect::<Vec<_>>()
        })
    }

    fn maps_at(&self, records: &ObjId, key: &str) -> Vec<ObjId> {
        let all = self.am().get_all(records, key).unwrap_or_default();
        let mut maps: Vec<_> =
            all.into_iter().filter(|(value, _)| value.is_object()).map(|(_, object)| object).collect();
        maps.sort_by_key(|object| match object {
            ObjId::Root => (0, Vec::new()),
            ObjId::Id(counter, actor, _) => (*counter, actor.to_bytes().to_vec()),
        });
        maps
    }

    /// Every register of a record with its surviving values.
    pub(super) fn survivors_of(&self, maps: &[ObjId]) -> Survivors {
        if let [map] = maps {
            return self.walk(map).collect();
        }
        let mut places: BTreeMap<String, Vec<Vec<(Value, ObjId)>>> = BTreeMap::new();
        for (key, survivors) in maps.iter().flat_map(|map| self.walk(map)) {
            places.entry(key).or_default().push(survivors);
        }
        places.into_iter().map(|(key, places)| (key, self.joined(places))).collect()
    }

    /// Whether a record is removed. Only a removal that knew everything the record says counts: an edit made at the same time keeps the
    /// record, and a person decides.
    pub(super) fn removal(&self, survivors: &Survivors, clocks: &dyn Clocks) -> Removal {
        let Some(written) = survivors.get(REMOVED) else { return Removal::None };
        if self.chosen(written.clone(), clocks) != Some(Value::Bool(true)) {
            return Removal::None;
        }
        let removals: Vec<Hash32> = written
            .iter()
            .filter(|(value, _)| *value == Value::Bool(true))
            .map(|(_, op)| self.change_of(op))
            .collect();
        let edits = survivors.iter().filter(|(key, _)| *key != REMOVED).flat_map(|(_, all)| all);
        let history: &History = self.history();
        let metas: Vec<_> = edits.filter_map(|(_, op)| Some((op, history.of_op(op)?))).collect();
        let floor = metas.iter().map(|(_, meta)| meta.max_op).min().unwrap_or(u64::MAX);
        let known = history.behind_above(&removals, floor);
        // Whoever writes in a record that they know to be removed does not bring it back.
        let knew = |edit: Hash32| removals.iter().any(|removal| history.descends(&[edit], *removal));
        let unknown = metas.into_iter().filter(|(_, meta)| !known.contains(&meta.hash) && !knew(meta.hash));
        let latest = unknown
            .map(|(op, _)| (self.written(op, clocks), op))
            .max_by(|a, b| a.0.cmp(&b.0))
            .map(|(written, _)| written);
        latest.map_or(Removal::Whole, |edit| Removal::Contested(Box::new(edit)))
    }

    fn read_record(&self, maps: &[ObjId], clocks: &dyn Clocks) -> Record {
        let mut survivors = self.survivors_of(maps);
        if matches!(self.removal(&survivors, clocks), Removal::Contested(_)) {
            survivors.remove(REMOVED);
        }
        let chosen = |(key, all)| self.chosen(all, clocks).map(|value| (key, value));
        survivors.into_iter().filter_map(chosen).collect()
    }

    fn values_of(&self, object: &ObjId, clocks: &dyn Clocks) -> BTreeMap<String, Value> {
        self.walk(object)
            .filter_map(|(key, all)| self.chosen(all, clocks).map(|value| (key, value)))
            .collect()
    }

    /// An entry is immutable; should a key have been written twice, the first writing counts.
    fn log_entry(&self, key: &str, all: Vec<(Value, ObjId)>, clocks: &dyn Clocks) -> Option<LogEntry> {
        let written = |(value, op): (Value, ObjId)| (value, self.written(&op, clocks));
        let (value, written) = all.into_iter().map(written).min_by(|a, b| a.1.cmp(&b.1))?;
        let Value::Text(body) = value else { return None };
        let Written { at, stamp, device, change, .. } = written;
        Some(LogEntry { id: key.parse().ok()?, body, at, stamp, device, change })
    }

    fn latest(&self, survivors: Vec<(Value, ObjId)>, clocks: &dyn Clocks) -> Option<(Value, Written)> {
        let written = survivors.into_iter().map(|(value, op)| (value, self.written(&op, clocks)));
        written.max_by(|a, b| a.1.cmp(&b.1))
    }
}

/// The registers of a record with what survives of each and the operation that wrote it.
pub(super) type Survivors = BTreeMap<String, Vec<(Value, ObjId)>>;

/// Whether a record is removed.
#[derive(Debug)]
pub(super) enum Removal {
    /// Nobody removed it, or somebody brought it back.
    None,
    /// It is.
    Whole,
    /// Somebody removed it while somebody else wrote in it, at last this.
    Contested(Box<Written>),
}

/// The register by which a record goes.
pub(super) const REMOVED: &str = "removed";

/// Authorship of one operation. Compares by (time, device, incarnation, operation); doubt does not count.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub at: Occurred,
    pub device: DeviceId,
    pub incarnation: u32,
    pub counter: u64,
    pub user: UserId,
    pub stamp: Option<Stamp>,
    pub change: Hash32,
}

impl Written {
    pub fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |w: &Self| (w.at.at_ms, Actor { device: w.device, incarnation: w.incarnation }, w.counter);
        key(self).cmp(&key(other))
    }
}
