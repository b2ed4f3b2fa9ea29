//! Which maker the customer prefers. A maker that offers, that is installed today, or that is one of several without a preference is none.

use std::ops::Range;

use super::heard::Heard;
use super::intents::Intent;
use super::text::{self, is_stop};

/// How a maker stands with the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Refused,
    /// Named, and no more.
    Named,
    /// Named alone as the one to be bought.
    Bought,
    /// A word of wanting stands in front.
    Wanted,
    /// A word of preference.
    Preferred,
}

/// The maker of the note.
pub(super) fn choose(heard: &Heard, intent: Option<Intent>, contact: Option<&str>) -> Option<String> {
    let mut standings: Vec<(String, Standing, usize)> = Vec::new();
    for at in 0..heard.makers.len() {
        let maker = heard.makers[at].clone();
        let name = heard.text.said(maker.clone());
        let mut standing = standing(heard, at, intent);
        // 想买迈瑞的，不对，是科曼的: what was said of the one was meant for the other.
        if at > 0 && heard.is_corrected(heard.makers[at - 1].end, maker.start) {
            standing = standing.max(meant(heard, at - 1, intent));
        }
        match standings.iter_mut().find(|(known, _, _)| *known == name) {
            Some((_, known, place)) => (*known, *place) = ((*known).max(standing), maker.start),
            None => standings.push((name, standing, maker.start)),
        }
    }
    if heard.makers.is_empty() {
        return unknown(heard);
    }
    let most = standings.iter().map(|(_, standing, _)| *standing).max()?;
    // 院长偏联影，主任偏GE，院长说了算: of two preferences that of who decides.
    if most >= Standing::Wanted
        && let Some(contact) = contact
    {
        let tied = standings.iter().filter(|(_, standing, _)| *standing == most);
        let theirs = tied.clone().filter(|(_, _, start)| {
            heard.text.said(heard.text.clause(*start).start..*start).contains(contact)
        });
        if tied.count() > 1 && theirs.clone().count() == 1 {
            return theirs.map(|(name, _, _)| name.clone()).next();
        }
    }
    let mut best = standings.iter().filter(|(_, standing, _)| *standing == most);
    let first = best.next()?;
    match (most, best.next()) {
        (Standing::Preferred | Standing::Wanted, None) => Some(first.0.clone()),
        // Named alone: no other is in the note.
        (Standing::Bought, None) if standings.len() == 1 => Some(first.0.clone()),
        _ => None,
    }
}

/// A maker that is in no list, where a word of preference stands directly in front and a stop behind: 倾向韦乐海茨.
fn unknown(heard: &Heard) -> Option<String> {
    let (text, chars, words) = (heard.text, &heard.text.chars, &heard.words.brands);
    let mut strong = words.prefers_surely.all_in(chars, 0..chars.len());
    strong.find_map(|word| {
        let end = text.clause(word.end).end;
        let name = word.end..end;
        let is_name = (2..=5).contains(&name.len())
            && chars[name.clone()].iter().all(|c| c.is_alphanumeric() && !c.is_ascii_digit());
        let spans = heard.equipment.iter().chain(&heard.places).chain(&heard.departments);
        let is_other = spans.into_iter().any(|span| text::overlap(span, &name))
            || heard.days.iter().any(|day| text::overlap(&day.span, &name))
            || heard.people.iter().any(|person| text::overlap(&person.span, &name))
            || heard.amounts.iter().any(|amount| text::overlap(&amount.span, &name))
            || words.no_makers.is_in(chars, name.clone());
        let is_denied = heard.words.intents.denied.before(chars, word.start).is_some();
        (is_name && !is_other && !is_denied).then(|| text.said(name))
    })
}

fn standing(heard: &Heard, at: usize, intent: Option<Intent>) -> Standing {
    let maker = &heard.makers[at];
    let next = heard.makers.get(at + 1);
    let clause = heard.text.clause(maker.start);
    let is_neighbour = heard.is_neighbour(&(clause.start..maker.start));
    if next.is_some_and(|next| heard.is_corrected(maker.end, next.start))
        || heard.is_denied(maker.start)
        || is_neighbour
    {
        return Standing::Refused;
    }
    meant(heard, at, intent)
}

