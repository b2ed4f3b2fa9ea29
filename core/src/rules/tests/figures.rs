use jiff::civil::date;

use super::*;
use crate::rules::facts::DAY_MS;
use crate::rules::figures::{Amount, Expenses, Figure, Period, figures};
use crate::rules::outcome::{LeadOutcome, Move, assess_outcome};

const PAGE: &str = include_str!("../../../../docs/rules/figures.md");

/// March, as of its end.
fn march() -> Period {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    Period::new(date(2026, 3, 1), date(2026, 4, 1), &zone, days(60), 0).unwrap()
}

fn figure(outcomes: &[LeadOutcome], expenses: Expenses, id: &str) -> Figure {
    let policy = crate::policy::Pack::Medical.policy().unwrap();
    figures(outcomes, &policy, march(), expenses).into_iter().find(|figure| figure.id == id).unwrap()
}

fn shown(amount: Amount) -> String {
    match amount {
        Amount::Share(bp) => format!("{}.{:02}%", bp / 100, bp % 100),
        Amount::Time(ms) if ms % DAY_MS == 0 => format!("{} d", ms / DAY_MS),
        Amount::Time(ms) => format!("{} min", ms / 60_000),
        Amount::Hundredths(n) => format!("{}.{:02}", n / 100, n % 100),
        Amount::Money(fen) => format!("{} 元", fen / 100),
    }
}

/// So many leads, so many of which are as `done` makes them.
fn leads(many: usize, done: usize, make: impl Fn(&mut LeadOutcome, bool)) -> Vec<LeadOutcome> {
    let lead = |at: usize| {
        let mut lead =
            LeadOutcome { created_ms: Some(days(1)), assigned_ms: Some(days(1)), ..LeadOutcome::default() };
        make(&mut lead, at < done);
        lead
    };
    (0..many).map(lead).collect()
}

/// The examples of the page, from the figures that the sources give.
#[test]
fn the_page_tells_what_is_so() {
    let hour_ms = 3_600_000;
    let none = Expenses::default();
    let contact = |lead: &mut LeadOutcome, done: bool| {
        lead.first_contact_ms = Some(days(1) + if done { 48 } else { 49 } * hour_ms);
    };
    let mut followed = leads(9, 9, |_, _| ());
    for (at, hours) in [1, 2, 3, 1, 2, 9, 30, 2, 1].into_iter().enumerate() {
        followed[at].first_touch_ms = Some(days(1) + hours * hour_ms);
    }
    let mut orders = leads(4, 4, |_, _| ());
    for (lead, after) in orders.iter_mut().zip([30, 40, 44, 90]) {
        lead.won_ms = Some(days(5));
        lead.created_ms = Some(days(5) - after * DAY_MS);
    }
    let day = |n: i32| 20_514 + n;
    let rep_days = leads(47, 0, |_, _| ()).into_iter().enumerate().map(|(at, mut lead)| {
        lead.reached = [(UserId([1 + (at % 2) as u8; 8]), day((at % 10 / 2) as i32))].into();
        lead
    });
    let rep_days: Vec<_> = rep_days.collect();
    let rows: Vec<(&str, Figure)> = vec![
        ("M1a", figure(&leads(250, 234, contact), none, "M1a")),
        ("M1b", figure(&leads(250, 128, contact), none, "M1b")),
        ("M2", figure(&leads(250, 234, |lead, done| lead.dues = vec![(days(2), done)]), none, "M2")),
        (
            "M3",
            figure(
                &leads(1_000, 936, |lead, asked| {
                    lead.first_contact_ms = Some(days(2));
                    lead.effective = Some(asked);
                }),
                none,
                "M3",
            ),
        ),
        (
            "M4",
            figure(&leads(100, 5, |lead, jump| lead.moves = vec![Move { at_ms: days(2), jump }]), none, "M4"),
        ),
        ("M5", figure(&leads(100, 71, |lead, done| lead.cross_role = done), none, "M5")),
        ("M6", figure(&followed, none, "M6")),
        (
            "M7",
            figure(&leads(10, 6, |lead, done| lead.key_fields = (if done { 7 } else { 4 }, 7)), none, "M7"),
        ),
        ("M8", figure(&leads(100, 76, |lead, done| lead.chain_complete = done), none, "M8")),
        ("M9", figure(&orders, none, "M9")),
        (
            "M10",
            figure(
                &leads(2, 1, |lead, done| lead.dwells = vec![(days(1), days(if done { 5 } else { 9 }))]),
                none,
                "M10",
            ),
        ),
        (
            "M11",
            figure(
                &leads(100, 96, |lead, done| lead.touched_ms = Some(days(if done { 20 } else { -5 }))),
                none,
                "M11",
            ),
        ),
        (
            "M12",
            figure(&leads(1_000, 867, |lead, done| lead.four_acts_ms = done.then_some(days(2))), none, "M12"),
        ),
        ("M13a", figure(&leads(20, 17, |lead, done| lead.trials = vec![(days(3), done)]), none, "M13a")),
        (
            "M13b",
            figure(
                &leads(4, 3, |lead, done| {
                    lead.won_ms = Some(days(-300));
                    lead.renewals = if done { vec![days(5)] } else { vec![] };
                }),
                none,
                "M13b",
            ),
        ),
        ("M14a", figure(&rep_days, none, "M14a")),
        (
            "M14b",
            figure(&leads(100, 0, |_, _| ()), Expenses { marketing_fen: Some(1_930_000), ..none }, "M14b"),
        ),
        ("M14c", figure(&[], Expenses { mornings: Some((132, 22)), ..none }, "M14c")),
    ];
    let table = super::table(PAGE, "| Figure | Counted |");
    assert_eq!(table.len(), rows.len());
    for (row, (id, figure)) in table.iter().zip(rows) {
        let line = figure
            .line
            .map_or("—".to_owned(), |(_, right)| if right { "健康" } else { "不健康" }.to_owned());
        let value = figure.value.map(shown).unwrap();
        assert_eq!([row[0], row[2], row[3]], [id, value.as_str(), line.as_str()], "{row:?} {figure:?}");
    }
}

