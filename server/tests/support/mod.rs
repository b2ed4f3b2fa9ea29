//! The real program in a process of its own, and plain HTTP to it.
#![allow(dead_code, reason = "every test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_fieldbook");
/// Long enough for a loaded machine; no test waits for it when all is well.
pub const LONG: Duration = Duration::from_secs(60);

/// A server that runs.
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts the server on `port`; with `limit_kb`, its files may not grow beyond it. What it logs goes to `log`.
    pub fn start(folder: &Path, port: u16, limit_kb: Option<u64>, log: Option<(File, &str)>) -> Self {
        let limit = limit_kb.map_or(String::new(), |kb| format!("trap '' XFSZ; ulimit -f {kb}; "));
        Self::start_under(folder, port, &limit, log)
    }

    /// Starts the server on `port` with what the shell does before it: `limit`, which ends with a semicolon or is empty.
    pub fn start_under(folder: &Path, port: u16, limit: &str, log: Option<(File, &str)>) -> Self {
        let mut command = settings(Command::new("bash"), folder, port);
        let stderr = match log {
            Some((file, level)) => {
                command.env("FIELDBOOK_LOG_LEVEL", level);
                Stdio::from(file)
            }
            None => Stdio::null(),
        };
        let mut child = command
            .arg("-c")
            .arg(format!("{limit}exec {PROGRAM} serve"))
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "the server ended while starting");
            assert!(began.elapsed() < LONG, "the server does not listen");
            std::thread::yield_now();
        }
        Self { child }
    }

    /// Files and connections that it has open now.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it in order.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

/// A command with the settings of the server.
pub fn settings(mut command: Command, folder: &Path, port: u16) -> Command {
    // What steers the tests themselves is no setting of the server.
    for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("FIELDBOOK_")) {
        command.env_remove(variable);
    }
    command
        .current_dir(folder)
        .env("FIELDBOOK_SERVER_LISTEN", format!("127.0.0.1:{port}"))
        .env("FIELDBOOK_SERVER_SHUTDOWN_S", "1")
        .env("FIELDBOOK_SERVER_DATA_DIR", folder.join("server"));
    command
}

/// One request, and the status and body of its answer.
pub fn http(port: u16, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
    let body = match body {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        json => json.to_string(),
    };
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// A one-time code for the administrator.
pub fn code(folder: &Path, port: u16, more: &[&str]) -> String {
    let init = settings(Command::new(PROGRAM), folder, port).arg("init").args(more).output().unwrap();
    let said = String::from_utf8(init.stdout).unwrap();
    assert!(init.status.success(), "{said}{}", String::from_utf8_lossy(&init.stderr));
    said.lines()
        .find_map(|line| line.strip_prefix("Administrator's one-time code: "))
        .unwrap()
        .trim()
        .to_owned()
}

/// A port that nobody uses.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
