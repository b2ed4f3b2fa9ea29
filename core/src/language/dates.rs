//! Which of the days that were said is the customer's next decisive act. An errand of our own counts only where there is no other; what is over,
//! was moved, or decides nothing (somebody travels) is none.

use jiff::civil::Date;

use super::days::Said;
use super::heard::Heard;

/// How much a day matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// No answer.
    None,
    /// An errand of ours.
    Errand,
    /// Nobody says what for.
    Plain,
    /// A decisive act of the customer.
    Decisive,
}

/// First and last day of the customer's next decisive act.
pub(super) fn choose(heard: &Heard) -> Option<(Date, Date)> {
    let days = &heard.days;
    let weights: Vec<Weight> = (0..days.len()).map(|at| weight(heard, at)).collect();
    let most = weights.iter().copied().max().filter(|most| *most > Weight::None)?;
    let candidates: Vec<&Said> =
        days.iter().zip(&weights).filter(|(_, weight)| **weight == most).map(|(day, _)| day).collect();
    let mut best = *candidates.first()?;
    for day in candidates {
        let is_within = best.start <= day.start && day.end <= best.end;
        // The next one; and of two that say the same the narrower.
        if next_day(day) < next_day(best) || (is_within && day.is_before == best.is_before) {
            best = day;
        }
    }
    Some((best.start, best.end))
}

/// The day by which of two acts is the next: what is to be done before a day may take until then.
fn next_day(day: &Said) -> Date {
    if day.is_before { day.end } else { day.start }
}

fn weight(heard: &Heard, at: usize) -> Weight {
    let (text, chars, words) = (heard.text, &heard.text.chars, &heard.words.dates);
    let days = &heard.days;
    let day = &days[at];
    let next = days.get(at + 1);
    let (start, end) = (day.span.start, day.span.end);
    if day.is_past || day.is_open {
        return Weight::None;
    }
    let clause = text.clause(start);
    let stop = text.clause(end).end;
    let reach = next.map_or(chars.len(), |next| next.span.start);
    let behind = end..stop.min(reach).min(end + 14);
    let floor = at.checked_sub(1).map_or(0, |before| days[before].span.end);
    let near = clause.start.max(floor).max(start.saturating_sub(6))..start;
    if next.is_some_and(|next| heard.is_corrected(end, next.span.start)) || heard.is_denied(start) {
        return Weight::None;
    }
    let is_moved = words.moved.at(chars, end).is_some()
        && (next.is_some() || words.moved.at(chars, end).is_some_and(|length| length < 3));
    // 从九月推迟到十一月: but what begins 从3月 is not over.
    let is_former = words.past.before(chars, start).is_some()
        && next.is_some()
        && (text.before(start) != Some('从') || words.moved.at(chars, end).is_some());
    if is_moved || is_former {
        return Weight::None;
    }
    // 今天见了, 3月5号开过会: said of what was done.
    let was =
        behind.clone().take(10).any(|at| is_over(heard, at) || text.has(at, "了") && !text.has(at, "了解"));
    let at_once = behind.start..behind.end.min(behind.start + 6);
    let tells = at_once.clone().any(|at| matches!(chars[at], '说' | '讲'));
    if day.is_today && (was || tells || !words.today.is_in(chars, at_once)) {
        return Weight::None;
    }
    if day.is_rolled && was && behind.clone().take(6).any(|at| is_over(heard, at)) {
        return Weight::None;
    }
    // A day that is fixed takes the place of a vaguer one before it: 下周看产线，已约2月20日. One to which it was moved takes that of any.
    let sentence = text.sentence(end).end;
    let is_replaced = days[at + 1..].iter().take_while(|later| later.span.start < sentence).any(|later| {
        let is_moved_to = later.span.start - end <= MOVED_MAX_CHARS
            && words.moved.before(chars, later.span.start).is_some();
        is_moved_to || (is_fixed(heard, later) && width(later) < width(day))
    });
    if is_replaced {
        return Weight::None;
    }
    // 我周五…, 周五我…: an errand of ours, whatever it is.
    let own = &heard.words.todos.own;
    let is_own = own.at(chars, end).is_some()
        || own
            .before(chars, start)
            .is_some_and(|length| !"给跟让叫喊约等催请".contains(text.before(start - length).unwrap_or(' ')));
    if is_own || heard.todos.iter().any(|todo| todo.clause.contains(&start)) {
        return Weight::Errand;
    }
    let idle = words.idle.is_in(chars, behind.start..behind.end.min(behind.start + 8));
    let acts = words.decisive.first_in(chars, behind.clone()).is_some()
        || words.decisive.is_in(chars, near)
        || is_fixed(heard, day);
    match (idle, acts) {
        (true, _) => Weight::None,
        (false, true) => Weight::Decisive,
        // 这个月 alone is when it was said.
        (false, false) if day.start <= heard.on && width(day) > 0 && was => Weight::None,
        (false, false) => Weight::Plain,
    }
}

/// 过 as in 开过会, and not as in 过去 or 过会.
fn is_over(heard: &Heard, at: usize) -> bool {
    let text = heard.text;
    text.has(at, "过")
        && !["过去", "过来", "过会", "过一下", "过审", "过保", "过期"].iter().any(|word| text.has(at, word))
        && !text.ends(at, "通")
}

fn width(day: &Said) -> i32 {
    day.start.until(day.end).map_or(0, |span| span.get_days())
}

/// So far behind a day its replacement stands.
const MOVED_MAX_CHARS: usize = 24;

fn is_fixed(heard: &Heard, day: &Said) -> bool {
    let chars = &heard.text.chars;
    heard.words.dates.fixed.before(chars, day.span.start).is_some()
        || heard.text.before(day.span.start) == Some('了')
            && heard.words.dates.fixed.before(chars, day.span.start - 1).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::said_on_tuesday;

    fn check(said: &str, want: Option<(&str, &str)>) {
        let note = said_on_tuesday(said);
        let days =
            note.date_start.zip(note.date_end).map(|(start, end)| (start.to_string(), end.to_string()));
        assert_eq!(days, want.map(|(start, end)| (start.to_owned(), end.to_owned())), "{said}");
    }

    #[test]
    fn the_customers_next_decisive_act() {
        for (said, day) in [
            ("下周三开标", "2026-02-25"),
            ("下周看产线，已约2月20日", "2026-02-20"),
            ("3月5号党委会，3月中旬挂网，4月底装机", "2026-03-05"),
            ("我周五把样机送过去，下周三他们开会", "2026-02-25"),
            ("我周五把样机送过去", "2026-02-20"),
            ("原定3月1号开标，推迟到3月9号", "2026-03-09"),
            ("4月10号，不是，4月20号开标", "2026-04-20"),
            ("主任下周出差，招标3月10号才开", "2026-03-10"),
            ("今天见了主任，下周三开标", "2026-02-25"),
        ] {
            check(said, Some((day, day)));
        }
        check("合同月底签，3月15号前到货", Some(("2026-02-21", "2026-02-28")));
        check("去年10月第一次谈", None);
        check("今天见了主任", None);
        check("3月以后再说", None);
    }
}
