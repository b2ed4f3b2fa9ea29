//! Search as one types on a phone: part of a name, pinyin initials, whole syllables, or a mixture. `bjxh`, `协和`,
//! `xiehe` and `bj协和` all find 北京协和医院. A character with several readings is found under each (重庆 under both
//! `cq` and `zq`). Case, blanks and punctuation do not matter.

use std::collections::BTreeSet;

use pinyin::{ToPinyin, ToPinyinMulti};

/// Whether `query` matches `text` anywhere. An empty query matches everything.
pub fn matches(query: &str, text: &str) -> bool {
    let query = letters(query);
    if query.len() > QUERY_MAX_CHARS {
        return false;
    }
    // How much of the query a match that began further left may have used up, a bit each: the search is a walk along the text, however
    // many readings its characters have.
    let mut used = 1u64;
    for here in letters(text) {
        if used & (1 << query.len()) != 0 {
            return true;
        }
        // A match may begin at every character.
        used = advance(used, &query, here) | 1;
    }
    used & (1 << query.len()) != 0
}

/// The pinyin initials of a text, in the commonest reading; Latin letters and digits are kept, the rest left out.
pub fn initials(text: &str) -> String {
    let initial = |c: &char| match c.to_pinyin() {
        Some(reading) => reading.first_letter().chars().next(),
        None => c.is_ascii_alphanumeric().then_some(*c),
    };
    letters(text).iter().filter_map(initial).collect()
}

/// What of the query is used up behind one more character of the text. The character takes up one of the query (itself or an initial) or a
/// whole syllable, of which the last may be incomplete.
fn advance(used: u64, query: &[char], here: char) -> u64 {
    let readings = readings(here);
    let mut next = 0;
    for at in (0..query.len()).filter(|at| used & (1 << at) != 0) {
        let left = &query[at..];
        if left[0] == here {
            next |= 1 << (at + 1);
        }
        for syllable in &readings {
            let common = syllable.chars().zip(left).take_while(|(a, b)| a == *b).count();
            if common > 0 {
                next |= 1 << (at + 1);
            }
            if common > 1 && (common == left.len() || common == syllable.len()) {
                next |= 1 << (at + common);
            }
        }
    }
    next
}

/// The syllables of a character, without their tones.
fn readings(here: char) -> BTreeSet<&'static str> {
    here.to_pinyin_multi().into_iter().flatten().map(|reading| reading.plain()).collect()
}

fn letters(text: &str) -> Vec<char> {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Longer than any name, and a bit each in a `u64`.
const QUERY_MAX_CHARS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_readings_is_searched_in_one_walk() {
        // 60 characters with several readings each, some of which differ in the tone alone.
        let name = "重行长乐和着差发还".chars().cycle().take(60).collect::<String>();
        for (query, found) in [
            ("zhongxing", true),
            ("chonghang", true),
            ("cxclhzcfh", true),
            ("重hang长yue", true),
            ("hangxing", false),
            // As long as a query gets, and wrong only at its end.
            (&format!("{}q", "cxzlhzcfh".repeat(3)), false),
        ] {
            assert_eq!(matches(query, &name), found, "{query}");
        }
        assert!(readings('和').len() < '和'.to_pinyin_multi().unwrap().count(), "tones are no readings");
    }
}
