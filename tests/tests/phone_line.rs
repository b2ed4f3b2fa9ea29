//! Phones on a line that is slow, or breaks, or lets an answer come too late.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use fieldbook_core::access::Role;
use fieldbook_core::ids::Hash32;
use fieldbook_core::model::{LeadFields, NewLead};
use fieldbook_device::{Attachment, Error, EvidencePlace};
use sha2::Digest;

mod support;

use support::line::{Line, breaking, frame_of, head_of};
use support::{LONG, Office, Phone};

/// At 45 kbit/s what a week offline made takes half a minute: the server hears the hello before it, and gives up nobody for that.
#[test]
fn the_hello_goes_by_itself_and_the_outbox_rides_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let (tell, frames) = channel();
    let line = Line::to(&office, move |mut call| {
        if !call.head.starts_with("GET /sync") {
            return call.pass();
        }
        call.begin();
        let upgraded = head_of(&mut call.server);
        call.phone.write_all(upgraded.as_bytes()).unwrap();
        // Nothing that the server says has come down yet: both frames left without waiting for it.
        let (hello, behind) = (frame_of(&mut call.phone), frame_of(&mut call.phone));
        let _ = tell.send((hello.len(), behind.len()));
        for frame in [hello, behind] {
            call.server.write_all(&frame).unwrap();
        }
        call.pass_rest();
    });
    let phone = Phone::new(folder.path(), "li");
    phone.book().enrol(&line.invitation(&office, li), "li", LONG, None).unwrap();
    let customers = 40;
    for n in 0..customers {
        let fields = LeadFields {
            customer_name: Some(format!("第{n}医院")),
            contact_phone: Some("13800000000".into()),
            need: Some("采购".into()),
            ..LeadFields::default()
        };
        phone.book().create_lead(&NewLead { fields, ..NewLead::default() }).unwrap();
    }
    assert_eq!(phone.sync().up, customers);
    let (hello, behind) = frames.recv_timeout(LONG).unwrap();
    assert!(hello < 2 << 10, "{hello} bytes before the server knows who calls");
    assert!(behind > hello, "{behind} bytes of {customers} leads");
}

/// What a photograph of several parts looks like to a store that cannot shrink it.
fn pixels(bytes: usize) -> Vec<u8> {
    let mut seed = 0x2545_f491_u32;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed as u8
    };
    (0..bytes).map(|_| next()).collect()
}

#[test]
fn a_photograph_that_a_broken_line_cut_in_half_is_fetched_from_there_on() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let (li, chen) = (office.hire("李销售", Role::Rep), office.hire("陈主管", Role::Manager));
    let phone = office.phone(li, "li");
    let lead = office.lead(li, "眼科医院");
    phone.sync();
    let photo = pixels(2_500_000);
    let what = Attachment { name: "a.jpg".into(), mime: "image/jpeg".into(), ..Attachment::default() };
    phone.book().attach(lead, &what, &photo).unwrap();
    phone.sync();

    let (line, came) = breaking(&office, photo.len() / 2);
    let mut boss = Phone::new(folder.path(), "chen");
    boss.book().enrol(&line.invitation(&office, chen), "chen", LONG, None).unwrap();
    boss.sync();
    let hash = boss.book().lead(lead).unwrap().evidence[0].hash;
    let cut = boss.book().evidence(lead, hash, LONG, None);
    assert!(matches!(cut, Err(Error::Offline(_))), "{cut:?}");
    assert_eq!(boss.book().lead(lead).unwrap().evidence[0].place, EvidencePlace::Elsewhere);
    // Neither an end of the app nor a night on the charger costs anything of it.
    boss.close();
    boss.open();
    boss.book().maintain().unwrap();
    boss.sync();
    assert!(boss.book().evidence(lead, hash, LONG, None).unwrap() == photo);
    let all: usize = came.try_iter().sum();
    assert!(all >= photo.len() && all < photo.len() * 11 / 10, "{all} bytes came for {}", photo.len());
    // It is here now, and passed on as it is once this phone names it.
    assert!(boss.book().evidence(lead, hash, LONG, None).unwrap() == photo);
    boss.book().attach(lead, &what, &photo).unwrap();
    assert_eq!(boss.sync().evidence_up, 1);
    assert_eq!(came.try_iter().count(), 0);
}

