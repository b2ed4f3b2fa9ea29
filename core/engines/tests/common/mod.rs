//! What the crash tests write, and how they tell whether it is there.

use std::collections::BTreeMap;
use std::path::Path;

use fieldbook_core::store::{Batch, Direction, Range, Slot, Store, StoreError};
use fieldbook_engines::faults::Dice;
use fieldbook_engines::{
    RedbOptions, RedbStore, SecureOptions, SecureStore, SledOptions, SledStore, StoreKey,
};

/// The engines that keep files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Redb,
    Secure,
    Sled,
}

pub const ENGINES: [Engine; 3] = [Engine::Redb, Engine::Secure, Engine::Sled];
pub const KEY: StoreKey = StoreKey([7; 32]);
/// So small that the batches below fill it every two dozen commits.
pub const JOURNAL_BYTES: u32 = 96 << 10;

impl Engine {
    pub fn named(name: &str) -> Option<Self> {
        ENGINES.into_iter().find(|e| format!("{e:?}") == name)
    }

    /// Opens the engine's store in a folder; `verify` where the engine has a choice.
    pub fn open(self, folder: &Path, verify: bool) -> Result<Box<dyn Store>, StoreError> {
        let options = RedbOptions { cache_bytes: 4 << 20, verify, ..RedbOptions::default() };
        Ok(match self {
            Engine::Redb => Box::new(RedbStore::open(folder.join("store"), &options)?),
            Engine::Secure => {
                let options = SecureOptions { redb: options, journal_bytes: JOURNAL_BYTES };
                Box::new(SecureStore::open_with(folder.join("store"), &KEY, [1; 32], &options)?)
            }
            Engine::Sled => {
                let options = SledOptions { cache_bytes: 8 << 20, ..SledOptions::default() };
                Box::new(SledStore::open(folder.join("store"), &options)?)
            }
        })
    }
}

/// Batch `n` writes three rows of the feed at position `n + 1`, replaces a row that all batches share, and moves another;
/// one in 60 replaces a value of 300 KB.
pub fn batch(n: u64) -> Batch {
    let mut dice = Dice::new(n);
    let mut batch = Batch::new();
    for part in 0..3 {
        let len = dice.below(900) as usize;
        batch.put_at([b"f/", &[0; 8][..], &[part]].concat(), Some(Slot(2)), dice.bytes(len), None);
    }
    batch.put("last", n.to_be_bytes());
    batch.delete([b'm', (n % 5) as u8]).put([b'm', ((n + 1) % 5) as u8], n.to_be_bytes());
    if n.is_multiple_of(60) {
        batch.put("photo", photo(n));
    }
    batch
}

/// The position of the last batch that is there, after proof that at least what was acknowledged is there, at most what
/// was attempted, and every batch whole.
pub fn verify(store: &dyn Store, acknowledged: u64, attempted: u64) -> Result<u64, Verdict> {
    let head = store.head().map_err(Verdict::Told)?;
    if !(acknowledged..=attempted).contains(&head) {
        return Err(Verdict::Silent(format!(
            "{head} there, {acknowledged} acknowledged, {attempted} attempted"
        )));
    }
    let found = store.scan(&Range::prefix(b""), Direction::Forward, usize::MAX).map_err(Verdict::Told)?;
    if found == model(head).into_iter().collect::<Vec<_>>() {
        return Ok(head);
    }
    Err(Verdict::Silent(format!("{} rows that are not those of {head} batches", found.len())))
}

/// What is wrong with a store.
pub enum Verdict {
    /// It says so itself.
    Told(StoreError),
    /// It does not.
    Silent(String),
}

impl std::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verdict::Told(error) => write!(f, "it says: {error}"),
            Verdict::Silent(how) => write!(f, "in silence: {how}"),
        }
    }
}

fn model(head: u64) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut model = BTreeMap::new();
    for n in 0..head {
        let mut dice = Dice::new(n);
        for part in 0..3 {
            let len = dice.below(900) as usize;
            model.insert([b"f/", &(n + 1).to_be_bytes()[..], &[part]].concat(), dice.bytes(len));
        }
    }
    if let Some(last) = head.checked_sub(1) {
        model.insert(b"last".to_vec(), last.to_be_bytes().to_vec());
        model.insert(vec![b'm', ((last + 1) % 5) as u8], last.to_be_bytes().to_vec());
        model.insert(b"photo".to_vec(), photo(last - last % 60));
    }
    model
}

fn photo(n: u64) -> Vec<u8> {
    Dice::new(!n).bytes(300 << 10)
}

/// How often a test repeats itself, which a longer run may raise.
pub fn cases(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}
