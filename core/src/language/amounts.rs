//! Amounts of money in any form: 380万, 三百八十万, 0.8个亿, 15万8, 380000元, 300到400万. Which of them is the budget is not decided here.

use std::ops::Range;

use super::heard::Heard;
use super::numbers::{self, Number, ONE};
use super::text::{self, Text};
use super::words::Words;

/// A sum of money that was said, in yuan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) span: Range<usize>,
    pub(super) least: i64,
    pub(super) most: i64,
    /// 多 was said: it is more than the figure.
    pub(super) is_over: bool,
}

/// Every amount, in the order of the text.
pub(super) fn find(heard: &Heard) -> Vec<Amount> {
    let mut found: Vec<Amount> = Vec::new();
    let mut at = 0;
    while at < heard.text.len() {
        let is_day = heard.days.iter().any(|day| day.span.contains(&at));
        match read(heard, at)
            .filter(|amount| !is_day && !heard.days.iter().any(|day| text::overlap(&day.span, &amount.span)))
        {
            Some(amount) => {
                at = amount.span.end;
                found.push(amount);
            }
            None => {
                at += 1 + heard.text.chars[at..]
                    .iter()
                    .take_while(|c| c.is_ascii_digit())
                    .count()
                    .saturating_sub(1)
            }
        }
    }
    found
}

fn read(heard: &Heard, at: usize) -> Option<Amount> {
    let (text, words) = (heard.text, heard.words);
    let (chars, amounts) = (&text.chars, &words.amounts);
    let in_front = text.before(at);
    // 几百万 is no figure; 4K and Q3 are none either; the middle of a number is not its beginning.
    if in_front.is_some_and(|c| {
        matches!(c, '几' | '数' | '上' | '好' | '第' | '.')
            || (c.is_ascii_digit() && chars[at].is_ascii_digit())
    }) {
        return None;
    }
    let counts = |at: usize| {
        heard.days.iter().any(|day| day.span.contains(&(at - 1)))
            || amounts.counted.at(chars, at).is_some()
            || amounts.measures.at(chars, at).is_some()
    };
    let number = numbers::read(chars, at, &counts)?;
    let has_sign = in_front == Some('¥') || text.ends(at, "rmb") || text.ends(at, "人民币");
    let start = if in_front == Some('¥') { at - 1 } else { at };
    let (number, end, is_money) = money(text, number, has_sign)?;
    // 3到500万, 80到100万, 一百三到一百五十万: the first end is counted in what the second one is.
    let upto = ["到", "至", "-", "~", "—", "–", "－", " up to ", "up to", "或者", "或", "和"]
        .iter()
        .find(|word| text.has(end, word));
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
    for (word, factor) in
        [("million", 1_000_000), ("mln", 1_000_000), (" million", 1_000_000), ("k", 1_000), ("m", 1_000_000)]
    {
        let is_whole = !text.get(end + word.len()).is_some_and(|c| c.is_ascii_alphanumeric());
        if !number.is_scaled && text.has(end, word) && is_whole && (factor > 1_000 || number.least >= 5 * ONE)
        {
            let scaled = |value: i64| value.checked_mul(factor);
            number = Number {
                least: scaled(number.least)?,
                most: scaled(number.most)?,
                is_scaled: true,
                ..number
            };
            end += word.len();
        }
    }
    if text.get(end) == Some('多') {
        number.is_over = true;
        end += 1;
    }
    let sign = ["元整", "块钱", "元", "圆整", "圆", "块", "人民币", "rmb", "整", " rmb", " yuan", "yuan"]
        .iter()
        .find(|word| text.has(end, word));
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
    end == number.end
        && !is_date
        && words.amounts.counted.at(&text.chars, end).is_some()
        && words.dates.decisive.at(&text.chars, end).is_none_or(|length| length <= 1)
}

/// The first end of a range, counted in what the second is counted in: 三到五百万, 80到100万.
fn scaled_like(first: Number, second: Number) -> Number {
    let by = |factor: i64| Number {
        least: first.least.saturating_mul(factor),
        most: first.most.saturating_mul(factor),
        ..first
    };
    let big =
        if second.most >= 100_000_000 * ONE && second.unit >= 100_000_000 { 100_000_000 } else { 10_000 };
    if !second.is_scaled {
        return by(1);
    }
    // One digit in front of a hundred of them is one of the hundreds.
    let within = by(second.unit.max(1));
    if first.least < 10 * ONE && second.unit > big && within.least < second.most { within } else { by(big) }
}
