//! Formulas as a business user writes them (C50): Excel's, with the company's own words for names. A formula is checked whole before it is
//! published, names, types and the values that a text can have included; a wrong one is refused with the place and the reason.
//!
//! A formula is an expression: it has no loop and makes no text, so working it out costs what it is long ([`limits::FORMULA_MAX_CHARS`]).
//! Numbers are decimal: 0.1 + 0.2 is 0.3, on every phone as on the server. What is not known makes the result undetermined, but only where
//! it matters ([`Undetermined`]).

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use crate::limits;

mod check;
mod error;
mod spelling;
mod work;

pub use error::{FormulaError, Problem, Takes};

/// What a name or an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// 数值.
    Number,
    /// 文字.
    Text,
    /// 是非.
    Truth,
}

/// A name that formulas may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// In Chinese, as the business user writes it.
    pub name: &'static str,
    /// In English, by which it is known to rules; a formula may use it, too.
    pub english: &'static str,
    /// What it is.
    pub sort: Sort,
    /// The only texts that it can be; empty: any.
    pub values: &'static [&'static str],
}

impl Term {
    /// A name for a number.
    pub const fn number(name: &'static str, english: &'static str) -> Self {
        Self { name, english, sort: Sort::Number, values: &[] }
    }

    /// A name for a text, any or one of `values`.
    pub const fn text(name: &'static str, english: &'static str, values: &'static [&'static str]) -> Self {
        Self { name, english, sort: Sort::Text, values }
    }

    /// A name for what is so or not.
    pub const fn truth(name: &'static str, english: &'static str) -> Self {
        Self { name, english, sort: Sort::Truth, values: &[] }
    }
}

/// What a formula may speak of.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary<'a> {
    /// The names.
    pub terms: &'a [Term],
    /// The kinds of signals that can be counted, each under its Chinese name and its id. Empty: there is nothing to count.
    pub signals: &'a [(&'a str, &'a str)],
}

impl<'a> Vocabulary<'a> {
    /// Names alone.
    pub const fn of(terms: &'a [Term]) -> Self {
        Self { terms, signals: &[] }
    }
}

/// Signals that a formula counts or adds up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The id of their kind.
    pub kind: String,
    /// What their text has to contain; empty: anything.
    pub about: String,
    /// How many days back they count; `None`: all.
    pub within_days: Option<u32>,
    /// What of them.
    pub measure: Measure,
}

/// What is taken of signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// 次数: how many there are.
    Count,
    /// 累计: the sum of their amounts.
    Total,
}

/// What is known when a formula is worked out.
pub trait Known {
    /// What a name stands for; `None`: not known, or not of the name's sort.
    fn name(&self, term: &Term) -> Option<Value>;
    /// The measure of these signals; `None`: not known.
    fn signals(&self, counted: &Counted) -> Option<Decimal>;
}

/// What a name stands for, or what comes of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// 数值.
    Number(Decimal),
    /// 文字.
    Text(String),
    /// 是非.
    Truth(bool),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(number.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Truth(truth)
    }
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undetermined {
    /// These names (in Chinese; of signals their kind) have none, and while they have none it cannot be said.
    Missing(BTreeSet<String>),
    /// It divides by zero.
    DividesByZero,
    /// It leads to a number of more than 28 digits before the point.
    TooLarge,
}

/// A formula that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    source: String,
    root: check::Node,
}

impl Formula {
    /// Reads a formula that is to give a value of this sort, from names of this vocabulary. It may be pasted with or without `=` in front,
    /// with the brackets, commas and signs of a Chinese keyboard.
    ///
    /// # Errors
    /// [`FormulaError`]: where and why.
    pub fn read(source: &str, vocabulary: &Vocabulary<'_>, gives: Sort) -> Result<Self, FormulaError> {
        if source.chars().count() > limits::FORMULA_MAX_CHARS {
            return Err(FormulaError::at_char(limits::FORMULA_MAX_CHARS, Problem::TooLong));
        }
        let root = check::read(source, vocabulary, gives)?;
        Ok(Self { source: source.to_owned(), root })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Works it out from what is known.
    ///
    /// # Errors
    /// [`Undetermined`].
    pub fn work_out(&self, known: &dyn Known) -> Result<Value, Undetermined> {
        // One number in one way: 35, and not 35.00 for the percent on the way to it.
        work::out(&self.root, known).map(|value| match value {
            Value::Number(number) => Value::Number(number.normalize()),
            other => other,
        })
    }
}

#[cfg(test)]
mod tests;
