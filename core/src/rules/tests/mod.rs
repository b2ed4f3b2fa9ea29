//! The rules told as stories. A [`Story`] is what is held of one lead, written down hour by hour; the pages in `docs/rules/` hold examples that
//! are read and judged here.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::Facts;
use crate::document::{Doc, NoClocks};
use crate::ids::{DeviceId, DocId, DocKind, EntryId, Hash32, UserId};
use crate::model::{
    AdvancementModel, Assigned, Contact, Decision, Direction, DirectoryModel, DirectoryUser, Event, Evidence,
    LeadModel, LoggedDecision, LoggedEvent, LoggedEvidence, Outcome, RulingModel, Signal, StageProposal,
    Touch, TouchChannel, Visit,
};
use crate::policy::{PolicyAt, PolicyHistory};
use crate::time::Occurred;

mod advancement;
mod agenda;
mod assignment;
mod automation;
mod chain;
mod fields;
mod figures;
mod judgement;
mod known;
mod nurturing;
mod radar;
mod response;
mod scores;
mod similar;
mod stage;
mod talk;
mod tasks;
mod words;

/// Monday, 2026-03-02, 09:00 in Shanghai: when every story begins.
pub(super) const BEGIN_MS: i64 = 1_772_413_200_000;
/// A rep.
pub(super) const LI: UserId = UserId([1; 8]);
/// Another rep.
pub(super) const HAN: UserId = UserId([2; 8]);
/// Their manager.
pub(super) const ZHAO: UserId = UserId([9; 8]);

/// A moment of the story, hours after its beginning.
pub(super) fn hours(hours: i64) -> i64 {
    BEGIN_MS + hours * 3_600_000
}

/// A moment of the story, days after its beginning.
pub(super) fn days(days: i64) -> i64 {
    hours(24 * days)
}

/// What is held of a lead.
pub(super) struct Story {
    pub lead: LeadModel,
    pub ruling: Option<RulingModel>,
    pub table: Option<AdvancementModel>,
    pub people: DirectoryModel,
    pub policies: PolicyHistory,
    zone: TimeZone,
    entries: u8,
}

impl Story {
    /// A lead that came at the beginning, that nobody owns, under the pack that ships.
    pub fn new() -> Self {
        let mut ruling = RulingModel::read(&Doc::genesis(DocKind::Ruling), &NoClocks);
        ruling.fields.received_at_ms = Some(BEGIN_MS);
        let user = |role: &str| DirectoryUser { role: Some(role.into()), ..DirectoryUser::default() };
        let users = [(LI, user("rep")), (HAN, user("rep")), (ZHAO, user("manager"))];
        Self {
            lead: LeadModel::read(&Doc::genesis(DocKind::Lead), &NoClocks),
            ruling: Some(ruling),
            table: Some(AdvancementModel::read(&Doc::genesis(DocKind::Advancement), &NoClocks)),
            people: DirectoryModel { users: BTreeMap::from(users), ..DirectoryModel::default() },
            policies: PolicyHistory::shipped(),
            zone: TimeZone::get("Asia/Shanghai").unwrap(),
            entries: 0,
        }
    }

