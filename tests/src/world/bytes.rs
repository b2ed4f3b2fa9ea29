//! Looks for words in the bytes of a phone's rows, also where automerge has deflated them: a snapshot's columns and a change's body
//! beyond 256 bytes say nothing to somebody who only searches the disk.

use std::collections::BTreeSet;
use std::io::Read as _;

use fieldbook_core::document::Doc;
use fieldbook_core::ids::DocId;

/// Every word that acts write carries the number of its family between two of these.
const MARK: &str = "§";
/// Numbers have so many digits, and are multiples of this prime: notes are cut and spliced anywhere, and what is left of a number is no
/// other family's.
const DIGITS: usize = 6;
const FACTOR: usize = 97;
/// How a chunk of automerge begins.
const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];

/// A word of this family.
pub(super) fn marked(family: usize, word: &str) -> String {
    format!("{MARK}{:0DIGITS$}{MARK}{word}", family * FACTOR)
}

/// The families whose words are in a row: as its bytes stand, and in every change in it, inflated.
pub(super) fn families_in(value: &[u8]) -> BTreeSet<usize> {
    let mut families = marks_in(value);
    let starts = value.windows(MAGIC.len()).enumerate().filter(|(_, bytes)| *bytes == MAGIC);
    for (at, _) in starts {
        if let Some(body) = deflated_body(&value[at..]) {
            let mut plain = Vec::new();
            // What is no deflated body inflates to nothing, or to what was not there to be read.
            let _ = flate2::read::DeflateDecoder::new(body).read_to_end(&mut plain);
            families.extend(marks_in(&plain));
        }
    }
    families
}

/// The families whose words were ever in a saved document: those of every change behind it.
pub(super) fn families_of_snapshot(doc: DocId, saved: &[u8]) -> BTreeSet<usize> {
    let Some(loaded) = doc.kind().and_then(|kind| Doc::load_trusted(kind, saved).ok()) else {
        return BTreeSet::new();
    };
    let genesis = Doc::genesis(loaded.kind()).heads();
    loaded.changes_after(&genesis).iter().flat_map(|change| marks_in(&change.bytes)).collect()
}

/// The body of the chunk that begins here, if it is a deflated change: magic, checksum, type, length as ULEB128, body.
fn deflated_body(bytes: &[u8]) -> Option<&[u8]> {
    if *bytes.get(TYPE_AT)? != DEFLATED_CHANGE {
        return None;
    }
    let rest = &bytes[TYPE_AT + 1..];
    let digits = 1 + rest.iter().take_while(|byte| **byte & 0x80 != 0).count();
    let length = rest.get(..digits.min(4))?.iter().rev().fold(0, |n, byte| n << 7 | usize::from(byte & 0x7f));
    rest.get(digits..digits.checked_add(length)?)
}

/// The families whose words are in these bytes.
fn marks_in(value: &[u8]) -> BTreeSet<usize> {
    let mark = MARK.as_bytes();
    let mut families = BTreeSet::new();
    let mut at = 0;
    while let Some(found) = value[at..].windows(mark.len()).position(|w| w == mark) {
        at += found + mark.len();
        let digits: String =
            value[at..].iter().take_while(|b| b.is_ascii_digit()).map(|b| char::from(*b)).collect();
        if digits.len() == DIGITS && value[at + DIGITS..].starts_with(mark) {
            families.extend(digits.parse().ok().filter(|n| n % FACTOR == 0).map(|n: usize| n / FACTOR));
            at += DIGITS + mark.len();
        }
    }
    families
}

/// Behind magic and checksum.
const TYPE_AT: usize = 8;
const DEFLATED_CHANGE: u8 = 2;

#[cfg(test)]
mod tests {
    use fieldbook_core::document::Edit;
    use fieldbook_core::ids::{Actor, DeviceId, DocKind, EntryId, UserId};
    use fieldbook_core::time::{ClockKnowledge, Moment, Stamp};

    use super::*;

    #[test]
    fn marks_are_found_between_other_bytes() {
        let mut bytes = vec![0xc2, 0x00, 0xa7];
        bytes.extend(marked(12, "招标").bytes());
        bytes.extend(b"x\xc2\xa7");
        bytes.extend(marked(3, "").bytes());
        assert_eq!(marks_in(&bytes), BTreeSet::from([3, 12]));
        assert!(marks_in("§§ 5§".as_bytes()).is_empty());
    }

    #[test]
    fn a_number_that_a_splice_has_cut_is_nobody_elses() {
        let word = marked(13, "约院长");
        for (cut, _) in word.char_indices() {
            for inserted in [marked(13, ""), marked(13, "x")] {
                let spliced = format!("{}{inserted}{}", &word[..cut], &word[cut..]);
                assert!(marks_in(spliced.as_bytes()).is_subset(&BTreeSet::from([13])), "{spliced}");
            }
        }
    }

    #[test]
    fn words_are_found_where_automerge_has_deflated_them() {
        let mut doc = Doc::genesis(DocKind::Lead);
        let stamp = Stamp::new(UserId([1; 8]), Moment::default(), &ClockKnowledge::default());
        let actor = Actor { device: DeviceId([2; 8]), incarnation: 1 };
        let mut word = marked(7, "");
        word.extend((0..2_000u32).filter_map(|n| char::from_u32(0x4e00 + n % 9)));
        let edits = [Edit::Set { field: "brand".into(), value: word.into() }];
        let change = doc.edit(actor, &stamp, &edits).unwrap().change;
        let id = DocId::fresh(DocKind::Lead, EntryId([3; 16]));
        let saved = doc.save();
        assert!(marks_in(&saved).is_empty(), "the snapshot does not show its words");
        assert_eq!(families_of_snapshot(id, &saved), BTreeSet::from([7]));
        let mut row = vec![0x82, 0x40];
        row.extend(&change);
        row.extend([0, 1, 2]);
        assert_eq!(families_in(&row), BTreeSet::from([7]));
    }
}
