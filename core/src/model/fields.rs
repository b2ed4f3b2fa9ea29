//! The macros that turn a list of registers into a typed struct, and what counts as filled in (C11).

use crate::document::Value;

/// Whether a text says something: blank, 待确认 and 待定 count as empty (C11).
pub fn is_filled(text: &str) -> bool {
    !matches!(text.trim(), "" | "待确认" | "待定")
}

/// How a plain Rust value lives in a register. Reading is lenient across versions: a number that was text once, or
/// the other way round, is read all the same.
pub(super) trait Plain: Sized {
    fn read(value: &Value) -> Option<Self>;
    fn write(&self) -> Value;
}

impl Plain for String {
    fn read(value: &Value) -> Option<Self> {
        (!value.is_null()).then(|| value.to_string())
    }

    fn write(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl Plain for i64 {
    fn read(value: &Value) -> Option<Self> {
        value.as_int().or_else(|| value.as_text()?.trim().parse().ok())
    }

    fn write(&self) -> Value {
        Value::Int(*self)
    }
}

impl Plain for bool {
    fn read(value: &Value) -> Option<Self> {
        value.as_bool().or_else(|| value.as_int().map(|n| n != 0))
    }

    fn write(&self) -> Value {
        Value::Bool(*self)
    }
}

macro_rules! plain_id {
    ($($id:ty),*) => {$(
        impl Plain for $id {
            fn read(value: &Value) -> Option<Self> {
                value.as_text()?.parse().ok()
            }

            fn write(&self) -> Value {
                Value::Text(self.to_string())
            }
        }
    )*};
}

plain_id!(crate::ids::DocId, crate::ids::UserId, crate::ids::TeamId, crate::ids::EntryId);

/// Declares a struct of optional registers, named as in the table of fields, with `from_values` and `values`.
macro_rules! registers {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $plain:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[$field_doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$plain>,)*
        }

        impl $name {
            /// The names of the registers, in order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];

            /// Reads the registers out of plain values; unknown names and unreadable values are left out.
            pub fn from_values(values: &std::collections::BTreeMap<String, crate::document::Value>) -> Self {
                Self {
                    $($field: values.get(stringify!($field)).and_then(crate::model::fields::Plain::read),)*
                }
            }

            /// The registers that have a value.
            pub fn values(&self) -> std::collections::BTreeMap<String, crate::document::Value> {
                let mut values = std::collections::BTreeMap::new();
                $(if let Some(value) = &self.$field {
                    values.insert(stringify!($field).to_owned(), crate::model::fields::Plain::write(value));
                })*
                values
            }
        }
    };
}

/// Adds reading from and editing of a document's root registers to a struct of [`registers`].
macro_rules! root_registers {
    ($name:ident) => {
        impl $name {
            /// Reads the registers of a document.
            pub fn read(doc: &crate::document::Doc, clocks: &dyn crate::document::Clocks) -> Self {
                Self::from_values(&doc.root(clocks))
            }

            /// Edits that write every register that has a value; the others are left as they are.
            pub fn edits(&self) -> Vec<crate::document::Edit> {
                let set = |(field, value)| crate::document::Edit::Set { field, value };
                self.values().into_iter().map(set).collect()
            }
        }
    };
}

/// Adds reading from and adding to a field of records to a struct of [`registers`].
macro_rules! record_registers {
    ($name:ident) => {
        impl $name {
            /// The records of a field that were not removed.
            pub fn read_all(
                doc: &crate::document::Doc,
                field: &str,
                clocks: &dyn crate::document::Clocks,
            ) -> std::collections::BTreeMap<crate::ids::EntryId, Self> {
                let records = doc.records(field, clocks).into_iter();
                records.map(|(id, record)| (id, Self::from_values(&record))).collect()
            }

            /// One record of a field, unless it was removed.
            pub fn read_one(
                doc: &crate::document::Doc,
                field: &str,
                id: crate::ids::EntryId,
                clocks: &dyn crate::document::Clocks,
            ) -> Option<Self> {
                let record = doc.record(field, id, clocks)?;
                let removed = record.get("removed") == Some(&crate::document::Value::Bool(true));
                (!removed).then(|| Self::from_values(&record))
            }

            /// The edit that adds this as a record under `id`.
            pub fn add(&self, field: &str, id: crate::ids::EntryId) -> crate::document::Edit {
                crate::document::Edit::AddRecord { field: field.to_owned(), id, values: self.values() }
            }

            /// Edits that write every register that has a value into the record `id`.
            pub fn update(&self, field: &str, id: crate::ids::EntryId) -> Vec<crate::document::Edit> {
                let set = |(name, value)| crate::document::Edit::SetRecord {
                    field: field.to_owned(),
                    id,
                    name,
                    value,
                };
                self.values().into_iter().map(set).collect()
            }
        }
    };
}

pub(super) use {record_registers, registers, root_registers};

/// The edit that removes a record.
pub(super) fn remove_record(field: &str, id: crate::ids::EntryId) -> crate::document::Edit {
    crate::document::Edit::SetRecord {
        field: field.to_owned(),
        id,
        name: "removed".to_owned(),
        value: Value::Bool(true),
    }
}
