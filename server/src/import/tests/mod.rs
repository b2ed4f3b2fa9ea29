mod hostile;

use super::plan::ImportedLead;
use super::*;

fn plan(bytes: &[u8]) -> Plan {
    plan_import(&read_table(bytes).unwrap(), None).unwrap()
}

fn extra<'a>(lead: &'a ImportedLead, name: &str) -> Option<&'a str> {
    lead.extra.iter().find(|(column, _)| column == name).map(|(_, value)| value.as_str())
}

/// The shape of a web analytics export: an id, no name, no telephone, placeholders, a trailing comma.
const WEB: &str = "Prospect ID,Lead Number,Lead Source,TotalVisits,Specialization,City,Tags,\r\n\
    7927b2df,660737,Olark Chat,0,Select,Select,Ringing,\r\n\
    2a272436,660728,Organic Search,5,Finance,Mumbai,,\r\n\
    7927b2df,660999,Google,1,,,,\r\n";

#[test]
fn web_leads_without_a_name_are_leads_with_an_id() {
    let plan = plan(WEB.as_bytes());
    assert_eq!(plan.leads.len(), 2);
    let first = &plan.leads[0];
    assert_eq!((first.line, first.external_id.as_deref()), (2, Some("7927b2df")));
    assert_eq!(first.missing(), ["customer_name", "contact_phone", "need"]);
    assert_eq!(first.fields.get(&Field::Source).map(String::as_str), Some("Olark Chat"));
    assert_eq!(extra(first, "Lead Number"), Some("660737"));
    assert_eq!(extra(first, "TotalVisits"), Some("0"));
    assert_eq!(extra(first, "Specialization"), None, "Select says nothing (C11)");
    assert_eq!(plan.leads[1].fields.get(&Field::City).map(String::as_str), Some("Mumbai"));
    assert_eq!(plan.rejected.len(), 1);
    assert_eq!(
        (plan.rejected[0].line, plan.rejected[0].reason.as_str()),
        (4, "the id \"7927b2df\" stands in line 2 already")
    );
    assert!(plan.columns.iter().all(|(name, _)| name != "column 8"), "an empty column is no column");
}

#[test]
fn importing_again_gives_the_same_ids_whatever_the_order() {
    let once = plan(WEB.as_bytes());
    let twice = plan(WEB.as_bytes());
    assert_eq!(once, twice);
    let mut lines: Vec<&str> = WEB.lines().collect();
    lines.swap(1, 2);
    let swapped = plan(lines.join("\n").as_bytes());
    assert_eq!(swapped.leads[0].lead, once.leads[1].lead);
    assert_ne!(once.leads[0].lead, once.leads[1].lead);
    let table = read_table(WEB.as_bytes()).unwrap();
    let other = plan_import(&table, Some("other system")).unwrap();
    assert_ne!(other.leads[0].lead, once.leads[0].lead, "ids of two systems are kept apart");
}

const HOSPITALS: &str = "province_code,province,city_code,city,hospital,address,tel\n\
    350000,福建省,350200,厦门市,示例市第一医院(北区),镇南路2号,0592-0000001\n\
    350000,福建省,350200,厦门市,示例市第二医院,,\n\
    350000,福建省,350200,厦门市,示例市第二医院,,\n";

#[test]
fn hospitals_are_customers_and_equal_rows_are_separate_leads() {
    let plan = plan(HOSPITALS.as_bytes());
    assert_eq!((plan.leads.len(), plan.rejected.len()), (3, 0));
    let first = &plan.leads[0];
    assert_eq!(first.customer_name.as_deref(), Some("示例市第一医院(北区)"));
    assert_eq!(first.contact_phone.as_deref(), Some("05920000001"));
    assert_eq!(first.fields.get(&Field::Province).map(String::as_str), Some("福建省"));
    assert_eq!(extra(first, "city_code"), Some("350200"));
    assert_ne!(plan.leads[1].lead, plan.leads[2].lead, "no row is lost to another that looks like it");
}

