//! Who is meant by `contact`: names with titles, nicknames, titles alone; of several the one whose decision the note tells, else whose words.
//! Our own people, those of other makers, and who has left are none.

use std::ops::Range;

use super::heard::Heard;
use super::text::{self, is_stop};

/// Somebody who is mentioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) span: Range<usize>,
    /// How many characters of it are the title; none: a nickname.
    title: usize,
    /// Of our side, or of another maker's.
    pub(super) is_ours: bool,
}

/// Everybody who is mentioned, in the order of the text.
pub(super) fn find(heard: &Heard) -> Vec<Person> {
    let (chars, words) = (&heard.text.chars, &heard.words.people);
    let mut found: Vec<Person> = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let floor = found.last().map_or(0, |last| last.span.end);
        if words.no_person.at(chars, at).is_some() {
            at += words.no_person.at(chars, at).unwrap_or(1);
            continue;
        }
        let named = doctor(heard, at)
            .or_else(|| titled(heard, at, floor))
            .or_else(|| nickname(heard, at))
            .or_else(|| labelled(heard, at));
        match named {
            Some((span, title)) => {
                at = span.end;
                let is_ours = is_ours(heard, &span, title);
                found.push(Person { span, title, is_ours });
            }
            None => at += 1,
        }
    }
    found
}

/// Dr. Chen, Dr. 黎.
fn doctor(heard: &Heard, at: usize) -> Option<(Range<usize>, usize)> {
    let text = heard.text;
    let is_whole = !text.before(at).is_some_and(|c| c.is_ascii_alphabetic());
    let title = ["dr.", "mr.", "ms.", "prof."].iter().find(|title| is_whole && text.has(at, title))?.len();
    let name = at + title + usize::from(text.get(at + title) == Some(' '));
    let latin = text.chars[name..].iter().take_while(|c| c.is_ascii_alphabetic()).count();
    let length = match latin {
        0 => usize::from(text.get(name).is_some_and(|c| heard.words.people.surnames.has(c))),
        letters => letters,
    };
    (length > 0).then_some((at..name + length, title))
}

/// A title with the name in front of it: 张院长, 王建国主任, 新院长, 院长.
fn titled(heard: &Heard, at: usize, floor: usize) -> Option<(Range<usize>, usize)> {
    let (chars, words) = (&heard.text.chars, &heard.words.people);
    let short = || {
        let length = words.short_titles.at(chars, at)?;
        let end = at + length;
        let does = heard.text.get(end).is_none_or(is_stop)
            || words.speaks.at(chars, end).is_some()
            || words.decides.at(chars, end).is_some();
        (does && !heard.departments.iter().any(|department| department.contains(&at))).then_some(length)
    };
    let title = words.titles.at(chars, at).or_else(short)?;
    if heard.places.iter().any(|place| place.contains(&at)) {
        return None;
    }
    let span = |start: usize| Some((start..at + title, title));
    if let Some(start) = name_start(heard, at, floor) {
        return span(start);
    }
    if !words.alone.is(&chars[at..at + title]) {
        return None;
    }
    match heard.text.before(at) {
        Some('新') if at > floor => span(at - 1),
        _ => span(at),
    }
}

