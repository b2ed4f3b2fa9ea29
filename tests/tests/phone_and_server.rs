//! Real phones and a real server on this machine: the facade that apps use, the websocket, both disks.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use fieldbook_core::access::Role;
use fieldbook_core::company::DeviceStatus;
use fieldbook_core::document::Value;
use fieldbook_core::ids::{DeviceId, DocId};
use fieldbook_core::model::{AccountFields, CalendarEntry, Contact, LeadFields, NewAccount, NewLead, Visit};
use fieldbook_device::{Attachment, CancelToken, Error, EvidencePlace, Happening, Network};

mod support;

use support::{KEY, LONG, Office, Phone};

fn new_lead(customer: &str) -> NewLead {
    let fields = LeadFields {
        customer_name: Some(customer.into()),
        contact_phone: Some("13900000000".into()),
        need: Some("采购".into()),
        ..LeadFields::default()
    };
    NewLead { fields, ..NewLead::default() }
}

fn visit(next_action: &str) -> Visit {
    Visit {
        customer_state: "张院长说3月启动招标".into(),
        next_action: next_action.into(),
        expected_close: "2026-09-30".into(),
        note: "CT机房在二楼".into(),
        ..Visit::default()
    }
}

#[test]
fn an_edit_without_signal_survives_both_restarts_and_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::start(folder.path());
    let (li, chen) = (office.hire("李销售", Role::Rep), office.hire("陈主管", Role::Manager));
    let mut phone = office.phone(li, "li");
    let boss = office.phone(chen, "chen");
    let given = office.lead(li, "北京协和医院");
    let report = phone.sync();
    assert!(report.down >= 1 && report.round_trips >= 1 && report.bytes_down > 0, "{report:?}");
    assert_eq!(phone.leads("xiehe").len(), 1);

    // In the basement: no server at all.
    office.close();
    let lead = phone.book().create_lead(&new_lead("瑞金医院")).unwrap();
    phone.book().log_visit(lead, &visit("确认CT机安装场地尺寸")).unwrap();
    phone.book().tick(lead, "decision_maker", true).unwrap();
    phone
        .book()
        .edit_lead(given, &LeadFields { brand: Some("联影".into()), ..LeadFields::default() }, &[])
        .unwrap();
    assert_eq!(phone.book().status().unwrap().unanswered, 4);
    assert!(matches!(phone.book().sync_now(LONG, None), Err(Error::Offline(_))));

    // The battery falls out (the app is closed), and comes back.
    phone.close();
    phone.open();
    let page = phone.book().lead(lead).unwrap();
    assert_eq!(page.fields.next_action.as_deref(), Some("确认CT机安装场地尺寸"));
    assert_eq!((page.timeline.len(), page.row.index), (1, 33));
    assert_eq!(phone.book().status().unwrap().unanswered, 4);

    office.open();
    let report = phone.sync();
    assert_eq!((report.up, report.set_aside), (4, 0), "{report:?}");
    assert_eq!(phone.book().status().unwrap().unanswered, 0);
    assert_eq!(office.value(given, "brand").as_deref(), Some("联影"));
    assert_eq!(office.app().company.owner_of(lead).unwrap().owner, Some(li), "its creator owns it");
    boss.sync();
    let seen = boss.book().lead(lead).unwrap();
    assert_eq!((seen.row.owner_name.as_str(), seen.row.mine), ("李销售", false));
    assert_eq!(seen.timeline[0].user_name, "李销售");
    phone.sync();
    assert!(phone.book().lead(lead).unwrap().row.mine);
}

