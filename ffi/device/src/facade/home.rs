//! The home page (C32, C33): what the user's own leads call for today. It reads a row a lead, kept beside the documents; of leads that
//! changed since, the row is worked out here, a few at a time, so that an edit on another thread never waits for all of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use fieldbook_core::ids::DocId;
use fieldbook_core::replica::Replica;
use fieldbook_core::rules::agenda::{ActKind, Agenda, DueAct, assess_agenda, whole_day};
use fieldbook_core::time::Moment;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Fieldbook;
use super::calendar::{self, days_ahead};
use super::judge::Held;
use super::leads::customers;
use crate::error::Error;
use crate::records::{Home, HomeCountdown, HomeReminder, HomeTask};
use crate::shared::Shared;
use crate::words::{self, Language};

impl Fieldbook {
    /// What is to be done today over the leads that are the user's, alone or jointly: the five that matter most, what is to be filled in
    /// before the next visits, and the first responses that are owed. The first call after the app was opened looks at every lead's row, a
    /// later one at those of the user; a document is loaded only of leads that changed since.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::NotEnrolled`].
    pub fn home(&self) -> Result<Home, Error> {
        while self.shared.read(|replica, now| refresh(&self.shared, replica, now))? {
            // Whoever waits for the store has a chance in between.
            std::thread::yield_now();
        }
        self.shared.read(|replica, now| {
            let (zone, day) = calendar::today(replica, now)?;
            let today = Today::new(replica.now_ms(now), day, &zone)?;
            let agendas = replica.agendas()?;
            // What hangs on the time that has passed is worked out again by and by.
            let old = agendas.iter().filter(|(_, agenda)| agenda.at_ms < today.now_ms - DAY_MS);
            let old: Vec<DocId> = old.map(|(lead, _)| *lead).take(OLD_MAX).collect();
            replica.judge_again(old);
            let visits = days_ahead(replica, day)?;
            page(replica, &today, &zone, &agendas, &visits, self.shared.language)
        })
    }
}

/// Works out the rows of some leads that changed; whether there are more.
fn refresh(shared: &Shared, replica: &mut Replica, now: Moment) -> Result<bool, Error> {
    let me = replica.identity()?.user;
    let policy = shared.policies(replica)?.at(replica.now_ms(now)).id;
    let leads = replica.unjudged(policy, SLICE)?;
    if leads.is_empty() {
        return Ok(false);
    }
    let mut agendas = Vec::with_capacity(leads.len());
    for lead in leads {
        let agenda = match Held::load(shared, replica, lead, now) {
            Ok(held) => held.is_of(me).then(|| assess_agenda(&held.facts(), me)),
            Err(Error::NotFound(_)) => None,
            Err(other) => return Err(other),
        };
        agendas.push((lead, agenda));
    }
    replica.put_agendas(agendas)?;
    Ok(true)
}

impl Held {
    /// Whether somebody works the lead: its owner, a joint owner; until there is a ruling whoever wrote it down. Deleted ones nobody does.
    pub fn is_of(&self, user: fieldbook_core::ids::UserId) -> bool {
        let works = match &self.ruling {
            Some(ruling) => ruling.fields.owner == Some(user) || ruling.joint_owners.contains(&user),
            None => self.writer == Some(user),
        };
        works && self.lead.fields.deleted != Some(true)
    }
}

/// Now, and how long today lasts.
struct Today {
    now_ms: i64,
    day: Date,
    begin_ms: i64,
    end_ms: i64,
}

impl Today {
    fn new(now_ms: i64, day: Date, zone: &TimeZone) -> Result<Self, Error> {
        let (begin_ms, end_ms) =
            whole_day(day, zone).ok_or_else(|| Error::System("the clock shows no day".into()))?;
        Ok(Self { now_ms, day, begin_ms, end_ms })
    }

    /// Whether something is to be done today. A task counts from the moment that opened it; a todo and a step have their day.
    fn calls(&self, act: &DueAct) -> bool {
        match act.kind {
            // Owed and not late yet: a countdown.
            ActKind::Response => act.due_ms < self.now_ms,
            ActKind::Step => (self.begin_ms..=self.end_ms).contains(&act.due_ms),
            ActKind::Task | ActKind::Todo => act.from_ms <= self.now_ms,
        }
    }
}

/// One thing to be done, with what it is put in order by.
struct Candidate<'a> {
    lead: DocId,
    act: &'a DueAct,
    overdue: bool,
    at_risk_fen: Option<i64>,
}

