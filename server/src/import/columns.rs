//! What a column means, by its name, in English and Chinese. One table; a name that is not in it is an extra field.

/// What a column of an import can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The id that another system gave to the lead.
    ExternalId,
    /// 客户名称 (C3).
    CustomerName,
    /// 医院.
    Hospital,
    /// 科室.
    Department,
    /// 联系人.
    ContactName,
    /// 联系人职务.
    ContactTitle,
    /// 联系人手机 (C3).
    Phone,
    /// 邮箱.
    Email,
    /// 需求关键词 (C3).
    Need,
    /// 来源渠道.
    Source,
    /// 行业.
    Industry,
    /// 省份.
    Province,
    /// 城市.
    City,
    /// 地址.
    Address,
    /// 区域代码.
    RegionCode,
    /// 预算.
    Budget,
    /// 设备.
    Equipment,
    /// 倾向品牌.
    Brand,
    /// 采购时间.
    PurchaseTiming,
    /// 客户状态 (C4).
    CustomerState,
    /// 下一步动作 (C4).
    NextAction,
    /// 预计成交时间 (C4).
    ExpectedClose,
    /// 备注.
    Notes,
    /// 标签.
    Tags,
}

/// The field that a column of this name holds.
pub fn field_of(name: &str) -> Option<Field> {
    let name = normalise(name);
    NAMES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(field, _)| *field)
}

/// The field of each column; of several columns for one field the first with it counts, the others are extra fields.
pub fn match_columns(header: &[String]) -> Vec<Option<Field>> {
    let mut taken = std::collections::BTreeSet::new();
    header.iter().map(|name| field_of(name).filter(|field| taken.insert(*field))).collect()
}

/// Lower case, without blanks, punctuation, what stands in brackets, and the star of a mandatory column; full-width letters become plain.
fn normalise(name: &str) -> String {
    let mut depth = 0usize;
    let mut out = String::new();
    for c in name.chars() {
        let c = match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
            c => c,
        };
        match c {
            '(' | '[' | '【' => depth += 1,
            ')' | ']' | '】' => depth = depth.saturating_sub(1),
            c if depth == 0 && c.is_alphanumeric() => out.extend(c.to_lowercase()),
            _ => {}
        }
    }
    out
}

/// Names as [`normalise`] leaves them.
const NAMES: &[(Field, &[&str])] = &[
    (
        Field::ExternalId,
        &[
            "externalid",
            "prospectid",
            "leadid",
            "recordid",
            "id",
            "线索编号",
            "线索id",
            "客户编号",
            "外部编号",
            "编号",
        ],
    ),
    (
        Field::CustomerName,
        &[
            "customername",
            "customer",
            "company",
            "companyname",
            "account",
            "accountname",
            "organization",
            "organisation",
            "name",
            "leadname",
            "客户名称",
            "客户",
            "公司",
            "公司名称",
            "单位",
            "单位名称",
            "企业名称",
            "客户全称",
        ],
    ),
    (Field::Hospital, &["hospital", "hospitalname", "医院", "医院名称", "医疗机构", "机构名称"]),
    (Field::Department, &["department", "dept", "科室", "临床科室", "部门"]),
    (
        Field::ContactName,
        &["contact", "contactname", "contactperson", "firstname", "fullname", "联系人", "联系人姓名", "姓名"],
    ),
    (Field::ContactTitle, &["title", "jobtitle", "position", "职务", "职位", "联系人职务"]),
    (
        Field::Phone,
        &[
            "phone",
            "phonenumber",
            "mobile",
            "mobilephone",
            "mobilenumber",
            "tel",
            "telephone",
            "cell",
            "contactphone",
            "联系人手机",
            "手机",
            "手机号",
            "手机号码",
            "电话",
            "电话号码",
            "联系电话",
            "联系方式",
            "联系人电话",
        ],
    ),
    (Field::Email, &["email", "emailaddress", "mail", "邮箱", "电子邮箱", "邮件"]),
    (
        Field::Need,
        &["need", "requirement", "demand", "interest", "需求关键词", "需求", "初步需求", "需求类型"],
    ),
    (Field::Source, &["source", "leadsource", "channel", "来源渠道", "来源", "线索来源", "渠道", "首次来源"]),
    (Field::Industry, &["industry", "sector", "行业", "所属行业"]),
    (Field::Province, &["province", "state", "省份", "省", "客户所在省份", "所在省份"]),
    (Field::City, &["city", "城市", "市", "所在城市"]),
    (Field::Address, &["address", "street", "地址", "详细地址", "单位地址"]),
    (Field::RegionCode, &["regioncode", "区域代码", "地区代码"]),
    (Field::Budget, &["budget", "budgetrange", "预算", "预算范围", "预算区间", "预算金额", "采购预算"]),
    (
        Field::Equipment,
        &["equipment", "device", "product", "设备", "意向设备", "产品", "意向产品", "设备名称"],
    ),
    (Field::Brand, &["brand", "preferredbrand", "品牌", "倾向品牌"]),
    (
        Field::PurchaseTiming,
        &["purchasetiming", "timeline", "purchasetime", "采购时间", "采购时间表", "计划采购时间"],
    ),
    (Field::CustomerState, &["customerstate", "status", "leadstatus", "客户状态", "状态"]),
    (Field::NextAction, &["nextaction", "nextstep", "下一步动作", "下一步"]),
    (
        Field::ExpectedClose,
        &["expectedclose", "closedate", "expectedclosedate", "预计成交时间", "预计成交日期"],
    ),
    (
        Field::Notes,
        &["notes", "note", "remark", "remarks", "comment", "comments", "description", "备注", "说明", "描述"],
    ),
    (Field::Tags, &["tags", "tag", "labels", "标签"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_both_languages_and_in_every_dress() {
        for (name, field) in [
            ("Prospect ID", Field::ExternalId),
            ("客户名称*", Field::CustomerName),
            ("＊客户名称（必填）", Field::CustomerName),
            (" Company_Name ", Field::CustomerName),
            ("医院", Field::Hospital),
            ("hospital", Field::Hospital),
            ("联系人手机", Field::Phone),
            ("tel", Field::Phone),
            ("Ｐｈｏｎｅ", Field::Phone),
            ("Lead Source", Field::Source),
            ("需求关键词 [采购/维保/升级]", Field::Need),
            ("预算（万元）", Field::Budget),
        ] {
            assert_eq!(field_of(name), Some(field), "{name}");
        }
        for name in ["", "Lead Origin", "column 3", "采购成本"] {
            assert_eq!(field_of(name), None, "{name}");
        }
    }

    #[test]
    fn every_name_is_spelt_as_it_is_looked_up_and_belongs_to_one_field() {
        let mut seen = std::collections::BTreeSet::new();
        for (field, names) in NAMES {
            for name in *names {
                assert_eq!(normalise(name), *name, "{field:?}");
                assert!(seen.insert(*name), "{name} stands twice");
            }
        }
    }
}
