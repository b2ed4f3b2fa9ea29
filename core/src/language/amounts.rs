//! Amounts of money in any form, and which of them is the budget: a price per unit, an offer, what was paid formerly, and what was given up are
//! none; 以内 sets only the most, 以上 only the least.

use std::ops::Range;

use super::heard::Heard;
use super::numbers::{self, Number, ONE};
use super::text::{self, Text};
use super::words::Words;

/// A sum of money that was said, in yuan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) span: Range<usize>,
    least: i64,
    most: i64,
    is_over: bool,
}

/// Every amount, in the order of the text.
pub(super) fn find(heard: &Heard) -> Vec<Amount> {
    let mut found: Vec<Amount> = Vec::new();
    let mut at = 0;
    while at < heard.text.len() {
        let is_day = heard.days.iter().any(|day| day.span.contains(&at));
        match read(heard, at).filter(|amount| {
            !is_day && !heard.days.iter().any(|day| text::overlap(&day.span, &amount.span))
        }) {
            Some(amount) => {
                at = amount.span.end;
                found.push(amount);
            }
            None => at += 1 + heard.text.chars[at..].iter().take_while(|c| c.is_ascii_digit()).count().saturating_sub(1),
        }
    }
    found
}

fn read(heard: &Heard, at: usize) -> Option<Amount> {
    let (text, words) = (heard.text, heard.words);
    let (chars, amounts) = (&text.chars, &words.amounts);
    let in_front = text.before(at);
    // 几百万 is no figure; 4K and Q3 are none either; the middle of a number is not its beginning.
    if in_front.is_some_and(|c| matches!(c, '几' | '数' | '上' | '好' | '第' | '.') || (c.is_ascii_digit() && chars[at].is_ascii_digit())) {
        return None;
    }
    let counts = |at: usize| heard.days.iter().any(|day| day.span.contains(&(at - 1))) || amounts.counted.at(chars, at).is_some() || amounts.measures.at(chars, at).is_some();
    let number = numbers::read(chars, at, &counts)?;
    let has_sign = in_front == Some('¥') || text.ends(at, "rmb") || text.ends(at, "人民币");
    let start = if in_front == Some('¥') { at - 1 } else { at };
    let (number, end, is_money) = money(text, number, has_sign)?;
    // 3到500万, 80到100万, 一百三到一百五十万: the first end is counted in what the second one is.
    let upto = ["到", "至", "-", "~", "—", "–", "－", " up to ", "up to", "或者", "或", "和"].iter().find(|word| text.has(end, word));
    if let Some(upto) = upto
        && let from = end + upto.chars().count()
        && let Some(second) = numbers::read(chars, from, &counts)
        && let Some((second, second_end, true)) = money(text, second, has_sign)
        && !(second_end > 0 && is_counted(text, words, second, second_end))
    {
        let first = match number.is_scaled {
            true => number,
            false => scaled_like(number, second),
        };
        // 三百万和四百万之间, but 三百万和四百万 are two.
        let is_pair = *upto == "和" && !text.has(second_end, "之间");
        if first.least < second.most && !is_pair {
            let end = second_end + if text.has(second_end, "之间") { 2 } else { 0 };
            return amount(start..end, first.least, second.most, false);
        }
    }
    // DSA1200万, but 4K and Q3 are none.
    if in_front.is_some_and(|c| c.is_ascii_alphabetic()) && chars[at].is_ascii_digit() && !number.is_scaled {
        return None;
    }
    let is_named = !is_money && is_bare_budget(text, words, at, number);
    if !(is_money || is_named) || is_counted(text, words, number, end) {
        return None;
    }
    amount(start..end, number.least, number.most, number.is_over)
}

fn amount(span: Range<usize>, least: i64, most: i64, is_over: bool) -> Option<Amount> {
    (least > 0).then_some(Amount { span, least: least / ONE, most: most / ONE, is_over })
}

