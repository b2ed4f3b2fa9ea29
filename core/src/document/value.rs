//! The plain values a register holds. Refuses floats (money is fen, rates are basis points), bytes and counters.

use std::fmt;

use automerge::{ScalarValue, ScalarValueRef};
use serde::{Deserialize, Serialize};

/// One scalar in a document. As JSON it is the JSON scalar itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Emptied, or never known.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number: fen, basis points, milliseconds, counts.
    Int(i64),
    /// Text, ids in hex, ISO days.
    Text(String),
}

impl Value {
    /// The text, when this is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, when this is a number.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The truth value, when this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// Whether the register was emptied.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Bytes of UTF-8 when text, otherwise at most eight.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Value::Text(text) => text.len(),
            _ => 8,
        }
    }

    pub(crate) fn to_scalar(&self) -> ScalarValue {
        match self {
            Value::Null => ScalarValue::Null,
            Value::Bool(b) => ScalarValue::Boolean(*b),
            Value::Int(n) => ScalarValue::Int(*n),
            Value::Text(text) => ScalarValue::Str(text.as_str().into()),
        }
    }

    /// `None` for the scalars that no version of ours writes.
    pub(crate) fn from_scalar(scalar: &ScalarValue) -> Option<Self> {
        match scalar {
            ScalarValue::Null => Some(Value::Null),
            ScalarValue::Boolean(b) => Some(Value::Bool(*b)),
            ScalarValue::Int(n) => Some(Value::Int(*n)),
            ScalarValue::Uint(n) => i64::try_from(*n).ok().map(Value::Int),
            ScalarValue::Str(text) => Some(Value::Text(text.to_string())),
            _ => None,
        }
    }
}

impl Value {
    /// As [`Value::from_scalar`], for a value that a walk over a map lends.
    pub(super) fn from_walked(scalar: &ScalarValueRef<'_>) -> Option<Self> {
        match scalar {
            ScalarValueRef::Null => Some(Value::Null),
            ScalarValueRef::Boolean(b) => Some(Value::Bool(*b)),
            ScalarValueRef::Int(n) => Some(Value::Int(*n)),
            ScalarValueRef::Uint(n) => i64::try_from(*n).ok().map(Value::Int),
            ScalarValueRef::Str(text) => Some(Value::Text(text.to_string())),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => Ok(()),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Int(n) => write!(f, "{n}"),
            Value::Text(text) => f.write_str(text),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Value::Int(n)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}
