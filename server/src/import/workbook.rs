//! Workbooks (.xlsx): the first filled sheet, cell by cell. Owns the bounds on a file that was made to hurt: what its parts inflate to is
//! counted before anything is parsed, cells are streamed and never spread over the rectangle that they claim to span, and a panic of the
//! reader is a file that cannot be read.

use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{Data, Reader, Xlsx};

use super::table::{ImportError, Rows};
use super::{CELL_MAX_BYTES, COLUMNS_MAX, INFLATED_MAX_BYTES};

/// Reads the first sheet with more than one filled row.
///
/// # Errors
/// [`ImportError`].
pub(super) fn read(bytes: &[u8]) -> Result<(String, Rows), ImportError> {
    check_inflation(bytes)?;
    catch_unwind(AssertUnwindSafe(|| read_sheets(bytes)))
        .unwrap_or_else(|_| Err(ImportError::Unreadable("the workbook is damaged".into())))
}

/// Inflates every part once, into nothing: what the directory of the file claims about sizes is only a claim.
fn check_inflation(bytes: &[u8]) -> Result<(), ImportError> {
    let unreadable = |e: zip::result::ZipError| ImportError::Unreadable(e.to_string());
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(unreadable)?;
    if archive.len() > PARTS_MAX {
        return Err(ImportError::Unreadable(format!("the workbook has {} parts", archive.len())));
    }
    let mut left = INFLATED_MAX_BYTES;
    for at in 0..archive.len() {
        let mut part = archive.by_index(at).map_err(unreadable)?.take(left + 1);
        let inflated = std::io::copy(&mut part, &mut std::io::sink())
            .map_err(|e| ImportError::Unreadable(e.to_string()))?;
        left = left.checked_sub(inflated).ok_or_else(|| {
            ImportError::Unreadable(format!("the workbook inflates to more than {INFLATED_MAX_BYTES} bytes"))
        })?;
    }
    Ok(())
}

fn read_sheets(bytes: &[u8]) -> Result<(String, Rows), ImportError> {
    let unreadable = |e: calamine::XlsxError| ImportError::Unreadable(e.to_string());
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).map_err(unreadable)?;
    for name in book.sheet_names() {
        let mut cells = book.worksheet_cells_reader(&name).map_err(unreadable)?;
        let mut rows = Rows::default();
        let (mut row, mut line) = (Vec::new(), 0u32);
        while let Some(cell) = cells.next_cell().map_err(unreadable)? {
            let ((at, column), text) = (cell.get_position(), cell_text(&cell.get_value().clone().into()));
            if text.is_empty() {
                continue;
            }
            if at < line {
                return Err(ImportError::Unreadable(format!(
                    "row {} stands behind row {}",
                    at + 1,
                    line + 1
                )));
            }
            if at > line {
                rows.push(u64::from(line) + 1, std::mem::take(&mut row))?;
                line = at;
            }
            let column = column as usize;
            if column >= COLUMNS_MAX {
                return Err(ImportError::TooMany { rows: rows.rows.len(), columns: column + 1 });
            }
            if row.len() <= column {
                row.resize(column + 1, String::new());
            }
            row[column] = text;
        }
        rows.push(u64::from(line) + 1, row)?;
        if rows.rows.len() > 1 {
            return Ok((format!("workbook, sheet {name}"), rows));
        }
    }
    Err(ImportError::Empty)
}

fn cell_text(cell: &Data) -> String {
    match cell {
        Data::Empty | Data::Error(_) => String::new(),
        // A shared text may stand in every cell: the bound on one is the bound on all. Whoever plans the import rejects the row.
        Data::String(text) => text.trim().chars().take(CELL_MAX_BYTES + 1).collect(),
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

/// Parts of one workbook: sheets, styles, pictures.
const PARTS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{CELLS_MAX, read_table};

    fn book(fill: impl FnOnce(&mut rust_xlsxwriter::Worksheet)) -> Vec<u8> {
        let mut book = rust_xlsxwriter::Workbook::new();
        let sheet = book.add_worksheet();
        sheet.write(0, 0, "客户名称").unwrap();
        fill(sheet);
        book.save_to_buffer().unwrap()
    }

    #[test]
    fn two_cells_in_far_corners_cost_two_cells() {
        let far = book(|sheet| {
            sheet.write(1_048_575, 0, "最后一行").unwrap();
        });
        let table = read_table(&far).unwrap();
        assert_eq!((table.rows.len(), table.rows[0].line), (1, 1_048_576));
        let wide = book(|sheet| {
            sheet.write(1, 16_383, "最后一列").unwrap();
        });
        assert!(matches!(read_table(&wide), Err(ImportError::TooMany { columns: 16_384, .. })));
    }

    #[test]
    fn rows_that_are_wide_and_empty_are_counted_by_what_they_take() {
        let rows = CELLS_MAX / COLUMNS_MAX + 2;
        let mut csv = String::from("客户名称\n");
        for _ in 0..rows {
            csv.extend(std::iter::repeat_n(',', COLUMNS_MAX - 1));
            csv.push_str("x\n");
        }
        assert!(matches!(read_table(csv.as_bytes()), Err(ImportError::TooMany { .. })));
    }

    #[test]
    fn what_inflates_without_end_is_refused_before_it_is_read() {
        let mut bomb = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        let zeros = vec![0; 1 << 20];
        bomb.start_file("xl/sharedStrings.xml", options).unwrap();
        for _ in 0..(INFLATED_MAX_BYTES >> 20) + 1 {
            std::io::Write::write_all(&mut bomb, &zeros).unwrap();
        }
        let bytes = bomb.finish().unwrap().into_inner();
        assert!(bytes.len() < 2 << 20);
        assert!(matches!(read_table(&bytes), Err(ImportError::Unreadable(why)) if why.contains("inflates")));
    }

    #[test]
    fn a_damaged_workbook_is_told_from_an_old_one_and_neither_hurts() {
        let whole = book(|sheet| {
            sheet.write(1, 0, "医院").unwrap();
        });
        for at in (0..whole.len()).step_by(37) {
            let mut torn = whole.clone();
            torn[at] ^= 0x55;
            // Whatever it says, it says it.
            let _ = read_table(&torn);
            let _ = read_table(&whole[..at]);
        }
        let old = read_table(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and so on");
        assert!(matches!(old, Err(ImportError::Unreadable(why)) if why.contains(".xlsx")));
    }
}
