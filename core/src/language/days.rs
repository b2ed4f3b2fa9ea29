//! Days as they are said: 3月, 2月20日, 下周三, 大后天, 两周后, Q3, 年底, 6月8号到10号. Each is resolved on the day of the note; which of several
//! matters is not decided here. Grammar of the calendar, and no list: these words are the same for every company.

use std::ops::Range;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use super::numbers;
use super::text::Text;

/// A day or a span of days that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) span: Range<usize>,
    pub(super) start: Date,
    pub(super) end: Date,
    /// Of a time that is over: last year, yesterday.
    pub(super) is_past: bool,
    /// `今天`, which is said of what was done as often as of what is to be done.
    pub(super) is_today: bool,
    /// `3月以后`: it has no end, so it is no answer.
    pub(super) is_open: bool,
    /// `X前`: any day until the last.
    pub(super) is_before: bool,
    /// No year was said and this year's is over: the next one was taken.
    pub(super) is_rolled: bool,
}

/// Every day that is said, in the order of the text.
pub(super) fn find(text: &Text, on: Date) -> Vec<Said> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        // 4月8日（周三） names the day twice.
        let is_same = text.before(at) == Some('(') && found.last().is_some_and(|last: &Said| last.span.end + 1 == at);
        match read(text, at, on).filter(|_| !is_same) {
            Some(said) => {
                at = said.span.end;
                found.push(said);
            }
            None => at += 1,
        }
    }
    found
}

/// What a phrase stands for, before it is a day of the calendar.
#[derive(Clone, Copy)]
struct Phrase {
    end: usize,
    start: Date,
    last: Date,
    /// The year was said, or follows from the words.
    is_fixed: bool,
    /// A month without a day or a third.
    is_month: bool,
    /// A span of which 内 leaves the rest.
    has_within: bool,
}

fn read(text: &Text, at: usize, on: Date) -> Option<Said> {
    // 每周三 is a habit; 12月 does not begin at its second digit.
    let in_front = text.before(at);
    let is_digit = |c: char| c.is_ascii_digit() || c == '.' || c == '/';
    if in_front == Some('每') || (in_front.is_some_and(is_digit) && text.get(at).is_some_and(is_digit)) {
        return None;
    }
    if let Some(said) = counted(text, at, on).or_else(|| holiday(text, at, on)) {
        return Some(said);
    }
    let first = phrase(text, at, on, None)?;
    let is_today = ["今天", "今日", "今儿", "今晚", "今早"].iter().any(|word| text.has(at, word));
    let mut phrase_end = clock(text, first.end);
    let (mut start, mut end) = (first.start, first.last);
    let mut is_range = false;
    if let Some(second) = range_end(text, phrase_end, on, first) {
        phrase_end = clock(text, second.end);
        end = second.last;
        is_range = true;
    }
    // Without a year it is the next one, unless it is still running.
    let is_rolled = !first.is_fixed && end < on;
    if is_rolled {
        start = next_year(start)?;
        end = next_year(end)?;
    }
    if end < start {
        end = next_year(end)?;
    }
    let (mut is_open, mut is_before) = (false, false);
    if let Some(length) = one_of(text, phrase_end, &["之前", "以前", "前"]).filter(|_| !text.has(phrase_end, "前后")) {
        phrase_end += length;
        // Before a month that has not begun is before it; before a day or a third of a month includes it.
        if first.is_month && !is_range && start > on {
            end = start.yesterday().ok()?;
        }
        start = on.min(end);
        is_before = true;
    } else if let Some(length) = one_of(text, phrase_end, &["之内", "以内", "内"]).filter(|_| first.has_within) {
        phrase_end += length;
        start = on.min(end);
    } else if let Some(length) = one_of(text, phrase_end, &["之后", "以后", "过后", "后"]) {
        phrase_end += length;
        is_open = !is_today;
    } else if let Some(length) = one_of(text, phrase_end, &["左右", "前后", "上下"]) {
        phrase_end += length;
    }
    let is_past = end < on;
    Some(Said { span: at..phrase_end, start, end, is_past, is_today, is_open, is_before, is_rolled })
}

