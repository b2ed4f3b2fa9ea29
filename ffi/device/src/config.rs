//! How a phone's Fieldbook is opened.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::{Clock, Entropy, OsClock, OsEntropy};
use crate::words::Language;

/// How a phone's store is opened.
#[derive(Clone)]
pub struct Config {
    /// The store's file. Its folder must exist; files beside it with the same name and a suffix belong to the store.
    pub path: PathBuf,
    /// 32 random bytes that the app keeps in the phone's key store. Without them nothing on the disk is readable.
    pub key: [u8; 32],
    /// Product and version of the app, up to 100 characters. It goes with each hello; the server does not keep it.
    pub agent: String,
    /// Language of the sentences in errors.
    pub language: Language,
    /// Certificates (PEM) that are trusted besides the public ones: a company's own authority.
    pub extra_roots_pem: Option<String>,
    /// Allows `http://` to a server that is not on this machine. Tokens and customers' data then travel readable by everybody on the
    /// way: for trials in a closed network only.
    pub allow_plain_http: bool,
}

impl Config {
    /// A store at `path` under `key`, everything else as most apps want it.
    pub fn new(path: impl Into<PathBuf>, key: [u8; 32]) -> Self {
        Self {
            path: path.into(),
            key,
            agent: concat!("fieldbook-device/", env!("CARGO_PKG_VERSION")).to_owned(),
            language: Language::Chinese,
            extra_roots_pem: None,
            allow_plain_http: false,
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("path", &self.path).field("agent", &self.agent).finish_non_exhaustive()
    }
}

/// Clocks and chance. The operating system's by default.
#[derive(Clone)]
pub struct Surroundings {
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// The generator.
    pub entropy: Arc<dyn Entropy>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { clock: Arc::new(OsClock::new()), entropy: Arc::new(OsEntropy) }
    }
}
