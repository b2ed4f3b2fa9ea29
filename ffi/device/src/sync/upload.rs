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
use crate::blobs::{self, BlobRow, BlobState, Refused};
use crate::error::Error;
use crate::listen::Change;
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

/// What is not yet durable on the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Pieces that go up when they may.
    pub to_send: u32,
    /// Pieces that the server would not take; they stay here and are offered again once a day.
    pub refused: u32,
}

/// Sends what waits and may go over the present network, and removes copies that the phone may no longer keep. A phone that is `leaving`
/// sends everything now, over whatever network there is: it is about to be wiped. A piece that the server will not take is noted and does
/// not keep the others back; one that it has no room for yet goes behind the others, which may make room.
///
/// # Errors
/// Those of the way. What was acknowledged until then stays acknowledged.
pub(crate) async fn run(shared: Arc<Shared>, leaving: bool) -> Result<Uploaded, Error> {
    let mut done = Uploaded::default();
    let mut line: Option<(Http, String)> = None;
    // That of before the sending: a server that is restored meanwhile is asked again.
    let epoch = shared.epoch()?;
    let mut rows = block_in_place(|| blobs::rows(&shared.store, epoch))?;
    loop {
        let before = done.files;
        rows = lot(&shared, rows, epoch, leaving, &mut line, &mut done).await?;
        if rows.is_empty() || done.files == before {
            break;
        }
    }
    match rows.len() {
        // The next edit, round or connection tries again; who is to be wiped must not think that all is sent.
        later if later > 0 && leaving => {
            Err(Error::Offline(format!("{later} pieces of evidence have to wait")))
        }
        _ => Ok(done),
    }
}

