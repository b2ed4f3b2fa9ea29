//! Formulas where the policy holds them: as they were written, and read once the names that the policy itself adds are known.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::formula::{Formula, FormulaError, Known, Sort, Undetermined, Value, Vocabulary};

/// A condition: a formula that is true or false.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(Written);

/// An amount: a formula that gives a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Amount(Written);

/// A formula as it was written; what was not read yet says nothing.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    source: String,
    formula: Option<Formula>,
}

impl Written {
    fn of(source: String) -> Self {
        Self { source, formula: None }
    }

    fn read(&mut self, vocabulary: &Vocabulary<'_>, gives: Sort) -> Result<(), FormulaError> {
        self.formula = Some(Formula::read(&self.source, vocabulary, gives)?);
        Ok(())
    }

    fn work_out(&self, known: &dyn Known) -> Result<Value, Undetermined> {
        match &self.formula {
            Some(formula) => formula.work_out(known),
            None => Err(Undetermined::Missing([self.source.clone()].into())),
        }
    }
}

impl Condition {
    /// A condition that is to be read.
    pub(super) fn of(source: &str) -> Self {
        Self(Written::of(source.to_owned()))
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// [`Undetermined`], with what would have to be known.
    pub fn holds(&self, known: &dyn Known) -> Result<bool, Undetermined> {
        self.0.work_out(known).map(|value| value == Value::Truth(true))
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.0.source
    }
}

impl Amount {
    /// The number.
    ///
    /// # Errors
    /// [`Undetermined`], with what would have to be known.
    pub fn of(&self, known: &dyn Known) -> Result<rust_decimal::Decimal, Undetermined> {
        self.0.work_out(known).map(|value| match value {
            Value::Number(number) => number,
            Value::Text(_) | Value::Truth(_) => rust_decimal::Decimal::ZERO,
        })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.0.source
    }
}

/// A formula of either sort, as the check of a policy meets it.
pub(super) trait Expression {
    fn read(&mut self, vocabulary: &Vocabulary<'_>) -> Result<(), FormulaError>;
}

impl Expression for Condition {
    fn read(&mut self, vocabulary: &Vocabulary<'_>) -> Result<(), FormulaError> {
        self.0.read(vocabulary, Sort::Truth)
    }
}

impl Expression for Amount {
    fn read(&mut self, vocabulary: &Vocabulary<'_>) -> Result<(), FormulaError> {
        self.0.read(vocabulary, Sort::Number)
    }
}

macro_rules! as_text {
    ($($of:ident),*) => {$(
        impl Serialize for $of {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0.source)
            }
        }

        impl<'de> Deserialize<'de> for $of {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from).map(|source| Self(Written::of(source)))
            }
        }
    )*};
}

as_text!(Condition, Amount);
