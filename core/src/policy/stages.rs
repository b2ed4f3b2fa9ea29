//! 阶段: the stages of a lead with what each needs (C24, C27, C61–C66).

use serde::{Deserialize, Serialize};

use super::Condition;

/// 阶段.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// By which proposals name it. Never changes.
    pub id: String,
    /// As it is called.
    pub name: String,
    /// Days in it after which a lead counts as stuck (C66); left out: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck_after_days: Option<u32>,
    /// What a lead needs to be in it. All of them (C62–C64).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    /// 成交: whether a lead here is won.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub won: bool,
    /// 丢单: whether a lead here is lost. A lead can be lost from everywhere, and it is no jump.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

/// One thing that a stage needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// As it is named when it is missing.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub what: Proof,
}

/// What proves that a need is met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// 证据: a file, by hash and, if the company wants it, verified (O5).
    Evidence(EvidenceNeed),
    /// 客户回复: the customer touched us, after what is evidenced was sent.
    CustomerReply {
        /// Whether it must come after the evidence that the same stage needs (C62).
        #[serde(default)]
        after_evidence: bool,
    },
    /// 拜访或线上会议 (C63).
    Meeting {},
    /// 推进表: these rows are confirmed (C64).
    Ticks {
        /// Ids of rows.
        rows: Vec<String>,
    },
    /// 信号: one of this kind was recorded.
    Signal {
        /// Its kind.
        kind: String,
    },
    /// A condition over what is known of the lead (C63: 预算区间 is not 待确认).
    When {
        /// The condition.
        holds: Condition,
    },
    /// 主管审批: of the proposal, by a leader, from its receipt within so many hours (C28, C63).
    Approval {
        /// Hours.
        within_hours: u32,
    },
}

/// Which file proves it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvidenceNeed {
    /// What its name contains, whatever the case; empty: anything (C62: Quotation).
    pub name_contains: String,
    /// What its media type begins with; empty: any (`application/pdf`, `image/`).
    pub media: String,
    /// Whether its bytes must have arrived (O5); else its hash is enough.
    pub verified: bool,
}