/// One attempt at each piece; gives those for which the server had no room.
async fn lot(
    shared: &Shared,
    rows: Vec<(Hash32, BlobRow)>,
    epoch: u64,
    leaving: bool,
    line: &mut Option<(Http, String)>,
    done: &mut Uploaded,
) -> Result<Vec<(Hash32, BlobRow)>, Error> {
    let mut later = Vec::new();
    for (hash, row) in rows {
        if block_in_place(|| settle(shared, hash, &row, leaving))? != Fate::Send {
            continue;
        }
        let (http, token) = match line {
            Some(open) => open,
            None => line.insert(sign_in::signed_in(shared).await?),
        };
        match send(shared, http, token, hash, &row).await {
            Ok(bytes) => {
                done.bytes += bytes;
                done.files += 1;
                let safe = row.safe(epoch);
                block_in_place(|| {
                    blobs::mark_safe(&shared.store, hash, epoch)?;
                    settle(shared, hash, &safe, leaving)
                })?;
                tell_leads(shared, &safe);
            }
            Err(error) if has_no_room(&error) => later.push((hash, row)),
            Err(error) if concerns_piece(&error) => {
                tracing::warn!(code = error.code(), "the server does not take a piece of evidence");
                block_in_place(|| note_refusal(shared, hash, epoch, &error))?;
                tell_leads(shared, &row);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(later)
}

/// How many pieces are not yet durable on the server.
///
/// # Errors
/// [`Error`] of the store.
pub(crate) fn waiting(shared: &Shared) -> Result<Waiting, Error> {
    let mut waiting = Waiting::default();
    let rows = blobs::rows(&shared.store, shared.epoch()?)?;
    for (_, row) in rows.iter().filter(|(_, row)| row.state == BlobState::Waiting) {
        match row.refused {
            Some(_) => waiting.refused += 1,
            None => waiting.to_send += 1,
        }
    }
    Ok(waiting)
}

/// Whether the server has too much of this phone half sent to begin another piece. Those that are half there go on.
fn has_no_room(error: &Error) -> bool {
    matches!(error, Error::Server { code, .. } if code == NO_ROOM)
}

/// Whether it is this piece that cannot go up, and not the way to the server or the sign-in.
fn concerns_piece(error: &Error) -> bool {
    match error {
        Error::Server { code, .. } => !code.starts_with("token_"),
        Error::StoreDamaged(_) => true,
        _ => false,
    }
}

fn note_refusal(shared: &Shared, hash: Hash32, epoch: u64, error: &Error) -> Result<(), Error> {
    let at_ms = shared.with(|replica, now| Ok::<_, Error>(replica.now_ms(now)))?;
    let code = match error {
        Error::Server { code, .. } => code.clone(),
        other => other.code().to_owned(),
    };
    let _alone = lock(&shared.attaching);
    blobs::mark_refused(&shared.store, hash, epoch, Refused { code, at_ms })
}

/// Whoever shows a lead that names the piece shows where its bytes are.
fn tell_leads(shared: &Shared, row: &BlobRow) {
    shared.notifier.tell(row.leads.iter().map(|lead| Change::Lead { id: *lead }));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    Send,
    Remove,
}

/// Decides, and removes what is to go. Nothing is attached meanwhile: what is kept but not yet named must not look dropped.
fn settle(shared: &Shared, hash: Hash32, row: &BlobRow, leaving: bool) -> Result<Fate, Error> {
    let _alone = lock(&shared.attaching);
    let (standing, now_ms) =
        shared.with(|replica, now| Ok::<_, Error>((standing(replica, hash, row)?, replica.now_ms(now))))?;
    let situation = Situation { leaving, unmetered: shared.engine.network() == Network::Unmetered, now_ms };
    let fate = fate(row, standing, situation);
    if fate == Fate::Remove {
        blobs::remove(&shared.store, hash)?;
    }
    Ok(fate)
}

/// What a piece's fate depends on besides itself.
#[derive(Debug, Clone, Copy)]
struct Situation {
    /// The server hears this phone for the last time.
    leaving: bool,
    /// Everything may go over the network.
    unmetered: bool,
    now_ms: i64,
}

fn fate(row: &BlobRow, standing: Standing, at: Situation) -> Fate {
    let Situation { leaving, unmetered, now_ms } = at;
    match (row.state, standing) {
        (BlobState::Incomplete, _) => Fate::Keep,
        (BlobState::Safe | BlobState::Fetched | BlobState::Coming, Standing::Named) => Fate::Keep,
        (BlobState::Safe | BlobState::Fetched | BlobState::Coming, _) => Fate::Remove,
        // Taken back by its author before it went up. Undo may name it again: then its bytes must be here.
        (BlobState::Waiting, Standing::Dropped) => Fate::Remove,
        (BlobState::Waiting, Standing::Undoable) if !leaving => Fate::Keep,
        (BlobState::Waiting, _) if leaving => Fate::Send,
        (BlobState::Waiting, _) if row.unmetered_only && !unmetered => Fate::Keep,
        (BlobState::Waiting, _) => match &row.refused {
            Some(refused) if now_ms.saturating_sub(refused.at_ms) < REFUSED_AGAIN_MS => Fate::Keep,
            _ => Fate::Send,
        },
    }
}

/// What the documents say of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// A lead on this phone names it.
    Named,
    /// Its leads are all here and none names it (any more).
    Dropped,
    /// As [`Standing::Dropped`], but that was the last act on this phone, and undo takes it back.
    Undoable,
    /// A lead that it belongs to has left this phone, and may name it where it is now.
    Gone,
}

fn standing(replica: &mut Replica, hash: Hash32, row: &BlobRow) -> Result<Standing, ReplicaError> {
    let (mut gone, mut undoable) = (false, false);
    for lead in &row.leads {
        let doc = match replica.load(*lead) {
            Ok(doc) => doc,
            Err(ReplicaError::Unknown(_)) => {
                gone = true;
                continue;
            }
            Err(other) => return Err(other),
        };
        // The entry that names it may be among work that waits for a person: the bytes belong to it.
        let named = model::evidence(&doc, &NoClocks).iter().any(|piece| piece.evidence.hash == hash);
        if named || replica.has_kept(*lead)? {
            return Ok(Standing::Named);
        }
        undoable |= replica.undo_names_evidence(*lead)?;
    }
    Ok(match (gone, undoable) {
        (true, _) => Standing::Gone,
        (false, true) => Standing::Undoable,
        (false, false) => Standing::Dropped,
    })
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
        let part = block_in_place(|| blobs::part(&shared.store, hash, number as u32))?;
        let part = part.ok_or_else(|| Error::StoreDamaged(format!("a part of evidence {hash}")))?;
        let length = part.len() as u64;
        let reply = http.put(&format!("{path}?total={}&offset={offset}", row.bytes), token, part).await?;
        sent += length;
        progress = answer(&reply)?;
    }
    Err(Error::Offline("the server does not come to an end with a piece of evidence".into()))
}

/// A gap is no refusal: it says where to go on. Nor is a want of room a server that cannot be reached.
fn answer(reply: &Reply) -> Result<Progress, Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Said {
        code: String,
        received_bytes: u64,
    }
    let Said { code, received_bytes } = serde_json::from_slice(&reply.body).unwrap_or_default();
    match (reply.status, code.as_str()) {
        (409, "evidence_gap") => {
            return Ok(Progress { state: "partial".into(), received_bytes: Some(received_bytes) });
        }
        (429, NO_ROOM) => {
            return Err(Error::Server { code, detail: "too much of this phone is half sent".into() });
        }
        _ => {}
    }
    if (200..300).contains(&reply.status) { reply.json() } else { Err(refusal(reply)) }
}