#[test]
fn two_phones_on_one_field_keep_both_values_until_one_chooses() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let (li, chen) = (office.hire("李销售", Role::Rep), office.hire("陈主管", Role::Manager));
    let (phone, boss) = (office.phone(li, "li"), office.phone(chen, "chen"));
    let lead = office.lead(li, "浙大一院");
    phone.sync();
    boss.sync();
    for (who, brand, confirmed) in [(&phone, "联影", true), (&boss, "西门子", false)] {
        let set = LeadFields { brand: Some(brand.into()), ..LeadFields::default() };
        who.book().edit_lead(lead, &set, &[]).unwrap();
        who.book().tick(lead, "next_meeting", confirmed).unwrap();
    }
    phone.sync();
    boss.sync();
    assert_eq!(phone.sync().conflicts, 2);

    let conflicts = phone.book().conflicts(lead).unwrap();
    let brand = conflicts.iter().find(|conflict| conflict.label == "倾向品牌").unwrap();
    let mut both: Vec<_> =
        brand.values.iter().map(|v| (v.user_name.as_str(), v.device_name.as_str(), &v.value)).collect();
    both.sort();
    assert_eq!(both, [("李销售", "li", &Value::from("联影")), ("陈主管", "chen", &Value::from("西门子"))]);
    let tick = conflicts.iter().find(|conflict| conflict.label == "下次关键会议时间").unwrap();
    assert_eq!(tick.values.len(), 2, "concurrent ticks show as a conflict (C55)");
    let listed = fieldbook_device::LeadQuery { only_conflicts: true, ..Default::default() };
    assert_eq!(phone.book().leads(&listed).unwrap().len(), 1);

    phone.book().resolve(brand.doc, &brand.path, &Value::from("联影")).unwrap();
    phone.book().resolve(tick.doc, &tick.path, &Value::Bool(true)).unwrap();
    assert!(matches!(
        phone.book().resolve(brand.doc, &brand.path, &Value::from("西门子")),
        Err(Error::Stale)
    ));
    phone.sync();
    boss.sync();
    assert_eq!(boss.book().lead(lead).unwrap().fields.brand.as_deref(), Some("联影"));
    assert!(boss.book().conflicts(lead).unwrap().is_empty());
}

#[test]
fn a_standing_connection_carries_both_ways_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::start(folder.path());
    let (li, chen) = (office.hire("李销售", Role::Rep), office.hire("陈主管", Role::Manager));
    let (phone, boss) = (office.phone(li, "li"), office.phone(chen, "chen"));
    let (ear, boss_ear) = (phone.listen(), boss.listen());
    phone.book().start_background().unwrap();
    boss.book().start_background().unwrap();
    ear.until("online", || phone.book().status().unwrap().online);

    // From the office to the phone, from the phone to the boss, nobody asks.
    let lead = office.lead(li, "华山医院");
    ear.until("the lead has come", || phone.leads("hsyy").len() == 1);
    boss_ear.until("the boss has it too", || boss.leads("华山").len() == 1);
    phone.book().log_visit(lead, &visit("带彩超资料")).unwrap();
    boss_ear.until("the boss sees the visit", || boss.book().lead(lead).unwrap().timeline.len() == 1);
    ear.until("all is answered", || phone.book().status().unwrap().unanswered == 0);

    // A round over a standing connection says what it did, and the connection stands again.
    let report = phone.sync();
    assert!(report.millis < 60_000 && report.round_trips >= 1, "{report:?}");

    // The server goes and comes back; an edit in between arrives without anybody asking.
    office.close();
    ear.until("offline", || !phone.book().status().unwrap().online);
    phone.book().answer(lead, "budget_approval", "七成").unwrap();
    ear.until("it says why", || !phone.book().status().unwrap().last_error.is_empty());
    office.open();
    // What a phone's system tells its app: the network is (another one, and) there.
    phone.book().set_network(Network::Metered).unwrap();
    ear.until("the edit has gone up", || phone.book().status().unwrap().unanswered == 0);
    assert!(phone.book().status().unwrap().online);

    phone.book().stop_background().unwrap();
    ear.until("rest", || !phone.book().status().unwrap().online);
    phone.book().shutdown();
    assert_eq!(ear.rest().last(), Some(&fieldbook_device::Change::Closed));
    assert!(matches!(phone.book().status(), Err(Error::Closed)));
    assert!(matches!(phone.book().sync_now(LONG, None), Err(Error::Closed)));
}

