//! The gate: what honest phones send passes, and a table of hostile inputs does not.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ExpandedChange, ObjType, ReadDoc, ScalarValue};

use super::*;
use crate::document::chunk;
use crate::ids::Hash32;
use crate::limits;

pub(super) fn author(n: u8) -> Author {
    Author { device: DeviceId([n; 8]), user: UserId([n; 8]), may: WriteScope::Everything }
}

pub(super) fn id(n: u8) -> EntryId {
    EntryId([n; 16])
}

fn visit(n: u8) -> Edit {
    Edit::Append {
        log: "events".into(), id: id(n), body: format!(r#"{{"type":"visit","note":"第{n}次"}}"#)
    }
}

pub(super) fn contact(n: u8) -> Edit {
    let values =
        BTreeMap::from([("name".to_owned(), Value::from("王主任")), ("attitude".to_owned(), "支持".into())]);
    Edit::AddRecord { field: "contacts".into(), id: id(n), values }
}

/// A lead with something of everything, written by device 1.
pub(super) fn lead() -> Doc {
    let mut doc = Doc::genesis(DocKind::Lead);
    let tag = Edit::PutElement { set: "tags".into(), key: "集采".into(), body: "{}".into() };
    let notes = Edit::Splice { text: "notes".into(), at: 0, delete: 0, insert: "三月启动招标".into() };
    let edits =
        [set("customer_name", "北京协和医院"), set("deleted", false), contact(1), visit(1), tag, notes];
    doc.edit(actor(1), &stamp(1, 1_000), &edits).unwrap();
    doc
}

/// A change that device 2 makes honestly on top of `base`.
pub(super) fn change_of_2(base: &Doc, edits: &[Edit]) -> Vec<u8> {
    base.clone().edit(actor(2), &stamp(2, 2_000), edits).unwrap().change
}

fn judge(base: &Doc, bytes: &[u8]) -> Result<(Doc, Admitted), Refusal> {
    admit(base, &author(2), &[bytes], &AdmitLimits::default())
}

/// Judges pushes as the gate does, with the base at hand should it be needed again.
fn admit_together(
    base: &Doc,
    pushes: &[Pushed<'_, Vec<u8>>],
    bounds: &AdmitLimits,
    compact: bool,
) -> AdmittedAll {
    let mut again = |passed: &[&[u8]]| base.clone().applied(passed);
    admit_all(base.clone(), pushes, bounds, compact, &mut again).unwrap()
}

/// An honest change of device 2, spoilt by `spoil` and encoded again.
fn spoilt(base: &Doc, edits: &[Edit], spoil: impl FnOnce(&mut ExpandedChange)) -> Vec<u8> {
    let mut expanded = Change::from_bytes(change_of_2(base, edits)).unwrap().decode();
    spoil(&mut expanded);
    Change::from(expanded).raw_bytes().to_vec()
}

fn check_refused(what: &str, base: &Doc, bytes: &[u8], code: &str) {
    let verdict = judge(base, bytes).map(|_| "admitted").map_err(|refusal| refusal.code());
    assert_eq!(verdict, Err(code), "{what}");
}

#[test]
fn honest_changes_pass_and_come_out_as_they_went_in() {
    let base = lead();
    let mut phone = base.clone();
    let mut pushed = Vec::new();
    for edits in [
        vec![set("customer_name", "协和"), set("need", "采购")],
        vec![
            contact(2),
            Edit::SetRecord { field: "contacts".into(), id: id(1), name: "phone".into(), value: "1".into() },
        ],
        vec![Edit::SetRecord {
            field: "contacts".into(),
            id: id(2),
            name: "removed".into(),
            value: true.into(),
        }],
        vec![visit(2), visit(3), retraction("events", id(1))],
        vec![Edit::RemoveElement { set: "tags".into(), key: "集采".into() }],
        vec![Edit::Splice { text: "notes".into(), at: 2, delete: 2, insert: "将要".into() }],
    ] {
        pushed.push(phone.edit(actor(2), &stamp(2, 2_000), &edits).unwrap().change);
    }
    let (doc, admitted) = admit(&base, &author(2), &pushed, &AdmitLimits::default()).unwrap();
    assert_eq!(doc.heads(), phone.heads());
    assert_eq!((admitted.actor, admitted.last_seq), (Some(actor(2)), 6));
    assert!(admitted.changes.iter().map(|raw| &raw.bytes).eq(&pushed));
    assert_eq!(admitted.stamps[0], stamp(2, 2_000));
    assert_eq!(Doc::load(DocKind::Lead, &doc.save()).unwrap().heads(), phone.heads());
    assert_eq!(claimed_stamp(&pushed[0]), Some((actor(2), stamp(2, 2_000))));

    let (_, again) = admit(&doc, &author(2), &pushed, &AdmitLimits::default()).unwrap();
    assert!(again.changes.is_empty(), "what is held already is skipped");
}

#[test]
fn pushes_of_several_phones_are_judged_each_on_its_own() {
    let base = lead();
    let good = [change_of_2(&base, &[visit(7)])];
    let other = [base.clone().edit(actor(3), &stamp(3, 9), &[set("need", "维保")]).unwrap().change];
    let bad = [b"rubbish".to_vec()];
    let push = |n, changes| Pushed { author: author(n), changes };
    let pushes = [push(2, &good[..]), push(4, &bad[..]), push(3, &other[..]), push(2, &good[..])];
    let AdmittedAll { doc, verdicts, saved } = admit_together(&base, &pushes, &AdmitLimits::default(), false);
    assert_eq!(saved, None, "nobody asked");
    let news: Vec<_> =
        verdicts.iter().map(|v| v.as_ref().map(|a| a.changes.len()).map_err(Refusal::code)).collect();
    assert_eq!(news, [Ok(1), Err("malformed"), Ok(1), Ok(0)]);
    assert_eq!(doc.change_count(), base.change_count() + 2);

    // The document may grow by one change only in size.
    let grown = judge(&base, &good[0]).unwrap().0.plain_bytes();
    let room = AdmitLimits { max_doc_bytes: grown, ..AdmitLimits::default() };
    let AdmittedAll { doc, verdicts, saved } = admit_together(&base, &pushes[..3], &room, true);
    let saved = Doc::load(DocKind::Lead, &saved.unwrap()).unwrap();
    assert_eq!(saved.heads(), doc.heads());
    let news: Vec<_> =
        verdicts.iter().map(|v| v.as_ref().map(|a| a.changes.len()).map_err(Refusal::code)).collect();
    assert_eq!(news, [Ok(1), Err("malformed"), Err("too_large")]);
    assert_eq!(doc.change_count(), base.change_count() + 1);
}

/// What the rules find nothing wrong with and the document does not give back is thrown away with the document that it was applied to.
#[test]
fn a_push_that_spoils_the_document_takes_no_other_with_it() {
    let base = lead();
    let honest = change_of_2(&base, &[set("need", "维保"), set("brand", "联影")]);
    let mut dice = mutants::Dice(7);
    let spoils = |bytes: &Vec<u8>| matches!(judge(&base, bytes), Err(Refusal::Unfaithful));
    let spoiling = (0..20_000)
        .map(|_| mutants::mutant_of(&honest, &mut dice))
        .find(spoils)
        .expect("one in some hundred");
    let first = [base.clone().edit(actor(3), &stamp(3, 9), &[visit(7)]).unwrap().change];
    let last = [base.clone().edit(actor(4), &stamp(4, 9), &[contact(8)]).unwrap().change];
    let spoiling = [spoiling];
    let push = |n, changes| Pushed { author: author(n), changes };
    let pushes = [push(3, &first[..]), push(2, &spoiling[..]), push(4, &last[..])];
    let all = admit_together(&base, &pushes, &AdmitLimits::default(), true);
    let passed: Vec<_> =
        all.verdicts.iter().map(|verdict| verdict.as_ref().map(|_| ()).map_err(Refusal::code)).collect();
    assert_eq!(passed, [Ok(()), Err("unfaithful"), Ok(())]);
    let mut expected = base.clone();
    expected.apply(&[&first[0], &last[0]]).unwrap();
    assert_eq!(all.doc.heads(), expected.heads());
    assert_eq!(Doc::load(DocKind::Lead, &all.saved.unwrap()).unwrap().heads(), expected.heads());
}

#[test]
fn every_kind_takes_its_own_edits() {
    let tick = Edit::SetIn { field: "ticks".into(), key: "decision_maker".into(), value: true.into() };
    let entry = Edit::AddRecord { field: "entries".into(), id: id(9), values: BTreeMap::new() };
    for (kind, edit) in [(DocKind::Advancement, tick), (DocKind::Calendar, entry)] {
        let base = Doc::genesis(kind);
        assert!(judge(&base, &change_of_2(&base, &[edit])).is_ok(), "{kind:?}");
    }
}

#[test]
fn a_deflated_change_is_inflated_and_kept_as_type_1() {
    let base = lead();
    let raw = change_of_2(&base, &[visit(7)]);
    let body = &raw[raw.len() - body_len(&raw)..];
    let (_, admitted) = judge(&base, &deflated(&raw[4..8], body)).unwrap();
    assert_eq!(admitted.changes[0].bytes, raw);
}

#[test]
fn bytes_that_are_not_one_whole_change_are_refused() {
    let base = lead();
    let good = change_of_2(&base, &[visit(7)]);
    let flip = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bad
    };
    check_refused("nothing", &base, &[], "malformed");
    check_refused("magic", &base, &flip(0), "malformed");
    check_refused("checksum", &base, &flip(5), "malformed");
    check_refused("content", &base, &flip(good.len() - 1), "malformed");
    check_refused("cut short", &base, &good[..good.len() - 1], "malformed");
    check_refused("trailing garbage", &base, &[&good[..], &[0]].concat(), "malformed");
    check_refused("two changes", &base, &[&good[..], &good[..]].concat(), "malformed");
    check_refused("a document", &base, &base.save(), "not_a_change");
    check_refused("too large", &base, &vec![0; limits::CHANGE_MAX_BYTES + 1], "too_large");
    let zeros = deflated(&[0; 4], &vec![0; limits::CHANGE_MAX_BYTES * 16]);
    check_refused("a deflated bomb", &base, &zeros, "too_large");
    check_refused(
        "a deflated stream that breaks off",
        &base,
        &deflated(&[0; 4], &[1, 2, 3])[..12],
        "malformed",
    );
    let mut too_many = vec![good; limits::PUSH_MAX_CHANGES + 1];
    assert_eq!(admit(&base, &author(2), &too_many, &AdmitLimits::default()).unwrap_err(), Refusal::TooLarge);
    too_many.truncate(1);
    assert!(admit(&base, &author(2), &too_many, &AdmitLimits::default()).is_ok());
}

#[test]
fn counts_inside_a_change_cannot_drive_a_loop() {
    let base = lead();
    let raw = change_of_2(&base, &[set("hospital", "x")]);
    let body = raw[raw.len() - body_len(&raw)..].to_vec();
    // The action column of one put is the literal run (-1, 1); a run of 2^40 puts is no longer than nine bytes.
    let column = [0x7f, 0x01];
    let at = body.windows(2).rposition(|w| w == column).unwrap();
    let mut run = vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0x01];
    let spec = body.windows(2).position(|w| w == [0x42, 0x02]).unwrap();
    let mut bomb = body.clone();
    bomb.splice(at..at + 2, run.drain(..));
    bomb[spec + 1] = 7;
    check_refused("a run of 2^40 operations", &base, &chunk::chunk(&bomb), "too_large");
}

