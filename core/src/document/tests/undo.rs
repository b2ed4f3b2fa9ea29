//! Taking a change back after others have written: what they wrote stays.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::gate::{author, contact, id};
use super::merge::{merged, with};
use super::*;

/// Phone 1 makes `mine`, `theirs` happens, phone 1 takes its change back. Gives the document before and after, and whether something stays.
fn taken_back(base: &Doc, mine: &[Edit], theirs: impl FnOnce(Doc) -> Doc) -> (Doc, Doc, bool) {
    let mut doc = base.clone();
    let edited = doc.edit(actor(1), &stamp(1, 100), mine).unwrap();
    let before = theirs(doc);
    let back = before.take_back(&edited.hash, &edited.undo);
    let mut after = before.clone();
    if !back.edits.is_empty() {
        let made = after.edit(actor(1), &stamp(1, 300), &back.edits).unwrap();
        admit(&before, &author(1), &[made.change], &AdmitLimits::default()).unwrap();
    }
    (before, after, back.partly)
}

fn notes(at: usize, delete: usize, insert: &str) -> Edit {
    Edit::Splice { text: "notes".into(), at, delete, insert: insert.into() }
}

fn tag(body: &str) -> Edit {
    Edit::PutElement { set: "tags".into(), key: "集采".into(), body: body.into() }
}

fn untag() -> Edit {
    Edit::RemoveElement { set: "tags".into(), key: "集采".into() }
}

fn part(name: &str, value: impl Into<Value>) -> Edit {
    Edit::SetRecord { field: "contacts".into(), id: id(1), name: name.into(), value: value.into() }
}

fn base() -> Doc {
    let edits = [set("brand", "东软"), contact(1), tag("1"), notes(0, 0, "三月招标")];
    with(&Doc::genesis(DocKind::Lead), 9, 1, &edits)
}

#[test]
fn what_others_wrote_since_stays_and_the_rest_goes_back() {
    let visit = || Edit::Append { log: "events".into(), id: id(7), body: "{}".into() };
    let told = |doc: &Doc| {
        let record = doc.record("contacts", id(1), &NoClocks).unwrap();
        let text = |value: Option<&Value>| value.map(ToString::to_string).unwrap_or_default();
        let brand = text(doc.value("brand", &NoClocks).as_ref());
        let tag = doc.set("tags", &NoClocks).remove("集采").unwrap_or_default();
        let gone = doc.records("contacts", &NoClocks).is_empty();
        format!("{brand} {} {tag} {} {gone}", text(record.get("attitude")), doc.text("notes"))
    };
    let unchanged = "东软 支持 1 三月招标 false";
    let check =
        |what: &str, mine: &[Edit], theirs: &[Edit], concurrent: bool, expected: &str, stays: bool| {
            let (before, after, partly) = taken_back(&base(), mine, |doc| match (theirs, concurrent) {
                ([], _) => doc,
                (theirs, true) => merged(&doc, &with(&base(), 2, 50, theirs)),
                (theirs, false) => with(&doc, 2, 200, theirs),
            });
            assert_eq!((told(&after).as_str(), partly), (expected, stays), "{what}");
            assert_eq!(before.heads() == after.heads(), told(&before) == told(&after), "{what}");
        };
    let brand = [set("brand", "联影")];
    check("alone", &brand, &[], false, unchanged, false);
    check("written over", &brand, &[set("brand", "GE")], false, "GE 支持 1 三月招标 false", true);
    check("in conflict", &brand, &[set("brand", "GE")], true, "联影 支持 1 三月招标 false", true);
    check("the same at once", &brand, &[set("brand", "联影")], true, "联影 支持 1 三月招标 false", true);
    let two = [set("brand", "联影"), part("attitude", "反对")];
    check("in part", &two, &[set("brand", "GE")], false, "GE 支持 1 三月招标 false", true);
    check("a tag", &[tag("2")], &[], false, unchanged, false);
    check("a tag put again", &[tag("2")], &[tag("3")], false, "东软 支持 3 三月招标 false", true);
    check("a tag removed", &[untag()], &[], false, unchanged, false);
    check("a tag removed by both", &[untag()], &[untag()], true, "东软 支持  三月招标 false", true);
    check("a tag put over, then removed", &[tag("2")], &[untag()], false, "东软 支持  三月招标 false", true);
    check("a removal", &[part("removed", true)], &[], false, unchanged, false);
    let typed = [notes(2, 2, "启动")];
    check("typed", &typed, &[], false, unchanged, false);
    check(
        "others typed before",
        &typed,
        &[notes(0, 0, "约在")],
        false,
        "东软 支持 1 约在三月招标 false",
        false,
    );
    check("others typed between", &typed, &[notes(3, 0, "X")], false, "东软 支持 1 三月招标X false", false);
    check("others deleted the same", &typed, &[notes(3, 1, "")], true, "东软 支持 1 三月招 false", false);
    check("others deleted mine", &typed, &[notes(2, 2, "")], false, unchanged, false);
    check("both deleted", &[notes(0, 4, "")], &[notes(0, 4, "")], true, "东软 支持 1  false", true);
    let (_, after, partly) = taken_back(&base(), &[visit()], |doc| with(&doc, 2, 200, &[set("brand", "GE")]));
    assert_eq!((after.log("events", &NoClocks).len(), partly), (2, false));
    let (_, after, partly) =
        taken_back(&base(), &[visit()], |doc| with(&doc, 2, 200, &[retraction("events", id(7))]));
    assert_eq!((after.log("events", &NoClocks).len(), partly), (2, true), "retracted already");
}

