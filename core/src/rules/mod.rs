//! The company's rules: pure functions from facts and policy to verdicts with reasons, the same on the phone and on the server (design
//! decision 9). One file a rule; each has its page in `docs/rules/`. Refuses: a clock, a store, and to decide what the policy decides.
//!
//! | Rule | Rows |
//! |---|---|
//! | [`advancement`] 推进指数 | C55, C56 |
//! | [`agenda`] 今日事项 | C32, C33 |
//! | [`assignment`] 线索分配 | C15–C17, C20 |
//! | [`automation`] 自动化 | O2, O3 and the rows of the rules that it runs |
//! | [`chain`] 决策链 | C13, C53, C54, M8 |
//! | [`fields`] 字段 | C3, C5–C7, C11, C33 |
//! | [`figures`] 指标, over [`outcome`] of each lead | M1–M14 |
//! | [`nurturing`] 培育 | C1, C34 |
//! | [`radar`] 五维雷达 | C69 |
//! | [`response`] 首次响应 | C1, C14, C18, C22 |
//! | [`results`] 业绩与质量 | C16, C20 |
//! | [`scores`] 评分 | C46, C49–C52 |
//! | [`similar`] 类似丢单 | C94 |
//! | [`stage`] 阶段 | C24, C27, C28, C61–C66 |
//! | [`talk`] 沟通 | C31, C36, C39, C48, C59 |
//! | [`tasks`] 任务 | C23–C28 |
//! | [`words`] 关键词与标签 | C1, C29, C37, C38, C40, C45, C47 |
//!
//! [`judge`] runs those that look at one lead together, as phone and server do.

pub mod advancement;
pub mod agenda;
pub mod assignment;
pub mod automation;
pub mod chain;
pub mod facts;
pub mod fields;
pub mod figures;
mod judgement;
pub mod known;
pub mod nurturing;
pub mod outcome;
pub mod radar;
pub mod response;
pub mod results;
pub mod scores;
pub mod similar;
pub mod stage;
pub mod talk;
pub mod tasks;
mod verdict;
pub mod words;

pub use facts::Facts;
pub(crate) use facts::{DAY_MS, next_hour};
pub use judgement::{Judgement, judge};
pub(crate) use stage::StageOnce;
pub use verdict::{Says, Unknown, Verdict};

#[cfg(test)]
mod tests;
