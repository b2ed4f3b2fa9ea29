//! What our side has to do next: 我得…, 记得…, 让我们…, 需提前…, 下一步：…, each cut to verb and object as said. What the customer will do is none.

use std::ops::Range;

use super::heard::Heard;
use super::text::{is_full_stop, is_stop};

/// Something that our side has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Todo {
    /// From the verb to the end of the object.
    pub(super) span: Range<usize>,
    /// With who and when in front of it.
    pub(super) clause: Range<usize>,
}

/// Everything that our side has to do, in the order of the text.
pub(super) fn find(heard: &Heard) -> Vec<Todo> {
    let mut found: Vec<Todo> = Vec::new();
    let mut at = 0;
    while at < heard.text.len() {
        match read(heard, at).filter(|todo| !todo.span.is_empty()) {
            Some(todo) => {
                at = todo.span.end.max(at + 1);
                found.push(todo);
            }
            None => at += 1,
        }
    }
    found
}

/// The first, as it is written in the record.
pub(super) fn choose(heard: &Heard) -> Option<String> {
    let todo = heard.todos.first()?;
    let mut said = String::new();
    let mut at = todo.span.start;
    while at < todo.span.end {
        match heard
            .days
            .iter()
            .find(|day| day.span.start == at && day.span.end <= todo.span.end && !day.is_past)
        {
            Some(day) => at = day.span.end,
            None => {
                said.push_str(&heard.text.said(at..at + 1));
                at += 1;
            }
        }
    }
    let said = said.trim().to_owned();
    (said.chars().count() > 1).then_some(said)
}

fn read(heard: &Heard, at: usize) -> Option<Todo> {
    let (text, chars, words) = (heard.text, &heard.text.chars, &heard.words.todos);
    let is_start = text.before(at).is_none_or(|c| is_stop(c) || matches!(c, ' ' | '、'));
    let todo = |from: usize, is_wide: bool| -> Option<Todo> {
        let start = skip(heard, from);
        let span = start..end(heard, start);
        let begins = chars.get(start).copied()?;
        let verb = if is_wide {
            !"的了说是不没别啊吗多怎什几为".contains(begins)
        } else {
            words.verbs.at(chars, start).is_some()
        };
        // 让我等了半小时, 我去的是: it is over.
        let first = span.start..span.end.min(span.start + 4);
        let is_over = first.clone().skip(1).any(|i| {
            i + 1 < span.end
                && (chars[i] == '了' && !text.has(i, "了解")
                    || chars[i] == '过' && !text.has(i, "过来") && !text.has(i, "过去")
                    || text.has(i, "的是"))
        });
        let is_done = is_over
            || heard.words.dates.idle.at(chars, start).is_some()
            || words.done.at(chars, start).is_some()
            || span.clone().any(|i| text.has(i, "了没") || text.has(i, "多少"));
        (verb && !is_done && span.len() > 1).then(|| Todo { clause: front(heard, at)..span.end, span })
    };
    // 下一步：准备投标文件.
    if let Some(length) = words.labels.at(chars, at).filter(|_| is_start || text.before(at) == Some('的')) {
        let mut from = at + length;
        let has_sign = text.get(from).is_some_and(|c| matches!(c, ':' | ',' | '是'));
        if has_sign || words.must.at(chars, from).is_some() {
            while text.get(from).is_some_and(|c| {
                matches!(c, ':' | ',' | ' ' | '是' | '.' | '、' | '(' | ')') || c.is_ascii_digit()
            }) {
                from += 1;
            }
            return todo(from, true);
        }
    }
    if let Some(length) = words.remember.at(chars, at) {
        // 麻烦发一份资料: the verb is of what is to be done.
        let verb = words.verbs.before(chars, at + length).filter(|verb| {
            *verb < length && matches!(chars[at + length - verb - 1], '烦' | '请' | '你' | '您')
        });
        let from = at + length + usize::from(matches!(text.get(at + length), Some(',' | ':')));
        return todo(from - verb.unwrap_or(0), true);
    }
    // 让我们…, 喊我…: they ask, we follow.
    if let Some(length) = words.asks.at(chars, at)
        && let Some(own) = words.own.at(chars, at + length)
    {
        // 想要我们代理的开立 asks for no act.
        return todo(at + length + own, chars[at] != '要' || length > 1);
    }
    // 王主任让安排工程师上门: whom he asks goes without saying.
    if let Some(length) = words.asks.at(chars, at)
        && matches!(chars[at], '让' | '叫' | '催' | '要')
        && (length > 1 || chars[at] != '要')
        && (is_start
            || heard.people.iter().any(|person| person.span.end == at)
            || text.ends(at, "客户")
            || text.ends(at, "院方")
            || matches!(text.before(at), Some('他' | '她')))
        && words.bare_verbs.at(chars, skip(heard, at + length)).is_some()
    {
        return todo(at + length, false);
    }
    // 要求本周五前提供承诺书: they ask, and nobody else can be meant.
    if words.asks.at(chars, at) == Some(2) && text.has(at, "要求") {
        let from = at + 2 + usize::from(text.get(at + 2) == Some('于'));
        let has_day = heard.days.iter().any(|day| day.span.start == from);
        let start = skip(heard, from);
        if has_day && words.bare_verbs.at(chars, start).is_some() {
            return todo(from, false);
        }
    }
    // 我答应他周六….
    if let Some(length) = words.promises.at(chars, at)
        && (is_start || own_before(heard, at))
    {
        let mut from = at + length;
        while text.get(from).is_some_and(|c| matches!(c, '他' | '她' | '们' | '了')) {
            from += 1;
        }
        return todo(from, false);
    }
    if let Some(own) = words.own.at(chars, at) {
        return mine(heard, at, own, &todo);
    }
    if is_start {
        return unnamed(heard, at, &todo);
    }
    // 标配三年得向总部请示: nobody put a comma.
    let must = words.must.at(chars, at).filter(|_| {
        matches!(chars[at], '得' | '需')
            && !text.before(at).is_some_and(|c| "觉值懂记晓获取使免舍不急必".contains(c))
    })?;
    words.bare_verbs.at(chars, skip(heard, at + must)).and_then(|_| todo(at + must, false))
}

