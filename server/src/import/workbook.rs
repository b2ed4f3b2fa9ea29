//! Workbooks: Excel (xlsx, xlsb, xls) and OpenDocument (ods). Owns what is checked before and while a foreign archive is unpacked.
//!
//! A workbook of a few hundred bytes can name a cell in the last column of the last row, or unpack to gigabytes. Archives are unpacked once
//! against a bound before anything reads them, and Excel's newer formats are read cell by cell. The reader of the older ones builds whole
//! sheets in memory by itself; what it does with a hostile one is the reason for the process of [`super::worker`].

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{Data, Ods, Reader, Xls, Xlsb, Xlsx, XlsxError, open_workbook_from_rs};
use zip::ZipArchive;

use super::table::{HEADER_SEARCH_ROWS, ImportError, Rows, TableRow};
use super::{CELLS_MAX, COLUMNS_MAX, ENTRIES_MAX, INFLATED_MAX_BYTES, ROWS_MAX, TEXT_MAX_BYTES};

/// Whether the bytes are a workbook's: an archive, or the compound file of an old Excel.
pub(super) fn is_workbook(bytes: &[u8]) -> bool {
    bytes.starts_with(ZIP) || bytes.starts_with(COMPOUND)
}

/// The first sheet with more than one row.
///
/// # Errors
/// [`ImportError`]; a panic of the reader is one too.
pub(super) fn read_workbook(bytes: &[u8]) -> Result<(String, Vec<TableRow>), ImportError> {
    let read = || {
        if bytes.starts_with(COMPOUND) {
            return whole_sheets(open_workbook_from_rs::<Xls<_>, _>(Cursor::new(bytes)));
        }
        match kind_of_archive(bytes)? {
            Archive::OpenDocument => whole_sheets(open_workbook_from_rs::<Ods<_>, _>(Cursor::new(bytes))),
            Archive::Binary => read_xlsb(bytes),
            Archive::Excel => read_xlsx(bytes),
        }
    };
    // Nothing of the reader outlives its panic.
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(ImportError::Unreadable("the workbook is damaged".into())))
}

enum Archive {
    Excel,
    Binary,
    OpenDocument,
}

/// What kind of workbook an archive is. Unpacks all of it into nothing first: what its directory says of sizes is the sender's word.
fn kind_of_archive(bytes: &[u8]) -> Result<Archive, ImportError> {
    let too_large = || ImportError::too_many("bytes when it is unpacked", INFLATED_MAX_BYTES as usize);
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(unreadable)?;
    if archive.len() > ENTRIES_MAX {
        return Err(ImportError::too_many("files in it", ENTRIES_MAX));
    }
    if archive.decompressed_size().is_some_and(|bytes| bytes > INFLATED_MAX_BYTES.into()) {
        return Err(too_large());
    }
    let mut left = INFLATED_MAX_BYTES;
    for i in 0..archive.len() {
        let entry = archive.by_index(i).map_err(unreadable)?;
        let unpacked = std::io::copy(&mut entry.take(left + 1), &mut std::io::sink()).map_err(unreadable)?;
        left = left.checked_sub(unpacked).ok_or_else(too_large)?;
    }
    Ok(if archive.index_for_name("xl/workbook.bin").is_some() {
        Archive::Binary
    } else if archive.index_for_name("content.xml").is_some() {
        Archive::OpenDocument
    } else {
        Archive::Excel
    })
}

fn read_xlsx(bytes: &[u8]) -> Result<(String, Vec<TableRow>), ImportError> {
    let mut book: Xlsx<_> = open_workbook_from_rs(Cursor::new(bytes)).map_err(unreadable)?;
    for name in book.sheet_names() {
        let mut cells = match book.worksheet_cells_reader(&name) {
            // A chart.
            Err(XlsxError::NotAWorksheet(_)) => continue,
            cells => cells.map_err(unreadable)?,
        };
        let mut sheet = Sheet::default();
        while let Some(cell) = cells.next_cell().map_err(unreadable)? {
            let (row, column) = cell.get_position();
            sheet.put(row, column, &Data::from(cell.get_value().clone()))?;
        }
        if let Some(found) = sheet.filled(&name)? {
            return Ok(found);
        }
    }
    Err(ImportError::Empty)
}