#[test]
fn only_the_authors_own_actor_and_stamp_pass() {
    let base = lead();
    let good = change_of_2(&base, &[visit(7)]);
    let as_other = |other: u8| admit(&base, &author(other), &[&good], &AdmitLimits::default()).unwrap_err();
    assert_eq!(as_other(1), Refusal::Stamp);
    let mut stolen = author(2);
    stolen.device = DeviceId([1; 8]);
    assert_eq!(admit(&base, &stolen, &[&good], &AdmitLimits::default()).unwrap_err(), Refusal::Actor);

    let spoil = |spoil: fn(&mut ExpandedChange)| spoilt(&base, &[visit(7)], spoil);
    check_refused("no stamp", &base, &spoil(|c| c.message = None), "stamp");
    check_refused("another's stamp", &base, &spoil(|c| c.message = Some(stamp(1, 5).to_message())), "stamp");
    check_refused("automerge's time", &base, &spoil(|c| c.time = 1), "stamp");
    check_refused(
        "an actor of 16 bytes",
        &base,
        &spoil(|c| c.actor_id = ActorId::from([7; 16])),
        "malformed",
    );
    check_refused("extra bytes", &base, &spoil(|c| c.extra_bytes = vec![1]), "malformed");
    let next = spoil(|c| {
        c.actor_id = actor(1).to_automerge();
        c.seq = 2;
    });
    check_refused("another's next change", &base, &next, "actor");
    let read_only = Author { may: WriteScope::Nothing, ..author(2) };
    assert_eq!(admit(&base, &read_only, &[&good], &AdmitLimits::default()).unwrap_err(), Refusal::NotAllowed);
    let notes = Author { may: WriteScope::Fields(["notes".to_owned()].into()), ..author(2) };
    assert_eq!(admit(&base, &notes, &[&good], &AdmitLimits::default()).unwrap_err(), Refusal::NotAllowed);
}

