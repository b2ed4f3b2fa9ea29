//! Processes for foreign bytes: this program once more, with nothing of the environment, nothing to write to but a pipe, and a bound on its
//! memory. Refuses to know what they do; `hub::worker` and `import::worker` do.

use std::path::Path;
use std::process::{Command, Stdio};

/// `PROGRAM WORK --memory-mb N`, to be started. The process calls [`limit_memory`] before it reads.
pub fn command(program: &Path, work: &str, memory_mb: u64) -> Command {
    let mut command = Command::new(program);
    command
        .arg(work)
        .arg("--memory-mb")
        .arg(memory_mb.to_string())
        .env_clear()
        // Of an allocator that takes a gigabyte of addresses before the bound is set, the bound would stop nothing but honest work.
        .env("MIMALLOC_ARENA_RESERVE", "32MiB")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Limits this process's memory: its address space.
///
/// # Errors
/// When the system refuses.
pub fn limit_memory(memory_mb: u64) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let bytes = Some(memory_mb << 20);
        setrlimit(Resource::As, Rlimit { current: bytes, maximum: bytes })?;
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    }
    #[cfg(not(unix))]
    let _ = memory_mb;
    Ok(())
}
