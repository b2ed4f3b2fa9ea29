//! The company that is measured: people, devices with tokens, and leads such as reps have them. Made through the server's own library
//! before the server starts. Every value is drawn from a seed, so that two runs measure the same company.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use fieldbook_core::access::{Channel, Role};
use fieldbook_core::company::{Company, Gate, Incoming, LocalGate, NewLead, Settled, TeamRow, UserRow};
use fieldbook_core::document::{Doc, Edit, Value};
use fieldbook_core::ids::{Actor, DeviceId, DocId, DocKind, EntryId, TeamId, UserId};
use fieldbook_core::model::{LeadFields, Visit};
use fieldbook_core::sync::message::Push;
use fieldbook_core::time::{Moment, Stamp};
use fieldbook_server::app::{App, SystemClock};
use fieldbook_server::auth::{Entropy, Scope};
use fieldbook_server::config::Config;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use crate::Fail;

/// A data folder with a company in it, and where its server will listen.
pub struct Firm {
    folder: TempDir,
    /// The port of its server.
    pub port: u16,
    tls: Option<(String, String)>,
}

/// Somebody with a phone.
#[derive(Debug, Clone)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Their phone.
    pub device: DeviceId,
    /// A valid access token.
    pub token: String,
    /// The channels that the phone may hold.
    pub channels: Vec<Channel>,
}

impl Firm {
    /// An empty folder under `scratch`.
    ///
    /// # Errors
    /// The disk's.
    pub fn found(scratch: &Path) -> Result<Self, Fail> {
        let folder = tempfile::Builder::new().prefix("fieldbook-bench-").tempdir_in(scratch)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self { folder, port, tls: None })
    }

    /// Lets its server speak TLS with this certificate and key (PEM files).
    #[must_use]
    pub fn with_tls(mut self, cert: &Path, key: &Path) -> Self {
        self.tls = Some((cert.display().to_string(), key.display().to_string()));
        self
    }

    /// Where it lies; the phones of a row may lie beside it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration as environment variables: what is not named is the product's default.
    pub fn variables(&self) -> Vec<(String, String)> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut all = vec![
            ("FIELDBOOK_SERVER_DATA_DIR".to_owned(), self.folder.path().join("data").display().to_string()),
            ("FIELDBOOK_SERVER_LISTEN".to_owned(), format!("127.0.0.1:{}", self.port)),
            ("FIELDBOOK_SERVER_PUBLIC_URL".to_owned(), format!("{scheme}://127.0.0.1:{}", self.port)),
            // A run takes longer than an access token lives by default.
            ("FIELDBOOK_AUTH_ACCESS_TTL_S".to_owned(), "86400".to_owned()),
            ("FIELDBOOK_LOG_LEVEL".to_owned(), "warn".to_owned()),
        ];
        if let Some((cert, key)) = &self.tls {
            all.push(("FIELDBOOK_TLS_CERT".to_owned(), cert.clone()));
            all.push(("FIELDBOOK_TLS_KEY".to_owned(), key.clone()));
        }
        all
    }

    /// The configuration, read as the server reads it.
    ///
    /// # Errors
    /// A bad value.
    pub fn config(&self) -> Result<Config, Fail> {
        Ok(Config::load(None, self.variables())?)
    }

    /// The company, open in this process; close it before its server starts.
    ///
    /// # Errors
    /// The store's.
    pub fn open(&self) -> Result<Office, Fail> {
        let app = App::open(self.config()?, Arc::new(SystemClock))?;
        if app.company.teams()?.is_empty() {
            let row = TeamRow { name: "华东一组".into(), parent: None, leaders: vec![HEAD] };
            app.company.put_team(TEAM, row, app.now_ms())?;
        }
        Ok(Office { app })
    }
}

/// A company that is open in this process.
pub struct Office {
    app: Arc<App>,
}

impl Office {
    /// The company.
    pub fn company(&self) -> &Company {
        &self.app.company
    }

    /// Enrols somebody of the team. The first manager leads it.
    ///
    /// # Errors
    /// The company's.
    pub fn hire(&self, number: u64, role: Role) -> Result<Member, Fail> {
        let user = if role == Role::Manager { HEAD } else { UserId(number.to_be_bytes()) };
        let row = UserRow { name: format!("员工{number:04}"), role, team: Some(TEAM), active: true };
        self.company().put_user(user, row, self.app.now_ms())?;
        self.hand_out(user, role)
    }

