//! Leads: making, editing, listing; contacts, todos, tags, the advancement table. Everything works without network.

use std::collections::BTreeMap;

use fieldbook_core::document::schema::{self, Meaning};
use fieldbook_core::document::{Edit, Value};
use fieldbook_core::ids::{DocId, DocKind, EntryId};
use fieldbook_core::model::{
    Contact, DirectoryModel, LeadFields, LeadSummary, NewLead, Tag, Todo, answer_edit, notes_edits, tag_edit,
    tick_edit, untag_edit,
};
use fieldbook_core::replica::{DocEdits, ListQuery, Replica};

use super::Fieldbook;
use crate::error::Error;
use crate::records::{LeadQuery, LeadRow, Undone};

impl Fieldbook {
    /// Creates a lead (C3); on the phone's disk when this returns.
    ///
    /// # Errors
    /// [`Error::Missing`] when 客户名称, 联系人手机 or 需求关键词 (采购/维保/升级) is empty; [`Error::NotEnrolled`]; [`Error::TooLarge`].
    pub fn create_lead(&self, lead: &NewLead) -> Result<DocId, Error> {
        let fields = lead.fields.missing();
        if !fields.is_empty() {
            return Err(Error::Missing { fields });
        }
        self.shared.act(|_, act| {
            let id = act.fresh_doc(DocKind::Lead);
            Ok((id, vec![DocEdits::of(id, lead.edits(act))]))
        })
    }

    /// Writes the fields of `set` that have a value and empties those named in `clear`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when this phone does not hold the lead; [`Error::Missing`] when it would empty a mandatory field (C3), or give
    /// it a value that counts as empty; [`Error::Invalid`] for an unknown field, and for one that is not the rep's to empty.
    pub fn edit_lead(&self, lead: DocId, set: &LeadFields, clear: &[String]) -> Result<(), Error> {
        check_edit(set, clear)?;
        let emptied = clear.iter().map(|field| Edit::Set { field: field.clone(), value: Value::Null });
        self.edit_held(lead, set.edits().into_iter().chain(emptied).collect())
    }

    /// Brings into the notes of a lead or an account what the user typed: `base` is the text that the editor opened with, `text` what it ended with. What others
    /// typed meanwhile stays.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Locked`].
    pub fn edit_notes(&self, lead: DocId, base: &str, text: &str) -> Result<(), Error> {
        self.shared.read(|_, _| Ok::<_, Error>(()))?;
        self.shared.act(|replica, _| {
            check_customer(replica, lead)?;
            let held = replica.load(lead)?.text("notes");
            Ok(((), vec![DocEdits::of(lead, notes_edits(base, text, &held))]))
        })
    }

