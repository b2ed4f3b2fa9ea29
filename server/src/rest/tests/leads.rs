use fieldbook_core::document::{Edit, NoClocks, Value as Field};
use fieldbook_core::ids::{Actor, DocId, EntryId};
use fieldbook_core::model::clocks_of;
use fieldbook_core::sync::message::{Push, Verdict};
use fieldbook_core::time::{Moment, Stamp};

use super::phone::{edited, edited_on, push, push_at};
use super::*;

#[tokio::test]
async fn a_lead_is_created_read_listed_and_moved() {
    let office = Office::open().await;
    let (li, han) = (office.person("李雷", "rep", None).await, office.person("韩梅梅", "rep", None).await);
    let mut notices = office.app.notices.subscribe();
    let body = json!({
        "fields": {"customer_name": "示例医院", "contact_phone": "13800000001", "budget_min_fen": 50_000_000},
        "owner": li.user, "first_source": "baidu/cpc/ct", "external_id": "web-1"
    });
    let created = office.post("/api/leads", &office.admin, body.clone()).await;
    assert_eq!(created.status, StatusCode::CREATED);
    assert_eq!(created.json()["missing"], json!(["need"]));
    assert!(notices.try_recv().is_ok(), "the phones hear of it");
    let again = office.post("/api/leads", &office.admin, body).await;
    assert_eq!((again.status, again.json()["id"].clone()), (StatusCode::OK, created.json()["id"].clone()));

    let id = created.json()["id"].as_str().unwrap().to_owned();
    let read = office.get(&format!("/api/leads/{id}"), &li).await.json();
    assert_eq!(read["fields"]["customer_name"], "示例医院");
    assert_eq!(read["fields"]["budget_min_fen"], 50_000_000);
    assert_eq!(read["owner"], li.user.to_string());
    let ruling =
        office.get(&format!("/api/documents/{}", read["ruling"].as_str().unwrap()), &li).await.json();
    assert_eq!(ruling["fields"]["first_source"], "baidu/cpc/ct", "C10");
    assert_eq!(
        office.get(&format!("/api/leads/{id}"), &han).await.status,
        StatusCode::NOT_FOUND,
        "not theirs, not there"
    );
    assert_eq!(office.get("/api/leads", &han).await.json()["leads"], json!([]));

    let assign = json!({"owner": han.user, "reason": "区域调整"});
    let path = format!("/api/leads/{id}/assign");
    assert_eq!(office.post(&path, &office.admin, assign.clone()).await.json()["changed"], true);
    assert_eq!(
        office.post(&path, &office.admin, assign).await.json()["changed"],
        false,
        "deciding twice is deciding once"
    );
    assert_eq!(office.get(&format!("/api/leads/{id}"), &li).await.status, StatusCode::NOT_FOUND);
    let row = office.get("/api/leads", &han).await.json()["leads"][0].clone();
    assert_eq!((row["customer_name"].as_str(), row["missing"].clone()), (Some("示例医院"), json!(["need"])));
    // O12: a person says of which it is a duplicate, and takes that back.
    let twin = office.lead("示例医院", &han).await;
    let path = format!("/api/leads/{id}/duplicate-of");
    for of in [json!(twin), json!(null)] {
        let answer = office.call("PUT", &path, Some(&office.admin), json!({"lead": of})).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert_eq!(office.get(&format!("/api/leads/{id}"), &han).await.json()["duplicate_of"], of);
    }
    let itself = office.call("PUT", &path, Some(&office.admin), json!({"lead": id})).await;
    assert_eq!(itself.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_deleted_lead_is_listed_when_it_is_asked_for() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let (gone, here) = (office.lead("旧医院", &li).await, office.lead("新医院", &li).await);
    let delete = Edit::Set { field: "deleted".into(), value: true.into() };
    let change = edited(&office, &li, gone.parse().unwrap(), delete, 1);
    assert!(matches!(push(&office, &li, change), Verdict::Durable { .. }));
    for (query, expected) in [
        ("", vec![(&here, false)]),
        ("?deleted=no", vec![(&here, false)]),
        ("?deleted=only", vec![(&gone, true)]),
        ("?deleted=any", vec![(&gone, true), (&here, false)]),
    ] {
        let page = office.get(&format!("/api/leads{query}"), &li).await.json();
        let mut listed: Vec<(String, bool)> = page["leads"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["id"].as_str().unwrap().to_owned(), row["deleted"].as_bool().unwrap()))
            .collect();
        let mut expected: Vec<(String, bool)> = expected.into_iter().map(|(id, d)| (id.clone(), d)).collect();
        listed.sort();
        expected.sort();
        assert_eq!(listed, expected, "{query}");
    }
    // A page that shows less than it looked at says that more may follow.
    assert_eq!(in_pages_of(1, &office, &li).await, [here]);
    assert_eq!(office.get("/api/leads?deleted=yes", &li).await.problem(), "bad_request");
}

