//! The one table of kinds, fields and how each field merges. It drives genesis, reading, conflicts, edits and the
//! gate's check of operations, and its printout is the page `docs/documents.md`.
//!
//! A row may be added for a plain register at any time: an older phone keeps it without knowing it. A row with any
//! other meaning is a nested object, which exists only in genesis, so adding one changes the genesis of its kind and
//! needs a new kind of document.

use std::fmt::Write as _;

use crate::ids::DocKind;

/// How concurrent edits of a field merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// One value; concurrent different values are a conflict that keeps both.
    Register,
    /// An open-keyed map of registers, each as [`Meaning::Register`].
    Registers,
    /// Fresh unique id → a map of registers. Removal is the register `removed`, never a deletion.
    Records,
    /// Key → JSON; adding wins over a concurrent removal.
    Set,
    /// Entry id → immutable JSON. Append only, never a conflict; a mistake is retracted by a further entry.
    Log,
    /// Text that merges character by character.
    Text,
}

/// What a register holds. Every register may also be emptied (null).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// Text.
    Text,
    /// A whole number.
    Int,
    /// Yes or no.
    Bool,
    /// Text or a whole number.
    TextOrInt,
    /// A JSON document kept as text.
    Json,
}

impl ValueType {
    /// Whether `value` may be written into a register of this type.
    pub fn admits(self, value: &super::Value) -> bool {
        use super::Value;
        match (self, value) {
            (_, Value::Null) => self != ValueType::Json,
            (ValueType::Text | ValueType::Json | ValueType::TextOrInt, Value::Text(_)) => true,
            (ValueType::Int | ValueType::TextOrInt, Value::Int(_)) => true,
            (ValueType::Bool, Value::Bool(_)) => true,
            _ => false,
        }
    }
}

/// One register inside a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Key in the record's map.
    pub name: &'static str,
    /// What it holds.
    pub value: ValueType,
    /// Chinese label.
    pub doc: &'static str,
}

/// One field of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Key at the root of the document.
    pub name: &'static str,
    /// How it merges.
    pub meaning: Meaning,
    /// What its registers hold.
    pub value: ValueType,
    /// Names that this register had in older versions. Reading takes all of them as one register, so that what an older phone still writes
    /// is not lost; writing uses the new name, and a former one where the document has it, so that an older phone reads the same.
    pub former: &'static [&'static str],
    /// The registers of a record; empty for every other meaning.
    pub parts: &'static [Part],
    /// Chinese label.
    pub doc: &'static str,
}

/// The fields of a kind, those of [`EVERY_KIND`] left out.
pub fn fields(kind: DocKind) -> &'static [Field] {
    match kind {
        DocKind::Account => ACCOUNT,
        DocKind::Lead => LEAD,
        DocKind::Ruling => RULING,
        DocKind::Advancement => ADVANCEMENT,
        DocKind::Finance => FINANCE,
        DocKind::Service => SERVICE,
        DocKind::Calendar => CALENDAR,
        DocKind::Policy => POLICY,
        DocKind::Directory => DIRECTORY,
        DocKind::Playbook => PLAYBOOK,
    }
}

/// The field of this name, if the kind has it.
pub fn field(kind: DocKind, name: &str) -> Option<&'static Field> {
    fields(kind).iter().chain(EVERY_KIND).find(|field| field.name == name)
}

/// The names under which a register is read: its own and its former ones.
pub(super) fn names(kind: DocKind, register: &str) -> impl Iterator<Item = &str> {
    let former = field(kind, register).map_or(&[][..], |field| field.former);
    std::iter::once(register).chain(former.iter().copied())
}

/// The field that is read under this name: its own or a former one.
pub(super) fn field_read_under(kind: DocKind, name: &str) -> Option<&'static Field> {
    let former = || fields(kind).iter().find(|field| field.former.contains(&name));
    field(kind, name).or_else(former)
}

/// The table as a page of Markdown.
pub fn printout() -> String {
    let mut page = String::new();
    for kind in DocKind::ALL {
        let _ =
            writeln!(page, "## {}\n\n| Field | 含义 | Merges as | Holds |\n|---|---|---|---|", kind.name());
        for field in fields(kind).iter().chain(EVERY_KIND) {
            let holds = match field.parts {
                [] => format!("{:?}", field.value),
                parts => {
                    let part = |p: &Part| format!("{} {:?} ({})", p.name, p.value, p.doc);
                    parts.iter().map(part).collect::<Vec<_>>().join(", ")
                }
            };
            let former = field.former.iter().map(|name| format!(", formerly `{name}`")).collect::<String>();
            let _ = writeln!(
                page,
                "| `{}`{former} | {} | {:?} | {holds} |",
                field.name, field.doc, field.meaning
            );
        }
        page.push('\n');
    }
    page.push_str("## Versions\n\n| Kind | Version | What changed |\n|---|---|---|\n");
    for (kind, version, what) in VERSIONS {
        let _ = writeln!(page, "| {} | {version} | {what} |", kind.name());
    }
    page
}

