use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::access::Role;
use crate::company::{Company, Incoming, LocalGate, NewLead, Sent, Settled, TeamRow, UserRow};
use crate::document::NoClocks;
use crate::ids::{Actor, DeviceId, TeamId};
use crate::model::{
    Direction as TouchDirection, Event, Evidence, Outcome as TouchOutcome, StageProposal, Touch, TouchChannel,
};
use crate::policy::{EvidenceNeed, Need, Policy, Proof};
use crate::store::{Direction, MemoryStore, Outcome, Range, Reads, Row, Store, StoreError};
use crate::sync::message::Push;
use crate::time::{Act as DeviceAct, Moment, Stamp};

/// 2026-03-02, 09:00 in Shanghai.
const NOW_MS: i64 = 1_772_413_200_000;
const HOUR_MS: i64 = 3_600_000;
const LI: UserId = UserId([1; 8]);
const HAN: UserId = UserId([2; 8]);
const ZHAO: UserId = UserId([9; 8]);
const TEAM: TeamId = TeamId([5; 8]);

/// A store whose process dies at the so-manieth commit: nothing of it is written, and nothing after it.
struct Dies {
    store: Arc<MemoryStore>,
    commits_left: AtomicUsize,
}

impl Store for Dies {
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.store.get_many(keys)
    }
    fn scan(&self, range: &Range, direction: Direction, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.store.scan(range, direction, limit)
    }
    fn commit(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError> {
        let left = self.commits_left.load(Ordering::SeqCst);
        if left == 0 {
            return Err(StoreError::Io("dead".into()));
        }
        self.commits_left.store(left - 1, Ordering::SeqCst);
        self.store.commit(batches)
    }
    fn head(&self) -> Result<Position, StoreError> {
        self.store.head()
    }
    fn read(&self, keys: &[&[u8]], ranges: &[(Range, usize)]) -> Result<Reads, StoreError> {
        self.store.read(keys, ranges)
    }
}

fn zone() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

fn open(store: Arc<dyn Store>) -> Company {
    Company::open(store, "智康", &[3; 64]).unwrap()
}

/// A company with two reps and their manager.
fn company(store: Arc<dyn Store>) -> Company {
    let company = open(store);
    company
        .put_team(TEAM, TeamRow { name: "杭州组".into(), parent: None, leaders: vec![ZHAO] }, NOW_MS)
        .unwrap();
    for (user, role) in [(LI, Role::Rep), (HAN, Role::Rep), (ZHAO, Role::Manager)] {
        let row = UserRow { name: "x".into(), role, team: Some(TEAM), active: true };
        company.put_user(user, row, NOW_MS).unwrap();
    }
    company.put_device(DeviceId([1; 8]), LI, "phone", NOW_MS).unwrap();
    company
}

fn lead(n: u8) -> NewLead {
    let set = |field: &str, value: &str| Edit::Set { field: field.into(), value: value.into() };
    let edits = vec![set("customer_name", "市一院"), set("source", "官网"), set("region_code", "浙A")];
    NewLead { id: DocId::fresh(DocKind::Lead, EntryId([n; 16])), edits, ..NewLead::default() }
}

/// Rounds until there is nothing left to do at once.
fn settle(company: &Company, now_ms: i64) -> usize {
    let mut acted = 0;
    for _ in 0..50 {
        let done = company.automate(&zone(), now_ms, 64).unwrap();
        acted += done.acted;
        if !done.more && done.judged == 0 {
            return acted;
        }
    }
    panic!("automation does not come to rest");
}

fn ruling(company: &Company, lead: DocId) -> RulingModel {
    RulingModel::read(&company.load(DocId::ruling_of(lead)).unwrap(), &NoClocks)
}

/// What was decided, in words, in the order of recording.
fn decided(company: &Company, lead: DocId) -> Vec<String> {
    let decisions = ruling(company, lead).decisions.into_iter();
    decisions
        .map(|decided| match decided.decision {
            Decision::Assign(to) => format!("assign {}", to.to.0[0]),
            Decision::Fire(firing) => format!("fire {}", firing.rule),
            Decision::Cure(_) => "cure".into(),
            other => format!("{other:?}"),
        })
        .collect()
}

