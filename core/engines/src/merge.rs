//! An engine's rows and the rows that stand in front of them, read as one. Refuses to know how an engine keeps a row: it is told the key,
//! and opens only what a reader is given.

use std::cmp::Ordering;
use std::iter::Peekable;

use fieldbook_core::limits;
use fieldbook_core::store::{Direction, Range, Row, StoreError};

use crate::HIDDEN;
use crate::draft::Rows;

/// A row as an engine hands it out.
pub(crate) trait Found {
    /// The caller's key.
    fn key(&self) -> &[u8];

    /// Key and value, the checksum verified.
    fn open(self) -> Result<Row, StoreError>;
}

/// One page of a range: of `under` (the engine's rows of that range, smallest key first) and of `over`, which counts where both have a key.
pub(crate) fn page<R: Found>(
    under: impl DoubleEndedIterator<Item = Result<R, StoreError>>,
    over: &Rows,
    range: &Range,
    direction: Direction,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let over = over.range::<[u8], _>(range.bounds());
    let limit = limit.min(limits::SCAN_MAX_ROWS);
    match direction {
        Direction::Forward => take(under, over, direction, limit),
        Direction::Backward => take(under.rev(), over.rev(), direction, limit),
    }
}

/// Visits every row in key order, those that scans hide included.
pub(crate) fn visit<R: Found>(
    under: impl Iterator<Item = Result<R, StoreError>>,
    over: &Rows,
    visit: &mut dyn FnMut(Row) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let merged =
        Merge { under: under.peekable(), over: over.iter().peekable(), direction: Direction::Forward };
    for next in merged {
        if let Some(row) = next?.open()? {
            visit(row)?;
        }
    }
    Ok(())
}

fn take<'a, R: Found>(
    under: impl Iterator<Item = Result<R, StoreError>>,
    over: impl Iterator<Item = Over<'a>>,
    direction: Direction,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let mut merged = Merge { under: under.peekable(), over: over.peekable(), direction };
    let mut rows = Vec::new();
    while rows.len() < limit {
        let Some(next) = merged.next() else { break };
        let next = next?;
        if !HIDDEN.contains(&next.key()) {
            rows.extend(next.open()?);
        }
    }
    Ok(rows)
}

/// A row, or its absence, that stands in front.
type Over<'a> = (&'a Vec<u8>, &'a Option<Vec<u8>>);

enum Either<'a, R> {
    Under(R),
    Over(Over<'a>),
}

impl<R: Found> Either<'_, R> {
    fn key(&self) -> &[u8] {
        match self {
            Either::Under(found) => found.key(),
            Either::Over((key, _)) => key,
        }
    }

    fn open(self) -> Result<Option<Row>, StoreError> {
        match self {
            Either::Under(found) => found.open().map(Some),
            Either::Over((key, value)) => Ok(value.clone().map(|value| (key.clone(), value))),
        }
    }
}

/// Both in one order.
struct Merge<A: Iterator, B: Iterator> {
    under: Peekable<A>,
    over: Peekable<B>,
    direction: Direction,
}

impl<'a, R, A, B> Iterator for Merge<A, B>
where
    R: Found,
    A: Iterator<Item = Result<R, StoreError>>,
    B: Iterator<Item = Over<'a>>,
{
    type Item = Result<Either<'a, R>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.under.peek(), self.over.peek()) {
            (Some(Ok(found)), Some((key, _))) => match self.direction {
                Direction::Forward => found.key().cmp(key.as_slice()),
                Direction::Backward => key.as_slice().cmp(found.key()),
            },
            // What could not be read is told before anything else.
            (Some(_), _) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        if order.is_lt() {
            return self.under.next().map(|found| found.map(Either::Under));
        }
        if order.is_eq() {
            self.under.next();
        }
        self.over.next().map(|over| Ok(Either::Over(over)))
    }
}
