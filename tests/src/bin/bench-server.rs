//! `bench-server FLUSH_US`: the server on a store whose flush costs so many microseconds, configured by the environment, for the rows of the
//! `bench` command that need a disk with a known flush. When it ends it prints how often it flushed and how long a flush took. It is the
//! `fieldbook` program in everything else, its allocator included.
//!
//! Called by the name `fieldbook` it is that program: a test that has no build of it gives this one two names.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fieldbook_engines::{RedbOptions, RedbStore};
use fieldbook_server::app::{App, SystemClock};
use fieldbook_server::config::{self, Config};
use fieldbook_server::engine::{Engine, store_path};
use fieldbook_server::hub::{GateProgram, Hub};
use fieldbook_server::serve;
use fieldbook_tests::flush::{FixedFlush, Flushes};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

type Fail = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    if std::env::current_exe().is_ok_and(|path| path.file_stem().is_some_and(|name| name == "fieldbook")) {
        return fieldbook_server::cli::main();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; the exit status tells the same.
            let _ = writeln!(std::io::stderr(), "bench-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Fail> {
    let flush_us = std::env::args().nth(1).ok_or("bench-server FLUSH_US")?.parse()?;
    let variables =
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let mut config = Config::load(None, variables)?;
    let seen = Arc::new(Flushes::default());
    let path = store_path(config::Engine::Redb, &config.data_dir);
    let disk = FixedFlush::open(&path, Duration::from_micros(flush_us), seen.clone())?;
    let store = RedbStore::with_backend(disk, &RedbOptions::default())?;
    let engine = Engine::Redb(Arc::new(store));
    let worker = std::env::current_exe()?.with_file_name("fieldbook");
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = serve::bind(&mut config)?;
        let app = App::open_on(engine, config, Arc::new(SystemClock))?;
        let hub = Hub::start(app.clone(), GateProgram::Process(worker))?;
        serve::start(app, hub, listener)?.until_signal().await?;
        Ok::<_, Fail>(())
    })?;
    writeln!(std::io::stdout(), "{} {}", seen.count(), seen.mean_us())?;
    Ok(())
}