#[test]
fn a_record_goes_only_while_nobody_else_wrote_in_it() {
    let mine = [contact(4)];
    let write =
        Edit::SetRecord { field: "contacts".into(), id: id(4), name: "phone".into(), value: "1".into() };
    let (_, after, partly) = taken_back(&base(), &mine, |doc| doc);
    assert_eq!((after.records("contacts", &NoClocks).len(), partly), (1, false));
    for theirs in [&[write][..], &[contact(4)][..]] {
        let (_, after, partly) = taken_back(&base(), &mine, |doc| {
            let concurrent = matches!(theirs[0], Edit::AddRecord { .. });
            if concurrent { merged(&doc, &with(&base(), 2, 50, theirs)) } else { with(&doc, 2, 200, theirs) }
        });
        assert_eq!((after.records("contacts", &NoClocks).len(), partly), (2, true));
    }
}

#[test]
fn a_lead_that_is_taken_back_is_deleted_and_comes_again() {
    let genesis = Doc::genesis(DocKind::Lead);
    let mine = [set("customer_name", "协和"), contact(1)];
    let (_, mut lead, partly) = taken_back(&genesis, &mine, |doc| doc);
    assert!(!partly);
    assert_eq!(lead.value("deleted", &NoClocks), Some(true.into()));
    assert_eq!(name(&lead), Some("协和".into()), "nothing of it is emptied");
    let last = lead.changes_of(actor(1), 2).remove(0).hash;
    let redo = lead.take_back(&last, &[set("deleted", Value::Null)]);
    lead.edit(actor(1), &stamp(1, 400), &redo.edits).unwrap();
    assert_eq!(lead.value("deleted", &NoClocks), None);
    let (_, lead, partly) = taken_back(&genesis, &mine, |doc| with(&doc, 2, 200, &[set("brand", "GE")]));
    assert_eq!((lead.value("deleted", &NoClocks), partly), (None, true), "a colleague works on it already");
    assert_eq!(
        Doc::genesis(DocKind::Lead).take_back(&last, &[set("deleted", Value::Null)]),
        TakeBack { edits: Vec::new(), partly: true },
        "a change that the document no longer holds"
    );
}

/// One edit of somebody; text that they type is made of `letters`, which nobody else has.
fn any_edit(letters: &'static str) -> impl Strategy<Value = Edit> {
    let field = prop::sample::select(vec!["brand", "need", "hospital"]);
    prop_oneof![
        (field, "[甲乙丙]").prop_map(|(field, value)| set(field, value)),
        "[支反]".prop_map(|to| part("attitude", to)),
        any::<bool>().prop_map(|removed| part("removed", removed)),
        prop_oneof![Just(tag("5")), Just(tag("6")), Just(untag())],
        (0usize..9, 0usize..4, letters).prop_map(|(at, delete, insert)| notes(at, delete, &insert)),
    ]
}

