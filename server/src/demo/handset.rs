//! A phone of the demonstration: the runtime that the apps link, its store on the disk, and the air between it and the server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fieldbook_core::ids::DocId;
use fieldbook_core::replica::Replica;
use fieldbook_device::{Config, Error, Fieldbook, LeadQuery, LeadRow, SyncReport};
use fieldbook_engines::{SecureStore, StoreKey};
use tokio::runtime::Handle;

use super::air::Air;
use super::{Colleague, Failure, say};
use crate::app::App;
use crate::auth::Entropy;

/// A phone in somebody's hand.
pub(super) struct Handset {
    /// Whose it is.
    pub who: Colleague,
    /// The library, as an app has it.
    pub book: Fieldbook,
    air: Air,
    path: PathBuf,
    key: [u8; 32],
}

impl Handset {
    /// A new phone with a store in `folder`, enrolled through its own air.
    ///
    /// # Errors
    /// Whatever kept it from that.
    pub fn enrol(app: &App, runtime: &Handle, who: &Colleague, folder: &Path) -> Result<Self, Failure> {
        let mut entropy = Entropy::from_system();
        let code = app.auth.issue_code(who.user, None, app.now_ms(), &mut entropy)?;
        let air = runtime.block_on(Air::open(app.config.listen))?;
        let (path, key) = (folder.join(format!("{}.store", who.user)), entropy.draw());
        let book = Fieldbook::open(Config::new(&path, key))?;
        let invitation = format!("http://{}/enrol#{}", air.address, code.text);
        book.enrol(&invitation, &format!("{}的手机", who.name), LIMIT, None)?;
        Ok(Self { who: who.clone(), book, air, path, key })
    }

    /// One round of sync.
    ///
    /// # Errors
    /// As the library says.
    pub fn sync(&self) -> Result<SyncReport, Failure> {
        Ok(self.book.sync_now(LIMIT, None)?)
    }

    /// One round of sync, told as a line of the story.
    ///
    /// # Errors
    /// As the library says.
    pub fn sync_aloud(&self) -> Result<SyncReport, Failure> {
        let report = self.sync()?;
        say(&format!(
            "  {}'s phone: {} changes up, {} documents down, {} set aside, {} wiped: {} bytes up, {} down, {} round trips, {} ms.",
            self.who.name,
            report.up,
            report.down,
            report.set_aside,
            report.wiped,
            report.bytes_up,
            report.bytes_down,
            report.round_trips,
            report.millis
        ))?;
        Ok(report)
    }

    /// Loses the signal.
    pub fn lose_signal(&self) {
        self.air.set_signal(false);
    }

    /// Has the signal again.
    pub fn find_signal(&self) {
        self.air.set_signal(true);
    }

    /// Tries to sync; whether that failed for want of a network, and nothing got out.
    pub fn is_cut_off(&self) -> bool {
        let before = self.air.refused();
        matches!(self.book.sync_now(LIMIT, None), Err(Error::Offline(_))) && self.air.refused() > before
    }

    /// The leads of this phone's user, `count` of them.
    ///
    /// # Errors
    /// When there are fewer on the first page.
    pub fn own_leads(&self, count: usize) -> Result<Vec<LeadRow>, Failure> {
        let rows = self.book.leads(&LeadQuery { limit: 500, ..LeadQuery::default() })?;
        let mine: Vec<_> = rows.into_iter().filter(|row| row.mine).take(count).collect();
        if mine.len() < count {
            return Err(format!("{}'s phone holds {} leads of its user", self.who.name, mine.len()).into());
        }
        Ok(mine)
    }

    /// Whether the phone has no more work for the server.
    ///
    /// # Errors
    /// As the library says.
    pub fn is_empty(&self) -> Result<bool, Failure> {
        Ok(self.book.status()?.unanswered == 0)
    }

    /// Closes the app and opens its store by hand: for whoever wants to know what is really on the disk.
    ///
    /// # Errors
    /// Those of the store.
    pub fn open_store(&self) -> Result<(std::sync::Arc<SecureStore>, Replica), Failure> {
        self.book.shutdown();
        let salt = Entropy::from_system().draw();
        let store = std::sync::Arc::new(SecureStore::open(&self.path, &StoreKey(self.key), salt)?);
        let replica = Replica::open(store.clone())?;
        Ok((store, replica))
    }
}

/// How the story calls a lead.
pub(super) fn name(lead: &LeadRow) -> &str {
    if lead.hospital.is_empty() { &lead.customer_name } else { &lead.hospital }
}

/// The documents that travel with a lead.
pub(super) fn family(lead: DocId) -> [DocId; 3] {
    [lead, DocId::ruling_of(lead), DocId::advancement_of(lead)]
}

/// Longer than any step of the demonstration takes.
const LIMIT: Duration = Duration::from_secs(60);
