//! Who wrote what and when, for one document: an index from an operation to its change's stamp, built when first asked for and grown with
//! each change. Refuses to look at values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use automerge::{Automerge, Change, ObjId};

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

/// Every change of a document. What the latest changes add lies in a layer of its own over what was there before, which the document that
/// they were applied to goes on sharing: a change costs what it adds, and not what the document has become.
#[derive(Debug, Default, Clone)]
pub(super) struct History {
    older: Arc<Layer>,
    newer: Layer,
}

/// Some changes, by actor (each actor's in the order of its sequence) and by hash.
#[derive(Debug, Default, Clone)]
struct Layer {
    by_actor: BTreeMap<Actor, Vec<Meta>>,
    changes: BTreeMap<Hash32, Node>,
    /// Operations in these changes.
    ops: u64,
}

#[derive(Debug, Clone)]
struct Node {
    max_op: u64,
    deps: Vec<Hash32>,
}

impl Layer {
    fn add(&mut self, meta: Meta, deps: Vec<Hash32>) {
        self.changes.insert(meta.hash, Node { max_op: meta.max_op, deps });
        self.ops += meta.max_op + 1 - meta.start_op;
        self.by_actor.entry(meta.actor).or_default().push(meta);
    }

    fn of_actor(&self, actor: Actor) -> &[Meta] {
        self.by_actor.get(&actor).map_or(&[], Vec::as_slice)
    }

    /// Puts a newer layer on top of this one.
    fn absorb(&mut self, newer: Self) {
        for (actor, metas) in newer.by_actor {
            self.by_actor.entry(actor).or_default().extend(metas);
        }
        self.changes.extend(newer.changes);
        self.ops += newer.ops;
    }
}

impl History {
    pub fn of(doc: &Automerge) -> Self {
        let mut all = Layer::default();
        for meta in doc.get_changes_meta(&[]) {
            let Some(actor) = Actor::from_bytes(meta.actor.to_bytes()) else { continue };
            let deps = meta.deps.iter().map(|dep| Hash32(dep.0)).collect();
            let meta = Meta {
                actor,
                seq: meta.seq,
                start_op: meta.start_op,
                max_op: meta.max_op,
                hash: Hash32(meta.hash.0),
                stamp: meta.message.as_deref().and_then(Stamp::from_message),
            };
            all.add(meta, deps);
        }
        for changes in all.by_actor.values_mut() {
            changes.sort_by_key(|meta| meta.seq);
        }
        Self { older: Arc::new(all), newer: Layer::default() }
    }

    /// As it is once the document took these changes in, none of which it held before. They come in an order in which they can be applied.
    /// Nothing is copied of a history that no other document shares.
    pub fn grow<'a>(mut known: Arc<Self>, changes: impl Iterator<Item = &'a Change>) -> Arc<Self> {
        let Self { older, newer } = Arc::make_mut(&mut known);
        for change in changes {
            let Some(actor) = Actor::from_bytes(change.actor_id().to_bytes()) else { continue };
            let deps = change.deps().iter().map(|dep| Hash32(dep.0)).collect();
            let meta = Meta {
                actor,
                seq: change.seq(),
                start_op: change.start_op().get(),
                max_op: change.max_op(),
                hash: Hash32(change.hash().0),
                stamp: change.message().and_then(Stamp::from_message),
            };
            newer.add(meta, deps);
        }
        for changes in newer.by_actor.values_mut() {
            changes.sort_by_key(|meta| meta.seq);
        }
        if newer.changes.len() > NEWER_MAX {
            Arc::make_mut(older).absorb(std::mem::take(newer));
        }
        known
    }

    /// How many operations all changes hold, deletions too.
    pub fn ops(&self) -> u64 {
        self.older.ops + self.newer.ops
    }

    pub fn last_seq(&self, actor: Actor) -> u64 {
        self.changes_of(actor).next_back().map_or(0, |meta| meta.seq)
    }

    /// What an actor wrote, in the order of its sequence.
    pub fn changes_of(&self, actor: Actor) -> impl DoubleEndedIterator<Item = &Meta> {
        self.older.of_actor(actor).iter().chain(self.newer.of_actor(actor))
    }

    /// The stamps of all changes that have one.
    pub fn stamps(&self) -> impl Iterator<Item = &Stamp> {
        let metas =
            [&*self.older, &self.newer].into_iter().flat_map(|layer| layer.by_actor.values().flatten());
        metas.filter_map(|meta| meta.stamp.as_ref())
    }

    pub fn knows_actor(&self, actor: Actor) -> bool {
        self.changes_of(actor).next().is_some()
    }

    fn node(&self, hash: &Hash32) -> Option<&Node> {
        self.newer.changes.get(hash).or_else(|| self.older.changes.get(hash))
    }

    /// The highest operation counter of a change; `None` when the document does not hold it.
    pub fn max_op_of(&self, hash: &Hash32) -> Option<u64> {
        self.node(hash).map(|node| node.max_op)
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
            match self.node(&hash) {
                Some(node) if node.max_op > floor && seen.insert(hash) => open.extend(&node.deps),
                _ => {}
            }
        }
        false
    }

    /// These changes and everything that they depend on.
    pub fn behind(&self, heads: &[Hash32]) -> BTreeSet<Hash32> {
        let mut behind = BTreeSet::new();
        heads.iter().for_each(|head| self.extend_behind(&mut behind, *head));
        behind
    }

    /// Adds this change and everything that it depends on to what was found so far, whose dependencies are in it already.
    pub fn extend_behind(&self, behind: &mut BTreeSet<Hash32>, head: Hash32) {
        let mut open = vec![head];
        while let Some(hash) = open.pop() {
            if let Some(node) = self.node(&hash)
                && behind.insert(hash)
            {
                open.extend(&node.deps);
            }
        }
    }

    /// These changes and what they depend on, as far down as operation `floor`: what is numbered lower may be left out.
    pub fn behind_above(&self, heads: &[Hash32], floor: u64) -> BTreeSet<Hash32> {
        let mut behind = BTreeSet::new();
        let mut open = heads.to_vec();
        while let Some(hash) = open.pop() {
            if let Some(node) = self.node(&hash).filter(|node| node.max_op >= floor)
                && behind.insert(hash)
            {
                open.extend(&node.deps);
            }
        }
        behind
    }

    /// Whether there are changes that are neither among these nor behind them.
    pub fn is_beyond(&self, heads: &[Hash32]) -> bool {
        self.behind(heads).len() < self.older.changes.len() + self.newer.changes.len()
    }

    /// The change that holds this operation.
    pub fn of_op(&self, op: &ObjId) -> Option<&Meta> {
        let ObjId::Id(counter, actor, _) = op else { return None };
        let actor = Actor::from_bytes(actor.to_bytes())?;
        let within = |changes: &'_ [Meta]| {
            let at = changes.partition_point(|meta| meta.max_op < *counter);
            changes.get(at).is_some_and(|meta| meta.start_op <= *counter).then_some(at)
        };
        let layers = [&self.newer, &*self.older].map(|layer| layer.of_actor(actor));
        layers.into_iter().find_map(|changes| within(changes).map(|at| &changes[at]))
    }
}

