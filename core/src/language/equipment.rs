//! Which piece of equipment a note is about: the names of the list with what says which kind, and names that only their end gives away.

use std::ops::Range;

use super::heard::Heard;
use super::numbers;
use super::text::{self, is_stop};

/// Every piece of equipment that is named, in the order of the text, without a tail (`CT机` is `CT`).
pub(super) fn find(heard: &Heard) -> Vec<Range<usize>> {
    let (chars, words) = (&heard.text.chars, &heard.words.equipment);
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let department = heard.departments.iter().find(|department| department.contains(&at));
        let name = words.names.at(chars, at).filter(|length| {
            // 内镜中心 is a place; Dr. is a title.
            department.is_none_or(|department| at + length > department.end)
                && chars.get(at + length) != Some(&'.')
        });
        let Some(length) = name else {
            at += 1;
            continue;
        };
        let floor = found.last().map_or(0, |last| last.end);
        found.push(with_kinds(heard, at, floor)..at + length);
        at += length;
    }
    heads(heard, &mut found);
    join(heard, &mut found);
    found.iter_mut().for_each(|named| named.start = behind_measure(heard, named.start));
    behind_measures(heard, &mut found);
    // 系统 at the end is understood.
    found.iter_mut().for_each(|named| named.end = without_tail(heard, named));
    found
}

/// Where the name ends without a tail that came with a name from no list.
fn without_tail(heard: &Heard, named: &Range<usize>) -> usize {
    let (chars, words) = (&heard.text.chars, &heard.words.equipment);
    let tail = words.tails.before(chars, named.end).filter(|length| *length > 1 && named.len() > length + 1);
    let is_listed = words.names.is(&chars[named.clone()]);
    named.end - tail.filter(|_| !is_listed).unwrap_or(0)
}

/// The place where the words begin that say which kind of equipment it is: 64排, 3.0T, 移动.
fn with_kinds(heard: &Heard, start: usize, floor: usize) -> usize {
    let chars = &heard.text.chars;
    let mut start = start;
    loop {
        let kind = heard.words.equipment.kinds.before(chars, start).or_else(|| measure(chars, start));
        match kind {
            Some(length) if start - length >= floor => start -= length,
            _ => return start,
        }
    }
}

/// 64排, 3.0T, 十二导: how many characters in front of this place.
fn measure(chars: &[char], end: usize) -> Option<usize> {
    let sign = end.checked_sub(1).filter(|at| "排层t导道寸k联".contains(chars[*at]))?;
    let length = chars[..sign].iter().rev().take(6).take_while(|c| is_number(**c) || **c == '.').count();
    (length > 0).then_some(length + 1)
}

/// Names that are in no list: 亚低温治疗仪, where something in front tells where it begins.
fn heads(heard: &Heard, found: &mut Vec<Range<usize>>) {
    let chars = &heard.text.chars;
    for head in heard.words.equipment.heads.all_in(chars, 0..chars.len()) {
        if heard.departments.iter().any(|department| text::overlap(department, &head)) {
            continue;
        }
        if found.iter().any(|named| named.start <= head.start && head.end <= named.end) {
            continue;
        }
        if let Some(named) =
            found.iter_mut().find(|named| named.end >= head.start && named.start <= head.start)
        {
            named.end = named.end.max(head.end);
            continue;
        }
        let start = (head.start.saturating_sub(NAME_MAX_CHARS)..=head.start)
            .rev()
            .find(|at| begins(heard, *at, head.start));
        // A head alone says nothing, unless it is a whole name.
        if let Some(start) = start.filter(|start| head.end - start > 2) {
            let at = found.iter().position(|named| named.start > start).unwrap_or(found.len());
            found.insert(at, start..head.end);
        }
    }
}

