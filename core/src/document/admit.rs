//! The gate on bytes: whether changes that a phone pushed may enter a document (steps 2 to 6 of the gate of design
//! decision 5). Pure: the caller checked the token and the permission before, and commits after.
//!
//! Nothing touches the stored document: the changes are judged operation by operation, applied in memory, and read back from there byte
//! for byte. That is enough to know that the document can be saved and loaded again, if it could before: each operation refers to
//! its own place and to what its author could know, so nothing of it can be lost on the way (`docs/decisions/0021`). Bytes that no limit
//! here stops may still cost time and memory inside the decoder, so the server runs this in a process that it can kill.

use std::collections::{BTreeMap, BTreeSet};

use automerge::legacy::{Key, Op, OpType};
use automerge::{Change, ScalarValue};

use super::chunk::{self, ChunkError};
use super::doc::{guarded, malformed};
use super::history::History;
use super::ops::OpRules;
use super::{Doc, DocError, RawChange};
use crate::ids::{Actor, DeviceId, Hash32, UserId};
use crate::limits;
use crate::time::Stamp;

/// Who pushes, as the server knows it and not as the bytes claim it.
#[derive(Debug, Clone)]
pub struct Author {
    /// The enrolled device: only its own actors may appear.
    pub device: DeviceId,
    /// The user to whom the device belongs.
    pub user: UserId,
    /// What of this document the author may write.
    pub may: WriteScope,
}

/// What of a document somebody may write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WriteScope {
    /// Nothing.
    #[default]
    Nothing,
    /// These fields only.
    Fields(BTreeSet<String>),
    /// Everything that the table of fields knows.
    Everything,
}

/// Bounds of one batch. The default is the product's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmitLimits {
    /// Changes in one batch.
    pub max_changes: usize,
    /// The document after the batch, saved.
    pub max_doc_bytes: usize,
    /// Changes of the document after the batch.
    pub max_doc_changes: usize,
    /// Operations of the document after the batch.
    pub max_doc_ops: u64,
}

impl Default for AdmitLimits {
    fn default() -> Self {
        Self {
            max_changes: limits::PUSH_MAX_CHANGES,
            max_doc_bytes: limits::DOC_WRITTEN_MAX_BYTES,
            max_doc_changes: limits::DOC_MAX_CHANGES,
            max_doc_ops: limits::DOC_MAX_OPS,
        }
    }
}

/// Changes that passed.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The new ones as type 1, in the order they came; changes held already are left out.
    pub changes: Vec<RawChange>,
    /// The stamps of the new ones, in the same order.
    pub stamps: Vec<Stamp>,
    /// Who wrote the new ones; `None` when there are none.
    pub actor: Option<Actor>,
    /// The actor's newest sequence number now; zero without actor.
    pub last_seq: u64,
}

/// One push for [`admit_all`].
#[derive(Debug)]
pub struct Pushed<'a, B> {
    /// Who pushes.
    pub author: Author,
    /// The changes, in the order they were made, all of one actor.
    pub changes: &'a [B],
}

/// What came of several pushes to one document.
#[derive(Debug)]
pub struct AdmittedAll {
    /// The document with everything applied that passed.
    pub doc: Doc,
    /// One verdict a push, in order.
    pub verdicts: Vec<Result<Admitted, Refusal>>,
    /// The document's bytes, compact, and loaded again for proof: when they were asked for, and anything new passed.
    pub saved: Option<Vec<u8>>,
}

