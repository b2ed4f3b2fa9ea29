//! What words say (C35, C43, C44, C83, C84): a dictated note, or a message that somebody shares from a chat, becomes fields that the user sees
//! before anything is kept; and whether a first contact asks what it should. Read on the phone, without a network.

use fieldbook_core::language::{Note, first_contact, read_note};
use jiff::civil::Date;

use super::Fieldbook;
use super::calendar::today;
use super::judge::in_force;
use crate::error::Error;
use crate::records::{FirstContact, LeadQuery, NoteReading};

impl Fieldbook {
    /// What a note or a message says. `on` is the day on which it was spoken or written, ISO; `None`: today. What it does not say is empty:
    /// nothing is guessed. `leads` are those on this phone whose customer or hospital it names. Read by the word lists of the policy in force.
    ///
    /// # Errors
    /// [`Error::Locked`]; [`Error::Invalid`] for a day that is none; [`Error::Undetermined`] when only a newer version of the app can read the
    /// policy.
    pub fn read_note(&self, text: &str, on: Option<&str>) -> Result<NoteReading, Error> {
        let (today, policies, now_ms) = self.shared.read(|replica, now| {
            let (_, today) = today(replica, now)?;
            Ok::<_, Error>((today, self.shared.policies(replica)?, replica.now_ms(now)))
        })?;
        let words = in_force(&policies, now_ms)?.1.dictation.words();
        let day = |day: &str| day.trim().parse::<Date>();
        let on = on.map(day).transpose().map_err(|_| Error::Invalid("the day is not an ISO day".into()))?;
        let said = read_note(text, on.unwrap_or(today), words);
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

    /// Whether a first contact asks an open question about the customer's need, and which (C35), by the word lists of the policy in force.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`]; [`Error::Undetermined`] when only a newer version of the app can read the policy.
    pub fn first_contact(&self, text: &str) -> Result<FirstContact, Error> {
        self.shared.with(|replica, now| {
            replica.identity()?;
            self.by_policy(replica, now, |policy| {
                let fieldbook_core::language::FirstContact { effective, question } =
                    first_contact(text, policy.dictation.words());
                Ok(FirstContact { effective, question })
            })
        })
    }
}

/// Leads that a note may be about: more than a person reads through.
const LEADS: u32 = 5;