    /// What is known at a moment.
    pub fn at(&self, now_ms: i64) -> Facts<'_> {
        Facts {
            id: DocId([7; 16]),
            lead: &self.lead,
            ruling: self.ruling.as_ref(),
            table: self.table.as_ref(),
            account: None,
            people: Some(&self.people),
            policies: &self.policies,
            now_ms,
            zone: &self.zone,
        }
    }

    /// The story goes on under another policy from a moment on: the shipped one with a text replaced.
    pub fn policy_from(&mut self, at_ms: i64, from: &str, to: &str) -> EntryId {
        let text = crate::policy::Pack::Medical.toml();
        assert!(text.contains(from), "the pack has no {from:?}");
        self.publish(at_ms, crate::policy::Policy::from_toml(&text.replace(from, to)).unwrap())
    }

    /// The story goes on under another policy from a moment on.
    pub fn publish(&mut self, at_ms: i64, policy: crate::policy::Policy) -> EntryId {
        let id = self.fresh();
        self.policies.add(PolicyAt {
            id,
            effective_from_ms: at_ms,
            published_ms: at_ms,
            by: ZHAO,
            note: String::new(),
            policy: Some(policy.into()),
        });
        id
    }

    pub fn fresh(&mut self) -> EntryId {
        self.entries += 1;
        EntryId([self.entries; 16])
    }

    /// Something happens, and is logged at once.
    pub fn event(&mut self, at_ms: i64, user: UserId, event: Event) -> EntryId {
        let id = self.fresh();
        let at = Occurred { at_ms, doubt_ms: 0 };
        self.lead.events.push(LoggedEvent { id, at, user, device: DeviceId([1; 8]), event });
        id
    }

    pub fn touch(&mut self, at_ms: i64, user: UserId, direction: Direction, outcome: Outcome) -> EntryId {
        let channel = TouchChannel::Phone;
        let touch = Touch { channel, direction, outcome, text: String::new(), at_ms: None };
        self.event(at_ms, user, Event::Touch(touch))
    }

    pub fn visit(&mut self, at_ms: i64, user: UserId, note: &str) -> EntryId {
        self.event(at_ms, user, Event::Visit(Visit { note: note.into(), ..Visit::default() }))
    }

    pub fn signal(&mut self, at_ms: i64, kind: &str, about: &str, amount: Option<i64>) -> EntryId {
        let signal = Signal { kind: kind.into(), about: about.into(), amount, ..Signal::default() };
        self.event(at_ms, UserId::default(), Event::Signal(signal))
    }

    pub fn propose(&mut self, at_ms: i64, to: &str) -> EntryId {
        self.event(
            at_ms,
            LI,
            Event::StageProposal(StageProposal { to: to.into(), ..StageProposal::default() }),
        )
    }

    pub fn evidence(&mut self, at_ms: i64, name: &str, mime: &str) -> Hash32 {
        let id = self.fresh();
        let hash = Hash32([id.0[0]; 32]);
        let (name, mime) = (name.to_owned(), mime.to_owned());
        let evidence = Evidence { hash, size_bytes: 1, mime, name, captured_at_ms: at_ms, event: None };
        let at = Occurred { at_ms, doubt_ms: 0 };
        self.lead.evidence.push(LoggedEvidence { id, at, user: LI, evidence });
        hash
    }

    /// The server decides.
    pub fn decide(&mut self, at_ms: i64, decision: Decision) -> EntryId {
        let id = self.fresh();
        let ruling = self.ruling.as_mut().unwrap();
        if let Decision::Assign(assigned) = &decision {
            ruling.fields.owner = Some(assigned.to);
        }
        ruling.decisions.push(LoggedDecision { id, at_ms, decision });
        id
    }

    pub fn assign(&mut self, at_ms: i64, to: UserId) -> EntryId {
        let from =
            self.ruling.as_ref().unwrap().fields.owner.map(|owner| owner.to_string()).unwrap_or_default();
        let assigned = Assigned { from, to, by: UserId::default(), reason: String::new(), policy: None };
        self.decide(at_ms, Decision::Assign(assigned))
    }

    pub fn contact(&mut self, name: &str, role: &str, attitude: &str) -> EntryId {
        let id = self.fresh();
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let contact =
            Contact { name: text(name), role: text(role), attitude: text(attitude), ..Contact::default() };
        self.lead.contacts.insert(id, contact);
        id
    }

    pub fn tick(&mut self, row: &str) {
        let table = self.table.as_mut().unwrap();
        table.rows.iter_mut().find(|known| known.id == row).unwrap().confirmed = true;
    }
}

/// The rows of the table of a page that begins with this head, their cells trimmed.
pub(super) fn table<'a>(page: &'a str, head: &str) -> Vec<Vec<&'a str>> {
    let from = page.find(head).unwrap_or_else(|| panic!("no table {head}"));
    let rows = page[from..].lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}
