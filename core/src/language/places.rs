//! Which customer a note is about: names by their end (医院, 卫生院, 疾控), by number (市三院, 二附院), or known by a short name (协和). A name is
//! read from its end to where something stands that is no part of a name. A hospital that is only called so (医院, 该院) is none.

use std::ops::Range;

use super::heard::Heard;
use super::numbers;
use super::text::{self, is_stop};

/// Every customer that is named, in the order of the text.
pub(super) fn find(heard: &Heard) -> Vec<Range<usize>> {
    let chars = &heard.text.chars;
    let places = &heard.words.places;
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let floor = found.last().map_or(0, |last| last.end);
        let known = places.short_names.at(chars, at).map(|length| (places.regions.before(chars, at).unwrap_or(0), length, true));
        let ending = places.endings.at(chars, at).map(|length| (0, length, false));
        let numbered = numbered(heard, at).map(|length| (0, length, false));
        let longest = [numbered, ending, known].into_iter().flatten().max_by_key(|(_, length, _)| *length);
        let Some((region, length, is_known)) = longest else {
            at += 1;
            continue;
        };
        let end = at + length;
        let span = if is_known && places.endings.at(chars, end).is_none() && numbered_short(heard, end).is_none() {
            Some(at.saturating_sub(region)..end)
        } else if is_known {
            at += 1;
            continue;
        } else {
            start(heard, at, floor).map(|start| start..end)
        };
        match span.filter(|span| is_name(heard, span, at)) {
            Some(span) => {
                let span = span.start..branch(heard, span.end);
                at = span.end;
                found.push(span);
            }
            None => at += 1,
        }
    }
    found
}

/// 三院, 二附院, 附一院, 第二医院's 第二 is no such: how many characters, where one begins here.
fn numbered(heard: &Heard, at: usize) -> Option<usize> {
    let text = heard.text;
    let mut end = at;
    if text.get(end) == Some('附') {
        end += 1 + usize::from(text.get(end + 1) == Some('属'));
    }
    if text.get(end) == Some('第') {
        end += 1;
    }
    let (number, behind) = numbers::small(&text.chars, end)?;
    if !(1..=999).contains(&number) || text.before(at).is_some_and(|c| c.is_ascii_digit() || c == '十') {
        return None;
    }
    end = behind + usize::from(text.get(behind) == Some('附'));
    // 三院长 would be three of them, 一院两区 a way of speaking.
    let is_numbered = text.get(end) == Some('院') && (text.has(end + 1, "院长") || !text.get(end + 1).is_some_and(|c| "长内办方区里两士感".contains(c)));
    is_numbered.then_some(end + 1 - at)
}

/// A number with 院 where a short name ends: 湘雅 in 湘雅二院.
fn numbered_short(heard: &Heard, at: usize) -> Option<usize> {
    numbered(heard, at)
}

/// Where the name begins that ends with the word at this place.
fn start(heard: &Heard, ending: usize, floor: usize) -> Option<usize> {
    let from = floor.max(ending.saturating_sub(NAME_MAX_CHARS));
    let mut at = ending;
    loop {
        if at <= floor || begins(heard, at, ending) {
            return Some(at);
        }
        // A word that looks like a boundary may begin a name: 和平医院.
        if let Some(length) = heard.words.places.begins.at(&heard.text.chars, at)
            && at + length <= ending
            && heard.words.places.breaks.before(&heard.text.chars, at + 1).is_some_and(|length| length == 1)
        {
            return Some(at);
        }
        if at == from {
            return None;
        }
        at -= 1;
    }
}

fn begins(heard: &Heard, at: usize, ending: usize) -> bool {
    let (chars, words) = (&heard.text.chars, heard.words);
    let Some(in_front) = heard.text.before(at) else { return true };
    if is_stop(in_front) || matches!(in_front, '、' | ' ' | '"' | '“' | '”' | '《' | '》' | '/' | '—') {
        return true;
    }
    let ended = |spans: &[Range<usize>]| spans.iter().any(|span| span.end == at);
    if heard.days.iter().any(|day| day.span.end == at) || heard.amounts.iter().any(|amount| amount.span.end == at) {
        return true;
    }
    // 新华医院 and 口腔医院: a name must be left.
    if at < ending && (ended(&heard.makers) || ended(&heard.equipment)) {
        return true;
    }
    if words.people.titles.before(chars, at).is_some_and(|length| length > 1) {
        return true;
    }
    // One hospital ends where another begins, but a university's is one name.
    if let Some(length) = words.places.endings.before(chars, at)
        && !words.places.need_a_name.is(&chars[at - length..at])
    {
        return true;
    }
    if matches!(in_front, '和' | '与' | '跟' | '同') {
        let who = heard.text.before(at - 1);
        let joins = who.is_none_or(|c| is_stop(c) || "我们他她院长任".contains(c));
        return joins && words.places.begins.at(chars, at - 1).is_none();
    }
    let Some(length) = words.places.breaks.before(chars, at) else { return false };
    // A boundary of one character is none where a name begins with it.
    !(length == 1 && words.places.begins.at(chars, at - 1).is_some_and(|length| at - 1 + length <= ending))
}

fn is_name(heard: &Heard, span: &Range<usize>, ending: usize) -> bool {
    let (chars, places) = (&heard.text.chars, &heard.words.places);
    let name = &chars[span.clone()];
    if places.no_name.is(name) || places.neighbours.before(chars, span.start).is_some() {
        return false;
    }
    // 口腔科, 眼科 as the end of a department, 医院长: a longer word.
    let behind = heard.text.get(span.end);
    if places.need_a_name.is(&chars[ending..span.end]) && (ending < span.start + 2 || behind == Some('科')) {
        return false;
    }
    let is_department = heard.departments.iter().any(|department| department.start < span.end && department.end > span.end && text::overlap(department, span));
    !is_department && !matches!(behind, Some('感' | '内' | '级')) && !(name.len() == 2 && name == ['医', '院'])
}

/// 分院, 东院区: which house of the customer.
fn branch(heard: &Heard, end: usize) -> usize {
    let text = heard.text;
    if text.has(end, "分院") || text.has(end, "院区") {
        return end + 2;
    }
    let is_side = text.get(end).is_some_and(|c| "东西南北新老".contains(c));
    if is_side && text.has(end + 1, "院区") { end + 3 } else { end }
}

/// The customer of the note: the first who is no neighbour.
pub(super) fn choose(heard: &Heard) -> Option<String> {
    heard.places.first().map(|place| heard.text.said(place.clone()))
}

/// A name longer than this was not understood.
const NAME_MAX_CHARS: usize = 18;
