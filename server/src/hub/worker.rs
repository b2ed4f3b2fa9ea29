//! The gate in a worker process: foreign bytes are decoded where a panic, an endless loop or an allocation can be stopped. The worker gets a
//! job, and the document's bytes when it does not hold them, over a pipe; it is limited in memory, and killed when it takes too long.
//!
//! Whoever sent the bytes that killed a worker twice, in a fresh one and alone, gets a refusal; pushes that only shared the batch are judged
//! again. A worker that took too long says nothing of the bytes by itself (the machine may have stood still), so the second time is longer.

use std::collections::BTreeMap;
use std::io::{BufReader, BufWriter, Read, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use fieldbook_core::company::{Accepted, Base, CompanyError, Gate, GateJob, Judged, LocalGate};
use fieldbook_core::ids::DocId;
use fieldbook_core::limits;
use fieldbook_core::store::StoreError;
use fieldbook_core::sync::message::RefuseCode;
use lru::LruCache;
use minicbor::{Decode, Encode};

use crate::config::GateConfig;
use crate::confined;

/// Where pushes are judged.
#[derive(Debug, Clone)]
pub enum GateProgram {
    /// In worker processes of this program, started as `PROGRAM gate-worker`.
    Process(PathBuf),
    /// In this process: for tests that have no program.
    InProcess,
}

impl GateProgram {
    /// This very program.
    ///
    /// # Errors
    /// When the system does not tell where it is.
    pub fn this() -> std::io::Result<Self> {
        Ok(Self::Process(std::env::current_exe()?))
    }

    /// A gate there.
    pub fn gate(&self, config: &GateConfig) -> Box<dyn Gate> {
        match self {
            GateProgram::InProcess => Box::new(LocalGate::new(HOT_DOCS.get())),
            GateProgram::Process(program) => Box::new(ProcessGate::new(program.clone(), config)),
        }
    }
}

/// What one trip to the worker carries.
#[derive(Encode, Decode)]
struct Request {
    #[n(0)]
    tasks: Vec<Task>,
    /// Documents to forget first.
    #[n(1)]
    forget: Vec<DocId>,
}

#[derive(Encode, Decode)]
struct Task {
    #[n(0)]
    job: GateJob,
    /// Absent: the worker is expected to hold the document at the job's heads.
    #[n(1)]
    base: Option<Base>,
}

/// The worker's answer to one task. A trip brings one for each, in order.
#[derive(Encode, Decode)]
enum Response {
    #[n(0)]
    Judged(#[n(0)] Judged),
    /// The worker does not hold the document after all.
    #[n(1)]
    NeedBase,
    /// The stored bytes do not load.
    #[n(2)]
    Damaged(#[n(0)] String),
}

/// A gate in another process.
struct ProcessGate {
    program: PathBuf,
    memory_mb: u32,
    deadline: Duration,
    worker: Option<Worker>,
    /// What the worker is expected to hold.
    held: LruCache<DocId, ()>,
    forget: Vec<DocId>,
}

struct Worker {
    child: Child,
    to: BufWriter<ChildStdin>,
    from: Receiver<Vec<u8>>,
}

/// A worker did not answer over a job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Killed {
    /// It died.
    Died,
    /// It took too long.
    Late,
}

impl ProcessGate {
    fn new(program: PathBuf, config: &GateConfig) -> Self {
        Self {
            program,
            memory_mb: config.memory_mb,
            deadline: Duration::from_millis(config.deadline_ms.into()),
            worker: None,
            held: LruCache::new(HOT_DOCS),
            forget: Vec::new(),
        }
    }

    fn spawn(&self) -> Result<Worker, CompanyError> {
        let failed = |e: std::io::Error| CompanyError::Store(StoreError::Io(format!("no gate worker: {e}")));
        let mut command = confined::command(&self.program, "gate-worker", self.memory_mb.into());
        let mut child = command.spawn().map_err(failed)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(std::io::Error::other("no pipe")));
        };
        let (send, from) = sync_channel(1);
        let reader = move || {
            let mut stdout = BufReader::new(stdout);
            while let Ok(Some(frame)) = read_frame(&mut stdout) {
                if send.send(frame).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("fieldbook-gate-read".into()).spawn(reader).map_err(failed)?;
        Ok(Worker { child, to: BufWriter::new(stdin), from })
    }

    /// One trip: an answer to each task, in order.
    fn ask(
        &mut self,
        tasks: Vec<Task>,
        deadline: Duration,
    ) -> Result<Result<Vec<Response>, Killed>, CompanyError> {
        if self.worker.is_none() {
            self.held.clear();
            self.worker = Some(self.spawn()?);
        }
        let Some(worker) = &mut self.worker else { return Ok(Err(Killed::Died)) };
        let request = Request { tasks, forget: std::mem::take(&mut self.forget) };
        let bytes = minicbor::to_vec(&request).unwrap_or_default();
        let answer = match write_frame(&mut worker.to, &bytes) {
            Ok(()) => worker.from.recv_timeout(deadline).map_err(|why| match why {
                RecvTimeoutError::Timeout => Killed::Late,
                RecvTimeoutError::Disconnected => Killed::Died,
            }),
            Err(_) => Err(Killed::Died),
        };
        let answer = answer.and_then(|frame| minicbor::decode(&frame).map_err(|_| Killed::Died));
        let answer = answer.and_then(|answers: Vec<Response>| {
            if answers.len() == request.tasks.len() { Ok(answers) } else { Err(Killed::Died) }
        });
        if answer.is_err() {
            self.kill();
        }
        Ok(answer)
    }

    fn kill(&mut self) {
        if let Some(mut worker) = self.worker.take() {
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
    }

    /// Whether the worker is expected to hold the document.
    fn holds(&self, doc: DocId) -> bool {
        self.worker.is_some() && self.held.contains(&doc)
    }

    /// What an answer says; `None`: the worker needs the document's bytes.
    fn taken(&mut self, job: &GateJob, answer: Response) -> Result<Option<Judged>, CompanyError> {
        let doc = job.doc;
        match answer {
            Response::Judged(judged) => {
                if job.want_saved && judged.saved.is_none() && judged.verdicts.iter().any(Accepted::is_new) {
                    // Nothing is lost: its changes stay. But it grows, and nobody else would say so.
                    tracing::error!(%doc, "a document does not come back from storage, and is kept as single changes");
                }
                // The worker's own memory follows the same rule, so that both agree about what it holds.
                self.held.push(doc, ());
                Ok(Some(judged))
            }
            Response::NeedBase => {
                self.held.pop(&doc);
                Ok(None)
            }
            Response::Damaged(detail) => Err(CompanyError::Row { key: format!("document {doc}"), detail }),
        }
    }

    /// One job's trip, and another one when the worker did not hold the document after all.
    fn judge_once(
        &mut self,
        job: &GateJob,
        base: &mut dyn FnMut() -> Result<Base, CompanyError>,
        deadline: Duration,
    ) -> Result<Result<Judged, Killed>, CompanyError> {
        let mut with_base = !self.holds(job.doc);
        loop {
            let sent = if with_base { Some(base()?) } else { None };
            let mut answers = match self.ask(vec![Task { job: job.clone(), base: sent }], deadline)? {
                Ok(answers) => answers,
                Err(killed) => return Ok(Err(killed)),
            };
            match answers.pop().map(|answer| self.taken(job, answer)).transpose()?.flatten() {
                Some(judged) => return Ok(Ok(judged)),
                None if with_base => return Ok(Err(Killed::Died)),
                None => with_base = true,
            }
        }
    }

    /// One trip for as many jobs as fit, one at the least; without an outcome for those that have to be judged by themselves.
    fn trip(
        &mut self,
        jobs: &[GateJob],
        base: &mut dyn FnMut(usize) -> Result<Base, CompanyError>,
    ) -> Vec<Option<Result<Judged, CompanyError>>> {
        let mut outcomes: Vec<_> = jobs.iter().map(|_| None).collect();
        let (mut tasks, mut taken) = (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
        let mut bytes = 0;
        for (at, job) in jobs.iter().enumerate() {
            let base = if self.holds(job.doc) { None } else { Some(base(at)) };
            match base.transpose() {
                Ok(base) => {
                    bytes += weight(job, base.as_ref());
                    tasks.push(Task { job: job.clone(), base });
                    taken.push(at);
                }
                Err(error) => outcomes[at] = Some(Err(error)),
            }
            if bytes > TRIP_BYTES {
                outcomes.truncate(at + 1);
                break;
            }
        }
        match self.ask(tasks, self.deadline) {
            Ok(Ok(answers)) => {
                for (at, answer) in taken.into_iter().zip(answers) {
                    outcomes[at] = self.taken(&jobs[at], answer).transpose();
                }
            }
            Ok(Err(_)) => tracing::warn!(jobs = taken.len(), "a gate worker was stopped over several pushes"),
            // Each is tried again by itself, and says it then.
            Err(_) => {}
        }
        outcomes
    }
}

/// Bytes of a task in its trip, roughly.
fn weight(job: &GateJob, base: Option<&Base>) -> usize {
    let pushed = job.pushes.iter().flat_map(|push| &push.changes);
    let stored = base.into_iter().flat_map(|base| base.snapshot.iter().chain(&base.changes));
    pushed.chain(stored).map(|bytes| bytes.len()).sum()
}

impl ProcessGate {
    /// Whether and how a single push stops a worker, and then a fresh one that has more time.
    fn judge_alone(
        &mut self,
        alone: &GateJob,
        base: &mut dyn FnMut() -> Result<Base, CompanyError>,
    ) -> Result<Option<Killed>, CompanyError> {
        let mut how = None;
        for deadline in [self.deadline, self.deadline * PATIENCE] {
            match self.judge_once(alone, base, deadline)? {
                Ok(_) => return Ok(None),
                Err(killed) => how = Some(killed),
            }
        }
        Ok(how)
    }
}

/// What a push gets that no worker got through. Bytes that bring a worker down are hostile and cost their sender the connection; those that
/// only take longer than the gate waits may be an honest phone's, which keeps them for its user.
fn refused(how: Killed) -> Accepted {
    let (code, detail) = match how {
        Killed::Died => (RefuseCode::Malformed, "the bytes stopped the decoder"),
        Killed::Late => (RefuseCode::TooLarge, "judging it takes longer than the gate waits"),
    };
    Accepted::Refuse { code, detail: detail.to_owned() }
}

impl Gate for ProcessGate {
    fn judge(
        &mut self,
        job: &GateJob,
        base: &mut dyn FnMut() -> Result<Base, CompanyError>,
    ) -> Result<Judged, CompanyError> {
        if let Ok(judged) = self.judge_once(job, base, self.deadline)? {
            return Ok(judged);
        }
        tracing::warn!(doc = %job.doc, pushes = job.pushes.len(), "a gate worker was stopped over a push");
        // Find out which push it was: each is judged alone, on the document as it is stored, and only the innocent are judged together again.
        let mut guilty = BTreeMap::new();
        for (i, push) in job.pushes.iter().enumerate() {
            let alone = GateJob { pushes: vec![push.clone()], ..job.clone() };
            if let Some(how) = self.judge_alone(&alone, base)? {
                guilty.insert(i, refused(how));
            }
            // What it held now has that push merged; the next one is judged without it.
            self.forget(job.doc);
        }
        if guilty.len() == job.pushes.len() {
            let verdicts = guilty.into_values().collect();
            return Ok(Judged {
                verdicts,
                heads: job.heads.clone(),
                changes: 0,
                saved: None,
                account: None,
                account_by: None,
            });
        }
        let pushes =
            job.pushes.iter().enumerate().filter(|(i, _)| !guilty.contains_key(i)).map(|(_, p)| p.clone());
        let innocent = GateJob { pushes: pushes.collect(), ..job.clone() };
        let Ok(mut judged) = self.judge_once(&innocent, base, self.deadline * PATIENCE)? else {
            return Err(CompanyError::Store(StoreError::Io("no gate worker stays alive".into())));
        };
        for (i, refused) in guilty {
            judged.verdicts.insert(i, refused);
        }
        Ok(judged)
    }

    fn judge_all(
        &mut self,
        jobs: &[GateJob],
        base: &mut dyn FnMut(usize) -> Result<Base, CompanyError>,
    ) -> Vec<Result<Judged, CompanyError>> {
        let mut outcomes = Vec::with_capacity(jobs.len());
        while outcomes.len() < jobs.len() {
            let from = outcomes.len();
            let left = &jobs[from..];
            let tried = if left.len() > 1 { self.trip(left, &mut |at| base(from + at)) } else { vec![None] };
            for (job, outcome) in left.iter().zip(tried) {
                let at = outcomes.len();
                outcomes.push(outcome.unwrap_or_else(|| self.judge(job, &mut || base(at))));
            }
        }
        outcomes
    }

    fn forget(&mut self, doc: DocId) {
        self.held.pop(&doc);
        if !self.forget.contains(&doc) {
            self.forget.push(doc);
        }
    }
}

impl Drop for ProcessGate {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The worker's side: reads jobs from `input` until it ends. The caller has limited the process's memory.
///
/// # Errors
/// Those of the pipes.
pub fn run(input: impl Read, output: impl Write) -> std::io::Result<()> {
    let (mut input, mut output) = (BufReader::new(input), BufWriter::new(output));
    let mut gate = LocalGate::new(HOT_DOCS.get());
    while let Some(frame) = read_frame(&mut input)? {
        let Ok(request) = minicbor::decode::<Request>(&frame) else { continue };
        for doc in request.forget {
            gate.forget(doc);
        }
        let answers: Vec<_> = request.tasks.into_iter().map(|task| answer(&mut gate, task)).collect();
        write_frame(&mut output, &minicbor::to_vec(&answers).unwrap_or_default())?;
    }
    Ok(())
}

fn answer(gate: &mut LocalGate, Task { job, base }: Task) -> Response {
    let mut missing = false;
    let judged = gate.judge(&job, &mut || {
        base.clone().ok_or_else(|| {
            missing = true;
            CompanyError::Contended
        })
    });
    match judged {
        Ok(judged) => Response::Judged(judged),
        Err(_) if missing => Response::NeedBase,
        Err(error) => Response::Damaged(error.to_string()),
    }
}

fn write_frame(to: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(&(bytes.len() as u32).to_be_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

fn read_frame(from: &mut impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > PIPE_FRAME_MAX_BYTES {
        return Err(std::io::Error::other("a pipe frame beyond its bound"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// How many times the deadline a push gets that is judged alone for the second time.
const PATIENCE: u32 = 4;
/// Documents that a worker keeps in memory: at 32 KB each, 64 MB.
const HOT_DOCS: NonZeroUsize = NonZeroUsize::new(2_048).expect("more than none");
/// Stored and pushed bytes at which a trip is full: some hundred leads that the worker does not hold.
const TRIP_BYTES: usize = 256 << 10;
/// A base of [`limits::DOC_MAX_BYTES`] with its tail, and a batch of pushes.
const PIPE_FRAME_MAX_BYTES: usize = 4 * limits::DOC_MAX_BYTES + 64 * limits::FRAME_MAX_BYTES;