#[test]
fn nothing_to_count_is_no_figure() {
    let policy = crate::policy::Pack::Medical.policy().unwrap();
    for figure in figures(&[], &policy, march(), Expenses::default()) {
        assert_eq!((figure.value, figure.of.1), (None, 0), "{}", figure.id);
    }
}

/// O1, O11: what was done in March and heard of in May restates March.
#[test]
fn what_comes_late_restates_the_past() {
    let mut story = Story::new();
    story.lead.created_ms = Some(BEGIN_MS);
    story.assign(hours(0), LI);
    let told = |story: &Story| {
        let outcome = assess_outcome(&story.at(days(60))).says.so().unwrap().clone();
        figure(&[outcome], Expenses::default(), "M1a").of
    };
    assert_eq!(told(&story), (0, 1));
    story.touch(hours(47), LI, Direction::Out, Outcome::NoReply);
    assert_eq!(told(&story), (1, 1));
}

#[test]
fn the_outcome_of_a_lead_is_what_its_story_tells() {
    let mut story = Story::new();
    story.lead.fields.budget_max_fen = Some(100_000_000);
    story.lead.created_ms = Some(hours(-1));
    story.assign(hours(0), LI);
    let touched = story.touch(hours(1), LI, Direction::Out, Outcome::Reached);
    story.propose(hours(2), "screening");
    story.visit(hours(3), LI, "");
    story.propose(hours(4), "solution");
    story.signal(hours(5), "trial_request", "", None);
    story.touch(days(2), HAN, Direction::Out, Outcome::NoReply);
    let outcome = assess_outcome(&story.at(days(3))).says.so().unwrap().clone();
    assert_eq!(outcome.effective, Some(false), "nothing was written down");
    let day = |n: i32| 20_514 + n;
    assert_eq!(outcome.created_ms, Some(hours(-1)));
    assert_eq!((outcome.first_contact_ms, outcome.first_touch_ms), (Some(hours(1)), Some(hours(1))));
    assert_eq!(outcome.moves, [2, 4].map(|at| Move { at_ms: hours(at), jump: false }));
    assert_eq!(outcome.dwells, [(hours(4), i64::MAX)], "it goes on");
    assert_eq!(outcome.four_acts_ms, Some(hours(4)));
    assert_eq!(outcome.trials, [(hours(5), false)]);
    assert_eq!(outcome.reached, [(LI, day(0))].into());
    // The response in two hours, the comparison in a day from the first touch, the photos in two days from the visit.
    assert_eq!(outcome.dues, [(hours(2), true), (hours(25), false), (hours(51), false)]);
    assert!(!outcome.cross_role && !outcome.lost && outcome.won_ms.is_none());
    assert_eq!(outcome.touched_ms, Some(days(2)));
    assert_eq!((outcome.won_fen, outcome.complaints.as_slice()), (None, &[][..]), "it is not sold");
    let bytes = minicbor::to_vec(&outcome).unwrap();
    assert_eq!(minicbor::decode::<LeadOutcome>(&bytes).unwrap(), outcome);
    // A question is heard.
    if let Event::Touch(touch) = &mut story.lead.events[0].event {
        touch.text = "您好，您目前最关注设备的哪个参数？".into();
    }
    assert_eq!(assess_outcome(&story.at(days(3))).says.so().unwrap().effective, Some(true));
    // Customer service acts.
    story.lead.events.iter_mut().find(|logged| logged.id == touched).unwrap().user = UserId([8; 8]);
    let service = DirectoryUser { role: Some("service".into()), ..DirectoryUser::default() };
    story.people.users.insert(UserId([8; 8]), service);
    assert!(assess_outcome(&story.at(days(3))).says.so().unwrap().cross_role);
}

/// C16, C20: what a won lead was sold for, and what came after, by the signals that the policy names.
#[test]
fn a_won_lead_tells_what_it_was_sold_for() {
    let mut story = Story::new();
    let text = "base = \"medical\"\n[[stages]]\nid = \"solution\"\nname = \"方案\"\n[[stages]]\nid = \"screening\"\nname = \"初筛\"\n\
                [[stages]]\nid = \"quotation\"\nname = \"报价\"\n[[stages]]\nid = \"contract\"\nname = \"签约\"\nwon = true\n";
    let policy = crate::policy::Policy::from_toml(text).unwrap();
    story.publish(hours(-1), policy);
    story.lead.fields.budget_max_fen = Some(900);
    story.assign(hours(0), LI);
    story.signal(hours(1), "complaint", "", None);
    story.signal(days(9), "renewal", "", None);
    let told = |story: &Story| assess_outcome(&story.at(days(20))).says.so().unwrap().clone();
    assert_eq!(told(&story).won_fen, None);
    story.propose(days(2), "contract");
    let outcome = told(&story);
    assert_eq!(
        (outcome.won_ms, outcome.won_fen),
        (Some(days(2)), Some(900)),
        "the budget, where no deal says more"
    );
    assert_eq!((outcome.complaints, outcome.renewals), (vec![hours(1)], vec![days(9)]));
    story.signal(days(3), "contract_signed", "", Some(7));
    assert_eq!(told(&story).won_fen, Some(700), "yuan");
}
