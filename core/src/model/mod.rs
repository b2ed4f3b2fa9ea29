//! Plain values: what the documents mean. Typed models both ways (read a document, make edits for it), the summary
//! row that stands for a lead in lists, and search. Refuses: automerge, storage, decisions (those are `rules`).

mod account;
mod advancement;
mod calendar;
mod directory;
mod event;
mod fields;
mod lead;
mod policy;
mod ruling;
pub mod search;
mod summary;

pub use account::{AccountFields, AccountModel};
pub use advancement::{AdvancementModel, AdvancementRow, PRESET_ROWS, answer_edit, tick_edit};
pub use calendar::{
    CalendarEntry, CalendarModel, Cell, Importance, Urgency, company_day, fold_entries, month_of, place,
};
pub use directory::{DirectoryDevice, DirectoryModel, DirectoryTeam, DirectoryUser};
pub use event::{
    Direction, Event, Evidence, LoggedEvent, LoggedEvidence, Outcome, StageProposal, Touch, TouchChannel,
    Visit, events, evidence,
};
pub use fields::is_filled;
pub use lead::{Contact, LeadFields, LeadModel, NEEDS, NewLead, Tag, Todo, notes_edit, tag_edit, untag_edit};
pub use policy::{DEFAULT_LOCK_AFTER_DAYS, PolicyModel, PolicyVersion};
pub use ruling::{RulingFields, RulingModel, clock_edit, clock_edits, clocks_of};
pub use summary::LeadSummary;

#[cfg(test)]
mod tests;