/// Why changes may not enter. Carries no content of the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not one whole, well-formed change.
    #[error("malformed change")]
    Malformed,
    /// A chunk of another type: documents and bundles are never taken from a phone.
    #[error("not a change chunk")]
    NotAChange,
    /// Beyond a limit.
    #[error("beyond a limit")]
    TooLarge,
    /// The message is no stamp of this user, or automerge's time is set.
    #[error("the stamp is not the author's")]
    Stamp,
    /// The actor, or an actor it refers to, is not the author's or unknown.
    #[error("the actor is not the author's")]
    Actor,
    /// The actor used this sequence number before, for another change: the device must take a new incarnation.
    #[error("sequence number used twice; the newest held is {last_seq}")]
    Fork {
        /// The newest that is held.
        last_seq: u64,
    },
    /// Changes of this actor between the newest held and this one are missing.
    #[error("changes between {last_seq} and {seq} are missing")]
    Gap {
        /// The newest that is held.
        last_seq: u64,
        /// The one that came.
        seq: u64,
    },
    /// A dependency is not held.
    #[error("dependency {0} is missing")]
    MissingDeps(Hash32),
    /// An operation that the table of fields does not allow.
    #[error("operation not allowed: {0}")]
    Operation(&'static str),
    /// The author may not write this field.
    #[error("not the author's to write")]
    NotAllowed,
    /// The document would not give back the bytes that it took in.
    #[error("the change does not survive storage")]
    Unfaithful,
}

impl Refusal {
    /// For machines: stable, lower-case.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Malformed => "malformed",
            Refusal::NotAChange => "not_a_change",
            Refusal::TooLarge => "too_large",
            Refusal::Stamp => "stamp",
            Refusal::Actor => "actor",
            Refusal::Fork { .. } => "fork",
            Refusal::Gap { .. } => "gap",
            Refusal::MissingDeps(_) => "missing_deps",
            Refusal::Operation(_) => "operation",
            Refusal::NotAllowed => "not_allowed",
            Refusal::Unfaithful => "unfaithful",
        }
    }
}

/// Judges `changes` of `author` against `base`: all of them pass or none. They come in the order they were made,
/// and are all of one actor. Gives the document with them applied.
pub fn admit<B: AsRef<[u8]>>(
    base: &Doc,
    author: &Author,
    changes: &[B],
    bounds: &AdmitLimits,
) -> Result<(Doc, Admitted), Refusal> {
    admit_into(base.clone(), author, changes, bounds).map_err(|refused| refused.why)
}

/// Gives the base of [`admit_all`] once more, with these changes applied.
pub type Again<'a, E> = dyn FnMut(&[&[u8]]) -> Result<Doc, E> + 'a;

