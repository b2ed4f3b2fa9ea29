//! What a phone may no longer hold is not in its file, read with the key: neither in rows nor in pages that the engine has freed, nor in the journal.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use fieldbook_core::access::Role;
use fieldbook_core::company::DeviceStatus;
use fieldbook_core::ids::DocId;
use fieldbook_core::model::Visit;
use fieldbook_device::{Attachment, Error, LeadQuery};
use fieldbook_engines::{InMemoryBackend, SealedFile, StorageBackend, StoreKey};

mod support;

use support::line::breaking;
use support::{KEY, LONG, Office, Phone};

const CUSTOMER: &str = "静安区中心医院";
const SAID: &str = "院长说明年再议";
const OTHER: &str = "仁济医院";

/// How often a phone's file has a word anywhere, decrypted. The app is closed meanwhile.
fn traces(phone: &mut Phone, words: &[&str]) -> Vec<usize> {
    phone.close();
    let sealed = std::fs::read(phone.path()).unwrap();
    let disk = InMemoryBackend::new();
    disk.set_len(sealed.len() as u64).unwrap();
    disk.write(0, &sealed).unwrap();
    let file = SealedFile::open(disk, &StoreKey(KEY), [0; 32], 0).unwrap();
    let plain = |part: &dyn StorageBackend| {
        let mut bytes = vec![0; part.len().unwrap() as usize];
        part.read(0, &mut bytes).unwrap();
        bytes
    };
    let bytes = [plain(&file.journal), plain(&file.pages)].concat();
    phone.open();
    let count = |word: &&str| bytes.windows(word.len()).filter(|window| *window == word.as_bytes()).count();
    words.iter().map(count).collect()
}

/// A lead is worked on, and a photo is taken.
fn work_on(phone: &Phone, lead: DocId) {
    let visit = Visit {
        customer_state: SAID.into(),
        next_action: "再约".into(),
        expected_close: "2026-09-30".into(),
        ..Visit::default()
    };
    phone.book().log_visit(lead, &visit).unwrap();
    let photo = Attachment { name: "a.jpg".into(), mime: "image/jpeg".into(), ..Attachment::default() };
    phone.book().attach(lead, &photo, PHOTO.repeat(30_000).as_bytes()).unwrap();
}

const PHOTO: &str = "像素";

#[test]
fn a_lead_that_moved_away_is_in_no_page_after_the_next_contact_and_maintenance() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let (li, wang) = (office.hire("李销售", Role::Rep), office.hire("王销售", Role::Rep));
    let chen = office.hire("陈主管", Role::Manager);
    let mut phone = office.phone(li, "li");
    let (gone, stays) = (office.lead(li, CUSTOMER), office.lead(li, OTHER));
    phone.sync();
    work_on(&phone, gone);
    phone.sync();
    let before = traces(&mut phone, &[CUSTOMER, SAID, PHOTO, OTHER]);
    assert!(before.iter().all(|times| *times > 0), "the test looks in the wrong place: {before:?}");

    office.assign(gone, wang, chen);
    phone.sync();
    phone.sync();
    assert_eq!(phone.leads("").len(), 1);
    phone.book().maintain().unwrap();
    let after = traces(&mut phone, &[CUSTOMER, SAID, PHOTO, OTHER]);
    assert_eq!(after[..3], [0, 0, 0], "{after:?}");
    assert!(after[3] > 0 && phone.book().lead(stays).is_ok());
    // The new file is as good as the old one.
    phone.book().tick(stays, "budget_approval", true).unwrap();
    phone.sync();
    phone.close();
    phone.open();
    assert_eq!(phone.book().leads(&LeadQuery::default()).unwrap()[0].index, 33);
}

#[test]
fn a_phone_that_was_wiped_has_nothing_in_its_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    for (name, status) in
        [("lost", Some(DeviceStatus::Revoked)), ("stolen", Some(DeviceStatus::Stolen)), ("left", None)]
    {
        let mut phone = office.phone(li, name);
        let lead = office.lead(li, CUSTOMER);
        phone.sync();
        work_on(&phone, lead);
        phone.sync();
        match status {
            Some(status) => {
                let device = phone.book().me().unwrap().device;
                office.app().company.set_device_status(device, status, office.app().now_ms()).unwrap();
                assert!(matches!(phone.book().sync_now(LONG, None), Err(Error::Wiped)));
            }
            None => phone.book().leave(false).unwrap(),
        }
        assert_eq!(traces(&mut phone, &[CUSTOMER, SAID, PHOTO]), [0, 0, 0], "{name}");
    }
}

#[test]
fn half_a_photograph_goes_with_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let (li, wang) = (office.hire("李销售", Role::Rep), office.hire("王销售", Role::Rep));
    let chen = office.hire("陈主管", Role::Manager);
    let first = office.phone(li, "first");
    let (here, there) = (office.lead(li, CUSTOMER), office.lead(li, OTHER));
    first.sync();
    work_on(&first, here);
    work_on(&first, there);
    first.sync();
    for leaves in [false, true] {
        let lead = if leaves { there } else { here };
        let (line, _came) = breaking(&office, 100_000);
        let name = if leaves { "leaves" } else { "loses the lead" };
        let mut second = Phone::new(folder.path(), name);
        second.book().enrol(&line.invitation(&office, li), name, LONG, None).unwrap();
        second.sync();
        let hash = second.book().lead(lead).unwrap().evidence[0].hash;
        assert!(matches!(second.book().evidence(lead, hash, LONG, None), Err(Error::Offline(_))));
        let [before] = traces(&mut second, &[PHOTO])[..] else { unreachable!() };
        assert!(before > 10_000, "{name}: {before}");
        if leaves {
            second.book().leave(false).unwrap();
        } else {
            office.assign(lead, wang, chen);
            second.sync();
            second.sync();
            second.book().maintain().unwrap();
        }
        assert_eq!(traces(&mut second, &[PHOTO]), [0], "{name}");
    }
}
