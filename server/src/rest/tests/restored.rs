//! What a company that was restored from a backup tells its callers.

use fieldbook_core::document::Edit;
use fieldbook_core::ids::{EntryId, Hash32};
use fieldbook_core::sync::message::Verdict;
use sha2::{Digest, Sha256};

use super::*;
use crate::backup::make;

/// A folder for a backup.
fn backup_of(office: &Office) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    make(&office.app, &backup).unwrap();
    (folder, backup)
}

async fn code_for(office: &Office, who: &Who) -> String {
    let code = office.post(&format!("/api/users/{}/codes", who.user), &office.admin, Value::Null).await;
    code.json()["code"].as_str().unwrap_or_else(|| panic!("{}", code.text())).to_owned()
}

/// Comes back as the device that it was; `token`: the refresh token that it shows.
async fn resume(office: &Office, code: &str, who: &Who, token: Option<&str>) -> Reply {
    let resumes = json!({"device": who.device, "user": who.user, "refresh_token": token});
    let claim = format!("claim of {}", who.device);
    let body = json!({"code": code, "claim": claim, "device_name": "手机", "resumes": resumes});
    office.call("POST", "/api/enrol", None, body).await
}

#[tokio::test]
async fn evidence_is_read_as_before() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let lead = office.lead("医院", &li).await;
    let hash = Hash32(Sha256::digest(b"a signed form").into());
    let body = json!({"hash": hash, "size_bytes": 13}).to_string();
    let edit = Edit::Append { log: "evidence".into(), id: EntryId([7; 16]), body };
    let change = phone::edited(&office, &li, lead.parse().unwrap(), edit, 1);
    assert!(matches!(phone::push(&office, &li, change), Verdict::Durable { .. }));
    let path = format!("/api/evidence/{hash}");
    let sent = office.bytes("PUT", &format!("{path}?total=13&offset=0"), &li, b"a signed form").await;
    assert_eq!(sent.json()["state"], "acknowledged");
    let (_folder, backup) = backup_of(&office);
    let (again, _) = office.restored(&backup, true);
    let read = again.get(&format!("{path}?document={lead}"), &li).await;
    assert_eq!((read.status, read.body.as_slice()), (StatusCode::OK, &b"a signed form"[..]));
    let progress = again.get(&format!("{path}/progress"), &li).await.json();
    assert_eq!(progress["state"], "acknowledged", "the phone need not send it again");
}

#[tokio::test]
async fn what_ended_after_the_backup_ends_again_with_the_tombstones_and_not_without() {
    let office = Office::open().await;
    let (stolen, revoked) =
        (office.person("李雷", "rep", None).await, office.person("韩梅梅", "rep", None).await);
    let (left, back) = (office.person("王五", "rep", None).await, office.person("赵六", "rep", None).await);
    let (used, withdrawn) = (code_for(&office, &back).await, code_for(&office, &back).await);
    let (_folder, backup) = backup_of(&office);

    office.post(&format!("/api/devices/{}/stolen", stolen.device), &office.admin, Value::Null).await;
    office.post(&format!("/api/devices/{}/revoke", revoked.device), &office.admin, Value::Null).await;
    let put = async |who: &Who, active: bool| {
        let body = json!({"name": "同事", "role": "rep", "active": active});
        office.call("PUT", &format!("/api/users/{}", who.user), Some(&office.admin), body).await
    };
    for (who, active) in [(&left, false), (&back, false), (&back, true)] {
        assert_eq!(put(who, active).await.status, StatusCode::OK);
    }
    office.enrol(&used, "新手机").await;
    let codes = office.get("/api/codes", &office.admin).await.json();
    let open = codes.as_array().unwrap().iter().find(|code| code["used_by"].is_null()).unwrap();
    let path = format!("/api/codes/{}", open["id"].as_str().unwrap());
    office.call("DELETE", &path, Some(&office.admin), Value::Null).await;

    let status = async |office: &Office, who: &Who| {
        let all = office.get("/api/devices", &office.admin).await.json();
        let device = all.as_array().unwrap().iter().find(|d| d["id"] == who.device.to_string()).cloned();
        device.unwrap()["status"].as_str().unwrap().to_owned()
    };
    let (again, reapplied) = office.restored(&backup, true);
    assert_eq!(reapplied, Reapplied::All(12), "two phones, three times users, seven codes");
    assert_eq!(status(&again, &stolen).await, "stolen");
    assert_eq!(status(&again, &revoked).await, "revoked");
    assert_eq!(again.get("/api/leads", &left).await.problem(), "device_revoked");
    assert_eq!(again.get("/api/leads", &back).await.status, StatusCode::OK, "who came back is back");
    for code in [&used, &withdrawn] {
        let body = json!({"code": code, "claim": "0123456789abcdef", "device_name": "a"});
        assert_eq!(again.call("POST", "/api/enrol", None, body).await.problem(), "code_invalid");
    }
    // They stand in the new data folder, for the next restore.
    let (_, reapplied) = again.restored(&backup, true);
    assert_eq!(reapplied, Reapplied::All(12));

    let (without, reapplied) = office.restored(&backup, false);
    assert_eq!(reapplied, Reapplied::NoneFound);
    assert_eq!(status(&without, &stolen).await, "active", "which is why it is said");
}

