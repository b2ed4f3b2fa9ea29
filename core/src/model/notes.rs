//! 备注: what somebody typed into a text that others typed into meanwhile. The app tells the text that its editor opened with and the text that
//! it ended with; the difference of the two is applied to the text as it is now. Refuses to remove a character that the editor never showed.

use crate::document::Edit;

/// The edits that bring into `held` what made `wanted` out of `base`: the characters that were deleted go where they still are, those that were
/// typed come where their neighbours are. What arrived since `base` stays. From the end to the beginning.
pub fn notes_edits(base: &str, wanted: &str, held: &str) -> Vec<Edit> {
    let [base, wanted, held] = [base, wanted, held].map(|text| text.chars().collect::<Vec<char>>());
    let places = kept(&base, &held);
    let mut edits = Vec::new();
    for Hunk { from, to, insert } in hunks(&base, &wanted).into_iter().rev() {
        let mut insert: String = insert.iter().collect();
        // What arrived between two deleted characters stays, so they may be several pieces.
        let gone: Vec<usize> = places[from..to].iter().copied().flatten().collect();
        for piece in gone.chunk_by(|a, b| a + 1 == *b).rev() {
            let at_first = piece.first() == gone.first();
            let insert = if at_first { std::mem::take(&mut insert) } else { String::new() };
            edits.push(splice(piece[0], piece.len(), insert));
        }
        if !insert.is_empty() {
            let before = places[..from].iter().rev().copied().flatten().next();
            edits.push(splice(before.map_or(0, |at| at + 1), 0, insert));
        }
    }
    edits
}

fn splice(at: usize, delete: usize, insert: String) -> Edit {
    Edit::Splice { text: "notes".to_owned(), at, delete, insert }
}

/// A stretch of the old text and what stands in its place in the new one.
#[derive(Debug)]
struct Hunk<'a> {
    from: usize,
    to: usize,
    insert: &'a [char],
}

fn hunks<'a>(old: &[char], new: &'a [char]) -> Vec<Hunk<'a>> {
    let mut hunks = Vec::new();
    let (mut from, mut start) = (0, 0);
    let kept = kept(old, new).into_iter().enumerate().filter_map(|(at, place)| Some((at, place?)));
    for (to, end) in kept.chain([(old.len(), new.len())]) {
        if from < to || start < end {
            hunks.push(Hunk { from, to, insert: &new[start..end] });
        }
        (from, start) = (to + 1, end + 1);
    }
    hunks
}

