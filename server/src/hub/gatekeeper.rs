//! The threads that put pushes through the gate. Each document belongs to one of them, so that no two ever plan for the same document;
//! while a document's batch is being written, further pushes to it wait and then go together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use fieldbook_core::company::{CompanyError, Gate, Incoming, Prepared, Settled};
use fieldbook_core::ids::DocId;
use fieldbook_core::limits;
use fieldbook_core::store::{Outcome, StoreError};
use fieldbook_core::sync::message::{Answer, Verdict};
use fieldbook_engines::Committer;
use tokio::sync::mpsc::UnboundedSender;

use super::Hub;
use super::worker::GateProgram;
use crate::app::App;

/// What a session is told of its pushes. Bounded by [`fieldbook_core::limits::PUSHES_IN_FLIGHT`], which the session enforces.
pub(super) enum Told {
    /// Answers.
    Answers(Vec<Answer>),
    /// A push would be held, and as much of this device's work waits for a person as may: the phone keeps it, and comes back later.
    NoRoom,
    /// The store failed or nobody could decide: the connection ends and the phone comes back later.
    Failed,
}

/// Where a session hears of its pushes.
#[derive(Clone)]
pub(super) struct Reply {
    /// The session.
    pub session: u64,
    /// Its ear.
    pub tell: UnboundedSender<Told>,
}

impl Reply {
    /// A phone that has gone hears of it at its next connection.
    fn send(&self, told: Told) {
        let _ = self.tell.send(told);
    }
}

pub(super) struct Gatekeeper {
    shards: Vec<Shard>,
}

struct Shard {
    /// Unbounded, so that the committer never waits for this thread while this thread waits for the committer; pushes are bounded
    /// by `queued`.
    queue: Sender<Job>,
    queued: Arc<AtomicUsize>,
    /// Bytes of the pushes that have no answer yet.
    held_bytes: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

/// What a push takes of its shard's memory, until it is answered or given up.
struct Weight(Arc<AtomicUsize>, usize);

impl Weight {
    /// `None` when the shard holds as much as it may.
    fn take(held_bytes: &Arc<AtomicUsize>, bytes: usize) -> Option<Self> {
        let weight = Self(held_bytes.clone(), bytes);
        let before = held_bytes.fetch_add(bytes, Ordering::AcqRel);
        (before + bytes <= limits::GATE_QUEUE_BYTES).then_some(weight)
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::AcqRel);
    }
}

enum Job {
    Push(Box<Incoming>, Reply, Weight),
    Written(Box<Prepared>, Vec<Waiting>, Result<Outcome, StoreError>),
    Barrier(SyncSender<()>),
    Stop,
}

/// A push that is being judged or written.
struct Waiting {
    incoming: Incoming,
    reply: Reply,
    tries: u32,
    _weight: Weight,
}

impl AsRef<Incoming> for Waiting {
    fn as_ref(&self) -> &Incoming {
        &self.incoming
    }
}

impl Gatekeeper {
    pub fn start(app: Arc<App>, committer: Arc<Committer>, hub: Weak<Hub>, program: GateProgram) -> Self {
        let workers = app.config.gate.workers.max(1);
        let shards = (0..workers).map(|_| {
            let (queue, jobs) = channel();
            let queued = Arc::new(AtomicUsize::new(0));
            let lane = Lane {
                app: app.clone(),
                committer: committer.clone(),
                hub: hub.clone(),
                gate: program.gate(&app.config.gate),
                back: queue.clone(),
                queued: queued.clone(),
                waiting: BTreeMap::new(),
                writing: BTreeSet::new(),
                contended: BTreeSet::new(),
            };
            // Without a thread the shard answers nothing and its sessions time out; the machine is beyond help then.
            let thread =
                std::thread::Builder::new().name("fieldbook-gate".into()).spawn(move || lane.run(&jobs));
            Shard { queue, queued, held_bytes: Arc::default(), thread: thread.ok() }
        });
        Self { shards: shards.collect() }
    }

    /// Takes a push; gives it back when the gate is overloaded.
    pub fn push(&self, incoming: Box<Incoming>, reply: Reply) -> Result<(), Box<Incoming>> {
        let shard = &self.shards[shard_of(incoming.push.doc, self.shards.len())];
        if shard.queued.fetch_add(1, Ordering::AcqRel) >= QUEUE_PUSHES {
            shard.queued.fetch_sub(1, Ordering::AcqRel);
            return Err(incoming);
        }
        let Some(weight) = Weight::take(&shard.held_bytes, incoming.push.bytes()) else {
            shard.queued.fetch_sub(1, Ordering::AcqRel);
            return Err(incoming);
        };
        match shard.queue.send(Job::Push(incoming, reply, weight)) {
            Err(gone) => match gone.0 {
                Job::Push(incoming, ..) => Err(incoming),
                _ => Ok(()),
            },
            Ok(()) => Ok(()),
        }
    }

