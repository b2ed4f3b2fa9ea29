//! What the rules say on one phone without network: the same as core says of the same documents, and one act where one call is made.

use fieldbook_core::document::{Edit, NoClocks};
use fieldbook_core::ids::{DocId, DocKind, EntryId};
use fieldbook_core::model::{
    AdvancementModel, Attitude, Contact, Cured, Decision, Direction, DirectoryModel, DirectoryUser, Event,
    Firing, LeadFields, LeadModel, Outcome, RulingModel, Signal, StageProposal, Touch, TouchChannel, Visit,
};
use fieldbook_core::policy::{PolicyHistory, Who};
use fieldbook_core::rules::{Facts, judge};

use super::{NOON_MS, Phone, rule};
use crate::Error;
use crate::records::{Attachment, Happening, LeadJudgement, ProposalOutcome, Talk, TalkPlan};
use crate::words::Language;

const HOUR_MS: i64 = 3_600_000;

/// A lead with a budget of 380万, a technical head, and a visit.
fn visited(phone: &Phone) -> DocId {
    let (lead, book) = (phone.lead("市一院"), phone.book());
    let set = LeadFields { budget_max_fen: Some(380_000_000), ..LeadFields::default() };
    book.edit_lead(lead, &set, &[]).unwrap();
    let contact = Contact { title: Some("CTO".into()), role: Some("信息科".into()), ..Contact::default() };
    book.add_contact(lead, &contact).unwrap();
    let note = "CTO认可技术方案，上次报价太贵".into();
    book.log_visit(lead, &Visit { note, ..Visit::default() }).unwrap();
    lead
}

fn propose(phone: &Phone, lead: DocId, to: &str) -> EntryId {
    phone.wait(1_000);
    let id = phone
        .book()
        .propose_stage(lead, &StageProposal { to: to.into(), ..StageProposal::default() })
        .unwrap();
    phone.wait(1_000);
    id
}

fn reply() -> Touch {
    let (channel, direction, outcome) = (TouchChannel::Wechat, Direction::In, Outcome::Reached);
    Touch { channel, direction, outcome, text: "收到，下周上会".into(), at_ms: None }
}

/// The people of the company, as this phone holds them.
fn directory(phone: &Phone, role: &str) {
    let user = |user: u8, role: &str| {
        let known = DirectoryUser {
            name: Some(format!("用户{user}")),
            role: Some(role.into()),
            ..DirectoryUser::default()
        };
        known.add("users", DirectoryModel::entry_id(&[user; 8]))
    };
    phone.write(DocId::directory(), vec![user(1, role), user(2, "rep")]);
    phone.book().shared.forget_names();
}

#[test]
fn a_stage_counts_when_what_it_needs_is_there_and_names_what_is_missing() {
    let phone = Phone::new(1, 1);
    let (lead, book) = (visited(&phone), phone.book());
    for stage in ["screening", "solution"] {
        propose(&phone, lead, stage);
    }
    let proposal = propose(&phone, lead, "quotation");
    let stage = |judgement: &LeadJudgement| {
        let stage = judgement.stage.clone().unwrap();
        (stage.stage, stage.name, stage.provisional)
    };
    let judgement = book.judge(lead).unwrap();
    assert_eq!(stage(&judgement), ("solution".into(), "方案沟通".into(), true));
    let made = judgement.stage.as_ref().unwrap().proposals.last().unwrap().clone();
    assert_eq!((made.id, made.name.as_str()), (proposal, "报价"));
    let missing = vec!["名称含 Quotation 的 PDF 报价单".to_owned(), "客户的回复".to_owned()];
    assert_eq!(made.verdict, ProposalOutcome::Lacks { missing: missing.clone() });
    assert_eq!(judgement.missing_for_next, Some(missing));
    assert_eq!(judgement.stage.as_ref().unwrap().next_name, "报价");

    let what =
        Attachment { name: "Quotation.pdf".into(), mime: "application/pdf".into(), ..Attachment::default() };
    book.attach(lead, &what, b"%PDF").unwrap();
    phone.wait(1_000);
    book.log_touch(lead, &reply()).unwrap();
    assert_eq!(stage(&book.judge(lead).unwrap()).0, "quotation");
    // A proposal names the version that its author saw.
    let seen = book.lead(lead).unwrap().timeline.into_iter().find_map(|item| match item.what {
        Happening::StageProposal { proposal } => proposal.policy,
        _ => None,
    });
    assert_eq!(seen, Some(book.policy().unwrap().version));
}

