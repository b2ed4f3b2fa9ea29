//! Evidence on its way up from real phones: no bytes are lost before the server has them, whatever happens to the phone, its network,
//! or the leads that name them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use fieldbook_core::access::Role;
use fieldbook_core::company::DeviceStatus;
use fieldbook_core::ids::{DocId, Hash32};
use fieldbook_core::model::LeadFields;
use fieldbook_device::{Attachment, Error, EvidencePlace, Network};

mod support;

use support::{LONG, Office, Phone};

fn photo(unmetered_only: bool) -> Attachment {
    Attachment {
        name: "现场.jpg".into(), mime: "image/jpeg".into(), unmetered_only, ..Attachment::default()
    }
}

fn hash(phone: &Phone, lead: DocId) -> Hash32 {
    phone.book().lead(lead).unwrap().evidence[0].hash
}

/// An act after which the one before it cannot be undone any more.
fn another_act(phone: &Phone, lead: DocId) {
    let brand = LeadFields { brand: Some("联影".into()), ..LeadFields::default() };
    phone.book().edit_lead(lead, &brand, &[]).unwrap();
}

#[test]
fn a_revoked_phone_does_not_spare_its_mobile_data() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let phone = office.phone(li, "li");
    let lead = office.lead(li, "中医院");
    phone.sync();
    phone.book().set_network(Network::Metered).unwrap();
    phone.book().attach(lead, &photo(true), &b"the signed form".repeat(40_000)).unwrap();
    assert_eq!(phone.sync().evidence_waiting, 1);
    let (hash, device) = (hash(&phone, lead), phone.book().me().unwrap().device);
    office.app().company.set_device_status(device, DeviceStatus::Revoked, office.app().now_ms()).unwrap();
    assert!(matches!(phone.book().sync_now(LONG, None), Err(Error::Wiped)));
    assert!(office.app().evidence.acknowledged(hash).unwrap(), "the server had it before the wipe");
}

#[test]
fn photographs_wait_until_the_app_knows_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let phone = office.phone(li, "li");
    let lead = office.lead(li, "口腔医院");
    phone.sync();
    phone.book().attach(lead, &photo(true), b"large").unwrap();
    phone.book().attach(lead, &photo(false), b"small").unwrap();
    let report = phone.sync();
    assert_eq!((report.evidence_up, report.evidence_waiting), (1, 1), "{report:?}");
    phone.book().set_network(Network::Unmetered).unwrap();
    assert_eq!(phone.sync().evidence_up, 1);
}

#[test]
fn a_piece_that_the_server_refuses_keeps_nothing_back() {
    let folder = tempfile::tempdir().unwrap();
    let bound = [("FIELDBOOK_EVIDENCE_MAX_BYTES", "65536".to_owned())];
    let office = Office::start_with(folder.path(), &bound);
    let li = office.hire("李销售", Role::Rep);
    let phone = office.phone(li, "li");
    let (lead, small_ones) = (office.lead(li, "肿瘤医院"), office.lead(li, "胸科医院"));
    phone.sync();
    phone.book().attach(lead, &photo(false), &[7; 70_000]).unwrap();
    // Pieces go up in the order of their hashes: some of these come behind the large one.
    for n in 0..8u8 {
        phone.book().attach(small_ones, &photo(false), &[n; 100]).unwrap();
    }
    let report = phone.sync();
    assert_eq!((report.evidence_up, report.evidence_waiting, report.evidence_refused), (8, 0, 1));
    assert_eq!(phone.book().lead(lead).unwrap().evidence[0].place, EvidencePlace::Refused);
    let status = phone.book().status().unwrap();
    assert_eq!((status.evidence_waiting, status.evidence_refused), (0, 1));
    assert!(matches!(phone.book().leave(false), Err(Error::Invalid(_))), "it is still work of this phone");

    // Nor does it keep a lost phone from being wiped: nobody can do more about it than has been tried.
    let device = phone.book().me().unwrap().device;
    office.app().company.set_device_status(device, DeviceStatus::Revoked, office.app().now_ms()).unwrap();
    assert!(matches!(phone.book().sync_now(LONG, None), Err(Error::Wiped)));
}

