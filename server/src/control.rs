//! The operator's door: a socket in the data folder, open to its owner alone, through which commands reach a server that runs. One line of
//! JSON in, one line out. Who may open the folder may read the store anyway, so there is no further sign-in.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fieldbook_core::company::SERVER_USER;
use fieldbook_core::ids::{TeamId, UserId};
use fieldbook_core::playbook::Written;
use fieldbook_core::policy::Policy;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::auth::Entropy;
use crate::backup;
use crate::rest::{self, ImportOptions, import_table};

/// What an operator wants done, with the server running or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Make the first administrator and a code.
    Init {
        /// The administrator's name.
        name: String,
        /// Another code for the one there is.
        again: bool,
    },
    /// Make a backup in a new folder.
    Backup {
        /// An absolute path.
        to: PathBuf,
    },
    /// Replace the signing key.
    RotateKeys {
        /// The old ones verify nothing any more.
        distrust: bool,
    },
    /// Publish a policy.
    PublishPolicy {
        /// As it is written.
        toml: String,
        /// From when it is in force; `None`: the company's next midnight.
        effective_from_ms: Option<i64>,
        /// Why.
        note: String,
    },
    /// Publish talk packs and materials.
    PublishPlaybook {
        /// As they are written.
        toml: String,
    },
    /// Tell the figures of some days.
    Figures {
        /// The first day, ISO.
        from: String,
        /// The day behind the last, ISO.
        until: String,
        /// What the leads of these days cost, fen.
        marketing_fen: Option<i64>,
    },
    /// Import a table.
    Import {
        /// An absolute path.
        file: PathBuf,
        /// Where the rejected rows go.
        errors: PathBuf,
        /// Who works the leads.
        owner: Option<UserId>,
        /// The team whose pool they wait in.
        team: Option<TeamId>,
        /// Names the system that the ids come from.
        namespace: Option<String>,
        /// Decide, and import nothing.
        dry_run: bool,
    },
}

/// What came of it: an answer for the command to print, or a sentence.
pub type Answer = Result<Value, String>;

/// Carries an order out on an open company. Blocks.
pub fn carry_out(app: &App, order: &Order) -> Answer {
    match order {
        Order::Init { name, again } => {
            let code = app.bootstrap(name, *again).map_err(|e| e.to_string())?;
            let server = app.config.public_url();
            Ok(json!({"code": code.text, "expires_ms": code.expires_ms, "server": server}))
        }
        Order::Backup { to } => {
            let manifest = backup::make(app, to).map_err(|e| e.to_string())?;
            serde_json::to_value(manifest).map_err(|e| e.to_string())
        }
        Order::RotateKeys { distrust } => {
            let done = app.auth.rotate_keys(app.now_ms(), &mut Entropy::from_system(), *distrust);
            let names = done.map_err(|e| e.to_string())?;
            tracing::warn!(distrusted = names.len(), "the signing key was replaced by an operator");
            Ok(json!({"distrusted": names.iter().map(ToString::to_string).collect::<Vec<_>>()}))
        }
        Order::PublishPolicy { toml, effective_from_ms, note } => {
            let policy = Policy::from_toml(toml).map_err(|e| e.to_string())?;
            let effective_from_ms = effective_from_ms.unwrap_or_else(|| rest::tomorrow(app));
            let id = rest::put_in_force(app, &policy, effective_from_ms, SERVER_USER, note);
            let id = id.map_err(|e| e.to_string())?;
            tracing::info!(%id, effective_from_ms, "a policy was published by an operator");
            Ok(json!({"id": id, "effective_from_ms": effective_from_ms}))
        }
        Order::PublishPlaybook { toml } => {
            let written = Written::from_toml(toml).map_err(|e| e.to_string())?;
            let done = rest::put_out(app, &written, false).map_err(|e| e.to_string())?;
            serde_json::to_value(done).map_err(|e| e.to_string())
        }
        Order::Figures { from, until, marketing_fen } => {
            let day = |text: &str| text.parse().map_err(|_| format!("{text:?} is no day"));
            let told = rest::figures_of(app, day(from)?, day(until)?, *marketing_fen);
            serde_json::to_value(told.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
        }
        Order::Import { file, errors, owner, team, namespace, dry_run } => {
            let bytes = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
            let options =
                ImportOptions { owner: *owner, team: *team, namespace: namespace.clone(), dry_run: *dry_run };
            let mut report = import_table(app, &bytes, &options).map_err(|e| e.to_string())?;
            if report.rejected > 0 {
                std::fs::write(errors, &report.errors_csv)
                    .map_err(|e| format!("{}: {e}", errors.display()))?;
            }
            report.errors_csv.clear();
            serde_json::to_value(report).map_err(|e| e.to_string())
        }
    }
}

/// Opens the door of a running server.
///
/// # Errors
/// When the socket cannot be made.
pub fn listen(app: Arc<App>) -> io::Result<JoinHandle<()>> {
    let path = socket_path(&app.config.data_dir);
    // The store's lock says that no other server runs here; a socket that is left is of one that was killed.
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(tokio::spawn(async move {
        // One order at a time: these are rare and heavy.
        loop {
            let answered = match listener.accept().await {
                Ok((stream, _)) => answer(&app, stream).await,
                Err(error) => {
                    // Too many open files, for instance: that passes, and the operator's door must not stay shut behind it.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    Err(error)
                }
            };
            if let Err(error) = answered {
                tracing::warn!(%error, "an operator's order was not answered");
            }
        }
    }))
}

/// Sends an order to the server that runs on this data folder. Blocks until it is done.
///
/// # Errors
/// When no server answers there.
pub fn ask(data_dir: &Path, order: &Order) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket_path(data_dir))?;
    let mut line = serde_json::to_vec(order).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    serde_json::from_str(&answer).map_err(io::Error::other)
}

async fn answer(app: &Arc<App>, stream: tokio::net::UnixStream) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(read.take(ORDER_MAX_BYTES));
    let whole = tokio::time::timeout(ORDER_TIMEOUT, reader.read_line(&mut line));
    whole.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let done: Answer = match serde_json::from_str::<Order>(&line) {
        Ok(order) => {
            let app = app.clone();
            // An order that panics is answered like any other that fails; the door stays open for the next.
            tokio::task::spawn_blocking(move || carry_out(&app, &order))
                .await
                .unwrap_or_else(|_| Err("the server failed over this order; nothing more is known".into()))
        }
        Err(error) => Err(format!("not an order: {error}")),
    };
    let mut out = serde_json::to_vec(&done).map_err(io::Error::other)?;
    out.push(b'\n');
    write.write_all(&out).await
}

fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// A policy is the longest of orders: a dozen sections of at most a value's size, escaped.
const ORDER_MAX_BYTES: u64 = 4 << 20;
/// Pause after a connection that could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
const ORDER_TIMEOUT: Duration = Duration::from_secs(5);
