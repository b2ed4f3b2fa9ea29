//! The one table of configuration keys: name, default, what it takes, what it means, and how it is set.
//!
//! A key that is not here does not exist; its default is applied through the same setter as an operator's value, so a
//! default can never be out of bounds.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use fieldbook_core::limits;
use jiff::tz::TimeZone;

use super::{AuthConfig, Config, ConfigError, Engine, GateConfig, KeyAlgorithm, LogFormat, Secret, TlsFiles};

/// One configuration key.
pub struct Key {
    /// Dotted name in the file.
    pub name: &'static str,
    /// The value when nobody sets it.
    pub default: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// What it means, a sentence or two.
    pub help: &'static str,
    pub(super) set: fn(&mut Draft, &str) -> Result<(), String>,
}

impl Key {
    /// The environment variable: `store.engine` is `FIELDBOOK_STORE_ENGINE`.
    pub fn env(&self) -> String {
        format!("{ENV_PREFIX}{}", self.name.replace('.', "_").to_uppercase())
    }
}

/// Every key, grouped by its first word.
pub const KEYS: &[Key] = &[
    Key {
        name: "server.listen",
        default: "127.0.0.1:8470",
        takes: "address:port",
        help: "Where the server listens. Port 0 takes a free one and logs which.",
        set: |d, v| put(&mut d.0.listen, v.parse::<SocketAddr>().map_err(|e| e.to_string())),
    },
    Key {
        name: "server.public_url",
        default: "",
        takes: "http(s) URL, or empty",
        help: "The address that phones reach the server at; it stands in enrolment codes and is the issuer of tokens. Empty: the listening address.",
        set: |d, v| put(&mut d.0.public_url, url(v)),
    },
    Key {
        name: "server.data_dir",
        default: "fieldbook-data",
        takes: "folder",
        help: "Where the store and the evidence lie. Created with rights for its owner alone.",
        set: |d, v| put(&mut d.0.data_dir, path(v)),
    },
    Key {
        name: "server.shutdown_s",
        default: "20",
        takes: "seconds, 1 to 600",
        help: "How long requests and sessions that are under way may finish after the signal to stop.",
        set: |d, v| put(&mut d.0.shutdown_s, within(v, 1, 600)),
    },
    Key {
        name: "server.metrics_token",
        default: "",
        takes: "text of 16 to 200 characters, or empty",
        help: "The bearer token with which another machine may read /metrics. Empty: only this machine may; set it when a proxy on this machine passes requests on.",
        set: |d, v| put(&mut d.0.metrics_token, token(v)),
    },
    Key {
        name: "server.trusted_proxy",
        default: "",
        takes: "IP address, or empty",
        help: "The proxy in front. In requests from this address, and from no other, the last address of X-Forwarded-For is taken for the caller's, so that whoever guesses codes is slowed down alone. Empty: all that come through a proxy share its address.",
        set: |d, v| put(&mut d.0.trusted_proxy, address(v)),
    },
    Key {
        name: "store.engine",
        default: "redb",
        takes: "redb | sled",
        help: "The storage engine. `redb` is the engine of record; `sled` writes up to twice as fast and takes up to ten times the disk. A store is opened by the engine that created it.",
        set: |d, v| put(&mut d.0.engine, choice(v, &[("redb", Engine::Redb), ("sled", Engine::Sled)])),
    },
    Key {
        name: "store.upkeep_hour",
        default: "3",
        takes: "hour, 0 to 23",
        help: "The hour of the day, in `company.timezone`, from which once a day the store's space is kept in order; writes may wait a moment then.",
        set: |d, v| put(&mut d.0.upkeep_hour, within(v, 0, 23)),
    },
    Key {
        name: "tls.cert",
        default: "",
        takes: "PEM file, or empty",
        help: "Certificate chain, the server's own certificate first. With `tls.key`: HTTPS. Without both: plain HTTP, for a proxy in front that ends TLS.",
        set: |d, v| put(&mut d.1, optional_path(v)),
    },
    Key {
        name: "tls.key",
        default: "",
        takes: "PEM file, or empty",
        help: "The private key of the certificate.",
        set: |d, v| put(&mut d.2, optional_path(v)),
    },
    Key {
        name: "auth.algorithm",
        default: "eddsa",
        takes: "eddsa | hs256",
        help: "How signing keys that are created from now on sign access tokens. Older keys keep theirs until they are rotated out.",
        set: |d, v| {
            put(
                &mut d.0.auth.algorithm,
                choice(v, &[("eddsa", KeyAlgorithm::EdDsa), ("hs256", KeyAlgorithm::Hs256)]),
            )
        },
    },
    Key {
        name: "auth.access_ttl_s",
        default: "900",
        takes: "seconds, 60 to 86400",
        help: "Life of an access token.",
        set: |d, v| put(&mut d.0.auth.access_ttl_s, within(v, 60, 86_400)),
    },
    Key {
        name: "auth.leeway_s",
        default: "30",
        takes: "seconds, 0 to 300",
        help: "Difference between the clocks of several server nodes that is forgiven when a token is checked.",
        set: |d, v| put(&mut d.0.auth.leeway_s, within(v, 0, 300)),
    },
    Key {
        name: "auth.refresh_ttl_days",
        default: "90",
        takes: "days, 1 to 730",
        help: "Life of a refresh token since it was last used: a phone that is silent for longer is enrolled again.",
        set: |d, v| put(&mut d.0.auth.refresh_ttl_days, within(v, 1, 730)),
    },
    Key {
        name: "auth.enrol_ttl_hours",
        default: "72",
        takes: "hours, 1 to 720",
        help: "Life of a one-time enrolment code.",
        set: |d, v| put(&mut d.0.auth.enrol_ttl_hours, within(v, 1, 720)),
    },
    Key {
        name: "auth.key_rotate_days",
        default: "30",
        takes: "days, 1 to 365",
        help: "Age at which the signing key is replaced. The old one verifies until the last token that it signed has expired.",
        set: |d, v| put(&mut d.0.auth.key_rotate_days, within(v, 1, 365)),
    },
    Key {
        name: "device.lock_after_days",
        default: "14",
        takes: "days, 1 to 365",
        help: "Days without contact after which a phone locks reading and keeps its outbox.",
        set: |d, v| put(&mut d.0.lock_after_days, within(v, 1, 365)),
    },
    Key {
        name: "evidence.max_bytes",
        default: "67108864",
        takes: "bytes, 65536 to 67108864",
        help: "Largest piece of evidence (a photo, a signed form).",
        set: |d, v| put(&mut d.0.evidence_max_bytes, within(v, 65_536, limits::EVIDENCE_MAX_BYTES)),
    },
    Key {
        name: "evidence.open_uploads",
        default: "64",
        takes: "1 to 1024",
        help: "Unfinished uploads that one device may have at a time. One more takes the place of the one that got no part for the longest; the phone begins that one again.",
        set: |d, v| put(&mut d.0.evidence_open_uploads, within(v, 1, 1_024)),
    },
    Key {
        name: "evidence.keep_partial_days",
        default: "30",
        takes: "days, 1 to 365",
        help: "An unfinished upload is removed when no part arrived for that long.",
        set: |d, v| put(&mut d.0.evidence_keep_partial_days, within(v, 1, 365)),
    },
    Key {
        name: "held.keep_days",
        default: "90",
        takes: "days, 1 to 3650",
        help: "Held work that somebody accepted or discarded keeps its words for that long. What waits for a decision is kept however long it waits.",
        set: |d, v| put(&mut d.0.held_keep_days, within(v, 1, 3_650)),
    },
    Key {
        name: "gate.workers",
        default: "2",
        takes: "1 to 256",
        help: "Worker processes that decode what phones send. One a core is plenty.",
        set: |d, v| put(&mut d.0.gate.workers, within(v, 1, 256)),
    },
    Key {
        name: "gate.memory_mb",
        default: "512",
        takes: "MiB, 64 to 65536",
        help: "Address space that one worker may take before it is killed.",
        set: |d, v| put(&mut d.0.gate.memory_mb, within(v, 64, 65_536)),
    },
    Key {
        name: "gate.deadline_ms",
        default: "5000",
        takes: "milliseconds, 100 to 60000",
        help: "Time that one batch may take in a worker before it is killed; a push alone then gets the same once more, and four times as long at last.",
        set: |d, v| put(&mut d.0.gate.deadline_ms, within(v, 100, 60_000)),
    },
    Key {
        name: "log.level",
        default: "info",
        takes: "error | warn | info | debug | trace, or a filter such as info,fieldbook_server::hub=debug",
        help: "What is logged.",
        set: |d, v| put(&mut d.0.log_level, filter(v)),
    },
    Key {
        name: "log.format",
        default: "text",
        takes: "text | json",
        help: "How log lines look.",
        set: |d, v| {
            put(&mut d.0.log_format, choice(v, &[("text", LogFormat::Text), ("json", LogFormat::Json)]))
        },
    },
    Key {
        name: "company.name",
        default: "Fieldbook",
        takes: "text",
        help: "The company's name, as phones and the console show it.",
        set: |d, v| put(&mut d.0.company_name, some_text(v)),
    },
    Key {
        name: "company.timezone",
        default: "Asia/Shanghai",
        takes: "IANA time zone",
        help: "The zone in which a day and a month of the company begin.",
        set: |d, v| put(&mut d.0.timezone, TimeZone::get(v).map_err(|_| "no such IANA time zone".to_owned())),
    },
    Key {
        name: "automation.every_ms",
        default: "200",
        takes: "a whole number of milliseconds from 0 to 60000",
        help: "How often the rules look at what changed and what is due: assignment, deadlines, nurturing, confirmed stages. 0: never.",
        set: |d, v| put(&mut d.0.automation_every_ms, within(v, 0, 60_000)),
    },
    Key {
        name: "automation.webhook_url",
        default: "",
        takes: "an address that begins with https:// or http://, or nothing",
        help: "Where what the rules want told outside is posted, each under its key and signed. Nothing: it waits, and expires after a day.",
        set: |d, v| put(&mut d.0.webhook_url, url(v)),
    },
    Key {
        name: "automation.webhook_key",
        default: "",
        takes: "16 to 200 characters, or nothing where nothing is posted",
        help: "The key of the signature (HMAC-SHA-256) of what is posted.",
        set: |d, v| put(&mut d.0.webhook_key, token(v).map(|key| Secret(key.unwrap_or_default()))),
    },
];

