//! The line between phones and a server: a port of its own, and a test that says what becomes of each connection.
#![allow(dead_code, reason = "every test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};

use super::Office;

/// Where phones find the server instead.
pub struct Line {
    port: u16,
}

/// One connection: what the phone said first, and both ends behind that.
pub struct Call {
    /// The first request, up to and with its empty line.
    pub head: String,
    pub phone: TcpStream,
    pub server: TcpStream,
}

impl Line {
    /// A line to the office. `carry` is called for every connection, on a thread of its own; the first request has not been passed on.
    pub fn to(office: &Office, carry: impl Fn(Call) + Send + Sync + 'static) -> Self {
        let server = office.address().replace("http://", "");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let carry = Arc::new(carry);
        std::thread::spawn(move || {
            for phone in listener.incoming() {
                let (Ok(mut phone), Ok(server)) = (phone, TcpStream::connect(&server)) else { return };
                let carry = carry.clone();
                std::thread::spawn(move || {
                    let head = head_of(&mut phone);
                    carry(Call { head, phone, server });
                });
            }
        });
        Self { port }
    }

    /// A line that knows requests; see [`Call::each`]. The websocket passes as it is.
    pub fn of_requests(
        office: &Office,
        instead: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        heard: impl Fn(&str, &[u8]) + Send + Sync + 'static,
    ) -> Self {
        Self::to(office, move |call| match call.head.starts_with("GET /sync") {
            true => call.pass(),
            false => call.each(&instead, &heard),
        })
    }

    /// What the QR code holds when it leads over this line.
    pub fn invitation(&self, office: &Office, user: fieldbook_core::ids::UserId) -> String {
        format!("http://127.0.0.1:{}/enrol#{}", self.port, office.code(user))
    }
}

impl Call {
    /// Passes the first request on.
    pub fn begin(&mut self) {
        let _ = self.server.write_all(self.head.as_bytes());
    }

    /// Everything, both ways, to the end.
    pub fn pass(mut self) {
        self.begin();
        self.pass_rest();
    }

    /// Request by request. Of one for which there is an answer `instead` the server never hears; `heard` gets each other request's head and
    /// the body of the server's answer.
    pub fn each(mut self, instead: impl Fn(&str) -> Option<String>, heard: impl Fn(&str, &[u8])) {
        let mut head = self.head;
        while !head.is_empty() {
            let body = body_of(&head, &mut self.phone);
            let answer = match instead(&head) {
                Some(answer) => answer.into_bytes(),
                None => {
                    self.server.write_all(&[head.as_bytes(), &body].concat()).unwrap();
                    let answered = head_of(&mut self.server);
                    let answer = body_of(&answered, &mut self.server);
                    heard(&head, &answer);
                    [answered.as_bytes(), &answer].concat()
                }
            };
            if self.phone.write_all(&answer).is_err() {
                return;
            }
            head = head_of(&mut self.phone);
        }
    }

    /// Everything behind what was passed on already.
    pub fn pass_rest(self) {
        let Self { mut phone, mut server, .. } = self;
        let (mut up, mut down) = (phone.try_clone().unwrap(), server.try_clone().unwrap());
        let upward = std::thread::spawn(move || copy(&mut up, &mut server));
        copy(&mut down, &mut phone);
        let _ = upward.join();
    }
}

/// The bytes up to and with an empty line; the beginning of a request or answer.
pub fn head_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.extend(byte);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// The body behind a head that says how long it is.
pub fn body_of(head: &str, stream: &mut TcpStream) -> Vec<u8> {
    let mut body = vec![0; length_of(head)];
    stream.read_exact(&mut body).unwrap();
    body
}

fn length_of(head: &str) -> usize {
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.map_or(0, |length| length.parse().unwrap())
}

/// One frame of a websocket as it stands on the wire.
pub fn frame_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut frame = vec![0; 2];
    stream.read_exact(&mut frame).unwrap();
    let more = match frame[1] & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mut long = vec![0; more];
    stream.read_exact(&mut long).unwrap();
    let length = match more {
        0 => usize::from(frame[1] & 0x7f),
        _ => long.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    let mask = if frame[1] & 0x80 == 0 { 0 } else { 4 };
    let mut rest = vec![0; mask + length];
    stream.read_exact(&mut rest).unwrap();
    frame.extend(long);
    frame.extend(rest);
    frame
}

/// A line that breaks once, behind so many bytes of the first piece of evidence that comes down. The receiver gets how many bytes of such came
/// through on each connection.
pub fn breaking(office: &Office, after_bytes: usize) -> (Line, Receiver<usize>) {
    let (tell, came) = channel();
    let broken = AtomicBool::new(false);
    let line = Line::to(office, move |mut call| {
        if !call.head.starts_with("GET /api/evidence/") || call.head.contains("/progress") {
            return call.pass();
        }
        call.begin();
        let head = head_of(&mut call.server);
        call.phone.write_all(head.as_bytes()).unwrap();
        let most = if broken.swap(true, Ordering::SeqCst) { u64::MAX } else { after_bytes as u64 };
        let mut body = (&mut call.server).take(most.min(length_of(&head) as u64));
        let through = std::io::copy(&mut body, &mut call.phone).unwrap();
        let _ = tell.send(through as usize);
        let _ = call.phone.shutdown(Shutdown::Write);
    });
    (line, came)
}

fn copy(from: &mut TcpStream, to: &mut TcpStream) {
    let _ = std::io::copy(from, to);
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
