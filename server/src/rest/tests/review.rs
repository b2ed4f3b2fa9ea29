use fieldbook_core::document::{Doc, Edit, NoClocks, Value as Field};
use fieldbook_core::ids::{DocId, DocKind, EntryId};
use fieldbook_core::sync::message::Verdict;

use super::phone::{begun, edited_all, edited_on, push, write};
use super::*;

#[tokio::test]
async fn a_conflict_shows_both_values_and_ends_with_one_choice() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let code = office.post(&format!("/api/users/{}/codes", li.user), &office.admin, Value::Null).await.json();
    let tablet = office.enrol(code["code"].as_str().unwrap(), "平板").await;
    let han = office.person("韩梅梅", "rep", None).await;
    let lead = office.lead("医院", &li).await;
    let id: DocId = lead.parse().unwrap();
    let one = write(&office, &li, id, "brand", "联影", 1);
    let two = write(&office, &tablet, id, "brand", "西门子", 2);
    for (who, written) in [(&li, one), (&tablet, two)] {
        assert!(matches!(push(&office, who, written), Verdict::Durable { .. }));
    }
    let listed = office.get("/api/conflicts", &li).await.json();
    let conflict = &listed["conflicts"][0];
    assert_eq!(
        (conflict["document"].as_str(), &conflict["path"]),
        (Some(lead.as_str()), &json!({"field": "brand"}))
    );
    let values: Vec<&str> =
        conflict["values"].as_array().unwrap().iter().map(|v| v["value"].as_str().unwrap()).collect();
    assert_eq!(values, ["西门子", "联影"], "the later one first");
    assert_eq!(conflict["values"][1]["device"], li.device.to_string());
    assert_eq!(office.get("/api/conflicts", &han).await.json()["conflicts"], json!([]));

    let path = format!("/api/documents/{lead}/conflicts/resolve");
    let resolve =
        |value: &str| json!({"path": {"field": "brand"}, "value": value, "seen": ["联影", "西门子"]});
    assert_eq!(office.post(&path, &han, resolve("联影")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        office.post(&path, &li, resolve("东软")).await.problem(),
        "refused",
        "only a value that is there"
    );
    assert_eq!(office.post(&path, &li, resolve("联影")).await.json(), json!([]));
    let read = office.get(&format!("/api/leads/{lead}"), &li).await.json();
    assert_eq!((read["fields"]["brand"].as_str(), read["conflicts"].as_u64()), (Some("联影"), Some(0)));
    assert_eq!(office.post(&path, &li, resolve("西门子")).await.status, StatusCode::CONFLICT, "it is over");
    let doc = office.app.company.load(id).unwrap();
    let chosen = doc.register("brand", &NoClocks).unwrap();
    assert_eq!(
        (chosen.user, chosen.device),
        (li.user, office.app.company.server_device()),
        "who chose stays known"
    );
}

#[tokio::test]
async fn the_conflicts_of_an_account_stand_once_beside_those_of_its_leads() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let code = office.post(&format!("/api/users/{}/codes", li.user), &office.admin, Value::Null).await.json();
    let tablet = office.enrol(code["code"].as_str().unwrap(), "平板").await;
    let han = office.person("韩梅梅", "rep", None).await;
    let account = DocId::fresh(DocKind::Account, EntryId([9; 16]));
    let durable =
        |who: &Who, written| assert!(matches!(push(&office, who, written), Verdict::Durable { .. }));
    durable(&li, edited_on(&office, &li, Doc::genesis(DocKind::Account), account, "name", "协和", 1));
    for (push_id, lead) in [(2, office.lead("内科", &li).await), (3, office.lead("外科", &li).await)] {
        durable(&li, write(&office, &li, lead.parse().unwrap(), "account", &account.to_string(), push_id));
    }
    let one = write(&office, &li, account, "name", "北京协和", 4);
    let two = write(&office, &tablet, account, "name", "协和医院", 1);
    durable(&li, one);
    durable(&tablet, two);
    let listed = office.get("/api/conflicts", &li).await.json()["conflicts"].clone();
    let of: Vec<_> = listed.as_array().unwrap().iter().map(|row| row["document"].as_str().unwrap()).collect();
    assert_eq!(of, [account.to_string()], "{listed:#}");
    assert_eq!(listed[0]["values"].as_array().unwrap().len(), 2);
    assert_eq!(office.get("/api/conflicts", &han).await.json()["conflicts"], json!([]));
}

