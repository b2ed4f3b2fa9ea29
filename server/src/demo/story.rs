//! What the demonstration's people do: two of them lose the signal and work on the same two leads, the office gives one of the two to
//! the third meanwhile, then they come back. Tells it as it goes; what must be true in the end goes to the [`Verdict`].

use fieldbook_core::ids::{DocId, EntryId};
use fieldbook_core::model::{LeadFields, NewLead, Visit};
use fieldbook_device::{LeadQuery, LeadRow};

use super::handset::{Handset, name};
use super::verdict::Verdict;
use super::{Cast, Failure, aftermath, say};
use crate::app::App;

/// The phones, in the order in which the story names them.
pub(super) struct Phones {
    /// The rep who owns both leads at first.
    pub li: Handset,
    /// The rep who gets one of them.
    pub wang: Handset,
    /// The manager of both.
    pub chen: Handset,
}

/// The two leads that it is about.
pub(super) struct Leads {
    /// Stays with 李销售.
    pub shared: LeadRow,
    /// Goes to 王销售.
    pub moved: LeadRow,
}

/// What was logged without signal: one visit a person and lead.
pub(super) struct Visits {
    /// At the lead that stays, by 李销售 and by 陈主管.
    pub shared: [EntryId; 2],
    /// At the lead that moves, by the same.
    pub moved: [EntryId; 2],
}

/// Plays the story.
///
/// # Errors
/// Whatever kept the parts from working together.
pub(super) fn play(app: &App, cast: &Cast, phones: &Phones, verdict: &mut Verdict) -> Result<Leads, Failure> {
    for phone in phones.all() {
        phone.sync_aloud()?;
    }
    let leads = opening(phones)?;
    let visits = basement(phones, &leads, verdict)?;
    office(app, cast, phones, &leads)?;
    return_of_the_signal(phones, &leads, verdict)?;
    aftermath::merged(phones, &leads, &visits, verdict)?;
    let open = aftermath::conflicts(phones, &leads, verdict)?;
    aftermath::kept(phones, &leads, &visits, verdict)?;
    aftermath::settle(phones, &leads, &open, verdict)?;
    Ok(leads)
}

impl Phones {
    /// All three.
    pub fn all(&self) -> [&Handset; 3] {
        [&self.li, &self.wang, &self.chen]
    }
}

/// With signal: the two leads, and a first note in one of them.
fn opening(phones: &Phones) -> Result<Leads, Failure> {
    let [shared, moved] =
        <[LeadRow; 2]>::try_from(phones.li.own_leads(2)?).map_err(|_| "two leads are needed")?;
    phones.li.book.edit_notes(shared.id, NOTE_BEFORE)?;
    phones.li.sync()?;
    phones.chen.sync()?;
    Ok(Leads { shared, moved })
}

fn basement(phones: &Phones, leads: &Leads, verdict: &mut Verdict) -> Result<Visits, Failure> {
    let Phones { li, chen, .. } = phones;
    say(&format!(
        "\n-- {} and {} go down to basements: their phones lose the signal. --",
        li.who.name, chen.who.name
    ))?;
    for phone in [li, chen] {
        phone.lose_signal();
        verdict.expect(phone.is_cut_off(), format!("{}'s phone was to be cut off", phone.who.name));
    }
    let (shared, moved) = (leads.shared.id, leads.moved.id);
    let li_shared = act(
        li,
        shared,
        &Deed {
            state: "方案沟通", next: "确认CT机安装场地尺寸", brand: BRANDS[0], note: NOTES[0]
        },
    )?;
    li.book.tick(shared, "decision_maker", true)?;
    li.book.tick(shared, TICKED_APART, true)?;
    let li_moved =
        act(li, moved, &Deed { state: "报价", next: "送分期方案", brand: "东软", note: MOVED_NOTES[0] })?;
    let chen_shared =
        act(chen, shared, &Deed { state: "方案沟通", next: "约院长见面", brand: BRANDS[1], note: NOTES[1] })?;
    chen.book.tick(shared, TICKED_APART, false)?;
    chen.book.tick(shared, "next_meeting", true)?;
    let chen_moved =
        act(chen, moved, &Deed { state: "报价", next: "申请折扣", brand: "东软", note: MOVED_NOTES[1] })?;
    li.book.create_lead(&NewLead {
        fields: LeadFields {
            customer_name: Some("上海示范医院影像科".into()),
            contact_phone: Some("000-0000-0000".into()),
            need: Some("采购".into()),
            ..LeadFields::default()
        },
        ..NewLead::default()
    })?;
    let hits = li.book.leads(&LeadQuery { text: "shsf".into(), ..LeadQuery::default() })?.len();
    say(&format!(
        "Both edit {} and {}: brand, next action, notes, a visit each; both tick the table of the first.",
        name(&leads.shared),
        name(&leads.moved)
    ))?;
    say(&format!("{} also creates a lead; \"shsf\" finds it ({hits} hit).", li.who.name))?;
    for phone in [li, chen] {
        let cut_off = phone.is_cut_off();
        verdict.expect(cut_off, format!("{}'s phone was to be cut off until it came back", phone.who.name));
        let waiting = phone.book.status()?.unanswered;
        let heard = if cut_off { "no network" } else { "it has network" };
        say(&format!(
            "  {}'s phone tries to sync: {heard}. {waiting} changes wait on its disk.",
            phone.who.name
        ))?;
    }
    Ok(Visits { shared: [li_shared, chen_shared], moved: [li_moved, chen_moved] })
}

