//! The page of one lead: everything that the phone holds of it, read in one go.

use std::collections::BTreeMap;

use fieldbook_core::company::SERVER_USER;
use fieldbook_core::document::{Clocks, Doc, NoClocks};
use fieldbook_core::ids::{DocId, UserId};
use fieldbook_core::model::{
    AdvancementModel, AdvancementRow, Decision, DirectoryModel, Event, LeadModel, LoggedDecision,
    LoggedEvent, LoggedEvidence, RulingModel,
};
use fieldbook_core::replica::{Replica, ReplicaError};
use fieldbook_core::time::BootClock;

use super::Fieldbook;
use super::conflicts::conflict_items;
use super::leads::{check_held, lead_row, user_name};
use crate::blobs::{self, BlobState};
use crate::error::Error;
use crate::records::{
    ContactItem, EvidenceItem, EvidencePlace, Happening, ImportedColumn, LeadPage, TagItem, TimelineItem,
    TodoItem,
};
use crate::words::{self, Language};

impl Fieldbook {
    /// Everything of one lead.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Locked`].
    pub fn lead(&self, lead: DocId) -> Result<LeadPage, Error> {
        let mut page = self.shared.read(|replica, now| {
            check_held(replica, lead)?;
            let me = replica.identity()?.user;
            let names = self.shared.names(replica)?;
            let now_ms = replica.now_ms(now);
            let docs = Docs::load(replica, lead)?;
            let row = lead_row(replica.summary(lead)?, me, &names);
            Ok::<_, Error>(docs.page(row, &names, now_ms, self.shared.language))
        })?;
        // Where the bytes are is known to the store alone; nothing is locked for it.
        let epoch = self.shared.epoch()?;
        for piece in &mut page.evidence {
            let row = blobs::row(&self.shared.store, piece.hash, epoch)?;
            piece.place = match row.map(|row| (row.state, row.refused)) {
                Some((BlobState::Waiting, None)) => EvidencePlace::Waiting,
                Some((BlobState::Waiting, Some(_))) => EvidencePlace::Refused,
                Some((BlobState::Safe | BlobState::Fetched, _)) => EvidencePlace::Safe,
                Some((BlobState::Incomplete | BlobState::Coming, _)) | None => EvidencePlace::Elsewhere,
            };
        }
        Ok(page)
    }
}

/// What the phone holds of a lead.
pub(super) struct Docs {
    /// The lead.
    pub lead: (DocId, Doc),
    /// Its advancement table.
    pub table: Option<(DocId, Doc)>,
    /// Its ruling.
    pub ruling: Option<RulingModel>,
}

impl Docs {
    pub fn load(replica: &mut Replica, lead: DocId) -> Result<Self, Error> {
        let mut optional = |id: DocId| match replica.load(id) {
            Ok(doc) => Ok(Some(doc)),
            Err(ReplicaError::Unknown(_)) => Ok(None),
            Err(other) => Err(other),
        };
        let ruling = optional(DocId::ruling_of(lead))?.map(|doc| RulingModel::read(&doc, &NoClocks));
        let table_id = DocId::advancement_of(lead);
        let table = optional(table_id)?.map(|doc| (table_id, doc));
        Ok(Self { lead: (lead, replica.load(lead)?), table, ruling })
    }

    /// The clocks that the server pinned for those who wrote (O1).
    pub fn clocks(&self) -> &dyn Clocks {
        static NONE: BTreeMap<u64, BootClock> = BTreeMap::new();
        self.ruling.as_ref().map_or(&NONE, |ruling| &ruling.clocks)
    }

