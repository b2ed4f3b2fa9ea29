//! 线索: a lead. The three mandatory fields of C3, everything else optional, contacts (C13, C53), todos, tags with a
//! time to live (C47), notes, events and evidence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::calendar::company_day;
use super::event::{LoggedEvent, LoggedEvidence, events, evidence, json};
use super::fields::{is_filled, record_registers, registers, remove_record, root_registers};
use crate::document::{Clocks, Conflict, Doc, Edit};
use crate::ids::{DocId, EntryId};
use crate::time::Act;

/// 需求关键词: the only three values of `need` (C3).
pub const NEEDS: [&str; 3] = ["采购", "维保", "升级"];

registers! {
    /// The registers of a lead.
    pub struct LeadFields {
        /// 客户名称 (mandatory, C3).
        customer_name: String,
        /// 联系人手机 (mandatory, C3).
        contact_phone: String,
        /// 需求关键词, one of [`NEEDS`] (mandatory, C3).
        need: String,
        /// 客户档案.
        account: DocId,
        /// 医院.
        hospital: String,
        /// 科室.
        department: String,
        /// 设备.
        equipment: String,
        /// 倾向品牌.
        brand: String,
        /// 预算下限, fen.
        budget_min_fen: i64,
        /// 预算上限, fen.
        budget_max_fen: i64,
        /// 来源渠道.
        source: String,
        /// 行业.
        industry: String,
        /// 省份.
        province: String,
        /// 区域代码.
        region_code: String,
        /// 采购时间.
        purchase_timing: String,
        /// 客户状态 (C4).
        customer_state: String,
        /// 下一步动作 (C4).
        next_action: String,
        /// 预计成交时间, an ISO day (C4).
        expected_close: String,
        /// Deleted by the rep; the document stays.
        deleted: bool,
    }
}
root_registers!(LeadFields);

registers! {
    /// 联系人: somebody at the customer, with the role and attitude of the decision chain (C13, C53).
    pub struct Contact {
        /// 姓名.
        name: String,
        /// 职务.
        title: String,
        /// 角色, e.g. 院长, 科室采购员 (C13).
        role: String,
        /// 态度: 支持/观望/反对 (C53).
        attitude: String,
        /// 电话.
        phone: String,
    }
}
record_registers!(Contact);

/// 态度: what somebody at the customer thinks of the purchase (C53).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Attitude {
    /// 支持.
    #[serde(rename = "支持")]
    For,
    /// 观望.
    #[serde(rename = "观望")]
    Waiting,
    /// 反对.
    #[serde(rename = "反对")]
    Against,
}

impl Attitude {
    /// The attitude that a contact's register says; `None`: not one of the three.
    pub fn said(text: &str) -> Option<Self> {
        match text.trim() {
            "支持" => Some(Self::For),
            "观望" => Some(Self::Waiting),
            "反对" => Some(Self::Against),
            _ => None,
        }
    }
}

registers! {
    /// 待办.
    pub struct Todo {
        /// 事项.
        title: String,
        /// 到期: an ISO day, or milliseconds since 1970 UTC.
        due: String,
        /// 已完成.
        done: bool,
    }
}
record_registers!(Todo);

/// 标签: a tag that goes stale (C47).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tag {
    /// Milliseconds since 1970 UTC after which it no longer counts; `None` for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
}

impl Tag {
    /// Whether the tag still counts.
    pub fn is_fresh(&self, now_ms: i64) -> bool {
        self.expires_ms.is_none_or(|expires_ms| now_ms < expires_ms)
    }
}

/// A lead, read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadModel {
    /// Registers.
    pub fields: LeadFields,
    /// 备注.
    pub notes: String,
    /// 联系人.
    pub contacts: BTreeMap<EntryId, Contact>,
    /// 待办.
    pub todos: BTreeMap<EntryId, Todo>,
    /// 标签, stale ones too.
    pub tags: BTreeMap<String, Tag>,
    /// What happened, in order.
    pub events: Vec<LoggedEvent>,
    /// What proves it, in order.
    pub evidence: Vec<LoggedEvidence>,
    /// Registers of which two people's values survive side by side.
    pub conflicts: Vec<Conflict>,
    /// When the lead was written down, corrected, milliseconds since 1970 UTC; `None`: nothing was written yet.
    pub created_ms: Option<i64>,
}

