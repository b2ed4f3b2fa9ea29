//! The server's configuration: one typed value, read from a file (`fieldbook.toml`) and then from the environment.
//!
//! Owns: every key, its default, its meaning and its bounds, all in [`keys::KEYS`], the table that also prints as the
//! documentation (`fieldbook config --explain`). Refuses: a key that it does not know, with the exact place, because a
//! misspelt key that is silently ignored is how a server runs for a year without TLS.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use jiff::tz::TimeZone;

mod file;
pub mod keys;
#[cfg(test)]
mod tests;

/// Everything that an operator can set. Built by [`Config::load`]; the defaults are those of the key table.
#[derive(Debug, Clone)]
pub struct Config {
    /// `server.listen`
    pub listen: SocketAddr,
    /// `server.public_url`, without a slash at the end; what a phone is told at enrolment.
    pub public_url: Option<String>,
    /// `server.data_dir`
    pub data_dir: PathBuf,
    /// `server.shutdown_s`: how long open requests may finish after the signal to stop.
    pub shutdown_s: u32,
    /// `server.metrics_token`: who may read `/metrics` from another machine; `None`: only this machine may.
    pub metrics_token: Option<String>,
    /// `server.trusted_proxy`: whose X-Forwarded-For is believed.
    pub trusted_proxy: Option<IpAddr>,
    /// `store.engine`
    pub engine: Engine,
    /// `store.upkeep_hour`: the hour of the company's day from which the store's space is kept in order.
    pub upkeep_hour: i8,
    /// `tls.cert` and `tls.key`: both or neither.
    pub tls: Option<TlsFiles>,
    /// `auth.*`
    pub auth: AuthConfig,
    /// `device.lock_after_days`: days without contact after which the facade locks reads.
    pub lock_after_days: u32,
    /// `evidence.max_bytes`: one piece of evidence.
    pub evidence_max_bytes: u64,
    /// `evidence.open_uploads`: unfinished uploads of one device.
    pub evidence_open_uploads: u32,
    /// `evidence.keep_partial_days`: an unfinished upload is removed after that long without a part.
    pub evidence_keep_partial_days: u32,
    /// `held.keep_days`: held work keeps its words so long after somebody decided.
    pub held_keep_days: u32,
    /// `gate.*`
    pub gate: GateConfig,
    /// `log.level`: a filter as of the `tracing` ecosystem.
    pub log_level: String,
    /// `log.format`
    pub log_format: LogFormat,
    /// `company.name`
    pub company_name: String,
    /// `company.timezone`: the zone in which "today" and a month begin (C58).
    pub timezone: TimeZone,
    /// `automation.every_ms`: how often the rules look at what changed and what is due; 0: never.
    pub automation_every_ms: u32,
    /// `automation.webhook_url`: where intents go.
    pub webhook_url: Option<String>,
    /// `automation.webhook_key`: signs them.
    pub webhook_key: Secret,
}

/// What no log shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Tokens and codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    /// `auth.algorithm` of keys that are created from now on.
    pub algorithm: KeyAlgorithm,
    /// `auth.access_ttl_s`
    pub access_ttl_s: u32,
    /// `auth.leeway_s`: clock difference that is forgiven between server nodes.
    pub leeway_s: u32,
    /// `auth.refresh_ttl_days`
    pub refresh_ttl_days: u32,
    /// `auth.enrol_ttl_hours`
    pub enrol_ttl_hours: u32,
    /// `auth.key_rotate_days`
    pub key_rotate_days: u32,
}

/// The worker processes in which foreign bytes are decoded (design decision 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateConfig {
    /// `gate.workers`
    pub workers: u32,
    /// `gate.memory_mb`: address space that one worker may take.
    pub memory_mb: u32,
    /// `gate.deadline_ms`: over a batch that takes longer the worker is killed, and its pushes are judged one by one.
    pub deadline_ms: u32,
}

/// Where the certificate chain and its key lie, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The storage engines that are built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The engine of record.
    Redb,
    /// More writes a second, more disk.
    Sled,
}

/// How tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// Ed25519: who verifies need not be able to sign.
    EdDsa,
    /// HMAC-SHA-256: where a gateway in front shares the secret.
    Hs256,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person's eyes.
    Text,
}

