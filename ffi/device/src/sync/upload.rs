//! Evidence on its way up, part by part, resumed where the server says. The phone's copy of a piece that it may no longer show goes as
//! soon as the server has the bytes, and not before (design decision 6).

use std::sync::Arc;

use fieldbook_core::document::NoClocks;
use fieldbook_core::ids::Hash32;
use fieldbook_core::limits;
use fieldbook_core::model;
use fieldbook_core::replica::{Replica, ReplicaError};
use serde::Deserialize;
use tokio::task::block_in_place;

use super::sign_in;
use crate::blobs::{self, BlobRow, BlobState};
use crate::error::Error;
use crate::net::{Http, Reply, refusal};
use crate::records::Network;
use crate::shared::{Shared, lock};

/// What went up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Uploaded {
    /// Pieces that are now durable on the server.
    pub files: u32,
    /// Bytes that were sent for them.
    pub bytes: u64,
}

impl Uploaded {
    /// Counts together.
    pub fn add(&mut self, more: Self) {
        self.files += more.files;
        self.bytes += more.bytes;
    }
}

#[derive(Debug, Deserialize)]
struct Progress {
    state: String,
    received_bytes: Option<u64>,
}

/// Sends what waits and may go over the present network, and removes copies that the phone may no longer keep.
///
/// # Errors
/// Those of the way. What was acknowledged until then stays acknowledged.
pub(crate) async fn run(shared: Arc<Shared>) -> Result<Uploaded, Error> {
    let mut done = Uploaded::default();
    let mut line: Option<(Http, String)> = None;
    let rows = block_in_place(|| blobs::rows(&shared.store))?;
    for (hash, row) in rows {
        match block_in_place(|| settle(&shared, hash, &row))? {
            Fate::Keep | Fate::Remove => {}
            Fate::Send => {
                let (http, token) = match &mut line {
                    Some(open) => open,
                    None => line.insert(sign_in::signed_in(&shared).await?),
                };
                done.bytes += send(&shared, http, token, hash, &row).await?;
                done.files += 1;
                let safe = BlobRow { state: BlobState::Safe, ..row };
                block_in_place(|| {
                    blobs::mark_safe(&shared.store, hash)?;
                    settle(&shared, hash, &safe)
                })?;
            }
        }
    }
    Ok(done)
}

/// How many pieces are not yet durable on the server.
///
/// # Errors
/// [`Error`] of the store.
pub(crate) fn waiting(shared: &Shared) -> Result<u32, Error> {
    let rows = blobs::rows(&shared.store)?;
    Ok(rows.iter().filter(|(_, row)| row.state == BlobState::Waiting).count() as u32)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    Send,
    Remove,
}

/// Decides, and removes what is to go. Nothing is attached meanwhile: what is kept but not yet named must not look dropped.
fn settle(shared: &Shared, hash: Hash32, row: &BlobRow) -> Result<Fate, Error> {
    let _alone = lock(&shared.attaching);
    let fate = fate(shared, hash, row)?;
    if fate == Fate::Remove {
        blobs::remove(&shared.store, hash)?;
    }
    Ok(fate)
}

fn fate(shared: &Shared, hash: Hash32, row: &BlobRow) -> Result<Fate, Error> {
    let standing = shared.with(|replica, _| standing(replica, hash, row))?;
    Ok(match (row.state, standing) {
        (BlobState::Incomplete, _) | (BlobState::Safe, Standing::Named) => Fate::Keep,
        // Taken back by its author before it went up.
        (_, Standing::Dropped) | (BlobState::Safe, Standing::Gone) => Fate::Remove,
        (BlobState::Waiting, _) if row.unmetered_only && shared.engine.network() != Network::Unmetered => {
            Fate::Keep
        }
        (BlobState::Waiting, _) => Fate::Send,
    })
}

/// What the documents say of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// A lead on this phone names it.
    Named,
    /// The leads are here and none names it (any more).
    Dropped,
    /// Its leads have left this phone.
    Gone,
}

fn standing(replica: &mut Replica, hash: Hash32, row: &BlobRow) -> Result<Standing, ReplicaError> {
    let mut held = false;
    for lead in &row.leads {
        let doc = match replica.load(*lead) {
            Ok(doc) => doc,
            Err(ReplicaError::Unknown(_)) => continue,
            Err(other) => return Err(other),
        };
        held = true;
        // The entry that names it may be among work that waits for a person: the bytes belong to it.
        let named = model::evidence(&doc, &NoClocks).iter().any(|piece| piece.evidence.hash == hash);
        if named || replica.has_kept(*lead)? {
            return Ok(Standing::Named);
        }
    }
    Ok(if held { Standing::Dropped } else { Standing::Gone })
}

/// Sends the parts that the server lacks; gives the bytes that were sent.
async fn send(
    shared: &Shared,
    http: &mut Http,
    token: &str,
    hash: Hash32,
    row: &BlobRow,
) -> Result<u64, Error> {
    let path = format!("/api/evidence/{hash}");
    let mut progress: Progress = http.get(&format!("{path}/progress"), token).await?;
    let mut sent = 0;
    // Each turn sends a part or starts over where the server says; the bound is generous for a server that forgets once.
    for _ in 0..2 * (limits::EVIDENCE_MAX_BYTES as usize / limits::EVIDENCE_PART_BYTES) {
        if progress.state == "acknowledged" {
            return Ok(sent);
        }
        let part_bytes = limits::EVIDENCE_PART_BYTES as u64;
        // Parts begin where ours begin.
        let number = progress.received_bytes.unwrap_or(0).min(row.bytes.saturating_sub(1)) / part_bytes;
        let offset = number * part_bytes;
        let part = block_in_place(|| blobs::part(&shared.store, hash, number as u32))?.unwrap_or_default();
        let length = part.len() as u64;
        let reply = http.put(&format!("{path}?total={}&offset={offset}", row.bytes), token, part).await?;
        sent += length;
        progress = answer(&reply)?;
    }
    Err(Error::Offline("the server does not come to an end with a piece of evidence".into()))
}

/// A gap is no refusal: it says where to go on.
fn answer(reply: &Reply) -> Result<Progress, Error> {
    #[derive(Deserialize)]
    struct Gap {
        code: String,
        received_bytes: u64,
    }
    if reply.status == 409
        && let Ok(Gap { code, received_bytes }) = serde_json::from_slice(&reply.body)
        && code == "evidence_gap"
    {
        return Ok(Progress { state: "partial".into(), received_bytes: Some(received_bytes) });
    }
    if (200..300).contains(&reply.status) { reply.json() } else { Err(refusal(reply)) }
}
