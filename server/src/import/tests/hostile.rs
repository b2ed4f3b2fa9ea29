//! Files that are small outside and enormous inside. Here without the process that reads them in a server: `tests/table_worker.rs` has it.

use std::io::Write;

use zip::write::SimpleFileOptions;

use super::*;

/// An Excel workbook of one sheet with this XML between `<sheetData>` and `</sheetData>`, and these shared strings.
fn xlsx(rows: &str, strings: &str) -> Vec<u8> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
    archive(&[
        (
            "_rels/.rels",
            &format!(
                r#"<Relationships xmlns="{PACKAGE}"><Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
            ),
        ),
        (
            "xl/workbook.xml",
            &format!(
                r#"<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>"#
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            &format!(
                r#"<Relationships xmlns="{PACKAGE}"><Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#
            ),
        ),
        ("xl/sharedStrings.xml", &format!(r#"<sst xmlns="{MAIN}">{strings}</sst>"#)),
        (
            "xl/worksheets/sheet1.xml",
            &format!(r#"<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>"#),
        ),
    ])
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn cell(place: &str, text: &str) -> String {
    format!(r#"<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>"#)
}

fn too_many(bytes: &[u8]) -> String {
    match read_table(bytes) {
        Err(ImportError::TooMany { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cell_in_the_last_corner_of_a_sheet_takes_no_memory() {
    let rows = format!(
        r#"<row r="1">{}</row><row r="1048576">{}</row>"#,
        cell("A1", "客户名称"),
        cell("XFD1048576", "x")
    );
    let file = xlsx(&rows, "");
    assert!(file.len() < 4_096);
    assert_eq!(too_many(&file), "columns");
    // Far down is no harm: the rows between are blank, and blank rows are left out.
    let rows = rows.replace("XFD", "A").replace(">x<", ">北京协和医院<");
    let plan = plan(&xlsx(&rows, ""));
    assert_eq!((plan.leads.len(), plan.leads[0].line), (1, 1_048_576));
}

#[test]
fn one_long_text_in_many_cells_is_not_written_out() {
    let strings = format!("<si><t>{}</t></si>", "x".repeat(1 << 20));
    let rows: String =
        (1..=200).map(|n| format!(r#"<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>"#)).collect();
    assert_eq!(too_many(&xlsx(&rows, &strings)), "bytes of text");
}

#[test]
fn rows_that_are_short_in_the_file_are_counted_as_wide_as_they_are() {
    let rows: String =
        (1..=8_000).map(|n| format!(r#"<row r="{n}">{}</row>"#, cell(&format!("SR{n}"), "x"))).collect();
    assert_eq!(too_many(&xlsx(&rows, "")), "cells");
    let csv = format!("{}x\n", ",".repeat(COLUMNS_MAX - 1)).repeat(8_000);
    assert_eq!(too_many(csv.as_bytes()), "cells");
    assert_eq!(too_many(format!("name{}x\n", ",".repeat(COLUMNS_MAX)).as_bytes()), "columns");
    assert_eq!(too_many("x\n".repeat(ROWS_MAX + 11).as_bytes()), "rows");
}

#[test]
fn an_archive_that_unpacks_to_more_than_its_bound_is_refused_whatever_its_directory_says() {
    // Blanks between the rows: as long as the bound, and a thousandth of it when packed.
    let blank = " ".repeat(INFLATED_MAX_BYTES as usize + 1);
    let mut file = xlsx(&blank, "");
    assert!(file.len() < 1 << 20, "{}", file.len());
    assert_eq!(too_many(&file), "bytes when it is unpacked");
    // The same with a directory that says one byte: what is unpacked is counted, too.
    let real = (INFLATED_MAX_BYTES + 1 + xlsx_frame()).to_le_bytes();
    let mut changed = 0;
    for at in 0..file.len() - 4 {
        if file[at..at + 4] == real[..4] {
            file[at..at + 4].copy_from_slice(&1u32.to_le_bytes());
            changed += 1;
        }
    }
    assert!(changed >= 1, "the directory has the size");
    let lied = ImportError::Unreadable("File is larger than its declared uncompressed size".into());
    assert_eq!(read_table(&file), Err(lied));
}

/// What the sheet's file has around its rows.
fn xlsx_frame() -> u64 {
    let file = xlsx("", "");
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(file)).unwrap();
    zip.by_name("xl/worksheets/sheet1.xml").unwrap().size()
}

#[test]
fn damaged_workbooks_are_told_apart_from_tables_in_words() {
    let good = xlsx(&format!("<row r=\"1\">{}</row>", cell("A1", "客户名称")), "");
    let compound = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), vec![0xff; 2_048]].concat();
    let ods = archive(&[
        ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
        ("content.xml", "<office"),
    ]);
    for (name, bytes) in [
        ("cut", good[..good.len() / 2].to_vec()),
        ("an archive of something else", archive(&[("readme.txt", "hello")])),
        ("a broken sheet", xlsx("<row r=\"1\"><c r=\"A1\"", "")),
        ("an impossible place", xlsx("<row r=\"1\"><c r=\"ZZZZZZZZZZ99999999999\"><v>1</v></c></row>", "")),
        ("an old workbook of nothing", compound),
        ("a document without a manifest", ods),
    ] {
        let refused = read_table(&bytes).unwrap_err();
        assert!(matches!(refused, ImportError::Unreadable(_)), "{name}: {refused:?}");
    }
}
