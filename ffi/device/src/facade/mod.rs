//! The one handle of an app. Reading and writing the documents is in the files beside this one, a subject each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fieldbook_core::replica::Replica;
use fieldbook_engines::{SecureStore, StoreKey};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::cancel::CancelToken;
use crate::config::{Config, Surroundings};
use crate::error::Error;
use crate::listen::{Listener, Notifier, Subscription};
use crate::net::{Dialer, Invitation};
use crate::records::{Me, Network, Status, SyncReport};
use crate::shared::{Shared, lock};
use crate::sync::{Engine, run, sign_in, upload, within};
use crate::timing::GOODBYE;
use crate::words::Language;
use crate::{blobs, words};

mod accounts;
mod calendar;
mod conflicts;
mod dictation;
mod evidence;
mod home;
mod judge;
mod judged;
mod kept;
mod leads;
mod log;
mod page;
mod phones;
mod playbook;
mod sheet;
mod talk;
#[cfg(test)]
mod tests;

/// The one handle of an app, usable from any thread. Dropping it shuts it down.
pub struct Fieldbook {
    shared: Arc<Shared>,
    handle: Handle,
    /// The runtime and its one lasting task; gone after the end.
    running: Mutex<Option<(Runtime, JoinHandle<()>)>>,
}

impl Fieldbook {
    /// Opens or makes the store at `config.path`.
    ///
    /// # Errors
    /// [`Error::WrongKey`], [`Error::StoreTooNew`], [`Error::StoreInUse`], [`Error::StoreDamaged`], [`Error::Disk`]; [`Error::Certificate`]
    /// when the extra certificates cannot be read.
    pub fn open(config: Config) -> Result<Self, Error> {
        Self::open_in(config, Surroundings::default())
    }

    /// As [`Fieldbook::open`], with clocks and entropy of the caller's.
    ///
    /// # Errors
    /// As there.
    pub fn open_in(config: Config, surroundings: Surroundings) -> Result<Self, Error> {
        let Surroundings { clock, entropy } = surroundings;
        let dialer = Dialer::new(config.extra_roots_pem.as_deref(), config.allow_plain_http)?;
        let store = Arc::new(SecureStore::open(&config.path, &StoreKey(config.key), entropy.seed())?);
        let replica = Replica::open(store.clone())?;
        blobs::clean(&store)?;
        let system = |e: std::io::Error| Error::System(e.to_string());
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fieldbook-sync")
            .enable_all()
            .build()
            .map_err(system)?;
        let shared = Arc::new(Shared {
            replica: Mutex::new(Some(replica)),
            store,
            clock,
            entropy,
            agent: config.agent.chars().filter(|c| !c.is_control()).take(100).collect(),
            language: config.language,
            dialer,
            notifier: Notifier::start().map_err(system)?,
            engine: Engine::default(),
            refreshing: tokio::sync::Mutex::default(),
            attaching: Mutex::default(),
            fetching: Mutex::default(),
            names: Mutex::default(),
            policies: Mutex::default(),
            playbook: Mutex::default(),
        });
        // A phone that ended in the middle of its wipe is told so by nobody again.
        if !shared.with(|replica, _| Ok::<_, Error>(replica.identity().is_ok()))? {
            shared.scrub_wiped();
        }
        let handle = runtime.handle().clone();
        let engine = handle.spawn(run(shared.clone()));
        Ok(Self { shared, handle, running: Mutex::new(Some((runtime, engine))) })
    }