impl LeadModel {
    /// Reads the document.
    pub fn read(doc: &Doc, clocks: &dyn Clocks) -> Self {
        Self {
            fields: LeadFields::read(doc, clocks),
            notes: doc.text("notes"),
            contacts: Contact::read_all(doc, "contacts", clocks),
            todos: Todo::read_all(doc, "todos", clocks),
            tags: tags(doc, clocks),
            events: events(doc, clocks),
            evidence: evidence(doc, clocks),
            conflicts: doc.conflicts(clocks),
            created_ms: doc.first_change_ms(clocks),
        }
    }
}

impl LeadFields {
    /// The mandatory fields that are not filled in (C3); 待确认 and 待定 count as empty (C11), and so does a need
    /// that is none of [`NEEDS`].
    pub fn missing(&self) -> Vec<&'static str> {
        let filled = |text: &Option<String>| text.as_deref().is_some_and(is_filled);
        let need = self.need.as_deref().is_some_and(|need| NEEDS.contains(&need.trim()));
        let mandatory = [
            ("customer_name", filled(&self.customer_name)),
            ("contact_phone", filled(&self.contact_phone)),
            ("need", need),
        ];
        mandatory.into_iter().filter(|(_, filled)| !filled).map(|(name, _)| name).collect()
    }
}

/// A lead to be created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NewLead {
    /// Registers, any of them.
    #[serde(flatten)]
    pub fields: LeadFields,
    /// First note.
    pub notes: String,
    /// First contacts.
    pub contacts: Vec<Contact>,
}

impl NewLead {
    /// The edits that fill the fresh document of the lead.
    pub fn edits(&self, act: &Act) -> Vec<Edit> {
        let mut edits = self.fields.edits();
        edits.extend(self.contacts.iter().map(|contact| contact.add("contacts", act.fresh_id())));
        if !self.notes.is_empty() {
            edits.push(Edit::Splice {
                text: "notes".to_owned(),
                at: 0,
                delete: 0,
                insert: self.notes.clone(),
            });
        }
        edits
    }
}

impl Contact {
    /// The edit that removes a contact.
    pub fn remove(id: EntryId) -> Edit {
        remove_record("contacts", id)
    }
}

impl Todo {
    /// The edit that removes a todo.
    pub fn remove(id: EntryId) -> Edit {
        remove_record("todos", id)
    }

    /// The day on which it is due while it is open, ISO; of a time the day in UTC.
    pub(super) fn due_day_utc(&self) -> Option<String> {
        let due = self.due.as_deref()?.trim();
        let day = |due: &str| due.parse::<jiff::civil::Date>().ok();
        let of_time = |ms: i64| company_day(ms, &jiff::tz::TimeZone::UTC);
        let day = day(due).or_else(|| of_time(due.parse().ok()?))?;
        (self.done != Some(true)).then(|| day.to_string())
    }
}

/// The tags of a document.
pub(super) fn tags(doc: &Doc, clocks: &dyn Clocks) -> BTreeMap<String, Tag> {
    let tag = |(key, body): (String, String)| (key, serde_json::from_str(&body).unwrap_or_default());
    doc.set("tags", clocks).into_iter().map(tag).collect()
}

/// The edit that puts a tag on.
pub fn tag_edit(key: &str, tag: &Tag) -> Edit {
    Edit::PutElement { set: "tags".to_owned(), key: key.to_owned(), body: json(tag) }
}

/// The edit that takes a tag off.
pub fn untag_edit(key: &str) -> Edit {
    Edit::RemoveElement { set: "tags".to_owned(), key: key.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_todo_is_due_on_a_day() {
        let due = |due: &str, done| Todo { due: Some(due.into()), done, ..Todo::default() }.due_day_utc();
        assert_eq!(due("2026-03-05", None).as_deref(), Some("2026-03-05"));
        assert_eq!(due("1772668799000", None).as_deref(), Some("2026-03-04"));
        assert_eq!(due("2026-03-05", Some(true)), None);
        assert_eq!(due("月底", None), None);
    }
}