#[test]
fn forks_gaps_and_unknown_dependencies_are_told_apart() {
    let base = lead();
    let first = change_of_2(&base, &[visit(7)]);
    let rival = change_of_2(&base, &[visit(8)]);
    let held = judge(&base, &first).unwrap().0;
    assert_eq!(judge(&held, &rival).unwrap_err(), Refusal::Fork { last_seq: 1 });
    let both = admit(&base, &author(2), &[&first, &rival], &AdmitLimits::default());
    assert_eq!(both.unwrap_err(), Refusal::Fork { last_seq: 1 });

    let later = spoilt(&base, &[visit(7)], |c| c.seq = 3);
    assert_eq!(judge(&base, &later).unwrap_err(), Refusal::Gap { last_seq: 0, seq: 3 });
    let missing = held.clone().edit(actor(3), &stamp(3, 9), &[visit(9)]).unwrap().change;
    let verdict = admit(&base, &author(3), &[missing], &AdmitLimits::default());
    assert!(matches!(verdict.unwrap_err(), Refusal::MissingDeps(_)));
    let lost = spoilt(&base, &[visit(7)], |c| c.deps.push(automerge::ChangeHash([3; 32])));
    assert_eq!(judge(&base, &lost).unwrap_err(), Refusal::MissingDeps(Hash32([3; 32])));

    let far = spoilt(&base, &[visit(7)], |c| c.start_op = std::num::NonZeroU64::new(4_000_000_000).unwrap());
    check_refused("a counter far ahead", &base, &far, "operation");
    let behind = spoilt(&held, &[visit(9)], |c| c.deps = base.am().get_heads());
    check_refused("not after the actor's own last change", &held, &behind, "operation");
}

