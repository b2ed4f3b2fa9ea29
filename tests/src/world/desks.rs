//! What the office does at its desks: intake, moves, corrections, decisions about held work, people who come, change and go.

use std::collections::BTreeSet;

use fieldbook_core::access::Role;
use fieldbook_core::company::{CompanyError, DeviceStatus, HeldItem, HeldState, NewLead, TeamRow, UserRow};
use fieldbook_core::document::Edit;
use fieldbook_core::ids::{DocId, DocKind};

use super::acts::FIELDS;
use super::bytes::marked;
use super::{Event, PHONES_MAX, REGION, REPS, Step, TEAMS, World, user};

impl World {
    /// One act of the office, and the next one's time.
    pub(super) fn office_acts(&mut self) -> Step {
        let pause = self.pause();
        self.at(pause, Event::OfficeAct);
        if self.office.company.is_none() {
            return Ok(());
        }
        match self.dice.below(100) {
            0..=21 => self.intake(),
            22..=51 => self.assign(),
            52..=63 => self.correct(),
            64..=79 => self.review(),
            80..=81 => self.retire(),
            82 => self.dismiss(),
            83..=86 => {
                let rep = user(1 + self.dice.below(u64::from(REPS)) as u8);
                let knows = self.phones.iter().any(|p| p.user == rep && !p.wiped);
                if self.phones.len() < PHONES_MAX && knows && !self.office.dismissed.contains(&rep) {
                    self.enrol(rep)?;
                }
                Ok(())
            }
            87..=89 => self.transfer(),
            90..=92 => self.change_manager(),
            _ => {
                if self.office.backups.len() < 4 {
                    let snapshot = self.office.store.snapshot();
                    self.tell("the office takes a backup");
                    self.office.backups.push((self.now_ms, snapshot));
                }
                Ok(())
            }
        }
    }

    fn intake(&mut self) -> Step {
        let lead = self.fresh_doc(DocKind::Lead);
        let family = self.ledger.family(lead, &[DocId::ruling_of(lead), DocId::advancement_of(lead)]);
        let owner = user(1 + self.dice.below(u64::from(REPS)) as u8);
        let pool = self.dice.one_in(8);
        let edits =
            vec![Edit::Set { field: "customer_name".into(), value: marked(family, "公立医院").into() }];
        let new = NewLead {
            id: lead,
            edits,
            owner: (!pool).then_some(owner),
            team: pool.then_some(TEAMS[0]),
            ..NewLead::default()
        };
        let now_ms = self.server_ms();
        let touched = self.office(|_, company| match company.intake(&[new], now_ms) {
            Err(CompanyError::Refused(_)) => Ok(None),
            other => other.map(Some),
        })?;
        if let Some(Some((_, touched))) = touched {
            self.tell(format!("the office takes in lead {family} for {}", if pool { 0 } else { owner.0[0] }));
            self.wake(&touched);
        }
        Ok(())
    }

    /// Any document of this kind that anybody ever made.
    fn any_doc(&mut self, kind: DocKind) -> Option<DocId> {
        let all: Vec<DocId> =
            self.ledger.docs.keys().filter(|doc| doc.kind() == Some(kind)).copied().collect();
        (!all.is_empty()).then(|| all[self.dice.below(all.len() as u64) as usize])
    }

    fn assign(&mut self) -> Step {
        let Some(lead) = self.any_doc(DocKind::Lead) else { return Ok(()) };
        let to = user(1 + self.dice.below(u64::from(REPS)) as u8);
        let (by, now_ms) = (user(super::MANAGER), self.server_ms());
        let assigned = self.office(|_, company| match company.assign(lead, to, by, "调整", now_ms) {
            // Unknown to a restored server, or for somebody who left.
            Err(CompanyError::Unknown { .. } | CompanyError::Refused(_)) => Ok(None),
            other => other.map(Some),
        })?;
        if let Some(Some(assigned)) = assigned {
            if let Some(at) = assigned.at {
                let name = self.name(lead);
                self.tell(format!("the office gives {name} to user {} at {at}", to.0[0]));
                self.tally.add("moves", 1);
            }
            self.wake(&assigned.touched);
        }
        Ok(())
    }

    fn correct(&mut self) -> Step {
        let Some(lead) = self.any_doc(DocKind::Lead) else { return Ok(()) };
        let family = self.ledger.family(lead, &[]);
        let field = FIELDS[self.dice.below(FIELDS.len() as u64) as usize];
        let edits = [Edit::Set { field: field.into(), value: marked(family, "更正").into() }];
        let now_ms = self.server_ms();
        let touched = self.office(|_, company| match company.edit_as_office(lead, &edits, now_ms) {
            Err(CompanyError::Unknown { .. }) => Ok(None),
            other => other.map(Some),
        })?;
        if let Some(Some(touched)) = touched {
            self.tell(format!("the office corrects lead {family}"));
            self.wake(&touched);
        }
        Ok(())
    }

