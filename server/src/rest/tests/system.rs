use std::net::SocketAddr;

use axum::extract::ConnectInfo;

use super::*;

/// A request that came from this network address.
fn from(path: &str, peer: [u8; 4], bearer: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().uri(path).extension(ConnectInfo(SocketAddr::from((peer, 1))));
    if let Some(token) = bearer {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn an_invitation_that_is_opened_outside_the_app_says_what_to_do() {
    let office = Office::open().await;
    let page = office.call("GET", "/enrol", None, Value::Null).await;
    assert_eq!(
        (page.status, &page.headers[header::CONTENT_TYPE]),
        (StatusCode::OK, &"text/html; charset=utf-8".parse().unwrap())
    );
    let text = page.text();
    assert!(
        text.contains("请在应用里扫描这个二维码") && text.contains("Scan this code with the app"),
        "{text}"
    );
    // The code behind # stays with the phone: the page runs nothing, loads nothing and names no other page.
    assert!(
        page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'")
    );
    assert!(!text.contains("<script") && !text.contains("http"), "{text}");
}

#[tokio::test]
async fn health_is_for_everybody_and_readiness_ends_before_the_server() {
    let office = Office::open().await;
    assert_eq!(office.call("GET", "/healthz", None, Value::Null).await.text(), "ok\n");
    assert_eq!(office.call("GET", "/readyz", None, Value::Null).await.text(), "ready\n");
    office.app.stopping.send_replace(true);
    assert_eq!(office.call("GET", "/healthz", None, Value::Null).await.status, StatusCode::OK);
    let ready = office.call("GET", "/readyz", None, Value::Null).await;
    assert_eq!((ready.status, ready.problem().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "stopping"));
}

#[tokio::test]
async fn metrics_are_for_this_machine_or_for_who_has_the_token() {
    let office = Office::open().await;
    assert_eq!(office.send(from("/metrics", [10, 0, 0, 1], None)).await.status, StatusCode::FORBIDDEN);
    let local = office.send(from("/metrics", [127, 0, 0, 1], None)).await;
    assert_eq!(local.status, StatusCode::OK);
    assert!(local.text().contains("fieldbook_log_position"), "{}", local.text());
    assert!(local.text().contains("fieldbook_http_requests_total{"), "{}", local.text());
    assert!(!local.text().contains(&office.admin.device.to_string()), "routes, never ids");
    for method in ["AAA1", "AAA2", "TRACE"] {
        office.call(method, "/healthz", None, Value::Null).await;
    }
    let text = office.send(from("/metrics", [127, 0, 0, 1], None)).await.text();
    assert!(text.contains(r#"method="other""#) && !text.contains("AAA") && !text.contains("TRACE"), "{text}");

    let token = "a token for the scraper";
    let guarded = Office::open_with(&[("FIELDBOOK_SERVER_METRICS_TOKEN", token)]).await;
    assert_eq!(guarded.send(from("/metrics", [10, 0, 0, 1], Some(token))).await.status, StatusCode::OK);
    for wrong in [None, Some("another token, as long"), Some(guarded.admin.token.as_str())] {
        assert_eq!(guarded.send(from("/metrics", [127, 0, 0, 1], wrong)).await.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn the_figures_say_as_of_when_and_who_is_silent() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    office.lead("医院", &li).await;
    let stats = office.get("/api/stats", &office.admin).await.json();
    assert_eq!((stats["users"].as_u64(), stats["documents"]["lead"].as_u64()), (Some(2), Some(1)));
    assert_eq!((stats["devices"]["active"].as_u64(), stats["silent_devices"].as_u64()), (Some(2), Some(2)));
    assert_eq!((stats["as_of_ms"].as_i64(), stats["held"].as_u64()), (Some(office.app.now_ms()), Some(0)));
}

#[tokio::test]
async fn the_openapi_document_names_every_route_and_refusal() {
    let office = Office::open().await;
    let document = office.call("GET", "/api/openapi.json", None, Value::Null).await.json();
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/api/enrol",
        "/api/token/refresh",
        "/api/users/{user}/codes",
        "/api/handover",
        "/api/devices/{device}/stolen",
        "/api/leads/import",
        "/api/leads/{lead}/assign",
        "/api/quarantine/{held}",
        "/api/quarantine/{held}/accept",
        "/api/documents/{document}/conflicts/resolve",
        "/api/evidence/{hash}",
        "/api/intake-keys/{key}",
        "/api/v1/leads",
        "/api/v1/events",
        "/api/stats",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(
        (&schemes["bearer"]["scheme"], &schemes["intake_key"]["name"]),
        (&json!("bearer"), &json!("Fieldbook-Key"))
    );
    assert!(document["components"]["schemas"]["Problem"]["properties"]["code"].is_object());
    // Whatever an operation refers to is there.
    let text = document.to_string();
    for name in text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            let open = ["/api/enrol", "/api/token/refresh", "/healthz", "/readyz", "/metrics"]
                .contains(&path.as_str());
            assert_eq!(operation["security"].is_array(), !open, "{method} {path}");
        }
    }
}
