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
        let company = company(heard, at);
        let Some(length) = places.endings.at(chars, at).max(numbered(heard, at)).or(company) else {
            at += 1;
            continue;
        };
        let mut end = at + length;
        // 光明眼科医院 ends twice, 市人民医院体检中心 has a department.
        while places.need_a_name.is(&chars[at..end])
            && let Some(length) = places.endings.at(chars, end)
        {
            at = end;
            end += length;
        }
        // 新疆医科大学第一附属医院 is one name.
        if let Some((start, behind)) = of_university(heard, end) {
            (at, end) = (start, behind);
        }
        let span = start(heard, at, floor).map(|start| start..end);
        match span.filter(|span| is_name(heard, span, at)) {
            Some(span) => {
                let span = span.start..branch(heard, span.end);
                at = span.end;
                found.push(span);
            }
            None => at += 1,
        }
    }
    short_names(heard, &mut found);
    found
}

/// The hospital behind a university, as one name with it: where its ending begins and ends.
fn of_university(heard: &Heard, end: usize) -> Option<(usize, usize)> {
    let (text, chars, places) = (heard.text, &heard.text.chars, &heard.words.places);
    if !text.ends(end, "大学") && !text.ends(end, "学院") {
        return None;
    }
    let next = (end..end + 12).find(|at| {
        let is_hospital = places
            .endings
            .at(chars, *at)
            .is_some_and(|length| !places.need_a_name.is(&chars[*at..at + length]));
        is_hospital || text.get(*at).is_none_or(|c| is_stop(c) || matches!(c, '的' | '、'))
    })?;
    places.endings.at(chars, next).map(|length| (next, next + length))
}

/// 协和, 北京协和: where no longer name was found.
fn short_names(heard: &Heard, found: &mut Vec<Range<usize>>) {
    let (chars, places) = (&heard.text.chars, &heard.words.places);
    for name in places.short_names.all_in(chars, 0..chars.len()) {
        let span = name.start - places.regions.before(chars, name.start).unwrap_or(0)..name.end;
        let is_street =
            heard.text.get(name.end).is_some_and(|c| "路街区镇县道村山大级把个家直台套院".contains(c));
        let is_neighbour = places.neighbours.before(chars, span.start).is_some();
        let is_number = chars[name.clone()].iter().all(char::is_ascii_digit)
            && (heard.text.before(name.start).is_some_and(|c| c.is_ascii_digit())
                || heard.text.get(name.end).is_some_and(|c| !is_stop(c) && c != '的'));
        if !is_street && !is_neighbour && !is_number && !found.iter().any(|known| text::overlap(known, &span))
        {
            let at = found.iter().position(|known| known.start > span.start).unwrap_or(found.len());
            found.insert(at, span);
        }
    }
}