/// 我得…, 我们需…, 我周五把…: our side is named.
fn mine(heard: &Heard, at: usize, own: usize, todo: &dyn Fn(usize, bool) -> Option<Todo>) -> Option<Todo> {
    let (text, chars, words) = (heard.text, &heard.text.chars, &heard.words.todos);
    let mut from = at + own;
    from += usize::from(text.get(from) == Some('们'));
    // 今天我见到王主任 tells; what is to be done today has a word that says so.
    let mut has_day = heard.days.iter().any(|day| day.span.end == at && !day.is_past && !day.is_today)
        || words.later.before(chars, at).is_some();
    loop {
        if let Some(day) = heard.days.iter().find(|day| day.span.start == from) {
            if day.is_past {
                return None;
            }
            let is_told = text.before(text.clause(from).end) == Some('了');
            has_day |= !day.is_today || (text.get(day.span.end) == Some('把') && !is_told);
            from = day.span.end;
        } else if text
            .get(from)
            .is_some_and(|c| matches!(c, '还' | '也' | '就' | '都' | '这' | '边' | '先' | ' '))
            && words.must.at(chars, from).is_none()
        {
            from += 1;
        } else {
            break;
        }
    }
    if let Some(must) = words.must.at(chars, from) {
        let must_end = from + must;
        // 要不要 asks, 要的是 tells, 得很 praises.
        if matches!(text.get(must_end), Some('不' | '的' | '了' | '很' | '到')) {
            return None;
        }
        // 我们下周准备一份报价单: the word is the verb itself.
        let is_verb = must > 1
            && words.verbs.at(chars, from) == Some(must)
            && words.verbs.at(chars, skip(heard, must_end)).is_none();
        if is_verb {
            return todo(from, false);
        }
        let is_strong = chars[from..must_end].iter().any(|c| "得需须必务".contains(*c));
        return todo(must_end, is_strong);
    }
    // 下周三我去北京开会 is where somebody is.
    let goes = matches!(text.get(from), Some('去' | '在' | '到' | '开'))
        && !words.bare_verbs.is_in(chars, from..end(heard, from));
    if has_day && !goes { todo(from, false) } else { None }
}

