//! Evidence on its way down, kept as it comes: a call that ends early, for whatever reason, leaves the next one only the rest to fetch.
//! What is half here is readable by nobody, and goes with the lead that names it.

use std::sync::{Arc, Weak};
use std::time::Instant;

use fieldbook_core::ids::{DocId, Hash32};
use fieldbook_core::limits;
use tokio::task::block_in_place;

use super::sign_in;
use crate::blobs::{self, BlobRow, Kept};
use crate::error::Error;
use crate::net::refusal;
use crate::shared::{Shared, lock};
use crate::timing::KEEP;

/// The bytes of a piece of evidence, which the lead says are `size_bytes`; they are on this phone when this returns.
///
/// # Errors
/// [`Error::NotFound`] when the server does not have them, or the lead has left this phone meanwhile; [`Error::TooLarge`];
/// [`Error::Server`] when they are not those that were named; those of the way, after which the next call goes on behind what came.
pub(crate) async fn run(
    shared: &Shared,
    lead: DocId,
    hash: Hash32,
    size_bytes: u64,
) -> Result<Vec<u8>, Error> {
    if size_bytes > limits::EVIDENCE_MAX_BYTES {
        return Err(Error::TooLarge(format!("{size_bytes} bytes of evidence")));
    }
    let turn = turn(shared, hash);
    let _alone = turn.lock().await;
    if let Some(bytes) = block_in_place(|| blobs::read(&shared.store, hash))? {
        return Ok(bytes);
    }
    let mut arriving = block_in_place(|| Arriving::begin(shared, lead, hash, size_bytes))?;
    let fetched = fetch(&mut arriving).await;
    block_in_place(|| {
        let error = match fetched.and_then(|()| arriving.finish()) {
            Ok(bytes) => return Ok(bytes),
            Err(error) => error,
        };
        if arriving.is_worthless(&error) {
            arriving.drop_all()?;
        } else {
            arriving.keep()?;
        }
        // The same bytes may have been attached here meanwhile.
        blobs::read(&shared.store, hash)?.ok_or(error)
    })
}

/// Two calls for one piece fetch it once.
fn turn(shared: &Shared, hash: Hash32) -> Arc<tokio::sync::Mutex<()>> {
    let mut turns = lock(&shared.fetching);
    turns.retain(|_, turn| turn.strong_count() > 0);
    if let Some(turn) = turns.get(&hash).and_then(Weak::upgrade) {
        return turn;
    }
    let turn = Arc::default();
    turns.insert(hash, Arc::downgrade(&turn));
    turn
}

async fn fetch(arriving: &mut Arriving<'_>) -> Result<(), Error> {
    if arriving.at() == arriving.size_bytes {
        return Ok(());
    }
    let Arriving { shared, lead, hash, .. } = *arriving;
    let (mut http, token) = sign_in::signed_in(shared).await?;
    let path = format!("/api/evidence/{hash}?document={lead}");
    let mut coming = http.download(&path, &token, arriving.at()).await?;
    match coming.status {
        200 | 206 => {}
        404 => return Err(Error::NotFound(format!("evidence {hash}"))),
        416 => return Err(wrong()),
        _ => return Err(refusal(&coming.reply().await?)),
    }
    if coming.begins_at != arriving.at() {
        // Whoever stands between may not know how to give a part.
        block_in_place(|| arriving.begin_anew())?;
        if coming.begins_at != 0 {
            return Err(Error::Offline("the server gave another part than was asked for".into()));
        }
    }
    while let Some(piece) = coming.next().await? {
        block_in_place(|| arriving.take(&piece))?;
    }
    Ok(())
}

/// A piece as far as it has come.
struct Arriving<'a> {
    shared: &'a Shared,
    lead: DocId,
    hash: Hash32,
    size_bytes: u64,
    /// Of the part that is being filled; those before it are whole, and on the disk.
    number: u32,
    part: Vec<u8>,
    /// How much of that part is on the disk, and since when.
    kept_bytes: usize,
    kept_at: Instant,
}

impl<'a> Arriving<'a> {
    fn begin(shared: &'a Shared, lead: DocId, hash: Hash32, size_bytes: u64) -> Result<Self, Error> {
        let _alone = lock(&shared.attaching);
        let Kept { number, part } =
            in_lead(shared, lead, || blobs::begin(&shared.store, hash, &BlobRow::coming(size_bytes, lead)))?;
        let kept_bytes = part.len();
        Ok(Self { shared, lead, hash, size_bytes, number, part, kept_bytes, kept_at: Instant::now() })
    }

    fn begin_anew(&mut self) -> Result<(), Error> {
        self.drop_all()?;
        *self = Self::begin(self.shared, self.lead, self.hash, self.size_bytes)?;
        Ok(())
    }

    fn at(&self) -> u64 {
        u64::from(self.number) * limits::EVIDENCE_PART_BYTES as u64 + self.part.len() as u64
    }

    fn take(&mut self, mut piece: &[u8]) -> Result<(), Error> {
        if self.at() + piece.len() as u64 > self.size_bytes {
            return Err(wrong());
        }
        while !piece.is_empty() {
            let room = limits::EVIDENCE_PART_BYTES - self.part.len();
            let (now, rest) = piece.split_at(piece.len().min(room));
            self.part.extend_from_slice(now);
            piece = rest;
            if now.len() == room {
                self.keep()?;
                (self.number, self.kept_bytes) = (self.number + 1, 0);
                self.part.clear();
            }
        }
        if self.kept_at.elapsed() >= KEEP { self.keep() } else { Ok(()) }
    }

    /// Makes durable what came.
    fn keep(&mut self) -> Result<(), Error> {
        if self.part.len() == self.kept_bytes {
            return Ok(());
        }
        let Self { shared, hash, .. } = *self;
        let _alone = lock(&shared.attaching);
        in_lead(shared, self.lead, || blobs::keep_part(&shared.store, hash, self.number, &self.part))?;
        (self.kept_bytes, self.kept_at) = (self.part.len(), Instant::now());
        Ok(())
    }

    /// Whether nobody can go on from here.
    fn is_worthless(&self, error: &Error) -> bool {
        matches!(error, Error::NotFound(_)) || is_wrong(error) || self.at() == 0
    }

    fn drop_all(&self) -> Result<(), Error> {
        let _alone = lock(&self.shared.attaching);
        blobs::drop_coming(&self.shared.store, self.hash)
    }

    fn finish(&mut self) -> Result<Vec<u8>, Error> {
        self.keep()?;
        let Self { shared, lead, hash, .. } = *self;
        let _alone = lock(&shared.attaching);
        let bytes = blobs::come(&shared.store, hash)?;
        if blobs::hash_of(&bytes) != hash {
            return Err(wrong());
        }
        in_lead(shared, lead, || blobs::arrived(&shared.store, hash, bytes.len() as u64))?;
        Ok(bytes)
    }
}

/// Writes while the lead is on this phone: what is written behind its leaving, or behind a wipe, nobody would delete.
fn in_lead<T>(shared: &Shared, lead: DocId, write: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    shared.with(|replica, _| match replica.holds(lead)? {
        true => write(),
        false => Err(Error::NotFound(lead.to_string())),
    })
}

fn wrong() -> Error {
    Error::Server { code: WRONG.into(), detail: "the bytes are not those that were named".into() }
}

fn is_wrong(error: &Error) -> bool {
    matches!(error, Error::Server { code, .. } if code == WRONG)
}

const WRONG: &str = "evidence_hash";
