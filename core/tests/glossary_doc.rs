//! Keeps `docs/glossary.md` complete: every kind, every role, every type that the model and the access table give out has its row.

use fieldbook_core::access::Role;
use fieldbook_core::ids::DocKind;

const PAGE: &str = include_str!("../../docs/glossary.md");

#[test]
fn every_kind_and_role_has_its_row_with_the_chinese_term() {
    let kinds = DocKind::ALL.map(|kind| format!("`DocKind::{kind:?}`"));
    let roles = Role::ALL.map(|role| format!("`Role::{role:?}`"));
    for name in kinds.iter().chain(&roles) {
        let row = PAGE.lines().find(|line| line.starts_with('|') && line.contains(name));
        let row = row.unwrap_or_else(|| panic!("docs/glossary.md lacks a row with {name}"));
        let chinese = row.split('|').nth(1).unwrap_or_default();
        assert!(
            chinese.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)),
            "{name} lacks its Chinese term"
        );
    }
}

#[test]
fn every_type_of_the_model_has_its_row() {
    let model = given_out(include_str!("../src/model/mod.rs"));
    assert!(model.len() > 20, "the model gives out its types by `pub use`: {model:?}");
    let access =
        include_str!("../src/access/mod.rs").lines().filter_map(|line| line.strip_prefix("pub enum "));
    for name in model.into_iter().chain(access.filter_map(|rest| rest.split([' ', '<']).next())) {
        let spelled = [format!("`{name}`"), format!("`{name}::")];
        assert!(spelled.iter().any(|s| PAGE.contains(s)), "docs/glossary.md lacks `{name}`");
    }
}

/// The types behind `pub use`: what begins with a capital and has a small letter.
fn given_out(code: &str) -> Vec<&str> {
    let uses = code.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
    let names = uses.flat_map(|list| list.split(|c: char| !c.is_alphanumeric() && c != '_'));
    names.filter(|name| name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase)).collect()
}
