//! 裁定记录: what the server decided about a lead, as entries of the log `decisions` of its ruling (design decision 8). A record is
//! immutable; it names who decided, under which version of the policy, and why.

use serde::{Deserialize, Serialize};

use crate::document::LogEntry;
use crate::ids::{EntryId, Hash32, UserId};
use crate::policy::Who;

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Decision {
    /// 分配.
    Assign(Assigned),
    /// 触发: a rule did something, once for what opened it (O2).
    Fire(Firing),
    /// 解除: what a rule did was for a reason that late evidence took away. What had left the company stays in the log (O1, design decision 9).
    Cure(Cured),
    /// 共同负责 (O3): whoever worked on the lead before it moved, and was heard of after it, works on it with the new owner.
    Join {
        /// Who.
        user: UserId,
        /// The assignment whose work came late.
        epoch: EntryId,
    },
    /// 证据已验证: the bytes of evidence arrived and are what their hash says (O5).
    Verified {
        /// Of the bytes.
        hash: Hash32,
    },
    /// 已收到: the server has a proposal whose approval is a matter of hours from then (C28).
    Received {
        /// The proposal.
        entry: EntryId,
    },
    /// What a newer version decided.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

/// 分配.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// Whose it was before; empty: nobody's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// To whom.
    pub to: UserId,
    /// Who decided; the server's own user where a rule did.
    #[serde(default)]
    pub by: UserId,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// The version of the policy that decided; `None`: a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<EntryId>,
}

/// 触发.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    /// The rule: `response`, `unassigned`, `task/brochure`, `nurturing/0`, `objections`, `offer`, `duplicate`.
    pub rule: String,
    /// The fact that opened it (O2).
    pub epoch: EntryId,
    /// The version of the policy by which it fired.
    pub policy: EntryId,
    /// Why, in Chinese.
    pub why: String,
    /// Who is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tell: Vec<Who>,
}

/// 解除.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cured {
    /// The firing.
    pub firing: EntryId,
    /// What showed it, where that is an entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<EntryId>,
    /// Why, in Chinese.
    pub why: String,
}

/// A decision with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedDecision {
    /// Unique for ever.
    pub id: EntryId,
    /// When it was recorded, milliseconds since 1970 UTC, by the server's clock.
    pub at_ms: i64,
    /// What was decided.
    pub decision: Decision,
}

impl Decision {
    /// Reads an entry of the log; what is not understood is [`Decision::Unknown`].
    pub fn read(entry: &LogEntry) -> LoggedDecision {
        let decision = serde_json::from_str(&entry.body);
        LoggedDecision {
            id: entry.id,
            at_ms: entry.at.at_ms,
            decision: decision.unwrap_or(Decision::Unknown(serde_json::Value::Null)),
        }
    }
}
