//! What the rules say of a lead, as `fieldbook-device` and `fieldbook-core` define it: the same fields again for the generator, which the
//! compiler holds against the definitions. Nothing lives here.

use fieldbook_core::ids::{DocId, EntryId, UserId};
use fieldbook_core::model::Attitude;
use fieldbook_core::policy::{Overdue, Who};
use fieldbook_core::rules::advancement::Row as JudgedRow;
use fieldbook_core::rules::fields::WeekQuestion;
use fieldbook_core::rules::scores::Deduction;
use fieldbook_core::rules::stage::Stuck;
use fieldbook_core::rules::talk::NextAction;
use fieldbook_core::rules::tasks::{Task as LeadTask, TaskState};
use fieldbook_device::{
    CardItem, ChainItem, ChainPerson, FieldsItem, JudgedTag, LeadJudgement, LossItem, LossTickItem,
    NurturingItem, ProposalItem, ProposalOutcome, RadarItem, ResponseItem, ResponseOutcome, StageJudgement,
    TagWhy, Undetermined,
};

/// What the rules say of one lead, at one moment, by one version of the policy (O7, O13).
#[uniffi::remote(Record)]
pub struct LeadJudgement {
    /// The lead.
    pub lead: DocId,
    /// The version of the policy in force; all zeros: the pack that ships. What was opened under another version names that.
    pub policy: EntryId,
    /// The moment of the judgement.
    pub at_ms: i64,
    /// 阶段 (C61–C66).
    pub stage: Option<StageJudgement>,
    /// What the next stage needs and is not there, by the names of the policy; empty: nothing, or there is no next stage.
    pub missing_for_next: Option<Vec<String>>,
    /// 首次响应: a deadline for each assignment, in order (C1, C18, C22).
    pub responses: Option<Vec<ResponseItem>>,
    /// Hours without an owner, where those make it a lost lead (C14).
    pub unassigned_hours: Option<i64>,
    /// 任务, by when they are due (C23–C28).
    pub tasks: Option<Vec<LeadTask>>,
    /// 培育步骤, package by package (C34).
    pub nurturing: Option<Vec<NurturingItem>>,
    /// 健康分, 0 to 100 (C50).
    pub health: Option<i64>,
    /// 分档 (C51).
    pub tier: Option<String>,
    /// 评分卡 (C49).
    pub card: Option<CardItem>,
    /// 决策链深度评分, 0 to 100 (C46).
    pub depth: Option<i64>,
    /// 五维雷达 (C69).
    pub radar: Option<Vec<RadarItem>>,
    /// 决策链 (C53, C54).
    pub chain: Option<ChainItem>,
    /// 推进表, in the order of the policy (C55, C56).
    pub advancement: Option<Vec<JudgedRow>>,
    /// 推进指数 by the weights of the policy, 0 to 100 (C55).
    pub index: Option<i64>,
    /// What is to be filled in (C3, C6, C33).
    pub fields: Option<FieldsItem>,
    /// 本周需确认的问题 (C7).
    pub questions: Option<Vec<WeekQuestion>>,
    /// 标签 that count now, by name (C1, C40, C45, C47).
    pub tags: Option<Vec<JudgedTag>>,
    /// 丢单预测 (C39).
    pub loss: Option<LossItem>,
    /// 下一步最佳动作 (C48).
    pub next_best: Option<Vec<NextAction>>,
    /// What cannot be said.
    pub undetermined: Vec<Undetermined>,
}

/// A part of a judgement that cannot be said from what this phone holds.
#[uniffi::remote(Record)]
pub struct Undetermined {
    /// The part, by its name in the judgement.
    pub part: String,
    /// What would have to be known, in Chinese, as formulas call it.
    pub missing: Vec<String>,
}

/// Where a lead is.
#[uniffi::remote(Record)]
pub struct StageJudgement {
    /// The stage, by its id.
    pub stage: String,
    /// As it is called.
    pub name: String,
    /// Since when; `None`: since the lead is there.
    pub since_ms: Option<i64>,
    /// The stage that the server confirmed, by its id; `None`: none yet, or the ruling is not held.
    pub confirmed: Option<String>,
    /// The server has not confirmed this stage (O4).
    pub provisional: bool,
    /// The next stage, by its id; `None`: there is none.
    pub next: Option<String>,
    /// As it is called; empty: there is none.
    pub next_name: String,
    /// Every proposal, in the order in which they were made.
    pub proposals: Vec<ProposalItem>,
    /// 停滞 (C66).
    pub stuck: Option<Stuck>,
}

/// A proposal, and what came of it.
#[uniffi::remote(Record)]
pub struct ProposalItem {
    /// Its entry in the log.
    pub id: EntryId,
    /// The stage proposed, by its id.
    pub to: String,
    /// As it is called; the id where the policy has no such stage.
    pub name: String,
    /// When it was made.
    pub at_ms: i64,
    /// The version of the policy that it is judged by.
    pub policy: EntryId,
    /// What came of it.
    pub verdict: ProposalOutcome,
    /// It jumped a stage (M4).
    pub jump: bool,
    /// What is missing under the version in force now, where that says otherwise (O13).
    pub under_present: Option<Vec<String>>,
}