/// 需提前准备…, 得催一下…, 下周三前把…: at the beginning of a clause, without a name.
fn unnamed(heard: &Heard, at: usize, todo: &dyn Fn(usize, bool) -> Option<Todo>) -> Option<Todo> {
    let (text, chars, words) = (heard.text, &heard.text.chars, &heard.words.todos);
    let mut from = at;
    if let Some(length) = words.later.at(chars, at)
        && words.must.at(chars, at + length).is_some()
    {
        return unnamed(heard, at + length, todo);
    }
    let day = heard.days.iter().find(|day| day.span.start == at && !day.is_past);
    if let Some(day) = day {
        from = day.span.end;
        from += usize::from(matches!(text.get(from), Some('就' | ' ')));
    }
    let bare = |from: usize| {
        let start = skip(heard, from);
        words.bare_verbs.at(chars, start).and_then(|_| todo(from, false))
    };
    if let Some(must) = words.must.at(chars, from)
        && !matches!(text.get(from + must), Some('不' | '的' | '了' | '很'))
    {
        let is_must = chars[from..from + must].iter().any(|c| "得需须要必务应待快紧".contains(*c));
        return if is_must { bare(from + must) } else { None };
    }
    // 请尽快安排工程师: they ask.
    if text.get(from) == Some('请') {
        return bare(from + 1);
    }
    // 后天去送货.
    if day.is_some() && text.get(from) == Some('去') && words.bare_verbs.at(chars, from + 1).is_some() {
        return todo(from, true);
    }
    let verb = words.bare_verbs.at(chars, from)?;
    let whole = end(heard, from);
    if whole <= from + verb {
        return None;
    }
    let is_over = chars[from..whole].iter().zip(from..).any(|(c, i)| {
        *c == '了' && i + 1 < whole || text.has(i, "过了") || text.has(i, "给我") || text.has(i, "告诉我")
    });
    // 给贾院长回电话，这个是我要做的.
    let sentence = text.sentence(from);
    let is_mine = words.mine.is_in(chars, whole..sentence.end);
    // 周一拜访了永安医院 tells as often as it orders, and 一周后给结果 is theirs.
    let is_week = day.is_some_and(|day| {
        matches!(text.get(at), Some('周' | '星' | '礼')) && text.before(day.span.end) != Some('前')
    }) && matches!(chars[from], '拜' | '回' | '见');
    let gives = text.get(from) == Some('给')
        && !heard.people.iter().any(|person| person.span.start == from + 1)
        && !text.get(from + 1).is_some_and(|c| "他她客对院".contains(c));
    // A note of nothing else is a note to oneself: 给王主任寄样品.
    let is_whole = at == 0
        && whole + 1 >= text.len()
        && !is_over
        && text.get(whole) != Some('了')
        && !chars[from..whole].iter().any(|c| matches!(c, '不' | '没' | '完' | '好'));
    let is_theirs = words.theirs.is_in(chars, from..whole);
    let is_order = (is_whole && !is_theirs)
        || (day.is_some() && !is_theirs && !is_week && !gives)
        || text.get(from) == Some('把');
    let has_last = text.before(whole) == Some('了');
    ((is_mine || (is_order && !is_over && !has_last)) && whole > from).then(|| todo(from, false)).flatten()
}

