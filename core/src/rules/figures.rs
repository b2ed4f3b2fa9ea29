//! 指标 (M1–M14): figures of the company over the outcomes of its leads. Each is a fraction with its denominator or a middle value with how many
//! it is of, "as of" a moment and with how many devices were silent then (O11). What comes late restates what was told of the past: a figure of
//! March that is worked out in May counts what was done in March and heard of in April.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::facts::{DAY_MS, HOUR_MS};
use super::outcome::{LeadOutcome, days_since_1970};
use crate::ids::UserId;
use crate::policy::Policy;

/// Which days, and as of when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first day.
    pub from: Date,
    /// The day behind the last.
    pub until: Date,
    /// Where they begin, milliseconds since 1970 UTC.
    from_ms: i64,
    until_ms: i64,
    /// As of, milliseconds since 1970 UTC.
    pub as_of_ms: i64,
    /// Devices that were not heard from since the end of the period, or since a day before "as of": their reps' work may be missing.
    pub silent_devices: u32,
}

impl Period {
    /// The days from one to before another in the company's zone; `None`: there is no such time.
    pub fn new(from: Date, until: Date, zone: &TimeZone, as_of_ms: i64, silent_devices: u32) -> Option<Self> {
        let begins = |day: Date| Some(day.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond());
        let (from_ms, until_ms) = (begins(from)?, begins(until)?);
        Some(Self { from, until, from_ms, until_ms, as_of_ms, silent_devices })
    }
}

/// What the company knows beside its leads (M14).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expenses {
    /// What the leads of the period cost, fen.
    pub marketing_fen: Option<i64>,
    /// Minutes that the morning's preparation took, over all of the period's mornings, and how many mornings.
    pub mornings: Option<(i64, u32)>,
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// `M1a`, `M1b`, `M2`, …
    pub id: &'static str,
    /// As it is called.
    pub name: &'static str,
    /// The value; `None`: there is nothing to count.
    pub value: Option<Amount>,
    /// What was counted, and of how many.
    pub of: (u64, u64),
    /// The line of the policy, and whether the value is on its right side.
    pub line: Option<(Amount, bool)>,
}

/// The value of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Amount {
    /// A share, basis points, rounded to the nearest.
    Share(u64),
    /// A time, milliseconds.
    Time(i64),
    /// Hundredths of a count.
    Hundredths(i64),
    /// Money, fen.
    Money(i64),
}

/// On which side of its line a figure is healthy.
#[derive(Clone, Copy)]
enum Healthy {
    AtLeast,
    AtMost,
}