/// Everything but the text, register by register. Of a removal what was written, not what it comes to: once nobody's edit speaks against it
/// any more, it stands.
fn registers(doc: &Doc) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> =
        doc.root(&NoClocks).into_iter().map(|(name, value)| (name, value.to_string())).collect();
    for (name, value) in doc.record("contacts", id(1), &NoClocks).unwrap() {
        all.insert(format!("contact {name}"), value.to_string());
    }
    let removed =
        Path { field: "contacts".into(), key: Some(id(1).to_string()), name: Some("removed".into()) };
    let removed = doc.chosen(doc.survivors_at(&removed), &NoClocks);
    all.remove("contact removed");
    all.extend(removed.map(|value| ("contact removed".to_owned(), value.to_string())));
    all.extend(doc.set("tags", &NoClocks));
    all
}

fn key_of(edit: &Edit) -> Option<String> {
    match edit {
        Edit::Set { field, .. } => Some(field.clone()),
        Edit::SetRecord { name, .. } => Some(format!("contact {name}")),
        Edit::PutElement { key, .. } | Edit::RemoveElement { key, .. } => Some(key.clone()),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever others do beside and after a change, taking it back changes nothing that it did not write, removes no character of theirs and
    /// brings back none that they deleted.
    #[test]
    fn taking_back_touches_nothing_of_others(
        mine in prop::collection::vec(any_edit("[0-9]{0,3}"), 1..4),
        beside in prop::collection::vec(any_edit("[A-M]{0,3}"), 0..4),
        after in prop::collection::vec(any_edit("[N-Z]{0,3}"), 0..4),
    ) {
        let base = with(&base(), 9, 2, &[notes(0, 4, "abcdefgh"), set("need", "采购")]);
        let one_by_one = |doc: &mut Doc, n: u8, edits: &[Edit]| {
            let mut gone = BTreeSet::new();
            for edit in edits {
                let old = doc.text("notes");
                if doc.edit(actor(n), &stamp(n, 150), std::slice::from_ref(edit)).is_ok() {
                    let new = doc.text("notes");
                    gone.extend(old.chars().filter(|c| !new.contains(*c)));
                }
            }
            gone
        };
        let mut other = base.clone();
        let mut gone = one_by_one(&mut other, 2, &beside);
        let mut doc = base.clone();
        let Ok(edited) = doc.edit(actor(1), &stamp(1, 100), &mine) else { return Ok(()) };
        let mut before = merged(&doc, &other);
        gone.extend(one_by_one(&mut before, 3, &after));
        let back = before.take_back(&edited.hash, &edited.undo);
        let mut done = before.clone();
        if !back.edits.is_empty() {
            done.edit(actor(1), &stamp(1, 300), &back.edits).unwrap();
        }

        let others: BTreeSet<_> = beside.iter().chain(&after).filter_map(key_of).collect();
        let own: BTreeSet<_> = mine.iter().filter_map(key_of).collect();
        let (was, is, at_first) = (registers(&before), registers(&done), registers(&base));
        for key in was.keys().chain(is.keys()).chain(at_first.keys()) {
            if !own.contains(key) {
                prop_assert_eq!(was.get(key), is.get(key), "{} was not mine", key);
            } else if !others.contains(key) {
                let back = |value: Option<&String>| value.filter(|v| *v != "false").cloned();
                prop_assert_eq!(back(at_first.get(key)), back(is.get(key)), "{} was mine alone", key);
            }
        }
        let text = done.text("notes");
        prop_assert!(!text.contains(|c: char| c.is_ascii_digit()), "mine is gone: {}", text);
        let upper = |text: &str| text.chars().filter(char::is_ascii_uppercase).collect::<String>();
        prop_assert_eq!(upper(&text), upper(&before.text("notes")), "theirs stays");
        let expected: String = "abcdefgh".chars().filter(|c| !gone.contains(c)).collect();
        let lower: BTreeSet<char> = text.chars().filter(char::is_ascii_lowercase).collect();
        prop_assert_eq!(lower.into_iter().collect::<String>(), expected, "{:?} from {}", back, before.text("notes"));
    }
}
