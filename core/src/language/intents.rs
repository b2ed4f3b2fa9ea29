//! What the customer is about to do: buy, have serviced, or upgrade. A word that is denied (不修了) counts for nothing; where several are left,
//! what is worked on says more than that it is put out to tender.

use std::ops::Range;

use super::heard::Heard;
use super::numbers;
use super::text::is_stop;
use super::words::List;

/// What the customer is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// 采购.
    Buy,
    /// 维保.
    Service,
    /// 升级.
    Upgrade,
}

impl Intent {
    /// As it is written in the record.
    pub(super) fn name(self) -> &'static str {
        match self {
            Intent::Buy => "采购",
            Intent::Service => "维保",
            Intent::Upgrade => "升级",
        }
    }
}

/// The intent of the note: what holds now goes before what was said formerly (原来要买新的，现在改成升级).
pub(super) fn choose(heard: &Heard) -> Option<Intent> {
    of_time(heard, false).or_else(|| of_time(heard, true))
}

fn of_time(heard: &Heard, with_past: bool) -> Option<Intent> {
    let count = |list: &List| count(heard, list, with_past);
    let words = &heard.words.intents;
    let buys = count(&words.buys) + takes(heard, with_past);
    let services = count(&words.services) + parts(heard);
    let upgrades = count(&words.upgrades);
    let breakdowns = count(&words.breakdowns);
    let tenders = count(&words.tenders);
    let additions = count(&words.additions);
    // A car is repaired, too: what is broken must be equipment.
    let is_about_equipment = !heard.equipment.is_empty() || !heard.amounts.is_empty();
    let (services, breakdowns) =
        if is_about_equipment { (services, breakdowns) } else { (count_long(heard, &words.services), 0) };
    match () {
        () if upgrades > 0 && buys == 0 => Some(Intent::Upgrade),
        () if upgrades > 0 && upgrades >= services => Some(first_of(heard, &words.upgrades, &words.buys)),
        () if services > 0 && (buys == 0 || services > buys) => Some(Intent::Service),
        () if buys > 0 => Some(Intent::Buy),
        () if services > 0 => Some(Intent::Service),
        () if tenders > 0 => Some(Intent::Buy),
        () if breakdowns > 0 => Some(Intent::Service),
        () if additions > 0 => Some(Intent::Upgrade),
        () => None,
    }
}

/// Whether upgrading or buying is spoken of first, where both are.
fn first_of(heard: &Heard, upgrades: &List, buys: &List) -> Intent {
    let first = |list: &List| spoken(heard, list).next().map_or(usize::MAX, |word| word.start);
    if first(upgrades) <= first(buys) || !heard.text.chars[first(buys)..].starts_with(&['买', '新']) {
        Intent::Upgrade
    } else {
        Intent::Buy
    }
}

fn count(heard: &Heard, list: &List, with_past: bool) -> usize {
    // A word that is denied once is denied for the whole note: 修要二十八万，不修了.
    let denied: Vec<&[char]> = list
        .all_in(&heard.text.chars, 0..heard.text.len())
        .filter(|word| is_denied(heard, word))
        .map(|word| &heard.text.chars[word])
        .collect();
    spoken(heard, list)
        .filter(|word| with_past || !is_past(heard, word))
        .filter(|word| !denied.iter().any(|denied| *denied == &heard.text.chars[word.clone()]))
        .count()
}

/// As [`count`], of words of more than one character.
fn count_long(heard: &Heard, list: &List) -> usize {
    spoken(heard, list).filter(|word| word.len() > 1).count()
}

/// Words of the list that are no part of another word, nor said of a neighbour or of what was.
fn spoken<'a>(heard: &'a Heard, list: &'a List) -> impl Iterator<Item = Range<usize>> + 'a {
    let chars = &heard.text.chars;
    let others: Vec<Range<usize>> = heard.words.intents.other.all_in(chars, 0..chars.len()).collect();
    list.all_in(chars, 0..chars.len()).filter(move |word| {
        let is_other = others.iter().any(|other| other.start <= word.start && word.end <= other.end);
        let clause = heard.text.clause(word.start);
        let is_neighbour = heard.is_neighbour(&(clause.start..word.start))
            && !heard
                .people
                .iter()
                .any(|person| clause.start <= person.span.start && person.span.end <= word.start);
        let is_place = heard
            .places
            .iter()
            .chain(&heard.departments)
            .any(|place| place.start <= word.start && word.end <= place.end);
        let is_part = heard.words.equipment.parts.at(chars, word.end).is_some();
        // 我买了束花: but 跟我们买 is theirs.
        let own = heard.words.todos.own.before(chars, word.start).filter(|_| chars[word.start] == '买');
        let is_ours = own.is_some_and(|own| {
            !heard.text.before(word.start - own).is_some_and(|c| "跟从找向给在问说".contains(c))
        });
        !is_other && !is_ours && !is_part && !is_neighbour && !is_place && !is_denied(heard, word)
    })
}

/// Whether a word tells of what was, or was meant formerly.
fn is_past(heard: &Heard, word: &Range<usize>) -> bool {
    let (chars, words) = (&heard.text.chars, &heard.words.amounts);
    let clause = heard.text.clause(word.start);
    let front = clause.start.max(word.start.saturating_sub(10))..word.start;
    let is_day =
        |past: &Range<usize>| heard.days.iter().any(|day| day.span.contains(&past.start) && !day.is_past);
    let past = words.past.all_in(chars, front.clone()).filter(|past| !is_day(past)).last();
    past.is_some_and(|past| words.now.last_in(chars, front).is_none_or(|now| now.start < past.start))
}

