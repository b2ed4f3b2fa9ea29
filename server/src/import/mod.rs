//! Tables in (C8): a CSV or Excel file becomes leads, with columns matched by name, and every row that is not one gets a line and a reason.
//!
//! Owns: how a file is read ([`table`]), what a column means ([`columns`]), what a cell means ([`cells`]), and what a row needs to be a lead
//! ([`plan`]). Refuses to lose anything: a column that it does not know travels as an extra field, a cell that it cannot read as what its
//! column says stays as an extra field too, and a row that it rejects goes into the error file as it was.
//!
//! Importing the same file twice gives the same leads: a lead's id is derived from the row's external id or, without one, from its content.

mod cells;
pub mod columns;
pub mod plan;
pub mod report;
pub mod table;
#[cfg(test)]
mod tests;
mod workbook;

pub use columns::Field;
pub use plan::{ImportedLead, Plan, RejectedRow, plan_import};
pub use report::write_errors;
pub use table::{ImportError, Table, read_table};

/// A file that is imported, at the most. A hundred thousand rows of forty columns are about 20 MB.
pub const FILE_MAX_BYTES: usize = 64 << 20;
/// Rows of one file.
pub const ROWS_MAX: usize = 200_000;
/// Columns of one file.
pub const COLUMNS_MAX: usize = 512;
/// Cells of one file, empty ones in front of filled ones counted: what a table takes in memory follows from it.
pub const CELLS_MAX: usize = 10_000_000;
/// Text of one file's cells. One text of a workbook may stand in every cell.
pub const TEXT_MAX_BYTES: usize = 256 << 20;
/// A workbook's parts, inflated: 64 MiB of deflate can stand for 64 GiB.
pub const INFLATED_MAX_BYTES: u64 = 512 << 20;
/// One cell. What is longer is an unclosed quote that swallowed the rest of the file.
pub const CELL_MAX_BYTES: usize = fieldbook_core::limits::VALUE_MAX_BYTES;
