//! Reads a file into a header and rows of text, whatever program wrote it: CSV in UTF-8, UTF-16 or GB18030 (GBK), with commas, semicolons
//! or tabs, quoted line breaks and all; or the first filled sheet of an Excel or OpenDocument workbook ([`super::workbook`]).
//!
//! Refuses what is larger than its bounds while it reads, before the memory is taken.

use std::collections::BTreeSet;

use encoding_rs::{GB18030, UTF_8, UTF_16BE, UTF_16LE};
use minicbor::{Decode, Encode};

use super::report::ERROR_COLUMNS;
use super::workbook::{is_workbook, read_workbook};
use super::{CELLS_MAX, COLUMNS_MAX, FILE_MAX_BYTES, ROWS_MAX, TEXT_MAX_BYTES, columns, quotes};

/// A file as rows of text.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Table {
    /// How the file was understood, for the summary: `csv, UTF-8` or `workbook, sheet 线索`.
    #[n(0)]
    pub format: String,
    /// Names of the columns. One without a name is called by its place; a name that comes twice gets a number.
    #[n(1)]
    pub header: Vec<String>,
    /// The rows behind the header, blank ones left out.
    #[n(2)]
    pub rows: Vec<TableRow>,
    /// Lines of the rows whose quote is not closed where it should be: they hold rows that stood behind them.
    #[n(3)]
    pub unclosed: Vec<u64>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TableRow {
    /// Where it begins in the file, counting from 1, as an editor or a spreadsheet shows it.
    #[n(0)]
    pub line: u64,
    /// Cells, trimmed. May be fewer than the header has names; never more.
    #[n(1)]
    pub cells: Vec<String>,
}

/// Why a whole file was refused. Nothing of it was imported.
#[derive(Debug, PartialEq, Eq, thiserror::Error, Encode, Decode)]
pub enum ImportError {
    /// Larger than [`FILE_MAX_BYTES`].
    #[error("the file has {bytes} bytes; up to {FILE_MAX_BYTES} can be imported at once, split it")]
    #[n(0)]
    TooLarge {
        /// Its size.
        #[n(0)]
        bytes: usize,
    },
    /// More of something than can be imported at once.
    #[error("the table has more than {most} {what}, the most that can be imported at once; split it")]
    #[n(1)]
    TooMany {
        /// Of what.
        #[n(0)]
        what: String,
        /// How many are allowed.
        #[n(1)]
        most: usize,
    },
    /// No row at all, or only a header.
    #[error("the file holds no rows")]
    #[n(2)]
    Empty,
    /// The file is damaged or not what its name says.
    #[error("the file cannot be read as a table: {0}")]
    #[n(3)]
    Unreadable(#[n(0)] String),
    /// No column that says who the customer is.
    #[error("no column of the table names a customer; it has: {header}")]
    #[n(4)]
    NoKnownColumn {
        /// What the table has.
        #[n(0)]
        header: String,
    },
}

impl ImportError {
    pub(super) fn too_many(what: &str, most: usize) -> Self {
        Self::TooMany { what: what.to_owned(), most }
    }
}

/// Reads a file. The bytes decide what it is, not its name.
///
/// # Errors
/// [`ImportError`].
pub fn read_table(bytes: &[u8]) -> Result<Table, ImportError> {
    if bytes.len() > FILE_MAX_BYTES {
        return Err(ImportError::TooLarge { bytes: bytes.len() });
    }
    let mut unclosed = Vec::new();
    let (format, rows) =
        if is_workbook(bytes) { read_workbook(bytes)? } else { read_csv(bytes, &mut unclosed)? };
    let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    match (with_header(format, rows, columns), unclosed.first()) {
        (Err(ImportError::Empty), Some(line)) => {
            Err(ImportError::Unreadable(format!("the quote in line {line} is not closed")))
        }
        (table, _) => table.map(|table| without_error_columns(Table { unclosed, ..table })),
    }
}

/// An error file that comes back is the table that it was made of: without its own two columns the others have the names, and their rows
/// the ids, that they had at first.
fn without_error_columns(mut table: Table) -> Table {
    let is_error_file = table.header.len() > ERROR_COLUMNS.len()
        && table.header.iter().zip(ERROR_COLUMNS).all(|(name, own)| name.eq_ignore_ascii_case(own));
    if is_error_file {
        table.header.drain(..ERROR_COLUMNS.len());
        for row in &mut table.rows {
            row.cells.drain(..ERROR_COLUMNS.len().min(row.cells.len()));
        }
        table.rows.retain(|row| !row.cells.is_empty());
    }
    table
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
    Ok(Table { format, header, rows, unclosed: Vec::new() })
}

fn read_csv(bytes: &[u8], unclosed: &mut Vec<u64>) -> Result<(String, Vec<TableRow>), ImportError> {
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
        rows.push(line, record.iter().enumerate().map(|(column, cell)| (column, cell.to_owned())))?;
        let end = reader.position().byte() as usize;
        if quotes::is_unclosed(&text.as_bytes()[line as usize..end.min(text.len())], delimiter) {
            unclosed.push(line);
        }
    }
    Ok((format!("csv, {encoding}"), number_lines(&text, rows.rows, unclosed)))
}

/// While reading, `line` holds a byte offset, and so does `unclosed`; one pass turns offsets into lines.
fn number_lines(text: &str, mut rows: Vec<TableRow>, unclosed: &mut Vec<u64>) -> Vec<TableRow> {
    let (mut at, mut line) = (0usize, 1u64);
    let broken: BTreeSet<u64> = std::mem::take(unclosed).into_iter().collect();
    for row in &mut rows {
        let offset = row.line as usize;
        line += text.as_bytes()[at..offset].iter().filter(|b| **b == b'\n').count() as u64;
        at = offset;
        row.line = line;
        if broken.contains(&(offset as u64)) {
            unclosed.push(line);
        }
    }
    rows
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

/// Rows that are being read, with what they take together.
#[derive(Default)]
pub(super) struct Rows {
    pub rows: Vec<TableRow>,
    cells: usize,
    bytes: usize,
}

impl Rows {
    /// Adds a row of cells with their columns, in the order of the columns, without the empty ones at its end; a blank row is left out.
    ///
    /// # Errors
    /// [`ImportError::TooMany`].
    pub fn push(
        &mut self,
        line: u64,
        cells: impl Iterator<Item = (usize, String)>,
    ) -> Result<(), ImportError> {
        let mut row = Vec::new();
        for (column, text) in cells.filter(|(_, text)| !text.is_empty()) {
            if column >= COLUMNS_MAX {
                return Err(ImportError::too_many("columns", COLUMNS_MAX));
            }
            self.bytes += text.len();
            row.resize(column, String::new());
            row.push(text);
        }
        self.cells += row.len();
        if self.cells > CELLS_MAX {
            return Err(ImportError::too_many("cells", CELLS_MAX));
        }
        if self.bytes > TEXT_MAX_BYTES {
            return Err(ImportError::too_many("bytes of text", TEXT_MAX_BYTES));
        }
        if !row.is_empty() {
            self.rows.push(TableRow { line, cells: row });
        }
        if self.rows.len() > ROWS_MAX + HEADER_SEARCH_ROWS {
            return Err(ImportError::too_many("rows", ROWS_MAX));
        }
        Ok(())
    }
}

/// Titles, dates and notes above a header.
pub(super) const HEADER_SEARCH_ROWS: usize = 10;
