//! Offline truth: what happened in hospitals without signal gives the same verdicts as if everybody had been online.
//!
//! A history is a list of acts of three people, each on a phone, at moments of a month. It is delivered twice to a server that runs the rules:
//! every act at once, and in a random order as late as eight weeks, each phone's acts in one change after the other as automerge has them. The
//! server's timers ring whenever something comes due. Once everything is there, the verdicts are the same, and so is what has fired and was
//! not cured since. The first difference is printed as a story.
//!
//! `FIELDBOOK_SCHEDULES=20000 cargo test --release -p fieldbook-core --test offline_truth` runs more of them.
#![allow(clippy::unwrap_used, reason = "a story that cannot be told says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use fieldbook_core::document::{Doc, Edit, NoClocks};
use fieldbook_core::ids::{Actor, DeviceId, DocId, DocKind, EntryId, Hash32, UserId};
use fieldbook_core::model::{
    AdvancementModel, Assigned, Contact, Decision, Direction, DirectoryModel, DirectoryUser, Event, Evidence,
    LeadModel, LoggedDecision, Outcome, RulingModel, Signal, StageProposal, Touch, TouchChannel, Visit,
};
use fieldbook_core::policy::PolicyHistory;
use fieldbook_core::rules::automation::{Act, plan_automation};
use fieldbook_core::rules::{self, Facts};
use fieldbook_core::time::{Act as PhoneAct, Moment, Stamp};
use jiff::tz::TimeZone;

/// 2026-03-02, 09:00 in Shanghai.
const BEGIN_MS: i64 = 1_772_413_200_000;
const HOUR_MS: i64 = 3_600_000;
/// Hours of the history, and hours by which all of it has been delivered and every timer has rung.
const HISTORY_H: u64 = 30 * 24;
const END_H: i64 = 100 * 24;

/// SplitMix64: the same schedule from the same seed, on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn word(&mut self, of: &[&'static str]) -> &'static str {
        self.pick(of)
    }
}

/// One act of somebody on a phone.
#[derive(Debug, Clone)]
struct Done {
    at_ms: i64,
    phone: u8,
    what: What,
    words: String,
    /// When the server gets it, if it is late.
    delivered_ms: i64,
}

#[derive(Debug, Clone)]
enum What {
    Event(Event),
    Evidence(&'static str, &'static str),
    Field(&'static str, &'static str),
    Budget(i64),
    Contact(&'static str, &'static str),
}

fn history(dice: &mut Dice) -> Vec<Done> {
    let acts = 4 + dice.below(14);
    let mut all: Vec<Done> = (0..acts).map(|_| done(dice)).collect();
    all.sort_by_key(|done| (done.at_ms, done.phone));
    // A phone's clock does not stand still.
    for at in 1..all.len() {
        all[at].at_ms = all[at].at_ms.max(all[at - 1].at_ms + 1);
    }
    // What a phone did earlier it delivers earlier, or with it.
    for phone in 0..3 {
        let mut before_ms = i64::MIN;
        for done in all.iter_mut().filter(|done| done.phone == phone) {
            done.delivered_ms = done.delivered_ms.max(done.at_ms).max(before_ms);
            before_ms = done.delivered_ms;
        }
    }
    all
}

