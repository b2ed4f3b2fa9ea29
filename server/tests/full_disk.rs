//! A disk that fills up under a running server: nothing acknowledged is lost, nothing unacknowledged is dropped by the phone, and once there
//! is room again everything arrives.
//!
//! The disk is "full" for the server's process alone: its files may not grow beyond a limit (`ulimit -f`), and the signal that would kill it
//! is ignored, so that writes fail as they do on a full disk.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fieldbook_core::ids::DocId;
use fieldbook_core::model::{LeadFields, NewLead};
use fieldbook_device::{Config, Error, Fieldbook};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fieldbook");
const LONG: Duration = Duration::from_secs(60);

struct Server {
    child: Child,
}

impl Server {
    /// Starts the server on `port`; with `limit_kb`, its files may not grow beyond it.
    fn start(folder: &Path, port: u16, limit_kb: Option<u64>) -> Self {
        let limit = limit_kb.map_or(String::new(), |kb| format!("trap '' XFSZ; ulimit -f {kb}; "));
        let mut child = settings(Command::new("bash"), folder, port)
            .arg("-c")
            .arg(format!("{limit}exec {PROGRAM} serve"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "the server ended while starting");
            assert!(began.elapsed() < LONG, "the server does not listen");
            std::thread::yield_now();
        }
        Self { child }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn settings(mut command: Command, folder: &Path, port: u16) -> Command {
    command
        .current_dir(folder)
        .env("FIELDBOOK_SERVER_LISTEN", format!("127.0.0.1:{port}"))
        .env("FIELDBOOK_SERVER_DATA_DIR", folder.join("server"));
    command
}

fn write(phone: &Fieldbook, lead: DocId, words: &str) {
    let fields = LeadFields { next_action: Some(words.to_owned()), ..LeadFields::default() };
    phone.edit_lead(lead, &fields, &[]).unwrap();
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged_and_nothing_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut init = settings(Command::new(PROGRAM), folder.path(), port)
        .arg("init")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    init.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(init.wait().unwrap().success(), "{said}");
    let code =
        said.lines().find_map(|line| line.strip_prefix("Administrator's one-time code: ")).unwrap().trim();

    let server = Server::start(folder.path(), port, None);
    let phone = Fieldbook::open(Config::new(folder.path().join("phone.store"), [7; 32])).unwrap();
    phone.enrol(&format!("http://127.0.0.1:{port}/enrol#{code}"), "手机", LONG, None).unwrap();
    let fields = LeadFields {
        customer_name: Some("满盘医院".into()),
        contact_phone: Some("000-0000".into()),
        need: Some("采购".into()),
        ..LeadFields::default()
    };
    let lead = phone.create_lead(&NewLead { fields, ..NewLead::default() }).unwrap();
    phone.sync_now(LONG, None).unwrap();
    server.kill();

    let store = folder.path().join("server").join("store.redb");
    let size_kb = std::fs::metadata(store).unwrap().len() / 1024;
    let server = Server::start(folder.path(), port, Some(size_kb + 64));
    let mut acknowledged = 0;
    let mut full = false;
    for n in 0..400 {
        // Digits that do not compress, so that the disk fills soon.
        let words: String =
            (0..6_000u64).map(|i| ((i * 2_654_435_761 + n * 40_503) % 10_007).to_string()).collect();
        write(&phone, lead, &words);
        match phone.sync_now(LONG, None) {
            Ok(_) => acknowledged += 1,
            Err(error) => {
                assert!(
                    matches!(error, Error::Offline(_) | Error::Server { .. } | Error::TimedOut(_)),
                    "{error:?}"
                );
                full = true;
                break;
            }
        }
    }
    assert!(full, "the disk never filled after {acknowledged} syncs");
    assert!(phone.status().unwrap().unanswered > 0, "what was not acknowledged waits on the phone");
    server.kill();

    let server = Server::start(folder.path(), port, None);
    let last = "磁盘又有空间了";
    write(&phone, lead, last);
    phone.sync_now(LONG, None).unwrap();
    assert_eq!(phone.status().unwrap().unanswered, 0);
    assert_eq!(phone.kept().unwrap().len(), 0, "nothing was set aside");
    server.kill();
    let verify = settings(Command::new(PROGRAM), folder.path(), port).arg("verify").output().unwrap();
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stdout));
    phone.shutdown();
}
