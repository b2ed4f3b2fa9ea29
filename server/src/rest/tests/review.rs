use fieldbook_core::ids::DocId;
use fieldbook_core::sync::message::Verdict;

use super::phone::{push, write};
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
    let resolve = |value: &str| json!({"path": {"field": "brand"}, "value": value});
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