#[test]
fn operations_outside_the_table_are_refused() {
    let base = lead();
    let object = |name: &str| object_of(&base, name);
    let put = |obj: ObjectId, key: &str, value: ScalarValue| op(obj, key, OpType::Put(value));
    let held_log =
        base.am().get(genesis::object(DocKind::Lead, "events").unwrap(), id(1).to_string()).unwrap();
    let held_log = op_id(&held_log.unwrap().1);
    let record = ObjectId::Id(op_id(&base.maps_of("contacts", id(1))[0]));
    let entry = id(1).to_string();
    let other = id(8).to_string();
    let json = || ScalarValue::Str("{}".into());
    let same_body = ScalarValue::Str(base.log("events", &NoClocks)[0].body.as_str().into());
    let long = "x".repeat(limits::VALUE_MAX_BYTES + 1);

    let with_pred = |mut op: Op| {
        op.pred = vec![held_log.clone()].into();
        op
    };
    let map = op_id(&base.maps_of("contacts", id(1))[0]);
    let with_preds = |mut op: Op, preds: &[&OpId]| {
        op.pred = preds.iter().map(|id| (*id).clone()).collect::<Vec<_>>().into();
        op
    };
    let in_text = |action, key, insert| Op {
        action,
        obj: object("notes"),
        key: Key::Seq(key),
        pred: vec![].into(),
        insert,
    };
    let table = [
        ("the kind", put(ObjectId::Root, "kind", "ruling".into())),
        ("a nested object replaced", put(ObjectId::Root, "notes", "x".into())),
        ("a nested object deleted", op(ObjectId::Root, "events", OpType::Delete)),
        ("a new nested object", op(ObjectId::Root, "mine", OpType::Make(ObjType::Map))),
        ("a register deleted", op(ObjectId::Root, "customer_name", OpType::Delete)),
        ("a number where text belongs", put(ObjectId::Root, "customer_name", ScalarValue::Int(1))),
        ("a float", put(ObjectId::Root, "new", ScalarValue::F64(1.0))),
        ("a counter", put(ObjectId::Root, "new", ScalarValue::counter(1))),
        ("bytes", put(ObjectId::Root, "new", ScalarValue::Bytes(vec![1]))),
        ("an increment", op(ObjectId::Root, "budget_min_fen", OpType::Increment(1))),
        ("an entry overwritten", with_pred(put(object("events"), &entry, json()))),
        ("an entry taken over", with_pred(put(object("events"), &entry, same_body))),
        ("an entry written again", put(object("events"), &entry, json())),
        ("an entry deleted", with_pred(op(object("events"), &entry, OpType::Delete))),
        ("an entry hidden from another key", with_pred(put(object("events"), &other, json()))),
        ("an entry that is a number", put(object("events"), &other, ScalarValue::Int(1))),
        ("an entry that is no JSON", put(object("events"), &other, "{".into())),
        ("an entry under no id", put(object("events"), "mine", json())),
        ("an entry under an id in capitals", put(object("events"), &"AB".repeat(16), json())),
        ("an object as an entry", op(object("events"), &other, OpType::Make(ObjType::Map))),
        ("a record made again", op(object("contacts"), &entry, OpType::Make(ObjType::Map))),
        ("a genesis object made again", op(ObjectId::Root, "contacts", OpType::Make(ObjType::Map))),
        ("a record in a set", op(object("tags"), &other, OpType::Make(ObjType::Map))),
        (
            "a record taken over",
            with_preds(op(object("contacts"), &entry, OpType::Make(ObjType::Map)), &[&map]),
        ),
        ("a removal that is text", put(record.clone(), "removed", "true".into())),
        ("a record deleted", op(object("contacts"), &entry, OpType::Delete)),
        ("a record that is a list", op(object("contacts"), &other, OpType::Make(ObjType::List))),
        ("a record that is a value", put(object("contacts"), &other, json())),
        ("an object inside a record", op(record.clone(), "name", OpType::Make(ObjType::Map))),
        ("a wrong type inside a record", put(record.clone(), "removed", "yes".into())),
        ("an object inside a set", op(object("tags"), "x", OpType::Make(ObjType::Map))),
        ("a key of the wrong sort", op(object("notes"), "x", OpType::Delete)),
        ("an object inside text", in_text(OpType::Make(ObjType::Map), ElementId::Head, true)),
        ("a number inside text", in_text(OpType::Put(ScalarValue::Int(1)), ElementId::Head, true)),
        ("a long string as one character", in_text(OpType::Put(long.as_str().into()), ElementId::Head, true)),
        ("a character that does not exist", in_text(OpType::Delete, ElementId::Head, false)),
        ("an unknown object", put(ObjectId::Id(OpId(2, actor(1).to_automerge())), "x", json())),
    ];
    for (what, bad) in table {
        let bytes = spoilt(&base, &[set("hospital", "x")], |change| change.operations = vec![bad]);
        check_refused(what, &base, &bytes, "operation");
    }
    let key = "k".repeat(limits::ELEMENT_KEY_MAX_BYTES + 1);
    for (what, bad) in [
        ("long", put(ObjectId::Root, "hospital", long.as_str().into())),
        ("key", put(ObjectId::Root, &key, json())),
    ] {
        let bytes = spoilt(&base, &[set("hospital", "x")], |change| change.operations = vec![bad]);
        check_refused(what, &base, &bytes, "too_large");
    }
    let mark = automerge::legacy::MarkData { name: "bold".into(), value: true.into(), expand: false };
    let bytes = spoilt(&base, &[set("hospital", "x")], |change| {
        change.operations = vec![in_text(OpType::MarkBegin(mark), ElementId::Head, true)];
    });
    check_refused("a mark", &base, &bytes, "malformed");
}