/// Where the name begins that ends here, if one does.
fn name_start(heard: &Heard, end: usize, floor: usize) -> Option<usize> {
    let (chars, words) = (&heard.text.chars, &heard.words.people);
    let is_surname = |at: usize| chars.get(at).is_some_and(|c| words.surnames.has(*c));
    let is_free = |start: usize| {
        let name = start..end;
        let days = heard.days.iter().map(|day| &day.span);
        let days = days.chain(heard.amounts.iter().map(|amount| &amount.span));
        let taken =
            days.chain(&heard.places).chain(&heard.departments).chain(&heard.equipment).chain(&heard.makers);
        start >= floor
            && !chars[start..end].iter().any(|c| is_stop(*c) || *c == ' ')
            && !taken.into_iter().any(|span| text::overlap(span, &name))
    };
    let back = |count: usize| end.checked_sub(count).filter(|start| is_free(*start));
    let double = |length: usize| {
        back(length).filter(|start| {
            words.double_surnames.at(chars, *start) == Some(2) && (length == 2 || begins(heard, *start))
        })
    };
    if let Some(start) = double(2).or_else(|| double(3)).or_else(|| double(4)) {
        return Some(start);
    }
    let single = back(1).filter(|start| is_surname(*start));
    if let Some(start) = single.filter(|start| begins(heard, *start)) {
        // 我要向院长汇报 and 和主任谈 name nobody else.
        let reports = ["汇报", "请示", "谈", "聊", "沟通", "解释", "说明", "推荐", "介绍", "约"]
            .iter()
            .any(|word| (1..=4).any(|title| heard.text.has(end + title, word)));
        let ours = reports
            || heard.words.todos.own.before(chars, start).is_some()
            || heard.words.todos.must.before(chars, start).is_some();
        if !(words.doubtful_surnames.has(chars[start]) && ours) {
            return Some(start);
        }
        return None;
    }
    // A given name holds no word of grammar.
    let given = |start: usize| {
        !chars[start + 1..end]
            .iter()
            .any(|c| "的了是说和跟与在把被给让我你他她们这那院科部长室不也都就".contains(*c))
    };
    // 参会的有骆院长: a word that could be a surname, in front of one that is.
    let is_word = |start: usize| words.doubtful_surnames.has(chars[start]) && is_surname(start + 1);
    for length in [3, 2] {
        let full = back(length).filter(|start| {
            is_surname(*start) && given(*start) && begins(heard, *start) && !(length == 2 && is_word(*start))
        });
        if full.is_some() {
            return full;
        }
    }
    single.filter(|start| !words.doubtful_surnames.has(chars[*start]))
}

/// Whether a name may begin here.
fn begins(heard: &Heard, at: usize) -> bool {
    let (chars, words) = (&heard.text.chars, heard.words);
    let Some(in_front) = heard.text.before(at) else { return true };
    let ends = |spans: &[Range<usize>]| spans.iter().any(|span| span.end == at);
    is_stop(in_front)
        || matches!(
            in_front,
            '、' | ' ' | '.' | '和' | '与' | '跟' | '同' | '及' | '副' | '找' | '嗰' | '"' | '“' | '”'
        )
        || heard.ends_at(at)
        || ends(&heard.places)
        || ends(&heard.departments)
        || words.places.endings.before(chars, at).is_some()
        || ends(&heard.equipment)
        || words.places.breaks.before(chars, at).is_some()
        || words.people.titles.before(chars, at).is_some_and(|length| length > 1)
        || words.people.follows.before(chars, at).is_some()
        || words.people.former.before(chars, at).is_some()
        || words.people.labels.before(chars, at).is_some()
        || words.intents.corrections.before(chars, at).is_some()
        || matches!(in_front, '科' | '室' | '部' | '办' | '处')
}

/// 小何, 老秦: where a name can begin, and something follows that somebody does.
fn nickname(heard: &Heard, at: usize) -> Option<(Range<usize>, usize)> {
    let (chars, words) = (&heard.text.chars, &heard.words.people);
    let is_nick = matches!(chars[at], '小' | '老' | '阿');
    let surname = *chars.get(at + 1)?;
    if !is_nick || !words.surnames.has(surname) || words.doubtful_surnames.has(surname) || !begins(heard, at)
    {
        return None;
    }
    let end = at + 2;
    let behind = heard.text.get(end);
    let does = behind
        .is_none_or(|c| is_stop(c) || "、那这在来打也今昨跟和的头姐哥刚已又还没同小老了对定寄".contains(c))
        || [&words.speaks, &words.silent, &words.left, &words.decides]
            .iter()
            .any(|list| list.at(chars, end).is_some());
    let is_free = !heard.places.iter().chain(&heard.equipment).any(|span| text::overlap(span, &(at..end)));
    (does && is_free && words.titles.at(chars, end).is_none()).then_some((at..end, 0))
}

