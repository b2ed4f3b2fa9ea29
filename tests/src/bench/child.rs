//! What this program is when it starts itself: a server on a disk with a known flush, or a phone that is about to be killed.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fieldbook_core::ids::DocId;
use fieldbook_engines::{RedbOptions, RedbStore};
use fieldbook_server::app::{App, SystemClock};
use fieldbook_server::config::{self, Config};
use fieldbook_server::engine::{Engine, store_path};
use fieldbook_server::hub::{GateProgram, Hub};
use fieldbook_server::serve;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::flush::{FixedFlush, Flushes};
use crate::phone::Phone;
use crate::server::program;
use crate::{Fail, firm, say};

/// The first argument of a child.
pub const WORD: &str = "child";
/// `child serve FLUSH_US`: a server, configured by the environment.
pub const SERVE: &str = "serve";
/// `child edit STORE LEAD...`: opens a phone's store, edits every lead, says so, and waits to be killed.
pub const EDIT: &str = "edit";

/// Runs a child.
///
/// # Errors
/// Whatever stops it.
pub fn run(args: &[String]) -> Result<(), Fail> {
    match args {
        [word, flush_us] if word == SERVE => serve(Duration::from_micros(flush_us.parse()?)),
        [word, store, leads @ ..] if word == EDIT => edit(Path::new(store), leads),
        _ => Err("no such child".into()),
    }
}

fn serve(flush: Duration) -> Result<(), Fail> {
    let variables =
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let mut config = Config::load(None, variables)?;
    let seen = Arc::new(Flushes::default());
    let file =
        File::options().read(true).write(true).open(store_path(config::Engine::Redb, &config.data_dir))?;
    let store = RedbStore::with_backend(FixedFlush::new(file, flush, seen.clone()), &RedbOptions::default())?;
    let engine = Engine::Redb(Arc::new(store));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = serve::bind(&mut config)?;
        let app = App::open_on(engine, config, Arc::new(SystemClock))?;
        let hub = Hub::start(app.clone(), GateProgram::Process(program()?))?;
        serve::start(app, hub, listener)?.until_signal().await?;
        Ok::<_, Fail>(())
    })?;
    say(&format!("{} {}", seen.count(), seen.mean_us()));
    Ok(())
}

fn edit(store: &Path, leads: &[String]) -> Result<(), Fail> {
    let mut phone = Phone::open(store)?;
    // Other edits at every call: the same ones would change nothing.
    let mut rng = StdRng::from_os_rng();
    for lead in leads {
        phone.edit(lead.parse::<DocId>()?, firm::visit(&mut rng))?;
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
