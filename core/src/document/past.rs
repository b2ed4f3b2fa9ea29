//! What the author of a change could know: the document as far as the change's dependencies reach, and what the same push wrote before it.
//! Whatever an operation names (an object, a predecessor, the character it follows) has to lie there and in the very place that the
//! operation is about. With that, no operation reaches into another field, and everything that a saved document must say of an operation
//! can be read back from its own place (`docs/decisions/0021`). Refuses to judge values.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, ChangeHash, ObjId, ROOT, ReadDoc};

use super::Doc;
use super::admit::Refusal;
use super::doc::guarded;
use crate::ids::Hash32;

/// The past of one batch of changes, which are a chain of one actor: what one knew the next knows too. Whatever is looked up is kept, so that
/// operations which name the same thing thousands of times cost what they are and not what the document is.
pub(super) struct Past<'a> {
    base: &'a Doc,
    /// Heads of the base that are not known to reach it; empty when all of it does.
    unknown: BTreeSet<Hash32>,
    /// The latest changes of the base that are known, none of them behind another.
    heads: Vec<Hash32>,
    /// What lies behind `heads`, found when it is first needed while some of the base is unknown.
    behind: Option<BTreeSet<Hash32>>,
    /// What stood in a register of the base, of those that were asked for.
    standing: HashMap<Place, BTreeSet<OpId>>,
    /// Elements that changes of the base inserted, of those that were asked for.
    elements: BTreeMap<Hash32, BTreeMap<u64, ObjectId>>,
    /// Where the batch's own operations wrote, by their counter. One that a later one of the batch replaced may be named again.
    own: BTreeMap<u64, Place>,
}

/// One register, or the one run of characters, of one object: all that an operation can replace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    object: ObjectId,
    /// `None` for the elements of a text.
    key: Option<String>,
}

impl Place {
    fn of(op: &Op) -> Self {
        let key = match &op.key {
            Key::Map(key) => Some(key.to_string()),
            Key::Seq(_) => None,
        };
        Self { object: op.obj.clone(), key }
    }
}

impl<'a> Past<'a> {
    pub fn new(base: &'a Doc) -> Self {
        let unknown = base.heads().into_iter().collect();
        let (heads, behind, own) = Default::default();
        Self { base, unknown, heads, behind, standing: HashMap::new(), elements: BTreeMap::new(), own }
    }

    /// The next change depends on these.
    pub fn learn(&mut self, deps: impl Iterator<Item = Hash32>) {
        let base = self.base;
        for dep in deps.filter(|dep| base.contains(dep)) {
            if !self.heads.is_empty() && self.knows(dep) {
                continue;
            }
            let history = base.history();
            self.heads.retain(|held| !history.descends(&[dep], *held));
            self.heads.push(dep);
            self.unknown.remove(&dep);
            if let Some(behind) = &mut self.behind {
                history.extend_behind(behind, dep);
            }
            self.standing.clear();
        }
    }

    /// Whether the author knew this change of the base.
    pub fn knows(&mut self, change: Hash32) -> bool {
        let (base, heads) = (self.base, &self.heads);
        self.unknown.is_empty()
            || self.behind.get_or_insert_with(|| base.history().behind(heads)).contains(&change)
    }

    /// Judges what an operation refers to, which will have the id (counter, actor). What it does was judged before.
    pub fn check(&mut self, op: &Op, counter: u64, actor: &ActorId) -> Result<(), Refusal> {
        if let ObjectId::Id(made_by) = &op.obj
            && !self.holds(made_by, actor)
        {
            return Err(Refusal::Operation("no such object"));
        }
        let place = Place::of(op);
        match &op.key {
            Key::Map(key) => self.check_register(op, key, &place, actor)?,
            Key::Seq(element) => self.check_element(op, element, &place, actor)?,
        }
        if op.action != OpType::Delete {
            self.own.insert(counter, place);
        }
        Ok(())
    }