/// The figures of a period.
pub fn figures(outcomes: &[LeadOutcome], policy: &Policy, period: Period, expenses: Expenses) -> Vec<Figure> {
    let fold = Fold { outcomes, period };
    let lines = &policy.figures;
    let share = |bp: u32| Amount::Share(bp.into());
    let least = |amount: Amount| Some((amount, Healthy::AtLeast));
    let most = |amount: Amount| Some((amount, Healthy::AtMost));
    let time = |ms: i64| most(Amount::Time(ms));
    let response_ms = i64::from(lines.first_response_hours) * HOUR_MS;
    let (new, assigned) = (fold.created(), fold.within(|lead| lead.assigned_ms));
    let answered = |lead: &&LeadOutcome, from: Option<i64>| match (from, lead.first_contact_ms) {
        (Some(from_ms), Some(at_ms)) => at_ms <= from_ms.saturating_add(response_ms),
        _ => false,
    };
    let four_ms = i64::from(lines.four_acts_hours) * HOUR_MS;
    let in_hours = |lead: &&LeadOutcome| match (lead.created_ms, lead.four_acts_ms) {
        (Some(from_ms), Some(at_ms)) => at_ms <= from_ms.saturating_add(four_ms),
        _ => false,
    };
    let contacted = fold.within(|lead| lead.first_contact_ms);
    let (moves, dues, trials) = (fold.moves(), fold.dues(), fold.trials());
    let known = fold.known();
    let open: Vec<_> = known.iter().copied().filter(|lead| !lead.has_ended()).collect();
    let idle_ms = i64::from(lines.untouched_days) * DAY_MS;
    let end_ms = period.until_ms.min(period.as_of_ms);
    let untouched =
        |lead: &&LeadOutcome| lead.touched_ms.is_none_or(|at_ms| end_ms.saturating_sub(at_ms) > idle_ms);
    let touch = |lead: &LeadOutcome| Some(lead.first_touch_ms?.saturating_sub(lead.created_ms?).max(0));
    let order = |lead: &LeadOutcome| Some(lead.won_ms?.saturating_sub(lead.created_ms?).max(0));
    let won = fold.within(|lead| lead.won_ms);
    let keys: (u64, u64) = new.iter().fold((0, 0), |(filled, all), lead| {
        (filled + u64::from(lead.key_fields.0), all + u64::from(lead.key_fields.1))
    });
    let renewed =
        fold.outcomes.iter().filter(|lead| lead.renewals.iter().any(|at_ms| fold.holds(*at_ms))).count();
    // A company that records no renewals has no such figure.
    let renewals = match lines.renewal_signal {
        Some(_) => (renewed as u64, fold.customers()),
        None => (0, 0),
    };
    let dwells = fold.dwells();
    vec![
        of(
            "M1a",
            "48小时首次响应率（按新增）",
            &new,
            |lead| answered(lead, lead.created_ms),
            least(share(lines.first_response_bp)),
        ),
        of(
            "M1b",
            "48小时首次响应率（按分配）",
            &assigned,
            |lead| answered(lead, lead.assigned_ms),
            least(share(lines.first_response_bp)),
        ),
        of("M2", "动作穿透率", &dues, |(_, in_time)| *in_time, None),
        of(
            "M3",
            "有效首联率",
            &contacted,
            |lead| lead.effective == Some(true),
            least(share(lines.effective_bp)),
        ),
        of("M4", "阶段跳转率", &moves, |moved| moved.jump, most(share(lines.jumps_bp))),
        of("M5", "跨角色留痕率", &known, |lead| lead.cross_role, least(share(lines.cross_role_bp))),
        middle(
            "M6",
            "首次触达中位时长",
            new.iter().filter_map(|lead| touch(lead)),
            time(i64::from(lines.first_touch_minutes) * 60_000),
        ),
        share_of("M7", "流程完整度", keys, least(share(lines.key_fields_bp))),
        of("M8", "决策链完整率", &known, |lead| lead.chain_complete, least(share(lines.chain_bp))),
        middle(
            "M9",
            "线索到首单中位天数",
            won.iter().filter_map(|lead| order(lead)),
            time(i64::from(lines.to_order_days) * DAY_MS),
        ),
        mean("M10", "技术交流会平均停留", dwells.into_iter(), time(i64::from(lines.dwell_days) * DAY_MS)),
        of("M11", "超期未更新占比", &open, untouched, most(share(lines.untouched_bp))),
        of("M12", "24小时四步完成率", &new, in_hours, least(share(lines.four_acts_bp))),
        of("M13a", "试用24小时跟进率", &trials, |(_, followed)| *followed, None),
        share_of("M13b", "续费率", renewals, None),
        fold.reached_a_day(),
        per("M14b", "单线索成本", expenses.marketing_fen.map(|fen| (fen, new.len() as u64)), Amount::Money),
        per(
            "M14c",
            "晨会准备时长",
            expenses.mornings.map(|(minutes, days)| (minutes * 60_000, days.into())),
            Amount::Time,
        ),
    ]
}

struct Fold<'a> {
    outcomes: &'a [LeadOutcome],
    period: Period,
}

impl<'a> Fold<'a> {
    fn holds(&self, at_ms: i64) -> bool {
        (self.period.from_ms..self.period.until_ms).contains(&at_ms) && at_ms <= self.period.as_of_ms
    }