/// The documentation of all keys, as a file that could be saved as `fieldbook.toml`.
pub fn explain() -> String {
    let mut out = String::from(
        "# Fieldbook's configuration: every key with its default. Each can also be set by the environment variable\n\
         # that is named with it, which wins over the file.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (group, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if group != section {
            let _ = write!(out, "\n[{group}]\n");
            section = group;
        }
        let quoted = if key.default.parse::<u64>().is_ok() {
            key.default.to_owned()
        } else {
            format!("{:?}", key.default)
        };
        let _ = write!(
            out,
            "# {}\n# Takes: {}. Environment: {}\n{name} = {quoted}\n",
            key.help,
            key.takes,
            key.env()
        );
    }
    out
}

/// The known key that is at most three edits away.
pub(super) fn nearest(wrong: &str) -> Option<&'static str> {
    let spelled = |key: &Key| if wrong.starts_with(ENV_PREFIX) { key.env() } else { key.name.to_owned() };
    let scored = KEYS.iter().map(|key| (edits(&spelled(key), wrong), key.name));
    scored.min().filter(|(distance, _)| *distance <= 3).map(|(_, name)| name)
}

/// A configuration that is being put together; `.1` and `.2` are the two halves of TLS.
pub(super) struct Draft(Config, Option<PathBuf>, Option<PathBuf>);