/// A server that bears no more half-sent pieces takes the rest of one that is half there, and then has room: the phone goes on with that one
/// in the same run, and takes "no room" for no refusal.
#[test]
fn a_piece_for_which_the_server_has_no_room_yet_goes_behind_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let hash = |bytes: &[u8]| Hash32(sha2::Sha256::digest(bytes).into());
    // Pieces go up in the order of their hashes: only the last is welcome at first.
    let mut pieces: Vec<Vec<u8>> = (0..3u8).map(|n| vec![n; 300_000]).collect();
    pieces.sort_by_key(|bytes| hash(bytes));
    let welcome = hash(&pieces[2]).to_string();
    let (has_room, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let line = {
        let (has_room, refused, of_welcome) = (has_room.clone(), refused.clone(), welcome.clone());
        let room_now = has_room.clone();
        Line::of_requests(
            &office,
            move |head| {
                let sends = head.starts_with("PUT /api/evidence/") && !head.contains(&welcome);
                let no = sends && !room_now.load(Ordering::SeqCst);
                no.then(|| {
                    refused.fetch_add(1, Ordering::SeqCst);
                    let body = r#"{"code":"evidence_uploads","detail":"too many"}"#;
                    let length = body.len();
                    format!(
                        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
                    )
                })
            },
            move |head, answer| {
                if head.contains(&of_welcome) && answer.windows(12).any(|word| word == b"acknowledged") {
                    has_room.store(true, Ordering::SeqCst);
                }
            },
        )
    };
    let phone = Phone::new(folder.path(), "li");
    phone.book().enrol(&line.invitation(&office, li), "li", LONG, None).unwrap();
    let lead = office.lead(li, "妇幼保健院");
    phone.sync();
    let what = Attachment { name: "a.jpg".into(), mime: "image/jpeg".into(), ..Attachment::default() };
    for bytes in &pieces {
        phone.book().attach(lead, &what, bytes).unwrap();
    }
    let report = phone.sync();
    assert_eq!((report.evidence_up, report.evidence_waiting, report.evidence_refused), (3, 0, 0));
    assert!(refused.load(Ordering::SeqCst) > 0, "nothing was sent before there was room");
}

/// A line on which the answer to this request comes when the test says so.
fn late(office: &Office, request: &'static str) -> (Line, Receiver<()>, Sender<()>) {
    let ((tell, asked), (release, released)) = (channel(), channel());
    let released = Mutex::new(released);
    let line = Line::of_requests(
        office,
        |_| None,
        move |head, _| {
            if head.starts_with(request) {
                let _ = tell.send(());
                let _ = released.lock().unwrap().recv();
            }
        },
    );
    (line, asked, release)
}

#[test]
fn tokens_that_come_after_the_phone_left_are_not_kept() {
    for request in ["POST /api/token/refresh", "POST /api/enrol"] {
        let folder = tempfile::tempdir().unwrap();
        let office = Office::start(folder.path());
        let li = office.hire("李销售", Role::Rep);
        let (line, asked, release) = late(&office, request);
        let mut phone = Phone::new(folder.path(), "li");
        if request.ends_with("refresh") {
            phone.book().enrol(&line.invitation(&office, li), "li", LONG, None).unwrap();
        }
        // Of an enrolled phone the server is first asked whether it is signed out, with its refresh token.
        let invitation = line.invitation(&office, li);
        std::thread::scope(|scope| {
            let enrolling = scope.spawn(|| phone.book().enrol(&invitation, "li", LONG, None));
            asked.recv_timeout(LONG).unwrap();
            phone.book().leave(true).unwrap();
            release.send(()).unwrap();
            let end = enrolling.join().unwrap();
            assert!(matches!(end, Err(Error::NotEnrolled)), "{request}: {end:?}");
        });
        for _ in 0..2 {
            assert!(matches!(phone.book().me(), Err(Error::NotEnrolled)), "{request}");
            phone.close();
            phone.open();
        }
        // Whoever gets the phone next enrols it as if nothing had been.
        let wang = office.hire("王销售", Role::Rep);
        phone.book().enrol(&office.invitation(wang), "wang", LONG, None).unwrap();
        assert_eq!(phone.book().me().unwrap().user, wang);
    }
}