/// 联系人：王建国.
fn labelled(heard: &Heard, at: usize) -> Option<(Range<usize>, usize)> {
    let (chars, words) = (&heard.text.chars, &heard.words.people);
    let department =
        heard.departments.iter().find(|department| department.end == at).map_or(0, ExactSizeIterator::len);
    let name_at = at;
    let at = at - department;
    let length = words.labels.before(chars, at).or_else(|| {
        heard.text.before(at).filter(|c| matches!(c, ':' | '是' | '为' | ','))?;
        words.labels.before(chars, at - 1)
    });
    length?;
    let at = name_at;
    let name = chars[at..].iter().take_while(|c| !is_stop(**c) && **c != '、' && **c != ' ').count();
    let is_name = (2..=3).contains(&name)
        && words.surnames.has(chars[at])
        && words.titles.before(chars, at + name).is_none();
    is_name.then_some((at..at + name, 0))
}

/// Whether somebody is of our side or of another maker's.
fn is_ours(heard: &Heard, span: &Range<usize>, title: usize) -> bool {
    let (chars, words) = (&heard.text.chars, heard.words);
    let is_commercial = title == 0 || words.people.commercial.is(&chars[span.end - title..span.end]);
    if !is_commercial {
        return false;
    }
    // 小刘，呼吸机又坏了 and 李经理你好: the message is to somebody of our side.
    let is_called = |behind: &str| span.start == 0 && heard.text.has(span.end, behind);
    if ["你好", "您好", "啊"].iter().any(|behind| is_called(behind)) || (title == 0 && is_called(",")) {
        return true;
    }
    let clause = heard.text.clause(span.start);
    let near = clause.start.max(span.start.saturating_sub(4))..span.start;
    let by_maker = |end: usize| near.contains(&end) || end == span.start;
    let customer = heard
        .places
        .iter()
        .chain(&heard.departments)
        .any(|place| near.contains(&place.start) || place.end == span.start);
    let rival = heard.makers.iter().any(|maker| by_maker(maker.end))
        || words.brands.rivals.all_in(chars, clause.start..span.start).any(|rival| by_maker(rival.end));
    let of_rival = rival && heard.text.chars[near.clone()].iter().any(|c| matches!(c, '的' | '那'))
        || heard.makers.iter().any(|maker| maker.end == span.start)
        || words.brands.rivals.before(chars, span.start).is_some();
    let own = words.people.own.before(chars, span.start).is_some()
        || heard.text.before(span.start) == Some('的')
            && words.people.own.before(chars, span.start - 1).is_some();
    (own || of_rival) && !customer
}

/// The contact of the note.
pub(super) fn choose(heard: &Heard) -> Option<String> {
    let theirs: Vec<&Person> = heard.people.iter().filter(|person| !person.is_ours).collect();
    let said = |person: &Person| heard.text.said(person.span.clone());
    let title = |person: &Person| heard.text.said(person.span.end - person.title..person.span.end);
    let mut best: Option<(i32, String)> = None;
    let mut scores: Vec<(String, i32)> = Vec::new();
    let mut successors: Vec<String> = Vec::new();
    for (at, person) in theirs.iter().enumerate() {
        let mut score = score(heard, person, theirs.get(at + 1).copied());
        // 李主任和王主任都要: what the second does, the first does.
        if let Some(next) = theirs.get(at + 1)
            && next.span.start == person.span.end + 1
            && heard.text.get(person.span.end).is_some_and(|c| "和、与跟".contains(c))
            && score > GONE
        {
            score = score.max(self::score(heard, next, theirs.get(at + 2).copied()));
        }
        // 院长 is who was named with that title before.
        let is_alone = person.title == person.span.len();
        let named = theirs
            .iter()
            .find(|other| is_alone && other.title < other.span.len() && title(other) == title(person));
        let name = said(named.copied().unwrap_or(person));
        if score > GONE && is_successor(heard, person) && !successors.contains(&name) {
            successors.push(name.clone());
        }
        match scores.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) if *known <= GONE || score <= GONE => *known = (*known).min(score),
            Some((_, known)) => *known = (*known).max(score),
            None => scores.push((name, score)),
        }
    }
    for (name, score) in scores {
        let score = score + if successors.contains(&name) { 3 } else { 0 };
        if best.as_ref().is_none_or(|(most, _)| score > *most) {
            best = Some((score, name));
        }
    }
    best.map(|(_, name)| name)
}