#[test]
fn photographs_wait_for_a_good_network_and_are_read_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let (li, chen) = (office.hire("李销售", Role::Rep), office.hire("陈主管", Role::Manager));
    let (phone, boss) = (office.phone(li, "li"), office.phone(chen, "chen"));
    let lead = office.lead(li, "同济医院");
    phone.sync();
    let photo: Vec<u8> = (0..700_000u32).map(|n| (n * 7 % 253) as u8).collect();
    let what = Attachment {
        name: "现场.jpg".into(),
        mime: "image/jpeg".into(),
        unmetered_only: true,
        ..Attachment::default()
    };
    phone.book().set_network(Network::Metered).unwrap();
    phone.book().attach(lead, &what, &photo).unwrap();
    let report = phone.sync();
    assert_eq!((report.up, report.evidence_up, report.evidence_waiting), (1, 0, 1), "{report:?}");
    let piece = phone.book().lead(lead).unwrap().evidence.remove(0);
    assert_eq!((piece.place, piece.size_bytes), (EvidencePlace::Waiting, 700_000));
    // The document has gone ahead; the bytes are nowhere but here.
    boss.sync();
    assert_eq!(boss.book().lead(lead).unwrap().evidence[0].place, EvidencePlace::Elsewhere);
    assert!(matches!(boss.book().evidence(lead, piece.hash, LONG, None), Err(Error::NotFound(_))));

    phone.book().set_network(Network::Unmetered).unwrap();
    let report = phone.sync();
    assert_eq!(
        (report.evidence_up, report.evidence_bytes, report.evidence_waiting),
        (1, 700_000, 0),
        "{report:?}"
    );
    assert_eq!(phone.book().lead(lead).unwrap().evidence[0].place, EvidencePlace::Safe);
    assert_eq!(boss.book().evidence(lead, piece.hash, LONG, None).unwrap(), photo);
    assert_eq!(
        boss.book().lead(lead).unwrap().evidence[0].place,
        EvidencePlace::Safe,
        "kept for the next time"
    );

    // The lead moves away: the bytes leave the phone with it.
    let wang = office.hire("王销售", Role::Rep);
    office.assign(lead, wang, chen);
    phone.sync();
    assert!(matches!(phone.book().lead(lead), Err(Error::NotFound(_))));
    phone.sync();
    assert!(matches!(phone.book().evidence(lead, piece.hash, LONG, None), Err(Error::NotFound(_))));
    let stored = std::fs::read(phone.path()).unwrap();
    assert!(!stored.windows(64).any(|w| w == &photo[..64]), "nothing on disk is readable");
}

#[test]
fn work_before_the_move_was_known_is_merged_and_evidence_still_goes_up() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let (li, wang) = (office.hire("李销售", Role::Rep), office.hire("王销售", Role::Rep));
    let chen = office.hire("陈主管", Role::Manager);
    let (phone, next) = (office.phone(li, "li"), office.phone(wang, "wang"));
    let lead = office.lead(li, "省人民医院");
    phone.sync();
    phone.book().log_visit(lead, &visit("等待批复")).unwrap();
    let what =
        Attachment { name: "签字单.pdf".into(), mime: "application/pdf".into(), ..Attachment::default() };
    phone.book().attach(lead, &what, b"%PDF-1.7 signed").unwrap();
    office.assign(lead, wang, chen);
    let report = phone.sync();
    assert_eq!((report.up, report.set_aside, report.evidence_up), (2, 0, 1), "{report:?}");
    assert!(report.wiped > 0, "{report:?}");
    assert!(phone.leads("").is_empty(), "it has left this phone");
    next.sync();
    let page = next.book().lead(lead).unwrap();
    let done = page.timeline.iter().filter(|item| !matches!(item.what, Happening::Decided { .. })).count();
    assert_eq!((done, page.row.mine), (1, true));
    let given = |what: &Happening| matches!(what, Happening::Decided { rule, .. } if rule == "assign");
    assert!(page.timeline.iter().any(|item| given(&item.what)), "{:?}", page.timeline);
    let bytes = next.book().evidence(lead, page.evidence[0].hash, LONG, None).unwrap();
    assert_eq!(bytes, b"%PDF-1.7 signed");
}

#[test]
fn the_next_phone_takes_over_and_the_old_one_can_be_ended() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let old = office.phone(li, "old");
    let lead = old.book().create_lead(&new_lead("儿童医院")).unwrap();
    old.sync();
    let way = old.book().handover(LONG, None).unwrap();
    assert!(way.invitation.ends_with(&way.code));

    let new = Phone::new(folder.path(), "new");
    let me = new.book().enrol(&way.invitation, "new", LONG, None).unwrap();
    assert_eq!((me.user, me.user_name.as_str(), me.zone.as_str()), (li, "李销售", "Asia/Shanghai"));
    assert!(matches!(new.book().enrol(&way.invitation, "new", LONG, None), Err(Error::AlreadyEnrolled)));
    new.sync();
    assert_eq!(new.leads("ety").len(), 1);
    // Two phones of one rep, both at work.
    old.book().tick(lead, "budget_approval", true).unwrap();
    old.sync();
    new.sync();
    assert_eq!(new.book().lead(lead).unwrap().row.index, 33);

    let mine = new.book().phones(LONG, None).unwrap();
    assert_eq!(mine.len(), 2);
    let other = mine.iter().find(|phone| !phone.this).unwrap();
    assert_eq!((other.name.as_str(), other.status.as_str()), ("old", "active"));
    new.book().end_phone(other.device, true, LONG, None).unwrap();
    let error = old.book().sync_now(LONG, None).unwrap_err();
    assert!(matches!(error, Error::Wiped), "{error:?}");
    assert!(matches!(old.book().me(), Err(Error::NotEnrolled)));
    assert!(!old.book().status().unwrap().enrolled);
}