    /// Another phone for somebody.
    ///
    /// # Errors
    /// The company's.
    pub fn hand_out(&self, user: UserId, role: Role) -> Result<Member, Fail> {
        let mut entropy = Entropy::from_system();
        let device = entropy.device();
        let now_ms = self.app.now_ms();
        self.company().put_device(device, user, "phone", now_ms)?;
        let (token, _) = self.app.auth.issue_access(user, device, role, Scope::Full, now_ms, &mut entropy)?;
        let channels = self.company().person(user)?.channels().into_iter().collect();
        Ok(Member { user, device, token, channels })
    }

    /// A code with which an app enrols a phone for somebody.
    ///
    /// # Errors
    /// The company's.
    pub fn code(&self, user: UserId) -> Result<String, Fail> {
        let mut entropy = Entropy::from_system();
        Ok(self.app.auth.issue_code(user, None, self.app.now_ms(), &mut entropy)?.text)
    }

    /// Takes in leads for somebody: each with ruling and advancement table.
    ///
    /// # Errors
    /// The company's.
    pub fn intake(&self, owner: UserId, count: usize, seed: u64) -> Result<Vec<DocId>, Fail> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut ids = Vec::with_capacity(count);
        while ids.len() < count {
            let lot = (count - ids.len()).min(LOT);
            let leads: Vec<NewLead> = (0..lot).map(|_| new_lead(&mut rng, owner)).collect();
            ids.extend(leads.iter().map(|lead| lead.id));
            self.company().intake(&leads, self.app.now_ms())?;
        }
        Ok(ids)
    }

    /// Lets a device push `each` edits to each lead and two ticks to its table, through the gate: leads that somebody has worked.
    ///
    /// # Errors
    /// The company's.
    pub fn work(&self, member: &Member, leads: &[DocId], each: usize, seed: u64) -> Result<(), Fail> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut gate = LocalGate::new(0);
        let mut number = 0;
        for lot in leads.chunks(LOT) {
            let mut pushes = Vec::new();
            for lead in lot {
                let mut doc = self.company().load(*lead)?;
                let mut changes = Vec::new();
                for _ in 0..each {
                    changes.push(edit(&mut doc, member, &visit(&mut rng))?.into());
                }
                number += 1;
                pushes.push(Push { id: number, doc: *lead, origin: None, changes });
                let id = DocId::advancement_of(*lead);
                let mut table = self.company().load(id)?;
                let origin = self.company().header(id)?.and_then(|header| header.origin);
                let ticks = [tick("decision_maker"), tick("budget_approval")];
                let changes =
                    ticks.iter().map(|tick| Ok(edit(&mut table, member, std::slice::from_ref(tick))?.into()));
                number += 1;
                pushes.push(Push {
                    id: number,
                    doc: id,
                    origin,
                    changes: changes.collect::<Result<_, Fail>>()?,
                });
            }
            commit(self.company(), member, pushes, &mut gate)?;
        }
        Ok(())
    }

    /// Closes the company's store.
    ///
    /// # Errors
    /// The store's.
    pub fn close(self) -> Result<(), Fail> {
        Ok(self.app.engine.close()?)
    }
}

/// Puts pushes through a gate and commits them together.
fn commit(company: &Company, member: &Member, pushes: Vec<Push>, gate: &mut dyn Gate) -> Result<(), Fail> {
    let who = company.principal(member.device)?;
    let mut prepared = Vec::with_capacity(pushes.len());
    for push in pushes {
        let incoming = [Incoming { who: who.clone(), push }];
        prepared.push(company.prepare(incoming[0].push.doc, &incoming, gate, now().wall_ms)?);
    }
    let batches = prepared.iter_mut().map(|one| std::mem::take(&mut one.batch)).collect();
    for (one, outcome) in prepared.into_iter().zip(company.store().commit(batches)?) {
        let Settled::Done { answers, .. } = one.settle(outcome) else {
            return Err("the store is contended".into());
        };
        for answer in answers {
            crate::light::durable(&answer)?;
        }
    }
    Ok(())
}

