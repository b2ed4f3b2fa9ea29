//! A phone as its app has it: the facade, enrolled with a code and signed in by itself.

use std::path::Path;
use std::time::Duration;

use fieldbook_device::{Config, Fieldbook, SyncReport};

use crate::Fail;
use crate::firm::Firm;

/// Opens the store of an app.
///
/// # Errors
/// The facade's.
pub fn open(path: &Path) -> Result<Fieldbook, Fail> {
    Ok(Fieldbook::open(Config { agent: "bench/1".into(), ..Config::new(path, KEY) })?)
}

/// A new phone, enrolled with a code of a firm whose server runs.
///
/// # Errors
/// The facade's.
pub fn enrol(path: &Path, firm: &Firm, code: &str) -> Result<Fieldbook, Fail> {
    let book = open(path)?;
    book.enrol(&format!("http://127.0.0.1:{}/enrol#{code}", firm.port), "phone", PATIENCE, None)?;
    Ok(book)
}

/// One whole connection.
///
/// # Errors
/// The facade's.
pub fn sync(book: &Fieldbook) -> Result<SyncReport, Fail> {
    Ok(book.sync_now(PATIENCE, None)?)
}

/// The key of every phone here.
pub const KEY: [u8; 32] = [9; 32];
const PATIENCE: Duration = Duration::from_secs(600);
