//! A sweep: every lead is judged again because the policy became another (C52). From rows, by as many hands as there are, lot by lot behind the news, so
//! that nobody waits for it; only of a lead about which something is to be done are the documents loaded.

use super::automate::{Automated, JudgedLead, judge_lead, plan_timer};
use super::desk::Desk;
use super::facts::FactRow;
use super::rows::{decode, encode};
use super::{Company, CompanyError, keys};
use crate::ids::DocId;
use crate::store::jobs::{self, Lease};
use crate::store::{Batch, Direction, Outcome, Range};

/// Leads of one lot.
const LOT: usize = 1_024;

/// Who does the parts of a piece of work that hang on nothing of each other: a shell has threads, this crate has none.
pub trait Hands: Sync {
    /// How many parts are worth making.
    fn count(&self) -> usize;
    /// Does every part before it returns.
    fn all(&self, parts: Vec<Part<'_>>);
}

/// A part of a piece of work.
pub type Part<'a> = Box<dyn FnOnce() + Send + 'a>;

/// One part after the other.
#[derive(Debug, Clone, Copy)]
pub struct OneHand;

impl Hands for OneHand {
    fn count(&self) -> usize {
        1
    }

    fn all(&self, parts: Vec<Part<'_>>) {
        parts.into_iter().for_each(|part| part());
    }
}

/// What came of judging a lead by its rows.
enum Swept {
    /// What was said of it before.
    Same,
    /// Something else, and nothing is to be done about it.
    Other {
        /// What was said.
        before: Box<JudgedLead>,
        /// What is said now.
        now: Box<JudgedLead>,
    },
    /// Something is to be done, or it has no row that can be read.
    Closely,
}

/// A lead of a lot with its rows.
struct Rows {
    lead: DocId,
    judged: Vec<u8>,
    facts: Option<Vec<u8>>,
}

impl Company {
    /// Adds to a batch that every lead is judged again from a moment on: when a version of the policy comes into force.
    pub(super) fn plan_sweep(batch: &mut Batch, from_ms: i64) {
        jobs::enqueue(batch, super::automate::QUEUE, from_ms, super::automate::SWEEP, &[]);
    }

    /// Notes that a sweep begins, at the first lead.
    pub(super) fn begin_sweep(&self, timer: &Lease) -> Result<(), CompanyError> {
        let mut batch = Batch::new();
        jobs::finish(&mut batch, timer);
        batch.put(keys::SWEPT, []);
        self.store.commit_one(batch)?;
        Ok(())
    }

    /// Judges the next leads of a sweep; does something about `most` of them at the most. Gives whether there are more.
    pub(super) fn sweep(
        &self,
        desk: &mut Desk<'_>,
        after: &[u8],
        most: usize,
        now_ms: i64,
        hands: &dyn Hands,
        done: &mut Automated,
    ) -> Result<bool, CompanyError> {
        let rows = self.lot_behind(after)?;
        let swept = judge_all(desk, &rows, now_ms, hands);
        let (mut batch, mut closely, mut written) = (Batch::new(), Vec::new(), Vec::new());
        let mut upto = None;
        for (rows, swept) in rows.iter().zip(swept) {
            match swept {
                Swept::Same => {}
                Swept::Other { before, now } => {
                    let key = keys::judged(rows.lead);
                    plan_timer(&mut batch, rows.lead, &before, &now);
                    batch.guard(key.clone(), Some(rows.judged.clone())).put(key, encode(&*now));
                    written.push((rows.lead, (before.worked_by(), now.worked_by())));
                }
                Swept::Closely if closely.len() == most => break,
                Swept::Closely => closely.push(rows.lead),
            }
            upto = Some(rows.lead);
            done.judged += 1;
        }
        match if batch.is_empty() { Outcome::Done(None) } else { self.store.commit_one(batch)? } {
            Outcome::Done(_) => written.into_iter().for_each(|(_, moved)| {
                desk.moves(moved);
                self.tallies.moved(moved);
            }),
            // Others judged one of them meanwhile.
            Outcome::Conflict(_) => closely.extend(written.into_iter().map(|(lead, _)| lead)),
        }
        done.judged -= closely.len();
        self.automate_lot(desk, closely.into_iter().map(|lead| (lead, None)).collect(), now_ms, done)?;
        let ended = rows.len() < LOT && upto == rows.last().map(|rows| rows.lead);
        let mut batch = Batch::new();
        batch.guard(keys::SWEPT, Some(after.to_vec()));
        match upto.filter(|_| !ended) {
            Some(upto) => batch.put(keys::SWEPT, upto.0),
            None => batch.delete(keys::SWEPT),
        };
        self.store.commit_one(batch)?;
        Ok(!ended)
    }

    /// The rows of the leads behind one.
    fn lot_behind(&self, after: &[u8]) -> Result<Vec<Rows>, CompanyError> {
        let mut range = Range::prefix(keys::JUDGED);
        if let Some(lead) = DocId::from_slice(after) {
            range = Range::prefix_after(keys::JUDGED, &keys::judged(lead));
        }
        let judged = self.store.scan(&range, Direction::Forward, LOT)?;
        let lead = |key: &[u8]| DocId::from_slice(&key[keys::JUDGED.len()..]);
        let judged: Vec<(DocId, Vec<u8>)> =
            judged.into_iter().filter_map(|(key, row)| Some((lead(&key)?, row))).collect();
        let wanted: Vec<Vec<u8>> = judged.iter().map(|(lead, _)| keys::facts(*lead)).collect();
        let wanted: Vec<&[u8]> = wanted.iter().map(Vec::as_slice).collect();
        let facts = self.store.get_many(&wanted)?;
        let rows = judged.into_iter().zip(facts);
        Ok(rows.map(|((lead, judged), facts)| Rows { lead, judged, facts }).collect())
    }
}

/// Judges leads by their rows, in order.
fn judge_all(desk: &Desk<'_>, rows: &[Rows], now_ms: i64, hands: &dyn Hands) -> Vec<Swept> {
    by_hands(rows, hands, |rows| judge_one(desk, rows, now_ms))
}

/// What `work` makes of every item, in order, by as many hands as there are.
pub(super) fn by_hands<T: Sync, R: Send>(
    items: &[T],
    hands: &dyn Hands,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let share = items.len().div_ceil(hands.count().max(1)).max(1);
    let mut made: Vec<Vec<R>> = Vec::new();
    made.resize_with(items.len().div_ceil(share), Vec::new);
    let work = &work;
    let parts = items
        .chunks(share)
        .zip(&mut made)
        .map(|(items, made)| -> Part<'_> { Box::new(move || *made = items.iter().map(work).collect()) });
    hands.all(parts.collect());
    made.into_iter().flatten().collect()
}

fn judge_one(desk: &Desk<'_>, rows: &Rows, now_ms: i64) -> Swept {
    let Some(facts) = rows.facts.as_deref().and_then(FactRow::decode) else { return Swept::Closely };
    let (acts, judged) = judge_lead(&facts.facts(rows.lead, desk, now_ms), &desk.candidates);
    let before = decode::<JudgedLead>(&keys::judged(rows.lead), &rows.judged);
    match before {
        Ok(before) if acts.is_empty() && before == judged => Swept::Same,
        // Where the print changed, others of the same customer are concerned.
        Ok(before) if acts.is_empty() && before.print == judged.print => {
            Swept::Other { before: Box::new(before), now: Box::new(judged) }
        }
        _ => Swept::Closely,
    }
}
