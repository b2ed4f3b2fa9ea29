//! What the facade hands out: plain, immutable records. Times are milliseconds since 1970 UTC, corrected where the name says nothing else.

use fieldbook_core::document::{Path, Value};
use fieldbook_core::ids::{DeviceId, DocId, EntryId, Hash32, UserId};
use fieldbook_core::model::{
    AccountFields, AdvancementRow, Approval, CalendarEntry, Cell, Contact, LeadFields, Signal, StageProposal,
    Todo, Touch, Visit,
};

mod home;
mod judgement;
mod playbook;

pub use home::{
    EndOfTalk, FinishedTalk, Home, HomeCountdown, HomeReminder, HomeTask, PolicyChoice, PolicyForms, Talk,
    TalkPlan, TalkStart,
};
pub use judgement::{
    CardItem, ChainItem, ChainPerson, FieldsItem, JudgedTag, LeadJudgement, LossItem, LossTickItem,
    NurturingItem, ProposalItem, ProposalOutcome, RadarItem, ResponseItem, ResponseOutcome, StageJudgement,
    TagWhy, Undetermined,
};
pub use playbook::{LostDealItem, MaterialItem, PlaybookFound, TalkPackItem};

/// What the app knows of the network. The library cannot ask the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// Everything may go over it.
    Unmetered,
    /// Evidence that was attached for an unmetered network waits. So it is until the app says what network there is: nobody's photographs
    /// go over mobile data because an app forgot to ask.
    #[default]
    Metered,
    /// There is none: a standing connection rests until this changes.
    Offline,
}

/// What a round of sync did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// Changes of this phone that became durable on the server.
    pub up: u64,
    /// Documents that changed on this phone.
    pub down: u64,
    /// Changes of this phone that the server did not merge in this round.
    pub set_aside: u64,
    /// Documents that left this phone.
    pub wiped: u64,
    /// Bytes of frames sent, without what websocket and TLS add.
    pub bytes_up: u64,
    /// Bytes of frames that came.
    pub bytes_down: u64,
    /// How often the phone waited for the server once the connection stood.
    pub round_trips: u32,
    /// From dialling to the end, milliseconds.
    pub millis: u64,
    /// Fields in conflict in the leads that changed.
    pub conflicts: u32,
    /// Work of this phone that was not merged, since ever.
    pub held: u32,
    /// Pieces of evidence that became durable on the server.
    pub evidence_up: u32,
    /// Bytes sent for them.
    pub evidence_bytes: u64,
    /// Pieces that still wait, for a better network or after a failure.
    pub evidence_waiting: u32,
    /// Pieces that the server would not take.
    pub evidence_refused: u32,
}

/// Who this phone is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// This device.
    pub device: DeviceId,
    /// Its user.
    pub user: UserId,
    /// The user's name.
    pub user_name: String,
    /// The company's name.
    pub company: String,
    /// The server's address.
    pub server: String,
    /// IANA name of the company's time zone.
    pub zone: String,
}

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Whether the phone is enrolled.
    pub enrolled: bool,
    /// Changes that are not yet durable on the server.
    pub unanswered: u64,
    /// Pieces of evidence that are not yet durable on the server.
    pub evidence_waiting: u32,
    /// Pieces of evidence that the server would not take; they stay on this phone and are offered again once a day.
    pub evidence_refused: u32,
    /// Work that the server did not merge.
    pub held: u32,
    /// Server time of the last contact; 0: never.
    pub last_contact_ms: i64,
    /// How far the phone's clock was ahead of the server's at the last contact, milliseconds.
    pub clock_skew_ms: i64,
    /// Whether that is beyond what a deadline tolerates (O1).
    pub clock_doubtful: bool,
    /// Whether reads are locked for want of contact.
    pub locked: bool,
    /// Whether everything that this phone may hold has come.
    pub complete: bool,
    /// Whether a connection stands now.
    pub online: bool,
    /// Whether a standing connection is wanted.
    pub background: bool,
    /// Code of why the last connection failed; empty when the last one was good.
    pub last_error: String,
    /// The sentence for it.
    pub last_error_text: String,
}

