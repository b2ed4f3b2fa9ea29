//! Every route of the OpenAPI document × every role and reach. A route without a row in the table here fails the test.

use std::collections::{BTreeMap, BTreeSet};

use fieldbook_core::ids::DocId;
use fieldbook_core::sync::message::Verdict;

use super::phone::{push, write};
use super::*;

/// The rep owns the lead, the manager leads their team; the other two are of another team.
const EVERYBODY: &[&str] =
    &["rep", "manager", "director", "service", "marketing", "finance", "admin", "other rep", "other manager"];
const ADMIN: &[&str] = &["admin"];
const NOBODY: &[&str] = &[];
const READ_LEAD: &[&str] = &["rep", "manager", "director", "admin"];
const OVER_LEAD: &[&str] = &["manager", "director", "admin"];
const REVIEW: &[&str] = &["manager", "director", "admin", "other manager"];
const INSTRUCT: &[&str] = &["director", "marketing", "admin"];
const INTAKE: &[&str] = &["director", "marketing", "admin", "manager"];

/// Method, path as the document has it, what follows it, body, and who is let in; everybody else hears 403 or 404. Words in capitals are
/// those of [`Fixture`].
#[rustfmt::skip]
fn table() -> Vec<(&'static str, &'static str, &'static str, Value, &'static [&'static str])> {
    let none = || Value::Null;
    let user = || json!({"name": "新人", "role": "rep"});
    let team = || json!({"name": "新组", "leaders": []});
    let lead = || json!({"fields": {"customer_name": "医院"}, "team": "TEAM"});
    let lost = || json!({"lead": "LEAD", "point": "账期", "words": "别家给更长账期", "answer": "分期"});
    let resolve = || json!({"path": {"field": "brand"}, "value": "联影", "seen": []});
    vec![
        ("get", "/api/users", "", none(), EVERYBODY),
        ("post", "/api/users", "", user(), ADMIN),
        ("put", "/api/users/{user}", "", user(), ADMIN),
        ("get", "/api/teams", "", none(), EVERYBODY),
        ("post", "/api/teams", "", team(), ADMIN),
        ("put", "/api/teams/{team}", "", team(), ADMIN),
        ("post", "/api/users/{user}/codes", "", none(), ADMIN),
        ("post", "/api/handover", "", none(), EVERYBODY),
        ("get", "/api/codes", "", none(), ADMIN),
        ("delete", "/api/codes/{code}", "", none(), ADMIN),
        ("get", "/api/devices", "", none(), EVERYBODY),
        ("post", "/api/devices/{device}/revoke", "", none(), &["rep", "admin"]),
        ("post", "/api/devices/{device}/stolen", "", none(), &["rep", "admin"]),
        ("get", "/api/leads", "", none(), EVERYBODY),
        ("post", "/api/leads", "", lead(), INTAKE),
        ("get", "/api/leads/export", "", none(), EVERYBODY),
        ("post", "/api/leads/import", "?team=TEAM&dry_run=true", json!("name\n医院\n"), INTAKE),
        ("get", "/api/leads/{lead}", "", none(), READ_LEAD),
        ("post", "/api/leads/{lead}/assign", "", json!({"owner": "REP"}), OVER_LEAD),
        ("put", "/api/leads/{lead}/duplicate-of", "", json!({"lead": null}), OVER_LEAD),
        ("get", "/api/documents/{document}", "", none(), READ_LEAD),
        ("get", "/api/conflicts", "", none(), EVERYBODY),
        ("get", "/api/documents/{document}/conflicts", "", none(), READ_LEAD),
        ("post", "/api/documents/{document}/conflicts/resolve", "", resolve(), READ_LEAD),
        ("get", "/api/quarantine", "", none(), REVIEW),
        ("get", "/api/quarantine/{held}", "", none(), OVER_LEAD),
        ("post", "/api/quarantine/{held}/accept", "", none(), OVER_LEAD),
        ("post", "/api/quarantine/{held}/discard", "", none(), OVER_LEAD),
        ("get", "/api/intake-keys", "", none(), ADMIN),
        ("post", "/api/intake-keys", "", json!({"name": "官网", "source": "官网"}), ADMIN),
        ("delete", "/api/intake-keys/{key}", "", none(), ADMIN),
        ("get", "/api/policy", "", none(), EVERYBODY),
        ("post", "/api/policy", "", json!({"toml": "base = \"medical\"\n", "dry_run": true}), ADMIN),
        ("get", "/api/figures", "?from=2026-03-01&until=2026-04-01", none(), ADMIN),
        ("get", "/api/intents", "", none(), ADMIN),
        ("get", "/api/playbook", "", none(), EVERYBODY),
        ("put", "/api/playbook", "", json!({"toml": "", "dry_run": true}), INSTRUCT),
        ("post", "/api/playbook/lost-deals", "", lost(), OVER_LEAD),
        // There is none of this id: whoever may withdraw hears 404.
        ("delete", "/api/playbook/lost-deals/{deal}", "", none(), NOBODY),
        ("get", "/api/stats", "", none(), ADMIN),
        ("put", "/api/evidence/{hash}", "?total=1&offset=0", json!("x"), EVERYBODY),
        ("get", "/api/evidence/{hash}/progress", "", none(), EVERYBODY),
        // Named by no document: tests/evidence.rs has those that are.
        ("get", "/api/evidence/{hash}", "?document=LEAD", none(), NOBODY),
    ]
}

struct Fixture {
    office: Office,
    callers: BTreeMap<&'static str, Who>,
    /// Placeholder → what stands for it.
    words: BTreeMap<&'static str, String>,
}

impl Fixture {
    async fn open() -> Self {
        let office = Office::open().await;
        let manager = office.person("王主管", "manager", None).await;
        let other_manager = office.person("赵主管", "manager", None).await;
        let team = office.team("华东", None, &[&manager]).await;
        let other_team = office.team("华北", None, &[&other_manager]).await;
        let spare_team = office.team("空组", None, &[]).await;
        let rep = office.person("李雷", "rep", Some(&team)).await;
        let other_rep = office.person("韩梅梅", "rep", Some(&other_team)).await;
        let spare = office.person("旁人", "rep", None).await;
        let mut callers = BTreeMap::from([
            ("rep", rep.clone()),
            ("manager", manager),
            ("admin", office.admin.clone()),
            ("other rep", other_rep),
            ("other manager", other_manager),
        ]);
        for role in ["director", "service", "marketing", "finance"] {
            callers.insert(role, office.person(role, role, None).await);
        }
        let phone = |name: &'static str| {
            let (office, rep) = (&office, &rep);
            async move {
                let path = format!("/api/users/{}/codes", rep.user);
                let code = office.post(&path, &office.admin, Value::Null).await.json();
                office.enrol(code["code"].as_str().unwrap(), name).await
            }
        };
        let (lost, tablet) = (phone("丢了的").await, phone("平板").await);
        let lead: DocId = office.lead("医院", &rep).await.parse().unwrap();
        let written = write(&office, &lost, lead, "brand", "联影", 1);
        office.post(&format!("/api/devices/{}/revoke", lost.device), &office.admin, Value::Null).await;
        assert!(matches!(push(&office, &lost, written), Verdict::Held { .. }));
        let held = office.get("/api/quarantine", &office.admin).await.json();
        let code = office.post(&format!("/api/users/{}/codes", spare.user), &office.admin, Value::Null).await;
        let key = json!({"name": "官网", "source": "官网"});
        let key = office.post("/api/intake-keys", &office.admin, key).await.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let words = BTreeMap::from([
            ("{user}", spare.user.to_string()),
            ("{team}", spare_team),
            ("{code}", text(&code.json()["id"])),
            ("{key}", text(&key["id"])),
            ("{device}", tablet.device.to_string()),
            ("{lead}", lead.to_string()),
            ("{document}", lead.to_string()),
            ("{held}", text(&held["items"][0]["id"])),
            ("{deal}", "0011223344556677".to_owned()),
            ("{hash}", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881".to_owned()),
            ("TEAM", team),
            ("REP", rep.user.to_string()),
            ("LEAD", lead.to_string()),
        ]);
        Self { office, callers, words }
    }

    fn fill(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
    }

    async fn ask(&self, method: &str, path: &str, body: &Value, who: Option<&Who>) -> StatusCode {
        let mut request = Request::builder().method(method.to_uppercase().as_str()).uri(self.fill(path));
        if let Some(who) = who {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", who.token));
        }
        let body = match body {
            Value::Null => Body::empty(),
            Value::String(bytes) => Body::from(bytes.clone()),
            json => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(self.fill(&json.to_string()))
            }
        };
        self.office.send(request.body(body).unwrap()).await.status
    }
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_names_and_nobody_else() {
    let fixture = Fixture::open().await;
    let document = fixture.office.call("GET", "/api/openapi.json", None, Value::Null).await.json();
    let documented: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| operations.as_object().unwrap().iter().map(move |found| (path, found)))
        // What other systems sign asks for no token: tests/events.rs.
        .filter(|(_, (_, operation))| operation["security"][0]["bearer"].is_array())
        .map(|(path, (method, _))| (method.clone(), path.clone()))
        .collect();
    let named: BTreeSet<(String, String)> =
        table().iter().map(|(method, path, ..)| (method.to_string(), path.to_string())).collect();
    assert_eq!(documented, named, "each route that asks who calls has a row, and no other");

    for (method, path, query, body, let_in) in table() {
        let path = format!("{path}{query}");
        let stranger = fixture.ask(method, &path, &body, None).await;
        assert_eq!(stranger, StatusCode::UNAUTHORIZED, "{method} {path} without a token");
        // Those who are refused come first: what the others do changes things.
        for (name, who) in fixture.callers.iter().filter(|(name, _)| !let_in.contains(*name)) {
            let status = fixture.ask(method, &path, &body, Some(who)).await;
            let refused = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&status);
            assert!(refused, "{method} {path} by {name}: {status}");
        }
        for name in let_in {
            let status = fixture.ask(method, &path, &body, Some(&fixture.callers[name])).await;
            // A conflict (decided already, nothing to choose among) is the answer to somebody who may ask.
            let answered = status.is_success() || status == StatusCode::CONFLICT;
            assert!(answered, "{method} {path} by {name}: {status}");
        }
    }
}