/// The number with the sign of money behind it, and whether it is money by its own.
fn money(text: &Text, number: Number, has_sign: bool) -> Option<(Number, usize, bool)> {
    let mut number = number;
    let mut end = number.end;
    for (word, factor) in [("million", 1_000_000), ("mln", 1_000_000), (" million", 1_000_000), ("k", 1_000), ("m", 1_000_000)] {
        let is_whole = !text.get(end + word.len()).is_some_and(|c| c.is_ascii_alphanumeric());
        if !number.is_scaled && text.has(end, word) && is_whole && (factor > 1_000 || number.least >= 5 * ONE) {
            let scaled = |value: i64| value.checked_mul(factor);
            number = Number { least: scaled(number.least)?, most: scaled(number.most)?, is_scaled: true, ..number };
            end += word.len();
        }
    }
    if text.get(end) == Some('多') {
        number.is_over = true;
        end += 1;
    }
    let sign = ["元整", "块钱", "元", "圆整", "圆", "块", "人民币", "rmb", "整", " rmb", " yuan", "yuan"].iter().find(|word| text.has(end, word));
    // 两块 may be two parts of something.
    let is_piece = sign == Some(&"块") && number.most < 100 * ONE;
    let is_money = number.is_scaled || has_sign || sign.is_some_and(|sign| *sign != "整" && !is_piece);
    Some((number, end + sign.map_or(0, |sign| sign.chars().count()), is_money))
}

/// A number without any sign is money only directly behind the word: 预算380000.
fn is_bare_budget(text: &Text, words: &Words, at: usize, number: Number) -> bool {
    // 预算一千一 leaves open of what.
    let at_number = at;
    let mut at = at;
    while text.before(at).is_some_and(|c| matches!(c, ' ' | ':' | '是' | '约' | '为')) {
        at -= 1;
    }
    let is_budget = words.amounts.budget.before(&text.chars, at).is_some_and(|length| length > 1);
    is_budget && number.least >= 1_000 * ONE && text.get(at_number).is_some_and(|c| c.is_ascii_digit())
}

/// 三万人, 5万例: a number of something else.
fn is_counted(text: &Text, words: &Words, number: Number, end: usize) -> bool {
    let is_date = number.is_scaled && text.get(end).is_some_and(|c| "月日号天年周".contains(c));
    end == number.end && !is_date && words.amounts.counted.at(&text.chars, end).is_some() && !words.dates.decisive.at(&text.chars, end).is_some_and(|length| length > 1)
}

/// The first end of a range, counted in what the second is counted in: 三到五百万, 80到100万.
fn scaled_like(first: Number, second: Number) -> Number {
    let by = |factor: i64| Number {
        least: first.least.saturating_mul(factor),
        most: first.most.saturating_mul(factor),
        ..first
    };
    let big = if second.most >= 100_000_000 * ONE && second.unit >= 100_000_000 { 100_000_000 } else { 10_000 };
    if !second.is_scaled {
        return by(1);
    }
    // One digit in front of a hundred of them is one of the hundreds.
    let within = by(second.unit.max(1));
    if first.least < 10 * ONE && second.unit > big && within.least < second.most { within } else { by(big) }
}

/// What an amount is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// No budget.
    None,
    /// Behind a maker, as an offer is: 联影还是290万.
    Maker,
    /// Nobody says what it is.
    Plain,
    Budget,
    Total,
    /// What another figure was changed to.
    Changed,
}