fn is_denied(heard: &Heard, word: &Range<usize>) -> bool {
    let (chars, words) = (&heard.text.chars, &heard.words.intents);
    // 要不要买 and 买不买 ask.
    let mut at = word.start;
    while heard
        .text
        .before(at)
        .is_some_and(|c| matches!(c, '再' | '想' | '去' | '打' | '算' | '要' | '先' | '用' | '走'))
        && word.start - at < 3
    {
        at -= 1;
    }
    let asks = at >= 2 && chars.get(at.wrapping_sub(2)) == chars.get(at);
    let denies = |at: usize| words.denied.before(chars, at).is_some();
    (denies(word.start) || denies(at)) && !asks
}

/// 换球管: a part is no purchase.
fn parts(heard: &Heard) -> usize {
    let (chars, words) = (&heard.text.chars, &heard.words);
    let parts = words.equipment.parts.all_in(chars, 0..chars.len());
    // 加一个模块 is none, but an addition.
    parts.filter(|part| (1..=4).any(|back| part.start >= back && chars[part.start - back] == '换')).count()
}

/// 要两台, 添一台, 上直线加速器: a verb of taking, then a number with a measure or equipment.
fn takes(heard: &Heard, with_past: bool) -> usize {
    let (chars, words) = (&heard.text.chars, heard.words);
    let counts = |at: usize| {
        let Some((_, end)) = numbers::small(chars, at) else {
            return words
                .amounts
                .measures
                .at(chars, at)
                .is_some_and(|_| chars[at] == '台' || chars[at] == '部');
        };
        let end = end + usize::from(chars.get(end) == Some(&'来') || chars.get(end) == Some(&'多'));
        let Some(length) = words.amounts.measures.at(chars, end) else { return false };
        // 换一个球管 is a repair, and 加一年 no purchase.
        let is_part = words.equipment.parts.at(chars, end + length).is_some();
        let is_vague =
            matches!(chars[end], '个' | '年' | '次' | '位' | '块' | '处' | '路' | '间' | '例' | '件' | '条');
        !is_part && (!is_vague || heard.equipment.iter().any(|named| named.start == end + length))
    };
    let mut found = 0;
    for verb in words.intents.takes.all_in(chars, 0..chars.len()) {
        let mut at = verb.end;
        while heard.text.get(at).is_some_and(|c| matches!(c, '了' | '个' | ' ' | '新')) {
            at += 1;
        }
        // 要西门子的CT, 换成史赛克的.
        let maker = heard.makers.iter().find(|maker| maker.start == at);
        if let Some(maker) = maker {
            at = maker.end + usize::from(heard.text.get(maker.end) == Some('的'));
        }
        // 血球仪要换, DSA今年肯定上: nothing stands behind, the equipment in front.
        let clause = heard.text.clause(verb.start);
        let closes = heard.text.get(at).is_none_or(is_stop)
            && matches!(chars[verb.end - 1], '上' | '换' | '添' | '要' | '进')
            && heard.equipment.iter().any(|named| {
                clause.start <= named.start && named.end <= verb.start && verb.start - named.end < 8
            })
            && !words.equipment.parts.is_in(chars, clause.clone());
        let switches = maker.is_some() && heard.text.chars[verb.clone()].starts_with(&['换']);
        let names = verb.len() > 1
            || matches!(chars[verb.start], '招' | '上' | '进' | '添' | '要' | '订' | '配' | '采' | '购');
        let named =
            names && heard.equipment.iter().any(|named| named.start == at) && chars[verb.end - 1] != '需';
        let serves = |span: Range<usize>| {
            [&words.intents.services, &words.intents.upgrades]
                .iter()
                .any(|list| list.is_in(chars, span.clone()))
        };
        // 要呼吸机维保: what is wanted is the service.
        let is_service = heard
            .equipment
            .iter()
            .any(|named| named.start == at && serves(named.end..(named.end + 4).min(chars.len())));
        if (counts(at) || named || switches || closes)
            && !is_denied(heard, &verb)
            && !is_service
            && (with_past || !is_past(heard, &verb))
        {
            found += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::said_on_tuesday;

    fn check(said: &str, want: Option<&str>) {
        assert_eq!(said_on_tuesday(said).intent.as_deref(), want, "{said}");
    }

    #[test]
    fn what_is_worked_on_goes_before_a_tender() {
        for (said, want) in [
            ("要买CT", Some("采购")),
            ("呼吸机要换新的", Some("采购")),
            ("彩超要两台", Some("采购")),
            ("下周三开标", Some("采购")),
            ("CT续保", Some("维保")),
            ("呼吸机维保要招标", Some("维保")),
            ("血球仪又堵针了", Some("维保")),
            ("DR球管坏了要换一个", Some("维保")),
            ("PACS扩容", Some("升级")),
            ("先不买新的了，就把老CT升级一下", Some("升级")),
            ("平板坏了，不修了，买新的DR", Some("采购")),
            ("月底签合同", None),
            ("下周开会", None),
            ("记得买标书", None),
            ("车坏了", None),
            ("原来要买新的，现在CT改成升级了", Some("升级")),
        ] {
            check(said, want);
        }
    }
}
