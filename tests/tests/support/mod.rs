//! A real company for tests: a server on a free port of this machine with its store on the disk, and phones with theirs.
#![allow(dead_code, reason = "every test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use fieldbook_core::access::Role;
use fieldbook_core::company::{NewLead, TeamRow, UserRow};
use fieldbook_core::document::{Edit, NoClocks};
use fieldbook_core::ids::{DocId, DocKind, EntryId, TeamId, UserId};
use fieldbook_device::{
    Change, Config, Fieldbook, Language, LeadQuery, LeadRow, Listener, Subscription, SyncReport,
};
use fieldbook_server::app::{App, SystemClock};
use fieldbook_server::auth::Entropy;
use fieldbook_server::backup::{self, Reapplied};
use fieldbook_server::hub::{GateProgram, Hub};
use fieldbook_server::serve::{self, Running};
use tokio::runtime::Runtime;

pub mod line;

/// Long enough for a loaded machine; no test waits for it when all is well.
pub const LONG: Duration = Duration::from_secs(60);

/// A server that runs.
pub struct Office {
    folder: PathBuf,
    /// The server's data folder in it; every restore begins another.
    data: String,
    listen: String,
    settings: Vec<(String, String)>,
    running: Option<(Runtime, Arc<App>, Running)>,
    team: TeamId,
}

impl Office {
    /// A company in `folder`, with one team.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// As [`Office::start`], with further settings of the server.
    pub fn start_with(folder: &Path, settings: &[(&str, String)]) -> Self {
        let settings = settings.iter().map(|(k, v)| (k.to_string(), v.clone())).collect();
        let mut office = Self {
            folder: folder.to_owned(),
            data: "server".into(),
            listen: "127.0.0.1:0".into(),
            settings,
            running: None,
            team: TeamId([7; 8]),
        };
        office.open();
        let team = TeamRow { name: "华东组".into(), parent: None, leaders: Vec::new() };
        office.app().company.put_team(office.team, team, office.app().now_ms()).unwrap();
        office
    }

    /// Opens the door (again), on the address that it had.
    pub fn open(&mut self) {
        let mut config = self.server_config();
        let runtime = Runtime::new().unwrap();
        let (app, running) = runtime.block_on(async {
            let listener = serve::bind(&mut config).unwrap();
            let app = App::open(config, Arc::new(SystemClock)).unwrap();
            let hub = Hub::start(app.clone(), GateProgram::InProcess).unwrap();
            let running = serve::start(app.clone(), hub, listener).unwrap();
            (app, running)
        });
        self.listen = running.address.to_string();
        self.running = Some((runtime, app, running));
    }

    fn server_config(&self) -> fieldbook_server::config::Config {
        let mut variables = vec![
            ("FIELDBOOK_SERVER_LISTEN".to_owned(), self.listen.clone()),
            ("FIELDBOOK_SERVER_DATA_DIR".to_owned(), self.data_folder().display().to_string()),
            ("FIELDBOOK_SERVER_SHUTDOWN_S".to_owned(), "1".to_owned()),
        ];
        variables.extend(self.settings.iter().cloned());
        fieldbook_server::config::Config::load(None, variables).unwrap()
    }

    /// Changes a setting; it holds from the next opening.
    pub fn set(&mut self, variable: &str, value: &str) {
        self.settings.push((variable.into(), value.into()));
    }

    pub fn data_folder(&self) -> PathBuf {
        self.folder.join(&self.data)
    }

    /// A backup of the running server.
    pub fn backup(&self, name: &str) -> PathBuf {
        let to = self.folder.join(name);
        backup::make(self.app(), &to).unwrap();
        to
    }

    /// The server is gone; another one, with nothing but the backup and perhaps the tombstones, opens on its address.
    pub fn restore(&mut self, from: &Path, tombstones: Option<&Path>) -> Reapplied {
        self.close();
        self.data.push_str("-again");
        let reapplied = backup::restore(&self.server_config(), from, tombstones).unwrap().reapplied;
        self.open();
        reapplied
    }

    /// Stops the server in order. Its data stay.
    pub fn close(&mut self) {
        if let Some((runtime, app, running)) = self.running.take() {
            runtime.block_on(running.stop()).unwrap();
            drop(app);
        }
    }

    pub fn app(&self) -> &Arc<App> {
        &self.running.as_ref().unwrap().1
    }