    /// Waits until every push that was taken before has been handed to the committer and answered.
    pub fn drain(&self) {
        for shard in &self.shards {
            let (done, wait) = sync_channel(1);
            if shard.queue.send(Job::Barrier(done)).is_ok() {
                let _ = wait.recv();
            }
        }
    }
}

impl Drop for Gatekeeper {
    fn drop(&mut self) {
        for shard in &mut self.shards {
            let _ = shard.queue.send(Job::Stop);
            if let Some(thread) = shard.thread.take()
                && thread.thread().id() != std::thread::current().id()
            {
                let _ = thread.join();
            }
        }
    }
}

/// One thread's work.
struct Lane {
    app: Arc<App>,
    committer: Arc<Committer>,
    hub: Weak<Hub>,
    gate: Box<dyn Gate>,
    back: Sender<Job>,
    queued: Arc<AtomicUsize>,
    /// Pushes not judged yet, by document.
    waiting: BTreeMap<DocId, Vec<Waiting>>,
    /// Documents whose batch is with the committer.
    writing: BTreeSet<DocId>,
    /// Documents whose batch met another one that wrote the same row, as those of an account's leads do: they go one by one.
    contended: BTreeSet<DocId>,
}

impl Lane {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut barriers = Vec::new();
        let mut order: VecDeque<DocId> = VecDeque::new();
        loop {
            // Take everything that has come, so that pushes to one document go together; wait only when there is nothing to judge.
            let may_contend = self.may_contend();
            let idle = !order.iter().any(|doc| self.is_ready(doc, may_contend));
            let mut next = if idle { jobs.recv().ok() } else { jobs.try_recv().ok() };
            let mut taken = 0;
            while let Some(job) = next {
                match job {
                    Job::Push(incoming, reply, weight) => {
                        self.queued.fetch_sub(1, Ordering::AcqRel);
                        let doc = incoming.push.doc;
                        let lot = self.waiting.entry(doc).or_default();
                        if lot.is_empty() {
                            order.push_back(doc);
                        }
                        lot.push(Waiting { incoming: *incoming, reply, tries: 0, _weight: weight });
                    }
                    Job::Written(prepared, pushes, outcome) => {
                        self.written(*prepared, pushes, outcome, &mut order)
                    }
                    Job::Barrier(done) => barriers.push(done),
                    Job::Stop => return,
                }
                taken += 1;
                next = if taken < TAKE_AT_ONCE { jobs.try_recv().ok() } else { None };
            }
            let lots = self.next_lots(&mut order);
            self.judge(lots, &mut order);
            if self.waiting.is_empty() && self.writing.is_empty() {
                barriers.drain(..).for_each(|done| {
                    let _ = done.send(());
                });
            }
        }
    }

    /// Whether none of the contended documents is being written.
    fn may_contend(&self) -> bool {
        self.contended.is_disjoint(&self.writing)
    }

    /// Whether a document's pushes may be judged now.
    fn is_ready(&self, doc: &DocId, may_contend: bool) -> bool {
        !self.writing.contains(doc) && (may_contend || !self.contended.contains(doc))
    }

    /// The pushes of the documents that have waited longest, of which none is being written. Of those that contended for a row at most one,
    /// and first: it is written before the others of the trip, none of which can take the row from it.
    fn next_lots(&mut self, order: &mut VecDeque<DocId>) -> Vec<(DocId, Vec<Waiting>)> {
        let (mut lots, mut rests) = (VecDeque::new(), Vec::new());
        let mut may_contend = self.may_contend();
        order.retain(|doc| {
            if lots.len() == DOCS_A_TRIP || !self.is_ready(doc, may_contend) {
                return true;
            }
            let mut pushes = self.waiting.remove(doc).unwrap_or_default();
            if pushes.len() > PUSHES_A_BATCH {
                self.waiting.insert(*doc, pushes.split_off(PUSHES_A_BATCH));
                rests.push(*doc);
            }
            if self.contended.contains(doc) {
                may_contend = false;
                lots.push_front((*doc, pushes));
            } else {
                lots.push_back((*doc, pushes));
            }
            false
        });
        order.extend(rests);
        lots.into()
    }

    fn judge(&mut self, lots: Vec<(DocId, Vec<Waiting>)>, order: &mut VecDeque<DocId>) {
        let prepared = self.app.company.prepare_all(&lots, &mut *self.gate, self.app.now_ms());
        for ((doc, pushes), prepared) in lots.into_iter().zip(prepared) {
            match prepared {
                Ok(prepared) if prepared.batch.is_empty() => {
                    self.written(prepared, pushes, Ok(Outcome::Done(None)), order);
                }
                Ok(prepared) => self.write(prepared, pushes),
                Err(error) => {
                    tracing::error!(%doc, %error, "a push could not be judged");
                    self.give_up(doc, pushes, order);
                }
            }
        }
    }

    fn write(&mut self, mut prepared: Prepared, pushes: Vec<Waiting>) {
        self.writing.insert(prepared.doc);
        let batch = std::mem::take(&mut prepared.batch);
        let back = self.back.clone();
        let prepared = Box::new(prepared);
        self.committer.submit(batch, move |outcome| {
            // The thread may be gone when the process stops; the phone then asks again.
            let _ = back.send(Job::Written(prepared, pushes, outcome));
        });
    }

    /// Answers nobody who pushed to the document: these pushes, and what came behind them and builds on them.
    fn give_up(&mut self, doc: DocId, pushes: Vec<Waiting>, order: &mut VecDeque<DocId>) {
        self.gate.forget(doc);
        self.contended.remove(&doc);
        fail(pushes);
        fail(self.waiting.remove(&doc).unwrap_or_default());
        order.retain(|waiting| *waiting != doc);
    }

    fn written(
        &mut self,
        prepared: Prepared,
        pushes: Vec<Waiting>,
        outcome: Result<Outcome, StoreError>,
        order: &mut VecDeque<DocId>,
    ) {
        let doc = prepared.doc;
        self.writing.remove(&doc);
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(%doc, %error, "a push could not be written");
                return self.give_up(doc, pushes, order);
            }
        };
        match prepared.settle(outcome) {
            Settled::Done { answers, touched, later } => {
                self.contended.remove(&doc);
                let writer = sole_writer(&pushes);
                let mut answers = answers.into_iter();
                for (i, push) in pushes.into_iter().enumerate() {
                    if later.contains(&i) {
                        let device = push.incoming.who.device;
                        tracing::warn!(%doc, %device, "no more work of this device is held until somebody decides on it");
                        metrics::counter!(crate::metrics::PUSHED, "outcome" => "later").increment(1);
                        push.reply.send(Told::NoRoom);
                        continue;
                    }
                    let Some(answer) = answers.next() else { break };
                    count(&answer);
                    push.reply.send(Told::Answers(vec![answer]));
                }
                if let Some(hub) = self.hub.upgrade() {
                    hub.wake_but(&touched, writer);
                }
            }
            Settled::Again => {
                self.gate.forget(doc);
                let (again, given_up): (Vec<_>, Vec<_>) =
                    pushes.into_iter().partition(|push| push.tries < TRIES);
                fail(given_up);
                let again = again.into_iter().map(|push| Waiting { tries: push.tries + 1, ..push });
                let mut lot: Vec<_> = again.collect();
                lot.extend(self.waiting.remove(&doc).unwrap_or_default());
                if lot.is_empty() {
                    self.contended.remove(&doc);
                    return;
                }
                self.contended.insert(doc);
                self.waiting.insert(doc, lot);
                if !order.contains(&doc) {
                    order.push_back(doc);
                }
            }
        }
    }
}