#[test]
fn a_revoked_phone_is_heard_once_and_wiped() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let phone = office.phone(li, "li");
    let lead = office.lead(li, "中医院");
    phone.sync();
    phone.book().log_visit(lead, &visit("交接")).unwrap();
    let photo = b"the signed form".repeat(40_000);
    let what = Attachment { name: "form.jpg".into(), mime: "image/jpeg".into(), ..Attachment::default() };
    phone.book().attach(lead, &what, &photo).unwrap();
    let hash = phone.book().lead(lead).unwrap().evidence[0].hash;
    let device: DeviceId = phone.book().me().unwrap().device;
    office.app().company.set_device_status(device, DeviceStatus::Revoked, office.app().now_ms()).unwrap();
    assert!(matches!(phone.book().sync_now(LONG, None), Err(Error::Wiped)));
    assert!(!office.app().company.held(None, 10).unwrap().is_empty(), "its last words are kept");
    assert!(
        office.app().evidence.acknowledged(hash).unwrap(),
        "and its photograph was there before the wipe"
    );
    assert!(matches!(phone.book().me(), Err(Error::NotEnrolled)));
}

#[test]
fn the_calendar_goes_along() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let (one, two) = (office.phone(li, "one"), office.phone(li, "two"));
    let lead = office.lead(li, "第二医院");
    one.sync();
    let entry = CalendarEntry {
        lead: Some(lead),
        day: Some("2026-03-31".into()),
        start: Some("09:30".into()),
        purpose: Some("确认CT机安装场地尺寸".into()),
        materials: Some("卷尺、图纸".into()),
        expected_result: Some("签字版《场地确认单》".into()),
        importance: Some("A类客户".into()),
        ..CalendarEntry::default()
    };
    let id = one.book().plan_entry(&entry).unwrap();
    one.sync();
    two.sync();
    assert_eq!(two.book().calendar("2026-03").unwrap()[0].customer_name, "第二医院");
    two.book().move_entry(id, "2026-04-01").unwrap();
    two.sync();
    one.sync();
    assert!(one.book().calendar("2026-03").unwrap().is_empty());
    let april = one.book().calendar("2026-04").unwrap();
    assert_eq!((april.len(), april[0].id, april[0].entry.day.as_deref()), (1, id, Some("2026-04-01")));
}

