//! Whoever reads the logs need not know customers: a whole story, with everything that goes wrong in it, leaves no name, number, note, code or
//! token in them, at the most talkative level there is.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs::File;
use std::process::Command;

use fieldbook_core::model::{LeadFields, NewLead, Visit};
use fieldbook_device::{Config, Fieldbook};
use serde_json::{Value, json};

mod support;

use support::{LONG, PROGRAM, Server, code, free_port, http, settings};

/// Words that nobody else writes.
const CUSTOMER: &str = "银杏谷第七医院";
const PHONE: &str = "13777123456";
const CONTACT: &str = "诸葛院长";
const NOTE: &str = "机房在地下二层";
const REP: &str = "欧阳销售";
const DEVICE: &str = "欧阳的手机";
const IMPORTED: &str = "石榴园诊所";
const IMPORTED_PHONE: &str = "13888654321";

#[test]
fn a_whole_story_leaves_no_person_in_the_logs() {
    let folder = tempfile::tempdir().unwrap();
    let (port, log) = (free_port(), folder.path().join("log"));
    let [first, second] = [code(folder.path(), port, &[]), code(folder.path(), port, &["--again"])];
    let server = Server::start(folder.path(), port, None, Some((File::create(&log).unwrap(), "trace")));
    let mut secret = vec![first.clone(), second.clone()];

    // The office signs in, hires, and makes a code.
    let enrol = json!({"code": second, "claim": "a claim of the console", "device_name": "前台"});
    let (_, console) = http(port, "POST", "/api/enrol", "", &enrol);
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
    let token = text(&console["access_token"]);
    secret.extend([token.clone(), text(&console["refresh_token"])]);
    let (status, user) = http(port, "POST", "/api/users", &token, &json!({"name": REP, "role": "rep"}));
    assert_eq!(status, 201);
    let (_, colleague) = http(port, "POST", "/api/users", &token, &json!({"name": REP, "role": "rep"}));
    let (_, made) =
        http(port, "POST", &format!("/api/users/{}/codes", text(&user["id"])), &token, &Value::Null);
    let code = text(&made["code"]);
    secret.push(code.clone());

    // The phone enrols, writes and pushes.
    let phone = Fieldbook::open(Config::new(folder.path().join("phone.store"), [7; 32])).unwrap();
    phone.enrol(&format!("http://127.0.0.1:{port}/enrol#{code}"), DEVICE, LONG, None).unwrap();
    let fields = LeadFields {
        customer_name: Some(CUSTOMER.into()),
        contact_phone: Some(PHONE.into()),
        need: Some("采购".into()),
        ..LeadFields::default()
    };
    let lead = phone.create_lead(&NewLead { fields, ..NewLead::default() }).unwrap();
    let visit = Visit {
        customer_state: CONTACT.into(),
        next_action: NOTE.into(),
        expected_close: "2026-09-30".into(),
        note: NOTE.into(),
        ..Visit::default()
    };
    phone.log_visit(lead, &visit).unwrap();
    phone.sync_now(LONG, None).unwrap();

    // Tables, good and bad, by both ways.
    let table = format!("客户名称,电话,备注\n{IMPORTED},{IMPORTED_PHONE},{NOTE}\n,,{NOTE}\n");
    let (status, report) = http(port, "POST", "/api/leads/import", &token, &json!(table));
    assert_eq!((status, report["imported"].as_u64(), report["rejected"].as_u64()), (200, Some(1), Some(1)));
    let file = folder.path().join(format!("{CUSTOMER}.csv"));
    std::fs::write(&file, format!("colour\n{CUSTOMER}\n")).unwrap();
    let import =
        settings(Command::new(PROGRAM), folder.path(), port).arg("import").arg(&file).output().unwrap();
    assert!(!import.status.success());

    // Everything that goes wrong.
    for (method, path, token, body, expected) in [
        ("POST", "/api/leads", token.as_str(), json!({"fields": {"colour": CUSTOMER}}), 400),
        ("POST", "/api/leads", &token, json!(format!("{{\"fields\": {CUSTOMER} {PHONE}")), 400),
        (
            "POST",
            "/api/leads",
            &token,
            json!({"fields": {"customer_name": CUSTOMER}, "owner": "0000000000000000"}),
            404,
        ),
        ("POST", "/api/leads", &token, json!({"fields": {"customer_name": "长".repeat(11_000)}}), 409),
        ("POST", "/api/leads", &format!("{token}x"), json!({"fields": {"customer_name": CUSTOMER}}), 401),
        (
            "POST",
            "/api/enrol",
            "",
            json!({"code": code, "claim": "another claim of 16", "device_name": DEVICE}),
            403,
        ),
        ("POST", "/api/token/refresh", "", json!({"refresh_token": format!("{token}.{PHONE}")}), 401),
        ("GET", "/api/leads?after=13777123456", &token, Value::Null, 400),
        ("GET", "/api/leads/13777123456", &token, Value::Null, 400),
        ("GET", "/13777123456/13888654321", &token, Value::Null, 404),
        ("POST", "/api/leads/import?namespace=13777123456", &token, json!("PK\u{3}\u{4}13777123456"), 422),
        ("GET", "/api/quarantine/13777123456", &token, Value::Null, 404),
    ] {
        assert_eq!(http(port, method, path, token, &body).0, expected, "{method} {path} {body}");
    }
    let (status, _) = http(
        port,
        "POST",
        &format!("/api/leads/{lead}/assign"),
        &token,
        &json!({"owner": text(&colleague["id"]), "reason": NOTE}),
    );
    assert_eq!(status, 200);
    phone.sync_now(LONG, None).unwrap();
    phone.shutdown();
    server.stop();

    let logged = String::from_utf8(std::fs::read(&log).unwrap()).unwrap();
    assert!(logged.lines().count() > 20, "{logged}");
    for expected in ["route=\"/api/enrol\"", "listening", "stopped"] {
        assert!(logged.contains(expected), "{expected} is missing:\n{logged}");
    }
    secret.extend(
        [CUSTOMER, PHONE, CONTACT, NOTE, REP, DEVICE, IMPORTED, IMPORTED_PHONE, "欧阳", "诸葛", "前台"]
            .map(str::to_owned),
    );
    // An escaped or hashed spelling would be another line of this list.
    secret.extend([CUSTOMER, CONTACT, NOTE].map(|word| word.escape_unicode().to_string()));
    for word in secret {
        let line = logged.lines().find(|line| line.contains(&word));
        assert!(line.is_none(), "{word} stands in the logs: {line:?}");
    }
}
