//! Numbers as they are written and spoken: 380, 三百八十, 贰佰, 0.8个亿, 15万8, 一百五六十万. Which of them are money or days is not decided here.

/// A number, or the two ends of a spoken range (一百五六十万), in ten-thousandths so that no fraction is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) end: usize,
    pub(super) least: i64,
    pub(super) most: i64,
    /// What one more in the last place said is worth: 万 in 380万, 百万 in 五百万. A bare number in front of `到` is counted in it.
    pub(super) unit: i64,
    /// A 万 or 亿 was said: a large number, most likely money.
    pub(super) is_scaled: bool,
    /// 多 or 余 was said: it is more than the figure.
    pub(super) is_over: bool,
}

/// One, in ten-thousandths.
pub(super) const ONE: i64 = 10_000;

/// Reads the number that begins here. `counts` says whether what stands at a place makes the digit in front of it a count or a date:
/// in 三百万8月 the eight is no part of the amount.
pub(super) fn read(chars: &[char], at: usize, counts: &dyn Fn(usize) -> bool) -> Option<Number> {
    let mut reading = Reading { chars, at, ..Reading::default() };
    while reading.step().is_some() {}
    reading.finish(counts)
}

/// A whole number of a day or a month, and where it ends.
pub(super) fn small(chars: &[char], at: usize) -> Option<(i64, usize)> {
    let literal: Vec<i64> = chars.get(at..)?.iter().map_while(|c| c.to_digit(10)).map(i64::from).collect();
    if !literal.is_empty() {
        let value = literal.iter().try_fold(0i64, |sum, digit| sum.checked_mul(10)?.checked_add(*digit))?;
        return Some((value, at + literal.len()));
    }
    let digit = |at: usize| chars.get(at).copied().and_then(digit_of);
    match (digit(at), chars.get(at) == Some(&'十')) {
        (_, true) => Some(digit(at + 1).map_or((10, at + 1), |ones| (10 + ones, at + 2))),
        (Some(tens), _) if chars.get(at + 1) == Some(&'十') => {
            Some(digit(at + 2).map_or((tens * 10, at + 2), |ones| (tens * 10 + ones, at + 3)))
        }
        (Some(ones), _) => Some((ones, at + 1)),
        _ => None,
    }
}

/// The value of a Chinese digit, in either way of writing it.
pub(super) fn digit_of(c: char) -> Option<i64> {
    Some(match c {
        '零' | '〇' => 0,
        '一' | '壹' | '幺' => 1,
        '二' | '两' | '贰' | '俩' | '兩' => 2,
        '三' | '叁' | '仨' => 3,
        '四' | '肆' => 4,
        '五' | '伍' => 5,
        '六' | '陆' => 6,
        '七' | '柒' => 7,
        '八' | '捌' => 8,
        '九' | '玖' => 9,
        _ => return None,
    })
}

fn unit_of(c: char) -> Option<i64> {
    match c {
        '十' | '拾' => Some(10),
        '百' | '佰' => Some(100),
        '千' | '仟' => Some(1_000),
        _ => None,
    }
}

fn big_of(chars: &[char], at: usize) -> Option<i64> {
    match chars.get(at)? {
        '万' | '萬' => Some(10_000),
        '亿' | '億' => Some(100_000_000),
        'w' if !chars.get(at + 1).is_some_and(char::is_ascii_alphabetic) => Some(10_000),
        _ => None,
    }
}

/// What was said since the last 万 or 亿, and what before it. Both ends of a range are carried along.
#[derive(Default)]
struct Reading<'a> {
    chars: &'a [char],
    at: usize,
    total: (i64, i64),
    section: (i64, i64),
    current: Option<Digits>,
    /// The last of 十, 百, 千 in this section.
    last_unit: Option<i64>,
    last_big: Option<i64>,
    unit: i64,
    has_zero: bool,
    is_over: bool,
    is_broken: bool,
    /// As it stood behind the last 万 or 亿: what follows may turn out to be another number.
    settled: Option<Number>,
}

#[derive(Clone, Copy)]
struct Digits {
    start: usize,
    least: i64,
    most: i64,
    is_single: bool,
    is_whole: bool,
}

