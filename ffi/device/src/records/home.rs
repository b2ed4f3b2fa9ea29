//! What the home page, the end of a talk and the forms of an app are made of.

use fieldbook_core::ids::{DocId, EntryId};
use fieldbook_core::model::{Touch, Visit};
use fieldbook_core::rules::agenda::ActKind;

/// The home page (C32, C33), over the user's own leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The day in the company's zone, ISO.
    pub day: String,
    /// The moment for which it is worked out.
    pub at_ms: i64,
    /// Server time of the last contact: what others did since is not in it (O11). 0: never.
    pub as_of_ms: i64,
    /// What is to be done today, at most five: what is overdue first, then what most money hangs on, then what is due first.
    pub top: Vec<HomeTask>,
    /// How much there is to do today in all.
    pub open: u32,
    /// 下次拜访前补全: leads with a visit or contact ahead of which something is not filled in, the next first, at most twenty.
    pub reminders: Vec<HomeReminder>,
    /// First responses that the user owes and that are not overdue, the next due first.
    pub countdowns: Vec<HomeCountdown>,
    /// What would have to be known to say all of it, for some lead: names, in Chinese.
    pub undetermined: Vec<String>,
}

/// One thing to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeTask {
    /// The lead.
    pub lead: DocId,
    /// Its customer.
    pub customer_name: String,
    /// What sort of thing.
    pub kind: ActKind,
    /// The todo, or the fact that opened it.
    pub id: EntryId,
    /// 事项.
    pub title: String,
    /// By when it is due; of a day its end in the company's zone.
    pub due_ms: i64,
    /// It is too late.
    pub overdue: bool,
    /// What is lost with it, fen; `None`: no budget is known, or it is not at risk.
    pub at_risk_fen: Option<i64>,
    /// The sentence for that (C32); empty without a budget.
    pub at_risk_text: String,
}

/// A lead with something to fill in before the next visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeReminder {
    /// The lead.
    pub lead: DocId,
    /// Its customer.
    pub customer_name: String,
    /// The day of the visit or contact, ISO.
    pub day: String,
    /// The fields, by their names in the document.
    pub fields: Vec<String>,
    /// The sentence, with the names of the fields for the user.
    pub text: String,
}

/// A first response that is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeCountdown {
    /// The lead.
    pub lead: DocId,
    /// Its customer.
    pub customer_name: String,
    /// The assignment that opened it.
    pub epoch: EntryId,
    /// By when it is due.
    pub due_ms: i64,
    /// How long that is from now, milliseconds.
    pub left_ms: i64,
}

/// 本次沟通结束: what is proposed (C31).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndOfTalk {
    /// The version of the policy that proposes it.
    pub policy: EntryId,
    /// The day of the next contact, ISO.
    pub next_contact: String,
    /// The todo for it.
    pub todo: String,
    /// 客户状态 that was heard (C37).
    pub customer_state: Option<String>,
    /// The word by which it was heard.
    pub word: Option<String>,
    /// Talk packs that help against what was said, by their ids in the playbook (C38).
    pub talk_packs: Vec<String>,
}

/// What the end of a talk comes to: the proposal, as the rep accepted or changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TalkPlan {
    /// What took place.
    pub talk: Talk,
    /// The day of the next contact, ISO; `None`: none.
    pub next_contact: Option<String>,
    /// The todo for it.
    pub todo: String,
    /// 客户状态; `None`: as it is.
    pub customer_state: Option<String>,
}

/// What took place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Talk {
    /// 拜访.
    Visit {
        /// The visit.
        visit: Visit,
    },
    /// 触达.
    Touch {
        /// The touch.
        touch: Touch,
    },
}

/// What the end of a talk has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedTalk {
    /// The entry of the log.
    pub entry: EntryId,
    /// The todo for the next contact.
    pub todo: Option<EntryId>,
}

/// Whether 沟通中 may be set by hand (C36).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TalkStart {
    /// The entry that shows that there was a talk; `None`: refused.
    pub shown_by: Option<EntryId>,
    /// Its first sentence.
    pub first_sentence: String,
    /// Why it is refused, for the user; empty: it is not.
    pub refusal: String,
}

/// The policy in force, as far as an app draws forms by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyForms {
    /// What the company calls it.
    pub name: String,
    /// The version; all zeros: the pack that ships.
    pub version: EntryId,
    /// From when it is in force; `None`: it always was.
    pub effective_from_ms: Option<i64>,
    /// 阶段, in their order.
    pub stages: Vec<PolicyChoice>,
    /// The rows of the advancement table, in their order.
    pub rows: Vec<PolicyChoice>,
    /// The questions of the loss predictor.
    pub loss_ticks: Vec<PolicyChoice>,
    /// The kinds of signals.
    pub signals: Vec<PolicyChoice>,
}

/// Something that an app offers by name and writes by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyChoice {
    /// By which it is written.
    pub id: String,
    /// As it is called or asked.
    pub name: String,
    /// Of a signal: the levels of which it has to carry one (C42), the worst first; else none.
    pub levels: Vec<String>,
}