#[test]
fn core_and_phone_judge_equal_documents_alike() {
    let phone = Phone::new(1, 1);
    let (lead, book) = (visited(&phone), phone.book());
    directory(&phone, "rep");
    rule(&phone, lead, 1, NOON_MS - HOUR_MS);
    propose(&phone, lead, "solution");
    book.tick(lead, "decision_maker", true).unwrap();
    book.tick_loss(lead, "clearance", true).unwrap();
    book.tag(lead, "老客户", None).unwrap();
    let said = book.judge(lead).unwrap();

    let load = |id| phone.book().shared.with(|replica, _| replica.load(id)).unwrap();
    let ruling = RulingModel::read(&load(DocId::ruling_of(lead)), &NoClocks);
    let people = DirectoryModel::read(&load(DocId::directory()), &NoClocks);
    let facts = Facts {
        id: lead,
        lead: &LeadModel::read(&load(lead), &ruling.clocks),
        table: Some(&AdvancementModel::read(&load(DocId::advancement_of(lead)), &ruling.clocks)),
        ruling: Some(&ruling),
        account: None,
        people: Some(&people),
        policies: &PolicyHistory::shipped(),
        now_ms: said.at_ms,
        zone: &jiff::tz::TimeZone::get("Asia/Shanghai").unwrap(),
    };
    let judgement = judge(&facts);
    assert!(judgement.undetermined().iter().all(|(part, _)| *part == "health"), "{judgement:?}");
    assert_eq!(said, crate::facade::judged::judged(&facts, judgement.clone()));
    // And flat as it is, it says what core said.
    let scores = judgement.scores.so().unwrap();
    assert_eq!(said.tasks.as_ref(), judgement.tasks.so());
    assert_eq!(said.card.as_ref().map(|card| card.score), Some(scores.card.score));
    assert_eq!((said.health, said.depth), (scores.health.so().copied(), scores.depth.so().copied()));
    let table = judgement.advancement.so().unwrap();
    assert_eq!((said.index, said.advancement.as_ref()), (Some(33), Some(&table.rows)));
    let radar: Vec<_> =
        judgement.radar.so().unwrap().dimensions.iter().map(|d| d.score.so().copied()).collect();
    assert_eq!(said.radar.as_ref().unwrap().iter().map(|item| item.score).collect::<Vec<_>>(), radar);
    assert_eq!(said.responses.as_ref().unwrap()[0].owner_name, "用户1");
    let loss = said.loss.as_ref().unwrap();
    assert_eq!((loss.ticks[0].id.as_str(), loss.ticks[0].ticked, loss.risk_bp), ("clearance", true, None));
    let tags: Vec<_> = said.tags.as_ref().unwrap().iter().map(|tag| tag.name.as_str()).collect();
    assert_eq!(tags, judgement.tags.so().unwrap().keys().map(String::as_str).collect::<Vec<_>>());
    assert!(tags.contains(&"价格异议") && tags.contains(&"老客户") && tags.contains(&"高预算"), "{tags:?}");
    let people = &said.chain.as_ref().unwrap().people;
    assert_eq!((people[0].role.as_deref(), &people[0].attitudes[..]), (Some("信息科"), &[Attitude::For][..]));
}