/// Why a configuration was refused. Names the place and the key, so that one look at the file is enough.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named on the command line or in `FIELDBOOK_CONFIG` cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// File, line and column.
        place: Place,
        /// What the parser said.
        message: String,
    },
    /// A key that this version does not know.
    #[error("{place}: there is no key `{key}`{hint}")]
    UnknownKey {
        /// Where it stands.
        place: Place,
        /// What it is called there.
        key: String,
        /// The nearest known key.
        hint: Hint,
    },
    /// A value that the key does not take.
    #[error("{place}: `{key}` cannot be {value:?}: {reason}")]
    BadValue {
        /// Where it stands.
        place: Place,
        /// The key.
        key: &'static str,
        /// The value as written.
        value: String,
        /// What was expected.
        reason: String,
    },
    /// Two keys that only make sense together.
    #[error("`tls.cert` and `tls.key` belong together; only `{given}` is set")]
    HalfTls {
        /// The one that is set.
        given: &'static str,
    },
    /// An address for the webhook and no key: whoever receives it could not tell who sent it.
    #[error("`automation.webhook_url` needs `automation.webhook_key`, which signs what is posted")]
    Unsigned,
}

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file; line and column count from 1.
    File {
        /// The file as named.
        path: PathBuf,
        /// Line.
        line: usize,
        /// Column, in characters.
        column: usize,
    },
    /// In an environment variable.
    Environment(String),
    /// In the table of defaults.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Place::Environment(name) => write!(f, "environment variable {name}"),
            Place::Default => f.write_str("default"),
        }
    }
}

/// "Did you mean …": the known key that is nearest to a misspelt one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint(pub Option<&'static str>);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(key) => write!(f, "; did you mean `{key}`?"),
            None => f.write_str("; `fieldbook config --explain` lists all keys"),
        }
    }
}

impl Config {
    /// Reads the file (when one is named, or `fieldbook.toml` when it is there), then the environment, which wins.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is wrong.
    pub fn load(
        file: Option<PathBuf>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut environment: Vec<_> =
            environment.into_iter().filter(|(name, _)| name.starts_with(keys::ENV_PREFIX)).collect();
        environment.sort();
        let from_env = environment.iter().position(|(name, _)| name == CONFIG_VARIABLE);
        let from_env = from_env.map(|at| PathBuf::from(environment.remove(at).1));
        let mut given = Vec::new();
        if let Some(path) = file.or(from_env) {
            given = file::read(&path)?;
        } else if std::path::Path::new(DEFAULT_FILE).exists() {
            given = file::read(std::path::Path::new(DEFAULT_FILE))?;
        }
        given.extend(environment.into_iter().map(|(name, value)| {
            let key = keys::KEYS.iter().find(|k| k.env() == name).map_or(name.clone(), |k| k.name.to_owned());
            Given { key, value, place: Place::Environment(name) }
        }));
        Self::build(given)
    }

    /// What the program does when nobody configures anything, whatever lies in the folder or the environment.
    ///
    /// # Errors
    /// None that a test does not find.
    pub fn defaults() -> Result<Self, ConfigError> {
        Self::build(Vec::new())
    }

    /// The address that phones and people use: `server.public_url`, else what is listened on.
    pub fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.clone(),
            None => format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.listen),
        }
    }

    fn build(given: Vec<Given>) -> Result<Self, ConfigError> {
        let mut draft = keys::Draft::new();
        for Given { key, value, place } in given {
            let Some(known) = keys::KEYS.iter().find(|k| k.name == key) else {
                let hint = Hint(keys::nearest(&key));
                return Err(ConfigError::UnknownKey { place, key, hint });
            };
            if let Err(reason) = (known.set)(&mut draft, &value) {
                return Err(ConfigError::BadValue { place, key: known.name, value, reason });
            }
        }
        draft.finish()
    }
}

/// One value as somebody gave it.
pub(crate) struct Given {
    pub key: String,
    pub value: String,
    pub place: Place,
}

/// Looked for in the working directory when no file is named.
pub const DEFAULT_FILE: &str = "fieldbook.toml";
/// Names the file, as `--config` does.
pub const CONFIG_VARIABLE: &str = "FIELDBOOK_CONFIG";
