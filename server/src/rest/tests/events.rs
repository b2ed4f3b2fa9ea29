use fieldbook_core::ids::{DocId, EntryId};
use fieldbook_core::limits;
use fieldbook_core::model::{Event, LeadModel, RulingModel};

use super::*;
use crate::signature;

const MINUTE_MS: i64 = 60_000;

/// Another system, with its key.
struct Site {
    id: String,
    secret: Vec<u8>,
}

impl Site {
    async fn open(office: &Office, body: Value) -> Self {
        let made = office.post("/api/intake-keys", &office.admin, body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        let text = |name: &str| made.json()[name].as_str().unwrap().to_owned();
        Self { id: text("id"), secret: hex::decode(text("secret")).unwrap() }
    }

    fn sign(&self, body: &str, at_ms: i64) -> String {
        signature::sign(&signature::key(&self.secret), body.as_bytes(), at_ms)
    }

    async fn send(&self, office: &Office, path: &str, body: &Value) -> Reply {
        let body = body.to_string();
        let signature = self.sign(&body, office.app.now_ms());
        raw(office, path, &[("Fieldbook-Key", &self.id), ("Fieldbook-Signature", &signature)], &body).await
    }

    /// The answers to leads or events, in words.
    async fn told(&self, office: &Office, what: &str, items: Value) -> Vec<String> {
        let reply = self.send(office, &format!("/api/v1/{what}"), &json!({ what: items })).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let answers = reply.json()[what].as_array().unwrap().clone();
        answers
            .iter()
            .map(|answer| {
                let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
                assert_eq!(answer["outcome"] == "refused", answer["detail"].is_string());
                assert_eq!(answer["outcome"] == "refused", answer["lead"].is_null());
                format!("{} {} {}", text("id"), text("outcome"), text("reason")).trim_end().to_owned()
            })
            .collect()
    }
}

async fn site(office: &Office) -> Site {
    Site::open(office, json!({"name": "官网", "source": "官网/SEM"})).await
}

async fn raw(office: &Office, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut request = Request::builder().method("POST").uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    office.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

fn lead_of(reply: &Reply, what: &str) -> DocId {
    reply.json()[what][0]["lead"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_request_is_taken_by_its_signature_and_refused_alike_whatever_is_wrong() {
    let office = Office::open().await;
    let (site, other) = (site(&office).await, site(&office).await);
    let now_ms = office.app.now_ms();
    let (path, body) = ("/api/v1/events", r#"{"events":[]}"#);
    let good = site.sign(body, now_ms);
    let with = |key: &str, signature: &str| {
        [
            ("Fieldbook-Key".to_owned(), key.to_owned()),
            ("Fieldbook-Signature".to_owned(), signature.to_owned()),
        ]
    };
    for drift_ms in [0, 5 * MINUTE_MS, -5 * MINUTE_MS] {
        let signed = with(&site.id, &site.sign(body, now_ms + drift_ms));
        let headers: Vec<_> = signed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(raw(&office, path, &headers, body).await.status, StatusCode::OK, "{drift_ms}");
    }
    let revoked = Site::open(&office, json!({"name": "旧站", "source": "旧站"})).await;
    let path_of = format!("/api/intake-keys/{}", revoked.id);
    for _ in 0..2 {
        let reply = office.call("DELETE", &path_of, Some(&office.admin), Value::Null).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT);
    }
    let zeros = Site { id: "00".repeat(16), secret: vec![0; 32] };
    let wrong = [
        with(&other.id, &good),
        with(&site.id, &other.sign(body, now_ms)),
        with(&site.id, &site.sign(r#"{"events":[1]}"#, now_ms)),
        with(&site.id, &site.sign(body, now_ms - 5 * MINUTE_MS - 1)),
        with(&site.id, &site.sign(body, now_ms + 5 * MINUTE_MS + 1)),
        with(&site.id, &good.replace("t=", "t=1")),
        with(&zeros.id, &zeros.sign(body, now_ms)),
        with("", &good),
        with("not an id", &good),
        with(&revoked.id, &revoked.sign(body, now_ms)),
        with(&site.id, ""),
        with(&site.id, "v1=00"),
    ];
    let mut refusals = std::collections::BTreeSet::new();
    for path in ["/api/v1/events", "/api/v1/leads"] {
        refusals.insert(raw(&office, path, &[], body).await.text());
        for headers in &wrong {
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let reply = raw(&office, path, &headers, body).await;
            assert_eq!(
                (reply.status, reply.problem().as_str()),
                (StatusCode::UNAUTHORIZED, "signature_refused")
            );
            assert_eq!(reply.headers[header::WWW_AUTHENTICATE], "Fieldbook-Signature");
            refusals.insert(reply.text());
        }
        // Nor does the token of an administrator open it.
        let reply = office.post(path, &office.admin, json!({"events": []})).await;
        assert_eq!(reply.problem(), "signature_refused");
        refusals.insert(reply.text());
    }
    assert_eq!(refusals.len(), 1, "nobody learns what was wrong: {refusals:?}");
}

#[tokio::test]
async fn keys_are_listed_without_their_secret_and_one_takes_the_place_of_another() {
    let office = Office::open().await;
    let old = site(&office).await;
    let next =
        Site::open(&office, json!({"name": "官网 2", "source": "官网/SEM", "replaces": old.id.clone()}))
            .await;
    let listed = office.get("/api/intake-keys", &office.admin).await;
    let keys = listed.json();
    assert_eq!(keys.as_array().unwrap().len(), 2);
    assert_eq!(keys[0]["system"], keys[1]["system"]);
    for site in [&old, &next] {
        assert!(!listed.text().contains(&hex::encode(&site.secret)));
    }
    let lead = || json!([{"id": "v1", "fields": {"customer_name": "市一院"}}]);
    assert_eq!(old.told(&office, "leads", lead()).await, ["v1 created"]);
    assert_eq!(next.told(&office, "leads", lead()).await, ["v1 known"]);
    let event = || json!([{"id": "e1", "lead": "v1", "kind": "page_view"}]);
    assert_eq!(next.told(&office, "events", event()).await, ["e1 recorded"]);
    assert_eq!(old.told(&office, "events", event()).await, ["e1 known"]);
    for (name, source) in [("", "x"), ("x", " "), ("x", &*"长".repeat(101))] {
        let reply =
            office.post("/api/intake-keys", &office.admin, json!({"name": name, "source": source})).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    }
    let stranger = json!({"name": "x", "source": "x", "replaces": "00".repeat(16)});
    assert_eq!(office.post("/api/intake-keys", &office.admin, stranger).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn leads_come_once_and_a_bad_one_keeps_no_other_back() {
    let office = Office::open().await;
    let site = site(&office).await;
    let long = "甲".repeat(limits::VALUE_MAX_BYTES / 3 + 1);
    let lot = || {
        json!([
            {"id": "v1", "fields": {"customer_name": "市一院", "need": "采购"}, "text": "想看看CT"},
            {"id": "v2", "fields": {"contact_phone": "13800000000", "source": "展会"}},
            {"id": "v1", "fields": {"customer_name": "市一院"}},
            {"id": "", "fields": {"customer_name": "无名"}},
            {"id": "x".repeat(201), "fields": {"customer_name": "长名"}},
            {"id": "v3", "fields": {"need": "采购"}},
            {"id": "v4", "fields": {"customer_name": "市二院", "salary": 1}},
            {"id": "v5", "fields": {"customer_name": "市二院", "account": "0000"}},
            {"id": "v6", "fields": {"customer_name": long.clone()}},
            {"id": "v7", "fields": {"customer_name": "市二院"}, "owner": "me"},
            "rubbish",
            {"id": "v8", "fields": {"customer_name": "市三院"}},
        ])
    };
    let refused = |told: &[String]| -> Vec<String> {
        told.iter().filter(|told| told.contains("refused")).cloned().collect()
    };
    let first = site.told(&office, "leads", lot()).await;
    assert_eq!(
        [&first[0], &first[1], &first[2], &first[11]],
        ["v1 created", "v2 created", "v1 known", "v8 created"]
    );
    let long_id = format!("{} refused bad_id", "x".repeat(201));
    assert_eq!(
        refused(&first),
        [
            " refused bad_id",
            long_id.as_str(),
            "v3 refused incomplete",
            "v4 refused bad_field",
            "v5 refused bad_field",
            "v6 refused bad_field",
            "v7 refused malformed",
            " refused malformed",
        ]
    );
    let again = site.told(&office, "leads", lot()).await;
    assert_eq!(
        [&again[0], &again[1], &again[2], &again[11]],
        ["v1 known", "v2 known", "v1 known", "v8 known"]
    );
    assert_eq!(refused(&again), refused(&first));

    let page = office.get("/api/leads", &office.admin).await.json();
    assert_eq!(page["leads"].as_array().unwrap().len(), 3);
    let reply = site.send(&office, "/api/v1/leads", &json!({"leads": [lot()[0]]})).await;
    let id = lead_of(&reply, "leads");
    let lead = office.get(&format!("/api/leads/{id}"), &office.admin).await.json();
    assert!(lead["owner"].is_null());
    let doc = office.app.company.load(id).unwrap();
    assert_eq!(doc.text("notes"), "想看看CT");
    let clocks = office.app.company.clocks(id).unwrap();
    assert_eq!(LeadModel::read(&doc, &clocks).fields.source.as_deref(), Some("官网/SEM"));
    let ruling = office.app.company.load(DocId::ruling_of(id)).unwrap();
    assert_eq!(RulingModel::read(&ruling, &clocks).fields.first_source.as_deref(), Some("官网/SEM"));
    // Another system that calls its lead so has another one.
    let other = Site::open(&office, json!({"name": "400", "source": "400"})).await;
    assert_eq!(other.told(&office, "leads", json!([lot()[0]])).await, ["v1 created"]);
}

#[tokio::test]
async fn events_come_once_and_a_bad_one_keeps_no_other_back() {
    let office = Office::open().await;
    let site = site(&office).await;
    let created = json!({"leads": [{"id": "v1", "fields": {"customer_name": "市一院"}}]});
    let id = lead_of(&site.send(&office, "/api/v1/leads", &created).await, "leads");
    let now_ms = office.app.now_ms();
    let lot = json!([
        {"id": "e1", "lead": "v1", "kind": "page_view", "about": "CT", "amount": 40, "at_ms": now_ms - 1},
        {"id": "e2", "lead": id, "kind": "service_session", "text": "太贵了", "at_ms": now_ms + 9},
        {"id": "e1", "lead": id, "kind": "page_view"},
        {"id": "e3", "lead": "v2", "kind": "page_view"},
        {"id": "e4", "lead": "v1", "kind": "gossip"},
        {"id": "e5", "lead": "v1", "kind": "chat", "text": "x".repeat(limits::SIGNAL_MAX_BYTES)},
        {"id": "e6", "lead": "v1"},
        {"id": "e7", "lead": "v1", "kind": "call_400"},
    ]);
    let told = site.told(&office, "events", lot.clone()).await;
    let refused = [
        "e3 refused no_such_lead",
        "e4 refused unknown_kind",
        "e5 refused too_large",
        "e6 refused malformed",
    ];
    assert_eq!(told[..3], ["e1 recorded", "e2 recorded", "e1 known"]);
    assert_eq!(told[3..7], refused);
    assert_eq!(told[7], "e7 recorded");
    let again = site.told(&office, "events", lot).await;
    assert_eq!(again[..3], ["e1 known", "e2 known", "e1 known"]);
    assert_eq!((&again[3..7], again[7].as_str()), (&refused.map(str::to_owned)[..], "e7 known"));
    let clocks = office.app.company.clocks(id).unwrap();
    let logged = fieldbook_core::model::events(&office.app.company.load(id).unwrap(), &clocks);
    assert_eq!(logged.len(), 3);
    assert!(logged.iter().all(|logged| matches!(logged.event, Event::Signal(_))));
    assert!(logged.iter().all(|logged| logged.happened_at_ms() <= now_ms));
}

#[tokio::test]
async fn a_request_has_bounds() {
    let office = Office::open().await;
    let site = site(&office).await;
    let events = |n: usize| json!({"events": vec![json!({"id": "e", "lead": "v", "kind": "page_view"}); n]});
    let path = "/api/v1/events";
    assert_eq!(site.send(&office, path, &events(limits::INTAKE_MAX_ITEMS)).await.status, StatusCode::OK);
    let shapes = [
        events(limits::INTAKE_MAX_ITEMS + 1),
        json!([]),
        json!({"leads": []}),
        json!({"events": [], "x": 1}),
    ];
    for body in shapes {
        let reply = site.send(&office, path, &body).await;
        assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::BAD_REQUEST, "bad_request"));
    }
    let large = json!({"events": ["x".repeat(3 << 20)]});
    assert_eq!(site.send(&office, path, &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let signature = site.sign("{", office.app.now_ms());
    let headers = [("Fieldbook-Key", site.id.as_str()), ("Fieldbook-Signature", signature.as_str())];
    assert_eq!(raw(&office, path, &headers, "{").await.problem(), "bad_request");
}

/// C1, C15, C29, C36: what comes by this door is what the rules read.
#[tokio::test]
async fn the_rules_assign_the_lead_and_hear_what_the_customer_says() {
    let office = Office::open().await;
    let manager = office.person("王主管", "manager", None).await;
    let team = office.team("华东", None, &[&manager]).await;
    let li = office.person("李雷", "rep", Some(&team)).await;
    let director = office.person("总监", "director", None).await;
    let site = site(&office).await;
    let lead = json!({"leads": [{"id": "v1", "fields": {"customer_name": "市一院", "region_code": "浙A"}}]});
    let mut notices = office.app.notices.subscribe();
    let id = lead_of(&site.send(&office, "/api/v1/leads", &lead).await, "leads");
    assert!(notices.try_recv().is_ok(), "phones are told");
    let automate = || {
        for _ in 0..5 {
            office.app.company.automate(&office.app.config.timezone, office.app.now_ms(), 64).unwrap();
        }
    };
    automate();
    let read = office.get(&format!("/api/leads/{id}"), &office.admin).await.json();
    let people = [&manager, &li, &director].map(|who| json!(who.user));
    assert!(people.contains(&read["owner"]), "the rules assigned it");

    let said = |id: &str, kind: &str, text: &str| json!({"id": id, "lead": "v1", "kind": kind, "text": text});
    let lot = json!([said("s1", "chat", "你们太贵了"), said("s2", "service_session", "还是太贵")]);
    assert_eq!(site.told(&office, "events", lot.clone()).await, ["s1 recorded", "s2 recorded"]);
    assert!(notices.try_recv().is_ok(), "phones are told");
    automate();
    let intents = office.get("/api/intents", &office.admin).await.json();
    let objections = || intents["intents"].as_array().unwrap().iter().filter(|i| i["rule"] == "objections");
    assert_eq!(objections().count(), 1, "{intents}");
    // Sent again nothing happened again.
    assert_eq!(site.told(&office, "events", lot).await, ["s1 known", "s2 known"]);
    assert!(notices.try_recv().is_err());
}

/// What ended stays ended: a backup that knows the key does not bring it back.
#[tokio::test]
async fn a_revoked_key_signs_nothing_after_a_restore_either() {
    let office = Office::open().await;
    let site = site(&office).await;
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    crate::backup::make(&office.app, &backup).unwrap();
    let path = format!("/api/intake-keys/{}", site.id);
    office.call("DELETE", &path, Some(&office.admin), Value::Null).await;
    for (with_tombstones, status) in [(false, StatusCode::OK), (true, StatusCode::UNAUTHORIZED)] {
        let (restored, _) = office.restored(&backup, with_tombstones);
        let reply = site.send(&restored, "/api/v1/events", &json!({"events": []})).await;
        assert_eq!(reply.status, status);
        let id: EntryId = site.id.parse().unwrap();
        assert_eq!(restored.app.company.intake_key(id).unwrap().revoked_ms.is_some(), with_tombstones);
    }
}