/// The least and the most that the customer has.
pub(super) fn choose(heard: &Heard) -> (Option<i64>, Option<i64>) {
    let mut best: Option<(Part, usize)> = None;
    let mut makers = 0;
    for at in 0..heard.amounts.len() {
        let part = part(heard, at);
        makers += usize::from(part == Part::Maker);
        if part != Part::None && best.is_none_or(|(most, _)| part > most || (part == most && part == Part::Changed)) {
            best = Some((part, at));
        }
    }
    // 东软三百万，联影三百二十万: two offers, and no budget.
    let best = best.filter(|(part, _)| *part != Part::Maker || makers == 1);
    let Some((_, at)) = best else { return (None, None) };
    // The same figure said again, the second time with its bound: 最多六百五，六百五十万.
    let amount = &heard.amounts[at];
    let same = |other: &&Amount| (other.least, other.most) == (amount.least, amount.most);
    let sides: Vec<(bool, bool)> = heard.amounts.iter().filter(same).map(|amount| sides(heard, amount)).collect();
    let is_most = sides.iter().any(|(most, _)| *most);
    let is_least = sides.iter().any(|(_, least)| *least) || amount.is_over;
    let later = heard.words.amounts.most_of_it.is_in(&heard.text.chars, amount.span.end..heard.text.len());
    // 至少三百万，最多四百万: both ends, each with its own word.
    let bounds: Vec<(&Amount, (bool, bool))> = (0..heard.amounts.len()).filter(|other| part(heard, *other) > Part::None).map(|other| (&heard.amounts[other], self::sides(heard, &heard.amounts[other]))).collect();
    let most = bounds.iter().find(|(_, sides)| *sides == (true, false)).map(|(amount, _)| amount.most);
    let least = bounds.iter().find(|(_, sides)| *sides == (false, true)).map(|(amount, _)| amount.least);
    if let (Some(least), Some(most)) = (least, most)
        && least < most
        && is_most != is_least
    {
        return (Some(least), Some(most));
    }
    match (is_most || (later && amount.least == amount.most), is_least) {
        (true, false) => (None, Some(amount.most)),
        (false, true) => (Some(amount.least), None),
        _ => (Some(amount.least), Some(amount.most)),
    }
}

/// Whether the amount is only the most, or only the least.
fn sides(heard: &Heard, amount: &Amount) -> (bool, bool) {
    let (chars, words) = (&heard.text.chars, &heard.words.amounts);
    let clause = heard.text.clause(amount.span.start);
    let floor = heard.amounts.iter().rev().find(|other| other.span.end <= amount.span.start).map_or(0, |other| other.span.end);
    let before = floor.max(clause.start).max(amount.span.start.saturating_sub(8))..amount.span.start;
    let mut end = amount.span.end;
    while heard.text.get(end).is_some_and(|c| matches!(c, ' ' | '的' | '就' | '都' | '吧' | '左' | '右' | '是')) {
        end += 1;
    }
    // 最多六百五，六百五十万: the bound stands before a figure that is only said again.
    let said_before = heard.text.before(amount.span.start).filter(|c| *c == ',').map(|_| heard.text.clause(amount.span.start - 1));
    let again = said_before.filter(|clause| clause.len() < 10 && clause.start >= floor && numbers::read(chars, clause.end.saturating_sub(3).max(clause.start), &|_| false).is_some());
    let in_front = |list: &super::words::List| {
        list.last_in(chars, before.clone()).or_else(|| again.clone().and_then(|again| list.last_in(chars, again))).map(|word| (word.end, word.len()))
    };
    let (most, least) = (in_front(&words.most_before), in_front(&words.least_before));
    let is_most = words.most_behind.at(chars, end).is_some() || most.is_some_and(|most| least.is_none_or(|least| most > least));
    let is_least = words.least_behind.at(chars, end).is_some() || (least.is_some() && !is_most);
    (is_most, is_least && words.most_behind.at(chars, end).is_none())
}

