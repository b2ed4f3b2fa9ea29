//! Reads a file into a header and rows of text, whatever program wrote it: CSV in UTF-8, UTF-16 or GB18030 (GBK), with commas, semicolons
//! or tabs, quoted line breaks and all; or the first filled sheet of an Excel workbook ([`super::workbook`]).
//!
//! A file is somebody's, and may be made to hurt: what it can make this server allocate is bounded before it is allocated.

use encoding_rs::{GB18030, UTF_8, UTF_16BE, UTF_16LE};

use super::{CELLS_MAX, COLUMNS_MAX, FILE_MAX_BYTES, ROWS_MAX, TEXT_MAX_BYTES, columns, workbook};

/// A file as rows of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// How the file was understood, for the summary: `csv, UTF-8` or `workbook, sheet 线索`.
    pub format: String,
    /// Names of the columns. One without a name is called by its place; a name that comes twice gets a number.
    pub header: Vec<String>,
    /// The rows behind the header, blank ones left out.
    pub rows: Vec<TableRow>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// Where it begins in the file, counting from 1, as an editor or a spreadsheet shows it.
    pub line: u64,
    /// Cells, trimmed. May be fewer than the header has names; never more.
    pub cells: Vec<String>,
}

/// Why a whole file was refused. Nothing of it was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Larger than [`FILE_MAX_BYTES`], or with more text than [`TEXT_MAX_BYTES`].
    #[error(
        "the file has {bytes} bytes; up to {FILE_MAX_BYTES} (of text {TEXT_MAX_BYTES}) can be imported at once, split it"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// More rows or columns than allowed.
    #[error(
        "the table has more than {ROWS_MAX} rows, {COLUMNS_MAX} columns or {CELLS_MAX} cells (seen: {rows} rows, {columns} columns); split it"
    )]
    TooMany {
        /// Rows seen.
        rows: usize,
        /// Columns seen.
        columns: usize,
    },
    /// No row at all, or only a header.
    #[error("the file holds no rows")]
    Empty,
    /// The file is damaged or not what its name says.
    #[error("the file cannot be read as a table: {0}")]
    Unreadable(String),
    /// No column that says who the customer is.
    #[error("no column of the table names a customer; it has: {header}")]
    NoKnownColumn {
        /// What the table has.
        header: String,
    },
}

/// Reads a file. The bytes decide what it is, not its name.
///
/// # Errors
/// [`ImportError`].
pub fn read_table(bytes: &[u8]) -> Result<Table, ImportError> {
    if bytes.len() > FILE_MAX_BYTES {
        return Err(ImportError::TooLarge { bytes: bytes.len() });
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0") {
        let advice = "an Excel file of before 2007, or an encrypted one; save it as .xlsx without a password, or as CSV";
        return Err(ImportError::Unreadable(advice.into()));
    }
    let is_workbook = bytes.starts_with(b"PK\x03\x04");
    let (format, rows) = if is_workbook { workbook::read(bytes)? } else { read_csv(bytes)? };
    with_header(format, rows.rows, rows.columns)
}

/// Rows as they are read, within the bounds of one file.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub rows: Vec<TableRow>,
    columns: usize,
    cells: usize,
    text_bytes: usize,
}

impl Rows {
    /// Adds a row without the empty cells at its end; a blank row is left out.
    pub fn push(&mut self, line: u64, mut cells: Vec<String>) -> Result<(), ImportError> {
        while cells.last().is_some_and(String::is_empty) {
            cells.pop();
        }
        if cells.is_empty() {
            return Ok(());
        }
        self.columns = self.columns.max(cells.len());
        self.cells += cells.len();
        self.text_bytes += cells.iter().map(String::len).sum::<usize>();
        self.rows.push(TableRow { line, cells });
        let (rows, columns) = (self.rows.len(), self.columns);
        // The header and what stands above it are no rows of the table.
        if rows > ROWS_MAX + HEADER_SEARCH_ROWS || columns > COLUMNS_MAX || self.cells > CELLS_MAX {
            return Err(ImportError::TooMany { rows, columns });
        }
        if self.text_bytes > TEXT_MAX_BYTES {
            return Err(ImportError::TooLarge { bytes: self.text_bytes });
        }
        Ok(())
    }
}

