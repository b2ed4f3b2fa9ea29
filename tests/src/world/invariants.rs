//! The invariants, each a named function. Cheap ones run after every event, those that read documents when something they look at
//! has changed (what is stored: after every flush that wrote it), and all of them once more when the world is at peace.
//!
//! That nothing unreadable stays is looked for in the rows, also where automerge deflates. The pages that an engine has freed are not rows:
//! `core/engines/tests/no_trace.rs` looks into those.
//!
//! | Name | What it says |
//! |---|---|
//! | `acknowledged_is_stored` | what a phone was told is durable is in the server's document; after a server restore, once those who hold it have synced |
//! | `synced_phones_agree` | a phone that has synced holds exactly the documents that its user may read, at the server's heads |
//! | `no_unreadable_bytes` | nothing on a synced phone's disk speaks of a document that its user may not read |
//! | `outbox_shrinks_only_by_answers` | an outbox entry vanishes only when its push was answered |
//! | `replay_changes_nothing` | a push that was answered, sent again, moves neither heads nor positions nor decisions |
//! | `nothing_pending_at_the_end` | at peace every outbox is empty, every channel full, every connection settled |
//! | `nothing_dropped` | every change that reached a phone's disk is merged, held, or kept by its phone as refused |
//! | `times_are_true_or_flagged` | the corrected time of an act is as far off as it admits, and flagged beyond five minutes ([`super::clocks`]) |
//! | `a_silent_phone_locks` | a phone shows nothing after the days without contact that the company set, and everything before |
//! | `what_is_shown_is_saved` | an app that goes on over a disk that takes nothing shows what is on that disk |
//! | `no_position_goes_back` | cursors and heads only grow, a restore apart |

use std::collections::{BTreeMap, BTreeSet};

use fieldbook_core::access::Verb;
use fieldbook_core::company::{Company, CompanyError, DeviceStatus};
use fieldbook_core::document::Doc;
use fieldbook_core::ids::{DocId, DocKind, Hash32, UserId};
use fieldbook_core::replica::ReplicaError;

use super::bytes::{families_in, families_of_snapshot};
use super::ledger::{Fate, documents};
use super::{Step, Violation, World, violated};

impl World {
    /// `no_position_goes_back`, after every event.
    pub(super) fn check_positions(&mut self) -> Step {
        if let Some(head) = self.server_head() {
            if head < self.ledger.head {
                return violated(
                    "no_position_goes_back",
                    format!("the log went from {} to {head}", self.ledger.head),
                );
            }
            self.ledger.head = head;
        }
        for (n, phone) in self.phones.iter().enumerate() {
            let Some(row) = phone.replica.as_ref().map(|replica| replica.sync_row()) else { continue };
            let now = (phone.generation, row.epoch, row.cursor);
            let before = self.ledger.cursors.insert(n, now).unwrap_or(now);
            if (now.0, now.1) == (before.0, before.1) && now.2 < before.2 {
                return violated(
                    "no_position_goes_back",
                    format!("phone {n} went from {before:?} to {now:?}"),
                );
            }
        }
        Ok(())
    }

    /// After an event that concerned a phone: when it is settled, everything about it must be right.
    pub(super) fn check_phone(&mut self, n: usize) -> Step {
        self.observe(n, &[])?;
        if !self.is_settled(n) {
            return Ok(());
        }
        let state = (self.phones[n].store.steps(), self.office.store.steps());
        if std::mem::replace(&mut self.phones[n].checked, state) == state {
            return Ok(());
        }
        self.tally.add("settled checks", 1);
        self.synced_phones_agree(n)?;
        self.no_unreadable_bytes(n)
    }

    /// Whether a phone has everything that the server has for it, and the server everything of the phone.
    pub(super) fn is_settled(&self, n: usize) -> bool {
        let phone = &self.phones[n];
        let (Some(replica), Some(line)) = (&phone.replica, &phone.line) else { return false };
        let whole = self.net.get(line.conn).is_some_and(|conn| conn.is_whole() && conn.in_flight == 0);
        whole
            && line.link.is_settled(replica)
            && self.office.company.is_some()
            && self.office.sessions.contains_key(&line.conn)
            && self.office.is_quiet(line.conn)
    }