#[test]
fn a_field_out_of_scope_cannot_be_hidden_from_another_key() {
    let base = lead();
    let (_, name) = base.survivors(&automerge::ROOT, "customer_name").remove(0);
    let mut hiding = op(ObjectId::Root, "hospital", OpType::Put("x".into()));
    hiding.pred = vec![op_id(&name)].into();
    let bytes = spoilt(&base, &[set("hospital", "x")], |change| change.operations = vec![hiding]);
    let scope = WriteScope::Fields(["hospital".to_owned()].into());
    let some = Author { may: scope, ..author(2) };
    assert_eq!(admit(&base, &some, &[bytes], &AdmitLimits::default()).unwrap_err().code(), "operation");
    let fair = [change_of_2(&base, &[set("hospital", "x")])];
    assert!(admit(&base, &some, &fair, &AdmitLimits::default()).is_ok());
}

#[test]
fn a_push_that_hides_an_entry_takes_no_other_with_it() {
    let base = lead();
    let events = object_of(&base, "events");
    let (_, entry) =
        base.survivors(&genesis::object(DocKind::Lead, "events").unwrap(), &id(1).to_string()).remove(0);
    let mut hiding = op(events, &id(9).to_string(), OpType::Put("{}".into()));
    hiding.pred = vec![op_id(&entry)].into();
    let mut hiding_from_the_root = op(ObjectId::Root, "hospital", OpType::Put("x".into()));
    hiding_from_the_root.pred = vec![op_id(&entry)].into();
    let honest = [base.clone().edit(actor(3), &stamp(3, 9), &[visit(7), contact(8)]).unwrap().change];
    for bad in [hiding, hiding_from_the_root] {
        let bad = [spoilt(&base, &[set("hospital", "x")], |change| change.operations = vec![bad])];
        let push = |n, changes| Pushed { author: author(n), changes };
        let pushes = [push(2, &bad[..]), push(3, &honest[..])];
        for pushes in [&pushes[..], &[push(3, &honest[..]), push(2, &bad[..])]] {
            let all = admit_together(&base, pushes, &AdmitLimits::default(), false);
            for (push, verdict) in pushes.iter().zip(&all.verdicts) {
                assert_eq!(verdict.is_ok(), push.author.user == UserId([3; 8]), "{verdict:?}");
            }
            assert!(all.doc.log("events", &NoClocks).iter().any(|kept| kept.id == id(1)));
        }
    }
}

/// Two devices made one record: neither map may vanish from under the other, and a third is made by nobody who knows.
#[test]
fn of_two_maps_of_one_record_none_goes_and_none_comes() {
    let genesis = Doc::genesis(DocKind::Lead);
    let made = |n: u8| genesis.clone().edit(actor(n), &stamp(n, 5), &[contact(1)]).unwrap().change;
    let mut base = genesis.clone();
    base.apply(&[made(1), made(3)]).unwrap();
    let entry = id(1).to_string();
    let contacts = object_of(&base, "contacts");
    let maps: Vec<_> = base.maps_of("contacts", id(1)).iter().map(op_id).collect();
    assert_eq!(maps.len(), 2);
    let mut table = vec![("a third", op(contacts.clone(), &entry, OpType::Make(ObjType::Map)))];
    for map in maps {
        let mut hiding = op(contacts.clone(), &id(8).to_string(), OpType::Make(ObjType::Map));
        hiding.pred = vec![map.clone()].into();
        table.push(("one hidden by a predecessor", hiding));
        let mut other = op(ObjectId::Root, "hospital", OpType::Put("x".into()));
        other.pred = vec![map].into();
        table.push(("one hidden from the root", other));
    }
    for (what, bad) in table {
        let bytes = spoilt(&base, &[set("hospital", "x")], |change| change.operations = vec![bad]);
        check_refused(what, &base, &bytes, "operation");
    }
    // One who knows a single one of them knows that the id is taken.
    let half = spoilt(&base, &[set("hospital", "x")], |change| {
        change.operations = vec![op(contacts, &entry, OpType::Make(ObjType::Map))];
        change.deps.truncate(1);
    });
    check_refused("made by one who knew one", &base, &half, "operation");
}

