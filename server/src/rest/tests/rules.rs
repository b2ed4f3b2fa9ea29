use super::*;

#[tokio::test]
async fn a_policy_is_checked_whole_and_in_force_from_its_moment() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let shipped = office.get("/api/policy", &li).await.json();
    assert_eq!(
        (shipped["current"]["name"].as_str(), shipped["versions"].as_array().unwrap().len()),
        (Some("医疗器械"), 0)
    );

    let wrong = "base = \"medical\"\n[advancement]\nrows = [{ id = \"a\", text = \"\", weight = 0 }]\n";
    let refused = office.post("/api/policy", &office.admin, json!({"toml": wrong})).await;
    assert_eq!(refused.problem(), "policy_refused");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("stages[4].needs[0].ticks.rows[0]") && detail.contains("advancement.rows"),
        "{detail}"
    );

    let good = "base = \"medical\"\nname = \"智康\"\n";
    assert_eq!(office.post("/api/policy", &li, json!({"toml": good})).await.status, StatusCode::FORBIDDEN);
    let dry = office.post("/api/policy", &office.admin, json!({"toml": good, "dry_run": true})).await;
    assert_eq!((dry.status, dry.json()["id"].is_null()), (StatusCode::OK, true));
    let published = office.post("/api/policy", &office.admin, json!({"toml": good, "note": "上线"})).await;
    assert_eq!(published.status, StatusCode::CREATED);
    let from_ms = published.json()["effective_from_ms"].as_i64().unwrap();
    let now_ms = office.app.now_ms();
    assert!(from_ms > now_ms && from_ms <= now_ms + 24 * 3_600_000, "the next midnight");
    let read = office.get("/api/policy", &li).await.json();
    assert_eq!(
        (read["current"]["name"].as_str(), read["versions"][0]["note"].as_str()),
        (Some("医疗器械"), Some("上线"))
    );

    let past = json!({"toml": good, "effective_from_ms": now_ms - 1});
    assert_eq!(office.post("/api/policy", &office.admin, past).await.status, StatusCode::CONFLICT);
    let now = json!({"toml": good, "effective_from_ms": office.app.now_ms()});
    assert_eq!(office.post("/api/policy", &office.admin, now).await.status, StatusCode::CREATED);
    assert_eq!(office.get("/api/policy", &li).await.json()["current"]["name"], "智康");
}

#[tokio::test]
async fn figures_are_told_as_of_now_with_what_they_are_of() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    office.lead("医院", &li).await;
    office.app.company.automate(&office.app.config.timezone, office.app.now_ms(), 64).unwrap();
    let day = |ms: i64| fieldbook_core::model::company_day(ms, &office.app.config.timezone).unwrap();
    let today = day(office.app.now_ms());
    let path = format!("/api/figures?from={today}&until={}&marketing_fen=9300", today.tomorrow().unwrap());
    let told = office.get(&path, &office.admin).await.json();
    let figure =
        |id: &str| told["figures"].as_array().unwrap().iter().find(|f| f["id"] == id).unwrap().clone();
    let first = figure("M1a");
    assert_eq!(
        (first["value"].as_i64(), first["counted"].as_u64(), first["of"].as_u64()),
        (Some(0), Some(0), Some(1))
    );
    assert_eq!((first["line"].as_i64(), first["healthy"].as_bool()), (Some(8_500), Some(false)));
    assert_eq!(
        (figure("M14b")["unit"].as_str(), figure("M14b")["value"].as_i64()),
        (Some("fen"), Some(9_300))
    );
    assert!(figure("M9")["value"].is_null() && figure("M9")["healthy"].is_null());
    assert_eq!(office.get(&path, &li).await.status, StatusCode::FORBIDDEN);
    let backwards = format!("/api/figures?from={today}&until={today}");
    assert_eq!(office.get(&backwards, &office.admin).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(office.get("/api/intents", &office.admin).await.json(), json!({"intents": [], "next": null}));
}

