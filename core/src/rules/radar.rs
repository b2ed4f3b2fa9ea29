//! 线索健康度五维雷达 (C69): five dimensions that sales and marketing read alike, each from 0 to 100 with the caption of either side; the lowest
//! is this month's.

use super::facts::{DAY_MS, Facts, is_contact};
use super::fields::Fields;
use super::known::{KnownOf, budget_fen};
use super::verdict::{Unknown, Verdict};
use super::{Says, fields};

/// The five, in the order of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Radar {
    /// Each with its score.
    pub dimensions: [Dimension; 5],
    /// The lowest; of equal ones the first; `None`: of none is anything known.
    pub lowest: Option<usize>,
}

/// A dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimension {
    /// As it is called.
    pub name: &'static str,
    /// 0 to 100.
    pub score: Says<u32>,
    /// 销售视角.
    pub sales: &'static str,
    /// 市场视角.
    pub marketing: &'static str,
}

/// The radar of a lead.
pub fn assess_radar(facts: &Facts<'_>) -> Verdict<Radar> {
    let fields = fields::assess_fields(facts).says;
    Verdict { policy: facts.policies.at(facts.now_ms).id, says: radar(facts, &fields).into() }
}

pub(super) fn radar(facts: &Facts<'_>, fields: &Says<Fields>) -> Result<Radar, Unknown> {
    let (_, policy) = facts.policy()?;
    let bounds = &policy.radar;
    let known = KnownOf::new(facts, policy);
    let complete = match fields {
        // Full where the line is reached, in proportion below it.
        Says::So(fields) => Says::So((fields.complete_bp * 100 / bounds.completeness_bp.max(1)).min(100)),
        Says::Undetermined(unknown) => Says::Undetermined(unknown.clone()),
    };
    let lead = &facts.lead.fields;
    let clear = lead.equipment.as_ref().is_some_and(|_| known.filled(&lead.equipment).is_some())
        || budget_fen(lead).is_some()
        || known.filled(&lead.purchase_timing).is_some();
    let industry = known
        .filled(&lead.industry)
        .map(|industry| bounds.strong_industries.iter().any(|strong| strong == industry));
    let yes = |so: bool| if so { 100 } else { 0 };
    let dimension = |(name, sales, marketing), score| Dimension { name, score, sales, marketing };
    let dimensions = [
        dimension(CAPTIONS[0], complete),
        dimension(CAPTIONS[1], in_time(facts, bounds.first_touch_minutes).into()),
        dimension(CAPTIONS[2], Says::So(yes(clear))),
        dimension(CAPTIONS[3], industry.map(yes).ok_or_else(|| Unknown::of("行业")).into()),
        dimension(CAPTIONS[4], Says::So(on_site(facts, policy))),
    ];
    let scored = dimensions.iter().enumerate().filter_map(|(at, d)| Some((*d.score.so()?, at)));
    let lowest = scored.min().map(|(_, at)| at);
    Ok(Radar { dimensions, lowest })
}

/// 响应及时性: whether the first touch came in time; what is not there yet and still may be says nothing.
fn in_time(facts: &Facts<'_>, minutes: u32) -> Result<u32, Unknown> {
    let received_ms = facts.ruling()?.fields.received_at_ms.ok_or_else(|| Unknown::of("收到时间"))?;
    let due_ms = received_ms.saturating_add(i64::from(minutes) * 60_000);
    let first = facts.events().into_iter().find(|logged| is_contact(&logged.event));
    match first.map(crate::model::LoggedEvent::happened_at_ms) {
        Some(at_ms) => Ok(if at_ms <= due_ms { 100 } else { 0 }),
        None if facts.now_ms <= due_ms => Err(Unknown::of("首次联系")),
        None => Ok(0),
    }
}

/// 历史互动性: acts on the company's site, in proportion to how many there should be.
fn on_site(facts: &Facts<'_>, policy: &crate::policy::Policy) -> u32 {
    let since_ms = facts.now_ms.saturating_sub(i64::from(policy.radar.site_days) * DAY_MS);
    let kinds = policy.signals.iter().filter(|kind| kind.on_site);
    let acts = kinds.flat_map(|kind| facts.signals(&kind.id));
    let recent = acts.filter(|(logged, _)| logged.happened_at_ms() > since_ms).count() as u32;
    (recent * 100 / policy.radar.site_acts.max(1)).min(100)
}

/// Name, and the captions of sales and marketing, as the source has them (S4).
const CAPTIONS: [(&str, &str, &str); 5] = [
    ("信息完整性", "能一次问清客户痛点", "表单设计是否引导用户填关键信息"),
    ("响应及时性", "客户刚咨询就有人接", "线索推送链路是否断点"),
    ("需求明确度", "不用反复确认基础信息", "内容页是否埋点触发深度行为"),
    ("行业匹配度", "我懂这个行业的痛点", "投放渠道是否精准触达目标行业"),
    ("历史互动性", "客户主动找过我们", "培育内容是否有效激发兴趣"),
];