fn read_xlsb(bytes: &[u8]) -> Result<(String, Vec<TableRow>), ImportError> {
    let mut book: Xlsb<_> = open_workbook_from_rs(Cursor::new(bytes)).map_err(unreadable)?;
    for name in book.sheet_names() {
        let mut cells = book.worksheet_cells_reader(&name).map_err(unreadable)?;
        let mut sheet = Sheet::default();
        while let Some(cell) = cells.next_cell().map_err(unreadable)? {
            let (row, column) = cell.get_position();
            sheet.put(row, column, &Data::from(cell.get_value().clone()))?;
        }
        if let Some(found) = sheet.filled(&name)? {
            return Ok(found);
        }
    }
    Err(ImportError::Empty)
}

/// Formats whose reader hands out whole sheets only.
fn whole_sheets<'a, B>(book: Result<B, B::Error>) -> Result<(String, Vec<TableRow>), ImportError>
where
    B: Reader<Cursor<&'a [u8]>>,
    B::Error: std::fmt::Display,
{
    let mut book = book.map_err(unreadable)?;
    for name in book.sheet_names() {
        let range = book.worksheet_range(&name).map_err(unreadable)?;
        let (first_row, first_column) = range.start().unwrap_or_default();
        let mut sheet = Sheet::default();
        for (row, column, value) in range.used_cells() {
            sheet.put(first_row + row as u32, first_column + column as u32, value)?;
        }
        if let Some(found) = sheet.filled(&name)? {
            return Ok(found);
        }
    }
    Err(ImportError::Empty)
}

/// The cells of a sheet that say something, in whatever order they come.
#[derive(Default)]
struct Sheet {
    rows: BTreeMap<u32, BTreeMap<u32, String>>,
    cells: usize,
    bytes: usize,
}

impl Sheet {
    fn put(&mut self, row: u32, column: u32, value: &Data) -> Result<(), ImportError> {
        let text = text_of(value);
        if text.is_empty() {
            return Ok(());
        }
        self.cells += 1;
        // One long text may stand in a million cells.
        self.bytes += text.len();
        if column as usize >= COLUMNS_MAX {
            return Err(ImportError::too_many("columns", COLUMNS_MAX));
        }
        if self.cells > CELLS_MAX {
            return Err(ImportError::too_many("cells", CELLS_MAX));
        }
        if self.bytes > TEXT_MAX_BYTES {
            return Err(ImportError::too_many("bytes of text", TEXT_MAX_BYTES));
        }
        self.rows.entry(row).or_default().insert(column, text);
        if self.rows.len() > ROWS_MAX + HEADER_SEARCH_ROWS {
            return Err(ImportError::too_many("rows", ROWS_MAX));
        }
        Ok(())
    }

    /// Its rows, when there is more than one.
    fn filled(self, name: &str) -> Result<Option<(String, Vec<TableRow>)>, ImportError> {
        let mut rows = Rows::default();
        for (row, cells) in self.rows {
            let cells = cells.into_iter().map(|(column, text)| (column as usize, text));
            rows.push(u64::from(row) + 1, cells)?;
        }
        Ok((rows.rows.len() > 1).then(|| (format!("workbook, sheet {name}"), rows.rows)))
    }
}

fn text_of(cell: &Data) -> String {
    match cell {
        Data::Empty | Data::Error(_) => String::new(),
        Data::String(text) => text.trim().to_owned(),
        // A telephone number that Excel took for a number.
        Data::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
        Data::DateTime(when) if when.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = when.to_ymd_hms_milli();
            let midnight = (hour, minute, second) == (0, 0, 0);
            let time = if midnight { String::new() } else { format!(" {hour:02}:{minute:02}:{second:02}") };
            format!("{year:04}-{month:02}-{day:02}{time}")
        }
        other => other.to_string().trim().to_owned(),
    }
}

fn unreadable(error: impl std::fmt::Display) -> ImportError {
    ImportError::Unreadable(error.to_string())
}

const ZIP: &[u8] = b"PK\x03\x04";
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0";
