//! Conflicts, merging in any order, replay, and documents of other versions.

use proptest::prelude::*;

use super::*;
use crate::time::{BootClock, Occurred};

pub(super) fn with(base: &Doc, n: u8, wall_ms: i64, edits: &[Edit]) -> Doc {
    let mut doc = base.clone();
    doc.edit(actor(n), &stamp(n, wall_ms), edits).unwrap();
    doc
}

pub(super) fn merged(a: &Doc, b: &Doc) -> Doc {
    let mut doc = a.clone();
    doc.merge_snapshot(&b.save()).unwrap();
    doc
}

/// Automerge prefers the value of the higher actor; a person may choose either, and the gate takes either choice.
#[test]
fn either_choice_is_written_by_its_author_and_passes_the_gate() {
    let tag = |body: &str| Edit::PutElement { set: "tags".into(), key: "集采".into(), body: body.into() };
    for (first, second) in [(1, 2), (2, 1)] {
        for choice in [0, 1] {
            let base = with(&Doc::genesis(DocKind::Lead), 3, 1, &[set("customer_name", "旧名")]);
            let a =
                with(&base, first, 10, &[set("customer_name", "甲"), set("deleted", Value::Null), tag("1")]);
            let b = with(&base, second, 20, &[set("customer_name", "乙"), set("deleted", true), tag("2")]);
            let server = merged(&a, &b);
            let mut phone = server.clone();
            let edits: Vec<Edit> =
                server.conflicts(&NoClocks).iter().map(|c| resolution(c, choice).unwrap()).collect();
            assert!(!edits.is_empty());
            let made =
                phone.edit(actor(first), &stamp(first, 30), &[edits, vec![tag("1")]].concat()).unwrap();
            let author = Author {
                device: DeviceId([first; 8]),
                user: UserId([first; 8]),
                may: WriteScope::Everything,
            };
            let admitted = admit(&server, &author, &[&made.change], &AdmitLimits::default());
            let doc = admitted.unwrap_or_else(|e| panic!("{first} chose {choice}: {e}")).0;
            assert!(doc.conflicts(&NoClocks).is_empty());
            let written = doc.register("customer_name", &NoClocks).unwrap();
            let expected = if choice == 0 { "乙" } else { "甲" };
            assert_eq!((written.value, written.user), (expected.into(), UserId([first; 8])));
            assert_eq!(doc.set("tags", &NoClocks)["集采"], "1");
        }
    }
}

fn tick(row: &str, on: bool) -> Edit {
    Edit::SetIn { field: "ticks".into(), key: row.into(), value: on.into() }
}

#[test]
fn two_phones_that_edit_one_field_keep_both_values_until_a_person_chooses() {
    let base = with(&Doc::genesis(DocKind::Lead), 1, 1, &[set("customer_name", "旧名")]);
    let id = EntryId([4; 16]);
    let add = Edit::AddRecord { field: "contacts".into(), id, values: BTreeMap::new() };
    let base = with(&base, 1, 2, &[add]);
    let attitude = |to: &str| Edit::SetRecord {
        field: "contacts".into(),
        id,
        name: "attitude".into(),
        value: to.into(),
    };
    let a = with(&base, 1, 500, &[set("customer_name", "甲"), attitude("支持"), set("hospital", "协和")]);
    let b = with(&base, 2, 400, &[set("customer_name", "乙"), attitude("反对"), set("hospital", "协和")]);
    let mut doc = merged(&a, &b);

    let conflicts = doc.conflicts(&NoClocks);
    assert_eq!(conflicts.len(), 2, "equal values are no conflict: {conflicts:?}");
    assert_eq!(conflicts[0].path.field, "contacts");
    let names = &conflicts[1];
    assert_eq!(names.values[0].value, "甲".into());
    assert_eq!(names.values[0].at, Occurred { at_ms: 500, doubt_ms: i64::MAX });
    assert_eq!((names.values[1].user, names.values[1].device), (UserId([2; 8]), DeviceId([2; 8])));
    assert_eq!(name(&doc), Some("甲".into()), "the later act counts, whichever automerge prefers");
    assert_eq!(doc.register("customer_name", &NoClocks).unwrap().user, UserId([1; 8]));
    // A handshake that pins the first phone's boot far in the past turns the order round.
    let pinned = BTreeMap::from([(1u64, BootClock::Pinned(0))]);
    assert_eq!(doc.value("customer_name", &pinned), Some("乙".into()));

    for (conflict, choice) in conflicts.iter().zip([1, 0]) {
        doc.edit(actor(3), &stamp(3, 600), &[resolution(conflict, choice).unwrap()]).unwrap();
    }
    assert!(doc.conflicts(&NoClocks).is_empty());
    assert_eq!(doc.records("contacts", &NoClocks)[&id]["attitude"], "反对".into());
    assert_eq!(resolution(names, 9), None);
}

