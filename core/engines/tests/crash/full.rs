//! A disk that is really full: a small tmpfs in a mount namespace of its own, where the machine lets us have one. The
//! engines on virtual disks are in `power_cut.rs`.

use std::process::Command;

use crate::child::Task;
use crate::common::ENGINES;
use crate::damage::finish;

pub fn a_full_disk_loses_nothing() {
    let allowed = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !allowed.is_ok_and(|o| o.status.success()) {
        println!("  not run: this machine gives no mount namespace (the virtual disks fill up in power_cut)");
        return;
    }
    for engine in ENGINES {
        let dir = tempfile::tempdir().expect("a folder");
        let task = Task { what: "fill".into(), engine, folder: dir.path().into(), numbers: Vec::new() };
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", "mount -t tmpfs -o size=16m none \"$1\" && exec \"$2\"", "sh"]);
        command.arg(dir.path()).arg(std::env::current_exe().expect("this binary"));
        command.env(Task::VARIABLE, task.words());
        let (status, _) = finish(command);
        assert!(status.success(), "{engine:?}: {status}");
    }
}
