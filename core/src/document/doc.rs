//! One document: loading, applying, saving, and its changes as raw bytes. Refuses bytes of another kind, changes
//! whose dependencies are unknown (they would queue without bound), and to stay half-changed after a panic.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use automerge::{Automerge, Change, ChangeHash, LoadOptions, ReadDoc, TextEncoding, VerificationMode};

use super::genesis;
use super::history::History;
use crate::ids::{Actor, DocKind, Hash32};
use crate::limits;

/// Why bytes did not become a document or a change of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocError {
    /// The bytes made the decoder panic.
    #[error("the bytes made the decoder panic")]
    Panicked,
    /// The bytes are no document or change.
    #[error("not a document or change: {0}")]
    Malformed(String),
    /// The document does not begin with the genesis of its kind.
    #[error("not a {} document", .0.name())]
    NotOfKind(DocKind),
    /// A change depends on one that this document does not hold.
    #[error("change {0} is missing")]
    MissingDeps(Hash32),
    /// The actor has another change under this sequence number.
    #[error("the actor has another change {seq} already")]
    Fork {
        /// The number used twice.
        seq: u64,
    },
    /// Larger than [`limits::DOC_MAX_BYTES`].
    #[error("the document is larger than {} bytes", limits::DOC_MAX_BYTES)]
    TooLarge,
}

/// One change as it travels and is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawChange {
    /// Its hash.
    pub hash: Hash32,
    /// Who wrote it.
    pub actor: Actor,
    /// Which of that actor's changes in this document it is, from 1.
    pub seq: u64,
    /// A change chunk of type 1, uncompressed.
    pub bytes: Vec<u8>,
}

/// One document in memory.
#[derive(Clone)]
pub struct Doc {
    kind: DocKind,
    /// Boxed: it is large, and documents are handed on.
    am: Box<Automerge>,
    /// Filled when first needed, and grown from then on.
    pub(super) history: OnceLock<Arc<History>>,
    /// How large the document is when saved plain, or somewhat more. Filled when first needed.
    plain_at_most: OnceLock<usize>,
}

impl Doc {
    /// The document as it is before anybody wrote into it.
    pub fn genesis(kind: DocKind) -> Self {
        Self::wrap(kind, Box::new(genesis::opened(kind).clone()))
    }

    /// Reads a saved document, verifying every hash. It must open with the genesis of `kind`.
    pub fn load(kind: DocKind, bytes: &[u8]) -> Result<Self, DocError> {
        Self::load_with(kind, bytes, VerificationMode::Check)
    }

    /// Reads a document that this process, or the server it trusts, saved; the hashes are not computed again.
    pub fn load_trusted(kind: DocKind, bytes: &[u8]) -> Result<Self, DocError> {
        Self::load_with(kind, bytes, VerificationMode::DontCheck)
    }

    /// What kind of document this is.
    pub fn kind(&self) -> DocKind {
        self.kind
    }

    /// Applies raw changes (type 1), in any order, skipping those already held. All or nothing.
    pub fn apply(&mut self, changes: &[impl AsRef<[u8]>]) -> Result<(), DocError> {
        *self = self.clone().applied(changes)?;
        Ok(())
    }

    /// As [`Doc::apply`], for whoever has a copy to give away.
    pub fn applied(self, changes: &[impl AsRef<[u8]>]) -> Result<Self, DocError> {
        let parsed = guarded(|| {
            let parse = |bytes: &[u8]| Change::from_bytes(bytes.to_vec()).map_err(malformed);
            changes.iter().map(|bytes| parse(bytes.as_ref())).collect::<Result<Vec<_>, _>>()
        })?;
        self.grown(parsed)
    }

    /// Takes in everything that another saved copy of this document holds.
    pub fn merge_snapshot(&mut self, bytes: &[u8]) -> Result<(), DocError> {
        let other = Self::load(self.kind, bytes)?;
        let added = guarded(|| Ok(self.am.get_changes_added(&other.am)))?;
        *self = self.with(added)?;
        Ok(())
    }

    /// The whole document, compact and deflated.
    pub fn save(&self) -> Vec<u8> {
        self.am.save()
    }

