//! Which row is a lead, what it says, and which id it has. Pure: a table in, leads and rejected rows out.

use std::collections::{BTreeMap, BTreeSet};

use fieldbook_core::ids::{DocId, DocKind};
use sha2::{Digest, Sha256};

use super::columns::{Field, match_columns};
use super::table::{ImportError, Table, TableRow};
use super::{CELL_MAX_BYTES, cells};

/// A row that became a lead. Names as in the lead document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportedLead {
    /// Where it stood in the file.
    pub line: u64,
    /// The document that this row becomes, the same at every import of it.
    pub lead: DocId,
    /// The other system's id.
    pub external_id: Option<String>,
    /// 客户名称; the hospital when no column names a customer.
    pub customer_name: Option<String>,
    /// 联系人手机, digits.
    pub contact_phone: Option<String>,
    /// 采购, 维保 or 升级.
    pub need: Option<String>,
    /// 预算下限.
    pub budget_min_fen: Option<i64>,
    /// 预算上限.
    pub budget_max_fen: Option<i64>,
    /// Every other known field that has a value, as text.
    pub fields: BTreeMap<Field, String>,
    /// Columns that no field stands for, and cells that their field could not hold, under the column's name, in the order of the table.
    pub extra: Vec<(String, String)>,
}

impl ImportedLead {
    /// The mandatory fields of C3 that are missing: to be completed before the next visit (C33).
    pub fn missing(&self) -> Vec<&'static str> {
        let all = [
            ("customer_name", self.customer_name.is_none()),
            ("contact_phone", self.contact_phone.is_none()),
            ("need", self.need.is_none()),
        ];
        all.into_iter().filter(|(_, missing)| *missing).map(|(name, _)| name).collect()
    }

    /// Whether anything says who this is. A web lead has an external id and nothing else.
    fn has_identity(&self) -> bool {
        self.external_id.is_some()
            || self.customer_name.is_some()
            || self.contact_phone.is_some()
            || self.fields.contains_key(&Field::Email)
    }
}

/// A row that did not become a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRow {
    /// Where it stands in the file.
    pub line: u64,
    /// Why, for whoever repairs it.
    pub reason: String,
    /// The row as it was.
    pub cells: Vec<String>,
}

/// What an import will do. Every row of the table is in exactly one of the two lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What each column was understood as, in the order of the table.
    pub columns: Vec<(String, Option<Field>)>,
    /// Rows that become leads.
    pub leads: Vec<ImportedLead>,
    /// Rows that do not.
    pub rejected: Vec<RejectedRow>,
}

impl Plan {
    /// Moves the leads of these lines, which nothing can hold, to the rejected rows.
    pub fn reject(&mut self, table: &Table, refused: Vec<(u64, String)>) {
        let lines: BTreeSet<u64> = refused.iter().map(|(line, _)| *line).collect();
        self.leads.retain(|lead| !lines.contains(&lead.line));
        let cells: BTreeMap<u64, &Vec<String>> =
            table.rows.iter().map(|row| (row.line, &row.cells)).collect();
        let rows = refused.into_iter().map(|(line, reason)| RejectedRow {
            line,
            reason,
            cells: cells.get(&line).map(|cells| (*cells).clone()).unwrap_or_default(),
        });
        self.rejected.extend(rows);
        self.rejected.sort_by_key(|row| row.line);
    }

    /// Leads that lack a mandatory field.
    pub fn incomplete(&self) -> usize {
        self.leads.iter().filter(|lead| !lead.missing().is_empty()).count()
    }
}

/// Decides about every row. `namespace` keeps apart the ids of several systems; without one the table's own columns do.
///
/// # Errors
/// [`ImportError::NoKnownColumn`] when no column could ever identify a customer.
pub fn plan_import(table: &Table, namespace: Option<&str>) -> Result<Plan, ImportError> {
    let fields = match_columns(&table.header);
    let identifying = [Field::ExternalId, Field::CustomerName, Field::Hospital, Field::Phone, Field::Email];
    if !fields.iter().flatten().any(|field| identifying.contains(field)) {
        return Err(ImportError::NoKnownColumn { header: table.header.join(", ") });
    }
    let namespace = namespace.map_or_else(|| table.header.join("\u{1f}"), str::to_owned);
    let mut ids = Ids { namespace, external: BTreeMap::new(), copies: BTreeMap::new() };
    let mut plan = Plan { columns: Vec::new(), leads: Vec::new(), rejected: Vec::new() };
    for row in &table.rows {
        match read_row(table, &fields, row).and_then(|lead| ids.name(lead, row)) {
            Ok(lead) => plan.leads.push(lead),
            Err(reason) => {
                plan.rejected.push(RejectedRow { line: row.line, reason, cells: row.cells.clone() })
            }
        }
    }
    plan.columns = table.header.iter().cloned().zip(fields).collect();
    Ok(plan)
}

