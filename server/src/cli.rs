//! The command line: `fieldbook serve | init | import | policy | playbook | figures | note | first-contact | backup | restore | verify | keys | config | demo`. Reads arguments, calls, prints; decides nothing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use fieldbook_core::ids::{TeamId, UserId};
use fieldbook_core::store::StoreError;
use serde_json::Value;

use crate::app::{App, OpenError, SystemClock};
use crate::backup::Reapplied;
use crate::config::{Config, keys};
use crate::control::{self, Order};
use crate::engine::{EngineError, store_path};
use crate::hub::{GateProgram, Hub, worker};
use crate::import::worker as table;
use crate::{backup, confined, demo, logs, serve};

mod company;
mod language;

/// An offline-first companion backend for medical-device sales.
#[derive(Debug, Parser)]
#[command(name = "fieldbook", version)]
pub struct Cli {
    /// The configuration file; without one `fieldbook.toml` is read when it is there.
    #[arg(long, global = true, env = crate::config::CONFIG_VARIABLE)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve,
    /// Make the first administrator and print a one-time code to enrol their phone or console.
    Init(InitArgs),
    /// Import leads from a CSV file or a workbook.
    Import(ImportArgs),
    /// The company's rules: print a pack, check a text, publish it.
    Policy {
        #[command(subcommand)]
        what: company::PolicyCommand,
    },
    /// Talk packs and materials: print those that ship, check a text, publish it.
    Playbook {
        #[command(subcommand)]
        what: company::PlaybookCommand,
    },
    /// The company's figures of some days.
    Figures(company::FiguresArgs),
    /// Read dictated notes, one a line, and print one JSON object a line: contact, hospital, device, brand, budget, date, todo, intent.
    Note(language::NoteArgs),
    /// Read first messages or calls, one a line, and say of each whether it asks an open question about the customer's need.
    FirstContact(language::WordsArgs),
    /// Copy the company into a new folder; the server may run meanwhile.
    Backup {
        /// The folder, which does not exist yet.
        to: PathBuf,
    },
    /// Bring a backup into an empty data folder, as a new epoch.
    Restore {
        /// The backup's folder.
        from: PathBuf,
        /// The old server's data folder, or the file `tombstones` of it: what ended since the backup ends again.
        #[arg(long)]
        tombstones: Option<PathBuf>,
    },
    /// The keys that sign access tokens.
    Keys {
        #[command(subcommand)]
        what: KeysCommand,
    },
    /// Read everything and tell what is damaged; the server must not run.
    Verify,
    /// Print the configuration, or with --explain every key with its meaning.
    Config {
        /// Every key with its default and meaning, as a file to begin with.
        #[arg(long)]
        explain: bool,
    },
    /// Show the whole product at work on this machine.
    Demo(demo::DemoArgs),
    /// Judge pushed bytes from standard input: what the server starts for itself.
    #[command(hide = true)]
    GateWorker {
        /// Address space that the worker may take.
        #[arg(long, default_value_t = 512)]
        memory_mb: u64,
    },
    /// Read a table from standard input: what an import starts for itself.
    #[command(hide = true)]
    TableWorker {
        /// Address space that the worker may take.
        #[arg(long)]
        memory_mb: u64,
    },
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Replace the signing key now, whatever its age.
    Rotate {
        /// The old keys leaked: they verify nothing from now on, and every phone asks for its next token at once.
        #[arg(long)]
        distrust: bool,
    },
}

