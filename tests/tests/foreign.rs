//! The clients in Kotlin, Swift and Python, each run as a program of its own against a real server on this machine. The tools come from
//! `tests/foreign/setup.sh`; a language whose tools are missing fails, it is never skipped.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::path::Path;
use std::process::{Command, Output};

use fieldbook_core::access::Role;

mod support;

use support::Office;

#[test]
fn the_python_client_tells_its_story() {
    run("python");
}

#[test]
fn the_kotlin_client_tells_its_story() {
    run("kotlin");
}

#[test]
fn the_swift_client_tells_its_story() {
    run("swift");
}

/// What `docs/protocol.md` says is enough for a client: one in Python's standard library, which knows no code of this project, makes a lead.
#[test]
fn a_stranger_with_the_protocol_page_alone_is_a_phone() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let rep = office.hire("李销售", Role::Rep);
    let output = Command::new("python3")
        .arg("-B")
        .arg(script("stranger/stranger.py"))
        .env("FIELDBOOK_ADDRESS", office.address())
        .env("FIELDBOOK_CODE", office.code(rep))
        .output()
        .unwrap();
    let said = told(&output);
    assert!(output.status.success() && said.contains("\n9 passed, 0 failed"), "{said}");
    let lead = said.lines().find_map(|line| line.strip_prefix("lead ")).unwrap().parse().unwrap();
    assert_eq!(office.value(lead, "customer_name").as_deref(), Some("陌生人医院"));
    assert_eq!(office.value(lead, "next_action").as_deref(), Some("写协议的人请喝茶"));
    assert_eq!(office.app().company.owner_of(lead).unwrap().owner, Some(rep));
}

#[test]
fn the_committed_bindings_are_those_of_the_library() {
    let output = Command::new(script("generate.sh")).arg("--check").output().unwrap();
    let said = told(&output);
    assert!(output.status.success(), "{said}");
}

/// Nothing that an app can call goes untried in any language: each is in the hand-written layer, and in the story that is told with it.
#[test]
fn every_call_of_the_facade_is_made_in_every_language() {
    let text = |path: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let calls = facade_calls(&text("ffi/src/lib.rs"));
    assert!(calls.len() > 40 && calls.contains(&"all_conflicts".to_owned()), "{calls:?}");
    // Where the layer gives a call another name, or the check says it another way.
    let python = [
        ("shutdown", "close("),
        ("subscribe", "changes("),
        ("me", "me"),
        ("status", "status"),
        ("attach_file", "attach(lead, path,"),
    ];
    let kotlin = [("shutdown", "close("), ("subscribe", "changes.")];
    let swift = [
        ("shutdown", "close("),
        ("subscribe", "changes"),
        ("dismiss_kept", "dismiss("),
        ("attach_file", "attach(lead, Attachment(name: \"form.pdf\""),
    ];
    for (layer, check, raw, others) in [
        ("ffi/python/fieldbook/client.py", "tests/foreign/python/check.py", false, &python[..]),
        (
            "ffi/kotlin/src/main/kotlin/fieldbook/FieldbookClient.kt",
            "tests/foreign/kotlin/Check.kt",
            true,
            &kotlin,
        ),
        (
            "ffi/swift/Sources/FieldbookKit/FieldbookClient.swift",
            "tests/foreign/swift/check/Sources/Check.swift",
            true,
            &swift,
        ),
    ] {
        let (layer_text, check_text) = (text(layer), text(check));
        for call in &calls {
            let name = if raw { camel(call) } else { call.clone() };
            let other = others.iter().find(|(known, _)| known == call).map(|(_, other)| *other);
            let made = other.map_or_else(|| format!("{name}("), str::to_owned);
            assert!(check_text.contains(&format!(".{made}")), "{check} never calls {name}");
            // A listener is registered by the file beside the layer.
            assert!(call == "subscribe" || layer_text.contains(&format!("{name}(")), "{layer} lacks {name}");
        }
    }
}

/// The functions that UniFFI exports for the handle.
fn facade_calls(source: &str) -> Vec<String> {
    let blocks = source.split("#[uniffi::export]\nimpl Fieldbook {").skip(1);
    let bodies = blocks.filter_map(|block| block.split("\n}\n").next());
    let functions = bodies.flat_map(|body| body.lines().filter_map(|line| line.strip_prefix("    pub fn ")));
    functions.filter_map(|line| line.split('(').next()).map(str::to_owned).collect()
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| all + &word[..1].to_uppercase() + &word[1..])
}

/// Compiles first, so that the server's day does not pass meanwhile, then runs the client with a code of its own.
fn run(language: &str) {
    let built = Command::new(script("run.sh")).args([language, "--build-only"]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let rep = office.hire("李销售", Role::Rep);
    let output = Command::new(script("run.sh"))
        .arg(language)
        .env("FIELDBOOK_ADDRESS", office.address())
        .env("FIELDBOOK_CODE", office.code(rep))
        .output()
        .unwrap();
    let said = told(&output);
    assert!(output.status.success(), "{said}");
    let last = said.lines().rev().find(|line| line.contains(" passed, "));
    assert!(last.is_some_and(|line| line.ends_with(", 0 failed") && !line.starts_with("0 ")), "{said}");
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign").join(name)
}