    pub(super) fn synced_phones_agree(&mut self, n: usize) -> Step {
        let Some(company) = self.office.company.clone() else { return Ok(()) };
        let readable = readable(&company, self.phones[n].user, self.ledger.docs.keys())?;
        let held = self.app(n, |replica, _| documents(replica))?.unwrap_or_default();
        for doc in &held {
            if !readable.contains_key(doc) {
                let name = self.name(*doc);
                return violated(
                    "synced_phones_agree",
                    format!("phone {n} holds {name}, which is not its user's"),
                );
            }
        }
        for (doc, heads) in &readable {
            let mine = self.app(n, |replica, _| match replica.load(*doc) {
                Ok(doc) => Ok(Some(doc.heads())),
                Err(ReplicaError::Unknown(_)) => Ok(None),
                Err(other) => Err(other),
            })?;
            if mine.as_ref().and_then(Option::as_ref) != Some(heads) {
                let (name, held) = (self.name(*doc), held.contains(doc));
                return violated(
                    "synced_phones_agree",
                    format!("phone {n} has {mine:?} of {name} (held: {held}), the server {heads:?}"),
                );
            }
        }
        Ok(())
    }

    /// Looks for ids in keys and for marked words in values. The key of kept work stays when a document has left: that something was
    /// kept is the fact that remains, without a word of it.
    pub(super) fn no_unreadable_bytes(&mut self, n: usize) -> Step {
        let Some(company) = self.office.company.clone() else { return Ok(()) };
        let readable = readable(&company, self.phones[n].user, self.ledger.docs.keys())?;
        let families: BTreeSet<usize> =
            readable.keys().filter_map(|doc| self.ledger.docs.get(doc)).copied().collect();
        // A restored server may have a lead's ruling again and not yet the lead: the row of the one is under the name of the other.
        let mut secret = Vec::new();
        for (doc, family) in &self.ledger.docs {
            let known = company.header(*doc).is_ok_and(|header| header.is_some());
            if !readable.contains_key(doc) && (known || !families.contains(family)) {
                secret.push(*doc);
            }
        }
        let snapshot = self.phones[n].store.snapshot();
        for (key, value) in snapshot.rows() {
            let named = secret
                .iter()
                .find(|doc| !key.starts_with(b"z/") && key.windows(DocId::LEN).any(|w| w == doc.0));
            let mut found = families_in(value);
            if let Some(doc) = key.strip_prefix(b"s/").and_then(DocId::from_slice).filter(|_| self.peace) {
                found.extend(families_of_snapshot(doc, value));
            }
            let marked = found.into_iter().find(|family| !families.contains(family));
            if named.is_some() || marked.is_some() {
                let name =
                    named.map_or_else(|| format!("family {}", marked.unwrap_or(0)), |doc| self.name(*doc));
                let row = key.get(2..2 + DocId::LEN).and_then(DocId::from_slice).map(|doc| self.name(doc));
                let table = String::from_utf8_lossy(&key[..key.len().min(2)]).into_owned();
                let detail = format!("phone {n} still has row {table} ({row:?}) of {name}");
                return violated("no_unreadable_bytes", detail);
            }
        }
        Ok(())
    }

    /// `acknowledged_is_stored` for everything: after a start of the server, and at the end.
    pub(super) fn check_stored(&mut self) -> Step {
        let docs: BTreeSet<DocId> = self.ledger.made.values().map(|made| made.doc).collect();
        self.check_stored_in(&docs.into_iter().collect::<Vec<_>>())
    }

    /// `acknowledged_is_stored` for some documents: after each commit that touches them.
    pub(super) fn check_stored_in(&mut self, docs: &[DocId]) -> Step {
        let Some(company) = self.office.company.clone() else { return Ok(()) };
        let mut told: BTreeMap<DocId, Vec<Hash32>> = BTreeMap::new();
        for (hash, made) in &self.ledger.made {
            let owed = made.fate == Fate::Durable && !self.ledger.lost.contains_key(hash);
            if owed && docs.contains(&made.doc) {
                told.entry(made.doc).or_default().push(*hash);
            }
        }
        for (doc, hashes) in told {
            let held = load(&company, doc)?;
            if let Some(hash) =
                hashes.iter().find(|hash| held.as_ref().is_none_or(|held| !held.contains(hash)))
            {
                let name = self.name(doc);
                return violated("acknowledged_is_stored", format!("{hash} of {name}"));
            }
        }
        Ok(())
    }

