//! What was heard in one note: the spans that every part of the grammar looks at, found once and in this order, and what several parts ask of them.

use std::ops::Range;

use jiff::civil::Date;

use super::amounts::Amount;
use super::days::Said;
use super::text::{self, Text};
use super::todos::Todo;
use super::words::Words;
use super::{amounts, days, equipment, people, places, todos};

pub(super) struct Heard<'a> {
    pub(super) text: &'a Text,
    pub(super) words: &'a Words,
    pub(super) on: Date,
    pub(super) days: Vec<Said>,
    pub(super) departments: Vec<Range<usize>>,
    pub(super) amounts: Vec<Amount>,
    pub(super) makers: Vec<Range<usize>>,
    pub(super) equipment: Vec<Range<usize>>,
    pub(super) places: Vec<Range<usize>>,
    pub(super) people: Vec<people::Person>,
    pub(super) todos: Vec<Todo>,
}

impl<'a> Heard<'a> {
    pub(super) fn of(text: &'a Text, on: Date, words: &'a Words) -> Self {
        let whole = 0..text.len();
        let mut heard = Self {
            text,
            words,
            on,
            days: days::find(text, on),
            departments: words.places.departments.all_in(&text.chars, whole.clone()).collect(),
            amounts: Vec::new(),
            makers: words.brands.makers.all_in(&text.chars, whole).collect(),
            equipment: Vec::new(),
            places: Vec::new(),
            people: Vec::new(),
            todos: Vec::new(),
        };
        heard.amounts = amounts::find(&heard);
        heard.equipment = equipment::find(&heard);
        heard.places = places::find(&heard);
        // 新华医院 is no maker, and 口腔医院 no equipment.
        let places = heard.places.clone();
        let is_outside = |span: &Range<usize>| {
            !places.iter().any(|place| place.start <= span.start && span.end <= place.end)
        };
        let departments = heard.departments.clone();
        heard.makers.retain(|maker| {
            is_outside(maker) && !departments.iter().any(|department| text::overlap(department, maker))
        });
        heard.equipment.retain(is_outside);
        heard.people = people::find(&heard);
        heard.todos = todos::find(&heard);
        heard
    }

    /// Whether a day, an amount or a maker ends here.
    pub(super) fn ends_at(&self, at: usize) -> bool {
        self.days.iter().any(|day| day.span.end == at)
            || self.amounts.iter().any(|amount| amount.span.end == at)
            || self.makers.iter().any(|maker| maker.end == at)
    }

    /// Whether what ended here was taken back by what begins there: 三百万，不对，是三百五十万.
    pub(super) fn is_corrected(&self, end: usize, start: usize) -> bool {
        let between = end..start;
        if between.len() > CORRECTION_MAX_CHARS {
            return false;
        }
        self.words.intents.corrections.is_in(&self.text.chars, between.clone())
            || [",不是,", ",不,", "。不是,", ",不是。"]
                .iter()
                .any(|word| self.text.contains(between.clone(), word))
    }

    /// Whether a neighbour is spoken of within: 隔壁市三院, but not 别的不谈.
    pub(super) fn is_neighbour(&self, span: &Range<usize>) -> bool {
        let (chars, places) = (&self.text.chars, &self.words.places);
        let near = span.start.max(span.end.saturating_sub(NEIGHBOUR_MAX_CHARS))..span.end;
        places.neighbours.all_in(chars, near.clone()).any(|word| {
            let behind = word.end..(word.end + 8).min(chars.len());
            self.text.has(word.start, "隔壁") || places.endings.is_in(chars, behind)
        })
    }

    /// Whether what begins here is said not to be: 不是呼吸机.
    pub(super) fn is_denied(&self, start: usize) -> bool {
        let text = self.text;
        ["不是", "不是要", "不是买", "不是修", "并非"].iter().any(|word| text.ends(start, word))
            && !text.ends(start, "是不是")
    }
}

/// So far reaches what is said of a neighbour where nobody puts a comma.
const NEIGHBOUR_MAX_CHARS: usize = 24;
/// A slip of the tongue is taken back at once.
const CORRECTION_MAX_CHARS: usize = 28;
