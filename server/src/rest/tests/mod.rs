//! The REST face as its callers see it: whole requests through the router, against a company in memory, on a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use fieldbook_core::ids::{DeviceId, UserId};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::app::{App, Clock};
use crate::backup::{Reapplied, restore};
use crate::config::Config;
use crate::engine::Engine;

mod access;
mod events;
mod evidence;
mod intake;
mod leads;
mod people;
mod phone;
mod progress;
mod proxy;
mod restored;
mod review;
mod rules;
mod sign_in;
mod system;

struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A company with an administrator who is signed in.
struct Office {
    app: Arc<App>,
    router: Router,
    clock: Arc<TestClock>,
    admin: Who,
    _folder: tempfile::TempDir,
}

/// Somebody signed in at a phone.
#[derive(Clone)]
struct Who {
    user: UserId,
    device: DeviceId,
    token: String,
    refresh: String,
}

/// An answer.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of a refusal, which must be a whole problem.
    fn problem(&self) -> String {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{}", self.text());
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16());
        assert!(body["detail"].as_str().is_some_and(|d| !d.is_empty()));
        body["code"].as_str().unwrap().to_owned()
    }
}

impl Office {
    async fn open() -> Self {
        Self::open_with(&[]).await
    }

    async fn open_with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data").display().to_string();
        let mut variables = vec![("FIELDBOOK_SERVER_DATA_DIR".to_owned(), data_dir)];
        variables.push(("FIELDBOOK_SERVER_PUBLIC_URL".to_owned(), "https://crm.example".to_owned()));
        variables.extend(settings.iter().map(|(k, v)| (k.to_string(), v.to_string())));
        let config = Config::load(None, variables).unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(1_790_000_000_000)));
        let app = App::open_on(Engine::in_memory().unwrap(), config, clock.clone()).unwrap();
        let code = app.bootstrap("管理员", false).unwrap().text;
        let router = crate::rest::router(app.clone());
        let nobody = Who {
            user: UserId([0; 8]),
            device: DeviceId([0; 8]),
            token: String::new(),
            refresh: String::new(),
        };
        let mut office = Self { app, router, clock, admin: nobody, _folder: folder };
        office.admin = office.enrol(&code, "admin's laptop").await;
        office
    }

    /// The company restored from a backup into a folder of its own, with the tombstones of the old server or without.
    fn restored(&self, backup: &std::path::Path, with_tombstones: bool) -> (Self, Reapplied) {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data_dir: folder.path().join("data"), ..self.app.config.clone() };
        let buried = with_tombstones.then_some(self.app.config.data_dir.as_path());
        let reapplied = restore(&config, backup, buried).unwrap().reapplied;
        let app = App::open(config, self.clock.clone()).unwrap();
        let router = crate::rest::router(app.clone());
        let (clock, admin) = (self.clock.clone(), self.admin.clone());
        (Self { app, router, clock, admin, _folder: folder }, reapplied)
    }

    fn pass(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Reply { status: parts.status, headers: parts.headers, body }
    }

    async fn call(&self, method: &str, path: &str, who: Option<&Who>, body: Value) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(who) = who {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", who.token));
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
        };
        self.send(request.body(body).unwrap()).await
    }

    async fn get(&self, path: &str, who: &Who) -> Reply {
        self.call("GET", path, Some(who), Value::Null).await
    }

    async fn post(&self, path: &str, who: &Who, body: Value) -> Reply {
        self.call("POST", path, Some(who), body).await
    }

    /// Sends bytes.
    async fn bytes(&self, method: &str, path: &str, who: &Who, bytes: &[u8]) -> Reply {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", who.token));
        self.send(request.body(Body::from(bytes.to_vec())).unwrap()).await
    }

    async fn enrol(&self, code: &str, name: &str) -> Who {
        let claim = format!("claim of {name:0>20}");
        let reply = self
            .call("POST", "/api/enrol", None, json!({"code": code, "claim": claim, "device_name": name}))
            .await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        who(&reply.json())
    }

    /// A new user with a phone.
    async fn person(&self, name: &str, role: &str, team: Option<&str>) -> Who {
        let admin = &self.admin;
        let user = self.post("/api/users", admin, json!({"name": name, "role": role, "team": team})).await;
        assert_eq!(user.status, StatusCode::CREATED, "{}", user.text());
        let id = user.json()["id"].as_str().unwrap().to_owned();
        let code = self.post(&format!("/api/users/{id}/codes"), admin, Value::Null).await;
        self.enrol(code.json()["code"].as_str().unwrap(), name).await
    }

    async fn team(&self, name: &str, parent: Option<&str>, leaders: &[&Who]) -> String {
        let leaders: Vec<UserId> = leaders.iter().map(|who| who.user).collect();
        let body = json!({"name": name, "parent": parent, "leaders": leaders});
        let team = self.post("/api/teams", &self.admin, body).await;
        assert_eq!(team.status, StatusCode::CREATED, "{}", team.text());
        team.json()["id"].as_str().unwrap().to_owned()
    }

    /// A new lead of somebody.
    async fn lead(&self, name: &str, owner: &Who) -> String {
        let body = json!({"fields": {"customer_name": name}, "owner": owner.user});
        let lead = self.post("/api/leads", &self.admin, body).await;
        assert_eq!(lead.status, StatusCode::CREATED, "{}", lead.text());
        lead.json()["id"].as_str().unwrap().to_owned()
    }
}

/// Reads who was enrolled.
fn who(body: &Value) -> Who {
    let text = |key: &str| body[key].as_str().unwrap_or_else(|| panic!("no {key} in {body}")).to_owned();
    Who {
        user: text("user").parse().unwrap(),
        device: text("device").parse().unwrap(),
        token: text("access_token"),
        refresh: text("refresh_token"),
    }
}