#[tokio::test]
async fn a_choice_among_values_that_have_changed_is_no_choice() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let code = office.post(&format!("/api/users/{}/codes", li.user), &office.admin, Value::Null).await.json();
    let tablet = office.enrol(code["code"].as_str().unwrap(), "平板").await;
    let lead = office.lead("医院", &li).await;
    let id: DocId = lead.parse().unwrap();
    let written =
        [write(&office, &li, id, "brand", "联影", 1), write(&office, &tablet, id, "brand", "西门子", 2)];
    for (who, written) in [&li, &tablet].into_iter().zip(written) {
        assert!(matches!(push(&office, who, written), Verdict::Durable { .. }));
    }
    let seen: Vec<Value> = office.get("/api/conflicts", &li).await.json()["conflicts"][0]["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["value"].clone())
        .collect();
    // Between the look and the choice the tablet says something else; it knew of one value only, so the conflict stays.
    let mut doc = fieldbook_core::document::Doc::genesis(fieldbook_core::ids::DocKind::Lead);
    let company = &office.app.company;
    let stored = company.load(id).unwrap();
    let mine = fieldbook_core::ids::Actor { device: tablet.device, incarnation: 0 };
    let kept: Vec<_> = stored
        .changes_after(&[])
        .into_iter()
        .filter(|change| change.actor.device == company.server_device() || change.actor == mine)
        .map(|change| change.bytes)
        .collect();
    doc.apply(&kept).unwrap();
    let later = edited_on(&office, &tablet, doc, id, "brand", "东软", 3);
    assert!(matches!(push(&office, &tablet, later), Verdict::Durable { .. }));

    let path = format!("/api/documents/{lead}/conflicts/resolve");
    let choice = json!({"path": {"field": "brand"}, "value": "联影", "seen": seen});
    let reply = office.post(&path, &li, choice).await;
    assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::CONFLICT, "refused"));
    let values: Vec<String> = office.get("/api/conflicts", &li).await.json()["conflicts"][0]["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["value"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(values.len(), 2, "both are still there: {values:?}");
    assert!(values.contains(&"东软".to_owned()), "{values:?}");
    let choice = json!({"path": {"field": "brand"}, "value": "联影", "seen": values});
    assert_eq!(office.post(&path, &li, choice).await.json(), json!([]));
}