    /// Deletes a lead. The document stays and can be restored.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn delete_lead(&self, lead: DocId) -> Result<(), Error> {
        self.edit_held(lead, LeadFields { deleted: Some(true), ..LeadFields::default() }.edits())
    }

    /// Brings a deleted lead back.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn restore_lead(&self, lead: DocId) -> Result<(), Error> {
        self.edit_held(lead, LeadFields { deleted: Some(false), ..LeadFields::default() }.edits())
    }

    /// Takes the last act of this phone back, on the server already or not, as far as nobody has written over it or built on it since.
    /// Taking that back again does it once more.
    ///
    /// # Errors
    /// [`Error::NothingToUndo`] when nothing of it stands.
    pub fn undo(&self) -> Result<Undone, Error> {
        let seed = self.shared.entropy.seed();
        let (told, partly) = self.shared.with(|replica, now| {
            let act = replica.act(now, seed)?;
            let undone = replica.undo(&act)?;
            let docs = undone.saved.iter().map(|saved| saved.doc);
            Ok::<_, Error>((crate::shared::changes_of(replica, docs)?, undone.partly))
        })?;
        self.shared.edited(told);
        Ok(if partly { Undone::Partly } else { Undone::Whole })
    }

    /// A page of leads, the last changed first, from rows kept beside the documents. A text finds parts of names, pinyin initials and
    /// syllables.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::NotEnrolled`].
    pub fn leads(&self, query: &LeadQuery) -> Result<Vec<LeadRow>, Error> {
        let limit = query.limit.clamp(1, PAGE_MAX) as usize;
        self.shared.read(|replica, now| {
            let me = replica.identity()?.user;
            let names = self.shared.names(replica)?;
            let offset = query.offset as usize;
            let mut ask = ListQuery { text: query.text.clone(), limit, offset, deleted: query.deleted };
            if !query.only_conflicts {
                let rows = replica.list(&ask, now)?;
                return Ok::<_, Error>(rows.into_iter().map(|row| lead_row(row, me, &names)).collect());
            }
            // Conflicts are rare: all rows are looked at, a page at a time.
            (ask.limit, ask.offset) = (PAGE_MAX as usize, 0);
            let mut found = Vec::new();
            let mut pass_over = query.offset as usize;
            loop {
                let page = replica.list(&ask, now)?;
                ask.offset += page.len();
                let last = page.len() < ask.limit;
                for row in page.into_iter().filter(|row| row.conflicts > 0) {
                    if pass_over > 0 {
                        pass_over -= 1;
                    } else if found.len() < limit {
                        found.push(lead_row(row, me, &names));
                    }
                }
                if last || found.len() == limit {
                    return Ok(found);
                }
            }
        })
    }

    /// Adds a contact (C13, C53) to a lead or an account.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn add_contact(&self, lead: DocId, contact: &Contact) -> Result<EntryId, Error> {
        self.add_to(lead, check_customer, |id| contact.add("contacts", id))
    }

    /// Writes the fields of `contact` that have a value.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn edit_contact(&self, lead: DocId, id: EntryId, contact: &Contact) -> Result<(), Error> {
        self.edit_customer(lead, contact.update("contacts", id))
    }

    /// Removes a contact.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove_contact(&self, lead: DocId, id: EntryId) -> Result<(), Error> {
        self.edit_customer(lead, vec![Contact::remove(id)])
    }

    /// Adds a todo. `due` is an ISO day, or milliseconds since 1970 UTC.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for a due that is neither.
    pub fn add_todo(&self, lead: DocId, title: &str, due: Option<&str>) -> Result<EntryId, Error> {
        if title.trim().is_empty() {
            return Err(Error::Invalid("a todo needs a title".into()));
        }
        let due = due.map(str::trim).filter(|due| !due.is_empty()).map(str::to_owned);
        if let Some(due) = &due
            && due.parse::<jiff::civil::Date>().is_err()
            && due.parse::<i64>().is_err()
        {
            return Err(Error::Invalid("due is an ISO day or milliseconds since 1970".into()));
        }
        let todo = Todo { title: Some(title.trim().to_owned()), due, done: None };
        self.add_to(lead, check_held, |id| todo.add("todos", id))
    }

    /// Marks a todo done, or open again.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn complete_todo(&self, lead: DocId, id: EntryId, done: bool) -> Result<(), Error> {
        let todo = Todo { done: Some(done), ..Todo::default() };
        self.edit_held(lead, todo.update("todos", id))
    }

    /// Removes a todo.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove_todo(&self, lead: DocId, id: EntryId) -> Result<(), Error> {
        self.edit_held(lead, vec![Todo::remove(id)])
    }

    /// Puts a tag on a lead or an account that counts for `days` (C47); `None`: for ever.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for an empty name.
    pub fn tag(&self, lead: DocId, name: &str, days: Option<u32>) -> Result<(), Error> {
        let now_ms = self.shared.with(|replica, now| Ok::<_, Error>(replica.now_ms(now)))?;
        let expires_ms = days.map(|days| now_ms.saturating_add(i64::from(days) * DAY_MS));
        self.edit_customer(lead, vec![tag_edit(name.trim(), &Tag { expires_ms })])
    }

    /// Takes a tag off.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn untag(&self, lead: DocId, name: &str) -> Result<(), Error> {
        self.edit_customer(lead, vec![untag_edit(name)])
    }

    /// Ticks or unticks a row of the advancement table (C55).
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn tick(&self, lead: DocId, row: &str, confirmed: bool) -> Result<(), Error> {
        self.edit_table(lead, vec![tick_edit(row, confirmed)])
    }

    /// Writes what was found out for a row of the advancement table (C55, C56).
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn answer(&self, lead: DocId, row: &str, answer: &str) -> Result<(), Error> {
        self.edit_table(lead, vec![answer_edit(row, answer)])
    }

    pub(super) fn edit_table(&self, lead: DocId, edits: Vec<Edit>) -> Result<(), Error> {
        self.shared.act(|replica, _| {
            check_held(replica, lead)?;
            Ok(((), vec![DocEdits::table_of(lead, edits)]))
        })
    }

    pub(super) fn edit_held(&self, lead: DocId, edits: Vec<Edit>) -> Result<(), Error> {
        self.shared.act(|replica, _| {
            check_held(replica, lead)?;
            Ok(((), vec![DocEdits::of(lead, edits)]))
        })
    }

    /// Edits what leads and accounts have in common.
    fn edit_customer(&self, doc: DocId, edits: Vec<Edit>) -> Result<(), Error> {
        self.shared.act(|replica, _| {
            check_customer(replica, doc)?;
            Ok(((), vec![DocEdits::of(doc, edits)]))
        })
    }

    fn add_to(
        &self,
        doc: DocId,
        check: impl FnOnce(&Replica, DocId) -> Result<(), Error>,
        edit: impl FnOnce(EntryId) -> Edit,
    ) -> Result<EntryId, Error> {
        self.shared.act(|replica, act| {
            check(replica, doc)?;
            let id = act.fresh_id();
            Ok((id, vec![DocEdits::of(doc, vec![edit(id)])]))
        })
    }
}