/// Which leads to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadQuery {
    /// Part of a customer's or hospital's name, or pinyin initials; empty: all.
    pub text: String,
    /// How many matches to pass over.
    pub offset: u32,
    /// How many at the most; 1 to 500.
    pub limit: u32,
    /// Only leads with a field in conflict.
    pub only_conflicts: bool,
    /// Only leads that were deleted, to look at them or restore them; they are in no other list.
    pub deleted: bool,
}

impl Default for LeadQuery {
    fn default() -> Self {
        Self { text: String::new(), offset: 0, limit: 50, only_conflicts: false, deleted: false }
    }
}

/// One lead in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadRow {
    /// The lead.
    pub id: DocId,
    /// 客户名称.
    pub customer_name: String,
    /// 医院.
    pub hospital: String,
    /// 需求关键词.
    pub need: String,
    /// 已确认阶段; empty: none yet.
    pub stage: String,
    /// 下一步动作.
    pub next_action: String,
    /// 预计成交时间.
    pub expected_close: String,
    /// The newest change of the lead or its table.
    pub updated_ms: i64,
    /// 推进指数, 0 to 100 (C55).
    pub index: u8,
    /// Fields in conflict.
    pub conflicts: u32,
    /// Mandatory fields that are empty (C3, C11).
    pub missing: Vec<String>,
    /// 负责人; `None` until the server has ruled: the creator.
    pub owner: Option<UserId>,
    /// Their name; empty when it is not known here.
    pub owner_name: String,
    /// Whether the owner is this phone's user.
    pub mine: bool,
    /// When it was deleted; `None` while it is not.
    pub deleted_at_ms: Option<i64>,
    /// By whom; empty when it is not known here, or not deleted.
    pub deleted_by: String,
    /// Somebody worked on it who did not know that it was deleted, or did so afterwards: a person should look whether it stays deleted.
    pub edited_since_deleted: bool,
}

/// Everything of one lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadPage {
    /// As lists show it.
    pub row: LeadRow,
    /// Its fields.
    pub fields: LeadFields,
    /// 备注.
    pub notes: String,
    /// 首次来源 (C10).
    pub first_source: String,
    /// 共同负责人 (O3), by name where known.
    pub joint_owners: Vec<String>,
    /// 联系人.
    pub contacts: Vec<ContactItem>,
    /// 待办, open ones first, by due day.
    pub todos: Vec<TodoItem>,
    /// 标签, stale ones too.
    pub tags: Vec<TagItem>,
    /// What happened, newest first.
    pub timeline: Vec<TimelineItem>,
    /// 证据, newest first.
    pub evidence: Vec<EvidenceItem>,
    /// 采购推进表 (C55).
    pub table: Vec<AdvancementRow>,
    /// Fields with two values.
    pub conflicts: Vec<ConflictItem>,
}

/// One account in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// The account.
    pub id: DocId,
    /// 客户名称.
    pub name: String,
    /// 城市.
    pub city: String,
}

/// Everything of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPage {
    /// The account.
    pub id: DocId,
    /// Its fields.
    pub fields: AccountFields,
    /// 备注.
    pub notes: String,
    /// 联系人与决策链 (C13, C53).
    pub contacts: Vec<ContactItem>,
    /// 标签, stale ones too (C47).
    pub tags: Vec<TagItem>,
    /// Fields with two values.
    pub conflicts: u32,
}

/// A contact with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactItem {
    /// Its entry.
    pub id: EntryId,
    /// The contact.
    pub contact: Contact,
}

/// A todo with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TodoItem {
    /// Its entry.
    pub id: EntryId,
    /// The todo.
    pub todo: Todo,
}