fn part(heard: &Heard, at: usize) -> Part {
    let (text, chars, words) = (heard.text, &heard.text.chars, &heard.words.amounts);
    let amount = &heard.amounts[at];
    let (start, end) = (amount.span.start, amount.span.end);
    let next = heard.amounts.get(at + 1);
    if next.is_some_and(|next| heard.is_corrected(end, next.span.start)) || heard.is_denied(start) {
        return Part::None;
    }
    let floor = if at == 0 { 0 } else { heard.amounts[at - 1].span.end };
    let clause = text.clause(start);
    let front = clause.start.max(floor)..start;
    // 总投资1.2亿: of the whole project, unless the budget follows.
    if text.ends(start, "总投资") && next.is_some() {
        return Part::None;
    }
    let sentence = text.sentence(start).start.max(floor)..start;
    let behind = end..text.clause(end).end.min(end + 9).min(next.map_or(chars.len(), |next| next.span.start));
    if is_per_unit(heard, amount, &front) || text.before(start) == Some('花') {
        return Part::None;
    }
    let is_bounded = words.least_before.before(chars, start).is_some() || words.most_before.before(chars, start).is_some();
    let is_difference = words.differences.before(chars, start).is_some() && !is_bounded;
    // 由80万调整为65万, 从四百万砍到两百八十万.
    let gives_way = next.is_some_and(|next| next.span.start - end <= 10 && words.changes.is_in(chars, end..next.span.start));
    if gives_way || words.rejected.is_in(chars, behind.clone()) || is_difference {
        return Part::None;
    }
    let is_ours = text.before(start) == Some('的') && heard.words.todos.own.before(chars, start - 1).is_some();
    if is_ours || words.quotes.at(chars, end).is_some() && !words.budget.is_in(chars, front.clone()) {
        return Part::None;
    }
    // The nearest word in front says what it is.
    let kinds = [
        (&words.quotes, Part::None),
        (&words.spent, Part::None),
        (&words.others, Part::None),
        (&words.budget, Part::Budget),
        (&words.most_before, Part::Budget),
        (&words.least_before, Part::Budget),
        (&words.total, Part::Total),
    ];
    // 跟我说 is no offer of ours.
    let is_told = |word: &Range<usize>| chars[word.start] == '我' && text.before(word.start).is_some_and(|c| "跟对给和同向".contains(c));
    let nearest = |span: Range<usize>| {
        let last = |(list, part): (&super::words::List, Part)| {
            let word = list.all_in(chars, span.clone()).filter(|word| !is_told(word)).last();
            word.map(|word| (word.end, word.len(), part))
        };
        kinds.into_iter().filter_map(last).max_by_key(|(end, length, _)| (*end, *length)).map(|(_, _, part)| part)
    };
    // 我说最低320万: the bound is one of an offer.
    let is_bound = is_bounded && !words.budget.is_in(chars, front.clone()) && !words.total.is_in(chars, front.clone());
    if is_bound && words.quotes.all_in(chars, front.clone()).any(|word| !is_told(&word)) {
        return Part::None;
    }
    let budget = words.budget.last_in(chars, front.clone()).filter(|word| word.len() > 1);
    let mut part = nearest(front.clone());
    // 预算报了260万: the budget was handed in, nothing was offered.
    if part == Some(Part::None) && budget.is_some_and(|budget| !words.others.is_in(chars, budget.end..start)) {
        part = Some(Part::Budget);
    }
    let is_rival = heard.makers.iter().any(|maker| front.contains(&maker.start) && words.quotes.is_in(chars, maker.end..start));
    if is_rival && part != Some(Part::Budget) && part != Some(Part::Total) {
        return Part::None;
    }
    let maker = heard.makers.iter().rev().find(|maker| front.contains(&maker.start) && maker.end <= start);
    if words.changes.is_in(chars, front.clone()) && part != Some(Part::None) {
        // 东软降到了260万 is an offer, too.
        let is_offer = maker.is_some_and(|maker| maker.start <= clause.start + 2 && words.changes.is_in(chars, maker.end..start)) && !words.budget.is_in(chars, front.clone());
        return if is_offer { Part::None } else { Part::Changed };
    }
    // 6月20号之前 is no time that is over.
    let is_day = |word: &Range<usize>| heard.days.iter().any(|day| day.span.contains(&word.start) && !day.is_past);
    let near = front.start.max(start.saturating_sub(20))..start;
    let past = words.past.all_in(chars, near).filter(|word| !is_day(word)).last().map(|word| word.end);
    let now = words.now.last_in(chars, front.clone()).map(|word| word.end);
    let is_past = past.is_some_and(|past| now.is_none_or(|now| now < past));
    if (is_past && part != Some(Part::Total)) || heard.is_neighbour(&front) {
        return Part::None;
    }
    // What somebody of another maker tells is no budget, nor what follows an offer of ours.
    let speaker = heard.people.iter().rev().find(|person| person.span.end <= start);
    let of_rival = speaker.is_some_and(|speaker| speaker.is_ours && speaker.span.start >= text.sentence(start).start);
    if of_rival && part.is_none() {
        return Part::None;
    }
    // 三年45万 is the total of 一年15万.
    let years = text.before(start) == Some('年') && start >= 2 && numbers::small(chars, start - 2).is_some_and(|(count, _)| count > 1);
    if years && part.is_none_or(|part| part > Part::None) {
        return Part::Total;
    }
    // Without a word of its own it may be what the sentence has been about.
    match part {
        Some(part) => part,
        None if words.rejected.is_in(chars, behind) => Part::None,
        None if words.spent.is_in(chars, end..(end + 3).min(chars.len())) => Part::None,
        None if !is_bounded && at > 0 && is_offer(heard, at - 1) && end - floor < 14 => Part::None,
        None => match nearest(sentence) {
            _ if maker.is_some_and(|maker| start - maker.end <= 4 && maker.start <= clause.start + 1) => Part::Maker,
            Some(part @ (Part::Budget | Part::Total)) => part,
            // What a lunch costs is said in notes, too.
            _ if amount.most < PLAIN_MIN_YUAN => Part::None,
            _ => Part::Plain,
        },
    }
}