/// 李's phone comes back with a call that took place at `at_ms`.
fn sync_call(company: &Company, lead: DocId, at_ms: i64, now_ms: i64) {
    let touch = Touch {
        channel: TouchChannel::Phone,
        direction: TouchDirection::Out,
        outcome: TouchOutcome::Reached,
        text: String::new(),
        at_ms: None,
    };
    sync(company, lead, at_ms, now_ms, |act| vec![Event::Touch(touch.clone()).log(act)]);
}

/// 李's phone comes back with what was done at `at_ms`.
fn sync(
    company: &Company,
    lead: DocId,
    at_ms: i64,
    now_ms: i64,
    edits: impl FnOnce(&DeviceAct) -> Vec<Edit>,
) {
    let stamp = Stamp {
        user: LI,
        moment: Moment { wall_ms: at_ms, boot: 1, mono_ms: 1 },
        offset_ms: Some(at_ms - 1),
        last_contact_ms: NOW_MS,
    };
    let mut doc = company.load(lead).unwrap();
    let actor = Actor { device: DeviceId([1; 8]), incarnation: 1 };
    let change = doc.edit(actor, &stamp, &edits(&DeviceAct::new(stamp, [7; 32]))).unwrap().change;
    let push = Push { id: 1, doc: lead, origin: None, changes: vec![change.into()] };
    let who = company.principal(actor.device).unwrap();
    let prepared = company.prepare(lead, &[Incoming { who, push }], &mut LocalGate::new(1), now_ms).unwrap();
    let outcome = company.store.commit_one(prepared.batch.clone()).unwrap();
    assert!(matches!(prepared.settle(outcome), Settled::Done { .. }));
}

/// C1, C15, C22: from the intake to the cure.
#[test]
fn a_lead_is_assigned_escalated_and_cured() {
    let company = company(Arc::new(MemoryStore::new()));
    let lead = lead(1);
    company.intake(std::slice::from_ref(&lead), NOW_MS).unwrap();
    settle(&company, NOW_MS + 10);
    assert_eq!(decided(&company, lead.id), ["assign 1"]);
    let assigned = ruling(&company, lead.id);
    assert_eq!((assigned.fields.owner, assigned.fields.stage.as_deref()), (Some(LI), None));
    let Decision::Assign(why) = &assigned.decisions[0].decision else { panic!() };
    assert_eq!(
        (why.reason.as_str(), why.policy),
        ("优先级A，节点“浙A归杭州组”；“大额直送总监”缺少预算万元", Some(EntryId([0; 16])))
    );
    assert!(company.read_as(LI, lead.id).is_ok() && company.read_as(HAN, lead.id).is_err());

    assert_eq!(settle(&company, NOW_MS + 2 * HOUR_MS), 0, "it is due only then");
    settle(&company, NOW_MS + 2 * HOUR_MS + 20);
    assert_eq!(decided(&company, lead.id), ["assign 1", "fire response"]);
    let told = company.intents(None, 9).unwrap();
    assert_eq!((told.len(), told[0].rule.as_str(), told[0].tell.clone()), (1, "response", vec![ZHAO]));

    sync_call(&company, lead.id, NOW_MS + HOUR_MS, NOW_MS + 9 * HOUR_MS);
    settle(&company, NOW_MS + 9 * HOUR_MS);
    assert_eq!(decided(&company, lead.id), ["assign 1", "fire response", "cure"]);
    assert_eq!(company.intents(None, 9).unwrap().len(), 2);
    let judged = company.judged(lead.id).unwrap().unwrap();
    assert_eq!(judged.outcome.unwrap().first_contact_ms, Some(NOW_MS + HOUR_MS));
}

