//! The sheet of paper (C60): tomorrow's three most important blocks, each with what is needed and a line to write on, and the 3×3 around
//! them. A page of HTML that an app's web view prints on A4; it needs nothing from any network.

use askama::Template;
use fieldbook_core::model::{Cell, Importance, Urgency};

use super::Fieldbook;
use super::calendar::today;
use crate::error::Error;
use crate::records::CalendarItem;
use crate::words::{Language, sentence};

impl Fieldbook {
    /// A page of HTML for one sheet of A4: the 3×3 of today with tomorrow's three most important open blocks (C60).
    ///
    /// # Errors
    /// [`Error::Locked`].
    pub fn sheet(&self) -> Result<String, Error> {
        let (_, day) = self.shared.read(|replica, now| today(replica, now))?;
        let items = self.board()?;
        let language = self.shared.language;
        let say = |code: &str| sentence(code, language);
        let page = Sheet {
            lang: if language == Language::Chinese { "zh-CN" } else { "en" },
            title: say("sheet_title"),
            subtitle: say("sheet_made").replace("{}", &day.to_string()),
            top: say("sheet_top"),
            outcome: say("sheet_outcome"),
            nothing: say("sheet_nothing"),
            board: say("sheet_board"),
            blocks: tomorrow(&items).into_iter().map(|item| block(item, language)).collect(),
            columns: URGENCIES.map(|(_, code)| say(code)),
            rows: IMPORTANCES.map(|(importance, code)| {
                let cell = |urgency| Cell { importance, urgency };
                (say(code), URGENCIES.map(|(urgency, _)| lines_of(&items, cell(urgency))))
            }),
        };
        page.render().map_err(|error| Error::System(error.to_string()))
    }
}

/// Everything is escaped by the template.
#[derive(Template)]
#[template(path = "sheet.html")]
struct Sheet {
    lang: &'static str,
    title: &'static str,
    subtitle: String,
    top: &'static str,
    outcome: &'static str,
    nothing: &'static str,
    board: &'static str,
    blocks: Vec<Block>,
    columns: [&'static str; 3],
    rows: [(&'static str, [Vec<String>; 3]); 3],
}

struct Block {
    heading: String,
    lines: Vec<(&'static str, String)>,
}

/// Tomorrow's blocks that matter most, the earlier first among equals. What is done has no cell.
fn tomorrow(items: &[CalendarItem]) -> Vec<&CalendarItem> {
    let is_tomorrow = |item: &&CalendarItem| item.cell.is_some_and(|cell| cell.urgency == Urgency::Tomorrow);
    let mut items: Vec<_> = items.iter().filter(is_tomorrow).collect();
    // Stable: they are in the order of the day.
    items.sort_by_key(|item| item.cell.map(|cell| cell.importance));
    items.truncate(TOP);
    items
}

fn block(item: &CalendarItem, language: Language) -> Block {
    let entry = &item.entry;
    let line = |code: &str, text: &Option<String>| {
        let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty())?;
        Some((sentence(code, language), text.to_owned()))
    };
    let lines = [
        line("sheet_purpose", &entry.purpose),
        line("sheet_materials", &entry.materials),
        line("sheet_expected", &entry.expected_result),
    ];
    Block {
        heading: [hours(item), item.customer_name.clone()].join(" ").trim().to_owned(),
        lines: lines.into_iter().flatten().collect(),
    }
}

/// What stands in a cell.
fn lines_of(items: &[CalendarItem], cell: Cell) -> Vec<String> {
    let here = items.iter().filter(|item| item.cell == Some(cell));
    let line = |item: &CalendarItem| {
        let purpose = item.entry.purpose.clone().unwrap_or_default();
        let parts = [hours(item), item.customer_name.clone(), purpose];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    };
    here.map(line).collect()
}

/// From when until when, as far as it is known.
fn hours(item: &CalendarItem) -> String {
    let said = [&item.entry.start, &item.entry.end].map(|text| text.as_deref().unwrap_or_default().trim());
    match said {
        ["", ""] => String::new(),
        [start, ""] => start.to_owned(),
        [start, end] => format!("{start}–{end}"),
    }
}

/// Blocks that stand on the sheet whole.
const TOP: usize = 3;
const URGENCIES: [(Urgency, &str); 3] = [
    (Urgency::Today, "sheet_today"),
    (Urgency::Tomorrow, "sheet_tomorrow"),
    (Urgency::ThisWeek, "sheet_this_week"),
];
const IMPORTANCES: [(Importance, &str); 3] =
    [(Importance::A, "sheet_a"), (Importance::Nurturing, "sheet_nurturing"), (Importance::B, "sheet_b")];
