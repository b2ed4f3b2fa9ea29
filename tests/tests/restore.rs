//! A server that comes back from a backup, and a phone that does: nobody is locked out who may come, nothing that a phone holds is
//! stranded, and what had ended stays ended.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::path::{Path, PathBuf};

use fieldbook_core::access::Role;
use fieldbook_core::company::DeviceStatus;
use fieldbook_core::ids::{DocId, UserId};
use fieldbook_core::model::LeadFields;
use fieldbook_device::{Attachment, Error, EvidencePlace, Language, Me};
use fieldbook_server::auth::Entropy;
use fieldbook_server::backup::Reapplied;

mod support;

use support::{LONG, Office, Phone};

fn set_brand(phone: &Phone, lead: DocId, brand: &str) {
    let fields = LeadFields { brand: Some(brand.into()), ..LeadFields::default() };
    phone.book().edit_lead(lead, &fields, &[]).unwrap();
}

fn enrol_again(office: &Office, phone: &Phone, user: UserId) -> Result<Me, Error> {
    phone.book().enrol(&office.invitation(user), "手机", LONG, None)
}

/// The phone exchanges its refresh token: before it spends a code, it asks whether its sign-in is over, and hears that it is not.
fn refresh(office: &Office, phone: &Phone, user: UserId) {
    let refused = enrol_again(office, phone, user).unwrap_err();
    assert!(matches!(refused, Error::AlreadyEnrolled), "{refused:?}");
}

/// Makes every access token that is out worthless, so that the next contact of a phone needs its refresh token.
fn distrust_keys(office: &Office) {
    let app = office.app();
    app.auth.rotate_keys(app.now_ms(), &mut Entropy::from_system(), true).unwrap();
}

/// The file of a phone's store, with the mark beside it, as a backup of the whole phone takes both.
fn copy_store(from: &Path, to: &Path) {
    let mark = |path: &Path| PathBuf::from(format!("{}.mark", path.display()));
    std::fs::copy(from, to).unwrap();
    std::fs::copy(mark(from), mark(to)).unwrap();
}

fn signed_out(phone: &Phone) {
    let error = phone.book().sync_now(LONG, None).unwrap_err();
    assert!(matches!(error, Error::SignedOut(_)), "{error:?}");
}

#[test]
fn a_phone_that_refreshed_since_the_backup_goes_on_by_itself_and_brings_back_what_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let phone = office.phone(li, "li");
    let lead = office.lead(li, "北京协和医院");
    phone.sync();
    let backup = office.backup("backup");

    // The month's rotation falls between backup and restore: the restored server verifies no access token of these days, so that the phone
    // needs its refresh token at the next contact.
    office.app().auth.rotate_keys(office.app().now_ms(), &mut Entropy::from_system(), false).unwrap();
    refresh(&office, &phone, li);
    refresh(&office, &phone, li);
    set_brand(&phone, lead, "联影");
    phone.sync();
    assert_eq!(phone.book().status().unwrap().unanswered, 0, "acknowledged, so the phone's outbox forgot it");

    let old = office.data_folder();
    office.restore(&backup, Some(&old));
    assert_eq!(office.value(lead, "brand"), None, "the backup is from before");
    phone.sync();
    assert_eq!(office.value(lead, "brand").as_deref(), Some("联影"));
    // Afterwards all is as ever, for the next token too.
    refresh(&office, &phone, li);
    set_brand(&phone, lead, "西门子");
    phone.sync();
    assert_eq!(office.value(lead, "brand").as_deref(), Some("西门子"));
}

