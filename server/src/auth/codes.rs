//! One-time enrolment codes: what an administrator hands to a rep, on paper or as a QR code, to bind a phone to a person.
//!
//! A code is 24 characters without look-alikes: 40 bits that name it and 80 that prove it. The proof is stored as a hash; a few
//! wrong proofs lock the code. A phone that lost the answer may redeem again with the same claim and gets the same device.
//!
//! Who redeems may be a phone that was enrolled before and has lost its sign-in: whether it gets its own device back is decided by the
//! caller, before the code counts as used.

use fieldbook_core::ids::{DeviceId, UserId};
use fieldbook_core::store::{Batch, Direction, Outcome, Range, Store, StoreError};
use minicbor::{Decode, Encode};

use super::{
    Auth, Entropy, MS_PER_DAY, MS_PER_HOUR, RETRIES_MAX, SWEEP_MAX_ROWS, decode_row, encode_row, hash_of,
};
use crate::backup::tombstones::Tombstone;

/// Who makes a code, and at which device: the code lives no longer than that device is in good standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maker {
    /// Who.
    pub user: UserId,
    /// Where.
    pub device: DeviceId,
}

/// What a good code offers, before it counts as used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Whose phone it enrols.
    pub user: UserId,
    /// The device at which it was made; `None`: the server itself.
    pub made_at: Option<DeviceId>,
}

/// A code that was just made. The text is shown once; nobody can read it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCode {
    /// Names the code, in lists and to revoke it.
    pub id: CodeId,
    /// `XXXX-XXXX-XXXX-XXXX-XXXX-XXXX`.
    pub text: String,
    /// When it stops being valid, server time.
    pub expires_ms: i64,
}

/// Names a code without proving it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodeId(pub [u8; 5]);

/// What a list of codes shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeInfo {
    /// Which.
    pub id: CodeId,
    /// Whose phone it enrols.
    pub user: UserId,
    /// Who made it; `None`: `fieldbook init`.
    pub created_by: Option<UserId>,
    /// When it stops being valid, server time.
    pub expires_ms: i64,
    /// The device that it enrolled.
    pub used_by: Option<DeviceId>,
    /// Whether too many wrong attempts closed it.
    pub locked: bool,
}

/// What a good code gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redeemed {
    /// Whose phone this is.
    pub user: UserId,
    /// The id that the phone has from now on.
    pub device: DeviceId,
}

/// Why a code was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CodeError {
    /// Mistyped, made up, or removed. One answer for all, so that guessing teaches nothing.
    #[error("this enrolment code is not valid")]
    Invalid,
    /// Over.
    #[error("this enrolment code has expired; ask for a new one")]
    Expired,
    /// Another phone was enrolled with it.
    #[error("this enrolment code was used already; ask for a new one")]
    Used,
    /// Too many wrong attempts.
    #[error("this enrolment code is locked after too many wrong attempts; ask for a new one")]
    Locked,
    /// The phone that asks belongs to somebody else. The code is as good as before.
    #[error("this phone is enrolled for another user than the code is for")]
    OtherUser,
    /// The phone that asks belongs to somebody whom the company, restored from a backup, does not know any more. The code is as good as before.
    #[error(
        "this phone belongs to user {0}, whom the server does not know since it was restored; an administrator adds them again under this id \
         (PUT /api/users/{0}) and makes a code for them"
    )]
    Forgotten(UserId),
    /// The company never enrolled the phone that asks to come back. The code is as good as before.
    #[error("this phone was enrolled by another company")]
    Stranger,
    /// The phone that asks to come back was revoked, reported stolen or wiped. The code is as good as before.
    #[error("this phone was taken out of service; a code does not bring it back")]
    Ended,
    /// The store failed; the code is as good as before.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, Encode, Decode)]
struct CodeRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    proof: [u8; 32],
    #[n(1)]
    user: UserId,
    #[n(2)]
    created_by: Option<UserId>,
    #[n(3)]
    expires_ms: i64,
    #[n(4)]
    wrong_attempts: u32,
    #[n(5)]
    used: Option<UsedRow>,
    #[n(6)]
    made_at: Option<DeviceId>,
}