/// The root key that names the kind in genesis. Nobody may write it again.
pub const KIND_KEY: &str = "kind";

/// The register that says by which version of the table a document was written.
pub const SCHEMA_KEY: &str = "schema";

/// The versions of the table beyond the first, each with the kind that it changed and how. A document without the register `schema` has
/// version 1; whoever edits one of a lower version than their own writes theirs along with the edit, and the highest written counts.
/// Reading up-casts: nothing is ever rewritten by the clock or by a version alone.
pub const VERSIONS: &[(DocKind, i64, &str)] =
    &[(DocKind::Account, 2, "the register `tel` is called `phone`, as in contacts and leads")];

/// The version of a kind that this code writes.
pub fn version(kind: DocKind) -> i64 {
    VERSIONS.iter().filter(|(of, ..)| *of == kind).map(|(_, version, _)| *version).max().unwrap_or(1)
}

/// Registers that every kind has.
pub const EVERY_KIND: &[Field] = &[register(SCHEMA_KEY, ValueType::Int, "结构版本")];

const fn register(name: &'static str, value: ValueType, doc: &'static str) -> Field {
    Field { name, meaning: Meaning::Register, value, former: &[], parts: &[], doc }
}

/// A register that older versions of the table knew by other names.
const fn renamed(
    name: &'static str,
    former: &'static [&'static str],
    value: ValueType,
    doc: &'static str,
) -> Field {
    Field { name, meaning: Meaning::Register, value, former, parts: &[], doc }
}

const fn registers(name: &'static str, value: ValueType, doc: &'static str) -> Field {
    Field { name, meaning: Meaning::Registers, former: &[], value, parts: &[], doc }
}

const fn records(name: &'static str, parts: &'static [Part], doc: &'static str) -> Field {
    Field { name, meaning: Meaning::Records, former: &[], value: ValueType::TextOrInt, parts, doc }
}

const fn set(name: &'static str, doc: &'static str) -> Field {
    Field { name, meaning: Meaning::Set, former: &[], value: ValueType::Json, parts: &[], doc }
}

const fn log(name: &'static str, doc: &'static str) -> Field {
    Field { name, meaning: Meaning::Log, former: &[], value: ValueType::Json, parts: &[], doc }
}

const fn text(name: &'static str, doc: &'static str) -> Field {
    Field { name, meaning: Meaning::Text, former: &[], value: ValueType::Text, parts: &[], doc }
}

const fn part(name: &'static str, value: ValueType, doc: &'static str) -> Part {
    Part { name, value, doc }
}

const CONTACTS: &[Part] = &[
    part("name", ValueType::Text, "姓名"),
    part("title", ValueType::Text, "职务"),
    part("role", ValueType::Text, "角色"),
    part("attitude", ValueType::Text, "态度：支持/观望/反对"),
    part("phone", ValueType::Text, "电话"),
    part("removed", ValueType::Bool, "已移除"),
];

const LEAD: &[Field] = &[
    register("customer_name", ValueType::Text, "客户名称（必填，C3）"),
    register("contact_phone", ValueType::Text, "联系人手机（必填，C3）"),
    register("need", ValueType::Text, "需求关键词：采购/维保/升级（必填，C3）"),
    register("account", ValueType::Text, "客户档案编号"),
    register("hospital", ValueType::Text, "医院"),
    register("department", ValueType::Text, "科室"),
    register("equipment", ValueType::Text, "设备"),
    register("brand", ValueType::Text, "倾向品牌"),
    register("budget_min_fen", ValueType::Int, "预算下限（分）"),
    register("budget_max_fen", ValueType::Int, "预算上限（分）"),
    register("source", ValueType::Text, "来源渠道"),
    register("industry", ValueType::Text, "行业"),
    register("province", ValueType::Text, "省份"),
    register("region_code", ValueType::Text, "区域代码"),
    register("purchase_timing", ValueType::Text, "采购时间"),
    register("customer_state", ValueType::Text, "客户状态（C4）"),
    register("next_action", ValueType::Text, "下一步动作（C4）"),
    register("expected_close", ValueType::Text, "预计成交时间（C4）"),
    register("deleted", ValueType::Bool, "已删除"),
    text("notes", "备注"),
    records("contacts", CONTACTS, "联系人（C13、C53）"),
    records(
        "todos",
        &[
            part("title", ValueType::Text, "事项"),
            part("due", ValueType::TextOrInt, "到期（日期或毫秒）"),
            part("done", ValueType::Bool, "已完成"),
            part("removed", ValueType::Bool, "已移除"),
        ],
        "待办",
    ),
    log("events", "拜访、触达、阶段申请（O6）"),
    log("evidence", "证据：哈希、大小、类型、名称、拍摄时间（O5）"),
    set("tags", "标签，带有效期（C47）"),
];