#[test]
fn what_is_not_held_is_named_and_nothing_stands_in_for_it() {
    let phone = Phone::new(1, 1);
    let (lead, book) = (visited(&phone), phone.book());
    let judgement = book.judge(lead).unwrap();
    let open: Vec<_> =
        judgement.undetermined.iter().map(|open| (open.part.as_str(), open.missing.join("、"))).collect();
    assert_eq!(open, [("responses", "裁定".to_owned()), ("health", "行业潜力值".to_owned())]);
    assert_eq!((judgement.responses, judgement.health, judgement.tier), (None, None, None));
    assert!(matches!(book.approve(lead, EntryId([1; 16]), true, ""), Err(Error::Undetermined { .. })));
    let account = DocId::fresh(DocKind::Account, EntryId([9; 16]));
    book.edit_lead(lead, &LeadFields { account: Some(account), ..LeadFields::default() }, &[]).unwrap();
    assert_eq!(book.judge(lead).unwrap().chain, None, "some of the people are in the account");
}

#[test]
fn a_talk_ends_in_one_act_and_is_taken_back_as_one() {
    for (talk, entries) in [
        (Talk::Touch { touch: reply() }, 1),
        (Talk::Visit { visit: Visit { note: "再考虑".into(), ..Visit::default() } }, 1),
    ] {
        let phone = Phone::new(1, 1);
        let (lead, book) = (phone.lead("市一院"), phone.book());
        let proposed = book.end_of_talk(lead, "客户说再考虑考虑，上次报价太贵").unwrap();
        assert_eq!((proposed.next_contact.as_str(), proposed.todo.as_str()), ("2026-03-05", "再次联系"));
        assert_eq!(proposed.customer_state.as_deref(), Some("异议处理中"));
        assert_eq!(proposed.talk_packs, ["price-objection"]);
        let unanswered = book.status().unwrap().unanswered;
        let plan = TalkPlan {
            talk,
            next_contact: Some(proposed.next_contact),
            todo: proposed.todo,
            customer_state: proposed.customer_state,
        };
        let finished = book.finish_talk(lead, &plan).unwrap();
        assert_eq!(book.status().unwrap().unanswered, unanswered + 1, "one change");
        let page = book.lead(lead).unwrap();
        assert_eq!(page.timeline.iter().map(|item| item.id).collect::<Vec<_>>(), [finished.entry]);
        assert_eq!(page.timeline.len(), entries);
        assert_eq!(page.todos.iter().map(|todo| Some(todo.id)).collect::<Vec<_>>(), [finished.todo]);
        assert_eq!(page.todos[0].todo.due.as_deref(), Some("2026-03-05"));
        assert_eq!(page.fields.customer_state.as_deref(), Some("异议处理中"));
        book.undo().unwrap();
        let page = book.lead(lead).unwrap();
        assert!(page.timeline.is_empty() && page.todos.is_empty());
        assert_eq!(page.fields.customer_state, None);
    }
    let phone = Phone::new(1, 1);
    let lead = phone.lead("市一院");
    let plan = |talk, day: &str| TalkPlan {
        talk,
        next_contact: Some(day.into()),
        todo: "再次联系".into(),
        customer_state: None,
    };
    for plan in [
        plan(Talk::Touch { touch: reply() }, "周五"),
        plan(Talk::Visit { visit: Visit::default() }, "2026-03-05"),
        TalkPlan { todo: " ".into(), ..plan(Talk::Touch { touch: reply() }, "2026-03-05") },
    ] {
        assert!(matches!(phone.book().finish_talk(lead, &plan), Err(Error::Invalid(_))), "{plan:?}");
    }
}

