//! Talks and what follows from them (C18, C31, C36, C39, C59), and the words of leaders (C28). What is proposed comes from the rules; what is
//! written is one act each.

use fieldbook_core::document::Edit;
use fieldbook_core::ids::{DocId, EntryId};
use fieldbook_core::model::{Approval, Event, Signal, Todo, Visit, answer_edit, tick_edit};
use fieldbook_core::policy::{Policy, SignalKind};
use fieldbook_core::replica::{DocEdits, Replica};
use fieldbook_core::rules::response;
use fieldbook_core::rules::talk::{self, StateChange, assess_state_change, loss_key, plan_end_of_talk};
use fieldbook_core::time::Moment;
use jiff::civil::Date;

use super::Fieldbook;
use super::judge::{Held, in_force, said};
use super::leads::check_held;
use super::log::logged;
use crate::error::Error;
use crate::records::{EndOfTalk, FinishedTalk, Talk, TalkPlan, TalkStart};
use crate::words;

impl Fieldbook {
    /// 本次沟通结束 (C31): what is proposed after a talk in which this was said. Nothing is written; [`Fieldbook::finish_talk`] does that.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Locked`], [`Error::Undetermined`].
    pub fn end_of_talk(&self, lead: DocId, text: &str) -> Result<EndOfTalk, Error> {
        self.shared.read(|replica, now| {
            let held = Held::load(&self.shared, replica, lead, now)?;
            let verdict = plan_end_of_talk(&held.facts(), text);
            let plan = said(verdict.says)?;
            let (customer_state, word) = plan.state.unzip();
            Ok::<_, Error>(EndOfTalk {
                policy: verdict.policy,
                next_contact: plan.next_contact.to_string(),
                todo: plan.todo,
                customer_state,
                word,
                talk_packs: plan.talk_packs,
            })
        })
    }

    /// Logs a talk, makes the todo for the next contact and sets 客户状态, in one act that [`Fieldbook::undo`] takes back as one.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a visit that says nothing, a day that is none, and a next contact without a todo.
    pub fn finish_talk(&self, lead: DocId, plan: &TalkPlan) -> Result<FinishedTalk, Error> {
        let todo = plan.next_contact.as_deref().map(|day| next_todo(day, &plan.todo)).transpose()?;
        let state = plan.customer_state.as_deref().map(str::trim).filter(|state| !state.is_empty());
        if let Talk::Visit { visit } = &plan.talk {
            super::log::check_visit(&with_state(visit, state))?;
        }
        self.shared.act(|replica, act| {
            check_held(replica, lead)?;
            let mut edits = match &plan.talk {
                Talk::Visit { visit } => with_state(visit, state).edits(act),
                Talk::Touch { touch } => {
                    let set = |state: &str| Edit::Set { field: "customer_state".into(), value: state.into() };
                    std::iter::once(Event::Touch(touch.clone()).log(act)).chain(state.map(set)).collect()
                }
            };
            let entry = logged(&edits);
            let todo = todo.map(|todo| (act.fresh_id(), todo));
            edits.extend(todo.iter().map(|(id, todo)| todo.add("todos", *id)));
            let finished = FinishedTalk { entry, todo: todo.map(|(id, _)| id) };
            Ok((finished, vec![DocEdits::of(lead, edits)]))
        })
    }

    /// Whether a purpose of the calendar says nothing (C59): 「沟通」 does, 「确认CT机安装场地尺寸」 does not.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`], [`Error::Undetermined`].
    pub fn is_vague_purpose(&self, text: &str) -> Result<bool, Error> {
        self.shared.with(|replica, now| {
            replica.identity()?;
            self.by_policy(replica, now, |policy| Ok(talk::is_vague(policy, text)))
        })
    }

    /// Whether 沟通中 may be set by hand (C36): what shows that there was a talk, or the refusal.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Locked`], [`Error::Undetermined`].
    pub fn may_start_talk(&self, lead: DocId) -> Result<TalkStart, Error> {
        self.shared.read(|replica, now| {
            let held = Held::load(&self.shared, replica, lead, now)?;
            let refusal = || words::sentence("no_talk", self.shared.language).to_owned();
            Ok::<_, Error>(match said(assess_state_change(&held.facts()).says)? {
                StateChange::Shown(entry, first_sentence) => {
                    TalkStart { shown_by: Some(entry), first_sentence, refusal: String::new() }
                }
                StateChange::Refused => {
                    TalkStart { shown_by: None, first_sentence: String::new(), refusal: refusal() }
                }
            })
        })
    }

    /// Ticks or unticks a question of the loss predictor (C39), by its id in the policy.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for a question that the policy does not ask, [`Error::Undetermined`].
    pub fn tick_loss(&self, lead: DocId, tick: &str, ticked: bool) -> Result<(), Error> {
        self.write_by_policy(lead, |policy| {
            let asked = policy.scores.loss.ticks.iter().any(|known| known.id == tick);
            asked.then(|| vec![tick_edit(&loss_key(tick), ticked)]).ok_or_else(|| no_such("loss tick", tick))
        })
    }