/// Judges pushes one after the other against the document as the ones before left it, and gives the document as it is after all of them,
/// with its compact bytes when `compact` asks for them.
///
/// Changes are applied in place. Should automerge fail over some that the rules found nothing wrong with, what is left is thrown away,
/// and `again` gives the base once more, with those changes applied that passed so far.
///
/// # Errors
/// Those of `again`.
pub fn admit_all<B: AsRef<[u8]>, E>(
    base: Doc,
    pushes: &[Pushed<'_, B>],
    bounds: &AdmitLimits,
    compact: bool,
    again: &mut Again<'_, E>,
) -> Result<AdmittedAll, E> {
    let before = base.change_count();
    let mut doc = base;
    let mut verdicts: Vec<Result<Admitted, Refusal>> = Vec::with_capacity(pushes.len());
    for push in pushes {
        match admit_into(doc, &push.author, push.changes, bounds) {
            Ok((next, admitted)) => {
                doc = next;
                verdicts.push(Ok(admitted));
            }
            Err(Refused { base, why }) => {
                doc = match base {
                    Some(untouched) => *untouched,
                    None => {
                        let passed = verdicts.iter().flatten().flat_map(|passed| &passed.changes);
                        again(&passed.map(|raw| raw.bytes.as_slice()).collect::<Vec<_>>())?
                    }
                };
                verdicts.push(Err(why));
            }
        }
    }
    let saved = (compact && doc.change_count() > before).then(|| doc.save_checked()).flatten();
    Ok(AdmittedAll { doc, verdicts, saved })
}

/// A push that does not pass, with the document as it was; without one where that was given up.
struct Refused {
    base: Option<Box<Doc>>,
    why: Refusal,
}

/// As [`admit`], in place.
fn admit_into<B: AsRef<[u8]>>(
    base: Doc,
    author: &Author,
    changes: &[B],
    bounds: &AdmitLimits,
) -> Result<(Doc, Admitted), Refused> {
    match Batch::judge(&base, author, changes, bounds) {
        Ok(found) => found.apply(base, bounds).map_err(|why| Refused { base: None, why }),
        Err(why) => Err(Refused { base: Some(base.into()), why }),
    }
}

/// The user, time and device that a change claims, for whoever judges when it was made; nothing is decoded by automerge. `None` for
/// foreign bytes.
pub fn claimed_stamp(change: &[u8]) -> Option<(Actor, Stamp)> {
    let head = chunk::scan(change).ok()?.head;
    let stamp = Stamp::from_message(std::str::from_utf8(&head.message).ok()?)?;
    Some((head.actor, stamp))
}

/// The hash of a change, read without decoding what is in it. `None` for foreign bytes.
pub fn claimed_hash(change: &[u8]) -> Option<Hash32> {
    chunk::scan(change).ok().map(|scanned| scanned.hash)
}

/// What tells the changes of one device at one position apart at no cost: the checksum in front of a change, which is the beginning of its
/// hash. `None` for bytes that are too short to have one.
pub fn claimed_checksum(change: &[u8]) -> Option<[u8; 4]> {
    chunk::checksum(change)
}

/// Those of `changes` that stand behind `heads`, as plain chunks in the order they came. A hash names its bytes and, through them, the
/// hashes behind it: when somebody vouches for the heads, what is found here is byte for byte what they vouch for. Nothing is decoded by
/// automerge, and whatever else is among the changes never will be.
pub fn vouched_for<B: AsRef<[u8]>>(changes: &[B], heads: &[Hash32]) -> Vec<Vec<u8>> {
    let scanned: Vec<_> = changes.iter().filter_map(|change| chunk::scan(change.as_ref()).ok()).collect();
    let by_hash: BTreeMap<Hash32, &[Hash32]> =
        scanned.iter().map(|one| (one.hash, one.head.deps.as_slice())).collect();
    let mut behind = BTreeSet::new();
    let mut open = heads.to_vec();
    while let Some(hash) = open.pop() {
        if let Some(deps) = by_hash.get(&hash)
            && behind.insert(hash)
        {
            open.extend_from_slice(deps);
        }
    }
    scanned.into_iter().filter(|one| behind.contains(&one.hash)).map(|one| one.raw).collect()
}

struct Batch<'a> {
    history: &'a History,
    author: &'a Author,
    rules: OpRules<'a>,
    found: Found,
    /// Highest operation of each change of the batch, in order.
    max_ops: Vec<(Hash32, u64)>,
}

/// New changes that the rules found nothing wrong with.
#[derive(Default)]
struct Found {
    parsed: Vec<Change>,
    raw: Vec<RawChange>,
    stamps: Vec<Stamp>,
    /// By how much they let the saved document grow at the most. `None` when their actor is new to the document: it may shift the
    /// numbers by which every operation names its actor, so the document is measured.
    growth: Option<usize>,
}

