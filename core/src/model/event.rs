//! What happened, as entries of a log: visits, touches, stage proposals, evidence (O4, O5, O6). An entry is JSON with
//! a `type`; what this version does not know is kept as it is and shown to nobody.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::document::{Clocks, Doc, Edit, LogEntry, retraction, retraction_id};
use crate::ids::{DeviceId, EntryId, Hash32, UserId};
use crate::time::{Act, Occurred};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// 拜访.
    Visit(Visit),
    /// 触达: a call, a message, a mail.
    Touch(Touch),
    /// 阶段申请: the server confirms it or rolls it back (O4).
    StageProposal(StageProposal),
    /// 信号: something that the customer did or a colleague recorded.
    Signal(Signal),
    /// 审批: a supervisor's word on a proposal (C28, C63).
    Approval(Approval),
    /// 已读: whoever owns the lead opened it (C18, O8).
    Read {},
    /// 导入: what a table said beside the fields that a lead has.
    Import(Import),
    /// 撤回: takes an earlier entry of the log back.
    Retract {
        /// The entry.
        entry: EntryId,
    },
    /// What a newer version wrote.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

/// 导入: columns of a table without a field of the lead.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Import {
    /// How the table calls the lead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Texts by column.
    pub extra: BTreeMap<String, String>,
    /// Which entry of several this is, from 2; a text that fills one goes on under its name in the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
}

/// 拜访: the three fields of C4, the rest optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Visit {
    /// 客户状态.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub customer_state: String,
    /// 下一步动作.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub next_action: String,
    /// 预计成交时间, an ISO day or what was said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expected_close: String,
    /// What was talked about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The contact who was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<EntryId>,
    /// Where.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// When the visit was, if not when it was logged. Milliseconds since 1970 UTC, by the rep's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visited_at_ms: Option<i64>,
}

/// 信号 (C2, C10, C36–C38, C45, C81).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signal {
    /// Its kind, one of those that the policy names.
    pub kind: String,
    /// What it is about: the page, the document, the product.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// How much: seconds on the page, yuan of a purchase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// What was said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// How bad it is, one of the levels that the policy names for its kind (C42: 服务风险等级).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub level: String,
    /// When, if not when it was logged. Milliseconds since 1970 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<i64>,
}

/// 审批.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The proposal.
    pub proposal: EntryId,
    /// Yes or no.
    pub approved: bool,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// 触达.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// Through what.
    pub channel: TouchChannel,
    /// From whom to whom.
    pub direction: Direction,
    /// How it ended.
    pub outcome: Outcome,
    /// What was said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// When, if not when it was logged. Milliseconds since 1970 UTC, by the rep's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<i64>,
}

/// Through what a customer was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TouchChannel {
    /// 电话.
    Phone,
    /// 微信.
    Wechat,
    /// 短信.
    Sms,
    /// 邮件.
    Mail,
    /// 线上会议.
    Meeting,
    /// What a newer version knows.
    #[serde(other)]
    Other,
}

/// Who touched whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// We them.
    Out,
    /// They us.
    In,
}

/// How a touch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// 已接通.
    Reached,
    /// 无应答 (C34 counts these).
    NoReply,
    /// 拒绝.
    Refused,
    /// What a newer version knows.
    #[serde(other)]
    Other,
}

/// 阶段申请.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StageProposal {
    /// The stage proposed.
    pub to: String,
    /// Evidence entries that prove it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EntryId>,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The version of the policy that whoever proposed it saw; `None`: the one in force then (O13).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<EntryId>,
}

/// 证据: a photo, a PDF, a recording. The bytes travel apart and follow later (O5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// SHA-256 of the bytes.
    pub hash: Hash32,
    /// Their size.
    pub size_bytes: u64,
    /// Media type.
    pub mime: String,
    /// File name.
    pub name: String,
    /// When it was taken, milliseconds since 1970 UTC.
    pub captured_at_ms: i64,
    /// The event that it proves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EntryId>,
}

/// An event with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedEvent {
    /// Unique for ever (O6).
    pub id: EntryId,
    /// When it was logged.
    pub at: Occurred,
    /// By whom.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// What happened.
    pub event: Event,
}

impl LoggedEvent {
    /// When it happened, milliseconds: by the rep's word where there is one, but never after it was logged (O1).
    pub fn happened_at_ms(&self) -> i64 {
        let said = match &self.event {
            Event::Visit(visit) => visit.visited_at_ms,
            Event::Touch(touch) => touch.at_ms,
            Event::Signal(signal) => signal.at_ms,
            _ => None,
        };
        said.map_or(self.at.at_ms, |said| said.min(self.at.at_ms))
    }
}