    fn page(
        &self,
        row: crate::records::LeadRow,
        names: &DirectoryModel,
        now_ms: i64,
        language: Language,
    ) -> LeadPage {
        let clocks = self.clocks();
        let model = LeadModel::read(&self.lead.1, clocks);
        let table = match &self.table {
            Some((_, doc)) => AdvancementModel::read(doc, clocks),
            None => AdvancementModel::read(&Doc::genesis(fieldbook_core::ids::DocKind::Advancement), clocks),
        };
        let conflicts = conflict_items(self, names, language);
        // What other rules keep in the same document (`loss/…`, weeks) is not of the table.
        let rows = table.rows.into_iter().filter(|row| !row.id.contains('/')).map(|row| AdvancementRow {
            question: words::question(&row.id, language).map_or_else(String::new, str::to_owned),
            ..row
        });
        let mut todos: Vec<TodoItem> =
            model.todos.into_iter().map(|(id, todo)| TodoItem { id, todo }).collect();
        todos.sort_by_key(|item| {
            let due = item.todo.due.clone();
            (item.todo.done == Some(true), due.is_none(), due)
        });
        let tag = |(name, tag): (String, fieldbook_core::model::Tag)| {
            let fresh = tag.is_fresh(now_ms);
            TagItem { name, expires_ms: tag.expires_ms, fresh }
        };
        let ruling = self.ruling.as_ref();
        let joint =
            ruling.map(|ruling| ruling.joint_owners.iter().map(|user| user_name(names, *user)).collect());
        let mut timeline: Vec<_> =
            model.events.into_iter().filter(shows).map(|event| timeline_item(event, names)).collect();
        let decisions = ruling.into_iter().flat_map(|ruling| &ruling.decisions);
        timeline.extend(decisions.filter_map(|made| decided_item(made, names, language)));
        timeline.sort_by_key(|item| std::cmp::Reverse((item.at_ms, item.id)));
        let evidence = model.evidence.into_iter().rev().map(|piece| evidence_item(piece, names));
        LeadPage {
            row,
            fields: model.fields,
            notes: model.notes,
            first_source: ruling.and_then(|ruling| ruling.fields.first_source.clone()).unwrap_or_default(),
            joint_owners: joint.unwrap_or_default(),
            contacts: model.contacts.into_iter().map(|(id, contact)| ContactItem { id, contact }).collect(),
            todos,
            tags: model.tags.into_iter().map(tag).collect(),
            timeline,
            evidence: evidence.collect(),
            table: rows.collect(),
            conflicts,
        }
    }
}

/// Whether an entry is one that a person made: that somebody opened the lead is for the rules.
fn shows(logged: &LoggedEvent) -> bool {
    !matches!(logged.event, Event::Read {})
}

fn timeline_item(logged: LoggedEvent, names: &DirectoryModel) -> TimelineItem {
    TimelineItem {
        id: logged.id,
        at_ms: logged.happened_at_ms(),
        logged_ms: logged.at.at_ms,
        doubtful: logged.at.is_doubtful(),
        user: logged.user,
        user_name: name(names, logged.user),
        what: match logged.event {
            Event::Visit(visit) => Happening::Visit { visit },
            Event::Touch(touch) => Happening::Touch { touch },
            Event::StageProposal(proposal) => Happening::StageProposal { proposal },
            Event::Import(import) => {
                let columns = import.extra.into_iter();
                let columns = columns.map(|(name, text)| ImportedColumn { name, text }).collect();
                Happening::Imported { columns }
            }
            Event::Signal(signal) => Happening::Signal { signal },
            Event::Approval(approval) => Happening::Approval { approval },
            Event::Read {} | Event::Retract { .. } | Event::Unknown(_) => Happening::Other,
        },
    }
}

/// What was decided about the lead, as its reader hears of it; `None`: it is for the rules alone.
fn decided_item(made: &LoggedDecision, names: &DirectoryModel, language: Language) -> Option<TimelineItem> {
    let say = |code: &str, what: &str| words::sentence(code, language).replace("{}", what);
    let because = |text: String, why: &str| if why.is_empty() { text } else { format!("{text} {why}") };
    let (mut by, mut cause, mut policy) = (SERVER_USER, None, None);
    let (rule, text) = match &made.decision {
        Decision::Assign(to) => {
            (by, policy) = (to.by, to.policy);
            ("assign", because(say("decided_assign", &name(names, to.to)), &to.reason))
        }
        Decision::Fire(firing) => {
            (cause, policy) = (Some(firing.epoch), Some(firing.policy));
            (firing.rule.as_str(), firing.why.clone())
        }
        Decision::Cure(cured) => {
            cause = cured.by.or(Some(cured.firing));
            ("cure", because(say("decided_cure", ""), &cured.why))
        }
        Decision::Join { user, epoch } => {
            cause = Some(*epoch);
            ("join", say("decided_join", &name(names, *user)))
        }
        Decision::Verified { .. } => ("verified", say("decided_verified", "")),
        Decision::Received { .. } | Decision::Unknown(_) => return None,
    };
    Some(TimelineItem {
        id: made.id,
        at_ms: made.at_ms,
        logged_ms: made.at_ms,
        doubtful: false,
        user: by,
        user_name: if by == SERVER_USER { say("decided_by_rules", "") } else { name(names, by) },
        what: Happening::Decided { rule: rule.to_owned(), text, cause, policy },
    })
}

fn evidence_item(logged: LoggedEvidence, names: &DirectoryModel) -> EvidenceItem {
    let LoggedEvidence { id, at, user, evidence } = logged;
    EvidenceItem {
        id,
        hash: evidence.hash,
        size_bytes: evidence.size_bytes,
        mime: evidence.mime,
        name: evidence.name,
        captured_at_ms: evidence.captured_at_ms,
        at_ms: at.at_ms,
        user_name: name(names, user),
        event: evidence.event,
        place: EvidencePlace::Elsewhere,
    }
}

fn name(names: &DirectoryModel, user: UserId) -> String {
    user_name(names, user)
}