    fn within(&self, when: impl Fn(&LeadOutcome) -> Option<i64>) -> Vec<&'a LeadOutcome> {
        self.outcomes.iter().filter(|lead| when(lead).is_some_and(|at_ms| self.holds(at_ms))).collect()
    }

    fn created(&self) -> Vec<&'a LeadOutcome> {
        self.within(|lead| lead.created_ms)
    }

    /// The leads that were there at the end of the period.
    fn known(&self) -> Vec<&'a LeadOutcome> {
        let until_ms = self.period.until_ms;
        self.outcomes.iter().filter(|lead| lead.created_ms.is_some_and(|at_ms| at_ms < until_ms)).collect()
    }

    fn moves(&self) -> Vec<super::outcome::Move> {
        let moves = self.outcomes.iter().flat_map(|lead| &lead.moves).copied();
        moves.filter(|moved| self.holds(moved.at_ms)).collect()
    }

    fn dues(&self) -> Vec<(i64, bool)> {
        self.outcomes
            .iter()
            .flat_map(|lead| &lead.dues)
            .copied()
            .filter(|(at_ms, _)| self.holds(*at_ms))
            .collect()
    }

    fn trials(&self) -> Vec<(i64, bool)> {
        self.outcomes
            .iter()
            .flat_map(|lead| &lead.trials)
            .copied()
            .filter(|(at_ms, _)| self.holds(*at_ms))
            .collect()
    }

    /// Stays that ended in the period or go on at its end.
    fn dwells(&self) -> Vec<i64> {
        let stays = self.outcomes.iter().flat_map(|lead| &lead.dwells);
        let within = stays.filter(|(from_ms, until_ms)| {
            *from_ms < self.period.until_ms && *until_ms >= self.period.from_ms
        });
        within
            .map(|(from_ms, until_ms)| (*until_ms).min(self.period.as_of_ms).saturating_sub(*from_ms).max(0))
            .collect()
    }

    /// Customers who had bought before the period was over.
    fn customers(&self) -> u64 {
        let until_ms = self.period.until_ms;
        self.outcomes.iter().filter(|lead| lead.won_ms.is_some_and(|at_ms| at_ms < until_ms)).count() as u64
    }

    /// Customers that a rep reached on a day, over the days on which the rep reached anybody.
    fn reached_a_day(&self) -> Figure {
        let [from, until] = [self.period.from, self.period.until].map(days_since_1970);
        let mut days: BTreeMap<(UserId, i32), u64> = BTreeMap::new();
        let all = self.outcomes.iter().flat_map(|lead| &lead.reached);
        for reached in all.filter(|(_, day)| (from..until).contains(day)) {
            *days.entry(*reached).or_default() += 1;
        }
        let of = (days.values().sum::<u64>(), days.len() as u64);
        let value = (of.0 * 100).checked_div(of.1).map(|hundredths| Amount::Hundredths(hundredths as i64));
        Figure { id: "M14a", name: "人均日有效触达客户数", value, of, line: None }
    }
}

type Line = Option<(Amount, Healthy)>;

fn figure(id: &'static str, name: &'static str, value: Option<Amount>, of: (u64, u64), line: Line) -> Figure {
    let line = line.map(|(line, healthy)| {
        let right = value.is_some_and(|value| match healthy {
            Healthy::AtLeast => value >= line,
            Healthy::AtMost => value <= line,
        });
        (line, right)
    });
    Figure { id, name, value, of, line }
}

fn of<T>(id: &'static str, name: &'static str, all: &[T], counts: impl Fn(&T) -> bool, line: Line) -> Figure {
    let counted = all.iter().filter(|one| counts(one)).count() as u64;
    share_of(id, name, (counted, all.len() as u64), line)
}

fn share_of(id: &'static str, name: &'static str, of: (u64, u64), line: Line) -> Figure {
    let value = (of.1 > 0).then(|| Amount::Share((of.0 * 20_000 / of.1).div_ceil(2)));
    figure(id, name, value, of, line)
}

/// The middle value; of an even number of them the middle between the two.
fn middle(id: &'static str, name: &'static str, all: impl Iterator<Item = i64>, line: Line) -> Figure {
    let mut all: Vec<i64> = all.collect();
    all.sort_unstable();
    let at = all.len() / 2;
    let value = match (all.len() % 2, all.get(at)) {
        (_, None) => None,
        (1, Some(middle)) => Some(*middle),
        (_, Some(upper)) => Some(i64::midpoint(all[at - 1], *upper)),
    };
    figure(id, name, value.map(Amount::Time), (all.len() as u64, all.len() as u64), line)
}

fn mean(id: &'static str, name: &'static str, all: impl Iterator<Item = i64>, line: Line) -> Figure {
    let (sum, many) = all.fold((0_i64, 0_i64), |(sum, many), ms| (sum.saturating_add(ms), many + 1));
    figure(id, name, sum.checked_div(many).map(Amount::Time), (many as u64, many as u64), line)
}

fn per(id: &'static str, name: &'static str, of: Option<(i64, u64)>, amount: fn(i64) -> Amount) -> Figure {
    let value = of.and_then(|(sum, many)| sum.checked_div(i64::try_from(many).ok()?)).map(amount);
    let many = of.map_or(0, |(_, many)| many);
    figure(id, name, value, (many, many), None)
}