    /// Answers a question of the week (C7), by the key that the judgement gave it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for a key of none of the policy's questions, [`Error::Undetermined`].
    pub fn answer_question(&self, lead: DocId, key: &str, text: &str) -> Result<(), Error> {
        self.write_by_policy(lead, |policy| {
            let id = key.split_once('/').map(|(_, id)| id).unwrap_or_default();
            let asked = policy.intake.questions.iter().any(|question| question.id == id);
            asked.then(|| vec![answer_edit(key, text)]).ok_or_else(|| no_such("question", key))
        })
    }

    /// Logs something that the customer did or that somebody recorded (C23, C45).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a kind that the policy does not know, and for a level that is none of its kind's: a complaint
    /// carries 服务风险等级 (C42); [`Error::Undetermined`].
    pub fn log_signal(&self, lead: DocId, signal: &Signal) -> Result<EntryId, Error> {
        self.shared.with(|replica, now| {
            self.by_policy(replica, now, |policy| {
                let known = policy.signals.iter().find(|kind| kind.id == signal.kind);
                let kind = known.ok_or_else(|| no_such("signal", &signal.kind))?;
                kind.admits_level(&signal.level).then_some(()).ok_or_else(|| no_level(kind))
            })
        })?;
        self.log(lead, &Event::Signal(signal.clone()))
    }

    /// A leader's word on a proposal of somebody else (C28, C63).
    ///
    /// # Errors
    /// [`Error::LeadersOnly`] for whom the directory has as no manager; [`Error::OwnProposal`]; [`Error::NotFound`] for a lead or a
    /// proposal that is not here; [`Error::Undetermined`] without the directory; [`Error::Locked`].
    pub fn approve(
        &self,
        lead: DocId,
        proposal: EntryId,
        approved: bool,
        note: &str,
    ) -> Result<EntryId, Error> {
        self.shared.read(|replica, now| {
            let me = replica.identity()?.user;
            let held = Held::load(&self.shared, replica, lead, now)?;
            // A director reads every lead and writes only their own: what they approved would come back refused.
            if !held.manages(me)? {
                return Err(Error::LeadersOnly);
            }
            let events = held.lead.events.iter();
            let made = events.filter(|logged| matches!(logged.event, Event::StageProposal(_)));
            match made.into_iter().find(|logged| logged.id == proposal) {
                None => Err(Error::NotFound(proposal.to_string())),
                Some(made) if made.user == me => Err(Error::OwnProposal),
                Some(_) => Ok(()),
            }
        })?;
        let note = note.trim().to_owned();
        self.log(lead, &Event::Approval(Approval { proposal, approved, note }))
    }

    /// Notes that the owner has opened the lead (C18): once for each assignment, and not where a contact shows more. Whether it was noted.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Locked`].
    pub fn mark_read(&self, lead: DocId) -> Result<bool, Error> {
        let owed = self.shared.read(|replica, now| {
            let me = replica.identity()?.user;
            let held = Held::load(&self.shared, replica, lead, now)?;
            // Without a ruling nobody was assigned, and nothing is owed.
            Ok::<_, Error>(response::owes_read_mark(&held.facts(), me).unwrap_or(false))
        })?;
        if owed {
            self.shared.note(|replica, act| {
                check_held(replica, lead)?;
                Ok(((), vec![DocEdits::of(lead, vec![Event::Read {}.log(act)])]))
            })?;
        }
        Ok(owed)
    }

    /// Something by the policy in force.
    pub(super) fn by_policy<T>(
        &self,
        replica: &mut Replica,
        now: Moment,
        f: impl FnOnce(&Policy) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let now_ms = replica.now_ms(now);
        let history = self.shared.policies(replica)?;
        f(in_force(&history, now_ms)?.1)
    }

    /// Writes into the advancement table of a lead what the policy in force lets be written.
    fn write_by_policy(
        &self,
        lead: DocId,
        edits: impl FnOnce(&Policy) -> Result<Vec<Edit>, Error>,
    ) -> Result<(), Error> {
        let edits = self.shared.with(|replica, now| self.by_policy(replica, now, edits))?;
        self.edit_table(lead, edits)
    }
}

fn no_such(what: &str, id: &str) -> Error {
    Error::Invalid(format!("the policy has no {what} {id:?}"))
}

fn no_level(kind: &SignalKind) -> Error {
    Error::Invalid(if kind.levels.is_empty() {
        format!("{}: carries no level", kind.name)
    } else {
        format!("{}: the level has to be one of {}", kind.name, kind.levels.join(", "))
    })
}

/// The todo of the next contact.
fn next_todo(day: &str, title: &str) -> Result<Todo, Error> {
    let (day, title) = (day.trim(), title.trim());
    if title.is_empty() || day.parse::<Date>().is_err() {
        return Err(Error::Invalid("a next contact needs an ISO day and a todo".into()));
    }
    Ok(Todo { title: Some(title.to_owned()), due: Some(day.to_owned()), done: None })
}

/// A visit with the state that was accepted for it, unless it tells one itself.
fn with_state(visit: &Visit, state: Option<&str>) -> Visit {
    let mut visit = visit.clone();
    if let Some(state) = state.filter(|_| visit.customer_state.trim().is_empty()) {
        visit.customer_state = state.to_owned();
    }
    visit
}