/// A tag (C47).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagItem {
    /// The tag.
    pub name: String,
    /// When it stops counting; `None`: never.
    pub expires_ms: Option<i64>,
    /// Whether it counts now.
    pub fresh: bool,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineItem {
    /// Its entry.
    pub id: EntryId,
    /// When it happened.
    pub at_ms: i64,
    /// When it was logged.
    pub logged_ms: i64,
    /// Whether the time is in doubt beyond five minutes (O1).
    pub doubtful: bool,
    /// Who logged it.
    pub user: UserId,
    /// Their name; empty when it is not known here.
    pub user_name: String,
    /// What it was.
    pub what: Happening,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
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
    /// 阶段申请.
    StageProposal {
        /// The proposal.
        proposal: StageProposal,
    },
    /// 信号: something that the customer did or a colleague recorded.
    Signal {
        /// The signal.
        signal: Signal,
    },
    /// 审批: a supervisor's word on a proposal.
    Approval {
        /// The word.
        approval: Approval,
    },
    /// 裁定: what the company's rules or somebody in the office decided about the lead, and why.
    Decided {
        /// The rule: `response`, `task/…`, `nurturing/…`, `objections`, `unassigned`, `offer`, `duplicate`; `assign`, `cure`, `join` and
        /// `verified` where it is no rule's.
        rule: String,
        /// What and why, for the user.
        text: String,
        /// The entry that caused it, or that it is about; of `duplicate` the other lead, of `unassigned` the lead; `None`: none.
        cause: Option<EntryId>,
        /// The version of the policy that decided, where a rule fired or gave the lead to somebody.
        policy: Option<EntryId>,
    },
    /// 导入: what the table that brought the lead said beside the fields of a lead.
    Imported {
        /// Column by column.
        columns: Vec<ImportedColumn>,
    },
    /// What is no news for a reader, or what only a newer version of the app understands.
    Other,
}

/// A column of an imported table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedColumn {
    /// Its name in the table; `City`, `Address`, `Email`, `Tags` and `ContactTitle` for those that the import knows.
    pub name: String,
    /// What it says; a long text goes on in the next entry.
    pub text: String,
}

/// A piece of evidence (O5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceItem {
    /// Its entry.
    pub id: EntryId,
    /// SHA-256 of the bytes.
    pub hash: Hash32,
    /// Their length.
    pub size_bytes: u64,
    /// Media type.
    pub mime: String,
    /// File name.
    pub name: String,
    /// When it was taken, by the rep's word.
    pub captured_at_ms: i64,
    /// When it was attached.
    pub at_ms: i64,
    /// Who attached it.
    pub user_name: String,
    /// The event that it proves.
    pub event: Option<EntryId>,
    /// Where the bytes are.
    pub place: EvidencePlace,
}

/// Where the bytes of a piece of evidence are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvidencePlace {
    /// On this phone, on their way to the server.
    Waiting,
    /// On this phone; the server would not take them, and is asked again once a day.
    Refused,
    /// On this phone and on the server.
    Safe,
    /// Not on this phone: the server has them, or the phone that took them does.
    Elsewhere,
}

/// What is attached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// File name.
    pub name: String,
    /// Media type, such as `image/jpeg`.
    pub mime: String,
    /// When it was taken; `None`: now.
    pub captured_at_ms: Option<i64>,
    /// The event that it proves.
    pub event: Option<EntryId>,
    /// The bytes wait for an unmetered network; only a phone that is being revoked sends them over any.
    pub unmetered_only: bool,
}

/// How far the last act was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// All of it.
    Whole,
    /// Some of it: the rest others have written over, or built on, since.
    Partly,
}

/// A field with two or more values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictItem {
    /// The document.
    pub doc: DocId,
    /// Which register of it.
    pub path: Path,
    /// Its name for the user.
    pub label: String,
    /// The lead that it is about; `None`: another kind of document, or a block of the calendar without a lead.
    pub lead: Option<DocId>,
    /// What it is about, for a list of many: the customer's name, the block's day and purpose.
    pub subject: String,
    /// The values, the one that counts for now first.
    pub values: Vec<ConflictChoice>,
}

