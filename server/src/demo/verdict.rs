//! Whether the demonstration kept its word: what the story expected, and a comparison of every phone's disk with the server's, document
//! by document. Everything that does not hold is named.

use std::collections::BTreeSet;

use fieldbook_core::company::Company;
use fieldbook_core::ids::{DocId, DocKind};
use fieldbook_engines::Dump;

use super::handset::{Handset, family};
use super::{Failure, say};
use crate::app::App;

/// What did not hold so far.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    wrong: Vec<String>,
    compared: usize,
}

impl Verdict {
    /// Notes `what`, a sentence about what was to be, unless it holds.
    pub fn expect(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.wrong.push(what.into());
        }
    }

    /// Compares the disk of a phone with the server's: of each document that its user may read the phone holds equal heads, of no other
    /// anything. Equal heads are equal histories, so fields, notes, visits, ticks and owners are equal too. Ends the phone's app.
    ///
    /// # Errors
    /// Those of either store.
    pub fn compare(&mut self, app: &App, phone: &Handset) -> Result<(), Failure> {
        let whose = &phone.who.name;
        self.expect(phone.is_empty()?, format!("{whose}'s phone still has work that the server does not"));
        let channels = app.company.person(phone.who.user)?.channels();
        let (_, mut replica) = phone.open_store()?;
        let mut known = BTreeSet::new();
        for id in documents(&app.company)? {
            known.insert(id);
            let Some(header) = app.company.header(id)? else { continue };
            let heads = if replica.holds(id)? { Some(sorted(replica.load(id)?.heads())) } else { None };
            let wanted = (!header.channels().is_disjoint(&channels)).then(|| sorted(header.heads));
            self.compared += usize::from(wanted.is_some());
            match (wanted, heads) {
                (Some(_), None) => self.wrong.push(format!("{whose}'s phone lacks {}", title(id))),
                (None, Some(_)) => {
                    self.wrong.push(format!("{whose}'s phone holds {}, which is not its user's", title(id)))
                }
                (wanted, held) => {
                    self.expect(
                        wanted == held,
                        format!("{whose}'s phone and the server differ in {}", title(id)),
                    );
                }
            }
        }
        for kind in DocKind::ALL {
            for id in replica.held_of(kind)?.into_iter().filter(|id| !known.contains(id)) {
                self.wrong
                    .push(format!("{whose}'s phone holds {}, which the server does not know", title(id)));
            }
        }
        Ok(())
    }

    /// Looks for a lead that left a phone in every row of its store, keys and values. Ends the phone's app.
    ///
    /// # Errors
    /// Those of the phone's store.
    pub fn expect_no_byte(&mut self, phone: &Handset, lead: DocId) -> Result<(), Failure> {
        let (store, replica) = phone.open_store()?;
        drop(replica);
        let names: Vec<Vec<u8>> =
            family(lead).into_iter().flat_map(|id| [id.0.to_vec(), id.to_string().into_bytes()]).collect();
        let mut rows = Vec::new();
        store.dump(&mut |(key, value)| {
            let speaks =
                |bytes: &[u8]| names.iter().any(|name| bytes.windows(name.len()).any(|part| part == name));
            if speaks(&key) || speaks(&value) {
                rows.push(String::from_utf8_lossy(key.get(..1).unwrap_or_default()).into_owned());
            }
            Ok(())
        })?;
        self.expect(
            rows.is_empty(),
            format!("{}'s phone still speaks of {} in its rows {rows:?}", phone.who.name, title(lead)),
        );
        Ok(())
    }

    /// Tells what came of it. Whether everything held.
    ///
    /// # Errors
    /// When nobody can be told.
    pub fn tell(&self) -> std::io::Result<bool> {
        if self.wrong.is_empty() {
            say(&format!(
                "\nConverged: {} documents on three phones have the heads that the server has.",
                self.compared
            ))?;
        } else {
            say("\nNOT CONVERGED:")?;
            for wrong in &self.wrong {
                say(&format!("  {wrong}"))?;
            }
        }
        Ok(self.wrong.is_empty())
    }

    /// What did not hold.
    #[cfg(test)]
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }
}

fn documents(company: &Company) -> Result<Vec<DocId>, Failure> {
    let mut all = Vec::new();
    loop {
        let page = company.documents(all.last().copied(), PAGE)?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn sorted<T: Ord>(mut heads: Vec<T>) -> Vec<T> {
    heads.sort();
    heads
}

fn title(id: DocId) -> String {
    let kind = id.kind().map_or_else(|| "document".to_owned(), |kind| format!("{kind:?}").to_lowercase());
    format!("{kind} {id}")
}

/// Documents looked at with one read of the store.
const PAGE: usize = 500;
