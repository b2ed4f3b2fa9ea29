use super::*;

const CLAIM: &str = "0123456789abcdef";

async fn enrol_with(office: &Office, code: &str, claim: &str) -> Reply {
    let body = json!({"code": code, "claim": claim, "device_name": "手机"});
    office.call("POST", "/api/enrol", None, body).await
}

async fn refresh(office: &Office, token: &str) -> Reply {
    office.call("POST", "/api/token/refresh", None, json!({"refresh_token": token})).await
}

#[tokio::test]
async fn a_code_from_the_office_becomes_a_phone_and_a_lost_answer_costs_nothing() {
    let office = Office::open().await;
    let user = office.post("/api/users", &office.admin, json!({"name": "李雷", "role": "rep"})).await.json();
    let path = format!("/api/users/{}/codes", user["id"].as_str().unwrap());
    let code = office.post(&path, &office.admin, Value::Null).await.json();
    let text = code["code"].as_str().unwrap();
    assert_eq!(code["qr"], format!("https://crm.example/enrol#{text}"));

    let first = enrol_with(&office, text, CLAIM).await.json();
    assert_eq!((first["user_name"].as_str(), first["role"].as_str()), (Some("李雷"), Some("rep")));
    assert_eq!(first["sync_url"], "wss://crm.example/sync");
    let again = enrol_with(&office, text, CLAIM).await.json();
    assert_eq!(first["device"], again["device"]);
    let other = enrol_with(&office, text, "another phone's claim").await;
    assert_eq!((other.status, other.problem().as_str()), (StatusCode::FORBIDDEN, "code_used"));
    // The tokens of the lost answer are void, those of the second work.
    assert_eq!(office.get("/api/devices", &who(&again)).await.status, StatusCode::OK);
    assert_eq!(refresh(&office, who(&first).refresh.as_str()).await.problem(), "refresh_unknown");
    assert_eq!(refresh(&office, who(&again).refresh.as_str()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_phone_hands_over_to_the_next_one_of_its_user() {
    let office = Office::open().await;
    let rep = office.person("李雷", "rep", None).await;
    let code = office.post("/api/handover", &rep, Value::Null).await.json();
    let next = enrol_with(&office, code["code"].as_str().unwrap(), CLAIM).await.json();
    assert_eq!(next["user"], rep.user.to_string());
    assert_ne!(next["device"], rep.device.to_string());
    let mine = office.get("/api/devices", &rep).await.json();
    assert_eq!(mine.as_array().map(Vec::len), Some(2));
    let nobody = office.call("POST", "/api/handover", None, Value::Null).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_stolen_phone_leaves_no_code_behind() {
    let office = Office::open().await;
    let rep = office.person("李雷", "rep", None).await;
    let code = office.post("/api/handover", &rep, Value::Null).await.json();
    let from_office =
        office.post(&format!("/api/users/{}/codes", rep.user), &office.admin, Value::Null).await.json();
    office.post(&format!("/api/devices/{}/stolen", rep.device), &office.admin, Value::Null).await;
    let thief = enrol_with(&office, code["code"].as_str().unwrap(), CLAIM).await;
    assert_eq!(thief.problem(), "code_invalid");
    let next = enrol_with(&office, from_office["code"].as_str().unwrap(), CLAIM).await;
    assert_eq!(next.status, StatusCode::OK, "what the office made stays good");
}

#[tokio::test]
async fn a_code_ends_with_the_phone_that_made_it_and_three_are_open_at_a_time() {
    let office = Office::open().await;
    let rep = office.person("李雷", "rep", None).await;
    let mut own = Vec::new();
    for _ in 0..4 {
        let code = office.post("/api/handover", &rep, Value::Null).await.json();
        own.push(code["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        enrol_with(&office, &own[0], CLAIM).await.problem(),
        "code_invalid",
        "a fourth ends the first"
    );
    assert_eq!(enrol_with(&office, &own[1], CLAIM).await.status, StatusCode::OK);

    // An administrator's second machine is stolen, with codes for others made on it.
    let path = format!("/api/users/{}/codes", office.admin.user);
    let code = office.post(&path, &office.admin, Value::Null).await.json();
    let second = office.enrol(code["code"].as_str().unwrap(), "second laptop").await;
    let path = format!("/api/users/{}/codes", rep.user);
    let for_rep = office.post(&path, &second, Value::Null).await.json();
    office.post(&format!("/api/devices/{}/stolen", second.device), &office.admin, Value::Null).await;
    let thief = enrol_with(&office, for_rep["code"].as_str().unwrap(), "another phone's claim").await;
    assert_eq!(thief.problem(), "code_invalid");
}

#[tokio::test]
async fn bad_input_gets_a_problem_that_says_what_is_wrong() {
    let office = Office::open().await;
    for (body, expected) in [
        (json!({"code": "x"}), StatusCode::UNPROCESSABLE_ENTITY),
        (
            json!({"code": "x", "claim": CLAIM, "device_name": "a", "extra": 1}),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (json!({"code": "x", "claim": "short", "device_name": "a"}), StatusCode::BAD_REQUEST),
        (json!({"code": "x", "claim": CLAIM, "device_name": " "}), StatusCode::BAD_REQUEST),
        (json!({"code": "x", "claim": CLAIM, "device_name": "a"}), StatusCode::FORBIDDEN),
    ] {
        let reply = office.call("POST", "/api/enrol", None, body).await;
        assert_eq!(reply.status, expected, "{}", reply.text());
        reply.problem();
    }
    let nowhere = office.get("/api/nothing", &office.admin).await;
    assert_eq!((nowhere.status, nowhere.problem().as_str()), (StatusCode::NOT_FOUND, "not_found"));
}

#[tokio::test]
async fn guessing_codes_from_one_network_is_slowed_down() {
    let office = Office::open().await;
    for _ in 0..60 {
        let refused = enrol_with(&office, "0000-0000-0000-0000-0000-0000", CLAIM).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
    }
    office.pass(4 * 60 * 1_000);
    let refused = enrol_with(&office, "0000-0000-0000-0000-0000-0000", CLAIM).await;
    assert_eq!(
        (refused.status, refused.problem()),
        (StatusCode::TOO_MANY_REQUESTS, "too_many_attempts".into())
    );
    assert_eq!(
        (refused.headers[header::RETRY_AFTER].to_str().unwrap(), &refused.json()["retry_after_s"]),
        ("360", &json!(360))
    );
    assert!(refused.json()["detail"].as_str().unwrap().contains("wait 6 minutes"), "{}", refused.text());
    office.pass(6 * 60 * 1_000);
    assert_eq!(enrol_with(&office, "0000", CLAIM).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn tokens_end_refresh_and_are_refused_when_they_are_not_ours() {
    let office = Office::open().await;
    let admin = office.admin.clone();
    let none = office.call("GET", "/api/users", None, Value::Null).await;
    assert_eq!((none.status, none.problem().as_str()), (StatusCode::UNAUTHORIZED, "token_missing"));
    assert_eq!(none.headers[header::WWW_AUTHENTICATE], "Bearer");
    let forged = Who { token: format!("{}x", admin.token), ..admin.clone() };
    assert_eq!(office.get("/api/users", &forged).await.problem(), "token_refused");
    office.pass(16 * 60 * 1_000);
    assert_eq!(office.get("/api/users", &admin).await.problem(), "token_expired");
    let next = refresh(&office, &admin.refresh).await.json();
    let admin = Who { token: next["access_token"].as_str().unwrap().to_owned(), ..admin };
    assert_eq!(office.get("/api/users", &admin).await.status, StatusCode::OK);
    assert_eq!(next["server_now_ms"], office.app.now_ms());
}

#[tokio::test]
async fn a_replayed_refresh_token_ends_the_sign_in() {
    let office = Office::open().await;
    let first = office.admin.refresh.clone();
    let second = refresh(&office, &first).await.json()["refresh_token"].as_str().unwrap().to_owned();
    let third = refresh(&office, &second).await.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(refresh(&office, &first).await.problem(), "refresh_reused");
    assert_eq!(refresh(&office, &third).await.problem(), "refresh_revoked");
}

#[tokio::test]
async fn a_revoked_phone_is_out_at_once_and_gets_a_farewell_token_for_its_last_session() {
    let office = Office::open().await;
    let rep = office.person("韩梅梅", "rep", None).await;
    assert_eq!(office.get("/api/leads", &rep).await.status, StatusCode::OK);
    let revoked =
        office.post(&format!("/api/devices/{}/revoke", rep.device), &office.admin, Value::Null).await;
    assert_eq!(revoked.json()["status"], "revoked");
    assert_eq!(office.get("/api/leads", &rep).await.problem(), "device_revoked");
    let farewell = refresh(&office, &rep.refresh).await;
    assert_eq!(farewell.status, StatusCode::OK, "it may still reach the sync endpoint");
    let token = farewell.json()["access_token"].as_str().unwrap().to_owned();
    let claims = office.app.auth.verify_access(&token, office.app.now_ms()).unwrap();
    assert_eq!(claims.scope, crate::auth::Scope::Farewell);
    assert_eq!(office.get("/api/leads", &Who { token, ..rep }).await.problem(), "device_revoked");
}

#[tokio::test]
async fn there_is_one_first_administrator() {
    let office = Office::open().await;
    let refused = office.app.bootstrap("第二个", false).unwrap_err().to_string();
    assert!(refused.contains("--again"), "{refused}");
    let again = office.app.bootstrap("第二个", true).unwrap();
    let same = office.enrol(&again.text, "second laptop").await;
    assert_eq!(same.user, office.admin.user);
}
