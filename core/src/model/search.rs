//! Search as one types on a phone: part of a name, pinyin initials, whole syllables, or a mixture. `bjxh`, `协和`,
//! `xiehe` and `bj协和` all find 北京协和医院. A character with several readings is found under each (重庆 under both
//! `cq` and `zq`). Case, blanks and punctuation do not matter.

use pinyin::{ToPinyin, ToPinyinMulti};

/// Whether `query` matches `text` anywhere. An empty query matches everything.
pub fn matches(query: &str, text: &str) -> bool {
    let query = letters(query);
    if query.len() > QUERY_MAX_CHARS {
        return false;
    }
    let text = letters(text);
    query.is_empty() || (0..text.len()).any(|start| matches_here(&query, &text[start..]))
}

/// The pinyin initials of a text, in the commonest reading; Latin letters and digits are kept, the rest left out.
pub fn initials(text: &str) -> String {
    let initial = |c: &char| match c.to_pinyin() {
        Some(reading) => reading.first_letter().chars().next(),
        None => c.is_ascii_alphanumeric().then_some(*c),
    };
    letters(text).iter().filter_map(initial).collect()
}

/// Whether the whole of `query` matches the beginning of `text`. Each character of the text takes up one of the query
/// (itself or an initial) or a whole syllable, of which the last may be incomplete.
fn matches_here(query: &[char], text: &[char]) -> bool {
    let Some(typed) = query.first() else { return true };
    let Some((here, rest)) = text.split_first() else { return false };
    if here == typed && matches_here(&query[1..], rest) {
        return true;
    }
    if !typed.is_ascii_lowercase() {
        return false;
    }
    let Some(readings) = here.to_pinyin_multi() else { return false };
    readings.into_iter().any(|reading| {
        let syllable: Vec<char> = reading.plain().chars().collect();
        let common = syllable.iter().zip(query).take_while(|(a, b)| a == b).count();
        (common > 0 && matches_here(&query[1..], rest))
            || (common > 1 && common == query.len())
            || (common > 1 && common == syllable.len() && matches_here(&query[common..], rest))
    })
}

fn letters(text: &str) -> Vec<char> {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Longer than any name; it bounds the search, which may try every syllable in two ways.
const QUERY_MAX_CHARS: usize = 32;
