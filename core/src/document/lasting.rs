//! How much a document holds of what never goes away. An operation may name as its predecessor one under another key, and hide what that
//! operation wrote behind the back of the rules of its field; counting finds it. Refuses to look at values.

use std::collections::BTreeMap;

use automerge::{ROOT, ReadDoc};

use super::schema::{self, Meaning};
use super::{Doc, genesis};

/// Keys at the root, and values in each log and each field of records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lasting {
    pub root_keys: usize,
    /// By field; those beside each other under one key count each. A field that holds none is left out.
    pub values: BTreeMap<&'static str, usize>,
}

impl Lasting {
    /// Counts, which walks every log of the document.
    pub fn of(doc: &Doc) -> Self {
        let mut values = BTreeMap::new();
        for field in schema::fields(doc.kind()) {
            if !matches!(field.meaning, Meaning::Log | Meaning::Records) {
                continue;
            }
            let count = genesis::object(doc.kind(), field.name).map_or(0, |object| doc.count_values(&object));
            if count > 0 {
                values.insert(field.name, count);
            }
        }
        Self { root_keys: doc.am().length(ROOT), values }
    }

    /// This and what is added to it.
    pub fn grown(&self, added: &Self) -> Self {
        let mut grown = self.clone();
        grown.root_keys += added.root_keys;
        for (field, count) in &added.values {
            *grown.values.entry(field).or_default() += count;
        }
        grown
    }
}