#[test]
fn a_leader_approves_and_a_rep_is_refused() {
    for (role, language, refused) in [
        ("manager", Language::Chinese, None),
        ("director", Language::Chinese, Some("只有主管可以审批。")),
        ("rep", Language::Chinese, Some("只有主管可以审批。")),
        ("service", Language::English, Some("Only a manager may approve.")),
    ] {
        let phone = Phone::speaking(1, 1, language);
        let colleague = Phone::new(2, 2);
        let lead = colleague.lead("市一院");
        let proposal = propose(&colleague, lead, "screening");
        colleague.send(lead, &phone);
        phone.wait(5_000);
        directory(&phone, role);
        let book = phone.book();
        let answer = book.approve(lead, proposal, true, " 同意 ");
        assert_eq!(answer.as_ref().err().map(|e| e.text(language)).as_deref(), refused, "{role}");
        let timeline = book.lead(lead).unwrap().timeline;
        let said = timeline.iter().find_map(|item| match &item.what {
            Happening::Approval { approval } => Some((approval.proposal, approval.note.clone())),
            _ => None,
        });
        assert_eq!(said, refused.is_none().then(|| (proposal, "同意".to_owned())));
        if refused.is_none() {
            let own = propose(&phone, lead, "solution");
            assert!(matches!(book.approve(lead, own, true, ""), Err(Error::OwnProposal)));
            assert!(matches!(book.approve(lead, EntryId([1; 16]), true, ""), Err(Error::NotFound(_))));
        }
    }
}

#[test]
fn the_questions_of_the_week_are_answered_and_asked_anew_the_next() {
    let phone = Phone::new(1, 1);
    let (lead, book) = (phone.lead("市一院"), phone.book());
    let questions = || book.judge(lead).unwrap().questions.unwrap();
    let asked = questions();
    assert_eq!((asked.len(), asked[0].key.as_str()), (3, "2026-W10/progress"));
    book.answer_question(lead, &asked[0].key, "已立项").unwrap();
    assert_eq!(questions()[0].answer.as_deref(), Some("已立项"));
    assert!(matches!(book.answer_question(lead, "2026-W10/nonsense", "x"), Err(Error::Invalid(_))));
    phone.wait(7 * 24 * HOUR_MS);
    assert_eq!((questions()[0].key.as_str(), questions()[0].answer.as_deref()), ("2026-W11/progress", None));
}

#[test]
fn small_things_of_a_talk() {
    let phone = Phone::new(1, 1);
    let (lead, book) = (phone.lead("市一院"), phone.book());
    assert!(
        book.is_vague_purpose("沟通").unwrap() && !book.is_vague_purpose("确认CT机安装场地尺寸").unwrap()
    );
    let start = book.may_start_talk(lead).unwrap();
    assert!(start.shown_by.is_none() && start.refusal.contains("拜访摘要"), "{start:?}");
    let chat = Signal { kind: "chat".into(), text: "您好。想了解CT".into(), ..Signal::default() };
    let entry = book.log_signal(lead, &chat).unwrap();
    let start = book.may_start_talk(lead).unwrap();
    assert_eq!(
        (start.shown_by, start.first_sentence.as_str(), start.refusal.as_str()),
        (Some(entry), "您好", "")
    );
    let unknown = Signal { kind: "telepathy".into(), ..Signal::default() };
    assert!(matches!(book.log_signal(lead, &unknown), Err(Error::Invalid(_))));
    // C42: a complaint says how bad it is.
    let complaint =
        |level: &str| Signal { kind: "complaint".into(), level: level.into(), ..Signal::default() };
    let Err(Error::Invalid(why)) = book.log_signal(lead, &complaint("")) else { panic!() };
    assert_eq!(why, "投诉: the level has to be one of 高, 中, 低");
    book.log_signal(lead, &complaint("高")).unwrap();
    let chat = Signal { level: "高".into(), ..chat };
    assert!(matches!(book.log_signal(lead, &chat), Err(Error::Invalid(_))), "a chat has none");

    let policy = book.policy().unwrap();
    assert_eq!(
        (policy.name.as_str(), policy.version, policy.effective_from_ms),
        ("医疗器械", EntryId([0; 16]), None)
    );
    assert_eq!(
        policy.stages.iter().map(|stage| stage.name.as_str()).collect::<Vec<_>>()[..2],
        ["分配", "初筛"]
    );
    assert_eq!(policy.rows.len(), 3);
    let complaint = policy.signals.iter().find(|kind| kind.id == "complaint").unwrap();
    assert_eq!(complaint.levels, ["高", "中", "低"]);
    for tick in &policy.loss_ticks {
        book.tick_loss(lead, &tick.id, true).unwrap();
    }
    let loss = book.judge(lead).unwrap().loss.unwrap();
    assert_eq!((loss.risk_bp, loss.talk_pack.as_deref()), (Some(8_200), Some("delivery")));
    assert!(matches!(book.tick_loss(lead, "decision_maker", true), Err(Error::Invalid(_))));
}