const RULING: &[Field] = &[
    register("owner", ValueType::Text, "负责人"),
    register("creator", ValueType::Text, "创建人"),
    register("team", ValueType::Text, "团队"),
    register("account", ValueType::Text, "客户档案编号"),
    register("first_source", ValueType::Text, "首次来源（C10）"),
    register("received_at_ms", ValueType::Int, "服务器收到时间（毫秒）"),
    register("stage", ValueType::Text, "已确认阶段"),
    register("same_as", ValueType::Text, "与之合并的线索"),
    set("joint_owners", "共同负责人（O3）"),
    set("clocks", "开机编号到时钟偏移（O1）"),
    log("decisions", "裁定记录（O7）"),
];

const ADVANCEMENT: &[Field] = &[
    registers("ticks", ValueType::Bool, "各行是否已确认（C55）"),
    registers("answers", ValueType::Text, "各行内容（C55、C56）"),
    log("events", "推进事件"),
];

const ACCOUNT: &[Field] = &[
    register("name", ValueType::Text, "客户名称"),
    register("province", ValueType::Text, "省份"),
    register("city", ValueType::Text, "城市"),
    register("address", ValueType::Text, "地址"),
    renamed("phone", &["tel"], ValueType::Text, "电话"),
    register("level", ValueType::Text, "等级"),
    register("industry", ValueType::Text, "行业"),
    register("same_as", ValueType::Text, "与之合并的客户"),
    register("deleted", ValueType::Bool, "已删除"),
    records("contacts", CONTACTS, "联系人与决策链（C13、C53）"),
    text("notes", "备注"),
    log("events", "客户事件"),
    set("tags", "标签，带有效期（C47）"),
];

const CALENDAR: &[Field] = &[records(
    "entries",
    &[
        part("lead", ValueType::Text, "线索编号"),
        part("day", ValueType::Text, "日期"),
        part("start", ValueType::Text, "开始时间"),
        part("end", ValueType::Text, "结束时间"),
        part("purpose", ValueType::Text, "联系目的（C59）"),
        part("materials", ValueType::Text, "必备材料（C59）"),
        part("expected_result", ValueType::Text, "预期结果（C59）"),
        part("importance", ValueType::Text, "A类客户/培育中/B类客户（C58）"),
        part("done", ValueType::Bool, "已完成"),
        part("removed", ValueType::Bool, "已移除"),
    ],
    "日程",
)];

const POLICY: &[Field] =
    &[register("current", ValueType::Text, "当前版本"), log("versions", "公司规则各版本（O13）")];

const DIRECTORY: &[Field] = &[
    records(
        "users",
        &[
            part("name", ValueType::Text, "姓名"),
            part("role", ValueType::Text, "角色"),
            part("team", ValueType::Text, "团队"),
            part("active", ValueType::Bool, "在职"),
            part("removed", ValueType::Bool, "已移除"),
        ],
        "人员",
    ),
    records(
        "teams",
        &[
            part("name", ValueType::Text, "名称"),
            part("parent", ValueType::Text, "上级团队"),
            part("lead", ValueType::Text, "主管"),
            part("removed", ValueType::Bool, "已移除"),
        ],
        "团队",
    ),
    records(
        "devices",
        &[
            part("user", ValueType::Text, "持有人"),
            part("name", ValueType::Text, "设备名"),
            part("revoked", ValueType::Bool, "已吊销"),
            part("removed", ValueType::Bool, "已移除"),
        ],
        "设备",
    ),
];

const FINANCE: &[Field] = &[
    register("cost_fen", ValueType::Int, "采购成本（分，C89）"),
    register("margin_bp", ValueType::Int, "毛利（万分比，C89）"),
    log("events", "财务事件"),
];

const SERVICE: &[Field] = &[
    register("order_no", ValueType::Text, "订单号（C89）"),
    register("fault", ValueType::Text, "故障描述（C89）"),
    register("eta", ValueType::TextOrInt, "预计解决时间（C89）"),
    register("model", ValueType::Text, "型号（C79）"),
    register("last_service", ValueType::TextOrInt, "上次服务（C79）"),
    log("events", "服务事件"),
];

const PLAYBOOK: &[Field] = &[log("entries", "话术与丢单（C38、C94）")];