#[tokio::test]
async fn the_office_reads_the_times_that_phones_read_whatever_a_clock_says() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let code = office.post(&format!("/api/users/{}/codes", li.user), &office.admin, Value::Null).await.json();
    let tablet = office.enrol(code["code"].as_str().unwrap(), "平板").await;
    let lead = office.lead("瑞金医院", &li).await;
    let id: DocId = lead.parse().unwrap();
    let base = office.app.company.load(id).unwrap();
    // A phone whose clock is three days ahead writes before it has heard of the server in this boot; their tablet writes ten minutes later.
    let (early_ms, boot) = (office.app.now_ms(), 0xb0);
    let ahead = Moment { wall_ms: early_ms + 3 * 86_400_000, boot, mono_ms: 1_000 };
    let stamp = Stamp { user: li.user, moment: ahead, offset_ms: None, last_contact_ms: 1 };
    let mut doc = base.clone();
    let set = Edit::Set { field: "next_action".into(), value: Field::Text("先写的".into()) };
    let say = Edit::Append { log: "events".into(), id: EntryId([7; 16]), body: r#"{"type":"note"}"#.into() };
    let actor = Actor { device: li.device, incarnation: 0 };
    let early = doc.edit(actor, &stamp, &[set, say]).unwrap().change;
    let early = Push { id: 1, doc: id, origin: None, changes: vec![early.into()] };
    office.pass(600_000);
    let late = edited_on(&office, &tablet, base, id, "next_action", "后写的", 1);
    assert!(matches!(push(&office, &tablet, late), Verdict::Durable { .. }));
    let clock = Some((boot, early_ms - 1_000));
    assert!(matches!(push_at(&office, &li, early, clock), Verdict::Durable { .. }));

    // What a phone reads: by the clocks of the lead's ruling.
    let ruling = office.app.company.load(DocId::ruling_of(id)).unwrap();
    let doc = office.app.company.load(id).unwrap();
    let phone = doc.value("next_action", &clocks_of(&ruling)).unwrap();
    assert_eq!(phone, "后写的".into());
    assert_eq!(doc.value("next_action", &NoClocks), Some("先写的".into()), "which its own word would hide");
    for path in [format!("/api/leads/{lead}"), format!("/api/documents/{lead}")] {
        let read = office.get(&path, &li).await.json();
        assert_eq!(read["fields"]["next_action"], "后写的", "{path}");
        let events = read["fields"]["events"].as_array().unwrap();
        let said = events.iter().find(|entry| entry["id"] == EntryId([7; 16]).to_string()).unwrap();
        assert_eq!(said["at_ms"], early_ms, "{path}");
    }
}