#[derive(Debug, Clone, Encode, Decode)]
struct UsedRow {
    #[n(0)]
    device: DeviceId,
    #[cbor(n(1), with = "minicbor::bytes")]
    claim: [u8; 32],
}

impl CodeRow {
    fn is_locked(&self) -> bool {
        self.wrong_attempts >= WRONG_ATTEMPTS_MAX
    }

    fn is_open(&self, now_ms: i64) -> bool {
        self.used.is_none() && !self.is_locked() && now_ms < self.expires_ms
    }
}

/// The open codes that a user made at their own phones: `auth/own-codes/user`.
#[derive(Debug, Default, Encode, Decode)]
struct OwnCodes {
    /// Names of codes, oldest first.
    #[n(0)]
    codes: Vec<minicbor::bytes::ByteArray<5>>,
}

impl Auth {
    /// Makes a code that enrols one device of `user`, for the office; without a maker it is the server's own.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn issue_code(
        &self,
        user: UserId,
        maker: Option<Maker>,
        now_ms: i64,
        entropy: &mut Entropy,
    ) -> Result<IssuedCode, StoreError> {
        let (code, row) = self.draw_code(user, maker, now_ms, entropy);
        let mut batch = Batch::new();
        batch.put(row_key(code.id), encode_row(&row));
        self.store.commit_one(batch)?;
        Ok(code)
    }

    /// Makes a code for another phone of whoever asks. There are [`OWN_CODES_MAX`] of them at a time: one more takes the place of the
    /// oldest, so that a phone in the wrong hands gathers no stock of codes.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn issue_own_code(
        &self,
        maker: Maker,
        now_ms: i64,
        entropy: &mut Entropy,
    ) -> Result<IssuedCode, StoreError> {
        let (code, row) = self.draw_code(maker.user, Some(maker), now_ms, entropy);
        let own_key = own_key(maker.user);
        for _ in 0..RETRIES_MAX {
            let stored = self.store.get(&own_key)?;
            let own: OwnCodes =
                stored.as_ref().map_or(Ok(OwnCodes::default()), |row| decode_row("own codes", row))?;
            let mut open = Vec::new();
            for id in own.codes {
                let known = self.store.get(&row_key(CodeId(*id)))?;
                let known: Option<CodeRow> =
                    known.map(|row| decode_row("enrolment codes", &row)).transpose()?;
                if known.is_some_and(|row| row.is_open(now_ms)) {
                    open.push(id);
                }
            }
            let mut batch = Batch::new();
            for old in open.drain(..(open.len() + 1).saturating_sub(OWN_CODES_MAX)) {
                self.bury(Tombstone::Code(CodeId(*old)), now_ms)?;
                batch.delete(row_key(CodeId(*old)));
            }
            open.push(code.id.0.into());
            batch
                .guard(own_key.clone(), stored)
                .put(own_key.clone(), encode_row(&OwnCodes { codes: open }))
                .put(row_key(code.id), encode_row(&row));
            if let Outcome::Done(_) = self.store.commit_one(batch)? {
                return Ok(code);
            }
        }
        Err(StoreError::Io("a user's codes changed faster than they could be read".into()))
    }

    fn draw_code(
        &self,
        user: UserId,
        maker: Option<Maker>,
        now_ms: i64,
        entropy: &mut Entropy,
    ) -> (IssuedCode, CodeRow) {
        let id = CodeId(entropy.draw());
        let proof: [u8; 10] = entropy.draw();
        let expires_ms = now_ms + i64::from(self.config.enrol_ttl_hours) * MS_PER_HOUR;
        let row = CodeRow {
            proof: hash_of("code", &proof),
            user,
            created_by: maker.map(|maker| maker.user),
            expires_ms,
            wrong_attempts: 0,
            used: None,
            made_at: maker.map(|maker| maker.device),
        };
        (IssuedCode { id, text: spell(id, proof), expires_ms }, row)
    }

    /// Redeems a code. `claim` is random and chosen by the phone: with the same claim the same answer comes again, so that a lost
    /// answer does not cost a code. `admit` says, before the code counts as used, which device it is for: `None` for a fresh one, or why
    /// it is for nobody.
    ///
    /// # Errors
    /// [`CodeError`].
    pub fn redeem_code(
        &self,
        text: &str,
        claim: &[u8],
        admit: impl Fn(Offer) -> Result<Option<DeviceId>, CodeError>,
        now_ms: i64,
        entropy: &mut Entropy,
    ) -> Result<Redeemed, CodeError> {
        let (id, proof) = read(text).ok_or(CodeError::Invalid)?;
        let claim = hash_of("claim", claim);
        for _ in 0..RETRIES_MAX {
            let stored = self.store.get(&row_key(id))?.ok_or(CodeError::Invalid)?;
            let mut row: CodeRow = decode_row("enrolment codes", &stored)?;
            if row.is_locked() {
                return Err(CodeError::Locked);
            }
            let right = row.proof == hash_of("code", &proof);
            let mut answer = Err(CodeError::Invalid);
            if !right {
                row.wrong_attempts += 1;
            } else if now_ms >= row.expires_ms {
                return Err(CodeError::Expired);
            } else if let Some(used) = &row.used {
                let same = used.claim == claim;
                return if same {
                    Ok(Redeemed { user: row.user, device: used.device })
                } else {
                    Err(CodeError::Used)
                };
            } else {
                let admitted = admit(Offer { user: row.user, made_at: row.made_at })?;
                let device = admitted.unwrap_or_else(|| entropy.device());
                self.bury(Tombstone::Code(id), now_ms)?;
                row.used = Some(UsedRow { device, claim });
                answer = Ok(Redeemed { user: row.user, device });
            }
            let mut batch = Batch::new();
            batch.guard(row_key(id), Some(stored)).put(row_key(id), encode_row(&row));
            if let Outcome::Done(_) = self.store.commit_one(batch)? {
                return answer;
            }
        }
        Err(CodeError::Store(StoreError::Io("a code changed faster than it could be read".into())))
    }

    /// The codes that are still kept, the latest first, up to `limit`.
    ///
    /// # Errors
    /// As [`Store::scan`].
    pub fn list_codes(&self, limit: usize) -> Result<Vec<CodeInfo>, StoreError> {
        let mut codes = Vec::new();
        each_page(&*self.store, |_, key, value| {
            codes.push(info(&key, &value)?);
            Ok(())
        })?;
        // Their keys are drawn by lot: only their dates say which are the latest.
        codes.sort_by_key(|code| std::cmp::Reverse(code.expires_ms));
        codes.truncate(limit);
        Ok(codes)
    }

    /// Removes a code; whether there was one.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn revoke_code(&self, id: CodeId, now_ms: i64) -> Result<bool, StoreError> {
        let known = self.store.get(&row_key(id))?.is_some();
        if known {
            self.bury(Tombstone::Code(id), now_ms)?;
        }
        let mut batch = Batch::new();
        batch.delete(row_key(id));
        self.store.commit_one(batch)?;
        Ok(known)
    }
}

