//! The work of this phone that the server did not merge: why, and what it said, so that its author can make it again or let it go.

use fieldbook_core::document::{Meaning, Value, Written, describe, schema};
use fieldbook_core::ids::{DocId, DocKind};
use fieldbook_core::replica::{Kept, KeptWhy, Replica};
use fieldbook_core::sync::message::HoldReason;

use super::Fieldbook;
use crate::error::Error;
use crate::records::{KeptItem, KeptWords};
use crate::words::{self, Language};

impl Fieldbook {
    /// Work of this phone that the server did not merge, with its words. A person decides about what is held; what was refused exists nowhere
    /// else. Of a document that left the phone only the fact remains.
    ///
    /// # Errors
    /// [`Error::Locked`].
    pub fn kept(&self) -> Result<Vec<KeptItem>, Error> {
        let language = self.shared.language;
        self.shared.read(|replica, _| {
            let mut out = Vec::new();
            for kept in replica.kept()? {
                let lead = replica.lead_of(kept.doc)?;
                let summary = lead.and_then(|lead| replica.summary(lead).ok());
                let code = code(kept.why);
                out.push(KeptItem {
                    doc: kept.doc,
                    lead: summary.as_ref().map(|row| row.id),
                    customer_name: summary.map(|row| row.customer_name).unwrap_or_default(),
                    number: kept.number,
                    code: code.to_owned(),
                    text: words::sentence(code, language).to_owned(),
                    words: said(replica, &kept, language)?,
                    at_ms: kept.at_ms,
                });
            }
            Ok::<_, Error>(out)
        })
    }

    /// Takes one piece of it off the list, because its author has read it or made it again. What the server holds waits for its decision all
    /// the same.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not there (any more); [`Error::Locked`].
    pub fn dismiss_kept(&self, doc: DocId, number: u64) -> Result<(), Error> {
        self.shared.read(|_, _| Ok::<_, Error>(()))?;
        self.shared.with(|replica, _| replica.dismiss_kept(doc, number))
    }
}

/// What a kept change says, one line a field.
fn said(replica: &mut Replica, kept: &Kept, language: Language) -> Result<Vec<KeptWords>, Error> {
    let (Some(kind), Some(change)) = (kept.doc.kind(), &kept.change) else { return Ok(Vec::new()) };
    // The records that it writes into have their names from the document.
    let base = if replica.holds(kept.doc)? { Some(replica.load(kept.doc)?) } else { None };
    let described = describe(kind, base.as_ref(), &[change]).into_iter().flatten();
    let line = |written| line(kind, written, language);
    Ok(described.flat_map(|change| change.writes).filter_map(line).collect())
}

fn line(kind: DocKind, written: Written, language: Language) -> Option<KeptWords> {
    let (label, text) = match written {
        Written::Value { path, value } => {
            let text = match value {
                Value::Bool(yes) => words::yes_or_no(yes, language).to_owned(),
                other => other.to_string(),
            };
            (words::register(kind, &path, language), text)
        }
        Written::Text { field, inserted, .. } => (words::field(kind, &field, language), inserted),
        Written::Entry { field, key, body } => {
            let is_set = schema::field(kind, &field).is_some_and(|known| known.meaning == Meaning::Set);
            let text = if is_set { key } else { texts_of(&body.unwrap_or_default()) };
            (words::field(kind, &field, language), text)
        }
        Written::Record { .. } | Written::Unknown => return None,
    };
    Some(KeptWords { label, text })
}

/// What a person wrote into an entry of a log: its texts, without ids and kinds.
fn texts_of(body: &str) -> String {
    let Ok(serde_json::Value::Object(entry)) = serde_json::from_str(body) else { return String::new() };
    let written = entry.iter().filter(|(key, _)| !NO_WORDS.contains(&key.as_str()));
    let texts = written.filter_map(|(_, value)| value.as_str()).filter(|text| !text.is_empty());
    texts.collect::<Vec<_>>().join("；")
}

fn code(why: KeptWhy) -> &'static str {
    match why {
        KeptWhy::Held(HoldReason::NotYours) => "held_not_yours",
        KeptWhy::Held(HoldReason::Revoked) => "held_revoked",
        KeptWhy::Held(HoldReason::Fork) => "held_fork",
        KeptWhy::Held(HoldReason::Suffix) => "held_suffix",
        KeptWhy::Held(HoldReason::Erased) => "held_erased",
        KeptWhy::Held(HoldReason::MissingDeps) => "held_missing_deps",
        KeptWhy::Refused(_) => "refused_work",
    }
}

/// Keys of entries whose texts are ids and kinds.
const NO_WORDS: &[&str] = &[
    "type",
    "channel",
    "direction",
    "outcome",
    "contact",
    "entry",
    "event",
    "evidence",
    "hash",
    "lead",
    "mime",
    "from",
    "to",
    "external_id",
];