    /// Enrols this phone with the content of a QR code (`https://…/enrol#CODE`). `device_name` is what the user calls the phone, 1 to 100
    /// characters. Repeating it after a lost answer costs no second code.
    ///
    /// A phone that is signed out ([`Error::SignedOut`]) comes back by a new code for the same user: it stays the device that it is, and keeps
    /// what it holds and what waits for the server.
    ///
    /// # Errors
    /// [`Error::Invitation`]; [`Error::AlreadyEnrolled`] when the phone is signed in, or the code is not for its user or not of its server;
    /// [`Error::SignedOut`] for a phone that was revoked; [`Error::Server`] with the server's code, [`Error::Certificate`],
    /// [`Error::PlainHttp`], [`Error::Offline`], [`Error::TimedOut`], [`Error::Cancelled`].
    pub fn enrol(
        &self,
        invitation: &str,
        device_name: &str,
        limit: Duration,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Me, Error> {
        let invitation = Invitation::parse(invitation)?;
        let name = device_name.trim().to_owned();
        if name.is_empty() || name.chars().count() > 100 {
            return Err(Error::Invalid("a device needs a name of 1 to 100 characters".into()));
        }
        let shared = self.shared.clone();
        self.long(limit, cancel, async move { sign_in::enrol(&shared, &invitation, &name).await })?;
        self.shared.notifier.tell([crate::Change::Status]);
        self.me()
    }

    /// Who this phone is.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`].
    pub fn me(&self) -> Result<Me, Error> {
        self.shared.with(|replica, _| {
            let identity = replica.identity()?.clone();
            Ok::<_, Error>(Me {
                device: identity.device,
                user: identity.user,
                user_name: identity.user_name,
                company: identity.company,
                server: identity.server_url,
                zone: identity.zone,
            })
        })
    }

    /// Sends everything up and takes everything down, once. With a standing connection, over a fresh one that then stands.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`], [`Error::Offline`], [`Error::TimedOut`], [`Error::Cancelled`], [`Error::SignedOut`], [`Error::Wiped`],
    /// [`Error::Version`], [`Error::Certificate`]. What went either way until then stays.
    pub fn sync_now(&self, limit: Duration, cancel: Option<Arc<CancelToken>>) -> Result<SyncReport, Error> {
        self.me()?;
        let answer = self.shared.engine.ask_round()?;
        let report = self.long(limit, cancel, async move { answer.await.unwrap_or(Err(Error::Closed)) });
        if report.is_err() {
            self.shared.engine.nudge();
        }
        report
    }

    /// Stays connected from now on: sends edits as they are made, takes news as they come, comes back after a loss.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`], [`Error::Closed`].
    pub fn start_background(&self) -> Result<(), Error> {
        self.me()?;
        self.shared.engine.set_background(true);
        Ok(())
    }

    /// Ends the standing connection. What is under way is sent again next time.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn stop_background(&self) -> Result<(), Error> {
        self.open_still()?;
        self.shared.engine.set_background(false);
        Ok(())
    }

