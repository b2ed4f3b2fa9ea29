//! The words of the grammar, as lists. What a list means stands beside it in `words.toml`, which is compiled in; a company's policy changes
//! lists of it ([`crate::policy::Dictation`]). In its code the grammar has numerals, units, the calendar and words by which sentences are put
//! together: no maker, equipment, person or hospital by name.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Every list, by what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// Makers, and how a preference among them sounds.
    pub brands: Brands,
    /// Equipment.
    pub equipment: Equipment,
    /// Titles, surnames, and whose word counts.
    pub people: People,
    /// Hospitals and departments.
    pub places: Places,
    /// Which figure is the budget.
    pub amounts: Amounts,
    /// Which day is the one that matters.
    pub dates: Dates,
    /// What our side has to do.
    pub todos: Todos,
    /// Buying, servicing, upgrading.
    pub intents: Intents,
    /// Questions of a first contact.
    pub questions: Questions,
}

impl Words {
    /// Those of a maker of medical equipment, the default of the policy.
    pub fn medical() -> &'static Self {
        &MEDICAL
    }

    /// These lists with some of them changed, by table and list.
    ///
    /// # Errors
    /// [`NoList`], the first of the changed lists that there is none of.
    pub fn changed(&self, lists: &BTreeMap<String, BTreeMap<String, ListChange>>) -> Result<Self, NoList> {
        let mut words = serde_json::to_value(self).unwrap_or_default();
        for (table, lists) in lists {
            for (list, change) in lists {
                let there = words.get_mut(table).and_then(|lists| lists.get_mut(list));
                let there = there.ok_or_else(|| NoList { table: table.clone(), list: list.clone() })?;
                *there = change.of(there);
            }
        }
        // Every list is still there, and of its sort.
        serde_json::from_value(words).map_err(|_| NoList { table: String::new(), list: String::new() })
    }

    /// The names of all lists, by table, each with whether it holds single characters.
    pub fn lists(&self) -> BTreeMap<String, BTreeMap<String, bool>> {
        let tables = serde_json::to_value(self).unwrap_or_default();
        let tables = tables.as_object().into_iter().flatten();
        let names = |lists: &Value| {
            let lists = lists.as_object().into_iter().flatten();
            lists.map(|(list, words)| (list.clone(), words.is_string())).collect()
        };
        tables.map(|(table, lists)| (table.clone(), names(lists))).collect()
    }

    /// The lists as they ship, each with what it means.
    pub fn toml() -> &'static str {
        TEXT
    }

    /// Reads lists as `words.toml` has them.
    ///
    /// # Errors
    /// Where the text is no TOML, or has a list that is unknown or misses one.
    pub fn read(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

/// What is changed of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListChange {
    /// Only these, instead of those that ship.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
    /// These besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    /// None of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

impl ListChange {
    /// A list as it is written, changed: words, or single characters in a row.
    fn of(&self, there: &Value) -> Value {
        let shipped: Vec<String> = match there {
            Value::Array(words) => words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Value::String(letters) => letters.chars().map(String::from).collect(),
            _ => Vec::new(),
        };
        // As a text is read: without regard to case and full width, and to blanks around a word.
        let plain = |word: &str| -> String { super::text::Text::of(word.trim()).chars.into_iter().collect() };
        let without: BTreeSet<String> = self.without.iter().map(|word| plain(word)).collect();
        let words = self.only.clone().unwrap_or(shipped).into_iter().chain(self.add.iter().cloned());
        let mut seen = BTreeSet::new();
        let words = words.map(|word| word.trim().to_owned());
        let kept = words.filter(|word| !without.contains(&plain(word)) && seen.insert(word.clone()));
        if there.is_string() { Value::String(kept.collect()) } else { kept.map(Value::String).collect() }
    }

    /// Every word that it names.
    pub fn words(&self) -> impl Iterator<Item = &String> {
        self.only.iter().flatten().chain(&self.add).chain(&self.without)
    }
}

/// There is no such list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no list {table}.{list}")]
pub struct NoList {
    /// In which table.
    pub table: String,
    /// Which.
    pub list: String,
}

macro_rules! lists {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $sort:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "words.toml says beside each list what it means")]
        pub struct $name { $(pub $field: $sort,)* }
    };
}

lists! {
    /// `[brands]`.
    Brands {
        makers: List, rivals: List, prefers: List, preferred: List, praises: List, refuses: List,
        refused: List, no_makers: List, prefers_surely: List,
    }
}
lists! {
    /// `[equipment]`.
    Equipment {
        names: List, kinds: List, no_kinds: List, heads: List, weak_heads: List, nameless: List, tails: List,
        parts: List, refused: List, refuses: List, wants: List,
    }
}
lists! {
    /// `[people]`.
    People {
        titles: List, short_titles: List, alone: List, no_person: List, surnames: Letters,
        double_surnames: List, doubtful_surnames: Letters, commercial: List, own: List, decides: List,
        speaks: List, silent: List, left: List, follows: List, former: List, labels: List,
    }
}
lists! {
    /// `[places]`.
    Places {
        endings: List, companies: List, need_a_name: List, short_names: List, no_name: List, neighbours: List,
        breaks: List, begins: List, regions: List, departments: List,
    }
}
lists! {
    /// `[amounts]`.
    Amounts {
        budget: List, total: List, unit: List, quotes: List, spent: List, to_spend: List, others: List, differences: List,
        changes: List, past: List, now: List, rejected: List, most_before: List, most_behind: List,
        least_before: List, least_behind: List, counted: List, measures: List, counts: List, most_of_it: List,
    }
}
lists! {
    /// `[dates]`.
    Dates {
        decisive: List, idle: List, fixed: List, past: List, moved: List, today: List,
    }
}
lists! {
    /// `[todos]`.
    Todos {
        later: List, own: List, must: List, remember: List, labels: List, asks: List, skipped: List,
        verbs: List, bare_verbs: List, done: List, particles: List, ends: List, mine: List, promises: List,
        theirs: List,
    }
}
lists! {
    /// `[intents]`.
    Intents {
        buys: List, tenders: List, services: List, breakdowns: List, upgrades: List, additions: List,
        denied: List, other: List, takes: List, corrections: List,
    }
}
lists! {
    /// `[questions]`.
    Questions {
        own: List, customer: List, asks: List, either: List, requests: List, matters: List, logistics: List,
        rhetorical: List, any: List, any_behind: List, about_us: List, yes_no: List, proposals: List,
        answers: List, self_answers: List, told_behind: List, reported: List, greetings: List, salutations: List,
        whom: List, hopes: List, offers: List, whether: List, tells: List,
    }
}

