//! What a restore undoes without being asked is said: by the command, and once more in the log of the first start.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

mod support;

use support::{LONG, PROGRAM, Server, code, free_port, settings};

/// Runs a command of the program to its good end; what it printed.
fn run(folder: &Path, arguments: &[&str]) -> String {
    let done = settings(Command::new(PROGRAM), folder, free_port()).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// What a server logs until it listens.
fn log_of_a_start(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    let server = Server::start(folder, free_port(), None, Some((File::create(&path).unwrap(), "info")));
    let began = Instant::now();
    loop {
        let said = fs::read_to_string(&path).unwrap();
        if said.contains("listening") {
            server.kill();
            return said;
        }
        assert!(began.elapsed() < LONG, "{said}");
        std::thread::yield_now();
    }
}

#[test]
fn a_restore_tells_which_changes_of_people_it_undoes_and_the_next_start_repeats_it_once() {
    let folder = tempfile::tempdir().unwrap();
    code(folder.path(), free_port(), &[]);
    run(folder.path(), &["backup", "backup"]);
    fs::rename(folder.path().join("server"), folder.path().join("old")).unwrap();

    let printed = run(folder.path(), &["restore", "backup", "--tombstones", "old"]);
    for words in [
        "1 users, of them 1 active, and 0 teams",
        "Undone are all roles, teams, names and leaders that were changed since",
        "0 directors, 0 managers, 1 administrators (",
        "compare /api/users and /api/teams",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    let undone = printed.lines().find(|line| line.starts_with("people stand as they did")).unwrap();
    let first = log_of_a_start(folder.path(), "first");
    assert!(first.contains(undone), "{first}");
    let second = log_of_a_start(folder.path(), "second");
    assert!(!second.contains("people stand"), "{second}");
}