fn score(heard: &Heard, person: &Person, next: Option<&Person>) -> i32 {
    let (text, words) = (heard.text, &heard.words.people);
    let chars = &text.chars;
    let (start, end) = (person.span.start, person.span.end);
    let sentence = text.sentence(start);
    let reach = next.map_or(chars.len(), |next| next.span.start).min(sentence.end);
    let behind = end..reach.min(end + 12);
    // What stands directly behind, over a comma or a few words.
    let stop = (end..end + 6).find(|at| text.get(*at).is_none_or(|c| c == '、')).unwrap_or(end + 6);
    let direct = end..text.clause(end).end.min(reach).min(stop);
    let is_gone = words.left.is_in(chars, direct.clone());
    let is_former =
        words.former.before(chars, start).is_some() && words.follows.before(chars, start).is_none();
    let is_taken_back = next.is_some_and(|next| heard.is_corrected(end, next.span.start));
    if is_gone || is_former || is_taken_back || heard.is_denied(start) {
        return GONE;
    }
    let mut score = i32::from(person.title > 0);
    if words.silent.is_in(chars, direct.clone()) {
        score -= 2;
    } else {
        if words.speaks.is_in(chars, direct.clone()) {
            score += 4;
        } else if words.speaks.is_in(chars, behind.clone()) {
            score += 2;
        }
        if words.decides.is_in(chars, direct) {
            score += 6;
        }
    }
    score
}

/// Whether somebody took another's place: 换成李院长.
fn is_successor(heard: &Heard, person: &Person) -> bool {
    let start = person.span.start;
    let near = heard.text.clause(start).start.max(start.saturating_sub(4))..start;
    heard.words.people.follows.is_in(&heard.text.chars, near)
}

/// Somebody who has left, or was named by mistake.
const GONE: i32 = -20;

#[cfg(test)]
mod tests {
    use super::super::said_on_tuesday;

    fn check(said: &str, want: Option<&str>) {
        assert_eq!(said_on_tuesday(said).contact.as_deref(), want, "{said}");
    }

    #[test]
    fn who_decides_goes_before_who_speaks() {
        for (said, want) in [
            ("王主任说要买CT", Some("王主任")),
            ("设备科王建国科长要CT", Some("王建国科长")),
            ("放射科欧阳主任要CT", Some("欧阳主任")),
            ("院长放话要换新", Some("院长")),
            ("李科长介绍情况，王院长最后拍板", Some("王院长")),
            ("张院长退了，换成李院长", Some("李院长")),
            ("换成新院长了", Some("新院长")),
            ("不是王主任，是李主任要的CT", Some("李主任")),
            ("王主任，哦不，李主任说要CT", Some("李主任")),
            ("我方王经理陪同，李主任要CT", Some("李主任")),
            ("东软的小郑也在，李主任要CT", Some("李主任")),
            ("小何说血透机要增加", Some("小何")),
            ("联系人：王海军。要CT", Some("王海军")),
            ("Dr. Chen说要CT", Some("Dr. Chen")),
            ("院长办公会讨论CT", None),
            ("我要向院长汇报", Some("院长")),
            ("李主任和王主任都要CT", Some("李主任")),
        ] {
            check(said, want);
        }
    }
}
