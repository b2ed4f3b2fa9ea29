//! `fieldbook demo` as a user runs it: it tells its story, its exit status says that everything converged, and with `--stay` there is a
//! server to open and a code that gets a rep's phone in.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use fieldbook_device::{Config, Fieldbook, LeadQuery};
use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fieldbook");
const LONG: Duration = Duration::from_secs(60);

#[test]
fn the_demonstration_tells_what_merged_what_conflicted_and_what_was_kept() {
    let output = Command::new(PROGRAM).arg("demo").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let both = |field: &str, values: [&str; 2]| {
        said.lines().any(|line| {
            line.contains(field)
                && line.contains(&format!("{} (李销售, 李销售的手机)", values[0]))
                && line.contains(&format!("{} (陈主管, 陈主管的手机)", values[1]))
        })
    };
    assert!(both("倾向品牌", ["联影", "西门子"]), "{said}");
    assert!(both("预算审批流程走完几成", ["true", "false"]), "{said}");
    for part in ["tries to sync: no network. 9 changes wait", "is 王销售's now", "round trips", "Converged: "]
    {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }
}

#[test]
fn the_server_that_stays_lets_a_phone_of_a_rep_in() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new(PROGRAM);
    let demo = demo.args(["demo", "--stay", "--data"]).arg(folder.path().join("demo"));
    let mut demo = demo.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with("Enrol a phone of 李销售")).unwrap();
    let invitation = line.split(' ').find(|word| word.contains("/enrol#")).unwrap();

    let phone = Fieldbook::open(Config::new(folder.path().join("phone"), [7; 32])).unwrap();
    assert_eq!(phone.enrol(invitation, "another", LONG, None).unwrap().user_name, "李销售");
    phone.sync_now(LONG, None).unwrap();
    let mine = phone.leads(&LeadQuery { limit: 500, ..LeadQuery::default() }).unwrap();
    assert_eq!(mine.len(), 150, "half of the hospitals, one given away, one created");
    phone.shutdown();

    kill_process(Pid::from_child(&demo), Signal::TERM).unwrap();
    assert!(lines.any(|line| line.starts_with("Enrol an administrator with ")));
    assert!(demo.wait().unwrap().success());
}
