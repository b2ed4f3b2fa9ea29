//! Which amount is the budget: a price per unit, an offer, what was paid formerly, a difference, and what was given up are none; 以内 sets only
//! the most, 以上 only the least.

use std::ops::Range;

use super::amounts::Amount;
use super::heard::Heard;
use super::numbers;
use super::words::List;

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
        if part != Part::None
            && best.is_none_or(|(most, _)| part > most || (part == most && part == Part::Changed))
        {
            best = Some((part, at));
        }
    }
    // 东软三百万，联影三百二十万: two offers, and no budget.
    let best = best.filter(|(part, _)| *part != Part::Maker || makers == 1);
    let Some((_, at)) = best else { return (None, None) };
    // The same figure said again, the second time with its bound: 最多六百五，六百五十万.
    let amount = &heard.amounts[at];
    let same = |other: &&Amount| (other.least, other.most) == (amount.least, amount.most);
    let said: Vec<(bool, bool)> =
        heard.amounts.iter().filter(same).map(|amount| sides(heard, amount)).collect();
    let is_most = said.iter().any(|(most, _)| *most);
    let is_least = said.iter().any(|(_, least)| *least) || amount.is_over;
    let later = heard.words.amounts.most_of_it.is_in(&heard.text.chars, amount.span.end..heard.text.len());
    // 至少三百万，最多四百万: both ends, each with its own word.
    let bounds: Vec<(&Amount, (bool, bool))> = (0..heard.amounts.len())
        .filter(|other| part(heard, *other) > Part::None)
        .map(|other| (&heard.amounts[other], sides(heard, &heard.amounts[other])))
        .collect();
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
    let floor = heard
        .amounts
        .iter()
        .rev()
        .find(|other| other.span.end <= amount.span.start)
        .map_or(0, |other| other.span.end);
    let before = floor.max(clause.start).max(amount.span.start.saturating_sub(8))..amount.span.start;
    let mut end = amount.span.end;
    while heard
        .text
        .get(end)
        .is_some_and(|c| matches!(c, ' ' | '的' | '就' | '都' | '吧' | '左' | '右' | '是'))
    {
        end += 1;
    }
    // 最多六百五，六百五十万: the bound stands before a figure that is only said again.
    let said_before = heard
        .text
        .before(amount.span.start)
        .filter(|c| *c == ',')
        .map(|_| heard.text.clause(amount.span.start - 1));
    let again = said_before.filter(|clause| {
        clause.len() < 10
            && clause.start >= floor
            && numbers::read(chars, clause.end.saturating_sub(3).max(clause.start), &|_| false).is_some()
    });
    let in_front = |list: &List| {
        list.last_in(chars, before.clone())
            .or_else(|| again.clone().and_then(|again| list.last_in(chars, again)))
            .map(|word| (word.end, word.len()))
    };
    let (most, least) = (in_front(&words.most_before), in_front(&words.least_before));
    let is_most = words.most_behind.at(chars, end).is_some()
        || most.is_some_and(|most| least.is_none_or(|least| most > least));
    let is_least = words.least_behind.at(chars, end).is_some() || (least.is_some() && !is_most);
    (is_most, is_least && words.most_behind.at(chars, end).is_none())
}

/// An amount and what stands around it.
struct Figure<'a> {
    heard: &'a Heard<'a>,
    at: usize,
    amount: &'a Amount,
    /// Its clause in front of it, as far as no other amount stands there.
    front: Range<usize>,
    /// As far in front as the sentence goes.
    sentence: Range<usize>,
    /// A few characters behind it.
    behind: Range<usize>,
    /// A bound stands directly in front: 最多三百万.
    is_bounded: bool,
}

fn part(heard: &Heard, at: usize) -> Part {
    let figure = Figure::of(heard, at);
    if figure.is_given_up() || is_per_unit(heard, figure.amount, &figure.front) || figure.is_offered() {
        return Part::None;
    }
    let words = &heard.words.amounts;
    let part = figure.told();
    if figure.is_of_rival(part) {
        return Part::None;
    }
    if figure.has(&words.changes) && part != Some(Part::None) {
        return if figure.is_changed_offer() { Part::None } else { Part::Changed };
    }
    if (figure.is_past() && part != Some(Part::Total)) || heard.is_neighbour(&figure.front) {
        return Part::None;
    }
    if figure.is_of_years() && part.is_none_or(|part| part > Part::None) {
        return Part::Total;
    }
    part.unwrap_or_else(|| figure.told_before())
}

impl<'a> Figure<'a> {
    fn of(heard: &'a Heard<'a>, at: usize) -> Self {
        let (text, chars, words) = (heard.text, &heard.text.chars, &heard.words.amounts);
        let amount = &heard.amounts[at];
        let (start, end) = (amount.span.start, amount.span.end);
        let floor = if at == 0 { 0 } else { heard.amounts[at - 1].span.end };
        let next = heard.amounts.get(at + 1).map_or(chars.len(), |next| next.span.start);
        Self {
            heard,
            at,
            amount,
            front: text.clause(start).start.max(floor)..start,
            sentence: text.sentence(start).start.max(floor)..start,
            behind: end..text.clause(end).end.min(end + 9).min(next),
            is_bounded: words.least_before.before(chars, start).is_some()
                || words.most_before.before(chars, start).is_some(),
        }
    }