/// Past days, 提前, 尽快 and their like, and who.
fn skip(heard: &Heard, from: usize) -> usize {
    let (text, chars, words) = (heard.text, &heard.text.chars, &heard.words.todos);
    let mut at = from;
    while at < from + TODO_MAX_CHARS {
        if let Some(day) = heard.days.iter().find(|day| day.span.start == at) {
            at = day.span.end;
        } else if text.get(at) == Some('于') && heard.days.iter().any(|day| day.span.start == at + 1)
            || matches!(text.get(at), Some(' ' | ':'))
        {
            at += 1;
        } else if let Some(length) = words.skipped.at(chars, at)
            && words.verbs.at(chars, at).is_none_or(|verb| verb <= length)
        {
            at += length;
        } else {
            break;
        }
    }
    at
}

/// Where what has to be done ends: at a stop, or where something else is spoken of.
fn end(heard: &Heard, start: usize) -> usize {
    let (text, chars, words) = (heard.text, &heard.text.chars, &heard.words.todos);
    let mut end = (start..chars.len().min(start + TODO_MAX_CHARS))
        .find(|at| is_stop(chars[*at]))
        .unwrap_or(chars.len().min(start + TODO_MAX_CHARS));
    if let Some(other) = words.ends.first_in(chars, start + 2..end) {
        end = other.start;
    }
    let speaks = |person: &&super::people::Person| {
        person.span.start > start + 1
            && person.span.end < end
            && text.before(person.span.start).is_some_and(|c| !"给跟找和向让请约同与为陪".contains(c))
            && heard
                .words
                .people
                .speaks
                .at(chars, person.span.end)
                .is_some_and(|_| matches!(chars[person.span.end], '说' | '讲'))
    };
    if let Some(person) = heard.people.iter().find(speaks) {
        end = person.span.start;
    }
    // 把标书交了 is whole with its 了.
    let is_done = text.get(start) == Some('把') && text.before(end) == Some('了');
    while end > start
        && !is_done
        && (text.before(end) == Some(' ') || words.particles.before(chars, end).is_some())
    {
        end -= words.particles.before(chars, end).unwrap_or(1);
    }
    end
}

/// Where the clause begins to which this belongs, with the day in front.
fn front(heard: &Heard, at: usize) -> usize {
    let day = heard.days.iter().find(|day| {
        day.span.end <= at
            && at - day.span.end <= 2
            && !heard.text.chars[day.span.end..at].iter().any(|c| is_full_stop(*c))
    });
    day.map_or(at, |day| day.span.start)
}

fn own_before(heard: &Heard, at: usize) -> bool {
    let clause = heard.text.clause(at);
    let near = clause.start.max(at.saturating_sub(6))..at;
    heard.words.todos.own.is_in(&heard.text.chars, near)
}

/// Whoever dictates more than this in one breath has a note, and no todo.
const TODO_MAX_CHARS: usize = 60;

#[cfg(test)]
mod tests {
    use super::super::said_on_tuesday;

    fn check(said: &str, want: Option<&str>) {
        assert_eq!(said_on_tuesday(said).todo.as_deref(), want, "{said}");
    }

    #[test]
    fn what_our_side_has_to_do() {
        for (said, want) in [
            ("需提前准备防静电方案", Some("准备防静电方案")),
            ("下周三前把报价单发给他", Some("把报价单发给他")),
            ("我得改标书", Some("改标书")),
            ("让我们派人驻场", Some("派人驻场")),
            ("下一步：准备投标文件", Some("准备投标文件")),
            ("记得明天买标书", Some("买标书")),
            ("我周五把样机送过去", Some("把样机送过去")),
            ("给贾院长回电话，这个是我要做的", Some("给贾院长回电话")),
            ("回头我整理装机名单", Some("整理装机名单")),
            ("标配三年得向总部请示", Some("向总部请示")),
            ("他要求质保五年", None),
            ("超过就要重新报批", None),
            ("院方约我们谈价格", None),
            ("我买了束花", None),
            ("周五他们开标", None),
            ("要修呼吸机", None),
        ] {
            check(said, want);
        }
    }
}
