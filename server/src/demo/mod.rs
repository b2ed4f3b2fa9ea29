//! `fieldbook demo`: the whole product at work on this machine, told as a short story. A real server on the embedded engine, real
//! hospitals as leads, three phones through the same runtime that the apps link, two of them without signal while the office moves a lead.
//!
//! The only place where the server's crate knows the phone's. [`story`] plays, [`verdict`] judges, [`air`] is the network that gets lost.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use fieldbook_core::access::Role;
use fieldbook_core::company::{TeamRow, UserRow};
use fieldbook_core::ids::{TeamId, UserId};
use tokio::runtime::Handle;

use crate::app::{App, SystemClock, blocking};
use crate::auth::Entropy;
use crate::config::Config;
use crate::hub::{GateProgram, Hub};
use crate::rest::{ImportOptions, import_table};
use crate::serve;

mod aftermath;
mod air;
mod handset;
mod story;
#[cfg(test)]
mod tests;
mod verdict;

use handset::Handset;
use story::Phones;
use verdict::Verdict;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Leave the server running afterwards.
    #[arg(long)]
    pub stay: bool,
    /// Where the demonstration keeps its data; without one in a fresh temporary folder, removed at the end.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Where the server listens; port 0: any that is free.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
}

/// Somebody of the demonstration's company.
#[derive(Debug, Clone)]
struct Colleague {
    user: UserId,
    name: &'static str,
}

/// The demonstration's company.
struct Cast {
    /// A rep.
    li: Colleague,
    /// Another.
    wang: Colleague,
    /// Their manager.
    chen: Colleague,
    /// The director, who has no phone here.
    zhou: Colleague,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the demonstration; the exit status tells whether everything converged.
///
/// # Errors
/// Whatever kept the parts from working together.
pub async fn run(args: DemoArgs) -> Result<ExitCode, Failure> {
    let folder = Folder::new(args.data.as_deref())?;
    // Nothing of a company's own configuration that may lie in this folder: its address, its certificate and its engine are not the demonstration's.
    let mut config = Config::defaults()?;
    config.listen = args.listen;
    config.data_dir = folder.path.join("server");
    config.company_name = "智康医疗（演示）".into();
    let listener = serve::bind(&mut config)?;
    let app = App::open(config, Arc::new(SystemClock))?;
    let hub = Hub::start(app.clone(), GateProgram::this()?)?;
    let running = serve::start(app.clone(), hub, listener)?;
    say(&format!(
        "A server listens on http://{} (engine redb, data in {}).",
        running.address,
        folder.path.display()
    ))?;

    let stage = app.clone();
    let cast = blocking(move || found(&stage)).await?;
    let phones = folder.path.join("phones");
    std::fs::create_dir_all(&phones)?;
    let (stage, runtime) = (app.clone(), Handle::current());
    let (cast, converged) = blocking(move || perform(&stage, &runtime, cast, &phones)).await?;

    if args.stay {
        let stage = app.clone();
        say(&blocking(move || ways_in(&stage, &cast)).await?)?;
        running.until_signal().await?;
    } else {
        running.stop().await?;
    }
    Ok(if converged { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Plays and judges. Whether everything converged.
fn perform(app: &App, runtime: &Handle, cast: Cast, folder: &Path) -> Result<(Cast, bool), Failure> {
    let phone = |who: &Colleague| Handset::enrol(app, runtime, who, folder);
    let phones = Phones { li: phone(&cast.li)?, wang: phone(&cast.wang)?, chen: phone(&cast.chen)? };
    let mut verdict = Verdict::default();
    let leads = story::play(app, &cast, &phones, &mut verdict)?;
    for phone in phones.all() {
        verdict.compare(app, phone)?;
    }
    verdict.expect_no_byte(&phones.li, leads.moved.id)?;
    Ok((cast, verdict.tell()?))
}

/// Where the server that stays is found, and what gets somebody in.
fn ways_in(app: &App, cast: &Cast) -> Result<String, Failure> {
    let base = app.config.public_url();
    let mut entropy = Entropy::from_system();
    let rep = app.auth.issue_code(cast.li.user, None, app.now_ms(), &mut entropy)?;
    let admin = app.bootstrap("管理员", true)?;
    Ok(format!(
        "\nThe server stays. Open {base}/api/openapi.json to see what it answers to.\n\
         Enrol a phone of {} with {base}/enrol#{}\n\
         Enrol an administrator with {base}/enrol#{}\n\
         Stop it with Ctrl-C.",
        cast.li.name, rep.text, admin.text
    ))
}

/// People, and real hospitals as their leads.
fn found(app: &App) -> Result<Cast, Failure> {
    let mut entropy = Entropy::from_system();
    let now_ms = app.now_ms();
    let own_team = TeamId(entropy.draw());
    let mut hire = |name: &'static str, role: Role| -> Result<Colleague, Failure> {
        let user = entropy.user();
        let team = (role != Role::Director).then_some(own_team);
        if role == Role::Manager {
            let row = TeamRow { name: "华东组".into(), parent: None, leaders: vec![user] };
            app.company.put_team(own_team, row, now_ms)?;
        }
        app.company.put_user(user, UserRow { name: name.to_owned(), role, team, active: true }, now_ms)?;
        Ok(Colleague { user, name })
    };
    let zhou = hire("周总监", Role::Director)?;
    let chen = hire("陈主管", Role::Manager)?;
    let li = hire("李销售", Role::Rep)?;
    let wang = hire("王销售", Role::Rep)?;
    let (header, rows) = HOSPITALS.split_once('\n').unwrap_or((HOSPITALS, ""));
    let rows: Vec<&str> = rows.lines().collect();
    let (first, second) = rows.split_at(rows.len() / 2);
    let mut imported = 0;
    for (owner, part) in [(&li, first), (&wang, second)] {
        let table = format!("{header}\n{}\n", part.join("\n"));
        let options = ImportOptions { owner: Some(owner.user), team: None, namespace: None, dry_run: false };
        let report = import_table(app, table.as_bytes(), &options).map_err(|e| format!("import: {e:?}"))?;
        imported += report.imported;
    }
    say(&format!(
        "The office imported {imported} real hospitals as leads, half of them for {}, half for {}.",
        li.name, wang.name
    ))?;
    Ok(Cast { li, wang, chen, zhou })
}

fn say(words: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{words}")
}

/// Where the demonstration keeps its data.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn new(wanted: Option<&Path>) -> std::io::Result<Self> {
        let (path, temporary) = match wanted {
            Some(path) => (path.to_owned(), false),
            None => {
                let name = format!("fieldbook-demo-{}-{:08x}", std::process::id(), rand::random::<u32>());
                (std::env::temp_dir().join(name), true)
            }
        };
        std::fs::create_dir_all(&path)?;
        Ok(Self { path, temporary })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed stays in the temporary folder; there is nobody to tell.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// 300 hospitals of several provinces; origin and licence in the notice beside the file.
const HOSPITALS: &str = include_str!("../../data/hospitals_cn.csv");
