//! Identifiers cross the border as lower-case hex; what does not read back is a typed error of the call, not a crash.

use fieldbook_core::ids::{DeviceId, DocId, EntryId, Hash32, UserId};

use crate::FieldbookError;

macro_rules! as_hex {
    ($($id:ident),*) => {$(
        uniffi::custom_type!($id, String, {
            remote,
            lower: |id| id.to_string(),
            try_lift: |text| text.parse().map_err(|e| bad(&e)),
        });
    )*};
}

as_hex!(DocId, UserId, DeviceId, EntryId, Hash32);

fn bad(error: &fieldbook_core::ids::ParseIdError) -> uniffi::deps::anyhow::Error {
    FieldbookError::Invalid { code: "invalid".to_owned(), text: String::new(), detail: error.to_string() }
        .into()
}