/// Whatever an operation names stands in the place that the operation is about.
#[test]
fn an_operation_refers_to_its_own_place() {
    let mut base = lead();
    base.edit(actor(1), &stamp(1, 1_500), &[set("customer_name", "协和")]).unwrap();
    let [root, events, tags, notes] =
        [ObjectId::Root, object_of(&base, "events"), object_of(&base, "tags"), object_of(&base, "notes")];
    let ops = mutants::every_op(&base);
    let op_of = |obj: &ObjectId, key: &str| {
        let at =
            ops.iter().filter(|(_, op)| op.obj == *obj && matches!(&op.key, Key::Map(held) if held == key));
        at.map(|(id, _)| id.clone()).collect::<Vec<_>>()
    };
    let names = op_of(&root, "customer_name");
    let [old_name, name] = &names[..] else { panic!("{names:?}") };
    let entry = op_of(&events, &id(1).to_string()).remove(0);
    let tag = op_of(&tags, "集采").remove(0);
    let characters: Vec<_> = ops.iter().filter(|(_, op)| op.insert).map(|(id, _)| id.clone()).collect();
    let put = |obj: &ObjectId, key: &str, preds: &[&OpId]| Op {
        pred: preds.iter().map(|pred| (*pred).clone()).collect::<Vec<_>>().into(),
        ..op(obj.clone(), key, OpType::Put("{}".into()))
    };
    let delete =
        |obj: &ObjectId, key: &str, preds: &[&OpId]| Op { action: OpType::Delete, ..put(obj, key, preds) };
    let text = |action, element: &OpId, insert, preds: &[&OpId]| Op {
        key: Key::Seq(ElementId::Id(element.clone())),
        action,
        insert,
        ..put(&notes, "", preds)
    };
    let letter = || OpType::Put("x".into());
    let unknown = OpId(3, actor(9).to_automerge());
    let [first, second] = [&characters[0], &characters[1]];
    let nobody = OpId(999, actor(1).to_automerge());
    for (what, bad) in [
        ("a value of another key", put(&root, "hospital", &[name])),
        ("a value of another object", put(&root, "customer_name", &[&entry])),
        ("a value that was replaced", put(&root, "customer_name", &[old_name])),
        ("a value and one that was replaced", put(&root, "customer_name", &[old_name, name])),
        ("a value named twice", put(&root, "customer_name", &[name, name])),
        ("an operation that nobody made", put(&root, "customer_name", &[&nobody])),
        ("an element of another set", put(&tags, "y", &[&tag])),
        ("nothing deleted", delete(&tags, "集采", &[])),
        ("another thing deleted", delete(&tags, "集采", &[name])),
        ("a character behind no character", text(letter(), &entry, true, &[])),
        ("a character behind nobody's", text(letter(), &nobody, true, &[])),
        ("a character deleted that is none", text(OpType::Delete, name, false, &[name])),
        ("a character deleted under another's name", text(OpType::Delete, first, false, &[second])),
        ("two characters deleted as one", text(OpType::Delete, first, false, &[first, second])),
        ("a character deleted without saying so", text(OpType::Delete, first, false, &[])),
    ] {
        let bytes = spoilt(&base, &[set("hospital", "x")], |change| change.operations = vec![bad]);
        check_refused(what, &base, &bytes, "operation");
    }
    let stranger = spoilt(&base, &[set("hospital", "x")], |change| {
        change.operations = vec![put(&root, "customer_name", &[&unknown])];
    });
    check_refused("an operation of an unknown device", &base, &stranger, "actor");
    for (what, good) in [
        ("a value", put(&root, "customer_name", &[name])),
        ("beside a value", put(&root, "customer_name", &[])),
        ("an element", delete(&tags, "集采", &[&tag])),
        ("a character behind another", text(letter(), second, true, &[])),
        ("a character deleted", text(OpType::Delete, first, false, &[first])),
    ] {
        let bytes = spoilt(&base, &[set("hospital", "x")], |change| change.operations = vec![good]);
        assert!(judge(&base, &bytes).is_ok(), "{what}");
    }

    // The same of what the change itself wrote before.
    let bytes = |make: &dyn Fn(OpId) -> Op| {
        spoilt(&base, &[set("hospital", "x")], |change| {
            let own = OpId(change.start_op.get(), change.actor_id.clone());
            change.operations = vec![put(&root, "hospital", &[]), make(own)];
        })
    };
    let elsewhere = bytes(&|own| put(&root, "customer_name", &[&own]));
    check_refused("its own value under another key", &base, &elsewhere, "operation");
    let behind = bytes(&|own| text(letter(), &own, true, &[]));
    check_refused("a character behind its own value", &base, &behind, "operation");
    let later = bytes(&|own| put(&root, "hospital", &[&OpId(own.0 + 1, own.1)]));
    check_refused("itself", &base, &later, "operation");
    assert!(judge(&base, &bytes(&|own| put(&root, "hospital", &[&own]))).is_ok());
}

/// Automerge finds no place for an element that was deleted at the end of a text.
#[test]
fn characters_may_follow_one_that_is_gone() {
    let mut base = lead();
    let length = base.text("notes").chars().count();
    let splice =
        |at, delete, insert: &str| Edit::Splice { text: "notes".into(), at, delete, insert: insert.into() };
    let away = [change_of_2(&base, &[splice(length, 0, "。")]), change_of_2(&base, &[splice(0, length, "")])];
    base.edit(actor(1), &stamp(1, 1_500), &[splice(0, length, "")]).unwrap();
    for late in away {
        assert!(judge(&base, &late).is_ok());
    }
    assert!(judge(&base, &change_of_2(&base, &[splice(0, 0, "新")])).is_ok());
}