#[derive(Debug, Args)]
struct InitArgs {
    /// The administrator's name.
    #[arg(long, default_value = "Administrator")]
    name: String,
    /// Another code for the administrator there is.
    #[arg(long)]
    again: bool,
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// The file.
    file: PathBuf,
    /// Who works the leads: a user's id.
    #[arg(long)]
    owner: Option<UserId>,
    /// The team in whose pool they wait.
    #[arg(long)]
    team: Option<TeamId>,
    /// Names the system that the ids of the file come from.
    #[arg(long)]
    namespace: Option<String>,
    /// Where the rejected rows go; without it beside the file, as NAME.errors.csv.
    #[arg(long)]
    errors: Option<PathBuf>,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command of this process.
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            // Standard error may be closed; the exit status tells the same.
            let _ = writeln!(std::io::stderr(), "fieldbook: {error}");
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    if let Command::Policy { what } = &cli.command
        && let Some(done) = company::without_company(what)
    {
        return done;
    }
    if let Command::Playbook { what } = &cli.command
        && let Some(done) = company::playbook_without_company(what)
    {
        return done;
    }
    match cli.command {
        Command::Config { explain: true } => return print(&keys::explain()),
        Command::Demo(args) => return runtime()?.block_on(demo::run(args)),
        Command::Note(args) => return language::note(&args),
        Command::FirstContact(args) => return language::contact(&args),
        Command::GateWorker { memory_mb } => {
            confined::limit_memory(memory_mb)?;
            worker::run(std::io::stdin().lock(), std::io::stdout().lock())?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::TableWorker { memory_mb } => {
            confined::limit_memory(memory_mb)?;
            table::run(std::io::stdin().lock(), std::io::stdout().lock())?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let variables =
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let config = Config::load(cli.config, variables)?;
    logs::install(&config);
    match cli.command {
        Command::Serve => runtime()?.block_on(run_server(config)),
        Command::Init(args) => init(&config, args),
        Command::Import(args) => {
            holds_store(&config)?;
            import(&config, args)
        }
        Command::Policy { what } => company::publish(&config, what),
        Command::Playbook { what } => company::publish_playbook(&config, what),
        Command::Figures(args) => company::figures(&config, args),
        Command::Backup { to } => {
            holds_store(&config)?;
            let done = carry_out(&config, &Order::Backup { to: std::path::absolute(to)? })?;
            print(&format!("{done:#}\n"))
        }
        Command::Restore { from, tombstones } => restore(&config, &from, tombstones.as_deref()),
        Command::Keys { what: KeysCommand::Rotate { distrust } } => {
            holds_store(&config)?;
            let done = carry_out(&config, &Order::RotateKeys { distrust })?;
            print(match done["distrusted"].as_array().map_or(0, Vec::len) {
                0 => "a fresh key signs; the old one verifies until its last token has expired\n",
                _ => "a fresh key signs; the old ones are trusted no longer, phones refresh by themselves\n",
            })
        }
        Command::Verify => {
            holds_store(&config)?;
            let found = backup::verify(&*backup::open_verified(config)?)?;
            print(&format!("{:#}\n", serde_json::to_value(&found)?))?;
            Ok(if found.damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Config { .. } => print("the configuration is good\n"),
        Command::Note(_)
        | Command::FirstContact(_)
        | Command::Demo(_)
        | Command::GateWorker { .. }
        | Command::TableWorker { .. } => Ok(ExitCode::SUCCESS),
    }
}

async fn run_server(mut config: Config) -> Result<ExitCode, Failure> {
    let listener = serve::bind(&mut config)?;
    let app = App::open(config, Arc::new(SystemClock))?;
    let door = control::listen(app.clone())?;
    let hub = Hub::start(app.clone(), GateProgram::this()?)?;
    let running = serve::start(app, hub, listener)?;
    running.until_signal().await?;
    door.abort();
    Ok(ExitCode::SUCCESS)
}

fn init(config: &Config, args: InitArgs) -> Result<ExitCode, Failure> {
    let done = carry_out(config, &Order::Init { name: args.name, again: args.again })?;
    let text = |key: &str| done[key].as_str().unwrap_or_default().to_owned();
    print(&format!("Administrator's one-time code: {}\nServer: {}\n", text("code"), text("server")))
}

fn restore(config: &Config, from: &Path, tombstones: Option<&Path>) -> Result<ExitCode, Failure> {
    let restored = backup::restore(config, from, tombstones)?;
    print(&format!("{:#}\n", serde_json::to_value(&restored.manifest)?))?;
    print("restored; phones that saw more than this backup give it back when they connect\n")?;
    match restored.reapplied {
        Reapplied::All(stones) => {
            print(&format!("{stones} tombstones: what had ended since the backup has ended again\n"))?
        }
        Reapplied::NoneFound => print(NO_TOMBSTONES)?,
    };
    print(&format!("{}\n", restored.undone))
}

fn import(config: &Config, args: ImportArgs) -> Result<ExitCode, Failure> {
    let file = std::path::absolute(args.file)?;
    let errors = match args.errors {
        Some(path) => std::path::absolute(path)?,
        None => beside(&file),
    };
    let order = Order::Import {
        file,
        errors: errors.clone(),
        owner: args.owner,
        team: args.team,
        namespace: args.namespace,
        dry_run: args.dry_run,
    };
    let done = carry_out(config, &order)?;
    for column in done["columns"].as_array().into_iter().flatten() {
        let text = |key: &str| column[key].as_str().unwrap_or_default().to_owned();
        print(&format!("  {} -> {}\n", text("name"), text("taken_for")))?;
    }
    let number = |key: &str| done[key].as_u64().unwrap_or_default();
    let (rows, imported, known) = (number("rows"), number("imported"), number("known"));
    let (incomplete, rejected) = (number("incomplete"), number("rejected"));
    print(&format!(
        "{}: {rows} rows; {imported} imported, {known} known from before, {rejected} rejected; {incomplete} to be completed\n",
        done["format"].as_str().unwrap_or_default()
    ))?;
    if rejected > 0 {
        print(&format!("rejected rows with line and reason: {}\n", errors.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Carries an order out here, or, when a server runs on the data folder, there.
fn carry_out(config: &Config, order: &Order) -> Result<Value, Failure> {
    match App::open(config.clone(), Arc::new(SystemClock)) {
        Ok(app) => {
            app.read_tables_with(GateProgram::this()?);
            let done = control::carry_out(&app, order);
            app.engine.close()?;
            Ok(done?)
        }
        Err(OpenError::Engine(EngineError::Store(StoreError::InUse))) => {
            Ok(control::ask(&config.data_dir, order)??)
        }
        Err(other) => Err(other.into()),
    }
}

/// Refuses to take an empty folder, a misspelt one perhaps, for a company.
fn holds_store(config: &Config) -> Result<(), Failure> {
    let folder = &config.data_dir;
    if store_path(config.engine, folder).exists() {
        return Ok(());
    }
    Err(format!("{} holds no store of engine {:?}", folder.display(), config.engine).into())
}

/// `leads.csv` → `leads.errors.csv`.
fn beside(file: &Path) -> PathBuf {
    file.with_extension("errors.csv")
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn print(text: &str) -> Result<ExitCode, Failure> {
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

const NO_TOMBSTONES: &str = "\
there were no tombstones: phones that were revoked or reported stolen, people who left, codes that were used and keys that were
distrusted since the backup are as good as they were then. End them again before you serve, or empty the data folder and restore with
--tombstones OLD_DATA_FOLDER
";
