//! The end of a run: nothing breaks any more, everybody connects, and everything has to come right within a bounded number of events.

use std::collections::BTreeMap;

use fieldbook_core::company::DeviceStatus;
use fieldbook_core::document::{Doc, NoClocks};
use fieldbook_core::ids::DocId;
use fieldbook_core::sync::message::Fill;

use super::invariants::load;
use super::ledger::Fate;
use super::{PEACE_EVENTS, Step, Violation, World, is_idle, violated};

impl World {
    /// Lets peace break out, twice: once out of whatever is going on, and once more after everybody hung up, when a reconnect has to
    /// bring nothing.
    pub(super) fn make_peace(&mut self) -> Step {
        self.tell("peace");
        self.peace = true;
        self.agenda.retain(|_, event| !is_idle(event));
        self.net.heal();
        self.office.store.repair();
        for n in 0..self.phones.len() {
            self.phones[n].store.repair();
            self.phones[n].signal = true;
            self.redial(n);
        }
        self.rest()?;
        self.nothing_pending_at_the_end()?;
        self.tell("the office decides what waits");
        self.clear_desk()?;
        self.rest()?;
        self.nothing_pending_at_the_end()?;
        self.tell("everybody hangs up and connects again");
        let deltas = self.tally.counts.get("deltas").copied();
        for n in 0..self.phones.len() {
            self.hang_up(n);
            self.redial(n);
        }
        self.rest()?;
        self.nothing_pending_at_the_end()?;
        if self.tally.counts.get("deltas").copied() != deltas {
            return violated("a_synced_phone_gets_nothing_again", "a reconnect brought documents");
        }
        self.check_stored()?;
        self.nothing_dropped()?;
        self.lost_came_back()?;
        self.headers_tell_the_truth()?;
        self.tally.add("worlds", 1);
        Ok(())
    }

    /// Runs until nothing is on the agenda.
    fn rest(&mut self) -> Step {
        for _ in 0..PEACE_EVENTS {
            if !self.next()? {
                return Ok(());
            }
        }
        violated("nothing_pending_at_the_end", format!("still busy after {PEACE_EVENTS} events of peace"))
    }

    fn nothing_pending_at_the_end(&mut self) -> Step {
        for n in 0..self.phones.len() {
            if self.phones[n].wiped {
                continue;
            }
            let retired = self.office.tombstones.contains_key(&self.phones[n].device);
            let Some(replica) = self.phones[n].replica.as_ref() else {
                return violated("nothing_pending_at_the_end", format!("phone {n} does not run"));
            };
            let (waiting, row) = (replica.unanswered(), replica.sync_row().clone());
            if retired {
                return violated(
                    "nothing_pending_at_the_end",
                    format!("phone {n} was retired and is not wiped"),
                );
            }
            if waiting > 0 {
                return violated(
                    "nothing_pending_at_the_end",
                    format!("phone {n} waits for {waiting} answers"),
                );
            }
            if let Some(state) = row.channels.iter().find(|state| state.fill != Fill::Complete) {
                return violated("nothing_pending_at_the_end", format!("phone {n}: {state:?}"));
            }
            if !self.is_settled(n) {
                let line = self.phones[n].line.as_ref().map(|line| &line.link);
                return violated(
                    "nothing_pending_at_the_end",
                    format!("phone {n} does not settle: {line:?}"),
                );
            }
            self.phones[n].checked = (0, 0);
            self.check_phone(n)?;
        }
        Ok(())
    }

    /// Every change that reached a phone's disk is merged, held, or kept by its phone as refused.
    fn nothing_dropped(&mut self) -> Step {
        let held = self.held_hashes()?;
        let made: Vec<_> = self.ledger.made.iter().map(|(hash, made)| (*hash, made.clone())).collect();
        for (hash, made) in made {
            let n = made.phone;
            let stolen = self.office.tombstones.get(&self.phones[n].device) == Some(&DeviceStatus::Stolen);
            let lost = self.ledger.lost.contains_key(&hash);
            let safe = match made.fate {
                Fate::LostWithPhone => true,
                Fate::Waiting => stolen,
                Fate::Durable => true,
                Fate::Held => {
                    lost || held.contains_key(&hash)
                        || self.kept_bytes(n, made.doc, made.number)
                        || self.server_has(made.doc, &hash)?
                }
                // Only forgeries are refused; their words go when the document leaves the phone.
                Fate::Refused => true,
            };
            if !safe {
                let name = self.name(made.doc);
                let number = made.number;
                return violated(
                    "nothing_dropped",
                    format!("entry {number} of {name} by phone {n}, last told {:?}, is nowhere", made.fate),
                );
            }
        }
        Ok(())
    }

    /// What a restored server lost is back, when somebody who held it has synced since.
    fn lost_came_back(&mut self) -> Step {
        let held = self.held_hashes()?;
        let lost: Vec<_> = self.ledger.lost.iter().map(|(hash, holders)| (*hash, holders.clone())).collect();
        for (hash, holders) in lost {
            let Some(made) = self.ledger.made.get(&hash).cloned() else { continue };
            if self.server_has(made.doc, &hash)? || held.contains_key(&hash) {
                continue;
            }
            if made.fate != Fate::Durable {
                continue;
            }
            let owes = |(n, generation): &&(usize, u64)| {
                self.phones[*n].generation == *generation
                    && !self.office.tombstones.contains_key(&self.phones[*n].device)
            };
            if let Some((n, _)) = holders.iter().find(owes) {
                let name = self.name(made.doc);
                return violated(
                    "acknowledged_is_stored",
                    format!(
                        "{hash} of {name} was lost by the restore, and phone {n} held it and has synced since"
                    ),
                );
            }
        }
        Ok(())
    }

    /// What the server knows of its documents without loading them is what loading them tells.
    fn headers_tell_the_truth(&mut self) -> Step {
        let Some(company) = self.office.company.clone() else { return Ok(()) };
        let stumbled = |e: fieldbook_core::company::CompanyError| Violation {
            invariant: "the_office_never_stumbles",
            detail: e.to_string(),
        };
        let docs: Vec<DocId> = self.ledger.docs.keys().copied().collect();
        let mut ties = BTreeMap::new();
        for doc in docs {
            let loaded: Option<Doc> = load(&company, doc)?;
            let Some((loaded, header)) = loaded.zip(company.header(doc).map_err(stumbled)?) else { continue };
            self.tally.add("conflicts", loaded.conflicts(&NoClocks).len() as u64);
            self.tally.add("links to a customer", u64::from(header.link.is_some()));
            self.check_times_of(doc)?;
            let name = self.name(doc);
            if loaded.heads() != header.heads || loaded.change_count() != header.changes {
                return violated("headers_tell_the_truth", name);
            }
            if let Some(family) = self.ledger.docs.get(&doc) {
                let access = header.access();
                if ties.entry(*family).or_insert_with(|| access.clone()) != &access {
                    return violated("a_family_stays_together", format!("{name} is tied to {access:?}"));
                }
            }
        }
        Ok(())
    }
}