/// The server's code for [`has_no_room`].
const NO_ROOM: &str = "evidence_uploads";
/// How long a piece that the server would not take rests before it is offered again: by then somebody may have raised the server's bound.
const REFUSED_AGAIN_MS: i64 = 24 * 60 * 60 * 1_000;

#[cfg(test)]
mod tests {
    use fieldbook_core::ids::DocId;

    use super::*;

    const LEAD: DocId = DocId([2; 16]);

    #[test]
    fn no_bytes_go_before_the_server_has_them_or_nobody_can_name_them() {
        use BlobState::{Coming, Fetched, Safe, Waiting};
        use Fate::{Keep, Remove, Send};
        use Standing::{Dropped, Gone, Named, Undoable};
        let check = |state, standing, unmetered_only, leaving, expected| {
            let row = BlobRow { state, ..BlobRow::waiting(1, LEAD, unmetered_only) };
            let at = Situation { leaving, unmetered: false, now_ms: 0 };
            assert_eq!(
                fate(&row, standing, at),
                expected,
                "{state:?} {standing:?} {unmetered_only} {leaving}"
            );
        };
        for (state, standing, unmetered_only, leaving, expected) in [
            (Waiting, Named, false, false, Send),
            (Waiting, Named, true, false, Keep),
            (Waiting, Named, true, true, Send),
            (Waiting, Gone, false, false, Send),
            (Waiting, Gone, true, false, Keep),
            (Waiting, Gone, true, true, Send),
            (Waiting, Undoable, false, false, Keep),
            (Waiting, Undoable, false, true, Send),
            (Waiting, Dropped, false, false, Remove),
            (Waiting, Dropped, true, true, Remove),
            (Safe, Named, false, true, Keep),
            (Safe, Gone, false, false, Remove),
            (Safe, Undoable, false, false, Remove),
            (Safe, Dropped, false, false, Remove),
            (Fetched, Named, false, true, Keep),
            (Fetched, Gone, false, false, Remove),
            (Coming, Named, false, false, Keep),
            (Coming, Gone, false, false, Remove),
            (Coming, Dropped, false, false, Remove),
        ] {
            check(state, standing, unmetered_only, leaving, expected);
        }
    }

    #[test]
    fn a_refused_piece_rests_for_a_day() {
        let refused = Some(Refused { code: "evidence_size".into(), at_ms: 1_000 });
        let row = BlobRow { refused, ..BlobRow::waiting(1, LEAD, false) };
        for (now_ms, leaving, expected) in [
            (1_001, false, Fate::Keep),
            (1_000 + REFUSED_AGAIN_MS, false, Fate::Send),
            (1_001, true, Fate::Send),
        ] {
            let at = Situation { leaving, unmetered: true, now_ms };
            assert_eq!(fate(&row, Standing::Named, at), expected, "{now_ms} {leaving}");
        }
    }
}