#[test]
fn a_phone_put_back_to_an_older_copy_comes_back_by_a_code_with_its_outbox() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let (li, wang) = (office.hire("李销售", Role::Rep), office.hire("王销售", Role::Rep));
    let mut phone = office.phone(li, "li");
    let (seen, other) = (office.lead(li, "瑞金医院"), office.lead(li, "华山医院"));
    phone.sync();
    let device = phone.book().me().unwrap().device;
    phone.close();
    let copy = folder.path().join("copy");
    copy_store(phone.path(), &copy);
    phone.open();
    refresh(&office, &phone, li);
    refresh(&office, &phone, li);
    set_brand(&phone, seen, "联影");
    phone.sync();

    // The phone falls into the water; its cloud brings back an older state, in which the rep works on.
    phone.close();
    copy_store(&copy, phone.path());
    phone.open();
    set_brand(&phone, other, "东软");
    distrust_keys(&office);
    signed_out(&phone);
    assert_eq!(phone.book().status().unwrap().unanswered, 1);

    // Somebody else's code opens nothing here, and is not spent by that.
    let foreign = office.invitation(wang);
    let refused = phone.book().enrol(&foreign, "手机", LONG, None).unwrap_err();
    assert!(matches!(refused, Error::SomebodyElse), "{refused:?}");
    let said = [Language::Chinese, Language::English].map(|language| refused.text(language));
    assert!(said[0].contains("为您本人生成登记码") && said[1].contains("code in your own name"), "{said:?}");
    let fresh = Phone::new(folder.path(), "wang");
    fresh.book().enrol(&foreign, "手机", LONG, None).unwrap();

    assert_eq!(enrol_again(&office, &phone, li).unwrap().device, device, "it stays the device that it is");
    let report = phone.sync();
    assert_eq!((report.up, report.set_aside), (1, 0), "{report:?}");
    assert_eq!(office.value(other, "brand").as_deref(), Some("东软"));
    assert_eq!(
        phone.book().lead(seen).unwrap().fields.brand.as_deref(),
        Some("联影"),
        "and the server's news came"
    );
    assert_eq!(phone.book().phones(LONG, None).unwrap().len(), 1);
}

#[test]
fn a_phone_that_was_enrolled_after_the_backup_comes_back_by_a_code_as_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::start(folder.path());
    let (li, wang) = (office.hire("李销售", Role::Rep), office.hire("王销售", Role::Rep));
    let backup = office.backup("backup");
    let phone = office.phone(li, "li");
    let device = phone.book().me().unwrap().device;
    let given = office.lead(li, "中山医院");
    phone.sync();
    set_brand(&phone, given, "联影");
    phone.sync();

    let old = office.data_folder();
    office.restore(&backup, Some(&old));
    set_brand(&phone, given, "西门子");
    signed_out(&phone);
    assert!(matches!(enrol_again(&office, &phone, wang), Err(Error::SomebodyElse)));
    assert_eq!(enrol_again(&office, &phone, li).unwrap().device, device);
    phone.sync();
    assert_eq!(phone.book().status().unwrap().unanswered, 0);
    assert_eq!(
        office.value(given, "brand").as_deref(),
        Some("西门子"),
        "the lead, too, the backup had never seen"
    );
}

#[test]
fn somebody_who_was_hired_after_the_backup_comes_back_under_the_id_that_they_had() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::start(folder.path());
    let (admin, li) = (office.hire("管理员", Role::Admin), office.hire("李销售", Role::Rep));
    let token = office.sign_in(admin);
    let backup = office.backup("backup");
    let (hired, left) = (office.hire("新同事", Role::Rep), office.hire("过客", Role::Rep));
    let body = |active: bool| format!(r#"{{"name":"新同事","role":"rep","active":{active}}}"#);
    let put = |office: &Office, user: UserId, active: bool| {
        office.request("PUT", &format!("/api/users/{user}"), Some(&token), &body(active))
    };
    // Before a restore nobody is made under a foreign id.
    assert_eq!(put(&office, UserId([5; 8]), true).0, 404);
    assert_eq!(put(&office, left, false).0, 200);
    let phone = office.phone(hired, "hired");
    let device = phone.book().me().unwrap().device;
    let lead = office.lead(hired, "中山医院");
    phone.sync();
    set_brand(&phone, lead, "联影");
    phone.sync();

    let old = office.data_folder();
    office.restore(&backup, Some(&old));
    set_brand(&phone, lead, "西门子");
    signed_out(&phone);
    // No code for them can be made, and one of somebody else tells which id is missing, to the phone's user and to the office.
    assert_eq!(office.request("POST", &format!("/api/users/{hired}/codes"), Some(&token), "").0, 404);
    let refused = enrol_again(&office, &phone, li).unwrap_err();
    assert!(matches!(refused, Error::Forgotten(user) if user == hired), "{refused:?}");
    for language in [Language::Chinese, Language::English] {
        assert!(refused.text(language).contains(&hired.to_string()));
    }
    let (status, said) = put(&office, hired, true);
    assert_eq!(status, 201, "{said}");
    assert!(said.contains(&hired.to_string()), "{said}");
    assert_eq!(enrol_again(&office, &phone, hired).unwrap().device, device);
    phone.sync();
    assert_eq!(phone.book().status().unwrap().unanswered, 0);
    assert_eq!(office.value(lead, "brand").as_deref(), Some("西门子"));

    // Who had left does not come back by a slip of the hand.
    let (status, said) = put(&office, left, true);
    assert_eq!(status, 409, "{said}");
    assert_eq!((put(&office, left, false).0, put(&office, left, true).0), (201, 200));
    assert!(!office.app().tombstones.has_user(left), "and the next restore lets them in as well");
}

