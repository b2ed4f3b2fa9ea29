//! One running company: its configuration, its store and what stands on it. Everything that a handler, the hub or a command needs is
//! reached from here; nothing here knows HTTP.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use fieldbook_core::access::{Channel, Role};
use fieldbook_core::company::{Company, CompanyError, DeviceStatus, Gate, LocalGate, UserRow};
use fieldbook_core::ids::{DeviceId, DocId, UserId};
use fieldbook_core::store::StoreError;
use tokio::sync::{Notify, broadcast, watch};

use crate::auth::{Auth, Entropy, IssuedCode, Standing};
use crate::backup::tombstones::{TombstoneError, Tombstones};
use crate::config::Config;
use crate::engine::{Engine, EngineError};
use crate::evidence::{Bounds, EvidenceStore};
use crate::hub::GateProgram;
use crate::import::{ImportError, Table, TableReader, read_table};

/// Everything that the server's parts share.
pub struct App {
    /// As the operator set it.
    pub config: Config,
    /// The company's rules and rows.
    pub company: Company,
    /// Sign-in.
    pub auth: Auth,
    /// What ended for good, beside the store and outside its backups.
    pub tombstones: Arc<Tombstones>,
    /// Photos and signed forms.
    pub evidence: EvidenceStore,
    /// The engine under the company, for backup and upkeep.
    pub engine: Engine,
    /// Held by whoever works on the whole of the store's file. A backup that copies it while upkeep compacts it would keep every commit
    /// waiting.
    pub whole_store: Mutex<()>,
    /// Held by whoever makes a table of leads: one at a time.
    pub exporting: Mutex<()>,
    /// Judges held work that a person accepts. The hub replaces it by its pool of worker processes.
    pub gate: Mutex<Box<dyn Gate>>,
    /// Reads tables that are imported. Absent: they are read in this process, for tests that have no program.
    tables: OnceLock<TableReader>,
    /// Leads that just came and are to be given to somebody before all other news of the rules.
    pub fresh: Fresh,
    /// What happened that connected phones should hear of.
    pub notices: broadcast::Sender<Notice>,
    /// Turns true once, when the server begins to stop.
    pub stopping: watch::Sender<bool>,
    /// The server's clock.
    pub clock: Arc<dyn Clock>,
}

/// Leads that just came. Whoever takes them in puts them here; the rules take them, many at once.
#[derive(Default)]
pub struct Fresh {
    leads: Mutex<Vec<DocId>>,
    there: Notify,
}

impl Fresh {
    /// Puts leads. Of very many only the first are hurried; the others come with the rest of the news.
    pub fn put(&self, leads: &[DocId]) {
        let mut waiting = self.leads.lock().unwrap_or_else(PoisonError::into_inner);
        let room = FRESH_MAX.saturating_sub(waiting.len());
        waiting.extend(leads.iter().take(room));
        drop(waiting);
        self.there.notify_one();
    }

    /// Waits until there are some, and takes them.
    pub async fn take(&self) -> Vec<DocId> {
        self.there.notified().await;
        std::mem::take(&mut *self.leads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Fresh leads that wait at the most: some seconds of the rate that is asked for.
const FRESH_MAX: usize = 1_024;

/// News for the hub.
#[derive(Debug, Clone)]
pub enum Notice {
    /// These channels have new positions.
    Channels(Arc<BTreeSet<Channel>>),
    /// Documents moved between channels; everybody looks for themselves.
    Everybody,
    /// This device was revoked or reported stolen: its session ends and begins anew.
    Device(DeviceId),
}

/// Where the server's time comes from.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970 UTC.
    fn now_ms(&self) -> i64;
}

/// The machine's own clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
    }
}

