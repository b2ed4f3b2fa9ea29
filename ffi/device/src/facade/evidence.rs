//! Photos, PDFs and recordings (O5): the document names their hash at once, the bytes lie encrypted on this phone and go up when they may.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fieldbook_core::ids::{DocId, EntryId, Hash32};
use fieldbook_core::limits;
use fieldbook_core::model::{self, Evidence};
use fieldbook_core::replica::DocEdits;

use super::Fieldbook;
use super::leads::{check_held, held};
use super::log::logged;
use super::page::Docs;
use crate::blobs::{self, BlobRow, BlobState};
use crate::cancel::CancelToken;
use crate::error::Error;
use crate::records::Attachment;
use crate::shared::{Shared, lock};
use crate::sync::download;

impl Fieldbook {
    /// Attaches bytes to a lead: encrypted on this phone and named in the lead when this returns; on the server after the next contact.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TooLarge`] beyond 64 MiB, [`Error::Invalid`] for no bytes or no name, [`Error::Disk`].
    pub fn attach(&self, lead: DocId, what: &Attachment, bytes: &[u8]) -> Result<EntryId, Error> {
        if bytes.is_empty() || what.name.trim().is_empty() || what.mime.trim().is_empty() {
            return Err(Error::Invalid("evidence needs bytes, a name and a media type".into()));
        }
        if bytes.len() as u64 > limits::EVIDENCE_MAX_BYTES {
            return Err(Error::TooLarge(format!("{} bytes of evidence", bytes.len())));
        }
        let shared = &self.shared;
        let now_ms = shared.with(|replica, now| {
            check_held(replica, lead)?;
            replica.identity()?;
            Ok::<_, Error>(replica.now_ms(now))
        })?;
        let hash = blobs::hash_of(bytes);
        let _alone = lock(&shared.attaching);
        keep(shared, lead, what, hash, bytes)?;
        let evidence = Evidence {
            hash,
            size_bytes: bytes.len() as u64,
            mime: what.mime.trim().to_owned(),
            name: what.name.trim().to_owned(),
            captured_at_ms: what.captured_at_ms.unwrap_or(now_ms),
            event: what.event,
        };
        shared.act(|replica, act| {
            check_held(replica, lead)?;
            let edits = vec![evidence.attach(act)];
            Ok((logged(&edits), vec![DocEdits::of(lead, edits)]))
        })
    }

    /// As [`Fieldbook::attach`], from a file. The file is not touched and not needed afterwards.
    ///
    /// # Errors
    /// As there; [`Error::Disk`] when the file cannot be read.
    pub fn attach_file(&self, lead: DocId, what: &Attachment, path: &Path) -> Result<EntryId, Error> {
        let file = std::fs::File::open(path).map_err(|e| Error::Disk(e.to_string()))?;
        let mut bytes = Vec::new();
        // One byte beyond the bound tells that there is more.
        let read = file.take(limits::EVIDENCE_MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|e| Error::Disk(e.to_string()))?;
        self.attach(lead, what, &bytes)
    }

    /// The bytes of a piece of evidence that a lead names: from this phone, or from the server, after which they are on this phone too. What
    /// came before the network broke, the limit passed or the app ended is kept: the next call fetches the rest.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the lead does not name it, or its bytes have not reached the server; [`Error::Locked`]; without network
    /// as [`Fieldbook::sync_now`].
    pub fn evidence(
        &self,
        lead: DocId,
        hash: Hash32,
        limit: Duration,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<u8>, Error> {
        let shared = &self.shared;
        let size_bytes = shared.read(|replica, _| {
            held(replica, lead)?;
            let docs = Docs::load(replica, lead)?;
            let pieces = model::evidence(&docs.lead.1, docs.clocks());
            let piece = pieces.into_iter().find(|piece| piece.evidence.hash == hash);
            piece.map(|piece| piece.evidence.size_bytes).ok_or_else(|| Error::NotFound(hash.to_string()))
        })?;
        if let Some(bytes) = blobs::read(&shared.store, hash)? {
            return Ok(bytes);
        }
        let theirs = shared.clone();
        self.long(limit, cancel, async move { download::run(&theirs, lead, hash, size_bytes).await })
    }
}

/// Keeps the bytes unless they are here already; either way they belong to this lead too.
fn keep(shared: &Shared, lead: DocId, what: &Attachment, hash: Hash32, bytes: &[u8]) -> Result<(), Error> {
    let store = &shared.store;
    match blobs::row(store, hash, shared.epoch()?)?.filter(|row| row.state.is_whole()) {
        Some(mut row) => {
            if !row.leads.contains(&lead) {
                row.leads.push(lead);
            }
            if row.state == BlobState::Fetched {
                // What this phone names it has to send: others read it only then.
                row = BlobRow { leads: row.leads, ..BlobRow::waiting(row.bytes, lead, what.unmetered_only) };
            }
            // Who wants it up sooner gets it up sooner.
            row.unmetered_only &= what.unmetered_only;
            // Attaching it anew is asking the server anew.
            row.refused = None;
            blobs::put_row(store, hash, &row)
        }
        None => {
            let row = BlobRow::waiting(bytes.len() as u64, lead, what.unmetered_only);
            blobs::keep(store, hash, bytes, &row)
        }
    }
}