    /// Tells what the system says of the network. A change ends a pause between attempts.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn set_network(&self, network: Network) -> Result<(), Error> {
        self.open_still()?;
        self.shared.engine.set_network(network);
        Ok(())
    }

    /// How things stand. Works in a locked and in a not enrolled phone.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error`] of the store.
    pub fn status(&self) -> Result<Status, Error> {
        let (enrolled, status) = self
            .shared
            .with(|replica, now| Ok::<_, Error>((replica.identity().is_ok(), replica.status(now)?)))?;
        let (background, online, error) = self.shared.engine.state();
        let evidence = upload::waiting(&self.shared)?;
        Ok(Status {
            enrolled,
            unanswered: status.unanswered,
            evidence_waiting: evidence.to_send,
            evidence_refused: evidence.refused,
            held: status.kept as u32,
            last_contact_ms: status.last_contact_ms,
            clock_skew_ms: status.clock_skew_ms,
            clock_doubtful: status.clock_skew_ms.abs() > fieldbook_core::limits::CLOCK_DOUBT_MS,
            locked: status.locked,
            complete: status.complete,
            online,
            background,
            last_error: error.as_ref().map_or(String::new(), |e| e.code().to_owned()),
            last_error_text: error.map_or(String::new(), |e| e.text(self.shared.language)),
        })
    }

    /// Calls `listener` with every change from now on, until the subscription is cancelled or dropped.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn subscribe(&self, listener: Arc<dyn Listener>) -> Result<Subscription, Error> {
        self.shared.notifier.subscribe(listener).ok_or(Error::Closed)
    }

    /// For the moment when the app goes to the background: leaves the store so that it opens fast even after a kill.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error`] of the store.
    pub fn settle(&self) -> Result<(), Error> {
        self.open_still()?;
        Ok(self.shared.store.settle()?)
    }

    /// For a phone on its charger: when documents have left since the last time, writes the store anew, so that no byte of them is left in
    /// its file; otherwise compacts it when that is worth it. Other calls wait meanwhile.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error`] of the store.
    pub fn maintain(&self) -> Result<(), Error> {
        self.open_still()?;
        if !self.shared.scrub()? {
            self.shared.store.maintain()?;
        }
        Ok(())
    }

    /// Deletes everything that this phone holds and forgets its enrolment: for a user who leaves, or a phone that is signed out for good.
    /// With `discard_unsent` also work that the server does not have.
    ///
    /// # Errors
    /// [`Error::Invalid`] when work would be lost that is not to be discarded; [`Error::Closed`]; [`Error`] of the store.
    pub fn leave(&self, discard_unsent: bool) -> Result<(), Error> {
        self.shared.engine.set_background(false);
        let waiting = upload::waiting(&self.shared)?;
        let evidence = waiting.to_send + waiting.refused;
        self.shared.with(|replica, _| {
            let unsent = replica.unanswered();
            if !discard_unsent && (unsent > 0 || evidence > 0) {
                return Err(Error::Invalid(format!(
                    "{unsent} changes and {evidence} pieces of evidence are not on the server"
                )));
            }
            Ok(replica.wipe_all()?)
        })?;
        self.shared.scrub_wiped();
        self.shared.forget_names();
        self.shared.notifier.tell([crate::Change::Everything]);
        Ok(())
    }

    /// The language in which this handle was opened.
    pub fn language(&self) -> Language {
        self.shared.language
    }

    /// The sentence for a code, for codes that come without their error ([`crate::KeptItem`], [`Status`]).
    pub fn sentence(&self, code: &str) -> &'static str {
        words::sentence(code, self.shared.language)
    }

    /// Ends everything: the connection, the listeners (with [`crate::Change::Closed`]) and the hold on the store's file. Every later call
    /// answers [`Error::Closed`]. Safe to repeat.
    pub fn shutdown(&self) {
        self.shared.engine.stop();
        let Some((runtime, engine)) = lock(&self.running).take() else { return };
        // The connection says goodbye before the store goes from under it.
        let (told, wait) = std::sync::mpsc::sync_channel(1);
        self.handle.spawn(async move {
            let _ = engine.await;
            let _ = told.send(());
        });
        let _ = wait.recv_timeout(2 * GOODBYE);
        runtime.shutdown_background();
        drop(lock(&self.shared.replica).take());
        if let Err(error) = self.shared.store.close() {
            tracing::error!(%error, "the store did not close cleanly");
        }
        self.shared.notifier.end();
    }

    /// Runs a long call on the runtime and waits for it, on whatever thread the caller has.
    fn long<T: Send + 'static>(
        &self,
        limit: Duration,
        cancel: Option<Arc<CancelToken>>,
        call: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.open_still()?;
        let cancel = cancel.unwrap_or_default();
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.handle.spawn(async move {
            let result = tokio::select! {
                biased;
                () = cancel.cancelled() => Err(Error::Cancelled),
                result = within(limit, call) => result,
            };
            let _ = reply.send(result);
        });
        // The runtime drops the task, and with it the sender, when the handle is shut down.
        answer.recv().unwrap_or(Err(Error::Closed))
    }

    fn open_still(&self) -> Result<(), Error> {
        if lock(&self.shared.replica).is_some() { Ok(()) } else { Err(Error::Closed) }
    }
}

impl Drop for Fieldbook {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl std::fmt::Debug for Fieldbook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fieldbook").finish_non_exhaustive()
    }
}
