//! The gate as the company sees it: something that judges pushed bytes on a bounded copy of a document. [`LocalGate`] does it in
//! this process; the server may put the same job into a worker process that can be killed.

use std::num::NonZeroUsize;

use lru::LruCache;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::CompanyError;
use super::accounts::named_account;
use crate::document::{
    AdmitLimits, Admitted, AdmittedAll, Author, Doc, DocError, NoClocks, Pushed, Refusal, WriteScope,
    admit_all, claimed_stamp,
};
use crate::ids::{Actor, DeviceId, DocId, Hash32, UserId};
use crate::sync::message::{HoldReason, RefuseCode, slices};

/// The stored bytes of a document.
#[derive(Debug, Clone, Default, PartialEq, Encode, Decode)]
pub struct Base {
    /// Its snapshot, when there is one.
    #[n(0)]
    pub snapshot: Option<ByteVec>,
    /// The raw changes behind it.
    #[n(1)]
    pub changes: Vec<ByteVec>,
}

impl Base {
    /// Loads the document. The bytes passed the gate before they were stored.
    ///
    /// # Errors
    /// [`CompanyError::Row`] when the store is damaged.
    pub fn load(&self, doc: DocId) -> Result<Doc, CompanyError> {
        let damaged = |detail: String| CompanyError::Row { key: format!("document {doc}"), detail };
        let kind = doc.kind().ok_or_else(|| damaged("no such kind".into()))?;
        let loaded = match &self.snapshot {
            Some(bytes) => Doc::load_trusted(kind, bytes).map_err(|e| damaged(e.to_string()))?,
            None => Doc::genesis(kind),
        };
        if self.changes.is_empty() {
            return Ok(loaded);
        }
        loaded.applied(&slices(&self.changes)).map_err(|e| damaged(e.to_string()))
    }
}

/// One push as the gate judges it.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct GatePush {
    /// The device that pushes.
    #[n(0)]
    pub device: DeviceId,
    /// Its user.
    #[n(1)]
    pub user: UserId,
    /// The raw changes.
    #[n(2)]
    pub changes: Vec<ByteVec>,
}

/// A document and what several devices push to it, in order.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct GateJob {
    /// The document.
    #[n(0)]
    pub doc: DocId,
    /// Its heads as stored; a gate that holds the document at these heads needs no base.
    #[n(1)]
    pub heads: Vec<Hash32>,
    /// The pushes.
    #[n(2)]
    pub pushes: Vec<GatePush>,
    /// Whether the saved document is wanted, because its tail has grown long.
    #[n(3)]
    pub want_saved: bool,
}

/// What the gate says of one push.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Accepted {
    /// These changes are new and may be merged; none when all were known.
    #[n(0)]
    Merge {
        /// Incarnation of the actor that wrote them.
        #[n(0)]
        incarnation: u32,
        /// The new changes as chunks of type 1.
        #[n(1)]
        changes: Vec<ByteVec>,
        /// Boots that wrote some of them before any handshake (O1).
        #[n(2)]
        unpinned: Vec<u64>,
    },
    /// Readable, but not to be merged.
    #[n(1)]
    Hold(#[n(0)] HoldReason),
    /// Not to be kept.
    #[n(2)]
    Refuse {
        /// Why.
        #[n(0)]
        code: RefuseCode,
        /// For a developer's log; no personal data.
        #[n(1)]
        detail: String,
    },
}

impl Accepted {
    /// Whether something new is merged.
    pub fn is_new(&self) -> bool {
        matches!(self, Accepted::Merge { changes, .. } if !changes.is_empty())
    }
}

/// What the gate says of a job.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Judged {
    /// One verdict a push.
    #[n(0)]
    pub verdicts: Vec<Accepted>,
    /// Heads of the document with everything merged.
    #[n(1)]
    pub heads: Vec<Hash32>,
    /// Its changes, genesis included.
    #[n(2)]
    pub changes: u64,
    /// The document saved, when the job asked for it and something was merged.
    #[n(3)]
    pub saved: Option<ByteVec>,
    /// The account that the document, a lead, names now.
    #[n(4)]
    pub account: Option<DocId>,
    /// Who wrote that name.
    #[n(5)]
    pub account_by: Option<UserId>,
}

/// Something that judges.
pub trait Gate: Send {
    /// Judges a job. `base` gives the stored bytes when the gate does not hold the document.
    ///
    /// # Errors
    /// [`CompanyError`] when the base cannot be read.
    fn judge(
        &mut self,
        job: &GateJob,
        base: &mut dyn FnMut() -> Result<Base, CompanyError>,
    ) -> Result<Judged, CompanyError>;