#[test]
fn a_read_mark_is_made_once_for_an_assignment() {
    let phone = Phone::new(1, 1);
    let (mine, other, fresh) = (phone.lead("市一院"), phone.lead("市二院"), phone.lead("市三院"));
    rule(&phone, mine, 1, NOON_MS);
    rule(&phone, other, 2, NOON_MS);
    phone.wait(1_000);
    let book = phone.book();
    let wanted = LeadFields { brand: Some("联影".into()), ..LeadFields::default() };
    book.edit_lead(mine, &wanted, &[]).unwrap();
    let marks = [mine, mine, other, fresh].map(|lead| book.mark_read(lead).unwrap());
    assert_eq!(marks, [true, false, false, false]);
    // What the eye sees is the assignment alone; the mark is for the rules, and no act of the user: what is taken back is what they did last.
    assert_eq!((book.lead(mine).unwrap().timeline.len(), read_marks(&phone, mine)), (1, 1));
    book.undo().unwrap();
    assert_eq!((book.lead(mine).unwrap().fields.brand, read_marks(&phone, mine)), (None, 1));
}

/// C22: the timeline tells what was decided, by which rule and why, among what people did.
#[test]
fn the_timeline_explains_what_was_decided() {
    let phone = Phone::new(1, 1);
    let lead = phone.lead("市一院");
    rule(&phone, lead, 1, NOON_MS);
    directory(&phone, "rep");
    let (epoch, policy) = (EntryId([5; 16]), EntryId([6; 16]));
    let firing = Firing {
        rule: "response".into(),
        epoch,
        policy,
        why: "分配后未按时响应".into(),
        tell: vec![Who::Supervisor],
    };
    let cured = Cured { firing: EntryId([7; 16]), by: None, why: "依据已变化".into() };
    for (n, decision) in
        [(7, Decision::Fire(firing)), (8, Decision::Cure(cured)), (9, Decision::Received { entry: epoch })]
    {
        let body = serde_json::to_string(&decision).unwrap();
        let entry = Edit::Append { log: "decisions".into(), id: EntryId([n; 16]), body };
        phone.wait(1_000);
        phone.write(DocId::ruling_of(lead), vec![entry]);
    }
    let told: Vec<_> = phone.book().lead(lead).unwrap().timeline.into_iter().rev().collect();
    let texts = told.iter().filter_map(|item| match &item.what {
        Happening::Decided { rule, text, cause, policy: by } => {
            Some((rule.as_str(), text.as_str(), *cause, *by, item.user_name.as_str()))
        }
        _ => None,
    });
    assert_eq!(
        texts.collect::<Vec<_>>()[1..],
        [
            ("response", "分配后未按时响应", Some(epoch), Some(policy), "公司规则"),
            ("cure", "已解除。 依据已变化", Some(EntryId([7; 16])), None, "公司规则"),
        ]
    );
}

fn read_marks(phone: &Phone, lead: DocId) -> usize {
    let doc = phone.book().shared.read(|replica, _| replica.load(lead)).unwrap();
    let events = LeadModel::read(&doc, &NoClocks).events;
    events.iter().filter(|logged| matches!(logged.event, Event::Read {})).count()
}

