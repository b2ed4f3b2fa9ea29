//! Tables are read in a process: it reads as this process would, and what brings it down brings nothing else down.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::Write;
use std::time::Duration;

use fieldbook_server::hub::GateProgram;
use fieldbook_server::import::{ImportError, TableReader, read_table};
use zip::write::SimpleFileOptions;

const PROGRAM: &str = env!("CARGO_BIN_EXE_fieldbook");
const LONG: Duration = Duration::from_secs(60);

fn reader() -> TableReader {
    TableReader::new(GateProgram::Process(PROGRAM.into()))
}

/// An OpenDocument sheet of one row of one cell that says how often both repeat.
fn ods(rows: u64, columns: u64) -> Vec<u8> {
    let content = format!(
        r#"<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet><table:table table:name="S"><table:table-row><table:table-cell office:value-type="string"><text:p>客户名称</text:p></table:table-cell></table:table-row><table:table-row table:number-rows-repeated="{rows}"><table:table-cell office:value-type="string" table:number-columns-repeated="{columns}"><text:p>协和</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"#
    );
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [
        ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", "<manifest:manifest/>"),
        ("content.xml", &content),
    ] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The compound file of an old Excel whose first chain of sectors goes round for ever.
fn endless_xls() -> Vec<u8> {
    let mut file = vec![0u8; 3 * 512];
    file[..8].copy_from_slice(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
    file[26..28].copy_from_slice(&3u16.to_le_bytes());
    file[30..32].copy_from_slice(&9u16.to_le_bytes());
    file[32..34].copy_from_slice(&6u16.to_le_bytes());
    file[44..48].copy_from_slice(&1u32.to_le_bytes());
    // The directory begins in sector 1, whose next sector is sector 1.
    file[48..52].copy_from_slice(&1u32.to_le_bytes());
    file[60..64].copy_from_slice(&0xffff_fffeu32.to_le_bytes());
    file[68..72].copy_from_slice(&0xffff_fffeu32.to_le_bytes());
    file[76..512].fill(0xff);
    file[76..80].copy_from_slice(&0u32.to_le_bytes());
    file[516..520].copy_from_slice(&1u32.to_le_bytes());
    file
}

#[test]
fn a_table_is_read_there_as_it_would_be_here() {
    let csv = "客户名称,电话\n示例医院,13800000001\n".as_bytes();
    for file in [csv.to_vec(), ods(3, 2), b"name\n".to_vec(), b"PK\x03\x04rubbish".to_vec()] {
        assert_eq!(reader().read(&file), read_table(&file));
    }
    assert_eq!(reader().read(&ods(3, 2)).unwrap().rows.len(), 3);
}

#[test]
fn a_file_that_takes_all_memory_is_an_answer_and_nothing_else() {
    let reader = reader();
    for (name, file, why) in [
        ("a million rows of a thousand columns", ods(1_000_000, 1_000), "Cell limit exceeded"),
        ("ninety million cells", ods(1_000_000, 90), "more memory than a table of its size needs"),
        ("a chain without an end", endless_xls(), "more memory than a table of its size needs"),
    ] {
        assert!(file.len() < 4_096, "{name}");
        let Err(ImportError::Unreadable(refused)) = reader.read(&file) else { panic!("{name}") };
        assert!(refused.contains(why), "{name}: {refused}");
        assert!(reader.read(b"name,phone\nA,13800000001\n").is_ok(), "the next file is read");
    }
}

#[test]
fn a_file_over_which_the_reader_never_ends_is_given_up() {
    let reader = TableReader::with_bounds(GateProgram::Process(PROGRAM.into()), 512, Duration::ZERO);
    let refused = reader.read(b"name,phone\nA,13800000001\n").unwrap_err().to_string();
    assert!(refused.ends_with("reading it takes too long"), "{refused}");
    let reader = TableReader::with_bounds(GateProgram::Process("/nowhere".into()), 512, LONG);
    assert!(matches!(reader.read(b"name\nA\n"), Err(ImportError::Unreadable(_))));
}
