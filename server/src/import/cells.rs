//! What a cell means: emptiness, telephone numbers, needs and budgets as people write them. What cannot be read is `None`, and the caller keeps
//! the text.

/// Whether a value says nothing (C11): blank, 待确认, 待定, or what a form writes when nobody chose.
pub(super) fn is_empty(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || EMPTY.iter().any(|empty| text.eq_ignore_ascii_case(empty))
}

/// A telephone number as digits, with a leading `+` for a foreign one; several in one cell: the first.
pub(super) fn phone(text: &str) -> Option<String> {
    let first = text.split([',', '，', ';', '；', '/', '、']).next()?.trim();
    let foreign = first.starts_with('+') && !first.starts_with("+86");
    let first = first.strip_prefix("+86").unwrap_or(first);
    let digits: String = first.chars().filter(char::is_ascii_digit).collect();
    let only_number = first
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '(' | ')' | '（' | '）' | '+' | '.' | '转'));
    if !only_number || !(5..=20).contains(&digits.len()) {
        return None;
    }
    Some(if foreign { format!("+{digits}") } else { digits })
}

/// One of the three needs of C3: 采购, 维保, 升级.
pub(super) fn need(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    NEEDS.iter().find(|(_, words)| words.iter().any(|word| lower.contains(word))).map(|(need, _)| *need)
}

/// A budget as lower and upper bound in fen: `380万`, `50-100万`, `≥100万`, `1,200,000`. `unit_fen` is what a bare number counts, from the
/// column's name.
pub(super) fn budget(text: &str, unit_fen: i64) -> Option<(Option<i64>, Option<i64>)> {
    let text: String = text.chars().filter(|c| !matches!(c, ',' | '，' | ' ' | '¥' | '￥' | '元')).collect();
    let text = text.trim_start_matches("已确认").trim_start_matches("RMB");
    let at_least = text.starts_with(['≥', '>']) || text.ends_with("以上") || text.ends_with('+');
    let at_most = text.starts_with(['≤', '<']) || text.ends_with("以下") || text.ends_with("以内");
    let core = text.trim_start_matches(['≥', '>', '≤', '<', '=', '约']).trim_end_matches('+');
    let core = ["以上", "以下", "以内", "左右"].iter().fold(core, |core, tail| core.trim_end_matches(tail));
    let mut parts = core.splitn(2, ['-', '~', '～', '至', '—', '到']);
    let (first, second) = (parts.next()?, parts.next());
    match second {
        None => {
            let fen = money(first, unit_fen)?;
            Some(if at_least {
                (Some(fen), None)
            } else if at_most {
                (None, Some(fen))
            } else {
                (Some(fen), Some(fen))
            })
        }
        Some(second) => {
            // In 50-100万 the unit stands once, behind both.
            let unit = unit_of(second).or_else(|| unit_of(first));
            let high = money(second, unit_fen)?;
            let low = money(first, unit.map_or(unit_fen, |(_, fen)| fen))?;
            (low <= high).then_some((Some(low), Some(high)))
        }
    }
}

/// What a bare number of a budget column counts: `预算（万元）` counts 万.
pub(super) fn budget_unit_fen(column: &str) -> i64 {
    if column.contains("万") { FEN_PER_WAN } else { 100 }
}

fn unit_of(text: &str) -> Option<(char, i64)> {
    text.chars().last().and_then(|last| UNITS.iter().find(|(unit, _)| *unit == last).copied())
}

/// A decimal number with an optional unit, in fen, without floating point.
fn money(text: &str, unit_fen: i64) -> Option<i64> {
    let (digits, unit_fen) = match unit_of(text) {
        Some((unit, fen)) => (text.trim_end_matches(unit), fen),
        None => (text, unit_fen),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let number = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse::<i64>().ok()).flatten();
    let whole = number(whole)?;
    let fraction = fraction.get(..fraction.len().min(6))?;
    let part = if fraction.is_empty() { 0 } else { number(fraction)? };
    let scale = 10i64.pow(fraction.len() as u32);
    whole.checked_mul(unit_fen)?.checked_add(part.checked_mul(unit_fen)? / scale)
}

const EMPTY: &[&str] =
    &["待确认", "待定", "select", "请选择", "please select", "n/a", "null", "-", "--", "/"];
const NEEDS: &[(&str, &[&str])] = &[
    ("维保", &["维保", "维修", "保养", "maintenance", "service", "repair"]),
    ("升级", &["升级", "改造", "upgrade"]),
    ("采购", &["采购", "购买", "新购", "purchase", "buy", "procure"]),
];
const FEN_PER_WAN: i64 = 1_000_000;
const UNITS: &[(char, i64)] =
    &[('万', FEN_PER_WAN), ('亿', 10_000 * FEN_PER_WAN), ('w', FEN_PER_WAN), ('W', FEN_PER_WAN)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_as_they_are_written() {
        let wan = |n: i64| Some(n * FEN_PER_WAN);
        for (text, expected) in [
            ("380万", Some((wan(380), wan(380)))),
            ("50-100万", Some((wan(50), wan(100)))),
            ("50万-1亿", Some((wan(50), wan(10_000)))),
            ("已确认≥100万", Some((wan(100), None))),
            ("50万以下", Some((None, wan(50)))),
            ("1,200,000", Some((wan(120), wan(120)))),
            ("¥12.5万元", Some((Some(12_500_000), Some(12_500_000)))),
            ("约80w", Some((wan(80), wan(80)))),
            ("100-50万", None),
            ("很多", None),
            ("", None),
            ("99999999999999999999万", None),
            ("9999999999999亿", None),
        ] {
            assert_eq!(budget(text, 100), expected, "{text}");
        }
        assert_eq!(budget("50", budget_unit_fen("预算（万元）")), Some((wan(50), wan(50))));
    }

    #[test]
    fn phones_are_digits_and_rubbish_is_none() {
        for (text, expected) in [
            ("138 0000 0000", Some("13800000000")),
            ("+86-13800000000", Some("13800000000")),
            ("0592-2137188", Some("05922137188")),
            ("+49 30 123456", Some("+4930123456")),
            ("13800000000/13900000000", Some("13800000000")),
            ("1234", None),
            ("call me", None),
            ("微信abc12345", None),
        ] {
            assert_eq!(phone(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn placeholders_are_empty_and_needs_are_three() {
        for text in ["", "  ", "Select", "待确认", "待定", "N/A"] {
            assert!(is_empty(text), "{text}");
        }
        assert!(!is_empty("No") && !is_empty("0") && !is_empty("无"));
        assert_eq!(need("CT机采购"), Some("采购"));
        assert_eq!(need("Upgrade of MRI"), Some("升级"));
        assert_eq!(need("了解一下"), None);
    }
}