#[test]
fn gbk_titles_semicolons_quoted_breaks_and_budgets() {
    let text = "2026年春季展会线索;;;\n\n客户名称*;联系人手机;需求关键词;预算（万元）;备注\n\
        \"示例医院\";138 0000 0001;CT机采购;50-100;\"第一行\n第二行\"\n\
        示例诊所;看名片;随便看看;待确认;\n\
        ;;;;只有备注\n";
    let (gbk, _, _) = encoding_rs::GBK.encode(text);
    assert!(std::str::from_utf8(&gbk).is_err());
    for bytes in [gbk.to_vec(), text.as_bytes().to_vec(), [b"\xef\xbb\xbf", text.as_bytes()].concat()] {
        let plan = plan(&bytes);
        assert_eq!(plan.leads.len(), 2, "{plan:?}");
        let first = &plan.leads[0];
        assert_eq!((first.line, first.customer_name.as_deref()), (4, Some("示例医院")));
        assert_eq!(first.need.as_deref(), Some("采购"));
        assert_eq!(extra(first, "需求关键词"), Some("CT机采购"), "the customer's own words stay");
        assert_eq!((first.budget_min_fen, first.budget_max_fen), (Some(50_000_000), Some(100_000_000)));
        assert_eq!(first.fields.get(&Field::Notes).map(String::as_str), Some("第一行\n第二行"));
        let second = &plan.leads[1];
        assert_eq!((second.line, second.contact_phone.as_deref()), (6, None));
        assert_eq!(extra(second, "联系人手机"), Some("看名片"));
        assert_eq!(second.missing(), ["contact_phone", "need"]);
        assert_eq!(plan.incomplete(), 1);
        assert_eq!((plan.rejected.len(), plan.rejected[0].line), (1, 7));
    }
}

#[test]
fn a_workbook_gives_the_same_as_its_csv() {
    let mut book = rust_xlsxwriter::Workbook::new();
    book.add_worksheet().set_name("空").unwrap();
    let sheet = book.add_worksheet().set_name("线索").unwrap();
    for (column, name) in ["编号", "医院", "电话", "备注"].iter().enumerate() {
        sheet.write(1, column as u16, *name).unwrap();
    }
    sheet.write(2, 0, 17).unwrap();
    sheet.write(2, 1, "示例医院").unwrap();
    sheet.write(2, 2, 13_800_000_001_f64).unwrap();
    let date = rust_xlsxwriter::ExcelDateTime::from_ymd(2026, 2, 20).unwrap();
    sheet
        .write_with_format(4, 3, &date, &rust_xlsxwriter::Format::new().set_num_format("yyyy-mm-dd"))
        .unwrap();
    sheet.write(4, 0, "A-18").unwrap();
    let bytes = book.save_to_buffer().unwrap();
    let table = read_table(&bytes).unwrap();
    assert_eq!(table.format, "workbook, sheet 线索");
    let plan = plan_import(&table, None).unwrap();
    assert_eq!(plan.leads.len(), 2);
    assert_eq!(plan.leads[0].external_id.as_deref(), Some("17"));
    assert_eq!(plan.leads[0].contact_phone.as_deref(), Some("13800000001"));
    assert_eq!((plan.leads[0].line, plan.leads[1].line), (3, 5), "as the spreadsheet shows them");
    assert_eq!(plan.leads[1].fields.get(&Field::Notes).map(String::as_str), Some("2026-02-20"));
    let csv =
        plan_import(&read_table("编号,医院,电话,备注\n17,示例医院,13800000001\n".as_bytes()).unwrap(), None)
            .unwrap();
    assert_eq!(csv.leads[0].lead, plan.leads[0].lead, "the same row in another file format is the same lead");
}

#[test]
fn an_unclosed_quote_is_reported_and_swallows_nothing_silently() {
    let mut text = String::from("客户名称,电话\n好的医院,13800000001\n\"没关的医院,13800000002\n");
    for i in 0..3_000 {
        text.push_str(&format!("医院{i},1390000{i:04}\n"));
    }
    let plan = plan(text.as_bytes());
    assert_eq!(plan.leads.len(), 1);
    assert_eq!((plan.rejected.len(), plan.rejected[0].line), (1, 3));
    assert!(plan.rejected[0].reason.contains("3001 lines"), "{}", plan.rejected[0].reason);
}

