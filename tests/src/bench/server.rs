//! The server under test: the real `fieldbook` program in a process of its own, or (for the rows that need a disk with a known flush) the
//! program `bench-server`, which serves the same library on such a disk.

use std::io::Read;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Fail;
use crate::firm::Firm;

/// Builds both programs in the profile of this one; nothing happens when they are fresh.
///
/// # Errors
/// When there is neither a build nor a way to one.
pub fn build() -> Result<(), Fail> {
    if let Some(cargo) = std::env::var_os("CARGO") {
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        let done = Command::new(cargo)
            .args(["build", "-q", "--profile", profile])
            .args([
                "-p",
                "fieldbook-server",
                "--bin",
                "fieldbook",
                "-p",
                "fieldbook-tests",
                "--bin",
                "bench-server",
            ])
            .status()?;
        if !done.success() {
            return Err("the server does not build".into());
        }
    }
    beside("bench-server").and(program()).map(|_| ())
}

/// The `fieldbook` program beside this one.
///
/// # Errors
/// When it is not there.
pub fn program() -> Result<PathBuf, Fail> {
    beside("fieldbook")
}

fn beside(name: &str) -> Result<PathBuf, Fail> {
    let found = std::env::current_exe()?.with_file_name(name);
    if found.exists() {
        return Ok(found);
    }
    Err(format!("{} is not there: cargo build --release --workspace --bins", found.display()).into())
}

/// A running server.
pub struct Server {
    child: Child,
}

impl Server {
    /// `fieldbook serve` on a company that is closed.
    ///
    /// # Errors
    /// When it does not listen within a while.
    pub fn start(firm: &Firm) -> Result<Self, Fail> {
        let mut command = Command::new(program()?);
        command.arg("serve").stdout(Stdio::null());
        Self::spawn(command, firm)
    }

    /// The same server on a store whose flush costs `flush_us`, whatever the disk's costs.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with_flush(firm: &Firm, flush_us: u64) -> Result<Self, Fail> {
        let mut command = Command::new(beside("bench-server")?);
        command.arg(flush_us.to_string()).stdout(Stdio::piped());
        Self::spawn(command, firm)
    }

    fn spawn(mut command: Command, firm: &Firm) -> Result<Self, Fail> {
        let child = command
            .env_clear()
            .envs(firm.variables())
            .current_dir(firm.folder())
            .stdin(Stdio::null())
            .spawn()?;
        let mut server = Self { child };
        let until = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", firm.port)).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("the server ended with {status}").into());
            }
            if Instant::now() > until {
                return Err("the server does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory of the server's process and of its gate workers that nothing on the disk stands behind (`RssAnon` and `RssShmem`), bytes.
    /// Pages of files, the program's own among them, are left out: the system takes them back when it likes.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn memory_bytes(&self) -> Result<f64, Fail> {
        // A worker that ends meanwhile takes its memory along.
        let workers: f64 = self.workers()?.into_iter().filter_map(|pid| private_bytes(pid).ok()).sum();
        Ok(private_bytes(self.pid())? + workers)
    }

    /// Its gate workers.
    fn workers(&self) -> Result<Vec<u32>, Fail> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // A process that ends meanwhile is none of ours.
            if parent_of(pid) == Some(self.pid()) {
                found.push(pid);
            }
        }
        Ok(found)
    }

    /// Processor seconds of the server and of its gate workers so far.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn cpu_s(&self) -> Result<f64, Fail> {
        let workers: u64 = self.workers()?.into_iter().filter_map(|pid| cpu_ticks(pid).ok()).sum();
        Ok((cpu_ticks(self.pid())? + workers) as f64 / TICKS_A_SECOND)
    }

    /// Ends it in order and gives what it printed.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn stop(mut self) -> Result<String, Fail> {
        let pid = Pid::from_raw(self.pid() as i32).ok_or("no process")?;
        kill_process(pid, Signal::TERM)?;
        let mut printed = String::new();
        if let Some(mut out) = self.child.stdout.take() {
            out.read_to_string(&mut printed)?;
        }
        let status = self.child.wait()?;
        if status.success() { Ok(printed) } else { Err(format!("the server ended with {status}").into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `stop` both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor seconds of this process so far.
///
/// # Errors
/// When the system does not tell.
pub fn own_cpu_s() -> Result<f64, Fail> {
    Ok(cpu_ticks(std::process::id())? as f64 / TICKS_A_SECOND)
}

fn private_bytes(pid: u32) -> Result<f64, Fail> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<f64, Fail> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("the system is too old")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? * 1_024.0)
    };
    Ok(field("RssAnon:")? + field("RssShmem:")?)
}

/// The fields of `/proc/PID/stat` behind the name, which may hold blanks.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn parent_of(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

fn cpu_ticks(pid: u32) -> Result<u64, Fail> {
    let fields = stat(pid).ok_or("the process is gone")?;
    let field = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).ok_or("no such figure");
    // utime and stime are the 14th and 15th of the line.
    Ok(field(11)? + field(12)?)
}

const START: Duration = Duration::from_secs(60);
/// What Linux gives on every machine of today.
const TICKS_A_SECOND: f64 = 100.0;