#[test]
fn what_was_stolen_after_the_backup_stays_stolen() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let (old_phone, mine) = (office.phone(li, "old"), office.phone(li, "mine"));
    let lead = office.lead(li, "长海医院");
    old_phone.sync();
    let backup = office.backup("backup");
    let late = office.phone(li, "late");
    for stolen in [&old_phone, &late] {
        let device = stolen.book().me().unwrap().device;
        mine.book().end_phone(device, true, LONG, None).unwrap();
    }

    let old = office.data_folder();
    let reapplied = office.restore(&backup, Some(&old));
    assert!(matches!(reapplied, Reapplied::All(stones) if stones >= 2), "{reapplied:?}");
    let error = old_phone.book().sync_now(LONG, None).unwrap_err();
    assert!(matches!(error, Error::Wiped), "{error:?}");
    // The backup has never heard of the other: no code lets it in, as whoever it was.
    signed_out(&late);
    let refused = enrol_again(&office, &late, li).unwrap_err();
    assert!(matches!(refused, Error::SignedOut(_)), "{refused:?}");
    mine.sync();
    assert!(mine.book().lead(lead).is_ok());
}

#[test]
fn evidence_that_the_restored_server_lost_goes_up_again_from_the_phone_that_held_it_as_safe() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let phone = office.phone(li, "li");
    let lead = office.lead(li, "儿童医院");
    let photo = Attachment { name: "现场.jpg".into(), mime: "image/jpeg".into(), ..Attachment::default() };
    phone.sync();
    phone.book().attach(lead, &photo, b"of before").unwrap();
    phone.sync();
    let backup = office.backup("backup");
    phone.book().attach(lead, &photo, &b"of after".repeat(40_000)).unwrap();
    assert_eq!(phone.sync().evidence_up, 1);
    let places = || phone.book().lead(lead).unwrap().evidence.into_iter().map(|piece| piece.place);
    assert!(places().all(|place| place == EvidencePlace::Safe));
    let hashes: Vec<_> = phone.book().lead(lead).unwrap().evidence.iter().map(|piece| piece.hash).collect();

    let old = office.data_folder();
    office.restore(&backup, Some(&old));
    let has = |office: &Office| {
        hashes.iter().filter(|hash| office.app().evidence.acknowledged(**hash).unwrap()).count()
    };
    assert_eq!(has(&office), 1, "the backup is from before the second");
    let report = phone.sync();
    assert_eq!((report.evidence_waiting, has(&office)), (0, 2), "{report:?}");
    assert_eq!(report.evidence_bytes, 8 * 40_000, "the server was asked for the other one, and had it");
    assert!(places().all(|place| place == EvidencePlace::Safe));
    assert_eq!(phone.sync().evidence_up, 0, "once");
}

#[test]
fn a_phone_that_is_revoked_after_a_restore_gives_back_its_evidence_before_it_is_wiped() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let phone = office.phone(li, "li");
    let lead = office.lead(li, "儿童医院");
    let photo = Attachment { name: "现场.jpg".into(), mime: "image/jpeg".into(), ..Attachment::default() };
    phone.sync();
    let backup = office.backup("backup");
    phone.book().attach(lead, &photo, b"of after").unwrap();
    phone.sync();
    let hash = phone.book().lead(lead).unwrap().evidence[0].hash;
    let device = phone.book().me().unwrap().device;

    let old = office.data_folder();
    office.restore(&backup, Some(&old));
    office.app().company.set_device_status(device, DeviceStatus::Revoked, office.app().now_ms()).unwrap();
    assert!(matches!(phone.book().sync_now(LONG, None), Err(Error::Wiped)));
    assert!(office.app().evidence.acknowledged(hash).unwrap());
}
