//! 客户档案: a customer with its contacts and decision chain.

use std::collections::BTreeMap;

use super::event::{LoggedEvent, events};
use super::fields::{registers, root_registers};
use super::lead::Contact;
use crate::document::{Clocks, Doc};
use crate::ids::{DocId, EntryId};

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

/// An account, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountModel {
    /// Registers.
    pub fields: AccountFields,
    /// 联系人与决策链 (C53).
    pub contacts: BTreeMap<EntryId, Contact>,
    /// 备注.
    pub notes: String,
    /// What happened, in order.
    pub events: Vec<LoggedEvent>,
}

impl AccountModel {
    /// Reads the document.
    pub fn read(doc: &Doc, clocks: &dyn Clocks) -> Self {
        Self {
            fields: AccountFields::read(doc, clocks),
            contacts: Contact::read_all(doc, "contacts", clocks),
            notes: doc.text("notes"),
            events: events(doc, clocks),
        }
    }
}
