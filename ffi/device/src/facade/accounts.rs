//! Accounts: a customer with its contacts, their part in the decision (C53) and its tags. Contacts, tags and notes of an account are written by
//! the calls for those of a lead.

use fieldbook_core::document::{Edit, NoClocks, Value};
use fieldbook_core::ids::{DocId, DocKind};
use fieldbook_core::model::{AccountFields, AccountModel, NewAccount, search};
use fieldbook_core::replica::{DocEdits, Replica};

use super::Fieldbook;
use crate::error::Error;
use crate::records::{AccountPage, AccountRow, ContactItem, TagItem};

impl Fieldbook {
    /// Creates an account; on the phone's disk when this returns. A lead names it by `account`, and opens it to whoever works that lead.
    ///
    /// # Errors
    /// [`Error::Missing`] without a name; [`Error::Invalid`], [`Error::NotEnrolled`], [`Error::TooLarge`].
    pub fn create_account(&self, account: &NewAccount) -> Result<DocId, Error> {
        if !account.fields.is_named() {
            return Err(Error::Missing { fields: vec!["name"] });
        }
        check_writable(&account.fields, &[])?;
        self.shared.act(|_, act| {
            let id = act.fresh_doc(DocKind::Account);
            Ok((id, vec![DocEdits::of(id, account.edits(act))]))
        })
    }

    /// Writes the fields of `set` that have a value and empties those named in `clear`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when this phone does not hold the account; [`Error::Missing`] when its name would go; [`Error::Invalid`] for an
    /// unknown field.
    pub fn edit_account(&self, account: DocId, set: &AccountFields, clear: &[String]) -> Result<(), Error> {
        if clear.iter().any(|field| field == "name") || set.name.is_some() && !set.is_named() {
            return Err(Error::Missing { fields: vec!["name"] });
        }
        check_writable(set, clear)?;
        let emptied = clear.iter().map(|field| Edit::Set { field: field.clone(), value: Value::Null });
        let edits = set.edits().into_iter().chain(emptied).collect();
        self.shared.act(|replica, _| {
            check_account(replica, account)?;
            Ok(((), vec![DocEdits::of(account, edits)]))
        })
    }

    /// Everything of one account.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Locked`].
    pub fn account(&self, account: DocId) -> Result<AccountPage, Error> {
        self.shared.read(|replica, now| {
            check_account(replica, account)?;
            let now_ms = replica.now_ms(now);
            let doc = replica.load(account)?;
            let conflicts = doc.conflicts(&NoClocks).len() as u32;
            let AccountModel { fields, contacts, notes, tags, .. } = AccountModel::read(&doc, &NoClocks);
            let tags = tags.into_iter().map(|(name, tag)| {
                let fresh = tag.is_fresh(now_ms);
                TagItem { name, expires_ms: tag.expires_ms, fresh }
            });
            Ok::<_, Error>(AccountPage {
                id: account,
                fields,
                notes,
                contacts: contacts.into_iter().map(|(id, contact)| ContactItem { id, contact }).collect(),
                tags: tags.collect(),
                conflicts,
            })
        })
    }

    /// The accounts on this phone by name, at most 500. A text finds parts of names, pinyin initials and syllables. Every account is read for
    /// it: a phone holds those of its leads.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::NotEnrolled`].
    pub fn accounts(&self, text: &str) -> Result<Vec<AccountRow>, Error> {
        self.shared.read(|replica, _| {
            replica.identity()?;
            let mut rows = Vec::new();
            for id in replica.held_of(DocKind::Account)? {
                let fields = AccountFields::read(&replica.load(id)?, &NoClocks);
                let name = fields.name.unwrap_or_default();
                if fields.deleted != Some(true) && search::matches(text.trim(), &name) {
                    rows.push(AccountRow { id, name, city: fields.city.unwrap_or_default() });
                }
            }
            rows.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
            rows.truncate(ROWS_MAX);
            Ok::<_, Error>(rows)
        })
    }
}

fn check_account(replica: &Replica, account: DocId) -> Result<(), Error> {
    if account.kind() == Some(DocKind::Account) && replica.holds(account)? {
        return Ok(());
    }
    Err(Error::NotFound(account.to_string()))
}

/// What stands for two accounts being one, and for one being gone, is not a field to be typed into.
fn check_writable(set: &AccountFields, clear: &[String]) -> Result<(), Error> {
    let settled = |name: &String| ["deleted", "same_as"].contains(&name.as_str());
    if set.deleted.is_some() || set.same_as.is_some() || clear.iter().any(settled) {
        return Err(Error::Invalid(
            "whether an account is deleted or joined is not edited as a field".into(),
        ));
    }
    Ok(())
}

/// More than a screen shows in a minute of scrolling.
const ROWS_MAX: usize = 500;
