//! The house rules that a machine can check (design: "The house"). Each rule is a test; what it looks at is the text of the checkout.
#![allow(clippy::unwrap_used, reason = "a test that cannot read the checkout says where")]

use std::fs;
use std::path::{Path, PathBuf};

use fieldbook_core::access::Role;
use fieldbook_core::ids::DocKind;

/// `core` is pure: it names no crate that reads a clock, a file, a socket or randomness, and starts nothing.
#[test]
fn core_names_no_crate_of_the_outer_world() {
    let named = dependencies("core/Cargo.toml");
    assert!(named.contains(&"automerge".to_owned()), "{named:?}");
    let pure = [
        "automerge",
        "flate2",
        "formualizer-parse",
        "hex",
        "hmac",
        "jiff",
        "lru",
        "minicbor",
        "pinyin",
        "rust_decimal",
        "serde",
        "serde_json",
        "sha2",
        "thiserror",
        "toml",
    ];
    let others: Vec<_> = named.iter().filter(|name| !pure.contains(&name.as_str())).collect();
    assert!(others.is_empty(), "core/Cargo.toml names {others:?}: is it pure? Then it joins the list here");
}

#[test]
fn core_reads_no_clock_file_socket_or_dice() {
    let outer = [
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "std::process",
        "SystemTime",
        "Instant::now",
        "thread_rng",
        "getrandom",
        "println!",
        "Timestamp::now",
        "Zoned::now",
        "tokio::",
    ];
    for (path, text) in sources("core/src").into_iter().filter(|(path, _)| !is_test(path)) {
        for word in outer {
            let found = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .any(|line| line.contains(word));
            assert!(!found, "{} uses {word}", path.display());
        }
    }
}

/// `server → engines → core`, `ffi → device → engines → core`; the demo alone sees both ends.
#[test]
fn dependencies_point_one_way() {
    let ours = |manifest: &str| -> Vec<String> {
        dependencies(manifest).into_iter().filter(|name| name.starts_with("fieldbook")).collect()
    };
    assert!(ours("core/Cargo.toml").is_empty());
    assert_eq!(ours("core/engines/Cargo.toml"), ["fieldbook-core"]);
    assert_eq!(ours("ffi/device/Cargo.toml"), ["fieldbook-core", "fieldbook-engines"]);
    assert_eq!(ours("ffi/Cargo.toml"), ["fieldbook-core", "fieldbook-device"]);
    assert_eq!(ours("server/Cargo.toml"), ["fieldbook-core", "fieldbook-device", "fieldbook-engines"]);
    for (path, text) in sources("server/src") {
        let demo = path.components().any(|part| part.as_os_str() == "demo" || part.as_os_str() == "demo.rs");
        assert!(demo || !text.contains("fieldbook_device"), "{} knows the phone", path.display());
    }
}

/// The skin for foreign languages decides nothing: no document, store, protocol or file of its own.
#[test]
fn the_skin_only_forwards() {
    let inner = [
        "automerge",
        "fieldbook_core::document::Doc",
        "fieldbook_core::store",
        "fieldbook_core::replica",
        "fieldbook_core::company",
        "fieldbook_core::sync",
        "fieldbook_engines",
        "std::fs",
        "std::net",
        "std::thread",
        "tokio",
    ];
    for (path, text) in sources("ffi/src") {
        for word in inner {
            assert!(!text.contains(word), "{} uses {word}", path.display());
        }
    }
}

/// Nothing in the checkout knows the machine that it was written on.
#[test]
fn no_file_names_a_folder_of_this_machine() {
    let folders = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat(), ["/Us", "ers/"].concat()];
    for (path, text) in
        files("", &["rs", "toml", "md", "sh", "yml", "yaml", "py", "kt", "kts", "swift", "json"])
    {
        for folder in &folders {
            assert!(!text.contains(folder.as_str()), "{} names {folder}", path.display());
        }
    }
}

#[test]
fn every_kind_and_role_is_in_the_glossary() {
    let glossary = fs::read_to_string(root().join("docs/glossary.md")).unwrap();
    for kind in DocKind::ALL {
        assert!(glossary.contains(&format!("`DocKind::{kind:?}`")), "{kind:?}");
    }
    for role in Role::ALL {
        assert!(glossary.contains(&format!("`Role::{role:?}`")), "{role:?}");
    }
}

/// No test is ignored, nothing is left to be done, nothing is allowed without a reason, and a file says what it owns.
#[test]
fn no_file_hides_what_is_missing() {
    // Put together here, or this file would find itself.
    let hidden = [["#[ig", "nore"].concat(), ["to", "do!("].concat(), ["unimple", "mented!("].concat()];
    let allow = ["[allo", "w("].concat();
    for (path, text) in files("", &["rs"]) {
        for word in &hidden {
            assert!(!text.contains(word.as_str()), "{} has {word}", path.display());
        }
        for (at, _) in text.match_indices(&allow) {
            let attribute = text[at..].split(")]").next().unwrap_or_default();
            assert!(attribute.contains("reason"), "{} allows without a reason: {attribute}", path.display());
        }
        assert!(is_test(&path) || text.starts_with("//!"), "{} does not say what it owns", path.display());
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

/// The names in `[dependencies]` of a manifest, sorted.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let section = text.lines().skip_while(|line| line.trim() != "[dependencies]").skip(1);
    let lines = section.take_while(|line| !line.starts_with('['));
    let mut names: Vec<String> = lines
        .filter_map(|line| line.split(['.', '=', ' ']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let sources = files(folder, &["rs"]);
    assert!(!sources.is_empty(), "{folder} has no source");
    sources
}

/// Every file below a folder with one of these endings. What is built or fetched is left out.
fn files(folder: &str, endings: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && !BUILT.contains(&name.as_str()) {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known))
                && let Ok(text) = fs::read_to_string(&path)
            {
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

/// Folders that builds and package managers fill.
const BUILT: [&str; 8] =
    ["target", "build", "out", "node_modules", "generated", "dist", "venv", "__pycache__"];