/// 五六, and 三五.
fn is_spoken_pair(first: i64, second: i64) -> bool {
    second == first + ONE || (first, second) == (3 * ONE, 5 * ONE)
}

impl Reading<'_> {
    /// Takes one more sign; `None` at the end of the number.
    fn step(&mut self) -> Option<()> {
        let c = *self.chars.get(self.at)?;
        if c.is_ascii_digit() {
            return self.literal();
        }
        if let Some(big) = big_of(self.chars, self.at) {
            return self.big(big);
        }
        if let Some(unit) = unit_of(c) {
            return self.unit(unit);
        }
        if let Some(digit) = digit_of(c) {
            return self.digit(digit);
        }
        match c {
            '半' if self.current.is_none() && self.section.1 == 0 && self.total.1 == 0 => {
                let next = self.at + 1 + usize::from(self.chars.get(self.at + 1) == Some(&'个'));
                big_of(self.chars, next).or_else(|| self.large_unit(next))?;
                self.current = Some(Digits {
                    start: self.at,
                    least: ONE / 2,
                    most: ONE / 2,
                    is_single: false,
                    is_whole: false,
                });
            }
            // 0.8个亿, 1.1个千万: but 三个人.
            '个' if self.current.is_some() || self.section.1 > 0 => {
                big_of(self.chars, self.at + 1).or_else(|| self.large_unit(self.at + 1))?;
            }
            '来' | '多' | '余' | '几' if self.current.is_some() || self.section.1 > 0 => {
                let next = self.chars.get(self.at + 1).copied()?;
                big_of(self.chars, self.at + 1).or_else(|| unit_of(next))?;
                self.is_over |= c != '来';
            }
            '点' => return self.fraction(),
            _ => return None,
        }
        self.at += 1;
        Some(())
    }

    /// 百万 and 千万, as one unit.
    fn large_unit(&self, at: usize) -> Option<i64> {
        let unit = unit_of(*self.chars.get(at)?)?;
        Some(unit * big_of(self.chars, at + 1)?)
    }

    /// Digits of Europe, with commas by thousands and a fraction.
    fn literal(&mut self) -> Option<()> {
        if self.current.is_some() {
            return None;
        }
        let start = self.at;
        let (mut value, mut fraction, mut places) = (0i64, 0i64, None::<u32>);
        while let Some(c) = self.chars.get(self.at) {
            match (c.to_digit(10), places) {
                (Some(digit), None) => value = value.checked_mul(10)?.checked_add(i64::from(digit))?,
                (Some(digit), Some(place)) => {
                    if place < 4 {
                        fraction += i64::from(digit) * 10i64.pow(3 - place);
                    }
                    places = Some(place + 1);
                }
                (None, None) if *c == ',' && self.is_group(start) => {}
                (None, None)
                    if *c == '.' && self.chars.get(self.at + 1).is_some_and(char::is_ascii_digit) =>
                {
                    places = Some(0);
                }
                _ => break,
            }
            self.at += 1;
        }
        let value = value.checked_mul(ONE)?.checked_add(fraction)?;
        let is_single = self.at == start + 1;
        self.current =
            Some(Digits { start, least: value, most: value, is_single, is_whole: places.is_none() });
        Some(())
    }

    /// A comma with three digits behind it and at most three in front.
    fn is_group(&self, start: usize) -> bool {
        let digits = self.chars[self.at + 1..].iter().take_while(|c| c.is_ascii_digit()).count();
        let in_front = self.chars[start..self.at].iter().rev().take_while(|c| c.is_ascii_digit()).count();
        digits == 3 && (1..=3).contains(&in_front)
    }

    fn digit(&mut self, digit: i64) -> Option<()> {
        let value = digit * ONE;
        match self.current {
            None if digit == 0 => self.has_zero = true,
            None => {
                self.current = Some(Digits {
                    start: self.at,
                    least: value,
                    most: value,
                    is_single: true,
                    is_whole: true,
                });
            }
            // 五六十, 三五十: two digits as a range, counted together.
            Some(first)
                if first.is_single && is_spoken_pair(first.least, value) && self.is_counted_next() =>
            {
                self.current = Some(Digits { most: value, is_single: false, ..first });
            }
            Some(first) if first.is_whole && first.least < 100_000 * ONE => {
                let (least, most) = (first.least * 10 + value, first.most * 10 + value);
                self.current = Some(Digits { least, most, is_single: false, ..first });
            }
            Some(_) => return None,
        }
        self.at += 1;
        Some(())
    }

    fn is_counted_next(&self) -> bool {
        let next = self.at + 1;
        big_of(self.chars, next).is_some() || self.chars.get(next).is_some_and(|c| unit_of(*c).is_some())
    }

    /// 一点五.
    fn fraction(&mut self) -> Option<()> {
        let digits = self.current.filter(|digits| digits.is_whole && digits.least == digits.most)?;
        let (mut place, mut at, mut fraction) = (ONE / 10, self.at + 1, 0);
        while let Some(digit) = self.chars.get(at).copied().and_then(digit_of).filter(|_| place > 0) {
            fraction += digit * place;
            place /= 10;
            at += 1;
        }
        if at == self.at + 1 {
            return None;
        }
        let value = digits.least + fraction;
        self.current =
            Some(Digits { least: value, most: value, is_single: false, is_whole: false, ..digits });
        self.at = at;
        Some(())
    }

    fn unit(&mut self, unit: i64) -> Option<()> {
        let digits = self.current.take().map(|digits| (digits.least, digits.most));
        // A hundred without a digit in front is no figure (几百万), but ten is.
        let (least, most) = match digits {
            Some(digits) => digits,
            None if unit == 10 => (ONE, ONE),
            None => return None,
        };
        self.section.0 = self.section.0.checked_add(least.checked_mul(unit)?)?;
        self.section.1 = self.section.1.checked_add(most.checked_mul(unit)?)?;
        self.last_unit = Some(unit);
        self.unit = unit;
        self.has_zero = false;
        self.at += 1;
        Some(())
    }

    fn big(&mut self, big: i64) -> Option<()> {
        let pending = self.pending();
        let section = (self.section.0.checked_add(pending.0)?, self.section.1.checked_add(pending.1)?);
        if section.1 <= 0 || (self.last_big == Some(big)) {
            return None;
        }
        let scale = |total: i64, section: i64| match big {
            10_000 => total.checked_add(section.checked_mul(big)?),
            _ => total.checked_add(section)?.checked_mul(big),
        };
        let total = (scale(self.total.0, section.0)?, scale(self.total.1, section.1)?);
        let within = if self.current.is_some() { 1 } else { self.last_unit.unwrap_or(1) };
        self.total = total;
        self.section = (0, 0);
        self.current = None;
        self.last_unit = None;
        self.last_big = Some(big);
        self.unit = big * within;
        self.has_zero = false;
        self.at += 1;
        self.settled = Some(Number {
            end: self.at,
            least: total.0,
            most: total.1,
            unit: self.unit,
            is_scaled: true,
            is_over: self.is_over,
        });
        Some(())
    }

    /// What the digits without a unit are worth: 一百二 is 120, 十二 is 12.
    fn pending(&self) -> (i64, i64) {
        let Some(digits) = self.current else { return (0, 0) };
        match self.last_unit {
            Some(unit) if unit >= 100 && digits.is_single && !self.has_zero => {
                (digits.least.saturating_mul(unit) / 10, digits.most.saturating_mul(unit) / 10)
            }
            _ => (digits.least, digits.most),
        }
    }

    fn finish(mut self, counts: &dyn Fn(usize) -> bool) -> Option<Number> {
        if let Some(settled) = self.settled {
            if self.at == settled.end {
                return Some(settled);
            }
            return Some(self.tail(settled, counts).unwrap_or(settled));
        }
        let pending = self.pending();
        // 一百二台 is a hundred and two of them, if anything; 一百二 alone is as good as 一百二十.
        self.section = (self.section.0.checked_add(pending.0)?, self.section.1.checked_add(pending.1)?);
        if self.is_broken || (self.section.1 == 0 && !self.has_zero) {
            return None;
        }
        let (least, most) = self.section;
        let unit = self.unit.max(1);
        Some(Number { end: self.at, least, most, unit, is_scaled: false, is_over: self.is_over })
    }

    /// What follows a 万 or 亿: 8 in 15万8, 五千 in 三万五千; not the 二十 of 三百万二十台.
    fn tail(&self, settled: Number, counts: &dyn Fn(usize) -> bool) -> Option<Number> {
        let big = self.last_big?;
        if counts(self.at) || self.chars.get(self.at).is_some_and(char::is_ascii_alphabetic) {
            return None;
        }
        let added = match (self.current, self.last_unit) {
            (Some(digits), None) if digits.is_single && digits.is_whole && !self.has_zero => {
                digits.least.checked_mul(big / 10)?
            }
            (Some(digits), None)
                if digits.is_whole && (1_000 * ONE..10_000 * ONE).contains(&digits.least) =>
            {
                digits.least
            }
            (pending, Some(_))
                if self.section.1 >= 1_000 * ONE || self.has_zero || self.last_unit == Some(1_000) =>
            {
                // A digit that belongs to what follows is none of it.
                match pending {
                    Some(digits) if digits.start > settled.end && !digits.is_single => return None,
                    _ => self.section.0.checked_add(self.pending().0)?,
                }
            }
            _ => return None,
        };
        let (least, most) = (settled.least.checked_add(added)?, settled.most.checked_add(added)?);
        Some(Number { end: self.at, least, most, ..settled })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, least: f64, most: f64) {
        let chars: Vec<char> = written.chars().collect();
        let counts = |at: usize| chars.get(at).is_some_and(|c| "台月号日排".contains(*c));
        let number = read(&chars, 0, &counts).unwrap_or_else(|| panic!("{written} is a number"));
        let ends = (number.least as f64 / ONE as f64, number.most as f64 / ONE as f64);
        assert_eq!(ends, (least, most), "{written}");
    }

    #[test]
    fn a_number_that_is_too_large_does_not_wrap_round() {
        for written in
            ["900000000000000千900000000000000元", "900000000000000亿900000000000000亿", "九千亿亿亿亿亿"]
        {
            let chars: Vec<char> = written.chars().collect();
            // None, or the largest that can be said: never one that has become small or negative on the way.
            let number = read(&chars, 0, &|_| false);
            let is_large = |number: Number| number.least > 900_000_000 * ONE && number.least <= number.most;
            assert!(number.is_none_or(is_large), "{written}");
        }
    }

    #[test]
    fn numbers_in_any_writing() {
        for (written, value) in [
            ("380万", 3_800_000.0),
            ("三百八十万", 3_800_000.0),
            ("两千万", 20_000_000.0),
            ("0.8个亿", 80_000_000.0),
            ("1.1个千万", 11_000_000.0),
            ("一点五个亿", 150_000_000.0),
            ("半个亿", 50_000_000.0),
            ("15万8", 158_000.0),
            ("两万六", 26_000.0),
            ("贰佰伍拾万", 2_500_000.0),
            ("叁佰捌拾万", 3_800_000.0),
            ("380000", 380_000.0),
            ("2,600,000", 2_600_000.0),
            ("三千九", 3_900.0),
            ("一百二", 120.0),
            ("一百零五万", 1_050_000.0),
            ("三万五千", 35_000.0),
            ("一亿二千万", 120_000_000.0),
            ("3亿5", 350_000_000.0),
            ("三百来万", 3_000_000.0),
            ("五十来万", 500_000.0),
            ("十五", 15.0),
            ("二十八万八", 288_000.0),
            ("三百万8月", 3_000_000.0),
            ("三百万二十台", 3_000_000.0),
            ("300万64排", 3_000_000.0),
            ("3千万", 30_000_000.0),
            ("15万8000", 158_000.0),
        ] {
            check(written, value, value);
        }
    }

    #[test]
    fn two_digits_side_by_side_are_a_range() {
        check("一百五六十万", 1_500_000.0, 1_600_000.0);
        check("三五十万", 300_000.0, 500_000.0);
        check("三四十万", 300_000.0, 400_000.0);
        check("七八百万", 7_000_000.0, 8_000_000.0);
    }

    #[test]
    fn days_and_months() {
        let read = |written: &str| small(&written.chars().collect::<Vec<_>>(), 0);
        assert_eq!(read("二十五号"), Some((25, 3)));
        assert_eq!(read("十二月"), Some((12, 2)));
        assert_eq!(read("三十"), Some((30, 2)));
        assert_eq!(read("8月"), Some((8, 1)));
        assert_eq!(read("月"), None);
    }
}
