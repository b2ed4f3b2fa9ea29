//! The error file: every rejected row as it was, behind its line and the reason, so that it can be repaired and imported again. The table
//! reader knows the two columns by their names and leaves them out.

use std::io::{self, Write};

use super::plan::RejectedRow;

/// Writes the error file as UTF-8 CSV with a byte order mark, without which Excel shows Chinese as rubbish.
///
/// # Errors
/// What the writer says.
pub fn write_errors(mut to: impl Write, header: &[String], rejected: &[RejectedRow]) -> io::Result<()> {
    to.write_all("\u{feff}".as_bytes())?;
    let mut out = csv::WriterBuilder::new().flexible(true).from_writer(to);
    let head = ERROR_COLUMNS.into_iter().chain(header.iter().map(String::as_str));
    out.write_record(head)?;
    for row in rejected {
        let line = row.line.to_string();
        let cells =
            [line.as_str(), row.reason.as_str()].into_iter().chain(row.cells.iter().map(String::as_str));
        out.write_record(cells)?;
    }
    out.flush()
}

/// The columns that the error file puts before those of the table. Nobody else's table begins with both.
pub(super) const ERROR_COLUMNS: [&str; 2] = ["fieldbook line", "fieldbook reason"];