#[test]
fn a_tick_set_and_cleared_at_once_is_a_conflict() {
    let base = with(&Doc::genesis(DocKind::Advancement), 1, 1, &[tick("decision_maker", false)]);
    let a = with(&base, 1, 5, &[tick("decision_maker", true)]);
    let b = with(
        &base,
        2,
        6,
        &[Edit::SetIn { field: "ticks".into(), key: "decision_maker".into(), value: Value::Null }],
    );
    let doc = merged(&a, &b);
    assert_eq!(doc.conflicts(&NoClocks)[0].path.key.as_deref(), Some("decision_maker"));
    assert!(doc.registers("ticks", &NoClocks).is_empty(), "the later act emptied it");
}

#[test]
fn a_tag_that_is_put_again_while_another_removes_it_stays() {
    let put = |body: &str| Edit::PutElement { set: "tags".into(), key: "集采".into(), body: body.into() };
    let base = with(&Doc::genesis(DocKind::Lead), 1, 1, &[put("1")]);
    let a = with(&base, 1, 5, &[Edit::RemoveElement { set: "tags".into(), key: "集采".into() }]);
    let b = with(&base, 2, 4, &[put("2")]);
    assert_eq!(merged(&a, &b).set("tags", &NoClocks), BTreeMap::from([("集采".to_owned(), "2".to_owned())]));
}

#[test]
fn edits_that_change_nothing_make_no_change() {
    let mut doc = with(&Doc::genesis(DocKind::Lead), 1, 1, &[set("need", "采购")]);
    let before = doc.heads();
    let nothing = [set("need", "采购"), set("brand", Value::Null)];
    assert_eq!(doc.edit(actor(1), &stamp(1, 2), &nothing), Err(EditError::NothingChanged));
    assert_eq!(doc.heads(), before);
    let some = [nothing[0].clone(), set("brand", "联影")];
    assert_eq!(doc.edit(actor(1), &stamp(1, 2), &some).unwrap().undo, [set("brand", Value::Null)]);
}

#[test]
fn edits_outside_the_table_or_the_limits_are_refused_and_leave_no_trace() {
    let mut doc = Doc::genesis(DocKind::Lead);
    let id = EntryId([1; 16]);
    let long = "x".repeat(crate::limits::VALUE_MAX_BYTES + 1);
    let put =
        |key: &str, body: &str| Edit::PutElement { set: "tags".into(), key: key.into(), body: body.into() };
    let part =
        |name: &str| Edit::SetRecord { field: "contacts".into(), id, name: name.into(), value: "x".into() };
    type Expected = fn(&EditError) -> bool;
    let table: [(Edit, Expected); 11] = [
        (set("no_such_field", "x"), |e| matches!(e, EditError::UnknownField { .. })),
        (set("kind", "x"), |e| matches!(e, EditError::UnknownField { .. })),
        (set("notes", "x"), |e| matches!(e, EditError::UnknownField { .. })),
        (set("customer_name", 1), |e| matches!(e, EditError::WrongType(_))),
        (set("customer_name", long.as_str()), |e| matches!(e, EditError::TooLarge { .. })),
        (put("", "1"), |e| matches!(e, EditError::WrongType(_))),
        (put(&"k".repeat(129), "1"), |e| matches!(e, EditError::TooLarge { .. })),
        (put("k", "{"), |e| matches!(e, EditError::WrongType(_))),
        (part("name"), |e| matches!(e, EditError::NoRecord(_))),
        (part("shoe_size"), |e| matches!(e, EditError::WrongType(_))),
        (Edit::Splice { text: "notes".into(), at: 1, delete: 0, insert: "x".into() }, |e| {
            matches!(e, EditError::OutOfRange(1))
        }),
    ];
    for (edit, expected) in table {
        let error = doc.edit(actor(1), &stamp(1, 1), &[set("need", "采购"), edit.clone()]).unwrap_err();
        assert!(expected(&error), "{edit:?}: {error}");
    }
    let many =
        (0..5).map(|_| Edit::Splice { text: "notes".into(), at: 0, delete: 0, insert: "字".repeat(1_000) });
    let error = doc.edit(actor(1), &stamp(1, 1), &many.collect::<Vec<_>>()).unwrap_err();
    assert!(matches!(error, EditError::TooLarge { .. }));
    assert_eq!(doc.change_count(), 1);
    let append = |body: &str| Edit::Append { log: "events".into(), id, body: body.into() };
    doc.edit(actor(1), &stamp(1, 1), &[append("1")]).unwrap();
    assert_eq!(doc.edit(actor(1), &stamp(1, 1), &[append("1")]), Err(EditError::NothingChanged));
    assert_eq!(doc.edit(actor(1), &stamp(1, 1), &[append("2")]), Err(EditError::Exists(id)));
}