fn width(phrase: Phrase) -> i32 {
    phrase.last.since(phrase.start).map_or(0, |span| span.get_days())
}

/// The second half of a range. A bare day is one of the first half's month.
fn range_end(text: &Text, at: usize, on: Date, first: Phrase) -> Option<Phrase> {
    // 3月底4月初, with nothing between.
    if (first.is_month || (6..=10).contains(&width(first))) && text.before(at) != Some('月')
        && let Some(second) = phrase(text, at, on, None)
        && width(second) >= 6
        && second.start.since(first.last).is_ok_and(|span| span.get_days() <= 1 && span.get_days() > 0)
    {
        return Some(second);
    }
    let length = one_of(text, at, &["到", "至", "-", "~", "—", "–", "－", "--", "或者", "或"])?;
    // 下周二到周四: of the same week.
    if one_of(text, at + length, &["周", "星期", "礼拜"]).is_some()
        && let Some(second) = phrase(text, at + length, first.start, None)
    {
        return Some(second);
    }
    phrase(text, at + length, on, Some(first))
}

fn phrase(text: &Text, at: usize, on: Date, within: Option<Phrase>) -> Option<Phrase> {
    let fixed = |end, start, last| Phrase { end, start, last, is_fixed: true, is_month: false, has_within: true };
    if let Some(iso) = iso(text, at).or_else(|| short(text, at, on)) {
        return Some(iso);
    }
    if let Some((days, end)) = relative_day(text, at) {
        let day = on.checked_add(days.days()).ok()?;
        return Some(fixed(end, day, day));
    }
    if let Some((start, last, end)) = week(text, at, on) {
        return Some(fixed(end, start, last));
    }
    if let Some((quarters, end)) = relative_quarter(text, at) {
        let first = Date::new(on.year(), (on.month() - 1) / 3 * 3 + 1, 1).ok()?.checked_add((quarters * 3).months()).ok()?;
        let last = first.checked_add(2.months()).ok()?.last_of_month();
        return Some(fixed(end, first, last));
    }
    // 周内, 月内: what is left of it.
    if let Some(length) = one_of(text, at, &["周内", "月内"])
        && !text.before(at).is_some_and(|c| numbers::digit_of(c).is_some() || c.is_ascii_digit() || matches!(c, '本' | '个' | '十' | '当' | '这' | '下' | '半' | '几'))
    {
        let days = 6 - i32::from(on.weekday().to_monday_zero_offset());
        let last = if text.has(at, "周") { on.checked_add(days.days()).ok()? } else { on.last_of_month() };
        return Some(fixed(at + length - 1, on, last));
    }
    if let Some((months, end)) = relative_month(text, at) {
        let first = on.first_of_month().checked_add(months.months()).ok()?;
        return month_part(text, end, first, true);
    }
    if let Some((year, end, is_bare)) = year(text, at, on) {
        let part = year_part(text, end, year, true);
        return part.or_else(|| {
            let whole = fixed(end, Date::new(year, 1, 1).ok()?, Date::new(year, 12, 31).ok()?);
            is_bare.then_some(whole)
        });
    }
    if let Some(first) = within
        && let Some((day, end)) = day_of_month(text, at, true)
    {
        let day = first.start.first_of_month().with().day(day).build().ok()?;
        return Some(Phrase { end, start: day, last: day, is_fixed: first.is_fixed, is_month: false, has_within: false });
    }
    if let Some(part) = year_part(text, at, on.year(), false) {
        return Some(part);
    }
    // 月底, of this month, unless that is over.
    if text.get(at) == Some('月') && !text.before(at).is_some_and(|c| c == '个' || numbers::digit_of(c).is_some() || c.is_ascii_digit()) {
        let (start, last, end) = third(text, at + 1, on.first_of_month())?;
        if last >= on {
            return Some(fixed(end, start, last));
        }
        let next = on.first_of_month().checked_add(1.month()).ok()?;
        let (start, last, end) = third(text, at + 1, next)?;
        return Some(fixed(end, start, last));
    }
    let (day, end) = match day_of_month(text, at, false) {
        Some(day) => day,
        // 15、16号.
        None => {
            let (first, behind) = literal(text, at)?;
            let length = one_of(text, behind, &["、", "-", "到", "至", "~"])?;
            let (second, end) = day_of_month(text, behind + length, false)?;
            let first = i8::try_from(first).ok().filter(|first| (1..second).contains(first))?;
            let this = on.first_of_month().with().day(first).build().ok().filter(|date| *date >= on);
            let next = || on.first_of_month().checked_add(1.month()).ok()?.with().day(first).build().ok();
            let start = this.or_else(next)?;
            return Some(fixed(end, start, start.with().day(second).build().ok()?));
        }
    };
    let this = on.first_of_month().with().day(day).build().ok().filter(|date| *date >= on);
    let next = || on.first_of_month().checked_add(1.month()).ok()?.with().day(day).build().ok();
    let day = this.or_else(next)?;
    Some(fixed(end, day, day))
}

