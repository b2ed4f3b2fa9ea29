//! Identifiers cross the border as lower-case hex; what does not read back is a typed error of the call, not a crash.

use std::sync::atomic::{AtomicBool, Ordering};

use fieldbook_core::ids::{DeviceId, DocId, EntryId, Hash32, UserId};
use fieldbook_device::{Error, Language};

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
    let language = if ENGLISH.load(Ordering::Relaxed) { Language::English } else { Language::Chinese };
    FieldbookError::of(&Error::Invalid(error.to_string()), language).into()
}

/// A handle was opened in this language. An id is read before the handle that it is meant for is known, so what does not read back is told
/// in the language of the one that was opened last; an app has one.
pub(crate) fn speak(language: Language) {
    ENGLISH.store(language == Language::English, Ordering::Relaxed);
}

static ENGLISH: AtomicBool = AtomicBool::new(false);
