//! What a user reads, in Chinese and English: one table by code. The lower layers speak of ids and codes only.

use fieldbook_core::document::{Path, schema};
use fieldbook_core::ids::DocKind;
use fieldbook_core::model::PRESET_ROWS;

/// The language of sentences for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// 中文.
    #[default]
    Chinese,
    /// English.
    English,
}

/// The sentence for a code. `{}` stands where a caller puts a name or a number.
pub fn sentence(code: &str, language: Language) -> &'static str {
    let row = SENTENCES.iter().find(|(known, _, _)| *known == code);
    let (_, chinese, english) = row.unwrap_or(&UNKNOWN);
    if language == Language::Chinese { chinese } else { english }
}

/// The name of a field of this kind.
pub(crate) fn field(kind: DocKind, name: &str, language: Language) -> String {
    label(schema::field(kind, name).map(|field| field.doc), name, language)
}

/// The name of a mandatory field: of a lead, or of the account when no lead has such a field.
pub(crate) fn mandatory(name: &str, language: Language) -> String {
    let kinds = [DocKind::Lead, DocKind::Account];
    let kind = kinds.into_iter().find(|kind| schema::field(*kind, name).is_some());
    field(kind.unwrap_or(DocKind::Lead), name, language)
}

/// The name of a register for the user: the row's question in the advancement table, the field's name elsewhere, with the part's behind it
/// in a record.
pub(crate) fn register(kind: DocKind, path: &Path, language: Language) -> String {
    if kind == DocKind::Advancement {
        let row = path.key.as_deref().unwrap_or_default();
        return question(row, language).unwrap_or(row).to_owned();
    }
    let whole = field(kind, &path.field, language);
    let Some(name) = &path.name else { return whole };
    let parts = schema::field(kind, &path.field).map_or(&[][..], |field| field.parts);
    let part = parts.iter().find(|part| part.name == name).map(|part| part.doc);
    format!("{whole} {}", label(part, name, language))
}

/// What is lost if something is left undone (C32).
pub(crate) fn at_risk(fen: i64, language: Language) -> String {
    // Chinese speaks of 万元, down to hundreds of yuan; English of yuan.
    let amount = match language {
        Language::Chinese => decimal(fen, 1_000_000),
        Language::English => decimal(fen, 100),
    };
    sentence("at_risk", language).replace("{}", &amount)
}

/// So many of a unit that so many fen make, with at most two places behind the point.
fn decimal(fen: i64, unit_fen: i64) -> String {
    let hundredths = fen / (unit_fen / 100);
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What is to be filled in before the next visit (C33), by its fields in the document.
pub(crate) fn before_next_visit(fields: &[String], language: Language) -> String {
    let names: Vec<String> = fields.iter().map(|name| mandatory(name, language)).collect();
    let join = if language == Language::Chinese { "、" } else { ", " };
    sentence("before_next_visit", language).replace("{}", &names.join(join))
}

/// A tick, or its absence.
pub(crate) fn yes_or_no(yes: bool, language: Language) -> &'static str {
    match (yes, language) {
        (true, Language::Chinese) => "是",
        (false, Language::Chinese) => "否",
        (true, Language::English) => "yes",
        (false, Language::English) => "no",
    }
}

/// The question of a preset row of the advancement table (C55).
pub(crate) fn question(row: &str, language: Language) -> Option<&'static str> {
    let (_, chinese, english) = PRESET_ROWS.iter().find(|(id, ..)| *id == row)?;
    Some(if language == Language::Chinese { chinese } else { english })
}

/// The names of the tables are English already; their Chinese text goes on with a note.
fn label(chinese: Option<&'static str>, name: &str, language: Language) -> String {
    match chinese.filter(|_| language == Language::Chinese) {
        Some(text) => text.split(['（', '：']).next().unwrap_or(text).to_owned(),
        None => name.replace('_', " "),
    }
}

/// The row for a refusal of the server.
pub(crate) fn server_code(code: &str) -> &'static str {
    SENTENCES.iter().map(|row| row.0).find(|known| *known == code).unwrap_or("refused")
}

const UNKNOWN: (&str, &str, &str) =
    ("", "操作没有完成，请稍后重试。", "This could not be done; try again later.");