    pub fn address(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// A new colleague. A manager leads the team.
    pub fn hire(&self, name: &str, role: Role) -> UserId {
        let (app, user) = (self.app(), Entropy::from_system().user());
        let row = UserRow { name: name.into(), role, team: Some(self.team), active: true };
        app.company.put_user(user, row, app.now_ms()).unwrap();
        if role == Role::Manager {
            let team = TeamRow { name: "华东组".into(), parent: None, leaders: vec![user] };
            app.company.put_team(self.team, team, app.now_ms()).unwrap();
        }
        user
    }

    /// A code for a phone of this user.
    pub fn code(&self, user: UserId) -> String {
        let app = self.app();
        app.auth.issue_code(user, None, app.now_ms(), &mut Entropy::from_system()).unwrap().text
    }

    /// What the QR code for a phone of this user holds.
    pub fn invitation(&self, user: UserId) -> String {
        format!("{}/enrol#{}", self.address(), self.code(user))
    }

    /// An access token of this user, at a console of theirs.
    pub fn sign_in(&self, user: UserId) -> String {
        let code = self.code(user);
        let body = format!(r#"{{"code":"{code}","claim":"claim of {user}","device_name":"console"}}"#);
        let (status, said) = self.request("POST", "/api/enrol", None, &body);
        assert_eq!(status, 200, "{said}");
        let token = said.split(r#""access_token":""#).nth(1).unwrap();
        token.split('"').next().unwrap().to_owned()
    }

    /// A request of the console with JSON; its status and the answer's body.
    pub fn request(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.listen).unwrap();
        let bearer = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bearer}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// An enrolled phone of this user, its store in the office's folder.
    pub fn phone(&self, user: UserId, name: &str) -> Phone {
        let phone = Phone::new(&self.folder, name);
        phone.book().enrol(&self.invitation(user), name, LONG, None).unwrap();
        phone
    }

    /// A lead from the office.
    pub fn lead(&self, owner: UserId, customer: &str) -> DocId {
        let mut entropy = Entropy::from_system();
        let id = DocId::fresh(DocKind::Lead, EntryId(entropy.draw()));
        let set = |field: &str, value: &str| Edit::Set { field: field.into(), value: value.into() };
        let edits =
            vec![set("customer_name", customer), set("contact_phone", "13800000000"), set("need", "采购")];
        let lead = NewLead { id, edits, owner: Some(owner), ..NewLead::default() };
        let (_, touched) = self.app().company.intake(&[lead], self.app().now_ms()).unwrap();
        self.app().announce(touched);
        id
    }

    /// Moves a lead, as a manager does in the console.
    pub fn assign(&self, lead: DocId, to: UserId, by: UserId) {
        let app = self.app();
        let assigned = app.company.assign(lead, to, by, "调整", app.now_ms()).unwrap();
        app.announce(assigned.touched);
    }

    /// A register as the server has it.
    pub fn value(&self, doc: DocId, field: &str) -> Option<String> {
        self.app().company.load(doc).unwrap().value(field, &NoClocks).map(|value| value.to_string())
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        if let Some((runtime, ..)) = self.running.take() {
            runtime.shutdown_background();
        }
    }
}

/// A phone with its store on the disk.
pub struct Phone {
    path: PathBuf,
    book: Option<Fieldbook>,
}

pub const KEY: [u8; 32] = [0x42; 32];

impl Phone {
    /// A phone that is not enrolled.
    pub fn new(folder: &Path, name: &str) -> Self {
        let mut phone = Self { path: folder.join(format!("{name}.fieldbook")), book: None };
        phone.open();
        phone
    }

    pub fn config(&self) -> Config {
        Config { language: Language::Chinese, agent: "tests/1".into(), ..Config::new(&self.path, KEY) }
    }

    /// Opens the app (again).
    pub fn open(&mut self) {
        self.book = Some(Fieldbook::open(self.config()).unwrap());
    }

    /// Closes the app.
    pub fn close(&mut self) {
        self.book.take().unwrap().shutdown();
    }

    pub fn book(&self) -> &Fieldbook {
        self.book.as_ref().unwrap()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn sync(&self) -> SyncReport {
        self.book().sync_now(LONG, None).unwrap()
    }

    pub fn leads(&self, text: &str) -> Vec<LeadRow> {
        self.book().leads(&LeadQuery { text: text.into(), ..LeadQuery::default() }).unwrap()
    }

    /// Listens from now on.
    pub fn listen(&self) -> Ear {
        let (tx, changes) = channel();
        let subscription = self.book().subscribe(Arc::new(Relay(std::sync::Mutex::new(tx)))).unwrap();
        Ear { changes, _subscription: subscription }
    }
}

/// Hears changes.
pub struct Ear {
    changes: Receiver<Change>,
    _subscription: Subscription,
}

impl Ear {
    /// Waits, from change to change, until `holds`.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let by = std::time::Instant::now() + LONG;
        while !holds() {
            let left = by.saturating_duration_since(std::time::Instant::now());
            assert!(self.changes.recv_timeout(left).is_ok(), "in vain: {what}");
        }
    }

    /// Everything up to the end.
    pub fn rest(&self) -> Vec<Change> {
        self.changes.iter().collect()
    }
}

struct Relay(std::sync::Mutex<Sender<Change>>);

impl Listener for Relay {
    fn on_change(&self, change: Change) {
        let _ = self.0.lock().unwrap().send(change);
    }
}