#[test]
fn an_unclosed_quote_near_the_end_is_reported_too() {
    let table = |text: &str| read_table(text.as_bytes());
    let text = "客户名称,备注,电话\n好的医院,\"两行\n备注\",13800000001\n甲医院,\"没关,13800000002\n乙医院,,13800000003\n丙医院,,13800000004\n";
    let plan = plan(text.as_bytes());
    assert_eq!(plan.leads.len(), 1, "{plan:?}");
    assert_eq!((plan.rejected.len(), plan.rejected[0].line), (1, 4));
    let reason = &plan.rejected[0].reason;
    assert!(reason.contains("is not closed") && reason.contains("3 lines"), "{reason}");
    // The next quote of the file ends the cell in the middle of somebody else's.
    let middle = "客户名称,备注\n甲医院,\"没关\n乙医院,\n丙医院,\"有 备注\"\n丁医院,\n";
    assert_eq!(table(middle).unwrap().unclosed, [2]);
    // What is quoted as it should be, and what only looks like a quote, is as it was.
    assert_eq!(table("name,note\nA,\"x \"\"y\"\"\"\nB,5\" pipe\n").unwrap().unclosed, [0; 0]);
    let header = table("name,\"note\nA,x\nB,y\n").unwrap_err().to_string();
    assert!(header.contains("the quote in line 1 is not closed"), "{header}");
}

#[test]
fn longer_rows_and_repeated_names_keep_their_cells() {
    let plan = plan("name,note,note\nA,x,y,z\n".as_bytes());
    let lead = &plan.leads[0];
    assert_eq!(lead.fields.get(&Field::Notes).map(String::as_str), Some("x"));
    assert_eq!((extra(lead, "note (2)"), extra(lead, "column 4")), (Some("y"), Some("z")));
}

#[test]
fn files_that_are_no_tables_are_refused_with_a_reason() {
    for bytes in [&b""[..], b"\n\n", b"name,phone\n"] {
        assert!(matches!(read_table(bytes), Err(ImportError::Empty)), "{bytes:?}");
    }
    assert!(matches!(read_table(b"PK\x03\x04rubbish"), Err(ImportError::Unreadable(_))));
    let table = read_table(b"colour,size\nred,3\n").unwrap();
    let refused = plan_import(&table, None).unwrap_err().to_string();
    assert_eq!(refused, "no column of the table names a customer; it has: colour, size");
}

#[test]
fn the_error_file_can_be_repaired_and_imported_again() {
    let original = "客户编号,客户名称,电话,备注\nA-1,好的医院,,\n,,,\"只有,备注\"\nA-1,又一次,,\n";
    let table = read_table(original.as_bytes()).unwrap();
    let first = plan_import(&table, None).unwrap();
    assert_eq!((first.leads.len(), first.rejected.len()), (1, 2));
    let mut file = Vec::new();
    write_errors(&mut file, &table.header, &first.rejected).unwrap();
    let text = String::from_utf8(file).unwrap();
    let head = "\u{feff}fieldbook line,fieldbook reason,客户编号,客户名称,电话,备注\n3,";
    assert!(text.starts_with(head), "{text}");

    let repaired = text.replace(",,,\"只有", ",补上的医院,,\"只有").replace("A-1,又一次", "A-2,又一次");
    let table = read_table(repaired.as_bytes()).unwrap();
    assert_eq!(table.header, ["客户编号", "客户名称", "电话", "备注"]);
    let again = plan_import(&table, None).unwrap();
    assert!(again.rejected.is_empty(), "{again:?}");
    let repaired = original.replace(",,,\"只有", ",补上的医院,,\"只有").replace("A-1,又一次", "A-2,又一次");
    let whole = plan(repaired.as_bytes());
    let ids = |plan: &Plan| plan.leads.iter().map(|lead| lead.lead).collect::<Vec<_>>();
    assert_eq!(ids(&again), ids(&whole)[1..], "a row is the same lead, whichever of the files was repaired");
    assert_eq!(again.leads[0].extra, whole.leads[1].extra, "line and reason are no words of the customer");
    let still = plan_import(&read_table(text.as_bytes()).unwrap(), None).unwrap();
    assert_eq!(still.rejected.len(), 1, "the id stands once in this file; who has it is found at the import");
}
