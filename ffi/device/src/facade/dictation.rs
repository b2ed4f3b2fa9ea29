//! What words say (C35, C43, C44, C83, C84): a dictated note, or a message that somebody shares from a chat, becomes fields that the user sees
//! before anything is kept; and whether a first contact asks what it should. Read on the phone, without a network.

use fieldbook_core::language::{Note, Words, first_contact, read_note};
use jiff::civil::Date;

use super::Fieldbook;
use super::calendar::today;
use crate::error::Error;
use crate::records::{FirstContact, LeadQuery, NoteReading};

impl Fieldbook {
    /// What a note or a message says. `on` is the day on which it was spoken or written, ISO; `None`: today. What it does not say is empty:
    /// nothing is guessed. `leads` are those on this phone whose customer or hospital it names.
    ///
    /// # Errors
    /// [`Error::Locked`]; [`Error::Invalid`] for a day that is none.
    pub fn read_note(&self, text: &str, on: Option<&str>) -> Result<NoteReading, Error> {
        let (_, today) = self.shared.read(|replica, now| today(replica, now))?;
        let day = |day: &str| day.trim().parse::<Date>();
        let on = on.map(day).transpose().map_err(|_| Error::Invalid("the day is not an ISO day".into()))?;
        let said = read_note(text, on.unwrap_or(today), Words::medical());
        let named = said.hospital.as_deref().map(str::trim).filter(|name| !name.is_empty());
        let leads = match named {
            Some(name) => {
                self.leads(&LeadQuery { text: name.to_owned(), limit: LEADS, ..LeadQuery::default() })?
            }
            None => Vec::new(),
        };
        let Note { contact, hospital, device, brand, budget_min, budget_max, .. } = said;
        let fen = |yuan: Option<i64>| yuan.map(|yuan| yuan.saturating_mul(100));
        let iso = |day: Option<Date>| day.map(|day| day.to_string());
        Ok(NoteReading {
            contact,
            hospital,
            equipment: device,
            brand,
            budget_min_fen: fen(budget_min),
            budget_max_fen: fen(budget_max),
            from_day: iso(said.date_start),
            until_day: iso(said.date_end),
            todo: said.todo,
            need: said.intent,
            leads,
        })
    }

    /// Whether a first contact asks an open question about the customer's need, and which (C35).
    pub fn first_contact(&self, text: &str) -> FirstContact {
        let fieldbook_core::language::FirstContact { effective, question } =
            first_contact(text, Words::medical());
        FirstContact { effective, question }
    }
}

/// Leads that a note may be about: more than a person reads through.
const LEADS: u32 = 5;