/// Why a company cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A folder or file.
    #[error("{path}: {source}")]
    Folder {
        /// Which.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The store under sign-in.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The company's rows.
    #[error(transparent)]
    Company(#[from] CompanyError),
    /// The tombstones beside the store.
    #[error(transparent)]
    Tombstones(#[from] TombstoneError),
}

impl App {
    /// Opens the company of a data folder, founding it when the folder is empty.
    ///
    /// # Errors
    /// [`OpenError`]; [`StoreError::InUse`] when a server runs on this folder.
    pub fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Arc<Self>, OpenError> {
        let folder = |path: &Path, source| OpenError::Folder { path: path.display().to_string(), source };
        private_folder(&config.data_dir).map_err(|e| folder(&config.data_dir, e))?;
        let engine = Engine::open(config.engine, &config.data_dir)?;
        Self::open_on(engine, config, clock)
    }

    /// As [`App::open`], on a store that is open already; evidence lies in the data folder.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_on(engine: Engine, config: Config, clock: Arc<dyn Clock>) -> Result<Arc<Self>, OpenError> {
        let folder = |path: &Path, source| OpenError::Folder { path: path.display().to_string(), source };
        let store = engine.store();
        let company = Company::open(store.clone(), &config.company_name, &seed())?
            .with_lock_after_days(config.lock_after_days);
        let tombstones = Arc::new(Tombstones::open(&config.data_dir)?);
        let auth = Auth::new(store, config.public_url(), config.auth.clone())
            .in_epoch(company.epoch())
            .with_tombstones(tombstones.clone());
        auth.maintain(clock.now_ms(), &mut Entropy::from_system())?;
        let root = config.data_dir.join(EVIDENCE_FOLDER);
        let bounds = Bounds {
            max_bytes: config.evidence_max_bytes,
            open_uploads: config.evidence_open_uploads as usize,
        };
        let evidence = EvidenceStore::open(&root, bounds).map_err(|e| folder(&root, e))?;
        let (notices, _) = broadcast::channel(NOTICES_MAX);
        let (stopping, _) = watch::channel(false);
        let gate: Mutex<Box<dyn Gate>> = Mutex::new(Box::new(LocalGate::new(0)));
        Ok(Arc::new(Self {
            config,
            company,
            auth,
            tombstones,
            evidence,
            engine,
            whole_store: Mutex::new(()),
            exporting: Mutex::default(),
            gate,
            tables: OnceLock::new(),
            fresh: Fresh::default(),
            notices,
            stopping,
            clock,
        }))
    }

    /// The server's time.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// From now on tables are read with this program. The first one stays.
    pub fn read_tables_with(&self, program: GateProgram) {
        self.tables.get_or_init(|| TableReader::new(program));
    }

    /// Reads a foreign table.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn read_table(&self, bytes: &[u8]) -> Result<Table, ImportError> {
        self.tables.get().map_or_else(|| read_table(bytes), |reader| reader.read(bytes))
    }

    /// Tells the hub that channels have news.
    pub fn announce(&self, touched: BTreeSet<Channel>) {
        if !touched.is_empty() {
            // Without a hub nobody listens, and nobody need.
            let _ = self.notices.send(Notice::Channels(Arc::new(touched)));
        }
    }

    /// What the company says of a device now; asked at every refresh and every request.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn standing(&self, user: UserId, device: DeviceId) -> Result<Standing, StoreError> {
        match self.company.principal(device) {
            Ok(who) if who.person.user != user => Ok(Standing::Unknown),
            Ok(who) if who.status == DeviceStatus::Active => Ok(Standing::Active(who.person.role)),
            Ok(who) => Ok(Standing::Farewell(who.person.role)),
            Err(CompanyError::Unknown { .. }) => Ok(Standing::Unknown),
            Err(CompanyError::Store(error)) => Err(error),
            Err(other) => Err(StoreError::Damaged(other.to_string())),
        }
    }

    /// Makes the first administrator and a code to enrol with. `again`: another code when there is an administrator already.
    ///
    /// # Errors
    /// [`CompanyError::Refused`] when there is one and `again` is false.
    pub fn bootstrap(&self, name: &str, again: bool) -> Result<IssuedCode, CompanyError> {
        let mut entropy = Entropy::from_system();
        let now_ms = self.now_ms();
        let admin = self.company.users()?.into_iter().find(|(_, row)| row.role == Role::Admin && row.active);
        let user = match admin {
            Some(_) if !again => {
                let reason =
                    "this company has an administrator; `fieldbook init --again` makes another code for them";
                return Err(CompanyError::Refused(reason.into()));
            }
            Some((user, _)) => user,
            None => {
                let user = entropy.user();
                let row = UserRow { name: name.to_owned(), role: Role::Admin, team: None, active: true };
                self.company.put_user(user, row, now_ms)?;
                user
            }
        };
        Ok(self.auth.issue_code(user, None, now_ms, &mut entropy)?)
    }
}

/// Runs what blocks (the store, the disk) beside the runtime's own threads.
///
/// # Panics
/// When `work` panicked; the panic goes on in the caller.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

/// Makes a folder that only its owner enters: it holds customers' data and signing keys.
///
/// # Errors
/// What the system says.
pub fn private_folder(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn seed() -> [u8; 64] {
    let mut entropy = Entropy::from_system();
    let mut seed = [0; 64];
    seed[..32].copy_from_slice(&entropy.draw::<32>());
    seed[32..].copy_from_slice(&entropy.draw::<32>());
    seed
}

/// Where evidence lies in the data folder.
pub const EVIDENCE_FOLDER: &str = "evidence";
/// News that a slow hub may lag behind before it reads the log itself.
const NOTICES_MAX: usize = 1_024;
