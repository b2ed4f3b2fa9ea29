//! Who wrote what and when, for one document: an index from an operation to its change's stamp, built once for a
//! reading and dropped with the next change. Refuses to look at values.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{Automerge, ObjId};

use crate::ids::{Actor, Hash32};
use crate::time::Stamp;

/// What a change says about itself.
#[derive(Debug, Clone)]
pub(super) struct Meta {
    pub actor: Actor,
    pub seq: u64,
    pub start_op: u64,
    pub max_op: u64,
    pub hash: Hash32,
    /// `None` for genesis and for changes that no device of ours wrote.
    pub stamp: Option<Stamp>,
}

/// Every change of a document by actor, each actor's in the order of its sequence.
#[derive(Debug, Default)]
pub(super) struct History {
    by_actor: BTreeMap<Actor, Vec<Meta>>,
    changes: BTreeMap<Hash32, Node>,
}

#[derive(Debug)]
struct Node {
    max_op: u64,
    deps: Vec<Hash32>,
}

impl History {
    pub fn of(doc: &Automerge) -> Self {
        let mut history = Self::default();
        for meta in doc.get_changes_meta(&[]) {
            let Some(actor) = Actor::from_bytes(meta.actor.to_bytes()) else { continue };
            let hash = Hash32(meta.hash.0);
            let deps = meta.deps.iter().map(|dep| Hash32(dep.0)).collect();
            history.changes.insert(hash, Node { max_op: meta.max_op, deps });
            history.by_actor.entry(actor).or_default().push(Meta {
                actor,
                seq: meta.seq,
                start_op: meta.start_op,
                max_op: meta.max_op,
                hash,
                stamp: meta.message.as_deref().and_then(Stamp::from_message),
            });
        }
        for changes in history.by_actor.values_mut() {
            changes.sort_by_key(|meta| meta.seq);
        }
        history
    }

    pub fn last_seq(&self, actor: Actor) -> u64 {
        self.by_actor.get(&actor).and_then(|changes| changes.last()).map_or(0, |meta| meta.seq)
    }

    pub fn changes_of(&self, actor: Actor) -> &[Meta] {
        self.by_actor.get(&actor).map_or(&[], Vec::as_slice)
    }

    /// The stamps of all changes that have one.
    pub fn stamps(&self) -> impl Iterator<Item = &Stamp> {
        self.by_actor.values().flatten().filter_map(|meta| meta.stamp.as_ref())
    }

    pub fn knows_actor(&self, actor: Actor) -> bool {
        self.by_actor.contains_key(&actor)
    }

    /// The highest operation counter of a change; `None` when the document does not hold it.
    pub fn max_op_of(&self, hash: &Hash32) -> Option<u64> {
        self.changes.get(hash).map(|node| node.max_op)
    }

    /// Whether `ancestor` is one of `from` or behind them. Operations are numbered upwards along dependencies, so
    /// whatever lies below the ancestor is not searched.
    pub fn descends(&self, from: &[Hash32], ancestor: Hash32) -> bool {
        let Some(floor) = self.max_op_of(&ancestor) else { return false };
        let mut seen = BTreeSet::new();
        let mut open = from.to_vec();
        while let Some(hash) = open.pop() {
            if hash == ancestor {
                return true;
            }
            match self.changes.get(&hash) {
                Some(node) if node.max_op > floor && seen.insert(hash) => open.extend(&node.deps),
                _ => {}
            }
        }
        false
    }

    /// These changes and everything that they depend on.
    pub fn behind(&self, heads: &[Hash32]) -> BTreeSet<Hash32> {
        let mut behind = BTreeSet::new();
        let mut open = heads.to_vec();
        while let Some(hash) = open.pop() {
            if let Some(node) = self.changes.get(&hash)
                && behind.insert(hash)
            {
                open.extend(&node.deps);
            }
        }
        behind
    }

    /// These changes and what they depend on, as far down as operation `floor`: what is numbered lower may be left out.
    pub fn behind_above(&self, heads: &[Hash32], floor: u64) -> BTreeSet<Hash32> {
        let mut behind = BTreeSet::new();
        let mut open = heads.to_vec();
        while let Some(hash) = open.pop() {
            if let Some(node) = self.changes.get(&hash).filter(|node| node.max_op >= floor)
                && behind.insert(hash)
            {
                open.extend(&node.deps);
            }
        }
        behind
    }

    /// Whether there are changes that are neither among these nor behind them.
    pub fn is_beyond(&self, heads: &[Hash32]) -> bool {
        self.behind(heads).len() < self.changes.len()
    }

    /// The change that holds this operation.
    pub fn of_op(&self, op: &ObjId) -> Option<&Meta> {
        let ObjId::Id(counter, actor, _) = op else { return None };
        let changes = self.by_actor.get(&Actor::from_bytes(actor.to_bytes())?)?;
        let at = changes.partition_point(|meta| meta.max_op < *counter);
        changes.get(at).filter(|meta| meta.start_op <= *counter)
    }
}