/// Evidence with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedEvidence {
    /// Its entry.
    pub id: EntryId,
    /// When it was attached.
    pub at: Occurred,
    /// By whom.
    pub user: UserId,
    /// What it is.
    pub evidence: Evidence,
}

impl Event {
    /// Reads the body of an entry; what is not understood is [`Event::Unknown`].
    pub fn parse(body: &str) -> Self {
        serde_json::from_str(body).unwrap_or(Event::Unknown(serde_json::Value::Null))
    }

    /// The edit that logs this event under a fresh id; a retraction gets the id derived from its entry.
    pub fn log(&self, act: &Act) -> Edit {
        match self {
            Event::Retract { entry } => retraction("events", *entry),
            event => Edit::Append { log: "events".to_owned(), id: act.fresh_id(), body: json(event) },
        }
    }
}

impl Visit {
    /// Logs the visit and sets the three registers it tells (C4); blank ones are left as they are.
    pub fn edits(&self, act: &Act) -> Vec<Edit> {
        let told = [
            ("customer_state", &self.customer_state),
            ("next_action", &self.next_action),
            ("expected_close", &self.expected_close),
        ];
        let set = |(field, text): &(&str, &String)| Edit::Set {
            field: (*field).to_owned(),
            value: text.as_str().into(),
        };
        let mut edits = vec![Event::Visit(self.clone()).log(act)];
        edits.extend(told.iter().filter(|(_, text)| !text.trim().is_empty()).map(set));
        edits
    }
}

impl Evidence {
    /// The edit that attaches it under a fresh id.
    pub fn attach(&self, act: &Act) -> Edit {
        Edit::Append { log: "evidence".to_owned(), id: act.fresh_id(), body: json(self) }
    }
}

/// The events of a document in the order they were logged, retracted ones and retractions left out.
pub fn events(doc: &Doc, clocks: &dyn Clocks) -> Vec<LoggedEvent> {
    let all: Vec<_> = doc
        .log("events", clocks)
        .into_iter()
        .map(|entry| LoggedEvent {
            id: entry.id,
            at: entry.at,
            user: entry.user(),
            device: entry.device,
            event: Event::parse(&entry.body),
        })
        .collect();
    let retractions = Retractions::of(all.iter().map(|logged| (logged.id, &logged.event)));
    let stands = |logged: &LoggedEvent| retracts(&logged.event).is_none() && retractions.stands(logged.id);
    all.into_iter().filter(stands).collect()
}

/// The evidence of a document in the order it was attached, retracted pieces left out.
pub fn evidence(doc: &Doc, clocks: &dyn Clocks) -> Vec<LoggedEvidence> {
    let log = doc.log("evidence", clocks);
    let parsed: Vec<_> = log.iter().map(|entry| (entry.id, Event::parse(&entry.body))).collect();
    let retractions = Retractions::of(parsed.iter().map(|(id, event)| (*id, event)));
    let piece = |entry: LogEntry| {
        let evidence = serde_json::from_str(&entry.body).ok()?;
        Some(LoggedEvidence { id: entry.id, at: entry.at, user: entry.user(), evidence })
    };
    log.into_iter().filter(|entry| retractions.stands(entry.id)).filter_map(piece).collect()
}

fn retracts(event: &Event) -> Option<EntryId> {
    match event {
        Event::Retract { entry } => Some(*entry),
        _ => None,
    }
}

/// The entries that retract others. A retraction counts only under the id derived from its entry, so every entry has at most
/// one, and they form chains: undo, redo, undo.
struct Retractions(BTreeSet<EntryId>);

impl Retractions {
    fn of<'a>(log: impl Iterator<Item = (EntryId, &'a Event)>) -> Self {
        let derived = |(id, event): (EntryId, &Event)| {
            retracts(event).filter(|entry| retraction_id(*entry) == id).map(|_| id)
        };
        Self(log.filter_map(derived).collect())
    }

    fn stands(&self, id: EntryId) -> bool {
        let chain =
            std::iter::successors(Some(id), |id| Some(retraction_id(*id)).filter(|r| self.0.contains(r)));
        chain.take(self.0.len() + 1).count() % 2 == 1
    }
}

/// Serialising these plain structs cannot fail: no map has keys that are not text.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
