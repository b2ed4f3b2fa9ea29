//! Documents end to end: the pinned table and genesis, edits and their inverse, conflicts, merging in any order.

mod cost;
mod gate;
mod merge;
mod mutants;
mod records;
mod undo;
mod versions;

use std::collections::BTreeMap;

use super::*;
use crate::ids::{Actor, DeviceId, DocKind, EntryId, UserId};
use crate::time::{Moment, Stamp};

pub(super) fn actor(device: u8) -> Actor {
    Actor { device: DeviceId([device; 8]), incarnation: 0 }
}

pub(super) fn stamp(user: u8, wall_ms: i64) -> Stamp {
    let moment = Moment { wall_ms, boot: u64::from(user), mono_ms: 10 };
    Stamp { user: UserId([user; 8]), moment, offset_ms: None, last_contact_ms: 0 }
}

pub(super) fn set(field: &str, value: impl Into<Value>) -> Edit {
    Edit::Set { field: field.into(), value: value.into() }
}

fn name(doc: &Doc) -> Option<Value> {
    doc.value("customer_name", &NoClocks)
}

#[test]
fn an_edit_reads_back_and_its_undo_takes_it_back() {
    let mut doc = Doc::genesis(DocKind::Lead);
    let id = EntryId([5; 16]);
    let edits = vec![
        set("customer_name", "北京协和医院"),
        Edit::AddRecord {
            field: "contacts".into(),
            id,
            values: BTreeMap::from([("name".into(), "张".into())]),
        },
        Edit::SetRecord { field: "contacts".into(), id, name: "attitude".into(), value: "支持".into() },
        Edit::PutElement { set: "tags".into(), key: "集采".into(), body: "{}".into() },
        Edit::Splice { text: "notes".into(), at: 0, delete: 0, insert: "三月招标".into() },
        Edit::Append { log: "events".into(), id, body: r#"{"type":"visit"}"#.into() },
    ];
    let edited = doc.edit(actor(1), &stamp(1, 100), &edits).unwrap();
    assert_eq!(edited.seq, 1);
    assert_eq!(name(&doc), Some("北京协和医院".into()));
    assert_eq!(doc.text("notes"), "三月招标");
    assert_eq!(doc.records("contacts", &NoClocks)[&id]["attitude"], "支持".into());
    assert_eq!(doc.set("tags", &NoClocks).len(), 1);
    let log = doc.log("events", &NoClocks);
    assert_eq!((log.len(), log[0].user(), log[0].at.at_ms), (1, UserId([1; 8]), 100));

    doc.edit(actor(1), &stamp(1, 200), &edited.undo).unwrap();
    assert_eq!(name(&doc), None);
    assert_eq!(doc.text("notes"), "");
    assert!(doc.records("contacts", &NoClocks).is_empty());
    assert!(doc.set("tags", &NoClocks).is_empty());
    assert_eq!(doc.log("events", &NoClocks).len(), 2, "a log keeps the entry and its retraction");
}

#[test]
fn genesis_never_moves() {
    let hashes: Vec<String> =
        DocKind::ALL.iter().map(|kind| format!("{} {}", kind.name(), genesis::genesis(*kind).hash)).collect();
    assert_eq!(hashes.join("\n"), GENESIS, "a genesis that moved orphans every document in the field");
    for kind in DocKind::ALL {
        assert_eq!(Doc::genesis(kind).heads(), [genesis::genesis(kind).hash]);
        assert_eq!(
            Doc::load(kind, &genesis::genesis(kind).bytes).unwrap().heads(),
            Doc::genesis(kind).heads()
        );
    }
}

#[test]
fn the_page_shows_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/documents.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, table) = page.split_once("<!-- table -->\n").expect("the mark before the table");
    if std::env::var_os("FIELDBOOK_BLESS").is_some() {
        std::fs::write(path, format!("{before}<!-- table -->\n{}", schema::printout())).unwrap();
        return;
    }
    assert_eq!(
        table,
        schema::printout(),
        "docs/documents.md is the printout of schema.rs; FIELDBOOK_BLESS=1 writes it anew"
    );
}