fn page(
    replica: &Replica,
    today: &Today,
    zone: &TimeZone,
    agendas: &[(DocId, Agenda)],
    visits: &BTreeMap<DocId, Date>,
    language: Language,
) -> Result<Home, Error> {
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    let mut countdowns: Vec<(DocId, &DueAct)> = Vec::new();
    let mut reminders: Vec<(Date, DocId, &Agenda)> = Vec::new();
    let mut undetermined: BTreeSet<String> = BTreeSet::new();
    for (lead, agenda) in agendas {
        for act in &agenda.acts {
            if today.calls(act) {
                let overdue = act.due_ms < today.now_ms;
                let at_risk_fen = agenda.budget_fen.filter(|_| act.at_risk);
                candidates.push(Candidate { lead: *lead, act, overdue, at_risk_fen });
            } else if act.kind == ActKind::Response {
                countdowns.push((*lead, act));
            }
        }
        let next = visits.get(lead).copied().into_iter().chain(next_contact(agenda, today, zone)).min();
        if let Some(day) = next.filter(|_| !agenda.before_next_visit.is_empty()) {
            reminders.push((day, *lead, agenda));
        }
        undetermined.extend(agenda.unknown.iter().cloned());
    }
    candidates.sort_by_key(|task| {
        (!task.overdue, Reverse(task.at_risk_fen), task.act.due_ms, task.lead, task.act.id)
    });
    countdowns.sort_by_key(|(lead, act)| (act.due_ms, *lead));
    reminders.sort_by_key(|(day, lead, _)| (*day, *lead));
    let open = candidates.len() as u32;
    candidates.truncate(TOP);
    reminders.truncate(REMINDERS_MAX);
    let shown = candidates.iter().map(|task| task.lead);
    let shown = shown.chain(countdowns.iter().map(|(lead, _)| *lead));
    let names = customers(replica, shown.chain(reminders.iter().map(|(_, lead, _)| *lead)));
    let name = |lead: &DocId| names.get(lead).cloned().unwrap_or_default();
    let task = |task: Candidate<'_>| HomeTask {
        customer_name: name(&task.lead),
        lead: task.lead,
        kind: task.act.kind,
        id: task.act.id,
        title: match task.act.kind {
            ActKind::Response => words::sentence("first_response", language).to_owned(),
            _ => task.act.title.clone(),
        },
        due_ms: task.act.due_ms,
        overdue: task.overdue,
        at_risk_text: task.at_risk_fen.map(|fen| words::at_risk(fen, language)).unwrap_or_default(),
        at_risk_fen: task.at_risk_fen,
    };
    let reminder = |(day, lead, agenda): (Date, DocId, &Agenda)| HomeReminder {
        lead,
        customer_name: name(&lead),
        day: day.to_string(),
        fields: agenda.before_next_visit.clone(),
        text: words::before_next_visit(&agenda.before_next_visit, language),
    };
    let countdown = |(lead, act): (DocId, &DueAct)| HomeCountdown {
        lead,
        customer_name: name(&lead),
        epoch: act.id,
        due_ms: act.due_ms,
        left_ms: act.due_ms - today.now_ms,
    };
    Ok(Home {
        day: today.day.to_string(),
        at_ms: today.now_ms,
        as_of_ms: replica.clock().last_contact_ms,
        top: candidates.into_iter().map(task).collect(),
        open,
        reminders: reminders.into_iter().map(reminder).collect(),
        countdowns: countdowns.into_iter().map(countdown).collect(),
        undetermined: undetermined.into_iter().collect(),
    })
}

/// The day of the first open todo that is not past: the next contact with the customer.
fn next_contact(agenda: &Agenda, today: &Today, zone: &TimeZone) -> Option<Date> {
    let todos = agenda.acts.iter().filter(|act| act.kind == ActKind::Todo && act.due_ms >= today.begin_ms);
    let due_ms = todos.map(|act| act.due_ms).min()?;
    fieldbook_core::model::company_day(due_ms, zone)
}

/// Today's todos that the home page shows (C32).
const TOP: usize = 5;
/// More leads than somebody visits in a week.
const REMINDERS_MAX: usize = 20;
/// Leads whose rows are worked out without letting go of the replica: some tens of milliseconds on a phone.
const SLICE: usize = 16;
/// Rows over which a day has passed that are worked out anew at the next call.
const OLD_MAX: usize = 64;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
