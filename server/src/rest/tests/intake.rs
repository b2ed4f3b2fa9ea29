use fieldbook_core::document::NoClocks;
use fieldbook_core::ids::DocId;
use fieldbook_core::limits::VALUE_MAX_BYTES;

use super::*;

/// The leads of the company, by customer.
async fn customers(office: &Office) -> Vec<(String, DocId)> {
    let page = office.get("/api/leads?limit=200", &office.admin).await.json();
    let row = |lead: &Value| {
        let text = |key: &str| lead[key].as_str().unwrap_or_default().to_owned();
        (text("customer_name"), text("id").parse().unwrap())
    };
    let mut rows: Vec<_> = page["leads"].as_array().unwrap().iter().map(row).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn a_row_is_imported_however_long_its_words_are() {
    let office = Office::open().await;
    let note = "门诊楼CT机房改造。".repeat(1_200);
    let (one, two) = ("甲\\".repeat(VALUE_MAX_BYTES / 4 - 4), "乙".repeat(VALUE_MAX_BYTES / 3));
    let table = format!(
        "客户名称,备注,历史一,历史二,历史三\n前面的医院,,,,\n长话医院,{note},{one},{two},{two}\n后面的医院,短,,,\n"
    );
    for (imported, known) in [(3, 0), (0, 3)] {
        let report = office.bytes("POST", "/api/leads/import", &office.admin, table.as_bytes()).await.json();
        assert_eq!((report["imported"].as_u64(), report["known"].as_u64()), (Some(imported), Some(known)));
        assert_eq!((report["rejected"].as_u64(), report["errors_csv"].as_str()), (Some(0), Some("")));
    }
    let rows = customers(&office).await;
    assert_eq!(rows.len(), 3);
    let (_, id) = rows.iter().find(|(name, _)| name == "长话医院").unwrap();
    let doc = office.app.company.load(*id).unwrap();
    assert_eq!(doc.text("notes"), note);
    let mut extra = std::collections::BTreeMap::<String, String>::new();
    let mut entries: Vec<Value> =
        doc.log("events", &NoClocks).iter().map(|entry| serde_json::from_str(&entry.body).unwrap()).collect();
    entries.sort_by_key(|entry| entry["part"].as_u64());
    assert!(entries.len() > 2, "one entry does not hold it");
    for (name, text) in entries.iter().flat_map(|entry| entry["extra"].as_object().unwrap()) {
        extra.entry(name.clone()).or_default().push_str(text.as_str().unwrap());
    }
    for (name, text) in [("历史一", &one), ("历史二", &two), ("历史三", &two)] {
        assert!(extra.get(name) == Some(text), "{name}");
    }
}

/// Columns that are all as long as a value may be.
fn wide(columns: usize) -> (String, String) {
    let names: String = (0..columns).map(|n| format!(",历史{n}")).collect();
    let cells = format!(",{}", "甲".repeat(VALUE_MAX_BYTES / 3)).repeat(columns);
    (names, cells)
}

#[tokio::test]
async fn a_lead_that_nobody_could_work_on_is_not_taken_in() {
    let office = Office::open().await;
    let (names, cells) = wide(20);
    let table = format!("客户名称{names}\n前面的医院\n太长的医院{cells}\n后面的医院\n");
    let dry =
        office.bytes("POST", "/api/leads/import?dry_run=true", &office.admin, table.as_bytes()).await.json();
    let report = office.bytes("POST", "/api/leads/import", &office.admin, table.as_bytes()).await.json();
    assert_eq!(dry["errors_csv"], report["errors_csv"], "said beforehand");
    assert_eq!((report["imported"].as_u64(), report["rejected"].as_u64()), (Some(2), Some(1)));
    assert!(report["errors_csv"].as_str().unwrap().contains("\n3,a lead cannot hold it: it is larger than "));
    assert_eq!(customers(&office).await.len(), 2);

    let fields: serde_json::Map<String, Value> =
        ["customer_name", "hospital", "department", "equipment", "brand", "source", "industry", "province"]
            .into_iter()
            .map(|name| (name.to_owned(), json!("甲".repeat(VALUE_MAX_BYTES / 3))))
            .collect();
    let reply = office.post("/api/leads", &office.admin, json!({"fields": fields})).await;
    assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::CONFLICT, "refused"));
}

#[tokio::test]
async fn a_row_that_no_lead_holds_takes_no_other_with_it() {
    let office = Office::open().await;
    // An id that leaves no room for the entry that keeps it.
    let id = "9".repeat(VALUE_MAX_BYTES - 8);
    let rows: String = (0..300).map(|n| format!("医院{n:03},{n},\n")).collect();
    let table = format!("客户名称,编号,备注\n前面的医院,a,\n坏行医院,{id},看得见\n{rows}");
    let dry =
        office.bytes("POST", "/api/leads/import?dry_run=true", &office.admin, table.as_bytes()).await.json();
    let report = office.bytes("POST", "/api/leads/import", &office.admin, table.as_bytes()).await.json();
    assert_eq!((dry["imported"].as_u64(), dry["rejected"].as_u64()), (Some(0), Some(1)), "said beforehand");
    assert_eq!(dry["errors_csv"], report["errors_csv"]);
    assert_eq!(
        (
            report["rows"].as_u64(),
            report["imported"].as_u64(),
            report["known"].as_u64(),
            report["rejected"].as_u64()
        ),
        (Some(302), Some(301), Some(0), Some(1))
    );
    let errors = report["errors_csv"].as_str().unwrap().to_owned();
    assert!(errors.contains("\n3,a lead cannot hold it: "), "line and reason: {}", &errors[..200]);
    assert!(errors.contains("坏行医院") && errors.contains("看得见"), "the row as it was");

    // Repaired, the error file alone brings the row; sent again it is the same lead.
    let repaired = errors.replace(&id, "b");
    for (imported, known) in [(1, 0), (0, 1)] {
        let report =
            office.bytes("POST", "/api/leads/import", &office.admin, repaired.as_bytes()).await.json();
        assert_eq!((report["imported"].as_u64(), report["known"].as_u64()), (Some(imported), Some(known)));
    }
    let whole = table.replace(&id, "b");
    let report = office.bytes("POST", "/api/leads/import", &office.admin, whole.as_bytes()).await.json();
    assert_eq!((report["imported"].as_u64(), report["known"].as_u64()), (Some(0), Some(302)), "no doubles");
}