    /// A restored server lacks what came after its backup: notes what, and who holds it.
    pub(super) fn note_lost(&mut self) -> Step {
        let Some(company) = self.office.company.clone() else { return Ok(()) };
        let mut peeks = BTreeMap::new();
        for (n, phone) in self.phones.iter().enumerate().filter(|(_, phone)| !phone.wiped) {
            let replica = phone
                .peek()
                .map_err(|e| Violation { invariant: "a_disk_can_be_read", detail: e.to_string() })?;
            peeks.insert(n, replica);
        }
        let held = self.held_hashes()?;
        let made: Vec<(Hash32, DocId, Fate)> =
            self.ledger.made.iter().map(|(h, m)| (*h, m.doc, m.fate)).collect();
        let mut docs: BTreeMap<DocId, Option<Doc>> = BTreeMap::new();
        for (hash, doc, fate) in made {
            let stored = match docs.entry(doc) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(new) => new.insert(load(&company, doc)?),
            };
            let there = stored.as_ref().is_some_and(|stored| stored.contains(&hash));
            // An answer may still be on its way to a phone that waits: what it will say is lost too.
            if there || held.contains_key(&hash) || matches!(fate, Fate::Refused | Fate::LostWithPhone) {
                continue;
            }
            let mut holders = Vec::new();
            for (n, replica) in &mut peeks {
                if replica.load(doc).is_ok_and(|doc| doc.contains(&hash)) {
                    holders.push((*n, self.phones[*n].generation));
                }
            }
            if fate != Fate::Waiting {
                self.tally.add("lost by a restore", 1);
            }
            let known = self.ledger.lost.entry(hash).or_default();
            // Whoever held it at any restore since, and was not itself set back, owes it.
            known.extend(holders);
        }
        Ok(())
    }

    /// A wiped phone holds nothing, and everything it had was heard unless it was stolen. A device is heard once: of one that was cloned
    /// the copy that came first.
    pub(super) fn check_wiped(&mut self, n: usize) -> Step {
        let device = self.phones[n].device;
        // The server may have died right after it wrote the status, and nobody noted it.
        let row = self.office.company.as_ref().and_then(|company| company.device(device).ok());
        let stolen = self.office.tombstones.get(&device) == Some(&DeviceStatus::Stolen)
            || row.is_some_and(|row| row.status == DeviceStatus::Stolen)
            || self.office.farewells.get(&device).is_some_and(|first| *first != n);
        for (hash, made) in &mut self.ledger.made {
            if made.phone == n && made.fate == Fate::Waiting {
                if !stolen {
                    return violated(
                        "nothing_dropped",
                        format!("{hash} was wiped with phone {n} before it was heard"),
                    );
                }
                made.fate = Fate::LostWithPhone;
            }
        }
        self.ledger.replaced(n);
        let rows = self.phones[n].store.snapshot();
        match rows.rows().keys().find(|key| !key.starts_with(b"!")) {
            None => Ok(()),
            Some(key) => violated("no_unreadable_bytes", format!("phone {n} was wiped and has row {key:?}")),
        }
    }
}

/// The documents that a user may read, with the server's heads.
pub(super) fn readable<'a>(
    company: &Company,
    user: UserId,
    docs: impl Iterator<Item = &'a DocId>,
) -> Step<BTreeMap<DocId, Vec<Hash32>>> {
    let stumbled =
        |e: CompanyError| Violation { invariant: "the_office_never_stumbles", detail: e.to_string() };
    let person = company.person(user).map_err(stumbled)?;
    let mut readable = BTreeMap::new();
    for doc in docs.copied().chain([DocId::directory(), DocId::policy()]) {
        let Some(header) = company.header(doc).map_err(stumbled)? else { continue };
        if person.may(&header.access(), doc.kind().unwrap_or(DocKind::Finance), Verb::Read) {
            readable.insert(doc, header.heads);
        }
    }
    Ok(readable)
}

/// A document of the server, if it has it.
pub(super) fn load(company: &Company, doc: DocId) -> Step<Option<Doc>> {
    match company.load(doc) {
        Ok(doc) => Ok(Some(doc)),
        Err(CompanyError::Unknown { .. }) => Ok(None),
        Err(other) => violated("the_office_never_stumbles", other.to_string()),
    }
}
