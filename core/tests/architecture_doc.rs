//! Keeps the tables of keys in `docs/architecture.md` complete: every key that the doc comments of the two `keys.rs` spell has its row.

#[test]
fn every_table_of_the_stores_has_its_row() {
    let page = include_str!("../../docs/architecture.md");
    for (title, code) in [
        ("## The company's store", include_str!("../src/company/keys.rs")),
        ("## The phone's store", include_str!("../src/replica/keys.rs")),
    ] {
        let (_, rest) =
            page.split_once(title).unwrap_or_else(|| panic!("docs/architecture.md lacks {title:?}"));
        let section = rest.split_once("\n## ").map_or(rest, |(section, _)| section);
        let spelled: Vec<&str> = code.lines().filter_map(key_of).collect();
        assert!(spelled.len() > 5, "keys.rs spells its keys in doc comments");
        for key in spelled {
            assert!(section.contains(&format!("`{key}`")), "{title} lacks a row for `{key}`");
        }
    }
}

/// The key of a doc comment that begins with one, when it is a whole key: prefixes (a slash at the end) and slots repeat another.
fn key_of(line: &str) -> Option<&str> {
    let key = line.strip_prefix("/// `")?.split_once('`')?.0;
    (!key.ends_with('/') && !key.contains('<') && key != "h/kind").then_some(key)
}