fn meant(heard: &Heard, at: usize, intent: Option<Intent>) -> Standing {
    let (text, chars, words) = (heard.text, &heard.text.chars, &heard.words.brands);
    let maker = &heard.makers[at];
    let next = heard.makers.get(at + 1);
    let clause = text.clause(maker.start);
    let floor = at.checked_sub(1).map_or(0, |before| heard.makers[before].end).max(clause.start);
    let front = floor.max(maker.start.saturating_sub(10))..maker.start;
    // 联影和东软都行: several of them in a row share what is said of them.
    let is_chosen = words.prefers.before(chars, maker.start).is_some_and(|length| length > 1);
    let in_row =
        |other: Option<&Range<usize>>, from: usize, to: usize| other.is_some() && joins(&chars[from..to]);
    let row_front = at > 0 && in_row(heard.makers.get(at - 1), heard.makers[at - 1].end, maker.start);
    let row_behind = next.is_some_and(|next| {
        in_row(Some(next), maker.end, next.start) && !(is_chosen && maker.end == next.start)
    });
    let mut end = maker.end;
    while text.get(end).is_some_and(|c| matches!(c, '的' | '也' | '都' | ' ' | '就')) {
        end += 1;
    }
    let verdict = [end, maker.end].into_iter().find_map(|end| {
        // 迈瑞好 praises, 迈瑞好像 supposes.
        let is_said = |length: &usize| {
            *length > 1
                || text
                    .get(end + 1)
                    .is_none_or(|c| is_stop(c) || matches!(c, '了' | '吧' | '的' | '些' | '一'))
        };
        let (good, bad) = (words.preferred.at(chars, end).filter(is_said), words.refused.at(chars, end));
        (good.is_some() || bad.is_some()).then(|| good >= bad)
    });
    if row_front || row_behind {
        return Standing::Named;
    }
    let refuses = words.refuses.last_in(chars, front.clone()).map(|word| (word.end, word.len()));
    let prefers = words.prefers.last_in(chars, front.clone()).map(|word| (word.end, word.len()));
    // 联影的性价比最高: the praise stands a little behind.
    let reach = maker.end
        ..text.clause(maker.end).end.min(maker.end + 10).min(next.map_or(chars.len(), |next| next.start));
    let praise = words.praises.first_in(chars, reach.clone());
    let is_praised = praise.is_some_and(|praise| {
        let denied = heard.words.intents.denied.is_in(chars, reach.start..praise.start)
            || heard.words.intents.denied.before(chars, praise.start).is_some();
        !denied && words.refused.at(chars, reach.start).is_none_or(|length| length <= 1)
    });
    // A word of wanting is denied like any other: 不再用, 不想要.
    let is_past = heard.words.amounts.past.last_in(chars, front.clone());
    match verdict {
        Some(true) if is_past.is_none() => return Standing::Preferred,
        Some(true | false) => return Standing::Refused,
        None if is_praised && is_past.is_none() && refuses.is_none() => return Standing::Preferred,
        None => {}
    }
    if refuses.is_some_and(|refuses| prefers.is_none_or(|prefers| refuses >= prefers)) || is_past.is_some() {
        return Standing::Refused;
    }
    if let Some((end, length)) = prefers {
        let between = maker.start - end;
        let is_denied = heard.words.intents.denied.before(chars, end - length).is_some();
        let is_plain = length == 1;
        // 要 and 买 stand directly in front; other equipment between makes it another's.
        // 换联影 ends there; 换西门子的老CT does not.
        let stays = !is_plain
            || chars[end - 1] != '换'
            || text.get(maker.end).is_none_or(is_stop)
            || text.ends(maker.start, "换成");
        let counted = chars[end..maker.start]
            .iter()
            .all(|c| "了一二两三四五六七八九十0123456789台套部把张个些批款的全新架几".contains(*c));
        if !is_denied
            && stays
            && between <= 6
            && (!is_plain || counted)
            && !heard.equipment.iter().any(|named| named.start >= end && named.end <= maker.start)
        {
            let serves = matches!(intent, Some(Intent::Service | Intent::Upgrade));
            return match (is_plain, serves) {
                (true, true) => Standing::Named,
                (true, false) => Standing::Wanted,
                _ => Standing::Preferred,
            };
        }
    }
    let is_bought = match intent {
        Some(Intent::Buy) => stands_alone(heard, maker),
        None => stands_alone(heard, maker) && text.get(maker.end) == Some('的'),
        Some(_) => false,
    };
    if is_bought { Standing::Bought } else { Standing::Named }
}

/// A clause of its own (联影 between two commas, 希森美康的 at the end), or directly in front of the equipment (联影的CT).
fn stands_alone(heard: &Heard, maker: &Range<usize>) -> bool {
    let text = heard.text;
    let end = maker.end + usize::from(text.get(maker.end) == Some('的'));
    let in_front = text.before(maker.start).is_none_or(is_stop);
    let behind = text.get(end).is_none_or(is_stop);
    in_front && behind || heard.equipment.iter().any(|named| named.start == end)
}

/// Whether only 和, 、 and their like stand between two makers.
fn joins(between: &[char]) -> bool {
    !between.is_empty()
        && between.len() <= 3
        && between.iter().all(|c| "和、与跟或者还是有及/ 的or and&".contains(*c))
        || between.is_empty()
}

#[cfg(test)]
mod tests {
    use super::super::said_on_tuesday;

    fn check(said: &str, want: Option<&str>) {
        assert_eq!(said_on_tuesday(said).brand.as_deref(), want, "{said}");
    }

    #[test]
    fn a_preference_and_not_a_mention() {
        for (said, want) in [
            ("倾向联影", Some("联影")),
            ("要GE的，别的不看", Some("GE")),
            ("想买凝血仪，希森美康的", Some("希森美康")),
            ("明峰和安科来过，他觉得明峰好", Some("明峰")),
            ("首选蔡司，徕卡备选", Some("蔡司")),
            ("GE和西门子都行", None),
            ("西门子和联影二选一还没定", None),
            ("老机器是飞利浦的，要换新的CT", None),
            ("迈瑞报了五十万，想买监护仪", None),
            ("原先想买奥林巴斯，现在改成澳华了", Some("澳华")),
            ("想买迈瑞的监护仪，不对，是科曼的", Some("科曼")),
            ("院长偏联影，主任偏GE，院长说了算", Some("联影")),
            ("摆药机倾向韦乐海茨", Some("韦乐海茨")),
            ("首选国产", None),
            ("GE的CT坏了要修", None),
        ] {
            check(said, want);
        }
    }
}
