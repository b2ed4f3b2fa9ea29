//! A dictated text as characters in one spelling, and the places within it. Every module of the grammar speaks of ranges of these characters;
//! what is handed on is cut from the text as it was said.

use std::ops::Range;

use crate::limits;

/// A text, once as said and once in the spelling in which words are looked up; both have the same length.
pub(super) struct Text {
    said: Vec<char>,
    /// Full-width forms as plain ones, Latin letters in lower case.
    pub(super) chars: Vec<char>,
}

impl Text {
    /// What is longer than a note may be is cut.
    pub(super) fn of(text: &str) -> Self {
        let said: Vec<char> = text.chars().take(limits::DICTATION_MAX_CHARS).collect();
        let chars = said.iter().map(|c| spelled(*c)).collect();
        Self { said, chars }
    }

    pub(super) fn len(&self) -> usize {
        self.chars.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    /// The character in front of this place.
    pub(super) fn before(&self, at: usize) -> Option<char> {
        at.checked_sub(1).and_then(|at| self.get(at))
    }

    /// These characters as they were said.
    pub(super) fn said(&self, span: Range<usize>) -> String {
        self.said.get(span).unwrap_or_default().iter().collect()
    }

    /// Whether this stands here. The word is in the spelling of [`Text::chars`].
    pub(super) fn has(&self, at: usize, word: &str) -> bool {
        word.chars().enumerate().all(|(i, c)| self.get(at + i) == Some(c))
    }

    /// Whether this ends here.
    pub(super) fn ends(&self, end: usize, word: &str) -> bool {
        let length = word.chars().count();
        end >= length && self.has(end - length, word)
    }

    /// Whether this stands anywhere within.
    pub(super) fn contains(&self, span: Range<usize>, word: &str) -> bool {
        let length = word.chars().count();
        span.end >= length && (span.start..=span.end - length).any(|at| self.has(at, word))
    }

    /// The part between two stops around this place: commas, colons and full stops.
    pub(super) fn clause(&self, at: usize) -> Range<usize> {
        self.around(at, is_stop)
    }

    /// The part between two full stops around this place.
    pub(super) fn sentence(&self, at: usize) -> Range<usize> {
        self.around(at, is_full_stop)
    }

    fn around(&self, at: usize, ends: fn(char) -> bool) -> Range<usize> {
        let from = at.saturating_sub(REACH_CHARS);
        let to = (at + REACH_CHARS).min(self.len());
        let start = (from..at.min(self.len())).rev().find(|i| ends(self.chars[*i])).map_or(from, |i| i + 1);
        let end = (at..to).find(|i| ends(self.chars[*i])).unwrap_or(to.max(start));
        start..end
    }
}

/// A comma, a colon or a full stop.
pub(super) fn is_stop(c: char) -> bool {
    matches!(c, ',' | ':' | '(' | ')') || is_full_stop(c)
}

/// The end of a sentence.
pub(super) fn is_full_stop(c: char) -> bool {
    matches!(c, '。' | '!' | '?' | ';' | '\n' | '…')
}

/// Whether two ranges share a character.
pub(super) fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

fn spelled(c: char) -> char {
    match c {
        // The full-width forms of ASCII lie in its order.
        '！'..='～' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c).to_ascii_lowercase(),
        '\r' => '\n',
        '￥' => '¥',
        c if c.is_whitespace() && c != '\n' => ' ',
        c => c.to_ascii_lowercase(),
    }
}

/// How far from a place a clause is looked for. A text without any stop is still read in time that grows with its length.
const REACH_CHARS: usize = 160;
