//! What came of the work without signal: what merged, what conflicted, what was kept although the lead had moved. Each part tells it, and
//! holds it against what the story wrote.

use fieldbook_device::ConflictItem;

use super::handset::name;
use super::story::{BRANDS, Leads, MOVED_NOTES, NOTE_BEFORE, NOTES, Phones, TICKED_APART, Visits};
use super::verdict::Verdict;
use super::{Failure, say};

/// What needed nobody's decision: notes as text, visits as a log, ticks of different rows.
pub(super) fn merged(
    phones: &Phones,
    leads: &Leads,
    visits: &Visits,
    verdict: &mut Verdict,
) -> Result<(), Failure> {
    say("\n-- What merged --")?;
    let lead = name(&leads.shared);
    for phone in [&phones.li, &phones.chen] {
        let page = phone.book.lead(leads.shared.id)?;
        let whose = &phone.who.name;
        for text in [NOTE_BEFORE, NOTES[0], NOTES[1]] {
            verdict.expect(
                page.notes.contains(text),
                format!("the notes on {whose}'s phone were to hold \"{text}\""),
            );
        }
        for visit in visits.shared {
            let there = page.timeline.iter().any(|item| item.id == visit);
            verdict.expect(there, format!("visit {visit} was to be on {whose}'s phone"));
        }
        for row in ["decision_maker", "next_meeting"] {
            let ticked = page.table.iter().any(|known| known.id == row && known.confirmed && !known.conflict);
            verdict.expect(ticked, format!("{row} was to be ticked on {whose}'s phone"));
        }
    }
    let page = phones.li.book.lead(leads.shared.id)?;
    say(&format!("Notes of {lead}: {}", page.notes))?;
    let by: Vec<_> = page
        .timeline
        .iter()
        .filter(|item| visits.shared.contains(&item.id))
        .map(|item| item.user_name.as_str())
        .collect();
    say(&format!(
        "Visits at {lead}: both ({}). Ticks of different rows: both, index {}.",
        by.join(", "),
        page.row.index
    ))?;
    Ok(())
}

/// What both wrote differently: every value, by whom, on which device.
pub(super) fn conflicts(
    phones: &Phones,
    leads: &Leads,
    verdict: &mut Verdict,
) -> Result<Vec<ConflictItem>, Failure> {
    say("\n-- What conflicted --")?;
    let Phones { li, chen, .. } = phones;
    let open = li.book.conflicts(leads.shared.id)?;
    for conflict in &open {
        let values: Vec<_> = conflict
            .values
            .iter()
            .map(|v| format!("{} ({}, {})", v.value, v.user_name, v.device_name))
            .collect();
        say(&format!("{}, {}: {}", name(&leads.shared), conflict.label, values.join(" | ")))?;
    }
    for phone in [li, chen] {
        let seen = phone.book.conflicts(leads.shared.id)?;
        for (field, key, values) in
            [("brand", None, BRANDS), ("ticks", Some(TICKED_APART), ["true", "false"])]
        {
            let both = seen.iter().any(|c| {
                c.path.field == field
                    && c.path.key.as_deref() == key
                    && [li, chen].iter().zip(values).all(|(who, value)| {
                        c.values.iter().any(|v| v.user == who.who.user && v.value.to_string() == value)
                    })
            });
            verdict.expect(both, format!("{}'s phone was to show both values of {field}", phone.who.name));
        }
    }
    Ok(open)
}

/// What was done to the lead that had moved meanwhile.
pub(super) fn kept(
    phones: &Phones,
    leads: &Leads,
    visits: &Visits,
    verdict: &mut Verdict,
) -> Result<(), Failure> {
    say("\n-- What was kept although the lead had moved --")?;
    let page = phones.wang.book.lead(leads.moved.id)?;
    let lead = name(&leads.moved);
    let mut told = Vec::new();
    for (visit, by) in visits.moved.into_iter().zip([&phones.li, &phones.chen]) {
        let found = page.timeline.iter().find(|item| item.id == visit && item.user == by.who.user);
        verdict.expect(
            found.is_some(),
            format!("visit {visit} of {} was to be on {}'s phone", by.who.name, phones.wang.who.name),
        );
        told.extend(found.map(|item| item.user_name.clone()));
    }
    for text in MOVED_NOTES {
        verdict.expect(page.notes.contains(text), format!("the notes of {lead} were to hold \"{text}\""));
    }
    verdict.expect(page.row.mine, format!("{lead} was to be {}'s", phones.wang.who.name));
    say(&format!(
        "{lead} is {}'s now, with the visits that {} logged before they knew. Notes: {}",
        page.row.owner_name,
        told.join(" and "),
        page.notes
    ))?;
    Ok(())
}

/// One choice settles a conflict everywhere; then rounds until nobody has anything to say.
pub(super) fn settle(
    phones: &Phones,
    leads: &Leads,
    open: &[ConflictItem],
    verdict: &mut Verdict,
) -> Result<(), Failure> {
    let Phones { li, chen, .. } = phones;
    say("")?;
    if let Some(brand) = open.iter().find(|conflict| conflict.path.field == "brand")
        && let Some(choice) = brand.values.iter().find(|v| v.user == li.who.user)
    {
        li.book.resolve(brand.doc, &brand.path, &choice.value)?;
        say(&format!("{} settles the brand: {}.", li.who.name, choice.value))?;
    }
    for _ in 0..2 {
        for phone in phones.all() {
            phone.sync()?;
        }
    }
    let page = chen.book.lead(leads.shared.id)?;
    let settled = page.fields.brand.as_deref() == Some(BRANDS[0])
        && page.conflicts.iter().all(|conflict| conflict.path.field != "brand");
    verdict.expect(settled, format!("the choice was to settle the brand on {}'s phone", chen.who.name));
    Ok(())
}
