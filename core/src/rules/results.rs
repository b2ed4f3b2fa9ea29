//! 负责人的业绩与质量 (C16, C20): what is known of a rep when a lead is given to somebody, folded from the outcomes of the leads that are theirs now.

use super::facts::DAY_MS;
use super::outcome::LeadOutcome;

/// What is known of a rep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Results {
    /// 在手线索数.
    pub open_leads: u32,
    /// 业绩, fen; `None`: not known.
    pub won_fen: Option<i64>,
    /// 续费率, basis points; `None`: not known.
    pub renewal_bp: Option<u32>,
    /// 投诉率, basis points; `None`: not known.
    pub complaint_bp: Option<u32>,
    /// 完成率, basis points; `None`: not known.
    pub completion_bp: Option<u32>,
}

/// What is counted of one rep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Leads that are their work now.
    pub open_leads: u32,
    /// What they sold in the days, fen.
    pub won_fen: i64,
    /// Customers whom anybody has contacted, and those of them who complained in the days.
    contacted: u32,
    complained: u32,
    /// Customers who have bought, and those of them who renewed in the days.
    customers: u32,
    renewed: u32,
    /// What was due in the days, and what of it was done in time.
    due: u32,
    in_time: u32,
}

impl Tally {
    /// Counts a lead that is the rep's, over so many days before now.
    pub fn count(&mut self, outcome: &LeadOutcome, days: u32, now_ms: i64) {
        let from_ms = now_ms.saturating_sub(i64::from(days).saturating_mul(DAY_MS));
        let holds = |at_ms: &i64| (from_ms..=now_ms).contains(at_ms);
        let (is_contacted, is_won) = (outcome.first_contact_ms.is_some(), outcome.won_ms.is_some());
        if outcome.won_ms.as_ref().is_some_and(holds) {
            self.won_fen = self.won_fen.saturating_add(outcome.won_fen.unwrap_or(0));
        }
        self.contacted += u32::from(is_contacted);
        self.complained += u32::from(is_contacted && outcome.complaints.iter().any(holds));
        self.customers += u32::from(is_won);
        self.renewed += u32::from(is_won && outcome.renewals.iter().any(holds));
        for (_, in_time) in outcome.dues.iter().filter(|(at_ms, _)| holds(at_ms)) {
            self.due += 1;
            self.in_time += u32::from(*in_time);
        }
    }

    /// What is known by it. Of a company in which nobody has sold anything, nobody's sales are known: of equals none is the best.
    pub fn results(&self, anybody_sold: bool) -> Results {
        let share = |part: u32, of: u32| {
            let bp = (u64::from(part) * 10_000 + u64::from(of) / 2).checked_div(of.into())?;
            u32::try_from(bp).ok()
        };
        Results {
            open_leads: self.open_leads,
            won_fen: anybody_sold.then_some(self.won_fen),
            renewal_bp: share(self.renewed, self.customers),
            complaint_bp: share(self.complained, self.contacted),
            completion_bp: share(self.in_time, self.due),
        }
    }
}