    /// Somebody decides about held work.
    fn review(&mut self) -> Step {
        let items = self.office(|_, company| company.held(None, 1_000))?.unwrap_or_default();
        let is_open =
            |item: &HeldItem| item.state == HeldState::Waiting && !self.office.refused.contains(&item.id);
        let waiting: Vec<_> = items.into_iter().filter(is_open).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let item = &waiting[self.dice.below(waiting.len() as u64) as usize];
        let (name, now_ms) = (self.name(item.doc), self.server_ms());
        if self.dice.one_in(4) {
            let discarded = self.office(|_, company| company.discard_held(&item.id, now_ms))?;
            if discarded.is_some() {
                self.tell(format!("the office discards held work on {name}"));
                self.tally.add("discarded", 1);
            }
            return Ok(());
        }
        let accepted =
            self.office(|office, company| match company.accept_held(&item.id, &mut office.gate, now_ms) {
                Err(CompanyError::Refused(why)) => Ok(Err(why)),
                other => other.map(Ok),
            })?;
        match accepted {
            Some(Ok(touched)) => {
                self.tell(format!("the office accepts held work on {name}"));
                self.tally.add("accepted", 1);
                self.wake(&touched);
            }
            Some(Err(why)) => {
                self.tell(format!("the office cannot accept held work on {name}: {why}"));
                self.tally.add("beyond merging", 1);
                self.office.refused.insert(item.id.clone());
            }
            None => {}
        }
        Ok(())
    }

    /// A phone is handed in or stolen; two stay in use.
    fn retire(&mut self) -> Step {
        let active = |world: &Self, n: usize| {
            !world.phones[n].wiped && !world.office.tombstones.contains_key(&world.phones[n].device)
        };
        let all: Vec<usize> = (1..self.phones.len()).filter(|n| active(self, *n)).collect();
        if all.len() < 2 {
            return Ok(());
        }
        let n = all[self.dice.below(all.len() as u64) as usize];
        let status = if self.dice.one_in(3) { DeviceStatus::Stolen } else { DeviceStatus::Revoked };
        let (device, now_ms) = (self.phones[n].device, self.server_ms());
        self.office.tombstones.insert(device, status);
        self.tell(format!("the office marks phone {n} {status:?}"));
        self.tally.add("retired", 1);
        let touched = self.office(|office, company| office.decide_again(company, now_ms))?;
        self.send_away(device);
        self.wake(&touched.unwrap_or_default());
        Ok(())
    }

    /// A rep leaves the company: the phones are treated as revoked. One at least stays.
    fn dismiss(&mut self) -> Step {
        let rep = user(1 + self.dice.below(u64::from(REPS)) as u8);
        let mine = |phone: &super::phone::Phone| phone.user == rep && !phone.wiped;
        let others = self.phones.iter().any(|phone| !mine(phone) && phone.writes && !phone.wiped);
        if self.office.dismissed.len() + 1 >= usize::from(REPS) || !others || !self.dice.one_in(3) {
            return Ok(());
        }
        self.office.dismissed.insert(rep);
        let now_ms = self.server_ms();
        let Some(touched) = self.office(|office, company| office.decide_again(company, now_ms))? else {
            // The server died over it; whoever did it does it again when it starts.
            return Ok(());
        };
        self.tell(format!("user {} leaves the company", rep.0[0]));
        self.tally.add("dismissed", 1);
        let leaving: BTreeSet<_> = self.phones.iter().filter(|p| mine(p)).map(|p| p.device).collect();
        for device in leaving {
            self.send_away(device);
        }
        self.wake(&touched);
        Ok(())
    }

    /// Everything that still waits for a person is decided.
    pub(super) fn clear_desk(&mut self) -> Step {
        while self.office(|_, company| company.held(None, 1_000))?.is_some_and(|items| {
            items
                .iter()
                .any(|item| item.state == HeldState::Waiting && !self.office.refused.contains(&item.id))
        }) {
            self.review()?;
        }
        Ok(())
    }

    /// A rep changes teams; whoever asks the office twice gets it once.
    fn transfer(&mut self) -> Step {
        let rep = user(1 + self.dice.below(u64::from(REPS)) as u8);
        let team = [TEAMS[0], TEAMS[1], REGION][self.dice.below(3) as usize];
        if self.office.dismissed.contains(&rep) {
            return Ok(());
        }
        let row =
            UserRow { name: format!("用户{}", rep.0[0]), role: Role::Rep, team: Some(team), active: true };
        let now_ms = self.server_ms();
        if let Some(touched) = self.office(|_, company| company.put_user(rep, row, now_ms))? {
            self.tell(format!("user {} moves to team {team}", rep.0[0]));
            self.wake(&touched);
        }
        Ok(())
    }

    /// The manager of the first team gets, or loses, the second; or is a manager no longer, or again.
    fn change_manager(&mut self) -> Step {
        let manager = user(super::MANAGER);
        let one_in_two = self.dice.one_in(2);
        let now_ms = self.server_ms();
        let touched = if self.dice.one_in(3) {
            let role = if one_in_two { Role::Rep } else { Role::Manager };
            let row = UserRow { name: "用户9".into(), role, team: Some(TEAMS[0]), active: true };
            self.office(|_, company| company.put_user(manager, row, now_ms))?
        } else {
            let leaders = if one_in_two { vec![manager] } else { Vec::new() };
            let row = TeamRow { name: "1组".into(), parent: Some(REGION), leaders };
            self.office(|_, company| company.put_team(TEAMS[1], row, now_ms))?
        };
        if let Some(touched) = touched {
            self.tally.add("managers changed", 1);
            self.tell("what the manager leads changes");
            let managers: Vec<_> =
                self.phones.iter().filter(|p| p.user == manager).map(|p| p.device).collect();
            managers.into_iter().for_each(|device| self.send_away(device));
            self.wake(&touched);
        }
        Ok(())
    }
}