    /// How large the document is, compact and not deflated: what the bounds on documents are about. Beyond any bound when it cannot be
    /// saved.
    pub fn plain_bytes(&self) -> usize {
        guarded(|| Ok(self.am.save_nocompress().len())).unwrap_or(usize::MAX)
    }

    /// As [`Doc::save`], loaded again and compared, for whoever is about to drop what it was saved from. `None`: keep that.
    pub fn save_checked(&self) -> Option<Vec<u8>> {
        let saved = guarded(|| Ok(self.am.save())).ok()?;
        let loaded = Self::load(self.kind, &saved).ok()?;
        let same = loaded.heads() == self.heads() && loaded.change_count() == self.change_count();
        same.then_some(saved)
    }

    /// The changes that no other change depends on, sorted.
    pub fn heads(&self) -> Vec<Hash32> {
        self.am.get_heads().into_iter().map(|hash| Hash32(hash.0)).collect()
    }

    /// Whether the document holds this change.
    pub fn contains(&self, hash: &Hash32) -> bool {
        self.am.get_missing_deps(&[ChangeHash(hash.0)]).is_empty()
    }

    /// The sequence number of this actor's newest change here; zero when it wrote none.
    pub fn last_seq(&self, actor: Actor) -> u64 {
        self.history().last_seq(actor)
    }

    /// How many changes the document holds, genesis included.
    pub fn change_count(&self) -> u64 {
        self.am.stats().num_changes
    }

    /// Every change that is no ancestor of `heads`, dependencies first. Unknown heads are ignored.
    pub fn changes_after(&self, heads: &[Hash32]) -> Vec<RawChange> {
        let known: Vec<_> = heads.iter().filter(|h| self.contains(h)).map(|h| ChangeHash(h.0)).collect();
        self.am.get_changes(&known).iter().filter_map(raw).collect()
    }

    /// The changes that `heads` stand for, genesis left out, dependencies first. Unknown heads are ignored.
    pub fn changes_behind(&self, heads: &[Hash32]) -> Vec<RawChange> {
        let behind = self.history().behind(heads);
        let all = self.changes_after(&[genesis::genesis(self.kind).hash]);
        all.into_iter().filter(|change| behind.contains(&change.hash)).collect()
    }

    /// The changes of one actor from sequence `from_seq` on, in order.
    pub fn changes_of(&self, actor: Actor, from_seq: u64) -> Vec<RawChange> {
        let wanted = self.history().changes_of(actor).filter(|meta| meta.seq >= from_seq);
        wanted.filter_map(|meta| self.change(&meta.hash)).collect()
    }

    /// One change by its hash.
    pub fn change(&self, hash: &Hash32) -> Option<RawChange> {
        self.am.get_change_by_hash(&ChangeHash(hash.0)).as_ref().and_then(raw)
    }

    pub(super) fn am(&self) -> &Automerge {
        &self.am
    }

    pub(super) fn history(&self) -> &History {
        self.history.get_or_init(|| Arc::new(History::of(&self.am)))
    }

    /// Whether the document, asked for this change, answers with the very bytes.
    pub(super) fn gives_back(&self, change: &RawChange) -> bool {
        let found = guarded(|| Ok(self.am.get_change_by_hash(&ChangeHash(change.hash.0))));
        found.ok().flatten().is_some_and(|found| found.raw_bytes() == change.bytes)
    }

    /// An upper bound of [`Doc::plain_bytes`], near it or not.
    pub(super) fn plain_at_most(&self) -> usize {
        *self.plain_at_most.get_or_init(|| self.plain_bytes())
    }

    /// Notes an upper bound, from what the document was made of.
    pub(super) fn weigh(&mut self, at_most: usize) {
        self.plain_at_most = at_most.into();
    }

    /// Whether [`Doc::plain_bytes`] are within a bound. The document is saved for it only where the noted bound leaves a doubt.
    pub(super) fn weighs_at_most(&mut self, bound: usize) -> bool {
        if self.plain_at_most() > bound {
            self.weigh(self.plain_bytes());
        }
        self.plain_at_most() <= bound
    }