/// Changes in the newer layer before both become one: each change copies at most these.
const NEWER_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use automerge::transaction::{CommitOptions, Transactable};
    use automerge::{ActorId, ROOT, ReadDoc};

    use super::*;
    use crate::document::{Doc, Edit};
    use crate::ids::{DeviceId, DocKind, UserId};
    use crate::time::Moment;

    fn flat(history: &History) -> String {
        let mut all = Layer::clone(&history.older);
        all.absorb(history.newer.clone());
        format!("{all:?}")
    }

    /// Two devices write, now and then knowing of each other; one replica takes their changes in one by one.
    #[test]
    fn a_history_that_grew_is_the_history_that_is_read() {
        let actors = [1, 2].map(|device| Actor { device: DeviceId([device; 8]), incarnation: 1 });
        let genesis = Doc::genesis(DocKind::Lead);
        let mut writers = actors.map(|actor| {
            let mut am = genesis.am().clone();
            am.set_actor(ActorId::from(actor.to_bytes().to_vec()));
            am
        });
        let mut read = genesis.clone();
        read.history();
        for n in 0..3 * NEWER_MAX {
            let (mine, other) = (n % 2, 1 - n % 2);
            if n % 7 == 0 {
                let mut theirs = writers[other].clone();
                writers[mine].merge(&mut theirs).unwrap();
            }
            let mut tx = writers[mine].transaction();
            for key in 0..n % 3 {
                tx.put(ROOT, format!("k{key}"), n as i64).unwrap();
            }
            let stamp = "not of ours";
            let Some(hash) = tx.commit_with(CommitOptions::default().with_message(stamp)).0 else { continue };
            let change = writers[mine].get_change_by_hash(&hash).unwrap();
            let next = read.with(vec![change.clone(), change]).unwrap();
            let grown = next.history.get().expect("it was not read anew");
            assert_eq!(flat(grown), flat(&History::of(next.am())), "after {n}");
            let op = ObjId::Id(next.history().last_seq(actors[mine]), writers[mine].get_actor().clone(), 0);
            assert_eq!(
                grown.of_op(&op).map(|meta| meta.hash),
                History::of(next.am()).of_op(&op).map(|meta| meta.hash)
            );
            read = next;
        }
        assert!(read.history().older.changes.len() > NEWER_MAX, "both layers were at work");
        assert!(!read.history().newer.changes.is_empty());
    }

    #[test]
    fn whoever_writes_keeps_the_history_that_was_read() {
        let actor = Actor { device: DeviceId([1; 8]), incarnation: 1 };
        let mut doc = Doc::genesis(DocKind::Lead);
        doc.history();
        let moment = Moment { wall_ms: 0, boot: 1, mono_ms: 0 };
        let stamp = Stamp { user: UserId([1; 8]), moment, offset_ms: None, last_contact_ms: 0 };
        for n in 0..3 {
            let edit = Edit::Set { field: "brand".into(), value: n.to_string().as_str().into() };
            doc.edit(actor, &stamp, &[edit]).unwrap();
            let grown = doc.history.get().expect("it was not forgotten");
            assert_eq!(flat(grown), flat(&History::of(doc.am())), "after {n}");
        }
    }
}