impl Draft {
    /// All defaults.
    pub(super) fn new() -> Self {
        let auth = AuthConfig {
            algorithm: KeyAlgorithm::EdDsa,
            access_ttl_s: 0,
            leeway_s: 0,
            refresh_ttl_days: 0,
            enrol_ttl_hours: 0,
            key_rotate_days: 0,
        };
        // Every field below is overwritten by its row of the table.
        let blank = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            data_dir: PathBuf::new(),
            shutdown_s: 0,
            metrics_token: None,
            trusted_proxy: None,
            engine: Engine::Redb,
            upkeep_hour: 0,
            tls: None,
            auth,
            lock_after_days: 0,
            evidence_max_bytes: 0,
            evidence_open_uploads: 0,
            evidence_keep_partial_days: 0,
            held_keep_days: 0,
            gate: GateConfig { workers: 0, memory_mb: 0, deadline_ms: 0 },
            log_level: String::new(),
            log_format: LogFormat::Text,
            company_name: String::new(),
            timezone: TimeZone::UTC,
            automation_every_ms: 0,
            webhook_url: None,
            webhook_key: Secret::default(),
        };
        let mut draft = Self(blank, None, None);
        for key in KEYS {
            let outcome = (key.set)(&mut draft, key.default);
            debug_assert!(outcome.is_ok(), "the default of {} is refused: {outcome:?}", key.name);
        }
        draft
    }

    /// The finished configuration.
    pub(super) fn finish(self) -> Result<Config, ConfigError> {
        let Self(mut config, cert, key) = self;
        config.tls = match (cert, key) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
            (None, None) => None,
            (Some(_), None) => return Err(ConfigError::HalfTls { given: "tls.cert" }),
            (None, Some(_)) => return Err(ConfigError::HalfTls { given: "tls.key" }),
        };
        if config.webhook_url.is_some() && config.webhook_key.0.is_empty() {
            return Err(ConfigError::Unsigned);
        }
        Ok(config)
    }
}

