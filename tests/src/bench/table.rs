//! What a row found, and the table of all rows. Refuses to round a miss into a hit: the verdict is taken on the figure before it is
//! printed.

use std::fmt::Write as _;

use crate::Fail;

/// Whether a bar was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As good as the bar, or better.
    Met,
    /// Not.
    Missed,
    /// There is no bar for it; it explains another figure.
    Beside,
    /// There is a bar, and this run did not look.
    NotMeasured,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    what: String,
    figure: String,
    bar: String,
    verdict: Verdict,
    yardstick: String,
    notes: Vec<String>,
}

impl Row {
    /// A figure that has to be at most `bar`.
    pub fn at_most(what: &str, figure: f64, unit: &str, bar: f64) -> Self {
        let verdict = if figure <= bar { Verdict::Met } else { Verdict::Missed };
        Self::new(what, with_unit(figure, unit), format!("≤ {}", with_unit(bar, unit)), verdict)
    }

    /// A figure that has to be at least `bar`.
    pub fn at_least(what: &str, figure: f64, unit: &str, bar: f64) -> Self {
        let verdict = if figure >= bar { Verdict::Met } else { Verdict::Missed };
        Self::new(what, with_unit(figure, unit), format!("≥ {}", with_unit(bar, unit)), verdict)
    }

    /// A figure without a bar.
    pub fn beside(what: &str, figure: f64, unit: &str) -> Self {
        Self::new(what, with_unit(figure, unit), String::new(), Verdict::Beside)
    }

    /// A bar that this run did not look at, and why not.
    pub fn not_measured(what: &str, bar: f64, why: &str) -> Self {
        Self::new(what, "not measured".to_owned(), format!("≤ {}", number(bar)), Verdict::NotMeasured)
            .note(why)
    }

    fn new(what: &str, figure: String, bar: String, verdict: Verdict) -> Self {
        Self { what: what.to_owned(), figure, bar, verdict, yardstick: String::new(), notes: Vec::new() }
    }

    /// What this machine can do, measured in the same run.
    #[must_use]
    pub fn yardstick(mut self, words: impl Into<String>) -> Self {
        self.yardstick = words.into();
        self
    }

    /// Something to know when reading the figure.
    #[must_use]
    pub fn note(mut self, words: impl Into<String>) -> Self {
        self.notes.push(words.into());
        self
    }

    /// The row for somebody who watches.
    pub fn in_words(&self) -> String {
        let mut line = format!("  {}: {}", self.what, self.figure);
        if self.verdict != Verdict::Beside {
            let _ = write!(line, " (bar {}, {})", self.bar, word(self.verdict));
        }
        for note in self.notes.iter().chain(Some(&self.yardstick).filter(|words| !words.is_empty())) {
            let _ = write!(line, "\n      {note}");
        }
        line
    }
}

/// All rows as a Markdown table, the notes below it.
pub fn markdown(rows: &[Row]) -> String {
    let mut out = String::from(
        "| What | Figure | Bar | Verdict | This machine's yardstick, same run |\n|---|---|---|---|---|\n",
    );
    let mut notes = String::new();
    let mut count = 0;
    for row in rows {
        let mut marks = String::new();
        for note in &row.notes {
            count += 1;
            let _ = write!(marks, " [{count}]");
            let _ = writeln!(notes, "[{count}] {note}  ");
        }
        let _ = writeln!(
            out,
            "| {}{marks} | {} | {} | {} | {} |",
            row.what,
            row.figure,
            row.bar,
            word(row.verdict),
            row.yardstick
        );
    }
    format!("{out}\n{notes}")
}

/// A page with another table between its marks.
///
/// # Errors
/// When the page has no such block.
pub fn into_page(page: &str, table: &str) -> Result<String, Fail> {
    let (before, rest) = page.split_once(BEGIN).ok_or_else(|| format!("the page has no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("the page has no line {END}"))?;
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", table.trim_end()))
}

/// The middle of several measurements.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// The largest of several measurements.
pub fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}

/// Smallest, middle and largest, for a note.
pub fn spread(values: &[f64]) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{} to {}, median {}", number(low), number(high), number(median(values.to_vec())))
}

/// A number with three significant digits, or whole with thin groups.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        return "no figure".to_owned();
    }
    if value.abs() < 10.0 && value.fract() != 0.0 {
        return format!("{value:.2}");
    }
    if value.abs() < 100.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let whole = format!("{:.0}", value.abs());
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if value < 0.0 { format!("-{out}") } else { out }
}

fn with_unit(figure: f64, unit: &str) -> String {
    format!("{} {unit}", number(figure)).trim_end().to_owned()
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::Missed => "MISSED",
        Verdict::Beside => "",
        Verdict::NotMeasured => "not measured",
    }
}

const BEGIN: &str = "<!-- bench: begin, written by the command -->";
const END: &str = "<!-- bench: end -->";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_at_the_bar_is_met_and_one_beyond_it_is_not() {
        for (row, met) in [
            (Row::at_most("x", 16.0, "KB", 16.0), true),
            (Row::at_most("x", 16.001, "KB", 16.0), false),
            (Row::at_least("x", 5_000.0, "/s", 5_000.0), true),
            (Row::at_least("x", 4_999.9, "/s", 5_000.0), false),
            // What was not measured is missed.
            (Row::at_least("x", f64::NAN, "/s", 1.0), false),
            (Row::at_most("x", f64::NAN, "ms", 1.0), false),
        ] {
            assert_eq!(row.verdict == Verdict::Met, met, "{row:?}");
        }
    }

    #[test]
    fn what_was_not_looked_at_is_said_and_the_documentation_takes_the_table() {
        let table = markdown(&[Row::not_measured("x", 0.0, "no file"), Row::at_most("y", 1.0, "", 1.0)]);
        assert!(table.contains("| x [1] | not measured | ≤ 0 | not measured |  |"), "{table}");
        assert!(table.contains("| y | 1 | ≤ 1 | met |  |") && table.contains("[1] no file"), "{table}");
        let page = include_str!("../../../docs/performance.md");
        let (filled, again) =
            (into_page(page, "first").unwrap(), |page: &str| into_page(page, &table).unwrap());
        assert!(filled.contains("first") && again(&filled) == again(page));
        assert!(into_page("no marks", "x").is_err());
    }

    #[test]
    fn numbers_and_medians_read_well() {
        assert_eq!(number(12_345.6), "12,346");
        assert_eq!(number(0.125), "0.12");
        assert_eq!(number(99.95), "100.0");
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
