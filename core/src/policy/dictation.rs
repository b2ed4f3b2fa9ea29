//! 口述词表: what a company changes of the word lists by which dictation and first contacts are read (C35, C43, C44). The lists ship with the
//! software ([`Words::medical`]); a list that stands here is changed, every other is as it shipped.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::language::{ListChange, Words};

/// 口述词表.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dictation {
    /// Table to list to what is changed of it: `brands`, `makers`.
    pub lists: BTreeMap<String, BTreeMap<String, ListChange>>,
    #[serde(skip)]
    words: Once,
}

impl Dictation {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// The lists, changed.
    pub fn words(&self) -> &Words {
        if self.is_empty() {
            return Words::medical();
        }
        // A list that is none was refused when the policy was read.
        let changed = || Words::medical().changed(&self.lists).ok().map(Box::new);
        self.words.0.get_or_init(changed).as_deref().unwrap_or(Words::medical())
    }
}

/// The lists of a pack with those of a company over them: what is added to a list of the pack is added to it, `only` takes its place.
pub(super) fn merged(pack: &toml::Value, own: &toml::Value) -> toml::Value {
    use toml::Value::{Array, Table};
    match (pack, own) {
        (Table(pack), Table(own))
            if own.contains_key("only") && !pack.values().any(toml::Value::is_table) =>
        {
            Table(own.clone())
        }
        (Table(pack), Table(own)) => {
            let mut all = pack.clone();
            for (key, own) in own {
                let value = pack.get(key).map_or_else(|| own.clone(), |pack| merged(pack, own));
                all.insert(key.clone(), value);
            }
            Table(all)
        }
        (Array(pack), Array(own)) => Array(pack.iter().chain(own).cloned().collect()),
        (_, own) => own.clone(),
    }
}

/// Put together at the first note that is read: half a megabyte that most versions of a policy never need.
#[derive(Debug, Clone, Default)]
struct Once(OnceLock<Option<Box<Words>>>);

impl PartialEq for Once {
    /// What follows from the lists tells no two policies apart.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