    fn wrap(kind: DocKind, am: Box<Automerge>) -> Self {
        Self { kind, am, history: OnceLock::new(), plain_at_most: OnceLock::new() }
    }

    /// A copy with these changes applied.
    pub(super) fn with(&self, changes: Vec<Change>) -> Result<Self, DocError> {
        self.clone().grown(changes)
    }

    /// With these changes applied. It is given away, so that neither an error nor a panic leaves half a change or a queue behind.
    pub(super) fn grown(self, changes: Vec<Change>) -> Result<Self, DocError> {
        let batch: HashSet<_> = changes.iter().map(Change::hash).collect();
        let mut deps = changes.iter().flat_map(|change| change.deps());
        if let Some(missing) = deps.find(|dep| !batch.contains(*dep) && !self.contains(&Hash32(dep.0))) {
            return Err(DocError::MissingDeps(Hash32(missing.0)));
        }
        let mut seen = HashSet::new();
        let mut is_new = |change: &Change| {
            let hash = change.hash();
            !self.contains(&Hash32(hash.0)) && seen.insert(hash)
        };
        // Of a document whose history nobody asked for yet, nothing is noted.
        let is_noted = self.history.get().is_some();
        let new: Vec<bool> = changes.iter().map(|change| is_noted && is_new(change)).collect();
        let (kind, (mut am, history)) = (self.kind, self.into_parts());
        let new = changes.iter().zip(new).filter(|(_, is_new)| *is_new).map(|(change, _)| change);
        let history = history.map(|known| History::grow(known, new));
        let am = guarded(|| {
            am.apply_changes(changes).map_err(|error| match error {
                automerge::AutomergeError::DuplicateSeqNumber(seq, _) => DocError::Fork { seq },
                other => malformed(other),
            })?;
            Ok(am)
        })?;
        Ok(Self::wrap_known(kind, am, history))
    }

    /// What the document is made of, for whoever writes in it: its history, where somebody asked for it.
    pub(super) fn into_parts(self) -> (Box<Automerge>, Option<Arc<History>>) {
        (self.am, self.history.into_inner())
    }

    /// A document with what is known of its history.
    pub(super) fn wrap_known(kind: DocKind, am: Box<Automerge>, history: Option<Arc<History>>) -> Self {
        Self { history: history.map(OnceLock::from).unwrap_or_default(), ..Self::wrap(kind, am) }
    }

    fn load_with(kind: DocKind, bytes: &[u8], mode: VerificationMode) -> Result<Self, DocError> {
        if bytes.len() > limits::DOC_MAX_BYTES {
            return Err(DocError::TooLarge);
        }
        let options =
            LoadOptions::new().verification_mode(mode).text_encoding(TextEncoding::UnicodeCodePoint);
        let am = guarded(|| Automerge::load_with_options(bytes, options).map_err(malformed))?;
        if let Some(missing) = am.get_missing_deps(&[]).first() {
            return Err(DocError::MissingDeps(Hash32(missing.0)));
        }
        let doc = Self::wrap(kind, Box::new(am));
        if doc.contains(&genesis::genesis(kind).hash) { Ok(doc) } else { Err(DocError::NotOfKind(kind)) }
    }
}

impl std::fmt::Debug for Doc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doc").field("kind", &self.kind).field("heads", &self.heads()).finish_non_exhaustive()
    }
}

/// Turns a panic of the decoder into an error. The values inside are dropped with the closure, so nothing broken
/// survives.
pub(super) fn guarded<T>(f: impl FnOnce() -> Result<T, DocError>) -> Result<T, DocError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(Err(DocError::Panicked))
}

pub(super) fn malformed(error: impl std::fmt::Display) -> DocError {
    DocError::Malformed(error.to_string())
}

/// `None` for an actor that is none of ours.
fn raw(change: &Change) -> Option<RawChange> {
    Some(RawChange {
        hash: Hash32(change.hash().0),
        actor: Actor::from_bytes(change.actor_id().to_bytes())?,
        seq: change.seq(),
        bytes: change.raw_bytes().to_vec(),
    })
}