impl Auth {
    /// Removes the unused codes that a user made for themselves: one of their phones was lost, and whoever found it may have asked for them.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn revoke_own_codes(&self, user: UserId, now_ms: i64) -> Result<(), StoreError> {
        each_page(&*self.store, |batch, key, value| {
            let code = info(&key, &value)?;
            if code.user == user && code.created_by == Some(user) && code.used_by.is_none() {
                self.bury(Tombstone::Code(code.id), now_ms)?;
                batch.delete(key);
            }
            Ok(())
        })
    }
}

impl std::fmt::Display for CodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::str::FromStr for CodeId {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let mut id = [0u8; 5];
        hex::decode_to_slice(text, &mut id).map_err(|_| CodeError::Invalid)?;
        Ok(Self(id))
    }
}

/// Removes codes a month after they expired; until then a list shows what became of them.
pub(super) fn sweep(store: &dyn Store, now_ms: i64) -> Result<(), StoreError> {
    each_page(store, |batch, key, value| {
        let row: CodeRow = decode_row("enrolment codes", &value)?;
        if now_ms >= row.expires_ms + KEEP_EXPIRED_MS {
            batch.delete(key);
        }
        Ok(())
    })
}

/// Shows every code to `plan`, page by page, and commits what it planned for a page.
fn each_page(
    store: &dyn Store,
    mut plan: impl FnMut(&mut Batch, Vec<u8>, Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut range = Range::prefix(PREFIX);
    loop {
        let page = store.scan(&range, Direction::Forward, SWEEP_MAX_ROWS)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        range = Range::prefix_after(PREFIX, last);
        let mut batch = Batch::new();
        for (key, value) in page {
            plan(&mut batch, key, value)?;
        }
        if !batch.is_empty() {
            store.commit_one(batch)?;
        }
    }
}

fn info(key: &[u8], value: &[u8]) -> Result<CodeInfo, StoreError> {
    let row: CodeRow = decode_row("enrolment codes", value)?;
    let id = key[PREFIX.len()..].try_into().map(CodeId);
    let id =
        id.map_err(|_| StoreError::Damaged("an enrolment code has a name of the wrong length".into()))?;
    Ok(CodeInfo {
        id,
        user: row.user,
        created_by: row.created_by,
        expires_ms: row.expires_ms,
        locked: row.is_locked(),
        used_by: row.used.map(|used| used.device),
    })
}

/// Base32 of id ‖ proof in Crockford's alphabet, in groups of four.
fn spell(id: CodeId, proof: [u8; 10]) -> String {
    let bytes = [&id.0[..], &proof[..]].concat();
    let mut text = String::new();
    for (i, five) in bytes.chunks(5).enumerate() {
        let number = five.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        let digit = |k: u32| char::from(ALPHABET[(number >> (35 - 5 * k) & 31) as usize]);
        if i > 0 {
            text.push('-');
        }
        text.extend((0..4).map(digit));
        text.push('-');
        text.extend((4..8).map(digit));
    }
    text
}

/// Reads a code as people type it: any case, with or without separators, O for 0, I and L for 1.
fn read(text: &str) -> Option<(CodeId, [u8; 10])> {
    if text.len() > TEXT_MAX_BYTES {
        return None;
    }
    let mut bytes = [0u8; 15];
    let (mut bits, mut held, mut at) = (0u64, 0, 0);
    for c in text.chars().filter(|c| !matches!(c, '-' | ' ')) {
        let c = match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        };
        let value = ALPHABET.iter().position(|a| char::from(*a) == c)?;
        bits = bits << 5 | value as u64;
        held += 5;
        if held >= 8 {
            held -= 8;
            *bytes.get_mut(at)? = (bits >> held) as u8;
            bits &= (1 << held) - 1;
            at += 1;
        }
    }
    if at != bytes.len() || held != 0 {
        return None;
    }
    let (id, proof) = bytes.split_at(5);
    Some((CodeId(id.try_into().ok()?), proof.try_into().ok()?))
}

pub(super) fn row_key(id: CodeId) -> Vec<u8> {
    [PREFIX, &id.0[..]].concat()
}

fn own_key(user: UserId) -> Vec<u8> {
    [OWN_PREFIX, &user.0[..]].concat()
}

/// Open codes that a user has from their own phones: one for the next phone, one that was lost on the way, one to spare.
pub const OWN_CODES_MAX: usize = 3;
const PREFIX: &[u8] = b"auth/code/";
const OWN_PREFIX: &[u8] = b"auth/own-codes/";
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// A person mistypes twice; a program tries more often.
const WRONG_ATTEMPTS_MAX: u32 = 5;
const KEEP_EXPIRED_MS: i64 = 30 * MS_PER_DAY;
const TEXT_MAX_BYTES: usize = 64;