#[tokio::test]
async fn a_key_that_was_distrusted_stays_distrusted() {
    let office = Office::open().await;
    let leaked = office.admin.clone();
    let (_folder, backup) = backup_of(&office);
    let mut entropy = crate::auth::Entropy::from_system();
    office.app.auth.rotate_keys(office.app.now_ms(), &mut entropy, true).unwrap();
    assert_eq!(office.get("/api/users", &leaked).await.problem(), "token_refused");
    let (again, _) = office.restored(&backup, true);
    assert_eq!(again.get("/api/users", &leaked).await.problem(), "token_refused");
    // The token of the backup's sign-in is as good as its hash.
    let refreshed = json!({"refresh_token": leaked.refresh});
    let tokens = again.call("POST", "/api/token/refresh", None, refreshed).await;
    let admin = Who { token: tokens.json()["access_token"].as_str().unwrap().to_owned(), ..leaked.clone() };
    assert_eq!(again.get("/api/users", &admin).await.status, StatusCode::OK);
    let (without, _) = office.restored(&backup, false);
    assert_eq!(without.get("/api/users", &leaked).await.status, StatusCode::OK, "which is why it is said");
}

#[tokio::test]
async fn a_phone_that_was_enrolled_after_the_backup_comes_back_as_itself() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let han = office.person("韩梅梅", "rep", None).await;
    let (_folder, backup) = backup_of(&office);
    let late = office.enrol(&code_for(&office, &li).await, "late").await;
    let lost = office.enrol(&code_for(&office, &li).await, "lost").await;
    office.post(&format!("/api/devices/{}/stolen", lost.device), &office.admin, Value::Null).await;
    let (again, _) = office.restored(&backup, true);
    let refreshed = json!({"refresh_token": late.refresh});
    let refused = again.call("POST", "/api/token/refresh", None, refreshed).await;
    assert_eq!(refused.problem(), "refresh_unknown");

    let code = code_for(&again, &li).await;
    for (what, who, token, expected) in [
        ("no proof", &late, None, "device_stranger"),
        ("another's proof", &late, Some(han.refresh.as_str()), "device_stranger"),
        (
            "another's device",
            &Who { user: li.user, ..han.clone() },
            Some(han.refresh.as_str()),
            "code_other_user",
        ),
        ("stolen since", &lost, Some(lost.refresh.as_str()), "device_revoked"),
    ] {
        assert_eq!(resume(&again, &code, who, token).await.problem(), expected, "{what}");
    }
    let back = resume(&again, &code, &late, Some(&late.refresh)).await;
    assert_eq!(back.status, StatusCode::OK, "{}", back.text());
    let back = who(&back.json());
    assert_eq!((back.device, back.user), (late.device, late.user));
    assert_eq!(again.get("/api/devices", &back).await.json().as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn people_and_teams_of_after_the_backup_are_made_again_under_their_ids() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let (_folder, backup) = backup_of(&office);
    let team = office.team("华东", None, &[]).await;
    let late = office.person("韩梅梅", "rep", Some(&team)).await;
    let (again, _) = office.restored(&backup, true);
    let put = async |office: &Office, path: &str, body: Value| {
        office.call("PUT", path, Some(&office.admin), body).await
    };
    let (user, team_path) = (format!("/api/users/{}", late.user), format!("/api/teams/{team}"));
    let body = json!({"name": "韩梅梅", "role": "rep", "team": team});
    assert_eq!(put(&again, &user, body.clone()).await.status, StatusCode::NOT_FOUND, "the team comes first");
    for expected in [StatusCode::CREATED, StatusCode::OK] {
        assert_eq!(put(&again, &team_path, json!({"name": "华东"})).await.status, expected);
        assert_eq!(put(&again, &user, body.clone()).await.status, expected);
    }
    // Without a proof of the company's own an id is not told about: whoever asks is told what anybody is told.
    let (fresh, _) = office.restored(&backup, true);
    let code = code_for(&fresh, &li).await;
    let refused = resume(&fresh, &code, &late, Some(&late.refresh)).await;
    assert_eq!(refused.problem(), "user_forgotten");
    assert!(refused.json()["detail"].as_str().is_some_and(|said| said.contains(&late.user.to_string())));
    for token in [None, Some(li.refresh.as_str())] {
        assert_eq!(resume(&fresh, &code, &late, token).await.problem(), "code_other_user");
    }
    for id in ["0000000000000000", "ffffffffffffffff"] {
        let reply = put(&fresh, &format!("/api/users/{id}"), json!({"name": "x", "role": "rep"})).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{id}");
    }
    let stranger = put(&office, "/api/teams/0101010101010101", json!({"name": "x"})).await;
    assert_eq!(
        stranger.status,
        StatusCode::NOT_FOUND,
        "a server that was never restored has forgotten nothing"
    );
}

