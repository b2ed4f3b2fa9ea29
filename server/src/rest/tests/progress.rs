//! Bodies that stand still, over a real socket.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A server that waits a moment for the next byte of a body.
async fn listening(office: &Office) -> SocketAddr {
    let router = crate::rest::router_within(office.app.clone(), STALL);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum_server::from_tcp(listener.into_std().unwrap()).unwrap();
    tokio::spawn(server.serve(service));
    address
}

/// Sends a head that announces `length` bytes.
async fn begin(to: SocketAddr, method: &str, path: &str, who: &Who, kind: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n",
        who.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_body_that_stands_still_is_given_up_with_its_connection() {
    let office = Office::open().await;
    let address = listening(&office).await;
    let evidence = format!("/api/evidence/{}?total=100&offset=0", "ab".repeat(32));
    for (method, path, kind) in [
        ("POST", "/api/users", "application/json"),
        ("POST", "/api/leads/import", "text/csv"),
        ("PUT", evidence.as_str(), "application/octet-stream"),
    ] {
        let mut stream = begin(address, method, path, &office.admin, kind, 100).await;
        stream.write_all(&[b'x'; 50]).await.unwrap();
        // The end of the answer is the end of the connection.
        let mut answer = String::new();
        let ended = tokio::time::timeout(20 * STALL, stream.read_to_string(&mut answer)).await;
        assert!(ended.is_ok(), "{path} keeps its connection: {answer}");
        assert!(answer.starts_with("HTTP/1.1 408 "), "{path}: {answer}");
        assert!(answer.contains(r#""code":"request_stalled""#), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_comes_slowly_arrives() {
    let office = Office::open().await;
    let address = listening(&office).await;
    let body = json!({"name": "慢慢来", "role": "rep"}).to_string();
    let mut stream =
        begin(address, "POST", "/api/users", &office.admin, "application/json", body.len()).await;
    // Together longer than the bound, each piece well within it.
    let pieces: Vec<&[u8]> = body.as_bytes().chunks(body.len().div_ceil(4)).collect();
    for piece in pieces {
        tokio::time::sleep(STALL / 2).await;
        stream.write_all(piece).await.unwrap();
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
}

/// Long enough for a loaded machine between two pieces, short enough for a test.
const STALL: Duration = Duration::from_millis(1_500);
