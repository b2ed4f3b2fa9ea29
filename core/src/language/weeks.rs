//! Days, weeks, months and quarters told from the day of the note: 大后天, 下周三, 周四五, 下个月, 本季度.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use super::calendar::one_of;
use super::numbers;
use super::text::Text;

pub(super) fn relative_day(text: &Text, at: usize) -> Option<(i32, usize)> {
    let (word, days) = [
        ("大大后天", 4),
        ("大后天", 3),
        ("大后日", 3),
        ("后天", 2),
        ("后日", 2),
        ("后儿", 2),
        ("明天", 1),
        ("明日", 1),
        ("明儿个", 1),
        ("明儿", 1),
        ("明早", 1),
        ("明晚", 1),
        ("听日", 1),
        ("今天", 0),
        ("今日", 0),
        ("今儿个", 0),
        ("今儿", 0),
        ("今晚", 0),
        ("今早", 0),
        ("昨天", -1),
        ("昨日", -1),
        ("昨儿", -1),
        ("昨晚", -1),
        ("前天", -2),
        ("前日", -2),
        ("大前天", -3),
        ("tomorrow", 1),
        ("today", 0),
    ]
    .into_iter()
    .find(|(word, _)| text.has(at, word))?;
    Some((days, at + word.chars().count()))
}

/// 下周三, 本周, 周五, 礼拜天, 下下周末. Weeks begin on Monday.
pub(super) fn week(text: &Text, at: usize, on: Date) -> Option<(Date, Date, usize)> {
    let (weeks, mut end) = if let Some(length) = one_of(text, at, &["下下下"]) {
        (Some(3), at + length)
    } else if let Some(length) = one_of(text, at, &["下下个", "下下"]) {
        (Some(2), at + length)
    } else if let Some(length) = one_of(text, at, &["下个", "下一", "下", "next "]) {
        (Some(1), at + length)
    } else if let Some(length) = one_of(text, at, &["这个", "这", "本", "当"]) {
        (Some(0), at + length)
    } else if let Some(length) = one_of(text, at, &["上上个", "上上"]) {
        (Some(-2), at + length)
    } else if let Some(length) = one_of(text, at, &["上个", "上一", "上"]) {
        (Some(-1), at + length)
    } else {
        (None, at)
    };
    let name = one_of(text, end, &["周", "星期", "礼拜", "week"])?;
    // 一周, 三个礼拜: a duration, and not a day of the week.
    let is_count =
        |c: char| numbers::digit_of(c).is_some() || matches!(c, '个' | '十' | '几') || c.is_ascii_digit();
    if weeks.is_none() && (text.before(at).is_some_and(is_count)) {
        return None;
    }
    end += name;
    let monday = |weeks: i32| {
        let days = i32::from(on.weekday().to_monday_zero_offset());
        on.checked_add((weeks * 7 - days).days()).ok()
    };
    let day = |c: char| {
        Some(match c {
            '一' | '1' => Weekday::Monday,
            '二' | '2' => Weekday::Tuesday,
            '三' | '3' => Weekday::Wednesday,
            '四' | '4' => Weekday::Thursday,
            '五' | '5' => Weekday::Friday,
            '六' | '6' => Weekday::Saturday,
            '日' | '天' | '7' => Weekday::Sunday,
            _ => return None,
        })
    };
    let first = monday(weeks.unwrap_or(0))?;
    let plus = |date: Date, days: i8| date.checked_add(i32::from(days).days()).ok();
    match text.get(end) {
        Some('末') => {
            let (start, last) = (plus(first, 5)?, plus(first, 6)?);
            Some((start, last, end + 1))
        }
        Some('初') if weeks.is_some() => Some((first, plus(first, 1)?, end + 1)),
        Some(c) if day(c).is_some() && !text.has(end, "一起") => {
            let offset = day(c)?.to_monday_zero_offset();
            let mut date = plus(first, offset)?;
            if weeks.is_none() && date < on {
                date = plus(date, 7)?;
            }
            // 周四五: and the day behind it.
            let follows = text
                .get(end + 1)
                .and_then(day)
                .is_some_and(|next| next.to_monday_zero_offset() == offset + 1);
            let is_number = text
                .get(end + 2)
                .is_some_and(|c| "点月号日万千百十个台套:年".contains(c) || c.is_ascii_digit());
            match follows && !is_number && !c.is_ascii_digit() && text.get(end + 1) != Some('日') {
                true => Some((date, plus(date, 1)?, end + 2)),
                false => Some((date, date, end + 1)),
            }
        }
        // 周主任 is somebody.
        _ if weeks.is_none() => None,
        _ => Some((first, plus(first, 6)?, end)),
    }
}

/// 本季度, 下季度.
pub(super) fn relative_quarter(text: &Text, at: usize) -> Option<(i32, usize)> {
    let (word, quarters) = [
        ("下个季度", 1),
        ("下季度", 1),
        ("下一季度", 1),
        ("这个季度", 0),
        ("本季度", 0),
        ("这季度", 0),
        ("上个季度", -1),
        ("上季度", -1),
    ]
    .into_iter()
    .find(|(word, _)| text.has(at, word))?;
    Some((quarters, at + word.chars().count()))
}

/// 下个月, 本月, 上月.
pub(super) fn relative_month(text: &Text, at: usize) -> Option<(i32, usize)> {
    let (word, months) = [
        ("下下个月", 2),
        ("下下月", 2),
        ("下个月", 1),
        ("下月", 1),
        ("这个月", 0),
        ("本月", 0),
        ("当月", 0),
        ("这月", 0),
        ("上上个月", -2),
        ("上个月", -1),
        ("上月", -1),
    ]
    .into_iter()
    .find(|(word, _)| text.has(at, word))?;
    Some((months, at + word.chars().count()))
}
