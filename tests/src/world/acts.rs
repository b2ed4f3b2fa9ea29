//! What people do on their phones. Weighted, with few fields and few leads, so that they collide.

use fieldbook_core::document::{Edit, EditError, NoClocks, Value, resolution};
use fieldbook_core::ids::{DocId, DocKind, EntryId};
use fieldbook_core::model::{Tag, Visit};
use fieldbook_core::replica::{DocEdits, ReplicaError};
use fieldbook_core::sync::message::Origin;

use super::bytes::marked;
use super::{Event, Step, World};

impl World {
    /// One act of a phone's user, and the next one's time.
    pub(super) fn phone_acts(&mut self, n: usize) -> Step {
        let pause = self.pause();
        if !self.phones[n].wiped {
            self.at(pause, Event::PhoneAct(n));
        }
        if self.phones[n].replica.is_none() || self.phones[n].wiped {
            return Ok(());
        }
        if !self.is_unlocked(n)? || !self.phones[n].writes {
            return Ok(());
        }
        let Some((what, lots)) = self.choose_edits(n)? else { return Ok(()) };
        let mut entropy = [0; 32];
        entropy.copy_from_slice(&self.dice.bytes(32));
        let undo = lots.is_empty();
        let done = self.app(n, |replica, now| {
            let act = replica.act(now, entropy)?;
            let saved =
                if undo { replica.undo(&act).map(|done| done.saved) } else { replica.edit(&act, &lots) };
            match saved {
                Ok(saved) => Ok(Some(saved)),
                Err(ReplicaError::Edit(EditError::Document(error))) => {
                    Err(ReplicaError::Row { key: "edit".into(), detail: error.to_string() })
                }
                // Nothing to do, or the text was shorter than thought: the app would not have offered it.
                Err(ReplicaError::Edit(_) | ReplicaError::NothingToUndo) => Ok(None),
                // A revoked phone that has heard of it.
                Err(ReplicaError::NotEnrolled) if replica.identity().is_ok() => Ok(None),
                Err(other) => Err(other),
            }
        })?;
        self.phones[n].acts += 1;
        if let Some(Some(saved)) = done {
            let names: Vec<String> =
                saved.iter().map(|one| format!("{} ({})", self.name(one.doc), one.outbox)).collect();
            self.tell(format!("phone {n}: {what} {}", names.join(", ")));
            self.tally.add("acts", 1);
            if self.dice.one_in(6) {
                let later = self.dice.below(3_000);
                self.at(later, Event::Nudge(n));
            } else {
                self.observe(n, &[])?;
                self.nudge(n)?;
            }
        }
        Ok(())
    }