#[test]
fn records_can_be_removed_in_every_kind() {
    for kind in DocKind::ALL {
        for field in schema::fields(kind).iter().filter(|field| field.meaning == Meaning::Records) {
            assert!(field.parts.iter().any(|part| part.name == "removed"), "{kind:?} {}", field.name);
        }
    }
}

const GENESIS: &str = "\
account 5bffd8491acf48da34fa1340dcbb4b23c2a7c5a552fa6c861921a3271ee32da9
lead 923c7cb9fe299e77de50700cf199e9bf257d700d02c80af11cdc0e0adb86871a
ruling 3c6d93f8f2d4885377a9b30532112f9eb7e1fff27f37386ff0d34845e6df33f7
advancement 721e83aa6ba2d2508f8b6b2097eaf9ec6bd893405605065d82efa4ad53c21a0f
finance 198667ae2314c6dbb323b6cd0b05b26b0b97c4bc5f9f97b0158f01c6f6194883
service 95a5f583b2de79c51c716242b7bad29429a733c0332fb4efa203e02722d9f9ae
calendar 29c5bbc5c2cf6a209a1aea6e4019910735e23e5a0e8d220a54268f5c537d1153
policy fe728dde9d2cc404a2f873f102deb9a0230ace51c1912745da317f7000cca346
directory 20f0303cb7b5b4b979480aafa2b91a72ee85791e386ce601b91e004ebf6c3de6
playbook a8d1e194eccf679108cf87df901669084bf366cc91efc88231ecd9b6c743d5b4";

#[test]
fn edits_keep_their_json() {
    let id = EntryId([1; 16]);
    let hex = id.to_string();
    let values =
        BTreeMap::from([("name".to_owned(), Value::from("张")), ("removed".to_owned(), Value::from(false))]);
    for (edit, json) in [
        (set("budget_min_fen", 5), r#"{"edit":"set","field":"budget_min_fen","value":5}"#.to_owned()),
        (set("brand", Value::Null), r#"{"edit":"set","field":"brand","value":null}"#.to_owned()),
        (
            Edit::SetIn { field: "ticks".into(), key: "k".into(), value: true.into() },
            r#"{"edit":"set_in","field":"ticks","key":"k","value":true}"#.to_owned(),
        ),
        (
            Edit::AddRecord { field: "contacts".into(), id, values },
            format!(
                r#"{{"edit":"add_record","field":"contacts","id":"{hex}","values":{{"name":"张","removed":false}}}}"#
            ),
        ),
        (
            Edit::SetRecord { field: "contacts".into(), id, name: "phone".into(), value: "1".into() },
            format!(r#"{{"edit":"set_record","field":"contacts","id":"{hex}","name":"phone","value":"1"}}"#),
        ),
        (
            Edit::Append { log: "events".into(), id, body: "{}".into() },
            format!(r#"{{"edit":"append","log":"events","id":"{hex}","body":"{{}}"}}"#),
        ),
        (
            Edit::PutElement { set: "tags".into(), key: "k".into(), body: "1".into() },
            r#"{"edit":"put_element","set":"tags","key":"k","body":"1"}"#.to_owned(),
        ),
        (
            Edit::RemoveElement { set: "tags".into(), key: "k".into() },
            r#"{"edit":"remove_element","set":"tags","key":"k"}"#.to_owned(),
        ),
        (
            Edit::Splice { text: "notes".into(), at: 1, delete: 2, insert: "字".into() },
            r#"{"edit":"splice","text":"notes","at":1,"delete":2,"insert":"字"}"#.to_owned(),
        ),
    ] {
        assert_eq!(serde_json::to_string(&edit).unwrap(), json);
        assert_eq!(serde_json::from_str::<Edit>(&json).unwrap(), edit);
    }
    let path = Path { field: "contacts".into(), key: Some(hex.clone()), name: Some("phone".into()) };
    let json = format!(r#"{{"field":"contacts","key":"{hex}","name":"phone"}}"#);
    assert_eq!(serde_json::to_string(&path).unwrap(), json);
}
