//! Phones on a line that is slow, or breaks, or lets an answer come too late.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::Write;
use std::sync::mpsc::channel;

use fieldbook_core::access::Role;
use fieldbook_core::model::{LeadFields, NewLead};

mod support;

use support::line::{Line, frame_of, head_of};
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
