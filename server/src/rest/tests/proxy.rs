//! Whoever guesses codes is slowed down by network address, and who stands behind the same proxy is not.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;

use super::*;

const CLAIM: &str = "0123456789abcdef";
const PROXY: &str = "10.0.0.1";

/// A try with a wrong code, from `peer`, which says that it came from `forwarded`.
async fn guess(office: &Office, peer: &str, forwarded: &str) -> StatusCode {
    let body = json!({"code": "0000-0000-0000-0000-0000-0000", "claim": CLAIM, "device_name": "手机"});
    let mut request = Request::builder()
        .method("POST")
        .uri("/api/enrol")
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-forwarded-for", forwarded)
        .body(Body::from(body.to_string()))
        .unwrap();
    let peer: IpAddr = peer.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 40_000))));
    office.send(request).await.status
}

/// Who is slowed down after somebody has guessed sixty times.
struct Case {
    trusted: &'static str,
    guesser: (&'static str, &'static str),
    other: (&'static str, &'static str),
    other_waits: bool,
}

#[tokio::test]
async fn behind_the_trusted_proxy_only_whoever_guesses_waits() {
    let cases = [
        // The proxy is trusted: its phones are told apart by what it says last, whatever they wrote before.
        Case {
            trusted: PROXY,
            guesser: (PROXY, "192.0.2.7"),
            other: (PROXY, "192.0.2.8"),
            other_waits: false,
        },
        Case {
            trusted: PROXY,
            guesser: (PROXY, "192.0.2.7"),
            other: (PROXY, "192.0.2.8, 192.0.2.7"),
            other_waits: true,
        },
        Case {
            trusted: PROXY,
            guesser: ("::ffff:10.0.0.1", "192.0.2.7"),
            other: (PROXY, "192.0.2.8"),
            other_waits: false,
        },
        // Rubbish is no address: the proxy's own counts.
        Case { trusted: PROXY, guesser: (PROXY, "unknown"), other: (PROXY, "_hidden"), other_waits: true },
        // Nobody else is believed, and without the key nobody is.
        Case {
            trusted: PROXY,
            guesser: ("10.0.0.2", "192.0.2.7"),
            other: ("10.0.0.2", "192.0.2.8"),
            other_waits: true,
        },
        Case { trusted: "", guesser: (PROXY, "192.0.2.7"), other: (PROXY, "192.0.2.8"), other_waits: true },
    ];
    for Case { trusted, guesser, other, other_waits } in cases {
        let office = Office::open_with(&[("FIELDBOOK_SERVER_TRUSTED_PROXY", trusted)]).await;
        for _ in 0..60 {
            assert_eq!(guess(&office, guesser.0, guesser.1).await, StatusCode::FORBIDDEN);
        }
        assert_eq!(guess(&office, guesser.0, guesser.1).await, StatusCode::TOO_MANY_REQUESTS);
        let expected = if other_waits { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::FORBIDDEN };
        assert_eq!(guess(&office, other.0, other.1).await, expected, "{trusted} {guesser:?} {other:?}");
    }
}

#[tokio::test]
async fn whoever_guesses_codes_keeps_no_phone_from_refreshing() {
    let office = Office::open().await;
    let mut last = StatusCode::OK;
    for _ in 0..61 {
        let body = json!({"code": "0000", "claim": CLAIM, "device_name": "手机"});
        last = office.call("POST", "/api/enrol", None, body).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    for _ in 0..61 {
        let wrong = office.call("POST", "/api/token/refresh", None, json!({"refresh_token": "fbr_00"})).await;
        assert_eq!(wrong.problem(), "refresh_unknown");
    }
    let body = json!({"refresh_token": office.admin.refresh});
    assert_eq!(office.call("POST", "/api/token/refresh", None, body).await.status, StatusCode::OK);
}