    /// What the user does; no edits: takes the last one back.
    fn choose_edits(&mut self, n: usize) -> Step<Option<(&'static str, Vec<DocEdits>)>> {
        let leads = self.app(n, |replica, _| replica.held_of(DocKind::Lead))?;
        let Some(leads) = leads else { return Ok(None) };
        let kind = self.dice.below(100);
        if leads.is_empty() || kind < 8 {
            return self.new_lead().map(Some);
        }
        let lead = leads[self.dice.below(leads.len() as u64) as usize];
        let family = self.ledger.family(lead, &[DocId::ruling_of(lead), DocId::advancement_of(lead)]);
        let word = |world: &mut Self| marked(family, WORDS[world.dice.below(WORDS.len() as u64) as usize]);
        let one = |edit: Edit| vec![DocEdits { doc: lead, origin: None, edits: vec![edit] }];
        let chosen = match kind {
            8..=31 => {
                let field = FIELDS[self.dice.below(FIELDS.len() as u64) as usize];
                let mut value = word(self);
                if self.dice.one_in(4) {
                    // Pasted out of an e-mail: what lets a document grow until it is compacted.
                    value.push_str(&"长".repeat(LONG_CHARS));
                }
                ("sets a field of", one(Edit::Set { field: field.into(), value: value.into() }))
            }
            32..=46 => ("ticks", vec![self.tick(lead)]),
            47..=56 => {
                let visit = Visit { customer_state: word(self), next_action: word(self), ..Visit::default() };
                let entropy = self.entropy();
                let act = self.app(n, |replica, now| replica.act(now, entropy))?;
                let Some(act) = act else { return Ok(None) };
                ("logs a visit to", vec![DocEdits { doc: lead, origin: None, edits: visit.edits(&act) }])
            }
            57..=64 => {
                let length =
                    self.app(n, |replica, _| Ok(replica.load(lead)?.text("notes").chars().count()))?;
                let Some(length) = length else { return Ok(None) };
                let at = self.dice.below(length as u64 + 1) as usize;
                let delete = (self.dice.below(4) as usize).min(length - at);
                (
                    "writes into the notes of",
                    one(Edit::Splice { text: "notes".into(), at, delete, insert: word(self) }),
                )
            }
            65..=70 => {
                let key = TAGS[self.dice.below(TAGS.len() as u64) as usize].to_owned();
                let edit = if self.dice.one_in(3) {
                    Edit::RemoveElement { set: "tags".into(), key }
                } else {
                    fieldbook_core::model::tag_edit(&key, &Tag { expires_ms: Some(self.now_ms) })
                };
                ("tags", one(edit))
            }
            71..=75 => ("works on the contacts of", one(self.contact(n, lead, family)?)),
            76..=77 => match self.app(n, |replica, _| replica.held_of(DocKind::Account))?.unwrap_or_default()
            {
                accounts if accounts.is_empty() => self.account(n)?,
                accounts => {
                    let account = accounts[self.dice.below(accounts.len() as u64) as usize];
                    let value = account.to_string().into();
                    ("names the customer of", one(Edit::Set { field: "account".into(), value }))
                }
            },
            78..=84 => ("plans a visit:", vec![self.appointment(n, lead)]),
            85..=87 => {
                let deleted = !self.dice.one_in(3);
                ("deletes or revives", one(Edit::Set { field: "deleted".into(), value: deleted.into() }))
            }
            88..=91 => ("takes back the last edit:", Vec::new()),
            92..=95 => {
                let edit = Edit::Set { field: FIELDS[0].into(), value: word(self).into() };
                let lots = vec![
                    DocEdits { doc: lead, origin: None, edits: vec![edit] },
                    self.tick(lead),
                    self.appointment(n, lead),
                ];
                ("does three things at once:", lots)
            }
            96..=97 => match self.choice(n, lead)? {
                Some(edit) => ("resolves a conflict of", one(edit)),
                None => return Ok(None),
            },
            98 => self.account(n)?,
            // Only a broken app would: the server alone writes rulings.
            _ => {
                let ruling = DocId::ruling_of(lead);
                let value = Value::Text(self.phones[n].user.to_string());
                let edits = vec![Edit::Set { field: "owner".into(), value }];
                ("forges", vec![DocEdits { doc: ruling, origin: Some(origin_of(lead)), edits }])
            }
        };
        Ok(Some(chosen))
    }

    fn entropy(&mut self) -> [u8; 32] {
        let mut entropy = [0; 32];
        entropy.copy_from_slice(&self.dice.bytes(32));
        entropy
    }

    fn new_lead(&mut self) -> Step<(&'static str, Vec<DocEdits>)> {
        let lead = self.fresh_doc(DocKind::Lead);
        let family = self.ledger.family(lead, &[DocId::ruling_of(lead), DocId::advancement_of(lead)]);
        let set = |field: &str, value: String| Edit::Set { field: field.into(), value: value.into() };
        let edits = vec![
            set("customer_name", marked(family, "医院")),
            set("contact_phone", marked(family, "138")),
            set("need", "采购".into()),
        ];
        let mut lots = vec![DocEdits { doc: lead, origin: None, edits }];
        if self.dice.one_in(3) {
            lots.push(self.tick(lead));
        }
        Ok(("creates", lots))
    }

    pub(super) fn fresh_doc(&mut self, kind: DocKind) -> DocId {
        let mut random = [0; 16];
        random.copy_from_slice(&self.dice.bytes(16));
        DocId::fresh(kind, EntryId(random))
    }

