//! A disk that fills up under a running server: nothing acknowledged is lost, nothing unacknowledged is dropped by the phone, and once there
//! is room again everything arrives.
//!
//! The disk is "full" for the server's process alone: its files may not grow beyond a limit (`ulimit -f`), and the signal that would kill it
//! is ignored, so that writes fail as they do on a full disk.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::process::Command;

use fieldbook_core::ids::DocId;
use fieldbook_core::model::{LeadFields, NewLead};
use fieldbook_device::{Config, Error, Fieldbook};
use serde_json::{Value, json};

mod support;

use support::{LONG, PROGRAM, Server, code, free_port, http, settings};

fn write(phone: &Fieldbook, lead: DocId, words: &str) {
    let fields = LeadFields { next_action: Some(words.to_owned()), ..LeadFields::default() };
    phone.edit_lead(lead, &fields, &[]).unwrap();
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged_and_nothing_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let first = code(folder.path(), port, &[]);
    let second = code(folder.path(), port, &["--again"]);

    let server = Server::start(folder.path(), port, None, None);
    let phone = Fieldbook::open(Config::new(folder.path().join("phone.store"), [7; 32])).unwrap();
    phone.enrol(&format!("http://127.0.0.1:{port}/enrol#{first}"), "手机", LONG, None).unwrap();
    let fields = LeadFields {
        customer_name: Some("满盘医院".into()),
        contact_phone: Some("000-0000".into()),
        need: Some("采购".into()),
        ..LeadFields::default()
    };
    let lead = phone.create_lead(&NewLead { fields, ..NewLead::default() }).unwrap();
    phone.sync_now(LONG, None).unwrap();
    let enrol =
        json!({"code": second, "claim": "a claim of the console".repeat(2), "device_name": "console"});
    let (status, console) = http(port, "POST", "/api/enrol", "", &enrol);
    assert_eq!(status, 200, "{console}");
    let token = console["access_token"].as_str().unwrap();
    assert_eq!(http(port, "GET", "/readyz", "", &Value::Null).0, 200);
    server.kill();

    let store = folder.path().join("server").join("store.redb");
    let size_kb = std::fs::metadata(store).unwrap().len() / 1024;
    let server = Server::start(folder.path(), port, Some(size_kb + 64), None);
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
    // It says so to whoever watches it, and to the office; reading goes on.
    let (status, ready) = http(port, "GET", "/readyz", "", &Value::Null);
    assert_eq!((status, ready["code"].as_str()), (503, Some("store_failed")));
    let (status, refused) = http(port, "POST", "/api/teams", token, &json!({"name": "华东", "leaders": []}));
    assert_eq!((status, refused["code"].as_str()), (507, Some("store_failed")));
    assert_eq!(http(port, "GET", "/api/leads", token, &Value::Null).0, 200);
    assert!(phone.status().unwrap().unanswered > 0, "what was not acknowledged waits on the phone");
    server.kill();

    let server = Server::start(folder.path(), port, None, None);
    assert_eq!(http(port, "GET", "/readyz", "", &Value::Null).0, 200);
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
