//! The documents that were last used, in memory. Bounded; forgetting one costs a load.

use std::collections::{BTreeMap, VecDeque};

use crate::document::Doc;
use crate::ids::DocId;

pub(super) struct HotDocs {
    docs: BTreeMap<DocId, Doc>,
    order: VecDeque<DocId>,
    capacity: usize,
}

impl HotDocs {
    pub fn new(capacity: usize) -> Self {
        Self { docs: BTreeMap::new(), order: VecDeque::new(), capacity }
    }

    pub fn get(&self, id: DocId) -> Option<&Doc> {
        self.docs.get(&id)
    }

    pub fn put(&mut self, id: DocId, doc: Doc) {
        if self.docs.insert(id, doc).is_some() {
            self.order.retain(|known| *known != id);
        }
        self.order.push_back(id);
        while self.docs.len() > self.capacity {
            match self.order.pop_front() {
                Some(oldest) => self.docs.remove(&oldest),
                None => break,
            };
        }
    }

    /// The document, given away.
    pub fn take(&mut self, id: DocId) -> Option<Doc> {
        let doc = self.docs.remove(&id)?;
        self.order.retain(|known| *known != id);
        Some(doc)
    }

    pub fn forget(&mut self, id: DocId) {
        drop(self.take(id));
    }

    pub fn clear(&mut self) {
        self.docs.clear();
        self.order.clear();
    }
}