    fn has(&self, list: &List) -> bool {
        list.is_in(&self.heard.text.chars, self.front.clone())
    }

    /// 准备花: it is not spent yet.
    fn is_to_be_spent(&self) -> bool {
        self.heard.words.amounts.to_spend.before(&self.heard.text.chars, self.amount.span.start).is_some()
    }

    /// Whether it was taken back, refused, a difference, or gives way to the next.
    fn is_given_up(&self) -> bool {
        let (heard, chars) = (self.heard, &self.heard.text.chars);
        let words = &heard.words.amounts;
        let (start, end) = (self.amount.span.start, self.amount.span.end);
        let next = heard.amounts.get(self.at + 1);
        let is_corrected = next.is_some_and(|next| heard.is_corrected(end, next.span.start));
        // 由80万调整为65万, 从四百万砍到两百八十万.
        let gives_way = next.is_some_and(|next| {
            next.span.start - end <= 10 && words.changes.is_in(chars, end..next.span.start)
        });
        // 总投资1.2亿: of the whole project, unless nothing else is said.
        let is_whole = next.is_some() && heard.text.ends(start, "总投资");
        let is_difference = words.differences.before(chars, start).is_some() && !self.is_bounded;
        let is_refused = words.rejected.is_in(chars, self.behind.clone());
        is_corrected || heard.is_denied(start) || gives_way || is_whole || is_difference || is_refused
    }

    /// Whether somebody offers it, or paid it: 我们的17万, 二百万报价, 我说最低320万.
    fn is_offered(&self) -> bool {
        let (text, chars, words) = (self.heard.text, &self.heard.text.chars, &self.heard.words.amounts);
        let (start, end) = (self.amount.span.start, self.amount.span.end);
        let own = &self.heard.words.todos.own;
        let is_ours = text.before(start) == Some('的') && own.before(chars, start - 1).is_some();
        let is_quoted = words.quotes.at(chars, end).is_some() && !self.has(&words.budget);
        let is_bound = self.is_bounded && !self.has(&words.budget) && !self.has(&words.total);
        let mut quotes = words.quotes.all_in(chars, self.front.clone());
        is_ours
            || is_quoted
            || text.before(start) == Some('花') && !self.is_to_be_spent()
            || (is_bound && quotes.any(|word| !self.is_told(&word)))
    }

    /// 跟我说 is no offer of ours.
    fn is_told(&self, word: &Range<usize>) -> bool {
        let text = self.heard.text;
        text.chars[word.start] == '我' && text.before(word.start).is_some_and(|c| "跟对给和同向".contains(c))
    }

    /// What the nearest word in front says that it is.
    fn nearest(&self, span: &Range<usize>) -> Option<Part> {
        let (chars, words) = (&self.heard.text.chars, &self.heard.words.amounts);
        let kinds = [
            (&words.quotes, Part::None),
            (&words.spent, Part::None),
            (&words.others, Part::None),
            (&words.budget, Part::Budget),
            (&words.most_before, Part::Budget),
            (&words.least_before, Part::Budget),
            (&words.total, Part::Total),
        ];
        let last = |(list, part): (&List, Part)| {
            let word = list.all_in(chars, span.clone()).filter(|word| !self.is_told(word)).last();
            word.map(|word| (word.end, word.len(), part))
        };
        let words = kinds.into_iter().filter_map(last);
        words.max_by_key(|(end, length, _)| (*end, *length)).map(|(_, _, part)| part)
    }

    /// What its own clause says that it is.
    fn told(&self) -> Option<Part> {
        let (chars, words) = (&self.heard.text.chars, &self.heard.words.amounts);
        let part = self.nearest(&self.front);
        // 预算报了260万: the budget was handed in, nothing was offered.
        let budget = words.budget.last_in(chars, self.front.clone()).filter(|word| word.len() > 1);
        let is_handed_in =
            budget.is_some_and(|budget| !words.others.is_in(chars, budget.end..self.front.end));
        if part == Some(Part::None) && is_handed_in { Some(Part::Budget) } else { part }
    }

    /// Whether a maker offers it, or somebody of another maker tells of it.
    fn is_of_rival(&self, part: Option<Part>) -> bool {
        let (heard, chars) = (self.heard, &self.heard.text.chars);
        let quotes = &heard.words.amounts.quotes;
        let start = self.amount.span.start;
        let offers = heard
            .makers
            .iter()
            .any(|maker| self.front.contains(&maker.start) && quotes.is_in(chars, maker.end..start));
        let speaker = heard.people.iter().rev().find(|person| person.span.end <= start);
        let tells = speaker
            .is_some_and(|speaker| speaker.is_ours && speaker.span.start >= heard.text.sentence(start).start);
        offers && !matches!(part, Some(Part::Budget | Part::Total)) || tells && part.is_none()
    }