/// Names side by side are one: 彩色多普勒超声, 磁控胶囊胃镜; but CT核磁 and 胃镜肠镜 are two.
fn join(heard: &Heard, found: &mut Vec<Range<usize>>) {
    let chars = &heard.text.chars;
    let mut joined: Vec<Range<usize>> = Vec::new();
    for named in found.drain(..) {
        match joined.last_mut() {
            Some(last)
                if last.end == named.start
                    && !chars[last.end - 1].is_ascii()
                    && chars[last.end - 1] != chars[named.end - 1]
                    && named.end - last.start <= NAME_MAX_CHARS + 4 =>
            {
                last.end = named.end;
            }
            _ => joined.push(named),
        }
    }
    *found = joined;
}

/// A name begins behind a number with its measure, whatever stands between: 一台硬质气管镜.
fn behind_measure(heard: &Heard, start: usize) -> usize {
    let (chars, words) = (&heard.text.chars, heard.words);
    let measure = (start.saturating_sub(6)..start).rev().find(|at| {
        words.amounts.measures.at(chars, *at) == Some(1)
            && *at > 0
            && is_number(chars[at - 1])
            && matches!(chars[*at], '台' | '套' | '部' | '张' | '把' | '架')
    });
    let Some(measure) = measure else { return start };
    let mut from = measure + 1;
    while let Some(length) = words.equipment.no_kinds.at(chars, from).filter(|length| from + length <= start)
    {
        from += length;
    }
    let is_name = chars[from..start].iter().all(|c| {
        !is_stop(*c)
            && !c.is_whitespace()
            && !"的了是要想就也和都还能用给做在有、，我他这那买修坏换全".contains(*c)
    });
    let is_free = !heard.makers.iter().any(|maker| text::overlap(maker, &(from..start)))
        && !words.places.breaks.is_in(chars, from..start);
    if is_name && is_free { from } else { start }
}

/// Names of which not even the end is known: what stands behind a number and its measure, up to a stop.
fn behind_measures(heard: &Heard, found: &mut Vec<Range<usize>>) {
    let (chars, words) = (&heard.text.chars, heard.words);
    for measure in words.amounts.measures.all_in(chars, 0..chars.len()) {
        let is_one = measure.start > 0 && is_number(chars[measure.start - 1]);
        if !is_one || !matches!(chars[measure.start], '台' | '套' | '部' | '张' | '把' | '架') {
            continue;
        }
        let start = measure.end;
        let end = (start..chars.len().min(start + NAME_MAX_CHARS))
            .take_while(|at| !is_stop(chars[*at]) && chars[*at] != '、')
            .last()
            .map_or(start, |at| at + 1);
        let head = words.equipment.weak_heads.first_in(chars, (start + 1).min(end)..end);
        let Some(head) = head else { continue };
        let span = start..head.end;
        if words.equipment.nameless.is(&chars[span.clone()])
            || words.equipment.nameless.at(chars, start).is_some_and(|length| length > 1)
        {
            continue;
        }
        let is_plain = words.places.breaks.is_in(chars, span.clone())
            || chars[span.clone()].iter().any(|c| "新老旧样这那我他的了要想就也".contains(*c));
        if !is_plain && !found.iter().any(|named| text::overlap(named, &span)) {
            let at = found.iter().position(|named| named.start > start).unwrap_or(found.len());
            found.insert(at, span);
        }
    }
}

fn is_number(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '十' | '百' | '千' | '几') || numbers::digit_of(c).is_some()
}

/// Whether a name may begin here.
fn begins(heard: &Heard, at: usize, head: usize) -> bool {
    let (chars, words) = (&heard.text.chars, heard.words);
    let Some(in_front) = heard.text.before(at) else { return true };
    let count = |length: usize| {
        let number = at - length;
        length <= 2 && number > 0 && (is_number(chars[number - 1]) || chars[number - 1] == '每')
    };
    is_stop(in_front)
        || matches!(in_front, '、' | ' ' | '和')
        || heard.ends_at(at)
        || heard.departments.iter().any(|department| department.end == at)
        || words.places.endings.before(chars, at).is_some()
        || (at < head && words.places.breaks.before(chars, at).is_some())
        || words.intents.buys.before(chars, at).is_some()
        || words
            .equipment
            .wants
            .before(chars, at)
            .is_some_and(|length| length > 1 || words.equipment.kinds.at(chars, at - 1).is_none())
        || words.amounts.measures.before(chars, at).is_some_and(count)
}

