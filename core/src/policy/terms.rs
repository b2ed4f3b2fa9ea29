//! The words of formulas: what may be said of a lead ([`LEAD`]) and of a rep ([`REP`]). Which fact stands behind a word is decided in
//! `rules::known`; a test there shows that every word has one.

use super::formula::Term;
use crate::model::NEEDS;

/// 预算匹配度: how sure the budget is and how large (C50).
pub const BUDGET_MATCH: &[&str] = &["已确认≥100万", "已确认50-100万", "已确认<50万", "待确认"];

/// What may be said of a lead.
pub const LEAD: &[Term] = &[
    Term::text("客户名称", "customer_name", &[]),
    Term::text("需求关键词", "need", &NEEDS),
    Term::text("医院", "hospital", &[]),
    Term::text("科室", "department", &[]),
    Term::text("设备", "equipment", &[]),
    Term::text("倾向品牌", "brand", &[]),
    Term::text("来源渠道", "source", &[]),
    Term::text("行业", "industry", &[]),
    Term::text("省份", "province", &[]),
    Term::text("区域代码", "region_code", &[]),
    Term::text("采购时间", "purchase_timing", &[]),
    Term::text("客户状态", "customer_state", &[]),
    Term::text("下一步动作", "next_action", &[]),
    Term::text("备注", "notes", &[]),
    Term::text("标签", "tags", &[]),
    Term::text("联系人角色", "contact_roles", &[]),
    Term::text("阶段", "stage", &[]),
    // In 万元: the upper end of the range, else the lower.
    Term::number("预算万元", "budget_wan"),
    Term::text("预算匹配度", "budget_match", BUDGET_MATCH),
    Term::truth("有明确采购时间表", "has_timetable"),
    Term::number("行业潜力值", "industry_potential"),
    Term::number("采购活跃度", "buying_activity"),
    Term::number("推进指数", "advancement_index"),
    Term::number("拜访次数", "visits"),
    Term::number("联系次数", "touches"),
    Term::number("连续未接通次数", "failed_in_a_row"),
    Term::number("证据数", "evidence"),
    Term::number("决策链角色数", "chain_roles"),
    Term::number("创建天数", "age_days"),
    Term::number("未更新天数", "idle_days"),
];

/// What may be said of a rep to whom a lead may go (C16, C20).
pub const REP: &[Term] = &[
    Term::number("在手线索数", "open_leads"),
    Term::number("业绩万元", "results_wan"),
    // Per cent.
    Term::number("续费率", "renewal_rate"),
    Term::number("投诉率", "complaint_rate"),
    Term::number("完成率", "completion_rate"),
];