#[test]
fn what_a_lead_that_moved_away_names_goes_up_whatever_another_lead_says() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let (li, wang) = (office.hire("李销售", Role::Rep), office.hire("王销售", Role::Rep));
    let chen = office.hire("陈主管", Role::Manager);
    let phone = office.phone(li, "li");
    let (here, moved) = (office.lead(li, "东院"), office.lead(li, "西院"));
    phone.sync();
    phone.book().attach(here, &photo(true), b"one photograph, two leads").unwrap();
    phone.book().undo().unwrap();
    phone.book().attach(moved, &photo(true), b"one photograph, two leads").unwrap();
    let hash = hash(&phone, moved);
    assert_eq!(phone.sync().evidence_waiting, 1);
    office.assign(moved, wang, chen);
    phone.sync();
    assert!(matches!(phone.book().lead(moved), Err(Error::NotFound(_))));
    phone.book().set_network(Network::Unmetered).unwrap();
    assert_eq!(phone.sync().evidence_up, 1);
    assert!(office.app().evidence.acknowledged(hash).unwrap());
}

#[test]
fn an_attachment_that_undo_brings_back_still_has_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let phone = office.phone(li, "li");
    let lead = office.lead(li, "儿童医院");
    phone.sync();
    phone.book().attach(lead, &photo(false), b"taken back, and again").unwrap();
    let hash = hash(&phone, lead);
    phone.book().undo().unwrap();
    assert!(phone.book().lead(lead).unwrap().evidence.is_empty());
    assert_eq!(phone.sync().evidence_up, 0);
    phone.book().undo().unwrap();
    assert_eq!(phone.book().lead(lead).unwrap().evidence[0].place, EvidencePlace::Waiting);
    assert_eq!(phone.sync().evidence_up, 1);
    assert!(office.app().evidence.acknowledged(hash).unwrap());

    // Taken back for good, and never sent: then the bytes go.
    phone.book().attach(lead, &photo(true), b"not this one").unwrap();
    phone.book().undo().unwrap();
    phone.sync();
    assert_eq!(phone.book().status().unwrap().evidence_waiting, 1, "undo may still bring it back");
    another_act(&phone, lead);
    phone.sync();
    assert_eq!(phone.book().status().unwrap().evidence_waiting, 0);
}

#[test]
fn what_a_phone_only_fetched_it_sends_once_it_names_it_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::start(folder.path());
    let (li, wang) = (office.hire("李销售", Role::Rep), office.hire("王销售", Role::Rep));
    let chen = office.hire("陈主管", Role::Manager);
    let (phone, boss, other) =
        (office.phone(li, "li"), office.phone(chen, "chen"), office.phone(wang, "wang"));
    let (first, second) = (office.lead(li, "口腔医院"), office.lead(wang, "眼科医院"));
    for each in [&phone, &boss, &other] {
        each.sync();
    }
    phone.book().attach(first, &photo(false), b"a price list").unwrap();
    let hash = hash(&phone, first);
    phone.sync();
    boss.sync();
    boss.book().evidence(first, hash, LONG, None).unwrap();
    let backup = office.backup("backup");
    let old = office.data_folder();
    office.restore(&backup, Some(&old));
    let report = boss.sync();
    assert_eq!(
        (report.evidence_up, report.evidence_waiting),
        (0, 0),
        "a copy for reading is offered to nobody"
    );

    // The manager passes it on to a colleague, who does not see the first lead.
    boss.book().attach(second, &photo(false), b"a price list").unwrap();
    assert_eq!(boss.book().lead(second).unwrap().evidence[0].place, EvidencePlace::Waiting);
    assert_eq!(boss.sync().evidence_up, 1);
    other.sync();
    assert_eq!(other.book().evidence(second, hash, LONG, None).unwrap(), b"a price list");
}
