//! What this program is when it starts itself: a phone that has just been started, or one that is about to be killed.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use fieldbook_core::ids::DocId;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::phone::Phone;
use crate::yardstick::ms;
use crate::{Fail, app, firm, say};

/// The first argument of a child.
pub const WORD: &str = "child";
/// `child edit STORE LEAD...`: opens a phone's store, edits every lead, says so, and waits to be killed.
pub const EDIT: &str = "edit";

/// `child sync STORE PORT`: opens a phone's store and makes one connection; the token comes in [`TOKEN`]. Prints what [`Fresh`] reads.
pub const SYNC: &str = "sync";
/// The environment variable with an access token.
pub const TOKEN: &str = "FIELDBOOK_BENCH_TOKEN";

/// Runs a child.
///
/// # Errors
/// Whatever stops it.
pub fn run(args: &[String]) -> Result<(), Fail> {
    match args {
        [word, store, port] if word == SYNC => sync(Path::new(store), port.parse()?),
        [word, store, leads @ ..] if word == EDIT => edit(Path::new(store), leads),
        _ => Err("no such child".into()),
    }
}

/// What a phone says that was started to make one connection.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// From the first look at its store until everything was settled, milliseconds.
    pub ms: f64,
    /// The part of it that the store took to open.
    pub open_ms: f64,
    /// TCP payload both ways.
    pub bytes: u64,
    /// As [`crate::phone::Synced::awaited`].
    pub awaited: u32,
    /// Changes that became durable on the server, and documents that changed on the phone.
    pub moved: (u64, u64),
}

impl std::str::FromStr for Fresh {
    type Err = Fail;

    fn from_str(line: &str) -> Result<Self, Fail> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [ms, open_ms, bytes, awaited, up, down] = words.as_slice() else {
            return Err(format!("a phone that was started said {line:?}").into());
        };
        Ok(Self {
            ms: ms.parse()?,
            open_ms: open_ms.parse()?,
            bytes: bytes.parse()?,
            awaited: awaited.parse()?,
            moved: (up.parse()?, down.parse()?),
        })
    }
}

fn sync(store: &Path, port: u16) -> Result<(), Fail> {
    let token = std::env::var(TOKEN)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let began = Instant::now();
    let mut phone = Phone::open(store)?;
    let open_ms = ms(began.elapsed());
    let done = runtime.block_on(phone.sync(&token, port))?;
    let bytes = done.up_bytes + done.down_bytes;
    let (up, down) = (done.report.durable, done.report.changed);
    say(&format!("{} {open_ms} {bytes} {} {up} {down}", open_ms + done.ms, done.awaited));
    phone.close()?;
    Ok(())
}

fn edit(store: &Path, leads: &[String]) -> Result<(), Fail> {
    let book = app::open(store)?;
    // Other edits at every call: the same ones would change nothing.
    let mut rng = StdRng::from_os_rng();
    for lead in leads {
        book.log_visit(lead.parse::<DocId>()?, &firm::told_visit(&mut rng))?;
    }
    say(READY);
    std::io::stdout().flush()?;
    // Nothing wakes this thread: the process ends by a kill.
    loop {
        std::thread::park();
    }
}

/// What a child says when it may be killed.
pub const READY: &str = "ready";
