//! Plain values: what the documents mean. Typed models both ways (read a document, make edits for it), the summary
//! row that stands for a lead in lists, and search. Refuses: automerge, storage, decisions (those are `rules`).

mod account;
mod advancement;
mod calendar;
mod decision;
mod directory;
mod event;
mod fields;
mod lead;
mod notes;
mod ruling;
pub mod search;
mod summary;

pub use account::{AccountFields, AccountModel, NewAccount};
pub use advancement::{AdvancementModel, AdvancementRow, PRESET_ROWS, answer_edit, tick_edit};
pub use calendar::{
    CalendarEntry, CalendarModel, Cell, Importance, PlacedEntry, Urgency, company_day, entries_on, month_of,
    place,
};
pub use decision::{Assigned, Cured, Decision, Firing, LoggedDecision};
pub use directory::{DirectoryDevice, DirectoryModel, DirectoryTeam, DirectoryUser};
pub use event::{
    Approval, Direction, Event, Evidence, Import, LoggedEvent, LoggedEvidence, Outcome, Signal,
    StageProposal, Touch, TouchChannel, Visit, events, evidence,
};
pub use fields::is_filled;
pub use lead::{Attitude, Contact, LeadFields, LeadModel, NEEDS, NewLead, Tag, Todo, tag_edit, untag_edit};
pub use notes::notes_edits;
pub use ruling::{RulingFields, RulingModel, clock_edit, clock_edits, clocks_of};
pub use summary::{Deletion, LeadSummary};

#[cfg(test)]
mod tests;