/// What somebody does to a lead without signal.
struct Deed {
    state: &'static str,
    next: &'static str,
    brand: &'static str,
    note: &'static str,
}

/// A visit (which writes state and next action too), the brand, and a line in the notes.
fn act(phone: &Handset, lead: DocId, deed: &Deed) -> Result<EntryId, Failure> {
    let visit = phone.book.log_visit(
        lead,
        &Visit {
            customer_state: deed.state.into(),
            next_action: deed.next.into(),
            expected_close: "2026-12-20".into(),
            note: deed.note.into(),
            ..Visit::default()
        },
    )?;
    let set = LeadFields { brand: Some(deed.brand.into()), ..LeadFields::default() };
    phone.book.edit_lead(lead, &set, &[])?;
    let notes = phone.book.lead(lead)?.notes;
    phone.book.edit_notes(lead, &format!("{notes}{}。", deed.note))?;
    Ok(visit)
}

fn office(app: &App, cast: &Cast, phones: &Phones, leads: &Leads) -> Result<(), Failure> {
    let Phones { li, wang, .. } = phones;
    let assigned = app.company.assign(
        leads.moved.id,
        wang.who.user,
        cast.zhou.user,
        "李销售负责片区调整",
        app.now_ms(),
    )?;
    app.announce(assigned.touched);
    say(&format!(
        "Meanwhile {} in the office moves {} from {} to {}.",
        cast.zhou.name,
        name(&leads.moved),
        li.who.name,
        wang.who.name
    ))?;
    wang.sync_aloud()?;
    Ok(())
}

/// The catch-up of each phone, with its cost; the first one comes twice, for what the second brought.
fn return_of_the_signal(phones: &Phones, leads: &Leads, verdict: &mut Verdict) -> Result<(), Failure> {
    let Phones { li, wang, chen } = phones;
    say("\n-- The signal is back. The catch-up: --")?;
    for phone in [li, chen] {
        phone.find_signal();
        let report = phone.sync_aloud()?;
        verdict.expect(
            report.up > 0 && report.set_aside == 0,
            format!("all work of {} was to be merged", phone.who.name),
        );
    }
    wang.sync_aloud()?;
    li.sync_aloud()?;
    let gone = li.book.lead(leads.moved.id).is_err();
    verdict.expect(gone, format!("{} was to leave {}'s phone", name(&leads.moved), li.who.name));
    Ok(())
}

pub(super) const NOTE_BEFORE: &str = "影像科CT更新项目。";
/// By 李销售 and by 陈主管.
pub(super) const NOTES: [&str; 2] = ["张院长说3月启动招标", "预算380万，财务已口头同意"];
/// By 李销售 and by 陈主管.
pub(super) const BRANDS: [&str; 2] = ["联影", "西门子"];
/// 李销售 ticks it, 陈主管 says that it is open.
pub(super) const TICKED_APART: &str = "budget_approval";
/// In the lead that moves, by 李销售 and by 陈主管.
pub(super) const MOVED_NOTES: [&str; 2] = ["客户要求分期", "可以让两个点"];
