//! Tables are read in a process of their own: a foreign file that takes all memory, never ends or brings its reader down costs its sender
//! an answer and nobody else anything.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::table::{ImportError, Table, read_table};
use super::{FILE_MAX_BYTES, TEXT_MAX_BYTES};
use crate::confined;
use crate::hub::GateProgram;

/// Where tables are read.
#[derive(Debug)]
pub struct TableReader {
    program: GateProgram,
    memory_mb: u64,
    deadline: Duration,
    /// Readers are large, so there is one at a time.
    turn: Mutex<()>,
}

impl TableReader {
    /// Reads with this program.
    pub fn new(program: GateProgram) -> Self {
        Self::with_bounds(program, MEMORY_MB, DEADLINE)
    }

    /// As [`TableReader::new`], with other bounds of the process.
    pub fn with_bounds(program: GateProgram, memory_mb: u64, deadline: Duration) -> Self {
        Self { program, memory_mb, deadline, turn: Mutex::new(()) }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn read(&self, bytes: &[u8]) -> Result<Table, ImportError> {
        if bytes.len() > FILE_MAX_BYTES {
            return Err(ImportError::TooLarge { bytes: bytes.len() });
        }
        match &self.program {
            GateProgram::InProcess => read_table(bytes),
            GateProgram::Process(program) => {
                let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
                self.read_in_process(program, bytes)
            }
        }
    }

    fn read_in_process(&self, program: &Path, bytes: &[u8]) -> Result<Table, ImportError> {
        let failed = |e: std::io::Error| ImportError::Unreadable(format!("its reader did not start: {e}"));
        let mut command = confined::command(program, "table-worker", self.memory_mb);
        let mut child = command.spawn().map_err(failed)?;
        let (mut to, from) = (child.stdin.take(), child.stdout.take());
        let (send, answer) = sync_channel(1);
        let said = std::thread::scope(|scope| {
            // The process reads to the end before it answers, so nobody waits for each other; killing it ends both.
            scope.spawn(move || {
                let _ = to.take().map(|mut to| to.write_all(bytes));
            });
            scope.spawn(move || {
                let mut said = Vec::new();
                let read = from.map(|from| from.take(ANSWER_MAX_BYTES).read_to_end(&mut said));
                let _ = send.send(read.and_then(Result::ok).map(|_| said));
            });
            let said = answer.recv_timeout(self.deadline);
            let _ = child.kill();
            let _ = child.wait();
            said
        });
        let answer = match said {
            Ok(said) => said.and_then(|said| minicbor::decode::<Answer>(&said).ok()),
            Err(_) => return Err(ImportError::Unreadable("reading it takes too long".into())),
        };
        answer.unwrap_or_else(|| {
            Err(ImportError::Unreadable("reading it takes more memory than a table of its size needs".into()))
        })
    }
}

type Answer = Result<Table, ImportError>;

/// The process's side: a whole file in, a table or a reason out. The caller has limited the process's memory.
///
/// # Errors
/// Those of the pipes.
pub fn run(mut input: impl Read, mut output: impl Write) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let answer: Answer = read_table(&bytes);
    drop(bytes);
    output.write_all(&minicbor::to_vec(&answer).map_err(std::io::Error::other)?)?;
    output.flush()
}

/// The file, [`super::CELLS_MAX`] cells of 56 bytes, [`TEXT_MAX_BYTES`] twice (once in the answer), and the unpacked strings of a workbook.
const MEMORY_MB: u64 = 1_536;
/// A workbook of 200,000 rows is read in some ten seconds on one slow core.
const DEADLINE: Duration = Duration::from_secs(120);
/// The text of all cells and their framing.
const ANSWER_MAX_BYTES: u64 = 2 * TEXT_MAX_BYTES as u64;
