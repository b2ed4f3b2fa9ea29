//! The language of the field, read on the device: what a dictated note says (C43, C44) and whether a first contact asks an open question (C35). A
//! grammar over lists of words ([`Words`]), which are policy; it guesses nothing: where a note does not say, a field is `None`.
//!
//! A text is first cut into spans (days, amounts, makers, equipment, customers, people, errands), each by a file of its own; then each field is
//! chosen among the spans of its sort. Every pass looks at every character a bounded number of times; a text is cut at
//! [`crate::limits::DICTATION_MAX_CHARS`]. `docs/rules/dictation.md` is the definition.

use jiff::civil::Date;
use serde::{Serialize, Serializer};

mod amounts;
mod brands;
mod budget;
mod calendar;
mod dates;
mod days;
mod equipment;
mod heard;
mod intents;
mod numbers;
mod people;
mod places;
mod questions;
mod text;
mod todos;
mod weeks;
pub mod words;

pub use questions::{FirstContact, first_contact};
pub use words::{ListChange, NoList, Words};

/// What one dictated note says, in canonical forms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Who on the customer's side said or decided it, as addressed: 张院长.
    pub contact: Option<String>,
    /// The customer, without the department.
    pub hospital: Option<String>,
    /// The equipment, without brand, model and count: CT, 呼吸机.
    pub device: Option<String>,
    /// The maker that the customer prefers.
    pub brand: Option<String>,
    /// The least that the customer has, in yuan.
    pub budget_min: Option<i64>,
    /// The most, in yuan.
    pub budget_max: Option<i64>,
    /// First day of the customer's next decisive act.
    #[serde(serialize_with = "iso")]
    pub date_start: Option<Date>,
    /// Last day of it, included.
    #[serde(serialize_with = "iso")]
    pub date_end: Option<Date>,
    /// What our side has to do next, verb and object as said.
    pub todo: Option<String>,
    /// 采购, 维保 or 升级.
    pub intent: Option<String>,
}

/// Reads a note that was dictated on this day.
pub fn read_note(text: &str, on: Date, words: &Words) -> Note {
    let text = text::Text::of(text);
    let heard = heard::Heard::of(&text, on, words);
    let intent = intents::choose(&heard);
    let (budget_min, budget_max) = budget::choose(&heard);
    let date = dates::choose(&heard);
    let contact = people::choose(&heard);
    Note {
        contact: contact.clone(),
        hospital: places::choose(&heard),
        device: equipment::choose(&heard),
        brand: brands::choose(&heard, intent, contact.as_deref()),
        budget_min,
        budget_max,
        date_start: date.map(|(start, _)| start),
        date_end: date.map(|(_, end)| end),
        todo: todos::choose(&heard),
        intent: intent.map(|intent| intent.name().to_owned()),
    }
}

/// A day as `2026-03-01`.
fn iso<S: Serializer>(day: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
    day.map(|day| day.to_string()).serialize(serializer)
}

#[cfg(test)]
fn said_on_tuesday(text: &str) -> Note {
    read_note(text, jiff::civil::date(2026, 2, 17), Words::medical())
}

#[cfg(test)]
mod tests;