/// Whatever an operation names was known to its author: not merely to the server by now.
#[test]
fn an_operation_refers_to_what_its_author_knew() {
    let before = lead();
    let theirs = [
        set("need", "维保"),
        contact(6),
        Edit::Splice { text: "notes".into(), at: 0, delete: 0, insert: "甲".into() },
    ];
    let mut base = before.clone();
    base.edit(actor(3), &stamp(3, 3_000), &theirs).unwrap();
    let ops = mutants::every_op(&base);
    let of_3 = |wanted: &dyn Fn(&Op) -> bool| {
        let mut found = ops.iter().filter(|(id, op)| *id.actor() == actor(3).to_automerge() && wanted(op));
        found.next().unwrap().0.clone()
    };
    let need = of_3(&|op| op.key == Key::Map("need".into()));
    let map = of_3(&|op| op.action == OpType::Make(ObjType::Map));
    let character = of_3(&|op| op.insert);
    let in_text = |action, insert, pred: Vec<OpId>| Op {
        action,
        obj: object_of(&base, "notes"),
        key: Key::Seq(ElementId::Id(character.clone())),
        pred: pred.into(),
        insert,
    };
    let replaced = Op { pred: vec![need].into(), ..op(ObjectId::Root, "need", OpType::Put("x".into())) };
    for (what, one) in [
        ("a value", replaced),
        ("a record", op(ObjectId::Id(map), "title", OpType::Put("x".into()))),
        ("a character to follow", in_text(OpType::Put("x".into()), true, vec![])),
        ("a character to delete", in_text(OpType::Delete, false, vec![character.clone()])),
    ] {
        let made_on = |known: &Doc| {
            spoilt(known, &[set("hospital", "x")], |change| change.operations = vec![one.clone()])
        };
        check_refused(what, &base, &made_on(&before), "operation");
        assert!(judge(&base, &made_on(&base)).is_ok(), "{what}");
        // A second change of the push knows what the first one knew.
        let mut phone = base.clone();
        let first = phone.edit(actor(2), &stamp(2, 2_000), &[set("brand", "x")]).unwrap().change;
        let second = spoilt(&phone, &[set("hospital", "x")], |change| change.operations = vec![one.clone()]);
        assert!(admit(&base, &author(2), &[first, second], &AdmitLimits::default()).is_ok(), "{what}");
    }
}

/// A few hundred bytes can name one register thousands of times, each time with the same predecessor; looking it up anew each time would
/// walk through thousands of values each time.
/// Deletions count as well: they leave no row behind, but a mark that whoever loads the document has to read.
#[test]
fn a_document_holds_so_many_operations_and_no_more() {
    let base = lead();
    let tags = object_of(&base, "tags");
    let (_, tag) = base.survivors(&genesis::object(DocKind::Lead, "tags").unwrap(), "集采").remove(0);
    let mut deletion = op(tags, "集采", OpType::Delete);
    deletion.pred = vec![op_id(&tag)].into();
    let ten = spoilt(&base, &[set("hospital", "x")], |change| change.operations = vec![deletion; 10]);
    let held: u64 = base
        .changes_after(&[])
        .into_iter()
        .map(|raw| Change::from_bytes(raw.bytes).unwrap().len() as u64)
        .sum();
    let room = |ops| AdmitLimits { max_doc_ops: held + ops, ..AdmitLimits::default() };
    let doc = admit(&base, &author(2), &[&ten], &room(10)).unwrap().0;
    assert_eq!(admit(&base, &author(2), &[&ten], &room(9)).unwrap_err(), Refusal::TooLarge);
    // As it grew, and as it is read.
    let next = doc.clone().edit(actor(3), &stamp(3, 9), &[set("need", "x")]).unwrap().change;
    let ops = Change::from_bytes(next.clone()).unwrap().len() as u64;
    for doc in [&doc, &Doc::load(DocKind::Lead, &doc.save()).unwrap()] {
        assert!(admit(doc, &author(3), &[&next], &room(10 + ops)).is_ok());
        assert_eq!(admit(doc, &author(3), &[&next], &room(9 + ops)).unwrap_err(), Refusal::TooLarge);
    }
}

#[test]
fn naming_one_thing_thousands_of_times_costs_no_more_than_it_is() {
    let base = lead();
    let many = |known: &Doc, pred: Option<OpId>| {
        spoilt(known, &[set("hospital", "x")], |change| {
            let put = op(ObjectId::Root, "need", OpType::Put(ScalarValue::Null));
            let pred: Vec<_> = pred.into_iter().collect();
            change.operations = vec![Op { pred: pred.into(), ..put }; limits::CHANGE_MAX_OPS];
        })
    };
    let first = Change::from_bytes(many(&base, None)).unwrap();
    let held = judge(&base, first.raw_bytes()).unwrap().0;
    let one = OpId(first.start_op().get(), first.actor_id().clone());
    let took = |bytes: &[u8]| {
        let began = std::time::Instant::now();
        judge(&held, bytes).unwrap();
        began.elapsed()
    };
    let (with, without) = (many(&held, Some(one)), many(&held, None));
    // The quickest of several: whatever else the machine does only adds.
    let (with, without) = (0..7).fold((Duration::MAX, Duration::MAX), |(one, other), _| {
        (one.min(took(&with)), other.min(took(&without)))
    });
    assert!(with < 5 * without, "{with:?} with a predecessor each, {without:?} without");
}

