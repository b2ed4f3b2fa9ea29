//! The process that dies. It gets its task through the environment and answers through its standard output and status.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use fieldbook_core::store::{Store, StoreError};
use fieldbook_engines::{Committer, CommitterOptions};

use crate::common::{Engine, Verdict, batch, verify};

/// What a child is to do with a store.
#[derive(Debug)]
pub struct Task {
    pub what: String,
    pub engine: Engine,
    pub folder: PathBuf,
    pub numbers: Vec<u64>,
}

/// How many batches may be on their way when a child dies.
pub const IN_FLIGHT: u64 = 2 * QUEUE as u64 + 2;
const QUEUE: usize = 8;
/// The store is as it should be.
pub const INTACT: i32 = 0;
/// The store says that something is wrong.
pub const TOLD: i32 = 10;
/// The store is wrong and does not say so.
pub const SILENT: i32 = 11;

const VARIABLE: &str = "FIELDBOOK_CRASH_CHILD";

impl Task {
    /// The command that runs it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.env(VARIABLE, self.words()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// Its words for the environment of a command that wraps this binary.
    pub fn words(&self) -> String {
        let numbers: Vec<String> = self.numbers.iter().map(u64::to_string).collect();
        format!("{} {:?} {} {}", self.what, self.engine, numbers.join(","), self.folder.display())
    }

    pub const VARIABLE: &str = VARIABLE;
}

pub fn task() -> Option<Task> {
    let words = std::env::var(VARIABLE).ok()?;
    let mut words = words.splitn(4, ' ');
    let (what, engine, numbers, folder) = (words.next()?, words.next()?, words.next()?, words.next()?);
    Some(Task {
        what: what.into(),
        engine: Engine::named(engine)?,
        folder: folder.into(),
        numbers: numbers.split(',').filter_map(|n| n.parse().ok()).collect(),
    })
}

pub fn run(task: &Task) -> ExitCode {
    let number = |i: usize| task.numbers.get(i).copied().unwrap_or(0);
    let done = match task.what.as_str() {
        "write" => write(task),
        "append" => append(task, number(0)),
        "verify" => return verified(task, number(0), number(1), number(2) == 1),
        "fill" => fill(task),
        _ => Err(StoreError::Io("no such task".into())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes through a committer until it is killed, and says the number of each batch once it is acknowledged.
fn write(task: &Task) -> Result<(), StoreError> {
    let store: Arc<dyn Store> = Arc::from(task.engine.open(&task.folder, false)?);
    let options =
        CommitterOptions { queue_batches: QUEUE, group_batches: QUEUE, ..CommitterOptions::default() };
    let head = store.head()?;
    let committer = Committer::start(store, options)?;
    for n in head.. {
        committer.submit(batch(n), move |outcome| match outcome.map(|o| o.position()) {
            Ok(Some(position)) if position == n + 1 => acknowledge(position),
            other => {
                eprintln!("batch {n}: {other:?}");
                std::process::exit(1);
            }
        });
    }
    Ok(())
}

/// Writes `count` batches one by one and closes the store.
fn append(task: &Task, count: u64) -> Result<(), StoreError> {
    let store = task.engine.open(&task.folder, false)?;
    for n in store.head()?..count {
        store.commit_one(batch(n))?;
        acknowledge(n + 1);
    }
    Ok(())
}

/// Opens and compares; the answer is the status.
fn verified(task: &Task, acknowledged: u64, attempted: u64, whole: bool) -> ExitCode {
    let found = task.engine.open(&task.folder, whole).map_err(Verdict::Told);
    let status = match found.and_then(|store| verify(&*store, acknowledged, attempted)) {
        Ok(_) => INTACT,
        Err(Verdict::Told(_)) => TOLD,
        Err(Verdict::Silent(how)) => {
            println!("{how}");
            SILENT
        }
    };
    ExitCode::from(status as u8)
}

/// Writes until the disk is full, then makes room and proves that nothing was lost.
fn fill(task: &Task) -> Result<(), StoreError> {
    let ballast = task.folder.join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).map_err(|e| StoreError::Io(e.to_string()))?;
    let store = task.engine.open(&task.folder, false)?;
    let mut acknowledged = 0;
    let refused = loop {
        match store.commit_one(batch(acknowledged)) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    let wrong = |what: String| Err(StoreError::Damaged(what));
    if !matches!(refused, StoreError::Io(_)) {
        return wrong(format!("a full disk is {refused:?}"));
    }
    if store.commit_one(batch(acknowledged)).is_ok() {
        return wrong("wrote again after a commit that failed".into());
    }
    drop(store);
    std::fs::remove_file(&ballast).map_err(|e| StoreError::Io(e.to_string()))?;
    let store = task.engine.open(&task.folder, false)?;
    let head = match verify(&*store, acknowledged, acknowledged + 1) {
        Ok(head) => head,
        Err(how) => return wrong(format!("{how:?}")),
    };
    store.commit_one(batch(head))?;
    acknowledge(acknowledged);
    Ok(())
}

/// Eight bytes in one write, so that whoever reads the pipe gets whole numbers.
fn acknowledge(position: u64) {
    let mut out = std::io::stdout().lock();
    if out.write_all(&position.to_be_bytes()).and_then(|()| out.flush()).is_err() {
        // Nobody listens: the parent died.
        std::process::exit(1);
    }
}

/// The highest number in what a child said.
pub fn last_acknowledged(said: &[u8]) -> u64 {
    said.chunks_exact(8).last().and_then(|n| n.try_into().ok()).map_or(0, u64::from_be_bytes)
}

/// Copies a folder, as a kill or a power cut would leave it.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
