//! 客户档案: a customer with its contacts and decision chain.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::{LoggedEvent, events};
use super::fields::{is_filled, registers, root_registers};
use super::lead::{Contact, Tag, tags};
use super::notes::notes_edits;
use crate::document::{Clocks, Conflict, Doc, Edit};
use crate::ids::{DocId, EntryId};
use crate::time::Act;

registers! {
    /// The registers of an account.
    pub struct AccountFields {
        /// 客户名称.
        name: String,
        /// 省份.
        province: String,
        /// 城市.
        city: String,
        /// 地址.
        address: String,
        /// 电话.
        phone: String,
        /// 等级.
        level: String,
        /// 行业.
        industry: String,
        /// The account that this one duplicates (O12).
        same_as: DocId,
        /// Deleted; the document stays.
        deleted: bool,
    }
}
root_registers!(AccountFields);

/// An account to be created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewAccount {
    /// Registers; the name is what an account cannot do without.
    pub fields: AccountFields,
    /// First note.
    pub notes: String,
    /// First contacts, with their part in the decision (C53).
    pub contacts: Vec<Contact>,
}

impl NewAccount {
    /// The edits that fill the fresh document of the account.
    pub fn edits(&self, act: &Act) -> Vec<Edit> {
        let contacts = self.contacts.iter().map(|contact| contact.add("contacts", act.fresh_id()));
        let mut edits = self.fields.edits();
        edits.extend(contacts);
        edits.extend(notes_edits("", &self.notes, ""));
        edits
    }
}

impl AccountFields {
    /// Whether it has a name; 待确认 and 待定 count as none (C11).
    pub fn is_named(&self) -> bool {
        self.name.as_deref().is_some_and(is_filled)
    }
}

/// An account, read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountModel {
    /// Registers.
    pub fields: AccountFields,
    /// 联系人与决策链 (C53).
    pub contacts: BTreeMap<EntryId, Contact>,
    /// 备注.
    pub notes: String,
    /// 标签, stale ones too (C47).
    pub tags: BTreeMap<String, Tag>,
    /// What happened, in order.
    pub events: Vec<LoggedEvent>,
    /// Registers of which two people's values survive side by side.
    pub conflicts: Vec<Conflict>,
}

impl AccountModel {
    /// Reads the document.
    pub fn read(doc: &Doc, clocks: &dyn Clocks) -> Self {
        Self {
            fields: AccountFields::read(doc, clocks),
            contacts: Contact::read_all(doc, "contacts", clocks),
            notes: doc.text("notes"),
            tags: tags(doc, clocks),
            events: events(doc, clocks),
            conflicts: doc.conflicts(clocks),
        }
    }
}