fn done(dice: &mut Dice) -> Done {
    let at_ms = BEGIN_MS + dice.below(HISTORY_H * 60) as i64 * 60_000;
    let late_h = dice.pick(&[0, 0, 1, 3, 9, 30, 200, 56 * 24]);
    let late_ms = dice.below(late_h + 1) as i64 * HOUR_MS;
    let touch = |direction, outcome| {
        What::Event(Event::Touch(Touch {
            channel: TouchChannel::Phone,
            direction,
            outcome,
            text: String::new(),
            at_ms: None,
        }))
    };
    let signal = |kind: &str, about: &str, text: &str| {
        let signal = Signal {
            kind: kind.into(),
            about: about.into(),
            text: text.into(),
            amount: Some(70),
            at_ms: None,
            ..Signal::default()
        };
        What::Event(Event::Signal(signal))
    };
    let visit = |note: &str| What::Event(Event::Visit(Visit { note: note.into(), ..Visit::default() }));
    let propose = |to: &str| {
        What::Event(Event::StageProposal(StageProposal { to: to.into(), ..StageProposal::default() }))
    };
    let what = match dice.below(16) {
        0..=3 => touch(Direction::Out, Outcome::NoReply),
        4 => touch(Direction::Out, Outcome::Reached),
        5 => touch(Direction::In, Outcome::Reached),
        6 => visit(dice.word(&["院长认可方案", "客户说太贵", "别家给更长账期", "机房不够", ""])),
        7 => visit("上次报价太贵，再考虑一下"),
        8 => propose(dice.word(&["screening", "solution"])),
        9 => propose(dice.word(&["quotation", "contract", "lost", "screening"])),
        10 => What::Evidence(dice.word(&["Quotation-v2.pdf", "合同.pdf"]), "application/pdf"),
        11 => What::Evidence("手术室.jpg", "image/jpeg"),
        12 => signal("wechat_added", "", ""),
        13 => signal(
            dice.word(&[
                "download",
                "page_dwell",
                "delivery_confirmed",
                "complaint",
                "renewal",
                "contract_signed",
            ]),
            "2025骨科集采应对指南 脊柱内固定",
            "",
        ),
        14 => match dice.below(2) {
            0 => What::Budget(80_000_000),
            _ => What::Field("purchase_timing", dice.word(&["3月", "待定", "本月"])),
        },
        _ => What::Contact(dice.word(&["院长", "设备科", "信息科"]), dice.word(&["支持", "反对", ""])),
    };
    let words = format!("{what:?}");
    Done { at_ms, phone: dice.below(3) as u8, what, words, delivered_ms: at_ms + late_ms }
}

/// A server with one lead: the lead as automerge has it, the ruling as the rules read it.
struct Server {
    lead: Doc,
    ruling: RulingModel,
    people: DirectoryModel,
    policies: PolicyHistory,
    zone: TimeZone,
    log: String,
}

/// The phones of the three, each with its own copy of the lead.
struct Phone {
    doc: Doc,
    actor: Actor,
    acts: u8,
}

fn user(phone: u8) -> UserId {
    UserId([phone + 1; 8])
}

impl Phone {
    fn new(n: u8) -> Self {
        let actor = Actor { device: DeviceId([n + 1; 8]), incarnation: 1 };
        Self { doc: Doc::genesis(DocKind::Lead), actor, acts: 0 }
    }

    /// Does it, and gives the change.
    fn act(&mut self, done: &Done) -> Vec<u8> {
        self.acts += 1;
        let stamp = Stamp {
            user: user(done.phone),
            moment: Moment { wall_ms: 0, boot: 1, mono_ms: (done.at_ms - BEGIN_MS) as u64 },
            offset_ms: Some(BEGIN_MS),
            last_contact_ms: BEGIN_MS,
        };
        let mut seed = [done.phone; 32];
        seed[1] = self.acts;
        let act = PhoneAct::new(stamp, seed);
        let edit = match &done.what {
            What::Event(event) => event.log(&act),
            What::Evidence(name, mime) => {
                let hash = Hash32([self.acts; 32]);
                let (name, mime) = ((*name).to_owned(), (*mime).to_owned());
                Evidence { hash, size_bytes: 1, mime, name, captured_at_ms: done.at_ms, event: None }
                    .attach(&act)
            }
            What::Field(field, value) => Edit::Set { field: (*field).into(), value: (*value).into() },
            What::Budget(fen) => Edit::Set { field: "budget_max_fen".into(), value: (*fen).into() },
            What::Contact(role, attitude) => {
                let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
                let contact = Contact {
                    name: text(role),
                    role: text(role),
                    attitude: text(attitude),
                    ..Contact::default()
                };
                contact.add("contacts", act.fresh_id())
            }
        };
        match self.doc.edit(self.actor, &stamp, &[edit]) {
            Ok(edited) => edited.change,
            // The field says so already.
            Err(_) => Vec::new(),
        }
    }
}

