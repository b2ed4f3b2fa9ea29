//! Records that two devices made, wrote in and removed at once.

use super::gate::{author, contact, id};
use super::merge::{merged, with};
use super::*;

fn write(name: &str, value: impl Into<Value>) -> Edit {
    Edit::SetRecord { field: "contacts".into(), id: id(1), name: name.into(), value: value.into() }
}

fn read(doc: &Doc) -> Option<Record> {
    doc.records("contacts", &NoClocks).remove(&id(1))
}

fn made(name: &str) -> Edit {
    let values = BTreeMap::from([("name".to_owned(), Value::from(name))]);
    Edit::AddRecord { field: "contacts".into(), id: id(1), values }
}

#[test]
fn one_record_made_on_two_devices_is_one_record_and_no_writing_in_it_is_lost() {
    let base = Doc::genesis(DocKind::Lead);
    let a = with(&with(&base, 1, 10, &[made("王")]), 1, 30, &[write("phone", "1")]);
    let b = with(&with(&base, 2, 20, &[made("王")]), 2, 25, &[write("title", "院长")]);
    for doc in [merged(&a, &b), merged(&b, &a)] {
        let record = read(&doc).unwrap();
        let told: Vec<_> = record.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(told, ["name=王", "phone=1", "title=院长"]);
        assert!(doc.conflicts(&NoClocks).is_empty(), "equal values are no conflict");
        // Whoever has seen both replaces what stands in both, by a clock that is behind too.
        let doc = with(&doc, 3, 1, &[write("name", "李")]);
        assert_eq!(read(&doc).unwrap()["name"], "李".into());
        let doc = with(&doc, 3, 2, &[write("removed", true)]);
        assert_eq!(read(&doc), None);
        assert_eq!(read(&with(&doc, 1, 3, &[write("removed", false)])).unwrap()["name"], "李".into());
    }
    // Different values are kept side by side, and a choice settles them in both maps.
    let c = with(&base, 3, 15, &[made("赵")]);
    for doc in [merged(&a, &c), merged(&c, &a)] {
        let conflicts = doc.conflicts(&NoClocks);
        let names: Vec<_> = conflicts[0].values.iter().map(|known| known.value.to_string()).collect();
        assert_eq!((conflicts.len(), names), (1, vec!["赵".to_owned(), "王".to_owned()]));
        for (choice, name) in [(0, "赵"), (1, "王")] {
            let chosen = with(&doc, 2, 16, &[resolution(&conflicts[0], choice).unwrap()]);
            assert_eq!(read(&chosen).unwrap()["name"], name.into());
            assert!(chosen.conflicts(&NoClocks).is_empty());
        }
    }
}

#[test]
fn the_gate_takes_a_record_made_at_once_and_what_was_written_in_it() {
    let base = Doc::genesis(DocKind::Lead);
    let held = with(&base, 1, 10, &[made("王")]);
    let mut phone = base.clone();
    let bytes: Vec<_> = [made("赵"), write("phone", "2"), write("removed", true), write("removed", false)]
        .map(|edit| phone.edit(actor(2), &stamp(2, 20), &[edit]).unwrap().change)
        .into();
    let mut server = admit(&held, &author(2), &bytes[..2], &AdmitLimits::default()).unwrap().0;
    server = admit(&server, &author(2), &bytes[2..], &AdmitLimits::default()).unwrap().0;
    assert_eq!(server.heads(), merged(&phone, &held).heads());
    assert_eq!(read(&server).unwrap()["phone"], "2".into());
    // A third device that knows both writes in both.
    let third = server.clone().edit(actor(3), &stamp(3, 30), &[write("name", "李"), contact(9)]).unwrap();
    let server = admit(&server, &author(3), &[third.change], &AdmitLimits::default()).unwrap().0;
    assert_eq!(read(&server).unwrap()["name"], "李".into());
}

#[test]
fn an_edit_made_while_another_removes_the_record_keeps_it_until_a_person_chooses() {
    let base = with(&Doc::genesis(DocKind::Lead), 3, 1, &[made("王")]);
    // The removal is the later act by the clock; that does not count against what it did not know.
    let removed = with(&base, 1, 50, &[write("removed", true)]);
    assert_eq!(read(&removed), None, "a removal that knew everything counts");
    assert!(removed.conflicts(&NoClocks).is_empty());
    let edited = with(&base, 2, 40, &[write("attitude", "反对")]);
    for doc in [merged(&removed, &edited), merged(&edited, &removed)] {
        assert_eq!(read(&doc).unwrap()["attitude"], "反对".into());
        let conflicts = doc.conflicts(&NoClocks);
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0].path.name.as_deref(), Some("removed"));
        let told: Vec<_> =
            conflicts[0].values.iter().map(|v| (v.value.clone(), v.user, v.at.at_ms)).collect();
        assert_eq!(told, [(false.into(), UserId([2; 8]), 40), (true.into(), UserId([1; 8]), 50)]);
        for (choice, stays) in [(0, true), (1, false)] {
            let mut phone = doc.clone();
            let chosen = phone.edit(actor(3), &stamp(3, 2), &[resolution(&conflicts[0], choice).unwrap()]);
            let chosen =
                admit(&doc, &author(3), &[chosen.unwrap().change], &AdmitLimits::default()).unwrap().0;
            assert_eq!(read(&chosen).is_some(), stays, "a choice knows both");
            assert!(chosen.conflicts(&NoClocks).is_empty());
        }
    }
    let late = with(&removed, 2, 60, &[write("phone", "3")]);
    assert_eq!(
        (read(&late), late.conflicts(&NoClocks).len()),
        (None, 0),
        "written by one who knew that it is gone"
    );
    // Somebody brought it back while somebody else removed it once more: the removal alone is in conflict.
    let back = with(&removed, 2, 60, &[write("removed", false)]);
    let again = with(&with(&removed, 1, 61, &[write("removed", false)]), 1, 70, &[write("removed", true)]);
    let conflicts = merged(&back, &again).conflicts(&NoClocks);
    assert_eq!((conflicts.len(), conflicts[0].values[0].value.clone()), (1, true.into()));
}