/// 2026-03-05, 2026/3/5, 2026.3.5, 3/15.
fn iso(text: &Text, at: usize) -> Option<Phrase> {
    let (year, end) = literal(text, at)?;
    let sign = text.get(end).filter(|c| matches!(c, '-' | '/' | '.'))?;
    let (month, end) = literal(text, end + 1)?;
    if (2_000..2_100).contains(&year) && text.get(end) == Some(sign) {
        let (day, end) = literal(text, end + 1)?;
        let date = Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()?;
        return Some(Phrase { end, start: date, last: date, is_fixed: true, is_month: false, has_within: false });
    }
    None
}

/// 3/15, 4.20: with a day of two digits and nothing behind that makes it a measure.
fn short(text: &Text, at: usize, on: Date) -> Option<Phrase> {
    let (month, end) = literal(text, at)?;
    text.get(end).filter(|c| matches!(c, '/' | '.'))?;
    let (day, behind) = literal(text, end + 1)?;
    let is_measure = text.get(behind).is_none_or(|c| c.is_ascii() || "万亿千百元块米倍代版寸折个台套分吨秒小公".contains(c));
    let date = Date::new(on.year(), month.try_into().ok()?, day.try_into().ok()?).ok()?;
    let phrase = Phrase { end: behind, start: date, last: date, is_fixed: false, is_month: false, has_within: false };
    (behind == end + 3 && !is_measure).then_some(phrase)
}

fn literal(text: &Text, at: usize) -> Option<(i64, usize)> {
    text.get(at).filter(char::is_ascii_digit)?;
    numbers::small(&text.chars, at)
}

fn relative_day(text: &Text, at: usize) -> Option<(i32, usize)> {
    let (word, days) = [
        ("大大后天", 4), ("大后天", 3), ("大后日", 3), ("后天", 2), ("后日", 2), ("后儿", 2), ("明天", 1), ("明日", 1), ("明儿个", 1), ("明儿", 1), ("明早", 1),
        ("明晚", 1), ("听日", 1), ("今天", 0), ("今日", 0), ("今儿个", 0), ("今儿", 0), ("今晚", 0), ("今早", 0), ("昨天", -1), ("昨日", -1), ("昨儿", -1),
        ("昨晚", -1), ("前天", -2), ("前日", -2), ("大前天", -3), ("tomorrow", 1), ("today", 0),
    ]
    .into_iter()
    .find(|(word, _)| text.has(at, word))?;
    Some((days, at + word.chars().count()))
}