    /// The last maker in front of it.
    fn maker(&self) -> Option<&Range<usize>> {
        let makers = &self.heard.makers;
        makers.iter().rev().find(|maker| self.front.contains(&maker.start) && maker.end <= self.front.end)
    }

    /// 东软降到了260万: an offer changes, too.
    fn is_changed_offer(&self) -> bool {
        let words = &self.heard.words.amounts;
        let is_maker = self.maker().is_some_and(|maker| {
            let clause = self.heard.text.clause(self.front.end);
            maker.start <= clause.start + 2
                && words.changes.is_in(&self.heard.text.chars, maker.end..self.front.end)
        });
        is_maker && !self.has(&words.budget)
    }

    /// Whether it held formerly, and nothing in front says that it holds now.
    fn is_past(&self) -> bool {
        let (chars, words) = (&self.heard.text.chars, &self.heard.words.amounts);
        // 6月20号之前 is no time that is over.
        let is_day = |word: &Range<usize>| {
            self.heard.days.iter().any(|day| day.span.contains(&word.start) && !day.is_past)
        };
        let near = self.front.start.max(self.front.end.saturating_sub(20))..self.front.end;
        let past = words.past.all_in(chars, near).filter(|word| !is_day(word)).last();
        let now = words.now.last_in(chars, self.front.clone());
        past.is_some_and(|past| now.is_none_or(|now| now.end < past.end))
    }

    /// 三年45万 is the total of 一年15万.
    fn is_of_years(&self) -> bool {
        let text = self.heard.text;
        let start = self.amount.span.start;
        text.before(start) == Some('年')
            && start >= 2
            && numbers::small(&text.chars, start - 2).is_some_and(|(count, _)| count > 1)
    }

    /// Without a word of its own it may be what the sentence has been about.
    fn told_before(&self) -> Part {
        let (chars, words) = (&self.heard.text.chars, &self.heard.words.amounts);
        let (start, end) = (self.amount.span.start, self.amount.span.end);
        let is_spent = words.spent.is_in(chars, end..(end + 3).min(chars.len()));
        // 我们报的维修价是九万，换新机三十五万.
        let is_near = self.at > 0 && end - self.heard.amounts[self.at - 1].span.end < 14;
        let is_next_offer = is_near && !self.is_bounded && is_offer(self.heard, self.at - 1);
        let clause = self.heard.text.clause(start);
        let is_behind_maker =
            self.maker().is_some_and(|maker| start - maker.end <= 4 && maker.start <= clause.start + 1);
        match self.nearest(&self.sentence) {
            _ if is_spent || is_next_offer => Part::None,
            _ if is_behind_maker => Part::Maker,
            Some(part @ (Part::Budget | Part::Total)) => part,
            // What a lunch costs is said in notes, too.
            _ if self.amount.most < PLAIN_MIN_YUAN => Part::None,
            _ => Part::Plain,
        }
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
    let is_total = |from: usize| {
        words.total.is_in(chars, from..start)
            || words.budget.all_in(chars, from..start).any(|word| word.len() > 1 && word.start > from)
    };
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

#[cfg(test)]
mod tests {
    use super::super::said_on_tuesday;

    fn check(said: &str, least: Option<i64>, most: Option<i64>) {
        let note = said_on_tuesday(said);
        assert_eq!((note.budget_min, note.budget_max), (least, most), "{said}");
    }

    #[test]
    fn a_figure_and_its_bounds() {
        for (said, least, most) in [
            ("预算380万", 380, 380),
            ("三百八十万左右", 380, 380),
            ("0.8个亿", 8_000, 8_000),
            ("80到100万", 80, 100),
            ("一百三到一百五十万", 130, 150),
            ("介于三百万和四百万之间", 300, 400),
            ("一百五六十万", 150, 160),
            ("至少三百万，最多四百万", 300, 400),
            ("预算380000元", 38, 38),
        ] {
            check(said, Some(least * 10_000), Some(most * 10_000));
        }
        for said in [
            "三百万以内",
            "不超过三百万",
            "三百万封顶",
            "最多三百万",
            "控制在300万以内",
            "三百万，不超过这个数",
        ] {
            check(said, None, Some(3_000_000));
        }
        for said in ["三百万以上", "三百万起步", "至少三百万", "不低于三百万", "三百多万"]
        {
            check(said, Some(3_000_000), None);
        }
    }

    #[test]
    fn the_budget_among_other_figures() {
        for said in [
            "每台五十万，总共三百万",
            "迈瑞报了二百八十万，他预算三百万",
            "隔壁花了二百八十万，他们预算三百万",
            "原来四百万，砍到三百万",
            "预算由四百万调整为三百万",
            "预算四百万，说错了，三百万",
            "东软降到了260万，客户预算就三百万",
            "保证金5万，预算三百万",
            "总投资1.2亿元，其中设备采购预算300万元",
        ] {
            check(said, Some(3_000_000), Some(3_000_000));
        }
        for said in [
            "每台五十万",
            "五十万一台",
            "我们的报价是三百万",
            "迈瑞报了三百万",
            "去年花了三百万",
            "他嫌三百万太贵",
            "便宜了三十万",
        ] {
            check(said, None, None);
        }
    }
}