/// Whether an amount is an offer of ours, in whose breath the next one is given: 我们报的维修价是九万，换新机三十五万.
fn is_offer(heard: &Heard, at: usize) -> bool {
    let (chars, words) = (&heard.text.chars, heard.words);
    let start = heard.amounts[at].span.start;
    let front = heard.text.clause(start).start..start;
    let quote = words.amounts.quotes.last_in(chars, front.clone());
    quote.is_some_and(|quote| words.todos.own.is_in(chars, front.start..quote.end))
}

/// 每台, 单价, 一台 in front or behind: a price per unit. But in 买一台15万 one is bought.
fn is_per_unit(heard: &Heard, amount: &Amount, front: &Range<usize>) -> bool {
    let (text, chars, words) = (heard.text, &heard.text.chars, &heard.words.amounts);
    let (start, end) = (amount.span.start, amount.span.end);
    // 单台预算 is one of each, 每台…总预算 is not.
    let is_total = |from: usize| words.total.is_in(chars, from..start) || words.budget.all_in(chars, from..start).any(|word| word.len() > 1 && word.start > from);
    if let Some(unit) = words.unit.last_in(chars, front.clone())
        && !is_total(if text.contains(unit.clone(), "年") { front.start } else { unit.end })
    {
        return true;
    }
    for measure in words.measures.all_in(chars, front.clone()) {
        let in_front = text.before(measure.start);
        let is_each = matches!(in_front, Some('每' | '单'));
        let is_one = matches!(in_front, Some('一' | '1'));
        // 预算每年15万 is what there is.
        if chars[measure.start] == '年' && is_total(front.start) {
            continue;
        }
        let near = start - measure.end <= if is_each { 6 } else { 3 };
        let is_year = chars[measure.start] == '年';
        let is_bought = is_one && words.counts.before(chars, measure.start - 1).is_some();
        let is_other = heard.equipment.iter().any(|named| named.start == measure.end);
        if near && (is_each || (is_one && !is_bought && !is_year)) && !is_total(measure.end) && !is_other {
            return true;
        }
    }
    // 三千九一台, 400万/台, 7千每台.
    let mut at = end;
    while text.get(at).is_some_and(|c| matches!(c, ' ' | '/' | '一' | '每')) {
        at += 1;
    }
    let Some(length) = words.measures.at(chars, at).filter(|_| at > end) else { return false };
    !heard.equipment.iter().any(|named| named.start == at + length) && chars[at] != '年'
}

/// Less than this is no budget unless it is said to be one.
const PLAIN_MIN_YUAN: i64 = 1_000;
