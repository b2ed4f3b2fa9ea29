//! Long edits in portions: what does not fit one change becomes several, each within the bounds of a change. Refuses to judge: a single
//! value beyond its own bound stays as it is, and the document refuses it.

use super::Edit;

/// `edits` in the same order, as lists that each fit one change. A text that is put in at once goes in piece by piece.
pub fn portions(edits: &[Edit]) -> Vec<Vec<Edit>> {
    let mut portions = vec![Vec::new()];
    let mut weight = 0;
    for edit in edits.iter().flat_map(pieces) {
        let more = weight_bytes(&edit);
        if weight > 0 && weight + more > PORTION_BYTES {
            portions.push(Vec::new());
            weight = 0;
        }
        weight += more;
        if let Some(last) = portions.last_mut() {
            last.push(edit);
        }
    }
    portions.retain(|portion| !portion.is_empty());
    portions
}

/// A long splice as several; any other edit as it is.
fn pieces(edit: &Edit) -> Vec<Edit> {
    let Edit::Splice { text, at, delete, insert } = edit else { return vec![edit.clone()] };
    let characters: Vec<char> = insert.chars().collect();
    if characters.len() <= PIECE_CHARACTERS {
        return vec![edit.clone()];
    }
    let piece = |(i, piece): (usize, &[char])| Edit::Splice {
        text: text.clone(),
        at: at + i * PIECE_CHARACTERS,
        delete: if i == 0 { *delete } else { 0 },
        insert: piece.iter().collect(),
    };
    characters.chunks(PIECE_CHARACTERS).enumerate().map(piece).collect()
}

/// About what an edit adds to its change. A character of a text is an operation of its own, so it weighs what keeps a portion's
/// operations within their bound too.
fn weight_bytes(edit: &Edit) -> usize {
    let value = |value: &super::Value| value.size_bytes();
    let bytes = match edit {
        Edit::Set { field, value: v } => field.len() + value(v),
        Edit::SetIn { field, key, value: v } => field.len() + key.len() + value(v),
        Edit::AddRecord { field, values, .. } => {
            field.len() + values.iter().map(|(name, v)| name.len() + value(v) + EDIT_BYTES).sum::<usize>()
        }
        Edit::SetRecord { field, name, value: v, .. } => field.len() + name.len() + value(v),
        Edit::Append { log, body, .. } => log.len() + body.len(),
        Edit::PutElement { set, key, body } => set.len() + key.len() + body.len(),
        Edit::RemoveElement { set, key } => set.len() + key.len(),
        Edit::Splice { delete, insert, .. } => (insert.chars().count() + delete) * CHARACTER_BYTES,
    };
    bytes + EDIT_BYTES
}

/// Half of what a change may hold: the weights are estimates.
const PORTION_BYTES: usize = crate::limits::CHANGE_MAX_BYTES / 2;
/// Characters that go in with one change: half of the operations that it may have.
const PIECE_CHARACTERS: usize = crate::limits::CHANGE_MAX_OPS / 2;
/// Ids, keys and references of one edit.
const EDIT_BYTES: usize = 64;
/// A portion full of text has as many characters as a piece.
const CHARACTER_BYTES: usize = PORTION_BYTES / PIECE_CHARACTERS;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Doc, Value};
    use crate::ids::{Actor, DocKind, EntryId};
    use crate::limits::VALUE_MAX_BYTES;
    use crate::time::{Moment, Stamp};

    #[test]
    fn whatever_is_written_at_once_fits_its_changes_and_reads_as_it_was() {
        let note = "机房二楼𝄞".repeat(VALUE_MAX_BYTES / 16);
        let body = format!(r#"{{"type":"import","extra":"{}"}}"#, "x".repeat(VALUE_MAX_BYTES - 40));
        let long = Value::Text("y".repeat(VALUE_MAX_BYTES));
        let edits = [
            Edit::Set { field: "hospital".into(), value: long.clone() },
            Edit::Set { field: "source".into(), value: long.clone() },
            Edit::Splice { text: "notes".into(), at: 0, delete: 0, insert: note.clone() },
            Edit::Append { log: "events".into(), id: EntryId([1; 16]), body: body.clone() },
            Edit::Append { log: "events".into(), id: EntryId([2; 16]), body },
            Edit::Set { field: "brand".into(), value: "联影".into() },
        ];
        let stamp = Stamp {
            user: crate::ids::UserId([1; 8]),
            moment: Moment { wall_ms: 1, boot: 1, mono_ms: 1 },
            offset_ms: None,
            last_contact_ms: 0,
        };
        let actor = Actor { device: crate::ids::DeviceId([1; 8]), incarnation: 1 };
        let mut doc = Doc::genesis(DocKind::Lead);
        let portions = portions(&edits);
        assert!(portions.len() > 4, "{}", portions.len());
        for portion in &portions {
            doc.edit(actor, &stamp, portion).unwrap();
        }
        assert_eq!(doc.text("notes"), note);
        assert_eq!(doc.value("source", &crate::document::NoClocks), Some(long));
        assert_eq!(doc.log("events", &crate::document::NoClocks).len(), 2);
    }

    #[test]
    fn a_few_short_edits_stay_one_change() {
        let edits = [
            Edit::Set { field: "brand".into(), value: "联影".into() },
            Edit::Splice { text: "notes".into(), at: 0, delete: 0, insert: "二楼".into() },
        ];
        assert_eq!(portions(&edits), [edits.to_vec()]);
        assert!(portions(&[]).is_empty());
    }
}