impl Server {
    fn new() -> Self {
        let mut ruling = RulingModel::read(&Doc::genesis(DocKind::Ruling), &NoClocks);
        ruling.fields.received_at_ms = Some(BEGIN_MS);
        ruling.fields.owner = Some(user(0));
        let assigned =
            Assigned { from: String::new(), to: user(0), by: user(9), reason: String::new(), policy: None };
        ruling.decisions.push(LoggedDecision {
            id: EntryId([0xaa; 16]),
            at_ms: BEGIN_MS,
            decision: Decision::Assign(assigned),
        });
        let of = |role: &str| DirectoryUser { role: Some(role.into()), ..DirectoryUser::default() };
        let users = BTreeMap::from([(user(0), of("rep")), (user(1), of("service")), (user(2), of("rep"))]);
        Self {
            lead: Doc::genesis(DocKind::Lead),
            ruling,
            people: DirectoryModel { users, ..DirectoryModel::default() },
            policies: PolicyHistory::shipped(),
            zone: TimeZone::get("Asia/Shanghai").unwrap(),
            log: String::new(),
        }
    }

    fn judge<T>(&self, now_ms: i64, judge: impl FnOnce(&Facts<'_>) -> T) -> T {
        let lead = LeadModel::read(&self.lead, &NoClocks);
        let table = AdvancementModel::read(&Doc::genesis(DocKind::Advancement), &NoClocks);
        judge(&Facts {
            id: DocId([7; 16]),
            lead: &lead,
            ruling: Some(&self.ruling),
            table: Some(&table),
            account: None,
            people: Some(&self.people),
            policies: &self.policies,
            now_ms,
            zone: &self.zone,
        })
    }

    /// Runs the rules at a moment until there is nothing left to do. Gives when something comes due next.
    fn rules(&mut self, now_ms: i64) -> Option<i64> {
        loop {
            let plan = self.judge(now_ms, |facts| plan_automation(facts, &[]).unwrap());
            if plan.acts.is_empty() {
                return plan.next_ms;
            }
            for act in plan.acts {
                writeln!(self.log, "  {} h: the server: {act:?}", (now_ms - BEGIN_MS) / HOUR_MS).unwrap();
                let (id, decision) = match act {
                    Act::Fire(id, firing, _) => (id, Decision::Fire(firing)),
                    Act::Cure(id, cured) => (id, Decision::Cure(cured)),
                    Act::Confirm(stage) => {
                        self.ruling.fields.stage = Some(stage);
                        continue;
                    }
                    other => panic!("{other:?} has no place in this story"),
                };
                self.ruling.decisions.push(LoggedDecision { id, at_ms: now_ms, decision });
            }
        }
    }

    /// Takes changes in at their moments, with every timer that rings in between, and on to the end.
    fn live(mut self, mut deliveries: Vec<(i64, Vec<u8>, String)>) -> Self {
        deliveries.sort_by_key(|(at_ms, ..)| *at_ms);
        let mut next = self.rules(BEGIN_MS);
        for (at_ms, change, words) in deliveries {
            next = self.ring(next, at_ms);
            if !change.is_empty() {
                self.lead.apply(&[change]).unwrap();
            }
            writeln!(self.log, "  {} h: arrives: {words}", (at_ms - BEGIN_MS) / HOUR_MS).unwrap();
            next = self.rules(at_ms).or(next.filter(|due| *due > at_ms));
        }
        self.ring(next, BEGIN_MS + END_H * HOUR_MS);
        self.rules(BEGIN_MS + END_H * HOUR_MS);
        self
    }

    fn ring(&mut self, mut next: Option<i64>, until_ms: i64) -> Option<i64> {
        while let Some(due_ms) = next.filter(|due_ms| *due_ms <= until_ms) {
            next = self.rules(due_ms);
        }
        next
    }

    /// What fired and was not cured.
    fn fired(&self) -> BTreeSet<(String, EntryId)> {
        let cured = self.ruling.decisions.iter().filter_map(|decided| match &decided.decision {
            Decision::Cure(cured) => Some(cured.firing),
            _ => None,
        });
        let cured: BTreeSet<EntryId> = cured.collect();
        let fired = self.ruling.decisions.iter().filter(|decided| !cured.contains(&decided.id));
        let fired = fired.filter_map(|decided| match &decided.decision {
            Decision::Fire(firing) => Some((firing.rule.clone(), firing.epoch)),
            _ => None,
        });
        fired.collect()
    }

    /// Every verdict at the end, each as it is printed.
    fn verdicts(&self) -> BTreeMap<&'static str, String> {
        self.judge(BEGIN_MS + END_H * HOUR_MS, |facts| {
            BTreeMap::from([
                ("stage", format!("{:?}", rules::stage::assess_stage(facts))),
                ("missing", format!("{:?}", rules::stage::missing_for_next(facts))),
                ("response", format!("{:?}", rules::response::assess_response(facts))),
                ("tasks", format!("{:?}", rules::tasks::assess_tasks(facts))),
                ("nurturing", format!("{:?}", rules::nurturing::assess_nurturing(facts))),
                ("scores", format!("{:?}", rules::scores::assess_scores(facts))),
                ("tags", format!("{:?}", rules::words::assess_tags(facts))),
                ("objections", format!("{:?}", rules::words::assess_objections(facts))),
                ("chain", format!("{:?}", rules::chain::assess_chain(facts))),
                ("fields", format!("{:?}", rules::fields::assess_fields(facts))),
                ("radar", format!("{:?}", rules::radar::assess_radar(facts))),
                ("talk", format!("{:?}", rules::talk::assess_state_change(facts))),
                ("figures", format!("{:?}", rules::outcome::assess_outcome(facts))),
                ("confirmed stage", format!("{:?}", self.ruling.fields.stage)),
                ("fired and not cured", format!("{:?}", self.fired())),
            ])
        })
    }
}