/// The process dies at each commit in turn and starts again: nothing is lost, nothing is done twice.
#[test]
fn a_process_that_dies_anywhere_loses_no_firing_and_doubles_none() {
    let story = |dies_at: usize| {
        let store = Arc::new(MemoryStore::new());
        let alive = company(store.clone());
        let leads: Vec<NewLead> = (1..4).map(lead).collect();
        alive.intake(&leads, NOW_MS).unwrap();
        let mortal =
            Company { store: Arc::new(Dies { store: store.clone(), commits_left: dies_at.into() }), ..alive };
        let mut died = false;
        for at_ms in [NOW_MS + 10, NOW_MS + 2 * HOUR_MS + 20] {
            for _ in 0..6 {
                died |= mortal.automate(&zone(), at_ms, 64).is_err();
            }
        }
        let again = open(store);
        // A timer that the dead process held is free again when its lease is over; who was assigned only now has two hours, too.
        settle(&again, NOW_MS + 3 * HOUR_MS);
        settle(&again, NOW_MS + 6 * HOUR_MS);
        let decided: Vec<_> = leads.iter().map(|lead| decided(&again, lead.id)).collect();
        let intents: Vec<_> = again.intents(None, 99).unwrap().into_iter().map(|i| (i.id, i.rule)).collect();
        (died, decided, intents)
    };
    let (died, all, told) = story(usize::MAX);
    assert!(!died && all.iter().all(|of| of[1..] == ["fire response".to_owned()]), "{all:?}");
    assert_eq!(told.len(), 3);
    let mut deaths = 0;
    for dies_at in 0.. {
        let (died, decided, intents) = story(dies_at);
        assert!(
            decided.iter().all(|of| of.len() == 2 && of[0].starts_with("assign")),
            "{dies_at}: {decided:?}"
        );
        assert_eq!(intents, told, "{dies_at}");
        if !died {
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 10, "it died {deaths} times");
}

/// A lead whose bytes are damaged is told, and keeps no other lead waiting.
#[test]
fn a_damaged_lead_keeps_no_other_waiting() {
    let company = company(Arc::new(MemoryStore::new()));
    let leads: Vec<NewLead> = (1..4).map(lead).collect();
    company.intake(&leads, NOW_MS).unwrap();
    let mut batch = Batch::new();
    batch.put(keys::snapshot(leads[1].id), b"rubbish".to_vec());
    company.store.commit_one(batch).unwrap();
    let done = company.automate(&zone(), NOW_MS, 64).unwrap();
    assert_eq!(done.failed.iter().map(|(lead, _)| *lead).collect::<Vec<_>>(), [leads[1].id]);
    for healthy in [&leads[0], &leads[2]] {
        assert_eq!(decided(&company, healthy.id).len(), 1);
    }
    assert!(company.automate(&zone(), NOW_MS, 64).unwrap().failed.is_empty(), "it is read past");
}

/// A million open deadlines cost what is due: a round touches the leads that are due and no other.
#[test]
fn a_round_costs_what_is_due() {
    let company = company(Arc::new(MemoryStore::new()));
    let leads: Vec<NewLead> = (1..200).map(lead).collect();
    company.intake(&leads, NOW_MS).unwrap();
    settle(&company, NOW_MS);
    assert_eq!(company.automate(&zone(), NOW_MS + HOUR_MS, 64).unwrap().judged, 0);
    let early = lead(200);
    company.intake(std::slice::from_ref(&early), NOW_MS - HOUR_MS).unwrap();
    settle(&company, NOW_MS - HOUR_MS);
    let done = company.automate(&zone(), NOW_MS + HOUR_MS + 1, 64).unwrap();
    assert_eq!((done.judged, done.acted), (1, 1));
}

/// C88: three failures in a row pause an automation; what waits is sent when it goes on, or expires.
#[test]
fn an_intent_leaves_under_one_key_and_failures_pause_its_rule() {
    let company = company(Arc::new(MemoryStore::new()));
    let lead = lead(1);
    company.intake(std::slice::from_ref(&lead), NOW_MS).unwrap();
    settle(&company, NOW_MS);
    let due_ms = NOW_MS + 2 * HOUR_MS + 1;
    settle(&company, due_ms);
    let mut now_ms = due_ms;
    let mut paused = Vec::new();
    let mut keys = BTreeSet::new();
    while paused.is_empty() {
        now_ms += 60_000;
        for leased in company.lease_intents(now_ms, 9).unwrap() {
            keys.insert(leased.intent.id);
            paused.extend(company.settle_intent(leased, Sent::Failed, now_ms).unwrap());
        }
    }
    assert_eq!((paused, keys.len()), (vec!["response".to_owned()], 1));
    let minute_ms = 60_000;
    assert!(company.lease_intents(now_ms + 9 * minute_ms, 9).unwrap().is_empty(), "it is paused");
    assert!(company.rule_health("response").unwrap().paused_ms.is_some());
    // One is let through to see, and when that gets there the rule goes on.
    let leased = company.lease_intents(now_ms + 2 * HOUR_MS, 9).unwrap().pop().unwrap();
    let id = leased.intent.id;
    assert_eq!((keys.contains(&id), leased.intent.tries), (true, 3));
    company.settle_intent(leased, Sent::Delivered, now_ms + 2 * HOUR_MS).unwrap();
    assert_eq!(company.intent(id).unwrap().state, IntentState::Sent(now_ms + 2 * HOUR_MS));
    assert!(company.lease_intents(now_ms + 9 * HOUR_MS, 9).unwrap().is_empty());
    assert_eq!(company.rule_health("response").unwrap(), crate::company::RuleHealth::default());
}

#[test]
fn an_intent_that_expired_is_never_sent() {
    let company = company(Arc::new(MemoryStore::new()));
    let lead = lead(1);
    company.intake(std::slice::from_ref(&lead), NOW_MS).unwrap();
    settle(&company, NOW_MS);
    settle(&company, NOW_MS + 3 * HOUR_MS);
    let id = company.intents(None, 9).unwrap()[0].id;
    let later_ms = NOW_MS + 28 * HOUR_MS;
    assert!(company.lease_intents(later_ms, 9).unwrap().is_empty());
    assert_eq!(company.intent(id).unwrap().state, IntentState::Expired(later_ms));
}

/// O5, C62: a stage that wants the bytes of evidence waits for them, and for those of the phone that named it.
#[test]
fn bytes_that_come_late_move_the_lead() {
    let store = Arc::new(MemoryStore::new());
    let company = company(store.clone());
    let mut policy = Policy::clone(company.policies().unwrap().at(NOW_MS).policy.as_deref().unwrap());
    let wanted = policy.stages.iter_mut().find(|stage| stage.id == "screening").unwrap();
    let photo = EvidenceNeed { name_contains: String::new(), media: "image/".into(), verified: true };
    wanted.needs = vec![Need { name: "照片".into(), what: Proof::Evidence(photo) }];
    company.publish_policy(&policy, NOW_MS + 1, ZHAO, "", [1; 32], NOW_MS).unwrap();
    let lead = lead(1);
    company.intake(std::slice::from_ref(&lead), NOW_MS + 2).unwrap();
    settle(&company, NOW_MS + 3);
    let hash = Hash32([8; 32]);
    let evidence = Evidence {
        hash,
        size_bytes: 9,
        mime: "image/jpeg".into(),
        name: "现场.jpg".into(),
        captured_at_ms: NOW_MS,
        event: None,
    };
    let attach = move |act: &DeviceAct| {
        vec![
            evidence.attach(act),
            Event::StageProposal(StageProposal { to: "screening".into(), ..StageProposal::default() })
                .log(act),
        ]
    };
    sync(&company, lead.id, NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS, attach);
    let stage = |company: &Company| ruling(company, lead.id).fields.stage;
    let at_ms = NOW_MS + 2 * HOUR_MS;
    settle(&company, at_ms);
    assert_eq!(stage(&company), None);
    // The same bytes from another phone show nothing about what this one has.
    company.bytes_arrived(DeviceId([2; 8]), hash, at_ms).unwrap();
    settle(&company, at_ms + 1);
    assert_eq!(stage(&company), None);
    // A process that dies right behind the arrival leaves it to the next.
    company.bytes_arrived(DeviceId([1; 8]), hash, at_ms + 2).unwrap();
    let company = open(store);
    settle(&company, at_ms + 3);
    assert_eq!(stage(&company).as_deref(), Some("screening"));
    company.bytes_arrived(DeviceId([1; 8]), hash, at_ms + 4).unwrap();
    settle(&company, at_ms + 5);
    let seen = ruling(&company, lead.id).decisions;
    assert_eq!(seen.iter().filter(|made| made.decision == Decision::Verified { hash }).count(), 1);
    assert!(company.leads_under(&keys::awaiting(hash)).unwrap().is_empty());
}

/// C15: a lead that just came is given to somebody at once, and what the rules read of the log later gives it to nobody else.
#[test]
fn leads_that_just_came_are_given_once() {
    let company = company(Arc::new(MemoryStore::new()));
    let leads: Vec<NewLead> = (1..9).map(lead).collect();
    let ids: Vec<DocId> = leads.iter().map(|lead| lead.id).collect();
    company.intake(&leads, NOW_MS).unwrap();
    let done = company.automate_leads(&ids, &zone(), NOW_MS + 1).unwrap();
    assert_eq!((done.judged, done.acted, done.failed.len()), (8, 8, 0));
    assert!(done.touched.contains(&Channel::User(LI)) && done.touched.contains(&Channel::User(HAN)));
    settle(&company, NOW_MS + 2);
    company.automate_leads(&ids, &zone(), NOW_MS + 3).unwrap();
    let owners = ids.iter().map(|lead| {
        assert_eq!(decided(&company, *lead).len(), 1);
        ruling(&company, *lead).fields.owner.unwrap()
    });
    let held = owners.fold(BTreeMap::new(), |mut held, owner| {
        *held.entry(owner).or_insert(0) += 1;
        held
    });
    assert_eq!(held, BTreeMap::from([(LI, 4), (HAN, 4)]));
}

/// Rows that an earlier build kept, or that are damaged, keep nobody waiting: they are written anew from the documents.
#[test]
fn rows_that_cannot_be_read_are_written_anew() {
    let store = Arc::new(MemoryStore::new());
    let company = company(store.clone());
    let leads: Vec<NewLead> = (1..4).map(lead).collect();
    company.intake(&leads, NOW_MS).unwrap();
    settle(&company, NOW_MS);
    let good: Vec<_> = leads.iter().map(|lead| company.judged(lead.id).unwrap().unwrap()).collect();
    let mut batch = Batch::new();
    batch.put(keys::judged(leads[0].id), *b"rubbish").put(keys::facts(leads[1].id), *b"{}");
    batch.delete(keys::facts(leads[2].id)).delete(keys::JUDGED_FORMAT);
    store.commit_one(batch).unwrap();
    let company = open(store);
    let newest = lead(9);
    company.intake(std::slice::from_ref(&newest), NOW_MS + 1).unwrap();
    settle(&company, NOW_MS + 1);
    assert_eq!(decided(&company, newest.id).len(), 1);
    let now: Vec<_> = leads.iter().map(|lead| company.judged(lead.id).unwrap().unwrap()).collect();
    assert_eq!(now, good);
    assert_eq!(company.outcomes().unwrap().len(), 4);
}

/// C12, O12: two reps who work one customer without knowing of each other are told, whichever of them is heard of first; and a person may say
/// that it is none.
#[test]
fn leads_of_one_customer_tell_of_each_other() {
    let company = company(Arc::new(MemoryStore::new()));
    let with_phone = |n: u8, phone: &str, owner: Option<UserId>| {
        let mut lead = lead(n);
        lead.edits.push(Edit::Set { field: "contact_phone".into(), value: phone.into() });
        NewLead { owner, ..lead }
    };
    let first = with_phone(1, "138 0013 8000", Some(LI));
    let own = with_phone(2, "13800138000", Some(LI));
    let other = with_phone(3, "+86 138-0013-8000", Some(HAN));
    let stranger = with_phone(4, "13800138001", Some(HAN));
    company.intake(&[first.clone(), own.clone()], NOW_MS).unwrap();
    settle(&company, NOW_MS + 1);
    assert_eq!(decided(&company, own.id), Vec::<String>::new());
    company.intake(&[other.clone(), stranger.clone()], NOW_MS + 2).unwrap();
    settle(&company, NOW_MS + 3);
    let told = |lead: &NewLead| {
        let decisions = ruling(&company, lead.id).decisions.into_iter();
        let of = |made| match made {
            Decision::Fire(firing) if firing.rule == "duplicate" => Some(firing.epoch),
            _ => None,
        };
        decisions.filter_map(|made| of(made.decision)).collect::<BTreeSet<_>>()
    };
    let ids = |leads: &[&NewLead]| leads.iter().map(|lead| EntryId(lead.id.0)).collect::<BTreeSet<_>>();
    assert_eq!(told(&other), ids(&[&first, &own]));
    assert_eq!((told(&first), told(&own), told(&stranger)), (ids(&[&other]), ids(&[&other]), ids(&[])));
    let duplicate_of = |lead: &NewLead| company.duplicate_of(lead.id).unwrap();
    assert_eq!((duplicate_of(&other), duplicate_of(&first)), (Some(first.id), None));
    // Nobody is told twice, and what a person said stands.
    company.mark_duplicate(other.id, None, NOW_MS + 4).unwrap();
    settle(&company, NOW_MS + 5);
    assert_eq!((told(&other).len(), duplicate_of(&other)), (2, None));
    let itself = company.mark_duplicate(first.id, Some(first.id), NOW_MS + 6);
    assert!(matches!(itself, Err(CompanyError::Refused(_))));
    // In one lot, nobody's before: given to two people in the same breath, both and their manager are told.
    let pair = [with_phone(5, "13900139000", None), with_phone(6, "13900139000", None)];
    company.intake(&pair, NOW_MS + 7).unwrap();
    settle(&company, NOW_MS + 8);
    let owners: Vec<UserId> =
        pair.iter().map(|lead| ruling(&company, lead.id).fields.owner.unwrap()).collect();
    assert_ne!(owners[0], owners[1], "they share the load, as two customers would");
    assert_eq!((told(&pair[0]), told(&pair[1])), (ids(&[&pair[1]]), ids(&[&pair[0]])));
    for (lead, owner) in pair.iter().zip(&owners) {
        let intents = company.intents(None, 99).unwrap();
        let of = intents.into_iter().find(|intent| intent.lead == lead.id && intent.rule == "duplicate");
        let mut expected = vec![*owner, ZHAO];
        expected.sort_unstable();
        assert_eq!(of.unwrap().tell, expected);
    }
    let told_outside = company.intents(None, 99).unwrap().into_iter();
    let told_outside = told_outside.filter(|intent| intent.rule == "duplicate");
    assert_eq!(told_outside.map(|intent| (intent.lead, intent.tell.len())).collect::<BTreeSet<_>>().len(), 5);
}

/// C52: a version that comes into force is felt by every lead, without anybody touching one, and no document is loaded for it.
/// C16: a route to the best goes by what was sold, and results go with the leads.
#[test]
fn who_sold_the_most_is_given_the_next() {
    let store = Arc::new(MemoryStore::new());
    let company = company(store);
    let mut policy = Policy::clone(company.policies().unwrap().at(NOW_MS).policy.as_deref().unwrap());
    policy.stages.iter_mut().filter(|stage| stage.won).for_each(|stage| stage.needs.clear());
    for node in &mut policy.assignment.nodes {
        node.to.iter_mut().for_each(|route| route.top = Some(1));
    }
    company.publish_policy(&policy, NOW_MS + 1, ZHAO, "", [1; 32], NOW_MS).unwrap();
    let mut leads: Vec<NewLead> = (1..7).map(lead).collect();
    leads[0].edits.push(Edit::Set { field: "budget_max_fen".into(), value: 40_000_000.into() });
    let ids: Vec<DocId> = leads.iter().map(|lead| lead.id).collect();
    let owner = |at: usize| ruling(&company, ids[at]).fields.owner.unwrap();
    company.intake(&leads[..2], NOW_MS + 2).unwrap();
    settle(&company, NOW_MS + 3);
    assert_eq!((owner(0), owner(1)), (LI, HAN), "nobody sold anything: the load decides");
    let sold = StageProposal { to: "contract".into(), ..StageProposal::default() };
    sync(&company, ids[0], NOW_MS + HOUR_MS, NOW_MS + HOUR_MS, |act| {
        vec![Event::StageProposal(sold).log(act)]
    });
    settle(&company, NOW_MS + HOUR_MS);
    let now_ms = NOW_MS + 2 * HOUR_MS;
    let known = company.results(365, now_ms).unwrap();
    assert_eq!((known[&LI].won_fen, known[&LI].open_leads), (Some(40_000_000), 0));
    assert_eq!((known[&HAN].won_fen, known[&HAN].open_leads), (Some(0), 1));
    company.intake(&leads[2..], now_ms).unwrap();
    settle(&company, now_ms + 1);
    assert_eq!([2, 3, 4, 5].map(owner), [LI; 4], "the one who sold the most, whatever the load");
    assert_eq!(company.results(365, now_ms + 2).unwrap()[&LI].open_leads, 4);
    // A year later nobody has sold anything.
    let later_ms = now_ms + 366 * 24 * HOUR_MS;
    assert_eq!(company.results(365, later_ms).unwrap()[&LI].won_fen, None);
}

#[test]
fn a_policy_in_force_is_swept_over_every_lead_from_rows() {
    let store = Arc::new(Watches::default());
    let company = company(store.clone());
    let leads: Vec<NewLead> = (1..150).map(lead).collect();
    company.intake(&leads, NOW_MS).unwrap();
    settle(&company, NOW_MS);
    sync_call(&company, leads[0].id, NOW_MS + 60_000, NOW_MS + 120_000);
    settle(&company, NOW_MS + 120_000);
    let mut policy = Policy::clone(company.policies().unwrap().at(NOW_MS).policy.as_deref().unwrap());
    policy.figures.key_fields = vec!["customer_name".into(), "brand".into()];
    let from_ms = NOW_MS + HOUR_MS;
    company.publish_policy(&policy, from_ms, ZHAO, "", [1; 32], NOW_MS + 1).unwrap();
    settle(&company, NOW_MS + 120_001);
    let key_fields = |company: &Company| {
        let outcomes = company.outcomes().unwrap();
        assert_eq!(outcomes.len(), leads.len());
        outcomes.into_iter().map(|outcome| outcome.key_fields).collect::<BTreeSet<_>>()
    };
    let before = key_fields(&company);
    assert!(before.iter().all(|(_, of)| *of != 2), "{before:?}");

    store.loads.store(0, Ordering::SeqCst);
    assert_eq!(settle(&company, from_ms), 0);
    assert_eq!(key_fields(&company), [(1, 2)].into());
    // Of the policy itself.
    assert!(store.loads.load(Ordering::SeqCst) <= 1, "{:?}", store.loads);

    // What was judged by rows is what is judged by documents.
    let judged = |company: &Company| -> Vec<_> {
        leads.iter().map(|lead| company.judged(lead.id).unwrap().unwrap()).collect()
    };
    let by_rows = judged(&company);
    let mut batch = Batch::new();
    leads.iter().for_each(|lead| {
        batch.delete(keys::facts(lead.id));
    });
    batch.put(keys::SWEPT, []);
    store.commit_one(batch).unwrap();
    settle(&company, from_ms);
    assert!(store.loads.load(Ordering::SeqCst) >= leads.len());
    assert_eq!(judged(&company), by_rows);
    let in_the_past = company.publish_policy(&policy, NOW_MS, ZHAO, "", [2; 32], NOW_MS + 9);
    assert!(matches!(in_the_past, Err(CompanyError::Refused(_))));
}

/// A store that counts the snapshots of documents that are read.
#[derive(Default)]
struct Watches {
    store: MemoryStore,
    loads: AtomicUsize,
}

impl Watches {
    fn saw<'a>(&self, keys: impl IntoIterator<Item = &'a [u8]>) {
        let loads = keys.into_iter().filter(|key| key.starts_with(b"s/")).count();
        self.loads.fetch_add(loads, Ordering::SeqCst);
    }
}

impl Store for Watches {
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.saw(keys.iter().copied());
        self.store.get_many(keys)
    }
    fn scan(&self, range: &Range, direction: Direction, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.saw([range.from.as_slice()]);
        self.store.scan(range, direction, limit)
    }
    fn commit(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError> {
        self.store.commit(batches)
    }
    fn head(&self) -> Result<Position, StoreError> {
        self.store.head()
    }
    fn read(&self, keys: &[&[u8]], ranges: &[(Range, usize)]) -> Result<Reads, StoreError> {
        self.saw(keys.iter().copied().chain(ranges.iter().map(|(range, _)| range.from.as_slice())));
        self.store.read(keys, ranges)
    }
}
