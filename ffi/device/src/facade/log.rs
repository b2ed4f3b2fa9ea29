//! What happened at a customer: visits with the three fields of C4, touches, stage proposals.

use fieldbook_core::ids::{DocId, EntryId};
use fieldbook_core::model::{Event, StageProposal, Touch, Visit};
use fieldbook_core::replica::DocEdits;

use super::Fieldbook;
use super::leads::check_held;
use crate::error::Error;

impl Fieldbook {
    /// Logs a visit and sets 客户状态, 下一步动作 and 预计成交时间 of the lead where the visit tells them (C4).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a visit that says nothing.
    pub fn log_visit(&self, lead: DocId, visit: &Visit) -> Result<EntryId, Error> {
        check_visit(visit)?;
        self.shared.act(|replica, act| {
            check_held(replica, lead)?;
            let edits = visit.edits(act);
            Ok((logged(&edits), vec![DocEdits::of(lead, edits)]))
        })
    }

    /// Logs a call, a message, a mail.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn log_touch(&self, lead: DocId, touch: &Touch) -> Result<EntryId, Error> {
        self.log(lead, &Event::Touch(touch.clone()))
    }

    /// Proposes a stage; the server confirms it or rolls it back naming what is missing (O4). A proposal that names no version of the policy
    /// gets the one in force on this phone: by that it is judged (O13).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for an empty stage.
    pub fn propose_stage(&self, lead: DocId, proposal: &StageProposal) -> Result<EntryId, Error> {
        if proposal.to.trim().is_empty() {
            return Err(Error::Invalid("a proposal names a stage".into()));
        }
        let seen = self.shared.with(|replica, now| {
            let now_ms = replica.now_ms(now);
            Ok::<_, Error>(self.shared.policies(replica)?.at(now_ms).id)
        })?;
        let policy = proposal.policy.or(Some(seen));
        self.log(lead, &Event::StageProposal(StageProposal { policy, ..proposal.clone() }))
    }

    /// Takes an entry of the timeline back.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn retract(&self, lead: DocId, entry: EntryId) -> Result<(), Error> {
        self.log(lead, &Event::Retract { entry }).map(|_| ())
    }

    pub(super) fn log(&self, lead: DocId, event: &Event) -> Result<EntryId, Error> {
        self.shared.act(|replica, act| {
            check_held(replica, lead)?;
            let edits = vec![event.log(act)];
            Ok((logged(&edits), vec![DocEdits::of(lead, edits)]))
        })
    }
}

/// Refuses a visit that says nothing.
pub(super) fn check_visit(visit: &Visit) -> Result<(), Error> {
    let told = [&visit.customer_state, &visit.next_action, &visit.expected_close, &visit.note];
    if told.iter().all(|text| text.trim().is_empty()) {
        return Err(Error::Invalid("a visit needs a state, a next action, a date or a note".into()));
    }
    Ok(())
}

/// The id of the entry that edits append.
pub(super) fn logged(edits: &[fieldbook_core::document::Edit]) -> EntryId {
    let id = edits.iter().find_map(|edit| match edit {
        fieldbook_core::document::Edit::Append { id, .. } => Some(*id),
        _ => None,
    });
    id.unwrap_or_default()
}