/// Tells a schedule both ways; the story of the first difference, if there is one. And how often something was cured.
fn told_both_ways(seed: u64) -> (Option<String>, usize) {
    let mut dice = Dice(seed);
    let history = history(&mut dice);
    let mut phones = [0, 1, 2].map(Phone::new);
    let (mut at_once, mut late) = (Vec::new(), Vec::new());
    for done in &history {
        let change = phones[usize::from(done.phone)].act(done);
        let words =
            format!("at {} h on phone {}: {}", (done.at_ms - BEGIN_MS) / HOUR_MS, done.phone, done.words);
        at_once.push((done.at_ms, change.clone(), words.clone()));
        late.push((done.delivered_ms, change, words));
    }
    let (at_once, late) = (Server::new().live(at_once), Server::new().live(late));
    let cures = late.ruling.decisions.iter().filter(|d| matches!(d.decision, Decision::Cure(_))).count();
    let (one, other) = (at_once.verdicts(), late.verdicts());
    let different = one.iter().find(|(name, says)| other[*name] != **says);
    let story = different.map(|(name, says)| {
        format!(
            "seed {seed}: {name} differs\n  at once: {says}\n  late:    {}\nat once\n{}late\n{}",
            other[name], at_once.log, late.log
        )
    });
    (story, cures)
}

#[test]
fn what_arrives_late_gives_the_verdicts_of_what_arrives_at_once() {
    let schedules = std::env::var("FIELDBOOK_SCHEDULES").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    let mut cures = 0;
    for seed in 0..schedules {
        let (story, cured) = told_both_ways(seed);
        if let Some(story) = story {
            panic!("{story}");
        }
        cures += cured;
    }
    assert!(cures > 0, "of {schedules} schedules none had anything to cure: they show nothing");
}