fn put<T>(field: &mut T, value: Result<T, String>) -> Result<(), String> {
    *field = value?;
    Ok(())
}

fn within<T: FromStr + PartialOrd + std::fmt::Display>(text: &str, low: T, high: T) -> Result<T, String> {
    let number = text.parse::<T>().ok().filter(|n| *n >= low && *n <= high);
    number.ok_or_else(|| format!("expected a whole number from {low} to {high}"))
}

fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

fn some_text(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > 200 {
        Err("expected 1 to 200 bytes of text".into())
    } else {
        Ok(text.into())
    }
}

fn token(text: &str) -> Result<Option<String>, String> {
    match text.len() {
        0 => Ok(None),
        16..=200 => Ok(Some(text.to_owned())),
        _ => Err("expected 16 to 200 characters".into()),
    }
}

fn address(text: &str) -> Result<Option<IpAddr>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| "expected an IP address".into())
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("expected a path".into()) } else { Ok(text.into()) }
}

fn optional_path(text: &str) -> Result<Option<PathBuf>, String> {
    Ok(Some(text).filter(|t| !t.is_empty()).map(PathBuf::from))
}

fn url(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text.parse::<axum::http::Uri>().map_err(|e| e.to_string())?;
    let web =
        matches!(parsed.scheme_str(), Some("http" | "https")) && parsed.host().is_some_and(|h| !h.is_empty());
    if web {
        Ok(Some(text.trim_end_matches('/').to_owned()))
    } else {
        Err("expected http://host or https://host".into())
    }
}

fn filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text).map_err(|e| e.to_string())?;
    some_text(text)
}

/// Levenshtein distance in characters; the inputs are key names, so a small matrix.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(80).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// What environment variables of ours begin with.
pub const ENV_PREFIX: &str = "FIELDBOOK_";