/// The header is the row, among the first few, that names most columns that we know: sheets often begin with a title.
fn with_header(format: String, mut rows: Vec<TableRow>, columns: usize) -> Result<Table, ImportError> {
    let known = |row: &TableRow| row.cells.iter().filter(|cell| columns::field_of(cell).is_some()).count();
    let best = (0..rows.len().min(HEADER_SEARCH_ROWS)).max_by_key(|i| (known(&rows[*i]), usize::MAX - i));
    let Some(best) = best.filter(|best| best + 1 < rows.len()) else { return Err(ImportError::Empty) };
    let names = rows.drain(..=best).next_back().map(|row| row.cells).unwrap_or_default();
    let mut header: Vec<String> = Vec::with_capacity(columns);
    for i in 0..columns {
        let name = names.get(i).filter(|name| !name.is_empty());
        let name = name.map_or_else(|| format!("column {}", i + 1), Clone::clone);
        let mut unique = name.clone();
        let mut number = 1;
        while header.contains(&unique) {
            number += 1;
            unique = format!("{name} ({number})");
        }
        header.push(unique);
    }
    Ok(Table { format, header, rows })
}

fn read_csv(bytes: &[u8]) -> Result<(String, Rows), ImportError> {
    let (text, encoding) = decode(bytes);
    let delimiter = delimiter_of(&text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut rows = Rows::default();
    let mut record = csv::StringRecord::new();
    let unreadable = |e: csv::Error| ImportError::Unreadable(e.to_string());
    while reader.read_record(&mut record).map_err(unreadable)? {
        // The reader's position before a record counts the blank lines that it then skips.
        let line = record.position().map_or(0, |p| line_at(&text, p.byte()));
        rows.push(line, record.iter().map(str::to_owned).collect())?;
    }
    number_lines(&text, &mut rows.rows);
    Ok((format!("csv, {encoding}"), rows))
}

/// While reading, `line` holds a byte offset; one pass turns offsets into lines.
fn number_lines(text: &str, rows: &mut [TableRow]) {
    let (mut at, mut line) = (0usize, 1u64);
    for row in rows {
        let offset = row.line as usize;
        line += text.as_bytes()[at..offset].iter().filter(|b| **b == b'\n').count() as u64;
        at = offset;
        row.line = line;
    }
}

/// The offset of the first byte of the record: blank lines before it are skipped.
fn line_at(text: &str, offset: u64) -> u64 {
    let rest = text.as_bytes().get(offset as usize..).unwrap_or_default();
    offset + rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count() as u64
}

fn decode(bytes: &[u8]) -> (String, &'static str) {
    let encoding = match bytes {
        [0xef, 0xbb, 0xbf, ..] => UTF_8,
        [0xff, 0xfe, ..] => UTF_16LE,
        [0xfe, 0xff, ..] => UTF_16BE,
        _ if std::str::from_utf8(bytes).is_ok() => UTF_8,
        // What Excel writes in China when asked for CSV; GB18030 holds all of GBK.
        _ => GB18030,
    };
    let (text, _, _) = encoding.decode(bytes);
    (text.into_owned(), encoding.name())
}

/// The separator that occurs most in the first line with any.
fn delimiter_of(text: &str) -> u8 {
    let first = text.lines().find(|line| line.contains([',', ';', '\t'])).unwrap_or("");
    let count = |d: u8| first.bytes().filter(|b| *b == d).count();
    [b',', b'\t', b';'].into_iter().max_by_key(|d| (count(*d), *d == b',')).unwrap_or(b',')
}

/// Titles, dates and notes above a header.
pub(super) const HEADER_SEARCH_ROWS: usize = 10;
