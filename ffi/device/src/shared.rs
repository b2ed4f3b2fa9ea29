//! What the facade and the connection share: the replica behind one lock, the store, the clocks, the listeners.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use fieldbook_core::document::NoClocks;
use fieldbook_core::ids::{DocId, DocKind, Hash32};
use fieldbook_core::model::DirectoryModel;
use fieldbook_core::playbook::Playbook;
use fieldbook_core::policy::PolicyHistory;
use fieldbook_core::replica::{DocEdits, Replica, ReplicaError, Saved};
use fieldbook_core::time::{Act, Moment};
use fieldbook_engines::SecureStore;

use crate::clock::{Clock, Entropy};
use crate::error::Error;
use crate::listen::{Change, Notifier};
use crate::net::Dialer;
use crate::sync::Engine;
use crate::words::Language;

/// What the facade and the connection share.
pub(crate) struct Shared {
    /// `None` after the end. The lock is held for a disk write at the longest, never while calling out.
    pub replica: Mutex<Option<Replica>>,
    /// The replica's store, for the rows that are the device's own: evidence and tokens.
    pub store: Arc<SecureStore>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub agent: String,
    pub language: Language,
    pub dialer: Dialer,
    pub notifier: Notifier,
    pub engine: Engine,
    /// Held while tokens are exchanged: a refresh token is used once.
    pub refreshing: tokio::sync::Mutex<()>,
    /// Held while evidence is attached, and while it is decided which evidence goes.
    pub attaching: Mutex<()>,
    /// The pieces of evidence that are being fetched: one call at a time for each.
    pub fetching: Mutex<BTreeMap<Hash32, Weak<tokio::sync::Mutex<()>>>>,
    /// Names of people and devices as last read; `None`: to be read again.
    pub names: Mutex<Option<Arc<DirectoryModel>>>,
    /// The company's policies as last read; `None`: to be read again.
    pub policies: Mutex<Option<Arc<PolicyHistory>>>,
    /// The company's playbook as last read; `None`: to be read again.
    pub playbook: Mutex<Option<Arc<Playbook>>>,
}

impl Shared {
    /// Does something with the replica.
    ///
    /// # Errors
    /// [`Error::Closed`], and what `f` says.
    pub fn with<T, E: Into<Error>>(
        &self,
        f: impl FnOnce(&mut Replica, Moment) -> Result<T, E>,
    ) -> Result<T, Error> {
        let mut guard = lock(&self.replica);
        let replica = guard.as_mut().ok_or(Error::Closed)?;
        let now = self.clock.now();
        if let Err(error) = replica.notice(now) {
            // A full disk must not keep anybody from reading; what is noted in memory counts until the app ends.
            tracing::debug!(%error, "the time is not written down");
        }
        f(replica, now).map_err(Into::into)
    }

    /// Reads, unless the phone was too long without contact.
    ///
    /// # Errors
    /// [`Error::Locked`], and as [`Shared::with`].
    pub fn read<T, E: Into<Error>>(
        &self,
        f: impl FnOnce(&mut Replica, Moment) -> Result<T, E>,
    ) -> Result<T, Error> {
        self.with(|replica, now| {
            replica.check_unlocked(now)?;
            f(replica, now).map_err(Into::into)
        })
    }

    /// One act of the phone's user: plans edits, makes them durable together, tells everybody. An act that changes nothing is done
    /// already.
    ///
    /// # Errors
    /// As [`Replica::edit`], and what `plan` says.
    pub fn act<T>(
        &self,
        plan: impl FnOnce(&mut Replica, &Act) -> Result<(T, Vec<DocEdits>), Error>,
    ) -> Result<T, Error> {
        self.write(plan, Replica::edit)
    }

    /// As [`Shared::act`], for what the app notes by itself: undo goes on meaning the last thing that the user did.
    ///
    /// # Errors
    /// As [`Shared::act`].
    pub fn note<T>(
        &self,
        plan: impl FnOnce(&mut Replica, &Act) -> Result<(T, Vec<DocEdits>), Error>,
    ) -> Result<T, Error> {
        self.write(plan, Replica::edit_aside)
    }

    fn write<T>(
        &self,
        plan: impl FnOnce(&mut Replica, &Act) -> Result<(T, Vec<DocEdits>), Error>,
        edit: impl FnOnce(&mut Replica, &Act, &[DocEdits]) -> Result<Vec<Saved>, ReplicaError>,
    ) -> Result<T, Error> {
        let seed = self.entropy.seed();
        let (out, changes) = self.with(|replica, now| {
            let act = replica.act(now, seed)?;
            let (out, lots) = plan(replica, &act)?;
            match edit(replica, &act, &lots) {
                Ok(_) => {}
                Err(ReplicaError::Edit(fieldbook_core::document::EditError::NothingChanged)) => {
                    return Ok::<_, Error>((out, BTreeSet::new()));
                }
                Err(other) => return Err(other.into()),
            }
            Ok((out, changes_of(replica, lots.iter().map(|lot| lot.doc))?))
        })?;
        if !changes.is_empty() {
            self.edited(changes);
        }
        Ok(out)
    }

