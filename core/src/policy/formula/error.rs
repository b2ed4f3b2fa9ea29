//! What is wrong with a formula, in the words of who wrote it.

use std::fmt;

use super::Sort;

/// What is wrong with a formula, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {problem}")]
pub struct FormulaError {
    /// The character at which it shows, from 1; one behind the last where something is missing at the end.
    pub at: usize,
    /// What.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Longer than [`crate::limits::FORMULA_MAX_CHARS`].
    TooLong,
    /// Nested deeper, or of more parts, than is worked out.
    TooDeep,
    /// There is nothing.
    Empty,
    /// Something is missing behind the last character: a bracket, a quotation mark, a value.
    Unfinished,
    /// Nothing can be made of this here.
    Unexpected,
    /// No such name, with one that is like it.
    UnknownName(String, Option<&'static str>),
    /// No such function.
    UnknownFunction(String),
    /// Excel has it, formulas do not: cells, ranges, lists, joined texts, powers.
    NotSupported(&'static str),
    /// A function, as it was written, with another number of values than it takes.
    Arguments(String, Takes),
    /// A place between two commas, or a comma and a bracket, where a value is missing.
    Omitted(String),
    /// Digits to round to that are not written out, or not from none to six.
    Digits,
    /// A text, of a function as it was written, that has to stand there in quotation marks.
    NotWrittenOut(String),
    /// No signal of this kind; those that there are.
    UnknownSignal(String, Vec<String>),
    /// Days, in a function as it was written, that are not a number from 1 to the most.
    Days(String, u32),
    /// A value of another sort than is needed here.
    Sort {
        /// Needed.
        needed: Sort,
        /// There.
        found: Sort,
    },
    /// Two values that are compared, or stand for each other, are of different sorts.
    Unlike(Sort, Sort),
    /// The name is never this text.
    NeverSo(&'static str, String, &'static [&'static str]),
    /// A number of more than 28 digits, or none.
    Number(String),
}

/// How many values a function takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// So many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
    /// From so many to so many.
    Between(usize, usize),
}

impl Takes {
    pub(super) fn allows(self, values: usize) -> bool {
        match self {
            Takes::Exactly(n) => values == n,
            Takes::AtLeast(n) => values >= n,
            Takes::Between(least, most) => (least..=most).contains(&values),
        }
    }
}

impl FormulaError {
    /// An error behind so many characters.
    pub(super) fn at_char(before: usize, problem: Problem) -> Self {
        Self { at: before + 1, problem }
    }

    /// In Chinese, for whoever wrote it.
    pub fn chinese(&self) -> String {
        format!("第{}个字符：{}", self.at, self.problem.chinese())
    }
}

impl Sort {
    fn chinese(self) -> &'static str {
        match self {
            Sort::Number => "数值",
            Sort::Text => "文字",
            Sort::Truth => "是非判断",
        }
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sort::Number => "a number",
            Sort::Text => "a text",
            Sort::Truth => "true or false",
        })
    }
}

impl Problem {
    fn chinese(&self) -> String {
        match self {
            Problem::TooLong => "公式过长".into(),
            Problem::TooDeep => "公式嵌套过深或过于复杂".into(),
            Problem::Empty => "公式为空".into(),
            Problem::Unfinished => "公式没有写完，缺少括号、引号或数值".into(),
            Problem::Unexpected => "此处无法理解".into(),
            Problem::UnknownName(name, None) => format!("没有名为“{name}”的指标"),
            Problem::UnknownName(name, Some(like)) => format!("没有名为“{name}”的指标，是否为“{like}”"),
            Problem::UnknownFunction(name) => format!("没有函数“{name}”"),
            Problem::NotSupported(what) => format!("公式不支持 {what}"),
            Problem::Arguments(name, Takes::Exactly(n)) => format!("函数“{name}”需要 {n} 个参数"),
            Problem::Arguments(name, Takes::AtLeast(n)) => format!("函数“{name}”至少需要 {n} 个参数"),
            Problem::Arguments(name, Takes::Between(least, most)) => {
                format!("函数“{name}”需要 {least} 到 {most} 个参数")
            }
            Problem::NotWrittenOut(name) => format!("函数“{name}”此处只能写引号中的文字"),
            Problem::UnknownSignal(kind, kinds) if kinds.is_empty() => format!("没有名为“{kind}”的信号"),
            Problem::UnknownSignal(kind, kinds) => {
                format!("没有名为“{kind}”的信号，只有：{}", kinds.join("、"))
            }
            Problem::Days(name, most) => format!("函数“{name}”的天数只能写 1 到 {most}"),
            Problem::Omitted(name) => format!("函数“{name}”少写了一个参数"),
            Problem::Digits => "小数位数只能写 0 到 6".into(),
            Problem::Sort { needed, found } => {
                format!("此处需要{}，而这是{}", needed.chinese(), found.chinese())
            }
            Problem::Unlike(one, other) => format!("{}与{}不能比较或互换", one.chinese(), other.chinese()),
            Problem::NeverSo(name, text, values) => {
                format!("“{name}”不会是“{text}”，只会是：{}", values.join("、"))
            }
            Problem::Number(text) => format!("“{text}”不是可用的数字"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::TooLong => write!(f, "the formula is too long"),
            Problem::TooDeep => write!(f, "the formula is nested too deep or has too many parts"),
            Problem::Empty => write!(f, "there is no formula"),
            Problem::Unfinished => {
                write!(f, "the formula ends too early: a bracket, a quotation mark or a value is missing")
            }
            Problem::Unexpected => write!(f, "nothing can be made of this here"),
            Problem::UnknownName(name, None) => write!(f, "there is no {name:?}"),
            Problem::UnknownName(name, Some(like)) => write!(f, "there is no {name:?}; is it {like:?}?"),
            Problem::UnknownFunction(name) => write!(f, "there is no function {name:?}"),
            Problem::NotSupported(what) => write!(f, "formulas have no {what}"),
            Problem::Arguments(name, Takes::Exactly(n)) => write!(f, "{name} takes {n} values"),
            Problem::Arguments(name, Takes::AtLeast(n)) => write!(f, "{name} takes at least {n} values"),
            Problem::Arguments(name, Takes::Between(least, most)) => {
                write!(f, "{name} takes {least} to {most} values")
            }
            Problem::NotWrittenOut(name) => write!(f, "{name} takes only a text in quotation marks here"),
            Problem::UnknownSignal(kind, kinds) if kinds.is_empty() => {
                write!(f, "there is no signal {kind:?}")
            }
            Problem::UnknownSignal(kind, kinds) => {
                write!(f, "there is no signal {kind:?}, only: {}", kinds.join(", "))
            }
            Problem::Days(name, most) => write!(f, "the days of {name} are a number from 1 to {most}"),
            Problem::Omitted(name) => write!(f, "{name} lacks a value between its commas"),
            Problem::Digits => write!(f, "the digits to round to are a number from 0 to 6"),
            Problem::Sort { needed, found } => write!(f, "{needed} is needed here, and this is {found}"),
            Problem::Unlike(one, other) => write!(f, "{one} and {other} cannot be compared or exchanged"),
            Problem::NeverSo(name, text, values) => {
                write!(f, "{name:?} is never {text:?}, only one of: {}", values.join(", "))
            }
            Problem::Number(text) => write!(f, "{text:?} is no number that can be used"),
        }
    }
}