/// Where each character of the old text is in the new one, by a shortest script of insertions and deletions (Myers). Of texts that differ
/// in more than [`DIFFERENCE_MAX`] characters only the common beginning and end are found: the rest counts as replaced.
fn kept(old: &[char], new: &[char]) -> Vec<Option<usize>> {
    let begin = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (a, b) = (&old[begin..], &new[begin..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    let mut places = vec![None; old.len()];
    (0..begin).for_each(|at| places[at] = Some(at));
    (1..=end).for_each(|back| places[old.len() - back] = Some(new.len() - back));
    for (x, y) in common(a, b) {
        places[begin + x] = Some(begin + y);
    }
    places
}

/// The pairs of a longest common subsequence.
fn common(a: &[char], b: &[char]) -> Vec<(usize, usize)> {
    let most = (a.len() + b.len()).min(DIFFERENCE_MAX);
    // `reach[k]` is how far into `a` one comes on the diagonal k - most - 1, after as many differences as there are rows before it.
    let mut reach = vec![0usize; 2 * most + 3];
    let mut rows: Vec<Vec<usize>> = Vec::new();
    let down = |reach: &[usize], k: usize, differences: usize| {
        let (low, high) = (most + 1 - differences, most + 1 + differences);
        k == low || k != high && reach[k - 1] < reach[k + 1]
    };
    for differences in 0..=most {
        rows.push(reach.clone());
        for k in (most + 1 - differences..=most + 1 + differences).step_by(2) {
            let from = if down(&reach, k, differences) { reach[k + 1] } else { reach[k - 1] + 1 };
            let (mut x, mut y) = (from, (from + most + 1).wrapping_sub(k));
            while x < a.len() && y < b.len() && a[x] == b[y] {
                (x, y) = (x + 1, y + 1);
            }
            reach[k] = x;
            if x >= a.len() && y >= b.len() {
                return walk_back(&rows, (a.len(), k), differences, most, down);
            }
        }
    }
    Vec::new()
}

/// The steps along which the end was reached, without a difference each.
fn walk_back(
    rows: &[Vec<usize>],
    (mut x, mut k): (usize, usize),
    differences: usize,
    most: usize,
    down: impl Fn(&[usize], usize, usize) -> bool,
) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for differences in (0..=differences).rev() {
        let reach = &rows[differences];
        let is_down = down(reach, k, differences);
        let from = if is_down { reach[k + 1] } else { reach[k - 1] + 1 };
        while x > from {
            x -= 1;
            pairs.push((x, (x + most + 1) - k));
        }
        (x, k) = if is_down { (from, k + 1) } else { (from.saturating_sub(1), k - 1) };
    }
    pairs
}

/// Characters by which two texts differ and are still compared one by one: the rows of the search take four megabytes.
const DIFFERENCE_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::document::Doc;
    use crate::ids::{Actor, DeviceId, DocKind, UserId};
    use crate::time::{ClockKnowledge, Moment, Stamp};

    fn typed(base: &str, wanted: &str, held: &str) -> String {
        let mut doc = Doc::genesis(DocKind::Lead);
        let stamp = Stamp::new(UserId([1; 8]), Moment::default(), &ClockKnowledge::default());
        let actor = Actor { device: DeviceId([1; 8]), incarnation: 0 };
        let _ = doc.edit(actor, &stamp, &[splice(0, 0, held.to_owned())]);
        let _ = doc.edit(actor, &stamp, &notes_edits(base, wanted, held));
        doc.text("notes")
    }

    #[test]
    fn what_arrived_while_somebody_typed_stays() {
        for (base, wanted, held, expected) in [
            ("", "三月招标", "", "三月招标"),
            ("三月招标", "三月底招标", "三月招标", "三月底招标"),
            ("三月招标", "三月底招标", "约院长。三月招标", "约院长。三月底招标"),
            ("三月招标", "三月招标，已确认", "三月招标。王主任支持", "三月招标，已确认。王主任支持"),
            ("三月招标", "", "三月X招标", "X"),
            ("三月招标", "四月招标", "招标", "四招标"),
            ("预算380万", "预算400万", "总预算380万元", "总预算400万元"),
            ("三月招标", "三月招标", "别的", "别的"),
            ("", "甲", "乙", "甲乙"),
            ("同", "", "", ""),
        ] {
            assert_eq!(typed(base, wanted, held), expected, "{base} → {wanted} in {held}");
        }
    }

    #[test]
    fn texts_that_have_nothing_in_common_take_a_moment_and_lose_nothing() {
        let (base, held) = ("甲".repeat(1_500), format!("{}{}", "甲".repeat(1_500), "乙".repeat(500)));
        assert_eq!(typed(&base, &"丙".repeat(1_500), &held), "丙".repeat(1_500) + &"乙".repeat(500));
    }

    fn changed(letters: &'static str) -> impl Strategy<Value = Vec<(usize, usize, String)>> {
        prop::collection::vec((0usize..24, 0usize..6, letters), 0..5)
    }

    fn apply(text: &str, changes: &[(usize, usize, String)]) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, delete, insert) in changes {
            let at = (*at).min(chars.len());
            let end = (at + delete).min(chars.len());
            chars.splice(at..end, insert.chars());
        }
        chars.into_iter().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Every character that neither side deleted is there, in its order, and so is everything that either typed.
        #[test]
        fn both_sides_are_there(
            base in "[a-z]{0,20}",
            mine in changed("[0-9]{0,4}"),
            theirs in changed("[A-Z]{0,4}"),
        ) {
            // Every letter once, so that it is known which one went.
            let mut seen = BTreeSet::new();
            let base: String = base.chars().filter(|c| seen.insert(*c)).collect();
            let (wanted, held) = (apply(&base, &mine), apply(&base, &theirs));
            let text = typed(&base, &wanted, &held);
            let of = |text: &str, is: fn(&char) -> bool| text.chars().filter(is).collect::<String>();
            prop_assert_eq!(of(&text, char::is_ascii_uppercase), of(&held, char::is_ascii_uppercase));
            prop_assert_eq!(of(&text, char::is_ascii_digit), of(&wanted, char::is_ascii_digit));
            let stays: String = base.chars().filter(|c| wanted.contains(*c) && held.contains(*c)).collect();
            prop_assert_eq!(of(&text, char::is_ascii_lowercase), stays);
            prop_assert_eq!(typed(&base, &wanted, &base), wanted);
        }

        /// Of any texts, repetitions and all: nothing that was not shown goes.
        #[test]
        fn any_texts_merge(base in "[ab招]{0,12}", wanted in "[ab招]{0,12}", held in "[ab招]{0,12}") {
            prop_assert_eq!(typed(&base, &wanted, &base), wanted.clone());
            prop_assert_eq!(typed(&base, &base, &held), held.clone());
            let places = kept(&base.chars().collect::<Vec<_>>(), &wanted.chars().collect::<Vec<_>>());
            let found: Vec<usize> = places.into_iter().flatten().collect();
            prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
