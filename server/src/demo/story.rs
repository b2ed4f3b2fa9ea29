//! What the demonstration's people do, and whether everybody ends up with the same.

use std::path::Path;
use std::time::Duration;

use fieldbook_core::document::NoClocks;
use fieldbook_core::ids::DocId;
use fieldbook_core::model::{LeadFields, LeadModel, NewLead, Visit};
use fieldbook_device::{Config, Fieldbook, Happening, LeadQuery, LeadRow, SyncReport, TimelineItem};

use super::{Cast, Colleague, Failure, say};
use crate::app::App;
use crate::auth::Entropy;

/// Plays the story. Whether everybody converged.
pub(super) fn play(app: &App, cast: &Cast, folder: &Path) -> Result<bool, Failure> {
    let li = enrol(app, &cast.li, folder)?;
    let wang = enrol(app, &cast.wang, folder)?;
    let chen = enrol(app, &cast.chen, folder)?;
    for (who, phone) in [(&cast.li, &li), (&cast.wang, &wang), (&cast.chen, &chen)] {
        let report = phone.sync_now(LIMIT, None)?;
        say(&format!("{}'s phone: first sync of {} documents, {}.", who.name, report.down, cost(&report)))?;
    }
    let shared = pick(&li, 0)?;
    let moved = pick(&wang, 0)?;

    say("\n-- Two reps walk into basements without signal; the manager stays in the office. --")?;
    li.log_visit(
        shared.id,
        &Visit {
            customer_state: "方案沟通".into(),
            next_action: "确认CT机安装场地尺寸".into(),
            expected_close: "2026-12-20".into(),
            note: "张院长说3月启动招标，预算380万，倾向联影".into(),
            ..Visit::default()
        },
    )?;
    li.edit_lead(shared.id, &LeadFields { brand: Some("联影".into()), ..LeadFields::default() }, &[])?;
    li.tick(shared.id, "decision_maker", true)?;
    let fresh = NewLead {
        fields: LeadFields {
            customer_name: Some("上海示范医院影像科".into()),
            contact_phone: Some("000-0000-0000".into()),
            need: Some("采购".into()),
            ..LeadFields::default()
        },
        ..NewLead::default()
    };
    let created = li.create_lead(&fresh)?;
    let found = li.leads(&LeadQuery { text: "shsf".into(), ..LeadQuery::default() })?;
    say(&format!(
        "{} logs a visit at {}, ticks the table, notes the brand 联影, and creates a lead that a search for \"shsf\" finds ({} hit).",
        cast.li.name,
        name(&shared),
        found.len()
    ))?;
    wang.log_visit(
        moved.id,
        &Visit { customer_state: "报价".into(), note: "客户要求分期".into(), ..Visit::default() },
    )?;
    say(&format!("{} logs a visit at {}.", cast.wang.name, name(&moved)))?;
    say(&format!(
        "Not yet on the server: {} and {} changes.",
        li.status()?.unanswered,
        wang.status()?.unanswered
    ))?;

    chen.edit_lead(shared.id, &LeadFields { brand: Some("西门子".into()), ..LeadFields::default() }, &[])?;
    chen.tick(shared.id, "decision_maker", false)?;
    chen.sync_now(LIMIT, None)?;
    let now_ms = app.now_ms();
    let assigned = app.company.assign(moved.id, cast.li.user, cast.chen.user, "王销售离岗", now_ms)?;
    app.announce(assigned.touched);
    say(&format!(
        "Meanwhile {} notes the brand 西门子 for {}, and the office moves {} to {}.",
        cast.chen.name,
        name(&shared),
        name(&moved),
        cast.li.name
    ))?;

    say("\n-- The signal is back. --")?;
    for (who, phone) in [(&cast.li, &li), (&cast.wang, &wang), (&cast.chen, &chen), (&cast.li, &li)] {
        let report = phone.sync_now(LIMIT, None)?;
        say(&format!(
            "{}'s phone: {} changes up, {} documents down, {} set aside, {} wiped, {}.",
            who.name,
            report.up,
            report.down,
            report.set_aside,
            report.wiped,
            cost(&report)
        ))?;
    }
    for conflict in li.conflicts(shared.id)? {
        let values: Vec<String> = conflict
            .values
            .iter()
            .map(|v| format!("{} ({}, {})", v.value, v.user_name, v.device_name))
            .collect();
        say(&format!("Conflict at {}, field {}: {}.", name(&shared), conflict.label, values.join(" | ")))?;
    }
    let kept = li.lead(moved.id)?;
    let is_visit = |item: &&TimelineItem| matches!(item.what, Happening::Visit { .. });
    let visits: Vec<String> =
        kept.timeline.iter().filter(is_visit).map(|item| item.user_name.clone()).collect();
    say(&format!(
        "{} now belongs to {}; the visit that {} logged without knowing of the move is there (visits by: {}).",
        name(&moved),
        kept.row.owner_name,
        cast.wang.name,
        visits.join(", ")
    ))?;
    let left = wang.lead(moved.id).is_err();
    say(&format!(
        "{}'s phone holds {} of it.",
        cast.wang.name,
        if left { "no byte" } else { "still something" }
    ))?;

    let brand = li.conflicts(shared.id)?.into_iter().find(|conflict| conflict.path.field == "brand");
    if let Some(conflict) = brand
        && let Some(choice) = conflict.values.iter().find(|v| v.user == cast.li.user)
    {
        li.resolve(conflict.doc, &conflict.path, &choice.value)?;
        say(&format!("{} settles the brand: {}.", cast.li.name, choice.value))?;
    }
    li.sync_now(LIMIT, None)?;
    chen.sync_now(LIMIT, None)?;

    let mut converged = left;
    for lead in [shared.id, moved.id, created] {
        converged &= same(app, lead, &[&li, &chen])?;
    }
    for phone in [&li, &wang, &chen] {
        converged &= phone.status()?.unanswered == 0;
    }
    say(if converged { "\nEverybody holds the same: converged." } else { "\nNOT CONVERGED." })?;
    for phone in [&li, &wang, &chen] {
        phone.shutdown();
    }
    Ok(converged)
}

