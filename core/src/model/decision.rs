//! 裁定记录: what the server decided about a lead, as entries of the log `decisions` of its ruling (design decision 8). A record is
//! immutable; it names who decided, under which version of the policy, and why.

use serde::{Deserialize, Serialize};

use crate::document::LogEntry;
use crate::ids::{EntryId, Hash32, UserId};

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Decision {
    /// 分配.
    Assign(Assigned),
    /// 升级: a supervisor was called, because nobody answered in time (C1, C22).
    Escalate(Escalated),
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

/// 升级.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalated {
    /// The fact that opened the deadline (O2).
    pub epoch: EntryId,
    /// Who was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<UserId>,
    /// The version of the policy that set the deadline.
    pub policy: EntryId,
}

/// A decision with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
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