#[rustfmt::skip]
const SENTENCES: &[(&str, &str, &str)] = &[
    // Decisions.
    ("decided_by_rules", "公司规则", "Company rules"),
    ("decided_assign", "分配给{}。", "Given to {}."),
    ("decided_cure", "已解除。", "Taken back."),
    ("decided_join", "与{}共同负责。", "Shared with {}."),
    ("decided_verified", "证据原件已到达。", "The evidence itself has arrived."),
    // The sheet of paper.
    ("sheet_title", "销售日历", "Sales calendar"),
    ("sheet_made", "打印于 {}", "Printed on {}"),
    ("sheet_top", "明天最重要的三件事", "Tomorrow's top three"),
    ("sheet_outcome", "实际结果", "Outcome"),
    ("sheet_nothing", "明天还没有安排。", "Nothing is planned for tomorrow."),
    ("sheet_board", "九宫格", "Three by three"),
    ("sheet_purpose", "联系目的", "Purpose"),
    ("sheet_materials", "必备材料", "Materials"),
    ("sheet_expected", "预期结果", "Expected result"),
    ("sheet_today", "今天", "Today"),
    ("sheet_tomorrow", "明天", "Tomorrow"),
    ("sheet_this_week", "本周", "This week"),
    ("sheet_a", "A类客户", "A customers"),
    ("sheet_nurturing", "培育中", "Nurturing"),
    ("sheet_b", "B类客户", "B customers"),
    // Input.
    ("missing", "请先填写：{}。", "Please fill in: {}."),
    ("invalid", "输入的内容无法保存，请检查后重试。", "This cannot be saved as it is; please check it."),
    ("invitation", "这不是有效的邀请二维码。", "This is not a valid invitation code."),
    ("too_large", "内容太大，无法保存。", "This is too large to be saved."),
    ("not_found", "这台手机上已没有该内容。", "This phone does not hold it (any more)."),
    ("stale", "内容刚刚有变化，请重新查看后再决定。", "It has just changed; please look again before deciding."),
    ("undetermined", "现在还不能判断，缺少：{}。", "This cannot be said yet; what is missing: {}."),
    ("leaders_only", "只有主管可以审批。", "Only a manager may approve."),
    ("own_proposal", "不能审批自己的申请，请交由上级审批。", "You cannot approve what you proposed yourself."),
    ("nothing_to_undo", "没有可以撤销的操作。", "There is nothing to undo."),
    // The home page, and talks.
    ("at_risk", "不处理影响：丢失{}万元商机", "If left undone: a deal worth CNY {} is lost"),
    ("before_next_visit", "下次拜访前补全：{}", "To be filled in before the next visit: {}"),
    ("first_response", "首次联系客户", "First contact with the customer"),
    ("no_talk", "还没有与客户沟通的记录：请先登记一次会话、来电，或上传拜访摘要。", "There is no record of a talk yet: log a conversation, a call or the summary of a visit first."),
    // The phone.
    ("not_enrolled", "这台手机尚未登记，请扫描公司发的二维码。", "This phone is not enrolled; scan the code from your company."),
    ("already_enrolled", "这台手机已经登记，登录有效，无需再扫码；请用要登记的那台手机扫描这个二维码。", "This phone is enrolled already and needs no code; scan it with the phone that it is for."),
    ("somebody_else", "这个登记码不是发给这台手机的使用者的。请管理员为您本人生成登记码，再用这台手机扫描；未上传的记录仍保存在本机。", "This code is for somebody else. Ask your administrator for a code in your own name and scan it with this phone; unsent work is kept on it."),
    ("user_forgotten", "服务器已从备份恢复，其中没有您的账号。请把编号 {} 告诉管理员，按此编号重新添加您并生成登记码，再用这台手机扫描；未上传的记录仍保存在本机。", "The server was restored from a backup and does not know you any more. Tell your administrator your id {}: they add you again under it and make a code; scan it with this phone. Unsent work is kept on it."),
    ("too_many_attempts", "这个网络上输错登记码的次数太多，请等待十分钟后再试。", "Too many wrong codes came from this network; wait ten minutes and try again."),
    ("locked", "已{}天未与公司联系，内容暂时锁定；联网后自动解锁，未上传的记录不会丢失。", "Locked after {} days without contact; it unlocks when you are online. Nothing unsent is lost."),
    ("outbox_full", "待上传的记录太多，请先联网同步。", "Too much waits for the server; please sync first."),
    ("wrong_key", "密钥不正确，无法打开本机数据。", "The key does not open this phone's data."),
    ("store_too_new", "本机数据由更新的版本写入，请升级应用。", "A newer version wrote this data; please update the app."),
    ("store_in_use", "本机数据正在被使用。", "This phone's data is in use already."),
    ("disk", "存储空间不足或不可用，没有保存。", "The disk is full or failed; nothing was saved."),
    ("store_damaged", "本机数据已损坏，请联系管理员。", "This phone's data is damaged; please tell your administrator."),
    ("system", "系统资源不足，请重启应用。", "The system is out of resources; please restart the app."),
    // The way to the server.
    ("offline", "连不上服务器，记录已保存在本机，稍后自动上传。", "The server cannot be reached; your work is kept on this phone."),
    ("timed_out", "网络较慢，没有在限定时间内完成；记录已保存在本机。", "The network is slow and the time was over; your work is kept on this phone."),
    ("certificate", "服务器证书不可信，没有发送任何内容。", "The server's certificate is not trusted; nothing was sent."),
    ("plain_http", "服务器地址不是加密的（https），没有发送任何内容。", "The server's address is not encrypted (https); nothing was sent."),
    ("cancelled", "已取消。", "Cancelled."),
    ("closed", "应用已关闭本机数据。", "The data was closed by the app."),
    // What the server says.
    ("refused", "服务器没有接受。", "The server refused."),
    ("code_invalid", "登记码无效，请核对后重试。", "The code is not valid; please check it."),
    ("code_expired", "登记码已过期，请向管理员索取新码。", "The code has expired; ask for a new one."),
    ("code_used", "登记码已被使用，请向管理员索取新码。", "The code was used already; ask for a new one."),
    ("code_locked", "登记码因多次输错已锁定，请向管理员索取新码。", "The code is locked after wrong attempts; ask for a new one."),
    ("forbidden", "您没有此操作的权限。", "You may not do this."),
    ("signed_out", "登录已失效，请重新登记这台手机；未上传的记录仍保存在本机。", "You are signed out; enrol this phone again. Unsent work is kept on it."),
    ("wiped", "公司已停用这台手机，本机数据已清除。", "Your company has ended this phone; its data was deleted."),
    ("version", "应用版本与服务器不兼容，请升级应用。", "The app does not fit the server; please update it."),
    // Why work was set aside.
    ("held_not_yours", "该线索已转给他人，您的记录已提交主管处理。", "The lead had moved to somebody else; your work waits for a supervisor."),
    ("held_revoked", "手机已停用，您的记录已提交主管处理。", "The phone was revoked; your work waits for a supervisor."),
    ("held_fork", "这台手机恢复过旧备份，记录已提交主管处理。", "This phone came from an old backup; your work waits for a supervisor."),
    ("held_suffix", "同一线索先前的记录正在处理，本条一并等待。", "Earlier work on it is being decided; this waits with it."),
    ("held_erased", "该线索已被彻底删除，记录已提交主管处理。", "It was erased; your work waits for a supervisor."),
    ("held_missing_deps", "服务器缺少之前的内容，记录已提交主管处理。", "The server lacks what this builds on; your work waits for a supervisor."),
    ("refused_work", "服务器无法保存这条记录，原文保留在本机。", "The server could not keep this; your copy stays on this phone."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_one_row_in_both_languages() {
        let codes: BTreeSet<&str> = SENTENCES.iter().map(|row| row.0).collect();
        assert_eq!(codes.len(), SENTENCES.len(), "a code has two rows");
        for (code, chinese, english) in SENTENCES {
            assert!(!chinese.is_ascii() && english.is_ascii(), "{code}");
            assert_eq!(chinese.contains("{}"), english.contains("{}"), "{code}");
        }
    }

    #[test]
    fn what_is_missing_has_its_name_whatever_document_it_is_of() {
        for (name, chinese, english) in
            [("customer_name", "客户名称", "customer name"), ("name", "客户名称", "name")]
        {
            let said = [Language::Chinese, Language::English].map(|language| mandatory(name, language));
            assert_eq!(said, [chinese, english]);
        }
    }

    #[test]
    fn money_is_told_as_people_speak_of_it() {
        for (fen, chinese, english) in [
            (380_000_000, "380万", "3800000"),
            (380_500_000, "380.5万", "3805000"),
            (1_234_567, "1.23万", "12345.67"),
            (100_000_000, "100万", "1000000"),
        ] {
            assert_eq!(at_risk(fen, Language::Chinese), format!("不处理影响：丢失{chinese}元商机"));
            let said = format!("If left undone: a deal worth CNY {english} is lost");
            assert_eq!(at_risk(fen, Language::English), said);
        }
    }

    #[test]
    fn registers_have_their_names_in_both_languages() {
        let path = |field: &str, key: Option<&str>, name: Option<&str>| Path {
            field: field.into(),
            key: key.map(str::to_owned),
            name: name.map(str::to_owned),
        };
        let id = Some("0202");
        for (kind, path, chinese, english) in [
            (DocKind::Lead, path("customer_name", None, None), "客户名称", "customer name"),
            (DocKind::Lead, path("need", None, None), "需求关键词", "need"),
            (DocKind::Lead, path("contacts", id, Some("attitude")), "联系人 态度", "contacts attitude"),
            (DocKind::Account, path("phone", None, None), "电话", "phone"),
            (DocKind::Calendar, path("entries", id, Some("purpose")), "日程 联系目的", "entries purpose"),
            (
                DocKind::Advancement,
                path("ticks", Some("decision_maker"), None),
                "决策人是否已明确",
                "Is the decision-maker known?",
            ),
            (DocKind::Advancement, path("ticks", Some("site"), None), "site", "site"),
            (DocKind::Lead, path("newer_field", None, None), "newer field", "newer field"),
        ] {
            let said = [Language::Chinese, Language::English].map(|l| register(kind, &path, l));
            assert_eq!(said, [chinese, english], "{path:?}");
        }
    }
}
