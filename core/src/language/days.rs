//! Days as they are said: 3月, 2月20日, 下周三, 大后天, 两周后, Q3, 年底, 6月8号到10号. Each is resolved on the day of the note; which of several
//! matters is not decided here. Grammar of the calendar, and no list: these words are the same for every company.

use std::ops::Range;

use jiff::ToSpan;
use jiff::civil::Date;

use super::calendar::{Phrase, literal, one_of, phrase};
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
        let is_same =
            text.before(at) == Some('(') && found.last().is_some_and(|last: &Said| last.span.end + 1 == at);
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
    if let Some(length) =
        one_of(text, phrase_end, &["之前", "以前", "前"]).filter(|_| !text.has(phrase_end, "前后"))
    {
        phrase_end += length;
        // Before a month that has not begun is before it; before a day or a third of a month includes it.
        if first.is_month && !is_range && start > on {
            end = start.yesterday().ok()?;
        }
        start = on.min(end);
        is_before = true;
    } else if let Some(length) =
        one_of(text, phrase_end, &["之内", "以内", "内"]).filter(|_| first.has_within)
    {
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
    if (first.is_month || (6..=10).contains(&width(first)))
        && text.before(at) != Some('月')
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
    let (sign, name) = [
        ("工作日", 'd'),
        ("小时", 'h'),
        ("天", 'd'),
        ("日", 'd'),
        ("周", 'w'),
        ("星期", 'w'),
        ("礼拜", 'w'),
        ("月", 'm'),
        ("季度", 'q'),
        ("年", 'y'),
    ]
    .into_iter()
    .find_map(|(word, sign)| text.has(end, word).then(|| (sign, word.chars().count())))?;
    // 三月后 is March; three months need their 个.
    if sign == 'm' && text.before(end) != Some('个') {
        return None;
    }
    let behind = end + name;
    // 再过两周 is 两周后.
    let is_passed =
        text.ends(at, "再过") || (text.before(at) == Some('过') && sign != 'd' && !text.ends(at, "用过"));
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
    Some(Said {
        span: at..end,
        start,
        end: day,
        is_past: false,
        is_today: false,
        is_open: false,
        is_before: is_within.is_some(),
        is_rolled: false,
    })
}

/// 国庆前, 五一之前, 元旦前: to the day before.
fn holiday(text: &Text, at: usize, on: Date) -> Option<Said> {
    let (word, month) =
        [("元旦节", 1), ("元旦", 1), ("五一节", 5), ("五一", 5), ("国庆节", 10), ("国庆", 10), ("十一", 10)]
            .into_iter()
            .find(|(word, _)| text.has(at, word))?;
    let end = at + word.chars().count();
    let length = one_of(text, end, &["之前", "以前", "前"])?;
    let this = Date::new(on.year(), month, 1).ok()?;
    let day = if this > on { this } else { next_year(this)? };
    let last = day.yesterday().ok()?;
    Some(Said {
        span: at..end + length,
        start: on.min(last),
        end: last,
        is_past: false,
        is_today: false,
        is_open: false,
        is_before: true,
        is_rolled: false,
    })
}

/// The time of the day behind a day is no date of its own.
fn clock(text: &Text, at: usize) -> usize {
    let mut end = at;
    end += one_of(
        text,
        end,
        &["一大早", "一早", "大早上", "上午", "下午", "晚上", "早上", "中午", "傍晚", "上班", "下班"],
    )
    .unwrap_or(0);
    if let Some((hour, behind)) = numbers::small(&text.chars, end)
        && hour <= 24
    {
        if text.get(behind) == Some('点')
            && !(end == at && text.get(behind + 1).and_then(numbers::digit_of).is_some())
        {
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
        for said in
            ["三年维保", "每周三", "3号楼", "一周三次", "周主任", "三个月", "64排", "第三", "一年底价"]
        {
            assert_eq!(find(&Text::of(said), date(2026, 2, 17)), [], "{said}");
        }
    }
}