/// Both phones of one rep move an entry without signal, to the same month and to different ones, and back again.
#[test]
fn an_entry_moved_on_two_phones_is_shown_once_and_removed_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let (one, two) = (office.phone(li, "one"), office.phone(li, "two"));
    let entry = CalendarEntry {
        day: Some("2026-03-31".into()),
        purpose: Some("确认CT机安装场地尺寸".into()),
        ..CalendarEntry::default()
    };
    let id = one.book().plan_entry(&entry).unwrap();
    let meet = || {
        [&one, &two, &one, &two].map(|phone| phone.sync().set_aside).iter().for_each(|n| assert_eq!(*n, 0));
        let months = (1..=12).map(|month| format!("2026-{month:02}"));
        let shown = |phone: &Phone| {
            let items = months.clone().flat_map(|month| phone.book().calendar(&month).unwrap());
            items.map(|item| (item.id, item.entry.day.unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(shown(&one), shown(&two));
        shown(&one)
    };
    meet();
    // Of two moves in one moment, as far as two phones can tell a moment, either may be the later; both phones say which.
    for (mine, theirs) in
        [("2026-04-01", "2026-04-01"), ("2026-03-30", "2026-03-30"), ("2026-05-04", "2026-11-02")]
    {
        one.book().move_entry(id, mine).unwrap();
        two.book().move_entry(id, theirs).unwrap();
        let shown = meet();
        assert!(shown == [(id, mine.to_owned())] || shown == [(id, theirs.to_owned())], "{shown:?}");
    }
    one.book()
        .edit_entry(id, &CalendarEntry { materials: Some("卷尺".into()), ..Default::default() })
        .unwrap();
    two.book().move_entry(id, "2026-03-31").unwrap();
    assert_eq!(meet(), [(id, "2026-03-31".to_owned())]);
    let march = two.book().calendar("2026-03").unwrap();
    assert_eq!(march[0].entry.materials.as_deref(), Some("卷尺"), "a note outlives the move");
    two.book().remove_entry(id).unwrap();
    assert!(meet().is_empty());
    assert!(matches!(one.book().move_entry(id, "2026-04-01"), Err(Error::NotFound(_))));
}

/// Every lead that newly names an account writes the account's row: they are judged together, and only one at a time can be written. Judged
/// sixteen at a time over and over, some would be given up.
#[test]
fn three_hundred_leads_of_one_account_arrive_in_one_sync() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let phone = office.phone(li, "li");
    let book = phone.book();
    let fields = AccountFields { name: Some("第三医院".into()), ..AccountFields::default() };
    let account = book.create_account(&NewAccount { fields, ..NewAccount::default() }).unwrap();
    for n in 0..300 {
        let mut new = new_lead(&format!("第三医院{n}科"));
        new.fields.account = Some(account);
        book.create_lead(&new).unwrap();
    }
    let waiting = book.status().unwrap().unanswered;
    // Once: a push that was given up would end the connection with an error.
    let report = phone.sync();
    assert_eq!((report.up, report.set_aside), (waiting, 0), "{report:?}");
    assert_eq!(book.status().unwrap().unanswered, 0);
}

#[test]
fn an_account_with_its_decision_chain_goes_along_with_the_lead_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let (one, two) = (office.phone(li, "one"), office.phone(li, "two"));
    let lead = office.lead(li, "第三医院");
    one.sync();
    let book = one.book();
    let fields = AccountFields { name: Some("第三医院".into()), ..AccountFields::default() };
    assert!(matches!(book.create_account(&NewAccount::default()), Err(Error::Missing { .. })));
    let dean = Contact { name: Some("张".into()), role: Some("院长".into()), ..Contact::default() };
    let new = NewAccount { fields, notes: "三甲".into(), contacts: vec![dean.clone()] };
    let account = book.create_account(&new).unwrap();
    book.edit_lead(lead, &LeadFields { account: Some(account), ..LeadFields::default() }, &[]).unwrap();
    let set =
        AccountFields {
            phone: Some("0571-1".into()), city: Some("杭州".into()), ..AccountFields::default()
        };
    book.edit_account(account, &set, &[]).unwrap();
    book.tag(account, "三甲", Some(30)).unwrap();
    let buyer =
        book.add_contact(account, &Contact { name: Some("李".into()), ..Contact::default() }).unwrap();
    let against = Contact { attitude: Some("反对".into()), ..Contact::default() };
    book.edit_contact(account, buyer, &against).unwrap();
    book.edit_notes(account, "三甲", "三甲，有牙科").unwrap();
    assert!(matches!(
        book.edit_account(account, &AccountFields::default(), &["name".into()]),
        Err(Error::Missing { .. })
    ));
    let joined = AccountFields { same_as: Some(account), ..AccountFields::default() };
    assert!(matches!(book.edit_account(account, &joined, &[]), Err(Error::Invalid(_))));
    assert!(matches!(book.edit_account(lead, &set, &[]), Err(Error::NotFound(_))));
    assert!(matches!(book.edit_lead(account, &LeadFields::default(), &[]), Err(Error::NotFound(_))));
    one.sync();
    two.sync();

    let page = two.book().account(account).unwrap();
    assert_eq!(page.fields, AccountFields { name: new.fields.name, ..set });
    assert_eq!((page.notes.as_str(), page.tags[0].fresh, page.conflicts), ("三甲，有牙科", true, 0));
    let mut chain: Vec<_> = page.contacts.into_iter().map(|item| item.contact).collect();
    chain.sort_by(|a, b| b.name.cmp(&a.name));
    assert_eq!(chain, [Contact { name: Some("李".into()), ..against }, dean]);
    let found = two.book().accounts("dsyy").unwrap();
    assert_eq!((found.len(), found[0].id, found[0].city.as_str()), (1, account, "杭州"));
    assert!(two.book().accounts("上海").unwrap().is_empty());
}