impl<'a> Batch<'a> {
    /// What is new in the changes, if all of it may enter.
    fn judge<B: AsRef<[u8]>>(
        base: &'a Doc,
        author: &'a Author,
        changes: &[B],
        bounds: &AdmitLimits,
    ) -> Result<Found, Refusal> {
        if changes.len() > bounds.max_changes || base.change_count() as usize > bounds.max_doc_changes {
            return Err(Refusal::TooLarge);
        }
        let rules = OpRules::new(base, &author.may);
        let history = base.history();
        let found = Found { growth: Some(0), ..Found::default() };
        let mut batch = Self { history, author, rules, found, max_ops: Vec::new() };
        for bytes in changes {
            let scanned = chunk::scan(bytes.as_ref())?;
            if !base.contains(&scanned.hash) && !batch.max_ops.iter().any(|(hash, _)| *hash == scanned.hash) {
                batch.add(scanned.raw, scanned.hash)?;
            }
        }
        let found = batch.found;
        let ops = history.ops() + found.parsed.iter().map(|change| change.len() as u64).sum::<u64>();
        match base.change_count() as usize + found.raw.len() > bounds.max_doc_changes
            || ops > bounds.max_doc_ops
        {
            true => Err(Refusal::TooLarge),
            false => Ok(found),
        }
    }

    fn add(&mut self, raw: Vec<u8>, hash: Hash32) -> Result<(), Refusal> {
        let (change, ops) = guarded(|| {
            let change = Change::from_bytes(raw.clone()).map_err(malformed)?;
            let ops = change.decode().operations;
            Ok((change, ops))
        })
        .map_err(|_| Refusal::Malformed)?;
        let stamp = self.stamp(&change)?;
        let actor = self.actor(&change)?;
        self.sequence(&change, actor)?;
        self.position(&change, actor)?;
        self.rules.begin(change.deps().iter().map(|dep| Hash32(dep.0)));
        let mut growth = CHANGE_GROWTH + raw.len();
        for (at, op) in ops.iter().enumerate() {
            self.rules.check(op, change.start_op().get() + at as u64, change.actor_id())?;
            growth += op_growth(op);
        }
        let known = self.history.knows_actor(actor);
        self.found.growth = self.found.growth.filter(|_| known).map(|before| before + growth);
        self.max_ops.push((hash, change.max_op()));
        self.found.stamps.push(stamp);
        self.found.raw.push(RawChange { hash, actor, seq: change.seq(), bytes: raw });
        self.found.parsed.push(change);
        Ok(())
    }

    fn stamp(&self, change: &Change) -> Result<Stamp, Refusal> {
        let stamp = change.message().and_then(Stamp::from_message);
        let own = |stamp: &Stamp| stamp.user == self.author.user && change.timestamp() == 0;
        stamp.filter(own).ok_or(Refusal::Stamp)
    }

    /// The change's actor is the author's and that of the whole batch; every other actor it names is known.
    fn actor(&self, change: &Change) -> Result<Actor, Refusal> {
        let own = |actor: &Actor| {
            actor.device == self.author.device
                && self.found.raw.first().is_none_or(|first| first.actor == *actor)
        };
        let actor = Actor::from_bytes(change.actor_id().to_bytes()).filter(own).ok_or(Refusal::Actor)?;
        let known = |other: &automerge::ActorId| {
            Actor::from_bytes(other.to_bytes()).is_some_and(|other| self.history.knows_actor(other))
        };
        if change.other_actor_ids().iter().all(known) { Ok(actor) } else { Err(Refusal::Actor) }
    }

    fn sequence(&self, change: &Change, actor: Actor) -> Result<(), Refusal> {
        let last_seq = self.found.raw.last().map_or_else(|| self.history.last_seq(actor), |raw| raw.seq);
        match change.seq() {
            seq if seq <= last_seq => Err(Refusal::Fork { last_seq }),
            seq if seq > last_seq + 1 => Err(Refusal::Gap { last_seq, seq }),
            _ => Ok(()),
        }
    }

