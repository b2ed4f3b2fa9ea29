//! Leads as a table to take along (C9): those of which a condition holds, under the names by which an import reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use fieldbook_core::company::{FoundLead, UserRow};
use fieldbook_core::ids::UserId;
use rust_xlsxwriter::{Format, Workbook, XlsxError};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::caller::{Caller, Query};
use super::{ApiError, Problem};
use crate::app::{App, blocking};

/// Which leads, and as what.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// A condition in the words of the policy's formulas: `AND(未更新天数>30,行业="制造业",预算万元>100)`. Without one, every lead that the
    /// caller may read and nobody deleted. A lead of which it cannot be said, because something that it names is not known, is left out.
    #[serde(default, rename = "where")]
    holds: Option<String>,
    /// `xlsx` (without this) or `csv`.
    #[serde(default)]
    #[param(inline)]
    format: TableFormat,
}

/// What a table is written as.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TableFormat {
    /// A workbook of one sheet.
    #[default]
    Xlsx,
    /// UTF-8 CSV with a byte order mark, as Excel wants it.
    Csv,
}

/// Leads as a table.
#[utoipa::path(get, path = "/api/leads/export", tag = "leads", security(("bearer" = [])), params(Wanted),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream",
        headers(("x-fieldbook-leads" = u64, description = "How many leads the table has."),
            ("x-fieldbook-undetermined" = u64, description = "Leads of which the condition cannot be said."),
            ("x-fieldbook-unreadable" = u64, description = "Leads that are damaged."))),
        (status = 400, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem)))]
pub(super) async fn export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Response, ApiError> {
    blocking(move || {
        let now_ms = app.now_ms();
        let source = wanted.holds.as_deref().map(str::trim).filter(|source| !source.is_empty());
        let holds =
            match source {
                Some(source) => Some(app.company.condition(source, now_ms)?.map_err(|wrong| {
                    ApiError::bad_request(format!("`where`: {} ({wrong})", wrong.chinese()))
                })?),
                None => None,
            };
        // It is made in memory, and looks at every lead.
        let Ok(_alone) = app.exporting.try_lock() else {
            let detail = "another export is being made; try again in a minute";
            return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "export_busy", detail));
        };
        let users: BTreeMap<UserId, UserRow> = app.company.users()?.into_iter().collect();
        let mut rows = Vec::new();
        let zone = &app.config.timezone;
        let found =
            app.company.find_leads(caller.user(), holds.as_ref(), zone, now_ms, EXPORT_MAX, |lead| {
                rows.push(row(&lead, &users, now_ms));
            })?;
        if found.more {
            let detail = format!("more than {EXPORT_MAX} leads; say by `where` which of them");
            return Err(ApiError::bad_request(detail));
        }
        let (media, name, bytes) = match wanted.format {
            TableFormat::Xlsx => (XLSX, "leads.xlsx", workbook(&rows).map_err(unwritten)?),
            TableFormat::Csv => ("text/csv; charset=utf-8", "leads.csv", csv(&rows).map_err(unwritten)?),
        };
        let headers = [
            (CONTENT_TYPE, media.to_owned()),
            (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
            (CACHE_CONTROL, "no-store".to_owned()),
        ];
        let counts = [
            ("x-fieldbook-leads", found.found.to_string()),
            ("x-fieldbook-undetermined", found.undetermined.to_string()),
            ("x-fieldbook-unreadable", found.unreadable.to_string()),
        ];
        Ok((headers, counts, bytes).into_response())
    })
    .await
}

fn unwritten(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        format!("the table cannot be written: {error}"),
    )
}

/// The columns, by the names by which an import reads them back; 编号, 阶段, 负责人 and 未更新天数 are only told.
const HEAD: [&str; 22] = [
    "Fieldbook 编号",
    "客户名称",
    "医院",
    "科室",
    "联系人",
    "联系人手机",
    "需求关键词",
    "设备",
    "倾向品牌",
    "预算（万元）",
    "来源渠道",
    "行业",
    "省份",
    "区域代码",
    "采购时间",
    "客户状态",
    "下一步动作",
    "预计成交时间",
    "标签",
    "阶段",
    "负责人",
    "未更新天数",
];