/// Words that are looked up in a text, the longest that fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct List {
    words: Vec<String>,
    by_first: BTreeMap<char, Vec<Vec<char>>>,
    by_last: BTreeMap<char, Vec<Vec<char>>>,
}

impl List {
    /// How many characters the longest word that begins here has.
    pub(super) fn at(&self, chars: &[char], at: usize) -> Option<usize> {
        let fits = |word: &&Vec<char>| chars[at..].starts_with(word) && is_whole(chars, at..at + word.len());
        self.by_first.get(chars.get(at)?)?.iter().find(fits).map(Vec::len)
    }

    /// How many characters the longest word that ends here has.
    pub(super) fn before(&self, chars: &[char], end: usize) -> Option<usize> {
        let fits = |word: &&Vec<char>| chars[..end].ends_with(word) && is_whole(chars, end - word.len()..end);
        self.by_last.get(chars.get(end.checked_sub(1)?)?)?.iter().find(fits).map(Vec::len)
    }

    /// The first word within.
    pub(super) fn first_in(&self, chars: &[char], span: Range<usize>) -> Option<Range<usize>> {
        self.all_in(chars, span).next()
    }

    /// The last word within.
    pub(super) fn last_in(&self, chars: &[char], span: Range<usize>) -> Option<Range<usize>> {
        self.all_in(chars, span).last()
    }

    /// Every word within, from its beginning on, none over another.
    pub(super) fn all_in<'a>(
        &'a self,
        chars: &'a [char],
        span: Range<usize>,
    ) -> impl Iterator<Item = Range<usize>> + 'a {
        let end = span.end.min(chars.len());
        let mut at = span.start;
        std::iter::from_fn(move || {
            while at < end {
                let from = at;
                match self.at(chars, at) {
                    Some(length) if from + length <= end => {
                        at += length;
                        return Some(from..from + length);
                    }
                    _ => at += 1,
                }
            }
            None
        })
    }

    /// Whether any word stands within.
    pub(super) fn is_in(&self, chars: &[char], span: Range<usize>) -> bool {
        self.first_in(chars, span).is_some()
    }

    /// Whether these characters are one of the words.
    pub(super) fn is(&self, chars: &[char]) -> bool {
        self.at(chars, 0) == Some(chars.len())
    }
}

/// A word in Latin letters is no part of a longer one: `GE` is not in `budget`.
fn is_whole(chars: &[char], span: Range<usize>) -> bool {
    let joined = |a: Option<&char>, b: Option<&char>| {
        a.is_some_and(char::is_ascii_alphabetic) && b.is_some_and(char::is_ascii_alphabetic)
    };
    let in_front = span.start.checked_sub(1).and_then(|at| chars.get(at));
    !joined(in_front, chars.get(span.start))
        && !joined(chars.get(span.end.wrapping_sub(1)), chars.get(span.end))
}

impl From<Vec<String>> for List {
    fn from(words: Vec<String>) -> Self {
        let (mut by_first, mut by_last) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for word in &words {
            let word = super::text::Text::of(word).chars;
            if let (Some(first), Some(last)) = (word.first(), word.last()) {
                by_first.entry(*first).or_default().push(word.clone());
                by_last.entry(*last).or_default().push(word.clone());
            }
        }
        for list in by_first.values_mut().chain(by_last.values_mut()) {
            list.sort_by_key(|word| std::cmp::Reverse(word.len()));
        }
        Self { words, by_first, by_last }
    }
}

impl From<List> for Vec<String> {
    fn from(list: List) -> Self {
        list.words
    }
}

/// Single characters, written in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Letters {
    written: String,
    set: BTreeSet<char>,
}

impl Letters {
    pub(super) fn has(&self, c: char) -> bool {
        self.set.contains(&c)
    }
}

impl From<String> for Letters {
    fn from(written: String) -> Self {
        Self { set: written.chars().collect(), written }
    }
}

impl From<Letters> for String {
    fn from(letters: Letters) -> Self {
        letters.written
    }
}

#[expect(clippy::expect_used, reason = "the text is compiled in, and a test reads it")]
static MEDICAL: LazyLock<Words> = LazyLock::new(|| Words::read(TEXT).expect("words.toml has every list"));

const TEXT: &str = include_str!("words.toml");