#[test]
fn a_document_of_another_kind_or_without_genesis_does_not_load() {
    let lead = Doc::genesis(DocKind::Lead).save();
    assert_eq!(Doc::load(DocKind::Account, &lead).unwrap_err(), DocError::NotOfKind(DocKind::Account));
    assert!(matches!(Doc::load(DocKind::Lead, &lead[..20]), Err(DocError::Malformed(_))));
    assert_eq!(Doc::load(DocKind::Lead, &[]).unwrap_err(), DocError::NotOfKind(DocKind::Lead));
}

#[test]
fn changes_come_back_by_head_and_by_actor_and_never_queue() {
    let base = with(&Doc::genesis(DocKind::Lead), 1, 1, &[set("need", "采购")]);
    let mut doc = with(&base, 2, 2, &[set("need", "维保")]);
    let third = doc.edit(actor(1), &stamp(1, 3), &[set("need", "升级")]).unwrap();
    let after = doc.changes_after(&base.heads());
    assert_eq!(after.iter().map(|c| (c.actor, c.seq)).collect::<Vec<_>>(), [(actor(2), 1), (actor(1), 2)]);
    assert_eq!(after[1].bytes, third.change);
    assert_eq!(doc.changes_of(actor(1), 2), after[1..]);
    assert_eq!((doc.last_seq(actor(1)), doc.last_seq(actor(9))), (2, 0));
    assert!(doc.contains(&third.hash) && !base.contains(&third.hash));

    let mut behind = base.clone();
    assert!(matches!(behind.apply(&[&third.change]), Err(DocError::MissingDeps(_))));
    assert_eq!(behind.heads(), base.heads());
    behind.apply(&[&after[1].bytes, &after[0].bytes]).unwrap();
    assert_eq!(behind.heads(), doc.heads());
    let rival = with(&base, 2, 9, &[set("need", "升级")]).changes_of(actor(2), 1);
    assert_eq!(doc.apply(&[&rival[0].bytes]), Err(DocError::Fork { seq: 1 }));
    assert!(matches!(doc.apply(&[b"rubbish"]), Err(DocError::Malformed(_))));
}

#[test]
fn a_renamed_register_is_read_under_both_names_and_the_later_counts() {
    // An older phone still writes `hospital`, a newer one `brand`; the reader knows both as one register.
    let base = with(&Doc::genesis(DocKind::Lead), 1, 10, &[set("hospital", "老"), set("brand", "新")]);
    let names = || ["brand", "hospital"].into_iter();
    let old = with(&base, 2, 30, &[set("hospital", "后写")]);
    let new = with(&base, 3, 20, &[set("brand", "先写")]);
    let read = |doc: &Doc| doc.value_of(names(), &NoClocks);
    assert_eq!(read(&old), Some("后写".into()));
    assert_eq!(read(&merged(&old, &new)), Some("后写".into()));
    assert_eq!(read(&merged(&new, &old)), Some("后写".into()), "migration on read commutes with merge");
}

#[test]
fn a_document_of_a_newer_version_reads_what_is_known() {
    let doc = with(&Doc::genesis(DocKind::Lead), 1, 10, &[set("schema", 7), set("customer_name", "协和")]);
    assert_eq!((doc.schema_version(), name(&doc)), (7, Some("协和".into())));
    assert_eq!(Doc::genesis(DocKind::Lead).schema_version(), 1);
}