#[tokio::test]
async fn held_work_can_be_read_before_somebody_decides_about_it() {
    let office = Office::open().await;
    let manager = office.person("王主管", "manager", None).await;
    let other = office.person("赵主管", "manager", None).await;
    let mine = office.team("华东", None, &[&manager]).await;
    office.team("华北", None, &[&other]).await;
    let li = office.person("李雷", "rep", Some(&mine)).await;
    let id: DocId = office.lead("医院", &li).await.parse().unwrap();
    assert!(matches!(
        push(&office, &li, write(&office, &li, id, "brand", "联影", 1)),
        Verdict::Durable { .. }
    ));
    let contact = EntryId([7; 16]);
    let visit = EntryId([8; 16]);
    let values = [("name".to_owned(), Field::from("张院长"))].into();
    let words = edited_all(
        &office,
        &li,
        id,
        &[
            Edit::Set { field: "brand".into(), value: "西门子".into() },
            Edit::Splice { text: "notes".into(), at: 0, delete: 0, insert: "机房在二楼".into() },
            Edit::Append { log: "events".into(), id: visit, body: r#"{"type":"visit"}"#.into() },
            Edit::AddRecord { field: "contacts".into(), id: contact, values },
            Edit::PutElement { set: "tags".into(), key: "VIP".into(), body: "{}".into() },
        ],
        2,
    );
    office.post(&format!("/api/devices/{}/revoke", li.device), &office.admin, Value::Null).await;
    assert!(matches!(push(&office, &li, words), Verdict::Held { .. }));
    let listed = office.get("/api/quarantine", &manager).await.json();
    let path = format!("/api/quarantine/{}", listed["items"][0]["id"].as_str().unwrap());
    let read = office.get(&path, &manager).await.json();
    assert_eq!(
        (read["document"].as_str(), read["state"].as_str()),
        (Some(id.to_string().as_str()), Some("waiting"))
    );
    assert_eq!((read["unreadable"].as_u64(), read["changes"].as_u64()), (Some(0), Some(1)));
    let change = &read["changes_in_words"][0];
    assert_eq!(
        (change["device"].as_str(), change["at_ms"].as_i64()),
        (Some(li.device.to_string().as_str()), Some(office.app.now_ms() + 2))
    );
    let writes = change["writes"].as_array().unwrap();
    let expected = [
        json!({"write": "value", "path": {"field": "brand"}, "value": "西门子", "current": "联影"}),
        json!({"write": "text", "field": "notes", "inserted": "机房在二楼", "deleted": 0, "current": ""}),
        json!({"write": "entry", "field": "events", "key": visit, "body": r#"{"type":"visit"}"#, "current": null}),
        json!({"write": "record", "field": "contacts", "id": contact, "current": null}),
        json!({"write": "value", "path": {"field": "contacts", "key": contact, "name": "name"}, "value": "张院长", "current": null}),
        json!({"write": "entry", "field": "tags", "key": "VIP", "body": "{}", "current": null}),
    ];
    assert_eq!(writes.len(), expected.len(), "{writes:#?}");
    for write in expected {
        assert!(writes.contains(&write), "{write} is missing in {writes:#?}");
    }
    assert_eq!(office.get(&path, &other).await.status, StatusCode::FORBIDDEN, "another team's manager");
    let rep = office.person("新人", "rep", Some(&mine)).await;
    assert_eq!(office.get(&path, &rep).await.status, StatusCode::FORBIDDEN);
    assert_eq!(office.get("/api/quarantine/00", &office.admin).await.status, StatusCode::NOT_FOUND);

    // Decided, it can still be read.
    assert_eq!(
        office.post(&format!("{path}/discard"), &manager, Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(office.get(&path, &office.admin).await.json()["state"], "discarded");
}

#[tokio::test]
async fn held_work_says_nothing_to_a_role_that_may_not_read_it() {
    let office = Office::open().await;
    let manager = office.person("王主管", "manager", None).await;
    let team = office.team("华东", None, &[&manager]).await;
    let li = office.person("李雷", "rep", Some(&team)).await;
    let money = office.person("钱会计", "finance", Some(&team)).await;
    let director = office.person("孙总", "director", None).await;
    let lead: DocId = office.lead("医院", &li).await.parse().unwrap();
    let margin = Edit::Set { field: "margin_bp".into(), value: Field::Int(3_300) };
    let values = [("day".to_owned(), Field::from("2026-02-17"))].into();
    let plan = Edit::AddRecord { field: "entries".into(), id: EntryId([5; 16]), values };
    let works = [
        (begun(&office, &money, DocKind::Finance, &lead.0, "", margin), &money, [&director], [&manager]),
        (begun(&office, &li, DocKind::Calendar, &li.user.0, "2026-02", plan), &li, [&manager], [&director]),
    ];
    for (work, who, readers, strangers) in works {
        let doc = work.doc;
        office.post(&format!("/api/devices/{}/revoke", who.device), &office.admin, Value::Null).await;
        assert!(matches!(push(&office, who, work), Verdict::Held { .. }));
        let listed = async |who: &Who| {
            let page = office.get("/api/quarantine", who).await.json();
            let mine = page["items"].as_array().unwrap().iter().find(|i| i["document"] == doc.to_string());
            mine.map(|item| format!("/api/quarantine/{}", item["id"].as_str().unwrap()))
        };
        let path = listed(&office.admin).await.expect("somebody has to decide");
        for who in strangers {
            assert_eq!(listed(who).await, None);
            assert_eq!(office.get(&path, who).await.status, StatusCode::NOT_FOUND);
            for decide in ["accept", "discard"] {
                let reply = office.post(&format!("{path}/{decide}"), who, Value::Null).await;
                assert_eq!(reply.status, StatusCode::NOT_FOUND, "{decide}");
            }
        }
        for who in readers {
            let read = office.get(listed(who).await.unwrap().as_str(), who).await.json();
            assert_eq!((read["withheld"].as_bool(), read["unreadable"].as_u64()), (Some(false), Some(0)));
            assert!(!read["changes_in_words"][0]["writes"].as_array().unwrap().is_empty(), "{read:#}");
        }
        let unseen = office.get(&path, &office.admin).await.json();
        assert_eq!((unseen["withheld"].as_bool(), &unseen["changes_in_words"]), (Some(true), &json!([])));
        let decided = office.post(&format!("{path}/accept"), &office.admin, Value::Null).await;
        assert_eq!(decided.status, StatusCode::NO_CONTENT, "what nobody else reads does not wait for ever");
    }
}

#[tokio::test]
async fn held_work_waits_for_a_person_who_accepts_or_discards_it() {
    let office = Office::open().await;
    let manager = office.person("王主管", "manager", None).await;
    let mine = office.team("华东", None, &[&manager]).await;
    let theirs = office.team("华北", None, &[]).await;
    let li = office.person("李雷", "rep", Some(&mine)).await;
    let han = office.person("韩梅梅", "rep", Some(&theirs)).await;
    let mut ids = Vec::new();
    for (who, brand) in [(&li, "联影"), (&han, "东软")] {
        let id: DocId = office.lead("医院", who).await.parse().unwrap();
        let written = write(&office, who, id, "brand", brand, 1);
        office.post(&format!("/api/devices/{}/revoke", who.device), &office.admin, Value::Null).await;
        assert!(matches!(push(&office, who, written), Verdict::Held { .. }), "revoked: one last, held push");
        ids.push(id);
    }
    let all = office.get("/api/quarantine", &office.admin).await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    let held = |id: DocId| {
        let items = all["items"].as_array().unwrap();
        items.iter().find(|i| i["document"] == id.to_string()).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let seen = office.get("/api/quarantine", &manager).await.json();
    assert_eq!(seen["items"].as_array().unwrap().len(), 1, "a manager decides about their own teams");
    let foreign =
        office.post(&format!("/api/quarantine/{}/accept", held(ids[1])), &manager, Value::Null).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);

    let accept = format!("/api/quarantine/{}/accept", held(ids[0]));
    assert_eq!(office.post(&accept, &manager, Value::Null).await.status, StatusCode::NO_CONTENT);
    let lead = office.get(&format!("/api/leads/{}", ids[0]), &manager).await.json();
    assert_eq!(lead["fields"]["brand"], "联影");
    assert_eq!(
        office.post(&accept, &manager, Value::Null).await.status,
        StatusCode::CONFLICT,
        "decided already"
    );

    let discard = format!("/api/quarantine/{}/discard", held(ids[1]));
    assert_eq!(office.post(&discard, &office.admin, Value::Null).await.status, StatusCode::NO_CONTENT);
    let lead = office.get(&format!("/api/leads/{}", ids[1]), &office.admin).await.json();
    assert_eq!(lead["fields"]["brand"], Value::Null);
    assert_eq!(office.get("/api/quarantine", &office.admin).await.json()["items"], json!([]));
    let kept = office.get("/api/quarantine?all=true", &office.admin).await.json();
    assert_eq!(kept["items"].as_array().unwrap().len(), 2, "nothing is dropped");
    for bad in ["zz", "00", &"0".repeat(200)] {
        let reply = office.post(&format!("/api/quarantine/{bad}/accept"), &office.admin, Value::Null).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{bad}");
    }
    let rep = office.person("新人", "rep", None).await;
    assert_eq!(office.get("/api/quarantine", &rep).await.status, StatusCode::FORBIDDEN);
}