fn row(found: &FoundLead<'_>, users: &BTreeMap<UserId, UserRow>, now_ms: i64) -> [String; HEAD.len()] {
    let fields = &found.lead.fields;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let contact = found.lead.contacts.values().find_map(|contact| contact.name.clone());
    let tags = found.lead.tags.iter().filter(|(_, tag)| tag.is_fresh(now_ms)).map(|(name, _)| name.as_str());
    let short = |text: String| text.chars().take(CELL_MAX_CHARS).collect::<String>();
    let owner = found.ruling.fields.owner.and_then(|owner| users.get(&owner)).map(|user| user.name.clone());
    [
        found.id.to_string(),
        text(&fields.customer_name),
        text(&fields.hospital),
        text(&fields.department),
        contact.unwrap_or_default(),
        text(&fields.contact_phone),
        text(&fields.need),
        text(&fields.equipment),
        text(&fields.brand),
        budget(fields.budget_min_fen, fields.budget_max_fen),
        found.ruling.fields.first_source.clone().or(fields.source.clone()).unwrap_or_default(),
        text(&fields.industry),
        text(&fields.province),
        text(&fields.region_code),
        text(&fields.purchase_timing),
        text(&fields.customer_state),
        text(&fields.next_action),
        text(&fields.expected_close),
        tags.collect::<Vec<_>>().join("、"),
        found.stage.clone().unwrap_or_default(),
        owner.unwrap_or_default(),
        found.idle_days.map(|days| days.to_string()).unwrap_or_default(),
    ]
    .map(short)
}

/// A budget in 万元 as an import reads it: `380`, `50-100`, `≥100`, `≤80`.
fn budget(min_fen: Option<i64>, max_fen: Option<i64>) -> String {
    let wan = |fen: i64| {
        let (whole, rest) = (fen / FEN_PER_WAN, fen % FEN_PER_WAN);
        if rest == 0 {
            whole.to_string()
        } else {
            format!("{whole}.{rest:06}").trim_end_matches('0').to_owned()
        }
    };
    match (min_fen, max_fen) {
        (Some(min), Some(max)) if min == max => wan(min),
        (Some(min), Some(max)) => format!("{}-{}", wan(min), wan(max)),
        (Some(min), None) => format!("≥{}", wan(min)),
        (None, Some(max)) => format!("≤{}", wan(max)),
        (None, None) => String::new(),
    }
}

fn workbook(rows: &[[String; HEAD.len()]]) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.set_name("线索")?.set_freeze_panes(1, 0)?;
    let bold = Format::new().set_bold();
    for (column, name) in (0..).zip(HEAD) {
        sheet.write_with_format(0, column, name, &bold)?;
    }
    for (at, row) in (1..).zip(rows) {
        for (column, cell) in (0..).zip(row) {
            match cell.parse::<u32>() {
                // Days and plain budgets are numbers; a telephone number is none.
                Ok(number) if matches!(HEAD[usize::from(column)], "预算（万元）" | "未更新天数") =>
                {
                    sheet.write(at, column, number)?;
                }
                _ if cell.is_empty() => {}
                _ => {
                    sheet.write_string(at, column, cell)?;
                }
            }
        }
    }
    let last = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    sheet.autofilter(0, 0, last, HEAD.len() as u16 - 1)?;
    book.save_to_buffer()
}

fn csv(rows: &[[String; HEAD.len()]]) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
    out.write_record(HEAD)?;
    for row in rows {
        out.write_record(row.iter().map(|cell| plain(cell)))?;
    }
    out.into_inner().map_err(|error| error.into_error().into())
}

/// A cell that a program for tables takes for a text: what customers write can begin like a formula of theirs.
fn plain(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    if is_formula { format!("'{cell}") } else { cell.to_owned() }
}

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
/// Characters of a cell: Excel takes 32,767, and counts some as two.
const CELL_MAX_CHARS: usize = 16_000;
/// Leads of one table: what is larger nobody reads, and it is made in memory.
const EXPORT_MAX: usize = 50_000;
/// Fen of a 万元.
const FEN_PER_WAN: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_written_as_an_import_reads_it() {
        for (min, max, written) in [
            (Some(380_000_000), Some(380_000_000), "380"),
            (Some(50_000_000), Some(100_000_000), "50-100"),
            (Some(15_800_000), None, "≥15.8"),
            (None, Some(80_000_000), "≤80"),
            (None, None, ""),
        ] {
            assert_eq!(budget(min, max), written);
        }
    }

    #[test]
    fn what_a_customer_writes_is_no_formula() {
        for (cell, written) in [
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("+86 571", "'+86 571"),
            ("-5", "-5"),
            ("联影", "联影"),
        ] {
            assert_eq!(plain(cell), written);
        }
    }
}