    /// Dependencies are held, the actor's own last change is among them or behind them, and operations are numbered
    /// right after them: a number far ahead would exhaust the counter, one behind would be used twice.
    fn position(&self, change: &Change, actor: Actor) -> Result<(), Refusal> {
        if change.deps().is_empty() || !change.deps().is_sorted_by(|one, next| one < next) {
            return Err(Refusal::Operation("dependencies that nobody writes like this"));
        }
        let mut highest = 0;
        for dep in change.deps() {
            let dep = Hash32(dep.0);
            let max_op = self.max_op_of(&dep).ok_or(Refusal::MissingDeps(dep))?;
            highest = highest.max(max_op);
        }
        if change.start_op().get() != highest + 1 {
            return Err(Refusal::Operation("operations are not numbered after the dependencies"));
        }
        let own_last = match self.max_ops.last() {
            Some((hash, _)) => Some(*hash),
            None => self.history.changes_of(actor).next_back().map(|meta| meta.hash),
        };
        let deps: Vec<_> = change.deps().iter().map(|dep| Hash32(dep.0)).collect();
        match own_last {
            Some(own) if !deps.contains(&own) && !self.descends(&deps, own) => {
                Err(Refusal::Operation("the actor's own last change is not behind this one"))
            }
            _ => Ok(()),
        }
    }

    fn max_op_of(&self, hash: &Hash32) -> Option<u64> {
        let batched = self.max_ops.iter().find(|(known, _)| known == hash).map(|(_, max_op)| *max_op);
        batched.or_else(|| self.history.max_op_of(hash))
    }

    /// Changes of one batch form a chain already, so only the base is searched.
    fn descends(&self, from: &[Hash32], ancestor: Hash32) -> bool {
        self.max_ops.is_empty() && self.history.descends(from, ancestor)
    }
}

impl Found {
    /// The document with these changes, if it gives them back and is within the bounds.
    fn apply(self, base: Doc, bounds: &AdmitLimits) -> Result<(Doc, Admitted), Refusal> {
        let actor = self.raw.last().map(|last| last.actor);
        let last_seq = self.raw.last().map_or(0, |last| last.seq);
        let doc = match self.raw.is_empty() {
            true => base,
            false => {
                let at_most = self.growth.map(|growth| base.plain_at_most().saturating_add(growth));
                let mut doc = base.grown(self.parsed).map_err(|error| match error {
                    DocError::MissingDeps(hash) => Refusal::MissingDeps(hash),
                    DocError::Fork { .. } => Refusal::Fork { last_seq },
                    _ => Refusal::Malformed,
                })?;
                doc.weigh(at_most.unwrap_or_else(|| doc.plain_bytes()));
                if !doc.weighs_at_most(bounds.max_doc_bytes) {
                    return Err(Refusal::TooLarge);
                }
                if !self.raw.iter().all(|raw| doc.gives_back(raw)) {
                    return Err(Refusal::Unfaithful);
                }
                doc
            }
        };
        Ok((doc, Admitted { changes: self.raw, stamps: self.stamps, actor, last_seq }))
    }
}

/// By how much one operation lets a saved document grow at the most. Its row stands in some sixteen columns and may cut a run of equal
/// values in two in each; so may its mark beside each predecessor, in three. Generous, because a document that seems too large is weighed.
fn op_growth(op: &Op) -> usize {
    let key = if let Key::Map(key) = &op.key { key.len() } else { 0 };
    let value = if let OpType::Put(ScalarValue::Str(text)) = &op.action { text.len() } else { 0 };
    OP_GROWTH + PRED_GROWTH * op.pred.len() + key + limits::ELEMENT_KEY_MAX_BYTES + value
}

impl From<ChunkError> for Refusal {
    fn from(error: ChunkError) -> Self {
        match error {
            ChunkError::NotAChange => Refusal::NotAChange,
            ChunkError::TooLarge => Refusal::TooLarge,
            ChunkError::Malformed => Refusal::Malformed,
        }
    }
}

/// Whole numbers and lengths take ten bytes at the most: sixteen columns of a value, two headers of runs and the value that was cut.
const OP_GROWTH: usize = 16 * 40;
/// The same in three columns.
const PRED_GROWTH: usize = 3 * 40;
/// The same in the columns of changes; what the change says stands in its bytes.
const CHANGE_GROWTH: usize = 8 * 40;