/// The session that brought all of these, which hears of them by their answers.
fn sole_writer(pushes: &[Waiting]) -> Option<u64> {
    let (first, others) = pushes.split_first()?;
    let session = first.reply.session;
    others.iter().all(|other| other.reply.session == session).then_some(session)
}

fn fail(pushes: Vec<Waiting>) {
    for push in pushes {
        push.reply.send(Told::Failed);
    }
}

fn count(answer: &Answer) {
    let outcome = match &answer.verdict {
        Verdict::Durable { .. } => "durable",
        Verdict::Held { .. } => "held",
        Verdict::Refused { .. } => "refused",
    };
    metrics::counter!(crate::metrics::PUSHED, "outcome" => outcome).increment(1);
}

fn shard_of(doc: DocId, shards: usize) -> usize {
    // Random bytes or a hash: the last byte spreads evenly.
    usize::from(doc.0[15]) % shards.max(1)
}

/// A company error is not the phone's business, only that it should come back.
impl From<CompanyError> for Told {
    fn from(_: CompanyError) -> Self {
        Told::Failed
    }
}

/// Pushes that may wait for one thread: a second's work of 5,000 devices' reconnecting at once.
const QUEUE_PUSHES: usize = 16_384;
/// Documents whose pushes go to the gate together: a trip costs two changes between processes, and its first answer waits for its last.
const DOCS_A_TRIP: usize = 16;
/// Jobs taken before the next documents are judged.
const TAKE_AT_ONCE: usize = 256;
/// Pushes to one document that share a batch.
const PUSHES_A_BATCH: usize = 64;
/// How often a push is judged again when the store changed meanwhile: of two threads' documents that contend for a row each loses every
/// second time, so that of three hundred some lose ten times and more.
const TRIES: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_takes_as_many_bytes_as_it_may_and_gives_them_back() {
        let held = Arc::default();
        let most = Weight::take(&held, limits::GATE_QUEUE_BYTES).unwrap();
        assert!(Weight::take(&held, 1).is_none());
        assert!(Weight::take(&held, 0).is_some());
        drop(most);
        assert_eq!(held.load(Ordering::Acquire), 0, "nothing is left of those that were not taken either");
        assert!(Weight::take(&held, 1).is_some());
    }
}