/// The ids of all leads, page by page.
async fn in_pages_of(limit: usize, office: &Office, who: &Who) -> Vec<String> {
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = office.get(&format!("/api/leads?limit={limit}{after}"), who).await.json();
        seen.extend(page["leads"].as_array().unwrap().iter().map(|l| l["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn leads_come_in_pages_without_gaps_or_doubles() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let mut made = std::collections::BTreeSet::new();
    for i in 0..7 {
        made.insert(office.lead(&format!("医院{i}"), &li).await);
    }
    let seen = in_pages_of(3, &office, &li).await;
    assert_eq!(seen.len(), 7);
    assert_eq!(seen.into_iter().collect::<std::collections::BTreeSet<_>>(), made);
}

#[tokio::test]
async fn what_is_wrong_with_a_new_lead_or_a_move_is_said() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let nobody = "0000000000000000";
    for (body, status) in [
        (json!({"fields": {}}), StatusCode::BAD_REQUEST),
        (json!({"fields": {"customer_name": "x", "colour": "red"}}), StatusCode::BAD_REQUEST),
        (json!({"fields": {"customer_name": "x", "events": "red"}}), StatusCode::BAD_REQUEST),
        (json!({"fields": {"customer_name": "x", "budget_min_fen": "many"}}), StatusCode::CONFLICT),
        (json!({"fields": {"customer_name": "x"}, "owner": nobody}), StatusCode::NOT_FOUND),
        (json!({"fields": {"customer_name": "x"}, "external_id": "x".repeat(201)}), StatusCode::BAD_REQUEST),
    ] {
        let reply = office.post("/api/leads", &office.admin, body.clone()).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        reply.problem();
    }
    assert_eq!(
        office.post("/api/leads", &li, json!({"fields": {"customer_name": "x"}})).await.status,
        StatusCode::FORBIDDEN
    );
    let lead = office.lead("医院", &li).await;
    let path = format!("/api/leads/{lead}/assign");
    assert_eq!(office.post(&path, &li, json!({"owner": li.user})).await.status, StatusCode::FORBIDDEN);
    let service = office.person("客服", "service", None).await;
    assert_eq!(
        office.post(&path, &office.admin, json!({"owner": nobody})).await.status,
        StatusCode::NOT_FOUND
    );
    let unfit = office
        .post(&path, &office.admin, json!({"owner": office.admin.user, "reason": "x".repeat(501)}))
        .await;
    assert_eq!(unfit.status, StatusCode::BAD_REQUEST);
    let given = office.post(&path, &office.admin, json!({"owner": service.user})).await;
    assert_eq!(given.status, StatusCode::CONFLICT, "customer service works no leads");
    let body = json!({"fields": {"customer_name": "x"}, "owner": service.user});
    assert_eq!(office.post("/api/leads", &office.admin, body).await.status, StatusCode::CONFLICT);
    let missing = format!("/api/leads/02{}/assign", "0".repeat(30));
    assert_eq!(
        office.post(&missing, &office.admin, json!({"owner": li.user})).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(office.get("/api/leads/xyz", &li).await.problem(), "bad_request");
}

#[tokio::test]
async fn a_manager_reaches_their_own_teams_and_no_further() {
    let office = Office::open().await;
    let manager = office.person("王主管", "manager", None).await;
    let mine = office.team("华东", None, &[&manager]).await;
    let below = office.team("杭州组", Some(&mine), &[]).await;
    let theirs = office.team("华北", None, &[]).await;
    let near = office.person("李雷", "rep", Some(&below)).await;
    let far = office.person("韩梅梅", "rep", Some(&theirs)).await;
    let lead = |owner: &Who| json!({"fields": {"customer_name": "医院"}, "owner": owner.user});
    assert_eq!(office.post("/api/leads", &manager, lead(&near)).await.status, StatusCode::CREATED);
    assert_eq!(office.post("/api/leads", &manager, lead(&far)).await.status, StatusCode::FORBIDDEN);
    let pool = json!({"fields": {"customer_name": "医院"}, "team": theirs});
    assert_eq!(office.post("/api/leads", &manager, pool).await.status, StatusCode::FORBIDDEN);
    for (owner, team, status) in [
        (&near, &mine, StatusCode::CREATED),
        (&manager, &below, StatusCode::CREATED),
        (&far, &mine, StatusCode::FORBIDDEN),
        (&near, &theirs, StatusCode::FORBIDDEN),
        (&manager, &theirs, StatusCode::FORBIDDEN),
    ] {
        let both = json!({"fields": {"customer_name": "医院"}, "owner": owner.user, "team": team});
        let reply = office.post("/api/leads", &manager, both).await;
        assert_eq!(reply.status, status, "both are theirs or neither counts: {}", reply.text());
    }
    let near_lead = office.lead("近", &near).await;
    let far_lead = office.lead("远", &far).await;
    let take = json!({"owner": near.user});
    let give = json!({"owner": far.user});
    let path = |lead: &str| format!("/api/leads/{lead}/assign");
    assert_eq!(
        office.post(&path(&far_lead), &manager, take).await.status,
        StatusCode::FORBIDDEN,
        "not theirs to take"
    );
    assert_eq!(
        office.post(&path(&near_lead), &manager, give).await.status,
        StatusCode::FORBIDDEN,
        "not theirs to give away"
    );
}

#[tokio::test]
async fn a_table_is_imported_once_however_often_it_is_sent() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let csv = "编号,医院,联系人,联系人手机,需求,预算（万元）,城市,自定义列\n\
        A1,示例第一医院,张院长,13800000001,CT机采购,380,杭州市,甲\n\
        A2,示例第二医院,,,,待定,,乙\n,,,,,,,丙\n";
    let path = format!("/api/leads/import?owner={}", li.user);
    let dry =
        office.bytes("POST", &format!("{path}&dry_run=true"), &office.admin, csv.as_bytes()).await.json();
    assert_eq!(
        (dry["rows"].as_u64(), dry["imported"].as_u64(), dry["rejected"].as_u64()),
        (Some(3), Some(0), Some(1))
    );
    let report = office.bytes("POST", &path, &office.admin, csv.as_bytes()).await.json();
    assert_eq!((report["imported"].as_u64(), report["known"].as_u64()), (Some(2), Some(0)));
    assert_eq!(report["incomplete"], 1);
    assert!(report["errors_csv"].as_str().unwrap().contains("4,"), "{report}");
    assert!(
        report["columns"].as_array().unwrap().contains(&json!({"name": "自定义列", "taken_for": "extra"}))
    );
    let again = office.bytes("POST", &path, &office.admin, csv.as_bytes()).await.json();
    assert_eq!((again["imported"].as_u64(), again["known"].as_u64()), (Some(0), Some(2)));

    let leads = office.get("/api/leads", &li).await.json()["leads"].clone();
    assert_eq!(leads.as_array().unwrap().len(), 2);
    let first =
        leads.as_array().unwrap().iter().find(|l| l["customer_name"] == "示例第一医院").cloned().unwrap();
    let lead = office.get(&format!("/api/leads/{}", first["id"].as_str().unwrap()), &li).await.json();
    let fields = &lead["fields"];
    assert_eq!(
        (fields["need"].as_str(), fields["budget_max_fen"].as_i64()),
        (Some("采购"), Some(380_000_000))
    );
    let event = &fields["events"][0]["body"];
    assert_eq!((event["type"].as_str(), event["external_id"].as_str()), (Some("import"), Some("A1")));
    assert_eq!(event["extra"], json!({"City": "杭州市", "需求": "CT机采购", "自定义列": "甲"}));
    let contacts = fields["contacts"].as_object().unwrap();
    assert_eq!(contacts.values().next().unwrap()["name"], "张院长");

    let refused = office.bytes("POST", &path, &office.admin, b"colour\nred\n").await;
    assert_eq!(
        (refused.status, refused.problem().as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "import_refused")
    );
    assert_eq!(office.bytes("POST", &path, &li, csv.as_bytes()).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_row_with_long_words_is_imported_whole_and_takes_no_other_row_with_it() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let long_note = "院长说要等预算".repeat(1_400);
    let much = "Q".repeat(20_000);
    let csv = format!(
        "编号,医院,备注,甲,乙\nB1,第一医院,{long_note},,\nB2,第二医院,,{much},{much}\nB3,第三医院,短,,\n"
    );
    let path = format!("/api/leads/import?owner={}", li.user);
    let report = office.bytes("POST", &path, &office.admin, csv.as_bytes()).await.json();
    let counted = [&report["imported"], &report["known"], &report["rejected"]].map(|n| n.as_u64());
    assert_eq!(counted, [Some(3), Some(0), Some(0)]);
    let leads = office.get("/api/leads", &li).await.json()["leads"].clone();
    assert_eq!(leads.as_array().unwrap().len(), 3);
    let named = |name: &str| {
        let row = leads.as_array().unwrap().iter().find(|l| l["customer_name"] == name);
        format!("/api/leads/{}", row.unwrap()["id"].as_str().unwrap())
    };
    let first = office.get(&named("第一医院"), &li).await.json();
    assert!(first["fields"]["notes"].as_str() == Some(&long_note), "9,800 characters came whole");
    let second = office.get(&named("第二医院"), &li).await.json()["fields"].to_string();
    assert_eq!(
        second.matches('Q').count(),
        2 * much.len(),
        "both columns are kept, in as many entries as they need"
    );
}

/// C9: the leads of a condition as a table, chosen as the rules choose, and read back by an import.
#[tokio::test]
async fn leads_are_exported_by_a_condition() {
    let office = Office::open().await;
    let (li, han) = (office.person("李雷", "rep", None).await, office.person("韩梅梅", "rep", None).await);
    for (name, industry, wan, owner) in [
        ("甲厂", "制造业", 150, &li),
        ("乙厂", "制造业", 80, &li),
        ("丙院", "医疗", 300, &li),
        ("=丁厂", "制造业", 200, &han),
    ] {
        let fields = json!({
            "customer_name": name, "contact_phone": "13800000001", "need": "采购", "industry": industry,
            "budget_max_fen": wan * 1_000_000, "customer_state": "待跟进"
        });
        let body = json!({"fields": fields, "owner": owner.user});
        assert_eq!(office.post("/api/leads", &office.admin, body).await.status, StatusCode::CREATED);
    }
    let unknown =
        json!({"fields": {"customer_name": "戊厂", "contact_phone": "13800000005", "industry": "制造业"}});
    office.post("/api/leads", &office.admin, unknown).await;
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let path =
        |holds: &str, format: &str| format!("/api/leads/export?format={format}&where={}", encoded(holds));
    let counted = |reply: &Reply| {
        ["x-fieldbook-leads", "x-fieldbook-undetermined"]
            .map(|name| reply.headers[name].to_str().unwrap().to_owned())
    };
    let wanted = "AND(客户状态=\"待跟进\",行业=\"制造业\",预算万元>100)";
    let csv = office.get(&path(wanted, "csv"), &office.admin).await;
    assert_eq!(csv.status, StatusCode::OK);
    assert_eq!(counted(&csv), ["2", "0"]);
    let text = csv.text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("\u{feff}Fieldbook 编号,客户名称,"), "{}", lines[0]);
    assert!(
        lines[1..]
            .iter()
            .any(|line| line.contains(",甲厂,") && line.contains("≤150") && line.contains("李雷"))
    );
    assert!(lines[1..].iter().any(|line| line.contains(",'=丁厂,")), "no formula of a customer's: {text}");
    // Of 戊厂 the budget is not known.
    let open = office.get(&path("预算万元>100", "csv"), &office.admin).await;
    assert_eq!(counted(&open), ["3", "1"]);
    // Everybody takes what they may read.
    assert_eq!(counted(&office.get(&path(wanted, "csv"), &li).await), ["1", "0"]);
    // What was exported is imported by the names of its columns.
    let report =
        office.bytes("POST", "/api/leads/import?dry_run=true", &office.admin, &csv.body).await.json();
    let columns = report["columns"].as_array().unwrap().iter();
    let extra: Vec<_> = columns.filter(|column| column["taken_for"] == "extra").map(|c| &c["name"]).collect();
    assert_eq!(extra, ["Fieldbook 编号", "阶段", "负责人", "未更新天数"], "these are only told");
    assert_eq!((report["rows"].as_u64(), report["rejected"].as_u64()), (Some(2), Some(0)), "{report}");
    let book = office.get(&path("", "xlsx"), &office.admin).await;
    assert_eq!((counted(&book), &book.body[..2]), (["5".to_owned(), "0".to_owned()], &b"PK"[..]));
    let report =
        office.bytes("POST", "/api/leads/import?dry_run=true", &office.admin, &book.body).await.json();
    assert_eq!((report["rejected"].as_u64(), report["incomplete"].as_u64()), (Some(0), Some(1)), "{report}");

    let wrong = office.get(&path("预算>100", "csv"), &office.admin).await;
    assert_eq!((wrong.status, wrong.problem().as_str()), (StatusCode::BAD_REQUEST, "bad_request"));
    assert!(wrong.text().contains("没有名为“预算”的指标，是否为“预算万元”"), "{}", wrong.text());
}
