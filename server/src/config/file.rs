//! Reads `fieldbook.toml` into keys, values and places. Knows TOML; knows no key.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{ConfigError, Given, Place};

/// Every scalar of the file under its dotted name, in the order of the file.
///
/// # Errors
/// [`ConfigError::Unreadable`] or [`ConfigError::Syntax`].
pub(super) fn read(path: &Path) -> Result<Vec<Given>, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse(path, &text)
}

/// As [`read`], of text that is already here.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Given>, ConfigError> {
    let place = |offset: usize| {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Place::File { path: path.to_owned(), line, column }
    };
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        place: place(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    let mut found = Vec::new();
    flatten("", table.get_ref(), &mut found);
    found.sort_by_key(|(_, _, offset)| *offset);
    Ok(found.into_iter().map(|(key, value, offset)| Given { key, value, place: place(offset) }).collect())
}

fn flatten(prefix: &str, table: &DeTable<'_>, found: &mut Vec<(String, String, usize)>) {
    for (key, value) in table {
        let name =
            if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        let text = match value.get_ref() {
            DeValue::Table(inner) => {
                flatten(&name, inner, found);
                continue;
            }
            DeValue::String(text) => text.to_string(),
            DeValue::Boolean(yes) => yes.to_string(),
            DeValue::Integer(number) => {
                // 0x10 and 1_000 are integers too; what does not fit stays as written and is refused by its key.
                let digits = number.as_str();
                i64::from_str_radix(digits, number.radix())
                    .map_or_else(|_| digits.to_owned(), |n| n.to_string())
            }
            // No key takes these; as text they are refused with the place.
            DeValue::Float(number) => number.as_str().to_owned(),
            DeValue::Datetime(when) => when.to_string(),
            DeValue::Array(items) => format!("[a list of {}]", items.len()),
        };
        found.push((name, text, key.span().start));
    }
}