/// One change of a member's phone; its bytes.
///
/// # Errors
/// The document's.
pub fn edit(doc: &mut Doc, member: &Member, edits: &[Edit]) -> Result<Vec<u8>, Fail> {
    let actor = Actor { device: member.device, incarnation: 1 };
    let moment = now();
    let offset_ms = Some(moment.wall_ms - moment.mono_ms as i64);
    let stamp = Stamp { user: member.user, moment, offset_ms, last_contact_ms: moment.wall_ms };
    Ok(doc.edit(actor, &stamp, edits)?.change)
}

/// This machine's clocks, as a phone reads its own.
pub fn now() -> Moment {
    use std::sync::OnceLock;
    use std::time::{Instant, SystemTime, UNIX_EPOCH};
    static BOOTED: OnceLock<Instant> = OnceLock::new();
    let mono = BOOTED.get_or_init(Instant::now).elapsed();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment { wall_ms: wall.as_millis() as i64, boot: 7, mono_ms: 1_000 + mono.as_millis() as u64 }
}

/// A visit as a rep logs it in ten seconds: an entry of the log, and the two fields that it fills in.
pub fn visit(rng: &mut StdRng) -> Vec<Edit> {
    let next = pick(rng, NEXT);
    let state = pick(rng, STATES);
    let body = serde_json::json!({
        "type": "visit", "customer_state": state, "next_action": next,
        "expected_close": format!("2026-{:02}", rng.random_range(1..13)),
    });
    vec![
        Edit::Append { log: "events".into(), id: EntryId(rng.random()), body: body.to_string() },
        Edit::Set {
            field: "customer_state".into(),
            value: format!("{state}{}", rng.random_range(0..1_000)).as_str().into(),
        },
        Edit::Set {
            field: "next_action".into(),
            value: format!("{next}{}", rng.random_range(0..1_000)).as_str().into(),
        },
    ]
}

/// The same visit as an app tells it.
pub fn told_visit(rng: &mut StdRng) -> Visit {
    Visit {
        customer_state: format!("{}{}", pick(rng, STATES), rng.random_range(0..1_000)),
        next_action: format!("{}{}", pick(rng, NEXT), rng.random_range(0..1_000)),
        expected_close: format!("2026-{:02}", rng.random_range(1..13)),
        ..Visit::default()
    }
}

/// One field, as an app writes it anew.
pub fn told_field(rng: &mut StdRng) -> LeadFields {
    let value = format!("{}{}", pick(rng, NEXT), rng.random_range(0..1_000_000));
    LeadFields { next_action: Some(value), ..LeadFields::default() }
}

/// One field, written anew: the smallest edit there is.
pub fn field(rng: &mut StdRng) -> Vec<Edit> {
    let value = format!("{}{}", pick(rng, NEXT), rng.random_range(0..1_000_000));
    vec![Edit::Set { field: "next_action".into(), value: value.as_str().into() }]
}

/// A tick of the advancement table (C55).
pub fn tick(row: &str) -> Edit {
    Edit::SetIn { field: "ticks".into(), key: row.into(), value: Value::Bool(true) }
}

/// A lead right after its intake, for the yardstick.
///
/// # Errors
/// The document's.
pub fn sample_lead() -> Result<Doc, Fail> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut doc = Doc::genesis(DocKind::Lead);
    let member = Member { user: HEAD, device: DeviceId([1; 8]), token: String::new(), channels: Vec::new() };
    edit(&mut doc, &member, &lead_edits(&mut rng))?;
    Ok(doc)
}

fn new_lead(rng: &mut StdRng, owner: UserId) -> NewLead {
    let id = DocId::fresh(DocKind::Lead, EntryId(rng.random()));
    let source = pick(rng, SOURCES).to_owned();
    NewLead {
        id,
        edits: lead_edits(rng),
        owner: Some(owner),
        first_source: Some(source),
        ..NewLead::default()
    }
}