/// A lead from the office may lack what is mandatory; a rep may leave it so, but not make it so.
fn check_edit(set: &LeadFields, clear: &[String]) -> Result<(), Error> {
    if set.deleted.is_some() || clear.iter().any(|field| field == "deleted") {
        return Err(Error::Invalid("a lead is deleted by delete_lead and restored by restore_lead".into()));
    }
    let known = |name: &String| {
        schema::fields(DocKind::Lead).iter().any(|f| f.name == name && f.meaning == Meaning::Register)
    };
    if let Some(unknown) = clear.iter().find(|name| !known(name)) {
        return Err(Error::Invalid(format!("a lead has no field {unknown:?} that can be emptied")));
    }
    let empty = set.missing();
    let mandatory = [
        ("customer_name", set.customer_name.is_some()),
        ("contact_phone", set.contact_phone.is_some()),
        ("need", set.need.is_some()),
    ];
    let emptied = mandatory.into_iter().filter(|(name, is_set)| {
        clear.iter().any(|cleared| cleared == name) || (*is_set && empty.contains(name))
    });
    let fields: Vec<&'static str> = emptied.map(|(name, _)| name).collect();
    if fields.is_empty() { Ok(()) } else { Err(Error::Missing { fields }) }
}

/// Refuses to bring a lead into being by editing it.
pub(super) fn check_held(replica: &Replica, lead: DocId) -> Result<(), Error> {
    if lead.kind() == Some(DocKind::Lead) && replica.holds(lead)? {
        return Ok(());
    }
    Err(Error::NotFound(lead.to_string()))
}

/// As [`check_held`], of an account too.
fn check_customer(replica: &Replica, doc: DocId) -> Result<(), Error> {
    if doc.kind() == Some(DocKind::Account) && replica.holds(doc)? {
        return Ok(());
    }
    check_held(replica, doc)
}

pub(super) fn held(replica: &mut Replica, lead: DocId) -> Result<fieldbook_core::document::Doc, Error> {
    check_held(replica, lead)?;
    Ok(replica.load(lead)?)
}

pub(super) fn lead_row(row: LeadSummary, me: fieldbook_core::ids::UserId, names: &DirectoryModel) -> LeadRow {
    let owner_name = row.owner.map_or(String::new(), |owner| user_name(names, owner));
    LeadRow {
        deleted_at_ms: row.deletion.as_ref().map(|deletion| deletion.at_ms),
        deleted_by: row.deletion.as_ref().map_or(String::new(), |deletion| user_name(names, deletion.by)),
        edited_since_deleted: row.edited_since_deleted(),
        mine: row.owner == Some(me),
        owner_name,
        id: row.id,
        customer_name: row.customer_name,
        hospital: row.hospital,
        need: row.need,
        stage: row.stage,
        next_action: row.next_action,
        expected_close: row.expected_close,
        updated_ms: row.updated_ms,
        index: row.index,
        conflicts: row.conflicts,
        missing: row.missing,
        owner: row.owner,
    }
}

pub(super) fn user_name(names: &DirectoryModel, user: fieldbook_core::ids::UserId) -> String {
    names.users.get(&user).and_then(|user| user.name.clone()).unwrap_or_default()
}

/// The customers of leads by id, where this phone holds them.
pub(super) fn customers(
    replica: &Replica,
    leads: impl IntoIterator<Item = DocId>,
) -> BTreeMap<DocId, String> {
    leads.into_iter().filter_map(|lead| Some((lead, replica.summary(lead).ok()?.customer_name))).collect()
}

/// Rows in one page: more than a screen shows in a minute of scrolling.
const PAGE_MAX: u32 = 500;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
