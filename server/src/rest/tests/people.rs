use super::*;

#[tokio::test]
async fn only_an_administrator_changes_people_and_codes() {
    let office = Office::open().await;
    let rep = office.person("李雷", "rep", None).await;
    let body = json!({"name": "x", "role": "admin"});
    for (method, path, body) in [
        ("POST", "/api/users".to_owned(), body.clone()),
        ("PUT", format!("/api/users/{}", rep.user), body),
        ("POST", "/api/teams".to_owned(), json!({"name": "x"})),
        ("POST", format!("/api/users/{}/codes", rep.user), Value::Null),
        ("GET", "/api/codes".to_owned(), Value::Null),
        ("GET", "/api/stats".to_owned(), Value::Null),
        ("POST", format!("/api/devices/{}/stolen", office.admin.device), Value::Null),
    ] {
        let reply = office.call(method, &path, Some(&rep), body).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (StatusCode::FORBIDDEN, "forbidden"),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn users_and_teams_are_made_changed_and_listed() {
    let office = Office::open().await;
    let manager = office.person("王主管", "manager", None).await;
    let region = office.team("华东", None, &[&manager]).await;
    let group = office.team("杭州组", Some(&region), &[]).await;
    let rep = office.person("李雷", "rep", Some(&group)).await;
    let users = office.get("/api/users", &rep).await.json();
    assert_eq!(users.as_array().unwrap().len(), 3);
    let body = json!({"name": "李雷", "role": "rep", "team": region});
    let path = format!("/api/users/{}", rep.user);
    assert_eq!(office.call("PUT", &path, Some(&office.admin), body).await.json()["team"], region);
    let teams = office.get("/api/teams", &rep).await.json();
    assert!(teams.as_array().unwrap().iter().any(|t| t["name"] == "杭州组" && t["parent"] == region));

    let circle = json!({"name": "华东", "parent": group, "leaders": []});
    let reply = office.call("PUT", &format!("/api/teams/{region}"), Some(&office.admin), circle).await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    let missing = json!({"name": "x", "role": "rep", "team": "0000000000000000"});
    assert_eq!(office.post("/api/users", &office.admin, missing).await.status, StatusCode::NOT_FOUND);
    let unknown_role = office.post("/api/users", &office.admin, json!({"name": "x", "role": "king"})).await;
    assert_eq!(unknown_role.problem(), "bad_request");
    assert_eq!(office.get("/api/users", &rep).await.json().as_array().unwrap().len(), 3, "nothing was added");
}

#[tokio::test]
async fn a_user_who_leaves_is_out_and_an_administrator_cannot_lock_everybody_out() {
    let office = Office::open().await;
    let rep = office.person("李雷", "rep", None).await;
    let mut notices = office.app.notices.subscribe();
    let gone = json!({"name": "李雷", "role": "rep", "active": false});
    office.call("PUT", &format!("/api/users/{}", rep.user), Some(&office.admin), gone).await;
    assert_eq!(office.get("/api/leads", &rep).await.problem(), "device_revoked");
    let told = std::iter::from_fn(|| notices.try_recv().ok());
    let sent_away = |notice| matches!(notice, crate::app::Notice::Device(device) if device == rep.device);
    assert!(told.into_iter().any(sent_away), "the phone's session ends at once");
    let code = office.post(&format!("/api/users/{}/codes", rep.user), &office.admin, Value::Null).await;
    assert_eq!(code.status, StatusCode::CONFLICT);
    for body in [json!({"name": "a", "role": "rep"}), json!({"name": "a", "role": "admin", "active": false})]
    {
        let path = format!("/api/users/{}", office.admin.user);
        assert_eq!(office.call("PUT", &path, Some(&office.admin), body).await.status, StatusCode::CONFLICT);
    }
}

#[tokio::test]
async fn codes_are_listed_without_their_text_and_revoked() {
    let office = Office::open().await;
    let rep = office.person("李雷", "rep", None).await;
    let code =
        office.post(&format!("/api/users/{}/codes", rep.user), &office.admin, Value::Null).await.json();
    let listed = office.get("/api/codes", &office.admin).await;
    let row = listed.json().as_array().unwrap().iter().find(|c| c["id"] == code["id"]).cloned().unwrap();
    assert_eq!((row["used_by"].is_null(), row["locked"].as_bool()), (true, Some(false)));
    assert!(!listed.text().contains(code["code"].as_str().unwrap()));
    let path = format!("/api/codes/{}", code["id"].as_str().unwrap());
    assert_eq!(
        office.call("DELETE", &path, Some(&office.admin), Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        office.call("DELETE", &path, Some(&office.admin), Value::Null).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        office.call("DELETE", "/api/codes/zz", Some(&office.admin), Value::Null).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn everybody_sees_and_reports_their_own_phones() {
    let office = Office::open().await;
    let rep = office.person("李雷", "rep", None).await;
    let code =
        office.post(&format!("/api/users/{}/codes", rep.user), &office.admin, Value::Null).await.json();
    let lost = office.enrol(code["code"].as_str().unwrap(), "丢了的手机").await;
    let mine = office.get("/api/devices", &rep).await.json();
    assert_eq!(mine.as_array().unwrap().len(), 2);
    assert_eq!(office.get("/api/devices", &office.admin).await.json().as_array().unwrap().len(), 3);
    let reply = office.post(&format!("/api/devices/{}/stolen", lost.device), &rep, Value::Null).await;
    assert_eq!(reply.json()["status"], "stolen");
    let softer = office.post(&format!("/api/devices/{}/revoke", lost.device), &rep, Value::Null).await;
    assert_eq!(softer.json()["status"], "stolen", "what is stolen stays stolen");
    assert_eq!(office.get("/api/devices", &lost).await.problem(), "device_revoked");
}