    /// Every predecessor is a value that stood under the key, or one that the batch wrote there.
    fn check_register(&mut self, op: &Op, key: &str, place: &Place, actor: &ActorId) -> Result<(), Refusal> {
        // They were sorted when the change was decoded, so the same one twice stands side by side.
        let mut last = None;
        for pred in op.pred.iter() {
            let fits = match self.own_place(pred, actor) {
                Some(written) => written == place,
                None => {
                    if !self.standing.contains_key(place) {
                        let stood = self.stood(&op.obj, key);
                        self.standing.insert(place.clone(), stood);
                    }
                    self.standing.get(place).is_some_and(|standing| standing.contains(pred))
                }
            };
            if !fits || last == Some(pred) {
                return Err(Refusal::Operation("a predecessor that did not stand there"));
            }
            last = Some(pred);
        }
        match op.action == OpType::Delete && op.pred.is_empty() {
            true => Err(Refusal::Operation("nothing to delete")),
            false => Ok(()),
        }
    }

    /// An element of a text holds one character for good: whatever deletes it names it and nothing else, and whatever is inserted follows
    /// one that the author could see or delete.
    fn check_element(
        &mut self,
        op: &Op,
        element: &ElementId,
        place: &Place,
        actor: &ActorId,
    ) -> Result<(), Refusal> {
        let ElementId::Id(element) = element else {
            return if op.insert { Ok(()) } else { Err(Refusal::Operation("not an element")) };
        };
        let there = match self.own_place(element, actor) {
            Some(written) => written == place,
            None => self.holds(element, actor) && self.is_element(&op.obj, element),
        };
        let named: Vec<_> = op.pred.iter().collect();
        let alone = if op.insert { named.is_empty() } else { named == [element] };
        if there && alone { Ok(()) } else { Err(Refusal::Operation("a character that is not there")) }
    }

    /// Where the batch wrote this operation; `None` for what the base holds, or nobody.
    fn own_place(&self, op: &OpId, actor: &ActorId) -> Option<&Place> {
        (op.actor() == actor).then(|| self.own.get(&op.counter())).flatten()
    }

    /// Whether the author knew this operation.
    fn holds(&mut self, op: &OpId, actor: &ActorId) -> bool {
        if self.own_place(op, actor).is_some() {
            return true;
        }
        let change = self.base.history().of_op(&object(op)).map(|meta| meta.hash);
        change.is_some_and(|change| self.knows(change))
    }

    /// The operations whose values the author saw in a register of the base.
    fn stood(&self, of: &ObjectId, key: &str) -> BTreeSet<OpId> {
        let map = match of {
            ObjectId::Root => ROOT,
            ObjectId::Id(made_by) => object(made_by),
        };
        let am = self.base.am();
        let all = if self.unknown.is_empty() {
            am.get_all(&map, key)
        } else {
            let heads: Vec<_> = self.heads.iter().map(|head| ChangeHash(head.0)).collect();
            am.get_all_at(&map, key, &heads)
        };
        let id = |op| match op {
            ObjId::Id(counter, actor, _) => Some(OpId(counter, actor)),
            ObjId::Root => None,
        };
        all.unwrap_or_default().into_iter().filter_map(|(_, op)| id(op)).collect()
    }

    /// Whether the operation is an element of this text of the base, a deleted one too: the change that holds it is asked. (Automerge finds
    /// a cursor's place, but knows none for what was deleted at the end of a text.)
    fn is_element(&mut self, of: &ObjectId, element: &OpId) -> bool {
        let base = self.base;
        let Some(change) = base.history().of_op(&object(element)).map(|meta| meta.hash) else { return false };
        let inserted = self.elements.entry(change).or_insert_with(|| inserted(base, change));
        inserted.get(&element.counter()) == Some(of)
    }
}

/// The operations of a change that insert elements, with the texts that they insert them into.
fn inserted(base: &Doc, change: Hash32) -> BTreeMap<u64, ObjectId> {
    let found = guarded(|| Ok(base.am().get_change_by_hash(&ChangeHash(change.0))));
    let Some(change) = found.ok().flatten() else { return BTreeMap::new() };
    let numbered = (change.start_op().get()..).zip(change.decode().operations);
    numbered.filter(|(_, op)| op.insert).map(|(counter, op)| (counter, op.obj)).collect()
}

fn object(op: &OpId) -> ObjId {
    ObjId::Id(op.counter(), op.actor().clone(), 0)
}
