//! Documents end to end: the pinned table and genesis, edits and their inverse, conflicts, merging in any order.

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