#[test]
fn dependencies_are_named_as_automerge_names_them() {
    let mut base = lead();
    let side = lead().edit(actor(3), &stamp(3, 9), &[set("need", "x")]).unwrap().change;
    base.edit(actor(1), &stamp(1, 1_500), &[set("need", "y")]).unwrap();
    base.apply(&[side]).unwrap();
    let good = change_of_2(&base, &[visit(7)]);
    let mut body = good[good.len() - body_len(&good)..].to_vec();
    assert_eq!(body[0], 2, "two dependencies of 32 bytes each");
    assert!(judge(&base, &chunk::chunk(&body)).is_ok());
    body[1..65].rotate_left(32);
    check_refused("in another order", &base, &chunk::chunk(&body), "operation");
    let none = spoilt(&base, &[visit(7)], |change| {
        change.deps.clear();
        change.start_op = std::num::NonZeroU64::new(1).unwrap();
    });
    check_refused("none", &base, &none, "operation");
}

/// The bound on a document's size may rest on an estimate, as long as that is never below the truth.
#[test]
fn a_document_never_weighs_more_than_it_is_thought_to() {
    let mut dice = mutants::Dice(0x51_7c_c1_b7_27_22_0a_95);
    let mut doc = lead();
    let mut seen = vec![doc.clone(); 4];
    for round in 0..400 {
        let by = 2 + dice.below(4) as u8;
        // Now and then somebody hears of the others; until then they write beside each other.
        if dice.below(4) == 0 {
            seen[usize::from(by) - 2] = doc.clone();
        }
        let known = &mut seen[usize::from(by) - 2];
        let length = known.text("notes").chars().count();
        let edit = match dice.below(7) {
            0 => set(["need", "brand", "hospital"][dice.below(3)], "维".repeat(1 + dice.below(60))),
            1 => contact(round as u8),
            2 => Edit::SetRecord {
                field: "contacts".into(),
                id: id(1),
                name: "title".into(),
                value: "主任".into(),
            },
            3 => {
                Edit::PutElement { set: "tags".into(), key: format!("t{}", dice.below(9)), body: "{}".into() }
            }
            4 => visit(round as u8),
            _ => Edit::Splice {
                text: "notes".into(),
                at: dice.below(length),
                delete: dice.below(2),
                insert: "字".into(),
            },
        };
        let Ok(edited) = known.edit(actor(by), &stamp(by, 2_000 + round), &[edit]) else { continue };
        if edited.change.is_empty() {
            continue;
        }
        let author = author(by);
        // Each growth stands for itself: what one was thought to be too much does not hide what the next was thought too little.
        doc.weigh(doc.plain_bytes());
        doc = admit(&doc, &author, &[edited.change], &AdmitLimits::default()).unwrap().0;
        assert!(
            doc.plain_bytes() <= doc.plain_at_most(),
            "{} > {} in round {round}",
            doc.plain_bytes(),
            doc.plain_at_most()
        );
    }
    assert!(doc.change_count() > 200);
    // Everything was applied in place, one upon the other.
    mutants::check_survives_storage(&doc);
}

#[test]
fn what_a_newer_phone_writes_is_kept() {
    let base = lead();
    let newer = op(ObjectId::Root, "telescope", OpType::Put("x".into()));
    let bytes = spoilt(&base, &[set("hospital", "x")], |change| change.operations = vec![newer]);
    let doc = judge(&base, &bytes).unwrap().0;
    assert_eq!(doc.am().stats().num_ops, base.am().stats().num_ops + 1);
}

#[test]
fn one_entry_derived_on_two_phones_is_one_entry() {
    let base = lead();
    let held = judge(&base, &change_of_2(&base, &[retraction("events", id(1))])).unwrap().0;
    let third = base.clone().edit(actor(3), &stamp(3, 9), &[retraction("events", id(1))]).unwrap().change;
    let doc = admit(&held, &author(3), &[third], &AdmitLimits::default()).unwrap().0;
    assert_eq!(doc.log("events", &NoClocks).len(), 2);
}

fn object_of(doc: &Doc, field: &str) -> ObjectId {
    ObjectId::Id(op_id(&genesis::object(doc.kind(), field).unwrap()))
}

fn op_id(object: &automerge::ObjId) -> OpId {
    let automerge::ObjId::Id(counter, actor, _) = object else { panic!("the root has no operation") };
    OpId(*counter, actor.clone())
}

fn op(obj: ObjectId, key: &str, action: OpType) -> Op {
    Op { action, obj, key: Key::Map(key.into()), pred: vec![].into(), insert: false }
}

pub(super) fn body_len(raw: &[u8]) -> usize {
    // Magic, checksum and type are nine bytes; a length below 128 takes one more, one below 16,384 two.
    if raw[9] < 128 { raw.len() - 10 } else { raw.len() - 11 }
}

fn deflated(checksum: &[u8], body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    let data = encoder.finish().unwrap();
    let mut bytes = chunk::MAGIC.to_vec();
    bytes.extend(checksum);
    bytes.push(chunk::DEFLATED_CHANGE);
    chunk::write_uleb(&mut bytes, data.len());
    bytes.extend(data);
    bytes
}