/// What came of a proposal.
#[uniffi::remote(Enum)]
pub enum ProposalOutcome {
    /// It counts.
    Counts {
        /// Since when.
        since_ms: i64,
    },
    /// It does not count.
    Lacks {
        /// What is missing, by the names of the policy.
        missing: Vec<String>,
    },
    /// A supervisor said no.
    Refused {
        /// With this entry.
        by: EntryId,
    },
    /// The policy has no such stage.
    NoSuchStage,
    /// It cannot be said from what this phone holds.
    Undetermined {
        /// What would have to be known.
        missing: Vec<String>,
    },
}

/// A deadline of a first response.
#[uniffi::remote(Record)]
pub struct ResponseItem {
    /// The assignment that opened it.
    pub epoch: EntryId,
    /// Who owes it.
    pub owner: UserId,
    /// Their name; empty when it is not known here.
    pub owner_name: String,
    /// When it was opened.
    pub from_ms: i64,
    /// By when it is due.
    pub due_ms: i64,
    /// The version of the policy that set it.
    pub policy: EntryId,
    /// How it stands.
    pub state: ResponseOutcome,
}

/// How a deadline stands.
#[uniffi::remote(Enum)]
pub enum ResponseOutcome {
    /// Answered in time.
    Met {
        /// By this entry.
        entry: EntryId,
        /// When.
        at_ms: i64,
        /// Whether its clock is in doubt (O1).
        doubtful: bool,
    },
    /// Answered, too late.
    Late {
        /// By this entry.
        entry: EntryId,
        /// When.
        at_ms: i64,
        /// Whether its clock is in doubt (O1).
        doubtful: bool,
    },
    /// Not answered yet, and there is time.
    Open,
    /// Not answered in time.
    Overdue {
        /// What follows from it.
        then: Overdue,
    },
    /// The lead moved on before it was due.
    Moved,
}

/// A step of a nurturing package.
#[uniffi::remote(Record)]
pub struct NurturingItem {
    /// The package, as it is called.
    pub package: String,
    /// The contact that was one too many.
    pub epoch: EntryId,
    /// The version of the policy that it follows.
    pub policy: EntryId,
    /// Its place in the package, from 0.
    pub at: u32,
    /// What is sent or done.
    pub title: String,
    /// Who does it.
    pub who: Who,
    /// The material, by its id in the playbook; empty: none.
    pub material: String,
    /// When it is due.
    pub due_ms: i64,
    /// Its day has come.
    pub due: bool,
    /// Somebody was reached before its day, with this entry.
    pub cancelled_by: Option<EntryId>,
}

/// The score card.
#[uniffi::remote(Record)]
pub struct CardItem {
    /// 100 less the deductions; the most that it can be while something is not known.
    pub score: i64,
    /// What cost most, at most three.
    pub deductions: Vec<Deduction>,
    /// Items that cannot be judged, by name.
    pub open: Vec<String>,
}

/// A dimension of the radar.
#[uniffi::remote(Record)]
pub struct RadarItem {
    /// As it is called.
    pub name: String,
    /// 0 to 100; `None`: it cannot be said.
    pub score: Option<u32>,
    /// What would have to be known.
    pub missing: Vec<String>,
    /// 销售视角.
    pub sales: String,
    /// 市场视角.
    pub marketing: String,
    /// It is the lowest: this month's.
    pub lowest: bool,
}

/// The graph of the decision chain.
#[uniffi::remote(Record)]
pub struct ChainItem {
    /// The people, in the order of their roles.
    pub people: Vec<ChainPerson>,
    /// Roles of the chain that nobody has yet (C54).
    pub open_roles: Vec<String>,
    /// Whether enough roles have an attitude (M8).
    pub complete: bool,
}

/// Somebody at the customer.
#[uniffi::remote(Record)]
pub struct ChainPerson {
    /// The contact.
    pub contact: EntryId,
    /// 姓名, else 职务.
    pub name: String,
    /// The role of the chain.
    pub role: Option<String>,
    /// The pool that they belong to (C13).
    pub pool: Option<String>,
    /// What they think; several where people differ about it, none where nothing says.
    pub attitudes: Vec<Attitude>,
    /// The visit that told, where nobody chose.
    pub told_by: Option<EntryId>,
    /// Whether it is to be confirmed again (C54).
    pub stale: bool,
}

/// What is to be filled in, by the names of fields in the document.
#[uniffi::remote(Record)]
pub struct FieldsItem {
    /// Mandatory ones that are not there (C3).
    pub missing: Vec<String>,
    /// The scene that the lead is in (C6).
    pub scene: Option<String>,
    /// What the scene asks for and is not there.
    pub missing_of_scene: Vec<String>,
    /// 下次拜访前补全 (C33).
    pub before_next_visit: Vec<String>,
    /// Filled in of what the policy asks for, basis points.
    pub complete_bp: u32,
}