/// C43, C83, C84: a note becomes fields, in the units of a lead, with the leads that it may be about; nothing is kept.
#[test]
fn a_note_becomes_fields_that_the_user_sees_first() {
    let phone = Phone::new(1, 1);
    let (lead, book) = (phone.lead("市一院"), phone.book());
    phone.lead("省立医院");
    let said =
        book.read_note("市一院张院长说3月启动CT机招标，预算380万，倾向联影", Some("2026-02-17")).unwrap();
    assert_eq!((said.contact.as_deref(), said.hospital.as_deref()), (Some("张院长"), Some("市一院")));
    assert_eq!((said.equipment.as_deref(), said.brand.as_deref()), (Some("CT"), Some("联影")));
    assert_eq!((said.budget_min_fen, said.budget_max_fen), (Some(380_000_000), Some(380_000_000)));
    assert_eq!(
        (said.from_day.as_deref(), said.until_day.as_deref()),
        (Some("2026-03-01"), Some("2026-03-31"))
    );
    assert_eq!(said.leads.iter().map(|row| row.id).collect::<Vec<_>>(), [lead]);
    assert!(matches!(book.read_note("x", Some("tomorrow")), Err(Error::Invalid(_))));
    // Without a day it is today's: noon of Monday, 2 March.
    let said = book.read_note("周五前把方案发给李主任", None).unwrap();
    assert_eq!((said.until_day.as_deref(), said.leads.len()), (Some("2026-03-06"), 0));
    assert_eq!(book.lead(lead).unwrap().fields.brand, None);
    assert!(book.first_contact("您目前最关注设备的哪个参数？").unwrap().effective);
    assert!(!book.first_contact("什么时候都可以联系我").unwrap().effective);
}

/// C38, C94: the talk pack that the end of a talk names opens, and lost deals like the lead come up, from what the phone holds.
#[test]
fn the_playbook_opens_without_signal() {
    let phone = Phone::new(1, 1);
    let (lead, book) = (phone.lead("市一院"), phone.book());
    let plan = book.end_of_talk(lead, "上次报价太贵").unwrap();
    let pack = book.talk_pack(&plan.talk_packs[0]).unwrap();
    assert_eq!((pack.title.as_str(), pack.materials[0].title.as_str()), ("嫌贵", "五年总费用测算表"));
    assert_eq!(book.material(&pack.materials[0].id).unwrap(), pack.materials[0]);
    assert!(matches!(book.talk_pack("none"), Err(Error::NotFound(_))));
    assert!(matches!(book.material("none"), Err(Error::NotFound(_))));
    assert!(book.similar_lost_deals(lead).unwrap().is_empty());

    let deal = |id: &str, equipment: &str| fieldbook_core::playbook::LostDeal {
        id: id.into(),
        equipment: equipment.into(),
        day: "2026-02-01".into(),
        point: "账期".into(),
        words: "别家给更长账期".into(),
        answer: "给分期模板".into(),
        ..Default::default()
    };
    let moment = fieldbook_core::time::Moment { wall_ms: 1, boot: 1, mono_ms: 1 };
    let stamp = fieldbook_core::time::Stamp {
        user: fieldbook_core::ids::UserId([9; 8]),
        moment,
        offset_ms: Some(0),
        last_contact_ms: 1,
    };
    let act = fieldbook_core::time::Act::new(stamp, [9; 32]);
    let genesis = fieldbook_core::document::Doc::genesis(fieldbook_core::ids::DocKind::Playbook);
    let edits = fieldbook_core::playbook::record_lost_deal(&genesis, deal("a", "64排CT"), &act);
    phone.write(DocId::playbook(), edits);
    book.shared.forget_names();
    let fields = LeadFields { equipment: Some("CT".into()), ..LeadFields::default() };
    book.edit_lead(lead, &fields, &[]).unwrap();
    let similar = book.similar_lost_deals(lead).unwrap();
    assert_eq!(similar.len(), 1);
    assert_eq!(
        (similar[0].words.as_str(), similar[0].because.as_slice()),
        ("别家给更长账期", &["设备 64排CT".to_owned()][..])
    );
    let found = book.search_playbook("账期").unwrap();
    assert_eq!((found.packs[0].id.as_str(), found.lost_deals.len()), ("payment-terms", 1));
    assert!(found.lost_deals[0].because.is_empty());
}
