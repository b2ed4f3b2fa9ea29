//! Phrases of the calendar, before what stands in front of them or behind (前, 到, 内) makes them a span: 2026-03-05, 3月20日, 2月下旬, 明年上半年,
//! Q3, 年底, 25号.

use jiff::ToSpan;
use jiff::civil::Date;

use super::numbers;
use super::text::Text;
use super::weeks::{relative_day, relative_month, relative_quarter, week};

/// What a phrase stands for, before it is a day of the calendar.
#[derive(Clone, Copy)]
pub(super) struct Phrase {
    pub(super) end: usize,
    pub(super) start: Date,
    pub(super) last: Date,
    /// The year was said, or follows from the words.
    pub(super) is_fixed: bool,
    /// A month without a day or a third.
    pub(super) is_month: bool,
    /// A span of which 内 leaves the rest.
    pub(super) has_within: bool,
}

pub(super) fn phrase(text: &Text, at: usize, on: Date, within: Option<Phrase>) -> Option<Phrase> {
    let fixed =
        |end, start, last| Phrase { end, start, last, is_fixed: true, is_month: false, has_within: true };
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
        let first = Date::new(on.year(), (on.month() - 1) / 3 * 3 + 1, 1)
            .ok()?
            .checked_add((quarters * 3).months())
            .ok()?;
        let last = first.checked_add(2.months()).ok()?.last_of_month();
        return Some(fixed(end, first, last));
    }
    // 周内, 月内: what is left of it.
    if let Some(length) = one_of(text, at, &["周内", "月内"])
        && !text.before(at).is_some_and(|c| {
            numbers::digit_of(c).is_some()
                || c.is_ascii_digit()
                || matches!(c, '本' | '个' | '十' | '当' | '这' | '下' | '半' | '几')
        })
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
        return Some(Phrase {
            end,
            start: day,
            last: day,
            is_fixed: first.is_fixed,
            is_month: false,
            has_within: false,
        });
    }
    if let Some(part) = year_part(text, at, on.year(), false) {
        return Some(part);
    }
    // 月底, of this month, unless that is over.
    if text.get(at) == Some('月')
        && !text.before(at).is_some_and(|c| c == '个' || numbers::digit_of(c).is_some() || c.is_ascii_digit())
    {
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
        return Some(Phrase {
            end,
            start: date,
            last: date,
            is_fixed: true,
            is_month: false,
            has_within: false,
        });
    }
    None
}

/// 3/15, 4.20: with a day of two digits and nothing behind that makes it a measure.
fn short(text: &Text, at: usize, on: Date) -> Option<Phrase> {
    let (month, end) = literal(text, at)?;
    text.get(end).filter(|c| matches!(c, '/' | '.'))?;
    let (day, behind) = literal(text, end + 1)?;
    let is_measure = text
        .get(behind)
        .is_none_or(|c| c.is_ascii() || "万亿千百元块米倍代版寸折个台套分吨秒小公".contains(c));
    let date = Date::new(on.year(), month.try_into().ok()?, day.try_into().ok()?).ok()?;
    let phrase =
        Phrase { end: behind, start: date, last: date, is_fixed: false, is_month: false, has_within: false };
    (behind == end + 3 && !is_measure).then_some(phrase)
}

/// The year that is said here, and whether it may stand alone.
fn year(text: &Text, at: usize, on: Date) -> Option<(i16, usize, bool)> {
    for (word, years, is_bare) in [
        ("明年", 1, true),
        ("来年", 1, true),
        ("后年", 2, true),
        ("今年", 0, false),
        ("本年", 0, false),
        ("当年", 0, false),
        ("去年", -1, true),
        ("前年", -2, true),
        ("出年", 1, true),
    ] {
        if text.has(at, word) {
            let mut end = at + 2;
            end += one_of(text, end, &["的", "度"]).filter(|_| text.get(end + 1) != Some('数')).unwrap_or(0);
            return Some((on.year() + years, end, is_bare));
        }
    }
    let (year, end) = literal(text, at)?;
    let year = if (20..60).contains(&year) && end == at + 2 { year + 2_000 } else { year };
    (text.get(end) == Some('年') && (1_990..2_100).contains(&year)).then_some((
        year.try_into().ok()?,
        end + 1,
        true,
    ))
}

/// A quarter, a half, the end of a year, or a month with what stands behind it.
fn year_part(text: &Text, at: usize, year: i16, is_fixed: bool) -> Option<Phrase> {
    let of = |end, from: i8, to: i8| {
        let start = Date::new(year, from, 1).ok()?;
        let last = Date::new(year, to, 1).ok()?.last_of_month();
        Some(Phrase { end, start, last, is_fixed, is_month: false, has_within: true })
    };
    for (word, from, to) in [
        ("上半年", 1, 6),
        ("下半年", 7, 12),
        ("年底", 12, 12),
        ("年末", 12, 12),
        ("年尾", 12, 12),
        ("年初", 1, 1),
        ("年头", 1, 1),
        ("年中", 6, 6),
        ("底", 12, 12),
        ("初", 1, 1),
        ("末", 12, 12),
        ("年内", 1, 12),
    ] {
        // 明年底: the year was named with its own 年.
        let is_short = word.chars().count() == 1;
        if text.has(at, word) && (!is_short || (is_fixed && text.ends(at, "年"))) {
            // 一年底价 and 三年内 are none.
            if !is_fixed
                && text
                    .before(at)
                    .is_some_and(|c| numbers::digit_of(c).is_some() || c.is_ascii_digit() || c == '半')
            {
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
    Some(Phrase {
        end: at,
        start: first,
        last: first.last_of_month(),
        is_fixed,
        is_month: true,
        has_within: true,
    })
}

/// 初, 上旬: to the 10th; 中, 中旬: to the 20th; 底, 下旬: to the end.
fn third(text: &Text, at: usize, first: Date) -> Option<(Date, Date, usize)> {
    for (word, from, to) in [
        ("上旬", 1, 10),
        ("头上", 1, 10),
        ("初", 1, 10),
        ("中旬", 11, 20),
        ("中", 11, 20),
        ("下旬", 21, 31),
        ("底", 21, 31),
        ("末", 21, 31),
    ] {
        if text.has(at, word)
            && !["中标", "中心", "中午", "中间", "初步", "初审", "底价", "中医"]
                .iter()
                .any(|other| text.has(at, other))
        {
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
    let is_bare = text.get(at).is_some_and(|c| c.is_ascii_digit())
        || (end > at + 1 && text.chars[at..end].contains(&'十'));
    let stands = !text
        .get(end)
        .is_some_and(|c| c.is_alphanumeric() && "台个万千百套张人份元块点排例次件.多年月".contains(c));
    (behind_month && is_bare && stands).then_some((day, end))
}

pub(super) fn literal(text: &Text, at: usize) -> Option<(i64, usize)> {
    text.get(at).filter(char::is_ascii_digit)?;
    numbers::small(&text.chars, at)
}

pub(super) fn one_of(text: &Text, at: usize, words: &[&str]) -> Option<usize> {
    words.iter().find(|word| text.has(at, word)).map(|word| word.chars().count())
}
