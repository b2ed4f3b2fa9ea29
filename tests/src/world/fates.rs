//! What befalls them: no signal, broken connections, full disks, dead batteries, wrong clocks, backups put back, thieves of time.

use fieldbook_core::company::{Incoming, Settled};
use fieldbook_core::store::Store;
use fieldbook_core::sync::message::Verdict;
use fieldbook_engines::faults::Fault;

use super::{Event, Step, World, violated};

impl World {
    /// One blow, and the next one's time.
    pub(super) fn fate(&mut self) -> Step {
        let pause = 500 + self.dice.below(self.weather.calm_ms);
        self.at(pause, Event::Fate);
        let n = self.dice.below(self.phones.len() as u64) as usize;
        match self.dice.below(100) {
            0..=24 => self.signal(n),
            25..=34 => self.cut_one(),
            35..=37 => {
                self.tell("the network parts");
                self.net.whole().into_iter().for_each(|conn| self.snap(conn));
            }
            38..=45 => {
                let (fault, ahead) = self.fault();
                self.tell(format!("the server's disk: {fault:?} in {ahead} writes"));
                self.office.store.plan_ahead(ahead, fault);
            }
            46..=47 if self.office.company.is_some() => {
                self.tell("the server is killed");
                self.server_down();
            }
            48..=57 => {
                let (fault, ahead) = self.fault();
                self.tell(format!("phone {n}'s disk: {fault:?} in {ahead} writes"));
                self.phones[n].store.plan_ahead(ahead, fault);
            }
            58..=61 if self.phones[n].replica.is_some() => {
                self.tell(format!("phone {n} is killed"));
                self.phone_down(n);
            }
            62..=66 => {
                let skew_ms = self.dice.below(8 * DAY_MS) as i64 - 4 * DAY_MS as i64;
                self.tell(format!("phone {n}'s wall clock is set {} s off", skew_ms / 1_000));
                self.phones[n].clock.skew_ms = skew_ms;
            }
            67..=70 => {
                self.tell(format!("phone {n} reboots"));
                self.phones[n].clock.boot = self.dice.roll();
                self.phones[n].clock.booted_ms = self.now_ms;
                if self.phones[n].replica.is_some() {
                    self.phone_down(n);
                }
            }
            71..=78 if self.phones[n].backups.len() < BACKUPS && !self.phones[n].wiped => {
                let snapshot = self.phones[n].store.snapshot();
                self.tell(format!("phone {n} is backed up"));
                self.phones[n].backups.push(snapshot);
            }
            79..=81 => return self.restore_phone(n),
            82..=83 if !self.office.backups.is_empty() => {
                let backup = self.dice.below(self.office.backups.len() as u64) as usize;
                return self.restore_server(backup);
            }
            84..=93 => return self.replay(),
            94 => {
                self.tell("a day passes");
                self.now_ms += DAY_MS as i64;
            }
            _ => {}
        }
        Ok(())
    }

    fn fault(&mut self) -> (Fault, u64) {
        let faults = [Fault::Crash, Fault::CrashAfterFlush, Fault::DiskFull, Fault::ReadOnly];
        (faults[self.dice.below(4) as usize], self.dice.below(6))
    }

    fn signal(&mut self, n: usize) {
        let signal = !self.phones[n].signal;
        self.phones[n].signal = signal;
        if signal {
            self.tell(format!("phone {n} finds a signal"));
            self.redial(n);
        } else {
            self.tell(format!("phone {n} loses its signal"));
            if let Some(line) = &self.phones[n].line {
                self.snap(line.conn);
            }
        }
    }

    fn cut_one(&mut self) {
        let whole = self.net.whole();
        if !whole.is_empty() {
            let conn = whole[self.dice.below(whole.len() as u64) as usize];
            self.snap(conn);
        }
    }

    /// Puts an old copy of a phone's disk back: the app knows nothing of it.
    fn restore_phone(&mut self, n: usize) -> Step {
        if self.phones[n].backups.is_empty() || self.phones[n].wiped {
            return Ok(());
        }
        let which = self.dice.below(self.phones[n].backups.len() as u64) as usize;
        let backup = self.phones[n].backups[which].clone();
        self.tell(format!("phone {n} is restored from backup {which}"));
        self.tally.add("phone restores", 1);
        self.phones[n].replica = None;
        self.hang_up(n);
        self.phones[n].store.restore(backup);
        self.phones[n].generation += 1;
        self.phones[n].checked = (0, 0);
        self.ledger.set_back(n, self.phones[n].store.as_ref())?;
        self.phone_up(n)
    }

    /// `replay_changes_nothing`: something that was pushed before arrives once more.
    fn replay(&mut self) -> Step {
        if self.ledger.pushes.is_empty() || self.office.company.is_none() {
            return Ok(());
        }
        let at = self.dice.below(self.ledger.pushes.len() as u64) as usize;
        let (n, push) = self.ledger.pushes[at].clone();
        if !self.ledger.is_answered(&push) {
            return Ok(());
        }
        let (doc, device, now_ms) = (push.doc, self.phones[n].device, self.now_ms);
        let heads = |world: &mut Self| {
            world.office(|_, company| {
                Ok((company.header(doc)?.map(|header| header.heads), company.store().head()?))
            })
        };
        let decided = self.held_hashes()?;
        let Some(before) = heads(self)? else { return Ok(()) };
        let merged = self
            .ledger
            .hashes(&push)
            .iter()
            .map(|hash| self.server_has(doc, hash))
            .collect::<Step<Vec<_>>>()?;
        let answered = self.office(|office, company| {
            let who = match company.principal(device) {
                Ok(who) => who,
                Err(fieldbook_core::company::CompanyError::Unknown { .. }) => return Ok(None),
                Err(other) => return Err(other),
            };
            let incoming = [Incoming { who, push: push.clone() }];
            let prepared = company.prepare(doc, &incoming, &mut office.gate, now_ms)?;
            let outcome = company.store().commit_one(prepared.batch.clone())?;
            Ok(Some(prepared.settle(outcome)))
        })?;
        let Some(Some(Settled::Done { answers, .. })) = answered else { return Ok(()) };
        self.tally.add("replays", 1);
        let name = self.name(doc);
        if heads(self)?.is_some_and(|after| after != before) {
            return violated(
                "replay_changes_nothing",
                format!("push {} of {name} by phone {n} moved it", push.id),
            );
        }
        if self.held_hashes()? != decided && self.ledger.all_told(&push) {
            return violated(
                "replay_changes_nothing",
                format!("push {} of {name} undid a decision", push.id),
            );
        }
        let durable = answers.iter().all(|answer| matches!(answer.verdict, Verdict::Durable { .. }));
        if merged.iter().all(|merged| *merged) && !durable {
            let verdict = answers.first().map(|answer| &answer.verdict);
            return violated(
                "replay_changes_nothing",
                format!(
                    "push {} of {name} by phone {n} is merged, and its replay answered {verdict:?}",
                    push.id
                ),
            );
        }
        Ok(())
    }
}

/// Backups kept of one phone.
const BACKUPS: usize = 3;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