/// The one that the note is about.
pub(super) fn choose(heard: &Heard) -> Option<String> {
    let mut best: Option<(i32, &Range<usize>)> = None;
    for (at, named) in heard.equipment.iter().enumerate() {
        let next = heard.equipment.get(at + 1);
        let score = score(heard, named, next);
        // What was given up is still what the note is about, where there is nothing else.
        if score > DENIED && best.is_none_or(|(most, _)| score > most) {
            best = Some((score, named));
        }
    }
    best.map(|(_, named)| heard.text.said(named.clone()))
}

fn score(heard: &Heard, named: &Range<usize>, next: Option<&Range<usize>>) -> i32 {
    let (chars, words) = (&heard.text.chars, heard.words);
    let is_denied = heard.is_denied(named.start);
    let mut end = named.end + words.equipment.tails.at(chars, named.end).unwrap_or(0);
    end += chars[end..].iter().take(2).take_while(|c| "的也就都了事".contains(**c)).count();
    let refusal =
        words.equipment.refused.at(chars, end).or_else(|| words.equipment.refused.at(chars, named.end));
    let is_corrected = next.is_some_and(|next| heard.is_corrected(named.end, next.start));
    if is_denied || is_corrected {
        return DENIED;
    }
    if refusal.is_some() || words.equipment.refuses.before(chars, named.start).is_some() {
        return REFUSED;
    }
    let clause = heard.text.clause(named.start);
    let before = clause.start.max(named.start.saturating_sub(8))..named.start;
    let behind = named.end..clause.end.min(named.end + 8);
    let mut score = 0;
    // 救护车用的除颤仪.
    let belongs = next.is_some_and(|next| {
        next.start <= named.end + 4 && heard.text.contains(named.end..next.start, "用的")
    });
    if belongs {
        score -= 5;
    }
    if words.equipment.wants.is_in(chars, before.clone()) {
        score += 2;
    }
    let acts = [
        &words.intents.buys,
        &words.intents.services,
        &words.intents.upgrades,
        &words.intents.breakdowns,
        &words.intents.tenders,
    ];
    if acts.iter().any(|list| list.is_in(chars, behind.clone())) {
        score += 2;
    }
    let front = clause.start..named.start;
    if heard.is_neighbour(&front) || words.amounts.past.is_in(chars, front) {
        score -= 5;
    }
    score
}

/// Given up, or somebody else's.
const REFUSED: i32 = -10;
/// Named by mistake.
const DENIED: i32 = -20;
/// A name longer than this was not understood.
const NAME_MAX_CHARS: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::said_on_tuesday;

    fn check(said: &str, want: Option<&str>) {
        assert_eq!(said_on_tuesday(said).device.as_deref(), want, "{said}");
    }

    #[test]
    fn the_one_that_is_wanted_without_its_tail() {
        for (said, want) in [
            ("启动CT机招标", Some("CT")),
            ("DR设备采购", Some("DR")),
            ("PACS系统扩容", Some("PACS")),
            ("要买呼吸机", Some("呼吸机")),
            ("买64排CT", Some("64排CT")),
            ("要3.0T核磁", Some("3.0T核磁")),
            ("采购移动DR两台", Some("移动DR")),
            ("想采购亚低温治疗仪", Some("亚低温治疗仪")),
            ("要一台硬质气管镜", Some("硬质气管镜")),
            ("买一台削皮机", Some("削皮机")),
            ("彩色多普勒超声", Some("彩色多普勒超声")),
            ("超声刀不要了，就买个高频电刀", Some("高频电刀")),
            ("要修的不是呼吸机，是麻醉机", Some("麻醉机")),
            ("要买的是CT，啊说错了，是核磁", Some("核磁")),
            ("DR球管坏了", Some("DR")),
            ("内镜中心很忙", None),
            ("一台救护车用的除颤仪", Some("除颤仪")),
        ] {
            check(said, want);
        }
    }
}