fn enrol(app: &App, who: &Colleague, folder: &Path) -> Result<Fieldbook, Failure> {
    let mut entropy = Entropy::from_system();
    let code = app.auth.issue_code(who.user, None, app.now_ms(), &mut entropy)?;
    let config = Config::new(folder.join(format!("{}.store", who.user)), entropy.draw());
    let phone = Fieldbook::open(config)?;
    let invitation = format!("{}/enrol#{}", app.config.public_url(), code.text);
    phone.enrol(&invitation, &format!("{}的手机", who.name), LIMIT, None)?;
    Ok(phone)
}

/// Whether these phones and the server read the same lead.
fn same(app: &App, lead: DocId, phones: &[&Fieldbook]) -> Result<bool, Failure> {
    let server = LeadModel::read(&app.company.load(lead)?, &NoClocks);
    for phone in phones {
        let page = phone.lead(lead)?;
        if page.fields != server.fields
            || page.notes != server.notes
            || page.timeline.len() != server.events.len()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn pick(phone: &Fieldbook, offset: u32) -> Result<LeadRow, Failure> {
    let mut rows = phone.leads(&LeadQuery { offset, limit: 1, ..LeadQuery::default() })?;
    rows.pop().ok_or_else(|| "the phone holds no lead".into())
}

fn name(lead: &LeadRow) -> &str {
    if lead.hospital.is_empty() { &lead.customer_name } else { &lead.hospital }
}

fn cost(report: &SyncReport) -> String {
    format!(
        "{} bytes up, {} down, {} round trips, {} ms",
        report.bytes_up, report.bytes_down, report.round_trips, report.millis
    )
}

/// Longer than any step of the demonstration takes.
const LIMIT: Duration = Duration::from_secs(60);
