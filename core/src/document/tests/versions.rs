//! Documents of other versions of the table: what an older phone wrote is read under the present name, what a newer one wrote is kept, and
//! reading so commutes with merging.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ROOT, ReadDoc};
use proptest::prelude::*;

use super::gate::author;
use super::merge::{merged, with};
use super::*;
use crate::document::schema::{SCHEMA_KEY, VERSIONS, version};

/// What a phone of another version writes: registers by the names that it knows, and the version if it knows one.
fn foreign(doc: &mut Doc, n: u8, wall_ms: i64, writes: &[(&str, Value)]) -> Vec<u8> {
    let mut am = doc.am().clone().with_actor(actor(n).to_automerge());
    let mut tx = am.transaction();
    writes.iter().for_each(|(name, value)| tx.put(ROOT, *name, value.to_scalar()).unwrap());
    tx.commit_with(CommitOptions::default().with_time(0).with_message(stamp(n, wall_ms).to_message()));
    let change = am.get_last_local_change().unwrap().raw_bytes().to_vec();
    doc.apply(&[&change]).unwrap();
    change
}

fn phone(doc: &Doc) -> Option<Value> {
    doc.value("phone", &NoClocks)
}

fn held(doc: &Doc, name: &str) -> Option<String> {
    doc.am().get(ROOT, name).unwrap().map(|(value, _)| value.to_string())
}

