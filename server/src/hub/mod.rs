//! The sync endpoint: connected phones, the gate threads behind them, and the one committer that makes their work durable.
//!
//! A push travels: socket → [`gatekeeper`] (one thread owns each document) → gate (a worker process that can be killed) → committer (one
//! flush for everybody) → answer. News travel the other way by waking sessions, which read the log behind their own cursors; nothing
//! is fanned out that a slow phone could pile up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::routing::get;
use fieldbook_core::access::Channel;
use fieldbook_core::company::CompanyError;
use fieldbook_core::ids::DeviceId;
use fieldbook_engines::{Committer, CommitterOptions};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;

use crate::app::{App, Notice};

mod gatekeeper;
mod socket;
pub mod worker;

use gatekeeper::Gatekeeper;
pub use worker::GateProgram;

/// Everything behind `/sync`.
pub struct Hub {
    app: Arc<App>,
    gatekeeper: Gatekeeper,
    committer: Arc<Committer>,
    sessions: Mutex<Sessions>,
    next_session: AtomicU64,
}

/// The sessions that are connected, by what concerns them.
#[derive(Default)]
struct Sessions {
    by_channel: BTreeMap<Channel, BTreeMap<u64, Arc<Bell>>>,
    by_device: BTreeMap<DeviceId, BTreeMap<u64, Arc<Bell>>>,
}

/// How a session is called.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    notify: Notify,
    news: AtomicBool,
    leave: AtomicBool,
    replaced: AtomicBool,
}

impl Bell {
    /// There may be news.
    fn ring(&self) {
        self.news.store(true, Ordering::Release);
        self.notify.notify_one();
    }

    /// What the phone may hold has changed: it has to connect again.
    fn send_away(&self) {
        self.leave.store(true, Ordering::Release);
        self.notify.notify_one();
    }

    /// The device has connected anew: this session is what is left of a connection that broke, or of a copy of the phone.
    fn replace(&self) {
        self.replaced.store(true, Ordering::Release);
        self.notify.notify_one();
    }
}

impl Hub {
    /// Starts the threads behind the endpoint.
    ///
    /// # Errors
    /// [`CompanyError::Store`] when the machine gives no thread, or no worker process starts.
    pub fn start(app: Arc<App>, program: GateProgram) -> Result<Arc<Self>, CompanyError> {
        let store = app.company.store().clone();
        let committer = Arc::new(Committer::start(store, CommitterOptions::default())?);
        // What a person accepts later is judged where foreign bytes may be judged, too.
        *app.gate.lock().unwrap_or_else(PoisonError::into_inner) = program.gate(&app.config.gate);
        app.read_tables_with(program.clone());
        let hub = Arc::new_cyclic(|weak| Self {
            gatekeeper: Gatekeeper::start(app.clone(), committer.clone(), weak.clone(), program),
            committer,
            sessions: Mutex::default(),
            next_session: AtomicU64::new(1),
            app,
        });
        Ok(hub)
    }

    /// The route of the endpoint. To be called within a runtime.
    pub fn router(self: &Arc<Self>) -> Router {
        tokio::spawn(listen(self.clone()));
        Router::new().route("/sync", get(socket::upgrade)).with_state(self.clone())
    }

    /// Wakes every session that these channels concern.
    pub(crate) fn wake(&self, touched: &BTreeSet<Channel>) {
        self.wake_but(touched, None);
    }

    /// Wakes every session that these channels concern, but for one.
    fn wake_but(&self, touched: &BTreeSet<Channel>, but: Option<u64>) {
        let sessions = self.sessions();
        for channel in touched {
            for (id, bell) in sessions.by_channel.get(channel).into_iter().flatten() {
                if Some(*id) != but {
                    bell.ring();
                }
            }
        }
    }

    /// How many phones are connected.
    pub fn connected(&self) -> usize {
        self.sessions().by_device.values().map(BTreeMap::len).sum()
    }

    /// Waits until everything that was pushed is on the disk.
    ///
    /// # Errors
    /// The error of the last commit that failed.
    pub fn flush(&self) -> Result<(), CompanyError> {
        self.gatekeeper.drain();
        Ok(self.committer.flush()?)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, device: DeviceId, channels: &BTreeSet<Channel>) -> (u64, Arc<Bell>) {
        let id = self.next_session.fetch_add(1, Ordering::Relaxed);
        let bell = Arc::new(Bell::default());
        let mut sessions = self.sessions();
        for channel in channels {
            sessions.by_channel.entry(*channel).or_default().insert(id, bell.clone());
        }
        let own = sessions.by_device.entry(device).or_default();
        // A device has one session, the newest.
        own.values().for_each(|older| older.replace());
        own.insert(id, bell.clone());
        metrics::gauge!(crate::metrics::SESSIONS).increment(1.0);
        (id, bell)
    }

    fn leave(&self, id: u64, device: DeviceId, channels: &BTreeSet<Channel>) {
        let mut sessions = self.sessions();
        for channel in channels {
            if let Some(there) = sessions.by_channel.get_mut(channel) {
                there.remove(&id);
                if there.is_empty() {
                    sessions.by_channel.remove(channel);
                }
            }
        }
        if let Some(there) = sessions.by_device.get_mut(&device) {
            there.remove(&id);
            if there.is_empty() {
                sessions.by_device.remove(&device);
            }
        }
        metrics::gauge!(crate::metrics::SESSIONS).decrement(1.0);
    }
}

/// Passes on what the office did.
async fn listen(hub: Arc<Hub>) {
    let mut notices = hub.app.notices.subscribe();
    let mut stopping = hub.app.stopping.subscribe();
    loop {
        // The hub keeps alive what it listens to, so only the server's end ends this.
        let notice = tokio::select! {
            notice = notices.recv() => notice,
            _ = async { stopping.wait_for(|stop| *stop).await.is_ok() } => return,
        };
        match notice {
            Ok(Notice::Channels(touched)) => hub.wake(&touched),
            Ok(Notice::Everybody) => {
                for bell in hub.sessions().by_device.values().flat_map(BTreeMap::values) {
                    bell.ring();
                }
            }
            Ok(Notice::Device(device)) => {
                for bell in hub.sessions().by_device.get(&device).into_iter().flat_map(BTreeMap::values) {
                    bell.send_away();
                }
            }
            // Some notices were missed, a revocation perhaps: everybody comes again, and is asked who they are.
            Err(RecvError::Lagged(_)) => {
                for bell in hub.sessions().by_device.values().flat_map(BTreeMap::values) {
                    bell.send_away();
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}