fn read_row(table: &Table, fields: &[Option<Field>], row: &TableRow) -> Result<ImportedLead, String> {
    if table.unclosed.contains(&row.line) {
        let lines = row.cells.iter().map(|cell| cell.lines().count().saturating_sub(1)).sum::<usize>() + 1;
        return Err(format!(
            "a quote of this row is not closed where its cell ends, so that it holds {lines} lines of the file, other rows among them; close it in \
             the file and import that again"
        ));
    }
    if let Some((i, cell)) = row.cells.iter().enumerate().find(|(_, cell)| cell.len() > CELL_MAX_BYTES) {
        return Err(format!(
            "column {:?} holds {} bytes; is a quote not closed?",
            table.header[i],
            cell.len()
        ));
    }
    let mut lead = ImportedLead { line: row.line, ..ImportedLead::default() };
    for (i, cell) in row.cells.iter().enumerate().filter(|(_, cell)| !cells::is_empty(cell)) {
        let column = &table.header[i];
        let understood = match fields[i] {
            Some(Field::ExternalId) => put(&mut lead.external_id, Some(cell.clone())),
            Some(Field::CustomerName) => put(&mut lead.customer_name, Some(cell.clone())),
            // The number is normalised; what else the cell says (a second number) stays beside it.
            Some(Field::Phone) => {
                put(&mut lead.contact_phone, cells::phone(cell))
                    && !cell.contains(['/', ',', '，', ';', '；', '、'])
            }
            // The keyword is one of three; the customer's own words stay beside it.
            Some(Field::Need) => {
                put(&mut lead.need, cells::need(cell).map(str::to_owned)) && lead.need.as_ref() == Some(cell)
            }
            Some(Field::Budget) => match cells::budget(cell, cells::budget_unit_fen(column)) {
                Some((low, high)) => {
                    (lead.budget_min_fen, lead.budget_max_fen) = (low, high);
                    true
                }
                None => false,
            },
            Some(field) => {
                lead.fields.insert(field, cell.clone());
                true
            }
            None => false,
        };
        if !understood {
            lead.extra.push((column.clone(), cell.clone()));
        }
    }
    if lead.customer_name.is_none() {
        lead.customer_name = lead.fields.get(&Field::Hospital).cloned();
    }
    if lead.has_identity() {
        Ok(lead)
    } else {
        Err("nothing says who the customer is: no name, no telephone, no e-mail and no id".into())
    }
}

fn put(field: &mut Option<String>, value: Option<String>) -> bool {
    *field = value;
    field.is_some()
}

/// Gives each lead its document id.
struct Ids {
    namespace: String,
    /// External id → line of its first row.
    external: BTreeMap<String, u64>,
    /// Hash of a row's content → how often it came.
    copies: BTreeMap<[u8; 32], u32>,
}

impl Ids {
    fn name(&mut self, mut lead: ImportedLead, row: &TableRow) -> Result<ImportedLead, String> {
        let key = if let Some(id) = &lead.external_id {
            if let Some(first) = self.external.insert(id.clone(), lead.line) {
                self.external.insert(id.clone(), first);
                return Err(format!("the id {id:?} stands in line {first} already"));
            }
            format!("id/{id}")
        } else {
            let mut hash = Sha256::new();
            for cell in &row.cells {
                hash.update((cell.len() as u64).to_be_bytes());
                hash.update(cell);
            }
            let content: [u8; 32] = hash.finalize().into();
            let copy = self.copies.entry(content).or_default();
            *copy += 1;
            format!("row/{}/{copy}", hex::encode(content))
        };
        lead.lead = DocId::derived(DocKind::Lead, b"import", &format!("{}\u{1e}{key}", self.namespace));
        Ok(lead)
    }
}
