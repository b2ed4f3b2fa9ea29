//! The records and enums that an app sees, as `fieldbook-device` and `fieldbook-core` define them: the same fields again for the generator,
//! which the compiler holds against the definitions. Nothing lives here.

use fieldbook_core::document::{Path as FieldPath, Value as FieldValue};
use fieldbook_core::ids::{DeviceId, DocId, EntryId, Hash32, UserId};
use fieldbook_core::model::{
    AccountFields, AdvancementRow, Approval, CalendarEntry, Cell as BoardCell, Contact,
    Direction as TouchDirection, Importance, LeadFields, NewAccount, NewLead, Outcome as TouchOutcome,
    Signal, StageProposal, Todo, Touch, TouchChannel, Urgency, Visit,
};
use fieldbook_device::{
    AccountPage, AccountRow, Attachment, CalendarItem, ConflictChoice, ConflictItem, ContactItem, DueTodo,
    EvidenceItem, EvidencePlace, FirstContact, Handover, Happening, ImportedColumn, KeptItem, KeptWords,
    Language, LeadPage, LeadQuery, LeadRow, Me, Network, NoteReading, Phone, Status, SyncReport, TagItem,
    TimelineItem, Today, TodoItem, Undone,
};

mod home;
mod judgement;
mod playbook;

/// The language of sentences for the user.
#[uniffi::remote(Enum)]
pub enum Language {
    /// 中文.
    Chinese,
    /// English.
    English,
}

/// What the app knows of the network. The library cannot ask the system.
#[uniffi::remote(Enum)]
pub enum Network {
    /// Everything may go over it.
    Unmetered,
    /// Evidence that was attached for an unmetered network waits. So it is until the app says what network there is.
    Metered,
    /// There is none: a standing connection rests until this changes.
    Offline,
}

/// What a round of sync did.
#[uniffi::remote(Record)]
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
#[uniffi::remote(Record)]
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
#[uniffi::remote(Record)]
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
#[uniffi::remote(Record)]
pub struct LeadQuery {
    /// Part of a customer's or hospital's name, or pinyin initials; empty: all.
    #[uniffi(default = "")]
    pub text: String,
    /// How many matches to pass over.
    #[uniffi(default = 0)]
    pub offset: u32,
    /// How many at the most; 1 to 500.
    #[uniffi(default = 50)]
    pub limit: u32,
    /// Only leads with a field in conflict.
    #[uniffi(default = false)]
    pub only_conflicts: bool,
    /// Only leads that were deleted, to look at them or restore them; they are in no other list.
    #[uniffi(default = false)]
    pub deleted: bool,
}

/// One lead in a list.
#[uniffi::remote(Record)]
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
#[uniffi::remote(Record)]
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

/// A contact with its id.
#[uniffi::remote(Record)]
pub struct ContactItem {
    /// Its entry.
    pub id: EntryId,
    /// The contact.
    pub contact: Contact,
}

/// A todo with its id.
#[uniffi::remote(Record)]
pub struct TodoItem {
    /// Its entry.
    pub id: EntryId,
    /// The todo.
    pub todo: Todo,
}

/// A tag (C47).
#[uniffi::remote(Record)]
pub struct TagItem {
    /// The tag.
    pub name: String,
    /// When it stops counting; `None`: never.
    pub expires_ms: Option<i64>,
    /// Whether it counts now.
    pub fresh: bool,
}

/// One thing that happened.
#[uniffi::remote(Record)]
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
#[uniffi::remote(Enum)]
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
#[uniffi::remote(Record)]
pub struct ImportedColumn {
    /// Its name in the table; `City`, `Address`, `Email`, `Tags` and `ContactTitle` for those that the import knows.
    pub name: String,
    /// What it says; a long text goes on in the next entry.
    pub text: String,
}

/// A piece of evidence (O5).
#[uniffi::remote(Record)]
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
#[uniffi::remote(Enum)]
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

/// How far the last act was taken back.
#[uniffi::remote(Enum)]
pub enum Undone {
    /// All of it.
    Whole,
    /// Some of it: the rest others have written over, or built on, since.
    Partly,
}

/// What is attached.
#[uniffi::remote(Record)]
pub struct Attachment {
    /// File name.
    #[uniffi(default = "")]
    pub name: String,
    /// Media type, such as `image/jpeg`.
    #[uniffi(default = "")]
    pub mime: String,
    /// When it was taken; `None`: now.
    #[uniffi(default = None)]
    pub captured_at_ms: Option<i64>,
    /// The event that it proves.
    #[uniffi(default = None)]
    pub event: Option<EntryId>,
    /// The bytes wait for an unmetered network; only a phone that is being revoked sends them over any.
    #[uniffi(default = false)]
    pub unmetered_only: bool,
}