#[tokio::test]
async fn a_signed_out_phone_comes_back_as_itself_and_nobody_else_does() {
    let office = Office::open().await;
    let (li, han) = (office.person("李雷", "rep", None).await, office.person("韩梅梅", "rep", None).await);
    let code = code_for(&office, &li).await;
    let stranger = Who { device: DeviceId([9; 8]), ..li.clone() };
    assert_eq!(resume(&office, &code, &han, None).await.problem(), "code_other_user");
    assert_eq!(resume(&office, &code, &stranger, Some(&li.refresh)).await.problem(), "device_stranger");
    let back = resume(&office, &code, &li, None).await;
    assert_eq!(back.status, StatusCode::OK, "the code is as good as before: {}", back.text());
    let again = resume(&office, &code, &li, None).await;
    assert_eq!(who(&again.json()).device, li.device, "a lost answer costs nothing");
    assert_eq!(resume(&office, &code, &stranger, None).await.problem(), "code_used");
    let old = office.call("POST", "/api/token/refresh", None, json!({"refresh_token": li.refresh})).await;
    assert_eq!(old.problem(), "refresh_unknown", "one sign-in a device");
    assert_eq!(
        office.get("/api/devices", &who(&again.json())).await.json().as_array().map(Vec::len),
        Some(1)
    );

    let code = code_for(&office, &li).await;
    office.post(&format!("/api/devices/{}/revoke", li.device), &office.admin, Value::Null).await;
    assert_eq!(resume(&office, &code, &li, None).await.problem(), "device_revoked");
    office.enrol(&code, "the next phone").await;
}
