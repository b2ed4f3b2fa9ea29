//! The beginning of every document: one byte-identical change for each kind (design decision 3), so that two phones
//! offline that create the same derived document create the same one. The gate knows it by hash.
//!
//! The change is computed, not stored; a test pins every hash. A hash that moved would orphan every document in
//! the field.

use std::sync::LazyLock;

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, ObjId, ObjType, ROOT, TextEncoding};

use super::schema::{self, KIND_KEY, Meaning};
use crate::ids::{Actor, DocKind, Hash32};

/// The first change of a kind.
#[derive(Debug, Clone)]
pub struct Genesis {
    /// The kind that it opens.
    pub kind: DocKind,
    /// A raw change chunk (type 1).
    pub bytes: Vec<u8>,
    /// Its hash.
    pub hash: Hash32,
    /// Highest operation counter it uses.
    pub max_op: u64,
}

/// The genesis of this kind.
pub fn genesis(kind: DocKind) -> &'static Genesis {
    &ALL[kind as usize - 1].0
}

/// The actor that no device is: twelve zero bytes.
pub fn genesis_actor() -> ActorId {
    ActorId::from([0u8; Actor::LEN].as_slice())
}

/// The document right after its genesis.
pub(super) fn opened(kind: DocKind) -> &'static Automerge {
    &ALL[kind as usize - 1].1
}

/// The nested object of a field, known without looking: genesis writes the kind first, then the objects in the
/// order of the table. `None` for a plain register and for unknown names.
pub(super) fn object(kind: DocKind, field: &str) -> Option<ObjId> {
    object_counter(kind, field).map(|counter| ObjId::Id(counter, genesis_actor(), 0))
}

/// The operation counter under which genesis made the object of this field.
pub(super) fn object_counter(kind: DocKind, field: &str) -> Option<u64> {
    nested(kind).position(|f| f.name == field).map(|at| at as u64 + 2)
}

/// The field whose object genesis made under this operation counter.
pub(super) fn field_of_object(kind: DocKind, counter: u64) -> Option<&'static schema::Field> {
    nested(kind).nth(usize::try_from(counter.checked_sub(2)?).ok()?)
}

fn nested(kind: DocKind) -> impl Iterator<Item = &'static schema::Field> {
    schema::fields(kind).iter().filter(|f| f.meaning != Meaning::Register)
}

static ALL: LazyLock<Vec<(Genesis, Automerge)>> = LazyLock::new(|| DocKind::ALL.map(open).into());

fn open(kind: DocKind) -> (Genesis, Automerge) {
    let mut doc = Automerge::new_with_encoding(TextEncoding::UnicodeCodePoint).with_actor(genesis_actor());
    let mut tx = doc.transaction();
    let written = tx.put(ROOT, KIND_KEY, kind.name()).and_then(|()| {
        nested(kind).try_for_each(|field| {
            let object = if field.meaning == Meaning::Text { ObjType::Text } else { ObjType::Map };
            tx.put_object(ROOT, field.name, object).map(|_| ())
        })
    });
    written.expect("genesis writes only fresh keys of an empty root");
    tx.commit_with(CommitOptions::default().with_time(0));
    let change = doc.get_last_local_change().expect("genesis has at least the kind");
    let genesis = Genesis {
        kind,
        bytes: change.raw_bytes().to_vec(),
        hash: Hash32(change.hash().0),
        max_op: change.max_op(),
    };
    (genesis, doc)
}