/// C38, C94: what marketing writes and what a leader writes down of a lost deal is what everybody reads, without the customer's name.
#[tokio::test]
async fn the_playbook_is_written_read_and_learns_from_lost_deals() {
    let office = Office::open().await;
    let manager = office.person("王主管", "manager", None).await;
    let team = office.team("华东", None, &[&manager]).await;
    let (li, marketing) =
        (office.person("李雷", "rep", Some(&team)).await, office.person("韩", "marketing", None).await);
    let shipped = office.get("/api/playbook", &li).await.json();
    assert!(
        shipped["packs"].as_array().unwrap().len() >= 12 && shipped["lost_deals"] == json!([]),
        "{shipped}"
    );

    let toml = "[[packs]]\nid = \"discount\"\ntitle = \"要折扣\"\nlines = [\"还有哪一项定下来就可以签？\"]\n";
    let put = |toml: String, dry_run: bool| json!({"toml": toml, "dry_run": dry_run});
    let wrong = office
        .call("PUT", "/api/playbook", Some(&marketing), put("[[packs]]\nid = \"a\"".into(), false))
        .await;
    assert_eq!((wrong.status, wrong.problem().as_str()), (StatusCode::BAD_REQUEST, "playbook_refused"));
    for (dry_run, changed) in [(true, true), (false, true), (false, false)] {
        let done =
            office.call("PUT", "/api/playbook", Some(&marketing), put(toml.into(), dry_run)).await.json();
        assert_eq!(
            (&done["packs"], &done["materials"], &done["changed"]),
            (&json!(1), &json!(0), &json!(changed))
        );
        let dangling = done["dangling"].as_array().unwrap();
        assert!(dangling.contains(&json!("price-objection")) && !dangling.contains(&json!("discount")));
    }
    assert_eq!(office.get("/api/playbook", &li).await.json()["packs"][0]["title"], "要折扣");

    let fields = json!({"customer_name": "秘密医院", "contact_phone": "13800000001", "equipment": "CT", "brand": "联影"});
    let body = json!({"fields": fields, "owner": li.user});
    let lead = office.post("/api/leads", &office.admin, body).await.json()["id"].clone();
    let deal = json!({"lead": lead, "point": "账期", "words": "别家给更长账期", "answer": "当场给分期模板"});
    let mute = json!({"lead": lead, "point": "账期", "words": "", "answer": "x"});
    assert_eq!(office.post("/api/playbook/lost-deals", &manager, mute).await.status, StatusCode::CONFLICT);
    let written = office.post("/api/playbook/lost-deals", &manager, deal.clone()).await;
    assert_eq!(written.status, StatusCode::CREATED);
    let id = written.json()["id"].as_str().unwrap().to_owned();
    office.post("/api/playbook/lost-deals", &manager, deal).await;
    let book = office.get("/api/playbook", &li).await;
    let deals = book.json()["lost_deals"].clone();
    assert_eq!(
        (deals.as_array().unwrap().len(), &deals[0]["equipment"], &deals[0]["brand"]),
        (1, &json!("CT"), &json!("联影"))
    );
    assert!(!book.text().contains("秘密医院") && !id.contains(lead.as_str().unwrap()));
    let named = json!({"lead": lead, "point": "账期", "words": "秘密医院说太贵", "answer": "分期"});
    assert_eq!(office.post("/api/playbook/lost-deals", &manager, named).await.status, StatusCode::CONFLICT);
    let path = format!("/api/playbook/lost-deals/{id}");
    for nobody in [&li, &manager] {
        assert_eq!(
            office.call("DELETE", &path, Some(nobody), Value::Null).await.status,
            StatusCode::FORBIDDEN
        );
    }
    assert_eq!(
        office.call("DELETE", &path, Some(&marketing), Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        office.call("DELETE", &path, Some(&marketing), Value::Null).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(office.get("/api/playbook", &li).await.json()["packs"][0]["title"], "要折扣", "packs stay");
}