/// 瑞康医疗 in 瑞康医疗的胥总: how many characters the ending has.
fn company(heard: &Heard, at: usize) -> Option<usize> {
    let (chars, words) = (&heard.text.chars, heard.words);
    let length = words.places.companies.at(chars, at)?;
    let name = at + length + usize::from(heard.text.get(at + length) == Some('的'));
    let is_surname = chars.get(name).is_some_and(|c| words.people.surnames.has(*c));
    let has_person = is_surname
        && (1..=3).any(|given| {
            words.people.titles.at(chars, name + given).is_some()
                && !chars[name..name + given].contains(&'的')
        });
    let is_maker = words.brands.makers.before(chars, at + length).is_some()
        || words.people.own.before(chars, at + length).is_some()
        || words.people.own.before(chars, at).is_some();
    (has_person && !is_maker).then_some(length)
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
    // 周三院务会 is a day and a meeting.
    if heard.days.iter().any(|day| day.span.contains(&at)) {
        return None;
    }
    if !(1..=999).contains(&number) || text.before(at).is_some_and(|c| c.is_ascii_digit() || c == '十') {
        return None;
    }
    end = behind + usize::from(text.get(behind) == Some('附'));
    // 三院长 would be three of them, 一院两区 a way of speaking.
    let is_within =
        text.get(end + 1) == Some('内') && !text.get(end + 2).is_some_and(|c| "镜科窥分".contains(c));
    let is_numbered = text.get(end) == Some('院')
        && (text.has(end + 1, "院长")
            || !is_within && !text.get(end + 1).is_some_and(|c| "长办方区里两士感务".contains(c)));
    is_numbered.then_some(end + 1 - at)
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
    if is_stop(in_front) || matches!(in_front, '、' | ' ' | '"' | '“' | '”' | '《' | '》' | '/' | '—')
    {
        return true;
    }
    let ended = |spans: &[Range<usize>]| spans.iter().any(|span| span.end == at);
    if heard.days.iter().any(|day| day.span.end == at)
        || heard.amounts.iter().any(|amount| amount.span.end == at)
    {
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
    if matches!(in_front, '和' | '与' | '同') {
        let who = heard.text.before(at - 1);
        let joins = who.is_none_or(|c| is_stop(c) || "我们他她院长任".contains(c))
            || words.places.breaks.before(chars, at - 1).is_some();
        return joins && words.places.begins.at(chars, at - 1).is_none();
    }
    let acts = [
        &words.intents.buys,
        &words.intents.services,
        &words.intents.upgrades,
        &words.intents.breakdowns,
        &words.intents.tenders,
        &words.amounts.most_behind,
        &words.amounts.least_behind,
        &words.people.speaks,
        &words.equipment.tails,
    ];
    if at < ending && acts.iter().any(|list| list.before(chars, at).is_some_and(|length| length > 1)) {
        return true;
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
    // 四家医院 are none in particular.
    let is_count = name.iter().position(|c| *c == '家').is_some_and(|at| {
        at > 0
            && name[..at].iter().all(|c| numbers::digit_of(*c).is_some() || "十几多好0123456789".contains(*c))
    });
    if is_count {
        return false;
    }
    let is_department = heard.departments.iter().any(|department| {
        department.start < span.end && department.end > span.end && text::overlap(department, span)
    });
    !is_department && !matches!(behind, Some('感' | '级'))
}

/// 青浦分院, 东院区: which house of the customer.
fn branch(heard: &Heard, end: usize) -> usize {
    let text = heard.text;
    let house = (end..end + 4).take_while(|at| {
        text.get(*at).is_some_and(|c| !is_stop(c) && !"的和新是要想在".contains(c) || text.has(*at, "新院区"))
    });
    let behind = house.chain([end + 4]).find(|at| text.has(*at, "分院") || text.has(*at, "院区"));
    behind.map_or(end, |at| at + 2)
}

/// The customer of the note: the first who is no neighbour.
pub(super) fn choose(heard: &Heard) -> Option<String> {
    let is_meant = |at: &usize| {
        let place = &heard.places[*at];
        let next = heard.places.get(at + 1);
        !heard.is_denied(place.start) && !next.is_some_and(|next| heard.is_corrected(place.end, next.start))
    };
    let at = (0..heard.places.len()).find(is_meant)?;
    Some(heard.text.said(heard.places[at].clone()))
}

/// A name longer than this was not understood.
const NAME_MAX_CHARS: usize = 18;

#[cfg(test)]
mod tests {
    use super::super::said_on_tuesday;

    fn check(said: &str, want: Option<&str>) {
        assert_eq!(said_on_tuesday(said).hospital.as_deref(), want, "{said}");
    }

    #[test]
    fn a_name_is_read_to_where_it_begins() {
        for (said, want) in [
            ("省人民医院骨科要买CT", Some("省人民医院")),
            ("刚从市一院出来", Some("市一院")),
            ("协和的彩超", Some("协和")),
            ("今天去和平医院了", Some("和平医院")),
            ("我和仁爱医院谈过", Some("仁爱医院")),
            ("张家港市第一人民医院", Some("张家港市第一人民医院")),
            ("华中科技大学同济医学院附属协和医院的彩超", Some("华中科技大学同济医学院附属协和医院")),
            ("复旦大学附属中山医院青浦分院", Some("复旦大学附属中山医院青浦分院")),
            ("新华医院要买彩超", Some("新华医院")),
            ("万和口腔报修", Some("万和口腔")),
            ("口腔科要牙椅", None),
            ("从医院出来", None),
            ("隔壁市三院买了一台", None),
            ("跑了四家医院", None),
            ("瑞康医疗的胥总要CT", Some("瑞康医疗")),
            ("市一院，说错了，是市二院要彩超", Some("市二院")),
            ("周三院务会上定", None),
        ] {
            check(said, want);
        }
    }
}
