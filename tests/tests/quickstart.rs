//! The code that the pages show is the code that runs: every block of a quickstart stands word for word in the program that the test suite
//! compiles and runs (tests/tests/foreign.rs), and nothing of that program's shown parts is missing on the page.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Language of the fences, its page, the program that runs the page's code.
const QUICKSTARTS: [(&str, &str, &str); 3] = [
    ("kotlin", "ffi/kotlin/README.md", "tests/foreign/kotlin/Quickstart.kt"),
    ("swift", "ffi/swift/README.md", "tests/foreign/swift/check/Sources/Quickstart.swift"),
    ("python", "ffi/python/README.md", "tests/foreign/python/quickstart.py"),
];

#[test]
fn every_quickstart_shows_what_runs() {
    for (language, page, program) in QUICKSTARTS {
        let shown: BTreeSet<String> = blocks(&read(page), language).into_iter().collect();
        let run: BTreeSet<String> = snippets(&read(program)).into_iter().map(|(_, code)| code).collect();
        assert!(run.len() > 4, "{program} marks its parts with `snippet:` and `end`");
        assert_eq!(shown, run, "{page} (left) and {program} (right) differ");
    }
}

#[test]
fn both_readmes_show_the_first_app_in_every_language() {
    for page in ["README.md", "README.zh-CN.md"] {
        for (language, _, program) in QUICKSTARTS {
            let first = snippets(&read(program)).into_iter().find(|(name, _)| name == "first");
            let wanted = first.unwrap_or_else(|| panic!("{program} has no snippet `first`")).1;
            assert_eq!(blocks(&read(page), language), [wanted], "{page} and {program} differ in {language}");
        }
    }
}

/// The fenced blocks of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    let code = page.split(&fence).skip(1).filter_map(|rest| rest.split_once("\n```"));
    code.map(|(block, _)| block.to_owned()).collect()
}

/// Name and code of every part between a comment `snippet: NAME` and a comment `end`, moved to the left edge.
fn snippets(program: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for rest in program.split("snippet: ").skip(1) {
        let (name, rest) = rest.split_once('\n').unwrap_or((rest, ""));
        let lines: Vec<&str> = rest.lines().take_while(|line| !is_end(line)).collect();
        let indent = |line: &&&str| line.len() - line.trim_start().len();
        let edge =
            lines.iter().filter(|line| !line.trim().is_empty()).map(|line| indent(&line)).min().unwrap_or(0);
        let code: Vec<&str> = lines.iter().map(|line| line.get(edge..).unwrap_or_default()).collect();
        found.push((name.trim().to_owned(), code.join("\n")));
    }
    found
}

fn is_end(line: &str) -> bool {
    matches!(line.trim(), "// end" | "# end")
}

fn read(path: &str) -> String {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&whole).unwrap_or_else(|error| panic!("{path}: {error}"))
}