    /// The log epoch of the server as this phone last heard it; with another one, the server was restored since.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn epoch(&self) -> Result<u64, Error> {
        self.with(|replica, _| Ok::<_, Error>(replica.log_epoch()))
    }

    /// Writes the store anew when something has left it since the last time, so that no byte of that is left in its file; answers whether it
    /// did. Other calls wait meanwhile.
    ///
    /// # Errors
    /// [`Error`] of the store; it is done at the next call then.
    pub fn scrub(&self) -> Result<bool, Error> {
        let _alone = lock(&self.attaching);
        self.with(|replica, _| {
            let due = replica.has_wiped()?;
            if due {
                self.store.scrub()?;
                replica.note_scrubbed()?;
            }
            Ok::<_, Error>(due)
        })
    }

    /// After everything was wiped: a user who is gone calls no maintenance. Where it fails (the disk is full), the next opening does it.
    pub fn scrub_wiped(&self) {
        if let Err(error) = self.scrub() {
            tracing::warn!(%error, "what was wiped is still in freed pages of the store's file");
        }
    }

    /// After a local edit: listeners and the connection learn of it.
    pub fn edited(&self, changes: BTreeSet<Told>) {
        self.notifier.tell(changes.into_iter().map(Told::change).chain([Change::Status]));
        self.engine.edited.notify_one();
    }

    /// People and devices by name, as the directory has them.
    ///
    /// # Errors
    /// [`Error`] of the store.
    pub fn names(&self, replica: &mut Replica) -> Result<Arc<DirectoryModel>, Error> {
        let mut names = lock(&self.names);
        if let Some(known) = &*names {
            return Ok(known.clone());
        }
        let read = match replica.load(DocId::directory()) {
            Ok(doc) => DirectoryModel::read(&doc, &NoClocks),
            Err(ReplicaError::Unknown(_)) => DirectoryModel::default(),
            Err(other) => return Err(other.into()),
        };
        let read = Arc::new(read);
        *names = Some(read.clone());
        Ok(read)
    }

    /// Every version of the company's policy: the pack that ships where the phone holds none.
    ///
    /// # Errors
    /// [`Error`] of the store.
    pub fn policies(&self, replica: &mut Replica) -> Result<Arc<PolicyHistory>, Error> {
        let mut policies = lock(&self.policies);
        if let Some(known) = &*policies {
            return Ok(known.clone());
        }
        let read = match replica.load(DocId::policy()) {
            Ok(doc) => PolicyHistory::read(&doc),
            Err(ReplicaError::Unknown(_)) => PolicyHistory::shipped(),
            Err(other) => return Err(other.into()),
        };
        let read = Arc::new(read);
        *policies = Some(read.clone());
        Ok(read)
    }

    /// The company's playbook: what ships where the phone holds none.
    ///
    /// # Errors
    /// [`Error`] of the store.
    pub fn playbook(&self, replica: &mut Replica) -> Result<Arc<Playbook>, Error> {
        let mut playbook = lock(&self.playbook);
        if let Some(known) = &*playbook {
            return Ok(known.clone());
        }
        let read = match replica.load(DocId::playbook()) {
            Ok(doc) => Playbook::read(&doc),
            Err(ReplicaError::Unknown(_)) => Playbook::shipped().clone(),
            Err(other) => return Err(other.into()),
        };
        let read = Arc::new(read);
        *playbook = Some(read.clone());
        Ok(read)
    }

    /// Makes the next reading of names, policies and playbook a fresh one.
    pub fn forget_names(&self) {
        *lock(&self.names) = None;
        *lock(&self.policies) = None;
        *lock(&self.playbook) = None;
    }
}

/// A change to tell, in an order that is the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    Lead(DocId),
    Calendar,
    Document(DocId),
}

impl Told {
    /// As listeners get it.
    pub fn change(self) -> Change {
        match self {
            Told::Lead(id) => Change::Lead { id },
            Told::Calendar => Change::Calendar,
            Told::Document(id) => Change::Document { id },
        }
    }
}

/// What an app calls the documents that changed.
pub(crate) fn changes_of(
    replica: &Replica,
    docs: impl IntoIterator<Item = DocId>,
) -> Result<BTreeSet<Told>, ReplicaError> {
    docs.into_iter()
        .map(|doc| {
            Ok(match replica.lead_of(doc)? {
                Some(lead) => Told::Lead(lead),
                None if doc.kind() == Some(DocKind::Calendar) => Told::Calendar,
                None => Told::Document(doc),
            })
        })
        .collect()
}

/// A panic elsewhere leaves what is under our locks as it was: every section is short and whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