/// A field with two or more values.
#[uniffi::remote(Record)]
pub struct ConflictItem {
    /// The document.
    pub doc: DocId,
    /// Which register of it.
    pub path: FieldPath,
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
#[uniffi::remote(Record)]
pub struct ConflictChoice {
    /// The value; null: emptied.
    pub value: FieldValue,
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
#[uniffi::remote(Record)]
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
#[uniffi::remote(Record)]
pub struct KeptWords {
    /// The field's name.
    pub label: String,
    /// What was written; empty: it was emptied or taken away.
    pub text: String,
}

/// One block of the calendar.
#[uniffi::remote(Record)]
pub struct CalendarItem {
    /// Its entry, the same in whatever month it lies.
    pub id: EntryId,
    /// The block.
    pub entry: CalendarEntry,
    /// The lead's customer; empty when the phone does not hold the lead.
    pub customer_name: String,
    /// Its place in the 3×3 of today (C58).
    pub cell: Option<BoardCell>,
}

/// A todo of some lead.
#[uniffi::remote(Record)]
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
#[uniffi::remote(Record)]
pub struct Today {
    /// The day in the company's zone, ISO.
    pub day: String,
    /// Today's blocks of the calendar, by time.
    pub entries: Vec<CalendarItem>,
    /// Open todos that are due, the oldest first.
    pub todos: Vec<DueTodo>,
}

/// The way to the user's next phone.
#[uniffi::remote(Record)]
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
#[uniffi::remote(Record)]
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

/// One scalar in a document. As JSON it is the JSON scalar itself.
#[uniffi::remote(Enum)]
pub enum FieldValue {
    /// Emptied, or never known.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number: fen, basis points, milliseconds, counts.
    Int(i64),
    /// Text, ids in hex, ISO days.
    Text(String),
}

/// Where a register is: a field, a key of an open-keyed map, or a name inside a record.
#[uniffi::remote(Record)]
pub struct FieldPath {
    /// Root field.
    pub field: String,
    /// Key of an open-keyed map, or the record's id in hex.
    pub key: Option<String>,
    /// Name of the register inside a record.
    pub name: Option<String>,
}

/// The registers of a lead.
#[uniffi::remote(Record)]
pub struct LeadFields {
    /// 客户名称 (mandatory, C3).
    #[uniffi(default = None)]
    pub customer_name: Option<String>,
    /// 联系人手机 (mandatory, C3).
    #[uniffi(default = None)]
    pub contact_phone: Option<String>,
    /// 需求关键词, one of `NEEDS` (mandatory, C3).
    #[uniffi(default = None)]
    pub need: Option<String>,
    /// 客户档案.
    #[uniffi(default = None)]
    pub account: Option<DocId>,
    /// 医院.
    #[uniffi(default = None)]
    pub hospital: Option<String>,
    /// 科室.
    #[uniffi(default = None)]
    pub department: Option<String>,
    /// 设备.
    #[uniffi(default = None)]
    pub equipment: Option<String>,
    /// 倾向品牌.
    #[uniffi(default = None)]
    pub brand: Option<String>,
    /// 预算下限, fen.
    #[uniffi(default = None)]
    pub budget_min_fen: Option<i64>,
    /// 预算上限, fen.
    #[uniffi(default = None)]
    pub budget_max_fen: Option<i64>,
    /// 来源渠道.
    #[uniffi(default = None)]
    pub source: Option<String>,
    /// 行业.
    #[uniffi(default = None)]
    pub industry: Option<String>,
    /// 省份.
    #[uniffi(default = None)]
    pub province: Option<String>,
    /// 区域代码.
    #[uniffi(default = None)]
    pub region_code: Option<String>,
    /// 采购时间.
    #[uniffi(default = None)]
    pub purchase_timing: Option<String>,
    /// 客户状态 (C4).
    #[uniffi(default = None)]
    pub customer_state: Option<String>,
    /// 下一步动作 (C4).
    #[uniffi(default = None)]
    pub next_action: Option<String>,
    /// 预计成交时间, an ISO day (C4).
    #[uniffi(default = None)]
    pub expected_close: Option<String>,
    /// Deleted by the rep; the document stays.
    #[uniffi(default = None)]
    pub deleted: Option<bool>,
}

/// 联系人: somebody at the customer, with the role and attitude of the decision chain (C13, C53).
#[uniffi::remote(Record)]
pub struct Contact {
    /// 姓名.
    #[uniffi(default = None)]
    pub name: Option<String>,
    /// 职务.
    #[uniffi(default = None)]
    pub title: Option<String>,
    /// 角色, e.g. 院长, 科室采购员 (C13).
    #[uniffi(default = None)]
    pub role: Option<String>,
    /// 态度: 支持/观望/反对 (C53).
    #[uniffi(default = None)]
    pub attitude: Option<String>,
    /// 电话.
    #[uniffi(default = None)]
    pub phone: Option<String>,
}

/// 待办.
#[uniffi::remote(Record)]
pub struct Todo {
    /// 事项.
    #[uniffi(default = None)]
    pub title: Option<String>,
    /// 到期: an ISO day, or milliseconds since 1970 UTC.
    #[uniffi(default = None)]
    pub due: Option<String>,
    /// 已完成.
    #[uniffi(default = None)]
    pub done: Option<bool>,
}

/// A lead to be created.
#[uniffi::remote(Record)]
pub struct NewLead {
    /// Registers, any of them.
    pub fields: LeadFields,
    /// First note.
    #[uniffi(default = "")]
    pub notes: String,
    /// First contacts.
    #[uniffi(default = [])]
    pub contacts: Vec<Contact>,
}

/// The fields of an account.
#[uniffi::remote(Record)]
pub struct AccountFields {
    /// 客户名称.
    #[uniffi(default = None)]
    pub name: Option<String>,
    /// 省份.
    #[uniffi(default = None)]
    pub province: Option<String>,
    /// 城市.
    #[uniffi(default = None)]
    pub city: Option<String>,
    /// 地址.
    #[uniffi(default = None)]
    pub address: Option<String>,
    /// 电话.
    #[uniffi(default = None)]
    pub phone: Option<String>,
    /// 等级.
    #[uniffi(default = None)]
    pub level: Option<String>,
    /// 行业.
    #[uniffi(default = None)]
    pub industry: Option<String>,
    /// The account that this one duplicates (O12).
    #[uniffi(default = None)]
    pub same_as: Option<DocId>,
    /// Deleted; the document stays.
    #[uniffi(default = None)]
    pub deleted: Option<bool>,
}

/// An account to be created.
#[uniffi::remote(Record)]
pub struct NewAccount {
    /// Registers; the name is what an account cannot do without.
    pub fields: AccountFields,
    /// First note.
    #[uniffi(default = "")]
    pub notes: String,
    /// First contacts, with their part in the decision (C53).
    #[uniffi(default = [])]
    pub contacts: Vec<Contact>,
}

/// One account in a list.
#[uniffi::remote(Record)]
pub struct AccountRow {
    /// The account.
    pub id: DocId,
    /// 客户名称.
    pub name: String,
    /// 城市.
    pub city: String,
}

/// Everything of one account.
#[uniffi::remote(Record)]
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

/// One row of the table.
#[uniffi::remote(Record)]
pub struct AdvancementRow {
    /// Row id.
    pub id: String,
    /// The question; empty for a row that policy added (C56), which knows its own.
    pub question: String,
    /// 已确认 or 待确认.
    pub confirmed: bool,
    /// What was found out.
    pub answer: String,
    /// Two people ticked or answered differently at once; both are kept (C55).
    pub conflict: bool,
}

/// 拜访: the three fields of C4, the rest optional.
#[uniffi::remote(Record)]
pub struct Visit {
    /// 客户状态.
    #[uniffi(default = "")]
    pub customer_state: String,
    /// 下一步动作.
    #[uniffi(default = "")]
    pub next_action: String,
    /// 预计成交时间, an ISO day or what was said.
    #[uniffi(default = "")]
    pub expected_close: String,
    /// What was talked about.
    #[uniffi(default = "")]
    pub note: String,
    /// The contact who was met.
    #[uniffi(default = None)]
    pub contact: Option<EntryId>,
    /// Where.
    #[uniffi(default = "")]
    pub place: String,
    /// When the visit was, if not when it was logged. Milliseconds since 1970 UTC, by the rep's word.
    #[uniffi(default = None)]
    pub visited_at_ms: Option<i64>,
}

/// 触达.
#[uniffi::remote(Record)]
pub struct Touch {
    /// Through what.
    pub channel: TouchChannel,
    /// From whom to whom.
    pub direction: TouchDirection,
    /// How it ended.
    pub outcome: TouchOutcome,
    /// What was said.
    pub text: String,
    /// When, if not when it was logged. Milliseconds since 1970 UTC, by the rep's word.
    pub at_ms: Option<i64>,
}

/// Through what a customer was touched.
#[uniffi::remote(Enum)]
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
    Other,
}

/// Who touched whom.
#[uniffi::remote(Enum)]
pub enum TouchDirection {
    /// We them.
    Out,
    /// They us.
    In,
}

/// How a touch ended.
#[uniffi::remote(Enum)]
pub enum TouchOutcome {
    /// 已接通.
    Reached,
    /// 无应答 (C34 counts these).
    NoReply,
    /// 拒绝.
    Refused,
    /// What a newer version knows.
    Other,
}

/// 阶段申请.
#[uniffi::remote(Record)]
pub struct StageProposal {
    /// The stage proposed.
    #[uniffi(default = "")]
    pub to: String,
    /// Evidence entries that prove it.
    #[uniffi(default = [])]
    pub evidence: Vec<EntryId>,
    /// Why.
    #[uniffi(default = "")]
    pub note: String,
    /// The version of the policy that whoever proposed it saw; left out: the one that this phone holds (O13).
    #[uniffi(default = None)]
    pub policy: Option<EntryId>,
}

/// 信号 (C2, C10, C36–C38, C45, C81).
#[uniffi::remote(Record)]
pub struct Signal {
    /// Its kind, one of those that the policy names.
    #[uniffi(default = "")]
    pub kind: String,
    /// What it is about: the page, the document, the product.
    #[uniffi(default = "")]
    pub about: String,
    /// How much: seconds on the page, yuan of a purchase.
    #[uniffi(default = None)]
    pub amount: Option<i64>,
    /// What was said.
    #[uniffi(default = "")]
    pub text: String,
    /// How bad it is, one of the levels that the policy names for its kind (C42: 服务风险等级).
    #[uniffi(default = "")]
    pub level: String,
    /// When, if not when it was logged. Milliseconds since 1970 UTC.
    #[uniffi(default = None)]
    pub at_ms: Option<i64>,
}

/// 审批.
#[uniffi::remote(Record)]
pub struct Approval {
    /// The proposal.
    pub proposal: EntryId,
    /// Yes or no.
    pub approved: bool,
    /// Why.
    #[uniffi(default = "")]
    pub note: String,
}

/// 日程: one block of the calendar (C59).
#[uniffi::remote(Record)]
pub struct CalendarEntry {
    /// The lead that it is about. Its name is looked up, never copied.
    #[uniffi(default = None)]
    pub lead: Option<DocId>,
    /// The day, ISO.
    #[uniffi(default = None)]
    pub day: Option<String>,
    /// 开始时间, `HH:MM`.
    #[uniffi(default = None)]
    pub start: Option<String>,
    /// 结束时间, `HH:MM`.
    #[uniffi(default = None)]
    pub end: Option<String>,
    /// 联系目的: what exactly is to be found out or settled.
    #[uniffi(default = None)]
    pub purpose: Option<String>,
    /// 必备材料.
    #[uniffi(default = None)]
    pub materials: Option<String>,
    /// 预期结果.
    #[uniffi(default = None)]
    pub expected_result: Option<String>,
    /// A类客户, 培育中 or B类客户.
    #[uniffi(default = None)]
    pub importance: Option<String>,
    /// 已完成.
    #[uniffi(default = None)]
    pub done: Option<bool>,
}

/// 重要性: the rows of the 3×3.
#[uniffi::remote(Enum)]
pub enum Importance {
    /// A类客户.
    A,
    /// 培育中.
    Nurturing,
    /// B类客户.
    B,
}

/// 紧急性: the columns of the 3×3.
#[uniffi::remote(Enum)]
pub enum Urgency {
    /// 今天.
    Today,
    /// 明天.
    Tomorrow,
    /// 本周.
    ThisWeek,
}

/// One cell of the 3×3.
#[uniffi::remote(Record)]
pub struct BoardCell {
    /// Row.
    pub importance: Importance,
    /// Column.
    pub urgency: Urgency,
}

/// What a note or a message says (C43, C44, C83, C84). What it does not say is empty.
#[uniffi::remote(Record)]
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
#[uniffi::remote(Record)]
pub struct FirstContact {
    /// Whether it asks an open question about the customer's need.
    pub effective: bool,
    /// The first such question.
    pub question: Option<String>,
}
