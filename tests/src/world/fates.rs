//! What befalls them: no signal, broken connections, full disks, dead batteries, wrong clocks, backups put back, thieves of time.

use fieldbook_core::company::{Incoming, Settled};
use fieldbook_core::store::Store;
use fieldbook_core::sync::message::Verdict;
use fieldbook_engines::faults::Fault;

use super::{Event, Step, Way, World, violated};

impl World {
    /// One blow, and the next one's time.
    pub(super) fn fate(&mut self) -> Step {
        let pause = 500 + self.dice.below(self.weather.calm_ms);
        self.at(pause, Event::Fate);
        let n = self.dice.below(self.phones.len() as u64) as usize;
        match self.dice.below(100) {
            0..=24 => self.signal(n),
            25..=34 => self.cut_one(),
            35..=38 => self.partition(),
            39..=45 => {
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
                self.tally.add("clocks set", 1);
                self.phones[n].clock.skew_ms = skew_ms;
            }
            67..=70 => {
                self.tell(format!("phone {n} reboots"));
                self.tally.add("reboots", 1);
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
                self.tally.add("days passed", 1);
                self.now_ms += DAY_MS as i64;
            }
            95 if self.dice.one_in(6) => {
                self.tell("everybody is on holiday");
                self.tally.add("holidays", 1);
                self.now_ms += 15 * DAY_MS as i64;
            }
            96 if self.dice.one_in(3) => return self.clone_phone(n),
            97..=98 if self.weather.server_jumps => {
                let skew_ms = self.dice.below(4 * DAY_MS) as i64 - 2 * DAY_MS as i64;
                self.tell(format!("the server's clock is set {} s off", skew_ms / 1_000));
                self.tally.add("server clocks set", 1);
                self.office.skew_ms = skew_ms;
                let (behind_ms, ahead_ms) = self.office.skews_ms;
                self.office.skews_ms = (behind_ms.min(skew_ms), ahead_ms.max(skew_ms));
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

    /// Some phones cannot reach the server for minutes, hours or days. Where the network fails one way only, whoever is connected goes on
    /// speaking, or hearing, until both ends have missed each other for long enough; nobody connects anew either way.
    fn partition(&mut self) {
        let long_ms = [600_000, 6 * 3_600_000, 3 * DAY_MS][self.dice.below(3) as usize];
        let until = self.now_ms + 60_000 + self.dice.below(long_ms) as i64;
        let deaf = [None, None, Some(Way::Up), Some(Way::Down)][self.dice.below(4) as usize];
        let first = self.dice.below(self.phones.len() as u64) as usize;
        let parted: Vec<usize> =
            (0..self.phones.len()).filter(|n| *n == first || self.dice.one_in(2)).collect();
        self.tell(format!(
            "the network parts: phones {parted:?} for {} s, {deaf:?}",
            (until - self.now_ms) / 1_000
        ));
        self.tally.add("partitions", 1);
        for n in parted {
            self.net.part(n, until);
            for conn in self.net.of(n) {
                match deaf {
                    None => self.snap(conn),
                    Some(way) if self.net.deafen(conn, way) => {
                        self.tally.add("deaf connections", 1);
                        let missed = 5_000 + self.dice.below(90_000);
                        self.at(missed, Event::Silence(conn));
                    }
                    Some(_) => {}
                }
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
        self.phones[n].shaken = None;
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
        let (doc, device, now_ms) = (push.doc, self.phones[n].device, self.server_ms());
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