/// One row a version: the kind, what a phone of the version before writes, and how it reads now.
#[test]
fn every_version_reads_what_the_one_before_wrote() {
    type Register = (&'static str, Value);
    let table: [(DocKind, i64, Register, Register); 1] =
        [(DocKind::Account, 2, ("tel", "010-69156114".into()), ("phone", "010-69156114".into()))];
    let known: Vec<_> = VERSIONS.iter().map(|(kind, version, _)| (*kind, *version)).collect();
    assert_eq!(
        known,
        table.each_ref().map(|(kind, version, ..)| (*kind, *version)),
        "a row for every version"
    );
    for (kind, to, (old_name, old), (new_name, new)) in table {
        let mut doc = Doc::genesis(kind);
        foreign(&mut doc, 1, 10, &[(old_name, old)]);
        assert_eq!(doc.schema_version(), to - 1);
        assert_eq!(doc.value(new_name, &NoClocks).as_ref(), Some(&new));
        let root = doc.root(&NoClocks);
        assert_eq!((root.get(new_name), root.get(old_name)), (Some(&new), None));
        assert_eq!(doc.heads().len(), 1, "reading writes nothing");
    }
}

#[test]
fn an_edit_brings_the_document_to_its_version_and_an_older_phone_reads_it_still() {
    let mut doc = Doc::genesis(DocKind::Account);
    foreign(&mut doc, 1, 10, &[("tel", "1".into())]);
    let base = doc.clone();
    let edited = doc.edit(actor(2), &stamp(2, 20), &[set("phone", "2")]).unwrap();
    assert_eq!((doc.schema_version(), phone(&doc)), (2, Some("2".into())));
    assert_eq!(held(&doc, "tel").as_deref(), Some("\"2\""), "where an older phone looks");
    assert!(admit(&base, &author(2), &[&edited.change], &AdmitLimits::default()).is_ok());
    // Two phones that write the version at once, and one that writes a newer one, are in no conflict.
    let other = with(&base, 3, 21, &[set("name", "协和")]);
    let mut newer = base.clone();
    let bytes = foreign(&mut newer, 4, 22, &[(SCHEMA_KEY, 3.into()), ("fax", "5".into())]);
    assert!(admit(&doc, &author(4), &[bytes], &AdmitLimits::default()).is_ok());
    let all = merged(&merged(&doc, &other), &newer);
    assert!(all.conflicts(&NoClocks).is_empty());
    assert_eq!((all.schema_version(), all.root(&NoClocks)["fax"].clone()), (3, "5".into()));
    let mut again = all.clone();
    again.edit(actor(2), &stamp(2, 30), &[set("city", "北京")]).unwrap();
    assert_eq!((again.schema_version(), held(&again, "fax").as_deref()), (3, Some("\"5\"")), "kept by us");
    assert_eq!(edited.undo, [set("phone", "1")], "undo leaves the version");
    // Kinds that never changed carry no version at all.
    let lead = with(&Doc::genesis(DocKind::Lead), 1, 1, &[set("need", "采购")]);
    assert_eq!((version(DocKind::Lead), held(&lead, SCHEMA_KEY), lead.schema_version()), (1, None, 1));
}

#[test]
fn an_older_and_a_newer_phone_on_one_register_are_in_conflict_until_a_person_chooses() {
    let mut base = Doc::genesis(DocKind::Account);
    foreign(&mut base, 1, 1, &[("tel", "0".into())]);
    let new = with(&base, 2, 30, &[set("phone", "新")]);
    let mut old = base.clone();
    foreign(&mut old, 1, 20, &[("tel", "旧".into())]);
    let both = merged(&new, &old);
    let conflicts = both.conflicts(&NoClocks);
    let values: Vec<_> = conflicts[0].values.iter().map(|v| v.value.to_string()).collect();
    assert_eq!((conflicts.len(), conflicts[0].path.field.as_str()), (1, "phone"));
    assert_eq!(values, ["新", "旧"]);
    for (choice, value) in values.iter().enumerate() {
        let chosen = with(&both, 3, 5, &[resolution(&conflicts[0], choice).unwrap()]);
        assert_eq!(phone(&chosen), Some(value.as_str().into()));
        assert_eq!(held(&chosen, "tel"), held(&chosen, "phone"));
        assert!(chosen.conflicts(&NoClocks).is_empty());
    }
    // An older phone that has seen the new value replaces it, by a clock that is behind too.
    let mut after = new.clone();
    foreign(&mut after, 1, 3, &[("tel", "后写".into())]);
    assert_eq!((phone(&after), after.conflicts(&NoClocks).len()), (Some("后写".into()), 0));
}

/// Under the present name two values survive, of which neither is read any more: an older phone has replaced both under the former one.
/// Choosing one of them again takes an operation of its own, which the gate takes.
#[test]
fn a_value_that_an_older_phone_replaced_can_be_chosen_again() {
    let base = Doc::genesis(DocKind::Account);
    let both = merged(&with(&base, 2, 10, &[set("phone", "乙")]), &with(&base, 3, 11, &[set("phone", "丙")]));
    let mut replaced = both.clone();
    foreign(&mut replaced, 1, 20, &[("tel", "丁".into())]);
    assert_eq!(phone(&replaced), Some("丁".into()));
    for word in ["乙", "丙"] {
        let mut chosen = replaced.clone();
        let edited = chosen.edit(actor(4), &stamp(4, 30), &[set("phone", word)]).unwrap();
        assert_eq!((phone(&chosen), chosen.conflicts(&NoClocks).len()), (Some(word.into()), 0));
        let verdict = admit(&replaced, &author(4), &[&edited.change], &AdmitLimits::default());
        assert!(verdict.is_ok(), "{word}: {verdict:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Phones of both versions write, meet, and write again: reading as the present version and merging may be done in any order, and
    /// whoever has seen everything has the last word.
    #[test]
    fn migration_commutes_with_merge(
        acts in prop::collection::vec((0usize..3, 0i64..5, "[甲乙丙]{1,2}", prop::option::of(0usize..3)), 1..16),
    ) {
        let mut phones = [1u8, 2, 3].map(|_| Doc::genesis(DocKind::Account));
        for (n, wall_ms, word, contact) in acts {
            let device = n as u8 + 1;
            if n == 0 {
                foreign(&mut phones[n], device, wall_ms, &[("tel", word.as_str().into())]);
            } else {
                let _ = phones[n].edit(actor(device), &stamp(device, wall_ms), &[set("phone", word)]);
            }
            if let Some(other) = contact {
                let theirs = phones[other].clone();
                phones[n] = merged(&phones[n], &theirs);
            }
        }
        let picture = |doc: &Doc| (doc.root(&NoClocks), doc.conflicts(&NoClocks), doc.schema_version());
        let [a, b, c] = &phones;
        let all = merged(&merged(a, b), c);
        for other in [merged(&merged(c, b), a), merged(b, &merged(a, c))] {
            prop_assert_eq!(picture(&other), picture(&all));
        }
        // Migrated first by an edit of something else, merged after: the register reads the same.
        let moved = |doc: &Doc, n: u8| with(doc, n, 9, &[set("city", n.to_string())]);
        let late = merged(&merged(&moved(a, 4), &moved(b, 5)), c);
        prop_assert_eq!(phone(&late), phone(&all));
        let strip = |doc: &Doc| {
            let mut open = doc.conflicts(&NoClocks);
            open.retain(|conflict| conflict.path.field == "phone");
            open
        };
        prop_assert_eq!(strip(&late), strip(&all));
        let last = with(&all, 6, -1, &[set("phone", "末")]);
        prop_assert_eq!(phone(&last), Some("末".into()));
        prop_assert!(last.conflicts(&NoClocks).is_empty());
        let mut old = all.clone();
        foreign(&mut old, 7, -1, &[("tel", "末".into())]);
        prop_assert_eq!(phone(&old), Some("末".into()));
    }
}
