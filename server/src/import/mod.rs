//! Tables in (C8): a CSV or Excel file becomes leads, with columns matched by name, and every row that is not one gets a line and a reason.
//!
//! Owns: how a file is read ([`table`], in a process of its own: [`worker`]), what a column means ([`columns`]), what a cell means ([`cells`]), and what a row needs to be a lead
//! ([`plan`]). Refuses to lose anything: a column that it does not know travels as an extra field, a cell that it cannot read as what its
//! column says stays as an extra field too, and a row that it rejects goes into the error file as it was.
//!
//! Importing the same file twice gives the same leads: a lead's id is derived from the row's external id or, without one, from its content.

mod cells;
pub mod columns;
pub mod plan;
mod quotes;
pub mod report;
pub mod table;
#[cfg(test)]
mod tests;
mod workbook;
pub mod worker;

pub use columns::Field;
pub use plan::{ImportedLead, Plan, RejectedRow, plan_import};
pub use report::write_errors;
pub use table::{ImportError, Table, read_table};
pub use worker::TableReader;

/// A file that is imported, at the most. A hundred thousand rows of forty columns are about 20 MB.
pub const FILE_MAX_BYTES: usize = 64 << 20;
/// What a workbook may unpack to, all its files together: 4 million cells of 60 bytes of XML.
pub const INFLATED_MAX_BYTES: u64 = 256 << 20;
/// Files in a workbook's archive.
pub const ENTRIES_MAX: usize = 4_096;
/// Rows of one file.
pub const ROWS_MAX: usize = 200_000;
/// Columns of one file.
pub const COLUMNS_MAX: usize = 512;
/// Cells of one file, those between filled ones counted: a hundred thousand rows of forty columns.
pub const CELLS_MAX: usize = 4_000_000;
/// Text of all cells together. A workbook may name one long text in every cell.
pub const TEXT_MAX_BYTES: usize = 128 << 20;
/// One cell. What is longer is an unclosed quote that swallowed the rest of the file.
pub const CELL_MAX_BYTES: usize = fieldbook_core::limits::VALUE_MAX_BYTES;
