//! Quotes that are not closed. A CSV reader takes whatever stands behind one for the cell's text, up to the next quote or the end of the file,
//! and says nothing: rows of other customers are then words in a note.

/// Whether a quoted cell of this record was never closed, or holds line breaks and is closed where neither a separator nor the record's end
/// follows: that quote belongs to another cell. Reads quotes as the CSV reader does: they count at a cell's first byte alone.
pub(super) fn is_unclosed(record: &[u8], delimiter: u8) -> bool {
    let mut at = At::CellStart;
    let mut breaks = false;
    for byte in record {
        at = match (at, *byte) {
            (At::Quoted, b'"') => At::QuoteIn,
            (At::Quoted, byte) => {
                breaks |= byte == b'\n';
                At::Quoted
            }
            (At::QuoteIn, b'"') => At::Quoted,
            (_, byte) if byte == delimiter || matches!(byte, b'\r' | b'\n') => {
                breaks = false;
                At::CellStart
            }
            (At::CellStart, b'"') => At::Quoted,
            (At::QuoteIn, byte) if breaks && byte != b' ' => return true,
            _ => At::Text,
        };
    }
    at == At::Quoted
}

/// Where the reader stands in a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    CellStart,
    Text,
    Quoted,
    /// Behind a quote in a quoted cell: it ends the cell, or is half of a doubled one.
    QuoteIn,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_that_are_closed_are_told_from_those_that_are_not() {
        for (record, unclosed) in [
            ("a,b", false),
            ("\"a\",\"b\"", false),
            ("\"a\nb\",c\n", false),
            ("\"a \"\"b\"\" c\",d", false),
            ("5\" pipe,x", false),
            ("\"a\" b,c", false),
            ("\"a\nb\" ,c\r\n", false),
            ("\"a,b\nc,d\n", true),
            ("a,\"", true),
            ("\"a\"\"", true),
            ("\"a,1\nb,2\n\"c\",3", true),
        ] {
            assert_eq!(is_unclosed(record.as_bytes(), b','), unclosed, "{record:?}");
        }
    }
}