/// What a marketing department knows of a lead: a dozen fields, one contact, two lines of notes.
fn lead_edits(rng: &mut StdRng) -> Vec<Edit> {
    let place = pick(rng, PLACES);
    let hospital = format!("{place}{}{}", pick(rng, NAMES), pick(rng, HOSPITALS));
    let phone = format!("1{:010}", rng.random_range(3_000_000_000_u64..9_999_999_999));
    let low: i64 = rng.random_range(10..900) * 1_000_000;
    let mut edits: Vec<Edit> = [
        ("customer_name", Value::from(hospital.as_str())),
        ("contact_phone", Value::from(phone.as_str())),
        ("need", Value::from(pick(rng, &["采购", "维保", "升级"]))),
        ("hospital", Value::from(hospital.as_str())),
        ("department", Value::from(pick(rng, DEPARTMENTS))),
        ("equipment", Value::from(pick(rng, EQUIPMENT))),
        ("brand", Value::from(pick(rng, BRANDS))),
        ("budget_min_fen", Value::Int(low)),
        ("budget_max_fen", Value::Int(low * 2)),
        ("source", Value::from(pick(rng, SOURCES))),
        ("province", Value::from(place)),
        ("purchase_timing", Value::Text(format!("2026年第{}季度", rng.random_range(1..5)))),
    ]
    .into_iter()
    .map(|(field, value)| Edit::Set { field: field.into(), value })
    .collect();
    let surname = pick(rng, SURNAMES);
    let contact = [
        ("name".to_owned(), Value::Text(format!("{surname}{}", pick(rng, TITLES)))),
        ("role".to_owned(), Value::from(pick(rng, TITLES))),
        ("phone".to_owned(), Value::from(phone.as_str())),
    ];
    edits.push(Edit::AddRecord {
        field: "contacts".into(),
        id: EntryId(rng.random()),
        values: contact.into_iter().collect::<BTreeMap<_, _>>(),
    });
    let notes = format!("{}，{}；{}。", pick(rng, STATES), pick(rng, NEXT), pick(rng, STATES));
    edits.push(Edit::Splice { text: "notes".into(), at: 0, delete: 0, insert: notes });
    edits
}

fn pick<'a>(rng: &mut StdRng, from: &[&'a str]) -> &'a str {
    from[rng.random_range(0..from.len())]
}

const TEAM: TeamId = TeamId([77; 8]);
/// Who leads the team.
const HEAD: UserId = UserId([0xee; 8]);
/// Leads, or pushes to leads, of one commit of the set-up.
const LOT: usize = 250;
const PLACES: &[&str] =
    &["北京", "上海", "浙江", "江苏", "广东", "四川", "湖北", "山东", "河南", "陕西", "辽宁", "福建"];
const NAMES: &[&str] =
    &["第一", "第二", "第三", "中心", "协和", "同济", "华山", "仁济", "省立", "友谊", "朝阳", "西京"];
const HOSPITALS: &[&str] = &["人民医院", "医院", "医科大学附属医院", "中医院", "妇幼保健院", "肿瘤医院"];
const DEPARTMENTS: &[&str] =
    &["放射科", "心内科", "超声科", "检验科", "骨科", "手术室", "急诊科", "内镜中心"];
const EQUIPMENT: &[&str] =
    &["64排CT", "1.5T磁共振", "彩超", "DSA", "全自动生化仪", "电子内镜", "呼吸机", "C形臂"];
const BRANDS: &[&str] = &["西门子", "联影", "飞利浦", "迈瑞", "东软", "富士", "奥林巴斯", "未定"];
const SOURCES: &[&str] = &["展会", "官网", "转介绍", "招标公告", "学术会议", "电话"];
const SURNAMES: &[&str] = &["张", "王", "李", "赵", "陈", "刘", "杨", "黄", "周", "吴"];
const TITLES: &[&str] = &["院长", "主任", "设备科长", "采购员", "护士长", "副院长"];
const STATES: &[&str] = &[
    "预算已上院办会",
    "等待招标公告",
    "对比三家报价",
    "主任倾向国产",
    "设备科初审通过",
    "院长出差未定",
    "旧机报废流程中",
];
const NEXT: &[&str] = &[
    "下周送技术参数",
    "约院长面谈",
    "补交资质文件",
    "安排样机试用",
    "确认机房尺寸",
    "请临床专家到访",
    "跟进招标时间",
];