/// What a reader sees, all of it.
pub(super) fn picture(doc: &Doc) -> String {
    let id = EntryId([1; 16]);
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        doc.root(&NoClocks),
        doc.all_records("contacts", &NoClocks),
        doc.record("contacts", id, &NoClocks),
        doc.log("events", &NoClocks),
        doc.set("tags", &NoClocks),
        doc.text("notes"),
        doc.conflicts(&NoClocks),
    )
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let small = 0u8..4;
    prop_oneof![
        (prop::sample::select(vec!["customer_name", "need", "hospital"]), "[甲乙丙]{0,2}")
            .prop_map(|(f, v)| set(f, v)),
        small.clone().prop_map(|n| {
            let values = BTreeMap::from([("name".to_owned(), Value::from(i64::from(n).to_string()))]);
            Edit::AddRecord { field: "contacts".into(), id: EntryId([n; 16]), values }
        }),
        (small.clone(), "[甲乙]").prop_map(|(n, name)| Edit::SetRecord {
            field: "contacts".into(),
            id: EntryId([n; 16]),
            name: "name".into(),
            value: name.into(),
        }),
        (small.clone(), any::<bool>()).prop_map(|(n, removed)| Edit::SetRecord {
            field: "contacts".into(),
            id: EntryId([n; 16]),
            name: "removed".into(),
            value: removed.into(),
        }),
        (0u8..200).prop_map(|n| Edit::Append {
            log: "events".into(),
            id: EntryId([n; 16]),
            body: n.to_string()
        }),
        small.clone().prop_map(|n| Edit::PutElement {
            set: "tags".into(),
            key: n.to_string(),
            body: "1".into()
        }),
        small.prop_map(|n| Edit::RemoveElement { set: "tags".into(), key: n.to_string() }),
        (0usize..3, "[字词句]{1,3}")
            .prop_map(|(at, insert)| { Edit::Splice { text: "notes".into(), at, delete: 0, insert } }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Three phones write offline, then merge in every order, in one go or change by change, twice over: all see the same.
    #[test]
    fn merge_order_does_not_matter_and_replay_changes_nothing(
        acts in prop::collection::vec((0u8..3, 0i64..5, any_edit(), prop::option::of(0usize..3)), 1..24),
    ) {
        let mut phones = [1u8, 2, 3].map(|_| Doc::genesis(DocKind::Lead));
        for (phone, wall_ms, edit, contact) in acts {
            let phone = usize::from(phone);
            // Refused edits (an id that is taken, say) are part of life.
            let n = phone as u8 + 1;
            let _ = phones[phone].edit(actor(n), &stamp(n, wall_ms), &[edit]);
            if let Some(other) = contact {
                let theirs = phones[other].save();
                phones[phone].merge_snapshot(&theirs).unwrap();
            }
        }
        let expected = merged(&merged(&phones[0], &phones[1]), &phones[2]);
        // What honest phones did passes the gate, in whatever order it arrives.
        let mut server = Doc::genesis(DocKind::Lead);
        let mut waiting = expected.changes_after(&server.heads());
        while let Some(at) = waiting.iter().rposition(|change| {
            let author = super::gate::author(change.actor.device.0[0]);
            match admit(&server, &author, &[&change.bytes], &AdmitLimits::default()) {
                Ok((doc, _)) => { server = doc; true }
                Err(Refusal::MissingDeps(_) | Refusal::Gap { .. } | Refusal::Actor) => false,
                Err(other) => panic!("{other}"),
            }
        }) {
            waiting.remove(at);
        }
        prop_assert!(waiting.is_empty());
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut doc = Doc::genesis(DocKind::Lead);
            for phone in order {
                let mut changes = phones[phone].changes_after(&[]);
                changes.reverse();
                let bytes: Vec<_> = changes.into_iter().map(|change| change.bytes).collect();
                doc.apply(&bytes).unwrap();
                doc.apply(&bytes).unwrap();
            }
            prop_assert_eq!(doc.heads(), expected.heads());
            let walked: Vec<_> = doc.walk(&automerge::ROOT).collect();
            let looked_up = walked.iter().map(|(key, _)| (key.clone(), doc.survivors(&automerge::ROOT, key)));
            prop_assert_eq!(&looked_up.collect::<Vec<_>>(), &walked, "a walk sees what a look-up sees");
            prop_assert_eq!(picture(&doc), picture(&expected));
            let loaded = Doc::load(DocKind::Lead, &doc.save()).unwrap();
            prop_assert_eq!(picture(&loaded), picture(&expected));
            let trusted = Doc::load_trusted(DocKind::Lead, &doc.save()).unwrap();
            prop_assert_eq!(trusted.heads(), expected.heads());
        }
    }
}
