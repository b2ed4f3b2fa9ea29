//! The operator's door of a server that has no file left to open: it stays shut no longer than that.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![cfg(target_os = "linux")]

use std::net::TcpStream;
use std::time::Instant;

use fieldbook_server::control::{self, Order};

mod support;

use support::{LONG, Server, code, free_port, http};

/// Waits until this holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LONG, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn an_order_that_could_not_be_taken_waits_and_is_carried_out() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    code(folder.path(), port, &[]);
    let log = folder.path().join("log");
    let limit = format!("ulimit -n {OPEN_FILES}; ");
    let said = std::fs::File::create(&log).unwrap();
    let server = Server::start_under(folder.path(), port, &limit, Some((said, "warn")));
    // More than it can take: whoever is hung up on for silence is followed by the next.
    let crowd: Vec<TcpStream> =
        (0..OPEN_FILES + WAITING).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    until("the crowd takes every file", || server.open_files() >= OPEN_FILES);

    let data_dir = folder.path().join("server");
    let ask = || {
        let data_dir = data_dir.clone();
        std::thread::spawn(move || control::ask(&data_dir, &Order::RotateKeys { distrust: false }))
    };
    // One may slip in where somebody was hung up on.
    let mut orders = vec![ask()];
    until("the server says that it could not take an order", || {
        if orders.last().is_some_and(std::thread::JoinHandle::is_finished) {
            orders.push(ask());
        }
        std::fs::read_to_string(&log).unwrap().contains("an operator's order was not answered")
    });
    drop(crowd);
    for order in orders {
        order.join().unwrap().expect("the door is open").expect("the order is carried out");
    }
    assert_eq!(http(port, "GET", "/healthz", "", &serde_json::Value::Null).0, 200);
    server.stop();
}

/// What the server may have open: some more than it needs for itself.
const OPEN_FILES: usize = 128;
/// Who waits to be taken; a listener's queue has room for them.
const WAITING: usize = 64;