    /// Judges jobs of different documents: one outcome a job, in order. `base` gives the stored bytes of the job with that number.
    fn judge_all(
        &mut self,
        jobs: &[GateJob],
        base: &mut dyn FnMut(usize) -> Result<Base, CompanyError>,
    ) -> Vec<Result<Judged, CompanyError>> {
        jobs.iter().enumerate().map(|(at, job)| self.judge(job, &mut || base(at))).collect()
    }

    /// Forgets what it holds of a document, because the batch that followed from its judgement was not written.
    fn forget(&mut self, doc: DocId);
}

/// A gate in this process, with the documents that it last saw kept in memory.
#[derive(Debug)]
pub struct LocalGate {
    /// `None`: nothing is kept.
    hot: Option<LruCache<DocId, Doc>>,
}

impl LocalGate {
    /// A gate that keeps the `capacity` documents in memory that were judged last.
    pub fn new(capacity: usize) -> Self {
        Self { hot: NonZeroUsize::new(capacity).map(LruCache::new) }
    }
}

impl Gate for LocalGate {
    fn judge(
        &mut self,
        job: &GateJob,
        base: &mut dyn FnMut() -> Result<Base, CompanyError>,
    ) -> Result<Judged, CompanyError> {
        let held = self.hot.as_mut().and_then(|hot| hot.pop(&job.doc));
        let held = held.filter(|doc| doc.heads() == job.heads);
        let doc = match held {
            Some(doc) => doc,
            None => base()?.load(job.doc)?,
        };
        let mut again = |passed: &[&[u8]]| {
            let damaged = |e: DocError| CompanyError::Row {
                key: format!("document {}", job.doc),
                detail: e.to_string(),
            };
            base()?.load(job.doc)?.applied(passed).map_err(damaged)
        };
        let slices: Vec<_> = job.pushes.iter().map(|push| slices(&push.changes)).collect();
        let pushes: Vec<_> =
            job.pushes.iter().zip(&slices).map(|(push, changes)| pushed(push, changes)).collect();
        let AdmittedAll { doc, verdicts, saved } =
            admit_all(doc, &pushes, &AdmitLimits::default(), job.want_saved, &mut again)?;
        let verdicts = verdicts.into_iter().map(accepted).collect();
        let (account, account_by) = named_account(&doc, &NoClocks).unzip();
        let (heads, changes) = (doc.heads(), doc.change_count());
        let saved = saved.map(ByteVec::from);
        let judged = Judged { verdicts, heads, changes, saved, account, account_by };
        if let Some(hot) = &mut self.hot {
            hot.push(job.doc, doc);
        }
        Ok(judged)
    }

    fn forget(&mut self, doc: DocId) {
        if let Some(hot) = &mut self.hot {
            hot.pop(&doc);
        }
    }
}

fn pushed<'a, B>(push: &GatePush, changes: &'a [B]) -> Pushed<'a, B> {
    let author = Author { device: push.device, user: push.user, may: WriteScope::Everything };
    Pushed { author, changes }
}

fn accepted(verdict: Result<Admitted, Refusal>) -> Accepted {
    match verdict {
        Ok(admitted) => {
            let incarnation = admitted.actor.map_or(0, |actor| actor.incarnation);
            let changes = admitted.changes.into_iter().map(|raw| raw.bytes.into()).collect();
            let unpinned = admitted.stamps.iter().filter(|stamp| stamp.offset_ms.is_none());
            let mut unpinned: Vec<u64> = unpinned.map(|stamp| stamp.moment.boot).collect();
            unpinned.dedup();
            Accepted::Merge { incarnation, changes, unpinned }
        }
        Err(Refusal::Fork { .. }) => Accepted::Hold(HoldReason::Fork),
        Err(Refusal::MissingDeps(_)) => Accepted::Hold(HoldReason::MissingDeps),
        Err(refusal) => Accepted::Refuse { code: refuse_code(&refusal), detail: refusal.to_string() },
    }
}

fn refuse_code(refusal: &Refusal) -> RefuseCode {
    match refusal {
        Refusal::TooLarge => RefuseCode::TooLarge,
        Refusal::Stamp | Refusal::Actor => RefuseCode::NotYourActor,
        Refusal::Gap { .. } => RefuseCode::OutOfOrder,
        Refusal::Operation(_) => RefuseCode::Schema,
        Refusal::NotAllowed => RefuseCode::NotPermitted,
        _ => RefuseCode::Malformed,
    }
}

/// The actor that a push's first change names, read without trusting anything else of it; `None` when it cannot be read or is not
/// this device's.
pub fn claimed_actor(device: DeviceId, changes: &[ByteVec]) -> Option<Actor> {
    let (actor, _) = claimed_stamp(changes.first()?)?;
    (actor.device == device).then_some(actor)
}