/// One of the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictChoice {
    /// The value; null: emptied.
    pub value: Value,
    /// Who wrote it.
    pub user: UserId,
    /// Their name; empty when it is not known here.
    pub user_name: String,
    /// On which device.
    pub device: DeviceId,
    /// Its name; empty when it is not known here.
    pub device_name: String,
    /// When.
    pub at_ms: i64,
    /// Whether the time is in doubt beyond five minutes (O1).
    pub doubtful: bool,
}

/// Work of this phone that the server did not merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptItem {
    /// The document.
    pub doc: DocId,
    /// Its lead, when the phone still holds it.
    pub lead: Option<DocId>,
    /// The lead's customer; empty when the phone no longer holds it.
    pub customer_name: String,
    /// Number of the act on this phone.
    pub number: u64,
    /// Why, for programs.
    pub code: String,
    /// Why, for the user.
    pub text: String,
    /// What it said; nothing when its document left the phone.
    pub words: Vec<KeptWords>,
    /// When the server said so.
    pub at_ms: i64,
}

/// One thing that kept work wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptWords {
    /// The field's name.
    pub label: String,
    /// What was written; empty: it was emptied or taken away.
    pub text: String,
}

/// One block of the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarItem {
    /// Its entry, the same in whatever month it lies.
    pub id: EntryId,
    /// The block.
    pub entry: CalendarEntry,
    /// The lead's customer; empty when the phone does not hold the lead.
    pub customer_name: String,
    /// Its place in the 3×3 of today (C58).
    pub cell: Option<Cell>,
}

/// A todo of some lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTodo {
    /// The lead.
    pub lead: DocId,
    /// Its customer.
    pub customer_name: String,
    /// Its entry.
    pub id: EntryId,
    /// The todo.
    pub todo: Todo,
    /// Due before today.
    pub overdue: bool,
}

/// Today's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Today {
    /// The day in the company's zone, ISO.
    pub day: String,
    /// Today's blocks of the calendar, by time.
    pub entries: Vec<CalendarItem>,
    /// Open todos that are due, the oldest first.
    pub todos: Vec<DueTodo>,
}

/// The way to the user's next phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// The content of the QR code that the next phone scans.
    pub invitation: String,
    /// The code in it, to be typed.
    pub code: String,
    /// Server time at which it ends.
    pub expires_ms: i64,
    /// Changes of this phone that are not on the server yet: the next phone does not have them before this one has synced.
    pub unsent: u64,
    /// Pieces of evidence of which the same is true.
    pub evidence_unsent: u32,
}

/// A phone of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    /// Its id.
    pub device: DeviceId,
    /// What the user calls it.
    pub name: String,
    /// `active`, `revoked`, `stolen` or `wiped`.
    pub status: String,
    /// Whether it is this one.
    pub this: bool,
    /// Server time of its enrolment.
    pub enrolled_ms: i64,
    /// Server time of its last contact; 0: never.
    pub last_contact_ms: i64,
}

/// What a note or a message says (C43, C44, C83, C84). What it does not say is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteReading {
    /// 联系人, as addressed: 张院长.
    pub contact: Option<String>,
    /// 医院, without the department.
    pub hospital: Option<String>,
    /// 设备, without brand, model and count.
    pub equipment: Option<String>,
    /// 倾向品牌.
    pub brand: Option<String>,
    /// 预算下限, fen.
    pub budget_min_fen: Option<i64>,
    /// 预算上限, fen.
    pub budget_max_fen: Option<i64>,
    /// First day of the customer's next decisive act, ISO.
    pub from_day: Option<String>,
    /// Its last day, ISO.
    pub until_day: Option<String>,
    /// 待办: what our side has to do next, as said.
    pub todo: Option<String>,
    /// 需求关键词: 采购, 维保 or 升级.
    pub need: Option<String>,
    /// Leads on this phone that it may be about, at most five.
    pub leads: Vec<LeadRow>,
}

/// What a first contact is worth (C35).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstContact {
    /// Whether it asks an open question about the customer's need.
    pub effective: bool,
    /// The first such question.
    pub question: Option<String>,
}
