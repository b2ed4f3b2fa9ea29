//! Keeps `docs/architecture.md` true: every key that the two `keys.rs` spell has its row, once; every file that the page names exists, every
//! function that it names is there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../docs/architecture.md");

#[test]
fn every_table_of_the_stores_has_its_row_and_one_only() {
    for (title, code) in [
        ("## The company's store", include_str!("../src/company/keys.rs")),
        ("## The phone's store", include_str!("../src/replica/keys.rs")),
    ] {
        let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
        let table = section(title).lines().filter(|line| line.starts_with("| `"));
        for key in table.flat_map(|row| spans(row.split(" | ").next().unwrap_or(row))) {
            *rows.entry(key).or_default() += 1;
        }
        assert!(rows.len() > 10, "{title}: {rows:?}");
        let twice: Vec<_> = rows.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "{title} has more than one row for {twice:?}");
        let spelled: Vec<&str> = code.lines().filter_map(key_of).collect();
        assert!(spelled.len() > 5, "keys.rs spells its keys in doc comments and constants");
        for key in spelled {
            let known = rows.keys().any(|row| *row == key || key.ends_with('/') && row.starts_with(key));
            assert!(known, "{title} lacks a row for `{key}`");
        }
    }
}

#[test]
fn every_file_that_is_named_exists() {
    let (present, _) = PAGE.split_once("## Not there yet").unwrap();
    let named: Vec<&str> = spans(present).into_iter().filter(|span| is_path(span)).collect();
    assert!(named.len() > 30, "{named:?}");
    let lost: Vec<_> = named.into_iter().filter(|path| !exists(path)).collect();
    assert!(lost.is_empty(), "docs/architecture.md names what is not there: {lost:?}");
}

#[test]
fn every_function_that_is_named_is_there() {
    let mut sources = Vec::new();
    for folder in ["core/src", "core/engines/src", "server/src", "ffi/device/src"] {
        collect(&root().join(folder), &mut sources);
    }
    let named: Vec<(&str, &str)> = spans(PAGE).into_iter().filter_map(|span| span.split_once("::")).collect();
    let functions: Vec<_> = named
        .into_iter()
        .filter(|(of, name)| is_type(of) && name.chars().all(|c| c.is_lowercase() || c == '_'))
        .collect();
    assert!(functions.len() > 10, "{functions:?}");
    for (of, name) in functions {
        let there = sources.iter().any(|source| {
            let blocks = source.split("\nimpl").skip(1).map(|rest| rest.split("\n}").next().unwrap_or(rest));
            blocks
                .filter(|block| {
                    let head = block.split('{').next().unwrap_or_default();
                    head.split(|c: char| !c.is_alphanumeric()).any(|word| word == of)
                })
                .any(|block| block.contains(&format!("fn {name}(")) || block.contains(&format!("fn {name}<")))
        });
        assert!(there, "docs/architecture.md names {of}::{name}, which is not there");
    }
}

fn section(title: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(title).unwrap_or_else(|| panic!("docs/architecture.md lacks {title:?}"));
    rest.split_once("\n## ").map_or(rest, |(section, _)| section)
}

/// What stands between backticks.
fn spans(text: &str) -> Vec<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The key of a doc comment that begins with one, when it is a whole key (prefixes and slots repeat another), or of a constant.
fn key_of(line: &str) -> Option<&str> {
    if let Some((_, rest)) = line.split_once(": &[u8] = b\"") {
        return rest.split_once('"').map(|(key, _)| key);
    }
    let key = line.strip_prefix("/// `")?.split_once('`')?.0;
    (!key.ends_with('/') && !key.contains('<') && key != "h/kind").then_some(key)
}

fn is_path(span: &str) -> bool {
    let tame = span.chars().all(|c| c.is_alphanumeric() || "/_.-{},".contains(c));
    let ends = [".rs", ".md", ".py", ".sh", ".toml"].iter().any(|end| span.ends_with(end));
    let begins = ["core/", "server/", "ffi/", "tests/", "docs/"].iter().any(|begin| span.starts_with(begin));
    tame && (ends || begins)
}

fn is_type(word: &str) -> bool {
    word.starts_with(char::is_uppercase) && word.chars().all(char::is_alphanumeric)
}

/// From the root, or from the sources of the crate that the paragraph is about.
fn exists(path: &str) -> bool {
    let names = match path.split_once('{').zip(path.split_once('}')) {
        Some(((before, _), (_, after))) => {
            let inner = &path[before.len() + 1..path.len() - after.len() - 1];
            inner.split(',').map(|one| format!("{before}{one}{after}")).collect()
        }
        None => vec![path.to_owned()],
    };
    let places = ["", "core/src", "server/src", "ffi/device/src"].map(|place| root().join(place));
    names.iter().all(|name| places.iter().any(|place| place.join(name).exists()))
}

fn collect(folder: &Path, out: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, out);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            out.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
