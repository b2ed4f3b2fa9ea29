//! Keeps `docs/operations.md` true: the configuration it shows is the table of keys, the metrics it names are those that exist.
//!
//! `FIELDBOOK_BLESS=1 cargo test -p fieldbook-server --test operations_doc` writes the configuration anew.

use std::collections::BTreeSet;

use fieldbook_server::config::keys;

#[test]
fn the_page_explains_every_key() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the block of the configuration");
    let (_, after) = rest.split_once(END).expect("its end");
    let wanted = format!("{before}{BEGIN}```toml\n{}```\n{END}{after}", keys::explain());
    if std::env::var_os("FIELDBOOK_BLESS").is_some() {
        std::fs::write(path, wanted).unwrap();
        return;
    }
    assert!(
        page == wanted,
        "docs/operations.md is behind server/src/config/keys.rs; FIELDBOOK_BLESS=1 writes it anew"
    );
}

#[test]
fn the_page_names_every_metric_and_no_other() {
    let page = include_str!("../../docs/operations.md");
    let (_, rest) = page.split_once("<!-- metrics -->").expect("the table of metrics");
    let (table, _) = rest.split_once(END).expect("its end");
    let named: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    let code = include_str!("../src/metrics.rs");
    let names =
        code.lines().filter(|line| line.starts_with("pub const ")).filter_map(|line| line.split('"').nth(1));
    assert_eq!(named, names.collect::<BTreeSet<_>>());
}

const BEGIN: &str = "<!-- generated: config -->\n";
const END: &str = "<!-- end -->";