#[test]
fn enrolment_answers_clearly_whatever_goes_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let phone = Phone::new(folder.path(), "li");
    let book = phone.book();
    let enrol = |text: &str| book.enrol(text, "手机", LONG, None).unwrap_err();
    assert!(matches!(enrol("不是二维码"), Error::Invitation(_)));
    let wrong = enrol(&format!("{}/enrol#AAAA-AAAA-AAAA-AAAA-AAAA-AAAA", office.address()));
    assert_eq!(wrong.code(), "code_invalid");
    assert_eq!(wrong.text(fieldbook_device::Language::Chinese), "登记码无效，请核对后重试。");
    assert!(matches!(enrol("http://192.0.2.1/enrol#AAAA"), Error::PlainHttp));
    assert!(matches!(book.enrol(&office.invitation(li), " ", LONG, None), Err(Error::Invalid(_))));
    assert!(matches!(book.sync_now(LONG, None), Err(Error::NotEnrolled)));
    assert!(matches!(book.create_lead(&new_lead("医院")), Err(Error::NotEnrolled)));

    let invitation = office.invitation(li);
    let token = std::sync::Arc::new(CancelToken::new());
    token.cancel();
    assert!(matches!(book.enrol(&invitation, "手机", LONG, Some(token)), Err(Error::Cancelled)));
    office.close();
    assert!(matches!(book.enrol(&invitation, "手机", LONG, None), Err(Error::Offline(_))));
    office.open();
    book.enrol(&invitation, "手机", LONG, None).unwrap();
    let other = Phone::new(folder.path(), "other");
    assert_eq!(other.book().enrol(&invitation, "手机", LONG, None).unwrap_err().code(), "code_used");
}

#[test]
fn a_phone_speaks_tls_and_refuses_a_certificate_of_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let settings = [
        ("FIELDBOOK_TLS_CERT", file("cert.pem", made.cert.pem())),
        ("FIELDBOOK_TLS_KEY", file("key.pem", made.signing_key.serialize_pem())),
    ];
    let office = Office::start_with(folder.path(), &settings);
    let li = office.hire("李销售", Role::Rep);
    office.lead(li, "安贞医院");
    let invitation = office.invitation(li).replace("http://127.0.0.1", "https://localhost");

    let mut phone = Phone::new(folder.path(), "li");
    let refused = phone.book().enrol(&invitation, "手机", LONG, None).unwrap_err();
    assert!(matches!(refused, Error::Certificate(_)), "{refused:?}");
    let config = fieldbook_device::Config { extra_roots_pem: Some(made.cert.pem()), ..phone.config() };
    phone.close();
    let book = fieldbook_device::Fieldbook::open(config).unwrap();
    book.enrol(&invitation, "手机", LONG, None).unwrap();
    assert!(book.sync_now(LONG, None).unwrap().down >= 1);
    assert_eq!(book.leads(&Default::default()).unwrap().len(), 1);
    book.shutdown();

    // A login page on the way, or a wrong date, looks like this too. It passes, so the phone goes on trying.
    phone.open();
    let ear = phone.listen();
    phone.book().start_background().unwrap();
    ear.until("it says why", || phone.book().status().unwrap().last_error == "certificate");
    assert!(phone.book().status().unwrap().background);
}

#[test]
fn an_app_may_ask_for_as_many_rounds_as_it_likes() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::start(folder.path());
    let li = office.hire("李销售", Role::Rep);
    let phone = office.phone(li, "li");
    let ear = phone.listen();
    phone.book().start_background().unwrap();
    ear.until("online", || phone.book().status().unwrap().online);
    std::thread::scope(|scope| {
        // A round over a standing connection makes a fresh one: that is no failure, however often it happens.
        scope.spawn(|| {
            for _ in 0..8 {
                phone.sync();
            }
            phone.book().stop_background().unwrap();
            phone.sync();
        });
        ear.until("the last round", || {
            let status = phone.book().status().unwrap();
            assert_eq!(status.last_error, "");
            !status.background && !status.online
        });
    });
}

#[test]
fn a_store_tells_a_wrong_key_and_a_second_opening() {
    let folder = tempfile::tempdir().unwrap();
    let mut phone = Phone::new(folder.path(), "li");
    assert!(matches!(fieldbook_device::Fieldbook::open(phone.config()), Err(Error::StoreInUse)));
    phone.close();
    let mut wrong = phone.config();
    wrong.key = [0x43; 32];
    assert!(matches!(fieldbook_device::Fieldbook::open(wrong), Err(Error::WrongKey)));
    phone.open();
    assert_eq!(phone.config().key, KEY);
    assert!(matches!(phone.book().lead(DocId::policy()), Err(Error::NotFound(_))));
}