    fn tick(&mut self, lead: DocId) -> DocEdits {
        let row = ["decision_maker", "budget_approval", "next_meeting"][self.dice.below(3) as usize];
        let value = Value::Bool(self.dice.one_in(2));
        let edits = vec![Edit::SetIn { field: "ticks".into(), key: row.into(), value }];
        DocEdits { doc: DocId::advancement_of(lead), origin: Some(origin_of(lead)), edits }
    }

    fn contact(&mut self, n: usize, lead: DocId, family: usize) -> Step<Edit> {
        let known = self.app(n, |replica, _| Ok(replica.load(lead)?.all_records("contacts", &NoClocks)))?;
        let known: Vec<EntryId> = known.unwrap_or_default().into_keys().collect();
        let name = Value::from(marked(family, "院长"));
        if known.is_empty() || self.dice.one_in(2) {
            let mut id = [0; 16];
            id.copy_from_slice(&self.dice.bytes(16));
            let values = [("name".to_owned(), name)].into();
            return Ok(Edit::AddRecord { field: "contacts".into(), id: EntryId(id), values });
        }
        let id = known[self.dice.below(known.len() as u64) as usize];
        let (name, value) = match self.dice.below(3) {
            0 => ("removed", Value::Bool(self.dice.one_in(2))),
            1 => ("attitude", Value::from(["支持", "观望", "反对"][self.dice.below(3) as usize])),
            _ => ("name", name),
        };
        Ok(Edit::SetRecord { field: "contacts".into(), id, name: name.into(), value })
    }

    /// An entry of the user's own calendar; it names the lead by id alone.
    fn appointment(&mut self, n: usize, lead: DocId) -> DocEdits {
        let owner = self.phones[n].user;
        let month = ["2026-02", "2026-03"][self.dice.below(2) as usize];
        let doc = DocId::calendar_of(owner, month);
        let family = self.ledger.family(doc, &[]);
        let mut id = [0; 16];
        id.copy_from_slice(&self.dice.bytes(16));
        let values = [
            ("lead".to_owned(), Value::Text(lead.to_string())),
            ("day".to_owned(), Value::Text(format!("{month}-1{}", self.dice.below(9)))),
            ("purpose".to_owned(), Value::Text(marked(family, "确认场地"))),
        ];
        let edits = vec![Edit::AddRecord { field: "entries".into(), id: EntryId(id), values: values.into() }];
        DocEdits { doc, origin: Some(Origin { parent: owner.0.to_vec().into(), key: month.into() }), edits }
    }

    fn choice(&mut self, n: usize, lead: DocId) -> Step<Option<Edit>> {
        let conflicts = self.app(n, |replica, _| Ok(replica.load(lead)?.conflicts(&NoClocks)))?;
        let Some(conflict) = conflicts.and_then(|all| all.into_iter().next()) else { return Ok(None) };
        let choice = self.dice.below(conflict.values.len() as u64) as usize;
        Ok(resolution(&conflict, choice))
    }

    fn account(&mut self, n: usize) -> Step<(&'static str, Vec<DocEdits>)> {
        let known = self.app(n, |replica, _| replica.held_of(DocKind::Account))?.unwrap_or_default();
        let doc = match known.first() {
            Some(doc) if self.dice.one_in(2) => *doc,
            _ => self.fresh_doc(DocKind::Account),
        };
        let family = self.ledger.family(doc, &[]);
        let name = marked(family, WORDS[self.dice.below(WORDS.len() as u64) as usize]);
        let edits = vec![Edit::Set { field: "name".into(), value: name.into() }];
        Ok(("names", vec![DocEdits { doc, origin: None, edits }]))
    }
}

fn origin_of(lead: DocId) -> Origin {
    Origin { parent: lead.0.to_vec().into(), key: String::new() }
}

/// Few, so that two people write the same one.
pub(super) const FIELDS: [&str; 3] = ["next_action", "brand", "customer_state"];
const WORDS: [&str; 5] = ["约院长", "看场地", "报预算", "送资料", "再联系"];
/// Three of these outgrow what a document may carry behind its snapshot.
const LONG_CHARS: usize = 1_500;
const TAGS: [&str; 2] = ["重点", "招标"];