/// 下周三, 本周, 周五, 礼拜天, 下下周末. Weeks begin on Monday.
fn week(text: &Text, at: usize, on: Date) -> Option<(Date, Date, usize)> {
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
    let is_count = |c: char| numbers::digit_of(c).is_some() || matches!(c, '个' | '十' | '几') || c.is_ascii_digit();
    if weeks.is_none() && (text.before(at).is_some_and(is_count)) {
        return None;
    }
    end += name;
    let monday = |weeks: i32| {
        let days = i32::from(on.weekday().to_monday_zero_offset());
        on.checked_add((weeks * 7 - days).days()).ok()
    };
    let day = |c: char| Some(match c {
        '一' | '1' => Weekday::Monday,
        '二' | '2' => Weekday::Tuesday,
        '三' | '3' => Weekday::Wednesday,
        '四' | '4' => Weekday::Thursday,
        '五' | '5' => Weekday::Friday,
        '六' | '6' => Weekday::Saturday,
        '日' | '天' | '7' => Weekday::Sunday,
        _ => return None,
    });
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
            let follows = text.get(end + 1).and_then(day).is_some_and(|next| next.to_monday_zero_offset() == offset + 1);
            let is_number = text.get(end + 2).is_some_and(|c| "点月号日万千百十个台套:年".contains(c) || c.is_ascii_digit());
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
fn relative_quarter(text: &Text, at: usize) -> Option<(i32, usize)> {
    let (word, quarters) =
        [("下个季度", 1), ("下季度", 1), ("下一季度", 1), ("这个季度", 0), ("本季度", 0), ("这季度", 0), ("上个季度", -1), ("上季度", -1)]
            .into_iter()
            .find(|(word, _)| text.has(at, word))?;
    Some((quarters, at + word.chars().count()))
}

/// 下个月, 本月, 上月.
fn relative_month(text: &Text, at: usize) -> Option<(i32, usize)> {
    let (word, months) = [
        ("下下个月", 2), ("下下月", 2), ("下个月", 1), ("下月", 1), ("这个月", 0), ("本月", 0), ("当月", 0), ("这月", 0), ("上上个月", -2), ("上个月", -1), ("上月", -1),
    ]
    .into_iter()
    .find(|(word, _)| text.has(at, word))?;
    Some((months, at + word.chars().count()))
}

/// The year that is said here, and whether it may stand alone.
fn year(text: &Text, at: usize, on: Date) -> Option<(i16, usize, bool)> {
    for (word, years, is_bare) in [
        ("明年", 1, true), ("来年", 1, true), ("后年", 2, true), ("今年", 0, false), ("本年", 0, false), ("当年", 0, false), ("去年", -1, true),
        ("前年", -2, true), ("出年", 1, true),
    ] {
        if text.has(at, word) {
            let mut end = at + 2;
            end += one_of(text, end, &["的", "度"]).filter(|_| text.get(end + 1) != Some('数')).unwrap_or(0);
            return Some((on.year() + years, end, is_bare));
        }
    }
    let (year, end) = literal(text, at)?;
    let year = if (20..60).contains(&year) && end == at + 2 { year + 2_000 } else { year };
    (text.get(end) == Some('年') && (1_990..2_100).contains(&year)).then_some((year.try_into().ok()?, end + 1, true))
}

/// A quarter, a half, the end of a year, or a month with what stands behind it.
fn year_part(text: &Text, at: usize, year: i16, is_fixed: bool) -> Option<Phrase> {
    let of = |end, from: i8, to: i8| {
        let start = Date::new(year, from, 1).ok()?;
        let last = Date::new(year, to, 1).ok()?.last_of_month();
        Some(Phrase { end, start, last, is_fixed, is_month: false, has_within: true })
    };
    for (word, from, to) in [
        ("上半年", 1, 6), ("下半年", 7, 12), ("年底", 12, 12), ("年末", 12, 12), ("年尾", 12, 12), ("年初", 1, 1), ("年头", 1, 1), ("年中", 6, 6), ("底", 12, 12), ("初", 1, 1), ("末", 12, 12),
        ("年内", 1, 12),
    ] {
        // 明年底: the year was named with its own 年.
        let is_short = word.chars().count() == 1;
        if text.has(at, word) && (!is_short || (is_fixed && text.ends(at, "年"))) {
            // 一年底价 and 三年内 are none.
            if !is_fixed && text.before(at).is_some_and(|c| numbers::digit_of(c).is_some() || c.is_ascii_digit() || c == '半') {
                return None;
            }
            let end = at + word.chars().count();
            return match word {
                "年内" => {
                    // What is left of the year, as `before its end`.
                    let phrase = of(end, from, to)?;
                    Some(Phrase { end: end - 1, ..phrase })
                }
                _ => of(end, from, to),
            };
        }
    }
    let quarter = |at: usize| {
        if text.get(at) == Some('q') {
            let (quarter, end) = literal(text, at + 1)?;
            return Some((quarter, end));
        }
        let from = at + usize::from(text.get(at) == Some('第'));
        let (quarter, end) = numbers::small(&text.chars, from)?;
        let length = one_of(text, end, &["季度", "个季度", "季"])?;
        Some((quarter, end + length))
    };
    if let Some((quarter, end)) = quarter(at)
        && let Ok(quarter @ 1..=4) = i8::try_from(quarter)
    {
        return of(end, quarter * 3 - 2, quarter * 3);
    }
    if text.before(at) == Some('第') {
        return None;
    }
    let (month, end) = numbers::small(&text.chars, at)?;
    let month = i8::try_from(month).ok().filter(|month| (1..=12).contains(month))?;
    if let Some(phrase) = months(text, at, end, month, year, is_fixed) {
        return Some(phrase);
    }
    if text.get(end) != Some('月') {
        return None;
    }
    month_part(text, end + 1, Date::new(year, month, 1).ok()?, is_fixed)
}

/// 3到4月, 三四月, 8、9月.
fn months(text: &Text, at: usize, end: usize, first: i8, year: i16, is_fixed: bool) -> Option<Phrase> {
    let between = one_of(text, end, &["到", "至", "-", "~", "、", "或"]);
    let is_pair = between.is_none() && end == at + 1 && text.get(at).and_then(numbers::digit_of).is_some();
    let from = between.map_or(is_pair.then_some(end), |length| Some(end + length))?;
    let (second, end) = numbers::small(&text.chars, from)?;
    let second = i8::try_from(second).ok().filter(|month| (1..=12).contains(month))?;
    if text.get(end) != Some('月') || (is_pair && second != first + 1) {
        return None;
    }
    let end = end + 1 + usize::from(text.get(end + 1) == Some('份'));
    if day_of_month(text, end, true).is_some() {
        return None;
    }
    let start = Date::new(year, first, 1).ok()?;
    let year = if second < first { year + 1 } else { year };
    let last = Date::new(year, second, 1).ok()?.last_of_month();
    Some(Phrase { end, start, last, is_fixed, is_month: false, has_within: true })
}

/// What stands behind a month: a third of it, a day, or nothing.
fn month_part(text: &Text, at: usize, first: Date, is_fixed: bool) -> Option<Phrase> {
    let at = at + usize::from(text.get(at) == Some('份'));
    let at_part = at + usize::from(text.get(at) == Some('的'));
    if let Some((start, last, end)) = third(text, at_part, first) {
        return Some(Phrase { end, start, last, is_fixed, is_month: false, has_within: true });
    }
    if let Some((day, end)) = day_of_month(text, at_part, true) {
        let (mut start, mut last, mut end) = (day, day, end);
        // 3-5号, of which the first end has no sign of its own.
        if let Some(length) = one_of(text, end, &["到", "至", "-", "~", "、"])
            && let Some((second, behind)) = day_of_month(text, end + length, false)
            && second > day
        {
            (start, last, end) = (day, second, behind);
        }
        let start = first.with().day(start).build().ok()?;
        let last = first.with().day(last).build().ok()?;
        return Some(Phrase { end, start, last, is_fixed, is_month: false, has_within: false });
    }
    Some(Phrase { end: at, start: first, last: first.last_of_month(), is_fixed, is_month: true, has_within: true })
}

/// 初, 上旬: to the 10th; 中, 中旬: to the 20th; 底, 下旬: to the end.
fn third(text: &Text, at: usize, first: Date) -> Option<(Date, Date, usize)> {
    for (word, from, to) in [("上旬", 1, 10), ("初", 1, 10), ("中旬", 11, 20), ("中", 11, 20), ("下旬", 21, 31), ("底", 21, 31), ("末", 21, 31)] {
        if text.has(at, word) && !["中标", "中心", "中午", "中间", "初步", "初审", "底价", "中医"].iter().any(|other| text.has(at, other)) {
            let day = |day: i8| first.with().day(day.min(first.days_in_month())).build().ok();
            return Some((day(from)?, day(to)?, at + word.chars().count()));
        }
    }
    None
}

/// A day of a month: with 号 or 日, or behind its month without.
fn day_of_month(text: &Text, at: usize, behind_month: bool) -> Option<(i8, usize)> {
    let (day, end) = numbers::small(&text.chars, at)?;
    let day = i8::try_from(day).ok().filter(|day| (1..=31).contains(day))?;
    if let Some('号' | '日') = text.get(end) {
        // 3号楼 is a house.
        let is_place = text.get(end + 1).is_some_and(|c| "楼间机线门床馆厅院柜厂库桌".contains(c));
        return (!is_place || behind_month).then_some((day, end + 1));
    }
    // 三月十五, but not 三月一: a digit alone is a count.
    let is_bare = text.get(at).is_some_and(|c| c.is_ascii_digit()) || (end > at + 1 && text.chars[at..end].contains(&'十'));
    let stands = !text.get(end).is_some_and(|c| c.is_alphanumeric() && "台个万千百套张人份元块点排例次件.多年月".contains(c));
    (behind_month && is_bare && stands).then_some((day, end))
}

/// 两周后, 十天内, 半个月后, 三个工作日内.
fn counted(text: &Text, at: usize, on: Date) -> Option<Said> {
    if text.before(at).is_some_and(|c| c == '第' || c == '前' || c == '.' || c.is_ascii_digit()) {
        return None;
    }
    let (count, end) = match text.get(at)? {
        '半' => (0, at + 1),
        _ => numbers::small(&text.chars, at)?,
    };
    let end = end + usize::from(text.get(end) == Some('个'));
    let (sign, name) = [("工作日", 'd'), ("小时", 'h'), ("天", 'd'), ("日", 'd'), ("周", 'w'), ("星期", 'w'), ("礼拜", 'w'), ("月", 'm'), ("季度", 'q'), ("年", 'y')]
        .into_iter()
        .find_map(|(word, sign)| text.has(end, word).then(|| (sign, word.chars().count())))?;
    // 三月后 is March; three months need their 个.
    if sign == 'm' && text.before(end) != Some('个') {
        return None;
    }
    let behind = end + name;
    // 再过两周 is 两周后.
    let is_passed = text.ends(at, "再过") || (text.before(at) == Some('过') && sign != 'd' && !text.ends(at, "用过"));
    let is_within = one_of(text, behind, &["之内", "以内", "内", "里"]);
    let is_after = one_of(text, behind, &["之后", "以后", "过后", "后"]);
    let length = is_within.or(is_after).or(is_passed.then_some(0))?;
    let count = i32::try_from(count).ok().filter(|count| *count < 1_000)?;
    let span = match (sign, count) {
        ('h', count) if is_within.is_some() => ((count + 23) / 24).days(),
        ('h', _) => return None,
        ('d', 0) | ('w', 0) | ('q', 0) => return None,
        ('m', 0) => 15.days(),
        ('y', 0) => 6.months(),
        ('d', count) => count.days(),
        ('w', count) => (count * 7).days(),
        ('m', count) => count.months(),
        ('q', count) => (count * 3).months(),
        (_, count) => count.years(),
    };
    let day = on.checked_add(span).ok()?;
    let start = if is_within.is_some() { on } else { day };
    let end = clock(text, behind + length);
    Some(Said { span: at..end, start, end: day, is_past: false, is_today: false, is_open: false, is_before: is_within.is_some(), is_rolled: false })
}

/// 国庆前, 五一之前, 元旦前: to the day before.
fn holiday(text: &Text, at: usize, on: Date) -> Option<Said> {
    let (word, month) = [("元旦节", 1), ("元旦", 1), ("五一节", 5), ("五一", 5), ("国庆节", 10), ("国庆", 10), ("十一", 10)]
        .into_iter()
        .find(|(word, _)| text.has(at, word))?;
    let end = at + word.chars().count();
    let length = one_of(text, end, &["之前", "以前", "前"])?;
    let this = Date::new(on.year(), month, 1).ok()?;
    let day = if this > on { this } else { next_year(this)? };
    let last = day.yesterday().ok()?;
    Some(Said { span: at..end + length, start: on.min(last), end: last, is_past: false, is_today: false, is_open: false, is_before: true, is_rolled: false })
}

/// The time of the day behind a day is no date of its own.
fn clock(text: &Text, at: usize) -> usize {
    let mut end = at;
    end += one_of(text, end, &["一大早", "一早", "大早上", "上午", "下午", "晚上", "早上", "中午", "傍晚", "上班", "下班"]).unwrap_or(0);
    if let Some((hour, behind)) = numbers::small(&text.chars, end)
        && hour <= 24
    {
        if text.get(behind) == Some('点') && !text.get(behind + 1).is_some_and(|c| numbers::digit_of(c).is_some_and(|_| end == at)) {
            end = behind + 1;
            end += one_of(text, end, &["半", "整", "一刻", "三刻", "钟"]).unwrap_or(0);
        } else if text.get(behind) == Some(':')
            && let Some((_, behind)) = literal(text, behind + 1)
        {
            end = behind;
        }
    }
    end
}

fn next_year(date: Date) -> Option<Date> {
    // The end of February stays the end of February.
    let next = date.checked_add(1.year()).ok()?;
    let is_end = date == date.last_of_month();
    Some(if is_end { next.last_of_month() } else { next })
}

fn one_of(text: &Text, at: usize, words: &[&str]) -> Option<usize> {
    words.iter().find(|word| text.has(at, word)).map(|word| word.chars().count())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    /// Read on Tuesday, the 17th of February 2026.
    fn check(said: &str, start: &str, end: &str) {
        let found = find(&Text::of(said), date(2026, 2, 17));
        let [one] = found.as_slice() else { panic!("{said}: {found:?}") };
        assert_eq!((one.start.to_string(), one.end.to_string()), (start.into(), end.into()), "{said}");
    }

    #[test]
    fn days_of_the_calendar() {
        for (said, start, end) in [
            ("3月", "2026-03-01", "2026-03-31"),
            ("三月份", "2026-03-01", "2026-03-31"),
            ("1月", "2027-01-01", "2027-01-31"),
            ("2月20日", "2026-02-20", "2026-02-20"),
            ("2月16号", "2027-02-16", "2027-02-16"),
            ("五月二十号", "2026-05-20", "2026-05-20"),
            ("2028年2月下旬", "2028-02-21", "2028-02-29"),
            ("2026-03-05", "2026-03-05", "2026-03-05"),
            ("4月初", "2026-04-01", "2026-04-10"),
            ("7月中旬", "2026-07-11", "2026-07-20"),
            ("8月底", "2026-08-21", "2026-08-31"),
            ("月底", "2026-02-21", "2026-02-28"),
            ("月初", "2026-03-01", "2026-03-10"),
            ("下月初", "2026-03-01", "2026-03-10"),
            ("这个月25号", "2026-02-25", "2026-02-25"),
            ("下个月20号", "2026-03-20", "2026-03-20"),
            ("25号", "2026-02-25", "2026-02-25"),
            ("10号", "2026-03-10", "2026-03-10"),
            ("Q3", "2026-07-01", "2026-09-30"),
            ("三季度", "2026-07-01", "2026-09-30"),
            ("明年Q1", "2027-01-01", "2027-03-31"),
            ("2027年第三季度", "2027-07-01", "2027-09-30"),
            ("上半年", "2026-01-01", "2026-06-30"),
            ("明年上半年", "2027-01-01", "2027-06-30"),
            ("下半年", "2026-07-01", "2026-12-31"),
            ("年底", "2026-12-01", "2026-12-31"),
            ("明年年初", "2027-01-01", "2027-01-31"),
            ("明年", "2027-01-01", "2027-12-31"),
            ("3到4月", "2026-03-01", "2026-04-30"),
            ("七八月", "2026-07-01", "2026-08-31"),
        ] {
            check(said, start, end);
        }
    }

    #[test]
    fn days_from_the_note_on() {
        for (said, start, end) in [
            ("今天", "2026-02-17", "2026-02-17"),
            ("大后天", "2026-02-20", "2026-02-20"),
            ("后天", "2026-02-19", "2026-02-19"),
            ("下周三", "2026-02-25", "2026-02-25"),
            ("下下周一", "2026-03-02", "2026-03-02"),
            ("周五", "2026-02-20", "2026-02-20"),
            ("周二", "2026-02-17", "2026-02-17"),
            ("周一", "2026-02-23", "2026-02-23"),
            ("下礼拜三", "2026-02-25", "2026-02-25"),
            ("星期四", "2026-02-19", "2026-02-19"),
            ("下周", "2026-02-23", "2026-03-01"),
            ("周末", "2026-02-21", "2026-02-22"),
            ("两周后", "2026-03-03", "2026-03-03"),
            ("十天后", "2026-02-27", "2026-02-27"),
            ("三天内", "2026-02-17", "2026-02-20"),
            ("本周内", "2026-02-17", "2026-02-22"),
            ("一个月内", "2026-02-17", "2026-03-17"),
            ("下周二下午两点", "2026-02-24", "2026-02-24"),
        ] {
            check(said, start, end);
        }
    }

    #[test]
    fn before_and_between() {
        for (said, start, end) in [
            ("3月5号前", "2026-02-17", "2026-03-05"),
            ("年底之前", "2026-02-17", "2026-12-31"),
            ("8月底之前", "2026-02-17", "2026-08-31"),
            ("下周三前", "2026-02-17", "2026-02-25"),
            ("6月前", "2026-02-17", "2026-05-31"),
            ("国庆前", "2026-02-17", "2026-09-30"),
            ("3月1日至3月5日", "2026-03-01", "2026-03-05"),
            ("6月8号到10号", "2026-06-08", "2026-06-10"),
            ("3月3-5号", "2026-03-03", "2026-03-05"),
            ("11月到明年1月", "2026-11-01", "2027-01-31"),
            ("周三到周五", "2026-02-18", "2026-02-20"),
            ("下周三到周五", "2026-02-25", "2026-02-27"),
            ("3月底4月初", "2026-03-21", "2026-04-10"),
            ("4月8日（周三）", "2026-04-08", "2026-04-08"),
            ("下季度", "2026-04-01", "2026-06-30"),
            ("周内", "2026-02-17", "2026-02-22"),
            ("下周四五", "2026-02-26", "2026-02-27"),
            ("25、26号", "2026-02-25", "2026-02-26"),
            ("25到27号", "2026-02-25", "2026-02-27"),
            ("三月十五", "2026-03-15", "2026-03-15"),
            ("再过两周", "2026-03-03", "2026-03-03"),
            ("48小时内", "2026-02-17", "2026-02-19"),
            ("3.15开标", "2026-03-15", "2026-03-15"),
        ] {
            check(said, start, end);
        }
    }

    #[test]
    fn what_is_no_day() {
        for said in ["三年维保", "每周三", "3号楼", "一周三次", "周主任", "三个月", "64排", "第三", "一年底价"] {
            assert_eq!(find(&Text::of(said), date(2026, 2, 17)), [], "{said}");
        }
    }
}