/// A tag that counts now.
#[uniffi::remote(Record)]
pub struct JudgedTag {
    /// The tag.
    pub name: String,
    /// Every reason for it.
    pub reasons: Vec<TagWhy>,
}

/// Why a lead has a tag.
#[uniffi::remote(Enum)]
pub enum TagWhy {
    /// Somebody put it on.
    Hand {
        /// Until when it counts; `None`: for ever.
        expires_ms: Option<i64>,
    },
    /// A rule of the policy holds.
    Rule {
        /// Its condition.
        condition: String,
    },
    /// Somebody said it.
    Word {
        /// The entry.
        entry: EntryId,
        /// The word.
        word: String,
    },
}

/// The loss predictor.
#[uniffi::remote(Record)]
pub struct LossItem {
    /// Its questions.
    pub ticks: Vec<LossTickItem>,
    /// 流失概率, basis points; `None`: not all are ticked.
    pub risk_bp: Option<u32>,
    /// The talk pack that comes up with it, by its id in the playbook.
    pub talk_pack: Option<String>,
}

/// A question of the loss predictor.
#[uniffi::remote(Record)]
pub struct LossTickItem {
    /// By which it is ticked.
    pub id: String,
    /// As it is asked.
    pub text: String,
    /// Whether it is ticked.
    pub ticked: bool,
}

/// 任务.
#[uniffi::remote(Record)]
pub struct LeadTask {
    /// The rule.
    pub rule: String,
    /// The fact that opened it.
    pub epoch: EntryId,
    /// The version of the policy that set it: the one in force when it was opened.
    pub policy: EntryId,
    /// 事项.
    pub title: String,
    /// Who does it.
    pub who: Who,
    /// Who hears of it when it is overdue.
    pub copy_to: Option<Who>,
    /// From when it counts, milliseconds since 1970 UTC.
    pub from_ms: i64,
    /// By when it is due, milliseconds since 1970 UTC.
    pub due_ms: i64,
    /// How it stands.
    pub state: TaskState,
    /// Whether the lead does not advance while it is open.
    pub blocks_stage: bool,
    /// Whether the lead's money is at risk with it (C32).
    pub at_risk: bool,
}

/// How a task stands.
#[uniffi::remote(Enum)]
pub enum TaskState {
    /// Its time has not come yet (C26).
    Ahead,
    /// To be done.
    Open,
    /// Not done, and it is too late.
    Overdue,
    /// Done.
    Done {
        /// By this entry.
        entry: EntryId,
        /// When, milliseconds since 1970 UTC.
        at_ms: i64,
        /// Whether before it was due.
        in_time: bool,
    },
}

/// Who does something.
#[uniffi::remote(Enum)]
pub enum Who {
    /// 负责人.
    Owner,
    /// 主管: who leads the owner's team.
    Supervisor,
    /// 大区总监: who leads the team above.
    Director,
    /// 客服.
    CustomerService,
    /// 交付.
    Delivery,
}

/// What follows on an overdue response.
#[uniffi::remote(Enum)]
pub enum Overdue {
    /// 升级至主管 (C1, C22).
    Escalate,
    /// 二次分配并通知主管 (C18).
    Reassign,
}

/// One row as the phone shows it.
#[uniffi::remote(Record)]
pub struct JudgedRow {
    /// By which its tick is kept.
    pub id: String,
    /// The question, as the policy asks it; empty for a row that it does not ask any more.
    pub question: String,
    /// 已确认 or 待确认. A row about which two people differ is open until one of them has chosen.
    pub confirmed: bool,
    /// What was found out.
    pub answer: String,
    /// Two people ticked or answered differently at once (C55).
    pub conflict: bool,
}

/// A question of this week.
#[uniffi::remote(Record)]
pub struct WeekQuestion {
    /// The key of its answer in the advancement table: the ISO week and the question, so that two phones that begin a week without signal
    /// mean the same one.
    pub key: String,
    /// As it is asked.
    pub text: String,
    /// What was found out this week.
    pub answer: Option<String>,
}

/// A deduction.
#[uniffi::remote(Record)]
pub struct Deduction {
    /// The item.
    pub name: String,
    /// What it cost.
    pub points: i64,
    /// Why, in the words of the policy.
    pub reason: String,
}

/// 停滞: a lead that stays where it is (C66).
#[uniffi::remote(Record)]
pub struct Stuck {
    /// Days in the stage.
    pub days: i64,
    /// Why, in Chinese.
    pub reason: String,
}

/// 下一步最佳动作 (C48).
#[uniffi::remote(Record)]
pub struct NextAction {
    /// What is proposed.
    pub action: String,
    /// The material, by its id in the playbook; empty: none.
    pub material: String,
    /// Why: the condition that holds.
    pub because: String,
}

/// 态度: what somebody at the customer thinks of the purchase (C53).
#[uniffi::remote(Enum)]
pub enum Attitude {
    /// 支持.
    For,
    /// 观望.
    Waiting,
    /// 反对.
    Against,
}
